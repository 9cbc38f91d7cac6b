"""Forward mode over recorded operations: Jacobian-vector products, from the kinds of their Jacobians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_nn.anomalies import refuse_non_finite_part
from tinygrad_nn.autodiff import history
from tinygrad_nn.exact_zeros import ANY, ahead, behind, both, given_zeros, moved_by, multiplies, with_exact_zeros
from tinygrad_nn.modes import MODE
from tinygrad_nn.operation import Op
from tinygrad_nn.parts import array_of

__all__ = ["pushforward", "tangent_of"]


def pushforward(
    outputs: Sequence[Any], inputs: Sequence[Any], tangents: Sequence[Any], record: bool = False
) -> list[Any]:
    """Jacobian-vector products: how the outputs move when the inputs move by `tangents`.  None where one does not."""
    anomalies = MODE.get().anomalies
    tangent_at: dict[int, Any] = {x.index: t for x, t in zip(inputs, tangents, strict=True)}
    zeros_at: dict[int, Any] = {x.index: given_zeros(t) for x, t in zip(inputs, tangents, strict=True)}
    with np.errstate(all="ignore"):
        for node in history(outputs, inputs):
            if node.op is None or node.index in tangent_at:
                continue
            node.check_unchanged()
            y = node if record else node._value
            values = node.inputs if record else [array_of(x) for x in node.inputs]
            moving = {slot: node.inputs[slot].index for slot in node.slots if node.inputs[slot].index in tangent_at}
            along = {slot: tangent_at[index] for slot, index in moving.items()}
            zeros = {slot: zeros_at[index] for slot, index in moving.items()}
            tangent, zeros_at[node.index] = _moved(node.op, along, zeros, y, values, node.params or {}, record)
            if anomalies:
                refuse_non_finite_part(node, -1, tangent)
            tangent_at[node.index] = tangent
    return [tangent_at.get(node.index) for node in outputs]


def tangent_of(op: Op, tangents: Sequence[Any], y: Any, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    """The tangent of one operation's output; None for an argument without one.  Here every zero blocks an infinity."""
    along = {slot: t for slot, t in enumerate(tangents) if t is not None and op.differentiable(slot)}
    return _moved(op, along, dict.fromkeys(along, ANY), y, inputs, params)[0] if along else None


def _moved(
    op: Op, along: dict[int, Any], zeros: dict[int, Any], y: Any, inputs: Sequence[Any], params: dict[str, Any],
    record: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """The tangent of an operation's output and its exact zeros, given those of the arguments that move, by slot."""
    arrays = (array_of(y), [array_of(x) for x in inputs], params, record)
    if op.jvp is not None and not multiplies(op):
        exact = ahead(op, zeros, *arrays) if op.entries else None
        return op.jvp([along.get(slot) for slot in range(len(inputs))], y, *inputs, **params), exact
    if op.kind == "linear":
        every = [along[slot] if slot in along else np.zeros_like(x) for slot, x in enumerate(inputs)]
        return _cast(op.apply(every, params), y), ahead(op, zeros, *arrays)
    total, blocked = None, ANY
    for slot, t in along.items():
        if multiplies(op):
            part, exact = moved_by(op, slot, t, zeros[slot], y, inputs, arrays[:3], record)
        elif op.kind == "elementwise":  # the Jacobian equals its transpose
            part = op.vjps[slot](_stretched(t, y.shape), y, *inputs, **params)
            (exact,) = behind(op, (slot,), _stretched(zeros[slot], y.shape), *arrays)
            part = with_exact_zeros(part, exact, t)
        elif op.kind == "reduction":
            part, exact = _reduced(op, slot, t, zeros[slot], y, inputs, params, record)
        elif op.kind == "symmetric":
            part, exact = op.vjps[slot](_stretched(t, y.shape), y, *inputs, **params), None
        else:
            raise NotImplementedError(f"{op.name} has no forward-mode rule: give its entry a kind or a jvp")
        part, exact = _stretched(part, y.shape), _stretched(exact, y.shape)
        total, blocked = (part, exact) if total is None else (total + part, both(blocked, exact))
    return _cast(total, y), blocked


def _reduced(
    op: Op, slot: int, t: Any, zeros: Any, y: Any, inputs: Sequence[Any], params: dict[str, Any], record: bool
) -> tuple[Any, Any]:
    """Of a reduction, each row of the Jacobian is the gradient of one output element."""
    slopes = op.vjps[slot](np.ones_like(y), y, *inputs, **params)
    axes = {k: v for k, v in params.items() if k in ("axis", "keepdims")}
    (own,) = behind(op, (slot,), None, array_of(y), [array_of(x) for x in inputs], params, record)
    if zeros is None or own is None:
        zeros = own if zeros is None else zeros
    elif zeros is not ANY:
        zeros = np.logical_or(zeros, own)
    part = np.sum(with_exact_zeros(slopes * t, zeros, t), **axes)
    return part, zeros if zeros is None or zeros is ANY else np.all(zeros, **axes)


def _stretched(x: Any, shape: tuple[int, ...]) -> Any:
    """A tangent, or its exact zeros, in the shape of what broadcasting makes of it."""
    return x if x is None or x is ANY or x.shape == shape else np.broadcast_to(x, shape)


def _cast(tangent: Any, y: Any) -> Any:
    return tangent.astype(y.dtype) if tangent.dtype != y.dtype else tangent
