"""The package's own errors, and the texts that say what was asked, what was expected, and a hint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["ExportError", "GradientCheckError", "MutationError", "NonFiniteError", "ReleasedError", "ShapeError"]


class ShapeError(ValueError):
    """Operands whose shapes do not fit; the message names both, what differs and what would fit."""


class MatrixError(ShapeError, np.linalg.LinAlgError):
    """Matrices of a shape that linear algebra has no answer for; also caught as NumPy's LinAlgError."""


class MutationError(RuntimeError):
    """A value that the backward pass needs was changed after it was used."""


class ReleasedError(MutationError):
    """The values that the backward pass needs were released: the result is old, and was only kept."""


class NonFiniteError(FloatingPointError):
    """A NaN or an infinity arose where `detect_anomaly` was watching."""


class CompileError(RuntimeError):
    """A step that cannot be replayed: something in it would go stale; the message says what, and in which line.

    `result` is what the call returns, if it has been carried out.
    """

    result: Any

    def with_result(self, result: Any) -> CompileError:
        """The error of a call that has been carried out."""
        self.result = result
        return self


class ExportError(RuntimeError):
    """A function that cannot be exported: the message says which operation, or which line, and what to do."""


class GradientCheckError(AssertionError):
    """A derivative rule disagrees with finite differences."""


def label(value: Any, role: str) -> str:
    """How an operand is called in a message: by its name, else by its role in the operation."""
    return getattr(value, "name", None) or role


