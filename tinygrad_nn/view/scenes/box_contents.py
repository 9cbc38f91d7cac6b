"""What stands in the box of one operation: formula, value, gradient, the sum of its contributions, and the tooltip."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np

from tinygrad_nn.view import text
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.graph.highlighted_paths import HighlightedPaths
from tinygrad_nn.view.scene import Box, Field
from tinygrad_nn.view.scenes.heat import heat_field, number_field
from tinygrad_nn.view.text import number, shorten

__all__ = ["equation", "filled"]


def equation(graph: ComputationGraph, node: Any) -> str:
    """A node by name and formula, as in ``z = sin(s)``."""
    name, formula = graph.name(node), graph.formula(node)
    return f"{name} = {formula}" if formula and formula != name else name


def filled(
    graph: ComputationGraph, node: Any, outline: Box, show: Collection[str], paths: HighlightedPaths | None
) -> Box:
    """The box of a node with all that it says."""
    return dataclasses.replace(
        outline,
        title=shorten(equation(graph, node), 44),
        fields=tuple(_fields(graph, node, show, paths)),
        note=_sum(graph, node) if "sums" in show else "",
        tooltip=_tooltip(graph, node),
    )


def _fields(graph: ComputationGraph, node: Any, show: Collection[str], paths: HighlightedPaths | None) -> list[Field]:
    value = np.asarray(node.value)
    fields = []
    if "shape" in show and value.ndim:
        fields.append(Field("shape", text.shape(value)))
    if node.index in graph.stale:
        fields.append(Field("value", "changed since", bad=True))
    elif "value" in show:
        fields.append(_array("value", value, show))
    if "gradient" in show and node.tracked:
        g, label = graph.gradient.get(node.index), _gradient_label(graph, node)
        field = Field(label, "–") if g is None else _array(label, g, show)
        highlighted = paths is not None and node is paths.source and value.size == 1 and g is not None
        fields.append(dataclasses.replace(field, strong=highlighted))
    if "grad" in show and node.tracked:
        fields.append(Field(".grad", "–") if node.grad is None else _array(".grad", node.grad, show))
    return fields


def _array(label: str, value: Any, show: Collection[str]) -> Field:
    value = np.asarray(value)
    if value.size == 1:
        return number_field(label, value.item())
    if not value.size:
        return Field(label, "empty")
    return heat_field(label, value) if "heatmap" in show else Field(label, _range(value, "…"))


def _gradient_label(graph: ComputationGraph, node: Any) -> str:
    z, x = graph.name(graph.root), graph.name(node)
    return f"∂{z}/∂{x}" if len(z) <= 3 and len(x) <= 4 else "gradient"


def _sum(graph: ComputationGraph, node: Any) -> str:
    """`Σ 2 contributions: −5.0865 − 0.4678`, where several arrows come back to a node."""
    parts = graph.contributions(node)
    if len(parts) < 2:
        return ""
    if np.size(node.value) > 1:
        return f"Σ {len(parts)} contributions"
    terms = text.sum_of(p.item() for p in parts[:6])
    return f"Σ {len(parts)} contributions: {terms}{' …' if len(parts) > 6 else ''}"


def _tooltip(graph: ComputationGraph, node: Any) -> str:
    stale = node.index in graph.stale
    value = "changed since an operation used it" if stale else _spelled(np.asarray(node.value))
    lines = [shorten(equation(graph, node), 200), f"value: {value}"]
    if node.tracked:
        g = graph.gradient.get(node.index)
        lines.append(f"gradient: {'not computed' if g is None else _spelled(g)}")
    for slot in graph.incoming.get(node.index, ()):
        if slot.flows:
            rule = graph.rule(slot) or f"by {node.op.name}"
            lines.append(f"rule: ∂{graph.name(slot.source)} ← {rule} (g = ∂{graph.name(node)})")
    origin = graph.origin(node)
    return "\n".join([*lines, f"made at {origin}"] if origin else lines)


def _spelled(value: Any) -> str:
    """An array in words: its numbers where they are few, else shape, range and mean."""
    if value.size == 1:
        return repr(float(value.item())).replace("-", "−")
    if value.size <= 9 and value.size:
        return np.array2string(value, precision=5, separator=", ").replace("\n", " ").replace("-", "−")
    kind = f"{text.shape(value)}, {value.dtype}"
    if not value.size or value.dtype.kind not in "fiu":
        return kind
    return f"{kind}, from {_range(value, 'to')}, mean {number(value.mean(dtype=float))}"


def _range(value: Any, to: str) -> str:
    return f"{number(value.min())} {to} {number(value.max())}"
