"""Forward mode over recorded operations: Jacobian-vector products, from the kinds of their Jacobians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_nn.anomalies import refuse_non_finite_part
from tinygrad_nn.autodiff import history
from tinygrad_nn.modes import MODE
from tinygrad_nn.operation import Op, Traced
from tinygrad_nn.parts import array_of, exact_zeros

__all__ = ["pushforward", "tangent_of"]


def pushforward(
    outputs: Sequence[Any], inputs: Sequence[Any], tangents: Sequence[Any], record: bool = False
) -> list[Any]:
    """Jacobian-vector products: how the outputs move when the inputs move by `tangents`.  None where one does not."""
    anomalies = MODE.get().anomalies
    tangent_at: dict[int, Any] = {x.index: t for x, t in zip(inputs, tangents, strict=True)}
    with np.errstate(all="ignore"):
        for node in history(outputs, inputs):
            if node.op is None or node.index in tangent_at:
                continue
            node.check_unchanged()
            y = node if record else node._value
            values = node.inputs if record else [array_of(x) for x in node.inputs]
            along = [tangent_at.get(x.index) if isinstance(x, Traced) else None for x in node.inputs]
            tangent = tangent_of(node.op, along, y, values, node.params or {})
            if tangent is not None:
                if anomalies:
                    refuse_non_finite_part(node, -1, tangent)
                tangent_at[node.index] = tangent
    return [tangent_at.get(node.index) for node in outputs]


def tangent_of(op: Op, tangents: Sequence[Any], y: Any, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    """The tangent of one operation's output, from the kind of its Jacobian."""
    if op.jvp is not None:
        return op.jvp(tangents, y, *inputs, **params)
    given = [(slot, t) for slot, t in enumerate(tangents) if t is not None and op.vjps[slot] is not None]
    if not given:
        return None
    if op.kind == "linear":
        every = [np.zeros_like(x) if t is None else t for x, t in zip(inputs, tangents, strict=True)]
        return op.apply(every, params)
    total: Any = None
    for slot, t in given:
        if op.kind == "multilinear":
            part = op.apply([t if i == slot else x for i, x in enumerate(inputs)], params)
        elif op.kind in ("elementwise", "symmetric"):  # the Jacobian equals its transpose
            t = t if t.shape == y.shape else np.broadcast_to(t, y.shape)
            part = op.vjps[slot](t, y, *inputs, **params)
            if op.kind == "elementwise":
                part = exact_zeros(t, part)
        elif op.kind == "reduction":  # each row of the Jacobian is the gradient of one output element
            slopes = op.vjps[slot](np.ones_like(y), y, *inputs, **params)
            axes = {k: v for k, v in params.items() if k in ("axis", "keepdims")}
            part = np.sum(slopes * t, **axes)
        else:
            raise NotImplementedError(f"{op.name} has no forward-mode rule: give its entry a kind or a jvp")
        part = part if part.shape == y.shape else np.broadcast_to(part, y.shape)
        total = part if total is None else total + part
    return total.astype(y.dtype) if total.dtype != y.dtype else total
