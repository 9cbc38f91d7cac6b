"""What goes into the estimators and out of them: formats of rows, kinds of targets, names, and errors that say so."""

import numpy as np
import pytest
from scipy import sparse

import tinygrad_nn as tn

pytest.importorskip("sklearn")

from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tinygrad_nn.sklearn import MLPClassifier, MLPRegressor

X, y = load_iris(return_X_y=True)
SHORT = {"hidden_layer_sizes": (5,), "max_iter": 3, "tol": None, "random_state": 0}


def classifier(**settings):
    return MLPClassifier(**{**SHORT, **settings})


def regressor(**settings):
    return MLPRegressor(**{**SHORT, **settings})


# --- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array])
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "dok", "lil", "bsr"])
def test_sparse_rows_are_the_same_rows(kind, form):
    S = kind(X).asformat(form)
    dense, model = classifier().fit(X, y), classifier().fit(S, y)
    assert np.array_equal(model.predict_proba(S), dense.predict_proba(X))
    assert np.array_equal(model.partial_fit(S, y).predict(S), dense.partial_fit(X, y).predict(X))


@pytest.mark.parametrize("settings", [{"solver": "lbfgs"}, {"early_stopping": True, "validation_fraction": 0.2}])
def test_sparse_rows_for_what_sees_many(settings):
    S = sparse.csr_array(X)
    assert np.array_equal(classifier(**settings).fit(S, y).predict(S), classifier(**settings).fit(X, y).predict(X))


def test_many_sparse_rows_are_made_dense_some_at_a_time(monkeypatch):
    from tinygrad_nn.sklearn import rows

    model, sizes = classifier().fit(X, y), []
    monkeypatch.setattr(rows, "_PIECE", 4 * 20)
    columns = rows.columns
    monkeypatch.setattr(rows, "columns", lambda *of: sizes.append(columns(*of).shape) or columns(*of))
    assert np.allclose(model.predict_proba(sparse.csr_array(X)), model.predict_proba(X))
    assert set(sizes[:7]) == {(4, 20)}


@pytest.mark.parametrize(
    ("given", "trained"), [("int64", "float64"), ("bool", "float64"), ("float16", "float64"), ("float32", "float32")]
)
def test_dtypes(given, trained):
    model = classifier().fit(X.astype(given), y)
    assert {a.dtype.name for a in model.coefs_ + model.intercepts_} == {trained}
    assert model.predict_proba(X.astype(given)).dtype.name == trained
    assert classifier(solver="lbfgs").fit(X.astype(given), y).coefs_[0].dtype.name == trained


