"""The chain rule as numbers: a gradient is a sum over paths, and a path is a product of local derivatives.

The founding text's "Interlude: The Chain Rule and Nested Dependencies" obtains dz/dt "by summing all paths through
which t affects the intermediate variables"; Bauer, "Computational Graphs and Rounding Error" (1974), for any graph.
There are soon more paths than atoms, so they are never listed to be added up.  One sweep over the edges in topological
order, `Graph.backward`, gives with one meaning or another of × and + the number of paths, the number of those that
carry anything, their sum (this is backpropagation), the sum of their sizes, and the k largest.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinygrad_nn.autodiff import history, seed_for, tangent_of, unbroadcast
from tinygrad_nn.errors import label
from tinygrad_nn.operation import BY_NAME, Op, Traced, write
from tinygrad_nn.ops import reductions
from tinygrad_nn.symbols import derivative, number

__all__ = [
    "ArrayPathSum", "Cost", "Edge", "Element", "ElementPathSum", "Factor", "Group", "LocalDerivative", "Path",
    "PathSum", "PathsLeftOut", "local_derivative", "name_of", "paths",
]  # fmt: skip

LIMIT = 1000  # so many paths are listed if nobody says otherwise
LARGEST = 1_000_000  # entries of a Jacobian, or edges between single elements, that are written out

T = TypeVar("T")


class PathsLeftOut(UserWarning):
    """Listing paths stopped at the limit; the message says how many were left out."""


# --- nodes and edges -----------------------------------------------------------------------------------------


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
        return name_of(self.tensor) + (f"[{', '.join(map(str, self.at))}]" if self.at else "")

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
    arguments = [_constant(x) if not isinstance(x, Traced) else getattr(x, "name", "") or "·" for x in node.inputs]
    return write(node.op, arguments, node.params)


def _constant(x: Any) -> str:
    return "" if x is None else number(x)


class Edge:
    """One argument of one operation: `source` is argument number `slot` of the operation that made `target`.

    ``a + a`` has two edges.  Edges with the same target, slot and source are equal, and they sort in this order, nodes
    by creation.
    """

    __slots__ = ("_hash", "_key", "_slope", "slot", "source", "target")

    def __init__(self, source: Any, target: Any, slot: int):
        self.source, self.target, self.slot = source, target, slot
        self._slope = math.nan  # the local derivative, between numbers and once `PathSum._weighted` has computed it
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
Carry = Callable[[Step, T], T | None]
Plus = Callable[[T, T], T]


class Graph:
    """Vertices in topological order and the steps between them, all of them on a path from one of `starts` to `end`.

    A vertex stands for a node; several stand for the same node once the graph is unfolded.
    """

    def __init__(self, nodes: list[Any], steps: list[Step], starts: list[int]):
        """The steps come sorted by the vertex they lead to; the last vertex is the end."""
        self.nodes, self.steps, self.starts, self.end = nodes, steps, starts, len(nodes) - 1
        self._back = [(b, a, edge) for a, b, edge in reversed(steps)]

    @classmethod
    def between(cls, t: Any, z: Any) -> Graph:
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
    def pruned(cls, nodes: list[Any], steps: list[Step], starts: list[int], end: int) -> Graph:
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
    ) -> tuple[Graph, list[int]]:
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
        graph = Graph.pruned(nodes, steps, [new[s] for s in starts], len(nodes) - 1)
        return graph, [state for _, state in starts]

    def backward(self, one: T, carry: Carry[T], plus: Plus[T]) -> list[T | None]:
        """For each vertex the sum over all paths from it to the end of what is carried along; at the end, `one`."""
        values: list[T | None] = [None] * len(self.nodes)
        values[self.end :] = [one] if values else []
        return _sweep(self._back, values, carry, plus)

    def forward(self, one: T, carry: Carry[T], plus: Plus[T]) -> list[T | None]:
        """For each vertex the sum over all paths from the starts to it of what is carried along."""
        values: list[T | None] = [None] * len(self.nodes)
        for v in self.starts:
            values[v] = one
        return _sweep(self.steps, values, carry, plus)


def _sweep(steps: Iterable[Step], values: list[T | None], carry: Carry[T], plus: Plus[T]) -> list[T | None]:
    """The dynamic program: `carry` takes a value along a step, `plus` joins what meets at a vertex, None is nothing.

    As the steps are in topological order, a vertex is complete when its value is first carried on.
    """
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


def _same(_: Step, value: T) -> T:
    return value


def _sum(values: Iterable[T | None], plus: Plus[T], nothing: T) -> T:
    total = None
    for value in values:
        if value is not None:
            total = value if total is None else plus(total, value)
    return nothing if total is None else total


# --- numbers that neither overflow nor underflow: (m, e) is m·2ᵉ, with ½ ≤ |m| < 1 ---------------------------

Scaled = tuple[float, int]
ZERO: Scaled = (0.0, 0)
ONE: Scaled = (0.5, 1)


def _times(a: Scaled, x: float) -> Scaled:
    m, e = math.frexp(a[0] * x)
    return m, a[1] + e


def _plus(a: Scaled, b: Scaled) -> Scaled:
    if not (a[0] and b[0]):
        return a if a[0] else b
    if a[1] < b[1]:
        a, b = b, a
    m, e = math.frexp(a[0] + math.ldexp(b[0], b[1] - a[1]))
    return m, a[1] + e


def _size(a: Scaled) -> Scaled:
    return abs(a[0]), a[1]


def _ratio(a: Scaled, b: Scaled) -> float:
    return _float((a[0] / b[0], a[1] - b[1])) if b[0] else math.nan


def _float(a: Scaled) -> float:
    try:
        return math.ldexp(*a)
    except OverflowError:
        return math.copysign(math.inf, a[0])


def _log(a: Scaled) -> float:
    """log|a|.  NaN counts as infinite, so that it comes first where the largest are looked for."""
    m, e = a
    return math.log(abs(m)) + e * math.log(2) if m and m == m else (math.inf if m else -math.inf)


def _within_one(x: float) -> float:
    return min(1.0, max(0.0, x)) if x == x else x


# --- what an edge passes on ----------------------------------------------------------------------------------


def _inputs(node: Any) -> list[Any]:
    return [x.value if isinstance(x, Traced) else x for x in node.inputs]


def _rule(edge: Edge, g: Any) -> Any:
    """The derivative rule of this argument, before un-broadcasting."""
    node = edge.target
    node.check_unchanged()
    return node.op.vjps[edge.slot](g, node.value, *_inputs(node), **(node.params or {}))


def _pull(edge: Edge, g: Any) -> Any:
    """g times the Jacobian of this edge: what the target sends back to this argument, in the argument's shape."""
    x = edge.source.value
    part = _rule(edge, g)
    if edge.op.kind == "elementwise" and not np.isfinite(part).all():
        part = np.where(np.equal(g, 0), 0.0, part)  # a zero blocks: an infinity behind it is not met
    part = unbroadcast(part, x.shape)
    return part if part.dtype == x.dtype else part.astype(x.dtype)


