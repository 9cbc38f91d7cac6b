"""The chain rule with two paths: z = sin(x² + y²), where both x and y depend on t.

The founding text's interlude: t reaches z through x and through y, so dz/dt is a sum of two products, one for each path,
each the product of the local derivatives along it. To be seen: the two products, their sum, and that the sum is what
`backward()` left in t.grad and what finite differences say. chain_rule.svg shows the same: two coloured paths, a number
on every arrow, and a row for each path in the table below.
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

paths = tn.paths(z, t)
for path in paths:
    route = " → ".join(node.name for node in path.nodes)
    print(f"{route}   contributes {float(path.contribution):8.4f}")
print(f"sum of the {paths.count} paths{'':18}{float(paths.gradient):8.4f}")

z.backward()
print(f"t.grad, by backward(){'':16}{float(t.grad):8.4f}")


def f(t):
    return math.sin(math.exp(2 * t) + t**4)


h = 1e-6
print(f"finite differences{'':19}{(f(0.5 + h) - f(0.5 - h)) / (2 * h):8.4f}")

tn.draw(z, wrt=t).save(out / "chain_rule.svg")
print(f"picture: {out / 'chain_rule.svg'}")
