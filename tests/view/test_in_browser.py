"""Every kind of picture, as a browser shows it at 760 pixels: type, places, overlaps, contrast, lanes."""

import html
import itertools
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from by_day import by_day

import tinygrad_nn as tn

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MEASURE = Path(__file__).with_name("measure.js").read_text("utf-8")
WIDTH = 760

pytestmark = pytest.mark.browser


def number(value, name):
    return tn.tensor(value, requires_grad=True, name=name)


def founding(product=False):
    t = number(0.5, "t")
    x = tn.exp(t).named("x")
    y = (t * t if product else t**2).named("y")
    return tn.sin(x * x + y * y if product else x**2 + y**2).named("z")


def diamonds(n):
    v = number(0.3, "t")
    for _ in range(n):
        v = tn.sin(v) + tn.cos(v)
    return v


def residual(n):
    x = number(0.5, "x")
    for _ in range(n):
        x = x + 0.1 * tn.tanh(x)
    return x


def factored():
    X = number(1.0, "X")
    Y = 2 * X + 3 * X + 5 * X
    return 7 * Y + 11 * Y + 13 * Y


def network(*sizes, examples=5):
    rng = np.random.default_rng(0)
    layers = [tn.nn.Dense(a, b, "tanh", rng=i) for i, (a, b) in enumerate(itertools.pairwise(sizes))]
    model = tn.nn.Sequential(*layers)
    return tn.mse(model(rng.normal(size=(sizes[0], examples))), rng.normal(size=(sizes[-1], examples)))


def tints():
    """Numbers on all tints, of both signs."""
    w = number([[k / 8 * s for k in row] for row in ((1, 2, 3, 4), (5, 6, 7, 8)) for s in (1, -1)], "w")
    return (w * w).sum().named("J")


def stepped(**how):
    w = number([1.0, 2.0], "w")

    def loss():
        return (w * w).sum().named("J")

    before = tn.draw(loss())
    loss().backward()
    tn.optim.SGD([w], lr=0.1).step()
    return tn.compare(before, loss(), **how)


def shared_inputs():
    """f = d e with d = a b and e = a + b: arrows that cross."""
    a, b = number(-2.0, "a"), number(3.0, "b")
    return a, ((a * b).named("d") * (a + b).named("e")).named("f")


def four_paths():
    x = number(0.5, "x")
    y = tn.sin(x) + tn.cos(x)
    return tn.exp(y) * tn.tanh(y)


def lecture():
    """The example of micrograd's lecture."""
    a, b, c, f = number(2.0, "a"), number(-3.0, "b"), number(10.0, "c"), number(-2.0, "f")
    return (((a * b).named("e") + c).named("d") * f).named("L")


PICTURES = {
    "shared inputs": lambda **how: tn.draw(shared_inputs()[1], **how),
    "paths of shared inputs": lambda **how: tn.draw(*shared_inputs()[::-1], **how),
    "lecture": lambda **how: tn.draw(lecture(), **how),
    "four paths": lambda **how: tn.draw(four_paths(), **how),
    "founding": lambda **how: tn.draw(founding(), **how),
    "six paths": lambda **how: tn.draw(founding(product=True), **how),
    "flow": lambda **how: tn.draw(founding(), show=(*tn.view.scenes.request.SHOW, "flow"), **how),
    "three paths": lambda **how: tn.draw((lambda t: t * t * (3 * t))(number(2.0, "t")), **how),
    "twice": lambda **how: tn.draw((lambda a: a + a)(number(3.0, "a")), **how),
    "cancelling": lambda **how: tn.draw((lambda t: 5 * t - 5 * t)(number(2.0, "t")), **how),
    "factored": lambda **how: tn.draw(factored(), **how),
    "five diamonds": lambda **how: tn.draw(diamonds(5), **how),
    "many diamonds": lambda **how: tn.draw(diamonds(100), **how),
    "residual blocks": lambda **how: tn.draw(residual(10), **how),
    "operations": lambda **how: tn.draw(network(3, 4, 2), **how),
    "deep": lambda **how: tn.draw(network(3, 4, 4, 4, 4, 4, 2), **how),
    "layers": lambda **how: tn.draw(network(64, 16, 10), detail="layers", **how),
    "few numbers": lambda **how: tn.draw(tints(), **how),
    "compared": lambda **how: stepped(**how),
    "neurons": lambda **how: tn.draw(network(3, 4, 2), detail="neurons", **how),
    "one neuron": lambda **how: tn.draw(network(3, 4, 2), detail="neurons", neuron=(1, 2), **how),
    "inside a neuron": lambda **how: tn.draw(network(3, 4, 2), detail="neurons", inside=(1, 2), **how),
    "a film": lambda **how: tn.draw(founding(), steps=True, **how),
    "a film of a mistake": lambda **how: tn.draw(founding(product=True), mistake="assign", **how),
}


