"""Update rules that look at one parameter at a time: gradient descent, and what fits the step to the parameter.

In the formulas g is the gradient ∂J/∂w, η the learning rate `lr`, λ `weight_decay`, and t counts steps from 1; what is
remembered starts at 0 unless said otherwise, and all operations are elementwise.  Weight decay adds λw to g, where it
is not decoupled; `maximize` ascends.  Where PyTorch has the rule, names, defaults and results are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.optim.optimizer import Group, Optimizer, elementwise
from tinygrad_nn.tensor import Tensor

__all__ = ["IDBD", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "NAdam", "RMSprop", "Rprop"]

Params = Iterable[Tensor] | Iterable[Group]
Memory = Mapping[str, Any]
New = tuple[Any, dict[str, Any]]

_NOTHING: dict[str, Any] = {}
_COUNTER = np.zeros(())  # a step counter, in float64 whatever the parameter: β₂ᵗ needs the digits


def _like(p: Any, x: Any) -> Any:
    """A number that leaves the dtype of `p` alone: Python's are weak, what was computed from a counter is rounded."""
    return x if type(x) is float or type(x) is int else x.astype(p.dtype)


def _slope(p: Any, g: Any, group: Group) -> Any:
    """The gradient to descend: turned round to maximise, with λw for weight decay."""
    if group["maximize"]:
        g = -g
    return g + group["weight_decay"] * p if group["weight_decay"] else g


# --- gradient descent ------------------------------------------------------------------------------------------------


@elementwise
def _sgd(p: Any, g: Any, state: Memory, group: Group) -> New:
    lr = group["lr"]
    if type(lr) is not float:
        lr = _like(p, lr)
    if group["maximize"] or group["weight_decay"]:
        g = _slope(p, g, group)
    momentum = group["momentum"]
    if not momentum:
        return lr * g, _NOTHING
    fresh = g
    if group["dampening"]:
        fresh = _like(p, 1 - group["dampening"] * (state["t"] > 0)) * g
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

    Source: the founding text's "Gradient Descent Parameter Updates"; B. Polyak, "Some methods of speeding up the
    convergence of iteration methods", 1964; I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of
    initialization and momentum in deep learning", ICML 2013, for Nesterov's in this form.
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
        return {"velocity": np.zeros_like(p), "t": _COUNTER.copy()} if group["momentum"] else {}


# --- steps divided by the size of past gradients ---------------------------------------------------------------------


@elementwise
def _adagrad(p: Any, g: Any, state: Memory, group: Group) -> New:
    g = _slope(p, g, group)
    total = state["sum"] + g * g
    rate = group["lr"] / (1 + state["t"] * group["lr_decay"])
    return _like(p, rate) * g / (np.sqrt(total) + group["eps"]), {"sum": total, "t": state["t"] + 1}


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
        return {"sum": np.full_like(p, group["initial_accumulator_value"]), "t": _COUNTER.copy()}


@elementwise
def _adadelta(p: Any, g: Any, state: Memory, group: Group) -> New:
    g, rho, eps = _slope(p, g, group), group["rho"], group["eps"]
    squares = rho * state["squares"] + (1 - rho) * (g * g)
    step = np.sqrt(state["steps"] + eps) / np.sqrt(squares + eps) * g
    steps = rho * state["steps"] + (1 - rho) * (step * step)
    return _like(p, group["lr"]) * step, {"squares": squares, "steps": steps}


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


@elementwise
def _rmsprop(p: Any, g: Any, state: Memory, group: Group) -> New:
    g, alpha = _slope(p, g, group), group["alpha"]
    new = {"squares": alpha * state["squares"] + (1 - alpha) * (g * g)}
    spread = new["squares"]
    if group["centered"]:
        mean = new["mean"] = alpha * state["mean"] + (1 - alpha) * g
        spread = spread - mean * mean
    step = g / (np.sqrt(spread) + group["eps"])
    if group["momentum"]:
        step = new["velocity"] = group["momentum"] * state["velocity"] + step
    return _like(p, group["lr"]) * step, new


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


# --- Adam and its kin ------------------------------------------------------------------------------------------------


@elementwise
def _adam(p: Any, g: Any, state: Memory, group: Group) -> New:
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
    step = _like(p, group["lr"] * root / (1 - np.power(beta1, t))) * m / (np.sqrt(v) + _like(p, group["eps"] * root))
    if decay and group["decoupled_weight_decay"]:
        step = step + _like(p, group["lr"] * decay) * p
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
        return {name: np.zeros_like(p) for name in names} | {"t": _COUNTER.copy()}


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


@elementwise
def _nadam(p: Any, g: Any, state: Memory, group: Group) -> New:
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
    ahead = _like(p, lr * mu_next / (1 - product * mu_next)) * m + _like(p, lr * (1 - mu) / (1 - product)) * g
    step = ahead / (np.sqrt(v / _like(p, 1 - np.power(beta2, t))) + group["eps"])
    if decay and group["decoupled_weight_decay"]:
        step = step + _like(p, lr * decay) * p
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
        return {"m": np.zeros_like(p), "v": np.zeros_like(p), "t": _COUNTER.copy(), "mu_product": np.ones(())}


# --- a step size of its own for each parameter -----------------------------------------------------------------------


@elementwise
def _rprop(p: Any, g: Any, state: Memory, group: Group) -> New:
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

    def _initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        return {"g": np.zeros_like(p), "size": np.full_like(p, group["lr"])}


def _idbd(p: Any, g: Any, state: Memory, group: Group) -> New:
    curvature = state["curvature"] if "curvature" in state else g * g
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
    """

    rule = staticmethod(_idbd)

    def __init__(self, params: Params, lr: float = 0.05, theta: float = 0.01):
        super().__init__(params, lr=lr, theta=theta)

    def _check(self, group: Group) -> None:
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
        for state, c in zip(self.state, given, strict=True):
            if c is not None:
                state["curvature"] = np.asarray(c, state["h"].dtype)
        super().step()
        for state in self.state:
            state.pop("curvature", None)
