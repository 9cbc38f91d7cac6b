"""Transforms of functions that use tensors from outside: the results are recorded, and their gradients right."""

import numpy as np
import pytest

import tinygrad_nn as tn

X = np.array([0.5, -1.0, 2.0])
V = np.array([1.0, 0.5, -2.0])


def f(x, w):
    return (np.sin(w * x) * x * x).sum() + w * w * w * x[0]


def elements(x, w):
    return np.exp(w * x) * x[::-1]


def later(x, w):
    """The pullback is called after the call of vjp has ended."""
    y, pull = tn.vjp(lambda t: elements(t, w), x)
    return pull(V * 1.0)[0] + y


def with_auxiliary(x, w):
    slope, aux = tn.grad(lambda t: (f(t, w), {"w": w * t}), has_aux=True)(x)
    return slope + aux["w"]


TRANSFORMS = {
    "grad": lambda x, w: tn.grad(lambda t: f(t, w))(x),
    "has_aux": with_auxiliary,
    "value_and_grad": lambda x, w: (lambda y, g: y * g)(*tn.value_and_grad(lambda t: f(t, w))(x)),
    "vjp": later,
    "vjp, cotangent": lambda x, w: tn.vjp(np.sin, x)[1](w * x)[0],
    "jvp": lambda x, w: (lambda y, d: y + 2 * d)(*tn.jvp(lambda t: elements(t, w), (x,), (V,))),
    "jvp, tangent": lambda x, w: tn.jvp(np.sin, (x,), (w * V,))[1],
    "jacobian": lambda x, w: tn.jacobian(lambda t: elements(t, w))(x),
    "hessian": lambda x, w: tn.hessian(lambda t: f(t, w))(x),
    "hvp": lambda x, w: tn.hvp(lambda t: f(t, w), (x,), (V,)),
    "nested": lambda x, w: tn.grad(lambda t: tn.grad(lambda s: f(s * t, w) * w)(t)[1] * w)(x),
    "inner only": lambda x, w: tn.grad(lambda t: (t * tn.grad(lambda s: f(s, w))(X)).sum())(x),
    "a keyword": lambda x, w: tn.grad(f)(x, w=w),
    "another argument": lambda x, w: tn.grad(f, argnums=0)(x, w),
    "a tree": lambda x, w: tn.grad(lambda p: f(p["x"], w) * p["s"])({"x": x, "s": 2.0})["x"],
}


def differences(g, w, h=1e-6):
    return (g(w + h) - g(w - h)) / (2 * h)


@pytest.mark.parametrize("at", [X, tn.tensor(X), tn.tensor(X, requires_grad=True)], ids=["array", "constant", "leaf"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_results_depend_on_what_the_function_uses(name, at):
    transform = TRANSFORMS[name]
    w = tn.tensor(0.7, requires_grad=True)
    result = transform(at, w)
    value = transform(X, 0.7)
    assert isinstance(result, tn.Tensor)
    assert isinstance(value, np.ndarray), "nobody can ask for its derivative"
    np.testing.assert_allclose(result.value, value, rtol=1e-12)
    weights = np.random.default_rng(0).normal(size=result.shape)
    (result * weights).sum().backward()
    expected = differences(lambda u: np.sum(transform(X, u) * weights), 0.7)
    np.testing.assert_allclose(w.grad, expected, rtol=1e-6)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_second_derivatives_by_what_the_function_uses(name):
    transform = TRANSFORMS[name]

    def total(w):
        return (transform(X, w) * np.arange(1.0, 4.0)).sum()

    first, second = tn.grad(total), tn.grad(tn.grad(total))
    np.testing.assert_allclose(first(0.7), differences(lambda u: float(total(u)), 0.7), rtol=1e-6)
    np.testing.assert_allclose(second(0.7), differences(first, 0.7), rtol=1e-6)
    np.testing.assert_allclose(tn.jvp(total, (0.7,), (1.0,))[1], first(0.7))
    assert isinstance(second(0.7), np.ndarray)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_within_no_grad_results_are_arrays(name):
    w = tn.tensor(0.7, requires_grad=True)
    with tn.no_grad():
        result = TRANSFORMS[name](X, w)
    assert not isinstance(result, tn.Tensor) or not result.requires_grad
    np.testing.assert_allclose(np.asarray(result), TRANSFORMS[name](X, 0.7), rtol=1e-12)
    assert w.grad is None


def test_a_physics_informed_loss_trains_on_its_equation():
    """y' = −y, y(0) = 1, where the equation's residual depends on the parameters through a derivative only."""
    W, b = tn.tensor(0.3, requires_grad=True), tn.tensor(0.1, requires_grad=True)

    def y(t):
        return np.exp(W * t) + b

    def residual(t):
        return tn.grad(y)(t) + y(t)

    optimizer = tn.optim.SGD([W, b], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss = residual(0.5) ** 2 + residual(1.0) ** 2 + residual(0.0) ** 2
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose([W.item(), b.item()], [-1.0, 0.0], atol=0.05)


def test_a_pullback_follows_the_mode_in_which_it_is_called():
    w = tn.tensor(2.0, requires_grad=True)
    _, pull = tn.vjp(lambda t: w * t * t, 3.0)
    assert pull(1.0)[0].requires_grad
    with tn.no_grad():
        assert isinstance(pull(1.0)[0], np.ndarray)
    _, pull = tn.vjp(lambda t: t * t, 3.0)
    u = tn.tensor(1.0, requires_grad=True)
    assert pull(u)[0].requires_grad
    assert isinstance(pull(tn.tensor(1.0))[0], np.ndarray)
    assert tn.grad(lambda v: pull(v)[0] * v)(2.0) == 24


def test_variables_of_ended_transforms_are_nobody_s_concern():
    w = tn.tensor(2.0, requires_grad=True)
    escaped = []
    tn.grad(lambda t: escaped.append(t) or w * t * t)(3.0)
    assert isinstance(tn.grad(lambda t: t * escaped[0])(1.0), np.ndarray)
    inner = tn.grad(lambda x: tn.grad(lambda t: t * t * x)(3.0))(2.0)
    assert isinstance(inner, np.ndarray)
    assert inner == 6


def test_a_function_that_fails_ends_its_transform():
    kept = []

    def fails(t):
        kept.append(t)
        raise KeyError("no such thing")

    with pytest.raises(KeyError):
        tn.grad(fails)(1.0)
    assert isinstance(tn.grad(lambda t: t * kept[0])(1.0), np.ndarray)


def test_threads_within_a_transform_depend_on_its_variables():
    from concurrent.futures import ThreadPoolExecutor

    def outer(x):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: tn.grad(lambda t: t * t * x)(3.0)).result()

    assert tn.grad(outer)(2.0) == 6
