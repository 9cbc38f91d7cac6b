"""Operations written as simpler ones, for interpreters that have few: the field `lowered` of an entry.

They are used where a call is traced (`rule_trees.py`), so shapes are known, and constants may be made of them.
"""

from __future__ import annotations

import math

import numpy as np


def by_places(function):
    """What a function that only moves elements makes of their places."""
    return lambda x, **how: np.take(x, function(np.arange(x.size).reshape(x.shape), **how))


def by_shape(function):
    """What a function that only changes the shape makes of it."""
    return lambda x, **how: np.reshape(x, function(np.empty(x.shape), **how).shape)


def by_axes(function):
    """What a function that only moves axes makes of axes of lengths 1, 2, 3 ..."""

    def lowered(x, **how):
        y = function(np.empty(tuple(range(1, x.ndim + 1))), **how)
        return np.transpose(x, tuple(n - 1 for n in y.shape))

    return lowered


def flipped(x, axis=None):
    """The slices that turn axes round."""
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in np.atleast_1d(axis).tolist()]
    return x[tuple(slice(None, None, -1 if a in axes else None) for a in range(x.ndim))]


def stacked(*arrays, axis=0):
    """Joined along an axis that each of them has got."""
    return np.concatenate([np.expand_dims(a, axis) for a in arrays], axis=axis)


def triangle(function):
    """A choice between the elements and 0."""
    return lambda x, k=0: np.where(function(np.ones(x.shape[-2:], bool), k), x, 0.0)


def sinc_slope(x, order=1):
    """The derivative of sin(πx)/(πx) of any order: its power series near 0, the product rule on x·sinc(x) further out."""
    z = np.pi * x
    near = np.abs(z) < order + 2.0
    series, small = 0.0, np.where(near, z, 0.0)
    for k in range((order + 1) // 2, order + 24):
        power = 2 * k - order
        series = series + (-1.0) ** k * small**power / float(math.factorial(power) * (2 * k + 1))
    far = np.where(near, order + 2.0, z)
    recursion = np.sin(far) / far
    for n in range(1, order + 1):
        recursion = (np.sin(far + n * np.pi / 2) - n * recursion) / far
    return np.pi**order * np.where(near, series, recursion)


# --- special functions of ufuncs alone, for arrays whose numbers nobody looks at ----------------------------------------


def erf_of(x):
    """The error function: a series of positive terms up to |x| = 2, where 1 − erfc takes over."""
    size = np.minimum(np.abs(x), 2.0)
    term = total = size
    for n in range(1, 50):
        term = term * (size * size) * (2 / (2 * n + 1))
        total = total + term
    series = total * np.exp(-size * size) * (2 / math.sqrt(math.pi))
    return np.copysign(np.where(np.abs(x) < 2.0, series, 1.0 - _tail(x)), x)


def erfc_of(x):
    """1 − erf(x), and the continued fraction from 2 on, where that would cancel."""
    return np.where(x < 2.0, 1.0 - erf_of(x), _tail(x))


def _tail(x):
    """erfc(|x|) for |x| ≥ 2 by its continued fraction (Laplace): exp(−x²)/√π / (x + ½/(x + 1/(x + 3/2 / ...)))."""
    z = np.clip(np.abs(x), 2.0, 1e100)
    below = z
    for k in range(60, 0, -1):
        below = z + (k / 2) / below
    return np.where(np.isnan(x), x, np.exp(-z * z) / (math.sqrt(math.pi) * below))


def gammaln_of(x):
    """log |Γ(x)|: Stirling's series where it is exact, reached by the recurrence; reflected below ½."""
    left = x < 0.5
    z = np.where(left, 1.0 - x, x)
    product = 1.0
    for shift in range(8):
        product = product * (z + shift)
    w = z + 8.0
    series = (w - 0.5) * np.log(w) - w + 0.5 * math.log(2 * math.pi)
    power = 1.0 / w
    for c in _STIRLING:
        series = series + c * power
        power = power / (w * w)
    above = np.where(np.isinf(z), np.inf, series - np.log(product))
    sine = np.abs(np.sin(math.pi * (x - np.rint(x))))
    return np.where(left, math.log(math.pi) - np.log(sine) - above, above)


# B₂ₖ / (2k (2k − 1))
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400, 43867 / 244188)
