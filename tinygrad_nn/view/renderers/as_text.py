"""The picture model without a picture: as plain text, and as a page that shows it."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_nn.view.renderers.style import ROLES
from tinygrad_nn.view.scene import Grid, PathTable, Scene
from tinygrad_nn.view.text import html_text, number

__all__ = ["page", "text"]


def text(scene: Scene) -> str:
    """Everything that the picture says, line by line."""
    return "\n".join(_lines(scene)).rstrip() + "\n"


def _lines(scene: Scene) -> Iterator[str]:
    yield scene.title
    yield ""
    names = {node.id: node.name or node.title for node in scene.nodes}
    frames = {group.id: group.label for group in scene.groups}
    incoming: dict[str, list[str]] = {}
    for edge in scene.edges:
        lanes = f" (path {', '.join(map(str, edge.lanes))})" if edge.lanes else ""
        label = f": {edge.label}".replace("\n", ", ") if edge.label else ""
        incoming.setdefault(edge.target, []).append(f"    ← {names[edge.source]}{lanes}{label}")
    for node in scene.nodes:
        if node.form == "text":
            continue
        word = ROLES[node.role].word
        marks = [m for m in (word, frames.get(node.group, ""), "blocked" if node.blocked else "") if m]
        yield f"{node.title or node.name}{_marked(marks)}"
        for row in node.rows:
            yield f"    {row.label}  {row.text}".rstrip()
            if row.grid is not None:
                yield from _grid(row.grid)
        if node.note:
            yield f"    {node.note}"
        yield from incoming.get(node.id, ())
    if scene.table is not None:
        yield ""
        yield from _table(scene.table)
    for note in scene.notes:
        yield f"{'! ' if note.bad else ''}{note.text}"


def _marked(marks: list[str]) -> str:
    return f"  [{', '.join(marks)}]" if marks else ""


def _grid(grid: Grid) -> Iterator[str]:
    """Numbers where there are few; else a shade for each cell."""
    if grid.exact and len(grid.cells) <= 4 and len(grid.cells[0]) <= 4:
        written = [[number(x) for x in line] for line in grid.cells]
        widths = [max(len(line[j]) for line in written) for j in range(len(written[0]))]
        for line in written:
            yield "        " + "  ".join(t.rjust(w) for t, w in zip(line, widths, strict=True))
        return
    for row in grid.cells:
        yield "        " + "".join(_shade(x / grid.scale if grid.scale else 0.0) for x in row)


def _shade(x: float) -> str:
    if x != x:
        return "?"
    level = min(3, int(abs(x) * 4))
    return " −=≡"[level] if x < 0 else " ░▒▓"[level]


def _table(table: PathTable) -> Iterator[str]:
    yield table.heading
    rows = [(row.mark or f"{row.number or ''}", row.nodes, row.factors, row.product, row.share) for row in table.rows]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    widths[0], widths[3] = max(2, widths[0]), max(widths[3], len(table.total))
    for mark, nodes, factors, product, share in rows:
        left = f"  {mark:>{widths[0]}}  {nodes:<{widths[1]}}  {factors:<{widths[2]}}"
        yield f"{left}  = {product:>{widths[3]}}  {share}".rstrip()
    if table.total:
        mark = {True: "✓ ", False: "✗ ", None: ""}[table.ok]
        total = f"{table.sum:>{widths[0] + widths[1] + widths[2]}}  = {table.total:>{widths[3]}}"
        yield f"      {total}  {mark}{table.check}".rstrip()
    yield from table.rest


def page(scene: Scene, svg: str) -> str:
    """An HTML page with the picture and what it says in words."""
    title = html_text(scene.title)
    drawing = svg.split("?>", 1)[1].strip()
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        "<style>body { margin: 2em; font-family: Arial, Helvetica, sans-serif; } svg { max-width: 100%; height: auto; }"
        "</style>\n<body>\n<figure>\n"
        f"{drawing}\n<figcaption><details><summary>{title}</summary><pre>{html_text_lines(text(scene))}</pre></details>"
        "</figcaption>\n</figure>\n</body>\n</html>\n"
    )


def html_text_lines(lines: str) -> str:
    """Several lines as text in HTML."""
    return "\n".join(html_text(line) for line in lines.split("\n"))
