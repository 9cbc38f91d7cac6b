"""What makes a layout hard to read: heads that other lines run through, lines through boxes, labels on each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping

from tinygrad_nn.view.renderers.geometry import Layout, Line, Point

__all__ = ["cost"]

CLEAR, CLEAR_LANE = 14.0, 8.0  # points that a line stays away from the head of another arrow, and of its own lanes
APART = 6.0  # between the heads of two arrows
HEAD, THROUGH, COVERED, CUT = (
    20.0,
    20.0,
    20.0,
    2.0,
)  # what each kind of fault costs: more than any space, but for the last


def cost(layout: Layout, ends: Mapping[str, Collection[str]]) -> float:
    """How hard a layout is to read: 0 if nothing is wrong.  `ends` are the boxes at the ends of each line."""
    return (
        HEAD * sum(1 for _ in _covered_heads(layout))
        + THROUGH * sum(1 for _ in _through_boxes(layout, ends))
        + COVERED * sum(1 for _ in _covered_labels(layout))
        + CUT * sum(1 for _ in _cut_labels(layout))
    )


def _covered_heads(layout: Layout) -> Iterator[tuple[str, str]]:
    for line, other in itertools.permutations(layout.lines, 2):
        clear = CLEAR_LANE if line.id.split(".")[0] == other.id.split(".")[0] else CLEAR
        for head in line.heads:
            if _near(other, _middle(head), clear):
                yield line.id, other.id
                break
            if line.id < other.id and any(math.dist(_tip(head), _tip(h)) < APART for h in other.heads):
                yield line.id, other.id
                break


def _middle(head: tuple[Point, ...]) -> Point:
    corners = set(head)
    return sum(x for x, _ in corners) / len(corners), sum(y for _, y in corners) / len(corners)


def _tip(head: tuple[Point, ...]) -> Point:
    """Graphviz draws a head from one side to the tip and the other side."""
    return head[1] if len(head) > 1 else head[0]


def _near(line: Line, point: Point, distance: float) -> bool:
    return line.around.grown(distance).holds(point) and any(
        _distance(point, a, b) < distance for a, b in itertools.pairwise(line.points)
    )


def _distance(p: Point, a: Point, b: Point) -> float:
    """Of a point from a straight piece of a line."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    squared = dx * dx + dy * dy
    t = 0.0 if not squared else max(0.0, min(1.0, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / squared))
    return math.dist(p, (a[0] + t * dx, a[1] + t * dy))


def _through_boxes(layout: Layout, ends: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
    for line in layout.lines:
        for key, place in layout.boxes.items():
            foreign = key not in ends.get(line.id, ()) and line.around.meets(place)
            if foreign and any(map(place.grown(-1).holds, line.points)):
                yield line.id, key


def _covered_labels(layout: Layout) -> Iterator[tuple[str, str]]:
    for line, other in itertools.combinations(layout.lines, 2):
        if any(a.meets(b) for a in line.labels for b in other.labels):
            yield line.id, other.id
    for line in layout.lines:
        for key, place in layout.boxes.items():
            if any(label.meets(place) for label in line.labels):
                yield line.id, key


def _cut_labels(layout: Layout) -> Iterator[tuple[str, str]]:
    """Labels that a line runs through, or nearly."""
    for line, other in itertools.product(layout.lines, repeat=2):
        for label in line.labels:
            wide = label.grown(1.5 + other.width / 2)
            if wide.meets(other.around.grown(1)) and any(map(wide.holds, _denser(other))):
                yield line.id, other.id
                break


def _denser(line: Line) -> Iterator[Point]:
    """Points at most about 4 apart."""
    for a, b in itertools.pairwise(line.points):
        n = max(1, math.ceil(math.dist(a, b) / 4))
        yield from ((a[0] + (b[0] - a[0]) * k / n, a[1] + (b[1] - a[1]) * k / n) for k in range(n))
