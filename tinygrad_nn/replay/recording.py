"""A step is recorded by running it once, on stand-ins that compute and take notes.

Every array that the step can reach is replaced by a `StandIn`.  Ordinary code (layers, losses, derivative rules,
optimisers) then runs as ever, and each NumPy function that it calls leaves a `Node`.  So nothing in this package
knows a derivative, a layer or an update rule.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.errors import label
from tinygrad_nn.modes import MODE
from tinygrad_nn.mutation import clock
from tinygrad_nn.operation import Op, Traced
from tinygrad_nn.replay.nodes import (
    CompileError,
    Memory,
    Node,
    cast,
    is_array,
    item,
    leaves,
    look_up,
    map_leaves,
    power_of_numbers,
    refusal,
    skeleton,
    tensor_of,
    updated,
)  # fmt: skip
from tinygrad_nn.replay.shortcuts import SHORTCUTS, NotShort
from tinygrad_nn.tensor import Tensor

__all__ = ["Number", "StandIn", "Trace", "at_each_replay"]

_LARGE = 1 << 14  # bytes of an array that is not kept for longer than it is needed
# What these return depends on shapes and dtypes only.
_ABOUT_SHAPES = {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj, np.zeros_like, np.ones_like,
                 np.empty_like, np.may_share_memory, np.shares_memory, np.can_cast, np.common_type}  # fmt: skip
_SHAPE_FROM_VALUES = {np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.extract, np.compress, np.trim_zeros,
                      np.bincount, np.union1d, np.intersect1d, np.setdiff1d, np.histogram, np.delete}  # fmt: skip
_IN_PLACE = {np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal}
_IN_PLACE |= {getattr(np.ndarray, name) for name in ("fill", "sort", "put", "partition", "resize", "setfield")}
_FUNCTION_OF_METHOD = {
    name: getattr(np, name) for name in ("sum", "prod", "mean", "var", "std", "max", "min", "any", "all", "clip")
}


def unwatched(function: Callable) -> Callable:
    """Decorator of what the recorder does by itself, and of what each replay calls again: neither has to be watched.

    The hook that watches sees every single call, which would take most of the time of a recording.
    """

    @functools.wraps(function)
    def without_hook(*args: Any, **kwargs: Any) -> Any:
        hook = sys.getprofile()
        if not callable(hook):  # nobody watches; or it is a profiler, which may go on
            return function(*args, **kwargs)
        sys.setprofile(None)
        try:
            return function(*args, **kwargs)
        finally:
            sys.setprofile(hook)

    return without_hook


class StandIn(Traced, np.lib.mixins.NDArrayOperatorsMixin):
    """Behaves as an array while a step is recorded, changes in place included; for other threads it is that array."""

    __slots__ = ("_how", "_node", "_of", "_trace", "memory")
    __hash__ = object.__hash__
    index, tracked = 0, False

    def __init__(self, trace: Trace, node: Node, of: StandIn | None = None, memory: Memory | None = None):
        self._trace, self._node, self.memory = trace, node, memory
        node.held += 1
        self._of = of  # what it is a view of,
        self._how = (node.base, node.func, node.args, node.kwargs) if of is not None else None  # and how

    def __del__(self) -> None:
        if not sys.is_finalizing():  # then NumPy may be gone
            self._trace.release(self._node)

    @unwatched
    def stand_for(self, node: Node) -> None:
        """From now on another value."""
        node.held += 1
        self._trace.release(self._node)
        self._node = node

    @property
    def node(self) -> Node:
        """The value at this moment: a view follows what it is a view of."""
        if self._of is not None and self._how is not None and self._of.node is not self._how[0]:
            old, func, args, kwargs = self._how
            new = self._of.node
            args, kwargs = map_leaves((args, kwargs), lambda x: new if x is old else x)
            self._how = new, func, args, kwargs
            self.stand_for(self._trace.record(func, args, kwargs, self._node.name))
        return self._node

    @property
    def value(self) -> StandIn:
        """As a tensor has one."""
        return self

    # -- what an array knows about itself

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """For `isinstance`, in code that asks what it has got."""
        return type(self._node.sample[()]) if self._node.scalar else np.ndarray

    shape = property(lambda self: self._node.sample.shape)
    ndim = property(lambda self: self._node.sample.ndim)
    size = property(lambda self: self._node.sample.size)
    dtype = property(lambda self: self._node.sample.dtype)
    nbytes = property(lambda self: self._node.sample.nbytes)
    itemsize = property(lambda self: self._node.sample.itemsize)
    base = property(lambda self: self._of)
    strides = property(lambda self: self._node.sample.strides)
    flags = property(lambda self: self._node.sample.flags)
    T = property(lambda self: np.transpose(self))
    mT = property(lambda self: np.swapaxes(self, -1, -2))  # noqa: N815  NumPy's name
    real = property(lambda self: self)
    imag = property(lambda self: np.zeros_like(self))
    device = "cpu"

    def __len__(self) -> int:
        return len(self._node.sample)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        """The methods of arrays."""
        if name.startswith("_") or not callable(getattr(np.ndarray, name, None)):
            if hasattr(np.ndarray, name) and not name.startswith("_") and self._trace.running():
                refusal(f"the attribute {name} of an array", "keep this line out of tn.compile")
            raise AttributeError(f"the stand-in of an array has no {name!r}")
        return functools.partial(self._call, _FUNCTION_OF_METHOD.get(name) or getattr(np.ndarray, name), self)

    def copy(self, order: str = "C") -> StandIn:
        """The same value, which further changes of this array do not reach."""
        return StandIn(self._trace, self.node)

    def astype(self, dtype: Any, copy: bool = True, **_: Any) -> StandIn:
        """A copy in another dtype."""
        return self.copy() if np.dtype(dtype) == self.dtype else self._call(cast, self, np.dtype(dtype))

    def transpose(self, *axes: Any) -> Any:
        """Axes in another order."""
        return np.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None)

    def reshape(self, *shape: Any) -> Any:
        """Another shape."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    def __pow__(self, other: Any) -> Any:
        """As arrays do it, which have short ways for some exponents, and as single numbers do it."""
        if _single(self) and _single(other):
            return self._call(power_of_numbers, self, other)
        short = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}
        if isinstance(other, (int, float)) and other in short and self.ndim and self.dtype.kind == "f":
            return short[other](self)
        return np.power(self, other)

    def __rpow__(self, other: Any) -> Any:
        """As above."""
        return self._call(power_of_numbers if _single(self) and _single(other) else np.power, other, self)

    # -- what would take the value out of the recording

    def refuse(self, what: str) -> CompileError:
        """The error for reading the value."""
        return refusal(
            f"{what} of a value that the step computes",
            "it is known only when the step is replayed; write a choice with tn.where, or keep this line out of "
            "tn.compile",
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self._trace.running():
            raise self.refuse("conversion to an array")
        return np.array(self._real(), dtype=dtype)

    def __bool__(self) -> bool:
        if self._trace.running():
            raise self.refuse("the truth value")
        return bool(self._real())

    def __float__(self) -> float:
        raise self.refuse("float()")

    def __int__(self) -> int:
        raise self.refuse("int()")

    def __index__(self) -> int:
        raise self.refuse("use as an index")

    def __complex__(self) -> complex:
        raise self.refuse("complex()")

    def __format__(self, spec: str) -> str:
        raise self.refuse("printing")

    def item(self, *_: Any) -> Any:
        """Refused."""
        raise self.refuse("item()")

    def tolist(self) -> Any:
        """Refused."""
        raise self.refuse("tolist()")

    def as_index(self) -> Any:  # noqa: D102  inherited
        if self.dtype.kind == "b":
            raise refusal("a boolean mask as an index", "how many elements it selects depends on values; use tn.where")
        return self

    def __repr__(self) -> str:
        return f"<array of shape {self.shape}, dtype {self.dtype}, in a step being compiled>"

    # -- what is recorded

    @unwatched
    def _call(self, func: Callable, *args: Any, **kwargs: Any) -> Any:
        return self._trace.call(func, args, kwargs)

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None = None) -> Any:
        for a in args:
            if isinstance(a, Tensor):
                return a.__record__(op, args, params)
        return self._trace.carry_out(op, args, params or {})

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if Tensor in map(type, inputs):
            return NotImplemented
        return self._called(ufunc if method == "__call__" else getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        return NotImplemented if Tensor in types else self._called(function, args, kwargs)

    @unwatched
    def _called(self, func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        if not self._trace.running():
            args, kwargs = map_leaves((args, kwargs), lambda x: x._real() if isinstance(x, StandIn) else x)
            return func(*args, **kwargs)
        out = kwargs.pop("out", None)
        result = self._trace.call(func, args, kwargs)
        if out is None:
            return result
        target = out[0] if isinstance(out, tuple) else out
        if not isinstance(target, StandIn):
            raise refusal(
                f"writing into an array of shape {np.shape(target)} that was not found in a global, closure or "
                f"attribute",
                "keep what a compiled step updates in a tensor, and assign to its .data",
            )
        target.write(result)
        return target

    def _real(self) -> Any:
        """What it is to somebody who does not record."""
        return self.memory.array if self.memory is not None else self._node.sample

    # -- indexing, and changes in place

    @unwatched
    def __getitem__(self, index: Any) -> Any:
        for i in index if isinstance(index, tuple) else (index,):
            if isinstance(i, StandIn):
                i.as_index()
        return self._call(item, self, index)

    @unwatched
    def __setitem__(self, index: Any, value: Any) -> None:
        everything = index is Ellipsis or index == () if not isinstance(index, slice) else index == slice(None)
        self.write(value if everything else self._call(updated, self, index, value))

    def rebound(self, value: Any) -> StandIn:
        """What stands in for the memory from now on, with another value; this one keeps what it has."""
        if value is self:
            return self
        new = StandIn(self._trace, self.node, memory=self.memory)
        if self.memory is not None:
            self.memory.handle = self._trace.known_as(self.memory.array, new)
            self.memory = None
        new[...] = value
        return new

    @unwatched
    def write(self, value: Any) -> None:
        """Change in place, for everybody who looks at the same memory."""
        if not isinstance(value, StandIn):
            value = self._trace.stand_in(np.asarray(value))
        if value.dtype != self.dtype:
            value = value.astype(self.dtype)
        if value.shape != self.shape:
            value = np.broadcast_to(value, self.shape)
        if self._of is not None:
            if self._how is None or self._how[1] is not item:
                raise refusal("a change in place through a view", "change the array itself, or make a copy first")
            self._of[self._how[2][1]] = value
            return
        self.stand_for(value.node)
        if self.memory is not None:
            self.memory.written = True
            if self.memory.tensor is not None and self.memory.kind == "value":
                self.memory.tensor.changed()


# --- numbers ---------------------------------------------------------------------------------------------------------


class Number(StandIn):
    """Stands in for a Python number that is looked up at each replay; like it, it leaves the dtype of arrays alone."""

    __slots__ = ()
    __class__ = float

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not any(isinstance(x, Tensor) for x in inputs):
            kinds = [float if isinstance(x, Number) else getattr(x, "dtype", type(x)) for x in inputs]
            wanted = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout))
            inputs = tuple([x.astype(w) if isinstance(x, Number) else x for x, w in zip(inputs, wanted, strict=False)])
        return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)


