"""Padding in all of NumPy's modes: with a constant, by what is there, or by what is computed from it."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.quantiles import median
from tinygrad_nn.ops.reductions import max, mean, min
from tinygrad_nn.ops.shaping import broadcast_to, concatenate, constant_pad, getitem, take
from tinygrad_nn.registry import implements

MOVED = ("edge", "reflect", "symmetric", "wrap")  # modes that repeat elements
COMPUTED = {"maximum": max, "minimum": min, "mean": mean, "median": median}


@implements(np.pad)
def pad(x, pad_width, mode="constant", constant_values=0, end_values=0, stat_length=None):
    """Padded with a constant, by repeating what is there, by a statistic of each line, or by a ramp to `end_values`.

    Modes: constant, edge, reflect, symmetric, wrap, maximum, minimum, mean, median, linear_ramp.
    """
    if mode == "constant":
        return constant_pad(x, pad_width, constant_values=constant_values)
    x = as_array(x)
    if mode in MOVED:
        return take(x, np.pad(np.arange(x.size).reshape(x.shape), pad_width, mode=mode))
    if mode not in COMPUTED and mode != "linear_ramp":
        known = ", ".join(("constant", *MOVED, *COMPUTED, "linear_ramp"))
        raise ValueError(f"pad: mode {mode!r} is not differentiated; there are {known}")
    widths, ends, lengths = (_for_both_ends(given, x.ndim) for given in (pad_width, end_values, stat_length))
    for axis in range(x.ndim):
        sides = (_side(x, axis, at, widths[axis][at], mode, ends[axis][at], lengths[axis][at]) for at in (0, 1))
        before, after = sides
        x = concatenate([before, x, after], axis=axis)
    return x


def _for_both_ends(given, ndim):
    """One value for the beginning and one for the end of each axis."""
    return np.broadcast_to(np.asarray(given, dtype=object if given is None else None), (ndim, 2)).tolist()


def _side(x, axis, at, width, mode, end, length):
    """What comes before (`at` 0) or behind an axis."""
    n = x.shape[axis]

    def part(cut):
        return getitem(x, (slice(None),) * axis + (cut,))

    if mode == "linear_ramp":
        ramp = np.arange(width) / (width or 1)
        ramp = (ramp if at == 0 else ramp[::-1]).reshape((-1,) + (1,) * (x.ndim - 1 - axis)).astype(x.dtype)
        edge = part(slice(0, 1) if at == 0 else slice(n - 1, n))
        return end + (edge - end) * ramp
    length = n if length is None or length > n else length
    value = COMPUTED[mode](part(slice(0, length) if at == 0 else slice(n - length, n)), axis=axis, keepdims=True)
    return broadcast_to(value, x.shape[:axis] + (width,) + x.shape[axis + 1 :])
