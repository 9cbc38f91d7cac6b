"""Where a layout has put boxes, lines, heads and labels: read from the SVG that an engine writes."""

from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from tinygrad_nn.view.text import measure

__all__ = ["Layout", "Line", "Point", "Rect", "along", "read"]

Point = tuple[float, float]
_SVG = "{http://www.w3.org/2000/svg}"
_NUMBER = re.compile(r"-?[\d.]+(?:e-?\d+)?")
_PIECES = 8  # straight ones, of each curve


@dataclass(frozen=True)
class Rect:
    """A rectangle; y goes down."""

    left: float
    top: float
    right: float
    bottom: float

    def grown(self, by: float) -> Rect:
        """With so much around it."""
        return Rect(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def holds(self, point: Point) -> bool:
        """Whether a point is in it."""
        return self.left < point[0] < self.right and self.top < point[1] < self.bottom

    def meets(self, other: Rect) -> bool:
        """Whether they have an area in common."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across > 0 and down > 0


@dataclass(frozen=True)
class Line:
    """The line of an arrow from its start to its end, as points; its head, and what is written on it."""

    id: str
    points: tuple[Point, ...]
    width: float
    heads: tuple[tuple[Point, ...], ...]
    labels: tuple[Rect, ...]

    @cached_property
    def around(self) -> Rect:
        """The rectangle in which the line is."""
        return _around(self.points) if self.points else Rect(0, 0, 0, 0)


@dataclass(frozen=True)
class Layout:
    """What has been laid out."""

    width: float
    boxes: dict[str, Rect]
    lines: tuple[Line, ...]


def read(drawn: bytes) -> Layout:
    """The layout of a picture that an engine has drawn."""
    root = ET.fromstring(drawn)
    boxes, lines = {}, []
    for group in root.iter(f"{_SVG}g"):
        kind, key = group.get("class", ""), group.get("id", "")
        if kind.startswith("node"):
            corners = [p for shape in group.iter() for p in _corners(shape)]
            if corners:
                boxes[key] = _around(corners)
        elif kind.startswith("edge"):
            lines.append(_line(key, group))
    width = float(root.get("viewBox", "0 0 0 0").split()[2])
    return Layout(width, boxes, tuple(lines))


def along(points: Sequence[Point], length: float) -> Point:
    """The point so far along a line; its end if it is shorter."""
    for a, b in itertools.pairwise(points):
        step = math.dist(a, b)
        if step >= length > 0:
            return a[0] + (b[0] - a[0]) * length / step, a[1] + (b[1] - a[1]) * length / step
        length -= step
    return points[-1]


def _around(points: Sequence[Point]) -> Rect:
    xs, ys = zip(*points, strict=True)
    return Rect(min(xs), min(ys), max(xs), max(ys))


def _corners(shape: ET.Element) -> list[Point]:
    """Of a path, a polygon or an ellipse."""
    tag = shape.tag.removeprefix(_SVG)
    if tag == "ellipse":
        x, y, rx, ry = (float(shape.get(name, 0)) for name in ("cx", "cy", "rx", "ry"))
        return [(x - rx, y - ry), (x + rx, y + ry)]
    return _points(shape.get({"path": "d", "polygon": "points", "polyline": "points"}.get(tag, ""), ""))


def _points(text: str) -> list[Point]:
    numbers = [float(n) for n in _NUMBER.findall(text)]
    return list(zip(numbers[::2], numbers[1::2], strict=False))


def _line(key: str, group: ET.Element) -> Line:
    points: list[Point] = []
    curves = [path for path in group.iter(f"{_SVG}path") if path.get("fill") == "none"]
    for path in curves:
        points += _curve(_points(path.get("d", "")))
    color, width = (curves[0].get("stroke"), float(curves[0].get("stroke-width", 1))) if curves else (None, 1.0)
    heads, labels = [], []
    for shape in group.iter():
        tag = shape.tag.removeprefix(_SVG)
        if tag in ("polygon", "polyline") and shape.get("stroke") == color:
            heads.append(tuple(_points(shape.get("points", ""))))
        elif tag == "polygon" and shape.get("fill") != "none":
            labels.append(_around(_corners(shape)))
        elif tag == "text" and (shape.text or "").strip():
            labels.append(_written(shape))
    return Line(key, tuple(points), width, tuple(heads), tuple(labels))


def _curve(controls: Sequence[Point]) -> Iterator[Point]:
    """Points along Bézier curves that begin where the ones before have ended."""
    for i in range(0, len(controls) - 3, 3):
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = controls[i : i + 4]
        for k in range(_PIECES + 1):
            t = k / _PIECES
            a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            yield a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3


def _written(shape: ET.Element) -> Rect:
    """The place of a text."""
    size, x, y = (float(shape.get(name, 0)) for name in ("font-size", "x", "y"))
    width = measure((shape.text or "").strip(), size, shape.get("font-weight") == "bold")
    left = x if shape.get("text-anchor") == "start" else x - width / 2
    return Rect(left, y - 0.72 * size, left + width, y + 0.1 * size)
