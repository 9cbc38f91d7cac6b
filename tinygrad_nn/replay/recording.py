"""What a step does to arrays: recorded while it runs once, on stand-ins that compute and take notes.

Every array the step can reach is replaced by a `StandIn`.  Ordinary code (layers, losses, derivative rules, optimisers)
then runs as ever, and each NumPy function it calls leaves a `Node`.  So nothing here knows a derivative or a layer.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import linecache
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn.errors import label
from tinygrad_nn.operation import Op, Traced
from tinygrad_nn.replay.shortcuts import SHORTCUTS, NotShort
from tinygrad_nn.tensor import Tensor, _mode
from tinygrad_nn.watch import clock

__all__ = [
    "CompileError", "Memory", "Node", "Number", "StandIn", "Trace", "at_each_replay", "cast", "leaves", "look_up", "map_leaves",
    "nodes_in",
]  # fmt: skip

_HERE = str(Path(__file__).parent.parent)
_NUMPY = str(Path(np.__file__).parent)


class CompileError(RuntimeError):
    """A step that cannot be replayed: something in it would go stale, and the message says what, and in which line."""


def line_outside() -> tuple[str, int]:
    """File and line of the code that called into this package."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_HERE, _NUMPY)):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def written(line: tuple[str, int]) -> str:
    """A line, for messages."""
    text = linecache.getline(*line).strip()
    return f"line {line[1]} of {Path(line[0]).name}" + (f": {text}" if text else "")


@contextlib.contextmanager
def unwatched() -> Iterator[None]:
    """What is called here is called again by each replay, so it may depend on whatever it likes."""
    before = sys.getprofile()
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(before)


def refusal(what: str, way_out: str) -> CompileError:
    return CompileError(f"{what} ({written(line_outside())}): {way_out}")


# --- what is recorded ------------------------------------------------------------------------------------------------


class Memory:
    """An array that no recorded call made: a tensor's value or gradient, an argument, something captured."""

    node: Node  # its first value
    handle: StandIn  # what stands in for it

    def __init__(
        self, array: Any, kind: str = "constant", tensor: Tensor | None = None, argument: int | None = None, place: Any = None
    ):
        self.array = array
        self.kind = kind  # "argument", "value" or "grad" of a tensor, "found" in the surroundings, "constant"
        self.tensor, self.argument, self.place = tensor, argument, place
        self.written = False

    def now(self) -> Any:
        """The array that it is at present, where it is looked for between calls."""
        if self.kind == "value" and self.tensor is not None:
            return self.tensor.value
        return self.array if self.place is None else self.place.now()

    def __repr__(self) -> str:
        return f"<memory of {self.tensor if self.tensor is not None else self.array!r}>"


class Node:
    """One value: a memory as the step finds it, or what a call returns.  `sample` is the value in the recorded run."""

    __slots__ = ("args", "base", "func", "index", "kwargs", "line", "memory", "name", "pure", "sample")

    def __init__(
        self, func: Callable | None, args: tuple, kwargs: dict[str, Any], sample: Any,
        base: Node | None = None, memory: Memory | None = None, name: str = "", pure: bool = True,
    ):  # fmt: skip
        self.func, self.args, self.kwargs, self.sample = func, args, kwargs, sample
        self.base = base  # the node whose memory this is a view of
        self.memory = memory
        self.name, self.pure = name, pure
        self.line = line_outside()
        self.index = -1

    def inputs(self) -> Iterator[Node]:
        yield from nodes_in((self.args, self.kwargs))

    def root(self) -> Node:
        """What owns the memory."""
        node = self
        while node.base is not None:
            node = node.base
        return node


def cast(x: Any, dtype: Any) -> Any:
    return x.astype(dtype)


def updated(x: Any, index: Any, value: Any) -> Any:
    """A copy of x with x[index] = value."""
    y = np.array(x)
    y[index] = value
    return y


def item(x: Any, index: Any) -> Any:
    return x[index]


