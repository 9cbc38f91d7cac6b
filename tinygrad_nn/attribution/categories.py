"""Features that are numbers of categories have no derivative: they are explained by the vectors learnt for them.

The number of a category only says which vector is looked up.  So a model that begins with an embedding is asked from
these vectors on, and the contribution of a category is the sum over the numbers of its vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_nn.modes import no_grad
from tinygrad_nn.nn import Embedding, FeatureEmbedding, Module, Predictor, Sequential
from tinygrad_nn.nn.containers import in_order
from tinygrad_nn.nn.embedding import category
from tinygrad_nn.tensor import Tensor

__all__ = ["LookUp", "looked_up", "refuse_lost_categories"]


class LookUp(NamedTuple):
    """The first layer of a network, which makes vectors of categories, and what stands behind it."""

    layer: Embedding | FeatureEmbedding
    behind: Module

    def vectors(self, columns: np.ndarray) -> np.ndarray:
        """What the first layer makes of examples (features, N): (rows, N)."""
        with no_grad():
            return self.layer(columns).numpy()

    def owners(self, features: int) -> np.ndarray:
        """Which feature each row of the vectors belongs to."""
        layer = self.layer
        if isinstance(layer, Embedding):
            return np.repeat(np.arange(features), layer.embedding_dim)
        numbers = [row for row in range(features) if row not in layer.sizes]
        lengths = [part.embedding_dim for part in layer.embeddings]
        return np.concatenate([numbers, np.repeat([*layer.sizes], lengths)]).astype(int)

    def categorical(self, features: int) -> np.ndarray:
        """(features,): which features are numbers of categories."""
        return np.isin(
            np.arange(features), range(features) if isinstance(self.layer, Embedding) else [*self.layer.sizes]
        )


def looked_up(network: Any) -> LookUp | None:
    """The embedding that a network begins with, and the rest of it; None where it does not begin with one."""
    if isinstance(network, Predictor):
        network = network.network
    first, *behind = in_order(network)
    if not isinstance(first, (Embedding, FeatureEmbedding)):
        return None
    rest = Sequential()
    rest.layers = tuple(behind)  # which keep their names
    return LookUp(first, rest)


def refuse_lost_categories(caller: str, output: Any) -> None:
    """TypeError where a model's output, recorded, comes from categories that an embedding within it looks up."""
    if any(op is category for op in _without_derivative(output)):
        raise TypeError(
            f"{caller}: within the model an embedding looks up numbers of categories, and through these no derivative "
            "goes: they would contribute 0. Explained are networks whose first layer it is, as in "
            'Sequential(FeatureEmbedding(...), ...); or Preprocessor(encode="one_hot") makes a feature of each category'
        )


def _without_derivative(output: Any) -> Iterator[Any]:
    """The operations behind an output through which no gradient flows, as the notes beside their results say."""
    seen: set[int] = set()
    waiting = [output]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Tensor) and node.index not in seen:
            seen.add(node.index)
            waiting += node.inputs
            if node._note is not None:
                yield node._note[0]
                waiting += node._note[1]
