"""The views of the living page: what a reader moves, clicks and types, and what must follow."""

import re

import numpy as np
import pytest
from living_pages import living, numbers, told, total
from pictures_for_pages import arrays, diamonds, founding, network, twice, two_inputs, xor

import tinygrad_nn as tn
from tinygrad_nn.chain import Descent
from tinygrad_nn.notation import format_number
from tinygrad_nn.view.graph.computation import ComputationGraph

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("at", [0.7, -1.25, 0.0, 3.0])
def test_everything_follows_an_input(opened, at):
    page = opened(tn.draw(founding()))
    page.get_by_label("t, as a number").fill(str(at))
    t, z = tn.tensor(at, requires_grad=True), None
    x, y = tn.exp(t), t**2
    z = tn.sin(x**2 + y**2)
    paths = tn.paths(z, t)
    assert total(page) == f"= {format_number(paths.gradient)}"
    rows = page.locator("tr.row")
    assert [rows.nth(i).locator("td").nth(4).inner_text() for i in (0, 1)] == [
        f"= {format_number(p.contribution)}" for p in paths
    ]
    assert numbers(page, "value", "n7") == pytest.approx([z.item()], rel=1e-14)
    assert f"slope {format_number(paths.gradient)}" in page.locator("section[aria-label=curve] h2").inner_text()
    page.get_by_role("button", name="reset").click()
    assert total(page) == "= −5.5543"


@pytest.mark.parametrize("at", [-2.0, 0.5])
def test_a_curve_is_sampled_so_that_waves_keep_their_height(opened, at):
    page = opened(tn.draw(founding()))
    page.get_by_label("t, as a number").fill(str(at))
    xs = np.array(living(page, "return page.curve.window.xs"))
    phase = np.exp(xs) ** 2 + xs**4
    assert np.all(np.diff(xs) > 0)
    assert np.abs(np.diff(phase)).max() < 0.7  # between two samples; a wave has 6.3
    np.testing.assert_allclose(living(page, "return page.curve.window.ys"), np.sin(phase), atol=1e-9)
    assert len(xs) <= 2000


def test_a_node_that_is_clicked_is_what_the_table_is_about(opened):
    page = opened(tn.draw(founding()))
    page.locator(".box[data-id=n2]").click()
    assert page.locator("section.table h2").first.inner_text() == "dz/dx = one path"
    inspected = page.locator("section.inspect").inner_text()
    assert "x = exp(t)" in inspected
    assert "test_page.py" in inspected or "pictures_for_pages.py" in inspected
    page.get_by_label("find a node").fill("t")
    page.get_by_label("find a node").press("Enter")
    assert page.locator("section.table h2").first.inner_text() == "dz/dt = sum over 2 paths"


def test_a_row_that_is_pointed_at_keeps_only_its_lane(opened):
    page = opened(tn.draw(founding()))
    page.locator("tr.row").nth(1).hover()
    aside = living(page, "return [...page.root.querySelectorAll('.aside')].map((lane) => lane.className.baseVal)")
    assert aside
    assert all("lane1" in name for name in aside)
    page.locator("h1").hover()
    assert living(page, "return page.root.querySelectorAll('.aside').length") == 0


def test_flow_is_what_the_path_algebra_says(opened):
    v, t = diamonds(5)
    page = opened(tn.draw(v))
    paths = tn.paths(v, t)
    page.get_by_role("button", name="Flow").click()
    shown = living(page, "return [...page.graph.paths(page.state.source, { element: null }).flow.values()]")
    assert sorted(shown) == pytest.approx(sorted(paths.flow.values()), rel=1e-9)
    assert page.locator("section.table h2").first.inner_text() == "dv/dt = sum over 32 paths"
    factored = [line for line in tn.draw(v).scene.table.rest if line.startswith("Factored")]
    assert factored[0] in page.locator("section.table").first.inner_text()


