"""What a derivative rule returns is made to fit the input it belongs to: summed and cast."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_nn.errors import wrong_rule
from tinygrad_nn.foreign import like
from tinygrad_nn.operands import REAL
from tinygrad_nn.operation import Traced

__all__ = ["array_of", "fitted", "unbroadcast"]

FEW = 1 << 9  # numbers that may be summed one by one; beyond, NumPy's pairwise summation is more accurate


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum over what broadcasting repeated: the gradient of an input of this shape."""
    if g.ndim == 2 and shape == (g.shape[0], 1) and g.shape[1] <= FEW and g.dtype.char in "fd":
        ones = _ones(g.shape[1], g.dtype)  # BLAS is the quickest to sum rows: every bias takes this way
        if type(g) is np.ndarray:
            return g.dot(ones)
        if isinstance(g, Traced) and not g.tracked:
            return np.matmul(g, like(ones, g))  # type: ignore[call-overload]
    extra = g.ndim - len(shape)
    if extra < 0:
        return np.broadcast_to(g, shape)
    axes = _repeated(g.shape, shape)
    if axes:  # `np.sum` takes a Python detour that small arrays feel
        g = np.add.reduce(g, axis=axes, keepdims=True) if type(g) is np.ndarray else np.sum(g, axes, keepdims=True)
    if extra:
        g = np.reshape(g, g.shape[extra:])
    return g if g.shape == shape else np.broadcast_to(g, shape)


@lru_cache(maxsize=1000)
def _repeated(long: tuple[int, ...], short: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which broadcasting repeats an array of shape `short` to make one of shape `long`."""
    extra = len(long) - len(short)
    return tuple([i for i, n in enumerate(long) if i < extra or (short[i - extra] == 1 and n != 1)])


@lru_cache(maxsize=1000)
def _ones(n: int, dtype: np.dtype) -> np.ndarray:
    column = np.ones((n, 1), dtype)
    column.flags.writeable = False
    return column


def fitted(part: Any, node: Any, slot: int) -> Any:
    """What a rule has returned, in the shape and dtype of the input it belongs to."""
    value = node.inputs[slot]._value
    if isinstance(part, Traced):
        part = part.fitted_to(value, node._value)
    try:
        if part.shape != value.shape:
            part = unbroadcast(part, value.shape)
        return part if part.dtype == value.dtype else _cast(part, value.dtype)
    except (AttributeError, ValueError):
        raise wrong_rule(node, slot, part) from None


def _cast(part: Any, dtype: np.dtype) -> Any:
    if part.dtype.kind not in REAL:
        raise ValueError(f"no real numbers: {part.dtype}")
    return part.astype(dtype)


def array_of(x: Any) -> Any:
    """The array of a tensor; anything else as it is."""
    return getattr(x, "_value", x)
