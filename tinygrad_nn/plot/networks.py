"""What a training has done, and what the weights have become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinygrad_nn.nn import Module
from tinygrad_nn.plot.style import ShownFigure, dress, legend, look_for, plain, readable
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.training import History

__all__ = ["history", "weights", "weights_as_images"]

WITHIN = 4  # so many lines of a panel are named within it, more beside it
IN_A_COLUMN = 14


def history(history: Any, *, theme: str | None = None) -> Figure:
    """Learning curves: the loss, the metrics, the gradient norms and the update-to-weight ratios, epoch by epoch.

    Parameters
    ----------
    history : a `tn.training.History`, or an estimator of `tn.sklearn`, whose ``history_`` it is.
    theme : "light", "dark", or what suits matplotlib's settings.

    A panel is there only if something is in it, and a dot marks the best epoch.  Axes are logarithmic where all is
    above zero.  Raises TypeError for anything else, ValueError where nothing has been measured yet.
    """
    history = getattr(history, "history_", history)
    if not isinstance(history, History):
        raise TypeError(
            f"history: got {type(history).__name__}, expected what tn.fit returns, or a fitted estimator of tn.sklearn"
        )
    panels: list[tuple[str, dict[str, list[float]], bool]] = [
        ("loss", {"loss": history.loss, "validation_loss": history.validation_loss}, True),
        ("metrics", history.metrics, False),
        ("gradient norm ‖∂J/∂w‖", history.gradient_norms, True),
        ("update to weight ‖Δw‖/‖w‖", history.update_ratios, True),
    ]
    panels = [panel for panel in panels if any(panel[1].values())]
    if not panels:
        raise ValueError("history: nothing has been measured: there was no epoch")
    look = look_for(theme)
    beside = sum(-(-len(lines) // IN_A_COLUMN) for _, lines, _ in panels if len(lines) > WITHIN)  # legends
    figure = ShownFigure(figsize=(3.8 * len(panels) + 0.9 * beside, 3.2), layout="constrained", facecolor=look.paper)
    for ax, (title, lines, logarithmic) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        dress(ax, look, grid=True)
        measured = {name: values for name, values in lines.items() if values}
        for i, (name, values) in enumerate(measured.items()):
            single = {"marker": "o", "markersize": 4} if len(values) == 1 else {}
            ax.plot(range(1, len(values) + 1), values, label=_label(name), linewidth=1.6, **single, **look.line(i))
            if name == history.monitor and history.best_epoch is not None:
                best = history.best_epoch, values[history.best_epoch - 1]
                ax.plot(*best, "o", color=look.colour(i), markersize=7, markeredgecolor=look.paper)
        ax.set(title=title, xlabel="epoch")
        readable(ax.xaxis, whole=True)
        readable(ax.yaxis, logarithmic and all(v > 0 for values in measured.values() for v in values))
        legend(ax, look, fontsize=8, **(_beside(len(measured)) if len(measured) > WITHIN else {}))
    figure.draw_without_rendering()
    covering = [ax for ax in figure.axes if len(ax.lines) <= WITHIN + 1 and _covers_a_line(ax)]
    for ax in covering:
        legend(ax, look, fontsize=8, **_beside(WITHIN))
    figure.set_figwidth(figure.get_figwidth() + 0.9 * len(covering))
    return figure


def _beside(lines: int) -> dict[str, Any]:
    """Where a legend of so many lines stands right of its panel."""
    return {
        "loc": "upper left", "bbox_to_anchor": (1, 1.02), "ncols": -(-lines // IN_A_COLUMN), "borderaxespad": 0.2,
    }  # fmt: skip


def _covers_a_line(ax: Axes) -> bool:
    """Whether the legend stands in the way, wherever matplotlib has put it."""
    legend = ax.get_legend()
    assert legend is not None
    box = legend.get_window_extent()
    return any(line.get_path().transformed(ax.transData).intersects_bbox(box, filled=False) for line in ax.lines)


def _label(name: str) -> str:
    return plain(name.replace("_", " ").strip() or name)


def weights(model: Any, *, theme: str | None = None) -> Figure:
    """How the weights of each layer are spread: a histogram of every parameter with rows and columns.

    Blue are weights above zero, vermillion those below, as in `tn.draw`; the line beneath has the mean, the standard
    deviation, and the share that is zero, where some are.  A spike at zero, or weights that have grown far out, say
    which layer to look at.

    Parameters
    ----------
    model : a module, an estimator of `tn.sklearn`, or a dict of arrays, such as a `state_dict`.
    theme : "light", "dark", or what suits matplotlib's settings.

    Raises TypeError for anything else, ValueError where there is no such parameter, or one is not finite.
    """
    model = getattr(model, "model_", model)
    if not isinstance(model, (Module, Mapping)):
        raise TypeError(
            f"weights: got {type(model).__name__}, expected a tn.nn.Module, a fitted estimator of tn.sklearn, or a "
            "dict of arrays"
        )
    named: list[tuple[str, Any]] = list(model.items() if isinstance(model, Mapping) else model.named_parameters())
    short = [getattr(p, "name", None) or name for name, p in named]  # W¹ and not layers.0.W, where there is one W¹
    keys = short if len(set(short)) == len(short) else [name for name, _ in named]
    arrays = {k: p.value if isinstance(p, Tensor) else np.asarray(p) for k, (_, p) in zip(keys, named, strict=True)}
    arrays = {name: a for name, a in arrays.items() if a.ndim > 1 and a.size > max(a.shape[0], 1)}
    if not arrays:
        raise ValueError("weights: there is no parameter with rows and columns")
    look = look_for(theme)
    columns = min(len(arrays), 4)
    rows = -(-len(arrays) // columns)
    figure = ShownFigure(figsize=(3.0 * columns, 2.5 * rows), layout="constrained", facecolor=look.paper)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax, (name, array) in zip(panels, arrays.items(), strict=False):
        _histogram(ax, look, name, array)
    for ax in panels[len(arrays) :]:
        ax.axis("off")
    return figure


def _histogram(ax: Any, look: Any, name: str, array: np.ndarray) -> None:
    dress(ax, look)
    if not np.isfinite(array).all():
        raise ValueError(f"weights: {np.count_nonzero(~np.isfinite(array))} weights of {name} are not finite")
    size = float(np.abs(array).max()) or 1.0
    bins = 2 * int(np.clip(np.sqrt(array.size) / 2, 4, 25))  # even: zero is a limit
    counts, edges = np.histogram(array, bins, (-size, size))
    colours = [look.sign(middle > 0) for middle in (edges[1:] + edges[:-1]) / 2]
    ax.bar(edges[:-1], counts, np.diff(edges), align="edge", color=colours, edgecolor=look.paper, linewidth=0.4)
    zeros = np.count_nonzero(array == 0) / array.size
    ax.set_title(f"{plain(name)} ({' × '.join(map(str, array.shape))})")
    ax.set_xlabel(
        f"mean {_short(array.mean())}, σ {_short(array.std())}" + (f", {zeros:.0%} zero" if zeros else ""), fontsize=8.5
    )
    ax.spines["left"].set_visible(False)
    readable(ax.xaxis)
    ax.set_yticks([])


def _short(x: Any) -> str:
    return f"{float(x):.2g}".replace("-", "−")


def weights_as_images(
    weights: Any, shape: tuple[int, int] = (8, 8), count: int = 64, *, theme: str | None = None
) -> Figure:
    """What each unit of the first layer looks for: its weights (without the bias) as an image of the input's shape.

    Parameters
    ----------
    weights : W (units, pixels), or a model or an estimator of `tn.sklearn`, whose first matrix is taken.
    shape : rows and columns of the input image.
    count : how many units at most, in their order.
    theme : "light", "dark", or what suits matplotlib's settings.

    Blue is above zero, orange below, pale is zero: the same colours and the same scale in all images, as in `tn.draw`.
    Raises ValueError if an image does not have as many pixels as there are weights.

    Source: M. Thill, "Yet another Neural Networks Introduction", to-do list: "Visualize the first hidden layer of the
    net (without biases)".
    """
    weights = getattr(weights, "model_", weights)
    if hasattr(weights, "parameters"):
        weights = next(p for p in weights.parameters() if p.ndim == 2)
    W = weights.value if isinstance(weights, Tensor) else np.asarray(weights)
    if W.ndim != 2 or W.shape[1] != shape[0] * shape[1]:
        raise ValueError(f"weights_as_images: W has shape {W.shape}, expected (units, {shape[0]} · {shape[1]} pixels)")
    W = W[:count]
    columns = int(np.ceil(np.sqrt(len(W))))
    rows = -(-len(W) // columns)
    look = look_for(theme)
    figure = ShownFigure(figsize=(0.8 * columns + 0.9, 0.8 * rows), layout="constrained", facecolor=look.paper)
    panels = figure.subplots(rows, columns, squeeze=False)
    limit = np.abs(W).max() or 1.0
    for ax in panels.flat:
        ax.axis("off")
    for ax, w in zip(panels.flat, W, strict=False):
        image = ax.imshow(w.reshape(shape), cmap=look.signs, vmin=-limit, vmax=limit)
    bar = figure.colorbar(image, ax=panels, shrink=0.8)
    dress(bar.ax, look)
    bar.set_label("weight", color=look.ink, fontsize=9)
    bar.outline.set_visible(False)
    readable(bar.ax.yaxis)
    return figure
