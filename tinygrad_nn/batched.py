"""An array for each example, as one array: what functions compute on within `tn.vmap`.

A `Batched` has the shape of one example, and holds all of them along a first axis that nobody else sees.  What an
operation does to it follows from its entry: elementwise operations and matrix products broadcast over the first axis,
the axes that parameters name move by one, and anything else is computed for one example after the other.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.modes import MODE, Interpreter, Mode, Within
from tinygrad_nn.numpy_protocol import ABOUT_VALUES, array_function, array_ufunc
from tinygrad_nn.operation import Op, Traced
from tinygrad_nn.ops import elementwise, linalg, shaping
from tinygrad_nn.parts import array_of

__all__ = [
    "Batched", "Batching", "UnbatchableError", "batching", "enter", "fitted_to", "leave", "left", "outermost",
    "runs_for_first",
]  # fmt: skip

_AXES = ("axis", "axis1", "axis2", "source", "destination")  # parameters that name axes
_SAYS_SHAPE = {np.zeros_like: 0, np.ones_like: 1, np.empty_like: 0}


_numbers = itertools.count(1)  # of vmaps: recorded results of one that has ended may meet another


class UnbatchableError(TypeError):
    """What is asked for differs from example to example, and is to be one for all."""


def _operator(op: Op) -> Callable:
    return lambda self, other: op(self, other)


def _reflected(op: Op) -> Callable:
    return lambda self, other: op(other, self)


def _of_first(kind: Callable) -> Callable:
    return lambda self: kind(self.first())


class Batched(Traced):
    """One array of this shape for each example; `full` holds them along its first axis."""

    __slots__ = ("full", "level")
    tracked = False
    known = property(lambda self: getattr(self.full, "known", True))
    __array_ufunc__ = array_ufunc
    __hash__ = object.__hash__

    def __init__(self, full: Any, level: int):
        self.full = full
        self.level = level  # the number of the vmap: that of an inner one is larger

    shape = property(lambda self: self.full.shape[1:])
    ndim = property(lambda self: self.full.ndim - 1)
    dtype = property(lambda self: self.full.dtype)
    size = property(lambda self: int(np.prod(self.shape)))
    T = property(lambda self: shaping.transpose(self))
    value = property(lambda self: self)
    everything = property(lambda self: getattr(self.full, "everything", self.full))
    base = None  # it is a view of nothing that is written to

    def copy(self) -> Batched:
        """Itself: nobody writes into it."""
        return self

    def astype(self, dtype: Any) -> Batched:
        """The same numbers as another dtype."""
        return Batched(self.full.astype(dtype), self.level)

    def __getitem__(self, index: Any) -> Any:
        return shaping.getitem(self, index)

    def __len__(self) -> int:
        return self.shape[0]

    def first(self) -> Any:
        """The value of the first example, where somebody asks for one: from here on the function runs for this one."""
        interpreter = MODE.get().interpreter
        if not isinstance(interpreter, Batching) or self.level not in interpreter.for_first:
            raise UnbatchableError("a value that differs from example to example decides nothing for all: use tn.where")
        interpreter.for_first[self.level] = True
        return self.full[0]

    def all_as_first(self) -> Batched:
        """The first example in the place of each: what it alone goes through may fail for others, or warn."""
        return Batched(np.broadcast_to(self.full[:1], self.full.shape), self.level)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.first(), dtype=dtype)

    def item(self) -> Any:
        """The Python number of the first example."""
        return self.first().item()

    def tolist(self) -> Any:
        """The Python numbers of the first example."""
        return self.first().tolist()

    def as_value(self) -> Any:
        """The value of the first example."""
        value = self.first()
        return value.as_value() if isinstance(value, Traced) else value

    def as_index(self) -> Any:
        """The index of the first example."""
        index = self.first()
        return index.as_index() if isinstance(index, Traced) else np.array(index)

    __bool__, __float__, __int__, __complex__ = _of_first(bool), _of_first(float), _of_first(int), _of_first(complex)
    __index__ = _of_first(operator.index)
    __add__, __radd__ = _operator(elementwise.add), _reflected(elementwise.add)
    __sub__, __rsub__ = _operator(elementwise.subtract), _reflected(elementwise.subtract)
    __mul__, __rmul__ = _operator(elementwise.multiply), _reflected(elementwise.multiply)
    __truediv__, __rtruediv__ = _operator(elementwise.divide), _reflected(elementwise.divide)
    __pow__, __rpow__ = _operator(elementwise.power), _reflected(elementwise.power)
    __matmul__, __rmatmul__ = _operator(linalg.matmul), _reflected(linalg.matmul)
    __lt__, __le__ = _operator(elementwise.less), _operator(elementwise.less_equal)
    __gt__, __ge__ = _operator(elementwise.greater), _operator(elementwise.greater_equal)
    __eq__, __ne__ = _operator(elementwise.equal), _operator(elementwise.not_equal)

    def __neg__(self) -> Any:
        return elementwise.negative(self)

    def __abs__(self) -> Any:
        return elementwise.abs(self)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if function in _SAYS_SHAPE and args[0] is self:
            return np.full(self.shape, _SAYS_SHAPE[function], kwargs.get("dtype") or self.dtype)
        if function in (np.shape, np.ndim, np.size) and args[0] is self and len(args) == 1:
            return getattr(self, function.__name__)
        if function in (np.may_share_memory, np.shares_memory):
            return False
        if function in ABOUT_VALUES or (function is np.where and len(args) == 1):
            args, kwargs = tree.map(lambda x: x.first() if _level(x) == self.level else x, (args, kwargs))
            return function(*args, **kwargs)
        return array_function(self, function, types, args, kwargs)

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None = None) -> Any:
        """Carry out the operation for all examples."""
        for other in args:
            if isinstance(other, Traced) and hasattr(type(other), "_value"):  # a tensor records what it is part of
                return other.__record__(op, args, params)
        if op in (enter, leave, shared):
            return op.forward(*args, **(params or {}))
        level = max(_level(a) for a in args)
        if runs_for_first(level):
            args = tuple([a.all_as_first() if _level(a) == level else a for a in args])
        batched = [_level(a) == level for a in args]
        params = {**op.defaults, **(params or {})}
        for way in (_elementwise, _product, _by_parameters, _by_composition, _one_by_one):
            full = way(op, args, batched, params)
            if full is not None:
                return Batched(full, level)
        raise AssertionError("one after the other is always a way")

    def fitted_to(self, x: Any, y: Any) -> Any:
        """This part, as what y sends to x: of what examples of y share, the sum of what each of them sends."""
        return fitted_to(self, x, y)


def fitted_to(part: Any, x: Any, y: Any) -> Any:
    """A part, as what y sends to x: of what examples of y share, the sum of what each of them sends.

    Within their vmap each example has a gradient of its own.
    """
    levels = frozenset(_levels(y) - _levels(x) - _active())
    return shared(part, levels=levels) if levels else part


def _summed(part: Any, levels: frozenset[int] = frozenset()) -> Any:
    """The sum over the examples of these levels."""
    if not levels or not isinstance(part, Batched):
        return part
    full = _summed(part.full, levels)
    return np.sum(full, axis=0) if part.level in levels else Batched(full, part.level)


def outermost(interpreter: Interpreter | None) -> Interpreter | None:
    """What interprets outside of all vmaps."""
    return interpreter.outer if isinstance(interpreter, Batching) else interpreter


def _active() -> frozenset[int]:
    interpreter = MODE.get().interpreter
    return interpreter.levels if isinstance(interpreter, Batching) else frozenset()


def _levels(x: Any) -> set[int]:
    found = set()
    while isinstance(x, Batched):
        found.add(x.level)
        x = x.full
    return found


def _level(x: Any) -> int:
    return x.level if isinstance(x, Batched) else 0


# --- into the batch and out of it ------------------------------------------------------------------------------------


def _enter(full: Any, level: int = 1) -> Batched:
    """A later vmap stays outside, whose directions pass through one that has ended."""
    if _level(full) > level:
        return Batched(_enter(np.moveaxis(full.full, 0, 1), level), full.level)
    return Batched(full, level)


def _leave(x: Any, level: int = 1, count: int = 0) -> Any:
    if _level(x) > level and level in _levels(x):
        return Batched(np.moveaxis(_leave(x.full, level, count), 0, 1), x.level)
    return x.full if _level(x) == level else np.broadcast_to(x, (count, *np.shape(x)))


def left(x: Any, level: int, count: int) -> Any:
    """What a function gave for each example of this level, as one array; what no example decided is repeated."""
    own = level in _levels(array_of(x))
    return leave(x, level=level, count=count) if own else np.broadcast_to(x, (count, *np.shape(x)))


def _enter_rule(g: Any, y: Any, x: Any, level: int = 1) -> Any:
    return leave(g, level=level, count=len(x))


def _leave_rule(g: Any, y: Any, x: Any, level: int = 1, count: int = 0) -> Any:
    return enter(g, level=level)


_ONE: dict[str, Any] = {"kind": "linear", "arguments": ("x",), "view": False}
enter = Op("enter_vmap", _enter, "{x}", (_enter_rule,), defaults={"level": 1}, **_ONE)
leave = Op("leave_vmap", _leave, "{x}", (_leave_rule,), defaults={"level": 1, "count": 0}, **_ONE)
shared = Op(
    "sum_over_vmap", _summed, "Σ {x}", (lambda g, y, x, levels=(): g,), defaults={"levels": frozenset()}, **_ONE
)


class Batching(Interpreter):
    """Carries out operations on batched arrays, within these vmaps; all else is the outer interpreter's."""

    def __init__(self, levels: frozenset[int], outer: Interpreter | None, for_first: dict[int, bool]):
        self.levels, self.outer = levels, outer
        self.for_first = for_first  # of each vmap that may go on for its first example alone: does it?
        if outer is not None:
            self.settings, self.entered, self.effect = outer.settings, outer.entered, outer.effect  # type: ignore[method-assign]

    def tensor(self, t: Any) -> Any:
        """A tensor of examples itself."""
        return t if self.outer is None or isinstance(t._value, Batched) else self.outer.tensor(t)

    def operand(self, x: Any, name: str = "") -> Any:
        """What holds examples is itself."""
        examples = self.outer is None or isinstance(getattr(x, "_value", x), Batched)
        return x if examples else self.outer.operand(x, name)  # type: ignore[union-attr]

    def carry_out(self, op: Op, values: Sequence[Any], params: dict[str, Any]) -> Any:
        """For all examples, where one of the values is batched."""
        if self.outer is None or any(isinstance(x, Batched) for x in values) or op in (enter, leave, shared):
            return op.apply(values, params)
        return self.outer.carry_out(op, values, params)


