"""Arrays as fields of a box: the number, a small heat-map, or the range."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_nn.notation import format_number
from tinygrad_nn.view import text
from tinygrad_nn.view.graph.computation import largest
from tinygrad_nn.view.scene import Field, Grid

__all__ = ["grid", "heat_field", "number_field", "scale_of"]


def grid(value: Any, scale: float | None = None, rows: int = 6, columns: int = 10) -> Grid:
    """An array as rows and columns of at most this many cells, each the mean over a block of the array.

    Vectors are drawn as columns, as M. Thill's post writes them; further axes are laid side by side.  The scale is that
    of the values, not of the means: two pictures of arrays of the same range have the same colours.
    """
    array = np.asarray(value, dtype=float)
    array = array.reshape(-1, 1) if array.ndim < 2 else array.reshape(array.shape[0], -1)
    sizes = -(-array.shape[0] // rows), -(-array.shape[1] // columns)
    with np.errstate(all="ignore"):
        array = _blocks(_blocks(array, rows, 0), columns, 1)
    reach = largest(value) if scale is None else scale
    return Grid(tuple(tuple(float(x) for x in line) for line in array), float(reach), means_of=math.prod(sizes))


def _blocks(array: Any, most: int, axis: int) -> Any:
    n = array.shape[axis]
    if n <= most:
        return array
    starts = np.arange(most) * n // most
    sums = np.add.reduceat(array, starts, axis=axis)
    sizes = np.diff([*starts, n])
    return sums / (sizes[:, None] if axis == 0 else sizes)


def number_field(label: str, value: Any, strong: bool = False) -> Field:
    """A single number."""
    return Field(label, format_number(value), float(value), strong=strong)


def heat_field(label: str, value: Any, columns: int = 10, with_shape: bool = False) -> Field:
    """An array as a heat-map with its scale; a single number as such."""
    if value.size == 1:
        return number_field(label, value.item())
    heat = grid(value, columns=columns)
    size = [text.shape(value)] * with_shape
    return Field(label, "" if heat.spelled else ", ".join([*size, scale_of(heat)]), grid=heat)


def scale_of(heat: Grid) -> str:
    """What the colours of a heat-map stand for, in words."""
    words = f"±{format_number(heat.scale)}"
    return words if heat.exact else f"{words}, {heat.means}"
