"""Whether what a file says is a whole picture: what it refers to is there, and no number is beyond what can be drawn.

A renderer takes a scene for what this package makes.  A file may have been written by anybody, so it is held to that
before anything is drawn: ValueError, "a picture needs ...", for the first thing that is not so.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_nn.view.program_record import Program, ProgramNode
from tinygrad_nn.view.scene import Box, Field, Grid, Reel, Scene, Shape

__all__ = ["ids_of", "require_id", "require_whole"]

ID = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,49}")  # nothing that DOT, XML or a script could take for something else
LARGEST = 2_000_000  # elements of an array, of which a file may give one that stands for all
FARTHEST = 100_000.0  # points
DEEPEST = 4  # scenes within each other
_VIEWS = ("paths", "flow", "step", "neurons", "compare")
_LIVE = ("value", "gradient", "norm", "share")


def require_id(text: str) -> str:
    """The text itself if it is one that pictures name their parts with."""
    if not ID.fullmatch(text):
        raise ValueError(f"a picture needs ids of letters and digits, got {text!r:.60}")
    return text


def _require(holds: bool, what: str, got: Any) -> None:
    if not holds:
        raise ValueError(f"a picture needs {what}, got {got!r:.60}")


def require_whole(record: Scene | Reel) -> None:
    """ValueError where a scene or a film is not what this package could have made."""
    if isinstance(record, Scene):
        _scene(record, 0)
        return
    _require(len(record.frames) > 0, "a frame at least", record.frames)
    _require(len(record.captions) == len(record.frames), f"a caption for each of {len(record.frames)} frames",
             record.captions)  # fmt: skip
    first = _ids(record.frames[0].boxes)
    for scene in (*record.frames, *((record.living,) if record.living is not None else ())):
        _scene(scene, 0)
    for scene in record.frames:
        _require(_ids(scene.boxes) == first, "the same boxes in all frames", sorted(_ids(scene.boxes) ^ first))


def _ids(boxes: Iterable[Box]) -> set[str]:
    return {box.id for box in boxes}


def ids_of(scene: Scene) -> Iterator[str]:
    """The ids of all its parts."""
    yield from (box.id for box in scene.boxes)
    yield from (arrow.id for arrow in scene.arrows)
    yield from (cluster.id for cluster in scene.clusters)


def _scene(scene: Scene, depth: int) -> None:
    _require(depth < DEEPEST, f"at most {DEEPEST} scenes within each other", scene.title)
    names = [*map(require_id, ids_of(scene))]
    _require(len(set(names)) == len(names), "an id of its own for each part", _twice(names))
    _require(0.1 <= scene.space <= 10, "space from 0.1 to 10", scene.space)
    _clusters(scene)
    nodes = None if scene.program is None else {node.id for node in scene.program.nodes}
    for box in scene.boxes:
        _box(box, nodes)
    _arrows(scene)
    if scene.table is not None:
        for row in scene.table.rows:
            _grid(row.grid)
            _whole(row.number, -1)
        _grid(scene.table.grid)
    if scene.caption is not None:
        _number(scene.caption.width, 0.0, FARTHEST)
        _require(0 <= scene.caption.lines <= 1000, "a caption of 0 to 1000 lines", scene.caption.lines)
    if scene.program is not None:
        _program(scene.program)
    for other in (scene.simpler, scene.living):
        if other is not None:
            _scene(other, depth + 1)


def _twice(names: list[str]) -> str:
    return next((name for i, name in enumerate(names) if name in names[:i]), "")


def _number(x: float, low: float, high: float) -> None:
    _require(low <= x <= high, f"a number from {low:g} to {high:g}", x)


def _whole(n: int, least: int) -> None:
    _require(least <= n < 10**9, f"a whole number from {least} to {10**9:,}", n)


def _clusters(scene: Scene) -> None:
    parents = {cluster.id: cluster.parent for cluster in scene.clusters}
    for name in parents:
        seen = {name}
        while name := parents[name]:
            _require(name in parents and name not in seen, "a frame that is there around a frame", name)
            seen.add(name)
    for box in scene.boxes:
        _require(not box.cluster or box.cluster in parents, "a frame that is there around a box", box.cluster)


def _box(box: Box, nodes: Collection[str] | None) -> None:
    _require(len(box.at) in (0, 2), "a place of two numbers", box.at)
    for x in box.at:
        _number(x, -FARTHEST, FARTHEST)
    _require(len(box.on) in (0, 2), "an arrow from one box to another under a label", box.on)
    for line in (*box.entries, *box.exits):
        require_id(line.split(".")[0])
        _require(re.fullmatch(r"[^.]*(\.[0-9]{1,9})?", line) is not None, "the id of a line", line)
    _whole(box.count, 1)
    _whole(box.lane, -1)
    for field in box.fields:
        _field(field, nodes)


def _field(field: Field, nodes: Collection[str] | None) -> None:
    _grid(field.grid)
    _whole(field.lane, -1)
    if field.live:
        kind, _, named = field.live.partition(" ")
        keys = named.split(",") if kind == "share" else [named]
        there = kind in _LIVE and all(ID.fullmatch(x) is not None if nodes is None else x in nodes for x in keys)
        _require(there, "a value, gradient, norm or share of nodes of its program", field.live)


def _grid(grid: Grid | None) -> None:
    if grid is None:
        return
    lengths = {len(row) for row in grid.cells}
    _require(len(lengths) == 1 and 0 not in lengths, "a heat map of rows of one length", grid.cells)
    _require(grid.scale >= 0, "a scale of 0 or more", grid.scale)
    _whole(grid.means_of, 1)


def _arrows(scene: Scene) -> None:
    boxes = {box.id: box for box in scene.boxes}
    _require(not scene.placed or all(box.at for box in scene.boxes), "a place for each box, or for none", scene.title)
    for arrow in scene.arrows:
        for end in (arrow.source, arrow.target):
            _require(end in boxes, "boxes at both ends of an arrow", end)
        source, target = boxes[arrow.source], boxes[arrow.target]
        _require(source is not target, "two boxes for an arrow", arrow.source)
        apart = not source.at or math.dist(source.at, target.at) >= 1
        standing = not source.at or Shape.LABEL not in (source.shape, target.shape)
        _require(apart and standing, "boxes that stand apart at both ends of an arrow", arrow.id)
        _number(arrow.weight, 0.0, 1.0)
        _number(arrow.flow, -1.0, 1.0)
        _whole(arrow.count, 1)
        _whole(arrow.slot, 0)
        for lane in arrow.lanes:
            _whole(lane, 0)
        _require(len(set(arrow.lanes)) == len(arrow.lanes), "each path once on an arrow", arrow.lanes)
        _grid(arrow.grid)


# --- the program of a page --------------------------------------------------------------------------------------------


def _program(program: Program) -> None:
    nodes = [node.id for node in program.nodes]
    _require(len(set(nodes)) == len(nodes), "an id of its own for each node", _twice(nodes))
    there, rules, operations = set(nodes), len(program.rules), {operation.name for operation in program.operations}
    if program.reason:  # nothing is carried out: rules may be left out
        rules = 10**9
    _require(not nodes or program.root in there, "a root among the nodes of its program", program.root)
    before: set[str] = set()
    for node in program.nodes:
        _node(node, before, rules, operations)
        before.add(node.id)
    for rule in program.rules:
        for array in rule.arrays:
            _array(array.value, array.shape, array.dtype)
        for step in rule.code:
            require_id(step.op.lstrip("_"))
            _params(step.params)
    for layer in program.layers:
        for name in (layer.W, layer.before, layer.Z, layer.A, *filter(None, [layer.b])):
            _require(name in there, "layers of nodes of its program", name)
    for snapshot in program.snapshots:
        _require(snapshot.node in there, "snapshots of nodes of its program", snapshot.node)
        base64 = re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", snapshot.numbers) is not None
        _require(base64, "snapshots in base64", snapshot.numbers)
    inputs = {node.id: node for node in program.nodes if not node.op}
    for was in program.before:
        _require(was.node in inputs, "earlier values of inputs of its program", was.node)
        _array(was.value, inputs[was.node].shape, inputs[was.node].dtype)
        _require(bool(was.value), "earlier values that are there", was.node)
    start = program.start
    _require(start.view in ("", *_VIEWS), f"a start in one of {', '.join(_VIEWS)}", start.view)
    _require(not start.source or start.source in there, "paths from a node of its program", start.source)
    _require(not start.mistake or ID.fullmatch(start.mistake.replace(" ", "_")) is not None, "a mistake in words",
             start.mistake)  # fmt: skip
    _whole(start.element, -1)


def _node(node: ProgramNode, before: Collection[str], rules: int, operations: Collection[str]) -> None:
    require_id(node.id)
    _array(node.value, node.shape, node.dtype)
    if node.gradient is not None:
        _array(node.gradient, node.shape, node.dtype)
    _require(not node.op or node.op in operations, "what is to be known about each operation", node.op)
    for arg in node.args:
        _require(not arg or arg in before or _is_number(arg), "arguments that were computed before", arg)
    for arrow in filter(None, node.arrows):
        require_id(arrow)
    for number in (*node.rules, *node.tangents, node.forward):
        _require(-1 <= number < rules, f"rules that are there, which are {rules}", number)
    for k in (node.arrows, node.rules, node.tangents, node.slopes):
        _require(len(k) in (0, len(node.args)), f"one for each of {len(node.args)} arguments", k)
    _params(node.params)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _array(value: tuple[float, ...], shape: tuple[int, ...], dtype: str) -> None:
    _require(len(shape) <= 32 and all(0 <= n <= LARGEST for n in shape), "the shape of an array", shape)
    size = math.prod(itertools.islice(shape, 32))
    _require(size <= LARGEST, f"arrays of at most {LARGEST:,} elements", shape)
    _require(len(value) in (0, 1, size), f"1 or {size:,} elements", len(value))
    try:
        real = np.dtype(dtype).kind in "biuf"
    except TypeError:
        real = False
    _require(real, "a dtype of real numbers", dtype)


def _params(params: Any) -> None:
    """Parameters are for the page alone, as JSON; texts in them must be such that a file can hold."""
    try:
        json.dumps(params, ensure_ascii=False).encode()
    except ValueError:
        raise ValueError(f"a picture needs parameters of plain letters, got {params!r:.60}") from None
