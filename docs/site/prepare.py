"""Lay out the sources of the site: pages and examples executed, still pictures exchanged for living ones."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import runpy
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import pages

import tinygrad_nn as tn
from tinygrad_nn.view.animation import Film
from tinygrad_nn.view.picture import Picture

__all__ = ["course", "documents", "examples", "notebooks", "playground"]

ROOT = Path(__file__).resolve().parents[2]
BESIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")  # pages at the top of the project

# Within a living page: tells the page around it how high it is, and follows its theme.
MESSENGER = """<script>
const tell = () => parent.postMessage({ height: document.documentElement.scrollHeight }, "*");
new ResizeObserver(tell).observe(document.body);
addEventListener("message", ({ data }) => {
  if (!data.theme) return;
  for (const { shadowRoot } of document.querySelectorAll("[data-tinygrad-nn]"))
    for (const page of shadowRoot?.querySelectorAll(".page") ?? []) page.dataset.theme = data.theme;
});
</script>
"""


@contextlib.contextmanager
def living_pages() -> Iterator[None]:
    """In this context whoever saves a picture or film saves its living page beside it."""
    before = [(kind, kind.save) for kind in (Picture, Film)]

    def saves_both(save: Any) -> Any:
        def both(self: Any, path: str | Path) -> Any:
            page = Path(path).with_suffix(".html")
            if Path(path).suffix in (".svg", ".png", ".gif") and "{" not in page.name and _can_live(self):
                save(self, page)
            return save(self, path)

        return both

    for kind, save in before:
        kind.save = saves_both(save)
    try:
        yield
    finally:
        for kind, save in before:
            kind.save = save


def _can_live(picture: Any) -> bool:
    """Whether its page would compute, and not only show what was recorded: very large graphs stay still pictures."""
    scene = getattr(picture, "scene", None)
    program = None if scene is None else (scene.living or scene).program
    return program is None or not program.reason


def documents(source: Path, target: Path) -> None:
    """The pages of `docs/`: run, and copied with living pictures where their code saves a picture that they show."""
    for page in sorted(source.glob("*.md")):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), living_pages():
            if needed := pages.missing(page):
                print(f"{page.name} is shown without being run: {needed} is not installed", flush=True)
            else:
                pages.run_page(page)
            _keep(Path(folder), target / "living")
        (target / page.name).write_text(_alive(_links(page.read_text("utf-8")), target), "utf-8")
    for name in BESIDE:
        (target / name).write_text(_links((source.parent / name).read_text("utf-8")), "utf-8")
    shutil.copytree(source / "images", target / "images")


def _keep(made: Path, target: Path) -> None:
    """Copy living pages from the folder of a program, able to speak to the page around them."""
    target.mkdir(exist_ok=True)
    for page in made.glob("*.html"):
        text = page.read_text("utf-8")
        if "data-tinygrad-nn" in text:
            (target / page.name).write_text(text.replace("</body>", MESSENGER + "</body>"), "utf-8")


def _alive(text: str, target: Path) -> str:
    """The page, with a living picture for each still one that has one."""

    def shown(match: re.Match) -> str:
        said, name = match.groups()
        return frame(name, said) if (target / "living" / f"{name}.html").exists() else match[0]

    return re.sub(r"^!\[(.*)\]\((?:docs/)?images/(\w+)\.svg\)$", shown, text, flags=re.M)


def frame(name: str, said: str, up: str = "") -> str:
    """A living page within a page; what it shows in words is its name for screen readers."""
    said = said.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return f'<iframe class="living" src="{up}living/{name}.html" loading="lazy" title="{said}"></iframe>'


def _links(text: str) -> str:
    """Links to files beside `docs/` lead to their pages on the site; what has none is named only."""
    text = re.sub(r"\n\n```$", "\n```", text, flags=re.M)  # the empty line that ends a doctest
    text = re.sub(r"\]\((?:\.\./)?examples/(\w+)\.py\)", r"](examples/\1.md)", text)
    text = re.sub(rf"\]\((?:docs/|\.\./)?({'|'.join(BESIDE)})\)", r"](\1)", text)
    text = re.sub(r"\]\(docs/(\w+\.md)", r"](\1", text)
    return re.sub(r"\[([^\]]*)\]\(\.\./[^)]*\)", r"\1", text)


def examples(source: Path, target: Path) -> None:
    """A page for each example: the program, what it prints, and its pictures, living where they can be."""
    (target / "examples").mkdir()
    rows = []
    for program in sorted(source.glob("[0-9]*.py")):
        with tempfile.TemporaryDirectory() as folder:
            printed = _run(program, Path(folder))
            _keep(Path(folder), target / "living")
            body = _example(program, printed, Path(folder), target)
        (target / "examples" / f"{program.stem}.md").write_text(body, "utf-8")
        rows.append(program.stem)
    listed = "\n".join(rows)
    index = (
        "# Examples\n\nPrograms of under 60 lines, one idea each, in reading order. "
        "`python3 tinygrad_nn examples NAME` runs one.\n\n"
    )
    (target / "examples" / "index.md").write_text(f"{index}```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n", "utf-8")


def _run(program: Path, folder: Path) -> str:
    """What an example prints; its pictures are in the folder then."""
    printed, before = io.StringIO(), sys.argv
    sys.argv = [program.name, str(folder)]
    try:
        with contextlib.redirect_stdout(printed), contextlib.chdir(folder), living_pages():
            runpy.run_path(str(program), run_name="__main__")
    finally:
        sys.argv = before
    return printed.getvalue().replace(str(folder) + "/", "")


def _example(program: Path, printed: str, folder: Path, target: Path) -> str:
    text = program.read_text("utf-8")
    tree = ast.parse(text)
    title, _, story = (ast.get_docstring(tree) or program.stem).partition("\n")
    code = "\n".join(text.splitlines()[tree.body[0].end_lineno :]).strip()
    parts = [f"# {title.rstrip('.')}", story.strip(), f"```python\n{code}\n```"]
    if printed.strip():
        parts += ["## What it prints", f"```text\n{printed.rstrip()}\n```"]
    pictures = []
    for made in sorted(folder.iterdir()):
        if made.suffix in (".svg", ".png", ".gif"):
            if made.with_suffix(".html").exists():
                pictures.append(frame(made.stem, f"{made.stem} of {program.name}", "../"))
            else:
                shutil.copy(made, target / "examples" / made.name)
                pictures.append(f"![{made.stem} of {program.name}]({made.name})")
    return "\n\n".join([*parts, *(["## What it draws", *pictures] if pictures else [])]) + "\n"


def playground(target: Path) -> None:
    """The playground, in a page of the site."""
    (target / "living").mkdir(exist_ok=True)
    page = Path(tn.play(target / "living" / "playground.html"))
    page.write_text(page.read_text("utf-8").replace("</body>", MESSENGER + "</body>"), "utf-8")
    text = "# Playground\n\nType, and the graph follows.\n\n" + frame("playground", "The playground") + "\n"
    (target / "playground.md").write_text(text, "utf-8")


def course(source: Path, target: Path) -> None:
    """The lessons, which MyST-NB executes, each with a link to itself as a notebook, for `notebooks` to write."""
    shutil.copytree(source, target / "course")
    for lesson in (target / "course").glob("[0-9]*.md"):
        link = f'<p class="notebook"><a href="{lesson.stem}.ipynb" download>This lesson as a notebook</a></p>'
        text = re.sub(r"^(# .*\n)", rf"\1\n{link}\n", _up(lesson.read_text("utf-8")), count=1, flags=re.M)
        lesson.write_text(text, "utf-8")


def _up(text: str) -> str:
    """What lies at the top of the project is a page beside the others on the site."""
    return text.replace("](../../", "](../")


def notebooks(source: Path, target: Path, alone: bool = False) -> None:
    """Each lesson as a notebook for Jupyter, beside its page on the site; `alone`, pages of the site are named only."""
    target.mkdir(parents=True, exist_ok=True)
    for lesson in sorted(source.glob("[0-9]*.md")):
        notebook = jupytext.read(lesson)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":  # links to lessons lead to notebooks, all others to pages
                text = re.sub(r"\]\((\d\d_\w+)\.md\)", r"](\1.ipynb)", _up(cell.source))
                page = r"\1" if alone else r"[\1](\2.html)"
                cell.source = re.sub(r"\[([^\]]*)\]\(([\w./]+)\.md\)", page, text)
        jupytext.write(notebook, target / f"{lesson.stem}.ipynb")
