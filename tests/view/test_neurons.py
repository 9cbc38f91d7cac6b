"""The founding text's figures with numbers: the network, inside a neuron, and its fan-out."""

import numpy as np
import pytest

import tinygrad_nn as tn


@pytest.fixture
def relu_network():
    """The network of acceptance/chain_rule.md."""
    W1 = tn.tensor([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.5]], requires_grad=True, name="W¹")
    b1 = tn.tensor([[1.0], [0.5], [-0.5]], requires_grad=True, name="b¹")
    W2 = tn.tensor([[2.0, -1.0, 0.5], [1.0, 1.0, -2.0]], requires_grad=True, name="W²")
    x = tn.tensor([[1.0], [0.5]], requires_grad=True, name="x")
    o = W2 @ tn.relu(W1 @ x + b1)
    return tn.mse(o, np.array([[1.0], [0.0]])).named("L")


@pytest.fixture(scope="module")
def wide():
    model = tn.nn.Sequential(tn.nn.Dense(20, 30, "relu", rng=0), tn.nn.Dense(30, 12, rng=1))
    rng = np.random.default_rng(2)
    return tn.mse(model(rng.normal(size=(20, 7))), rng.normal(size=(12, 7)))


def unit(picture, level, i):
    (found,) = (n for n in picture.scene.boxes if n.id == f"u{level}_{i}")
    return found


def numbers(node):
    return {row.label: row.text for row in node.fields}


# --- figure 1 --------------------------------------------------------------------------------------------------------


def test_network_shows_every_unit_with_its_numbers(relu_network):
    picture = tn.draw(relu_network, detail="neurons")
    assert numbers(unit(picture, 0, 1)) == {"x₁": "1", "∂x₁": "3"}
    assert numbers(unit(picture, 1, 1)) == {"b₁": "1", "z₁": "1", "a₁": "1", "δ₁": "1.5"}
    assert numbers(unit(picture, 1, 2)) == {"b₂": "0.5", "z₂": "1.5", "a₂": "1.5", "δ₂": "3"}
    assert numbers(unit(picture, 1, 3)) == {"b₃": "−0.5", "z₃": "−1.25", "a₃": "0", "δ₃": "0"}
    assert numbers(unit(picture, 2, 1)) == {"z₁": "0.5", "ŷ₁": "0.5", "δ₁": "−0.5"}
    assert numbers(unit(picture, 2, 2)) == {"z₂": "2.5", "ŷ₂": "2.5", "δ₂": "2.5"}
    assert picture.scene.title == "Network 2–3–2"


def test_dead_units_are_drawn_blocked(relu_network):
    picture = tn.draw(relu_network, detail="neurons")
    assert [n.blocked for n in picture.scene.boxes if n.id.startswith("u1")] == [False, False, True]
    assert {e.kind for e in picture.scene.arrows if e.target == "u1_3"} == {"blocked"}
    assert "style=dotted" in picture.source


def test_units_keep_their_order_from_top_to_bottom(relu_network):
    places = [n.at[1] for n in tn.draw(relu_network, detail="neurons").scene.boxes if n.id.startswith("u1")]
    assert places == sorted(places, reverse=True)


def test_negative_weights_are_dashed(relu_network):
    picture = tn.draw(relu_network, detail="neurons")
    (arrow,) = (e for e in picture.scene.arrows if (e.source, e.target) == ("u0_2", "u1_1"))
    assert arrow.kind == "negative"
    assert arrow.tooltip == "w₁₂¹ = −2, carries −1"


# --- figure 3 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("neuron", "factors", "products", "total", "check"),
    [
        (
            (1, 1),
            ["2 × (−0.5)", "1 × 2.5"],
            ["−1", "2.5"],
            "1.5",
            "× σ′(1) = 1 gives δ₁ = 1.5, as in the backward pass",
        ),
        (
            (1, 2),
            ["−1 × (−0.5)", "1 × 2.5"],
            ["0.5", "2.5"],
            "3",
            "× σ′(1.5) = 1 gives δ₂ = 3, as in the backward pass",
        ),
        ((1, 3), ["0.5 × (−0.5)", "−2 × 2.5"], ["−0.25", "−5"], "−5.25", "× σ′(−1.25) = 0 gives δ₃ = 0, blocked"),
        ((0, 1), ["1 × 1.5", "0.5 × 3", "−1 × 0"], ["1.5", "1.5", "0"], "3", "equals ∂L/∂x₁ of the backward pass"),
    ],
)
def test_error_signals_come_back_and_add_up(relu_network, neuron, factors, products, total, check):
    table = tn.draw(relu_network, detail="neurons", neuron=neuron).scene.table
    assert [row.factors for row in table.rows] == factors
    assert [row.product for row in table.rows] == products
    assert (table.total, table.ok, table.check) == (total, True, check)


