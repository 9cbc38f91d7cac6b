"""`tn.play`: a page on which typed lines become a living computation graph."""

from __future__ import annotations

from pathlib import Path

from tinygrad_nn.view.renderers import page
from tinygrad_nn.view.showing import open_page

__all__ = ["play"]


def play(path: str | Path | None = None, theme: str = "auto") -> Path:
    """Write the playground to a file, and open it in a browser; the same file can be put on any web server.

    Parameters
    ----------
    path : where the page goes, such as "play.html"; by default to a temporary file, which is opened at once.
    theme : "light", "dark", or "auto": what the reader's browser asks for.

    Returns
    -------
    The path of the page.  It asks nobody for anything, and works without a network.

    Raises
    ------
    ValueError : an unknown theme, or a file name that does not end in .html.

    Example
    -------
    >>> import tempfile, tinygrad_nn as tn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = tn.play(f"{folder}/play.html")
    >>> written.name
    'play.html'
    """
    if theme not in ("auto", "light", "dark"):
        raise ValueError(f"theme must be 'auto', 'light' or 'dark', not {theme!r}")
    text = page.playground(theme)
    if path is None:
        return open_page(text)
    path = Path(path)
    if path.suffix.lower() != ".html":
        raise ValueError(f"the playground is a page: give a name that ends in .html, not {path.name!r}")
    path.write_text(text, encoding="utf-8")
    return path
