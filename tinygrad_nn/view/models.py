"""A network as something to draw: what it makes of a batch, or of an example of zeros where none is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.modes import enable_grad
from tinygrad_nn.operation import Traced
from tinygrad_nn.tensor import tensor

__all__ = ["is_model", "output_of"]


def is_model(x: Any) -> bool:
    """Whether it is a network: known by what it can do, as nn knows of pictures no more than pictures of nn."""
    return callable(x) and not isinstance(x, type) and hasattr(x, "named_parameters") and hasattr(x, "evaluating")


def output_of(model: Any, X: Any = None) -> tuple[Any, str]:
    """What a model makes of X, recorded and as in prediction; and a remark where X had to be made up.

    ValueError where nothing tells what shape X has, or the model refuses it.
    """
    remark = ""
    if hasattr(model, "_network_input"):  # what stands before a network makes columns of tables
        X = None if X is None else model._network_input(X)
    if X is None:
        X, what = _made_up(model)
        remark = f"No batch was given: what is drawn is the network's answer to {what}"
    elif not isinstance(X, Traced):
        X = np.asarray(X)
        if X.dtype.kind not in "fiub":
            raise TypeError(f"draw(model, X): X is a batch of numbers (features, N), not of dtype {X.dtype}")
    if not isinstance(X, Traced):
        dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float64))
        X = tensor(X, requires_grad=not any(True for _ in model.parameters()), dtype=dtype, name="X")
    try:
        with enable_grad(), model.evaluating():
            output = model(X)
    except Exception as reason:
        if not remark:
            raise
        raise ValueError(_unknown(model, f"it refuses a column of {X.shape[0]} numbers: {reason}")) from reason
    if not isinstance(output, Traced):
        kinds = f"{type(model).__name__} returns a {type(output).__name__}"
        raise ValueError(f"draw: {kinds}, and only tensors can be drawn: draw one of its parts")
    return output, remark


def _made_up(model: Any) -> tuple[np.ndarray, str]:
    """A column for a model, and what it is: as the first layer with parameters knows, or what stands before it."""
    for part in model.modules():
        X = part._example_columns(1) if hasattr(part, "_example_columns") else None
        if X is not None:
            return X, f"one example, made up, with {len(X)} features"
        shapes = {name: np.shape(x.value) for name, x in vars(part).items() if _is_parameter(x)}
        if len(shapes.get("W", ())) == 2:
            return _zeros(shapes["W"][1])
        if shapes:
            columns = {shape[0] for shape in shapes.values() if len(shape) == 2 and shape[1] == 1}
            if len(columns) == 1 and len(shapes) > 1:
                return _zeros(columns.pop())
            break
    raise ValueError(_unknown(model, "no first layer tells what goes in"))


def _zeros(features: int) -> tuple[np.ndarray, str]:
    return np.zeros((features, 1)), f"one column of {features} zeros"


def _is_parameter(x: Any) -> bool:
    return isinstance(x, Traced) and x.tracked


def _unknown(model: Any, why: str) -> str:
    return f"draw: {type(model).__name__} needs a batch to be drawn, as {why}; give one, as in draw(model, X)"
