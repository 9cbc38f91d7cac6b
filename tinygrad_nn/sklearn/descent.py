"""Stochastic descent on rows: epochs of batches, whose steps are compiled where that pays.

`tn.fit` measures each step from all sides.  An estimator asks for the loss alone, and small tables for little else than
the arithmetic: on 150 rows an epoch takes 0.1 ms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.errors import NonFiniteError
from tinygrad_nn.modes import detect_anomaly
from tinygrad_nn.nn import BatchNorm, Sequential
from tinygrad_nn.sklearn.losses import Loss
from tinygrad_nn.sklearn.rows import columns, parts
from tinygrad_nn.training.compiling import Compiled, what_fit_cannot_list

__all__ = ["Descent"]

WORTH_COMPILING = 60  # steps on batches of one size, from which on recording them is made up for


class Descent:
    """The steps of an optimiser on a network, for batches of rows.

    `loss` is what is minimised, with weights and penalty; `of` is the loss that the user named, by which it is known
    whether all code of a step is this package's and may be compiled.
    """

    def __init__(self, caller: str, model: Sequential, loss: Loss, optimizer: Any, of: Loss):
        self.caller, self.model, self.loss, self.optimizer = caller, model, loss, optimizer
        self.may_compile = not optimizer.needs_loss and not what_fit_cannot_list(model, of, optimizer, {})
        self.params = [p for group in optimizer.param_groups for p in group["params"]]
        self.least = 2 if any(isinstance(layer, BatchNorm) for layer in model) else 1  # rows with a variance
        self.planned: dict[int, int] = {}  # steps on batches of so many rows
        self.gradients: dict[int, Callable] = {}
        self.update: Callable = optimizer.step
        self.updates = 0

    def plan(self, n: int, size: int, epochs: int) -> list[slice]:
        """The batches of epochs that are to come; their steps are compiled if there are enough of them."""
        batches = parts(n, size, self.least)
        for part in batches:
            rows = part.stop - part.start
            self.planned[rows] = self.planned.get(rows, 0) + epochs
        if self.may_compile and max(self.planned.values()) >= WORTH_COMPILING and self.update == self.optimizer.step:
            self.update = Compiled(self.optimizer.step, False, self._refused)
        return batches

    def _refused(self, reason: str) -> None:
        """A step that cannot be compiled is carried out as it is."""
        self.may_compile = False

    def _gradient_of(self, rows: int) -> Callable:
        """What computes cost and gradient of batches of so many rows."""
        if rows not in self.gradients:
            if not self.may_compile or self.planned.get(rows, 0) < WORTH_COMPILING:
                return self._gradient
            self.gradients[rows] = Compiled(self._gradient, False, self._refused)
        return self.gradients[rows]

    def _gradient(self, X: Any, Y: Any) -> Any:
        self.optimizer.zero_grad()
        J = self.loss(self.model(X), Y)
        J.backward()
        return J

    def epoch(self, number: int, X: Any, Y: np.ndarray, batches: list[slice], order: Any, ticks: Any = ()) -> float:
        """One update for each batch of rows X and targets Y, in this order; the mean of the cost over the rows.

        Raises NonFiniteError where it leaves the finite numbers; parameters are then those before the epoch.
        """
        before = [p.value.copy() for p in self.params]
        total = 0.0
        with np.errstate(all="ignore"):  # what is not finite is refused, which says more than a warning
            for at, part in enumerate(batches, 1):
                index = part if order is None else order[part]
                batch = columns(X, index), Y[index].T
                J = self._step(*batch)
                if not math.isfinite(J):
                    raise self._not_finite(f"the loss is {J}, not finite in epoch {number}, batch {at}", batch, before)
                total += J * (part.stop - part.start)
                for tick in ticks:
                    tick(number, at, J)
            if not all(np.isfinite(p.value).all() for p in self.params):
                what = f"a parameter is not finite after the updates of epoch {number}"
                raise self._not_finite(what, None, before)
        return total / len(Y)

    def _step(self, X: Any, Y: Any) -> float:
        if self.optimizer.needs_loss:
            self.optimizer.zero_grad()
            J = self.optimizer.step(lambda: self.loss(self.model(X), Y))
        else:
            J = self._gradient_of(Y.shape[1])(X, Y)
            if math.isfinite(J.value):
                self.update()
        self.updates += 1
        return float(J.value)

    def _not_finite(self, what: str, batch: Any, before: list[np.ndarray]) -> NonFiniteError:
        """The error that says where it came from: the batch is repeated, and every result checked."""
        reason = ""
        if batch is not None:
            try:
                with detect_anomaly():
                    self._gradient(*batch)
            except NonFiniteError as found:
                reason = f": {found}"
        for p, old in zip(self.params, before, strict=True):
            p.data = old
        advice = "scale X and y, as by sklearn.preprocessing.StandardScaler"
        if self.updates > 1 or batch is None:
            advice = f"try a smaller learning_rate_init, or {advice}"
        return NonFiniteError(f"{self.caller}: {what}{reason}; {advice}")
