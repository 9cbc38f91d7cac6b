"""Paths through whole arrays: a path's contribution is the vector-Jacobian product along it."""

from __future__ import annotations

import itertools
import math
import operator
import warnings
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_nn.chain import scaled
from tinygrad_nn.chain.derivatives import edge_jvp, edge_vjp, local_derivative
from tinygrad_nn.chain.graph import Edge, PathGraph, Step, combined, sweep
from tinygrad_nn.chain.path import PathsLeftOut
from tinygrad_nn.chain.scaled import Scaled
from tinygrad_nn.chain.sums import PathSum, within_one
from tinygrad_nn.ops.reductions import vector_norm

__all__ = ["ArrayPathSum"]


class ArrayPathSum(PathSum):
    """The same where nodes are arrays: contributions have t's shape, and the size of a path is its Euclidean norm.

    The contribution of a path is the vector-Jacobian product along it; no Jacobian is built.  Sums, counts and flow
    list no paths here either.  But norms do not multiply, so what depends on the sizes of single paths needs all of
    them: if there are more than `limit`, `mass`, `cancellation` and `coverage` are unknown, NaN, and `top` knows only
    the first `limit` paths, which a `PathsLeftOut` warning says.  A path is live if none of its Jacobians is zero.
    """

    _single_numbers = False

    def _between(self, graph: PathGraph, source: Any, target: Any) -> PathSum:
        return ArrayPathSum(graph, source, target, scaled.ONE, self.limit, self._naming)

    @cached_property
    def _with_slopes(self) -> PathGraph:
        return self._graph

    def _is_live(self, edge: Edge) -> bool:
        y = edge.target.value
        generic = np.random.default_rng(0).standard_normal(y.shape)  # which no Jacobian but 0 takes to 0
        return bool(np.any(self._extend_path(edge, generic.astype(y.dtype))))

    def _local(self, edge: Edge) -> Any:
        return local_derivative(edge)

    def _extend(self, step: Step, value: Any) -> Any:
        return self._extend_path(step[2], value)

    def _extend_path(self, edge: Edge, value: Any) -> Any:
        with np.errstate(all="ignore"):
            return edge_vjp(edge, value)

    _combine = staticmethod(operator.add)

    def _as_value(self, value: Any, node: Any = None) -> Any:
        return np.array(value) if np.ndim(value) else float(value)

    def _zero(self, node: Any = None) -> Any:
        return np.zeros_like((self.source if node is None else node).value)

    @cached_property
    def _listed(self) -> list[tuple[tuple[Edge, ...], Any, float]]:
        """At most `limit` paths with their norms, largest first."""
        first = itertools.islice(self._depth_first(), self.limit)
        found = [(edges, value, float(vector_norm(np.ravel(value)))) for edges, value in first]
        return sorted(found, key=lambda path: scaled.log(math.frexp(path[2])), reverse=True)

    @cached_property
    def _mass(self) -> Scaled:
        return math.frexp(math.nan if self.left_out else math.fsum(size for _, _, size in self._listed))

    @property
    def cancellation(self) -> float:
        """1 − ‖Σp‖ / Σ‖p‖."""
        return within_one(1 - float(vector_norm(np.ravel(self.gradient))) / self.mass) if self.mass else 0.0

    def coverage(self, k: int) -> float:
        """The part of the mass that the k largest paths hold, from 0 to 1."""
        largest = math.fsum(size for _, _, size in self._listed[: max(k, 0)])
        return within_one(largest / self.mass) if self.mass else 1.0

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
                    values[a] = self._extend_path(edge, self._adjoints[b])
            sweep(self._graph._back, values, self._extend, operator.add)
            flows[edge] = self._as_value(combined((values[v] for v in self._graph.starts), operator.add, self._zero()))
        return flows

    @cached_property
    def edge_shares(self) -> dict[Edge, float]:
        """For each edge the part of the gradient g that comes through it, ⟨flow, g⟩ / ⟨g, g⟩, by two sweeps in all.

        The tangent that meets the adjoints starts as g at t.
        """
        g, shares = np.asarray(self.gradient), dict.fromkeys(self.edges, 0.0)
        try:
            with np.errstate(all="ignore"):
                tangents = self._graph.forward(g / np.vdot(g, g), lambda step, v: edge_jvp(step[2], v), operator.add)
                for a, b, edge in self._graph.steps:
                    shares[edge] += float(np.vdot(edge_jvp(edge, tangents[a]), self._adjoints[b]))
        except NotImplementedError:  # an operation without a forward mode
            return {edge: self.share(flow) for edge, flow in self.flow.items()}
        return shares
