"""The picture model as a TikZ picture, laid out by the same engines, for papers: `Picture.save("z.tex")`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from tinygrad_nn.view.renderers import latex, style
from tinygrad_nn.view.renderers.dot_source import label_lines
from tinygrad_nn.view.renderers.style import ROLES
from tinygrad_nn.view.scene import Edge, Grid, Node, PathTable, Row, Scene
from tinygrad_nn.view.text import number

__all__ = ["write"]

_DASHES = {"solid": "", "dashed": "dash pattern=on 4pt off 2.5pt", "dotted": "dash pattern=on 1pt off 2pt"}


def write(scene: Scene, laid_out: bytes) -> str:
    """A LaTeX document of the class standalone with the picture; `laid_out` is the engine's JSON."""
    places = _Places(json.loads(laid_out))
    lines = [f"\\definecolor{{{name}}}{{HTML}}{{{code[1:].upper()}}}" for name, code in sorted(_colors(scene).items())]
    lines.append("\\begin{tikzpicture}[x=1bp, y=1bp, >=stealth, font=\\sffamily\\footnotesize]")
    for group in scene.groups:
        if group.id in places.boxes:
            x0, y0, x1, y1 = places.boxes[group.id]
            lines.append(
                f"\\draw[rounded corners=4bp, {_color(style.SOFT)}] ({x0:g},{y0:g}) rectangle ({x1:g},{y1:g});"
            )
            lines.append(
                f"\\node[anchor=north west, {_color(style.QUIET)}] at ({x0:g},{y1:g}) {{{latex.escape(group.label)}}};"
            )
    for edge in scene.edges:
        lines += _edge(edge, places)
    for node in scene.nodes:
        lines += _node(node, places)
    below = places.bottom - 10
    if scene.table is not None:
        lines.append(f"\\node[anchor=north west, inner sep=0pt] (table) at (0,{below:g}) {{{_table(scene.table)}}};")
    for i, note in enumerate(scene.notes):
        at = f"[yshift=-{6 + 13 * i}bp]table.south west" if scene.table is not None else f"0,{below - 13 * i:g}"
        color = _color(style.BAD if note.bad else style.QUIET)
        lines.append(f"\\node[anchor=north west, inner sep=2pt, {color}] at ({at}) {{{latex.escape(note.text)}}};")
    lines.append("\\end{tikzpicture}")
    return latex.document("\n".join(lines), "tikz")


class _Places:
    """Where the engine put everything, in points, y upwards."""

    def __init__(self, data: dict[str, Any]):
        self.nodes: dict[str, tuple[float, float, float, float]] = {}
        self.boxes: dict[str, tuple[float, ...]] = {}
        self.edges: dict[str, tuple[list[tuple[float, float]], tuple[float, float] | None]] = {}
        for thing in data.get("objects", ()):
            if "pos" in thing:
                x, y = map(float, thing["pos"].rstrip("!").split(","))
                self.nodes[thing["name"]] = x, y, float(thing["width"]) * 72, float(thing["height"]) * 72
            elif "bb" in thing:
                self.boxes[thing["name"].removeprefix("cluster_")] = tuple(map(float, thing["bb"].split(",")))
        for edge in data.get("edges", ()):
            label = tuple(map(float, edge["lp"].split(","))) if "lp" in edge else None
            self.edges[edge["id"]] = _curve(edge["pos"]), label  # type: ignore[assignment]
        drawn = [y - h / 2 for _, y, _, h in self.nodes.values()] + [box[1] for box in self.boxes.values()]
        self.bottom = min(drawn, default=0.0)


def _curve(pos: str) -> list[tuple[float, float]]:
    """The points of a spline, from its tail to the tip of its arrow."""
    start: list[tuple[float, float]] = []
    end: list[tuple[float, float]] = []
    points: list[tuple[float, float]] = []
    for word in pos.split():
        x, y = map(float, word.removeprefix("s,").removeprefix("e,").split(","))
        (start if word[0] == "s" else end if word[0] == "e" else points).append((x, y))
    return [*start, *points, *end]


