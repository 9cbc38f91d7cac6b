"""Two points of one graph in one picture: what each node was and is, what changed, and what only one of them has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.notation import format_number
from tinygrad_nn.ops.reductions import vector_norm
from tinygrad_nn.view.graph.computation import CHANGED, largest
from tinygrad_nn.view.graph.point import Pair, Point, Recorded, matched
from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Field, Note, Role, Scene
from tinygrad_nn.view.scenes.folding import fold
from tinygrad_nn.view.scenes.heat import grid, heat_field, scale_of
from tinygrad_nn.view.scenes.operations import role
from tinygrad_nn.view.scenes.prediction import prediction
from tinygrad_nn.view.text import listed, shape, shorten

__all__ = ["BOXES", "comparison_scene"]

BOXES = {"ops": 60, "layers": 16}  # of larger graphs the middle is folded
MARKS = {"": "", "before": "− only before", "after": "+ only after"}


def comparison_scene(before: Point, after: Point, detail: str = "ops", most: int | None = None) -> Scene:
    """The picture of two points of a graph."""
    return fold(_Comparison(before, after, detail).scene(), most or BOXES[detail])


class _Comparison:
    """The nodes of both graphs in pairs, and the boxes that they share."""

    def __init__(self, before: Point, after: Point, detail: str):
        self.before, self.after = before, after
        self.pairs = matched(before.nodes, after.nodes)
        self.boxes = _together(self.pairs, by_layer=detail == "layers")
        self.box_of = {
            id(node): f"n{last + 1}"
            for last, members in self.boxes.items()
            for i in members
            for node in (self.pairs[i].old, self.pairs[i].new)
        }

    def scene(self) -> Scene:
        """All of it."""
        J, old, new = self.after.root.called, self.before.root.value, self.after.root.value
        known = old is not None and new is not None and old.size == new.size == 1
        change = f": {_was_and_is(format_number(old.item()), format_number(new.item()))}" if known else ""
        return Scene(
            title=f"{J} before and after{change}",
            boxes=tuple(self._box(last, members) for last, members in self.boxes.items()),
            arrows=tuple(self._arrows()),
            table=prediction(self.pairs, self.before, self.after),
            notes=tuple(_notes(self.pairs)),
        )

    def _box(self, last: int, members: Sequence[int]) -> Box:
        pairs = [self.pairs[i] for i in members]
        return self._operation(f"n{last + 1}", *pairs) if len(pairs) == 1 else self._layer(f"n{last + 1}", pairs)

    def _operation(self, key: str, pair: Pair) -> Box:
        """One node: shape, value, gradient."""
        node, title = pair.node, pair.node.equation
        if node.op is None and pair.old is not None and pair.old.called != node.called:
            title = _was_and_is(pair.old.called, node.called)
        fields = (*_shape(pair), *_values(pair), *self._gradient(pair))
        point = self.before if pair.only == "before" else self.after
        outline = Box(key, role(point, node), node.called, shorten(title, 44), fields, MARKS[pair.only])
        said = [f"{field.label}: {field.text}" for field in fields if field.text]
        tooltip = "\n".join([shorten(node.equation, 200), *said])
        return dataclasses.replace(outline, tooltip=tooltip, blocked=pair.only == "before", kind=node.op or "")

    def _layer(self, key: str, pairs: list[Pair]) -> Box:
        """A dense layer: what changed of its parameters and its result."""
        fields = [Field("", pair.node.equation) for pair in pairs if pair.node.op is not None]
        for pair in pairs:
            name = pair.node.called
            if pair.node.op is None or pair is pairs[-1]:
                *_, change = _values(pair) or [Field("Δ", "–")]
                fields.append(dataclasses.replace(change, label=f"Δ{name}" if change.label == "Δ" else name))
            fields += self._gradient(pair) if pair.node.op is None else []
        missing = {pair.only for pair in pairs}
        alone = [f"{pair.node.called} {MARKS[pair.only]}" for pair in pairs if pair.only]
        title = f"layer {pairs[-1].node.layer}"
        return Box(
            key,
            Role.LAYER,
            title,
            title,
            tuple(fields),
            note=MARKS[missing.pop()] if len(missing) == 1 else ", ".join(alone),
            tooltip="\n".join(pair.node.equation for pair in pairs if pair.node.op is not None),
            blocked=all(pair.only == "before" for pair in pairs),
            count=len(pairs),
            kind="layer",
        )

    def _gradient(self, pair: Pair) -> list[Field]:
        """Before and after: a number, or how large it is."""
        if not pair.node.tracked:
            return []
        root = self.before.root if pair.only == "before" else self.after.root
        quotient, there = f"∂{root.called}/∂{pair.node.called}", [node for node in (pair.old, pair.new) if node]
        label = f"‖{quotient}‖" if any(node.shape for node in there) else quotient
        return [Field(label, _was_and_is(_size(there[0]), _size(there[-1])))]

    def _arrows(self) -> Iterator[Arrow]:
        """The arguments of both graphs; of a node that both have, those of after."""
        k = 0
        for pair in self.pairs:
            point = self.before if pair.only == "before" else self.after
            for slot, (place, flows) in enumerate(pair.node.operands):
                source, target = self.box_of[id(point.nodes[place])], self.box_of[id(pair.node)]
                if source != target:
                    k += 1
                    flowing = ArrowKind.FLOW if flows else ArrowKind.CONSTANT
                    kind = ArrowKind.BLOCKED if pair.only == "before" else flowing
                    yield Arrow(f"e{k}", source, target, slot, kind=kind)


def _together(pairs: list[Pair], by_layer: bool) -> dict[int, list[int]]:
    """Which nodes share a box, by the last of them: those of one dense layer, or none."""
    found: dict[Any, list[int]] = {}
    for i, pair in enumerate(pairs):
        layer = (pair.only == "before", pair.node.layer)
        found.setdefault(layer if by_layer and pair.node.layer else i, []).append(i)
    return {members[-1]: members for members in sorted(found.values(), key=lambda members: members[-1])}


# --- what was, and what is -------------------------------------------------------------------------------------------


def _was_and_is(before: str, after: str) -> str:
    """A number, or a size, that was and is; once if that is the same."""
    return before if before == after else f"{before} → {after}"


def _shape(pair: Pair) -> list[Field]:
    shapes = [shape(np.broadcast_to(0, node.shape)) for node in (pair.old, pair.new) if node is not None]
    return [Field("shape", _was_and_is(shapes[0], shapes[-1]))] if pair.node.shape else []


def _values(pair: Pair) -> list[Field]:
    """Value before and after, and the difference."""
    there = [node for node in (pair.old, pair.new) if node is not None]
    if any(node.value is None for node in there):
        said = [_said(node) for node in there]
        return [Field("value", _was_and_is(said[0], said[-1]), bad=any(node.state == CHANGED for node in there))]
    old, new = there[0].value, there[-1].value
    if old.shape != new.shape or not new.size:
        return [Field("Δ", "–")]
    difference = np.asarray(new, dtype=float) - np.asarray(old, dtype=float)
    if pair.only or not difference.any():
        return [heat_field("value", new), *([Field("Δ", "0")] if not pair.only else [])]
    if new.size == 1:
        numbers = _was_and_is(format_number(old.item()), format_number(new.item()))
        return [Field("value", numbers, float(new.item())), heat_field("Δ", difference)]
    return [*_heats(old, new), heat_field("Δ", difference)]


def _said(node: Recorded) -> str:
    """A value in a few words."""
    if node.value is None:
        return node.state
    return format_number(node.value.item()) if node.value.size == 1 else f"±{format_number(largest(node.value))}"


def _heats(old: Any, new: Any) -> Iterator[Field]:
    """Both values on one scale."""
    scale = max(largest(old), largest(new))
    for label, value in (("before", old), ("after", new)):
        heat = grid(value, scale)
        yield Field(label, "" if heat.spelled else scale_of(heat), grid=heat)


def _size(node: Recorded) -> str:
    """A gradient, or its norm."""
    g = node.gradient
    return "–" if g is None else format_number(vector_norm(np.ravel(g)) if node.shape else g.item())


def _notes(pairs: list[Pair]) -> Iterator[Note]:
    gone = [pair.old.called for pair in pairs if pair.old is not None and pair.old.state == CHANGED]
    if gone:
        were = "was" if len(gone) == 1 else "were"
        yield Note(
            f"{listed(gone)} {were} changed in place since the first point was recorded, so that the old values are "
            "gone: take before = tn.draw(loss) before the step, and tn.compare(before, loss) after it",
            bad=True,
        )
    for where in ("before", "after"):
        alone = [pair.node.called for pair in pairs if pair.only == where]
        if alone:
            yield Note(f"Only {where}: {listed(alone)}")