def test_rows_that_may_not_be_written(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped, labels = np.load(tmp_path / "X.npy", mmap_mode="r"), y.copy()
    labels.flags.writeable = False
    model = classifier().fit(mapped, labels).partial_fit(mapped, labels)
    assert np.array_equal(model.predict(mapped), classifier().fit(X, y).partial_fit(X, y).predict(X))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none(bad, raised):
    other = X.copy()
    other[3, 2] = bad
    expected = "contains NaN" if np.isnan(bad) else "contains infinity"
    for call in (classifier().fit, classifier(solver="lbfgs").fit, regressor().partial_fit):
        assert expected in raised(ValueError, call, other, y)
    assert expected in raised(ValueError, classifier().fit(X, y).predict, other)
    assert "y contains NaN" in raised(ValueError, regressor().fit, X, np.where(y == 0, np.nan, y))


def test_names_of_features(raised):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    frame["b"] = frame["b"].astype("float32")
    frame["c"] = frame["c"].astype(int)
    model = classifier().fit(frame, pandas.Series(y))
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.n_features_in_ == 4
    other = raised(ValueError, model.predict, frame.rename(columns={"d": "e"}))
    assert "feature names should match" in other
    assert "- e" in other
    assert "same order" in raised(ValueError, model.predict, frame[list("abdc")])
    with pytest.warns(UserWarning, match="X does not have valid feature names, but MLPClassifier was fitted with"):
        model.predict(frame.to_numpy())
    assert "could not convert string to float: 'x'" in raised(ValueError, classifier().fit, frame.assign(b="x"), y)
    assert not hasattr(classifier().fit(X, y), "feature_names_in_")


def test_another_number_of_features(raised):
    model = classifier().fit(X, y)
    said = "X has 3 features, but MLPClassifier is expecting 4 features as input"
    for call in (model.predict, model.predict_proba, lambda X: model.partial_fit(X, y)):
        assert said in raised(ValueError, call, X[:, :3])
    assert "Expected 2D array, got 1D array instead" in raised(ValueError, model.predict, X[0])


# --- a table with categories and gaps -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    age, city = rng.uniform(18, 80, 300), rng.choice(["Bonn", "Köln", "Mainz"], 300)
    answer = np.where((age > 45) ^ (city == "Köln"), "yes", "no")
    age[::17] = np.nan
    return pandas.DataFrame({"age": age, "city": city, "noise": rng.normal(size=300)}), answer


def prepared(network, **encoder):
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    columns = ColumnTransformer([("numbers", numbers, ["age", "noise"]), ("words", OneHotEncoder(**encoder), ["city"])])
    return make_pipeline(columns, network)


@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_a_pipeline_from_raw_rows(table, output):
    if output != "default":
        pytest.importorskip(output)
    frame, answer = table
    network = MLPClassifier((20,), "tanh", learning_rate_init=0.03, max_iter=80, tol=None, random_state=0)
    model = prepared(network, sparse_output=False).set_output(transform=output).fit(frame, answer)
    assert model.score(frame, answer) > 0.9
    assert model.classes_.tolist() == ["no", "yes"]
    assert model[:-1].get_feature_names_out().tolist() == (
        model[-1].feature_names_in_.tolist() if output != "default" else [*model[0].get_feature_names_out()]
    )
    assert np.array_equal(model.predict(frame), model.classes_[model.predict_proba(frame).argmax(axis=1)])


def test_a_confusion_matrix_of_raw_rows(table):
    plot = pytest.importorskip("tinygrad_nn.plot", exc_type=ImportError)
    frame, answer = table
    model = prepared(classifier(max_iter=30)).fit(frame, answer)
    rows = model[:-1].transform(frame)
    right = f"{(model.predict(frame) == answer).sum()} of 300 right"
    for given in ((model, frame), (model[-1], rows), (model[-1], np.ascontiguousarray(rows.T))):
        ax = plot.confusion_matrix(*given, answer)
        assert ax.get_title().startswith(right)
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["no", "yes"]


@pytest.mark.nightly  # processes take 10 s to start
def test_a_search_in_a_pipeline_in_two_processes(table):
    frame, answer = table
    network = MLPClassifier((20,), "tanh", max_iter=30, tol=None, random_state=0)
    grid = {"mlpclassifier__learning_rate_init": [1e-5, 0.03], "mlpclassifier__hidden_layer_sizes": [(20,)]}
    found = [GridSearchCV(prepared(network), grid, cv=3, n_jobs=n).fit(frame, answer) for n in (None, 2)]
    assert found[0].best_params_["mlpclassifier__learning_rate_init"] == 0.03
    assert np.array_equal(*[search.cv_results_["mean_test_score"] for search in found])
    assert np.array_equal(*[search.predict_proba(frame) for search in found])


# --- targets ---------------------------------------------------------------------------------------------------------


def test_labels_of_rows_that_have_several():
    Y = np.column_stack([y == 0, y < 2, X[:, 0] > 5.8]).astype(int)
    model = classifier(max_iter=200, learning_rate_init=0.02).fit(X, Y)
    P = model.predict_proba(X)
    assert np.array_equal(model.predict(X), P > 0.5)
    assert model.predict(X).shape == P.shape == Y.shape
    assert model.score(X, Y) > 0.8
    assert model.out_activation_ == "logistic"
    assert model.classes_.tolist() == [0, 1, 2]
    assert np.array_equal(classifier().fit(X, sparse.csr_array(Y)).predict(X), classifier().fit(X, Y).predict(X))
    assert classifier().partial_fit(X, Y).predict(X).shape == Y.shape


def test_targets_of_other_kinds(raised):
    for labels in (np.array(["a", "b", "c"])[y], np.array(["a", "b", "c"], dtype=object)[y], y == 1, y - 1):
        assert set(classifier(solver="lbfgs", max_iter=60).fit(X, labels).predict(X)) == set(labels)
    assert "Unknown label type: continuous" in raised(ValueError, classifier().fit, X, y + 0.5)
    said = raised(ValueError, classifier().fit, X, np.column_stack([y, y]))
    assert "y of shape (150, 2) has several classes for each row, which is not supported: give one column, or" in said
    assert "could not convert string to float" in raised(ValueError, regressor().fit, X, np.array(["a", "b", "c"])[y])
    with pytest.warns(DataConversionWarning):
        assert classifier().fit(X, y[:, np.newaxis]).predict(X).shape == (150,)
    with pytest.warns(DataConversionWarning):
        assert regressor().fit(X, y[:, np.newaxis]).predict(X).shape == (150,)


def test_one_class():
    model = classifier().fit(X, np.full(150, "only"))
    assert model.predict_proba(X[:2]).tolist() == [[1.0], [1.0]]
    assert model.predict(X[:2]).tolist() == ["only", "only"]


def test_logarithms_of_probabilities():
    model = classifier().fit(X, y)
    assert np.allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))