@pytest.mark.parametrize("make", [lambda: xor()[0], two_inputs, arrays, lambda: network(6, 5, 4, 3)])
def test_the_flow_from_all_inputs_is_conserved(opened, make):
    J = make()
    page = opened(tn.draw(J))
    page.get_by_role("button", name="Flow", exact=True).click()
    if page.get_by_label("paths from").locator("option").first.inner_text() != "all inputs":
        assert len(tn.gradients(J, [x for x in tn.operation.recorded(J) if x.op is None and x.tracked])) == 1
        return
    graph = ComputationGraph(J)
    descent = Descent(J, graph.gradient)
    table = page.locator("section.table").first
    assert f"= {format_number(descent.total)}" in table.inner_text()
    for x, square in descent.by_input.items():
        assert f"{graph.name(x)}" in table.inner_text()
        assert f"= {format_number(square)}" in table.inner_text()
    assert "✓ equals what reaches" in table.inner_text()
    shown = living(page, "return [...page.graph.descent.flow.values()]")
    assert sorted(shown) == pytest.approx(sorted(descent.flow.values()), rel=1e-9, abs=1e-12 * descent.total)
    leaf = living(page, "return page.graph.nodes.find((n) => !page.graph.node(n).op && page.graph.node(n).tracked)")
    living(page, "page.move(args[0], 0, 0.25)", leaf)  # it follows
    assert living(page, "return page.graph.descent.total") != pytest.approx(descent.total, rel=1e-6)


def test_one_input_and_all_of_them_are_told_apart(opened):
    page = opened(tn.draw(two_inputs()))
    page.get_by_role("button", name="Flow", exact=True).click()
    heading = page.locator("section.table h2").first
    assert heading.inner_text() == "‖∇e‖² = sum over 2 inputs: what a small step of gradient descent gains"
    assert page.locator(".drawing .on-arrow").all_text_contents() == [
        "13.79 %",
        "34.48 %",
        "51.72 %",
        "48.28 %",
        "51.72 %",
    ]
    page.get_by_label("paths from").select_option(label="b")
    assert heading.inner_text() == "de/db = sum over 2 paths"
    page.get_by_label("paths from").select_option(label="all inputs")
    assert heading.inner_text().startswith("‖∇e‖²")
    page.locator(".box[data-id=n1]").click()
    assert heading.inner_text() == "de/da = one path"


# --- step by step ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mistake", [None, "assign", "order"])
def test_steps_say_what_films_say(opened, mistake):
    film = tn.draw(founding(), steps=True, mistake=mistake)
    page = opened(film)
    for k, (frame, caption) in enumerate(zip(film.frames, film.captions, strict=True)):
        if k:
            page.get_by_label("step forward").click()
        assert page.locator("p.step").inner_text().split() == caption.split()
        notes = page.locator("section[aria-label=steps] .notes").inner_text().split("\n")
        assert [n for n in notes if n] == [note.text for note in frame.scene.caption.notes]
    page.get_by_label("step back").click()
    assert page.locator("p.step").inner_text().split() == film.captions[-2].split()


def test_numbers_are_predicted_before_they_are_shown(opened):
    page = opened(tn.draw(founding(), steps=True))
    page.get_by_label("predict first").check()
    page.get_by_label("step forward").click()
    assert page.locator("p.step").inner_text() == "Step 1: z fires: what does it send?"
    assert not any("× 1" in text for text in page.locator(".drawing .on-arrow").all_text_contents())
    page.get_by_label("to ").fill("-0.9356")
    page.get_by_role("button", name="check").click()
    assert "1 of 1 right" in page.locator("section[aria-label=steps]").inner_text()
    assert "it sends −0.9356" in page.locator("p.step").inner_text()
    page.get_by_label("step forward").click()
    page.get_by_label("to ").first.fill("5")
    page.get_by_role("button", name="check").click()
    assert "1 of " in page.locator("section[aria-label=steps]").inner_text()


def test_what_stands_beside_a_step_has_what_has_arrived(opened):
    page = opened(tn.draw(twice(), steps=True))
    page.get_by_label("predict first").check()
    assert told(page, "gradient") == told(page, "from u") == "not yet here"
    living(page, "page.change({ inspected: 'n2', step: 1 })")
    assert told(page, "gradient") == "not yet here"  # z fires, and what it sends is asked for
    page.get_by_label("step forward").click()
    assert (told(page, "gradient"), told(page, "from z"), told(page, "from v")) == ("5 so far", "5", "not yet here")
    living(page, "page.change({ source: 'n1', inspected: 'n2', predict: false, step: 2 })")
    assert (told(page, "gradient"), told(page, "from v")) == ("9", "4")
    living(page, "page.change({ inspected: '', step: 99 })")
    assert told(page, "gradient") == told(page, "from u") == "36"
    page.get_by_role("button", name="Paths").click()
    assert told(page, "gradient") == "36"


@pytest.mark.parametrize(("mistake", "number", "node"), [("assign", "16", "4"), ("order", "20", "9")])
def test_beside_the_number_of_a_mistake_stands_the_right_one(opened, mistake, number, node):
    page = opened(tn.draw(twice(), mistake=mistake))
    assert told(page, "gradient") == "not yet here"
    living(page, "page.change({ step: 99 })")
    assert told(page, "gradient") == told(page, "from u") == f"✗ {number}; right is 36"
    assert page.locator("section.inspect dd.bad").count() == 2
    page.locator(".box[data-id=n2]").click()
    living(page, "page.change({ source: 'n1', inspected: 'n2', step: 99 })")
    assert told(page, "gradient") == (f"✗ {node}; right is 9" if node != "9" else "9")


