"""The recorded calls as lines of Python that write into buffers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_nn.compiler.ir import Node, abstract_like, cast, is_of_library, item, look_up, refuse_nan
from tinygrad_nn.compiler.memory_plan import (
    TWO_THREADS,
    Buffer,
    FusedLoop,
    MemoryPlan,
    elementwise,
    is_reduction,
    may_raise,
)
from tinygrad_nn.compiler.names import Names
from tinygrad_nn.compiler.tiling import THREADS, blocks, cut, empty, share

__all__ = ["Calls", "indent", "is_for_blas"]

_KEYWORD_OUT = {np.maximum, np.minimum}  # a third positional argument is deprecated there
_METHODS: dict[Any, dict[int, str]] = {  # quicker than NumPy's function, by the number of arguments behind the array
    np.transpose: {0: "{0}.T"},
    np.ravel: {0: "{0}.ravel()"},
    np.reshape: {1: "{0}.reshape({1})"},
    item: {1: "{0}[{1}]"},
}


def indent(lines: Sequence[str]) -> list[str]:
    """One level deeper."""
    return [f"    {line}" for line in lines]


class Calls(Names):
    """Writes the calls of a plan: `body` is what runs at each replay, `functions` are the fused loops."""

    def __init__(self, plan: MemoryPlan):
        super().__init__({"empty": empty, "blocks": blocks, "ndarray": np.ndarray, "effects": True})
        self.plan = plan
        self.body: list[str] = []
        self.functions: list[str] = []
        self.names: dict[Any, str] = {}  # of nodes, buffers and arguments
        self.static: set[Any] = set()  # nodes whose memory is the same at each replay
        self.scratch: dict[str, tuple[Any, int]] = {}  # memory for blocks: its dtype and size

    # -- values

    def name_of(self, node: Node) -> str:
        """The variable that holds a node; views come into being where they are first needed."""
        place = self.plan.place.get(node)
        if isinstance(place, Node):
            return self.name_of(place)
        if isinstance(place, Buffer):
            return self._buffer(place)
        if node not in self.names:
            static = all(self.is_static(x) for x in node.inputs())
            call = self.call(node)
            self.names[node] = name = self.new_name(self.numbered("v"))
            (self.start if static else self.body).append(f"{name} = {call}")
            if static:
                self.static.add(node)
        return self.names[node]

    def is_static(self, node: Node) -> bool:
        """Whether it is the same memory at each replay."""
        self.name_of(node)
        place = self.plan.place.get(node)
        return isinstance(place, Buffer) or (node if place is None else place) in self.static

    def _buffer(self, buffer: Buffer) -> str:
        """The variable that holds a buffer."""
        if buffer not in self.names:
            like = buffer.like
            self.names[buffer] = name = self.new_name(self.numbered("s" if buffer.block else "t"))
            if buffer.block:
                self._write_scratch(buffer, name)
            elif _in_rows(like):
                self.start.append(f"{name} = empty({like.shape}, {self.dtype(like.dtype)})")
            else:
                layout = self.constant(abstract_like(like), "layout")
                self.start.append(f"{name} = {self.function(np.empty_like)}({layout})")
        return self.names[buffer]

    def _write_scratch(self, buffer: Buffer, name: str) -> None:
        like = buffer.like
        axis, rows = cut(like.shape, like.strides, like.itemsize)
        shape = (*like.shape[:axis], min(rows, like.shape[axis]), *like.shape[axis + 1 :])
        n, memory = int(np.prod(shape)), self.once(("scratch", like.dtype.str, buffer.number), "scratch")
        self.scratch[memory] = like.dtype, max(n, self.scratch.get(memory, (None, 0))[1])
        self.start.append(f"{name} = {memory}[:{n}].reshape({shape})")

    # -- calls

    def statements(self, call: Node) -> list[str]:
        """What computes a call into its place."""
        if call in self.plan.effects:
            return ["if effects: " * (not is_of_library(call)) + self.call(call)]
        if call not in self.plan.place:
            text = self.call(call)
            self.names[call] = name = self.new_name("r")
            return [f"{name} = {text}", *self._same_shape(call, name)]
        out, func = self.name_of(call), call.func
        if func is look_up:
            return [f"{out}[()] = {self.looked_up(call.args[0])}"]
        if func is np.where:
            condition, a, b = (self._operand(call, i) for i in range(3))
            copyto = self.function(np.copyto)
            return [f"{copyto}({out}, {b})"] * (b != out) + [f"{copyto}({out}, {a}, where={condition})"]
        if func is cast:
            return [f"{self.function(np.copyto)}({out}, {self.name_of(call.args[0])}, 'unsafe')"]
        if elementwise(call):
            given = ", ".join(self._operand(call, i) for i in range(len(call.args)))
            return [f"{self.function(func)}({given}, {'out=' * (func in _KEYWORD_OUT)}{out})"]
        if func is np.matmul and is_for_blas(call):
            a, b = call.args
            return [f"{self._method(a, 'dot')}({self.name_of(b)}, {out})"]
        if is_reduction(call):
            (x,), axis, keepdims = call.args, call.kwargs.get("axis"), call.kwargs.get("keepdims", False)
            axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
            return [f"{self.function(func)}({self.name_of(x)}, {self.text(axis)}, None, {out}, {keepdims})"]
        return [self.call(call, out)]

    def _same_shape(self, call: Node, name: str) -> list[str]:
        """Give way to the step itself where values have made a result of another shape."""
        if call.func is refuse_nan or not may_raise(call.func, call.args) or not isinstance(call.sample, np.ndarray):
            return []  # the first of them has no result
        return [f"if {name}.shape != {call.sample.shape}:", "    raise ValueError"]

    def call(self, node: Node, out: str = "") -> str:
        """Any call, as it was recorded."""
        if node.func in _METHODS and not node.kwargs and isinstance(node.args[0], Node) and not out:
            array, *rest = [self.text(x) for x in node.args]
            text = _METHODS[node.func].get(len(rest))
            if text is not None:
                return text.format(array, *rest)
        given = [self.text(x) for x in node.args] + [f"{k}={self.text(x)}" for k, x in node.kwargs.items()]
        return f"{self.function(node.func, node.name)}({', '.join(given + [f'out={out}'] * bool(out))})"

    def looked_up(self, setting: Any) -> str:
        """A number that settings hold."""
        index = "" if setting.index is None else f"[{setting.index}]"
        return f"{self.constant(setting.holder, 'settings')}[{setting.key!r}]{index}"

    def _operand(self, call: Node, i: int) -> str:
        """An operand of an elementwise call."""
        x = call.args[i]
        if isinstance(x, Node):
            return self.name_of(x)
        if isinstance(x, np.generic):
            return self.number(x, x.dtype)
        if type(x) is bool:
            return self.number(x, np.dtype(bool))
        if isinstance(call.func, np.ufunc) and type(x) in (int, float):
            kinds = [a.sample.dtype if isinstance(a, Node) else getattr(a, "dtype", type(a)) for a in call.args]
            return self.number(x, call.func.resolve_dtypes((*kinds, None))[i])
        return self.number(x, call.sample.dtype) if call.func is np.where and type(x) in (int, float) else self.text(x)

    def _method(self, node: Node, method: str) -> str:
        """A method of an array, bound beforehand where the array stays the same."""
        name = self.name_of(node)
        text = f"{name}.{method}"
        return self.once((name, method), f"{name}_{method}", text) if self.is_static(node) else text

    # -- fused loops

    def write_loop(self, loop: FusedLoop) -> None:
        """A fused loop becomes a function of its blocks."""
        lines = [line for call in loop.calls for line in self.statements(call)]
        arrays: dict[str, bool] = {}
        scratch: dict[str, None] = {}
        for x in (x for call in loop.calls for x in (*call.inputs(), call)):
            place = self.plan.place.get(x)
            if isinstance(place, Buffer) and place.block:
                scratch[self.name_of(x)] = None
            elif x.sample.ndim or not self.is_static(x):
                arrays[self.name_of(x)] = self.is_static(x)
        name, like = self.new_name("loop"), loop.calls[0].sample
        two = THREADS > 1 and len(loop.calls) * like.nbytes >= TWO_THREADS
        own = [list(scratch)]
        if two:
            empty_like = self.function(np.empty_like)
            own.append([self.once((s, "too"), f"{s}_too", f"{empty_like}({s})") for s in scratch])
        layout = f"{like.shape}, {like.strides}, {like.itemsize}, [{', '.join(arrays)}]"
        made = [f"blocks({layout}, [{', '.join(some)}])" for some in own]
        lines = ["for turn in turns:", f"    {', '.join([*arrays, *scratch])}, = blocks[turn]", *indent(lines)]
        self.functions += [f"def {name}(blocks, turns):", *indent(lines), ""]
        if all(arrays.values()):
            for i, text in enumerate(made):
                made[i] = self.new_name(f"{name}_blocks")
                self.functions += [f"{made[i]} = {text}", ""]
        if two:
            self.body.append(f"{self.function(share)}({name}, {', '.join(made)})")
        else:
            axis, rows = cut(like.shape, like.strides, like.itemsize)
            self.body.append(f"{name}({made[0]}, range({-(-like.shape[axis] // rows)}))")


def _in_rows(x: Any) -> bool:
    return np.empty(x.shape, np.bool_).strides == tuple(s // x.itemsize for s in x.strides)


def is_for_blas(call: Node) -> bool:
    """Whether it is a product that `ndarray.dot` can do as well, with half the overhead."""
    if not all(isinstance(x, Node) for x in call.args):
        return False
    a, b, y = (x.sample for x in (*call.args, call))
    if not (a.dtype == b.dtype == y.dtype and y.dtype in (np.float32, np.float64)):
        return False
    dense = all(x.flags.c_contiguous or x.flags.f_contiguous for x in (a, b))
    if not dense or not a.size or not b.size:
        return False  # others go another way, with other digits
    return a.ndim in (1, 2) and b.ndim in (1, 2) and bool(not y.ndim or y.flags.c_contiguous)
