"""A shared weight: a neuron that listens to itself uses one weight three times, and each use has its part.

h₁ = tanh(w h₀ + x₁), h₂ = tanh(w h₁ + x₂), h₃ = tanh(w h₂ + x₃): the same w at every step. So w reaches h₃ along three
paths, one for each use, and its gradient is their sum. To be seen: give each step a weight of its own with the same
value, and the gradients of the three weights are exactly the contributions of the three paths. In shared_weight.svg
three arrows leave w. The earlier the use, the more slopes tanh′ ≤ 1 and factors w = 0.8 stand on its path; yet the
second use has the largest part, because there w multiplies the large h₁.
"""

import sys
from pathlib import Path

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

h0, inputs = 0.5, (1.0, -0.5, 0.25)


def run(weights):
    h = tn.tensor(h0, name="h₀")
    for step, (w, x) in enumerate(zip(weights, inputs, strict=True)):
        h = tn.tanh(w * h + x).named(f"h{'₁₂₃'[step]}")
    return h


w = tn.tensor(0.8, requires_grad=True, name="w")
h3 = run([w, w, w])
h3.backward()
paths = tn.paths(h3, w)

own = [tn.tensor(0.8, requires_grad=True, name=f"w{i}") for i in "₁₂₃"]
run(own).backward()

print("used at   path from w to h₃   gradient of a weight of its own")
for step, path in enumerate(sorted(paths, key=len, reverse=True)):  # the longest path is that of the first use
    print(f"step {step + 1}{path.contribution:22.6f}{own[step].grad:34.6f}")
print(f"sum   {paths.gradient:22.6f}{sum(w.grad for w in own):34.6f}")
print(f"w.grad{w.grad:22.6f}")

tn.draw(h3, w).save(out / "shared_weight.svg")
print(f"picture: {out / 'shared_weight.svg'}")
