"""Which features an output came from, as bars of one example, or as dots of many."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from tinygrad_nn.attribution import Attribution
from tinygrad_nn.notation import format_number
from tinygrad_nn.plot.style import Look, axes, plain, readable

__all__ = ["contributions"]


def contributions(result: Attribution, most: int = 12, *, ax: Axes | None = None, theme: str | None = None) -> Axes:
    """The contributions of features that `tn.attribution` found: blue raises the output, vermillion lowers it.

    Of one example (``result[3]``) bars, with the values of the features; below them how they add up.  Of several a row
    of dots for each feature, one dot an example, and the mean of their sizes at the right.

    Parameters
    ----------
    result : of `tn.attribution.gradient_input`, `integrated_gradients` or `by_path`.
    most : so many features have a row of their own, the largest first; one row has the sum of the rest.
    theme : "light", "dark", or what suits the background.

    Raises TypeError for anything else than an `Attribution`, ValueError for `most` below 1.
    """
    if not isinstance(result, Attribution):
        raise TypeError(
            f"contributions: got {type(result).__name__}, expected what tn.attribution.gradient_input, "
            "integrated_gradients or by_path returns"
        )
    if most < 1:
        raise ValueError(f"contributions: most={most}, expected at least 1")
    order, values = result.order, result.by_feature
    shown = order if len(order) <= most + 1 else order[:most]
    left = np.setdiff1d(order, shown)
    rows = np.concatenate([values[shown], values[left].sum(axis=0, keepdims=True)]) if len(left) else values[shown]
    names = [result.feature_names[i] for i in shown]
    one = len(result) == 1
    if one:
        names = [f"{name}: {_short(result.inputs_by_feature[i, 0])}" for name, i in zip(names, shown, strict=True)]
    names += [f"{len(left)} more"] if len(left) else []
    ax, look = axes(ax, theme, (6.0, 1.5 + 0.34 * len(rows)))
    ax.axvline(0, color=look.quiet, linewidth=1)
    (_bars if one else _dots)(ax, look, rows)
    ax.set_yticks(range(len(rows)), [plain(name) for name in names])
    ax.tick_params("y", length=0)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.spines["left"].set_visible(False)
    where = "" if one else f", mean of {len(result):,} examples"
    ax.set_title(f"{plain(result.explained)}: {_short(result.outputs.mean())}{where}", pad=6 if one else 16, wrap=True)
    ax.set_xlabel(f"{result.method}\n{_sum(result)}", x=1, ha="right", wrap=True)  # beneath the names, too
    readable(ax.xaxis)
    return ax


def _bars(ax: Axes, look: Look, rows: np.ndarray) -> None:
    """One example: a bar for each row, and its number at the end."""
    values = rows[:, 0]
    ax.barh(range(len(values)), values, color=[look.sign(v >= 0) for v in values], height=0.62)
    room = 0.16 * max(np.ptp(np.append(values, 0)), 1e-300)
    ax.set_xlim(min(values.min(), 0) - room, max(values.max(), 0) + room)
    for i, v in enumerate(values):
        side, shift = ("left", 4) if v >= 0 else ("right", -4)
        ax.annotate(
            _short(v),
            (v, i),
            (shift, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=8.5,
            color=look.ink,
        )


def _dots(ax: Axes, look: Look, rows: np.ndarray) -> None:
    """Several examples: dots beside each other where they are many, and the mean size at the right."""
    alpha = float(np.clip(12 / np.sqrt(rows.shape[1]), 0.3, 0.85))
    for i, values in enumerate(rows):
        ax.axhline(i, color=look.soft, linewidth=0.5, zorder=0)
        spread = i + _spread(values, np.ptp(np.append(rows, 0)) or 1.0)
        colours = np.where(values >= 0, look.sign(True), look.sign(False))
        ax.scatter(values, spread, s=12, c=colours, alpha=alpha, linewidth=0)
        ax.annotate(
            f"±{_short(np.abs(values).mean())}", (1.02, i), xycoords=("axes fraction", "data"), va="center",
            fontsize=8.5, color=look.ink,
        )  # fmt: skip
    ax.annotate(
        "mean size", (1.02, -0.6), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color=look.quiet
    )


def _spread(values: np.ndarray, width: float) -> np.ndarray:
    """How far up or down each dot is moved (within ±0.32), so that those at the same place lie beside each other."""
    places = np.round(values / width * 80).astype(int)
    shift = np.zeros(len(values))
    for place in np.unique(places):
        at = np.flatnonzero(places == place)
        shift[at] = (np.arange(len(at)) + 1) // 2 * np.where(np.arange(len(at)) % 2, 1, -1)
    return shift * min(0.09, 0.32 / max(np.abs(shift).max(), 1))


def _sum(result: Attribution) -> str:
    """How the numbers add up: the gap is never left out."""
    terms = [(result.reference.mean(), result.words_for_reference)] if result.has_reference else []
    terms += [(result.by_feature.sum(axis=0).mean(), "of features"), (result.gap.mean(), result.words_for_gap)]
    first, *rest = terms
    said = "".join(f" {'+' if value >= 0 else '−'} {_short(abs(value))} {words}" for value, words in rest)
    return f"{_short(first[0])} {first[1]}{said} = {_short(result.outputs.mean())}"


def _short(x: Any) -> str:
    return format_number(float(f"{float(x):.3g}"))
