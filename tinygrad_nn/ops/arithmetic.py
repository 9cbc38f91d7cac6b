"""Rounding, remainders, and NumPy's rarer functions of each element by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.axes import axis_of
from tinygrad_nn.ops.elementwise import LN2, as_real, astype, bits, logaddexp, power
from tinygrad_nn.registry import implements, op


def as_floats(x):
    """x as an array of floating-point numbers: whole numbers and bools in float64."""
    x = as_array(x)
    return x if x.dtype.kind == "f" else astype(x, np.float64)


def _flat(g, y, *inputs, **params):
    """The rule of what is constant between its steps."""
    return np.zeros_like(g)


def _ahead(g, a, b, larger):
    """The gradient to `a`, where it is the larger or b is NaN; half on a tie, an exact 0 elsewhere."""
    alone = np.logical_and(np.isnan(b), np.logical_not(np.isnan(a)))
    tie = np.logical_or(a == b, np.logical_and(np.isnan(a), np.isnan(b)))
    return np.where(np.logical_or(larger, alone), g, np.where(tie, g * 0.5, 0.0))


def _ldexp_samples(rng):
    return [((rng.normal(size=(2, 3)), np.array([1, 0, -2])), {})]


FLAT: dict[str, Any] = {"kind": "elementwise", "domain": (1.55, 1.95), "edge_cases": "the gradient is 0 everywhere."}
BETWEEN = ((2.3, 2.6), (0.95, 1.05))  # quotients that are no whole numbers

# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off

# rounding, and what is left
floor  = op(np.floor, "⌊{x}⌋",       lambda g, y, x: _flat(g, y), **FLAT, summary="The largest whole number that is not above x")
ceil   = op(np.ceil,  "⌈{x}⌉",       lambda g, y, x: _flat(g, y), **FLAT, summary="The smallest whole number that is not below x")
trunc  = op(np.trunc, "trunc({x})",  lambda g, y, x: _flat(g, y), **FLAT, stands_for=(np.fix,), summary="The whole number next to x towards 0")
rint   = op(np.rint,  "rint({x})",   lambda g, y, x: _flat(g, y), **FLAT, summary="The nearest whole number, an even one between two")
round  = op(np.round, "round({x})",  lambda g, y, x, decimals=0: _flat(g, y), kind="elementwise", domain=(1.56, 1.94), stands_for=(np.around,),
            summary="Rounded to so many decimals", edge_cases="the gradient is 0 everywhere.")
floor_divide = op(np.floor_divide, "⌊{a} / {b}⌋", lambda g, y, a, b: _flat(g, y), lambda g, y, a, b: _flat(g, y), domain=BETWEEN,
                  summary="Quotient rounded down", edge_cases="the gradient is 0 everywhere.")
remainder    = op(np.remainder, "{a} mod {b}", lambda g, y, a, b: g, lambda g, y, a, b: -g * np.floor_divide(a, b), domain=BETWEEN, precedence=2,
                  summary="a − b·⌊a/b⌋, with the sign of b")
fmod         = op(np.fmod, "fmod({a}, {b})", lambda g, y, a, b: g, lambda g, y, a, b: -g * np.trunc(a / b), domain=BETWEEN,
                  summary="a − b·trunc(a/b), with the sign of a")

# signs, scales and steps
positive = op(np.positive, "{x}", lambda g, y, x: g, simplify=lambda x: x, summary="x itself, a copy")
fabs     = op(np.fabs,     "|{x}|", lambda g, y, x: g * np.sign(x), gives="nonnegative", summary="Absolute value", edge_cases="the gradient at 0 is 0.")
copysign = op(np.copysign, "copysign({x}, {s})", lambda g, y, x, s: g * (np.sign(x) * np.copysign(1.0, s)), lambda g, y, x, s: _flat(g, y),
              domain=(0.3, 2), summary="|x| with the sign of s", edge_cases="the gradient at x = 0 is 0.")
heaviside = op(np.heaviside, "heaviside({x}, {h})", lambda g, y, x, h: _flat(g, y), lambda g, y, x, h: np.where(x == 0, g, 0.0), selects=True,
               domain=(0.3, 2), summary="0 below 0, h at 0, 1 above", edge_cases="the gradient in x is 0 everywhere.")
degrees  = op(np.degrees, "degrees({x})", lambda g, y, x: g * (180 / math.pi), stands_for=(np.rad2deg,), summary="Radians to degrees")
radians  = op(np.radians, "radians({x})", lambda g, y, x: g * (math.pi / 180), stands_for=(np.deg2rad,), summary="Degrees to radians")
ldexp    = op(np.ldexp, "{x}·2^{n}", lambda g, y, x, n: np.ldexp(g, n), None, kind="multilinear", samples=_ldexp_samples, summary="x times a power of two",
              example="tn.ldexp(np.array([1.0, 3.0]), 2)")
fmax     = op(np.fmax, "fmax({a}, {b})", lambda g, y, a, b: _ahead(g, a, b, a > b), lambda g, y, a, b: _ahead(g, b, a, b > a), selects=True,
              summary="Larger of two, of a NaN the other", edge_cases="a tie halves the gradient.")
fmin     = op(np.fmin, "fmin({a}, {b})", lambda g, y, a, b: _ahead(g, a, b, a < b), lambda g, y, a, b: _ahead(g, b, a, b < a), selects=True,
              summary="Smaller of two, of a NaN the other", edge_cases="a tie halves the gradient.")
left_shift  = op(np.left_shift, "{x}·2^{n}", None, None, arguments=("x", "n"), samples=bits(2),
                 summary="Bits moved to the left: x times a power of two", example="tn.left_shift(np.array([1, 3]), 2)")
right_shift = op(np.right_shift, "⌊{x}/2^{n}⌋", None, None, arguments=("x", "n"), samples=bits(2),
                 summary="Bits moved to the right: x by a power of two, rounded down", example="tn.right_shift(np.array([4, 7]), 1)")
signbit  = op(np.signbit, "signbit({x})", None, arguments=("x",), summary="Is the sign bit set?")
isposinf = op(np.isposinf, "isposinf({x})", None, arguments=("x",), summary="Is it ∞?", kind="elementwise")
isneginf = op(np.isneginf, "isneginf({x})", None, arguments=("x",), summary="Is it −∞?", kind="elementwise")
# fmt: on


# --- composed of the above -------------------------------------------------------------------------------------------


@implements(np.divmod)
def divmod(a, b):
    """Quotient rounded down, and what is left: (floor_divide(a, b), remainder(a, b))."""
    return floor_divide(a, b), remainder(a, b)


@implements(np.modf)
def modf(x):
    """The fractional and the whole part of x, both with its sign."""
    x = as_real(as_array(x))
    whole, sign, infinite = trunc(x), np.copysign(1.0, x).astype(x.dtype), np.isinf(x)
    size, steps = (np.where(infinite, 0.0, part * sign) for part in (x, whole))
    return (size - steps) * sign, whole


@implements(np.logaddexp2)
def logaddexp2(a, b):
    """log₂(2ᵃ + 2ᵇ), stable."""
    a, b = (x * LN2 if isinstance(x, (int, float)) else np.multiply(x, LN2) for x in (a, b))
    return logaddexp(a, b) / LN2


@implements(np.float_power)
def float_power(x, n):
    """The power, computed in float64."""
    x, n = (astype(as_array(a), np.float64) for a in (x, n))
    return power(x, n)


@implements(np.real, np.real_if_close, name="_real")
def _real(x):
    x = as_array(x)
    return x if x.dtype == bool else positive(x)


@implements(np.conjugate, name="_conjugate")
def _conjugate(x):
    x = as_array(x)
    return positive(astype(x, np.int8) if x.dtype == bool else x)  # as NumPy's


@implements(np.imag, name="_imag")
def _imag(x):
    return np.zeros_like(x)


@implements(np.unwrap)
def unwrap(x, discont=None, axis=-1, *, period=2 * math.pi):
    """Angles without their jumps: multiples of the period are added where neighbours differ by more than half of it."""
    x = as_floats(x)
    axis = axis_of(axis, x)
    before, after = (np.take(x, np.arange(x.shape[axis])[cut], axis=axis) for cut in (slice(None, -1), slice(1, None)))
    step = after - before
    wrapped = remainder(step + period / 2, period) - period / 2
    wrapped = np.where(np.logical_and(wrapped == -period / 2, step > 0), period / 2, wrapped)
    small = np.abs(step) < (period / 2 if discont is None else max(discont, period / 2))
    jumps = np.cumsum(np.rint(np.where(small, 0.0, wrapped - step) / period) * period, axis=axis)
    first = np.zeros_like(np.take(x, np.arange(min(1, x.shape[axis])), axis=axis))
    return x + np.concatenate([first, jumps], axis=axis)
