"""vmap: all examples at once compute what one after the other do, for every operation and for its derivatives."""

import numpy as np
import pytest
from random_programs import program
from test_ops import ALL, DIFFERENTIABLE

import tinygrad_nn as tn
from tinygrad_nn import batched, vectorize
from tinygrad_nn.samples import samples_of

EXAMPLES = 5  # no length of a sample
X = np.random.default_rng(0).normal(size=(4, 3))


@pytest.fixture
def at_once(monkeypatch):
    """Fail where the function is called once for each example."""

    def refused(f, args, *rest):
        raise AssertionError("not at once")

    monkeypatch.setattr(vectorize, "_one_by_one", refused)


def batch_of(op, arrays, rng):
    """Examples of each argument with a derivative, other arguments as they are, and in_axes."""
    examples_of, axes = [], []
    for slot, a in enumerate(arrays):
        moves = op.differentiable(slot) and np.asarray(a).dtype.kind == "f"
        examples = np.stack([np.asarray(a) * (1 - 0.05 * i) for i in range(EXAMPLES)]) if moves else a
        examples_of.append(examples)
        axes.append(0 if moves else None)
    return examples_of, axes


def loop(f, args, axes):
    calls = [f(*[a if axis is None else a[i] for a, axis in zip(args, axes, strict=True)]) for i in range(EXAMPLES)]
    return [np.stack(column) for column in zip(*calls, strict=True)]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=lambda op: op.name)
