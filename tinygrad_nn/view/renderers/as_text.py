"""A scene as plain text: everything that the picture says, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_nn.notation import format_number
from tinygrad_nn.view.renderers.style import role_look
from tinygrad_nn.view.scene import Arrow, Box, Field, Grid, Scene, Shape, Table

__all__ = ["description", "write"]

DESCRIBED = 30  # boxes


def write(scene: Scene) -> str:
    """What a picture says."""
    return "\n".join(_lines(scene)).rstrip() + "\n"


def _heads(scene: Scene) -> list[str]:
    """The title; in a film that has been given one, also what happens in the frame, which else is its title."""
    return [scene.title, scene.caption.text] if scene.titled and scene.caption else [scene.title]


def _lines(scene: Scene) -> Iterator[str]:
    yield from _heads(scene)
    yield ""
    names = {box.id: box.name or box.title for box in scene.boxes}
    frames = {cluster.id: cluster.label for cluster in scene.clusters}
    incoming: dict[str, list[str]] = {}
    for arrow in scene.arrows:
        incoming.setdefault(arrow.target, []).append(_arrow(arrow, names[arrow.source]))
    for box in scene.boxes:
        if box.shape not in (Shape.TEXT, Shape.LABEL):
            yield from _box(box, frames.get(box.cluster, ""))
            yield from incoming.get(box.id, ())
    if scene.table is not None:
        yield ""
        yield from _table(scene.table)
    for note in (*(scene.caption.notes if scene.caption else ()), *scene.notes):
        yield f"{'! ' if note.bad else ''}{note.text}"


def _arrow(arrow: Arrow, source: str) -> str:
    lanes = f" (path {', '.join(map(str, arrow.lanes))})" if arrow.lanes else ""
    label = f": {arrow.label}".replace("\n", ", ") if arrow.label else ""
    return f"    ← {source}{lanes}{label}"


def _box(box: Box, frame: str) -> Iterator[str]:
    marks = [mark for mark in (role_look(box.role).word, frame, "blocked" if box.blocked else "") if mark]
    yield (box.title or box.name) + (f"  [{', '.join(marks)}]" if marks else "")
    for field in box.fields:
        yield f"    {field.label}  {field.said}".rstrip()
        if field.grid is not None and not field.grid.blank:
            yield from _grid(field.grid)
    if box.note:
        yield f"    {box.note}"


def _grid(grid: Grid) -> Iterator[str]:
    """Numbers where there are few; else a shade for each cell."""
    if grid.spelled:
        written = [[format_number(x) for x in line] for line in grid.cells]
        widths = [max(len(line[j]) for line in written) for j in range(len(written[0]))]
        for line in written:
            yield "        " + "  ".join(t.rjust(w) for t, w in zip(line, widths, strict=True))
        return
    for row in grid.cells:
        yield "        " + "".join(_shade(x / grid.scale if grid.scale else 0.0) for x in row)


def _shade(x: float) -> str:
    if x != x:
        return "?"
    level = 3 if abs(x) >= 1 else int(abs(x) * 4)
    return " −=≡"[level] if x < 0 else " ░▒▓"[level]


def _table(table: Table) -> Iterator[str]:
    yield table.heading
    rows = [(row.mark or f"{row.number or ''}", row.label, row.factors, row.product, row.share) for row in table.rows]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    widths[0], widths[3] = max(2, widths[0]), max(widths[3], len(table.total))
    for mark, label, factors, product, share in rows:
        left = f"  {mark:>{widths[0]}}  {label:<{widths[1]}}  {factors:<{widths[2]}}"
        yield f"{left}  = {product:>{widths[3]}}  {share}".rstrip()
    if table.total:
        mark = {True: "✓ ", False: "✗ ", None: ""}[table.ok]
        total = f"{'sum':>{widths[0] + widths[1] + widths[2]}}  = {table.total:>{widths[3]}}"
        yield f"      {total}  {mark}{table.check}".rstrip()
    yield from table.rest


# --- for readers who cannot see the picture --------------------------------------------------------------------------


def description(scene: Scene) -> str:
    """The picture in sentences."""
    boxes = [box for box in scene.boxes if box.shape not in (Shape.TEXT, Shape.LABEL)]
    lines = [*_heads(scene), *(_sentence(box) for box in boxes[:DESCRIBED])]
    if len(boxes) > DESCRIBED:
        lines.append(f"And {len(boxes) - DESCRIBED} more nodes")
    if scene.table is not None:
        lines += _table_sentences(scene.table)
    notes = (*(scene.caption.notes if scene.caption else ()), *scene.notes)
    return " ".join(f"{line}." for line in [*lines, *(note.text for note in notes)])


def _sentence(box: Box) -> str:
    parts = [f"{field.label} {_words(field)}".strip() for field in box.fields]
    parts += [box.note] if box.note else []
    return f"{box.title or box.name}: {'; '.join(parts)}" if parts else box.title or box.name


def _words(field: Field) -> str:
    if field.grid is None or not field.grid.spelled or field.grid.blank:
        return field.said or "–"
    return ", ".join(" ".join(format_number(x) for x in line) for line in field.grid.cells)


def _table_sentences(table: Table) -> Iterator[str]:
    yield table.heading
    for row in table.rows:
        name = row.mark or (f"Path {row.number}" if row.number else "")
        factors = f"{row.factors} = " if row.factors else ""
        yield f"{name}: {row.label}, {factors}{row.product}".removeprefix(": ")
    yield from table.rest
    if table.total:
        mark = {True: " ✓", False: " ✗", None: ""}[table.ok]
        yield f"Sum: {table.total}{mark}{', ' + table.check if table.check else ''}"
