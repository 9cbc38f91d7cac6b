"""Operations that choose elements by index, and add to them, in ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.errors import ExportError
from tinygrad_nn.nn.embedding import category
from tinygrad_nn.onnx.batch_size import Dim, Pattern
from tinygrad_nn.onnx.building import INT64, Builder, Expr, work
from tinygrad_nn.onnx.lowering.shaping import cut
from tinygrad_nn.onnx.recording import Step
from tinygrad_nn.ops import shaping, sorting

__all__ = ["LOWER", "product", "scattered", "zeros"]


def _params(s: Step) -> dict[str, Any]:
    return {**s.op.defaults, **s.params}


# --- indexing --------------------------------------------------------------------------------------------------------


def _is_array(i: Any) -> bool:
    return isinstance(i, (np.ndarray, Pattern, Expr, list))


def _entries(index: Any, rank: int) -> list[Any]:
    """One entry for each axis, and None for a new one: masks as places, the ellipsis written out."""
    entries: list[Any] = []
    for i in index if isinstance(index, tuple) else (index,):
        i = np.asarray(i) if isinstance(i, (list, np.generic)) else i
        if isinstance(i, (bool, np.bool_)) or (isinstance(i, np.ndarray) and i.dtype == bool and not i.ndim):
            raise ExportError("an index that is a single truth value: index with None, or slice")
        if isinstance(i, Pattern) and i.dtype == bool:
            raise ExportError("a mask whose shape follows the batch size")
        if isinstance(i, np.ndarray) and i.dtype == bool:
            entries += list(i.nonzero())
        elif isinstance(i, np.ndarray) and not i.ndim:
            entries.append(int(i))
        else:
            entries.append(i)
    used = sum(i is not None and i is not Ellipsis for i in entries)
    fill = [slice(None)] * (rank - used)
    at = next((k for k, i in enumerate(entries) if i is Ellipsis), None)
    return entries + fill if at is None else entries[:at] + fill + entries[at + 1 :]


def get(b: Builder, x: Expr, index: Any, rank: int) -> Expr:
    """x[index], as NumPy has it."""
    entries = _entries(index, rank)
    new = [k for k, i in enumerate(entries) if i is None]
    if new:
        x = x.apply("Unsqueeze", b.constant(np.array(new, np.int64)))
    several = any(_is_array(i) for i in entries)
    whole: list[int] = []
    for axis, i in enumerate(entries):
        if isinstance(i, slice) and i != slice(None):
            step = 1 if i.step is None else int(i.step)
            x = cut(b, x, axis, i.start, i.stop, step)
        elif i is not None and not isinstance(i, slice) and not several:
            x = _one(b, x, axis, i)
            whole.append(axis)
    if whole:
        x = x.apply("Squeeze", b.constant(np.array(whole, np.int64)))
    return _by_arrays(b, x, entries) if several else x


def _one(b: Builder, x: Expr, axis: int, i: Any) -> Expr:
    return b("Gather", x, b.ints([i]), axis=axis)


def _index(b: Builder, i: Any) -> Expr:
    if isinstance(i, Expr):
        return i.cast(INT64)
    if isinstance(i, Pattern):
        return b.pattern(i).cast(INT64)
    return b.number(i, INT64) if isinstance(i, Dim) else b.constant(np.asarray(i, np.int64))


def _rank(i: Any) -> int:
    return len(i.shape or ()) if isinstance(i, (Expr, Pattern)) else np.ndim(i)


def _by_arrays(b: Builder, x: Expr, entries: list[Any]) -> Expr:
    """The axes that arrays choose from come first, then the result's axes of the index go where NumPy has them."""
    chosen = [k for k, i in enumerate(entries) if i is not None and not isinstance(i, slice)]
    arrays = [_index(b, entries[k]) for k in chosen]
    if len(chosen) == 1:
        return b("Gather", x, arrays[0], axis=chosen[0])
    rank = max(_rank(entries[k]) for k in chosen)
    others = [k for k in range(len(entries)) if k not in chosen]
    together = arrays[0]
    for a in arrays[1:]:
        together = together * 0 + a * 0
    last = b.constant(np.array([-1], np.int64))
    columns = [(a + together * 0).apply("Unsqueeze", last) for a in arrays]
    x = x.apply("Transpose", perm=[*chosen, *others])
    y = b("GatherND", x, b("Concat", *columns, axis=-1, dtype=INT64), dtype=x.dtype)
    first = chosen[0]
    if chosen == list(range(first, first + len(chosen))) and first:
        before = [rank + others.index(k) for k in others if k < first]
        behind = [rank + others.index(k) for k in others if k > first]
        y = y.apply("Transpose", perm=[*before, *range(rank), *behind])
    return y


def _getitem(b: Builder, s: Step, x: Any) -> Expr:
    return get(b, b.operand(x, s.dtype), _params(s)["index"], len(x.shape))


# --- the way back: elements added at places --------------------------------------------------------------------------


