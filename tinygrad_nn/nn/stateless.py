"""A module that holds other tensors than its own: for a call, as a function of its parameters, or tied from then on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tinygrad_nn import tree
from tinygrad_nn.errors import ShapeError
from tinygrad_nn.nn.module import Module
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["functional_call", "tie"]


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


def tie(model: Module, paths: Iterable[Sequence[str]]) -> None:
    """Let the model hold at all paths of each group what it holds at the first; ValueError for a path that it has not.

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Dense(2, 2), tn.nn.Dense(2, 2))
    >>> tie(model, [["layers.0.W", "layers.1.W"]])
    >>> model[1].W is model[0].W, model.tied_paths()
    (True, [['layers.0.W', 'layers.1.W']])
    """
    for first, *others in paths:
        held = dict(model._everything())
        unknown = [path for path in (first, *others) if path not in held]
        if unknown:
            raise ValueError(f"{type(model).__name__} has no {unknown[0]}, which is tied")
        same = held[first]
        if any(isinstance(held[path], Tensor) and held[path].shape != same.shape for path in others):
            raise ValueError(f"{', '.join(others)} has another shape than {first}, to which it is tied")
        _exchange(model, {id(held[path]): same for path in others})
    Module.changes += 1


def _exchange(module: Module, others: Mapping[int, Any]) -> list[tuple[Module, str, Any]]:
    """Hold these in the place of what has the given ids; returns part, attribute and value before."""
    before = []
    for part in module.modules():
        for name, value in vars(part).items():
            if any(id(leaf) in others for leaf in tree.leaves(value)):
                before.append((part, name, value))
    for part, name, value in before:
        vars(part)[name] = tree.map(lambda leaf: others.get(id(leaf), leaf), value)
    return before


@contextmanager
def _holding(module: Module, others: dict[int, Tensor]) -> Iterator[None]:
    """Within it, the module and its parts hold these tensors in the place of those with the given ids."""
    before = _exchange(module, others)
    try:
        Module.changes += 1
        yield
    finally:
        for part, name, value in before:
            vars(part)[name] = value
        Module.changes += 1
