"""What notebooks show: tables and pictures that need no trust, no script and no other host; and `show()` elsewhere."""

import re
import sys
import webbrowser
import xml.etree.ElementTree as ET
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.training.history import History
from tinygrad_nn.view import showing

WILD = '"><script>alert(1)</script>&'


def html_of(value):
    """The HTML that a notebook shows of a value."""
    bundle = getattr(value, "_repr_mimebundle_", None)
    return bundle()["text/html"] if bundle else value._repr_html_()


def shown(value):
    """The same as a tree: it has to be well-formed, but for images, which HTML does not close."""
    html = re.sub(r'<img alt="[^"]*" style="[^"]*" src="[^"]*">', "<img/>", html_of(value)).split("<script>")[0]
    return ET.fromstring(f"<body>{html}</body>")


def rows(value):
    return [[cell.text or "" for cell in row] for row in shown(value).iter("tr")]


@pytest.fixture
def two_paths():
    a = tn.tensor(2.0, requires_grad=True)
    d = a * 3
    e = a + 3
    return a, (d * e).named("f"), d, e


def test_paths_are_a_table_of_factors_and_products(two_paths):
    a, f, d, e = two_paths
    assert rows(tn.paths(f, a, names={"a": a, "d": d, "e": e})) == [
        ["", "path", "local derivatives", "product", "share"],
        ["1", "a → d → f", "3 × 5", "15", "71.43 %"],
        ["2", "a → e → f", "1 × 6", "6", "28.57 %"],
        ["", "sum", "", "21", ""],
    ]


def test_of_many_paths_the_largest_and_the_rest():
    v = t = tn.tensor(0.3, requires_grad=True)
    for _ in range(20):
        v = tn.sin(v) + tn.cos(v)
    table = rows(tn.paths(v, t))
    assert len(table) == 8
    assert table[-2][1:4:2] == ["1,048,571 more", "−0.1137"]
    assert table[-1][3] == "−1.5584e−4"


def test_paths_between_arrays(network):
    W = network.inputs[0].inputs[0].inputs[0].inputs[0]
    _head, path, foot = rows(tn.paths(network, W))
    assert "· A¹ᵀ" in path[2]
    assert (path[3], path[4], foot[3]) == ("array of shape (1, 3)", "100 %", "array of shape (1, 3)")


def test_paths_say_what_was_changed():
    a = tn.tensor(2.0, requires_grad=True)
    f = a * a
    with tn.no_grad():
        a[...] = 5.0
    assert "was changed" in "".join(shown(tn.paths(f, a)).itertext())


def test_an_explanation_is_a_string_and_a_table(two_paths):
    a, f, *_ = two_paths
    said = tn.explain(f, a)
    assert isinstance(said, str)
    assert repr(said) == said
    assert ["df/da", "=", "∂f/∂d·∂d/∂a + ∂f/∂e·∂e/∂a"] in rows(said)
    assert said._repr_mimebundle_()["text/markdown"] == tn.explain(f, a, format="markdown")


def test_tensors_show_their_numbers_on_tints():
    X = tn.tensor([[1.0, -2.0], [0.0, np.nan]], name="X")
    assert rows(X) == [["1", "−2"], ["0", "NaN"]]
    first, second, *_ = shown(X).iter("td")
    assert "rgba(0,114,178,0.23)" in first.get("style")
    assert "rgba(213,94,0,0.45)" in second.get("style")
    assert len(rows(tn.tensor(np.ones((50, 40))))) == 11
    assert "X: shape (2, 2), float64" in "".join(shown(X).itertext())


@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 2), (2, 3, 4)])
def test_tensors_of_every_shape_are_shown(shape):
    assert f"shape {shape}" in "".join(shown(tn.tensor(np.ones(shape))).itertext())


