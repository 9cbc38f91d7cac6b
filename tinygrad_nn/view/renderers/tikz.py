"""A scene as a TikZ picture, laid out by the same engines, for papers: `Picture.save("z.tex")`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from tinygrad_nn.view.renderers import latex, style
from tinygrad_nn.view.renderers.dot_labels import label_lines
from tinygrad_nn.view.renderers.style import Border
from tinygrad_nn.view.scene import Arrow, Box, Cluster, Field, Grid, Note, Scene, Shape, Table
from tinygrad_nn.view.text import number

__all__ = ["write"]

_DASHES = {"solid": "", "dashed": "dash pattern=on 4pt off 2.5pt", "dotted": "dash pattern=on 1pt off 2pt"}
_ROUNDED = "rounded corners=4bp"
_BORDERS = {Border.ROUNDED: _ROUNDED, Border.SQUARE: "", Border.DASHED: _ROUNDED, Border.DOUBLE: f"{_ROUNDED}, double"}

Point = tuple[float, float]


def write(scene: Scene, laid_out: bytes) -> str:
    """A LaTeX document of the class standalone with the picture; `laid_out` is the engine's JSON."""
    layout = _Layout(json.loads(laid_out))
    lines = [line for cluster in scene.clusters if cluster.id in layout.frames for line in _frame(cluster, layout)]
    lines += [line for arrow in scene.arrows for line in _arrow(arrow, *layout.arrows[arrow.id])]
    lines += [_box(box, *layout.boxes[box.id]) for box in scene.boxes]
    if scene.table is not None:
        table = _table(scene.table)
        lines.append(f"\\node[anchor=north west, inner sep=0pt] (table) at (0,{layout.below:g}) {{{table}}};")
    for i, note in enumerate(scene.notes):
        under_table = f"[yshift=-{6 + 13 * i}bp]table.south west"
        lines.append(_note(note, under_table if scene.table is not None else f"0,{layout.below - 13 * i:g}"))
    start = "\\begin{tikzpicture}[x=1bp, y=1bp, >=stealth, font=\\sffamily\\footnotesize]"
    return latex.document("\n".join([*_color_names("\n".join(lines)), start, *lines, "\\end{tikzpicture}"]), "tikz")


class _Layout:
    """Where the engine put everything, in points, y upwards."""

    def __init__(self, data: dict[str, Any]):
        self.boxes: dict[str, tuple[float, float, float, float]] = {}  # middle, width, height
        self.frames: dict[str, list[float]] = {}  # left, bottom, right, top
        self.arrows: dict[str, tuple[list[Point], list[float]]] = {}  # with the place of the label
        for thing in data.get("objects", ()):
            if "pos" in thing:
                x, y = _numbers(thing["pos"].rstrip("!"))
                self.boxes[thing["name"]] = x, y, float(thing["width"]) * 72, float(thing["height"]) * 72
            elif "bb" in thing:
                self.frames[thing["name"].removeprefix("cluster_")] = _numbers(thing["bb"])
        for edge in data.get("edges", ()):
            self.arrows[edge["id"]] = _curve(edge["pos"]), _numbers(edge["lp"]) if "lp" in edge else []
        bottoms = [y - h / 2 for _, y, _, h in self.boxes.values()] + [frame[1] for frame in self.frames.values()]
        self.below = min(bottoms, default=0.0) - 10


def _numbers(text: str) -> list[float]:
    return [float(x) for x in text.split(",")]


def _curve(pos: str) -> list[Point]:
    """The points of a spline, from its tail to the tip of its arrow."""
    start: list[Point] = []
    end: list[Point] = []
    points: list[Point] = []
    for word in pos.split():
        x, y = _numbers(word.removeprefix("s,").removeprefix("e,"))
        (start if word[0] == "s" else end if word[0] == "e" else points).append((x, y))
    return [*start, *points, *end]


def _color(code: str) -> str:
    return f"c{code[1:].upper()}"


def _color_names(text: str) -> list[str]:
    """The definitions of all colours that a text uses."""
    codes = sorted(set(re.findall(r"\bc([\dA-F]{6})\b", text)))
    return [f"\\definecolor{{c{code}}}{{HTML}}{{{code}}}" for code in codes]


def _colored(text: str, code: str) -> str:
    return f"\\textcolor{{{_color(code)}}}{{{text}}}"


def _bold(text: str) -> str:
    return f"\\textbf{{{text}}}"


def _lines(text: str) -> str:
    return "\\\\".join(latex.escape(line) for line in text.split("\n"))


# --- frames and boxes ------------------------------------------------------------------------------------------------


def _frame(cluster: Cluster, layout: _Layout) -> Iterator[str]:
    left, bottom, right, top = layout.frames[cluster.id]
    corners = f"({left:g},{bottom:g}) rectangle ({right:g},{top:g})"
    yield f"\\draw[{_ROUNDED}, {_color(style.SOFT)}] {corners};"
    label = latex.escape(cluster.label)
    yield f"\\node[anchor=north west, {_color(style.QUIET)}] at ({left:g},{top:g}) {{{label}}};"


def _box(box: Box, x: float, y: float, w: float, h: float) -> str:
    look, at = style.box_look(box), f"({x:g},{y:g})"
    if box.shape in (Shape.TEXT, Shape.LABEL):
        paper = "fill=white, " if box.shape is Shape.LABEL else ""
        return f"\\node[{paper}inner sep=1pt, align=center, {_color(look.ink)}] at {at} {{{_lines(box.title)}}};"
    circle = box.shape is not Shape.CARD
    options = [
        "circle, inner sep=0pt" if circle else "rectangle",
        f"draw={_color(look.line)}, fill={_color(look.fill)}, line width={look.width:g}bp",
        "" if circle else _BORDERS[look.border],
        "dashed" if look.dashed else "",
        f"minimum width={w:g}bp, minimum height={h:g}bp",
    ]
    return f"\\node[{', '.join(filter(None, options))}] at {at} {{{_body(box)}}};"


