"""Gradient descent, with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.optim.optimizer import Optimizer
from tinygrad_nn.optim.rule import COUNTER, Group, NewState, Params, State, cast, descent, fusable, is_off

__all__ = ["SGD"]

_NOTHING: dict[str, Any] = {}


@fusable
def _sgd(p: Any, g: Any, state: State, group: Group) -> NewState:
    lr = group["lr"]
    if type(lr) is not float:
        lr = cast(p, lr)
    if group["maximize"] or group["weight_decay"]:
        g = descent(p, g, group)
    momentum = group["momentum"]
    if is_off(momentum):
        return lr * g, _NOTHING
    fresh = g
    if group["dampening"]:
        fresh = cast(p, 1 - group["dampening"] * (state["t"] > 0)) * g
    velocity = momentum * state["velocity"] + fresh
    step = g + momentum * velocity if group["nesterov"] else velocity
    return lr * step, {"velocity": velocity, "t": state["t"] + 1}


class SGD(Optimizer):
    """Gradient descent, on whatever batch the gradient is of, with momentum.

    ::

        v ← μ v + (1 − dampening) g        (v = g at the first step)
        w ← w − η v                        (nesterov: w ← w − η (g + μ v))

    Parameters
    ----------
    params : see `Optimizer`, as for all rules.
    lr : η.
    momentum : μ; with 0, ``w ← w − η g``.
    nesterov : look ahead along v.
    weight_decay : λ.
    dampening : how much of each further gradient is kept out of v.
    maximize : ascend.

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tn.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.tolist()
    [0.8, -1.6]

    Source: M. Thill, "Yet another Neural Networks Introduction", section "Gradient Descent Parameter Updates";
    B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; I. Sutskever, J. Martens,
    G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep learning", ICML 2013, for Nesterov's
    in this form.
    """

    rule = staticmethod(_sgd)

    def __init__(
        self, params: Params, lr: float = 1e-3, momentum: float = 0.0, nesterov: bool = False,
        weight_decay: float = 0.0, *, dampening: float = 0.0, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(
            params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, dampening=dampening,
            maximize=maximize,
        )  # fmt: skip

    def _check(self, group: Group) -> None:
        super()._check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"]):
            raise ValueError("SGD: nesterov=True needs momentum above 0 and no dampening")

    def _initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        return {"velocity": np.zeros_like(p), "t": COUNTER.copy()} if group["momentum"] else {}
