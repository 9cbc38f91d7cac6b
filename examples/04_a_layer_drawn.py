"""A layer drawn: Z = W A + b for four examples at once, and the shapes that come back.

A layer is one matrix product: W (2, 3) times A⁰ (3, 4) gives Z (2, 4), one column for each of four examples; the bias
b (2, 1) is added to every column. To be seen: the gradients have the shapes of what they belong to, and equal the
equations of Thill's post, ∂J/∂W = 1/N Δ A⁰ᵀ and ∂J/∂b = 1/N Δ 1 with Δ = (Y − Y*) ⊙ σ′(Z). The bias was used in four
columns, so its gradient is a sum over four. layer.svg shows the graph with all numbers, coloured by sign and size.
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 4))  # four examples as columns
wish = rng.normal(size=(2, 4))

model = tn.nn.Sequential(tn.nn.Dense(3, 2, "tanh", rng=rng))
J = tn.mse(model(X), tn.tensor(wish, name="Y*")).named("J")
J.backward()
tn.draw(J).save(out / "layer.svg")

W, b = model.parameters()
print(f"W {W.shape}   ∂J/∂W {W.grad.shape}")
print(f"b {b.shape}   ∂J/∂b {b.grad.shape}")

# the same by hand
N = X.shape[1]
Z = W.numpy() @ X + b.numpy()
A = np.tanh(Z)
delta = (A - wish) * (1 - A**2)
print("∂J/∂W = 1/N Δ A⁰ᵀ:", np.allclose(W.grad, delta @ X.T / N, rtol=0, atol=1e-14))
print("∂J/∂b = 1/N Δ 1:  ", np.allclose(b.grad, delta.sum(axis=1, keepdims=True) / N, rtol=0, atol=1e-14))
print(f"picture: {out / 'layer.svg'}")
