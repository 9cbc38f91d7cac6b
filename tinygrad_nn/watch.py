"""Whether a value has changed since it was used: no gradient is silently wrong.

The rules of an operation read its inputs again in the backward pass.  Whoever writes to them meanwhile is noticed:
changes through a tensor are timed, and arrays that were given out are compared with a copy, for as long as somebody
holds them.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np

__all__ = ["Watch", "clock"]

clock = itertools.count(1)  # one for all: what was made, or changed, before what


class Watch:
    """Keeps an eye on memory that somebody outside can write to; shared by a tensor and its views.

    `changed` is the time of the last change known.  `exposed` holds each array that was given out, with the copy that
    tells whether it has been written to since (None: a copy is due when the tensor is used next).
    """

    __slots__ = ("changed", "exposed")

    def __init__(self) -> None:
        self.changed = 0
        self.exposed: list[list[Any]] = []

    def expose(self, array: Any, known: bool = True) -> None:
        """`array` goes out, or (not `known`) has come in from outside."""
        if not any(entry[0] is array for entry in self.exposed):
            self.exposed.append([array, array.copy() if known else None])

    def change(self) -> None:
        """The value changes now."""
        self.changed = next(clock)
        for entry in self.exposed:
            entry[1] = None

    def look(self) -> None:
        """Notice what was written from outside."""
        for entry in self.exposed:
            array, copy = entry
            if copy is not None and not _same(array, copy):
                self.change()
                return

    def use(self) -> None:
        """An operation reads the value now: compare with this moment from here on."""
        self.look()
        self.exposed = [entry for entry in self.exposed if _held_outside(entry)]
        for entry in self.exposed:
            if entry[1] is None:
                entry[1] = entry[0].copy()


def _same(a: Any, b: Any) -> bool:
    return bool(((a == b) | ((a != a) & (b != b))).all())


def _references(entry: list[Any]) -> int:
    return sys.getrefcount(entry[0])


def _held_outside(entry: list[Any]) -> bool:
    """Whether anybody but the tensor and its watch holds the array, or a view of it."""
    return _references(entry) > _HELD_BY_TENSOR or entry[0].base is not None


def _count_own_references() -> int:
    """The reference count of an array that only a tensor and its watch hold, on this interpreter."""
    array = np.empty(1)
    holder, entry = [array], [array, None]
    del array
    assert holder
    return _references(entry)


_HELD_BY_TENSOR = _count_own_references()
