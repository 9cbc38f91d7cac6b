"""What a program calls its tensors: variables, what lists, dicts and objects in them hold, what functions assigned."""

from __future__ import annotations

import dis
import functools
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, pairwise
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np

from tinygrad_nn.operation import Traced

__all__ = ["Called", "assigned_name", "called_in", "called_in_program"]

DEEP, MANY = 6, 1000  # steps from a variable to a tensor, and values in it that are looked at
HISTORY = {"In", "Out"}  # of IPython
CLEAR, ORDINARY, LOOP = range(3)  # how good a name is: the first is best


@dataclass(frozen=True)
class Called:
    """Names of tensors by their index, and arrays by name, none of which are kept alive.

    `indirect` are the tensors that are only found within something else, or by what a loop left over.
    """

    tensors: dict[int, str] = field(default_factory=dict)
    indirect: set[int] = field(default_factory=set)
    arrays: dict[str, weakref.ref[np.ndarray]] = field(default_factory=dict)

    def of_array(self, array: np.ndarray) -> str:
        """The first array of the program with these values, as a graph has copies; or empty."""
        for name, reference in self.arrays.items():
            other = reference()
            if other is not None and other.shape == array.shape and np.array_equal(other, array):
                return name
        return ""


def called_in(names: Mapping[str, Any]) -> Called:
    """What these names lead to."""
    return _best((ORDINARY, name, value) for name, value in names.items())


def called_in_program(frame: FrameType) -> Called:
    """What the variables of a caller lead to, then those of its callers in the same module.

    A variable that was assigned here goes before a path such as ``params['w']``, that before what a loop left over;
    otherwise the name that was there first wins.  Names that begin with an underscore say nothing.
    """
    candidates: list[tuple[int, str, Any]] = []
    module, worse = frame.f_globals, 0
    here: FrameType | None = frame
    while here is not None and here.f_globals is module:
        if here.f_locals is not module:
            candidates += _ranked(here.f_locals, here.f_code, worse)
            worse += LOOP + 1
        here = here.f_back
    candidates += _ranked(module, frame.f_code, worse)
    return _best(candidates)


def _ranked(namespace: Mapping[str, Any], code: CodeType, worse: int) -> Iterator[tuple[int, str, Any]]:
    assigned, looped = _stores(code)
    for name, value in list(namespace.items()):
        if _says_something(name) and name not in HISTORY:
            rank = CLEAR if name in assigned else LOOP if name in looped else ORDINARY
            yield worse + rank, name, value


def _says_something(name: str) -> bool:
    """Not of a variable to hide or throw away, or of pytest's."""
    return name[:1] not in ("_", "@")


def _best(candidates: Iterable[tuple[int, str, Any]]) -> Called:
    """Of all names of a tensor that which ranks first, then that which was there first."""
    found = []
    seen: set[int] = set()
    for rank, name, value in candidates:
        if _has_a_name(value):
            found.append((rank, name, value, rank % (LOOP + 1) == LOOP))
        else:
            found += [(max(rank, ORDINARY), path, x, True) for path, x in _within(name, value, seen)]
    called = Called()
    for _, name, value, indirect in sorted(found, key=lambda candidate: candidate[0]):
        if isinstance(value, Traced):
            if indirect and value.index not in called.tensors:
                called.indirect.add(value.index)
            called.tensors.setdefault(value.index, name)
        else:
            called.arrays.setdefault(name, weakref.ref(value))
    return called


def _has_a_name(value: Any) -> bool:
    return isinstance(value, Traced) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _within(name: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Tensors and arrays in a value, with the expression that leads to each; the shortest ones first."""
    queue, looked_at = deque([(name, value, 0)]), 0
    while queue and looked_at < MANY:
        path, here, depth = queue.popleft()
        if _has_a_name(here):
            yield path, here
        elif depth < DEEP and id(here) not in seen:
            parts = _parts(path, here)
            looked_at += 1 + (min(len(here), MANY) if isinstance(here, (dict, list, tuple)) else len(parts))
            if parts:
                seen.add(id(here))
                queue.extend((longer, part, depth + 1) for longer, part in parts)


def _parts(path: str, value: Any) -> list[tuple[str, Any]]:
    """What a list, a dict, an object or a function that remembers something consists of."""
    if isinstance(value, dict):
        items = [(key, x) for key, x in islice(value.items(), MANY) if not _is_plain(x)]
        return [(f"{path}[{key!r}]", x) for key, x in items if isinstance(key, (str, int))]
    if isinstance(value, (list, tuple)):
        names = getattr(value, "_fields", ())
        if names:
            return [(f"{path}.{name}", x) for name, x in zip(names, value, strict=False)]
        return [(f"{path}[{i}]", x) for i, x in enumerate(value[:MANY]) if not _is_plain(x)]
    if isinstance(value, FunctionType):
        return _remembered(value)
    try:
        attributes = getattr(value, "__dict__", None) if _is_of_the_program(type(value)) else None
    except Exception:  # whatever a class makes of its attributes: a picture does not fail for it
        attributes = None
    if type(attributes) is not dict:
        return []
    return [(f"{path}.{name}", x) for name, x in list(attributes.items()) if not name.startswith("_")]


def _is_plain(value: Any) -> bool:
    """Whether it is a number or text, in which no tensor is."""
    return isinstance(value, (str, bytes, int, float, np.generic))


def _is_of_the_program(kind: type) -> bool:
    """Whether objects of a class belong to the program's model, unlike optimisers, lists of paths or pictures."""
    if issubclass(kind, (type, ModuleType)) or kind.__module__ == "builtins":
        return False
    return not kind.__module__.startswith("tinygrad_nn") or hasattr(kind, "parameters")


def _remembered(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """The variables that a function has of the one around it, by their own names."""
    found = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:  # not assigned yet
            continue
    return found


# --- what the code says ----------------------------------------------------------------------------------------------


def assigned_name(origin: tuple[CodeType, int] | None) -> str:
    """The variable that an instruction's result was assigned to right away, as in ``h = tn.tanh(s)``; or empty."""
    return "" if origin is None else _assignments(origin[0]).get(origin[1], "")


def _instructions(code: CodeType) -> list[dis.Instruction]:
    return [i for i in dis.get_instructions(code) if i.opname not in ("CACHE", "EXTENDED_ARG", "NOP")]


def _stored(instruction: dis.Instruction) -> tuple[str, ...]:
    """The variables that an instruction assigns."""
    operation, names = instruction.opname, instruction.argval
    if operation == "STORE_FAST_STORE_FAST":  # of Python 3.13, as the next one
        return tuple(names)
    if operation == "STORE_FAST_LOAD_FAST":
        return (names[0],)
    return (names,) if operation in ("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF") else ()


@functools.lru_cache(256)
def _assignments(code: CodeType) -> dict[int, str]:
    pairs = [(a.offset, _stored(b)) for a, b in pairwise(_instructions(code))]
    return {offset: names[0] for offset, names in pairs if names and _says_something(names[0])}


@functools.lru_cache(256)
def _stores(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The names that the code assigns, arguments included; and those that only its loops do."""
    assigned = set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    looped: set[str] = set()
    expected = 0  # so many variables of a loop are still to come
    for instruction in _instructions(code):
        stored = _stored(instruction)
        if instruction.opname == "FOR_ITER":
            expected = 1
        elif expected and instruction.opname == "UNPACK_SEQUENCE":
            expected += instruction.argval - 1
        elif stored:
            (looped if expected else assigned).update(stored)
            expected = max(0, expected - len(stored))
        else:
            expected = 0
    return frozenset(assigned), frozenset(looped - assigned)
