"""The guard against NaN and infinity: under `detect_anomaly` the first one is refused, and traced to its operation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.errors import NonFiniteError, label
from tinygrad_nn.operation import Op, Traced, numbers_of
from tinygrad_nn.origin import quoted

__all__ = ["refuse_non_finite_part", "refuse_non_finite_value"]


def refuse_non_finite_value(result: Any, op: Op, args: tuple) -> None:
    """NonFiniteError if the result of an operation is not finite, or one of its operands was not."""
    value = numbers_of(result)
    if value.dtype.kind != "f" or np.isfinite(value).all():
        return
    for a, role in zip(args, op.arguments, strict=False):
        if isinstance(a, Traced) and a.dtype.kind == "f" and not np.isfinite(numbers_of(a)).all():
            raise NonFiniteError(f"{label(a, role)}, given to {op.public_name}, is not finite already{quoted(result)}")
    raise NonFiniteError(f"{_call(op, args)} is not finite: {_first_bad(value)}{quoted(result)}")


def refuse_non_finite_part(node: Any, slot: int, part: Any) -> None:
    """NonFiniteError if a part that a node sends to an input is not finite; of a tangent, `slot` is -1."""
    part = numbers_of(part)
    if np.isfinite(part).all():
        return
    call = _call(node.op, node.inputs)
    if slot < 0:
        raise NonFiniteError(f"the tangent of {call} is not finite: {_first_bad(part)}{quoted(node)}")
    x = label(node.inputs[slot], node.op.arguments[min(slot, len(node.op.arguments) - 1)])
    raise NonFiniteError(f"the gradient of {call} with respect to {x} is not finite: {_first_bad(part)}{quoted(node)}")


def _call(op: Op, args: tuple) -> str:
    names: Any = op.arguments
    if len(args) != len(names):
        names = [f"{names[0]}[{i}]" for i in range(len(args))]
    return f"{op.public_name}({', '.join(label(a, n) for a, n in zip(args, names, strict=True))})"


def _first_bad(values: Any) -> str:
    values = np.asarray(values)
    where = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(~np.isfinite(values))))
    return f"{np.atleast_1d(values)[where]}" + (f" at index {where}" if values.ndim else "")