# --- bit by bit ------------------------------------------------------------------------------------------------------


def test_classes_of_which_there_are_no_rows_yet(raised):
    model = classifier(learning_rate_init=0.1)
    for label in ("b", "a", "b", "a"):
        model.partial_fit(X[:3], [label] * 3, classes=["a", "b", "c"])
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.predict_proba(X).shape == (150, 3)
    assert "needs classes=, all that there will be" in raised(ValueError, classifier().partial_fit, X, y)
    said = raised(ValueError, model.partial_fit, X[:3], ["a"] * 3, classes=["a", "b"])
    assert "classes=['a', 'b'] is not what the first call gave, ['a', 'b', 'c']; give it once" in said
    assert "y holds the class 'z', which is not one of" in raised(ValueError, model.partial_fit, X[:2], ["a", "z"])


def test_weights_of_classes_bit_by_bit(raised):
    weighed = classifier(class_weight={"a": 3.0}).partial_fit(X[:4], list("abba"), classes=["a", "b"])
    plain = classifier().partial_fit(X[:4], list("abba"), ["a", "b"], sample_weight=[3, 1, 1, 3])
    assert np.array_equal(weighed.coefs_[0], plain.coefs_[0])
    weighed.partial_fit(X[:2], ["b", "b"])  # without the class that has a weight
    said = raised(ValueError, classifier(class_weight={5: 1.0}).fit, X, y)
    assert "class_weight has a weight of 5, which is not one of the classes [0, 1, 2]" in said
    said = raised(ValueError, classifier(class_weight="balanced").partial_fit, X, y, classes=[0, 1, 2])
    assert "partial_fit sees some rows at a time, which do not say what class_weight='balanced' is" in said


def test_what_cannot_go_on_bit_by_bit(raised):
    said = raised(ValueError, classifier(early_stopping=True).partial_fit, X, y, classes=[0, 1, 2])
    assert "partial_fit does not support early_stopping=True" in said
    assert not hasattr(classifier(solver="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError) as error:
        classifier(solver="lbfgs").partial_fit(X, y)
    assert "solver='lbfgs' sees all rows at once: take solver='adam', or another optimiser" in str(
        error.value.__cause__
    )


@pytest.mark.parametrize(
    ("rows", "settings", "why"), [(1, {}, "X has 1 sample"), (9, {"batch_size": 1}, "batch_size=1")]
)
def test_batch_norm_of_one_row(rows, settings, why, raised):
    said = f"MLPClassifier: batch_norm=True needs batches of 2 rows or more, for their variance, and {why}: give more"
    model = classifier(batch_norm=True, **settings)
    assert said in raised(ValueError, model.partial_fit, X[:rows], y[:rows], classes=[0, 1, 2])
    assert said in raised(ValueError, model.fit, X[:rows], y[:rows])
    model = classifier(batch_norm=True, batch_size=50, max_iter=2).fit(X[:101], y[:101])  # 50 and 51
    assert model.predict(X[:1]).shape == (1,)


# --- going on --------------------------------------------------------------------------------------------------------


def test_a_warm_start_goes_on():
    once, twice = classifier(max_iter=6).fit(X, y), classifier(max_iter=3, warm_start=True).fit(X, y)
    first = twice.model_
    twice.fit(X, y)
    assert twice.model_ is first
    assert (twice.n_iter_, len(twice.loss_curve_), twice.t_) == (3, 6, once.t_)
    assert np.allclose(twice.loss_curve_[:4], once.loss_curve_[:4])  # the order of rows is drawn for each fit
    assert twice.set_params(solver="lbfgs", max_iter=20).fit(X, y).loss_ < once.loss_
    assert classifier().fit(X, y).fit(X, y).model_ is not first


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hidden_layer_sizes": (6,)}, "of hidden_layer_sizes=(5,), and now it is (6,)"),
        ({"activation": "tanh"}, "of activation='relu', and now it is 'tanh'"),
        ({"batch_norm": True}, "of batch_norm=False, and now it is True"),
        ({"dropout": 0.5}, "of dropout=0.0, and now it is 0.5"),
        ({"loss": "mse"}, "of last activation=None, and now it is 'softmax'"),
    ],
    ids=str,
)
def test_a_network_that_is_gone_on_with_is_the_one_there_was(settings, said, raised):
    model = classifier(warm_start=True).fit(X, y).set_params(**settings)
    warm = raised(ValueError, model.fit, X, y)
    assert f"MLPClassifier: warm_start=True goes on with the network there is, {said}: give data and settings" in warm
    assert f"MLPClassifier: partial_fit goes on with the network there is, {said}" in raised(
        ValueError, model.partial_fit, X, y
    )
    assert model.set_params(warm_start=False).fit(X, y).n_iter_ == 3


