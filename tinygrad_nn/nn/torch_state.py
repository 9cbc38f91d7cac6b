"""Weights from and to PyTorch: state dicts, and safetensors files of them; PyTorch itself is not needed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from tinygrad_nn import checkpoint
from tinygrad_nn.nn.layer_weights import Slot, assigned, layers_of, matched, plain, prefixes
from tinygrad_nn.nn.module import Module
from tinygrad_nn.nn.normalization import BatchNorm

__all__ = ["from_torch_state", "to_torch_state"]

Network = TypeVar("Network", bound=Module)
COUNT = "num_batches_tracked"  # which PyTorch reads where the momentum is None


def from_torch_state(
    state: Mapping[str, Any] | str | os.PathLike,
    model: Network,
    *,
    names: Mapping[str, str] | Sequence[str] | None = None,
) -> Network:
    """Write the weights of a PyTorch model into a model of the same layers, which is returned.

    Parameters
    ----------
    state : `torch_model.state_dict()`: tensors or arrays by name; or the path of a .safetensors file of one.
    model : has layers with weights of the same kinds and sizes, in the same order.  Its dtype stays.
    names : says which belong together where the order does not: what PyTorch calls each of our layers with weights, in
        order, ``["fc1", "norm", "fc2"]``, or by our path, ``{"layers.0": "fc1"}``.  Of a tensor by itself the whole
        name, ``{"kernel": "conv.weight"}``.

    Weights keep their shape: W of `Dense` is `weight` of Linear, (out, in), and the kernel of a convolution is
    (out, in, height, width).  Vectors become columns.  The table
    of an Embedding is turned.  γ and β of BatchNorm and LayerNorm are `weight` and `bias`.

    Raises ValueError where the layers are not the same, ShapeError, naming both sides, where their sizes are not,
    CheckpointError for a damaged file.  The model is then left as it was.

    >>> import numpy as np, tinygrad_nn as tn
    >>> state = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3)}     # of torch.nn.Linear(2, 3) in a Sequential
    >>> model = tn.nn.from_torch_state(state, tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh")))
    >>> model[0].b.shape
    (3, 1)
    """
    caller = "from_torch_state"
    if isinstance(state, (str, os.PathLike)):
        state = checkpoint.read_arrays(state)
    if not isinstance(state, Mapping):
        raise TypeError(
            f"{caller}: state is of type {type(state).__name__}, expected a mapping such as torch_model.state_dict(), "
            "or the path of a .safetensors file"
        )
    arrays = {key: plain(x, key, caller) for key, x in state.items() if key.rpartition(".")[2] != COUNT}
    layers = layers_of(model)
    pairs = matched(layers, arrays, prefixes(layers, names, caller), "PyTorch", caller)
    assigned(model, pairs, _turned, "PyTorch", caller)
    return model


def _turned(array: np.ndarray, slot: Slot) -> np.ndarray:
    return array.T if slot.kind == "table" else array


def to_torch_state(
    model: Module, path: str | os.PathLike | None = None, *, names: Mapping[str, str] | Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """The weights of a model as a state dict of PyTorch: arrays by name.

    Parameters
    ----------
    model : of the layers of this package, or with tensors of its own, which keep their names and shapes.
    path : a .safetensors file to write, too.
    names : of the layers with weights, as in `from_torch_state`.  By default those of a ``torch.nn.Sequential`` in
        which each activation is a layer of its own: ``Sequential(Dense(2, 3, "tanh"), Dense(3, 1))`` has the weights of
        ``Sequential(Linear(2, 3), Tanh(), Linear(3, 1))``, "0.weight", "0.bias", "2.weight", "2.bias".

    ``torch_model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})`` takes it.

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh"), tn.nn.Dense(3, 1))
    >>> {name: array.shape for name, array in tn.nn.to_torch_state(model).items()}
    {'0.weight': (3, 2), '0.bias': (3,), '2.weight': (1, 3), '2.bias': (1,)}
    """
    layers = layers_of(model)
    given = prefixes(layers, names, "to_torch_state") or {}
    state: dict[str, np.ndarray] = {}
    for layer in layers:
        prefix = given.get(layer.path, layer.theirs)
        for slot in layer.slots:
            name = given.get(slot.path, f"{prefix}.{slot.names[0]}" if prefix else slot.names[0])
            if name in state:
                raise ValueError(f"to_torch_state: two tensors, of which one is {slot.path}, would be called {name!r}")
            value = slot.tensor.value
            state[name] = np.array(value[..., 0] if slot.kind == "vector" else _turned(value, slot))
        if isinstance(layer.module, BatchNorm):
            state[f"{prefix}.{COUNT}" if prefix else COUNT] = np.array(0)
    if path is not None:
        checkpoint.write_arrays(path, state)
    return state
