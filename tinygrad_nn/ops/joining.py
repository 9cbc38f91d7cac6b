"""Arrays put together, taken apart and rearranged: composed of the operations in `shaping`."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.foreign import own
from tinygrad_nn.operands import as_array, number_of
from tinygrad_nn.operation import Traced, value_of
from tinygrad_nn.ops.axes import axes_of, axis_of
from tinygrad_nn.ops.elementwise import astype, unwritten
from tinygrad_nn.ops.shaping import (
    broadcast_to,
    check_axes,
    concatenate,
    diag,
    expand_dims,
    flip,
    getitem,
    moveaxis,
    plain_index,
    ravel,
    reshape,
    split,
    swapaxes,
    take,
)
from tinygrad_nn.registry import implements, op


def rearranged(function: Callable, *arrays: Any, **params: Any) -> Any:
    """What a NumPy function that only moves elements makes of these arrays, by one look at where each element goes."""
    arrays = tuple(as_array(a) for a in arrays)
    ends = list(itertools.accumulate(a.size for a in arrays))
    places = [np.arange(end - a.size, end).reshape(a.shape) for a, end in zip(arrays, ends, strict=True)]
    joined = concatenate([reshape(a, (-1,)) for a in arrays]) if len(arrays) > 1 else arrays[0]
    return take(joined, function(*places, **params))


# --- the same elements -----------------------------------------------------------------------------------------------

# fmt: off
copy = op(lambda x, order="K": own(x, order=order), "{x}", lambda g, y, x, order="K": g, name="copy", kind="linear", entries="ones", stands_for=(np.copy,),
          simplify=unwritten, variants=({},), summary="The same elements in memory of their own", example="tn.copy(np.array([1.0, 2.0]))")
# fmt: on


@implements()
def flatten(x, order="C"):
    """The elements as a vector; examples that come first are kept apart by `x.reshape(len(x), -1)`."""
    if order not in ("C", "F"):
        raise ValueError(f"order is {order!r}; expected 'C' or 'F': x.reshape(len(x), -1) keeps the first axis")
    return ravel(x, order)


# --- more axes -------------------------------------------------------------------------------------------------------


def _for_each(reshaped: Callable) -> Callable:
    """One array for one, a tuple for several."""

    def of_several(*arrays):
        results = tuple(reshaped(as_array(a)) for a in arrays)
        return results[0] if len(results) == 1 else results

    of_several.__doc__ = reshaped.__doc__
    of_several.__name__ = of_several.__qualname__ = reshaped.__name__
    of_several.__module__ = __name__
    return of_several


@implements(np.atleast_1d)
@_for_each
def atleast_1d(x):
    """The array, a single number as a vector; of several arrays a tuple."""
    return x if x.ndim else reshape(x, (1,))


@implements(np.atleast_2d)
@_for_each
def atleast_2d(x):
    """The array with two axes at least, a vector as a row; of several arrays a tuple."""
    return x if x.ndim > 1 else reshape(x, (1, -1))


@implements(np.atleast_3d)
@_for_each
def atleast_3d(x):
    """The array with three axes at least, a vector in the middle one; of several arrays a tuple."""
    return x if x.ndim > 2 else reshape(x, (*x.shape, 1) if x.ndim == 2 else (1, -1, 1))


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x):
    """The last two axes exchanged."""
    if np.ndim(x) < 2:
        raise ValueError(f"matrix_transpose needs two axes at least: x has shape {np.shape(x)}")
    return swapaxes(as_array(x), -1, -2)


@implements(np.rollaxis)
def rollaxis(x, axis, start=0):
    """The axis moved until it lies before `start`."""
    x = as_array(x)
    axis, before = axis_of(axis, x), start + (start < 0) * x.ndim
    if not 0 <= before <= x.ndim:
        raise np.exceptions.AxisError(f"start={start}; expected {-x.ndim} to {x.ndim}, the places that axes have")
    return moveaxis(x, axis, before - (axis < before))


# --- joined ----------------------------------------------------------------------------------------------------------


@implements(np.append, method=False)
def append(x, values, axis=None):
    """The array with `values` behind it, along an axis or flattened."""
    return concatenate([as_array(x), as_array(values)], axis=axis)


@implements(np.column_stack, method=False)
def column_stack(arrays):
    """Joined side by side, vectors as columns."""
    arrays = [as_array(a) for a in arrays]
    return concatenate([a if a.ndim > 1 else reshape(a, (-1, 1)) for a in arrays], axis=1)


@implements(np.dstack, method=False)
def dstack(arrays):
    """Joined along the third axis."""
    return concatenate([atleast_3d(a) for a in arrays], axis=2)


@implements(np.block, method=False)
def block(arrays):
    """An array of nested lists of blocks: the innermost lists are joined along the last axis."""
    leaves: list[Any] = []

    def outline(part):
        if isinstance(part, list):
            return [outline(p) for p in part]
        leaves.append(part)
        return len(leaves) - 1

    def filled(part, places):
        return [filled(p, places) for p in part] if isinstance(part, list) else places[part]

    outlined = outline(arrays)
    return rearranged(lambda *places: np.block(filled(outlined, places)), *leaves)


@implements(np.insert, method=False)
def insert(x, obj, values, axis=None):
    """A copy with `values` before the given indices, along an axis or flattened."""
    x, obj = as_array(x), plain_index(obj)
    return rearranged(lambda x, values: np.insert(x, obj, values, axis), x, as_array(values).astype(x.dtype))


@implements(np.delete, method=False)
def delete(x, obj, axis=None):
    """A copy without the parts at the given indices, along an axis or flattened."""
    obj = plain_index(obj)
    return rearranged(lambda x: np.delete(x, obj, axis), x)


@implements(np.resize, method=False)
def resize(x, new_shape):
    """An array of another shape, filled with the elements over and over."""
    new_shape = number_of(new_shape)
    if not np.size(x):
        return np.resize(np.zeros_like(x), new_shape)  # zeros
    return rearranged(lambda x: np.resize(x, new_shape), x)


@implements(np.broadcast_arrays, method=False)
def broadcast_arrays(*arrays, subok=False):
    """The arrays as a tuple, all repeated to the shape that broadcasting gives them."""
    shape = np.broadcast_shapes(*map(np.shape, arrays))
    return tuple(broadcast_to(as_array(a), shape) for a in arrays)


@implements(np.meshgrid, method=False)
def meshgrid(*vectors, copy=True, sparse=False, indexing="xy"):
    """A list of arrays, one for each vector: its coordinate at the points of the grid."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is {indexing!r}; expected 'xy' or 'ij'")
    n = len(vectors)
    order = list(range(n))
    if indexing == "xy" and n > 1:
        order[:2] = [1, 0]
    grids = [
        reshape(as_array(v), tuple(-1 if i == at else 1 for i in range(n)))
        for v, at in zip(vectors, order, strict=True)
    ]
    return grids if sparse or not grids else list(broadcast_arrays(*grids))