def test_every_operation_and_its_derivatives(op):
    rng = np.random.default_rng(0)
    for arrays, params in samples_of(op, rng):
        arrays = [op.checks.prepare(a) for a in arrays] if op.checks.prepare else arrays
        args, axes = batch_of(op, arrays, rng)
        moving = tuple(i for i, axis in enumerate(axes) if axis == 0)

        def value(*given, params=params):
            return op.apply([tn.tensor(a) if isinstance(a, (np.ndarray, np.generic)) else a for a in given], params)

        def slopes(*given, params=params, moving=moving):
            """The value and the gradients of a weighted sum, and of their weighted sum in turn."""

            def total(*given):
                y = op.apply(given, params)
                return (y * np.linspace(0.5, 1.0, max(y.size, 1))[: y.size].reshape(y.shape)).sum()

            def second(*given):
                return sum([(g * np.cos(g)).sum() for g in tn.grad(total, moving)(*given)])

            return tuple(tn.grad(total, moving)(*given)) + tuple(tn.grad(second, moving)(*given))

        expected = loop(lambda *given: (np.asarray(value(*given).value),), args, axes)[0]
        np.testing.assert_allclose(tn.vmap(value, axes)(*args), expected, rtol=1e-10, atol=1e-12)
        for got, one_by_one in zip(tn.vmap(slopes, axes)(*args), loop(slopes, args, axes), strict=True):
            np.testing.assert_allclose(got, one_by_one, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_random_programs(first):
    for seed in range(first, first + 10):
        f, inputs = program(seed)

        def total(*given, f=f):
            return (f(tn, *given) * 1.0).sum()

        args = [np.stack([x * (1 - 0.01 * i) for i in range(EXAMPLES)]) for x in inputs]
        slots = tuple(range(len(args)))
        for g in (total, lambda *given, slots=slots, total=total: tn.grad(total, slots)(*given)[0]):
            results = [g(*[tn.tensor(a[i]) for a in args]) for i in range(EXAMPLES)]
            expected = np.stack([np.asarray(y) for y in results])
            np.testing.assert_allclose(tn.vmap(g)(*args), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("at_once")
def test_axes():
    y = tn.vmap(lambda x, w: x * w, in_axes=(1, None), out_axes=-1)(X, np.arange(4.0))
    np.testing.assert_allclose(y, X * np.arange(4.0)[:, None])
    y = tn.vmap(lambda x: (x, {"sum": x.sum()}), in_axes=-1)(X)
    np.testing.assert_allclose(y[0], X.T)
    np.testing.assert_allclose(y[1]["sum"], X.sum(0))
    y = tn.vmap(lambda p, s=1.0: (p["a"] * p["b"]).sum() * s)({"a": X, "b": X}, s=2.0)
    np.testing.assert_allclose(y, 2 * (X * X).sum(1))
    assert isinstance(y, np.ndarray)
    np.testing.assert_allclose(tn.vmap(lambda x: 3.0)(X), [3.0] * 4)
    np.testing.assert_allclose(tn.vmap(lambda a: tn.vmap(lambda b: a * b.sum())(X))(X), X[:, None] * X.sum(1)[:, None])


@pytest.mark.usefixtures("at_once")
def test_what_the_function_uses_from_outside():
    w, x = tn.tensor([1.0, 2.0, 3.0], requires_grad=True), tn.tensor(X, requires_grad=True)
    tn.vmap(lambda t: (w * t * t).sum())(x).sum().backward()
    np.testing.assert_allclose(w.grad, (X * X).sum(0))
    np.testing.assert_allclose(x.grad, 2 * X * w.value)
    w.zero_grad()
    tn.vmap(tn.grad(lambda t: (w * w * t * t).sum()))(X).sum().backward()
    np.testing.assert_allclose(w.grad, 4 * w.value * X.sum(0))
    with tn.no_grad():
        assert isinstance(tn.vmap(lambda t: w * t)(X), np.ndarray)

    def total(s):
        return tn.vmap(lambda t: np.sin(t * s).sum())(X).sum()

    np.testing.assert_allclose(tn.grad(total)(2.0), (X * np.cos(2 * X)).sum())
    np.testing.assert_allclose(tn.hessian(total)(2.0), (-X * X * np.sin(2 * X)).sum())
    np.testing.assert_allclose(
        tn.grad(lambda s: tn.grad(total)(s) ** 2)(2.0),
        2 * (X * np.cos(2 * X)).sum() * (-X * X * np.sin(2 * X)).sum(),
    )
    (slope,) = tn.gradients(total(w), w, create_graph=True)
    np.testing.assert_allclose(slope.value, (X * np.cos(w.value * X)).sum(0))
    np.testing.assert_allclose(tn.jvp(total, (2.0,), (1.0,))[1], (X * np.cos(2 * X)).sum())


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("transform", [tn.hessian, tn.jacobian, lambda f: lambda x: tn.hvp(f, (x,), (np.arange(3.0),)),
                                       lambda f: lambda x: tn.jvp(f, (x,), (x,))[1], tn.elementwise_grad])  # fmt: skip
def test_transforms_within(transform):
    def f(x):
        return (np.sin(x) * x[::-1]).sum() * np.where(x > 0, np.log(x), x).prod()

    with np.errstate(all="ignore"):
        got, expected = tn.vmap(transform(f))(X), np.stack([transform(f)(x) for x in X])
    np.testing.assert_allclose(got, expected, rtol=1e-10)


@pytest.mark.usefixtures("at_once")
def test_directions_may_be_the_examples():
    """The graph is recorded outside, and pulled back or pushed forward for many directions."""

    def f(x):
        return np.sin(x) * x[::-1] * (x @ x)

    x = X[0]
    _, pull = tn.vjp(f, x)
    np.testing.assert_allclose(tn.vmap(lambda u: pull(u)[0])(np.eye(3)), tn.jacobian(f)(x))
    np.testing.assert_allclose(tn.vmap(lambda v: tn.jvp(f, (x,), (v,))[1])(np.eye(3)).T, tn.jacobian(f)(x))
    np.testing.assert_allclose(tn.vmap(lambda v: tn.hvp(lambda t: f(t).sum(), (x,), (v,)))(np.eye(3)),
                               tn.hessian(lambda t: f(t).sum())(x))  # fmt: skip

    def jacobian(x):
        _, pull = tn.vjp(f, x)
        return tn.vmap(lambda u: pull(u)[0])(np.eye(3))

    np.testing.assert_allclose(tn.vmap(jacobian)(X), np.stack([tn.jacobian(f)(x) for x in X]))
    np.testing.assert_allclose(tn.jacobian(jacobian)(x), tn.jacobian(tn.jacobian(f))(x))

    def mixed(x):  # the graph belongs to an inner vmap of fixed examples, the seeds to the outer one
        w = tn.tensor(np.ones(3), requires_grad=True)
        y = tn.vmap(lambda t: np.sin(w * t))(X)
        return tn.gradients(y, w, np.ones((4, 1)) * x, create_graph=True)[0]

    np.testing.assert_allclose(tn.vmap(mixed)(X).value, np.stack([x * (X * np.cos(X)).sum(0) for x in X]))
    np.testing.assert_array_equal(tn.vmap(lambda u: tn.vjp(np.sqrt, np.array([0.0, 4.0]))[1](u)[0])(np.eye(2)),
                                  [[np.inf, 0], [0, 0.25]])  # fmt: skip


def test_what_differs_from_example_to_example_is_computed_one_by_one():
    calls = []

    def f(x):
        calls.append(x)
        return x * 2 if x > 0 else -x

    np.testing.assert_array_equal(tn.vmap(f)(np.array([1.0, -1.0])), [2, 1])
    assert len(calls) == 2
    x = tn.tensor([1.0, -1.0], requires_grad=True)
    tn.vmap(f)(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, -1])
    np.testing.assert_array_equal(tn.vmap(lambda x: x[x > 0].sum())(X), np.where(X > 0, X, 0).sum(1))


def test_gradients_by_what_examples_share_are_each_example_s_own():
    w = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    got = tn.vmap(lambda x: tn.gradients((w * x).sum(), w)[0])(X)
    np.testing.assert_allclose(got, X)
    got = tn.vmap(lambda x: tn.gradients((w * w * x).sum(), w, create_graph=True)[0] ** 2)(X)
    np.testing.assert_allclose(got.value, (2 * w.value * X) ** 2)
    got.sum().backward()
    np.testing.assert_allclose(w.grad, (8 * w.value * X**2).sum(0))
    w.zero_grad()

    def each(x):
        (w * x).sum().backward()
        return x.sum()

    tn.vmap(each)(X)  # one by one: they add up
    np.testing.assert_allclose(w.grad, X.sum(0))


def test_wrong_calls():
    with pytest.raises(ValueError, match=r"in_axes has 1 axes, the function was called with 2 arguments"):
        tn.vmap(lambda a, b: a, in_axes=(0,))(X, X)
    with pytest.raises(ValueError, match="the same number of examples along in_axes, they have 3 and 4"):
        tn.vmap(lambda a, b: a, in_axes=(0, 1))(X, X)
    with pytest.raises(ValueError, match="they have none"):
        tn.vmap(lambda a: a, in_axes=None)(X)
    with pytest.raises(ValueError, match="no examples"):
        tn.vmap(lambda a: a)(X[:0])
    with pytest.raises(tn.ShapeError, match="matmul"):
        tn.vmap(lambda a: a @ np.ones((2, 2)))(X)


def test_elementwise_grad():
    np.testing.assert_allclose(tn.elementwise_grad(np.tanh)(X), 1 - np.tanh(X) ** 2)
    np.testing.assert_allclose(tn.elementwise_grad(tn.elementwise_grad(np.sin))(X), -np.sin(X))
    left, right = tn.elementwise_grad(lambda a, b: a * b, (0, 1))(X, X + 1)
    np.testing.assert_allclose(left, X + 1)
    np.testing.assert_allclose(right, X)


@pytest.mark.usefixtures("at_once")
def test_within_a_compiled_step():
    w = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)

    def step(x):
        w.zero_grad()
        slopes = tn.vmap(tn.grad(lambda t: np.sin(w * t).sum() * t[0]))(x)
        loss = (slopes * slopes).sum() + tn.vmap(lambda t: tn.mse(w * t, np.ones(3)))(x).sum()
        loss.backward()
        return loss

    value, gradient = step(X).item(), w.grad.copy()
    compiled = tn.compile(step)
    for _ in range(3):
        assert compiled(X).item() == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(w.grad, gradient, rtol=1e-12)
    compiled(2 * X)
    assert compiled(2 * X).item() == pytest.approx(step(2 * X).item(), rel=1e-12)


