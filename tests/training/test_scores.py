"""Metrics by name: the numbers of scikit-learn, for every name, form of output, form of target, and dtype."""

import warnings
from functools import partial

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.training import evaluate
from tinygrad_nn.training.scores import METRICS

N = 61
RNG = np.random.default_rng(5)
DTYPES = [np.float16, np.float32, np.float64]


class Says(tn.nn.Module):
    """A model whose logits are its inputs, with a last activation."""

    def __init__(self, last=None):
        self.last = last
        self.scale = tn.tensor(1.0, requires_grad=True)

    def forward(self, X):
        Z = X * self.scale.astype(X.dtype)
        return Z if self.last is None else self.last(Z)


def any_loss(prediction, target, share=None):
    return prediction.sum()


WEIGHTS = RNG.choice([0.0, 0.5, 1.0, 3.25], N)
WEIGHTED = pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["plain", "weighted"])
FORMS = {  # the last activation, and how many outputs
    "one logit": (None, 1),
    "one probability": (tn.sigmoid, 1),
    "two logits": (None, 2),
    "two probabilities": (lambda Z: tn.softmax(Z, axis=0), 2),
    "five logits": (None, 5),
    "five probabilities": (lambda Z: tn.softmax(Z, axis=0), 5),
    "four labels by logits": (None, 4),
    "four labels by probabilities": (tn.sigmoid, 4),
}
OF_CLASSES = [name for name in METRICS if name not in ("mse", "mae", "r2")]


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def softmax(Z):
    e = np.exp(Z - Z.max(axis=0))
    return e / e.sum(axis=0)


def by_sklearn(name, labels, P, weight=None):
    """What scikit-learn says of labels (N,) and the probabilities (classes, N) of each class."""
    metrics = pytest.importorskip("sklearn.metrics")
    guess, k = P.argmax(axis=0), len(P)
    weigh = {"sample_weight": weight}
    return {
        "accuracy": lambda: metrics.accuracy_score(labels, guess, **weigh),
        "balanced_accuracy": lambda: metrics.balanced_accuracy_score(labels, guess, **weigh),
        "f1": lambda: metrics.f1_score(labels, guess, average="binary" if k == 2 else "macro", **weigh),
        "auc": lambda: metrics.roc_auc_score(labels, P[1] if k == 2 else P.T, multi_class="ovr", **weigh),
        "log_loss": lambda: metrics.log_loss(labels, P.T, labels=range(k), **weigh),
    }[name]()


def of_several_labels(name, there, P, weight=None):
    """The same of several labels: the mean of those of each, but for the accuracy, which is of all together."""
    metrics = pytest.importorskip("sklearn.metrics")
    if name == "accuracy":
        return metrics.accuracy_score(there.T.astype(int), (P > 0.5).T.astype(int), sample_weight=weight)
    each = [(t.astype(int), np.stack([1 - p, p])) for t, p in zip(there, P, strict=True)]
    return np.mean([by_sklearn(name, t, p, weight) for t, p in each])


def targets(labels, k, one):
    """The same labels in all forms that a target may have."""
    yield labels
    yield labels[np.newaxis]
    yield labels.astype(np.uint8)
    yield labels.astype(">i4")
    if one:
        yield labels[np.newaxis].astype(float)
        yield labels.astype(bool)
    else:
        yield np.eye(k)[:, labels]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", OF_CLASSES)
@WEIGHTED
def test_numbers_of_classes_are_those_of_scikit_learn(name, form, dtype, weight):
    last, d = FORMS[form]
    Z = (2 * RNG.normal(size=(d, N))).astype(dtype)
    wide, model = Z.astype(np.float64), Says(last)
    P = sigmoid(wide) if d == 1 or "labels" in form else softmax(wide)
    if last is not None:  # as the model rounds them: scikit-learn, too, keeps them that far from 0
        P = model(Z).data
        assert P.dtype == dtype
    if "labels" in form:
        there = (RNG.random((d, N)) < 0.4).astype(dtype)
        expected = of_several_labels(name, there, P, weight)
        given = [there, there.astype(bool)]
    else:
        labels = RNG.integers(0, max(d, 2), N)
        P = P if d > 1 else np.concatenate([1 - P, P])
        if name == "auc":  # scikit-learn wants sums of 1
            P = P.astype(float) / P.sum(axis=0, dtype=float)
        expected = by_sklearn(name, labels, P, weight)
        given = targets(labels, d, d == 1)
    for target in given:
        for size in (7, N):  # batches of unequal size: no mean of means
            data = tn.data.batches(Z, target, size, shuffle=False, weight=weight)
            found = evaluate(model, any_loss, data, name)[name]
            assert found == pytest.approx(expected, abs={"e": 5e-4, "f": 1e-6, "d": 1e-12}[np.dtype(dtype).char])
            assert type(found) is float


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", ["mse", "mae", "r2"])
@WEIGHTED
def test_numbers_of_numbers_are_those_of_scikit_learn(name, outputs, dtype, weight):
    metrics = pytest.importorskip("sklearn.metrics")
    function = {"mse": "mean_squared_error", "mae": "mean_absolute_error", "r2": "r2_score"}[name]
    target = (RNG.normal(size=(outputs, N)) + 100).astype(dtype)
    Z = (target + RNG.normal(size=(outputs, N))).astype(dtype)
    expected = getattr(metrics, function)(target.T.astype(float), Z.T.astype(float), sample_weight=weight)
    for size in (7, N):
        for given in [target, target[0]] if outputs == 1 else [target]:
            data = tn.data.batches(Z, given, size, shuffle=False, weight=weight)
            found = evaluate(Says(), any_loss, data, name)[name]
            assert found == pytest.approx(expected, rel=1e-9)


