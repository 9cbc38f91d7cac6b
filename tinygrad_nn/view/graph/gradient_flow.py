"""What a picture of a network shows if nobody asks for paths: where the gain of a small step comes from."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_nn.chain import Descent
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.graph.highlighted_paths import Key
from tinygrad_nn.view.graph.network import Layer, layers_in
from tinygrad_nn.view.text import percent, shorten

__all__ = ["GradientFlow", "gradient_flow"]


def gradient_flow(graph: ComputationGraph) -> GradientFlow | None:
    """The flow in the graph of a network, if all of it is known, and a gradient flows at all."""
    if np.size(graph.root.value) != 1 or not graph.root.tracked or graph.broken or not layers_in(graph):
        return None
    found = GradientFlow(graph)
    try:
        usable = len(found.descent.by_input) > 1 and math.isfinite(found.total) and found.total > 0
        return found if usable and all(map(math.isfinite, found.flows.values())) else None
    except NotImplementedError:  # an operation without forward mode
        return None


class GradientFlow:
    """Arrows are as thick as what they carry of ‖∇J‖², all inputs of J together; no path is told apart.

    It takes the place of `HighlightedPaths`.
    """

    source = None
    flowing = True

    def __init__(self, graph: ComputationGraph):
        self.graph = graph
        self.descent = Descent(graph.root, graph.gradient)

    @property
    def total(self) -> float:
        """‖∇J‖²."""
        return self.descent.total

    @cached_property
    def flows(self) -> dict[Key, float]:
        """What each arrow carries."""
        return {(edge.target.index, edge.slot): flow for edge, flow in self.descent.flow.items()}

    @cached_property
    def _widest(self) -> float:
        return max(map(abs, self.flows.values()), default=0.0) or 1.0

    def lanes_on(self, key: Key) -> tuple[int, ...]:
        """None: there are no lanes."""
        return ()

    def pass_along(self, key: Key) -> bool:
        """Nothing is faint."""
        return True

    def flow(self, key: Key) -> float:
        """How thick an arrow is, from −1 to 1."""
        return round(self.flows.get(key, 0.0) / self._widest, 3)

    def described(self, key: Key) -> list[str]:
        """What an arrow carries, in words."""
        if key not in self.flows:
            return []
        return [f"carries {percent(self.flows[key] / self.total)} of {self.norm}²"]

    def share(self, layer: Layer) -> float:
        """What the parameters of a layer add to ‖∇J‖², from 0 to 1."""
        by_input = self.descent.by_input
        return sum(by_input.get(x, 0.0) for x in (layer.W, layer.b) if x is not None) / self.total

    @property
    def norm(self) -> str:
        """Such as ‖∇J‖."""
        return f"‖∇{shorten(self.graph.name(self.graph.root), 12)}‖"

    def check(self) -> bool:
        """Whether what arrives at J equals what the inputs add, but for rounding errors."""
        at_root = sum(flow for (target, _), flow in self.flows.items() if target == self.graph.root.index)
        eps = np.finfo(np.asarray(self.graph.root.value).dtype).eps
        mass = sum(map(abs, self.flows.values()))
        return bool(abs(at_root - self.total) <= 64 * eps * len(self.graph.nodes) * max(mass, self.total))

    @property
    def inputs(self) -> list[tuple[Any, float]]:
        """Each input with what it adds, in order of creation."""
        return list(self.descent.by_input.items())
