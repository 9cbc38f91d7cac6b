"""Why weights start at random: units that begin alike stay alike.

A network of 2-4-1 neurons learns XOR, from equal weights and from random ones. Units with the same weights have the
same outputs and so the same gradients, for ever: however long it trains, four equal units can do no more than one. To
be seen: with equal weights the paths of the four units lie on each other, and the cost stays where one unit can bring
it; with random weights they part, and it falls to 0. From zeros it stays at 1/8, the cost of always saying ½: as W² is
0, so is the gradient of W¹, and as the hidden outputs are 0, so is that of W².
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
X, y = tn.data.make_xor()
Y = y[np.newaxis].astype(float)


def constant(shape, rng=None, dtype=float):
    return tn.nn.init.constant(shape, dtype=dtype, value=0.5)


def train(init):
    model = tn.nn.Sequential(tn.nn.Dense(2, 4, "tanh", init=init, rng=4), tn.nn.Dense(4, 1, init=init, rng=5))
    weights = [model[0].W.numpy()]  # before, and after each step
    history = tn.fit(
        model, tn.mse, tn.optim.Adam(model.parameters(), lr=0.02), (X, Y), 400, batch_size=None,
        callbacks=lambda epoch, history: weights.append(model[0].W.numpy()),
    )  # fmt: skip
    return history, np.array(weights)


figure = Figure((10, 3.4), layout="constrained")
costs, *paths = figure.subplots(1, 3)
costs.set(title="cost J", xlabel="step")
starts = (
    ("zeros", "zeros", ":", None),
    ("all 0.5", constant, "--", paths[0]),
    ("random", "glorot_uniform", "-", paths[1]),
)
for name, init, style, ax in starts:
    history, weights = train(init)
    units = len(np.unique(weights[-1].round(9), axis=0))
    print(f"{name:8}  J = {history.loss[-1]:.4f}   different hidden units: {units} of 4")
    costs.plot(history.loss, style, label=name)
    if ax is not None:
        for unit, marker in enumerate("os^v"):
            ax.plot(*weights[:, unit].T, marker=marker, markevery=[-1], markersize=11 - 2 * unit)
        ax.set(title=f"hidden units, from {name}", xlabel="w₁", ylabel="w₂")
costs.legend()
figure.savefig(out / "symmetry.png", dpi=110)
print(f"picture: {out / 'symmetry.png'}")
