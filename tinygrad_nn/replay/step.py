"""One recorded step: its arguments, the memories it starts from, what it returns and what it leaves behind."""

from __future__ import annotations

import collections
import gc
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from tinygrad_nn.modes import MODE, Mode
from tinygrad_nn.replay.nodes import CompileError, Memory, Node, leaves, skeleton, written
from tinygrad_nn.replay.recording import StandIn, Trace
from tinygrad_nn.replay.surroundings import Key, Surroundings
from tinygrad_nn.tensor import Tensor

__all__ = [
    "BY_VALUE",
    "Given",
    "Owner",
    "Result",
    "Step",
    "difference",
    "is_sequence",
    "map_tree",
    "owners_of",
    "parts",
    "signature",
]

BY_VALUE = (int, float, complex, str, bytes, bool, type(None), np.dtype, slice, type(Ellipsis))
_UNWATCHED = (list, dict, set, bytearray, collections.deque)  # but for plain lists and dicts
Owner = Tensor | int  # a tensor, or the number of the argument that it is


# --- nested arguments and results ------------------------------------------------------------------------------------


def parts(args: Any, kwargs: Any) -> list[tuple[str, Any]]:
    """All parts of nested arguments, each with the Python that leads to it, the whole before its parts."""
    return [*_parts(args, "args"), *_parts(kwargs, "kwargs")]


