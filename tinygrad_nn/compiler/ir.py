"""What is recorded of a step: its NumPy calls, and the arrays that they start from."""

from __future__ import annotations

import functools
import inspect
import linecache
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.away import Away
from tinygrad_nn.errors import CompileError
from tinygrad_nn.operation import Op
from tinygrad_nn.tensor import Tensor

__all__ = [
    "ArrayInput", "NanError", "Node", "abstract_like", "cast", "code_line", "is_of_library", "item", "leaves",
    "line_outside", "look_up", "map_leaves", "out_by_name", "power_of_numbers", "refuse_nan", "same_bits", "tensor_of",
    "updated", "without_history", "written_into",
]  # fmt: skip

_HERE = str(Path(__file__).parent.parent)
_NUMPY = str(Path(np.__file__).parent)


def line_outside() -> tuple[str, int]:
    """File and line of the code that called into this package."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_HERE, _NUMPY)):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def code_line(line: tuple[str, int]) -> str:
    """A line of code, for messages."""
    text = linecache.getline(*line).strip()
    return f"line {line[1]} of {Path(line[0]).name}" + (f": {text}" if text else "")


# --- values ----------------------------------------------------------------------------------------------------------


class ArrayInput:
    """An array that no recorded call has made.

    `kind` says where it is from: "argument"; "value" or "grad" of a tensor (itself the argument of that number, if one
    is given); "captured", one found where the step can name it; or another "array" that it has used, or made.
    """

    node: Node  # its first value
    tracer: Any  # what stands for it while the step is recorded
    written = False  # whether the step changes it
    name = ""

    def __init__(
        self, array: Any, kind: str = "array", *, tensor: Tensor | None = None, argument: int | None = None
    ):  # fmt: skip
        self.array, self.kind, self.tensor, self.argument = array, kind, tensor, argument

    def now(self) -> Any:
        """The array that it is at present."""
        if self.kind == "value" and self.tensor is not None:
            value = self.tensor._value
            return value.taken() if type(value) is Away else value
        return self.array


class Node:
    """One value: what an input holds at first, or what a call returns.

    `sample` is the value in the recorded run (an array, also where NumPy gives a `scalar`), or, when that is `gone`,
    an array of its layout; `held` is how many tracers it has.  `base` is the node whose memory it is a view of, `line`
    where in the step it arose.  Calls that are not `pure` are never left out for being the same as another.
    """

    __slots__ = (
        "_inputs", "args", "base", "func", "index", "input", "kwargs", "line", "name", "pure", "sample", "scalar",
    )  # fmt: skip

    def __init__(
        self, func: Any, args: tuple, kwargs: dict[str, Any], sample: Any, name: str, *, pure: bool = True,
        of: ArrayInput | None = None,
    ):  # fmt: skip
        self.func, self.args, self.kwargs, self.name = func, args, kwargs, name
        self.scalar = isinstance(sample, np.generic)
        self.sample = np.asarray(sample) if self.scalar else sample
        self.pure, self.input = pure, of
        self.base: Node | None = None
        self.line = line_outside()
        self.index = -1
        self._inputs = [x for x in leaves((args, kwargs)) if isinstance(x, Node)]

    def inputs(self) -> list[Node]:
        """The nodes among the arguments."""
        return self._inputs

    def root(self) -> Node:
        """What owns the memory."""
        node = self
        while node.base is not None:
            node = node.base
        return node


def abstract_like(x: Any) -> Any:
    """An array of the same layout that takes no memory to speak of."""
    return np.lib.stride_tricks.as_strided(np.zeros(1, x.dtype), x.shape, x.strides) if isinstance(x, np.ndarray) else x


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same to the last bit, but for how a NaN is written."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.tobytes() == b.tobytes():
        return True
    if a.dtype.kind != "f":
        return False
    return bool((((a == b) & (np.signbit(a) == np.signbit(b))) | (np.isnan(a) & np.isnan(b))).all())


def map_leaves(args: Any, change: Any) -> Any:
    """The arguments of a call with changed leaves: those of nested tuples, lists, dicts and slices."""
    return tree.map(change, args, tree.is_plain_or_slice)


def leaves(args: Any) -> list[Any]:
    """The leaves of the arguments of a call."""
    return tree.leaves(args, tree.is_plain_or_slice)


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


def written_into(func: Any, x: Any, args: Any, kwargs: Any) -> Any:
    """A copy of x into which a function has written what it gives."""
    y = np.array(x)
    func(*args, out=y, **kwargs)
    return y


@functools.cache
def _up_to_out(func: Any) -> tuple[str, ...]:
    """The names of a NumPy function's parameters, if one of them is `out`; else ()."""
    try:  # methods take the same as functions, and tell it less well
        parameters = inspect.signature(getattr(np, getattr(func, "__name__", ""), func)).parameters
    except (TypeError, ValueError):  # before NumPy 2.4 functions in C tell none
        return ()
    any_number = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    return tuple(parameters) if "out" in parameters and not any_number else ()


def out_by_name(func: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """A call with `out`, and what comes behind it, given by name."""
    names = () if isinstance(func, np.ufunc) else _up_to_out(func)
    at = names.index("out") if names else len(args)
    if not at < len(args) <= len(names) or args[at] is None:
        return args, kwargs
    return args[:at], dict(zip(names[at:], args[at:], strict=False)) | kwargs


class NanError(ArithmeticError):
    """A NaN where there was none when the step was recorded, which may be 0 · ∞ behind a choice."""


def refuse_nan(x: Any) -> None:
    """NanError if there is a NaN in it."""
    total = np.add.reduce(x, None)
    if total != total:
        raise NanError


def look_up(location: Any) -> Any:
    """The number that is found at a location: written out in the program."""


def is_of_library(effect: Node) -> bool:
    """Whether a call that is made for what it does is one of a schedule or optimiser: what it changes is known."""
    ours = (getattr(effect.func, "__module__", "") or "").partition(".")[0] == __name__.partition(".")[0]
    return ours and any(hasattr(x, "optimizer") or hasattr(x, "param_groups") for x in effect.args)


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


def without_history(value: Any, name: str | None) -> Tensor:
    """A tensor that depends on parameters in a way that only the step knows: no gradient passes it unnoticed."""
    return Tensor(value, True, name, _STEP, (_PARAMETERS,), None, (0,))