def test_networks_and_their_summaries_are_tables():
    model = tn.nn.Sequential(tn.nn.Dense(4, 3, "tanh", rng=0), tn.nn.Dense(3, 1, rng=1))
    head = ["layer", "equation", "shapes", "parameters"]
    assert rows(model)[0] == rows(model.summary())[0] == head
    assert rows(model)[1] == ["Dense(4, 3, tanh)", "Z¹ = W¹ A⁰ + b¹", "(3, 4) (4, N) + (3, 1)", "15"]
    assert rows(model)[-1] == ["Sequential", "", "", "19"]


class Own(tn.nn.Module):
    def __init__(self):
        self.w = tn.tensor(np.ones((3, 3)), requires_grad=True)

    def forward(self, x):
        return self.w @ x


def test_a_module_of_ones_own_lists_its_parameters():
    assert rows(Own()) == [["parameter", "shape", "numbers"], ["w", "(3, 3)", "9"]]


def test_a_history_has_its_curves_and_ends():
    history = History(loss=[2.0, 1.0, 0.5], validation_loss=[2.0, 0.75, 1.0], monitor="validation_loss")
    assert rows(history) == [
        ["", "epoch 1", "epoch 3", "epoch 2, the best"],
        ["loss", "2", "0.5", "1"],
        ["validation_loss", "2", "1", "0.75"],
    ]
    curves = [line.get("points").split() for line in shown(history).iter("polyline")]
    assert curves[0] == ["4.0,4.0", "180.0,78.7", "356.0,116.0"]
    assert not "".join("".join(svg.itertext()) for svg in shown(history).iter("svg"))  # which would be left, untrusted
    for few in ([], [1.0], [np.nan, np.inf, np.nan]):
        assert not list(shown(History(loss=few)).iter("svg"))


def everything():
    a = tn.tensor(2.0, requires_grad=True, name=WILD)
    f = tn.exp(a).named("f")
    model = tn.nn.Sequential(tn.nn.Dense(2, 1, rng=0))
    history = History(loss=[2.0, 1.0], metrics={WILD: [1.0, 2.0]})
    return [tn.paths(f, a), tn.explain(f, a), a, model, model.summary(), history, tn.draw(f), tn.draw(f, steps=True)]


@pytest.mark.parametrize("value", everything(), ids=lambda value: type(value).__name__)
def test_nothing_runs_and_nothing_is_asked_of_other_hosts(value):
    html = html_of(value)
    if isinstance(value, (tn.view.Picture, tn.view.Film)):  # they are living: tests/view/test_page*.py
        html, script = html.split("<script>")
        assert "http" not in script
        html = html.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in html
    assert "http" not in html
    assert "url(" not in html
    tags = {element.tag for element in shown(value).iter()}
    assert tags <= {"body", "div", "table", "tr", "td", "th", "svg", "path", "polyline", "img"}
    assert "#000" not in html  # letters have the colour of the page
    assert "#fff" not in html


def test_plots_show_themselves():
    plot = pytest.importorskip("tinygrad_nn.plot")
    figure = plot.history(History(loss=[2.0, 1.0]))
    axes = plot.confusion_matrix([0, 1, 1], [0, 1, 0])
    for drawn in (figure, axes):
        assert drawn._repr_png_().startswith(b"\x89PNG")


# --- networks --------------------------------------------------------------------------------------------------------


def test_a_network_is_drawn_layer_by_layer_and_not_changed():
    model = tn.nn.Sequential(tn.nn.Dense(3, 4, "tanh", rng=0), tn.nn.Dropout(0.5, rng=0), tn.nn.Dense(4, 1, rng=1))
    X = np.ones((3, 5))
    picture = tn.draw(model, X, title="Mine")
    assert [box.name for box in picture.scene.boxes] == ["X", "layer 1", "layer 2"]
    assert picture.scene.title == "Mine"
    assert "Mine" in picture.source
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    with tn.no_grad():
        assert tn.draw(model, X, title="Mine").text() == picture.text()
    assert len(tn.draw(model, X, detail="ops").scene.boxes) > 5