FAULTS = {
    "outside": "texts outside of their box, or of the picture",
    "pale": "texts with a contrast below 4.5",
    "faint": "lines with a contrast below 3",
    "close": "lanes of an arrow less than 6 pixels apart",
    "pierced": "heads that the line of another arrow runs through",
    "crowded": "heads less than 6 pixels apart",
    "through": "arrows through boxes at which they neither begin nor end",
    "covered": "numbers of paths on a line",
    "foreign": "labels of arrows on boxes",
    "touching": "texts of two elements on each other",
    "cut": "labels on a line without a halo",
    "border": "boxes with a border of a contrast below 3",
    "entering": "heads that end within a box",
    "poking": "dividers that leave their box",
    "alike": "paths, or signs of flow, that only colour tells apart",
}


def shown(svgs, theme, tmp_path):
    """What the browser measures of pictures on a page in a theme."""
    page = tmp_path / "page.html"
    body = "\n".join(svg.split("?>", 1)[1] for svg in svgs)
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><body style="margin:0;color-scheme:{theme}">{body}'
        f"<output></output><script>{MEASURE}</script>",
        "utf-8",
    )
    dark = (
        ["--blink-settings=preferredColorScheme=0"] if theme == "dark" else ["--blink-settings=preferredColorScheme=1"]
    )
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={WIDTH + 20},2000", *dark]
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(html.unescape(re.search(r"<output>(.*?)</output>", done.stdout, re.S)[1]))


THEMES = ["light", "dark"]


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
@pytest.mark.parametrize(
    ("engine", "theme", "half"),
    by_day([*itertools.product(["dot"], THEMES, [0, 1]), *itertools.product(["embedded"], THEMES[::-1], [1, 0])], 4),
)
def test_pictures_can_be_read(engine, theme, half, tmp_path):
    if engine == "dot" and not shutil.which("dot"):
        pytest.skip("Graphviz is not installed")
    names = [*PICTURES][half::2]
    pictures = [PICTURES[name](engine=engine) for name in names]
    for name, found in zip(names, shown([p.svg() for p in pictures], theme, tmp_path), strict=True):
        assert found["paper"] == {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 23, 42)"}[theme]
        assert found["width"] <= WIDTH + 1, name
        assert found["smallest"] > 10.95, name  # sizes of drawings are whole pixels
        assert not {fault: found[fault] for fault in FAULTS if found[fault]}, name


# --- each measurement can fail ---------------------------------------------------------------------------------------

SVG = "{http://www.w3.org/2000/svg}"


