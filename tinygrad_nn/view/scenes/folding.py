"""Large pictures made small: the middle becomes one box that says what it stands for."""

from __future__ import annotations

import dataclasses
from collections import Counter

from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Field, Note, Role, Scene

__all__ = ["fold"]


def fold(scene: Scene, most: int, why: str = "") -> Scene:
    """The same picture with at most `most` boxes: beginning and end are kept, what lies between becomes one box.

    Cut is where the fewest arrows cross, so that repeated blocks stay whole.  The path table is untouched: its figures
    are those of the whole graph.  A picture that is small enough, or whose boxes have their places, is left alone.
    """
    if len(scene.boxes) <= most or scene.placed:
        return scene
    order = _order(scene)
    most = max(most, 3)
    crossings = _crossings(scene, order)
    first = _cut(crossings, (most - 1) // 2, towards_start=True)
    last = _cut(crossings, len(order) - (most - 1 - first), towards_start=False)
    middle = order[first:last]
    folded = _folded(middle)
    place = {box.id: i for i, box in enumerate(scene.boxes)}
    boxes = [*order[:first], folded, *order[last:]]
    boxes.sort(key=lambda box: place.get(box.id, place[middle[0].id]))
    used = {box.cluster for box in boxes}
    used |= {cluster.parent for cluster in scene.clusters if cluster.id in used}
    total = sum(box.count for box in scene.boxes)
    note = f"Folded: {folded.count:,} of {total:,} nodes are drawn as one box; the figures are those of the whole graph"
    return dataclasses.replace(
        scene,
        boxes=tuple(boxes),
        arrows=_arrows(scene, {box.id for box in middle}, folded.id),
        clusters=tuple(cluster for cluster in scene.clusters if cluster.id in used),
        notes=(*scene.notes, Note(f"{note} ({why})" if why else note)),
    )


def _order(scene: Scene) -> list[Box]:
    """As the nodes were computed, but inputs only just before they are used for the first time."""
    sources: dict[str, list[str]] = {}
    for arrow in scene.arrows:
        sources.setdefault(arrow.target, []).append(arrow.source)
    by_id = {box.id: box for box in scene.boxes}
    order: dict[str, Box] = {}
    for box in scene.boxes:
        if box.id in sources:
            order |= {x: by_id[x] for x in sources[box.id] if x not in order}
            order[box.id] = box
    return [*(box for box in scene.boxes if box.id not in order), *order.values()]


def _crossings(scene: Scene, order: list[Box]) -> list[int]:
    """How many arrows lead across each place between two boxes."""
    place = {box.id: i for i, box in enumerate(order)}
    change = [0] * (len(order) + 1)
    for arrow in scene.arrows:
        change[place[arrow.source] + 1] += 1
        change[place[arrow.target] + 1] -= 1
    counts, here = [], 0
    for step in change:
        here += step
        counts.append(here)
    return counts


def _cut(crossings: list[int], near: int, towards_start: bool) -> int:
    """The place with the fewest crossings within a third of the way from `near` to the end that is kept."""
    if towards_start:
        candidates = range(near, max(near - max(near // 3, 4), 0), -1)
    else:
        kept = len(crossings) - 1 - near
        candidates = range(near, min(near + max(kept // 3, 4), len(crossings) - 1))
    return min(candidates, key=lambda i: crossings[i])


def _folded(middle: list[Box]) -> Box:
    """The box that stands for many, with how many there are of each kind."""
    kinds: Counter[str] = Counter()
    for box in middle:
        kinds[box.kind or box.role] += 1 if box.kind == "layer" else box.count
    fields = [Field("", f"{n:,} × {kind}") for kind, n in kinds.most_common(6)]
    if len(kinds) > 6:
        fields.append(Field("", f"{len(kinds) - 6} more kinds"))
    total = sum(box.count for box in middle)
    title = f"… {total:,} nodes"
    clusters = {box.cluster for box in middle}
    return Box(
        "fold",
        Role.FOLD,
        title,
        title,
        tuple(fields),
        tooltip=f"{title}, from {middle[0].title} to {middle[-1].title}",
        cluster=clusters.pop() if len(clusters) == 1 else "",
        count=total,
        kind="folded",
    )


def _arrows(scene: Scene, inside: set[str], folded: str) -> tuple[Arrow, ...]:
    """Arrows into and out of the box; where there are many from or to the same one, one for all."""
    kept: list[Arrow] = []
    bundles: dict[tuple[str, str], list[Arrow]] = {}
    for arrow in scene.arrows:
        source, target = (folded if end in inside else end for end in (arrow.source, arrow.target))
        if source == target == folded:
            continue
        if folded in (source, target):
            bundles.setdefault((source, target), []).append(dataclasses.replace(arrow, source=source, target=target))
        else:
            kept.append(arrow)
    for bundle in bundles.values():
        kept += bundle if len(bundle) <= 3 else [_bundled(bundle)]
    return tuple(sorted(kept, key=lambda arrow: int(arrow.id[1:])))


def _bundled(bundle: list[Arrow]) -> Arrow:
    """One arrow for many."""
    words = f"{len(bundle):,} arrows"
    return dataclasses.replace(
        bundle[0],
        lanes=tuple(sorted({k for arrow in bundle for k in arrow.lanes})),
        label=words,
        count=len(bundle),
        tooltip=words,
        weight=max(arrow.weight for arrow in bundle),
        flow=max((arrow.flow for arrow in bundle), key=abs),
        kind=ArrowKind.FLOW if any(arrow.kind is ArrowKind.FLOW for arrow in bundle) else bundle[0].kind,
    )