def test_fan_out_has_an_arrow_forth_and_one_back_for_each_unit_above(relu_network):
    picture = tn.draw(relu_network, detail="neurons", neuron=(1, 1))
    assert [(e.source, e.target, e.kind) for e in picture.scene.arrows if e.lanes] == [
        ("u1_1", "u2_1", "flow"), ("u2_1", "u1_1", "back"), ("u1_1", "u2_2", "flow"), ("u2_2", "u1_1", "back"),
    ]  # fmt: skip


def test_wide_layers_show_the_strongest_and_the_exact_rest(wide):
    picture = tn.draw(wide, detail="neurons", neuron=(1, 3))
    *shown, rest = picture.scene.table.rows
    W = next(n for n in tn.chain.paths(wide, find(wide, "W²")).nodes if n.name == "W²").value
    delta = 7 * tn.gradients(wide, find(wide, "Z²"))[0][:, 0]
    sent = W[:, 2] * delta
    assert sorted(abs(row.value) for row in shown) == sorted(sorted(abs(sent))[-5:])
    assert rest.label == "… and 7 more units, together"
    assert rest.value == pytest.approx(sent.sum() - sum(row.value for row in shown), abs=1e-12)
    assert picture.scene.table.ok is True
    (box,) = (n for n in picture.scene.boxes if n.id == "rest2")
    assert box.title == "… 7 more"
    assert box.fields[0].value == pytest.approx(rest.value)


def find(root, name):
    stack = [root]
    while stack:
        node = stack.pop()
        if node.name == name:
            return node
        stack += [x for x in node.inputs if isinstance(x, tn.Tensor)]
    raise LookupError(name)


# --- figure 2 --------------------------------------------------------------------------------------------------------


def test_inside_a_neuron(relu_network):
    picture = tn.draw(relu_network, detail="neurons", inside=(1, 1))
    names = [n.title for n in picture.scene.boxes if n.shape in ("sign", "text", "label")]
    for text in ("×", "Σ", "σ", "w₁₁¹ = 1", "w₁₂¹ = −2", "z₁¹ = 1", "δ₁¹ = 1.5", "relu"):
        assert text in names
    table = picture.scene.table
    assert [(row.label, row.factors, row.product) for row in table.rows] == [
        ("w₁₁¹ x₁", "1 × 1", "1"), ("w₁₂¹ x₂", "−2 × 0.5", "−1"), ("b₁¹", "", "1"),
    ]  # fmt: skip
    assert (table.heading, table.total, table.ok) == ("z₁¹ = Σ w a + b", "1", True)
    gradients = [row.share for row in table.rows]
    assert gradients[:2] == ["∂L/∂w₁₁¹ = δ₁¹ x₁ = 1.5 × 1 = 1.5", "∂L/∂w₁₂¹ = δ₁¹ x₂ = 1.5 × 0.5 = 0.75"]
    assert gradients[2] == "∂L/∂b₁¹ = δ₁¹ = 1.5"
    assert table.rest == ("✓ equal to the gradient of W of the backward pass",)


def test_a_sum_that_is_not_what_the_forward_pass_has_is_told(relu_network, monkeypatch):
    monkeypatch.setattr(tn.view.graph.network.Network, "b", lambda self, level: np.array([7.0, 7.0, 7.0]))
    table = tn.draw(relu_network, detail="neurons", inside=(1, 1)).scene.table
    assert (table.total, table.ok, table.check) == ("7", False, "the forward pass gives 1")


@pytest.mark.parametrize("size", [(), (3, 1), (3, 5), (3,)], ids=str)
def test_a_bias_of_any_shape_is_the_one_of_the_unit_and_the_example(size):
    rng = np.random.default_rng(0)
    W = tn.tensor(rng.normal(size=(3, 2)), requires_grad=True, name="W")
    b = tn.tensor(rng.normal(size=size), requires_grad=True, name="b")
    J = tn.tanh(W @ rng.normal(size=(2, 3 if size == (3,) else 5)) + b).sum()
    table = tn.draw(J, detail="neurons", inside=(1, 2), example=3).scene.table
    assert table.rows[-1].value == np.broadcast_to(b.value, (3, 5) if size != (3,) else (3, 3))[1, 2]
    assert table.ok is True


