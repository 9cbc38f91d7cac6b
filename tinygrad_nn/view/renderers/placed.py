"""Pictures whose boxes have their places: columns as near as their labels let them, labels where they cover nothing."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from tinygrad_nn.view.renderers.dot_source import diameter
from tinygrad_nn.view.renderers.geometry import Point, Rect
from tinygrad_nn.view.renderers.style import Border, role_look
from tinygrad_nn.view.scene import Arrow, Box, Scene, Shape
from tinygrad_nn.view.text import measure

__all__ = ["placed"]

BARE, ROOM = 56.0, 26.0  # points between columns with no labels between them, and what is left beside a label
MARGIN, BESIDE, BEND = 3.0, 1.0, 7.0  # around a label, from its line, and from one of two lines between two boxes
FAINT = 0.3  # of that, for a faint line
STEPS = 24  # places along an arrow that are tried
COVERED, CROSSED, MOVED = 100.0, 4.0, 3.0  # what it costs to cover something, to be crossed, to stand elsewhere


@dataclasses.dataclass(frozen=True)
class _Label:
    """A label, its arrow, how far along that it stands, and how far to the left of it."""

    box: Box
    arrow: Arrow
    part: float
    side: float


def placed(scene: Scene, part: float = 1.0) -> Scene:
    """The scene with columns nearer to each other: at 1 as they are, at 0 as near as labels and boxes allow."""
    boxes = {box.id: box for box in scene.boxes if box.at and box.shape is not Shape.LABEL}
    labels = {box.id: _attached(box, scene.arrows, boxes) for box in scene.boxes if box.shape is Shape.LABEL}
    columns = _columns(boxes, [label for label in labels.values() if label is not None], part)
    boxes = {key: dataclasses.replace(box, at=(columns[box.at[0]], box.at[1])) for key, box in boxes.items()}
    taken = [_place(box) for box in boxes.values()]
    ends = [(_spot(boxes[a.source]), _spot(boxes[a.target]), FAINT if a.faint else 1.0) for a in scene.arrows]
    written: dict[str, Box] = {}
    for key, label in labels.items():
        if label is not None:
            written[key] = _written(label, boxes, taken, ends)
            taken.append(_place(written[key]))
    return dataclasses.replace(scene, boxes=tuple(written.get(b.id) or boxes.get(b.id) or b for b in scene.boxes))


def _attached(label: Box, arrows: Sequence[Arrow], boxes: Mapping[str, Box]) -> _Label | None:
    """A label with the arrow that it stands on."""
    arrow = next((arrow for arrow in arrows if (arrow.source, arrow.target) == label.on), None)
    if arrow is None:
        return None
    (x0, y0), (x1, y1) = boxes[arrow.source].at, boxes[arrow.target].at
    length = math.hypot(x1 - x0, y1 - y0)
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    x, y = label.at[0] - x0, label.at[1] - y0
    return _Label(label, arrow, (x * dx + y * dy) / length, y * dx - x * dy)


def _columns(boxes: Mapping[str, Box], labels: Sequence[_Label], part: float) -> dict[float, float]:
    """Where each column comes to stand."""
    old = sorted({box.at[0] for box in boxes.values()})
    half = {x: max(_size(box)[0] / 2 for box in boxes.values() if box.at[0] == x) for x in old}
    new = {old[0]: old[0]}
    for a, b in itertools.pairwise(old):
        between = [_size(k.box)[0] + ROOM for k in labels if (a, b) == _columns_of(k.arrow, boxes)]
        needed = half[a] + half[b] + max(between, default=BARE)
        least = needed if between else min(needed, b - a)
        new[b] = round(new[a] + least + max(0.0, b - a - least) * part, 1)
    return new


def _columns_of(arrow: Arrow, boxes: Mapping[str, Box]) -> tuple[float, ...]:
    return tuple(sorted((boxes[arrow.source].at[0], boxes[arrow.target].at[0])))


def _size(box: Box) -> tuple[float, float]:
    """About how large a box is."""
    if box.shape in (Shape.CIRCLE, Shape.SIGN):
        double = 8.0 if role_look(box.role).border is Border.DOUBLE else 0.0
        return diameter(box) * 72 + double, diameter(box) * 72 + double
    lines = box.title.split("\n")
    if box.shape is not Shape.CARD:
        return max(measure(line, 11) for line in lines) + 4, 15.0 * len(lines)
    title = measure(box.title, 13, bold=True) + measure(f"  {role_look(box.role).word}", 11) + 10
    fields = [measure(field.label, 11) + measure(field.text, 12) + 26 for field in box.fields]
    return max([title, *fields]) + 8, 34.0 + 22 * len(box.fields)


def _spot(box: Box) -> Point:
    return box.at[0], box.at[1]


def _place(box: Box) -> Rect:
    (x, y), (width, height) = box.at, _size(box)
    return Rect(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _written(
    label: _Label, boxes: Mapping[str, Box], taken: Sequence[Rect], lines: Sequence[tuple[Point, Point, float]]
) -> Box:
    """A label where it covers nothing, and few other lines cross it."""
    source, target = boxes[label.arrow.source], boxes[label.arrow.target]
    own = (_spot(source), _spot(target))
    others = [line for line in lines if line[:2] not in (own, own[::-1])]
    bend = BEND if len(lines) - len(others) > 1 else 0.0

    def crossed(place: Rect, start: Point, end: Point, weight: float) -> float:
        twice = sum({start, end} == {a, b} for a, b, _ in others) > 1
        return weight * _crosses(place.grown(BEND / 2) if twice else place, start, end)

    def cost(candidate: tuple[float, Box]) -> float:
        part, box = candidate
        place = _place(box).grown(MARGIN)
        covered = sum(place.meets(other) for other in taken)
        return (
            COVERED * covered + CROSSED * sum(crossed(place, *line) for line in others) + MOVED * abs(part - label.part)
        )

    return min(_along(label, *own, bend), key=cost)[1]


def _along(label: _Label, start: Point, end: Point, bend: float) -> Iterator[tuple[float, Box]]:
    """Places beside an arrow, on the side where the label is, or above it and below: no line goes through letters."""
    length = math.dist(start, end)
    dx, dy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    width, height = _size(label.box)
    away = (abs(dy) * width + abs(dx) * height) / 2 + BESIDE + bend
    above = math.copysign(away, dx or 1.0)
    sides = (math.copysign(away, label.side),) if abs(label.side) > 1 else (above, -above)
    for k, side in itertools.product(range(1, STEPS), sides):
        part = k / STEPS
        x, y = start[0] + dx * length * part - dy * side, start[1] + dy * length * part + dx * side
        yield part + (0.01 if side == -above else 0.0), dataclasses.replace(label.box, at=(round(x, 1), round(y, 1)))


def _crosses(place: Rect, start: Point, end: Point) -> bool:
    n = max(1, math.ceil(math.dist(start, end) / 4))
    dx, dy = end[0] - start[0], end[1] - start[1]
    return any(place.holds((start[0] + dx * k / n, start[1] + dy * k / n)) for k in range(n + 1))