@implements(np.linspace, method=False)
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    """`num` numbers in equal steps from start to stop; of arrays, along a new axis."""
    start, stop, num = as_array(start), as_array(stop), operator.index(num)
    if num < 0:
        raise ValueError(f"num is {num}; expected a number of elements, 0 or more")
    kind = np.result_type(start.dtype, stop.dtype, 0.0)
    start, stop, last = astype(start, kind), astype(stop, kind), endpoint and num > 1
    parts = num - 1 if endpoint else num
    shape = np.broadcast_shapes(start.shape, stop.shape)
    places = np.arange(num - last).reshape((-1,) + (1,) * len(shape)).astype(kind)
    step = (stop - start) / parts if parts > 0 else np.nan
    y = start + places * (step if parts > 0 else stop - start)
    if last:  # stop itself
        y = concatenate([y, np.expand_dims(broadcast_to(stop, shape), 0)])
    y = moveaxis(y, 0, axis)
    if dtype is not None:
        y = astype(np.floor(y) if np.dtype(dtype).kind in "iu" else y, dtype)
    return (y, step) if retstep else y


@implements(np.logspace, method=False)
def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    """Powers of the base, with `num` exponents in equal steps from start to stop."""
    if np.ndim(base):  # one for each start and stop
        n = len(np.broadcast_shapes(np.shape(start), np.shape(stop), np.shape(base)))
        start, stop, base = (reshape(as_array(a), (1,) * (n - np.ndim(a)) + np.shape(a)) for a in (start, stop, base))
        base = expand_dims(base, axis)
    y = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else y.astype(dtype)