def test_of_many_inputs_the_rest_is_one_row_and_the_sum_is_still_z(wide):
    table = tn.draw(wide, detail="neurons", inside=(2, 4)).scene.table
    *shown, rest, bias = table.rows
    assert len(shown) == 5
    assert (rest.label, bias.mark) == ("… and 25 more inputs, together", "b")
    z = find(wide, "Z²").value[3, 0]
    assert sum(row.value for row in table.rows) == pytest.approx(z, abs=1e-12)
    assert table.ok is True


def test_parameters_that_were_changed_since_are_not_drawn_as_if_they_had_made_the_units(relu_network):
    find(relu_network, "W¹").data -= 1.0
    find(relu_network, "b¹").data += 1.0
    message = (
        "detail='neurons' shows weights, biases and units as they were when L was computed, but W¹ and b¹ changed "
        r"since: draw before optimizer\.step\(\), or compute L anew"
    )
    for options in ({}, {"neuron": (1, 1)}, {"inside": (1, 1)}):
        with pytest.raises(tn.MutationError, match=message):
            tn.draw(relu_network, detail="neurons", **options)


def test_what_changed_behind_the_network_is_told(relu_network):
    target = tn.tensor([[1.0], [0.0]], name="target")
    loss = tn.mse(find(relu_network, "W²") @ find(relu_network, "x")[[0, 1, 1]], target)
    target.data += 1
    notes = tn.draw(loss, detail="neurons").scene.notes
    assert any(note.bad and "target was changed after an operation had used it" in note.text for note in notes)


def test_names_inside_a_neuron_tell_the_layer(relu_network):
    picture = tn.draw(relu_network, detail="neurons", inside=(2, 1))
    said = picture.text()
    for text in ("a₁¹  1", "z₁²  0.5", "ŷ₁²  0.5", "δ₁²  −0.5", "∂L/∂w₁₂² = δ₁² a₂¹", "w₁₂² a₂¹"):
        assert text in said


# --- examples, errors, engines ---------------------------------------------------------------------------------------


def test_examples_of_a_batch(wide):
    first, second = (tn.draw(wide, detail="neurons", example=n) for n in (1, 2))
    assert first.scene.boxes != second.scene.boxes
    assert "example 2 of 7" in second.scene.notes[-1].text


def test_variables_need_no_names():
    W = tn.tensor(np.eye(2), requires_grad=True)
    picture = tn.draw(tn.tanh(W @ np.ones((2, 1))).sum(), detail="neurons", names={})
    assert picture.scene.title == "Network 2–2"


def test_wrong_questions_are_answered(relu_network, founding):
    with pytest.raises(ValueError, match="finds none here"):
        tn.draw(founding[1], detail="neurons")
    with pytest.raises(ValueError, match="layer 1 has units 1 to 3, not 4"):
        tn.draw(relu_network, detail="neurons", neuron=(1, 4))
    with pytest.raises(ValueError, match="no such figure for layer 2, only for 0 to 1"):
        tn.draw(relu_network, detail="neurons", neuron=(2, 1))
    with pytest.raises(ValueError, match="no such figure for layer 0, only for 1 to 2"):
        tn.draw(relu_network, detail="neurons", inside=(0, 1))
    with pytest.raises(ValueError, match="the batch has examples 1 to 1"):
        tn.draw(relu_network, detail="neurons", example=2)
    W = tn.tensor(np.eye(2), requires_grad=True)
    with pytest.raises(ValueError, match="between layers 1 and 2 there is something else"):
        tn.draw((W @ ((W @ np.eye(2)) * 2)).sum(), detail="neurons")


@pytest.mark.parametrize("options", [{}, {"neuron": (1, 1)}, {"inside": (1, 3)}], ids=str)
def test_figures_render(relu_network, engine, options, tmp_path):
    picture = tn.draw(relu_network, detail="neurons", engine=engine, **options)
    assert "−1.25" in picture.svg() or options == {"inside": (1, 1)}
    assert picture.save(tmp_path / "n.png").stat().st_size > 3000