def _single(x: Any) -> bool:
    """Whether it is a number, of Python or NumPy, and not an array of no dimensions."""
    return isinstance(x, (int, float, np.generic, Number)) or (isinstance(x, StandIn) and x.node.scalar)


def _among_numbers(name: str) -> Callable:
    """The operator of arrays, but among numbers the result is a number again."""
    operator = getattr(StandIn, name)

    def operate(self: Number, *others: Any) -> Any:
        result = operator(self, *others)
        among = all(isinstance(x, (int, float, Number)) for x in others) and type(result) is StandIn
        return Number(self._trace, result.node) if among and result.dtype.kind == "f" else result

    return operate


for _name in ("add", "sub", "mul", "truediv", "pow", "radd", "rsub", "rmul", "rtruediv", "rpow", "neg", "abs"):
    setattr(Number, f"__{_name}__", _among_numbers(f"__{_name}__"))


def at_each_replay(function: Callable) -> Callable:
    """Decorator for what a compiled step shall do anew each time instead of recording it: a schedule, a log.

    While the step is recorded the call is put off, and gives None; a replay makes it, with copies of the tensors and
    arrays among its arguments.  Outside of compiled steps nothing changes.

    >>> import numpy as np, tinygrad_nn as tn
    >>> from tinygrad_nn.replay import at_each_replay
    >>> @at_each_replay
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
        trace = MODE.get().interpreter
        return function(*args, **kwargs) if trace is None else trace.later(function, args, kwargs)

    return perhaps_later


# --- the recorder ----------------------------------------------------------------------------------------------------


class Trace:
    """One recorded run: its `nodes` in order, its `memories`, and the `effects`, calls made for what they do."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.memories: list[Memory] = []
        self.effects: list[Node] = []
        self.lifted: dict[int, tuple[Tensor, Any, Any]] = {}  # tensors, with the arrays that have a stand-in
        self.start = next(clock)
        self.refused: CompileError | None = None  # the first, whether or not the step has caught it
        self._numbers: list[tuple[Number, Any]] = []
        self._same: dict[Any, Node] = {}
        self._known: dict[int, StandIn] = {}

    def running(self) -> bool:
        """Whether it is this thread that records."""
        return MODE.get().interpreter is self

    # -- what comes from outside

    def stand_in(self, array: Any, memory: Memory | None = None) -> StandIn:
        """The stand-in of an array, one for each array."""
        found = self._known.get(id(array))
        if found is None:
            memory = memory or Memory(array)
            self.memories.append(memory)
            memory.node = self._append(Node(None, (), {}, array, "memory", memory=memory))
            found = self._known[id(array)] = memory.handle = StandIn(self, memory.node, memory=memory)
        return found

    def known_as(self, array: Any, stand_in: StandIn) -> StandIn:
        """From now on this is the stand-in of an array."""
        self._known[id(array)] = stand_in
        return stand_in

    def see(self, value: Any) -> Any:
        """What the step shall see of an argument of an operation."""
        if isinstance(value, Tensor):
            self.lift(value)
        return self.stand_in(value) if is_array(value) else value

    @unwatched
    def lift(self, tensor: Tensor, argument: int | None = None) -> None:
        """From now on the tensor's value and gradient are stand-ins, until the recording ends."""
        if isinstance(tensor.value, StandIn) or id(tensor) in self.lifted:
            return
        if tensor.op is not None and tensor.tracked and tensor.index < self.start:
            raise refusal(
                f"{label(tensor, 'a tensor')} of shape {tensor.shape} was computed before the step, from tensors that "
                "require a gradient",
                "compute it inside the step, or detach() it",
            )
        if isinstance(tensor.value, np.generic) and not isinstance(tensor.value, StandIn):
            tensor.value = np.asarray(tensor.value)
        value, grad = tensor.value, tensor.grad
        self.lifted[id(tensor)] = tensor, value, grad
        tensor.value = self.stand_in(value, Memory(value, "value", tensor=tensor, argument=argument))
        if grad is not None:
            tensor.grad = self.stand_in(grad, Memory(grad, "grad", tensor=tensor, argument=argument))  # type: ignore[assignment]

    def let_go(self) -> dict[int, Any]:
        """Give the tensors their arrays back; returns what their gradients have become."""
        gradients = {}
        for at, (tensor, value, grad) in self.lifted.items():
            now = tensor.grad
            gradients[at] = self.stand_in(now) if is_array(now) and now is not grad else now
            tensor.value, tensor.grad = value, grad
        return gradients

    def close(self) -> None:
        """The recording is over: the stand-ins go, and with them the arrays."""
        for memory in self.memories:
            del memory.handle
        for container in (self._known, self._same, self._numbers, self.lifted):
            container.clear()

    def kept(self) -> Node | None:
        """A value that somebody still holds after the recording."""
        if any(node.held for node in self.nodes):
            gc.collect()
        return next((node for node in self.nodes if node.held), None)

    def number(self, place: Any) -> Number:
        """The stand-in of a number that is looked up at each replay."""
        number = Number(self, self._looked_up(place))
        self._numbers.append((number, place))
        return number

    def _looked_up(self, place: Any) -> Node:
        return self._append(Node(look_up, (place,), {}, np.asarray(place.value), "look_up", pure=False))

    # -- hooks of Tensor

    def taken(self, op: Op, args: tuple) -> tuple[Callable, tuple]:
        """How `Tensor.__record__` computes `op` here, and on what."""
        return lambda *values, **params: self.carry_out(op, values, params), tuple([self.see(a) for a in args])

    def refuse(self, tensor: Tensor, what: str) -> None:
        """A value is about to be read out to Python."""
        self.lift(tensor)
        if isinstance(tensor.value, StandIn):
            raise tensor.value.refuse(what)

    # -- calls

    def carry_out(self, op: Op, values: Sequence[Any], params: dict[str, Any]) -> Any:
        """An operation: as the NumPy calls of its forward function, or, where that looks at values, as a whole."""
        values = [self.stand_in(v) if is_array(v) else v for v in values]
        if not any(isinstance(v, StandIn) for v in leaves((values, params))):
            return op.forward(*values, **params)
        if not _draws(params):
            refused = self.refused
            with contextlib.suppress(Exception):
                return op.forward(*values, **params)
            self.refused = refused  # it asks more of an array than a stand-in can answer
        return self.call(op.forward, tuple(values), params, op.name)

    @unwatched
    def call(self, func: Callable, args: tuple, kwargs: dict[str, Any], name: str = "") -> Any:
        """Call a NumPy function, or another one without side effects, and note it down."""
        if func in _ABOUT_SHAPES:
            args, kwargs = map_leaves((args, kwargs), lambda x: x.node.sample if isinstance(x, StandIn) else x)
            return func(*args, **kwargs)
        name = name or getattr(func, "__name__", "call")
        if func in _SHAPE_FROM_VALUES or (func is np.where and len(args) == 1):
            raise refusal(f"np.{name}", "the shape of its result depends on values; tn.where keeps the shape")
        if func in _IN_PLACE or name == "at":
            raise refusal(
                f"{name}, which works in place", "assign to x[...], or use a function that returns its result"
            )
        if func in SHORTCUTS:
            with contextlib.suppress(NotShort):
                return SHORTCUTS[func](*args, **kwargs)
        handles = [x for x in leaves((args, kwargs)) if isinstance(x, StandIn)]
        args, kwargs = map_leaves((args, kwargs), self._node_of)
        return self._given(self.record(func, args, kwargs, name), handles)

    def _node_of(self, x: Any) -> Any:
        x = self.stand_in(x) if is_array(x) else x
        return x.node if isinstance(x, StandIn) else x

    def _given(self, node: Node, handles: Sequence[StandIn] = ()) -> Any:
        """What the caller gets to see of a node."""
        if isinstance(node.sample, (tuple, list)):
            parts = [self._given(self.record(item, (node, i), {}, "item")) for i in range(len(node.sample))]
            kind = type(node.sample)
            return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
        of = next((x for x in handles if x.node is node.base), None) if node.base is not None else None
        return StandIn(self, node, of)

    def record(self, func: Any, args: tuple, kwargs: dict[str, Any], name: str) -> Node:
        """The node of this call: the one that is there already, if the same has been computed before."""
        draws = _draws((args, kwargs))
        try:
            key = None if draws else (func, _key(args), _key(kwargs))
            if key in self._same:
                return self._revived(self._same[key])
        except TypeError:  # not hashable
            key = None
        sample = self._computed(func, args, kwargs)
        if not isinstance(sample, (np.ndarray, np.generic, tuple, list)):
            raise refusal(
                f"{name} gives a {type(sample).__name__} here, which is no array",
                "a replay could not repeat it; use the tensor functions",
            )
        node = Node(func, args, kwargs, sample, name, pure=not draws)
        for x in node.inputs():
            if x.sample is sample:
                return x
            if isinstance(sample, np.ndarray) and isinstance(x.sample, np.ndarray):
                node.base = x if np.may_share_memory(sample, x.sample) else node.base
        if key is not None:
            self._same[key] = node
        return self._append(node)

    @unwatched
    def _computed(self, func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        for x in leaves((args, kwargs)):
            if isinstance(x, Node):
                self._revived(x)
        plain_args, plain_kwargs = map_leaves((args, kwargs), _plain)
        return func(*plain_args, **plain_kwargs)

    def release(self, node: Node) -> None:
        """A stand-in of this value is gone; with the last one goes the array, which is hardly needed any more."""
        node.held -= 1
        if node.held or node.func is None or not node.pure:
            return
        if isinstance(node.sample, np.ndarray) and node.sample.nbytes > _LARGE:
            node.sample, node.gone = skeleton(node.sample), True

    def _revived(self, node: Node) -> Node:
        """The node, with the value that it had in the recorded run."""
        stack = [node] if node.gone else []
        while stack:
            gone = [x for x in stack[-1].inputs() if x.gone]
            stack += gone
            if not gone:
                node = stack.pop()
                node.sample, node.gone = np.asarray(self._computed(node.func, node.args, node.kwargs)), False
        return node

    def _append(self, node: Node) -> Node:
        node.index = len(self.nodes)
        self.nodes.append(node)
        return node

    @unwatched
    def later(self, function: Callable, args: tuple, kwargs: dict[str, Any]) -> None:
        """Have a replay call this, at this point of the program; numbers may be others afterwards."""

        def given(x: Any) -> Any:
            if isinstance(x, Tensor):
                return self._apart(tensor_of, self.see(x).value.node, x.name)
            return self._apart(np.array, x.node) if isinstance(x, StandIn) else x

        args, kwargs = map_leaves((args, kwargs), given)
        self.effects.append(self._apart(function, *args, **kwargs))
        for number, place in self._numbers:
            number.stand_for(self._looked_up(place))

    def _apart(self, func: Callable, *args: Any, **kwargs: Any) -> Node:
        """A call that is not carried out now."""
        return self._append(Node(func, args, kwargs, np.zeros(()), func.__name__, pure=False))


def _key(tree: Any) -> Any:
    """What makes two calls the same."""
    if isinstance(tree, (tuple, list)):
        return type(tree), *map(_key, tree)
    if isinstance(tree, dict):
        return tuple((k, _key(x)) for k, x in tree.items())
    if isinstance(tree, slice):
        return slice, _key(tree.start), _key(tree.stop), _key(tree.step)
    if isinstance(tree, (float, np.floating)) and not isinstance(tree, StandIn):
        return type(tree), float(tree).hex()  # -0.0 is not 0.0, and NaN is NaN
    return type(tree), tree


def _draws(tree: Any) -> bool:
    """Does it draw random numbers?  Then every call is another one."""
    return any(isinstance(x, np.random.Generator) for x in leaves(tree))


def _plain(x: Any) -> Any:
    """An argument for the recorded run: it draws from a copy, so that the first replay draws as the step would have."""
    if isinstance(x, np.random.Generator):
        return copy.deepcopy(x)
    return x.sample if isinstance(x, Node) else x
