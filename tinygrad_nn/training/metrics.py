"""Losses and metrics by name, and their means over data."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_nn.data import batches
from tinygrad_nn.modes import no_grad
from tinygrad_nn.nn import Module
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.tensor import Tensor

__all__ = [
    "BUILT_IN", "Data", "Means", "Measure", "accuracy", "accuracy_of_logits", "evaluate", "find_loss", "find_metrics",
    "fixed_batches", "is_pair", "means_of",
]  # fmt: skip

Data = Iterable[tuple[Any, Any]]
Measure = Callable[[Any, Any], Any]


def accuracy(prediction: Any, target: Any, threshold: float = 0.5) -> float:
    """The share of columns that are classified rightly.

    Parameters
    ----------
    prediction : (classes, N), where the largest entry of a column names its class; or (1, N), where class 1 is what
        lies above `threshold` (0.5 for probabilities, 0 for logits).
    target : class labels (N,) or (1, N), or one-hot columns (classes, N).

    >>> import numpy as np
    >>> accuracy(np.array([[0.9, 0.2, 0.4], [0.1, 0.8, 0.6]]), np.array([0, 1, 0])).__round__(3)
    0.667
    """
    prediction, target = (x.value if isinstance(x, Tensor) else np.asarray(x) for x in (prediction, target))
    if len(prediction) > 1:
        chosen = prediction.argmax(axis=0)
        target = target.argmax(axis=0) if target.shape == prediction.shape else target
    else:
        chosen = prediction[0] > threshold
    return float(np.mean(chosen == target.reshape(chosen.shape)))


def accuracy_of_logits(prediction: Any, target: Any) -> float:
    """As `accuracy`, of one logit per example: above 0 means class 1."""
    return accuracy(prediction, target, threshold=0)


BUILT_IN = (accuracy, accuracy_of_logits)


def evaluate(
    model: Module, loss: str | Measure, data: Any, metrics: str | Iterable[Any] | Mapping[str, Measure] = ()
) -> dict[str, float]:
    """Loss and metrics of `model` on `data`, a pair (X, Y) or batches, as in prediction; nothing is changed.

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Dense(2, 2, rng=0)
    >>> sorted(evaluate(model, tn.cross_entropy, tn.data.make_xor(), metrics="accuracy"))
    ['accuracy', 'loss']
    """
    loss = find_loss(loss)
    return means_of(model, loss, fixed_batches(data), find_metrics(metrics, loss))


def means_of(model: Module, loss: Measure, data: Data, metrics: Mapping[str, Measure]) -> dict[str, float]:
    """Loss and metrics of batches, as in prediction."""
    total = Means(["loss", *metrics])
    with no_grad(), model.evaluating():
        for X, Y in data:
            prediction = model(X)
            total.add(X, [loss(prediction, Y), *(measure(prediction, Y) for measure in metrics.values())])
    return total.means()


class Means:
    """Means over examples, batch by batch."""

    def __init__(self, names: Iterable[str]):
        self.names = list(names)
        self.sums, self.n = [0.0] * len(self.names), 0

    def add(self, X: Any, values: list[Any]) -> None:
        """Add the values of a batch X."""
        n = X.shape[-1]
        self.n += n
        numbers = [float(value.item() if isinstance(value, Tensor) else value) for value in values]
        self.sums = [total + n * number for total, number in zip(self.sums, numbers, strict=True)]

    def means(self) -> dict[str, float]:
        """The mean of each."""
        return {name: total / self.n for name, total in zip(self.names, self.sums, strict=True)}


def find_loss(loss: str | Measure) -> Measure:
    """The loss of this name, or the function itself; ValueError naming the nearest where there is none."""
    if callable(loss):
        return loss
    found = BY_NAME.get(loss)
    if isinstance(found, Op) and found.arguments[1:] == ("target",):
        return found
    names = sorted(n for n, e in BY_NAME.items() if isinstance(e, Op) and e.arguments[1:] == ("target",))
    near = difflib.get_close_matches(str(loss), names, n=1)
    raise ValueError(f"fit: there is no loss {loss!r}; " + (f"did you mean {near[0]!r}?" if near else ", ".join(names)))


def _takes_one_logit(loss: Op) -> bool:
    """Whether a loss takes a logit for each output by itself: above 0 means yes."""
    activation = loss.training.probabilities
    return activation is not None and activation.kind == "elementwise"


def find_metrics(metrics: str | Iterable[Any] | Mapping[str, Measure], loss: Measure) -> dict[str, Measure]:
    """The metrics by name, as `fit` takes them."""
    if isinstance(metrics, Mapping):
        return dict(metrics)
    found: dict[str, Measure] = {}
    for metric in [metrics] if isinstance(metrics, str) or callable(metrics) else metrics:
        if metric == "accuracy" and isinstance(loss, Op) and _takes_one_logit(loss):
            found["accuracy"] = accuracy_of_logits
        elif metric == "accuracy":
            found["accuracy"] = accuracy
        elif callable(metric):
            found[metric.__name__] = metric
        else:
            raise ValueError(
                f"fit: there is no metric {metric!r}; give 'accuracy', or functions of (prediction, target)"
            )
    return found


def fixed_batches(data: Any) -> Data:
    """Batches that are the same in every epoch, for measuring."""
    return batches(data[0], data[1], batch_size=4096, shuffle=False) if is_pair(data) else data


def is_pair(data: Any) -> bool:
    """(X, Y), rather than a sequence of batches, which are tuples themselves."""
    return (
        isinstance(data, (tuple, list)) and len(data) == 2 and not any(isinstance(part, (tuple, list)) for part in data)
    )
