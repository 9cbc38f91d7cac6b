"""Weights of examples and classes in the loss: J = Σ wₙ Lₙ / Σ wₙ over the examples of a batch.

That is what PyTorch's `CrossEntropyLoss(weight=)` and scikit-learn's `sample_weight` mean: an example of weight 2
counts as if it were there twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from tinygrad_nn.data import Batches
from tinygrad_nn.errors import ShapeError
from tinygrad_nn.nn.foreign import name_of
from tinygrad_nn.nn.outputs import classes_of
from tinygrad_nn.operation import Op

__all__ = ["Weighted", "Weights", "balanced", "checked_weights", "cost_of", "targets_of"]

Table = Mapping[Any, float] | np.ndarray | None


def cost_of(loss: Callable) -> Callable:
    """A loss that takes as a third argument the shares of the examples, which add up to 1: J = Σ shareₙ Lₙ.

    Without it, it is the loss itself.
    """
    if _reduces(loss):

        def cost(prediction: Any, target: Any, share: Any = None) -> Any:
            if share is None:
                return loss(prediction, target)
            losses = loss(prediction, target, reduction="none")
            if losses.shape != share.shape:
                raise ShapeError(f"fit: the loss of each example has shape {losses.shape}, the weights {share.shape}")
            if losses.dtype == share.dtype:
                return (losses * share).sum()
            return (losses.astype(share.dtype) * share).sum().astype(losses.dtype)

        return cost

    def own(prediction: Any, target: Any, share: Any = None) -> Any:
        return loss(prediction, target) if share is None else loss(prediction, target, share)

    return own


class Weighted(NamedTuple):
    """The weights of a batch."""

    shares: np.ndarray  # of its examples in J; they add up to 1
    total: float
    own: np.ndarray | None  # of examples, without those of classes: what metrics count them by


class Weights:
    """The weight of each example of a batch: its own times that of its class."""

    def __init__(self, loss: Callable, class_weight: Any, targets: Callable[[], Any], dtype: Any):
        self.loss, self.table = loss, _table(class_weight, targets)
        self.dtype = np.float32 if dtype == np.float16 else dtype
        self.allowed = False

    def of(self, X: Any, Y: Any, own: Any, batch: int) -> Weighted | None:
        """Those of a batch; None without any."""
        if own is None and self.table is None:
            return None
        if not self.allowed:
            _refuse_loss(self.loss)
            self.allowed = True
        n = X.shape[-1]
        if own is not None:
            own = checked_weights(own, n, f"the third part of batch {batch}, the weights,")
        weight = np.ones(n) if own is None else own
        if self.table is not None:
            weight = weight * _of_classes(self.table, Y, n)
        total = float(weight.sum())
        if total == np.inf:
            raise ValueError(f"fit: the weights of batch {batch} add up to inf: give smaller ones")
        return Weighted((weight / (total or 1.0)).astype(self.dtype), total, own)

    def check_classes(self, prediction: Any) -> None:
        """ValueError for weights of classes that the outputs (d, N) have not; one's own loss knows its own."""
        shape = np.shape(prediction)
        if self.table is None or not _reduces(self.loss) or not shape:
            return
        n = shape[0] if len(shape) == 2 and shape[0] > 1 else 2
        keys = range(len(self.table)) if isinstance(self.table, np.ndarray) else self.table
        strange = [int(key) for key in keys if key >= n]
        if strange:
            outputs = f"{n} outputs are the classes" if len(shape) == 2 and shape[0] > 1 else "one output tells classes"
            raise ValueError(
                f"fit: class_weight has a weight of class {strange[0]}, and the model's {outputs} 0 to {n - 1}: leave "
                "it out"
            )


def _reduces(loss: Callable) -> bool:
    """Whether it gives the loss of each example, too: those of the tables do."""
    whole = getattr(loss, "func", loss)
    return isinstance(whole, Op) and whole.further is not None


def _refuse_loss(loss: Callable) -> None:
    """TypeError or ValueError for a loss that cannot be weighted."""
    if _reduces(loss):
        if "reduction" in getattr(loss, "keywords", {}):
            raise ValueError(
                f"fit: with weights, J is the weighted mean of the losses of examples: leave out reduction= of "
                f"{name_of(loss)}"
            )
        return
    try:
        takes = len(inspect.signature(loss).parameters) > 2
    except (TypeError, ValueError):
        takes = False
    if not takes:
        raise TypeError(
            f"fit: the loss {name_of(loss)} takes no weights: give it a third argument, the shares (N,) of the "
            "examples, which add up to 1, and return the sum of share × loss; or take a loss of tn"
        )


