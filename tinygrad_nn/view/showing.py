"""Showing a picture where one is: in the notebook, in a browser, or by saying where the file is."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Any

from tinygrad_nn import notebook

__all__ = ["open_page", "show"]


def show(picture: Any) -> None:
    """Show a picture or film, which has `html()`; where there is no screen, print the path of the page."""
    display = notebook.display()
    if display is not None:
        display(picture)
        return
    open_page(picture.html())


def open_page(text: str) -> Path:
    """Write a page to a temporary file and open it; where there is no screen, print where it is."""
    file, name = tempfile.mkstemp(prefix="tinygrad_nn-", suffix=".html")
    os.close(file)
    page = Path(name)
    page.write_text(text, encoding="utf-8")
    if not _has_a_screen() or not webbrowser.open(page.as_uri()):
        print(f"There is no screen to show it on: open {page} in a browser")
    return page


def _has_a_screen() -> bool:
    """Whether a browser has somewhere to open; without, `webbrowser` would start one within the terminal."""
    return sys.platform in ("win32", "darwin") or any(os.environ.get(x) for x in ("DISPLAY", "WAYLAND_DISPLAY"))
