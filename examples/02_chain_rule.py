"""The chain rule with two paths: z = sin(x² + y²), where both x and y depend on t.

The interlude of Thill's post: t reaches z through x and through y, so dz/dt is a sum over two paths, and each path
contributes the product of the local derivatives along it. To be seen: the two products, their sum, and that the sum is
what `backward()` left in t.grad and what finite differences say. chain_rule.svg shows the same: two coloured paths, a
number on every arrow, and a row for each path in the table below.
"""

import math
import sys
from pathlib import Path

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

t = tn.tensor(0.5, requires_grad=True, name="t")
x = tn.exp(t).named("x")
y = (t**2).named("y")
u = (x**2).named("u")
v = (y**2).named("v")
s = (u + v).named("s")
z = tn.sin(s).named("z")


def f(t):
    return math.sin(math.exp(2 * t) + t**4)


paths = tn.paths(z, t)
z.backward()
h = 1e-6
rows = [("path " + " → ".join(node.name for node in path.nodes), path.contribution) for path in paths]
rows += [(f"sum of the {paths.count} paths", sum(path.contribution for path in paths))]
rows += [("t.grad, by backward()", t.grad), ("finite differences", (f(0.5 + h) - f(0.5 - h)) / (2 * h))]
for name, number in rows:
    print(f"{name:24}{number:8.4f}")

tn.draw(z).save(out / "chain_rule.svg")
print(f"picture: {out / 'chain_rule.svg'}")
