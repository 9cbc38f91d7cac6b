"""The package's own errors, and the texts that say what was asked, what was expected, and one way out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["GradientCheckError", "MutationError", "NonFiniteError", "ShapeError"]


class ShapeError(ValueError):
    """Operands whose shapes do not fit; the message names both, what differs and what would fit."""


class MutationError(RuntimeError):
    """A value that the backward pass needs was changed after it was used."""


class NonFiniteError(FloatingPointError):
    """A NaN or an infinity arose where `detect_anomaly` was watching."""


class GradientCheckError(AssertionError):
    """A derivative rule disagrees with finite differences."""


def label(value: Any, role: str) -> str:
    """How an operand is called in a message: by its name, else by its role in the operation."""
    return getattr(value, "name", None) or role


def misfit(op: Any, args: Sequence[Any], reason: Exception) -> ShapeError | None:
    """The ShapeError for these operands, or None if it is not their shapes that are wrong."""
    shapes = [np.shape(a) for a in args]
    if len(args) == len(op.arguments):
        names = [label(a, role) for a, role in zip(args, op.arguments, strict=True)]
    else:
        names = [label(a, f"{op.arguments[0]}[{i}]") for i, a in enumerate(args)]
    asked = f"{op.name}: " + ", ".join(f"{n} has shape {s}" for n, s in zip(names, shapes, strict=True))
    if op.name in ("matmul", "affine"):
        product = _matmul_misfit(names, *shapes[:2])
        return ShapeError(f"{asked}: {product or f'the product has one row for each of {names[0]}, so has {names[2]}'}")
    if op.kind == "elementwise" and len(shapes) > 1:
        differing = _broadcast_misfit(shapes)
        return ShapeError(f"{asked}: {differing}{_transpose_that_fits(names, shapes)}") if differing else None
    of_shapes = isinstance(reason, ValueError) and any(word in str(reason) for word in ("shape", "dimension"))
    return ShapeError(f"{asked}: {reason}") if of_shapes and not isinstance(reason, np.exceptions.AxisError) else None


def _matmul_misfit(names: Sequence[str], a: tuple, b: tuple) -> str:
    if not a or not b:
        scalar = names[0] if not a else names[1]
        return f"{scalar} is a single number, which has no rows or columns; use * to scale by it"
    inner_a, inner_b = a[-1], b[-2] if len(b) > 1 else b[0]
    if inner_a == inner_b and _broadcast_misfit([a[:-2], b[:-2]]) == "":
        return ""
    if inner_a == inner_b:
        return f"the leading axes {a[:-2]} and {b[:-2]} do not broadcast"
    text = f"the {inner_a} columns of {names[0]} must equal the {inner_b} rows of {names[1]}"
    if len(b) > 1 and b[-1] == inner_a:
        return f"{text}; {names[1]}.T fits"
    if len(a) > 1 and a[-2] == inner_b:
        return f"{text}; {names[0]}.T fits"
    return text


def _broadcast_misfit(shapes: Sequence[tuple]) -> str:
    for place in range(1, max(map(len, shapes)) + 1):
        sizes = [s[-place] for s in shapes if len(s) >= place and s[-place] != 1]
        if len(set(sizes)) > 1:
            return f"they differ along axis -{place} ({' against '.join(map(str, sizes))}) and neither is 1"
    return ""


def _transpose_that_fits(names: Sequence[str], shapes: Sequence[tuple]) -> str:
    for i in reversed(range(len(shapes))):
        turned = [s[::-1] if i == j else s for j, s in enumerate(shapes)]
        if len(shapes[i]) > 1 and not _broadcast_misfit(turned):
            return f"; {names[i]}.T fits"
        column = [(*s, 1) if i == j else s for j, s in enumerate(shapes)]
        if len(shapes[i]) == 1 and not _broadcast_misfit(column):
            return f"; {names[i]}.reshape(-1, 1) fits"
    return ""
