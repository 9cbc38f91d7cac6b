"""Momentum and the step-size problem: what is small enough for the steep direction is too small for the flat one.

J = ½(w₁² + 25 w₂²) is 25 times as curved along w₂ as along w₁, and gradient descent diverges for η above 2/25. To be
seen on the left: with η just below that bound it zigzags between the walls, with a small one it creeps; with momentum
the zigzags cancel and the steady part adds up. On the right: the steps until J stays below 10⁻⁴, for every learning
rate: with momentum there are fewer, and more rates do.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn
from tinygrad_nn import plot

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")


def valley(w1, w2):
    return 0.5 * (w1 * w1 + 25 * w2 * w2)


optimizers = {
    "η = 0.076": lambda params: tn.optim.SGD(params, lr=0.076),
    "η = 0.01": lambda params: tn.optim.SGD(params, lr=0.01),
    "η = 0.03, momentum 0.7": lambda params: tn.optim.SGD(params, lr=0.03, momentum=0.7),
}
start = (-5.0, 0.7)
figure = Figure((11, 4.4), layout="constrained")
left, right = figure.subplots(1, 2)
plot.contour_path(valley, plot.descend(valley, optimizers, start, 40), left, x=(-5.6, 1), y=(-1, 1.3))
left.set_title("40 steps")

rates = np.logspace(-3, -0.4, 60)
for momentum, style in ((0.0, "-"), (0.5, "--"), (0.7, ":"), (0.9, "-.")):
    # All learning rates at once: one column of w for each.
    w, v, needed = np.tile(np.array(start)[:, np.newaxis], rates.size), 0.0, np.zeros(rates.size)
    with np.errstate(all="ignore"):  # some diverge
        for step in range(1, 401):
            v = momentum * v + tn.grad(lambda w: valley(w[0], w[1]).sum())(w)
            w = w - rates * v
            needed[~(valley(*w) < 1e-4)] = step + 1
    needed[needed > 400] = np.nan
    best = int(np.nanargmin(needed))
    print(f"momentum {momentum}: best with η = {rates[best]:.3f}, {needed[best]:.0f} steps")
    right.loglog(rates, needed, style, label=f"momentum {momentum}")
right.set(xlabel="learning rate η", ylabel="steps until J stays below 10⁻⁴")
right.legend()
figure.savefig(out / "momentum.png", dpi=110)
print(f"picture: {out / 'momentum.png'}")
