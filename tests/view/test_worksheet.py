"""Exercise sheets: what is left out, that nothing gives it away, and that the answers are the numbers that were."""

import dataclasses
import re
import xml.dom.minidom

import pytest

import tinygrad_nn as tn


@pytest.fixture
def picture():
    t = tn.tensor(0.5, requires_grad=True)
    x, y = tn.exp(t), t**2
    z = tn.sin(x**2 + y**2)
    return tn.draw(z)


def numbers(picture):
    return picture.text()


@pytest.mark.parametrize("seed", range(8))
def test_answers_are_the_numbers_that_were_left_out(picture, seed):
    sheet = tn.worksheet(picture, seed)
    gaps = sorted(set(re.findall(r"(?<!\w)\(([a-z]\d*)\)", numbers(sheet.exercise))))
    assert gaps == sorted("abcdefghijklmnopqrstuvwxyz"[k] for k in range(len(sheet.answers)))
    assert numbers(sheet.solution).count("(a)") == 0
    for _, answer in sheet.answers:
        assert answer in numbers(sheet.solution)


def test_the_same_seed_leaves_out_the_same_numbers(picture):
    assert tn.worksheet(picture, 3).answers == tn.worksheet(picture, 3).answers
    assert len({tn.worksheet(picture, seed).answers for seed in range(8)}) > 4


def test_nothing_gives_the_answers_away(picture):
    sheet = tn.worksheet(picture, share=1.0)
    for said in (sheet.exercise.svg(), sheet.exercise.text()):
        assert not re.search(r"5\.0865|5\.5543|0\.4678|3\.0851|3\.2974|1\.6487|2\.7183", said)
    assert "0.5" in sheet.exercise.text()  # the input is given


def test_sheets_are_saved_as_html_and_latex(picture, tmp_path):
    sheet = tn.worksheet(picture, 1)
    page = sheet.save(tmp_path / "sheet.html").read_text("utf-8")
    assert page.count("<svg") == 2
    for what, answer in sheet.answers:
        assert f"{what} = ______________" in page
        assert f"{what} = {answer}</li>" in page
    tex = sheet.save(tmp_path / "sheet.tex").read_text("utf-8")
    assert tex.count("\\begin{tikzpicture}") == tex.count("\\end{tikzpicture}") == 2
    assert "\\newpage" in tex
    with pytest.raises(ValueError, match=r"worksheets are saved as \.html \.tex, not '\.pdf'"):
        sheet.save(tmp_path / "sheet.pdf")


def test_names_cannot_inject_markup():
    a = tn.tensor(2.0, requires_grad=True, name='<b>&"x')
    page = tn.worksheet(tn.draw(tn.exp(a) * a)).html()
    assert "<b>" not in page
    xml.dom.minidom.parseString(re.search(r"<svg.*?</svg>", page, re.S)[0])


def test_what_cannot_be_asked(picture):
    with pytest.raises(ValueError, match="share is the part of the numbers that are left out"):
        tn.worksheet(picture, share=0)
    with pytest.raises(ValueError, match="has no numbers that could be asked for"):
        tn.worksheet(tn.draw(tn.tensor(1.0)))


def test_a_sheet_is_light_as_paper_is(picture):
    dark = dataclasses.replace(picture, theme="dark")
    text = tn.worksheet(dark, seed=1).html()
    assert text == tn.worksheet(picture, seed=1).html()
    assert "prefers-color-scheme" not in text
