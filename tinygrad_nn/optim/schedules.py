"""Learning-rate schedules: the value of ``group["lr"]`` after so many epochs or steps.

Names and numbers are PyTorch's.  Except for the plateau, the rate is a formula of t, the number of calls of `step()`.
So a resumed schedule goes on exactly, and of several schedules the one stepped last sets the rate.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_nn.modes import at_each_replay
from tinygrad_nn.optim.optimizer import Optimizer
from tinygrad_nn.optim.settings import check_settings
from tinygrad_nn.tensor import Tensor

__all__ = [
    "CosineAnnealingLR", "ExponentialLR", "LinearLR", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "Schedule",
    "SequentialLR", "StepLR",
]  # fmt: skip


class Schedule:
    """Base of the schedules: a formula for the learning rate of each group after t calls of `step()`.

    Parameters
    ----------
    optimizer : whose groups' "lr" is set, now and at each call; it also keeps "initial_lr", the η₀ of the formulas.
    """

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = 0
        self._set()

    def rate(self, i: int, t: int) -> float:
        """The learning rate of group i after t calls of `step()`."""
        raise NotImplementedError

    def _set(self) -> None:
        for i, group in enumerate(self.optimizer.param_groups[: len(self.base_lrs)]):
            group["lr"] = self.rate(i, self.last_epoch)

    @at_each_replay
    def step(self) -> None:
        """Go on by one: to be called after the optimiser's step, or at the end of an epoch."""
        self.last_epoch += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """The learning rates of the groups as they are now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """How far it is; the settings are those it is made with."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from where `state_dict()` was taken; ValueError or TypeError for what is no state of this schedule."""
        here, caller = self.state_dict(), type(self).__name__
        if saved.keys() != here.keys():
            raise ValueError(
                f"{caller}.load_state_dict: expected {', '.join(here)}, got {', '.join(saved) or 'nothing'}"
            )
        check_settings(caller, saved, here)
        if min(rates := [*saved["base_lrs"], *saved.get("lrs", ())]) < 0:
            raise ValueError(f"{caller}.load_state_dict: a rate of {min(rates)}, expected at least 0")
        self.last_epoch, self.base_lrs = saved["last_epoch"], list(saved["base_lrs"])
        self._set()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(after {self.last_epoch} steps: lr={self.get_last_lr()})"


class StepLR(Schedule):
    """``η₀ γ^⌊t/step_size⌋``: multiplied by γ every `step_size` epochs.

    >>> import tinygrad_nn as tn
    >>> optimizer = tn.optim.SGD([tn.tensor(0.0, requires_grad=True)], lr=1.0)
    >>> schedule = tn.optim.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(optimizer.param_groups[0]["lr"])
    ...     schedule.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, i: int, t: int) -> float:
        """η₀ γ^⌊t/step_size⌋."""
        return self.base_lrs[i] * self.gamma ** (t // self.step_size)


class MultiStepLR(Schedule):
    """``η₀ γ^k``, where k of the `milestones` have been reached.

    >>> import tinygrad_nn as tn
    >>> schedule = tn.optim.MultiStepLR(tn.optim.SGD([tn.tensor(0.0, requires_grad=True)], lr=1.0), [1, 3], gamma=0.5)
    >>> [schedule.rate(0, t) for t in range(5)]
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1):
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def rate(self, i: int, t: int) -> float:
        """η₀ γ^k."""
        return self.base_lrs[i] * self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(Schedule):
    """``η₀ γᵗ``.

    >>> import tinygrad_nn as tn
    >>> schedule = tn.optim.ExponentialLR(tn.optim.SGD([tn.tensor(0.0, requires_grad=True)], lr=1.0), gamma=0.5)
    >>> [schedule.rate(0, t) for t in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float):
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, i: int, t: int) -> float:
        """η₀ γᵗ."""
        return self.base_lrs[i] * self.gamma**t


class LinearLR(Schedule):
    """Warm-up: from ``start_factor η₀`` in equal steps to ``end_factor η₀`` after `total_iters`, then constant.

    For a warm-up followed by another schedule, see `SequentialLR`.

    >>> import tinygrad_nn as tn
    >>> schedule = tn.optim.LinearLR(tn.optim.SGD([tn.tensor(0.0, requires_grad=True)], lr=1.0), 0.5, total_iters=2)
    >>> [schedule.rate(0, t) for t in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ):
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(
                f"LinearLR: start_factor={start_factor}, end_factor={end_factor}, expected from 0 to 1, start above 0"
            )
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate(self, i: int, t: int) -> float:
        """η₀ (start + (end − start) min(t, total)/total)."""
        part = min(t, self.total_iters) / self.total_iters
        return self.base_lrs[i] * (self.start_factor + (self.end_factor - self.start_factor) * part)


