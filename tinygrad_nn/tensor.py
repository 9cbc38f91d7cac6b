"""Tensor: a value, and the record of how it was made."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from sys import _getframe, getrefcount
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_nn import conversions, tree
from tinygrad_nn.anomalies import refuse_non_finite_value
from tinygrad_nn.autodiff import pullback, seed_for
from tinygrad_nn.away import Away
from tinygrad_nn.batched import Batched, UnbatchableError, fitted_to
from tinygrad_nn.errors import MutationError, label
from tinygrad_nn.foreign import fetched
from tinygrad_nn.in_place import give_in_place_operators
from tinygrad_nn.masks import noted
from tinygrad_nn.memory import prepare_for
from tinygrad_nn.modes import MODE, OBSERVERS, Mode, about_to_change, operand
from tinygrad_nn.mutation import Watch, check_unchanged, clock, frozen, moved, settled, share_watch
from tinygrad_nn.numpy_protocol import array_function, array_ufunc
from tinygrad_nn.operands import FLOAT64, REAL, as_array, real_dtype, real_operand
from tinygrad_nn.operation import SEEN, Op, Traced
from tinygrad_nn.ops import arithmetic, elementwise, joining, linalg, shaping, sorting
from tinygrad_nn.origin import INTERNAL, Origin, caller, line_of
from tinygrad_nn.other_names import HINTS, ForeignName
from tinygrad_nn.registry import give_methods
from tinygrad_nn.retention import finished

__all__ = ["Tensor", "current", "tensor"]

_mode = MODE.get
_STORING = threading.Lock()  # several threads may add to the gradient of one leaf


def _renew_lock() -> None:
    """In a process that was forked, a thread that held it is gone, and nobody would ever give it back."""
    global _STORING
    _STORING = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class _Slots(dict):
    """The numbers of the bits that are set: one tuple for all the nodes of the same pattern."""

    def __missing__(self, bits: int) -> tuple[int, ...]:
        self[bits] = tuple(i for i in range(bits.bit_length()) if bits >> i & 1)
        return self[bits]


_SLOTS = _Slots()
_MACHINERY = {  # attributes that the package uses, and `dir` does not show
    *vars(Traced), "value", "index", "tracked", "slots", "retain", "watch", "watched", "use", "changed", "here",
    "check_unchanged", *HINTS["Tensor"],
} - {*vars(object), "dtype"}  # fmt: skip


def _operator(op: Op) -> Callable[[Tensor, Any], Tensor]:
    def method(self: Tensor, other: Any) -> Tensor:
        return self.__record__(op, (self, other))

    def quick_method(self: Tensor, other: Any) -> Tensor:
        """The same, without what two single numbers do not need: nobody can write into them."""
        if type(self._value) is not np.float64 or not _mode().usual:
            return self.__record__(op, (self, other))
        if type(other) is Tensor and type(other._value) is np.float64:
            y, slots = quick(self._value, other._value), _SLOTS[self.tracked + 2 * other.tracked]
        elif type(other) is float:
            y, slots = quick(self._value, other), _SLOTS[self.tracked]
        else:
            return self.__record__(op, (self, other))
        if not slots:
            return noted(Tensor(y), op, (self, other), None)
        frame = _getframe(1)
        while INTERNAL[frame.f_code.co_filename]:
            frame = frame.f_back  # type: ignore[assignment]
        return Tensor(y, True, None, op, (self, other), None, slots, (frame.f_code, frame.f_lasti))

    quick = op.quick
    return method if quick is op.forward else quick_method


def _reflected(op: Op) -> Callable[[Tensor, Any], Tensor]:
    def method(self: Tensor, other: Any) -> Tensor:
        return self.__record__(op, (other, self))

    return method


def _unary(op: Op) -> Callable[[Tensor], Tensor]:
    def method(self: Tensor) -> Tensor:
        return self.__record__(op, (self,))

    return method


class Tensor(Traced):
    """An array that remembers how it was computed; make one with `tn.tensor`.

    Operators and functions work as NumPy's, on tensors, arrays and numbers mixed, and results that depend on a tensor
    with ``requires_grad=True`` are recorded.  `backward()` then adds the gradient to `.grad` of those tensors.

    Inside the package: `_value` is the array itself, `value` the array as the current interpreter sees it; `op`,
    `inputs` and `params` are the call that made it, `index` the time it was made, `tracked` whether gradients flow
    through it, `watch` what tracks changes of the value, where there is something to track.
    """

    __slots__ = (
        "__weakref__", "_frozen", "_grad", "_note", "_origin", "_value", "index", "inputs", "name", "op", "params",
        "retain", "slots", "tracked", "watch",
    )  # fmt: skip

    _frozen: bool  # of few tensors, see `requires_grad`

    def __init__(
        self, value: Any, tracked: bool = False, name: str | None = None,
        op: Op | None = None, inputs: tuple = (), params: dict[str, Any] | None = None, slots: tuple[int, ...] = (),
        origin: Origin | None = None,
    ):  # fmt: skip
        if op is None and not INTERNAL[_getframe(1).f_code.co_filename]:
            value = tensor(value, tracked)._value  # somebody called the class: the memory is theirs
        self._value: Any = value
        self.tracked = tracked
        self.name = name
        self.op = op
        self.inputs = inputs
        self.params = params
        self.slots = slots
        self._grad: Any = None  # an array, None, or Lent
        self.retain = False
        self.watch: Watch | None = None
        self._origin = origin
        self._note: Any = None  # of masks, see `masks.py`
        self.index = next(clock)

    def __init_subclass__(cls) -> None:
        raise TypeError("Tensor is final: write functions of tensors, or modules that hold them")

    def __dir__(self) -> list[str]:
        private = re.compile("_[^_]")
        return [name for name in object.__dir__(self) if name not in _MACHINERY and not private.match(name)]

    # -- recording

    def __record__(
        self, op: Op, args: tuple, params: dict[str, Any] | None = None, origin: Origin | None = None
    ) -> Tensor:
        """Compute `op` on these arguments, one of them a tensor, and remember it where a gradient flows.

        `origin` is where the user's code asked for it, looked up if it is not given.
        """
        mode = _mode()
        if op.slow_path or not mode.usual:
            return _record_slowly(op, args, params, mode, origin)
        values = []
        slots, bit, foreign = 0, 1, False
        for a in args:
            if type(a) is Tensor:
                if a.watch is not None and a.watch.exposed:
                    a.use()  # before `values` holds the array, too
                values.append(a._value)
                if a.tracked:
                    slots += bit
            else:
                if type(a) is not float and type(a) is not int:
                    foreign = True
                    if type(a) is not ndarray or (a.dtype is not FLOAT64 and a.dtype.kind not in REAL):
                        args, a = _with_operand(op, args, len(values))
                values.append(a)
            bit += bit
        forward = op.forward if foreign else op.quick
        try:
            if params:
                given, params = params, settled(params)
                y = forward(*values, **params)
                if params is not given and op.array_params:
                    params = _frozen_params(params)
            else:
                y = forward(*values)
        except (ValueError, IndexError, TypeError) as reason:
            raise op.explain(reason, args) from None
        if not slots:
            return noted(Tensor(y), op, args, params)
        if foreign:
            args = tuple([frozen(a) for a in args])
        if origin is None:
            frame = _getframe(2)  # behind this and the operator
            while INTERNAL[frame.f_code.co_filename]:
                frame = frame.f_back  # type: ignore[assignment]
            origin = frame.f_code, frame.f_lasti
        return Tensor(y, True, None, op, args, params, _SLOTS[slots], origin)

    check_unchanged = check_unchanged

    def changed(self) -> None:
        """Say that the array was written to in place (an optimiser does)."""
        here = self.here()
        if OBSERVERS:
            about_to_change(here, certain=True)
        here.watched().change()

    def watched(self) -> Watch:
        """What tracks the changes of the value, from now on."""
        if self.watch is None:
            self.watch = Watch()
        return self.watch

    def use(self) -> None:
        """Note that an operation is about to read the value, which user code may hold."""
        assert self.watch is not None
        self.watch.use(self)
        if not self.watch.exposed and not self._value.ndim:
            self._value = self._value[()]  # a number again: nobody else holds the array, and numbers are quicker

    # -- the value

    def here(self) -> Tensor:
        """This tensor as the current interpreter sees it."""
        interpreter = _mode().interpreter
        return self if interpreter is None else interpreter.tensor(self)

    @property
    def value(self) -> Any:
        """The array, as the current interpreter sees it.  Who writes into it within the package says `changed()`."""
        here = self.here()
        if type(here._value) is not np.ndarray:
            if type(here._value) is Away:
                here._value.taken()
            if here.op is None:
                here._make_array()
        if type(here._value) is np.ndarray and not INTERNAL[_getframe(1).f_code.co_filename]:
            if OBSERVERS:
                about_to_change(here)
            here.watched().expose(here._value)  # they need not say it
            return _given_out(here._value)
        return here._value

    @value.setter
    def value(self, new: Any) -> None:
        if INTERNAL[_getframe(1).f_code.co_filename]:
            self.here()._value = new
        else:
            self.data = new

    @property
    def grad(self) -> np.ndarray | None:
        """The gradient that `backward()` has added up here, or None."""
        here = self.here()
        if OBSERVERS:
            about_to_change(here)
        if isinstance(here._grad, Lent):
            here._grad = here._grad.taken()
        return here._grad

    @grad.setter
    def grad(self, new: Any) -> None:
        here = self.here()
        if OBSERVERS:
            about_to_change(here)
        if type(new) is np.ndarray and new is not here._grad:  # else: p.grad *= ... has just written into it
            new = new.copy()  # it is somebody else's
        usual = new is None or type(new) is np.ndarray or not hasattr(new, "dtype")
        here._grad = new if usual else current(real_operand(new, "grad", "the gradient"))

    def _make_array(self) -> None:
        """Hold an array, which user code may share and write to, where a single number was held, or one on a device."""
        if type(self._value) is Away:
            self._value.taken()
        if issubclass(type(self._value), np.generic):
            self._value = np.asarray(self._value)
            self.watched().expose(self._value)

    @property
    def data(self) -> np.ndarray:
        """The array itself.  Read it, assign it, write into it: a gradient that this would spoil is refused."""
        here = self.here()
        if OBSERVERS:
            about_to_change(here)
        here._make_array()
        here.watched().expose(here._value)
        return _given_out(here._value)

    @data.setter
    def data(self, new: Any) -> None:
        conversions.refuse_recorded(new, f"{label(self, 'a tensor')}.data = ...")
        here, new = self.here(), current(new)
        old = here._value
        if OBSERVERS:
            about_to_change(here)
        if new is not old:  # else: p.data -= ... has just written into it
            new = as_array(new, "data", "the new value")
            if new.shape != old.shape:
                raise ValueError(
                    f"{label(self, 'the tensor')} has shape {old.shape}, its new data has shape {new.shape}: "
                    "they must be equal; make a new tensor for another shape"
                )
            here._value = new if new.dtype == old.dtype else new.astype(old.dtype)
            if not isinstance(here._value, Traced):
                moved(here)
                here.watched().expose(here._value, known=False)
        here.watched().change()

    @property
    def requires_grad(self) -> bool:
        """Does a gradient flow through this tensor?  May be set on tensors that no operation has made."""
        return self.here().tracked

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if self.op is not None:
            raise RuntimeError(
                f"requires_grad can be set only on tensors you make yourself, and {self.op.public_name} made this one; "
                "detach() gives one without history"
            )
        if wanted:
            conversions.check_differentiable(self._value)
        here = self.here()
        if OBSERVERS:
            about_to_change(here)
        if here.tracked and not wanted:
            here._frozen = True  # a slot that all others leave empty
        here.tracked = bool(wanted)

    @property
    def is_frozen(self) -> bool:
        """True for what required a gradient once, and no longer does: a parameter that is left as it is."""
        return not self.tracked and getattr(self, "_frozen", False)

    shape = property(lambda self: self._value.shape, doc="Lengths of the axes.")
    ndim = property(lambda self: self._value.ndim, doc="Number of axes.")
    size = property(lambda self: self._value.size, doc="Number of elements.")
    dtype = property(lambda self: self._value.dtype, doc="NumPy dtype of the elements.")
    itemsize = property(lambda self: self._value.dtype.itemsize, doc="Bytes of an element.")
    nbytes = property(lambda self: self.size * self.itemsize, doc="Bytes of all elements.")
    real = property(lambda self: self, doc="The tensor itself: its numbers are real.")
    imag = property(lambda self: np.imag(self), doc="Zeros: its numbers are real.")

    @property
    def T(self) -> Tensor:
        """Transpose: the axes in reverse order."""
        return self.__record__(shaping.transpose, (self,))

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged: the transpose of each matrix."""
        return joining.matrix_transpose(self)

    @property
    def is_leaf(self) -> bool:
        """True if no recorded operation made it."""
        return self.op is None

    def numpy(self) -> np.ndarray:
        """A copy of the value, as an array."""
        return np.array(fetched(self.value))

    def item(self, *index: Any) -> Any:
        """The only element as a Python number, or that at an index: in the flattened array, or one number an axis."""
        if self._value.size != 1 and not index:
            raise ValueError(
                f"item() needs a single element, {label(self, 'the tensor')} has shape {self.shape}: give its index"
            )
        value = self.value
        return value.item(*index) if hasattr(value, "item") else fetched(value).item(*index)

    def tolist(self) -> Any:
        """The value as nested lists of Python numbers."""
        return fetched(self.value).tolist()

    def detach(self) -> Tensor:
        """The same value without its history: a constant.  It shares memory with this tensor."""
        here = self.here()
        here._make_array()
        result = Tensor(here._value, name=self.name)
        result.watch = here.watched()
        return result

    def named(self, name: str | None) -> Tensor:
        """Give it a name for messages and drawings, and return it."""
        self.name = name
        return self

    def astype(self, dtype: Any) -> Tensor:
        """The values as another dtype; a gradient flows through floating-point ones."""
        dtype = real_dtype(dtype)
        if dtype.kind != "f":
            return Tensor(self.value.astype(dtype))
        return elementwise.astype(self, dtype)

    @property
    def origin(self) -> str:
        """Where it was made: file and line of the code outside this package."""
        return line_of(self._origin)

    def fitted_to(self, x: Any, y: Any) -> Tensor:
        """This part of a gradient, as what y sends to its input x."""
        return fitted_to(self, x, y)

    # -- gradients

    def backward(self, gradient: Any = None, **others: Any) -> None:
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

        Source: M. Thill, "Yet another Neural Networks Introduction", section "Backpropagation via the Chain Rule".
        """
        if others:
            raise TypeError(
                f"backward does not take {min(others)}=: tn.gradients(y, x, create_graph=True) records what it "
                "computes, and every graph stays after backward(), which may be called again"
            )
        here = self.here()
        if isinstance(here._value, Batched):
            raise UnbatchableError("backward() within tn.vmap: return the result, and call backward() on all of them")
        seed = seed_for(here, operand(gradient), "gradient")
        seed = seed._value if isinstance(seed, Tensor) else seed
        found = pullback([here], [seed])
        with _STORING:
            _add_gradients(found)
        finished(here)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def retain_grad(self) -> None:
        """Keep the gradient of this intermediate result as well, at the next `backward()`."""
        self.here().retain = True

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
        seen = SEEN.get()
        if seen is not None:
            seen(index)
        values = values.value if isinstance(values, Tensor) else real_operand(values, "assignment", "the value")
        self.data[shaping.plain_index(index)] = values
        self.changed()

    def __len__(self) -> int:
        if not self._value.ndim:
            raise TypeError("a tensor of a single number has no len(): other libraries take its .numpy()")
        return len(self._value)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    # -- conversions

    __bool__, __float__, __int__, __complex__ = conversions.to_bool, *map(conversions.to, (float, int, complex))
    __index__, __array__ = conversions.to_index, conversions.to_array
    __dlpack__, __dlpack_device__ = conversions.to_dlpack, conversions.to_dlpack_device
    __round__, __format__, __repr__ = conversions.rounded, conversions.formatted, conversions.text
    _repr_html_ = conversions.as_html
    __copy__, __deepcopy__, __reduce__ = conversions.copied, conversions.copied, conversions.pickled
    as_index = conversions.as_index

    # -- operators and NumPy's functions

    __array_priority__ = __pandas_priority__ = 100_000  # operators of other kinds of arrays leave it to these here
    __array_ufunc__, __array_function__ = array_ufunc, array_function
    __add__, __radd__ = _operator(elementwise.add), _reflected(elementwise.add)
    __sub__, __rsub__ = _operator(elementwise.subtract), _reflected(elementwise.subtract)
    __mul__, __rmul__ = _operator(elementwise.multiply), _reflected(elementwise.multiply)
    __truediv__, __rtruediv__ = _operator(elementwise.divide), _reflected(elementwise.divide)
    __matmul__, __rmatmul__ = _operator(linalg.matmul), _reflected(linalg.matmul)
    __rpow__ = _reflected(elementwise.power)
    __mod__, __rmod__ = _operator(arithmetic.remainder), _reflected(arithmetic.remainder)
    __floordiv__, __rfloordiv__ = _operator(arithmetic.floor_divide), _reflected(arithmetic.floor_divide)
    __neg__, __abs__, __invert__ = map(_unary, (elementwise.negative, elementwise.abs, elementwise.invert))
    __lt__, __le__ = _operator(elementwise.less), _operator(elementwise.less_equal)
    __gt__, __ge__ = _operator(elementwise.greater), _operator(elementwise.greater_equal)
    __eq__, __ne__ = _operator(elementwise.equal), _operator(elementwise.not_equal)  # type: ignore[assignment]
    __and__, __rand__ = _operator(elementwise.bitwise_and), _reflected(elementwise.bitwise_and)
    __or__, __ror__ = _operator(elementwise.bitwise_or), _reflected(elementwise.bitwise_or)
    __xor__, __rxor__ = _operator(elementwise.bitwise_xor), _reflected(elementwise.bitwise_xor)
    __lshift__, __rlshift__ = _operator(arithmetic.left_shift), _reflected(arithmetic.left_shift)
    __rshift__, __rrshift__ = _operator(arithmetic.right_shift), _reflected(arithmetic.right_shift)
    __hash__ = object.__hash__

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    def __pos__(self) -> Tensor:
        return self

    conj = conjugate = __pos__

    def compress(self, condition: Any, axis: int | None = None) -> Tensor:
        """The parts along an axis (of the flattened tensor, if None) where the condition, a vector, holds."""
        return sorting.compress(condition, self, axis)

    def __pow__(self, other: Any) -> Tensor:
        if type(other) in (int, float) and other == 2:
            return self.__record__(elementwise.square, (self,))
        return self.__record__(elementwise.power, (self, other))


for _name in HINTS["Tensor"]:
    setattr(Tensor, _name, ForeignName(_name))
give_methods(Tensor)
give_in_place_operators(Tensor)


class Lent:
    """A gradient in memory that a compiled step will use again: it is copied when somebody reads it."""

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array

    def taken(self) -> Any:
        """The gradient, as an array of its own."""
        return self.array.copy()


def _given_out(array: Any) -> Any:
    """An array, or another view where it is one: what is assigned to the view's dtype or shape is not the tensor's."""
    return array if type(array) is not ndarray or array.base is None else array.view()


def _add_gradients(found: dict[Any, Any]) -> None:
    """Add gradients to `.grad`, each in memory that nobody else has; empties `found`."""
    while found:
        node, g = found.popitem()
        if OBSERVERS:
            about_to_change(node)
        before = node._grad
        if type(before) is not np.ndarray and before is not None:
            before = node.grad  # lent
        if before is not None and node.op is None:
            g = before[()] + g if type(g) is np.float64 else before + g
        if type(g) is not np.ndarray and isinstance(g, np.generic) and not isinstance(g, Traced):
            node._grad = np.array(g)  # a single number is nobody else's
        else:
            own = type(g) is np.ndarray and g.base is None and getrefcount(g) <= _ALONE
            node._grad = g if own else g.copy()


def _own_references() -> int:
    """The reference count of an array that only a local variable holds, on this interpreter."""
    g = np.empty(1)
    return getrefcount(g)


_ALONE = _own_references()


def current(x: Any) -> Any:
    """The array `x`, the value of a tensor `x`, or a dict of arrays, as the current interpreter sees it.

    For code that works on arrays beside the graph (the state of an optimiser): while a step is being compiled it must
    work on the tracers, so that what it does is recorded.

    >>> import numpy as np
    >>> current({"velocity": np.zeros(2)})
    {'velocity': array([0., 0.])}
    """
    if isinstance(x, dict):
        interpreter = MODE.get().interpreter
        return x if interpreter is None else type(x)({key: interpreter.operand(v, key) for key, v in x.items()})
    x = operand(x)
    return x._value if isinstance(x, Tensor) else x


def _frozen_params(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters that nobody can change later: copies of the arrays and lists."""
    return tree.map(frozen, params, tree.is_plain_or_slice)