def test_data_that_a_warm_start_does_not_know(raised):
    model = classifier(warm_start=True).fit(X, y)
    assert "goes on with the classes [0, 1, 2], and y has [0, 1]" in raised(ValueError, model.fit, X[:100], y[:100])
    assert "of n_features_in_=4, and now it is 3" in raised(ValueError, model.fit, X[:, :3], y)
    numbers = regressor(warm_start=True).fit(X, y)
    assert "of n_outputs_=1, and now it is 2" in raised(ValueError, numbers.fit, X, np.column_stack([y, y]))


# --- stopping --------------------------------------------------------------------------------------------------------


def test_a_large_target_is_what_the_warning_names():
    large = "or y, which goes to 4e[+]05, as sklearn.compose.TransformedTargetRegressor does; tol=None"
    with pytest.warns(ConvergenceWarning, match=large):
        MLPRegressor((4,), max_iter=1).fit(X, np.full(len(X), 400_000.0))
    with pytest.warns(ConvergenceWarning, match="StandardScaler does; tol=None"):
        MLPRegressor((4,), max_iter=1).fit(X, np.ones(len(X)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"max_iter": 1},
            "MLPClassifier: still learning after max_iter=1 epochs: raise max_iter or learning_rate_init, or",
        ),
        (
            {"max_iter": 2, "solver": "lbfgs"},
            "still learning after max_iter=2 iterations: raise max_iter, or standardise X",
        ),
        (
            {"max_iter": 99, "max_fun": 5, "solver": "lbfgs"},
            "after max_fun=5 evaluations of the loss: raise max_fun, or",
        ),
    ],
    ids=str,
)
def test_warnings_that_name_the_limit(settings, said):
    with pytest.warns(ConvergenceWarning, match=said):
        model = classifier(**{"tol": 1e-4, **settings}).fit(X, y)
    assert model.n_iter_ <= settings["max_iter"]
    classifier(**settings, **({} if "solver" in settings else {"early_stopping": True})).fit(
        X, y
    )  # tol=None: no warning


def test_too_few_rows_to_set_some_aside(raised):
    said = "early_stopping=True sets aside validation_fraction=0.1 of 9 samples, which is 1: it needs 2 or more"
    assert said in raised(ValueError, classifier(early_stopping=True).fit, X[::17], y[::17])
    assert "which is 9" in raised(
        ValueError, classifier(early_stopping=True, validation_fraction=0.99).fit, X[::17], y[::17]
    )
    rare = classifier(early_stopping=True).fit(X[:101], y[:101])  # one row of a class cannot be halved
    assert rare.classes_.tolist() == [0, 1, 2]


def test_training_that_leaves_the_finite_numbers(raised):
    model = regressor(solver="sgd", learning_rate_init=0.01).fit(X, y)
    before = [a.copy() for a in model.coefs_]
    said = raised(tn.NonFiniteError, model.partial_fit, X, y * 1e300)
    assert "MLPRegressor: the loss is inf, not finite in epoch" in said
    assert "scale X and y, as by sklearn.preprocessing.StandardScaler" in said
    assert all(np.array_equal(a, b) for a, b in zip(before, model.coefs_, strict=True))
    assert np.isfinite(model.partial_fit(X, y).loss_)  # with an optimiser that has not seen it


def test_settings_as_a_search_gives_them():
    settings = {
        "hidden_layer_sizes": np.array([5, 4]), "activation": np.str_("tanh"), "solver": np.str_("sgd"),
        "alpha": np.float32(0.1), "batch_size": np.int64(20), "shuffle": np.bool_(True), "verbose": np.bool_(False),
        "learning_rate_init": np.float64(0.01), "max_iter": np.int32(2),
    }  # fmt: skip
    assert [W.shape for W in classifier(**settings).fit(X, y).coefs_] == [(4, 5), (5, 4), (4, 3)]
