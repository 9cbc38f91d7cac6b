"""Sorting, searching, and choosing by index: the elements themselves, in another order."""

from __future__ import annotations

from functools import partial

import numpy as np

from tinygrad_nn.foreign import along_axis, in_blocks, is_foreign, like
from tinygrad_nn.operands import as_array
from tinygrad_nn.operation import Traced, numbers_of, value_of
from tinygrad_nn.ops.axes import axis_of
from tinygrad_nn.ops.elementwise import where
from tinygrad_nn.ops.shaping import (
    broadcast_to,
    check_axes,
    concatenate,
    expand_dims,
    getitem,
    index_update,
    moveaxis,
    reshape,
    stack,
    take,
)
from tinygrad_nn.registry import implements, op, refuses

# --- elements by an array of indices along an axis -------------------------------------------------------------------


def _along(x, indices, axis):
    """`indices` along an axis as an index of all axes."""
    places = list(np.ogrid[tuple(slice(n) for n in x.shape)])
    places[axis_of(axis, x)] = indices
    return tuple(places)


@along_axis
def _take_along_axis(x, indices, axis=-1):
    return np.take_along_axis(x, indices, axis)


def _put_along(g, indices, shape, axis):
    if is_foreign(g):
        n, axis = shape[axis], axis % len(shape)
        steps = like(np.arange(n).reshape((-1,) + (1,) * len(shape)), indices)
        chosen = (np.expand_dims(indices % n, 0) == steps).astype(g.dtype)
        return np.moveaxis(np.sum(np.expand_dims(g, 0) * chosen, axis=axis + 1), 0, axis)
    y = np.zeros(shape, g.dtype)
    np.add.at(y, _along(y, indices, axis), g)
    return y


def _take_along_rule(g, y, x, indices, axis=-1):
    if axis is None:
        return np.reshape(_untake_along(g, indices, shape=(x.size,), axis=0), x.shape)
    return _untake_along(g, indices, shape=x.shape, axis=axis)


def _bind_take_along_axis(x, indices, axis=-1):
    kept = isinstance(indices, Traced) or is_foreign(indices)
    return (x, indices if kept else np.array(indices)), {"axis": axis}


def _take_along_samples(rng):
    calls = (
        ((3, 4), [[0, 2, 2], [1, 1, 0], [3, 0, -1]], 1),
        ((3, 2), [5, 0, 5], None),
        ((2, 3), [[1, 0, 0]], 0),
        ((2, 3), [[1, 1]], 1),
    )
    return [_bind_take_along_axis(rng.normal(size=shape), indices, axis) for shape, indices, axis in calls]


def _untake_along_samples(rng):
    return [((rng.normal(size=(2, 3)), np.array([[3, 0, 3], [1, 2, 1]])), {"shape": (2, 4), "axis": 1})]


_ONE = np.zeros(1)


@along_axis
def _argsort(x, axis=-1):
    return np.argsort(x, axis=axis, kind="stable")


def _bind_argsort(x, axis=-1, kind=None, order=None, *, stable=None):
    """Always by a stable algorithm, which serves every `kind`."""
    np.argsort(_ONE, kind=kind, order=order, stable=stable)  # NumPy refuses what there is not
    return (x,), {"axis": axis}


def _bind_argpartition(x, kth, axis=-1, kind="introselect", order=None):
    np.argpartition(_ONE, 0, kind=kind, order=order)
    return (x,), {"kth": kth, "axis": axis}


@along_axis
def _argpartition(x, kth=0, axis=-1):
    return np.argpartition(x, kth, axis)


def _bind_searchsorted(x, v, side="left", sorter=None):
    return (x, v), {"side": side, "sorter": sorter}


def _searchsorted(x, v, side="left", sorter=None):
    if in_blocks(v, x) and v.ndim != 1:
        return np.reshape(np.searchsorted(x, np.reshape(v, (-1,)), side, sorter), v.shape)
    y = np.searchsorted(x, v, side, sorter)
    return y if is_foreign(y) else np.asarray(y)


def _sorted_samples(rng):
    return [((np.sort(rng.normal(size=5)), rng.normal(size=s)), {"side": side, "sorter": None})
            for s, side in (((), "left"), ((2, 3), "right"))]  # fmt: skip


# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off
take_along_axis = op(_take_along_axis, "{x}[{indices}]", _take_along_rule, None, name="take_along_axis", stands_for=(np.take_along_axis,), selects=True,
                     kind="multilinear", entries="factors", aligned=True, bind=_bind_take_along_axis, samples=_take_along_samples,
                     summary="Elements by an array of indices along an axis; repeated indices accumulate",
                     example="tn.take_along_axis(np.array([[1.0, 2.0, 3.0]]), np.array([[2, 0]]), axis=1)")
