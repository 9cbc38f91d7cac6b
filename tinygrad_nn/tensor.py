"""Tensor: a value, and the record of how it was made."""

from __future__ import annotations

import functools
import inspect
import itertools
import linecache
import os
import sys
from collections.abc import Iterator
from contextvars import Token
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import pullback, seed_for, watching
from tinygrad_nn.errors import MutationError, NonFiniteError, label
from tinygrad_nn.modes import MODE, Interpreter, Mode, Switch, no_grad, operand
from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, Op, Traced
from tinygrad_nn.ops import elementwise, linalg, shaping
from tinygrad_nn.registry import give_methods
from tinygrad_nn.symbols import reads
from tinygrad_nn.watch import Watch, clock

_mode = MODE  # replay/ imports it by this name, until it is rewritten

__all__ = ["Tensor", "current", "detect_anomaly", "no_grad", "tensor"]


# The GNU C library gives freed memory back to the kernel beyond a threshold, and to fetch the pages of a large array
# anew costs as much as the arithmetic on it.  To free one block of nearly 32 MB, which nobody has touched, raises the
# threshold to 64 MB (mallopt(3), M_MMAP_THRESHOLD): a graph then finds the memory of the last one.
np.empty((1 << 25) - (1 << 16), np.uint8)


class detect_anomaly(Switch):  # noqa: N801  PyTorch's name
    """Within it the first NaN or infinity, in a value or a gradient, raises `NonFiniteError`.

    The error names the operation, its operands, and the source line that made it.

    >>> import tinygrad_nn as tn
    >>> x = tn.tensor(0.0, requires_grad=True, name="x")
    >>> with tn.detect_anomaly():
    ...     tn.sqrt(x).backward()
    Traceback (most recent call last):
    ...
    tinygrad_nn.errors.NonFiniteError: the gradient of sqrt(x) with respect to x is not finite: ...
    """

    def __init__(self) -> None:
        super().__init__()
        self._watchers: list[Token] = []

    def __enter__(self) -> None:
        super().__enter__()
        self._watchers.append(watching.set(_refuse_non_finite_gradient))

    def __exit__(self, *error: object) -> None:
        watching.reset(self._watchers.pop())
        super().__exit__(*error)

    def _changed(self, mode: Mode) -> Mode:
        return Mode(mode.grad, True, mode.interpreter, mode.transformed)


# --- the tensor ------------------------------------------------------------------------------------------------------


