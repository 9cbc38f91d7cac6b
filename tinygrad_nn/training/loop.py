"""`fit`: the training loop, which measures, stops, saves and resumes.

Every batch of every epoch: forward pass, cost, backpropagation, update, as in M. Thill's post, "Yet another Neural
Networks Introduction: Feed Forward Networks and the Backpropagation Algorithm".  Epochs and batches count from 1, in
messages, callbacks and `History.best_epoch` alike.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_nn import optim
from tinygrad_nn.checkpoint import require_folder, with_suffix
from tinygrad_nn.compiler.engines import ENGINES
from tinygrad_nn.data import Batches
from tinygrad_nn.modes import puts_mode_back
from tinygrad_nn.nn import Module
from tinygrad_nn.optim import OneCycleLR, Optimizer, ReduceLROnPlateau, Schedule
from tinygrad_nn.training.callbacks import StopTraining, by_event, call_all
from tinygrad_nn.training.history import History
from tinygrad_nn.training.interrupts import Interrupts
from tinygrad_nn.training.lookup import Measure, find_loss, find_metrics, is_metric, mode_of
from tinygrad_nn.training.metrics import batched, fixed_batches, is_pair, means_of, number_of_batches, refuse_table
from tinygrad_nn.training.progress import showing
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
    sample_weight: Any = None,
    class_weight: Any = None,
    rng: np.random.Generator | int | None = None,
    metrics: str | Iterable[Any] | Mapping[str, Measure] = (),
    schedule: Schedule | None = None,
    schedule_per: str | None = None,
    clip: float | None = None,
    patience: int | None = None,
    monitor: str | None = None,
    mode: str | None = None,
    checkpoint: str | os.PathLike | None = None,
    every: int = 1,
    resume: bool | str = False,
    compile: bool | str = "auto",  # noqa: A002  tn.compile
    engine: str = "auto",
    mesh: Any = None,
) -> History:
    """Train `model`; returns what happened.

    Parameters
    ----------
    model : a `tn.nn.Module`.  It is in training mode meanwhile, and in `eval()` mode afterwards, ready to predict.
    loss : `(prediction, target) -> scalar tensor` such as `tn.mse`, or its name.  `tn.cross_entropy` and
        `tn.binary_cross_entropy` take logits: a model that ends in softmax or sigmoid before them is refused.
    optimizer : of the model's parameters.
    data : ``tn.data.batches(...)``, ``tn.data.stream(...)``, or any collection of pairs (X, Y) that can be gone through
        once per epoch; or one pair of arrays, X (features, N) and Y, that is then shuffled into batches of `batch_size`
        with `rng`.  Batches may have a third part, the weights (N,) of their examples.
    epochs : how often to go through the data; with `resume`, those already done count.
    validation : a pair (X, Y), with weights (X, Y, weights), or batches: measured after each epoch as in prediction.
    callbacks : each is called after each epoch, as ``callback(epoch, history)``, or is an object with
        ``on_epoch_end(epoch, history)``, ``on_batch_end(epoch, batch, loss)`` or ``on_train_end(history)``.  One that
        returns False, or raises `StopTraining`, ends the training.
    progress : show a bar in a terminal, if tqdm (extra `progress`) is installed, and in a notebook also without it;
        elsewhere one line an epoch on standard error, of at most 100 epochs.
    sample_weight : of each example (N,), where `data` is one pair of arrays.  J is then Σ wₙ Lₙ / Σ wₙ over a batch: an
        example of weight 2 counts as two, in metrics too (functions of your own count each example once).
    class_weight : a dict of weights by class (others have 1), one weight for each class, or "balanced": N / (K · N_c).
        They multiply those of examples in the loss, in training and validation alike; metrics do not know them.
    metrics : names ("accuracy", "balanced_accuracy", "f1", "auc", "log_loss", "mse", "mae", "r2", or that of a metric
        or scorer of scikit-learn), functions ``(prediction, target) -> number``, or a dict of these by name.  On
        training data they are measured along the way, from the predictions that the updates are made with.  Functions
        ``(y_true, y_pred)``, as those of `sklearn.metrics`, get rows and classes, and all examples of an epoch.
    schedule : a learning-rate schedule of `tn.optim` for this optimiser.
    schedule_per : "epoch" or "batch": when it goes on by one.  Unless given, `OneCycleLR` does per batch, all others
        per epoch.
    clip : the largest norm that the gradient of all parameters together may have; a longer one is shortened to it.
    patience : stop after so many epochs without a new best.  With it, the model has its best parameters afterwards;
        without it, the last.
    monitor : what "best" means: "validation_loss" (the default with `validation`), "loss", or a metric's name.
    mode : whether its "min" or its "max" is best.  Unless given, less is better of what is called a loss, an error or a
        deviance, of "mse" and "mae", and more of everything else.
    checkpoint : file to save model, optimiser and history to, after every `every`-th epoch and the last, and when a
        callback ends the training.
    resume : go on from the checkpoint if there is one: bitwise as if training had not stopped.  A training that a
        callback ended, or that `patience` ends, stays ended; "further" goes on with it, and counts patience anew.
    compile : replay steps with `tn.compile`, for batches of the first one's shape.  "auto" does where `epochs` make it
        worth it, and where a step is all this package's code: layers of `tn.nn`, a loss of the tables, an optimiser of
        `tn.optim`, no metrics of your own.  Elsewhere the history's `note` says why it does not.  True compiles your
        code too, and a step that cannot be replayed is an error; False compiles nothing.
    engine, mesh : of `tn.compile`: "numpy", "numba" or "jax", for a training of any length.  "auto" is "numba" from
        some 200,000 steps on, if it is installed, and else "numpy": these two agree to the last bit.  With "jax" steps
        are compiled in any case, as with True.

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
        patience=patience, monitor=monitor, mode=mode, checkpoint=checkpoint, every=every, resume=resume,
        compile=compile, engine=engine,
    )  # fmt: skip
    if checkpoint is not None:
        require_folder(with_suffix(checkpoint))
    _check_parts(model, optimizer, data, validation, schedule)
    _refuse_iterators(data, validation, epochs)
    loss, functions = find_loss(loss), by_event(callbacks)
    data = _batched(data, batch_size, rng, sample_weight)
    held_out = None if validation is None else fixed_batches(validation)
    per_batch = (schedule_per or ("batch" if isinstance(schedule, OneCycleLR) else "epoch")) == "batch"
    run = Run(model, loss, optimizer, data, find_metrics(metrics, loss), clip, schedule, per_batch, class_weight)
    _choose_best(run, monitor, mode, held_out is not None)
    with Interrupts() as interrupts:
        if resume and checkpoint is not None and with_suffix(checkpoint).exists():
            take_up(run, checkpoint)
        run.compile(compile, epochs, engine, mesh)
        history = run.history
        history.ended = ("" if resume == "further" else ended(run, patience)) or "epochs"
        model.train()
        try:
            with showing(progress, number_of_batches(data), len(history), epochs) as shown:
                for event, first in shown.items():
                    functions[event] = first + functions[event]
                _epochs(
                    run, epochs, held_out, functions, patience, checkpoint, every, resume == "further", interrupts
                )  # fmt: skip
        except StopTraining:
            history.ended = "callback"
            if checkpoint is not None:
                save(run, checkpoint)
        except KeyboardInterrupt:
            run.interrupted()
        finally:
            model.eval()
            call_all(functions["on_train_end"], history)
        if interrupts.pending:
            run.interrupted()
        if (run.best_epoch and (patience is not None or history.interrupted)) or run.overflowed():
            run.go_back()
    return history


