"""What people hand to `tn.fit` that is none of what it takes: each is refused by one sentence, before it does harm."""

import numpy as np
import pytest

import tinygrad_nn as tn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 40))
LABELS = (X[0] > 0).astype(int)
NUMBERS = 2 * X[:1]
NO = X[:, :0]


def generator_of(epoch, history):
    yield epoch


async def coroutine_of(epoch, history):
    return False


class Generating:
    def on_batch_end(self, epoch, batch, loss):
        yield loss


def measure(value):
    return {"metrics": {"m": lambda prediction, target: value}}


CLASSES = {"loss": tn.cross_entropy, "data": (X, LABELS)}
REGRESSION = {"loss": tn.mse, "data": (X, NUMBERS), "outputs": 1}
REFUSED = {
    "a metric that is an array": (measure(np.ones(3)), "fit: the metric m returned ndarray of shape (3,), expected a"),
    "a metric that is a tensor": (measure(tn.tensor([1.0, 2.0])), "fit: the metric m returned ndarray of shape (2,)"),
    "a metric that is nothing": (measure(None), "fit: the metric m returned NoneType, expected a number"),
    "a metric that is text": (measure("0.5"), "fit: the metric m returned str, expected a number"),
    "a complex metric": (measure(1j), "fit: the metric m returned complex, expected a number"),
    "a metric of rows that is an array": (
        {"metrics": {"m": lambda y_true, y_pred: y_pred}}, "fit: the metric <lambda> returned ndarray, expected a numb",
    ),
    "a number as a metric": ({"metrics": [3]}, "fit: a metric is 3, expected a name, or a function of (prediction,"),
    "a number as a metric's name": ({"metrics": {3: "f1"}}, "fit: the name of a metric is 3, expected a string"),
    **{
        f"a metric called {name}": ({"metrics": {name: "f1"}}, f"a metric is called {name!r}, as the history")
        for name in ("loss", "learning_rate", "seconds", "validation_loss", "validation_f1")
    },
    **{
        f"{name} of numbers": (REGRESSION | {"metrics": name}, f"the metric {name!r} is of classes, numbered 0 ...")
        for name in ("accuracy", "balanced_accuracy", "f1", "auc", "log_loss")
    },
    "the R² of classes": ({"metrics": "r2"}, "the metric 'r2' compares numbers; the prediction has shape (2, 32), the"),
    "a monitor with a letter too few": (
        {"metrics": "accuracy", "monitor": "acuracy"},
        "fit: monitor='acuracy' is not measured; did you mean 'accuracy'? There is loss, accuracy, and with validation",
    ),
    "a monitor of Keras": (
        {"validation": (X, LABELS), "monitor": "val_loss"},
        "fit: monitor='val_loss' is not measured; did you mean 'validation_loss'? There is loss, validation_loss",
    ),
    "a monitor that is not measured": (
        {"monitor": "validation_auc", "validation": (X, LABELS)},
        "fit: monitor='validation_auc' is not measured; there is loss, validation_loss; metrics='auc' measures it",
    ),
    "a monitor without a name": ({"monitor": ""}, "fit: monitor='' is not measured; there is loss, and with"),
    "a callback that generates": (
        {"callbacks": generator_of}, "fit: the callback generator_of is a generator function, of which a call runs not",
    ),
    "a method that generates": ({"callbacks": [Generating()]}, "is a generator function, of which a call runs nothing"),
    "a coroutine": (
        {"callbacks": coroutine_of}, "the callback coroutine_of is a coroutine function, of which a call runs nothing:",
    ),
    "a batch without examples": ({"data": [(NO, LABELS[:0])]}, "batch 1 of the data holds no example: its X has shape"),
    "one among others": ({"data": [(X, LABELS), (NO, LABELS[:0])]}, "fit: batch 2 of the data holds no example: its X"),
    "one to measure": ({"validation": [(NO, LABELS[:0])]}, "fit: batch 1 of the data to measure holds no example"),
    "arrays without examples": ({"data": (NO, LABELS[:0])}, "X (2, 0) holds no example"),
    "labels in a list": ({"data": (X, LABELS.tolist())}, "batches: Y is of type list, expected a NumPy array; np.asar"),
    "labels as text": ({"data": (X, LABELS.astype(str))}, "np.unique(Y, return_inverse=True) numbers text labels"),
    "labels as text in batches": ({"data": [(X, LABELS.astype(str))]}, "np.unique(target, return_inverse=True)[1] num"),
    "labels as floats": ({"data": (X, LABELS.astype(float))}, "class labels must be integers, target has dtype float6"),
    "labels as truth": ({"data": (X, LABELS > 0)}, "target has dtype bool (first value "),
    "bars by name": ({"progress": "bar"}, "fit: progress='bar', expected True or False"),
    "a share for validation": ({"validation": 0.2}, "fit: validation is of type float, expected a pair of arrays (X,"),
    "a last batch of one": (
        {"data": tn.data.batches(X[:, :33], LABELS[:33], 8, rng=0), "layer": tn.nn.BatchNorm(4)},
        "leave out a last batch of one example, as tn.data.batches(..., drop_last=True) does, or",
    ),
}  # fmt: skip


