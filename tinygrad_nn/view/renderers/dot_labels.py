"""What stands in a picture's boxes and on its arrows, as the HTML-like labels of DOT.

Every cell is told how wide its text is: the embedded engine cannot measure what lies beyond ASCII.
"""

from __future__ import annotations

import html
import itertools
import textwrap
from collections.abc import Iterable, Sequence

from tinygrad_nn.notation import format_number
from tinygrad_nn.view.renderers import style
from tinygrad_nn.view.renderers.style import BAD, INK, PAPER, QUIET, SOFT, Border
from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Direction, Field, Grid, Shape
from tinygrad_nn.view.text import clean, measure

__all__ = [
    "SMALL",
    "arrow_label",
    "badge",
    "box_label",
    "cell",
    "fixed",
    "font",
    "halo_label",
    "heat_map",
    "label_lines",
    "table",
    "td",
    "tr",
]

SMALL = 11  # points, which are pixels where pictures are used: nothing is smaller
LANE = 12  # points between the lanes of an arrow, where they leave and arrive
BESIDE = 4  # points between a line and its label
_SPAN = 9  # columns of a value: what a box is wider than its rows goes to all columns alike, and so to the right


# --- elements --------------------------------------------------------------------------------------------------------


def font(text: str, size: int, color: str = "", bold: bool = False, struck: bool = False) -> str:
    """A text in a size and colour."""
    body = html.escape(clean(text)).replace("\\", "\\\\")  # a single backslash and N would be the id of the node
    body = body.replace("]]", "]&#93;")  # dot takes ]] for the end of a CDATA section
    body = body.replace("  ", "&#160;&#160;") or "&#160;"
    ink = f' color="{color}"' if color else ""
    body = f"<s>{body}</s>" if struck else body
    body = f'<font point-size="{size}"{ink}>{body}</font>'
    return f"<b>{body}</b>" if bold else body


def td(content: str = "", /, **attributes: object) -> str:
    """A cell."""
    return f"<td{_written(attributes)}>{content}</td>"


def tr(*cells: str) -> str:
    """A row."""
    return f"<tr>{''.join(cells)}</tr>"


def table(rows: Iterable[str], **attributes: object) -> str:
    """A table without lines of its own."""
    bare = {"border": 0, "cellborder": 0, "cellspacing": 0}
    return f"<table{_written(bare | attributes)}>{''.join(rows)}</table>"


def _written(attributes: dict[str, object]) -> str:
    return "".join(f' {name}="{value}"' for name, value in attributes.items() if value is not None)