def _push(edge: Edge, v: Any) -> Any:
    """The Jacobian of this edge times v: how the target moves when this argument moves by v."""
    node = edge.target
    node.check_unchanged()
    tangents = [v if slot == edge.slot else None for slot in range(len(node.inputs))]
    return tangent_of(node.op, tangents, node.value, _inputs(node), node.params or {})


def _weigh(edges: Iterable[Edge]) -> None:
    """Compute the local derivatives of edges between numbers."""
    with np.errstate(all="ignore"):
        for _, into in itertools.groupby(edges, lambda edge: edge._key[0]):
            first = next(into)
            node = first.target
            node.check_unchanged()
            y, inputs, params = node.value, _inputs(node), node.params or {}
            one = np.ones(y.shape, y.dtype) if y.ndim else y.dtype.type(1)
            for edge in (first, *into):
                part, dtype = node.op.vjps[edge.slot](one, y, *inputs, **params), edge.source.value.dtype
                edge._slope = (part if part.dtype == dtype else part.astype(dtype)).item()


# --- paths and their sum -------------------------------------------------------------------------------------


class Group(NamedTuple):
    """Some of the paths: how many, and what they add up to."""

    count: int  # type: ignore[assignment]  # a tuple's own count() is not missed here
    contribution: Any


class Cost(NamedTuple):
    """Multiplications by local derivatives: path by path, and in one backward sweep, which shares what paths share."""

    enumeration: int
    backpropagation: int


