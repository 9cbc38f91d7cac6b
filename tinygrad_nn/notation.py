"""How numbers, indices and formulas are written: one way for labels, documentation and errors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Term", "bracket", "format_number", "spell_index", "subscript", "superscript"]

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
    """A constant in a formula: four digits and a true minus sign; an array of several is only hinted at.

    >>> format_number(-0.123456), format_number(3.0), format_number([1, 2])
    ('−0.1235', '3', '[…]')
    """
    return "[…]" if np.ndim(x) else f"{float(x):.4g}".replace("-", "−")


def spell_index(value: Any) -> str:
    """A parameter as it is written in code; an index as it stands in brackets.

    >>> spell_index((slice(1, None), Ellipsis, slice(None, None, 2), np.array([0, 2])))
    '1:, …, ::2, [0, 2]'
    """
    if isinstance(value, tuple):
        return ", ".join(spell_index(v) for v in value)
    if isinstance(value, slice):
        parts = ["" if v is None else str(v) for v in (value.start, value.stop, value.step)]
        return ":".join(parts if parts[2] else parts[:2])
    if isinstance(value, np.ndarray):
        return str(value.tolist()) if value.size <= 4 else "…"
    return "…" if value is Ellipsis else str(value)
