"""Graphs whose living pages are tested."""

import itertools

import numpy as np

import tinygrad_nn as tn


def founding():
    t = tn.tensor(0.5, requires_grad=True, name="t")
    x = tn.exp(t).named("x")
    y = (t**2).named("y")
    return tn.sin(x**2 + y**2).named("z")


def diamonds(n):
    v = t = tn.tensor(0.5, requires_grad=True, name="t")
    for _ in range(n):
        v = tn.sin(v) + tn.cos(v)
    return v.named("v"), t


def network(*sizes, n=5):
    rng = np.random.default_rng(0)
    layers = [tn.nn.Dense(a, b, "tanh", rng=i) for i, (a, b) in enumerate(itertools.pairwise(sizes))]
    net = tn.nn.Sequential(*layers)
    return tn.mse(net(rng.normal(size=(sizes[0], n))), rng.normal(size=(sizes[-1], n))).named("J")


def xor():
    X = tn.tensor([[0.0, 0, 1, 1], [0, 1, 0, 1]], name="X")
    Y = np.array([[0.0, 1, 1, 0]])
    net = tn.nn.Sequential(tn.nn.Dense(2, 4, "tanh", rng=0), tn.nn.Dense(4, 1, "sigmoid", rng=1))
    return tn.mse(net(X), Y).named("J"), net, X, Y


def two_inputs():
    a = tn.tensor(2.0, requires_grad=True, name="a")
    b = tn.tensor(1.0, requires_grad=True, name="b")
    return ((a + b).named("c") * (b + 1.0).named("d")).named("e")


def arrays():
    a = tn.tensor([1.0, -2.0, 0.5], requires_grad=True, name="a")
    return ((a * np.array([-2.0, 6.0, 1.0]) + tn.exp(a)) ** 2).sum().named("z")


def twice():
    """t² times itself and one more: u is used twice, and the mistake "assign" makes 16 of 36."""
    t = tn.tensor(2.0, requires_grad=True, name="t")
    u = (t**2).named("u")
    return (u * (u + 1).named("v")).named("z")


def comparison():
    J, net, X, Y = xor()
    before = tn.draw(J)
    J.backward()
    tn.optim.SGD(net.parameters(), lr=0.5).step()
    return tn.compare(before, tn.mse(net(X), Y).named("J"))


PAGES = {
    "founding": lambda: tn.draw(founding()),
    "diamonds": lambda: tn.draw(diamonds(5)[0]),
    "two inputs": lambda: tn.draw(two_inputs()),
    "xor": lambda: tn.draw(xor()[0]),
    "arrays": lambda: tn.draw(arrays()),
    "film": lambda: tn.draw(founding(), steps=True),
    "comparison": comparison,
    "neurons": lambda: tn.draw(xor()[0], detail="neurons"),
}
