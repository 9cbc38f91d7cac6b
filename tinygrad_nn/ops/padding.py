"""Padding in all of NumPy's modes: with a constant, by what is there, or by what is computed from it."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.operands import as_array
from tinygrad_nn.operation import Traced
from tinygrad_nn.ops.elementwise import astype, where
from tinygrad_nn.ops.linalg import tensordot
from tinygrad_nn.ops.quantiles import median
from tinygrad_nn.ops.reductions import max, mean, min
from tinygrad_nn.ops.shaping import broadcast_to, concatenate, constant_pad, getitem, moveaxis, take
from tinygrad_nn.registry import implements

MOVED = ("edge", "reflect", "symmetric", "wrap")  # modes that repeat elements
COMPUTED = {"maximum": max, "minimum": min, "mean": mean, "median": median}


@implements(np.pad)
def pad(x, pad_width, mode="constant", constant_values=0, end_values=0, stat_length=None, reflect_type="even"):
    """Padded with a constant, by repeating what is there, by a statistic of each line, or by a ramp to `end_values`.

    Modes: constant, edge, reflect, symmetric, wrap, maximum, minimum, mean, median, linear_ramp.
    """
    x = as_array(x)
    if isinstance(pad_width, dict):
        pad_width = _by_axis(pad_width, x.ndim)
    if not x.ndim:
        np.pad(np.zeros(()), pad_width)  # which refuses widths for axes that are not there
        return np.copy(x)
    if mode == "constant":
        return _with_constant(x, pad_width, constant_values)
    if mode in MOVED:
        if reflect_type not in ("even", "odd"):
            raise ValueError(f"reflect_type is {reflect_type!r}; expected 'even' or 'odd'")
        if reflect_type == "odd" and mode in ("reflect", "symmetric"):
            return _turned(x, _for_both_ends(pad_width, x.ndim), mode)
        return take(x, np.pad(np.arange(x.size).reshape(x.shape), pad_width, mode=mode))
    if mode not in COMPUTED and mode != "linear_ramp":
        known = ", ".join(("constant", *MOVED, *COMPUTED, "linear_ramp"))
        hint = "; tn.concatenate joins what you compute yourself" if callable(mode) else ""
        raise ValueError(f"pad: mode {mode!r} is not differentiated; there are {known}{hint}")
    widths, ends, lengths = (_for_both_ends(given, x.ndim) for given in (pad_width, end_values, stat_length))
    for axis in range(x.ndim):
        sides = (_side(x, axis, at, widths[axis][at], mode, ends[axis][at], lengths[axis][at]) for at in (0, 1))
        before, after = sides
        x = concatenate([before, x, after], axis=axis)
    return x


def _by_axis(widths, ndim):
    """The widths of all axes, where those of some are given by their numbers."""
    every = [(0, 0)] * ndim
    for axis, width in widths.items():
        every[axis] = tuple(np.broadcast_to(width, 2).tolist())
    return every


def _with_constant(x, pad_width, constant):
    if not isinstance(constant, Traced):
        return constant_pad(x, pad_width, constant_values=constant)
    value = as_array(constant)
    if value.ndim:
        raise ValueError(f"constant_values has shape {value.shape}; expected a single number of a tensor")
    inside = np.pad(np.ones(x.shape, bool), pad_width)
    return where(inside, constant_pad(x, pad_width), astype(value, x.dtype))


def _turned(x, widths, mode):
    """With what is there, turned around each end by half a circle: along an axis, a matrix says of what it is made."""
    for axis, (before, after) in enumerate(widths):
        n = x.shape[axis]
        parts = np.pad(np.eye(n, dtype=x.dtype), ((before, after), (0, 0)), mode=mode, reflect_type="odd")
        front, back = (
            moveaxis(tensordot(part, x, (1, axis)), 0, axis) for part in (parts[:before], parts[before + n :])
        )
        x = concatenate([front, x, back], axis=axis)
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
