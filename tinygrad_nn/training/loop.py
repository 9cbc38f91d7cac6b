"""`fit`: the training loop, which measures, stops, saves and resumes.

Every batch of every epoch: forward pass, cost, backpropagation, update, as in M. Thill's post, "Yet another Neural
Networks Introduction: Feed Forward Networks and the Backpropagation Algorithm".  Epochs and batches count from 1, in
messages, callbacks and `History.best_epoch` alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_nn import optim
from tinygrad_nn.checkpoint import with_suffix
from tinygrad_nn.compiler.engines import ENGINES
from tinygrad_nn.data import Batches, batches
from tinygrad_nn.modes import puts_mode_back
from tinygrad_nn.nn import Module
from tinygrad_nn.optim import OneCycleLR, Optimizer, Schedule
from tinygrad_nn.training.callbacks import StopTraining, by_event, call_all, progress_bar
from tinygrad_nn.training.history import History
from tinygrad_nn.training.metrics import Measure, find_loss, find_metrics, fixed_batches, is_pair, means_of
from tinygrad_nn.training.resuming import ended, save
from tinygrad_nn.training.resuming import resume as take_up
from tinygrad_nn.training.run import Run
from tinygrad_nn.training.settings import Setting, choice, file, name_or_none, number, random, switch, whole

__all__ = ["fit"]


@puts_mode_back
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
    resume: bool | str = False,
    compile: bool | str = "auto",  # noqa: A002  tn.compile
    engine: str = "numpy",
    mesh: Any = None,
) -> History:
    """Train `model`; returns what happened.

    Parameters
    ----------
    model : a `tn.nn.Module`.  It is in training mode meanwhile, and in `eval()` mode afterwards, ready to predict.
    loss : `(prediction, target) -> scalar tensor` such as `tn.mse`, or its name.  `tn.cross_entropy` and
        `tn.binary_cross_entropy` take logits: a model that ends in softmax or sigmoid before them is refused.
    optimizer : of the model's parameters.
    data : ``tn.data.batches(...)``, or any collection of pairs (X, Y) that can be gone through once per epoch; or one
        pair of arrays, X (features, N) and Y, that is then shuffled into batches of `batch_size` with `rng`.
    epochs : how often to go through the data; with `resume`, those already done count.
    validation : a pair (X, Y) or batches, measured after each epoch as in prediction.
    callbacks : each is called after each epoch, as ``callback(epoch, history)``, or is an object with
        ``on_epoch_end(epoch, history)`` or ``on_batch_end(epoch, batch, loss)``.  One that returns False, or raises
        `StopTraining`, ends the training.
    progress : show a bar in a terminal, if tqdm (extra `progress`) is installed; in a notebook also without it.
    metrics : "accuracy", functions ``(prediction, target) -> number``, or a dict of these by name; more is better.  On
        training data they are measured along the way, from the predictions that the updates are made with.  Functions
        ``(y_true, y_pred)``, as those of `sklearn.metrics`, get rows and classes, and all examples of an epoch.
    schedule : a learning-rate schedule of `tn.optim` for this optimiser.
    schedule_per : "epoch" or "batch": when it goes on by one.  Unless given, `OneCycleLR` does per batch, all others
        per epoch.
    clip : the largest norm that the gradient of all parameters together may have; a longer one is shortened to it.
    patience : stop after so many epochs without a new best.  With it, the model has its best parameters afterwards;
        without it, the last.
    monitor : what "best" means: "validation_loss" (the default with `validation`), "loss", or a metric's name.
    checkpoint : file to save model, optimiser and history to, after every `every`-th epoch and the last, and when a
        callback ends the training.
    resume : go on from the checkpoint if there is one: bitwise as if training had not stopped.  A training that a
        callback ended, or that `patience` ends, stays ended; "further" goes on with it, and counts patience anew.
    compile : replay steps with `tn.compile`, for batches of the first one's shape.  "auto" does where `epochs` make it
        worth it, and where a step is all this package's code: layers of `tn.nn`, a loss of the tables, an optimiser of
        `tn.optim`, no metrics of your own.  Elsewhere the history's `note` says why it does not.  True compiles your
        code too, and a step that cannot be replayed is an error; False compiles nothing.
    engine, mesh : of `tn.compile`.  With engine="jax" steps are compiled in any case, as with True.

    Ctrl-C ends the training early: the history so far is returned, with ``history.interrupted``, and the model has its
    best parameters (those of the moment, where no epoch was finished).

    Raises
    ------
    NonFiniteError : the loss or a gradient became NaN or infinite.  It names the epoch, the batch, and the operation
        that made the first one; the model has its best parameters, and the error's `history` tells what came before.
    TypeError, ValueError : arguments that are none, or do not fit together; a loss that gives no single number.

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Dense(2, 4, "tanh", rng=1), tn.nn.Dense(4, 2, rng=2))
    >>> optimizer = tn.optim.SGD(model.parameters(), lr=0.5)
    >>> history = tn.fit(model, tn.cross_entropy, optimizer, tn.data.make_xor(), epochs=200, metrics="accuracy", rng=0)
    >>> len(history), history.metrics["accuracy"][-1]
    (200, 1.0)

    Source: Thill's post, section "Putting Everything Together".
    """
    _check(
        epochs=epochs, progress=progress, batch_size=batch_size, rng=rng, schedule_per=schedule_per, clip=clip,
        patience=patience, monitor=monitor, checkpoint=checkpoint, every=every, resume=resume, compile=compile,
        engine=engine,
    )  # fmt: skip
    _check_parts(model, optimizer, data, validation, schedule)
    loss = find_loss(loss)
    if is_pair(data):
        data = batches(data[0], data[1], batch_size, rng=rng)
    held_out = None if validation is None else fixed_batches(validation)
    per_batch = (schedule_per or ("batch" if isinstance(schedule, OneCycleLR) else "epoch")) == "batch"
    run = Run(model, loss, optimizer, data, find_metrics(metrics, loss), clip, schedule, per_batch)
    run.history.monitor = _monitor(monitor, held_out is not None, run.metrics)
    if resume and checkpoint is not None and with_suffix(checkpoint).exists():
        take_up(run, checkpoint)
    run.compile(compile, epochs, engine, mesh)
    history, functions = run.history, by_event(callbacks)
    history.ended = ("" if resume == "further" else ended(run, patience)) or "epochs"
    model.train()
    try:
        with progress_bar(progress, data, epochs - len(history)) as ticks:
            functions["on_batch_end"] += ticks
            _epochs(run, epochs, held_out, functions, patience, checkpoint, every, resume == "further")
    except StopTraining:
        history.ended = "callback"
        if checkpoint is not None:
            save(run, checkpoint)
    except KeyboardInterrupt:
        history.ended = "interrupted"
    finally:
        model.eval()
    if (history.loss and (patience is not None or history.interrupted)) or run.overflowed():
        run.go_back()
    return history


@puts_mode_back
def _epochs(
    run: Run, epochs: int, held_out: Any, functions: dict[str, list[Callable]], patience: int | None,
    checkpoint: str | os.PathLike | None, every: int, further: bool,
) -> None:  # fmt: skip
    """The epochs that are still to do, or as many as patience and callbacks want."""
    history, start = run.history, len(run.history)
    for epoch in range(start + 1, epochs + 1) if history.ended == "epochs" else ():
        measured = run.epoch(epoch, functions["on_batch_end"])
        if held_out is not None:
            found = means_of(run.model, run.loss, held_out, run.metrics)
            measured["metrics"] |= {f"validation_{name}": value for name, value in found.items()}
        run.append(measured)
        run.advance()
        if patience is not None and epoch - max(run.best_epoch or 0, start * further) >= patience:
            history.ended = "patience"
        if call_all(functions["on_epoch_end"], epoch, history):
            history.ended = "callback"
        over = epoch == epochs or history.ended != "epochs"
        if checkpoint is not None and (over or epoch % every == 0):
            save(run, checkpoint)
        if over:
            break


_SETTINGS: dict[str, Setting] = {
    "epochs": whole(0), "progress": switch(), "batch_size": whole(1, None), "rng": random,
    "schedule_per": choice(None, "epoch", "batch"), "clip": number(None, above=0), "patience": whole(1, None),
    "monitor": name_or_none, "checkpoint": file, "every": whole(), "resume": switch("further"),
    "compile": switch("auto"), "engine": choice(*ENGINES),
}  # fmt: skip


def _check(**settings: Any) -> None:
    """TypeError or ValueError for a setting of a wrong type or out of range."""
    for name, value in settings.items():
        _SETTINGS[name]("fit", name, value)


def _check_parts(model: Any, optimizer: Any, data: Any, validation: Any, schedule: Any) -> None:
    """TypeError or ValueError for a model, an optimiser, data or a schedule that is none."""
    if not isinstance(model, Module):
        hint = " (call it: give the object)" if isinstance(model, type) else ""
        raise TypeError(f"fit: model is of type {type(model).__name__}{hint}, expected a tn.nn.Module")
    if isinstance(optimizer, type) or not hasattr(optimizer, "param_groups"):  # its name or class
        name = optimizer.__name__ if isinstance(optimizer, type) else str(optimizer)
        known = {rule.lower(): rule for rule in optim.__all__}
        hint = f"tn.optim.{known.get(name.lower(), 'Adam')}(model.parameters())"
        raise TypeError(f"fit: optimizer is {optimizer!r:.60}, expected an optimiser of the model's parameters: {hint}")
    for name, given in (("data", data), ("validation", validation)):
        if isinstance(given, Batches) and given.Y is None:
            raise ValueError(
                f"fit: the batches {'' if name == 'data' else 'for validation '}have no targets: give "
                "tn.data.batches(X, Y, batch_size); for an autoencoder, Y is X"
            )
        goes_through = hasattr(type(given), "__iter__") or hasattr(type(given), "__getitem__")
        wrong = isinstance(given, (str, bytes, dict, np.ndarray)) or not goes_through
        if wrong and (name == "data" or given is not None):
            raise TypeError(
                f"fit: {name} is of type {type(given).__name__}, expected a pair of arrays (X, Y), "
                "tn.data.batches(X, Y, batch_size), or another collection of such pairs"
            )
    if schedule is not None and not isinstance(schedule, Schedule):
        raise TypeError(
            f"fit: schedule is {schedule!r:.60}, expected a schedule such as tn.optim.StepLR(optimizer, step_size=10)"
        )
    if schedule is not None and schedule.optimizer is not optimizer:
        raise ValueError(f"fit: the schedule, {type(schedule).__name__}, is of another optimizer: make it of this one")


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
