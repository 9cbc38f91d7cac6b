"""The lessons of the course: their cells run, what they say comes out, and each has all its parts."""

import re
import runpy
import sys
from pathlib import Path

import pytest
from test_readme import LESSONS, pages

from tinygrad_nn import course
from tinygrad_nn.view.animation import Film
from tinygrad_nn.view.picture import Picture

TEXTS = {page: page.read_text("utf-8") for page in LESSONS}
EXERCISES = dict(zip(LESSONS, course.EXERCISES, strict=True))
each_lesson = pytest.mark.parametrize("page", LESSONS, ids=lambda page: page.stem)


def test_there_is_a_lesson_for_each_exercise():
    assert [page.stem[:2] for page in LESSONS] == [f"{k:02}" for k in range(1, 13)]


@each_lesson
def test_cells_run_and_the_solution_holds(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lesson = pages.run_lesson(page)
    exercise = EXERCISES[page]
    verdicts = [v for v in lesson.values if isinstance(v, course.Verdict)]
    assert [v.exercise for v in verdicts] == [exercise]
    assert verdicts[0].text.startswith("not written yet")  # the skeleton is the reader's to fill

    call = re.search(rf'^course\.check\("{exercise}", (.*)\)$', TEXTS[page], flags=re.M)
    (names,) = [shown for shown in lesson.shown if all(name in shown for name in call[1].split(", "))]
    verdict = course.check(exercise, *(names[name] for name in call[1].split(", ")))
    assert verdict, verdict

    pictures = [value for value in lesson.values if isinstance(value, Picture | Film)]
    assert any("data-tinygrad-nn" in picture._repr_html_() for picture in pictures), "no picture lives"


@each_lesson
def test_a_lesson_has_all_its_parts(page):
    text = TEXTS[page]
    number = int(page.stem[:2])
    assert re.search(rf"^# {number}\. .*\n\n\*\*[^*]*\?\*\*", text, flags=re.M), "it opens with a question"
    assert re.search(r"^Half an hour\. You will ", text, flags=re.M)
    assert 2 <= text.count("<summary>Predict first") <= 4
    assert text.count("<summary>A solution</summary>") == 1
    assert text.count("<details>") == text.count("</details>")
    assert text.count("## Exercise") == 1
    assert "## What people get wrong" in text
    assert "raise NotImplementedError" in text
    following = LESSONS[number].name if number < 12 else "index.md"
    assert f"]({following})" in text.splitlines()[-1], "it ends with a link to what comes next"


@each_lesson
def test_a_lesson_is_a_notebook_for_jupytext(page):
    assert TEXTS[page].startswith("---\njupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\n")


def test_all_lessons_are_in_the_index():
    index = (LESSONS[0].parent / "index.md").read_text("utf-8")
    assert re.findall(r"^(\d\d_\w+)$", index, flags=re.M) == [page.stem for page in LESSONS]
    for page in LESSONS:
        assert f"]({page.name})" in index


def test_notebooks_have_the_cells_of_the_pages(tmp_path, monkeypatch):
    jupytext = pytest.importorskip("jupytext", reason="extra `docs` is not installed")
    monkeypatch.syspath_prepend(LESSONS[0].parent.parent / "site")
    monkeypatch.delitem(sys.modules, "prepare", raising=False)
    import prepare

    prepare.notebooks(LESSONS[0].parent, tmp_path)
    assert sorted(path.stem for path in tmp_path.iterdir()) == [page.stem for page in LESSONS]
    for page in LESSONS:
        notebook = jupytext.read(tmp_path / f"{page.stem}.ipynb")
        cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        asked = [block for block in pages.blocks(page) if block.language.startswith("{code-cell}")]
        texts = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        links = set(re.findall(r"\]\(([^)]*)\)", texts))
        assert links
        for link in links:
            name = re.sub(r"\.html|\.ipynb", ".md", link)
            assert ".md" not in link
            assert (page.parent / name).exists() or (page.parent / ".." / name).exists(), link
        assert cells == [re.sub(r"^:.*\n", "", block.text, flags=re.M).strip() for block in asked]


def test_notebooks_alone_have_no_link_to_a_page_that_is_not_there(tmp_path, capsys, monkeypatch):
    jupytext = pytest.importorskip("jupytext", reason="extra `docs` is not installed")
    site = LESSONS[0].parent.parent / "site"
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(sys, "argv", ["build.py", "--notebooks", str(tmp_path / "mine")])
    runpy.run_path(str(site / "build.py"), run_name="__main__")
    assert capsys.readouterr().out == f"notebooks: {tmp_path / 'mine'}\n"
    assert sorted(path.stem for path in (tmp_path / "mine").iterdir()) == [page.stem for page in LESSONS]
    for notebook in (tmp_path / "mine").iterdir():
        text = "".join(cell.source for cell in jupytext.read(notebook).cells if cell.cell_type == "markdown")
        assert all((notebook.parent / link).exists() for link in re.findall(r"\]\(([^)]*)\)", text))


# --- these tests themselves


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("```{code-cell} ipython3\nx = 1\n```\n```python\n>>> x\n2\n```\n", "Expected"),
        ("```{code-cell} ipython3\nx = 1\n```\n```python\nx = 2\n```\n```python\n>>> x\n2\n```\n", "Expected"),
        ("```python\n# tinygrad_nn/parts.py\ndef unbroadcast(g):\n```\n", "has no such lines"),
    ],
)
def test_wrong_lessons_are_found(wrong, why, tmp_path):
    page = Path(tmp_path / "lesson.md")
    page.write_text(wrong, "utf-8")
    with pytest.raises(AssertionError, match=why):
        pages.run_lesson(page)


def test_a_true_quote_is_taken(tmp_path):
    page = tmp_path / "lesson.md"
    quote = "if extra < 0:\n    return np.broadcast_to(g, shape)\n...\nif extra:\n"
    page.write_text(f"```python\n# tinygrad_nn/parts.py, unbroadcast\n{quote}```\n", "utf-8")
    assert pages.run_lesson(page).shown == []
