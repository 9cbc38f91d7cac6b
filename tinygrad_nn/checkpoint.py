"""Checkpoints: a model, its optimiser and what else a run needs, in one file that is whole or not there.

A file holds arrays and one JSON text, never code, and reading it runs nothing that it contains.  The suffix says how:
``.safetensors`` (the default; extra `safetensors`) or ``.npz`` (NumPy's own, without pickle).

>>> import tempfile, pathlib, tinygrad_nn as tn
>>> from tinygrad_nn import checkpoint
>>> model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 1, rng=1))
>>> with tempfile.TemporaryDirectory() as folder:
...     path = checkpoint.save(pathlib.Path(folder) / "model.npz", model, extra={"epoch": 7})
...     copy = tn.nn.load(path)
...     checkpoint.read(path).extra
{'epoch': 7}
>>> bool((copy[0].W.data == model[0].W.data).all())
True
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import secrets
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn import tree

__all__ = ["Checkpoint", "CheckpointError", "load_into", "read", "refusing", "restore", "save", "with_suffix"]

VERSION = 1
_LABELS = "checkpoint"  # what the JSON text is called in a file
_ARRAY = "__array__"  # in the JSON text: {"__array__": name} stands for the array of that name
_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


class CheckpointError(ValueError):
    """A file that is no checkpoint, is damaged, or belongs to another model; nothing has been changed."""


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """What a file holds.

    `state` are parameters and buffers by name, `training` is the mode the model was in, `architecture` its `config()`,
    or None, and then `reason` says why, `generators` are the states of its random generators, `optimizer` is the
    optimiser's or None, and `extra` is what the caller added.
    """

    state: dict[str, np.ndarray]
    training: bool
    architecture: dict[str, Any] | None
    reason: str | None
    generators: list[dict[str, Any]]
    optimizer: dict[str, Any] | None
    extra: Any

    def __repr__(self) -> str:
        numbers = sum(a.size for a in self.state.values())
        parts = [f"{(self.architecture or {}).get('type', 'a model of your own')}: {numbers:,} numbers"]
        parts += [self.optimizer["type"]] if self.optimizer else []
        return f"Checkpoint({', '.join(parts)}{', extra' if self.extra is not None else ''})"


# --- models and optimisers --------------------------------------------------------------------------------------------


def save(path: str | os.PathLike, model: Any, optimizer: Any = None, extra: Any = None) -> Path:
    """Write `model`, and `optimizer` if given, to `path`; returns the path written.

    Parameters
    ----------
    path : ends in .safetensors or .npz; without a suffix, .safetensors is added.
    model : a `tn.nn.Module`: its parameters, buffers and random generators are stored, and what it is made of.
    optimizer : a `tn.optim` optimiser, with its state.
    extra : for yourself: numbers, texts, arrays, and lists and dicts of them (whose keys become texts).

    The file is written under a temporary name in the same folder, synced and renamed.  So `path` is always the former
    file or the new one, whole, even after the process was killed.

    Raises ValueError for another suffix, TypeError for what such a file cannot hold, ImportError without `safetensors`.
    """
    names = {id(tensor): name for name, tensor in model.named_parameters()}
    architecture, reason = _architecture(model)
    content = {
        "state": model.state_dict(),
        "training": model.training,
        "architecture": architecture,
        "reason": reason,
        "generators": [{"of": of, "state": rng.bit_generator.state} for rng, of in _generators(model)],
        "optimizer": None,
        "extra": extra,
    }
    if optimizer is not None:
        content["optimizer"] = {
            "type": type(optimizer).__name__,
            "params": [[names.get(id(p)) for p in group["params"]] for group in optimizer.param_groups],
            "state": optimizer.state_dict(),
        }
    return _write(with_suffix(path), content)


def restore(path: str | os.PathLike, model: Any, optimizer: Any = None) -> Checkpoint:
    """Read a file into a model, and an optimiser, that are there already; returns what the file holds.

    Raises CheckpointError, naming what differs, for a file of another architecture, other shapes or another optimiser;
    model and optimiser are then as they were.
    """
    found = read(path)
    load_into(path, found, model, optimizer)
    return found


def _architecture(model: Any) -> tuple[Any, str | None]:
    """The model's description, or why there is none: a module of one's own can be restored though not rebuilt."""
    try:
        return json.loads(json.dumps(model.config())), None  # as a file has it: tuples are lists there
    except (NotImplementedError, ValueError, TypeError) as error:
        return None, str(error)


def _generators(model: Any) -> list[tuple[np.random.Generator, list[str]]]:
    """The random generators of the modules, each with the names of those that share it."""
    found: dict[int, tuple[np.random.Generator, list[str]]] = {}
    for name, module in model.named_modules():
        rng = getattr(module, "rng", None)
        if isinstance(rng, np.random.Generator):
            found.setdefault(id(rng), (rng, []))[1].append(name)
    return list(found.values())


def load_into(path: Any, found: Checkpoint, model: Any, optimizer: Any) -> None:
    """Check everything, then assign what the file holds."""
    mine, _ = _architecture(model)
    if mine is not None and found.architecture is not None:
        _refuse_difference(path, found.architecture, mine)
    _refuse_difference(path, _shapes(found.state), _shapes(model.state_dict()))
    modules = dict(model.named_modules())
    with refusing(path):
        generators = [(entry["of"], _generator(entry["state"])) for entry in found.generators]
        drawing = {name: "random" for of, _ in generators for name in of}
    _refuse_difference(path, drawing, {name: "random" for _, of in _generators(model) for name in of})
    if optimizer is not None:
        if found.optimizer is None:
            raise CheckpointError(f"{path} holds no optimiser: restore the model without one, and start a new one")
        kind = type(optimizer).__name__
        _refuse_difference(path, {"the optimiser": found.optimizer.get("type")}, {"the optimiser": kind})
        try:
            optimizer.load_state_dict(found.optimizer["state"])
        except (ValueError, TypeError, LookupError) as error:
            raise CheckpointError(f"{path} does not fit the optimiser: {error}") from None
    model.load_state_dict(found.state)
    for of, rng in generators:
        shared = modules[of[0]].rng
        if type(shared.bit_generator) is type(rng.bit_generator):
            shared.bit_generator.state = rng.bit_generator.state
        else:
            shared = rng
        for name in of:
            modules[name].rng = shared


def _generator(state: dict[str, Any]) -> np.random.Generator:
    if state["bit_generator"] not in _GENERATORS:
        raise ValueError(f"there is no random generator {state['bit_generator']!r}")
    rng = np.random.Generator(getattr(np.random, state["bit_generator"])())
    rng.bit_generator.state = state
    return rng


def _shapes(state: dict[str, np.ndarray]) -> dict[str, str]:
    return {name: f"{array.dtype} {array.shape}" for name, array in state.items()}


def _refuse_difference(path: Any, theirs: Any, mine: Any, at: str = "") -> None:
    """CheckpointError for the first thing that differs between two descriptions."""
    if isinstance(theirs, dict) and isinstance(mine, dict):
        keys = [key for key in {**theirs, **mine} if key != "init"]  # how it began: what it has become counts
        pairs = [(str(key), theirs.get(key, "missing"), mine.get(key, "missing")) for key in keys]
    elif isinstance(theirs, list) and isinstance(mine, list) and len(theirs) == len(mine):
        pairs = [(str(i), *pair) for i, pair in enumerate(zip(theirs, mine, strict=True))]
    elif theirs != mine:
        a, b = (f"of length {len(x)}" if isinstance(x, list) else x for x in (theirs, mine))
        raise CheckpointError(
            f"{path} belongs to another model: {at} is {a} in the file, {b} here; "
            "tn.nn.load(path) rebuilds the model of the file"
        )
    else:
        pairs = []
    for key, a, b in pairs:
        _refuse_difference(path, a, b, f"{at}.{key}" if at else key)


# --- files ------------------------------------------------------------------------------------------------------------


def read(path: str | os.PathLike) -> Checkpoint:
    """What a file holds, as arrays and plain values.

    Raises CheckpointError for a file that was cut short or damaged, is of another version, or is not a checkpoint.
    """
    path = with_suffix(path)
    _, parse = _FORMATS[path.suffix]
    data = path.read_bytes()
    with refusing(path):
        labels, arrays = parse(data)
        version = dict(labels).get("tinygrad_nn")
    if version is None:
        raise CheckpointError(f"{path} holds arrays but is not a checkpoint of tinygrad_nn: model.save(path) makes one")
    if version != VERSION:
        raise CheckpointError(
            f"{path} is a checkpoint of version {version}, this tinygrad_nn reads version {VERSION}: "
            "read it with the release that wrote it"
        )
    with refusing(path):
        if labels["checksum"] != _checksum(labels["content"], arrays):
            raise ValueError("its checksum is wrong")
        found = Checkpoint(**_join(json.loads(labels["content"]), arrays))
        if not all(isinstance(array, np.ndarray) for array in found.state.values()):
            raise ValueError("a value of the state is not an array")
    return found


def _write(path: Path, content: dict[str, Any]) -> Path:
    compose, _ = _FORMATS[path.suffix]
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_split(content, "", arrays))
    data = compose({"tinygrad_nn": VERSION, "checksum": _checksum(text, arrays), "content": text}, arrays)
    place = path.resolve()  # a link stays a link
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name is in the folder, which is written on its own
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return path


_DAMAGED = "is not a whole checkpoint ({}): it was cut short or damaged, or is another kind of file"


@contextlib.contextmanager
def refusing(path: Any, text: str = _DAMAGED) -> Iterator[None]:
    """Turn every error about the content of a file into a CheckpointError."""
    try:
        yield
    except (CheckpointError, ImportError):
        raise
    except Exception as reason:
        raise CheckpointError(f"{path} {text.format(reason)}") from None


def _split(content: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """The content as JSON holds it; its arrays go to `arrays`, each under its path."""
    if isinstance(content, (np.ndarray, np.generic)):
        if content.dtype.kind not in "fiub" or content.dtype.itemsize > 8:
            raise TypeError(f"save: {name} has dtype {content.dtype}, a checkpoint holds real numbers of up to 8 bytes")
        while name in arrays:  # a key may hold a slash
            name += "'"
        arrays[name] = np.array(content, order="C")
        return {_ARRAY: name}
    if isinstance(content, dict):
        if _ARRAY in content or len(set(map(str, content))) < len(content):
            raise TypeError(
                f"save: {name} has keys that a checkpoint cannot tell apart: {', '.join(map(repr, content))}"
            )
        return {str(key): _split(value, f"{name}/{key}".lstrip("/"), arrays) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_split(value, f"{name}/{i}", arrays) for i, value in enumerate(content)]
    if content is None or isinstance(content, (bool, int, float, str)):
        return content
    raise TypeError(
        f"save: {name} is of type {type(content).__name__}, a checkpoint holds numbers, texts, arrays, lists and dicts"
    )


def _join(content: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The way back: arrays in place of their paths."""

    def is_node(x: Any) -> bool:
        return tree.is_container(x) and not (isinstance(x, dict) and _ARRAY in x)

    return tree.map(lambda x: arrays[x[_ARRAY]] if isinstance(x, dict) else x, content, is_node)


