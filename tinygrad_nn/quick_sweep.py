"""The backward pass as it is computed: the numbers of `autodiff.sweep`, with less work."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from tinygrad_nn.exact_zeros import DIRECT
from tinygrad_nn.operation import Traced, VariadicRule
from tinygrad_nn.parts import fitted

__all__ = ["quick_sweep"]

SINGLE = np.float64  # the type of a single number
FEW = 8  # of so many elements one is picked, or fewer: the rest of its gradient are zeros


def quick_sweep(
    outputs: Sequence[Any], seeds: Sequence[Any], inside: set[int] | None = None, keep: set[int] | None = None
) -> dict[Any, Any] | None:
    """What `sweep` computes, on arrays; None where a NaN may be 0 · ∞ behind a choice, which only `sweep` can tell.

    Where only some gradients are wanted, `keep` has the indices of their nodes, `inside` those of what leads to them.

    A NaN stays one on its way, as rules are linear: so products need no look, and what they come to is looked at.

    A heap finds the next node without ordering all of them first.  Values are compared with what they were only where
    somebody could have changed them.  Sums of parts that were made here are added to in place.
    """
    pending, turns = _start(outputs, seeds, inside)
    results: dict[Any, Any] = {}
    while turns:
        index = -heappop(turns)
        g, node, _, selected = pending.pop(index)
        op, slots = node.op, node.slots
        kept = node.retain if keep is None else index in keep
        if kept:
            results[node] = g
        if selected and (kept or not op.passes) and has_nan(g):
            return None
        if inside is not None:
            slots = [slot for slot in slots if node.inputs[slot].index in inside]
            if not slots:
                continue
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
        selected = op.passes and (selected or op.selects)
        doubtful = selected and op.kind in DIRECT
        rules, pair, parts = op.vjps, len(values) == 2 and not params, None
        if type(rules) is VariadicRule:
            parts = op.parts(slots, g, y, values, params or {})
        if pair:
            a, b = values
        for slot in slots:
            x = inputs[slot]
            if pair:  # what is unpacked takes longer
                part = rules[slot](g, y, a, b)
            elif parts is not None:
                part = next(parts)
            elif not params:
                part = rules[slot](g, y, *values)
            elif op.add_to is not None and _added(pending.get(x.index), g, node, values, selected):
                continue
            else:
                part = rules[slot](g, y, *values, **params)
            value, at = x._value, x.index
            if type(part) is np.ndarray:
                if part.shape != value.shape or part.dtype is not value.dtype:
                    part = fitted(part, node, slot)
            elif type(part) is not SINGLE or type(value) is not SINGLE:
                part = fitted(part, node, slot)
            if doubtful and (part != part if type(part) is SINGLE else has_nan(part)):
                return None
            entry = pending.get(at)
            if entry is None:
                pending[at] = [part, x, False, selected]
                if x.op is not None:
                    heappush(turns, -at)
                continue
            if entry[2] and not isinstance(part, Traced):
                entry[0] += part
            else:
                entry[0] = entry[0] + part
                entry[2] = True
            if selected:
                entry[3] = True
    squares: Any = 0.0
    for g, leaf, _, selected in pending.values():
        results[leaf] = g
        if selected and type(g) is np.ndarray:
            squares = squares + np.vdot(g, g)
        elif selected and has_nan(g):
            return None
    return results if squares == squares else None


def _start(outputs: Sequence[Any], seeds: Sequence[Any], inside: set[int] | None) -> tuple[dict[int, list], list[int]]:
    """What has a gradient so far, by index, and a heap of the indices of those that send on, negative: youngest first.

    An entry is the gradient, the node, whether the gradient was made here by an addition, and whether a choice has
    left exact zeros in it.
    """
    pending: dict[int, list[Any]] = {}
    turns: list[int] = []
    for node, seed in zip(outputs, seeds, strict=True):
        if node.index in pending:
            pending[node.index][0] = pending[node.index][0] + seed
        elif inside is None or node.index in inside:
            pending[node.index] = [seed, node, False, _may_have_zeros(seed)]
            if node.op is not None:
                heappush(turns, -node.index)
    return pending, turns


def _may_have_zeros(seed: Any) -> bool:
    """Whether a zero may be among the numbers that the caller gives."""
    if type(seed) is np.ndarray:
        return not seed.all()
    return True if not isinstance(seed, np.generic) else not seed


def _added(entry: list[Any] | None, g: Any, node: Any, values: list[Any], selected: bool) -> bool:
    """Add to a sum that was made here what an operation sends that picks few elements; False if it must be made first.

    To make an array of mostly zeros for each of n elements of one array would take n² steps.
    """
    if entry is None or not entry[2]:
        return False
    total = entry[0]
    if type(total) is not np.ndarray or isinstance(g, Traced) or g.dtype != total.dtype or FEW * g.size > total.size:
        return False
    node.op.add_to(total, g, *values, **node.params)
    entry[3] = entry[3] or selected
    return True


def has_nan(part: Any) -> bool:
    """Whether there may be a NaN in it."""
    if type(part) is not np.ndarray:
        if isinstance(part, Traced):
            return part.may_have_nan()
        if not isinstance(part, (np.ndarray, np.generic)):
            return True
    total = np.vdot(part, part)  # quicker than a sum, and no more NaN than there is in it: ∞ - ∞ does not occur
    return bool(total != total)
