"""A picture in the making whose boxes are placed by hand: columns of units, arrows, and text where there is space."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from tinygrad_nn.view.scene import Arrow, Box, Role, Shape
from tinygrad_nn.view.text import measure

__all__ = ["ACROSS", "DOWN", "Canvas"]

ACROSS, DOWN = 235.0, 96.0  # between columns, and between the units of one, in points
STEPS = (0.0, -0.08, 0.08, -0.14, 0.14, 0.2, -0.2, 0.26, 0.32)  # along an arrow, tried for its label


class Canvas:
    """Boxes with their places, and arrows."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.arrows: list[Arrow] = []
        self.at: dict[str, tuple[float, float]] = {}
        self.labels: list[tuple[float, float, float, float]] = []  # middle, width and height

    def add(self, box: Box, x: float, y: float) -> str:
        """Put a box at a place, and return its id."""
        self.boxes.append(dataclasses.replace(box, at=(round(float(x), 1), round(float(y), 1))))
        self.at[box.id] = (x, y)
        return box.id

    def text(self, text: str, x: float, y: float, shape: Shape = Shape.TEXT, **fields: Any) -> None:
        """Write at a place."""
        self.add(Box(f"t{len(self.boxes)}", Role.TEXT, "", text, shape=shape, **fields), x, y)

    def title(self, text: str, x: float, rows: int) -> None:
        """Write above a column of so many units."""
        self.text(text, x, (rows - 1) / 2 * DOWN + 66, faint=True)

    def connect(self, source: str, target: str, **fields: Any) -> None:
        """Draw an arrow."""
        self.arrows.append(Arrow(f"e{len(self.arrows) + 1}", source, target, **fields))

    def label(self, text: str, source: str, target: str, part: float, side: float = 0.0, **fields: Any) -> None:
        """Write on an arrow, about `part` of the way along it and `side` points to its left, where there is space."""
        (x0, y0), (x1, y1) = self.at[source], self.at[target]
        length = math.hypot(x1 - x0, y1 - y0)
        normal = (y0 - y1) / length * side, (x1 - x0) / length * side
        lines = text.split("\n")
        width, height = max(measure(line, 11) for line in lines) + 4, 15.0 * len(lines)
        for step in STEPS:
            p = part + step
            x, y = x0 + (x1 - x0) * p + normal[0], y0 + (y1 - y0) * p + normal[1]
            if self._free(x, y, width, height):
                break
        self.labels.append((x, y, width, height))
        self.text(text, x, y, Shape.LABEL, on=(source, target), **fields)

    def _free(self, x: float, y: float, width: float, height: float) -> bool:
        return all(
            abs(x - other_x) > (width + w) / 2 or abs(y - other_y) > (height + h) / 2
            for other_x, other_y, w, h in self.labels
        )
