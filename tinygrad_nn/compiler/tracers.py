"""What stands for an array, or a number, while a step is recorded."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_nn.batched import Batched
from tinygrad_nn.compiler.ir import (
    ArrayInput,
    Node,
    cast,
    item,
    look_up,
    map_leaves,
    out_by_name,
    power_of_numbers,
    updated,
    written_into,
)
from tinygrad_nn.operation import Op, Traced
from tinygrad_nn.tensor import Tensor

__all__ = ["ScalarTracer", "Tracer", "is_array"]

_READ_OUT = (
    "it is known only when the step is replayed; write a choice with tn.where, or keep this line out of tn.compile"
)


_OUTER = {Tensor, Batched}  # what arrays may be the values of


def is_array(x: Any) -> bool:
    """Whether it is a real array: a tracer says that it is one, too."""
    return isinstance(x, np.ndarray) and not isinstance(x, Traced)


class Tracer(Traced, np.lib.mixins.NDArrayOperatorsMixin):
    """Behaves as an array while a step is recorded, changes in place included; afterwards it is that array's value."""

    __slots__ = ("__weakref__", "_how", "_node", "_trace", "_view_of", "of")
    __hash__ = object.__hash__
    index, tracked = 0, False
    known = True

    def __init__(self, trace: Any, node: Node, view_of: Tracer | None = None, of: ArrayInput | None = None):
        self._trace, self._node, self.of = trace, node, of
        self._view_of = view_of
        self._how = (node.base, node.func, node.args, node.kwargs) if view_of is not None else None
        trace.made.append(weakref.ref(self))

    def stand_for(self, node: Node) -> None:
        """From now on another value."""
        self._node = node

    @property
    def node(self) -> Node:
        """The value at this moment: a view follows what it is a view of."""
        if self._view_of is not None and self._how is not None and self._view_of.node is not self._how[0]:
            old, func, args, kwargs = self._how
            new = self._view_of.node
            args, kwargs = map_leaves((args, kwargs), lambda x: new if x is old else x)
            self._how = new, func, args, kwargs
            self.stand_for(self._trace.record(func, args, kwargs, self._node.name))
        return self._node

    @property
    def value(self) -> Tracer:
        """As a tensor has one."""
        return self

    @property
    def real(self) -> Any:
        """Real arrays are their own real part."""
        return self._call(np.real, self) if self.dtype.kind == "c" else self

    @property
    def imag(self) -> Any:
        """Of real arrays, zeros."""
        return self._call(np.imag, self) if self.dtype.kind == "c" else np.zeros_like(self)

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
    base = property(lambda self: self._view_of)
    T = property(lambda self: np.transpose(self))
    mT = property(lambda self: np.swapaxes(self, -1, -2))  # noqa: N815  NumPy's name
    device = "cpu"

    def __len__(self) -> int:
        return len(self._node.sample)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        """The methods of arrays."""
        if name.startswith("_") or not callable(getattr(np.ndarray, name, None)):
            if hasattr(np.ndarray, name) and not name.startswith("_"):
                self._trace.refuse(f"the attribute {name} of an array", "keep this line out of tn.compile")
                return getattr(self._now(), name)
            raise AttributeError(f"the tracer of an array has no {name!r}")
        method = getattr(np.ndarray, name)
        return lambda *args, **kwargs: self._called(method, (self, *args), kwargs)

    def copy(self, order: Any = "C") -> Tracer:
        """The same value, which further changes of this array do not reach."""
        node = self.node
        if node.sample.copy(order).strides == node.sample.strides:
            return Tracer(self._trace, node)
        return self._call(np.array, self, order=order)  # another layout, along which sums have other digits

    def astype(
        self, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True
    ) -> Tracer:
        """A copy in another dtype."""
        dtype = np.dtype(dtype)
        if casting != "unsafe":
            np.empty(0, self.dtype).astype(dtype, casting=casting)  # which may raise an error
        if dtype == self.dtype:
            return self.copy(order) if copy else self
        value = self._call(cast, self, dtype)
        return value if order == "K" else value.copy(order)

    def transpose(self, *axes: Any) -> Any:
        """Axes in another order."""
        return np.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None)

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        """Another shape."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, **kwargs)

    def __pow__(self, other: Any) -> Any:
        """As arrays do it, which have short ways for some exponents, and as single numbers do it."""
        if _is_single(self) and _is_single(other):
            return self._call(power_of_numbers, self, other)
        return _SHORT_POWERS[other](self) if _shortened(self, other) else np.power(self, other)

    def __rpow__(self, other: Any) -> Any:
        """As above."""
        return self._call(power_of_numbers if _is_single(self) and _is_single(other) else np.power, other, self)

    # -- what takes the value out of the recording: refused when the run has ended, which goes on with this value

    def _now(self) -> Any:
        return self._trace.real(self.node)

    def _read_out(self, what: str) -> Any:
        self._trace.refuse(f"{what} of a value that the step computes", _READ_OUT)
        return self._now()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self._read_out("conversion to an array"), dtype=dtype)

    def as_index(self) -> Any:  # noqa: D102  inherited
        if self.dtype.kind == "b":
            self._trace.refuse(
                "a boolean mask as an index", "how many elements it selects depends on values; use tn.where"
            )
        return self

    def stands_for_same(self, other: Any) -> bool:  # noqa: D102  inherited
        return self.node is other.node

    def may_have_nan(self) -> bool:  # noqa: D102  inherited
        return self._trace.is_over() or self._trace.has_nan(self.node)

    # -- what is recorded

    def _call(self, func: Callable, *args: Any, **kwargs: Any) -> Any:
        return self._trace.call(func, args, kwargs)

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None = None) -> Any:
        for a in args:
            if type(a) in _OUTER:
                return a.__record__(op, args, params)
        return self._trace.carry_out(op, args, params or {})

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not _OUTER.isdisjoint(map(type, inputs)):
            return NotImplemented
        return self._called(ufunc if method == "__call__" else getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        return NotImplemented if not _OUTER.isdisjoint(types) else self._called(function, args, kwargs)

    def _called(self, func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        args, kwargs = out_by_name(func, args, kwargs)
        out = kwargs.pop("out", None)
        targets = [x for x in (out if isinstance(out, tuple) else (out,)) if x is not None]
        if not targets:
            return self._trace.call(func, args, kwargs)
        if isinstance(out, tuple) and len(out) > 1:
            raise self._trace.refuse("a function that writes into several arrays", "take what it returns")
        target = targets[0]
        if isinstance(target, Tracer) and target.node.scalar:
            raise TypeError("return arrays must be of ArrayType")  # as NumPy says it: nobody can change a number
        result = self._result_for(target, func, args, kwargs)
        if isinstance(target, Tracer):
            target.write(result)
        else:
            self._trace.write_through(target, result)
        return target

    def _result_for(self, target: Any, func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """What a function leaves in an array that it writes to.

        A ufunc that gives an array of the same kind leaves that; else it is left to NumPy, which may convert or refuse.
        """
        before = self._trace.before_writing(target)
        rest = dict(kwargs)
        where = rest.pop("where", True)
        if isinstance(func, np.ufunc) and not rest:
            with contextlib.suppress(ValueError, TypeError):  # then NumPy says what is wrong, below
                result = self._trace.call(func, args, {})
                if where is not True:
                    result = np.where(where, result, before)
                if (result.shape, result.dtype) == (target.shape, target.dtype):
                    return result
        return self._trace.call(written_into, (func, before, args, kwargs), {}, func.__name__)

    # -- indexing, and changes in place

    def __getitem__(self, index: Any) -> Any:
        several = index if isinstance(index, tuple) else (index,)
        for i in several:
            if isinstance(i, Tracer):
                i.as_index()
        masks = [i for i in several if is_array(i) and i.dtype.kind == "b" and i.ndim]
        if masks and not self._trace.is_over():  # how many they select is the same until they change
            self._trace.copied += masks
            _ = self._node.sample[map_leaves(index, self._trace.untraced)]  # which may raise an error
            index = tuple(n for i in several for n in (i.nonzero() if any(i is m for m in masks) else (i,)))
        return self._call(item, self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        everything = index is Ellipsis or index == () if not isinstance(index, (slice, Tracer, np.ndarray)) else False
        everything = everything or (isinstance(index, slice) and index == slice(None))
        self.write(value if everything else self._call(updated, self, index, value))

    def write(self, value: Any) -> None:
        """Change in place, for everybody who looks at the same memory."""
        if self._trace.is_over():
            self._node.sample[...] = self._trace.untraced(value)
            return
        if type(value) is Tensor and not value.tracked:
            value = value.value
        if not isinstance(value, Tracer):
            value = self._trace.tracer(np.array(value))
        if value.dtype != self.dtype:
            value = value.astype(self.dtype)
        if value.shape != self.shape:
            if value.ndim > self.ndim and {*value.shape[: value.ndim - self.ndim]} == {1}:  # as NumPy assigns
                value = np.reshape(value, value.shape[value.ndim - self.ndim :])
            value = np.broadcast_to(value, self.shape)
        if self._view_of is not None:
            if self._how is None or self._how[1] is not item:
                raise self._trace.refuse(
                    "a change in place through a view", "change the array itself, or make a copy first"
                )
            self._view_of[self._how[2][1]] = value
            return
        self.stand_for(value.node)
        if self.of is not None:
            self.of.written = True


class ScalarTracer(Tracer):
    """Stands for a Python number that is looked up at each replay; like it, it leaves the dtype of arrays alone."""

    __slots__ = ()
    __class__ = float

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Tracer:
        """An array of no dimensions: a number that is looked up is stored in this dtype at once."""
        if self.node.func is look_up and np.dtype(dtype).kind == "f":
            return Tracer(self._trace, self._trace.looked_up(self.node.args[0], dtype))
        return super().astype(dtype, *args, **kwargs)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not any(isinstance(x, Tensor) for x in inputs):
            kinds = [float if isinstance(x, ScalarTracer) else getattr(x, "dtype", type(x)) for x in inputs]
            wanted = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout))
            inputs = tuple(
                [x.astype(w) if isinstance(x, ScalarTracer) else x for x, w in zip(inputs, wanted, strict=False)]
            )
        return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)


def _is_single(x: Any) -> bool:
    """Whether it is a number, of Python or NumPy, and not an array of no dimensions."""
    return isinstance(x, (int, float, np.generic, ScalarTracer)) or (isinstance(x, Tracer) and x.node.scalar)


_SHORT_POWERS: dict[Any, np.ufunc] = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}


def _shortened(x: Tracer, exponent: Any) -> bool:
    """Whether NumPy has a short way for a power."""
    given = isinstance(exponent, (int, float)) and not isinstance(exponent, Tracer)
    return given and exponent in _SHORT_POWERS and bool(x.ndim) and x.dtype.kind == "f"


def _among_numbers(name: str) -> Callable:
    """The operator of arrays, but among numbers the result is a number again."""
    operator = getattr(Tracer, name)

    def operate(self: ScalarTracer, *others: Any) -> Any:
        result = operator(self, *others)
        among = all(isinstance(x, (int, float, ScalarTracer)) for x in others) and type(result) is Tracer
        return ScalarTracer(self._trace, result.node) if among and result.dtype.kind == "f" else result

    return operate


def _reading(name: str, what: str) -> Callable:
    """A method that takes the value out of the recording."""
    return lambda self, *args: getattr(self._read_out(what), name)(*args)


def _in_place(name: str) -> Callable:
    """The operator in place, as Python has it: a number is replaced by another one; powers have their short ways."""
    operator, by_ufunc = getattr(Tracer, f"__{name}__"), getattr(Tracer, f"__i{name}__")

    def operate(self: Tracer, other: Any) -> Any:
        if self.node.scalar or isinstance(self, ScalarTracer):
            return operator(self, other)
        if name == "pow" and _shortened(self, other):
            self.write(operator(self, other))
            return self
        return by_ufunc(self, other)

    return operate


_READERS = {
    "__bool__": "the truth value", "__float__": "float()", "__int__": "int()", "__index__": "use as an index",
    "__complex__": "complex()", "__format__": "printing", "__repr__": "printing", "__str__": "printing",
    "__round__": "round()", "item": "item()", "tolist": "tolist()",
}  # fmt: skip
for _name, _what in _READERS.items():
    setattr(Tracer, _name, _reading(_name, _what))
for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
):
    setattr(Tracer, f"__i{_name}__", _in_place(_name))
for _name in ("add", "sub", "mul", "truediv", "pow", "radd", "rsub", "rmul", "rtruediv", "rpow", "neg", "abs"):
    setattr(ScalarTracer, f"__{_name}__", _among_numbers(f"__{_name}__"))
