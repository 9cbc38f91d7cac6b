"""What stands on an arrow between operations: the local derivative, the size of the Jacobian, and the tooltip."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_nn import chain
from tinygrad_nn.view import text
from tinygrad_nn.view.graph.computation import ComputationGraph, Slot
from tinygrad_nn.view.graph.highlighted_paths import HighlightedPaths
from tinygrad_nn.view.graph.network import Layer
from tinygrad_nn.view.scene import Arrow
from tinygrad_nn.view.scenes.layers import forward_and_back
from tinygrad_nn.view.text import number, shorten

__all__ = ["labelled"]


def labelled(
    graph: ComputationGraph,
    slot: Slot,
    line: Arrow,
    layer: Mapping[Any, Layer],
    with_label: bool,
    paths: HighlightedPaths | None,
) -> Arrow:
    """An arrow with all that it says; `layer` are the nodes that are drawn as parts of a layer."""
    if not slot.flows:
        label = forward_and_back(graph, slot.source, layer[slot.target.index]) if slot.target.index in layer else ""
        return dataclasses.replace(line, label=label if with_label else "", tooltip="no gradient flows here")
    formula, value = _local_derivative(graph, slot)
    result = _result(graph, slot, value)
    label, detail = " = ".join(dict.fromkeys(part for part in (formula, result) if part)), ""
    if slot.target.index in layer:
        label = forward_and_back(graph, slot.source, layer[slot.target.index])
    elif slot.source.index not in layer and not _single(slot):
        detail = f"Jacobian {_jacobian(slot)}"
    return dataclasses.replace(
        line,
        label=label if with_label else "",
        detail=detail if with_label else "",
        derivative=value,
        tooltip=_tooltip(graph, slot, formula, result, paths),
    )


def _single(slot: Slot) -> bool:
    return np.size(slot.source.value) == 1 and np.size(slot.target.value) == 1


def _jacobian(slot: Slot) -> str:
    return f"{np.size(slot.target.value):,} × {np.size(slot.source.value):,}"


def _local_derivative(graph: ComputationGraph, slot: Slot) -> tuple[str, float | None]:
    """Formula and number of a scalar local derivative, the rule of an array's."""
    if not _single(slot):
        return _array_rule(graph, slot), None
    x, y = slot.source, slot.target
    found = graph.slope(slot)
    formula = found[0] if found is not None else f"∂{graph.name(y)}/∂{graph.name(x)}"
    stale = y.index in graph.broken
    value = None if stale else float(chain.local_derivative(chain.Edge(x, y, slot.slot)).value)  # type: ignore[arg-type]
    return shorten(formula, 26), value


def _result(graph: ComputationGraph, slot: Slot, value: float | None) -> str:
    if value is not None:
        return number(value)
    return "changed" if _single(slot) and slot.target.index in graph.broken else ""


def _array_rule(graph: ComputationGraph, slot: Slot) -> str:
    """What the arrow does to the gradient that comes back along it, with a dot in its place, as in `Wᵀ ·`."""
    node, rule = slot.target, graph.rule(slot, "·")
    if rule is None:
        return str(node.op.name)
    x, y = np.shape(slot.source.value), np.shape(node.value)
    stretch = ""
    if x != y and (node.op.kind == "elementwise" or (rule == "·" and math.prod(x) < math.prod(y))):
        stretch = _summed_over(x, y)
    elif rule == "·" and math.prod(x) > math.prod(y):
        stretch = f"copied to {text.shape(slot.source.value)}"
    if rule == "·":
        return stretch or "1"
    rule = shorten(rule.removeprefix("· ") if rule.startswith("· ⊙") else rule, 120)
    return f"{rule}\n{stretch}" if stretch else rule


def _summed_over(x: tuple[int, ...], y: tuple[int, ...]) -> str:
    """What the way back of broadcasting shape `x` to shape `y` adds up."""
    extra = len(y) - len(x)
    axes = [i for i, n in enumerate(y) if i < extra or x[i - extra] != n]
    what = ("rows", "columns")[axes[0]] if len(y) == 2 and len(axes) == 1 else "elements"
    return f"sum over {math.prod(y[i] for i in axes)} {what}"


def _tooltip(graph: ComputationGraph, slot: Slot, formula: str, result: str, paths: HighlightedPaths | None) -> str:
    x, y = graph.name(slot.source), graph.name(slot.target)
    lines = [f"argument {slot.slot + 1} of {slot.target.op.name}: from {x} to {y}"]
    if result:
        lines.append(f"∂{y}/∂{x} = {formula} = {result}")
    else:
        rule = (formula or "the identity").replace("\n", ", ")
        lines.append(f"Jacobian {_jacobian(slot)}, never built: {rule}")
    part = graph.sent.get(slot.key)
    if part is not None and part.size == 1:
        lines.append(f"sends back {number(part.item())}")
    if paths is not None:
        lines += paths.described(slot.key)
    return "\n".join(lines)