class Path:
    """One way from t to z: its `nodes` and `edges`, from t to z, and its `contribution`, the product along it.

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
        """Of each edge, from t to z: numbers, and a `LocalDerivative` where arrays are involved."""
        return tuple(self._owner._local(edge) for edge in self.edges)

    @property
    def share(self) -> float:
        """Its part in the gradient, ⟨p, g⟩ / ⟨g, g⟩.  The shares of all paths add up to 1; NaN if the gradient is 0."""
        return self._owner.share(self.contribution)

    @property
    def live(self) -> bool:
        """False if a local derivative along it is zero: it is blocked there."""
        return all(self._owner._alive(edge) for edge in self.edges)

    def __len__(self) -> int:
        return len(self.edges)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        p = self.contribution
        shown = f"array of shape {p.shape}" if np.ndim(p) else f"{p:.6g}"
        return f"<path {' → '.join(map(name_of, self.nodes))}: {shown}>"


class PathSum:
    """The gradient of z with respect to t as a sum over paths; `paths` makes one.

    `source` is t and `target` is z.  Everything is computed when it is first asked for.  The counts need no values; all
    else does, and raises `MutationError` where one has changed since it was recorded.  Nothing touches `.grad`.

    A path with a zero on it is blocked: it contributes exactly 0, also where another of its factors is infinite.  NaN
    and infinities on other paths come through.
    """

    def __init__(self, graph: Graph, source: Any, target: Any, seed: Any, limit: int):
        self._graph, self.source, self.target, self._seed, self.limit = graph, source, target, seed, limit

    def __repr__(self) -> str:
        n = str(self.count) if self.count < 10**12 else f"about 2^{self.count.bit_length() - 1}"
        ends = f"from {name_of(self.source)} to {name_of(self.target)}"
        return f"<sum over {n} path{'' if self.count == 1 else 's'} {ends}>"

    # -- how many

    @cached_property
    def nodes(self) -> tuple[Any, ...]:
        """Every node on a path, in order of creation: from t to z."""
        return tuple(dict.fromkeys(self._graph.nodes))

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge on a path, in order of creation."""
        return tuple(dict.fromkeys(edge for _, _, edge in self._graph.steps))

    @cached_property
    def _suffixes(self) -> list[int]:
        """How many paths lead on to the end, from each vertex."""
        return [n or 0 for n in self._graph.backward(1, _same, _add)]

    @cached_property
    def count(self) -> int:
        """How many paths there are, exactly."""
        return sum(self._suffixes[v] for v in self._graph.starts)

    @cached_property
    def live_count(self) -> int:
        """How many of them have no local derivative that is zero, exactly."""
        live = self._weighted.backward(1, lambda step, n: n if self._alive(step[2]) else None, _add)
        return sum(live[v] or 0 for v in self._graph.starts)

    @property
    def left_out(self) -> int:
        """How many paths lie beyond `limit`, and so do not come when you iterate."""
        return max(0, self.count - self.limit)

    @cached_property
    def edge_counts(self) -> dict[Edge, int]:
        """How many paths go through each edge."""
        before = self._graph.forward(1, _same, _add)
        counts = dict.fromkeys(self.edges, 0)
        for a, b, edge in self._graph.steps:
            counts[edge] += (before[a] or 0) * self._suffixes[b]
        return counts

    @cached_property
    def node_counts(self) -> dict[Any, int]:
        """How many paths go through each node."""
        return self._into_nodes(self.edge_counts, self.count)

    def _into_nodes(self, at_edges: dict[Edge, Any], all_paths: Any) -> dict[Any, Any]:
        """What the edges into each node have together: but for the first, a path enters a node by one edge."""
        found: dict[Any, Any] = dict.fromkeys(self.nodes)
        for edge, value in at_edges.items():
            found[edge.target] = value if found[edge.target] is None else found[edge.target] + value
        return {node: all_paths if value is None else value for node, value in found.items()}

    @cached_property
    def cost(self) -> Cost:
        """What the gradient costs path by path, and by backpropagation.

        A path of n edges takes n − 1 multiplications, backpropagation one for each edge that does not end in z.
        """
        sums = self._graph.backward(
            (1, 0), lambda _, s: (s[0], s[1] + s[0]), lambda a, b: (a[0] + b[0], a[1] + b[1])
        )  # of the paths: number and total length
        lengths = sum(s[1] for v in self._graph.starts if (s := sums[v]))
        return Cost(max(0, lengths - self.count), sum(b != self._graph.end for _, b, _ in self._graph.steps))

    # -- single edges

    @cached_property
    def _weighted(self) -> Graph:
        """The graph with the local derivatives on its edges."""
        _weigh(edge for edge in self.edges if edge._slope != edge._slope)
        return self._graph

    def _alive(self, edge: Edge) -> bool:
        return edge._slope != 0

    def _local(self, edge: Edge) -> Any:
        return edge._slope

    # -- sums over all paths.  The algebra of numbers: `ArrayPathSum` has that of arrays.

    def _carry(self, step: Step, value: Scaled) -> Scaled | None:
        """Backward or forward across one edge, in a sum over paths: nothing where it is blocked."""
        return _times(value, step[2]._slope) if step[2]._slope else None

    _join: Any = staticmethod(_plus)

    def _along(self, edge: Edge, value: Any) -> Any:
        """Backward across one edge, on one path."""
        return _times(value, edge._slope) if edge._slope and value[0] else ZERO

    def _shown(self, value: Any, node: Any = None) -> Any:
        """A value of the algebra as a number, or as an array of t's shape."""
        shape = (self.source if node is None else node).shape
        return np.full(shape, _float(value)) if shape else _float(value)

    def _nothing(self, node: Any = None) -> Any:
        return ZERO

    @cached_property
    def _adjoints(self) -> list[Any]:
        return self._weighted.backward(self._seed, self._carry, self._join)

    @cached_property
    def _total(self) -> Any:
        return _sum((self._adjoints[v] for v in self._graph.starts), self._join, self._nothing())

    @cached_property
    def gradient(self) -> Any:
        """The sum of all paths: a number, or an array of t's shape."""
        return self._shown(self._total)

    @cached_property
    def adjoints(self) -> dict[Any, Any]:
        """For each node the sum over the paths from there to z, which is ∂z/∂node, in the node's shape."""
        parts: dict[Any, list[Any]] = {node: [] for node in self.nodes}
        for node, value in zip(self._graph.nodes, self._adjoints, strict=True):
            parts[node].append(value)
        return {node: self._shown(_sum(some, self._join, self._nothing(node)), node) for node, some in parts.items()}

    def share(self, contribution: Any) -> float:
        """The part of a contribution in the gradient, ⟨p, g⟩ / ⟨g, g⟩; NaN if the gradient is 0."""
        p, g = np.ravel(contribution), np.ravel(self.gradient)
        size = np.max(np.abs(g), initial=0.0)
        with np.errstate(all="ignore"):  # divided first, as the squares may leave the range of floats
            return float((p / size) @ (g / size) / ((g / size) @ (g / size))) if size else math.nan

    # -- sums over the sizes of all paths

    @cached_property
    def _mass(self) -> Scaled:
        def carry(step: Step, mass: Scaled) -> Scaled | None:
            return _times(mass, abs(step[2]._slope)) if step[2]._slope else None

        sums = self._weighted.backward(_size(self._seed), carry, _plus)
        return _sum((sums[v] for v in self._graph.starts), _plus, ZERO)

    @cached_property
    def mass(self) -> float:
        """Σ|p|: how much it would be if nothing cancelled.  ∞ or 0 out of the range of floats: see `log_mass`."""
        return _float(self._mass)

    @property
    def log_mass(self) -> float:
        """The natural logarithm of the mass, however large or small that is."""
        return _log(self._mass)

    @property
    def cancellation(self) -> float:
        """1 − |Σp| / Σ|p|: 0 if all paths pull the same way (or none does), 1 if they cancel to nothing."""
        return _within_one(1 - _ratio(_size(self._total), self._mass)) if self._mass[0] else 0.0

    def coverage(self, k: int) -> float:
        """The part of the mass that the k largest paths hold, from 0 to 1."""
        sizes = _sum((_size(value) for _, value in self._best(k)), _plus, ZERO)
        return _within_one(_ratio(sizes, self._mass)) if self._mass[0] else 1.0

    # -- flow

    @cached_property
    def _flows(self) -> dict[Edge, Scaled]:
        tangents = self._weighted.forward(ONE, self._carry, _plus)
        flows = dict.fromkeys(self.edges, ZERO)
        for a, b, edge in self._graph.steps:
            tangent, adjoint = tangents[a], self._adjoints[b]
            if tangent and edge._slope and adjoint:
                m, e = _times(_times(tangent, edge._slope), adjoint[0])
                flows[edge] = _plus(flows[edge], (m, e + adjoint[1]))
        return flows

    @cached_property
    def flow(self) -> dict[Edge, Any]:
        """For each edge the sum of all paths through it, a number or an array of t's shape.

        It is adjoint × local derivative × tangent, and conserved: on every cut it adds up to the gradient.
        """
        return {edge: self._shown(flow) for edge, flow in self._flows.items()}

    @cached_property
    def node_flow(self) -> dict[Any, Any]:
        """For each node the sum of all paths through it."""
        return self._into_nodes(self.flow, self.gradient)

    @cached_property
    def edge_shares(self) -> dict[Edge, float]:
        """For each edge the part of the gradient that comes through it; NaN if the gradient is 0."""
        return {edge: _ratio(flow, self._total) for edge, flow in self._flows.items()}

    # -- single paths

    def __iter__(self) -> Iterator[Path]:
        """The paths, by the first argument before the second; at most `limit`.

        If there are more it stops there, and a `PathsLeftOut` warning says how many were left out.
        """
        for i, (edges, value) in enumerate(self._walk()):
            if i == self.limit:
                warnings.warn(
                    f"{self.limit} of {self.count} paths were listed and {self.left_out} left out: "
                    "take .top(k) for the largest, .flow for the sums at edges, or list more with paths(..., limit=)",
                    PathsLeftOut, stacklevel=2,
                )  # fmt: skip
                return
            yield Path(self, edges, self._shown(value))

    def _walk(self) -> Iterator[tuple[tuple[Edge, ...], Any]]:
        """Depth first from the end; what paths have in common there is multiplied once."""
        graph = self._weighted
        into: list[list[Step]] = [[] for _ in graph.nodes]
        for step in graph.steps:
            into[step[1]].append(step)
        starts = set(graph.starts)
        way: list[Edge] = []
        pending: list[tuple[Iterator[Step], Any]] = []
        ahead: list[Step] = [] if graph.end < 0 else into[graph.end]
        if graph.end in starts:
            yield (), self._seed
        pending.append((iter(ahead), self._seed))
        while pending:
            steps, value = pending[-1]
            for a, _, edge in steps:
                way.append(edge)
                value = self._along(edge, value)
                if a in starts:
                    yield tuple(reversed(way)), value
                pending.append((iter(into[a]), value))
                break
            else:
                pending.pop()
                if way:
                    way.pop()

    def top(self, k: int) -> list[Path]:
        """The k paths of largest |contribution|, largest first, exactly; all paths if there are fewer.

        No path is listed to find them: every node keeps its k best ways to z in order, and an edge adds the logarithm
        of its local derivative to those of the node it leads to.
        """
        return [Path(self, edges, self._shown(value)) for edges, value in self._best(k)]

    def _best(self, k: int) -> list[tuple[tuple[Edge, ...], Any]]:
        graph, blocked = self._weighted, -math.inf  # by a zero, whatever else is on the path

        def carry(step: Step, ways: list[Any]) -> list[Any]:
            log = _log((step[2]._slope, 0))
            if math.isinf(log):  # ∞ as well as 0 leaves a blocked path blocked
                return [(min(log, way[0]) if blocked in (log, way[0]) else log, step, i) for i, way in enumerate(ways)]
            return [(log + way[0], step, i) for i, way in enumerate(ways)]

        def best(a: list[Any], b: list[Any]) -> list[Any]:
            return sorted(a + b, key=itemgetter(0), reverse=True)[:k]

        ways = graph.backward([(0.0, None, 0)], carry, best)
        firsts = [(way[0], v, i) for v in graph.starts for i, way in enumerate(ways[v] or [])]
        found = []
        for _, v, i in best(firsts, [])[: max(k, 0)]:
            edges: list[Edge] = []
            while (entry := (ways[v] or [])[i])[1] is not None:
                _, (v, _, edge), i = entry
                edges.append(edge)
            value = self._seed
            for edge in reversed(edges):
                value = self._along(edge, value)
            found.append((tuple(edges), value))
        return sorted(found, key=lambda path: _log(path[1]), reverse=True)

    # -- some of the paths

    @property
    def _plan(self) -> Graph:
        """Where paths are chosen."""
        return self._graph

    def _restricted(self, graph: Graph) -> PathSum:
        return type(self)(graph, self.source, self.target, self._seed, self.limit)

    def through(self, *places: Any) -> PathSum:
        """Only the paths through at least one of these: nodes, edges, or names of nodes.

        For a layer, give its nodes.  ValueError for a name that no node on these paths has.
        """
        marked: set[Any] = set()
        for place in places:
            found = [node for node in self._plan.nodes if node.name == place] if isinstance(place, str) else [place]
            if not found:
                names = ", ".join(dict.fromkeys(node.name for node in self._plan.nodes if node.name)) or "no names"
                raise ValueError(f"through: no node on these paths is called {place!r}; there are {names}")
            marked.update(found)

        def passed(already: int, edge: Edge) -> int:
            return int(already or edge in marked or edge.source in marked)

        at_once = bool(self._plan.nodes) and self._plan.nodes[-1] in marked
        return self._restricted(self._plan.unfolded(int(at_once), passed, bool)[0])

    def of_length(self, n: int) -> PathSum:
        """Only the paths of n edges."""
        return self._restricted(self._plan.unfolded(0, lambda m, _: m + 1 if m < n else None, lambda m: m == n)[0])

    def by_length(self) -> dict[int, Group]:
        """How many paths of each length (number of edges) there are, and what they add up to."""
        return self.by_kind(lambda edge: True)

    def by_kind(self, kind: str | Op | Callable[[Edge], bool]) -> dict[int, Group]:
        """The paths by how many of their edges are of a kind: number -> (count, contribution).

        `kind` is an operation or its name, as in "tanh" for the edges into a tanh, or a function that says of an edge
        whether it counts.
        """
        if isinstance(kind, (str, Op)):
            name = kind if isinstance(kind, str) else kind.name
            return self.by_kind(lambda edge: edge.op.name == name)
        graph, numbers = self._plan.unfolded(0, lambda n, edge: n + bool(kind(edge)), lambda n: True)
        return dict(zip(numbers, self._restricted(graph)._groups(), strict=True))

    def _groups(self) -> list[Group]:
        """The paths from each start."""
        sums = [self._nothing() if self._adjoints[v] is None else self._adjoints[v] for v in self._graph.starts]
        return [Group(self._suffixes[v], self._shown(part)) for v, part in zip(self._graph.starts, sums, strict=True)]

    # -- the factored form

    def factored(self) -> list[Factor]:
        """The gradient as a product of sums, cut where all paths meet, as in (2 + 3 + 5)(7 + 11 + 13).

        The value of z's upstream gradient, unless it is 1, is a further factor.
        """
        factors: list[Factor] = []
        for single, stretches in itertools.groupby(_stretches(self._graph.steps), lambda stretch: len(stretch) == 1):
            if single:
                factors.append(Factor(self, [step for stretch in stretches for step in stretch]))
            else:
                factors += [Factor(self, stretch) for stretch in stretches]
        todo = list(factors)
        while todo:
            factor = todo.pop()
            branches = factor._branches()
            while branches:
                branch = branches.pop(0)
                term = [stretch[0][2] if len(stretch) == 1 else Factor(self, stretch) for stretch in branch]
                sums = [part for part in term if isinstance(part, Factor)]
                if len(sums) == 1 and all(part.op.name == "add" for part in term if isinstance(part, Edge)):
                    i = term.index(sums[0])  # a sum within a sum
                    branches = [branch[:i] + some + branch[i + 1 :] for some in sums[0]._branches()] + branches
                else:
                    factor.terms.append(term)
                    todo += sums
        return factors


