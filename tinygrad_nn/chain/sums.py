"""Paths between numbers, and the gradient as their sum."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np

from tinygrad_nn.chain import scaled
from tinygrad_nn.chain.derivatives import compute_slopes
from tinygrad_nn.chain.factors import Factor, factored
from tinygrad_nn.chain.graph import Edge, Element, PathGraph, Step, combined, name_of, unchanged
from tinygrad_nn.chain.listing import as_html
from tinygrad_nn.chain.path import Cost, Path, PathGroup, PathsLeftOut
from tinygrad_nn.chain.scaled import Scaled
from tinygrad_nn.naming import Naming
from tinygrad_nn.notation import abridged
from tinygrad_nn.operation import Op

__all__ = ["PathSum", "within_one"]


class PathSum:
    """The gradient of z with respect to t as a sum over paths; `paths` makes one.

    `source` is t and `target` is z.  Everything is computed when it is first asked for.  The counts need no values; all
    else does, and raises `MutationError` where one has changed since it was recorded.  Nothing touches `.grad`.

    A path with a zero on it is blocked: it contributes exactly 0, also where another of its factors is infinite.  NaN
    and infinities on other paths come through.
    """

    _single_numbers = True  # nodes are single numbers

    def __init__(self, graph: PathGraph, source: Any, target: Any, seed: Any, limit: int, naming: Naming):
        self._graph, self.source, self.target, self._seed, self.limit = graph, source, target, seed, limit
        self._naming = naming

    def __repr__(self) -> str:
        n = str(self.count) if self.count < 10**12 else f"about 2^{self.count.bit_length() - 1}"
        ends = f"from {self.name_of(self.source)} to {self.name_of(self.target)}"
        return f"<sum over {n} path{'' if self.count == 1 else 's'} {ends}>"

    def _repr_html_(self) -> str:
        return as_html(self)

    def name_of(self, node: Any) -> str:
        """What a node is called here and in pictures: its own name, the program's for it, or v₁, v₂ ..."""
        if isinstance(node, Element):
            return self.name_of(node.tensor) + node.index_written
        return self._naming.names.get(node) or name_of(node)

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
    def _counts_to_end(self) -> list[int]:
        """How many paths lead on to the end, from each vertex."""
        return [n or 0 for n in self._graph.backward(1, unchanged, operator.add)]

    @cached_property
    def count(self) -> int:
        """How many paths there are, exactly."""
        return sum(self._counts_to_end[v] for v in self._graph.starts)

    @cached_property
    def live_count(self) -> int:
        """How many of them have no local derivative that is zero, exactly."""
        live = self._with_slopes.backward(1, lambda step, n: n if self._is_live(step[2]) else None, operator.add)
        return sum(live[v] or 0 for v in self._graph.starts)

    @property
    def left_out(self) -> int:
        """How many paths lie beyond `limit`, and so do not come when you iterate."""
        return max(0, self.count - self.limit)

    @cached_property
    def edge_counts(self) -> dict[Edge, int]:
        """How many paths go through each edge."""
        before = self._graph.forward(1, unchanged, operator.add)
        counts = dict.fromkeys(self.edges, 0)
        for a, b, edge in self._graph.steps:
            counts[edge] += (before[a] or 0) * self._counts_to_end[b]
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
    def _with_slopes(self) -> PathGraph:
        """The graph with the local derivatives on its edges."""
        compute_slopes(edge for edge in self.edges if edge.slope != edge.slope)
        return self._graph

    def _is_live(self, edge: Edge) -> bool:
        return edge.slope != 0

    def _local(self, edge: Edge) -> Any:
        return edge.slope

    # -- sums over all paths.  The algebra of numbers: `ArrayPathSum` has that of arrays.

    def _extend(self, step: Step, value: Scaled) -> Scaled | None:
        """Backward or forward across one edge, in a sum over paths: nothing where it is blocked."""
        return scaled.times(value, step[2].slope) if step[2].slope else None

    _combine: Any = staticmethod(scaled.plus)

    def _extend_path(self, edge: Edge, value: Any) -> Any:
        """Backward across one edge, on one path."""
        return scaled.times(value, edge.slope) if edge.slope and value[0] else scaled.ZERO

    def _as_value(self, value: Any, node: Any = None) -> Any:
        """A value of the algebra as a number, or as an array of t's shape."""
        shape = (self.source if node is None else node).shape
        return np.full(shape, scaled.to_float(value)) if shape else scaled.to_float(value)

    def _zero(self, node: Any = None) -> Any:
        return scaled.ZERO

    @cached_property
    def _adjoints(self) -> list[Any]:
        return self._with_slopes.backward(self._seed, self._extend, self._combine)

    @cached_property
    def _total(self) -> Any:
        return combined((self._adjoints[v] for v in self._graph.starts), self._combine, self._zero())

    @cached_property
    def gradient(self) -> Any:
        """The sum of all paths: a number, or an array of t's shape."""
        return self._as_value(self._total)

    @cached_property
    def adjoints(self) -> dict[Any, Any]:
        """For each node the sum over the paths from there to z, which is ∂z/∂node, in the node's shape."""
        parts: dict[Any, list[Any]] = {node: [] for node in self.nodes}
        for node, value in zip(self._graph.nodes, self._adjoints, strict=True):
            parts[node].append(value)
        return {
            node: self._as_value(combined(some, self._combine, self._zero(node)), node) for node, some in parts.items()
        }

    def share(self, contribution: Any) -> float:
        """The part of a contribution in the gradient, ⟨p, g⟩ / ⟨g, g⟩; NaN if the gradient is 0."""
        p, g = np.ravel(contribution), np.ravel(self.gradient)
        size = np.max(np.abs(g), initial=0.0)
        with np.errstate(all="ignore"):  # divided first, as the squares may leave the range of floats
            return float((p / size) @ (g / size) / ((g / size) @ (g / size))) if size else math.nan

    # -- sums over the sizes of all paths

    @cached_property
    def _mass(self) -> Scaled:
        def extend(step: Step, mass: Scaled) -> Scaled | None:
            return scaled.times(mass, abs(step[2].slope)) if step[2].slope else None

        sums = self._with_slopes.backward(scaled.size(self._seed), extend, scaled.plus)
        return combined((sums[v] for v in self._graph.starts), scaled.plus, scaled.ZERO)

    @cached_property
    def mass(self) -> float:
        """Σ|p|: how much it would be if nothing cancelled.  ∞ or 0 out of the range of floats: see `log_mass`."""
        return scaled.to_float(self._mass)

    @property
    def log_mass(self) -> float:
        """The natural logarithm of the mass, however large or small that is."""
        return scaled.log(self._mass)

    @property
    def cancellation(self) -> float:
        """1 − |Σp| / Σ|p|: 0 if all paths pull the same way (or none does), 1 if they cancel to nothing."""
        return within_one(1 - scaled.ratio(scaled.size(self._total), self._mass)) if self._mass[0] else 0.0

    def coverage(self, k: int) -> float:
        """The part of the mass that the k largest paths hold, from 0 to 1."""
        sizes = combined((scaled.size(value) for _, value in self._best(k)), scaled.plus, scaled.ZERO)
        return within_one(scaled.ratio(sizes, self._mass)) if self._mass[0] else 1.0

    # -- flow

    @cached_property
    def _flows(self) -> dict[Edge, Scaled]:
        tangents = self._with_slopes.forward(scaled.ONE, self._extend, scaled.plus)
        flows = dict.fromkeys(self.edges, scaled.ZERO)
        for a, b, edge in self._graph.steps:
            tangent, adjoint = tangents[a], self._adjoints[b]
            if tangent and edge.slope and adjoint:
                m, e = scaled.times(scaled.times(tangent, edge.slope), adjoint[0])
                flows[edge] = scaled.plus(flows[edge], (m, e + adjoint[1]))
        return flows

    @cached_property
    def flow(self) -> dict[Edge, Any]:
        """For each edge the sum of all paths through it, a number or an array of t's shape.

        It is adjoint × local derivative × tangent, and conserved: on every cut of the graph it adds up to the gradient.
        """
        return {edge: self._as_value(flow) for edge, flow in self._flows.items()}

    @cached_property
    def node_flow(self) -> dict[Any, Any]:
        """For each node the sum of all paths through it."""
        return self._into_nodes(self.flow, self.gradient)

    @cached_property
    def edge_shares(self) -> dict[Edge, float]:
        """For each edge the part of the gradient that comes through it; NaN if the gradient is 0."""
        return {edge: scaled.ratio(flow, self._total) for edge, flow in self._flows.items()}

    # -- single paths

    def __iter__(self) -> Iterator[Path]:
        """The paths, by the first argument before the second; at most `limit`.

        If there are more it stops there, and a `PathsLeftOut` warning says how many were left out.
        """
        for i, (edges, value) in enumerate(self._depth_first()):
            if i == self.limit:
                warnings.warn(
                    f"{self.limit} of {self.count} paths were listed and {self.left_out} left out: "
                    "take .top(k) for the largest, .flow for the sums at edges, or list more with paths(..., limit=)",
                    PathsLeftOut, stacklevel=2,
                )  # fmt: skip
                return
            yield Path(self, edges, self._as_value(value))

    def _depth_first(self) -> Iterator[tuple[tuple[Edge, ...], Any]]:
        """Depth first from the end; what paths have in common there is multiplied once."""
        graph = self._with_slopes
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
                value = self._extend_path(edge, value)
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
        return [Path(self, edges, self._as_value(value)) for edges, value in self._best(k)]

    def _best(self, k: int) -> list[tuple[tuple[Edge, ...], Any]]:
        graph, blocked = self._with_slopes, -math.inf  # by a zero, whatever else is on the path

        def extend(step: Step, ways: list[Any]) -> list[Any]:
            log = scaled.log((step[2].slope, 0))
            if math.isinf(log):  # ∞ as well as 0 leaves a blocked path blocked
                return [(min(log, way[0]) if blocked in (log, way[0]) else log, step, i) for i, way in enumerate(ways)]
            return [(log + way[0], step, i) for i, way in enumerate(ways)]

        def best(a: list[Any], b: list[Any]) -> list[Any]:
            return sorted(a + b, key=itemgetter(0), reverse=True)[:k]

        ways = graph.backward([(0.0, None, 0)], extend, best)
        firsts = [(way[0], v, i) for v in graph.starts for i, way in enumerate(ways[v] or [])]
        found = []
        for _, v, i in best(firsts, [])[: max(k, 0)]:
            edges: list[Edge] = []
            while (entry := (ways[v] or [])[i])[1] is not None:
                _, (v, _, edge), i = entry
                edges.append(edge)
            value = self._seed
            for edge in reversed(edges):
                value = self._extend_path(edge, value)
            found.append((tuple(edges), value))
        return sorted(found, key=lambda path: scaled.log(path[1]), reverse=True)

    # -- some of the paths

    @property
    def _unrestricted(self) -> PathGraph:
        """Where paths are chosen."""
        return self._graph

    def _restricted(self, graph: PathGraph) -> PathSum:
        return type(self)(graph, self.source, self.target, self._seed, self.limit, self._naming)

    def through(self, *places: Any) -> PathSum:
        """Only the paths through at least one of these: nodes, edges, or names of nodes (see `name_of`).

        For a layer, give its nodes.  ValueError for a name that no node on these paths has.
        """
        graph, marked = self._unrestricted, set[Any]()
        for place in places:
            found = (
                [node for node in graph.nodes if place in (node.name, self.name_of(node))]
                if isinstance(place, str)
                else [place]
            )
            if not found:
                given = [self.name_of(node) for node in graph.nodes if self._naming.names.is_given(node)]
                names = ", ".join(abridged(list(dict.fromkeys(given)), 20, "…")) or "no names"
                raise ValueError(f"through: no node on these paths is called {place!r}; there are {names}")
            marked.update(found)

        def passed(already: int, edge: Edge) -> int:
            return int(already or edge in marked or edge.source in marked)

        at_once = bool(graph.nodes) and graph.nodes[-1] in marked
        return self._restricted(graph.unfolded(int(at_once), passed, bool)[0])

    def of_length(self, n: int) -> PathSum:
        """Only the paths of n edges."""
        return self._restricted(
            self._unrestricted.unfolded(0, lambda m, _: m + 1 if m < n else None, lambda m: m == n)[0]
        )

    def by_length(self) -> dict[int, PathGroup]:
        """How many paths of each length (number of edges) there are, and what they add up to."""
        return self.by_kind(lambda edge: True)

    def by_kind(self, kind: str | Op | Callable[[Edge], bool]) -> dict[int, PathGroup]:
        """The paths by how many of their edges are of a kind: number -> (count, contribution).

        `kind` is an operation or its name, as in "tanh" for the edges into a tanh, or a function that says of an edge
        whether it counts.
        """
        if isinstance(kind, (str, Op)):
            name = kind if isinstance(kind, str) else kind.name
            return self.by_kind(lambda edge: edge.op.name == name)
        graph, numbers = self._unrestricted.unfolded(0, lambda n, edge: n + bool(kind(edge)), lambda n: True)
        return dict(zip(numbers, self._restricted(graph)._path_groups(), strict=True))

    def _path_groups(self) -> list[PathGroup]:
        """The paths from each start."""
        sums = [self._zero() if self._adjoints[v] is None else self._adjoints[v] for v in self._graph.starts]
        return [
            PathGroup(self._counts_to_end[v], self._as_value(part))
            for v, part in zip(self._graph.starts, sums, strict=True)
        ]

    # -- the factored form

    def factored(self) -> list[Factor]:
        """The gradient as a product of sums, split where all paths meet, as in (2 + 3 + 5)(7 + 11 + 13).

        The value of z's upstream gradient, unless it is 1, is a further factor.
        """
        return factored(self)

    def _between(self, graph: PathGraph, source: Any, target: Any) -> PathSum:
        """The paths of a part of the graph."""
        return PathSum(graph, source, target, scaled.ONE, self.limit, self._naming)


def within_one(x: float) -> float:
    """A share, without what rounding adds."""
    return min(1.0, max(0.0, x)) if x == x else x
