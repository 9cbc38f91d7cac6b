"""The cases of the acceptance list, as the pictures and derivations show them."""

import numpy as np
import pytest

import tinygrad_nn as tn


def scalar(value, name="t"):
    return tn.tensor(float(value), requires_grad=True, name=name)


def shown(z, t):
    """What the table of a picture says: the products of its rows, and the sum."""
    table = tn.draw(z, wrt=t, names={}).scene.table
    assert table.ok is True
    return [row.value for row in table.rows], table.total


def test_founding_text_with_squares_as_powers():
    t = scalar(0.5)
    z = tn.sin(tn.exp(t) ** 2 + (t**2) ** 2)
    assert shown(z, t) == ([-5.0865081249549355, -0.4678054416306056], "−5.5543")


def test_founding_text_with_squares_as_products():
    t = scalar(0.5)
    x, y = tn.exp(t), t * t
    values, total = shown(tn.sin(x * x + y * y), t)
    assert len(values) == 6
    assert sum(values) == pytest.approx(-5.554313566585541, rel=1e-12)
    assert total == "−5.5543"


def test_product_of_two_branches():
    t = scalar(2)
    assert shown(t**2 * (3 * t), t) == ([24.0, 12.0], "36")
    assert shown(t * t * (3 * t), t) == ([12.0, 12.0, 12.0], "36")


def test_shared_argument():
    a, b = scalar(2, "a"), scalar(1, "b")
    c, d = (a + b).named("c"), (b + 1).named("d")
    e = (c * d).named("e")
    assert shown(e, b) == ([2.0, 3.0], "5")
    picture = tn.draw(e, wrt=b, names={})
    labels = {(x.source, x.target): x.label for x in picture.scene.arrows}
    assert list(labels.values()) == ["1", "1", "1", "d = 2", "c = 3"]
    assert "1 path, together 2" in picture.scene.arrows[1].tooltip  # the flow b → c


def test_sums_with_itself():
    a = scalar(1, "a")
    b = a + a
    assert shown(b + b, a) == ([1.0] * 4, "4")
    a = scalar(3, "a")
    assert shown(a * a, a) == ([3.0, 3.0], "6")


def test_cancelling():
    t = scalar(2)
    assert shown(5 * t - 5 * t, t) == ([5.0, -5.0], "0")


def test_twenty_diamonds():
    v = t = scalar(0.3)
    for _ in range(20):
        v = tn.sin(v) + tn.cos(v)
    table = tn.draw(v, wrt=t).scene.table
    assert table.heading == "dv/dt = sum over 1,048,576 paths"
    assert table.total == "−1.5584e−4"
    assert table.rest[1] == "Σ|p| = 99.302, of which nearly 100 % cancel; the 3 largest carry 0.62 %"


def test_residual_blocks():
    x = t = scalar(0.5)
    for _ in range(10):
        x = x + 0.1 * tn.tanh(x)
    table = tn.draw(x, wrt=t).scene.table
    assert table.heading == "dx/dt = sum over 1,024 paths"
    assert table.ok is True


def test_factored():
    X = scalar(1, "X")
    Y = 2 * X + 3 * X + 5 * X
    Z = 7 * Y + 11 * Y + 13 * Y
    table = tn.draw(Z, wrt=X).scene.table
    assert table.heading == "dZ/dX = sum over 9 paths"
    assert table.total == "310"


def test_input_of_the_relu_network_four_live_of_six_paths():
    W1 = tn.tensor([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.5]], requires_grad=True)
    b1 = tn.tensor([[1.0], [0.5], [-0.5]], requires_grad=True)
    W2 = tn.tensor([[2.0, -1.0, 0.5], [1.0, 1.0, -2.0]], requires_grad=True)
    x = tn.tensor([[1.0], [0.5]], requires_grad=True, name="x")
    L = tn.mse(W2 @ tn.relu(W1 @ x + b1), np.array([[1.0], [0.0]])).named("L")
    table = tn.draw(L, wrt=tn.paths(L, x, at=(0, 0)), names={}).scene.table
    assert sorted(row.value for row in table.rows) == [-1.0, 0.0, 0.0, 0.25, 1.25, 2.5]
    assert (table.heading, table.total, table.ok) == ("dL/dx[0, 0] = sum over 6 paths", "3", True)
    assert "4 of the 6 paths are live" in table.rest[0]
