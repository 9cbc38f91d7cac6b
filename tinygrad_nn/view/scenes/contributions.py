"""What a prediction came from: contributions of features that run through units to the output; none is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn.notation import format_number, subscript, sum_of
from tinygrad_nn.view.scene import Box, Note, Role, Scene, Shape, Table, TableRow
from tinygrad_nn.view.scenes.canvas import ACROSS, Canvas
from tinygrad_nn.view.scenes.heat import number_field
from tinygrad_nn.view.scenes.units import others, strongest
from tinygrad_nn.view.text import listed, percent, plural, shorten

__all__ = ["Column", "Flow", "contributions_scene"]

APART = 84.0  # points between the boxes of a column
LETTERS = 24  # of a name
THIN = 0.03  # of the thickest arrow: what carries less has no colour


@dataclass(frozen=True)
class Column:
    """Features, or the units of a layer: their names, numbers, and what each carries to the output."""

    heading: str
    names: tuple[str, ...]
    values: np.ndarray
    carried: np.ndarray


@dataclass(frozen=True)
class Flow:
    """Columns, and what runs `between` one and the next, (boxes, boxes); the last of these leads to the output."""

    columns: tuple[Column, ...]
    between: tuple[np.ndarray, ...]
    explained: str
    method: str
    examples: int
    output: float
    reference: float
    gap: float
    words_for_reference: str
    words_for_gap: str
    has_reference: bool


@dataclass(frozen=True)
class _Shown:
    """Which of a column have a box, in the order from top to bottom, and which are drawn together."""

    alone: list[int]
    rest: np.ndarray

    @property
    def groups(self) -> list[list[int]]:
        return [[i] for i in self.alone] + ([self.rest.tolist()] if len(self.rest) else [])


def contributions_scene(flow: Flow, most: int) -> Scene:
    """The features on the left, largest first, the units of each layer in their order, the output on the right."""
    canvas = Canvas()
    shown = [_shown(column, most, by_size=k == 0) for k, column in enumerate(flow.columns)]
    ids = [
        _column(canvas, column, some, level, level * ACROSS)
        for level, (column, some) in enumerate(zip(flow.columns, shown, strict=True))
    ]
    ids.append([canvas.add(_output_box(flow), len(flow.columns) * ACROSS, 0)])
    groups = [*(some.groups for some in shown), [[0]]]
    sums = [_grouped(m, a, b) for m, a, b in zip(flow.between, groups, groups[1:], strict=False)]
    widest = max((float(np.abs(m).max(initial=0)) for m in sums), default=0.0) or 1.0
    for level, m in enumerate(sums):
        _arrows(canvas, m, ids[level], ids[level + 1], widest)
    thickness = (
        "Arrows are as thick as what all paths along them carry: blue solid ones raise the output, orange dashed "
    )
    notes = [f"{thickness}ones lower it; grey ones carry less than {THIN:.0%} of the thickest"]
    if len(flow.columns) > 1:
        notes.append("Σ is what a unit passes on: the sum of all paths through it; what enters a unit leaves it")
    if flow.examples > 1:
        notes.append(f"Means over {plural(flow.examples, 'example')}")
    of = f"{flow.explained} = {format_number(flow.output)}" if flow.examples == 1 else f"mean {flow.explained}"
    return Scene(
        title=f"Where the {of} came from: {flow.method}",
        boxes=tuple(canvas.boxes),
        arrows=tuple(canvas.arrows),
        table=_table(flow, shown[0]),
        notes=tuple(map(Note, notes)),
        wide=True,
    )


def _shown(column: Column, most: int, by_size: bool) -> _Shown:
    alone = strongest(column.carried, most)
    if by_size:
        alone = sorted(alone, key=lambda i: -abs(float(column.carried[i])))
    return _Shown(alone, others(len(column.carried), alone))


def _grouped(m: np.ndarray, rows: Sequence[Sequence[int]], columns: Sequence[Sequence[int]]) -> np.ndarray:
    """What runs between boxes: those that are drawn together count together."""
    return np.array([[m[np.ix_(a, b)].sum() for b in columns] for a in rows])


def _column(canvas: Canvas, column: Column, shown: _Shown, level: int, x: float) -> list[str]:
    top, ids = (len(shown.groups) - 1) / 2 * APART, []
    for row, i in enumerate(shown.alone):
        box = _feature_box(column, i) if level == 0 else _unit_box(column, level, i)
        ids.append(canvas.add(box, x, top - row * APART))
    if len(shown.rest):
        title = f"… {len(shown.rest)} more"
        field = number_field("Σ", column.carried[shown.rest].sum())
        noun = "features" if level == 0 else f"units of {column.heading}"
        box = Box(f"rest{level}", Role.FOLD, title, title, (field,), tooltip=f"{len(shown.rest)} further {noun}",
                  count=len(shown.rest))  # fmt: skip
        ids.append(canvas.add(box, x, top - len(shown.alone) * APART))
    noun = "feature" if level == 0 else "unit"
    heading = plural(len(column.names), noun) if level == 0 else f"{column.heading}\n{plural(len(column.names), noun)}"
    canvas.text(heading, x, top + 62, faint=True)
    return ids


def _feature_box(column: Column, i: int) -> Box:
    value = () if np.isnan(column.values[i]) else (number_field("value", column.values[i]),)  # none of categories
    fields = (*value, number_field("adds", column.carried[i], strong=False))
    tooltip = "\n".join([column.names[i], *(f"{field.label} {field.text}" for field in fields)])
    name = shorten(column.names[i], LETTERS)
    return Box(f"x{i + 1}", Role.INPUT, column.names[i], name, fields, tooltip=tooltip)


def _unit_box(column: Column, level: int, i: int) -> Box:
    name = f"a{subscript(i + 1)}"
    fields = (number_field(name, column.values[i]), number_field("Σ", column.carried[i]))
    tooltip = "\n".join([f"unit {i + 1} of {column.heading}", *(f"{field.label} = {field.text}" for field in fields)])
    return Box(f"u{level}_{i + 1}", Role.OPERATION, f"{name} of {column.heading}", "", fields, tooltip=tooltip,
               shape=Shape.CIRCLE)  # fmt: skip


def _output_box(flow: Flow) -> Box:
    fields = [number_field("Σ", float(flow.columns[0].carried.sum()))]
    fields += [number_field(flow.words_for_reference, flow.reference)] if flow.has_reference else []
    fields += [number_field(flow.words_for_gap, flow.gap), number_field("output", flow.output, strong=True)]
    return Box(
        "output", Role.OUTPUT, flow.explained, shorten(flow.explained, 30), tuple(fields), tooltip=flow.explained
    )


def _arrows(canvas: Canvas, m: np.ndarray, sources: Sequence[str], targets: Sequence[str], widest: float) -> None:
    """An arrow for whatever runs from a box to another, the thin ones first."""
    for at in np.argsort(np.abs(m), axis=None, kind="stable"):
        i, j = np.unravel_index(at, m.shape)
        carried = float(m[i, j])
        if carried:
            share = round(carried / widest, 4)
            faint = abs(share) < THIN
            canvas.connect(sources[i], targets[j], flow=0.0 if faint else share, faint=faint,
                           tooltip=f"carries {format_number(carried)}")  # fmt: skip


def _table(flow: Flow, shown: _Shown) -> Table:
    """A bar for each feature; and whether every layer carries the same sum."""
    features, mass = flow.columns[0], float(np.abs(flow.columns[0].carried).sum())

    def row(label: str, value: float) -> TableRow:
        share = percent(abs(value) / mass) if mass else ""
        return TableRow(0, label, "", format_number(value), value, share=share, mark="")

    rows = [row(shorten(features.names[i], 40), float(features.carried[i])) for i in shown.alone]
    if len(shown.rest):
        rows.append(row(f"… and {len(shown.rest)} more", float(features.carried[shown.rest].sum())))
    total = float(features.carried.sum())
    sums = [float(column.carried.sum()) for column in flow.columns[1:]]
    layers = [column.heading.partition(",")[0] for column in flow.columns[1:]]
    scale = max(mass, *(float(np.abs(column.carried).sum()) for column in flow.columns))
    ok = all(abs(x - total) <= 1e-5 * scale for x in sums) if sums else None
    check = ""
    if sums:
        found = "the same sum runs" if ok else f"{listed(list(map(format_number, sums)))} run"
        check = f"{found} through {listed(layers)}"
    terms: list[Any] = [total] + [flow.reference] * flow.has_reference + [flow.gap]
    words = ["Σ", *([flow.words_for_reference] * flow.has_reference), flow.words_for_gap]
    rest = f"{' + '.join(words)} = {sum_of(terms)} = {format_number(flow.output)}, the {flow.explained}"
    return Table(f"Contributions to the {flow.explained}", tuple(rows), (rest,), format_number(total), ok, check)
