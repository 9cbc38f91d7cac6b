"""The code in Markdown pages: found, executed and compared with what the page shows; for tests, figures and the site.

In one page all ```python blocks share their names. A block of ``>>>`` lines is compared as a doctest; any other is a
program, and a ```text block right below it is what it prints.  A page that begins with ``<!-- needs: torch -->`` is
about another package, too, and runs where that is installed.

A lesson of the course is a notebook in Markdown: its ```{code-cell} blocks are the cells.  What else it shows as Python
(answers to questions, solutions) sees the names of the cells above and leaves none behind, as the notebook does not run
it.  A ```python block that begins with `# tinygrad_nn/....py, name` quotes that file.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib.util
import io
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Block", "Lesson", "blocks", "missing", "run_lesson", "run_page"]

ROOT = Path(__file__).resolve().parent.parent
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@dataclass
class Block:
    """A fenced block of code: what stands in it, from which line of the page."""

    language: str
    text: str
    line: int
    follows: bool  # only blank lines between the block before and this one


def blocks(page: Path) -> list[Block]:
    """The fenced code blocks of a page."""
    found: list[Block] = []
    language: str | None = None
    lines: list[str] = []
    start, follows = 0, False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if line.startswith("```") and language is None:
            language, lines, start = line[3:].strip(), [], number
        elif line.startswith("```"):
            found.append(Block(language, "".join(f"{text}\n" for text in lines), start, follows))
            language, follows = None, True
        elif language is not None:
            lines.append(line)
        elif line.strip():
            follows = False
    assert language is None, f"{page.name}: the block of line {start} has no end"
    return found


def missing(page: Path) -> str | None:
    """The package that the code of a page needs and this Python lacks, if there is one."""
    named = re.match(r"<!-- needs: (\w+) -->", page.read_text("utf-8"))
    return named[1] if named and importlib.util.find_spec(named[1]) is None else None


def run_page(page: Path) -> None:
    """Execute all Python of a page in the current folder.  AssertionError where something else comes out."""
    names: dict = {"__name__": "__main__"}
    printed = ""
    for block in blocks(page):
        if block.language == "python" and block.text.lstrip().startswith(">>>"):
            _run_doctest(block, names, page)
        elif block.language == "python":
            printed = _run_program(block, names, page)
            continue
        elif block.language == "text" and block.follows and printed:
            same = doctest.OutputChecker().check_output(block.text, printed, FLAGS)
            assert same, f"{page.name}, line {block.line}: the program above prints\n{printed}"
        printed = ""


@dataclass
class Lesson:
    """A lesson that has run: the names that its cells leave, and what they show."""

    names: dict[str, Any] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)  # of each cell the value of its last line, or None
    shown: list[dict[str, Any]] = field(default_factory=list)  # the names of each program that is no cell


def run_lesson(page: Path) -> Lesson:
    """Execute the cells of a lesson, and what else it shows as Python, as told at the top.

    AssertionError where something else comes out, or where a quoted file has other lines.
    """
    lesson = Lesson({"__name__": "__main__"})
    for block in blocks(page):
        beside = dict(lesson.names)
        if block.language.startswith("{code-cell}"):
            lesson.values.append(_run_cell(block, lesson.names, page))
        elif block.language != "python":
            continue
        elif quoted := re.match(r"# (tinygrad_nn/\S+\.py)(?:, .*)?\n", block.text):
            _compare_quote(block.text[quoted.end() :], quoted[1], f"{page.name}, line {block.line}")
        elif block.text.lstrip().startswith(">>>"):
            _run_doctest(block, beside, page)
        else:
            _run_program(block, beside, page)
            lesson.shown.append(beside)
    return lesson


def _run_cell(block: Block, names: dict, page: Path) -> Any:
    """The value of a cell's last line, if that is an expression, as a notebook shows it."""
    text = re.sub(r"^:.*$", "", block.text, flags=re.M)  # `:tags: [...]` is for the notebook
    tree = ast.parse("\n" * block.line + text, str(page))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(tree, str(page), "exec"), names)
        return last and eval(compile(ast.Expression(last.value), str(page), "eval"), names)


def _compare_quote(text: str, file: str, where: str) -> None:
    """Find each run of quoted lines (between lines of dots) in the file, however they are indented and aligned."""

    def plain(code: str) -> str:
        return re.sub(r"(?<=\S) +", " ", textwrap.dedent(code))

    lines = (ROOT / file).read_text("utf-8").splitlines()
    for part in re.split(r"^ *\.\.\.\n", text, flags=re.M):
        wanted = plain(part.strip("\n"))
        n = wanted.count("\n") + 1
        runs = (plain("\n".join(lines[i : i + n])) for i in range(len(lines)))
        assert wanted in runs, f"{where}: {file} has no such lines:\n{wanted}"


def _run_doctest(block: Block, names: dict, page: Path) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, names, page.name, str(page), block.line)
    report: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=FLAGS).run(test, out=report.append, clear_globs=False)
    names.update(test.globs)
    assert not report, "".join(report)


def _run_program(block: Block, names: dict, page: Path) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
    return printed.getvalue()