def test_points_where_scikit_learn_warns():
    outputs = np.array([[1.0, -1.0, 2.0, -0.5]])
    ones = np.ones(4, int)
    found = evaluate(Says(), any_loss, (outputs, ones), ["auc", "f1", "balanced_accuracy", "log_loss"])
    assert np.isnan(found["auc"])
    assert found["balanced_accuracy"] == 0.5
    assert found["f1"] == pytest.approx(2 * 2 / (2 * 2 + 2))
    assert evaluate(Says(), any_loss, (outputs, 0 * ones), "f1")["f1"] == 0
    constant = evaluate(Says(), any_loss, (outputs, np.full((1, 4), 3.0)), "r2")
    assert constant["r2"] == 0
    assert evaluate(Says(), any_loss, (np.full((1, 4), 3.0), np.full((1, 4), 3.0)), "r2")["r2"] == 1
    assert np.isnan(evaluate(Says(), any_loss, (outputs[:, :1], outputs[:, :1]), "r2")["r2"])
    far = np.array([[1000.0, -1000.0]], np.float32)
    with np.errstate(all="raise"):
        assert evaluate(Says(), any_loss, (far, np.array([0, 0])), "log_loss")["log_loss"] == 500
        assert evaluate(Says(), any_loss, (far, np.array([1, 0])), "auc")["auc"] == 1


def test_a_class_that_is_not_there_is_left_out():
    metrics = pytest.importorskip("sklearn.metrics")
    Z, labels = RNG.normal(size=(4, N)), RNG.integers(0, 3, N)
    Z[3] -= 100  # never said, either
    found = evaluate(Says(), any_loss, (Z, labels), ["f1", "balanced_accuracy", "auc"])
    guess = Z.argmax(axis=0)
    assert found["f1"] == pytest.approx(metrics.f1_score(labels, guess, average="macro"))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(labels, guess))
    each = [metrics.roc_auc_score(labels == c, softmax(Z)[c]) for c in range(3)]
    assert found["auc"] == pytest.approx(np.mean(each))


@pytest.mark.parametrize(
    ("name", "outputs", "target", "text"),
    [
        ("f1", np.ones((1, 3)), np.array([0.5, 1, 2]), "the metric 'f1' is of classes, numbered 0 ... 1 by 1 output; "),
        ("auc", np.ones((3, 3)), np.array([0, 1, 3]), "numbered 0 ... 2 by 3 outputs; the target holds 3"),
        ("log_loss", np.ones((3, 3)), np.array([0, -1, 2]), "the target holds -1"),
        (
            "mse",
            np.ones((3, 4)),
            np.zeros(4),
            "compares numbers; the prediction has shape (3, 4), the target (4,): of classes there are 'acc",
        ),
    ],
)
def test_targets_of_another_kind(raised, name, outputs, target, text):
    assert text in raised(ValueError, evaluate, Says(), any_loss, (outputs, target), name)


def test_a_name_that_is_none(raised):
    pytest.importorskip("sklearn")
    meant = {"acc": "accuracy", "auc_roc": "auc", "R2": "r2", "balanced": "balanced_accuracy", "log-loss": "log_loss"}
    for name, near in {**meant, "f1_scor": "f1_score", "mean_square_error": "mean_squared_error"}.items():
        text = raised(ValueError, evaluate, Says(), tn.mse, (np.ones((1, 2)), np.ones((1, 2))), name)
        assert text.startswith(f"fit: there is no metric {name!r}; did you mean {near!r}? There is accuracy, balanced_")


SCORERS = ["f1_macro", "roc_auc_ovr", "neg_log_loss", "neg_mean_squared_error", "matthews_corrcoef", "jaccard_weighted"]


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize("given", ["by name", "as a scorer"])
@WEIGHTED
def test_scorers_of_scikit_learn(name, given, weight):
    metrics = pytest.importorskip("sklearn.metrics")
    scorer = metrics.get_scorer(name)
    Z, labels = RNG.normal(size=(3, N)), RNG.integers(0, 3, N)
    if "squared" in name:
        Y = RNG.normal(size=(3, N))
        expected = -metrics.mean_squared_error(Y.T, Z.T, sample_weight=weight)
    else:
        Y, P = labels, softmax(Z)
        says = P.T if "auc" in name or "log" in name else P.argmax(axis=0)
        expected = scorer._sign * scorer._score_func(labels, says, **scorer._kwargs, sample_weight=weight)
    named = name if given == "by name" else {name: scorer}
    for size in (7, N):
        data = tn.data.batches(Z, Y, size, shuffle=False, weight=weight)
        assert evaluate(Says(), any_loss, data, named)[name] == pytest.approx(expected)


