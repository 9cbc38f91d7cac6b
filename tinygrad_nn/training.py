"""Training: one loop that measures, stops, saves and resumes, so that nobody has to write it again.

The founding text's recipe (forward pass, cost, backpropagation, update) for every batch of every epoch.  Epochs and
batches count from 1, in messages, callbacks and `History.best_epoch` alike.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import math
import operator
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tinygrad_nn import checkpoint as checkpoints
from tinygrad_nn import compiler as replay
from tinygrad_nn.data import batches
from tinygrad_nn.errors import NonFiniteError
from tinygrad_nn.modes import detect_anomaly, no_grad
from tinygrad_nn.nn import Module
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.optim import OneCycleLR, Optimizer, ReduceLROnPlateau, Schedule
from tinygrad_nn.tensor import Tensor

__all__ = ["History", "StopTraining", "accuracy", "evaluate", "fit"]

Data = Iterable[tuple[Any, Any]]
Measure = Callable[[Any, Any], Any]


class StopTraining(Exception):  # noqa: N818  it is no error
    """Raise it in a callback to end the training; `fit` then returns as it does after the last epoch."""


# --- what happened ----------------------------------------------------------------------------------------------------


@dataclass(repr=False)
class History:
    """What happened in each epoch of a training; ``history.loss[0]`` is epoch 1.

    `loss` is the mean over the epoch's examples, each seen before its batch's update; `validation_loss` is measured
    after the epoch.  `metrics` holds lists by name, those on validation data as "validation_<name>".
    `gradient_norms` has a list for each parameter: ‖∂J/∂w‖, the root mean square over the epoch's batches, before
    clipping.  `update_ratios` likewise: ‖Δw‖/‖w‖ of the epoch's first step (about 1e-3 is healthy).
    `learning_rate` is that of the epoch's last step, `seconds` how long the epoch took.

    `ended` says why it is over: "epochs", "patience", "callback" or "interrupted"; `note` says why steps could not be
    compiled.  ``history[name]`` finds a list by name: "loss", "validation_loss" or a metric's.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    learning_rate: list[float] = field(default_factory=list)
    gradient_norms: dict[str, list[float]] = field(default_factory=dict)
    update_ratios: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    monitor: str = "loss"
    ended: str = ""
    note: str = ""

    def __len__(self) -> int:
        return len(self.loss)

    def __getitem__(self, name: str) -> list[float]:
        if name in ("loss", "validation_loss", "learning_rate", "seconds"):
            return getattr(self, name)
        if name not in self.metrics:
            raise KeyError(
                f"no {name!r} was recorded; there is {', '.join(['loss', 'validation_loss', *self.metrics])}"
            )
        return self.metrics[name]

    @property
    def interrupted(self) -> bool:
        """True if Ctrl-C ended it."""
        return self.ended == "interrupted"

    @property
    def best_epoch(self) -> int | None:
        """The epoch, counted from 1, of the best value of what is monitored: the lowest loss or the highest metric."""
        values = self[self.monitor] if self.loss else []
        best = [i for i, v in enumerate(values, 1) if v == v]
        sign = _sign(self.monitor)
        return min(best, key=lambda i: sign * values[i - 1]) if best else None

    def as_dict(self) -> dict[str, Any]:
        """Everything as lists and numbers, as JSON can hold it; ``History(**history.as_dict())`` is the way back."""
        return asdict(self)

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no epoch)"
        parts = [f"{len(self)} epoch{'s' * (len(self) > 1)} in {sum(self.seconds):.2g} s"]
        for name in ("loss", "validation_loss", *self.metrics):
            if values := self[name]:
                parts.append(f"{name} {values[0]:.4g} → {values[-1]:.4g}")
        if self.best_epoch != len(self):
            parts.append(f"best {self.monitor} in epoch {self.best_epoch}")
        if self.ended not in ("", "epochs"):
            parts.append(f"ended by {self.ended}")
        return f"History({'; '.join(parts)})"


def _sign(monitor: str) -> int:
    """1 where less is better."""
    return 1 if monitor in ("loss", "validation_loss") else -1


# --- what is measured -------------------------------------------------------------------------------------------------


