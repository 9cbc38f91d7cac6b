"""The program of a step, as Python: one line a call, every array bound to a name beforehand.

    def bind(W1, b1):                        # once: views, buffers, constants
        t1 = empty((3, 5), float64)
        W1_dot = W1.dot

        def replay(args, kwargs):            # each time
            (X,) = args
            W1_dot(X, t1)
            add(t1, b1, t1)

So a replay costs what its NumPy calls cost.  The source is what `print(compiled.program)` shows.
"""

from __future__ import annotations

import keyword
import linecache
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn.replay.planning import BLOCK, Buffer, Chain, Plan, elementwise, is_reduction
from tinygrad_nn.replay.recording import Node, cast

__all__ = ["Writer", "blocks"]

_KEYWORD_OUT = {np.maximum, np.minimum}  # a third positional argument is deprecated there
_SIMPLE = (int, float, bool, str, type(None), type(Ellipsis))


def blocks(shape: tuple[int, ...], strides: tuple[int, ...], arrays: Sequence[Any], scratch: Sequence[Any]) -> list[tuple]:
    """Views of the arrays that go together, for one block of the shape after the other."""
    axis = max(range(len(shape)), key=lambda i: (shape[i] > 1, strides[i]))
    rows = block_rows(shape, axis, arrays[0].itemsize)
    found = []
    for start in range(0, shape[axis], rows):
        part = [_part(a, axis - len(shape), start, start + rows, shape[axis]) for a in arrays]
        n = min(rows, shape[axis] - start)
        found.append((*part, *(_part(s, axis - len(shape), 0, n, rows) for s in scratch)))
    return found


