"""Online, mini-batch, full batch: the same examples in smaller or larger portions.

A network of 64-32-10 neurons on the digits, gradient descent, each batch size with a rate that suits it. To be seen:
per epoch, small batches learn faster, as they take more steps for the same examples; per second, single examples lose,
as a step costs nearly the same for one of them as for 64, and so does the full batch, whose exact gradient is no better
a guide than an estimate. In between lies the mini-batch.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
X_train, y_train, X_test, y_test = tn.data.load_digits()

figure = Figure((10, 3.8), layout="constrained")
per_epoch, per_second = figure.subplots(1, 2, sharey=True)
for name, size, rate, epochs, style in (
    ("online (1)", 1, 0.02, 2, "o-"),
    ("mini-batch (8)", 8, 0.1, 6, "s--"),
    ("mini-batch (64)", 64, 0.4, 20, "^-."),
    ("full batch (1442)", None, 1.0, 40, "-"),
):
    rng = np.random.default_rng(0)
    model = tn.nn.Sequential(tn.nn.Dense(64, 32, "tanh", rng=rng), tn.nn.Dense(32, 10, rng=rng))  # ends in logits
    history = tn.fit(
        model, tn.cross_entropy, tn.optim.SGD(model.parameters(), lr=rate), (X_train, y_train), epochs,
        validation=(X_test, y_test), metrics="accuracy", batch_size=size, rng=rng,
    )  # fmt: skip
    accuracy = history["validation_accuracy"]
    losses = history.validation_loss
    print(f"{name:18} after {epochs:2} epochs: J = {losses[-1]:.3f}, accuracy {accuracy[-1]:.3f} on unseen digits")
    per_epoch.plot(range(1, epochs + 1), losses, style, label=name, markersize=4)
    per_second.plot(np.cumsum(history.seconds), losses, style, label=name, markersize=4)
per_epoch.set(xlabel="epochs", ylabel="cost J on unseen digits", yscale="log", xlim=(0, 21))
per_second.set(xlabel="seconds on this machine")
per_epoch.legend()
figure.savefig(out / "batch_sizes.png", dpi=110)
print(f"picture: {out / 'batch_sizes.png'}")
