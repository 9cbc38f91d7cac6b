"""The look of plots, which is that of the pictures, light and dark; ticks are numbers that people read."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from tinygrad_nn.notation import superscript
from tinygrad_nn.view.renderers.style import LANES, dark, tint, variables

__all__ = [
    "MARKERS", "Look", "ShownAxes", "ShownFigure", "axes", "dress", "legend", "look_for", "plain", "readable", "tick",
]  # fmt: skip

_DASHES = [
    "-",
    (0, (5, 2)),
    (0, (1, 1)),
    (0, (5, 2, 1, 2)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (2, 2)),
    (0, (1, 3)),
]
MARKERS = "o^sDvPX*"
# After the four of the pictures: yellow, light blue, olive, and the colour of letters (Okabe and Ito).
_FURTHER = {
    "light": ["#e69f00", "#56b4e9", "#7a6f00", "#0f172a"],
    "dark": ["#f5d76e", "#9d9bff", "#b5b35c", "#e2e8f0"],
}


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


@dataclass(frozen=True)
class Look:
    """The colours of one theme; colour-blind readers can tell them apart, and a dash or marker always says the same."""

    theme: str

    def __getattr__(self, name: str) -> str:
        """A colour of the pictures by its name: ink, quiet, pale, soft, paper, bad, good."""
        try:
            return _NAMED[self.theme][name]
        except KeyError:
            raise AttributeError(name) from None

    @cached_property
    def colours(self) -> list[str]:
        """Of lines and classes, in their order."""
        return [_NAMED[self.theme][f"lane{k + 1}"] for k in range(len(LANES))] + _FURTHER[self.theme]

    def colour(self, i: int) -> str:
        """Of the i-th line or class."""
        return self.colours[i % len(self.colours)]

    def line(self, i: int) -> dict[str, Any]:
        """Colour and dash of the i-th line: both together come again after 64."""
        return {"color": self.colour(i), "linestyle": _DASHES[(i + i // len(self.colours)) % len(_DASHES)]}

    def points(self, i: int) -> dict[str, Any]:
        """Colour, marker and rim of the points of the i-th class."""
        return {"color": self.colour(i), "marker": MARKERS[i % len(MARKERS)], "edgecolor": self.paper, "linewidth": 0.6}

    def sign(self, positive: Any) -> str:
        """The colour of a sign, as in pictures."""
        return self.colour(0 if positive else 1)

    @cached_property
    def signs(self) -> ListedColormap:
        """From below zero over zero to above it."""
        colours = [tint(x, 1.0) for x in np.linspace(-1, 1, 255)]
        if self.theme == "dark":
            colours = [dark(f'"{colour}"')[1:-1] for colour in colours]
        return ListedColormap(colours, "signs")

    @cached_property
    def amounts(self) -> LinearSegmentedColormap:
        """From nothing, which is the paper, to all."""
        return LinearSegmentedColormap.from_list("amounts", [self.paper, self.colour(0)])

    @cached_property
    def heights(self) -> LinearSegmentedColormap:
        """Of a surface under lines: from the paper to the colour of letters."""
        return LinearSegmentedColormap.from_list("heights", [self.paper, self.quiet])


_NAMED = {theme: variables(theme) for theme in ("light", "dark")}


def look_for(theme: str | None, ax: Axes | None = None) -> Look:
    """The look of this theme; of None, the one that suits the background."""
    if theme is None:
        background = matplotlib.rcParams["figure.facecolor"] if ax is None else ax.get_facecolor()
        if ax is not None and ax.patch.get_alpha() == 0:
            background = ax.figure.get_facecolor()
        theme = "dark" if np.dot(to_rgb(background), (0.3, 0.6, 0.1)) < 0.45 else "light"
    if theme not in _NAMED:
        raise ValueError(f"plot: theme={theme!r:.40}, expected 'light', 'dark', or None for what suits the background")
    return Look(theme)


def axes(ax: Axes | None, theme: str | None = None, size: tuple[float, float] = (5.0, 4.0)) -> tuple[Axes, Look]:
    """Axes to draw into and their look: those given, or new ones in a figure of this size in inches.

    Given axes stay dressed as they are, unless a theme is asked for.
    """
    look = look_for(theme, ax)
    if ax is None:
        figure = ShownFigure(figsize=size, layout="constrained", facecolor=look.paper)
        ax = figure.add_subplot(axes_class=ShownAxes)
        dress(ax, look)
    elif theme is not None:
        ax.figure.set_facecolor(look.paper)
        dress(ax, look)
    return ax, look


def dress(ax: Axes, look: Look, grid: bool = False) -> None:
    """Give axes this look: two quiet edges, small ticks, letters in ink."""
    ax.set_facecolor(look.paper)
    for side, spine in ax.spines.items():
        spine.set(edgecolor=look.soft, visible=side in ("left", "bottom"))
    ax.tick_params(which="both", color=look.soft, labelcolor=look.quiet, labelsize=8.5, length=3)
    for text, size in ((ax.xaxis.label, 9.5), (ax.yaxis.label, 9.5), (ax.title, 10.5)):
        text.set(color=look.ink, fontsize=size)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(color=look.soft, linewidth=0.5, alpha=0.6)


def legend(ax: Axes, look: Look, **settings: Any) -> Any:
    """A legend on the paper, without a frame."""
    settings = {"fontsize": 8.5, "labelcolor": look.ink, "facecolor": look.paper, "framealpha": 0.85, **settings}
    return ax.legend(edgecolor="none", **settings)


def plain(text: Any) -> str:
    """A name of the user's, in which a dollar is a dollar and no formula."""
    return str(text).replace("$", r"\$")


def readable(axis: Any, logarithmic: bool = False, whole: bool = False) -> None:
    """Few round ticks, written out: 0.002 and 20,000; powers of ten where zeros cannot be counted any more."""
    if logarithmic:
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        low, high = sorted(axis.get_view_interval())
        decades = np.log10(high / low)
        few = (
            MaxNLocator(4, steps=[1, 2, 5, 10]) if decades < 1 else LogLocator(subs=(1, 2, 5) if decades < 2 else (1,))
        )
        axis.set_major_locator(few)
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(6, integer=whole, steps=[1, 2, 2.5, 5, 10] if not whole else [1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))


def tick(value: float) -> str:
    """A round number in full, with a true minus sign.

    >>> tick(0.0005), tick(-20000.0), tick(0.1 + 0.2), tick(1e-8), tick(2.5e9)
    ('0.0005', '−20,000', '0.3', '10⁻⁸', '2.5·10⁹')
    """
    size = abs(value)
    if size < 1e-300:
        return "0"
    if 1e-4 <= size < 1e6:
        return f"{float(f'{value:.8g}'):,.8f}".rstrip("0").rstrip(".").replace("-", "−")
    mantissa, _, exponent = f"{value:.3e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    power = f"10{superscript(int(exponent))}"
    return {"1": power, "-1": f"−{power}"}.get(mantissa, f"{mantissa}·{power}".replace("-", "−"))