def _colors(scene: Scene) -> dict[str, str]:
    codes = {style.SOFT, style.QUIET, style.INK, style.BAD, style.GOOD, style.PAPER}
    codes |= {part for role in ROLES.values() for part in (role.line, role.fill)}
    codes |= {part for k in range(1, 1 + len(style.LANES)) for part in (style.lane(k).line, style.lane(k).text)}
    return {_color(code): code for code in codes}


def _color(code: str) -> str:
    return f"c{code[1:].upper()}"


# --- nodes -----------------------------------------------------------------------------------------------------------


def _node(node: Node, places: _Places) -> Iterator[str]:
    x, y, w, h = places.nodes[node.id]
    role = ROLES[node.role]
    if node.form == "text":
        paper = "fill=white, " if node.kind == "label" else ""
        ink = style.lane(node.lane).text if node.lane else style.QUIET if node.faint else style.INK
        body = "\\\\".join(latex.escape(line) for line in node.title.split("\n"))
        yield f"\\node[{paper}inner sep=1pt, align=center, {_color(ink)}] at ({x:g},{y:g}) {{{body}}};"
        return
    form = "circle, inner sep=0pt" if node.form in ("circle", "sign") else "rectangle"
    border = {"square": "", "dashed": ", rounded corners=4bp, dashed", "double": ", rounded corners=4bp, double"}
    look = "" if form.startswith("circle") else border.get(role.border, ", rounded corners=4bp")
    look = ", dashed" if node.blocked else look
    yield (
        f"\\node[{form}, draw={_color(role.line)}, fill={_color(role.fill)}, line width={role.width:g}bp{look}, "
        f"minimum width={w:g}bp, minimum height={h:g}bp] at ({x:g},{y:g}) {{{_body(node)}}};"
    )


def _body(node: Node) -> str:
    rows = [f"{latex.escape(row.label)} & {_value(row)}" for row in node.rows]
    if not rows:
        return f"\\textbf{{{latex.escape(node.title)}}}" if node.title else ""
    word = ROLES[node.role].word if node.form == "card" else ""
    role = f" {{\\tiny {word}}}" if word else ""
    title = [f"\\multicolumn{{2}}{{@{{}}l@{{}}}}{{\\textbf{{{latex.escape(node.title)}}}{role}}}"] if node.title else []
    note = [f"\\multicolumn{{2}}{{@{{}}l@{{}}}}{{{latex.escape(node.note)}}}"] if node.note else []
    return "\\begin{tabular}{@{}l@{\\ }l@{}}" + "\\\\".join([*title, *rows, *note]) + "\\end{tabular}"


def _value(row: Row) -> str:
    if row.grid is not None:
        return f"{_heat(row.grid)} {latex.escape(row.text)}"
    text = latex.escape(row.text)
    text = f"\\textbf{{{text}}}" if row.strong else text
    return f"\\textcolor{{{_color(style.BAD)}}}{{{text}}}" if row.bad else text


def _heat(grid: Grid) -> str:
    """A heat-map of coloured squares; numbers where there are few."""
    if grid.exact and len(grid.cells) <= 4 and len(grid.cells[0]) <= 4:
        lines = ["&".join(latex.escape(number(x)) for x in line) for line in grid.cells]
        return (
            "$\\left(\\vcenter{\\hbox{\\begin{tabular}{"
            + "r" * len(grid.cells[0])
            + "}"
            + "\\\\".join(lines)
            + "\\end{tabular}}}\\right)$"
        )
    lines = [
        "\\hbox{"
        + "".join(f"\\textcolor[HTML]{{{style.tint(x, grid.scale)[1:].upper()}}}{{\\rule{{7bp}}{{7bp}}}}" for x in line)
        + "}"
        for line in grid.cells
    ]
    return f"$\\vcenter{{\\offinterlineskip{''.join(lines)}}}$"


