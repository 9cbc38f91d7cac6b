"""Pictures are no wider than asked for, lead where somebody wants them to, and are light or dark."""

import dataclasses
import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn.view.scene import Note, Table
from tinygrad_nn.view.text import measure, wrapped


def network(*sizes):
    layers = [tn.nn.Dense(a, b, "tanh", rng=i) for i, (a, b) in enumerate(itertools.pairwise(sizes))]
    output = tn.nn.Sequential(*layers)(np.ones((sizes[0], 2)))
    return (output * output).sum().named("J")


def width(picture):
    return float(ET.fromstring(picture.svg()).get("width"))


def letters(picture):
    return [float(size) for size in re.findall(r'font-size="([\d.]+)"', picture.svg())]


@pytest.mark.parametrize("asked", [400, 560, 760, 1200])
def test_no_wider_than_asked_for_and_no_letters_below_11_pixels(asked, founding, engine):
    for root in (founding[1], network(3, 4, 4, 4, 2)):
        picture = tn.draw(root, width=asked, engine=engine)
        assert width(picture) <= asked + 1
        assert min(letters(picture)) >= 11


def test_a_direction_holds_however_a_picture_is_made_to_fit():
    for asked in (300, 760, 3000):
        assert "rankdir=LR" in tn.draw(network(3, 4, 4, 2), direction="right", width=asked).source
        assert "rankdir=TB" in tn.draw(network(3, 4, 4, 2), direction="down", width=asked).source
    with pytest.raises(ValueError, match="direction must be 'right', 'down' or None, not 'up'"):
        tn.draw(network(3, 2), direction="up")


LONG = "a text of many words " * 12


@pytest.mark.parametrize("asked", [300, 650, 760])
@pytest.mark.parametrize(
    "parts",
    [
        {"title": LONG, "titled": True},
        {"notes": (Note(LONG),)},
        {"notes": (Note(LONG, bad=True),)},
        {"table": Table(LONG)},
        {"table": Table("sum", check=LONG, ok=True)},
        {"table": Table("sum", rest=(LONG,))},
    ],
    ids=["title", "note", "warning", "heading", "check", "rest"],
)
def test_long_texts_under_a_picture_are_broken_into_lines(parts, asked, engine):
    scene = tn.draw(tn.sin(tn.tensor(0.5, requires_grad=True)), show=["value"]).scene
    picture = tn.view.Picture(dataclasses.replace(scene, **parts), engine, width=asked)
    assert width(picture) <= asked + 1
    shown = "".join(e.text or "" for e in ET.fromstring(picture.svg()).iter() if e.tag.endswith("text")).replace(
        "\xa0", ""
    )
    assert shown.replace(" ", "").count(LONG.split("  ")[0].replace(" ", "")) == 1


@given(st.text("abc →−123×", max_size=30), st.floats(0, 500))
def test_a_text_is_not_broken_where_it_fits(text, more):
    assert wrapped(text, measure(text, bold=True) + more - more) == [text]


def test_themes(founding):
    draw = tn.draw
    roots = [ET.fromstring(draw(founding[1], theme=theme).svg()) for theme in ("auto", "light", "dark")]
    assert ["prefers-color-scheme:dark" in "".join(root.itertext()) for root in roots] == [True, False, False]
    papers = [next(e for e in root.iter() if e.tag.endswith("polygon")).get("fill") for root in roots]
    assert papers == ["#ffffff", "#ffffff", "#0f172a"]
    with pytest.raises(ValueError, match="theme must be 'auto', 'light' or 'dark', not 'grey'"):
        draw(founding[1], theme="grey")


def test_what_is_read_from_a_file_fits_a_width_and_a_theme_as_well(founding):
    picture, film = tn.draw(founding[1]), tn.draw(founding[1], steps=True)
    again = tn.view.Picture.from_json(picture.json(), width=400, theme="dark")
    assert again.svg() == tn.draw(founding[1], width=400, theme="dark").svg()
    assert (
        tn.view.Film.from_json(film.json(), theme="dark").svg() == tn.draw(founding[1], steps=True, theme="dark").svg()
    )


def test_compared_points_too():
    w = tn.tensor([1.0, 2.0], requires_grad=True, name="w")

    def loss():
        return (w * w).sum().named("J")

    before = tn.draw(loss())
    w.value = w.value * 0.9
    picture = tn.compare(before, loss(), direction="down", title="One step")
    assert "rankdir=TB" in picture.source
    assert picture.text().startswith("One step\n")
