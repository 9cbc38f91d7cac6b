"""The loss around a model, along two directions through its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from tinygrad_nn.nn import Module
from tinygrad_nn.plot.style import axes, readable, tick
from tinygrad_nn.training import evaluate

__all__ = ["loss_surface"]


def loss_surface(
    model: Module,
    loss: Any,
    data: Any,
    *,
    span: float = 1.0,
    resolution: int = 25,
    directions: Sequence[Mapping[str, Any]] | None = None,
    rng: Any = 0,
    ax: Axes | None = None,
    theme: str | None = None,
) -> Axes:
    """Level lines of the loss around the parameters there are, which a cross marks, along two directions.

    The two are drawn at random, and each unit's part of them gets the length of this unit's own weights: so a step of 1
    is as long as the parameters, and surfaces of two networks can be compared.  It is a cut through many dimensions: a
    valley here may be a saddle elsewhere.

    Parameters
    ----------
    model, loss, data : as for `tn.training.evaluate`; data is a pair (X, Y) or batches.  The model is left as it was.
    span : how far to go to each side, in lengths of the parameters.
    resolution : points per side at which the loss is measured.
    directions : two steps of your own, by names of parameters, as in a `state_dict`: such as the difference of two
        trained models.  What is not named stays.
    rng : seed, or a `numpy.random.Generator`, of directions at random.
    theme : "light", "dark", or what suits the background.

    Raises TypeError for anything else than a module, ValueError for directions that do not fit the parameters, for a
    span that is not positive, and where the loss is finite nowhere.

    Source: Li, Xu, Taylor, Studer, Goldstein, "Visualizing the loss landscape of neural nets", NeurIPS 2018.
    """
    if not isinstance(model, Module):
        raise TypeError(
            f"loss_surface: model is of type {type(model).__name__}, expected a tn.nn.Module; of an estimator of "
            "tn.sklearn it is estimator.model_"
        )
    if not (np.isfinite(span) and span > 0):
        raise ValueError(f"loss_surface: span={span!r}, expected a length above 0")
    if isinstance(resolution, bool) or not isinstance(resolution, (int, np.integer)) or resolution < 2:
        raise ValueError(f"loss_surface: resolution={resolution!r}, expected a number of points from 2")
    parameters = dict(model.named_parameters())
    steps = _at_random(parameters, rng) if directions is None else _given(parameters, directions)
    ways = np.linspace(-span, span, int(resolution))
    heights = np.empty((len(ways), len(ways)))
    with _put_back(parameters) as at, np.errstate(all="ignore"):
        for i, b in enumerate(ways):
            for j, a in enumerate(ways):
                for name, p in parameters.items():
                    p.data[...] = at[name] + a * steps[0][name] + b * steps[1][name]
                heights[i, j] = evaluate(model, loss, data)["loss"]
    finite = np.isfinite(heights)
    if not finite.any():
        raise ValueError("loss_surface: the loss is finite nowhere around these parameters: take a smaller span")
    ax, look = axes(ax, theme, (5.2, 4.4))
    levels = _levels(heights[finite])
    shown = np.where(finite, heights, heights[finite].max())
    ax.contourf(ways, ways, shown, levels=levels, cmap=look.amounts, alpha=0.55, extend="max")
    lines = ax.contour(ways, ways, shown, levels=levels, colors=look.quiet, linewidths=0.6, linestyles="solid")
    ax.clabel(lines, levels[::3], fmt=lambda value: tick(float(f"{value:.2g}")), fontsize=8, colors=look.ink)
    ax.plot(0, 0, "+", color=look.ink, markersize=11, markeredgewidth=1.8)
    ax.set(xlabel="step along direction 1", ylabel="step along direction 2", title=f"{_name(loss)} around the model")
    ax.set_aspect("equal")
    readable(ax.xaxis)
    readable(ax.yaxis)
    return ax


def _name(loss: Any) -> str:
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    return str(name).replace("_", " ") if name not in ("", "<lambda>") else "loss"


def _at_random(parameters: Mapping[str, Any], rng: Any) -> list[dict[str, np.ndarray]]:
    """Two directions whose rows are as long as those of the parameters."""
    rng = np.random.default_rng(rng)
    found = []
    for _ in range(2):
        direction = {}
        for name, p in parameters.items():
            rows = rng.normal(size=p.shape).reshape(len(p.value) if p.ndim else 1, -1)
            lengths = np.linalg.norm(p.value.reshape(rows.shape), axis=1, keepdims=True)
            direction[name] = (rows / np.linalg.norm(rows, axis=1, keepdims=True) * lengths).reshape(p.shape)
        found.append(direction)
    return found


def _given(parameters: Mapping[str, Any], directions: Any) -> list[dict[str, np.ndarray]]:
    """The caller's directions, checked, with 0 for what they do not name."""
    if len(directions) != 2 or not all(isinstance(d, Mapping) for d in directions):
        raise ValueError("loss_surface: directions= are two, each a dict of arrays by the names of parameters")
    for direction in directions:
        for name, step in direction.items():
            if name not in parameters:
                raise ValueError(f"loss_surface: there is no parameter {name!r}; there are {', '.join(parameters)}")
            if np.shape(step) != parameters[name].shape:
                raise ValueError(
                    f"loss_surface: the direction of {name} has shape {np.shape(step)}, expected that of the "
                    f"parameter, {parameters[name].shape}"
                )
    return [{name: np.asarray(d.get(name, np.zeros(p.shape))) for name, p in parameters.items()} for d in directions]


def _levels(heights: np.ndarray) -> np.ndarray:
    """Limits between level lines, so that between any two there is as much of the picture: closer where it is flat."""
    levels = np.unique(np.quantile(heights, np.linspace(0, 1, 16)))
    return levels if len(levels) > 2 else levels[0] + np.array([-1.0, 0.0, 1.0]) * max(abs(levels[0]), 1.0) * 1e-3


@contextmanager
def _put_back(parameters: Mapping[str, Any]) -> Iterator[dict[str, np.ndarray]]:
    """The parameters as they are, to which they return whatever happens."""
    before = {name: p.numpy() for name, p in parameters.items()}
    try:
        yield before
    finally:
        for name, p in parameters.items():
            p.data[...] = before[name]
