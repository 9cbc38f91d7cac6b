"""What happened in a training, epoch by epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from tinygrad_nn import notebook, tree
from tinygrad_nn.notation import format_number

__all__ = ["History"]


@dataclass(repr=False)
class History:
    """What happened in each epoch of a training; ``history.loss[0]`` is epoch 1.

    `loss` is the mean over the epoch's examples, each seen before its batch's update; `validation_loss` is measured
    after the epoch.  `metrics` holds lists by name, those on validation data as "validation_<name>".
    `gradient_norms` has a list for each parameter: ‖∂J/∂w‖, the root mean square over the epoch's batches, before
    clipping.  `update_ratios` likewise: ‖Δw‖/‖w‖ of the epoch's first step (about 1e-3 is healthy).
    `learning_rate` is that of the epoch's last step, `seconds` how long the epoch took.  Where a training was taken up
    that measured other things, they are NaN in the epochs without them.

    `monitor` says what "best" refers to, and `mode` whether the "min" or the "max" of it is the best; where it does not
    say, the lowest loss or the highest metric is.
    `ended` says why it is over: "epochs", "patience", "callback" or "interrupted"; `note` says why steps could not be
    compiled.  ``history[name]`` finds a list by name: "loss", "validation_loss" or a metric's.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    learning_rate: list[float] = field(default_factory=list)
    gradient_norms: dict[str, list[float]] = field(default_factory=dict)
    update_ratios: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    monitor: str = "loss"
    mode: str = ""
    ended: str = ""
    note: str = ""

    def __len__(self) -> int:
        return len(self.loss)

    def __getitem__(self, name: str) -> list[float]:
        if name in ("loss", "validation_loss", "learning_rate", "seconds"):
            return getattr(self, name)
        if name not in self.metrics:
            raise KeyError(
                f"no {name!r} was recorded; there is {', '.join(['loss', 'validation_loss', *self.metrics])}"
            )
        return self.metrics[name]

    @property
    def interrupted(self) -> bool:
        """True if Ctrl-C ended it."""
        return self.ended == "interrupted"

    @property
    def best_epoch(self) -> int | None:
        """The epoch, counted from 1, of the best value of what is monitored: by `mode` the lowest or the highest."""
        values = self[self.monitor] if self.loss else []
        best = [i for i, v in enumerate(values, 1) if v == v]
        return min(best, key=lambda i: self._sign * values[i - 1]) if best else None

    @property
    def _sign(self) -> int:
        return 1 if self.mode == "min" or (not self.mode and self.monitor in _LOSSES) else -1

    def has_new_best(self, best: int | None) -> bool:
        """Whether the last epoch is better than epoch `best`, the best one before it; without looking at the others."""
        values, sign = self[self.monitor], self._sign
        return values[-1] == values[-1] and (best is None or sign * values[-1] < sign * values[best - 1])

    def append(self, measured: dict[str, Any]) -> None:
        """Add an epoch.

        A training that is taken up may measure other things than before: they are NaN in epochs without them.
        """
        done = len(self)
        losses = {name: measured["metrics"].pop(name) for name in _LOSSES if name in measured["metrics"]}
        for name, lists in ((name, getattr(self, name)) for name, value in measured.items() if isinstance(value, dict)):
            for key in {**lists, **measured[name]}:
                lists.setdefault(key, [math.nan] * done).append(measured[name].get(key, math.nan))
        if "validation_loss" in losses and not self.validation_loss:
            self.validation_loss += [math.nan] * done
        if self.validation_loss or "validation_loss" in losses:
            self.validation_loss.append(losses.get("validation_loss", math.nan))
        self.loss.append(losses["loss"])
        self.learning_rate.append(measured["learning_rate"])
        self.seconds.append(measured["seconds"])

    def keep(self, epochs: int) -> None:
        """Forget what came after so many epochs, and what is there of one that was not added to the end."""
        for each in fields(self):
            part = getattr(self, each.name)
            for values in part.values() if isinstance(part, dict) else [part]:
                if isinstance(values, list):
                    del values[epochs:]

    def as_dict(self) -> dict[str, Any]:
        """Everything as lists and numbers, as JSON can hold it; ``History(**history.as_dict())`` is the way back."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return tree.map(lambda part: list(part) if isinstance(part, list) else part, parts, _is_dict)

    def _repr_html_(self) -> str:
        recorded = {name: self[name] for name in ("loss", "validation_loss", *self.metrics) if self[name]}
        losses = {name: values for name, values in recorded.items() if name in ("loss", "validation_loss")}
        at = self.best_epoch
        rows = [
            (name, *(format_number(values[i]) for i in (0, -1, (at or len(values)) - 1)))
            for name, values in recorded.items()
        ]
        head = ("", "epoch 1", f"epoch {len(self)}", f"epoch {at}, the best" if at else "")
        keys = {(i, 0): notebook.key(i) for i in range(len(losses))}
        summary = notebook.table(rows, head, right=(1, 2, 3), styles=keys) if rows else ""
        return notebook.heading(repr(self)) + notebook.curves(losses) + summary

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no epoch)"
        parts = [f"{len(self)} epoch{'s' * (len(self) > 1)} in {sum(self.seconds):.2g} s"]
        for name in ("loss", "validation_loss", *self.metrics):
            if values := [value for value in self[name] if value == value] or self[name]:
                parts.append(f"{name} {values[0]:.4g} → {values[-1]:.4g}")
        if self.best_epoch is None:
            parts.append(f"{self.monitor} always NaN")
        elif self.best_epoch != len(self):
            parts.append(f"best {self.monitor} in epoch {self.best_epoch}")
        if self.ended not in ("", "epochs"):
            parts.append(f"ended by {self.ended}")
        return f"History({'; '.join(parts)})"


_LOSSES = ("loss", "validation_loss")


def _is_dict(part: Any) -> bool:
    return isinstance(part, dict)
