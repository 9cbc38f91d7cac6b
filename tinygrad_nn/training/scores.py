"""Metrics by name: each adds up what it needs batch by batch, and gives its number of all examples at the end.

The F₁ of an epoch is no mean of those of its batches.  Numbers are those of scikit-learn (float64, whatever the dtype
of the outputs), with an example of weight 2 counted as two; what an output means is decided in `nn.outputs`.  Several
labels of one example at a time are columns of zeros and ones that do not all add up to 1.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinygrad_nn.nn.outputs import chosen, classes_of, kind_of, probabilities
from tinygrad_nn.tensor import Tensor

__all__ = ["METRICS", "Accuracy", "ByName", "Score", "accuracy", "value_of"]


class Score:
    """A metric of all examples of an epoch: `start`, `add` for each batch, and `value`."""

    kind = ""  # of the outputs, see `nn.outputs.kind_of`
    less_is_better = False

    def start(self) -> None:
        """Forget what was added."""

    def add(self, prediction: Any, target: Any, weight: np.ndarray | None = None) -> None:
        """Add what a model says about a batch, as columns, what is right, and the weights (N,) of its examples."""
        raise NotImplementedError

    def value(self) -> float:
        """The metric of all that was added since the start."""
        raise NotImplementedError


class ByName(Score):
    """A metric that `fit` knows by a name."""

    name: ClassVar[str]
    _ones = np.ones(0)

    def add(self, prediction: Any, target: Any, weight: np.ndarray | None = None) -> None:
        """Add a batch."""
        self.kind = self.kind or kind_of(prediction)
        outputs = value_of(prediction)
        if weight is None:
            if len(self._ones) != outputs.shape[-1]:
                self._ones = np.ones(outputs.shape[-1])
            weight = self._ones
        self._add(outputs[np.newaxis] if outputs.ndim == 1 else outputs, value_of(target), weight)

    def _add(self, outputs: np.ndarray, target: np.ndarray, weight: np.ndarray) -> None:
        raise NotImplementedError


def value_of(x: Any) -> np.ndarray:
    """The array of a tensor, or of anything else."""
    return x.value if isinstance(x, Tensor) else np.asarray(x)


def _several_labels(target: np.ndarray) -> bool:
    """Whether columns hold several labels of an example, rather than one class."""
    return not np.allclose(target.sum(axis=0), 1, atol=1e-3)


def _are_columns(outputs: np.ndarray, target: np.ndarray) -> bool:
    return len(outputs) > 1 and target.shape == outputs.shape


def _each(outputs: np.ndarray, kind: str) -> np.ndarray:
    """Whether each label is said, of outputs that are yes or no each by itself."""
    return chosen(outputs.reshape(1, -1), kind).reshape(outputs.shape).astype(bool)


# --- of classes ------------------------------------------------------------------------------------------------------


class Accuracy(ByName):
    """The share of examples that are classified rightly; of several labels, those with all of them right."""

    name = "accuracy"

    def start(self) -> None:
        """Forget what was added."""
        self.n = self.right = self.all_right = 0.0
        self.several = False

    def _add(self, outputs: np.ndarray, target: np.ndarray, weight: np.ndarray) -> None:
        guess = chosen(outputs, self.kind)
        if _are_columns(outputs, target):
            self.all_right += float(weight @ (_each(outputs, self.kind) == (target > 0.5)).all(axis=0))
            self.several |= _several_labels(target)
            target = target.argmax(axis=0)
        self.n += float(weight.sum())
        self.right += float(weight @ (guess == _labels(self.name, outputs, target, max(len(outputs), 2))))

    def value(self) -> float:
        """The share."""
        return (self.all_right if self.several else self.right) / self.n if self.n else float("nan")


def accuracy(prediction: Any, target: Any, threshold: float | None = None) -> float:
    """The share of columns that are classified rightly.

    Parameters
    ----------
    prediction : (classes, N), where the largest entry of a column names its class; or (1, N), where class 1 is what
        lies above the threshold.
    target : class labels (N,) or (1, N), or one-hot columns (classes, N); several labels at a time, columns
        of zeros and ones that do not add up to 1, must all be right.
    threshold : of a single output.  Unless given, 0.5 for probabilities and 0 for logits: which it is follows from the
        operation that made it, where it is recorded, and else from its values (see `nn.outputs`).

    >>> import numpy as np
    >>> accuracy(np.array([[0.9, 0.2, 0.4], [0.1, 0.8, 0.6]]), np.array([0, 1, 0])).__round__(3)
    0.667
    """
    if threshold is None or len(prediction) > 1:
        share = Accuracy()
        share.start()
        share.add(prediction, target)
        return share.value()
    prediction, target = value_of(prediction), value_of(target)
    return float(np.mean((prediction[0] > threshold) == target.reshape(prediction[0].shape)))


class _Counts(ByName):
    """A metric that follows from how often each class was taken for each, or of each label for each answer."""

    def start(self) -> None:
        """Forget what was added."""
        self.table: Any = 0  # [what is right, what was said]
        self.tables: Any = 0  # the same of each label by itself, [label, is there, was said]
        self.several = False

    def _add(self, outputs: np.ndarray, target: np.ndarray, weight: np.ndarray) -> None:
        k = max(len(outputs), 2)
        if _are_columns(outputs, target):
            there, said = target > 0.5, _each(outputs, self.kind)
            counted = [[(a & b) @ weight for b in (~said, said)] for a in (~there, there)]
            self.tables = self.tables + np.moveaxis(np.array(counted), -1, 0)
            self.several |= _several_labels(target)
        labels = _labels(self.name, outputs, target, k)
        pairs = labels * k + chosen(outputs, self.kind)
        self.table = self.table + np.bincount(pairs, weight, k * k).reshape(k, k)

    def value(self) -> float:
        """The metric; of several labels, the mean of those of each."""
        if self.several:
            return float(np.mean([self._of(table) for table in self.tables]))
        return self._of(self.table)

    def _of(self, table: np.ndarray) -> float:
        raise NotImplementedError


class BalancedAccuracy(_Counts):
    """The mean over the classes of the share of each that is found."""

    name = "balanced_accuracy"

    def _of(self, table: np.ndarray) -> float:
        of_class = table.sum(axis=1)
        found = table.diagonal()[of_class > 0] / of_class[of_class > 0]
        return float(found.mean()) if found.size else float("nan")


class F1(_Counts):
    """F₁ = 2TP / (2TP + FP + FN) of class 1 of two; of more classes, the mean of those of each ("macro")."""

    name = "f1"

    def _of(self, table: np.ndarray) -> float:
        twice, all_of = 2 * table.diagonal(), table.sum(axis=0) + table.sum(axis=1)
        each = twice / np.where(all_of > 0, all_of, 1)
        return float(each[1] if len(table) == 2 else each[all_of > 0].mean())


class AUC(ByName):
    """The area under the ROC curve: how likely a positive is ranked above a negative (ties count ½).

    Of more than two classes, or of several labels, the mean of each against the rest; NaN where there is only one.
    """

    name = "auc"

    def start(self) -> None:
        """Forget what was added."""
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.several = False

    def _add(self, outputs: np.ndarray, target: np.ndarray, weight: np.ndarray) -> None:
        if _are_columns(outputs, target):
            self.several |= _several_labels(target)
            there = target > 0.5
        else:
            k = max(len(outputs), 2)
            there = np.arange(k)[:, np.newaxis] == _labels(self.name, outputs, target, k)
        self.parts.append((np.array(outputs), there, weight))

    def value(self) -> float:
        """The area."""
        outputs, there, weight = (np.concatenate(part, axis=-1) for part in zip(*self.parts, strict=True))
        if not self.several and len(outputs) > 2:
            with np.errstate(under="ignore"):
                outputs = probabilities(outputs.astype(np.float64), self.kind)
        elif not self.several:  # a logit of class 1 ranks as its probability does, and has more digits
            two = outputs.astype(np.float64)
            outputs, there = two[-1:] - two[:1] if len(two) == 2 else two, there[1:]
        areas = [_area(score, positive, weight) for score, positive in zip(outputs, there, strict=True)]
        known = [area for area in areas if area == area]
        return float(np.mean(known)) if known else float("nan")


def _area(score: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> float:
    """By how many negatives are below each positive (Mann and Whitney 1947)."""
    _, place = np.unique(score, return_inverse=True)
    above, below = (np.bincount(place, weight * of) for of in (positive, ~positive))
    pairs = above.sum() * below.sum()
    return float(above @ (below.cumsum() - below / 2) / pairs) if pairs else float("nan")


class LogLoss(ByName):
    """−log of the probability that the right class got, the mean over examples; of several labels, over all of them."""

    name, less_is_better = "log_loss", True

    def start(self) -> None:
        """Forget what was added."""
        self.n, self.total, self.each, self.several = 0.0, 0.0, 0.0, False

    @np.errstate(under="ignore")
    def _add(self, outputs: np.ndarray, target: np.ndarray, weight: np.ndarray) -> None:
        wide, limit = outputs.astype(np.float64), np.finfo(outputs.dtype if outputs.dtype.kind == "f" else float).eps
        self.n += float(weight.sum())
        if _are_columns(outputs, target):
            self.several |= _several_labels(target)
            yes, no = _logs_of_one(wide, self.kind, limit)
            self.each -= float(((target * yes + (1 - target) * no) @ weight).mean())
            columns = target
        else:
            k = max(len(outputs), 2)
            columns = np.arange(k)[:, np.newaxis] == _labels(self.name, outputs, target, k)
        self.total -= float((columns * _logs(wide, self.kind, limit)).sum(axis=0) @ weight)

    def value(self) -> float:
        """The mean."""
        return (self.each if self.several else self.total) / self.n if self.n else float("nan")


def _logs_of_one(outputs: np.ndarray, kind: str, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """log p and log(1 − p) of outputs that are yes or no each by itself."""
    if (kind or _by_values(outputs)) == "probabilities":
        p = np.clip(outputs, limit, 1 - limit)
        return np.log(p), np.log1p(-p)
    return -np.logaddexp(0, -outputs), -np.logaddexp(0, outputs)


def _logs(outputs: np.ndarray, kind: str, limit: float) -> np.ndarray:
    """Log-probabilities of classes; a single output is that of class 1 of two."""
    if len(outputs) == 1:
        yes, no = _logs_of_one(outputs[0], kind, limit)
        return np.stack([no, yes])
    if kind != "logits" and (kind == "probabilities" or _by_values(outputs, of_classes=True) == "probabilities"):
        return np.log(np.clip(probabilities(outputs, "probabilities"), limit, 1 - limit))
    return outputs - np.logaddexp.reduce(outputs, axis=0)


def _by_values(outputs: np.ndarray, of_classes: bool = False) -> str:
    within = bool(((outputs >= 0) & (outputs <= 1)).all())
    return "probabilities" if within and (not of_classes or not _several_labels(outputs)) else "logits"


def _labels(name: str, outputs: np.ndarray, target: np.ndarray, k: int) -> np.ndarray:
    """The classes of a batch as whole numbers below k; ValueError for what is none."""
    labels = classes_of(target, outputs.shape[-1])
    if labels.shape != outputs.shape[-1:]:
        raise ValueError(
            f"the metric {name!r} is of classes; the target has shape {target.shape} for {outputs.shape[-1]} examples: "
            "give labels (N,), or one-hot columns (classes, N)"
        )
    whole = labels.dtype.kind in "iu"
    if whole and labels.view(f"u{labels.itemsize}").max(initial=0) < k:
        return labels  # negative ones are large without their sign
    bad = labels[(labels < 0) | (labels >= k)] if whole else labels
    if bad.size:  # there is none where bytes are in another order
        raise ValueError(
            f"the metric {name!r} is of classes, numbered 0 ... {k - 1} by {len(outputs)} "
            f"output{'s' * (len(outputs) > 1)}; the target holds {bad[0]}"
        )
    return labels


# --- of numbers ------------------------------------------------------------------------------------------------------


class _Errors(ByName):
    """A metric of prediction minus target."""

    less_is_better = True

    def start(self) -> None:
        """Forget what was added."""
        self.n, self.total = 0.0, 0.0

    def _add(self, outputs: np.ndarray, target: np.ndarray, weight: np.ndarray) -> None:
        outputs, target = _numbers(self.name, outputs, target)
        self.n += float(weight.sum())
        self.total += float(self._of(outputs - target).mean(axis=0) @ weight)

    def value(self) -> float:
        """The mean over examples and outputs."""
        return self.total / self.n if self.n else float("nan")

    def _of(self, errors: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class SquaredError(_Errors):
    """The mean of (ŷ − y)² over all numbers, as everywhere but in `tn.mse`, which is d/2 times that."""

    name = "mse"

    def _of(self, errors: np.ndarray) -> np.ndarray:
        return np.square(errors)


class AbsoluteError(_Errors):
    """The mean of |ŷ − y| over all numbers."""

    name = "mae"

    def _of(self, errors: np.ndarray) -> np.ndarray:
        return np.abs(errors)


class R2(ByName):
    """R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², the mean over outputs; of a constant target 1 where it is met, else 0."""

    name = "r2"

    def start(self) -> None:
        """Forget what was added."""
        self.examples, self.n = 0, 0.0
        self.mean, self.spread, self.errors = np.array(0.0), np.array(0.0), np.array(0.0)

    def _add(self, outputs: np.ndarray, target: np.ndarray, weight: np.ndarray) -> None:
        outputs, target = _numbers(self.name, outputs, target)
        n = float(weight.sum())
        if not n:
            return
        mean = target @ weight / n
        apart = mean - self.mean  # means and spreads of parts, put together (Chan, Golub and LeVeque 1979)
        spread = np.square(target - mean[:, np.newaxis]) @ weight
        self.spread = self.spread + spread + np.square(apart) * (self.n * n / (self.n + n))
        self.examples, self.n = self.examples + int(np.count_nonzero(weight)), self.n + n
        self.mean = self.mean + apart * (n / self.n)
        self.errors = self.errors + np.square(target - outputs) @ weight

    def value(self) -> float:
        """The mean over outputs; NaN of a single example."""
        if self.examples < 2:
            return float("nan")
        explained = 1 - self.errors / np.where(self.spread > 0, self.spread, 1)
        return float(np.where(self.spread > 0, explained, self.errors == 0).mean())


_OF_CLASSES = ": of classes there are 'accuracy', 'balanced_accuracy', 'f1', 'auc' and 'log_loss'"


def _numbers(name: str, outputs: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as columns in float64; ValueError where they are not of one shape."""
    if outputs.size != target.size or (outputs.ndim > 1 and target.ndim > 1 and outputs.shape != target.shape):
        raise ValueError(
            f"the metric {name!r} compares numbers; the prediction has shape {outputs.shape}, the target {target.shape}"
            f"{_OF_CLASSES if outputs.ndim == 2 and target.shape == outputs.shape[1:] else ''}"
        )
    outputs, target = outputs.astype(np.float64), target.astype(np.float64)
    n = outputs.shape[-1]
    return outputs.reshape(-1, n), target.reshape(-1, n)


METRICS: dict[str, type[ByName]] = {
    metric.name: metric for metric in (Accuracy, BalancedAccuracy, F1, AUC, LogLoss, SquaredError, AbsoluteError, R2)
}
