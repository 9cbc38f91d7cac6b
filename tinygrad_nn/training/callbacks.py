"""What is called during a training: callbacks and the progress bar."""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tinygrad_nn import notebook

__all__ = ["StopTraining", "by_event", "call_all", "progress_bar"]


class StopTraining(Exception):  # noqa: N818
    """Raise it in a callback to end the training; `fit` then returns as it does after the last epoch."""


def by_event(callbacks: Iterable[Any]) -> dict[str, list[Callable]]:
    """The functions to call, by "on_epoch_end" and "on_batch_end"."""
    found: dict[str, list[Callable]] = {"on_epoch_end": [], "on_batch_end": []}
    if not callable(callbacks) and not isinstance(callbacks, Iterable):
        callbacks = [callbacks]
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


def call_all(functions: list[Callable], *args: Any) -> bool:
    """Call all of them; returns whether one wants to stop."""
    stop = False
    for function in functions:
        try:
            stop |= function(*args) is False
        except StopTraining:
            stop = True
    return stop


@contextlib.contextmanager
def progress_bar(wanted: bool, data: Any, epochs: int) -> Iterator[list[Callable]]:
    """A progress bar, as a list of one function to call after each batch.

    In a terminal tqdm's; in a notebook that of tqdm.auto, or else a line that is renewed.  Empty elsewhere.
    """
    display = notebook.display() if wanted else None
    total = epochs * len(data) if hasattr(data, "__len__") else None
    if not wanted or (display is None and not sys.stderr.isatty()):
        yield []
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tqdm.auto misses ipywidgets, and does without
            tqdm = importlib.import_module("tqdm.auto") if display else importlib.import_module("tqdm")
            bar = tqdm.tqdm(total=total, unit="batch", leave=False)
    except ImportError:
        yield [] if display is None else [_line(display, total)]
        return

    def tick(epoch: int, batch: int, loss: float) -> None:
        bar.set_description(f"epoch {epoch}, loss {loss:.4g}", refresh=False)
        bar.update()

    with bar:
        yield [tick]


def _line(display: Callable[..., Any], total: int | None) -> Callable:
    """A line of a notebook, renewed at most five times a second."""
    handle = display({"text/plain": "training begins"}, raw=True, display_id=True)
    done, last = 0, time.monotonic()

    def tick(epoch: int, batch: int, loss: float) -> None:
        nonlocal done, last
        done, now = done + 1, time.monotonic()
        if done == total or now - last > 0.2:
            last = now
            of = f" of {total:,}" if total else ""
            handle.update({"text/plain": f"epoch {epoch}, loss {loss:.4g}, batch {done:,}{of}"}, raw=True)

    return tick
