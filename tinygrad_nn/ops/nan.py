"""Reductions that leave NaN out: composed of those that do not, with NaN replaced by what does not count."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.arithmetic import as_floats
from tinygrad_nn.ops.elementwise import astype, where
from tinygrad_nn.ops.precision import in_single
from tinygrad_nn.ops.reductions import cumprod, cumsum, max, mean, min, prod, sum
from tinygrad_nn.ops.shaping import reshape, stack
from tinygrad_nn.ops.sorting import rows_of, share_of, sort, take_along_axis, value_of
from tinygrad_nn.registry import implements


def _filled(x, value):
    """x with `value` in the place of NaN; whole numbers have none."""
    x = as_array(x)
    if x.dtype.kind != "f":
        return x
    return where(np.isnan(x), value, x)


def _count(x, axis):
    """How many elements are no NaN, with the axes kept."""
    return sum(astype(np.logical_not(np.isnan(x)), x.dtype), axis=axis, keepdims=True)


@implements(np.nan_to_num)
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """NaN replaced by 0, infinities by the largest and smallest number of the dtype, or by what is given.

    What is replaced gets an exact zero gradient.
    """
    x = as_array(x)
    if x.dtype.kind != "f":
        return x
    limits = np.finfo(x.dtype)
    y = where(np.isnan(x), nan, x)
    y = where(np.isposinf(x), float(limits.max) if posinf is None else posinf, y)
    return where(np.isneginf(x), float(limits.min) if neginf is None else neginf, y)


@implements(np.nansum)
def nansum(x, axis=None, keepdims=False):
    """Sum of the elements that are no NaN."""
    return sum(_filled(x, 0.0), axis=axis, keepdims=keepdims)


@implements(np.nanprod)
def nanprod(x, axis=None, keepdims=False):
    """Product of the elements that are no NaN."""
    return prod(_filled(x, 1.0), axis=axis, keepdims=keepdims)


@implements(np.nancumsum)
def nancumsum(x, axis=None):
    """Running sum that leaves NaN out."""
    return cumsum(_filled(x, 0.0), axis=axis)


@implements(np.nancumprod)
def nancumprod(x, axis=None):
    """Running product that leaves NaN out."""
    return cumprod(_filled(x, 1.0), axis=axis)


@implements(np.nanmean)
@in_single
def nanmean(x, axis=None, keepdims=False):
    """Mean of the elements that are no NaN."""
    x = as_floats(x)
    y = sum(_filled(x, 0.0), axis=axis, keepdims=True) / _count(x, axis)
    return y if keepdims else _without(y, axis)


def _without(y, axis):
    return np.squeeze(y, axis) if y.ndim else y


@implements(np.nanvar)
@in_single
def nanvar(x, axis=None, ddof=0, keepdims=False):
    """Variance of the elements that are no NaN, divided by their count less ddof."""
    x = as_floats(x)
    deviation = _filled(x - nanmean(x, axis, keepdims=True), 0.0)
    y = sum(np.square(deviation), axis=axis, keepdims=True) / (_count(x, axis) - ddof)
    return y if keepdims else _without(y, axis)


@implements(np.nanstd)
def nanstd(x, axis=None, ddof=0, keepdims=False):
    """Standard deviation of the elements that are no NaN; of equal ones the gradient is 0."""
    y = nanvar(x, axis, ddof, keepdims)
    return where(y == 0, 0.0, np.sqrt(y))


def _extreme(reduction, beyond):
    """The largest or smallest element; NaN where there is nothing else."""

    def of(x, axis=None, keepdims=False):
        y = reduction(_filled(x, beyond), axis=axis, keepdims=keepdims)
        if y.dtype.kind != "f":
            return y
        return where(np.all(np.isnan(x), axis=axis, keepdims=keepdims), np.nan, y)

    return of


_largest, _smallest = _extreme(max, -np.inf), _extreme(min, np.inf)


@implements(np.nanmax)
def nanmax(x, axis=None, keepdims=False):
    """Largest element that is no NaN; ties share the gradient equally."""
    return _largest(x, axis, keepdims)


@implements(np.nanmin)
def nanmin(x, axis=None, keepdims=False):
    """Smallest element that is no NaN; ties share the gradient equally."""
    return _smallest(x, axis, keepdims)


@implements(np.nanquantile)
def nanquantile(x, q, axis=None, method="linear", keepdims=False):
    """The element below which a share `q` of those lies that are no NaN, or between two of them (method "linear")."""
    if method != "linear":
        raise ValueError(f"nanquantile: method {method!r} is not here; take 'linear'")
    q = share_of(q)
    if not np.size(x):
        return stack([mean(x, axis=axis, keepdims=keepdims)] * np.size(q)) if np.ndim(q) else mean(x, axis, keepdims)
    rows, kept = rows_of(as_floats(x), axis)
    rows = sort(rows)  # NaN come last
    last = np.maximum(np.sum(~np.isnan(value_of(rows)), axis=-1, keepdims=True) - 1, 0)
    parts = []
    for share in np.ravel(q).tolist():
        place = share * last
        below = np.floor(place).astype(np.intp)
        weight = (place - below).astype(rows.dtype)
        first, second = (take_along_axis(rows, i, axis=-1) for i in (below, np.minimum(below + 1, last)))
        part = first + (second - first) * weight
        parts.append(reshape(part, kept if keepdims else rows.shape[:-1]))
    return parts[0] if not np.ndim(q) else reshape(stack(parts), np.shape(q) + parts[0].shape)


@implements(np.nanpercentile)
def nanpercentile(x, q, axis=None, method="linear", keepdims=False):
    """The quantile of a share of q per cent of the elements that are no NaN."""
    return nanquantile(x, np.true_divide(q, 100), axis, method, keepdims)


@implements(np.nanmedian)
def nanmedian(x, axis=None, keepdims=False):
    """The middle one of the elements that are no NaN, or the mean of the two in the middle."""
    return nanquantile(x, 0.5, axis, keepdims=keepdims)


@implements(np.nanargmax, name="_nanargmax")
def _nanargmax(x, axis=None, keepdims=False):
    return np.argmax(_filled(x, -np.inf), axis=axis, keepdims=keepdims)


@implements(np.nanargmin, name="_nanargmin")
def _nanargmin(x, axis=None, keepdims=False):
    return np.argmin(_filled(x, np.inf), axis=axis, keepdims=keepdims)
