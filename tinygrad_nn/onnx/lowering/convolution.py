"""Convolutions in ONNX: its own in single precision; by windows and a matrix product in double, which runtimes lack."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.errors import ExportError
from tinygrad_nn.onnx.batch_size import Dim, Pattern
from tinygrad_nn.onnx.building import Builder, Expr, work
from tinygrad_nn.onnx.lowering.places import product, scattered, zeros
from tinygrad_nn.onnx.lowering.shaping import cut
from tinygrad_nn.onnx.recording import Step
from tinygrad_nn.ops import convolution as cv

__all__ = ["LOWER"]


def _product(shape: Sequence[Any]) -> Any:
    n = product(shape)
    if n is None:
        raise ExportError("both the number of examples and that of windows follow the batch size")
    return n


def _windows_of(n: Any, size: int, stride: int, dilation: int) -> Any:
    """How many windows there are along an axis."""
    extent = dilation * (size - 1) + 1
    if isinstance(n, Dim):
        if stride != 1:
            raise ExportError("windows in steps along an axis that follows the batch size")
        return Dim(n.scale, n.offset - extent + 1)
    return (n - extent) // stride + 1


def _places(shape: Sequence[Any], size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Pattern:
    """Where each element of the windows of (N, C, *space) is: (C, *size, N, *windows)."""
    steps = [1]
    for n in reversed(shape[1:]):
        if isinstance(n, Dim):
            raise ExportError("windows of an array whose places follow the batch size: batch_axis=0 is the examples'")
        steps.insert(0, steps[0] * n)
    found = [_windows_of(*how) for how in zip(shape[2:], size, stride, dilation, strict=True)]
    inner = [s * d for s, d in zip(steps[2:], dilation, strict=True)]
    outer = [s * d for s, d in zip(steps[2:], stride, strict=True)]
    every = (shape[1], *size, shape[0], *found)
    return Pattern(every, 0, (steps[1], *inner, steps[0], *outer), np.dtype(np.int64))


def _windows(b: Builder, x: Expr, shape: Sequence[Any], *how: Sequence[int]) -> tuple[Expr, tuple[Any, ...]]:
    places = _places(shape, *how)
    return b("Gather", b.reshape(x, (-1,)), b.pattern(places), axis=0), places.shape


def _add_windows(b: Builder, x: Expr, target: Sequence[Any], *how: Sequence[int]) -> Expr:
    places = b.pattern(_places(target, *how))
    return scattered(b, zeros(b, target, x.dtype), places, x, target, "add")


def _pad(b: Builder, x: Expr, padding: Any) -> Expr:
    if not any(map(any, padding)):
        return x
    pairs = ((0, 0), (0, 0), *padding)
    widths = b.ints([before for before, _ in pairs] + [after for _, after in pairs])
    return x.apply("Pad", widths, b.constant(np.asarray(0, x.dtype)), mode="constant")


def _padded(shape: Sequence[Any], padding: Any) -> tuple[Any, ...]:
    return (*shape[:2], *(n + sum(p) if any(p) else n for n, p in zip(shape[2:], padding, strict=True)))


def _swapped(x: Expr, rank: int) -> Expr:
    return x.apply("Transpose", perm=[1, 0, *range(2, rank)])


def _in_front(b: Builder, v: Expr, shape: Sequence[Any], groups: int) -> Expr:
    """(N, O, *places) as (groups, O/groups, N · places)."""
    columns = _product((shape[0], *shape[2:]))
    return b.reshape(_swapped(v, len(shape)), (groups, shape[1] // groups, columns))


def _attributes(p: dict[str, Any]) -> dict[str, Any]:
    pads = [before for before, _ in p["padding"]] + [after for _, after in p["padding"]]
    return {"strides": list(p["stride"]), "dilations": list(p["dilation"]), "group": p["groups"], "pads": pads}


def _how(p: dict[str, Any], size: Sequence[int]) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    return size, p["stride"], p["dilation"]


def _convolution(b: Builder, s: Step, x: Any, weight: Any) -> Expr:
    p, kind = {**s.op.defaults, **s.params}, work(s.dtype)
    size, groups = weight.shape[2:], p["groups"]
    shape = x.shape
    x, w = b.operand(x, kind), b.operand(weight, kind)
    if kind == np.float32:
        return b("Conv", x, w, kernel_shape=list(size), **_attributes(p)).cast(s.dtype)
    columns, found = _windows(b, _pad(b, x, p["padding"]), _padded(shape, p["padding"]), *_how(p, size))
    n = 1 + len(size)
    rows = math.prod(found[:n])
    matrix = b.reshape(columns, (groups, rows // groups, _product(found[n:])))
    y = b.reshape(w, (groups, weight.shape[0] // groups, rows // groups)).apply("MatMul", matrix)
    return _swapped(b.reshape(y, (weight.shape[0], *found[n:])), len(shape)).cast(s.dtype)


def _image(b: Builder, s: Step, v: Any, weight: Any) -> Expr:
    p, kind = {**s.op.defaults, **s.params}, work(s.dtype)
    size, groups, shape, target = weight.shape[2:], p["groups"], v.shape, s.shape
    v, w = b.operand(v, kind), b.operand(weight, kind)
    rest = [n - ((m - 1) * st + d * (k - 1) + 1 - sum(pad)) for n, m, st, d, k, pad in
            zip(target[2:], shape[2:], p["stride"], p["dilation"], size, p["padding"], strict=True)]  # fmt: skip
    if kind == np.float32 and groups == 1 and all(0 <= r < max(st, d) for r, st, d in
                                  zip(rest, p["stride"], p["dilation"], strict=True)):  # fmt: skip
        y = b("ConvTranspose", v, w, kernel_shape=list(size), output_padding=rest, **_attributes(p))
        return y.cast(s.dtype)
    rows = weight.shape[1] * math.prod(size)
    kernels = b.reshape(w, (groups, weight.shape[0] // groups, rows)).apply("Transpose", perm=[0, 2, 1])
    columns = b.reshape(
        kernels.apply("MatMul", _in_front(b, v, shape, groups)), (target[1], *size, shape[0], *shape[2:])
    )
    y = _add_windows(b, columns, _padded(target, p["padding"]), *_how(p, size))
    for axis, (n, (before, _)) in enumerate(zip(target[2:], p["padding"], strict=True), 2):
        y = cut(b, y, axis, before, before + n)
    return y.cast(s.dtype)


def _kernel(b: Builder, s: Step, v: Any, x: Any) -> Expr:
    p, kind = {**s.op.defaults, **s.params}, work(s.dtype)
    shape, groups = x.shape, p["groups"]
    image = _pad(b, b.operand(x, kind), p["padding"])
    columns, found = _windows(b, image, _padded(shape, p["padding"]), *_how(p, s.shape[2:]))
    n = len(shape) - 1
    matrix = b.reshape(columns, (groups, math.prod(found[:n]) // groups, _product(found[n:])))
    back = _in_front(b, b.operand(v, kind), v.shape, groups)
    return b.reshape(back.apply("MatMul", matrix.apply("Transpose", perm=[0, 2, 1])), s.shape).cast(s.dtype)


def _view(b: Builder, s: Step, x: Any) -> Expr:
    p = s.params
    return _windows(b, b.operand(x, s.dtype), x.shape, p["size"], p["stride"], p["dilation"])[0]


def _back(b: Builder, s: Step, x: Any) -> Expr:
    p, kind = s.params, work(s.dtype)
    size = x.shape[1 : 1 + len(p["stride"])]
    return _add_windows(b, b.operand(x, kind), s.shape, size, p["stride"], p["dilation"]).cast(s.dtype)


LOWER: dict[Any, Callable] = {
    cv.convolution: _convolution, cv.image: _image, cv.kernel: _kernel, cv.windows: _view, cv.add_windows: _back,
}  # fmt: skip
