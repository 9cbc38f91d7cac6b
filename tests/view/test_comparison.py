"""Two points of one graph: what changed, how much of it the gradient predicted, and what only one of them has."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.view import Picture
from tinygrad_nn.view.graph import point as point_module

X = np.random.default_rng(3).normal(size=(2, 5))
Y = np.random.default_rng(4).normal(size=(1, 5))


@pytest.fixture
def model():
    return tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 1, rng=1))


def loss(model, X=X):
    return tn.mse(model(X), Y).named("J")


def step(model, lr=0.1):
    """A loss, its picture, and a step of gradient descent."""
    J = loss(model)
    before = tn.draw(J)
    J.backward()
    tn.optim.SGD(model.parameters(), lr=lr).step()
    return J, before


def box(picture, name):
    (found,) = (b for b in picture.scene.boxes if b.name == name)
    return found


def fields(picture, name):
    return {f.label: f.text for f in box(picture, name).fields}


def test_single_numbers_before_and_after():
    t = tn.tensor(2.0, requires_grad=True, name="t")

    def z():
        return (t * t).named("z")

    first = z()
    before = tn.draw(first)
    t.data -= 0.5
    picture = tn.compare(before, z())
    assert picture.scene.title == "z before and after: 4 → 2.25"
    assert fields(picture, "t") == {"value": "2 → 1.5", "Δ": "−0.5", "∂z/∂t": "4 → 3"}
    assert fields(picture, "z") == {"value": "4 → 2.25", "Δ": "−1.75", "∂z/∂z": "1"}
    assert len(picture.scene.arrows) == 2  # t twice
    (row,) = picture.scene.table.rows
    assert (row.label, row.factors, row.product) == ("∂z/∂t · Δt", "4 × (−0.5)", "−2")


def test_a_small_step_changes_the_loss_as_predicted(model):
    J, before = step(model, lr=1e-4)
    squares = sum(float(np.sum(p.grad**2)) for p in model.parameters())
    table = tn.compare(before, loss(model)).scene.table
    assert [row.label for row in table.rows] == ["⟨∂J/∂W¹, ΔW¹⟩", "⟨∂J/∂b¹, Δb¹⟩", "⟨∂J/∂W², ΔW²⟩", "∂J/∂b² · Δb²"]
    predicted = sum(row.value for row in table.rows)
    assert predicted == pytest.approx(-1e-4 * squares, rel=1e-9)
    assert predicted == pytest.approx(loss(model).item() - J.item(), rel=1e-2)
    assert table.rest[0].startswith("= −lr ‖∇J‖² = −1e−4 × ")
    assert "on the way" not in table.rest[1]


def test_a_large_step_does_not_and_the_table_says_so(model):
    J, before = step(model, lr=1.0)
    table = tn.compare(before, loss(model)).scene.table
    change = loss(model).item() - J.item()
    assert float(table.check.removeprefix("the actual change is ").replace("−", "-")) == pytest.approx(change, rel=1e-3)
    assert table.rest[-1].endswith("of the prediction; the gradient changes on the way")


def test_another_rule_than_gradient_descent_is_not_called_so(model):
    J = loss(model)
    before = tn.draw(J)
    J.backward()
    tn.optim.Adam(model.parameters(), lr=0.01).step()
    assert not any("lr" in line for line in tn.compare(before, loss(model)).scene.table.rest)


def test_one_number_that_moves_downhill_is_not_called_a_step_of_descent():
    t = tn.tensor(2.0, requires_grad=True, name="t")
    w = tn.tensor([1.0, 2.0], requires_grad=True, name="w")
    before = tn.draw((t * (w * w).sum()).named("z"))
    t.data -= 0.5
    table = tn.compare(before, (t * (w * w).sum()).named("z")).scene.table
    assert table.heading == "Predicted change of z: ⟨∂z/∂t, Δt⟩, by the earlier gradient"
    assert not any("descent" in line for line in table.rest)


def test_a_step_up_the_hill_is_no_descent(model):
    J = loss(model)
    before = tn.draw(J)
    J.backward()
    for p in model.parameters():
        p.data += 0.01 * p.grad
    table = tn.compare(before, loss(model)).scene.table
    assert not table.total.startswith("−")
    assert not any("lr" in line for line in table.rest)


def test_arrays_are_heat_maps_before_and_after_on_one_scale(model):
    _, before = step(model)
    W = box(tn.compare(before, loss(model)), "W¹")
    grids = {f.label: f.grid for f in W.fields if f.grid}
    assert list(grids) == ["before", "after", "Δ"]
    assert grids["before"].scale == grids["after"].scale
    np.testing.assert_allclose(np.subtract(grids["after"].cells, grids["before"].cells), grids["Δ"].cells, atol=1e-12)
    assert fields(tn.compare(before, loss(model)), "X")["Δ"] == "0"


def test_two_tensors_of_a_function_need_no_picture():
    def J(w):
        return (w * w).sum().named("J")

    w = tn.tensor([1.0, 2.0], requires_grad=True)
    moved = tn.tensor([0.0, 2.0], requires_grad=True)
    table = tn.compare(J(w), J(moved), names={"w": w}).scene.table
    assert (table.total, table.check) == ("−2", "the actual change is −1")


def test_old_values_that_are_gone_are_told_with_the_way_out(model):
    J, _ = step(model)
    picture = tn.compare(J, loss(model))
    assert fields(picture, "b²")["value"].startswith("changed since → 0.00")
    assert all(f.bad for f in box(picture, "b²").fields if f.label == "value")
    assert fields(picture, "W²")["‖∂J/∂W²‖"].startswith("– → ")
    table = picture.scene.table
    assert not table.rows
    assert table.rest[0] == "no prediction: W¹, b¹, W² and b² are not known"
    assert table.rest[1].startswith("J: ")
    (note,) = picture.scene.notes
    assert note.bad
    assert "the old values are gone: take before = tn.draw(loss) before the step" in note.text


def test_operations_that_one_lacks_are_marked(model):
    _, before = step(model)
    with_penalty = (loss(model) + 0.1 * (model[0].W ** 2).sum()).named("J + R")
    picture = tn.compare(before, with_penalty)
    new = [b.name for b in picture.scene.boxes if b.note == "+ only after"]
    assert len(new) == 4
    assert new[-1] == "J + R"
    assert any(note.text.startswith("Only after: ") for note in picture.scene.notes)
    assert picture.scene.table.rest[-1].endswith("of the prediction, which is of another function")
    back = tn.compare(with_penalty, loss(model))
    gone = [b for b in back.scene.boxes if b.note == "− only before"]
    assert len(gone) == 4
    assert all(b.blocked for b in gone)
    assert {a.kind for a in back.scene.arrows if a.target == gone[-1].id} == {"blocked"}


def test_layers_that_one_lacks_are_marked(model):
    _, before = step(model)
    deeper = tn.nn.Sequential(*model, tn.nn.Dense(1, 1, rng=2))
    picture = tn.compare(before, loss(deeper), detail="layers")
    marks = {b.name: b.note for b in picture.scene.boxes if b.role == "layer"}
    assert list(marks) == ["layer 1", "layer 2", "layer 3"]
    assert marks == {"layer 1": "", "layer 2": "", "layer 3": "+ only after"}
    assert {f.label for f in box(picture, "layer 1").fields if f.label.startswith("Δ")} == {"ΔW¹", "Δb¹", "ΔA¹"}


def test_other_examples_are_no_step(model):
    before = tn.draw(loss(model))
    table = tn.compare(before, loss(model, X + 1)).scene.table
    assert table.total == "0"
    assert "X changed, too, which is not predicted" in table.rest[0]


def test_of_many_parameters_the_largest_have_a_row():
    p = [tn.tensor(float(i), requires_grad=True, name=f"p{i}") for i in range(1, 13)]

    def J():
        total = p[0] * p[0]
        for q in p[1:]:
            total = total + q * q
        return total.named("J")

    before = tn.draw(J())
    for q in p:
        q.data *= 0.5
    rows = tn.compare(before, J()).scene.table.rows
    assert [row.label for row in rows[:-1]] == [f"∂J/∂p{i} · Δp{i}" for i in range(6, 13)]
    assert rows[-1].label == "… and 5 more parameters, together"
    assert sum(row.value for row in rows) == -sum(i * i for i in range(1, 13))


def test_a_picture_keeps_its_numbers_whatever_happens_to_the_tensors(model):
    J, before = step(model)
    values = [node.value.copy() for node in before.point.nodes]
    for _ in range(3):
        step(model)
    assert all(np.array_equal(node.value, v) for node, v in zip(before.point.nodes, values, strict=True))
    assert before.point.root.value == J.item()
    assert Picture.from_json(before.json()) == before  # the numbers are not part of what it shows


def test_views_of_parameters_are_kept_as_they_were():
    w = tn.tensor([[1.0, 2.0]], requires_grad=True, name="w")

    def J():
        return (w.T * w.T).sum().named("J")

    before = tn.draw(J())
    w.data += 1.0
    view = tn.compare(before, J()).scene.boxes[1]
    assert view.title == "v₁ = wᵀ"
    assert {f.label: f.grid.cells for f in view.fields if f.grid} == {
        "before": ((1.0,), (2.0,)), "after": ((2.0,), (3.0,)), "Δ": ((1.0,), (1.0,)),
    }  # fmt: skip


def test_very_large_arrays_are_not_kept(model, monkeypatch):
    monkeypatch.setattr(point_module, "LARGEST", 5)
    _, before = step(model)
    picture = tn.compare(before, loss(model))
    assert fields(picture, "W¹")["value"] == "not kept"
    assert picture.scene.table.rest[0] == "no prediction: W¹ is not known"


def test_large_graphs_are_folded():
    x = y = tn.tensor(0.5, requires_grad=True, name="x")
    for _ in range(100):
        y = tn.sin(y)
    picture = tn.compare(y, tn.sin(y))
    assert len(picture.scene.boxes) == 60
    assert len(tn.compare(y, y, most=9).scene.boxes) == 9
    assert any(note.text.startswith("Folded: ") for note in picture.scene.notes)
    assert x.grad is None


def test_very_large_graphs_are_not_kept_and_compared_in_proportion():
    def chain(n, inner):
        y = x = tn.tensor(0.5, requires_grad=True, name="x")
        for i in range(n):
            y = inner(y) if i == n // 2 else tn.sin(y)
        return (y * x).named("y")

    long, other = chain(3_000, tn.sin), chain(3_000, lambda y: tn.cos(tn.cos(y)))
    with pytest.raises(ValueError, match="of 2,000 nodes at most"):
        tn.compare(tn.draw(long), other)
    notes = [note.text for note in tn.compare(long, other).scene.notes]
    assert sum(note.startswith("Only ") for note in notes) == 2


def test_comparisons_render(model, engine):
    _, before = step(model)
    for detail in ("ops", "layers"):
        picture = tn.compare(before, loss(model), detail, engine=engine)
        assert "−lr ‖∇J‖²" in picture.svg()


def test_wrong_arguments(model):
    J = loss(model)
    with pytest.raises(TypeError, match=r"compare takes tensors, or pictures that tn\.draw made of them, not float"):
        tn.compare(J, 1.0)
    with pytest.raises(ValueError, match="detail must be 'ops' or 'layers', not 'neurons'"):
        tn.compare(J, J, "neurons")
    again = Picture.from_json(tn.draw(J).json())
    with pytest.raises(ValueError, match="draw the tensor, or give it itself"):
        tn.compare(again, J)