# --- arrays --------------------------------------------------------------------------------------------------


class ArrayPathSum(PathSum):
    """The same where nodes are arrays: contributions have t's shape, and the size of a path is its Euclidean norm.

    The contribution of a path is the vector-Jacobian product along it; no Jacobian is built.  Sums, counts and flow
    list no paths here either.  But norms do not multiply, so what depends on the sizes of single paths needs all of
    them: if there are more than `limit`, `mass`, `cancellation` and `coverage` are unknown, NaN, and `top` knows only
    the first `limit` paths, which a `PathsLeftOut` warning says.  A path is live if none of its Jacobians is zero.
    """

    @cached_property
    def _weighted(self) -> Graph:
        return self._graph

    def _alive(self, edge: Edge) -> bool:
        y = edge.target.value
        generic = np.random.default_rng(0).standard_normal(y.shape)  # which no Jacobian but 0 takes to 0
        return bool(np.any(self._along(edge, generic.astype(y.dtype))))

    def _local(self, edge: Edge) -> Any:
        return local_derivative(edge)

    def _carry(self, step: Step, value: Any) -> Any:
        return self._along(step[2], value)

    def _along(self, edge: Edge, value: Any) -> Any:
        with np.errstate(all="ignore"):
            return _pull(edge, value)

    _join = staticmethod(_add)

    def _shown(self, value: Any, node: Any = None) -> Any:
        return np.array(value) if np.ndim(value) else float(value)

    def _nothing(self, node: Any = None) -> Any:
        return np.zeros_like((self.source if node is None else node).value)

    @cached_property
    def _listed(self) -> list[tuple[tuple[Edge, ...], Any, float]]:
        """At most `limit` paths with their norms, largest first."""
        first = itertools.islice(self._walk(), self.limit)
        found = [(edges, value, float(np.linalg.norm(np.ravel(value)))) for edges, value in first]
        return sorted(found, key=lambda path: _log(math.frexp(path[2])), reverse=True)

    @cached_property
    def _mass(self) -> Scaled:
        return math.frexp(math.nan if self.left_out else math.fsum(size for _, _, size in self._listed))

    @property
    def cancellation(self) -> float:
        """1 − ‖Σp‖ / Σ‖p‖."""
        return _within_one(1 - float(np.linalg.norm(np.ravel(self.gradient))) / self.mass) if self.mass else 0.0

    def coverage(self, k: int) -> float:
        """The part of the mass that the k largest paths hold, from 0 to 1."""
        largest = math.fsum(size for _, _, size in self._listed[: max(k, 0)])
        return _within_one(largest / self.mass) if self.mass else 1.0

    def _best(self, k: int) -> list[tuple[tuple[Edge, ...], Any]]:
        if self.left_out:
            warnings.warn(
                f"the largest of {self.limit} paths, {self.left_out} were left out and may be larger: between arrays "
                "the size of a path is known once it is listed; take a larger limit= or .through(...) for some of them",
                PathsLeftOut, stacklevel=3,
            )  # fmt: skip
        return [(edges, value) for edges, value, _ in self._listed[: max(k, 0)]]

    @cached_property
    def flow(self) -> dict[Edge, Any]:
        """For each edge the sum of all paths through it, in t's shape: a backward sweep per edge that some miss."""
        flows: dict[Edge, Any] = {}
        for edge in self.edges:
            if self.edge_counts[edge] == self.count:
                flows[edge] = self.gradient
                continue
            values: list[Any] = [None] * len(self._graph.nodes)
            for a, b, same in self._graph.steps:
                if same == edge:
                    values[a] = self._along(edge, self._adjoints[b])
            _sweep(self._graph._back, values, self._carry, _add)
            flows[edge] = self._shown(_sum((values[v] for v in self._graph.starts), _add, self._nothing()))
        return flows

    @cached_property
    def edge_shares(self) -> dict[Edge, float]:
        """For each edge the part of the gradient g that comes through it, ⟨flow, g⟩ / ⟨g, g⟩, by two sweeps in all.

        The tangent that meets the adjoints starts as g at t.
        """
        g, shares = np.asarray(self.gradient), dict.fromkeys(self.edges, 0.0)
        try:
            with np.errstate(all="ignore"):
                tangents = self._graph.forward(g / np.vdot(g, g), lambda step, v: _push(step[2], v), _add)
                for a, b, edge in self._graph.steps:
                    shares[edge] += float(np.vdot(_push(edge, tangents[a]), self._adjoints[b]))
        except NotImplementedError:  # an operation without a forward mode
            return {edge: self.share(flow) for edge, flow in self.flow.items()}
        return shares


