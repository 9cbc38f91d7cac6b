"""Online L-BFGS: a quasi-Newton method for mini-batches, which compares gradients of one batch with one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.allowance import claim
from tinygrad_nn.optim.flat import Flat
from tinygrad_nn.optim.optimizer import Optimizer
from tinygrad_nn.optim.rule import Group
from tinygrad_nn.optim.settings import check_settings
from tinygrad_nn.tensor import Tensor, current

__all__ = ["OnlineLBFGS"]


def _direction(g: Any, pairs: Sequence[tuple[Any, Any]], eps: float) -> Any:
    """``−B g``, where B approximates the inverse Hessian by the `pairs` (s, y), oldest first."""
    p = -g
    if not pairs:
        return eps * p
    alphas = []
    for s, y in reversed(pairs):
        alpha = (s @ p) / (s @ y)
        p = p - alpha * y
        alphas.append(alpha)
    p = p * (sum((s @ y) / (y @ y) for s, y in pairs) / len(pairs))  # over all pairs, as each is noisy
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        beta = (y @ p) / (s @ y)
        p = p + (alpha - beta) * s
    return p


class OnlineLBFGS(Optimizer):
    """The limited-memory BFGS method made fit for batches: both gradients of a pair are those of the same batch.

    ::

        p = −B ∇J(w; batch)            B: two-loop recursion over the last pairs (s, y); ε times the identity at first
        s = η p,                       η = lr, or lr · τ/(τ + t − 1) with `tau`
        w ← w + s
        y = ∇J(w + s; batch) − ∇J(w; batch) + λ s

    B starts from the identity times the mean of sᵀy/yᵀy over the pairs.  There is no line search.  The theory is for
    convex J; a pair with sᵀy ≤ 0, as other J may give, is left out.

    Parameters
    ----------
    params : tensors, in one group.
    lr : η₀.
    history_size : number of pairs.
    damping : λ ≥ 0, where the smallest eigenvalues of the Hessian are lost in noise.
    tau : steps after which η has fallen to half; None for a constant η.
    eps : ε: the first step only measures.  For float16 at least 0.01, as a smaller step would be lost in rounding.

    `step(loss)` takes a function: ``loss()`` computes J of the batch, recorded, and is called twice.

    >>> import numpy as np, tinygrad_nn as tn
    >>> w = tn.tensor([1.0, 1.0], requires_grad=True)
    >>> optimizer = tn.optim.OnlineLBFGS([w], lr=1.0)
    >>> for _ in range(12):
    ...     J = optimizer.step(lambda: (np.array([1.0, 100.0]) * w * w).sum())
    >>> bool(J.item() < 1e-12)
    True

    Source: N. Schraudolph, J. Yu, S. Günter, "A stochastic quasi-Newton method for online convex optimization",
    AISTATS 2007: oLBFGS, with c = 1.  Its results are curves without a table of numbers; this is checked, step by step,
    against the paper's formulas with the inverse Hessian as a matrix.
    """

    needs_loss = True

    def __init__(
        self, params: Iterable[Tensor], lr: float = 0.1, history_size: int = 10, damping: float = 0.0,
        tau: float | None = None, eps: float = 1e-10,
    ):  # fmt: skip
        super().__init__(params, lr=lr, history_size=history_size, damping=damping, tau=tau, eps=eps)
        self._flat = Flat(self.param_groups[0]["params"])
        shape = (history_size, self._flat.size)
        claim(shape, shape)
        steps, changes = np.zeros(shape, self._flat.dtype), np.zeros(shape, self._flat.dtype)
        self.state[0].update(s=steps, y=changes, pairs=np.zeros((), int), t=np.zeros((), int))

    def _check(self, group: Group) -> None:
        super()._check(group)
        size, tau = group["history_size"], group["tau"]
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"OnlineLBFGS: history_size={size!r}, expected an int of at least 1")
        if tau is not None:
            check_settings("OnlineLBFGS", {"tau": tau}, {"tau": 1.0})
            if tau <= 0:
                raise ValueError(f"OnlineLBFGS: tau={tau}, expected more than 0, or None")

    def add_param_group(self, group: Group) -> None:
        """One group is all there is: the method sees one vector."""
        if self.param_groups:
            raise ValueError("OnlineLBFGS: all parameters form one vector; give them in a single group")
        super().add_param_group(group)

    def step(self, loss: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """Take one step for the batch whose J ``loss()`` computes, and return J before it.

        Each parameter's `.grad` is then its gradient before the step.
        """
        group, state, flat = self._settings(self.param_groups[0]), current(self.state[0]), self._flat
        size, kept = len(state["s"]), int(state["pairs"])
        pairs = [(state["s"][i % size], state["y"][i % size]) for i in range(max(0, kept - size), kept)]
        J, g = flat.gradient(loss)
        for p, piece in zip(flat.params, flat.split(g), strict=True):
            p.grad = piece.astype(p.dtype) if p.requires_grad else None
        tau = group["tau"]
        eta = group["lr"] * (1.0 if tau is None else tau / (tau + int(state["t"])))
        half = any(p.dtype == np.float16 for p in flat.params)
        eps = max(group["eps"], 0.01 / eta) if half and eta else group["eps"]
        s = flat.zero_where_frozen(eta * _direction(g, pairs, eps))  # pairs may be older than a freeze
        flat.write(flat.read() + s)
        y = flat.gradient(loss)[1] - g + group["damping"] * s
        if s @ y > 0:
            state["s"][kept % size], state["y"][kept % size] = s, y
            state["pairs"][...] = kept + 1
        state["t"][...] = state["t"] + 1
        return J
