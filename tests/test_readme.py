"""README and docs are true: every code block is executed, and what is shown as its output is what comes out.

How is told in docs/pages.py; each page runs in an empty folder. Commands in ```sh blocks must exist. The lessons of
docs/course are run by tests/course/test_lessons.py.
`python tests/test_readme.py` renews the pictures that README shows.
"""

import importlib.util
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

import pytest
from pictures import words_of

import tinygrad_nn as tn
from tinygrad_nn.command_line import make_parser

ROOT = Path(__file__).resolve().parent.parent
_spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "pages.py")
pages = sys.modules["pages"] = importlib.util.module_from_spec(_spec)  # a dataclass looks its module up
_spec.loader.exec_module(pages)
blocks, run_page = pages.blocks, pages.run_page

TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md"))]
COMPARE = [page for page in PAGES if page.read_text("utf-8").startswith("<!-- needs: ")]  # with another package
LESSONS = [page for page in PAGES if page.parent.name == "course" and page.name != "index.md"]
PICTURES = ["chain_rule.svg"]  # in docs/images, as README's programs save them


@pytest.mark.parametrize("page", [p for p in PAGES if p not in COMPARE + LESSONS], ids=lambda page: page.name)
def test_code_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)


@pytest.mark.peers
@pytest.mark.filterwarnings("default")  # what the other package does is its own
@pytest.mark.parametrize("page", COMPARE, ids=lambda page: page.name)
def test_programs_side_by_side_agree(page, tmp_path, monkeypatch):
    assert pages.missing(page) is None
    monkeypatch.chdir(tmp_path)
    run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_its_language(page):
    for block in blocks(page):
        site = block.language in {"{toctree}", "{code-cell} ipython3"}  # what Sphinx and MyST-NB make of a block
        # "py" is Python that needs an engine: tests of these run it
        assert site or block.language in {"python", "py", "sh", "text", "toml", "latex", "js"}, (
            f"{page.name}, line {block.line}"
        )


def commands(page: Path):
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.splitlines():
                words = shlex.split(line, comments=True)
                for start in (["tinygrad-nn"], ["python3", "tinygrad_nn"], ["python", "-m", "tinygrad_nn"]):
                    if words[: len(start)] == start:
                        yield start, words[len(start) :]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page):
    for start, arguments in commands(page):
        clone = start == ["python3", "tinygrad_nn"]
        if clone and arguments[0] == "test":
            arguments = arguments[:1]  # the others are pytest's
        make_parser(tn.__version__, clone).parse_args(arguments)


def test_readme_shows_commands():
    assert len(list(commands(ROOT / "README.md"))) >= 4


# Sphinx checks the site's own pages, which link to pages that are made.
@pytest.mark.parametrize("page", [p for p in PAGES if p.parent.name != "site"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target and not target.startswith("#"):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_readme_are_what_its_code_draws(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(ROOT / "README.md")
    shown = ROOT / "docs" / "images" / name
    assert f"docs/images/{name}" in (ROOT / "README.md").read_text("utf-8")
    assert words_of(shown) == words_of(tmp_path / name), f"renew it: python {Path(__file__).name}"


# --- these tests themselves


def page_of(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")
    return page


@pytest.mark.parametrize(
    "wrong",
    [
        "```python\n>>> 1 + 1\n3\n```\n",
        "```python\nprint(1)\n```\n\n```text\n2\n```\n",
        "```python\nx = 1\n```\n```python\n>>> x\n2\n```\n",
    ],
)
def test_wrong_output_is_found(wrong, tmp_path):
    with pytest.raises(AssertionError):
        run_page(page_of(tmp_path, wrong))


def test_errors_in_a_program_are_found(tmp_path):
    with pytest.raises(ZeroDivisionError):
        run_page(page_of(tmp_path, "```python\n1 / 0\n```\n"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run_page(ROOT / "README.md")
        for picture in PICTURES:
            target = ROOT / "docs" / "images" / picture
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(Path(picture).read_bytes())
            print(f"wrote {target}", file=sys.stderr)
        os.chdir(ROOT)