class Tensor(Traced):
    """An array that remembers how it was computed; make one with `tn.tensor`.

    Operators and functions work as NumPy's, on tensors, arrays and numbers mixed, and results that depend on a tensor
    with ``requires_grad=True`` are recorded.  `backward()` then adds the gradient to `.grad` of those tensors.

    Inside the package: `_value` is the array itself, `value` the array as the current interpreter sees it; `op`,
    `inputs` and `params` are the call that made it, `index` the time it was made, `tracked` whether gradients flow
    through it, `watch` what looks out for later changes.
    """

    __slots__ = (
        "__weakref__", "_grad", "_origin", "_value", "index", "inputs", "name", "op", "params", "retain", "slots",
        "tracked", "watch",
    )  # fmt: skip

    def __init__(
        self, value: Any, tracked: bool = False, name: str | None = None,
        op: Op | None = None, inputs: tuple = (), params: dict[str, Any] | None = None, slots: tuple[int, ...] = (),
    ):  # fmt: skip
        # A custom operation may return a Python number, and somebody may call the class instead of `tensor`.
        self._value = value if hasattr(value, "dtype") else np.array(value, dtype=np.float64)
        self.tracked = tracked
        self.name = name
        self.op = op
        self.inputs = inputs
        self.params = params
        self.slots = slots
        self._grad: np.ndarray | None = None
        self.retain = False
        self.watch: Watch | None = None
        self._origin: Any = None
        self.index = next(clock)

    def __init_subclass__(cls) -> None:
        raise TypeError("Tensor is final: write functions of tensors, or modules that hold them")

    # -- recording

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None = None, origin: Any = None) -> Tensor:
        """Compute `op` on these arguments, one of them a tensor, and remember it where a gradient flows.

        Where it was made is looked up, unless a layer says that its last operation has the same `origin`.
        """
        mode, forward = MODE.get(), op.forward
        if mode.interpreter is not None:
            args = tuple([mode.interpreter.operand(a) for a in args])
            forward = functools.partial(_interpreted, mode.interpreter, op)
        values = []
        slots, bit, foreign = 0, 1, False
        for a in args:
            if type(a) is Tensor:
                if a.watch is not None and a.watch.exposed:
                    a.watch.use()  # before `values` holds the array, too
                values.append(a._value)
                if a.tracked:
                    slots += bit
            else:
                values.append(a)
                if type(a) is not float and type(a) is not int:
                    foreign = True
            bit += bit
        try:
            y = forward(*values, **params) if params else forward(*values)
        except (ValueError, IndexError) as reason:
            raise op.explain(reason, args) from None
        if mode.usual and not op.slow_path:
            if not slots:
                return Tensor(y)
            if foreign:
                args = tuple([_frozen(a) for a in args])
            result = Tensor(y, True, None, op, args, params, _SLOTS[slots])
            if origin is None:
                frame = sys._getframe(2)  # behind this and the operator
                while _INSIDE[frame.f_code.co_filename]:
                    frame = frame.f_back  # type: ignore[assignment]
                origin = frame.f_code, frame.f_lasti
            result._origin = origin
            return result
        return _record_specially(op, args, params, y, mode, slots)

    def check_unchanged(self) -> None:
        """MutationError if a value that the rules of this operation read has changed since it was recorded."""
        for x in (self, *self.inputs):
            if isinstance(x, Tensor) and x.watch is not None:
                x.watch.look()
                if x.watch.changed > self.index and _is_read(self, x):
                    raise MutationError(
                        f"{label(x, 'a value')} of shape {x.shape} was changed after {self.op.name} used it"  # type: ignore[union-attr]
                        f"{_at(self)}, so its gradient would be wrong: call backward() before changing it, "
                        "or compute the result anew"
                    )

    def changed(self) -> None:
        """Say that the array was written to in place (an optimiser does)."""
        watch = self._here()._watched()
        watch.changed = next(clock)
        if watch.exposed:
            watch.change()

    def _watched(self) -> Watch:
        if self.watch is None:
            self.watch = Watch()
        return self.watch

    # -- the value

    def _here(self) -> Tensor:
        """This tensor as the current interpreter sees it."""
        interpreter = MODE.get().interpreter
        return self if interpreter is None else interpreter.tensor(self)

    @property
    def value(self) -> Any:
        """The array, as the current interpreter sees it; for the package itself, which does not write into it."""
        return self._here()._value

    @value.setter
    def value(self, new: Any) -> None:
        self._here()._value = new

    @property
    def grad(self) -> np.ndarray | None:
        """The gradient that `backward()` has added up here, or None."""
        here = self._here()
        if isinstance(here._grad, Lent):
            here._grad = here._grad.taken()
        return here._grad

    @grad.setter
    def grad(self, new: np.ndarray | None) -> None:
        self._here()._grad = new

    @property
    def data(self) -> np.ndarray:
        """The array itself.  Read it, assign it, write into it: a gradient that this would spoil is refused."""
        here = self._here()
        if isinstance(here._value, Traced):  # a tracer knows by itself what is written into it
            return here._value
        if isinstance(here._value, np.generic):
            here._value = np.asarray(here._value)
        here._watched().expose(here._value)
        return here._value

    @data.setter
    def data(self, new: Any) -> None:
        here, new = self._here(), current(new)
        old = here._value
        if new is not old:  # else: p.data -= ... has just written into it
            new = new if hasattr(new, "dtype") else np.asarray(new)
            if new.shape != old.shape:
                raise ValueError(
                    f"{label(self, 'the tensor')} has shape {old.shape}, its new data has shape {new.shape}: "
                    "they must be equal; make a new tensor for another shape"
                )
            here._value = new if new.dtype == old.dtype else new.astype(old.dtype)
            if not isinstance(here._value, Traced):
                here._watched().expose(here._value, known=False)
        here.changed()

    @property
    def requires_grad(self) -> bool:
        """Does a gradient flow through this tensor?  May be set on tensors that no operation has made."""
        return self._here().tracked

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if self.op is not None:
            raise RuntimeError(
                f"requires_grad can be set only on tensors you make yourself, and {self.op.name} made this one; "
                "detach() gives one without history"
            )
        if wanted:
            _check_differentiable(self._value)
        self._here().tracked = bool(wanted)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._value.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._value.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._value.size

    @property
    def dtype(self) -> np.dtype:
        """NumPy dtype of the elements."""
        return self._value.dtype

    @property
    def T(self) -> Tensor:
        """Transpose: the axes in reverse order."""
        return self.__record__(shaping.transpose, (self,))

    @property
    def is_leaf(self) -> bool:
        """True if no recorded operation made it."""
        return self.op is None

    def numpy(self) -> np.ndarray:
        """A copy of the value, as an array."""
        return np.array(self.value)

    def item(self) -> Any:
        """The value of a tensor of one element, as a Python number."""
        if self._value.size != 1:
            raise ValueError(f"item() needs a single element, {label(self, 'the tensor')} has shape {self.shape}")
        return self.value.item()

    def tolist(self) -> Any:
        """The value as nested lists of Python numbers."""
        return self.value.tolist()

    def detach(self) -> Tensor:
        """The same value without its history: a constant.  It shares memory with this tensor."""
        here = self._here()
        result = Tensor(here._value, name=self.name)
        result.watch = here._watched()
        return result

    def named(self, name: str | None) -> Tensor:
        """Give it a name for messages and drawings, and return it."""
        self.name = name
        return self

    def astype(self, dtype: Any) -> Tensor:
        """The values as another dtype; a gradient flows through floating-point ones."""
        dtype = np.dtype(dtype)
        if dtype.kind != "f":
            return Tensor(self.value.astype(dtype))
        return elementwise.astype(self, dtype)

    @property
    def origin(self) -> str:
        """Where it was made: file and line of the code outside this package."""
        if self._origin is None:
            return ""
        code, instruction = self._origin
        lines = itertools.islice(code.co_positions(), instruction // 2, None)
        line = next((position[0] for position in lines if position[0]), code.co_firstlineno)
        return f"{code.co_filename}:{line}"

    # -- gradients

    def backward(self, gradient: Any = None) -> None:
        """Add the gradient of this tensor to `.grad` of every tensor it was made from that asks for one.

        Parameters
        ----------
        gradient : upstream gradient, in this tensor's shape; may be left out for a single number, where it is 1.

        Raises
        ------
        ValueError : nothing here requires a gradient, or several elements without `gradient=`.
        MutationError : a value the backward pass needs was changed after it was used.

        >>> import tinygrad_nn as tn
        >>> a = tn.tensor(1.0, requires_grad=True)
        >>> b = a + a
        >>> (b + b).backward()
        >>> a.grad
        array(4.)

        Source: the founding text's "Backpropagation via the Chain Rule".
        """
        here = self._here()
        seed = seed_for(here, operand(gradient), "gradient")
        seed = seed._value if isinstance(seed, Tensor) else seed
        found = pullback([here], [seed])
        given: set[int] = {id(seed)}
        for node, g in found.items():
            before = node.grad if isinstance(node._grad, Lent) else node._grad
            if before is not None and node.op is None:
                g = before + g
            if type(g) is not np.ndarray and isinstance(g, np.generic) and not isinstance(g, Traced):
                g = np.asarray(g)
            at = id(g)
            node._grad = g.copy() if at in given or g.base is not None else g  # held by somebody else, too
            given.add(at)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def retain_grad(self) -> None:
        """Keep the gradient of this intermediate result as well, at the next `backward()`."""
        self._here().retain = True

    # -- indexing and conversion

    def __getitem__(self, index: Any) -> Tensor:
        return shaping.getitem(self, index)

    def __setitem__(self, index: Any, values: Any) -> None:
        recorded = MODE.get().grad and (self.requires_grad or (isinstance(values, Tensor) and values.requires_grad))
        if recorded or self.op is not None:
            raise MutationError(
                f"assignment into {label(self, 'a tensor')} of shape {self.shape} cannot be recorded: "
                "use t = tn.index_update(t, index, values), or assign within tn.no_grad()"
            )
        self.data[shaping.plain_index(index)] = values.value if isinstance(values, Tensor) else values
        self.changed()

    def __len__(self) -> int:
        if not self._value.ndim:
            raise TypeError("a tensor of a single number has no len()")
        return len(self._value)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.value)

    def __float__(self) -> float:
        caller = sys._getframe(1)
        if self.tracked and caller.f_code.co_code[caller.f_lasti] == _STORE_SUBSCR:
            raise TypeError(_LEAVES_GRAPH.format(label(self, "a tensor"), "be written into an array"))
        return float(self.value.item())

    def __int__(self) -> int:
        return int(self.value.item())

    def __index__(self) -> int:
        if self._value.dtype.kind not in "iu" or self._value.ndim:
            raise TypeError(
                f"only single integers can be an index, this tensor has dtype {self.dtype}, shape {self.shape}"
            )
        return int(self.value)

    def __complex__(self) -> complex:
        return complex(float(self))

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.item(), digits)

    def __format__(self, spec: str) -> str:
        return format(self.value.item(), spec) if spec and self.value.size == 1 else format(str(self), spec)

    def as_index(self) -> Any:
        """The value, where the tensor is used as an index."""
        value = self.value
        if isinstance(value, Traced):
            return value.as_index()
        if value.dtype.kind not in "iub":
            raise IndexError(f"an index must have an integer or bool dtype, this tensor has {self.dtype}")
        return np.array(value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.tracked:
            raise TypeError(_LEAVES_GRAPH.format(label(self, "a tensor"), "become an array"))
        return np.array(self.value, dtype=dtype)

    def __repr__(self) -> str:
        parts = [np.array2string(np.asarray(self.value), separator=", ", prefix="tensor(", threshold=200)]
        if self.value.dtype not in (np.float64, np.bool_):
            parts.append(f"dtype={self.value.dtype}")
        if self.name:
            parts.append(f"name={self.name!r}")
        if self.op is not None:
            parts.append(f"op={self.op.name}")
        elif self.tracked:
            parts.append("requires_grad=True")
        return f"tensor({', '.join(parts)})"

    # -- copies

    def __copy__(self) -> Tensor:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        self._refuse_copy("deep copy")
        result = Tensor(np.array(self.value), self.tracked, self.name)
        result.grad = None if self.grad is None else self.grad.copy()
        memo[id(self)] = result
        return result

    def __reduce__(self) -> Any:
        self._refuse_copy("pickling")
        return _unpickle, (np.asarray(self.value), self.tracked, self.name, self.grad)

    def _refuse_copy(self, what: str) -> None:
        if self.op is not None:
            raise TypeError(
                f"{what} of a recorded tensor (made by {self.op.name}) would leave its graph behind: "
                "take t.detach(), or the array t.numpy()"
            )

    # -- NumPy's functions on tensors (NEP 13 and NEP 18)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            raise TypeError(_LEAVES_GRAPH.format(f"np.{ufunc.__name__} of a tensor", "be written into an array"))
        if method != "__call__":
            raise TypeError(
                f"np.{ufunc.__name__}.{method} is not recorded: use the tensor functions (tn.sum, tn.prod ...)"
            )
        return _numpy_entry(ufunc)(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if function in _ABOUT_VALUES:
            return function(*_untracked(args), **dict(zip(kwargs, _untracked(tuple(kwargs.values())), strict=True)))
        if kwargs.get("out") is not None:
            raise TypeError(_LEAVES_GRAPH.format(f"np.{function.__name__} of a tensor", "be written into an array"))
        return _call_as_numpy(_numpy_entry(function), function, args, kwargs)

    # -- operators, written out because the way through the protocol costs a microsecond

    def __add__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.add, (self, other))

    def __radd__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.add, (other, self))

    def __sub__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.subtract, (self, other))

    def __rsub__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.subtract, (other, self))

    def __mul__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.multiply, (self, other))

    def __rmul__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.multiply, (other, self))

    def __truediv__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.divide, (self, other))

    def __rtruediv__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.divide, (other, self))

    def __pow__(self, other: Any) -> Tensor:
        if type(other) in (int, float) and other == 2:
            return self.__record__(elementwise.square, (self,))
        return self.__record__(elementwise.power, (self, other))

    def __rpow__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.power, (other, self))

    def __matmul__(self, other: Any) -> Tensor:
        return self.__record__(linalg.matmul, (self, other))

    def __rmatmul__(self, other: Any) -> Tensor:
        return self.__record__(linalg.matmul, (other, self))

    def __neg__(self) -> Tensor:
        return self.__record__(elementwise.negative, (self,))

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return self.__record__(elementwise.abs, (self,))

    def __lt__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.less, (self, other))

    def __le__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.less_equal, (self, other))

    def __gt__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.greater, (self, other))

    def __ge__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.greater_equal, (self, other))

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return self.__record__(elementwise.equal, (self, other))

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return self.__record__(elementwise.not_equal, (self, other))

    def __and__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.logical_and, (self, other))

    def __or__(self, other: Any) -> Tensor:
        return self.__record__(elementwise.logical_or, (self, other))

    def __invert__(self) -> Tensor:
        return self.__record__(elementwise.logical_not, (self,))

    __hash__ = object.__hash__


