"""Central differences of a function of arrays, and their limit as the step goes to 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["Projection", "value_of"]

LOOKS = 12  # steps of a table, each a quarter of the one before


def value_of(y: Any) -> np.ndarray:
    """The value of a result, in double precision."""
    return np.asarray(y.value if isinstance(y, Tensor) else y, dtype=np.float64)


@dataclass(frozen=True)
class Projection:
    """⟨weights, f(inputs)⟩: one number, whose gradient tells of all elements of the output at once."""

    f: Callable
    inputs: list[Any]
    weights: np.ndarray
    precision: float  # rounding error of the coarsest dtype

    def usual_step(self, i: int, at: tuple) -> float:
        """Where truncation, of order h², and rounding, of order 1/h, balance."""
        return self.precision ** (1 / 3) * max(1.0, abs(float(self.inputs[i].value[at])))

    def at(self, i: int, at: tuple, h: float) -> tuple[np.ndarray, float]:
        """The terms of the projection with this element of input i moved by h, and where that is after rounding."""
        moved = np.array(self.inputs[i].value)
        moved[at] += h
        given = [tensor(moved, requires_grad=True) if j == i else a for j, a in enumerate(self.inputs)]
        return self.weights * value_of(self.f(*given)), float(moved[at])

    def difference(self, i: int, at: tuple, h: float) -> tuple[float, float]:
        """The central difference with step h, and how much rounding may have done to it."""
        (up, right), (down, left) = self.at(i, at, h), self.at(i, at, -h)
        width = right - left
        if not width:
            return np.nan, np.inf
        rounding = 10 * self.precision * float(np.sum(np.abs(down))) / abs(width)
        return float(np.sum(up) - np.sum(down)) / width, rounding

    def limit(self, i: int, at: tuple, start: float = 1.0) -> tuple[float, float]:
        """The derivative as the limit of central differences, and how uncertain that is: Ridders' method.

        Each column of the table removes one more power of h² from the error.  The entry that agrees best with its
        neighbours is where neither truncation nor rounding is felt.  `start` is the largest step, in usual ones: 1 for
        f that turn quickly, more for f that are rounded coarsely.

        Source: C. J. F. Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Adv. Eng. Softw. 4 (1982).
        """
        largest = start * self.usual_step(i, at)
        with np.errstate(all="ignore"):
            looks = [self._tried(i, at, largest / 4.0**k) for k in range(LOOKS)]
            slopes = np.array([slope for slope, _ in looks])
            if slopes.any():  # a step that no longer changes f, where others do, says nothing
                slopes[slopes == 0] = np.nan
            best, doubt, above = np.nan, np.inf, np.array([])
            for slope, (_, rounding) in zip(slopes, looks, strict=True):
                row = [slope]
                for j, corner in enumerate(above):
                    row.append(row[j] + (row[j] - corner) / (16.0 ** (j + 1) - 1))
                    spread = max(abs(row[j + 1] - row[j]), abs(row[j + 1] - corner)) + rounding
                    if j and spread < doubt:  # of three steps at least: two may agree by chance
                        best, doubt = row[j + 1], spread
                above = np.array(row)
        return best, doubt

    def _tried(self, i: int, at: tuple, h: float) -> tuple[float, float]:
        try:
            return self.difference(i, at, h)
        except (ValueError, ArithmeticError):  # a large step leaves the domain of f
            return np.nan, np.inf
