"""The equations in plain NumPy against the graph, and what they say to networks of another kind."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import nn
from tinygrad_nn.nn.equations import LOSSES, MIXING, SIGMA

SIZES = [5, 4, 6, 3, 2]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def network(rng, activation, depth, output=None):
    sigmas = [activation] * (depth - 1) + [output]
    model = nn.Sequential(*[nn.Dense(*SIZES[i : i + 2], sigma) for i, sigma in enumerate(sigmas)])
    for p in model.parameters():
        p.data[...] = 0.2 * rng.normal(size=p.shape)  # so that exp(exp(exp(exp(z)))) is a number
    return model


def cost_by_the_graph(model, X, Y, loss, output):
    A = model(X)
    if (output, loss) == ("softmax", "cross_entropy"):  # there A is no logit: the cost as the text writes it
        return -(Y * tn.log(A)).sum() / X.shape[1]
    if (output, loss) == ("sigmoid", "binary_cross_entropy"):
        return -(Y * tn.log(A) + (1 - Y) * tn.log(1 - A)).sum() / X.shape[1]
    return getattr(tn, loss)(A, Y)


def compare(model, X, Y, loss, output=None):
    J = cost_by_the_graph(model, X, Y, loss, output)
    explicit = nn.backpropagation(model, X, Y, loss=loss)
    passed = nn.forward_pass(model, X)
    nodes = {node.name: node for node in tn.autodiff.history([J])}
    for i, (layer, (Z, A), (delta, dW, db)) in enumerate(zip(model, passed, explicit, strict=True)):
        z = nodes[f"Z{'¹²³⁴'[i]}"]
        a = nodes.get(f"A{'¹²³⁴'[i]}", z)
        graph = tn.gradients(J, [z, layer.W, layer.b])
        wanted = [z.value, a.value, graph[0] * X.shape[1], graph[1], graph[2]]
        for got, want in zip((Z, A, delta, dW, db), wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)
            assert got.shape == want.shape


@pytest.mark.parametrize("n", [1, 64])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("activation", [*SIGMA, *MIXING])
def test_every_activation_with_the_squared_error(rng, activation, depth, n):
    model = network(rng, activation, depth, activation)
    compare(model, rng.normal(size=(5, n)), rng.normal(size=(SIZES[depth], n)), "mse")


@pytest.mark.parametrize("n", [1, 64])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("loss", "output"),
    [
        ("cross_entropy", None), ("cross_entropy", "softmax"), ("cross_entropy", "tanh"),
        ("binary_cross_entropy", None), ("binary_cross_entropy", "sigmoid"), ("huber_loss", None), ("l1_loss", "tanh"),
    ],
)  # fmt: skip
def test_every_loss(rng, loss, output, depth, n):
    Y = rng.dirichlet(np.ones(SIZES[depth]), size=n).T
    compare(network(rng, "tanh", depth, output), rng.normal(size=(5, n)), Y, loss, output)


@pytest.mark.parametrize("output", [None, "softmax"])
def test_labels_are_one_hot_columns(rng, output):
    model, X, labels = network(rng, "relu", 3, output), rng.normal(size=(5, 7)), np.array([0, 1, 2, 2, 1, 0, 2])
    by_label = nn.backpropagation(model, X, labels, loss=tn.cross_entropy)
    by_column = nn.backpropagation(model, X, np.eye(3)[:, labels], loss=tn.cross_entropy)
    for some, others in zip(by_label, by_column, strict=True):
        for a, b in zip(some, others, strict=True):
            assert np.array_equal(a, b)
    delta = by_label[-1][0]
    np.testing.assert_allclose(delta, tn.softmax(nn.forward_pass(model, X)[-1][0]) - np.eye(3)[:, labels], atol=1e-15)


def test_every_activation_of_the_tables_section_is_written_out():
    names = {"sigmoid", "log_sigmoid", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "softsign"}
    assert names | {"mish", "hard_tanh", "tanh"} <= set(SIGMA)
    assert {"softmax", "log_softmax"} <= set(MIXING)
    assert set(LOSSES) <= set(tn.ops.BY_NAME)


@pytest.mark.parametrize("name", SIGMA)
def test_sigma_and_its_derivative_by_finite_differences(name):
    sigma, slope = SIGMA[name]
    z = np.linspace(-3.05, 3.17, 40)
    np.testing.assert_allclose(slope(z), (sigma(z + 1e-6) - sigma(z - 1e-6)) / 2e-6, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", [n for n in SIGMA if n not in ("exp", "sinh", "square")])
def test_large_arguments(name):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for f in SIGMA[name]:
            assert np.isfinite(f(np.array([-1000.0, 0.0, 1000.0]))).all()


def test_the_augmented_form_is_the_same_product(rng):
    W, b, A = rng.normal(size=(4, 3)), rng.normal(size=(4, 1)), rng.normal(size=(3, 6))
    np.testing.assert_allclose(nn.augmented(W, b, A), W @ A + b, rtol=1e-13)
    model = network(rng, "tanh", 1)
    X = rng.normal(size=(5, 3))
    layer = model[0]
    np.testing.assert_allclose(nn.augmented(layer.W.data, layer.b.data, X), nn.forward_pass(model, X)[0][0], rtol=1e-13)


def test_a_lone_layer_activations_apart_and_images(rng):
    apart = nn.Sequential(
        nn.Flatten(), nn.Dense(8, 3, rng=0), tn.tanh, nn.Sequential(nn.Dense(3, 2, rng=1, bias=False))
    )
    X, Y = rng.normal(size=(2, 2, 2, 5)), rng.normal(size=(2, 5))
    (_, dW, _), (_, dV, dc) = nn.backpropagation(apart, X, Y)
    graph = tn.gradients(tn.mse(apart(X), Y), list(apart.parameters()))
    np.testing.assert_allclose(dW, graph[0], rtol=1e-12)
    np.testing.assert_allclose(dV, graph[2], rtol=1e-12)
    assert dc.shape == (2, 1)
    assert len(nn.forward_pass(nn.Dense(2, 3, "relu"), np.zeros((2, 1)))) == 1


def test_gradient_descent_by_the_equations_alone_learns(rng):
    X, Y = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]]), np.array([[0.0, 1, 1, 0]])
    model = nn.Sequential(nn.Dense(2, 4, "tanh", rng=1), nn.Dense(4, 1, "sigmoid", rng=2))
    for _ in range(2000):
        for layer, (_, dW, db) in zip(model, nn.backpropagation(model, X, Y), strict=True):
            layer.W.data -= 2 * dW
            layer.b.data -= 2 * db
    assert (nn.forward_pass(model, X)[-1][1].round() == Y).all()


def test_float32_stays():
    model = nn.Sequential(nn.Dense(2, 3, "gelu", dtype="f4"), nn.Dense(3, 1, dtype="f4"))
    X, Y = np.ones((2, 4), "f4"), np.ones((1, 4), "f4")
    assert {a.dtype for part in nn.backpropagation(model, X, Y)[1:] for a in part} == {np.dtype("f4")}


def test_other_networks_are_refused(raised):
    model = nn.Sequential(nn.Dense(2, 2), nn.Dropout(0.5))
    assert raised(ValueError, nn.forward_pass, model, np.zeros((2, 1))) == (
        "Dropout has no equations here: they are those of Dense layers one after the other; "
        "take the graph: tn.gradients(J, parameters)"
    )
    assert raised(ValueError, nn.forward_pass, nn.Sequential(), np.zeros((2, 1))) == "the model holds no Dense layer"
    assert raised(ValueError, nn.forward_pass, nn.Dense(1, 1, lambda z: z), np.zeros((1, 1))) == (
        "σ′ of Dense(1, 1, <lambda>) is not written out in nn.equations.SIGMA; add it there"
    )


def test_what_does_not_fit_is_named(rng, raised):
    model, X = network(rng, "tanh", 2), np.zeros((5, 4))
    assert raised(tn.ShapeError, nn.forward_pass, model, X.T).endswith("got an input of shape (4, 5): an input.T fits")
    assert raised(tn.ShapeError, nn.backpropagation, model, X, np.zeros((4, 6))) == (
        "backpropagation: the output has shape (6, 4), Y has shape (4, 6); Y.T fits (examples are columns)"
    )
    assert raised(ValueError, nn.backpropagation, model, X, np.zeros((6, 4)), "hinge") == (
        "backpropagation: the loss hinge is not one of mse, l1_loss, huber_loss, cross_entropy, binary_cross_entropy"
    )
