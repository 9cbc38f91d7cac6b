"""The guard against mutation: a value that changes after it was used makes no gradient silently wrong.

The rules of an operation read its inputs again in the backward pass.  A write to them meanwhile is noticed: changes
through a tensor are timed, and arrays that user code may hold are compared with a copy.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any
from weakref import getweakrefcount

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tinygrad_nn import tree
from tinygrad_nn.errors import MutationError, ReleasedError, label
from tinygrad_nn.memory import prepare_for
from tinygrad_nn.operands import number_of
from tinygrad_nn.operation import DRAWN_BY, Traced
from tinygrad_nn.origin import quoted
from tinygrad_nn.symbols import reads

__all__ = ["Watch", "check_unchanged", "clock"]

clock = itertools.count(1)  # the order in which tensors were made and changed


class Watch:
    """Tracks changes of memory that user code can write to; shared by a tensor and its views.

    `changed` is the time of the last known change.  `exposed` is what user code may hold of it: one entry for each
    piece of memory, however many views of that were given out.  `released` says that the arrays behind the tensor are
    not there any more, see `retention.py`.
    """

    __slots__ = ("changed", "exposed", "released")

    def __init__(self) -> None:
        self.changed = 0
        self.released = False
        self.exposed: list[Exposed] = []

    def expose(self, array: Any, known: bool = True) -> None:
        """Track an array that user code may hold; it came from there if it is not `known`."""
        memory = memory_of(array)
        for entry in self.exposed:
            if entry.memory is memory:
                if not entry.covers(array):
                    self.look()
                    entry.widen()
                return
        if self.exposed:
            self.look()
            self.exposed = [entry for entry in self.exposed if entry.is_held()]
        self.exposed.append(Exposed(array, memory, known))

    def change(self) -> None:
        """The value changes now."""
        self.changed = next(clock)
        for entry in self.exposed:
            entry.copy, entry.form = None, _form(entry.memory)

    def look(self) -> None:
        """Compare the exposed arrays with their copies."""
        for entry in self.exposed:
            written = entry.copy is not None and not _same(entry.array, entry.copy)
            if written or entry.form != _form(entry.memory):
                self.change()
                return

    def use(self, tensor: Any) -> None:
        """An operation reads the value of this tensor now: later comparisons are with this moment."""
        self.look()
        self.exposed = [entry for entry in self.exposed if entry.is_held(tensor)]
        for entry in self.exposed:
            if entry.copy is None:
                entry.copy = entry.array.copy()


def _form(array: Any) -> Any:
    """What can be assigned to an array without writing into it; None for another kind of array."""
    plain = isinstance(array, np.ndarray) and not isinstance(array, Traced)
    return (array.dtype, array.shape, array.strides) if plain else None


class Exposed:
    """Memory that user code may hold: an array in it, and a copy to compare that with.

    Without a copy, one is taken when the tensor is used next.  `form` is what the bytes of the memory were taken for.
    """

    __slots__ = ("array", "copy", "form", "memory")

    def __init__(self, array: Any, memory: Any, known: bool):
        self.array, self.memory, self.form = array, memory, _form(memory)
        self.copy = array.copy() if known else None

    def covers(self, array: Any) -> bool:
        """Whether an array in this memory has no element that is not compared already."""
        if self.array is array or self.array is self.memory:
            return True
        (low, high), (first, last) = byte_bounds(self.array), byte_bounds(array)
        if self.array.nbytes == high - low:
            return bool(low <= first and last <= high)
        return (low, high, _steps(self.array)) == (first, last, _steps(array))

    def widen(self) -> None:
        """From now on the whole memory is compared: that is bounded, and single views are not."""
        self.array = self.memory
        self.copy = None if self.copy is None else self.memory.copy()

    def is_held(self, tensor: Any = None) -> bool:
        """Whether user code may still hold the memory, or a view of it; `tensor` may hold it, too."""
        whole = self.array is self.memory
        if getattr(self.memory, "base", None) is not None or not (whole or self.array.base is self.memory):
            return True  # not NumPy's own, or by way of another kind of array: who else has it, nobody can tell
        if sys.getrefcount(self.memory) > _OWN + (tensor is not None and tensor._value is self.memory):
            return True
        ours = _OWN - 1 + (tensor is not None and tensor._value is self.array)
        if not whole and (sys.getrefcount(self.array) > ours or getweakrefcount(self.array)):
            return True
        return getweakrefcount(self.memory) > 0  # while the tensor holds it, that gives it back


def _own_references() -> int:
    """The reference count of memory that only an entry holds, on this interpreter."""
    entry = Exposed(memory := np.empty(1), memory, known=False)
    del memory
    return sys.getrefcount(entry.memory)


_OWN = _own_references()


def moved(tensor: Any) -> None:
    """A tensor has other memory from now on: only views and copies that share its watch need what was before."""
    if tensor.watch is not None and sys.getrefcount(tensor.watch) < _OWN:
        tensor.watch.exposed = []


def memory_of(array: Any) -> Any:
    """The array that all views of the same memory lead to."""
    while not isinstance(array, Traced) and isinstance(base := getattr(array, "base", None), np.ndarray):
        array = base
    return array


def _steps(array: Any) -> list[tuple[int, int]]:
    """How an array goes through memory, whatever the order and direction of its axes."""
    return sorted((abs(step), n) for step, n in zip(array.strides, array.shape, strict=True) if n > 1)


def _same(a: Any, b: Any) -> bool:
    """Whether nothing was written: 0.0 is not -0.0, and NaN is itself."""
    if isinstance(a, Traced):
        return a.stands_for_same(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if isinstance(a, np.ndarray) and a.itemsize <= 8:
        bits = f"u{a.itemsize}"
        return bool((a.view(bits) == b.view(bits)).all())
    same = (a == b) & (np.signbit(a) == np.signbit(b))  # long doubles have bits that mean nothing
    return bool((same | ((a != a) & (b != b))).all())


def share_watch(view: Any, args: tuple) -> None:
    """A view changes with what it is a view of; and a result that a forward function has from elsewhere, with that."""
    for source in args:
        if type(source) is type(view) and np.may_share_memory(source._value, view._value):
            view.watch = source.watched()
            return
    if view._value.base is None and sys.getrefcount(view._value) < _OWN:
        return  # its own
    if not isinstance(view._value, Traced) and Exposed(view._value, memory_of(view._value), known=False).is_held(view):
        view.watched().expose(view._value, known=False)


def frozen(a: Any) -> Any:
    """An operand that nobody can change later: a constant is copied, unless its memory is that of Python's `bytes`.

    An array that is read-only is no reason: that can be taken back, and older views of it may be written to.
    """
    if isinstance(a, (list, tuple)):
        return np.array(a)
    if isinstance(a, np.ndarray) and not isinstance(a, Traced) and type(memory_of(a).base) is not bytes:
        prepare_for(a)
        return a.copy()
    return a


def settled(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters whose lists, and arrays of a single number, nobody can change later: those become Python numbers."""
    if _NEVER_CHANGE.issuperset(map(type, params.values())):
        return params
    drawn_by = DRAWN_BY.get()
    if drawn_by is not None:
        params = drawn_by(params)
    if not any(map(_may_change, params.values())):
        return params
    return tree.map(number_of, params, tree.is_plain_or_slice)


