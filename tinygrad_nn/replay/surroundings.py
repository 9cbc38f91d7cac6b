"""What a step depends on besides its arguments: globals, closures, attributes.  Watched, so that no replay is stale.

While the step is recorded, a profile hook sees which functions are about to run, what they are given and what they
return.  Whatever their code can name (the global `lr`, the attribute `self.training`, the items of a dict of settings)
is a `Place`, with the value it has.  Arrays and tensors found there get their stand-ins before anything can read them;
everything else is compared before each replay, and when one of the places holds something else the step is recorded
anew.  What cannot be compared (a clock, an iterator) is refused.
"""

from __future__ import annotations

import builtins
import datetime
import dis
import functools
import gc
import logging
import operator
import os
import random
import sys
import time
import weakref
from argparse import Namespace
from array import array
from collections import Counter, deque
from collections.abc import Callable, Collection
from contextvars import ContextVar
from types import CodeType, FrameType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_nn.operation import Op, Traced
from tinygrad_nn.origin import INTERNAL
from tinygrad_nn.replay.nodes import Memory, Node, written
from tinygrad_nn.replay.recording import StandIn, Trace
from tinygrad_nn.tensor import Tensor

__all__ = ["Key", "Place", "Surroundings"]

Key = tuple[str, int, Any]  # by which a place is recognised
_ABSENT = object()
_PLAIN = (int, float, complex, str, bytes, bool, type(None), np.generic)  # compared by value
_WITHOUT_PLACES = (*_PLAIN, np.ndarray, np.ufunc, np.dtype, Traced, Op, CodeType)
_CONTAINERS = (list, tuple, dict, set, deque)
_ITEMS = 10_000  # a longer container is not watched
# A function that names one of these can reach attributes by names that it does not spell out.
_BY_ANY_NAME = {"getattr", "hasattr", "vars", "dir", "__dict__", "__getattribute__", "attrgetter", "methodcaller",
                "eval", "exec", "globals", "locals"}  # fmt: skip
# What is another at each call, or is there for what it does outside.
_OUTSIDE: dict[Any, str] = {
    **dict.fromkeys([f for f in vars(time).values() if callable(f) and f is not time.sleep], "reads the clock"),
    os.urandom: "draws random numbers",
    builtins.print: "prints", builtins.input: "asks for input", builtins.open: "opens a file",
    os._Environ.__getitem__.__code__: "reads an environment variable", logging.Logger._log.__code__: "logs",
}  # fmt: skip
# Modules whose functions depend on nothing but their arguments.
_LIBRARIES = sys.stdlib_module_names - {"__main__"} | {"numpy", "scipy"}
_CORE = ("autodiff", "errors", "operation", "ops", "replay", "samples", "symbols", "tensor", "watch")
_NOW = ("now", "today", "utcnow")


@functools.cache
def _is_library(module: str) -> bool:
    top, _, rest = module.partition(".")
    return top in _LIBRARIES or (top == "tinygrad_nn" and (not rest or rest.split(".")[0] in _CORE))


def _is_library_module(value: Any) -> bool:
    return isinstance(value, ModuleType) and _is_library(value.__name__)


# --- places ----------------------------------------------------------------------------------------------------------