def _body(box: Box) -> str:
    """Title, fields and note, one below the other."""
    rows = [f"{latex.escape(field.label)} & {_value(field)}" for field in box.fields]
    title = _bold(latex.escape(box.title)) if box.title else ""
    if not rows:
        return title
    word = style.role_look(box.role).word if box.shape is Shape.CARD else ""
    title += f" {{\\tiny {word}}}" if word else ""
    wide = [f"\\multicolumn{{2}}{{@{{}}l@{{}}}}{{{part}}}" if part else "" for part in (title, latex.escape(box.note))]
    lines = [wide[0], *rows, wide[1]]
    return "\\begin{tabular}{@{}l@{\\ }l@{}}" + "\\\\".join(filter(None, lines)) + "\\end{tabular}"


def _value(field: Field) -> str:
    text = latex.escape(field.text)
    if field.grid is not None:
        return f"{_heat_map(field.grid)} {text}"
    text = _bold(text) if field.strong else text
    return _colored(text, style.BAD) if field.bad else text


def _heat_map(grid: Grid) -> str:
    """Coloured squares below each other; numbers where there are few."""
    if grid.spelled:
        rows = "\\\\".join("&".join(latex.escape(number(x)) for x in line) for line in grid.cells)
        columns = "r" * len(grid.cells[0])
        return f"$\\left(\\vcenter{{\\hbox{{\\begin{{tabular}}{{{columns}}}{rows}\\end{{tabular}}}}}}\\right)$"
    lines = []
    for line in grid.cells:
        codes = (style.tint(x, grid.scale)[1:].upper() for x in line)
        squares = "".join(f"\\textcolor[HTML]{{{code}}}{{\\rule{{7bp}}{{7bp}}}}" for code in codes)
        lines.append(f"\\hbox{{{squares}}}")
    return f"$\\vcenter{{\\offinterlineskip{''.join(lines)}}}$"


# --- arrows ----------------------------------------------------------------------------------------------------------


def _arrow(arrow: Arrow, points: list[Point], place: list[float]) -> Iterator[str]:
    """A line for each path, side by side, and the label."""
    look = style.arrow_look(arrow)
    head, middle = "<-" if look.back else "->", (len(look.strokes) - 1) / 2
    for i, (color, dash) in enumerate(look.strokes):
        options = [head, _color(color), f"line width={look.width:g}bp", _DASHES[dash]]
        yield f"\\draw[{', '.join(filter(None, options))}] {_path(_shifted(points, 2.0 * (i - middle)))};"
    if place:
        badges = " ".join(_bold(str(k)) for k in arrow.lanes)
        body = _lines("\n".join(label_lines(arrow)))
        text = " ".join(part for part in (f"({badges})" if badges else "", body) if part)
        options = ["inner sep=0pt, align=center, font=\\sffamily\\scriptsize", _color(look.ink)]
        yield f"\\node[{', '.join(options)}] at ({place[0]:g},{place[1]:g}) {{{text}}};"


def _shifted(points: list[Point], by: float) -> list[Point]:
    (x0, y0), (x1, y1) = points[0], points[-1]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    return [(x - (y1 - y0) / length * by, y + (x1 - x0) / length * by) for x, y in points]


def _path(points: list[Point]) -> str:
    first, *rest = (f"({x:.2f},{y:.2f})" for x, y in points)
    curves = [f" .. controls {a} and {b} .. {c}" for a, b, c in zip(rest[::3], rest[1::3], rest[2::3], strict=False)]
    straight = rest[3 * len(curves) :]
    return first + "".join(curves) + "".join(f" -- {point}" for point in straight)


# --- what stands under the picture -----------------------------------------------------------------------------------


def _note(note: Note, at: str) -> str:
    color = _color(style.BAD if note.bad else style.QUIET)
    return f"\\node[anchor=north west, inner sep=2pt, {color}] at ({at}) {{{latex.escape(note.text)}}};"


def _table(table: Table) -> str:
    lines = [f"\\multicolumn{{5}}{{@{{}}l}}{{{_bold(latex.escape(table.heading))}}}"]
    for row in table.rows:
        mark = row.mark or str(row.number or "")
        value = latex.escape(row.product) if row.grid is None else _heat_map(row.grid)
        words = [latex.escape(text) for text in (row.label, row.factors)]
        cells = [_bold(latex.escape(mark)) if mark else "", *words, "=", value, latex.escape(row.share)]
        color = _color(style.lane(row.number).text if row.number else style.QUIET)
        lines.append(" & ".join(f"\\color{{{color}}}{cell}" for cell in cells))
    if table.total:
        value = _bold(latex.escape(table.total)) if table.grid is None else _heat_map(table.grid)
        mark = {True: r"$\surd$ ", False: r"$\times$ ", None: ""}[table.ok]
        color = _color(style.BAD if table.ok is False else style.QUIET)
        check = f"\\color{{{color}}}{mark}{latex.escape(table.check)}"
        lines.append(f" & & \\hfill{_bold(latex.escape(table.sum))} & = & {value} & {check}")
    lines += [f"\\multicolumn{{6}}{{@{{}}l}}{{{latex.escape(text)}}}" for text in table.rest]
    return "\\begin{tabular}{@{}llllll@{}}" + "\\\\\n".join(lines) + "\\end{tabular}"