# --- networks --------------------------------------------------------------------------------------------------------


def test_units_are_those_of_the_network(opened):
    J, net, X, _ = xor()
    page = opened(tn.draw(J))
    page.get_by_role("button", name="Neurons").click()
    A1 = net.layers[0](X).value if hasattr(net, "layers") else net[0](X).value
    for example in (1, 3):
        page.get_by_label("example").fill(str(example))
        found = living(page, "return [0, 1, 2, 3].map((i) => page.neurons.numbers(1, i).a)")
        assert found == pytest.approx(list(A1[:, example - 1]), rel=1e-12)
    page.locator("[data-unit='1,2']").click()
    tables = page.locator("section.table")
    assert tables.nth(0).locator("h2").inner_text() == "What comes back to unit 3 of layer 1"
    assert tables.nth(1).locator("h2").inner_text() == "What unit 3 of layer 1 computes"
    assert "the bias" in tables.nth(1).inner_text()


def test_no_unit_covers_the_head_of_its_layer(opened):
    page = opened(tn.draw(xor()[0], detail="neurons"))
    page.get_by_role("button", name="Neurons").click()
    low, high = living(page, """
      const edges = (query, side) => [...page.root.querySelectorAll(query)].map((e) => e.getBoundingClientRect()[side]);
      return [Math.max(...edges(".neurons .label", "bottom")), Math.min(...edges(".neurons circle", "top"))];
    """)  # fmt: skip
    assert low < high


def test_layers_fold_and_unfold(opened):
    J, *_ = xor()
    page = opened(tn.draw(J))
    scene = tn.draw(J).scene
    boxes = [len(level.boxes) for level in (scene, scene.simpler)]
    shown = page.locator(".drawing:not(.neurons) .box")
    assert shown.count() == boxes[1]
    page.get_by_role("button", name="unfold").click()
    assert shown.count() == boxes[0]
    page.get_by_role("button", name="Flow").click()
    page.get_by_role("button", name="fold", exact=True).click()
    W1 = next(x for x in tn.operation.recorded(J) if x.name == "W¹")
    paths = tn.paths(J, W1)
    flows = living(page, "return Object.fromEntries(page.graph.paths(page.state.source, { element: null }).flow)")
    assert len(flows) == len(paths.flow)
    page.locator(".box.layer").first.click()
    assert re.search(r"paths through it\s*\n?\s*1", page.locator("section.inspect").inner_text())


def test_the_plane_shows_the_decision_boundary(opened):
    _, net, X, Y = xor()
    tn.fit(net, "mse", tn.optim.Adam(net.parameters(), lr=0.1), (X.value, Y), epochs=200, progress=False)
    page = opened(tn.draw(tn.mse(net(X), tn.tensor(Y, name="Y"))))
    grid = living(page, "const { limits } = page.boundary; return limits")
    n = 40
    xs = [low + (np.arange(n) + 0.5) * (high - low) / n for low, high in grid]
    plane = np.stack([a.ravel() for a in np.meshgrid(xs[0], xs[1][::-1])])
    share = float(np.mean(net(plane).value > 0.5))
    assert float(page.locator(".plane svg").get_attribute("data-share")) == pytest.approx(share, abs=1e-3)
    assert page.locator(".plane .positive").count() == 2


def test_a_training_is_played_back(opened):
    _, net, X, Y = xor()
    snapshots = tn.training.Snapshots(net)
    optimizer = tn.optim.Adam(net.parameters(), lr=0.05)
    tn.fit(net, "mse", optimizer, (X.value, Y), epochs=30, callbacks=[snapshots], progress=False)
    picture = tn.draw(tn.mse(net(X), Y).named("J"), snapshots=snapshots)
    page = opened(picture)
    parameters = list(net.parameters())
    for k in (0, 10, 30):
        page.get_by_label("epoch", exact=True).fill(str(k))
        for parameter in parameters:
            parameter.data = snapshots.values[parameter][k]
        cost = tn.mse(net(X), Y).item()
        assert numbers(page, "value", living(page, "return page.graph.root"))[0] == pytest.approx(cost, rel=1e-5)
        assert (
            f"epoch {k}: cost {format_number(cost)}"[:18] in page.locator("section[aria-label=training]").inner_text()
        )
