"""Further names that NumPy has for what is here already: of NumPy 2, of `numpy.linalg`, and the methods of ufuncs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinygrad_nn.errors import ShapeError
from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.axes import axis_of
from tinygrad_nn.ops.elementwise import astype
from tinygrad_nn.ops.joining import atleast_1d
from tinygrad_nn.ops.linalg import inner, matmul, outer, tensordot
from tinygrad_nn.ops.reductions import all, any, cumprod, cumsum, logsumexp, max, min, prod, sum
from tinygrad_nn.ops.shaping import concatenate, diagonal, moveaxis, reshape, squeeze, trace
from tinygrad_nn.registry import implements

# --- products of vectors and matrices --------------------------------------------------------------------------------


@implements(np.vdot)
def vdot(a, b):
    """Sum of the products of all elements."""
    return inner(reshape(a, (-1,)), reshape(b, (-1,)))


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(a, b, axis=-1):
    """Sum of products along an axis; the other axes broadcast."""
    a, b = (moveaxis(x, axis_of(axis, x), -1) for x in (as_array(a), as_array(b)))
    if a.shape[-1] != b.shape[-1]:
        raise ShapeError(f"a has {a.shape[-1]} elements along axis {axis}, b has {b.shape[-1]}: they must be as many")
    return sum(a * b, axis=-1)


@implements(np.matvec)
def matvec(a, b):
    """Matrices times vectors: the last two axes of a, the last one of b."""
    return squeeze(matmul(as_array(a), np.expand_dims(b, -1)), -1)


@implements(np.vecmat)
def vecmat(a, b):
    """Vectors times matrices: the last axis of a, the last two of b."""
    return squeeze(matmul(np.expand_dims(a, -2), as_array(b)), -2)


@implements(np.linalg.diagonal, name="_matrix_diagonal")
def _matrix_diagonal(x, offset=0):
    return diagonal(x, offset, -2, -1)


@implements(np.linalg.trace, name="_matrix_trace")
def _matrix_trace(x, offset=0, dtype=None):
    y = trace(x if dtype is None else astype(x, dtype), offset, -2, -1)
    return y if dtype is None else astype(y, dtype)


@implements(np.linalg.outer, name="_outer_of_vectors")
def _outer_of_vectors(a, b):
    return outer(a, b)


@implements(np.linalg.tensordot, name="_linalg_tensordot")
def _linalg_tensordot(a, b, axes=2):
    return tensordot(a, b, axes)


# --- running sums and products ---------------------------------------------------------------------------------------


def _cumulative(running: Callable, start: float) -> Callable:
    def of(x, axis=None, dtype=None, include_initial=False):
        x = atleast_1d(x)
        if axis is None and x.ndim > 1:
            raise ValueError(f"{running.__name__}: x has shape {x.shape}, so say along which axis= it runs")
        axis = axis_of(0 if axis is None else axis, x)
        y = running(x, axis=axis) if dtype is None else running(x, axis=axis, dtype=dtype)
        if not include_initial:
            return y
        edge = np.full(y.shape[:axis] + (1,) + y.shape[axis + 1 :], start, y.dtype)
        return concatenate([edge, y], axis=axis)

    return of


_running_sum, _running_product = _cumulative(cumsum, 0.0), _cumulative(cumprod, 1.0)


@implements(np.cumulative_sum)
def cumulative_sum(x, axis=None, dtype=None, include_initial=False):
    """Running sum along an axis, with `include_initial` a 0 in front."""
    return _running_sum(x, axis, dtype, include_initial)


@implements(np.cumulative_prod)
def cumulative_prod(x, axis=None, dtype=None, include_initial=False):
    """Running product along an axis, with `include_initial` a 1 in front."""
    return _running_product(x, axis, dtype, include_initial)


# --- methods of ufuncs -----------------------------------------------------------------------------------------------


def _reduces(ufunc: np.ufunc, entry: Callable) -> None:
    """`ufunc.reduce` by one of our reductions: along the first axis, unless it is told another."""

    def reduce(x, axis=0, dtype=None, keepdims=False, **further):
        x = as_array(x)
        y = entry(x if dtype is None else x.astype(dtype), axis=axis, keepdims=keepdims, **further)
        return y if dtype is None else y.astype(dtype)

    reduce.__module__ = __name__
    implements(ufunc.reduce, name=f"_{ufunc.__name__}_reduce")(reduce)


def _accumulates(ufunc: np.ufunc, entry: Callable) -> None:
    """`ufunc.accumulate` by one of our running sums."""

    def accumulate(x, axis=0, dtype=None):
        x = as_array(x)
        if not x.ndim:
            raise TypeError("a single number has nothing to accumulate")
        y = entry(x if dtype is None else x.astype(dtype), axis=axis)
        return y if dtype is None else y.astype(dtype)

    accumulate.__module__ = __name__
    implements(ufunc.accumulate, name=f"_{ufunc.__name__}_accumulate")(accumulate)


for _ufunc, _entry in (
    (np.add, sum), (np.multiply, prod), (np.maximum, max), (np.minimum, min), (np.logaddexp, logsumexp),
    (np.logical_and, all), (np.logical_or, any),
):  # fmt: skip
    _reduces(_ufunc, _entry)
_accumulates(np.add, cumsum)
_accumulates(np.multiply, cumprod)


@implements(np.astype, name="_astype")
def _astype(x, dtype, copy=True, device=None):
    return as_array(x).astype(dtype)
