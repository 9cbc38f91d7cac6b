"""Every optimiser of the package on the digits: same network, same first weights, same batches.

A network of 64-32-10 neurons sees each of 1,442 images eight times, in batches of 64; Rprop, as noise would turn its
signs, in one batch of all. To be seen: the curves of the cost, from Rprop with its eight steps and plain gradient
descent to the adaptive rules and online L-BFGS. Each rule has the rate that suits it; with another, the order changes.
The legend ranks them by accuracy on unseen images.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn
from tinygrad_nn.training import evaluate

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
X_train, y_train, X_test, y_test = tn.data.load_digits()

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
    "Rprop": lambda params: tn.optim.Rprop(params, lr=0.02),
}
results = []
for name, make in optimizers.items():
    rng = np.random.default_rng(1)
    model = tn.nn.Sequential(tn.nn.Dense(64, 32, "tanh", rng=rng), tn.nn.Dense(32, 10, rng=rng))  # ends in logits
    batches = tn.data.batches(X_train, y_train, None if name == "Rprop" else 64, rng=2)
    history = tn.fit(model, tn.cross_entropy, make(model.parameters()), batches, epochs=8)
    accuracy = evaluate(model, tn.cross_entropy, (X_test, y_test), "accuracy")["accuracy"]
    results.append((accuracy, name, history.loss))

ax = Figure((8, 5), layout="constrained").add_subplot(yscale="log", xlabel="epoch", ylabel="cost J on training data")
for i, (accuracy, name, losses) in enumerate(sorted(results, reverse=True)):
    print(f"{name:15} J = {losses[-1]:.3f}   test accuracy {accuracy:.3f}")
    ax.plot(range(1, 9), losses, "o^sv"[i % 4] + ["-", "--", ":"][i % 3], label=f"{accuracy:.1%}  {name}")
ax.legend(fontsize=8, ncols=2)
ax.figure.savefig(out / "race.png", dpi=110)
print(f"picture: {out / 'race.png'}")
