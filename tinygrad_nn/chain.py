"""The chain rule as numbers: a gradient is a sum over paths, and every path a product of local derivatives.

The founding text's "Interlude: The Chain Rule and Nested Dependencies" obtains dz/dt "by summing all paths through which
t affects the intermediate variables" (Bauer, "Computational Graphs and Rounding Error", 1974, does it for any graph).
There are soon more paths than atoms, so they are never listed to be added: one sweep over the edges in topological
order, with one pair of operations or another in the place of × and +, gives their number, the number of those that
carry anything, their sum (which is backpropagation), the sum of their absolute values, and the k largest.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from tinygrad_nn.autodiff import history, seed_for, unbroadcast
from tinygrad_nn.errors import label
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


# --- paths and their sum -------------------------------------------------------------------------------------------------------


class Group(NamedTuple):
    """Some of the paths: how many, and what they add up to."""

    count: int
    contribution: Any


class Cost(NamedTuple):
    """Multiplications of local derivatives: path by path, and by one backward sweep that shares what paths share."""

    enumeration: int
    backpropagation: int


class Path:
    """One way from t to z: `nodes` from t to z, `edges` between them, and `contribution`, the product along it.

    The contribution is a number, or an array of t's shape.
    """

    def __init__(self, owner: PathSum, edges: tuple[Edge, ...], contribution: Any):
        self._owner, self.edges, self.contribution = owner, edges, contribution

    @property
    def nodes(self) -> tuple[Any, ...]:
        """From t to z."""
        return (self._owner.source, *(edge.target for edge in self.edges))

    @property
    def local_derivatives(self) -> tuple[Any, ...]:
        """For each edge, from t to z: a number, or for arrays a `LocalDerivative`."""
        return tuple(self._owner._local(edge) for edge in self.edges)

    @property
    def share(self) -> float:
        """Its part in the gradient, ⟨p, g⟩ / ⟨g, g⟩: the shares of all paths add up to 1.  NaN if the gradient is 0."""
        return self._owner.share(self.contribution)

    @property
    def live(self) -> bool:
        """False if a local derivative on it is zero, which blocks it."""
        return all(self._owner._alive(edge) for edge in self.edges)

    def __len__(self) -> int:
        return len(self.edges)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        value = f"{self.contribution:.6g}" if np.ndim(self.contribution) == 0 else f"array of shape {self.contribution.shape}"
        return f"<path {' → '.join(name_of(node) for node in self.nodes)}: {value}>"


class PathSum:
    """The gradient of z with respect to t as a sum over paths; made by `paths`.

    `source` is t, `target` is z; `nodes` and `edges` are all that lies on a path, in topological order.  Everything is
    computed when it is first asked for.  Counts need no values; everything else reads them, and raises `MutationError`
    where one has changed since it was recorded.
    """

    def __init__(self, graph: Graph, source: Any, target: Any, seed: Any, limit: int, shared: dict[Edge, Any]):
        self._graph, self.source, self.target, self.limit, self._seed, self._shared = graph, source, target, limit, seed, shared

    def __repr__(self) -> str:
        n = str(self.count) if self.count < 10**15 else f"about 2^{self.count.bit_length() - 1}"
        return f"<sum over {n} path{'s' * (self.count != 1)} from {name_of(self.source)} to {name_of(self.target)}>"

    # -- structure and counts

    @cached_property
    def nodes(self) -> tuple[Any, ...]:
        """Every node on a path, in topological order, from t to z."""
        return tuple(dict.fromkeys(self._graph.nodes))

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge on a path, in topological order."""
        return tuple(sorted({edge for _, _, edge in self._graph.steps}))

    @cached_property
    def count(self) -> int:
        """How many paths there are, exactly."""
        return sum(self._suffixes[v] for v in self._graph.starts)

    @cached_property
    def live_count(self) -> int:
        """How many have no local derivative that is zero, exactly."""
        live = self._graph.backward(1, lambda step, n: n if self._alive(step[2]) else None, _add)
        return sum(live[v] or 0 for v in self._graph.starts)

    @property
    def left_out(self) -> int:
        """How many paths lie beyond `limit` and are not listed when you iterate."""
        return max(0, self.count - self.limit)

    @cached_property
    def _suffixes(self) -> list[int]:
        return self._graph.backward(1, _unchanged, _add)

    @cached_property
    def edge_counts(self) -> dict[Edge, int]:
        """How many paths go through each edge."""
        before = self._graph.forward(1, _unchanged, _add)
        counts = dict.fromkeys(self.edges, 0)
        for a, b, edge in self._graph.steps:
            counts[edge] += before[a] * self._suffixes[b]
        return counts

    @cached_property
    def node_counts(self) -> dict[Any, int]:
        """How many paths go through each node."""
        return self._at_nodes(self.edge_counts, self.count)

    def _at_nodes(self, at_edges: dict[Edge, Any], total: Any) -> dict[Any, Any]:
        """Every path but the start reaches a node by one edge."""
        found: dict[Any, Any] = {}
        for edge in self.edges:
            found[edge.target] = found[edge.target] + at_edges[edge] if edge.target in found else at_edges[edge]
        return {node: total if node is self.source else found[node] for node in self.nodes}

    @cached_property
    def cost(self) -> Cost:
        """Multiplications to get the gradient path by path, and by backpropagation."""
        sums = self._graph.backward((1, 0), lambda _, s: (s[0], s[1] + s[0]), lambda a, b: (a[0] + b[0], a[1] + b[1]))
        edges_in_paths = sum(sums[v][1] for v in self._graph.starts)
        trivial = self.count if self._graph.end not in self._graph.starts else 0  # the first factor is there already
        last = sum(b == self._graph.end for _, b, _ in self._graph.steps)
        return Cost(edges_in_paths - trivial, len(self._graph.steps) - last)

    # -- the numbers on the edges

    @property
    def _slopes(self) -> dict[Edge, float]:
        if not self._shared:
            self._shared.update(_slopes_of(edge for _, _, edge in self._graph.steps))
        return self._shared

    def _alive(self, edge: Edge) -> bool:
        return self._slopes[edge] != 0

    def _local(self, edge: Edge) -> Any:
        return self._slopes[edge]

    def _carry(self, step: Step, value: Scaled) -> Scaled | None:
        """Across one edge.  A zero blocks, whatever stands behind it: an infinity there is not met."""
        slope = self._slopes[step[2]]
        return times(value, slope) if slope else None

    def _along(self, edge: Edge, value: Scaled) -> Scaled:
        slope = self._slopes[edge]
        return times(value, slope) if slope and value[0] else ZERO

    def _shown(self, value: Scaled | None) -> Any:
        number = unscaled(value or ZERO)
        return np.full(self.source.shape, number) if self.source.shape else number

    _plus = staticmethod(plus)

    # -- sums

    @cached_property
    def _adjoints(self) -> list[Any]:
        return self._graph.backward(self._seed, self._carry, self._plus)

    @cached_property
    def _total(self) -> Any:
        return _total((self._adjoints[v] for v in self._graph.starts), self._plus)

    @cached_property
    def gradient(self) -> Any:
        """The sum of all paths: a number, or an array of t's shape."""
        return self._shown(self._total)

    @cached_property
    def adjoints(self) -> dict[Any, Any]:
        """For each node the sum of the paths from there to z: ∂z/∂node, a number or an array of the node's shape."""
        found: dict[Any, Any] = {}
        for node, value in zip(self._graph.nodes, self._adjoints, strict=True):
            value = ZERO if value is None else value
            found[node] = self._plus(found[node], value) if node in found else value
        return {node: unscaled(value) for node, value in found.items()}

    @cached_property
    def _mass(self) -> Scaled:
        slopes = self._slopes
        sums = self._graph.backward(
            (abs(self._seed[0]), self._seed[1]),
            lambda step, m: times(m, abs(slopes[step[2]])) if slopes[step[2]] else None, plus,
        )  # fmt: skip
        return _total((sums[v] for v in self._graph.starts), plus) or ZERO

    @cached_property
    def mass(self) -> float:
        """Σ|p|, how much there would be if nothing cancelled (inf beyond the range of floats; see `log_mass`)."""
        return unscaled(self._mass)

    @property
    def log_mass(self) -> float:
        """The natural logarithm of the mass, also where that is too large or too small for a float."""
        m, e = self._mass
        return math.log(m) + e * math.log(2) if m > 0 else (-math.inf if m == 0 else m)

    @property
    def cancellation(self) -> float:
        """1 − |Σp| / Σ|p|: 0 if all paths pull the same way, 1 if they cancel to nothing; 0 without live paths."""
        m, e = self._total or ZERO
        return _within_one(1 - quotient((abs(m), e), self._mass)) if self._mass[0] else 0.0

    def coverage(self, k: int) -> float:
        """The part of the mass that the k largest paths carry, 0 to 1."""
        sizes = _total(((abs(m), e) for _, (m, e) in self._best(k)), plus) or ZERO
        return _within_one(quotient(sizes, self._mass)) if self._mass[0] else 1.0

    def share(self, contribution: Any) -> float:
        """The part of `contribution` in the gradient, ⟨p, g⟩ / ⟨g, g⟩; NaN if the gradient is 0."""
        p, g = np.ravel(contribution), np.ravel(self.gradient)
        scale = np.max(np.abs(g), initial=0.0)
        with np.errstate(all="ignore"):
            p, g = p / scale, g / scale
            return float(p @ g / (g @ g)) if scale else math.nan

    # -- flow

    @cached_property
    def _flows(self) -> dict[Edge, Scaled]:
        tangents = self._graph.forward(ONE, self._carry, plus)
        flows = dict.fromkeys(self.edges, ZERO)
        for a, b, edge in self._graph.steps:
            if tangents[a] is not None and self._adjoints[b] is not None and self._slopes[edge]:
                flows[edge] = plus(flows[edge], product(times(tangents[a], self._slopes[edge]), self._adjoints[b]))
        return flows

    @cached_property
    def flow(self) -> dict[Edge, Any]:
        """For each edge the sum of all paths through it: adjoint × local derivative × tangent; conserved on every cut.

        Numbers, or arrays of t's shape.
        """
        return {edge: self._shown(flow) for edge, flow in self._flows.items()}

    @cached_property
    def node_flow(self) -> dict[Any, Any]:
        """For each node the sum of all paths through it."""
        return self._at_nodes(self.flow, self.gradient)

    @cached_property
    def edge_shares(self) -> dict[Edge, float]:
        """For each edge the part of the gradient that comes through it; 1 in all on every cut, NaN if the gradient is 0."""
        return {edge: quotient(flow, self._total or ZERO) for edge, flow in self._flows.items()}

    # -- single paths

    def __iter__(self) -> Iterator[Path]:
        """The paths, first arguments first; at most `limit`, and then a `PathsLeftOut` warning if there are more."""
        for i, (edges, value) in enumerate(self._walk()):
            if i == self.limit:
                warnings.warn(
                    f"{self.limit} of {self.count} paths listed, {self.left_out} left out: give paths() a larger limit=, "
                    "take .top(k) for the largest, or .flow, which sums over all of them",
                    PathsLeftOut, stacklevel=2,
                )  # fmt: skip
                return
            yield Path(self, edges, self._shown(value))

    def _walk(self) -> Iterator[tuple[tuple[Edge, ...], Any]]:
        """Depth first from the end; what two paths share there is multiplied once."""
        graph = self._graph
        into: list[list[Step]] = [[] for _ in graph.nodes]
        for step in graph.steps:
            into[step[1]].append(step)
        starts = set(graph.starts)
        way: list[Edge] = []
        pending: list[tuple[Iterator[Step], Any]] = []
        vertex, value = graph.end, self._seed
        while vertex is not None:
            if vertex in starts:
                yield tuple(reversed(way)), value
            pending.append((iter(into[vertex]), value))
            vertex = None
            while pending and vertex is None:
                steps, value = pending[-1]
                step = next(steps, None)
                if step is None:
                    pending.pop()
                    if way:
                        way.pop()
                else:
                    vertex, edge = step[0], step[2]
                    way.append(edge)
                    value = self._along(edge, value)

    def top(self, k: int) -> list[Path]:
        """The k paths of largest |contribution|, largest first, exactly; all of them if there are fewer.

        No path is listed to find them: each node keeps the k best ways from there to z, best first, and an edge adds its
        log|local derivative| to those of the node it leads to.
        """
        return [Path(self, edges, self._shown(value)) for edges, value in self._best(k)]

    def _best(self, k: int) -> list[tuple[tuple[Edge, ...], Any]]:
        graph = self._graph
        logs = {edge: _log(slope) for edge, slope in self._slopes.items()}

        def carry(step: Step, best: list[Any]) -> list[Any]:
            log = logs[step[2]]
            if log == -math.inf:  # blocked, even before an infinity
                return [(log, step, i) for i in range(len(best))]
            return [(rest if rest == -math.inf else log + rest, step, i) for i, (rest, _, _) in enumerate(best)]

        def best_of(a: list[Any], b: list[Any]) -> list[Any]:
            return sorted(a + b, key=itemgetter(0), reverse=True)[:k]

        best = graph.backward([(0.0, None, 0)][:k], carry, best_of)
        firsts = sorted(((entry[0], v, i) for v in graph.starts for i, entry in enumerate(best[v])), key=itemgetter(0), reverse=True)
        found = []
        for _, v, i in firsts[:k]:
            way = []
            while (step := best[v][i][1]) is not None:
                way.append(step[2])
                v, i = step[1 - 1], best[v][i][2]
            found.append((tuple(way), self._product(way)))
        return sorted(found, key=lambda path: _log(abs(path[1][0])) + path[1][1] * math.log(2), reverse=True)

    def _product(self, way: list[Edge]) -> Any:
        value = self._seed
        for edge in reversed(way):
            value = self._along(edge, value)
        return value

    # -- some of the paths

    def _restricted(self, graph: Graph) -> PathSum:
        return type(self)(graph, self.source, self.target, self._seed, self.limit, self._shared)

    def through(self, *places: Any) -> PathSum:
        """Only the paths through at least one of these: nodes, edges, or names of nodes.

        ValueError for a name that no node on a path has.
        """
        marked: set[Any] = set()
        for place in places:
            found = [node for node in self.nodes if node.name == place] if isinstance(place, str) else [place]
            if not found:
                names = ", ".join(node.name for node in self.nodes if node.name) or "none that has a name"
                raise ValueError(f"through: no node on these paths is called {place!r}; there are {names}")
            marked.update(found)

        def advance(state: int, edge: Edge) -> int:
            return int(state or edge in marked or edge.source in marked)

        graph, _ = self._graph.unfolded(int(self.target in marked), advance, bool)
        return self._restricted(graph)

    def of_length(self, n: int) -> PathSum:
        """Only the paths of n edges."""
        graph, _ = self._graph.unfolded(0, lambda length, _: length + 1 if length < n else None, lambda length: length == n)
        return self._restricted(graph)

    def by_length(self) -> dict[int, Group]:
        """How many paths of each length (number of edges) there are, and what they contribute."""
        return self.by_kind(lambda edge: True)

    def by_kind(self, kind: Any) -> dict[int, Group]:
        """Paths by how many of their edges are of a kind: number -> (count, contribution).

        `kind` is an operation or its name (an edge is of the kind of the operation it leads into), or a function that
        says of an edge whether it counts.
        """
        if not callable(kind) or isinstance(kind, Op):
            name = kind.name if isinstance(kind, Op) else kind
            return self.by_kind(lambda edge: edge.op.name == name)
        marked = {edge: int(bool(kind(edge))) for edge in self.edges}
        graph, numbers = self._graph.unfolded(0, lambda n, edge: n + marked[edge], lambda n: True)
        parts = self._restricted(graph)
        found = {n: Group(parts._suffixes[v], parts._shown(parts._adjoints[v])) for n, v in zip(numbers, graph.starts, strict=True)}
        return dict(sorted(found.items()))


