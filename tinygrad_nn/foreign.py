"""Kinds of arrays that are not NumPy's but implement its protocols (NEP 13 and 18): Dask, CuPy, and the like."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = [
    "along_axis", "by_number", "fetched", "in_blocks", "is_foreign", "like", "of_kind", "of_matrices", "own",
    "refuse_unknown_sizes", "reshaped",
]  # fmt: skip


def is_foreign(x: Any) -> bool:
    """Whether it is an array of another kind than NumPy's, and no traced value."""
    kind = type(x)
    if kind is np.ndarray or kind is np.float64 or kind is float or issubclass(kind, (np.ndarray, np.generic)):
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
    while hasattr(type(x), "__record__") and getattr(x, "everything", x) is not x:  # a symbol stands for no numbers
        x = x.everything
    return np.asarray(constant, like=x) if is_foreign(x) else constant


def of_kind(x: Any, value: Any) -> Any:
    """Numbers in the dtype of a value, and as an array of its kind, if that is another one than NumPy's.

    What a compiled step computes stays a traced value: its numbers are known only when it is replayed.
    """
    if not is_foreign(x) and not hasattr(type(x), "__record__"):
        return like(np.asarray(x, dtype=value.dtype), value)
    return x if x.dtype == value.dtype else x.astype(value.dtype)


def own(x: Any, **how: Any) -> Any:
    """A copy."""
    return x.copy() if is_foreign(x) else np.array(x, **how)


def by_number(of_numbers: Callable, of_kinds: Callable, x: Any, *params: Any) -> Any:
    """A function of each number by itself: of NumPy's arrays, of each block of an array in blocks, or of other kinds.

    `of_kinds` computes it of ufuncs alone, here in double precision and returned in that of the array.
    """
    if not is_foreign(x):
        return of_numbers(x, *params)
    if in_blocks(x):
        return x.map_blocks(of_numbers, *params, dtype=x.dtype, meta=np.empty((0,) * x.ndim, x.dtype))
    with np.errstate(all="ignore"):  # infinities are answers
        return of_kinds(x.astype(np.float64), *params).astype(x.dtype)


def fetched(x: Any) -> np.ndarray:
    """The numbers of an array of any kind, as NumPy's: for who has asked for them."""
    return np.asarray(x.get() if is_foreign(x) and hasattr(x, "get") else x)


def refuse_unknown_sizes(x: Any, caller: str, name: str) -> None:
    """TypeError for an array of another kind that does not know yet how long it is."""
    if not all(n == n for n in x.shape):
        raise TypeError(
            f"{caller}: {name} has shape {x.shape}, with blocks of unknown sizes, and gradients must know them: "
            "x.compute_chunk_sizes() finds out"
        )


def in_blocks(*arrays: Any) -> bool:
    """Whether one of these is an array in blocks, computed when its numbers are asked for: Dask's."""
    return any(type(a) is not np.ndarray and hasattr(type(a), "map_blocks") for a in arrays)


def of_matrices(function: Callable) -> Callable:
    """A function of stacks of matrices (vectors, where an array has one axis), which takes arrays in blocks as well.

    Dask lacks most of NumPy's linear algebra, or has it for some kinds of blocks.  There each stack of whole matrices
    is a task.
    """

    @functools.wraps(function)
    def of_all_kinds(*arrays: Any, **params: Any) -> Any:
        if not in_blocks(*arrays):
            return function(*arrays, **params)
        return _on_cores(functools.partial(function, **params), 2, arrays)

    return of_all_kinds


def along_axis(function: Callable) -> Callable:
    """The same of a function along one axis, its keyword `axis`, of which the result has as many axes."""

    @functools.wraps(function)
    def of_all_kinds(*arrays: Any, axis: int | None = -1, **params: Any) -> Any:
        if not in_blocks(*arrays):
            return function(*arrays, axis=axis, **params)
        if axis is None:
            arrays, axis = (np.reshape(arrays[0], (-1,)), *arrays[1:]), -1
        y = _on_cores(functools.partial(function, axis=-1, **params), 1, [np.moveaxis(a, axis, -1) for a in arrays])
        return np.moveaxis(y, -1, axis)

    return of_all_kinds


def _on_cores(function: Callable, axes: int, arrays: Sequence[Any]) -> Any:
    """`function` of the last axes of arrays, whole, and of blocks of all others: nothing is computed here.

    What shape and dtype come of it is seen by an array of zeros and ones of the shape of one matrix or vector.
    """
    from dask.array import apply_gufunc  # it is Dask's, so it is there

    cores = [a.shape[max(a.ndim - axes, 0) :] for a in arrays]
    ones = [np.eye(*core) if len(core) == 2 else np.zeros(core) for core in cores]
    sample = function(*[one.astype(a.dtype) for one, a in zip(ones, arrays, strict=True)])
    names = [",".join(f"d{i}{k}" for k in range(len(core))) for i, core in enumerate(cores)]
    made = [f"c{k}" for k in range(sample.ndim)]
    return apply_gufunc(
        function, f"{','.join(f'({n})' for n in names)}->({','.join(made)})", *arrays, allow_rechunk=True,
        output_sizes=dict(zip(made, sample.shape, strict=True)), output_dtypes=sample.dtype,
    )  # fmt: skip


def reshaped(x: Any, shape: tuple[int, ...]) -> Any:
    """`np.reshape`; blocks that do not fit the new shape are joined first."""
    if type(x) is np.ndarray or not in_blocks(x):
        return np.reshape(x, shape)
    if not x.size:
        return np.zeros_like(x, shape=np.empty(x.shape).reshape(shape).shape)
    try:
        return x.reshape(shape)
    except (NotImplementedError, ValueError):
        return x.rechunk(-1).reshape(shape)
