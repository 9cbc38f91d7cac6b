"""Derivatives of functions: nested, of several arguments and of trees of them, and how gradcheck finds a wrong rule."""

import math
from collections import namedtuple

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import transforms

X = np.array([0.5, -1.0, 2.0])
V = np.array([1.0, 0.5, -2.0])


def cube(x):
    return (x**3).sum()


def test_first_derivatives():
    np.testing.assert_allclose(tn.grad(cube)(X), 3 * X**2)
    value, slope = tn.value_and_grad(cube)(X)
    np.testing.assert_allclose(value, (X**3).sum())
    np.testing.assert_allclose(slope, 3 * X**2)
    y, pull = tn.vjp(np.sin, X)
    np.testing.assert_allclose(y, np.sin(X))
    for u in (V, 2 * V):  # as often as you like
        (g,) = pull(u)
        np.testing.assert_allclose(g, u * np.cos(X))
    y, moved = tn.jvp(np.sin, (X,), (V,))
    np.testing.assert_allclose(moved, V * np.cos(X))
    np.testing.assert_allclose(tn.jacobian(np.sin)(X), np.diag(np.cos(X)))


def test_second_derivatives():
    def f(x):
        return np.sin(x).prod() + (x @ x) ** 2

    s, c = np.sin(X), np.cos(X)
    expected = 4 * (X @ X) * np.eye(3) + 8 * np.outer(X, X)
    for i in range(3):
        for j in range(3):
            others = np.prod([s[k] for k in range(3) if k not in (i, j)])
            expected[i, j] += others * (c[i] * c[j] if i != j else -s[i])
    hessian = tn.hessian(f)(X)
    np.testing.assert_allclose(hessian, expected)
    np.testing.assert_allclose(tn.hvp(f, (X,), (V,)), expected @ V)
    np.testing.assert_allclose(tn.hvp(f, X, V), expected @ V)
    for second in (
        tn.jacobian(tn.grad(f)),
        lambda x: np.stack([tn.jvp(tn.grad(f), (x,), (e,))[1] for e in np.eye(3)]),
        lambda x: np.stack([tn.vjp(tn.grad(f), x)[1](e)[0] for e in np.eye(3)]),
        lambda x: tn.grad(lambda v: tn.hvp(f, (x,), (v,)) @ v)(V)[None] / 2,
    ):
        got = second(X)
        np.testing.assert_allclose(got, expected if len(got) == 3 else (expected @ V)[None])


# --- nesting ----------------------------------------------------------------------------------------------------------

FORWARD = {"jvp": lambda f: lambda x: tn.jvp(f, (x,), (1.0,))[1], "jacobian": tn.jacobian}
REVERSE = {"grad": tn.grad, "vjp": lambda f: lambda x: tn.vjp(f, x)[1](1.0)[0]}
ONCE = {**FORWARD, **REVERSE}


@pytest.mark.parametrize("outer", ONCE.values(), ids=ONCE)
@pytest.mark.parametrize("middle", ONCE.values(), ids=ONCE)
@pytest.mark.parametrize("inner", ONCE.values(), ids=ONCE)
def test_any_three_nested(inner, middle, outer):
    third = outer(middle(inner(lambda x: np.exp(2 * x) * x)))
    np.testing.assert_allclose(third(0.3), (8 * 0.3 + 12) * math.exp(0.6))


@pytest.mark.parametrize("d", ONCE.values(), ids=ONCE)
def test_order_four(d):
    for f, fourth in [
        (lambda x: x**6, 360 * 0.7**2),
        (np.sin, math.sin(0.7)),
        (lambda x: x * x, 0),
        (lambda x: 1 / x, 24 / 0.7**5),
        (lambda x: np.tanh(x) + tn.relu(x) ** 4, None),
    ]:
        g = f
        for _ in range(4):
            g = d(g)
        if fourth is None:
            t = math.tanh(0.7)
            fourth = 24 + (1 - t * t) * (16 * t - 24 * t**3)
        np.testing.assert_allclose(g(0.7), fourth, atol=1e-12)


