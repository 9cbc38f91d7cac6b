"""What each NumPy function is in JAX: the same name, but for those in `LOWER` and those that need other arguments."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tinygrad_nn.compiler.ir import cast, item, power_of_numbers, updated, written_into

__all__ = ["LOWER", "NoLoweringError", "function_for"]

_UNSAID = {"out", "order", "casting", "subok", "copy", "like"}  # how NumPy goes about it: no matter here


class NoLoweringError(NotImplementedError):
    """JAX has nothing for a function."""


# --- functions that are written otherwise ----------------------------------------------------------------------------


def _index(index: Any) -> Any:
    """JAX takes no lists as indices."""
    several = index if isinstance(index, tuple) else (index,)
    several = tuple([np.asarray(i, None if len(i) else int) if isinstance(i, list) else i for i in several])
    return several if isinstance(index, tuple) else several[0]


def _item(x: Any, index: Any) -> Any:
    return x[index] if isinstance(x, (tuple, list)) else jnp.asarray(x)[_index(index)]


def _updated(x: Any, index: Any, value: Any) -> Any:
    x = jnp.asarray(x)
    return x.at[_index(index)].set(jnp.asarray(value).astype(x.dtype))


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
    by_sum = {np.add: jnp.sum, np.multiply: jnp.prod, np.maximum: jnp.max, np.minimum: jnp.min,
              np.logical_or: jnp.any, np.logical_and: jnp.all}  # fmt: skip
    if ufunc not in by_sum:
        raise NoLoweringError(f"np.{ufunc.__name__}.reduce")

    def reduced(a: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False, **further: Any) -> Any:
        given = {k: v for k, v in further.items() if k in ("initial", "where") and v is not np._NoValue}
        a = jnp.asarray(a)
        y = by_sum[ufunc](a if dtype is None else a.astype(dtype), axis=axis, keepdims=bool(keepdims), **given)
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
    """A product in the precision of its arrays, where the user's JAX settings name no other: GPUs and TPUs take less."""

    def multiplied(*args: Any, **kwargs: Any) -> Any:
        chosen = jax.config.jax_default_matmul_precision
        return function(*args, **kwargs, precision=None if chosen else jax.lax.Precision.HIGHEST)

    return multiplied


def _astype(x: Any, dtype: Any, *_: Any, **__: Any) -> Any:
    return jnp.asarray(x).astype(dtype)


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
    return lambda *args, **kwargs: found(*args, **{k: v for k, v in kwargs.items() if k not in _UNSAID})


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
            wanted = func.resolve_dtypes((*[k if k is not bool else np.dtype(bool) for k in kinds], *(None,) * func.nout))
            args = tuple([jnp.asarray(x, dtype=w) for x, w in zip(args, wanted, strict=False)])
        y = found(*args)
        return y if dtype is None else y.astype(dtype)

    return computed


# --- operations whose forward function works in a way that JAX cannot follow -----------------------------------------


def _zeros(g: Any, shape: Any) -> Any:
    return jnp.zeros(shape, g.dtype)


def _put(g: Any, shape: Any, index: Any) -> Any:
    return _zeros(g, shape).at[_index(index)].add(g)


def _put_taken(g: Any, indices: Any, shape: Any, axis: Any) -> Any:
    y = _zeros(g, shape)
    return y.at[(slice(None),) * (axis % y.ndim) + (jnp.asarray(indices),)].add(g)


def _put_along(g: Any, indices: Any, shape: Any, axis: Any) -> Any:
    y = _zeros(g, shape)
    places = list(jnp.meshgrid(*map(np.arange, np.shape(indices)), indexing="ij", sparse=True))
    places[axis] = indices
    return y.at[tuple(places)].add(g)


def _add_windows(columns: Any, target: Any, stride: Any, dilation: Any) -> Any:
    n = len(stride)
    size, places = columns.shape[1 : 1 + n], columns.shape[2 + n :]
    y = jnp.zeros((target[1], target[0], *target[2:]), columns.dtype)
    for at in np.ndindex(*size):
        starts = [i * d for i, d in zip(at, dilation, strict=True)]
        cut = [slice(a, a + s * (m - 1) + 1, s) for a, s, m in zip(starts, stride, places, strict=True)]
        y = y.at[(slice(None), slice(None), *cut)].add(columns[(slice(None), *at)])
    return jnp.swapaxes(y, 0, 1)


def _linear_scan(b: Any, a: Any, axis: int = 0) -> Any:
    """yᵢ = bᵢ + aᵢ yᵢ₋₁: affine maps, whose composition is associative."""
    dtype = jnp.result_type(a, b)

    def then(first: Any, second: Any) -> Any:
        return first[0] * second[0], second[0] * first[1] + second[1]

    pair = (jnp.broadcast_to(a, b.shape).astype(dtype), b.astype(dtype))
    return jax.lax.associative_scan(then, pair, axis=axis % b.ndim)[1]


def _hot(labels: Any, classes: int = 0, dtype: Any = np.float64, axis: int = 0) -> Any:
    return jax.nn.one_hot(labels, classes, dtype=dtype, axis=axis)


def _gelu(x: Any) -> Any:
    return x * (0.5 * (1.0 + jax.scipy.special.erf(x * math.sqrt(0.5))))


_SPECIAL: dict[str, Callable] = {"erf": jax.scipy.special.erf, "erfc": jax.scipy.special.erfc}

# By the name of the operation: what its forward function computes.
LOWER: dict[str, Callable] = {
    **_SPECIAL,
    "erfinv": jax.scipy.special.erfinv,
    "gammaln": jax.scipy.special.gammaln,
    "gelu": _gelu,
    "_putitem": _put,
    "_untake": _put_taken,
    "_untake_along": _put_along,
    "_add_windows": _add_windows,
    "_linear_scan": _linear_scan,
    "one_hot": _hot,
    "_label_columns": _hot,
}
