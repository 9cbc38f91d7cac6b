"""What stands under a picture, no wider than it: the table of the paths, whose bars add up, and the notes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from tinygrad_nn.view.renderers import style
from tinygrad_nn.view.renderers.dot_labels import badge, cell, fixed, font, heat_map, table, td, tr
from tinygrad_nn.view.renderers.style import BAD, GOOD, INK, QUIET, SOFT
from tinygrad_nn.view.scene import Caption, Note, Scene, Table, TableRow
from tinygrad_nn.view.text import CAPTION, measure, wrapped

__all__ = ["foot"]

SIZE = 12  # of the letters in the table
BAR = 96  # points that the bars of the paths have to add up in
LINE = 1.2  # from line to line, in the size of the letters
NARROW = 450  # points in which there is no room for bars
BESIDE = 190  # points that a row needs for what is neither label nor factors


def foot(scene: Scene, width: float) -> str:
    """The table and the notes; empty where there are none."""
    rows = _heading(scene.title, 15, width) if scene.titled else []
    rows += _caption(scene.caption) if scene.caption else []
    rows += _path_table(scene.table, width) if scene.table else []
    for note in scene.notes:
        rows += _note(note, width)
    return f"<{table(rows, cellpadding=2)}>" if rows else ""


def _heading(text: str, size: int, width: float) -> list[str]:
    return [tr(cell(line, size, bold=True)) for line in wrapped(text, width - 36, size)]


def _caption(caption: Caption) -> list[str]:
    """As many lines as in any other frame, and as wide."""
    lines = [(line, INK) for line in wrapped(caption.text, caption.width, CAPTION)]
    for note in caption.notes:
        lines += [(line, BAD if note.bad else INK) for line in wrapped(note.text, caption.width, CAPTION)]
    lines += [("", INK)] * (caption.lines - len(lines))
    width = f"{caption.width + 4:.0f}"
    texts = [font(line, CAPTION, ink, bold=True) for line, ink in lines]
    size = fixed(CAPTION * 1.25 + 4) | {"width": width}
    return [tr(td(text, align="left", cellpadding=2, **size)) for text in texts]


def _lines(lines: Sequence[str], color: str, size: int = SIZE, padding: int = 4) -> str:
    """A cell of several lines."""
    width = max((measure(line, size) for line in lines), default=0.0) + 2 * padding
    body = "".join(f'{font(line, size, color)}<br align="left"/>' for line in lines)
    height = len(lines) * size * LINE + 2 * padding
    text = td(body, align="left", cellpadding=padding, width=f"{width:.0f}", balign="left", **fixed(height))
    return td(
        table([tr(text)], cellpadding=0), align="left", cellpadding=0
    )  # rules between rows are as long as the outer cell


def _note(note: Note, width: float) -> list[str]:
    color = BAD if note.bad else QUIET
    rows = []
    for i, line in enumerate(wrapped(note.text, width - (34 if note.bad else 20), SIZE, bold=False)):
        mark = font("  " if i else "! ", SIZE, BAD, bold=True) if note.bad else ""
        rows.append(tr(td(mark + font(line, SIZE, color), align="left", cellpadding=2)))
    return rows


def _path_table(given: Table, width: float) -> list[str]:
    parts = _heading(given.heading, 14, width)
    if given.rows:
        rows = _paths(given, width)
        if given.total:
            rows += _total(given, width)
        parts.append(tr(td(table(rows, cellpadding=2, color=SOFT), align="left")))
    if given.check:
        mark = {True: font("✓ ", 14, GOOD, bold=True), False: font("✗ ", 14, BAD, bold=True), None: ""}[given.ok]
        for line in wrapped(given.check, width - 30, SIZE, bold=False):
            parts.append(tr(td(mark + font(line, SIZE, BAD if given.ok is False else INK), align="left")))
            mark = ""
    return parts + [tr(_lines(wrapped(text, width - 20, SIZE, bold=False), QUIET, padding=2)) for text in given.rest]


def _paths(given: Table, width: float) -> list[str]:
    """A row for each path: label and factors wrapped where they do not fit beside each other."""
    bars = _bars(given.rows) if width >= NARROW else []
    space = width - BESIDE - (BAR if bars else 0) - max(measure(row.share, SIZE) for row in given.rows)
    widest = [max(measure(text, SIZE) for text in texts) + 8
              for texts in zip(*((row.label, row.factors) for row in given.rows), strict=True)]  # fmt: skip
    if sum(widest) > space:
        label = min(widest[0], max(space - widest[1], 0.5 * space))
        widest = [label, space - label]
    return [_path(row, widest, bar) for row, bar in zip(given.rows, bars or [""] * len(given.rows), strict=True)]


def _path(row: TableRow, widths: Sequence[float], bar: str) -> str:
    """A row of the table; what is left out (number 0) has no colour."""
    look = style.lane(row.number)
    ink = look.text if row.number else INK if row.mark else QUIET
    mark = badge(row.number, row.mark) if row.number or row.mark else ""
    return tr(
        td(table([tr(mark)], cellpadding=1), align="left") if mark else td(),
        cell(look.sample, color=look.text) if row.number and not row.mark else td(),
        _lines(wrapped(row.label, widths[0] - 8, SIZE, bold=False), ink),
        _lines(wrapped(row.factors, widths[1] - 8, SIZE, bold=False), ink) if row.factors else td(),
        cell("=", SIZE, ink),
        td(heat_map(row.grid), align="left") if row.grid else cell(_aligned(row.product), SIZE, ink),
        bar,
        cell(row.share, color=QUIET) if row.share else "",
    )


def _total(given: Table, width: float) -> list[str]:
    ink = BAD if given.ok is False else INK
    return ["<hr/>", tr(
        td(), td(), td(),
        cell("sum", SIZE, ink, bold=True, align="right"),
        cell("=", SIZE, ink, bold=True),
        td(heat_map(given.grid), align="left") if given.grid else cell(_aligned(given.total), SIZE, ink, bold=True),
        _total_bar(given.rows) if width >= NARROW else "",
    )]  # fmt: skip


# --- a waterfall: each bar begins where the one before has ended, and the last is their sum --------------------------


def _bars(rows: Sequence[TableRow]) -> list[str]:
    """The bars of numbers; none where there is nothing to add, or something that is no finite number."""
    ends = _ends(rows)
    if len(ends) < 3:
        return []
    return [_bar(a, b, ends, _bar_color(row, b - a)) for row, a, b in zip(rows, ends, ends[1:], strict=False)]


def _bar_color(row: TableRow, change: float) -> str:
    """That of the path; where paths have none, that of the sign."""
    if row.number:
        return style.lane(row.number).text
    return (style.POSITIVE if change >= 0 else style.NEGATIVE).text


def _total_bar(rows: Sequence[TableRow]) -> str:
    ends = _ends(rows)
    return _bar(0.0, ends[-1], ends, INK) if len(ends) > 2 else ""


def _ends(rows: Sequence[TableRow]) -> list[float]:
    """0, and the sums of the first numbers, the first two, and so on."""
    numbers = [row.value for row in rows if row.value is not None and math.isfinite(row.value)]
    ends = [*accumulate(numbers, initial=0.0)] if len(numbers) == len(rows) else []
    return ends if all(map(math.isfinite, ends)) else []


def _bar(start: float, end: float, ends: Sequence[float], color: str) -> str:
    """A bar from one number to another, on the scale of all of them; its space is as wide as that of the others."""
    low, high = min(ends), max(ends)
    scale = (BAR - 8) / (high - low) if high - low > 1e-300 else 0.0
    left, right = sorted((start, end))
    before, length = round((left - low) * scale), max(2, round((right - left) * scale))
    parts = [(before, ""), (length, color), (BAR - 6 - before - length, "")]
    cells = [
        td(bgcolor=ink or None, width=size, height=11, fixedsize="true") for size, ink in parts if size > 0
    ]  # fmt: skip
    return td(table([tr(*cells)], cellpadding=0, fixedsize="true", width=BAR - 6, height=11), align="left", width=BAR)


def _aligned(text: str) -> str:
    """Positive numbers moved by the width of a minus sign, so that digits stand below digits."""
    return text if text.startswith("−") else f"\u2007{text}"
