"""Functions that ONNX does not have, not exactly, or for which runtimes have no kernel in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.onnx.building import BOOL, Expr

__all__ = [
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cosh", "erf", "erfc", "expm1", "fmod",
    "hypot", "is_negative", "log1p", "remainder", "sinh", "tan",
]  # fmt: skip


def _wide(x: Expr) -> bool:
    return x.dtype == np.float64


def is_negative(x: Expr) -> Expr:
    """Where the sign bit is set, of −0 too."""
    if x.dtype == BOOL:
        return x.equals(x) & ~x.equals(x)
    if x.dtype.kind != "f":
        return x < 0
    return (x < 0.0) | (x.equals(0.0) & ((1.0 / x) < 0.0))


def _size(x: Expr) -> Expr:
    return x.apply("Abs")


def _infinite(x: Expr) -> Expr:
    return x.apply("IsInf", dtype=BOOL)


def _with_sign(size: Expr, x: Expr) -> Expr:
    return is_negative(x).then(-size, size)


def _polynomial(coefficients: np.ndarray, t: Expr) -> Expr:
    """By Horner's rule, the coefficient of the highest power first."""
    y: Expr = t * float(coefficients[0])
    for c in coefficients[1:-1]:
        y = (y + float(c)) * t
    return y + float(coefficients[-1])


def _fitted(function: Callable, low: float, high: float, degree: int) -> np.ndarray:
    """Chebyshev's interpolation on an interval, as coefficients of powers of t ∈ [−1, 1]."""

    def on_unit(t: Any) -> Any:
        return np.array([function(v) for v in (low + high) / 2 + (high - low) / 2 * np.atleast_1d(t)])

    series: Any = np.polynomial.chebyshev.chebinterpolate(on_unit, degree)
    return np.asarray(np.polynomial.chebyshev.cheb2poly(series)[::-1], np.float64)


# --- exponentials and logarithms -------------------------------------------------------------------------------------


def expm1(x: Expr) -> Expr:
    """tanh(x/2)·(exp(x) + 1), which is exact near 0."""
    return (x * 0.5).apply("Tanh") * (x.apply("Exp") + 1.0)


def log1p(x: Expr) -> Expr:
    """log(u)·x/(u − 1) with u = 1 + x as it is rounded (Kahan)."""
    u = x + 1.0
    d = u - 1.0
    plain = d.equals(0.0) | _infinite(x)
    return plain.then(x, u.apply("Log") * (x / plain.then(1.0, d)))


def cosh(x: Expr) -> Expr:
    """½(e^x + e^−x) by the root of e^|x|, which does not overflow before the result does."""
    if not _wide(x):
        return x.apply("Cosh")
    half = (_size(x) * 0.5).apply("Exp")
    return half * 0.5 * half + 0.5 / half / half


def sinh(x: Expr) -> Expr:
    """tanh(x)·cosh(x), which is exact near 0."""
    return x.apply("Tanh") * cosh(x) if _wide(x) else x.apply("Sinh")


def arcsinh(x: Expr) -> Expr:
    """The logarithm, written so that it is exact near 0, and from 1e8 on log(2x)."""
    size = _size(x)
    large = size > 1e8
    small = large.then(1.0, size)
    y = log1p(small + small * small / ((small * small + 1.0).apply("Sqrt") + 1.0))
    return _with_sign(large.then(size.apply("Log") + math.log(2.0), y), x)


def arccosh(x: Expr) -> Expr:
    """log(1 + t + √(2t + t²)) with t = x − 1."""
    large = x > 1e8
    t = large.then(1.0, x) - 1.0
    return large.then(x.apply("Log") + math.log(2.0), log1p(t + (t * 2.0 + t * t).apply("Sqrt")))


def arctanh(x: Expr) -> Expr:
    """½ log(1 + 2x/(1 − x)), of the size, with the sign."""
    size = _size(x)
    return _with_sign(log1p(size * 2.0 / (1.0 - size)) * 0.5, x)


def hypot(a: Expr, b: Expr) -> Expr:
    """In units of the larger one, so that no square overflows."""
    a, b = _size(a), _size(b)
    top = a.apply("Max", b)
    unit = ((top > 0.0) & ~_infinite(top)).then(top, 1.0)
    u, v = a / unit, b / unit
    infinite = _infinite(a) | _infinite(b)
    return infinite.then(math.inf, (u * u + v * v).apply("Sqrt") * unit)


# --- trigonometric ---------------------------------------------------------------------------------------------------


def tan(x: Expr) -> Expr:
    """Sine by cosine, as double precision has these."""
    return x.apply("Sin") / x.apply("Cos") if _wide(x) else x.apply("Tan")


