"""`detail="ops"`: one box for each operation, one arrow for each argument slot; "layers": one for each of these."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.view.graph.computation import ComputationGraph, Slot
from tinygrad_nn.view.graph.gradient_flow import GradientFlow
from tinygrad_nn.view.graph.highlighted_paths import HighlightedPaths
from tinygrad_nn.view.graph.network import Layer, layers_in
from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Cluster, Note, Role, Scene, Table, noted
from tinygrad_nn.view.scenes.contents import Contents
from tinygrad_nn.view.scenes.descent_table import descent_table
from tinygrad_nn.view.scenes.folding import fold
from tinygrad_nn.view.scenes.layers import layer_box
from tinygrad_nn.view.scenes.path_table import path_table
from tinygrad_nn.view.scenes.remarks import remarks
from tinygrad_nn.view.scenes.request import Request
from tinygrad_nn.view.text import layer_of, listed

__all__ = ["Ids", "layers_scene", "operations", "operations_scene", "role"]

MOST = 40  # boxes, where nobody says
FEWEST = 16  # where they are layers, or there is no time for more
DATA = {"X", "x", "A⁰"}  # names of what goes into a network


def operations_scene(graph: ComputationGraph, asked: Request) -> Scene:
    """The picture of a graph, operation by operation."""
    boxed = [layer for layer in layers_in(graph) if layer.number in asked.fold]
    scene = operations(graph, asked.paths(graph), asked.show, boxed, asked.most or MOST, asked.deadline)
    if boxed or not layers_in(graph):
        return scene
    note = "Each dense layer is one box, as its operations are wider than the picture; width= makes room for them"
    return dataclasses.replace(scene, simpler=noted(layers_scene(graph, asked), note))


def layers_scene(graph: ComputationGraph, asked: Request) -> Scene:
    """The same with every dense layer as one box."""
    return operations(graph, asked.paths(graph), asked.show, layers_in(graph), asked.most or FEWEST, asked.deadline)


class Ids:
    """The ids of a picture: n1, n2 ... in order of creation, e1, e2 ... in order of their targets and slots.

    All nodes of a layer that is drawn as one box have the id of the box.
    """

    def __init__(self, graph: ComputationGraph, boxed: Sequence[Layer] = ()):
        self.layer = {node.index: layer for layer in boxed for node in layer.nodes}
        self.nodes = {node.index: graph.key(node) for node in graph.nodes}
        self.layers = {self.nodes[layer.Z.index]: layer for layer in boxed}
        for layer in boxed:
            self.nodes |= dict.fromkeys((node.index for node in layer.nodes), self.nodes[layer.Z.index])
        self.arrows = {slot.key: f"e{i}" for i, slot in enumerate(graph.slots, 1)}


def operations(
    graph: ComputationGraph,
    paths: HighlightedPaths | GradientFlow | None,
    show: Collection[str],
    boxed: Sequence[Layer],
    most: int,
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
        table=_table(paths),
        notes=(*remarks(graph), *_offered(graph, show, paths)),
    )
    filling = _Filling(graph, ids, show, paths)
    whole = fold(bare, most)
    filled = filling.filled(whole, deadline)
    if filled is not None:
        return filled
    late = "it takes too long to write that many boxes"
    return filling.filled(fold(bare, max(filling.affordable, FEWEST), late)) or bare


def _table(paths: HighlightedPaths | GradientFlow | None) -> Table | None:
    if isinstance(paths, GradientFlow):
        return descent_table(paths)
    return None if paths is None else path_table(paths)


def _offered(graph: ComputationGraph, show: Collection[str], paths: Any) -> tuple[Note, ...]:
    """From which inputs paths could be shown, where nobody said so."""
    inputs = [graph.name(node) for node in graph.nodes if node.tracked and node.op is None and node is not graph.root]
    if paths is not None or "paths" not in show or len(inputs) < 2 or np.size(graph.root.value) != 1:
        return ()
    return (Note(f"For the paths from one input, give wrt= it: {listed(inputs, 8)}", call=True),)


class _Filling:
    """Fills what is left of a bare picture; what it has filled once it keeps."""

    def __init__(
        self, graph: ComputationGraph, ids: Ids, show: Collection[str], paths: HighlightedPaths | GradientFlow | None
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


def _drawn(node: Any, ids: Ids, show: Collection[str]) -> bool:
    if node.index in ids.layer:
        return node is ids.layer[node.index].Z
    return "constants" in show or node.tracked or node.op is not None


def _drawn_between(slot: Slot, ids: Ids, show: Collection[str]) -> bool:
    if ids.nodes[slot.source.index] == ids.nodes[slot.target.index]:
        return False
    return slot.source.index in ids.layer or _drawn(slot.source, ids, show)


def role(graph: Any, node: Any) -> Role:
    """What a node is in its graph, or in a point of one."""
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
        role(graph, node),
        name,
        name,
        cluster=f"layer{layer}" if layer else "",
        kind=kind,
        numbered=graph.numbered(node),
    )


def _line(slot: Slot, ids: Ids, paths: HighlightedPaths | GradientFlow | None) -> Arrow:
    key, kind = slot.key, ArrowKind.FLOW if slot.flows else ArrowKind.CONSTANT
    ends = ids.arrows[key], ids.nodes[slot.source.index], ids.nodes[slot.target.index]
    if paths is None:
        return Arrow(*ends, slot=slot.slot, kind=kind)
    lanes, flow, faint = paths.lanes_on(key), paths.flow(key), not paths.pass_along(key)
    return Arrow(*ends, slot=slot.slot, kind=kind, lanes=lanes, flow=flow, faint=faint)
