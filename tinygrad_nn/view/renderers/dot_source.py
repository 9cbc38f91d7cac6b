"""The picture model as a DOT text that Graphviz and graphviz-pure lay out alike."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from tinygrad_nn.view.renderers import style
from tinygrad_nn.view.renderers.style import BAD, FONT, GOOD, INK, PAPER, QUIET, ROLES, SOFT
from tinygrad_nn.view.scene import Edge, Grid, Group, Node, PathRow, PathTable, Row, Scene
from tinygrad_nn.view.text import dot_string, html_text, measure, number

__all__ = ["write"]

_SPAN = 9  # columns of a value: what a box is wider than its rows goes to all columns alike, and so to the right
_BARE = 'border="0" cellborder="0" cellspacing="0"'


def write(scene: Scene) -> str:
    """The DOT text of a picture: the same picture, the same bytes."""
    return "\n".join(_lines(scene)) + "\n"


def _lines(scene: Scene) -> Iterator[str]:
    yield "digraph picture {"
    places = "layout=neato inputscale=72 splines=line outputorder=edgesfirst nodesep=0.35"
    ranks = f"rankdir={scene.direction} nodesep=0.3 ranksep=0.45"
    yield (
        f"  graph [{places if any(node.at for node in scene.nodes) else ranks} bgcolor={_q(PAPER)} pad=0.2 "
        f"fontname={FONT} fontcolor={_q(INK)} labelloc=b labeljust=l tooltip={dot_string(scene.title)} charset=utf8]"
    )
    yield f"  node [shape=plain fontname={FONT} fontsize=12 fontcolor={_q(INK)}]"
    yield f"  edge [fontname={FONT} fontsize=11 fontcolor={_q(INK)} color={_q(QUIET)} arrowsize=0.7 penwidth=1.2]"
    foot = _foot(scene)
    if foot:
        yield f"  label={foot}"
    for node in scene.nodes:
        if not node.group:
            yield f"  {_node(node)}"
    for group in scene.groups:
        if not group.parent:
            yield from _frame(scene, group, "  ")
    by_id = {node.id: node for node in scene.nodes}
    for edge in scene.edges:
        yield f"  {_edge(edge, by_id[edge.source], by_id[edge.target])}"
    yield "}"


def _frame(scene: Scene, group: Group, indent: str) -> Iterator[str]:
    """A frame with its nodes, and the frames in it."""
    fill = "#ffffff" if group.parent else "#f8fafc"
    yield f"{indent}subgraph cluster_{group.id} {{"
    yield (
        f"{indent}  graph [label={dot_string(group.label)} tooltip={dot_string(group.tooltip or group.label)} "
        f"id={group.id} labelloc=t labeljust=l fontsize=11 fontcolor={_q(QUIET)} "
        f'style="rounded,filled" fillcolor="{fill}" pencolor={_q(SOFT)} margin=10]'
    )
    for node in scene.nodes:
        if node.group == group.id:
            yield f"{indent}  {_node(node)}"
    for inner in scene.groups:
        if inner.parent == group.id:
            yield from _frame(scene, inner, indent + "  ")
    yield f"{indent}}}"


def _q(text: str) -> str:
    return f'"{text}"'


# --- nodes -----------------------------------------------------------------------------------------------------------


def _node(node: Node) -> str:
    fields = [f"id={node.id}", f"class={_q(node.role)}", f"tooltip={dot_string(node.tooltip)}"]
    if node.form in ("circle", "sign"):
        role = ROLES[node.role]
        line = "#94a3b8" if node.faint or node.blocked else role.line
        width = 2.6 if node.strong else max(1.2, role.width)
        fields += [
            f"shape={'doublecircle' if role.border == 'double' else 'circle'} fixedsize=true",
            f"width={_diameter(node):g} penwidth={width:g}",
            f"color={_q(line)} fillcolor={_q(PAPER)}",
            f"style={_q('filled,dashed' if node.blocked else 'filled')}",
        ]
    if node.at:
        fields.append(f'pos="{node.at[0]:g},{node.at[1]:g}!"')
    write = {"circle": _circle, "sign": _circle, "text": _text}.get(node.form, _card)
    return f"{node.id} [{' '.join(fields)} label={write(node)}]"


def _card(node: Node) -> str:
    """A table: name or formula, then value, gradient and whatever else there is to say."""
    role = ROLES[node.role]
    line = style.lane(2).line if node.strong else QUIET if node.blocked else role.line
    width = role.width + 1.6 * node.strong
    form = {"square": "", "dashed": ' style="rounded,dashed"'}.get(role.border, ' style="rounded"')
    if node.blocked:
        form = ' style="rounded,dashed"'
    body = f"<tr>{_title(node, role)}</tr>"
    if node.rows:
        rows = "".join(_row(row) for row in node.rows)
        body += f'<hr/><tr><td align="left" cellpadding="2"><table {_BARE} cellpadding="3">{rows}</table></td></tr>'
    if node.note:
        body += f"<hr/><tr>{_cell(node.note, size=11, padding=4)}</tr>"
    table = (
        f'<table border="{width:g}" cellborder="0" cellspacing="0" cellpadding="0" color="{line}" '
        f'bgcolor="{style.FIRED if node.faint else role.fill}"{form}>{body}</table>'
    )
    if role.border == "double":
        table = (
            f'<table border="{role.width:g}" cellborder="0" cellspacing="0" cellpadding="2" color="{line}" '
            f'style="rounded"><tr><td>{table}</td></tr></table>'
        )
    return f"<{table}>"


def _title(node: Node, role: style.Role) -> str:
    word = _font(f"  {role.word}", size=9, color=role.line) if role.word else ""
    width = measure(node.title, 13, bold=True) + measure(f"  {role.word}", 9)
    return f'<td align="left" cellpadding="5" width="{width + 10:.0f}"><b>{_font(node.title, size=13)}</b>{word}</td>'


def _row(row: Row) -> str:
    if not row.label:
        return f"<tr>{_cell(row.text, color=BAD if row.bad else INK, bold=row.strong, span=_SPAN + 1)}</tr>"
    label = _cell(row.label, size=11, color=QUIET, bold=row.strong)
    if row.grid is not None:
        scale = _cell(row.text, size=10, color=QUIET, padding=2) if row.text else ""
        stretch = "<td></td>" * (_SPAN - 2)  # takes the room that is left
        cells = f'<td align="left">{grid(row.grid)}</td>{scale}{stretch}'
        content = f'<table {_BARE} cellpadding="2"><tr>{cells}</tr></table>'
        return f'<tr>{label}<td align="left" cellpadding="1" colspan="{_SPAN}">{content}</td></tr>'
    ink = BAD if row.bad else INK
    mark = badge(row.lane, row.mark) if row.mark else ""
    span = _SPAN - 1 if mark else _SPAN
    return f"<tr>{label}{mark}{_cell(row.text, color=ink, bold=row.strong, span=span, room=row.room)}</tr>"


def _cell(
    text: str,
    size: int = 12,
    color: str = INK,
    padding: int = 3,
    bold: bool = False,
    align: str = "left",
    span: int = 1,
    room: float = 0.0,
) -> str:
    """A cell of one line, wide enough for it on any machine.

    Bold and plain cells of one row stand on different lines, by a quirk of Graphviz: a row is all one or the other.
    """
    body = _font(text, size, color)
    width = max(measure(text, size, bold), room) + 2 * padding
    body = f"<b>{body}</b>" if bold else body
    spanned = f' colspan="{span}"' if span > 1 else ""
    return f'<td align="{align}" cellpadding="{padding}" width="{width:.0f}"{spanned}>{body}</td>'


def grid(heat: Grid, size: int = 7) -> str:
    """A heat-map as a table of coloured cells; the numbers themselves where there are few."""
    if heat.exact and len(heat.cells) <= 4 and len(heat.cells[0]) <= 4:
        return _numbers(heat)
    width, height = size * len(heat.cells[0]) + 2, size * len(heat.cells) + 2
    square = f'fixedsize="true" width="{size}" height="{size}"'
    rows = []
    for line in heat.cells:
        cells = (f'<td bgcolor="{style.tint(x, heat.scale)}" {square}></td>' for x in line)
        rows.append(f"<tr>{''.join(cells)}</tr>")
    frame = f'border="1" color="{SOFT}" fixedsize="true" width="{width}" height="{height}"'
    return f'<table {frame} cellborder="0" cellspacing="0" cellpadding="0">{"".join(rows)}</table>'


def _numbers(heat: Grid) -> str:
    rows = []
    for line in heat.cells:
        cells = []
        for x in line:
            ink = PAPER if abs(x) > 0.62 * heat.scale or x != x else INK
            text = _font(number(x), size=10, color=ink)
            cells.append(f'<td bgcolor="{style.tint(x, heat.scale)}" align="left" cellpadding="3">{text}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table border="1" color="{SOFT}" cellborder="0" cellspacing="1" cellpadding="0">{"".join(rows)}</table>'


def _diameter(node: Node) -> float:
    """In inches; wide enough for what is written in it."""
    if node.form == "sign":
        return 0.42
    widest = max((measure(f"{row.label} {row.text}", 11) for row in node.rows), default=0.0) + 14
    return round(max(0.8 if len(node.rows) < 2 else 1.0, widest / 72), 2)


def _circle(node: Node) -> str:
    ink = QUIET if node.faint or node.blocked else INK
    if not node.rows:
        return f"<<b>{_font(node.title, size=13, color=ink)}</b>>"
    rows = "".join(
        f"<tr>{_cell(row.label, 11, QUIET, padding=1, bold=row.strong)}"
        f"{_cell(row.text, 11, BAD if row.bad else ink, padding=1, bold=row.strong)}</tr>"
        for row in node.rows
    )
    return f"<<table {_BARE}>{rows}</table>>"


def _text(node: Node) -> str:
    """A line or two that stand by themselves; on an arrow they get paper behind them."""
    ink = style.lane(node.lane).text if node.lane else QUIET if node.faint else INK
    rows = "".join(
        f"<tr>{_cell(line, size=11, color=ink, padding=1, bold=node.strong, align='center')}</tr>"
        for line in node.title.split("\n")
    )
    paper = f' bgcolor="{PAPER}"' if node.kind == "label" else ""
    return f"<<table {_BARE}{paper}>{rows}</table>>"


def _font(text: str, size: int | None = None, color: str | None = None) -> str:
    attributes = (f' point-size="{size}"' if size else "") + (f' color="{color}"' if color else "")
    body = html_text(text).replace("\\", "\\\\").replace("  ", "&#160;&#160;") or "&#160;"  # \\N would be the node's id
    return f"<font{attributes}>{body}</font>" if attributes else body


# --- edges -----------------------------------------------------------------------------------------------------------


def _edge(edge: Edge, source: Node, target: Node) -> str:
    fields = [f"id={edge.id}", f"class={_q(' '.join([edge.kind, *(f'path{k}' for k in edge.lanes)]))}"]
    ink = INK
    if edge.bad:
        fields += [f"color={_q(BAD)}", "penwidth=2"]
        ink = BAD
    elif edge.kind == "constant":
        fields += [f"color={_q('#94a3b8')}", "style=dashed", "arrowhead=open", "arrowsize=0.6"]
        ink = QUIET
    elif edge.kind == "view":
        fields += ["style=dashed", "arrowhead=open"]
    elif edge.kind == "blocked":
        fields += [f"color={_q('#94a3b8')}", "style=dotted"]
        ink = QUIET
    elif edge.kind == "negative":
        fields += [f"color={_q(SOFT if edge.faint else QUIET)}", "style=dashed"]
    elif edge.lanes:
        lanes = [style.lane(k) for k in edge.lanes]
        fields += [f"color={_q(':'.join(s.line for s in lanes))}", f"penwidth={2 if len(lanes) == 1 else 1.8}"]
        if len(lanes) == 1:
            fields.append(f"style={'solid' if edge.kind == 'sends' else lanes[0].dot}")
            ink = lanes[0].text
        if edge.kind == "sends":
            fields += ["dir=both", "arrowhead=none", "arrowtail=normal"]
    elif edge.faint:
        fields += [f"color={_q(SOFT)}"]
        ink = QUIET
    if edge.weight and not edge.lanes:
        fields.append(f"penwidth={0.8 + 5 * edge.weight:.2f}")
    if edge.tooltip:
        fields += [f"tooltip={dot_string(edge.tooltip)}", f"labeltooltip={dot_string(edge.tooltip)}"]
    if edge.label or (edge.lanes and not target.at):
        fields.append(f"label={_edge_label(edge, ink)}")
    if source.group != target.group and target.group:
        fields.append("minlen=2")  # leaves room for the parameters of the next frame, so that frames stand side by side
    if source.role in ("operation", "layer") and (source.group or target.group):
        fields.append("weight=8")  # the way through the network is straight, and its parameters come from the side
    return f"{edge.source} -> {edge.target} [{' '.join(fields)}]"


def _edge_label(edge: Edge, ink: str) -> str:
    """The numbers of the paths, on their colours, and the local derivative."""
    cells = [badge(k) for k in edge.lanes] if edge.kind == "flow" else []
    if edge.label:
        lines = "<br/>".join(_font(line, size=11, color=ink) for line in label_lines(edge))
        if edge.detail:
            lines += f"<br/>{_font(edge.detail, size=8, color=QUIET)}"
        cells.append(f'<td align="left" cellpadding="2" width="{edge.room + 4:.0f}">{lines}</td>')
    return f'<<table border="0" cellborder="0" cellspacing="1" cellpadding="1"><tr>{"".join(cells)}</tr></table>>'


def label_lines(edge: Edge, most: int = 40) -> list[str]:
    """The lines of a label; long ones in parts of about the same length."""
    lines: list[str] = []
    for line in edge.label.split("\n"):
        parts = -(-len(line) // most)
        lines += textwrap.wrap(line, len(line) // parts + 6) if parts > 1 else [line]
    return lines


def badge(k: int, mark: str = "") -> str:
    """The number of a path, or a mark, white on the colour of the path; not stretched by what stands beside it."""
    size = f'width="{max(13, measure(mark, 9, bold=True) + 6):.0f}" height="15"'
    ink = ROLES["parameter"].line if k < 0 else style.lane(k).text if k else QUIET
    cell = f'<td bgcolor="{ink}" {size}><b>{_font(mark or str(k), size=9, color=PAPER)}</b></td>'
    return f'<td align="left"><table {_BARE} cellpadding="0" fixedsize="true" {size}><tr>{cell}</tr></table></td>'


# --- what stands under the picture -----------------------------------------------------------------------------------


def _foot(scene: Scene) -> str:
    parts = _table(scene.table) if scene.table else []
    for note in scene.notes:
        for i, line in enumerate(textwrap.wrap(note.text, 110)):
            mark = f"<b>{_font('! ' if not i else '  ', size=12, color=BAD)}</b>" if note.bad else ""
            text = _font(line, size=12, color=BAD if note.bad else QUIET)
            parts.append(f'<tr><td align="left" cellpadding="2">{mark}{text}</td></tr>')
    return f'<<table {_BARE} cellpadding="2">{"".join(parts)}</table>>' if parts else ""


def _table(table: PathTable) -> list[str]:
    parts = [f"<tr>{_cell(table.heading, size=14, bold=True)}</tr>"]
    if table.rows:
        rows = "".join(_path(row) for row in table.rows)
        body = f'<table {_BARE} cellpadding="3" color="{SOFT}">{rows}{_total(table)}</table>'
        parts.append(f'<tr><td align="left">{body}</td></tr>')
    parts += [f"<tr>{_cell(text, color=QUIET, padding=2)}</tr>" for text in table.rest]
    return parts


def _path(row: PathRow) -> str:
    """A row of the table; what is left out (number 0) has no colour."""
    look, ink = style.lane(row.number), style.lane(row.number).text if row.number else QUIET
    mark = badge(row.number, row.mark) if row.number or row.mark else ""
    cells = [
        f'<td align="left"><table {_BARE} cellpadding="1"><tr>{mark}</tr></table></td>' if mark else "<td></td>",
        _cell(look.sample, color=look.line) if row.number and not row.mark else "<td></td>",
        _cell(row.nodes, size=13, color=ink, padding=4),
        _cell(row.factors, size=13, color=ink, padding=4),
        _cell("=", size=13, color=ink),
        f'<td align="left">{grid(row.grid)}</td>' if row.grid else _cell(_sign(row.product), size=13, color=ink),
    ]
    if row.share:
        cells.append(_cell(row.share, color=QUIET))
    return f"<tr>{''.join(cells)}</tr>"


def _total(table: PathTable) -> str:
    if not table.total:
        return ""
    ink = BAD if table.ok is False else INK
    signs = {True: ("✓", GOOD), False: ("✗", BAD)}
    sign = f"<b>{_font(f' {signs[table.ok][0]} ', 14, signs[table.ok][1])}</b>" if table.ok is not None else ""
    check = f"{sign}{_font(table.check, color=BAD if table.ok is False else QUIET)}"
    value = f'<td align="left">{grid(table.grid)}</td>' if table.grid else _cell(_sign(table.total), 13, ink, bold=True)
    equation = _cell(table.sum, 13, ink, bold=True, align="right") + _cell("=", 13, ink, bold=True) + value
    check = f'<td align="left" width="{measure(table.check) + 24:.0f}">{check}</td>'
    return f"<hr/><tr><td></td><td></td><td></td>{equation}{check}</tr>"


def _sign(text: str) -> str:
    """Positive numbers moved by the width of a minus sign, so that digits stand below digits."""
    return text if text.startswith("−") else f"\u2007{text}"
