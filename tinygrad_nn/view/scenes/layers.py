"""`detail="layers"`: a dense layer as one box, with its equations in the founding notation."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np

from tinygrad_nn.view import text
from tinygrad_nn.view.graph.computation import Graph
from tinygrad_nn.view.graph.highlighted_paths import Lanes
from tinygrad_nn.view.graph.network import Layer
from tinygrad_nn.view.scene import Node, Row
from tinygrad_nn.view.scenes.heat import grid, largest
from tinygrad_nn.view.text import count, number, shorten

__all__ = ["equations", "layer_box"]


def equations(graph: Graph, layer: Layer) -> tuple[str, ...]:
    """`Z¹ = W¹ X + b¹` and `A¹ = σ(Z¹)`, with the names of this graph."""
    bias = "" if layer.b is None else f" + {graph.name(layer.b)}"
    lines = [f"{graph.name(layer.Z)} = {graph.name(layer.W)} {graph.name(layer.before)}{bias}"]
    if layer.A is not layer.Z:
        lines.append(f"{graph.name(layer.A)} = {graph.formula(layer.A)}")
    return tuple(lines)


def layer_box(graph: Graph, layer: Layer, outline: Node, show: Collection[str], lanes: Lanes | None) -> Node:
    """The box of a layer: equations, shapes, activations, gradients, and how many paths carry how much through it."""
    size = layer.W.value.size + (0 if layer.b is None else layer.b.value.size)
    rows = [Row("", equation, strong=False) for equation in equations(graph, layer)]
    rows.append(Row("units", f"{layer.fan_in} → {layer.units}, {size:,} parameters"))
    A = np.asarray(layer.A.value)
    stale = {graph.name(n) for n in layer.nodes if n.index in graph.stale}
    if stale:
        rows.append(Row("value", f"{', '.join(sorted(stale))} changed since", bad=True))
    elif "value" in show:
        rows.append(_heat(graph.name(layer.A), A))
    if "gradient" in show:
        root = graph.name(graph.root)
        for node in (layer.Z, layer.W, layer.b):
            if node is None:
                continue
            label = f"∂{root}/∂{graph.name(node)}"
            g = graph.gradient.get(node.index)
            if g is None:
                rows.append(Row(label, "–"))
            elif node is layer.Z:
                rows.append(_heat(label, g))
            else:
                rows.append(Row(f"‖{label}‖", number(np.linalg.norm(g.ravel()))))
    rows += _paths(layer, lanes)
    dead = _blocked(graph, layer)
    if dead:
        rows.append(Row("blocked", f"{dead} of {layer.units} units"))
    return dataclasses.replace(
        outline,
        name=f"layer {layer.number}",
        title=f"layer {layer.number}" + (f", {layer.sigma}" if layer.sigma else ""),
        rows=tuple(rows),
        tooltip="\n".join([f"layer {layer.number}", *equations(graph, layer), f"{size:,} parameters",
                           f"made at {graph.origin(layer.Z)}"]),
    )  # fmt: skip


def _heat(label: str, value: Any) -> Row:
    if value.size == 1:
        return Row(label, number(value.item()), float(value.item()))
    heat = grid(value, rows=6, columns=14)
    spelled = heat.exact and max(len(heat.cells), len(heat.cells[0])) <= 4
    return Row(label, "" if spelled else f"{text.shape(value)}, ±{number(largest(value))}", grid=heat)


def _paths(layer: Layer, lanes: Lanes | None) -> list[Row]:
    """How many of the paths go through a layer, and what they carry together, unit by unit where that is known."""
    if lanes is None:
        return []
    n, flow = lanes.through(layer.A)
    rows = [Row("paths", count(n))]
    if flow is not None:
        rows.append(Row("carry", number(np.sum(flow)), float(np.sum(flow))))
        if np.size(flow) > 1:
            rows.append(_heat("by unit", np.asarray(flow)))
    return rows


def _blocked(graph: Graph, layer: Layer) -> int:
    """How many units send no gradient back, whatever reaches their activation."""
    before, after = graph.gradient.get(layer.Z.index), graph.gradient.get(layer.A.index)
    if before is None or after is None or layer.A is layer.Z:
        return 0
    silent = ~np.any(before.reshape(before.shape[0], -1), axis=1)
    reached = np.any(after.reshape(after.shape[0], -1), axis=1)
    return int(np.sum(silent & reached))


def arrow_label(graph: Graph, source: Any, target: Layer) -> str:
    """What runs along an arrow into a layer: the activations forward, and back the error signals through Wᵀ."""
    forward = f"{shorten(graph.name(source), 12)} {text.shape(source.value)}"
    if not source.tracked:
        return forward
    return f"{forward} →\n← {graph.name(target.W)}ᵀ ∂{graph.name(target.Z)}"
