"""What an operation is: one frozen record from which everything else in the package follows."""

from __future__ import annotations

import functools
import inspect
import operator
import types
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_nn.entry import Checks, Docs, Training
from tinygrad_nn.errors import explained, shape_error
from tinygrad_nn.notation import spell_index
from tinygrad_nn.operands import are_plain, real_operand

__all__ = [
    "BY_FUNCTION",
    "BY_NAME",
    "DRAWN_BY",
    "REFUSED",
    "SEEN",
    "Op",
    "Traced",
    "VariadicRule",
    "document_with",
    "numbers_of",
    "recorded",
    "value_of",
    "write",
]

BY_NAME: dict[str, Any] = {}  # "tanh" -> the operation, or the function composed of operations
REFUSED: dict[Any, str] = {}  # NumPy functions that cannot be recorded, with the reason and a way out
BY_FUNCTION: dict[Any, Any] = {}  # np.tanh -> the same: how NumPy's own functions find their way into the graph


class Traced:
    """Base of the values that want to see the operations which happen to them (tensors, and symbols)."""

    __slots__ = ()
    value: Any
    everything = property(lambda self: self.value)  # the array of all that it stands for
    dtype: Any
    index: int
    tracked: bool
    known = False  # it has numbers to look at, and is no placeholder

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None) -> Any:
        raise NotImplementedError

    def as_value(self) -> Any:
        """The numbers, where only they decide; refused where each example has its own."""
        value = self.value
        return value if value is self else value_of(value)

    def as_index(self) -> Any:
        """The value, to index an array with."""
        raise NotImplementedError

    def fitted_to(self, x: Any, y: Any) -> Any:
        """This part of a gradient, as what y sends to its input x."""
        return self

    def stands_for_same(self, other: Any) -> bool:
        """Whether another tracer stands for the same value."""
        raise NotImplementedError

    def may_have_nan(self) -> bool:
        """Whether there may be a NaN in it."""
        return True


def numbers_of(x: Any) -> Any:
    """The array of a tensor, of the examples of a vmap, or of a tensor of them; a placeholder itself."""
    while isinstance(x, Traced) and x.everything is not x:
        x = x.everything
    return x


def value_of(x: Any) -> Any:
    """The numbers of a tensor, where only they decide what is selected; anything else as it is."""
    return x.as_value() if isinstance(x, Traced) else x


def recorded(root: Any) -> list[Any]:
    """Every tensor that `root` was made from, and itself, in order of creation."""
    found: dict[int, Any] = {root.index: root}
    stack = [root]
    while stack:
        for x in stack.pop().inputs:
            if isinstance(x, Traced) and x.index not in found:
                found[x.index] = x
                stack.append(x)
    return [found[index] for index in sorted(found)]


# Who is shown the settings of operations in this context, before they are turned into numbers and copies
SEEN: ContextVar[Callable[..., None] | None] = ContextVar("seen", default=None)
# What takes the place of the Generators among the settings of operations: an engine draws in a way of its own
DRAWN_BY: ContextVar[Callable[[Any], Any] | None] = ContextVar("drawn_by", default=None)


class VariadicRule:
    """The rules of an operation on any number of arrays: one generator of the parts for the arguments in `slots=`.

    One call for all of them, as each would have to look at all the arrays again.
    """

    def __init__(self, rule: Callable):
        self.rule = rule

    def __getitem__(self, slot: int) -> Callable:
        return lambda *args, **params: next(self.rule(*args, slots=(slot,), **params))


# Python's operators, which NumPy's scalars carry out a tenfold quicker than NumPy's functions
QUICK: dict[Any, Callable] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.divide: operator.truediv,
    np.negative: operator.neg,
}  # fmt: skip


class _Documentation:
    """The docstring of the class `Op`, and of an operation what `document_with` was given to write."""

    def __init__(self, of_class: str):
        self.of_class = of_class
        self.write: Callable[[Any], str] = lambda op: op.docs.summary

    def __get__(self, instance: Any, owner: Any = None) -> str:
        return self.of_class if instance is None else self.write(instance)