_untake_along   = op(_put_along, "put({x}, {indices})", lambda g, y, x, indices, shape=(), axis=0: take_along_axis(g, indices, axis=axis), None,
                     name="_untake_along", part_of="take_along_axis", kind="multilinear", aligned=True, samples=_untake_along_samples,
                     summary="The way back of take_along_axis")
argsort         = op(_argsort, "argsort({x})", None, name="argsort", stands_for=(np.argsort,), arguments=("x",), defaults={"axis": -1}, bind=_bind_argsort,
                     variants=({"axis": -1}, {"axis": 0}, {"axis": None}), summary="Indices that sort along an axis, ties in their order (no gradient)",
                     example="tn.argsort(np.array([3.0, 1.0, 2.0]))")
argpartition    = op(_argpartition, "argpartition({x})", None, name="argpartition", stands_for=(np.argpartition,),
                     arguments=("x",), defaults={"kth": 0, "axis": -1}, bind=_bind_argpartition, variants=({"kth": 1, "axis": -1}, {"kth": 1, "axis": 0}),
                     summary="Indices that put the kth element in its place, smaller ones before it (no gradient)",
                     example="tn.argpartition(np.array([3.0, 1.0, 2.0]), 0)")
searchsorted    = op(_searchsorted, "searchsorted({x}, {v})", None, None, name="searchsorted", stands_for=(np.searchsorted,), arguments=("x", "v"),
                     bind=_bind_searchsorted, samples=_sorted_samples, summary="Where v belongs in a sorted vector (no gradient)",
                     example="tn.searchsorted(np.array([1.0, 2.0, 3.0]), 2.5)")
# fmt: on

untake_along = _untake_along  # for other modules


# --- in order --------------------------------------------------------------------------------------------------------


@implements(np.sort, method=False)
def sort(x, axis=-1, kind=None, order=None, *, stable=None):
    """The elements in increasing order along an axis, a new array; each gradient goes back to where its element came from.

    >>> import numpy as np, tinygrad_nn as tn
    >>> x = tn.tensor([3.0, 1.0, 2.0], requires_grad=True)
    >>> (tn.sort(x) * np.array([1.0, 10.0, 100.0])).sum().backward(); x.grad
    array([100.,   1.,  10.])
    """
    x, axis = (reshape(x, (-1,)), -1) if axis is None else (as_array(x), axis)
    return take_along_axis(x, argsort(x, axis, kind, order, stable=stable), axis)


@implements(np.partition, method=False)
def partition(x, kth, axis=-1, kind="introselect", order=None):
    """The kth element in its place, smaller ones before it, larger ones after it: a new array."""
    x, axis = (reshape(x, (-1,)), -1) if axis is None else (as_array(x), axis)
    return take_along_axis(x, argpartition(x, kth, axis, kind, order), axis)


# --- functions of the values: which elements, and where ---------------------------------------------------------------


def _found(function):
    """A method and function of the values alone, whose results are integers and so have no gradient."""

    def find(x):
        return function(value_of(x))

    find.__name__ = find.__qualname__ = function.__name__
    find.__doc__ = f"As `numpy.{function.__name__}`: plain arrays of integers, which have no gradient."
    find.__module__ = __name__
    return implements(function)(find)


nonzero, argwhere, flatnonzero = map(_found, (np.nonzero, np.argwhere, np.flatnonzero))


@implements(np.unique)
def unique(x, return_index=False, return_inverse=False, return_counts=False, axis=None, *, equal_nan=True, sorted=True):
    """The different elements in increasing order; the gradient goes to the first occurrence of each.

    Indices, inverse and counts are plain arrays.
    """
    _, first, inverse, counts = np.unique(value_of(x), True, True, True, axis, equal_nan=equal_nan)
    wanted = ((return_index, first), (return_inverse, inverse), (return_counts, counts))
    further = tuple(found for asked, found in wanted if asked)
    values = take(x, first, axis=axis)
    return (values, *further) if further else values


@implements(np.unique_values, name="_unique_values")
def _unique_values(x):
    return unique(x)


@implements(np.union1d, name="_union1d")
def _union1d(a, b):
    return unique(concatenate([reshape(x, (-1,)) for x in (a, b)]))


