"""Thousands of arrays joined, and one taken apart into thousands: the time is in proportion to their number."""

import time

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.autodiff import sweep


def leaf(shape):
    return tn.tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True)


def total(parts):
    y = parts[0]
    for part in parts[1:]:
        y = y + part
    return y.sum()


JOINED = {
    "concatenate": np.concatenate, "stack": np.stack, "hstack": np.hstack, "vstack": np.vstack, "dstack": np.dstack,
    "column_stack": np.column_stack, "block": np.block, "stack behind": lambda xs: np.stack(xs, axis=-1),
}  # fmt: skip
APART = {
    "x[i]": lambda x, n: [x[i] for i in range(n)],
    "x[i, 0]": lambda x, n: [x[i, 0] for i in range(n)],
    "x[[i, i]]": lambda x, n: [x[[i, i]] for i in range(n)],
    "x[i:i+1]": lambda x, n: [x[i : i + 1].sum() for i in range(n)],
    "take": lambda x, n: [tn.take(x, i, axis=0) for i in range(n)],
    "iteration": lambda x, n: list(x),
    "unstack": lambda x, n: np.unstack(x),
    "split": np.split,
}
CALLS = {
    **{name: lambda n, f=f: (f([leaf(2) for _ in range(n)]) ** 2).sum() for name, f in JOINED.items()},
    **{name: lambda n, f=f: total(f(leaf((n, 2)), n)) for name, f in APART.items()},
}


def seconds(loss):
    times = []
    for _ in range(3):
        start = time.process_time()
        loss.backward()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("call", CALLS)
def test_backward_takes_time_in_proportion(call):
    """Eight times as many parts take eight times as long, not 64 times."""
    assert seconds(CALLS[call](10_000)) < 24 * seconds(CALLS[call](1_250))


@pytest.mark.parametrize("call", CALLS)
def test_the_numbers_are_those_of_the_sweep_to_read(call):
    loss = CALLS[call](40)
    expected = sweep([loss], [np.float64(1.0)])
    loss.backward()
    for x, g in expected.items():
        np.testing.assert_allclose(x.grad, g, rtol=1e-14)


INDICES = [
    0, -1, (1, -2), slice(1, 3), (slice(None), 2), (..., None, 0), [0, 0], ([0, 2, 0], [1, 1, 1]), [], slice(0, 0),
    np.eye(9, 8) > 0, (slice(4, 5), [0, 0, 7]), np.array(3),
]  # fmt: skip
TAKEN = [(0, None), (-1, None), ([3, 3, -1], None), ([0, 0], 0), ([[1, 1], [-1, 0]], 1), (7, -1)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_few_elements_are_added_where_they_belong(dtype, order):
    """Whatever the index, and wherever in the graph the array that is taken apart stands."""
    rng = np.random.default_rng(1)
    x = tn.tensor(np.asarray(rng.normal(size=(9, 8)), dtype, order=order), requires_grad=True)
    for source in (x, x * 2, x.T.T):
        taken = [source[index] for index in INDICES] + [tn.take(source, i, axis=axis) for i, axis in TAKEN]
        loss = total([(source**2).sum(), (source * 3).sum(), *((t**3).sum() for t in taken for _ in range(2))])
        expected = sweep([loss], [dtype(1.0)])[x]
        x.zero_grad()
        loss.backward()
        assert x.grad.dtype == dtype
        np.testing.assert_allclose(x.grad, expected, rtol=2e-5 if dtype is np.float32 else 1e-12)


def test_exact_zeros_stay_exact():
    """0 · ∞ behind the choice of few elements is 0, whichever of them come last."""
    x = tn.tensor(np.arange(40.0), requires_grad=True)
    with np.errstate(divide="ignore"):
        y = np.log(x)
    total([y[i] for i in range(39, 0, -1)]).backward()
    np.testing.assert_array_equal(x.grad[1:], 1 / np.arange(1.0, 40.0))
    assert x.grad[0] == 0