def _total(values: Iterable[Any], plus: Callable[[Any, Any], Any]) -> Any:
    total = None
    for value in values:
        if value is not None:
            total = value if total is None else plus(total, value)
    return total


def _log(x: float) -> float:
    """log|x|; what is not a number counts as largest, so that it is seen."""
    return math.log(abs(x)) if x and x == x else (-math.inf if x == x else math.inf)


def _within_one(x: float) -> float:
    return min(1.0, max(0.0, x)) if x == x else x


def _inputs(node: Any) -> list[Any]:
    return [x.value if isinstance(x, Traced) else x for x in node.inputs]  # type: ignore[attr-defined]


def pull(edge: Edge, g: Any) -> Any:
    """g times the Jacobian of one edge: what `target` sends back to this argument, in its shape."""
    node, x = edge.target, edge.source.value
    with np.errstate(all="ignore"):
        part = edge.op.vjps[edge.slot](g, node.value, *_inputs(node), **(node.params or {}))
        if edge.op.kind == "elementwise" and not np.isfinite(part).all():
            part = np.where(np.equal(g, 0), 0.0, part)  # a zero blocks: an infinity behind it is not met
    if part.shape != x.shape:
        part = unbroadcast(part, x.shape)
    return part if part.dtype == x.dtype else part.astype(x.dtype)


def _slopes_of(edges: Iterable[Edge]) -> dict[Edge, float]:
    slopes: dict[Edge, float] = {}
    for edge in edges:
        if edge not in slopes:
            edge.target.check_unchanged()
            slopes[edge] = float(pull(edge, np.ones_like(edge.target.value)).item())
    return slopes


def paths(z: Any, t: Any, gradient: Any = None, *, limit: int = LIMIT) -> PathSum:
    """The gradient of z with respect to t, as a sum over all paths from t to z.

    >>> import tinygrad_nn as tn
    >>> from tinygrad_nn.chain import paths
    >>> t = tn.tensor(2.0, requires_grad=True, name="t")
    >>> z = t**2 * (3 * t)
    >>> [path.contribution for path in paths(z, t)]
    [24.0, 12.0]
    """
    seed = seed_for(z, gradient, "gradient")
    seed = seed.value if isinstance(seed, Traced) else seed  # type: ignore[attr-defined]
    if not t.tracked:
        raise ValueError(f"paths: {label(t, 't')} of shape {t.shape} does not require a gradient")
    graph = Graph.between(t, z)
    return PathSum(graph, t, z, math.frexp(float(seed.item())), limit, {})