def _arctan_near(u: float) -> float:
    """arctan(√u)/√u."""
    root = math.sqrt(u) if u > 0 else 0.0
    return math.atan(root) / root if root > 1e-4 else 1 - u / 3 + u * u / 5


ARCTAN = _fitted(_arctan_near, 0.0, 0.1716, 10)  # up to tan(π/8)²


def arctan(x: Expr) -> Expr:
    """Of 1/x above 1, of half the angle, by a polynomial."""
    if not _wide(x):
        return x.apply("Atan")
    size = _size(x)
    turned = size > 1.0
    z = turned.then(1.0 / turned.then(size, 1.0), size)
    half = z / ((z * z + 1.0).apply("Sqrt") + 1.0)
    t = half * half * (2 / 0.1716) - 1.0
    y = half * _polynomial(ARCTAN, t) * 2.0
    return _with_sign(turned.then(math.pi / 2 - y, y), x)


def arcsin(x: Expr) -> Expr:
    """2 arctan(x / (1 + √(1 − x²)))."""
    if not _wide(x):
        return x.apply("Asin")
    return arctan(x / (((1.0 - x) * (x + 1.0)).apply("Sqrt") + 1.0)) * 2.0


def arccos(x: Expr) -> Expr:
    """2 arctan √((1 − x)/(1 + x))."""
    if not _wide(x):
        return x.apply("Acos")
    return arctan(((1.0 - x) / (x + 1.0)).apply("Sqrt")) * 2.0


def arctan2(y: Expr, x: Expr) -> Expr:
    """The angle of a point, with the signs of zeros; of two infinities it is that of a diagonal."""
    ys, xs = _size(y), _size(x)
    both = _infinite(y) & _infinite(x)
    none = y.equals(0.0) & x.equals(0.0)
    ratio = both.then(1.0, ys / none.then(1.0, xs))
    angle = arctan(none.then(0.0, ratio))
    return _with_sign(is_negative(x).then(math.pi - angle, angle), y)


# --- the error function ----------------------------------------------------------------------------------------------


def _erf_near(u: float) -> float:
    """erf(√u)/√u."""
    root = math.sqrt(u) if u > 0 else 0.0
    return math.erf(root) / root if root > 1e-4 else 2 / math.sqrt(math.pi) * (1 - u / 3)


def _erfcx(v: float) -> float:
    """exp(x²)·erfc(x)·(1 + x), of v = (x − 1)/(x + 7) for x from 1 on."""
    x = (1 + 7 * v) / (1 - v)
    return math.erfc(x) * math.exp(x * x) * (1 + x)


NEAR, FAR, END = _fitted(_erf_near, 0.0, 1.0, 10), _fitted(_erfcx, 0.0, 25 / 33, 24), 26.0


def _parts(x: Expr) -> tuple[Expr, Expr, Expr]:
    """Whether |x| is below 1, erf(|x|) there, and erfc(|x|) beyond."""
    size = _size(x)
    near = size < 1.0
    z = near.then(size, 0.0)
    inside = z * _polynomial(NEAR, z * z * 2.0 - 1.0)
    w = near.then(1.0, size.apply("Min", x.b.constant(np.asarray(END, x.dtype))))
    v = (w - 1.0) / (w + 7.0) * (2 * 33 / 25) - 1.0
    outside = _polynomial(FAR, v) / (w + 1.0) * (-(w * w)).apply("Exp")
    outside = (size > END).then(0.0, outside)
    return near, inside, x.apply("IsNaN", dtype=BOOL).then(x, outside)


def erf(x: Expr) -> Expr:
    """The error function."""
    if not _wide(x):
        return x.apply("Erf")
    near, inside, outside = _parts(x)
    return _with_sign(near.then(inside, 1.0 - outside), x)


def erfc(x: Expr) -> Expr:
    """1 − erf(x), exact where that is small; in double precision in between."""
    wide = x.cast(np.float64)
    near, inside, outside = _parts(wide)
    negative = wide < 0.0
    y = near.then(negative.then(inside + 1.0, 1.0 - inside), negative.then(2.0 - outside, outside))
    return y.cast(x.dtype)


# --- remainders ------------------------------------------------------------------------------------------------------


def fmod(a: Expr, b: Expr) -> Expr:
    """C's remainder, with the sign of a."""
    return a.apply("Mod", b, fmod=1)


def remainder(a: Expr, b: Expr) -> Expr:
    """With the sign of b, as NumPy and Python have it."""
    rest = fmod(a, b)
    other = ~rest.equals(0.0) & (is_negative(rest).apply("Xor", is_negative(b)))
    return other.then(rest + b, rest.equals(0.0).then(_with_sign(rest * 0.0, b), rest))