give_methods(Tensor)

_STORE_SUBSCR = __import__("opcode").opmap["STORE_SUBSCR"]
_LEAVES_GRAPH = "{} cannot {}: that would silently leave the graph; take .data or .detach() to leave it on purpose"
_ABOUT_VALUES = {np.shape, np.ndim, np.size, np.allclose, np.array_equal, np.isclose, np.result_type, np.zeros_like,
                 np.ones_like, np.empty_like, np.full_like, np.iscomplexobj, np.isrealobj, np.array_repr, np.array_str,
                 np.shares_memory, np.may_share_memory, np.array2string, np.count_nonzero}  # fmt: skip


def _untracked(values: Any) -> Any:
    if isinstance(values, (tuple, list)):
        return tuple(_untracked(v) for v in values)
    return values.value if isinstance(values, Tensor) else values


def _call_as_numpy(entry: Any, function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Call our entry as somebody called NumPy's function: its names and order of parameters, its defaults left out."""
    if not kwargs and (not isinstance(entry, Op) or len(args) <= len(entry.arguments)):
        return entry(*args)
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # before NumPy 2.4, some functions in C do not tell
        return entry(*args, **kwargs)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return entry(*args, **kwargs)
    given = inspect.signature(function).bind(*args, **kwargs).arguments
    rest = next((name for name, p in parameters.items() if p.kind is p.VAR_KEYWORD), None)
    further = given.pop(rest, {}) if rest else {}
    required = [name for name, p in parameters.items() if p.default is p.empty]
    chosen = {
        name: value
        for name, value in given.items()
        if name not in required and value is not parameters[name].default and value is not np._NoValue
    }
    return entry(*(given[name] for name in required if name in given), **chosen, **further)


def _numpy_entry(function: Any) -> Any:
    """The operation that a NumPy function stands for; TypeError naming the nearest where there is none."""
    entry = BY_FUNCTION.get(function)
    if entry is not None:
        return entry
    import difflib  # nobody else needs it

    name = getattr(function, "__name__", str(function))
    public = [n for n in BY_NAME if not n.startswith("_")]
    near = difflib.get_close_matches(name, public, n=1, cutoff=0.5)
    hint = f"the nearest operation is tn.{near[0]}; " if near else ""
    raise TypeError(f"np.{name} is not recorded on tensors: {hint}add it with tn.op, or take .data to leave the graph")


class _Slots(dict):
    """The numbers of the bits that are set: one tuple for all the nodes of the same pattern."""

    def __missing__(self, bits: int) -> tuple[int, ...]:
        self[bits] = tuple(i for i in range(bits.bit_length()) if bits >> i & 1)
        return self[bits]


_SLOTS = _Slots()


def _interpreted(interpreter: Interpreter, op: Op, *values: Any, **params: Any) -> Any:
    return interpreter.carry_out(op, values, params)


class Lent:
    """A gradient in memory that a compiled step will use again: it is copied when somebody reads it."""

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array

    def taken(self) -> Any:
        """The gradient, as an array of its own."""
        return self.array.copy()


def current(x: Any) -> Any:
    """The array `x`, the value of a tensor `x`, or a dict of these, as the current interpreter sees it.

    For code that works on arrays beside the graph (the state of an optimiser): while a step is being compiled it must
    work on the tracers, so that what it does is recorded.

    >>> import numpy as np
    >>> current({"velocity": np.zeros(2)})
    {'velocity': array([0., 0.])}
    """
    if isinstance(x, dict):
        return {key: current(value) for key, value in x.items()}
    x = operand(x)
    return x._value if isinstance(x, Tensor) else x


def _record_specially(op: Op, args: tuple, params: Any, y: Any, mode: Mode, bits: int) -> Tensor:
    """The rest of `__record__`: operations with gaps or views, no_grad, detect_anomaly."""
    if not isinstance(y, (np.ndarray, np.generic)) and not hasattr(y, "__array_function__"):
        y = _array_of(op, y)
    slots = tuple([s for s in _SLOTS[bits] if op.vjps[s] is not None]) if mode.grad else ()
    if slots:
        args = tuple([_frozen(a) for a in args])
        result = Tensor(y, True, None, op, args, params, slots)
        frame = sys._getframe(2)
        while _INSIDE[frame.f_code.co_filename] and frame.f_back is not None:
            frame = frame.f_back
        result._origin = frame.f_code, frame.f_lasti
    else:
        result = Tensor(y)
    if op.view and isinstance(y, np.ndarray):
        _share_watch(result, args)
    if mode.anomalies:
        _refuse_non_finite(result, op, args)
    return result


def _array_of(op: Op, y: Any) -> np.ndarray:
    """What a forward function returned, as an array."""
    array = np.asarray(y)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"the forward function of {op.name} returned {y!r:.60}: expected an array of real numbers")
    return array