@pytest.mark.parametrize("inner", ONCE.values(), ids=ONCE)
@pytest.mark.parametrize("outer", ONCE.values(), ids=ONCE)
def test_perturbations_are_not_confused(inner, outer):
    """The classic cases: derivatives by different variables that meet in one product."""
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1
    assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6
    assert outer(lambda x: inner(lambda y: x * x * y * y)(x))(2.0) == 6 * 4
    assert outer(lambda x: inner(lambda y: y * inner(lambda z: x * y * z)(x))(x))(3.0) == 4 * 3  # (2 x y)' at y = x
    assert outer(lambda x: inner(lambda x: x * x)(2.0) * x)(1.0) == 4  # the inner name hides the outer one
    assert outer(lambda x: inner(lambda y: y)(x))(5.0) == 0
    assert outer(lambda x: inner(lambda y: x)(5.0) + x)(5.0) == 1


def test_pullback_and_tangents_depend_on_outer_variables():
    slope = tn.grad(lambda x: tn.vjp(np.sin, 0.3)[1](x * x)[0])(2.0)
    np.testing.assert_allclose(slope, 4 * math.cos(0.3))
    slope = tn.grad(lambda x: tn.jvp(np.exp, (x,), (x - 1.0,))[1])(1.0)
    np.testing.assert_allclose(slope, math.e)
    _, pull = tn.vjp(np.sin, 0.3)
    u = tn.tensor(2.0, requires_grad=True)
    (g,) = pull(u)
    g.backward()
    np.testing.assert_allclose(u.grad, math.cos(0.3))
    assert isinstance(pull(1.0)[0], np.ndarray), "the next pull starts afresh"


def test_closures_over_requires_grad_tensors():
    w = tn.tensor(3.0, requires_grad=True)
    assert tn.grad(lambda x: w * x * x)(2.0) == 12
    assert tn.hessian(lambda x: w * x * x)(2.0) == 6
    assert tn.jvp(lambda x: w * x, (2.0,), (1.0,))[1] == 3
    assert w.grad is None, "no .grad is touched"
    x = tn.tensor(2.0, requires_grad=True)
    slope = tn.grad(lambda t: w * t * t)(x)  # of a recorded tensor: stays in the graph
    slope.backward()
    assert (slope.item(), x.grad, w.grad) == (12, 6, 4)
    constant = tn.tensor(2.0)
    assert isinstance(tn.grad(lambda t: t * t)(constant), np.ndarray)


def test_within_no_grad_derivatives_are_right():
    with tn.no_grad():
        assert tn.grad(lambda x: x * x)(3.0) == 6
        assert tn.jvp(lambda x: x * x, (3.0,), (1.0,))[1] == 6
        assert tn.vjp(lambda x: x * x, 3.0)[1](1.0)[0] == 6
        np.testing.assert_array_equal(tn.hessian(cube)(X), np.diag(6 * X))

    def constant_inside(x):
        with tn.no_grad():
            slope = tn.grad(lambda t: t * t)(x)
        return slope * x

    assert tn.grad(constant_inside)(3.0) == 6


# --- arguments and results --------------------------------------------------------------------------------------------


def weighted(a, b, c=2.0):
    return (a * b * b * c).sum()


@pytest.mark.parametrize("argnums", [0, 1, -1, -2, (0,), (0, 1), (1, 0), (-1, 0), [0, 1], np.int64(1)])
def test_argnums(argnums):
    slopes = [2 * V * V, 4 * X * V]
    got = tn.grad(weighted, argnums)(X, V)
    if isinstance(argnums, (tuple, list)):
        assert isinstance(got, tuple)
        expected = [slopes[i] for i in argnums]
    else:
        got, expected = [got], [slopes[argnums]]
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e)
    np.testing.assert_allclose(tn.grad(weighted, 1)(X, V, c=3.0), 6 * X * V)
    np.testing.assert_allclose(tn.grad(weighted, 1)(X, V, 3.0), 6 * X * V)


Layer = namedtuple("Layer", ["W", "b"])
TREES = {
    "dict": {"W": X, "b": V},
    "list": [X, V],
    "tuple": (X, V),
    "namedtuple": Layer(X, V),
    "nested": {"layers": [Layer(X, V), {"deep": (V,)}], "scale": 2.0},
    "numbers": [1.0, 2.0, {"c": 3.0}],
}


