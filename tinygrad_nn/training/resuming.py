"""What a training writes into its checkpoint, and how another run of the program takes it up."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from tinygrad_nn import checkpoint
from tinygrad_nn.checkpoint import CheckpointError, described, generator_of, refuse_difference, refusing
from tinygrad_nn.optim import Schedule
from tinygrad_nn.training.history import History
from tinygrad_nn.training.run import Run

__all__ = ["ended", "resume", "save"]


def save(run: Run, path: str | os.PathLike) -> None:
    """Write all that `resume` needs."""
    rng, schedule = _order(run), run.schedule
    extra = {
        "history": _packed(run.history.as_dict()),
        "best": run.best,
        "data": None if rng is None else rng.bit_generator.state,
        "schedule": None if schedule is None else schedule.state_dict(),
    }
    checkpoint.save(path, run.model, run.optimizer, extra)


def resume(run: Run, path: str | os.PathLike) -> None:
    """Take over model, optimiser, history, schedule and the order of the batches: all of it, or nothing."""
    found, here = checkpoint.read(path), run.history
    extra, rng = found.extra, _order(run)
    if not isinstance(extra, dict) or extra.keys() != {"history", "best", "data", "schedule"}:
        raise CheckpointError(
            f"fit: {path} was not written by fit, so it has no history to resume; "
            "load it with model.load(path, optimizer), and leave out resume="
        )
    with refusing(path):
        history = _unpacked(extra["history"])
        state = None if extra["data"] is None else generator_of(extra["data"]).bit_generator.state
        refuse_difference(path, {"best": described(extra["best"])}, {"best": described(run.best)})
    _refuse_other(path, "monitors", history.monitor, here.monitor)
    _refuse_other(path, "monitors", f"the {history.mode} of {history.monitor}", f"the {here.mode} of {here.monitor}")
    _refuse_other(path, "orders its batches by", _kind(state), _kind(None if rng is None else rng.bit_generator.state))
    with _undone_if_it_fails(run.schedule):
        if run.schedule is not None and extra["schedule"] is not None:
            with refusing(path, "does not fit the schedule: {}"):
                run.schedule.load_state_dict(extra["schedule"])
        checkpoint.load_into(path, found, run.model, run.optimizer)
    run.history, run.bests, run.done = history, (extra["best"], history.best_epoch), len(history)
    if rng is not None and state is not None:
        rng.bit_generator.state = state


def ended(run: Run, patience: int | None) -> str:
    """Why a training that is taken up is over already; "" if it is not."""
    if run.history.ended == "callback":
        return "callback"
    done = len(run.history)
    return "patience" if done and patience is not None and done - (run.best_epoch or 0) >= patience else ""


def _order(run: Run) -> np.random.Generator | None:
    """The generator that orders the batches, if there is one."""
    rng = getattr(run.data, "rng", None)
    return rng if isinstance(rng, np.random.Generator) else None


def _refuse_other(path: Any, does: str, theirs: str, mine: str) -> None:
    if theirs != mine:
        raise CheckpointError(
            f"fit: the training in {path} {does} {theirs}, this one {mine}: resume it with the program that began it"
        )


def _kind(state: Any) -> str:
    return "no generator" if state is None else str(state["bit_generator"])


@contextlib.contextmanager
def _undone_if_it_fails(schedule: Schedule | None) -> Iterator[None]:
    """A schedule, and the settings that it sets, as they were, if something fails meanwhile."""
    groups = [] if schedule is None else schedule.optimizer.param_groups
    state, settings = {} if schedule is None else dict(vars(schedule)), [dict(group) for group in groups]
    try:
        yield
    except BaseException:
        if schedule is not None:
            vars(schedule).update(state)
        for group, before in zip(groups, settings, strict=True):
            group.update(before)
        raise


def _packed(part: Any) -> Any:
    """A history's lists as arrays, which are read and written at once."""
    if isinstance(part, dict):
        return {name: _packed(value) for name, value in part.items()}
    return np.array(part, np.float64) if isinstance(part, list) else part


def _unpacked(saved: dict[str, Any]) -> History:
    """The history; ValueError where its lists are not of one length."""
    history = History()
    for field in fields(History):
        part, like = saved[field.name], getattr(history, field.name)
        if isinstance(like, dict):
            part = {name: _numbers(array) for name, array in part.items()}
        elif isinstance(like, list):
            part = _numbers(part)
        if type(part) is not type(like):
            raise ValueError(f"its history has no {field.name}")
        setattr(history, field.name, part)
    lists = [history.loss, history.learning_rate, history.seconds, history[history.monitor]]
    lists += [*history.metrics.values(), *history.gradient_norms.values(), *history.update_ratios.values()]
    if len({len(values) for values in [*lists, history.validation_loss or history.loss]}) > 1:
        raise ValueError("its history has lists of different lengths")
    return history


def _numbers(array: Any) -> Any:
    return array.tolist() if array.dtype == np.float64 and array.ndim == 1 else None