def block_rows(shape: tuple[int, ...], axis: int, itemsize: int) -> int:
    row = itemsize * int(np.prod(shape)) // shape[axis]
    return max(1, BLOCK // row)


def _part(array: Any, axis: int, start: int, stop: int, n: int) -> Any:
    """A stretch along an axis counted from the end, unless the array is broadcast along it."""
    if array.ndim < -axis or array.shape[axis] != n:
        return array
    return array[(..., slice(start, stop), *(slice(None),) * (-axis - 1))]


def _identifier(text: str) -> str:
    name = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", text)).strip("_")
    return f"_{name}" if name[:1].isdigit() or keyword.iskeyword(name) else name


class Writer:
    """Writes the source of a program; `namespace` is what the source refers to."""

    def __init__(self, plan: Plan, namespace: dict[str, Any]):
        self.plan = plan
        self.namespace = {"empty": np.empty, "blocks": blocks, **namespace}
        self.start: list[str] = []  # of bind
        self.functions: list[str] = []  # of chains, within bind
        self.body: list[str] = []  # of replay
        self.names: dict[Any, str] = {}  # of nodes and buffers
        self.static: set[Any] = set()  # those whose memory stays the same
        self._taken: set[str] = {"args", "kwargs", "bind", "replay", *self.namespace}
        self._constants: dict[Any, str] = {}
        self._ones: dict[Any, str] = {}
        self._line: Any = None

    def source(self, parameters: Sequence[str], end: Sequence[str]) -> str:
        """The whole: `bind` takes what may be another array at the next binding."""
        inner = ["def replay(args, kwargs):", *_indent(self.body)]
        lines = [f"def bind({', '.join(parameters)}):", *_indent([*self.start, "", *self.functions, *inner, *end])]
        return "\n".join(line if line.strip() else "" for line in lines) + "\n"

    # -- names

    def new_name(self, wish: str) -> str:
        wish = _identifier(wish) or "x"
        name, n = wish, 1
        while name in self._taken:
            n += 1
            name = f"{wish}_{n}"
        self._taken.add(name)
        return name

    def constant(self, value: Any, wish: str = "c") -> str:
        """A name for an object."""
        at = id(value)
        if at not in self._constants:
            self._constants[at] = self.new_name(wish)
            self.namespace[self._constants[at]] = value
        return self._constants[at]

    def function(self, func: Callable, wish: str = "") -> str:
        owner = getattr(func, "__self__", None)
        key = (owner, func.__name__) if isinstance(owner, np.ufunc) else func
        if key not in self._constants:
            wish = wish or (f"{owner.__name__}_" if isinstance(owner, np.ufunc) else "") + getattr(func, "__name__", "f")
            self._constants[key] = self.new_name(wish)
            self.namespace[self._constants[key]] = func
        return self._constants[key]

    def text(self, tree: Any) -> str:
        """Arguments as Python."""
        if isinstance(tree, Node):
            return self.name(tree)
        if type(tree) is tuple:
            return "(" + "".join(self.text(x) + ", " for x in tree) + ")"
        if type(tree) is list:
            return "[" + ", ".join(map(self.text, tree)) + "]"
        if type(tree) is dict:
            return "{" + ", ".join(f"{k!r}: {self.text(x)}" for k, x in tree.items()) + "}"
        if type(tree) is slice:
            return f"slice({self.text(tree.start)}, {self.text(tree.stop)}, {self.text(tree.step)})"
        if type(tree) is float and not np.isfinite(tree):
            return f"float('{tree}')"
        return repr(tree) if type(tree) in _SIMPLE else self.constant(tree)

    def define(self, node: Any, name: str, static: bool) -> None:
        self.names[node] = name
        if static:
            self.static.add(node)

    def name(self, node: Node) -> str:
        """The variable that holds a node; views come into being where they are first needed."""
        if node not in self.names:
            place = self.plan.place.get(node)
            if isinstance(place, Node):
                return self.name(place)
            if isinstance(place, Buffer):
                return self.buffer(place)
            assert node.base is not None, node.name
            static = all(self.is_static(x) for x in node.inputs())
            name = self.new_name("v")
            text = f"{name} = {self.call(node)}"
            (self.start if static else self.body).append(text)
            self.define(node, name, static)
        return self.names[node]

    def is_static(self, node: Node) -> bool:
        self.name(node)
        place = self.plan.place.get(node)
        if isinstance(place, Buffer):
            return True
        return place in self.static if isinstance(place, Node) else node in self.static

    def buffer(self, buffer: Buffer) -> str:
        if buffer not in self.names:
            name = self.new_name("s" if buffer.block else "t")
            like = buffer.like
            shape, dtype = np.shape(like), self.dtype(like.dtype)
            if buffer.block or np.empty(shape, like.dtype).strides == like.strides:
                if not buffer.block:
                    self.start.append(f"{name} = empty({shape}, {dtype})")
            else:
                self.start.append(f"{name} = empty_like({self.constant(_skeleton(like), 'layout')})")
                self.namespace["empty_like"] = np.empty_like
            self.define(buffer, name, True)
        return self.names[buffer]

    def dtype(self, dtype: Any) -> str:
        if dtype.str not in self._constants:
            self._constants[dtype.str] = self.new_name(dtype.name)
            self.namespace[self._constants[dtype.str]] = dtype
        return self._constants[dtype.str]

    def number(self, value: Any, dtype: Any) -> str:
        """A constant operand as an array of no dimensions: that spares NumPy the conversion at each call."""
        array = np.array(value, dtype)
        key = ("number", array.dtype.str, array.tobytes())
        if key not in self._constants:
            name = self._constants[key] = self.new_name(f"c{len([k for k in self._constants if type(k) is tuple])}")
            self.namespace["array"] = np.array
            self.start.append(f"{name} = array({array.item()!r}, {self.dtype(array.dtype)})")
            if array.dtype.kind == "f" and not np.isfinite(array):
                self.start[-1] = f"{name} = array(float('{array.item()}'), {self.dtype(array.dtype)})"
        return self._constants[key]

    # -- calls

    def calls(self) -> None:
        """Everything that is computed."""
        for chain in self.plan.chains:
            if len(chain.calls) > 1 or (chain.shape is not None and self._many_blocks(chain)):
                self._blocked(chain)
            else:
                (call,) = chain.calls
                self._comment(call)
                self.body += self.statements(call)

    def _many_blocks(self, chain: Chain) -> bool:
        return False  # one call alone gains nothing

    def _comment(self, call: Node) -> None:
        if call.line != self._line:
            self._line = call.line
            text = linecache.getline(*call.line).strip()
            self.body.append(f"# line {call.line[1]} of {Path(call.line[0]).name}" + (f": {text}" if text else ""))

    def statements(self, call: Node) -> list[str]:
        """What computes a call into its place."""
        if call not in self.plan.place:
            text = self.call(call)
            name = self.new_name("r")
            self.define(call, name, False)
            return [f"{name} = {text}"]
        out = self.name(call)
        func = call.func
        if func is np.where:
            condition, a, b = (self.operand(call, i) for i in range(3))
            copyto = self.function(np.copyto)
            first = [] if b == out else [f"{copyto}({out}, {b})"]
            return [*first, f"{copyto}({out}, {a}, where={condition})"]
        if func is cast:
            return [f"{self.function(np.copyto)}({out}, {self.name(call.args[0])}, 'unsafe')"]
        if elementwise(call):
            given = ", ".join(self.operand(call, i) for i in range(len(call.args)))
            return [f"{self.function(func)}({given}, {'out=' * (func in _KEYWORD_OUT)}{out})"]  # type: ignore[arg-type]
        if func is np.matmul and _for_blas(call):
            a, b = call.args
            return [f"{self.method(a, 'dot')}({self.name(b)}, {out})"]
        if is_reduction(call):
            return [self.reduction(call, out)]
        return [self.call(call, f"out={out}")]

    def operand(self, call: Node, i: int) -> str:
        x = call.args[i]
        if isinstance(x, Node):
            return self.name(x)
        if isinstance(x, np.generic):
            return self.number(x, x.dtype)
        if isinstance(call.func, np.ufunc) and type(x) in (int, float, bool):
            given = tuple([a.sample.dtype if isinstance(a, Node) else getattr(a, "dtype", type(a)) for a in call.args])
            return self.number(x, call.func.resolve_dtypes((*given, None))[i])
        if call.func is np.where and type(x) in (int, float):
            return self.number(x, call.sample.dtype)
        return self.text(x)

    def method(self, node: Node, method: str) -> str:
        """A method of an array, bound beforehand where the array stays the same."""
        name = self.name(node)
        if not self.is_static(node):
            return f"{name}.{method}"
        key = (name, method)
        if key not in self._constants:
            self._constants[key] = self.new_name(f"{name}_{method}")
            self.start.append(f"{self._constants[key]} = {name}.{method}")
        return self._constants[key]

    def reduction(self, call: Node, out: str) -> str:
        (x,), axis, keepdims = call.args, call.kwargs.get("axis"), call.kwargs.get("keepdims", False)
        axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
        if call.func.__self__ is np.add and axis in (1, -1) and _rows_for_blas(x.sample):  # type: ignore[union-attr]
            return f"{self.method(x, 'dot')}({self.ones(x)}, {self.flat(out, call) if keepdims else out})"
        return f"{self.function(call.func)}({self.name(x)}, {self.text(axis)}, None, {out}, {keepdims})"  # type: ignore[arg-type]

    def ones(self, x: Node) -> str:
        """A vector of ones: a product with it is the quickest sum of rows."""
        n, dtype = x.sample.shape[1], x.sample.dtype
        if (n, dtype.str) not in self._ones:
            name = self._ones[n, dtype.str] = self.new_name(f"ones_{n}")
            self.namespace["ones"] = np.ones
            self.start.append(f"{name} = ones({n}, {self.dtype(dtype)})")
        return self._ones[n, dtype.str]

    def flat(self, out: str, call: Node) -> str:
        place = self.plan.place[call]
        if not (isinstance(place, Buffer) or place in self.static):
            return f"{out}.reshape(-1)"
        key = (out, "flat")
        if key not in self._constants:
            self._constants[key] = self.new_name(f"{out}_flat")
            self.start.append(f"{self._constants[key]} = {out}.reshape(-1)")
        return self._constants[key]

    def call(self, node: Node, *more: str) -> str:
        given = [self.text(x) for x in node.args]
        given += [f"{k}={self.text(x)}" for k, x in node.kwargs.items()]
        assert node.func is not None
        return f"{self.function(node.func, _identifier(node.name))}({', '.join([*given, *more])})"

    # -- chains

    def _blocked(self, chain: Chain) -> None:
        """A function of one chain, that is given the blocks."""
        first = chain.calls[0]
        self._comment(first)
        for call in chain.calls:
            for x in call.inputs():
                if x not in chain.calls:
                    self.name(x)
        lines = [line for call in chain.calls for line in self.statements(call)]
        used = {word for line in lines for word in re.findall(r"\w+", line)}
        shape = chain.shape
        assert shape is not None
        strides = first.sample.strides
        arrays: dict[str, bool] = {}
        scratch: dict[str, Buffer] = {}
        for call in chain.calls:
            for x in (*call.inputs(), call):
                place = self.plan.place.get(x)
                name = self.name(x)
                if isinstance(place, Buffer) and place.block:
                    scratch[name] = place
                elif name in used and (x.sample.ndim or not self.is_static(x)):
                    arrays[name] = arrays.get(name, True) and self.is_static(x)
        name = self.new_name("chain")
        given = ", ".join([*arrays, *scratch])
        self.functions += [f"def {name}(blocks):", f"    for {given}, in blocks:", *(f"        {line}" for line in lines), ""]
        axis = max(range(len(shape)), key=lambda i: (shape[i] > 1, strides[i]))
        for s, buffer in scratch.items():
            part = list(shape)
            part[axis] = min(shape[axis], block_rows(shape, axis, first.sample.itemsize))
            line = f"{s} = empty({tuple(part)}, {self.dtype(buffer.like.dtype)})"
            if line not in self.start:
                self.start.append(line)
        cut = f"blocks({shape}, {strides}, [{', '.join(arrays)}], [{', '.join(scratch)}])"
        if all(arrays.values()):
            parts = self.new_name("blocks")
            self.start.append(f"{parts} = {cut}")
            self.body.append(f"{name}({parts})")
        else:
            self.body.append(f"{name}({cut})")


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _skeleton(like: Any) -> Any:
    """An array of this layout that takes no memory to speak of."""
    return np.lib.stride_tricks.as_strided(np.empty(1, like.dtype), like.shape, like.strides)


def _for_blas(call: Node) -> bool:
    """A product of matrices or vectors: `ndarray.dot` does the same with half the overhead."""
    arrays = [x.sample if isinstance(x, Node) else x for x in (*call.args, call)]
    kinds = {getattr(a, "dtype", None) for a in arrays}
    return (
        kinds in ({np.dtype(np.float32)}, {np.dtype(np.float64)})
        and all(isinstance(x, Node) for x in call.args)
        and all(a.ndim in (1, 2) and a.size for a in arrays[:2])
        and (arrays[2].ndim == 0 or arrays[2].flags.c_contiguous)
    )


def _rows_for_blas(x: Any) -> bool:
    return x.ndim == 2 and x.size > 0 and x.dtype in (np.float32, np.float64) and x.flags.forc