def flat(tree):
    if isinstance(tree, dict):
        return [x for k in tree for x in flat(tree[k])]
    return [x for t in tree for x in flat(t)] if isinstance(tree, (list, tuple)) else [tree]


def of_tree(tree):
    total = 0.0
    for i, x in enumerate(flat(tree)):
        total = total + (np.sin(x) * (i + 1)).sum()
    return total * total


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_arguments_may_be_trees(tree):
    leaves = flat(tree)
    total = sum(np.sum(np.sin(x) * (i + 1)) for i, x in enumerate(leaves))
    slope = tn.grad(of_tree)(tree)
    assert type(slope) is type(tree)
    assert tn.value_and_grad(of_tree)(tree)[0] == total**2
    expected = [2 * total * np.cos(x) * (i + 1) for i, x in enumerate(leaves)]
    for g, e in zip(flat(slope), expected, strict=True):
        np.testing.assert_allclose(g, e)
        assert isinstance(g, np.ndarray)
    _, pull = tn.vjp(of_tree, tree)
    for g, e in zip(flat(pull(2.0)[0]), expected, strict=True):
        np.testing.assert_allclose(g, 2 * e)
    _, moved = tn.jvp(of_tree, (tree,), (tree,))
    np.testing.assert_allclose(moved, sum(np.sum(x * e) for x, e in zip(leaves, expected, strict=True)))
    twice = tn.hvp(of_tree, (tree,), (tree,))
    assert type(twice) is type(tree)
    once = np.concatenate([np.ravel(g) for g in flat(tn.jvp(tn.grad(of_tree), (tree,), (tree,))[1])])
    np.testing.assert_allclose(np.concatenate([np.ravel(g) for g in flat(twice)]), once)


def test_trees_match_by_key_not_by_order():
    primal, tangent = {"a": 2.0, "b": 3.0}, {"b": 0.0, "a": 1.0}
    assert tn.jvp(lambda p: p["a"] * p["b"], (primal,), (tangent,))[1] == 3
    y, pull = tn.vjp(lambda x: {"a": x, "b": x * x}, 3.0)
    assert pull({"b": 0.0, "a": 1.0})[0] == 1
    assert list(y) == ["a", "b"]


def test_results_may_be_trees():
    def f(x):
        return {"s": np.sin(x), "pair": (x * x, [x.sum()])}

    y, pull = tn.vjp(f, X)
    np.testing.assert_allclose(y["pair"][1][0], X.sum())
    (g,) = pull({"s": V, "pair": (V, [2.0])})
    np.testing.assert_allclose(g, V * np.cos(X) + 2 * V * X + 2)
    y, moved = tn.jvp(f, (X,), (V,))
    np.testing.assert_allclose(moved["pair"][0], 2 * X * V)
    np.testing.assert_allclose(moved["pair"][1][0], V.sum())
    jacobian = tn.jacobian(f)(X)
    np.testing.assert_allclose(jacobian["s"], np.diag(np.cos(X)))
    np.testing.assert_allclose(jacobian["pair"][1][0], np.ones(3))


def test_hessians_of_several_arguments_come_in_blocks():
    blocks = tn.hessian(lambda a, b: (a * a * b).sum(), argnums=(0, 1))(X, V)
    np.testing.assert_allclose(blocks[0][0], np.diag(2 * V))
    np.testing.assert_allclose(blocks[0][1], np.diag(2 * X))
    np.testing.assert_allclose(blocks[1][0], np.diag(2 * X))
    np.testing.assert_allclose(blocks[1][1], np.zeros((3, 3)))
    named = tn.hessian(lambda p: (p["a"] ** 2 * p["b"]).sum())({"a": X, "b": 2.0})
    np.testing.assert_allclose(named["a"]["b"], 2 * X)
    np.testing.assert_allclose(named["b"]["a"], 2 * X)
    np.testing.assert_allclose(tn.hessian(lambda a, b: (a * b**3).sum(), argnums=1)(X, V), np.diag(6 * X * V))
    first, second = tn.hvp(lambda a, b: (a * a * b).sum(), (X, V), (V, X))
    np.testing.assert_allclose(first, 2 * V * V + 2 * X * X)
    np.testing.assert_allclose(second, 2 * X * V)
    left, right = tn.jacobian(lambda a, b: a * b, argnums=(0, 1))(X, V)
    np.testing.assert_allclose(left, np.diag(V))
    np.testing.assert_allclose(right, np.diag(X))


