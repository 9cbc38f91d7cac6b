"""0 · ∞ is 0 behind a choice and NaN elsewhere: forward and reverse mode and their nestings say the same."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.exact_zeros import multiplies
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.samples import samples_of

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


def factors_of(op, arrays):
    return [i for i, a in enumerate(arrays) if op.differentiable(i) and np.asarray(a).dtype.kind == "f"]


PRODUCTS = [
    pytest.param(op, arrays, params, slot, id=f"{op.name}-{number}-{slot}")
    for op in BY_NAME.values() if isinstance(op, Op) and multiplies(op)
    for number, (arrays, params) in enumerate(samples_of(op)) for slot in factors_of(op, arrays)
    if len(factors_of(op, arrays)) > 1 and np.size(arrays[slot]) > 1
]  # fmt: skip


def products_of_logarithms(op, arrays, params, singular):
    """Σ over the finite elements of a product, one factor of which is log 0 at one place, and a point to look at.

    Where it is not `singular`, the point is another one at this place: all derivatives are the same.
    """
    slots = factors_of(op, arrays)
    shapes = [arrays[i].shape for i in slots]
    ends = np.cumsum([int(np.prod(s)) for s in shapes])

    def factors(x):
        parts = np.split(x, ends[:-1])
        logs = [np.log(np.reshape(p, s)) for p, s in zip(parts, shapes, strict=True)]
        return op.apply([logs[slots.index(i)] if i in slots else a for i, a in enumerate(arrays)], params)

    x = np.random.default_rng(0).uniform(1.5, 3.0, ends[-1])
    at = ends[slots.index(singular)] - 1
    x[at] = 0.0
    finite = np.isfinite(factors(x))
    weights = np.random.default_rng(1).uniform(0.5, 1.0, finite.shape)
    return lambda t: np.sum(np.where(finite, factors(t) * weights, 0.0)), x, np.where(np.arange(len(x)) == at, 1.0, x)


MODES = {
    "grad": lambda f, x: tn.grad(f)(x),
    "jvp": lambda f, x: np.array([tn.jvp(f, (x,), (e,))[1] for e in np.eye(len(x))]),
    "hessian": lambda f, x: tn.hessian(f)(x),
    "forward over reverse": lambda f, x: np.array([tn.hvp(f, (x,), (e,)) for e in np.eye(len(x))]),
    "reverse over forward": lambda f, x: tn.jacobian(lambda t: tn.jvp(f, (t,), (np.ones(len(x)),))[1])(x),
    "forward over forward": lambda f, x: tn.jvp(lambda t: tn.jvp(f, (t,), (x + 1.0,))[1], (x,), (np.ones(len(x)),))[1],
    "vmap": lambda f, x: tn.vmap(tn.grad(f))(np.stack([x + 0.5, x]))[1],
    "compiled": lambda f, x: [step(x + 0.5 * i) for step in [tn.compile(tn.grad(f))] for i in (1, 1, 1, 0, 0)][-1],
    "compiled, second": lambda f, x: [step(x) for step in [tn.compile(lambda t: tn.hvp(f, (t,), (np.ones(len(x)),)))]
                                      for _ in range(3)][-1],
}  # fmt: skip


@pytest.mark.parametrize(("op", "arrays", "params", "slot"), PRODUCTS)
def test_products_behind_a_choice(op, arrays, params, slot, request):
    """What is infinite in a factor, and only in terms that were not chosen, reaches no derivative of any kind."""
    number = next(i for i, product in enumerate(PRODUCTS) if product.id in request.node.name)
    products_keep_zeros(op, arrays, params, slot, list(MODES)[number % 5 :: 5])  # each mode with every fifth product


@pytest.mark.nightly
@pytest.mark.parametrize(("op", "arrays", "params", "slot"), PRODUCTS)
def test_products_behind_a_choice_in_all_modes(op, arrays, params, slot):
    products_keep_zeros(op, arrays, params, slot, MODES)


def products_keep_zeros(op, arrays, params, slot, modes):
    f, x, elsewhere = products_of_logarithms(op, arrays, params, slot)
    with np.errstate(all="ignore"):
        for mode in modes:
            derivative = MODES[mode]
            np.testing.assert_allclose(derivative(f, x), derivative(f, elsewhere), atol=1e-12, err_msg=mode)
