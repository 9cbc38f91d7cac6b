"""Numbers that neither overflow nor underflow: (m, e) is m·2ᵉ, with ½ ≤ |m| < 1."""

from __future__ import annotations

import math

__all__ = ["ONE", "ZERO", "Scaled", "log", "plus", "ratio", "size", "times", "to_float"]

Scaled = tuple[float, int]
ZERO: Scaled = (0.0, 0)
ONE: Scaled = (0.5, 1)


def times(a: Scaled, x: float) -> Scaled:
    """a·x."""
    m, e = math.frexp(a[0] * x)
    return m, a[1] + e


def plus(a: Scaled, b: Scaled) -> Scaled:
    """a + b."""
    if not (a[0] and b[0]):
        return a if a[0] else b
    if a[1] < b[1]:
        a, b = b, a
    m, e = math.frexp(a[0] + math.ldexp(b[0], b[1] - a[1]))
    return m, a[1] + e


def size(a: Scaled) -> Scaled:
    """|a|."""
    return abs(a[0]), a[1]


def ratio(a: Scaled, b: Scaled) -> float:
    """a/b as a float; NaN if b is 0."""
    return to_float((a[0] / b[0], a[1] - b[1])) if b[0] else math.nan


def to_float(a: Scaled) -> float:
    """As a float, where it may overflow to infinity and underflow to 0."""
    try:
        return math.ldexp(*a)
    except OverflowError:
        return math.copysign(math.inf, a[0])


def log(a: Scaled) -> float:
    """log|a|.  NaN counts as infinite, so that it comes first where the largest are looked for."""
    m, e = a
    return math.log(abs(m)) + e * math.log(2) if m and m == m else (math.inf if m else -math.inf)
