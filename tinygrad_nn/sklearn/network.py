"""The network of an estimator: built from its settings, with first weights as scikit-learn's, and read as its arrays."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_nn.nn import Activation, BatchNorm, Dense, Dropout, Sequential

__all__ = ["build_network", "dense_layers"]

_NAMES: dict[Any, Any] = {"logistic": "sigmoid"}  # scikit-learn's name


def build_network(
    sizes: list[int], activation: Any, last: str | None, dropout: float, batch_norm: bool, rng: Any, dtype: Any
) -> Sequential:
    """Dense layers of these sizes, with `activation` between them and `last` at the end.

    Weights are drawn as scikit-learn draws them: W and b uniform within ±√(6/(fan_in + fan_out)).  He's range, which is
    wider, is right for deep networks; a wide layer on few features fits noise with it.
    """
    activation = _NAMES.get(activation, activation) if isinstance(activation, str) else activation
    layers: list[Any] = []
    for i, (n, m) in enumerate(pairwise(sizes)):
        hidden, apart = i < len(sizes) - 2, batch_norm and i < len(sizes) - 2
        layer = Dense(n, m, None if apart else activation if hidden else last, init="glorot_uniform", rng=rng, dtype=dtype)
        limit = np.sqrt(6 / (n + m))
        layer.b.value[...] = rng.uniform(-limit, limit, (m, 1))
        layers.append(layer)
        if apart:
            layers += [BatchNorm(m, dtype=dtype), Activation(activation)]
        if hidden and dropout:
            layers.append(Dropout(dropout, rng=rng))
    return Sequential(*layers)


def dense_layers(model: Sequential) -> list[Dense]:
    """The layers with weights."""
    return [layer for layer in model if isinstance(layer, Dense)]
