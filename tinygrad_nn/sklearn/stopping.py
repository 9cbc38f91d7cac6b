"""When an estimator stops: nothing has become better for long enough."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.base import is_regressor

from tinygrad_nn.sklearn.solvers import batch_method

__all__ = ["Stopping", "still_learning"]

_LARGE = 100  # a target beyond it takes a network that starts near 0 many steps to reach


class Stopping:
    """Counts the epochs whose value, larger being better, was not better by `tol` than the best; None counts none.

    It is over when there are more than `patience` in a row, as in scikit-learn.

    >>> stopping = Stopping(tol=0.1, patience=1)
    >>> for value in (0.5, 0.7, 0.75):
    ...     stopping.add(value)
    >>> stopping.best, stopping.waited, stopping.over
    (0.75, 1, False)
    """

    def __init__(self, tol: float | None, patience: int):
        self.tol, self.patience = tol, patience
        self.best, self.waited = -math.inf, 0
        self.state: dict[str, Any] | None = None

    def add(self, value: float, model: Any = None) -> None:
        """Take note of an epoch; of the best one also the state of the model, if given."""
        self.waited = 0 if self.tol is None or value > self.best + self.tol else self.waited + 1
        if model is not None and (self.state is None or value > self.best):
            self.state = model.state_dict()
        self.best = max(self.best, value)

    @property
    def over(self) -> bool:
        """Whether it has been long enough."""
        return self.waited > self.patience

    def anew(self) -> bool:
        """Begin to count anew; True."""
        self.waited = 0
        return True

    def go_back(self, model: Any) -> None:
        """Give the model the best state that was kept."""
        if self.state is not None:
            model.load_state_dict(self.state)


def still_learning(estimator: Any, y: np.ndarray) -> str:
    """What the warning says of an estimator that has not stopped by itself."""
    limit, of, unit, or_rate = "max_iter", estimator.max_iter, "epochs", " or learning_rate_init"
    if batch_method(estimator) is not None:
        unit, or_rate = "iterations", ""
        if estimator.n_iter_ < estimator.max_iter:
            limit, of, unit = "max_fun", estimator.max_fun, "evaluations of the loss"
    large = ""
    if is_regressor(estimator) and np.abs(y).max() > _LARGE:
        large = f", or y, which goes to {np.abs(y).max():,.4g}, as sklearn.compose.TransformedTargetRegressor does"
    return (
        f"{type(estimator).__name__}: still learning after {limit}={of} {unit}: raise {limit}{or_rate}, or standardise "
        f"X, as sklearn.preprocessing.StandardScaler does{large}; tol=None asks for so many, without a warning"
    )
