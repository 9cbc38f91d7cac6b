"""Regularisation: a term of the cost that keeps weights small, so that a network does not learn the noise.

Twelve noisy points of a sine, and a network with 40 hidden units: far too many. To be seen: without a penalty the curve
bends to pass through every point; λ/2 Σ w² (L2) makes it smooth; λ Σ |w| (L1) also sets most weights to zero, so that a
few units do all the work. Both are one more term of J, and leave biases alone: regularised_cost.svg shows the graph of
J with the penalty joining at the end.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
X, Y = tn.data.make_sine(12, noise=0.25, rng=3)
x = np.linspace(-3.3, 3.3, 300)[np.newaxis]


def wide(shape, rng=None, dtype=float):
    return tn.nn.init.normal(shape, rng, dtype, std=2.0)


def train(penalty):
    model = tn.nn.Sequential(tn.nn.Dense(1, 40, "tanh", init=wide, rng=0), tn.nn.Dense(40, 1, rng=1))
    optimizer = tn.optim.Adam(model.parameters(), lr=0.04)
    schedule = tn.optim.CosineAnnealingLR(optimizer, 800)

    def loss(prediction, target):
        return tn.mse(prediction, target) + penalty(model)

    tn.fit(model, loss, optimizer, (X, Y), epochs=800, batch_size=None, schedule=schedule)
    return model


penalties = {
    "none": lambda model: 0.0,
    "L2, λ = 0.003": lambda model: tn.nn.l2_penalty(model, 0.003),
    "L1, λ = 0.003": lambda model: tn.nn.l1_penalty(model, 0.003),
}
figure = Figure((10, 5.5), layout="constrained")
axes = figure.subplots(2, 3, sharex="row", sharey="row")
for (name, penalty), curve, bars in zip(penalties.items(), *axes, strict=True):
    model = train(penalty)
    w = np.concatenate([p.numpy().ravel() for p in tn.nn.weights(model)])
    error = float(np.mean((model(x).numpy() - np.sin(x)) ** 2) ** 0.5)
    print(f"{name:14}  distance from the sine {error:.3f}   weights below 0.01: {np.mean(np.abs(w) < 0.01):4.0%}")
    curve.plot(x[0], model(x).numpy()[0], x[0], np.sin(x[0]), "k:", *X, *Y, "o")
    curve.set(title=f"penalty: {name}", ylim=(-2, 2))
    bars.hist(w, np.linspace(-3, 3, 60))
    bars.set(xlabel="weight")
figure.savefig(out / "regularisation.png", dpi=110)

J = (tn.mse(model(X), Y).named("mse") + tn.nn.l1_penalty(model, 0.003)).named("J")
tn.draw(J).save(out / "regularised_cost.svg")
for name in ("regularisation.png", "regularised_cost.svg"):
    print(f"picture: {out / name}")
