"""Which class a model sees where, and which it takes for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from tinygrad_nn.nn.outputs import classes_of
from tinygrad_nn.plot.answers import guessed, places, seen, spoken
from tinygrad_nn.plot.style import axes, legend, plain, readable

__all__ = ["confusion_matrix", "decision_boundary"]


def decision_boundary(
    model: Any, X: Any, y: Any = None, ax: Axes | None = None, resolution: int = 200, *, theme: str | None = None
) -> Axes:
    """Which class `model` sees where in the plane, and how surely; the examples on top.

    Parameters
    ----------
    model : of X (2, N) to logits or probabilities (classes, N), or to one of them (1, N), that of class 1 of two; or an
        estimator with ``predict`` (rows).  Of a `tn.nn.Predictor` it is the plane that its network sees.
    X : examples (2, N), which the picture spans.
    y : their classes, (N,) or (1, N), or one-hot columns: numbers from 0, or the labels that the estimator knows.
    resolution : points per side at which the model is asked.
    theme : "light", "dark", or what suits the background.

    Raises ValueError for examples that are not points in the plane, and for labels that the model does not know.
    """
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[0] != 2:
        hint = "; X.T fits" if X.ndim == 2 and X.shape[1] == 2 else ""
        raise ValueError(f"decision_boundary: X has shape {X.shape}, expected points in the plane (2, N){hint}")
    X = X if X.dtype.kind == "f" else X.astype(float)
    low, high = X.min(axis=1), X.max(axis=1)
    margin = 0.08 * np.maximum(high - low, 1e-9)
    grid = np.stack(np.meshgrid(*np.linspace(low - margin, high + margin, resolution).T)).astype(X.dtype)
    labels = np.zeros(0, int) if y is None else classes_of(y, X.shape[1])
    P, classes = seen(model, grid.reshape(2, -1), np.unique(labels))
    ax, look = axes(ax, theme)
    colours = np.array([to_rgb(look.colour(k)) for k in range(len(P))])
    paper = np.array(to_rgb(look.paper))
    shade = paper + 0.4 * (np.tensordot(P.T, colours, 1) - paper)
    extent = (grid[0].min(), grid[0].max(), grid[1].min(), grid[1].max())
    ax.imshow(shade.reshape(resolution, resolution, 3), origin="lower", extent=extent, aspect="auto")
    for k in range(len(P) if len(P) > 2 else 1):
        lead = (P[k] - np.delete(P, k, axis=0).max(axis=0)).reshape(resolution, resolution)
        if lead.min() < 0 < lead.max():
            ax.contour(*grid, lead, levels=[0], colors=look.ink, linewidths=1.1)
    if y is not None:
        y = places(labels, classes, "decision_boundary")
        for k in np.unique(y):
            ax.scatter(X[0, y == k], X[1, y == k], s=24, label=spoken(classes[k]), **look.points(k))
        legend(ax, look, loc="upper right")
    ax.set(xlabel="x₁", ylabel="x₂", xlim=extent[:2], ylim=extent[2:])
    readable(ax.xaxis)
    readable(ax.yaxis)
    return ax


def confusion_matrix(
    predicted: Any, *data: Any, names: Sequence[str] | None = None, ax: Axes | None = None, theme: str | None = None
) -> Axes:
    """How often an example of one class (row) was taken for another (column).

    Parameters
    ----------
    predicted, data : ``(predicted, actual)``, where `predicted` are class labels (N,), logits or probabilities
        (classes, N), or one of them (1, N), that of class 1 of two; or ``(model, X, actual)``, with a model, a
        `tn.nn.Predictor` (X as it takes it: a table) or an estimator, which may have X as rows or as a table.
        `actual` are labels of any kind, or one-hot columns.
    names : of the classes, in the order of the outputs.
    theme : "light", "dark", or what suits the background.

    Right answers are blue, by their share of the row, and mistakes vermillion, by the root of it: few are seen, too.
    Raises ValueError where the numbers of examples differ, and for labels that the model does not know.
    """
    guess, actual, classes = guessed("confusion_matrix", predicted, data, names)
    n = len(classes)
    counts = np.zeros((n, n), int)
    np.add.at(counts, (actual, guess), 1)
    cell = max(0.42, 2.0 / n)  # inches; the title needs some
    ax, look = axes(ax, theme, (cell * n + 1.6, cell * n + 1.2))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(np.where(np.eye(n, dtype=bool), share, -np.sqrt(share)), cmap=look.signs, vmin=-1, vmax=1)
    for (i, j), number in np.ndenumerate(counts):
        if number:
            ink = look.paper if (share[i, j] if i == j else np.sqrt(share[i, j])) > 0.55 else look.ink
            ax.text(j, i, f"{number:,}", ha="center", va="center", color=ink, fontsize=8.5)
    ticks = [plain(name) for name in (classes if names is None else names)]
    ax.set_xticks(range(len(ticks)), ticks)
    ax.set_yticks(range(len(ticks)), ticks)
    if max(map(len, ticks)) > 5:  # side by side they would run into each other
        ax.tick_params("x", labelrotation=90)
    ax.set_xticks(np.arange(n - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(n - 1) + 0.5, minor=True)
    ax.grid(which="minor", color=look.paper, linewidth=1.2)
    ax.tick_params(which="both", length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    right = np.trace(counts)
    ax.set(xlabel="predicted", ylabel="actual", title=f"{right:,} of {actual.size:,} right ({right / actual.size:.1%})")
    return ax
