"""How numbers, indices and formulas are written: one way for labels, documentation and errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

__all__ = [
    "Term",
    "abridged",
    "bracket",
    "clean",
    "format_large",
    "format_number",
    "in_brackets",
    "spell_index",
    "subscript",
    "sum_of",
    "superscript",
]

T = TypeVar("T")

_UPPER = str.maketrans("0123456789-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻")
_LOWER = str.maketrans("0123456789-−", "₀₁₂₃₄₅₆₇₈₉₋₋")


class Term(NamedTuple):
    """A piece of a formula: its text, and the precedence of its outermost operation.

    The precedence is 0 for a comparison, 1 for a sum, 2 a product, 3 a power, and 9 for a name or a function call.
    """

    text: str
    precedence: int = 9
    constant: bool = False  # a plain number
    ndim: int = 0


def bracket(term: Term, around: int, strict: bool = False) -> str:
    """The text to stand within an operation of precedence `around`; with `strict` its equals are bracketed too."""
    return f"({term.text})" if term.precedence < around or (strict and term.precedence == around) else term.text


def superscript(n: int | str) -> str:
    """Digits above the line.

    >>> superscript(12), superscript("−1"), subscript(3)
    ('¹²', '⁻¹', '₃')
    """
    return str(n).translate(_UPPER)


def subscript(n: int | str) -> str:
    """Digits below the line."""
    return str(n).translate(_LOWER)


def format_number(x: Any) -> str:
    """A number as it is read best: whole and short ones exactly, others with five digits, and a true minus sign.

    An array of several is only hinted at.

    >>> format_number(-5.0865081249549355), format_number(0.25), format_number(-0.46780544), format_number(-1.5584e-4)
    ('−5.0865', '0.25', '−0.4678', '−1.5584e−4')
    >>> format_number(36), format_number(10**20), format_number([1, 2])
    ('36', '1.0000e20', '[…]')
    """
    if np.ndim(x):
        return "[…]"
    if isinstance(x, (bool, np.bool_)):
        return str(bool(x))
    if isinstance(x, int) and abs(x) >= 10**15:
        return format_large(x)
    value = float(x.item() if isinstance(x, np.ndarray) else x)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if value == int(value) and size < 1e6:
        text = str(int(value))
    elif size < 1e-3 or size >= 1e6:
        mantissa, exponent = f"{value:.4e}".split("e")
        text = f"{_exact(mantissa, value, int(exponent))}e{int(exponent)}"
    else:
        text = _exact(f"{value:.4f}" if size < 10 else f"{value:.{max(0, 4 - math.floor(math.log10(size)))}f}", value)
    return text.replace("-", "−")


def in_brackets(x: Any) -> str:
    """A number as a factor: in brackets if it is negative."""
    text = format_number(x)
    return f"({text})" if text.startswith("−") else text


def sum_of(terms: Iterable[Any]) -> str:
    """Numbers added up, as in `−5.0865 − 0.4678`."""
    text = ""
    for term in terms:
        t = term if isinstance(term, str) else format_number(term)
        if not text:
            text = t
        else:
            text += f" − {t[1:]}" if t.startswith("−") else f" + {t}"
    return text


def _exact(text: str, value: float, exponent: int = 0) -> str:
    """Zeros at the end say that there were more digits; without them the number is exact."""
    exact = abs(float(f"{text}e{exponent}") - value) <= 1e-12 * abs(value)  # 10.0**exponent may be 0, the number is not
    return text.rstrip("0").rstrip(".") if "." in text and exact else text


def format_large(n: int) -> str:
    """A whole number of any size, with five digits.

    >>> format_large(2**200)
    '1.6069e60'
    """
    digits = str(abs(n))
    return f"{'−' if n < 0 else ''}{digits[0]}.{digits[1:5]}e{len(digits) - 1}"


def clean(text: str) -> str:
    """Text that XML and terminals can carry: control characters become blanks, lone surrogates a replacement mark."""
    if text.isprintable():
        return text
    return "".join(
        "\ufffd" if "\ud800" <= c <= "\udfff" or c in "\ufffe\uffff" else c if c.isprintable() or c == " " else " "
        for c in text
    )


def abridged(items: Sequence[T], most: int, gap: T) -> list[T]:
    """Very many items with the middle left out, and something in its place."""
    return list(items) if len(items) <= most else [*items[: most // 2], gap, *items[-(most // 2) :]]


def spell_index(value: Any) -> str:
    """A parameter as it is written in code; an index as it stands in brackets.

    >>> spell_index((slice(1, None), Ellipsis, slice(None, None, 2), np.array([0, 2])))
    '1:, ..., ::2, [0, 2]'
    >>> spell_index(np.arange(100))
    '[ 0,  1,  2, ..., 97, 98, 99]'
    """
    if isinstance(value, tuple):
        return ", ".join(spell_index(v) for v in value)
    if isinstance(value, slice):
        parts = ["" if v is None else str(v) for v in (value.start, value.stop, value.step)]
        return ":".join(parts if parts[2] else parts[:2])
    if isinstance(value, np.ndarray):
        text = " ".join(np.array2string(value, separator=", ", threshold=6).split("\n"))
        return text if len(text) <= 30 else f"{text[:20].rstrip()} … {text[-7:].lstrip()}"
    return "..." if value is Ellipsis else str(value)
