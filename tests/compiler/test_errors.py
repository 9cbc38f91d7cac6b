"""Errors that values decide about: raised by each replay that eagerly raises them, never frozen as a choice."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.samples import samples_of

OPERATIONS = {
    name: op for name, op in BY_NAME.items() if isinstance(op, Op) and op.__module__.startswith("tinygrad_nn")
}


def worse(x):
    """Arrays of the same shape and dtype at which an operation may raise an error."""
    if x.dtype.kind == "f":
        yield from (np.zeros_like(x), -np.ones_like(x), np.full_like(x, np.nan))
        if x.ndim > 1 and x.shape[-1] == x.shape[-2]:
            yield -np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape).copy()
    elif x.dtype.kind in "iu":
        yield from (np.full_like(x, 100), np.full_like(x, -100 if x.dtype.kind == "i" else 99))


def that_may_raise():
    """Each operation with a sample and other values, at which it raises an error."""
    found = []
    for name, op in OPERATIONS.items():
        if op.training.probabilities:  # such losses do not look at targets while a step is recorded
            continue
        for arrays, params in samples_of(op)[:4]:
            for i, x in enumerate(arrays):
                for bad in worse(x) if isinstance(x, np.ndarray) else ():
                    other = [np.array(a) if isinstance(a, np.ndarray) else a for a in arrays]
                    other[i] = bad
                    try:
                        with np.errstate(all="ignore"):
                            op.compute(list(arrays), params)
                    except Exception:  # no sample for this
                        continue
                    with np.errstate(all="ignore"), contextlib.suppress(Warning):
                        try:
                            op.compute(other, params)
                        except Exception as error:
                            found.append(
                                pytest.param(op, arrays, other, params, type(error), id=f"{name}-{len(found)}")
                            )
                            break
    return found


RAISING = that_may_raise()


def test_what_solves_and_decomposes_is_among_them():
    names = {case.values[0].name for case in RAISING}
    assert names >= {"cholesky", "inv", "solve"}


@pytest.mark.parametrize(("op", "good", "bad", "params", "kind"), RAISING)
@pytest.mark.parametrize("calls", [1, 3])
def test_an_operation_that_is_there_for_its_check(op, good, bad, params, kind, calls):
    def step(*arrays):
        op(*[tn.tensor(a) if a.dtype.kind == "f" else a for a in arrays], **params)
        return tn.sum(tn.tensor(arrays[0]) * 1)

    compiled = tn.compile(step)
    try:
        for _ in range(calls):
            compiled(*good)
    except tn.CompileError:
        return  # refused by name
    with pytest.raises(kind) as caught:
        compiled(*bad)
    assert not isinstance(caught.value, tn.CompileError)
    compiled(*good)


# --- errors that the step catches ------------------------------------------------------------------------------------


def by_except(f, error):
    def step(*args):
        try:
            return f(*args)
        except error:
            return tn.sum(tn.tensor(args[0])) * 10.0

    return step


def by_suppress(f, error):
    def step(*args):
        result = tn.sum(tn.tensor(args[0])) * 10.0
        with contextlib.suppress(error):
            result = f(*args)
        return result

    return step


def by_finally(f, error):
    def step(*args):
        while True:
            try:
                return f(*args)
            finally:
                return tn.sum(tn.tensor(args[0])) * 10.0  # noqa: B012, SIM107

    return step


U = np.arange(3.0)
CAUGHT = {
    "cholesky": (lambda A: tn.sum(tn.cholesky(A)), [4 * np.eye(2)], [-np.eye(2)], np.linalg.LinAlgError),
    "inv": (lambda A: tn.sum(tn.inv(A)), [np.eye(2)], [np.zeros((2, 2))], np.linalg.LinAlgError),
    "numpy": (lambda A: np.linalg.cholesky(A).sum(), [np.eye(2)], [-np.eye(2)], np.linalg.LinAlgError),
    "index": (lambda x, i: tn.sum(tn.tensor(x)[i]), [U, np.array([1])], [U, np.array([7])], IndexError),
    "array_index": (lambda x, i: x[i].sum(), [U, np.array([1])], [U, np.array([7])], IndexError),
    "take": (lambda x, i: np.take(x, i).sum(), [U, np.array([1])], [U, np.array([7])], IndexError),
}  # fmt: skip


@pytest.mark.parametrize("catch", [by_except, by_suppress, by_finally], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", CAUGHT)
def test_a_caught_error_is_no_choice_for_ever(name, catch):
    f, good, bad, error = CAUGHT[name]
    step = catch(f, error)
    compiled = tn.compile(step)
    with pytest.raises(
        tn.CompileError, match=rf"catches an error: \w+ raises a {error.__name__} here \(line"
    ) as caught:
        compiled(*bad)
    assert np.asarray(caught.value.result) == np.asarray(step(*bad))
    compiled = tn.compile(step)
    for args in (good, bad, bad, good, bad, good, bad, bad):  # a replay that raises gives way to the step itself
        assert np.asarray(compiled(*args)) == np.asarray(step(*args))


def test_errors_of_shapes_may_be_caught():
    def step(a, b):
        try:
            return tn.sum(tn.tensor(a) @ b)
        except ValueError:
            return tn.sum(tn.tensor(a)) * 3

    compiled = tn.compile(step)
    for _ in range(4):
        assert compiled(np.ones((2, 3)), np.ones((2, 3))) == 18.0


def test_arithmetic_errors_that_are_caught():
    def step(x):
        try:
            with np.errstate(divide="raise"):
                return 1.0 / x
        except FloatingPointError:
            return x

    with pytest.raises(tn.CompileError, match="FloatingPointError"):
        tn.compile(step)(np.zeros(2))


def test_results_whose_shape_values_decide_give_way():
    compiled = tn.compile(lambda x, n: np.repeat(x, n) * 2.0 + np.ones(1))
    x = np.arange(2.0)
    for n in ([1, 2], [1, 2], [1, 2], [2, 3], [1, 0], [1, 2]):
        assert compiled(x, np.array(n)).tolist() == (np.repeat(x, n) * 2.0 + 1).tolist()


# --- other threads ---------------------------------------------------------------------------------------------------


def in_a_thread(f, *args):
    thread = threading.Thread(target=f, args=args)
    thread.start()
    thread.join()


def in_a_pool(f, *args):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(f, *args).result()


hidden = {"thread": in_a_thread, "pool": in_a_pool}


@pytest.mark.parametrize("how", hidden)
def test_other_threads_see_no_tracer(how):
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    run = hidden[how]

    def train(x):
        (w * w * x).sum().backward()
        x += 1.0

    def step(x):
        run(train, x)
        return x * 2.0

    x = np.ones(2)
    with pytest.raises(tn.CompileError, match="thread"):
        tn.compile(step)(x)
    assert type(w.grad) is np.ndarray
    assert w.grad.tolist() == [2.0, 4.0]
    assert x.tolist() == [2.0, 2.0]


def test_a_thread_in_the_context_of_the_step():
    import contextvars

    w = tn.tensor([1.0, 2.0], requires_grad=True)

    def train(x):
        (w * w * x).sum().backward()

    def step(x):
        in_a_thread(contextvars.copy_context().run, train, x)

    with pytest.raises(tn.CompileError, match="thread"):
        tn.compile(step)(np.ones(2))
    assert type(w.grad) is np.ndarray
    assert w.grad.tolist() == [2.0, 4.0]


def test_a_view_that_is_first_read_by_an_operation_that_looks_at_values():
    def looks(x):
        return x * (2.0 if bool((x > 0).all()) else 3.0)

    peeks = tn.op(looks, "peek({x})", lambda g, y, x: g, name="peeks_at_x")

    def step(x):
        a = x * 1.0
        first = a[0]
        a *= 2.0
        y = peeks(tn.tensor(np.ones(2)) * first)
        return [tn.sum(y), y + first, first * 1.0]

    compiled = tn.compile(step)
    for k in range(6):
        x = np.array([[1.0, 2.0], [3.0, 4.0]]) + k
        for mine, other in zip(compiled(x), step(x), strict=True):
            np.testing.assert_array_equal(np.asarray(mine), np.asarray(other))
