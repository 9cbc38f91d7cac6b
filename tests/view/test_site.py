"""The site in a real browser: no error, no request to another host, nothing serious by axe, every living page alive.

`TINYGRAD_NN_SITE` names the folder where `python3 tinygrad_nn docs` has put it; CI builds it first.
"""

import os
import re
from pathlib import Path

import pytest
from by_day import by_day

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("TINYGRAD_NN_SITE", ROOT / "tinygrad_nn_docs"))
AXE = ROOT / "tests" / "view" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if "living" not in path.parts)
LIVING = sorted(path.relative_to(SITE).as_posix() for path in (SITE / "living").glob("*.html"))
KINDS = {  # one page of each kind
    "index.html", "numerics.html", "operations.html", "course/08_backpropagation.html", "examples/05_digits.html",
    "reference/nn.html",
}  # fmt: skip
NOT_OURS = {"genindex.html", "search.html"}  # made by Sphinx alone

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not SITE.is_dir(), reason="the site is not built: python3 tinygrad_nn docs"),
]


@pytest.fixture
def opened(window):
    """Opens a page of the site: `opened(name)`."""

    def open_page(name, scheme="light"):
        page = window(scheme=scheme, levels=("error", "warning"))
        page.goto((SITE / name).as_uri())
        page.wait_for_load_state("load")
        return page

    return open_page


@pytest.mark.parametrize("name", by_day(PAGES, one_of=3))
def test_every_page_opens_without_an_error_and_asks_nobody(opened, name):
    page = opened(name)
    titles = page.evaluate("document.querySelectorAll('h1').length")  # and not those of pictures, which have level 3
    assert titles == 1 or name in NOT_OURS


@pytest.mark.parametrize(
    "name", [name if name in KINDS else pytest.param(name, marks=pytest.mark.nightly) for name in PAGES]
)
def test_nothing_serious_by_axe(opened, name):
    page = opened(name)
    page.add_script_tag(path=str(AXE))
    # living pages have tests of their own
    options = {"iframes": False, "preload": False, "resultTypes": ["violations"]}
    found = page.evaluate("(options) => axe.run(document, options).then(({ violations }) => violations)", options)
    serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
    assert serious == []


@pytest.mark.parametrize("name", by_day(LIVING))
def test_every_living_page_is_alive(opened, name):
    page = opened(name)
    page.wait_for_selector("[data-live]", state="attached")
    living = "(({ page, play }) => page ?? play?.page)(document.querySelector('[data-live]'))"
    page.wait_for_function(f"{living} !== undefined")
    checked = page.evaluate(f"{living}.checked")
    assert checked is None or checked["ok"], checked
    assert checked is not None, "it says only what was recorded"


@pytest.mark.parametrize("name", ["index.html", "chain_rule.html"])
def test_frames_follow_the_theme_of_the_reader(opened, name):
    page = opened(name)
    frame = page.locator("iframe.living").first
    frame.scroll_into_view_if_needed()
    inner = frame.element_handle().content_frame()
    inner.wait_for_selector(".page")
    for theme in ("dark", "light"):
        page.evaluate("(theme) => { document.body.dataset.theme = theme }", theme)
        inner.wait_for_selector(f'.page[data-theme="{theme}"]', state="attached")
    page.wait_for_function("document.querySelector('iframe.living').offsetHeight > 200")


def test_pages_link_to_pages_that_are_there():
    for name in PAGES:
        text = (SITE / name).read_text("utf-8")
        for target in re.findall(r'href="([^"#?]+)', text):
            if "://" not in target and not target.startswith(("mailto:", "data:", "#")):
                assert ((SITE / name).parent / target).exists(), f"{name} links to {target}"
