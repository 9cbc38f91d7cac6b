"""Which of the recorded calls are needed, which run together, and which memory each result lives in.

The order is the recorded one.  A result whose call can write into a given array gets one: the memory that it will be
stored to, or a buffer, which it shares with results of the same layout whose last use is over.  Neighbouring
elementwise calls on large arrays form a fused loop, which runs over blocks that stay in the cache; what only passes
through a loop needs memory for a block.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_nn.compiler.ir import Node, abstract_like, cast, item, leaves, look_up

__all__ = [
    "BLOCK",
    "LARGE",
    "TWO_THREADS",
    "Buffer",
    "FusedLoop",
    "MemoryPlan",
    "elementwise",
    "is_reduction",
    "may_raise",
    "takes_out",
]

LARGE = 1 << 19  # bytes of an array from which on loops run over blocks
BLOCK = 1 << 19  # bytes of a block
TWO_THREADS = 1 << 26  # bytes that a loop writes, from which on two threads gain more than waking each other costs
_TAKE_OUT = {np.concatenate, np.stack, np.take, np.cumsum, np.cumprod, np.einsum, np.argmax, np.argmin, np.round}
_SAFE = _TAKE_OUT - {np.take} | {np.reshape, np.ravel, np.transpose, np.broadcast_to, np.expand_dims, np.squeeze,
                                 np.swapaxes, np.moveaxis, np.array, np.zeros_like, np.ones_like, np.dot, np.vdot,
                                 np.inner, np.outer, np.tensordot, np.trace, np.diff, np.sort, np.argsort, np.tril,
                                 np.triu, np.roll, np.flip}  # fmt: skip
_SAFE |= {getattr(np, name) for name in ("sum", "prod", "max", "min", "any", "all", "mean", "var", "std", "clip")}
_SAFE |= {getattr(np.ndarray, f.__name__) for f in _SAFE if hasattr(np.ndarray, f.__name__)}
_END = np.inf  # after all calls


def elementwise(node: Node) -> bool:
    """Whether each element of the result depends on one element of each operand."""
    func = node.func
    if isinstance(func, np.ufunc):
        return func.signature is None and func.nout == 1 and not node.kwargs
    return func is np.where or func is cast


def is_reduction(node: Node) -> bool:
    """Whether it is a sum, a maximum, or the like."""
    return isinstance(getattr(node.func, "__self__", None), np.ufunc) and node.func.__name__ == "reduce"


def takes_out(node: Node) -> bool:
    """Whether it can write into a given array."""
    if isinstance(node.sample, (tuple, list)) or node.sample.dtype.hasobject:
        return False
    if isinstance(node.func, np.ufunc):
        return node.func.nout == 1 and not node.kwargs
    return elementwise(node) or is_reduction(node) or node.func is look_up or node.func in _TAKE_OUT


def may_raise(func: Any, args: tuple) -> bool:
    """Whether values decide if a call raises an error: shapes and dtypes are always those that were recorded."""
    if isinstance(func, np.ufunc) or getattr(func, "__name__", "") == "reduce" or func in (cast, look_up, np.where):
        return False
    if func is item:
        return any(isinstance(x, Node) for x in leaves(args[1]))
    return func not in _SAFE


@dataclass(eq=False)
class Buffer:
    """Memory for results of one layout; or, with a number, scratch memory for one block of them."""

    like: Any
    number: int | None = None  # loops use the same scratch memory one after the other

    @property
    def block(self) -> bool:
        """Whether it is for a block only."""
        return self.number is not None


@dataclass(eq=False)
class FusedLoop:
    """Calls that run together: a single one, or elementwise ones on arrays of a shape, block by block."""

    calls: list[Node]
    shape: tuple[int, ...] | None = None


@dataclass(eq=False)
class MemoryPlan:
    """What runs, and where results live.

    `loops` in order; `place` says which buffer or memory the result of a call is written to (without one, the call
    makes its own array); `stores` are the memories that get a value when all calls are made, each with this value.
    """

    results: list[Node]
    gradients: list[Node]
    written: dict[Node, Node]  # memory -> the value that it ends with
    effects: list[Node]  # calls that are made for what they do
    needed: list[
        Node
    ]  # random numbers, which move their Generator on even if nobody reads them; checks; what may raise
    earlier: dict[Node, Node]  # gradient -> the one before, which an earlier replay may have given out

    live: list[Node] = field(default_factory=list)
    loops: list[FusedLoop] = field(default_factory=list)
    place: dict[Node, Buffer | Node] = field(default_factory=dict)
    stores: list[tuple[Node, Node]] = field(default_factory=list)
    passing: set[Node] = field(default_factory=set)  # values that only their own loop reads
    last_risk = -1  # the index of the last call that may raise an error

    def __post_init__(self) -> None:
        self._find_needed()
        self._own = {gradient for gradient, before in self.earlier.items() if before in self.live}  # never in a buffer
        self._users: dict[Node, list[tuple[Node, bool]]] = defaultdict(list)  # who reads it; as it is, not as a view?
        for node in self.live:
            for x in node.inputs():
                self._users[x.root()].append((node, x.base is None))
        self._last: dict[Node, float] = {root: users[-1][0].index for root, users in self._users.items()}
        for node in (*self.results, *self.gradients):
            self._last[node.root()] = _END
        self.earlier.clear()  # and with it the recorded arrays that nothing else needs
        self._group()
        self._write_in_place()
        self._assign()

    def _find_needed(self) -> None:
        found: set[Node] = set()
        stack = [*self.results, *self.gradients, *self.written, *self.written.values(), *self.effects, *self.needed]
        while stack:
            node = stack.pop()
            if node not in found:
                found.add(node)
                stack.extend(node.inputs())
        self.live = sorted(found, key=lambda node: node.index)

    def calls(self) -> Iterable[Node]:
        """What has to be computed."""
        return (node for node in self.live if node.func is not None and node.base is None)

    def loop_kind(self, node: Node) -> tuple[str, tuple[int, ...]] | None:
        """Calls of the same kind that follow each other are a fused loop over arrays of this shape; None: alone."""
        large = self.can_be_in_a_loop(node) and node.sample.nbytes >= LARGE
        return ("blocks", node.sample.shape) if large else None

    def can_be_in_a_loop(self, node: Node) -> bool:
        """Whether it can be computed piece by piece: into memory that is there before."""
        return elementwise(node) and takes_out(node) and node not in self._own

    def _group(self) -> None:
        before = None
        for node in self.calls():
            kind, last = self.loop_kind(node), self.loops[-1] if self.loops else None
            # a view of what the loop computes would be read in another order than it is computed
            views = last is not None and any(x.base is not None and x.root() in last.calls for x in node.inputs())
            if kind is not None and last is not None and kind == before and not views:
                last.calls.append(node)
            else:
                self.loops.append(FusedLoop([node], kind and kind[1]))
            before = kind

    # -- memories

    def _write_in_place(self) -> None:
        """A value that is stored to a memory is computed there, unless the old one is read later.

        Nothing is changed before a call that may raise an error: then the step can still be carried out eagerly.
        """
        self.last_risk = max(
            (call.index for call in self.calls() if may_raise(call.func, call.args) and call not in self.effects),
            default=-1,
        )
        loop_of = {call: loop for loop in self.loops for call in loop.calls}
        for value in self.written.values():
            if value not in loop_of:
                self._last[value.root()] = _END
        for memory, value in self.written.items():
            if value in loop_of and value not in self.place and self._can_live_in(memory, value, loop_of[value]):
                self.place[value] = memory
            else:
                self.stores.append((memory, value))
                self._last[value.root()] = _END

    def _can_live_in(self, memory: Node, value: Node, loop: FusedLoop) -> bool:
        if value.index < self.last_risk:
            return False
        if value in self.gradients or not takes_out(value) or _layout(value.sample)[:2] != _layout(memory.sample)[:2]:
            return False
        last = self._last.get(memory, -1)
        if last < loop.calls[0].index:
            return True
        return elementwise(value) and last <= value.index and self._read_in_order(memory, loop)

    def _read_in_order(self, node: Node, loop: FusedLoop) -> bool:
        """Whether the loop reads it element by element only, each for the same element of the result."""
        inside = [as_it_is for user, as_it_is in self._users[node] if user in loop.calls]
        return all(inside) and (node.sample.shape == loop.shape or len(loop.calls) == 1)

    # -- buffers

    def _assign(self) -> None:
        free: dict[Any, list[Buffer]] = defaultdict(list)
        ending: dict[float, list[Node]] = defaultdict(list)
        for node, last in self._last.items():
            ending[last].append(node)
        for loop in self.loops:
            scratch: dict[Any, list[Buffer]] = defaultdict(list)
            numbers: dict[Any, int] = defaultdict(int)
            later = []
            for call in loop.calls:
                over = [x for x in ending[call.index] if isinstance(self.place.get(x), Buffer)]
                if call not in self.place and takes_out(call) and call not in self._own:
                    passes = loop.shape is not None and self._passes(call, loop)
                    self.passing |= {call} if passes else set()
                    taken = self._taken_over(call, over, passes, loop)
                    kind, stock = (call.sample.dtype, scratch) if passes else (_layout(call.sample), free)
                    if taken is not None:
                        over.remove(taken)
                        self.place[call] = self.place[taken]
                    elif stock[kind]:
                        self.place[call] = stock[kind].pop()
                    else:
                        self.place[call] = Buffer(abstract_like(call.sample), numbers[kind] if passes else None)
                        numbers[kind] += passes
                for x in over:
                    buffer = self.place[x]
                    assert isinstance(buffer, Buffer)
                    if buffer.block:
                        scratch[buffer.like.dtype].append(buffer)
                    elif len(loop.calls) == 1 or self._read_in_order(x, loop):
                        free[_layout(buffer.like)].append(buffer)
                    else:  # a row that every block reads
                        later.append(buffer)
            for buffer in later:
                free[_layout(buffer.like)].append(buffer)

    def _passes(self, node: Node, loop: FusedLoop) -> bool:
        """Whether it is read in its own loop only."""
        if self._last.get(node) == _END:
            return False
        return all(user in loop.calls and as_it_is for user, as_it_is in self._users[node])

    def _taken_over(self, call: Node, over: list[Node], passes: bool, loop: FusedLoop) -> Node | None:
        """An operand that nobody reads afterwards, whose buffer the result can have."""
        if not elementwise(call):
            return None
        candidates = [x for x in call.args if x in over]
        if call.func is np.where:  # its last operand is copied first
            candidates = [x for x in candidates if x is call.args[2] and x not in call.args[:2]]
        for x in candidates:
            fits = _layout(x.sample) == _layout(call.sample) and (passes or not self.place[x].block)  # type: ignore[union-attr]
            in_order = len(loop.calls) == 1 or self._read_in_order(x, loop)
            if fits and in_order and not any(y.root() is x and y is not x for y in call.inputs()):
                return x
        return None


def _layout(sample: Any) -> Any:
    return np.shape(sample), sample.dtype, getattr(sample, "strides", ())
