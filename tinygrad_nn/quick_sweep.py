"""The backward pass as it is computed: the numbers of `autodiff.sweep`, with less work."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from tinygrad_nn.parts import ZEROS_STAY, exact_zeros, fitted

__all__ = ["quick_sweep"]

SINGLE = np.float64  # the type of a single number


def quick_sweep(
    outputs: Sequence[Any], seeds: Sequence[Any], inside: set[int] | None = None, keep: set[int] | None = None
) -> dict[Any, Any]:
    """What `sweep` computes, on arrays: `inside` are the indices of the history of what is wanted, `keep` of what is.

    A heap finds the next node without ordering all of them first.  Values are compared with what they were only where
    somebody could have changed them.  Sums of parts that were made here are added to in place.
    """
    # by index: gradient, node, whether the gradient was made here by an addition, whether it comes from behind a choice
    pending: dict[int, list[Any]] = {}
    turns: list[int] = []  # the indices of those that send on, negative: the youngest is next
    for node, seed in zip(outputs, seeds, strict=True):
        if node.index in pending:
            pending[node.index][0] = pending[node.index][0] + seed
        elif inside is None or node.index in inside:
            pending[node.index] = [seed, node, False, False]
            if node.op is not None:
                heappush(turns, -node.index)
    results: dict[Any, Any] = {}
    while turns:
        index = -heappop(turns)
        g, node, _, behind = pending.pop(index)
        op, slots = node.op, node.slots
        if node.retain if keep is None else index in keep:
            results[node] = g
        if inside is not None:
            slots = [slot for slot in slots if node.inputs[slot].index in inside]
        y, inputs, params, kind, values = node._value, node.inputs, node.params, type(node), []
        unchanged = node.watch is None
        for x in inputs:
            if type(x) is kind:
                values.append(x._value)
                if x.watch is not None and (x.watch.exposed or x.watch.changed > index):
                    unchanged = False
            else:
                values.append(x)
        if not unchanged:
            node.check_unchanged()
        behind = behind and op.kind in ZEROS_STAY
        for slot in slots:
            rule, x = op.vjps[slot], inputs[slot]
            part = rule(g, y, *values, **params) if params else rule(g, y, *values)
            value = x._value
            if behind and op.kind == "elementwise" and has_nan(part):
                part = exact_zeros(g, part)
            if (type(part) is not SINGLE or type(value) is not SINGLE) and (
                type(part) is not np.ndarray or part.shape != value.shape or part.dtype is not value.dtype
            ):
                part = fitted(part, node, slot)
            entry = pending.get(x.index)
            if entry is None:
                pending[x.index] = [part, x, False, behind or op.selects]
                if x.op is not None:
                    heappush(turns, -x.index)
                continue
            if entry[2]:
                entry[0] += part
            else:
                entry[0] = entry[0] + part
                entry[2] = True
            if behind or op.selects:
                entry[3] = True
    for g, leaf, _, _ in pending.values():
        results[leaf] = g
    return results


def has_nan(part: Any) -> bool:
    """Whether there may be a NaN in it."""
    if type(part) is SINGLE:
        return bool(part != part)
    if type(part) is not np.ndarray:
        return True
    total = np.add.reduce(part, axis=None)
    return bool(total != total)
