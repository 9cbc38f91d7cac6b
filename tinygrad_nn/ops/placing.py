"""Elements by index, and put back where an index says: in place, or without writing for arrays that forbid it."""

from __future__ import annotations

import functools
import math

import numpy as np

from tinygrad_nn.foreign import in_blocks, is_foreign, like, reshaped
from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.axes import axis_of

__all__ = ["add_at", "add_taken", "element_of", "may_repeat", "put", "put_taken", "taken", "updated"]


def may_repeat(index):
    """Only integer arrays can name an element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(i, np.ndarray) and i.dtype.kind in "iu" and i.size > 1 for i in parts)


def put(g, shape, index):
    """Zeros of `shape` with `g` added at `index`: what indexing sends back."""
    if is_foreign(g):
        return _put_without_writing(g, shape, index)
    y = np.zeros(shape, g.dtype if hasattr(g, "dtype") else float)
    if may_repeat(index):
        np.add.at(y, index, g)
    else:
        y[index] = g
    return y


def _put_without_writing(g, shape, index):
    """The same of arrays that may not be written into: places that an index names more than once get their sum."""
    places = np.arange(math.prod(shape)).reshape(shape)[index].ravel()
    return np.reshape(put_taken(np.reshape(g, (places.size,)), places, (math.prod(shape),), 0), shape)


def add_at(total, g, x, index=()):
    """Add to an array in place what indexing sends back."""
    if may_repeat(index):
        np.add.at(total, index, g)
    else:
        total[index] += g


def put_taken(g, indices, shape, axis):
    """Zeros of `shape` with `g` added at indices along an axis: what `take` sends back."""
    if is_foreign(g):
        return _sum_of_chosen(g, indices, shape, axis)
    y = np.zeros(shape, g.dtype)
    np.add.at(y, (slice(None),) * axis_of(axis, y) + (indices,), g)
    return y


def _sum_of_chosen(g, indices, shape, axis):
    """The same as a product with a matrix of zeros and ones, for arrays that may not be written into."""
    axis, n = axis % len(shape), shape[axis]
    count = indices.ndim
    flat = np.reshape(indices, (-1,))
    chosen = (np.reshape(flat % n, (1, -1)) == like(np.arange(n).reshape(-1, 1), flat)).astype(g.dtype)
    rows = np.reshape(np.moveaxis(g, range(axis, axis + count), range(count)), (flat.size, -1))
    return np.moveaxis(np.reshape(like(chosen, g) @ rows, (n, *shape[:axis], *shape[axis + 1 :])), 0, axis)


@functools.wraps(np.take)
def taken(x, indices, axis=None):
    """`np.take`; Dask has it for one axis and a vector of indices."""
    if type(x) is np.ndarray or not is_foreign(x):
        return np.take(x, indices, axis=axis)
    if axis is None:
        x, axis = np.reshape(x, (-1,)), 0
    flat = np.take(x, np.reshape(indices, (-1,)), axis=axis)
    axis %= x.ndim
    return np.reshape(flat, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def element_of(x, index):
    """`x[index]`; Dask has it for one vector of indices."""
    if type(x) is np.ndarray:
        return x[index]
    x = as_array(x)
    parts = index if isinstance(index, tuple) else (index,)
    if in_blocks(x) and any(
        isinstance(i, np.ndarray) and (i.ndim > 1 or i.dtype == bool or len(parts) > 1) for i in parts
    ):
        places = np.arange(x.size).reshape(x.shape)[index]  # what Dask's indexing does not know
        return np.reshape(np.take(reshaped(x, (-1,)), places.ravel(), axis=0), places.shape)
    return x[index]


def updated(x, values, index):
    """A copy of x with other values at the index."""
    if is_foreign(x) or is_foreign(values):
        here = np.zeros(x.shape, bool)
        here[index] = True
        places = np.broadcast_to(values, x[index].shape) if np.ndim(values) else values * np.ones_like(x[index])
        return np.where(like(here, x), _put_without_writing(places, x.shape, index), x)
    y = np.array(x)
    y[index] = values
    return y


def add_taken(total, g, x, indices, axis=None):
    """Add to an array in place what `take` sends back."""
    if axis is None:
        np.add.at(total, np.unravel_index(indices % x.size, x.shape), g)
    else:
        np.add.at(total, (slice(None),) * (axis % x.ndim) + (indices,), g)
