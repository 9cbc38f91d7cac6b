"""`detail="ops"`: one box for each operation, one arrow for each argument slot, one lane for each path."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from tinygrad_nn import chain
from tinygrad_nn.view import text
from tinygrad_nn.view.graph.computation import Graph, Slot
from tinygrad_nn.view.graph.highlighted_paths import Lanes
from tinygrad_nn.view.graph.network import Layer
from tinygrad_nn.view.scene import Edge, Group, Node, Note, Row, Scene
from tinygrad_nn.view.scenes.folding import fold
from tinygrad_nn.view.scenes.heat import grid, largest
from tinygrad_nn.view.scenes.layers import arrow_label, equations, layer_box
from tinygrad_nn.view.text import number, shorten

__all__ = ["SHOW", "Ids", "groups_of", "operations", "role", "warnings"]

SHOW = ("value", "gradient", "shape", "heatmap", "local", "paths", "sums", "constants")
DATA = {"X", "x", "A⁰"}  # names of what goes into a network


class Ids:
    """The ids of a picture: n1, n2 ... in order of creation, e1, e2 ... in order of their targets and slots.

    All nodes of a layer that is drawn as one box have the id of the box.
    """

    def __init__(self, graph: Graph, boxes: Sequence[Layer] = ()):
        self.box = {node.index: layer for layer in boxes for node in layer.nodes}
        self.nodes = {node.index: f"n{i}" for i, node in enumerate(graph.nodes, 1)}
        self.layers = {self.nodes[layer.Z.index]: layer for layer in boxes}
        for layer in boxes:
            self.nodes |= dict.fromkeys((node.index for node in layer.nodes), self.nodes[layer.Z.index])
        self.edges = {slot.key: f"e{i}" for i, slot in enumerate(graph.slots, 1)}


def operations(
    graph: Graph,
    lanes: Lanes | None,
    show: Collection[str] = SHOW,
    boxes: Sequence[Layer] = (),
    most: int | None = None,
) -> Scene:
    """The picture of a graph, operation by operation; some dense layers as one box each.

    First the bare picture, which is folded if it has more than `most` boxes; then what is left of it gets its words.
    """
    ids = Ids(graph, boxes)
    layer = groups_of(graph)
    bare = Scene(
        title=f"{'Layers' if boxes else 'Computation graph'} of {equation(graph, graph.root)}",
        description=describe(graph, lanes, boxes),
        nodes=tuple(_outline(graph, node, ids, layer) for node in graph.nodes if _drawn(node, ids, show)),
        edges=tuple(_line(slot, ids, lanes) for slot in graph.slots if _drawn_between(slot, ids, show)),
        groups=tuple(Group(f"layer{k}", f"layer {k}") for k in sorted(set(layer.values()))),
        table=lanes.table() if lanes is not None else None,
        notes=warnings(graph),
    )
    bare = fold(bare, most or len(bare.nodes))
    nodes = {ids.nodes[node.index]: node for node in graph.nodes if node.index not in ids.box}
    slots = {ids.edges[slot.key]: slot for slot in graph.slots}
    frames = {node.group for node in bare.nodes}
    filled = []
    for outline in bare.nodes:
        if outline.id in nodes:
            outline = _filled(graph, nodes[outline.id], outline, show, lanes)
        elif outline.id in ids.layers:
            outline = layer_box(graph, ids.layers[outline.id], outline, show, lanes)
        filled.append(outline)
    return dataclasses.replace(
        bare,
        nodes=tuple(filled),
        edges=tuple(e if e.count > 1 else _labelled(graph, slots[e.id], e, ids, show, lanes) for e in bare.edges),
        groups=tuple(group for group in bare.groups if group.id in frames),
    )


def _drawn(node: Any, ids: Ids, show: Collection[str]) -> bool:
    if node.index in ids.box:
        return node is ids.box[node.index].Z
    return "constants" in show or node.tracked or node.op is not None


def _drawn_between(slot: Slot, ids: Ids, show: Collection[str]) -> bool:
    if ids.nodes[slot.source.index] == ids.nodes[slot.target.index]:
        return False
    return slot.source.index in ids.box or _drawn(slot.source, ids, show)


# --- nodes -----------------------------------------------------------------------------------------------------------


def role(graph: Graph, node: Any) -> str:
    """What a node is in its graph: output, operation, parameter, input or constant."""
    if node is graph.root and node.op is not None:
        return "output"
    if node.op is not None:
        return "operation"
    name = node.name or ""
    if node.tracked:
        return "parameter" if text.layer_of(name) is not None else "input"
    return "input" if name in DATA else "constant"


def groups_of(graph: Graph) -> dict[Any, int]:
    """The layer of each node, by its index: from names like W¹ and Z¹, and for what lies between, from its user."""
    layers: dict[Any, int] = {}
    for node in reversed(graph.nodes):
        layer = text.layer_of(node.name or "")
        users = {layers.get(s.target.index) for s in graph.outgoing.get(node.index, ())}
        if layer is None and node.op is not None and not node.name and len(users) == 1:
            (layer,) = users
        if layer:
            layers[node.index] = layer
    return layers


def equation(graph: Graph, node: Any) -> str:
    """A node by name and formula, as in ``z = sin(s)``."""
    name, formula = graph.name(node), graph.formula(node)
    return f"{name} = {formula}" if formula and formula != name else name


def _outline(graph: Graph, node: Any, ids: Ids, layers: dict[Any, int]) -> Node:
    name, layer = graph.name(node), layers.get(node.index)
    if node.index in ids.box:
        return Node(ids.nodes[node.index], "layer", name, name, kind="layer", count=len(ids.box[node.index].nodes))
    return Node(
        ids.nodes[node.index], role(graph, node), name, name,
        group=f"layer{layer}" if layer else "", kind=node.op.name if node.op is not None else "",
    )  # fmt: skip


def _filled(graph: Graph, node: Any, outline: Node, show: Collection[str], lanes: Lanes | None) -> Node:
    return dataclasses.replace(
        outline,
        title=shorten(equation(graph, node), 44),
        rows=tuple(_rows(graph, node, show, lanes)),
        note=_sum(graph, node) if "sums" in show else "",
        tooltip=_tooltip(graph, node),
    )


def _rows(graph: Graph, node: Any, show: Collection[str], lanes: Lanes | None) -> list[Row]:
    value = np.asarray(node.value)
    rows = []
    single = value.size == 1
    if "shape" in show and value.ndim:
        rows.append(Row("shape", text.shape(value)))
    if node.index in graph.stale:
        rows.append(Row("value", "changed since", bad=True))
    elif "value" in show:
        rows += _array("value", value, show)
    if not node.tracked:
        return rows
    if "gradient" in show:
        g = graph.gradient.get(node.index)
        label = _gradient_label(graph, node)
        strong = lanes is not None and node is lanes.source
        if g is None:
            rows.append(Row(label, "–"))
        elif single:
            rows.append(Row(label, number(g.item()), float(g.item()), strong=strong))
        else:
            rows += _array(label, g, show)
    if "grad" in show:
        rows += _array(".grad", node.grad, show) if node.grad is not None else [Row(".grad", "–")]
    return rows


def _array(label: str, value: Any, show: Collection[str]) -> list[Row]:
    value = np.asarray(value)
    if value.size == 1:
        return [Row(label, number(value.item()), float(value.item()))]
    if not value.size:
        return [Row(label, "empty")]
    if "heatmap" in show:
        heat = grid(value)
        spelled = heat.exact and max(len(heat.cells), len(heat.cells[0])) <= 4
        return [Row(label, "" if spelled else f"±{number(largest(value))}", grid=heat)]
    return [Row(label, f"{number(value.min())} … {number(value.max())}")]


def _gradient_label(graph: Graph, node: Any) -> str:
    z, x = graph.name(graph.root), graph.name(node)
    return f"∂{z}/∂{x}" if len(z) <= 3 and len(x) <= 4 else "gradient"


def _sum(graph: Graph, node: Any) -> str:
    """`Σ 2 contributions: −5.0865 − 0.4678`, where several arrows come back to a node."""
    parts = graph.contributions(node)
    if len(parts) < 2:
        return ""
    if np.size(node.value) > 1:
        return f"Σ {len(parts)} contributions"
    terms = text.sum_of(p.item() for p in parts[:6])
    return f"Σ {len(parts)} contributions: {terms}{' …' if len(parts) > 6 else ''}"


def _tooltip(graph: Graph, node: Any) -> str:
    value = np.asarray(node.value)
    lines = [shorten(equation(graph, node), 200)]
    if node.index in graph.stale:
        lines.append("value: changed since an operation used it")
    else:
        lines.append(f"value: {_spelled(value)}")
    if node.tracked:
        g = graph.gradient.get(node.index)
        lines.append(f"gradient: {'not computed' if g is None else _spelled(g)}")
    if node.op is not None:
        for slot in graph.incoming.get(node.index, ()):
            if slot.flows:
                rule = graph.rule(slot) or f"by {node.op.name}"
                lines.append(f"rule: ∂{graph.name(slot.source)} ← {rule} (g = ∂{graph.name(node)})")
    origin = graph.origin(node)
    if origin:
        lines.append(f"made at {origin}")
    return "\n".join(lines)


def _spelled(value: Any) -> str:
    """An array in words: its numbers where they are few, else shape, range and mean."""
    if value.size == 1:
        return repr(float(value.item())).replace("-", "−")
    if value.size <= 9 and value.size:
        return np.array2string(value, precision=5, separator=", ").replace("\n", " ").replace("-", "−")
    if not value.size or value.dtype.kind not in "fiu":
        return f"{text.shape(value)}, {value.dtype}"
    return (
        f"{text.shape(value)}, {value.dtype}, from {number(value.min())} to {number(value.max())}, "
        f"mean {number(value.mean(dtype=float))}"
    )


# --- edges -----------------------------------------------------------------------------------------------------------


def _line(slot: Slot, ids: Ids, lanes: Lanes | None) -> Edge:
    running = lanes.on(slot.key) if lanes is not None else ()
    return Edge(
        id=ids.edges[slot.key],
        source=ids.nodes[slot.source.index],
        target=ids.nodes[slot.target.index],
        slot=slot.slot,
        lanes=running,
        kind="flow" if slot.flows else "constant",
        weight=lanes.weight(slot.key) if lanes is not None else 0.0,
        faint=lanes is not None and not lanes.passes(slot.key),
    )


def _labelled(graph: Graph, slot: Slot, edge: Edge, ids: Ids, show: Collection[str], lanes: Lanes | None) -> Edge:
    formula, result = local(graph, slot) if slot.flows else ("", "")
    label = " = ".join(dict.fromkeys(part for part in (formula, result) if part))
    if slot.target.index in ids.box:
        label = arrow_label(graph, slot.source, ids.box[slot.target.index])
    sizes = np.size(slot.target.value), np.size(slot.source.value)
    arrays = slot.flows and sizes != (1, 1) and slot.target.index not in ids.box and slot.source.index not in ids.box
    return dataclasses.replace(
        edge,
        label=label if "local" in show else "",
        detail=f"Jacobian {sizes[0]:,} × {sizes[1]:,}" if arrays and "local" in show else "",
        tooltip=_edge_tooltip(graph, slot, formula, result, lanes) if slot.flows else "no gradient flows here",
    )


def local(graph: Graph, slot: Slot) -> tuple[str, str]:
    """The local derivative of an arrow: formula and number of a scalar one, rule and shape of an array's."""
    x, y = slot.source, slot.target
    if np.size(x.value) == 1 and np.size(y.value) == 1:
        formula = (graph.slope(slot) or (f"∂{graph.name(y)}/∂{graph.name(x)}", 9))[0]
        if y.index in graph.broken:
            return shorten(formula, 26), "changed"
        return shorten(formula, 26), number(chain.local_derivative(chain.Edge(x, y, slot.slot)).value)
    return _array_rule(graph, slot), ""


