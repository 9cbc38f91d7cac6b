"""What a step depends on besides its arguments and tensors: the plain values that its code captures.

These are the values, and containers of them, in the cells and globals that the step and the functions found there name,
in objects that are declared, in modules that ran and in the settings of optimisers.  They are compared before each
replay; when one has changed the step is recorded again.  Everything else is frozen when the step is recorded.  Objects
are only observed, to see whether the step changes them, which a replay would not.
"""

from __future__ import annotations

import functools
import io
import sys
from array import array
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from types import BuiltinMethodType, CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinygrad_nn.compiler.effects import effect_named, globals_of, line_that_names, names_of
from tinygrad_nn.compiler.identity import IdentityTable
from tinygrad_nn.errors import CompileError
from tinygrad_nn.operation import Op
from tinygrad_nn.tensor import Tensor

__all__ = ["ABSENT", "PLAIN", "Captured", "Watched", "same_value"]

ABSENT = object()
PLAIN = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype, type(Ellipsis), range, slice)
_ITEMS = 10_000  # a longer container is not compared
_COMPARED = 1 << 24  # bytes up to which an array is looked at again, to see that NumPy has not changed it unseen
_SMALL = 1 << 12  # bytes up to which an array is compared wherever the step names it
_OUTSIDE = {"logging", "socket", "sqlite3", "queue", "_queue", "_csv", "multiprocessing", "subprocess"}
_LIBRARIES = sys.stdlib_module_names - {"__main__"} | {"numpy", "scipy", "tinygrad_nn", "builtins"}


def same_value(a: Any, b: Any) -> bool:
    """Whether a replay cannot tell two values apart: 1 is not 1.0, 0.0 is not −0.0, and NaN is NaN."""
    if a is b:
        return True
    if type(a) is not type(b) or not isinstance(a, (*PLAIN, frozenset)):
        return False
    return repr(a) == repr(b) if isinstance(a, (float, complex, np.inexact)) else bool(a == b)


class Watched:
    """A holder of captured values (a cell, a container, the attributes of an object), with those that it had.

    `keys` are the items that are looked at, where not all are.  What is not `compared` is observed only.  `values` are
    those that a replay takes for granted, `latest` those after what was called for what it does.
    """

    __slots__ = ("compared", "holder", "keys", "kind", "latest", "name", "values")

    def __init__(self, kind: str, holder: Any, name: str, keys: tuple = (), compared: bool = True):
        self.kind, self.holder, self.name, self.keys, self.compared = kind, holder, name, keys, compared
        self.values = self.latest = self.now()

    @property
    def snapshot(self) -> Any:
        """A list of the same objects, if ``holder == snapshot`` says whether it still holds them; else None."""
        by_identity = all(type(x) is Tensor or getattr(type(x), "__eq__", None) is object.__eq__ for x in self.values)
        return [*self.values] if type(self.holder) is list and by_identity else None

    def now(self) -> list[Any]:
        """The values at present."""
        holder = self.holder
        match self.kind:
            case "cell":
                try:
                    return [holder.cell_contents]
                except ValueError:
                    return [ABSENT]
            case "items":
                return [holder.get(key, ABSENT) for key in self.keys]
            case "mapping" | "module":
                return [*holder.keys(), *holder.values()]
            case "slots":
                return [getattr(holder, key, ABSENT) for key in self.keys]
            case "set":
                return [frozenset(holder)]
            case "bytes":
                return [bytes(holder)]
            case "position":
                return [None if holder.closed or not holder.seekable() else holder.tell()]
            case _:
                return [*holder]

    def same(self, values: Sequence[Any] | None = None) -> bool:
        """Whether a replay could not tell the difference."""
        now, values = self.now(), self.values if values is None else values
        return len(now) == len(values) and all(map(same_value, now, values))

    def difference(self) -> str:
        """What has changed, for messages."""
        if self.kind not in ("items", "mapping", "module"):
            return self.name
        half = len(self.latest) // 2
        keys, values = (self.keys, self.latest) if self.keys else (self.latest[:half], self.latest[half:])
        before = dict(zip(keys, values, strict=True))
        now = {**dict.fromkeys(before, ABSENT), **self.holder} if not self.keys else self.holder
        changed = [k for k in (self.keys or now) if not same_value(now.get(k, ABSENT), before.get(k, ABSENT))]
        return f"{self.name}.{changed[0]}".lstrip(".") if changed else self.name

    def restore(self) -> None:
        """Put back what was there, as far as that can be done."""
        holder, values = self.holder, self.values
        if self.same() or self.kind == "position":
            return
        if self.kind == "cell":
            holder.cell_contents = values[0]
        elif self.kind == "slots":
            for key, value in zip(self.keys, values, strict=True):
                setattr(holder, key, value)
        elif self.kind == "items" and hasattr(holder, "update"):
            holder.update({k: v for k, v in zip(self.keys, values, strict=True) if v is not ABSENT})
        elif self.kind in ("mapping", "module") and hasattr(holder, "clear"):
            half = len(values) // 2
            holder.clear()
            holder.update(zip(values[:half], values[half:], strict=True))
        elif hasattr(holder, "clear") and hasattr(holder, "extend"):
            holder.clear()
            holder.extend(values)
        elif self.kind == "set" and hasattr(holder, "clear"):
            holder.clear()
            holder.update(values[0])

    def hand_over(self, real: Callable[[Any], Any]) -> None:
        """Put real values in the place of tracers that the step has left here."""
        holder = self.holder
        items: Any = enumerate(holder) if isinstance(holder, MutableSequence) else ()
        items = [*holder.items()] if isinstance(holder, MutableMapping) else items
        for key, value in [(None, self.now()[0])] if self.kind == "cell" else items:
            if real(value) is value:
                continue
            if self.kind == "cell":
                holder.cell_contents = real(value)
            else:
                holder[key] = real(value)


