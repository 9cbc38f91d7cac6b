"""The estimator that predicts numbers."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from tinygrad_nn.sklearn.estimator import MLP
from tinygrad_nn.sklearn.losses import Loss, named, takes_classes
from tinygrad_nn.sklearn.solvers import goes_by_epochs

__all__ = ["MLPRegressor"]


class MLPRegressor(RegressorMixin, MultiOutputMixin, MLP):  # type: ignore[misc]
    """A network that predicts numbers, one (N,) or several (N, d) for each row, as an estimator of scikit-learn.

    Parameters and attributes are those of `MLPClassifier`, without `class_weight` and classes; `loss` ("mse",
    "l1_loss", "huber_loss", or a function) is of predictions and targets (d, N), and scores are R².  "squared_error",
    as scikit-learn calls it, is "mse".  Losses of classes, such as "cross_entropy" of logits, are refused (ValueError).

    >>> import numpy as np, tinygrad_nn as tn
    >>> X = np.linspace(-3, 3, 100)[:, np.newaxis]
    >>> model = tn.sklearn.MLPRegressor((32,), "tanh", solver="lbfgs", max_iter=500, random_state=0)
    >>> bool(model.fit(X, np.sin(X[:, 0])).score(X, np.sin(X[:, 0])) > 0.999)
    True
    """

    _validation: ClassVar[dict[str, Any]] = {"y_numeric": True}
    _scores: ClassVar[str] = "r2"

    @available_if(goes_by_epochs)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch on these rows, of the network there is."""
        return self._partial_fit(X, y, sample_weight)

    @property
    def out_activation_(self) -> str:
        """What the last layer ends in, by scikit-learn's name."""
        self._layers("out_activation_")
        return "identity"

    def _loss(self) -> Loss:
        loss = named(self.loss, type(self).__name__)
        if takes_classes(loss):
            raise ValueError(
                f"{type(self).__name__}: loss={self.loss!r:.60} compares probabilities of classes, and a regressor "
                "predicts numbers: take 'mse', 'l1_loss' or 'huber_loss', or MLPClassifier for classes"
            )
        return loss

    def _checked_targets(self, y: np.ndarray) -> np.ndarray:
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _learn_targets(self, y: np.ndarray, classes: Any = None) -> None:
        self._single = y.ndim == 1

    def _targets(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        return y.reshape(len(y), -1).astype(dtype)

    def _decide(self, outputs: np.ndarray) -> np.ndarray:
        return outputs[0] if self._single else outputs.T

    def _score(self, y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        return float(r2_score(y, predicted, sample_weight=weight))
