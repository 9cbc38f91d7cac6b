"""The backward pass step by step, right and wrong."""

import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.view.renderers import layout_engine


@pytest.fixture
def uneven():
    """b is used by three operations, of which one lies behind another."""
    a = tn.tensor(2.0, requires_grad=True, name="a")
    b = (a * a).named("b")
    c = tn.sin(b).named("c")
    d = (b + c).named("d")
    return (d * b).named("e")


def rows(frame, name):
    (node,) = (n for n in frame.scene.boxes if n.name == name)
    return {row.label: row.text for row in node.fields}


def test_a_node_fires_only_when_all_parts_have_come(uneven):
    film = tn.draw(uneven, steps=True)
    assert len(film) == 5
    assert [rows(frame, "b")["received"] for frame in film.frames] == [
        "○○○ 0 of 3", "●○○ 1 of 3", "●●○ 2 of 3", "●●● 3 of 3", "●●● 3 of 3",
    ]  # fmt: skip
    assert film.captions[4].split(": ", 1)[1].startswith("b has received 3 of 3, and fires")
    assert "✓ done" in film.frames[-1].scene.caption.notes[-1].text


def test_frames_say_what_is_sent(founding):
    film = tn.draw(founding[1], steps=True)
    assert film.captions[0] == "Step 0: The backward pass begins: the gradient of z by itself is 1"
    assert film.captions[1] == "Step 1: z fires: it sends −0.9356 to s"
    assert film.captions[-1].endswith("fires: it sends −5.0865 to t, t now has −5.5543")
    assert [rows(frame, "t")["∂z/∂t"] for frame in film.frames[-3:]] == ["–", "−0.4678", "−5.5543"]


def struck(film):
    return [[f.said for box in frame.scene.boxes for f in box.fields if f.struck] for frame in film.frames]


def test_assigning_instead_of_adding_is_struck_through_where_it_happens(uneven, engine):
    film = tn.draw(uneven, mistake="assign", engine=engine)
    last = film.frames[-1].scene
    assert last.caption.notes[-1].bad
    assert last.caption.notes[-1].text.startswith("✗ wrong: ∂e/∂a came out as −5.2291, and is ")
    assert struck(film) == [[], [], ["~~3.2432 +~~ 4"], ["~~4 +~~ −2.6146"], ["~~−5.2291 +~~ −5.2291"]]
    said = [[note.text for note in frame.scene.caption.notes] for frame in film.frames]
    assert said[:3] == [[], [], ["✗ ∂e/∂b is replaced: 3.2432 is lost"]]
    assert 'text-decoration="line-through"' in film.frames[2].svg()
    assert "line-through" not in film.frames[1].svg()
    assert "\\struck{3.2432 +}" in film.frames[2].tex()
    assert "newcommand" not in film.frames[1].tex()
    assert "~~3.2432 +~~ 4" in film.frames[2].text()
    assert any(row.bad for n in last.boxes if n.name == "a" for row in n.fields)
    assert "#b3261e" in film.frames[-1].source


def test_firing_too_early_is_struck_through_where_it_happens(uneven):
    film = tn.draw(uneven, mistake="order")
    last = film.frames[-1]
    assert rows(last, "b")["received"] == "●●● 3 of 3, too late"
    assert last.scene.caption.notes[-1].text.startswith("✗ wrong: ∂e/∂a")
    (early,) = [k for k, texts in enumerate(struck(film)) if texts]
    assert struck(film)[early] == ["~~●●○ 2 of 3~~ too early"]
    assert film.frames[early].scene.caption.notes[0].text == "✗ b fires after 2 of 3 parts: it passes on only these"


def test_a_mistake_may_do_no_harm():
    t = tn.tensor(1.0, requires_grad=True, name="t")
    film = tn.draw(tn.exp(t), mistake="order")
    assert "does no harm" in film.frames[-1].scene.caption.notes[-1].text


def test_strip_holds_all_frames(uneven, engine):
    film = tn.draw(uneven, steps=True, engine=engine)
    root = ET.fromstring(film.svg())
    assert len([g for g in root if g.get("class") == "frame"]) == 5
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))


@pytest.fixture
def arrays():
    """Vectors of which one is used twice, one drawn as numbers and one as a heat-map."""
    W = tn.tensor(np.linspace(-1, 1, 24).reshape(8, 3), requires_grad=True, name="W")
    h = tn.tanh(W @ np.array([[1.0], [2.0], [-1.0]])).named("h")
    y = h[[0, 3, 7]].named("y")
    return ((1234.5678 * y * y).sum() + tn.exp(0.1 * h).sum()).named("J")