class Place:
    """Somewhere a value is found: an attribute, a cell, an item, the length or all numbers of a container."""

    __slots__ = ("codes", "holder", "key", "kind", "name", "value")

    def __init__(self, kind: str, holder: Any, key: Any, name: str):
        self.kind, self.holder, self.key, self.name = kind, holder, key, name
        self.codes: list[CodeType] = []  # of the functions that can name it
        self.value = self.now()

    def now(self) -> Any:
        """What is found there at present."""
        holder = _strongly(self.holder)
        try:
            match self.kind:
                case "attribute":
                    return getattr(holder, self.key)
                case "cell":
                    return holder.cell_contents
                case "item":
                    return holder[self.key]
                case "length":
                    return len(holder)
                case "attributes":
                    return len(vars(holder))
                case "members":
                    return set(holder)
                case "bytes":
                    return holder.tobytes()
                case _:
                    return list(holder)
        except (AttributeError, LookupError, ValueError):
            return _ABSENT

    def put(self, value: Any) -> bool:
        """Have this value found there, if that can be."""
        holder = _strongly(self.holder)
        if self.kind == "cell":
            holder.cell_contents = value
        elif self.kind == "item":
            holder[self.key] = value
        elif self.key in getattr(holder, "__dict__", ()) and not isinstance(holder, type):
            holder.__dict__[self.key] = value
        elif self.kind == "attribute":
            kinds = holder.__mro__ if isinstance(holder, type) else type(holder).__mro__
            owner = next((kind for kind in kinds if self.key in vars(kind)), object)
            try:
                if type(vars(owner)[self.key]).__name__ == "member_descriptor":
                    object.__setattr__(holder, self.key, value)  # in a slot
                else:
                    type.__setattr__(owner, self.key, value)
            except (TypeError, KeyError):
                return False
        else:
            return False
        return True

    def undo(self) -> None:
        """Take out what the recorded run has added."""
        holder, value = _strongly(self.holder), self.value
        match self.kind:
            case "length" | "attributes":
                items = vars(holder) if self.kind == "attributes" else holder
                while len(items) > value:
                    items.popitem() if isinstance(items, dict) else items.pop()
            case "numbers" | "members":
                holder.clear()
                holder.extend(value) if self.kind == "numbers" else holder.update(value)
            case "keys":
                for key in [key for key in holder if key not in value]:
                    del holder[key]
            case _ if _holds_results(self.now()):
                self.put(value)

    def same(self) -> bool:
        """Whether it holds what it held."""
        return _same(self.now(), self.value)

    @property
    def at(self) -> Key:
        """By which it is recognised."""
        return self.kind, id(_strongly(self.holder)), self.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self.at == other.at

    def __hash__(self) -> int:
        return hash(self.at)

    def where(self) -> str:
        """The line of the step that has to do with it."""
        return _line_that_names(self.codes, self.key if isinstance(self.key, str) else self.name.rpartition(" ")[2])


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is type(b) is list:
        return len(a) == len(b) and all(map(_same, a, b))
    if type(a) is type(b) is set:
        return a == b and {*map(type, a)} == {*map(type, b)}
    return isinstance(a, _PLAIN) and type(a) is type(b) and bool(a == b) and (a != 0 or repr(a) == repr(b))  # -0.0


def _weakly(x: Any) -> Any:
    try:
        return weakref.ref(x)
    except TypeError:
        return x


def _strongly(x: Any) -> Any:
    return x() if isinstance(x, weakref.ref) else x


def _line_that_names(codes: list[CodeType], name: str) -> str:
    """Where a name is stored, or else read."""
    found = [(not i.opname.startswith("STORE"), code, i) for code in codes for i in dis.get_instructions(code)]
    found = [entry for entry in found if entry[2].argval == name]
    if not found:
        return ""
    _, code, instruction = min(found, key=lambda entry: entry[0])
    line = instruction.positions.lineno if instruction.positions else None
    return f" ({written((code.co_filename, line or code.co_firstlineno))})"


# --- all places of one recorded run ----------------------------------------------------------------------------------


