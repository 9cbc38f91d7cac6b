"""What a picture of a network says by itself: where the gain of a small step comes from."""

import itertools

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import nn


def loss(*sizes):
    layers = [nn.Dense(a, b, "tanh", rng=i) for i, (a, b) in enumerate(itertools.pairwise(sizes))]
    rng = np.random.default_rng(0)
    return tn.mse(nn.Sequential(*layers)(rng.normal(size=(sizes[0], 5))), rng.normal(size=(sizes[-1], 5)))


@pytest.mark.parametrize("detail", ["ops", "layers"])
def test_a_network_shows_where_its_gradient_comes_from(detail):
    J = loss(3, 4, 2)
    table = tn.draw(J, detail=detail).scene.table
    leaves = {x.name: x for x in tn.operation.recorded(J) if x.op is None and x.tracked}
    squares = [float(np.sum(g * g)) for g in tn.gradients(J, list(leaves.values()))]
    assert table.heading == "‖∇J‖² = sum over 4 inputs: what a small step of gradient descent gains"
    assert [row.value for row in table.rows] == pytest.approx(squares, rel=1e-12)
    assert [row.label for row in table.rows] == ["W¹ (4×3)", "b¹ (4×1)", "W² (2×4)", "b² (2×1)"]
    assert sum(float(row.share.split()[0]) for row in table.rows) == pytest.approx(100, abs=0.05)
    assert (table.ok, table.check) == (True, "equals what reaches J")
    assert table.rest[1] == "For the paths from one input, give wrt= it: W¹, b¹, W² and b²"


def test_arrows_between_layers_are_as_thick_as_what_they_carry():
    scene = tn.draw(loss(3, 4, 4, 2), detail="layers").scene
    shares = [float(f.text.split()[0]) for box in scene.boxes for f in box.fields if f.label.startswith("of ‖∇")]
    assert len(shares) == 3
    carried = [arrow.flow for arrow in scene.arrows if arrow.flow]
    assert carried == pytest.approx([shares[0] / 100, sum(shares[:2]) / 100, 1.0], abs=2e-3)


def test_of_many_inputs_the_largest_are_listed():
    table = tn.draw(loss(*[3] * 7)).scene.table
    assert len(table.rows) == 8
    assert table.rows[-1].label == "… and 5 more inputs, added up, not listed"
    values = [row.value for row in table.rows]
    assert sum(values) == pytest.approx(float(table.total.replace("e−", "e-")), rel=1e-3)
    assert min(values[:-1]) * 5 >= values[-1] > 0


def test_nothing_flows_where_there_is_no_gradient_or_it_is_not_known():
    W = tn.tensor(np.zeros((2, 3)), requires_grad=True, name="W")
    assert tn.draw(tn.mse(tn.relu(W @ np.ones((3, 1))), np.ones((2, 1))) * 0).scene.table is None
    J = loss(3, 4, 2)
    W2 = next(x for x in tn.operation.recorded(J) if x.name == "W²")
    W2.data = W2.data * 2
    assert tn.draw(J).scene.table is None
    assert tn.draw(loss(3, 4, 2), show=["value"]).scene.table is None


def test_other_graphs_say_from_which_inputs_paths_can_be_shown():
    a, b = (tn.tensor(x, requires_grad=True, name=name) for x, name in ((2.0, "a"), (3.0, "b")))
    notes = tn.draw(a * b).scene.notes
    assert [note.text for note in notes] == ["For the paths from one input, give wrt= it: a and b"]
    assert not tn.draw(a * b, a).scene.notes
    assert not tn.draw(a * b, show=["value"]).scene.notes


def test_rows_of_long_paths_keep_all_factors():
    x = t = tn.tensor(0.3, requires_grad=True, name="t")
    for _ in range(20):
        x = tn.sin(x) * 1.5
    (row,) = tn.draw(x, t, most=100).scene.table.rows
    assert row.label.count("→") == 40
    assert row.factors.count("×") == 39
    product = np.prod([float(f.strip("()").replace("−", "-")) for f in row.factors.split(" × ")])
    assert product == pytest.approx(row.value, rel=2e-3)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda t: tn.square(t + t), "Factored: (1 + 1)·4 = 8"),
        (lambda t: (2 * t + 3 * t) * 7, "Factored: (2 + 3)·7 = 35"),
        (lambda t: (2 * t - 3 * t) * 7 - t, "Factored: (2 + 3·(−1))·7 − 1 = −8"),
        (lambda t: 2 * t + 3 * t, None),
        (lambda t: tn.exp(2 * t), None),
    ],
)
def test_the_factored_form_stands_under_the_table_where_it_is_shorter(make, text):
    rest = tn.draw(make(tn.tensor(1.0, requires_grad=True, name="t"))).scene.table.rest
    found = [line for line in rest if line.startswith("Factored")]
    assert found == ([] if text is None else found[:1])
    assert text is None or found[0].startswith(text)


def test_arrays_tell_their_norms_and_how_much_cancels():
    a = tn.tensor([1.0, 2.0], requires_grad=True, name="a")
    table = tn.draw(a * np.array([-2.0, 6.0]) + a * np.array([2.0, 0.0]), a).scene.table
    assert [row.share for row in table.rows] == ["norm 6.3246, share 100 %", "norm 2, share 0 %"]
    assert table.rest[-1] == "Σ‖p‖ = 8.3246, of which 27.92 % cancel; most in element [0]: −2 + 2 = 0"
    together = tn.draw(a * 2 + a * 3, a).scene.table
    assert not any("cancel" in line for line in together.rest)
