"""Half precision by way of single, in which sums over many elements fit; and the dtype that a call asks for."""

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
