"""NumPy's composite functions as the ufuncs they consist of, which can write into buffers and be fused.

Each gives bitwise what NumPy gives; where it is called in a way not foreseen here it raises `NoDecomposition`, and the
function itself is recorded.  The recording compares both once, see `Trace.call`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["DECOMPOSITIONS", "NoDecomposition", "decomposed"]

_CLIP = getattr(getattr(getattr(np, "_core", None), "umath", None), "clip", None)  # the others lose the sign of 0.0


class NoDecomposition(Exception):  # noqa: N818  it is no error
    """Record the function itself."""


def decomposed(func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What a function gives, computed by ufuncs."""
    given = dict(zip(_parameters(func), args, strict=False))
    if len(given) < len(args) or given.keys() & kwargs.keys():
        raise NoDecomposition
    given = {name: value for name, value in (given | kwargs).items() if not _is_left_out(name, value)}
    decompose = DECOMPOSITIONS[func]
    if not given.keys() <= inspect.signature(decompose).parameters.keys():
        raise NoDecomposition
    return decompose(**given)


def _is_left_out(name: str, value: Any) -> bool:
    return value is np._NoValue or (value is None and name in ("dtype", "out"))


@functools.cache
def _parameters(func: Callable) -> tuple[str, ...]:
    """The names of NumPy's parameters in their order; methods have those of the function of the same name."""
    try:
        return tuple(inspect.signature(getattr(np, func.__name__)).parameters)
    except ValueError:  # before NumPy 2.4 functions in C tell none
        return ("a", "b")


def _reduction(ufunc: np.ufunc) -> Callable:
    def reduced(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
        if not hasattr(a, "node"):
            raise NoDecomposition
        return ufunc.reduce(a, axis=axis, keepdims=bool(keepdims))

    return reduced


_sum = _reduction(np.add)


def _count(x: Any, axis: Any) -> int:
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis).tolist()
    return int(np.prod([x.shape[i] for i in axes], dtype=int))


def _wide(x: Any) -> Any:
    """Half precision and integers are summed in another dtype."""
    if not hasattr(x, "node") or x.dtype not in (np.float32, np.float64):
        raise NoDecomposition
    return x


def _mean(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
    return np.true_divide(_sum(_wide(a), axis, keepdims), _count(a, axis))


def _var(a: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Any:
    if not isinstance(ddof, int):
        raise NoDecomposition
    deviation = np.subtract(a, _mean(_wide(a), axis, True))
    return np.true_divide(_sum(np.multiply(deviation, deviation), axis, keepdims), max(_count(a, axis) - ddof, 0))


def _std(a: Any, axis: Any = None, ddof: Any = 0, keepdims: Any = False) -> Any:
    return np.sqrt(_var(a, axis, ddof, keepdims))


def _clip(a: Any, a_min: Any = None, a_max: Any = None, min: Any = None, max: Any = None) -> Any:  # noqa: A002  NumPy's
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if low is None and high is None:
        raise NoDecomposition
    if low is None or high is None:
        return np.minimum(a, high) if low is None else np.maximum(a, low)
    if _CLIP is None:
        raise NoDecomposition
    return _CLIP(a, low, high)


def _copy(a: Any, order: Any = "K") -> Any:  # the method is the tracer's own
    return a.copy(order) if hasattr(a, "node") else _no()


def _no() -> Any:
    raise NoDecomposition


def _dense(*arrays: Any) -> bool:
    """Whether BLAS takes them as they are, in one dtype: else NumPy's products go different ways."""
    if not all(hasattr(x, "node") and x.ndim in (1, 2) for x in arrays):
        return False
    flags = [x.node.sample.flags for x in arrays]
    same = arrays[0].dtype == arrays[1].dtype and arrays[0].dtype in (np.float32, np.float64)
    return same and all(f.c_contiguous or f.f_contiguous for f in flags)


def _dot(a: Any, b: Any) -> Any:
    return np.matmul(a, b) if _dense(a, b) else _no()


def _vdot(a: Any, b: Any) -> Any:
    return np.matmul(np.ravel(a), np.ravel(b)) if _dense(a, b) else _no()


DECOMPOSITIONS: dict[Any, Callable] = {
    np.sum: _sum,
    np.prod: _reduction(np.multiply),
    np.max: _reduction(np.maximum),
    np.min: _reduction(np.minimum),
    np.any: _reduction(np.logical_or),
    np.all: _reduction(np.logical_and),
    np.mean: _mean,
    np.var: _var,
    np.std: _std,
    np.clip: _clip,
    np.copy: _copy,
    np.dot: _dot,
    np.vdot: _vdot,
}
DECOMPOSITIONS |= {
    getattr(np.ndarray, func.__name__): way
    for func, way in DECOMPOSITIONS.items()
    if hasattr(np.ndarray, func.__name__)
}
