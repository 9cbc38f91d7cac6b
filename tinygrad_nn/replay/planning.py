"""Which of the recorded calls are needed, in which order they run together, and which memory each result lives in.

The order is the recorded one.  A result whose call can write into a given array gets one: the parameter that it will
be stored to, or a buffer that it shares with results of the same layout whose last use is over.  Neighbouring
elementwise calls on large arrays form a chain, which runs over blocks that stay in the cache; what only passes through
a chain needs memory for a block only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_nn.replay.recording import Node, cast, look_up

__all__ = ["Buffer", "Chain", "Plan", "elementwise", "operands", "takes_out"]

LARGE = 1 << 19  # bytes of an array from which on chains run over blocks
BLOCK = 1 << 18  # bytes of a block
TWO_THREADS = 1 << 22  # bytes that a chain writes, from which on two threads share it
_END = np.inf  # after everything
_TAKE_OUT = {np.concatenate, np.stack, np.take, np.cumsum, np.cumprod, np.einsum, np.argmax, np.argmin, np.round}


def elementwise(node: Node) -> bool:
    """Does every element of the result depend on one element of each operand?"""
    func = node.func
    if isinstance(func, np.ufunc):
        return func.signature is None and func.nout == 1 and not node.kwargs
    return func is np.where or func is cast


def operands(node: Node) -> tuple:
    """The operands of an elementwise call."""
    return node.args[:1] if node.func is cast else node.args


def is_reduction(node: Node) -> bool:
    return isinstance(getattr(node.func, "__self__", None), np.ufunc) and node.func.__name__ == "reduce"  # type: ignore[union-attr]


def takes_out(node: Node) -> bool:
    """Can it write into a given array?"""
    if isinstance(node.sample, (tuple, list)) or node.sample.dtype.hasobject:
        return False
    gufunc = isinstance(node.func, np.ufunc) and node.func.nout == 1 and not node.kwargs
    return elementwise(node) or gufunc or is_reduction(node) or node.func is look_up or node.func in _TAKE_OUT


@dataclass(eq=False)
class Buffer:
    """Memory for results of one layout; or, with a number, scratch memory for one block of them."""

    like: Any
    number: int | None = None  # chains use the same scratch memory one after the other

    @property
    def block(self) -> bool:
        """Is it for a block only?"""
        return self.number is not None


@dataclass(eq=False)
class Chain:
    """Calls that run together: one, or elementwise ones over the blocks of a shape."""

    calls: list[Node]
    shape: tuple[int, ...] | None = None


@dataclass(eq=False)
class Plan:
    """What runs, and where results live.

    `chains` in order; `place` says for a call which buffer or memory its result is written to (without one, the call
    makes its own array); `stores` are the memories that get a value at the end, with that value; `views` are the
    nodes that are computed from where others live.
    """

    results: list[Node]
    gradients: list[Node]
    written: dict[Node, Node]  # memory -> the value that it ends with
    effects: list[Node] = field(default_factory=list)  # calls that are made for what they do

    chains: list[Chain] = field(default_factory=list)
    place: dict[Node, Buffer | Node] = field(default_factory=dict)
    stores: list[tuple[Node, Node]] = field(default_factory=list)
    live: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.live = self._needed()
        self._users: dict[Node, list[tuple[Node, bool]]] = defaultdict(list)  # who reads the memory; all of it in order?
        for node in self.live:
            for x in node.inputs():
                self._users[x.root()].append((node, x.base is None))
        self._last = {root: users[-1][0].index for root, users in self._users.items()}
        self._last |= dict.fromkeys((node.root() for node in [*self.results, *self.gradients]), _END)
        self._group()
        self._write_in_place()
        self._assign()

    def _needed(self) -> list[Node]:
        found: set[Node] = set()
        stack = [*self.results, *self.gradients, *self.written.values(), *self.written, *self.effects]
        while stack:
            node = stack.pop()
            if node not in found:
                found.add(node)
                stack.extend(node.inputs())
        return sorted(found, key=lambda node: node.index)

    def calls(self) -> Iterable[Node]:
        """What has to be computed."""
        return (node for node in self.live if node.func is not None and node.base is None)

    def _group(self) -> None:
        for node in self.calls():
            large = elementwise(node) and node.sample.nbytes >= LARGE
            shape = node.sample.shape if large else None
            if shape is not None and self.chains and self.chains[-1].shape == shape:
                self.chains[-1].calls.append(node)
            else:
                self.chains.append(Chain([node], shape))

    def _write_in_place(self) -> None:
        """A value that is stored to a memory is computed there, unless the old one is read later."""
        chain_of = {call: chain for chain in self.chains for call in chain.calls}
        for value in self.written.values():
            if value not in chain_of:
                self._last[value.root()] = _END
        for memory, value in self.written.items():
            if value in chain_of and value not in self.place and self._can_live_in(memory, value, chain_of[value]):
                self.place[value] = memory
            else:
                self.stores.append((memory, value))
                self._last[value.root()] = _END

    def _can_live_in(self, memory: Node, value: Node, chain: Chain) -> bool:
        if value in self.gradients or not takes_out(value) or _layout(value.sample)[:2] != _layout(memory.sample)[:2]:
            return False
        last = self._last.get(memory, -1)
        if last < chain.calls[0].index:
            return True
        return elementwise(value) and last <= value.index and self._read_in_order(memory, chain)

    def _read_in_order(self, node: Node, chain: Chain) -> bool:
        """Does the chain read it only element by element, each for the same element of the result?"""
        inside = [in_order for user, in_order in self._users[node] if user in chain.calls]
        return all(inside) and (node.sample.shape == chain.shape or len(chain.calls) == 1)

    def _assign(self) -> None:
        free: dict[Any, list[Buffer]] = defaultdict(list)
        ending: dict[float, list[Node]] = defaultdict(list)
        for node, last in self._last.items():
            ending[last].append(node)
        for chain in self.chains:
            scratch: dict[Any, list[Buffer]] = defaultdict(list)
            numbers: dict[Any, int] = defaultdict(int)
            later = []
            for call in chain.calls:
                over = [x for x in ending[call.index] if isinstance(self.place.get(x), Buffer)]
                if call not in self.place and takes_out(call):
                    passes = chain.shape is not None and self._passes(call, chain)
                    taken = self._taken_over(call, over, passes)
                    kind = call.sample.dtype if passes else _layout(call.sample)
                    stock = scratch if passes else free
                    if taken is not None:
                        over.remove(taken)
                        self.place[call] = self.place[taken]
                    elif stock[kind]:
                        self.place[call] = stock[kind].pop()
                    else:
                        self.place[call] = Buffer(call.sample, numbers[kind] if passes else None)
                        numbers[kind] += passes
                for x in over:
                    buffer = self.place[x]
                    assert isinstance(buffer, Buffer)
                    if buffer.block:
                        scratch[buffer.like.dtype].append(buffer)
                    elif len(chain.calls) == 1 or self._read_in_order(x, chain):
                        free[_layout(buffer.like)].append(buffer)
                    else:
                        later.append(buffer)
            for buffer in later:
                free[_layout(buffer.like)].append(buffer)

    def _passes(self, node: Node, chain: Chain) -> bool:
        """Is it read in its own chain only?"""
        if self._last.get(node) == _END:
            return False
        return all(user in chain.calls and in_order for user, in_order in self._users[node])

    def _taken_over(self, call: Node, over: list[Node], passes: bool) -> Node | None:
        """An operand that nobody reads afterwards, whose buffer the result can have."""
        if not elementwise(call):
            return None
        for x in set(call.args[2:]) - set(call.args[:2]) if call.func is np.where else operands(call):
            if x in over and _layout(x.sample) == _layout(call.sample) and (passes or not self.place[x].block):  # type: ignore[union-attr]
                if sum(y.root() is x for y in call.inputs()) == sum(y is x for y in call.args):
                    return x
        return None


def _layout(sample: Any) -> Any:
    return np.shape(sample), sample.dtype, getattr(sample, "strides", ())
