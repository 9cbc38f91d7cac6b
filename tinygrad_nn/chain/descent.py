"""Where the gain of a small step of gradient descent comes from: ‖∇z‖² as a flow through the graph."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import history
from tinygrad_nn.chain.derivatives import edge_jvp
from tinygrad_nn.chain.graph import Edge

__all__ = ["Descent"]


class Descent:
    """How ‖∇z‖² comes together: what a step θ − η ∇z lowers z by, to first order, is η ‖∇z‖².

    Each input x adds ⟨∂z/∂x, ∂z/∂x⟩.  All inputs move at once along their gradients, and the flow of an edge is what
    it carries of the move of z: ⟨adjoint of its target, its Jacobian × tangent of its source⟩.  It is conserved: on
    every cut of the graph it adds up to ‖∇z‖².

    Parameters
    ----------
    z : a single number.
    gradient : of z by every node that it was made from and a gradient reaches, by the index of the node.

    Raises
    ------
    NotImplementedError : from `flow`, where an operation has no forward mode.
    """

    def __init__(self, z: Any, gradient: Mapping[Any, Any]):
        self.z, self.gradient = z, gradient
        self.nodes = history([z])

    @cached_property
    def by_input(self) -> dict[Any, float]:
        """‖∂z/∂x‖² of every input, in order of creation."""
        return {x: _inner(g, g) for x in self.nodes if x.op is None and (g := self.gradient.get(x.index)) is not None}

    @property
    def total(self) -> float:
        """‖∇z‖²."""
        return float(sum(self.by_input.values()))

    @cached_property
    def flow(self) -> dict[Edge, float]:
        """What each edge carries of it, by one sweep forward."""
        tangents: dict[Any, Any] = {x.index: self.gradient[x.index] for x in self.by_input}
        flow: dict[Edge, float] = {}
        with np.errstate(all="ignore"):
            for node in self.nodes:
                for slot in node.slots:
                    source = node.inputs[slot]
                    if source.index not in tangents or node.index not in self.gradient:
                        continue
                    edge = Edge(source, node, slot)
                    moved = edge_jvp(edge, tangents[source.index])
                    flow[edge] = _inner(moved, self.gradient[node.index])
                    there = tangents.get(node.index)
                    tangents[node.index] = moved if there is None else there + moved
        return flow


def _inner(a: Any, b: Any) -> float:
    return float(np.vdot(np.asarray(a, dtype=float), np.asarray(b, dtype=float)))
