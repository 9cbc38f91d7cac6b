"""Parameters as they were during a training, for pictures in which it is played back."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tinygrad_nn.nn.module import Module

__all__ = ["Snapshots"]


class Snapshots:
    """A callback of `tn.fit` that keeps the parameters of a model, for `tn.draw(loss, snapshots=...)`.

    Where there are more than `most`, every second one is given up, and from then on twice as many epochs lie between
    two of them: they always cover the whole training.

    Parameters
    ----------
    model : whose parameters; they are kept at once, as before training, and then after epochs.
    unit : "epoch" or "step", after what they are kept.
    every : after how many of these.
    most : how many are kept at most.

    Attributes
    ----------
    at : after how many epochs or steps each was taken, from 0.
    values : for each parameter its arrays, one for each of `at`.

    Raises
    ------
    TypeError : `model` is no module.
    ValueError : an unknown unit, or `every` or `most` is too small.

    Example
    -------
    >>> import numpy as np, tinygrad_nn as tn
    >>> net = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 1, rng=1))
    >>> snapshots = tn.training.Snapshots(net)
    >>> X, Y = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]]), np.array([[0.0, 1, 1, 0]])
    >>> history = tn.fit(net, "mse", tn.optim.SGD(net.parameters(), lr=0.5), (X, Y), epochs=20, callbacks=[snapshots])
    >>> len(snapshots), snapshots.at[:3], snapshots.at[-1]
    (21, [0, 1, 2], 20)
    """

    def __init__(self, model: Module, unit: Literal["epoch", "step"] = "epoch", every: int = 1, most: int = 200):
        if not isinstance(model, Module):
            raise TypeError(f"Snapshots keeps the parameters of a module, not of a {type(model).__name__}")
        if unit not in ("epoch", "step"):
            raise ValueError(f"Snapshots: unit must be 'epoch' or 'step', not {unit!r}")
        if every < 1 or most < 2:
            raise ValueError(f"Snapshots: every={every} must be at least 1, and most={most} at least 2")
        self.unit, self.every, self.most = unit, every, most
        self.at: list[int] = []
        self.values: dict[Any, list[np.ndarray]] = {p: [] for p in model.parameters()}
        self._count = 0
        self._keep()

    def on_epoch_end(self, epoch: int, history: Any) -> None:
        """Called by `fit`."""
        if self.unit == "epoch":
            self._passed()

    def on_batch_end(self, epoch: int, batch: int, loss: float) -> None:
        """Called by `fit`."""
        if self.unit == "step":
            self._passed()

    def _passed(self) -> None:
        self._count += 1
        if self._count % self.every == 0:
            self._keep()

    def _keep(self) -> None:
        if len(self.at) == self.most:
            self.every *= 2
            self.at = self.at[::2]
            self.values = {p: arrays[::2] for p, arrays in self.values.items()}
            if self._count % self.every:
                return
        self.at.append(self._count)
        for parameter, arrays in self.values.items():
            arrays.append(np.array(parameter.value))

    def __len__(self) -> int:
        return len(self.at)

    def __repr__(self) -> str:
        return f"<{len(self)} snapshots of {len(self.values)} parameters, one after every {self.every} {self.unit}s>"