def accuracy(prediction: Any, target: Any, threshold: float = 0.5) -> float:
    """The share of columns that are classified rightly.

    Parameters
    ----------
    prediction : (classes, N), where the largest entry of a column names its class; or (1, N), where class 1 is what
        lies above `threshold` (0.5 for probabilities, 0 for logits).
    target : class labels (N,) or (1, N), or one-hot columns (classes, N).

    >>> import numpy as np
    >>> accuracy(np.array([[0.9, 0.2, 0.4], [0.1, 0.8, 0.6]]), np.array([0, 1, 0])).__round__(3)
    0.667
    """
    prediction, target = (x.value if isinstance(x, Tensor) else np.asarray(x) for x in (prediction, target))
    if len(prediction) > 1:
        chosen = prediction.argmax(axis=0)
        target = target.argmax(axis=0) if target.shape == prediction.shape else target
    else:
        chosen = prediction[0] > threshold
    return float(np.mean(chosen == target.reshape(chosen.shape)))


def evaluate(
    model: Module, loss: str | Measure, data: Any, metrics: str | Iterable[Any] | Mapping[str, Measure] = ()
) -> dict[str, float]:
    """Loss and metrics of `model` on `data`, a pair (X, Y) or batches, as in prediction; nothing is changed.

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Dense(2, 2, rng=0)
    >>> sorted(evaluate(model, tn.cross_entropy, tn.data.make_xor(), metrics="accuracy"))
    ['accuracy', 'loss']
    """
    loss = find_loss(loss)
    return _evaluate(model, loss, _fixed(data), _metrics(metrics, loss))


def _evaluate(model: Module, loss: Measure, data: Data, metrics: Mapping[str, Measure]) -> dict[str, float]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    total = _Mean(["loss", *metrics])
    try:
        with no_grad():
            for X, Y in data:
                prediction = model(X)
                total.add(X, [loss(prediction, Y), *(measure(prediction, Y) for measure in metrics.values())])
    finally:
        for module, training in modes:
            module.training = training
    return total.means()


class _Mean:
    """Means over examples, batch by batch."""

    def __init__(self, names: Iterable[str]):
        self.names = list(names)
        self.sums, self.n = [0.0] * len(self.names), 0

    def add(self, X: Any, values: list[Any]) -> None:
        n = X.shape[-1]
        self.n += n
        self.sums = [total + n * float(value) for total, value in zip(self.sums, values, strict=True)]

    def means(self) -> dict[str, float]:
        return {name: total / self.n for name, total in zip(self.names, self.sums, strict=True)}


def find_loss(loss: str | Measure) -> Measure:
    """The loss of this name, or the function itself; ValueError naming the nearest where there is none."""
    if callable(loss):
        return loss
    found = BY_NAME.get(loss)
    if isinstance(found, Op) and found.arguments[1:] == ("target",):
        return found
    names = sorted(n for n, e in BY_NAME.items() if isinstance(e, Op) and e.arguments[1:] == ("target",))
    near = difflib.get_close_matches(str(loss), names, n=1)
    raise ValueError(f"fit: there is no loss {loss!r}; " + (f"did you mean {near[0]!r}?" if near else ", ".join(names)))


def _one_probability(loss: Op) -> bool:
    """Whether a loss takes a logit for each output by itself: above 0 means yes."""
    activation = loss.training.probabilities
    return activation is not None and activation.kind == "elementwise"


def _metrics(metrics: str | Iterable[Any] | Mapping[str, Measure], loss: Measure) -> dict[str, Measure]:
    if isinstance(metrics, Mapping):
        return dict(metrics)
    found = {}
    for metric in [metrics] if isinstance(metrics, str) or callable(metrics) else metrics:
        if metric == "accuracy" and isinstance(loss, Op) and _one_probability(loss):
            found["accuracy"] = lambda prediction, target: accuracy(prediction, target, threshold=0)
        elif metric == "accuracy":
            found["accuracy"] = accuracy
        elif callable(metric):
            found[metric.__name__] = metric
        else:
            raise ValueError(
                f"fit: there is no metric {metric!r}; give 'accuracy', or functions of (prediction, target)"
            )
    return found


