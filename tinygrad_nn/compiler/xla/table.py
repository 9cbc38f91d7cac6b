"""What each NumPy function is in JAX: the same name, but for those in `LOWER` and those that need other arguments."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tinygrad_nn.compiler.ir import cast, item, power_of_numbers, updated, written_into

__all__ = ["LOWER", "Guarded", "NoLoweringError", "function_for"]

_UNSAID = {"out", "order", "casting", "subok", "copy", "like"}  # how NumPy goes about it: no matter here


class NoLoweringError(NotImplementedError):
    """JAX has nothing for a function."""


class Guarded(NamedTuple):
    """A value that is right where all elements of some arrays are true; else NumPy's function raises an error."""

    value: Any
    holds: list[Any]


# --- functions that are written otherwise ----------------------------------------------------------------------------


def _converted(x: Any, dtype: Any) -> Any:
    """An array in another dtype.

    XLA makes a choice of a product with converted truth values, `inf * False` becomes 0 and a NaN is gone: what is
    behind a barrier is multiplied, as NumPy does.
    """
    y = jnp.asarray(x, dtype=dtype)
    hides = isinstance(x, jax.Array) and x.dtype == bool and y.dtype != bool
    return jax.lax.optimization_barrier(y) if hides else y


def _index(index: Any) -> Any:
    """JAX takes no lists as indices."""
    several = index if isinstance(index, tuple) else (index,)
    several = tuple([np.asarray(i, None if len(i) else int) if isinstance(i, list) else i for i in several])
    return several if isinstance(index, tuple) else several[0]


def _within(index: Any, n: int) -> Any:
    """Whether an index names places on an axis of length n."""
    return (index >= -n) & (index < n)


def _guarded(value: Any, index: Any, shape: Sequence[int]) -> Any:
    """A value that an index leads to: what the index is may be known only when the step runs."""
    several, axis, conditions = index if isinstance(index, tuple) else (index,), 0, []
    taken = sum(np.ndim(i) if _is_mask(i) else 1 for i in several if i is not None and i is not Ellipsis)
    for i in several:
        if i is Ellipsis:
            axis += len(shape) - taken
        elif i is not None:
            if isinstance(i, jax.Array) and not _is_mask(i):
                conditions.append(_within(i, shape[axis]))
            axis += np.ndim(i) if _is_mask(i) else 1
    return Guarded(value, conditions) if conditions else value


def _is_mask(i: Any) -> bool:
    return isinstance(i, (jax.Array, np.ndarray)) and i.dtype == bool


def _item(x: Any, index: Any) -> Any:
    if isinstance(x, (tuple, list)):
        return x[index]
    x, index = jnp.asarray(x), _index(index)
    return _guarded(x[index], index, x.shape)


def _updated(x: Any, index: Any, value: Any) -> Any:
    x, index = jnp.asarray(x), _index(index)
    return _guarded(x.at[index].set(jnp.asarray(value).astype(x.dtype)), index, x.shape)


def _take(x: Any, indices: Any, axis: Any = None, mode: str = "raise", **_: Any) -> Any:
    y = jnp.take(x, indices, axis, mode=None if mode == "raise" else mode)
    n = np.size(x) if axis is None else np.shape(x)[axis]
    return Guarded(y, [_within(indices, n)]) if isinstance(indices, jax.Array) and mode == "raise" else y


def _take_along(x: Any, indices: Any, axis: Any = -1) -> Any:
    y = jnp.take_along_axis(x, indices, axis)
    n = np.size(x) if axis is None else np.shape(x)[axis]
    return Guarded(y, [_within(indices, n)]) if isinstance(indices, jax.Array) else y


def _finite(function: Callable) -> Callable:
    """One that LAPACK refuses for some matrices, where JAX gives NaN: a result that is not finite is looked at."""

    def computed(*args: Any, **kwargs: Any) -> Any:
        y = function(*args, **kwargs)
        parts = [x for x in jax.tree.leaves(y) if jnp.issubdtype(x.dtype, jnp.inexact)]
        return Guarded(y, [jnp.isfinite(x) for x in parts]) if parts else y

    return computed


