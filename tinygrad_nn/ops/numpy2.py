"""Further names that NumPy has for what is here already: of NumPy 2, of `numpy.linalg`, and the methods of ufuncs."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np

from tinygrad_nn.errors import ShapeError
from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.axes import axis_of
from tinygrad_nn.ops.elementwise import astype
from tinygrad_nn.ops.joining import atleast_1d
from tinygrad_nn.ops.linalg import inner, matmul, outer, tensordot
from tinygrad_nn.ops.quantiles import rows_of
from tinygrad_nn.ops.reductions import all, any, cumprod, cumsum, logsumexp, max, min, prod, sum
from tinygrad_nn.ops.scatter import cummax, cummin, logcumsumexp
from tinygrad_nn.ops.shaping import check_axes, concatenate, diagonal, getitem, moveaxis, reshape, squeeze, stack, trace
from tinygrad_nn.registry import implements, naming

# --- products of vectors and matrices --------------------------------------------------------------------------------


@implements(np.vdot)
def vdot(a, b):
    """Sum of the products of all elements."""
    return inner(reshape(a, (-1,)), reshape(b, (-1,)))


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(a, b, axis=-1):
    """Sum of products along an axis; the other axes broadcast."""
    check_axes(1, a=a, b=b)
    a, b = (moveaxis(x, axis_of(axis, x), -1) for x in (as_array(a), as_array(b)))
    if a.shape[-1] != b.shape[-1]:
        raise ShapeError(f"a has {a.shape[-1]} elements along axis {axis}, b has {b.shape[-1]}: they must be as many")
    return sum(a * b, axis=-1)


@implements(np.matvec)
def matvec(a, b):
    """Matrices times vectors: the last two axes of a, the last one of b."""
    check_axes(2, a=a)
    check_axes(1, b=b)
    return squeeze(matmul(as_array(a), np.expand_dims(b, -1)), -1)


@implements(np.vecmat)
def vecmat(a, b):
    """Vectors times matrices: the last axis of a, the last two of b."""
    check_axes(1, a=a)
    check_axes(2, b=b)
    return squeeze(matmul(np.expand_dims(a, -2), as_array(b)), -2)


@implements(np.linalg.diagonal, name="_matrix_diagonal")
def _matrix_diagonal(x, offset=0):
    return diagonal(x, offset, -2, -1)


@implements(np.linalg.trace, name="_matrix_trace")
def _matrix_trace(x, offset=0, dtype=None):
    return trace(x, offset, -2, -1, dtype)


@implements(np.linalg.outer, name="_outer_of_vectors")
def _outer_of_vectors(a, b):
    check_axes(1, 1, a=a, b=b)
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

    def reduce(x, axis=0, dtype=None, keepdims=False, **further):  # further: initial, where
        x = as_array(x)
        y = entry(x if dtype is None else x.astype(dtype), axis=axis, keepdims=keepdims, **further)
        return y if dtype is None else y.astype(dtype)

    reduce.__module__ = __name__
    implements(ufunc.reduce, name=f"_{ufunc.__name__}_reduce")(reduce)


def _accumulates(ufunc: np.ufunc, entry: Callable) -> None:
    """`ufunc.accumulate` by one of our running sums."""

    def accumulate(x, axis=0, dtype=None):
        _check_runs(x)
        x = as_array(x)
        y = entry(x if dtype is None else x.astype(dtype), axis=axis)
        return y if dtype is None else y.astype(dtype)

    accumulate.__module__ = __name__
    implements(ufunc.accumulate, name=f"_{ufunc.__name__}_accumulate")(accumulate)


def _logsumexp(x, axis=None, keepdims=False, initial=-np.inf, where=True):
    y = logsumexp(x if where is True else np.where(where, x, -np.inf), axis=axis, keepdims=keepdims)
    return y if initial is -np.inf else np.logaddexp(y, initial)


for _ufunc, _entry in (
    (np.add, sum), (np.multiply, prod), (np.maximum, max), (np.minimum, min), (np.logaddexp, _logsumexp),
    (np.logical_and, all), (np.logical_or, any),
):  # fmt: skip
    _reduces(_ufunc, _entry)
for _ufunc, _entry in (
    (np.add, cumsum), (np.multiply, cumprod), (np.maximum, cummax), (np.minimum, cummin), (np.logaddexp, logcumsumexp),
):  # fmt: skip
    _accumulates(_ufunc, _entry)


def _to_fold(ufunc, x, dtype):
    """x as the ufunc's results are, which the first element is one of."""
    x = as_array(x)
    kind = dtype or ufunc.resolve_dtypes((x.dtype, x.dtype, None))[2]
    return x if kind == x.dtype else astype(x, kind)


def _reduced(ufunc, x, axis=0, dtype=None, keepdims=False, initial=None, where=True):
    """`ufunc.reduce` of any other ufunc: what it makes of the first two along an axis, then of that and the third ..."""
    x = _to_fold(ufunc, x, dtype)
    ufunc.reduce(np.ones((1,) * x.ndim, x.dtype), axis=axis)  # NumPy refuses what axes there are not, and what order
    rows, kept = rows_of(x, axis if x.ndim else None)
    counted = None if where is True else rows_of(np.broadcast_to(where, x.shape), axis if x.ndim else None)[0]
    places = range(rows.shape[-1])
    if initial is None and (counted is not None or not places):
        initial = ufunc.identity
        if initial is None:
            raise ValueError(f"{ufunc.__name__}.reduce needs initial=, the result where no element counts")

    def step(y, i):
        combined = ufunc(y, rows[..., i])
        return combined if counted is None else np.where(counted[..., i], combined, y)

    if initial is None:
        y = functools.reduce(step, places[1:], rows[..., 0])
    else:
        y = functools.reduce(step, places, np.full(rows.shape[:-1], initial, x.dtype))
    return reshape(y, kept) if keepdims else y


def _accumulated(ufunc, x, axis=0, dtype=None):
    """`ufunc.accumulate` likewise: each of these results."""
    _check_runs(x)
    x = moveaxis(_to_fold(ufunc, x, dtype), axis, 0)
    y = stack(list(itertools.accumulate([getitem(x, i) for i in range(x.shape[0])], ufunc))) if x.size else x
    return moveaxis(y, 0, axis)


def _check_runs(x):
    if not np.ndim(x):
        raise TypeError("a single number has no axis to accumulate along: x.reshape(1) has one")


_FOLDS = {"reduce": _reduced, "accumulate": _accumulated}


@functools.cache
def fold(ufunc: np.ufunc, method: str) -> Callable | None:
    """A method of a ufunc that is no entry by itself; None for those that are not here."""
    if method not in _FOLDS:
        return None
    return naming(f"{ufunc.__name__}.{method}", functools.partial(_FOLDS[method], ufunc))


@implements(np.astype, name="_astype")
def _astype(x, dtype, copy=True, device=None):
    return as_array(x).astype(dtype)