def _record_slowly(op: Op, args: tuple, params: Any, mode: Mode, origin: Origin | None) -> Tensor:
    """`__record__` for operations with gaps or views, under no_grad and detect_anomaly, and under an interpreter."""
    interpreter = mode.interpreter
    if interpreter is not None:
        args = tuple([interpreter.operand(a) for a in args])
    given, params = params, settled(params) if params and interpreter is None else params
    values: list[Any] = []
    for a in args:
        if type(a) is not Tensor:
            args, a = _with_operand(op, args, len(values))
            values.append(a)
            continue
        if a.watch is not None and a.watch.exposed:
            a.use()
        values.append(a._value)
    try:
        if interpreter is not None:
            y = interpreter.carry_out(op, values, params or {})
        else:
            y = op.forward(*values, **params) if params else op.forward(*values)
    except (ValueError, IndexError, TypeError) as reason:
        raise op.explain(reason, args) from None
    if type(y) is not ndarray or (y.dtype is not FLOAT64 and y.dtype.kind not in REAL):
        y = _array_of(op, y)
    slots = [i for i, a in enumerate(args) if type(a) is Tensor and a.tracked and op.vjps[i] is not None]
    if slots and mode.grad:
        if params and op.array_params and (params is not given or interpreter is not None):
            params = _frozen_params(params)
        args = tuple([frozen(a) for a in args])
        result = Tensor(y, True, None, op, args, params, tuple(slots), origin or caller())
    else:
        result = Tensor(y)
        if mode.grad and interpreter is None:
            noted(result, op, args, params)
    if op.view and isinstance(y, np.ndarray):
        del y  # the result holds it: who else does, can be told
        share_watch(result, args)
    if mode.anomalies:
        refuse_non_finite_value(result, op, args)
    return result


