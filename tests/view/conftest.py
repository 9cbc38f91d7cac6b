"""Graphs to draw, the layout engines of this machine, and a browser that opens living pages."""

import itertools
import shutil

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.view.renderers import layout_engine

ENGINES = [
    pytest.param("dot", marks=pytest.mark.skipif(shutil.which("dot") is None, reason="no dot on this machine")),
    pytest.param("embedded", marks=pytest.mark.skipif(layout_engine._embedded() is None, reason="no graphviz-pure")),
]


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def founding():
    """The founding text's z = sin(x² + y²) at t = 0.5, all results named."""
    t = tn.tensor(0.5, requires_grad=True, name="t")
    x = tn.exp(t).named("x")
    y = (t**2).named("y")
    u, v = (x**2).named("u"), (y**2).named("v")
    return t, tn.sin((u + v).named("s")).named("z")


@pytest.fixture
def network():
    """A loss of two layers, named in the founding notation."""
    rng = np.random.default_rng(0)
    A = tn.tensor(rng.normal(size=(2, 5)), name="X")
    for layer, (d, above) in zip("¹²", ((2, 3), (3, 1)), strict=True):
        W = tn.tensor(rng.normal(size=(above, d)), requires_grad=True, name=f"W{layer}")
        b = tn.tensor(rng.normal(size=(above, 1)), requires_grad=True, name=f"b{layer}")
        Z = (W @ A + b).named(f"Z{layer}")
        A = tn.tanh(Z).named(f"A{layer}")
    return tn.mse(A, rng.normal(size=(1, 5))).named("J")


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium that Playwright drives."""
    api = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def window(chromium):
    """An empty page: `window(width, scheme, levels)`; nothing may be requested from elsewhere, and nothing logged.

    `levels` are those of the console's messages that may not be there; all of them, unless given.
    """
    contexts = []

    def open_window(width=1280, scheme="light", levels=None):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.wrong, page.asked = [], []
        page.on("console", lambda message: (not levels or message.type in levels) and page.wrong.append(message.text))
        page.on("pageerror", lambda error: page.wrong.append(error.stack))
        page.on("request", lambda request: page.asked.append(request.url))
        return page

    yield open_window
    for context in contexts:
        for page in context.pages:
            assert page.wrong == []
            assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []
        context.close()


@pytest.fixture
def opened(window, tmp_path):
    """Opens the page of a picture: `opened(picture)`."""
    numbers = itertools.count(1)

    def open_page(picture, width=1280, scheme="light", content=None):
        page = window(width, scheme)
        file = tmp_path / f"page{next(numbers)}.html"
        file.write_text(picture.html() if content is None else content, "utf-8")
        page.goto(file.as_uri())
        page.wait_for_selector("[data-live]", state="attached")
        page.wait_for_function("document.querySelector('[data-live]').page !== undefined")
        page.root = page.locator("[data-live]").first
        return page

    return open_page
