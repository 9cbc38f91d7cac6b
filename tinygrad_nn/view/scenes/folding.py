"""Large pictures made small: the middle becomes one box that says what it stands for."""

from __future__ import annotations

import dataclasses
from collections import Counter

from tinygrad_nn.view.scene import Edge, Node, Note, Row, Scene

__all__ = ["fold"]


def fold(scene: Scene, most: int, why: str = "") -> Scene:
    """The same picture with at most `most` boxes: beginning and end are kept, what lies between becomes one box.

    Cut is where the fewest arrows cross, so that repeated blocks stay whole.  The path table is untouched: its figures
    are those of the whole graph.  A picture that is small enough, or whose boxes have their places, is left alone.
    """
    if len(scene.nodes) <= most or any(node.at for node in scene.nodes):
        return scene
    order = _order(scene)
    most = max(most, 3)
    crossing = _crossings(scene, order)
    first = _cut(crossing, (most - 1) // 2, range_down=True)
    last = _cut(crossing, len(order) - (most - 1 - first), range_down=False)
    middle = order[first:last]
    box = _box(middle)
    inside = {node.id for node in middle}
    nodes = [*order[:first], box, *order[last:]]
    place = {node.id: i for i, node in enumerate(scene.nodes)}
    nodes.sort(key=lambda node: place.get(node.id, place[middle[0].id]))
    edges = _edges(scene, inside, box.id)
    groups = {node.group for node in nodes}
    groups |= {group.parent for group in scene.groups if group.id in groups}
    total = sum(node.count for node in scene.nodes)
    note = f"Folded: {box.count:,} of {total:,} nodes are drawn as one box; the figures are those of the whole graph"
    return dataclasses.replace(
        scene,
        nodes=tuple(nodes),
        edges=edges,
        groups=tuple(group for group in scene.groups if group.id in groups),
        notes=(*scene.notes, Note(f"{note} ({why})" if why else note)),
    )


def _order(scene: Scene) -> list[Node]:
    """As the nodes were computed, but inputs only just before they are used for the first time."""
    waiting: dict[str, list[str]] = {}
    for edge in scene.edges:
        waiting.setdefault(edge.target, []).append(edge.source)
    by_id = {node.id: node for node in scene.nodes}
    order: dict[str, Node] = {}
    for node in scene.nodes:
        if node.id in waiting:
            order |= {x: by_id[x] for x in waiting[node.id] if x not in order}
            order[node.id] = node
    return [*(node for node in scene.nodes if node.id not in order), *order.values()]


def _crossings(scene: Scene, order: list[Node]) -> list[int]:
    """How many arrows lead across each place between two nodes."""
    place = {node.id: i for i, node in enumerate(order)}
    change = [0] * (len(order) + 1)
    for edge in scene.edges:
        change[place[edge.source] + 1] += 1
        change[place[edge.target] + 1] -= 1
    counts, here = [], 0
    for step in change:
        here += step
        counts.append(here)
    return counts


def _cut(crossing: list[int], near: int, range_down: bool) -> int:
    """The place with the fewest crossings within a third of the way from `near` to the end that is kept."""
    if range_down:
        candidates = range(near, max(near - max(near // 3, 4), 0), -1)
    else:
        kept = len(crossing) - 1 - near
        candidates = range(near, min(near + max(kept // 3, 4), len(crossing) - 1))
    return min(candidates, key=lambda i: crossing[i])


def _box(middle: list[Node]) -> Node:
    kinds = Counter()  # type: Counter[str]
    for node in middle:
        kinds[node.kind or node.role] += 1 if node.kind == "layer" else node.count
    total = sum(node.count for node in middle)
    shown = [f"{n:,} × {kind}" for kind, n in kinds.most_common(6)]
    rows = [Row("", text) for text in shown] + ([Row("", f"{len(kinds) - 6} more kinds")] if len(kinds) > 6 else [])
    title = f"… {total:,} nodes"
    groups = {node.group for node in middle}
    return Node(
        "fold", "fold", title, title, tuple(rows), count=total, kind="folded",
        tooltip=f"{title}, from {middle[0].title} to {middle[-1].title}",
        group=groups.pop() if len(groups) == 1 else "",
    )  # fmt: skip


def _edges(scene: Scene, inside: set[str], box: str) -> tuple[Edge, ...]:
    """Arrows into and out of the box; where there are many from or to the same node, one for all."""
    kept: list[Edge] = []
    bundles: dict[tuple[str, str], list[Edge]] = {}
    for edge in scene.edges:
        source, target = (box if end in inside else end for end in (edge.source, edge.target))
        if source == target == box:
            continue
        if box in (source, target):
            bundles.setdefault((source, target), []).append(dataclasses.replace(edge, source=source, target=target))
        else:
            kept.append(edge)
    for bundle in bundles.values():
        if len(bundle) <= 3:
            kept += bundle
            continue
        lanes = sorted({k for edge in bundle for k in edge.lanes})
        kept.append(
            dataclasses.replace(
                bundle[0], lanes=tuple(lanes), label=f"{len(bundle):,} arrows", count=len(bundle),
                tooltip=f"{len(bundle):,} arrows", weight=max(edge.weight for edge in bundle),
                kind="flow" if any(edge.kind == "flow" for edge in bundle) else bundle[0].kind,
            )
        )  # fmt: skip
    return tuple(sorted(kept, key=lambda edge: int(edge.id[1:])))
