"""Rules as data: what a derivative rule, or an operation's function, does to arrays, as a list of table operations.

`symbols.py` traces rules for readers; this traces them for an interpreter that knows nothing but the operations, such
as the living page.  A rule is traced at the shapes and dtypes of a call, and may ask for these.  One that looks at
numbers to decide what to do has no list that holds at other numbers: it is refused, with the reason (`NotTraceable`).

An operation whose function is itself made of operations is written out (softmax as exp, sum and divide), and so is one
whose entry says how (`lowered`).  So an interpreter needs only those that are left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, Op, Traced
from tinygrad_nn.ops.shaping import getitem
from tinygrad_nn.registry import give_methods

__all__ = [
    "Instruction", "NotTraceable", "Numbers", "Placeholder", "Rule", "array_from_numbers", "as_numbers", "forward_tree",
    "function_tree", "is_basic", "number_text", "plain_params", "replay", "rule_tree", "tangent_tree",
]  # fmt: skip


# --- the data --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Numbers:
    """An array: its elements with the rows first; a single one stands for all of them if all are equal."""

    value: tuple[float, ...]
    shape: tuple[int, ...] = ()
    dtype: str = "float64"


@dataclass(frozen=True)
class Instruction:
    """One operation; operands are "g", "y", "x0" (inputs), "#0" (results), "@0" (arrays), numbers, or "" for none."""

    op: str
    args: tuple[str, ...]
    params: dict[str, Any] = field(default_factory=dict, hash=False)
    dtype: str = "float64"


@dataclass(frozen=True)
class Rule:
    """Instructions in order, which of the operands is the result, and the constant arrays that they use."""

    result: str
    code: tuple[Instruction, ...] = ()
    arrays: tuple[Numbers, ...] = ()


class NotTraceable(Exception):  # noqa: N818  not an error of the user's
    """A rule is more than a list of operations; the message says why."""


def as_numbers(value: Any) -> Numbers:
    """An array as data."""
    array = np.asarray(value)
    single = array.dtype == np.float32  # whose own digits are fewer
    flat = [float(str(x)) if single else float(x) for x in (array.ravel() if single else array.ravel().tolist())]
    if len(flat) > 1 and all(x == flat[0] and math.copysign(1, x) == math.copysign(1, flat[0]) for x in flat):
        flat = flat[:1]
    return Numbers(tuple(flat), array.shape, str(array.dtype))


def array_from_numbers(numbers: Numbers) -> np.ndarray:
    """The array again."""
    return np.resize(np.array(numbers.value, dtype=numbers.dtype), numbers.shape)


def number_text(x: Any) -> str:
    """A number as an operand: it comes back exactly; nothing for None."""
    if x is None:
        return ""
    x = x.item() if hasattr(x, "item") else x
    return repr(int(x)) if isinstance(x, (bool, int)) else repr(float(x))


def plain_params(value: Any) -> Any:
    """A parameter as JSON can carry it."""
    if isinstance(value, dict):
        return {name: plain_params(v) for name, v in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"number": repr(value)}
    if isinstance(value, (tuple, list)):
        return [plain_params(v) for v in value]
    if isinstance(value, slice):
        return {"slice": [plain_params(v) for v in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, np.ndarray):
        numbers = as_numbers(value)
        return {"array": {"shape": list(numbers.shape), "dtype": numbers.dtype, "value": list(numbers.value)}}
    try:
        return str(np.dtype(value))
    except TypeError:
        return repr(value)


def _params_from(plain: Any) -> Any:
    """The parameter again, with tuples for lists."""
    if isinstance(plain, (list, tuple)):
        return tuple(_params_from(v) for v in plain)
    if not isinstance(plain, dict):
        return plain
    ((kind, value),) = plain.items()
    if kind == "number":
        return float(value)
    if kind == "slice":
        return slice(*value)
    if kind == "ellipsis":
        return Ellipsis
    return array_from_numbers(Numbers(tuple(value["value"]), tuple(value["shape"]), value["dtype"]))


# --- tracing ---------------------------------------------------------------------------------------------------------


class _Trace:
    """The instructions so far, and which operations are being written out."""

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self.arrays: list[Numbers] = []
        self.inside: list[Op] = []
        self.basic: set[Op] = set()

    def carry_out(self, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Placeholder:
        """Record an operation: what its function consists of where that can be said, else the operation itself."""
        if op in self.basic or op in self.inside or (op.lowered is None and _is_of_numpy(op)):
            return self._recorded(op, args, params)
        mark = len(self.code)
        self.inside.append(op)
        try:
            result = (op.lowered or op.forward)(*args, **params)
            if isinstance(result, Placeholder) and not any(_not_live(step) for step in self.code[mark:]):
                return result
        except Exception:  # a function may do anything: where it cannot be traced it is not written out
            self.basic.add(op)
        finally:
            self.inside.pop()
        del self.code[mark:]
        return self._recorded(op, args, params)

    def _recorded(self, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Placeholder:
        samples = [a.sample if isinstance(a, Placeholder) else a for a in args]
        with np.errstate(all="ignore"):
            sample = np.asarray(op.compute(samples, params))
        refs = tuple(self.operand(a) for a in args)
        self.code.append(Instruction(op.name, refs, plain_params(params), str(sample.dtype)))
        return Placeholder(self, f"#{len(self.code) - 1}", sample)

    def operand(self, a: Any) -> str:
        """How an operand is written."""
        if isinstance(a, Placeholder):
            return a.text
        if a is None or np.ndim(a) == 0:
            return number_text(a)
        numbers = as_numbers(a)
        if numbers not in self.arrays:
            self.arrays.append(numbers)
        return f"@{self.arrays.index(numbers)}"


class Placeholder(Traced, np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array while a rule is traced: it has a shape and a dtype, and tells no number."""

    __slots__ = ("_trace", "sample", "text")
    index, tracked = 0, False

    def __init__(self, trace: Any, text: str, sample: np.ndarray):
        self._trace, self.text, self.sample = trace, text, sample

    value = property(lambda self: self)
    shape = property(lambda self: self.sample.shape)
    ndim = property(lambda self: self.sample.ndim)
    size = property(lambda self: self.sample.size)
    dtype = property(lambda self: self.sample.dtype)
    T = property(lambda self: np.transpose(self))

    def __len__(self) -> int:
        return len(self.sample)

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None = None) -> Any:
        return self._trace.carry_out(op, args, params or {})

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or ufunc not in BY_FUNCTION:
            raise NotTraceable(f"it calls numpy.{ufunc.__name__}{'' if method == '__call__' else '.' + method}")
        return BY_FUNCTION[ufunc](*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if function in _OF_SHAPES:
            return function(*[a.sample if isinstance(a, Placeholder) else a for a in args], **kwargs)
        if function not in BY_FUNCTION:
            raise NotTraceable(f"it calls numpy.{function.__name__}")
        return BY_FUNCTION[function](*args, **kwargs)

    def __getitem__(self, index: Any) -> Any:
        return self if isinstance(index, tuple) and not index else getitem(self, index)

    def as_index(self) -> Any:
        """Refused: how many elements it selects depends on the numbers."""
        raise NotTraceable("it takes an index from the numbers")


_OF_SHAPES: set[Callable] = {np.shape, np.ndim, np.size, np.result_type, np.zeros_like, np.ones_like}


def _reading(what: str) -> Callable:
    def read(self: Placeholder, *_: Any, **__: Any) -> Any:
        raise NotTraceable(f"it looks at numbers to decide what to do ({what})")

    return read


for _name in ("bool", "float", "int", "index", "array", "complex", "iter"):
    setattr(Placeholder, f"__{_name}__", _reading(_name))
for _name in ("item", "tolist"):
    setattr(Placeholder, _name, _reading(_name))
give_methods(Placeholder)


def _not_live(step: Instruction) -> str:
    return BY_NAME[step.op].docs.not_live


def _is_of_numpy(op: Op) -> bool:
    return isinstance(op.forward, np.ufunc) or (getattr(op.forward, "__module__", "") or "").startswith("numpy")


def _placeholders(trace: _Trace, args: Sequence[Any]) -> list[Any]:
    """The arguments of a call; Python's numbers stay what they are, as rules may look at these."""
    kept = (int, float, bool, type(None))
    return [a if type(a) in kept else Placeholder(trace, f"x{i}", np.asarray(a)) for i, a in enumerate(args)]


def rule_tree(op: Op, slot: int, y: Any, args: Sequence[Any], params: dict[str, Any] | None = None) -> Rule:
    """The rule of one argument at the shapes and dtypes of a call: the part that it sends back, of g, y and inputs.

    `y` is the result, `args` are the arrays and numbers that the operation was given.  NotTraceable where the rule is
    more than a list of operations.

    >>> import numpy as np, tinygrad_nn as tn
    >>> x = np.array([1.0, 2.0])
    >>> [(i.op, i.args) for i in rule_tree(tn.tanh, 0, np.tanh(x), [x]).code]
    [('multiply', ('y', 'y')), ('subtract', ('1', '#0')), ('multiply', ('g', '#1'))]
    """
    y = np.asarray(y)

    def rule(trace: _Trace, inputs: list[Any]) -> Any:
        g, out = Placeholder(trace, "g", np.ones_like(y)), Placeholder(trace, "y", y)
        return op.vjps[slot](g, out, *inputs, **(params or {}))

    return _traced(rule, args)


def tangent_tree(op: Op, slot: int, y: Any, args: Sequence[Any], params: dict[str, Any] | None = None) -> Rule:
    """How the result moves when one argument moves by g, of an operation with a `jvp`; else see `rule_tree`."""
    jvp = op.jvp
    if jvp is None:
        raise NotTraceable("its tangent follows from its kind")

    def rule(trace: _Trace, inputs: list[Any]) -> Any:
        t, out = Placeholder(trace, "g", np.ones_like(np.asarray(args[slot]))), Placeholder(trace, "y", np.asarray(y))
        return jvp([t if i == slot else None for i in range(len(inputs))], out, *inputs, **(params or {}))

    return _traced(rule, args)


def forward_tree(op: Op, args: Sequence[Any], params: dict[str, Any] | None = None) -> Rule:
    """What the function of an operation does: a single instruction where it cannot be written out."""
    return _traced(lambda trace, inputs: trace.carry_out(op, inputs, params or {}), args)


def function_tree(function: Callable[..., Any], args: Sequence[Any]) -> Rule:
    """What a function of arrays does, that is made of operations."""
    return _traced(lambda trace, inputs: function(*inputs), args)


def is_basic(tree: Rule, op: Op) -> bool:
    """Whether what was traced of an operation is the operation itself, so that an interpreter has to know it."""
    return any(i.op == op.name for i in tree.code)


def _traced(function: Callable, args: Sequence[Any]) -> Rule:
    trace = _Trace()
    try:
        with np.errstate(all="ignore"):
            result = trace.operand(function(trace, _placeholders(trace, args)))
    except NotTraceable:
        raise
    except Exception as reason:  # rules and functions of the user may do anything
        raise NotTraceable(f"{type(reason).__name__}: {reason}") from reason
    return _without_unused(Rule(result, tuple(trace.code), tuple(trace.arrays)))


def _without_unused(rule: Rule) -> Rule:
    """The rule without instructions and arrays that nothing needs."""
    needed = {rule.result}
    for i, step in reversed(list(enumerate(rule.code))):
        if f"#{i}" in needed:
            needed.update(step.args)
    kept = {f"#{i}": step for i, step in enumerate(rule.code) if f"#{i}" in needed}
    arrays = {f"@{i}": array for i, array in enumerate(rule.arrays) if f"@{i}" in needed}
    new = {old: f"#{i}" for i, old in enumerate(kept)} | {old: f"@{i}" for i, old in enumerate(arrays)}
    code = [
        Instruction(step.op, tuple(new.get(a, a) for a in step.args), step.params, step.dtype) for step in kept.values()
    ]
    return Rule(new.get(rule.result, rule.result), tuple(code), tuple(arrays.values()))


# --- carried out again -----------------------------------------------------------------------------------------------


def replay(rule: Rule, g: Any, y: Any, args: Sequence[Any]) -> Any:
    """What a rule makes of other numbers: the interpreter that the page has, in Python."""
    known = {"g": g, "y": y} | {f"x{i}": x for i, x in enumerate(args)}
    known |= {f"@{i}": array_from_numbers(numbers) for i, numbers in enumerate(rule.arrays)}

    def operand(text: str) -> Any:
        if text in known:
            return known[text]
        return None if not text else int(text) if text.lstrip("-").isdigit() else float(text)

    for i, step in enumerate(rule.code):
        params = {name: _params_from(value) for name, value in step.params.items()}
        known[f"#{i}"] = BY_NAME[step.op].compute([operand(a) for a in step.args], params)
    return operand(rule.result)
