"""Operations that move, copy and join elements, in ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.onnx.batch_size import Dim
from tinygrad_nn.onnx.building import BOOL, INT64, Builder, Expr
from tinygrad_nn.onnx.recording import Step
from tinygrad_nn.ops import shaping

__all__ = ["LOWER", "cut"]

END = np.iinfo(np.int64).max


def _params(s: Step) -> dict[str, Any]:
    return {**s.op.defaults, **s.params}


def _reshaped(b: Builder, s: Step, x: Any) -> Expr:
    return b.reshape(b.operand(x, s.dtype), s.shape)


def _transposed(b: Builder, s: Step, x: Any) -> Expr:
    axes = _params(s)["axes"]
    n = len(x.shape)
    order = [int(a) % n for a in axes] if axes is not None else list(reversed(range(n)))
    return x.apply("Transpose", perm=order) if n else x


def _by_axes(function: Callable) -> Callable:
    """Of a function that only moves axes: their order, of axes of lengths 1, 2, 3 ..."""

    def lower(b: Builder, s: Step, x: Any) -> Expr:
        order = [n - 1 for n in function(np.empty(tuple(range(1, len(x.shape) + 1))), **s.params).shape]
        return x.apply("Transpose", perm=order)

    return lower


def _broadcast(b: Builder, s: Step, x: Any) -> Expr:
    return b.expand(b.operand(x, s.dtype), s.shape)


def _concatenated(b: Builder, s: Step, *arrays: Any) -> Expr:
    axis = int(_params(s)["axis"]) % len(s.shape)
    return b("Concat", *[b.operand(a, s.dtype) for a in arrays], axis=axis, dtype=s.dtype)


def _stacked(b: Builder, s: Step, *arrays: Any) -> Expr:
    axis = int(_params(s)["axis"]) % len(s.shape)
    at = b.constant(np.array([axis], np.int64))
    parts = [b.operand(a, s.dtype).apply("Unsqueeze", at) for a in arrays]
    return b("Concat", *parts, axis=axis, dtype=s.dtype)


def _tiled(b: Builder, s: Step, x: Any) -> Expr:
    reps = _params(s)["reps"]
    reps = list(reps) if isinstance(reps, (tuple, list)) else [reps]
    n = max(len(reps), len(x.shape))
    y = b.reshape(x, (1,) * (n - len(x.shape)) + tuple(x.shape))
    return y.apply("Tile", b.ints([1] * (n - len(reps)) + reps)) if n else y


def cut(b: Builder, x: Expr, axis: int, start: Any, stop: Any, step: int = 1) -> Expr:
    """A slice along one axis; None where Python has none."""
    step = 1 if step is None else step
    start = (0 if step > 0 else END) if start is None else start
    stop = (END if step > 0 else -END) if stop is None else stop
    return x.apply("Slice", b.ints([start]), b.ints([stop]), b.ints([axis]), b.ints([step]))


def _flipped(b: Builder, s: Step, x: Any) -> Expr:
    axis, n = _params(s)["axis"], len(x.shape)
    axes = range(n) if axis is None else [int(a) % n for a in np.atleast_1d(axis)]
    y: Expr = x
    for a in axes:
        y = cut(b, y, a, None, None, -1)
    return y


def _rolled(b: Builder, s: Step, x: Any) -> Expr:
    """The last elements, then the first ones, along each axis: of the flattened array, if none is named."""
    shift, axis = _params(s)["shift"], _params(s)["axis"]
    if axis is None:
        flat = b.reshape(x, (-1,))
        for by in shift if isinstance(shift, tuple) else (shift,):
            flat = _rolled_along(b, flat, 0, by)
        return b.reshape(flat, s.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    axes = axes if len(axes) == len(shifts) else tuple(axes) * len(shifts)
    y: Expr = x
    for by, a in zip(shifts, axes, strict=True):
        y = _rolled_along(b, y, int(a) % len(x.shape), by)
    return y


def _rolled_along(b: Builder, x: Expr, axis: int, by: Any) -> Expr:
    n = b("Gather", x.apply("Shape", dtype=INT64), b.constant(np.array([axis], np.int64)), axis=0)
    n = n.apply("Max", b.constant(np.array([1], np.int64)))
    at = (n - b.ints([by])).apply("Mod", n)
    zero, end, one = (b.constant(np.array([i], np.int64)) for i in (0, END, 1))
    where = b.constant(np.array([axis], np.int64))
    parts = x.apply("Slice", at, end, where, one), x.apply("Slice", zero, at, where, one)
    return b("Concat", *parts, axis=axis)


def _triangle(upper: int) -> Callable:
    def lower(b: Builder, s: Step, x: Any) -> Expr:
        k = b.constant(np.asarray(_params(s)["k"], np.int64))
        kind = INT64 if s.dtype == BOOL or s.dtype.kind in "iu" else s.dtype
        return b.operand(x, kind).apply("Trilu", k, upper=upper).cast(s.dtype)

    return lower


def _padded(b: Builder, s: Step, x: Any) -> Expr:
    params = _params(s)
    pairs, value = params["pad_width"], params["constant_values"]
    if not x.shape:
        return b.operand(x, s.dtype)
    widths = [before for before, _ in pairs] + [after for _, after in pairs]
    if isinstance(value, Dim):
        value = b.number(value, s.dtype)
    else:
        value = b.constant(np.asarray(value).astype(s.dtype).reshape(()))
    kind = s.dtype if s.dtype != BOOL else INT64
    y = b.operand(x, kind).apply("Pad", b.ints(widths), value.cast(kind), mode="constant")
    return y.cast(s.dtype)


LOWER: dict[Any, Callable] = {
    shaping.reshape: _reshaped, shaping.squeeze: _reshaped, shaping.expand_dims: _reshaped,
    shaping.transpose: _transposed, shaping.swapaxes: _by_axes(np.swapaxes), shaping.moveaxis: _by_axes(np.moveaxis),
    shaping.broadcast_to: _broadcast, shaping.concatenate: _concatenated, shaping.stack: _stacked,
    shaping.tile: _tiled, shaping.roll: _rolled, shaping.flip: _flipped, shaping.tril: _triangle(0),
    shaping.triu: _triangle(1), shaping.constant_pad: _padded,
}  # fmt: skip
