"""What stands for an array, or a number, while a step is recorded."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_nn.batched import Batched
from tinygrad_nn.compiler.ir import ArrayInput, Node, cast, item, look_up, map_leaves, power_of_numbers, updated
from tinygrad_nn.operation import Op, Traced
from tinygrad_nn.tensor import Tensor

__all__ = ["ScalarTracer", "Tracer", "is_array"]

_FUNCTION_OF_METHOD = {
    name: getattr(np, name) for name in ("sum", "prod", "mean", "var", "std", "max", "min", "any", "all", "clip")
}
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
    base = property(lambda self: self._view_of)
    T = property(lambda self: np.transpose(self))
    mT = property(lambda self: np.swapaxes(self, -1, -2))  # noqa: N815  NumPy's name
    imag = property(lambda self: np.zeros_like(self))
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
        return functools.partial(self._call, _FUNCTION_OF_METHOD.get(name) or getattr(np.ndarray, name), self)

    def copy(self, order: str = "C") -> Tracer:
        """The same value, which further changes of this array do not reach."""
        return Tracer(self._trace, self.node)

    def astype(self, dtype: Any, copy: bool = True, **_: Any) -> Tracer:
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
        if _is_single(self) and _is_single(other):
            return self._call(power_of_numbers, self, other)
        short = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}
        if isinstance(other, (int, float)) and other in short and self.ndim and self.dtype.kind == "f":
            return short[other](self)
        return np.power(self, other)

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
        return self._trace.has_nan(self.node)

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
        out = kwargs.pop("out", None)
        if out is None:
            return self._trace.call(func, args, kwargs)
        target = out[0] if isinstance(out, tuple) else out
        where = kwargs.pop("where", True) if isinstance(func, np.ufunc) else True
        result = self._trace.call(func, args, kwargs)
        if where is not True:
            result = np.where(where, result, self._trace.before_writing(target))
        if isinstance(target, Tracer) and target.node.scalar:  # a number, which nobody can change
            return result
        if isinstance(target, Tracer):
            target.write(result)
        else:
            self._trace.write_through(target, result)
        return target

    # -- indexing, and changes in place

    def __getitem__(self, index: Any) -> Any:
        for i in index if isinstance(index, tuple) else (index,):
            if isinstance(i, Tracer):
                i.as_index()
        return self._call(item, self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        everything = index is Ellipsis or index == () if not isinstance(index, (slice, Tracer, np.ndarray)) else False
        everything = everything or (isinstance(index, slice) and index == slice(None))
        self.write(value if everything else self._call(updated, self, index, value))

    def write(self, value: Any) -> None:
        """Change in place, for everybody who looks at the same memory."""
        if self._trace.closed:
            self._node.sample[...] = value
            return
        if type(value) is Tensor and not value.tracked:
            value = value.value
        if not isinstance(value, Tracer):
            value = self._trace.tracer(np.array(value))
        if value.dtype != self.dtype:
            value = value.astype(self.dtype)
        if value.shape != self.shape:
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

    def astype(self, dtype: Any, copy: bool = True, **_: Any) -> Tracer:
        """An array of no dimensions: a number that is looked up is stored in this dtype at once."""
        if self.node.func is look_up and np.dtype(dtype).kind == "f":
            return Tracer(self._trace, self._trace.looked_up(self.node.args[0], dtype))
        return super().astype(dtype)

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


_READERS = {
    "__bool__": "the truth value", "__float__": "float()", "__int__": "int()", "__index__": "use as an index",
    "__complex__": "complex()", "__format__": "printing", "__repr__": "printing", "__str__": "printing",
    "__round__": "round()", "item": "item()", "tolist": "tolist()",
}  # fmt: skip
for _name, _what in _READERS.items():
    setattr(Tracer, _name, _reading(_name, _what))
for _name in ("add", "sub", "mul", "truediv", "pow", "radd", "rsub", "rmul", "rtruediv", "rpow", "neg", "abs"):
    setattr(ScalarTracer, f"__{_name}__", _among_numbers(f"__{_name}__"))