def test_a_metric_that_takes_no_weights_counts_each_example_once():
    def rate(y_true, y_pred):
        return float(np.mean(y_true == y_pred))

    def share(prediction, target):
        return np.mean(prediction.numpy().argmax(axis=0) == target)

    Z, labels = RNG.normal(size=(3, N)), RNG.integers(0, 3, N)
    fixed = partial(pytest.importorskip("sklearn.metrics").accuracy_score, sample_weight=np.ones(N))
    named = {"rows": rate, "columns": share, "its own": fixed, "accuracy": "accuracy"}
    found = evaluate(Says(), any_loss, (Z, labels, WEIGHTS), named)
    right = Z.argmax(axis=0) == labels
    assert found["rows"] == found["columns"] == found["its own"] == pytest.approx(right.mean())
    assert found["accuracy"] == pytest.approx(np.average(right, weights=WEIGHTS))


# --- what is best ----------------------------------------------------------------------------------------------------


def mean_absolute_error(prediction, target):
    return tn.abs(prediction - target).mean()


def agreement(prediction, target):
    return 1.0


@pytest.mark.parametrize(
    ("metrics", "monitor", "mode"),
    [
        ((), None, "min"),
        *[(name, name, "min" if name in ("log_loss", "mse", "mae") else "max") for name in METRICS],
        (mean_absolute_error, "mean_absolute_error", "min"),
        ({"far": mean_absolute_error}, "far", "min"),
        (agreement, "agreement", "max"),
        ({"my_error": agreement}, "my_error", "min"),
        ("neg_mean_squared_error", "neg_mean_squared_error", "max"),
    ],
)
@pytest.mark.parametrize("given", [None, "min", "max"])
@pytest.mark.parametrize("validated", [False, True])
def test_less_or_more_is_better(metrics, monitor, mode, given, validated):
    pytest.importorskip("sklearn")
    X = np.random.default_rng(0).normal(size=(1, 30))
    Y = (X > 0).astype(float)
    model = tn.nn.Dense(1, 1, rng=0)
    monitor = f"validation_{monitor or 'loss'}" if validated else monitor
    history = tn.fit(
        model, tn.mse, tn.optim.SGD(model.parameters(), 0.1), (X, Y), 4, metrics=metrics, monitor=monitor, mode=given,
        validation=(X, Y) if validated else None, rng=0,
    )  # fmt: skip
    assert history.mode == (given or mode)
    values = history[history.monitor]
    best = min if history.mode == "min" else max
    assert values[history.best_epoch - 1] == best(values)


def test_early_stopping_goes_by_the_mode(network, moons, same):
    """A metric that only becomes less is best at the first epoch for max, and at the last for min."""
    falling = iter(range(100, 0, -1))
    for mode, epochs in (("max", 3), ("min", 6)):
        model, states = network(), []
        history = tn.fit(
            model, tn.cross_entropy, tn.optim.SGD(model.parameters(), 0.1), [(moons[0], moons[1])], 6, patience=2,
            metrics={"m": lambda prediction, target: next(falling)}, monitor="m", mode=mode,
            callbacks=lambda epoch, history, states=states, model=model: states.append(model.state_dict()),
        )  # fmt: skip
        assert (len(history), history.ended) == (epochs, "patience" if mode == "max" else "epochs")
        assert same(model, states[0 if mode == "max" else -1])


def test_a_plateau_must_look_the_same_way(network, moons, raised):
    model = network()
    optimizer = tn.optim.SGD(model.parameters(), 0.1)
    schedule = tn.optim.ReduceLROnPlateau(optimizer)
    fit = partial(tn.fit, model, tn.cross_entropy, optimizer, moons, 1, metrics="f1", monitor="f1")
    assert raised(ValueError, fit, schedule=schedule) == (
        "fit: of f1 the max is the best, and the schedule is ReduceLROnPlateau(mode='min'): give both the same mode="
    )
    assert len(fit(schedule=tn.optim.ReduceLROnPlateau(optimizer, mode="max"))) == 1


@pytest.mark.parametrize("compiled", [False, True])
def test_all_names_in_one_training(network, moons, compiled):
    """Compiled or not, with a last batch of another size."""
    model = network()
    names = [*OF_CLASSES]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = tn.fit(
            model, tn.cross_entropy, tn.optim.Adam(model.parameters(), 0.05), moons, 12, batch_size=36, rng=0,
            metrics=names, validation=moons, compile=compiled,
        )  # fmt: skip
    assert history.note == ""
    assert [*history.metrics] == [*names, *(f"validation_{name}" for name in names)]
    after = evaluate(model, tn.cross_entropy, moons, names)
    assert {name: history[f"validation_{name}"][-1] for name in after} == after
    assert after["accuracy"] > 0.8