class CosineAnnealingLR(Schedule):
    """``η_min + (η₀ − η_min)(1 + cos(π t/T_max))/2``: half a wave down within `T_max`, then up again.

    >>> import tinygrad_nn as tn
    >>> schedule = tn.optim.CosineAnnealingLR(tn.optim.SGD([tn.tensor(0.0, requires_grad=True)], lr=1.0), T_max=4)
    >>> [round(schedule.rate(0, t), 3) for t in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]

    Source: I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, Eq. 5.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, i: int, t: int) -> float:
        """η_min + (η₀ − η_min)(1 + cos(π t/T_max))/2."""
        return self.eta_min + (self.base_lrs[i] - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class SequentialLR(Schedule):
    """One schedule after the other: from each of the `milestones` on, the next of `schedulers`, from its t = 0.

    >>> import tinygrad_nn as tn
    >>> optimizer = tn.optim.SGD([tn.tensor(0.0, requires_grad=True)], lr=1.0)
    >>> warm_up = tn.optim.LinearLR(optimizer, 0.5, total_iters=2)
    >>> decay = tn.optim.ExponentialLR(optimizer, 0.5)
    >>> schedule = tn.optim.SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> [schedule.rate(0, t) for t in range(5)]
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]):
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedulers and {len(milestones)} milestones, expected one less"
            )
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer)

    def rate(self, i: int, t: int) -> float:
        """That of the schedule whose turn it is."""
        turn = bisect_right(self.milestones, t)
        return self.schedulers[turn].rate(i, t - (self.milestones[turn - 1] if turn else 0))


