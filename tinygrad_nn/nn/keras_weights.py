"""Weights from and to Keras: lists as of `get_weights`, or arrays by name; Keras itself is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from tinygrad_nn.nn.layer_weights import Layer, Slot, assigned, layers_of, matched, plain, prefixes
from tinygrad_nn.nn.module import Module

__all__ = ["from_keras_weights", "to_keras_weights"]

Network = TypeVar("Network", bound=Module)
KEPT = ("seed_generator_state",)  # of dropout, which is no weight


def from_keras_weights(
    weights: Sequence[Any] | Mapping[str, Any], model: Network, *,
    names: Mapping[str, str] | Sequence[str] | None = None,
) -> Network:  # fmt: skip
    """Write the weights of a Keras model into a model of the same layers, which is returned.

    Parameters
    ----------
    weights : ``keras_model.get_weights()``, in order; or arrays by name, ``{w.path: w for w in keras_model.weights}``.
    model : has layers with weights of the same kinds and sizes, in the same order.  Its dtype stays.
    names : of arrays by name, what Keras calls each of our layers with weights; see `from_torch_state`.

    Kernels are transposed: (in, out) becomes W (out, in), and that of a convolution, (height, width, in, out), becomes
    (out, in, height, width).  Vectors become columns.

    What is no weight stays yours: Keras divides by √(σ² + 0.001) in its BatchNormalization and LayerNormalization
    (eps=1e-3), and flattens images in the order (height, width, channels).

    Raises ValueError where the layers are not the same, ShapeError, naming both sides, where their sizes are not.  The
    model is then left as it was.

    >>> import numpy as np, tinygrad_nn as tn
    >>> weights = [np.ones((2, 3)), np.zeros(3)]                      # of keras.layers.Dense(3) on two features
    >>> tn.nn.from_keras_weights(weights, tn.nn.Dense(2, 3)).W.shape
    (3, 2)
    """
    caller = "from_keras_weights"
    layers = layers_of(model)
    if isinstance(weights, Mapping):
        state = {k: plain(x, k, caller) for k, x in weights.items() if not k.endswith(KEPT)}
        pairs = matched(layers, state, prefixes(layers, names, caller), "Keras", caller)
    elif names is not None:
        raise ValueError(f"{caller}: names= is for arrays by name, {{w.path: w for w in keras_model.weights}}")
    else:
        if isinstance(weights, (str, bytes, np.ndarray)) or not hasattr(weights, "__iter__"):
            raise TypeError(
                f"{caller}: weights is of type {type(weights).__name__}, expected keras_model.get_weights()"
            )
        pairs = _in_order(layers, [plain(x, f"weights[{i}]", caller) for i, x in enumerate(weights)], caller)
    assigned(model, pairs, _turned, "Keras", caller)
    return model


def _in_order(
    layers: Sequence[Layer], arrays: Sequence[np.ndarray], caller: str
) -> Iterator[tuple[Layer, Slot, str, np.ndarray]]:
    slots = [(layer, slot) for layer in layers for slot in layer.slots]
    if len(slots) != len(arrays):
        raise ValueError(
            f"{caller}: {len(arrays)} arrays, of shapes {', '.join(str(a.shape) for a in arrays)}, for {len(slots)} "
            f"tensors: {', '.join(f'{slot.path} {slot.tensor.shape}' for _, slot in slots)}"
        )
    for i, ((layer, slot), array) in enumerate(zip(slots, arrays, strict=True)):
        yield layer, slot, f"weights[{i}]", array


def to_keras_weights(model: Module) -> list[np.ndarray]:
    """The weights of a model as a list, in the order and shapes that ``keras_model.set_weights`` takes.

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh"), tn.nn.BatchNorm(3))
    >>> [w.shape for w in tn.nn.to_keras_weights(model)]
    [(2, 3), (3,), (3,), (3,), (3,), (3,)]
    """
    return [np.array(_turned_back(slot)) for layer in layers_of(model) for slot in layer.slots]


def _turned(array: np.ndarray, slot: Slot) -> np.ndarray:
    """Their kernel in our order of axes."""
    if slot.kind == "vector" or array.ndim < 2:
        return array
    return np.moveaxis(array, (-1, -2), (0, 1))


def _turned_back(slot: Slot) -> np.ndarray:
    value = slot.tensor.value
    if slot.kind == "vector":
        column: np.ndarray = value[..., 0]
        return column
    return np.moveaxis(value, (0, 1), (-1, -2)) if value.ndim > 1 else value
