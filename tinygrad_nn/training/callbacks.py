"""What is called during a training: callbacks and the progress bar."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["StopTraining", "by_event", "call_all", "progress_bar"]


class StopTraining(Exception):  # noqa: N818
    """Raise it in a callback to end the training; `fit` then returns as it does after the last epoch."""


def by_event(callbacks: Iterable[Any]) -> dict[str, list[Callable]]:
    """The functions to call, by "on_epoch_end" and "on_batch_end"."""
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
    """A progress bar, as a list of one function to call after each batch; an empty list where there is no terminal."""
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
