"""One training: its steps and epochs, and what it measures."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.errors import NonFiniteError
from tinygrad_nn.modes import detect_anomaly
from tinygrad_nn.nn import Module
from tinygrad_nn.optim import Optimizer, ReduceLROnPlateau, Schedule
from tinygrad_nn.training.callbacks import StopTraining, call_all
from tinygrad_nn.training.compiling import (
    STEPS_WORTH_COMPILING,
    Compiled,
    clipped_update_of,
    gradient_of,
    search_of,
    what_fit_cannot_list,
)  # fmt: skip
from tinygrad_nn.training.history import History
from tinygrad_nn.training.metrics import Means, Measure

__all__ = ["Run"]


class Run:
    """The state of one training."""

    def __init__(
        self, model: Module, loss: Measure, optimizer: Optimizer, data: Any, metrics: dict[str, Measure],
        clip: float | None, schedule: Schedule | None, per_batch: bool,
    ):  # fmt: skip
        self.model, self.loss, self.optimizer, self.data = model, loss, optimizer, data
        self.metrics, self.clip, self.schedule, self.per_batch = metrics, clip, schedule, per_batch
        paths = {id(p): path for path, p in model.named_parameters()}
        self.params = [p for group in optimizer.param_groups for p in group["params"]]
        if not any(id(p) in paths for p in self.params):
            raise ValueError(
                "fit: the optimizer changes none of the model's parameters; "
                "make it of them, as in tn.optim.Adam(model.parameters())"
            )
        if clip is not None and optimizer.needs_loss:
            raise ValueError(
                f"fit: clip={clip} cannot shorten the gradients that {type(optimizer).__name__} computes itself"
            )
        names = [p.name or paths.get(id(p), f"parameter {i}") for i, p in enumerate(self.params)]
        if len(set(names)) < len(names):
            names = [paths.get(id(p), f"parameter {i}") for i, p in enumerate(self.params)]
        self.names = names
        self.history = History()
        self.best = model.state_dict()
        self.best_epoch: int | None = None
        self.gradient: Callable = gradient_of(model, loss, self.params, keep=bool(metrics))
        self.update: Callable = optimizer.step if clip is None else clipped_update_of(optimizer, self.params)
        self.search = search_of(model, loss, self.params, optimizer)
        self.before: list[np.ndarray] = []  # parameters before the step, where it is too late to ask afterwards

    def compile(self, choice: bool | str, epochs: int) -> None:
        """Compile the two functions of a step; with "auto", where it is possible and worth it."""
        if choice == "auto":
            few = hasattr(self.data, "__len__") and epochs * len(self.data) < STEPS_WORTH_COMPILING
            reason = "" if few else what_fit_cannot_list(self.model, self.loss, self.optimizer, self.metrics)
            if reason:
                self.not_compiled(reason)
            choice = not few and not reason and "auto"
        if choice:
            must = choice is True
            self.gradient, self.update = (Compiled(f, must, self.not_compiled) for f in (self.gradient, self.update))

    def not_compiled(self, reason: str) -> None:
        """Note why steps are carried out eagerly."""
        self.history.note = f"not compiled: {reason}"

    # -- one batch

    def step(self, X: Any, Y: Any) -> tuple[float, Any, list[float]]:
        """One update; returns J, the prediction, and ‖∂J/∂w‖² of each parameter, all before it.

        Raises FloatingPointError if one of these is not finite.
        """
        self.optimizer.zero_grad()
        if self.optimizer.needs_loss:
            self.before = [p.value.copy() for p in self.params]
            J, prediction, found = self.search(X, Y)
        else:
            J, prediction, found = self.gradient(X, Y)
        squares = [float(square) for square in found]
        cost, norm = float(J.value), math.sqrt(sum(squares))
        if not math.isfinite(cost) or not math.isfinite(norm):
            raise FloatingPointError("a gradient is" if math.isfinite(cost) else f"the loss is {cost},")
        if self.clip is not None:
            self.update(np.array(self.clip / norm if norm > self.clip else 1.0))
        elif not self.optimizer.needs_loss:
            self.update()
        return cost, prediction, squares

    # -- one epoch

    def epoch(self, epoch: int, callbacks: list[Callable]) -> dict[str, Any]:
        """All batches once, each with an update; returns what was measured."""
        start, params, batch, rate = time.perf_counter(), self.params, 0, 0.0
        total, squares, ratios = Means(["loss", *self.metrics]), [0.0] * len(params), [0.0]
        before = [p.value.copy() for p in params]
        with np.errstate(all="ignore"):  # what is not finite is refused, which says more than a warning
            for batch, (X, Y) in enumerate(self.data, 1):
                try:
                    J, prediction, parts = self.step(X, Y)
                except FloatingPointError as what:
                    raise self.not_finite(f"{what} not finite in epoch {epoch}, batch {batch}", X, Y) from None
                rate = self.optimizer.param_groups[0]["lr"]
                if self.per_batch and self.schedule is not None:
                    self.schedule.step()
                squares = list(map(operator.add, squares, parts))
                total.add(X, [J, *(measure(prediction, Y) for measure in self.metrics.values())])
                if batch == 1:
                    ratios = [_ratio(p.value - old, p.value) for p, old in zip(params, before, strict=True)]
                if call_all(callbacks, epoch, batch, J):
                    self.check_parameters(epoch)
                    raise StopTraining
        if not batch:
            raise ValueError(
                f"fit: the data gave no batch in epoch {epoch}: a generator can be gone through only once; "
                "give tn.data.batches(X, Y, batch_size), or a list of batches"
            )
        self.check_parameters(epoch)
        return {
            "metrics": total.means(),
            "gradient_norms": dict(zip(self.names, (math.sqrt(s / batch) for s in squares), strict=True)),
            "update_ratios": dict(zip(self.names, ratios, strict=True)),
            "learning_rate": float(rate),
            "seconds": time.perf_counter() - start,
        }

    def append(self, measured: dict[str, Any]) -> None:
        """Add an epoch to the history, and keep the parameters if they are the best so far."""
        history = self.history
        history.append(measured)
        if history.has_new_best(self.best_epoch):
            self.best, self.best_epoch = self.model.state_dict(), len(history)

    def advance(self) -> None:
        """The schedule's next epoch."""
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(self.history[self.history.monitor][-1])
        elif self.schedule is not None and not self.per_batch:
            self.schedule.step()

    def check_parameters(self, epoch: int) -> None:
        """NonFiniteError if an update has overflowed: after the last one, no loss is there to show it."""
        if name := self.overflowed():
            raise self.failed(f"{name} is not finite after the updates of epoch {epoch}")

    def overflowed(self) -> str:
        """The first parameter that is not finite, or ""."""
        pairs = zip(self.names, self.params, strict=True)
        return next((name for name, p in pairs if not np.isfinite(p.value).all()), "")

    def not_finite(self, what: str, X: Any, Y: Any) -> NonFiniteError:
        """The error that says where it came from: the batch is repeated, and every result checked."""
        reason: object = "no operation, when the batch was done again"
        for p, old in zip(self.params, self.before, strict=False):
            p.data = old
        try:
            with np.errstate(all="ignore"), detect_anomaly():
                self.loss(self.model(X), Y).backward()
        except NonFiniteError as found:
            reason = found
        return self.failed(f"{what}: {reason}")

    def failed(self, what: str) -> NonFiniteError:
        """The error, after going back."""
        self.go_back()
        kept = f"epoch {self.best_epoch}" if self.best_epoch else "the start"
        error = NonFiniteError(
            f"fit: {what}; the model has its best parameters, those of {kept}: try a smaller learning rate, or clip="
        )
        error.history = self.history  # type: ignore[attr-defined]
        return error

    def go_back(self) -> None:
        """Take the best parameters again."""
        self.model.load_state_dict(self.best)


def _ratio(change: Any, to: Any) -> float:
    size = float(np.linalg.norm(to))
    return float(np.linalg.norm(change)) / size if size else 0.0
