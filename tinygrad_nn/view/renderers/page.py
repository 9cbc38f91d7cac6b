"""The living page: one file that carries out the recorded computation again, at whatever numbers the reader chooses."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
import struct
import zlib
from collections import Counter
from typing import Any

from tinygrad_nn.notebook import escaped
from tinygrad_nn.view.program_record import Program
from tinygrad_nn.view.renderers import as_json, modules, style
from tinygrad_nn.view.renderers.page_boxes import arrow_as_data, box_as_data, label_size
from tinygrad_nn.view.renderers.places import Places, place
from tinygrad_nn.view.scene import ArrowKind, Direction, Scene, Table
from tinygrad_nn.view.vocabulary import vocabulary

__all__ = ["cell", "page", "page_data", "playground", "widget_module"]

WIDTHS = (930.0, 640.0)  # of the picture in a wide window, and in a narrow one
POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"


def page_data(scene: Scene, engine: str | None = None, timeout: float = 10.0, theme: str = "auto") -> dict[str, Any]:
    """What the page's script takes: the program, and boxes and arrows with their places, perhaps at two levels.

    Where dense layers can be folded, both pictures come along, and the one that fits is shown first.
    """
    assert scene.program is not None, "only scenes with a program are living"
    still, wide = bool(scene.program.reason), bool(scene.program.before)
    scenes = [scene] if scene.simpler is None else [scene, scene.simpler]
    layouts = [[_layout(each, width, wide, engine, timeout) for width in WIDTHS] for each in scenes]
    fitting = (k for k, found in enumerate(layouts) if found[0].width <= WIDTHS[0])
    return {
        "title": scene.title,
        "theme": theme,
        "levels": [_level(each, found, still, wide) for each, found in zip(scenes, layouts, strict=True)],
        "level": next(fitting, len(scenes) - 1),
        "notes": [{"text": note.text, "bad": note.bad} for note in scene.notes if not note.call],
        "program": as_json.as_plain(scene.program),
        **({"table": _still(scene.table)} if still and scene.table is not None else {}),
    }


def _level(scene: Scene, layouts: list[Places], still: bool, wide: bool) -> dict[str, Any]:
    """The boxes and arrows of a picture, and their places in a wide and in a narrow window."""
    parts = _parts(scene)
    return {
        "boxes": [box_as_data(box, parts[box.id], still)[0] for box in scene.boxes],
        "arrows": [arrow_as_data(arrow) for arrow in scene.arrows],
        "wide": wide,
        "clusters": [{"id": c.id, "label": c.label} for c in scene.clusters],
        "layouts": [_as_data(places) for places in (layouts if layouts[0] != layouts[1] else layouts[:1])],
    }


def _still(table: Table) -> dict[str, Any]:
    """A table as it was recorded, for a page that computes nothing."""
    rows = [
        {"k": k, "nodes": row.label, "factors": row.factors, "text": row.product, "share": row.share}
        for k, row in enumerate(table.rows, 1)
    ]
    total = {"nodes": "sum", "text": table.total}
    return {
        "heading": table.heading,
        "rows": rows,
        "total": total,
        "ok": table.ok,
        "check": table.check,
        "rest": table.rest,
    }


def _parts(scene: Scene) -> Counter[str]:
    """How many parts of a gradient come back to each box."""
    return Counter(arrow.source for arrow in scene.arrows if arrow.kind is ArrowKind.FLOW)


def _layout(scene: Scene, width: float, wide: bool, engine: str | None, timeout: float) -> Places:
    """To the right where that fits, else down."""
    parts = _parts(scene)
    boxes = {box.id: (box_as_data(box, parts[box.id], wide=wide)[1], box.cluster) for box in scene.boxes}
    arrows = [(arrow, label_size(arrow)) for arrow in scene.arrows]
    directions = [scene.direction] if scene.direction is not None else list(Direction)
    found = None
    for direction in directions:
        places = place(boxes, arrows, scene.clusters, direction, engine, timeout)
        if found is None or places.width <= width or places.width < found.width:
            found = places
        if found.width <= width:
            break
    assert found is not None
    return found


def _as_data(places: Places) -> dict[str, Any]:
    return {
        "width": math.ceil(places.width), "height": math.ceil(places.height), "boxes": dict(places.boxes),
        "arrows": dict(places.arrows), "labels": dict(places.labels),
    }  # fmt: skip


def styles(without: frozenset[str] = frozenset()) -> str:
    """The style sheet, colours in front, less what belongs to modules that are left out."""
    light = "".join(f"--{name}:{color};" for name, color in style.variables("light").items())
    dark = "".join(f"--{name}:{color};" for name, color in style.variables("dark").items())
    themes = (
        f".page{{{light}color-scheme:light}}"
        f'@media screen{{.page[data-theme="dark"]{{{dark}color-scheme:dark}}}}'  # paper is light
        f'@media screen and (prefers-color-scheme:dark){{.page[data-theme="auto"]{{{dark}color-scheme:dark}}}}'
    )
    sheet = (modules.FOLDER / "page.css").read_text("utf-8")
    sheet = re.sub(
        r"/\* with (\w+) \*/\n(.*?)(?:\n\n|$)", lambda of: "" if of[1] in without else of[2], sheet, flags=re.S
    )
    return themes + re.sub(r"\s*([{}:;,])\s+|\s+(?=})", r"\1", re.sub(r"/\*.*?\*/\s*", "", sheet, flags=re.S))


def _json(value: Any) -> str:
    """JSON that can stand in a script: no text in it can end that."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


