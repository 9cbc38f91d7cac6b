"""The backward pass step by step: who fires, what it sends, who still waits, and the two classic mistakes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import unbroadcast
from tinygrad_nn.operation import Traced
from tinygrad_nn.view.graph.computation import ComputationGraph, Slot

__all__ = ["BackwardPass", "Snapshot"]

MISTAKES = ("assign", "order")


@dataclass
class Snapshot:
    """How far the backward pass is: gradients so far, how many parts have come, who has fired, and who just did.

    Attributes
    ----------
    sent : what the node that fires sends along each (target index, slot).
    lost : the gradients that are replaced in this step instead of being added to.
    early : the node that fires has not got all its parts.
    late : nodes that something reached after they had fired.
    """

    gradient: dict[Any, Any]
    received: dict[Any, int] = field(default_factory=dict)
    fired: set[Any] = field(default_factory=set)
    firing: Any = None
    sent: dict[tuple[Any, int], Any] = field(default_factory=dict)
    lost: dict[Any, Any] = field(default_factory=dict)
    early: bool = False
    late: set[Any] = field(default_factory=set)

    def kept(self) -> Snapshot:
        """This moment, which goes on for others."""
        gradient, received, fired, late = dict(self.gradient), dict(self.received), set(self.fired), set(self.late)
        return dataclasses.replace(self, gradient=gradient, received=received, fired=fired, late=late)


class BackwardPass:
    """How the gradient of a graph comes about, and how it goes wrong.

    Parameters
    ----------
    graph : of the result whose gradient it is.
    source : the tensor whose gradient is wanted; None for all inputs.
    mistake : "assign", parts replace each other; "order", a node fires before all parts have come; None for neither.

    Raises
    ------
    ValueError : an unknown mistake; nothing flows back; the result does not depend on `source`.
    """

    def __init__(self, graph: ComputationGraph, source: Any = None, mistake: str | None = None):
        if mistake is not None and mistake not in MISTAKES:
            raise ValueError(f"mistake must be 'assign' or 'order', not {mistake!r}")
        if not graph.root.tracked or graph.broken:
            reason = next(iter(graph.broken.values()), "") or "no gradient flows here"
            raise ValueError(f"there is no backward pass to show: {reason}")
        self.graph, self.mistake = graph, mistake
        self.wanted = set(graph.gradient) if source is None else _depending_on(graph, source)
        leaves = [node for node in graph.nodes if node.op is None] if source is None else [source]
        self.ends = [node for node in leaves if node.index in self.wanted]
        if graph.root.index not in self.wanted:
            name = graph.name(source)
            reason = f"no path leads from {name} to {graph.name(graph.root)}"
            reason = reason if source.tracked else f"{name} requires no gradient (requires_grad=True before it is used)"
            raise ValueError(f"there is no backward pass to show: {reason}")

    def expected(self, node: Any) -> int:
        """How many parts a node has to wait for."""
        return sum(slot.key in self.graph.sent for slot in self.graph.outgoing.get(node.index, ()))

    def right(self, node: Any, g: Any) -> bool:
        """Whether that is the gradient of a node."""
        true = self.graph.gradient[node.index]
        rtol = 1e-6 if true.dtype.itemsize > 4 else 1e-3
        return g is not None and bool(np.allclose(g, true, rtol=rtol, atol=0, equal_nan=True))

    def run(self) -> Iterator[Snapshot]:
        """How far it is after each firing, in one snapshot that goes on.

        The order is that of creation backwards, but for the mistake `order`.
        """
        graph, root = self.graph, self.graph.root
        snapshot = Snapshot({root.index: np.ones_like(root.value)})
        yield snapshot
        reached, turns = {root.index: root}, [(0, root.index)]
        while turns:
            node = reached[heappop(turns)[1]]
            slots = [s for s in graph.incoming.get(node.index, ()) if s.flows and s.source.index in self.wanted]
            for x in (slot.source for slot in slots):
                if x.index not in reached:
                    reached[x.index] = x
                    heappush(turns, (len(reached) if self.mistake == "order" else -x.index, x.index))
            if slots:
                self._fire(snapshot, node, slots)
                yield snapshot

    def _fire(self, now: Snapshot, node: Any, slots: list[Slot]) -> None:
        """A node sends a part of its gradient to each of its arguments."""
        now.firing, now.sent, now.lost = node, {}, {}
        now.early = now.received.get(node.index, 0) < self.expected(node)
        now.fired.add(node.index)
        right = self.mistake is None
        parts = [self.graph.sent[slot.key] for slot in slots] if right else _parts(slots, now.gradient[node.index])
        for slot, part in zip(slots, parts, strict=True):
            to = slot.source.index
            now.sent[slot.key] = part
            now.received[to] = now.received.get(to, 0) + 1
            if to in now.gradient and self.mistake == "assign":
                now.lost[to] = now.gradient[to]
            now.gradient[to] = now.gradient[to] + part if to in now.gradient and to not in now.lost else part
            if to in now.fired:
                now.late.add(to)


def _parts(slots: list[Slot], g: Any) -> list[Any]:
    """What a node with gradient g sends to its arguments."""
    node = slots[0].target
    inputs = [a.value if isinstance(a, Traced) else a for a in node.inputs]
    with np.errstate(all="ignore"):
        parts = list(node.op.parts([s.slot for s in slots], g, node.value, inputs, node.params or {}))
    return [unbroadcast(np.asarray(p), np.shape(s.source.value)) for s, p in zip(slots, parts, strict=True)]


def _depending_on(graph: ComputationGraph, source: Any) -> set[Any]:
    """A node, and all nodes that a gradient reaches on its way to that one."""
    found = {source.index}
    for slot in graph.slots:  # in order of creation of their targets
        if slot.flows and slot.source.index in found:
            found.add(slot.target.index)
    return found
