"""Nodes, edges, and the one sweep over the graph between t and z."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from tinygrad_nn.autodiff import history
from tinygrad_nn.notation import format_number
from tinygrad_nn.operation import Op, Traced, write

__all__ = [
    "Combine", "Edge", "Element", "Extend", "PathGraph", "Step", "combined", "constant", "name_of", "sweep",
    "unchanged",
]  # fmt: skip

T = TypeVar("T")


# --- nodes and edges -------------------------------------------------------------------------------------------------


class Element:
    """One element of a tensor as a node of its own: `tensor`, and `at`, its index there."""

    __slots__ = ("at", "place", "tensor")

    def __init__(self, tensor: Any, place: int):
        self.tensor, self.place = tensor, place
        self.at = tuple(int(i) for i in np.unravel_index(place, tensor.shape))

    shape: tuple[int, ...] = ()

    @property
    def op(self) -> Any:
        """The operation that made its tensor."""
        return self.tensor.op

    @property
    def index(self) -> tuple[int, int]:
        """When its tensor was made, and its place there."""
        return self.tensor.index, self.place

    @property
    def value(self) -> Any:
        """The number it is."""
        return self.tensor.value[self.at]

    @property
    def name(self) -> str:
        """Such as ``W[0, 2]``."""
        return name_of(self.tensor) + self.index_written

    @property
    def index_written(self) -> str:
        """Such as ``[0, 2]``; nothing for the only element of a single number."""
        return f"[{', '.join(map(str, self.at))}]" if self.at else ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Element) and self.index == other.index

    def __hash__(self) -> int:
        return hash(self.index)

    def __repr__(self) -> str:
        return f"<element {self.name}>"


def name_of(node: Any) -> str:
    """The name of a tensor or element, or else its formula, with a dot for arguments without a name."""
    if node.name or node.op is None:
        return node.name or "·"
    arguments = [constant(x) if not isinstance(x, Traced) else getattr(x, "name", "") or "·" for x in node.inputs]
    return write(node.op, arguments, node.params)


def constant(x: Any) -> str:
    """What is no tensor, in a formula."""
    return "" if x is None else format_number(x)


class Edge:
    """One argument of one operation: `source` is argument number `slot` of the operation that made `target`.

    ``a + a`` has two edges.  Edges with the same target, slot and source are equal, and they sort in this order, nodes
    by creation.
    """

    __slots__ = ("_hash", "_key", "slope", "slot", "source", "target")

    def __init__(self, source: Any, target: Any, slot: int):
        self.source, self.target, self.slot = source, target, slot
        self.slope = math.nan  # the local derivative, between numbers and once `PathSum._with_slopes` has computed it
        self._key = (target.index, slot, source.index)
        self._hash = hash(self._key)

    @property
    def op(self) -> Op:
        """The operation it leads into."""
        return self.target.op

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Edge) and self._key == other._key

    def __lt__(self, other: Edge) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"<edge {name_of(self.source)} → {name_of(self.target)}, slot {self.slot}>"


# --- the graph between t and z, and the one sweep over it ----------------------------------------------------

Step = tuple[int, int, Edge]  # from vertex, to vertex, along which edge
Extend = Callable[[Step, T], T | None]
Combine = Callable[[T, T], T]


class PathGraph:
    """Vertices in topological order and the steps between them, all of them on a path from one of `starts` to `end`.

    A vertex stands for a node; several stand for the same node once the graph is unfolded.
    """

    def __init__(self, nodes: list[Any], steps: list[Step], starts: list[int]):
        """The steps come sorted by the vertex they lead to; the last vertex is the end."""
        self.nodes, self.steps, self.starts, self.end = nodes, steps, starts, len(nodes) - 1
        self._back = [(b, a, edge) for a, b, edge in reversed(steps)]

    @classmethod
    def between(cls, t: Any, z: Any) -> PathGraph:
        """All paths from t to z."""
        nodes = history([z], [t])
        at = {node.index: i for i, node in enumerate(nodes)}
        steps = [
            (at[x.index], i, Edge(x, node, slot))
            for i, node in enumerate(nodes)
            if node is not t
            for slot in node.slots
            if (x := node.inputs[slot]).index in at
        ]
        return cls(nodes, steps, [at[t.index]] if nodes else [])

    @classmethod
    def pruned(cls, nodes: list[Any], steps: list[Step], starts: list[int], end: int) -> PathGraph:
        """Only what lies on a path from one of these starts to this end."""
        forth, back = set(starts), {end}
        for a, b, _ in steps:
            if a in forth:
                forth.add(b)
        for a, b, _ in reversed(steps):
            if b in back:
                back.add(a)
        kept = sorted(forth & back)
        new = {v: i for i, v in enumerate(kept)}
        steps = [(new[a], new[b], edge) for a, b, edge in steps if a in new and b in new]
        return cls([nodes[v] for v in kept], steps, [new[v] for v in starts if v in new])

    def unfolded(
        self, first: int, advance: Callable[[int, Edge], int | None], accept: Callable[[int], bool]
    ) -> tuple[PathGraph, list[int]]:
        """The graph of those paths that an automaton accepts, and the final state of each of its starts.

        The automaton reads a path from its end: from the state `first`, each edge leads to `advance(state, edge)`, or
        nowhere (None).  A vertex of the new graph is a vertex of this one together with a state.
        """
        states: list[set[int]] = [set() for _ in self.nodes]
        states[self.end :] = [{first}] if states else []
        found = []
        for a, b, edge in reversed(self.steps):
            for state in states[b]:
                following = advance(state, edge)
                if following is not None:
                    states[a].add(following)
                    found.append((b, state, edge, a, following))
        vertices = [(v, state) for v, some in enumerate(states) for state in sorted(some)]
        new = {vertex: i for i, vertex in enumerate(vertices)}
        starts = [(v, state) for v in self.starts for state in sorted(states[v]) if accept(state)]
        steps = [(new[a, p], new[b, q], edge) for b, q, edge, a, p in sorted(found)]
        nodes = [self.nodes[v] for v, _ in vertices]
        graph = PathGraph.pruned(nodes, steps, [new[s] for s in starts], len(nodes) - 1)
        return graph, [state for _, state in starts]

    def backward(self, one: T, extend: Extend[T], combine: Combine[T]) -> list[T | None]:
        """For each vertex the sum over all paths from it to the end of what is carried along; at the end, `one`."""
        values: list[T | None] = [None] * len(self.nodes)
        values[self.end :] = [one] if values else []
        return sweep(self._back, values, extend, combine)

    def forward(self, one: T, extend: Extend[T], combine: Combine[T]) -> list[T | None]:
        """For each vertex the sum over all paths from the starts to it of what is carried along."""
        values: list[T | None] = [None] * len(self.nodes)
        for v in self.starts:
            values[v] = one
        return sweep(self.steps, values, extend, combine)


def sweep(steps: Iterable[Step], values: list[T | None], extend: Extend[T], combine: Combine[T]) -> list[T | None]:
    """The dynamic program: `extend` takes a value along a step, `combine` joins what meets at a vertex, None is zero.

    As the steps are in topological order, a vertex is complete when its value is first carried on.
    """
    for step in steps:
        value = values[step[0]]
        if value is not None:
            part = extend(step, value)
            if part is not None:
                there = values[step[1]]
                values[step[1]] = part if there is None else combine(part, there)
    return values


def unchanged(_: Step, value: T) -> T:
    """Extend it along as it is: this counts paths."""
    return value


def combined(values: Iterable[T | None], combine: Combine[T], empty: T) -> T:
    """What is there, joined; `empty` if nothing is."""
    found = [value for value in values if value is not None]
    return functools.reduce(combine, found) if found else empty