class _Files(dict):
    """Whether a file is of this package, looked up once for each."""

    def __missing__(self, file: str) -> bool:
        self[file] = file.startswith(_HERE) and "_examples" not in file
        return self[file]


_HERE = os.path.dirname(__file__)
_INSIDE = _Files()


def _share_watch(view: Tensor, args: tuple) -> None:
    """A view changes with what it is a view of."""
    for source in args:
        if type(source) is Tensor and np.may_share_memory(source._value, view._value):
            view.watch = source._watched()
            return


def _frozen(a: Any) -> Any:
    """An argument that nobody can change later: a constant is copied, unless it is read-only and owns its memory."""
    if isinstance(a, Traced):
        return a
    if isinstance(a, list):
        return np.array(a)
    if isinstance(a, np.ndarray) and (a.flags.writeable or a.base is not None):
        return a.copy()
    return a


def _is_read(node: Tensor, x: Any) -> bool:
    """Do the rules of this node read the value of `x`?  Unknown counts as yes."""
    op = node.op
    assert op is not None
    read = reads(op, len(node.inputs))
    roles = ["y"] if x is node else []
    roles += [slot for slot, a in enumerate(node.inputs) if a is x]  # type: ignore[misc]
    return any(
        role in read[slot]
        for role in roles
        for slot, a in enumerate(node.inputs)
        if isinstance(a, Tensor) and a.tracked
    )


