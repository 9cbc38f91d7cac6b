"""What is recorded of a step: calls, and the memories they start from."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn.modes import MODE
from tinygrad_nn.operation import Op, Traced
from tinygrad_nn.tensor import Tensor

__all__ = [
    "RECORDING", "CompileError", "Memory", "Node", "cast", "cut_off", "is_array", "item", "leaves", "look_up",
    "map_leaves", "power_of_numbers", "refusal", "skeleton", "tensor_of", "updated", "written",
]  # fmt: skip

_HERE = str(Path(__file__).parent.parent)
_NUMPY = str(Path(np.__file__).parent)


# --- errors that name the line ---------------------------------------------------------------------------------------


class CompileError(RuntimeError):
    """A step that cannot be replayed: something in it would go stale; the message says what, and in which line."""


RECORDING = "while tn.compile recorded the step, on what stands in for arrays"  # a note on other errors


def line_outside() -> tuple[str, int]:
    """File and line of the code that called into this package."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_HERE, _NUMPY)):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def written(line: tuple[str, int]) -> str:
    """A line, for messages."""
    text = linecache.getline(*line).strip()
    return f"line {line[1]} of {Path(line[0]).name}" + (f": {text}" if text else "")


def refusal(what: str, way_out: str) -> CompileError:
    """The error for something that the step is about to do; it counts even if the step catches it."""
    error, trace = CompileError(f"{what} ({written(line_outside())}): {way_out}"), MODE.get().interpreter
    if trace is not None and trace.refused is None:
        trace.refused = error
    return error


# --- memories and calls ----------------------------------------------------------------------------------------------


class Memory:
    """An array that no recorded call has made.

    `kind` says where it is from: "argument"; "value" or "grad" of a tensor (itself the argument of that number, if
    one is given); "found" at a place in the surroundings; or "constant", made by the step itself of nothing that
    changes.
    """

    node: Node  # its first value
    handle: Any  # what stands in for it
    written = False  # whether the step changes it

    def __init__(
        self, array: Any, kind: str = "constant", *, tensor: Tensor | None = None, argument: int | None = None,
        place: Any = None,
    ):  # fmt: skip
        self.array, self.kind, self.tensor, self.argument, self.place = array, kind, tensor, argument, place

    def now(self) -> Any:
        """The array that it is at present, where that can change between calls."""
        if self.kind == "value" and self.tensor is not None:
            return self.tensor.value
        return self.array if self.place is None else self.place.now()


class Node:
    """One value: what a memory holds at first, or what a call returns.

    `sample` is the value in the recorded run (an array, also where NumPy gives a `scalar`), or, when that is `gone`,
    an array of its layout; `held` is how many stand-ins it has.  `base` is the node whose memory it is a view of,
    `line` where in the step it arose.  Calls that are not `pure` are never left out for being the same as another.
    """

    __slots__ = (
        "args", "base", "func", "gone", "held", "index", "kwargs", "line", "memory", "name", "pure", "sample", "scalar",
    )  # fmt: skip

    def __init__(
        self, func: Any, args: tuple, kwargs: dict[str, Any], sample: Any, name: str, *, pure: bool = True,
        memory: Memory | None = None,
    ):  # fmt: skip
        self.func, self.args, self.kwargs, self.name = func, args, kwargs, name
        self.scalar = isinstance(sample, np.generic)
        self.sample = np.asarray(sample) if self.scalar else sample
        self.pure, self.memory = pure, memory
        self.base: Node | None = None
        self.line = line_outside()
        self.index, self.held, self.gone = -1, 0, False

    def inputs(self) -> list[Node]:
        """The nodes among the arguments."""
        return [x for x in leaves((self.args, self.kwargs)) if isinstance(x, Node)]

    def root(self) -> Node:
        """What owns the memory."""
        node = self
        while node.base is not None:
            node = node.base
        return node


def skeleton(x: Any) -> Any:
    """An array of the same layout that takes no memory to speak of."""
    return np.lib.stride_tricks.as_strided(np.zeros(1, x.dtype), x.shape, x.strides) if isinstance(x, np.ndarray) else x


def is_array(x: Any) -> bool:
    """Whether it is a real array: what stands in for one says that it is one, too."""
    return isinstance(x, np.ndarray) and not isinstance(x, Traced)


_TREES = {tuple, list, dict, slice}


def map_leaves(tree: Any, change: Callable[[Any], Any]) -> Any:
    """The same nested tuples, lists, dicts and slices, with changed leaves."""
    kind = type(tree)
    if kind is tuple or kind is list:
        return kind([map_leaves(x, change) if type(x) in _TREES else change(x) for x in tree])
    if kind is dict:
        return {key: map_leaves(x, change) for key, x in tree.items()}
    if kind is slice:
        return slice(*[map_leaves(x, change) for x in (tree.start, tree.stop, tree.step)])
    return change(tree)


def leaves(tree: Any) -> list[Any]:
    """The leaves of nested tuples, lists, dicts and slices."""
    found: list[Any] = []
    map_leaves(tree, found.append)
    return found


# --- functions of nodes that NumPy has no name for -------------------------------------------------------------------


def cast(x: Any, dtype: Any) -> Any:
    """Another dtype."""
    return x.astype(dtype)


def item(x: Any, index: Any) -> Any:
    """Indexing."""
    return x[index]


def updated(x: Any, index: Any, value: Any) -> Any:
    """A copy of x with x[index] = value."""
    y = np.array(x)
    y[index] = value
    return y


def power_of_numbers(a: Any, b: Any) -> Any:
    """a ** b, where NumPy has another routine for single numbers than for arrays, with other last digits."""
    return (a[()] if isinstance(a, np.ndarray) else a) ** (b[()] if isinstance(b, np.ndarray) else b)


def look_up(place: Any) -> Any:
    """The number that is found at a place: written out in the program."""


def tensor_of(array: Any, name: str | None) -> Tensor:
    """A tensor of a copy."""
    return Tensor(np.array(array)[()], name=name)


# --- tensors that a step returns -------------------------------------------------------------------------------------


def _refuse_history(*_: Any, **__: Any) -> Any:
    raise CompileError(
        "a gradient is asked of a tensor that a compiled step returned, and replays keep no history: call backward() "
        "within the step, or take the step without tn.compile"
    )


_STEP = Op("compiled_step", _refuse_history, "compiled step", (_refuse_history,), jvp=_refuse_history, view=False)
_PARAMETERS = Tensor(np.zeros(()), True, "parameters")


def cut_off(value: Any, name: str | None) -> Tensor:
    """A tensor that depends on parameters in a way that only the step knows: no gradient passes it unnoticed."""
    return Tensor(value, True, name, _STEP, (_PARAMETERS,), None, (0,))
