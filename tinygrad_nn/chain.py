"""The chain rule as numbers: a gradient is a sum over paths, and every path a product of local derivatives.

The founding text's "Interlude: The Chain Rule and Nested Dependencies" obtains dz/dt "by summing all paths through which
t affects the intermediate variables" (Bauer, "Computational Graphs and Rounding Error", 1974, does it for any graph).
There are soon more paths than atoms, so they are never listed to be added: one sweep over the edges in topological
order, with one pair of operations or another in the place of × and +, gives their number, the number of those that
carry anything, their sum (which is backpropagation), the sum of their absolute values, and the k largest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import history
from tinygrad_nn.operation import Op, Traced, write

__all__ = [
    "Cost", "Edge", "Element", "ElementPaths", "Factor", "Group", "LocalDerivative", "Path", "PathSum", "PathsLeftOut",
    "local_derivative", "paths",
]  # fmt: skip

LIMIT = 1000  # paths that are listed, if nobody says otherwise
ELEMENT_EDGES = 1_000_000  # edges between single elements that are listed


class PathsLeftOut(UserWarning):
    """Listing paths stopped at the limit; the message says how many were left out."""


# --- edges ---------------------------------------------------------------------------------------------------------------


class Edge:
    """One argument slot of one operation: `source` is argument number `slot` of the operation that made `target`.

    ``a + a`` has two edges.  Edges are equal if target, slot and source are the same, and sort by these, by order of
    creation.
    """

    __slots__ = ("_key", "slot", "source", "target")

    def __init__(self, source: Any, target: Any, slot: int):
        self.source, self.target, self.slot = source, target, slot
        self._key = (_key(target), slot, _key(source))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Edge) and self._key == other._key

    def __lt__(self, other: Edge) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"<edge {name_of(self.source)} → {name_of(self.target)}, slot {self.slot}>"

    @property
    def op(self) -> Op:
        """The operation it leads into."""
        return self.target.op


class Element:
    """One element of a tensor, as a node of its own: `tensor`, and `at`, its index there."""

    __slots__ = ("at", "place", "tensor")

    def __init__(self, tensor: Any, place: int):
        self.tensor, self.place = tensor, place
        self.at = tuple(int(i) for i in np.unravel_index(place, tensor.shape))

    op = property(lambda self: self.tensor.op)
    shape = property(lambda self: ())

    @property
    def value(self) -> Any:
        """The number it is."""
        return self.tensor.value[self.at]

    @property
    def name(self) -> str:
        """Such as ``W[0, 2]``."""
        base = name_of(self.tensor)
        return f"{base}[{', '.join(map(str, self.at))}]" if self.at else base

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Element) and _key(self) == _key(other)

    def __hash__(self) -> int:
        return hash(_key(self))

    def __repr__(self) -> str:
        return f"<element {self.name}>"


def _key(node: Any) -> tuple[int, int]:
    return (node.tensor.index, node.place) if isinstance(node, Element) else (node.index, -1)


def name_of(node: Any) -> str:
    """Its name, or else its formula, with a dot for arguments that have no name."""
    if node.name or node.op is None:
        return node.name or "·"
    return write(node.op, [getattr(x, "name", None) or "·" for x in node.inputs], node.params)


# --- the graph between t and z, and the one sweep over it --------------------------------------------------------------------

Step = tuple[int, int, Edge]  # from vertex, to vertex, along which edge


class Graph:
    """Vertices in topological order and the steps between them, each on a path from one of `starts` to `end`.

    A vertex stands for a node; several may stand for the same node once the graph is unfolded.
    """

    def __init__(self, nodes: list[Any], steps: list[Step], starts: list[int], end: int | None):
        self.nodes, self.steps, self.starts, self.end = nodes, steps, starts, end

    @classmethod
    def between(cls, t: Any, z: Any) -> Graph:
        """All that lies on a path from t to z."""
        nodes = history([z], [t])
        at = {node.index: i for i, node in enumerate(nodes)}
        steps = [
            (at[x.index], i, Edge(x, node, slot))
            for i, node in enumerate(nodes)
            if node is not t and node.op is not None
            for slot, x in enumerate(node.inputs)
            if isinstance(x, Traced) and x.index in at and x.tracked and node.op.vjps[slot] is not None  # type: ignore[attr-defined]
        ]
        return cls.pruned(nodes, steps, [at[t.index]] if nodes else [], at.get(z.index))

    @classmethod
    def pruned(cls, nodes: list[Any], steps: list[Step], starts: list[int], end: int | None) -> Graph:
        """Only what lies on a path from a start to the end; the steps come sorted by the vertex they lead to."""
        forth, back = set(starts), {end}
        for a, b, _ in steps:
            if a in forth:
                forth.add(b)
        for a, b, _ in reversed(steps):
            if b in back:
                back.add(a)
        kept = [v for v in range(len(nodes)) if v in forth and v in back]
        new = {v: i for i, v in enumerate(kept)}
        steps = [(new[a], new[b], e) for a, b, e in steps if a in new and b in new]
        return cls(
            [nodes[v] for v in kept], steps, [new[v] for v in starts if v in new], None if end is None else new.get(end)
        )

    def unfolded(
        self, first: int, advance: Callable[[int, Edge], int | None], accept: Callable[[int], bool]
    ) -> tuple[Graph, list[int]]:
        """The graph whose paths are those that an automaton accepts, and the final state of each start.

        The automaton reads a path from its end: from state `first`, each edge leads to state `advance(state, edge)`,
        or nowhere (None).  A vertex of the new graph is a vertex of this one with a state of the automaton.
        """
        states: list[set[int]] = [set() for _ in self.nodes]
        if self.end is not None:
            states[self.end].add(first)
        found = []
        for a, b, edge in reversed(self.steps):
            for state in states[b]:
                following = advance(state, edge)
                if following is not None:
                    states[a].add(following)
                    found.append((a, following, b, state, edge))
        pairs = [(v, state) for v in range(len(self.nodes)) for state in sorted(states[v])]
        new = {pair: i for i, pair in enumerate(pairs)}
        steps = sorted((new[b, q], edge, new[a, p]) for a, p, b, q, edge in found)
        starts = [new[v, state] for v in self.starts for state in sorted(states[v]) if accept(state)]
        end = None if self.end is None else new[self.end, first]
        graph = Graph.pruned([self.nodes[v] for v, _ in pairs], [(a, b, edge) for b, edge, a in steps], starts, end)
        return graph, [state for v in self.starts for state in sorted(states[v]) if accept(state)]

    def forward(self, one: Any, carry: Callable[[Step, Any], Any], plus: Callable[[Any, Any], Any]) -> list[Any]:
        """For each vertex: the sum, over all paths from a start to it, of what is carried along."""
        values = [None] * len(self.nodes)
        for v in self.starts:
            values[v] = one
        return _sweep(self.steps, values, carry, plus)

    def backward(self, one: Any, carry: Callable[[Step, Any], Any], plus: Callable[[Any, Any], Any]) -> list[Any]:
        """For each vertex: the sum, over all paths from it to the end, of what is carried along."""
        values = [None] * len(self.nodes)
        if self.end is not None:
            values[self.end] = one
        return _sweep([(b, a, edge) for a, b, edge in reversed(self.steps)], values, carry, plus)


def _sweep(
    steps: Iterable[Step], values: list[Any], carry: Callable[[Step, Any], Any], plus: Callable[[Any, Any], Any]
) -> list[Any]:
    """The dynamic program: `carry` takes a value along an edge, `plus` joins what meets in a vertex, None is nothing."""
    for step in steps:
        value = values[step[0]]
        if value is not None:
            part = carry(step, value)
            if part is not None:
                there = values[step[1]]
                values[step[1]] = part if there is None else plus(part, there)
    return values


def _add(a: Any, b: Any) -> Any:
    return a + b


def _unchanged(_: Step, value: Any) -> Any:
    return value


# --- numbers that neither overflow nor underflow: (m, e) is m · 2ᵉ ---------------------------------------------------------------

Scaled = tuple[float, int]
ZERO: Scaled = (0.0, 0)
ONE: Scaled = (0.5, 1)


def times(a: Scaled, x: float) -> Scaled:
    m, e = math.frexp(a[0] * x)
    return m, a[1] + e


def product(a: Scaled, b: Scaled) -> Scaled:
    m, e = times(a, b[0])
    return m, e + b[1]


def plus(a: Scaled, b: Scaled) -> Scaled:
    if not a[0] or not b[0]:
        return a if a[0] else b
    if a[1] < b[1]:
        a, b = b, a
    m, e = math.frexp(a[0] + math.ldexp(b[0], b[1] - a[1]))
    return m, a[1] + e


def quotient(a: Scaled, b: Scaled) -> float:
    return unscaled((a[0] / b[0], a[1] - b[1])) if b[0] else math.nan


def unscaled(a: Scaled) -> float:
    try:
        return math.ldexp(*a)
    except OverflowError:
        return math.copysign(math.inf, a[0])
