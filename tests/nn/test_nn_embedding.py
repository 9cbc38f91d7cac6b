"""Embeddings: the same as one-hot columns times a matrix, in value and gradient, compiled or not."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.nn import Dense, Embedding, FeatureEmbedding, Sequential

K = np.array([2, 0, 2, 4])


def test_value_and_gradient_are_those_of_one_hot_columns():
    layer = Embedding(5, 3, rng=0)
    g = np.random.default_rng(1).normal(size=(3, 4))
    (layer(K) * g).sum().backward()
    one_hot = tn.data.one_hot(K, 5)
    np.testing.assert_allclose(layer(K).numpy(), layer.W.numpy() @ one_hot)
    np.testing.assert_allclose(layer.W.grad, g @ one_hot.T)


def test_several_categories_of_an_example_stand_below_each_other():
    layer = Embedding(5, 3, rng=0)
    both = layer(np.stack([K, K[::-1]])).numpy()
    np.testing.assert_array_equal(both, np.concatenate([layer(K).numpy(), layer(K[::-1]).numpy()]))


def test_padding_is_zero_and_stays():
    layer = Embedding(5, 3, padding_idx=2, rng=0)
    Z = layer(K)
    (Z * Z + Z).sum().backward()
    assert (Z.numpy()[:, K == 2] == 0).all()
    assert (layer.W.grad[:, 2] == 0).all()
    assert (layer.W.grad[:, 4] != 0).all()


def test_gradcheck():
    layer = Embedding(5, 3, padding_idx=0, rng=0)
    state = layer.W.numpy().copy()
    assert tn.gradcheck(lambda W: (tn.nn.functional_call(layer, {"W": W}, K.astype(float)) ** 2).sum(), state, order=2)


def model(rng=0):
    first = FeatureEmbedding(3, {0: 4, 2: 5}, rng=rng)
    return Sequential(first, Dense(first.out_features, 4, "tanh", rng=1), Dense(4, 2, rng=2))


def data(n=64):
    rng = np.random.default_rng(3)
    X = np.stack([rng.integers(0, 4, n), rng.normal(size=n), rng.integers(0, 5, n)])
    return X, ((X[0] > 1) ^ (X[2] > 2)).astype(int)


def test_features_and_categories():
    first = model()[0]
    X, _ = data(6)
    A = first(X).numpy()
    assert (first.out_features, A.shape) == (1 + 2 + 3, (6, 6))
    np.testing.assert_array_equal(A[0], X[1])
    np.testing.assert_array_equal(A[1:3], first.embeddings[0].W.numpy()[:, X[0].astype(int)] * (X[0] > 0))
    np.testing.assert_array_equal(A[3:], first.embeddings[1].W.numpy()[:, X[2].astype(int)] * (X[2] > 0))
    assert FeatureEmbedding(1, {0: 4}, 7)(np.zeros((1, 2))).shape == (7, 2)


@pytest.mark.parametrize("compiled", [True, False])
def test_it_learns_compiled_or_not(compiled):
    net = model()
    history = tn.fit(
        net, tn.cross_entropy, tn.optim.Adam(net.parameters(), lr=0.05), data(), epochs=80, batch_size=16, rng=0,
        metrics="accuracy", compile=compiled,
    )  # fmt: skip
    assert history["accuracy"][-1] > 0.95


def test_a_compiled_step_looks_at_the_categories_of_every_batch():
    layer = Embedding(5, 3, rng=0)
    step = tn.compile(lambda k: layer(k).sum())
    assert step(K.astype(float)).item() == layer(K).sum().item()
    assert step(K[::-1].astype(float)).item() == layer(K[::-1]).sum().item()
    for wrong in (-1.0, 5.0, 0.5, np.nan):
        with pytest.raises(ValueError, match=r"expected a whole number from 0 to 4, the number of a category"):
            step(np.array([0.0, 1.0, wrong, 2.0]))


def test_saved_and_loaded(tmp_path):
    net = model()
    again = tn.nn.load(net.save(tmp_path / "m"))
    X, _ = data()
    assert (again(X).numpy() == net(X).numpy()).all()
    assert "Embedding(4, 2)" in str(net.summary())
    layer = tn.nn.load(Embedding(4, 2, padding_idx=1, init="ones", dtype=np.float32).save(tmp_path / "e"))
    assert (layer.padding_idx, layer.W.dtype) == (1, np.float32)


MISTAKES = [
    (lambda: Embedding(5, 3)(np.array([0, 5])),
     "embedding: X has shape (2,): X[1] is 5, expected a whole number from 0 to 4, the number of a category"),
    (lambda: Embedding(5, 3)(np.array([[0], [-1]])),
     "embedding: X has shape (2, 1): X[1, 0] is -1, expected a whole number from 0 to 4, the number of a category"),
    (lambda: Embedding(5, 3)(np.zeros((1, 2, 3))),
     "Embedding(5, 3) expects category numbers (N,) or (k, N), and got shape (1, 2, 3)"),
    (lambda: Embedding(0, 3), "Embedding: num_embeddings=0, expected at least 1"),
    (lambda: Embedding(5, 3, padding_idx=5), "Embedding: padding_idx=5, expected None or a category from 0 to 4"),
    (lambda: Embedding(5, 3, init="gaussian"),
     "Embedding: there is no init 'gaussian'; expected one of " + ", ".join(tn.nn.init.__all__)),
    (lambda: FeatureEmbedding(3, {}),
     ("FeatureEmbedding: sizes has no row, expected rows of categories from 0 to 2; "
      'Preprocessor(encode="index").category_sizes gives them')),
    (lambda: FeatureEmbedding(3, {3: 2}),
     ("FeatureEmbedding: sizes has a row 3, expected rows of categories from 0 to 2; "
      'Preprocessor(encode="index").category_sizes gives them')),
    (lambda: FeatureEmbedding(3, {0: 2})(np.zeros((4, 3))),
     "FeatureEmbedding(3, 3) expects examples as columns, shape (3, N), and got shape (4, 3): X.T fits"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(raised, ask, message):
    assert raised(ValueError, ask) == message
