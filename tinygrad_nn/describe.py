"""What `help(tn.tanh)` says: formula, derivatives and an example, all from the operation's one entry."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from tinygrad_nn.operation import BY_NAME, Op, write
from tinygrad_nn.symbols import derivative

__all__ = ["describe", "example_of"]


def describe(op: Op) -> str:
    """The documentation of an operation."""
    lines = [f"{op.summary or op.name}: y = {write(op, {name: name for name in op.arguments})}.", ""]
    for slot, name in enumerate(op.arguments):
        rule = derivative(op, slot, op.arguments) if op.derivable(slot) else None
        if rule is not None:
            lines.append(f"Gradient with respect to {name}, from g = ∂L/∂y: {rule}")
        elif not op.derivable(slot):
            lines.append(f"No gradient with respect to {name}.")
    if op.hard:
        lines.append(f"At hard points: {op.hard}")
    call = example_of(op)
    if call:
        lines += ["", ">>> import numpy as np, tinygrad_nn as tn", f">>> {call}", repr(_run(call))]
    return "\n".join(lines)


def example_of(op: Op) -> str:
    """A call of the operation, as one would write it."""
    if op.example or op.name.startswith("_"):
        return op.example
    if op.bind is not None or op.samples is not None or "condition" in op.arguments:
        return ""
    arrays = []
    for slot in range(len(op.arguments)):
        low, high = op.domain[slot] if isinstance(op.domain[0], tuple) else op.domain
        arrays.append(f"np.array([{low + (high - low) * 0.25:.2f}, {low + (high - low) * (0.75 + 0.1 * slot):.2f}])")
    return f"tn.{op.name}({', '.join(arrays)})"


def _run(call: str) -> Any:
    """The value of the example: it names operations of the tables and NumPy, nothing else."""
    return eval(call, {"np": np, "tn": types.SimpleNamespace(**BY_NAME)})


class _Doc:
    """The documentation of the class, or of one operation."""

    def __init__(self, text: str | None):
        self.text = text

    def __get__(self, instance: Op | None, owner: Any = None) -> str | None:
        return self.text if instance is None else describe(instance)


Op.__doc__ = _Doc(Op.__doc__)  # type: ignore[assignment]