@dataclass(frozen=True, eq=False, repr=False)
class Op:
    """One operation: how to compute it, how to write it, and how to differentiate it.

    `forward` takes arrays and returns an array.  `vjps` holds one rule for each array argument,
    `(g, y, *arrays, **params) -> array`: the upstream gradient g = ∂L/∂y, the output, then the inputs (or None,
    where there is no gradient).  The laws of a rule stand at the top of `tinygrad_nn.ops`.

    `kind` says what the Jacobian looks like, from which forward mode and the pictures follow:

    - "elementwise": diagonal (exp, add)
    - "linear": in all arguments together, and so the operation itself (sum, reshape, astype)
    - "multilinear": linear in each argument while the others are held (matmul, take)
    - "reduction": an input element reaches one output element (mean, logsumexp, max)
    - "symmetric": equal to its transpose, so that the rule of the gradient carries tangents as well (softmax over an
      axis: ∂yᵢ/∂xⱼ = yᵢ(δᵢⱼ − yⱼ))
    - None: none of these.  With a `jvp`, `(tangents, y, *arrays, **params) -> array`, where the tangent of an argument
      held constant is None, it has forward mode, too; without one it has reverse mode only.

    `entries` says what numbers the Jacobian consists of, where they need not be computed: "ones" if every entry is 0
    or 1 (each element of the result is an element of the argument or a sum of some: sum, reshape, add), "factors" if
    every entry is 0 or an element of another argument (matmul: ∂(AB)ᵢₖ/∂Bⱼₖ = Aᵢⱼ), and "" otherwise.
    """

    name: str
    forward: Callable
    formula: str
    vjps: Any
    kind: str | None = None
    entries: str = ""
    jvp: Callable | None = None
    bind: Callable | None = None  # the public signature, where it is not (arrays..., params...): -> arrays, params
    arguments: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)
    further: Callable | None = None  # composes what NumPy's further parameters ask for: (*arrays, **params) -> result
    composed: Callable | None = None  # the same of other operations, which work on all examples of vmap at once
    lowered: Callable | None = None  # what `forward` computes, of simpler operations, for interpreters (rule_trees.py)
    view: bool = True  # the output may share memory with an input
    array_params: bool = True  # parameters may be arrays that `bind` has not copied: recording copies them
    selects: bool = False  # inputs not selected get an exact zero gradient; backward treats 0·∞ behind it as 0
    add_to: Callable | None = None  # (total, g, *arrays, **params): adds a part that is mostly 0 in place, quicker
    aligned: bool = False  # an axis, shape or index among the parameters is that of every argument
    matrix_product: bool = False  # of its first two arguments
    method: bool = True
    # how it is written
    precedence: int = 9  # of the formula: 0 comparison, 1 sum, 2 product, 3 power, 9 function call
    associative: bool = False  # a + (b + c) needs no brackets
    spell: Callable | None = None  # (*texts, arrays=bool) -> text, or None where the formula is right
    simplify: Callable | None = None  # (*terms) -> a simpler term than the formula gives, or None
    # for others
    docs: Docs = field(default_factory=Docs)
    checks: Checks = field(default_factory=Checks)
    training: Training = field(default_factory=Training)
    quick: Callable = field(init=False)  # what `forward` computes, quicker on single numbers; for arrays and numbers
    passes: bool = field(init=False)  # an exact zero behind a choice is one in what its rules make of it, too
    slow_path: bool = field(init=False)  # recording it needs more than its value: it has a view, or a gap in its rules

    __doc__ = _Documentation(__doc__)

    def __post_init__(self) -> None:
        object.__setattr__(self, "quick", QUICK.get(self.forward, self.forward))
        passing = self.kind in ("elementwise", "reduction", "linear", "multilinear")
        object.__setattr__(self, "passes", passing or bool(self.entries))
        gaps = not isinstance(self.vjps, VariadicRule) and any(rule is None for rule in self.vjps)
        object.__setattr__(self, "slow_path", self.view or gaps)

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Carry it out: on arrays at once, on tensors with a record of it."""
        seen = SEEN.get()
        if seen is not None:
            seen(params if self.bind is None else (args, params))
        if self.bind is not None:
            if "out" in params:
                raise self._wrong_call("out=")
            try:
                args, params = self.bind(*args, **params)
            except (TypeError, ValueError, IndexError) as reason:
                raise self._refused_call(args, params, reason) from None
        elif len(args) != len(self.arguments) or (params and not params.keys() <= self.defaults.keys()):
            if self.further is not None and self._asks_for_more(params):
                return self.further(*args, **params)
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
        if not are_plain(values):
            values = self.operands(values)
        if params:
            drawn_by = DRAWN_BY.get()
            params = params if drawn_by is None else drawn_by(params)
        try:
            return self.forward(*values, **params) if params else self.forward(*values)
        except (ValueError, IndexError, TypeError) as reason:
            raise self.explain(reason, values) from None

    def parts(self, slots: Sequence[int], g: Any, y: Any, inputs: Sequence[Any], params: dict[str, Any]) -> Iterator:
        """What the rules of these slots send to their arguments, one after the other."""
        if isinstance(self.vjps, VariadicRule):
            return self.vjps.rule(g, y, *inputs, slots=slots, **params)
        return (self.vjps[slot](g, y, *inputs, **params) for slot in slots)

    def operands(self, values: Sequence[Any]) -> list[Any]:
        """Real arrays and numbers in the place of these operands; TypeError for what cannot be one."""
        return [self.operand(x, i) for i, x in enumerate(values)]

    def operand(self, x: Any, i: int) -> Any:
        """The i-th operand as a real array or number; TypeError by name if it cannot be one."""
        several = isinstance(self.vjps, VariadicRule)
        return real_operand(x, self.name, f"{self.arguments[0]}[{i}]" if several else self.arguments[i])

    def explain(self, reason: Exception, args: Sequence[Any]) -> Exception:
        """The error that names the operation, the operands and their shapes."""
        said = str(reason)
        if said.startswith(f"{self.public_name}: ") and " has shape " in said:  # by an operation within this one
            return reason
        return shape_error(self, args, reason) or explained(self, args, reason)

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
        public = self.bind or self.further
        if public is not None:
            return inspect.signature(public)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        arrays = [inspect.Parameter(name, kind) for name in self.arguments]
        return inspect.Signature(arrays + [inspect.Parameter(k, kind, default=v) for k, v in self.defaults.items()])

    @property
    def public_name(self) -> str:
        """What messages call it: a private operation by the function that is made of it, or without its underscore."""
        return self.docs.part_of or self.name.lstrip("_")

    def _refused_call(self, args: tuple, params: dict[str, Any], reason: Exception) -> Exception:
        """What to raise where `bind` raised `reason`: it may be the call that does not fit the public signature."""
        try:
            self.__signature__.bind(*args, **params)
        except TypeError as wrong:
            return TypeError(f"{self.public_name}: {wrong}; it is {self.public_name}{self.__signature__}")
        return self._named(reason)

    def _named(self, reason: Exception) -> Exception:
        """The same error with the name of the operation in front; a user's operation keeps its traceback."""
        name, ours = self.public_name, self.__module__.startswith("tinygrad_nn.")
        return type(reason)(f"{name}: {reason}") if ours and not str(reason).startswith(name) else reason

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

    def _asks_for_more(self, params: dict[str, Any]) -> bool:
        """Whether a parameter is given that `further` takes, and the operation itself does not."""
        known = {*self.arguments, *self.defaults}
        return not params.keys() <= known and params.keys() <= _parameters(self.further)

    def _wrong_call(self, wrong: str) -> TypeError:
        hint = " (the result is always a new array: assign what is returned)" if wrong == "out=" else ""
        name = self.public_name
        return TypeError(f"{name} does not take {wrong}{hint}; it is {name}{self.__signature__}")

    def differentiable(self, slot: int) -> bool:
        """Whether there is a gradient with respect to this argument."""
        return isinstance(self.vjps, VariadicRule) or self.vjps[slot] is not None


@functools.cache
def _parameters(function: Any) -> frozenset[str]:
    """The names of its parameters: read once, as that takes as long as many an operation."""
    return frozenset(inspect.signature(function).parameters)


def _by_name(name: str) -> Any:
    return BY_NAME[name]


def write(op: Op, arguments: dict[str, str] | Sequence[str], params: dict[str, Any] | None = None) -> str:
    """The formula of `op` with these texts as its arguments."""
    if not isinstance(arguments, dict):
        if len(op.arguments) == 1 and len(arguments) != 1:  # any number of arrays
            arguments = {op.arguments[0]: ", ".join(arguments)}
        else:
            arguments = dict(zip(op.arguments, arguments, strict=True))
    params = {**op.defaults, **(params or {})}
    return op.formula.format(**{name: spell_index(value) for name, value in params.items()}, **arguments)


def document_with(write: Callable[[Op], str]) -> None:
    """Let `write` say what `help` shows of an operation."""
    Op.__dict__["__doc__"].write = write
