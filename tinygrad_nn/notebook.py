"""What notebooks show instead of text: tables, small plots and pictures as HTML; and whether there is a notebook.

No script, and nothing is asked from another host.  Colours are the page's own, or so pale that both dark and light
shine through.  What an untrusted notebook strips leaves the numbers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tinygrad_nn.notation import clean

__all__ = ["curves", "display", "escaped", "heading", "image", "in_markdown", "key", "paragraph", "table", "tinted"]

# What `html.escape` does; that module holds all of HTML's entities, and `import tinygrad_nn` waits for this one.
_MARKS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})

_LINE = "1px solid rgba(128,128,128,.4)"
COLOURS = ("#0072b2", "#d55e00")  # as in pictures
DASHES = ("", "7 4")


def escaped(text: Any) -> str:
    """Text as it stands in HTML, also in an attribute."""
    return clean(str(text)).translate(_MARKS)


def in_markdown(text: str) -> str:
    """Text in Markdown, where nothing in it is markup."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|$&" else c for c in clean(text))


def heading(text: str) -> str:
    """A line in bold."""
    return f'<div style="font-weight:bold;margin:.6em 0 .2em">{escaped(text)}</div>'


def paragraph(text: str) -> str:
    """A line of its own."""
    return f"<div>{escaped(text)}</div>"


def tinted(number: float, scale: float) -> str:
    """The style of a cell: blue above 0, vermillion below, as strong as the number is large."""
    if not scale or number != number:
        return ""
    red, green, blue = (0, 114, 178) if number >= 0 else (213, 94, 0)
    return f"background:rgba({red},{green},{blue},{min(abs(number) / scale, 1.0) * 0.45:.2f})"


def table(
    rows: Iterable[Sequence[Any]],
    head: Sequence[str] = (),
    right: Iterable[int] = (),
    foot: Sequence[Any] = (),
    styles: Mapping[tuple[int, int], str] | None = None,
) -> str:
    """A table of texts; `right` are the columns of numbers, `foot` is a last row below a line.

    `styles` are those of single cells, by row and column.
    """
    sides = set(right)

    def row(cells: Sequence[Any], kind: str = "td", i: int = -1, rule: str = "") -> str:
        written = []
        for j, cell in enumerate(cells):
            side = "right" if j in sides else "left"
            more = (styles or {}).get((i, j), "")
            style = f"text-align:{side};padding:.15em .7em;white-space:pre-wrap;{rule}{more}"
            written.append(f'<{kind} style="{style}">{escaped(cell)}</{kind}>')
        return f'<tr style="background:transparent">{"".join(written)}</tr>'

    lines = [row(head, "th", rule=f"border-bottom:{_LINE};")] if head else []
    lines += [row(cells, i=i) for i, cells in enumerate(rows)]
    lines += [row(foot, "th", rule=f"border-top:{_LINE};")] if foot else []
    look = "border-collapse:collapse;color:inherit;background:transparent;margin:.2em 0"
    return f'<table style="{look}">{"".join(lines)}</table>'


def curves(lines: Mapping[str, Sequence[float]], width: int = 360, height: int = 120) -> str:
    """Up to two curves over 1, 2, 3 ... as an inline SVG without letters, which a table beside it has."""
    finite = [y for values in lines.values() for y in values if abs(y) < float("inf")]
    longest = max(map(len, lines.values()), default=0)
    if longest < 2 or not finite:
        return ""
    low, high = min(finite), max(finite)
    x = [4 + (width - 8) * i / (longest - 1) for i in range(longest)]
    drawn = []
    for values, colour, dash in zip(lines.values(), COLOURS, DASHES, strict=False):
        points = (
            f"{x[i]:.1f},{height - 4 - (height - 8) * (y - low) / ((high - low) or 1):.1f}"
            for i, y in enumerate(values)
            if abs(y) < float("inf")
        )
        drawn.append(
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )
    frame = f'<path d="M2 2V{height - 2}H{width - 2}" fill="none" stroke="currentColor" stroke-opacity=".5"/>'
    said = escaped(f"{' and '.join(lines)}, epoch by epoch")
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg role="img" aria-label="{said}" {size} style="max-width:100%">{frame}{"".join(drawn)}</svg>'


def key(i: int) -> str:
    """The style of a cell that names a curve: a line in front of it that looks like the curve."""
    return f"border-left:4px {'dashed' if DASHES[i] else 'solid'} {COLOURS[i]};"


def image(svg: str, said: str) -> str:
    """An SVG as an image: an untrusted notebook shows it, where it would strip elements."""
    tags = re.sub(r"<[^>]*>", lambda tag: tag[0].replace("'", "&apos;").replace('"', "'"), svg.replace("%", "%25"))
    data = tags.replace("&", "&amp;").replace('"', "%22").replace("#", "%23")
    return f'<img alt="{escaped(said)}" style="max-width:100%" src="data:image/svg+xml,{data}">'


def display() -> Callable[..., Any] | None:
    """IPython's `display` where this runs in a notebook; None elsewhere, in IPython's terminal, too."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:
        return None
    found: Callable[..., Any] | None = getattr(sys.modules.get("IPython.display"), "display", None)
    return found
