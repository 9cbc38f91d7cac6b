"""One neuron: weighted sum, bias, activation, and five steps downhill.

A neuron computes z = w₁x₁ + w₂x₂ + b and a = σ(z). (It is figure 2 of Markus Thill's post "Feed Forward Networks and
the Backpropagation Algorithm", whose notation all examples use.) The cost J = ½(y* − a)² says how far its output is
from the wish y*. To be seen: `backward()` finds for each weight how J changes with it; a step against these slopes
makes J smaller, every time. In one_neuron.svg follow an arrow from a weight to J: the numbers on the way are the local
derivatives, and their product is the weight's gradient.
"""

import sys
from pathlib import Path

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

x1, x2 = tn.tensor(1.0, name="x₁"), tn.tensor(0.5, name="x₂")
w1 = tn.tensor(0.8, requires_grad=True, name="w₁")
w2 = tn.tensor(-0.4, requires_grad=True, name="w₂")
b = tn.tensor(0.1, requires_grad=True, name="b")
wish = tn.tensor(0.0, name="y*")


def cost():
    z = (w1 * x1 + w2 * x2 + b).named("z")
    a = tn.sigmoid(z).named("a")
    return (0.5 * (wish - a) ** 2).named("J")


J = cost()
J.backward()
picture = tn.draw(J)
picture.save(out / "one_neuron.svg")

learning_rate = 4.0
for step in range(5):
    print(f"step {step}   J = {J.item():.4f}   ∂J/∂w₁ = {w1.grad:.4f}   ∂J/∂w₂ = {w2.grad:.4f}   ∂J/∂b = {b.grad:.4f}")
    for parameter in (w1, w2, b):
        parameter.data -= learning_rate * parameter.grad
        parameter.zero_grad()
    J = cost()
    J.backward()
print(f"after 5  J = {J.item():.4f}")
print(f"picture: {out / 'one_neuron.svg'}")
