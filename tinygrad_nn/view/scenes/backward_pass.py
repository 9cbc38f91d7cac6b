"""The backward pass step by step: who fires, what it sends, who still waits, and the two classic mistakes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import unbroadcast
from tinygrad_nn.notation import format_number
from tinygrad_nn.operation import Traced
from tinygrad_nn.view.graph.computation import ComputationGraph, Slot, largest
from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Field, Note, Scene
from tinygrad_nn.view.scenes.operations import Ids, operations
from tinygrad_nn.view.text import abridged, measure, shape

__all__ = ["backward_pass"]

MISTAKES = {
    "assign": "Mistake: each part replaces the one before (=) instead of being added (+=)",
    "order": "Mistake: a node fires as soon as anything has reached it, and what comes later is not passed on",
}
MOST = 40  # frames


BOXES = 60  # of larger graphs the middle is folded, so that all frames are laid out in a few seconds


@dataclass
class Snapshot:
    """How far the backward pass is: gradients so far, how many parts have come, who has fired, and who just did."""

    gradient: dict[Any, Any]
    received: dict[Any, int] = field(default_factory=dict)
    fired: set[Any] = field(default_factory=set)
    firing: Any = None
    sent: dict[tuple[Any, int], Any] = field(default_factory=dict)  # in this step
    late: set[Any] = field(default_factory=set)  # nodes that something reached after they had fired

    def kept(self) -> Snapshot:
        """This moment, which goes on for others."""
        gradient, received, fired, late = dict(self.gradient), dict(self.received), set(self.fired), set(self.late)
        return dataclasses.replace(self, gradient=gradient, received=received, fired=fired, late=late)


def backward_pass(
    graph: ComputationGraph, mistake: str | None, show: Collection[str], most: int | None = None
) -> tuple[str, list[str], list[Scene]]:
    """The title of the animation, and captions and scenes of its frames: the first and the last, where it is long.

    ValueError for an unknown mistake, or where nothing flows back.
    """
    if mistake is not None and mistake not in MISTAKES:
        raise ValueError(f"mistake must be 'assign' or 'order', not {mistake!r}")
    if not graph.root.tracked or graph.broken:
        raise ValueError(
            "there is no backward pass to show: " + (next(iter(graph.broken.values()), "") or "no gradient flows here")
        )
    base = operations(graph, None, [p for p in show if p not in ("gradient", "sums", "paths")], most=most or BOXES)
    steps = sum(1 for _ in _run(graph, mistake))
    shown = {k for k in range(steps) if k < MOST // 2 or k >= steps - MOST // 2}
    snapshots = [(k, snapshot.kept()) for k, snapshot in enumerate(_run(graph, mistake)) if k in shown]
    frames = _Frames(graph, base, [snapshot for _, snapshot in snapshots], mistake)
    captions = [f"{k}   {_caption(graph, snapshot)}" for k, snapshot in snapshots]
    title = f"Backward pass of {graph.name(graph.root)}, step by step" + (f" ({mistake} mistake)" if mistake else "")
    return title, captions, [frames.frame(snapshot) for _, snapshot in snapshots]


# --- how it runs, and how it goes wrong ------------------------------------------------------------------------------


def _run(graph: ComputationGraph, mistake: str | None) -> Iterator[Snapshot]:
    """How far it is after each firing, in one snapshot that goes on.

    The order is that of creation backwards, but for the mistake `order`.
    """
    root = graph.root
    snapshot = Snapshot({root.index: np.ones_like(root.value)})
    yield snapshot
    reached, turns = {root.index: root}, [(0, root.index)]
    while turns:
        node = reached[heappop(turns)[1]]
        slots = [s for s in graph.incoming.get(node.index, ()) if s.flows and s.source.index in graph.gradient]
        for x in (slot.source for slot in slots):
            if x.index not in reached:
                reached[x.index] = x
                heappush(turns, (len(reached) if mistake == "order" else -x.index, x.index))
        if slots:
            _fire(graph, snapshot, node, slots, mistake)
            yield snapshot


def _fire(graph: ComputationGraph, now: Snapshot, node: Any, slots: list[Slot], mistake: str | None) -> None:
    """A node sends a part of its gradient to each of its arguments."""
    now.firing, now.sent = node, {}
    now.fired.add(node.index)
    parts = [graph.sent[slot.key] for slot in slots] if mistake is None else _parts(slots, now.gradient[node.index])
    for slot, part in zip(slots, parts, strict=True):
        to = slot.source.index
        now.sent[slot.key] = part
        now.received[to] = now.received.get(to, 0) + 1
        now.gradient[to] = part if to not in now.gradient or mistake == "assign" else now.gradient[to] + part
        if to in now.fired:
            now.late.add(to)


def _parts(slots: list[Slot], g: Any) -> list[Any]:
    """What a node with gradient g sends to its arguments."""
    node = slots[0].target
    inputs = [a.value if isinstance(a, Traced) else a for a in node.inputs]
    with np.errstate(all="ignore"):
        parts = list(node.op.parts([s.slot for s in slots], g, node.value, inputs, node.params or {}))
    return [unbroadcast(np.asarray(p), np.shape(s.source.value)) for s, p in zip(slots, parts, strict=True)]


def _expected(graph: ComputationGraph, node: Any) -> int:
    """How many parts a node has to wait for."""
    return sum(slot.key in graph.sent for slot in graph.outgoing.get(node.index, ()))


def _equal(a: Any, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=1e-6 if np.asarray(b).dtype.itemsize > 4 else 1e-3, atol=0, equal_nan=True))


# --- what the frames say ---------------------------------------------------------------------------------------------


def _amount(value: Any) -> str:
    return (
        format_number(value.item())
        if np.size(value) == 1
        else f"an array of {shape(value)}, ±{format_number(largest(value))}"
    )


def _caption(graph: ComputationGraph, snapshot: Snapshot) -> str:
    node = snapshot.firing
    if node is None:
        return f"The backward pass begins: the gradient of {graph.name(graph.root)} by itself is 1"
    slots = [slot for slot in graph.incoming[node.index] if slot.key in snapshot.sent]
    said = [f"{_amount(snapshot.sent[slot.key])} to {graph.name(slot.source)}" for slot in slots]
    said += [
        f"{graph.name(x)} now has {_amount(snapshot.gradient[x.index])}"
        for x in {slot.source.index: slot.source for slot in slots}.values()
        if snapshot.received[x.index] > 1
    ]
    expected = _expected(graph, node)
    full = f"has received {snapshot.received.get(node.index, 0)} of {expected}, and " if expected else ""
    said = abridged(said, 12, f"… {len(said) - 12} more …")
    return f"{graph.name(node)} {full}fires: it sends {', '.join(said)}"


class _Frames:
    """The frames: every box as large as in all the others, so that nothing moves."""

    def __init__(self, graph: ComputationGraph, base: Scene, snapshots: list[Snapshot], mistake: str | None):
        self.graph, self.base, self.snapshots, self.mistake = graph, base, snapshots, mistake
        self.longest: dict[Any, str] = {}
        ids = Ids(graph)
        self.nodes = {ids.nodes[node.index]: node for node in graph.nodes}
        self.slots = {ids.arrows[slot.key]: slot for slot in graph.slots}

    def frame(self, snapshot: Snapshot) -> Scene:
        """The picture of one snapshot; the last one tells what came of it."""
        notes = [Note(MISTAKES[self.mistake], bad=True)] if self.mistake else []
        if snapshot is self.snapshots[-1]:
            notes.append(self._verdict(snapshot))
        return dataclasses.replace(
            self.base,
            title=_caption(self.graph, snapshot),
            boxes=tuple(self._box(box, snapshot) for box in self.base.boxes),
            arrows=tuple(self._arrow(arrow, snapshot) for arrow in self.base.arrows),
            notes=(*self.base.notes, *notes),
        )

    def _box(self, box: Box, snapshot: Snapshot) -> Box:
        node = self.nodes.get(box.id)
        if node is None or node.index not in self.graph.gradient:  # folded, or without a gradient
            return box
        key = node.index
        gradient, received = self._gradient(node, snapshot), self._received(node, snapshot)
        firing = snapshot.firing is node
        faint = not firing and key in snapshot.fired
        return dataclasses.replace(box, fields=(*box.fields, gradient, received), strong=firing, faint=faint)

    def _gradient(self, node: Any, snapshot: Snapshot) -> Field:
        key, g = node.index, snapshot.gradient.get(node.index)
        settled = snapshot is self.snapshots[-1] or key in snapshot.fired
        wrong = g is not None and settled and not _equal(g, self.graph.gradient[key])
        label = f"∂{self.graph.name(self.graph.root)}/∂{self.graph.name(node)}"
        return Field(
            label if len(label) <= 12 else "gradient",
            "–" if g is None else _amount(g),
            bad=wrong,
            longest=self._longest_gradient(key),
        )

    def _longest_gradient(self, key: Any) -> str:
        """In any frame: as all of them need it, it is looked up once."""
        if key not in self.longest:
            texts = (_amount(s.gradient[key]) for s in self.snapshots if key in s.gradient)
            self.longest[key] = max(texts, key=measure, default="")
        return self.longest[key]

    def _received(self, node: Any, snapshot: Snapshot) -> Field:
        expected, late = _expected(self.graph, node), node.index in snapshot.late
        status = f"{snapshot.received.get(node.index, 0)} of {expected}" if expected else "start"
        longest = "9 of 9, too late" if self.snapshots[-1].late else "9 of 9"
        return Field("received", status + ", too late" * late, bad=late, longest=longest)

    def _arrow(self, arrow: Arrow, snapshot: Snapshot) -> Arrow:
        key = self.slots[arrow.id].key
        if key not in self.graph.sent or arrow.count > 1:  # it stands for many
            return arrow
        texts = [f"← {_amount(s.sent[key])}" for s in self.snapshots if key in s.sent]
        sends = key in snapshot.sent
        return dataclasses.replace(
            arrow,
            label=f"{arrow.label}\n" + (f"← {_amount(snapshot.sent[key])}" if sends else " "),
            lanes=(2,) if sends else (),
            kind=ArrowKind.SENDS,
            longest=max(texts, key=measure, default=""),
        )

    def _verdict(self, snapshot: Snapshot) -> Note:
        graph = self.graph
        leaves = [n for n in graph.nodes if n.op is None and n.index in graph.gradient]
        wrong = [n for n in leaves if not _equal(snapshot.gradient.get(n.index, np.nan), graph.gradient[n.index])]
        if not wrong:
            happens = " (this mistake does no harm in this graph)" if self.mistake else ""
            return Note(f"✓ done: all gradients are those of the backward pass{happens}")
        n = wrong[0]
        name = f"∂{graph.name(graph.root)}/∂{graph.name(n)}"
        got, right = _amount(snapshot.gradient[n.index]), _amount(graph.gradient[n.index])
        return Note(f"✗ wrong: {name} came out as {got}, and is {right}", bad=True)
