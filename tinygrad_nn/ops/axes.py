"""Axes as a caller names them, checked and counted from 0: the one place that decides which there are."""

from __future__ import annotations

import operator

import numpy as np

from tinygrad_nn.errors import label


def axis_of(axis, x):
    """This axis of x, counted from 0; AxisError where x has none such."""
    axis = operator.index(axis)
    if not -x.ndim <= axis < x.ndim:
        raise np.exceptions.AxisError(axis, x.ndim, f"{label(x, 'x')} has shape {x.shape}")
    return axis % x.ndim


def axes_of(axis, x):
    """The axes of x as a tuple, all of them for None; ValueError where one is named twice, too."""
    if axis is None:
        return tuple(range(x.ndim))
    axes = tuple([axis_of(i, x) for i in (axis if np.iterable(axis) else (axis,))])
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis={axis} names an axis twice, which {label(x, 'x')} of shape {x.shape} has once")
    return axes


def length_of(axis, x):
    """How many elements x has along an axis."""
    return x.shape[axis_of(axis, x)]