def _table(class_weight: Any, targets: Callable[[], Any]) -> Table:
    """The weights of classes, as a mapping or as an array by number; TypeError or ValueError for what is none."""
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"fit: class_weight={class_weight!r}, expected 'balanced', a dict, or a weight per class")
        return balanced(targets())
    values = [*class_weight.values()] if isinstance(class_weight, Mapping) else class_weight
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        numbers = np.empty((0, 0))
    if numbers.ndim != 1 or not len(numbers):
        raise TypeError(
            f"fit: class_weight={class_weight!r:.60}, expected 'balanced', a dict of weights by class, or one weight "
            "for each class"
        )
    _refuse_numbers(numbers, "class_weight")
    if not isinstance(class_weight, Mapping):
        return numbers
    for key in class_weight:
        if not isinstance(key, Real) or key < 0 or key % 1:
            hint = ", as the place of a label in preprocessor.classes_" if isinstance(key, str) else ""
            raise ValueError(f"fit: class_weight has the key {key!r}, expected the numbers of classes, from 0{hint}")
    return dict(zip(class_weight, numbers.tolist(), strict=True))


def balanced(target: Any) -> dict[int, float]:
    """N / (K · N_c) for each of the K classes that are there: each class weighs the same, all together N.

    >>> balanced(np.array([0, 0, 0, 1]))
    {0: 0.6666666666666666, 1: 2.0}
    """
    classes, counts = np.unique(_classes(target, np.shape(target)[-1]), return_counts=True)
    return dict(zip(classes.tolist(), (counts.sum() / (len(counts) * counts)).tolist(), strict=True))


def targets_of(data: Any) -> Any:
    """The targets of all examples of a training; ValueError where going through the data would be needed."""
    if isinstance(data, Batches):
        return data.Y
    if isinstance(data, (list, tuple)):
        return np.concatenate([np.asarray(batch[1]) for batch in data], axis=-1)
    raise ValueError(
        "fit: class_weight='balanced' counts the classes of all examples, which these data would have to be gone "
        "through for: give the weights as a dict, or one for each class"
    )


def _classes(target: Any, n: int) -> np.ndarray:
    """The class of each example; ValueError where there is no such thing."""
    values = np.asarray(getattr(target, "value", target))
    if values.ndim == 2 and len(values) > 1 and not np.allclose(values.sum(axis=0), 1, atol=1e-3):
        raise ValueError(
            "fit: class_weight is of classes, of which an example has one, and the columns of the target do not add up "
            "to 1; several labels are weighted by loss=functools.partial(tn.binary_cross_entropy, pos_weight=...)"
        )
    labels = classes_of(values, n)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"fit: class_weight is of classes, and the target, {values.dtype} of shape {values.shape}, names none: "
            "expected labels (N,), one output of zeros and ones (1, N), or one-hot columns"
        )
    return labels


def _of_classes(table: Any, target: Any, n: int) -> np.ndarray:
    labels = _classes(target, n)
    if isinstance(table, np.ndarray):
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(table):
            wrong = labels[(labels < 0) | (labels >= len(table))][0]
            raise ValueError(
                f"fit: class_weight has {len(table)} number{'s' * (len(table) > 1)}, expected one for each class from "
                f"0; the target holds {wrong}"
            )
        return table[labels]
    there, place = np.unique(labels, return_inverse=True)
    return np.array([table.get(label, 1.0) for label in there.tolist()])[place]


def checked_weights(weight: Any, n: int, what: str) -> np.ndarray:
    """Weights (N,) of N examples as float64; TypeError or ValueError for what is none."""
    found = np.asarray(getattr(weight, "value", weight))
    if found.dtype.kind not in "biuf":
        kind = type(weight).__name__ + (f" of {found.dtype}" if isinstance(weight, np.ndarray) else "")
        raise TypeError(f"fit: {what} is of type {kind}, expected an array ({n},) of numbers, one for each example")
    if found.shape not in ((n,), (1, n)):
        raise ValueError(f"fit: {what} has shape {found.shape}, expected ({n},), one for each example")
    _refuse_numbers(found, what)
    return found.reshape(n).astype(np.float64)


def _refuse_numbers(weights: np.ndarray, what: str) -> None:
    wrong = weights[~((weights >= 0) & (weights < np.inf))]
    if wrong.size:
        raise ValueError(f"fit: {what} holds {wrong.flat[0]}, expected finite numbers of at least 0")