def cell(
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
    body = font(text, size, color, bold)
    if struck:
        body = font(struck, size, BAD, bold, struck=True) + font(f" {text}", size, color, bold)
    size_of_all = fixed(size * 1.25 + 2 * padding) if longest else {}
    return td(body, align=align, cellpadding=padding, width=f"{width:.0f}", colspan=span, **size_of_all)


def fixed(height: float) -> dict[str, str]:
    """For a cell that is as large in all frames of a film, whatever an engine thinks its text is."""
    return {"height": f"{height:.0f}", "fixedsize": "true"}


def badge(k: int, mark: str = "") -> str:
    """The number of a path, or a mark, white on the colour of the path; not stretched by what stands beside it."""
    size = {"width": f"{max(15, measure(mark, SMALL, bold=True) + 6):.0f}", "height": 17}
    ink = style.UPDATE if k < 0 else style.lane(k).text if k else QUIET
    cell = td(font(mark or str(k), SMALL, PAPER, bold=True), bgcolor=ink, **size)
    return td(table([tr(cell)], cellpadding=0, fixedsize="true", **size), align="left")


# --- boxes -----------------------------------------------------------------------------------------------------------


def box_label(box: Box, direction: Direction = Direction.RIGHT) -> str:
    """What stands in a box; for arrows that lead in this direction, the places where they arrive and leave."""
    writers = {Shape.CIRCLE: _circle, Shape.SIGN: _circle, Shape.TEXT: _text, Shape.LABEL: _text, Shape.CARD: _card}
    label = writers[box.shape](box)
    if not box.entries and not box.exits:
        return f"<{label}>"
    parts = [td(_places(box.entries, "i", direction)), td(label), td(_places(box.exits, "o", direction))]
    rows = [tr(*parts)] if direction is Direction.RIGHT else [tr(part) for part in parts]
    return f"<{table(rows, cellpadding=0)}>"


def _places(lines: Sequence[str], letter: str, direction: Direction) -> str:
    """A place for each line along a side of a box, which they share; lanes of one arrow stay beside each other."""
    if not lines:
        return ""
    across = {"width": 1} if direction is Direction.RIGHT else {"height": 1}
    along = {"height": LANE} if direction is Direction.RIGHT else {"width": LANE}
    cells = []
    for _, group in itertools.groupby(enumerate(lines), lambda line: line[1].split(".")[0]):
        numbers = [i for i, _ in group]
        if len(numbers) == 1:
            cells.append(td(port=f"{letter}{numbers[0]}", **across))
        else:
            lanes = [td(port=f"{letter}{i}", fixedsize="true", **across, **along) for i in numbers]
            side = "width" if "height" in across else "height"
            whole = {"fixedsize": "true", **across, side: LANE * len(lanes)}
            cells.append(td(_strip(lanes, direction, **whole), **across))
    return _strip(cells, direction)


def _strip(cells: Sequence[str], direction: Direction, **attributes: object) -> str:
    """Cells beside each other, along the side of a box at which arrows arrive."""
    rows = [tr(cell) for cell in cells] if direction is Direction.RIGHT else [tr(*cells)]
    return table(rows, cellpadding=0, **attributes)


def _card(box: Box) -> str:
    """Name or formula, then value, gradient and whatever else there is to say."""
    look = style.box_look(box)
    divider = tr(td(bgcolor=look.line, height=1, cellpadding=0))  # dot draws <hr/> through rounded borders
    rows = [tr(_title(box))]
    if box.fields:
        fields = table([_field(field) for field in box.fields], cellpadding=3)
        rows += [divider, tr(td(fields, align="left", cellpadding=2))]
    if box.note:
        rows += [divider, tr(cell(box.note, 11, padding=4))]
    edge = "rounded,dashed" if look.dashed else None if look.border is Border.SQUARE else "rounded"
    frame = {"border": f"{look.width:g}", "cellpadding": 0, "color": look.line, "bgcolor": look.fill, "style": edge}
    card = table(rows, **frame)
    if look.border is Border.DOUBLE:
        width = style.role_look(box.role).width
        card = table([tr(td(card))], border=f"{width:g}", cellpadding=2, color=look.line, style="rounded")
    return card


def _title(box: Box) -> str:
    role = style.role_look(box.role)
    word = f"  {role.word}" if role.word else ""
    width = measure(box.title, 13, bold=True) + measure(f"  {role.word}", SMALL)
    name = f"{box.name} = "
    if box.numbered and box.title.startswith(name):  # told apart from what has a name
        title = f"<i>{font(name, 13, QUIET)}</i>{font(box.title.removeprefix(name), 13, bold=True)}"
    else:
        title = font(box.title, 13, bold=True)
    body = title + (font(word, SMALL, role.ink) if word else "")
    return td(body, align="left", cellpadding=5, width=f"{width + 10:.0f}")


def _field(field: Field) -> str:
    ink = BAD if field.bad else INK
    if not field.label:
        return tr(cell(field.text, color=ink, bold=field.strong, span=_SPAN + 1))
    label = cell(field.label, 11, BAD if field.bad and field.grid else QUIET, field.strong)
    if field.grid is not None:
        known = field.text or field.struck or field.longest
        scale = cell(field.text, SMALL, QUIET, padding=2, longest=field.longest, struck=field.struck) if known else ""
        stretch = "<td></td>" * (_SPAN - 2)  # takes the space that is left
        heat = table([tr(td(heat_map(field.grid), align="left"), scale, stretch)], cellpadding=2)
        return tr(label, td(heat, align="left", cellpadding=1, colspan=_SPAN))
    mark = badge(field.lane, field.mark) if field.mark else ""
    span = _SPAN - 1 if mark else _SPAN
    value = cell(field.text, color=ink, bold=field.strong, span=span, longest=field.longest, struck=field.struck)
    return tr(label, mark, value)


def heat_map(grid: Grid, size: int = 7, unknown: str = "–") -> str:
    """Coloured cells; the numbers themselves where there are few.  Where nothing is known, perhaps only the space."""
    hidden = grid.blank and not unknown
    frame: dict[str, object] = {"border": 1, "color": PAPER if hidden else SOFT, "cellpadding": 0}
    if grid.spelled:
        return table([tr(*(_number(x, grid, unknown) for x in line)) for line in grid.cells], cellspacing=1, **frame)
    square = {"fixedsize": "true", "width": size, "height": size}
    rows = [tr(*(td(bgcolor=_shade(x, grid), **square, **_rim(x, grid)) for x in line)) for line in grid.cells]
    whole = {"width": size * len(grid.cells[0]) + 2, "height": size * len(grid.cells) + 2}
    return table(rows, fixedsize="true", **whole, **frame)


def _shade(x: float, grid: Grid) -> str:
    return PAPER if grid.blank else style.tint(x, grid.scale)


def _rim(x: float, grid: Grid) -> dict[str, object]:
    """Cells below 0 are smaller: colour alone does not tell the sign in a grey print."""
    return {"border": 1, "color": PAPER} if x < 0 and not grid.blank else {}


def _number(x: float, grid: Grid, unknown: str) -> str:
    ink = PAPER if x != x else style.ON_STRONG if abs(x) > 0.6125 * grid.scale else style.ON_PALE
    text, color = (unknown, QUIET) if grid.blank else (format_number(x), ink)
    size_of_all = fixed(20) | {"width": f"{measure(grid.longest, SMALL) + 6:.0f}"} if grid.longest else {}
    return td(font(text, SMALL, color), bgcolor=_shade(x, grid), align="left", cellpadding=3, **size_of_all)


def _circle(box: Box) -> str:
    ink = style.box_look(box).ink
    if not box.fields:
        return font(box.title, 13, ink, bold=True)
    return table(
        tr(
            cell(field.label, 11, QUIET, field.strong, padding=1),
            cell(field.text, 11, BAD if field.bad else ink, field.strong, padding=1),
        )
        for field in box.fields
    )


def _text(box: Box) -> str:
    """A line or two."""
    return _centred(box, style.box_look(box).ink)


def halo_label(box: Box) -> str:
    """The same in the colour of the paper."""
    return f"<{_centred(box, PAPER)}>"


def _centred(box: Box, ink: str) -> str:
    return table(tr(cell(line, 11, ink, box.strong, padding=1, align="center")) for line in box.title.split("\n"))


# --- arrows ----------------------------------------------------------------------------------------------------------


def arrow_label(arrow: Arrow, direction: Direction = Direction.RIGHT) -> str:
    """The numbers of the paths, on their colours, and the local derivative; on the side of the line some space."""
    cells = [badge(k) for k in arrow.lanes] if arrow.kind is ArrowKind.FLOW else []
    if arrow.label:
        ink = style.arrow_look(arrow).ink
        lines = [font(line, 11, ink) for line in label_lines(arrow)]
        if arrow.detail:
            lines.append(font(arrow.detail, SMALL, QUIET))
        size = {"width": "4"} if not arrow.longest else fixed(13.5 * len(lines) + 4) | {"width": _widest(arrow)}
        cells.append(td("<br/>".join(lines), align="left", cellpadding=2, **size))
    rows = [tr(*cells)]
    if arrow.grid is not None:
        rows.append(tr(td(heat_map(arrow.grid, unknown=""), align="left", colspan=len(cells) or None)))
    written = table(rows, cellspacing=1, cellpadding=1)
    space = round(BESIDE + (style.arrow_look(arrow).width / 2 if arrow.flow else 0.0))
    if direction is Direction.DOWN:
        return f"<{table([tr(td(width=space), td(written), td(width=BESIDE))], cellpadding=0)}>"
    return f"<{table([tr(td(written)), tr(td(height=space))], cellpadding=0)}>"


def _widest(arrow: Arrow) -> str:
    """In all frames of a film."""
    widths = [measure(line, 11) for line in [*label_lines(arrow), arrow.longest]]
    return f"{max(*widths, measure(arrow.detail, SMALL)) + 4:.0f}"


def label_lines(arrow: Arrow, most: int = 40) -> list[str]:
    """The lines of a label; long ones in parts of about the same length."""
    lines: list[str] = []
    for line in arrow.label.split("\n"):
        parts = -(-len(line) // most)
        lines += textwrap.wrap(line, len(line) // parts + 6) if parts > 1 else [line]
    return lines
