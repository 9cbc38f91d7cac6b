"""Normalising the input: the same problem in other units is a valley or a bowl.

A linear neuron learns y* from two features, one between 0 and 1, the other between 10 and 12. To be seen: with the raw
features the cost is a narrow valley, since the Hessian of J is the matrix of their mean products, and gradient descent,
after a first leap to its floor, hardly moves in 50 steps. Shifted to mean 0 and scaled to standard deviation 1, as
measured on the training data, the valley is a bowl, and 5 steps will do. The numbers above are the condition of the
Hessian, its largest eigenvalue over the smallest.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn
from tinygrad_nn import plot

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
rng = np.random.default_rng(0)
raw = np.stack([rng.uniform(0, 1, 100), rng.uniform(10, 12, 100)])
Y = np.array([[2.0, -0.5]]) @ raw + 0.1 * rng.standard_normal((1, 100))
Y = Y - Y.mean()
inputs = {"raw": raw, "normalised": tn.data.Standardizer().fit_transform(raw)}

figure = Figure((11, 3.8), layout="constrained")
raw_ax, normal_ax, costs = figure.subplots(1, 3)
for (name, X), ax, style in zip(inputs.items(), (raw_ax, normal_ax), ("--", "-"), strict=True):
    H, b, c = X @ X.T / 100, X @ Y[0] / 100, Y[0] @ Y[0] / 100

    def cost(w1, w2, H=H, b=b, c=c):  # 1/N Σₙ ½(wᵀxₙ − yₙ)², multiplied out
        return (H[0, 0] * w1 * w1 + H[1, 1] * w2 * w2 + c) / 2 + H[0, 1] * w1 * w2 - b[0] * w1 - b[1] * w2

    eigenvalues = np.linalg.eigvalsh(H)
    rate = 1 / eigenvalues.max()
    path = plot.descend(
        cost, {f"η = {rate:.3g}": lambda params, rate=rate: tn.optim.SGD(params, lr=rate)}, (2.0, 2.0), 50
    )
    (points,) = path.values()
    J = [float(cost(*w)) for w in points]
    print(f"{name:10}  condition {eigenvalues.max() / eigenvalues.min():6.1f}   J after 50 steps {J[-1]:.4f}")
    plot.contour_path(cost, path, ax, x=(-1, 3), y=(-2, 2.5))
    ax.set_title(f"{name} input, condition {eigenvalues.max() / eigenvalues.min():.1f}")
    costs.semilogy(J, style, label=name)
costs.set(xlabel="step", title="cost J")
costs.legend()
figure.savefig(out / "normalising.png", dpi=110)
print(f"picture: {out / 'normalising.png'}")
