"""Plots of training: what a network has done, learned and mistaken (extra `plot`: matplotlib).

Every function draws into `ax` or into a new figure, and returns what it drew in; nothing is shown or saved by itself:
``plot.history(history).savefig("history.png")``, ``plot.decision_boundary(model, X, y).figure.savefig("moons.svg")``.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn.modes import no_grad
from tinygrad_nn.nn import Module
from tinygrad_nn.tensor import Tensor, tensor
from tinygrad_nn.view.renderers.style import tint

try:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import ListedColormap, to_rgb
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError:
    raise ImportError("tinygrad_nn.plot needs matplotlib: pip install 'tinygrad_nn[plot]'") from None

__all__ = [
    "confusion_matrix", "contour_path", "decision_boundary", "descend", "descent_gif", "history", "weights_as_images",
]  # fmt: skip

Surface = Callable[[Any, Any], Any]
Paths = Mapping[str, Any]

# Okabe and Ito's colours, which colour-blind readers can tell apart; a dash or a marker always says the same.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6F00", "#000000"]
_DASHES = ["-", (0, (5, 2)), (0, (1, 1)), (0, (5, 2, 1, 2)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 2)), "-"]
_MARKERS = "o^sDvPX*"


class _ShownFigure(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        return _png(self)


class _ShownAxes(Axes):
    """Axes that show the figure they are in."""

    def _repr_png_(self) -> bytes:
        return _png(self.figure)


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()


def _style(i: int) -> dict[str, Any]:
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": _DASHES[i % len(_DASHES)]}


def _axes(ax: Axes | None, size: tuple[float, float] = (5.0, 4.0)) -> Axes:
    if ax is not None:
        return ax
    return _ShownFigure(figsize=size, layout="constrained").add_subplot(axes_class=_ShownAxes)


def _outputs(model: Any, X: np.ndarray) -> np.ndarray:
    """What the model says about the columns of X, as in prediction."""
    if hasattr(model, "predict"):  # an estimator of scikit-learn's kind, which takes rows
        return np.asarray(model.predict(X.T))
    with no_grad(), model.evaluating() if isinstance(model, Module) else contextlib.nullcontext():
        Y = model(X)
    return Y.numpy() if isinstance(Y, Tensor) else np.asarray(Y)


# --- training ---------------------------------------------------------------------------------------------------------


def history(history: Any) -> Figure:
    """The loss, the metrics, the gradient norms and the update-to-weight ratios of a `History`, epoch by epoch.

    A panel is there only if something is in it, and a dot marks the best epoch.
    """
    panels: list[tuple[str, dict[str, list[float]], bool]] = [
        ("loss", {"loss": history.loss, "validation_loss": history.validation_loss}, True),
        ("metrics", history.metrics, False),
        ("gradient norm ‖∂J/∂w‖", history.gradient_norms, True),
        ("update to weight ‖Δw‖/‖w‖", history.update_ratios, True),
    ]
    panels = [panel for panel in panels if any(panel[1].values())]
    figure = _ShownFigure(figsize=(3.6 * len(panels), 3.2), layout="constrained")
    for ax, (title, lines, logarithmic) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for i, (name, values) in enumerate((name, values) for name, values in lines.items() if values):
            ax.plot(range(1, len(values) + 1), values, label=name.replace("_", " "), **_style(i))
            if name == history.monitor and history.best_epoch is not None:
                ax.plot(history.best_epoch, values[history.best_epoch - 1], "o", color=_style(i)["color"])
        ax.set(title=title, xlabel="epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if logarithmic and all(v > 0 for values in lines.values() for v in values):
            ax.set_yscale("log")
        ax.legend(fontsize=7)
        ax.grid(alpha=0.3)
    return figure


def decision_boundary(model: Any, X: Any, y: Any = None, ax: Axes | None = None, resolution: int = 200) -> Axes:
    """Which class `model` sees where in the plane, and how surely; the examples on top.

    Parameters
    ----------
    model : of X (2, N) to scores or probabilities (classes, N), or to (1, N) where 0.5 divides class 0 from class 1; or
        an estimator with ``predict`` (rows).
    X : examples (2, N), which the picture spans.
    y : their classes, (N,) or (1, N), or one-hot columns.
    resolution : points per side at which the model is asked.

    Raises ValueError for examples that are not points in the plane.
    """
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[0] != 2:
        hint = "; X.T fits" if X.ndim == 2 and X.shape[1] == 2 else ""
        raise ValueError(f"decision_boundary: X has shape {X.shape}, expected points in the plane (2, N){hint}")
    low, high = X.min(axis=1), X.max(axis=1)
    margin = 0.08 * np.maximum(high - low, 1e-9)
    grid = np.stack(np.meshgrid(*np.linspace(low - margin, high + margin, resolution).T)).astype(X.dtype)
    P = _probabilities(_outputs(model, grid.reshape(2, -1)))
    colours = np.array([to_rgb(COLOURS[k % len(COLOURS)]) for k in range(len(P))])
    shade = 1 - 0.5 * (1 - np.tensordot(P.T, colours, 1))
    ax = _axes(ax)
    extent = (grid[0].min(), grid[0].max(), grid[1].min(), grid[1].max())
    ax.imshow(shade.reshape(resolution, resolution, 3), origin="lower", extent=extent, aspect="auto", alpha=0.9)
    for k in range(len(P) if len(P) > 2 else 1):
        lead = (P[k] - np.delete(P, k, axis=0).max(axis=0)).reshape(resolution, resolution)
        if lead.min() < 0 < lead.max():
            ax.contour(*grid, lead, levels=[0], colors="black", linewidths=0.8)
    if y is not None:
        y = np.asarray(y)
        y = y.argmax(axis=0) if y.ndim == 2 and len(y) > 1 else y.reshape(-1).astype(int)
        for k in np.unique(y):
            points = {"color": COLOURS[k % len(COLOURS)], "marker": _MARKERS[k % len(_MARKERS)], "edgecolor": "white"}
            ax.scatter(X[0, y == k], X[1, y == k], s=22, linewidth=0.5, label=f"class {k}", **points)
        ax.legend(loc="upper right", fontsize=8)
    ax.set(xlabel="x₁", ylabel="x₂", xlim=extent[:2], ylim=extent[2:])
    return ax


def _probabilities(outputs: np.ndarray) -> np.ndarray:
    """Columns of class probabilities, of whatever a classifier says."""
    if outputs.ndim == 1:  # labels
        classes, outputs = np.unique(outputs, return_inverse=True)
        return np.eye(max(len(classes), 2))[outputs].T
    if len(outputs) == 1:
        p = outputs[0].clip(0, 1)
        return np.stack([1 - p, p])
    if outputs.min() >= 0 and np.allclose(outputs.sum(axis=0), 1, atol=1e-5):
        return outputs
    e = np.exp(outputs - outputs.max(axis=0))
    return e / e.sum(axis=0)


def weights_as_images(weights: Any, shape: tuple[int, int] = (8, 8), count: int = 64) -> Figure:
    """What each unit of the first layer looks for: its weights (without the bias) as an image of the input's shape.

    Parameters
    ----------
    weights : W (units, pixels), or a model, whose first matrix is taken.
    shape : rows and columns of the input image.
    count : how many units at most, in their order.

    Blue is above zero, orange below, pale is zero: the same colours and the same scale in all images, as in `tn.draw`.
    Raises ValueError if an image does not have as many pixels as there are weights.

    Source: M. Thill, "Yet another Neural Networks Introduction", to-do list: "Visualize the first hidden layer of the
    net (without biases)".
    """
    if hasattr(weights, "parameters"):
        weights = next(p for p in weights.parameters() if p.ndim == 2)
    W = weights.value if isinstance(weights, Tensor) else np.asarray(weights)
    if W.ndim != 2 or W.shape[1] != shape[0] * shape[1]:
        raise ValueError(f"weights_as_images: W has shape {W.shape}, expected (units, {shape[0]} · {shape[1]} pixels)")
    W = W[:count]
    columns = int(np.ceil(np.sqrt(len(W))))
    rows = -(-len(W) // columns)
    figure = _ShownFigure(figsize=(0.8 * columns + 0.7, 0.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    limit = np.abs(W).max() or 1.0
    for ax in panels.flat:
        ax.axis("off")
    for ax, w in zip(panels.flat, W, strict=False):
        image = ax.imshow(w.reshape(shape), cmap=_signs(), vmin=-limit, vmax=limit)
    figure.colorbar(image, ax=panels, shrink=0.8, label="weight")
    return figure


def _signs() -> ListedColormap:
    """The colours of signs in all pictures of this package."""
    return ListedColormap([tint(x, 1.0) for x in np.linspace(-1, 1, 255)], "signs")


def confusion_matrix(predicted: Any, *data: Any, names: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """How often an example of one class (row) was taken for another (column).

    Parameters
    ----------
    predicted, data : ``(predicted, actual)``, class labels (N,) or scores (classes, N) and labels (N,); or
        ``(model, X, actual)``.
    names : of the classes.

    Raises ValueError where the numbers of examples differ.
    """
    *X, actual = data
    found = _outputs(predicted, np.asarray(X[0])) if X else np.asarray(predicted)
    guess, actual = (
        a.argmax(axis=0) if a.ndim == 2 and len(a) > 1 else a.reshape(-1) for a in (found, np.asarray(actual))
    )
    if guess.shape != actual.shape:
        raise ValueError(f"confusion_matrix: {guess.size} predictions for {actual.size} actual classes")
    n = int(max(guess.max(), actual.max(), len(names or ()) - 1)) + 1
    counts = np.zeros((n, n), int)
    np.add.at(counts, (actual.astype(int), guess.astype(int)), 1)
    ax = _axes(ax, (0.42 * n + 1.6, 0.42 * n + 1.2))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (i, j), number in np.ndenumerate(counts):
        if number:
            ax.text(
                j, i, str(number), ha="center", va="center", color="white" if share[i, j] > 0.5 else "black", fontsize=8
            )
    ticks = list(names) if names is not None else [str(k) for k in range(n)]
    ax.set_xticks(range(n), ticks)
    ax.set_yticks(range(n), ticks)
    right = np.trace(counts)
    ax.set(xlabel="predicted", ylabel="actual", title=f"{right} of {actual.size} right ({right / actual.size:.1%})")
    return ax


# --- descent on a surface ---------------------------------------------------------------------------------------------


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
) -> Axes:
    """Level lines of ``surface(x, y)``, closer where it is low, and the paths of optimisers on it.

    Parameters
    ----------
    surface : a function of two arrays.
    paths : name -> points (steps, 2), as from `descend`.
    x, y : limits; by default what the paths span, and a little more.
    """
    ax = _axes(ax, (6.0, 4.6))
    _draw_surface(ax, surface, paths, x, y, levels)
    _draw_lines(ax, paths)
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
    ax = figure.add_subplot()
    _draw_surface(ax, surface, paths, x, y, levels)
    moving = [*_draw_lines(ax, paths), ax.set_title(" ")]
    for artist in moving:
        artist.set_animated(True)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    # one palette for all frames: greys, and each line's colour fading into white
    greys, fades = np.linspace(0, 255, 64)[:, np.newaxis], np.linspace(0, 1, 20)[:, np.newaxis]
    colours = [255 * (1 - fades * (1 - np.array(to_rgb(COLOURS[i % len(COLOURS)])))) for i in range(min(len(paths), 8))]
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


def _draw_surface(ax: Axes, surface: Surface, paths: Paths, x: Any, y: Any, levels: int) -> None:
    points = np.concatenate([np.asarray(path) for path in paths.values()])
    limits: list[Any] = []
    for given, values in zip((x, y), points.T, strict=True):
        margin = 0.15 * (np.ptp(values) or 1.0)
        limits.append(given or (values.min() - margin, values.max() + margin))
    grid = np.meshgrid(*(np.linspace(low, high, 200) for low, high in limits))
    heights = np.asarray(surface(*grid))
    at = np.quantile(heights, np.linspace(0, 1, levels) ** 1.5)  # as many points of the plane between any two
    ax.contourf(*grid, heights, levels=np.unique(at), cmap="Greys", alpha=0.45)
    ax.contour(*grid, heights, levels=np.unique(at), colors="grey", linewidths=0.4, linestyles="solid")
    ax.set(xlim=limits[0], ylim=limits[1], xlabel="w₁", ylabel="w₂")


def _draw_lines(ax: Axes, paths: Paths) -> list[Any]:
    lines = []
    for i, (name, path) in enumerate(paths.items()):
        marker: dict[str, Any] = {"marker": _MARKERS[i % len(_MARKERS)], "markersize": 6, "markevery": [-1]}
        lines += ax.plot(*np.asarray(path).T, label=name, linewidth=1.6, **marker, **_style(i))
    start = np.asarray(next(iter(paths.values())))[0]
    ax.plot(*start, "kx", markersize=8)
    ax.legend(fontsize=8)
    return lines
