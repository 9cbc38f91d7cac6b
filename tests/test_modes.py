"""no_grad, enable_grad and detect_anomaly as decorators of all kinds of functions, and gradients from many threads."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_nn as tn

X = tn.tensor(3.0, requires_grad=True)


def recorded():
    return (X * X).requires_grad


@tn.no_grad()
def conversation():
    """Yields whether it records; answers what it was sent, and returns at the end."""
    sent = yield recorded()
    try:
        while sent is not None:
            sent = yield (recorded(), sent)
    except KeyError:
        yield (recorded(), "caught")
    return recorded()


def test_a_decorated_generator_runs_without_recording_and_its_caller_with_it():
    talk = conversation()
    assert next(talk) is False
    assert recorded()
    assert talk.send("a") == (False, "a")
    assert talk.throw(KeyError()) == (False, "caught")
    assert recorded()
    with pytest.raises(StopIteration) as end:
        next(talk)
    assert end.value.value is False
    assert conversation.__name__ == "conversation"
    assert next(iter(conversation())) is False


def test_errors_and_closing_reach_a_decorated_generator():
    seen = []

    @tn.no_grad()
    def items():
        try:
            yield 1
            raise ValueError("inside")
        finally:
            seen.append(recorded())

    first = items()
    next(first)
    first.close()
    with pytest.raises(ValueError, match="inside"):
        list(items())
    second = items()
    next(second)
    with pytest.raises(OSError, match="from outside"):
        second.throw(OSError("from outside"))
    assert seen == [False, False, False]
    assert recorded()


def test_generators_may_run_in_turns():
    @tn.enable_grad()
    def on():
        for _ in range(3):
            yield recorded()

    @tn.no_grad()
    def off():
        for _ in range(3):
            yield recorded()

    with tn.no_grad():
        assert [(a, b, recorded()) for a, b in zip(on(), off(), strict=True)] == [(True, False, False)] * 3
    assert [(a, b, recorded()) for a, b in zip(off(), on(), strict=True)] == [(False, True, True)] * 3


def test_coroutines_are_decorated_and_asynchronous_generators_refused():
    @tn.no_grad()
    async def quiet():
        await asyncio.sleep(0)
        return recorded()

    async def both():
        return await asyncio.gather(quiet(), asyncio.to_thread(recorded), quiet())

    assert asyncio.run(both()) == [False, True, False]

    async def items():
        yield 1

    with pytest.raises(TypeError, match=r"no_grad cannot decorate the asynchronous generator items: write `with"):
        tn.no_grad()(items)


def test_enable_grad():
    @tn.enable_grad()
    def inside():
        return recorded()

    with tn.no_grad():
        assert inside()
        with tn.enable_grad():
            assert recorded()
            with tn.no_grad():
                assert not recorded()
        assert not recorded()
    assert inside()


def test_many_threads_add_to_the_gradient_of_one_leaf():
    w, b = tn.tensor(np.ones(3), requires_grad=True), tn.tensor(1.0, requires_grad=True)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: (w * 2.0 + b).sum().backward(), range(2000)))
    finally:
        sys.setswitchinterval(interval)
    np.testing.assert_array_equal(w.grad, [4000.0] * 3)
    assert b.grad == 6000
