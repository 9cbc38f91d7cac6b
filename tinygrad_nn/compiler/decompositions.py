"""NumPy's composite functions as the ufuncs they consist of, which can write into buffers and be fused.

Each gives bitwise what NumPy gives; where it is called in a way not foreseen here it raises `NoDecomposition`, and the
function itself is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["DECOMPOSITIONS", "NoDecomposition"]


class NoDecomposition(Exception):  # noqa: N818  it is no error
    """Record the function itself."""


def _reduction(ufunc: np.ufunc) -> Callable:
    def reduced(x: Any, axis: Any = None, **rest: Any) -> Any:
        if rest.keys() - {"keepdims"} or not hasattr(x, "node"):
            raise NoDecomposition
        return ufunc.reduce(x, axis=axis, keepdims=bool(rest.get("keepdims", False)))

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


def _mean(x: Any, axis: Any = None, **rest: Any) -> Any:
    return np.true_divide(_sum(_wide(x), axis, **rest), _count(x, axis))


def _var(x: Any, axis: Any = None, ddof: Any = 0, **rest: Any) -> Any:
    if not isinstance(ddof, int):
        raise NoDecomposition
    deviation = np.subtract(x, _mean(_wide(x), axis, keepdims=True))
    return np.true_divide(_sum(np.multiply(deviation, deviation), axis, **rest), max(_count(x, axis) - ddof, 0))


def _std(x: Any, axis: Any = None, ddof: Any = 0, **rest: Any) -> Any:
    return np.sqrt(_var(x, axis, ddof, **rest))


def _clip(x: Any, min: Any = None, max: Any = None, **rest: Any) -> Any:  # noqa: A002  NumPy's names
    if rest or (min is None and max is None):
        raise NoDecomposition
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


def _copy(x: Any, **_: Any) -> Any:
    return x.copy()


def _dot(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    if np.ndim(a) > 2 or np.ndim(b) > 2:
        raise NoDecomposition
    return np.matmul(a, b)


def _vdot(a: Any, b: Any) -> Any:
    return np.matmul(np.ravel(a), np.ravel(b))


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
    np.ndarray.clip: _clip,
    np.copy: _copy,
    np.dot: _dot,
    np.ndarray.dot: _dot,
    np.vdot: _vdot,
}
