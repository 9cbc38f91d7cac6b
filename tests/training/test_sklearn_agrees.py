"""The estimators against scikit-learn's own: of the same `random_state`, the same network."""

import warnings

import numpy as np
import pytest

import tinygrad_nn as tn

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
D, d = load_diabetes(return_X_y=True)
d = (d - d.mean()) / d.std()
LABELS = make_multilabel_classification(120, random_state=0)
TASKS = {
    "two classes": ("MLPClassifier", X[50:], y[50:]),
    "three classes": ("MLPClassifier", X, np.array(["a", "b", "c"])[y]),
    "labels": ("MLPClassifier", LABELS[0] / 4, LABELS[1]),
    "a number": ("MLPRegressor", D * 20, d),
    "numbers": ("MLPRegressor", D * 20, np.column_stack([d, -d])),
}


def both(task, rows=None, **settings):
    kind, X, y = TASKS[task]
    X = X if rows is None else X[:rows]
    y = y if rows is None else y[:rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return [
            getattr(library, kind)(random_state=3, **settings).fit(X, y) for library in (tn.sklearn, neural_network)
        ]


def assert_same(ours, theirs, tolerance=1e-12):
    for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    assert ours.n_iter_ == theirs.n_iter_
    if not hasattr(ours, "predict_proba") and ours.n_outputs_ > 1:  # its cost is the mean of outputs, its gradient not
        assert ours.loss_ > theirs.loss_
    else:
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=tolerance * 10)
    for name in "n_layers_", "n_outputs_", "out_activation_", "n_features_in_":
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "sgd", "max_iter": 12},
        {"solver": "sgd", "max_iter": 8, "nesterovs_momentum": False, "batch_size": 32, "hidden_layer_sizes": (9, 7)},
        {"solver": "sgd", "max_iter": 8, "momentum": 0, "learning_rate": "invscaling", "activation": "logistic"},
        {"solver": "sgd", "max_iter": 8, "shuffle": False, "activation": "tanh", "alpha": 1.0},
        {"solver": "lbfgs", "max_iter": 8, "activation": "tanh"},
        {"solver": "lbfgs", "max_iter": 200, "tol": 0.1, "hidden_layer_sizes": (8,)},
    ],
    ids=str,
)
def test_the_same_weights(task, settings):
    if task == "numbers" and settings["solver"] == "lbfgs":
        pytest.skip("scikit-learn's gradient of several outputs is not that of its cost: a search along a line notices")
    assert_same(*both(task, **settings), tolerance=1e-6 if settings["max_iter"] == 200 else 1e-10)


@pytest.mark.parametrize("task", TASKS)
def test_adam_differs_by_where_epsilon_stands(task):
    """√v̂ + ε here, √v + ε there, before the correction of the bias: with an ε of nothing there is no difference."""
    assert_same(*both(task, max_iter=15, activation="tanh", epsilon=1e-20), tolerance=1e-9)


@pytest.mark.parametrize("task", ["two classes", "labels", "a number"])
def test_early_stopping_sets_the_same_rows_aside(task):
    ours, theirs = both(
        task, solver="sgd", learning_rate_init=0.05, early_stopping=True, max_iter=60, activation="tanh"
    )
    assert_same(ours, theirs, tolerance=1e-10)
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, atol=1e-12)
    assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_)
    assert ours.best_loss_ is theirs.best_loss_ is None


def test_it_stops_in_the_same_epoch():
    ours, theirs = both("three classes", solver="sgd", learning_rate_init=0.3, tol=1e-3, n_iter_no_change=4)
    assert ours.n_iter_ == theirs.n_iter_ < 200
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_)
    assert ours.best_loss_ == pytest.approx(theirs.best_loss_)
    assert ours.t_ == theirs.t_


def test_float32_alike():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours, theirs = (
            library.MLPClassifier(random_state=0, solver="sgd", max_iter=5).fit(X.astype(np.float32), y)
            for library in (tn.sklearn, neural_network)
        )
    assert {a.dtype for a in ours.coefs_ + ours.intercepts_} == {np.dtype(np.float32)}
    assert_same(ours, theirs, tolerance=1e-5)