@contextlib.contextmanager
def batching(may_ask: bool = False) -> Iterator[int]:
    """Within it operations work on batched arrays, of the level that it gives.

    Who asks for a value that differs from example to example gets that of the first one, if he may, and
    `Batching.for_first` notes it.
    """
    level = next(_numbers)
    outer = MODE.get().interpreter
    noted = outer.for_first if isinstance(outer, Batching) else {}
    if may_ask:
        noted[level] = False
    batching = Batching(_active() | {level}, outermost(outer), noted)
    try:
        with Within(lambda mode: Mode(mode.grad, mode.anomalies, batching, transformed=True)):
            yield level
    finally:
        noted.pop(level, None)


def runs_for_first(level: int) -> bool:
    """Whether the function under this vmap has asked for a value, and goes on for the first example alone."""
    interpreter = MODE.get().interpreter
    return isinstance(interpreter, Batching) and interpreter.for_first.get(level, False)


# --- what operations do to a batch -----------------------------------------------------------------------------------


def _aligned(x: Any, ndim: int) -> Any:
    """The full array with new axes behind the first, so that each example has so many."""
    missing = ndim - x.ndim
    return np.reshape(x.full, (len(x.full),) + (1,) * missing + x.shape) if missing > 0 else x.full


def _alike(args: Sequence[Any], batched: Sequence[bool]) -> list[Any]:
    """The arguments as full arrays, so that they broadcast as those of one example do."""
    ndim = max([np.ndim(a) for a in args if a is not None])
    return [_aligned(a, ndim) if b else a for a, b in zip(args, batched, strict=True)]


