"""The tables: every operation, its derivative rule, its formula.

The laws of a derivative rule
-----------------------------
1. ``(g, y, *inputs, **params) -> array``, with ``g = ∂L/∂y``.  Prefer ``y`` to recomputing.
2. Arrays are positional, metadata is keyword.  Only operators, NumPy functions and operations of the tables; nothing in
   place, no masks by assignment.  So one text serves arrays (at NumPy's speed) and tensors (which record it).
3. Python numbers as constants, so that float32 stays float32 (NEP 50).
4. Do not un-broadcast: the backward pass does.
5. Comparisons and masks are operations too, with ``None`` for a rule.  Otherwise a replayed step would use a stale mask.
6. Never change an argument.  Return a fresh array, or a view that nobody else will write.
7. New arrays are made like an argument: ``np.zeros_like(g, shape=...)``, or ``like(constant, g)`` of what NumPy has made.
   An argument is never passed to `np.asarray`, and nobody looks at its numbers to decide, unless `is_foreign` says that
   it is NumPy's.  So tables serve other kinds of arrays (Dask, CuPy), see ``tinygrad_nn/foreign.py``.

Every law is checked for every operation by ``tests/test_ops.py`` and ``tests/test_foreign_arrays.py``.  ``help(tn.op)`` lists what else an entry may say.
"""

from tinygrad_nn.operation import BY_NAME
from tinygrad_nn.ops import (
    activations,
    arithmetic,
    axes,
    composed_losses,
    convolution,
    decompositions,
    degenerate,
    elementwise,
    fourier,
    joining,
    linalg,
    losses,
    lowering,
    nan,
    norms,
    numpy2,
    padding,
    placing,
    precision,
    quantiles,
    reductions,
    refused,
    scatter,
    shaping,
    sorting,
    special,
    statistics,
    targets,
)

__all__ = [
    "activations",
    "arithmetic",
    "axes",
    "composed_losses",
    "convolution",
    "decompositions",
    "degenerate",
    "elementwise",
    "fourier",
    "joining",
    "linalg",
    "losses",
    "lowering",
    "names",
    "nan",
    "norms",
    "numpy2",
    "padding",
    "placing",
    "precision",
    "quantiles",
    "reductions",
    "refused",
    "scatter",
    "shaping",
    "sorting",
    "special",
    "statistics",
    "targets",
]


def names() -> list[str]:
    """All operations by name, later additions by `tn.op` included."""
    return sorted(name for name in BY_NAME if not name.startswith("_"))