def _written_into(func: Callable, x: Any, args: Any, kwargs: Any) -> Any:
    kwargs = dict(kwargs)
    where = kwargs.pop("where", True)
    y = jnp.broadcast_to(function_for(func)(*args, **kwargs), x.shape).astype(x.dtype)
    return y if where is True else jnp.where(where, y, x)


def _windows(x: Any, window_shape: Any, axis: Any = None) -> Any:
    """Every window, by its places: a gather, whose way back is a sum."""
    sizes = (window_shape,) if isinstance(window_shape, int) else tuple(window_shape)
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    for size, a in zip(sizes, axes, strict=True):
        places = np.arange(x.shape[a] - size + 1)[:, None] + np.arange(size)
        x = jnp.moveaxis(jnp.take(x, places, axis=a), a % x.ndim + 1, -1)
    return x


def _reduce(ufunc: np.ufunc) -> Callable:
    by_sum: dict[np.ufunc, Callable] = {
        np.add: jnp.sum, np.multiply: jnp.prod, np.maximum: jnp.max, np.minimum: jnp.min,
        np.logical_or: jnp.any, np.logical_and: jnp.all,
    }  # fmt: skip
    if ufunc not in by_sum:
        raise NoLoweringError(f"np.{ufunc.__name__}.reduce")

    def reduced(a: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False, **further: Any) -> Any:
        given = {k: v for k, v in further.items() if k in ("initial", "where") and v is not np._NoValue}
        a = jnp.asarray(a)
        y = by_sum[ufunc](a if dtype is None else _converted(a, dtype), axis=axis, keepdims=bool(keepdims), **given)
        return y.astype(np.float16) if a.dtype == np.float16 and dtype is None else y

    return reduced


def _accumulate(ufunc: np.ufunc) -> Callable:
    function = function_for(ufunc)
    return lambda a, axis=0, dtype=None, **_: jax.lax.associative_scan(
        function, a if dtype is None else a.astype(dtype), axis=axis % a.ndim
    )


def _outer(ufunc: np.ufunc) -> Callable:
    function = function_for(ufunc)
    return lambda a, b, **_: function(jnp.reshape(a, (*a.shape, *(1,) * np.ndim(b))), b)


def _product(function: Callable) -> Callable:
    """A product in the precision of its arrays, unless the user's JAX settings name one: GPUs and TPUs take less."""

    def multiplied(*args: Any, **kwargs: Any) -> Any:
        kind = jnp.result_type(*[x for x in args if isinstance(x, (jax.Array, np.ndarray))] or [float])
        args = tuple([_converted(x, kind) if isinstance(x, jax.Array) else x for x in args])
        chosen = jax.config.jax_default_matmul_precision
        return function(*args, **kwargs, precision=None if chosen else jax.lax.Precision.HIGHEST)

    return multiplied


def _astype(x: Any, dtype: Any, *_: Any, **__: Any) -> Any:
    x = jnp.asarray(x)
    return _converted(jnp.real(x) if np.dtype(dtype).kind != "c" else x, dtype)


def _clip(x: Any, low: Any, high: Any) -> Any:
    return jnp.minimum(jnp.maximum(x, low), high)


