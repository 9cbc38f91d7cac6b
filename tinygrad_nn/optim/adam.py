"""Adam and its relatives: momentum and division by the size of past gradients at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_nn.optim.optimizer import Optimizer
from tinygrad_nn.optim.rule import COUNTER, Group, NewState, Params, State, cast, fusable

__all__ = ["Adam", "AdamW", "NAdam"]


@fusable
def _adam(p: Any, g: Any, state: State, group: Group) -> NewState:
    if group["maximize"]:
        g = -g
    decay, (beta1, beta2) = group["weight_decay"], group["betas"]
    if decay and not group["decoupled_weight_decay"]:
        g = g + decay * p
    t = state["t"] + 1
    m = beta1 * state["m"] + (1 - beta1) * g
    v = beta2 * state["v"] + (1 - beta2) * (g * g)
    new = {"m": m, "v": v, "t": t}
    if group["amsgrad"]:
        v = new["v_max"] = np.maximum(state["v_max"], v)
    # η m̂/(√v̂ + ε) with √(1 − β₂ᵗ) taken out of the fraction: numbers are cheaper than arrays
    root = np.sqrt(1 - np.power(beta2, t))  # not **: that has other last digits for numbers than for arrays
    step = cast(p, group["lr"] * root / (1 - np.power(beta1, t))) * m / (np.sqrt(v) + cast(p, group["eps"] * root))
    if decay and group["decoupled_weight_decay"]:
        step = step + cast(p, group["lr"] * decay) * p
    return step, new


class Adam(Optimizer):
    """Momentum, divided by a running root mean square of the gradients, both without their bias to the start.

    ::

        m ← β₁ m + (1 − β₁) g,    m̂ = m/(1 − β₁ᵗ)
        v ← β₂ v + (1 − β₂) g²,   v̂ = v/(1 − β₂ᵗ)        (amsgrad: the largest v so far in place of v)
        w ← w − η m̂/(√v̂ + ε)

    With ``decoupled_weight_decay=True`` it is `AdamW`.

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = tn.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.numpy().round(6).tolist()
    [0.9, -19.9]

    Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, Algorithm 1; S. Reddi, S. Kale,
    S. Kumar, "On the convergence of Adam and beyond", ICLR 2018.
    """

    rule = staticmethod(_adam)

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, amsgrad: bool = False, *, maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ):  # fmt: skip
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize,
            decoupled_weight_decay=decoupled_weight_decay,
        )  # fmt: skip

    def _initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        names = ["m", "v"] + ["v_max"] * bool(group["amsgrad"])
        return {name: np.zeros_like(p) for name in names} | {"t": COUNTER.copy()}


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient, so that it is not divided by its size.

    ::

        w ← w − η λ w − η m̂/(√v̂ + ε)                     (m̂ and v̂ as in `Adam`)

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = tn.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.numpy().round(6).tolist()
    [0.85, -18.9]

    Source: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019, Algorithm 2.
    """

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True
        )  # fmt: skip


@fusable
def _nadam(p: Any, g: Any, state: State, group: Group) -> NewState:
    if group["maximize"]:
        g = -g
    lr, decay, (beta1, beta2) = group["lr"], group["weight_decay"], group["betas"]
    if decay and not group["decoupled_weight_decay"]:
        g = g + decay * p
    t = state["t"] + 1
    mu = beta1 * (1 - 0.5 * np.power(0.96, t * group["momentum_decay"]))
    mu_next = beta1 * (1 - 0.5 * np.power(0.96, (t + 1) * group["momentum_decay"]))
    product = state["mu_product"] * mu
    m = beta1 * state["m"] + (1 - beta1) * g
    v = beta2 * state["v"] + (1 - beta2) * (g * g)
    ahead = cast(p, lr * mu_next / (1 - product * mu_next)) * m + cast(p, lr * (1 - mu) / (1 - product)) * g
    step = ahead / (np.sqrt(v / cast(p, 1 - np.power(beta2, t))) + group["eps"])
    if decay and group["decoupled_weight_decay"]:
        step = step + cast(p, lr * decay) * p
    return step, {"m": m, "v": v, "t": t, "mu_product": product}


class NAdam(Optimizer):
    """Adam that looks ahead along its momentum, as Nesterov's method does, with a momentum that warms up.

    ::

        μₜ = β₁ (1 − ½ · 0.96^(t · momentum_decay)),   π ← π μₜ        (π = 1 before the first step)
        m ← β₁ m + (1 − β₁) g,    m̂ = μₜ₊₁ m/(1 − π μₜ₊₁) + (1 − μₜ) g/(1 − π)
        v ← β₂ v + (1 − β₂) g²,   v̂ = v/(1 − β₂ᵗ)
        w ← w − η m̂/(√v̂ + ε)                              (decoupled_weight_decay: and − η λ w)

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = tn.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.numpy().round(4).tolist()
    [0.8944, -19.8944]

    Source: T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop.
    """

    rule = staticmethod(_nadam)

    def __init__(
        self, params: Params, lr: float = 2e-3, betas: Sequence[float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False,
        *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip

    def _initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        return {"m": np.zeros_like(p), "v": np.zeros_like(p), "t": COUNTER.copy(), "mu_product": np.ones(())}
