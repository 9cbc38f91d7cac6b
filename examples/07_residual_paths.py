"""A residual network: 1,024 paths of all lengths, and the short ones carry the gradient.

Each of ten blocks adds a small branch to what it gets: x + 0.1 tanh(x). A path may go past each branch or through it,
so there are 2¹⁰ paths. To be seen: sorted by the number of branches they take, their numbers are 1, 10, 45, ... as in
Pascal's triangle; but each branch on a path is a factor below 0.1, and the one path past all of them has more than half
of the gradient. The groups are added up in one sweep, no path is listed. residual_paths.svg shows the first three of
the ten blocks: eight paths.
"""

import sys
from pathlib import Path

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

x0 = tn.tensor(0.5, requires_grad=True, name="x₀")
x = x0
blocks = []
for number in "₁₂₃₄₅₆₇₈₉":
    x = (x + 0.1 * tn.tanh(x)).named(f"x{number}")
    blocks.append(x)
x = (x + 0.1 * tn.tanh(x)).named("x₁₀")

paths = tn.paths(x, x0)
print("branches taken   paths   together   share of the gradient")
for branches, group in paths.by_kind("tanh").items():
    share = group.contribution / paths.gradient
    print(f"{branches:8}{group.count:14}{group.contribution:13.6f}{share:9.3f}  {'█' * round(60 * share)}".rstrip())
print(f"{'all':>8}{paths.count:14}{paths.gradient:13.6f}")

x.backward()
print(f"backward() says {x0.grad:.6f}")
cost = paths.cost
print(f"multiplications: {cost.enumeration:,} path by path, {cost.backpropagation} by backpropagation")

tn.draw(blocks[2], x0).save(out / "residual_paths.svg")
print(f"picture: {out / 'residual_paths.svg'}")
