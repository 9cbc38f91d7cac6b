"""Means over data, of the loss and of metrics; and what data may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from tinygrad_nn.data import Batches, batches
from tinygrad_nn.nn import Module
from tinygrad_nn.nn.foreign import measuring
from tinygrad_nn.nn.outputs import kind_of, said
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.training.lookup import Measure, find_loss, find_metrics
from tinygrad_nn.training.pairs import takes_logits
from tinygrad_nn.training.scores import Score
from tinygrad_nn.training.weights import Weighted, Weights, checked_weights, cost_of, targets_of

__all__ = [
    "Data", "Means", "batched", "evaluate", "fixed_batches", "is_pair", "know_outputs", "means_of", "number_of_batches",
    "pair_of", "refuse_table",
]  # fmt: skip

Data = Iterable[tuple[Any, ...]]


def evaluate(
    model: Module, loss: str | Measure, data: Any, metrics: str | Iterable[Any] | Mapping[str, Measure] = (),
    class_weight: Any = None,
) -> dict[str, float]:  # fmt: skip
    """Loss and metrics of `model` on `data`, a pair (X, Y) or batches, as in prediction; nothing is changed.

    `loss`, `metrics` and `class_weight` are those of `fit`; data with a third part, weights (N,), weigh the loss.  A
    loss may take derivatives itself.  Here the model gives logits:

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Dense(2, 2, rng=0)
    >>> sorted(evaluate(model, tn.cross_entropy, tn.data.make_xor(), metrics="accuracy"))
    ['accuracy', 'loss']
    """
    loss, fixed = find_loss(loss), fixed_batches(data)
    dtype = next((p.dtype for p in model.parameters()), float)
    weights = Weights(loss, class_weight, partial(targets_of, fixed), dtype)
    return means_of(model, loss, fixed, find_metrics(metrics, loss), weights)


def means_of(
    model: Module, loss: Measure, data: Data, metrics: Mapping[str, Any], weights: Weights
) -> dict[str, float]:
    """Loss and metrics of batches, as in prediction."""
    total, cost = Means(metrics), cost_of(loss)
    with model.evaluating(), measuring(model, loss):
        for batch, pair in enumerate(data, 1):
            X, Y, own = pair_of(pair, "the data to measure", batch)
            prediction = model(X)
            weights.check_classes(prediction)
            know_outputs(metrics, loss, prediction, partial(said, model, X))
            weighted = weights.of(X, Y, own, batch)
            if weighted is None:
                total.add(X, loss(prediction, Y), prediction, Y)
            else:
                total.add(X, cost(prediction, Y, weighted.shares), prediction, Y, weighted)
    if not total.n:
        raise ValueError(
            "fit: the data to measure gave no batch: there is none, or it can be gone through only once; give a pair "
            "(X, Y), tn.data.batches(X, Y, batch_size), or a list of batches"
        )
    return total.means()


def know_outputs(metrics: Mapping[str, Any], loss: Any, prediction: Any, ask: Callable[[], str]) -> None:
    """Tell the metrics that want to know it what the outputs are, by the prediction, the model or the loss."""
    wanting = [metric for metric in metrics.values() if isinstance(metric, Score) and not metric.kind]
    if wanting:
        kind = kind_of(prediction) or ask() or ("logits" if takes_logits(loss) else "")
        for metric in wanting:
            metric.kind = kind


class Means:
    """Means over examples, batch by batch, of the loss and of metrics; `Score`s are of all examples at once."""

    def __init__(self, metrics: Mapping[str, Any]):
        self.scores = {name: metric for name, metric in metrics.items() if isinstance(metric, Score)}
        self.others = {name: metric for name, metric in metrics.items() if name not in self.scores}
        self.sums, self.loss, self.weight, self.n = dict.fromkeys(self.others, 0.0), 0.0, 0.0, 0
        for score in self.scores.values():
            score.start()

    def add(self, X: Any, loss: Any, prediction: Any, target: Any, weighted: Weighted | None = None) -> None:
        """Add a batch X with its loss, and the weights of its examples where they have any."""
        n = X.shape[-1]
        self.n += n
        weight = n if weighted is None else weighted.total
        self.weight += weight
        self.loss += weight * (loss if type(loss) is float else _number(loss))
        for score in self.scores.values():
            score.add(prediction, target, None if weighted is None else weighted.own)
        for name, metric in self.others.items():
            self.sums[name] += n * _number(metric(prediction, target), name)

    def means(self) -> dict[str, float]:
        """The mean of each; ValueError where no example counts."""
        if not self.weight:
            raise ValueError("fit: the weights of all examples are 0: no loss is left, and nothing to learn from")
        found = {"loss": self.loss / self.weight}
        found |= {name: total / self.n for name, total in self.sums.items()}
        return found | {name: score.value() for name, score in self.scores.items()}


def _number(value: Any, name: str = "loss") -> float:
    """One number, also in an array; TypeError for what a metric may not return."""
    value = value.value if isinstance(value, Tensor) else value
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if not isinstance(value, (Real, np.bool_)):
        shape = f" of shape {value.shape}" if hasattr(value, "shape") else ""
        raise TypeError(f"fit: the metric {name} returned {type(value).__name__}{shape}, expected a number")
    return float(value)


def fixed_batches(data: Any) -> Data:
    """Batches that are the same in every epoch, for measuring."""
    refuse_table("the data to measure", data)
    if is_pair(data):
        return batched(data[0], data[1], 4096, False, None, *data[2:])
    return data.in_order() if hasattr(data, "in_order") else data


def batched(X: Any, Y: Any, batch_size: int | None, shuffle: bool, rng: Any, weight: Any = None) -> Batches:
    """A pair of arrays as batches, with weights of the examples, which are checked."""
    found = batches(X, Y, batch_size, shuffle, rng)
    if weight is not None:
        found.weight = checked_weights(weight, found.n_examples, "sample_weight")
    return found


def number_of_batches(data: Any) -> int | None:
    """How many an epoch has; None for a stream that does not know."""
    try:
        return len(data)
    except TypeError:
        return None


def refuse_table(what: str, given: Any) -> None:
    """TypeError for a table or a frame in the place of arrays."""
    if hasattr(given, "columns") and not hasattr(given, "in_order"):
        raise TypeError(
            f"fit: {what} is a {type(given).__name__}, expected a pair of arrays "
            "(X, Y) of numbers, X of shape (features, N): preprocessor.pair(table) makes them, where preprocessor = "
            "tn.data.Preprocessor(target=...).fit(train)"
        )


def pair_of(batch: Any, what: str, number: int) -> tuple[Any, Any, Any]:
    """The parts of a batch, X, Y, and weights or None; TypeError for what is no pair of arrays."""
    if isinstance(batch, (tuple, list)) and len(batch) in (2, 3) and hasattr(batch[0], "shape"):
        if 0 in batch[0].shape[-1:]:
            raise ValueError(f"fit: batch {number} of {what} holds no example: its X has shape {batch[0].shape}")
        return batch[0], batch[1], batch[2] if len(batch) == 3 else None
    found = type(batch).__name__
    if isinstance(batch, (tuple, list)) and len(batch) not in (2, 3):
        found = f"{len(batch)} parts"
    elif isinstance(batch, (tuple, list)):
        found = f"a pair of {type(batch[0]).__name__} and {type(batch[1]).__name__}"
    raise TypeError(
        f"fit: batch {number} of {what} is {found}, expected a pair of arrays (X, Y), X of shape (features, N); "
        "examples one by one are put together by tn.data.batches"
    )


def is_pair(data: Any) -> bool:
    """(X, Y) or (X, Y, weights), rather than a sequence of batches, which are tuples themselves."""
    return (
        isinstance(data, (tuple, list))
        and len(data) in (2, 3)
        and not all(isinstance(part, (tuple, list)) for part in data)
    )
