"""Sample inputs of every operation, from its entry alone: for the automatic checks, the printed rules and the docs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.operation import Op, VariadicRule

__all__ = ["corner_samples_of", "domain_of", "samples_of"]

Sample = tuple[tuple, dict[str, Any]]

UNARY = [(), (3,), (2, 3), (2, 1, 3)]
BROADCAST = [((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (3,)), ((), (2, 3)), ((4, 1, 3), (2, 1))]
AXES: list[dict[str, Any]] = [
    {}, {"axis": 0}, {"axis": -1}, {"axis": 1, "keepdims": True}, {"axis": (0, 1)}, {"keepdims": True},
]  # fmt: skip


def samples_of(op: Op, rng: np.random.Generator | None = None) -> list[Sample]:
    """Inputs to try `op` on: arrays from its domain over broadcasting shapes, and its parameters."""
    rng = rng or np.random.default_rng(0)
    if op.checks.samples is not None:
        return [
            (tuple(np.asarray(a) if isinstance(a, float) else a for a in arrays), params)
            for arrays, params in op.checks.samples(rng)
        ]
    n = 3 if isinstance(op.vjps, VariadicRule) else len(op.arguments)
    shapes: list[Any] = [(op.checks.shape,) * n]
    variants = op.checks.variants or _over_axes(op)
    if op.kind == "elementwise" and not op.checks.variants:
        shapes = [(s,) for s in UNARY] if n == 1 else [pair + ((),) * (n - 2) for pair in BROADCAST]
    return [(tuple(_draw(op, i, shape, rng) for i, shape in enumerate(some)), v) for some in shapes for v in variants]


CORNER_SHAPES: list[tuple[int, ...]] = [(), (0,), (1,), (3,), (2, 3), (2, 0), (0, 3), (2, 1, 3)]
CORNER_AXES: list[Any] = [None, 0, -1, 1, (0,), (0, 1), (-1, 0), ()]


def corner_samples_of(op: Op, rng: np.random.Generator | None = None) -> list[Sample]:
    """Single numbers, empty arrays, and every form of axis; not all of these calls are valid.

    Where the arrays must fit each other, the samples of the entry are made empty along their first or last axis.
    """
    rng = rng or np.random.default_rng(0)
    if op.checks.samples is not None:
        given = samples_of(op, rng)
        return [(_emptied(arrays, axis), params) for arrays, params in given for axis in (0, -1)]
    n = 3 if isinstance(op.vjps, VariadicRule) else len(op.arguments)
    axes: list[dict[str, Any]] = [{"axis": axis} for axis in CORNER_AXES] if "axis" in op.defaults else [{}]
    calls = [{**v, **axis} for v in op.checks.variants or ({},) for axis in axes]
    once = {repr(params): params for params in calls}.values()
    return [(tuple(_draw(op, i, s, rng) for i in range(n)), params) for s in CORNER_SHAPES for params in once]


def _emptied(arrays: tuple, axis: int) -> tuple:
    """Nothing is left of the arrays along this axis."""
    return tuple(np.take(a, [], axis=axis) if isinstance(a, np.ndarray) and a.ndim > 1 else a for a in arrays)


def _over_axes(op: Op) -> list[dict[str, Any]]:
    """The parameters to try of a reduction, and none of all else."""
    if not {"axis", "keepdims"} <= op.defaults.keys():
        return [{}]
    return AXES + [{"axis": 1, "ddof": 1}] * ("ddof" in op.defaults)


def domain_of(op: Op, slot: int) -> tuple[float, float]:
    """The interval from which the inputs of an argument are drawn."""
    domain = op.checks.domain
    return domain[slot] if isinstance(domain[0], tuple) else domain


def _draw(op: Op, slot: int, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Numbers from the domain, all different, so that no tie or kink is met by accident."""
    low, high = domain_of(op, slot)
    n = int(np.prod(shape))
    grid = low + (high - low) * (np.arange(n) + 0.5 + 0.6 * (rng.random(n) - 0.5)) / max(n, 1)
    values = rng.permutation(grid).reshape(shape)
    return values > (low + high) / 2 if op.arguments[min(slot, len(op.arguments) - 1)] == "condition" else values
