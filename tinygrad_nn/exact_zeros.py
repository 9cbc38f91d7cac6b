"""Exact zeros: 0 · ∞ and 0 · NaN are 0 behind a choice, and NaN everywhere else.

`where`, `maximum`, indexing and the like (`Op.selects`) give exactly nothing to what they do not select, whatever its
slope.  The same holds for a zero in a direction that the caller gives in numbers.  A zero that comes out by accident,
as the slope of x² at 0, is none of these.

So both sweeps carry, beside a gradient or tangent, which of its elements are exact zeros: a boolean array, None where
none is, or `ANY`: every zero that is met later is taken for one.  That is for tracers, whose values nobody knows yet,
and for other kinds of arrays than NumPy's, at which nobody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_nn.foreign import is_foreign
from tinygrad_nn.operation import Op, Traced, numbers_of
from tinygrad_nn.parts import array_of, unbroadcast

__all__ = [
    "ANY", "DIRECT", "ahead", "behind", "both", "fitted_zeros", "given_zeros", "moved_by", "multiplies",
    "probe_numbers", "sent_back", "with_exact_zeros",
]  # fmt: skip

ANY = "any"
DIRECT = ("elementwise", "reduction")  # kinds that multiply each element by its own slope: here most 0 · ∞ are met


def multiplies(op: Op) -> bool:
    """Whether its rules multiply a gradient by other arguments, and add up the products."""
    return op.kind == "multilinear" or op.entries == "factors"


def given_zeros(direction: Any) -> Any:
    """The exact zeros of a cotangent or tangent from the caller.  One that is recorded may be differentiated: none."""
    value = array_of(direction)
    if (isinstance(direction, Traced) and direction.tracked) or _is_placeholder(value):
        return None
    zeros = np.equal(value, 0)
    return zeros if isinstance(zeros, Traced) or zeros.any() else None


def _is_placeholder(value: Any) -> bool:
    """Whether its numbers are not known yet, or are those of another kind of array, which nobody looks at."""
    return not value.known if isinstance(value, Traced) else is_foreign(value)


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


def sent_back(
    op: Op, slots: Sequence[int], g: Any, zeros: Any, y: Any, values: Sequence[Any],
    arrays: tuple[Any, Sequence[Any]], params: dict[str, Any], record: bool,
) -> Iterator[tuple[Any, Any]]:  # fmt: skip
    """For each slot the part that a rule sends, and its exact zeros, given the gradient and its exact zeros.

    `y` and `values` are what the rules see, `arrays` the numbers of both.
    """
    exacts = behind(op, slots, zeros, *arrays, params, record)
    if multiplies(op):
        for slot, exact in zip(slots, exacts, strict=True):
            yield _product_sent_back(op, slot, g, zeros, y, values, arrays, params, record, exact), exact
        return
    for slot, part, exact in zip(slots, op.parts(slots, g, y, values, params), exacts, strict=True):
        if op.kind == "elementwise":
            part = with_exact_zeros(part, exact, g)
        elif op.kind == "reduction":
            part = with_exact_zeros(part, exact, spread(array_of(g), arrays[1][slot], params))
        yield part, exact


def _product_sent_back(
    op: Op, slot: int, g: Any, zeros: Any, y: Any, values: Sequence[Any], arrays: tuple[Any, Sequence[Any]],
    params: dict[str, Any], record: bool, exact: Any,
) -> Any:  # fmt: skip
    def rule(g: Any, values: Sequence[Any]) -> Any:
        return op.vjps[slot](g, y, *values, **params)

    def unused(other: int) -> Any:
        return behind(op, (other,), zeros, *arrays, params, record)[0]

    return without_blocked(op, slot, rule, g, zeros, values, unused, exact)


def moved_by(
    op: Op, slot: int, t: Any, zeros: Any, y: Any, inputs: Sequence[Any],
    arrays: tuple[Any, Sequence[Any], dict[str, Any]], record: bool,
) -> tuple[Any, Any]:  # fmt: skip
    """How the result of a product moves when one factor moves by `t`, and the exact zeros of that."""
    params = arrays[2]

    def product(t: Any, values: Sequence[Any]) -> Any:
        if op.jvp is not None:
            return op.jvp([t if i == slot else None for i in range(len(values))], y, *values, **params)
        return op.apply([t if i == slot else x for i, x in enumerate(values)], params)

    def unused(other: int) -> Any:
        factors = _stand_ins(op, arrays[1])
        factors[slot] = _probe(op, zeros, arrays[1][slot])
        return np.equal(op.vjps[other](_probe(op, None, arrays[0]), arrays[0], *factors, **params), 0)

    exact = ahead(op, {slot: zeros}, *arrays, record)
    return without_blocked(op, slot, product, t, zeros, inputs, unused, exact), exact


def without_blocked(
    op: Op, slot: int, product: Callable, d: Any, zeros: Any, values: Sequence[Any], unused: Callable, exact: Any
) -> Any:
    """The sum of products of a direction and the other factors, without the terms where an exact zero meets ∞ or NaN.

    Where it is recorded, what is in no other terms takes no part, as its slope may be infinite.  `unused(i)` says which
    elements of the i-th factor these are.
    """
    factors = values[:2] if op.matrix_product else values  # and not the bias of an affine map
    others = [i for i, x in enumerate(factors) if i != slot and op.differentiable(i) and hasattr(x, "dtype")]
    if zeros is None or zeros is ANY or not others:
        return product(d, values)
    values = list(values)
    for i in others:
        if getattr(values[i], "op", None) is not None or getattr(values[i], "tracked", False):
            values[i] = _without(values[i], _fitted(unused(i), values[i].shape))
    part = product(d, values)
    if _may_have_nan(array_of(part)):
        part = _finite_where_blocked(op, product, part, d, zeros, values, others)
    return part if exact is ANY else with_exact_zeros(part, exact, d)


def _finite_where_blocked(
    op: Op, product: Callable, part: Any, d: Any, zeros: Any, values: list[Any], others: Sequence[int]
) -> Any:
    """The part, with the finite terms alone where all others are products with exact zeros."""
    singular = {i: np.logical_not(np.isfinite(array_of(values[i]))) for i in others}
    finite = [_without(x, singular[i]) if i in singular else x for i, x in enumerate(values)]
    kept: Any = None  # elements that have a singular term
    direction = _probe(op, zeros, array_of(d))
    for i in [i for i in others if _any(singular[i])]:
        marks = [array_of(x) for x in values]
        for k in others:
            marks[k] = np.where(singular[k], 1.0, 0.0) if k == i else np.ones_like(marks[k])
        terms = np.not_equal(array_of(product(direction, marks)), 0)
        kept = terms if kept is None else np.logical_or(kept, terms)
    if kept is None:
        return part
    blocked = np.logical_and(np.isnan(array_of(part)), np.logical_not(kept))
    return np.where(blocked, product(d, finite), part) if _any(blocked) else part


def _without(x: Any, left_out: Any) -> Any:
    """The array with 0, a constant, where it is left out."""
    if left_out is None or left_out is ANY or not _any(left_out):
        return x
    return np.where(left_out, 0.0, x)


def _any(mask: Any) -> bool:
    """Whether one may be true: of a placeholder nobody knows."""
    numbers = numbers_of(mask)
    return isinstance(numbers, Traced) or bool(numbers.any())


def _may_have_nan(x: Any) -> bool:
    numbers = numbers_of(x)
    return numbers.may_have_nan() if isinstance(numbers, Traced) else bool(np.isnan(numbers).any())


def behind(
    op: Op, slots: Sequence[int], zeros: Any, y: Any, inputs: Sequence[Any], params: dict[str, Any],
    recorded: bool = False,
) -> list[Any]:  # fmt: skip
    """The exact zeros of the parts that rules send to the inputs in `slots`, given those of the output's gradient."""
    if not op.passes or (zeros is None and not op.selects):
        return [None] * len(slots)
    if zeros is ANY or is_foreign(y) or (_is_placeholder(y) and not recorded):
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
    if not op.passes or (all(z is None for z in zeros.values()) and not _makes_zeros(op, y, inputs)):
        return None
    if any(z is ANY for z in zeros.values()) or is_foreign(y) or (_is_placeholder(y) and not recorded):
        return ANY
    moved = _stand_ins(op, inputs)
    for slot, x in enumerate(inputs):
        if slot in zeros:
            moved[slot] = _probe(op, zeros[slot], x)
        elif op.kind == "linear":
            moved[slot] = np.zeros_like(x)
    if op.jvp is not None:
        along = [m if slot in zeros else None for slot, m in enumerate(moved)]
        return np.equal(op.jvp(along, y, *_stand_ins(op, inputs), **params), 0)
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