def _rank(x: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    return jnp.linalg.matrix_rank(x, rtol=rtol if rtol is not None else tol)


_BY_FUNCTION: dict[Any, Callable] = {
    cast: _astype,
    item: _item,
    updated: _updated,
    power_of_numbers: lambda a, b: jnp.asarray(a) ** b,
    written_into: _written_into,
    np.matmul: _product(jnp.matmul),
    np.dot: _product(jnp.dot),
    np.vdot: _product(jnp.vdot),
    np.inner: _product(jnp.inner),
    np.einsum: _product(jnp.einsum),
    np.tensordot: _product(jnp.tensordot),
    np.lib.stride_tricks.sliding_window_view: _windows,
    np.array: lambda x, dtype=None, **_: jnp.asarray(x, dtype=dtype),
    np.ascontiguousarray: lambda x, dtype=None, **_: jnp.asarray(x, dtype=dtype),
    np.zeros_like: lambda x, dtype=None, shape=None, **_: jnp.zeros_like(x, dtype=dtype, shape=shape),
    np.take: _take,
    np.ndarray.take: _take,
    np.take_along_axis: _take_along,
    np.argsort: lambda x, axis=-1, **_: jnp.argsort(x, axis),
    np.sort: lambda x, axis=-1, **_: jnp.sort(x, axis),
    np.ndarray.argsort: lambda x, axis=-1, **_: jnp.argsort(x, axis),
    np.may_share_memory: lambda *_: False,  # values of JAX are never written to
    np.shares_memory: lambda *_: False,
    np.linalg.matrix_rank: _rank,
    np.ndarray.astype: _astype,
    np.ndarray.flatten: jnp.ravel,
    np.ndarray.copy: lambda x, *_, **__: x,
}


# --- by name ---------------------------------------------------------------------------------------------------------


@functools.cache
def function_for(func: Any) -> Callable:
    """The function of JAX that does what a NumPy function does; NoLoweringError if there is none."""
    if func in _BY_FUNCTION:
        return _BY_FUNCTION[func]
    name = getattr(func, "__name__", "")
    owner = getattr(func, "__self__", None)
    if isinstance(owner, np.ufunc):
        ways = {"reduce": _reduce, "accumulate": _accumulate, "outer": _outer}
        if name in ways:
            return ways[name](owner)
        raise NoLoweringError(f"np.{owner.__name__}.{name}")
    if isinstance(func, np.ufunc):
        return _ufunc(func, name.removesuffix(" (vectorized)"))
    home = {"numpy.linalg": jnp.linalg, "numpy.fft": jnp.fft}.get(getattr(func, "__module__", "") or "", jnp)
    of_numpy = (getattr(func, "__module__", "") or "").startswith("numpy") or hasattr(func, "__objclass__")
    found = getattr(home, name, None)
    if found is None or not of_numpy:
        raise NoLoweringError(name)
    function = _finite(found) if home is jnp.linalg else found
    return lambda *args, **kwargs: function(*args, **{k: v for k, v in kwargs.items() if k not in _UNSAID})


def _ufunc(func: np.ufunc, name: str) -> Callable:
    """A ufunc on the dtypes that NumPy would compute in, which are wider than JAX's where integers meet float32."""
    if name == "clip":
        found: Any = _clip
    else:
        found = _SPECIAL.get(name) or getattr(jnp, name, None)
    if found is None:
        raise NoLoweringError(f"np.{name}")

    def computed(*args: Any, dtype: Any = None, where: Any = True, **_: Any) -> Any:
        if where is not True:
            raise NoLoweringError(f"np.{name} with where=")
        kinds = [type(x) if type(x) in (int, float, bool) else np.dtype(jnp.asarray(x).dtype) for x in args]
        if any(isinstance(k, np.dtype) for k in kinds) and func.signature is None and "vectorized" not in func.__name__:
            wanted = func.resolve_dtypes(
                (*[k if k is not bool else np.dtype(bool) for k in kinds], *(None,) * func.nout)
            )
            args = tuple([_converted(x, w) for x, w in zip(args, wanted, strict=False)])
        y = found(*args)
        return y if dtype is None else y.astype(dtype)

    return computed


# --- operations whose forward function works in a way that JAX cannot follow -----------------------------------------


def _zeros(g: Any, shape: Any) -> Any:
    return jnp.zeros(shape, g.dtype)


def _put(g: Any, shape: Any, index: Any) -> Any:
    index = _index(index)
    return _guarded(_zeros(g, shape).at[index].add(g), index, shape)


def _put_taken(g: Any, indices: Any, shape: Any, axis: Any) -> Any:
    return _put(g, shape, (slice(None),) * (axis % len(shape)) + (jnp.asarray(indices),))


def _put_along(g: Any, indices: Any, shape: Any, axis: Any) -> Any:
    places: list[Any] = list(np.ogrid[tuple(map(slice, shape))])
    places[axis] = jnp.asarray(indices)
    return _put(g, shape, tuple(places))


def _add_windows(columns: Any, target: Any, stride: Any, dilation: Any) -> Any:
    n = len(stride)
    size, places = columns.shape[1 : 1 + n], columns.shape[2 + n :]
    y = jnp.zeros((target[1], target[0], *target[2:]), columns.dtype)
    for at in np.ndindex(*size):
        starts = [i * d for i, d in zip(at, dilation, strict=True)]
        cut = [slice(a, a + s * (m - 1) + 1, s) for a, s, m in zip(starts, stride, places, strict=True)]
        y = y.at[(slice(None), slice(None), *cut)].add(columns[(slice(None), *at)])
    return jnp.swapaxes(y, 0, 1)


def _convolution(x: Any, weight: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    return _product(jax.lax.conv_general_dilated)(
        x, weight, stride, padding, rhs_dilation=dilation, feature_group_count=groups
    )


def _to_image(v: Any, weight: Any, target: Any, **how: Any) -> Any:
    image = jax.ShapeDtypeStruct(target, v.dtype)
    return jax.linear_transpose(lambda x: _convolution(x, weight, **how), image)(v)[0]


def _to_weight(v: Any, x: Any, target: Any, **how: Any) -> Any:
    weight = jax.ShapeDtypeStruct(target, v.dtype)
    return jax.linear_transpose(lambda w: _convolution(x, w, **how), weight)(v)[0]


def _linear_scan(b: Any, a: Any, axis: int = 0) -> Any:
    """yᵢ = bᵢ + aᵢ yᵢ₋₁: affine maps, whose composition is associative."""
    dtype = jnp.result_type(a, b)

    def then(first: Any, second: Any) -> Any:
        return first[0] * second[0], second[0] * first[1] + second[1]

    pair = (jnp.broadcast_to(a, b.shape).astype(dtype), b.astype(dtype))
    return jax.lax.associative_scan(then, pair, axis=axis % b.ndim)[1]


def _hot(labels: Any, classes: int = 0, dtype: Any = np.float64, axis: int = 0) -> Any:
    return _converted(jax.nn.one_hot(labels, classes, dtype=bool, axis=axis), dtype)


def _hot_of_class(labels: Any, classes: int = 0, dtype: Any = np.float64, axis: int = 0) -> Any:
    return Guarded(_hot(labels, classes, dtype, axis), [(labels >= 0) & (labels < classes)])


def _category(x: Any, n: int = 1) -> Any:
    """Numbers of categories; of what is none, a number beyond the last, for which `take` gives NaN."""
    known = (x >= 0) & (x < n) & (x == jnp.floor(x))
    return Guarded(jnp.where(known, x, n).astype(np.int64), [known])


def _gelu(x: Any) -> Any:
    return x * (0.5 * (1.0 + jax.scipy.special.erf(x * math.sqrt(0.5))))


def _power_log(x: Any, n: Any, order: int = 1) -> Any:
    y = function_for(np.power)(x, n)
    return (y * jnp.log(1.0 * x + ((x == 0) & (n >= 0))) ** order).astype(y.dtype)


def _searchsorted(x: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return jnp.searchsorted(x, v, side=side, sorter=sorter)


def _bessel(x: Any, order: int = 1) -> Any:
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(np.float64)
    wave = jnp.sinh if order % 2 else jnp.cosh
    nodes = np.cos(np.pi * (np.arange(80) + 0.5) / 160)
    return (nodes**order * wave(x.astype(np.float64)[..., None] * nodes)).mean(-1).astype(x.dtype)


_SPECIAL: dict[str, Callable] = {"erf": jax.scipy.special.erf, "erfc": jax.scipy.special.erfc}

# By the name of the operation: what its forward function computes.
LOWER: dict[str, Callable] = {
    **_SPECIAL,
    "erfinv": jax.scipy.special.erfinv,
    "gammaln": jax.scipy.special.gammaln,
    "gelu": _gelu,
    "sinc": jnp.sinc,
    "_power_log": _power_log,
    "i0": functools.partial(_bessel, order=0),
    "_i0_slope": _bessel,
    "astype": _astype,
    "copy": lambda x, order="K": x,
    "searchsorted": _searchsorted,
    "index_update": lambda x, values, index: _updated(x, index, values),
    "_putitem": _put,
    "_untake": _put_taken,
    "_untake_along": _put_along,
    "_add_windows": _add_windows,
    "_convolution": _convolution,
    "_convolution_to_image": _to_image,
    "_convolution_to_weight": _to_weight,
    "_linear_scan": _linear_scan,
    "one_hot": _hot,
    "_label_columns": _hot_of_class,
    "_category": _category,
}
