"""Losses and metrics by name, and their means over data."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from tinygrad_nn.data import batches
from tinygrad_nn.nn import Module
from tinygrad_nn.nn.foreign import measuring, name_of
from tinygrad_nn.nn.outputs import chosen, kind_of, said
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.training.pairs import takes_logits
from tinygrad_nn.training.row_metrics import RowMetric, takes_rows

__all__ = [
    "BUILT_IN", "Data", "Means", "Measure", "accuracy", "evaluate", "find_loss", "find_metrics", "fixed_batches",
    "is_pair", "know_outputs", "means_of", "pair_of",
]  # fmt: skip

Data = Iterable[tuple[Any, Any]]
Measure = Callable[[Any, Any], Any]


def accuracy(prediction: Any, target: Any, threshold: float | None = None) -> float:
    """The share of columns that are classified rightly.

    Parameters
    ----------
    prediction : (classes, N), where the largest entry of a column names its class; or (1, N), where class 1 is what
        lies above the threshold.
    target : class labels (N,) or (1, N), or one-hot columns (classes, N).
    threshold : of a single output.  Unless given, 0.5 for probabilities and 0 for logits: which it is follows from the
        operation that made it, where it is recorded, and else from its values (see `nn.outputs`).

    >>> import numpy as np
    >>> accuracy(np.array([[0.9, 0.2, 0.4], [0.1, 0.8, 0.6]]), np.array([0, 1, 0])).__round__(3)
    0.667
    """
    return _accuracy(prediction, target, kind_of(prediction), threshold)


def _accuracy(prediction: Any, target: Any, kind: str, threshold: float | None = None) -> float:
    prediction, target = (x.value if isinstance(x, Tensor) else np.asarray(x) for x in (prediction, target))
    guess = chosen(prediction, kind) if threshold is None or len(prediction) > 1 else prediction[0] > threshold
    target = target.argmax(axis=0) if target.shape == prediction.shape and len(prediction) > 1 else target
    return float(np.mean(guess == target.reshape(guess.shape)))


class Accuracy:
    """`accuracy` of a model whose outputs are known: `kind` is what `nn.outputs.kind_of` says of them."""

    kind = ""

    def __call__(self, prediction: Any, target: Any) -> float:
        """The share that is right."""
        return _accuracy(prediction, target, self.kind or kind_of(prediction))


BUILT_IN = (Accuracy, RowMetric)


def evaluate(
    model: Module, loss: str | Measure, data: Any, metrics: str | Iterable[Any] | Mapping[str, Measure] = ()
) -> dict[str, float]:
    """Loss and metrics of `model` on `data`, a pair (X, Y) or batches, as in prediction; nothing is changed.

    `loss` and `metrics` are those of `fit`; a loss may take derivatives itself.  Here the model gives logits:

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Dense(2, 2, rng=0)
    >>> sorted(evaluate(model, tn.cross_entropy, tn.data.make_xor(), metrics="accuracy"))
    ['accuracy', 'loss']
    """
    loss = find_loss(loss)
    return means_of(model, loss, fixed_batches(data), find_metrics(metrics, loss))


def means_of(model: Module, loss: Measure, data: Data, metrics: Mapping[str, Any]) -> dict[str, float]:
    """Loss and metrics of batches, as in prediction."""
    total = Means(metrics)
    with model.evaluating(), measuring(model, loss):
        for batch, pair in enumerate(data, 1):
            X, Y = pair_of(pair, "the data to measure", batch)
            prediction = model(X)
            know_outputs(metrics, loss, prediction, partial(said, model, X))
            total.add(X, loss(prediction, Y), prediction, Y)
    if not total.n:
        raise ValueError(
            "fit: the data to measure gave no batch: a generator can be gone through only once; give a pair (X, Y), "
            "tn.data.batches(X, Y, batch_size), or a list of batches"
        )
    return total.means()


def know_outputs(metrics: Mapping[str, Any], loss: Any, prediction: Any, ask: Callable[[], str]) -> None:
    """Tell the metrics that want to know it what the outputs are, by the prediction, the model or the loss."""
    wanting = [metric for metric in metrics.values() if isinstance(metric, BUILT_IN) and not metric.kind]
    if wanting:
        kind = kind_of(prediction) or ask() or ("logits" if takes_logits(loss) else "")
        for metric in wanting:
            metric.kind = kind


class Means:
    """Means over examples, batch by batch, of the loss and of metrics; those of rows are of all examples at once."""

    def __init__(self, metrics: Mapping[str, Any]):
        self.metrics = metrics
        self.sums, self.n = dict.fromkeys(["loss", *metrics], 0.0), 0

    def add(self, X: Any, loss: Any, prediction: Any, target: Any) -> None:
        """Add a batch X with its loss."""
        n = X.shape[-1]
        self.n += n
        self.sums["loss"] += n * _number(loss)
        for name, metric in self.metrics.items():
            if isinstance(metric, RowMetric):
                metric.add(prediction, target)
            else:
                self.sums[name] += n * _number(metric(prediction, target))

    def means(self) -> dict[str, float]:
        """The mean of each."""
        found = {name: total / self.n for name, total in self.sums.items()}
        return found | {name: m.value() for name, m in self.metrics.items() if isinstance(m, RowMetric)}


def _number(value: Any) -> float:
    return float(value.item() if isinstance(value, Tensor) else value)


def find_loss(loss: str | Measure, caller: str = "fit") -> Measure:
    """The loss of this name, or the function itself; ValueError naming the nearest where there is none."""
    if callable(loss):
        return loss
    if not isinstance(loss, str):
        raise TypeError(
            f"{caller}: loss is {loss!r:.60}, expected a name such as 'mse', or a function of (prediction, target)"
        )
    found = BY_NAME.get(loss)
    if isinstance(found, Op) and found.arguments[1:] == ("target",):
        return found
    names = sorted(n for n, e in BY_NAME.items() if isinstance(e, Op) and e.arguments[1:] == ("target",))
    near = difflib.get_close_matches(str(loss), names, n=1)
    raise ValueError(
        f"{caller}: there is no loss {loss!r}; " + (f"did you mean {near[0]!r}?" if near else ", ".join(names))
    )


def find_metrics(metrics: str | Iterable[Any] | Mapping[str, Measure], loss: Measure) -> dict[str, Any]:
    """The metrics by name, as `fit` takes them."""
    if not isinstance(metrics, Iterable) and not callable(metrics):
        raise TypeError(f"fit: metrics={metrics!r:.60}, expected 'accuracy', a function, or several of them")
    if isinstance(metrics, Mapping):
        named = list(metrics.items())
    else:
        several = [metrics] if isinstance(metrics, str) or callable(metrics) else metrics
        named = [(metric if isinstance(metric, str) else name_of(metric), metric) for metric in several]
    found = {name: _metric(metric, loss) for name, metric in named}
    if len(found) < len(named) or "loss" in found:
        twice = (
            "loss" if "loss" in found else next(name for i, (name, _) in enumerate(named) if name in dict(named[:i]))
        )
        raise ValueError(f"fit: two metrics would be called {twice!r}: give a dict of metrics by other names")
    return found


def _metric(metric: Any, loss: Measure) -> Any:
    if metric in ("accuracy", accuracy):
        return Accuracy()
    if not callable(metric):
        raise ValueError(f"fit: there is no metric {metric!r}; give 'accuracy', or functions of (prediction, target)")
    if hasattr(metric, "_score_func"):
        raise TypeError(
            f"fit: the metric {metric!r} is a scorer of scikit-learn, which asks an estimator: give the function that "
            "it scores by, such as sklearn.metrics.f1_score, or a functools.partial of it"
        )
    return RowMetric(metric, loss) if takes_rows(metric) else metric


def fixed_batches(data: Any) -> Data:
    """Batches that are the same in every epoch, for measuring."""
    return batches(data[0], data[1], batch_size=4096, shuffle=False) if is_pair(data) else data


def pair_of(batch: Any, what: str, number: int) -> tuple[Any, Any]:
    """The parts of a batch; TypeError for what is no pair of arrays."""
    if isinstance(batch, (tuple, list)) and len(batch) == 2 and hasattr(batch[0], "shape"):
        return batch[0], batch[1]
    found = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) and len(batch) != 2 else type(batch).__name__
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        found = f"a pair of {type(batch[0]).__name__} and {type(batch[1]).__name__}"
    raise TypeError(
        f"fit: batch {number} of {what} is {found}, expected a pair of arrays (X, Y), X of shape (features, N); "
        "examples one by one are put together by tn.data.batches"
    )


def is_pair(data: Any) -> bool:
    """(X, Y), rather than a sequence of batches, which are tuples themselves."""
    return (
        isinstance(data, (tuple, list)) and len(data) == 2 and not any(isinstance(part, (tuple, list)) for part in data)
    )
