"""Every setting of fit, of optimisers and estimators, given what it cannot be: an error that names it, and a way out.

The settings are read off the signatures, so that a new one is tested, too.
"""

import inspect

import numpy as np
import pytest

import tinygrad_nn as tn

X = np.random.default_rng(0).normal(size=(2, 12))
LABELS = (X[0] > 0).astype(int)


class Anything:
    """Of no use to anybody."""

    def __repr__(self):
        return "<anything>"


def says(setting, action):
    """The error names the setting, and says what is expected in its place."""
    with pytest.raises((TypeError, ValueError)) as refused:
        action()
    text = str(refused.value)
    assert type(refused.value) in (TypeError, ValueError)
    assert setting in text, text
    ways_out = (
        "expected",
        "there is no",
        "did you mean",
        "there is loss",
        "; give ",
    )
    assert any(way in text for way in ways_out), text
    return text


# --- fit --------------------------------------------------------------------------------------------------------------

OF_FIT = {  # besides Anything()
    "model": [tn.nn.Dense, "dense", None, lambda X: X],
    "loss": [3, None, "crossentropy", ["mse"]],
    "optimizer": ["adam", tn.optim.SGD, None],
    "data": [3, None, "data.csv", {"X": X}, X, [X], [(X, LABELS, LABELS, X)], [3], iter([])],
    "epochs": [-1, 1.5, "3", None, True],
    "validation": [3, "data.csv", X, [X], [3], iter([])],
    "callbacks": [3, [3], None, "stop"],
    "progress": ["yes", 3, None],
    "batch_size": [0, -1, 1.5, "full", True],
    "sample_weight": [3, "balanced", -np.ones(5), np.ones(3), np.full(5, np.nan), ["a"] * 5],
    "class_weight": [3, "balance", [-1.0, 1.0], {0: "a"}, {}, [1.0], np.ones((2, 2)), [np.nan, 1.0]],
    "rng": [-1, 1.5, "seed"],
    "metrics": [3, "acuracy", [3], None],
    "schedule": [3, "step", tn.optim.StepLR],
    "schedule_per": ["step", 3],
    "clip": [0, -1.0, "1", float("nan"), float("inf"), True],
    "patience": [0, -1, 1.5, "3"],
    "monitor": ["accuracy", 3],
    "mode": ["up", 3],
    "checkpoint": [3, ["a"]],
    "every": [0, -1, 1.5, "3", None],
    "resume": ["on", None, 3],
    "compile": ["yes", None, 3],
    "engine": ["cuda", None, 3, True],
    "mesh": [8, "cpu"],
}


def fit(**settings):
    model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 2, rng=0))
    good = {
        "model": model, "loss": tn.cross_entropy, "optimizer": tn.optim.SGD(model.parameters()), "data": (X, LABELS),
        "epochs": 1,
    }  # fmt: skip
    return tn.fit(**{**good, **settings})


def test_all_settings_of_fit_are_here():
    assert list(OF_FIT) == list(inspect.signature(tn.fit).parameters)
    fit()


@pytest.mark.parametrize(("setting", "value"), [(s, v) for s, values in OF_FIT.items() for v in [*values, Anything()]])
def test_settings_of_fit(setting, value):
    word = {"callbacks": "callback", "metrics": "metric", "data": "data", "validation": "data"}.get(setting, setting)
    text = says(word, lambda: fit(**{setting: value}))
    assert text.startswith("fit: ") or "batches" in text


def test_a_schedule_of_another_optimizer():
    model = tn.nn.Dense(2, 2)
    other = tn.optim.StepLR(tn.optim.SGD(model.parameters()), 1)
    assert "fit: the schedule, StepLR, is of another optimizer: make it of this one" in says_plainly(schedule=other)


def says_plainly(**settings):
    with pytest.raises((TypeError, ValueError)) as refused:
        fit(**settings)
    return str(refused.value)


def test_losses_that_are_none():
    def returning(value):
        return lambda prediction, target: value(prediction)

    for value, text in [
        (
            lambda p: 0.5,
            "the loss <lambda> returned a float, expected a tensor of one number: compute it from the predic",
        ),
        (lambda p: None, "the loss <lambda> returned a NoneType, expected a tensor of one number"),
        (lambda p: np.float64(1.0), "the loss <lambda> returned a float64, expected a tensor of one number"),
        (lambda p: np.mean(p.numpy()), "returned a float64"),
        (lambda p: p, "of shape (2, 12), expected one number: give its mean over the examples"),
        (lambda p: p.detach().sum(), "returned a tensor that depends on no parameter: compute it from the prediction"),
    ]:
        for compiled in (False, True):
            assert text in says_plainly(loss=returning(value), compile=compiled).replace("\n", " ")


# --- optimisers -------------------------------------------------------------------------------------------------------

EVERY = [k for k in map(vars(tn.optim).get, tn.optim.__all__) if isinstance(k, type)]
OPTIMIZERS = [k for k in EVERY if issubclass(k, tn.optim.Optimizer) and k is not tn.optim.Optimizer]


def wrong_values(default, setting):
    """What a setting with this default cannot be."""
    if isinstance(default, bool):
        return ["yes", None, Anything()]
    if isinstance(default, tuple):
        return [0.5, (0.5,), ("a", "b"), (-1.0, *default[1:]), (float("nan"), default[1]), default[::-1], None, "ab"]
    if isinstance(default, (int, float)):
        return [-1, "0.1", None, [0.1], float("nan"), float("inf"), Anything(), 1j]
    return [-1.0, 0.0, "0.1", [0.1], Anything()]  # None: a number or nothing


