"""What other programs call the weights of our layers, and how theirs are matched with ours: by order, or by names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.errors import ShapeError
from tinygrad_nn.nn.containers import Sequential
from tinygrad_nn.nn.dense import Dense
from tinygrad_nn.nn.embedding import Embedding
from tinygrad_nn.nn.module import Module
from tinygrad_nn.nn.normalization import BatchNorm, LayerNorm
from tinygrad_nn.tensor import Tensor

__all__ = ["Layer", "Slot", "assigned", "layers_of", "matched", "plain", "prefixes"]

# Our names in a layer: what PyTorch and Keras call the same
_NORM = {"gamma": ("weight", "gamma"), "beta": ("bias", "beta")}
ROLES: dict[type, dict[str, tuple[str, str]]] = {
    Dense: {"W": ("weight", "kernel"), "b": ("bias", "bias")},
    BatchNorm: {
        **_NORM, "running_mean": ("running_mean", "moving_mean"), "running_var": ("running_var", "moving_variance"),
    },
    LayerNorm: _NORM, Embedding: {"W": ("weight", "embeddings")},
}  # fmt: skip


@dataclass(frozen=True)
class Slot:
    """One tensor of ours: its path, and what PyTorch and Keras call it within the layer.

    kind : "matrix" of a dense layer, "table" of an embedding, which has rows there, "vector", which is a column here,
        or "own", of somebody else's module.
    """

    path: str
    tensor: Tensor
    names: tuple[str, str]
    kind: str


@dataclass(frozen=True)
class Layer:
    """A module with tensors of its own: its path, the path of the same in PyTorch, and its tensors."""

    path: str
    theirs: str
    module: Module
    slots: tuple[Slot, ...]

    @property
    def known(self) -> bool:
        """Whether it is a layer of this package, whose counterparts are known."""
        return isinstance(self.module, tuple(ROLES))


def layers_of(model: Module) -> list[Layer]:
    """The layers with weights, in order; one that is held at several places is there as often, as it is in PyTorch."""
    return list(_walk(model, "", "", ()))


def _walk(module: Module, path: str, theirs: str, within: tuple[int, ...]) -> Iterator[Layer]:
    members = [(".".join(map(str, keys)), x) for keys, x in tree.leaves_with_path(vars(module))]
    state = {id(t) for _, t in module.named_tensors()}
    roles = next((ROLES[kind] for kind in ROLES if isinstance(module, kind)), {})
    slots = tuple(
        Slot(_join(path, name), x, roles.get(name, (name, name)), _kind_of(name, roles, module))
        for name, x in members
        if isinstance(x, Tensor) and id(x) in state
    )
    if slots:
        yield Layer(path, theirs, module, slots)
    numbers = _numbers(module) if isinstance(module, Sequential) else {}
    for name, part in members:
        if isinstance(part, Module) and id(part) not in within:
            their_name = numbers.get(name, name)
            yield from _walk(part, _join(path, name), _join(theirs, their_name), (*within, id(module)))


def _kind_of(name: str, roles: Mapping[str, Any], module: Module) -> str:
    if name not in roles:
        return "own"
    return "table" if isinstance(module, Embedding) else "matrix" if name == "W" else "vector"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _numbers(model: Sequential) -> dict[str, str]:
    """Positions in a `Sequential` of PyTorch, in which the activation of a dense layer is a layer of its own."""
    found, at = {}, 0
    for i, layer in enumerate(model.layers):
        found[f"layers.{i}"] = str(at)
        at += 2 if isinstance(layer, Dense) and layer.activation is not None else 1
    return found


def prefixes(layers: Sequence[Layer], names: Any, caller: str) -> dict[str, str] | None:
    """What each layer or tensor of ours is called by them: None to go by order."""
    if names is None:
        return None
    if isinstance(names, str):
        raise TypeError(f"{caller}: names={names!r}; expected several names, one for each layer")
    if not isinstance(names, Mapping):
        names = list(names)
        if len(names) != len(layers):
            raise ValueError(
                f"{caller}: {len(names)} names for {len(layers)} layers with weights: "
                f"{', '.join(layer.path or 'the model' for layer in layers)}"
            )
        return {layer.path: name for layer, name in zip(layers, names, strict=True)}
    known = {layer.path for layer in layers} | {slot.path for layer in layers for slot in layer.slots}
    for name in names:
        if name not in known:
            paths = [layer.path for layer in layers]
            raise ValueError(f"{caller}: names has {name!r}, and the layers are {', '.join(map(repr, paths))}")
    return dict(names)


# --- theirs, beside ours ---------------------------------------------------------------------------------------------


def plain(x: Any, name: str, caller: str) -> np.ndarray:
    """An array of real numbers, of an array, a tensor or variable of another program, or a list."""
    if isinstance(x, Tensor):
        if x.op is not None and x.requires_grad:
            raise TypeError(f"{caller}: {name} is the result of {x.op.public_name}, whose history would be lost")
        return np.array(x.value)
    for method in ("detach", "cpu"):  # of PyTorch's tensors
        x = getattr(x, method)() if callable(getattr(x, method, None)) else x
    try:
        array = np.asarray(x)
    except (TypeError, RuntimeError):
        if not callable(getattr(x, "float", None)):
            raise
        array = np.asarray(x.float())  # bfloat16, which NumPy does not have
    if array.dtype.kind == "V" and array.dtype.name.startswith("bfloat"):
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{caller}: {name} has dtype {array.dtype}, expected real numbers")
    return array


Pairs = Iterator[tuple[Layer, Slot, str, np.ndarray]]  # ours, and theirs with its name
Groups = dict[str, dict[str, tuple[str, np.ndarray]]]  # of their layer: of their name in it: the whole name, the array


def matched(
    layers: Sequence[Layer], state: Mapping[str, np.ndarray], names: dict[str, str] | None, program: str, caller: str
) -> Pairs:
    """Each tensor of ours with the one of theirs that belongs to it."""
    side = ("PyTorch", "Keras").index(program)
    if names is not None:
        yield from _by_names(layers, state, names, side, caller)
        return
    groups = _grouped(state, caller)
    if len(groups) != len(layers):
        raise ValueError(
            f"{caller}: {program}'s has {len(groups)} layers with weights and the model {len(layers)}: "
            f"{_listed(groups)} against {_ours(layers)}; names= says which belong together"
        )
    for layer, group in zip(layers, groups.values(), strict=True):
        wanted = [slot.names[side] for slot in layer.slots]
        if set(wanted) != set(group):
            if layer.known or len(wanted) != len(group):
                raise ValueError(
                    f"{caller}: {layer.path or 'the model'} ({_kind(layer)}) has {', '.join(wanted)} in {program}'s "
                    f"words, and in its place there is {', '.join(key for key, _ in group.values())}"
                )
            wanted = list(group)  # of a module of one's own: in their order
        for slot, name in zip(layer.slots, wanted, strict=True):
            yield layer, slot, *group[name]


def _grouped(state: Mapping[str, np.ndarray], caller: str) -> Groups:
    """Theirs by layer, in order.  What comes from a file is sorted by names, which need not be the order."""
    groups: Groups = {}
    for key, array in state.items():
        where, _, name = key.replace("/", ".").rpartition(".")
        groups.setdefault(where, {})[name] = key, array
    sorted_by_name = any(list(group).index("bias") < list(group).index("weight") for group in groups.values()
                         if {"bias", "weight"} <= set(group))  # fmt: skip
    if not sorted_by_name or len(groups) == 1:
        return groups
    parts = {where: re.split(r"(\d+)", where) for where in groups}
    stems = {tuple(p[::2]) for p in parts.values()}
    if len(stems) > 1 and any(stem.strip(".") for p in stems for stem in p):
        raise ValueError(
            f"{caller}: the names are sorted, as in a file, and do not say which layer comes first: "
            f"{', '.join(groups)}; names= says it, names=[...] in the order of the model's layers"
        )
    return {where: groups[where] for where in sorted(groups, key=lambda w: [int(n) for n in parts[w][1::2]])}


def _by_names(
    layers: Sequence[Layer], state: Mapping[str, np.ndarray], names: dict[str, str], side: int, caller: str
) -> Pairs:
    keys = {key.replace("/", "."): key for key in state}
    used = set()
    for layer in layers:
        for slot in layer.slots:
            prefix = names.get(layer.path, layer.theirs)
            wanted = names.get(slot.path, _join(prefix, slot.names[side])).replace("/", ".")
            if wanted not in keys:
                raise ValueError(
                    f"{caller}: for {slot.path} there is no {wanted!r}; there are {', '.join(map(repr, state))}"
                )
            used.add(keys[wanted])
            yield layer, slot, keys[wanted], state[keys[wanted]]
    left = [key for key in state if key not in used]
    if left:
        raise ValueError(f"{caller}: {', '.join(left)} left over; the model has {_ours(layers)}")


def _kind(layer: Layer) -> str:
    return layer.module._signature()


def _listed(groups: Groups) -> str:
    return _in_words([(where, [(name, a) for name, (_, a) in group.items()]) for where, group in groups.items()])


def _ours(layers: Sequence[Layer]) -> str:
    return _in_words([(x.path, [(s.path.rpartition(".")[2], s.tensor) for s in x.slots]) for x in layers])


def _in_words(layers: Sequence[tuple[str, list[tuple[str, Any]]]]) -> str:
    parts = [f"{where or 'itself'} ({', '.join(f'{name} {x.shape}' for name, x in held)})" for where, held in layers]
    return ", ".join(parts) or "nothing"


# --- into the model --------------------------------------------------------------------------------------------------


def assigned(
    model: Module, pairs: Pairs, turned: Callable[[np.ndarray, Slot], np.ndarray], program: str, caller: str
) -> Module:  # fmt: skip
    """Write theirs into ours, all or nothing."""
    found: dict[int, tuple[str, np.ndarray]] = {}
    for layer, slot, key, array in pairs:
        value = _fitting(turned(array, slot), slot)
        if value is None:
            raise ShapeError(
                f"{caller}: {key} of {program} has shape {array.shape}, and {slot.path} of {_kind(layer)} has shape "
                f"{slot.tensor.shape}{_hint(array, slot, turned)}"
            )
        if id(slot.tensor) in found and not np.array_equal(found[id(slot.tensor)][1], value, equal_nan=True):
            raise ValueError(
                f"{caller}: {found[id(slot.tensor)][0]} and {key} of {program} differ, and are one tensor in the "
                f"model, {slot.path}"
            )
        found.setdefault(id(slot.tensor), (key, value))
    model.load_state_dict({path: found[id(t)][1] for path, t in model.named_tensors()})
    return model


def _fitting(value: np.ndarray, slot: Slot) -> np.ndarray | None:
    """In our shape: a vector becomes a column; None where it does not fit."""
    shape = slot.tensor.shape
    if value.shape == shape:
        return value
    if slot.kind in ("matrix", "table"):
        return None
    long, ours = ([n for n in s if n != 1] for s in (value.shape, shape))
    return value.reshape(shape) if value.ndim < len(shape) and long == ours else None


def _hint(array: np.ndarray, slot: Slot, turned: Callable[[np.ndarray, Slot], np.ndarray]) -> str:
    if array.ndim == 2 and turned(array.T, slot).shape == slot.tensor.shape:
        return ": its transpose fits"
    if array.size == slot.tensor.size:
        return ": as many numbers, in another shape"
    return ": the layers are of different sizes, or in another order"
