"""What goes along an axis, in ONNX: running sums and extremes, recurrences, sorted places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper

from tinygrad_nn.onnx.building import INT64, Builder, Expr, work
from tinygrad_nn.onnx.lowering.elementwise import is_nan
from tinygrad_nn.onnx.recording import Step
from tinygrad_nn.ops import reductions as re
from tinygrad_nn.ops import scatter, sorting

__all__ = ["LOWER", "REFUSED"]


def _along(b: Builder, s: Step, x: Any) -> tuple[Expr, int]:
    """The operand in the dtype of the result, flattened if there is no axis, and the axis."""
    axis = {**s.op.defaults, **s.params}["axis"]
    y = b.operand(x, work(s.dtype))
    if axis is None or not x.shape:
        return b.reshape(y, (-1,)), 0
    y.shape = x.shape
    return y, int(axis) % len(x.shape)


def _cumsum(b: Builder, s: Step, x: Any) -> Expr:
    y, axis = _along(b, s, x)
    return b("CumSum", y, b.constant(np.asarray(axis, np.int64))).cast(s.dtype)


def scan(b: Builder, axis: int, start: Expr, step: Callable, *arrays: Expr) -> Expr:
    """yᵢ = step(yᵢ₋₁, parts of the arrays at i) along an axis, from y₋₁ = start.

    The axis is moved to the front, as `onnx.reference` scans no other.
    """
    order = [axis, *(i for i in range(len(arrays[0].shape or ())) if i != axis)]
    parts_first = [a.apply("Transpose", perm=order) for a in arrays] if axis else list(arrays)
    inner = Builder(None)
    inner.taken, names = b.taken, [b.unique("carry"), *(b.unique("part") for _ in arrays)]
    kind = helper.np_dtype_to_tensor_dtype(start.dtype)
    carry, *parts = (Expr(inner, name, start.dtype) for name in names)
    y = step(carry, *parts)
    kept, out = y.apply("Identity"), y.apply("Identity")
    rank = len(arrays[0].shape or ()) - 1
    body = helper.make_graph(
        inner.nodes,
        b.unique("scan_body"),
        [helper.make_tensor_value_info(name, kind, [None] * rank) for name in names],
        [helper.make_tensor_value_info(x.name, kind, [None] * rank) for x in (kept, out)],
        inner.initializers,
    )
    _, found = b("Scan", start, *parts_first, outputs=2, body=body, num_scan_inputs=len(arrays))
    if axis:
        found = found.apply("Transpose", perm=[order.index(i) for i in range(len(order))])
    found.shape = arrays[0].shape
    return found


def _front(b: Builder, x: Expr, axis: int, fill: float) -> Expr:
    """An array like the parts of x along an axis, of one number."""
    first = x.apply("Shape", dtype=INT64)
    rank = len(x.shape or ())
    others = b.constant(np.array([i for i in range(rank) if i != axis], np.int64))
    shape = b("Gather", first, others, axis=0)
    return b("Expand", b.constant(np.asarray(fill, x.dtype)), shape)


def _cumprod(b: Builder, s: Step, x: Any) -> Expr:
    y, axis = _along(b, s, x)
    return scan(b, axis, _front(b, y, axis, 1), lambda carry, part: carry * part, y).cast(s.dtype)


def _recurrence(b: Builder, s: Step, source: Any, factor: Any) -> Expr:
    kind, axis = work(s.dtype), int({**s.op.defaults, **s.params}["axis"])
    parts = [b.operand(x, kind) for x in (source, factor)]
    for part in parts:
        part.shape = s.shape
    parts = [b.expand(part, s.shape) for part in parts]
    axis %= len(s.shape)
    return scan(b, axis, _front(b, parts[0], axis, 0), lambda carry, c, a: c + a * carry, *parts).cast(s.dtype)


def _running(step: Callable, fill: float) -> Callable:
    def lower(b: Builder, s: Step, x: Any) -> Expr:
        y, axis = _along(b, s, x)
        low = fill if y.dtype.kind == "f" else np.iinfo(np.int64).min if fill < 0 else np.iinfo(np.int64).max
        return scan(b, axis, _front(b, y, axis, low), step, y).cast(s.dtype)

    return lower


def _larger(carry: Expr, part: Expr) -> Expr:
    return carry.apply("Max", part)


def _smaller(carry: Expr, part: Expr) -> Expr:
    return carry.apply("Min", part)


def _log_of_both(carry: Expr, part: Expr) -> Expr:
    """log(exp(a) + exp(b)), where the smaller one is at most 1 part of it."""
    top, low = carry.apply("Max", part), carry.apply("Min", part)
    apart = top.equals(low).then(0.0, low - top)
    return top + (apart.apply("Exp") + 1.0).apply("Log")


# --- in order --------------------------------------------------------------------------------------------------------


def _sortable(b: Builder, x: Any) -> Expr:
    return b.operand(x, INT64 if x.dtype.kind != "f" else work(x.dtype))


def _argsort(b: Builder, s: Step, x: Any) -> Expr:
    """Places in increasing order: NaN last, ties in their order."""
    axis = {**s.op.defaults, **s.params}["axis"]
    y = _sortable(b, x)
    if axis is None or not x.shape:
        y, axis = b.reshape(y, (-1,)), -1
    at = int(axis) % max(len(x.shape), 1) if axis != -1 else -1
    n = b("Gather", y.apply("Shape", dtype=INT64), b.constant(np.array([at], np.int64)), axis=0)
    order = _smallest(b, y, n, at)
    return (b.reshape(order, ()) if not x.shape and not s.shape else order).cast(s.dtype)


def _places(b: Builder, y: Expr, n: Expr, axis: int, largest: int) -> Expr:
    """Of equal elements the first comes first."""
    _, places = b("TopK", y, n, outputs=2, axis=axis, largest=largest, sorted=1)
    return Expr(b, places.name, INT64)


def _smallest(b: Builder, y: Expr, n: Expr, axis: int, largest: int = 0) -> Expr:
    if y.dtype.kind != "f":
        return _places(b, y, n, axis, largest)
    nan = is_nan(y)  # by its place behind infinity: an order of numbers, and then one by whether they are numbers
    finite = nan.then(float("inf"), y)
    every = b("Gather", y.apply("Shape", dtype=INT64), b.constant(np.array([axis], np.int64)), axis=0)
    first = _places(b, finite, every, axis, largest)
    late = b("GatherElements", nan.cast(np.float32), first, axis=axis)
    second = _places(b, late, n, axis, largest)
    return b("GatherElements", first, second, axis=axis, dtype=INT64)


def _largest(b: Builder, s: Step, x: Any) -> Expr:
    params = {**s.op.defaults, **s.params}
    axis = int(params["axis"]) % len(x.shape)
    order = _smallest(b, _sortable(b, x), b.ints([params["k"]]), axis, largest=int(bool(params["largest"])))
    return order.cast(s.dtype)


def _searchsorted(b: Builder, s: Step, x: Any, v: Any) -> Expr:
    """How many of the sorted elements come before each of v; NaN comes last."""
    together = work(np.result_type(x.dtype, v.dtype))
    x, v = b.operand(x, together), b.operand(v, together)
    column = v.apply("Unsqueeze", b.constant(np.array([-1], np.int64)))
    before = x < column if s.params["side"] == "left" else x <= column
    if together.kind == "f":
        before = before | (is_nan(column) & (~is_nan(x) if s.params["side"] == "left" else x.equals(x) | is_nan(x)))
    counts = b("ReduceSum", before.cast(INT64), b.constant(np.array([-1], np.int64)), keepdims=0)
    return counts.cast(s.dtype)


LOWER: dict[Any, Callable] = {
    re.cumsum: _cumsum, re.cumprod: _cumprod, re.linear_scan: _recurrence,
    scatter.cummax: _running(_larger, -np.inf), scatter.cummin: _running(_smaller, np.inf),
    scatter.logcumsumexp: _running(_log_of_both, -np.inf), sorting.argsort: _argsort,
    scatter.largest_places: _largest, sorting.searchsorted: _searchsorted,
}  # fmt: skip
REFUSED: dict[Any, str] = {
    sorting.argpartition: "the order of the other elements is whatever NumPy's algorithm leaves; tn.sort and "
    "tn.argsort give one that is the same everywhere",
}