@puts_mode_back
def _epochs(
    run: Run, epochs: int, held_out: Any, functions: dict[str, list[Callable]], patience: int | None,
    checkpoint: str | os.PathLike | None, every: int, further: bool, interrupts: Interrupts,
) -> None:  # fmt: skip
    """The epochs that are still to do, or as many as patience and callbacks want."""
    history, start = run.history, len(run.history)
    for epoch in range(start + 1, epochs + 1) if history.ended == "epochs" else ():
        with interrupts.allowed():
            measured = run.epoch(epoch, functions["on_batch_end"])
            if held_out is not None:
                found = means_of(run.model, run.loss, held_out, run.metrics, run.weights)
                measured["metrics"] |= {f"validation_{name}": value for name, value in found.items()}
        run.append(measured)
        run.advance()
        if patience is not None and epoch - max(run.best_epoch or 0, start * further) >= patience:
            history.ended = "patience"
            if not run.best_epoch:
                when = "the first epoch" if epoch == 1 else f"all {epoch} epochs"
                raise ValueError(
                    f"fit: {history.monitor} was NaN in {when}, so "
                    "that none of them is the best; monitor='loss' goes by another number"
                )
        interrupted = False
        try:
            with interrupts.allowed():
                if call_all(functions["on_epoch_end"], epoch, history):
                    history.ended = "callback"
        except KeyboardInterrupt:  # the model is still as it was after the epoch
            interrupted = True
        over = interrupted or epoch == epochs or history.ended != "epochs"
        if checkpoint is not None and (over or epoch % every == 0):
            save(run, checkpoint)
        if interrupted:
            raise KeyboardInterrupt
        if over:
            break


