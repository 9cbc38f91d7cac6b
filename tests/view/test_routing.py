"""Where arrows, heads, labels and boxes are laid out, and what the two engines make of signs in pixels."""

import io
import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.view.arrangement import _ends
from tinygrad_nn.view.renderers import dot_labels, dot_source, faults, geometry, layout_engine
from tinygrad_nn.view.renderers.placed import placed
from tinygrad_nn.view.scene import Grid, Shape


def number(value, name):
    return tn.tensor(value, requires_grad=True, name=name)


@pytest.fixture
def shared():
    """f = d e with d = a b and e = a + b: arrows that cross."""
    a, b = number(-2.0, "a"), number(3.0, "b")
    return ((a * b).named("d") * (a + b).named("e")).named("f")


def cost(picture):
    scene, drawn = picture._arranged
    return faults.cost(geometry.read(drawn), _ends(scene))


def test_an_arrow_through_the_head_of_another_is_seen_and_led_elsewhere(shared, engine):
    picture = tn.draw(shared, engine=engine)
    as_it_was = layout_engine.layout(dot_source.write(picture.scene), "svg", engine)
    assert faults.cost(geometry.read(as_it_was), _ends(picture.scene)) >= faults.HEAD
    assert cost(picture) == 0
    assert ":i0:w" in picture.source


def test_where_nothing_is_wrong_graphviz_has_its_way(engine):
    a, b = number(2.0, "a"), number(-3.0, "b")
    assert ":i0" not in tn.draw(a * b, engine=engine).source


def test_lanes_of_an_arrow_run_beside_each_other(founding, engine):
    scene, drawn = tn.draw(founding[1], engine=engine)._arranged
    lines = {line.id: line for line in geometry.read(drawn).lines}
    for end in (0, -1):
        assert math.dist(lines["e7"].points[end], lines["e7.2"].points[end]) == pytest.approx(dot_labels.LANE, abs=1)
    assert scene.boxes[-1].entries == ("e7", "e7.2")


def test_frames_of_a_film_share_one_layout(shared, engine):
    for film in (tn.draw(shared, steps=True, engine=engine), tn.draw(shared, mistake="assign", engine=engine)):
        layouts = [geometry.read(frame._arranged[1]) for frame in film.frames]
        for other in layouts[1:]:
            assert other.boxes == layouts[0].boxes
        assert cost(film.frames[0]) == 0