def product(shape: Any) -> Any:
    """How many elements a shape has, of which one length may follow N."""
    follows = [n for n in shape if isinstance(n, Dim)]
    rest = math.prod(int(n) for n in shape if not isinstance(n, Dim))
    if not follows:
        return rest
    if len(follows) > 1:
        return None
    return Dim(follows[0].scale * rest, follows[0].offset * rest)


def _numbered(b: Builder, shape: Any) -> Expr:
    """An array of this shape whose elements are their own places."""
    n = product(shape)
    if n is None:
        count = b("ReduceProd", b.ints(shape).cast(np.float64), keepdims=0).cast(INT64)
        zero, one = (b.constant(np.asarray(i, np.int64)) for i in (0, 1))
        return b.reshape(b("Range", zero, count, one, dtype=INT64), shape)
    return b.reshape(b.places(n), shape)


def zeros(b: Builder, shape: Any, dtype: Any) -> Expr:
    """As many zeros as this shape has elements."""
    n = product(shape)
    zero = b.constant(np.asarray(0, dtype))
    if n is None:
        return b.reshape(b("Expand", zero, b.ints(shape)), (-1,))
    return b("Expand", zero, b.ints([n]))


def scattered(b: Builder, flat: Expr, places: Expr, values: Expr, shape: Any, reduction: str) -> Expr:
    """The flattened array with values at places, which they are repeated to."""
    values = b("Expand", values, places.apply("Shape", dtype=INT64))
    y = b("ScatterElements", flat, b.reshape(places, (-1,)), b.reshape(values, (-1,)), axis=0, reduction=reduction)
    return b.reshape(y, shape)


def _added(places_of: Callable) -> Callable:
    """Zeros of a shape, with the operand added at the places that the index names."""

    def lower(b: Builder, s: Step, x: Any, *indices: Any) -> Expr:
        kind = work(s.dtype)
        places = places_of(b, s, _numbered(b, s.shape), *indices)
        return scattered(b, zeros(b, s.shape, kind), places, b.operand(x, kind), s.shape, "add").cast(s.dtype)

    return lower


def _index_update(b: Builder, s: Step, x: Any, values: Any) -> Expr:
    kind = work(s.dtype)
    places = get(b, _numbered(b, s.shape), _params(s)["index"], len(s.shape))
    flat = b.reshape(b.operand(x, kind), (-1,))
    return scattered(b, flat, places, b.operand(values, kind), s.shape, "none").cast(s.dtype)


# --- by arrays of indices --------------------------------------------------------------------------------------------


def _taken(b: Builder, s: Step, x: Any, indices: Any) -> Expr:
    return _take(b, b.operand(x, s.dtype), b.operand(indices, INT64), _params(s)["axis"], len(x.shape))


def _category(b: Builder, s: Step, x: Any) -> Expr:
    """As whole numbers; a runtime refuses those out of range where they are used."""
    return b.operand(x, INT64).cast(s.dtype)


def _take(b: Builder, x: Expr, indices: Expr, axis: Any, rank: int) -> Expr:
    if axis is None or not rank:
        return b("Gather", b.reshape(x, (-1,)), indices, axis=0)
    return b("Gather", x, indices, axis=int(axis) % rank)


def _along(b: Builder, s: Step, x: Any, indices: Any) -> Expr:
    axis = _params(s)["axis"]
    y = b.operand(x, s.dtype)
    if axis is None:
        return b("GatherElements", b.reshape(y, (-1,)), b.operand(indices, INT64), axis=0)
    return _gathered(b, y, tuple(x.shape), b.operand(indices, INT64), tuple(s.shape), int(axis) % len(x.shape))


def _gathered(b: Builder, x: Expr, shape: Any, indices: Expr, wanted: Any, axis: int) -> Expr:
    """Index and array repeated to one shape, but along the axis."""
    full = (*wanted[:axis], shape[axis], *wanted[axis + 1 :])
    return b("GatherElements", b.expand(x, full), b.expand(indices, wanted), axis=axis)


def _places_along(b: Builder, s: Step, numbered: Expr, indices: Any) -> Expr:
    axis = int(_params(s)["axis"]) % len(s.shape)
    wanted = (*s.shape[:axis], indices.shape[axis], *s.shape[axis + 1 :])
    return _gathered(b, numbered, tuple(s.shape), b.operand(indices, INT64), wanted, axis)


def _places_taken(b: Builder, s: Step, numbered: Expr, indices: Any) -> Expr:
    return _take(b, numbered, b.operand(indices, INT64), _params(s)["axis"], len(s.shape))


def _places_at(b: Builder, s: Step, numbered: Expr) -> Expr:
    return get(b, numbered, _params(s)["index"], len(s.shape))


LOWER: dict[Any, Callable] = {
    category: _category,
    shaping.getitem: _getitem, shaping.putitem: _added(_places_at), shaping.index_update: _index_update,
    shaping.take: _taken, sorting.take_along_axis: _along,
    shaping.untake: _added(_places_taken), sorting.untake_along: _added(_places_along),
}  # fmt: skip
