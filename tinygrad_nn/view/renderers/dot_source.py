"""A scene as a DOT text that Graphviz and graphviz-pure lay out alike; the package graphviz writes it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinygrad_nn.view.checked import ids_of, require_id
from tinygrad_nn.view.renderers import dot_foot, dot_labels, style
from tinygrad_nn.view.renderers.style import FONT, INK, PAPER, QUIET, SOFT, Border
from tinygrad_nn.view.scene import Arrow, Box, Cluster, Direction, Role, Scene, Shape
from tinygrad_nn.view.text import clean, measure

if TYPE_CHECKING:
    from graphviz import Digraph

__all__ = ["diameter", "write"]

_RANKS = {Direction.RIGHT: "LR", Direction.DOWN: "TB"}
_APART = {"nodesep": 0.3, "ranksep": 0.45}  # inches
HALO = 1.6  # points of paper around letters on an arrow
MARGIN = 14.4  # points around everything
_BY_PLACE = {"layout": "neato", "inputscale": "72", "splines": "line", "outputorder": "edgesfirst", "nodesep": "0.2"}
_FOOT = {"labelloc": "b", "labeljust": "l"}


def write(scene: Scene, width: float = 760, pixels: bool = False) -> str:
    """The DOT text of a picture, its table no wider than `width`: the same picture, the same bytes.

    For `pixels`, that is what an engine draws to the end, with paper around what is written on arrows, and lanes that
    differ without colour: our SVG gets these when it is finished.
    """
    from graphviz import Digraph  # takes 40 ms: only where something is drawn

    for name in ids_of(scene):
        require_id(name)  # DOT takes <...> for HTML, and what stands in it for attributes
    where = _BY_PLACE if scene.placed else _by_rank(scene)
    paper = {"bgcolor": PAPER, "pad": f"{MARGIN / 72:g}", "fontname": FONT, "fontcolor": INK, "charset": "utf8"}
    dot = Digraph(
        "picture",
        graph_attr=where | paper | _FOOT | {"tooltip": _string(scene.title)},
        node_attr={"shape": "plain", "fontname": FONT, "fontsize": "12", "fontcolor": INK},
        edge_attr={"fontname": FONT, "fontsize": "11", "fontcolor": INK, "arrowsize": "0.7"},
    )
    foot = dot_foot.foot(scene, width - 2 * MARGIN)
    if foot:
        dot.attr(label=foot)
    for box in scene.boxes:
        if pixels and box.shape is Shape.LABEL and box.at:
            _add_halo(dot, box)
        if not box.cluster:
            _add_box(dot, box, scene.direction)
    _add_clusters(dot, scene, "")
    by_id = {box.id: box for box in scene.boxes}
    for arrow in scene.arrows:
        _add_arrow(dot, arrow, by_id[arrow.source], by_id[arrow.target], scene.direction, pixels)
    return dot.source


def _by_rank(scene: Scene) -> dict[str, str]:
    apart = {name: f"{inches * scene.space:g}" for name, inches in _APART.items()}
    return apart | {"rankdir": _RANKS[scene.direction or Direction.RIGHT]}


def _add_clusters(dot: Digraph, scene: Scene, parent: str) -> None:
    """The frames within a frame, with their boxes."""
    for cluster in scene.clusters:
        if cluster.parent != parent:
            continue
        with dot.subgraph(name=f"cluster_{cluster.id}", graph_attr=_frame(cluster)) as inner:
            for box in scene.boxes:
                if box.cluster == cluster.id:
                    _add_box(inner, box, scene.direction)
            _add_clusters(inner, scene, cluster.id)


def _frame(cluster: Cluster) -> dict[str, str]:
    look = {"style": "rounded,filled", "fillcolor": PAPER if cluster.parent else style.TINTED, "pencolor": SOFT}
    text = {"labelloc": "t", "labeljust": "l", "fontsize": "11", "fontcolor": QUIET, "margin": "10"}
    tooltip = _string(cluster.tooltip or cluster.label)
    return look | text | {"id": cluster.id, "label": _string(cluster.label), "tooltip": tooltip}


def _string(text: str) -> str:
    """A string that shows `text`: quotes, backslashes and entities stand for themselves, lines stay lines."""
    from graphviz import escape

    return escape("&#10;".join(html.escape(clean(line), quote=False) for line in text.split("\n")))


def _add_box(dot: Digraph, box: Box, direction: Direction | None) -> None:
    fields = {"id": box.id, "class": box.role.value, "tooltip": _string(box.tooltip)}
    if box.shape in (Shape.CIRCLE, Shape.SIGN):
        look = style.box_look(box)
        fields |= {
            "shape": "doublecircle" if look.border is Border.DOUBLE else "circle",
            "fixedsize": "true",
            "width": f"{diameter(box):g}",
            "penwidth": f"{look.width:g}",
            "color": look.line,
            "fillcolor": look.fill,
            "style": "filled,dashed" if box.blocked else "filled",
        }
    if box.at:
        fields["pos"] = f"{box.at[0]:g},{box.at[1]:g}!"
    dot.node(box.id, dot_labels.box_label(box, direction or Direction.RIGHT), **fields)


def _add_halo(dot: Digraph, box: Box) -> None:
    """Copies in the colour of the paper all around, which DOT knows no other way to draw."""
    for k in range(8):
        x, y = box.at[0] + HALO * math.cos(k * math.pi / 4), box.at[1] + HALO * math.sin(k * math.pi / 4)
        dot.node(f"{box.id}.{k}", dot_labels.halo_label(box), pos=f"{x:.2f},{y:.2f}!")


def diameter(box: Box) -> float:
    """In inches; wide enough for what is written in it."""
    if box.shape is Shape.SIGN:
        return 0.42
    widest = max((measure(f"{field.label} {field.text}", 11) for field in box.fields), default=0.0)
    across = max(widest + 14, math.hypot(widest, 14 * len(box.fields)) + 4)
    return round(max(0.8 if len(box.fields) < 2 else 1.0, across / 72), 2)


def _add_arrow(dot: Digraph, arrow: Arrow, source: Box, target: Box, direction: Direction | None, pixels: bool) -> None:
    """An edge, or one for each path along it: lanes that stand apart, with a head each."""
    look = style.arrow_look(arrow)
    fields = {"penwidth": f"{round(look.width, 2):g}"}
    if look.open:
        fields |= {"arrowhead": "open", "arrowsize": "0.6"}
    if look.back:
        fields |= {"dir": "both", "arrowhead": "none", "arrowtail": "normal"}
    if source.cluster != target.cluster and target.cluster:
        fields["minlen"] = "2"  # leaves space for the parameters of the next frame: frames stand side by side
    if source.role in (Role.OPERATION, Role.LAYER) and (source.cluster or target.cluster):
        fields["weight"] = "8"  # the way through the network is straight, and its parameters come from the side
    lanes = arrow.lanes if len(look.strokes) == len(arrow.lanes) else (0,)
    labelled = len(lanes) - 1 if direction is Direction.DOWN and target.entries else 0  # whose other side is free
    for i, (lane, (color, pattern)) in enumerate(zip(lanes, look.strokes, strict=True)):
        line = arrow.id if not i else f"{arrow.id}.{lane}"
        names = {"id": line, "class": f"{arrow.kind} path{lane}" if lane else str(arrow.kind)}
        words = {"tooltip": _string(arrow.tooltip), "labeltooltip": _string(arrow.tooltip)} if arrow.tooltip else {}
        if i == labelled and (arrow.label or (arrow.lanes and not target.at)):
            words["label"] = dot_labels.arrow_label(arrow, direction or Direction.RIGHT)
        ends = _end(source, "o", source.exits, line, direction), _end(target, "i", target.entries, line, direction)
        thicker = style.lane(lane).thicker if pixels and lane else 0.0
        width = {"penwidth": f"{thicker:g}"} if thicker else {}
        dot.edge(*ends, color=color, style=pattern, **names, **words, **(fields | width))


def _end(box: Box, letter: str, lines: Sequence[str], line: str, direction: Direction | None) -> str:
    """Where a line begins or ends: at its place on the side of a box, or at the box."""
    if line not in lines:
        return box.id
    sides = {"o": "s", "i": "n"} if direction is Direction.DOWN else {"o": "e", "i": "w"}
    return f"{box.id}:{letter}{lines.index(line)}:{sides[letter]}"