# --- single elements -----------------------------------------------------------------------------------------

Entry = Callable[[Any], Any]  # what becomes of each entry of a Jacobian
Product = Callable[[Any], Any]
# Each element of the result is an element of an argument, or a sum of some.
COPYING = {"sum", "cumsum", "reshape", "transpose", "swapaxes", "moveaxis", "squeeze", "expand_dims", "broadcast_to",
           "concatenate", "stack", "tile", "roll", "flip", "tril", "triu", "getitem", "_putitem"}  # fmt: skip


def _jacobian(edge: Edge, entry: Entry, structure: bool = False) -> tuple[Product, Product]:
    """Products from the left and from the right with the Jacobian of an edge, after `entry` was applied to its entries.

    It is not written out where the operation tells how it looks.  With `structure`, entries that happen to be zero are
    filled with others, so that only those which can be nothing but zero are zero.
    """
    node, op, slot, x = edge.target, edge.op, edge.slot, edge.source.value
    y, inputs, params = node.value, _inputs(node), node.params or {}
    if op.name == "affine":
        op, inputs = BY_NAME["matmul" if slot < 2 else "add"], inputs[:2]
    if op.kind == "elementwise":  # diagonal
        slopes = entry(np.ones(y.shape) if structure else np.broadcast_to(_rule(edge, np.ones_like(y)), y.shape))
        return (
            lambda g: unbroadcast(_blocked(slopes * g, g), x.shape),
            lambda v: _blocked(slopes * v, np.broadcast_to(v, y.shape)),
        )
    if op.name in ("matmul", "take"):  # each entry is an element of the other factor, or an index
        node.check_unchanged()
        factors = [np.ones(np.shape(a)) if structure else np.asarray(a) for a in inputs]
        factors = [entry(a) if rule is not None else b for rule, a, b in zip(op.vjps, factors, inputs, strict=True)]
        return (
            lambda g: unbroadcast(op.vjps[slot](g, y, *factors, **params), x.shape),
            lambda v: op.forward(*factors[:slot], v, *factors[slot + 1 :], **params),
        )
    if op.name in COPYING or op.name == "mean":  # all entries that are not 0 are the same
        copy, slope = (BY_NAME["sum"], y.size / x.size) if op.name == "mean" else (op, 1.0)
        same = entry(np.asarray(slope))
        zeros = [np.zeros(np.shape(a), np.int64) for a in inputs]
        return (
            lambda g: unbroadcast(same * copy.vjps[slot](g, y, *inputs, **params), x.shape),
            lambda v: same * copy.forward(*zeros[:slot], v, *zeros[slot + 1 :], **params),
        )
    if op.kind == "reduction":  # one entry for each element of x
        axis, keepdims = params.get("axis"), params.get("keepdims", False)
        spread: Any = reductions.spread
        slopes = entry(np.ones(x.shape) if structure else np.broadcast_to(_rule(edge, np.ones_like(y)), x.shape))
        return (
            lambda g: _blocked(slopes * spread(g, x, axis, keepdims), spread(g, x, axis, keepdims)),
            lambda v: np.sum(_blocked(slopes * v, v), axis=axis, keepdims=keepdims),
        )
    matrix = entry(_written_out(edge, structure))
    return lambda g: (np.ravel(g) @ matrix).reshape(x.shape), lambda v: (matrix @ np.ravel(v)).reshape(y.shape)