def _parts(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, tree
    if is_sequence(type(tree)):
        for i, x in enumerate(tree):
            yield from _parts(x, f"{path}[{i}]")
    elif type(tree) is dict:
        for key, x in tree.items():
            yield from _parts(x, f"{path}[{key!r}]")


def map_tree(tree: Any, change: Callable[[Any], Any]) -> Any:
    """The same nested tuples (named ones, too), lists and dicts with changed leaves."""
    if is_sequence(type(tree)):
        return getattr(tree, "_make", type(tree))([map_tree(x, change) for x in tree])
    if type(tree) is dict:
        return {key: map_tree(x, change) for key, x in tree.items()}
    return change(tree)


def is_sequence(kind: type) -> bool:
    """Whether it is a kind of list or tuple that is made of its items and nothing else."""
    return kind is tuple or kind is list or (issubclass(kind, tuple) and hasattr(kind, "_make"))


def _is_data(x: Any) -> bool:
    """Whether it is an array or a NumPy scalar."""
    return isinstance(x, (np.ndarray, np.generic)) and not isinstance(x, StandIn)


def signature(arguments: Sequence[tuple[str, Any]]) -> tuple:
    """What two calls must have in common to run the same program."""
    first = {id(x): i for i, (_, x) in reversed([*enumerate(arguments)])}
    return tuple([(path, _kind(x), first[id(x)] if _is_data(x) or type(x) is Tensor else 0) for path, x in arguments])


def _kind(x: Any) -> Any:
    kind = type(x)
    if _is_data(x):
        if isinstance(x, np.ndarray) and kind not in (np.ndarray, np.memmap):
            raise CompileError(
                f"an argument of shape {x.shape} is of type {kind.__name__}, which computes in its own way: pass a "
                "plain array, made by np.array(argument)"
            )
        return kind, x.shape, x.dtype.str
    if kind is Tensor:
        return kind, x.shape, x.dtype.str, x.tracked
    if is_sequence(kind):
        return kind, len(x)
    if kind is dict:
        return kind, *x
    if isinstance(x, BY_VALUE):
        return kind, x
    if isinstance(x, _UNWATCHED) or hasattr(kind, "__next__"):
        raise CompileError(
            f"an argument is of type {kind.__name__}, and a change in it would go unnoticed: pass a tuple, a list, a "
            "dict or an array"
        )
    return kind, id(x)


def owners_of(arrays: list[np.ndarray]) -> set[int]:
    """What an array that shares memory with one of these is, or is a view of."""
    return {id(x) for array in arrays for x in (array, array.base) if x is not None}


class Result:
    """A leaf of what the step returns, that is computed: as a tensor like this one, or as an array."""

    def __init__(self, node: Node, tensor: Tensor | None = None):
        self.node, self.is_tensor = node, tensor is not None
        self.tracked, self.name = (False, None) if tensor is None else (tensor.tracked, tensor.name)


class Given:
    """A leaf of what the step returns: a tensor that is one of its arguments."""

    def __init__(self, argument: int):
        self.argument = argument


# --- the step --------------------------------------------------------------------------------------------------------


class Step:
    """A function, recorded while it ran once with these arguments.

    `arguments` are all parts of the arguments with their paths; `result` has `Result` and `Given` leaves; `written`
    says which value a memory ends with; `gradients`, what becomes of `.grad`, and `earlier`, what it was before;
    `without_gradient`, whether there was none at first; `tracked`, which tensors gradients flow through.
    """

    def __init__(self, function: Callable, args: tuple, kwargs: dict[str, Any], mode: Mode, changing: set[Key]):
        self.arguments = parts(args, kwargs)
        self._at = {id(x): i for i, (_, x) in reversed([*enumerate(self.arguments)])}
        self._record(function, args, kwargs, mode, changing)
        self._check()

    def _record(self, function: Callable, args: tuple, kwargs: dict[str, Any], mode: Mode, changing: set[Key]) -> None:
        trace = Trace()
        self.surroundings = Surroundings(function, trace, changing)

        def given(x: Any) -> Any:
            if type(x) is Tensor:
                trace.lift(x, self._at[id(x)])
            return trace.stand_in(x, Memory(x, "argument", argument=self._at[id(x)])) if _is_data(x) else x

        def returned(x: Any) -> Any:
            if type(x) is Tensor:
                if id(x) in self._at:
                    return Given(self._at[id(x)])
                return Result(trace.see(x).value.node, x) if x.index > trace.start else x
            x = trace.stand_in(x) if _is_data(x) else x
            if _holds_results(x) or hasattr(type(x), "__next__"):
                raise CompileError(
                    f"the step returns a {type(x).__name__} that holds tensors, and a replay could not make it: "
                    "return them in a tuple, a list or a dict"
                )
            return Result(x.node) if isinstance(x, StandIn) else x

        def run() -> None:
            inside = map_tree((args, kwargs), given)
            found = map_tree(inside, lambda x: x)
            values = [x for _, x in parts(*inside)]
            result = self.surroundings.watching(lambda: function(*inside[0], **inside[1]), values)
            if trace.refused is not None:
                raise trace.refused
            self._refuse_changed_arguments(found, inside)
            self.result = map_tree(result, returned)

        token = MODE.set(Mode(mode.grad, False, trace))
        try:
            with np.errstate(all="ignore"):
                run()
        finally:
            after = trace.let_go()
            MODE.reset(token)
        self.memories, self.effects, self._calls = trace.memories, trace.effects, trace.nodes
        for memory in self.memories:
            if memory.tensor is not None and memory.tensor.index > trace.start:  # the step has made it
                memory.kind, memory.tensor, memory.written = "constant", None, False
            elif memory.argument is not None:
                memory.tensor = None
        self.written = {m.node: m.handle.node for m in self.memories if m.written and m.handle.node is not m.node}
        self._note_tensors([(t, grad, after[id(t)]) for t, _, grad in trace.lifted.values() if t.index < trace.start])
        trace.close()

    def _refuse_changed_arguments(self, found: Any, inside: Any) -> None:
        """CompileError if the run has changed lists or dicts among its arguments, which were copies."""
        for (path, before), (_, after) in zip(
            parts(*found), [*parts(*inside), *itertools.repeat((None, None), 9)], strict=False
        ):
            same = before is after
            if is_sequence(type(before)) or type(before) is dict:
                same = type(before) is type(after) and len(before) == len(after)
                same = same and (type(before) is not dict or [*before] == [*after])
            if not same:
                raise CompileError(
                    f"the step changes its argument {path.partition('[')[0]}, a list or a dict, and a replay would "
                    "not: return what it finds out, or mark what it does with tn.replay.at_each_replay"
                )

    def _note_tensors(self, tensors: list[tuple[Tensor, Any, Any]]) -> None:
        self.gradients: list[tuple[Owner, Node | None]] = []
        self.without_gradient: list[tuple[Owner, bool]] = []
        self.earlier: dict[Node, Node] = {}
        self.tracked: list[tuple[Tensor, bool]] = []
        for tensor, before, after in tensors:
            owner: Owner = self._at.get(id(tensor), tensor)
            same = isinstance(after, StandIn) and after.memory is not None and after.memory.array is before
            if not same and after is not before:
                self.gradients.append((owner, None if after is None else after.node))
                if before is not None and after is not None:
                    self.earlier[after.node] = next(m.node for m in self.memories if m.array is before)
            self.without_gradient.append((owner, before is None))
            if isinstance(owner, Tensor):
                self.tracked.append((tensor, tensor.tracked))

    def _check(self) -> None:
        """CompileError for what a replay would leave out, or could not know."""
        if self.surroundings.refused is not None:
            raise CompileError(self.surroundings.refused)
        changed = self.surroundings.changed_by_the_step()
        if changed is not None:
            raise CompileError(
                f"the step changes {changed}, and a replay would not: return what it finds out, keep what it "
                "updates in a tensor, and mark what it does to Python objects with tn.replay.at_each_replay"
            )
        drawn = self.surroundings.drawn_from()
        if drawn is not None:
            raise CompileError(
                f"the step draws random numbers from {drawn}, and a replay would use the same ones again: draw "
                "before the step, and pass them as an argument"
            )
        held = self.surroundings.results_kept()
        if held is not None:
            raise CompileError(
                f"a value that the step computes is kept by something outside of it ({written(held.line)}), and a "
                "replay would not put it there: return it, or assign it to the data of a tensor"
            )
        for a, b in itertools.combinations(self._that_can_overlap(), 2):
            if (a.written or b.written) and np.may_share_memory(a.array, b.array) and self._uses(a) and self._uses(b):
                names = [m.tensor.name if m.tensor is not None and m.tensor.name else "an array" for m in (a, b)]
                raise CompileError(
                    f"{names[0]} and {names[1]}, of shapes {a.array.shape} and {b.array.shape}, share memory that the "
                    "step writes to: give each an array of its own"
                )

    def _that_can_overlap(self) -> list[Memory]:
        kinds = ("value", "found", "argument")
        return [m for m in self.memories if m.kind in kinds and isinstance(m.array, np.ndarray)]

    def could_overlap(self) -> list[tuple[Memory, Memory]]:
        """Each array that is an argument, with each memory that is written to, or the other way round."""
        arrays = [m for m in self._that_can_overlap() if m.kind == "argument" and m.array.ndim]
        others = [m for m in self._that_can_overlap() if m.array.ndim]
        return [(a, b) for a in arrays for b in others if b is not a and (b.written or (a.written and b not in arrays))]

    def _uses(self, memory: Memory) -> bool:
        """Whether the step reads or writes it, or gives it out."""
        given_out = [*leaves(self.result), *(node for _, node in self.gradients)]
        read = any(memory.node in call.inputs() for call in self._calls)
        return memory.written or read or any(memory.node in (x, getattr(x, "node", None)) for x in given_out)

    def forget(self, nodes: Iterable[Node]) -> None:
        """Let the arrays of the recorded call go; what stays has their layout."""
        kept = set(nodes)
        for node in kept:
            node.sample = skeleton(node.sample)
        self.memories = [m for m in self.memories if m.node in kept]
        for memory in self.memories:
            if memory.argument is not None or memory.kind == "grad":
                memory.array = skeleton(memory.array)
        self.arguments = [(path, _outline(x)) for path, x in self.arguments]
        self._at.clear()
        self._calls.clear()
        self.surroundings.forget()

    # -- another call

    def moved(self, given: list[Any], granted: list[tuple[Owner, bool]]) -> list[Memory] | None:
        """The memories that are other arrays now; None if a replay would not do what the step does.

        `granted` says for which tensors it matters whether they have a gradient.
        """
        for owner, none in granted:
            if ((given[owner] if isinstance(owner, int) else owner).grad is None) is not none:
                return None
        if any(tensor.tracked is not tracked for tensor, tracked in self.tracked):
            return None
        if any(given[argument] is not found for argument, found in self.surroundings.aliases):
            return None
        numbers = self.surroundings.numbers
        if any(type(place.now()) is not float for place in numbers):
            return None
        if not self.surroundings.same({id(m.place) for m in self.memories} | {id(place) for place in numbers}):
            return None
        for a, b in self.could_overlap():
            mine, other = ((given[m.argument] if m.argument is not None else m.now()) for m in (a, b))
            if np.may_share_memory(mine, getattr(other, "value", other)):
                return None
        moved = []
        for memory in self.memories:
            now = memory.now()
            if now is not memory.array:
                if type(now) is not np.ndarray or now.shape != memory.array.shape or now.dtype != memory.array.dtype:
                    return None
                memory.array = now
                moved.append(memory)
        return moved


def _outline(x: Any) -> Any:
    if type(x) is Tensor:
        return Tensor(skeleton(x.value), x.tracked)
    return skeleton(x) if _is_data(x) else x


def _holds_results(x: Any, depth: int = 3) -> bool:
    """Whether an object, that is no array or tensor itself, holds some that only the recorded run knows."""
    if isinstance(x, (StandIn, *BY_VALUE, type, ModuleType)) or not depth:
        return False
    inside = gc.get_referents(x) if not isinstance(x, FunctionType) else [c.cell_contents for c in x.__closure__ or ()]
    return any(
        isinstance(part, StandIn)
        or (type(part) is Tensor and isinstance(part.value, StandIn))
        or _holds_results(part, depth - 1)
        for part in inside
    )


# --- are two recordings the same? ------------------------------------------------------------------------------------


def _layout(sample: Any) -> Any:
    several = isinstance(sample, (tuple, list))
    return [_layout(x) for x in sample] if several else (sample.shape, sample.dtype)


def difference(a: Sequence[Node], b: Sequence[Node]) -> tuple[Node, str] | None:
    """Where two recordings first differ, and in what."""
    at = {node: i for nodes in (a, b) for i, node in enumerate(nodes)}
    for x, y in zip(a, b, strict=False):
        if x.memory is not None and y.memory is not None:
            if not _same_memory(x.memory, y.memory):
                return y, "it reads another array"
        elif x.func != y.func or _layout(x.sample) != _layout(y.sample):
            return y, f"{x.name} the first time, {y.name} the second"
        else:
            mine, other = ([at[v] if isinstance(v, Node) else v for v in leaves((n.args, n.kwargs))] for n in (x, y))
            if len(mine) != len(other):
                return y, f"{y.name} gets other arguments"
            for v, w in zip(mine, other, strict=True):
                if not (v is w or (type(v) is type(w) and v == w) or (v != v and w != w)):
                    return y, f"{y.name} gets {v!r} the first time, {w!r} the second"
    if len(a) != len(b):
        return max(a, b, key=len)[min(len(a), len(b))], "it makes more calls the one time than the other"
    return None


def _same_memory(a: Memory, b: Memory) -> bool:
    if (a.kind, a.argument) != (b.kind, b.argument) or a.tensor is not b.tensor:
        return False
    if a.kind == "constant":
        return a.array.dtype == b.array.dtype and np.array_equal(a.array, b.array, equal_nan=a.array.dtype.kind == "f")
    return True