class OneCycleLR(Schedule):
    """Up to `max_lr` and far down again within `total_steps`, momentum the other way: step it after each batch.

    From ``max_lr/div_factor`` up to `max_lr` within the first part `pct_start`, then down to a `final_div_factor`-th of
    the start.  Momentum (β₁ of Adam and its relatives) goes from `max_momentum` to `base_momentum` and back.

    Parameters
    ----------
    max_lr : one for all groups, or one for each.
    total_steps : or ``epochs * steps_per_epoch``.
    anneal_strategy : "cos" or "linear".
    three_phase : go down as slowly as up, then further down, instead of all the way at once.

    >>> import tinygrad_nn as tn
    >>> optimizer = tn.optim.SGD([tn.tensor(0.0, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> schedule = tn.optim.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> [round(schedule.rate(0, t), 3) for t in range(10)]
    [0.04, 0.52, 1.0, 0.95, 0.812, 0.611, 0.389, 0.188, 0.05, 0.0]

    Source: L. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large learning rates",
    arXiv:1708.07120, 2017.
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | Sequence[float], total_steps: int | None = None,
        epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: float = 0.85,
        max_momentum: float = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4, three_phase: bool = False,
    ):  # fmt: skip
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if total_steps < 1 or not 0 <= pct_start <= 1 or anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"OneCycleLR: total_steps={total_steps}, pct_start={pct_start}, anneal_strategy={anneal_strategy!r}; "
                "expected at least 1 step, a part from 0 to 1, and 'cos' or 'linear'"
            )
        groups = optimizer.param_groups
        if cycle_momentum and any(not g.get("momentum") and "betas" not in g for g in groups):
            raise ValueError(
                "OneCycleLR: a group has no momentum to cycle; make the optimiser with one, or cycle_momentum=False"
            )
        self.total_steps, self.anneal_strategy, self.cycle_momentum = total_steps, anneal_strategy, cycle_momentum
        highest = [float(x) for x in max_lr] if isinstance(max_lr, Sequence) else [float(max_lr)] * len(groups)
        for group, top in zip(groups, highest, strict=True):
            group["initial_lr"] = top / div_factor
        ends = [(top / div_factor, top, top / div_factor / final_div_factor) for top in highest]
        momenta = (max_momentum, base_momentum)
        up = pct_start * total_steps - 1
        if three_phase:  # (last step, rates from and to, momentum from and to)
            down = 2 * pct_start * total_steps - 2
            self._phases = [
                [
                    (up, a, b, *momenta),
                    (down, b, a, *momenta[::-1]),
                    (total_steps - 1, a, c, max_momentum, max_momentum),
                ]
                for a, b, c in ends
            ]
        else:
            self._phases = [[(up, a, b, *momenta), (total_steps - 1, b, c, *momenta[::-1])] for a, b, c in ends]
        super().__init__(optimizer)

    def _between(self, start: float, end: float, part: float) -> float:
        if self.anneal_strategy == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2 * (math.cos(math.pi * part) + 1)

    def _at(self, i: int, t: int) -> tuple[float, float]:
        """Learning rate and momentum of group i after t steps."""
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR: step {t} of a cycle of {self.total_steps}; make a longer one")
        begin, phases = 0.0, self._phases[i]
        last, rate, next_rate, momentum, next_momentum = phases[-1]
        for phase in phases:
            if t <= phase[0]:
                last, rate, next_rate, momentum, next_momentum = phase
                break
            begin = phase[0] if phase is not phases[-1] else begin
        part = (t - begin) / (last - begin)
        return self._between(rate, next_rate, part), self._between(momentum, next_momentum, part)

    def rate(self, i: int, t: int) -> float:
        """Between the ends of the phase that t lies in."""
        return self._at(i, t)[0]

    def _set(self) -> None:
        for i, group in enumerate(self.optimizer.param_groups[: len(self.base_lrs)]):
            group["lr"], momentum = self._at(i, self.last_epoch)
            if self.cycle_momentum and "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            elif self.cycle_momentum:
                group["momentum"] = momentum


class ReduceLROnPlateau(Schedule):
    """Multiply the rate by `factor` when a quantity, given to `step`, has not become better for `patience` epochs.

    Parameters
    ----------
    mode : "min" if smaller is better, "max" if larger is.
    threshold : what counts as better: by that part ("rel") or that amount ("abs", see `threshold_mode`).
    cooldown : epochs to wait after a reduction before counting again.
    min_lr : never below, one for all groups or one for each.
    eps : a smaller reduction is left out.

    >>> import tinygrad_nn as tn
    >>> optimizer = tn.optim.SGD([tn.tensor(0.0, requires_grad=True)], lr=1.0)
    >>> schedule = tn.optim.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> optimizer.param_groups[0]["lr"]
    0.1
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10, threshold: float = 1e-4,
        threshold_mode: str = "rel", cooldown: int = 0, min_lr: float | Sequence[float] = 0.0, eps: float = 1e-8,
    ):  # fmt: skip
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs") or not factor < 1:
            raise ValueError(
                f"ReduceLROnPlateau: mode={mode!r}, threshold_mode={threshold_mode!r}, factor={factor}; "
                "expected 'min' or 'max', 'rel' or 'abs', and a factor below 1"
            )
        self.mode, self.factor, self.patience, self.cooldown, self.eps = mode, factor, patience, cooldown, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        n = len(optimizer.param_groups)
        self.min_lrs = list(min_lr) if isinstance(min_lr, Sequence) else [min_lr] * n
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer)

    def _set(self) -> None:
        """Nothing: the rate follows from what happened, not from t."""

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            return sign * value < sign * self.best * (1 - sign * self.threshold)
        return sign * value < sign * self.best - self.threshold

    @at_each_replay
    def step(self, value: Any) -> None:
        """Go on by one epoch, in which the quantity was `value`: a number, or a tensor of one."""
        value = float(value.item() if isinstance(value, Tensor) else value)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                rate = max(group["lr"] * self.factor, least)
                if group["lr"] - rate > self.eps:
                    group["lr"] = rate
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, what is being counted, and the rates."""
        names = ("best", "num_bad_epochs", "cooldown_counter")
        return {**super().state_dict(), **{name: getattr(self, name) for name in names}, "lrs": self.get_last_lr()}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from where `state_dict()` was taken."""
        super().load_state_dict(saved)
        self.best, self.num_bad_epochs = saved["best"], saved["num_bad_epochs"]
        self.cooldown_counter = saved["cooldown_counter"]
        for group, rate in zip(self.optimizer.param_groups, saved["lrs"], strict=True):
            group["lr"] = rate
