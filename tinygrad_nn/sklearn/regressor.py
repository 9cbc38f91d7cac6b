"""The estimator that predicts numbers."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score

from tinygrad_nn.sklearn.estimator import MLP

__all__ = ["MLPRegressor"]


class MLPRegressor(RegressorMixin, MultiOutputMixin, MLP):  # type: ignore[misc]
    """A network that predicts numbers, one (N,) or several (N, d) for each row, as an estimator of scikit-learn.

    Parameters are those of `MLPClassifier` without `class_weight`; `loss` ("mse", "l1_loss", "huber_loss", or a
    function) is of predictions and targets (d, N), and scores are R².

    >>> import numpy as np, tinygrad_nn as tn
    >>> X = np.linspace(-3, 3, 100)[:, np.newaxis]
    >>> model = tn.sklearn.MLPRegressor((32,), "tanh", batch_size=10, learning_rate_init=0.01, tol=None, random_state=0)
    >>> bool(model.fit(X, np.sin(X[:, 0])).score(X, np.sin(X[:, 0])) > 0.95)
    True
    """

    _validation: ClassVar[dict[str, Any]] = {"multi_output": True, "y_numeric": True}

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch on these rows, of the network there is."""
        return self._partial_fit(X, y, sample_weight)

    def _learn_targets(self, y: np.ndarray) -> None:
        self._single = y.ndim == 1 or y.shape[1] == 1

    def _targets(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        return y.reshape(len(y), -1).T.astype(dtype)

    def _decide(self, outputs: np.ndarray) -> np.ndarray:
        return outputs[0] if self._single else outputs.T

    def _score(self, y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        return float(r2_score(y, predicted, sample_weight=weight))
