"""Local minima: the same small network, trained from 200 starts.

A 2-2-1 network of tanh units can compute XOR exactly, with J = 0. To be seen: not every start gets there. The final
costs, in order, form steps: half of the runs end at 0, the others in valleys from which training finds no way out. With
a third hidden unit most starts succeed: larger networks have more ways around. All starts are trained together, as one
graph whose weights have a leading axis.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
X, y = tn.data.make_xor()
STARTS, STEPS = 200, 600

figure = Figure((10, 3.8), layout="constrained")
curves, steps = figure.subplots(1, 2)
for hidden, style in ((2, "-"), (3, "--")):
    rng = np.random.default_rng(0)
    shapes = {"W¹": (hidden, 2), "b¹": (hidden, 1), "W²": (1, hidden), "b²": (1, 1)}
    W1, b1, W2, b2 = params = [
        tn.tensor(rng.standard_normal((STARTS, *shape)), requires_grad=True, name=name)
        for name, shape in shapes.items()
    ]
    optimizer = tn.optim.SGD(params, lr=0.3, momentum=0.9)
    history = []
    for _ in range(STEPS):
        A = tn.tanh(W1 @ X + b1)
        costs = 0.5 * tn.square(W2 @ A + b2 - y).mean(axis=(1, 2))  # J of each start
        optimizer.zero_grad()
        costs.sum().backward()  # gradients do not mix: each start has its own weights
        optimizer.step()
        history.append(costs.numpy())
    final = np.sort(history[-1])
    print(f"{hidden} hidden units: {np.mean(final < 1e-3):.0%} of {STARTS} starts reach J = 0")
    print("   others end at", ", ".join(f"{J:.3f}" for J in np.unique(final[final >= 1e-3].round(3))) or "nothing else")
    steps.plot(np.arange(STARTS) / STARTS, final, style, label=f"{hidden} hidden units")
    if hidden == 2:
        curves.semilogy(np.array(history)[:, :40], linewidth=0.8)
curves.set(ylim=(1e-6, 1), xlabel="step", ylabel="cost J", title="2 hidden units, 40 of the starts")
steps.set(xlabel="share of the starts", ylabel="final cost J", title="final costs in order")
steps.legend()
figure.savefig(out / "local_minima.png", dpi=110)
print(f"picture: {out / 'local_minima.png'}")
