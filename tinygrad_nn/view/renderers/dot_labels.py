"""What stands in a picture's boxes, on its arrows and under it, as the HTML-like labels of DOT.

Every cell is told how wide its text is: the embedded engine cannot measure what lies beyond ASCII.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable

from tinygrad_nn.notation import format_number
from tinygrad_nn.view.renderers import style
from tinygrad_nn.view.renderers.style import BAD, GOOD, INK, PAPER, QUIET, SOFT, Border
from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Caption, Field, Grid, Note, Scene, Shape, Table, TableRow
from tinygrad_nn.view.text import CAPTION, clean, measure, wrapped

__all__ = ["arrow_label", "box_label", "foot", "label_lines"]

_SPAN = 9  # columns of a value: what a box is wider than its rows goes to all columns alike, and so to the right


# --- elements --------------------------------------------------------------------------------------------------------


def _font(text: str, size: int, color: str = "", bold: bool = False, struck: bool = False) -> str:
    body = html.escape(clean(text)).replace("\\", "\\\\")  # a single backslash and N would be the id of the node
    body = body.replace("  ", "&#160;&#160;") or "&#160;"
    ink = f' color="{color}"' if color else ""
    body = f"<s>{body}</s>" if struck else body
    body = f'<font point-size="{size}"{ink}>{body}</font>'
    return f"<b>{body}</b>" if bold else body


def _td(content: str = "", /, **attributes: object) -> str:
    return f"<td{_written(attributes)}>{content}</td>"


def _tr(*cells: str) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _table(rows: Iterable[str], **attributes: object) -> str:
    bare = {"border": 0, "cellborder": 0, "cellspacing": 0}
    return f"<table{_written(bare | attributes)}>{''.join(rows)}</table>"


def _written(attributes: dict[str, object]) -> str:
    return "".join(f' {name}="{value}"' for name, value in attributes.items() if value is not None)


def _cell(
    text: str,
    size: int = 12,
    color: str = INK,
    bold: bool = False,
    padding: int = 3,
    align: str = "left",
    span: int | None = None,
    longest: str = "",
    struck: str = "",
) -> str:
    """A cell of one line, wide enough for it on any machine.

    Bold and plain cells of one row stand on different lines, by a quirk of Graphviz: a row is all one or the other.
    """
    width = max(measure(text, size, bold), measure(longest, size, bold)) + 2 * padding
    body = _font(text, size, color, bold)
    if struck:
        body = _font(struck, size, BAD, bold, struck=True) + _font(f" {text}", size, color, bold)
    fixed = _fixed(size * 1.25 + 2 * padding) if longest else {}
    return _td(body, align=align, cellpadding=padding, width=f"{width:.0f}", colspan=span, **fixed)


def _fixed(height: float) -> dict[str, str]:
    """For a cell that is as large in all frames of a film, whatever an engine thinks its text is."""
    return {"height": f"{height:.0f}", "fixedsize": "true"}


def _badge(k: int, mark: str = "") -> str:
    """The number of a path, or a mark, white on the colour of the path; not stretched by what stands beside it."""
    size = {"width": f"{max(13, measure(mark, 9, bold=True) + 6):.0f}", "height": 15}
    ink = style.UPDATE if k < 0 else style.lane(k).text if k else QUIET
    cell = _td(_font(mark or str(k), 9, PAPER, bold=True), bgcolor=ink, **size)
    return _td(_table([_tr(cell)], cellpadding=0, fixedsize="true", **size), align="left")


# --- boxes -----------------------------------------------------------------------------------------------------------


def box_label(box: Box) -> str:
    """What stands in a box."""
    writers = {Shape.CIRCLE: _circle, Shape.SIGN: _circle, Shape.TEXT: _text, Shape.LABEL: _text, Shape.CARD: _card}
    return f"<{writers[box.shape](box)}>"


def _card(box: Box) -> str:
    """Name or formula, then value, gradient and whatever else there is to say."""
    look = style.box_look(box)
    rows = [_tr(_title(box))]
    if box.fields:
        fields = _table([_field(field) for field in box.fields], cellpadding=3)
        rows += ["<hr/>", _tr(_td(fields, align="left", cellpadding=2))]
    if box.note:
        rows += ["<hr/>", _tr(_cell(box.note, 11, padding=4))]
    edge = "rounded,dashed" if look.dashed else None if look.border is Border.SQUARE else "rounded"
    frame = {"border": f"{look.width:g}", "cellpadding": 0, "color": look.line, "bgcolor": look.fill, "style": edge}
    card = _table(rows, **frame)
    if look.border is Border.DOUBLE:
        width = style.role_look(box.role).width
        card = _table([_tr(_td(card))], border=f"{width:g}", cellpadding=2, color=look.line, style="rounded")
    return card


def _title(box: Box) -> str:
    role = style.role_look(box.role)
    word = f"  {role.word}" if role.word else ""
    width = measure(box.title, 13, bold=True) + measure(f"  {role.word}", 9)
    body = _font(box.title, 13, bold=True) + (_font(word, 9, role.line) if word else "")
    return _td(body, align="left", cellpadding=5, width=f"{width + 10:.0f}")


def _field(field: Field) -> str:
    ink = BAD if field.bad else INK
    if not field.label:
        return _tr(_cell(field.text, color=ink, bold=field.strong, span=_SPAN + 1))
    label = _cell(field.label, 11, BAD if field.bad and field.grid else QUIET, field.strong)
    if field.grid is not None:
        known = field.text or field.struck or field.longest
        scale = _cell(field.text, 10, QUIET, padding=2, longest=field.longest, struck=field.struck) if known else ""
        stretch = "<td></td>" * (_SPAN - 2)  # takes the space that is left
        heat = _table([_tr(_td(_heat_map(field.grid), align="left"), scale, stretch)], cellpadding=2)
        return _tr(label, _td(heat, align="left", cellpadding=1, colspan=_SPAN))
    mark = _badge(field.lane, field.mark) if field.mark else ""
    span = _SPAN - 1 if mark else _SPAN
    value = _cell(field.text, color=ink, bold=field.strong, span=span, longest=field.longest, struck=field.struck)
    return _tr(label, mark, value)


def _heat_map(grid: Grid, size: int = 7, unknown: str = "–") -> str:
    """Coloured cells; the numbers themselves where there are few.  Where nothing is known, perhaps only the space."""
    hidden = grid.blank and not unknown
    frame: dict[str, object] = {"border": 1, "color": PAPER if hidden else SOFT, "cellpadding": 0}
    if grid.spelled:
        return _table([_tr(*(_number(x, grid, unknown) for x in line)) for line in grid.cells], cellspacing=1, **frame)
    square = {"fixedsize": "true", "width": size, "height": size}
    rows = [_tr(*(_td(bgcolor=_shade(x, grid), **square) for x in line)) for line in grid.cells]
    whole = {"width": size * len(grid.cells[0]) + 2, "height": size * len(grid.cells) + 2}
    return _table(rows, fixedsize="true", **whole, **frame)


def _shade(x: float, grid: Grid) -> str:
    return PAPER if grid.blank else style.tint(x, grid.scale)


def _number(x: float, grid: Grid, unknown: str) -> str:
    ink = PAPER if abs(x) > 0.62 * grid.scale or x != x else INK
    text, color = (unknown, QUIET) if grid.blank else (format_number(x), ink)
    fixed = _fixed(18) | {"width": f"{measure(grid.longest, 10) + 6:.0f}"} if grid.longest else {}
    return _td(_font(text, 10, color), bgcolor=_shade(x, grid), align="left", cellpadding=3, **fixed)


def _circle(box: Box) -> str:
    ink = style.box_look(box).ink
    if not box.fields:
        return _font(box.title, 13, ink, bold=True)
    return _table(
        _tr(
            _cell(field.label, 11, QUIET, field.strong, padding=1),
            _cell(field.text, 11, BAD if field.bad else ink, field.strong, padding=1),
        )
        for field in box.fields
    )


def _text(box: Box) -> str:
    """A line or two; on an arrow they get paper behind them."""
    ink = style.box_look(box).ink
    rows = (_tr(_cell(line, 11, ink, box.strong, padding=1, align="center")) for line in box.title.split("\n"))
    return _table(rows, bgcolor=PAPER if box.shape is Shape.LABEL else None)


# --- arrows ----------------------------------------------------------------------------------------------------------


def arrow_label(arrow: Arrow) -> str:
    """The numbers of the paths, on their colours, and the local derivative."""
    cells = [_badge(k) for k in arrow.lanes] if arrow.kind is ArrowKind.FLOW else []
    if arrow.label:
        ink = style.arrow_look(arrow).ink
        lines = [_font(line, 11, ink) for line in label_lines(arrow)]
        if arrow.detail:
            lines.append(_font(arrow.detail, 8, QUIET))
        size = {"width": "4"} if not arrow.longest else _fixed(13.5 * len(lines) + 4) | {"width": _widest(arrow)}
        cells.append(_td("<br/>".join(lines), align="left", cellpadding=2, **size))
    rows = [_tr(*cells)]
    if arrow.grid is not None:
        rows.append(_tr(_td(_heat_map(arrow.grid, unknown=""), align="left", colspan=len(cells) or None)))
    return f"<{_table(rows, cellspacing=1, cellpadding=1)}>"


def _widest(arrow: Arrow) -> str:
    """In all frames of a film."""
    widths = [measure(line, 11) for line in [*label_lines(arrow), arrow.longest]]
    return f"{max(*widths, measure(arrow.detail, 8)) + 4:.0f}"


def label_lines(arrow: Arrow, most: int = 40) -> list[str]:
    """The lines of a label; long ones in parts of about the same length."""
    lines: list[str] = []
    for line in arrow.label.split("\n"):
        parts = -(-len(line) // most)
        lines += textwrap.wrap(line, len(line) // parts + 6) if parts > 1 else [line]
    return lines


# --- what stands under the picture -----------------------------------------------------------------------------------


def foot(scene: Scene) -> str:
    """The caption, the table and the notes; empty where there are none."""
    rows = _caption(scene.caption) if scene.caption else []
    rows += _path_table(scene.table) if scene.table else []
    for note in scene.notes:
        rows += _note(note)
    return f"<{_table(rows, cellpadding=2)}>" if rows else ""


def _caption(caption: Caption) -> list[str]:
    """As many lines as in any other frame, and as wide."""
    lines = [(line, INK) for line in wrapped(caption.text, caption.width, CAPTION)]
    for note in caption.notes:
        lines += [(line, BAD if note.bad else INK) for line in wrapped(note.text, caption.width, CAPTION)]
    lines += [("", INK)] * (caption.lines - len(lines))
    width = f"{caption.width + 4:.0f}"
    return [
        _tr(_td(_font(line, CAPTION, ink, bold=True), align="left", cellpadding=2, width=width)) for line, ink in lines
    ]


def _note(note: Note) -> list[str]:
    rows = []
    for i, line in enumerate(textwrap.wrap(note.text, 110)):
        mark = _font("  " if i else "! ", 12, BAD, bold=True) if note.bad else ""
        rows.append(_tr(_td(mark + _font(line, 12, BAD if note.bad else QUIET), align="left", cellpadding=2)))
    return rows


def _path_table(table: Table) -> list[str]:
    parts = [_tr(_cell(table.heading, 14, bold=True))]
    if table.rows:
        rows = [_path(row) for row in table.rows] + ([_total(table)] if table.total else [])
        parts.append(_tr(_td(_table(rows, cellpadding=3, color=SOFT), align="left")))
    return parts + [_tr(_cell(text, color=QUIET, padding=2)) for text in table.rest]


def _path(row: TableRow) -> str:
    """A row of the table; what is left out (number 0) has no colour."""
    look = style.lane(row.number)
    ink = look.text if row.number else QUIET
    mark = _badge(row.number, row.mark) if row.number or row.mark else ""
    return _tr(
        _td(_table([_tr(mark)], cellpadding=1), align="left") if mark else _td(),
        _cell(look.sample, color=look.line) if row.number and not row.mark else _td(),
        _cell(row.label, 13, ink, padding=4),
        _cell(row.factors, 13, ink, padding=4),
        _cell("=", 13, ink),
        _td(_heat_map(row.grid), align="left") if row.grid else _cell(_aligned(row.product), 13, ink),
        _cell(row.share, color=QUIET) if row.share else "",
    )


def _total(table: Table) -> str:
    ink = BAD if table.ok is False else INK
    marks = {True: _font(" ✓ ", 14, GOOD, bold=True), False: _font(" ✗ ", 14, BAD, bold=True), None: ""}
    check = marks[table.ok] + _font(table.check, 14, BAD if table.ok is False else QUIET)
    return "<hr/>" + _tr(
        "<td></td><td></td><td></td>",
        _cell("sum", 13, ink, bold=True, align="right"),
        _cell("=", 13, ink, bold=True),
        _td(_heat_map(table.grid), align="left") if table.grid else _cell(_aligned(table.total), 13, ink, bold=True),
        _td(check, align="left", width=f"{measure(table.check) + 24:.0f}"),
    )


def _aligned(text: str) -> str:
    """Positive numbers moved by the width of a minus sign, so that digits stand below digits."""
    return text if text.startswith("−") else f"\u2007{text}"
