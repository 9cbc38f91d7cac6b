"""What a training has done, and what the first layer has learned."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tinygrad_nn.plot.style import ShownFigure, style
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.view.renderers.style import tint

__all__ = ["history", "weights_as_images"]


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
    figure = ShownFigure(figsize=(3.6 * len(panels), 3.2), layout="constrained")
    for ax, (title, lines, logarithmic) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for i, (name, values) in enumerate((name, values) for name, values in lines.items() if values):
            ax.plot(range(1, len(values) + 1), values, label=name.replace("_", " "), **style(i))
            if name == history.monitor and history.best_epoch is not None:
                ax.plot(history.best_epoch, values[history.best_epoch - 1], "o", color=style(i)["color"])
        ax.set(title=title, xlabel="epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if logarithmic and all(v > 0 for values in lines.values() for v in values):
            ax.set_yscale("log")
        ax.legend(fontsize=7)
        ax.grid(alpha=0.3)
    return figure


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
    figure = ShownFigure(figsize=(0.8 * columns + 0.7, 0.8 * rows), layout="constrained")
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
