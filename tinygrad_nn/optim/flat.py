"""Parameters as one long vector, which is how quasi-Newton methods and SciPy see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import gradients
from tinygrad_nn.tensor import Tensor

__all__ = ["Flat"]


class Flat:
    """The elements of `params`, one parameter after the other, as a vector that can be read and written.

    Parameters of float16 are a vector of float32: products of its elements, as a quasi-Newton method needs, do not
    underflow there.
    """

    def __init__(self, params: Iterable[Tensor]):
        self.params = list(params)
        self.ends = np.cumsum([p.size for p in self.params])
        self.size = int(self.ends[-1]) if self.params else 0
        self.dtype = np.result_type(*(p.dtype for p in self.params))
        if self.dtype == np.float16:
            self.dtype = np.dtype(np.float32)

    def join(self, arrays: Sequence[Any]) -> np.ndarray:
        """The vector of arrays in the shapes of the parameters."""
        return np.concatenate([np.ravel(a) for a in arrays])

    def split(self, x: np.ndarray) -> list[np.ndarray]:
        """The way back: pieces in the shapes of the parameters."""
        pieces = np.split(x, self.ends[:-1])
        return [piece.reshape(p.shape) for piece, p in zip(pieces, self.params, strict=True)]

    def read(self) -> np.ndarray:
        """A copy of the parameters."""
        return self._widened(self.join([p.value for p in self.params]))

    def _widened(self, x: Any) -> Any:
        return x if x.dtype == self.dtype else x.astype(self.dtype)

    def write(self, x: np.ndarray) -> None:
        """Give the parameters these values, in place."""
        for p, piece in zip(self.params, self.split(x), strict=True):
            p.value[...] = piece
            p.changed()

    def gradient(self, loss: Callable[[], Tensor]) -> tuple[Tensor, np.ndarray]:
        """The loss where the parameters are now, and its gradient, which is 0 for parameters that are frozen."""
        J = loss()
        found = iter(gradients(J, [p for p in self.params if p.requires_grad]))
        g = self.join([next(found) if p.requires_grad else np.zeros_like(p.value) for p in self.params])
        return J, self._widened(g)

    def zero_where_frozen(self, x: Any) -> Any:
        """The vector with zeros in the place of parameters that are frozen."""
        if all(p.requires_grad for p in self.params):
            return x
        return x * self.join([np.full(p.shape, p.requires_grad, self.dtype) for p in self.params])
