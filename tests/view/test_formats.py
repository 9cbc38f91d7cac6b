"""Pictures as JSON, TikZ, HTML and plain text; how numbers and names are written."""

import dataclasses
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.notation import format_number
from tinygrad_nn.view import Picture
from tinygrad_nn.view.text import clean, count, shorten


@pytest.fixture(params=["chain", "network", "layers", "neurons"])
def picture(request, founding, network):
    if request.param == "chain":
        return tn.draw(founding[1])
    return tn.draw(network, detail={"network": "ops"}.get(request.param, request.param), width=3000)


def test_json_makes_the_same_picture(picture):
    again = Picture.from_json(picture.json())
    assert again == picture
    assert dataclasses.replace(again, width=picture.width).source == picture.source
    assert again.scene == picture.scene


def test_json_that_is_no_picture_is_refused():
    for text in ("[]", "{}", '{"title": 1}', '{"title": "", "boxes": [{}]}', '{"title": "", "direction": "up"}'):
        with pytest.raises(ValueError, match="a picture"):
            Picture.from_json(text)
    with pytest.raises(json.JSONDecodeError):
        Picture.from_json("<svg>")


def test_tex_is_ascii_and_closed(picture, engine, tmp_path):
    picture = dataclasses.replace(picture, engine=engine)
    text = picture.save(tmp_path / "p.tex").read_text("utf-8")
    assert text.isascii()
    assert text.startswith("\\documentclass[border=6pt]{standalone}")
    for environment in ("document", "tikzpicture"):
        assert text.count(f"\\begin{{{environment}}}") == text.count(f"\\end{{{environment}}}")
    plain = re.sub(r"\\[\\{}]", "", text)
    assert plain.count("{") == plain.count("}")
    drawn = len(picture.scene.arrows) + sum(max(len(e.lanes) - 1, 0) for e in picture.scene.arrows)
    arrows = [part for part in text.split("\n% ") if part.startswith("edge ")]
    assert len(arrows) == drawn  # one for each path along it
    assert sum(len(re.findall(r"\\path\[draw=.*controls", part)) for part in arrows) == drawn


def test_html_is_a_page_with_the_picture_in_it(founding, engine, tmp_path):
    page = tn.draw(founding[1], engine=engine).save(tmp_path / "p.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    svg = page[page.index("<svg") : page.index("</svg>") + 6]
    assert ET.fromstring(svg).get("role") == "img"
    assert page.count("<script") == 1  # which makes it living


def test_html_escapes(tmp_path):
    h = tn.tensor(1.0, requires_grad=True, name="</pre><script>alert(1)</script>")
    page = tn.draw(tn.exp(h)).html()
    assert page.count("<script") == page.count("</script>") == 1
    assert "alert(1)" not in page[page.index("<script") :]


def test_text_says_everything(founding, tmp_path):
    text = tn.draw(founding[1]).save(tmp_path / "p.txt").read_text("utf-8")
    for line in (
        "x = exp(t)",
        "    ∂z/∂x  −3.0851",
        "    ← t (path 1): exp(t) = 1.6487",
        "    Σ 2 contributions: −5.0865 − 0.4678",
        "dz/dt = sum over 2 paths",
    ):
        assert line in text.splitlines()


# --- numbers and names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1.0, "1"), (-2, "−2"), (0.5, "0.5"), (1 / 3, "0.3333"), (2 / 3 * 10, "6.6667"), (12.3456, "12.346"),
        (1234.56, "1234.6"), (123456.7, "123457"), (1e6, "1e6"), (0.0625, "0.0625"), (-0.00123456, "−0.0012"),
        (1.2345678e-5, "1.2346e−5"), (-1e-300, "−1e−300"), (1e308, "1e308"), (float("inf"), "∞"), (-np.inf, "−∞"),
        (float("nan"), "NaN"), (np.float32(0.1), "0.1000"), (2**200, "1.6069e60"), (True, "True"),
        (0.99999999, "1.0000"),
    ],
)  # fmt: skip
def test_numbers(value, text):
    assert format_number(value) == text


def test_counts():
    assert [count(n) for n in (0, 65536, 10**14)] == ["0", "65,536", "100,000,000,000,000"]
    assert count(2**1000) == "2¹⁰⁰⁰ ≈ 1.0715e301"
    assert count(3**100) == "≈ 5.1537e47"


def test_text_of_users_is_cleaned_and_shortened():
    assert clean("a\x00b\nc\ud800") == "a b c\ufffd"
    assert shorten("x" * 100, 20) == "xxxxxxxxxxxxx … xxxxx"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
@pytest.mark.parametrize("name", ["t", '<b>&"x_{1}^#$%~\\'])
def test_latex_compiles(name, tmp_path):
    t = tn.tensor(0.5, requires_grad=True, name=name)
    z = (np.exp(t) * t).named("z")
    tn.draw(z, wrt=t).save(tmp_path / "picture.tex")
    (tmp_path / "words.tex").write_text(tn.explain(z, t, format="latex"), "utf-8")
    for file in ("picture", "words"):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", file]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stdout[-800:]
