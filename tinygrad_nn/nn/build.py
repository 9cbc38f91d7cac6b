"""Modules and optimisers rebuilt from a configuration, or from a checkpoint."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

import tinygrad_nn
from tinygrad_nn import checkpoint, optim
from tinygrad_nn.allowance import allowance
from tinygrad_nn.checkpoint import CheckpointError
from tinygrad_nn.nn.containers import Flatten, Residual, Sequential
from tinygrad_nn.nn.dense import Activation, Dense
from tinygrad_nn.nn.dropout import Dropout
from tinygrad_nn.nn.embedding import Embedding, FeatureEmbedding
from tinygrad_nn.nn.module import Module
from tinygrad_nn.nn.normalization import BatchNorm, LayerNorm
from tinygrad_nn.nn.predictor import Predictor
from tinygrad_nn.nn.stateless import tie

__all__ = ["build", "load"]

_COPIES = 16  # so many times the numbers of a file may be made for its tied weights, which are one afterwards

_LAYERS: dict[str, Callable[..., Module]] = {
    layer.__name__: layer
    for layer in (
        Activation,
        BatchNorm,
        Dense,
        Dropout,
        Embedding,
        FeatureEmbedding,
        Flatten,
        LayerNorm,
        Residual,
        Sequential,
    )
} | {"Predictor": Predictor.from_settings}
_ONLY_PART = {"Residual": "f", "Predictor": "network"}  # the attribute that holds all there is


def build(config: dict[str, Any], *, without: Collection[str] = (), path: str = "") -> Module:
    """The module of this configuration, with fresh parameters: the way back from `Module.config()`.

    At the paths in `without`, which are below `path`, stands an identity: a part that is elsewhere already.

    Raises ValueError for a type that is not a layer of this package: no other name is ever looked up.

    >>> import tinygrad_nn as tn
    >>> tn.nn.build({"type": "Dense", "in_features": 2, "out_features": 3, "activation": "relu"})
    Dense(2, 3, relu): 9 parameters
    """
    settings = dict(config)
    kind = settings.pop("type", None)
    if kind not in _LAYERS:
        raise ValueError(f"build: there is no layer of type {kind!r}; expected one of {', '.join(_LAYERS)}")
    if path and path in without:
        return Activation("identity")
    inner, before = settings.pop("layers", ()), f"{path}." * bool(path)
    paths = [before + _ONLY_PART.get(kind, f"layers.{i}") for i in range(len(inner))]
    layers = [build(layer, without=without, path=at) for layer, at in zip(inner, paths, strict=True)]
    return _LAYERS[kind](*layers, **settings)


def load(path: str | os.PathLike) -> Any:
    """The model of a file, rebuilt; where the file holds an optimiser too, the pair (model, optimiser).

    Raises CheckpointError for a file that is not a whole checkpoint of this version, does not say how to rebuild, or
    describes a model of more numbers than it holds.

    >>> import tempfile, tinygrad_nn as tn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tn.nn.load(tn.nn.Dense(2, 3, "tanh").save(f"{folder}/layer.npz"))
    Dense(2, 3, tanh): 9 parameters
    """
    found = checkpoint.read(path)
    if found.architecture is None:
        raise CheckpointError(
            f"{path} does not say how to rebuild its model ({found.reason}); model.load(path) fills one that you make"
        )
    by, here = found.library, tinygrad_nn.__version__
    other = f" (tinygrad_nn {by} wrote it, this is {here})" if by not in ("", here) else ""
    with checkpoint.refusing(path, f"cannot be rebuilt here: {{}}{other}"):
        model = _tied_as(found)
        if found.optimizer is None:
            optimizer = None
        else:
            with allowance(found.optimizer["state"]["state"]):
                optimizer = _optimizer(found.optimizer, dict(model.named_tensors()))
    checkpoint.load_into(path, found, model, optimizer)
    return (model, optimizer) if optimizer else model


def _tied_as(found: checkpoint.Checkpoint) -> Module:
    """The model of a file, with its tied weights and shared parts; a file cannot make it much larger than itself."""
    assert found.architecture is not None
    size = sum(array.size for array in found.state.values())
    tensors = {paths[0]: paths[1:] for paths in found.tied if paths[0] in found.state}
    copies = sum(found.state[name].size * len(others) for name, others in tensors.items())
    if copies > _COPIES * size:
        raise ValueError(
            f"its tied weights are {copies:,} numbers in a model of {size:,}; make it, and model.load(path)"
        )
    parts = [paths for paths in found.tied if paths[0] not in found.state]
    with allowance([found.state, [np.broadcast_to(0, copies)]]):
        model = build(found.architecture, without={path for paths in parts for path in paths[1:]})
    tie(model, found.tied)
    return model


def _optimizer(saved: dict[str, Any], tensors: dict[str, Any]) -> optim.Optimizer:
    """A new optimiser of these parameters, of the class and with the settings of a saved one."""
    kind = saved["type"]
    make = getattr(optim, kind) if kind in optim.__all__ else None
    if not (isinstance(make, type) and issubclass(make, optim.Optimizer)):
        raise ValueError(f"there is no optimiser {kind!r} in tn.optim")
    groups = []
    for names, settings in zip(saved["params"], saved["state"]["param_groups"], strict=True):
        if None in names:
            raise ValueError("its optimiser changes a parameter that is not the model's; make both and restore them")
        params = [tensors[name] for name in names]
        for p in params:
            p.requires_grad = True  # as it was when the optimiser was made; what has been frozen since will be again
        groups.append({**settings, "params": params})
    takes = inspect.signature(make).parameters.keys() - {"params"}
    return make(groups, **{name: value for name, value in groups[0].items() if name in takes})
