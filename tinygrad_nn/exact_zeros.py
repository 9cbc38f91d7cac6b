"""Exact zeros: 0 · ∞ and 0 · NaN are 0 behind a choice, and NaN everywhere else.

`where`, `maximum`, indexing and the like (`Op.selects`) give exactly nothing to what they do not select, whatever its
slope.  The same holds for a zero in a direction that the caller gives in numbers.  A zero that comes out by accident,
as the slope of x² at 0, is none of these.

So both sweeps carry, beside a gradient or tangent, which of its elements are exact zeros: a boolean array, None where
none is, or `ANY`: every zero that is met later is taken for one.  That is for tracers, whose values nobody knows yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_nn.operation import Op, Traced
from tinygrad_nn.parts import array_of, unbroadcast

__all__ = [
    "ANY", "DIRECT", "PASSING", "ahead", "behind", "both", "fitted_zeros", "given_zeros", "spread", "with_exact_zeros",
]  # fmt: skip

ANY = "any"
DIRECT = ("elementwise", "reduction")  # kinds that multiply each element by its own slope: here 0 · ∞ is met
PASSING = (*DIRECT, "linear", "multilinear")  # kinds whose rules pass an exact zero on as one


def given_zeros(direction: Any) -> Any:
    """The exact zeros of a cotangent or tangent from the caller.  One that is recorded may be differentiated: none."""
    value = array_of(direction)
    if (isinstance(direction, Traced) and direction.tracked) or _is_placeholder(value):
        return None
    zeros = np.equal(value, 0)
    return zeros if isinstance(zeros, Traced) or zeros.any() else None


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, Traced) and not value.known


def with_exact_zeros(part: Any, zeros: Any, g: Any) -> Any:
    """`part`, with 0 in the place of 0 · ∞ where the zero of `g`, which has its shape, is exact.

    Where `part` is recorded it is a constant 0 there: its own derivatives may be infinite, too.
    """
    if zeros is None:
        return part
    if zeros is ANY:
        return np.where(np.logical_and(np.equal(g, 0), np.isnan(part)), 0.0, part)
    value = array_of(part)
    zeros = np.logical_and(zeros, np.isnan(value) if part is value else np.logical_or(np.isnan(value), value == 0))
    return part if not isinstance(zeros, Traced) and not zeros.any() else np.where(zeros, 0.0, part)


def behind(
    op: Op, slots: Sequence[int], zeros: Any, y: Any, inputs: Sequence[Any], params: dict[str, Any],
    recorded: bool = False,
) -> list[Any]:  # fmt: skip
    """The exact zeros of the parts that rules send to the inputs in `slots`, given those of the output's gradient."""
    if op.kind not in PASSING or (zeros is None and not op.selects):
        return [None] * len(slots)
    if zeros is ANY or (_is_placeholder(y) and not recorded):
        return [ANY] * len(slots)
    if not op.selects:
        if op.kind == "elementwise":
            return [zeros] * len(slots)
        if op.kind == "reduction":
            return [spread(zeros, inputs[slot], params) for slot in slots]
        inputs = _stand_ins(op, inputs)
    return [part == 0 for part in op.parts(slots, _probe(op, zeros, y), y, inputs, params)]


def ahead(
    op: Op, zeros: dict[int, Any], y: Any, inputs: Sequence[Any], params: dict[str, Any], recorded: bool = False
) -> Any:
    """The exact zeros of a linear or multilinear operation's tangent, given those of the arguments that move."""
    if op.kind not in PASSING or (all(z is None for z in zeros.values()) and not _makes_zeros(op, y, inputs)):
        return None
    if any(z is ANY for z in zeros.values()) or (_is_placeholder(y) and not recorded):
        return ANY
    moved = _stand_ins(op, inputs)
    for slot, x in enumerate(inputs):
        if slot in zeros:
            moved[slot] = _probe(op, zeros[slot], x)
        elif op.kind == "linear":
            moved[slot] = np.zeros_like(x)
    return np.equal(op.apply(moved, params), 0)


def both(zeros: Any, others: Any) -> Any:
    """The exact zeros of a sum, given those of its two terms."""
    if zeros is None or others is None:
        return None
    return ANY if zeros is ANY or others is ANY else np.logical_and(zeros, others)


def fitted_zeros(zeros: Any, part: Any, x: Any, y: Any) -> Any:
    """The exact zeros of a part that is summed over what broadcasting repeated."""
    if zeros is None or zeros is ANY or (zeros.shape == part.shape == x.shape and not isinstance(zeros, Traced)):
        return zeros
    others = np.where(np.broadcast_to(zeros, part.shape), 0.0, 1.0)
    if isinstance(others, Traced):
        others = others.fitted_to(x, y)
    return np.equal(unbroadcast(others, x.shape), 0)


def spread(g: Any, x: Any, params: dict[str, Any]) -> Any:
    """The gradient or the exact zeros of a reduction's result, at each element that went into it."""
    if not params.get("keepdims") and g.ndim:
        axis = params.get("axis")
        g = np.expand_dims(g, tuple(range(x.ndim)) if axis is None else axis)
    return np.broadcast_to(g, x.shape)


def _makes_zeros(op: Op, y: Any, inputs: Sequence[Any]) -> bool:
    """Whether a result may have elements that depend on no argument that moves (a triangle, a joined constant)."""
    return op.kind == "linear" and not op.view and np.size(y) >= max(np.size(x) for x in inputs)


def _probe(op: Op, zeros: Any, like: Any) -> Any:
    """0 at exact zeros, elsewhere numbers whose sums and differences are not 0 by accident."""
    if op.kind == "elementwise" or op.entries:
        numbers: Any = np.ones_like(like)
    else:
        numbers = np.resize(_numbers(), np.shape(like)).astype(like.dtype)
    return numbers if zeros is None else np.where(zeros, 0.0, numbers)


@lru_cache
def _numbers() -> np.ndarray:
    return np.random.default_rng(0).uniform(1.0, 2.0, 4093)  # a prime number of them: no two rows are the same


def _stand_ins(op: Op, inputs: Sequence[Any]) -> list[Any]:
    """Other values for the arguments of a linear or multilinear operation: what is 0 by accident is not exact."""
    return [
        _probe(op, None, x) if op.differentiable(slot) and hasattr(x, "dtype") else x for slot, x in enumerate(inputs)
    ]
