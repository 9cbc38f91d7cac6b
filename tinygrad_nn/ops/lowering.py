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
        series = series + (-1.0) ** k * small**power / (math.factorial(power) * (2 * k + 1))
    far = np.where(near, order + 2.0, z)
    recursion = np.sin(far) / far
    for n in range(1, order + 1):
        recursion = (np.sin(far + n * np.pi / 2) - n * recursion) / far
    return np.pi**order * np.where(near, series, recursion)
