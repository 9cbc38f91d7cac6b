"""Kinds of arrays that are not NumPy's but implement its protocols (NEP 13 and 18): Dask, CuPy, and the like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["in_double", "is_foreign", "like", "on_matrices"]


def is_foreign(x: Any) -> bool:
    """Whether it is an array of another kind than NumPy's, and no traced value."""
    kind = type(x)
    if kind is np.ndarray or kind is float or issubclass(kind, (np.ndarray, np.generic)):
        return False
    return hasattr(kind, "__array_function__") and not hasattr(kind, "__record__")


def like(constant: Any, x: Any) -> Any:
    """An array of NumPy's that does not depend on data, as one of the kind of `x`: kinds do not mix.

    `x` is what a rule or forward function got: an array, or a traced value, whose numbers count then.

    >>> like(np.eye(2), np.ones(3))
    array([[1., 0.],
           [0., 1.]])
    """
    if type(x) is np.ndarray:
        return constant
    while hasattr(type(x), "__record__") and x.everything is not x:
        x = x.everything
    return np.asarray(constant, like=x) if is_foreign(x) else constant


def in_double(function: Callable, x: Any, *params: Any) -> Any:
    """`function` of an array of another kind, in double precision, returned in that of the array."""
    with np.errstate(all="ignore"):  # infinities are answers
        return function(x.astype(np.float64), *params).astype(x.dtype)


def on_matrices(function: Callable, signature: str, *arrays: Any) -> Any:
    """`function` of the last axes of arrays, by its signature as a generalised ufunc, as "(n,n)->(n,n)".

    NumPy's functions are called as they are, except where Dask would fetch the array: there on stacks of matrices, each
    of which must be in one block.
    """
    if not any(hasattr(a, "map_blocks") for a in arrays):
        return function(*arrays)
    from dask.array import apply_gufunc

    cores = signature.partition("->")[0].strip("()").split("),(")
    whole = [
        a.rechunk({axis: -1 for axis in range(a.ndim - len(core.split(",")), a.ndim)}) if hasattr(a, "rechunk") else a
        for a, core in zip(arrays, cores, strict=True)
    ]
    return apply_gufunc(function, signature, *whole, output_dtypes=arrays[0].dtype, vectorize=False)
