"""A callback that writes a training's history for TensorBoard."""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np

from tinygrad_nn.nn import Module
from tinygrad_nn.training.history import History

__all__ = ["TensorBoard"]


class TensorBoard:
    """Write what `fit` measures after each epoch, to be seen by ``tensorboard --logdir FOLDER``.

    Scalars are "loss/training" and "loss/validation", "<metric>/training" and "<metric>/validation", "learning_rate",
    "seconds", and for each parameter "gradient_norm/<name>" and "update_ratio/<name>".  A training that is resumed goes
    on in the same folder: what was written after its checkpoint is replaced.

    Parameters
    ----------
    folder : where to write; each run should have a folder of its own within the one that TensorBoard looks at.
    model : its parameters are written as histograms, too, if it is given.

    Raises
    ------
    ImportError : tensorboardX is not installed (extra `tensorboard`).
    TypeError : `model` is no module.

    ``tn.fit(..., callbacks=[tn.training.TensorBoard("runs/first", model)])``
    """

    def __init__(self, folder: str | os.PathLike[str], model: Module | None = None):
        if model is not None and not isinstance(model, Module):
            raise TypeError(f"TensorBoard: model is of type {type(model).__name__}, expected a tn.nn.Module")
        try:
            self._open = importlib.import_module("tensorboardX").SummaryWriter
        except ImportError:
            raise ImportError("TensorBoard needs tensorboardX: pip install 'tinygrad_nn[tensorboard]'") from None
        self.folder, self.model = os.fspath(folder), model
        self._writer: Any = None

    def on_epoch_end(self, epoch: int, history: History) -> None:
        """Called by `fit`."""
        if self._writer is None:
            self._writer = self._open(self.folder, purge_step=epoch if epoch > 1 else None)
        for name, number in _scalars(history):
            self._writer.add_scalar(name, number, epoch)
        for name, parameter in [] if self.model is None else self.model.named_parameters():
            self._writer.add_histogram(name, np.asarray(parameter.value, np.float64), epoch)
        self._writer.flush()

    def on_train_end(self, history: History) -> None:
        """Called by `fit`."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _scalars(history: History) -> list[tuple[str, float]]:
    """The numbers of the last epoch, by the names that TensorBoard groups them by."""
    found = []
    for name in ("loss", "validation_loss", *history.metrics):
        if history[name]:
            of = name.removeprefix("validation_")
            found.append((f"{of}/{'training' if of == name else 'validation'}", history[name][-1]))
    found += [("learning_rate", history.learning_rate[-1]), ("seconds", history.seconds[-1])]
    for group, lists in (("gradient_norm", history.gradient_norms), ("update_ratio", history.update_ratios)):
        found += [(f"{group}/{name}", values[-1]) for name, values in lists.items()]
    return found