class Surroundings:
    """The places that the functions of one recorded run can read.

    `numbers` are those in `changing`, which are looked up at each replay; `aliases`, arguments that are found there,
    too; `refused` says what the run does that no replay could know of.
    """

    def __init__(self, function: Callable, trace: Trace, changing: set[Key]) -> None:
        self.places: list[Place] = []
        self.numbers: list[Place] = []
        self.aliases: list[tuple[int, Any]] = []
        self._function, self._trace, self._changing = function, trace, changing
        self._found: dict[Key, Place] = {}
        self.refused: str | None = None
        self._names: set[str] = set()  # which the user's functions can name,
        self._codes: list[CodeType] = []  # their code,
        self._by_any_name = False  # whether they can reach any attribute,
        self._objects: dict[int, tuple[Any, str]] = {}  # and the objects that they can reach, with names
        self._containers: set[tuple[int, int]] = set()
        self._swapped: list[tuple[Place, Any]] = []
        self._generators: dict[int, tuple[np.random.Generator, Any, str, CodeType]] = {}
        self._global_generators = _global_generators()
        self._closures: set[CodeType] = set()
        self._inner: set[CodeType] = set()  # of functions that the run makes: their cells are its own variables

    def watching(self, run: Callable[[], Any], arguments: list[Any]) -> Any:
        """What `run` returns; meanwhile, look at what the functions that it calls can see."""
        self._look_at_cells(self._function)
        self._look_into(self._function, getattr(self._function, "__name__", "the step"), None)
        for x in arguments:
            if not isinstance(x, _CONTAINERS):
                self._look_into(x, "an argument", None)
        before: Any = sys.getprofile()
        collects = gc.isenabled()
        gc.disable()  # what somebody has the collector call is no part of the step
        sys.setprofile(self._entered)
        try:
            return run()
        finally:
            sys.setprofile(before if callable(before) else None)
            if hasattr(before, "enable"):  # cProfile's, which is no function
                before.enable()
            if collects:
                gc.enable()
            self._keep_what_is_still_there()
            for place, stand_in in self._swapped:
                if place.now() is stand_in:
                    place.put(place.value)
            self._swapped.clear()

    def _entered(self, frame: FrameType, event: str, value: Any) -> None:
        code, module = frame.f_code, frame.f_globals.get("__name__", "")
        if _is_library(module):
            if event == "call" and code in _OUTSIDE:
                caller = frame.f_back
                while caller is not None and _is_library(caller.f_globals.get("__name__", "")):
                    caller = caller.f_back
                if caller is not None and not INTERNAL[caller.f_code.co_filename]:
                    self._refuse(_OUTSIDE[code], caller)
            return
        ours = INTERNAL[code.co_filename]
        if event == "call":
            if not ours:
                self._meet_code(code, frame)
            self._inner.update(c for c in code.co_consts if isinstance(c, CodeType))
            if code.co_freevars and code not in self._inner and code not in self._closures:
                self._closures.add(code)
                known = getattr(self._function, "__code__", None) is code and _is_that_of(frame, self._function)
                for function in [] if known else gc.get_referrers(code):
                    if isinstance(function, FunctionType) and _is_that_of(frame, function):
                        self._look_at_cells(function)
            for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
                self._look_at_passing(frame.f_locals.get(name), name, code)
        elif ours:
            return
        elif event == "return":
            self._look_at_passing(value, f"what {code.co_name} returns", code)
        elif event == "c_call":
            owner = getattr(value, "__self__", None)
            if value in _OUTSIDE:
                self._refuse(_OUTSIDE[value], frame)
            elif isinstance(owner, ContextVar):
                self._refuse("reads a context variable", frame)
            elif isinstance(owner, type) and issubclass(owner, datetime.date) and value.__name__ in _NOW:
                self._refuse("reads the clock", frame)

    def _refuse(self, what: str, frame: FrameType) -> None:
        line = written((frame.f_code.co_filename, frame.f_lineno))
        self.refused = self.refused or (
            f"the step {what} ({line}), and a replay would not: do it outside and pass what it gives as an argument, "
            "or mark it with tn.replay.at_each_replay"
        )

    def _meet_code(self, code: CodeType, frame: FrameType) -> None:
        """A function of the user's is about to run: look at what it can name."""
        names, of_globals = _names_of(code)
        for name in sorted(of_globals):
            if name in frame.f_globals:
                self._add("item", frame.f_globals, name, name, code)
        if code in self._codes:
            return
        self._codes.append(code)
        if {"type", "ndarray"} <= {*code.co_names}:
            self._refuse("asks for the type of an array, instead of using isinstance,", frame)
        self._learn(names, code)

    def _learn(self, names: Collection[str], code: CodeType | None) -> None:
        """The user's functions can name this, too."""
        new = {*names} - self._names
        self._names |= new
        any_name = not self._by_any_name and not new.isdisjoint(_BY_ANY_NAME)
        self._by_any_name |= any_name
        for weak, name in [*self._objects.values()] if new or any_name else []:
            value = _strongly(weak)
            if value is not None:
                self._look_at_attributes(value, name, self._names if any_name else new, code)

    def _look_at_passing(self, value: Any, name: str, code: CodeType) -> None:
        """Look at an argument or a result, or at what is in it: containers themselves are found where they are kept."""
        if not isinstance(value, _CONTAINERS):
            self._look_into(value, name, code)
        elif 0 < len(value) <= _ITEMS:
            for x in value.values() if isinstance(value, dict) else tuple(value):
                if not isinstance(x, (*_CONTAINERS, *_WITHOUT_PLACES)) or isinstance(x, Tensor):
                    self._look_into(x, f"{name}[...]", code)

    def _look_at_cells(self, function: Any) -> None:
        code = getattr(function, "__code__", None)
        names = getattr(code, "co_freevars", ())
        for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
            self._add("cell", cell, None, name, code)

    def _add(self, kind: str, holder: Any, key: Any, name: str, code: Any) -> None:
        at = kind, id(holder), key
        place = self._found.get(at)
        if place is None or _strongly(place.holder) is not holder:
            place = Place(kind, _weakly(holder) if kind.startswith("attribute") else holder, key, name)
            value = place.value
            if value is _ABSENT or isinstance(value, StandIn) or _is_library_module(value):
                return
            self._found[at] = place
            stand_in = self._stand_in(value, place)
            if stand_in is not value:
                if place.put(stand_in):
                    self._swapped.append((place, stand_in))
                else:
                    self.refused = self.refused or (
                        f"the step can read {name}, an array that cannot be watched there: pass it as an argument"
                    )
        place.codes.append(code)
        if kind in ("item", "attribute", "cell"):
            if hasattr(type(place.value), "__next__") and not isinstance(place.value, Traced):
                self.refused = self.refused or (
                    f"the step can advance {name}, an iterator, and a replay would not: pass what it gives as an "
                    "argument"
                )
            self._meet(place.value)
            self._look_into(place.value, name, code)

    def _stand_in(self, value: Any, place: Place | None) -> Any:
        """What the step shall find in place of an array, a tuple that holds arrays, or a number that changes."""
        if type(value) is float and place is not None and place.at in self._changing:
            self.numbers.append(place)
            return self._trace.number(place)
        if type(value) is np.ndarray and value.dtype.kind in "fiub":
            stand_in = self._trace.stand_in(value, Memory(value, "found", place=place))
            self._meet(stand_in)
            return stand_in
        if type(value) is tuple and any(isinstance(x, (np.ndarray, tuple)) for x in value):
            inside = tuple([self._stand_in(x, None) for x in value])
            return value if all(x is y for x, y in zip(inside, value, strict=True)) else inside
        return value

    def _meet(self, value: Any) -> None:
        """A replay with another argument would not be right where the argument is found in a place, too."""
        memory = getattr(value.value if isinstance(value, Tensor) else value, "memory", None)
        if isinstance(memory, Memory) and memory.argument is not None:
            self.aliases.append((memory.argument, value if isinstance(value, Tensor) else memory.array))

    def _look_into(self, value: Any, name: str, code: Any) -> None:
        """The places within a value: the items of a container, those attributes of an object that the code can name."""
        if isinstance(value, Tensor):
            if value.op is None:
                self._trace.lift(value)
        elif isinstance(value, np.random.Generator):
            self._generators.setdefault(id(value), (value, value.bit_generator.state, name, code))
        elif isinstance(value, _CONTAINERS):
            if (id(value), id(code)) not in self._containers:
                self._containers.add((id(value), id(code)))
                self._look_into_container(value, name, code)
        elif isinstance(value, (array, np.ndarray, bytearray)) and not isinstance(value, Traced):
            if isinstance(value, bytearray):
                self._add("numbers", value, None, name, code)
            elif isinstance(value, array) or value.dtype.kind not in "fiubO":
                self._add("bytes", value, None, name, code)
            elif value.dtype.kind == "O":
                self.refused = self.refused or (
                    f"the step can read {name}, an array of objects, which cannot be watched: make it a list"
                )
        elif isinstance(value, (operator.attrgetter, operator.methodcaller)):
            self._learn([part for name in value.__reduce__()[1] for part in str(name).split(".")], code)
        elif isinstance(value, functools.partial):
            for i, x in enumerate((value.func, value.args, value.keywords)):
                self._look_into(x, f"{name}.{('func', 'args', 'keywords')[i]}", code)
        elif not isinstance(value, _WITHOUT_PLACES) and not _is_library_module(value):
            if code is not None and INTERNAL[code.co_filename]:
                self._look_at_attributes(value, name, {*code.co_names}, code)
            known = self._objects.get(id(value))
            if (known is None or _strongly(known[0]) is not value) and not _is_library(_module_of(value)):
                self._objects[id(value)] = _weakly(value), name
                if isinstance(value, FunctionType):
                    for attribute in ("__defaults__", "__kwdefaults__"):
                        if getattr(value, attribute):
                            self._add("attribute", value, attribute, f"{name}.{attribute}", code)
                elif _is_of_the_user(value):
                    self._add("attributes", value, None, f"the attributes of {name}", code)
                self._look_at_attributes(value, name, self._names, code)

    def _look_at_attributes(self, value: Any, name: str, names: set[str], code: Any) -> None:
        """Those of an object that have one of these names; or all of them, if a function finds them by any name."""
        own = getattr(value, "__dict__", {})
        found = own.keys() & names
        if self._by_any_name and _is_of_the_user(value):
            found |= own.keys()
        for kind in type(value).__mro__[:-1]:
            found |= vars(kind).keys() & names
        for attribute in sorted(found):  # the same in every run
            if _is_data(value, attribute):
                self._add("attribute", value, attribute, f"{name}.{attribute}", code)
            elif attribute not in own and _is_of_the_user(value):
                kind = next(kind for kind in type(value).__mro__ if attribute in vars(kind))
                if isinstance(vars(kind)[attribute], (FunctionType, property)):
                    self._add("attribute", kind, attribute, f"{kind.__name__}.{attribute}", code)

    def _look_into_container(self, value: Any, name: str, code: Any) -> None:
        if isinstance(value, tuple):  # always holds the same
            for i, x in enumerate(value):
                self._meet(x)
                self._look_into(x, f"{name}[{i}]", code)
            return
        if isinstance(value, set):
            self._add("members", value, None, name, code)
            return
        keys = isinstance(value, dict) and code is not None and not INTERNAL[code.co_filename]
        self._add("keys" if keys else "length", value, None, f"the {'keys' if keys else 'length'} of {name}", code)
        if len(value) > _ITEMS:
            self.refused = self.refused or (
                f"the step can read {name}, which has {len(value):,} items and cannot be watched: make it an array"
            )
            return
        if not isinstance(value, dict) and all(isinstance(x, _PLAIN) for x in value):
            self._add("numbers", value, None, name, code)
            return
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            self._add("item", value, key, f"{name}[{key!r}]", code)

    def _keep_what_is_still_there(self) -> None:
        """Objects that the run made for itself go as soon as nobody here holds them."""
        places, before = list(self._found.values()), -1
        self._found.clear()
        while len(places) != before:
            before = len(places)
            forgotten = _held_by_nobody_else(places)
            places = [p for p in places if _strongly(p.holder) is not None and id(p.holder) not in forgotten]
        for place in places:
            place.holder = _strongly(place.holder)
        self.places = places

    # -- afterwards

    def changed_by_the_step(self) -> str | None:
        """What the run itself has changed, and where: a replay would not."""
        changed = [place for place in self.places if not place.same()]
        for place in changed:
            place.undo()
        if changed:
            return f"{changed[0].name}{changed[0].where()}"
        known = {(id(p.holder), p.key) for p in self.places if p.kind == "attribute"}
        for at, (weak, name) in self._objects.items():
            for attribute, made in getattr(_strongly(weak), "__dict__", {}).items():
                if (at, attribute) not in known and _holds_results(made):
                    return f"{name}.{attribute}{_line_that_names(self._codes, attribute)}"
        return None

    def drawn_from(self) -> str | None:
        """The generator of random numbers that the run drew from by itself, and not by an operation on tensors."""
        for generator, state, name, code in self._generators.values():
            if generator.bit_generator.state != state:
                generator.bit_generator.state = state
                return f"{name}{_line_that_names([code], name.rpartition('.')[2])}"
        return None if _global_generators() == self._global_generators else "the global generator"

    def results_kept(self) -> Node | None:
        """A value of the recorded run that somebody still holds."""
        self._objects.clear()
        return self._trace.kept()

    def forget(self) -> None:
        """Nothing but the places is needed any more."""
        del self._trace, self._function
        for container in (self._objects, self._generators, self._codes, self._closures, self._inner):
            container.clear()

    def changed_numbers(self) -> set[Key]:
        """The places that hold another number now."""
        return {p.at for p in self.places if type(p.value) is float and type(p.now()) is float and not p.same()}

    def same(self, but: set[int]) -> bool:
        """Whether every place, but for those with these ids, holds what it held; that is compared from now on."""
        watched = [place for place in self.places if id(place) not in but]
        if not all(place.same() for place in watched):
            return False
        for place in watched:
            place.value = place.now()
        return True


