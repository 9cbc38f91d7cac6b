"""What the hidden units of the digits network look for: the rows of W¹, shown as images.

Unit i of the first hidden layer sees an image x as wᵢᵀ x + bᵢ, so its 64 weights (without the bias) are an image, too:
where it is red, ink excites the unit, where it is blue, ink calms it. To be seen: before training there is noise, after
it there are strokes, edges and holes, which the next layer puts together to digits. A small penalty on the weights
clears away what does not help, such as weights of pixels at the border that never carry ink.
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn import plot

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
X_train, y_train, X_test, y_test = tn.data.load_digits()
rng = np.random.default_rng(0)
model = tn.nn.Sequential(tn.nn.Dense(64, 24, "tanh", rng=rng), tn.nn.Dense(24, 10, rng=rng))  # ends in logits
plot.weights_as_images(model, shape=(8, 8)).savefig(out / "units_before.png")


def loss(prediction, target):
    return tn.cross_entropy(prediction, target) + tn.nn.l2_penalty(model, 0.003)


history = tn.fit(
    model, loss, tn.optim.Adam(model.parameters(), lr=0.01), (X_train, y_train), epochs=20, rng=rng,
    validation=(X_test, y_test), metrics="accuracy",
)  # fmt: skip
print(history)
plot.weights_as_images(model, shape=(8, 8)).savefig(out / "units_after.png")
plot.confusion_matrix(model, X_test, y_test).figure.savefig(out / "confusion.png")

size = np.sqrt(np.mean(model[0].W.numpy() ** 2, axis=0))
blank = X_train.mean(axis=1) < 0.01
print(f"size of weights: {size[blank].mean():.3f} of the {blank.sum()} pixels that hardly ever carry ink", end="")
print(f", {size[~blank].mean():.3f} of the others")
for name in ("units_before", "units_after", "confusion"):
    print(f"picture: {out / f'{name}.png'}")
