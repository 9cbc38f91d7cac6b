"""Operations that move, copy, select or insert elements: all linear, so each rule is the way back."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

from tinygrad_nn.errors import ShapeError
from tinygrad_nn.foreign import is_foreign, own, reshaped
from tinygrad_nn.operands import as_array
from tinygrad_nn.operation import SEEN, Traced, VariadicRule, numbers_of
from tinygrad_nn.ops.axes import axis_of, length_of
from tinygrad_nn.ops.elementwise import unwritten
from tinygrad_nn.ops.lowering import by_axes, by_places, by_shape, flipped, stacked, triangle
from tinygrad_nn.ops.placing import add_at, add_taken, element_of, may_repeat, put, put_taken, taken, updated
from tinygrad_nn.ops.precision import converted
from tinygrad_nn.registry import implements, op

# --- what NumPy refuses ------------------------------------------------------------------------------------------------


def check_axes(least, most=None, **arrays):
    """ShapeError for arrays of fewer axes than `least`, or of more than `most`."""
    for name, x in arrays.items():
        n = np.ndim(x)
        if n < least or (most is not None and n > most):
            wanted = f"{least}" if most == least else f"{least} or more" if most is None else f"{least} to {most}"
            plural = "axis" if most == least == 1 else "axes"
            raise ShapeError(f"{name} has shape {np.shape(x)}; expected {wanted} {plural}")


# --- public signatures that NumPy spells in several ways -------------------------------------------------------------


def _ints(given):
    """(2, 3), ((2, 3),) and 6 all as a tuple of ints."""
    if len(given) == 1 and np.iterable(given[0]):
        given = given[0]
    return tuple(int(i) for i in given)


def _bind_reshape(x, *given, shape=None, order="C", copy=None):
    shape = _ints(given if shape is None else (shape,))
    check_order(order)
    if copy:
        x = np.copy(x)
    elif copy is False and not isinstance(numbers_of(x), Traced):  # NumPy says where it cannot do without
        np.reshape(numbers_of(x), shape, order=order, copy=False)
    if order == "F":
        x = transpose(reshape(transpose(x), shape[::-1]))
        shape = x.shape
    return (x,), {"shape": shape}


def check_order(order):
    """ValueError for an order of the elements that follows their places in memory, or for none."""
    if order not in ("C", "F"):
        hint = ", as tensors promise no order in memory" if order in ("A", "K") else ""
        raise ValueError(f"order is {order!r}; expected 'C' (rows first) or 'F' (columns first){hint}")


def _bind_transpose(x, *given, axes=None):
    given = given if axes is None else (axes,)
    return (x,), {} if given in ((), (None,)) else {"axes": _ints(given)}


def _bind_arrays(arrays, axis=0, *, dtype=None, casting="same_kind"):
    return converted(arrays, dtype, casting), {"axis": axis}


def _bind_concatenate(arrays, axis=0, *, dtype=None, casting="same_kind"):
    if axis is None:
        arrays, axis = [np.reshape(a, (-1,)) for a in arrays], 0
    return _bind_arrays(arrays, axis, dtype=dtype, casting=casting)


# --- indexing --------------------------------------------------------------------------------------------------------


def plain_index(index: Any) -> Any:
    """An index without tensors, and without arrays that user code may change later."""
    if isinstance(index, tuple):
        return tuple(plain_index(i) for i in index)
    if isinstance(index, Traced):
        return index.as_index()
    if is_foreign(index):
        raise TypeError(
            f"an index is an array of {type(index).__module__.partition('.')[0]}, whose numbers nobody fetches here: "
            "tn.take(x, indices, axis=...) takes it, tn.where chooses by a mask, np.asarray(index) fetches it"
        )
    if isinstance(index, list) or hasattr(index, "__array__"):
        seen = SEEN.get()
        if seen is not None:
            seen(index, copied=True)
        index = np.array(index)
        return index.astype(np.intp) if not index.size and index.dtype.kind == "f" else index
    return index


def _bind_getitem(x, index):
    return (x,), {"index": plain_index(index)}


@functools.wraps(np.reshape)
def _reshape(x, shape):
    return np.reshape(x, shape) if type(x) is np.ndarray else reshaped(x, shape)


def _bind_index_update(x, index, values):
    index = plain_index(index)
    if may_repeat(index):
        x = as_array(x)
        places = np.arange(math.prod(x.shape)).reshape(x.shape)[index].ravel()
        if len(np.unique(places)) < len(places):
            raise ValueError("index_update: the index names an element twice, so which value stays would be chance")
    return (x, values), {"index": index}


def _take_rule(g, y, x, indices, axis=None):
    if axis is None:
        return np.reshape(_untake(np.reshape(g, np.shape(indices)), indices, shape=(x.size,), axis=0), x.shape)
    return _untake(g, indices, shape=x.shape, axis=axis)


def _bind_take(x, indices, axis=None, mode="raise"):
    if not isinstance(indices, Traced):
        indices = (
            indices if is_foreign(indices) else np.array(indices, dtype=np.intp if np.size(indices) == 0 else None)
        )
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"mode is {mode!r}; expected 'raise', 'wrap' or 'clip'")
    if mode != "raise":
        n = as_array(x).size if axis is None else length_of(axis, as_array(x))
        indices = np.clip(indices, 0, n - 1) if mode == "clip" else np.remainder(indices, n)
    return (x, indices), {"axis": axis}


# --- joining and copying ---------------------------------------------------------------------------------------------


def _stretches(g, y, *arrays, slots, axis=0):
    """The stretches of g that came from the concatenated arrays."""
    ends = list(itertools.accumulate(a.shape[axis] for a in arrays))
    before = (slice(None),) * (axis % g.ndim)
    for slot in slots:
        yield g[(*before, slice(ends[slot] - arrays[slot].shape[axis], ends[slot]))]


def _layers(g, y, *arrays, slots, axis=0):
    """The layers of g that came from the stacked arrays."""
    before = (slice(None),) * (axis % g.ndim)
    for slot in slots:
        yield g[(*before, slot)]


def _tile_rule(g, y, x, reps=1):
    reps = (1,) * (y.ndim - len(reps)) + reps
    shape = (1,) * (y.ndim - x.ndim) + x.shape
    split = tuple(n for pair in zip(reps, shape, strict=True) for n in pair)
    return np.reshape(np.sum(reshape(g, split), axis=tuple(range(0, 2 * y.ndim, 2))), x.shape)


def _padded(x, pad_width, constant_values=0):
    return np.pad(x, pad_width, constant_values=constant_values) if np.ndim(x) else own(x)


def _pad_rule(g, y, x, pad_width=0, constant_values=0):
    return g[tuple(slice(before, before + n) for (before, _), n in zip(pad_width, x.shape, strict=True))]


def _bind_pad(x, pad_width, constant_values=0):
    widths = (
        np.broadcast_to(pad_width, (np.ndim(x), 2)) if np.ndim(x) or np.ndim(pad_width) > 1 else np.zeros((0, 2), int)
    )
    return (x,), {"pad_width": tuple(map(tuple, widths.tolist())), "constant_values": constant_values}


def _lowered_pad(x, pad_width=0, constant_values=0):
    outside = np.pad(np.zeros(x.shape, bool), pad_width, constant_values=True)
    inside = tuple(slice(before, before + n) for (before, _), n in zip(pad_width, x.shape, strict=True))
    return np.where(outside, constant_values, putitem(x, outside.shape, inside))


# --- more rules, and samples for the checks --------------------------------------------------------------------------


def _transpose_rule(g, y, x, axes=None):
    return np.transpose(g) if axes is None else np.transpose(g, tuple(np.argsort([a % x.ndim for a in axes]).tolist()))


@functools.wraps(np.roll)
def _roll(x, shift, axis=None):
    if isinstance(axis, tuple) and not np.iterable(shift):
        shift = (shift,) * len(axis)  # Dask wants one for each
    return np.roll(x, shift, axis)


def _roll_rule(g, y, x, shift=1, axis=None):
    if isinstance(axis, tuple) and not np.iterable(shift):
        shift = (shift,) * len(axis)
    return np.roll(g, tuple(-s for s in shift) if np.iterable(shift) else -shift, axis=axis)


def _put_taken_samples(rng):
    return [((rng.normal(size=(2, 3)), np.array([3, 0, 3])), {"shape": (2, 4), "axis": 1})]


def _take_samples(rng):
    calls = (((3, 4), [0, 2, 0, -1], 1), ((3, 2), [[1, 1], [5, 0]], None), (4, 2, 0))
    return [_bind_take(rng.normal(size=shape), indices, axis) for shape, indices, axis in calls]


def _getitem_samples(rng):
    basic = (0, (1, -1), slice(None, None, -2), (Ellipsis, None, 1), 2)
    advanced = ([0, 0, 2], ([0, 2, 0], [1, 1, 1]), (slice(1, 3), [0, 0]), np.eye(3, 4) > 0)
    return [_bind_getitem(rng.normal(size=(3, 4)), index) for index in (*basic, *advanced)]


def _index_update_samples(rng):
    indices = (0, (slice(None), 1), [0, 2], (Ellipsis, -1))
    return [_bind_index_update(rng.normal(size=(3, 4)), index, rng.normal(size=())) for index in indices]


COPIED: dict[str, Any] = {"kind": "linear", "entries": "ones"}  # each element of y is one of x, or a sum of some

# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off
reshape      = op(_reshape, "reshape({x})", lambda g, y, x, shape=(): _reshape(g, x.shape), **COPIED, view=True, bind=_bind_reshape, simplify=unwritten,
                  variants=({"shape": (3, 2)}, {"shape": (-1,)}, {"shape": (1, 6, 1)}), stands_for=(np.reshape,),
                  summary="The same elements in another shape", example="tn.reshape(np.arange(4.0), (2, 2))")
transpose    = op(np.transpose,    "{x}ᵀ",           _transpose_rule, **COPIED, view=True, precedence=3, bind=_bind_transpose, shape=(2, 3, 4),
                  variants=({"axes": (2, 0, 1)}, {"axes": (-1, 0, 1)}, {}),
                  summary="Axes in another order", example="tn.transpose(np.array([[1.0, 2.0], [3.0, 4.0]]))")
swapaxes     = op(np.swapaxes,     "swapaxes({x})",  lambda g, y, x, axis1=0, axis2=1: np.swapaxes(g, axis1, axis2), **COPIED, view=True, shape=(2, 3, 4),
                  variants=({"axis1": 0, "axis2": 1}, {"axis1": -1, "axis2": 0}), lowered=by_axes(np.swapaxes),
                  summary="Two axes exchanged", example="tn.swapaxes(np.array([[1.0, 2.0]]), 0, 1)")
moveaxis     = op(np.moveaxis,     "moveaxis({x})",  lambda g, y, x, source=0, destination=0: np.moveaxis(g, destination, source), **COPIED, view=True,
                  shape=(2, 3, 4), variants=({"source": 0, "destination": -1}, {"source": (0, 1), "destination": (2, 0)}),
                  lowered=by_axes(np.moveaxis), summary="Axes moved to new places", example="tn.moveaxis(np.array([[1.0, 2.0]]), 0, 1)")
# squeeze: [...] makes a view also where there is nothing to squeeze
squeeze      = op(lambda x, axis=None: np.squeeze(x, axis)[...], "squeeze({x})", lambda g, y, x, axis=None: np.reshape(g, x.shape), name="squeeze",
                  stands_for=(np.squeeze,), **COPIED, view=True, simplify=unwritten, shape=(1, 3, 1), variants=({}, {"axis": 0}, {"axis": (0, -1)}),
                  lowered=by_shape(np.squeeze), summary="Axes of length 1 left out", example="tn.squeeze(np.array([[1.0, 2.0]]))")
expand_dims  = op(np.expand_dims, "expand({x})", lambda g, y, x, axis=0: np.reshape(g, x.shape), **COPIED, view=True, simplify=unwritten,
                  variants=({"axis": 0}, {"axis": -1}, {"axis": (0, 2)}), lowered=by_shape(np.expand_dims),
                  summary="New axes of length 1", example="tn.expand_dims(np.array([1.0, 2.0]), 0)")
broadcast_to = op(np.broadcast_to, "broadcast({x})", lambda g, y, x, shape=(): g, **COPIED, view=True,
                  bind=lambda x, shape: ((x,), {"shape": _ints((shape,))}), simplify=unwritten, variants=({"shape": (4, 2, 3)},),
                  summary="Repeated along new or stretched axes", example="tn.broadcast_to(np.array([1.0, 2.0]), (2, 2))")
concatenate  = op(lambda *arrays, axis=0: np.concatenate(arrays, axis=axis), "[{arrays}]", VariadicRule(_stretches), name="concatenate", **COPIED, method=False,
                  aligned=True, bind=_bind_concatenate, stands_for=(np.concatenate,), variants=({}, {"axis": 1}),
                  summary="Joined along an axis", example="tn.concatenate([np.array([1.0]), np.array([2.0, 3.0])])")
stack        = op(lambda *arrays, axis=0: np.stack(arrays, axis=axis), "stack({arrays})", VariadicRule(_layers), name="stack", **COPIED, method=False,
                  lowered=stacked, aligned=True, bind=_bind_arrays, stands_for=(np.stack,), variants=({}, {"axis": -1}),
                  summary="Joined along a new axis", example="tn.stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])])")
tile         = op(np.tile, "tile({x})", _tile_rule, **COPIED, lowered=by_places(np.tile), bind=lambda x, reps: ((x,), {"reps": _ints((reps,))}),
                  variants=({"reps": (2,)}, {"reps": (2, 1)}, {"reps": (2, 1, 2)}, {"reps": (0, 2)}),
                  summary="Repeated as a whole", example="tn.tile(np.array([1.0, 2.0]), 2)")
roll         = op(_roll, "roll({x})", _roll_rule, stands_for=(np.roll,), **COPIED, lowered=by_places(np.roll),
                  variants=({"shift": 1}, {"shift": -2, "axis": 1}, {"shift": (1, 2), "axis": (0, 1)}, {"shift": 1, "axis": (0, 1)}),
                  summary="Shifted around", example="tn.roll(np.array([1.0, 2.0, 3.0]), 1)")
flip         = op(np.flip,         "flip({x})",      lambda g, y, x, axis=None: np.flip(g, axis), **COPIED, view=True,
                  variants=({}, {"axis": 0}, {"axis": (0, 1)}),
                  lowered=flipped, summary="In reverse order", example="tn.flip(np.array([1.0, 2.0]))")
tril         = op(np.tril,         "tril({x})",      lambda g, y, x, k=0: np.tril(g, k), selects=True, **COPIED, variants=({}, {"k": 1}),
                  lowered=triangle(np.tril), summary="Lower triangle", example="tn.tril(np.ones((2, 2)))")
triu         = op(np.triu,         "triu({x})",      lambda g, y, x, k=0: np.triu(g, k), selects=True, **COPIED, variants=({}, {"k": -1}),
                  lowered=triangle(np.triu), summary="Upper triangle", example="tn.triu(np.ones((2, 2)))")
take         = op(taken, "{x}[{indices}]", _take_rule, None, name="take", selects=True, add_to=add_taken, kind="multilinear", entries="factors",
                  bind=_bind_take, stands_for=(np.take,), samples=_take_samples,
                  summary="Elements by integer index along an axis; repeated indices accumulate", example="tn.take(np.array([1.0, 2.0, 3.0]), [2, 0])")
_untake      = op(put_taken, "put({x}, {indices})", lambda g, y, x, indices, shape=(), axis=0: np.take(g, indices, axis=axis), None, name="_untake",
                  part_of="take", kind="multilinear", samples=_put_taken_samples,
                  summary="The way back of take")
getitem      = op(element_of, "{x}[{index}]", lambda g, y, x, index=(): putitem(g, shape=x.shape, index=index), name="getitem", selects=True,
                  add_to=add_at, **COPIED, view=True, array_params=False, precedence=3, method=False, bind=_bind_getitem, samples=_getitem_samples,
                  summary="Elements by NumPy's basic and advanced indexing; repeated indices accumulate")
putitem      = op(put, "put({x})", lambda g, y, x, shape=(), index=(): getitem(g, index), name="_putitem", part_of="getitem", **COPIED, array_params=False,
                  bind=lambda x, shape, index: ((x,), {"shape": shape, "index": plain_index(index)}),
                  samples=lambda rng: [((rng.normal(size=3),), {"shape": (4,), "index": np.array([0, 0, 2])})], summary="The way back of getitem")
index_update = op(updated, "{x} with [{index}] = {values}", lambda g, y, x, values, index=(): index_update(g, index, 0.0),
                  lambda g, y, x, values, index=(): getitem(g, index), name="index_update", kind="linear", selects=True,
                  array_params=False, bind=_bind_index_update, samples=_index_update_samples,
                  summary="A copy of x with x[index] = values; the way to assign that stays in the graph", example="tn.index_update(np.zeros(3), 1, 5.0)")
constant_pad = op(_padded, "pad({x})", _pad_rule, name="_pad", part_of="pad", entries="ones", lowered=_lowered_pad,
                  jvp=lambda tangents, y, x, pad_width=0, constant_values=0: constant_pad(tangents[0], pad_width), bind=_bind_pad,
                  samples=lambda rng: [_bind_pad(rng.normal(size=(2, 3)), width, 1.5) for width in (1, (2, 1), ((0, 1), (2, 0)))],
                  summary="Padded with a constant")
# fmt: on

untake = _untake  # for other modules


# --- composed of the above -------------------------------------------------------------------------------------------


@implements(np.ravel)
def ravel(x, order="C"):
    """The elements as a vector (a copy or a view)."""
    check_order(order)
    return reshape(x, (-1,), order=order)


def _atleast_1d(x):
    x = as_array(x)
    return x if x.ndim else reshape(x, (1,))


@implements(np.hstack)
def hstack(arrays, *, dtype=None, casting="same_kind"):
    """Joined side by side: along the second axis, or the first of vectors."""
    arrays = [_atleast_1d(a) for a in arrays]
    return concatenate(arrays, axis=0 if arrays[0].ndim == 1 else 1, dtype=dtype, casting=casting)


@implements(np.vstack)
def vstack(arrays, *, dtype=None, casting="same_kind"):
    """Joined one below the other: along the first axis, vectors as rows."""
    arrays = [as_array(a) for a in arrays]
    rows = [reshape(a, (1, -1)) if a.ndim < 2 else a for a in arrays]
    return concatenate(rows, axis=0, dtype=dtype, casting=casting)


@implements(np.split)
def split(x, indices_or_sections, axis=0):
    """A list of parts along an axis: so many equal ones, or cut before the given indices.  ValueError if they are unequal."""
    x = as_array(x)
    axis = axis_of(axis, x)
    n = x.shape[axis]
    if np.iterable(indices_or_sections):
        bounds = [0, *indices_or_sections, n]
    else:
        if n % indices_or_sections:
            raise ValueError(f"split: an axis of length {n} does not divide into {indices_or_sections} equal parts")
        bounds = list(range(0, n + 1, n // indices_or_sections)) if n else [0] * (indices_or_sections + 1)
    before = (slice(None),) * axis
    return [getitem(x, (*before, slice(a, b))) for a, b in itertools.pairwise(bounds)]


@implements(np.array_split, name="_array_split")
def _array_split(x, indices_or_sections, axis=0):
    if np.iterable(indices_or_sections):
        return split(x, indices_or_sections, axis)
    sizes = [len(part) for part in np.array_split(np.arange(length_of(axis, as_array(x))), indices_or_sections)]
    return split(x, list(itertools.accumulate(sizes[:-1])), axis)


@implements(np.repeat)
def repeat(x, repeats, axis=None):
    """Each element repeated so many times, along an axis or flattened; `repeats` may differ from element to element."""
    axis = None if axis in (0, -1) and not np.ndim(x) else axis
    n = np.size(x) if axis is None else length_of(axis, as_array(x))
    return take(x, np.repeat(np.arange(n), repeats), axis=axis)


@implements(np.diagonal)
def diagonal(x, offset=0, axis1=0, axis2=1):
    """The diagonal of two axes, as the last axis of the result."""
    check_axes(2, x=x)
    x = moveaxis(as_array(x), (axis1, axis2), (-2, -1))
    rows, columns = x.shape[-2:]
    first = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0))))
    return x[..., first - min(offset, 0), first + max(offset, 0)]


@implements(np.diag)
def diag(x, k=0):
    """The k-th diagonal of a matrix, or the matrix with this diagonal."""
    if np.ndim(x) == 2:
        return diagonal(x, offset=k)
    if np.ndim(x) != 1:
        raise ValueError(f"diag takes a vector or a matrix, not shape {np.shape(x)}")
    n, places = np.shape(x)[0] + abs(k), np.arange(np.shape(x)[0])
    return putitem(x, (n, n), (places - min(k, 0), places + max(k, 0)))


@implements(np.trace)
def trace(x, offset=0, axis1=0, axis2=1, dtype=None):
    """Sum along the diagonal of two axes."""
    return np.sum(diagonal(x, offset, axis1, axis2), axis=-1, dtype=dtype)
