"""Which elementwise NumPy functions numba computes by an expression: so that neighbours fuse into one loop.

The expressions are plain IEEE arithmetic, which gives what NumPy gives to the last bit, at NaN, ∞ and -0.0 as well.
All other functions (exp, tanh, maximum ...) are not written anew: a kernel calls NumPy's own loop for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.compiler.ir import Node, cast

__all__ = ["KERNEL_TYPES", "expression_of", "loop_types", "operand_types"]

# What the types of scalars are called in a kernel.
KERNEL_TYPES = {np.dtype(t): name for t, name in (("f4", "f4"), ("f8", "f8"), ("i8", "i8"), ("?", "b1"))}

_ANY = "f4 f8 i8 b1"
# The expression, and for which types of operands.
_EXPRESSIONS: dict[Any, tuple[str, str]] = {
    np.add: ("{0} + {1}", "f4 f8 i8"),
    np.subtract: ("{0} - {1}", "f4 f8 i8"),
    np.multiply: ("{0} * {1}", "f4 f8 i8"),
    np.divide: ("{0} / {1}", "f4 f8"),
    np.negative: ("-{0}", "f4 f8 i8"),
    np.positive: ("{0}", "f4 f8 i8"),
    np.reciprocal: ("{one} / {0}", "f4 f8"),
    np.square: ("{0} * {0}", "f4 f8 i8"),
    np.absolute: ("abs({0})", "f4 f8"),
    np.sqrt: ("sqrt({0})", "f4 f8"),
    np.greater: ("{0} > {1}", "f4 f8 i8"),
    np.greater_equal: ("{0} >= {1}", "f4 f8 i8"),
    np.less: ("{0} < {1}", "f4 f8 i8"),
    np.less_equal: ("{0} <= {1}", "f4 f8 i8"),
    np.equal: ("{0} == {1}", "f4 f8 i8"),
    np.not_equal: ("{0} != {1}", "f4 f8 i8"),
    np.isnan: ("{0} != {0}", "f4 f8"),
    np.logical_and: ("{0} & {1}", "b1"),
    np.logical_or: ("{0} | {1}", "b1"),
    np.logical_not: ("not {0}", "b1"),
    np.where: ("({1} if {0} else {2})", _ANY),
    cast: ("{0}", _ANY),
}


def operand_types(node: Node) -> list[Any]:
    """The dtypes of a call's operands; Python numbers as their types, which NumPy takes for weak ones."""
    kinds = [x.sample.dtype if isinstance(x, Node) else x.dtype if hasattr(x, "dtype") else type(x) for x in node.args]
    return [kinds[0]] if node.func is cast else kinds


def loop_types(node: Node) -> tuple[np.dtype, ...] | None:
    """The dtypes that an elementwise call computes with, operands and result; None if NumPy would not say."""
    result, kinds = node.sample.dtype, operand_types(node)
    if node.func is np.where:
        return np.dtype(bool), result, result, result
    if node.func is cast:
        return kinds[0], result
    try:
        return node.func.resolve_dtypes((*kinds, None))
    except (TypeError, ValueError):
        return None


def expression_of(node: Node) -> str | None:
    """The expression of an elementwise call, with {0}, {1} ... for its operands; None if it has none."""
    text, fits = _EXPRESSIONS.get(node.func, ("", "")) if not node.kwargs else ("", "")
    types = loop_types(node) if text else None
    if types is None or types[-1] != node.sample.dtype:
        return None
    names = [KERNEL_TYPES.get(t) for t in types]
    computed = names[1:] if node.func is np.where else names[:-1]
    if None in names or not all(name in fits.split() for name in computed):
        return None
    # a float out of range has no integer: NumPy's answer is the machine's
    given = [kind for kind in operand_types(node) if isinstance(kind, np.dtype)]
    if any(kind not in KERNEL_TYPES for kind in given) or not all(map(_converts, given, types)):
        return None
    return text.replace("{one}", f"{names[0]}(1)")


def _converts(given: np.dtype, wanted: np.dtype) -> bool:
    """Whether a conversion is the same everywhere: not of floats to integers."""
    return given == wanted or wanted.kind == "f" or (given.kind in "bi" and wanted.kind in "bi")
