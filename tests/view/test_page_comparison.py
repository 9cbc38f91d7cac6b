"""Two points of one graph in the living page: nudges, steps of descent, and pictures of a comparison."""

import numpy as np
import pytest
from living_pages import living
from pictures_for_pages import founding, two_inputs, xor

import tinygrad_nn as tn
from tinygrad_nn.notation import format_number

pytestmark = pytest.mark.browser


def test_a_nudge_runs_forward_and_is_predicted(opened):
    page = opened(tn.draw(founding()))
    page.get_by_role("button", name="nudge").click()
    for _ in range(8):
        page.get_by_label("step forward").click()
    table = page.locator("section.table").first.inner_text()
    assert "−5.5543 × (+0.005)" in table
    assert "= −0.0278" in table
    t = 0.505
    actual = np.sin(np.exp(t) ** 2 + t**4) - np.sin(np.exp(0.5) ** 2 + 0.5**4)
    assert f"the actual change is {format_number(actual)}" in table


def test_one_input_that_moves_downhill_is_not_called_a_step(opened):
    page = opened(tn.draw(founding()))
    page.get_by_role("button", name="Compare").click()
    page.get_by_label("t, as a number").fill("0.505")
    table = page.locator("section.table").first
    assert table.locator("h2").inner_text() == "Predicted change of z: ⟨∂z/∂t, Δt⟩, by the earlier gradient"
    assert "gradient descent" not in table.inner_text()


def test_inputs_that_move_together_along_their_gradients_are_called_a_step(opened):
    e = two_inputs()
    inputs = [x for x in tn.operation.recorded(e) if x.op is None and x.tracked]
    page = opened(tn.draw(e))
    page.get_by_role("button", name="Compare").click()
    for x, gradient in zip(inputs, tn.gradients(e, inputs), strict=True):
        page.get_by_label(f"{x.name}, as a number").fill(str(x.item() - 0.125 * float(gradient)))
    table = page.locator("section.table").first.inner_text()
    assert "⟨∂e/∂a, Δa⟩ + ⟨∂e/∂b, Δb⟩" in table
    assert "= −lr ‖∇e‖² = −0.125 × " in table


def stepped(kind="small"):
    """A loss before and after a step of gradient descent: a picture, and the tensor."""
    if kind == "small":
        w = tn.tensor(1.5, requires_grad=True, name="w")
        parameters, loss = [w], lambda: ((tn.tanh(w * 0.7).named("a") - 1.0) ** 2).named("J")
    else:
        _, net, X, Y = xor()
        parameters, loss = list(net.parameters()), lambda: tn.mse(net(X), Y).named("J")
    before = tn.draw(loss())
    loss().backward()
    tn.optim.SGD(parameters, lr=0.5).step()
    return before, loss()


@pytest.mark.parametrize("kind", ["small", "network"])
@pytest.mark.parametrize("as_picture", [False, True])
def test_the_page_of_a_comparison_is_living(opened, kind, as_picture):
    before, J = stepped(kind)
    picture = tn.compare(before, tn.draw(J) if as_picture else J)
    table = picture.scene.table
    page = opened(picture)
    assert living(page, "return [page.state.view, page.checked.ok]") == ["compare", True]
    shown = page.locator("section.table").first.inner_text()
    assert f"= {table.total}" in shown
    for row in table.rows:
        assert f"= {row.product}" in shown
    assert all(line in shown for line in table.rest[:-1])  # −lr ‖∇J‖², where several numbers moved
    assert table.heading in shown
    change = table.check.replace("the actual change is ", "")
    assert f"the actual change is {change}" in shown
    assert table.rest[-1].rpartition(", ")[2] in shown  # how much of the prediction it is
    old, new = (root.value.item() for root in (before.point.root, tn.draw(J).point.root))
    root = living(page, "return page.graph.root")
    title = page.locator(f".box[data-id={root}]")
    assert f"{format_number(old)} → {format_number(new)}" in title.text_content()
    for _ in range(living(page, "return page.graph.nodes.length")):
        page.get_by_label("step back").click()
    assert f"{format_number(old)} → " not in title.text_content()  # Δ has not got there yet
    leaf = living(page, "return page.data.program.before[0].node")
    living(page, "page.move(args[0], 0, 0.3)", leaf)
    page.get_by_role("button", name="reset").click()
    assert f"{format_number(old)} → {format_number(new)}" in title.text_content()


def test_a_comparison_whose_first_point_is_lost_is_a_page_of_the_second(opened):
    w = tn.tensor([1.0, 2.0], requires_grad=True, name="w")
    first = (w * w).sum().named("J")
    first.backward()
    tn.optim.SGD([w], lr=0.1).step()
    page = opened(tn.compare(first, (w * w).sum().named("J")))
    assert living(page, "return [page.state.view, page.graph.live]") == ["paths", True]
    assert "the old values are gone" in page.locator(".page").inner_text()
    page = opened(tn.compare(tn.sin(w).sum().named("J"), tn.cos(w).sum().named("J")))
    assert "Only before" in page.locator(".page").inner_text()


def test_a_comparison_stays_one_as_json():
    picture = tn.compare(*stepped())
    assert tn.view.Picture.from_json(picture.json()).html() == picture.html()
