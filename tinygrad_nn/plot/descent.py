"""Optimisers on a surface, as a picture and as an animation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tinygrad_nn.plot.style import MARKERS, Look, axes, dress, legend, look_for, readable
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["contour_path", "descend", "descent_gif"]

Surface = Callable[[Any, Any], Any]
Paths = Mapping[str, Any]


def descend(
    surface: Surface, optimizers: Mapping[str, Callable[[list[Tensor]], Any]], start: Sequence[float], steps: int
) -> dict[str, np.ndarray]:
    """The path (steps + 1, 2) that each optimiser takes on ``surface(x, y)`` from `start`.

    `optimizers` makes them, by name: ``{"momentum": lambda p: tn.optim.SGD(p, lr=0.1, momentum=0.9)}``.  A path ends
    where it leaves the finite numbers.

    >>> import tinygrad_nn as tn
    >>> paths = descend(lambda x, y: x * x + y * y, {"SGD": lambda p: tn.optim.SGD(p, lr=0.25)}, (1.0, 2.0), 2)
    >>> paths["SGD"].tolist()
    [[1.0, 2.0], [0.5, 1.0], [0.25, 0.5]]
    """
    paths = {}
    for name, make in optimizers.items():
        point = tensor(np.array(start, dtype=float), requires_grad=True, name="w")
        optimizer, path = make([point]), [point.numpy()]
        with np.errstate(all="ignore"):
            for _ in range(steps):
                optimizer.zero_grad()
                surface(point[0], point[1]).backward()
                optimizer.step()
                if not np.isfinite(point.value).all():
                    break
                path.append(point.numpy())
        paths[name] = np.array(path)
    return paths


def contour_path(
    surface: Surface,
    paths: Paths,
    ax: Axes | None = None,
    *,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    levels: int = 25,
    theme: str | None = None,
) -> Axes:
    """Level lines of ``surface(x, y)``, closer where it is low, and the paths of optimisers on it.

    Parameters
    ----------
    surface : a function of two arrays.
    paths : name -> points (steps, 2), as from `descend`.
    x, y : limits; by default what the paths span, and a little more.
    theme : "light", "dark", or what suits the background.
    """
    ax, look = axes(ax, theme, (6.0, 4.6))
    _draw_surface(ax, look, surface, paths, x, y, levels)
    _draw_lines(ax, look, paths)
    return ax


def descent_gif(
    file: str | os.PathLike,
    surface: Surface,
    paths: Paths,
    *,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    levels: int = 25,
    frames: int = 60,
    seconds: float = 6.0,
) -> Path:
    """The same as an animation (extra `gif`: pillow): the optimisers start together, one step after the other.

    `frames` pictures at most show the steps, all within `seconds`.  Returns the file's path.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("plot.descent_gif needs pillow: pip install 'tinygrad_nn[gif]'") from None
    figure = Figure(figsize=(6.0, 4.6), dpi=80, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    ax, look = figure.add_subplot(), look_for("light")
    dress(ax, look)
    _draw_surface(ax, look, surface, paths, x, y, levels)
    moving = [*_draw_lines(ax, look, paths), ax.set_title(" ")]
    for artist in moving:
        artist.set_animated(True)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    # one palette for all frames: greys, and each line's colour fading into white
    greys, fades = np.linspace(0, 255, 64)[:, np.newaxis], np.linspace(0, 1, 20)[:, np.newaxis]
    colours = [255 * (1 - fades * (1 - np.array(to_rgb(look.colour(i))))) for i in range(min(len(paths), 8))]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate([np.repeat(greys, 3, axis=1), *colours]).astype(np.uint8).tobytes())
    steps = max(len(path) for path in paths.values())
    shown, images = np.unique(np.linspace(1, steps, min(frames, steps)).astype(int)), []
    for n in shown:
        canvas.restore_region(still)
        for line, path in zip(moving, paths.values(), strict=False):
            line.set_data(*np.asarray(path)[:n].T)
        moving[-1].set_text(f"step {n - 1}")
        for artist in moving:
            ax.draw_artist(artist)
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        image = Image.fromarray(np.ascontiguousarray(pixels))
        images.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
    each = int(1000 * seconds / len(images))
    durations = [each] * (len(images) - 1) + [1500]  # milliseconds; a pause at the end
    images[0].save(file, save_all=True, append_images=images[1:], duration=durations, loop=0)
    return Path(file)


def _draw_surface(ax: Axes, look: Look, surface: Surface, paths: Paths, x: Any, y: Any, levels: int) -> None:
    points = np.concatenate([np.asarray(path) for path in paths.values()])
    limits: list[Any] = []
    for given, values in zip((x, y), points.T, strict=True):
        margin = 0.15 * (np.ptp(values) or 1.0)
        limits.append(given or (values.min() - margin, values.max() + margin))
    grid = np.meshgrid(*(np.linspace(low, high, 200) for low, high in limits))
    heights = np.asarray(surface(*grid))
    at = np.quantile(heights, np.linspace(0, 1, levels) ** 1.5)  # as many points of the plane between any two
    ax.contourf(*grid, heights, levels=np.unique(at), cmap=look.heights, alpha=0.45)
    ax.contour(*grid, heights, levels=np.unique(at), colors=look.pale, linewidths=0.4, linestyles="solid")
    ax.set(xlim=limits[0], ylim=limits[1], xlabel="w₁", ylabel="w₂")
    readable(ax.xaxis)
    readable(ax.yaxis)


def _draw_lines(ax: Axes, look: Look, paths: Paths) -> list[Any]:
    lines = []
    for i, (name, path) in enumerate(paths.items()):
        marker: dict[str, Any] = {"marker": MARKERS[i % len(MARKERS)], "markersize": 6, "markevery": [-1]}
        lines += ax.plot(*np.asarray(path).T, label=name, linewidth=1.6, **marker, **look.line(i))
    start = np.asarray(next(iter(paths.values())))[0]
    ax.plot(*start, "x", color=look.ink, markersize=8)
    legend(ax, look)
    return lines
