"""A learning rate of its own for every weight: Rprop looks at signs, IDBD learns the rates by gradient descent.

Above, Rprop in a valley 400 times as steep one way as the other: only the sign of a derivative counts, a step grows by
1.2 while the sign stays and is halved when it turns; the step sizes of both weights are drawn. Below, IDBD on Sutton's
task: a linear unit with 20 random inputs of which only 5 matter, and every 20 examples one of these 5 weights changes
sign. To be seen: the rates of the 5 that matter grow until the unit follows the changes, those of the other 15 shrink,
as all they can do is follow noise; the error falls well below that of the best single rate.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure = Figure((8, 6), layout="constrained")
above, below = figure.subplots(2, 1)

w = tn.tensor([3.0, 3.0], requires_grad=True)
rprop, sizes, costs = tn.optim.Rprop([w], lr=0.05), [], []
for _ in range(40):
    rprop.zero_grad()
    J = 0.5 * (np.array([1.0, 400.0]) * w * w).sum()
    J.backward()
    rprop.step()
    sizes.append(rprop.state[0]["size"].copy())
    costs.append(J.item())
print(f"Rprop: J from {costs[0]:.0f} to {costs[-1]:.1e} in 40 steps")
above.semilogy(sizes, label=["step of w₁", "step of w₂"])
above.semilogy(costs, "k:", label="J")
above.set(title="Rprop", xlabel="step")
above.legend()


def follow(make, examples=6000):
    """The unit's mean squared error over the last half, and its optimiser."""
    rng, target = np.random.default_rng(0), np.concatenate([np.ones(5), np.zeros(15)])
    w = tn.tensor(np.zeros((1, 20)), requires_grad=True)
    optimizer, errors, rates = make([w]), [], []
    for n in range(examples):
        if n % 20 == 0:
            target[rng.integers(5)] *= -1
        x = rng.standard_normal((20, 1))
        optimizer.zero_grad()
        J = tn.mse(w @ x, [[target @ x[:, 0]]])
        J.backward()
        optimizer.step(*[[(x * x).T]] * isinstance(optimizer, tn.optim.IDBD))
        errors.append(2 * J.item())
        rates.append(optimizer.rates[0][0] if isinstance(optimizer, tn.optim.IDBD) else None)
    return np.mean(errors[examples // 2 :]), rates


for lr in (0.02, 0.04, 0.06):
    print(f"one rate for all, {lr}: mean squared error {follow(lambda params: tn.optim.SGD(params, lr=lr))[0]:.2f}")
error, rates = follow(lambda params: tn.optim.IDBD(params, lr=0.05, theta=0.003))
print(f"IDBD: mean squared error {error:.2f}")
