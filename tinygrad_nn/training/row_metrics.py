"""Metrics of scikit-learn's kind, ``metric(y_true, y_pred)``: of rows, of classes or numbers, and of all examples.

They are told by the names of their first two arguments, which Keras and others share.  The second one says what it
takes: y_pred are classes, or numbers where numbers are predicted; y_score, y_proba and the like are probabilities.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.nn.foreign import name_of
from tinygrad_nn.nn.outputs import chosen, classes_of, kind_of, probabilities
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.training.pairs import takes_logits
from tinygrad_nn.training.scores import Score

__all__ = ["RowMetric", "by_name_of_sklearn", "names_of_sklearn", "of_scorer", "takes_rows"]

_TRUE, _CLASSES, _RAW = ("y_true", "labels_true"), ("y_pred", "labels_pred"), ("pred_decision",)


def _arguments(metric: Callable) -> list[str]:
    """The names of the arguments that are given by position."""
    try:
        return list(inspect.signature(metric).parameters)[:2]
    except (TypeError, ValueError):  # of a function that is not written in Python
        return []


def takes_rows(metric: Callable) -> bool:
    """Whether a metric is of scikit-learn's kind.

    >>> takes_rows(lambda y_true, y_pred: 0.0), takes_rows(lambda prediction, target: 0.0)
    (True, False)
    """
    return _arguments(metric)[:1] in ([name] for name in _TRUE)


def _takes_weights(metric: Callable) -> bool:
    try:
        there = "sample_weight" in inspect.signature(metric).parameters
    except (TypeError, ValueError):  # of a function that is not written in Python
        return False
    return there and "sample_weight" not in getattr(metric, "keywords", {})


def by_name_of_sklearn(name: str) -> Any:
    """The scorer or the metric that scikit-learn has under a name; None without it, or where it has none."""
    if name not in names_of_sklearn():
        return None
    metrics: Any = importlib.import_module("sklearn.metrics")
    return metrics.get_scorer(name) if name in metrics.get_scorer_names() else getattr(metrics, name)


def names_of_sklearn() -> list[str]:
    """What scikit-learn calls its scorers, and its metrics of what is right and what was predicted."""
    try:
        metrics: Any = importlib.import_module("sklearn.metrics")
    except ImportError:
        return []
    functions = (name for name in metrics.__all__ if not isinstance(getattr(metrics, name), type))
    return [*metrics.get_scorer_names(), *(name for name in functions if takes_rows(getattr(metrics, name)))]


def of_scorer(scorer: Any) -> Callable:
    """The metric of a scorer with its options; the opposite of an error, where the scorer takes that."""
    options, sign = getattr(scorer, "_kwargs", {}), getattr(scorer, "_sign", 1)
    metric = functools.partial(scorer._score_func, **options)
    if sign == 1:
        return metric

    @functools.wraps(scorer._score_func)
    def opposite(*args: Any, **options: Any) -> Any:
        return -metric(*args, **options)

    opposite.__name__ = f"neg_{name_of(metric)}"
    return opposite


class RowMetric(Score):
    """A metric of all examples of an epoch: collects what was predicted, and is computed at the end.

    The F₁ of an epoch is no mean of those of its batches.  Weights of examples go to metrics that have an argument
    `sample_weight`; others count each example once.
    """

    def __init__(self, metric: Callable, loss: Any):
        self.metric, self.loss = metric, loss
        second = (_arguments(metric) + [""])[1]
        self._takes_raw = second in _RAW
        self._takes_classes = second in _CLASSES and not _is_of_probabilities(metric)
        self._takes_weights = _takes_weights(metric)
        self._parts: list[tuple[np.ndarray, ...]] = []

    def start(self) -> None:
        """Forget what was noted."""
        self._parts = []

    def add(self, prediction: Any, target: Any, weight: np.ndarray | None = None) -> None:
        """Note the outputs of a batch."""
        self.kind = self.kind or kind_of(prediction)
        parts = [prediction, target] + [weight] * (weight is not None and self._takes_weights)
        self._parts.append(tuple(np.array(x.value if isinstance(x, Tensor) else x) for x in parts))

    def value(self) -> float:
        """The metric of all that was noted, which is then forgotten."""
        outputs, target, *weight = (np.concatenate(part, axis=-1) for part in zip(*self._parts, strict=True))
        self._parts = []
        found = self.metric(*self._rows(outputs, target), **({"sample_weight": weight[0]} if weight else {}))
        try:
            return float(found)
        except (TypeError, ValueError):
            raise TypeError(
                f"fit: the metric {name_of(self.metric)} returned {type(found).__name__}, expected a number"
            ) from None

    def _rows(self, outputs: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """y_true and y_pred."""
        if not self._classifies(target):
            return _in_rows(target), _in_rows(outputs)
        if target.shape == outputs.shape and len(outputs) > 1 and not np.allclose(target.sum(axis=0), 1):
            says = probabilities(outputs[np.newaxis].reshape(1, -1), self.kind)[1].reshape(outputs.shape)
            return target.T.astype(int), (says > 0.5).T.astype(int) if self._takes_classes else says.T
        labels = classes_of(target, outputs.shape[-1])
        if self._takes_raw:
            return labels, _in_rows(outputs)
        if self._takes_classes:
            return labels, chosen(outputs, self.kind)
        P = probabilities(outputs, self.kind)
        return labels, P[1] if len(P) == 2 else P.T

    def _classifies(self, target: np.ndarray) -> bool:
        """Whether it is about classes: scikit-learn's metrics say it by where they are, others by loss and target."""
        module = str(getattr(getattr(self.metric, "func", self.metric), "__module__", ""))
        if module.startswith("sklearn.metrics."):
            return not module.endswith("_regression")
        known = takes_logits(self.loss) or self.kind == "probabilities" or target.dtype.kind in "iub"
        return known or not self._takes_classes


def _is_of_probabilities(metric: Callable) -> bool:
    """Whether scikit-learn calls its metric with probabilities, as `log_loss`, whose argument was y_pred once."""
    if "sklearn.metrics" not in sys.modules:
        return False
    metrics: Any = importlib.import_module("sklearn.metrics")
    function = getattr(metric, "func", metric)
    scorers = map(metrics.get_scorer, metrics.get_scorer_names())
    found = [s for s in scorers if getattr(s, "_score_func", None) is function]
    return bool(found) and all(getattr(s, "_response_method", "") == "predict_proba" for s in found)


def _in_rows(columns: np.ndarray) -> np.ndarray:
    """Columns as rows; one number for each example as a vector."""
    return columns.T if columns.ndim == 2 and len(columns) > 1 else columns.reshape(-1)
