"""Checks of the settings of `fit` and of estimators: an error says what was given, and what is expected instead."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

__all__ = ["Setting", "choice", "file", "function_or_name", "name_or_none", "number", "random", "switch", "whole"]

Setting = Callable[[str, str, Any], None]  # (caller, name, value): raises TypeError or ValueError, or does not


def _refuse(kind: type[Exception], caller: str, name: str, value: Any, expected: str) -> Exception:
    return kind(f"{caller}: {name}={value!r:.60}, expected {expected}")


def _or(*expected: Any) -> str:
    """Values and words as in: True, False or 'auto'."""
    *first, last = [x if isinstance(x, _Text) else repr(x) for x in expected]
    return f"{', '.join(first)} or {last}" if first else last


class _Text(str):
    """Words, not a value."""


def _is_one_of(value: Any, others: Iterable[Any]) -> bool:
    return any(value is other or (isinstance(value, str) and value == other) for other in others)


def whole(least: int = 1, *others: Any) -> Setting:
    """A whole number, of at least so much, or one of the others, such as None.

    >>> whole(1, None)("fit", "patience", 0)
    Traceback (most recent call last):
    ...
    ValueError: fit: patience=0, expected an int of at least 1 or None
    """

    def check(caller: str, name: str, value: Any) -> None:
        if _is_one_of(value, others):
            return
        expected = _or(_Text(f"an int of at least {least}"), *others)
        try:
            found = operator.index(value)
        except TypeError:
            raise _refuse(TypeError, caller, name, value, expected) from None
        if isinstance(value, (bool, np.bool_)):
            raise _refuse(TypeError, caller, name, value, expected)
        if found < least:
            raise _refuse(ValueError, caller, name, value, expected)

    return check


def number(
    *others: Any, above: float = -math.inf, least: float = -math.inf, below: float = math.inf, finite: bool = True
) -> Setting:
    """A number above, of at least, and below so much, or one of the others; a finite one, unless said otherwise.

    >>> number(above=0)("fit", "clip", "1")
    Traceback (most recent call last):
    ...
    TypeError: fit: clip='1', expected a finite number above 0
    """
    parts = [f"above {above:g}"] * (above > -math.inf) + [f"of at least {least:g}"] * (least > -math.inf)
    parts += [f"below {below:g}"] * (below < math.inf)
    expected = _or(
        _Text(" and ".join(["a finite number" if finite else "a number", *parts]).replace(" and ", " ", 1)), *others
    )

    def check(caller: str, name: str, value: Any) -> None:
        if _is_one_of(value, others):
            return
        if not isinstance(value, numbers.Real) or isinstance(value, (bool, np.bool_)):
            raise _refuse(TypeError, caller, name, value, expected)
        small_enough = float(value) < below or not finite
        if not (above < float(value) and least <= float(value) and small_enough):
            raise _refuse(ValueError, caller, name, value, expected)

    return check


def switch(*others: Any) -> Setting:
    """True or False, for which 1 and 0 are taken, or one of the others."""

    def check(caller: str, name: str, value: Any) -> None:
        yes_or_no = isinstance(value, (bool, np.bool_, int, np.integer)) and value in (0, 1)
        if not yes_or_no and not _is_one_of(value, others):
            kind = ValueError if isinstance(value, str) and any(isinstance(x, str) for x in others) else TypeError
            raise _refuse(kind, caller, name, value, _or(True, False, *others))

    return check


def choice(*values: Any) -> Setting:
    """One of these."""

    def check(caller: str, name: str, value: Any) -> None:
        if not _is_one_of(value, values):
            kind = ValueError if isinstance(value, str) else TypeError
            raise _refuse(kind, caller, name, value, _or(*values))

    return check


def function_or_name(caller: str, name: str, value: Any) -> None:
    """A function, or the name of one."""
    if not callable(value) and not isinstance(value, str):
        raise _refuse(TypeError, caller, name, value, "a name or a function")


def name_or_none(caller: str, name: str, value: Any) -> None:
    """A name, or None."""
    if value is not None and not isinstance(value, str):
        raise _refuse(TypeError, caller, name, value, "a name or None")


def file(caller: str, name: str, value: Any) -> None:
    """A path, or None."""
    if value is not None and not isinstance(value, (str, os.PathLike)):
        raise _refuse(TypeError, caller, name, value, "a path or None")


def random(caller: str, name: str, value: Any) -> None:
    """What a generator can be made of, or one."""
    try:
        np.random.default_rng(value)
    except (TypeError, ValueError) as reason:
        raise _refuse(type(reason), caller, name, value, "an int of at least 0, a numpy Generator, or None") from None
