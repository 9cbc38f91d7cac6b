"""Arrays as small heat-maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.view.scene import Grid

__all__ = ["grid", "largest"]

ROWS, COLUMNS = 6, 10


def largest(value: Any) -> float:
    """The largest absolute value that is a number."""
    size = np.abs(np.asarray(value, dtype=float))
    return float(np.max(size, where=np.isfinite(size), initial=0.0))


def grid(value: Any, scale: float | None = None, rows: int = ROWS, columns: int = COLUMNS) -> Grid:
    """An array as rows and columns of at most this many cells, each the mean over a block of the array.

    Vectors are drawn as columns, as the founding text writes them; further axes are laid side by side.
    """
    array = np.asarray(value, dtype=float)
    array = array.reshape(-1, 1) if array.ndim < 2 else array.reshape(array.shape[0], -1)
    exact = array.shape[0] <= rows and array.shape[1] <= columns
    with np.errstate(all="ignore"):
        array = _blocks(_blocks(array, rows, 0), columns, 1)
    reach = largest(value) if scale is None else scale
    if not exact and scale is None:
        reach = largest(array)
    return Grid(tuple(tuple(float(x) for x in line) for line in array), float(reach), exact)


def _blocks(array: Any, most: int, axis: int) -> Any:
    n = array.shape[axis]
    if n <= most:
        return array
    starts = np.arange(most) * n // most
    sums = np.add.reduceat(array, starts, axis=axis)
    sizes = np.diff([*starts, n])
    return sums / (sizes[:, None] if axis == 0 else sizes)
