"""Gradient descent, animated: six optimisers walk down the same curved valley.

The surface is Rosenbrock's, J = (1 − w₁)² + 10 (w₂ − w₁²)²: a steep valley whose floor falls gently to the minimum at
(1, 1). To be seen: plain gradient descent drops to the floor and then creeps, as a step that is small enough for the
walls is too small for the floor; momentum gathers speed along it; Rprop, RMSprop and Adam give each weight a step of
its own and hug the curve. descent.gif shows them step by step, descent.png their whole paths.
"""

import sys
from pathlib import Path

import tinygrad_nn as tn
from tinygrad_nn import plot

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")


def valley(w1, w2):
    return (1 - w1) ** 2 + 10 * (w2 - w1 * w1) ** 2


optimizers = {
    "gradient descent": lambda params: tn.optim.SGD(params, lr=0.008),
    "momentum": lambda params: tn.optim.SGD(params, lr=0.004, momentum=0.9),
    "Nesterov": lambda params: tn.optim.SGD(params, lr=0.004, momentum=0.9, nesterov=True),
    "RMSprop": lambda params: tn.optim.RMSprop(params, lr=0.02),
    "Adam": lambda params: tn.optim.Adam(params, lr=0.08),
    "Rprop": lambda params: tn.optim.Rprop(params, lr=0.02),
}
paths = plot.descend(valley, optimizers, start=(-1.4, 1.6), steps=150)
for name, path in paths.items():
    w1, w2 = path[-1]
    print(f"{name:16}  after {len(path) - 1} steps at ({w1:6.3f}, {w2:6.3f})   J = {valley(w1, w2):.1e}")

limits = {"x": (-1.8, 1.6), "y": (-0.8, 2.6)}
plot.contour_path(valley, paths, **limits).figure.savefig(out / "descent.png", dpi=110)
plot.descent_gif(out / "descent.gif", valley, paths, **limits, frames=30)
print(f"picture: {out / 'descent.png'}")
print(f"picture: {out / 'descent.gif'}")
