"""The picture model as a DOT text that Graphviz and graphviz-pure lay out alike."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_nn.view import style
from tinygrad_nn.view.model import Edge, Grid, Node, PathRow, PathTable, Row, Scene
from tinygrad_nn.view.style import BAD, FONT, GOOD, INK, PAPER, QUIET, ROLES, SOFT
from tinygrad_nn.view.text import dot_string, html_text, number

__all__ = ["write"]


def write(scene: Scene) -> str:
    """The DOT text of a picture: the same picture, the same bytes."""
    return "\n".join(_lines(scene)) + "\n"


def _lines(scene: Scene) -> Iterator[str]:
    yield "digraph picture {"
    yield (
        f"  graph [rankdir={scene.direction} bgcolor={_q(PAPER)} pad=0.2 nodesep=0.3 ranksep=0.45 fontname={FONT} "
        f"fontcolor={_q(INK)} labelloc=b labeljust=l tooltip={dot_string(scene.title)} charset=utf8]"
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
        yield f"  subgraph cluster_{group.id} {{"
        yield (
            f"    graph [label={dot_string(group.label)} id={group.id} tooltip={dot_string(group.tooltip or group.label)} "
            f'labelloc=t labeljust=l fontsize=11 fontcolor={_q(QUIET)} style="rounded,filled" fillcolor="#f8fafc" '
            f"pencolor={_q(SOFT)} margin=10]"
        )
        for node in scene.nodes:
            if node.group == group.id:
                yield f"    {_node(node)}"
        yield "  }"
    for column in scene.columns:
        yield f"  {{ rank=same; {'; '.join(column)} }}"
    for edge in scene.edges:
        yield f"  {_edge(edge)}"
    yield "}"


def _q(text: str) -> str:
    return f'"{text}"'


# --- nodes -----------------------------------------------------------------------------------------------------------------


def _node(node: Node) -> str:
    label = _circle(node) if node.form == "circle" else _card(node)
    shape = ""
    if node.form == "circle":
        role = ROLES[node.role]
        dashes = ' style="filled,dashed"' if node.blocked else " style=filled"
        pen = QUIET if node.blocked else role.line
        shape = (
            f" shape=circle margin=0.02 width=1 penwidth={max(1.2, role.width)} color={_q(pen)} "
            f"fillcolor={_q(role.fill)}{dashes}"
        )
    return f"{node.id} [id={node.id} class={_q(node.role)}{shape} tooltip={dot_string(node.tooltip)} label={label}]"


def _card(node: Node) -> str:
    """A table: name or formula, then value, gradient and whatever else there is to say."""
    role = ROLES[node.role]
    line = QUIET if node.blocked else role.line
    form = {"square": "", "dashed": ' style="rounded,dashed"'}.get(role.border, ' style="rounded"')
    if node.blocked:
        form = ' style="rounded,dashed"'
    parts = [_title(node, role)]
    parts += [_row(row) for row in node.rows]
    if node.note:
        parts.append(f"<hr/>{_wide(_font(node.note, size=11, color=INK), padding=4)}")
    body = "".join(parts)
    table = (
        f'<table border="{role.width:g}" cellborder="0" cellspacing="0" cellpadding="3" color="{line}" '
        f'bgcolor="{role.header if not node.rows else role.fill}"{form}>{body}</table>'
    )
    if role.border == "double":
        table = (
            f'<table border="{role.width:g}" cellborder="0" cellspacing="0" cellpadding="2" color="{line}" '
            f'style="rounded"><tr><td>{table}</td></tr></table>'
        )
    return f"<{table}>"


def _title(node: Node, role: style.Role) -> str:
    title = f"<b>{_font(node.title, size=13)}</b>"
    word = f"{_font('  ' + role.word, size=9, color=role.line)}" if role.word else ""
    line = f"{title}{word}"
    return _wide(line, padding=5) + ("<hr/>" if node.rows else "")


def _wide(content: str, padding: int = 3) -> str:
    return f'<tr><td colspan="2" align="left" balign="left" cellpadding="{padding}">{content}</td></tr>'


def _row(row: Row) -> str:
    label = f'<td align="left" cellpadding="3">{_font(row.label, size=11, color=QUIET)}</td>'
    if row.grid is not None:
        scale = f"<td>{_font(row.text, size=10, color=QUIET)}</td>" if row.text else ""
        content = f'<table border="0" cellborder="0" cellspacing="0" cellpadding="2"><tr><td>{grid(row.grid)}</td>{scale}</tr></table>'
        return f'<tr>{label}<td align="left" cellpadding="1">{content}</td></tr>'
    text = _font(row.text, color=BAD if row.bad else INK)
    return f'<tr>{label}<td align="left" cellpadding="3">{f"<b>{text}</b>" if row.strong else text}</td></tr>'


def grid(heat: Grid, size: int = 7) -> str:
    """A heat-map as a table of coloured cells; the numbers themselves where there are few."""
    spelled = heat.exact and len(heat.cells) <= 4 and len(heat.cells[0]) <= 4
    lines = []
    for line in heat.cells:
        cells = []
        for x in line:
            color = style.tint(x, heat.scale)
            if spelled:
                ink = PAPER if abs(x) > 0.62 * heat.scale or x != x else INK
                cells.append(f'<td bgcolor="{color}" align="left" cellpadding="3">{_font(number(x), size=10, color=ink)}</td>')
            else:
                cells.append(f'<td bgcolor="{color}" fixedsize="true" width="{size}" height="{size}"></td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    space = 1 if spelled else 0
    return (
        f'<table border="1" cellborder="0" cellspacing="{space}" cellpadding="0" color="{SOFT}">{"".join(lines)}</table>'
    )


def _circle(node: Node) -> str:
    lines = [f"<b>{_font(node.title, size=12)}</b>"] if node.title else []
    for row in node.rows:
        text = _font(f"{row.label} {row.text}".strip(), size=11, color=BAD if row.bad else INK)
        lines.append(f"<b>{text}</b>" if row.strong else text)
    return f"<{'<br/>'.join(lines)}>"


def _font(text: str, size: int | None = None, color: str | None = None) -> str:
    attributes = (f' point-size="{size}"' if size else "") + (f' color="{color}"' if color else "")
    body = html_text(text).replace("  ", "&#160;&#160;") or "&#160;"
    return f"<font{attributes}>{body}</font>" if attributes else body


# --- edges -----------------------------------------------------------------------------------------------------------------


def _edge(edge: Edge) -> str:
    fields = [f"id={edge.id}", f"class={_q(' '.join([edge.kind, *(f'path{k}' for k in edge.lanes)]))}"]
    ink = INK
    if edge.bad:
        fields += [f"color={_q(BAD)}", "penwidth=2"]
        ink = BAD
    elif edge.kind == "constant":
        fields += [f"color={_q('#94a3b8')}", "style=dashed", "arrowhead=open", "arrowsize=0.6"]
        ink = QUIET
    elif edge.kind == "blocked":
        fields += [f"color={_q('#94a3b8')}", "style=dotted"]
        ink = QUIET
    elif edge.lanes:
        lanes = [style.lane(k) for k in edge.lanes]
        fields += [f"color={_q(':'.join(s.line for s in lanes))}", f"penwidth={2 if len(lanes) == 1 else 1.8}"]
        if len(lanes) == 1:
            fields.append(f"style={lanes[0].dot}")
            ink = lanes[0].text
    elif edge.faint:
        fields += [f"color={_q(SOFT)}"]
        ink = QUIET
    if edge.weight:
        fields.append(f"penwidth={0.8 + 5 * edge.weight:.2f}")
    if edge.tooltip:
        fields += [f"tooltip={dot_string(edge.tooltip)}", f"labeltooltip={dot_string(edge.tooltip)}"]
    if edge.label or edge.lanes:
        fields.append(f"label={_edge_label(edge, ink)}")
    if edge.kind == "back":
        fields.append("constraint=false")
    return f"{edge.source} -> {edge.target} [{' '.join(fields)}]"


def _edge_label(edge: Edge, ink: str) -> str:
    """The numbers of the paths, on their colours, and the local derivative."""
    cells = [badge(k) for k in edge.lanes]
    if edge.label:
        lines = "<br/>".join(_font(line, size=11, color=ink) for line in edge.label.split("\n"))
        cells.append(f'<td align="left" cellpadding="2">{lines}</td>')
    return f'<<table border="0" cellborder="0" cellspacing="1" cellpadding="1"><tr>{"".join(cells)}</tr></table>>'


def badge(k: int) -> str:
    """The number of a path, white on its colour."""
    return f'<td bgcolor="{style.lane(k).text}" cellpadding="1"><b>{_font(f" {k} ", size=9, color=PAPER)}</b></td>'


# --- what stands under the picture -------------------------------------------------------------------------------------------


def _foot(scene: Scene) -> str:
    parts = _table(scene.table) if scene.table else []
    for note in scene.notes:
        text = "<br/>".join(_font(line, size=12, color=BAD if note.bad else QUIET) for line in note.text.split("\n"))
        mark = f"<b>{_font('! ', size=12, color=BAD)}</b>" if note.bad else ""
        parts.append(f'<tr><td align="left" balign="left" cellpadding="3">{mark}{text}</td></tr>')
    if not parts:
        return ""
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="2">{"".join(parts)}</table>>'


def _table(table: PathTable) -> list[str]:
    rows = [_path(row) for row in table.rows]
    body = (
        f'<table border="0" cellborder="0" cellspacing="0" cellpadding="3">{"".join(rows)}{_total(table)}</table>'
    )
    parts = [f'<tr><td align="left" cellpadding="4"><b>{_font(table.heading, size=14)}</b></td></tr>']
    parts.append(f'<tr><td align="left">{body}</td></tr>')
    parts += [f'<tr><td align="left">{_font(text, size=12, color=QUIET)}</td></tr>' for text in table.rest]
    return parts


def _path(row: PathRow) -> str:
    look = style.lane(row.number)
    mark = f'<table border="0" cellborder="0" cellspacing="0" cellpadding="1"><tr>{badge(row.number)}</tr></table>'
    value = f"<b>{_font(_sign(row.product), size=13, color=look.text)}</b>"
    if row.grid is not None:
        value = grid(row.grid)
    cells = [
        f"<td>{mark}</td>",
        f'<td align="left">{_font(look.sample, size=12, color=look.line)}</td>',
        f'<td align="left" cellpadding="4">{_font(row.nodes, size=13, color=look.text)}</td>',
        f'<td align="left" cellpadding="4">{_font(row.factors, size=13, color=look.text)}</td>',
        f"<td>{_font('=', size=13, color=look.text)}</td>",
        f'<td align="left">{value}</td>',
    ]
    if row.share:
        cells.append(f'<td align="left">{_font(row.share, size=12, color=QUIET)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _total(table: PathTable) -> str:
    if not table.total:
        return ""
    ink = BAD if table.ok is False else INK
    mark = {True: f"<b>{_font(' ✓ ', size=14, color=GOOD)}</b>", False: f"<b>{_font(' ✗ ', size=14, color=BAD)}</b>"}
    value = grid(table.grid) if table.grid is not None else f"<b>{_font(_sign(table.total), size=13, color=ink)}</b>"
    check = mark.get(table.ok, "") + _font(table.check, size=12, color=BAD if table.ok is False else QUIET)  # type: ignore[call-overload]
    return (
        f'<hr/><tr><td></td><td></td><td></td><td align="right"><b>{_font("sum", size=13, color=ink)}</b></td>'
        f'<td>{_font("=", size=13, color=ink)}</td><td align="left">{value}</td>'
        f'<td align="left">{check}</td></tr>'
    )


def _sign(text: str) -> str:
    """Positive numbers moved by the width of a minus sign, so that digits stand below digits."""
    return text if text.startswith("−") else f"\u2007{text}"
