"""Pages that show a picture, with what it says in words to unfold."""

from __future__ import annotations

from tinygrad_nn.notebook import escaped

__all__ = ["inline", "page"]

STYLE = "body { margin: 2em; font-family: Arial, Helvetica, sans-serif; } svg { max-width: 100%; height: auto; }"


def inline(svg: str) -> str:
    """An SVG document as it stands within a page, where tooltips work (as an image they do not)."""
    return svg.split("?>", 1)[1].strip()


def page(title: str, drawing: str, words: str = "") -> str:
    """A page with a picture."""
    title = escaped(title)
    if words:
        lines = "\n".join(escaped(line) for line in words.split("\n"))
        details = f"<details><summary>{title}</summary><pre>{lines}</pre></details>"
        drawing = f"<figure>\n{drawing}\n<figcaption>{details}</figcaption>\n</figure>"
    head = f'<meta charset="utf-8">\n<title>{title}</title>\n<style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en">\n{head}\n<body>\n{drawing}\n</body>\n</html>\n'
