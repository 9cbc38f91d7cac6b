"""The picture of a graph, operation by operation: what it says."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.notation import format_number
from tinygrad_nn.view import Picture


def node(picture, name):
    (found,) = (n for n in picture.scene.boxes if n.name == name)
    return found


def rows(picture, name):
    return {row.label: row.text for row in node(picture, name).fields}


def arrows(picture, source, target):
    ids = {n.name: n.id for n in picture.scene.boxes}
    return [e for e in picture.scene.arrows if (e.source, e.target) == (ids[source], ids[target])]


# --- the founding text's example -------------------------------------------------------------------------------------


def test_founding_example_shows_two_paths_and_their_sum(founding):
    table = tn.draw(founding[1]).scene.table
    assert table.heading == "dz/dt = sum over 2 paths"
    assert [row.label for row in table.rows] == ["t → x → u → s → z", "t → y → v → s → z"]
    assert [row.factors for row in table.rows] == ["1.6487 × 3.2974 × 1 × (−0.9356)", "1 × 0.5 × 1 × (−0.9356)"]
    assert [row.product for row in table.rows] == ["−5.0865", "−0.4678"]
    assert [row.value for row in table.rows] == [-5.0865081249549355, -0.4678054416306056]
    assert (table.total, table.ok, table.check) == ("−5.5543", True, "equals the gradient of the backward pass")


def test_nodes_show_formula_value_and_gradient(founding):
    picture = tn.draw(founding[1])
    assert [n.title for n in picture.scene.boxes] == [
        "t", "x = exp(t)", "y = t²", "u = x²", "v = y²", "s = u + v", "z = sin(s)",
    ]  # fmt: skip
    assert rows(picture, "x") == {"value": "1.6487", "∂z/∂x": "−3.0851"}
    assert rows(picture, "t") == {"value": "0.5", "∂z/∂t": "−5.5543"}
    assert [n.role for n in picture.scene.boxes] == ["input", *["operation"] * 5, "output"]


def test_a_choice_between_numbers_is_labelled_by_them():
    a, b = (tn.tensor(x, requires_grad=True, name=name) for x, name in ((1.5, "alpha"), (0.4, "beta")))
    labels = [arrow.label for arrow in tn.draw(tn.maximum(a, b)).scene.arrows]
    assert labels == ["1, 0.5 or 0 = 1", "1, 0.5 or 0 = 0"]
    (label,) = [arrow.label for arrow in tn.draw(tn.relu(a)).scene.arrows]
    assert "or" not in label  # short enough to be written out


def test_where_paths_meet_the_contributions_are_added(founding):
    assert node(tn.draw(founding[1]), "t").note == "Σ 2 contributions: −5.0865 − 0.4678"


def test_arrows_show_local_derivatives(founding):
    picture = tn.draw(founding[1])
    labels = {(e.source, e.target): e.label for e in picture.scene.arrows}
    assert list(labels.values()) == [
        "exp(t) = 1.6487", "2t = 1", "2x = 3.2974", "2y = 0.5", "1", "1", "cos(s) = −0.9356",
    ]  # fmt: skip


def test_lanes_run_parallel_on_shared_arrows(founding):
    picture = tn.draw(founding[1])
    assert [e.lanes for e in picture.scene.arrows] == [(1,), (2,), (1,), (2,), (1,), (2,), (1, 2)]
    assert picture.source.count("path1") == picture.source.count("path2") == 4  # an edge for each, with its own head


# --- slots -----------------------------------------------------------------------------------------------------------


def test_one_arrow_for_each_argument_slot():
    a = tn.tensor(1.0, requires_grad=True, name="a")
    b = (a + a).named("b")
    c = (b + b).named("c")
    picture = tn.draw(c)
    assert len(arrows(picture, "a", "b")) == 2
    assert picture.source.count("->") == 8  # two paths along each of them
    assert len(picture.scene.table.rows) == 4
    assert picture.scene.table.total == "4"


def test_a_square_by_hand_has_two_arrows_with_its_slope():
    a = tn.tensor(3.0, requires_grad=True, name="a")
    picture = tn.draw((a * a).named("b"))
    assert [e.label for e in arrows(picture, "a", "b")] == ["a = 3", "a = 3"]
    assert picture.scene.table.total == "6"


def test_cancellation_is_told():
    t = tn.tensor(2.0, requires_grad=True, name="t")
    table = tn.draw(5 * t - 5 * t).scene.table
    assert [row.product for row in table.rows] == ["5", "−5"]
    assert table.total == "0"
    assert table.rest == ("Σ|p| = 10, of which 100 % cancel",)


# --- what was not computed is a dash, and drawing computes nothing twice ---------------------------------------------


def test_drawing_needs_no_backward_and_leaves_grad_alone(founding):
    t, z = founding
    before = tn.draw(z)
    assert t.grad is None
    z.backward()
    z.backward()
    kept = t.grad.copy()
    after = tn.draw(z)
    assert np.array_equal(t.grad, kept)
    assert before.source == after.source


def test_stored_gradients_are_shown_on_request(founding):
    _t, z = founding
    assert rows(tn.draw(z, show=["grad"]), "t") == {".grad": "–"}
    z.backward()
    z.backward()
    picture = tn.draw(z, show=["grad"])
    assert rows(picture, "t") == {".grad": "−11.109"}
    assert rows(picture, "x") == {".grad": "–"}


def test_a_graph_without_gradient_says_so():
    picture = tn.draw(tn.tensor([1.0, 2.0], name="x"))
    assert "requires_grad" in picture.scene.notes[0].text
    assert "gradient" not in rows(picture, "x")


def test_gradients_of_several_elements_are_those_of_their_sum():
    x = tn.tensor([1.0, 2.0], requires_grad=True, name="x")
    picture = tn.draw((x * x).named("y"), show=["value", "gradient", "heatmap"])
    assert "those of their sum" in picture.scene.notes[0].text
    assert node(picture, "x").fields[1].grid.cells == ((2.0,), (4.0,))


# --- names -----------------------------------------------------------------------------------------------------------


def test_variables_of_the_caller_name_the_nodes():
    t = tn.tensor(0.5, requires_grad=True)
    first, second = tn.exp(t), t**2
    result = first * second
    assert [n.name for n in tn.draw(result).scene.boxes] == ["t", "first", "second", "result"]


def test_given_names_go_first_then_own_names():
    t = tn.tensor(0.5, requires_grad=True, name="time")
    other = tn.exp(t)
    assert [n.name for n in tn.draw(other, names={"w": t}).scene.boxes] == ["w", "z"]
    assert [n.name for n in tn.draw(other).scene.boxes] == ["time", "other"]
    assert [n.name for n in tn.draw(other, names={}).scene.boxes] == ["time", "z"]


def test_results_without_a_name_are_numbered():
    t = tn.tensor(0.5, requires_grad=True, name="t")
    picture = tn.draw(tn.sin(t * 2) + 1, names={})
    assert [n.title for n in picture.scene.boxes] == ["t", "v₁ = t·2", "v₂ = sin(v₁)", "z = v₂ + 1"]


@pytest.mark.parametrize("constant", [-0.5, np.float64(-0.5), np.array(-0.5)], ids=lambda c: type(c).__name__)
def test_negative_constants_are_in_brackets(constant):
    h = tn.tensor(1.0, requires_grad=True, name="h")
    titles = [tn.draw(z, names={}).scene.boxes[-1].title for z in (h + constant, h - constant, h * constant)]
    assert titles == ["z = h + (−0.5)", "z = h − (−0.5)", "z = h·(−0.5)"]


def test_equal_names_are_told_apart():
    a, b = (tn.tensor(1.0, requires_grad=True, name="w") for _ in range(2))
    assert [n.name for n in tn.draw(a * b, names={}).scene.boxes] == ["w", "w #2", "z"]


# --- arrays and networks ---------------------------------------------------------------------------------------------


def test_layers_are_frames_and_parameters_differ_from_inputs(network):
    picture = tn.draw(network)
    groups = {n.name: n.cluster for n in picture.scene.boxes}
    assert [groups[k] for k in ("X", "W¹", "v₁", "b¹", "Z¹", "A¹")] == ["", *["layer1"] * 5]
    assert [groups[k] for k in ("W²", "v₂", "b²", "Z²", "A²", "J")] == [*["layer2"] * 5, ""]
    assert [g.label for g in picture.scene.clusters] == ["layer 1", "layer 2"]
    roles = {n.name: n.role for n in picture.scene.boxes}
    assert roles["W¹"] == roles["b²"] == "parameter"
    assert roles["X"] == "input"
    assert roles["c₁"] == "constant"
    assert roles["J"] == "output"


def test_array_arrows_show_the_rule(network):
    picture = tn.draw(network)
    assert [e.label for e in arrows(picture, "W¹", "v₁")] == ["· Xᵀ"]
    assert [e.label for e in arrows(picture, "A¹", "v₂")] == ["W²ᵀ ·"]
    assert [e.label for e in arrows(picture, "b¹", "Z¹")] == ["sum over 5 columns"]
    assert [e.label for e in arrows(picture, "Z¹", "A¹")] == ["⊙ (1 − A¹ ⊙ A¹)"]
    assert [e.kind for e in arrows(picture, "X", "v₁")] == ["constant"]


def test_biases_are_told_the_sum_over_the_columns_by_dense_layers_too():
    model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0))
    picture = tn.draw(tn.mse(model(np.ones((2, 32))), np.ones((3, 32))))
    assert [e.label for e in arrows(picture, "b¹", "Z¹")] == ["sum over 32 columns"]


def test_long_rules_are_whole_and_in_several_lines():
    logits = tn.tensor(np.ones((3, 4)), requires_grad=True, name="logits")
    picture = tn.draw(tn.cross_entropy(logits, tn.tensor(np.array([0, 1, 2, 0]), name="labels")))
    (arrow,) = arrows(picture, "logits", "z")
    assert arrow.label == "(softmax(logits) − onehot(labels)) ⊙ · / 4"
    assert ">(softmax(logits) −</font><br/><font" in picture.source
    assert ">onehot(labels)) ⊙ · / 4</font>" in picture.source


def test_arrays_are_heat_maps_and_small_ones_numbers(network):
    W = node(tn.draw(network), "W¹")
    assert [row.label for row in W.fields] == ["shape", "value", "∂J/∂W¹"]
    assert W.fields[0].text == "3 × 2"
    assert len(W.fields[1].grid.cells) == 3
    assert len(W.fields[1].grid.cells[0]) == 2


def test_large_arrays_are_averaged_over_blocks():
    x = tn.tensor(np.arange(240.0).reshape(12, 20), requires_grad=True, name="x")
    field = node(tn.draw(x.sum()), "x").fields[1]
    grid = field.grid
    assert (len(grid.cells), len(grid.cells[0]), grid.exact) == (6, 10, False)
    assert grid.cells[0][0] == np.mean([0, 1, 20, 21])
    assert (grid.scale, field.text) == (239.0, "±239, means of ≤ 4")  # of the values


def test_zeros_and_ones_have_the_colours_of_their_values_whatever_the_means_are():
    labels = np.eye(10)[np.arange(60) % 10].T
    W = tn.tensor(np.eye(10), requires_grad=True, name="W")
    z = (W @ tn.tensor(labels, name="labels")).sum()
    field = node(tn.draw(z), "labels").fields[1]
    assert (field.grid.scale, field.text) == (1.0, "±1, means of ≤ 12")
    assert 0 <= min(map(min, field.grid.cells)) < max(map(max, field.grid.cells)) < 0.5


def test_the_table_says_what_its_heat_maps_are_when_they_are_no_numbers():
    W = tn.tensor(np.linspace(-1, 1, 240).reshape(12, 20), requires_grad=True, name="W")
    table = tn.draw((W * W).sum(), wrt=W).scene.table
    assert table.rest[0] == "Colours: ±2, means of ≤ 4"


def test_paths_of_arrays_are_heat_maps_that_add_up(network):
    J = network
    (W,) = (s for s in J.inputs[0].inputs[0].inputs[0].inputs[1].inputs[0].inputs[0].inputs if s.name == "W¹")
    table = tn.draw(J, wrt=W).scene.table
    assert table.heading == "∂J/∂W¹ = one path"
    assert table.ok is True
    np.testing.assert_allclose(table.rows[0].grid.cells, tn.gradients(J, W)[0])


# --- values changed after the forward pass ---------------------------------------------------------------------------


def test_a_changed_value_is_noted_in_red_and_gives_no_number():
    t = tn.tensor(2.0, requires_grad=True, name="t")
    z = (t * t).named("z")
    t.data[...] = 5.0
    picture = tn.draw(z)
    assert rows(picture, "t") == {"value": "changed since", "∂z/∂t": "–"}
    assert all(note.bad for note in picture.scene.notes)
    assert "t of shape () was changed after multiply used it" in picture.scene.notes[0].text
    assert not picture.scene.table.rows
    assert ">25<" not in picture.source
    assert "10" not in [row.text for n in picture.scene.boxes for row in n.fields]


# --- very large and very small ---------------------------------------------------------------------------------------


def test_numbers_that_are_nearly_zero_are_written():
    v = x = tn.tensor(1.0, requires_grad=True)
    for _ in range(240):
        v = v * 0.05
    assert "e−3" in tn.draw(v, x, most=250).source
    for number, written in [(5e-324, "4.9407e−324"), (1e-310, "1e−310"), (-2.5e-320, "−2.5e−320"), (1e300, "1e300")]:
        assert format_number(number) == written


def test_the_time_bounds_the_boxes_that_are_written():
    v = t = tn.tensor(0.3, requires_grad=True)
    for _ in range(500):
        v = tn.sin(v) + tn.cos(v)
    scene = tn.draw(v, t, most=20_000, timeout=0.05).scene
    assert 10 <= len(scene.boxes) < 1000
    assert "(it takes too long to write that many boxes)" in scene.notes[-1].text
    assert len(tn.draw(v, t, most=20_000, timeout=600).scene.boxes) == 1501


# --- errors ----------------------------------------------------------------------------------------------------------


def test_wrong_arguments_are_refused_by_name(founding):
    z = founding[1]
    with pytest.raises(TypeError, match="draw takes a tensor, not float"):
        tn.draw(1.0)
    with pytest.raises(ValueError, match="detail must be 'ops', 'layers' or 'neurons', not 'atoms'"):
        tn.draw(z, detail="atoms")
    with pytest.raises(ValueError, match="there is no 'values'; there are value, gradient"):
        tn.draw(z, show=["values"])
    with pytest.raises(ValueError, match="engine must be 'dot', 'embedded' or None, not 'neato'"):
        tn.draw(z, engine="neato")
    with pytest.raises(ValueError, match="does not require a gradient"):
        tn.draw(z, wrt=tn.tensor(1.0))
    with pytest.raises(TypeError, match=r"wrt takes a tensor, or paths of tn\.paths\(...\), not 't' of type str"):
        tn.draw(z, "t")
    t, c = founding[0], tn.tensor(1.0, requires_grad=True)
    with pytest.raises(
        ValueError, match=r"z does not depend on c, so draw\(z, c\) has nothing to show: it depends on t$"
    ):
        tn.draw(z, c)
    with pytest.raises(ValueError, match=r"t does not depend on z, but z on t: exchange them, as in draw\(z, t\)"):
        tn.draw(t, z)
    with pytest.raises(ValueError, match=r"t does not depend on z, but z on t: exchange them, as in explain\(z, t\)"):
        tn.explain(t, z)
    same = tn.tensor(1.0, requires_grad=True, name="t")
    with pytest.raises(ValueError, match="z does not depend on another t, so"):
        tn.draw(z, wrt=tn.paths(tn.exp(same), same))


def test_an_input_without_a_path_is_told(founding):
    _, z = founding
    other = tn.tensor(1.0, requires_grad=True, name="other")
    assert tn.draw(z + 0 * other, wrt=other).scene.table.total == "0"


def test_repr_is_short(founding):
    assert repr(tn.draw(founding[1])) == "<picture: Computation graph of z = sin(s); 7 nodes, 7 arrows>"
    assert isinstance(tn.draw(founding[1]), Picture)
