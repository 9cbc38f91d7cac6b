"""What an operation is: one frozen record from which everything else in the package follows."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_nn.errors import explained, misfit

__all__ = ["BY_FUNCTION", "BY_NAME", "Interpreter", "Op", "Traced", "implements", "op"]

BY_NAME: dict[str, Any] = {}  # "tanh" -> the operation, or the function composed of operations
BY_FUNCTION: dict[Any, Any] = {}  # np.tanh -> the same: how NumPy's own functions find their way into the graph


class Traced:
    """Base of the values that want to see the operations which happen to them (tensors, and symbols)."""

    __slots__ = ()
    value: Any
    index: int
    tracked: bool

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None) -> Any:
        raise NotImplementedError

    def as_index(self) -> Any:
        """The value, to index an array with."""
        raise NotImplementedError


class Interpreter:
    """Carries out the operations on tensors in the context that names it (`Mode.interpreter`): the seam of tracing.

    It lets tensors and arrays be seen as something else.  Nothing is exchanged inside the user's objects: whoever
    reads or changes a tensor does so on the stand-in that the interpreter has for it.
    """

    def tensor(self, t: Any) -> Any:
        """The stand-in of a tensor, the same one each time; a tensor made under this interpreter is its own.

        It is a tensor of the same `index`, `tracked` and `name`, without `op`, whose value is a tracer: a `Traced`
        value that behaves as an array.
        """
        raise NotImplementedError

    def operand(self, x: Any) -> Any:
        """What takes the place of an operand: the stand-in of a tensor, the tracer of an array; else `x` itself."""
        raise NotImplementedError

    def carry_out(self, op: Op, values: Sequence[Any], params: dict[str, Any]) -> Any:
        """The value of one operation on these values: tracers, constants, and arrays it has not been shown yet."""
        raise NotImplementedError

    def settings(self, group: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        """The settings of an optimiser, as its rule is to see them."""
        return group

    def entered(self, module: Any) -> None:
        """A module runs."""

    def effect(self, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """What is called for what it does, and not for a value."""
        return function(*args, **kwargs)


class EverySlot:
    """The rules of an operation on any number of arrays: one rule that is told its `slot`."""

    def __init__(self, rule: Callable):
        self.rule = rule

    def __getitem__(self, slot: int) -> Callable:
        return lambda *args, **params: self.rule(*args, slot=slot, **params)


KINDS = (None, "elementwise", "linear", "multilinear", "reduction", "symmetric")


@dataclass(frozen=True, eq=False, repr=False)
class Op:
    """One operation: how to compute it, how to write it, and how to differentiate it.

    `forward` takes arrays and returns an array.  `vjps` holds one rule for each array argument,
    `(g, y, *arrays, **params) -> array`: the upstream gradient g = ∂L/∂y, the output, then the inputs (or None,
    where there is no gradient).  The laws of a rule stand at the top of `tinygrad_nn.ops`.

    `kind` says what the Jacobian looks like, from which forward mode and the pictures follow:
    "elementwise" (diagonal), "linear" (in all arguments together), "multilinear" (in each argument),
    "reduction" (an input element reaches one output element), "symmetric", or None with an explicit `jvp`,
    `(tangents, y, *arrays, **params) -> array`, where the tangent of an argument held constant is None.
    """

    name: str
    forward: Callable
    formula: str
    vjps: Any
    kind: str | None = None
    jvp: Callable | None = None
    bind: Callable | None = None  # the public signature, where it is not (arrays..., params...): -> arrays, params
    arguments: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)
    binds: int = 9  # how tightly the formula holds together: 1 sum, 2 product, 3 power, 9 function call
    view: bool = True  # the output may share memory with an input
    guard: bool = False  # passes exact zeros to the branch not taken: what lies behind must not make them NaN
    method: bool = True
    domain: tuple = (-2.0, 2.0)  # where the automatic checks draw the inputs: one interval, or one for each argument
    samples: Callable | None = None  # rng -> list of (arrays, params), where shapes and a domain do not say enough
    prepare: Callable | None = None  # makes a valid input of any input (a symmetric matrix, say), for the checks
    smooth: int = 2  # up to which order the checks differentiate
    summary: str = ""
    hard: str = ""  # values and gradients at the hard points
    example: str = ""  # a call for the documentation, where the signature is not (arrays..., params...)
    special: bool = field(init=False)  # needs a second look when it is recorded

    def __post_init__(self) -> None:
        gaps = not isinstance(self.vjps, EverySlot) and any(rule is None for rule in self.vjps)
        object.__setattr__(self, "special", self.view or gaps)

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Carry it out: on arrays at once, on tensors with a record of it."""
        if self.bind is not None:
            if "out" in params:
                raise self._wrong_call("out=")
            args, params = self.bind(*args, **params)
        elif len(args) != len(self.arguments) or (params and not params.keys() <= self.defaults.keys()):
            args, params = self._sort_out(args, params)
        for value in args:
            if isinstance(value, Traced):
                return value.__record__(self, args, params)
        return self.compute(args, params)

    def apply(self, args: Sequence[Any], params: dict[str, Any] | None) -> Any:
        """Carry it out on arrays, or hand it to the first argument that records."""
        for value in args:
            if isinstance(value, Traced):
                return value.__record__(self, tuple(args), params)
        return self.compute(args, params)

    def compute(self, values: Sequence[Any], params: dict[str, Any] | None) -> Any:
        """The forward function on arrays."""
        try:
            return self.forward(*values, **params) if params else self.forward(*values)
        except (ValueError, IndexError) as reason:
            raise self.explain(reason, values) from None

    def explain(self, reason: Exception, args: Sequence[Any]) -> Exception:
        """The error that names the operation, the operands and their shapes."""
        return misfit(self, args, reason) or explained(self, args, reason)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<operation {self.name}{inspect.signature(self)}>"

    def __reduce__(self) -> Any:
        return _by_name, (self.name,)

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def __signature__(self) -> inspect.Signature:
        if self.bind is not None:
            return inspect.signature(self.bind)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        arrays = [inspect.Parameter(name, kind) for name in self.arguments]
        return inspect.Signature(arrays + [inspect.Parameter(k, kind, default=v) for k, v in self.defaults.items()])

    def _sort_out(self, args: tuple, params: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """Positional parameters and arrays by keyword, as in `tn.sum(x, 0)` and `tn.sum(x=x)`."""
        n = len(self.arguments)
        given = dict(zip(self.arguments + tuple(self.defaults), args, strict=False))
        twice = given.keys() & params.keys()
        given.update(params)
        unknown = given.keys() - set(self.arguments) - self.defaults.keys()
        missing = [name for name in self.arguments if name not in given]
        if unknown or missing or twice or len(args) > n + len(self.defaults):
            raise self._wrong_call(f"{sorted(unknown)[0]}=" if unknown else f"{len(args)} positional arguments")
        return tuple(given.pop(name) for name in self.arguments), given

    def _wrong_call(self, wrong: str) -> TypeError:
        way_out = " (the result is always a new array: assign what is returned)" if wrong == "out=" else ""
        return TypeError(f"{self.name} does not take {wrong}{way_out}; it is {self.name}{inspect.signature(self)}")

    def derivable(self, slot: int) -> bool:
        """Whether there is a gradient with respect to this argument."""
        return isinstance(self.vjps, EverySlot) or self.vjps[slot] is not None

    def parameters(self, params: dict[str, Any] | None) -> dict[str, Any]:
        """The parameters of one call, those left to their defaults included."""
        return {**self.defaults, **(params or {})}


def _by_name(name: str) -> Any:
    return BY_NAME[name]


def write(op: Op, arguments: dict[str, str] | Sequence[str], params: dict[str, Any] | None = None) -> str:
    """The formula of `op` with these texts as its arguments."""
    if not isinstance(arguments, dict):
        if len(op.arguments) == 1 and len(arguments) != 1:  # any number of arrays
            arguments = {op.arguments[0]: ", ".join(arguments)}
        else:
            arguments = dict(zip(op.arguments, arguments, strict=True))
    spelled = {name: _spell(value) for name, value in op.parameters(params).items()}
    return op.formula.format(**spelled, **arguments)


def _spell(value: Any) -> str:
    """A parameter as it is written in code: an index as it stands in brackets."""
    if isinstance(value, tuple):
        return ", ".join(_spell(v) for v in value)
    if isinstance(value, slice):
        parts = ["" if v is None else str(v) for v in (value.start, value.stop, value.step)]
        return ":".join(parts if parts[2] else parts[:2])
    if isinstance(value, np.ndarray):
        return str(value.tolist()) if value.size <= 4 else "…"
    return "…" if value is Ellipsis else str(value)


def op(
    forward: Callable, formula: str, *vjps: Callable | EverySlot | None, name: str | None = None, **fields: Any
) -> Op:
    """Add an operation: the one entry from which function, method, derivatives, labels and checks follow.

    Parameters
    ----------
    forward : arrays in, array out.  Where it is a NumPy function, that function works on tensors as well.
    formula : how it is written, with the arguments in braces: ``"tanh({x})"``.
    vjps : one rule `(g, y, *arrays, **params) -> array` for each array argument, or None where there is no gradient;
        an `EverySlot` where the number of arrays is free.  Names and defaults are read off the first rule.
    name : defaults to that of `forward`.
    fields : the further fields of `Op` (`kind` is "elementwise" for a ufunc unless said otherwise), and `stands_for`,
        further NumPy functions that this operation carries out when they meet a tensor.

    Raises
    ------
    ValueError : if the name belongs to another operation of the tables, or a NumPy function to another operation.

    Example
    -------
    >>> import numpy as np, tinygrad_nn as tn
    >>> cube = tn.op(lambda x: x * x * x, "{x}³", lambda g, y, x: g * (3 * x * x), name="cube", kind="elementwise")
    >>> x = tn.tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    array(12.)
    >>> tn.gradcheck(cube, np.array([1.0, -2.0]), order=2)
    True
    """
    name = name or forward.__name__
    if "arguments" not in fields:
        rule = next((r.rule if isinstance(r, EverySlot) else r for r in vjps if r is not None), None)
        signature = inspect.signature(rule or fields.get("bind") or forward)
        names = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD and p.name != "slot"]
        names = names[2:] if rule else names
        fields["arguments"] = tuple(p.name for p in names if p.default is p.empty)
        fields.setdefault("defaults", {p.name: p.default for p in names if p.default is not p.empty})
    if isinstance(forward, np.ufunc):
        fields.setdefault("kind", "elementwise")
    if fields.get("kind") not in KINDS:
        raise ValueError(
            f"{name}: kind is {fields['kind']!r}; expected one of {', '.join(map(repr, KINDS[1:]))}, or None with a jvp"
        )
    slots: Any = vjps[0] if vjps and isinstance(vjps[0], EverySlot) else vjps
    if not isinstance(slots, EverySlot) and len(slots) != len(fields["arguments"]):
        raise ValueError(
            f"{name} has {len(fields['arguments'])} array arguments ({', '.join(fields['arguments'])}) "
            f"and {len(slots)} derivative rules: give one rule for each, or None where there is no gradient"
        )
    stands_for = fields.pop("stands_for", ())
    if isinstance(forward, np.ufunc) or (forward.__module__ or "").startswith("numpy"):
        stands_for = (forward, *stands_for)
    module = sys._getframe(1).f_globals.get("__name__")
    if isinstance(forward, np.ufunc) or str(module).startswith("tinygrad_nn."):
        fields.setdefault("view", False)  # of an operation of somebody else it is not known
    new = Op(name, forward, formula, slots, **fields)
    object.__setattr__(new, "__module__", module)
    _register(new, name, stands_for)
    return new


