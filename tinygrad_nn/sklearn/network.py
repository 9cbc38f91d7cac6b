"""The network of an estimator: built from its settings, with the first weights of scikit-learn's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_nn.nn import Activation, BatchNorm, Dense, Dropout, Sequential

__all__ = ["build_network", "dense_layers", "refuse_single_rows"]

_NAMES: dict[Any, Any] = {"logistic": "sigmoid"}  # scikit-learn's name


def build_network(
    sizes: Sequence[int],
    activation: Any,
    last: str | None,
    dropout: float,
    batch_norm: bool,
    random: np.random.RandomState,
    dtype: Any,
) -> Sequential:
    """Dense layers of these sizes, with `activation` between them and `last` at the end.

    W and b are those that scikit-learn draws of the same RandomState: uniform within ±√(6/(fan_in + fan_out)), or
    ±√(2/...) for its "logistic".  He's range, which is wider, is right for deep networks; a wide layer on few features
    fits noise with it.
    """
    six = 2 if activation == "logistic" else 6
    rng = np.random.default_rng(random.randint(2**31)) if dropout else None
    activation = _NAMES.get(activation, activation) if isinstance(activation, str) else activation
    layers: list[Any] = []
    for i, (n, m) in enumerate(pairwise(sizes)):
        hidden, apart = i < len(sizes) - 2, batch_norm and i < len(sizes) - 2
        layer = Dense(n, m, None if apart else activation if hidden else last, init="zeros", dtype=dtype)
        limit = np.sqrt(six / (n + m))
        layer.W.value[...] = random.uniform(-limit, limit, (n, m)).T
        layer.b.value[...] = random.uniform(-limit, limit, (m, 1))  # type: ignore[union-attr]
        layers.append(layer)
        if apart:
            layers += [BatchNorm(m, dtype=dtype), Activation(activation)]
        if hidden and dropout:
            layers.append(Dropout(dropout, rng=rng))
    return Sequential(*layers)


def dense_layers(model: Sequential) -> list[Dense]:
    """The layers with weights."""
    return [layer for layer in model if isinstance(layer, Dense)]


def refuse_single_rows(estimator: Any, n: int, size: int) -> None:
    """ValueError for batches of one row, which have no variance that batch norm could divide by."""
    if min(n, size) == 1 and any(isinstance(layer, BatchNorm) for layer in estimator.model_):
        given = "X has 1 sample" if n == 1 else "batch_size=1"
        raise ValueError(
            f"{type(estimator).__name__}: batch_norm=True needs batches of 2 rows or more, for their variance, and "
            f"{given}: give more, or take batch_norm=False"
        )