def _blocked(product: Any, factor: Any) -> Any:
    """0 · ∞ is 0 here: a zero blocks."""
    if product.dtype == object or np.isfinite(product).all():
        return product
    return np.where(np.broadcast_to(factor, product.shape) == 0, 0.0, product)


def _written_out(edge: Edge, structure: bool) -> Any:
    """The Jacobian row by row; with `structure` its magnitude at these inputs and at generic ones together."""
    node, x = edge.target, edge.source.value
    y = node.value
    if y.size * x.size > LARGEST:
        raise ValueError(
            f"{edge!r}: the paths of single elements need its {y.size} × {x.size} Jacobian written out, which is too "
            "large; take fewer examples, or the paths between whole arrays (no at=)"
        )
    rows = [row.reshape(y.shape) for row in np.eye(y.size, dtype=y.dtype)]
    matrix = np.reshape([unbroadcast(_rule(edge, row), x.shape) for row in rows], (y.size, x.size))
    if structure:
        rng = np.random.default_rng(0)
        inputs = [rng.uniform(0.2, 0.9, np.shape(a)) if np.asarray(a).dtype.kind == "f" else a for a in _inputs(node)]
        inputs = [edge.op.prepare(a) for a in inputs] if edge.op.prepare else inputs
        params = node.params or {}
        y, rule = edge.op.compute(inputs, params), edge.op.vjps[edge.slot]
        other = np.reshape([unbroadcast(rule(row, y, *inputs, **params), x.shape) for row in rows], matrix.shape)
        matrix = np.abs(matrix) + np.abs(other)
    return matrix


class ElementPathSum(PathSum):
    """The paths from one element of t to the single number z, through single elements of all arrays between.

    Counts, gradient, mass and their like, `element_flow`, `element_counts`, groups and filters by tensors come from
    sweeps over whole arrays: no graph of elements is built.  All else (`nodes`, `edges`, `flow`, `top`, iterating ...)
    builds the part of it that lies on the paths, with nodes of type `Element`; ValueError if that is too large.
    """

    def __init__(self, arrays: Graph, source: Element, target: Element, seed: Scaled, limit: int):
        self._arrays, self.source, self.target, self._seed, self.limit = arrays, source, target, seed, limit

    @property
    def _plan(self) -> Graph:
        return self._arrays

    def through(self, *places: Any) -> PathSum:
        """Only the paths through at least one of these: tensors, their names, elements, or edges between elements."""
        if any(isinstance(p, Element) or (isinstance(p, Edge) and isinstance(p.source, Element)) for p in places):
            return PathSum(self._graph, self.source, self.target, self._seed, self.limit).through(*places)
        return super().through(*places)

    # -- sweeps over whole arrays

    def _swept(self, entry: Entry, one: Any, structure: bool = False, forward: bool = False) -> list[Any]:
        """From z to all before it, or forward from the element of t; `one` is an array with a single element."""
        end = self.source if forward else self.target
        first = np.zeros(end.tensor.shape, one.dtype)
        first[end.at] = one[0]
        sweep = self._arrays.forward if forward else self._arrays.backward

        def carry(step: Step, value: Any) -> Any:  # an array also where objects sum to an int
            return np.asarray(_jacobian(step[2], entry, structure)[forward](value), one.dtype)

        with np.errstate(all="ignore"):
            return sweep(first, carry, lambda a, b: np.asarray(a + b, one.dtype))

    def _counts(self, structure: bool = True, forward: bool = False) -> list[Any]:
        """How many paths, for each element of each array: in floats while these are exact, else in Python integers."""
        counts = self._swept(_is_there, np.ones(1), structure, forward)
        if any(np.max(n, initial=0) >= 2**53 for n in counts):
            return self._swept(lambda d: _integers(_is_there(d)), _integers([1]), structure, forward)
        return [_integers(n) for n in counts]

    def _here(self, values: list[Any]) -> list[Any]:
        """At the element of t, for each start."""
        return [values[v][self.source.at] for v in self._arrays.starts]

    @cached_property
    def count(self) -> int:
        """How many paths there are, exactly."""
        return sum(self._here(self._counts()))

    @cached_property
    def live_count(self) -> int:
        """How many of them have no local derivative that is zero, exactly."""
        return sum(self._here(self._counts(structure=False)))

    @cached_property
    def _array_adjoints(self) -> list[Any]:
        return self._swept(lambda d: d, np.array([_float(self._seed)]))

    @cached_property
    def _total(self) -> Scaled:
        return math.frexp(sum(self._here(self._array_adjoints)))

    @cached_property
    def _mass(self) -> Scaled:
        return math.frexp(sum(self._here(self._swept(np.abs, np.array([abs(_float(self._seed))])))))

    def _groups(self) -> list[Group]:
        sums = zip(self._here(self._counts()), self._here(self._array_adjoints), strict=True)
        return [Group(n, float(part)) for n, part in sums]

    @cached_property
    def element_flow(self) -> dict[Any, Any]:
        """For each array on the way, in its shape: the sum of all paths through each of its elements."""
        tangents = self._swept(lambda d: d, np.ones(1), forward=True)
        flows = [_blocked(v * g, v) for v, g in zip(tangents, self._array_adjoints, strict=True)]
        return _by_node(self._arrays.nodes, flows)

    @cached_property
    def element_counts(self) -> dict[Any, Any]:
        """For each array on the way, in its shape: how many paths go through each of its elements."""
        pairs = zip(self._counts(forward=True), self._counts(), strict=True)
        return _by_node(self._arrays.nodes, [before * after for before, after in pairs])

    # -- the graph of elements

    @cached_property
    def _weighted(self) -> Graph:
        return self._graph

    @cached_property
    def _graph(self) -> Graph:  # type: ignore[override]
        """The part of it that lies on the paths, with the local derivatives on its edges."""
        pairs = zip(self._counts(forward=True), self._counts(), strict=True)
        on = [np.flatnonzero(before * after) for before, after in pairs]
        offsets = np.cumsum([0, *map(len, on)]).tolist()
        nodes = [Element(node, int(p)) for node, some in zip(self._arrays.nodes, on, strict=True) for p in some]
        steps: list[Step] = []
        for a, b, edge in self._arrays.steps:
            forward = len(on[a]) <= len(on[b])  # column by column, or row by row
            fixed, free = (a, b) if forward else (b, a)
            there, slopes = _jacobian(edge, _is_there, structure=True)[forward], _jacobian(edge, lambda d: d)[forward]
            unit = np.zeros(self._arrays.nodes[fixed].shape)
            for i, place in enumerate(on[fixed]):
                unit.flat[place] = 1.0
                reached, slope = np.ravel(there(unit))[on[free]], np.ravel(slopes(unit))[on[free]]
                unit.flat[place] = 0.0
                for j in np.flatnonzero(reached).tolist():
                    tail, head = (offsets[a] + i, offsets[b] + j) if forward else (offsets[a] + j, offsets[b] + i)
                    steps.append((tail, head, Edge(nodes[tail], nodes[head], edge.slot)))
                    steps[-1][2]._slope = float(slope[j])
                if len(steps) > LARGEST:
                    raise ValueError(f"{self!r}: more than {LARGEST} edges between single elements, too many to list")
        steps.sort(key=lambda step: (step[1], step[2].slot, step[0]))
        starts = [i for v in self._arrays.starts for i in range(offsets[v], offsets[v + 1])]
        return Graph(nodes, steps, starts)


