"""XOR: what one neuron cannot learn, three hidden neurons can.

The exclusive or is 1 where exactly one of two inputs is 1. No straight line separates its ones from its zeros, so a
single neuron does no better than to answer ½ everywhere. To be seen: the cost of the neuron gets stuck at 1/8, which is
½(y* − ½)²; with a hidden layer of three it falls towards 0, and the outputs come close to 0 1 1 0. xor.svg shows the
second network after training, layer by layer: the errors are small, and so are all gradients.
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

X, labels = tn.data.make_xor()  # X (2, 4): four examples, one in each column
Y = tn.tensor(labels.reshape(1, 4).astype(float), name="Y*")  # the wished-for outputs, as columns too


def train(model):
    optimizer = tn.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    for _ in range(400):
        model.zero_grad()
        J = tn.mse(model(X), Y)
        J.backward()
        optimizer.step()
    return tn.mse(model(X), Y).named("J")


rng = np.random.default_rng(1)
neuron = tn.nn.Sequential(tn.nn.Dense(2, 1, "sigmoid", rng=rng))
network = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=rng), tn.nn.Dense(3, 1, "sigmoid", rng=rng))

print(f"{'input':22}", *(f"{int(a)},{int(b)}  " for a, b in X.T))
print(f"{'wish':22}", *(f"{y:.2f} " for y in Y.numpy()[0]))
for name, model in [("one neuron", neuron), ("3 hidden neurons", network)]:
    J = train(model)
    print(f"{name:17}{'':6}" + " ".join(f"{a:.2f} " for a in model(X).numpy()[0]), f"  J = {J.item():.5f}")

tn.draw(J).save(out / "xor.svg")
print(f"picture: {out / 'xor.svg'}")