@implements(np.geomspace, method=False)
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """`num` numbers from start to stop, of the same sign, each the same multiple of the one before."""
    start = astype(as_array(start), np.float64)  # in which NumPy computes this
    if not isinstance(start, Traced) and not np.all(start):
        raise ValueError("start is 0, which is no multiple of another number")
    shape = np.broadcast_shapes(start.shape, np.shape(stop))
    share = linspace(0.0, 1.0, num, endpoint).reshape((-1,) + (1,) * len(shape))
    y = moveaxis(start * (as_array(stop) / start) ** share, 0, axis)
    return y if dtype is None else y.astype(dtype)


@implements(np.diagflat)
def diagflat(x, k=0):
    """The matrix with the flattened elements as its k-th diagonal."""
    return diag(reshape(x, (-1,)), k)


# --- taken apart -----------------------------------------------------------------------------------------------------


@implements(np.hsplit)
def hsplit(x, indices_or_sections):
    """A list of parts side by side: along the second axis, or the first of a vector."""
    check_axes(1, x=x)
    return split(x, indices_or_sections, axis=0 if np.ndim(x) == 1 else 1)


@implements(np.vsplit)
def vsplit(x, indices_or_sections):
    """A list of parts one below the other: along the first axis."""
    check_axes(2, x=x)
    return split(x, indices_or_sections, axis=0)


@implements(np.dsplit)
def dsplit(x, indices_or_sections):
    """A list of parts along the third axis."""
    check_axes(3, x=x)
    return split(x, indices_or_sections, axis=2)


@implements(np.unstack)
def unstack(x, axis=0):
    """The parts along an axis as a tuple, without that axis."""
    x = moveaxis(as_array(x), axis, 0)
    return tuple(getitem(x, i) for i in range(x.shape[0]))


@implements(np.trim_zeros, method=False)
def trim_zeros(x, trim="fb", axis=None):
    """The elements without the zeros at the front ("f") and at the back ("b")."""
    if not set(trim) <= set("fbFB"):
        raise ValueError(f"trim is {trim!r}; expected 'f', 'b' or 'fb'")
    trim = trim.lower()
    return rearranged(lambda places: _trimmed(x, places, trim, axis), x)


def _trimmed(x, places, trim, axis):
    """The places that `np.trim_zeros` keeps: of each axis those from the first to the last that is not 0."""
    found = np.argwhere(np.asarray(value_of(x)))
    cut = [slice(None)] * places.ndim
    for i in axes_of(axis, places):
        first = found[:, i].min() if len(found) and "f" in trim else 0
        last = found[:, i].max() + 1 if len(found) and "b" in trim else places.shape[i]
        cut[i] = slice(first, last) if len(found) else slice(0, 0)
    return places[tuple(cut)]


# --- turned ----------------------------------------------------------------------------------------------------------


@implements(np.flipud)
def flipud(x):
    """The first axis in reverse order."""
    check_axes(1, x=x)
    return flip(x, 0)


@implements(np.fliplr)
def fliplr(x):
    """The second axis in reverse order."""
    check_axes(2, x=x)
    return flip(x, 1)


@implements(np.rot90)
def rot90(x, k=1, axes=(0, 1)):
    """Turned by k quarters, from the first of the axes towards the second."""
    return rearranged(lambda places: np.rot90(places, k, axes), x)


@implements(np.lib.stride_tricks.sliding_window_view, name="sliding_window_view")
def sliding_window_view(x, window_shape, axis=None, *, subok=False, writeable=False):
    """All windows of a shape, its axes behind those of x; each element receives the gradients of its windows."""
    return rearranged(lambda places: np.lib.stride_tricks.sliding_window_view(places, window_shape, axis), x)
