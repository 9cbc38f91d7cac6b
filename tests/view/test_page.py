"""The living page in a real browser: it can be read, stays in its place and its size, and says what is true."""

import json
import re
import xml.dom.minidom
from pathlib import Path

import numpy as np
import pytest
from living_pages import living
from pictures_for_pages import PAGES, diamonds, founding, network, twice, two_inputs, xor

import tinygrad_nn as tn
from tinygrad_nn.notation import format_number

pytestmark = pytest.mark.browser
nightly = pytest.mark.nightly

MEASURED = Path(__file__).with_name("measure_page.js").read_text("utf-8")
AXE = Path(__file__).parent / "npm" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    ("width", "scheme"),
    [(1280, "light"), (700, "dark"), *(pytest.param(*how, marks=nightly) for how in ((1280, "dark"), (700, "light")))],
)
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
        assert found["crossed"] == [], view
        assert found["wide"] <= width, view
    assert living(page, "return page.checked?.ok ?? true")


@pytest.mark.parametrize("width", [1280, 700])
def test_long_names_and_large_numbers_have_room(opened, width):
    a = tn.tensor(1e12, requires_grad=True, name="the_learning_rate_of_the_second_hidden_layer")
    b = tn.tensor(-2e-12, requires_grad=True, name="weight between input 12 and unit 7")
    c = (a * b).named("product_of_the_rate_and_the_weight_before_clipping")
    page = opened(tn.draw((c * c + tn.sin(b)).named("regularised_mean_squared_error_over_the_batch")), width)
    sizes = "return [...page.root.querySelectorAll(args[0])].map((e) => [e.clientWidth, e.scrollWidth])"
    assert all(room >= 100 for room, _ in living(page, sizes, ".inspect dd"))
    assert all(room >= needed for room, needed in living(page, sizes, ".input input[type=number]"))
    assert page.get_by_label("layer, as a number").input_value() == "1e12"
    lefts = "return [...page.root.querySelectorAll('.input [type=range]')].map((e) => e.getBoundingClientRect().left)"
    assert len(set(living(page, lefts))) == 1


@pytest.mark.parametrize("parts", [2, 3, 4, 6, 9])
def test_sums_of_small_numbers_stay_in_their_box(opened, parts):
    t = tn.tensor(1e-5, requires_grad=True, name="t")
    page = opened(tn.draw(sum(-tn.sin(t) * (k + 3.21457) * 1e-5 for k in range(parts)).named("z")))
    assert (
        page.locator(".box .note").first.text_content().startswith(f"Σ {parts}: −" if parts < 7 else f"Σ {parts} contr")
    )
    assert living(page, MEASURED)["outside"] == []


def test_what_fires_and_the_steps_stay_in_sight_beside_a_tall_picture(opened):
    page = opened(tn.draw(diamonds(16)[0]))
    seen = "const { top, bottom } = page.root.querySelector(args[0]).getBoundingClientRect();"
    seen += "return top >= 0 && bottom <= innerHeight"
    page.get_by_role("button", name="Step", exact=True).click()
    assert not living(page, seen, ".box.output")
    for _ in range(3):
        page.get_by_label("step forward").click()
        assert living(page, seen, ".box.lit")
        assert living(page, seen, ".steps")


def test_on_paper_it_is_light_and_without_controls(opened):
    page = opened(tn.draw(founding()), scheme="dark")
    page.emulate_media(media="print")
    assert living(page, "return getComputedStyle(page.root.querySelector('.title')).fill") == "rgb(15, 23, 42)"
    assert not page.get_by_role("button", name="Flow", exact=True).is_visible()


@pytest.mark.parametrize("width", [1280, pytest.param(700, marks=nightly)])
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


@pytest.mark.parametrize("width", [820, 960, 970, 1100, 1280])
def test_no_picture_is_cut_off_by_the_panel(opened, width):
    for picture in (tn.draw(twice(), steps=True), tn.draw(twice(), mistake="assign"), tn.draw(two_inputs())):
        page = opened(picture, width)
        assert living(page, "return page.place.scrollWidth <= page.place.clientWidth")


# --- what must hold --------------------------------------------------------------------------------------------------


def test_sizes():
    assert len(tn.draw(founding()).html().encode()) <= 150_000
    assert len(tn.draw(founding())._repr_html_().encode()) <= 60_000


def test_the_size_of_a_page_with_200_snapshots_of_99_parameters():
    net = tn.nn.Sequential(*(tn.nn.Dense(m, n, "tanh", rng=m) for m, n in ((3, 12), (12, 3), (3, 3))))
    snapshots = tn.training.Snapshots(net, most=200)
    X = np.random.default_rng(0).normal(size=(3, 20))
    tn.fit(net, "mse", tn.optim.Adam(net.parameters()), (X, np.sin(X)), 199, callbacks=[snapshots], progress=False)
    assert (sum(p.size for p in net.parameters()), len(snapshots)) == (99, 200)
    assert len(tn.draw(tn.mse(net(X), np.sin(X)), snapshots=snapshots).html().encode()) <= 300_000


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