def _held_by_nobody_else(places: list[Place]) -> set[int]:
    """Ids of containers (which cannot be held weakly) that are only held by places."""
    nobodys: list[Any] = []
    containers = {id(x): x for x in [nobodys, *(p.holder for p in places if isinstance(p.holder, _CONTAINERS))]}
    ours = Counter([id(p.holder) for p in places] + [id(p.value) for p in places])
    counts = {at: sys.getrefcount(x) - ours[at] for at, x in containers.items()}
    alone = counts[id(nobodys)] - 1  # less the name here
    return {at for at, count in counts.items() if count <= alone}


def _is_that_of(frame: FrameType, function: Any) -> bool:
    """Whether a frame runs this function, and not another one that was made by the same `def`."""
    names, cells = function.__code__.co_freevars, function.__closure__ or ()
    found = [Place("cell", cell, None, name).value for name, cell in zip(names, cells, strict=False)]
    return all(value is frame.f_locals.get(name, _ABSENT) for name, value in zip(names, found, strict=False))


@functools.lru_cache(4096)
def _names_of(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """What a function can name, functions within it included, be it in a string; and which of that is global."""
    names = {*code.co_names, *(c for c in code.co_consts if isinstance(c, str) and c.isidentifier())}
    of_globals = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    if "globals" in names:
        of_globals |= names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            names |= _names_of(inner)[0]
            of_globals |= _names_of(inner)[1]
    return frozenset(names), frozenset(of_globals)


def _module_of(value: Any) -> str:
    """Where an object's class comes from, or a function or class itself."""
    kind = value if isinstance(value, (FunctionType, type)) else type(value)
    return str(getattr(kind, "__module__", "")) if kind not in (SimpleNamespace, Namespace) else ""


def _is_of_the_user(value: Any) -> bool:
    """Whether the user has written its class, and it has attributes."""
    if isinstance(value, (type, ModuleType, FunctionType, Traced)) or not hasattr(value, "__dict__"):
        return False
    module = _module_of(value)
    return not module.startswith("tinygrad_nn.") and not _is_library(module)


def _is_data(value: Any, attribute: str) -> bool:
    """Whether it is a plain attribute, of the object or its class (what a property returns, its function reads)."""
    if attribute in getattr(value, "__dict__", {}):
        return True
    for kind in type(value).__mro__:
        if attribute in vars(kind):
            found = vars(kind)[attribute]
            return type(found).__name__ == "member_descriptor" or not (callable(found) or hasattr(found, "__get__"))
    return False


def _holds_results(value: Any) -> bool:
    """Whether it is, or holds, a value that only a recorded run knows."""
    inside = value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(x, Traced) and isinstance(x.value, Traced) for x in inside)


def _global_generators() -> Any:
    state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002  to notice that somebody draws from it
    return state["pos"], state["key"].tobytes(), random.getstate()
