"""Parameters as one long vector, which is how quasi-Newton methods and SciPy see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import gradients
from tinygrad_nn.tensor import Tensor

__all__ = ["Flat"]


class Flat:
    """The elements of `params`, one parameter after the other, as a vector that can be read and written."""

    def __init__(self, params: Iterable[Tensor]):
        self.params = list(params)
        self.ends = np.cumsum([p.size for p in self.params])
        self.size = int(self.ends[-1]) if self.params else 0
        self.dtype = np.result_type(*(p.dtype for p in self.params))

    def join(self, arrays: Sequence[Any]) -> np.ndarray:
        """The vector of arrays in the shapes of the parameters."""
        return np.concatenate([np.ravel(a) for a in arrays])

    def split(self, x: np.ndarray) -> list[np.ndarray]:
        """The way back: pieces in the shapes of the parameters."""
        pieces = np.split(x, self.ends[:-1])
        return [piece.reshape(p.shape) for piece, p in zip(pieces, self.params, strict=True)]

    def read(self) -> np.ndarray:
        """A copy of the parameters."""
        return self.join([p.value for p in self.params])

    def write(self, x: np.ndarray) -> None:
        """Give the parameters these values, in place."""
        for p, piece in zip(self.params, self.split(x), strict=True):
            p.value[...] = piece
            p.changed()

    def gradient(self, loss: Callable[[], Tensor]) -> tuple[Tensor, np.ndarray]:
        """The loss where the parameters are now, and its gradient."""
        J = loss()
        return J, self.join(gradients(J, self.params))
