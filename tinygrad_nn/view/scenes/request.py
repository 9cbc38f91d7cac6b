"""What `tn.draw` was asked for, apart from how it is rendered."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from tinygrad_nn.chain import Element, PathSum
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.graph.gradient_flow import GradientFlow, gradient_flow
from tinygrad_nn.view.graph.highlighted_paths import HighlightedPaths, obvious_source, require_dependence, source_of
from tinygrad_nn.view.program_record import Start

__all__ = ["FURTHER", "SHOW", "Request"]

SHOW = ("value", "gradient", "shape", "heatmap", "local", "paths", "sums", "constants")
FURTHER = ("grad", "flow")  # only where they are asked for


@dataclass(frozen=True)
class Request:
    """The arguments of `draw`, of which each kind of picture takes those that are for it."""

    wrt: Any
    show: Collection[str]
    fold: Collection[int]
    most: int | None
    neuron: tuple[int, int] | None
    inside: tuple[int, int] | None
    example: int
    deadline: float = math.inf  # when the boxes have to be written, by time.monotonic

    def paths(self, graph: ComputationGraph) -> HighlightedPaths | GradientFlow | None:
        """The paths to highlight, if any; of a network, where nobody says from which input, the flow from all."""
        if "paths" not in self.show and "flow" not in self.show:
            return None
        source = obvious_source(graph) if self.wrt is None else self.wrt
        if source is None:
            return gradient_flow(graph)
        return HighlightedPaths(graph, source, "flow" in self.show)

    def start(self, graph: ComputationGraph, view: str, mistake: str = "") -> Start:
        """How a page about the graph begins."""
        paths = self.wrt if isinstance(self.wrt, PathSum) else obvious_source(graph) if self.wrt is None else None
        source = source_of(self.wrt) if paths is None else source_of(paths)
        element = paths.source.place if paths is not None and isinstance(paths.source, Element) else -1
        return Start(view, "" if source is None else graph.key(source), element, mistake)

    def require_sensible(self, graph: ComputationGraph) -> None:
        """TypeError or ValueError where `wrt` is nothing that paths to the root of this graph start from."""
        source = source_of(self.wrt)
        if source is not None:
            require_dependence(graph, source, "draw({z}, {t})")