def test_auxiliary_results():
    def f(x):
        return (x * x).sum(), {"prediction": x * 2, "text": "as it is"}

    for result in [
        tn.grad(f, has_aux=True)(X),
        tn.value_and_grad(f, has_aux=True)(X)[::-1],
        (tn.vjp(f, X, has_aux=True)[1](1.0)[0], tn.vjp(f, X, has_aux=True)[2]),
        (2 * X, tn.jvp(f, (X,), (X,), has_aux=True)[2]),
    ]:
        slope, aux = result
        aux = aux[1] if isinstance(aux, tuple) else aux
        np.testing.assert_allclose(slope, 2 * X)
        assert isinstance(aux["prediction"], np.ndarray), "to everybody outside an array"
        np.testing.assert_array_equal(aux["prediction"], 2 * X)
        assert aux["text"] == "as it is"
    nested = tn.grad(lambda x: (lambda g, aux: (g * aux["prediction"]).sum())(*tn.grad(f, has_aux=True)(x)))
    np.testing.assert_allclose(nested(X), 8 * X)  # to an outer transform a tensor: Σ 2x·2x


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(dtype):
    x, v = X.astype(dtype), V.astype(np.float64)
    results = [
        tn.grad(cube)(x), *tn.value_and_grad(cube)(x), tn.vjp(np.sin, x)[1](v)[0], *tn.jvp(np.sin, (x,), (v,)),
        tn.jacobian(np.sin)(x), tn.hessian(cube)(x), tn.hvp(cube, (x,), (v,)), tn.grad(lambda s: s * 2.5)(dtype(1)),
    ]  # fmt: skip
    assert {r.dtype for r in results} == {np.dtype(dtype)}
    assert all(type(r) is np.ndarray for r in results)


def test_numbers_and_empty_arrays():
    assert tn.grad(lambda x: x**3)(2) == 12
    assert tn.jacobian(lambda x: x * x)(3.0) == 6
    assert tn.jacobian(lambda x: x * x)(3.0).shape == ()
    assert tn.jacobian(lambda x: (x * x).sum())(X).shape == (3,)
    assert tn.jacobian(lambda x: x[:0])(X).shape == (0, 3)
    assert tn.jacobian(lambda x: x * 2)(np.ones((0, 2))).shape == (0, 2, 0, 2)
    assert tn.hessian(lambda x: (x * x).sum())(np.ones(0)).shape == (0, 0)
    assert tn.grad(lambda x: (x * x).sum())(np.ones((0, 2))).shape == (0, 2)
    assert tn.grad(lambda x: x.reshape(1, 1) * 2)(1.0) == 2
    assert tn.jacobian(lambda x: x.reshape(3, 1) * x)(X).shape == (3, 3, 3)


def test_functions_that_do_not_depend_on_their_argument():
    assert tn.grad(lambda x: 3.0)(1.0) == 0
    assert tn.jvp(lambda x: 3.0, (1.0,), (1.0,)) == (3, 0)
    np.testing.assert_array_equal(tn.grad(lambda x, y: x * 2, argnums=1)(1.0, X), np.zeros(3))
    np.testing.assert_array_equal(tn.hessian(lambda x: x.sum())(X), np.zeros((3, 3)))
    np.testing.assert_array_equal(tn.hvp(lambda x: x.sum(), (X,), (V,)), np.zeros(3))
    np.testing.assert_array_equal(tn.grad(lambda x: (x > 0).sum() * 1.0)(X), np.zeros(3))


def test_inputs_and_results_share_no_memory():
    x, v, u = X.copy(), V.copy(), V.copy()
    y, pull = tn.vjp(lambda t: t, x)
    results = [y, pull(u)[0], *tn.jvp(lambda t: t, (x,), (v,)), tn.grad(lambda t: (t * v).sum())(x),
               tn.value_and_grad(lambda t: t)(np.ones(()))[0]]  # fmt: skip
    for r in results:
        r += 100
    for given, kept in [(x, X), (v, V), (u, V)]:
        np.testing.assert_array_equal(given, kept)