@implements(np.extract, method=False)
def extract(condition, x):
    """The elements where the condition holds, as a vector."""
    return getitem(reshape(x, (-1,)), flatnonzero(condition))


@implements(np.compress, method=False)
def compress(condition, x, axis=None):
    """The parts along an axis (of the flattened array, if None) where the condition, a vector, holds."""
    check_axes(1, 1, condition=condition)
    return take(x, flatnonzero(condition), axis=axis)


@implements(np.digitize, name="_digitize")
def _digitize(x, bins, right=False):
    bins = as_array(bins)
    known = numbers_of(bins)
    if not isinstance(known, Traced) and known.ndim == 1:
        np.digitize(0.0, known)  # NumPy refuses what is not in order
    side = "left" if right else "right"
    if bins.size and np.greater(value_of(bins)[0], value_of(bins)[-1]):
        return bins.size - searchsorted(bins[::-1], x, side)
    return searchsorted(bins, x, side)


# --- choices among several -------------------------------------------------------------------------------------------


@implements(np.select, method=False)
def select(condlist, choicelist, default=0):
    """For each element the choice of the first condition that holds, else the default."""
    if len(condlist) != len(choicelist):
        raise ValueError(f"select: {len(condlist)} conditions and {len(choicelist)} choices: give one for each")
    for i, condition in enumerate(condlist):
        if as_array(condition).dtype != bool:
            raise TypeError(f"condlist[{i}] has dtype {as_array(condition).dtype}; expected bools, as of x > 0")
    y = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        y = where(condition, choice, y)
    return y


@implements(np.choose, method=False)
def choose(index, choices, out=None, mode="raise"):
    """For each element the one that its index says, of a list of arrays; modes raise, wrap, clip."""
    if out is not None:
        raise TypeError("choose does not take out=: the result is a new array")
    choices = [as_array(c) for c in choices]
    shape = np.broadcast_shapes(np.shape(index), *(c.shape for c in choices))
    index = np.broadcast_to(value_of(index), shape)
    index = np.choose(index, np.arange(len(choices)), mode=mode)
    every = stack([broadcast_to(c, shape) for c in choices])
    return getitem(take_along_axis(every, index[None], axis=0), 0)


@implements(np.piecewise, method=False)
def piecewise(x, condlist, funclist, *args, **kw):
    """Functions (or numbers) for the elements where their condition holds; one more is for the others."""
    x = as_array(x)
    if not isinstance(condlist, (list, tuple)) or (x.ndim and not np.ndim(value_of(condlist[0]))):
        condlist = [condlist]  # of one condition, also as a list of bools
    conditions = [np.asarray(value_of(c)) for c in condlist]
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    if len(functions) != len(conditions):
        raise ValueError(f"piecewise: {len(conditions)} conditions need as many functions or one more")
    y = np.zeros_like(x)
    for condition, function in zip(conditions, functions, strict=True):
        part = partial(function, *args, **kw)(x[condition]) if callable(function) else function
        y = index_update(y, condition, part)
    return y


# --- functions of the user on parts ----------------------------------------------------------------------------------


@implements(np.apply_along_axis, method=False)
def apply_along_axis(f, axis, x, *args, **kwargs):
    """`f` of every vector along an axis; what it returns stands in the place of the axis.  See also `vmap`."""
    x = as_array(x)
    axis = axis_of(axis, x)
    rows = moveaxis(x, axis, -1)
    places = rows.shape[:-1]
    results = [as_array(f(rows[i], *args, **kwargs)) for i in np.ndindex(places)]
    if not results:
        raise ValueError(f"there is no vector along axis {axis} of an array of shape {np.shape(x)}")
    y = reshape(stack(results), places + results[0].shape)
    return moveaxis(y, tuple(range(len(places), y.ndim)), tuple(range(axis, axis + results[0].ndim)))


@implements(np.apply_over_axes, method=False)
def apply_over_axes(f, x, axes):
    """`f(x, axis)` over one axis after the other; an axis that it takes away is put back with length 1."""
    x = as_array(x)
    for axis in np.atleast_1d(axes).tolist():
        y = f(x, axis)
        y = expand_dims(y, axis) if y.ndim < x.ndim else y
        if y.ndim != x.ndim:
            raise ValueError("the function must keep the number of axes, or take one away")
        x = y
    return x


refuses(
    np.histogram, np.histogram2d, np.histogramdd, np.histogram_bin_edges,
    because="it counts, and counts have no derivative: take .data; sums of weights are tn.bincount(places, weights), with "
    "places = np.digitize(x.data, edges)",
)  # fmt: skip
