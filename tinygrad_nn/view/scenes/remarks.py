"""What has to be said under any picture of a graph: what is wrong with it, and whose gradients these are."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.view.graph.computation import CHANGED, ComputationGraph
from tinygrad_nn.view.scene import Note
from tinygrad_nn.view.text import listed

__all__ = ["remarks"]


def remarks(graph: ComputationGraph) -> tuple[Note, ...]:
    """What is wrong with the graph, and what one should know about its gradients."""
    messages = list(dict.fromkeys(graph.broken.values()))
    if graph.released:
        messages = messages[-1:]  # the result's says it for all
    notes = [Note(message, bad=True) for message in messages[:2]]
    if len(messages) > 2:
        notes.append(Note(f"The same holds for {len(messages) - 2} more operations", bad=True))
    stale = [graph.name(n) for n in graph.nodes if graph.stale.get(n.index) == CHANGED]
    if stale:
        was, it = ("was", "it") if len(stale) == 1 else ("were", "them")
        after = f"{was} changed after an operation had used {it}; the graph is of before"
        notes.append(Note(f"{listed(stale)} {after}", bad=True))
    if not graph.root.tracked:
        notes.append(Note("No gradient flows here: nothing this was made from has requires_grad=True"))
    elif np.size(graph.root.value) != 1:
        name = graph.name(graph.root)
        notes.append(Note(f"{name} has {np.size(graph.root.value)} elements: the gradients are those of their sum"))
    return tuple(notes)
