"""Weights of examples and classes: J = Σ wₙ Lₙ / Σ wₙ, for every loss, target and way to give them."""

import functools

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.training import evaluate

N = 40
RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, N))
LABELS = RNG.integers(0, 3, N)
WEIGHTS = RNG.integers(0, 4, N).astype(float)
LOSSES = [op for op in BY_NAME.values() if isinstance(op, Op) and op.arguments[1:] == ("target",)]


def target_of(loss):
    """One that a loss of three outputs takes."""
    takes_labels = "label" in (loss.docs.summary or "")
    return LABELS if takes_labels else RNG.random((3, N))


def model_of(dtype=np.float64, outputs=3, last=None):
    return tn.nn.Sequential(tn.nn.Dense(2, outputs, last, rng=1, dtype=dtype))


def trained(loss, data, model=None, epochs=1, lr=0.5, optimizer=None, **settings):
    model = model or model_of()
    optimizer = (optimizer or (lambda p: tn.optim.SGD(p, lr)))(model.parameters())
    settings = {"batch_size": None, "progress": False} | settings
    return model, tn.fit(model, loss, optimizer, data, epochs, **settings)


def last_of(loss):
    return "log_softmax" if loss.training.takes == "log-probabilities" else None


def close(a, b, rel=1e-12):
    a, b = a.state_dict(), b.state_dict()
    return all(np.allclose(a[name], b[name], rtol=rel, atol=rel) for name in a)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_a_weight_of_two_is_an_example_that_is_there_twice(loss, compiled):
    """Of the full batch, with weights that are whole numbers, 0 among them."""
    Y, times = target_of(loss), WEIGHTS.astype(int)
    settings = {"epochs": 3, "compile": compiled}
    weighted, found = trained(loss, (X, Y), model_of(last=last_of(loss)), sample_weight=WEIGHTS, **settings)
    repeated = np.repeat(X, times, axis=1), np.repeat(Y, times, axis=-1)
    expected, history = trained(loss, repeated, model_of(last=last_of(loss)), **settings)
    assert close(weighted, expected)
    assert found.loss == pytest.approx(history.loss)
    assert found.note == ""
    of_all = evaluate(weighted, loss, (X, Y, WEIGHTS))["loss"]
    assert of_all == pytest.approx(evaluate(weighted, loss, repeated)["loss"])


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_equal_weights_change_nothing(loss):
    Y = target_of(loss)
    plain, history = trained(loss, (X, Y), model_of(last=last_of(loss)), batch_size=16, epochs=2, rng=0)
    for weight in (np.ones(N), np.full(N, 1e-3), np.full(N, 7, np.int8)):
        same, found = trained(
            loss, (X, Y), model_of(last=last_of(loss)), batch_size=16, epochs=2, rng=0, sample_weight=weight
        )  # fmt: skip
        assert close(same, plain)
        assert found.loss == pytest.approx(history.loss)


CLASSES = [0.5, 2.0, 1.5]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("form", ["labels", "one-hot"])
def test_class_weights_are_those_of_cross_entropy(form, dtype):
    """``tn.cross_entropy(weight=)`` divides by the weights of the labels, as PyTorch's does."""
    Y = LABELS if form == "labels" else np.eye(3)[:, LABELS].astype(dtype)
    data = (X.astype(dtype), Y)
    expected, history = trained(
        functools.partial(tn.cross_entropy, weight=np.array(CLASSES, dtype)), (data[0], LABELS), model_of(dtype),
        epochs=4,
    )  # fmt: skip
    for given in (CLASSES, np.array(CLASSES), dict(enumerate(CLASSES)), {2: 1.5, 0: 0.5, 1: 2}):
        model, found = trained(tn.cross_entropy, data, model_of(dtype), epochs=4, class_weight=given)
        assert model[0].W.dtype == dtype
        rel = {"e": 4e-3, "f": 1e-5, "d": 1e-12}[np.dtype(dtype).char]
        assert close(model, expected, rel)
        assert found.loss == pytest.approx(history.loss, rel=rel)