def test_names_and_docs_tell_what_they_are():
    def loss(w):
        """Mean squared error."""
        return w

    assert tn.grad(loss).__name__ == "loss"
    assert tn.grad(loss).__doc__ == "Gradient of loss. Mean squared error."
    assert tn.hessian(loss).__doc__.startswith("Hessian of loss.")
    assert tn.grad(lambda x: x)(1.0) == 1


# --- calls that are refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "kind", "text"),
    [
        (lambda: tn.grad(lambda x: x * 2)(X), ValueError,
         ("grad needs a function that returns a single number, this one returned shape (3,): "
         "reduce it, as in .sum(), or use tn.jacobian")),
        (lambda: tn.grad(lambda x: (x, x))(1.0), ValueError,
         ("grad needs a function that returns a single number, this one returned shape (), (): "
         "reduce it, as in .sum(), or use tn.jacobian")),
        (lambda: tn.grad(cube, 1)(X), ValueError, "argnums names argument 1, the function was called with 1 arguments"),
        (lambda: tn.grad(weighted, (0, -2))(X, V), ValueError, "argnums (0, -2) names an argument twice"),
        (lambda: tn.grad(lambda x: None)(1.0), TypeError,
         "the function returned None, which is no array of numbers: is a `return` missing?"),
        (lambda: tn.grad(lambda x: x, has_aux=True)(1.0), TypeError,
         "has_aux=True is for a function that returns two things: (value, anything)"),
        (lambda: tn.grad(cube)(np.array([1, 2])), TypeError,
         ("requires_grad=True needs floating-point numbers, the data has dtype int64: "
         "convert it, as in tn.tensor(data, requires_grad=True, dtype=float)")),
        (lambda: tn.vjp(np.sin, X)[1](np.ones(2)), tn.ShapeError,
         "the cotangent has shape (2,), what it belongs to has shape (3,): they must be equal"),
        (lambda: tn.jvp(np.sin, (X,), (np.ones((3, 1)),)), tn.ShapeError,
         "the tangent has shape (3, 1), what it belongs to has shape (3,): they must be equal"),
        (lambda: tn.jvp(np.sin, (X,), ()), ValueError,
         "jvp: 1 primals and 0 tangents: give one tangent for each primal"),
        (lambda: tn.vjp(lambda x: (x, x), X)[1](V), ValueError,
         "the cotangent must have the structure of what it belongs to, a tuple of 2 parts"),
        (lambda: tn.jvp(lambda p: p["a"], ({"a": X},), ({"b": X},)), ValueError,
         "the tangent must have the structure of what it belongs to, a dict of the keys ['a']"),
    ],
)  # fmt: skip
def test_the_texts_of_wrong_calls(wrong, kind, text):
    with pytest.raises(kind) as refused:
        wrong()
    assert str(refused.value) == text


# --- gradcheck --------------------------------------------------------------------------------------------------------


def wrong_square(rule):
    op = tn.Op("half_square", lambda x: 0.5 * x * x, "½{x}²", (rule,), kind="elementwise", arguments=("x",))
    return op


def test_gradcheck_finds_a_wrong_rule_and_shows_the_worst_five():
    op = wrong_square(lambda g, y, x: g * x * np.where(x > 2, 1.5, 1.0))
    x = np.arange(1.0, 10.0).reshape(3, 3)
    with pytest.raises(tn.GradientCheckError) as found:
        tn.gradcheck(op, x)
    lines = str(found.value).splitlines()
    assert lines[0] == "half_square: 7 derivatives differ from central differences; the worst 5:"
    assert lines[1].split() == ["argument", "index", "output", "got", "expected", "allowed"]
    rows = [line.split() for line in lines[2:-1]]
    assert len(rows) == 5
    argument, i, j, k, m, got, expected, allowed = rows[0]
    assert argument == "0"
    assert (i, j) == (k, m), "elementwise: the output of the same index"
    at = int(i.rstrip(",")), int(j)
    assert float(got) == pytest.approx(1.5 * x[at], rel=1e-6)
    assert float(expected) == pytest.approx(x[at], rel=1e-6)
    assert 1e-9 < float(allowed.removeprefix("±")) < 1e-7
    assert lines[-1] == "Check the rule of that argument, or whether the function is differentiable there."
    assert isinstance(found.value, AssertionError)


