"""Graphs that outlive their use: results that are kept after `backward()` keep light records of their graphs.

``losses.append(J)`` would keep every array of every step.  A graph stays whole after `backward()`, to be drawn; when
newer results have called it and all that are kept take more than `BUDGET`, the oldest lose their arrays.  What is left
is the record for pictures: operations, shapes, and single numbers.  Whatever user code can still reach stays whole.
"""

from __future__ import annotations

import functools
import sys
import threading
import warnings
import weakref
from collections import Counter
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.modes import MODE
from tinygrad_nn.mutation import Watch
from tinygrad_nn.operation import Traced, recorded

__all__ = ["BUDGET", "RECORDS", "finished"]

BUDGET = 64 << 20  # bytes of arrays in the graphs of older results; the newest of them is whole in any case
RECORDS = 256 << 20  # bytes of light records, about, beyond which a warning says so
_OF_RECORD = 400  # bytes of the record of one operation, about


class _Kept(threading.local):
    """The results of one thread that have called `backward()`, oldest first, with the bytes of their graphs."""

    def __init__(self) -> None:
        self.last: weakref.ref[Any] | None = None
        self.whole: dict[int, tuple[weakref.ref[Any], int]] = {}  # by time of creation
        self.size = 0  # of the whole ones, of which some may be gone
        self.light: list[tuple[weakref.ref[Any], int]] = []
        self.warn_at = RECORDS


_KEPT = _Kept()


def finished(result: Any) -> None:
    """A backward pass from `result` is over: an earlier result that somebody still holds may be released now."""
    last = None if _KEPT.last is None else _KEPT.last()
    if last is result or MODE.get().interpreter is not None:  # what an interpreter shows is not what is kept
        return
    _KEPT.last = weakref.ref(result)
    if last is not None:
        _KEPT.size -= _KEPT.whole.pop(result.index, (None, 0))[1]
        _keep(last)


def _keep(result: Any) -> None:
    """Count one more result among those that are kept, and release the oldest where that is too much."""
    size = sum(_bytes(node) for node in _own(result))
    _KEPT.whole[result.index] = weakref.ref(result), size
    _KEPT.size += size
    if _KEPT.size <= BUDGET:
        return
    _KEPT.whole = {at: entry for at, entry in _KEPT.whole.items() if entry[0]() is not None}
    _KEPT.size = sum(size for _, size in _KEPT.whole.values())
    while _KEPT.size > BUDGET and len(_KEPT.whole) > 1:
        oldest, size = _KEPT.whole.pop(next(iter(_KEPT.whole)))
        _KEPT.size -= size
        if (found := oldest()) is not None:
            _KEPT.light.append((oldest, _OF_RECORD * _release(found)))
    _warn_of_growth()


def _warn_of_growth() -> None:
    """Even light records add up: say so once they are large, and again when they have doubled."""
    if sum(size for _, size in _KEPT.light) < _KEPT.warn_at:
        return
    _KEPT.light = [entry for entry in _KEPT.light if entry[0]() is not None]
    size = sum(size for _, size in _KEPT.light)
    if size >= _KEPT.warn_at:
        _KEPT.warn_at *= 2
        warnings.warn(
            f"the graphs of {len(_KEPT.light):,} results that are kept take about {size >> 20} MB: "
            "keep numbers instead, as in losses.append(loss.item())",
            RuntimeWarning,
            stacklevel=4,
        )


def _own(result: Any) -> list[Any]:
    """The nodes of its graph that nothing else can reach, and itself, last."""
    found = {node.index: node for node in recorded(result)}
    inside = Counter(x.index for args in _calls(found).values() for x in args if isinstance(x, Traced))
    held = {at for at in found if _references(found, at) > _OWN + inside[at]} - {result.index}
    for at in sorted(found, reverse=True):
        if at in held:  # somebody may call backward() there, or draw it
            held.update(x.index for x in found[at].inputs if isinstance(x, Traced))
    return [found[at] for at in sorted(found) if at not in held]


def _calls(found: dict[int, Any]) -> dict[int, tuple]:
    """The tuples of inputs; several results of one decomposition share theirs."""
    return {id(node.inputs): node.inputs for node in found.values()}


def _references(found: dict[int, Any], at: int) -> int:
    return sys.getrefcount(found[at])


_OWN = _references({0: object()}, 0)  # how many references a dict and the call make, on this interpreter


def _bytes(node: Any) -> int:
    """Of the arrays that a node holds."""
    arrays = (x for x in (node._value, *node.inputs) if isinstance(x, np.ndarray) and x.base is None)
    return sum(x.nbytes for x in arrays)


def _release(result: Any) -> int:
    """Leave shapes and single numbers of what only its graph can reach; gives the number of nodes that are left."""
    nodes, lost = _own(result), set()
    for node in nodes:
        inputs, params = tree.map(_shape_of, (node.inputs, node.params), tree.is_plain_or_slice)
        value = node._value if node is result else _shape_of(node._value)
        if value is not node._value:
            lost.add(node.index)
        read = [node._value, *tree.leaves((node.inputs, node.params), tree.is_plain_or_slice)]
        left = [value, *tree.leaves((inputs, params), tree.is_plain_or_slice)]
        if any(x is not y or (isinstance(x, Traced) and x.index in lost) for x, y in zip(left, read, strict=True)):
            node.watch = _released(node, node is result)
            node._value, node.inputs, node.params = value, inputs, params
    return len(nodes)


def _released(node: Any, keeps_value: bool) -> Watch:
    """What says of a node that its arrays are not there any more; and tracks the changes of a value that still is."""
    watch = Watch()
    watch.released = True
    if keeps_value and node.watch is not None:
        watch.changed, watch.exposed = node.watch.changed, node.watch.exposed
    return watch


def _shape_of(x: Any) -> Any:
    """In place of an array, one of its shape and dtype that takes no memory; all else as it is."""
    return _placeholder(x.shape, x.dtype) if isinstance(x, np.ndarray) and x.size > 1 else x


@functools.lru_cache(maxsize=4096)
def _placeholder(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.broadcast_to(np.array(np.nan if dtype.kind == "f" else 0, dtype), shape)
