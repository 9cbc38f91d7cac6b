"""Half precision by way of single: sums over many elements, and what divides by their number, fit in between."""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_nn.ops.elementwise import astype


def single(x):
    """Half precision as single: it ends at 65504, and 1/n with it."""
    return astype(x, np.float32) if x.dtype.char == "e" else x


def in_single(f):
    """`f`, which computes half precision as single in between, where sums of many elements fit."""

    @functools.wraps(f)
    def wide(x, *args, **params):
        if getattr(x, "dtype", None) != np.float16 or params.get("dtype") is not None:
            return f(x, *args, **params)
        return astype(f(single(x), *args, **params), np.float16)

    return wide
