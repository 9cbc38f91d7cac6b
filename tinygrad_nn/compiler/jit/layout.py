"""Where the elements of values lie in memory, and in which loops over it they are visited."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Location", "NotLowered", "index_of", "lie_alike", "matrix", "nest", "reduced"]


class NotLowered(Exception):  # noqa: N818  it is no error
    """This call is left to NumPy."""


@dataclass(frozen=True)
class Location:
    """Where the elements of a value lie: in the memory of a variable, from so many bytes on."""

    root: Any  # the node, or the Python, that the memory is of
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype

    @property
    def dense(self) -> bool:
        """Whether it is one stretch of memory."""
        return _in_memory_order(self)[1] == self.dtype.itemsize * math.prod(self.shape) or math.prod(self.shape) == 1


def _axes(place: Location) -> list[int]:
    """The axes that count, from the outermost in memory to the innermost."""
    return sorted((i for i, n in enumerate(place.shape) if n > 1), key=lambda i: -abs(place.strides[i]))


def _in_memory_order(place: Location) -> tuple[list[int], int]:
    """The axes, and how many bytes they cover if each lies within the next; else -1."""
    axes, size = _axes(place), place.dtype.itemsize
    for i in reversed(axes):
        if place.strides[i] != size:
            return axes, -1
        size *= place.shape[i]
    return axes, size


def lie_alike(a: Location, b: Location) -> bool:
    """Whether two arrays of a shape have their elements in the same order."""
    return all(n == 1 or s == t for n, s, t in zip(a.shape, a.strides, b.strides, strict=True)) or (
        a.dense and b.dense and _axes(a) == _axes(b)
    )


def matrix(place: Location, vector_axis: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Sizes and strides as of a matrix; a vector is a row on the left, a column on the right."""
    if len(place.shape) == 2:
        return place.shape, place.strides  # type: ignore[return-value]
    (n,), (s,) = place.shape, place.strides
    size = place.dtype.itemsize
    return ((1, n), (n * size, s)) if vector_axis == 0 else ((n, 1), (s, size))


def nest(shape: tuple[int, ...], places: list[Location]) -> tuple[list[int], list[list[int]]]:
    """As few loops as will do: their lengths, and how many bytes each place goes on in each."""
    steps = []
    for place in places:
        missing = len(shape) - len(place.shape)
        own = [0 if n == 1 else s for n, s in zip(place.shape, place.strides, strict=True)]
        steps.append([0] * missing + own)
    order = sorted(range(len(shape)), key=lambda i: -abs(steps[0][i]))
    dims: list[int] = []
    merged: list[list[int]] = [[] for _ in places]
    for i in order:
        if shape[i] == 1:
            continue
        if dims and all(m[-1] == s[i] * shape[i] for m, s in zip(merged, steps, strict=True)):
            dims[-1] *= shape[i]
            for m, s in zip(merged, steps, strict=True):
                m[-1] = s[i]
        else:
            dims.append(shape[i])
            for m, s in zip(merged, steps, strict=True):
                m.append(s[i])
    return dims, merged


def index_of(steps: list[int], size: int) -> str:
    """The number of an element, of the loop variables."""
    if any(s % size for s in steps):
        raise NotLowered
    terms = [f"i{i} * {s // size}" if s != size else f"i{i}" for i, s in enumerate(steps) if s]
    return " + ".join(terms) or "0"


def reduced(place: Location, axis: Any) -> list[tuple[int, bool]]:
    """The axes in the order of memory, neighbours as one: their lengths, and whether they are kept."""
    ndim = len(place.shape)
    given = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    over = {i % ndim for i in given if ndim}  # a single number has axis 0 and -1, too
    parts: list[tuple[int, bool]] = []
    for i in _axes(place):
        kept = i not in over
        if parts and parts[-1][1] == kept:
            parts[-1] = parts[-1][0] * place.shape[i], kept
        else:
            parts.append((place.shape[i], kept))
    return parts
