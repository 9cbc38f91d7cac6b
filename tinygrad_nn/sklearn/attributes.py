"""What there is to see of a fitted estimator: its network as scikit-learn's arrays, and its curves."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinygrad_nn.nn import Sequential
from tinygrad_nn.sklearn.network import dense_layers
from tinygrad_nn.training import History

__all__ = ["Attributes"]


class Attributes:
    """Attributes that are computed of the network, and AttributeError before there is one."""

    model_: Sequential
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    _scores: ClassVar[str] = ""  # what a score is called

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of each layer (inputs, units), as in scikit-learn: views of the network's, W.T."""
        return [layer.W.value.T for layer in self._layers("coefs_")]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of each layer (units,): views of the network's."""
        return [layer.b.value[:, 0] for layer in self._layers("intercepts_")]

    @property
    def n_layers_(self) -> int:
        """The number of layers, that of the inputs included."""
        return len(self._layers("n_layers_")) + 1

    @property
    def n_outputs_(self) -> int:
        """The number of outputs of the network."""
        return self._layers("n_outputs_")[-1].out_features

    @property
    def history_(self) -> History:
        """The curves as `plot.history` takes them; with `early_stopping`, the scores, too."""
        self._layers("history_")
        scores = {f"validation_{self._scores}": list(self.validation_scores_)} if self.validation_scores_ else {}
        return History(loss=list(self.loss_curve_), metrics=scores, monitor=next(iter(scores), "loss"))

    def _layers(self, name: str) -> list[Any]:
        if "model_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {name} before fit")
        return dense_layers(self.model_)