class Captured:
    """The captured values of one step: the `watched` holders, and `aliases`, the arrays and tensors found there."""

    def __init__(self, function: Callable, arguments: Iterable[Any], state: Sequence[Any]):
        self.watched: list[Watched] = []
        self.modules: list[Any] = []  # which have a count of all assignments to attributes
        self.generators: list[tuple[str, Any]] = []
        self.aliases: list[Any] = []
        self.optimizers: list[Any] = []  # whose settings are read
        self.arrays: list[tuple[str, np.ndarray, bytes]] = []  # that are compared
        self._outside = ""
        self._arrays: list[tuple[str, np.ndarray, np.ndarray]] = []
        self._codes: dict[CodeType, dict[str, Any]] = {}
        self._seen = IdentityTable()
        self._objects: list[tuple[str, Any]] = []
        for i, value in enumerate(state):
            self._visit(value, f"state[{i}]", declared=True)
        for value in arguments:
            self._visit_named(value, "an argument", function)
        self._visit(function, getattr(function, "__name__", "the step"))
        call = vars(type(function)).get("__call__")
        if isinstance(call, FunctionType) and _is_of_the_user(function):
            self._visit_named(function, "self", call)
            self._visit_function(call)
        named = frozenset().union(*map(names_of, self._codes))
        if "random" in named:  # else it may be another thread that draws
            self.generators.append(("np.random", np.random.mtrand._rand))
        for name, value in self._objects:  # of this package: what the step names of them
            self._watch("items", vars(value), name, tuple(sorted(named & vars(value).keys())))

    def _visit(self, value: Any, name: str, declared: bool = False) -> None:
        if declared and isinstance(value, type):
            self._watch("mapping", vars(value), name)
        if isinstance(value, slice):
            self._visit_all((name, x) for x in (value.start, value.stop, value.step))
        if isinstance(value, (*PLAIN, Op, np.ufunc, type)) or value in self._seen:
            return
        if isinstance(value, FunctionType) and hasattr(value, "at_each_replay"):
            return
        self._seen[value] = True
        if type(value).__module__.partition(".")[0] in _OUTSIDE:
            self._outside = self._outside or f"{name}, a {type(value).__name__}"
        elif isinstance(value, io.IOBase):
            self._watch("position", value, name, compared=False)
        elif isinstance(value, (Tensor, np.ndarray)):
            self.aliases.append(value)
            if type(value) is np.ndarray and value.nbytes <= _COMPARED and not value.dtype.hasobject:
                self._arrays.append((name, value, value.copy()))
        elif isinstance(value, (np.random.Generator, np.random.RandomState)):
            self.generators.append((name, value))
        elif isinstance(value, FunctionType):
            self._visit_function(value)
        elif isinstance(value, BuiltinMethodType) and not isinstance(value.__self__, ModuleType):
            self._visit(value.__self__, name)
        elif isinstance(value, MethodType):
            self._visit_named(value.__self__, "self", value.__func__)
            if isinstance(value.__self__, (np.random.Generator, np.random.RandomState)):
                self._visit(value.__self__, name)
            self._visit(value.__func__, name)
        elif not _is_of_the_user(value) and isinstance(
            getattr(value, "__wrapped__", None), FunctionType
        ):  # compiled, or with a cache
            self._visit_function(value.__wrapped__)
        elif isinstance(value, functools.partial):
            self._visit_all((name, x) for x in (value.func, value.args, value.keywords))
        elif isinstance(value, (bytearray, memoryview, array)):
            self._watch("bytes", value, name)
        elif isinstance(value, (Mapping, AbstractSet, tuple, list, deque, MutableSequence)) and len(value) <= _ITEMS:
            kind = "mapping" if isinstance(value, Mapping) else "set" if isinstance(value, AbstractSet) else "sequence"
            if isinstance(value, tuple):  # always holds the same
                self._visit_all((f"{name}[{i}]", x) for i, x in enumerate(value))
            else:
                self._watch(kind, value, name)
        elif isinstance(getattr(type(value), "changes", None), int) and hasattr(value, "modules"):
            self.add_module(value)
        elif declared and not type(value).__module__.startswith("tinygrad_nn."):  # what is ours has a home
            self._watch_declared(value, name)
        elif hasattr(value, "__dict__") and _is_of_the_user(value):
            self._watch("mapping", vars(value), name, compared=False)
        elif hasattr(value, "__dict__"):
            self._objects.append((name, value))
            self._observe_settings(value, name)

    def _observe_settings(self, value: Any, name: str) -> None:
        """Settings of optimisers and schedules that the step can name, though it may not read them yet."""
        optimizer = getattr(value, "optimizer", value)
        for group in getattr(optimizer, "param_groups", ()):
            self.watched.append(Watched("mapping", group, f"{name}.param_groups", compared=False))

    def _watch_declared(self, value: Any, name: str) -> None:
        """All attributes of an object: its own, in a dict or in slots, and those of its class."""
        classes = _classes(type(value))
        slots = [key for cls in classes for key in vars(cls) if type(vars(cls)[key]) is MemberDescriptorType]
        if not hasattr(value, "__dict__") and not slots:
            raise CompileError(
                f"{name} is a {type(value).__name__}, and a change in it would go unnoticed: declare an object with "
                "attributes, a list, a dict or an array"
            )
        if slots:
            self._watch("slots", value, name, tuple(slots))
        if hasattr(value, "__dict__"):
            self._watch("mapping", vars(value), name)
        for cls in classes:
            self._watch("mapping", vars(cls), cls.__name__)

    def _visit_named(self, value: Any, name: str, function: Any) -> None:
        """Those attributes of an argument, or of the class that it is, that a function names."""
        code, cls = getattr(function, "__code__", None), value if isinstance(value, type) else type(value)
        if code is not None and (_is_of_the_user(value) if cls is not value else not _is_library(cls.__module__)):
            methods = _methods_named(cls, code)
            named = frozenset().union(*map(names_of, [code, *(method.__code__ for method in methods)]))
            self._watch_named(value, cls, name, named)
            for method in methods:
                self._visit_function(method)
        if hasattr(value, "__dict__") and not isinstance(value, type):
            self._visit(value, name)

    def _watch_named(self, value: Any, cls: type, name: str, named: AbstractSet[str]) -> None:
        """The named attributes of an object, wherever they are now: its own, in slots, or those of its class."""
        found = [(key, vars(c)[key]) for c in _classes(cls) for key in named & vars(c).keys()]
        slots = {key for key, member in found if type(member) is MemberDescriptorType}
        of_class = {key for key, _ in found} - slots
        for parent in _classes(cls):  # a class, and the object itself, may hide later what another one has now
            self._watch("items", vars(parent), parent.__name__, tuple(sorted(of_class)))
        if hasattr(value, "__dict__") and value is not cls:
            self._watch("items", vars(value), name, tuple(sorted(named & vars(value).keys() | of_class)))
        if slots and value is not cls:
            self._watch("slots", value, name, tuple(sorted(slots)))

    def _visit_function(self, function: FunctionType) -> None:
        if _is_library(function.__module__ or ""):
            return
        code, names = function.__code__, function.__globals__
        self._codes[code] = names
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
            self._watch("cell", cell, name)
        named = [name for name in globals_of(code) if not _is_library_module(names.get(name))]
        self._watch("items", names, "", tuple(sorted(named)))
        self._visit_all((function.__name__, x) for x in (function.__defaults__, function.__kwdefaults__))
        for name in globals_of(code) & names.keys():
            if isinstance(names[name], ModuleType) and not _is_library_module(names[name]):
                own = vars(names[name])
                self._watch("items", own, name, tuple(sorted(names_of(code) & own.keys())))

    def _watch(self, kind: str, holder: Any, name: str, keys: tuple = (), compared: bool = True) -> None:
        if kind == "items" and not keys:
            return
        watched = Watched(kind, holder, name, keys, compared)
        self.watched.append(watched)
        values = watched.values[len(watched.values) // 2 :] if kind in ("mapping", "module") else watched.values
        labels = keys or ([*holder] if kind in ("mapping", "module") else range(len(values)))
        if kind not in ("set", "bytes", "position"):
            names = [name if kind == "cell" else f"{name}.{label}".lstrip(".") for label in labels]
            self._visit_all(zip(names, values, strict=False))

    def _visit_all(self, values: Iterable[tuple[str, Any]]) -> None:
        for name, value in values:
            self._visit(value, name)

    # -- while and after the step runs

    def add_module(self, module: Any) -> None:
        """The attributes of a module and its parts belong to the captured state."""
        for part in module.modules():
            if not any(part is known for known in self.modules):
                self.modules.append(part)
                self._watch("module", vars(part), type(part).__name__)

    def named_arrays(self) -> list[np.ndarray]:
        """Small arrays that the step names itself: NumPy alone may compute with them."""
        named = frozenset().union(*map(names_of, self._codes), *(code.co_freevars for code in self._codes))
        return [array for name, array, _ in self._arrays if array.nbytes <= _SMALL and name.rpartition(".")[2] in named]

    def add_array(self, array: Any) -> None:
        """An array of which an operation made numbers or a copy: it, or what it is a view of, is compared."""
        while isinstance(array, np.ndarray):
            for name, known, _ in self._arrays:
                if known is array and not any(array is compared for _, compared, _ in self.arrays):
                    self.arrays.append((name, array, array.tobytes()))
            array = array.base

    def add_settings(
        self, group: dict[str, Any], keys: Sequence[str], numbers: Sequence[str], optimizer: Any
    ) -> None:  # fmt: skip
        """Settings of an optimiser that are not looked up at each replay belong to it, too."""
        self._watch("items", vars(optimizer), "optimizer", ("fused",))
        self._watch("items", group, "settings", tuple(sorted(keys)))
        self._watch("items", group, "settings", tuple(sorted(set(numbers) - {*keys})), compared=False)
        self.watched.append(Watched("places", optimizer.param_groups, "param_groups"))
        self.watched.append(Watched("sequence", group["params"], "params"))
        self.aliases += group["params"]
        if optimizer not in self.optimizers:
            self.optimizers.append(optimizer)

    def refusal(self, seen: Container[int]) -> str:
        """Why what the step has done besides cannot be replayed; '' if it can.

        `seen` are the ids of arrays that took part: it is known what was done to these.
        """
        changed = self.changed(seen)
        if changed:
            return (
                f"the step changes {changed}, and a replay would not: return what it finds out, keep what it updates "
                "in a tensor, and mark what it does to Python objects with tn.at_each_replay"
            )
        if self._outside:
            return (
                f"the step names {self._outside}{self.line_that_names(self._outside.partition(',')[0])}, and a replay "
                "would not do what it does outside: mark that with tn.at_each_replay"
            )
        return next(filter(None, (effect_named(code, names) for code, names in self._codes.items())), "")

    def changed(self, seen: Container[int] = ()) -> str:
        """What is not as it was, with the line that has to do with it; '' if nothing has changed."""
        for name, now, copy in self._arrays:
            if id(now) not in seen and not np.array_equal(now, copy, equal_nan=copy.dtype.kind == "f"):
                return name + self.line_that_names(name)
        for name, now, before in self.arrays:
            if now.tobytes() != before:
                return name + self.line_that_names(name)
        for watched in self.watched:
            if not watched.same(watched.latest):
                return watched.difference() + self.line_that_names(watched.difference())
        return ""

    def line_that_names(self, name: str) -> str:
        """The line of the step that has to do with something, for messages."""
        return line_that_names([*self._codes], name.rpartition(".")[2])

    def hand_over(self, real: Callable[[Any], Any]) -> None:
        """Put real values in the place of tracers that the step has left in captured objects."""
        for watched in self.watched:
            watched.hand_over(real)

    def renew(self) -> None:
        """From now on the step changes what is not as it is at this moment."""
        for watched in self.watched:
            watched.latest = watched.now()
        self._arrays = [(name, kept, kept.copy()) for name, kept, _ in self._arrays]

    def same(self) -> bool:
        """Whether all that is compared is as it was; from now on it is compared with the objects of this moment."""
        compared = [watched for watched in self.watched if watched.compared]
        if not all(watched.same() for watched in compared) or any(x.tobytes() != was for _, x, was in self.arrays):
            return False
        self.renew()
        for watched in compared:
            watched.values = watched.latest
        return True

    def names(self, array: Any) -> bool:
        """Whether an array is found where the step can name it."""
        return any(array is found for found in self.aliases)

    def forget(self) -> None:
        """Let go what was needed to find the rest, and copies."""
        self._seen.clear()
        self.aliases.clear()
        self._arrays = [(name, kept, kept) for name, kept, _ in self._arrays]


def _is_of_the_user(value: Any) -> bool:
    """Whether attributes of an object are the user's."""
    return not _is_library(type(value).__module__) or type(value).__module__ in ("types", "argparse", "_thread")


def _methods_named(cls: type, code: CodeType) -> list[FunctionType]:
    """The methods and properties of a class that code names, and those that these name; decorated ones, too."""
    found: dict[FunctionType, None] = {}
    wanted, known = [*names_of(code)], set(names_of(code))
    while wanted:
        name = wanted.pop()
        for method in [vars(parent)[name] for parent in _classes(cls) if name in vars(parent)]:  # and those of super()
            method = method.fget if isinstance(method, property) else getattr(method, "__func__", method)
            method = method if isinstance(method, FunctionType) else getattr(method, "__wrapped__", method)
            if isinstance(method, FunctionType):
                found[method] = None
                wanted += names_of(method.__code__) - known
                known |= names_of(method.__code__)
    return [*found]


def _classes(cls: type) -> list[type]:
    """The classes of the user from which one inherits, itself included."""
    return [parent for parent in cls.__mro__ if not _is_library(parent.__module__)]


def _is_library_module(value: Any) -> bool:
    return isinstance(value, ModuleType) and _is_library(value.__name__)


def _is_library(module: str) -> bool:
    return module.partition(".")[0] in _LIBRARIES
