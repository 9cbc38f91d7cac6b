"""Finding a learning rate in one short run: let it grow with every batch, and watch the cost.

The rate of Adam grows by a constant factor from batch to batch, from far too small to far too large, on the digits. To
be seen: at first nothing happens; then the cost falls, fastest where the curve is steepest; then it rises as steps jump
over the valley. A good rate lies well before the lowest point: here the place of steepest descent. On the right, what
training with that rate gives, and with a tenth of it and ten times as much.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
X_train, y_train, X_test, y_test = tn.data.load_digits()


def start(rate):
    rng = np.random.default_rng(0)
    model = tn.nn.Sequential(tn.nn.Dense(64, 32, "relu", rng=rng), tn.nn.Dense(32, 10, rng=rng))  # ends in logits
    return model, tn.optim.Adam(model.parameters(), lr=rate), tn.data.batches(X_train, y_train, 32, rng=rng)


class Watch:
    rates, costs = [], []

    def on_batch_end(self, epoch, batch, loss):
        self.costs.append(0.9 * self.costs[-1] + 0.1 * loss if self.costs else loss)  # smoothed
        self.rates.append(optimizer.param_groups[0]["lr"])
        return self.costs[-1] < 4 * min(self.costs)  # False ends it


watch = Watch()
model, optimizer, batches = start(1e-5)
growth = tn.optim.ExponentialLR(optimizer, 1.07)
tn.fit(model, tn.cross_entropy, optimizer, batches, 5, callbacks=[watch], schedule=growth, schedule_per="batch")
best = watch.rates[int(np.argmin(np.gradient(watch.costs, np.log(watch.rates))))]
print(f"steepest descent at a learning rate of {best:.4f}")

figure = Figure((10, 3.8), layout="constrained")
found, compared = figure.subplots(1, 2)
found.semilogx(watch.rates, watch.costs)
found.axvline(best, linestyle=":", color="black")
found.set(xlabel="learning rate", ylabel="cost J (smoothed)", title=f"steepest at {best:.2g}")
for factor, style in ((0.1, ":"), (1.0, "-"), (10.0, "--")):
    model, optimizer, batches = start(best * factor)
    history = tn.fit(model, tn.cross_entropy, optimizer, batches, 8, validation=(X_test, y_test), metrics="accuracy")
    print(
        f"lr = {best * factor:.4f}: accuracy on unseen digits after 8 epochs {history['validation_accuracy'][-1]:.3f}"
    )
    compared.semilogy(range(1, 9), history.validation_loss, style, label=f"lr = {best * factor:.2g}")
compared.set(xlabel="epoch", title="cost on unseen digits")
compared.legend()
figure.savefig(out / "learning_rate.png", dpi=110)
print(f"picture: {out / 'learning_rate.png'}")
