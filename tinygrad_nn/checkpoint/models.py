"""Models and optimisers, saved and restored: everything is checked before anything is changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tinygrad_nn.checkpoint.drawing import described_drawing, found_in, put_back
from tinygrad_nn.checkpoint.errors import CheckpointError, refuse_difference, refusing
from tinygrad_nn.checkpoint.generators import rng_of, state_of
from tinygrad_nn.checkpoint.record import Checkpoint, described, read, write

__all__ = ["load_into", "restore", "save"]


def save(path: str | os.PathLike, model: Any, optimizer: Any = None, extra: Any = None) -> Path:
    """Write `model`, and `optimizer` if given, to `path`; returns the path written.

    Parameters
    ----------
    path : ends in .safetensors or .npz; without a suffix, .safetensors is added.
    model : a `tn.nn.Module`: its parameters and buffers are stored, and what it is made of; NumPy's random generators
        in attributes of its modules, also in lists, tuples and dicts; which tensors require a gradient, and which
        modules are in training mode.  Nothing else is: a count or an array that `forward` changes is a buffer if it is
        held as a tensor.
    optimizer : a `tn.optim` optimiser, with its state.
    extra : for yourself: numbers, texts, arrays, and lists and dicts of them (whose keys become texts).

    The file is written under a temporary name in the same folder, synced and renamed.  So `path` is always the former
    file or the new one, whole, even after the process was killed.  Where there was a file, the new one has its
    permissions.

    Raises ValueError for another suffix or two parts of one path, TypeError for what such a file cannot hold, OSError
    where `path` is, or leads to, something that is no regular file.
    """
    modules, (architecture, reason) = _by_path(model), _architecture(model)
    record = Checkpoint(
        state=model.state_dict(),
        trained=[name for name, _ in model.named_parameters()],
        modes={name: bool(module.training) for name, module in modules.items()},
        architecture=architecture,
        reason=reason,
        generators=[{"of": list(held.places), "state": state_of(held.rng)} for held in found_in(modules)],
        optimizer=None
        if optimizer is None
        else {
            "type": type(optimizer).__name__,
            "params": _parameters(optimizer, model),
            "state": optimizer.state_dict(),
        },
        extra=extra,
        tied=model.tied_paths(),
    )
    return write(path, record)


def restore(path: str | os.PathLike, model: Any, optimizer: Any = None) -> Checkpoint:
    """Read a file into a model, and an optimiser, that are there already; returns what the file holds.

    What requires a gradient, and which modules are in training mode, is then as it was saved, too.

    Raises CheckpointError, naming what differs, for a file of another architecture, other shapes or another optimiser;
    model and optimiser are then as they were.
    """
    found = read(path)
    load_into(path, found, model, optimizer)
    return found


def _by_path(model: Any) -> dict[str, Any]:
    modules: dict[str, Any] = {}
    for name, module in model.named_modules():
        if name in modules:
            raise ValueError(
                f"save: two modules, {type(modules[name]).__name__} and {type(module).__name__}, have the path "
                f"{name!r}: a dict's key with a dot reads like a dict within it; rename one"
            )
        modules[name] = module
    return modules


def _architecture(model: Any) -> tuple[Any, str | None]:
    """The model's description, or why there is none: a module of one's own can be restored though not rebuilt."""
    try:
        return json.loads(json.dumps(model.config())), None  # as a file has it: tuples are lists there
    except (NotImplementedError, ValueError, TypeError) as error:
        return None, str(error)


def _parameters(optimizer: Any, model: Any) -> list[list[str | None]]:
    """The names of an optimiser's parameters, group by group; None for those that are not the model's."""
    names = {id(tensor): name for name, tensor in model.named_tensors()}
    return [[names.get(id(p)) for p in group["params"]] for group in optimizer.param_groups]


def load_into(path: Any, found: Checkpoint, model: Any, optimizer: Any) -> None:
    """Check everything, then assign what the file holds."""
    modules, (mine, _) = _by_path(model), _architecture(model)
    shapes, held = described(model.state_dict()), found_in(modules)
    with refusing(path):
        if mine is not None and found.architecture is not None:
            refuse_difference(path, found.architecture, mine)
        _refuse_other_ties(path, found.tied, model.tied_paths())
        refuse_difference(path, described(found.state), shapes)
        generators = [(rng_of(entry["state"]), entry["of"]) for entry in found.generators]
        drawing = described_drawing((each.rng, each.places) for each in held)
        refuse_difference(path, described_drawing(generators), drawing)
    if optimizer is not None:
        _load_optimizer(path, found, model, optimizer)
    model.load_state_dict(found.state)
    trained = set(found.trained)
    for name, tensor in model.named_tensors():
        if tensor.requires_grad != (name in trained):
            tensor.requires_grad = name in trained
    for name, module in modules.items():
        if module.training != found.modes.get(name, module.training):
            module.training = found.modes[name]
    put_back(held, generators)


def _refuse_other_ties(path: Any, theirs: list[list[str]], mine: list[list[str]]) -> None:
    """CheckpointError for what is one tensor or part in the file and several here, or the other way round."""
    for paths in theirs + mine:
        if (paths in theirs) != (paths in mine):
            first, *others = paths
            a, b = ("tied", "apart") if paths in theirs else ("apart", "tied")
            raise CheckpointError(
                f"{path} belongs to another model: {first} and {', '.join(others)} are {a} in the file, {b} here; "
                f"make the model with them {a}, or take the model of the file by tn.nn.load(path)"
            )


def _load_optimizer(path: Any, found: Checkpoint, model: Any, optimizer: Any) -> None:
    if found.optimizer is None:
        raise CheckpointError(f"{path} holds no optimiser: restore the model without one, and start a new one")
    theirs, mine = found.optimizer, type(optimizer).__name__
    refuse_difference(path, {"the optimiser": theirs["type"]}, {"the optimiser": mine})
    refuse_difference(path, {"optimiser": theirs["params"]}, {"optimiser": _parameters(optimizer, model)})
    with refusing(path, "does not fit the optimiser: {}"):
        optimizer.load_state_dict(theirs["state"])
