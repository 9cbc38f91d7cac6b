"""How far a training is: a bar in a terminal or notebook, and one line an epoch where there is none."""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_nn import notebook
from tinygrad_nn.training.history import History

__all__ = ["showing"]

MOST_LINES = 100  # of more epochs than that, every second one, or every third ... has a line


@contextlib.contextmanager
def showing(wanted: bool, batches: int | None, done: int, epochs: int) -> Iterator[dict[str, list[Callable]]]:
    """What shows the progress, by event: functions as those of callbacks.

    In a terminal it is tqdm's bar; in a notebook that of tqdm.auto, or else a line that is renewed.  Elsewhere, and in
    a terminal without tqdm, it is one line an epoch on standard error.  `batches` are those of an epoch, if known.
    """
    display = notebook.display() if wanted else None
    total = None if batches is None else batches * max(epochs - done, 0)
    if not wanted or (display is None and sys.stderr is None):
        yield {}
        return
    bar = None
    if display is not None or sys.stderr.isatty():
        with contextlib.suppress(ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tqdm.auto misses ipywidgets, and does without
            tqdm = importlib.import_module("tqdm.auto") if display else importlib.import_module("tqdm")
            bar = tqdm.tqdm(total=total, unit="batch", leave=False)
    if bar is not None:
        with bar:
            yield _ticking(bar, epochs)
    elif display is not None:
        yield _renewed(display, total, epochs)
    else:
        yield {"on_epoch_end": [_lines(epochs)]}


def said(history: History) -> str:
    """The numbers of the last epoch: "loss 0.12, validation_loss 0.2, accuracy 0.95"."""
    names = ["loss", *(["validation_loss"] if history.validation_loss else []), *history.metrics]
    return ", ".join(f"{name} {history[name][-1]:.4g}" for name in names)


def _ticking(bar: Any, epochs: int) -> dict[str, list[Callable]]:
    def tick(epoch: int, batch: int, loss: float) -> None:
        bar.set_description(f"epoch {epoch}/{epochs}, loss {loss:.4g}", refresh=False)
        bar.update()

    def tell(epoch: int, history: History) -> None:
        measured = said(history).partition(", ")[2]  # beyond the loss, which is there
        if measured:
            bar.set_postfix_str(measured, refresh=False)

    return {"on_batch_end": [tick], "on_epoch_end": [tell]}


def _lines(epochs: int) -> Callable:
    """A line for an epoch, on standard error."""
    every = -(-epochs // MOST_LINES)

    def line(epoch: int, history: History) -> None:
        if epoch % every == 0 or epoch in (1, epochs) or history.ended not in ("", "epochs"):
            print(f"epoch {epoch}/{epochs}: {said(history)} ({history.seconds[-1]:.2g} s)", file=sys.stderr, flush=True)

    return line


def _renewed(display: Callable[..., Any], total: int | None, epochs: int) -> dict[str, list[Callable]]:
    """A line of a notebook, renewed at most five times a second, and after the last epoch."""
    handle = display({"text/plain": "training begins"}, raw=True, display_id=True)
    done, last = 0, time.monotonic()

    def show(text: str, at_once: bool = False) -> None:
        nonlocal last
        if at_once or time.monotonic() - last > 0.2:
            last = time.monotonic()
            handle.update({"text/plain": text}, raw=True)

    def tick(epoch: int, batch: int, loss: float) -> None:
        nonlocal done
        done += 1
        of = f" of {total:,}" if total else ""
        show(f"epoch {epoch}/{epochs}, batch {done:,}{of}: loss {loss:.4g}")

    def tell(epoch: int, history: History) -> None:
        show(f"epoch {epoch}/{epochs}: {said(history)}", epoch == epochs or history.ended != "epochs")

    return {"on_batch_end": [tick], "on_epoch_end": [tell]}
