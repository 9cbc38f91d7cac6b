"""Update rules that look at one parameter at a time: gradient descent, and what adapts its step to the parameter.

In the formulas g is the gradient ∂J/∂w, η the learning rate `lr`, λ `weight_decay`, and t counts steps from 1.  All
operations are elementwise.  Where PyTorch has the rule, signature, defaults and results are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_nn.optim.optimizer import Group, Optimizer
from tinygrad_nn.tensor import Tensor

__all__ = ["SGD"]

Params = Iterable[Tensor] | Iterable[Group]
New = tuple[Any, dict[str, Any]]

_NOTHING: dict[str, Any] = {}


def _number(x: Any, p: Any) -> Any:
    """A setting, or what was computed from a counter, as a number that leaves the dtype of `p` alone."""
    return x if type(x) is float else x if type(x) is int else x.astype(p.dtype)


def _towards_zero(p: Any, g: Any, group: Group) -> Any:
    """The gradient to descend: turned round to `maximize`, with λw added for weight decay."""
    if group["maximize"]:
        g = -g
    return g + group["weight_decay"] * p if group["weight_decay"] else g


class SGD(Optimizer):
    """Gradient descent, of whatever batch the gradient is of, with momentum::

        v ← μ v + (1 − dampening) g        (v = g at the first step)
        w ← w − η v                        (nesterov: w − η (g + μ v))

    Parameters
    ----------
    lr : η.
    momentum : μ; with 0, ``w ← w − η g``.
    nesterov : look ahead along v.
    weight_decay : λ; adds λw to g.
    dampening : keeps a part of each further gradient out of v.
    maximize : ascend.

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tn.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.tolist()
    [0.8, -1.6]

    Source: the founding text's "Gradient Descent Parameter Updates"; B. Polyak, "Some methods of speeding up the
    convergence of iteration methods", 1964; I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of
    initialization and momentum in deep learning", ICML 2013, for Nesterov's in this form.
    """

    def __init__(
        self, params: Params, lr: float = 1e-3, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0,
        *, dampening: float = 0.0, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(
            params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, dampening=dampening,
            maximize=maximize,
        )  # fmt: skip

    def _check(self, group: Group) -> None:
        super()._check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"]):
            raise ValueError("SGD: nesterov=True needs momentum above 0 and no dampening")

    def initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        if not group["momentum"]:
            return {}
        return {"velocity": np.zeros_like(p), "t": np.zeros(())}

    @staticmethod
    def rule(p: Any, g: Any, state: Mapping[str, Any], group: Group) -> New:
        lr = group["lr"]
        if type(lr) is not float:
            lr = _number(lr, p)
        if group["maximize"] or group["weight_decay"]:
            g = _towards_zero(p, g, group)
        if not group["momentum"]:
            return lr * g, _NOTHING
        fresh = g
        if group["dampening"]:
            fresh = g * _number(1 - group["dampening"] * (state["t"] > 0), p)
        velocity = group["momentum"] * state["velocity"] + fresh
        step = g + group["momentum"] * velocity if group["nesterov"] else velocity
        return lr * step, {"velocity": velocity, "t": state["t"] + 1}