def places(svg):
    """Where the outlines of boxes and the texts of arrows and captions are."""
    found = []
    for group in ET.fromstring(svg).iter():
        if group.get("class", "").startswith("node"):
            found.append((group.get("id"), next(e for e in group.iter() if e.tag.endswith("polygon")).get("points")))
        if group.get("class") == "graph":
            found.append([(e.get("x"), e.get("y")) for e in group if e.tag.endswith("text")][:1])
    return found, ET.fromstring(svg).get("viewBox")


@pytest.mark.parametrize("graph", ["uneven", "founding", "arrays"])
@pytest.mark.parametrize("mistake", [None, "assign", "order"])
def test_frames_share_one_layout(graph, mistake, engine, request):
    root = request.getfixturevalue(graph)
    film = tn.draw(root if graph != "founding" else root[1], steps=True, mistake=mistake, engine=engine)
    first, *others = (places(frame.svg()) for frame in film.frames)
    assert len(first[0]) > 3
    assert all(other == first for other in others)


@pytest.mark.parametrize("width", range(540, 600, 5))
def test_frames_share_one_layout_at_every_width(founding, width):
    film = tn.draw(founding[1], steps=True, width=width)
    first, *others = (places(frame.svg()) for frame in film.frames)
    assert all(other == first for other in others)


def test_a_film_that_fits_downwards_is_no_wider_than_asked_for(founding, engine):
    film = tn.draw(founding[1], steps=True, width=600, engine=engine)
    assert float(ET.fromstring(film.svg()).get("width")) <= 601


def test_a_strip_is_in_pixels_and_in_the_theme_of_its_frames(uneven):
    root = ET.fromstring(tn.draw(uneven, steps=True).svg())
    assert root.get("width") == root.get("viewBox").split()[2]
    assert root.get("class") == "tinygrad-nn"
    assert [e.text[:7] for e in root if e.tag.endswith("style")] == ["@media "]
    dark = ET.fromstring(tn.draw(uneven, steps=True, theme="dark").svg())
    papers = {e.get("fill") for e in dark.iter() if e.tag.endswith("rect")}
    papers |= {g[0].get("fill") for g in dark.iter() if g.get("class") == "graph"} - {None}
    assert papers == {"#0f172a"}
    assert not [e for e in dark if e.tag.endswith("style")]


def test_under_a_title_of_its_own_a_frame_still_says_what_happens(uneven):
    frame = tn.draw(uneven, steps=True, title="Once more").frames[1]
    assert frame.text().splitlines()[:2] == ["Once more", "Step 1: e fires: it sends 4 to d, 3.2432 to b"]
    desc = next(e for e in ET.fromstring(frame.svg()) if e.tag.endswith("desc"))
    assert desc.text.startswith("Once more. Step 1: e fires")


def test_without_an_engine_a_notebook_shows_the_captions(uneven, monkeypatch):
    film = tn.draw(uneven, steps=True)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(layout_engine, "_embedded", lambda: None)
    shown = film._repr_mimebundle_()
    assert list(shown) == ["text/plain"]
    assert all(caption in shown["text/plain"] for caption in film.captions)
    assert "pip install graphviz-pure" in shown["text/plain"]


def test_gradients_of_arrays_are_heat_maps_on_one_scale(arrays):
    film = tn.draw(arrays, steps=True)
    fields = [
        next(f for box in fr.scene.boxes if box.name == "h" for f in box.fields if "∂" in f.label) for fr in film.frames
    ]
    blank, *_, last = fields
    assert blank.grid.blank
    assert not last.grid.blank
    assert (blank.text, last.text) == ("–", "±2380.2, means of ≤ 2")
    assert len({f.grid.scale for f in fields}) == 1
    sent = [arrow.grid for arrow in film.frames[-1].scene.arrows if arrow.grid is not None]
    assert [g.blank for g in sent].count(False) == 1
    assert film.captions[-1].endswith("fires: it sends 8 × 3 (±1682.5) to W")


def test_each_frame_has_its_caption_in_every_format(uneven, engine, tmp_path):
    film = tn.draw(uneven, steps=True, engine=engine)
    for frame, caption in zip(film.frames, film.captions, strict=True):
        texts = ["".join(e.itertext()) for e in ET.fromstring(frame.svg()).iter() if e.tag.endswith("text")]
        assert caption.split(": ", 1)[1][-10:].replace(" ", "") in "".join(texts).replace(" ", "")  # it may be wrapped
    lines = {(frame.scene.caption.lines, frame.scene.caption.width) for frame in film.frames}
    assert len(lines) == 1