def map_leaves(tree: Any, change: Callable[[Any], Any]) -> Any:
    """The same nested tuples, lists, dicts and slices, with changed leaves."""
    if type(tree) is tuple or type(tree) is list:
        return type(tree)([map_leaves(x, change) for x in tree])
    if type(tree) is dict:
        return {key: map_leaves(x, change) for key, x in tree.items()}
    if type(tree) is slice:
        return slice(map_leaves(tree.start, change), map_leaves(tree.stop, change), map_leaves(tree.step, change))
    return change(tree)


def nodes_in(tree: Any) -> Iterator[Node]:
    if isinstance(tree, Node):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for x in tree:
            yield from nodes_in(x)
    elif isinstance(tree, dict):
        yield from nodes_in(tuple(tree.values()))
    elif isinstance(tree, slice):
        yield from nodes_in((tree.start, tree.stop, tree.step))


def _key(tree: Any) -> Any:
    """What makes two calls the same."""
    if isinstance(tree, (tuple, list)):
        return type(tree), *map(_key, tree)
    if isinstance(tree, dict):
        return tuple((k, _key(x)) for k, x in tree.items())
    if isinstance(tree, slice):
        return slice, _key(tree.start), _key(tree.stop), _key(tree.step)
    if isinstance(tree, (float, np.floating)):
        return type(tree), float(tree).hex()  # -0.0 is not 0.0, and NaN is NaN
    return type(tree), tree


# --- the stand-in ----------------------------------------------------------------------------------------------------

# What these return depends on shapes and dtypes only.
_ABOUT_SHAPES = {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj, np.zeros_like, np.ones_like,
                 np.empty_like, np.may_share_memory, np.shares_memory, np.can_cast, np.common_type}  # fmt: skip
_SHAPE_FROM_VALUES = {np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.extract, np.compress, np.trim_zeros,
                      np.bincount, np.union1d, np.intersect1d, np.setdiff1d, np.histogram, np.delete}  # fmt: skip
_IN_PLACE = {np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal}
_IN_PLACE |= {getattr(np.ndarray, name) for name in ("fill", "sort", "put", "partition", "resize", "setfield")}
_FUNCTION_OF_METHOD = {name: getattr(np, name) for name in
                       ("sum", "prod", "mean", "var", "std", "max", "min", "any", "all", "clip", "copy")}  # fmt: skip


