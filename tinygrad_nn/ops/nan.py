"""Reductions that leave NaN out: composed of those that do not, with NaN replaced by what does not count."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.arithmetic import as_floats
from tinygrad_nn.ops.elementwise import where as where_
from tinygrad_nn.ops.reductions import cumprod, cumsum, max, mean, min, prod, sum, var
from tinygrad_nn.registry import implements


def _filled(x, value):
    """x with `value` in the place of NaN; whole numbers have none."""
    x = as_array(x)
    if x.dtype.kind != "f":
        return x
    return where_(np.isnan(x), value, x)


@implements(np.nan_to_num)
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """NaN replaced by 0, infinities by the largest and smallest number of the dtype, or by what is given.

    What is replaced gets an exact zero gradient.
    """
    x = as_array(x)
    if x.dtype.kind != "f":
        return x
    limits = np.finfo(x.dtype)
    y = where_(np.isnan(x), nan, x)
    y = where_(np.isposinf(x), float(limits.max) if posinf is None else posinf, y)
    return where_(np.isneginf(x), float(limits.min) if neginf is None else neginf, y)


def _numbers(x, where):
    """Which elements count."""
    found = np.logical_not(np.isnan(x))
    return found if where is True else np.logical_and(where, found)


@implements(np.nansum)
def nansum(x, axis=None, keepdims=False, *, dtype=None, initial=0, where=True):
    """Sum of the elements that are no NaN."""
    return sum(x, axis=axis, dtype=dtype, keepdims=keepdims, initial=initial, where=_numbers(x, where))


@implements(np.nanprod)
def nanprod(x, axis=None, keepdims=False, *, dtype=None, initial=1, where=True):
    """Product of the elements that are no NaN."""
    return prod(x, axis=axis, dtype=dtype, keepdims=keepdims, initial=initial, where=_numbers(x, where))


@implements(np.nancumsum)
def nancumsum(x, axis=None, dtype=None):
    """Running sum that leaves NaN out."""
    return cumsum(_filled(x, 0.0), axis=axis, dtype=dtype)


@implements(np.nancumprod)
def nancumprod(x, axis=None, dtype=None):
    """Running product that leaves NaN out."""
    return cumprod(_filled(x, 1.0), axis=axis, dtype=dtype)


@implements(np.nanmean)
def nanmean(x, axis=None, keepdims=False, *, dtype=None, where=True):
    """Mean of the elements that are no NaN."""
    if dtype is not None and np.dtype(dtype).kind not in "fc":
        raise TypeError(f"dtype is {np.dtype(dtype)}; a mean is a floating-point number")
    return mean(as_floats(x), axis=axis, dtype=dtype, keepdims=keepdims, where=_numbers(x, where))


@implements(np.nanvar)
def nanvar(x, axis=None, ddof=0, keepdims=False, *, dtype=None, where=True, mean=None, correction=None):
    """Variance of the elements that are no NaN, divided by their count less ddof; NaN where that is not above 0."""
    if correction is not None and ddof:
        raise ValueError(f"ddof is {ddof} and correction is {correction}: give one of them, as both say the same")
    ddof, counts = ddof if correction is None else correction, _numbers(x, where)
    y = var(as_floats(x), axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, mean=mean, where=counts)
    count = np.sum(np.broadcast_to(counts, np.shape(x)), axis=axis, keepdims=keepdims)
    return where_(count > ddof, y, np.nan)


@implements(np.nanstd)
def nanstd(x, axis=None, ddof=0, keepdims=False, *, dtype=None, where=True, mean=None, correction=None):
    """Standard deviation of the elements that are no NaN; of equal ones the gradient is 0."""
    y = nanvar(x, axis, ddof, keepdims, dtype=dtype, where=where, mean=mean, correction=correction)
    return where_(y == 0, 0.0, np.sqrt(y))


def _extreme(reduction, beyond):
    """The largest or smallest element that counts; NaN where there is nothing else."""

    def of(x, axis=None, keepdims=False, initial=None, where=True):
        if where is not True and initial is None:
            raise ValueError("where= needs initial=, the result where no element counts")
        if initial is not None:
            return reduction(_filled(x, beyond), axis=axis, keepdims=keepdims, initial=initial, where=where)
        y = reduction(_filled(x, beyond), axis=axis, keepdims=keepdims)
        if y.dtype.kind != "f":
            return y
        return where_(np.all(np.isnan(x), axis=axis, keepdims=keepdims), np.nan, y)

    return of


_largest, _smallest = _extreme(max, -np.inf), _extreme(min, np.inf)


@implements(np.nanmax)
def nanmax(x, axis=None, keepdims=False, initial=None, where=True):
    """Largest element that is no NaN; ties share the gradient equally."""
    return _largest(x, axis, keepdims, initial, where)


@implements(np.nanmin)
def nanmin(x, axis=None, keepdims=False, initial=None, where=True):
    """Smallest element that is no NaN; ties share the gradient equally."""
    return _smallest(x, axis, keepdims, initial, where)


@implements(np.nanargmax, name="_nanargmax")
def _nanargmax(x, axis=None, keepdims=False):
    return np.argmax(_filled(x, -np.inf), axis=axis, keepdims=keepdims)


@implements(np.nanargmin, name="_nanargmin")
def _nanargmin(x, axis=None, keepdims=False):
    return np.argmin(_filled(x, np.inf), axis=axis, keepdims=keepdims)
