"""Ctrl-C during a training: it is let through while batches are computed, and waits while results are put away.

So an epoch is in history, best parameters and checkpoint, or in none of them.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """Holds back Ctrl-C (SIGINT) within its ``with`` block, but for the parts that are `allowed`.

    Only Python's main thread is interrupted by signals: elsewhere, and where the program has no handler for SIGINT, it
    does nothing.

    >>> import signal
    >>> done, before = [], signal.signal(signal.SIGINT, signal.default_int_handler)
    >>> try:
    ...     with Interrupts() as interrupts:
    ...         signal.raise_signal(signal.SIGINT)
    ...         done.append("held")
    ...         with interrupts.allowed():
    ...             done.append("never")
    ... except KeyboardInterrupt:
    ...     done.append("interrupted")
    ... finally:
    ...     _ = signal.signal(signal.SIGINT, before)
    >>> done
    ['held', 'interrupted']
    """

    def __init__(self) -> None:
        self.pending = False  # whether one came that was not let through
        self._open = False
        self._frame: FrameType | None = None
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if callable(before):
                self._before = before
                signal.signal(signal.SIGINT, self._came)
        return self

    def __exit__(self, *error: Any) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        self._frame = None

    def _came(self, number: int, frame: FrameType | None) -> None:
        self.pending, self._frame = True, frame
        if self._open:
            self._let_through()

    def _let_through(self) -> None:
        """Do what the program does at Ctrl-C: raise KeyboardInterrupt, unless it has a handler of its own."""
        self._open, self.pending = False, False
        self._before(signal.SIGINT, self._frame)
        self._open = True  # a handler that does not raise

    def allowed(self) -> _Allowed:
        """A block that lets Ctrl-C through: at once, if one is waiting."""
        return _Allowed(self)


class _Allowed:
    def __init__(self, interrupts: Interrupts) -> None:
        self._of = interrupts

    def __enter__(self) -> None:
        self._of._open = True
        if self._of.pending:
            self._of._let_through()

    def __exit__(self, *error: Any) -> None:
        self._of._open = False
