"""How many numbers may be made while a model of a file is rebuilt: no more than the file holds, whatever it says."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from tinygrad_nn import tree

__all__ = ["allowance", "claim"]

_LEFT: ContextVar[list[int] | None] = ContextVar("numbers that may still be made", default=None)


@contextlib.contextmanager
def allowance(arrays: Any) -> Iterator[None]:
    """Within the ``with`` statement, `claim` allows as many numbers as these arrays hold, a tree of them.

    >>> import numpy as np
    >>> with allowance([np.zeros(6)]):
    ...     claim((3, 2))
    ...     claim((1,))
    Traceback (most recent call last):
    ...
    ValueError: an array of shape (1,) is more than the numbers that are there
    """
    token = _LEFT.set([sum(array.size for array in tree.leaves(arrays))])
    try:
        yield
    finally:
        _LEFT.reset(token)


def claim(*shapes: tuple[int, ...]) -> None:
    """To be called before arrays of these shapes are made by a layer or an optimiser."""
    left = _LEFT.get()
    if left is None:
        return
    for shape in shapes:
        left[0] -= math.prod(shape)
        if left[0] < 0:
            raise ValueError(f"an array of shape {shape} is more than the numbers that are there")