def rectangle(box):
    width = max(dot_labels.measure(line, 11) for line in box.title.split("\n"))
    (x, y), height = box.at, 12.0 * len(box.title.split("\n"))
    return geometry.Rect(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


@pytest.mark.parametrize("how", [{}, {"neuron": (1, 2)}, {"inside": (1, 2)}], ids=["network", "neuron", "inside"])
@pytest.mark.parametrize("part", [0.0, 1.0])
def test_labels_stand_beside_their_arrows_and_cover_nothing(network, how, part):
    scene = placed(tn.draw(network, detail="neurons", **how).scene, part)
    at = {box.id: box.at for box in scene.boxes}
    labels = [box for box in scene.boxes if box.shape is Shape.LABEL]
    assert labels
    for k, label in enumerate(labels):
        (x0, y0), (x1, y1) = (at[key] for key in label.on)
        on_it = [(x0 + (x1 - x0) * t / 200, y0 + (y1 - y0) * t / 200) for t in range(201)]
        assert not any(map(rectangle(label).holds, on_it)), label.title
        assert not any(rectangle(label).meets(rectangle(other)) for other in labels[:k]), label.title
        circles = [box for box in scene.boxes if box.shape is Shape.CIRCLE]
        for box in circles:
            corners = [(x, y) for x in (rectangle(label).left, rectangle(label).right) for y in (label.at[1],)]
            assert all(math.dist(corner, box.at) > dot_source.diameter(box) * 36 for corner in corners), label.title


def test_letters_on_arrows_have_a_halo_and_no_box(network):
    picture = tn.draw(network, detail="neurons", inside=(1, 2))
    haloed = re.findall(r'<text [^>]*paint-order="stroke"[^>]*>([^<]*)<', picture.svg())
    assert [box.title for box in picture.scene.boxes if box.shape is Shape.LABEL] == haloed
    assert dot_source.write(picture.scene, pixels=True).count(dot_source.PAPER) > picture.source.count(dot_source.PAPER)
    assert picture.tex().count("\\foreach") == len(haloed)


def test_cells_below_zero_are_told_apart_without_colour():
    label = dot_labels.heat_map(Grid(tuple((1.0, -1.0, 0.0, 2.0, -2.0) for _ in range(3)), 2.0))
    assert label.count('border="1" color="#ffffff"') == 6


def test_dividers_end_at_the_border(founding):
    assert "<hr/>" not in tn.draw(founding[1], show=["value"]).source


def test_fonts_are_one_family(founding, network, engine):
    for picture in (tn.draw(founding[1], engine=engine), tn.draw(network, detail="neurons", engine=engine)):
        families = set(re.findall(rb'font-family="([^"]*)"', picture._arranged[1]))
        assert {family.split(b",")[0] for family in families} == {b"Arial"}


# --- signs in pixels -------------------------------------------------------------------------------------------------

PACKAGE = Path(tn.__file__).parent
SIGNS = sorted({c for path in PACKAGE.rglob("*.py") for c in path.read_text("utf-8") if ord(c) > 126})
COMBINING = "\u0302\u0307"  # drawn on the letter before


def pixels(signs, engine, bold):
    """A picture of each sign."""
    image = pytest.importorskip("PIL.Image")
    edge = 40
    cells = [
        dot_labels.td(dot_labels.font(sign, 16, bold=bold), width=edge, height=edge, fixedsize="true") for sign in signs
    ]
    label = dot_labels.table([dot_labels.tr(*cells)], cellpadding=0)
    source = f"graph {{ graph [pad=0 margin=0 nodesep=0] node [shape=plain fontname=Arial] a [label=<{label}>] }}"
    drawn = image.open(io.BytesIO(layout_engine.layout(source, "png", engine, 20, "-Gdpi=72"))).convert("L")
    grey = np.asarray(drawn)[:edge]
    return [grey[:, k * edge + 2 : (k + 1) * edge - 2].tobytes() for k in range(len(signs))]


@pytest.mark.parametrize("bold", [False, True])
def test_every_sign_has_a_shape_of_its_own_in_pixels(engine, bold):
    """A sign that the fonts lack comes out as an empty box, as one does that nobody has; two signs differ."""
    missing, *drawn = pixels(["\ue123", *(c for c in SIGNS if c not in COMBINING)], engine, bold)
    signs = [c for c in SIGNS if c not in COMBINING]
    assert [c for c, shape in zip(signs, drawn, strict=True) if shape == missing] == []
    kinds = {}
    for sign, shape in zip(signs, drawn, strict=True):
        kinds.setdefault(shape, []).append(sign)
    alike = {"".join(some) for some in kinds.values() if len(some) > 1}
    assert alike <= {"∘⊙◦", "‖∥", "→↦⇒", "∗⋆", "…⋮", "×✗", "⌉⌋"}, alike


def test_marks_are_no_roots(founding):
    written = "✓ ✗".translate(layout_engine._NOT_IN_ARIMO)
    assert written == "OK, ×"
    tex = tn.draw(founding[1]).tex()
    assert "\\checked{}" in tex
    assert "surd" not in tex


def test_angle_brackets_do_not_break_the_embedded_png():
    w = number([1.0, 2.0], "w")
    before = tn.draw((w * w).sum().named("J"))
    w.value = w.value * 0.9
    picture = tn.compare(before, (w * w).sum().named("J"), engine="embedded")
    assert "⟨" in picture.source
    if layout_engine._embedded() is None:
        pytest.skip("no graphviz-pure")
    assert picture.png().startswith(b"\x89PNG")


@pytest.mark.skipif(subprocess.run(["which", "pdflatex"], capture_output=True).returncode != 0, reason="no TeX")
def test_texts_in_tikz_fill_their_boxes(founding, tmp_path):
    """The fonts of TeX are about as wide as those that boxes are measured for."""
    texts = ["−5.0865 − 0.4678", "x = exp(t)", "equals the gradient of the backward pass", "value", "1.6487"]
    lines = [r"\typeout{WIDTH \the\wd0}" for _ in texts]
    boxes = [rf"\setbox0\hbox{{\fontsize{{12}}{{12}}\selectfont\sffamily {tn.view.renderers.latex.escape(t)}}}{line}"
             for t, line in zip(texts, lines, strict=True)]  # fmt: skip
    (tmp_path / "t.tex").write_text(tn.view.renderers.latex.document("\n".join([*boxes, "x"])), "utf-8")
    done = subprocess.run(["pdflatex", "-interaction=batchmode", "t.tex"], cwd=tmp_path, capture_output=True)
    found = [float(w) for w in re.findall(r"WIDTH ([\d.]+)pt", (tmp_path / "t.log").read_text("latin-1"))]
    assert done.returncode == 0
    for text, width in zip(texts, found, strict=True):
        assert 0.8 < width * 72 / 72.27 / dot_labels.measure(text, 12) < 1.1, text


def test_four_lanes_differ_in_grey_pixels():
    """DOT has three patterns of lines for four lanes: one is thicker."""
    x = number(0.5, "x")
    y = tn.sin(x) + tn.cos(x)
    picture = tn.draw(tn.exp(y) * tn.tanh(y))
    looks = {}
    for edge in dot_source.write(picture._arranged[0], pixels=True).splitlines():
        lane = re.search(r"path(\d)", edge)
        if lane:
            found = re.search(r"penwidth=\S+", edge)[0].rstrip("]"), re.search(r"style=\w+", edge)[0]
            looks.setdefault(lane[1], set()).add(found)
    assert len(looks) == 4
    assert len(set.union(*looks.values())) == sum(map(len, looks.values()))
