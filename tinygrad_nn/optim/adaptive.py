"""Steps divided by the size of past gradients: Adagrad, Adadelta, RMSprop."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.optim.optimizer import Optimizer
from tinygrad_nn.optim.rule import COUNTER, Group, NewState, Params, State, cast, descent, fusable, is_off

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


@fusable
def _adagrad(p: Any, g: Any, state: State, group: Group) -> NewState:
    g = descent(p, g, group)
    total = state["sum"] + g * g
    rate = group["lr"] / (1 + state["t"] * group["lr_decay"])
    return cast(p, rate) * g / (np.sqrt(total) + group["eps"]), {"sum": total, "t": state["t"] + 1}


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients: rare features take larger steps.

    ::

        s ← s + g²                                        (s = initial_accumulator_value before the first step)
        w ← w − η/(1 + (t − 1) lr_decay) · g/(√s + ε)

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = tn.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.numpy().round(6).tolist()
    [0.9, -19.9]

    Source: J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 12, 2011.
    """

    rule = staticmethod(_adagrad)

    def __init__(
        self, params: Params, lr: float = 0.01, lr_decay: float = 0.0, weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0, eps: float = 1e-10, *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(
            params, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, eps=eps, maximize=maximize,
        )  # fmt: skip

    def _initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        return {"sum": np.full_like(p, group["initial_accumulator_value"]), "t": COUNTER.copy()}


@fusable
def _adadelta(p: Any, g: Any, state: State, group: Group) -> NewState:
    g, rho, eps = descent(p, g, group), group["rho"], group["eps"]
    squares = rho * state["squares"] + (1 - rho) * (g * g)
    step = np.sqrt(state["steps"] + eps) / np.sqrt(squares + eps) * g
    steps = rho * state["steps"] + (1 - rho) * (step * step)
    return cast(p, group["lr"]) * step, {"squares": squares, "steps": steps}


class Adadelta(Optimizer):
    """Steps in the units of the parameter: past steps by past gradients, so that no learning rate has to be found.

    ::

        s ← ρ s + (1 − ρ) g²
        Δ = √(d + ε)/√(s + ε) · g
        d ← ρ d + (1 − ρ) Δ²
        w ← w − η Δ

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor(1.0, requires_grad=True)
    >>> optimizer = tn.optim.Adadelta([w])
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> round(w.item(), 6)
    0.996838

    Source: M. Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701, 2012, Algorithm 1.
    """

    rule = staticmethod(_adadelta)

    def __init__(
        self, params: Params, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0,
        *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def _initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        return {"squares": np.zeros_like(p), "steps": np.zeros_like(p)}


@fusable
def _rmsprop(p: Any, g: Any, state: State, group: Group) -> NewState:
    g, alpha = descent(p, g, group), group["alpha"]
    new = {"squares": alpha * state["squares"] + (1 - alpha) * (g * g)}
    spread = new["squares"]
    if group["centered"]:
        mean = new["mean"] = alpha * state["mean"] + (1 - alpha) * g
        spread = spread - mean * mean
    step = g / (np.sqrt(spread) + group["eps"])
    if not is_off(group["momentum"]):
        step = new["velocity"] = group["momentum"] * state["velocity"] + step
    return cast(p, group["lr"]) * step, new


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradients.

    ::

        s ← α s + (1 − α) g²
        m ← α m + (1 − α) g                (centered: s − m² in place of s below)
        v ← μ v + g/(√s + ε)
        w ← w − η v

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = tn.optim.RMSprop([w], lr=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.numpy().round(6).tolist()
    [0.9, -19.9]

    Source: T. Tieleman, G. Hinton, "Lecture 6.5: rmsprop", Coursera, 2012; centred: A. Graves, "Generating sequences
    with recurrent neural networks", arXiv:1308.0850, 2013, Eqs. 38-41, with ε outside the root as PyTorch has it.
    """

    rule = staticmethod(_rmsprop)

    def __init__(
        self, params: Params, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0,
        momentum: float = 0.0, centered: bool = False, *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered,
            maximize=maximize,
        )  # fmt: skip

    def _initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        names = ["squares"] + ["mean"] * bool(group["centered"]) + ["velocity"] * bool(group["momentum"])
        return {name: np.zeros_like(p) for name in names}
