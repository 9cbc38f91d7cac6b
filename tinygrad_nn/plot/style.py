"""Figures that a notebook shows, and how lines and points of one kind differ from others."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["COLOURS", "MARKERS", "ShownAxes", "ShownFigure", "axes", "style"]

# Okabe and Ito's colours, which colour-blind readers can tell apart; a dash or a marker always says the same.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6F00", "#000000"]
_DASHES = ["-", (0, (5, 2)), (0, (1, 1)), (0, (5, 2, 1, 2)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 2)), "-"]
MARKERS = "o^sDvPX*"


class ShownFigure(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        return _png(self)


class ShownAxes(Axes):
    """Axes that show the figure they are in."""

    def _repr_png_(self) -> bytes:
        return _png(self.figure)


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()


def style(i: int) -> dict[str, Any]:
    """Colour and dash of the i-th line."""
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": _DASHES[i % len(_DASHES)]}


def axes(ax: Axes | None, size: tuple[float, float] = (5.0, 4.0)) -> Axes:
    """Axes to draw into: those given, or new ones in a figure of this size in inches."""
    if ax is not None:
        return ax
    return ShownFigure(figsize=size, layout="constrained").add_subplot(axes_class=ShownAxes)
