"""How good probabilities are: whether they put the right examples first, and whether they come true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from tinygrad_nn.plot.answers import likely, spoken
from tinygrad_nn.plot.style import Look, axes, dress, legend, readable

__all__ = ["calibration", "roc_curve"]


def roc_curve(
    predicted: Any, *data: Any, names: Sequence[str] | None = None, ax: Axes | None = None, theme: str | None = None
) -> Axes:
    """How many of a class are found (true positives) at the price of how many others (false positives).

    One curve of class 1 where there are two classes, and of each class against all others where there are more; with
    its area (AUC), which is the share of pairs of one example of the class and one other that are put in the right
    order, ties counting half.

    Parameters
    ----------
    predicted, data : ``(predicted, actual)``, where `predicted` are logits or probabilities (classes, N), or one of
        them (1, N), that of class 1 of two; or ``(model, X, actual)``, with a model, a `tn.nn.Predictor` (X as it takes
        it) or an estimator with ``predict_proba``.  `actual` are labels of any kind, or one-hot columns.
    names : of the classes, in the order of the outputs.
    theme : "light", "dark", or what suits the background.

    Raises ValueError for predicted labels, which have no order, and where no example is of a class, or all are.

    Source: Fawcett, "An introduction to ROC analysis" (2006).
    """
    said = likely("roc_curve", predicted, data, names)
    labels = [spoken(name) for name in (said.classes if names is None else names)]
    k = len(labels)
    shown = [1] if k == 2 else range(k)
    present = np.bincount(said.actual, minlength=k)
    if not 0 < present[shown[0]] < said.actual.size and k == 2:
        raise ValueError(f"roc_curve: all {said.actual.size} examples are of one class, and a curve compares two")
    ax, look = axes(ax, theme, (4.4, 4.4))
    ax.plot([0, 1], [0, 1], color=look.soft, linewidth=1, linestyle=(0, (2, 3)))
    ax.text(0.55, 0.52, "by chance", color=look.quiet, fontsize=8, rotation=45, rotation_mode="anchor", va="top")
    for i, c in enumerate(shown):
        if not 0 < present[c] < said.actual.size:
            continue
        false, true = _rates(said.ranking[c], said.actual == c)
        area = float(np.trapezoid(true, false))
        if k == 2:
            ax.fill_between(false, true, color=look.colour(0), alpha=0.08, linewidth=0)
        ax.plot(false, true, label=f"{labels[c]}: AUC {area:.3f}", linewidth=1.8, **look.line(i))
    absent = [labels[c] for c in shown if not 0 < present[c] < said.actual.size]
    if absent:
        ax.plot([], [], " ", label=f"no example of {', '.join(absent)}")
    legend(ax, look, loc="lower right")
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    ax.set_aspect("equal")
    readable(ax.xaxis)
    readable(ax.yaxis)
    return ax


def _rates(ranking: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates (points,), as the limit falls; examples of the same rank pass it together."""
    order = np.argsort(-ranking, kind="stable")
    last = np.append(np.flatnonzero(ranking[order][1:] != ranking[order][:-1]), len(order) - 1)
    true = np.cumsum(positive[order])[last]
    false = 1 + last - true
    return np.append(0, false / false[-1]), np.append(0, true / true[-1])


def calibration(
    predicted: Any,
    *data: Any,
    bins: int = 10,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    theme: str | None = None,
) -> Axes:
    """Whether probabilities come true: of the examples that were said to be so sure, how many were so.

    Of two classes it is the probability of class 1; of more that of the predicted class, and how often it was right.
    Points below the diagonal are too sure.  Bars are intervals of 95 % (Wilson) for as many examples as there are,
    which are shown on top; the expected calibration error is the mean distance from the diagonal over the examples.

    Parameters
    ----------
    predicted, data, names, theme : as for `roc_curve`.
    bins : parts of the same width that probabilities are sorted into.

    Raises ValueError for predicted labels, and for bins that are not a number from 1.

    Source: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or bins < 1:
        raise ValueError(f"calibration: bins={bins!r}, expected a number from 1")
    said = likely("calibration", predicted, data, names)
    two = len(said.classes) == 2
    sure = said.probabilities[1] if two else said.probabilities.max(axis=0)
    true = said.actual == (1 if two else said.ranking.argmax(axis=0))
    which = np.minimum((sure * bins).astype(int), bins - 1)
    counts = np.bincount(which, minlength=bins)
    full = counts > 0
    x, y = (np.bincount(which, v, minlength=bins)[full] / counts[full] for v in (sure, true))
    error = float(np.sum(counts[full] * np.abs(x - y)) / sure.size)
    ax, look = axes(ax, theme, (4.4, 4.8))
    low, high = _wilson(y, counts[full])
    ax.plot([0, 1], [0, 1], color=look.soft, linewidth=1, linestyle=(0, (2, 3)))
    ax.vlines(x, low, high, color=look.colour(0), linewidth=1.2, alpha=0.55)
    ax.plot(x, y, "o-", color=look.colour(0), markersize=5, linewidth=1.4, markeredgecolor=look.paper)
    _counts_on_top(ax, look, counts)
    label = spoken((said.classes if names is None else names)[1]) if two else "the predicted class"
    ax.set(xlabel=f"probability of {label}", ylabel="share of examples that are so" if two else "share that is right")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), title=f"expected calibration error {error:.3f}")
    ax.set_aspect("equal")
    readable(ax.xaxis)
    readable(ax.yaxis)
    return ax


def _wilson(share: np.ndarray, n: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """The interval of 95 % of a share of n examples; Wilson (1927)."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return middle - half, middle + half


def _counts_on_top(ax: Axes, look: Look, counts: np.ndarray) -> None:
    """How many examples are in each part, as bars above the panel."""
    top = ax.inset_axes((0, 1.02, 1, 0.13))
    dress(top, look)
    edges = np.linspace(0, 1, len(counts) + 1)
    top.bar(edges[:-1], counts, width=1 / len(counts), align="edge", color=look.soft, edgecolor=look.paper)
    top.set(xlim=(-0.02, 1.02), xticks=[], yticks=[counts.max()], yticklabels=[f"n = {counts.max():,}"])
    top.spines[["left", "bottom"]].set_visible(False)
    top.tick_params(length=0)