def _fixed(data: Any) -> Data:
    """Batches that are the same in every epoch, for measuring."""
    return batches(data[0], data[1], batch_size=4096, shuffle=False) if _is_pair(data) else data


def _is_pair(data: Any) -> bool:
    """(X, Y), rather than a sequence of batches, which are tuples themselves."""
    return (
        isinstance(data, (tuple, list)) and len(data) == 2 and not any(isinstance(part, (tuple, list)) for part in data)
    )


# --- the loop ---------------------------------------------------------------------------------------------------------


def fit(
    model: Module,
    loss: str | Measure,
    optimizer: Optimizer,
    data: Any,
    epochs: int,
    validation: Any = None,
    callbacks: Iterable[Any] = (),
    progress: bool = True,
    *,
    batch_size: int | None = 32,
    rng: np.random.Generator | int | None = None,
    metrics: str | Iterable[Any] | Mapping[str, Measure] = (),
    schedule: Schedule | None = None,
    schedule_per: str | None = None,
    clip: float | None = None,
    patience: int | None = None,
    monitor: str | None = None,
    checkpoint: str | os.PathLike | None = None,
    every: int = 1,
    resume: bool = False,
    compile: bool | str = "auto",  # noqa: A002  tn.compile
) -> History:
    """Train `model`; returns what happened.

    Parameters
    ----------
    model : a `tn.nn.Module`.  It is in training mode meanwhile, and in `eval()` mode afterwards, ready to predict.
    loss : `(prediction, target) -> scalar tensor` such as `tn.mse`, or its name.
    optimizer : of the model's parameters.
    data : ``tn.data.batches(...)``, or any collection of pairs (X, Y) that can be gone through once per epoch; or one
        pair of arrays, X (features, N) and Y, that is then shuffled into batches of `batch_size` with `rng`.
    epochs : how often to go through the data; with `resume`, those already done count.
    validation : a pair (X, Y) or batches, measured after each epoch as in prediction.
    callbacks : each is called after each epoch, as ``callback(epoch, history)``, or is an object with
        ``on_epoch_end(epoch, history)`` or ``on_batch_end(epoch, batch, loss)``.  One that returns False, or raises
        `StopTraining`, ends the training.
    progress : show a bar, if the output is a terminal and tqdm (extra `progress`) is installed.
    metrics : "accuracy", functions ``(prediction, target) -> number``, or a dict of these by name; more is better.  On
        training data they are measured along the way, from the predictions that the updates are made with.
    schedule : a learning-rate schedule of `tn.optim` for this optimiser.
    schedule_per : "epoch" or "batch": when it goes on by one.  Unless given, `OneCycleLR` does per batch, all others
        per epoch.
    clip : the largest norm that the gradient of all parameters together may have; a longer one is shortened to it.
    patience : stop after so many epochs without a new best.  With it, the model has its best parameters afterwards;
        without it, the last.
    monitor : what "best" means: "validation_loss" (the default with `validation`), "loss", or a metric's name.
    checkpoint : file to save model, optimiser and history to, after every `every`-th epoch and the last.
    resume : go on from the checkpoint if there is one: bitwise as if training had not stopped.
    compile : replay steps with `tn.compile`, for batches of the first one's shape.  "auto" does where `epochs` make it
        worth recording them, and carries out as it is a step that cannot be replayed: the history's `note` says why.
        With True that is an error, and with False nothing is compiled.

    Ctrl-C ends the training early: the history so far is returned, with ``history.interrupted``, and the model has its
    best parameters (those of the moment, where no epoch was finished).

    Raises
    ------
    NonFiniteError : the loss or a gradient became NaN or infinite.  It names the epoch, the batch, and the operation
        that made the first one; the model has its best parameters, and the error's `history` tells what came before.
    ValueError : arguments that do not fit together.

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Dense(2, 4, "tanh", rng=1), tn.nn.Dense(4, 2, rng=2))
    >>> optimizer = tn.optim.SGD(model.parameters(), lr=0.5)
    >>> history = tn.fit(model, tn.cross_entropy, optimizer, tn.data.make_xor(), epochs=200, metrics="accuracy", rng=0)
    >>> len(history), history.metrics["accuracy"][-1]
    (200, 1.0)

    Source: the founding text's "Putting Everything Together".
    """
    loss = find_loss(loss)
    _check(schedule_per, clip=clip, patience=patience, every=every)
    if _is_pair(data):
        data = batches(data[0], data[1], batch_size, rng=rng)
    held_out = None if validation is None else _fixed(validation)
    if compile == "auto" and hasattr(data, "__len__") and epochs * len(data) < _WORTH_RECORDING:
        compile = False  # noqa: A001
    per_batch = (schedule_per or ("batch" if isinstance(schedule, OneCycleLR) else "epoch")) == "batch"
    run = _Run(model, loss, optimizer, data, _metrics(metrics, loss), clip, schedule, per_batch, compile)
    run.history.monitor = _monitor(monitor, held_out is not None, run.metrics)
    if resume and checkpoint is not None and checkpoints.with_suffix(checkpoint).exists():
        run.resume(checkpoint)
    history, hooks = run.history, _hooks(callbacks)
    history.ended, first = "epochs", len(history) + 1
    model.train()
    try:
        with _bar(progress, data, operator.index(epochs) - len(history)) as ticks:
            for epoch in range(first, epochs + 1):
                measured = run.epoch(epoch, hooks["on_batch_end"] + ticks)
                if held_out is not None:
                    found = _evaluate(model, loss, held_out, run.metrics)
                    measured["metrics"] |= {f"validation_{name}": value for name, value in found.items()}
                run.note(measured)
                run.advance()
                if patience is not None and epoch - (history.best_epoch or 0) >= patience:
                    history.ended = "patience"
                if _stops(hooks["on_epoch_end"], epoch, history):
                    history.ended = "callback"
                over = epoch == epochs or history.ended != "epochs"
                if checkpoint is not None and (over or epoch % every == 0):
                    run.save(checkpoint)
                if over:
                    break
    except StopTraining:
        history.ended = "callback"
    except KeyboardInterrupt:
        history.ended = "interrupted"
    finally:
        model.eval()
    if history.loss and (patience is not None or history.interrupted):
        run.go_back()
    return history


