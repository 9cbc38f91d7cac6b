"""One recorded step: its arguments, the memories it starts from, what it returns and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_nn.replay.recording import CompileError, Memory, Node, StandIn, Trace
from tinygrad_nn.replay.surroundings import Surroundings
from tinygrad_nn.tensor import Mode, Tensor, _mode

__all__ = ["Result", "Step", "map_tree", "parts", "signature"]

_BY_VALUE = (int, float, complex, str, bytes, bool, type(None), np.dtype, slice, type(Ellipsis))


# --- nested arguments and results ------------------------------------------------------------------------------------


def parts(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    """All parts of nested tuples, lists and dicts, each with the Python that leads to it, the whole before its parts."""
    yield path, tree
    if type(tree) in (tuple, list):
        for i, x in enumerate(tree):
            yield from parts(x, f"{path}[{i}]")
    elif type(tree) is dict:
        for key, x in tree.items():
            yield from parts(x, f"{path}[{key!r}]")


def map_tree(tree: Any, change: Callable[[Any], Any]) -> Any:
    """The same nested tuples, lists and dicts with changed leaves."""
    if type(tree) in (tuple, list):
        return type(tree)([map_tree(x, change) for x in tree])
    if type(tree) is dict:
        return {key: map_tree(x, change) for key, x in tree.items()}
    return change(tree)


def is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


def signature(x: Any) -> Any:
    """What two calls must have in common in one part of their arguments to run the same program."""
    kind = type(x)
    if is_array(x):
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


class Result:
    """A leaf of what the step returns, that is computed: as a tensor of this name, or as an array."""

    def __init__(self, node: Node, tensor: bool = False, name: str | None = None):
        self.node, self.tensor, self.name = node, tensor, name


# --- the step --------------------------------------------------------------------------------------------------------


class Step:
    """A function recorded while it ran once with these arguments.

    Attributes: `arguments`, all parts of the arguments with their paths; `memories`; `result`, with `Result` leaves;
    `written`, memory -> final value; `gradients`, what `.grad` becomes; `without_gradient`, for each tensor of which it
    may matter, whether its `.grad` was None.
    """

    def __init__(self, function: Callable, args: tuple, kwargs: dict[str, Any], mode: Mode):
        self.arguments = [*parts(args, "args"), *parts(kwargs, "kwargs")]
        self._record(function, args, kwargs, mode)
        self._check()
        self.written = {m.node: m.handle.node for m in self.memories if m.written and m.handle.node is not m.node}
        self._note_gradients()

    def _record(self, function: Callable, args: tuple, kwargs: dict[str, Any], mode: Mode) -> None:
        trace = Trace(lambda: _mode.get().trace is trace)
        self.surroundings = Surroundings(function, trace)
        at = {id(x): i for i, (_, x) in reversed([*enumerate(self.arguments)])}

        def given(x: Any) -> Any:
            if type(x) is Tensor:
                trace.lift(x, at[id(x)])
            return trace.stand_in(x, Memory(x, "argument", argument=at[id(x)])) if is_array(x) else x

        def returned(x: Any) -> Any:
            if type(x) is Tensor and x.index > trace.start:
                return Result(trace.see(x).value.node, True, x.name)
            x = trace.stand_in(x) if is_array(x) else x
            return Result(x.node) if isinstance(x, StandIn) else x

        token = _mode.set(Mode(mode.grad, False, trace))
        try:
            with np.errstate(all="ignore"):
                args, kwargs = map_tree(args, given), map_tree(kwargs, given)
                result = self.surroundings.watching(lambda: function(*args, **kwargs))
                self.result = map_tree(result, returned)
        finally:
            self._after = trace.let_go()
            _mode.reset(token)
        for memory in trace.memories:
            if memory.tensor is not None and memory.tensor.index > trace.start:
                memory.kind, memory.tensor, memory.written = "constant", None, False
        self.memories = trace.memories
        self.tensors = [(t, grad) for t, _, grad in trace.lifted.values() if t.index < trace.start]

    def _check(self) -> None:
        """CompileError for what a replay would leave out."""
        changed = self.surroundings.changed_by_the_step()
        if changed is not None:
            raise CompileError(
                f"the step changes {changed}, and a replay would not: return what it finds out, and keep what it updates in a "
                "tensor"
            )
        drawn = self.surroundings.drawn_from()
        if drawn is not None:
            raise CompileError(
                f"the step draws random numbers from {drawn}, and a replay would use the same ones again: draw before the step, "
                "and pass them as an argument"
            )

    def _note_gradients(self) -> None:
        self.gradients: list[tuple[Tensor, Node | None]] = []
        self.without_gradient: list[tuple[Tensor, bool]] = []
        for tensor, before in self.tensors:
            now = self._after[id(tensor)]
            kept = now is before or (isinstance(now, StandIn) and now.memory is not None and now.memory.array is before)
            if not kept:
                self.gradients.append((tensor, None if now is None else now.node))
            self.without_gradient.append((tensor, before is None))

    def fits(self, given: list[Any], granted: list[tuple[Tensor, bool]]) -> bool:
        """Is everything as it was recorded?  (The arguments have the same signature.)"""
        if any((tensor.grad is None) is not none for tensor, none in granted):
            return False
        looked_up = {id(m.place) for m in self.memories if m.place is not None}
        return self.surroundings.same(looked_up)
