"""`detail="ops"`: one box for each operation, one arrow for each argument slot; "layers": one for each of these."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.view.graph.computation import CHANGED, ComputationGraph, Slot
from tinygrad_nn.view.graph.highlighted_paths import HighlightedPaths
from tinygrad_nn.view.graph.network import Layer, layers_in
from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Cluster, Note, Role, Scene
from tinygrad_nn.view.scenes.contents import Contents
from tinygrad_nn.view.scenes.folding import fold, readable
from tinygrad_nn.view.scenes.layers import layer_box
from tinygrad_nn.view.scenes.path_table import path_table
from tinygrad_nn.view.scenes.request import Request
from tinygrad_nn.view.text import layer_of

__all__ = ["Ids", "layers_scene", "operations", "operations_scene"]

MOST, FEWEST = 250, 16  # boxes: where nobody says, and where there is no time for more
DATA = {"X", "x", "A⁰"}  # names of what goes into a network


def operations_scene(graph: ComputationGraph, asked: Request) -> Scene:
    """The picture of a graph, operation by operation."""
    boxed = [layer for layer in layers_in(graph) if layer.number in asked.fold]
    scene = operations(graph, asked.paths(graph), asked.show, boxed, asked.most or 40, asked.deadline)
    if boxed or not layers_in(graph):
        return scene
    simpler = layers_scene(graph, asked)
    note = Note("Each dense layer is one box, as its operations are wider than the picture; width= makes room for them")
    return dataclasses.replace(scene, simpler=dataclasses.replace(simpler, notes=(*simpler.notes, note)))


def layers_scene(graph: ComputationGraph, asked: Request) -> Scene:
    """The same with every dense layer as one box."""
    return operations(graph, asked.paths(graph), asked.show, layers_in(graph), asked.most or 16, asked.deadline)


class Ids:
    """The ids of a picture: n1, n2 ... in order of creation, e1, e2 ... in order of their targets and slots.

    All nodes of a layer that is drawn as one box have the id of the box.
    """

    def __init__(self, graph: ComputationGraph, boxed: Sequence[Layer] = ()):
        self.layer = {node.index: layer for layer in boxed for node in layer.nodes}
        self.nodes = {node.index: f"n{i}" for i, node in enumerate(graph.nodes, 1)}
        self.layers = {self.nodes[layer.Z.index]: layer for layer in boxed}
        for layer in boxed:
            self.nodes |= dict.fromkeys((node.index for node in layer.nodes), self.nodes[layer.Z.index])
        self.arrows = {slot.key: f"e{i}" for i, slot in enumerate(graph.slots, 1)}


def operations(
    graph: ComputationGraph,
    paths: HighlightedPaths | None,
    show: Collection[str],
    boxed: Sequence[Layer] = (),
    most: int | None = None,
    deadline: float = math.inf,
) -> Scene:
    """The picture of a graph, operation by operation; some dense layers as one box each.

    First the bare picture, which is folded if it has more than `most` boxes; only what is left of it is filled.  Where
    that would take longer than the deadline, by time.monotonic, it is folded to what can be filled in the time.
    """
    ids = Ids(graph, boxed)
    layers = _layers_by_name(graph)
    bare = Scene(
        title=f"{'Layers' if boxed else 'Computation graph'} of {graph.equation(graph.root)}",
        boxes=tuple(_outline(graph, node, ids, layers) for node in graph.nodes if _drawn(node, ids, show)),
        arrows=tuple(_line(slot, ids, paths) for slot in graph.slots if _drawn_between(slot, ids, show)),
        clusters=tuple(Cluster(f"layer{k}", f"layer {k}") for k in sorted(set(layers.values()))),
        table=path_table(paths) if paths is not None else None,
        notes=_warnings(graph),
    )
    filling = _Filling(graph, ids, show, paths)
    whole = fold(bare, most or readable(bare, MOST))
    filled = filling.filled(whole, deadline)
    if filled is not None:
        return filled
    late = "it takes too long to write that many boxes"
    return filling.filled(fold(bare, max(filling.affordable, FEWEST), late)) or bare


class _Filling:
    """Fills what is left of a bare picture; what it has filled once it keeps."""

    def __init__(
        self, graph: ComputationGraph, ids: Ids, show: Collection[str], paths: HighlightedPaths | None
    ) -> None:
        self.graph, self.ids, self.show, self.paths = graph, ids, show, paths
        self.contents = Contents(graph, show, paths)
        self.nodes = {ids.nodes[node.index]: node for node in graph.nodes if node.index not in ids.layer}
        self.slots = {ids.arrows[slot.key]: slot for slot in graph.slots}
        self.affordable = 0  # boxes

    def filled(self, bare: Scene, deadline: float = math.inf) -> Scene | None:
        """The scene with all that it says; None if that took too long."""
        incoming: dict[str, list[Arrow]] = {}
        for arrow in bare.arrows:
            incoming.setdefault(arrow.target, []).append(arrow)
        boxes: list[Box] = []
        arrows: dict[str, Arrow] = {}
        for box in bare.boxes:
            boxes.append(self._box(box))
            arrows |= {arrow.id: self._arrow(arrow) for arrow in incoming.get(box.id, ())}
            if time.monotonic() > deadline:
                self.affordable = len(boxes) // 4
                return None
        used = {box.cluster for box in boxes}
        clusters = tuple(cluster for cluster in bare.clusters if cluster.id in used)
        written = tuple(arrows[arrow.id] for arrow in bare.arrows)
        return dataclasses.replace(bare, boxes=tuple(boxes), arrows=written, clusters=clusters)

    def _box(self, box: Box) -> Box:
        if box.id in self.nodes:
            return self.contents.box(self.nodes[box.id], box)
        if box.id in self.ids.layers:
            return layer_box(self.graph, self.ids.layers[box.id], box, self.show, self.paths)
        return box

    def _arrow(self, arrow: Arrow) -> Arrow:
        return arrow if arrow.count > 1 else self.contents.arrow(self.slots[arrow.id], arrow, self.ids.layer)


def _warnings(graph: ComputationGraph) -> tuple[Note, ...]:
    """What is wrong with the graph, and what one should know about its gradients."""
    messages = list(dict.fromkeys(graph.broken.values()))
    if graph.released:
        messages = messages[-1:]  # the result's says it for all
    notes = [Note(message, bad=True) for message in messages[:2]]
    if len(messages) > 2:
        notes.append(Note(f"The same holds for {len(messages) - 2} more operations", bad=True))
    stale = [graph.name(n) for n in graph.nodes if graph.stale.get(n.index) == CHANGED]
    if stale:
        was, it = ("was", "it") if len(stale) == 1 else ("were", "them")
        after = f"{was} changed after an operation had used {it}; the graph is of before"
        notes.append(Note(f"{_listed(stale)} {after}", bad=True))
    if not graph.root.tracked:
        notes.append(Note("No gradient flows here: nothing this was made from has requires_grad=True"))
    elif np.size(graph.root.value) != 1:
        name = graph.name(graph.root)
        notes.append(Note(f"{name} has {np.size(graph.root.value)} elements: the gradients are those of their sum"))
    return tuple(notes)


def _listed(names: list[str]) -> str:
    shown = [*names[:4], f"{len(names) - 4} more"] if len(names) > 4 else names
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _drawn(node: Any, ids: Ids, show: Collection[str]) -> bool:
    if node.index in ids.layer:
        return node is ids.layer[node.index].Z
    return "constants" in show or node.tracked or node.op is not None


def _drawn_between(slot: Slot, ids: Ids, show: Collection[str]) -> bool:
    if ids.nodes[slot.source.index] == ids.nodes[slot.target.index]:
        return False
    return slot.source.index in ids.layer or _drawn(slot.source, ids, show)


def _role(graph: ComputationGraph, node: Any) -> Role:
    """What a node is in its graph."""
    if node.op is not None:
        return Role.OUTPUT if node is graph.root else Role.OPERATION
    name = node.name or ""
    if node.tracked:
        return Role.INPUT if layer_of(name) is None else Role.PARAMETER
    return Role.INPUT if name in DATA else Role.CONSTANT


def _layers_by_name(graph: ComputationGraph) -> dict[Any, int]:
    """The layer of each node, by its index: from names like W¹ and Z¹, and for what lies between, from its user."""
    layers: dict[Any, int] = {}
    for node in reversed(graph.nodes):
        layer = layer_of(node.name or "")
        users = {layers.get(s.target.index) for s in graph.outgoing.get(node.index, ())}
        if layer is None and node.op is not None and not node.name and len(users) == 1:
            (layer,) = users
        if layer:
            layers[node.index] = layer
    return layers


def _outline(graph: ComputationGraph, node: Any, ids: Ids, layers: dict[Any, int]) -> Box:
    key, name, layer = ids.nodes[node.index], graph.name(node), layers.get(node.index)
    if node.index in ids.layer:
        return Box(key, Role.LAYER, name, name, kind="layer", count=len(ids.layer[node.index].nodes))
    kind = node.op.name if node.op is not None else ""
    return Box(
        key,
        _role(graph, node),
        name,
        name,
        cluster=f"layer{layer}" if layer else "",
        kind=kind,
        numbered=graph.numbered(node),
    )


def _line(slot: Slot, ids: Ids, paths: HighlightedPaths | None) -> Arrow:
    key, kind = slot.key, ArrowKind.FLOW if slot.flows else ArrowKind.CONSTANT
    ends = ids.arrows[key], ids.nodes[slot.source.index], ids.nodes[slot.target.index]
    if paths is None:
        return Arrow(*ends, slot=slot.slot, kind=kind)
    lanes, flow, faint = paths.lanes_on(key), paths.flow(key), not paths.pass_along(key)
    return Arrow(*ends, slot=slot.slot, kind=kind, lanes=lanes, flow=flow, faint=faint)
