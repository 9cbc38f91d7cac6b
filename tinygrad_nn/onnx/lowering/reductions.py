"""Sums, extremes and what is made of them, in ONNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.onnx.building import BOOL, INT64, Builder, Expr, work
from tinygrad_nn.onnx.lowering.elementwise import is_nan, truth
from tinygrad_nn.onnx.recording import Step
from tinygrad_nn.ops import reductions as re

__all__ = ["LOWER", "axes_of", "reduced"]


def axes_of(s: Step, x: Expr, axis: Any) -> tuple[int, ...]:
    """The axes of a reduction, counted from 0."""
    n = len(x.shape or ())
    if axis is None:
        return tuple(range(n))
    return tuple(int(i) % n for i in np.atleast_1d(axis)) if n else ()


def reduced(b: Builder, kind: str, x: Expr, axes: Sequence[int], keepdims: bool) -> Expr:
    """Over these axes; over none it is the value itself."""
    if not axes:
        return x
    y = b(kind, x, b.constant(np.array(axes, np.int64)), keepdims=int(keepdims))
    shape = x.shape or ()
    y.shape = tuple(1 if i in axes else n for i, n in enumerate(shape) if keepdims or i not in axes)
    return y


def over(function: Callable) -> Callable:
    """A reduction in the dtype of the result: (builder, x, axes, keepdims, further params) -> Expr."""

    def lower(b: Builder, s: Step, x: Any) -> Expr:
        params = {**s.op.defaults, **s.params}
        kind = work(s.dtype)
        y = b.operand(x, kind)
        y.shape = x.shape
        axes = axes_of(s, x, params.pop("axis"))
        return function(b, y, axes, bool(params.pop("keepdims", False)), **params).cast(s.dtype)

    return lower


def _extreme(kind: str) -> Callable:
    """With NaN where there is one, which some runtimes leave out."""

    def lower(b: Builder, s: Step, x: Any) -> Expr:
        params = {**s.op.defaults, **s.params}
        axes, keep = axes_of(s, x, params["axis"]), bool(params["keepdims"])
        y = b.operand(x, INT64 if s.dtype == BOOL else work(s.dtype))
        y.shape = x.shape
        found = reduced(b, kind, y, axes, keep)
        if y.dtype.kind == "f" and axes:
            found = _any_nan(b, y, axes, keep).then(float("nan"), found)
        return found.cast(s.dtype)

    return lower


def _any_nan(b: Builder, x: Expr, axes: Sequence[int], keep: bool) -> Expr:
    nans = is_nan(x).cast(np.float32)
    nans.shape = x.shape
    return reduced(b, "ReduceSum", nans, axes, keep) > 0.0


def _count(b: Builder, x: Expr, axes: Sequence[int]) -> Expr:
    return b.size(x, axes, x.dtype) if axes else b.constant(np.asarray(1, x.dtype))


def _variance(b: Builder, x: Expr, axes: Sequence[int], keep: bool, ddof: float = 0) -> Expr:
    deviation = x - reduced(b, "ReduceMean", x, axes, True)
    deviation.shape = x.shape
    squares = deviation * deviation
    squares.shape = x.shape
    free = (_count(b, x, axes) - float(ddof)).apply("Max", b.constant(np.asarray(0, x.dtype)))
    return reduced(b, "ReduceSum", squares, axes, keep) / free


def _deviation(b: Builder, x: Expr, axes: Sequence[int], keep: bool, ddof: float = 0) -> Expr:
    """0 of equal elements, as the mean may be off by a rounding."""
    y = _variance(b, x, axes, keep, ddof).apply("Sqrt")
    alike = reduced(b, "ReduceMax", x, axes, keep).equals(reduced(b, "ReduceMin", x, axes, keep))
    return (alike & y.equals(y)).then(0.0, y)


def _norm(b: Builder, x: Expr, axes: Sequence[int], keep: bool, **how: float) -> Expr:
    """In units of the largest element, so that no power overflows."""
    order = how.get("ord", 2)
    size = x.apply("Abs")
    size.shape = x.shape
    if order == 0:
        counts = (~x.equals(0.0)).cast(x.dtype)
        counts.shape = x.shape
        return reduced(b, "ReduceSum", counts, axes, keep)
    if order == 1:
        return reduced(b, "ReduceSum", size, axes, keep)
    if np.isinf(order):
        y = reduced(b, "ReduceMax" if order > 0 else "ReduceMin", size, axes, keep)
        return _any_nan(b, x, axes, keep).then(float("nan"), y) if axes else y
    top = reduced(b, "ReduceMax", size, axes, True)
    unit = ((top > 0.0) & ~top.apply("IsInf", dtype=BOOL)).then(top, 1.0)
    unit.shape = top.shape
    shares = size / unit
    powers = shares * shares if order == 2 else shares.apply("Pow", b.constant(np.asarray(order, x.dtype)))
    powers.shape = x.shape
    total = reduced(b, "ReduceSum", powers, axes, True)
    y = total.apply("Sqrt") if order == 2 else total.apply("Pow", b.constant(np.asarray(1 / order, x.dtype)))
    y = y * unit
    y.shape = total.shape
    return y if keep or not axes else y.apply("Squeeze", b.constant(np.array(axes, np.int64)))


def _question(every: bool) -> Callable:
    def lower(b: Builder, s: Step, x: Any) -> Expr:
        params = {**s.op.defaults, **s.params}
        found = truth(b, x)
        found = (~found if every else found).cast(np.float32)
        found.shape = x.shape
        total = reduced(b, "ReduceSum", found, axes_of(s, x, params["axis"]), bool(params["keepdims"]))
        return total.equals(0.0) if every else total > 0.0

    return lower


def _place(kind: str) -> Callable:
    """The first place of the largest or smallest element; of NaN, which counts as either, if there is one."""

    def lower(b: Builder, s: Step, x: Any) -> Expr:
        params = {**s.op.defaults, **s.params}
        axis, keep = params["axis"], bool(params["keepdims"])
        y = b.operand(x, INT64 if x.dtype.kind != "f" else work(x.dtype))
        y = b.reshape(y, (-1,)) if axis is None else y
        at = 0 if axis is None else int(axis) % max(len(x.shape), 1)
        if not x.shape:
            y, at = b.reshape(y, (1,)), 0
        found = b(kind, y, axis=at, keepdims=int(keep and axis is not None), dtype=INT64)
        if y.dtype.kind == "f":
            nans = is_nan(y).cast(np.float32)
            here = b("ReduceMax", nans, b.constant(np.array([at])), keepdims=int(keep and axis is not None)) > 0.0
            first = b("ArgMax", nans, axis=at, keepdims=int(keep and axis is not None), dtype=INT64)
            found = here.then(first, found)
        if not x.shape or (keep and axis is None):
            found = b.reshape(found, (1,) * len(s.shape))
        return found.cast(s.dtype)

    return lower


def _softmax(kind: str) -> Callable:
    """One node, or written out where it is over several axes."""

    def lower(b: Builder, s: Step, x: Any) -> Expr:
        axis = {**s.op.defaults, **s.params}["axis"]
        y = b.operand(x, work(s.dtype))
        y.shape = x.shape
        if x.shape and isinstance(axis, (int, np.integer)):
            return y.apply(kind, axis=int(axis) % len(x.shape)).cast(s.dtype)
        axes = axes_of(s, x, axis)
        shifted = y - reduced(b, "ReduceMax", y, axes, True)
        e = shifted.apply("Exp")
        e.shape = x.shape
        total = reduced(b, "ReduceSum", e, axes, True)
        return (e / total if kind == "Softmax" else shifted - total.apply("Log")).cast(s.dtype)

    return lower


def _simple(kind: str) -> Callable:
    return over(lambda b, x, axes, keep: reduced(b, kind, x, axes, keep))


LOWER: dict[Any, Callable] = {
    re.sum: _simple("ReduceSum"), re.mean: _simple("ReduceMean"), re.prod: _simple("ReduceProd"),
    re.max: _extreme("ReduceMax"), re.min: _extreme("ReduceMin"), re.var: over(_variance), re.std: over(_deviation),
    re.vector_norm: over(_norm), re.any: _question(False), re.all: _question(True), re.argmax: _place("ArgMax"),
    re.argmin: _place("ArgMin"), re.softmax: _softmax("Softmax"), re.log_softmax: _softmax("LogSoftmax"),
}  # fmt: skip
