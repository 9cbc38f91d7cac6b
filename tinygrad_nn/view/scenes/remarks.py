"""What is said beside a picture of operations: warnings under it, and its description for those who cannot see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_nn.view import text
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.graph.highlighted_paths import HighlightedPaths
from tinygrad_nn.view.graph.network import Layer
from tinygrad_nn.view.scene import Note
from tinygrad_nn.view.scenes.box_contents import equation
from tinygrad_nn.view.scenes.layers import equations
from tinygrad_nn.view.scenes.path_table import path_table, sentences
from tinygrad_nn.view.text import number, plural

__all__ = ["description", "warnings"]


def warnings(graph: ComputationGraph) -> tuple[Note, ...]:
    """What is wrong with the graph, and what one should know about its gradients."""
    messages = list(graph.broken.values())
    notes = [Note(message, bad=True) for message in messages[:2]]
    if len(messages) > 2:
        notes.append(Note(f"The same holds for {len(messages) - 2} more operations", bad=True))
    stale = [graph.name(n) for n in graph.nodes if n.index in graph.stale]
    if stale:
        was, it = ("was", "it") if len(stale) == 1 else ("were", "them")
        after = f"{was} changed after an operation had used {it}; the graph is of before"
        notes.append(Note(f"{_listed(stale)} {after}", bad=True))
    if not graph.root.tracked:
        notes.append(Note("No gradient flows here: nothing this was made from has requires_grad=True"))
    elif np.size(graph.root.value) != 1:
        name = graph.name(graph.root)
        notes.append(Note(f"{name} has {np.size(graph.root.value)} elements: the gradients are those of their sum"))
    return tuple(notes)


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:4], f"{len(names) - 4} more"] if len(names) > 4 else names
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def description(graph: ComputationGraph, paths: HighlightedPaths | None, boxed: Sequence[Layer] = ()) -> str:
    """The picture in words."""
    made = sum(n.op is not None for n in graph.nodes)
    size = f"{plural(made, 'operation')} from {plural(len(graph.nodes) - made, 'input')}"
    lines = [f"{equation(graph, graph.root)}, computed by {size}."]
    lines += [f"Layer {layer.number}: {'; '.join(equations(graph, layer))}." for layer in boxed[:12]]
    inside = {node.index for layer in boxed for node in layer.nodes}
    others = [node for node in graph.nodes if node.index not in inside]
    lines += [_described(graph, node) for node in others[:12]]
    if len(others) > 12:
        lines.append(f"And {len(others) - 12} more nodes.")
    if paths is not None:
        lines += sentences(path_table(paths))
    return " ".join(lines)


def _described(graph: ComputationGraph, node: Any) -> str:
    if node.index in graph.stale:
        value = "changed since it was used"
    elif np.size(node.value) == 1:
        value = number(np.asarray(node.value).item())
    else:
        value = f"an array of {text.shape(node.value)}"
    words = f"{equation(graph, node)} is {value}"
    g, parts = graph.gradient.get(node.index), graph.contributions(node)
    if g is not None and g.size == 1:
        words += f", gradient {number(g.item())}"
    if len(parts) > 1:
        words += f", the sum of {len(parts)} contributions"
    return f"{words}."
