"""Settings of optimisers: a number, a switch, a pair of numbers; whoever gives them, a program or a file."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["as_settings", "check_settings", "defaults_of"]


def defaults_of(optimizer: type) -> dict[str, Any]:
    """The defaults of a class of optimisers, which show of what kind its settings are."""
    given = inspect.signature(optimizer).parameters.values()
    return {p.name: p.default for p in given if p.default is not p.empty}


def check_settings(caller: str, group: Mapping[str, Any], examples: Mapping[str, Any]) -> None:
    """TypeError for a setting that is of another kind than its example, ValueError for NaN."""
    for name in [name for name in group if name in examples]:
        value, example = group[name], examples[name]
        wanted = _wanted(example)
        if wanted and not _fits(value, example):
            raise TypeError(f"{caller}: {name}={value!r}, expected {wanted}")
        if wanted and any(x != x for x in (value if isinstance(value, (tuple, list)) else [value])):
            raise ValueError(f"{caller}: {name}={value}, expected {wanted}")


def as_settings(group: Mapping[str, Any]) -> dict[str, Any]:
    """A group whose pairs of numbers are tuples, which JSON made lists of: a compiled step tells them apart."""
    return {name: tuple(value) if type(value) is list and name != "params" else value for name, value in group.items()}


def _wanted(example: Any) -> str:
    """What a setting like this one must be; "" for what only the rule that reads it knows."""
    if isinstance(example, bool):
        return "True or False"
    if isinstance(example, (tuple, list)) and all(map(_is_number, example)):
        return f"{len(example)} numbers"
    return "a number" if _is_number(example) else ""


def _fits(value: Any, example: Any) -> bool:
    if isinstance(example, (tuple, list)):
        return isinstance(value, (tuple, list)) and len(value) == len(example) and all(map(_is_number, value))
    return _is_number(value) and (not isinstance(example, bool) or value in (0, 1))


def _is_number(x: Any) -> bool:
    return isinstance(x, (numbers.Real, np.bool_)) or (
        isinstance(x, np.ndarray) and x.ndim == 0 and x.dtype.kind in "fiub"
    )
