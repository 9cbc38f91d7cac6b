"""0 · ∞ is 0 behind a choice and NaN elsewhere: forward and reverse mode and their nestings say the same."""

import numpy as np
import pytest

import tinygrad_nn as tn

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in")
X = np.array([0.0, 1.0, -1.0, 0.5, 2.0])
ALONG = np.eye(len(X))

STEPS = {
    "sqrt": np.sqrt, "log": np.log, "log1p": np.log1p, "x**1.5": lambda x: x**1.5, "x**2.5": lambda x: x**2.5,
    "1/x": lambda x: 1 / x, "exp": np.exp, "sin": np.sin, "x²": lambda x: x * x, "arcsin": np.arcsin, "cbrt": np.cbrt,
    "tanh": np.tanh, "max(x, 0)": lambda x: np.maximum(x, 0.0), "relu": tn.relu, "x log x": lambda x: x * np.log(x),
    "x/|x|": lambda x: x / abs(x), "x − 1": lambda x: x - 1.0, "gathered": lambda x: x[::-1][::-1] * 2.0,
}  # fmt: skip
GUARDS = [lambda x: x > 0, lambda x: x != 0, lambda x: x < 1]


def guarded_program(seed):
    """Steps with singular points, some of them guarded, and a guard around it all."""
    rng = np.random.default_rng(seed)
    plan = [
        (rng.integers(6), list(STEPS.values())[rng.integers(len(STEPS))], GUARDS[rng.integers(3)], rng.integers(100))
        for _ in range(rng.integers(2, 6))
    ]

    def f(x):
        values = [x]
        for kind, step, guard, chance in plan:
            a, b = values[chance % len(values)], values[(chance // 3) % len(values)]
            choices = [step(a), step(a), a * b, a + b] if kind < 4 else []
            values.append(choices[kind] if choices else np.where(guard(x), step(a), (0.0, x, b)[chance % 3]))
        return np.where(plan[-1][2](x), values[-1], x * x).sum()

    return f


def assert_agree(a, b):
    """Equal numbers, and singular at the same places: ∞ − ∞ may be met in another order."""
    finite = np.isfinite(a)
    np.testing.assert_array_equal(finite, np.isfinite(b))
    np.testing.assert_allclose(np.asarray(a)[finite], np.asarray(b)[finite], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_guarded_programs(first):
    for seed in range(first, first + 20):
        f = guarded_program(seed)
        assert_agree(tn.grad(f)(X), np.array([tn.jvp(f, (X,), (e,))[1] for e in ALONG]))
        hessian = tn.hessian(f)(X)
        assert_agree(hessian, hessian.T)
        assert_agree(hessian, np.array([tn.hvp(f, (X,), (e,)) for e in ALONG]).T)
        assert_agree(hessian.sum(0), tn.jacobian(lambda x, f=f: tn.jvp(f, (x,), (np.ones(len(X)),))[1])(X))


FORWARD = {
    "jvp": lambda f, x: tn.jvp(f, (x,), (1.0,))[1],
    "grad": lambda f, x: tn.grad(f)(x),
    "recorded grad": lambda f, x: tn.value_and_grad(tn.grad(lambda t: f(t) * 1.0))(x)[0],
}


@pytest.mark.parametrize("derivative", FORWARD.values(), ids=FORWARD)
@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [
        (lambda x: np.log(x * x), 0.0, np.nan),
        (lambda x: np.sqrt(x * x), 0.0, np.nan),
        (lambda x: np.where(x >= 0, np.log(x * x), 0.0), 0.0, np.nan),
        (lambda x: np.where(x > 0, np.log(x * x), 0.0), 0.0, 0.0),
        (lambda x: np.where(x > 0, np.sqrt(x), 0.0), 0.0, 0.0),
        (lambda x: np.where(x > 0, np.log(x), 0.0), -1.0, 0.0),
        (lambda x: np.sqrt(tn.relu(x)), -1.0, 0.0),
        (lambda x: np.sqrt(np.maximum(x, 0.0)), -1.0, 0.0),
        (lambda x: np.sqrt(np.clip(x, 0.0, 1.0)), -1.0, 0.0),
        (lambda x: np.sqrt(np.where(x > 0, x, 0.0)) * 3.0, -1.0, 0.0),
        (lambda x: np.where(x >= 0, x, 1.0) * np.log(np.where(x >= 0, x * x, 1.0)), 0.0, np.nan),
        (lambda x: np.where(x > -1, np.log(x), 5.0) * 0.0, 0.0, np.nan),
        (lambda x: np.sqrt(np.concatenate([x.reshape(1), [0.0]])).sum(), 4.0, 0.25),
        (lambda x: np.sqrt(tn.index_update(x * np.ones(2), 1, 0.0)).sum(), 4.0, 0.25),
        (lambda x: np.sqrt(np.max(tn.stack([x, x * 0.0]))), 4.0, 0.25),
        (lambda x: np.sqrt(np.stack([x, x * x])[0]), 0.0, np.inf),
        (lambda x: tn.index_update(np.log(np.stack([x, x + 1.0])), 0, 2.0).sum(), 0.0, 1.0),
        (lambda x: np.tril(np.log(np.stack([x + 1.0, x]))[None, :] * np.ones((2, 2))).sum(), 0.0, np.inf),
        (lambda x: np.tril(np.log(np.stack([x + 1.0, x])) * np.ones((2, 2)))[0].sum(), 0.0, 1.0),
    ],
)  # fmt: skip
def test_single_cases(derivative, f, x, slope):
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(derivative(f, x), slope)


def test_a_zero_in_a_given_direction_is_exact():
    """It says that an argument is held, or that a result is not asked about."""
    x = np.array([0.0, 4.0])
    np.testing.assert_array_equal(tn.jacobian(np.sqrt)(x), [[np.inf, 0], [0, 0.25]])
    np.testing.assert_array_equal(tn.jvp(np.sqrt, (x,), ([0.0, 1.0],))[1], [0, 0.25])
    np.testing.assert_array_equal(tn.vjp(np.sqrt, x)[1]([0.0, 1.0])[0], [0, 0.25])
    t = tn.tensor(x, requires_grad=True)
    np.sqrt(t).backward([0.0, 1.0])
    np.testing.assert_array_equal(t.grad, [0, 0.25])
    matrix = np.array([[0.0, 1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(tn.jvp(lambda a: matrix @ np.sqrt(a), (x,), ([0.0, 1.0],))[1], [0.25, 0.25])


def test_a_zero_in_a_recorded_direction_keeps_its_slope():
    slope = tn.grad(lambda v: tn.jvp(lambda x: np.where(x > 0, x * x, 0.0).sum(), (X[3:],), (v,))[1])
    np.testing.assert_allclose(slope(np.zeros(2)), 2 * X[3:])


def test_an_accidental_zero_that_meets_a_chosen_branch():
    """The gradient x − 1 that reaches √x is 0 at 1 by accident."""

    def f(x):
        return np.where(x > 0, np.sqrt(x) * (x - 1.0) ** 2, 0.0)

    for order in (1, 2, 3):
        g, h = f, lambda x: np.sqrt(x) * (x - 1.0) ** 2
        for _ in range(order):
            g, h = tn.grad(g), tn.grad(h)
        np.testing.assert_allclose(g(1.0), h(1.0))


def test_rows_and_columns_that_no_choice_takes():
    W, given = np.array([[1.0, -1.0], [2.0, 0.5]]), np.array([[0.0, 2.0], [0.0, 3.0]])

    def f(x):  # the first column is singular, and not selected
        return np.where(np.array([False, True]), W @ np.log(x), 0.0).sum()

    with np.errstate(all="ignore"):
        expected = np.stack([np.zeros(2), W.sum(0) / given[:, 1]], axis=1)
        np.testing.assert_allclose(tn.grad(f)(given), expected)
        second = tn.hessian(f)(given).reshape(4, 4)
        np.testing.assert_allclose(second, np.diag((-expected / np.where(given == 0, 1.0, given)).ravel()))
        direction = np.array([[1.0, 0.5], [-1.0, 2.0]])
        np.testing.assert_allclose(tn.hvp(f, (given,), (direction,)).ravel(), second @ direction.ravel())


@pytest.mark.parametrize("derivative", FORWARD.values(), ids=FORWARD)
def test_detect_anomaly_sees_both(derivative):
    with tn.detect_anomaly():
        assert derivative(lambda x: np.where(x > 0, x**1.5, 0.0), 0.0) == 0
        assert derivative(lambda x: np.sqrt(tn.relu(x) + 1.0), -1.0) == 0
        with pytest.raises(tn.NonFiniteError, match=r"sqrt|divide"):
            derivative(lambda x: np.sqrt(x * x), 0.0)


def test_a_compiled_step_with_guards():
    def step(x):
        return tn.grad(lambda t: (tn.grad(lambda s: np.where(s > 0, s**1.5, 0.0).sum())(t) ** 2).sum())(x)

    compiled = tn.compile(step)
    for _ in range(3):
        np.testing.assert_allclose(compiled(X), step(X))