class StandIn(Traced, np.lib.mixins.NDArrayOperatorsMixin):
    """Behaves as an array while a step is recorded, and may be changed in place; for anybody else it is that array."""

    __slots__ = ("_how", "_node", "_of", "_trace", "memory")
    __hash__ = object.__hash__
    index, tracked = 0, False

    def __init__(self, trace: Trace, node: Node, of: StandIn | None = None, memory: Memory | None = None):
        self._trace, self._node, self._of, self.memory = trace, node, of, memory
        self._how = (node.base, node.func, node.args, node.kwargs) if of is not None else None

    @property
    def node(self) -> Node:
        """The value at this moment: a view follows what it is a view of."""
        if self._of is not None and self._how is not None and self._of.node is not self._how[0]:
            old, func, args, kwargs = self._how
            new = self._of.node
            args, kwargs = map_leaves((args, kwargs), lambda x: new if x is old else x)
            self._how = new, func, args, kwargs
            self._node = self._trace.record(func, args, kwargs, self._node.name)  # type: ignore[arg-type]
        return self._node

    @property
    def value(self) -> StandIn:  # type: ignore[override]
        return self

    @property
    def sample(self) -> Any:
        return self.node.sample

    # -- what an array knows about itself

    shape = property(lambda self: self._node.sample.shape)
    ndim = property(lambda self: self._node.sample.ndim)
    size = property(lambda self: self._node.sample.size)
    dtype = property(lambda self: self._node.sample.dtype)
    nbytes = property(lambda self: self._node.sample.nbytes)
    itemsize = property(lambda self: self._node.sample.itemsize)
    base = property(lambda self: self._of)
    T = property(lambda self: np.transpose(self))

    def __len__(self) -> int:
        return len(self._node.sample)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        """The methods of arrays."""
        if name.startswith("_") or not callable(getattr(np.ndarray, name, None)):
            raise AttributeError(f"the stand-in of an array has no {name!r}")
        function = _FUNCTION_OF_METHOD.get(name) or getattr(np.ndarray, name)
        return functools.partial(self._call, function, self)

    def copy(self, order: str = "C") -> StandIn:
        return StandIn(self._trace, self.node)

    def astype(self, dtype: Any, copy: bool = True, **_: Any) -> StandIn:
        if np.dtype(dtype) == self.dtype:
            return self.copy()
        return self._call(cast, self, np.dtype(dtype))

    def transpose(self, *axes: Any) -> Any:
        return np.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None)

    def reshape(self, *shape: Any) -> Any:
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    # -- what would take the value out of the recording

    def _refuse(self, what: str) -> CompileError:
        return refusal(
            f"{what} of a value that the step computes",
            "it is known only when the step is replayed; write the choice with tn.where, or keep this line outside tn.compile",
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self._foreign():
            return np.array(self._real(), dtype=dtype)
        raise self._refuse("conversion to an array")

    def __bool__(self) -> bool:
        if self._foreign():
            return bool(self._real())
        raise self._refuse("the truth value")

    def __float__(self) -> float:
        raise self._refuse("float()")

    def __int__(self) -> int:
        raise self._refuse("int()")

    def __index__(self) -> int:
        raise self._refuse("use as an index")

    def __complex__(self) -> complex:
        raise self._refuse("complex()")

    def __format__(self, spec: str) -> str:
        raise self._refuse("printing")

    def item(self, *_: Any) -> Any:
        raise self._refuse("item()")

    def tolist(self) -> Any:
        raise self._refuse("tolist()")

    def tobytes(self, *_: Any) -> Any:
        raise self._refuse("tobytes()")

    def as_index(self) -> Any:  # noqa: D102  inherited
        if self.dtype.kind == "b":
            raise refusal("a boolean mask as an index", "how many elements it selects depends on values; use tn.where")
        return self

    def __repr__(self) -> str:
        return f"<array of shape {self.shape}, dtype {self.dtype}, in a step being compiled>"

    def __pow__(self, other: Any) -> Any:
        """As NumPy, which has short ways for some exponents."""
        short = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}
        if isinstance(other, (int, float)) and other in short and self.ndim and self.dtype.kind == "f":
            return short[other](self)
        return np.power(self, other)

    # -- what is recorded

    def _call(self, func: Callable, *args: Any, **kwargs: Any) -> Any:
        return self._trace.call(func, args, kwargs)

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None = None) -> Any:
        for a in args:
            if isinstance(a, Tensor):
                return a.__record__(op, args, params)
        return self._trace.carry_out(op, args, params or {})

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, Traced) and not isinstance(x, StandIn) for x in inputs):
            return NotImplemented
        func = ufunc if method == "__call__" else getattr(ufunc, method)
        return self._write_or_return(func, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if any(issubclass(t, Traced) and not issubclass(t, StandIn) for t in types):
            return NotImplemented
        return self._write_or_return(function, args, kwargs)

    def _write_or_return(self, func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        if self._foreign():
            return func(*map_leaves(args, _real), **map_leaves(kwargs, _real))
        out = kwargs.pop("out", None)
        result = self._trace.call(func, args, kwargs)
        if out is None:
            return result
        target = out[0] if isinstance(out, tuple) else out
        if not isinstance(target, StandIn):
            raise refusal(
                f"writing into an array of shape {np.shape(target)} that the step found outside",
                "only tensors can be changed in a compiled step: keep what it updates in tn.tensor(...), and assign to .data",
            )
        target.write(result)
        return target

    def __getitem__(self, index: Any) -> Any:
        for i in index if isinstance(index, tuple) else (index,):
            if isinstance(i, StandIn):
                i.as_index()
        return self._call(item, self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if index is Ellipsis or (isinstance(index, slice) and index == slice(None)) or index == ():
            self.write(value)
        else:
            self.write(self._call(updated, self, index, value))

    def write(self, value: Any) -> None:
        """Change in place, with everything that looks at the same memory."""
        trace = self._trace
        if not isinstance(value, StandIn):
            value = trace.stand_in(np.asarray(value))
        if value.dtype != self.dtype:
            value = value.astype(self.dtype)
        if value.shape != self.shape:
            value = trace.call(np.broadcast_to, (value, self.shape), {})
        if self._of is not None:
            if self._how is None or self._how[1] is not item:
                raise refusal("a change in place through a view", "change the array itself, or make a copy first")
            self._of[self._how[2][1]] = value
        else:
            self._node = value.node
            if self.memory is not None:
                self.memory.written = True
                if self.memory.tensor is not None and self.memory.kind == "value":
                    self.memory.tensor.changed()

    # -- somebody else, in another thread, who meets a stand-in

    def _foreign(self) -> bool:
        return not self._trace.running()

    def _real(self) -> Any:
        return self.memory.array if self.memory is not None else self._node.sample


class Number(StandIn):
    """Stands in for a Python number that is looked up at each replay; like it, it leaves the dtype of arrays alone."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not any(isinstance(x, Tensor) for x in inputs):
            kinds = tuple([float if isinstance(x, Number) else getattr(x, "dtype", type(x)) for x in inputs])
            wanted = ufunc.resolve_dtypes(kinds + (None,) * ufunc.nout)
            inputs = tuple([x.astype(w) if isinstance(x, Number) else x for x, w in zip(inputs, wanted, strict=False)])
        return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)

    def astype(self, dtype: Any, copy: bool = True, **_: Any) -> StandIn:
        """As an array of no dimensions, which is a number no more."""
        same = np.dtype(dtype) == self.dtype
        return StandIn(self._trace, self.node) if same else self._call(cast, self, np.dtype(dtype))


def _among_numbers(name: str) -> Callable:
    """The operator of arrays; among numbers its result is a number again."""
    operator = getattr(StandIn, name)

    def operate(self: Number, *others: Any) -> Any:
        result = operator(self, *others)
        among = all(isinstance(x, (int, float, Number)) for x in others) and type(result) is StandIn
        return Number(self._trace, result.node) if among and result.dtype.kind == "f" else result

    return operate


for _name in ("add", "sub", "mul", "truediv", "pow", "radd", "rsub", "rmul", "rtruediv", "rpow", "neg", "abs"):
    setattr(Number, f"__{_name}__", _among_numbers(f"__{_name}__"))


def tensor_of(array: Any, name: str | None) -> Tensor:
    return Tensor(np.array(array)[()], name=name)


def look_up(place: Any) -> Any:
    """Stands for: the number that is found at a place."""


def at_each_replay(function: Callable) -> Callable:
    """Decorator for what a compiled step shall do anew each time, and not record: going on in a schedule, a log.

    While a step is recorded, the call is put off to the replay, where tensors and arrays among its arguments are copies;
    it returns None then.  Outside of compiled steps nothing changes.

    >>> import numpy as np, tinygrad_nn as tn
    >>> @tn.replay.at_each_replay
    ... def log(loss):
    ...     print(f"{loss.item():.2f}")
    >>> @tn.compile
    ... def step(x):
    ...     log(tn.sum(x))
    >>> for n in (1.0, 2.0, 3.0):
    ...     step(np.array([n, 0.5]))
    1.50
    2.50
    3.50
    """

    @functools.wraps(function)
    def perhaps_later(*args: Any, **kwargs: Any) -> Any:
        trace = _mode.get().trace
        return function(*args, **kwargs) if trace is None else trace.later(function, args, kwargs)

    return perhaps_later


def _real(x: Any) -> Any:
    return x._real() if isinstance(x, StandIn) else x


# --- the recorder ----------------------------------------------------------------------------------------------------


class Trace:
    """One recorded run: its nodes in order, and the memories that it read."""

    def __init__(self, running: Callable[[], bool]):
        self.running = running
        self.nodes: list[Node] = []
        self.memories: list[Memory] = []
        self.lifted: dict[int, tuple[Tensor, Any, Any]] = {}  # tensors whose arrays have a stand-in, and those arrays
        self.start = next(clock)
        self.effects: list[Node] = []  # calls that are made for what they do
        self._numbers: list[tuple[Number, Any]] = []
        self._same: dict[Any, Node] = {}
        self._known: dict[int, StandIn] = {}

    # -- what comes from outside

    def stand_in(self, array: Any, memory: Memory | None = None) -> Any:
        """The stand-in of an array, one for each array."""
        found = self._known.get(id(array))
        if found is None:
            memory = memory or Memory(array)
            self.memories.append(memory)
            node = self._append(Node(None, (), {}, array, memory=memory))
            found = self._known[id(array)] = memory.handle = StandIn(self, node, memory=memory)
            memory.node = node
        return found

    def see(self, value: Any) -> Any:
        """`value` as the step shall see it, where it is an array or holds one."""
        if isinstance(value, np.ndarray):
            return self.stand_in(value)
        if isinstance(value, Tensor):
            self.lift(value)
        return value

    def number(self, place: Any) -> Number:
        """The stand-in of a number that is looked up at each replay."""
        number = Number(self, self._looked_up(place))
        self._numbers.append((number, place))
        return number

    def _looked_up(self, place: Any) -> Node:
        return self._append(Node(look_up, (place,), {}, np.asarray(place.value), name="look_up", pure=False))

    def later(self, function: Callable, args: tuple, kwargs: dict[str, Any]) -> None:
        """Have a replay call this, at this point of the program; numbers may have changed by it."""

        def given(x: Any) -> Any:
            if isinstance(x, Tensor) and (x.index > self.start or x.tracked):
                return self._apart(tensor_of, self.see(x).value.node, x.name)
            return self._apart(np.array, x.node) if isinstance(x, StandIn) else x

        args, kwargs = map_leaves((args, kwargs), given)
        self.effects.append(self._apart(function, *args, **kwargs))
        for number, place in self._numbers:
            number._node = self._looked_up(place)

    def _apart(self, func: Callable, *args: Any, **kwargs: Any) -> Node:
        """A call that is not carried out now."""
        return self._append(Node(func, args, kwargs, np.zeros(()), name=func.__name__, pure=False))

    def lift(self, tensor: Tensor, argument: int | None = None) -> None:
        """From now on the tensor's value and gradient are stand-ins, until the recording ends."""
        if isinstance(tensor.value, StandIn) or id(tensor) in self.lifted:
            return
        if tensor.op is not None and tensor.tracked and tensor.index < self.start:
            raise refusal(
                f"{label(tensor, 'a tensor')} of shape {tensor.shape} was computed before the step, from tensors that require "
                "a gradient",
                "compute it inside the step, or detach() it",
            )
        if isinstance(tensor.value, np.generic):
            tensor.value = np.asarray(tensor.value)
        value, grad = tensor.value, tensor.grad
        self.lifted[id(tensor)] = tensor, value, grad
        tensor.value = self.stand_in(value, Memory(value, "value", tensor, argument))
        if grad is not None:
            tensor.grad = self.stand_in(grad, Memory(grad, "grad", tensor, argument))

    def let_go(self) -> dict[int, Any]:
        """Give the tensors their arrays back; returns what their gradients have become."""
        gradients = {}
        for at, (tensor, value, grad) in self.lifted.items():
            now = tensor.grad
            gradients[at] = self.stand_in(now) if isinstance(now, np.ndarray) and now is not grad else now
            tensor.value, tensor.grad = value, grad
        return gradients

    # -- hooks of Tensor

    def taken(self, op: Op, args: tuple) -> tuple[Callable, tuple]:
        """How `Tensor.__record__` computes `op` here, and on what."""
        return functools.partial(self._forward, op), tuple([self.see(a) for a in args])

    def _forward(self, op: Op, *values: Any, **params: Any) -> Any:
        return self.carry_out(op, values, params)

    def refuse(self, tensor: Tensor, what: str) -> None:
        """Called where a value is about to be read out to Python."""
        self.lift(tensor)
        if isinstance(tensor.value, StandIn):
            raise tensor.value._refuse(what)

    # -- calls

    def carry_out(self, op: Op, values: Sequence[Any], params: dict[str, Any]) -> Any:
        """An operation: as the NumPy functions its forward function calls, or, where that looks at values, as a whole."""
        values = [self.stand_in(v) if isinstance(v, np.ndarray) else v for v in values]
        if not any(isinstance(v, StandIn) for v in leaves((values, params))):
            return op.forward(*values, **params)
        if not _draws(params):
            try:
                return op.forward(*values, **params)
            except Exception:  # it asks more of an array than a stand-in can answer
                pass
        return self.call(op.forward, tuple(values), params, op.name)

    def call(self, func: Callable, args: tuple, kwargs: dict[str, Any], name: str = "") -> Any:
        """Call a NumPy function (or another without side effects), and note it down."""
        if func in _ABOUT_SHAPES:
            return func(*map_leaves(args, _sample), **map_leaves(kwargs, _sample))
        if func in _SHAPE_FROM_VALUES or (func is np.where and len(args) == 1):
            raise refusal(f"np.{func.__name__}", "the shape of its result depends on values; tn.where keeps the shape")
        if func in _IN_PLACE or getattr(func, "__name__", "") == "at":
            raise refusal(f"{func.__name__}, which works in place", "assign to x[...], or use the functions of NumPy that return")
        short = SHORTCUTS.get(func)
        if short is not None:
            try:
                return short(*args, **kwargs)
            except NotShort:
                pass
        handles = [x for x in leaves((args, kwargs)) if isinstance(x, StandIn)]
        args, kwargs = map_leaves((args, kwargs), self._node_of)
        node = self.record(func, args, kwargs, name or getattr(func, "__name__", "call"))
        return self._given(node, handles)

    def record(self, func: Callable, args: tuple, kwargs: dict[str, Any], name: str) -> Node:
        """The node of this call: the one that is there already, if the same has been computed before."""
        draws = _draws((args, kwargs))
        try:
            key = None if draws else (func, _key(args), _key(kwargs))
            if key in self._same:
                return self._same[key]
        except TypeError:  # not hashable
            key = None
        plain_args, plain_kwargs = map_leaves((args, kwargs), _independent if draws else _node_sample)
        with unwatched():
            sample = func(*plain_args, **plain_kwargs)
        if sample is None or not isinstance(sample, (np.ndarray, np.generic, tuple, list)):
            raise refusal(
                f"{name} returns a {type(sample).__name__} here, which is not an array",
                "it cannot be replayed; use the tensor functions",
            )
        node = Node(func, args, kwargs, sample, name=name, pure=not draws)
        for x in node.inputs():
            if x.sample is sample:
                return x
            if isinstance(sample, np.ndarray) and isinstance(x.sample, np.ndarray):
                if np.may_share_memory(sample, x.sample):
                    node.base = x
        self._append(node)
        if key is not None:
            self._same[key] = node
        return node

    def _append(self, node: Node) -> Node:
        node.index = len(self.nodes)
        self.nodes.append(node)
        return node

    def _given(self, node: Node, handles: Sequence[StandIn] = ()) -> Any:
        """What the caller gets to see of a node."""
        if isinstance(node.sample, (tuple, list)):
            parts = [self._given(self.record(item, (node, i), {}, "item")) for i in range(len(node.sample))]
            kind = type(node.sample)
            return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
        of = next((x for x in handles if x.node is node.base), None) if node.base is not None else None
        return StandIn(self, node, of)

    def _node_of(self, x: Any) -> Any:
        if isinstance(x, np.ndarray):
            x = self.stand_in(x)
        return x.node if isinstance(x, StandIn) else x


def leaves(tree: Any) -> Iterator[Any]:
    found: list[Any] = []
    map_leaves(tree, found.append)
    return iter(found)


def _draws(tree: Any) -> bool:
    """Does it draw random numbers?  Then every call is another one."""
    return any(isinstance(x, np.random.Generator) for x in leaves(tree))


def _sample(x: Any) -> Any:
    return x.sample if isinstance(x, StandIn) else x


def _node_sample(x: Any) -> Any:
    return x.sample if isinstance(x, Node) else x


def _independent(x: Any) -> Any:
    """The recorded run draws from a copy, so that the first replay draws what the step would have drawn."""
    return copy.deepcopy(x) if isinstance(x, np.random.Generator) else _node_sample(x)
