"""`detail="layers"`: a dense layer as one box, with its equations in the notation of M. Thill's post."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np

from tinygrad_nn.notation import format_number
from tinygrad_nn.ops.reductions import vector_norm
from tinygrad_nn.view import text
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.graph.gradient_flow import GradientFlow
from tinygrad_nn.view.graph.highlighted_paths import HighlightedPaths
from tinygrad_nn.view.graph.network import Layer
from tinygrad_nn.view.scene import Box, Field
from tinygrad_nn.view.scenes.heat import heat_field, number_field
from tinygrad_nn.view.text import count, percent, shorten

__all__ = ["equations", "forward_and_back", "layer_box"]


def equations(graph: ComputationGraph, layer: Layer) -> tuple[str, ...]:
    """`Z¹ = W¹ X + b¹` and `A¹ = σ(Z¹)`, with the names of this graph."""
    bias = "" if layer.b is None else f" + {graph.name(layer.b)}"
    first = f"{graph.name(layer.Z)} = {graph.name(layer.W)} {graph.name(layer.before)}{bias}"
    return (first,) if layer.A is layer.Z else (first, f"{graph.name(layer.A)} = {graph.formula(layer.A)}")


def layer_box(
    graph: ComputationGraph,
    layer: Layer,
    outline: Box,
    show: Collection[str],
    paths: HighlightedPaths | GradientFlow | None,
) -> Box:
    """The box of a layer: equations, shapes, activations, gradients, and how many paths carry how much through it."""
    size = layer.W.value.size + (0 if layer.b is None else layer.b.value.size)
    name, written = f"layer {layer.number}", equations(graph, layer)
    fields = [Field("", line) for line in written]
    fields.append(Field("units", f"{layer.fan_in} → {layer.units}, {size:,} parameters"))
    fields += _value(graph, layer, show)
    fields += _gradients(graph, layer) if "gradient" in show else []
    fields += _paths(layer, paths) if paths is not None else []
    dead = _blocked(graph, layer)
    if dead:
        fields.append(Field("blocked", f"{dead} of {layer.units} units"))
    tooltip = "\n".join([name, *written, f"{size:,} parameters", f"made at {graph.origin(layer.Z)}"])
    title = f"{name}, {layer.sigma}" if layer.sigma else name
    return dataclasses.replace(outline, name=name, title=title, fields=tuple(fields), tooltip=tooltip)


def _value(graph: ComputationGraph, layer: Layer, show: Collection[str]) -> list[Field]:
    stale = {graph.name(n): graph.stale[n.index] for n in layer.nodes if n.index in graph.stale}
    if stale:
        return [
            Field("value", f"{', '.join(sorted(n for n in stale if stale[n] == why))} {why}", bad=True)
            for why in sorted(set(stale.values()))
        ]
    return [_heat(graph, "value", layer.A, graph.name(layer.A), layer.A.value)] if "value" in show else []


def _gradients(graph: ComputationGraph, layer: Layer) -> list[Field]:
    """That of Z as a heat-map, of W and b only how large they are."""
    fields, root = [], graph.name(graph.root)
    for node in (layer.Z, layer.W, layer.b):
        if node is None:
            continue
        label, g = f"∂{root}/∂{graph.name(node)}", graph.gradient.get(node.index)
        if g is None:
            fields.append(Field(label, "–"))
        elif node is layer.Z:
            fields.append(_heat(graph, "gradient", node, label, g))
        else:
            text = format_number(vector_norm(g.ravel()))
            fields.append(Field(f"‖{label}‖", text, live=f"norm {graph.key(node)}"))
    return fields


def _heat(graph: ComputationGraph, what: str, node: Any, label: str, value: Any) -> Field:
    field = heat_field(label, np.asarray(value), columns=14, with_shape=True)
    return dataclasses.replace(field, live=f"{what} {graph.key(node)}")


def _paths(layer: Layer, paths: HighlightedPaths | GradientFlow) -> list[Field]:
    """How many of the paths go through a layer, and what they carry together, unit by unit where that is known."""
    if isinstance(paths, GradientFlow):
        keys = ",".join(paths.graph.key(x) for x in (layer.W, layer.b) if x is not None)
        return [Field(f"of {paths.norm}²", percent(paths.share(layer)), live=f"share {keys}")]
    n, flow = paths.through(layer.A)
    fields = [Field("paths", count(n))]
    if flow is not None:
        fields.append(number_field("carry", np.sum(flow)))
        if np.size(flow) > 1:
            fields.append(heat_field("by unit", np.asarray(flow), columns=14, with_shape=True))
    return fields


def _blocked(graph: ComputationGraph, layer: Layer) -> int:
    """How many units send no gradient back, whatever reaches their activation."""
    before, after = graph.gradient.get(layer.Z.index), graph.gradient.get(layer.A.index)
    if before is None or after is None or layer.A is layer.Z:
        return 0
    silent = ~np.any(before.reshape(before.shape[0], -1), axis=1)
    reached = np.any(after.reshape(after.shape[0], -1), axis=1)
    return int(np.sum(silent & reached))


def forward_and_back(graph: ComputationGraph, source: Any, target: Layer) -> str:
    """What runs along an arrow into a layer: the activations forward, and back the error signals through Wᵀ."""
    forward = f"{shorten(graph.name(source), 12)} {text.shape(source.value)}"
    if not source.tracked:
        return forward
    return f"{forward} →\n← {graph.name(target.W)}ᵀ ∂{graph.name(target.Z)}"
