"""The estimators: scikit-learn's own checks, its tools around them, and what they promise themselves."""

import functools
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

import tinygrad_nn as tn

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.sklearn import MLPClassifier, MLPRegressor

QUICK = {"learning_rate_init": 0.02, "max_iter": 40}
SMALL = {"hidden_layer_sizes": (20,), **QUICK}
LOSSES_OF_CLASSES = [name for name, op in BY_NAME.items() if isinstance(op, Op) and op.training.probabilities]
OTHERS = [  # which settings, and why the checks named there do not hold for them
    ({"solver": "lbfgs"}, {}),
    ({"solver": "sgd", "learning_rate_init": 0.002, "max_iter": 300}, {}),
    ({"optimizer": "rmsprop", "activation": "tanh"}, {}),
    (
        {"batch_norm": True},
        dict.fromkeys(
            ["check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"],
            "means and variances of a batch are those of its rows, whatever they weigh",
        ),
    ),
    (
        {"dropout": 0.2},
        dict.fromkeys(
            ["check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"],
            "each row of two alike has a mask of its own",
        ),
    ),
    (
        {"early_stopping": True, "validation_fraction": 0.3},
        {
            **dict.fromkeys(
                [
                    "check_fit_score_takes_y",
                    "check_n_features_in_after_fitting",
                    "check_estimators_partial_fit_n_features",
                ],
                "partial_fit does not support early_stopping=True, in scikit-learn neither",
            ),
            **dict.fromkeys(
                ["check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"],
                "other rows are set aside",
            ),
            "check_class_weight_classifiers": "what does best on the rows set aside is right about light classes, too",
        },
    ),
]


@parametrize_with_checks([MLPClassifier(**QUICK), MLPRegressor(**QUICK)])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(("settings", "expected"), OTHERS, ids=[next(iter(s)) for s, _ in OTHERS])
def test_scikit_learns_own_checks_with_other_settings(kind, settings, expected):
    results = check_estimator(kind(**{**SMALL, **settings}), expected_failed_checks=expected, on_skip=None)
    ran = {each["check_name"] for each in results}
    assert {each["check_name"] for each in results if each["status"] == "xfail"} == ran & set(expected)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return StandardScaler().fit_transform(X), (y - y.mean()) / y.std()


def classifier(**settings):
    return MLPClassifier(
        (16,), **{"learning_rate_init": 0.02, "max_iter": 60, "tol": None, "random_state": 0, **settings}
    )


def regressor(**settings):
    return MLPRegressor(
        (16,), **{"learning_rate_init": 0.02, "max_iter": 60, "tol": None, "random_state": 0, **settings}
    )


# --- with scikit-learn's own tools -----------------------------------------------------------------------------------


def test_pipeline_and_cross_validation(iris):
    scores = cross_val_score(make_pipeline(StandardScaler(), classifier()), *iris, cv=3)
    assert scores.mean() > 0.93


def test_grid_search(iris):
    search = GridSearchCV(
        classifier(max_iter=25), {"activation": ["tanh", "relu"], "optimizer": ["adam", "RMSprop"]}, cv=3
    )
    search.fit(*iris)
    assert search.best_score_ > 0.9
    assert search.best_estimator_.score(*iris) > 0.95


def test_clone_and_pickle(iris):
    model = classifier().fit(*iris)
    fresh = clone(model)
    assert fresh.get_params() == model.get_params()
    assert not hasattr(fresh, "model_")
    with pytest.raises(NotFittedError):
        fresh.predict(iris[0])
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(iris[0]), model.predict_proba(iris[0]))
    for each in (model, again):  # and both go on alike
        each.partial_fit(*iris)
    assert np.array_equal(again.predict_proba(iris[0]), model.predict_proba(iris[0]))