@pytest.mark.peers
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_weights_are_those_of_pytorch(smoothing):
    torch = pytest.importorskip("torch")
    model = model_of()
    layer = torch.nn.Linear(2, 3, dtype=torch.float64)
    with torch.no_grad():
        layer.weight[...] = torch.tensor(model[0].W.data)
        layer.bias[...] = torch.tensor(model[0].b.data[:, 0])
    criterion = torch.nn.CrossEntropyLoss(torch.tensor(CLASSES, dtype=torch.float64))
    optimizer = torch.optim.SGD(layer.parameters(), 0.5)
    costs = []
    for _ in range(5):
        optimizer.zero_grad()
        J = criterion(layer(torch.tensor(X.T)), torch.tensor(LABELS))
        J.backward()
        optimizer.step()
        costs.append(J.item())
    model, history = trained(tn.cross_entropy, (X, LABELS), model, epochs=5, class_weight=CLASSES)
    assert history.loss == pytest.approx(costs, rel=1e-12)
    assert np.allclose(model[0].W.data, layer.weight.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("target", ["one output", "labels"])
def test_balanced_is_that_of_scikit_learn(target):
    pytest.importorskip("sklearn")
    from sklearn.utils.class_weight import compute_sample_weight

    if target == "labels":
        loss, outputs, Y, labels = tn.cross_entropy, 3, LABELS, LABELS
    else:
        loss, outputs, labels = tn.binary_cross_entropy, 1, (LABELS == 0).astype(int)
        Y = labels[np.newaxis].astype(float)
    weights = compute_sample_weight("balanced", labels)
    expected, history = trained(loss, (X, Y), model_of(outputs=outputs), sample_weight=weights, batch_size=9, rng=0)
    batches = tn.data.batches(X, Y, 9, rng=0)
    for data in ((X, Y), batches):
        model, found = trained(
            loss, data, model_of(outputs=outputs), class_weight="balanced", batch_size=9, rng=0
        )  # fmt: skip
        assert close(model, expected)
        assert found.loss == pytest.approx(history.loss)


def test_balanced_needs_all_targets(raised):
    class Endless:
        def __iter__(self):
            yield X, LABELS

    assert "class_weight='balanced' counts the classes of all examples" in raised(
        ValueError, trained, tn.cross_entropy, Endless(), class_weight="balanced"
    )
    listed = [(X[:, :10], LABELS[:10]), (X[:, 10:], LABELS[10:])]
    assert len(trained(tn.cross_entropy, listed, class_weight="balanced")[1]) == 1


def test_as_logistic_regression_of_scikit_learn():
    """The minimum of the weighted cost is the same: a convex problem, so that there is one."""
    linear = pytest.importorskip("sklearn.linear_model")
    y = (X[0] + 0.7 * RNG.normal(size=N) > 0).astype(int)
    weights = np.arange(1.0, N + 1)
    regression = linear.LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000, class_weight={0: 1, 1: 5})
    expected = regression.fit(X.T, y, weights)
    model, _ = trained(
        tn.binary_cross_entropy, (X, y[np.newaxis].astype(float)), model_of(outputs=1), epochs=400,
        sample_weight=weights, class_weight={1: 5}, optimizer=tn.optim.OnlineLBFGS,
    )  # fmt: skip
    assert np.allclose(model[0].W.data, expected.coef_, rtol=2e-3)
    assert np.allclose(model[0].b.data, expected.intercept_, atol=2e-3)


def test_validation_has_class_weights_and_its_own():
    data = (X, LABELS)
    model, history = trained(
        tn.cross_entropy, data, lr=0.1, class_weight=CLASSES, validation=(X, LABELS, WEIGHTS), metrics="accuracy"
    )
    weights = WEIGHTS * np.array(CLASSES)[LABELS]
    losses = tn.cross_entropy(model(X), LABELS, reduction="none").data
    assert history.validation_loss[0] == pytest.approx(np.average(losses, weights=weights))
    found = evaluate(model, tn.cross_entropy, (X, LABELS, WEIGHTS), "accuracy", class_weight=CLASSES)
    assert found["loss"] == history.validation_loss[0]
    right = model(X).data.argmax(axis=0) == LABELS  # of metrics, those of classes are no weights
    assert found["accuracy"] == history["validation_accuracy"][0] == pytest.approx(np.average(right, weights=WEIGHTS))


def test_batches_bring_their_weights():
    pair, history = trained(tn.cross_entropy, (X, LABELS), batch_size=7, rng=0, sample_weight=WEIGHTS)
    for data in (
        tn.data.batches(X, LABELS, 7, rng=0, weight=WEIGHTS),
        [*tn.data.batches(X, LABELS, 7, rng=0, weight=WEIGHTS)],
        (X, LABELS, WEIGHTS),
    ):
        model, found = trained(tn.cross_entropy, data, batch_size=7, rng=0)
        assert close(model, pair)
        assert found.loss == pytest.approx(history.loss)


def test_a_batch_without_weight_changes_nothing():
    halves = [(X[:, :10], LABELS[:10], WEIGHTS[:10]), (X[:, 10:], LABELS[10:], np.zeros(N - 10))]
    model, history = trained(tn.cross_entropy, halves, metrics=("accuracy", "log_loss"))
    expected, plain = trained(tn.cross_entropy, halves[:1], metrics=("accuracy", "log_loss"))
    assert close(model, expected, 0)
    assert (history.loss, history.metrics) == (plain.loss, plain.metrics)


