"""A `dot` that does not work, and names that no file can carry: pictures come out all the same."""

import json
import os
import stat
import time
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from by_day import by_day

import tinygrad_nn as tn
from tinygrad_nn.view.picture import Picture
from tinygrad_nn.view.renderers import layout_engine

# --- dot -------------------------------------------------------------------------------------------------------------

BROKEN = {
    "writes nothing": (b"#!/bin/sh\nexit 0\n", "dot could not draw the picture: it wrote nothing, which is no svg"),
    "writes words": (b"#!/bin/sh\necho no picture\n", r"what it wrote begins with b'no picture\\n', which is no svg"),
    "writes random bytes": (b"#!/bin/sh\nhead -c 2000 /dev/urandom\n", "which is no svg"),
    "writes half a picture": (
        b"#!/bin/sh\nprintf '<svg xmlns=\"http://www.w3.org/2000/svg\"><g>'\n",
        "which is no svg",
    ),
    "writes another page": (b"#!/bin/sh\necho '<html></html>'\n", "which is no svg"),
    "fails": (b"#!/bin/sh\necho out of order >&2\nexit 3\n", "out of order"),
    "crashes": (b"#!/bin/sh\nkill -SEGV $$\n", "exit status -11"),
    "hangs": (b"#!/bin/sh\nexec sleep 60\n", "did not lay the picture out within 0.3 seconds"),
    "has no interpreter": (b"#!/no/such/shell\n", "could not be started"),
    "is no program": (bytes(range(256)), "could not be started"),
}
posix = pytest.mark.skipif(os.name != "posix", reason="scripts as programs")
embedded = pytest.mark.skipif(layout_engine._embedded() is None, reason="no graphviz-pure")


@pytest.fixture
def put_dot(tmp_path, monkeypatch):
    def put(content, mode=0o755):
        program = tmp_path / "dot"
        program.write_bytes(content)
        program.chmod(mode)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if mode & stat.S_IXUSR else str(tmp_path))

    monkeypatch.setattr(layout_engine, "PATIENCE", 0.3)
    return put


@posix
@embedded
@pytest.mark.parametrize("how", BROKEN)
def test_the_embedded_engine_takes_over_from_a_broken_dot_and_says_so_once(how, founding, put_dot):
    content, wrong = BROKEN[how]
    expected = tn.draw(founding[1], engine="embedded").svg()
    put_dot(content)
    start = time.monotonic()
    with pytest.warns(RuntimeWarning, match="dot is broken, so the embedded engine .* engine='embedded' asks for that"):
        assert tn.draw(founding[1]).svg() == expected
    assert tn.draw(founding[1]).svg() == expected  # warnings are errors here: it was said once
    assert tn.draw(founding[1]).png().startswith(b"\x89PNG")
    assert len(tn.draw(founding[1], steps=True).svg()) > 1000
    assert time.monotonic() - start < 20
    with pytest.raises(layout_engine.RenderError, match=wrong):
        layout_engine.layout("digraph { a }", "svg", "dot", 0.3)


@posix
@embedded
def test_a_dot_that_breaks_at_a_large_picture(founding, put_dot):
    put_dot(b"#!/bin/sh\nPATH=/usr/bin:/bin\ntext=$(cat)\nif [ ${#text} -gt 100 ]; then kill -SEGV $$; fi\n"
            b"echo '<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>'\n")  # fmt: skip
    with pytest.warns(RuntimeWarning, match=r"dot is broken.*\(dot could not draw the picture: exit status -11\)"):
        assert tn.draw(founding[1]).svg() == tn.draw(founding[1], engine="embedded").svg()


@posix
@embedded
def test_a_dot_that_may_not_be_executed_is_none(founding, put_dot):
    put_dot(b"#!/bin/sh\nexit 0\n", 0o644)
    if os.access(os.environ["PATH"] + "/dot", os.X_OK):
        pytest.skip("this user may execute everything")
    assert tn.draw(founding[1]).svg() == tn.draw(founding[1], engine="embedded").svg()


@posix
def test_without_another_engine_a_broken_dot_is_an_error(founding, put_dot, monkeypatch):
    monkeypatch.setattr(layout_engine, "_embedded", lambda: None)
    put_dot(b"#!/bin/sh\nexit 0\n")
    with pytest.raises(layout_engine.RenderError, match="it wrote nothing, which is no svg; install Graphviz"):
        tn.draw(founding[1]).svg()


# --- names and texts -------------------------------------------------------------------------------------------------

NASTY = [
    "\x00", "\x1b[31mred", "\ud800", "\udfff\ud800", "two\nlines", "tab\tand\rreturn", "\ufffe", "\u2028", "]]>", "-->",
    "]]", "x[[1]]>",
    "<b>&amp;", "\\N", '"', "'", "%", "\x85", "\x7f", "&#0;", "{x}", "$x^2$", " ", "\u202e", "é\u0301", "😀", "a" * 300,
]  # fmt: skip


def drawn(name):
    """A graph whose tensors have this name, drawn in all ways; made in a file of this name, too."""
    x = tn.tensor([[1.0, 2.0]], requires_grad=True, name=name)
    code = compile("y = tn.sin(x)", f"file {name}.py".replace("\0", "\1"), "exec")
    names = {"tn": tn, "x": x}
    exec(code, names)
    z = (names["y"] * np.ones(2)).sum().named(f"z {name}")
    return z, [tn.draw(z), tn.draw(z, names={f"q{name}": x}, show=("value", "shape", "heatmap"))]


def legible(data):
    """The text of a file, without what no XML, terminal or TeX can carry."""
    text = data.decode()
    assert not {c for c in text if not c.isprintable()} - set("\n\t\xa0")
    return text


@pytest.mark.parametrize("name", by_day(NASTY), ids=range(len(NASTY)))
def test_names_of_all_kinds_in_files_of_all_kinds(name, engine, tmp_path):
    z, pictures = drawn(name)
    number = NASTY.index(name)
    for picture in pictures[number % 2 :: 2]:  # each kind of picture with every second name
        picture = Picture(picture.scene, engine)
        for suffix in (".svg", ".html", ".tex", ".dot", ".json", ".txt"):
            text = legible(picture.save(tmp_path / f"picture{suffix}").read_bytes())
            if suffix == ".svg":
                ET.fromstring(text)
            elif suffix == ".json":
                assert Picture.from_json(text, engine) == picture
                json.loads(text)
        repr(picture).encode()
    film = tn.draw(z, steps=True, engine=engine)
    for suffix in (".svg", ".html"):
        text = legible(film.save(tmp_path / f"film{suffix}").read_bytes())
        if suffix == ".svg":
            ET.fromstring(text)
    repr(film).encode()


def test_texts_of_a_scene_that_somebody_made():
    scene = tn.draw(tn.tensor(1.0, requires_grad=True) * 2).scene
    text = Picture(scene).json().replace('"title": "', '"title": "\\ud800\\u0000')
    picture = Picture.from_json(text)
    assert picture.scene.title.startswith("\ufffd ")
    assert legible(picture.json().encode())
    assert picture == Picture(picture.scene)
    assert Picture(scene).scene is scene  # as it was: nothing to clean


def test_captions_that_somebody_wrote():
    picture = tn.draw(tn.tensor(1.0, requires_grad=True) * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        film = tn.view.animation.Film([picture], ["one\x00\ud800\nline"], "title\x1b")
    assert film.captions == ("one \ufffd line",)
    assert film.title == "title "
    ET.fromstring(film.svg())