def test_the_same_seed_gives_the_same_network(iris):
    a, b, c = (classifier(random_state=seed, max_iter=3).fit(*iris).predict_proba(iris[0]) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


# --- classifying -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "mse", "l1_loss", "huber_loss", tn.mse])
def test_any_loss(iris, loss):
    model = classifier(loss=loss).fit(*iris)
    P = model.predict_proba(iris[0])
    assert model.score(*iris) > 0.93
    assert np.allclose(P.sum(axis=1), 1)
    assert (P >= 0).all()
    assert np.array_equal(model.classes_[P.argmax(axis=1)], model.predict(iris[0]))


@pytest.mark.parametrize(
    "optimizer", ["sgd", "Adam", "adamw", "nadam", "rmsprop", "adagrad", "rprop", "idbd", "onlinelbfgs"]
)
def test_any_optimizer_by_name(iris, optimizer):
    rate = {"sgd": 0.3, "adagrad": 0.1, "idbd": 0.3, "onlinelbfgs": 1.0}.get(optimizer, 0.02)
    assert classifier(optimizer=optimizer, learning_rate_init=rate, activation="tanh").fit(*iris).score(*iris) > 0.93


def test_an_optimizer_made_by_a_function(iris):
    model = classifier(optimizer=lambda params: tn.optim.SGD(params, lr=0.2, momentum=0.9)).fit(*iris)
    assert isinstance(model.optimizer_, tn.optim.SGD)
    assert model.score(*iris) > 0.93


def test_names_that_do_not_exist(iris, raised):
    assert "there is no optimizer 'adamax'; expected one of idbd, sgd, " in raised(
        ValueError, classifier(optimizer="adamax").fit, *iris
    )
    assert "there is no activation 'rel'; did you mean 'relu'?" in raised(
        ValueError, classifier(activation="rel").fit, *iris
    )
    assert "did you mean 'cross_entropy'" in raised(ValueError, classifier(loss="crossentropy").fit, *iris)


def test_scikit_learns_name_for_the_sigmoid(iris):
    assert "sigmoid" in repr(classifier(activation="logistic", max_iter=1).fit(*iris).model_)


def test_layers_are_those_asked_for(iris):
    for hidden, sizes in [((), [(3, 4)]), (7, [(7, 4), (3, 7)]), ([5, 6], [(5, 4), (6, 5), (3, 6)])]:
        model = MLPClassifier(hidden, max_iter=1, tol=None).fit(*iris)
        assert [layer.W.shape for layer in model.model_] == sizes


def test_labels_of_any_kind_and_two_classes(iris):
    X, y = iris[0][:100], np.array(["cat", "dog"])[iris[1][:100]]
    model = classifier().fit(X, y)
    assert model.classes_.tolist() == ["cat", "dog"]
    assert set(model.predict(X)) == {"cat", "dog"}
    assert model.predict_proba(X).shape == (100, 2)


def test_class_weight_moves_the_border(iris):
    X, y = iris[0][50:, :2], iris[1][50:]
    plain, heavy = (classifier(class_weight=w).fit(X, y).predict(X) for w in (None, {1: 1.0, 2: 20.0}))
    assert (heavy == 2).sum() > (plain == 2).sum()


def test_balanced_is_as_many_copies_of_the_rare(iris):
    X, y = iris[0][:75], iris[1][:75]  # 50 and 25
    weighed = classifier(class_weight="balanced", batch_size=200, alpha=0).fit(X, y)  # else 100 rows share the penalty
    copied = classifier(batch_size=200, alpha=0).fit(np.vstack([X, X[50:]]), np.concatenate([y, y[50:]]))
    assert np.allclose(weighed.predict_proba(X), copied.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "l1_loss", "huber_loss"])
def test_a_weight_of_two_is_a_row_twice(iris, loss):
    X, y = iris
    weight = np.where(np.arange(len(y)) % 3 == 0, 2, 1)
    weighed = classifier(loss=loss, max_iter=5).fit(X, y, sample_weight=weight)
    copied = classifier(loss=loss, max_iter=5, batch_size=300).fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert np.allclose(weighed.predict_proba(X), copied.predict_proba(X), atol=1e-8)
    if loss != "huber_loss":
        assert weighed.loss_ == pytest.approx(copied.loss_)


def test_weights_that_make_no_sense(iris, raised):
    X, y = iris
    assert "sample_weight[3] is -1.0, expected at least 0" in raised(
        ValueError, classifier().fit, X, y, sample_weight=np.where(np.arange(150) == 3, -1.0, 1)
    )
    nothing = raised(ValueError, classifier().fit, X, y, sample_weight=np.zeros(150))
    assert "zero" in nothing  # by scikit-learn, where it is new enough