def train(loss, data, epochs=2, layer=None, outputs=2, **settings):
    layers = [tn.nn.Dense(2, 4, rng=0), *([] if layer is None else [layer]), tn.nn.Dense(4, outputs, rng=1)]
    model = tn.nn.Sequential(*layers)
    return model, tn.fit(model, loss, tn.optim.Adam(model.parameters()), data, epochs, rng=0, **settings)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(raised, name, compiled):
    settings, text = REFUSED[name]
    metrics = settings.get("metrics")
    own = isinstance(metrics, dict) and any(callable(m) for m in metrics.values())
    assert text in raised((TypeError, ValueError), train, **CLASSES | settings, compile=compiled and not own)


@pytest.mark.parametrize("kind", ["Series", "Categorical", "text"])
def test_pandas_says_what_to_do(raised, kind):
    pandas = pytest.importorskip("pandas")
    y = {"Series": pandas.Series(LABELS), "Categorical": pandas.Categorical(LABELS)}.get(kind)
    text = raised(TypeError, train, tn.cross_entropy, (X, pandas.Series(LABELS.astype(str)) if y is None else y))
    assert (
        text
        == f"batches: Y is of type {'Series' if y is None else kind}, expected a NumPy array; np.asarray(Y) makes one"
    )
    if kind == "Series":  # a batch of one's own may hold one, whatever its index
        shifted = pandas.Series(LABELS, index=range(100, 140))
        _, plain = train(tn.cross_entropy, [(X, LABELS)], metrics=["accuracy", "auc"], class_weight="balanced")
        _, found = train(tn.cross_entropy, [(X, shifted)], metrics=["accuracy", "auc"], class_weight="balanced")
        assert (found.loss, found.metrics) == (plain.loss, plain.metrics)


@pytest.mark.parametrize(
    "value", [np.ones(1), np.float32(1), np.array(1), True, np.True_, 1, tn.tensor([[1.0]])], ids=repr
)
def test_whatever_is_one_number_is_a_metric(value):
    assert train(**CLASSES, **measure(value))[1].metrics == {"m": [1.0, 1.0]}


def test_a_metric_that_is_never_a_number(same):
    """It is recorded; but nothing can be the best of it, and the model is not put back to the start."""
    plain, _ = train(**CLASSES)
    model, history = train(**CLASSES, **measure(float("nan")), monitor="m")
    assert same(model, plain)
    assert repr(history).endswith("; m nan → nan; m always NaN)")
    model, history = train(**CLASSES, **measure(float("nan")), monitor="m", patience=9)
    assert same(model, plain)
    assert history.best_epoch is None
    with pytest.raises(
        ValueError, match="fit: m was NaN in all 2 epochs, so that none of them is the best; monitor='loss'"
    ):
        train(**CLASSES, **measure(float("nan")), monitor="m", patience=2, epochs=9)


def test_a_metric_that_is_a_number_later(same):
    values = iter([np.nan, np.nan, 1.0, 2.0, np.nan, np.nan, np.nan])
    metrics = {"m": lambda prediction, target: next(values)}
    _, history = train(tn.cross_entropy, [(X, LABELS)], epochs=9, metrics=metrics, monitor="m", patience=3)
    assert (history.best_epoch, len(history), history.ended) == (4, 7, "patience")


@pytest.mark.parametrize("error", [RuntimeError, StopIteration, GeneratorExit, SystemExit])
@pytest.mark.parametrize("event", ["on_batch_end", "on_epoch_end", "on_train_end"])
def test_what_a_callback_raises_goes_through(error, event):
    """The model is ready to predict all the same, and the end is told to the others."""
    told = []

    class Raises:
        pass

    def method(*args):
        raise error("by a callback")

    setattr(Raises, event, staticmethod(method))

    class Told:
        def on_train_end(self, history):
            told.append(len(history))

    model = tn.nn.Dense(2, 2, rng=0)
    optimizer = tn.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(error, match="by a callback"):
        tn.fit(model, tn.cross_entropy, optimizer, (X, LABELS), 2, callbacks=[Told(), Raises()])
    assert told == [{"on_batch_end": 0, "on_epoch_end": 1, "on_train_end": 2}[event]]
    assert not model.training
