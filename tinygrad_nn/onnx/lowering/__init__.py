"""How each operation is written in ONNX, beside the tables: `LOWER` has one function for an entry, `REFUSED` a reason.

A lowering is `(builder, step, *operands) -> Expr`.  An operation with neither is written out: by the simpler operations
that its entry names (`lowered`), else by what its own function calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_nn.onnx.lowering import convolution, elementwise, linalg, places, reductions, running, shaping, special

__all__ = ["LOWER", "REFUSED"]

LOWER: dict[Any, Callable] = {
    **elementwise.LOWER, **reductions.LOWER, **running.LOWER, **shaping.LOWER, **places.LOWER, **linalg.LOWER,
    **convolution.LOWER, **special.LOWER,
}  # fmt: skip
REFUSED: dict[Any, str] = {**linalg.REFUSED, **running.REFUSED}
