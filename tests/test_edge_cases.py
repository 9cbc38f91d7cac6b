"""Values and gradients in edge cases, in both dtypes, both modes, and whatever the layout in memory."""

import numpy as np
import pytest
from edge_cases import POINTS
from test_ops import DIFFERENTIABLE, cases, every, is_float, leaves, with_rule

import tinygrad_nn as tn

EXPRESSIONS = {f"{i}: {p.expression}": p for i, p in enumerate(POINTS)}
NUMBERS = {name: p for name, p in EXPRESSIONS.items() if not any(np.isnan(x).any() for x in p.inputs.values())}
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def evaluate(point, tensors):
    """The value; quietly where NumPy itself would warn, else any floating-point complaint is an error."""
    with np.errstate(all="ignore" if point.warns else "raise"):
        return eval(point.expression, {"np": np, "tn": tn, **tensors})


def inputs(point, dtype):
    return {name: np.array(x, dtype) for name, x in point.inputs.items()}


def same(got, expected, dtype):
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(dtype).eps, atol=1e-300, strict=False)
    assert got.shape == np.shape(expected)


@DTYPES
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
@pytest.mark.parametrize("point", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_value_and_gradient(point, dtype):
    tensors = {name: tn.tensor(x, requires_grad=True) for name, x in inputs(point, dtype).items()}
    y = evaluate(point, tensors)
    same(y.value, point.value, dtype)
    with np.errstate(all="raise"):  # the backward pass complains about nothing
        y.backward(np.ones(y.shape))
        recorded = tn.gradients(y, list(tensors.values()), np.ones(y.shape), create_graph=True)
    for (name, x), g in zip(tensors.items(), recorded, strict=True):
        same(x.grad, point.gradients[name], dtype)
        same(g.value, point.gradients[name], dtype)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
@pytest.mark.parametrize("point", NUMBERS.values(), ids=NUMBERS)
def test_forward_mode_says_the_same(point):
    arrays = inputs(point, np.float64)

    def f(*given):
        return evaluate(point, dict(zip(arrays, given, strict=True)))

    for slot, (name, x) in enumerate(arrays.items()):
        found = np.empty(x.shape)
        for at in np.ndindex(x.shape):
            tangents = [np.zeros(a.shape) for a in arrays.values()]
            tangents[slot][at] = 1
            found[at] = np.sum(tn.jvp(f, list(arrays.values()), tangents)[1])
        np.testing.assert_allclose(found, point.gradients[name], rtol=1e-12)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
def test_the_table_covers_every_operation_with_a_note_on_edge_cases():
    met = set()
    for point in POINTS:
        tensors = {name: tn.tensor(x, requires_grad=True) for name, x in inputs(point, np.float64).items()}
        with np.errstate(all="ignore"):
            met |= recorded_by(evaluate(point, tensors))
    noted = {op for op in DIFFERENTIABLE if op.docs.edge_cases and not op.name.startswith("_")}
    assert noted <= met


def recorded_by(y):
    """The operations that a result was made by."""
    found, stack = set(), [y]
    while stack:
        node = stack.pop()
        if isinstance(node, tn.Tensor) and node.op is not None:
            found.add(node.op)
            stack += node.inputs
    return found


def test_second_derivatives_at_edge_cases():
    def second(f, x):
        return np.diag(tn.hessian(lambda t: f(t).sum())(np.array(x)))

    np.testing.assert_array_equal(second(lambda x: tn.relu(x) * x, [0.0, 2.0]), [0, 2])
    np.testing.assert_array_equal(second(lambda x: abs(x) * x, [0.0, -2.0]), [0, -2])
    np.testing.assert_array_equal(second(lambda x: x**0 + x**1 + x**2, [0.0, 1.0]), [2, 2])
    np.testing.assert_array_equal(second(tn.norm, [0.0, 0.0]), [0, 0])
    np.testing.assert_array_equal(second(np.std, [2.0, 2.0]), [0, 0])
    np.testing.assert_array_equal(second(lambda x: np.hypot(x, 0.0), [0.0]), [0])
    np.testing.assert_allclose(second(tn.sinc, [0.0, 1.0]), [-(np.pi**2) / 3, 2], rtol=1e-12)
    np.testing.assert_array_equal(tn.hessian(lambda x: x.prod())(np.array([0.0, 0.0, 4.0])),
                                  [[0, 4, 0], [4, 0, 0], [0, 0, 0]])  # fmt: skip
    np.testing.assert_array_equal(tn.hessian(lambda x: x.cumprod()[-1])(np.array([0.0, 0.0, 4.0])),
                                  [[0, 4, 0], [4, 0, 0], [0, 0, 0]])  # fmt: skip
    np.testing.assert_allclose(tn.hessian(tn.det)(np.zeros((2, 2)))[0, 0], [[0, 0], [0, 1]])
    # a power that moves: ∂²xⁿ/∂x∂n at n = 0 is 1/x
    mixed = tn.grad(lambda n: tn.grad(lambda x: x**n)(2.0))
    assert mixed(0.0) == 0.5


def test_an_accidental_zero_behind_a_choice_keeps_its_slope():
    """The gradient that reaches √x is log x, which is 0 at 1: a zero, but not from the choice."""
    hidden = tn.hessian(lambda x: np.where(x > 0, np.sqrt(x) * np.log(x), x * x))
    open_ = tn.hessian(lambda x: np.sqrt(x) * np.log(x))
    assert hidden(1.0) == open_(1.0) == 0
    assert tn.grad(lambda x: tn.jvp(np.exp, (x,), (x - 1.0,))[1])(1.0) == np.e
    slope = tn.grad(lambda v: tn.hvp(lambda z: np.exp(z[0]) * z[1] ** 2, (np.ones(2),), (v,)).sum())
    np.testing.assert_allclose(slope(np.zeros(2)), [3 * np.e, 4 * np.e])


@pytest.mark.parametrize("order", [2, 3])
def test_singularities_behind_a_choice_at_higher_order(order):
    def chosen(x):
        return np.where(x > 0, x**2.5 * np.log(x), 0.0)

    f, g = chosen, lambda x: x**2.5 * np.log(x)
    for _ in range(order):
        f, g = tn.grad(f), tn.grad(g)
    with np.errstate(all="ignore"):
        assert f(0.0) == 0
        np.testing.assert_allclose(f(1.5), g(1.5))


# --- memory -----------------------------------------------------------------------------------------------------------


def reverse(a):
    return a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim]