def _fitted(zeros: Any, shape: tuple[int, ...]) -> Any:
    """The same, within an example."""
    if zeros is None or zeros is ANY or zeros.shape == shape:
        return zeros
    return np.equal(unbroadcast(np.where(zeros, 0.0, 1.0), shape), 0)


def spread(g: Any, x: Any, params: dict[str, Any]) -> Any:
    """The gradient or the exact zeros of a reduction's result, at each element that went into it."""
    if not params.get("keepdims") and g.ndim:
        axis = params.get("axis")
        g = np.expand_dims(g, tuple(range(x.ndim)) if axis is None else axis)
    return np.broadcast_to(g, x.shape)


def _makes_zeros(op: Op, y: Any, inputs: Sequence[Any]) -> bool:
    """Whether a result may have elements that depend on no argument that moves (a triangle, a joined constant)."""
    return op.kind == "linear" and not op.view and _size(y) >= max(map(_size, inputs))


def _size(x: Any) -> int:
    return getattr(x, "size", 1)


def _probe(op: Op, zeros: Any, like: Any) -> Any:
    """0 at exact zeros, elsewhere numbers whose sums and differences are not 0 by accident."""
    if op.kind == "elementwise" or op.entries:
        numbers: Any = np.ones_like(like)
    else:
        numbers = np.resize(probe_numbers(), np.shape(like)).astype(like.dtype)
    return numbers if zeros is None else np.where(zeros, 0.0, numbers)


@lru_cache
def probe_numbers() -> np.ndarray:
    """What a probe repeats, until its shape is full."""
    return np.random.default_rng(0).uniform(1.0, 2.0, 4093)  # a prime number of them: no two rows are the same


def _stand_ins(op: Op, inputs: Sequence[Any]) -> list[Any]:
    """Other values for the arguments of a linear or multilinear operation: what is 0 by accident is not exact."""
    return [
        _probe(op, None, x) if op.differentiable(slot) and hasattr(x, "dtype") else x for slot, x in enumerate(inputs)
    ]
