"""What all paths from the features go through, layer by layer, and what runs along them: exact sums over paths.

The paths from feature i through unit j of a layer add up to x_i ∂a_j/∂x_i ∂f/∂a_j.  Over the units of a layer that all
paths go through these are the contribution of the feature; over the features they are what the unit carries.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import gradients
from tinygrad_nn.chain import paths
from tinygrad_nn.forward_mode import pushforward

__all__ = ["MAX_NUMBERS", "LayerPaths", "Level", "add_flows", "levels_between", "no_flows"]

MAX_NUMBERS = 50_000_000  # that the contributions by unit may be


@dataclass(frozen=True)
class LayerPaths:
    """What runs through the units of one layer.

    Attributes
    ----------
    name : of the layer's result, such as A¹.
    activation : the operation that made it, such as "relu".
    contributions : (features, units, N), for estimators (N, features, units): the sum over all paths from a feature
        through a unit to the output.  Over the units they add up to the feature's contribution.
    incoming : likewise (units of the layer before, units, N): the sum of all paths that lead from the one to the other.
    values : (units, N) or (N, units): the activations at the examples.
    """

    name: str
    activation: str
    contributions: np.ndarray
    incoming: np.ndarray
    values: np.ndarray
    in_rows: bool = False

    @property
    def carried(self) -> np.ndarray:
        """(units, N) or (N, units): what all features together send through each unit."""
        return self.contributions.sum(axis=1 if self.in_rows else 0)

    def top(self, k: int = 5) -> list[tuple[int, float]]:
        """The k units, counted from 1, that carry most on average over the examples, and what they carry."""
        carried = self.carried.mean(axis=0 if self.in_rows else 1)
        order = np.argsort(-np.abs(carried), kind="stable")[: max(k, 0)]
        return [(int(i) + 1, float(carried[i])) for i in order]

    def __repr__(self) -> str:
        return f"<paths through the {self.values.shape[1 if self.in_rows else 0]} units of {self.name}>"


@dataclass(frozen=True)
class Level:
    """A tensor that all paths go through, (units ..., n)."""

    node: Any
    name: str
    activation: str


def levels_between(f: Any, x: Any, output: Any, also_output: bool) -> list[Level]:
    """The hidden layers: what all paths from x to f go through, without what only reshapes or bends it unit by unit.

    `also_output` counts the model's output, too, where f is made of several of its numbers.
    """
    everything = paths(f.sum(), x, names={})
    counts = everything.node_counts
    cuts = [node for node in everything.nodes if counts[node] == everything.count]
    cuts = cuts[: next((i + 1 for i, node in enumerate(cuts) if node is output), len(cuts))]
    before = {node: [edge for edge in everything.edges if edge.target is node] for node in cuts}
    kept: list[Any] = []
    for node in cuts:
        if kept and _same_units(node, kept[-1], before[node]):
            kept.pop()
        kept.append(node)
    n = x.shape[-1]
    shown = kept[1:] if also_output and len(output.value) > 1 else kept[1:-1]
    shown = [node for node in shown if node.ndim > 1 and node.shape[-1] == n]
    return [Level(node, node.name or f"layer {k}", _activation(node)) for k, node in enumerate(shown, 1)]


def _same_units(node: Any, last: Any, edges: Any) -> bool:
    """Whether the units of a node are those of the last one, bent or put elsewhere."""
    if any(edge.source is not last for edge in edges):
        return False
    same = node.op.kind == "elementwise" and node.shape == last.shape
    return same or (node.op.view and node.size == last.size)


def _activation(node: Any) -> str:
    return node.op.name if len(node.inputs) == 1 and node.op.kind in ("elementwise", "symmetric") else ""


Sums = tuple[np.ndarray, np.ndarray]  # contributions by feature, and incoming flows


def no_flows(levels: list[Level], features: int, n: int) -> list[Sums]:
    """Zeros to add to, for n examples; what comes into the first layer is what comes from the features."""
    widths = [level.node.size // level.node.shape[-1] for level in levels]
    found = [(np.zeros((features, units, n)), np.zeros((below, units, n))) for below, units in pairwise([0, *widths])]
    return [(found[0][0], found[0][0]), *found[1:]]


def add_flows(sums: list[Sums], levels: list[Level], x: Any, f: Any, way: np.ndarray, weight: np.ndarray,
              example: np.ndarray) -> None:  # fmt: skip
    """Add what runs through each level at weighted points that belong to examples.

    A backward pass for each unit, of all points at once: only what arrives at this unit is sent back from it.
    """
    nodes = [level.node for level in levels]
    adjoints = gradients(f.sum(), nodes)
    tangents = [way, *pushforward(nodes, [x], [way])]
    tangents = [np.zeros_like(node.value) if t is None else t for node, t in zip([x, *nodes], tangents, strict=True)]
    for k, (node, adjoint) in enumerate(zip(nodes, adjoints, strict=True)):
        ends = [x] if k == 0 else [x, nodes[k - 1]]
        for unit, at in enumerate(np.ndindex(*node.shape[:-1])):
            seed = np.zeros_like(adjoint)
            seed[at] = adjoint[at]
            if not seed.any():
                continue
            back = gradients(node, ends, seed)
            for total, part, tangent in zip(sums[k], back, (way, tangents[k]), strict=False):
                carried = (part * tangent).reshape(len(total), -1) * weight
                np.add.at(total[:, unit].T, example, carried.T)
