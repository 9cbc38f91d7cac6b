"""How counts, sums, shapes and names are written in pictures, and how wide they are."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_nn.notation import abridged, clean, format_large, format_number, in_brackets, sum_of, superscript

__all__ = [
    "CAPTION", "LABEL", "abridged", "clean", "cleaned", "count", "in_brackets", "layer_of", "listed", "measure",
    "one_of", "percent", "plural", "shape", "shorten", "sum_of", "wrapped",
]  # fmt: skip

CAPTION = 13  # the size of the letters of captions, which are bold
LABEL = 26  # letters of a formula beside an arrow

_PLAIN = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def count(n: int) -> str:
    """A count of paths: exact up to fifteen digits, beyond that as a power of ten, and of two where it is one.

    >>> count(1048576), count(2**200)
    ('1,048,576', '2²⁰⁰ ≈ 1.6069e60')
    """
    if n < 10**15:
        return f"{n:,}"
    return f"2{superscript(n.bit_length() - 1)} ≈ {format_large(n)}" if n & (n - 1) == 0 else f"≈ {format_large(n)}"


def plural(n: int, noun: str) -> str:
    """So many of something.

    >>> plural(1, "path"), plural(2048, "path")
    ('1 path', '2,048 paths')
    """
    return f"{count(n)} {noun}{'s' * (n != 1)}"


def percent(part: float) -> str:
    """A part as percent; never 100 unless it is all, and never 0 unless it is nothing, but for rounding.

    >>> percent(1 - 1e-15), percent(1 - 1e-6), percent(-0.896221), percent(0.000158), percent(-4e-51), percent(0.0)
    ('100 %', 'nearly 100 %', '−89.62 %', '0.0158 %', 'nearly 0 %', '0 %')
    """
    if 0.9999 < part < 1 - 1e-12:
        return "nearly 100 %"
    if part and abs(part) < 1e-5:
        return "nearly 0 %"
    return f"{format_number(round(100 * part, 4 if abs(part) < 1e-3 else 2))} %"


def layer_of(name: str) -> int | None:
    """The layer that a name like W² belongs to; None for other names.

    >>> layer_of("W²"), layer_of("A¹⁰"), layer_of("x")
    (2, 10, None)
    """
    digits = name[len(name.rstrip("⁰¹²³⁴⁵⁶⁷⁸⁹")) :]
    return int(digits.translate(_PLAIN)) if digits and len(digits) < len(name) else None


def shape(value: Any) -> str:
    """The shape of an array: `16 × 32`, and `number` of a single one."""
    dims = np.shape(value)
    if not dims:
        return "number"
    return f"{dims[0]} number{'s' * (dims[0] != 1)}" if len(dims) == 1 else " × ".join(map(str, dims))


def cleaned(value: Any) -> Any:
    """A picture, or what it consists of, with all its texts clean; lines stay lines."""
    if isinstance(value, str):
        return value if value.isprintable() else type(value)("\n".join(map(clean, value.split("\n"))))
    if isinstance(value, tuple):
        return tuple([cleaned(part) for part in value])
    if not dataclasses.is_dataclass(value):
        return value
    parts = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    new = {name: part for name, old in parts.items() if (part := cleaned(old)) != old}
    return dataclasses.replace(value, **new) if new else value  # type: ignore[type-var]


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names in a sentence, of many the first ones.

    >>> listed(["W¹", "b¹", "W²"])
    'W¹, b¹ and W²'
    """
    shown = [*names[:most], f"{len(names) - most} more"] if len(names) > most else names
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def one_of(texts: Sequence[str]) -> str:
    """What may stand in one place.

    >>> one_of(["1", "0.5", "0"])
    '1, 0.5 or 0'
    """
    return " or ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))


def shorten(text: str, length: int = 40) -> str:
    """Long text cut in the middle, so that both ends still tell what it is."""
    text = clean(text)
    if len(text) <= length:
        return text
    return f"{text[: length * 2 // 3].rstrip()} … {text[-(length // 4) :].lstrip()}"


# Arial's widths of the characters from blank to ~, in 1/1000 of the size.
_WIDTHS = dict(
    zip(
        map(chr, range(32, 127)),
        [278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, *[556] * 10, 278,
         278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
         722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556,
         556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556,
         500, 722, 500, 500, 500, 334, 260, 334, 584],
        strict=True,
    )
)  # fmt: skip


def measure(text: str, size: float = 12.0, bold: bool = False) -> float:
    """How wide a line will be, in points: Arial's own widths for ASCII, generous ones for the rest.

    The embedded engine cannot measure what lies beyond ASCII (it takes the bytes for letters), so the boxes are told.
    """
    total = 0
    for c in text:
        if c in _WIDTHS:
            total += _WIDTHS[c]
        elif unicodedata.combining(c):
            continue
        elif c in "→⊙…—←⇒∞" or unicodedata.east_asian_width(c) in "WF":
            total += 1000
        else:
            total += 600
    return total * size / 1000 * (1.08 if bold else 1.0)


def wrapped(text: str, width: float, size: float = 12.0, bold: bool = True) -> list[str]:
    """Text in lines of at most so many points; a word that is longer has its own.

    >>> wrapped("u has received 2 of 2, and fires", 100)
    ['u has received 2', 'of 2, and fires']
    """
    lines: list[str] = []
    for word in text.split(" "):
        if lines and measure(f"{lines[-1]} {word}", size, bold) <= width + 0.01:  # sums of widths are rounded
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