@pytest.mark.usefixtures("at_once")
def test_within_detect_anomaly():
    with tn.detect_anomaly(), np.errstate(divide="ignore"):
        np.testing.assert_allclose(tn.vmap(tn.grad(lambda x: np.sin(x).sum()))(X), np.cos(X))
        with pytest.raises(tn.NonFiniteError, match=r"log\(x\) is not finite: -inf at index \(1, 2\)"):
            tn.vmap(lambda x: np.log(x).sum())(np.where(np.arange(12).reshape(4, 3) == 5, 0.0, 1.0))
        with pytest.raises(
            tn.NonFiniteError, match=r"the gradient of sqrt\(x\) with respect to x is not finite: inf at"
        ):
            tn.vmap(tn.grad(lambda x: np.sqrt(x).sum()))(np.eye(3))


RNG = np.random.default_rng(1)
SCORES, TARGETS, SHARES = RNG.normal(size=(5, 3, 4)), RNG.normal(size=(5, 3, 4)), RNG.random(size=(5, 3, 4))
LABELS = RNG.integers(0, 3, (5, 4))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("loss", "target"),
    [(tn.mse, TARGETS), (tn.l1_loss, TARGETS), (tn.huber_loss, TARGETS), (tn.cross_entropy, LABELS),
     (tn.cross_entropy, SHARES), (tn.binary_cross_entropy, SHARES), (tn.nll_loss, LABELS), (tn.kl_div, SHARES),
     (tn.hinge_loss, TARGETS), (tn.multi_margin_loss, LABELS), (tn.cosine_embedding_loss, TARGETS)],
)  # fmt: skip
def test_losses_take_all_examples_together(loss, target, monkeypatch):
    def refused(op, *rest):
        raise AssertionError(f"{op.name}: one by one")

    def f(scores, target):
        return (
            loss(scores, scores[::-1], np.sign(target[0])) if loss is tn.cosine_embedding_loss else loss(scores, target)
        )

    expected = [np.stack([g(*both) for both in zip(SCORES, target, strict=True)]) for g in (f, tn.grad(f))]
    monkeypatch.setattr(batched, "_one_by_one", refused)
    for g, wanted in zip((f, tn.grad(f)), expected, strict=True):
        np.testing.assert_allclose(tn.vmap(g)(SCORES, target), wanted, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(
            tn.vmap(g, in_axes=(0, None))(SCORES, target[0])[0], wanted[0], rtol=1e-12, atol=1e-15
        )


def test_wrong_targets_are_refused_within_too():
    with pytest.raises(ValueError, match="cross_entropy: label 7 at index 0 is not one of the 3 classes"):
        tn.vmap(tn.cross_entropy)(SCORES, np.full_like(LABELS, 7))
    with pytest.raises(ValueError, match=r"target 2\.0 at index .* is not a probability"):
        tn.vmap(tn.binary_cross_entropy)(SCORES, np.full_like(SHARES, 2.0))


def of_equal_shapes(op):
    """Samples whose arrays have the shape of the first; whole numbers stay such, and small enough for an index."""
    for arrays, params in samples_of(op):
        shape, rng = np.shape(arrays[0]), np.random.default_rng(0)
        yield (
            [rng.integers(0, 2, shape) if np.asarray(a).dtype.kind in "iu" else np.resize(a, shape) for a in arrays],
            params,
        )


SEVERAL = [op for op in ALL.values() if op.defaults and op.composed is None and len(op.arguments) > 1]


@pytest.mark.parametrize("op", SEVERAL, ids=lambda op: op.name)
def test_arguments_of_one_shape_with_parameters(op):
    """An axis among the parameters need not be an axis of each argument."""
    for arrays, params in of_equal_shapes(op):
        batch = [np.stack([a, np.flip(a)]) for a in arrays]

        def f(*given, params=params):
            return op.apply(given, params)

        try:
            expected = np.stack([op.apply([a[i] for a in batch], params) for i in range(2)])
        except (ValueError, IndexError, TypeError):
            continue  # it takes no arguments of one shape
        np.testing.assert_array_equal(tn.vmap(f)(*batch), expected)
        moving = tuple(i for i, a in enumerate(arrays) if op.differentiable(i) and a.dtype.kind == "f")
        slopes = tn.elementwise_grad(f, moving)
        each = [np.stack(rows) for rows in zip(*[slopes(*[a[i] for a in batch]) for i in range(2)], strict=True)]
        for got, wanted in zip(tn.vmap(slopes)(*batch), each, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_indices_of_each_example():
    x, i = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[0, 0], [1, 1]])
    np.testing.assert_allclose(tn.vmap(tn.grad(lambda x, i: np.sum(np.take(x, i) ** 2)))(x, i), [[0.4, 0], [0, 1.6]])
    assert tn.vmap(lambda x, i: np.take(x, i, axis=0))(x, i).shape == (2, 2)


