"""Plots of training: what a network has done, learned and mistaken (extra `plot`: matplotlib).

Every function draws into `ax` or into a new figure, and returns what it drew in; nothing is shown or saved by itself:
``plot.history(history).savefig("history.png")``, ``plot.decision_boundary(model, X, y).figure.savefig("moons.svg")``.
Colours are those of the pictures, ``theme="light"`` or ``"dark"``; unless given, what suits the background.
"""

try:
    import matplotlib as _  # noqa: F401  before the modules that need it
except ImportError:
    raise ImportError("tinygrad_nn.plot needs matplotlib: pip install 'tinygrad_nn[plot]'") from None

from tinygrad_nn.plot.classes import confusion_matrix, decision_boundary
from tinygrad_nn.plot.descent import contour_path, descend, descent_gif
from tinygrad_nn.plot.features import contributions
from tinygrad_nn.plot.landscape import loss_surface
from tinygrad_nn.plot.networks import history, weights, weights_as_images
from tinygrad_nn.plot.rates import calibration, roc_curve
from tinygrad_nn.plot.regression import residuals

__all__ = [
    "calibration", "confusion_matrix", "contour_path", "contributions", "decision_boundary", "descend", "descent_gif",
    "history", "loss_surface", "residuals", "roc_curve", "weights", "weights_as_images",
]  # fmt: skip
