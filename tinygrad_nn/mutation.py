"""The guard against mutation: a value that changes after it was used makes no gradient silently wrong.

The rules of an operation read its inputs again in the backward pass.  A write to them meanwhile is noticed: changes
through a tensor are timed, and arrays that user code may hold are compared with a copy.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np

from tinygrad_nn.errors import MutationError, ReleasedError, label
from tinygrad_nn.memory import prepare_for
from tinygrad_nn.operation import Traced
from tinygrad_nn.origin import quoted
from tinygrad_nn.symbols import reads

__all__ = ["Watch", "check_unchanged", "clock"]

clock = itertools.count(1)  # the order in which tensors were made and changed


class Watch:
    """Tracks changes of memory that user code can write to; shared by a tensor and its views.

    `changed` is the time of the last known change.  `exposed` holds each array that user code may hold, with a copy to
    compare it with (None: the copy is taken when the tensor is used next).  `released` says that the arrays behind the
    tensor are not there any more, see `retention.py`.
    """

    __slots__ = ("changed", "exposed", "released")

    def __init__(self) -> None:
        self.changed = 0
        self.released = False
        self.exposed: list[list[Any]] = []

    def expose(self, array: Any, known: bool = True) -> None:
        """Track an array that user code may hold; it came from there if it is not `known`."""
        if not any(entry[0] is array for entry in self.exposed):
            self.exposed.append([array, array.copy() if known else None])

    def change(self) -> None:
        """The value changes now."""
        self.changed = next(clock)
        for entry in self.exposed:
            entry[1] = None

    def look(self) -> None:
        """Compare the exposed arrays with their copies."""
        for entry in self.exposed:
            array, copy = entry
            if copy is not None and not _same(array, copy):
                self.change()
                return

    def use(self) -> None:
        """An operation reads the value now: later comparisons are with this moment."""
        self.look()
        self.exposed = [entry for entry in self.exposed if _held_outside(entry)]
        for entry in self.exposed:
            if entry[1] is None:
                entry[1] = entry[0].copy()


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Traced):
        return a.stands_for_same(b)
    return bool(((a == b) | ((a != a) & (b != b))).all())


def _references(entry: list[Any]) -> int:
    return sys.getrefcount(entry[0])


def _held_outside(entry: list[Any]) -> bool:
    """Whether user code may still hold the array, or a view of it."""
    return _references(entry) > _HELD_BY_TENSOR or entry[0].base is not None


def _count_own_references() -> int:
    """The reference count of an array that only a tensor and its watch hold, on this interpreter."""
    array = np.empty(1)
    holder, entry = [array], [array, None]
    del array
    assert holder
    return _references(entry)


_HELD_BY_TENSOR = _count_own_references()


def share_watch(view: Any, args: tuple) -> None:
    """A view changes with what it is a view of."""
    for source in args:
        if type(source) is type(view) and np.may_share_memory(source._value, view._value):
            view.watch = source.watched()
            return


def frozen(a: Any) -> Any:
    """An operand that nobody can change later: a constant is copied, unless it is read-only and owns its memory."""
    if isinstance(a, (list, tuple)):
        return np.array(a)
    if isinstance(a, np.ndarray) and not isinstance(a, Traced) and (a.flags.writeable or a.base is not None):
        prepare_for(a)
        return a.copy()
    return a


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
