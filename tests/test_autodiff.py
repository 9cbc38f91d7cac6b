"""The two backward passes: the one that is read and the quick one compute the same, bit for bit."""

import numpy as np
import pytest
from random_programs import program
from test_ops import DIFFERENTIABLE

import tinygrad_nn as tn
from tinygrad_nn.autodiff import history, pullback, sweep
from tinygrad_nn.samples import samples_of


def assert_same(outputs, seeds, wanted=None):
    with np.errstate(all="ignore"):
        read, quick = sweep(outputs, seeds, wanted), pullback(outputs, seeds, wanted)
    assert read.keys() == quick.keys()
    for node, g in read.items():
        np.testing.assert_array_equal(quick[node], g, strict=True)
        assert np.array_equal(np.signbit(quick[node]), np.signbit(g)), "signs of zeros"


def recorded(op, arrays, params):
    arrays = [op.checks.prepare(a) for a in arrays] if op.checks.prepare else arrays
    inputs = [tn.tensor(a, requires_grad=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in arrays]
    return inputs, op.apply(tuple(inputs), params)


@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=lambda op: op.name)
def test_on_all_samples(op):
    rng = np.random.default_rng(0)
    for arrays, params in samples_of(op, rng):
        inputs, y = recorded(op, arrays, params)
        assert_same([y], [rng.normal(size=y.shape)])
        assert_same(
            [y, y],
            [np.ones_like(y.value), np.ones_like(y.value)],
            [x for x in inputs if isinstance(x, tn.Tensor) and x.requires_grad][:1],
        )


@pytest.mark.parametrize("op", [op for op in DIFFERENTIABLE if op.kind == "elementwise"], ids=lambda op: op.name)
@pytest.mark.parametrize("shape", [(), (4,)])
def test_behind_a_choice(op, shape):
    """Exact zeros of a choice meet slopes that are infinite or not a number."""
    arrays, params = samples_of(op)[-1]
    edges = [
        np.resize([0.0, -1.0, np.inf, 1.0], shape)
        if np.asarray(a).dtype.kind == "f"
        else np.resize([True, False], shape)
        for a in arrays
    ]
    with np.errstate(all="ignore"):
        _, y = recorded(op, edges, params)
        z = tn.where(np.resize([False, True, False, True], y.shape), y, 2.0) * 3.0 + y * 0.5
        assert_same([z], [np.ones_like(z.value)])


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_on_random_programs(first):
    for seed in range(first, first + 20):
        f, inputs = program(seed)
        tensors = [tn.tensor(x, requires_grad=True) for x in inputs]
        y = f(tn, *tensors)
        middle = history([y])[len(history([y])) // 2]
        assert_same([y], [np.ones_like(y.value)])
        assert_same([y], [np.ones_like(y.value)], [*tensors, middle])
        middle.retain_grad()
        assert_same([y], [np.ones_like(y.value)])


def test_on_single_numbers():
    x, w = tn.tensor(0.7, requires_grad=True), tn.tensor(-0.3, requires_grad=True)
    z = x
    for _ in range(30):
        z = (z * x + w).relu() - z * 0.5 + x / (z**2 + 1.0) - w**3
    assert_same([z], [np.float64(1.0)])


@pytest.mark.parametrize("create_graph", [False, True])
def test_what_no_wanted_gradient_needs_may_have_changed(create_graph):
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    middle = x * x
    z = (middle * 3.0).sum()
    x.data[0] = 7.0
    (g,) = tn.gradients(z, middle, create_graph=create_graph)
    np.testing.assert_array_equal(getattr(g, "value", g), [3.0, 3.0])
    with pytest.raises(tn.MutationError):
        tn.gradients(z, x, create_graph=create_graph)


def test_the_readable_sweep_fits_on_a_page():
    import inspect

    assert len(inspect.getsource(sweep).splitlines()) <= 60
