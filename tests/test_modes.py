"""no_grad, enable_grad and detect_anomaly as decorators of all kinds of functions, and gradients from many threads."""

import asyncio
import contextvars
import itertools
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.modes import MODE, puts_mode_back

ROOT = MODE.get()
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_that_is_forked_while_a_thread_stores_gradients_does_not_hang():
    holding, done = threading.Event(), threading.Event()

    def store():
        with sys.modules["tinygrad_nn.tensor"]._STORING:
            holding.set()
            done.wait(60)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(store)
        assert holding.wait(10)
        child = os.fork()
        if not child:
            signal.alarm(10)  # which ends it, if it hangs
            leaf = tn.tensor(2.0, requires_grad=True)
            (leaf * leaf).backward()
            os._exit(int(leaf.grad != 4.0))
        ended = os.waitpid(child, 0)[1]
        done.set()
    assert ended == 0


SWITCHES = [tn.no_grad, tn.enable_grad, tn.detect_anomaly]


def mode():
    seen = MODE.get()
    return seen.grad, seen.anomalies, seen.interpreter, seen.transformed


def within(switch):
    with switch:
        yield mode()


def expected(switches):
    """The mode within these, in the order in which they were entered."""
    grad, anomalies = True, False
    for switch in switches:
        grad = {tn.no_grad: False, tn.enable_grad: True}.get(switch, grad)
        anomalies = anomalies or switch is tn.detect_anomaly
    return grad, anomalies, None, False


@pytest.mark.parametrize(
    "kinds", [*itertools.product(SWITCHES, repeat=3)], ids=lambda kinds: "-".join(k.__name__ for k in kinds)
)
def test_switches_may_be_left_in_any_order(kinds):
    for order in itertools.permutations(range(3)):
        generators = dict(enumerate(within(kind()) for kind in kinds))
        for generator in generators.values():
            next(generator)
        for i in order:
            assert mode() == expected([kinds[k] for k in generators])
            generators.pop(i).close()
        assert MODE.get() is ROOT


def test_one_switch_may_be_shared_by_generators_and_threads():
    switch, entered, may_leave = tn.no_grad(), threading.Event(), threading.Event()

    def elsewhere():
        with switch:
            entered.set()
            may_leave.wait(10)
            return recorded()

    with ThreadPoolExecutor(1) as pool:
        with switch:
            found = pool.submit(elsewhere)
            assert entered.wait(10)
            first, second = within(switch), within(switch)
            next(first)
            next(second)
            first.close()
            assert not recorded()
            second.close()
        assert recorded()
        may_leave.set()
        assert not found.result()
    assert MODE.get() is ROOT


def test_a_generator_that_another_context_closes_changes_nothing_there():
    generator = within(tn.no_grad())
    contextvars.copy_context().run(next, generator)
    generator.close()
    assert MODE.get() is ROOT
    generator = within(tn.no_grad())
    next(generator)
    contextvars.copy_context().run(generator.close)
    assert not recorded()  # what has been entered here was left elsewhere, which this context cannot know
    MODE.set(ROOT)


@pytest.mark.parametrize("inside", [
    lambda f: tn.grad(lambda w: f() or tn.sum(w * w))(np.ones(2)),
    lambda f: tn.vmap(lambda w: f() or w * w)(np.ones((2, 2))),
    lambda f: puts_mode_back(f)(),
], ids=["grad", "vmap", "puts_mode_back"])  # fmt: skip
def test_what_is_left_within_another_function_stays_left(inside):
    before = within(tn.no_grad())
    next(before)
    inside(before.close)
    assert MODE.get() is ROOT
    began = []

    def begin():
        began.append(within(tn.no_grad()))
        next(began[-1])

    inside(begin)
    assert MODE.get() is ROOT
    for generator in began:
        generator.close()
    assert MODE.get() is ROOT


def test_an_interrupt_leaves_what_it_kept_from_leaving():
    def interrupted():
        with tn.no_grad():
            tn.detect_anomaly().__enter__()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert MODE.get() is ROOT
