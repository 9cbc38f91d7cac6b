"""The backward pass step by step, right and wrong."""

import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_nn as tn


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
    assert [rows(frame, "b")["received"] for frame in film.frames] == ["0 of 3", "1 of 3", "2 of 3", "3 of 3", "3 of 3"]
    assert film.captions[4].split("   ")[1].startswith("b has received 3 of 3, and fires")
    assert "✓ done" in film.frames[-1].scene.notes[-1].text


def test_frames_say_what_is_sent(founding):
    film = tn.draw(founding[1], steps=True)
    assert film.captions[0] == "0   The backward pass begins: the gradient of z by itself is 1"
    assert film.captions[1] == "1   z fires: it sends −0.9356 to s"
    assert film.captions[-1].endswith("fires: it sends −5.0865 to t, t now has −5.5543")
    assert [rows(frame, "t")["∂z/∂t"] for frame in film.frames[-3:]] == ["–", "−0.4678", "−5.5543"]


def test_assigning_instead_of_adding_is_wrong_in_red(uneven):
    film = tn.draw(uneven, mistake="assign")
    last = film.frames[-1].scene
    assert last.notes[-1].bad
    assert last.notes[-1].text.startswith("✗ wrong: ∂e/∂a came out as −5.2291, and is ")
    assert any(row.bad for n in last.boxes if n.name == "a" for row in n.fields)
    assert "#b3261e" in film.frames[-1].source


def test_firing_too_early_is_wrong_in_red(uneven):
    film = tn.draw(uneven, mistake="order")
    last = film.frames[-1]
    assert rows(last, "b")["received"] == "3 of 3, too late"
    assert last.scene.notes[-1].text.startswith("✗ wrong: ∂e/∂a")


def test_a_mistake_may_do_no_harm():
    t = tn.tensor(1.0, requires_grad=True, name="t")
    film = tn.draw(tn.exp(t), mistake="order")
    assert "does no harm" in film.frames[-1].scene.notes[-1].text


def test_strip_holds_all_frames(uneven, engine):
    film = tn.draw(uneven, steps=True, engine=engine)
    root = ET.fromstring(film.svg())
    assert len([g for g in root if g.get("class") == "frame"]) == 5
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))


def test_frames_do_not_move(founding):
    film = tn.draw(founding[1], steps=True)
    sizes = {ET.fromstring(frame.svg()).get("viewBox").split()[2] for frame in film.frames}
    assert max(map(float, sizes)) - min(map(float, sizes)) < 4


def test_gif_where_pillow_is(uneven, tmp_path):
    pytest.importorskip("PIL")
    assert tn.draw(uneven, steps=True).save(tmp_path / "e.gif").read_bytes().startswith(b"GIF89a")


def test_wrong_arguments(uneven, tmp_path):
    with pytest.raises(ValueError, match="mistake must be 'assign' or 'order', not 'typo'"):
        tn.draw(uneven, mistake="typo")
    with pytest.raises(ValueError, match="no gradient flows"):
        tn.draw(tn.tensor(1.0), steps=True)
    with pytest.raises(ValueError, match=r"saved as \.svg \.gif \.html, not '\.avi'"):
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
    for n in (125, 1_000):
        y = graph(n)
        start = time.process_time()
        film = tn.draw(y, steps=True, mistake=mistake)
        times.append(time.process_time() - start)
        assert len(film) <= 40
        for frame in film.frames:
            assert len(frame.scene.boxes) <= 60
            assert any(note.text.startswith("Folded: ") for note in frame.scene.notes)
        assert max(map(len, film.captions)) < 600
    assert times[1] < 30 * times[0]
    assert all(len(frame.scene.boxes) <= 20 for frame in tn.draw(y, steps=True, mistake=mistake, most=20).frames)


def test_the_frames_of_a_folded_film_are_the_first_and_the_last_ones():
    film = tn.draw(sum_of_terms(1_000), steps=True)
    numbers = [int(caption.split()[0]) for caption in film.captions]
    assert numbers == [*range(20), *range(2_981, 3_001)]
    assert "✓ done" in film.frames[-1].scene.notes[-1].text
    assert ET.fromstring(film.frames[-1].svg()).tag.endswith("svg")
