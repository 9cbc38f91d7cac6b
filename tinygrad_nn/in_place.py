"""Python's in-place operators: `t += x` changes a tensor where nothing is recorded, and else makes a new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.errors import MutationError, ShapeError, label
from tinygrad_nn.modes import ACTIVE, MODE

__all__ = ["give_in_place_operators"]

REPLACEABLE: dict[str, Any] = {ACTIVE: False}  # `params` of an example of vmap: `x += 1` makes another one
_OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor",
              "lshift", "rshift")  # fmt: skip


def give_in_place_operators(kind: type) -> None:
    """Let `t += x` and its like follow one rule, for all the operators that a class of tensors has."""
    for name in _OPERATORS:
        if hasattr(kind, f"__{name}__"):
            setattr(kind, f"__i{name}__", _in_place(getattr(kind, f"__{name}__")))


def _in_place(operator: Callable) -> Callable:
    def method(self: Any, other: Any) -> Any:
        return _stored(self, operator(self, other))

    return method


def _stored(t: Any, result: Any) -> Any:
    """The tensor that an in-place operator with this result leaves under the name of `t`.

    Where the result is recorded, it is a new tensor.  A tensor that the user made and that requires a gradient is not
    to be replaced: others hold it, and wait for its change.  A transform's variables are the exception.
    """
    mode = MODE.get()
    if t.params == REPLACEABLE and t.op is None:
        return result
    if mode.grad and (result.requires_grad or t.requires_grad):
        if t.op is None and t.requires_grad and not mode.transformed:
            name = label(t, "the tensor")
            raise MutationError(
                f"{name} of shape {t.shape} requires a gradient, and a change in place cannot be recorded: change it "
                f"within tn.no_grad(), or make a new tensor, as in {label(t, 't')} = {label(t, 't')} + x"
            )
        return result
    if t.op is not None:
        raise MutationError(
            f"{label(t, 'the tensor')} of shape {t.shape} was made by {t.op.name}, and is not changed in place: "
            f"make a new tensor, as in {label(t, 't')} = {label(t, 't')} + x"
        )
    _check_fits(t, result)
    t.value[...] = result.value
    t.changed()
    return t


def _check_fits(t: Any, result: Any) -> None:
    name = label(t, "t")
    if result.shape != t.shape:
        raise ShapeError(
            f"{label(t, 'the tensor')} has shape {t.shape}, what is to be stored in it has shape {result.shape}: "
            f"make a new tensor, as in {name} = {name} + x"
        )
    if not np.can_cast(result.dtype, t.dtype, "same_kind"):
        raise TypeError(
            f"{label(t, 'the tensor')} has dtype {t.dtype}, what is to be stored in it has dtype {result.dtype}: "
            f"make a new tensor, as in {name} = {name} + x"
        )
