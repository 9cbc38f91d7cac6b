"""One training: its steps and epochs, and what it measures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.errors import NonFiniteError
from tinygrad_nn.modes import detect_anomaly
from tinygrad_nn.nn import Module
from tinygrad_nn.ops.reductions import vector_norm
from tinygrad_nn.optim import Optimizer, ReduceLROnPlateau, Schedule
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.training.callbacks import StopTraining, call_all
from tinygrad_nn.training.compiling import (
    STEPS_WORTH_COMPILING,
    Compiled,
    clipped_update_of,
    engine_worth,
    gradient_of,
    search_of,
    what_fit_cannot_list,
)  # fmt: skip
from tinygrad_nn.training.history import History
from tinygrad_nn.training.lookup import Measure
from tinygrad_nn.training.metrics import Means, know_outputs, number_of_batches, pair_of
from tinygrad_nn.training.pairs import logits_of_graph, refuse_cost, refuse_pair
from tinygrad_nn.training.weights import Weights, cost_of, targets_of

__all__ = ["Run"]


class Run:
    """The state of one training."""

    def __init__(
        self, model: Module, loss: Measure, optimizer: Optimizer, data: Any, metrics: dict[str, Measure],
        clip: float | None, schedule: Schedule | None, per_batch: bool, class_weight: Any = None,
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
        self.bests: tuple[dict[str, np.ndarray], int | None] = (model.state_dict(), None)
        self.done = 0  # epochs that are in the history, wholly
        # where ‖g‖² in the parameter's dtype has digits left
        limits = [np.finfo(p.dtype) for p in self.params]
        self.least = [np.inf if f.bits < 32 else float(f.tiny / f.eps) for f in limits]
        self.looked = False
        self.refused: Exception | None = None
        self.weights = Weights(loss, class_weight, lambda: targets_of(data), self.params[0].dtype)
        self.cost = cost_of(loss)
        self.gradient: Callable = gradient_of(model, loss, self.cost, self.params, bool(metrics), self.look)
        self.update: Callable = optimizer.step if clip is None else clipped_update_of(optimizer, self.params)
        self.search = search_of(model, self.cost, self.params, optimizer, self.look)
        self.updates = 0
        self.before: list[np.ndarray] = []  # parameters before the step, where it is too late to ask afterwards

    def compile(self, choice: bool | str, epochs: int, engine: str = "auto", mesh: Any = None) -> None:
        """Compile the two functions of a step; with "auto", where that is possible, and worth it or asked for."""
        n = number_of_batches(self.data)
        steps = STEPS_WORTH_COMPILING if n is None else epochs * n
        if mesh is not None and engine != "jax":
            raise ValueError(
                f"fit: mesh={mesh!r:.60}, expected None with engine={engine!r}, which has one device: take engine='jax'"
            )
        if not choice and engine in ("numba", "jax"):
            raise ValueError(f"fit: engine={engine!r} runs compiled steps, and compile=False: leave one of them out")
        if engine == "jax":
            if self.optimizer.needs_loss:
                raise ValueError(
                    f"fit: {type(self.optimizer).__name__} computes the loss as often as it wants, which is not "
                    f"compiled: leave engine={engine!r} out, or take another optimiser"
                )
            choice = True
        if choice == "auto":
            few = steps < STEPS_WORTH_COMPILING and engine == "auto"
            reason = "" if few else what_fit_cannot_list(self.model, self.loss, self.optimizer, self.metrics)
            if reason:
                self.not_compiled(reason)
            choice = not few and not reason and "auto"
        if choice:
            must, engine = choice is True, engine_worth(engine, steps)
            self.gradient, self.update = (
                Compiled(f, must, self.not_compiled, engine=engine, mesh=mesh) for f in (self.gradient, self.update)
            )

    def not_compiled(self, reason: str) -> None:
        """Note why steps are carried out eagerly."""
        self.history.note = f"not compiled: {reason}"

    # -- one batch

    def look(self, prediction: Any, J: Any) -> None:
        """At the first step, see whether loss and model go together, and what the outputs are."""
        if self.looked and type(J) is Tensor:
            return
        try:
            refuse_cost("fit", self.loss, J)
            refuse_pair("fit", self.loss, prediction, J)
            self.weights.check_classes(prediction)
        except (TypeError, ValueError) as refused:
            self.refused = refused  # kept, as a step that is being recorded would fail by another error
            raise
        know_outputs(self.metrics, self.loss, prediction, lambda: "logits" if logits_of_graph(prediction, J) else "")
        self.looked = True

    def step(self, X: Any, *target: Any) -> tuple[float, Any, list[float]]:
        """One update; returns J, the prediction, and ‖∂J/∂w‖ of each parameter, all before it.

        Raises FloatingPointError if one of these is not finite.
        """
        self.optimizer.zero_grad()
        if self.optimizer.needs_loss:
            self.before = [p.value.copy() for p in self.params]
            J, prediction, found = self.search(X, *target)
        else:
            J, prediction, found = self.gradient(X, *target)
        if self.refused is not None:
            raise self.refused
        norms = list(map(self.norm, found, self.params, self.least))
        cost, norm = float(J.value), math.hypot(*norms)
        if not math.isfinite(cost) or not all(map(math.isfinite, norms)):
            raise FloatingPointError("a gradient is" if math.isfinite(cost) else f"the loss is {cost},")
        if self.clip is not None:
            self.update(np.array(self.clip / norm if norm > self.clip else 1.0))
        elif not self.optimizer.needs_loss:
            self.update()
        self.updates += 1
        return cost, prediction, norms

    @staticmethod
    def norm(square: Any, p: Tensor, least: float) -> float:
        """‖∂J/∂w‖, by its square where that fits, and else by parts of the gradient, in units of the largest."""
        square = float(square)
        if least < square < math.inf:
            return math.sqrt(square)
        return 0.0 if p.grad is None else float(vector_norm(np.ravel(p.grad).astype(np.float64)))

    # -- one epoch

    def epoch(self, epoch: int, callbacks: list[Callable]) -> dict[str, Any]:
        """All batches once, each with an update; returns what was measured."""
        start, params, batch, rate = time.perf_counter(), self.params, 0, 0.0
        total, norms, ratios = Means(self.metrics), [0.0] * len(params), [0.0]
        of_classes = self.weights.table is not None
        before = [p.value.copy() for p in params]
        if hasattr(self.data, "set_epoch"):  # a stream that is in another order each epoch
            self.data.set_epoch(epoch)
        with np.errstate(all="ignore"):  # what is not finite is refused, which says more than a warning
            for batch, pair in enumerate(self.data, 1):
                X, Y, own = pair_of(pair, "the data", batch)
                weighted = self.weights.of(X, Y, own, batch) if of_classes or own is not None else None
                target = (Y,) if weighted is None else (Y, weighted.shares)
                try:
                    J, prediction, parts = self.step(X, *target)
                except FloatingPointError as what:
                    raise self.not_finite(f"{what} not finite in epoch {epoch}, batch {batch}", X, *target) from None
                rate = self.optimizer.param_groups[0]["lr"]
                if self.per_batch and self.schedule is not None:
                    self.schedule.step()
                norms = list(map(math.hypot, norms, parts))
                total.add(X, J, prediction, Y, weighted)
                if batch == 1:
                    ratios = [_ratio(p.value - old, p.value) for p, old in zip(params, before, strict=True)]
                if call_all(callbacks, epoch, batch, J):
                    self.check_parameters(epoch)
                    raise StopTraining
        if not batch:
            raise ValueError(
                f"fit: the data gave no batch in epoch {epoch}: there is none, or it can be gone through only once; "
                "give tn.data.batches(X, Y, batch_size), or a list of batches"
            )
        self.check_parameters(epoch)
        return {
            "metrics": total.means(),
            "gradient_norms": dict(zip(self.names, (norm / math.sqrt(batch) for norm in norms), strict=True)),
            "update_ratios": dict(zip(self.names, ratios, strict=True)),
            "learning_rate": float(rate),
            "seconds": time.perf_counter() - start,
        }

    def append(self, measured: dict[str, Any]) -> None:
        """Add an epoch to the history, and keep the parameters if they are the best so far."""
        history = self.history
        history.append(measured)
        if history.has_new_best(self.best_epoch):
            self.bests = (self.model.state_dict(), len(history))
        self.done = len(history)

    @property
    def best(self) -> dict[str, np.ndarray]:
        """The best parameters so far."""
        return self.bests[0]

    @property
    def best_epoch(self) -> int | None:
        """The epoch after which they were."""
        return self.bests[1]

    def interrupted(self) -> None:
        """Ctrl-C: forget what is not whole."""
        self.history.keep(self.done)
        self.history.ended = "interrupted"

    def advance(self) -> None:
        """The schedule's next epoch."""
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(self.history[self.history.monitor][-1])
        elif self.schedule is not None and not self.per_batch:
            self.schedule.step()

    def check_parameters(self, epoch: int) -> None:
        """NonFiniteError if an update has overflowed: after the last one, no loss is there to show it."""
        if name := self.overflowed():
            raise self.failed(f"{name} is not finite after the updates of epoch {epoch}", self.smaller_steps())

    def overflowed(self) -> str:
        """The first parameter that is not finite, or ""."""
        pairs = zip(self.names, self.params, strict=True)
        return next((name for name, p in pairs if not np.isfinite(p.value).all()), "")

    def not_finite(self, what: str, X: Any, *target: Any) -> NonFiniteError:
        """The error that says where it came from: the batch is repeated, and every result checked."""
        reason: object = "no operation, when the batch was done again"
        for p, old in zip(self.params, self.before, strict=False):
            p.data = old
        try:
            with np.errstate(all="ignore"), detect_anomaly():
                self.cost(self.model(X), *target).backward()
        except NonFiniteError as found:
            reason = found
        return self.failed(f"{what}: {reason}", self.advice(X, target[0]))

    def advice(self, X: Any, Y: Any) -> str:
        """What to do, by what is the cause."""
        for name, part in (("X", X), ("Y", Y)):
            if at := _first_not_finite(part):
                return f"{name}{at}: leave out such examples, or fill the gaps, before training"
        if name := self.overflowed():
            return f"{name} is not finite before the step: give it other first values"
        if not self.updates:
            return (
                "there was no update yet, so it is not the learning rate: look at that operation, scale X "
                "(tn.data.Standardizer), or begin with smaller weights"
            )
        return self.smaller_steps()

    def smaller_steps(self) -> str:
        """Advice against steps that are too large."""
        can_clip = self.clip is None and not self.optimizer.needs_loss
        return "try a smaller learning rate" + ", or clip=" * can_clip

    def failed(self, what: str, advice: str) -> NonFiniteError:
        """The error, after going back."""
        self.go_back()
        kept = f"epoch {self.best_epoch}" if self.best_epoch else "the start"
        error = NonFiniteError(f"fit: {what}; the model has its best parameters, those of {kept}: {advice}")
        error.history = self.history  # type: ignore[attr-defined]
        return error

    def go_back(self) -> None:
        """Take the best parameters again."""
        self.model.load_state_dict(self.best)


def _first_not_finite(x: Any) -> str:
    """The first number of an array that is NaN or infinite, as "[1, 5] is nan"; "" if there is none."""
    x = x.value if isinstance(x, Tensor) else x
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f" or np.isfinite(x).all():
        return ""
    at = tuple(int(i[0]) for i in np.nonzero(~np.isfinite(np.atleast_1d(x))))
    return f"[{', '.join(map(str, at))}] is {np.atleast_1d(x)[at]}"


def _ratio(change: Any, to: Any) -> float:
    size = float(vector_norm(np.ravel(to)))
    return float(vector_norm(np.ravel(change))) / size if size else 0.0
