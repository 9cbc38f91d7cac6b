"""Two kinds of zero: a gradient of 0 because nothing gets through, or because large paths cancel.

z = 5 relu(−t) does not react to t = 1, as the only path is blocked. z = 1000 sin²t + 1000 cos²t does not either, but
for another reason: both halves react strongly, and against each other. To be seen: the gradient is 0 in both, and the
mass Σ|p|, the sum over the paths without signs, tells the two apart. Cancellation costs digits: what may be left over
of two numbers near 909 is no slope but a rounding error. cancellation.svg shows two large paths that add up to nothing.
"""

import sys
from pathlib import Path

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")


def blocked(t):
    return 5 * tn.relu(-t)


def straight(t):
    return 5 * t - 5 * t


def circle(t):
    return 1000 * tn.sin(t) ** 2 + 1000 * tn.cos(t) ** 2


print("z                          gradient   mass Σ|p|   cancelled   live paths   their contributions")
for name, f in [("5 relu(−t)", blocked), ("5t − 5t", straight), ("1000 sin²t + 1000 cos²t", circle)]:
    t = tn.tensor(1.0, requires_grad=True, name="t")
    paths = tn.paths(f(t), t)
    parts = ", ".join(f"{path.contribution:.3f}" for path in paths if path.live)
    print(f"{name:24}{abs(paths.gradient):11.1e}{paths.mass:12.3f}{paths.cancellation:12.0%}", end="")
    print(f"{f'{paths.live_count} of {paths.count}':>13}   {parts or '–'}")

t = tn.tensor(1.0, requires_grad=True, name="t")
tn.draw(circle(t).named("z"), t).save(out / "cancellation.svg")
print(f"picture: {out / 'cancellation.svg'}")
