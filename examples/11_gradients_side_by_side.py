"""The same gradients five ways: this package, the equations of Thill's post, finite differences, PyTorch and JAX.

A network of 64-8-10 neurons (tanh, then cross-entropy) on 32 handwritten digits. Each way computes ∂J/∂W and ∂J/∂b of
both layers from the same numbers; the table gives the largest difference from ours, relative to the largest gradient.
To be seen: all agree to the last of 16 digits, but for finite differences, which cannot do better than about 10.
PyTorch and JAX have a row where they are installed. gradients.png draws the table.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
X, y, *_ = tn.data.load_digits()
X, Y = X[:, :32], tn.data.one_hot(y[:32], 10)
model = tn.nn.Sequential(tn.nn.Dense(64, 8, "tanh", rng=0), tn.nn.Dense(8, 10, rng=1))  # ends in logits
tn.cross_entropy(model(X), Y).backward()
params = [p.numpy() for p in model.parameters()]
ours = [p.grad for p in model.parameters()]


def cost(library, W1, b1, W2, b2):  # the same lines for NumPy, PyTorch and JAX
    Z = W2 @ library.tanh(W1 @ library.asarray(X) + b1) + b2
    return -(library.asarray(Y) * (Z - library.log(library.exp(Z).sum(0)))).sum() / 32


def difference(p, at, h=1e-5):
    costs = []
    for step in (h, -2 * h, h):  # up, down, and back again
        p[at] += step
        costs.append(cost(np, *params))
    return (costs[0] - costs[1]) / (2 * h)


ways = {"equations": [g for _, dW, db in tn.nn.backpropagation(model, X, Y, loss="cross_entropy") for g in (dW, db)]}
ways["differences"] = [np.reshape([difference(p, at) for at in np.ndindex(p.shape)], p.shape) for p in params]
if importlib.util.find_spec("torch"):
    torch = importlib.import_module("torch")
    leaves = [torch.tensor(p, requires_grad=True) for p in params]
    ways["PyTorch"] = torch.autograd.grad(cost(torch, *leaves), leaves)
if importlib.util.find_spec("jax"):
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    ways["JAX"] = jax.grad(lambda params: cost(jax.numpy, *params))(params)
print(f"not installed, so not compared: {', '.join({'PyTorch', 'JAX'} - set(ways)) or 'none'}")

ax = Figure((7, 3), layout="constrained").add_subplot(xscale="log", xlabel="largest difference from ours (0 as 1e-17)")
for i, p in enumerate(model.parameters()):
    worst = [np.abs(np.asarray(gs[i]) - ours[i]).max() / np.abs(ours[i]).max() for gs in ways.values()]
    print(f"{p.name}   " + "   ".join(f"{name} {w:.0e}" for name, w in zip(ways, worst, strict=True)))
    ax.plot(np.maximum(worst, 1e-17), list(ways), "os^v"[i], label=p.name)
ax.legend()
ax.figure.savefig(out / "gradients.png")
print(f"picture: {out / 'gradients.png'}")
