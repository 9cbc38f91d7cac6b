"""Checkpoint: what a file holds, read and checked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_nn
from tinygrad_nn import tree
from tinygrad_nn.checkpoint.content import checksum, join, split
from tinygrad_nn.checkpoint.errors import CheckpointError, refusing
from tinygrad_nn.checkpoint.files import read_whole, with_suffix, write_whole
from tinygrad_nn.checkpoint.formats import FORMATS

__all__ = ["Checkpoint", "described", "read", "write"]

VERSION = 2


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """What a file holds.

    `state` are parameters and buffers by name, `trained` the names of those that require a gradient, `modes` says of
    each module by name (the model is "") whether it was in training mode.  `architecture` is the model's `config()`, or
    None, and then `reason` says why.  `generators` are the states of its random generators, `optimizer` is the
    optimiser's or None, and `extra` is what the caller added.  `tied` has the paths of each tensor or part that the
    model holds at several places; the first is its name.  `library` is the version of tinygrad_nn that wrote the file.
    """

    state: dict[str, np.ndarray]
    trained: list[str]
    modes: dict[str, bool]
    architecture: dict[str, Any] | None
    reason: str | None
    generators: list[dict[str, Any]]
    optimizer: dict[str, Any] | None
    extra: Any
    tied: list[list[str]] = field(default_factory=list)
    library: str = ""

    def __repr__(self) -> str:
        numbers = sum(a.size for a in self.state.values())
        parts = [f"{(self.architecture or {}).get('type', 'a model of your own')}: {numbers:,} numbers"]
        parts += [self.optimizer["type"]] if self.optimizer else []
        return f"Checkpoint({', '.join(parts)}{', extra' if self.extra is not None else ''})"


def read(path: str | os.PathLike) -> Checkpoint:
    """What a file holds, as arrays and plain values.

    Raises CheckpointError for a file that was cut short or altered, is of another version, or is not a checkpoint.
    """
    path = with_suffix(path)
    _, parse = FORMATS[path.suffix]
    data = read_whole(path)
    with refusing(path):
        text, arrays = parse(data)
        labels = {} if text is None else dict(json.loads(text))
        version = labels.get("tinygrad_nn")
    if version is None:
        raise CheckpointError(f"{path} holds arrays but is not a checkpoint of tinygrad_nn: model.save(path) makes one")
    if version != VERSION:
        raise CheckpointError(
            f"{path} is a checkpoint of version {version!r:.20}, this tinygrad_nn reads version {VERSION}: "
            "read it with the release that wrote it"
        )
    with refusing(path):
        if labels["checksum"] != checksum(labels["content"], arrays):
            raise ValueError("its checksum is wrong")
        return _checked(join(json.loads(labels["content"]), arrays))


def write(path: str | os.PathLike, record: Checkpoint) -> Path:
    """Write what `read` will read; returns the path written."""
    path = with_suffix(path)
    compose, _ = FORMATS[path.suffix]
    arrays: dict[str, np.ndarray] = {}
    content = {f.name: getattr(record, f.name) for f in fields(record) if f.name != "tied" or record.tied}
    content["library"] = tinygrad_nn.__version__
    text = json.dumps(split(content, "", arrays))
    labels = {"tinygrad_nn": VERSION, "checksum": checksum(text, arrays), "content": text}
    write_whole(path, compose(json.dumps(labels), arrays))
    return path


def described(state: dict[str, Any]) -> dict[str, str]:
    """Dtype, whatever its byte order, and shape of each array."""
    return {name: f"{array.dtype.newbyteorder('=')} {array.shape}" for name, array in state.items()}


# --- a checksum says that a file is as it was written, not who wrote it -----------------------------------------------


def _is_list(x: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(x, list) and all(map(of, x))


def _is_dict(x: Any, of: Callable[[Any], bool] = lambda value: True) -> bool:
    return isinstance(x, dict) and all(map(of, x.values()))


def _is_text(x: Any) -> bool:
    return isinstance(x, str)


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray)


def _is_optimizer(x: Any) -> bool:
    return (
        _is_dict(x)
        and _is_text(x["type"])
        and _is_list(x["params"], lambda names: _is_list(names, lambda name: name is None or _is_text(name)))
        and _is_dict(x["state"]["state"], lambda arrays: _is_dict(arrays, _is_array))
        and _is_list(x["state"]["param_groups"], lambda group: _is_dict(group) and isinstance(group["params"], list))
    )


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "state": lambda x: _is_dict(x, _is_array),
    "trained": lambda x: _is_list(x, _is_text),
    "modes": lambda x: _is_dict(x, lambda mode: isinstance(mode, bool)),
    "architecture": lambda x: x is None or (_is_dict(x) and not any(map(_is_array, tree.leaves(x)))),
    "reason": lambda x: x is None or _is_text(x),
    "generators": lambda x: _is_list(x, lambda g: _is_dict(g["state"]) and g["of"] and _is_list(g["of"], _is_text)),
    "optimizer": lambda x: x is None or _is_optimizer(x),
    "extra": lambda x: True,
    "tied": lambda x: _is_list(x, lambda paths: _is_list(paths, _is_text) and len(paths) > 1),
    "library": lambda x: _is_text(x) and re.fullmatch(r"[\w.+-]{0,60}", x) is not None,
}


def _checked(content: dict[str, Any]) -> Checkpoint:
    content.setdefault("tied", [])  # as files of models without, and those of earlier releases, do not have it
    content.setdefault("library", "")
    for name, fits in _FIELDS.items():
        if not fits(content[name]):
            raise ValueError(f"its part {name!r} is not what it should be")
    if not all(content["state"][name].dtype.kind == "f" for name in content["trained"]):
        raise ValueError("its part 'trained' names an array without derivatives")
    return Checkpoint(**content)
