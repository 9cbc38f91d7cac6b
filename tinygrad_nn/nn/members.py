"""What an attribute of a module may hold: parameters, frozen ones, buffers, and anything else."""

from __future__ import annotations

from typing import Any

from tinygrad_nn import tree
from tinygrad_nn.tensor import Tensor

__all__ = ["described", "is_buffer", "is_parameter", "is_several", "was_parameter"]


def is_parameter(member: Any) -> bool:
    """A tensor that is trained."""
    return isinstance(member, Tensor) and member.tracked and member.op is None


def was_parameter(member: Any) -> bool:
    """A parameter, or one that has been frozen: it is part of the state all the same."""
    return is_parameter(member) or (isinstance(member, Tensor) and member.is_frozen)


def is_buffer(value: Any) -> bool:
    """What a buffer may be: a tensor of numbers that no gradient flows through, or nothing yet."""
    return value is None or (isinstance(value, Tensor) and value.op is None and not value.tracked)


def is_several(value: Any) -> bool:
    """A container of arrays; a list of numbers is one array."""
    return tree.is_container(value) and not all(isinstance(leaf, (int, float)) for leaf in tree.leaves(value))


def described(value: Any) -> str:
    """What a value is, in words."""
    if isinstance(value, Tensor):
        needs = "a" if value.tracked else "no"
        return f"the result of {value.op.name}" if value.op else f"a tensor that requires {needs} gradient"
    return f"a value of type {type(value).__name__}"