def test_gradcheck_finds_what_is_wrong_in_the_second_derivative_only():
    op = wrong_square(lambda g, y, x: g * x.detach() if isinstance(x, tn.Tensor) else g * x)
    assert tn.gradcheck(op, X)
    with pytest.raises(tn.GradientCheckError, match=r"^derivative of half_square: 3 derivatives differ"):
        tn.gradcheck(op, X, order=2)


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, y, x: g * x * (1 + 1e-4),
        lambda g, y, x: g * 0.0,
        lambda g, y, x: g * np.nan,
        lambda g, y, x: g * np.inf,
        lambda g, y, x: -g * x,
        lambda g, y, x: np.flip(g * x),
        lambda g, y, x: x,
    ],
)
def test_gradcheck_finds(rule):
    with pytest.raises(tn.GradientCheckError):
        tn.gradcheck(wrong_square(rule), X)
    assert tn.gradcheck(wrong_square(lambda g, y, x: g * x), X, order=2)


def test_gradcheck_finds_who_leaves_the_graph():
    with pytest.raises(tn.GradientCheckError):
        tn.gradcheck(lambda x: x.detach() * 2, X)
    with pytest.raises(tn.GradientCheckError):
        tn.gradcheck(lambda x: x.numpy() * 2, X)
    with pytest.raises(tn.GradientCheckError):
        tn.gradcheck(lambda x: np.where(x > 0, 1.0, 0.0), np.array([1e-9]))


def test_gradcheck_takes_what_functions_take():
    assert tn.gradcheck(lambda x, n, y: x**n * y, X, 3, np.float64(2.0), order=2)
    assert tn.gradcheck(weighted, X.astype(np.float32), V)
    assert tn.gradcheck(lambda x: x.astype(np.float32) * 2, X)
    assert tn.gradcheck(np.sin, tn.tensor(X, name="angle"), eps=1e-4, rtol=1e-6, atol=1e-8)
    assert tn.gradcheck(lambda x: tn.take(x, [0, 0]), X)
    assert tn.gradcheck(np.sin, np.zeros((0, 2)))
    with pytest.raises(ValueError, match="none of the inputs is floating-point"):
        tn.gradcheck(lambda n: n, 3)
    with pytest.raises(tn.GradientCheckError, match="angle"):
        tn.gradcheck(lambda x: x.detach(), tn.tensor(X, name="angle"))


# --- results without a derivative, and second derivatives that do not depend on the order -----------------------------


@pytest.mark.parametrize(
    "f",
    [lambda x: np.allclose(x, x), lambda x: x > 0, lambda x: (x > 0).sum(), lambda x: x.argmax(), lambda x: True,
     lambda x: (x > 0).value.all(), lambda x: {"a": x > 0, "b": x.argmin()}],
)  # fmt: skip
@pytest.mark.parametrize("transform", [
    tn.grad, tn.value_and_grad, tn.jacobian, tn.hessian, lambda f: lambda x: tn.vjp(f, x),
    lambda f: lambda x: tn.jvp(f, (x,), (x,)), lambda f: lambda x: tn.hvp(f, (x,), (x,)),
], ids=["grad", "value_and_grad", "jacobian", "hessian", "vjp", "jvp", "hvp"])  # fmt: skip
def test_results_of_comparisons_are_refused(transform, f):
    with pytest.raises(TypeError, match=r"<lambda> returned (bool|int64), which depends on its arguments through"):
        transform(f)(X)


def test_the_text_for_a_result_of_a_comparison():
    def close(x):
        return np.allclose(x, 0.0)

    with pytest.raises(TypeError) as error:
        tn.grad(close)(X)
    assert str(error.value) == (
        "close returned bool, which depends on its arguments through comparisons or rounding only and has no "
        "derivative: return floating-point numbers, as tn.where(condition, a, b) or a smooth loss does"
    )


