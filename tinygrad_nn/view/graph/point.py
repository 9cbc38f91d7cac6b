"""One point of a graph, to be compared with another one: its numbers as they were, whatever happens to them later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.graph.network import layers_in

__all__ = ["Pair", "Point", "Recorded", "matched"]

LARGEST = 1_000_000  # elements: of larger arrays only the shape is kept
TOO_LARGE = "not kept"
MOST = 2_000  # nodes of a graph that a picture keeps
LONG = 1_000  # nodes of both graphs together


@dataclass(frozen=True, eq=False)
class Recorded:
    """A node of a graph as it was.

    Attributes
    ----------
    called : its name in pictures; `name` is its own one, or empty.
    op : the operation, by name; None for an input.
    operands : the places of its arguments in the list of nodes, and whether a gradient comes back to each.
    value, gradient : copies, or None where they are not known any more; `state` says why.
    layer : the number of its dense layer, or 0.
    """

    called: str
    name: str
    op: str | None
    equation: str
    tracked: bool
    shape: tuple[int, ...]
    operands: tuple[tuple[int, bool], ...]
    value: Any
    gradient: Any
    state: str
    layer: int

    @property
    def kind(self) -> tuple[str | None, bool]:
        """What has to be the same for two nodes to be taken for the same one."""
        return self.op, self.tracked


class Point:
    """A graph with its values and gradients, as plain arrays that nobody else writes to."""

    def __init__(self, graph: ComputationGraph):
        place = {node.index: i for i, node in enumerate(graph.nodes)}
        layer = {node.index: layer.number for layer in layers_in(graph) for node in layer.nodes}
        self.nodes = tuple(
            _recorded(
                graph, node, [(place[s.source.index], s.flows) for s in graph.incoming.get(node.index, ())], layer
            )
            for node in graph.nodes
        )
        self.root = self.nodes[place[graph.root.index]]

    @classmethod
    def kept(cls, graph: ComputationGraph) -> Point | None:
        """What a picture keeps of a graph: nothing of a very large one, of which it shows little."""
        return cls(graph) if len(graph.nodes) <= MOST else None


def _recorded(graph: ComputationGraph, node: Any, operands: list[tuple[int, bool]], layer: dict[Any, int]) -> Recorded:
    gone = graph.stale.get(node.index, "") or (TOO_LARGE if np.size(node.value) > LARGEST else "")
    value = None if gone else np.array(node.value)  # also of results: W.T is a view of what an optimiser writes to
    gradient = None if np.size(node.value) > LARGEST else graph.gradient.get(node.index)
    return Recorded(
        graph.name(node),
        node.name or "",
        None if node.op is None else node.op.name,
        graph.equation(node),
        node.tracked,
        np.shape(node.value),
        tuple(operands),
        value,
        gradient,
        gone,
        layer.get(node.index, 0),
    )


@dataclass(frozen=True, eq=False)
class Pair:
    """A node in both graphs, or in one of them."""

    old: Recorded | None
    new: Recorded | None

    @property
    def node(self) -> Recorded:
        """The node, as it is after if it is there."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def only(self) -> str:
        """Where it is, if not in both."""
        return "before" if self.new is None else "after" if self.old is None else ""


def matched(before: Sequence[Recorded], after: Sequence[Recorded]) -> list[Pair]:
    """The nodes of two graphs in pairs, in order of creation; one that only one graph has is alone.

    Graphs of the same operations match one by one; else inputs have to have the same names, too.
    """
    if [node.kind for node in before] == [node.kind for node in after]:
        return [Pair(old, new) for old, new in zip(before, after, strict=True)]
    old_keys, new_keys = ([(n.kind, n.name if n.op is None else "") for n in nodes] for nodes in (before, after))
    pairs: list[Pair] = []
    i = j = 0
    for k, m, n in _common(old_keys, new_keys):
        pairs += [Pair(node, None) for node in before[i:k]]
        pairs += [Pair(None, node) for node in after[j:m]]
        i, j = k + n, m + n
        pairs += [Pair(old, new) for old, new in zip(before[k:i], after[m:j], strict=True)]
    return pairs


def _common(old: list[Any], new: list[Any]) -> Iterator[tuple[int, int, int]]:
    """Where both lists have a stretch in common, and how long it is; the last one, perhaps empty, is their end.

    Of long lists, what they begin and end with is set aside first: the time for what lies between grows as its square.
    """
    begin = end = 0
    if len(old) + len(new) > LONG:
        most = min(len(old), len(new))
        begin = next((i for i in range(most) if old[i] != new[i]), most)
        end = next((i for i in range(most - begin) if old[-1 - i] != new[-1 - i]), most - begin)
    yield 0, 0, begin
    middle = old[begin : len(old) - end], new[begin : len(new) - end]
    rough = sum(map(len, middle)) > LONG
    for k, m, n in SequenceMatcher(None, *middle, autojunk=rough).get_matching_blocks()[:-1]:
        yield begin + k, begin + m, n
    yield len(old) - end, len(new) - end, end