def _is_there(d: Any) -> Any:
    return np.not_equal(d, 0).astype(np.float64)


def _integers(counts: Any) -> Any:
    return np.asarray(np.asarray(counts, np.int64), object)


def _by_node(nodes: list[Any], values: list[Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for node, value in zip(nodes, values, strict=True):
        found[node] = found[node] + value if node in found else value
    return found


# --- the factored form ---------------------------------------------------------------------------------------


class Factor:
    """A sum of products: all paths between two nodes that every path through either goes through.

    `source` and `target` are these nodes; `terms` are the ways between them that have nothing else in common, each a
    list of edges and, nested, further factors; `products` are their values, and `value` is the sum.  Ways that cross
    are told apart path by path; where there are more than `limit` of those, there are no terms.  Between arrays there
    are no values (None).
    """

    def __init__(self, owner: PathSum, steps: list[Step]):
        self._owner, self._steps = owner, steps
        self.source, self.target = steps[0][2].source, steps[-1][2].target
        self.terms: list[list[Edge | Factor]] = []

    @cached_property
    def _paths(self) -> PathSum:
        owner, first, last = self._owner, self._steps[0][0], self._steps[-1][1]
        kind = ArrayPathSum if isinstance(owner, ArrayPathSum) else PathSum
        graph = Graph.pruned(owner._graph.nodes, self._steps, [first], last)
        return kind(graph, self.source, self.target, ONE, owner.limit)

    @property
    def count(self) -> int:
        """How many paths there are between its nodes."""
        return self._paths.count

    @property
    def value(self) -> Any:
        """Their sum."""
        return None if isinstance(self._paths, ArrayPathSum) else _float(self._paths._total)

    @property
    def products(self) -> list[Any]:
        """The value of each term."""
        if self.value is None:
            return [None] * len(self.terms)
        return [math.prod(self._value_of(part) for part in term) for term in self.terms]

    def _value_of(self, part: Edge | Factor) -> Any:
        return part.value if isinstance(part, Factor) else part._slope

    def _branches(self) -> list[list[list[Step]]]:
        """Its ways, which meet only at its ends, cut into stretches; if all of them hang together, its paths."""
        stretches = _stretches(self._steps)
        if len(stretches) > 1:
            return [stretches]
        first, last = self._steps[0][0], self._steps[-1][1]
        hangs: dict[int, int] = {}  # vertex -> another of its way; the last one stands for the way

        def way(v: int) -> int:
            while hangs.setdefault(v, v) != v:
                hangs[v] = v = hangs[hangs[v]]
            return v

        for a, b, _ in self._steps:
            if a != first and b != last:
                hangs[way(a)] = way(b)
        found: dict[Any, list[Step]] = {}
        for a, b, edge in self._steps:
            key: Any = edge if (a, b) == (first, last) else way(b if a == first else a)
            found.setdefault(key, []).append((a, b, edge))
        if len(found) > 1:
            return [_stretches(steps) for steps in found.values()]
        if self.count > self._owner.limit:
            return []
        return [[[(i, i + 1, edge)] for i, edge in enumerate(edges)] for edges, _ in self._paths._walk()]

    def __str__(self) -> str:
        """Such as ``(2 + 3·(1 + 4))``; what is nested deeper than six sums is only counted."""
        return self._text(6)

    def _text(self, depth: int) -> str:
        if not self.terms or not depth:
            return f"({self.count} paths)"
        terms = [[self._text_of(part, depth - 1) for part in term] for term in self.terms]
        products = ["·".join(text for text in term if text != "1") or "1" for term in terms]
        return products[0] if len(products) == 1 else f"({' + '.join(products)})"

    def _text_of(self, part: Edge | Factor, depth: int) -> str:
        if isinstance(part, Factor):
            return part._text(depth)
        if self.value is None:
            return f"∂{name_of(part.target)}/∂{name_of(part.source)}"
        text = number(self._value_of(part))
        return f"({text})" if text.startswith("−") else text


def _stretches(steps: list[Step]) -> list[list[Step]]:
    """The steps, cut at every vertex that no step leads past: there all paths meet."""
    found: list[list[Step]] = []
    reach = -1
    for step in sorted(steps, key=itemgetter(0)):
        if step[0] >= reach:
            found.append([])
        found[-1].append(step)
        reach = max(reach, step[1])
    return found


# --- what stands on an edge ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class LocalDerivative:
    """The derivative of one operation by one argument: the `value` between numbers (else None), and the `formula`.

    Between arrays the formula says what happens to the gradient that comes in at the dot, as in "Wᵀ ·", "⊙ 1 − a ⊙ a"
    or "sum over 32 columns"; `shape` is that of the Jacobian, (elements of the result, elements of the argument).
    The formula is empty where the rule cannot be written down.
    """

    edge: Edge
    value: float | None
    formula: str
    shape: tuple[int, int]

    def __str__(self) -> str:
        if self.value is None:
            return self.formula or f"Jacobian {self.shape[0]} × {self.shape[1]}"
        value = number(self.value)
        return value if self.formula in ("", value) else f"{self.formula} = {value}"


def local_derivative(edge: Edge, name: Callable[[Any], str] = name_of) -> LocalDerivative:
    """What stands on an edge: the local derivative as a number and as a formula, or for arrays as a rule.

    `name` gives the names of the nodes in the formula.

    >>> import tinygrad_nn as tn
    >>> x = tn.tensor(3.0, requires_grad=True, name="x")
    >>> str(local_derivative(paths(tn.square(x), x).edges[0]))
    '2x = 6'
    """
    node, x = edge.target, edge.source
    if isinstance(node, Element):
        unit = np.zeros_like(node.tensor.value)
        unit[node.at] = 1
        row = _pull(Edge(x.tensor, node.tensor, edge.slot), unit)
        return LocalDerivative(edge, float(row[x.at]), "", (1, 1))
    names = [name(a) if isinstance(a, Traced) else _constant(a) for a in node.inputs]
    args = [np.asarray(a.value) if isinstance(a, Traced) else a for a in node.inputs]
    shape = (node.value.size, x.value.size)
    single, elementwise = shape == (1, 1), edge.op.kind == "elementwise"
    if single or elementwise:
        whole = write(edge.op, names, node.params)
        y = node.name or (whole if edge.op.binds == 9 else f"({whole})")
        traced = derivative(edge.op, edge.slot, names, y, None, args, node.params)
    else:
        traced = derivative(edge.op, edge.slot, names, name(node), "·", args, node.params)
    formula = traced.text if traced else ""
    if single:
        formula = whole if formula == node.name else formula  # exp(t) says more than its name
    elif traced:
        formula = {"1": "·", "−1": "−·"}.get(formula, f"⊙ {formula}") if elementwise else formula
        summed = _summed(node.shape if elementwise else traced.shape, x.shape)
        formula = ", ".join(part for part in (formula, summed) if part and (part != "·" or not summed))
    if single:
        _weigh([edge])
    return LocalDerivative(edge, edge._slope if single else None, formula, shape)


def _summed(shape: tuple[int, ...], onto: tuple[int, ...]) -> str:
    """Over what un-broadcasting sums: "sum over 32 columns"."""
    padded = (1,) * (len(shape) - len(onto)) + onto
    axes = [i for i, (n, m) in enumerate(zip(shape, padded, strict=True)) if n != m]
    if not axes:
        return ""
    if len(shape) == 2 and len(axes) == 1:
        return f"sum over {shape[axes[0]]} {'columns' if axes[0] else 'rows'}"
    return f"sum over {' × '.join(str(shape[i]) for i in axes)} elements"


# --- the entrance --------------------------------------------------------------------------------------------


def paths(z: Any, t: Any, gradient: Any = None, *, at: Any = None, limit: int = LIMIT) -> PathSum:
    """The gradient of z with respect to t as a sum over all paths from t to z.

    Parameters
    ----------
    z : a recorded tensor: a single number, or with `gradient` of any shape.
    t : a tensor that requires a gradient, or any intermediate result.
    gradient : upstream gradient of z, in its shape; 1 if left out.
    at : index of one element of t: the paths from this element to the single number z, through single elements of what
        lies between.  In a dense network 784-256-256-10, 65,536 lead from one pixel to one logit.
    limit : at most so many paths are listed when you iterate over the result.

    Returns
    -------
    A `PathSum`; an `ArrayPathSum` if there are arrays on the way, whose paths lead through whole arrays; with `at` an
    `ElementPathSum`.  If z does not depend on t there are 0 paths, and the gradient is 0; from z to itself there is
    one, without edges, and the gradient is 1.  Constants, and arguments without a derivative, lie on no path.

    Raises
    ------
    ValueError : z was not recorded, or has several elements and there is no `gradient`; t requires no gradient; `at`
        is not the index of one element.
    MutationError : from what is computed later, if a value that is needed was changed after it was recorded.

    Example
    -------
    >>> import tinygrad_nn as tn
    >>> t = tn.tensor(2.0, requires_grad=True, name="t")
    >>> z = t**2 * (3 * t)
    >>> p = paths(z, t)
    >>> [path.contribution for path in p], p.gradient
    ([24.0, 12.0], 36.0)
    >>> for _ in range(1000):
    ...     z = tn.sin(z) + tn.cos(z)
    >>> paths(z, t).count == 2 * 2**1000
    True

    Source: the founding text's "Interlude: The Chain Rule and Nested Dependencies"; Bauer, "Computational Graphs and
    Rounding Error", SIAM J. Numer. Anal. 11 (1974).
    """
    seed = seed_for(z, gradient, "gradient")
    seed = np.asarray(seed.value if isinstance(seed, Traced) else seed)
    if not t.tracked:
        raise ValueError(
            f"paths: {label(t, 't')} of shape {t.shape} does not require a gradient, so no paths start there; "
            "create it with requires_grad=True before computing z"
        )
    graph = Graph.between(t, z)
    if at is not None:
        places = np.arange(t.size).reshape(t.shape)[at]
        if np.size(places) != 1 or z.size != 1:
            raise ValueError(
                f"paths: at={at!r} must be the index of one element of {label(t, 't')} of shape {t.shape}, and z, of "
                f"shape {z.shape}, a single number: take one element of it, as in paths(z[0, 3], t, at=...)"
            )
        ends = Element(t, int(np.ravel(places)[0])), Element(z, 0)
        return ElementPathSum(graph, *ends, math.frexp(float(seed.item())), limit)
    if all(node.value.size == 1 for node in (t, z, *graph.nodes)):
        return PathSum(graph, t, z, math.frexp(float(seed.item())), limit)
    return ArrayPathSum(graph, t, z, seed, limit)