SETTINGS = [
    (kind, name, value)
    for kind in OPTIMIZERS
    for name, p in inspect.signature(kind).parameters.items()
    if p.default is not p.empty
    for value in wrong_values(p.default, name)
    if not (name == "betas" and value == p.default[::-1])  # a pair without an order
]


@pytest.mark.parametrize(("kind", "setting", "value"), SETTINGS, ids=lambda x: getattr(x, "__name__", None))
def test_settings_of_optimizers(kind, setting, value):
    w = tn.tensor([1.0], requires_grad=True)
    text = says(setting, lambda: kind([w], **{setting: value}))
    assert text.startswith(f"{kind.__name__}: ")
    text = says(setting, lambda: kind([{"params": [w], setting: value}]))  # of a group


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_parameters_of_optimizers(kind):
    assert "model.parameters() gives them" in says("params", lambda: kind(tn.nn.Dense(2, 2)))
    for wrong in (3, None, {"params": []}, Anything()):
        says("params", lambda wrong=wrong: kind(wrong))
    for wrong in ([3], "abc", [np.ones(2)]):
        says("parameter 0", lambda wrong=wrong: kind(wrong))
    with pytest.raises(ValueError, match="there are no parameters"):
        kind([])


# --- estimators -------------------------------------------------------------------------------------------------------

OF_ESTIMATORS = {
    "hidden_layer_sizes": [0, -1, 1.5, "100", (3, 0), (3, "a"), None, ((3,),)],
    "activation": [3, None, "rel", ["relu"]],
    "loss": [3, None, "crossentropy", ["mse"]],
    "solver": [3, None, "optimizer", "newton", ["adam"]],
    "optimizer": [3, "optimizer", "adamax", "minimize", ["adam"]],
    "learning_rate": [3, None, "falling", ["constant"]],
    "power_t": [-1.0, "0.5", None, float("nan")],
    "momentum": [-0.1, 1, "0.9", None, float("nan")],
    "nesterovs_momentum": ["yes", None, 3],
    "beta_1": [-0.1, 1, "0.9", None],
    "beta_2": [-0.1, 1, "0.9", None],
    "epsilon": [0, -1.0, "1e-8", None],
    "dropout": [-0.1, 1, "0.5", None],
    "batch_norm": ["yes", None, 3],
    "warm_start": ["yes", None, 3],
    "max_fun": [0, -1, 1.5, "10", None],
    "learning_rate_init": [0, -1.0, "0.1", None, float("nan"), float("inf")],
    "alpha": [-1.0, "0", None, float("nan")],
    "batch_size": [0, -1, 1.5, "full", None],
    "max_iter": [0, -1, 1.5, "10", None],
    "shuffle": ["yes", None, 3],
    "random_state": [-1, 1.5, "seed"],
    "tol": [-1.0, "0", float("nan")],
    "n_iter_no_change": [0, -1, 1.5, "3", None],
    "early_stopping": ["yes", None, 3],
    "validation_fraction": [0, 1, 1.5, -0.1, "0.1", None],
    "class_weight": ["balance", 3],
    "verbose": ["yes", None, -1],
}


def estimators():
    sklearn = pytest.importorskip("tinygrad_nn.sklearn")
    return [sklearn.MLPClassifier, sklearn.MLPRegressor]


def test_all_settings_of_estimators_are_here():
    classifier, regressor = estimators()
    assert set(OF_ESTIMATORS) == set(inspect.signature(classifier).parameters)
    assert set(OF_ESTIMATORS) - {"class_weight"} == set(inspect.signature(regressor).parameters)


@pytest.mark.parametrize(("setting", "value"), [(s, v) for s, vs in OF_ESTIMATORS.items() for v in [*vs, Anything()]])
def test_settings_of_estimators(setting, value):
    for kind in estimators():
        if setting in inspect.signature(kind).parameters:
            model = kind(**{"hidden_layer_sizes": (3,), "max_iter": 1, "tol": None, setting: value})
            methods = [model.fit]
            if hasattr(model, "partial_fit"):
                known = {"classes": np.unique(LABELS)} if kind.__name__ == "MLPClassifier" else {}
                methods.append(lambda X, y, model=model, known=known: model.partial_fit(X, y, **known))
            for method in methods:
                says(setting, lambda method=method: method(X.T, LABELS))
            assert not hasattr(model, "model_")


# --- what else was asked for in a wrong way ---------------------------------------------------------------------------


def test_sparse_matrices_are_refused_by_name_where_no_dense_layer_comes_first(raised):
    sparse = pytest.importorskip("scipy.sparse")
    for kind in (sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix):
        assert f"X is a sparse matrix ({kind.__name__}): X.toarray() makes a dense array of it" in raised(
            TypeError, tn.nn.BatchNorm(2), kind(X)
        )


def test_switches_without_parentheses():
    x = tn.tensor(2.0, requires_grad=True)

    @tn.no_grad
    def without(x):
        """Says what it does."""
        return x * x

    @tn.enable_grad
    def with_(x):
        return x * x

    @tn.detect_anomaly
    def careful(x):
        return tn.log(x - 2.0)

    assert not without(x).requires_grad
    assert without.__doc__ == "Says what it does."
    with tn.no_grad():
        assert with_(x).requires_grad
    with pytest.raises(tn.NonFiniteError), np.errstate(all="ignore"):
        careful(x)
    with pytest.raises(
        TypeError, match=r"^no_grad takes no int: write `with tn\.no_grad\(\):`, or `@tn\.no_grad` above"
    ):
        tn.no_grad(3)
