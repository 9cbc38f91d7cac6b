"""Contributions of features: against closed forms, paths one by one, central differences, and what must add up."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn

attribution = tn.attribution


def network(sizes, activation="tanh", last=None, seed=0, dtype=None, bias=True):
    rng = np.random.default_rng(seed)
    names = [activation] * (len(sizes) - 2) + [last]
    layers = [
        tn.nn.Dense(a, b, f, rng=rng, dtype=dtype, bias=bias)
        for (a, b), f in zip(itertools.pairwise(sizes), names, strict=True)
    ]
    model = tn.nn.Sequential(*layers)
    for p in model.parameters():
        if p.shape[-1] == 1 and p.name.startswith("b"):
            p.data[...] = rng.normal(size=p.shape)
    return model


@pytest.fixture
def X():
    return np.random.default_rng(5).normal(size=(4, 7))


# --- closed forms ----------------------------------------------------------------------------------------------------


def test_a_linear_model_contributes_weight_times_difference(X):
    model = network([4, 3], seed=1)
    W, b = model[0].W.numpy(), np.array([0.5, -1.0, 2.0, 0.0])
    for k in range(3):
        here = attribution.gradient_input(model, X, k)
        assert here.values == pytest.approx(W[k][:, np.newaxis] * X)
        assert here.gap == pytest.approx(model[0].b.numpy()[k, 0])
        line = attribution.integrated_gradients(model, X, k, baseline=b)
        assert line.values == pytest.approx(W[k][:, np.newaxis] * (X - b[:, np.newaxis]))
        assert line.gap == pytest.approx(0, abs=1e-12)
        assert line.reference == pytest.approx(W[k] @ b + model[0].b.numpy()[k, 0])
        assert attribution.by_path(model, X, k).layers == ()


def test_many_baselines_of_a_linear_model_are_their_mean(X):
    model, many = network([4, 2]), np.random.default_rng(0).normal(size=(4, 9))
    found = attribution.integrated_gradients(model, X, 1, baseline=many)
    W = model[0].W.numpy()[1][:, np.newaxis]
    assert found.values == pytest.approx(W * (X - many.mean(axis=1, keepdims=True)))
    assert found.reference == pytest.approx(model(many).numpy()[1].mean())
    assert found.method == "expected gradients, 9 baselines"


def test_many_baselines_are_the_mean_of_each(X):
    model, many = network([4, 5, 1], "relu"), np.random.default_rng(0).normal(size=(4, 3))
    together = attribution.integrated_gradients(model, X, baseline=many, tolerance=1e-6)
    each = [attribution.integrated_gradients(model, X, baseline=b, tolerance=1e-6).values for b in many.T]
    assert together.values == pytest.approx(np.mean(each, axis=0), abs=1e-5)


def test_both_factors_of_a_product_are_as_important():
    found = attribution.integrated_gradients(lambda X: X[:1] * X[1:], np.array([[3.0, -2.0], [4.0, 5.0]]))
    assert found.values == pytest.approx(np.array([[6.0, -5.0], [6.0, -5.0]]))


@pytest.mark.parametrize("power", [2, 3, 6])
def test_the_integral_of_a_power_is_exact(power):
    found = attribution.integrated_gradients(lambda X: X[:1] ** power + X[1:], np.array([[1.5], [2.0]]))
    assert found.values[:, 0] == pytest.approx([1.5**power, 2.0], rel=1e-3)


def test_a_kink_is_found():
    """max(x + y − 1, 0) along the diagonal: flat at first, then of slope 1."""
    found = attribution.integrated_gradients(lambda X: tn.relu(X[:1] + X[1:] - 1), np.array([[1.0], [1.0]]))
    assert found.values[:, 0] == pytest.approx([0.5, 0.5], abs=1e-3)
    few = attribution.integrated_gradients(lambda X: tn.relu(X[:1] + X[1:] - 0.9), np.array([[1.0], [1.0]]), steps=3)
    assert abs(few.gap[0]) > 0.01, "three points do not see where the kink is, and say so"


def test_what_cancels_in_the_sum_is_looked_at_too():
    """relu(x) − relu(y) with kinks in the middle: the sum is 0 everywhere, the parts are not."""
    model = network([2, 2, 1], "relu")
    model.load_state_dict({
        "layers.0.W": np.eye(2), "layers.0.b": [[-0.37], [-0.37]], "layers.1.W": [[1.0, -1.0]], "layers.1.b": [[0.0]],
    })  # fmt: skip
    found = attribution.integrated_gradients(model, np.ones((2, 1)))
    assert found.values[:, 0] == pytest.approx([0.63, -0.63], abs=2e-3)


# --- paths one by one ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_contributions_by_unit_are_the_sums_of_the_paths_through_it(activation):
    model, x = network([3, 4, 3, 2], activation, seed=3), np.array([[0.5], [-1.0], [2.0]])
    result = attribution.by_path(model, x, 1)
    X = tn.tensor(x, requires_grad=True, name="X")
    z = model(X)[1, 0]
    for i in range(3):
        sums = {"A¹": np.zeros(4), "A²": np.zeros(3)}
        for path in tn.paths(z, X, at=(i, 0)):
            at = {node.tensor.name: node.at[0] for node in path.nodes if node.at}
            for name, total in sums.items():
                total[at[name]] += path.contribution * x[i, 0]
        for layer in result.layers:
            assert layer.contributions[i, :, 0] == pytest.approx(sums[layer.name], abs=1e-12)


def test_incoming_flows_are_the_sums_of_the_paths_along_them():
    model, x = network([3, 4, 3, 1], seed=4), np.array([[0.5], [-1.0], [2.0]])
    X = tn.tensor(x, requires_grad=True, name="X")
    edges = np.zeros((4, 3))
    for i in range(3):
        for path in tn.paths(model(X)[0, 0], X, at=(i, 0)):
            at = {node.tensor.name: node.at[0] for node in path.nodes if node.at}
            edges[at["A¹"], at["A²"]] += path.contribution * x[i, 0]
    first, second = attribution.by_path(model, x).layers
    assert second.incoming[:, :, 0] == pytest.approx(edges)
    assert np.array_equal(first.incoming, first.contributions)
    assert second.incoming[:, :, 0].sum(axis=1) == pytest.approx(first.carried[:, 0])  # what enters a unit leaves it
    assert second.incoming[:, :, 0].sum(axis=0) == pytest.approx(second.carried[:, 0])


def test_layers_are_what_all_paths_go_through():
    rng = np.random.default_rng(0)
    model = tn.nn.Sequential(
        tn.nn.Dense(3, 4, "tanh", rng=rng), tn.nn.Residual(tn.nn.Dense(4, 4, "relu", rng=rng)), tn.nn.BatchNorm(4),
        tn.nn.Dropout(0.5), tn.nn.Dense(4, 2, rng=rng),
    )  # fmt: skip
    X = rng.normal(size=(3, 5))
    result = attribution.by_path(model, X, 0)
    assert [layer.name for layer in result.layers] == ["A¹", "batchnorm²"]
    for layer in result.layers:
        assert layer.contributions.sum(axis=1) == pytest.approx(result.values)
    inside = attribution.by_path(model, X, 0, of="probability")
    assert [layer.name for layer in inside.layers] == ["A¹", "batchnorm²", "Z³"]  # p is made of both logits
    assert inside.layers[-1].contributions.sum(axis=1) == pytest.approx(inside.values)
    assert model.training


def test_images_and_convolutions():
    kernel = np.random.default_rng(0).normal(size=(2, 1, 3, 3))

    class Net(tn.nn.Module):
        def __init__(self):
            self.K = tn.tensor(kernel, requires_grad=True)
            self.flat, self.out = tn.nn.Flatten(), tn.nn.Dense(2 * 4 * 4, 3, rng=0)

        def forward(self, X):
            maps = tn.conv2d(X.transpose((3, 0, 1, 2)), self.K).transpose((1, 2, 3, 0))
            return self.out(self.flat(tn.relu(maps)))

    X = np.random.default_rng(1).normal(size=(1, 6, 6, 2))
    result = attribution.by_path(Net(), X, 2)
    assert result.values.shape == X.shape
    assert result.feature_names[7] == "x[0, 1, 1]"
    (layer,) = result.layers
    assert layer.contributions.shape == (36, 32, 2)
    assert layer.contributions.sum(axis=1).reshape(X.shape) == pytest.approx(result.values)


# --- what must hold of any network -----------------------------------------------------------------------------------

networks = st.builds(
    network,
    st.lists(st.integers(1, 6), min_size=2, max_size=5),
    st.sampled_from(["tanh", "relu", "sigmoid", "gelu", "leaky_relu"]),
    seed=st.integers(0, 1000),
)


def batch(model, n, seed):
    return np.random.default_rng(seed).normal(size=(model[0].in_features, n)) * 2


@settings(max_examples=40)
@given(networks, st.integers(1, 4), st.integers(0, 100), st.sampled_from(["output", "probability", "log_odds"]))
def test_integrated_gradients_add_up_to_the_difference(model, n, seed, of):
    X = batch(model, n, seed)
    of = "output" if model[-1].out_features < 2 else of
    found = attribution.integrated_gradients(model, X, 0, of=of)
    sizes = np.abs(found.values).sum(axis=0) + np.abs(found.outputs - found.reference)
    assert (np.abs(found.gap) <= 1e-2 * sizes + 1e-5).all()
    assert found.outputs - found.reference - found.values.sum(axis=0) == pytest.approx(found.gap)


@settings(max_examples=30)
@given(networks, st.integers(1, 3), st.integers(0, 100), st.sampled_from([None, "zeros"]))
def test_nothing_is_lost_from_layer_to_layer(model, n, seed, baseline):
    X = batch(model, n, seed)
    found = attribution.by_path(model, X, 0, baseline=baseline)
    scale = np.abs(found.values).max(initial=1e-9)
    assert len(found.layers) == len(model) - 1
    before = found.values
    for layer in found.layers:
        assert layer.contributions.sum(axis=1) == pytest.approx(found.values, abs=1e-9 * scale)
        assert layer.incoming.sum(axis=1) == pytest.approx(before, abs=1e-9 * np.abs(layer.incoming).max(initial=scale))
        assert layer.incoming.sum(axis=0) == pytest.approx(
            layer.carried, abs=1e-9 * np.abs(layer.incoming).max(initial=scale)
        )
        before = layer.carried


@settings(max_examples=25)
@given(networks, st.integers(0, 100))
def test_gradients_are_central_differences(model, seed):
    X = batch(model, 2, seed) + 0.01
    found, h = attribution.gradient_input(model, X, 0), 1e-6
    for i in range(len(X)):
        step = np.zeros_like(X)
        step[i] = h
        slopes = (model(X + step).numpy()[0] - model(X - step).numpy()[0]) / (2 * h)
        near_kink = (np.abs(slopes) < 1e30) & (np.abs(slopes * X[i] - found.values[i]) > 1e-4)
        assert not near_kink.any()


@settings(max_examples=20)
@given(networks, st.integers(0, 50))
def test_examples_do_not_know_of_each_other(model, seed):
    X = batch(model, 4, seed)
    for ask in (attribution.gradient_input, attribution.integrated_gradients, attribution.by_path):
        together = ask(model, X, 0)
        for i, one in enumerate(together):
            assert one.values == pytest.approx(ask(model, X[:, [i]], 0).values, abs=1e-9)
            assert len(one) == 1


# --- which number ----------------------------------------------------------------------------------------------------


def test_probability_and_log_odds_of_softmax(X):
    model = network([4, 5, 3])
    logits = model(X).numpy()
    P = np.exp(logits) / np.exp(logits).sum(axis=0)
    for k in range(3):
        p = attribution.gradient_input(model, X, k, of="probability")
        assert p.outputs == pytest.approx(P[k])
        odds = attribution.gradient_input(model, X, k, of="log_odds")
        assert odds.outputs == pytest.approx(np.log(P[k] / (1 - P[k])))
        assert p.values == pytest.approx(odds.values * P[k] * (1 - P[k]))
    ends = network([4, 5, 3], last="softmax")
    ends.load_state_dict(model.state_dict())
    assert attribution.gradient_input(ends, X, 2).outputs == pytest.approx(P[2])
    assert attribution.gradient_input(ends, X, 2).explained == "probability of class 2"
    for of in ("probability", "log_odds"):
        ours, theirs = (attribution.gradient_input(m, X, 2, of=of) for m in (model, ends))
        assert ours.values == pytest.approx(theirs.values)


def test_log_odds_are_finite_where_a_class_is_certain():
    model = network([1, 2])
    model.load_state_dict({"layers.0.W": [[1000.0], [-1000.0]], "layers.0.b": [[0.0], [0.0]]})
    with np.errstate(all="raise"):
        found = attribution.integrated_gradients(model, np.array([[1.0, -1.0]]), 0, of="log_odds")
    assert found.values == pytest.approx(np.array([[2000.0, -2000.0]]))


@pytest.mark.parametrize("last", [None, "sigmoid"])
def test_one_output_is_class_1_of_two(X, last):
    model = network([4, 5, 1], last=last)
    for of in ("output", "probability", "log_odds"):
        no, yes = (attribution.gradient_input(model, X, k, of=of, class_names=["no", "yes"]) for k in ("no", "yes"))
        assert no.values == pytest.approx(-yes.values)
        probability = of == "probability" or (of == "output" and last is not None)
        assert no.outputs == pytest.approx(probability - yes.outputs)
        assert attribution.gradient_input(model, X, of=of, class_names=["no", "yes"]).values == pytest.approx(
            yes.values
        )
    words = "probability" if last else "logit"
    assert attribution.gradient_input(model, X, class_names=["no", "yes"]).explained == f"{words} of yes"
    assert attribution.gradient_input(model, X).explained == "output"


def test_by_default_the_class_that_is_predicted(X):
    model = network([4, 5, 3], seed=2)
    X = 4 * X
    found, predicted = attribution.gradient_input(model, X), model(X).numpy().argmax(axis=0)
    assert len(set(predicted)) > 1
    assert found.explained == "logit of the predicted class"
    for i, k in enumerate(predicted):
        assert found.values[:, i] == pytest.approx(attribution.gradient_input(model, X, int(k)).values[:, i])
        assert found[i].explained == f"logit of class {k}"
    asked = attribution.gradient_input(model, X, [0, 1, 2, 0, 1, 2, 0])
    assert asked.values[:, 4] == pytest.approx(attribution.gradient_input(model, X, 1).values[:, 4])


# --- estimators ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wine():
    data = pytest.importorskip("sklearn.datasets").load_wine()
    X = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    y = np.array(["barolo", "grignolino", "barbera"])[data.target]
    return X, y, data.feature_names


@pytest.fixture(scope="module")
def classifier(wine):
    X, y, _ = wine
    settings = {"max_iter": 30, "learning_rate_init": 0.01, "tol": None, "random_state": 0}
    return tn.sklearn.MLPClassifier((6,), "tanh", **settings).fit(X, y)


def test_estimators_take_rows_and_know_their_classes(wine, classifier):
    X, _, names = wine
    found = attribution.integrated_gradients(classifier, X[:9], "barbera", feature_names=names, tolerance=1e-6)
    k = list(classifier.classes_).index("barbera")
    inside = attribution.integrated_gradients(classifier.model_, X[:9].T, k, tolerance=1e-6)
    assert found.values.shape == (9, 13)
    assert found.values == pytest.approx(inside.values.T)
    assert found.explained == "logit of barbera"
    p = attribution.gradient_input(classifier, X[:9], "barbera", of="probability")
    assert p.outputs == pytest.approx(classifier.predict_proba(X[:9])[:, k])
    paths = attribution.by_path(classifier, X[:9], "barbera")
    assert paths.layers[0].contributions.shape == (9, 13, 6)
    assert paths.layers[0].contributions.sum(axis=2) == pytest.approx(paths.values)
    assert paths.layers[0].values.shape == (9, 6)
    assert paths[2].layers[0].carried.shape == (1, 6)
    assert len(paths.layers[0].top(4)) == 4


def test_estimators_that_predict_numbers(wine):
    X, *_ = wine
    one = tn.sklearn.MLPRegressor((5,), max_iter=5, tol=None, random_state=0).fit(X, X[:, 0])
    assert attribution.gradient_input(one, X).outputs == pytest.approx(one.predict(X))
    two = tn.sklearn.MLPRegressor((5,), max_iter=5, tol=None, random_state=0).fit(X, X[:, :2])
    with pytest.raises(ValueError, match=r"the model has 2 outputs: output= says which is to be explained"):
        attribution.gradient_input(two, X)
    assert attribution.gradient_input(two, X, 1).outputs == pytest.approx(two.predict(X)[:, 1])
    with pytest.raises(ValueError, match="of='probability' is for classes, and MLPRegressor predicts numbers"):
        attribution.gradient_input(one, X, of="probability")


@pytest.fixture(scope="module")
def penguins():
    """A table with text and gaps, and predictors of a class and of a number trained on it."""
    table, found = tn.data.load_table(tn.data.penguins_csv())[::4], {}
    for target, loss in [("species", tn.cross_entropy), ("body_mass_g", tn.mse)]:
        usable = table if target == "species" else table[np.isfinite(table["body_mass_g"])]
        preprocessor = tn.data.Preprocessor(target=target).fit(usable)
        model = tn.nn.Sequential(
            tn.nn.Dense(preprocessor.n_features, 5, "tanh", rng=0), tn.nn.Dense(5, preprocessor.n_outputs, rng=1)
        )
        optimizer = tn.optim.Adam(model.parameters(), lr=0.05)
        tn.fit(model, loss, optimizer, preprocessor.pair(usable), epochs=3, rng=0, progress=False)
        found[target] = tn.nn.Predictor(model, preprocessor)
    return table, found


METHODS = [
    attribution.gradient_input,
    attribution.integrated_gradients,
    attribution.by_path,
]


@pytest.mark.parametrize("method", METHODS)
def test_predictors_take_tables_and_know_their_names(penguins, method):
    table, models = penguins
    model = models["species"]
    X = model.preprocessor.transform(table)
    found = method(model, table, "Gentoo")
    names = {"feature_names": model.preprocessor.feature_names, "class_names": model.classes_.tolist()}
    inside = method(model.network, X, "Gentoo", **names)
    assert np.array_equal(found.values, inside.values)
    assert np.array_equal(method(model, X, "Gentoo").values, inside.values)
    assert (found.table(), found.feature_names) == (inside.table(), tuple(model.preprocessor.feature_names))
    assert found.explained == "logit of Gentoo"
    likely = method(model, table, "Gentoo", of="probability")
    assert likely.outputs == pytest.approx(model.predict_proba(table)[:, list(model.classes_).index("Gentoo")])
    if method is not attribution.gradient_input:
        over = method(model, table[:5], "Gentoo", baseline=table[5:8])
        assert np.allclose(over.values, method(model.network, X[:, :5], 2, baseline=X[:, 5:8]).values)


def test_predictors_of_numbers_and_of_arrays(penguins, raised):
    table, models = penguins
    model = models["body_mass_g"]
    found = attribution.gradient_input(model, table)
    assert found.explained == "output body_mass_g"
    assert np.allclose(found.outputs, model.predict(table))
    named = attribution.integrated_gradients(model, table[:4], "body_mass_g", baseline="mean")
    assert np.allclose(named.outputs, model.predict(table[:4]))
    assert np.abs(named.gap).max() < 1
    in_deviations = attribution.integrated_gradients(
        model.network, model.preprocessor.transform(table[:4]), 0, baseline="mean"
    )
    assert np.allclose(named.values, in_deviations.values * model.preprocessor.target_.scale[0])
    assert raised(ValueError, attribution.gradient_input, model, table, of="probability") == (
        "gradient_input: of='probability' is for classes, and Predictor predicts numbers"
    )
    inner, X = network([4, 3, 2]), np.random.default_rng(0).normal(size=(4, 6))
    for examples, mine in [("rows", X.T), ("columns", X)]:
        model = tn.nn.Predictor(inner, classes=["no", "yes"], examples=examples)
        found = attribution.integrated_gradients(model, mine, "yes", baseline="mean")
        assert found.values.shape == mine.shape
        expected = attribution.integrated_gradients(inner, X, 1, baseline="mean").values
        assert np.array_equal(found.values, expected.T if examples == "rows" else expected)
        assert found.explained == "logit of yes"


def test_data_frames_name_their_features(wine):
    pandas = pytest.importorskip("pandas")
    X, y, names = wine
    frame = pandas.DataFrame(X, columns=names)
    model = tn.sklearn.MLPClassifier((4,), max_iter=2, tol=None, random_state=0).fit(frame, y)
    assert attribution.gradient_input(model, frame).feature_names == tuple(names)
    assert attribution.gradient_input(model.model_, frame.T).feature_names == tuple(names)


def test_numbers_as_labels(wine):
    X, _, _ = wine
    y = np.where(X[:, 0] > 0, 7, 3)
    model = tn.sklearn.MLPClassifier((4,), max_iter=2, tol=None, random_state=0).fit(X, y)
    assert attribution.gradient_input(model, X, 7).explained == "logit of 7"
    with pytest.raises(ValueError, match="there is no output 1; there are 3, 7"):
        attribution.gradient_input(model, X, 1)


# --- how it is shown -------------------------------------------------------------------------------------------------


def test_table_of_one_example():
    model = tn.nn.Dense(2, 1)
    model.load_state_dict({"W": [[2.0, -1.0]], "b": [[0.5]]})
    found = attribution.integrated_gradients(model, [[3.0], [4.0]], baseline=[1.0, 1.0], feature_names=["w|d", "h"])
    assert str(found).splitlines()[:4] == [
        "Where the output came from: integrated gradients",
        "                      value  baseline  contribution    share",
        "w|d                       3         1             4  57.14 %  ▓▓▓▓▓▓▓▓▓▓▓▓",
        "h                         4         1            −3  42.86 %  ░░░░░░░░░",
    ]
    assert [line.split("  ")[0] for line in str(found).splitlines()[5:]] == [
        "sum of contributions", "at the baseline", "gap", "output",
    ]  # fmt: skip
    assert "| w\\|d | 3 | 1 | 4 | 57.14 % |" in found.table("markdown")
    html = found.table("html")
    assert "rgba(0,114,178" in html
    assert "rgba(213,94,0" in html
    assert set(found._repr_mimebundle_()) == {"text/html", "text/markdown", "text/plain"}
    assert repr(found) == "<integrated gradients: output, 1 example; w|d 4, h −3>"


def test_a_mean_that_is_zero_but_for_rounding_is_shown_as_zero():
    model, X = network([2, 1]), np.random.default_rng(0).normal(size=(2, 9))
    X -= X.mean(axis=1, keepdims=True)
    for baseline in (X, X.mean(axis=1)):
        rows = attribution.integrated_gradients(model, X[:, :1], baseline=baseline).table().splitlines()[2:4]
        assert [row.split()[2] for row in rows] == ["0", "0"]


def test_names_are_escaped():
    found = attribution.gradient_input(tn.nn.Dense(1, 1), [[1.0]], feature_names=['<b>&"x'])
    assert "<b>" not in found.table("html")
    assert "&lt;b&gt;" in found.table("html")
    assert "<b>" not in attribution.by_path(tn.nn.Dense(1, 1), [[1.0]], feature_names=["<b>x"]).draw().svg()


def test_table_of_several_sorts_by_size_and_keeps_the_rest(X):
    found = attribution.gradient_input(network([4, 1]), X)
    text = found.table(most=2)
    assert "over 7 examples" in text
    assert "\n2 more" in text
    sizes = np.abs(found.values).mean(axis=1)
    assert [name for name, _ in found.top(4)] == [f"x{'₁₂₃₄'[i]}" for i in np.argsort(-sizes)]
    assert dict(found.top(4))["x₂"] == pytest.approx(found.values[1].mean())


def test_some_examples(X):
    found = attribution.by_path(network([4, 3, 2]), X, 1, baseline="mean")
    for some in (2, slice(1, 4), [0, 5], np.arange(7) > 3, -1):
        part = found[some]
        expected = found.values[:, [some]] if isinstance(some, int) else found.values[:, some]
        assert np.array_equal(part.values, expected)
        assert part.layers[0].contributions.shape == (4, 3, len(part))
    with pytest.raises(IndexError, match="example 7 of 7"):
        found[7]


def flow_of(picture):
    """What arrows carry into and out of each box, by their tooltips."""
    into, out = {}, {}
    for arrow in picture.scene.arrows:
        carried = float(arrow.tooltip.removeprefix("carries ").replace("−", "-"))
        into[arrow.target] = into.get(arrow.target, 0) + carried
        out[arrow.source] = out.get(arrow.source, 0) + carried
    return into, out


@pytest.mark.parametrize("baseline", [None, "zeros"])
@pytest.mark.parametrize("n", [1, 5])
def test_the_picture_keeps_the_sum_at_every_box(baseline, n):
    model = network([20, 12, 9, 3], "relu")
    X = np.random.default_rng(0).normal(size=(20, n))
    found = attribution.by_path(model, X, 0, baseline=baseline)
    picture = found.draw(3)
    into, out = flow_of(picture)
    total = found.values.sum(axis=0).mean()
    assert into["output"] == pytest.approx(total, abs=1e-2)
    for box in picture.scene.boxes:
        if box.id in into and box.id in out:
            assert into[box.id] == pytest.approx(out[box.id], abs=1e-2)
    assert [box.title for box in picture.scene.boxes if box.id.startswith("rest")] == [
        "… 17 more",
        "… 9 more",
        "… 6 more",
    ]
    assert picture.scene.table.ok
    assert picture.scene.table.check == "the same sum runs through A¹ and A²"
    assert float(picture.scene.table.total.replace("−", "-")) == pytest.approx(total, rel=1e-3)


def test_signs_have_colours_and_dashes():
    model = tn.nn.Dense(2, 1, bias=False)
    model.load_state_dict({"W": [[1.0, -0.5]]})
    picture = attribution.by_path(model, [[1.0], [1.0]], feature_names=["up", "down"]).draw()
    assert [arrow.flow for arrow in picture.scene.arrows] == [-0.5, 1.0]
    assert "style=dashed" in picture.source
    assert picture.scene.title == "Where the output = 0.5 came from: gradient × input, by path"


def test_every_result_is_drawn_by_its_paths_and_not_by_another_model(X):
    model = network([4, 3, 2])
    found = attribution.integrated_gradients(model, X, 1, baseline=np.ones(4))
    assert "Means over 7 examples" in found.draw().text()
    assert found[3].draw(title="One").scene.title == "One"
    model[0].W.data *= 2
    with pytest.raises(tn.MutationError, match="the model says something else now"):
        found.draw()


# --- what does not fit -----------------------------------------------------------------------------------------------


def test_nothing_of_the_model_changes(X):
    model = network([4, 3, 2])
    state = model.state_dict()
    attribution.by_path(model, X, baseline="mean").draw()
    with tn.no_grad():
        attribution.integrated_gradients(model, X)
    assert all(np.array_equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))
    assert all(p.grad is None for p in model.parameters())
    frozen = network([4, 3, 2])
    for p in frozen.parameters():
        p.requires_grad = False
    assert attribution.by_path(frozen, X, 0).values == pytest.approx(attribution.by_path(model, X, 0).values)


def test_float32_stays_float32(X):
    model = network([4, 3, 1], dtype=np.float32)
    found = attribution.integrated_gradients(model, X)
    assert found.inputs.dtype == np.float32
    assert np.abs(found.gap).max() < 1e-3


def test_a_model_that_does_not_look_at_its_input(X):
    found = attribution.integrated_gradients(lambda x: 0 * x[:1] + 2, X)
    assert not found.values.any()
    assert "NaN" not in str(found)
    bias_only = tn.nn.Dense(4, 1, init="zeros")
    assert not attribution.by_path(bias_only, X).values.any()
    assert attribution.by_path(bias_only, X).draw().scene.arrows == ()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"X": np.ones((7, 4))}, ValueError, "X has shape (7, 4), expected (4, N); X.T fits"),
        ({"X": np.ones(4)}, ValueError, "X has shape (4,), expected (features, N); X.reshape(-1, 1) makes one example"),
        ({"X": np.ones((4, 0))}, ValueError, "so there is no example to explain"),
        ({"X": np.array([["a"]] * 4)}, TypeError, "X is of dtype <U1, expected numbers"),
        ({"X": np.full((4, 1), np.nan)}, ValueError, "X[0, 0] is nan, and contributions need finite numbers"),
        ({"of": "logit"}, ValueError, "of='logit', expected 'output', 'probability' or 'log_odds'"),
        ({"output": 2}, ValueError, "there is no output 2; there are 'class 0', 'class 1'"),
        ({"output": "cat"}, ValueError, "there is no output 'cat'"),
        ({"output": [0, 1]}, ValueError, "output= has shape (2,), expected one class, or one for each of 7"),
        ({"class_names": ["a"]}, ValueError, "1 class_names for a model with 2 outputs, expected 2"),
        ({"feature_names": ["a"]}, ValueError, "1 feature_names for 4 features"),
        ({"baseline": "ones"}, ValueError, "baseline='ones', expected 'zeros', 'mean' or numbers"),
        ({"baseline": np.ones(3)}, ValueError, "baseline has shape (3,)"),
        ({"baseline": "mean", "X": np.ones((4, 1))}, ValueError, "the mean of a single example is the example"),
        ({"steps": 0}, ValueError, "steps=0, expected a number of points"),
        ({"tolerance": 0}, ValueError, "tolerance=0, expected a part such as 1e-3"),
        ({"model": "net"}, TypeError, "the model is of type str, expected a module, an estimator of tn.sklearn"),
        ({"model": lambda x: x.numpy()}, TypeError, "the model returned ndarray, expected a tensor (outputs, N)"),
        ({"model": lambda x: x.sum()}, ValueError, "the model made () of 7 examples, expected (outputs, 7)"),
        ({"model": lambda x: x - x.mean()}, ValueError, "the model says other things about an example alone"),
    ],
)
def test_errors_say_what_was_expected(X, raised, change, error, text):
    arguments = {"model": network([4, 3, 2]), "X": X} | change
    said = raised(error, attribution.integrated_gradients, arguments.pop("model"), arguments.pop("X"), **arguments)
    assert text in said
    assert said.startswith(("integrated_gradients: ", "attribution: "))


def test_models_without_derivatives_are_refused_with_a_way_out(wine, raised):
    pipeline = pytest.importorskip("sklearn.pipeline")
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    X, _, _ = wine
    said = raised(TypeError, attribution.by_path, LogisticRegression(), X)
    assert said == "by_path: the LogisticRegression has no network of tinygrad_nn to differentiate"
    said = raised(ValueError, attribution.by_path, tn.sklearn.MLPClassifier(), X)
    assert said == "by_path: the MLPClassifier is not fitted yet: call fit first"
    both = pipeline.make_pipeline(StandardScaler(), tn.sklearn.MLPClassifier())
    assert "explain model[-1] on model[:-1].transform(X)" in raised(TypeError, attribution.by_path, both, X)


def test_too_many_numbers_are_refused(raised):
    model = network([1000, 600, 1])
    said = raised(ValueError, attribution.by_path, model, np.ones((1000, 100)))
    assert "1000 features and layers of 600 units make 600,000 numbers for each of 100 examples" in said
    assert "take fewer examples at once" in said


def test_kinds_of_outputs_without_probabilities(X, raised):
    model = network([4, 3], last="relu")
    assert "needs outputs that are logits or probabilities" in raised(
        ValueError, attribution.gradient_input, model, X, 0, of="probability"
    )


# --- peers -----------------------------------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("activation", ["Tanh", "ReLU"])
def test_the_same_as_captum(X, activation):
    torch = pytest.importorskip("torch")
    captum = pytest.importorskip("captum.attr")
    ours = network([4, 6, 5, 3], activation.lower())
    kind = getattr(torch.nn, activation)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(4, 6), kind(), torch.nn.Linear(6, 5), kind(), torch.nn.Linear(5, 3)
    ).double()
    with torch.no_grad():
        for layer, dense in zip((theirs[0], theirs[2], theirs[4]), ours, strict=True):
            layer.weight.copy_(torch.tensor(dense.W.numpy()))
            layer.bias.copy_(torch.tensor(dense.b.numpy()[:, 0]))
    rows, zeros = torch.tensor(X.T, requires_grad=True), torch.zeros(7, 4, dtype=torch.float64)
    expected = captum.InputXGradient(theirs).attribute(rows, target=2).detach().numpy()
    np.testing.assert_allclose(attribution.gradient_input(ours, X, 2).values.T, expected)
    expected = captum.IntegratedGradients(theirs).attribute(rows, zeros, target=2, n_steps=4000).detach().numpy()
    found = attribution.integrated_gradients(ours, X, 2, tolerance=1e-6)
    np.testing.assert_allclose(found.values.T, expected, atol=2e-3)
    conductance = captum.LayerConductance(theirs, theirs[1]).attribute(rows, zeros, target=2, n_steps=4000)
    by_unit = attribution.by_path(ours, X, 2, baseline="zeros", tolerance=1e-6).layers[0].carried.T
    assert by_unit == pytest.approx(conductance.detach().numpy(), abs=2e-3)