def spread_out(a):
    wide = np.full([2 * n for n in a.shape], np.nan)
    wide[(slice(None, None, 2),) * a.ndim] = a
    return wide[(slice(None, None, 2),) * a.ndim]


LAYOUTS = {"Fortran order": lambda a: a.copy("F"), "negative strides": reverse, "gaps": spread_out}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@every(DIFFERENTIABLE)
def test_layout_in_memory_does_not_matter(op, layout):
    for arrays, params in cases(op):
        slots, results = with_rule(op, arrays), []
        for laid_out in (arrays, [layout(a) if is_float(a) else a for a in arrays]):
            tensors = leaves(arrays, slots)
            for i in slots:
                tensors[i].value = laid_out[i]
            y = op.apply(tensors, params)
            inputs = [tensors[i] for i in slots]
            results.append([y.value, *tn.gradients(y, inputs, np.ones(y.shape))])
        for plain, other in zip(*results, strict=True):
            np.testing.assert_allclose(plain, other, rtol=1e-12, atol=1e-14)


@every([op for op in DIFFERENTIABLE if op.kind == "elementwise"])
def test_elementwise_operations_take_empty_arrays(op):
    arrays = [
        np.zeros((0, 3)) if op.arguments[i] != "condition" else np.zeros((0, 3), bool) for i in range(len(op.arguments))
    ]
    tensors = leaves(arrays)
    y = op.apply(tensors, {})
    assert y.shape == (0, 3)
    y.sum().backward()
    for i in with_rule(op, arrays):
        assert tensors[i].grad.shape == (0, 3)


@pytest.mark.parametrize(
    ("f", "shape", "result"),
    [
        (lambda x: x.sum(axis=0), (0, 3), (3,)),
        (lambda x: x.prod(axis=0), (0, 3), (3,)),
        (lambda x: x.max(axis=1), (0, 3), (0,)),
        (lambda x: x.std(axis=1), (0, 3), (0,)),
        (lambda x: x.cumsum(), (0, 3), (0,)),
        (lambda x: x.cumprod(axis=1), (0, 3), (0, 3)),
        (lambda x: tn.softmax(x, axis=0), (0, 3), (0, 3)),
        (lambda x: tn.log_softmax(x, axis=0), (0, 3), (0, 3)),
        (lambda x: tn.logsumexp(x, axis=0), (0, 3), (3,)),
        (lambda x: tn.norm(x, axis=0), (0, 3), (3,)),
        (lambda x: x @ np.ones((3, 2)), (0, 3), (0, 2)),
        (lambda x: x.T @ x, (0, 3), (3, 3)),
        (lambda x: tn.einsum("ij,ij->j", x, x), (0, 3), (3,)),
        (lambda x: tn.tensordot(x, x, ([0], [0])), (0, 3), (3, 3)),
        (lambda x: tn.concatenate([x, np.ones((1, 3))]), (0, 3), (1, 3)),
        (lambda x: tn.inv(x), (0, 3, 3), (0, 3, 3)),
        (lambda x: tn.det(x), (0, 3, 3), (0,)),
        (lambda x: x[[]], (3,), (0,)),
        (lambda x: tn.take(x, []), (3,), (0,)),
        (lambda x: x[x > 5], (3,), (0,)),
        (lambda x: tn.pad(x, 1), (0, 3), (2, 5)),
        (lambda x: tn.repeat(x, 0), (3,), (0,)),
        (lambda x: tn.roll(x, 1), (0, 3), (0, 3)),
        (lambda x: tn.split(x, [0])[0], (3,), (0,)),
        (lambda x: tn.mse(x, np.ones((3, 0))), (3, 0), ()),
        (lambda x: tn.cross_entropy(x, np.ones(0, int)), (3, 0), ()),
    ],
)
def test_zero_size_arrays(f, shape, result):
    x = tn.tensor(np.zeros(shape), requires_grad=True)
    y = f(x)
    assert y.shape == result
    y.backward(np.ones(result))
    np.testing.assert_array_equal(x.grad, np.zeros(shape), strict=True)
    assert tn.gradcheck(f, np.zeros(shape), order=2)