def _checksum(text: str, arrays: dict[str, np.ndarray]) -> int:
    total = zlib.crc32(text.encode())
    for name in sorted(arrays):
        total = zlib.crc32(np.ascontiguousarray(arrays[name]).data.cast("B") if arrays[name].size else b"", total)
    return total


def with_suffix(path: str | os.PathLike) -> Path:
    """The path, ending in .safetensors if it has no suffix; ValueError for a suffix of another format."""
    path = Path(path)
    if not path.suffix:
        path = path.with_name(f"{path.name}.safetensors")
    if path.suffix not in _FORMATS:
        raise ValueError(f"{path} ends in {path.suffix!r}, expected {' or '.join(_FORMATS)}")
    return path


def _compose_npz(labels: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    text = np.frombuffer(json.dumps(labels).encode(), np.uint8)
    np.savez(file, allow_pickle=False, **{_LABELS: text}, **arrays)
    return file.getvalue()


def _parse_npz(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = dict(archive)
    return json.loads(arrays.pop(_LABELS, np.frombuffer(b"{}", np.uint8)).tobytes()), arrays


def _compose_safetensors(labels: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    return _safetensors().save(arrays, {_LABELS: json.dumps(labels)})


def _parse_safetensors(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    arrays = _safetensors().load(data)  # which checks lengths and overlaps
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header.get("__metadata__", {}).get(_LABELS, "{}")), arrays


def _safetensors() -> Any:
    try:
        return importlib.import_module("safetensors.numpy")
    except ImportError:
        raise ImportError(
            "checkpoints ending in .safetensors need the package safetensors: pip install 'tinygrad_nn[safetensors]', "
            "or save as .npz, which needs nothing"
        ) from None


# suffix: (how to compose a file, how to parse one)
_FORMATS: dict[str, tuple[Callable, Callable]] = {
    ".safetensors": (_compose_safetensors, _parse_safetensors),
    ".npz": (_compose_npz, _parse_npz),
}
