"""Special functions against SciPy and PyTorch, with and without SciPy's help, and what scatters and orders."""

import sys

import numpy as np
import pytest

import tinygrad_nn as tn

HALF = np.concatenate([np.linspace(1e-3, 1, 40), np.linspace(1, 30, 60), [1e-8, 171.5, 1e5]])
NEGATIVE = -np.linspace(0.013, 12, 97)
WHERE = {
    "erfc": np.linspace(-6, 26, 99), "erfinv": np.concatenate([np.linspace(-1, 1, 101), [1e-9, 1 - 1e-12, -1 + 1e-15]]),
    "gammaln": np.concatenate([HALF, NEGATIVE]), "digamma": np.concatenate([HALF, NEGATIVE, [-300.2]]),
}  # fmt: skip


@pytest.mark.parametrize("name", WHERE)
@pytest.mark.parametrize("installed", [True, False])
def test_values_are_those_of_scipy(name, installed, monkeypatch):
    scipy = pytest.importorskip("scipy.special")
    expected = getattr(scipy, name)(WHERE[name])
    if not installed:
        monkeypatch.setitem(sys.modules, "scipy", None)
    for x in (WHERE[name], WHERE[name][:3]):
        found = getattr(tn, name)(x)
        np.testing.assert_allclose(found, expected[: len(x)], rtol=2e-12, atol=1e-14)
        assert getattr(tn, name)(x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("n", range(5))
def test_polygamma_is_that_of_scipy(n):
    scipy = pytest.importorskip("scipy.special")
    np.testing.assert_allclose(tn.polygamma(n, HALF), scipy.polygamma(n, HALF), rtol=2e-12, atol=1e-14)


def test_polygamma_below_zero_is_the_derivative_of_the_one_before():
    for n in (1, 2, 3):
        x = np.array([-0.4, -2.3, -7.6])
        slopes = (tn.polygamma(n - 1, x + 1e-5) - tn.polygamma(n - 1, x - 1e-5)) / 2e-5
        np.testing.assert_allclose(tn.polygamma(n, x), slopes, rtol=1e-6)


def test_poles_and_ends():
    np.testing.assert_array_equal(tn.gammaln([0.0, -1.0, np.inf, 1e308]), [np.inf] * 4)
    np.testing.assert_array_equal(tn.digamma([0.0, -2.0, np.inf]), [-np.inf, np.nan, np.inf])
    np.testing.assert_array_equal(tn.polygamma(1, [0.0, -2.0]), [np.inf, np.inf])
    np.testing.assert_array_equal(tn.erfinv([1.0, -1.0, 2.0, np.nan]), [np.inf, -np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(tn.erfinv(0), 0)
    with pytest.raises(ValueError, match=r"^polygamma: n=-1; expected a whole number of at least 0$"):
        tn.polygamma(-1, 1.0)


def test_the_normal_density():
    stats = pytest.importorskip("scipy.stats")
    x = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(tn.normal_logpdf(x, 0.5, 2.0), stats.norm.logpdf(x, 0.5, 2.0), rtol=1e-13)
    assert tn.normal_logpdf(x.astype(np.float32), 0.5, 2.0).dtype == np.float32


def test_the_inverse_is_one_to_the_last_digits():
    x = np.linspace(-0.999, 0.999, 50)
    np.testing.assert_allclose(tn.erf(tn.erfinv(x)), x, rtol=1e-14, atol=1e-16)


# --- against PyTorch --------------------------------------------------------------------------------------------------

X, V = np.random.default_rng(3).normal(size=(3, 5)), np.random.default_rng(4).normal(size=(3, 5))
PLACES, INDEX = np.random.default_rng(5).integers(0, 3, size=(3, 5)), np.array([2, 0, 2])
PEERS = {
    "celu": (tn.celu, lambda torch, x: torch.celu(x)),
    "celu 0.5": (lambda x: tn.celu(x, 0.5), lambda torch, x: torch.celu(x, 0.5)),
    "hard_swish": (tn.hard_swish, lambda torch, x: torch.nn.functional.hardswish(x)),
    "hard_sigmoid": (tn.hard_sigmoid, lambda torch, x: torch.nn.functional.hardsigmoid(x)),
    "soft_shrink": (tn.soft_shrink, lambda torch, x: torch.nn.functional.softshrink(x)),
    "hard_shrink": (tn.hard_shrink, lambda torch, x: torch.nn.functional.hardshrink(x)),
    "tanh_shrink": (tn.tanh_shrink, lambda torch, x: torch.nn.functional.tanhshrink(x)),
    "gelu": (lambda x: tn.gelu(x, approximate="tanh"),
             lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh")),
    "softplus": (lambda x: tn.softplus(x, beta=2.0, threshold=1.5),
                 lambda torch, x: torch.nn.functional.softplus(x, 2.0, 1.5)),
    "erfc": (tn.erfc, lambda torch, x: torch.special.erfc(x)),
    "erfinv": (lambda x: tn.erfinv(np.tanh(x)), lambda torch, x: torch.special.erfinv(torch.tanh(x))),
    "gammaln": (lambda x: tn.gammaln(np.exp(x)), lambda torch, x: torch.special.gammaln(torch.exp(x))),
    "digamma": (lambda x: tn.digamma(np.exp(x)), lambda torch, x: torch.special.digamma(torch.exp(x))),
    "normal_logpdf": (lambda x: tn.normal_logpdf(x, 0.3, np.exp(x)),
                      lambda torch, x: torch.distributions.Normal(0.3, torch.exp(x)).log_prob(x)),
    "index_add": (lambda x: tn.index_add(x, INDEX, x * V), lambda torch, x: torch.index_add(
        x, 0, torch.tensor(INDEX), x * torch.tensor(V))),
    "scatter_add": (lambda x: tn.scatter_add(x, PLACES, x * V), lambda torch, x: torch.scatter_add(
        x, 0, torch.tensor(PLACES), x * torch.tensor(V))),
    "scatter_add 1": (lambda x: tn.scatter_add(x, PLACES, x * V, axis=1), lambda torch, x: torch.scatter_add(
        x, 1, torch.tensor(PLACES), x * torch.tensor(V))),
    "topk": (lambda x: tn.topk(x, 2)[0], lambda torch, x: torch.topk(x, 2)[0]),
    "smallest": (lambda x: tn.topk(x, 2, axis=0, largest=False)[0],
                 lambda torch, x: torch.topk(x, 2, dim=0, largest=False)[0]),
    "cummax": (lambda x: tn.cummax(x, axis=1), lambda torch, x: torch.cummax(x, 1)[0]),
    "cummin": (tn.cummin, lambda torch, x: torch.cummin(x, 0)[0]),
    "logcumsumexp": (lambda x: tn.logcumsumexp(x, axis=-1), lambda torch, x: torch.logcumsumexp(x, -1)),
    "cdist": (lambda x: tn.cdist(x, 1 - 2 * x), lambda torch, x: torch.cdist(x[None], 1 - 2 * x[None])[0]),
}  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize("name", PEERS)
def test_value_and_derivatives_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    ours, theirs = PEERS[name]
    x, other = tn.tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    y, z = ours(x), theirs(torch, other)
    np.testing.assert_allclose(y.value, z.detach().numpy(), rtol=1e-10, atol=1e-13)
    (g,) = tn.gradients((y * y).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad((z * z).sum(), other, create_graph=True)
    rtol = 1e-7 if name == "hard_sigmoid" else 1e-9  # of which PyTorch has the slope in single precision
    np.testing.assert_allclose(g.value, h.detach().numpy(), rtol=rtol, atol=1e-10)
    if name in ("cdist", "hard_sigmoid"):
        return  # PyTorch has no second derivative of it
    (twice,) = torch.autograd.grad((h * h).sum(), other)
    np.testing.assert_allclose(tn.gradients((g * g).sum(), x)[0], twice.numpy(), rtol=10 * rtol, atol=1e-9)


# --- scattering and ordering ------------------------------------------------------------------------------------------


def test_an_index_that_occurs_twice_receives_twice():
    x = np.zeros((3, 2))
    np.testing.assert_array_equal(tn.index_add(x, [2, 2], [[1.0, 2.0], [3.0, 4.0]]), [[0, 0], [0, 0], [4, 6]])
    np.testing.assert_array_equal(tn.index_add(x, [0, 2], 1.0), [[1, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(tn.scatter_add(x, [[0, 0], [0, 1]], np.ones((2, 2))), [[2, 1], [0, 1], [0, 0]])
    assert not x.any()


@pytest.mark.parametrize("add", [tn.index_add, tn.scatter_add])
def test_an_index_that_is_changed_later_changes_no_gradient(add):
    index = INDEX.copy() if add is tn.index_add else PLACES.copy()
    values, weights = tn.tensor(V, requires_grad=True), np.arange(15.0).reshape(3, 5)
    loss = (add(X, index, values) * weights).sum()
    expected = tn.gradients(loss, values)[0]
    index[...] = 1
    np.testing.assert_array_equal(tn.gradients(loss, values)[0], expected)


def test_equal_elements_come_in_their_order():
    values, places = tn.topk([3, 1, 3, 2], 3)
    np.testing.assert_array_equal(values, [3, 3, 2])
    np.testing.assert_array_equal(places, [0, 2, 3])
    np.testing.assert_array_equal(tn.topk([3, 1, 3, 1], 2, largest=False)[1], [1, 3])
    np.testing.assert_array_equal(tn.topk(np.array([3, 200, 7], np.uint8), 2)[0], [200, 7])
    np.testing.assert_array_equal(tn.topk([1.0, np.nan, 3.0], 2)[0], [np.nan, 3])


def test_a_compiled_step_looks_for_the_places_at_each_call():
    w = tn.tensor(np.ones((3, 5)), requires_grad=True)

    def step(x):
        w.zero_grad()
        values, _ = tn.topk(w * x, 2)
        loss = (values**2).sum() + tn.cummax(w * x, axis=1).sum() + tn.logcumsumexp(w * x).sum()
        loss = loss + tn.index_add(w, INDEX, w * x).sum() + tn.gammaln(1 + tn.erfc(w * x)).sum() + tn.cdist(w, x).sum()
        loss.backward()
        return loss

    compiled = tn.compile(step)
    for x in (X, -X, V, X[::-1].copy()):
        found = compiled(x).item(), w.grad.copy()
        np.testing.assert_allclose(found[0], step(x).item(), rtol=1e-12)
        np.testing.assert_allclose(found[1], w.grad, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: tn.index_add(X, [0.5], V[:1]), TypeError,
         "index_add: the index has dtype float64; expected whole numbers; index.astype(int) converts"),
        (lambda: tn.index_add(X, INDEX, V[:2]), tn.ShapeError,
         ("index_add: x has shape (3, 5), index has shape (3,), values has shape (2, 5); expected an index (n,) and "
          "values that broadcast to (3, 5)")),
        (lambda: tn.scatter_add(X, PLACES[:2], V), tn.ShapeError,
         ("scatter_add: x has shape (3, 5), index has shape (2, 5), values has shape (3, 5); expected index and values "
          "of one shape, which is not larger than x but along axis 0")),
        (lambda: tn.index_add(X, [0, 3], V[:2]), IndexError,
         "index_add: index 3 is not on axis 0 of x, which has shape (3, 5)"),
        (lambda: tn.scatter_add(X, PLACES - 4, V), IndexError,
         "scatter_add: index -4 is not on axis 0 of x, which has shape (3, 5)"),
        (lambda: tn.index_add(X, tn.tensor(np.array([0, 3])), V[:2]), IndexError,
         "index_add: index 3 is not on axis 0 of x, which has shape (3, 5)"),
        (lambda: tn.topk(X, 1.5), ValueError, "topk: k=1.5; expected 0 to 5, the length of axis 1 of x"),
        (lambda: tn.topk(X, 6), ValueError, "topk: k=6; expected 0 to 5, the length of axis 1 of x"),
        (lambda: tn.cdist(X, V.T), tn.ShapeError,
         ("cdist: a has shape (3, 5), b has shape (5, 3); expected rows of one length: (..., n, d) and (..., m, d)")),
        (lambda: tn.cummax(X, axis=2), np.exceptions.AxisError,
         "cummax: x has shape (3, 5): axis 2 is out of bounds for array of dimension 2"),
        (lambda: tn.gelu(X, approximate="erf"), ValueError, "gelu: approximate='erf'; expected 'none' or 'tanh'"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, said):
    with pytest.raises(error) as refused:
        call()
    assert str(refused.value) == said
