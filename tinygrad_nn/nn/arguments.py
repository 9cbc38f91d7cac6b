"""What the layers share: checks of their arguments, and names by position, such as W¹."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_nn.notation import superscript
from tinygrad_nn.tensor import Tensor

__all__ = ["count", "float_dtype", "level_name", "number", "parameter", "rename"]


def level_name(name: str, level: int) -> str:
    """The name of something in layer ℓ: W¹ for "W" and 1."""
    return name + superscript(level)


def count(value: Any, name: str, caller: str) -> int:
    """The value as an int, which must be at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{caller}: {name}={value!r} is of type {type(value).__name__}, expected an int") from None
    if number < 1:
        raise ValueError(f"{caller}: {name}={number}, expected at least 1")
    return number


def number(value: Any, name: str, caller: str, high: float = math.inf) -> float:
    """The value as a float, which must be from 0 to `high`."""
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{caller}: {name}={value!r} is of type {type(value).__name__}, expected a number")
    if not 0 <= float(value) <= high:
        raise ValueError(
            f"{caller}: {name}={value}, expected {'at least 0' if high == math.inf else f'from 0 to {high:g}'}"
        )
    return float(value)


def float_dtype(dtype: DTypeLike | None, caller: str) -> np.dtype[Any]:
    """The dtype, float64 if None; TypeError for other kinds of numbers."""
    found = np.dtype(np.float64 if dtype is None else dtype)
    if found.kind != "f":
        raise TypeError(f"{caller}: dtype={found}, expected a floating-point dtype such as np.float32")
    return found


def parameter(value: Any, name: str) -> Tensor:
    """A tensor that is trained."""
    return Tensor(value, True, name)


def rename(parameter: Tensor | None, old: str, new: str) -> None:
    """Change the name of a parameter, unless the user has chosen it."""
    if parameter is not None and parameter.name == old:
        parameter.name = new