def test_ones_own_loss_takes_the_shares(raised):
    def own(prediction, target, share=None):
        losses = tn.sum(tn.square(prediction - target), axis=0)
        return losses.mean() if share is None else (losses * share).sum()

    Y = RNG.random((3, N))
    model, _ = trained(own, (X, Y), lr=0.25, sample_weight=WEIGHTS)
    expected, _ = trained(tn.mse, (X, Y), sample_weight=WEIGHTS)  # half of it
    assert close(model, expected)
    text = raised(TypeError, trained, lambda prediction, y: tn.mse(prediction, y), (X, Y), sample_weight=WEIGHTS)
    assert text.startswith("fit: the loss <lambda> takes no weights: give it a third argument, the shares (N,)")


def test_options_of_a_loss_stay():
    smooth = functools.partial(tn.cross_entropy, label_smoothing=0.1)
    times = WEIGHTS.astype(int)
    model, _ = trained(smooth, (X, LABELS), sample_weight=WEIGHTS)
    expected, _ = trained(smooth, (np.repeat(X, times, axis=1), np.repeat(LABELS, times)))
    assert close(model, expected)


HOT = np.eye(3)[:, LABELS]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"sample_weight": WEIGHTS[:3]}, "sample_weight has shape (3,), expected (40,), one for each example"),
        ({"sample_weight": -WEIGHTS}, "sample_weight holds -"),
        ({"sample_weight": np.where(WEIGHTS == 1, np.nan, WEIGHTS)}, "sample_weight holds nan, expected finite"),
        ({"sample_weight": np.zeros(N)}, "the weights of all examples are 0: no loss is left, and"),
        ({"class_weight": {0: 0, 1: 0, 2: 0.0}}, "the weights of all examples are 0"),
        ({"validation": (X, LABELS, np.zeros(N))}, "the weights of all examples are 0"),
        ({"sample_weight": np.full(N, 1e308)}, "the weights of batch 1 add up to inf: give smaller ones"),
        ({"sample_weight": WEIGHTS.astype(str)}, "sample_weight is of type ndarray of <U"),
        ({"sample_weight": "balanced"}, "sample_weight is of type str, expected an array (40,) of numbers"),
        ({"sample_weight": WEIGHTS[:, np.newaxis]}, "sample_weight has shape (40, 1), expected (40,), one"),
        ({"sample_weight": 2.0}, "sample_weight has shape (), expected (40,), one for each example"),
        ({"class_weight": {}}, "class_weight={}, expected 'balanced', a dict of weights by class"),
        ({"class_weight": 3}, "class_weight=3, expected 'balanced', a dict of weights by class"),
        ({"class_weight": {"a": "b"}}, "class_weight={'a': 'b'}, expected 'balanced', a dict"),
        ({"class_weight": {"cat": 2.0}}, "class_weight has the key 'cat', expected the numbers of classes, from 0, as"),
        ({"class_weight": {-1: 2.0}}, "class_weight has the key -1, expected the numbers of classes, from 0"),
        ({"class_weight": {0.5: 2.0}}, "class_weight has the key 0.5, expected the numbers of classes, from 0"),
        ({"data": [(X, LABELS)], "sample_weight": WEIGHTS}, "sample_weight= is for a pair of arrays (X, Y); batches"),
        ({"data": (X, LABELS, WEIGHTS), "sample_weight": WEIGHTS}, "the data have weights of their own, as a third"),
        ({"data": [(X, LABELS, WEIGHTS[:3])]}, "the third part of batch 1, the weights, has shape (3,), expected"),
        ({"class_weight": [1.0, 2.0]}, "class_weight has 2 numbers, expected one for each class from 0; the target"),
        ({"class_weight": "even"}, "class_weight='even', expected 'balanced', a dict, or a weight per class"),
        ({"class_weight": {0: np.inf}}, "class_weight holds inf, expected finite numbers of at least 0"),
        ({"data": (X, X), "loss": "mse", "class_weight": CLASSES}, "class_weight is of classes, of which an example"),
        ({"data": (X, X[:1]), "loss": "mse", "class_weight": CLASSES}, "class_weight is of classes, and the target, "),
        (
            {"loss": functools.partial(tn.cross_entropy, reduction="sum"), "sample_weight": WEIGHTS},
            "with weights, J is the weighted mean of the losses of examples: leave out reduction= of cross_entropy",
        ),
    ],
)  # fmt: skip
def test_weights_that_are_none(raised, settings, text):
    settings = {"loss": tn.cross_entropy, "data": (X, LABELS)} | settings
    assert text in raised((TypeError, ValueError), trained, **settings)