def _array_rule(graph: Graph, slot: Slot) -> str:
    """What the arrow does to the gradient that comes back along it, with a dot in its place, as in `Wᵀ ·`."""
    node, rule = slot.target, graph.rule(slot, "·")
    if rule is None:
        return str(node.op.name)
    x, y = np.shape(slot.source.value), np.shape(node.value)
    stretch = ""
    if x != y and (node.op.kind == "elementwise" or (rule == "·" and math.prod(x) < math.prod(y))):
        stretch = _stretched(x, y)
    elif rule == "·" and np.prod(x) > np.prod(y):
        stretch = f"copied to {text.shape(slot.source.value)}"
    if rule == "·":
        return stretch or "1"
    rule = shorten(rule.removeprefix("· ") if rule.startswith("· ⊙") else rule, 120)
    return f"{rule}\n{stretch}" if stretch else rule


def _stretched(x: tuple[int, ...], y: tuple[int, ...]) -> str:
    """What the way back of broadcasting shape `x` to shape `y` adds up."""
    extra = len(y) - len(x)
    axes = [i for i, n in enumerate(y) if i < extra or x[i - extra] != n]
    what = "elements"
    if len(y) == 2 and len(axes) == 1:
        what = ("rows", "columns")[axes[0]]
    return f"sum over {math.prod(y[i] for i in axes)} {what}"


