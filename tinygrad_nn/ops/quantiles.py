"""Quantiles and medians, of all elements and of those that are no NaN: sorted elements, and what lies between two."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_nn.operands import as_array
from tinygrad_nn.operation import Traced, value_of
from tinygrad_nn.ops.arithmetic import as_floats
from tinygrad_nn.ops.axes import axes_of
from tinygrad_nn.ops.elementwise import astype, where
from tinygrad_nn.ops.reductions import mean
from tinygrad_nn.ops.shaping import expand_dims, getitem, moveaxis, reshape, take
from tinygrad_nn.ops.sorting import sort, take_along_axis
from tinygrad_nn.registry import implements

# --- what goes into a quantile ----------------------------------------------------------------------------------------


def rows_of(x, axis):
    """x with the axes of a reduction as one last axis, and its shape with these axes of length 1."""
    axes = axes_of(axis, x)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    n = math.prod(x.shape[i] for i in axes)
    x = moveaxis(x, axes, tuple(range(-len(axes), 0))) if axes else expand_dims(x, -1)
    return reshape(x, (*x.shape[: x.ndim - max(len(axes), 1)], n)), kept


def _shares(q, whole, dtype):
    """The shares of quantiles, which decide between elements: plain numbers, and the dtype of what they decide.

    As everywhere, a Python number does not widen it.
    """
    if isinstance(q, Traced) and q.tracked:
        raise TypeError("there is no gradient with respect to the share q: pass q.detach()")
    q, weak = value_of(q), type(q) in (int, float)
    given = as_array(q)
    if not np.all((given >= 0) & (given <= whole)):
        raise ValueError(f"q={given.tolist()}; expected shares from 0 to {whole}")
    shares = given if whole == 1 else np.asarray(np.true_divide(q, dtype.type(whole) if dtype.kind == "f" else whole))
    return shares, dtype if weak or dtype.kind != "f" else np.result_type(dtype, shares.dtype)


def _between(pick, below, above, weight, dtype):
    """What lies between two of the sorted elements that `pick` gives, counted from the nearer one as NumPy counts.

    A share that falls on an element gives this element, also where the next one is infinite.
    """
    exact, near = weight == 0, weight < 0.5
    gap = where(exact, 0.0, pick(above)) - where(exact, 0.0, pick(below))
    return pick(np.where(near, below, above)) + gap * astype(np.where(near, weight, weight - 1), dtype)


def _shaped(parts, shares, kept):
    """Parts, of all shares along the last axis, in the shape of a result: the shares first."""
    return reshape(moveaxis(parts, -1, 0), shares + kept)


# --- of all elements -------------------------------------------------------------------------------------------------


@implements(np.quantile)
def quantile(x, q, axis=None, method="linear", keepdims=False, *, out=None, overwrite_input=False, weights=None):
    """The element below which a share `q` of the elements lies, by any of NumPy's methods; q may be a vector of shares.

    A gradient goes to the one or two elements that it was made of.  NaN where there is a NaN.

    >>> import numpy as np, tinygrad_nn as tn
    >>> x = tn.tensor([4.0, 1.0, 2.0], requires_grad=True)
    >>> tn.quantile(x, 0.75).backward(); x.grad
    array([0.5, 0. , 0.5])
    """
    return _quantile(x, q, 1, axis, method, keepdims, out, weights)


@implements(np.percentile)
def percentile(x, q, axis=None, method="linear", keepdims=False, *, out=None, overwrite_input=False, weights=None):
    """The quantile of a share of q per cent."""
    return _quantile(x, q, 100, axis, method, keepdims, out, weights)


def _quantile(x, q, whole, axis, method, keepdims, out, weights):
    if out is not None or weights is not None:
        raise TypeError("it takes neither out= nor weights= here: the result is a new array, all weigh the same")
    x = as_array(x)
    rows, kept = rows_of(x, axis)
    shares, dtype = _shares(q, whole, x.dtype)
    rows, n = sort(rows), rows.shape[-1]
    exact = method == "linear" and n > 0
    places = np.ravel((n - 1) * shares if exact else np.quantile(np.arange(n), shares, method=method))  # among these
    if places.dtype.kind == "i":  # a method that takes one of the elements
        parts = take(rows, places, axis=-1)
    else:
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
        below, above = (end(places).astype(np.intp) for end in (np.floor, np.ceil))
        parts = _between(lambda i: take(rows, i, axis=-1), below, above, places - below, dtype)
    if rows.dtype.kind == "f":
        top = rows[..., -1:]
        parts = where(np.isnan(top), top, parts)
    return _shaped(parts, shares.shape, kept if keepdims else rows.shape[:-1])


@implements(np.median)
def median(x, axis=None, keepdims=False, *, out=None, overwrite_input=False):
    """The middle element, or the mean of the two in the middle, which share the gradient."""
    if out is not None:
        raise TypeError("it does not take out=: the result is a new array")
    x = as_array(x)
    rows, kept = rows_of(x, axis)
    rows, n = sort(rows), rows.shape[-1]
    if not n:
        return mean(x, axis=axis, keepdims=keepdims)  # NaN, as NumPy's
    y = mean(getitem(rows, (Ellipsis, slice((n - 1) // 2, n // 2 + 1))), axis=-1)
    top = rows[..., -1]  # of the sorted ones NaN come last
    y = where(np.isnan(top), top, y) if x.dtype.kind == "f" else y
    return reshape(y, kept) if keepdims else y


# --- of those that are no NaN ----------------------------------------------------------------------------------------


@implements(np.nanquantile)
def nanquantile(x, q, axis=None, method="linear", keepdims=False):
    """The element below which a share `q` of those lies that are no NaN, or between two of them (method "linear")."""
    return _nanquantile(x, q, 1, axis, method, keepdims)


@implements(np.nanpercentile)
def nanpercentile(x, q, axis=None, method="linear", keepdims=False):
    """The quantile of a share of q per cent of the elements that are no NaN."""
    return _nanquantile(x, q, 100, axis, method, keepdims)


def _nanquantile(x, q, whole, axis, method, keepdims):
    if method != "linear":
        raise ValueError(f"method {method!r} is not here; take 'linear'")
    x = as_floats(x)
    shares, dtype = _shares(q, whole, x.dtype)
    if not x.size:
        return mean(x, axis=axis, keepdims=keepdims)  # NaN, as NumPy's
    rows, last, kept = _known(x, axis)
    places = last * np.ravel(shares)
    below = np.floor(places)
    parts = _between(lambda i: _at(rows, i), below, np.ceil(places), places - below, dtype)
    return _shaped(parts, shares.shape, kept if keepdims else rows.shape[:-1])


@implements(np.nanmedian)
def nanmedian(x, axis=None, keepdims=False):
    """The middle one of the elements that are no NaN, or the mean of the two in the middle."""
    x = as_floats(x)
    if not x.size:
        return mean(x, axis=axis, keepdims=keepdims)
    rows, last, kept = _known(x, axis)
    y = 0.5 * _at(rows, np.floor(last / 2)) + 0.5 * _at(rows, np.ceil(last / 2))
    return reshape(y, kept if keepdims else rows.shape[:-1])


def _known(x, axis):
    """The sorted rows, and of each the place of the last element that is no NaN."""
    rows, kept = rows_of(x, axis)
    rows = sort(rows)
    known = np.sum(astype(np.logical_not(np.isnan(rows)), np.float64), axis=-1, keepdims=True)
    return rows, np.maximum(known - 1, 0.0), kept


def _at(rows, places):
    return take_along_axis(rows, astype(places, np.intp), axis=-1)
