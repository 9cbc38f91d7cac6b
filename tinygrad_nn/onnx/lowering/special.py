"""Special functions in ONNX: gelu, sinc, log Γ and Bessel's I₀, by series that hold in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.onnx.building import BOOL, Builder, Expr, work
from tinygrad_nn.onnx.lowering.functions import cosh, erf, sinh
from tinygrad_nn.onnx.recording import Step
from tinygrad_nn.ops import elementwise as el
from tinygrad_nn.ops import special as sp

__all__ = ["LOWER"]

DOUBLE = np.dtype(np.float64)


def _in_double(function: Callable) -> Callable:
    """A lowering that computes in double precision, as the original does."""

    def lower(b: Builder, s: Step, x: Any) -> Expr:
        return function(b.operand(x, DOUBLE), **s.params).cast(s.dtype)

    return lower


def _infinite(x: Expr) -> Expr:
    return x.apply("IsInf", dtype=BOOL)


def _gelu(b: Builder, s: Step, x: Any) -> Expr:
    y = b.operand(x, work(s.dtype))
    return (y * ((erf(y * math.sqrt(0.5)) + 1.0) * 0.5)).cast(s.dtype)


def _power_log(b: Builder, s: Step, x: Any, n: Any) -> Expr:
    """xⁿ·logᵏx, with log 0 as 0 where n ≥ 0."""
    order = int({**s.op.defaults, **s.params}["order"])
    base, exponent = b.operand(x, DOUBLE), b.operand(n, DOUBLE)
    unasked = base.equals(0.0) & (exponent >= 0.0)
    log = unasked.then(1.0, base).apply("Log")
    power = base.apply("Pow", exponent)
    for _ in range(order):
        power = power * log
    return power.cast(s.dtype)


def _sinc(x: Expr) -> Expr:
    """sin(πx)/(πx), by its power series below 2."""
    z = x * math.pi
    near = z.apply("Abs") < 2.0
    small, far = near.then(z, 0.0), near.then(2.0, z)
    u, series = small * small, None
    for k in reversed(range(18)):
        c = (-1.0) ** k / math.factorial(2 * k + 1)
        series = u * 0.0 + c if series is None else series * u + c
    return near.then(series, far.apply("Sin") / far)


# --- log Γ -----------------------------------------------------------------------------------------------------------

SHIFT = 12  # from here on Stirling's series with eight terms is exact to rounding


def _log_gamma(x: Expr) -> Expr:
    """By Stirling's series after a shift; by the reflection formula below ½."""
    below = x < 0.5
    z = below.then(1.0 - x, x)
    low = z < float(SHIFT)
    product = small = low.then(z, 1.0)
    for k in range(1, SHIFT):
        product = product * (small + float(k))
    large = low.then(small + float(SHIFT), z)
    inverse = 1.0 / large
    square, series = inverse * inverse, None
    for k in reversed(range(1, 9)):
        c = sp.BERNOULLI[k - 1] / (2 * k * (2 * k - 1))
        series = square * 0.0 + c if series is None else series * square + c
    stirling = (large - 0.5) * large.apply("Log") - large + 0.5 * math.log(2 * math.pi) + series * inverse
    above = low.then(stirling - product.apply("Log"), stirling)
    sine = ((x - x.apply("Round")) * math.pi).apply("Sin").apply("Abs")
    y = below.then(math.log(math.pi) - sine.apply("Log") - above, above)
    return _infinite(x).then(math.inf, y)


# --- Bessel's function -----------------------------------------------------------------------------------------------


def _bessel(x: Expr, order: int = 0) -> Expr:
    """The mean of cosᵏθ · cosh(x cos θ) over the circle, or of the sine at odd k, by the midpoint rule."""
    total: Any = None
    for c in sp.NODES:
        term = (sinh if order % 2 else cosh)(x * float(c)) * float(c**order)
        total = term if total is None else total + term
    return total / float(len(sp.NODES))


LOWER: dict[Any, Callable] = {
    el.gelu: _gelu, el.power_log: _power_log, el.sinc: _in_double(_sinc), sp.gammaln: _in_double(_log_gamma),
    sp.i0: _in_double(_bessel), sp.i0_slope: _in_double(lambda x, order=1: _bessel(x, order)),
}  # fmt: skip
