"""Trainings played back in living pages: an epoch slider moves the parameters of the very graph.

Three networks are trained, and their parameters kept after each epoch: on XOR, on two moons, and on handwritten digits.
To be seen in the pages: press play, or move the epoch. Values, gradients and flows follow; of the moons the decision
boundary bends into place beside the graph; in the view Neurons each unit shows what it gets and what comes back.
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")


def play_back(name, net, loss, data, epochs, shown, rate=0.05, **settings):
    """Train, and write a page about the loss of the examples that are shown."""
    snapshots = tn.training.Snapshots(net, most=100)
    optimizer = tn.optim.Adam(net.parameters(), lr=rate)
    history = tn.fit(net, loss, optimizer, data, epochs, callbacks=[snapshots], progress=False, rng=0, **settings)
    X, y = shown
    J = loss(net(tn.tensor(X, name="X")), tn.tensor(y, name="y")).named("J")
    tn.draw(J, snapshots=snapshots, title=name).save(out / f"{name}.html")
    print(f"{name}: J from {history.loss[0]:.4f} to {history.loss[-1]:.4f} in {epochs} epochs, {len(snapshots)} kept")


def network(*sizes, last):
    rng = np.random.default_rng(1)
    names = ["tanh"] * (len(sizes) - 2) + [last]
    layers = [tn.nn.Dense(a, b, name, rng=rng) for a, b, name in zip(sizes, sizes[1:], names, strict=False)]
    return tn.nn.Sequential(*layers)


X, Y = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]]), np.array([[0.0, 1, 1, 0]])
play_back("xor", network(2, 4, 1, last="sigmoid"), tn.mse, (X, Y), 300, (X, Y))

X, y = tn.data.make_moons(60, rng=0)
Y = y.reshape(1, -1).astype(float)
play_back("moons", network(2, 8, 8, 1, last="sigmoid"), tn.mse, (X, Y), 200, (X, Y), rate=0.03)

X, y, *_ = tn.data.load_digits()
few, net = (X[:, :8], y[:8]), network(64, 10, 10, last=None)  # ends in logits
play_back("digits", net, tn.cross_entropy, (X, y), 10, few, rate=0.01, batch_size=32)

for name in ("xor", "moons", "digits"):
    print(f"picture: {out / name}.html")
