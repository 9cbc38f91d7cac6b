"""Fitted estimators in files and copies: joblib, skops, pickle, deep copies, and scikit-learn's page of them."""

import copy
import io
import pickle
import warnings

import numpy as np
import pytest

import tinygrad_nn as tn

pytest.importorskip("sklearn")

import joblib
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tinygrad_nn.sklearn import MLPClassifier, MLPRegressor

X, y = load_iris(return_X_y=True)
SHORT = {"hidden_layer_sizes": (5,), "max_iter": 3, "tol": None}
MODELS = {
    "plain": lambda: MLPClassifier(**SHORT).fit(X, np.array(["a", "b", "c"])[y]),
    "layers": lambda: MLPClassifier(**SHORT, batch_norm=True, dropout=0.2, class_weight={0: 2.0}).fit(X, y),
    "stopped": lambda: MLPClassifier(**SHORT, early_stopping=True, learning_rate="adaptive", solver="sgd").fit(X, y),
    "lbfgs": lambda: MLPRegressor(**SHORT, solver="lbfgs").fit(X, y),
    "labels": lambda: MLPClassifier(**SHORT).partial_fit(X, np.column_stack([y == 0, y == 1]).astype(int)),
    "random": lambda: MLPClassifier(**SHORT, random_state=np.random.RandomState(0)).fit(X, y),
    "optimiser": lambda: MLPClassifier(**SHORT, optimizer="rmsprop", loss="mse").fit(X, y),
    "operations": lambda: MLPClassifier(**SHORT, activation=tn.tanh, loss=tn.cross_entropy).fit(X, y),
    "not fitted": lambda: MLPClassifier(**SHORT, activation=tn.tanh),
}


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def through_skops(model):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(model)
    assert skops.get_untrusted_types(data=data) == [f"tinygrad_nn.sklearn.{type(model).__name__}"]
    return skops.loads(data, trusted=[f"tinygrad_nn.sklearn.{type(model).__name__}"])


WAYS = {
    "joblib": through_joblib,
    "skops": through_skops,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "copy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MODELS)
def test_what_comes_back_says_the_same_and_goes_on_alike(name, way):
    model = MODELS[name]()
    again = WAYS[way](model)
    if name == "not fitted":
        assert not hasattr(again, "model_")
        return
    assert np.array_equal(again.predict(X), model.predict(X))
    assert [a.tobytes() for a in again.coefs_] == [a.tobytes() for a in model.coefs_]
    assert again.loss_curve_ == model.loss_curve_
    assert again.n_features_in_ == 4
    if name not in ("stopped", "lbfgs"):
        target = {"plain": np.array(["a", "b", "c"])[y], "labels": np.column_stack([y == 0, y == 1]).astype(int)}
        for each in (again, model):
            each.partial_fit(X, target.get(name, y)).partial_fit(X[:40], target.get(name, y)[:40])
        assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    again.set_params(warm_start=True)
    assert (
        len(
            again.fit(
                X, {"plain": np.array(["a", "b", "c"])[y]}.get(name, y) if name != "labels" else target[name]
            ).loss_curve_
        )
        > 3
    )


def test_a_function_as_activation_is_pickled_by_name():
    model = MLPClassifier(**SHORT, activation=np.tanh).fit(X, y)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))


def test_a_pipeline_through_skops():
    skops = pytest.importorskip("skops.io")
    model = make_pipeline(StandardScaler(), MLPClassifier(**SHORT)).fit(X, y)
    again = skops.loads(skops.dumps(model), trusted=["tinygrad_nn.sklearn.MLPClassifier"])
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))


def test_scikit_learns_page_of_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it reads the docstring
        page = make_pipeline(StandardScaler(), MLPClassifier(**SHORT)).fit(X, y)._repr_html_()
    assert "MLPClassifier" in page
    assert "hidden_layer_sizes" in page
