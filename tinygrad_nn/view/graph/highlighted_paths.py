"""Which paths of a graph a picture highlights, and how much runs along each arrow.  All numbers are `chain`'s."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_nn import chain
from tinygrad_nn.notation import format_number
from tinygrad_nn.operation import Traced, recorded
from tinygrad_nn.view.graph.computation import ComputationGraph, largest
from tinygrad_nn.view.text import abridged, plural

__all__ = ["HighlightedPaths", "obvious_source", "require_dependence", "source_of"]

LANES = 4  # so many paths get a lane each; of more, the flow of all is drawn
MOST = 8  # so many paths are all listed
LARGEST = 3  # of more paths, so many
LISTED = 20_000  # paths between single elements are told apart up to here

Key = tuple[int, int]  # of an arrow: the number of its target, and the argument


def require_dependence(graph: ComputationGraph, t: Any, asked: str) -> None:
    """Say what is wrong where the root of a graph was not made from t; `asked` is the function with {z} and {t}."""
    if not t.tracked or any(node is t for node in graph.nodes):
        return
    z, name = graph.name(graph.root), graph.names.get(t) or "wrt"
    if any(node is graph.root for node in recorded(t)):
        call = asked.format(z=name, t=z)
        raise ValueError(f"{z} does not depend on {name}, but {name} on {z}: exchange them, as in {call}")
    inputs = [graph.name(node) for node in graph.nodes if node.tracked and node.op is None]
    other = f"another {name}" if name in inputs else name
    there = f"it depends on {', '.join(abridged(inputs, 8, '…'))}" if inputs else "nothing it was made from is tracked"
    raise ValueError(f"{z} does not depend on {other}, so {asked.format(z=z, t=name)} has nothing to show: {there}")


def obvious_source(graph: ComputationGraph) -> chain.PathSum | None:
    """The paths that are shown if nobody says which: from the only input, a number, where they are few; else None."""
    leaves = [n for n in graph.nodes if n.tracked and n.op is None]
    if len(leaves) != 1 or np.size(leaves[0].value) != 1 or np.size(graph.root.value) != 1 or leaves[0] is graph.root:
        return None
    paths = chain.paths(graph.root, leaves[0], names={})
    return paths if paths.count <= LISTED else None


def signed_size(flow: Any) -> float:
    """Of a number itself; of an array the largest absolute value, with the sign of the sum."""
    flow = np.asarray(flow, dtype=float)
    return float(flow.item()) if flow.size == 1 else math.copysign(largest(flow), float(np.nansum(flow)))


def source_of(wrt: Any) -> Any:
    """The tensor that `wrt` names, itself or by way of its paths; None for None.  TypeError for anything else."""
    source = wrt.source if isinstance(wrt, chain.PathSum) else wrt
    source = source.tensor if isinstance(source, chain.Element) else source
    if source is not None and not isinstance(source, Traced):
        kind = type(wrt).__name__
        raise TypeError(f"draw: wrt takes a tensor, or paths of tn.paths(...), not {wrt!r:.40} of type {kind}")
    return source


class HighlightedPaths:
    """The paths from `source` to the root of a graph.

    Few paths get a lane each, in the order in which they leave.  Of more, the flow is drawn: arrows are as thick as
    what all paths together carry through them, and say its sign by colour and dash.

    Attributes
    ----------
    sum : all paths.
    listed : those that get a row in the table.
    few : these are all.
    flowing : the flow is drawn, and no lanes.
    stale : a value was changed, so that there are counts and no numbers.
    between_elements : the paths lead through single elements of arrays.
    """

    def __init__(self, graph: ComputationGraph, source: Any, flow: bool = False):
        self.graph, self.root = graph, graph.root
        if isinstance(source, chain.PathSum):
            self.sum = source
        else:
            self.sum = chain.paths(graph.root, source, np.ones_like(graph.root.value), names={})
        self.source = self.sum.source
        self.stale = bool(graph.broken)
        self.few = self.sum.count <= MOST
        self.between_elements = isinstance(self.sum, chain.ElementPathSum)
        self.flowing = not self.between_elements and (flow or self.sum.count > LANES)
        self.listed = [] if self.stale else self._best()

    def _best(self) -> list[chain.Path]:
        """The paths that get lanes; none where there are too many between arrays to tell which are largest."""
        if not self.few:
            unknown = self.sum.count > LISTED if self.between_elements else isinstance(self.sum, chain.ArrayPathSum)
            return [] if unknown else self.sum.top(LARGEST)
        return sorted(self.sum.top(MOST), key=lambda path: path.edges)

    def _key(self, edge: chain.Edge) -> Key:
        """The arrow that an edge is part of."""
        target = edge.target.tensor if isinstance(edge.target, chain.Element) else edge.target
        return target.index, edge.slot

    @cached_property
    def _lanes(self) -> dict[Key, tuple[int, ...]]:
        found: dict[Key, dict[int, None]] = {}
        for k, path in enumerate(() if self.flowing else self.listed, 1):
            for edge in path.edges:
                found.setdefault(self._key(edge), {})[k] = None
        return {key: tuple(numbers) for key, numbers in found.items()}

    @cached_property
    def _counts(self) -> dict[Key, int]:
        return {} if self.between_elements else {self._key(edge): n for edge, n in self.sum.edge_counts.items()}

    @cached_property
    def _flows(self) -> dict[Key, Any]:
        if self.stale or self.between_elements:
            return {}
        return {self._key(edge): flow for edge, flow in self.sum.flow.items()}

    def lanes_on(self, key: Key) -> tuple[int, ...]:
        """The numbers of the paths along an arrow."""
        return self._lanes.get(key, ())

    def pass_along(self, key: Key) -> bool:
        """Tell whether any path runs along an arrow, with a lane or without."""
        if self.between_elements:
            return key in self._lanes or not self.listed
        return key in self._counts

    @cached_property
    def _shares(self) -> dict[Key, float]:
        sizes = {key: signed_size(flow) for key, flow in self._flows.items()}
        widest = max(map(abs, sizes.values()), default=0.0)
        return {key: round(size / widest, 3) for key, size in sizes.items()} if widest else {}

    def flow(self, key: Key) -> float:
        """How thick an arrow is where the flow is drawn, from −1 to 1: the share of the largest, with its sign."""
        return self._shares.get(key, 0.0) if self.flowing else 0.0

    def through(self, node: Any) -> tuple[int, Any]:
        """How many paths go through a node, and what they carry: a number, or an array of it by element; or None."""
        if isinstance(self.sum, chain.ElementPathSum):
            counts = self.sum.element_counts.get(node)
            if counts is None:
                return 0, None
            return int(np.sum(counts)), None if self.stale else self.sum.element_flow[node]
        n = self.sum.node_counts.get(node, 0)
        if not n or self.stale or isinstance(self.sum, chain.ArrayPathSum):
            return n, None
        return n, self.sum.node_flow[node]

    def described(self, key: Key) -> list[str]:
        """How many paths run along an arrow, and what they carry together."""
        if self.between_elements:
            return []
        if key not in self._counts:
            return ["on no path"]
        words = plural(self._counts[key], "path")
        flow = self._flows.get(key)
        if flow is not None and np.size(flow) == 1:
            words += f", together {format_number(np.asarray(flow).item())}"
        return [words]

    @property
    def quotient(self) -> str:
        """Such as dz/dt."""
        d = "d" if np.size(self.source.value) == 1 else "∂"
        return f"{d}{self.graph.name(self.root)}/{d}{self.graph.name(self.source)}"

    def nodes_of(self, path: chain.Path, most: int = 40) -> str:
        """t → x → z, the middle left out where it is long."""
        names = [self.graph.name(node) for node in path.nodes]
        return " → ".join(abridged(names, most, f"… {len(names) - most + 1} more …"))

    def check(self) -> tuple[bool | None, str]:
        """Compare the sum of the paths with the gradient of the backward pass, but for rounding errors."""
        total = np.asarray(self.sum.gradient)
        g = self._swept_gradient()
        if g is None:
            return None, ""
        mass = 0.0 if isinstance(self.sum, chain.ArrayPathSum) else self.sum.mass
        mass = mass if math.isfinite(mass) else 0.0
        allowed = 64 * np.finfo(g.dtype).eps * len(self.graph.nodes) * max(mass, largest(g)) + 1e-300
        with np.errstate(all="ignore"):
            same = bool(np.all((np.abs(total - g) <= allowed) | (total == g) | (np.isnan(total) & np.isnan(g))))
        if same:
            return True, "equals the gradient of the backward pass"
        if np.size(g) == 1:
            return (
                False,
                f"the backward pass gives {format_number(g.item())}, the paths add up to {format_number(total.item())}",
            )
        return False, f"the backward pass differs by up to {format_number(largest(total - g))}"

    def _swept_gradient(self) -> Any:
        """The gradient of the source by the backward pass, or None."""
        if isinstance(self.source, chain.Element):
            g = self.graph.gradient.get(self.source.tensor.index)
            return None if g is None else g[self.source.at]
        return self.graph.gradient.get(self.source.index)