def test_with_respect_to_one_tensor_only_what_its_gradient_needs_fires():
    a, b = (tn.tensor(x, requires_grad=True, name=name) for x, name in ((2.0, "a"), (3.0, "b")))
    c, d = (a * a).named("c"), (b * b).named("d")
    z = (c * d).named("z")
    assert [caption.split(": ", 1)[1] for caption in tn.draw(z, a, steps=True).captions[1:]] == [
        "z fires: it sends 9 to c", "c has received 1 of 1, and fires: it sends 18 to a, 18 to a, a now has 36",
    ]  # fmt: skip
    wrong = tn.draw(z, a, mistake="assign").frames[-1].scene.caption.notes
    assert wrong[-1].text == "✗ wrong: ∂z/∂a came out as 18, and is 36"
    film = tn.draw(z, tn.paths(z, c), steps=True)
    assert len(film) == 2
    assert {box.name: box.faint for box in film.frames[0].scene.boxes} == {
        "a": True, "b": True, "c": False, "d": True, "z": False,
    }  # fmt: skip


def test_saved_as_a_file_a_frame_and_as_json(uneven, tmp_path):
    film = tn.draw(uneven, steps=True)
    files = film.save(tmp_path / "frame_{:02}.dot")
    assert [file.name for file in files] == [
        "frame_00.dot",
        "frame_01.dot",
        "frame_02.dot",
        "frame_03.dot",
        "frame_04.dot",
    ]
    assert files[2].read_text("utf-8") == film.frames[2].source
    again = tn.view.Film.from_json(film.save(tmp_path / "e.json").read_text("utf-8"))
    assert again == film
    assert again.captions == film.captions
    for name in ("frame_{.dot", "frame_{x}.dot", "{{}}.dot"):
        with pytest.raises(ValueError, match=r"has one place for its number, as 'frame_\{:02\}\.png', not "):
            film.save(tmp_path / name)


def test_gif_where_pillow_is(uneven, tmp_path):
    pytest.importorskip("PIL")
    assert tn.draw(uneven, steps=True).save(tmp_path / "e.gif").read_bytes().startswith(b"GIF89a")


def test_wrong_arguments(uneven, tmp_path):
    with pytest.raises(ValueError, match="mistake must be 'assign' or 'order', not 'typo'"):
        tn.draw(uneven, mistake="typo")
    with pytest.raises(ValueError, match="no gradient flows"):
        tn.draw(tn.tensor(1.0), steps=True)
    b = tn.tensor(1.0, requires_grad=True, name="b")
    with pytest.raises(ValueError, match="e does not depend on b"):
        tn.draw(uneven, b, steps=True, names={"b": b})
    with pytest.raises(
        ValueError, match="detail='ops', not detail='layers' and fold=: leave that out, or draw it with"
    ):
        tn.draw(uneven, steps=True, detail="layers", fold=[1])
    k = tn.tensor(1.0, name="k")
    with pytest.raises(ValueError, match=r"to show: k requires no gradient \(requires_grad=True before it is used\)"):
        tn.draw(k * uneven, k, steps=True, names={})
    with pytest.raises(TypeError, match=r"wrt takes a tensor, or paths of tn\.paths\(...\), not 'b' of type str"):
        tn.draw(uneven, "b", steps=True)
    with pytest.raises(ValueError, match="not neuron= and inside=: leave"):
        tn.draw(uneven, steps=True, neuron=(1, 1), inside=(1, 1))
    with pytest.raises(
        ValueError, match=r"as \.svg \.gif \.html \.json, not '\.avi' \('frame_{:02}\.png' is a file a frame\)"
    ):
        tn.draw(uneven, steps=True).save(tmp_path / "e.avi")


def sum_of_terms(n):
    x = total = tn.tensor(0.5, requires_grad=True, name="x")
    for i in range(n):
        total = total + tn.sin(x * i)
    return total


def stacked(n):
    return np.stack([tn.tensor([1.0, i], requires_grad=True) for i in range(n)]).sum()


@pytest.mark.parametrize("graph", [sum_of_terms, stacked])
@pytest.mark.parametrize("mistake", [None, "assign", "order"])
def test_a_film_of_a_large_graph_is_folded_and_takes_time_in_proportion(graph, mistake):
    times = []
    for n in (100, 400):
        y = graph(n)
        start = time.process_time()
        film = tn.draw(y, steps=True, mistake=mistake)
        times.append(time.process_time() - start)
        assert len(film) <= 40
        for frame in film.frames:
            assert len(frame.scene.boxes) <= 60
            assert any(note.text.startswith("Folded: ") for note in frame.scene.notes)
        assert max(map(len, film.captions)) < 600
    assert times[1] < 14 * times[0]
    assert all(len(frame.scene.boxes) <= 20 for frame in tn.draw(y, steps=True, mistake=mistake, most=20).frames)


def test_the_frames_of_a_folded_film_are_the_first_and_the_last_ones():
    film = tn.draw(sum_of_terms(500), steps=True)
    numbers = [int(caption.split(":")[0].removeprefix("Step ")) for caption in film.captions]
    assert numbers == [*range(20), *range(1_481, 1_501)]
    assert "✓ done" in film.frames[-1].scene.caption.notes[-1].text
    assert ET.fromstring(film.frames[-1].svg()).tag.endswith("svg")
