"""What `tn.compile` returns: a function that chooses among its programs, records new ones, and runs them."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import numpy as np

from tinygrad_nn.errors import label
from tinygrad_nn.replay.planning import Buffer, Plan
from tinygrad_nn.replay.recording import CompileError, Memory, Node, StandIn, Trace, same_calls, written
from tinygrad_nn.replay.surroundings import Place, Surroundings
from tinygrad_nn.replay.writing import Writer
from tinygrad_nn.tensor import Mode, Tensor, _mode
from tinygrad_nn.watch import Watch, clock

__all__ = ["Compiled", "Program", "compile"]

MISS = object()  # what a replay returns that finds something changed, before it has done anything
_PROGRAMS = 64  # kept for one function
_BY_VALUE = (int, float, complex, str, bytes, bool, type(None), np.dtype, slice, type(Ellipsis))


# --- arguments and results -------------------------------------------------------------------------------------------


def _flatten(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    """All parts of nested tuples, lists and dicts, each with the Python that leads to it, the whole before its parts."""
    yield path, tree
    if type(tree) in (tuple, list):
        for i, x in enumerate(tree):
            yield from _flatten(x, f"{path}[{i}]")
    elif type(tree) is dict:
        for key, x in tree.items():
            yield from _flatten(x, f"{path}[{key!r}]")


def _map(tree: Any, change: Callable[[Any], Any]) -> Any:
    if type(tree) in (tuple, list):
        return type(tree)([_map(x, change) for x in tree])
    if type(tree) is dict:
        return {key: _map(x, change) for key, x in tree.items()}
    return change(tree)


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


def _signature(x: Any) -> Any:
    """What two calls must have in common to run the same program."""
    kind = type(x)
    if _is_array(x):
        return kind, x.shape, x.dtype.str
    if kind is Tensor:
        return kind, x.shape, x.dtype.str, x.tracked
    if kind is tuple or kind is list:
        return kind, len(x)
    if kind is dict:
        return kind, *x
    if isinstance(x, _BY_VALUE):
        return kind, x
    if kind in (set, bytearray):
        raise CompileError(f"an argument is a {kind.__name__}, and a change in it would go unnoticed: pass a tuple or an array")
    return kind, id(x)


class _Result:
    """One leaf of what the step returns: a tensor or an array that the program computes."""

    def __init__(self, node: Node, tensor: Tensor | None):
        self.node, self.tensor = node, tensor


# --- one recorded step -----------------------------------------------------------------------------------------------


class Program:
    """One recorded step, for one kind of arguments; `print` it to see the calls that a replay makes."""

    def __init__(self, function: Callable, args: tuple, kwargs: dict[str, Any], mode: Mode, entering: dict[int, bool]):
        self.function, self.mode = function, mode
        self.confirmed = False
        self.arguments = [*_flatten(args, "args"), *_flatten(kwargs, "kwargs")]
        self._record(args, kwargs, entering)
        self._check()
        self.moving: set[Memory] = set()  # was another array at another call: looked up each time
        self._write()

    def __repr__(self) -> str:
        return self.source

    # -- recording

    def _record(self, args: tuple, kwargs: dict[str, Any], entering: dict[int, bool]) -> None:
        trace = Trace(lambda: _mode.get().trace is trace)
        surroundings = Surroundings(self.function)
        at = {id(x): i for i, (_, x) in reversed([*enumerate(self.arguments)])}
        entering = entering | {id(x): x.grad is not None for _, x in self.arguments if type(x) is Tensor}

        def given(x: Any) -> Any:
            if type(x) is Tensor:
                trace.lift(x, at[id(x)])
            return trace.stand_in(x, Memory(x, argument=at[id(x)])) if _is_array(x) else x

        def returned(x: Any) -> Any:
            if isinstance(x, StandIn):
                return _Result(x.node, None)
            if type(x) is not Tensor or x.index < trace.start:
                return _Result(trace.stand_in(x).node, None) if _is_array(x) else x
            return _Result(trace.see(x).value.node, x)

        token = _mode.set(Mode(self.mode.grad, False, trace))
        try:
            with np.errstate(all="ignore"):
                args, kwargs = _map(args, given), _map(kwargs, given)
                result = surroundings.watching(lambda: self.function(*args, **kwargs))
                self.result = _map(result, returned)
        finally:
            after = trace.let_go()
            _mode.reset(token)
        self.trace, self.surroundings = trace, surroundings
        self._gradients(after, entering)

    def _gradients(self, after: dict[int, Any], entering: dict[int, bool]) -> None:
        """What becomes of `.grad`, and what the program takes for granted about it."""
        self.gradients: list[tuple[Tensor, Node | None]] = []
        self.granted: list[tuple[Tensor, bool]] = []  # whether the gradient is None when the step begins
        for at, (tensor, _, before) in self.trace.lifted.items():
            if tensor.index > self.trace.start:
                continue
            now = after[at]
            if isinstance(now, np.ndarray):
                now = self.trace.stand_in(now)
            kept = isinstance(now, StandIn) and now.memory is not None and now.memory.tensor is tensor
            if not kept and (now is not None or before is not None):
                self.gradients.append((tensor, None if now is None else now.node))
            if before is not None:
                self.granted.append((tensor, False))
            elif not entering.get(at):  # else the step itself has forgotten it
                self.granted.append((tensor, True))

    def _check(self) -> None:
        """CompileError for what a replay would leave out."""
        changed = self.surroundings.changed_by_the_step()
        if changed is not None:
            raise CompileError(
                f"the step changes {changed}, and a replay would not: let the step return what it finds out, and keep what it "
                "updates in a tensor"
            )
        drawn = self.surroundings.drawn_from()
        if drawn is not None:
            raise CompileError(
                f"the step draws random numbers from {drawn}, and a replay would use the same ones again: draw before, and pass "
                "them as an argument"
            )

    # -- planning and writing

    def _write(self) -> None:
        """Plan, and make Python of it."""
        memories = [m for m in self.trace.memories]
        results = [x.node for x in _leaves(self.result) if isinstance(x, _Result)]
        gradients = [node for _, node in self.gradients if node is not None]
        written = {m.node: m.handle.node for m in memories if m.written and m.handle.node is not m.node}
        self.plan = Plan(results, gradients, written)
        needed = set(self.plan.live)
        self.memories = [m for m in memories if m.node in needed]
        self.writer = Writer(self.plan, {"MISS": MISS, "Tensor": Tensor, "ndarray": np.ndarray})
        self._places = {id(m): self._place_of(m) for m in self.memories}
        self._untrusted = [m for m in self.memories if self._is_constant(m) and not m.trusted and m.array.size]
        self._look_at_arguments()
        self._look_at_memories()
        self._look_around()
        self._forget_gradients()
        self.writer.calls()
        self._finish()

    def _place_of(self, memory: Memory) -> Place | None:
        """Where a captured array is found, to see whether it is still there."""
        return None if memory.tensor is not None or memory.argument is not None else self.surroundings.place_of(memory.array)

    def _is_constant(self, memory: Memory) -> bool:
        """Was the array made while the step ran, of nothing that was recorded?"""
        if memory.argument is not None or memory.field == "grad":
            return False
        if memory.tensor is not None:
            return memory.tensor.index > self.trace.start
        whole = memory.array.base if isinstance(memory.array.base, np.ndarray) else memory.array
        return self.surroundings.place_of(memory.array) is None and self.surroundings.place_of(whole) is None

