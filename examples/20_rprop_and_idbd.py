"""A learning rate of its own for every weight: Rprop looks at signs, IDBD learns the rates by gradient descent.

Above, Rprop in a valley 400 times as steep one way as the other. Only the sign of a derivative counts: a step grows by
1.2 while it stays, and is halved when it turns, so that the steepness does not matter at all. Below, IDBD on Sutton's
task: a linear unit with 20 random inputs, of which 5 matter, and every 20 examples one of these 5 weights changes sign.
To be seen: the rates of the 5 grow until the unit follows the changes, those of the other 15, which can only add noise,
shrink; and the error falls below that of the best single rate.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
above, below = Figure((8, 6), layout="constrained").subplots(2, 1)
w = tn.tensor([3.0, 1.0], requires_grad=True)
rprop, seen = tn.optim.Rprop([w], lr=0.05), []
for _ in range(40):
    rprop.zero_grad()
    J = 0.5 * (np.array([1.0, 400.0]) * w * w).sum()
    J.backward()
    rprop.step()
    seen.append([*rprop.state[0]["size"], J.item()])
print(f"Rprop: J from {seen[0][2]:.0f} to {seen[-1][2]:.0e} in 40 steps")
above.semilogy(seen, label=["step of w₁", "step of w₂", "J"])
above.set(title="Rprop", xlabel="step")
above.legend()


def follow(lr, idbd=False):
    """The unit's mean squared error over the last 1,000 examples, and its learning rates."""
    rng, target = np.random.default_rng(0), np.append(np.ones(5), np.zeros(15))
    w = tn.tensor(np.zeros((1, 20)), requires_grad=True)
    optimizer = tn.optim.IDBD([w], lr=lr, theta=0.005) if idbd else tn.optim.SGD([w], lr=lr)
    errors, rates = [], [np.full(20, lr)]
    for n in range(4000):
        target[rng.integers(5)] *= 1 if n % 20 else -1
        x = rng.standard_normal((20, 1))
        optimizer.zero_grad()
        J = tn.mse(w @ x, np.array([target @ x]))
        J.backward()
        optimizer.step(*[[(x * x).T]] * idbd)  # the curvature of a linear unit
        rates += [optimizer.rates[0][0]] if idbd else []
        errors.append(2 * J.item())
    return np.mean(errors[3000:]), rates


for lr in (0.02, 0.03, 0.05):
    print(f"one rate, {lr}, for all: mean squared error {follow(lr)[0]:.2f}")
error, rates = follow(0.05, idbd=True)
print(f"IDBD: mean squared error {error:.2f}")
below.plot(np.array(rates)[:, 5:], "C1", np.array(rates)[:, :5], "C0--", linewidth=0.8)
below.set(title="IDBD: rates of inputs that matter (dashed) and of the others", xlabel="example")
below.figure.savefig(out / "rates.png", dpi=110)
print(f"picture: {out / 'rates.png'}")