def _elementwise(op: Op, args: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
    return op.apply(_alike(args, batched), params) if op.kind == "elementwise" else None


def _product(op: Op, args: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
    """The product of two matrices broadcasts over what stands before them."""
    if not op.matrix_product or len(args) != 2 or min(np.ndim(a) for a in args) < 2:
        return None
    return op.apply(_alike(args, batched), params)


def _by_parameters(op: Op, args: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
    """Operations on axes or shapes that their parameters name."""
    named = params.keys() & {*_AXES, "axes", "shape", "index"}
    if not named or not all(batched) or len({a.shape for a in args}) != 1 or not (len(args) == 1 or op.aligned):
        return None
    count, ndim = len(args[0].full), args[0].ndim
    moved = dict(params)
    for name in named:
        moved[name] = _moved(name, params[name], count, ndim, "keepdims" in op.defaults and op.kind is not None)
        if moved[name] is None:
            return None
    if "shape" in named and "index" not in named:
        if not np.prod(params["shape"]):
            return None
        return op.apply([_aligned(a, len(params["shape"])) for a in args], moved)
    return op.apply([a.full for a in args], moved)


def _by_composition(op: Op, args: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
    """Operations that say which others they can be composed of."""
    return None if op.composed is None else op.composed(*args, **params).full


def _moved(name: str, value: Any, count: int, ndim: int, over_all: bool) -> Any:
    """A parameter as it has to be for the full array, or None where that cannot be said."""
    if name == "axes":
        order = range(ndim)[::-1] if value is None else [a % ndim for a in value]
        return (0, *[a + 1 for a in order])
    if name == "shape":
        return (count, *value)
    if name == "index":
        parts = value if isinstance(value, tuple) else (value,)
        plain = all(isinstance(i, (int, np.integer, slice, type(None), type(Ellipsis))) for i in parts)
        return (slice(None), *parts) if plain or len(parts) == 1 else None
    if value is None:
        return tuple(range(1, ndim + 1)) if over_all else None
    if isinstance(value, (tuple, list)):
        return tuple([a + 1 if a >= 0 else a for a in value])
    return value + 1 if value >= 0 else value


def _one_by_one(op: Op, args: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
    count = next(len(a.full) for a, b in zip(args, batched, strict=True) if b)
    results = [
        op.apply([a.full[i] if b else a for a, b in zip(args, batched, strict=True)], params) for i in range(count)
    ]
    return np.stack(results)
