"""How far predicted numbers are from the actual ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from tinygrad_nn.notation import format_number
from tinygrad_nn.plot.answers import numbers
from tinygrad_nn.plot.style import axes, readable

__all__ = ["residuals"]


def residuals(
    predicted: Any, *data: Any, output: int | None = None, ax: Axes | None = None, theme: str | None = None
) -> Axes:
    """What actual numbers are above (blue) or below (vermillion) the predicted ones, by the predicted one.

    A good model leaves a band without a shape: a bend is what it has not learned, a funnel an error that grows.  The
    title has R² and the root of the mean squared error, and the band is once that to either side.

    Parameters
    ----------
    predicted, data : ``(predicted, actual)``, numbers (d, N) or (N,); or ``(model, X, actual)``, with a model, a
        `tn.nn.Predictor` (X as it takes it: a table) or an estimator, which predicts rows.
    output : which of several outputs, from 0.
    theme : "light", "dark", or what suits the background.

    Raises ValueError for labels, for several outputs without `output`, and for numbers that are not finite.
    """
    guess, actual = numbers("residuals", predicted, data, output)
    error = actual - guess
    root = float(np.sqrt(np.mean(error**2)))
    ax, look = axes(ax, theme, (5.0, 3.6))
    ax.axhspan(-root, root, color=look.soft, alpha=0.25, linewidth=0)
    ax.axhline(0, color=look.quiet, linewidth=1)
    alpha = float(np.clip(30 / np.sqrt(error.size), 0.25, 0.9))
    for positive in (True, False):
        some = (error >= 0) == positive
        marker = "o" if positive else "v"
        points: dict[str, Any] = {"color": look.sign(positive), "marker": marker, "alpha": alpha, "linewidth": 0}
        ax.scatter(guess[some], error[some], s=16, **points)
    spread = float(np.sum((actual - actual.mean()) ** 2))
    fit = f"R² {format_number(round(1 - float(np.sum(error**2)) / spread, 3))}, " if spread else ""
    ax.set(xlabel="predicted", ylabel="actual − predicted", title=f"{fit}RMSE {format_number(float(f'{root:.3g}'))}")
    readable(ax.xaxis)
    readable(ax.yaxis)
    return ax
