"""Layers made of layers, and the one that makes columns of images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

import numpy as np

from tinygrad_nn.errors import ShapeError
from tinygrad_nn.nn.arguments import level_name
from tinygrad_nn.nn.dense import Activate, Activation, Dense
from tinygrad_nn.nn.module import Module
from tinygrad_nn.nn.report import Row
from tinygrad_nn.nn.sparse import is_sparse
from tinygrad_nn.ops import shaping
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["Flatten", "Residual", "Sequential", "in_order"]


class Sequential(Module):
    """Layers one after the other: each gets what the one before it returns.

    Parameters
    ----------
    layers : modules, or functions of a tensor, which become an `Activation`.

    The dense layers among them, nested ones included, are numbered: parameters are called W¹ b¹, W² b² ..., results
    Z¹ A¹ ... .  A plain array is copied into a tensor X of the dtype of the first parameter.  Indexing gives a layer,
    slicing a `Sequential` of the same layers, which keep their names.

    >>> import numpy as np, tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 1, rng=1))
    >>> [p.name for p in model.parameters()], model(np.zeros((2, 5))).name
    (['W¹', 'b¹', 'W²', 'b²'], 'Z²')

    Source: M. Thill, "Yet another Neural Networks Introduction", section "Summary: Forward Pass Through the Network".
    """

    def __init__(self, *layers: Module | Activate):
        for i, layer in enumerate(layers):
            if not callable(layer):
                raise TypeError(
                    f"Sequential: layer {i} is of type {type(layer).__name__}, expected a module or a function; "
                    "give the layers one by one, as in Sequential(*layers)"
                )
        self.layers = tuple(m if isinstance(m, Module) else Activation(m) for m in layers)
        self._dtype = next((p.dtype for p in self.parameters()), np.dtype(np.float64))
        self.number_layers()

    def forward(self, X: Any) -> Any:
        """What the last layer makes of what the others have made of X."""
        if type(X) is not Tensor and not is_sparse(X):
            X = tensor(X, dtype=self._dtype, name="X")
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        if not isinstance(index, slice):
            return self.layers[index]
        part = Sequential()
        part.layers, part._dtype, part.training = self.layers[index], self._dtype, self.training
        return part

    def _settings(self) -> dict[str, Any]:
        return {"layers": [layer.config() for layer in self.layers]}


class Residual(Module):
    """A shortcut around layers: ``x + f(x)``, so that f learns the difference from the identity.

    Parameters
    ----------
    layers : f, one module, or several that follow one another.  f(x) must have the shape of x.

    Raises ShapeError where it has not.

    >>> import numpy as np, tinygrad_nn as tn
    >>> block = tn.nn.Residual(tn.nn.Dense(3, 3, "tanh", init="zeros"))
    >>> block(np.ones((3, 1))).tolist()
    [[1.0], [1.0], [1.0]]

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016.
    """

    def __init__(self, *layers: Module | Activate):
        self.f = layers[0] if len(layers) == 1 and isinstance(layers[0], Module) else Sequential(*layers)
        self._name = "residual"

    def forward(self, X: Any) -> Tensor:
        """x + f(x)."""
        change = self.f(X)
        if np.shape(change) != np.shape(X):
            raise ShapeError(
                f"{self._name}: f(x) has shape {np.shape(change)}, x has shape {np.shape(X)}; they must be equal"
            )
        return (X + change).named(self._name)

    def _number_from(self, level: int) -> int:
        self._name = level_name("residual", level + sum(isinstance(module, Dense) for module in self.f.modules()))
        return level

    def _rows(self, source: str) -> tuple[list[tuple[Module, Row]], str]:
        rows, change = self.f._rows(source)
        return [*rows, (self, Row(((self._name, f"{source} + {change}", ""),)))], self._name

    def _signature(self) -> str:
        return "Residual"

    def _settings(self) -> dict[str, Any]:
        return {"layers": [self.f.config()]}


class Flatten(Module):
    """Each example as one column: (c, h, w, N) becomes (c·h·w, N).

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.Flatten()(np.zeros((3, 8, 8, 5))).shape
    (192, 5)
    """

    _name = "flatten"

    def forward(self, X: Any) -> Any:
        """One column for each example."""
        *example, n = np.shape(X)
        columns = shaping.reshape(X, (int(np.prod(example)), n))
        if type(columns) is Tensor:
            columns.name = self._name
        return columns

    def _number_from(self, level: int) -> int:
        self._name = level_name("flatten", level)
        return level

    def _row(self, source: str) -> Row:
        return Row(((self._name, f"columns of {source}", ""),))

    def _settings(self) -> dict[str, Any]:
        return {}


def in_order(network: Any) -> list[Any]:
    """The layers one after the other, of networks within networks too; what is none of these is one by itself."""
    if isinstance(network, Sequential) and type(network).forward is Sequential.forward and len(network):
        return [layer for part in network for layer in in_order(part)]
    return [network]
