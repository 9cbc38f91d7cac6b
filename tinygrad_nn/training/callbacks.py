"""What is called during a training, and when."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from tinygrad_nn.nn.foreign import name_of

__all__ = ["EVENTS", "StopTraining", "by_event", "call_all"]

# The methods that a callback may have, and their arguments.
EVENTS = {
    "on_batch_end": "(epoch, batch, loss)", "on_epoch_end": "(epoch, history)", "on_train_end": "(history)",
}  # fmt: skip


class StopTraining(Exception):  # noqa: N818
    """Raise it in a callback to end the training; `fit` then returns as it does after the last epoch."""


def by_event(callbacks: Iterable[Any]) -> dict[str, list[Callable]]:
    """The functions to call, by event; a callback that has none of these methods is called after each epoch."""
    found: dict[str, list[Callable]] = {event: [] for event in EVENTS}
    if not callable(callbacks) and not isinstance(callbacks, Iterable):
        callbacks = [callbacks]
    for callback in [callbacks] if callable(callbacks) else callbacks:
        named = [name for name in found if hasattr(callback, name)]
        if isinstance(callback, type) or (not named and not callable(callback)):
            if isinstance(callback, type):
                raise TypeError(f"fit: a callback is the class {callback.__name__}: give an object of it")
            methods = " or ".join(event + arguments for event, arguments in EVENTS.items())
            raise TypeError(
                f"fit: a callback is of type {type(callback).__name__}: expected a function (epoch, history), or an "
                f"object with {methods}"
            )
        for name in named or ["on_epoch_end"]:
            function = getattr(callback, name, callback)
            if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
                kind = "generator" if inspect.isgeneratorfunction(function) else "coroutine"
                raise TypeError(
                    f"fit: the callback {name_of(function)} is a {kind} function, of which a call runs nothing: write "
                    f"it without {'yield' if kind == 'generator' else 'async'}"
                )
            found[name].append(function)
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
