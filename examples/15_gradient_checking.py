"""Gradient checking: a derivative rule with a mistake in it is found by comparing with finite differences.

The swish σ(z)·z is entered twice, once with its derivative and once with the product rule's second term forgotten. To
be seen: `gradcheck` passes the first and refuses the second, naming the operation and the elements; and how the step h
of (f(x + h) − f(x − h))/2h matters: the difference from the right derivative falls with h² until the rounding of f
takes over, while the difference from the wrong one stays at the size of the mistake. checking.png shows both.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")


def swish(z):
    return z / (1 + np.exp(-z))


def right(g, y, z):
    s = tn.sigmoid(z)
    return g * (s + z * s * (1 - s))


def wrong(g, y, z):
    return g * tn.sigmoid(z)  # and where is z σ'(z)?


good = tn.op(swish, "swish({z})", right, name="swish", kind="elementwise")
bad = tn.op(swish, "broken_swish({z})", wrong, name="broken_swish", kind="elementwise")

z = np.array([-1.0, 0.5, 2.0])
print("swish:", "passed" if tn.gradcheck(good, z, order=2) else "")
try:
    tn.gradcheck(bad, z)
except tn.GradientCheckError as error:
    print("broken_swish:", error)

steps = np.logspace(-11, 0, 60)
ax = Figure((7, 4), layout="constrained").add_subplot(xscale="log", yscale="log")
for op, style in ((good, "-"), (bad, "--")):
    t = tn.tensor(2.0, requires_grad=True)
    op(t).backward()
    differences = [abs((swish(2.0 + h) - swish(2.0 - h)) / (2 * h) - t.grad) for h in steps]
    ax.plot(steps, differences, style, label=op.name)
ax.set(xlabel="step h", ylabel="|finite difference − gradient|")
ax.legend()
ax.figure.savefig(out / "checking.png")
print(f"picture: {out / 'checking.png'}")