def _edge_tooltip(graph: Graph, slot: Slot, formula: str, result: str, lanes: Lanes | None) -> str:
    x, y = graph.name(slot.source), graph.name(slot.target)
    lines = [f"argument {slot.slot + 1} of {slot.target.op.name}: from {x} to {y}"]
    if result:
        lines.append(f"∂{y}/∂{x} = {formula} = {result}")
    else:
        sizes = np.size(slot.target.value), np.size(slot.source.value)
        lines.append(
            f"Jacobian {sizes[0]:,} × {sizes[1]:,}, never built: {formula or 'the identity'}".replace("\n", ", ")
        )
    part = graph.sent.get(slot.key)
    if part is not None and part.size == 1:
        lines.append(f"sends back {number(part.item())}")
    if lanes is not None:
        lines += lanes.flow_words(slot.key)
    return "\n".join(lines)


# --- words -----------------------------------------------------------------------------------------------------------


def warnings(graph: Graph) -> tuple[Note, ...]:
    """What is wrong with the graph, and what one should know about its gradients."""
    messages = list(graph.broken.values())
    notes = [Note(message, bad=True) for message in messages[:2]]
    if len(messages) > 2:
        notes.append(Note(f"The same holds for {len(messages) - 2} more operations", bad=True))
    stale = [graph.name(n) for n in graph.nodes if n.index in graph.stale]
    if stale:
        was, it = ("was", "it") if len(stale) == 1 else ("were", "them")
        notes.append(
            Note(f"{_listed(stale)} {was} changed after an operation had used {it}; the graph is of before", bad=True)
        )
    if not graph.root.tracked:
        notes.append(Note("No gradient flows here: nothing this was made from has requires_grad=True"))
    elif np.size(graph.root.value) != 1:
        name = graph.name(graph.root)
        notes.append(Note(f"{name} has {np.size(graph.root.value)} elements: the gradients are those of their sum"))
    return tuple(notes)


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:4]) + ([f"{len(names) - 4} more"] if len(names) > 4 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def describe(graph: Graph, lanes: Lanes | None, boxes: Sequence[Layer] = ()) -> str:
    """The picture in words, for readers who cannot see it."""
    made = [n for n in graph.nodes if n.op is not None]
    leaves = [n for n in graph.nodes if n.op is None]
    size = f"{len(made)} operation{'s' * (len(made) != 1)} from {len(leaves)} input{'s' * (len(leaves) != 1)}"
    lines = [f"{equation(graph, graph.root)}, computed by {size}."]
    lines += [f"Layer {layer.number}: {'; '.join(equations(graph, layer))}." for layer in boxes[:12]]
    inside = {node.index for layer in boxes for node in layer.nodes}
    others = [node for node in graph.nodes if node.index not in inside]
    for node in others[:12]:
        words = f"{equation(graph, node)} is {_worded(node, graph)}"
        g = graph.gradient.get(node.index)
        if g is not None and g.size == 1:
            words += f", gradient {number(g.item())}"
        parts = graph.contributions(node)
        if len(parts) > 1:
            words += f", the sum of {len(parts)} contributions"
        lines.append(words + ".")
    if len(others) > 12:
        lines.append(f"And {len(others) - 12} more nodes.")
    if lanes is not None:
        lines += lanes.words()
    return " ".join(lines)


def _worded(node: Any, graph: Graph) -> str:
    if node.index in graph.stale:
        return "changed since it was used"
    if np.size(node.value) == 1:
        return number(np.asarray(node.value).item())
    return f"an array of {text.shape(node.value)}"