def _register(entry: Any, name: str, stands_for: Sequence[Callable]) -> None:
    rivals = [BY_NAME.get(name), *(BY_FUNCTION.get(f) for f in stands_for)]
    for old in rivals:
        if (
            old is not None
            and old.__module__ != entry.__module__
            and (old.__module__ or "").startswith("tinygrad_nn.ops")
        ):
            raise ValueError(
                f"{old.__name__!r} is in the tables already: give yours another name= and forward function"
            )
    BY_NAME[name] = entry
    BY_FUNCTION.update(dict.fromkeys(stands_for, entry))
    for kind in _WITH_METHODS:
        _give_method(kind, name, entry)


_WITH_METHODS: list[type] = []


def give_methods(kind: type) -> None:
    """Let instances of a class have the operations as methods: those there are, and those to come."""
    _WITH_METHODS.append(kind)
    for name, entry in BY_NAME.items():
        _give_method(kind, name, entry)


def _give_method(kind: type, name: str, entry: Any) -> None:
    own = getattr(kind, name, None)
    if getattr(entry, "method", True) and not name.startswith("_") and (own is None or isinstance(own, Op)):
        setattr(kind, name, entry)


def implements(*functions: Callable, name: str | None = None) -> Callable:
    """Register a function composed of operations, and the NumPy functions it stands for."""

    def register(function: Callable) -> Callable:
        _register(function, name or function.__name__, functions)
        return function

    return register
