"""A neuron's error signal: what comes back from all neurons that it feeds, added up.

A network of 2 inputs, 3 hidden neurons with relu and 2 outputs; L = ½‖ŷ − y*‖². The recursion in Thill's post says
δᵢ = σ′(zᵢ) Σₖ wₖᵢ δₖ: each output k sends its own error signal back along the weight wₖᵢ. To be seen: what each hidden
neuron receives from both outputs, that the sum is what backward() found, and that the third neuron, whose relu is off,
receives the most and passes on nothing. error_signal.svg shows the fan-out of the first neuron, forth and back.
"""

import sys
from pathlib import Path

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

x = tn.tensor([[1.0], [0.5]], requires_grad=True, name="x")
wish = tn.tensor([[1.0], [0.0]], name="y*")
W1 = tn.tensor([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.5]], requires_grad=True, name="W¹")
b1 = tn.tensor([[1.0], [0.5], [-0.5]], requires_grad=True, name="b¹")
W2 = tn.tensor([[2.0, -1.0, 0.5], [1.0, 1.0, -2.0]], requires_grad=True, name="W²")

Z1 = (W1 @ x + b1).named("Z¹")
A1 = tn.relu(Z1).named("A¹")
Z2 = (W2 @ A1).named("Z²")
L = (0.5 * ((Z2 - wish) ** 2).sum()).named("L")

delta1, delta2 = tn.gradients(L, [Z1, Z2])  # what the backward pass says
print(f"error signals of the outputs: {delta2[0, 0]:g} and {delta2[1, 0]:g}\n")

print("hidden neuron     z   from output 1   from output 2     sum   σ′(z)       δ   backward()")
for i in range(3):
    z = Z1.numpy()[i, 0]
    parts = [W2.numpy()[k, i] * delta2[k, 0] for k in range(2)]
    slope = float(z > 0)
    delta = slope * sum(parts) + 0.0
    print(f"{i + 1:13}{z:6.2f}{parts[0]:16.2f}{parts[1]:16.2f}{sum(parts):8.2f}{slope:8.0f}{delta:8.2f}", end="")
    print(f"{delta1[i, 0] + 0.0:13.2f}")

paths = tn.paths(L, x, at=(0, 0))  # from the first input, through single neurons
parts = " + ".join(f"{path.contribution:g}" for path in paths if path.live).replace("+ -", "- ")
print(f"\n∂L/∂x₁ = {parts} = {paths.gradient:g}, over {paths.live_count} live of {paths.count} paths")

tn.draw(L, detail="neurons", neuron=(1, 1)).save(out / "error_signal.svg")
print(f"picture: {out / 'error_signal.svg'}")