@pytest.mark.filterwarnings("ignore:.*encountered in")
@pytest.mark.parametrize("base", [0.0, 0.5, 2.0, -2.0])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_second_derivatives_of_a_power_are_symmetric(base, exponent):
    at = np.array([base, exponent])

    def power(v):
        return v[0] ** v[1]

    hessian = tn.hessian(power)(at)
    np.testing.assert_array_equal(hessian, hessian.T)
    np.testing.assert_array_equal(hessian, np.stack([tn.hvp(power, (at,), (e,)) for e in np.eye(2)]))
    if base > 0:
        x, n, log = base, exponent, math.log(base)
        mixed = x ** (n - 1) * (1 + n * log)
        np.testing.assert_allclose(hessian, [[n * (n - 1) * x ** (n - 2), mixed], [mixed, x**n * log**2]], atol=1e-12)
    third = tn.jacobian(tn.hessian(power))(at)
    np.testing.assert_allclose(third, np.swapaxes(third, 1, 2), rtol=1e-12)
    if base > 0:
        np.testing.assert_allclose(third, np.swapaxes(third, 0, 1), rtol=1e-12, atol=1e-12)


def large(x):
    return np.exp(x) * 2.0


@pytest.mark.parametrize(("f", "x"), [
    (tn.exp, 300.0), (tn.exp, np.array([300.0, -1.0])), (tn.exp, np.float32(50.0)), (tn.sin, 1e6), (large, 700.0),
    (lambda x: np.sin(1e4 * x), 1.0), (tn.log, 1e-4), (tn.reciprocal, 1e-5), (lambda x: x**3, 1e8), (tn.square, 1e-9),
])  # fmt: skip
def test_gradcheck_takes_functions_that_turn_within_its_step(f, x):
    assert tn.gradcheck(f, x)


@pytest.mark.parametrize("x", [1.0, 300.0, 650.0, -20.0])
def test_gradcheck_still_sees_a_slightly_wrong_rule(x):
    wrong = tn.op(
        lambda x: np.exp(x), "w({x})", lambda g, y, x: g * y * (1 + 1e-7), name="slightly_wrong", kind="elementwise"
    )
    with pytest.raises(tn.GradientCheckError, match="slightly_wrong: 1 derivative differs"):
        tn.gradcheck(wrong, x, atol=0.0)


def tall(d):
    """Eleven outputs, in three arrays, of five inputs."""
    return {
        "outer": np.outer(d["a"], np.sin(d["b"])),
        "same": d["a"] * np.where(d["a"] > 0, np.sqrt(d["a"]), 0.0),
        "no": np.ones(3),
    }


@pytest.mark.filterwarnings("ignore:invalid value")
def test_tall_jacobians_go_forward_and_say_the_same(monkeypatch):
    point = {"a": np.array([1.0, -2.0]), "b": np.array([0.5, 1.0, 2.0])}
    forward = tn.jacobian(tall)(point)
    with monkeypatch.context() as m:
        m.setattr(transforms, "_columns", lambda *_: pytest.fail("forward"))
        with pytest.raises(pytest.fail.Exception, match="forward"):
            tn.jacobian(tall)(point)
        m.setattr(transforms, "_is_tall", lambda call: False)
        backward = tn.jacobian(tall)(point)
    for out in backward:
        for key in point:
            np.testing.assert_allclose(forward[out][key], backward[out][key], rtol=1e-12)
    with monkeypatch.context() as m:
        m.setattr(transforms, "AT_ONCE", 30)  # so that columns come in several stretches
        np.testing.assert_array_equal(tn.jacobian(tall)(point)["outer"]["b"], forward["outer"]["b"])


def test_tall_jacobians_are_differentiated_and_nested():
    def f(x):
        return np.outer(np.sin(x), x * x).reshape(-1)

    def total(x):
        return (tn.jacobian(f)(x) ** 2).sum()

    x = np.array([0.3, 0.7])
    tn.gradcheck(total, x)
    np.testing.assert_allclose(tn.vmap(tn.jacobian(f))(np.stack([x, 2 * x]))[1], tn.jacobian(f)(2 * x))
    w = tn.tensor(2.0, requires_grad=True)
    tn.jacobian(lambda x: f(x) * w)(x).sum().backward()
    np.testing.assert_allclose(w.grad, tn.jacobian(f)(x).sum())