def _at(node: Tensor) -> str:
    """The source line that made a node, for messages."""
    if not node.origin:
        return ""
    file, _, line = node.origin.rpartition(":")
    text = linecache.getline(file, int(line)).strip()
    return f" (line {line} of {os.path.basename(file)}{': ' + text if text else ''})"


def _call(op: Op, args: tuple) -> str:
    names = (
        list(op.arguments) if len(args) == len(op.arguments) else [f"{op.arguments[0]}[{i}]" for i in range(len(args))]
    )
    return f"{op.name}({', '.join(label(a, n) for a, n in zip(args, names, strict=True))})"


def _refuse_non_finite(result: Tensor, op: Op, args: tuple) -> None:
    if result._value.dtype.kind != "f" or np.isfinite(result._value).all():
        return
    for a, role in zip(args, op.arguments, strict=False):
        if isinstance(a, Tensor) and a.value.dtype.kind == "f" and not np.isfinite(a.value).all():
            raise NonFiniteError(f"{label(a, role)}, given to {op.name}, is not finite already{_at(result)}")
    raise NonFiniteError(f"{_call(op, args)} is not finite: {_first_bad(result._value)}{_at(result)}")


def _refuse_non_finite_gradient(node: Tensor, slot: int, part: Any) -> None:
    part = part.value if isinstance(part, Tensor) else part
    if np.isfinite(part).all():
        return
    assert node.op is not None
    call = _call(node.op, node.inputs)
    if slot < 0:
        raise NonFiniteError(f"the tangent of {call} is not finite: {_first_bad(part)}{_at(node)}")
    x = label(node.inputs[slot], node.op.arguments[min(slot, len(node.op.arguments) - 1)])
    raise NonFiniteError(f"the gradient of {call} with respect to {x} is not finite: {_first_bad(part)}{_at(node)}")


