"""An update rule is a pure function of arrays; here is what the rules share.

In the formulas of all rules g is the gradient ∂J/∂w, η the learning rate `lr`, λ `weight_decay`, and t counts steps
from 1.  State starts at 0 unless said otherwise, and all operations are elementwise.  Weight decay adds λw to g, where
it is not decoupled; `maximize` ascends.  Where PyTorch has the rule, names, defaults and results are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_nn.tensor import Tensor

__all__ = ["COUNTER", "Group", "NewState", "Params", "State", "cast", "descent", "fusable", "is_off"]

Group = dict[str, Any]
Params = Iterable[Tensor] | Iterable[Group]
State = Mapping[str, Any]
NewState = tuple[Any, dict[str, Any]]

COUNTER = np.zeros(())  # a step counter, in float64 whatever the parameter: β₂ᵗ needs the digits


def fusable(rule: Callable) -> Callable:
    """Decorator of a rule that treats each element by itself, so that small parameters can be stepped as one vector.

    >>> import numpy as np, tinygrad_nn as tn
    >>> class SignMomentum(tn.optim.Optimizer):
    ...     @staticmethod
    ...     @tn.optim.fusable
    ...     def rule(p, g, state, group):
    ...         velocity = 0.9 * state["velocity"] + g
    ...         return group["lr"] * np.sign(velocity), {"velocity": velocity}
    ...
    ...     def _initial(self, p, group):
    ...         return {"velocity": np.zeros_like(p)}
    >>> w, b = (tn.tensor(value, requires_grad=True) for value in ([1.0, 2.0], 3.0))
    >>> optimizer = SignMomentum([w, b], lr=0.5)
    >>> (w.sum() + b * b).backward()
    >>> optimizer.step()
    >>> w.tolist(), b.item()
    ([0.5, 1.5], 2.5)
    """
    rule.fusable = True  # type: ignore[attr-defined]
    return rule


def cast(p: Any, x: Any) -> Any:
    """A number in the dtype of `p`.  Python's numbers stay: they are weak.  One computed from a counter is float64."""
    return x if x.__class__ in (float, int) else x.astype(p.dtype)  # what stands for one says so, too


def is_off(setting: Any) -> bool:
    """Whether a setting is 0; one that may vary while a compiled step is replayed is not a plain number then."""
    return type(setting) in (int, float) and not setting


def descent(p: Any, g: Any, group: Group) -> Any:
    """The gradient to descend: with the other sign to maximise, with λw for weight decay."""
    if group["maximize"]:
        g = -g
    return g + group["weight_decay"] * p if group["weight_decay"] else g
