"""Checkpoints: a model, its optimiser and what else a run needs, in one file that is whole or not there.

A file holds arrays and one JSON text, never code, and reading it runs nothing that it contains.  The suffix says how:
``.safetensors`` (the default; extra `safetensors`) or ``.npz`` (NumPy's own, without pickle).

>>> import tempfile, pathlib, tinygrad_nn as tn
>>> from tinygrad_nn import checkpoint
>>> model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 1, rng=1))
>>> with tempfile.TemporaryDirectory() as folder:
...     path = checkpoint.save(pathlib.Path(folder) / "model.npz", model, extra={"epoch": 7})
...     copy = checkpoint.load(path)
...     checkpoint.read(path).extra
{'epoch': 7}
>>> bool((copy[0].W.data == model[0].W.data).all())
True
"""

from __future__ import annotations

import importlib
import io
import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Checkpoint", "CheckpointError", "load", "read", "restore", "save"]

VERSION = 1
_KEY = "tinygrad_nn"  # what the JSON text is called in a file
_ARRAY = "__array__"  # in the JSON text: {"__array__": name} stands for the array of that name
_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
_UNREAD = object()


class CheckpointError(ValueError):
    """A file that is no checkpoint, is damaged, or belongs to another model; nothing has been changed."""


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """What a file holds.

    `state` are the parameters and buffers by name, `architecture` is the model's `config()` or None (then `reason` says
    why), `generators` are the states of its random generators by module, `optimizer` is {"type", "config", "state"} or
    None, and `extra` is what the caller added.
    """

    state: dict[str, np.ndarray]
    architecture: dict[str, Any] | None
    reason: str | None
    generators: dict[str, Any]
    optimizer: dict[str, Any] | None
    extra: Any

    def __repr__(self) -> str:
        numbers = sum(a.size for a in self.state.values())
        parts = [f"{(self.architecture or {}).get('type', 'a model of your own')}: {numbers:,} numbers"]
        parts += [self.optimizer["type"]] if self.optimizer else []
        return f"Checkpoint({', '.join(parts)}{', extra' if self.extra is not None else ''})"


# --- models and optimisers --------------------------------------------------------------------------------------------------


def save(path: str | os.PathLike, model: Any, optimizer: Any = None, extra: Any = None) -> Path:
    """Write `model`, and `optimizer` if given, to `path`; returns the path written.

    Parameters
    ----------
    path : ends in .safetensors or .npz; without a suffix, .safetensors is added.
    model : a `tn.nn.Module`.  Its parameters, buffers and random generators are stored, and what it is made of.
    optimizer : a `tn.optim` optimiser of the model's parameters, with all it remembers.
    extra : numbers, texts, arrays, and lists and dicts of them (keys are texts), for yourself.

    The file is written beside its place under a temporary name, synced and renamed: whoever reads `path`, even after
    the process was killed, finds the former file or the new one, whole.

    Raises ValueError for another suffix, TypeError for what such a file cannot hold, ImportError without `safetensors`.
    """
    try:
        architecture, reason = model.config(), None
    except (NotImplementedError, ValueError) as error:  # a module of one's own: it can still be restored
        architecture, reason = None, str(error)
    content = {
        "state": model.state_dict(),
        "architecture": architecture,
        "reason": reason,
        "generators": {name: module.rng.bit_generator.state for name, module in _drawing(model)},
        "optimizer": None if optimizer is None else _described(optimizer),
        "extra": extra,
    }
    return _write(Path(path), content)


def load(path: str | os.PathLike) -> Any:
    """The model of a file, rebuilt; where the file holds an optimiser too, the pair (model, optimiser).

    Raises CheckpointError for a file that is not a whole checkpoint of this version, or does not say how to rebuild.
    """
    found = read(path)
    if found.architecture is None:
        raise CheckpointError(
            f"{path} does not say how to rebuild the model ({found.reason}); make the model and use model.load(path)"
        )
    model = _room("nn").build(found.architecture)
    if found.optimizer is None:
        _fill(path, found, model, None)
        return model
    optimizer = _room("optim").build(found.optimizer["config"], model)
    _fill(path, found, model, optimizer)
    return model, optimizer


