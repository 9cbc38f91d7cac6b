"""What `help(tn.tanh)` says: formula, derivatives and an example, all from the operation's one entry."""

from __future__ import annotations

import inspect
import types
from typing import Any

import numpy as np

from tinygrad_nn.operation import BY_NAME, Op, write
from tinygrad_nn.samples import domain_of
from tinygrad_nn.symbols import derivative

__all__ = ["LONG", "docstring_of", "example_of"]

LONG = 200  # characters of a formula that says more to a machine than to a reader


def docstring_of(op: Op) -> str:
    """The documentation of an operation."""
    lines = [f"{op.docs.summary or op.name}: y = {write(op, {name: name for name in op.arguments})}.", ""]
    for slot, name in enumerate(op.arguments):
        rule = derivative(op, slot, op.arguments) if op.differentiable(slot) else None
        if rule is not None and len(rule.text) <= LONG:
            lines.append(f"Gradient with respect to {name}, from g = ∂L/∂y: {rule}")
        elif not op.differentiable(slot):
            lines.append(f"No gradient with respect to {name}.")
    if op.docs.edge_cases:
        lines.append(f"Edge cases: {op.docs.edge_cases}")
    further = inspect.getdoc(op.further) if op.further is not None else None
    lines += ["", *further.splitlines()] if further else []
    call = example_of(op)
    if call:
        lines += ["", ">>> import numpy as np, tinygrad_nn as tn", f">>> {call}", repr(_run(call))]
    return "\n".join(lines)


def example_of(op: Op) -> str:
    """A call of the operation, as one would write it."""
    if op.docs.example or op.name.startswith("_"):
        return op.docs.example
    if op.bind is not None or op.checks.samples is not None or "condition" in op.arguments:
        return ""
    arrays = []
    for slot in range(len(op.arguments)):
        low, high = domain_of(op, slot)
        arrays.append(f"np.array([{low + (high - low) * 0.25:.2f}, {low + (high - low) * (0.75 + 0.1 * slot):.2f}])")
    return f"tn.{op.name}({', '.join(arrays)})"


def _run(call: str) -> Any:
    """The value of the example: it names operations of the tables and NumPy, nothing else."""
    return eval(call, {"np": np, "tn": types.SimpleNamespace(**BY_NAME)})
