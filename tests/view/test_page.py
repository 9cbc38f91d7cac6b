"""The living page in a real browser: what a reader moves, clicks and types, and what must hold while they do."""

import html
import json
import re
import xml.dom.minidom
from pathlib import Path

import numpy as np
import pytest
from pictures_for_pages import PAGES, arrays, diamonds, founding, network, two_inputs, xor

import tinygrad_nn as tn
from tinygrad_nn.chain import Descent
from tinygrad_nn.notation import format_number
from tinygrad_nn.view.graph.computation import ComputationGraph

pytestmark = pytest.mark.browser

MEASURED = Path(__file__).with_name("measure_page.js").read_text("utf-8")
AXE = Path(__file__).parent / "npm" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens the page of a picture: `opened(picture)`; nothing may be requested, and no error logged."""
    contexts = []

    def open_page(picture, width=1280, scheme="light", content=None):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.wrong, page.asked = [], []
        page.on("console", lambda message: page.wrong.append(message.text))
        page.on("pageerror", lambda error: page.wrong.append(error.stack))
        page.on("request", lambda request: page.asked.append(request.url))
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(picture.html() if content is None else content, "utf-8")
        page.goto(file.as_uri())
        page.wait_for_selector("[data-live]", state="attached")
        page.wait_for_function("document.querySelector('[data-live]').page !== undefined")
        page.root = page.locator("[data-live]").first
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            assert page.wrong == []
            assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []
        context.close()


def living(page, script, *args):
    """The value of a script about `page`, the living page, as JSON."""
    return page.evaluate(
        f"(args) => {{ const page = document.querySelector('[data-live]').page; {script} }}", list(args)
    )


def numbers(page, what, node):
    return living(page, f"return [...page.graph.{what}(args[0]).data]", node)


def total(page):
    return page.locator("tr.total td").nth(4).inner_text()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 700])
def test_every_page_can_be_read(opened, name, scheme, width):
    page = opened(PAGES[name](), width, scheme)
    views = living(page, "return page.toolbar.views.map((button) => button.dataset.view)")
    for view in views:
        living(page, "page.change({ view: args[0], step: 2 })", view)
        found = living(page, MEASURED)
        assert found["smallest"] >= 11, view
        assert found["pale"] == [], view
        assert found["outside"] == [], view
        assert found["hidden"] == [], view
        assert found["wide"] <= width, view
    assert living(page, "return page.checked?.ok ?? true")


@pytest.mark.parametrize("width", [1280, 700])
@pytest.mark.parametrize("name", ["founding", "arrays", "xor", "comparison"])
def test_nothing_moves_when_the_view_changes(opened, name, width):
    page = opened(PAGES[name](), width)
    places = set()
    for view in living(page, "return page.views"):
        for source in (None, "first", "*"):
            if view != "neurons":  # units have a drawing of their own
                sources = living(page, "return [...page.toolbar.source.options].map(({ value }) => value)")
                chosen = source if source in sources or source is None else sources[0]
                living(page, "page.change({ ...(args[1] ? { source: args[1] } : {}), view: args[0] })", view, chosen)
                boxes = "[...page.drawing.root.querySelectorAll('.box')].map((box) => box.getBoundingClientRect())"
                places.add(living(page, f"return JSON.stringify({boxes}.map(({{ x, y }}) => [x, y]))"))
    assert len(places) == 1


# --- what a reader does ----------------------------------------------------------------------------------------------


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
    assert page.locator("p.step").inner_text() == "1 z fires: what does it send?"
    assert not any("× 1" in text for text in page.locator(".drawing .on-arrow").all_text_contents())
    page.get_by_label("to ").fill("-0.9356")
    page.get_by_role("button", name="check").click()
    assert "1 of 1 right" in page.locator("section[aria-label=steps]").inner_text()
    assert "it sends −0.9356" in page.locator("p.step").inner_text()
    page.get_by_label("step forward").click()
    page.get_by_label("to ").first.fill("5")
    page.get_by_role("button", name="check").click()
    assert "1 of " in page.locator("section[aria-label=steps]").inner_text()


def twice():
    """t² times itself and one more: u is used twice, and the mistake "assign" makes 16 of 36."""
    t = tn.tensor(2.0, requires_grad=True, name="t")
    u = (t**2).named("u")
    return (u * (u + 1).named("v")).named("z")


def told(page, name):
    """What the panel says of a node."""
    entry = page.locator("section.inspect dt", has_text=re.compile(f"^{name}$"))
    return entry.locator("xpath=following-sibling::dd[1]").inner_text()


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


@pytest.mark.parametrize("width", [820, 960, 970, 1100, 1280])
def test_no_picture_is_cut_off_by_the_panel(opened, width):
    for picture in (tn.draw(twice(), steps=True), tn.draw(twice(), mistake="assign"), tn.draw(two_inputs())):
        page = opened(picture, width)
        assert living(page, "return page.place.scrollWidth <= page.place.clientWidth")


def test_all_can_be_done_by_keyboard(opened):
    page = opened(tn.draw(founding()))
    page.keyboard.press("Tab")
    focused = "document.querySelector('[data-live]').shadowRoot.activeElement"
    assert page.evaluate(f"{focused}.getAttribute('aria-label')") == "paths from"
    page.locator(".box[data-id=n1]").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{focused}.dataset.id") == "n2"
    page.keyboard.press("Enter")
    assert page.evaluate(f"{focused}.dataset.id") == "n2"  # focus survives
    assert page.locator("section.table h2").first.inner_text() == "dz/dx = one path"
    page.keyboard.press("s")
    page.keyboard.press("ArrowRight")
    assert page.locator("p.step").inner_text().startswith("1 z fires")
    assert page.locator("[aria-live]").inner_text().startswith("1 z fires")
    for key, view in (("f", "flow"), ("c", "compare"), ("p", "paths")):
        page.keyboard.press(key)
        assert living(page, "return page.state.view") == view


def test_lecture_mode_obeys_presenters(opened):
    page = opened(tn.draw(founding()))
    said, sized = page.locator("[aria-live]"), "return Number(page.root.style.zoom)"
    page.keyboard.press("l")
    assert living(page, sized) == 1.4
    page.wait_for_function("document.fullscreenElement !== null")
    turned = []
    for _ in range(20):
        page.keyboard.press("PageDown")
        turned.append(living(page, "return [page.state.view, page.state.only, page.state.step]"))
    assert turned[:3] == [["paths", 1, 0], ["paths", 2, 0], ["flow", 0, 0]]
    frames = len(tn.draw(founding(), steps=True).frames)
    assert [step for view, _, step in turned if view == "step"] == list(range(frames))
    assert turned[-1][0] == "compare"  # the last view
    for _ in range(30):
        page.keyboard.press("PageUp")
    assert living(page, "return [page.state.view, page.state.only]") == ["paths", 0]
    page.keyboard.press(".")
    assert page.locator(".cover").is_visible()
    assert said.inner_text().startswith("blank screen")
    page.keyboard.press("PageDown")  # lifts it, and no more
    assert not page.locator(".cover").is_visible()
    assert living(page, "return page.state.only") == 0
    page.keyboard.press("+")
    assert living(page, sized) == pytest.approx(1.61)
    for _ in range(20):
        page.keyboard.press("-")
    assert living(page, sized) == 0.8
    page.keyboard.press("l")
    assert living(page, "return [page.root.style.zoom, page.root.classList.contains('lecture')]") == ["", False]
    page.keyboard.press("PageDown")  # scrolls, as ever
    assert living(page, "return page.state.only") == 0


def test_a_lecture_is_turned_by_the_keys_of_a_presenter_wherever_the_focus_is(opened):
    page = opened(tn.draw(founding()))
    page.get_by_role("button", name="lecture").click()
    page.get_by_label("t", exact=True).focus()  # a slider
    page.keyboard.press("PageDown")
    assert living(page, "return page.state.only") == 1
    assert page.get_by_label("t, as a number").input_value() == "0.5"
    page.get_by_label("t, as a number").focus()  # a field is written in
    page.keyboard.press("l")
    assert living(page, "return page.root.classList.contains('lecture')")
    page.locator("h1").click()
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('[data-live]').page.root.classList.contains('lecture')")


@pytest.mark.parametrize("where", ["page", "lecture"])
def test_the_keys_are_listed(opened, where):
    page = opened(tn.draw(founding()))
    if where == "lecture":
        page.keyboard.press("l")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="keys")
    listed = dialog.locator("dt").all_inner_texts()
    assert {"p, f, s, n, c", "r", "l", "?", "PageDown, →", "PageUp, ←", "Esc"} <= set(listed)
    assert {"Paths", "Flow", "%", "Step", "Neurons", "Compare", "nudge"} <= set(listed)
    page.keyboard.press("f")  # keys wait while they are listed
    assert living(page, "return page.state.view") == "paths"
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.keyboard.press("f")
    assert living(page, "return page.state.view") == "flow"


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
    assert len(tn.draw(tn.mse(net(X), Y), snapshots=snapshots).html().encode()) <= 300_000


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
    assert table.locator("h2").inner_text() == "Predicted change of z: ⟨∂z/∂t, Δt⟩, with the gradient of before"
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


# --- worksheets ------------------------------------------------------------------------------------------------------


def sheet(page, seed):
    """The sheet of a seed, as the reader saves it: its exercise and its solution as text."""
    page.get_by_role("button", name="worksheet").click()
    page.get_by_label("seed").fill(str(seed))
    with page.expect_download() as download:
        page.get_by_role("button", name="save", exact=True).click()
    page.keyboard.press("Escape")
    text = Path(download.value.path()).read_text("utf-8")
    assert text.count("<svg") == 2
    exercise, solution = re.findall(r"<section>(.*?)</section>", text, re.S)
    return text, *(html.unescape(re.sub(r"<style.*?</style>|<[^>]+>", "\n", part)) for part in (exercise, solution))


def test_a_worksheet_is_made_of_the_readers_own_numbers(opened):
    page = opened(tn.draw(founding()), scheme="dark")
    page.get_by_label("t, as a number").fill("0.7")
    text, exercise, solution = sheet(page, 3)
    assert (text, exercise, solution) == sheet(page, 3)
    assert sheet(page, 4)[0] != text
    t = tn.tensor(0.7, requires_grad=True)
    x, y = tn.exp(t), t**2
    gradient = format_number(tn.paths(tn.sin(x**2 + y**2), t).gradient)
    assert gradient in solution
    questions = re.findall(r"^\(([a-z])\) (.*) = _{14}$", exercise, re.M)
    answers = re.findall(r"^\(([a-z])\) (.*) = (\S+)$", solution, re.M)
    assert [letter for letter, _ in questions] == list("abcdefghij"[: len(questions)])
    assert questions == [(letter, what) for letter, what, _ in answers]
    for letter, _, _ in answers:
        assert exercise.count(f"({letter})") >= 2  # in the picture or the table, and below
        assert solution.count(f"({letter})") == 1
    assert "rgb(255, 255, 255)" in text
    assert "rgb(15, 23, 42)" in text  # ink on paper, whatever the reader's theme
    assert "break-before:page" in text


def test_no_sheet_gives_its_answers_away(opened):
    page = opened(tn.draw(founding()))
    for seed in range(6):
        _, exercise, solution = sheet(page, seed)
        values = {t for t, n in ((a, exercise) for a in re.findall(r"(−?\d\.\d{4})", solution)) if t in n}
        asked = {what: x for _, what, x in re.findall(r"^\(([a-z])\) (.*) = (\S+)$", solution, re.M)}
        total = asked.get("dz/dt")
        if total is not None:
            assert total not in values
        for what, answer in asked.items():
            if "→" in what and len(set(asked.values())) == len(asked):
                assert answer not in values, (seed, what)


def test_names_on_a_sheet_stay_text(opened):
    a = tn.tensor(2.0, requires_grad=True, name='<b>&"x')
    page = opened(tn.draw(tn.exp(a) * a, title="</title><script>alert(1)</script>"))
    text, exercise, _ = sheet(page, 1)
    assert "<b>" not in text
    assert "<script" not in text
    assert '<b>&"x' in exercise


def test_a_picture_without_single_numbers_says_that_it_makes_no_sheet(opened):
    x = tn.tensor([1.0, 2.0], requires_grad=True, name="x")
    page = opened(tn.draw(x * 2.0))
    page.get_by_role("button", name="worksheet").click()
    page.get_by_role("button", name="save", exact=True).click()
    assert "no numbers that could be asked for" in page.get_by_role("dialog", name="worksheet").inner_text()


# --- what must hold --------------------------------------------------------------------------------------------------


def test_sizes():
    assert len(tn.draw(founding()).html().encode()) <= 150_000
    assert len(tn.draw(founding())._repr_html_().encode()) <= 60_000


def test_three_outputs_in_one_notebook(opened):
    cell = tn.draw(founding())._repr_html_()
    page = opened(None, content=f"<!doctype html><meta charset=utf-8><body>{cell}{cell}{cell}</body>")
    page.wait_for_function("document.querySelectorAll('[data-live]').length === 3")
    assert page.locator("[data-live]").count() == 3
    page.get_by_label("t, as a number").nth(1).fill("0.7")
    sums = [page.locator("[data-live]").nth(i).locator("tr.total td").nth(4).inner_text() for i in range(3)]
    assert sums[0] == sums[2] == "= −5.5543"
    assert sums[1] != sums[0]


def test_a_viewer_without_scripts_shows_the_picture(chromium, tmp_path):
    picture = tn.draw(founding())
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    for content, tag in ((picture.html(), "svg"), (picture._repr_html_(), "img")):
        file = tmp_path / "page.html"
        file.write_text(content, "utf-8")
        page.goto(file.as_uri())
        assert page.locator(tag).first.bounding_box()["height"] > 200
    context.close()


def test_it_works_in_a_sandbox(opened):
    inner = tn.draw(founding()).html().replace("&", "&amp;").replace('"', "&quot;")
    content = (
        f'<!doctype html><iframe sandbox="allow-scripts" width=1200 height=900 srcdoc="{inner}"></iframe>'
        "<div data-live></div><script>document.querySelector('[data-live]').page = null</script>"
    )
    page = opened(None, content=content)
    frame = page.frame_locator("iframe")
    frame.get_by_label("t, as a number").fill("0")
    frame.locator("tr.total td").nth(4).wait_for()
    assert frame.locator("tr.total td").nth(4).inner_text() == "= 1.0806"


def test_a_file_of_json_stays_live():
    picture = tn.draw(founding())
    assert tn.view.Picture.from_json(picture.json()).html() == picture.html()
    film = tn.draw(founding(), steps=True)
    assert tn.view.Film.from_json(film.json()).html() == film.html()


@pytest.mark.parametrize("name", ['<b>&"x', "</script><script>alert(1)</script>", "]]>", "<!--", "${x}", "\\u003c"])
def test_names_stay_text(opened, name):
    a = tn.tensor(2.0, requires_grad=True, name=name)
    page = opened(tn.draw(tn.exp(a) * a, title=name))
    assert page.locator("h1").inner_text() == name
    assert page.locator(".box .title").first.text_content().startswith(name)
    assert living(page, "return page.root.querySelectorAll('b, script').length") == 0
    page.get_by_label("find a node").fill(name)
    page.get_by_label("find a node").press("Enter")
    assert page.locator("section.inspect h2").inner_text() == name


def test_wrong_numbers_are_said_to_be_wrong(opened):
    picture = tn.draw(founding())
    plain = json.loads(picture.json())
    node = next(n for n in plain["program"]["nodes"] if n["id"] == "n2")
    node["gradient"] = [node["gradient"][0] * (1 + 1e-6)]
    page = opened(tn.view.Picture.from_json(json.dumps(plain)))
    assert "✗ the page computes" in page.locator(".page").inner_text()
    assert not living(page, "return page.graph.live")
    assert page.get_by_label("t, as a number").count() == 0


def test_a_graph_that_is_not_live_says_why(opened):
    a = tn.tensor(np.diag([1.0, 2.0, 4.0]), requires_grad=True, name="a")
    page = opened(
        tn.draw(tn.linalg_eigvalsh(a).sum() if hasattr(tn, "linalg_eigvalsh") else np.linalg.eigvalsh(a).sum())
    )
    assert "The numbers are those that were recorded" in page.locator(".page").inner_text()
    big = tn.tensor(np.arange(30_000.0), requires_grad=True, name="big")
    page = opened(tn.draw((big * 2).sum()))
    shown = page.locator(".page").inner_text()
    assert "30,000 numbers go in, and pages recompute up to 20,000" in shown
    assert "30000 numbers, not kept" in shown
    assert living(page, "return page.root.querySelectorAll('.unknown').length") == 0


def test_numbers_are_written_as_in_python(opened):
    rng = np.random.default_rng(0)
    xs = [*(rng.normal(size=3000) * 10.0 ** rng.integers(-12, 12, 3000)), *(np.arange(-2000, 2000) / 64),
          *(rng.integers(-(10**8), 10**8, 2000) * 1.0), *(np.arange(10**6, 10**6 + 500) * 1.0), 0.0, -0.0, 5e-324,
          1.7e308, 99999.5, 999999.5, 9.99995]  # fmt: skip
    page = opened(tn.draw(founding()))
    written = living(page, "return args.map(page.formatNumber)", *map(float, xs))
    assert written == [format_number(float(x)) for x in xs]


def test_the_present_view_is_saved_as_svg(opened):
    page = opened(tn.draw(founding()), scheme="dark")
    with page.expect_download() as download:
        page.get_by_role("button", name="save SVG").click()
    text = Path(download.value.path()).read_text("utf-8")
    assert xml.dom.minidom.parseString(text).documentElement.tagName == "svg"
    assert "rgb(15, 23, 42)" in text
    assert "x = exp(t)" in re.sub(r"<[^>]+>", "", text)


def test_themes(opened):
    page = opened(tn.draw(founding(), theme="dark"))
    paper = "return getComputedStyle(page.root).backgroundColor"
    assert living(page, paper) == "rgb(15, 23, 42)"
    page.get_by_role("button", name="light", exact=True).click()
    assert living(page, paper) == "rgb(255, 255, 255)"
    assert living(opened(tn.draw(founding()), scheme="dark"), paper) == "rgb(15, 23, 42)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_by_axe(chromium, opened, scheme):
    assert AXE.exists(), "run npm ci in tests/view/npm"
    for picture in (tn.draw(founding()), tn.draw(xor()[0])):
        page = opened(picture, scheme=scheme)
        page.add_script_tag(content=AXE.read_text("utf-8"))
        for view in living(page, "return page.toolbar.views.map((button) => button.dataset.view)"):
            living(page, "page.change({ view: args[0], step: 2 })", view)
            found = page.evaluate("axe.run().then(({ violations }) => violations)")
            serious = [
                (v["id"], [n["target"] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")
            ]
            assert serious == [], view


def test_updates_are_quick(opened):
    for root, most in ((diamonds(20)[0], 16), (network(64, 32, 10, n=32), 50)):
        page = opened(tn.draw(root, most=100))
        times = living(page, """
          const id = page.graph.nodes.find((n) => !page.graph.node(n).op && page.graph.node(n).tracked);
          const x = page.graph.value(id).data[0];
          return Array.from({ length: 60 }, (_, k) => { const t = performance.now(); page.move(id, 0, x + k / 1000);
            page.root.getBoundingClientRect(); return performance.now() - t; });
        """)  # fmt: skip
        assert min(times) <= most


def test_large_pictures_are_painted_soon(opened):
    page = opened(tn.draw(diamonds(83)[0], most=400))
    assert page.locator(".box").count() == 250
    painted = []
    for _ in range(3):
        page.reload()
        page.wait_for_function("performance.getEntriesByType('paint').length > 0")
        painted.append(page.evaluate("performance.getEntriesByType('paint')[0].startTime"))
    assert min(painted) <= 500


def test_signs_differ_without_colour(opened):
    v, _ = diamonds(5)
    page = opened(tn.draw(v))
    page.get_by_role("button", name="Flow").click()
    dashes = living(page, """
      const lines = (sign) => [...page.root.querySelectorAll(`.arrow .${sign} .line`)];
      const of = (sign) => lines(sign).map((line) => getComputedStyle(line).strokeDasharray);
      return { positive: of("positive"), negative: of("negative") };
    """)  # fmt: skip
    assert set(dashes["positive"]) == {"none"}
    assert "none" not in dashes["negative"]
    assert dashes["negative"]


# --- odd graphs ------------------------------------------------------------------------------------------------------


def leaf(value, name):
    return tn.tensor(value, requires_grad=True, name=name)


def sines(n):
    v = leaf(0.5, "t")
    for _ in range(n):
        v = tn.sin(v)
    return v


ODD = {
    "a leaf": lambda: leaf(1.0, "a"),
    "an array": lambda: leaf([1.0, 2.0], "a"),
    "nothing tracked": lambda: tn.tensor(1.0, name="a") * tn.tensor(2.0, name="b"),
    "no elements": lambda: leaf(np.zeros(0), "a").sum(),
    "no columns": lambda: (leaf(np.zeros((3, 0)), "a") * 2).sum(axis=1),
    "no rows": lambda: leaf(np.zeros((0, 3)), "a") * 2,
    "NaN": lambda: tn.sin(leaf(np.nan, "a")) * leaf(2.0, "b"),
    "infinity": lambda: leaf(np.inf, "a") * leaf(2.0, "b") - 1,
    "both in an array": lambda: (leaf([1.0, np.nan, np.inf, -np.inf], "a") * leaf(2.0, "b")).sum(),
    "smallest": lambda: leaf(5e-324, "a") * leaf(1e-300, "b"),
    "three axes": lambda: (leaf(np.ones((2, 3, 4)), "a") ** 2).sum(),
    "whole numbers": lambda: (leaf([1.0, 2.0], "a") * tn.tensor(np.array([1, 2]))).sum(),
    "single precision": lambda: tn.sin(leaf(np.float32(0.5), "a")),
    "half precision": lambda: tn.sin(leaf(np.float16(0.5), "a")),
    "one name twice": lambda: leaf(1.0, "a") * leaf(2.0, "a"),
    "names of JavaScript": lambda: leaf(1.0, "__proto__") * leaf(2.0, "constructor"),
    "long names": lambda: (leaf(1.0, "a" * 200) * leaf(2.0, "名" * 60)).named("z" * 120),
    "signs of Unicode": lambda: (leaf(1.0, "α̂\u202e𝛁") * leaf(2.0, "👩‍👩‍👧")).named("\x00z\n\tq"),
    "a long chain": lambda: sines(100),
    "many inputs": lambda: tn.stack([leaf(i / 30, f"x{i}") for i in range(30)]).sum(),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_graphs(opened, name):
    page = opened(tn.draw(ODD[name](), most=400))
    said = living(page, """
      for (const view of page.views) for (const step of [0, 2]) page.change({ view, step });
      const leaf = page.graph.nodes.find((id) => !page.graph.node(id).op && page.graph.node(id).tracked);
      const size = leaf && page.movable ? page.graph.value(leaf).data.length : 0;
      for (const x of size ? [0, 1e308, -1e308, NaN, Infinity, 0.3] : [])
        for (const view of ["paths", "flow", "compare"]) { page.move(leaf, 0, x); page.change({ view, step: 1 }); }
      if (page.movable) page.nudge();
      page.reset();
      page.change({ view: "paths", theme: "dark" });
      return page.root.textContent;
    """)  # fmt: skip
    assert not re.search(r"undefined|\[object|NaN ?%", said)
    assert living(page, "return document.documentElement.scrollWidth") <= 1280
    assert living(page, "return page.checked?.ok ?? true")


# --- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [[-1.0, 2.0, 0.5], [3.0, 0.0, -0.25]])
@pytest.mark.parametrize(
    "of", [lambda x: tn.where(x > 0, x * x, 0.1 * x), lambda x: (lambda y: y * ((y > 1) & ~(x > 2)) + x)(tn.exp(x))]
)
def test_masks_follow_what_they_were_computed_from(opened, of, at):
    x = tn.tensor([1.0, -2.0, 0.5], requires_grad=True, name="x")
    page = opened(tn.draw(of(x).sum().named("z")))
    for i, value in enumerate(at):
        living(page, "page.move('n1', ...args)", i, value)
    moved = tn.tensor(at, requires_grad=True)
    z = of(moved).sum()
    assert numbers(page, "value", living(page, "return page.graph.root")) == pytest.approx([z.item()], rel=1e-12)
    assert numbers(page, "gradient", "n1") == pytest.approx(list(tn.gradients(z, [moved])[0]), rel=1e-12)
    assert "as it was recorded" not in page.locator(".page").inner_text()


def test_a_mask_that_stays_is_said_to_stay(opened):
    x = tn.tensor([1.0, -2.0], requires_grad=True, name="x")
    page = opened(tn.draw(tn.where((x.detach() > 0), x, 0.1 * x).sum()))
    assert "stays as it was recorded, whatever moves" in page.locator(".page").inner_text()