def restore(path: str | os.PathLike, model: Any, optimizer: Any = None) -> Checkpoint:
    """Read a file into a model, and an optimiser, that are there already; returns what the file holds.

    Raises CheckpointError, naming what differs, for a file of another architecture, other shapes or another optimiser;
    model and optimiser are then as they were.
    """
    found = read(path)
    _fill(path, found, model, optimizer)
    return found


def _room(name: str) -> Any:
    # Models save themselves, so `nn` stands on this room; what rebuilds them is looked up when a file asks for it.
    return importlib.import_module(f"tinygrad_nn.{name}")


def _described(optimizer: Any) -> dict[str, Any]:
    return {"type": type(optimizer).__name__, "config": optimizer.config(), "state": optimizer.state_dict()}


def _drawing(model: Any) -> Iterator[tuple[str, Any]]:
    """The modules that draw random numbers."""
    for name, module in model.named_modules():
        if isinstance(getattr(module, "rng", None), np.random.Generator):
            yield name, module


def _fill(path: Any, found: Checkpoint, model: Any, optimizer: Any) -> None:
    """Check everything, then assign."""
    try:
        mine = model.config()
    except (NotImplementedError, ValueError):
        mine = None
    if mine is not None and found.architecture is not None:
        # as JSON has it: tuples are lists there
        _refuse(path, "the model's", found.architecture, json.loads(json.dumps(mine)))
    _refuse(path, "the model's", _shapes(found.state), _shapes(model.state_dict()))
    drawing = dict(_drawing(model))
    _refuse(path, "the model's", {n: "random" for n in found.generators}, {n: "random" for n in drawing})
    generators = {name: _generator(path, state) for name, state in found.generators.items()}
    if optimizer is not None:
        if found.optimizer is None:
            raise CheckpointError(f"{path} holds no optimiser; restore the model alone")
        _refuse(path, "the given", {"optimiser": found.optimizer["type"]}, {"optimiser": type(optimizer).__name__})
        try:
            optimizer.load_state_dict(found.optimizer["state"])
        except (ValueError, TypeError, KeyError) as reason:
            raise CheckpointError(f"{path} does not fit the optimiser: {reason}") from None
    model.load_state_dict(found.state)
    for name, generator in generators.items():
        drawing[name].rng.bit_generator.state = generator


def _shapes(state: dict[str, np.ndarray]) -> dict[str, str]:
    return {name: f"{array.dtype} {array.shape}" for name, array in state.items()}


def _refuse(path: Any, whose: str, theirs: Any, mine: Any, at: str = "") -> None:
    """CheckpointError for the first difference of two descriptions."""
    if isinstance(theirs, dict) and isinstance(mine, dict):
        pairs = [(str(key), theirs.get(key, _UNREAD), mine.get(key, _UNREAD)) for key in {**theirs, **mine}]
    elif isinstance(theirs, list) and isinstance(mine, list) and len(theirs) == len(mine):
        pairs = [(str(i), a, b) for i, (a, b) in enumerate(zip(theirs, mine, strict=True))]
    elif theirs != mine:
        ours, other = (
            "missing" if x is _UNREAD else f"{len(x)} long" if isinstance(x, list) else x for x in (mine, theirs)
        )
        raise CheckpointError(
            f"{path} is of another model: {at} is {other} in the file and {ours} in {whose}; "
            "load(path) rebuilds the one of the file"
        )
    else:
        return
    for key, a, b in pairs:
        if key != "init":  # how first values were drawn does not matter to what they have become
            _refuse(path, whose, a, b, f"{at}.{key}" if at else key)