def test_operations_without_forward_mode_go_backward():
    cut = tn.op(lambda x: x * x * x, "{x}³", lambda g, y, x: 3 * g * x * x, name="cube_without_kind")
    np.testing.assert_allclose(tn.jacobian(lambda x: np.outer(cut(x), np.ones(3)))(np.array([2.0, 1.0]))[:, 0],
                               np.diag([12.0, 3.0]))  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: tn.grad((x * x).sum(), x), "grad takes a function, this is of type Tensor: for recorded tensors"),
        (lambda x: tn.hessian(3.0), "hessian takes a function, this is of type float"),
        (lambda x: tn.jvp(x, (x,), (x,)), "jvp takes a function"),
        (lambda x: tn.vjp(x, x), "vjp takes a function"),
        (lambda x: tn.hvp(x, (x,), (x,)), "hvp takes a function"),
        (lambda x: tn.vmap(x), "vmap takes a function of one example, this is of type Tensor"),
        (lambda x: tn.grad(np.sum, x), "grad: argnums is of type Tensor, expected a position or a tuple of positions"),
        (lambda x: tn.jacobian(np.sum, "x"), "jacobian: argnums is of type str, expected"),
        (lambda x: tn.value_and_grad(np.sum, None), "value_and_grad: argnums is of type NoneType, expected"),
        (lambda x: x.sum().backward(create_graph=True), "backward does not take create_graph=: tn.gradients"),
        (lambda x: x.sum().backward(retain_graph=True), "backward does not take retain_graph=: .* may be called again"),
        (lambda x: tn.gradients(tn.gradients(x.sum(), x)[0], x), "outputs.0. is of type ndarray.*create_graph=True"),
    ],
)  # fmt: skip
def test_requests_that_cannot_be_met_say_so_at_once(call, message):
    with pytest.raises(TypeError, match=message):
        call(tn.tensor([1.0, 2.0], requires_grad=True))


SMOOTH = [
    (np.log, 0.1, 1.0), (np.tan, -1.5, 1.5), (np.reciprocal, 0.2, 1.0), (np.arctanh, -0.97, 0.97),
    (lambda x: 1 / (x * (1 - x)), 0.1, 0.9), (lambda x: np.log(x / (1 - x)), 0.1, 0.9), (lambda x: x**-3, 0.2, 2.0),
    (lambda x: np.tanh(10 * x), -1.0, 1.0), (lambda x: (1 - x) ** -2.0, 0.0, 0.9), (lambda x: np.cos(x) / x, 0.1, 1.0),
    (lambda x: (100 * x) ** 3, -1e-9, 1e-9), (lambda x: np.sin(30 * x), -2.0, 2.0),
]  # fmt: skip


@pytest.mark.parametrize(("f", "low", "high"), SMOOTH)
def test_gradcheck_raises_no_false_alarm_at_smooth_functions_and_finds_an_error_of_a_millionth(f, low, high):
    def slightly_wrong(x):
        y = f(x)
        return y + 1e-6 * (y - y.detach()) if isinstance(y, tn.Tensor) else y

    for x in np.random.default_rng(1).uniform(low, high, (15, 3)):
        assert tn.gradcheck(f, x, order=2)
        if np.abs(tn.grad(lambda x: f(x).sum())(x)).max() > 0.01:  # else the absolute tolerance hides it
            with pytest.raises(tn.GradientCheckError):
                tn.gradcheck(slightly_wrong, x)


def test_gradcheck_prints_the_digits_that_differ():
    rule = wrong_square(lambda g, y, x: g * x * (1 + 3e-9))
    with pytest.raises(tn.GradientCheckError) as found:
        tn.gradcheck(rule, np.array([2.0]))
    *_, got, expected, allowed = str(found.value).splitlines()[2].split()
    assert float(got) - float(expected) == pytest.approx(6e-9, rel=1e-2)
    assert allowed == "±2e-09"