def test_a_network_without_a_batch_gets_zeros_and_says_so():
    model = tn.nn.Sequential(tn.nn.Dense(3, 4, "tanh", rng=0), tn.nn.Dense(4, 1, rng=1))
    assert tn.draw(model).scene.notes[-1].text.endswith("the network's answer to one column of 3 zeros")


def test_a_network_that_begins_with_a_normalisation():
    picture = tn.draw(tn.nn.Sequential(tn.nn.BatchNorm(3), tn.nn.Dense(3, 1, rng=0)))
    assert picture.scene.notes[-1].text.endswith("one column of 3 zeros")


class Pair(tn.nn.Dense):
    def forward(self, A):
        return super().forward(A), A


class Picky(tn.nn.Dense):
    def forward(self, A):
        raise RuntimeError("not today")


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda: tn.draw(Own()), ValueError, r"Own needs a batch to be drawn, .*give one, as in draw\(model, X\)"),
        (lambda: tn.draw(Picky(2, 1)), ValueError, "Picky needs .* it refuses a column of 2 numbers: not today"),
        (lambda: tn.draw(Picky(2, 1), np.ones((2, 1))), RuntimeError, "^not today"),
        (lambda: tn.draw(Pair(2, 1)), ValueError, "Pair returns a tuple, and only tensors can be drawn"),
        (lambda: tn.draw(Own(), "X"), TypeError, "X is a batch of numbers"),
    ],
)
def test_networks_that_cannot_be_drawn(draw, error, message):
    with pytest.raises(error, match=message):
        draw()


# --- show ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(monkeypatch):
    """A notebook, as far as can be seen from here: what it was given to display."""
    displayed = []
    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())

    def display(value, **options):
        displayed.append(value)
        return SimpleNamespace(update=lambda new, raw: displayed.append(new))

    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return displayed


@pytest.mark.parametrize("steps", [False, True])
def test_show_displays_in_a_notebook(founding, shell, steps):
    picture = tn.draw(founding[1], steps=steps)
    picture.show()
    assert shell == [picture]


def test_show_opens_a_browser(founding, monkeypatch, tmp_path, capsys):
    opened = []
    monkeypatch.setattr(showing.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    monkeypatch.setattr(showing, "_has_a_screen", lambda: True)
    picture = tn.draw(founding[1])
    picture.show()
    (page,) = tmp_path.iterdir()
    assert opened == [page.as_uri()]
    assert page.read_text("utf-8") == picture.html()
    assert capsys.readouterr().out == ""


def test_show_says_where_the_file_is_without_a_screen(founding, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(showing.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(webbrowser, "open", lambda address: pytest.fail("nothing to open it with"))
    tn.draw(founding[1]).show()
    (page,) = tmp_path.iterdir()
    assert capsys.readouterr().out == f"There is no screen to show it on: open {page} in a browser\n"


# --- the progress of a training --------------------------------------------------------------------------------------


def train():
    model = tn.nn.Sequential(tn.nn.Dense(2, 1, rng=0))
    data = [(np.ones((2, 4)), np.ones((1, 4)))] * 3
    tn.fit(model, tn.mse, tn.optim.SGD(model.parameters(), lr=0.1), data, 2)


def test_without_tqdm_a_notebook_renews_a_line(shell, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    train()
    assert shell[0] == {"text/plain": "training begins"}
    assert re.fullmatch(r"epoch 2/2: loss 0\.\d+", shell[-1]["text/plain"])


def test_with_tqdm_a_notebook_gets_its_bar(shell, monkeypatch):
    made = []

    class Bar:
        def __init__(self, total, unit, leave):
            made.append((total, unit))

        def set_description(self, text, refresh):
            made.append(text)

        def update(self):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            made.append("closed")

    auto = ModuleType("tqdm.auto")
    auto.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    train()
    assert made[0] == (6, "batch")
    assert made[1].startswith("epoch 1/2, loss")
    assert made[-1] == "closed"
    assert shell == []