_WORTH_RECORDING = 300  # steps; of all epochs, so that a resumed training takes the same way as one that went through


class _Replayed:
    """A step that is replayed on batches of the usual shape, which is the first one's; others are not worth recording.

    If it cannot be replayed it is carried out as it is.
    """

    def __init__(self, function: Callable, must: bool, run: _Run):
        self.function, self.must, self.run = function, must, run
        self.call: Callable = replay.compile(function)
        self.shapes: Any = None

    def __call__(self, *batch: Any) -> Any:
        shapes = [part.shape for part in batch]
        if self.shapes is None:
            self.shapes = shapes
        if shapes != self.shapes:
            return self.function(*batch)
        try:
            return self.call(*batch)
        except Exception as reason:
            could_not = isinstance(reason, replay.CompileError)
            if self.must or not could_not:
                raise
            self.run.history.note = f"not compiled: {reason}"
            self.call = self.function
            return self.function(*batch)


class _Run:
    """The state of one training."""

    def __init__(
        self, model: Module, loss: Measure, optimizer: Optimizer, data: Any, metrics: dict[str, Measure],
        clip: float | None, schedule: Schedule | None, per_batch: bool, compiled: bool | str,
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
        self.measure: Callable = self.gradient
        self.update: Callable = optimizer.step
        if compiled:
            must = compiled is True
            self.measure, self.update = (_Replayed(f, must, self) for f in (self.gradient, optimizer.step))
        self.before: list[np.ndarray] = []  # parameters before the step, where it is too late to ask afterwards

    # -- one batch

    def gradient(self, X: Any, Y: Any) -> tuple[Any, Any]:
        """Forward pass, cost, backpropagation."""
        prediction = self.model(X)
        J = self.loss(prediction, Y)
        J.backward()
        return J, prediction if self.metrics else None

    def search(self, X: Any, Y: Any) -> tuple[Any, Any]:
        """A whole step of an optimiser that computes the cost itself, as often as it wants."""
        predictions = []

        def cost() -> Tensor:
            predictions.append(self.model(X))
            return self.loss(predictions[-1], Y)

        self.before = [p.value.copy() for p in self.params]
        step: Any = self.optimizer.step
        return step(cost), predictions[0]

    def step(self, X: Any, Y: Any) -> tuple[float, Any, list[float]]:
        """One update; returns J, the prediction, and ‖∂J/∂w‖² of each parameter, all before it.

        Raises FloatingPointError if one of these is not finite.
        """
        self.optimizer.zero_grad()
        J, prediction = (self.search if self.optimizer.needs_loss else self.measure)(X, Y)
        flat = [None if p.grad is None else p.grad.ravel() for p in self.params]
        squares = [0.0 if g is None else float(g.dot(g)) for g in flat]
        cost, norm = float(J.value), math.sqrt(sum(squares))
        if not math.isfinite(cost) or not math.isfinite(norm):
            raise FloatingPointError("a gradient is" if math.isfinite(cost) else f"the loss is {cost},")
        if self.clip is not None and norm > self.clip:
            for p in self.params:
                p.grad = None if p.grad is None else p.grad * (self.clip / norm)
        if not self.optimizer.needs_loss:
            self.update()
        return cost, prediction, squares

    # -- one epoch

    def epoch(self, epoch: int, hooks: list[Callable]) -> dict[str, Any]:
        """All batches once, each with an update; returns what was measured."""
        start, params, batch, rate = time.perf_counter(), self.params, 0, 0.0
        total, squares, ratios = _Mean(["loss", *self.metrics]), [0.0] * len(params), [0.0]
        before = [p.value.copy() for p in params]
        with np.errstate(all="ignore"):  # what is not finite is refused, which says more than a warning
            for batch, (X, Y) in enumerate(self.data, 1):
                try:
                    J, prediction, parts = self.step(X, Y)
                except FloatingPointError as what:
                    raise self.refusal(f"{what} not finite in epoch {epoch}, batch {batch}", X, Y) from None
                rate = self.optimizer.param_groups[0]["lr"]
                if self.per_batch and self.schedule is not None:
                    self.schedule.step()
                squares = list(map(operator.add, squares, parts))
                total.add(X, [J, *(measure(prediction, Y) for measure in self.metrics.values())])
                if batch == 1:
                    ratios = [_ratio(p.value - old, p.value) for p, old in zip(params, before, strict=True)]
                if _stops(hooks, epoch, batch, J):
                    raise StopTraining
        if not batch:
            raise ValueError(
                f"fit: the data gave no batch in epoch {epoch}: a generator can be gone through only once; "
                "give tn.data.batches(X, Y, batch_size), or a list of batches"
            )
        return {
            "metrics": total.means(),
            "gradient_norms": dict(zip(self.names, (math.sqrt(s / batch) for s in squares), strict=True)),
            "update_ratios": dict(zip(self.names, ratios, strict=True)),
            "learning_rate": float(rate),
            "seconds": time.perf_counter() - start,
        }

    def note(self, measured: dict[str, Any]) -> None:
        """Put an epoch into the history, and keep the parameters if they are the best so far."""
        history = self.history
        for name in ("loss", "validation_loss"):
            if name in measured["metrics"]:
                history[name].append(measured["metrics"].pop(name))
        for name, value in measured.items():
            if isinstance(value, dict):
                for key, number in value.items():
                    getattr(history, name).setdefault(key, []).append(number)
            else:
                getattr(history, name).append(value)
        if history.best_epoch == len(history):
            self.best = self.model.state_dict()

    def advance(self) -> None:
        """The schedule's next epoch."""
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(self.history[self.history.monitor][-1])
        elif self.schedule is not None and not self.per_batch:
            self.schedule.step()

    def refusal(self, what: str, X: Any, Y: Any) -> NonFiniteError:
        """The error that says where it came from: the batch is done again, with every operation watched."""
        reason: object = "no operation, when the batch was done again"
        for p, old in zip(self.params, self.before, strict=False):
            p.data = old
        try:
            with np.errstate(all="ignore"), detect_anomaly():
                self.gradient(X, Y)
        except NonFiniteError as found:
            reason = found
        self.go_back()
        kept = f"epoch {self.history.best_epoch}" if self.history.loss else "the start"
        error = NonFiniteError(
            f"fit: {what}: {reason}; the model has its best parameters, "
            f"those of {kept}: try a smaller learning rate, or clip="
        )
        error.history = self.history  # type: ignore[attr-defined]
        return error

    def go_back(self) -> None:
        """Take the best parameters again."""
        self.model.load_state_dict(self.best)

    # -- checkpoints

    def save(self, path: str | os.PathLike) -> None:
        rng, schedule = getattr(self.data, "rng", None), self.schedule
        extra = {
            "history": self.history.as_dict(),
            "best": self.best,
            "data": None if rng is None else rng.bit_generator.state,
            "schedule": None if schedule is None else schedule.state_dict(),
        }
        checkpoints.save(path, self.model, self.optimizer, extra)

    def resume(self, path: str | os.PathLike) -> None:
        """Model, optimiser, history, schedule and the order of the batches as they were."""
        if "history" not in (checkpoints.read(path).extra or ()):
            raise ValueError(
                f"fit: {path} was not written by fit, so it has no history to resume; "
                "load it with model.load(path, optimizer), and leave out resume="
            )
        extra = checkpoints.restore(path, self.model, self.optimizer).extra
        self.history, self.best = History(**extra["history"]), extra["best"]
        if extra["data"] is not None:
            self.data.rng.bit_generator.state = extra["data"]
        if self.schedule is not None and extra["schedule"] is not None:
            self.schedule.load_state_dict(extra["schedule"])


def _ratio(change: Any, to: Any) -> float:
    size = float(np.linalg.norm(to))
    return float(np.linalg.norm(change)) / size if size else 0.0


def _check(schedule_per: str | None, **settings: float | None) -> None:
    for name, value in settings.items():
        if value is not None and not value > 0:
            raise ValueError(f"fit: {name}={value}, expected more than 0; leave it out to do without")
    if schedule_per not in (None, "epoch", "batch"):
        raise ValueError(f"fit: schedule_per={schedule_per!r}, expected 'epoch' or 'batch'")


def _stops(hooks: list[Callable], *args: Any) -> bool:
    """Call all hooks; True if one of them wants to stop."""
    stop = False
    for hook in hooks:
        try:
            stop |= hook(*args) is False
        except StopTraining:
            stop = True
    return stop


def _monitor(monitor: str | None, validated: bool, metrics: Iterable[str]) -> str:
    """What "best" refers to."""
    there = ["loss", *metrics]
    there += [f"validation_{name}" for name in there] if validated else []
    if monitor is None:
        return "validation_loss" if validated else "loss"
    if monitor not in there:
        hint = "" if validated else ", and with validation= those on validation data"
        raise ValueError(f"fit: monitor={monitor!r} is not measured; there is {', '.join(there)}{hint}")
    return monitor


def _hooks(callbacks: Iterable[Any]) -> dict[str, list[Callable]]:
    found: dict[str, list[Callable]] = {"on_epoch_end": [], "on_batch_end": []}
    for callback in [callbacks] if callable(callbacks) else callbacks:
        named = [name for name in found if hasattr(callback, name)]
        if not named and not callable(callback):
            raise TypeError(
                f"fit: a callback of type {type(callback).__name__} can neither be called nor has it "
                "on_epoch_end(epoch, history) or on_batch_end(epoch, batch, loss)"
            )
        for name in named or ["on_epoch_end"]:
            found[name].append(getattr(callback, name, callback))
    return found


@contextlib.contextmanager
def _bar(wanted: bool, data: Any, epochs: int) -> Iterator[list[Callable]]:
    """A progress bar, as something to call after each batch; nothing to call where there is no terminal."""
    bar = None
    if wanted and sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            total = epochs * len(data) if hasattr(data, "__len__") else None
            bar = importlib.import_module("tqdm").tqdm(total=total, unit="batch", leave=False)
    if bar is None:
        yield []
        return

    def tick(epoch: int, batch: int, loss: float) -> None:
        bar.set_description(f"epoch {epoch}, loss {loss:.4g}", refresh=False)
        bar.update()

    with bar:
        yield [tick]
