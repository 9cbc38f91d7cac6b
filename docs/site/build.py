"""Build the site: `python3 tinygrad_nn docs [--out DIR]` comes here once what it needs is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import webbrowser
from pathlib import Path

import tinygrad_nn as tn
from tinygrad_nn.command_line import make_parser

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent)]  # prepare and reference are here, pages and generate in docs/

__all__ = ["build"]


def build(out: Path) -> Path:
    """Prepare the pages, let Sphinx write the site into a folder, and return its first page.

    SystemExit where a page does not say what its code does, or where Sphinx warns.
    """
    import prepare
    import reference

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        for what, make in (
            ("pages", lambda: prepare.documents(HERE.parent, source)),
            ("examples", lambda: prepare.examples(ROOT / "examples", source)),
            ("playground", lambda: prepare.playground(source)),
            ("course", lambda: prepare.course(HERE.parent / "course", source)),
            ("reference", lambda: reference.write(source / "reference")),
        ):
            start = time.monotonic()
            make()
            print(f"{what}: {time.monotonic() - start:.0f} s", flush=True)
        for page in HERE.glob("*.md"):
            shutil.copy(page, source)
        out.mkdir(parents=True, exist_ok=True)
        options = ["-W", "--keep-going", "-q", "-b", "html", "-c", str(HERE), "-d", f"{folder}/doctrees"]
        done = subprocess.run([sys.executable, "-m", "sphinx", *options, str(source), str(out)])
        if done.returncode:
            raise SystemExit(f"Sphinx found faults; what it read is not kept, the pages are those of {HERE.parent}")
        shutil.copytree(source / "living", out / "living", dirs_exist_ok=True)
        prepare.notebooks(HERE.parent / "course", out / "course")
    return out / "index.html"


def main() -> None:
    """Build it, say where it is, and open it where there is a screen."""
    arguments = make_parser(tn.__version__, clone=True).parse_args(["docs", *sys.argv[1:]])
    if arguments.notebooks:
        import prepare

        prepare.notebooks(HERE.parent / "course", arguments.notebooks, alone=True)
        return print(f"notebooks: {arguments.notebooks.resolve()}")
    index = build(arguments.out.resolve())
    print(f"site: {index}")
    if not arguments.no_open:
        webbrowser.open(index.as_uri())


if __name__ == "__main__":
    main()
