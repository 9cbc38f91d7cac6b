"""Softmax with log-likelihood against sigmoids with squared error: who recovers from a bad start.

Two networks of 64-32-10 neurons read digits from the same first weights, in which the output layer is ten times too
large: its first answers are wrong, and sure of it. With squared error δ = (a − y*) ⊗ σ′(z), and where a sigmoid is
saturated σ′(z) is almost 0, so the worst errors teach least. With softmax and log-likelihood the derivative of the
activation cancels: δ = a − y*. To be seen: the size of δ at the output in the first epochs, and that the one network
learns at once where the other hardly moves.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
X_train, y_train, X_test, y_test = tn.data.load_digits()
Y_train, Y_test = tn.data.one_hot(y_train, 10), tn.data.one_hot(y_test, 10)


def train(loss, activation):
    rng = np.random.default_rng(0)
    model = tn.nn.Sequential(tn.nn.Dense(64, 32, "tanh", rng=rng), tn.nn.Dense(32, 10, activation, rng=rng))
    model[1].W.data *= 10
    sizes = []

    def look(epoch, history):
        delta, _, _ = tn.nn.backpropagation(model, X_test, Y_test, loss=loss)[-1]
        sizes.append(np.sqrt(np.mean(delta**2)))

    look(0, None)
    history = tn.fit(
        model, loss, tn.optim.SGD(model.parameters(), lr=0.01), (X_train, Y_train), 15,
        validation=(X_test, Y_test), metrics="accuracy", callbacks=look, rng=1,
    )  # fmt: skip
    return sizes, history["validation_accuracy"]


figure = Figure((9, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
for name, style, arguments in (
    ("softmax, log-likelihood", "o-", ("cross_entropy", None)),  # which takes the softmax of logits itself
    ("sigmoid, squared error", "s--", ("mse", "sigmoid")),
):
    sizes, accuracy = train(*arguments)
    print(f"{name:24} accuracy after epoch 1: {accuracy[0]:.3f}, after 15: {accuracy[-1]:.3f}")
    left.plot(sizes, style, label=name)
    right.plot(range(1, 16), accuracy, style, label=name)
left.set(xlabel="epoch", title="error signal δ at the output, root mean square", yscale="log")
right.set(xlabel="epoch", title="accuracy on unseen digits", ylim=(0, 1))
right.legend()
figure.savefig(out / "softmax_against_mse.png")
print(f"picture: {out / 'softmax_against_mse.png'}")
