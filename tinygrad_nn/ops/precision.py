"""Numbers that fit: half precision by way of single, lengths of very long and short vectors, the dtype asked for."""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_nn.operands import as_array, real_dtype
from tinygrad_nn.ops.elementwise import astype


def single(x):
    """Half precision as single: it ends at 65504, and 1/n with it."""
    return astype(x, np.float32) if x.dtype.char == "e" else x


def converted(arrays, dtype, casting="same_kind"):
    """Arrays in the dtype that NumPy's `dtype=` asks for; TypeError where `casting=` does not allow it."""
    if dtype is None and casting == "same_kind":
        return tuple(arrays)
    arrays = tuple(as_array(a) for a in arrays)
    kind = np.result_type(*(a.dtype for a in arrays)) if dtype is None else real_dtype(dtype)
    for a in arrays:
        if not np.can_cast(a.dtype, kind, casting):
            raise TypeError(
                f"casting={casting!r} allows no {kind} of {a.dtype}: convert it first, as by .astype({kind})"
            )
    return tuple(astype(a, kind) for a in arrays)


def in_single(f):
    """`f`, which computes half precision as single in between, where sums of many elements fit."""

    @functools.wraps(f)
    def wide(x, *args, **params):
        if getattr(x, "dtype", None) != np.float16 or params.get("dtype") is not None:
            return f(x, *args, **params)
        return astype(f(single(x), *args, **params), np.float16)

    return wide


def length(x, ord, axis, keepdims):
    """(Σ|x|^ord)^(1/ord): as it stands where the powers fit, else of x in units of its largest element.

    The squares of 1e20 in float32, or of 1e200 in float64, are infinite, and those of their reciprocals 0.
    """
    with np.errstate(over="ignore", under="ignore"):
        y = _length(x, ord, axis, keepdims)
        if not isinstance(y, (np.ndarray, np.generic)):
            return y
        limits = np.finfo(y.dtype)
        least = np.sqrt(limits.tiny / limits.eps)
        if np.all(np.greater(y, least) & np.less(y, np.inf)):
            return y
        size = np.abs(x)
        unit = np.max(size, axis=axis, keepdims=True, initial=0)
        unit = np.where((unit > 0) & (unit < np.inf), unit, 1)
        y = _length(size / unit, ord, axis, True) * unit
    return y if keepdims else np.reshape(y, _shape_without(y, axis))[()]


def _length(x, ord, axis, keepdims):
    if ord == 2:
        return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))
    return np.sum(np.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)


def _shape_without(x, axis):
    """The shape without axes of length 1 that are summed over."""
    summed = range(x.ndim) if axis is None else [i % x.ndim for i in np.atleast_1d(axis)]
    return tuple(n for i, n in enumerate(x.shape) if i not in summed)
