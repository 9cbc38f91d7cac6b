"""Every optimiser of the package on the digits: same network, same first weights, same batches.

A network of 64-32-10 neurons, ten epochs of batches of 64; Rprop and L-BFGS, which need the gradient of all examples,
get as many full-batch steps as there are batches. To be seen: the curves of the cost, from the slow start of plain
gradient descent and Adagrad to the adaptive rules. Each has a rate that suits it: with another, the order changes.
Online L-BFGS reads curvature off pairs of gradients of one batch. The legend ranks them by accuracy on unseen digits.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn
from tinygrad_nn.training import evaluate

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
X_train, y_train, *test = tn.data.load_digits()
EPOCHS, SIZE = 10, 64

optimizers = {
    "SGD": lambda params: tn.optim.SGD(params, lr=0.2),
    "SGD, momentum": lambda params: tn.optim.SGD(params, lr=0.1, momentum=0.9),
    "SGD, Nesterov": lambda params: tn.optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "Adagrad": lambda params: tn.optim.Adagrad(params, lr=0.05),
    "Adadelta": lambda params: tn.optim.Adadelta(params, lr=3.0),
    "RMSprop": lambda params: tn.optim.RMSprop(params, lr=0.005),
    "Adam": lambda params: tn.optim.Adam(params, lr=0.01),
    "AdamW": lambda params: tn.optim.AdamW(params, lr=0.01, weight_decay=0.1),
    "NAdam": lambda params: tn.optim.NAdam(params, lr=0.01),
    "IDBD": lambda params: tn.optim.IDBD(params, lr=0.1, theta=0.1),
    "online L-BFGS": lambda params: tn.optim.OnlineLBFGS(params, lr=0.2, damping=0.1),
    "Rprop (full batch)": lambda params: tn.optim.Rprop(params, lr=0.01),
}
ranking = []
for name, make in optimizers.items():
    rng = np.random.default_rng(1)
    model = tn.nn.Sequential(tn.nn.Dense(64, 32, "tanh", rng=rng), tn.nn.Dense(32, 10, rng=rng))
    steps = -(-y_train.size // SIZE)
    full = "full" in name
    history = tn.fit(
        model, tn.cross_entropy, make(model.parameters()), (X_train, y_train), EPOCHS * steps if full else EPOCHS,
        batch_size=None if full else SIZE, rng=2,
    )  # fmt: skip
    curve = history.loss[steps - 1 :: steps] if full else history.loss
    ranking.append((evaluate(model, tn.cross_entropy, test, "accuracy")["accuracy"], curve, name))

ax = Figure((8, 5), layout="constrained").add_subplot(yscale="log", xlabel="epoch", ylabel="cost J on training data")
for i, (accuracy, curve, name) in enumerate(sorted(ranking, reverse=True)):
    print(f"{name:20} J = {curve[-1]:.4f}   test accuracy {accuracy:.3f}")
    ax.plot(range(1, EPOCHS + 1), curve, ["-", "--", ":"][i % 3], label=f"{accuracy:.1%}  {name}")
ax.legend(fontsize=8, loc="lower left")
ax.figure.savefig(out / "race.png", dpi=110)
print(f"picture: {out / 'race.png'}")