class Broken:
    """A picture of two paths, t → x → ... and t → y → ..., to be spoilt."""

    def __init__(self, svg):
        self.root = ET.fromstring(svg)

    def group(self, key):
        return next(g for g in self.root.iter(f"{SVG}g") if g.get("id") == key)

    def line(self, key):
        return next(p for p in self.group(key).iter(f"{SVG}path") if p.get("fill") == "none")

    def head(self, key):
        color = self.line(key).get("stroke")
        return next(p for p in self.group(key).iter(f"{SVG}polygon") if p.get("fill") == color)

    def badge(self, key):
        head = self.head(key)
        return next(p for p in self.group(key).iter(f"{SVG}polygon") if p is not head)

    def text(self, key):
        return list(self.group(key).iter(f"{SVG}text"))[-1]

    def outline(self, key):
        return next(
            p for p in self.group(key).iter(f"{SVG}path") if p.get("stroke") not in (None, "none", "transparent")
        )

    def divider(self, key):
        shapes = [p for p in self.group(key).iter(f"{SVG}polygon") if len(points(p)) < 6]
        return min(shapes, key=lambda p: max(y for _, y in points(p)) - min(y for _, y in points(p)))

    def move(self, key, to):
        self.text(key).set("x", f"{to[0]}")
        self.text(key).set("y", f"{to[1]}")

    def lead(self, key, through):
        """A line that goes far to the left and right of a point."""
        x, y = through
        self.line(key).set("d", f"M{x - 80},{y}C{x - 40},{y} {x + 40},{y} {x + 80},{y}")

    def written(self):
        return '<?xml version="1.0"?>\n' + ET.tostring(self.root, encoding="unicode")


def points(shape):
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", shape.get("points") or shape.get("d"))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def middle(shape):
    xs, ys = zip(*points(shape), strict=True)
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def moved(shape, dx, dy):
    shape.set("points", " ".join(f"{x + dx},{y + dy}" for x, y in points(shape)))


def widen(shape):
    (left, _), *_ = points(shape)
    shape.set("points", " ".join(f"{x - 3 * (x == left)},{y}" for x, y in points(shape)))


def alike(picture):
    picture.line("e7.2").attrib.pop("stroke-dasharray")
    for key in ("e2", "e4", "e6"):
        picture.line(key).attrib.pop("stroke-dasharray")


def crowd(picture):
    picture.head("e2").set("points", picture.head("e1").get("points"))
    picture.line("e2").set("d", picture.line("e1").get("d"))


def close(picture):
    picture.line("e7.2").set("d", picture.line("e7").get("d"))


def cut(picture):
    for text in picture.group("e1").iter(f"{SVG}text"):
        text.attrib.pop("paint-order", None)
    text = picture.text("e1")
    picture.lead("e3", (float(text.get("x")) + 10, float(text.get("y")) - 4))


BREAKS = {
    "outside": lambda p: p.move("n2", (10, -10)),
    "pale": lambda p: p.text("n2").set("fill", "#bbbbbb"),
    "faint": lambda p: [p.line("e1").set("stroke", "#dddddd")],
    "close": close,
    "pierced": lambda p: p.lead("e1", middle(p.head("e2"))),
    "crowded": crowd,
    "through": lambda p: p.lead("e1", middle(p.outline("n7"))),
    "covered": lambda p: p.lead("e1", middle(p.badge("e2"))),
    "foreign": lambda p: p.move("e1", middle(p.outline("n7"))),
    "touching": lambda p: p.move("e1", (p.text("e2").get("x"), p.text("e2").get("y"))),
    "cut": cut,
    "border": lambda p: p.outline("n2").set("stroke", "#dddddd"),
    "entering": lambda p: moved(p.head("e1"), 0, 12),
    "poking": lambda p: widen(p.divider("n2")),
    "alike": alike,
}  # fmt: skip


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_every_fault_is_found(tmp_path):
    assert BREAKS.keys() == FAULTS.keys()
    whole = tn.draw(founding()).svg()
    broken = {fault: Broken(whole) for fault in BREAKS}
    for fault, spoil in BREAKS.items():
        spoil(broken[fault])
    small = whole.replace('font-size="11.00"', 'font-size="9.00"').replace('font-size="11"', 'font-size="9"')
    intact, tiny, *results = shown(
        [whole, small, *(picture.written() for picture in broken.values())], "light", tmp_path
    )
    assert not [fault for fault in FAULTS if intact[fault]]
    assert tiny["smallest"] < 10
    assert not [fault for fault, found in zip(BREAKS, results, strict=True) if not found[fault]]