DERIVATIVES = {"grad": tn.grad, "jacobian": tn.jacobian, "hessian": tn.hessian,
               "jvp": lambda f: lambda x: tn.jvp(f, (x,), (np.ones(3),))[1]}  # fmt: skip


@pytest.mark.parametrize("transform", DERIVATIVES.values(), ids=DERIVATIVES)
def test_a_result_that_no_example_decides(transform):
    def within(x):
        return np.sum(tn.vmap(lambda a: np.sum(np.sin(x)))(np.ones(2)))

    np.testing.assert_allclose(transform(within)(X[0]), transform(lambda x: 2 * np.sum(np.sin(x)))(X[0]))
    np.testing.assert_allclose(tn.vmap(transform(within))(X), np.stack([transform(within)(x) for x in X]))


def test_a_result_that_no_example_decides_reaches_the_gradient_of_a_parameter():
    p = tn.tensor(X[0], requires_grad=True)
    tn.vmap(lambda a: np.sin(p))(np.ones(2)).sum().backward()
    assert type(p.grad) is np.ndarray
    np.testing.assert_allclose(p.grad, 2 * np.cos(X[0]))


def in_no_grad(x):
    with tn.no_grad():
        x -= 1
    return x.sum()


def added(x):
    y = x
    y += 1
    return np.sum(x * y)


