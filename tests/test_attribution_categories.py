"""Contributions of categories that an embedding looks up: the sum over their vectors, and no silent 0."""

import numpy as np
import pytest

import tinygrad_nn as tn

attribution = tn.attribution
METHODS = [attribution.gradient_input, attribution.integrated_gradients, attribution.by_path]
X = np.array([[0.5, -1.0, 2.0, 0.3], [2, 0, 1, 3], [1.5, 0.2, -0.7, 1.0], [1, 2, 2, 0]])
SIZES = {1: 4, 3: 3}


@pytest.fixture
def layer():
    return tn.nn.FeatureEmbedding(4, SIZES, 3, rng=0)


@pytest.fixture
def model(layer):
    hidden = tn.nn.Dense(layer.out_features, 5, "tanh", rng=1)
    return tn.nn.Sequential(layer, tn.nn.Sequential(hidden, tn.nn.Dense(5, 3, rng=2)))


def by_hand(layer, w):
    """What each feature adds to w · features: numbers times theirs, vectors times those of their category."""
    found = np.zeros_like(X)
    found[[0, 2]] = w[:2, np.newaxis] * X[[0, 2]]
    for row, E, part in zip(SIZES, layer.embeddings, (w[2:5], w[5:]), strict=True):
        found[row] = part @ (E.W.numpy() * (np.arange(SIZES[row]) > 0))[:, X[row].astype(int)]  # 0 has no vector
    return found


@pytest.mark.parametrize("method", METHODS)
def test_a_category_contributes_the_sum_over_its_vector(method, layer):
    linear = tn.nn.Dense(layer.out_features, 2, rng=3)
    found = method(tn.nn.Sequential(layer, linear), X, 1)
    assert found.values == pytest.approx(by_hand(layer, linear.W.numpy()[1]))
    assert (np.abs(found.values[1]) > 0).tolist() == [True, False, True, True]  # category 0, the unknown, has zeros
    assert np.array_equal(found.inputs, X)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_what_the_columns_of_one_hot_contribute_together(method, model, layer):
    indicators = [(np.arange(1, n)[:, np.newaxis] == X[row]).astype(float) for row, n in SIZES.items()]
    one_hot = np.concatenate([X[[0, 2]], *indicators])
    W = np.zeros((layer.out_features, len(one_hot)))
    W[:2, :2] = np.eye(2)
    W[2:5, 2:5], W[5:, 5:] = (E.W.numpy()[:, 1:] for E in layer.embeddings)
    same = method(lambda Z: model[1](tn.tensor(W) @ Z), one_hot, 2, class_names=["a", "b", "c"])
    found = method(model, X, 2)
    together = np.stack([same.values[0], same.values[2:5].sum(axis=0), same.values[1], same.values[5:].sum(axis=0)])
    assert found.values == pytest.approx(together, abs=2e-3 * np.abs(together).max())
    assert found.outputs == pytest.approx(model(X).numpy()[2])


def test_lines_add_up_from_categories_too(model):
    for baseline in ("zeros", "mean", X[:, 0], X[:, 1:]):
        found = attribution.integrated_gradients(model, X, 0, baseline=baseline, tolerance=1e-6)
        assert np.abs(found.gap).max() < 1e-4
    zeros = attribution.integrated_gradients(model, X, 0)
    assert zeros.baselines.tolist() == [[0.0]] * 4
    mean = attribution.integrated_gradients(model, X, 0, baseline="mean")
    assert np.isnan(mean.baselines[[1, 3]]).all()
    assert mean.baselines[0] == pytest.approx(X[0].mean())
    itself = attribution.integrated_gradients(model, X, 0, baseline=X[:, 2])
    assert itself.baselines[:, 0].tolist() == X[:, 2].tolist()
    assert itself.values[:, 2] == pytest.approx(0)
    assert itself.values[3, 1] == 0  # the same category as the baseline's
    with pytest.raises(ValueError, match=r"X\[0\] is 0.5, expected a whole number"):
        attribution.integrated_gradients(model, X, 0, baseline=[0.0, 0.5, 0.0, 1.0])


def test_units_share_what_a_category_contributes(model):
    for baseline in (None, "zeros"):
        found = attribution.by_path(model, X, 1, baseline=baseline)
        (layer,) = found.layers
        assert layer.contributions.shape == layer.incoming.shape == (4, 5, 4)
        assert layer.contributions.sum(axis=1) == pytest.approx(found.values)
        assert found[2].layers[0].contributions == pytest.approx(layer.contributions[..., [2]])
        assert found[2].inputs.tolist() == X[:, [2]].tolist()
        assert found[1].draw().svg()
        assert found.draw().svg()


def test_tables_give_no_mean_of_categories(model):
    found = attribution.gradient_input(model, X, 0, feature_names=["size", "island", "mass", "sex"])
    rows = {line.split()[0]: line.split() for line in found.table().splitlines() if line}
    numbers = {name: [cell for cell in cells[1:] if cell[-1].isdigit()] for name, cells in rows.items()}
    assert (len(numbers["size"]), len(numbers["island"])) == (4, 3)
    assert "nan" not in found.table() + found[0].table() + found.draw().svg()
    one = {line.split()[0]: line.split() for line in found[0].table().splitlines() if line}
    assert one["island"][1] == "2"


def test_embeddings_of_several_categories_and_predictors():
    W = tn.nn.Embedding(4, 2, rng=0)
    linear = tn.nn.Dense(4, 1, rng=1)
    Z = np.array([[0, 3], [2, 2]])
    found = attribution.integrated_gradients(tn.nn.Sequential(W, linear), Z)
    w, E = linear.W.numpy()[0].reshape(2, 2), W.W.numpy()
    assert found.values == pytest.approx(np.stack([w[i] @ E[:, Z[i]] for i in range(2)]))
    assert np.isnan(found.baselines).all()  # no category has a vector of zeros
    table = tn.data.Table({"size": [1.0, 2, 8, 9], "kind": ["a", "b", "a", "b"], "sold": ["no", "no", "yes", "yes"]})
    preprocessor = tn.data.Preprocessor(target="sold", encode="index").fit(table)
    layer = tn.nn.FeatureEmbedding(2, preprocessor.category_sizes, rng=0)
    model = tn.nn.Predictor(tn.nn.Sequential(layer, tn.nn.Dense(layer.out_features, 2, rng=1)), preprocessor)
    for method in METHODS:
        assert np.abs(method(model, table).values[preprocessor.feature_names.index("kind")]).min() > 0


@pytest.mark.parametrize("method", METHODS)
def test_embeddings_elsewhere_in_a_model_are_refused(method, model):
    class Own(tn.nn.Module):
        def __init__(self, inner):
            self.inner = inner

        def forward(self, Z):
            return self.inner(Z)

    for hidden in (Own(model), lambda Z: model(Z)):
        with pytest.raises(TypeError) as refused:
            method(hidden, X, 0)
        assert str(refused.value).startswith(f"{method.__name__}: within the model an embedding looks up numbers of ")
        assert 'Preprocessor(encode="one_hot") makes a feature of each category' in str(refused.value)
    for p in model.parameters():
        p.requires_grad = False
    with pytest.raises(TypeError, match="within the model an embedding"):
        method(Own(model), X, 0)


def test_a_text_is_no_list_of_names():
    with pytest.raises(TypeError) as refused:
        attribution.gradient_input(tn.nn.Dense(11, 1, rng=0), np.ones((11, 1)), feature_names="abcdefghijk")
    assert str(refused.value) == (
        "gradient_input: feature_names='abcdefghijk', expected a list of 11 names, one for each feature"
    )