def _first_bad(values: Any) -> str:
    values = np.asarray(values)
    where = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(~np.isfinite(values))))
    return f"{np.atleast_1d(values)[where]}" + (f" at index {where}" if values.ndim else "")


def _check_differentiable(value: Any) -> None:
    if value.dtype.kind != "f":
        raise TypeError(
            f"requires_grad=True needs floating-point numbers, the data has dtype {value.dtype}: "
            "convert it, as in tn.tensor(data, requires_grad=True, dtype=float)"
        )


def _unpickle(value: Any, tracked: bool, name: str | None, grad: Any) -> Tensor:
    result = Tensor(value, tracked, name)
    result.grad = grad
    return result


def tensor(data: Any, requires_grad: bool = False, dtype: Any = None, name: str | None = None) -> Tensor:
    """A tensor of a copy of `data`.

    Parameters
    ----------
    data : number, nested lists, array or tensor.  Python numbers and lists become float64, arrays keep their dtype.
    requires_grad : record what is computed from it, so that `backward()` can give its gradient.
    dtype : NumPy dtype to convert to.
    name : for messages and drawings.

    Raises
    ------
    TypeError : data that is not real numbers; ``requires_grad=True`` on integers or bools.

    >>> import tinygrad_nn as tn
    >>> tn.tensor([1, 2], name="x")
    tensor([1., 2.], name='x')
    """
    data = operand(data)
    if isinstance(data, Tensor):
        data = data._value
    if isinstance(data, (np.ndarray, np.generic)) and not isinstance(data, Traced):
        value = np.array(data, dtype=dtype)
    elif hasattr(data, "__array_function__"):  # another kind of array, kept as it is
        value = data.copy() if dtype is None else data.astype(dtype)
    else:
        if isinstance(data, (list, tuple)) and any(isinstance(x, Tensor) for x in data):
            raise TypeError("tensor: the list holds tensors; tn.stack(list) joins them and keeps their history")
        value = np.array(data, dtype=dtype)
        if dtype is None and value.dtype.kind in "iu":
            value = value.astype(np.float64)
    if value.dtype.kind not in "fiub":
        raise TypeError(f"tensor: expected real numbers, the data has dtype {value.dtype}: {data!r:.80}")
    if requires_grad:
        _check_differentiable(value)
    return Tensor(value, bool(requires_grad), name)
