"""The frames of a film of the backward pass: one picture, of which each shows another moment and nothing moves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.notation import format_number
from tinygrad_nn.view.graph.computation import ComputationGraph, largest
from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Caption, Field, Grid, Note, Reel, Scene
from tinygrad_nn.view.scenes.backward_pass import BackwardPass, Snapshot
from tinygrad_nn.view.scenes.heat import grid, scale_of
from tinygrad_nn.view.scenes.operations import Ids, operations
from tinygrad_nn.view.text import CAPTION, abridged, measure, shape, wrapped

__all__ = ["backward_pass_film"]

MISTAKES = {
    "assign": "Mistake: each part replaces the one before (=) instead of being added (+=)",
    "order": "Mistake: a node fires as soon as anything has reached it, and what comes later is not passed on",
}
MOST = 40  # frames
BOXES = 60  # of larger graphs the middle is folded, so that all frames are laid out in a few seconds
PIPS = 6  # so many parts are drawn as ●○
WIDTH = 540.0  # of a caption, in points, at most


def backward_pass_film(
    graph: ComputationGraph,
    source: Any,
    mistake: str | None,
    show: Collection[str],
    most: int | None = None,
    deadline: float = math.inf,
) -> Reel:
    """A frame for each node that fires, with a caption: the first and the last of them, where there are many."""
    passing = BackwardPass(graph, source, mistake)
    shown_parts = [part for part in show if part not in ("gradient", "sums", "paths")]
    base = operations(graph, None, shown_parts, (), most or BOXES, deadline)
    steps = sum(1 for _ in passing.run())
    shown = {k for k in range(steps) if k < MOST // 2 or k >= steps - MOST // 2}
    snapshots = {k: snapshot.kept() for k, snapshot in enumerate(passing.run()) if k in shown}
    captions = _captions(passing, snapshots)
    frames = _Frames(passing, base, list(snapshots.values()), captions)
    title = f"Backward pass of {graph.name(graph.root)}, step by step" + (f" ({mistake} mistake)" if mistake else "")
    return Reel(title, tuple(c.text for c in captions), tuple(frames.frame(i) for i in range(len(captions))))


# --- in words --------------------------------------------------------------------------------------------------------


def _amount(value: Any) -> str:
    """A number; of an array how large it is."""
    return format_number(value.item()) if np.size(value) == 1 else f"{shape(value)} (±{format_number(largest(value))})"


def _quotient(graph: ComputationGraph, node: Any) -> str:
    return f"∂{graph.name(graph.root)}/∂{graph.name(node)}"


def _captions(passing: BackwardPass, snapshots: dict[int, Snapshot]) -> list[Caption]:
    """What happens in each frame, with the same space for all of them."""
    last = max(snapshots)
    texts = [f"Step {k}: {_happens(passing, snapshot)}" for k, snapshot in snapshots.items()]
    notes = [
        (*_mistakes(passing, snapshot), *([_verdict(passing, snapshot)] if k == last else []))
        for k, snapshot in snapshots.items()
    ]
    said = [[text, *(note.text for note in also)] for text, also in zip(texts, notes, strict=True)]
    width = min(WIDTH, max(measure(line, CAPTION, bold=True) for lines in said for line in lines) + 1)
    most = max(sum(len(wrapped(line, width, CAPTION)) for line in lines) for lines in said)
    return [Caption(text, also, width, most) for text, also in zip(texts, notes, strict=True)]


def _happens(passing: BackwardPass, snapshot: Snapshot) -> str:
    graph, node = passing.graph, snapshot.firing
    if node is None:
        return f"The backward pass begins: the gradient of {graph.name(graph.root)} by itself is 1"
    slots = [slot for slot in graph.incoming[node.index] if slot.key in snapshot.sent]
    said = [f"{_amount(snapshot.sent[slot.key])} to {graph.name(slot.source)}" for slot in slots]
    said += [
        f"{graph.name(x)} now has {_amount(snapshot.gradient[x.index])}"
        for x in {slot.source.index: slot.source for slot in slots}.values()
        if snapshot.received[x.index] > 1
    ]
    expected = passing.expected(node)
    full = f"has received {snapshot.received.get(node.index, 0)} of {expected}, and " if expected else ""
    said = abridged(said, 12, f"… {len(said) - 12} more …")
    return f"{graph.name(node)} {full}fires: it sends {', '.join(said)}"


def _mistakes(passing: BackwardPass, snapshot: Snapshot) -> list[Note]:
    """The mistakes that are made in this step."""
    graph, node = passing.graph, snapshot.firing
    if snapshot.early:
        came, expected = snapshot.received.get(node.index, 0), passing.expected(node)
        return [Note(f"✗ {graph.name(node)} fires after {came} of {expected} parts: it passes on only these", bad=True)]
    slots = graph.incoming.get(node.index, ()) if node is not None else ()
    lost = {s.source.index: s.source for s in slots if s.source.index in snapshot.lost}
    said = [f"{_quotient(graph, x)} is replaced: {_amount(snapshot.lost[x.index])} is lost" for x in lost.values()]
    return [Note(f"✗ {'; '.join(abridged(said, 4, f'… {len(said) - 4} more …'))}", bad=True)] if said else []


def _verdict(passing: BackwardPass, snapshot: Snapshot) -> Note:
    """What came of it."""
    wrong = [n for n in passing.ends if not passing.right(n, snapshot.gradient.get(n.index))]
    if not wrong:
        happens = " (this mistake does no harm in this graph)" if passing.mistake else ""
        return Note(f"✓ done: all gradients are those of the backward pass{happens}")
    n = wrong[0]
    got, true = snapshot.gradient.get(n.index), passing.graph.gradient[n.index]
    came = "–" if got is None else _amount(got)
    return Note(f"✗ wrong: {_quotient(passing.graph, n)} came out as {came}, and is {_amount(true)}", bad=True)


# --- in pictures -----------------------------------------------------------------------------------------------------


class _Frames:
    """The frames: every box and arrow says as much in one as in all the others, so that they are laid out alike."""

    def __init__(self, passing: BackwardPass, base: Scene, snapshots: list[Snapshot], captions: list[Caption]):
        self.passing, self.graph, self.snapshots, self.captions = passing, passing.graph, snapshots, captions
        notes = [Note(MISTAKES[passing.mistake], bad=True)] if passing.mistake else []
        self.base = dataclasses.replace(base, notes=(*base.notes, *notes))
        ids = Ids(self.graph)
        self.nodes = {ids.nodes[node.index]: node for node in self.graph.nodes}
        self.slots = {ids.arrows[slot.key]: slot for slot in self.graph.slots}
        self.scales: dict[Any, float] = {}
        self.heats: dict[Any, Grid] = {}
        self.boxes = [self._boxes(box) for box in base.boxes]
        self.arrows = [self._arrows(arrow) for arrow in base.arrows]

    def frame(self, i: int) -> Scene:
        """The picture of one snapshot."""
        return dataclasses.replace(
            self.base,
            title=self.captions[i].text.split(": ", 1)[1],
            boxes=tuple(boxes[i] for boxes in self.boxes),
            arrows=tuple(arrows[i] for arrows in self.arrows),
            caption=self.captions[i],
        )

    def _boxes(self, box: Box) -> list[Box]:
        """A box in all frames."""
        node = self.nodes.get(box.id)
        if node is None or node.index not in self.graph.gradient:  # folded, or without a gradient
            return [box] * len(self.snapshots)
        if node.index not in self.passing.wanted:
            return [dataclasses.replace(box, faint=True)] * len(self.snapshots)
        gradients = _steady([self._gradient(node, snapshot) for snapshot in self.snapshots])
        received = _steady([self._received(node, snapshot) for snapshot in self.snapshots])
        return [
            dataclasses.replace(
                box,
                fields=(*box.fields, gradients[i], received[i]),
                strong=snapshot.firing is node,
                faint=snapshot.firing is not node and node.index in snapshot.fired,
            )
            for i, snapshot in enumerate(self.snapshots)
        ]

    def _gradient(self, node: Any, snapshot: Snapshot) -> Field:
        key, g = node.index, snapshot.gradient.get(node.index)
        settled = snapshot is self.snapshots[-1] or key in snapshot.fired
        wrong = key in snapshot.lost or (g is not None and settled and not self.passing.right(node, g))
        label = _quotient(self.graph, node)
        label = label if len(label) <= 12 else "gradient"
        struck = f"{_amount(snapshot.lost[key])} +" if key in snapshot.lost else ""
        if np.size(node.value) < 2:
            return Field(label, "–" if g is None else _amount(g), bad=wrong, struck=struck)
        heat = self._heat(node, g)
        text = "" if heat.spelled else "–" if g is None else scale_of(heat)
        return Field(label, text, grid=heat, bad=wrong, struck=struck)

    def _heat(self, node: Any, value: Any) -> Grid:
        """A gradient, or a part of one, on the scale of all that a node has in any frame; blank where nothing is."""
        if node.index not in self.scales:
            known = {id(g): g for s in self.snapshots if (g := s.gradient.get(node.index)) is not None}
            self.scales[node.index] = max(map(largest, known.values()), default=0.0)
        key = node.index, id(value)  # most gradients are the same in many frames
        if key not in self.heats:
            shown = np.broadcast_to(0.0, np.shape(node.value)) if value is None else value
            self.heats[key] = dataclasses.replace(grid(shown, self.scales[node.index]), blank=value is None)
        return self.heats[key]

    def _received(self, node: Any, snapshot: Snapshot) -> Field:
        expected, late = self.passing.expected(node), node.index in snapshot.late
        if not expected:
            return Field("received", "start")
        came = snapshot.received.get(node.index, 0)
        pips = f"{'●' * came}{'○' * (expected - came)} " if expected <= PIPS else ""
        text = f"{pips}{came} of {expected}"
        if snapshot.early and snapshot.firing is node:
            return Field("received", "too early", bad=True, struck=text)
        return Field("received", text + ", too late" * late, bad=late)

    def _arrows(self, arrow: Arrow) -> list[Arrow]:
        """An arrow in all frames."""
        slot = self.slots[arrow.id]
        if slot.key not in self.graph.sent or arrow.count > 1:  # it stands for many
            return [arrow] * len(self.snapshots)
        if slot.source.index not in self.passing.wanted:
            return [dataclasses.replace(arrow, faint=True)] * len(self.snapshots)
        texts = [f"← {_amount(s.sent[slot.key])}" for s in self.snapshots if slot.key in s.sent]
        longest = max(texts, key=measure, default="")
        sent = [self._sent(arrow, slot, snapshot.sent.get(slot.key)) for snapshot in self.snapshots]
        heats = _of_one_size([arrow.grid for arrow in sent])
        return [dataclasses.replace(a, longest=longest, grid=heat) for a, heat in zip(sent, heats, strict=True)]

    def _sent(self, arrow: Arrow, slot: Any, part: Any) -> Arrow:
        """An arrow with what is sent along it: a number, or an array."""
        heat = None if np.size(slot.source.value) < 2 else self._heat(slot.source, part)
        sends = " " if part is None else f"← {_amount(part)}"
        return dataclasses.replace(
            arrow,
            label=f"{arrow.label}\n{sends}",
            grid=heat,
            lanes=() if part is None else (2,),
            kind=ArrowKind.SENDS,
        )


def _steady(fields: Sequence[Field]) -> list[Field]:
    """The same line of a box in all frames, with space for the longest."""
    longest = max((field.said for field in fields), key=measure)
    heats = _of_one_size([field.grid for field in fields])
    return [dataclasses.replace(f, longest=longest, grid=heat) for f, heat in zip(fields, heats, strict=True)]


def _of_one_size(heats: Sequence[Grid | None]) -> list[Grid | None]:
    """The same heat-map in all frames; where it is numbers, with space for the longest."""
    numbers = {x for heat in heats if heat is not None and heat.spelled for line in heat.cells for x in line}
    widest = max(map(format_number, sorted(numbers)), key=lambda text: measure(text, 10), default="")
    return [heat and dataclasses.replace(heat, longest=widest) for heat in heats]
