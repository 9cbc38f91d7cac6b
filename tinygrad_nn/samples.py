"""Sample inputs of every operation, from its entry alone: for the automatic checks, the printed rules and the docs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.operation import Op

__all__ = ["samples_of"]

Sample = tuple[tuple, dict[str, Any]]

UNARY = [(), (3,), (2, 3), (2, 1, 3)]
BROADCAST = [((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (3,)), ((), (2, 3)), ((4, 1, 3), (2, 1))]
AXES: list[dict[str, Any]] = [
    {}, {"axis": 0}, {"axis": -1}, {"axis": 1, "keepdims": True}, {"axis": (0, 1)}, {"keepdims": True},
]  # fmt: skip
# Parameters to try, on an array of shape (2, 3) unless said otherwise below, the printed ones last.
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "reshape": [{"shape": (3, 2)}, {"shape": (-1,)}, {"shape": (1, 6, 1)}],
    "transpose": [{"axes": (2, 0, 1)}, {"axes": (-1, 0, 1)}, {}],
    "squeeze": [{}, {"axis": 0}, {"axis": (0, -1)}],
    "expand_dims": [{"axis": 0}, {"axis": -1}, {"axis": (0, 2)}],
    "broadcast_to": [{"shape": (4, 2, 3)}],
    "tile": [{"reps": (2,)}, {"reps": (2, 1)}, {"reps": (2, 1, 2)}, {"reps": (0, 2)}],
    "roll": [{"shift": 1}, {"shift": -2, "axis": 1}, {"shift": (1, 2), "axis": (0, 1)}, {"shift": 1, "axis": (0, 1)}],
    "flip": [{}, {"axis": 0}, {"axis": (0, 1)}],
    "tril": [{}, {"k": 1}],
    "triu": [{}, {"k": -1}],
    "concatenate": [{}, {"axis": 1}],
    "stack": [{}, {"axis": -1}],
    "swapaxes": [{"axis1": 0, "axis2": 1}, {"axis1": -1, "axis2": 0}],
    "moveaxis": [{"source": 0, "destination": -1}, {"source": (0, 1), "destination": (2, 0)}],
    "astype": [{"dtype": np.float64}],
    "cumsum": [{}, {"axis": 0}, {"axis": -1}],
    "cumprod": [{}, {"axis": 0}, {"axis": -1}],
    "softmax": [{"axis": -1}, {}],
    "log_softmax": [{"axis": -1}, {}],
    "vector_norm": [
        {"ord": np.inf, "axis": 0, "keepdims": True}, {"ord": -np.inf, "axis": -1}, {"ord": 1, "axis": 0},
        {"ord": 3, "axis": 1}, {"ord": -1.5, "axis": 1, "keepdims": True}, {"axis": (0, 1)}, {},
    ],
    "argmax": [{}, {"axis": 0}, {"axis": -1, "keepdims": True}],
    "argmin": [{}, {"axis": 0}, {"axis": -1, "keepdims": True}],
    "var": [*AXES, {"axis": 1, "ddof": 1}],
    "std": [*AXES, {"axis": 1, "ddof": 1}],
    "leaky_relu": [{"negative_slope": 0.3}, {}],
    "elu": [{"alpha": 0.5}, {}],
    "hard_tanh": [{"min": -0.5, "max": 1.5}, {}],
}  # fmt: skip
SHAPES: dict[str, tuple[int, ...]] = {
    "transpose": (2, 3, 4), "swapaxes": (2, 3, 4), "moveaxis": (2, 3, 4), "squeeze": (1, 3, 1), "cumprod": (2, 4),
}  # fmt: skip


def samples_of(op: Op, rng: np.random.Generator | None = None) -> list[Sample]:
    """Inputs to try `op` on: arrays from its domain over broadcasting shapes, and its parameters."""
    rng = rng or np.random.default_rng(0)
    if op.samples is not None:
        return [
            (tuple(np.asarray(a) if isinstance(a, float) else a for a in arrays), params)
            for arrays, params in op.samples(rng)
        ]
    if op.name in PARAMETERS or ("axis" in op.defaults and "keepdims" in op.defaults):
        shape = SHAPES.get(op.name, (2, 3))
        shapes: Any = [(shape,) * (3 if op.name in ("concatenate", "stack") else len(op.arguments))]
        variants = PARAMETERS.get(op.name, AXES)
    elif op.kind == "elementwise":
        n = len(op.arguments)
        shapes = [(s,) for s in UNARY] if n == 1 else [pair + ((),) * (n - 2) for pair in BROADCAST]
        variants = [{}]
    else:
        shapes, variants = [((2, 3),) * len(op.arguments)], [{}]
    return [(tuple(_draw(op, i, shape, rng) for i, shape in enumerate(some)), v) for some in shapes for v in variants]


def _draw(op: Op, slot: int, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Numbers from the domain, all different, so that no tie or kink is met by accident."""
    domain = op.domain[slot] if isinstance(op.domain[0], tuple) else op.domain
    low, high = domain
    n = int(np.prod(shape))
    grid = low + (high - low) * (np.arange(n) + 0.5 + 0.6 * (rng.random(n) - 0.5)) / max(n, 1)
    values = rng.permutation(grid).reshape(shape)
    return values > (low + high) / 2 if op.arguments[min(slot, len(op.arguments) - 1)] == "condition" else values
