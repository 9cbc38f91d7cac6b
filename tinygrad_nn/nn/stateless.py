"""A module as a function of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tinygrad_nn import tree
from tinygrad_nn.errors import ShapeError
from tinygrad_nn.nn.module import Module
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["functional_call"]


def functional_call(module: Module, parameters: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """What the module returns with other parameters (or buffers) in the place of its own; it stays as it is.

    Parameters
    ----------
    parameters : tensors or arrays by path, as `named_parameters` and `state_dict` name them; what is not named is the
        module's own.
    args, kwargs : of the call of the module.

    Raises
    ------
    ValueError : a path that the module has not.  ShapeError : another shape.

    >>> import numpy as np, tinygrad_nn as tn
    >>> model, X = tn.nn.Dense(2, 1), np.array([[1.0], [2.0]])
    >>> W, b = np.array([[3.0, 4.0]]), np.array([[5.0]])
    >>> tn.nn.functional_call(model, {"W": W, "b": b}, X).item()
    16.0
    >>> tn.grad(lambda p: tn.nn.functional_call(model, p, X).sum())({"W": W, "b": b})["W"]
    array([[1., 2.]])
    """
    mine, name = dict(module.named_tensors()), type(module).__name__
    unknown = [path for path in parameters if path not in mine]
    if unknown:
        raise ValueError(f"functional_call: {name} has no {', '.join(unknown)}; it has {', '.join(mine) or 'nothing'}")
    others: dict[int, Tensor] = {}
    for path, given in parameters.items():
        new = given if isinstance(given, Tensor) else tensor(given)
        if new.shape != mine[path].shape:
            raise ShapeError(f"functional_call: {path} of {name} has shape {mine[path].shape}, the given {new.shape}")
        others[id(mine[path])] = new
    with _holding(module, others):
        return module(*args, **kwargs)


@contextmanager
def _holding(module: Module, others: dict[int, Tensor]) -> Iterator[None]:
    """Within it, the module and its parts hold these tensors in the place of those with the given ids."""
    before = []
    for part in module.modules():
        for name, value in vars(part).items():
            if any(id(leaf) in others for leaf in tree.leaves(value)):
                before.append((part, name, value))
    try:
        for part, name, value in before:
            vars(part)[name] = tree.map(lambda leaf: others.get(id(leaf), leaf), value)
        Module.changes += 1
        yield
    finally:
        for part, name, value in before:
            vars(part)[name] = value
        Module.changes += 1
