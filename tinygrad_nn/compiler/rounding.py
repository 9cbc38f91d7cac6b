"""Whether another engine has computed what NumPy has, but for rounding: what audits ask where results are not exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Pair", "first_apart"]

_RELATIVE = {np.float16: 1e-2, np.float32: 1e-4, np.float64: 1e-9}  # to the largest element
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


def _numbers(arrays: Iterable[Any]) -> list[np.ndarray]:
    found = [np.asarray(a) for a in arrays if a is not None]
    return [a for a in found if a.dtype.kind in "fc"]


def _largest_of(arrays: Iterable[Any]) -> float:
    return max(map(_largest, _numbers(arrays)), default=0.0)


def first_apart(pairs: Sequence[Pair], given: Sequence[Any], gradients: Sequence[Any]) -> str:
    """The name of the first pair that rounding does not explain; "" if there is none.

    `given` are the arrays that the step begins with: of numbers made from these, which cancel, rounding leaves what
    `_CANCELLED` units of the square of the largest are.  `gradients` are all gradients that the step leaves.  A step of
    several dtypes is as exact as the coarsest.
    """
    kinds = [np.finfo(a.dtype) for a in _numbers([*given, *(pair.numpys for pair in pairs)])]
    if not kinds:
        return ""
    coarsest = max(kinds, key=lambda kind: float(kind.eps))
    relative = _RELATIVE.get(coarsest.dtype.type, 1e-9)
    largest = max(_largest_of(given), 1.0)
    left = _CANCELLED * float(coarsest.eps) * largest * largest
    steepest = relative * _largest_of(gradients) + left
    return next((pair.name for pair in pairs if _is_apart(pair, relative, left, steepest)), "")


def _is_apart(pair: Pair, relative: float, left: float, steepest: float) -> bool:
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
    with np.errstate(all="ignore"):
        wrong = finite & (abs(a - b) > relative * max(_largest(a), _largest(b)) + left)
    if pair.gradient is not None:
        wrong &= abs(np.asarray(pair.gradient)) > steepest
    return bool(wrong.any())


def _largest(a: np.ndarray) -> float:
    finite = a[np.isfinite(a)]
    return float(abs(finite).max()) if finite.size else 0.0
