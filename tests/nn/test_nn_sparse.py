"""Sparse matrices of SciPy as input of the first layer: the same numbers as the dense ones, to any order."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.nn import Dense, Predictor, Sequential

sparse = pytest.importorskip("scipy.sparse")
KINDS = ["csr_array", "csc_array", "coo_array", "csr_matrix", "csc_matrix", "lil_matrix", "dok_array"]


def matrix(kind="csr_array", shape=(20, 30), dtype=np.float64):
    rng = np.random.default_rng(0)
    D = np.where(rng.random(shape) < 0.2, rng.normal(size=shape), 0).astype(dtype)
    return getattr(sparse, kind)(D), D


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("activation", "bias"), [("tanh", True), (None, True), (None, False)])
def test_value_and_gradients_are_those_of_the_dense_matrix(kind, activation, bias):
    X, D = matrix(kind)
    layer = Dense(20, 4, activation, bias=bias, rng=0)
    found = []
    for of in (X, D):
        layer.zero_grad()
        Z = layer(of)
        (Z * Z).sum().backward()
        found.append([Z.numpy(), *(p.grad for p in layer.parameters())])
    for ours, dense in zip(*found, strict=True):
        np.testing.assert_allclose(ours, dense, atol=1e-13)
        assert ours.dtype == np.float64
    assert layer(X).name == layer(D).name


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_the_layer_keeps_its_dtype(dtype):
    X, D = matrix(dtype=dtype)
    layer = Dense(20, 4, rng=0, dtype=np.float32)
    assert layer(X).dtype == np.float32
    np.testing.assert_allclose(layer(X).numpy(), layer(D.astype(np.float32)).numpy(), atol=1e-5)


def test_second_derivatives():
    X, D = matrix(shape=(3, 5))
    layer = Dense(3, 2, bias=False, rng=0)

    def cost(of):
        return lambda W: (tn.nn.functional_call(layer, {"W": W}, of) ** 3).sum()

    W = layer.W.numpy()
    np.testing.assert_allclose(tn.hessian(cost(X))(W), tn.hessian(cost(D))(W), atol=1e-12)
    assert tn.gradcheck(cost(X), W, order=2)


def test_a_matrix_that_changes_later_changes_nothing():
    X, _ = matrix()
    layer = Dense(20, 4, rng=0)
    Z = layer(X)
    before = Z.numpy().copy()
    X.data[:] = np.nan
    Z.sum().backward()
    assert np.isfinite(layer.W.grad).all()
    assert (Z.numpy() == before).all()


def test_training_on_batches():
    X, D = matrix(shape=(20, 200))
    y = (D[0] > 0).astype(int)
    models, histories = [], []
    for of in (X, D):
        net = Sequential(Dense(20, 8, "tanh", rng=0), Dense(8, 2, rng=1))
        optimizer = tn.optim.Adam(net.parameters(), lr=0.02)
        history = tn.fit(
            net, tn.cross_entropy, optimizer, (of, y), epochs=8, rng=0, validation=(of, y), metrics="accuracy"
        )
        models.append(net)
        histories.append(history)
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-9)
    rows = Predictor(models[0], classes=["no", "yes"])
    assert rows.predict(X.T).tolist() == rows.predict(D.T).tolist()
    batches = tn.data.batches(X, y, 64, shuffle=False)
    assert [part.shape for part, _ in batches] == [(20, 64)] * 3 + [(20, 8)]
    np.testing.assert_array_equal(next(iter(batches))[0].toarray(), D[:, :64])


def test_a_compiled_step_refuses_and_fit_says_so(raised):
    X, _ = matrix()
    net = Sequential(Dense(20, 2, rng=0))
    message = raised(tn.CompileError, tn.compile(lambda: net(X).sum()))
    assert "Dense: X is a sparse matrix, which cannot be part of a compiled step" in message
    history = tn.fit(
        net, tn.mse, tn.optim.SGD(net.parameters(), lr=0.01), (X, np.zeros((2, 30))), epochs=400, batch_size=None
    )
    assert history.note.startswith("not compiled: Dense: X is a sparse matrix")


def test_mistakes(raised):
    X, _ = matrix()
    assert raised(tn.ShapeError, Dense(30, 2), X) == (
        "Dense(30, 2) expects examples as columns, shape (30, N), and got an input of shape (20, 30): an input.T fits"
    )
    assert raised(TypeError, Dense(20, 2), X * 1j) == (
        "Dense: a sparse matrix of dtype complex128, expected real numbers"
    )
    assert raised(TypeError, Sequential(tn.nn.Dropout(0.5, rng=0), Dense(20, 2)), X).endswith(
        "is a sparse matrix (csr_array): x.toarray() makes a dense array of it"
    )
