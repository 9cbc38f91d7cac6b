"""Second order: at a critical point the eigenvalues of the Hessian tell a minimum from a saddle.

J = ¼w₁⁴ − ½w₁² + ½w₂² has three points where the gradient is zero. To be seen: at (±1, 0) both eigenvalues are
positive, so all ways lead up: minima. At (0, 0) one is negative: a saddle, from which J falls along the eigenvector
drawn. Newton's step solves H Δw = −∇J and so runs to a critical point of any kind, here the saddle; gradient descent
from the same start rolls past it. The same question for an XOR network: at zero weights and output ½ all eigenvalues
but one are 0. That is a plateau, where gradient descent stays for long.
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn import plot

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")


def surface(w1, w2):
    return w1**4 / 4 - w1**2 / 2 + w2**2 / 2


def J(w):
    return surface(w[0], w[1])


for point in ((-1.0, 0.0), (0.0, 0.0), (1.0, 0.0)):
    eigenvalues = np.linalg.eigvalsh(tn.hessian(J)(np.array(point)))
    kind = "minimum" if (eigenvalues > 0).all() else "maximum" if (eigenvalues < 0).all() else "saddle"
    print(f"at {point}: eigenvalues {eigenvalues}, a {kind}")

start = (0.35, 0.9)
newton = [np.array(start)]
for _ in range(6):
    w = newton[-1]
    newton.append(w - np.linalg.solve(tn.hessian(J)(w), tn.grad(J)(w)))
paths = plot.descend(surface, {"gradient descent": lambda params: tn.optim.SGD(params, lr=0.15)}, start, 60)
ax = plot.contour_path(surface, {"Newton": np.array(newton), **paths}, x=(-1.6, 1.6), y=(-1, 1.1))
values, vectors = np.linalg.eigh(tn.hessian(J)(np.zeros(2)))
ax.annotate("", 0.6 * vectors[:, 0], -0.6 * vectors[:, 0], arrowprops={"arrowstyle": "<->"})
ax.text(0.05, 0.08, f"curvature {values[0]:.0f}")
ax.figure.savefig(out / "saddle.png", dpi=110)

X, y = tn.data.make_xor()


def cost(w):  # a 2-2-1 network, its 9 parameters in one vector
    hidden = tn.tanh(w[:4].reshape(2, 2) @ X + w[4:6].reshape(2, 1))
    return tn.mse(w[6:8].reshape(1, 2) @ hidden + w[8], y[np.newaxis].astype(float))


eigenvalues = np.linalg.eigvalsh(tn.hessian(cost)(np.append(np.zeros(8), 0.5)))
print("XOR network at zero weights: eigenvalues", np.array2string(eigenvalues, precision=2, suppress_small=True))
print(f"picture: {out / 'saddle.png'}")