def _batched(data: Any, batch_size: int | None, rng: Any, sample_weight: Any) -> Any:
    """A pair of arrays as batches; whatever else is gone through is itself."""
    if is_pair(data):
        X, Y, *own = data
        if own and sample_weight is not None:
            raise ValueError("fit: the data have weights of their own, as a third part: leave out sample_weight=")
        return batched(X, Y, batch_size, True, rng, own[0] if own else sample_weight)
    if sample_weight is not None:
        raise ValueError(
            "fit: sample_weight= is for a pair of arrays (X, Y); batches bring their own, as a third part: "
            "tn.data.batches(X, Y, batch_size, weight=...)"
        )
    return data


_SETTINGS: dict[str, Setting] = {
    "epochs": whole(0), "progress": switch(), "batch_size": whole(1, None), "rng": random,
    "schedule_per": choice(None, "epoch", "batch"), "clip": number(None, above=0), "patience": whole(1, None),
    "monitor": name_or_none, "mode": choice(None, "min", "max"), "checkpoint": file, "every": whole(),
    "resume": switch("further"), "compile": switch("auto"),
    "engine": choice("auto", *ENGINES),
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
        refuse_table(name, given)
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


def _refuse_iterators(data: Any, validation: Any, epochs: int) -> None:
    """ValueError for what is used up after one epoch, where there are more."""
    for name, given in (("data", data), ("validation", validation)):
        if isinstance(given, Iterator) and epochs > 1:
            raise ValueError(
                f"fit: {name} is of type {type(given).__name__}, which can be gone through only once, and there are "
                f"{epochs} epochs: give tn.data.batches(X, Y, batch_size), a list of batches, or an object whose "
                "__iter__ begins anew"
            )


def _choose_best(run: Run, monitor: str | None, mode: str | None, validated: bool) -> None:
    """What "best" refers to, and whether less or more of it is better."""
    there = ["loss", *run.metrics]
    there += [f"validation_{name}" for name in there] if validated else []
    name = ("validation_loss" if validated else "loss") if monitor is None else monitor
    if name not in there:
        near = difflib.get_close_matches(re.sub("^val_", "validation_", name), there, 1, cutoff=0.8)
        meant = f"did you mean {near[0]!r}? There" if near else "there"
        hint = "" if validated else ", and with validation= those on validation data"
        measure = re.sub("^val(idation)?_", "", name)
        if measure != "loss" and not near and is_metric(measure):
            hint += f"; metrics={measure!r} measures it"
        raise ValueError(f"fit: monitor={monitor!r} is not measured; {meant} is {', '.join(there)}{hint}")
    of = name.removeprefix("validation_")
    run.history.monitor, run.history.mode = name, mode or mode_of(of, run.metrics.get(of))
    schedule = run.schedule
    if isinstance(schedule, ReduceLROnPlateau) and schedule.mode != run.history.mode:
        raise ValueError(
            f"fit: of {name} the {run.history.mode} is the best, and the schedule is ReduceLROnPlateau(mode="
            f"{schedule.mode!r}): give both the same mode="
        )
