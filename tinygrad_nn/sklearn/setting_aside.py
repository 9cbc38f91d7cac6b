"""Rows that are set aside, to see how an estimator does on rows that it has not learned from: `early_stopping`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split

__all__ = ["set_aside"]


def set_aside(estimator: Any, y: np.ndarray, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """The rows to learn from, and those set aside: of each class as many as is its share, where there are enough.

    Raises ValueError where fewer than two would be set aside, or none would be left.
    """
    n, fraction = len(y), estimator.validation_fraction
    aside = math.ceil(fraction * n)
    if aside < 2 or aside >= n:
        raise ValueError(
            f"{type(estimator).__name__}: early_stopping=True sets aside validation_fraction={fraction:g} of "
            f"{n} sample{'s'[: n - 1]}, which is {aside}: it needs 2 or more, and others to learn from: give more rows "
            "or another fraction"
        )
    strata = None
    if is_classifier(estimator) and y.ndim == 1:
        members = np.unique(y, return_counts=True)[1]
        if members.min() >= 2 and min(aside, n - aside) >= len(members):
            strata = y
    rows, held_out = train_test_split(np.arange(n), test_size=fraction, random_state=random, stratify=strata)
    return rows, held_out