def assigned(x):
    x[0] = 5.0
    return x.sum()


def through_data(x):
    x.data[...] += 1
    return x.sum()


@pytest.mark.parametrize("f", [added, assigned, through_data, in_no_grad])
@pytest.mark.parametrize("one", [False, True])
def test_changes_in_place_are_the_function_s_own(f, one):
    given = X.copy()
    g = (lambda x: f(x) if x[0] > -9 else 0.0) if one else f
    got = tn.vmap(g)(given)
    np.testing.assert_array_equal(given, X)
    expected = {added: X * (X + 1), assigned: np.where([True, False, False], 5.0, X), through_data: X + 1,
                in_no_grad: X - 1}[f].sum(1)  # fmt: skip
    np.testing.assert_allclose(got, expected)
    if f is added:
        np.testing.assert_allclose(got[0], tn.value_and_grad(f)(X[0])[0])


ASKING = {
    "if": lambda x: x * 2 if x[0] > 0 else -x,
    "item": lambda x: x * x[0].item(),
    "tolist": lambda x: x * np.array(x.tolist()),
    "float": lambda x: x * float(x.detach()[0]),
    "text": lambda x: x * float(f"{x[0]:.1f}"),
    "mask": lambda x: x[x > 0].sum(),
    "nonzero": lambda x: x[np.nonzero(x > 0)].sum(),
    "where": lambda x: x[np.where(x > 0)].sum(),
    "flatnonzero": lambda x: x[np.flatnonzero(x > 0)].sum(),
    "argwhere": lambda x: np.argwhere(x > 0).sum() * 1.0,
    "extract": lambda x: np.extract(x > 0, x).sum(),
    "compress": lambda x: np.compress(x > 0, x).sum(),
    "unique": lambda x: np.unique(np.floor(x)).sum(),
    "choose": lambda x: np.choose((x > 0).astype(int), [x, x * 2]),
    "index": lambda x: x[np.argmax(x)],
    "allclose": lambda x: x if np.allclose(x, X[1]) else -x,
    "quantile": lambda x: np.quantile(X, abs(x[0]) % 1),
    "nested": lambda x: tn.vmap(lambda y: y if y > x[0] else x[1] if x[1] > 0 else -y)(x).sum(),
    "grad": tn.grad(lambda x: (x * x).sum() if x[1] > 0 else x.sum()),
}


