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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn import checkpoint as checkpoints
from tinygrad_nn.data import Batches, batches
from tinygrad_nn.errors import NonFiniteError
from tinygrad_nn.nn import Module
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.optim import Optimizer
from tinygrad_nn.tensor import Tensor, detect_anomaly, no_grad

__all__ = ["History", "StopTraining", "accuracy", "evaluate", "fit"]

Data = Iterable[tuple[Any, Any]]
Measure = Callable[[Any, Any], Any]


class StopTraining(Exception):  # noqa: N818  it is no error
    """Raise it in a callback to end the training; `fit` then returns as it does after the last epoch."""


# --- what happened ----------------------------------------------------------------------------------------------------


@dataclass(repr=False)
class History:
    """What happened in each epoch of a training; ``history.loss[0]`` is epoch 1.

    `loss` is the mean over the examples of the epoch, each seen before its batch's update; `validation_loss` is measured
    after the epoch.  `metrics` holds lists by name, those on validation data as "validation_<name>".
    `gradient_norms` has a list for each parameter: the root mean square over the epoch's batches of ‖∂J/∂w‖, before
    clipping.  `update_ratios` likewise: ‖Δw‖/‖w‖ of the epoch's first step (about 1e-3 is healthy).
    `learning_rate` is that of the epoch's last step, `seconds` its duration.

    `ended` says why it is over: "epochs", "patience", "callback" or "interrupted".  ``history[name]`` finds a list by the
    name it is monitored by: "loss", "validation_loss" or a metric's.
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

    def __len__(self) -> int:
        return len(self.loss)

    def __getitem__(self, name: str) -> list[float]:
        if name in ("loss", "validation_loss", "learning_rate", "seconds"):
            return getattr(self, name)  # type: ignore[no-any-return]
        if name not in self.metrics:
            raise KeyError(f"no {name!r} was recorded; there is {', '.join(['loss', 'validation_loss', *self.metrics])}")
        return self.metrics[name]

    @property
    def interrupted(self) -> bool:
        """Was it ended by Ctrl-C?"""
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


# --- what is measured -----------------------------------------------------------------------------------------------------


def accuracy(prediction: Any, target: Any, threshold: float = 0.5) -> float:
    """The share of columns that are classified rightly.

    Parameters
    ----------
    prediction : (classes, N), where the largest entry of a column names its class; or (1, N), where class 1 is what lies
        above `threshold` (0.5 for probabilities, 0 for logits).
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
    loss = _loss(loss)
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


def _loss(loss: str | Measure) -> Measure:
    if callable(loss):
        return loss
    found = BY_NAME.get(loss)
    if isinstance(found, Op) and found.arguments[1:] == ("target",):
        return found
    names = sorted(n for n, e in BY_NAME.items() if isinstance(e, Op) and e.arguments[1:] == ("target",))
    near = difflib.get_close_matches(str(loss), names, n=1)
    raise ValueError(f"fit: there is no loss {loss!r}; " + (f"did you mean {near[0]!r}?" if near else ", ".join(names)))


def _metrics(metrics: str | Iterable[Any] | Mapping[str, Measure], loss: Measure) -> dict[str, Measure]:
    if isinstance(metrics, Mapping):
        return dict(metrics)
    found = {}
    for metric in [metrics] if isinstance(metrics, str) or callable(metrics) else metrics:
        if metric == "accuracy" and loss is BY_NAME["binary_cross_entropy"]:
            found["accuracy"] = lambda prediction, target: accuracy(prediction, target, threshold=0)
        elif metric == "accuracy":
            found["accuracy"] = accuracy
        elif callable(metric):
            found[metric.__name__] = metric
        else:
            raise ValueError(f"fit: there is no metric {metric!r}; give 'accuracy', or functions of (prediction, target)")
    return found


def _fixed(data: Any) -> Data:
    """Batches that are the same in every epoch, for measuring."""
    return batches(*data, batch_size=4096, shuffle=False) if _is_pair(data) else data


def _is_pair(data: Any) -> bool:
    """(X, Y), rather than a sequence of batches, which are tuples themselves."""
    return isinstance(data, tuple) and len(data) == 2 and not any(isinstance(part, (tuple, list)) for part in data)


# --- the loop -------------------------------------------------------------------------------------------------------------


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
    schedule: Any = None,
    clip: float | None = None,
    patience: int | None = None,
    monitor: str | None = None,
    checkpoint: str | os.PathLike | None = None,
    every: int = 1,
    resume: bool = False,
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
    metrics : "accuracy", functions ``(prediction, target) -> number``, or a dict of these by name.  On the training data
        they are measured along the way, with the predictions of the updates.
    schedule : a `tn.optim` learning-rate schedule of the optimiser.
    clip : the largest norm that the gradient of all parameters together may have; a longer one is shortened to it.
    patience : stop after so many epochs without a new best, and go back to the best parameters.
    monitor : what "best" means: "validation_loss" (the default with `validation`), "loss", or a metric's name.
    checkpoint : file to save model, optimiser and history to, after every `every`-th epoch and the last.
    resume : go on from the checkpoint if there is one: bitwise as if training had not stopped.

    Ctrl-C ends the training early: the history so far is returned, with ``history.interrupted``, and the model has its
    best parameters (those of the moment, where no epoch was finished).

    Raises
    ------
    NonFiniteError : the loss or a gradient became NaN or infinite.  It names the epoch, the batch, and the operation that
        made the first one; the model has its best parameters, and the error's `history` tells what came before.
    ValueError : arguments that do not fit together.

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Dense(2, 4, "tanh", rng=1), tn.nn.Dense(4, 2, rng=2))
    >>> optimizer = tn.optim.SGD(model.parameters(), lr=0.5)
    >>> history = tn.fit(model, tn.cross_entropy, optimizer, tn.data.make_xor(), epochs=200, metrics="accuracy", rng=0)
    >>> len(history), history.metrics["accuracy"][-1]
    (200, 1.0)

    Source: the founding text's "Putting Everything Together".
    """
    run = _Run(model, _loss(loss), optimizer, clip)
    run.metrics = _metrics(metrics, run.loss)
    run.monitor(monitor, validation is not None)
    if _is_pair(data):
        data = batches(*data, batch_size=batch_size, rng=rng)
    held_out = None if validation is None else _fixed(validation)
    if checkpoint is not None and resume:
        run.resume(checkpoint, data, schedule)
    hooks = _hooks(callbacks)
    history = run.history
    first, epochs = len(history) + 1, operator.index(epochs)
    history.ended = "epochs"
    model.train()
    try:
        with _bar(progress, data, range(first, epochs + 1)) as bar:
            for epoch in range(first, epochs + 1):
                run.epoch(epoch, data, hooks, bar, schedule)
                if held_out is not None:
                    run.note("validation_", _evaluate(model, run.loss, held_out, run.metrics))
                run.remember()
                if schedule is not None:
                    _advance(schedule, history)
                waited = epoch - (history.best_epoch or 0)
                if patience is not None and waited >= patience:
                    history.ended = "patience"
                for hook in hooks.get("on_epoch_end", ()):
                    if hook(epoch, history) is False:
                        raise StopTraining
                last = epoch == epochs or history.ended != "epochs"
                if checkpoint is not None and (last or epoch % every == 0):
                    run.save(checkpoint, data, schedule)
                if last:
                    break
        if history.ended == "patience":
            run.go_back()
    except StopTraining:
        history.ended = "callback"
    except KeyboardInterrupt:
        history.ended = "interrupted"
        if len(history) >= first:
            run.go_back()
    finally:
        model.eval()
    return history
