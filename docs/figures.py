"""Make the figures of pages by running their code; `python docs/figures.py` renews them, a test compares the SVG."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PAGES = [HERE / "chain_rule.md", HERE / "drawing.md", HERE / "attribution.md"]
PLOTS = [HERE / "plots.md", HERE / "attribution.md"]  # what matplotlib draws, as PNG, is looked at and not compared


def make(folder: Path, page: Path, kind: str = "svg") -> list[Path]:
    """Run a page's Python in this folder and return the figures that it has saved there.

    The code is compiled with its place in the page, so that the tooltips in the figures lead to the right line.
    """
    names: dict[str, object] = {"__name__": "__main__"}
    text = page.read_text("utf-8")
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        for block in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S):
            start = text.count("\n", 0, block.start(1))
            for example in doctest.DocTestParser().get_examples(block.group(1)):
                expected = contextlib.suppress(Exception) if example.exc_msg else contextlib.nullcontext()
                with expected:
                    exec(compile("\n" * (start + example.lineno) + example.source, page.name, "single"), names)
    return sorted(folder.glob(f"{page.stem}_*.{kind}"))


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    for page, kind in [*((page, "svg") for page in PAGES), *((page, "png") for page in PLOTS)]:
        with tempfile.TemporaryDirectory() as temporary:
            for figure in make(Path(temporary), page, kind):
                (HERE / "images" / figure.name).write_bytes(figure.read_bytes())
                print(f"wrote {HERE / 'images' / figure.name}", file=sys.stderr)
