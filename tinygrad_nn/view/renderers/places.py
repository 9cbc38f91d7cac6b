"""Where a layout engine puts boxes, arrows and labels: for the living page, which draws them itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tinygrad_nn.view.checked import require_id
from tinygrad_nn.view.renderers import layout_engine
from tinygrad_nn.view.scene import Arrow, Cluster, Direction

__all__ = ["Places", "Size", "place"]

Size = tuple[float, float]
GAP = {Direction.RIGHT: ("0.3", "0.25"), Direction.DOWN: ("0.35", "0.3")}  # inches between boxes, and between ranks


@dataclass(frozen=True)
class Places:
    """In pixels, to the right and down.

    Attributes
    ----------
    width, height : of the whole.
    boxes : left, top, width and height of each box, by its id; of frames around boxes as well.
    arrows : points of each arrow from its tail to its tip: the first, then three for each Bézier curve, then the tip.
    labels : the centre of the label of each arrow that has one.
    """

    width: float
    height: float
    boxes: Mapping[str, tuple[float, ...]]
    arrows: Mapping[str, tuple[float, ...]]
    labels: Mapping[str, tuple[float, ...]]


def place(
    boxes: Mapping[str, tuple[Size, str]],
    arrows: Iterable[tuple[Arrow, Size]],
    clusters: Iterable[Cluster] = (),
    direction: Direction = Direction.RIGHT,
    engine: str | None = None,
    timeout: float = 10.0,
) -> Places:
    """Lay out boxes of these sizes, each in a frame or in none, and arrows with labels of these sizes.

    RenderError where there is no engine, LayoutTimeoutError where it takes longer than `timeout` seconds.
    """
    source = _source(boxes, arrows, clusters, direction)
    return _read(json.loads(layout_engine.layout(source, "json", engine, timeout)))


def _source(
    boxes: Mapping[str, tuple[Size, str]], arrows: Iterable[tuple[Arrow, Size]], clusters: Iterable[Cluster],
    direction: Direction,
) -> str:  # fmt: skip
    rank = "LR" if direction is Direction.RIGHT else "TB"
    apart, between = GAP[direction]
    lines = [
        f"digraph {{ rankdir={rank} nodesep={apart} ranksep={between}",
        'node [shape=box fixedsize=true label="" margin=0] edge [arrowsize=0.7]',
    ]
    for cluster in clusters:
        inside = " ".join(_quoted(key) for key, (_, where) in boxes.items() if where == cluster.id)
        lines.append(f'subgraph {_quoted(cluster.id, "cluster_")} {{ label=" " fontsize=11 margin=10 {inside} }}')
    lines += [f"{_quoted(key)} [width={w / 72:.4f} height={h / 72:.4f}]" for key, ((w, h), _) in boxes.items()]
    lines += [f"{_quoted(a.source)} -> {_quoted(a.target)} [id={_quoted(a.id)}{_label(size)}]" for a, size in arrows]
    return "\n".join([*lines, "}"])


def _quoted(name: str, before: str = "") -> str:
    """An id of ours as DOT's; in quotes, as `node` would be a word of that language."""
    return f'"{before}{require_id(name)}"'


def _label(size: Size) -> str:
    if not size[0]:
        return ""
    cell = f'<td width="{size[0]:.0f}" height="{size[1]:.0f}" fixedsize="true"></td>'
    return f' label=<<table border="0" cellborder="0" cellspacing="0" cellpadding="0"><tr>{cell}</tr></table>>'


def _read(drawn: Mapping[str, Any]) -> Places:
    _, _, width, height = _numbers(drawn["bb"])
    boxes, arrows, labels = {}, {}, {}
    for found in drawn.get("objects", ()):
        if "pos" in found:
            (x, y), w, h = _numbers(found["pos"]), 72 * float(found["width"]), 72 * float(found["height"])
            boxes[found["name"]] = _rounded(x - w / 2, height - y - h / 2, w, h)
        elif "bb" in found:
            left, low, right, high = _numbers(found["bb"])
            boxes[found["name"].removeprefix("cluster_")] = _rounded(left, height - high, right - left, high - low)
    for found in drawn.get("edges", ()):
        tip, *curve = (_numbers(point.removeprefix("e,")) for point in found["pos"].split())
        arrows[found["id"]] = _rounded(*(z for x, y in (*curve, tip) for z in (x, height - y)))
        if "lp" in found:
            x, y = _numbers(found["lp"])
            labels[found["id"]] = _rounded(x, height - y)
    return Places(width, height, boxes, arrows, labels)


def _numbers(text: str) -> list[float]:
    return [float(x) for x in text.split(",")]


def _rounded(*numbers: float) -> tuple[float, ...]:
    return tuple(round(x, 1) for x in numbers)