_LETTERS = "".join(chr(c) for c in range(35, 127) if chr(c) not in "&<>\\`")[:85]  # nothing to HTML and scripts


def _packed(text: str) -> str:
    """A text as a page can hold it in a third of the space: deflated, and five letters for each four bytes."""
    deflate = zlib.compressobj(9, memLevel=9)
    data = deflate.compress(text.encode()) + deflate.flush()
    more = -len(data) % 4
    letters = [str(more)]
    for (word,) in struct.iter_unpack(">I", data + bytes(more)):
        for power in (85**4, 85**3, 85**2, 85, 1):
            letters.append(_LETTERS[word // power % 85])
    return "".join(letters)


@functools.cache
def _code(operations: frozenset[str] | None = None, without: frozenset[str] = frozenset()) -> str:
    """The script and the style sheet, packed; of a small page only what its operations need."""
    script = modules.joined("page", operations, without)
    look = styles(without | {"play"})
    return _packed(f"{script}\nreturn (host, data) => $page.mount(host, data, {_json(look)});")


def _needed_code(program: Program) -> str:
    """The script without the parts that a program has no use for."""
    steps = {step.op for rule in program.rules for step in rule.code}
    operations = frozenset(steps | {node.op for node in program.nodes if node.op})
    without = {"sheet"}  # where there is a cell, there is tn.worksheet
    without |= {"neurons_view", "boundary"} if not program.layers else set()
    inputs = [math.prod(node.shape) for node in program.nodes if node.tracked and not node.op]
    without |= set() if len(inputs) > 1 else {"flow_view", "descent"}
    without |= set() if sum(inputs) > 1 else {"one_step"}
    without |= {"playback"} if not program.snapshots else set()
    without |= {"elements"} if all(math.prod(node.shape) == 1 for node in program.nodes) else set()
    return _code(operations, frozenset(without))


def _script(data: str, key: str, code: str) -> str:
    loader = modules.without_comments((modules.FOLDER / "loader.js").read_text("utf-8"))
    loader = re.sub(r"\s*([{}()=;,<>+*/:-])\s*", r"\1", loader).strip().replace("LETTERS", f'"{_LETTERS}"')
    return f'<script>{loader}("{key}", "{code}", "{_packed(data)}");</script>'


def page(
    scene: Scene, still: str, words: str, engine: str | None = None, timeout: float = 10.0, theme: str = "auto"
) -> str:
    """A page with the living picture; `still` and `words` are for readers without scripts."""
    data = _json(page_data(scene, engine, timeout, theme))
    title = escaped(scene.title)
    lines = "\n".join(escaped(line) for line in words.split("\n"))
    details = f"<details><summary>{title}</summary><pre>{lines}</pre></details>"
    figure = f"<figure>{still}<figcaption>{details}</figcaption></figure>"
    return _document(title, figure, _script(data, "page", _code()))


def _document(title: str, content: str, script: str) -> str:
    """A page that asks nobody for anything."""
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{title}</title>
<style>body {{ margin: 0 }}</style>
<body>
<main data-tinygrad-nn="page">
{content}
</main>
{script}
</body>
</html>
"""


def playground(theme: str = "auto") -> str:
    """The page on which expressions are typed."""
    script = modules.joined("play")
    code = _packed(f"{script}\nreturn (host, data) => $play.mount(host, data, {_json(styles())});")
    data = _json({"vocabulary": vocabulary(), "theme": theme})
    return _document("The chain rule, to play with", "", _script(data, "page", code))


def widget_module() -> str:
    """The page as a module of anywidget: inputs that the page cannot compute with are moved by the kernel."""
    script = modules.joined("kernel")
    return f"{script}\nexport default {{ render: $kernel.renderer({_json(styles())}) }};\n"


def cell(scene: Scene, still: str, engine: str | None = None, timeout: float = 10.0, theme: str = "auto") -> str:
    """The living picture as the output of a notebook's cell; `still` is an image for one that runs no script."""
    assert scene.program is not None
    data = _json(page_data(scene, engine, timeout, theme))
    key = hashlib.sha256(data.encode()).hexdigest()[:16]
    return f'<div data-tinygrad-nn="{key}">{still}</div>\n{_script(data, key, _needed_code(scene.program))}'