def _with_operand(op: Op, args: tuple, i: int) -> tuple[tuple, Any]:
    """The arguments with the i-th as an operand, and that operand."""
    a = op.operand(args[i], i)
    return (args if a is args[i] else (*args[:i], a, *args[i + 1 :])), a


def _array_of(op: Op, y: Any) -> Any:
    """What a forward function returned, as an array; single numbers and other kinds of arrays as they are."""
    if isinstance(y, (tuple, list)):
        raise TypeError(
            f"the forward function of {op.name} returned a {type(y).__name__} of {len(y)}: an operation has one "
            "result; make one operation for each, or np.stack them"
        )
    array = y if isinstance(y, np.generic) or hasattr(type(y), "__array_function__") else np.asarray(y)
    if array.dtype.kind not in REAL:
        raise TypeError(f"the forward function of {op.name} returned {y!r:.60}: expected an array of real numbers")
    return array


def tensor(data: Any, requires_grad: bool = False, dtype: Any = None, name: str | None = None) -> Tensor:
    """A tensor of a copy of `data`.

    Parameters
    ----------
    data : number, nested lists, array or tensor.  Python numbers and lists become float64, arrays keep their dtype.
        A copy of a tensor that requires a gradient is recorded, as any other result.
    requires_grad : record what is computed from it, so that `backward()` can give its gradient.
    dtype : NumPy dtype to convert to.
    name : for messages and drawings.

    Raises
    ------
    TypeError : data that is not real numbers; ``requires_grad=True`` on integers or bools, and on a tensor that
        requires a gradient, whose history would be lost.

    >>> import tinygrad_nn as tn
    >>> tn.tensor([1, 2], name="x")
    tensor([1., 2.], name='x')
    """
    data = operand(data)
    if type(data) is Tensor and data.tracked and MODE.get().grad:
        if requires_grad:
            name = label(data, "the data")
            raise TypeError(
                f"tensor: {name} requires a gradient, and a new leaf of its value would silently leave the graph; "
                f"tn.tensor({label(data, 'data')}.detach(), requires_grad=True) leaves it on purpose"
            )
        return data.astype(data.dtype if dtype is None else dtype).named(name)
    value = conversions.array_from(data, dtype, name)
    if requires_grad:
        conversions.check_differentiable(value)
    if type(value) is np.ndarray:
        prepare_for(value)
        if not value.ndim:
            value = value[()]  # arithmetic is quicker on single numbers
    return Tensor(value, bool(requires_grad), name)