def _may_change(param: Any) -> bool:
    kind = type(param)
    if kind in _NEVER_CHANGE:
        return False
    if kind is tuple:
        return any(map(_may_change, param))
    if kind is slice:
        return any(map(_may_change, (param.start, param.stop, param.step)))
    return kind is list or kind is dict or isinstance(param, (np.ndarray, tuple))


_NEVER_CHANGE = frozenset({int, bool, float, str, type(None), type(...)})


def check_unchanged(node: Any) -> None:
    """MutationError if a value that the rules of this operation read has changed since it was recorded, or is gone."""
    if node.watch is not None and node.watch.released:
        raise ReleasedError(
            f"the arrays that {label(node, 'a result')} of shape {node.shape} was made from{quoted(node)} were "
            "released: results after it have called backward(), and all that are kept took too much memory. "
            "Compute it anew, and keep numbers, as in losses.append(loss.item())"
        )
    for x in (node, *node.inputs):
        if type(x) is type(node) and x.watch is not None:
            x.watch.look()
            if x.watch.changed > node.index and _is_read(node, x):
                raise MutationError(
                    f"{label(x, 'a value')} of shape {x.shape} was changed after {node.op.public_name} used it"
                    f"{quoted(node)}, so its gradient would be wrong: call backward() before changing it, "
                    "or compute the result anew"
                )


def _is_read(node: Any, x: Any) -> bool:
    """Do the rules of this node read the value of `x`?  Unknown counts as yes."""
    read = reads(node.op, len(node.inputs))
    roles: list[Any] = ["y"] if x is node else []
    roles += [slot for slot, a in enumerate(node.inputs) if a is x]
    return any(
        role in read[slot]
        for role in roles
        for slot, a in enumerate(node.inputs)
        if isinstance(a, Traced) and a.tracked
    )