def test_partial_fit(iris):
    X, y = iris
    model = classifier()
    for _ in range(30):
        model.partial_fit(X[:140:2], y[:140:2], classes=[0, 1, 2])
    assert model.score(X, y) > 0.9
    assert model.n_iter_ == len(model.loss_curve_) == 30
    model = classifier().partial_fit(X[:10], y[:10], classes=[0, 1, 2])  # one class seen, three known
    assert model.predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match=r"y holds the class 7, which is not one of the classes \[0, 1, 2\]"):
        model.partial_fit(X[:2], np.array([0, 7]))


# --- predicting numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mse", "l1_loss", "huber_loss"])
def test_regression(diabetes, loss):
    assert regressor(loss=loss, max_iter=30).fit(*diabetes).score(*diabetes) > 0.5


@pytest.mark.parametrize("form", ["by name", "itself", "of probabilities"])
@pytest.mark.parametrize("name", ["auto", *LOSSES_OF_CLASSES])
def test_regressors_refuse_losses_of_classes(diabetes, raised, name, form):
    loss = name
    if form != "by name" and name != "auto":
        loss = getattr(tn, name) if form == "itself" else functools.partial(getattr(tn, name), from_logits=False)
    assert raised(ValueError, regressor(loss=loss).fit, *diabetes) == (
        f"MLPRegressor: loss={loss!r:.60} compares probabilities of classes, and a regressor predicts numbers: take "
        "'mse', 'l1_loss' or 'huber_loss', or MLPClassifier for classes"
    )


def test_several_outputs(diabetes):
    X, y = diabetes
    Y = np.column_stack([y, X[:, 0] ** 2])
    model = regressor().fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert r2_score(Y[:, 1], model.predict(X)[:, 1]) > 0.8


def test_float32_rows_train_in_float32(diabetes):
    X, y = diabetes
    model = regressor(max_iter=2).fit(X.astype(np.float32), y)
    assert {p.dtype for p in model.model_.parameters()} == {np.dtype(np.float32)}
    assert model.predict(X.astype(np.float32)).dtype == np.float32


# --- stopping --------------------------------------------------------------------------------------------------------


def test_it_stops_when_nothing_gets_better(iris):
    model = classifier(tol=1e-2, n_iter_no_change=3, max_iter=500).fit(*iris)
    assert model.n_iter_ < 500
    curve = np.array(model.loss_curve_)
    assert (np.diff(curve)[-4:] > -1e-2).all()  # one more than n_iter_no_change, as in scikit-learn
    assert np.diff(curve)[-5] < -1e-2
    assert model.loss_ == curve[-1]


def test_a_warning_if_it_could_have_gone_on(iris):
    with pytest.warns(ConvergenceWarning, match="still learning after max_iter=2 epochs"):
        classifier(tol=1e-4, max_iter=2).fit(*iris)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier(tol=None, max_iter=2).fit(*iris)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_early_stopping_keeps_what_did_best_on_the_rows_set_aside(iris, diabetes, make):
    X, y = iris if make is classifier else diabetes
    model = make(early_stopping=True, validation_fraction=0.3, tol=0.0, n_iter_no_change=20, max_iter=400).fit(X, y)
    scores = model.validation_scores_
    assert len(scores) == model.n_iter_ < 400
    assert max(scores) == max(scores[:-20])
    assert max(scores) > (0.9 if make is classifier else 0.4)
    assert not make(max_iter=1).fit(X, y).validation_scores_


def test_alpha_shrinks_weights_not_biases(diabetes):
    free, held = (regressor(alpha=alpha).fit(*diabetes).model_ for alpha in (0.0, 60.0))
    assert np.linalg.norm(held[0].W.value) < 0.5 * np.linalg.norm(free[0].W.value)
    assert np.linalg.norm(held[0].b.value) > 0


def test_verbose_is_a_line_an_epoch_without_a_terminal(iris, capsys):
    classifier(verbose=True, max_iter=2, tol=None).fit(*iris)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    classifier(max_iter=1, tol=None).fit(*iris)
    assert capsys.readouterr() == ("", "")


def test_without_scikit_learn_the_error_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None\nimport tinygrad_nn as tn\ntn.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: tinygrad_nn.sklearn needs scikit-learn 1.6 or later" in done.stderr
    assert "pip install 'tinygrad_nn[sklearn]'" in done.stderr