def transpose_fits(name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """The hint for rows where columns are expected; empty where that is not what is wrong."""
    turned = len(shape) == 2 and shape[::-1] == expected
    return f"; {name}.T fits (examples are columns)" if turned else ""


def shape_error(op: Any, args: Sequence[Any], reason: Exception) -> ShapeError | None:
    """The ShapeError for these operands, or None if it is not their shapes that are wrong."""
    shapes = [np.shape(a) for a in args]
    if len(args) == len(op.arguments):
        names = [label(a, role) for a, role in zip(args, op.arguments, strict=True)]
    else:
        names = [label(a, f"{op.arguments[0]}[{i}]") for i, a in enumerate(args)]
    asked = f"{op.public_name}: " + ", ".join(f"{n} has shape {s}" for n, s in zip(names, shapes, strict=True))
    if op.matrix_product:
        product = _product_differs(names, *shapes[:2])
        return ShapeError(f"{asked}: {product or f'the product has one row for each of {names[0]}, so has {names[2]}'}")
    if op.kind == "elementwise" and len(shapes) > 1:
        differing = _broadcast_differs(shapes)
        return ShapeError(f"{asked}: {differing}{_transpose_that_fits(names, shapes)}") if differing else None
    if isinstance(reason, np.linalg.LinAlgError) and "dimension" in str(reason):
        return MatrixError(f"{asked}: {reason}")
    of_shapes = isinstance(reason, ValueError) and any(word in str(reason) for word in ("shape", "dimension"))
    return ShapeError(f"{asked}: {reason}") if of_shapes and not isinstance(reason, np.exceptions.AxisError) else None


def no_derivative(text: str) -> np.linalg.LinAlgError:
    """The error where a decomposition has no derivative."""
    error = np.linalg.LinAlgError(text)
    error.says_all = True  # type: ignore[attr-defined]
    return error


def explained(op: Any, args: Sequence[Any], reason: Exception) -> Exception:
    """An error of the same kind that says which operation it was, on what; and a hint, where there is one."""
    if isinstance(reason, TypeError):
        return _type_error(op, args, reason)
    if type(reason) not in (ValueError, IndexError, np.exceptions.AxisError, np.linalg.LinAlgError):
        return reason
    if str(reason).startswith(f"{op.public_name}: ") or getattr(reason, "says_all", False):  # one of ours
        return reason
    names = [label(a, role) for a, role in zip(args, op.arguments, strict=False)]
    asked = ", ".join(f"{n} has shape {np.shape(a)}" for n, a in zip(names, args, strict=False))
    hints = [hint.format(names[0]) for words, hint in _HINTS.items() if words in str(reason)] if names else []
    return type(reason)(": ".join(filter(None, [op.public_name, asked, "; ".join([str(reason), *hints])])))


def _type_error(op: Any, args: Sequence[Any], reason: TypeError) -> TypeError:
    """NumPy's TypeErrors name neither operation nor operands; those of user operations keep their traceback."""
    if not op.__module__.startswith("tinygrad_nn.") or str(reason).startswith(f"{op.public_name}: "):
        return reason
    names = [label(a, role) for a, role in zip(args, op.arguments, strict=False)]
    none = next((name for name, a in zip(names, args, strict=False) if a is None), None)
    if none is not None and "NoneType" in str(reason):
        return TypeError(
            f"{op.public_name}: {none} is None, expected an array of real numbers: what made it returned none"
        )
    asked = ", ".join(f"{n} has {_kind(a)}" for n, a in zip(names, args, strict=False))
    text, unsupported, _ = str(reason).partition("not supported for the input types")
    hint = f"{unsupported}; it takes integers and bools" if unsupported else ""
    if text.endswith("unsupported in linalg"):
        hint = "; .astype(np.float64) converts it"
    return TypeError(f"{op.public_name}: {asked}: {text}{hint}")


def _kind(a: Any) -> str:
    dtype = getattr(a, "dtype", None)
    return f"type {type(a).__name__}" if dtype is None else f"dtype {dtype}, shape {a.shape}"


_HINTS = {
    "Singular matrix": "it has no inverse; {0} + 1e-6 * np.eye(n) is near it and has one",
    "not positive definite": "it must be symmetric with eigenvalues above 0; {0} @ {0}.T + 1e-6 * np.eye(n) is",
    "is out of bounds for array of dimension": "axes count from 0, or from -1 backwards",
    "repeated axis": "name every axis once",
}


def wrong_rule(node: Any, slot: int, part: Any) -> Exception:
    """The error for a derivative rule that returns no array, or one of a shape that cannot be."""
    op, x = node.op, node.inputs[slot]
    role = op.arguments[slot] if slot < len(op.arguments) else op.arguments[0]
    if not hasattr(part, "shape"):
        returned = f"{part!r:.40}, which is no array"
    else:
        returned = f"shape {part.shape}" if part.dtype.kind in "fiub" else f"dtype {part.dtype}"
    return ShapeError(
        f"the derivative rule of {op.name} for {role} returned {returned}; expected the gradient of {label(x, role)}, "
        f"of shape {x.value.shape} (or what broadcasting makes of it): check it with tn.gradcheck({op.name}, ...)"
    )


def gradient_shape_error(p: Any) -> Exception:
    """The error for a `.grad` that was set by hand and does not fit."""
    name, shape = label(p, "a parameter"), getattr(p.grad, "shape", None)
    if shape is None:
        return TypeError(
            f"the gradient of {name} is a {type(p.grad).__name__}: set {name}.grad to an array, or to None"
        )
    return ShapeError(
        f"{name} has shape {p.value.shape}, its gradient has shape {shape}: they must be equal; np.broadcast_to makes "
        "one of the other, where it fits"
    )


def _product_differs(names: Sequence[str], a: tuple, b: tuple) -> str:
    if not a or not b:
        scalar = names[0] if not a else names[1]
        return f"{scalar} is a single number, which has no rows or columns; use * to scale by it"
    inner_a, inner_b = a[-1], b[-2] if len(b) > 1 else b[0]
    if inner_a == inner_b and _broadcast_differs([a[:-2], b[:-2]]) == "":
        return ""
    if inner_a == inner_b:
        return f"the leading axes {a[:-2]} and {b[:-2]} do not broadcast"
    text = f"the {inner_a} columns of {names[0]} must equal the {inner_b} rows of {names[1]}"
    if len(b) > 1 and b[-1] == inner_a:
        return f"{text}; {names[1]}.T fits"
    if len(a) > 1 and a[-2] == inner_b:
        return f"{text}; {names[0]}.T fits"
    return text


def _broadcast_differs(shapes: Sequence[tuple]) -> str:
    for place in range(1, max(map(len, shapes)) + 1):
        sizes = [s[-place] for s in shapes if len(s) >= place and s[-place] != 1]
        if len(set(sizes)) > 1:
            return f"they differ along axis -{place} ({' against '.join(map(str, sizes))}) and neither is 1"
    return ""


def _transpose_that_fits(names: Sequence[str], shapes: Sequence[tuple]) -> str:
    for i in reversed(range(len(shapes))):
        turned = [s[::-1] if i == j else s for j, s in enumerate(shapes)]
        if len(shapes[i]) > 1 and not _broadcast_differs(turned):
            return f"; {names[i]}.T fits"
        column = [(*s, 1) if i == j else s for j, s in enumerate(shapes)]
        if len(shapes[i]) == 1 and not _broadcast_differs(column):
            return f"; {names[i]}.reshape(-1, 1) fits"
    return ""
