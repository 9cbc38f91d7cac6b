"""Whether another engine has computed what NumPy has, but for rounding: what audits ask where results are not exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Pair", "first_apart", "largest_of"]

_RELATIVE = {2: 1e-2, 4: 1e-4}  # to the largest element, by the size of a number; float64 below
_CANCELLED = 100.0  # units of rounding that are left of numbers that cancel


class Pair(NamedTuple):
    """A value as the engine has left it, and as NumPy has.

    `gradient` is that of a parameter, from NumPy: where it is 0 but for rounding, the steps of Adam or Rprop are
    different each time.  `places` says that only the places of NaN and infinity are compared.
    """

    name: str
    engines: Any
    numpys: Any
    gradient: Any = None
    places: bool = False


def largest_of(arrays: Iterable[Any]) -> float:
    """The largest absolute value among finite floating-point numbers."""
    found = [np.asarray(a) for a in arrays if a is not None]
    return max((_largest(a) for a in found if a.dtype.kind in "fc"), default=0.0)


def first_apart(pairs: Sequence[Pair], given: float, gradients: Sequence[Any]) -> str:
    """The name of the first pair that rounding does not explain; "" if there is none.

    `given` is the largest number that the step begins with: of numbers made from these, which cancel, rounding leaves
    what `_CANCELLED` units of its square are.  `gradients` are all gradients that the step leaves.
    """
    steepest = largest_of(gradients)
    return next((pair.name for pair in pairs if _is_apart(pair, max(given, 1.0), steepest)), "")


def _is_apart(pair: Pair, given: float, steepest: float) -> bool:
    a, b = (None if x is None else np.asarray(x) for x in (pair.engines, pair.numpys))
    if a is None or b is None or b.dtype.kind not in "fc":
        return (a is None) != (b is None)  # a whole number may be a choice between equals, which rounding decides
    if a.shape != b.shape:
        return True
    finite = np.isfinite(b)
    if not finite.all() or not np.isfinite(a).all():
        odd = ~finite | ~np.isfinite(a)
        if not np.array_equal(a[odd], b[odd], equal_nan=True):
            return True
    if pair.places or not finite.any():
        return False
    size = np.finfo(b.dtype).dtype.itemsize
    relative, unit = _RELATIVE.get(size, 1e-9), float(np.finfo(b.dtype).eps)
    left = _CANCELLED * unit * given * given
    with np.errstate(all="ignore"):
        wrong = finite & (abs(a - b) > relative * max(_largest(a), _largest(b)) + left)
    if pair.gradient is not None:
        wrong &= abs(np.asarray(pair.gradient)) > relative * steepest + left
    return bool(wrong.any())


def _largest(a: np.ndarray) -> float:
    finite = a[np.isfinite(a)]
    return float(abs(finite).max()) if finite.size else 0.0
