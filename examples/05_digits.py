"""Digits: a network of 64-32-10 neurons learns to read real handwriting in a second.

The network of Thill's post, on 1,442 images of 8 × 8 pixels, in mini-batches of 32 columns, with momentum. To be seen:
the cost falls epoch by epoch and the share of unseen images read rightly rises above 95 %. Then one of the images it
misreads, which is seldom an easy one. digits_step.svg shows the graph of one training step: W¹, b¹, Z¹, A¹ and their
gradients, down to the cost J.
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

X_train, y_train, X_test, y_test = tn.data.load_digits()  # images are columns: (64, 1442) and (64, 355)
rng = np.random.default_rng(0)
model = tn.nn.Sequential(tn.nn.Dense(64, 32, "tanh", rng=rng), tn.nn.Dense(32, 10, rng=rng))  # ends in logits
optimizer = tn.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def predict(X):
    with tn.no_grad():
        return model(X).numpy().argmax(axis=0)


for epoch in range(1, 16):
    for X, y in tn.data.batches(X_train, y_train, batch_size=32, rng=rng):
        J = tn.cross_entropy(model(X), y).named("J")
        optimizer.zero_grad()
        J.backward()
        optimizer.step()
    if epoch % 5 == 0:
        print(f"epoch {epoch:2}   test accuracy {np.mean(predict(X_test) == y_test):.3f}")

wrong = np.flatnonzero(predict(X_test) != y_test)
first = wrong[0]
print(f"{wrong.size} of {y_test.size} test images misread; this {y_test[first]} was read as {predict(X_test)[first]}:")
for row in X_test[:, first].reshape(8, 8):
    print("    " + "".join(" .:oO@"[int(5 * ink)] * 2 for ink in row))

J = tn.cross_entropy(model(X_train[:, :32]), tn.tensor(y_train[:32], name="y")).named("J")
tn.draw(J).save(out / "digits_step.svg")
print(f"picture: {out / 'digits_step.svg'}")
