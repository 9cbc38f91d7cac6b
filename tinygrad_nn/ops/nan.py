"""Reductions that leave NaN out: composed of those that do not, with NaN replaced by what does not count."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.arithmetic import as_floats
from tinygrad_nn.ops.elementwise import astype, where
from tinygrad_nn.ops.precision import in_single
from tinygrad_nn.ops.reductions import cumprod, cumsum, max, min, prod, sum, var
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
    """Variance of the elements that are no NaN, divided by their count less ddof; NaN where that leaves nothing."""
    x = as_array(x)
    if x.dtype.kind != "f":
        return var(x, axis=axis, ddof=ddof, keepdims=keepdims)
    deviation = where(np.isnan(x), 0.0, x - nanmean(x, axis, keepdims=True))
    freedom = _count(x, axis) - ddof
    y = sum(np.square(deviation), axis=axis, keepdims=True) / where(freedom > 0, freedom, np.nan)
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


@implements(np.nanargmax, name="_nanargmax")
def _nanargmax(x, axis=None, keepdims=False):
    return np.argmax(_filled(x, -np.inf), axis=axis, keepdims=keepdims)


@implements(np.nanargmin, name="_nanargmin")
def _nanargmin(x, axis=None, keepdims=False):
    return np.argmin(_filled(x, np.inf), axis=axis, keepdims=keepdims)