@pytest.mark.parametrize("f", ASKING.values(), ids=ASKING)
def test_functions_that_ask_for_values_are_called_once_for_each_example(f):
    calls = []

    def counted(x):
        calls.append(1)
        return f(x)

    got = tn.vmap(counted)(X)
    assert len(calls) == len(X)
    np.testing.assert_allclose(got, np.stack([np.asarray(getattr(y, "value", y)) for y in map(f, map(tn.tensor, X))]))


def test_the_branch_of_the_first_example_is_computed_for_it_alone():
    """For others it may warn, which is an error in tests, or fail."""
    calls = []

    def f(m):
        calls.append(1)
        return np.linalg.inv(m).sum() + np.log(m[0, 0]) if m[0, 0] > 0 else m.sum()

    given = np.stack([np.eye(2), np.zeros((2, 2)), -np.eye(2)])
    np.testing.assert_array_equal(tn.vmap(f)(given), [2.0, 0.0, -2.0])
    assert len(calls) == 3
    np.testing.assert_array_equal(tn.vmap(tn.grad(f))(given)[1:], np.ones((2, 2, 2)))
    np.testing.assert_array_equal(tn.grad(lambda m: tn.vmap(f)(m).sum())(given)[1:], np.ones((2, 2, 2)))


def test_derivatives_of_functions_that_ask_for_values():
    def f(x):
        return np.sqrt(abs(x)).sum() if x[0] > 0 else (x * x).sum()

    def each(xs):
        return tn.vmap(f)(xs).sum()

    np.testing.assert_allclose(tn.grad(each)(X), np.stack([tn.grad(f)(x) for x in X]))
    np.testing.assert_allclose(tn.vmap(tn.hessian(f))(X), np.stack([tn.hessian(f)(x) for x in X]))


@pytest.mark.usefixtures("at_once")
def test_axes_of_parts():
    v, pair = np.arange(3.0), {"a": np.arange(3.0), "b": np.array([1.0, 2.0])}
    got = tn.vmap(lambda d: d["a"] * d["b"], in_axes={"a": 0, "b": None})(pair)
    np.testing.assert_array_equal(got, v[:, None] * pair["b"])
    got = tn.vmap(lambda p, q: p[0] * p[1] + q, in_axes=((0, 1), None))((X, X.T), 1.0)
    np.testing.assert_array_equal(got, X * X + 1)
    first, second = tn.vmap(lambda x: (x, {"b": x}), out_axes=(0, {"b": 1}))(X)
    np.testing.assert_array_equal(first, X)
    np.testing.assert_array_equal(second["b"], X.T)
    np.testing.assert_array_equal(tn.vmap(lambda x, y, scale=1.0: x * y * scale)(v, y=v, scale=2.0), 2 * v * v)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tn.vmap(lambda p: p, in_axes=((0, 1),))(X), r"in_axes is or holds \(0, 1\), which is no axis, and"),
        (lambda: tn.vmap(lambda p: p, in_axes={"a": 0})({"b": X}), r"in_axes names \['a'\], where the arguments have"),
        (lambda: tn.vmap(lambda x: (x, x), out_axes=(0, 1, 2))(X), r"out_axes is or holds .* of the result"),
        (lambda: tn.vmap(np.sin)(3.0), r"a single number has no examples: pass an array of them, or share it"),
        (lambda: tn.vmap(np.sin)([1.0, 2.0]), r"a list is a tree of arguments, and np\.array\(list\) one array"),
        (lambda: tn.vmap(lambda x, y: x)(X, y=X[:2]), r"the same number of examples along in_axes, they have 2 and 4"),
    ],
)  # fmt: skip
def test_axes_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
