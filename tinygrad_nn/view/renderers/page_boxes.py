"""How large the living page draws boxes and labels: as `page/boxes.mjs` draws them, with room for any number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_nn.view.renderers import style
from tinygrad_nn.view.scene import Arrow, Box, Field, Grid
from tinygrad_nn.view.text import measure

__all__ = ["arrow_as_data", "box_as_data", "label_size"]

TITLE, ROW, NOTE, SIDE, CELL, DOT = 26, 20, 21, 8, (68, 18), 8  # as in boxes.mjs
NUMBER = "−0.0000e−0"  # room for one
SUMMED = 6  # parts that are written out in a note


def box_as_data(
    box: Box, parts: int, still: bool = False, wide: bool = False
) -> tuple[dict[str, Any], tuple[float, float]]:
    """A box as the page takes it, and its size; so many parts of a gradient come back to its node.

    Of a page that computes nothing, `still`, its heat-maps are those that were recorded.  A `wide` box has room for two
    numbers, old → new.
    """
    labels = max((measure(field.label, 11) for field in box.fields), default=0.0) + 8
    word = style.role_look(box.role).word
    title = measure(box.title, 13, bold=True) + (measure(word, 11) + 8 if word else 0)
    widths = [title + 16 + 8 * min(parts, SUMMED), *(_width(field, labels, wide) for field in box.fields)]
    height = TITLE + 8.0 + sum(_height(field) for field in box.fields)
    if parts > 1:
        numbers = parts if parts <= SUMMED and all(field.grid is None for field in box.fields) else 0
        widths.append(measure(f"Σ {parts} contributions: " + " − 0.0000" * numbers, 11))
        height += NOTE
    data = {
        "id": box.id, "role": box.role.value, "name": box.name, "title": box.title, "word": word,
        "numbered": box.numbered, "labels": round(labels), "sums": parts > 1, "node": _node(box),
        "fields": [_field(field, still) for field in box.fields],
    }  # fmt: skip
    return _told(data), (round(max(widths) + 2 * SIDE), round(height))


def _node(box: Box) -> str:
    """The node that a box stands for: the one whose gradient it shows."""
    live = {field.live.split(" ")[0]: field.live.split(" ")[1] for field in box.fields if field.live}
    return live.get("value", live.get("gradient", ""))


def _spelled(grid: Grid) -> bool:
    return grid.exact and len(grid.cells) <= 4 and len(grid.cells[0]) <= 4


def _width(field: Field, labels: float, wide: bool) -> float:
    left = labels if field.label else 0.0
    if field.live and field.grid is not None:
        return left + len(field.grid.cells[0]) * (CELL[0] if _spelled(field.grid) else DOT)
    number = f"{NUMBER} → {NUMBER}" if wide and field.live.startswith("value") else NUMBER
    return left + measure(number if field.live else field.text, 12, field.strong)


def _height(field: Field) -> float:
    if field.grid is None or not field.live:
        return ROW
    return max(ROW, len(field.grid.cells) * (CELL[1] if _spelled(field.grid) else DOT) + 4)


def _field(field: Field, still: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"label": field.label}
    if not field.live:
        return found | {"text": field.said}
    found["live"], found["node"] = field.live.split(" ")
    if field.grid is not None:
        found |= {"rows": len(field.grid.cells), "columns": len(field.grid.cells[0]), "spelled": _spelled(field.grid)}
    if still and field.grid is not None:
        found["grid"] = {"cells": [[str(x) for x in row] for row in field.grid.cells], "scale": field.grid.scale}
    return found


def arrow_as_data(arrow: Arrow) -> dict[str, Any]:
    """An arrow as the page takes it: the formula of its local derivative without the number."""
    single = arrow.derivative is not None
    formula = arrow.label.rsplit(" = ", 1)[0] if single else arrow.label
    data = {
        "id": arrow.id, "source": arrow.source, "target": arrow.target, "slot": arrow.slot, "formula": formula,
        "single": single, "kind": arrow.kind.value,
    }  # fmt: skip
    return _told(data)


def _told(data: dict[str, Any]) -> dict[str, Any]:
    """Without what is false or empty: the page takes what is missing for that."""
    return {name: value for name, value in data.items() if value not in (False, "", None)}


def label_size(arrow: Arrow) -> tuple[float, float]:
    """The room for the label of an arrow; none where there is none."""
    if not arrow.label:
        return 0.0, 0.0
    lines: Sequence[str] = arrow.label.split("\n")
    if arrow.derivative is not None:
        formula = arrow.label.rsplit(" = ", 1)[0]
        lines = [f"{formula} = −0.0000" if " = " in arrow.label else "−0.0000"]
    return round(max(measure(line, 11) for line in lines) + 10), 14 * len(lines) + 2