# --- edges -----------------------------------------------------------------------------------------------------------


def _edge(edge: Edge, places: _Places) -> Iterator[str]:
    points, label = places.edges[edge.id]
    lanes = [style.lane(k) for k in edge.lanes]
    for i, lane in enumerate(lanes or [None]):
        color = lane.line if lane else style.BAD if edge.bad else style.SOFT if edge.faint else style.QUIET
        dash = (
            _DASHES[lane.dot]
            if lane
            else {"constant": "dashed", "negative": "dashed", "view": "dashed", "blocked": "dotted"}.get(edge.kind, "")
        )
        width = 1.8 if lane else 0.8 + 5 * edge.weight
        arrow = "<-" if edge.kind == "sends" else "->"
        options = ", ".join(part for part in (arrow, _color(color), f"line width={width:g}bp", dash) if part)
        yield f"\\draw[{options}] {_path(_shifted(points, 2.0 * (i - (len(lanes) - 1) / 2) if lanes else 0.0))};"
    if label is not None:
        color = lanes[0].text if len(lanes) == 1 else style.INK
        badges = " ".join(f"\\textbf{{{k}}}" for k in edge.lanes)
        body = "\\\\".join(latex.escape(line) for line in label_lines(edge))
        text = " ".join(part for part in (f"({badges})" if badges else "", body) if part)
        look = f"inner sep=0pt, align=center, font=\\sffamily\\scriptsize, {_color(color)}"
        yield f"\\node[{look}] at ({label[0]:g},{label[1]:g}) {{{text}}};"


def _shifted(points: list[tuple[float, float]], by: float) -> list[tuple[float, float]]:
    (x0, y0), (x1, y1) = points[0], points[-1]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    return [(x - (y1 - y0) / length * by, y + (x1 - x0) / length * by) for x, y in points]


def _path(points: list[tuple[float, float]]) -> str:
    def at(p: tuple[float, float]) -> str:
        return f"({p[0]:.2f},{p[1]:.2f})"

    curve, rest = points[:1], points[1:]
    text = at(curve[0])
    while len(rest) >= 3:
        a, b, c = rest[:3]
        text += f" .. controls {at(a)} and {at(b)} .. {at(c)}"
        rest = rest[3:]
    return text + "".join(f" -- {at(p)}" for p in rest)


# --- the table -------------------------------------------------------------------------------------------------------


def _table(table: PathTable) -> str:
    lines = [f"\\multicolumn{{5}}{{@{{}}l}}{{\\textbf{{{latex.escape(table.heading)}}}}}"]
    for row in table.rows:
        color = _color(style.lane(row.number).text if row.number else style.QUIET)
        mark = f"\\textbf{{{latex.escape(row.mark or str(row.number))}}}" if row.number or row.mark else ""
        value = _heat(row.grid) if row.grid is not None else latex.escape(row.product)
        cells = [mark, latex.escape(row.nodes), latex.escape(row.factors), "=", value, latex.escape(row.share)]
        lines.append(" & ".join(f"\\color{{{color}}}{cell}" for cell in cells))
    if table.total:
        value = _heat(table.grid) if table.grid is not None else f"\\textbf{{{latex.escape(table.total)}}}"
        mark = {True: r"$\surd$ ", False: r"$\times$ ", None: ""}[table.ok]
        color = _color(style.BAD if table.ok is False else style.QUIET)
        check = f"\\color{{{color}}}{mark}{latex.escape(table.check)}"
        lines.append(f" & & \\hfill\\textbf{{{latex.escape(table.sum)}}} & = & {value} & {check}")
    lines += [f"\\multicolumn{{6}}{{@{{}}l}}{{{latex.escape(text)}}}" for text in table.rest]
    return "\\begin{tabular}{@{}llllll@{}}" + "\\\\\n".join(lines) + "\\end{tabular}"
