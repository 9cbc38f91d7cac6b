"""Finds the dense layers in a graph, Z = W A + b and A = σ(Z), whatever its tensors are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn.errors import MutationError
from tinygrad_nn.view.graph.computation import ComputationGraph, Constant
from tinygrad_nn.view.text import listed

__all__ = ["Layer", "Network", "layers_in"]


@dataclass(frozen=True)
class Layer:
    """One dense layer: the nodes of its weights, bias (or None), input, pre-activation and activation."""

    number: int
    W: Any
    b: Any
    before: Any
    Z: Any
    A: Any
    nodes: tuple[Any, ...]  # all of it, W and b included

    @property
    def sigma(self) -> str:
        """The name of the activation function; empty for the identity."""
        return "" if self.A is self.Z else self.A.op.name

    @property
    def units(self) -> int:
        """How many units it has."""
        return int(self.W.value.shape[0])

    @property
    def fan_in(self) -> int:
        """How many numbers go in."""
        return int(self.W.value.shape[1])


def layers_in(graph: ComputationGraph) -> list[Layer]:
    """The dense layers of a graph, in order of creation: products of a parameter with something else, and what follows.

    A bias is a parameter added to the product, the activation an operation on single elements (or a softmax), where
    nobody else uses what lies between.
    """
    found: list[Layer] = []
    for node in graph.nodes:
        if node.op is None or not node.op.matrix_product or not _is_parameter(node.inputs[0]):
            continue
        W, before, *biases = node.inputs
        if np.ndim(W.value) != 2:
            continue
        own, b, Z = [W, *biases, node], biases[0] if biases else None, node
        user = _only_user(graph, node)
        if b is None and user is not None and _adds(user.op):
            other = user.inputs[1] if user.inputs[0] is node else user.inputs[0]
            if _is_parameter(other) and np.shape(other.value)[:1] in ((W.value.shape[0],), ()):
                b, Z = other, user
                own += [b, Z]
        A, user = Z, _only_user(graph, Z)
        if user is not None and len(user.inputs) == 1 and user.op.kind in ("elementwise", "symmetric"):
            A = user
            own.append(A)
        before = before if hasattr(before, "op") else _constant_into(graph, node)
        found.append(Layer(len(found) + 1, W, b, before, Z, A, tuple(own)))
    return found


def _adds(op: Any) -> bool:
    """Whether an operation is the sum of its arguments, element by element."""
    return op.kind == "elementwise" and op.entries == "ones"


def _is_parameter(x: Any) -> bool:
    return getattr(x, "op", ...) is None and x.tracked


def _only_user(graph: ComputationGraph, node: Any) -> Any:
    users = graph.outgoing.get(node.index, ())
    return users[0].target if len(users) == 1 and node is not graph.root else None


def _constant_into(graph: ComputationGraph, node: Any) -> Any:
    return next(slot.source for slot in graph.incoming[node.index] if isinstance(slot.source, Constant))


class Network:
    """A stack of dense layers, each on the one before, with the numbers of one example.

    Parameters
    ----------
    graph : the graph of a loss J, or of the output of the network.
    example : which column of the batch, counted from 1.

    Raises
    ------
    ReleasedError : the values of the units are not there any more.
    MutationError : weights, biases or units have other values than those that were used.
    ValueError : no dense layer, layers that are not one after the other, or an example that is not there.
    """

    def __init__(self, graph: ComputationGraph, example: int = 1):
        self.graph = graph
        self.layers = layers_in(graph)
        if not self.layers:
            raise ValueError(
                "detail='neurons' draws dense layers, Z = W A + b with a weight matrix W that requires a gradient, and "
                "finds none here; detail='ops' draws any graph"
            )
        for below, above in zip(self.layers, self.layers[1:], strict=False):
            if above.before is not below.A:
                raise ValueError(
                    f"detail='neurons' draws dense layers one after the other; between layers {below.number} and "
                    f"{above.number} there is something else (detail='layers' draws it)"
                )
        if graph.released:
            graph.root.check_unchanged()
        self.inputs = self.layers[0].before
        self._require_unchanged()
        self.batch = 1 if np.ndim(self.inputs.value) < 2 else int(np.shape(self.inputs.value)[-1])
        if not 1 <= example <= self.batch:
            raise ValueError(f"example={example}: the batch has examples 1 to {self.batch}")
        self.example = example
        self.has_loss = self.layers[-1].A is not graph.root

    def _require_unchanged(self) -> None:
        """A picture of other weights than those that made its units would be wrong in every number."""
        graph, nodes = self.graph, [self.inputs, *(node for layer in self.layers for node in layer.nodes)]
        changed = list(dict.fromkeys(graph.name(node) for node in nodes if node.index in graph.stale))
        if changed:
            root = graph.name(graph.root)
            raise MutationError(
                f"detail='neurons' shows weights, biases and units as they were when {root} was computed, but "
                f"{listed(changed)} changed since: draw before optimizer.step(), or compute {root} anew"
            )

    def __len__(self) -> int:
        return len(self.layers)

    def width(self, level: int) -> int:
        """How many units layer `level` has; level 0 is the input."""
        return self.layers[level - 1].units if level else self.layers[0].fan_in

    def column(self, node: Any) -> Any:
        """The numbers of the example."""
        return self._column(node.value)

    def _column(self, value: Any) -> Any:
        value = np.asarray(value)
        return value if value.ndim < 2 else value.reshape(value.shape[0], -1)[:, self.example - 1]

    def error(self, node: Any) -> Any:
        """N ∂J/∂node for the example, as M. Thill's post defines Δ; None where it is not known."""
        g = self.graph.gradient.get(node.index)
        return None if g is None else self._column(g) * self.batch

    def z(self, level: int) -> Any:
        """Pre-activations of a layer."""
        return self.column(self.layers[level - 1].Z)

    def a(self, level: int) -> Any:
        """Activations of a layer; level 0 is the input."""
        return self.column(self.layers[level - 1].A if level else self.inputs)

    def delta(self, level: int) -> Any:
        """Error signals δ = N ∂J/∂z of a layer; of the input, N ∂J/∂x."""
        return self.error(self.layers[level - 1].Z if level else self.inputs)

    def b(self, level: int) -> Any:
        """Biases of a layer, or None."""
        layer = self.layers[level - 1]
        return None if layer.b is None else self._column(np.broadcast_to(layer.b.value, np.shape(layer.Z.value)))

    def terms(self, level: int, unit: int) -> Any:
        """w a for each input of a unit; together with its bias they add up to z."""
        w = np.asarray(self.layers[level - 1].W.value, dtype=float)[unit]
        return w * np.asarray(self.a(level - 1), dtype=float)

    def slope(self, level: int) -> Any:
        """σ′(z) of each unit, by the rule of the activation; None where units are mixed, as by softmax."""
        layer = self.layers[level - 1]
        if layer.A is layer.Z:
            return np.ones(layer.units)
        if layer.A.op.kind != "elementwise":
            return None
        with np.errstate(all="ignore"):
            rule = layer.A.op.vjps[0]
            return self._column(
                rule(np.ones_like(layer.A.value), layer.A.value, layer.Z.value, **(layer.A.params or {}))
            )

    def blocked(self, level: int, unit: int) -> bool:
        """Tell whether σ′(z) of a unit is 0, so that no gradient passes."""
        slope = self.slope(level) if level else None
        return slope is not None and bool(slope[unit] == 0)
