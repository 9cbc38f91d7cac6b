"""The code in Markdown pages: found, executed and compared with what the page shows; for tests, figures and the site.

In one page all ```python blocks share their names. A block of ``>>>`` lines is compared as a doctest; any other is a
program, and a ```text block right below it is what it prints.
"""

from __future__ import annotations

import contextlib
import doctest
import io
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "blocks", "run_page"]

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
