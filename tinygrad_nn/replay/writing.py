"""The program of a step, as Python: one line a call, every array bound to a name beforehand.

    def bind(W1, b1):                        # once: views, buffers, constants
        t1 = empty((3, 5), float64)
        W1_dot = W1.dot

        def replay(args, kwargs):            # each time
            ...                              # return MISS if something is not as it was
            W1_dot(X, t1)
            add(t1, b1, t1)
            ...

So a replay costs what its NumPy calls cost.  The source is what `print(compiled.program)` shows.
"""

from __future__ import annotations

import inspect
import keyword
import linecache
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn.replay.helping import THREADS, share
from tinygrad_nn.replay.planning import BLOCK, TWO_THREADS, Buffer, Chain, Plan, elementwise, is_reduction
from tinygrad_nn.replay.recording import Memory, Node, cast, look_up
from tinygrad_nn.replay.step import Given, Owner, Result, Step, skeleton
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.watch import clock

__all__ = ["MISS", "Writer", "blocks"]

MISS = object()  # what a replay returns that finds something changed, before it has done anything
_KEYWORD_OUT = {np.maximum, np.minimum}  # a third positional argument is deprecated there
_SIMPLE = (int, float, bool, str, type(None), type(Ellipsis))


# --- blocks ----------------------------------------------------------------------------------------------------------


def _cut(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> tuple[int, int]:
    """Along which axis to cut, and into pieces of which length: so that a block is one stretch of memory."""
    axis = max(range(len(shape)), key=lambda i: (shape[i] > 1, strides[i]))
    row = itemsize * int(np.prod(shape)) // shape[axis]
    return axis, max(1, BLOCK // row)


def blocks(
    shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int, arrays: Sequence[Any], scratch: Sequence[Any]
) -> list[tuple]:
    """Views of the arrays that go together, for one block of the shape after the other."""
    axis, rows = _cut(shape, strides, itemsize)
    found = []
    for start in range(0, shape[axis], rows):
        n = min(rows, shape[axis] - start)
        views = [_stretch(a, axis - len(shape), shape[axis], start, n) for a in arrays]
        found.append((*views, *(_stretch(s, axis - len(shape), s.shape[axis], 0, n) for s in scratch)))
    return found


def _stretch(array: Any, axis: int, length: int, start: int, n: int) -> Any:
    """A part along an axis counted from the end, unless the array is broadcast along it."""
    if array.ndim < -axis or array.shape[axis] != length:
        return array
    return array[(..., slice(start, start + n), *(slice(None),) * (-axis - 1))]


# --- the source ------------------------------------------------------------------------------------------------------


class Writer:
    """Writes the source of a step's program; `namespace` is what the source refers to.

    `moving` are the memories that were found to be another array at another call: these are looked up each time.
    """

    def __init__(self, step: Step, plan: Plan, function: Callable, moving: set[Memory]):
        self.step, self.plan, self.moving = step, plan, moving
        self.namespace: dict[str, Any] = {"empty": np.empty, "blocks": blocks, "ndarray": np.ndarray, "MISS": MISS}
        self.start: list[str] = []  # of bind
        self.functions: list[str] = []  # of chains, within bind
        self.body: list[str] = []  # of replay
        self.names: dict[Any, str] = {}  # of nodes and buffers
        self.static: set[Any] = set()  # those whose memory stays the same
        self.bound: list[Memory] = []  # what bind takes
        self._taken: set[str] = {"args", "kwargs", "bind", "replay", *self.namespace, *keyword.kwlist}
        self.scratch: dict[str, tuple[Any, int]] = {}  # dtype and size of the memory for blocks
        self._constants: dict[Any, str] = {}
        self._line: Any = None
        self._arguments(function)
        self._memories()
        self._surroundings()
        self._gradients_before()
        self._calls()
        self._end()
        self.source = self._assembled()

    def _assembled(self) -> str:
        replay = ["def replay(args, kwargs):", *_indent(self.body)]
        self.listing = "\n".join(replay)
        rest = ["at_rest = references()", ""] if self.given_out else []
        scratch = [f"{name} = empty({n}, {self.dtype(dtype)})" for name, (dtype, n) in self.scratch.items()]
        inner = [*scratch, *self.start, "", *self.functions, *rest, *replay, "", "return replay"]
        head = f"def bind({', '.join(self.names[m.node] for m in self.bound)}):"
        return "\n".join(line.rstrip() for line in [head, *_indent(inner)]) + "\n"

    # -- names

    def new_name(self, wish: str) -> str:
        """A name that nothing has yet."""
        wish = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", wish)).strip("_") or "x"
        wish = f"_{wish}" if wish[0].isdigit() else wish
        name, n = wish, 1
        while name in self._taken:
            n += 1
            name = f"{wish}_{n}"
        self._taken.add(name)
        return name

    def once(self, key: Any, wish: str, text: str = "", value: Any = None) -> str:
        """The name of something that is made once: by a line of `bind`, or here."""
        if key not in self._constants:
            name = self._constants[key] = self.new_name(wish)
            if text:
                self.start.append(f"{name} = {text}")
            else:
                self.namespace[name] = value
        return self._constants[key]

    def constant(self, value: Any, wish: str = "c") -> str:
        """The name of an object."""
        return self.once(id(value), wish, value=value)

    def function(self, func: Any, wish: str = "") -> str:
        """The name of a function."""
        owner = getattr(func, "__self__", None)
        if isinstance(owner, np.ufunc):
            return self.once((owner, func.__name__), f"{owner.__name__}_{func.__name__}", value=func)
        return self.once(func, wish or getattr(func, "__name__", "f"), value=func)

    def dtype(self, dtype: Any) -> str:
        """The name of a dtype."""
        return self.once(("dtype", dtype.str), dtype.name, value=dtype)

    def text(self, tree: Any) -> str:
        """Arguments as Python."""
        if isinstance(tree, Node):
            return self.name(tree)
        if type(tree) is tuple:
            return "(" + "".join(f"{self.text(x)}, " for x in tree) + ")"
        if type(tree) is list:
            return "[" + ", ".join(map(self.text, tree)) + "]"
        if type(tree) is dict:
            return "{" + ", ".join(f"{k!r}: {self.text(x)}" for k, x in tree.items()) + "}"
        if type(tree) is slice:
            return f"slice({self.text(tree.start)}, {self.text(tree.stop)}, {self.text(tree.step)})"
        if type(tree) is float and not np.isfinite(tree):
            return f"float('{tree}')"
        return repr(tree) if type(tree) in _SIMPLE else self.constant(tree)

    def name(self, node: Node) -> str:
        """The variable that holds a node; views come into being where they are first needed."""
        place = self.plan.place.get(node)
        if isinstance(place, Node):
            return self.name(place)
        if isinstance(place, Buffer):
            return self.buffer(place)
        if node not in self.names:
            assert node.base is not None, node.name
            static = all([self.is_static(x) for x in node.inputs()])
            call = self.call(node)
            self.names[node] = name = self.new_name(f"v{sum(n.base is not None for n in self.names if isinstance(n, Node)) + 1}")
            (self.start if static else self.body).append(f"{name} = {call}")
            if static:
                self.static.add(node)
        return self.names[node]

    def is_static(self, node: Node) -> bool:
        """Is it the same memory at each replay?"""
        self.name(node)
        place = self.plan.place.get(node)
        return isinstance(place, Buffer) or (node if place is None else place) in self.static

    def buffer(self, buffer: Buffer) -> str:
        """The variable that holds a buffer."""
        if buffer not in self.names:
            like, kind = buffer.like, "s" if buffer.block else "t"
            count = sum(isinstance(b, Buffer) and b.block == buffer.block for b in self.names)
            self.names[buffer] = name = self.new_name(f"{kind}{count + 1}")
            if buffer.block:
                axis, rows = _cut(like.shape, like.strides, like.itemsize)
                shape = (*like.shape[:axis], min(rows, like.shape[axis]), *like.shape[axis + 1 :])
                scratch = self.once(("scratch", like.dtype.str, buffer.number), "scratch", value=None)
                self.scratch[scratch] = like.dtype, max(int(np.prod(shape)), self.scratch.get(scratch, (None, 0))[1])
                self.start.append(f"{name} = {scratch}[:{int(np.prod(shape))}].reshape({shape})")
            elif _in_rows(like):
                self.start.append(f"{name} = empty({like.shape}, {self.dtype(like.dtype)})")
            else:
                self.start.append(f"{name} = {self.function(np.empty_like)}({self.constant(skeleton(like), 'layout')})")
        return self.names[buffer]

    def number(self, value: Any, dtype: Any) -> str:
        """A constant operand as an array of no dimensions: that spares NumPy the conversion at each call."""
        x = np.array(value, dtype)
        self.namespace["array"] = np.array
        count = sum(isinstance(key, tuple) and key[0] == "number" for key in self._constants)
        text = f"array({self.text(x.item())}, {self.dtype(x.dtype)})"
        return self.once(("number", x.dtype.str, x.tobytes()), f"c{count + 1}", text)

    # -- before the calls

    def _arguments(self, function: Callable) -> None:
        """Are the arguments of the kind that was recorded?"""
        try:
            signature = [*inspect.signature(function).parameters]
        except (TypeError, ValueError):
            signature = []
        wrong: list[str] = []
        for path, x in self.step.arguments:
            if path == "args":
                wrong.append(f"len(args) != {len(x)}")
            elif path == "kwargs":
                wrong.append(f"kwargs.keys() != {self.text(x.keys() and set(x))}" if x else "kwargs")
            elif type(x) in (tuple, list):
                wrong.append(f"type({path}) is not {type(x).__name__} or len({path}) != {len(x)}")
            elif type(x) is dict:
                wrong.append(f"type({path}) is not dict or [*{path}] != {[*x]!r}")
            elif isinstance(x, (np.ndarray, np.generic, Tensor)):
                self._wrong(wrong)
                place = re.fullmatch(r"args\[(\d+)\]|kwargs\['(\w+)'\]", path)
                wish = "x"
                if place:
                    wish = place[2] or (signature[int(place[1])] if int(place[1]) < len(signature) else "x")
                name = self.names[path] = self.new_name(wish)
                self.body.append(f"{name} = {path}")
                kind = self.constant(type(x), type(x).__name__)
                wrong.append(f"type({name}) is not {kind} or {name}.shape != {x.shape}")
                wrong.append(f"{name}.dtype is not {self.dtype(x.dtype)} and {name}.dtype != {self.dtype(x.dtype)}")
                if type(x) is Tensor:
                    wrong.append(f"{name}.tracked is not {x.tracked}")
            else:
                wrong.append(f"{path} is not {self.text(x)}" if x is None or type(x) is bool else f"{path} is not {self.constant(x)}")
        self._wrong(wrong)

    def _wrong(self, conditions: list[str]) -> None:
        if conditions:
            self.body += [f"if {' or '.join(conditions)}:", "    return MISS"]
            conditions.clear()

    def owner(self, owner: Owner) -> str:
        """The name of a tensor: an argument's variable, or a constant."""
        if isinstance(owner, int):
            return self.names[self.step.arguments[owner][0]]
        return self.constant(owner, f"{owner.name or 'p'}_tensor")

    def _memories(self) -> None:
        """Names for what the calls start from."""
        needed, wrong = set(self.plan.live), []
        for memory in self.step.memories:
            node = memory.node
            if node not in needed:
                continue
            if memory.argument is not None:
                self.names[node] = name = self.owner(memory.argument)
                if memory.kind != "argument":
                    self.names[node] = self.new_name(f"{name}_{memory.kind}")
                    self.body.append(f"{self.names[node]} = {name}.{memory.kind}")
                continue
            if memory.kind == "constant":
                self.names[node] = self.constant(memory.array, "k")
                self.static.add(node)
                continue
            if memory.tensor is not None:
                wish = (memory.tensor.name or "p") + ("_grad" if memory.kind == "grad" else "")
                text = f"{self.owner(memory.tensor)}.{memory.kind}"
            elif memory.place is not None:
                wish, text = memory.place.name.rpartition(".")[2], self._expression(memory.place)
            else:  # a view of something that is found
                wish, text = "k", ""
            name = self.names[node] = self.new_name(wish)
            if memory in self.moving or memory.kind == "grad":
                self.body.append(f"{name} = {text}")
                if memory.place is not None:
                    self._wrong([f"type({name}) is not ndarray or {name}.shape != {memory.array.shape} or {name}.dtype != {self.dtype(memory.array.dtype)}"])
            else:
                self.bound.append(memory)
                self.static.add(node)
                if text:
                    wrong.append(f"{text} is not {name}")
        self._wrong(wrong)

    def _expression(self, place: Any) -> str:
        holder = self.constant(place.holder, "o")
        return {"attribute": f"{holder}.{place.key}", "cell": f"{holder}.cell_contents"}.get(
            place.kind, f"{holder}[{self.text(place.key)}]"
        )

    def _surroundings(self) -> None:
        """Has something changed that the recorded run could see?"""
        looked_up = {id(m.place) for m in self.step.memories if m.node in self.names}
        looked_up |= {id(place) for place in self.step.surroundings.numbers}
        changed = [f"type({self._expression(place)}) is not float" for place in self.step.surroundings.numbers]
        for place in self.step.surroundings.places:
            if id(place) not in looked_up:
                holder, value = self.constant(place.holder, place.name.rpartition(".")[0] or "o"), self.constant(place.value)
                if place.kind == "length":
                    changed.append(f"len({holder}) != {place.value}")
                elif place.kind == "numbers":
                    changed.append(f"{holder} != {value}")
                else:
                    changed.append(f"{self._expression(place)} is not {value}")
        changed += [f"{self.owner(tensor)}.tracked is not {tracked}" for tensor, tracked in self.step.tracked]
        used = [(m.tensor if m.argument is None else m.argument) for m in self.step.memories if m.kind == "grad" and m.node in self.names]
        self.granted = [(t, none) for t, none in self.step.without_gradient if none or any(t is x for x in used)]
        changed += [f"{self.owner(t)}.grad is {'not ' * none}None" for t, none in self.granted if not isinstance(t, int)]
        if changed:
            self.functions += ["def changed():", "    return (", f"        {changed[0]}"]
            self.functions += [*(f"        or {condition}" for condition in changed[1:]), "    )", ""]
        wrong = [f"{self.owner(t)}.grad is {'not ' * none}None" for t, none in self.granted if isinstance(t, int)]
        self._wrong([*wrong, *["changed()"][: len(changed)]])

    def _gradients_before(self) -> None:
        """Who still holds a gradient of an earlier replay shall keep it: then another buffer is due."""
        self.given_out = []
        self.namespace["getrefcount"] = sys.getrefcount
        for tensor, node in self.step.gradients:
            if node is not None and isinstance(self.plan.place.get(node), Buffer):
                self.given_out.append((self.owner(tensor), self.name(node)))
        if self.given_out:
            self.body.append("".join(f"{tensor}.grad = " for tensor, _ in self.given_out) + "None")
            self.body += ["if references() != at_rest:", "    return MISS"]
            count = " + ".join(f"getrefcount({name})" for _, name in self.given_out)
            self.functions += ["def references():", f"    return {count}", ""]

    # -- the calls

    def _calls(self) -> None:
        for chain in self.plan.chains:
            self._comment(chain.calls[0])
            if len(chain.calls) > 1:
                self._blocked(chain)
            else:
                self.body += self.statements(chain.calls[0])

    def _comment(self, call: Node) -> None:
        if call.line != self._line:
            self._line = call.line
            text = linecache.getline(*call.line).strip()
            self.body.append(f"# line {call.line[1]} of {Path(call.line[0]).name}" + (f": {text}" if text else ""))

    def statements(self, call: Node) -> list[str]:
        """What computes a call into its place."""
        if call not in self.plan.place:
            text = self.call(call)
            if call in self.plan.effects:
                return [text]
            self.names[call] = name = self.new_name("r")
            return [f"{name} = {text}"]
        out, func = self.name(call), call.func
        if func is np.where:
            condition, a, b = (self.operand(call, i) for i in range(3))
            copyto = self.function(np.copyto)
            return [f"{copyto}({out}, {b})"] * (b != out) + [f"{copyto}({out}, {a}, where={condition})"]
        if func is look_up:
            return [f"{out}[()] = {self._expression(call.args[0])}"]
        if func is cast:
            return [f"{self.function(np.copyto)}({out}, {self.name(call.args[0])}, 'unsafe')"]
        if elementwise(call):
            given = ", ".join(self.operand(call, i) for i in range(len(call.args)))
            return [f"{self.function(func)}({given}, {'out=' * (func in _KEYWORD_OUT)}{out})"]
        if func is np.matmul and _for_blas(call):
            a, b = call.args
            return [f"{self.method(a, 'dot')}({self.name(b)}, {out})"]
        if is_reduction(call):
            return [self.reduction(call, out)]
        return [self.call(call, out)]

    def operand(self, call: Node, i: int) -> str:
        """An operand of an elementwise call."""
        x = call.args[i]
        if isinstance(x, Node):
            return self.name(x)
        if isinstance(x, np.generic):
            return self.number(x, x.dtype)
        if isinstance(call.func, np.ufunc) and type(x) in (int, float, bool):
            kinds = [a.sample.dtype if isinstance(a, Node) else getattr(a, "dtype", type(a)) for a in call.args]
            return self.number(x, call.func.resolve_dtypes((*kinds, None))[i])
        return self.number(x, call.sample.dtype) if call.func is np.where and type(x) in (int, float) else self.text(x)

    def method(self, node: Node, method: str) -> str:
        """A method of an array, bound beforehand where the array stays the same."""
        name = self.name(node)
        return self.once((name, method), f"{name}_{method}", f"{name}.{method}") if self.is_static(node) else f"{name}.{method}"

    def reduction(self, call: Node, out: str) -> str:
        """A sum, a maximum ...; a product with a vector of ones is the quickest sum of rows."""
        func: Any = call.func
        (x,), axis, keepdims = call.args, call.kwargs.get("axis"), call.kwargs.get("keepdims", False)
        axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
        if func.__self__ is np.add and axis in (1, -1) and _rows_for_blas(x.sample):
            n, dtype = x.sample.shape[1], x.sample.dtype
            ones = self.once(("ones", n, dtype.str), f"ones_{n}", f"{self.function(np.ones)}({n}, {self.dtype(dtype)})")
            if keepdims:
                flat = f"{out}.reshape(-1)"
                out = self.once((out, "flat"), f"{out}_flat", flat) if self.is_static(call) else flat
            return f"{self.method(x, 'dot')}({ones}, {out})"
        return f"{self.function(func)}({self.name(x)}, {self.text(axis)}, None, {out}, {keepdims})"

    def call(self, node: Node, out: str = "") -> str:
        """Any other call."""
        if node.func is np.transpose and not node.kwargs and len(node.args) == 1:
            return f"{self.name(node.args[0])}.T"
        given = [self.text(x) for x in node.args] + [f"{k}={self.text(x)}" for k, x in node.kwargs.items()]
        return f"{self.function(node.func, node.name)}({', '.join(given + [f'out={out}'] * bool(out))})"

    def _blocked(self, chain: Chain) -> None:
        """A chain becomes a function, that is given the blocks."""
        assert chain.shape is not None
        lines = [line for call in chain.calls for line in self.statements(call)]
        arrays: dict[str, bool] = {}
        scratch: dict[str, None] = {}
        for x in (x for call in chain.calls for x in (*call.inputs(), call)):
            place = self.plan.place.get(x)
            if isinstance(place, Buffer) and place.block:
                scratch[self.name(x)] = None
            elif x.sample.ndim or not self.is_static(x):
                arrays[self.name(x)] = self.is_static(x)
        name, like = self.new_name("chain"), chain.calls[0].sample
        variables = ", ".join([*arrays, *scratch])
        lines = ["for turn in turns:", f"    {variables}, = blocks[turn]", *_indent(lines)]
        self.functions += [f"def {name}(blocks, turns):", *_indent(lines), ""]
        threads = 2 if THREADS > 1 and len(chain.calls) * like.nbytes >= TWO_THREADS else 1
        cuts = []
        for i in range(threads):
            own = [self.once((s, "too"), f"{s}_too", f"{self.function(np.empty_like)}({s})") for s in scratch] if i else scratch
            cuts.append(f"blocks({like.shape}, {like.strides}, {like.itemsize}, [{', '.join(arrays)}], [{', '.join(own)}])")
        if all(arrays.values()):
            for i, cut in enumerate(cuts):
                cuts[i] = self.new_name(f"{name}_blocks")
                self.functions.append(f"{cuts[i]} = {cut}")
            self.functions.append("")
        if threads == 2:
            self.namespace["share"] = share
            self.body.append(f"share({name}, {', '.join(cuts)})")
        else:
            count = -(-like.shape[_cut(like.shape, like.strides, like.itemsize)[0]] // _cut(like.shape, like.strides, like.itemsize)[1])
            self.body.append(f"{name}({cuts[0]}, range({count}))")

    # -- after the calls

    def _end(self) -> None:
        """Results first: they may be what is about to be overwritten."""
        result = self._returned(self.step.result)
        simple = result == "None" or result in self._constants.values()
        if not simple:
            self.body.append(f"result = {result}")
        saved = {}
        for _, value in self.plan.stores:
            if value.root() in self.plan.written:
                saved[value] = self.new_name("old")
                self.body.append(f"{saved[value]} = {self.name(value)}.copy()")
        for memory, value in self.plan.stores:
            self.body.append(f"{self.function(np.copyto)}({self.name(memory)}, {saved.get(value) or self.name(value)})")
        given = dict(self.given_out)
        for tensor, node in self.step.gradients:
            name = self.owner(tensor)
            if node is None:
                self.body.append(f"{name}.grad = None")
            elif given.get(name) == self.name(node):
                self.body.append(f"{name}.grad = {self.name(node)}")
            else:
                self.body.append(f"{name}.grad = {self.function(np.array)}({self.name(node)})")
        self._changes()
        self.body.append(f"return {result if simple else 'result'}")

    def _changes(self) -> None:
        """Tensors that were written to know it, so that a graph recorded before does not use the new values."""
        watches = []
        for memory in self.step.memories:
            if memory.node in self.plan.written and memory.kind == "value":
                if memory.argument is not None:
                    self.body.append(f"{self.owner(memory.argument)}.changed()")
                elif memory.tensor is not None:
                    name = self.owner(memory.tensor)
                    watches.append(self.once((name, "watch"), name.removesuffix("tensor") + "watch", f"{name}.watch"))
        if watches:
            self.namespace["clock"] = clock
            self.body.append("".join(f"{w}.changed = " for w in watches) + "next(clock)")
            self.body.append(f"if {' or '.join(f'{w}.exposed' for w in watches)}:")
            self.body += [f"    {w}.change()" for w in watches]

    def _returned(self, tree: Any) -> str:
        """What the step returns, as Python: fresh arrays, that nobody else will write to."""
        if isinstance(tree, Result):
            name = self.name(tree.node)
            text = f"{name}[()]" if isinstance(tree.node.sample, np.generic) else f"{name}.copy()"
            if not tree.tensor:
                return text
            return f"{self.constant(Tensor, 'Tensor')}({text}, False, {tree.name!r})"
        if isinstance(tree, Given):
            return self.owner(tree.argument)
        if type(tree) is tuple:
            return "(" + "".join(f"{self._returned(x)}, " for x in tree) + ")"
        if type(tree) is list:
            return "[" + ", ".join(map(self._returned, tree)) + "]"
        if type(tree) is dict:
            return "{" + ", ".join(f"{self.text(k)}: {self._returned(x)}" for k, x in tree.items()) + "}"
        return self.text(tree)


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _in_rows(x: Any) -> bool:
    return np.empty(x.shape, np.bool_).strides == tuple(s // x.itemsize for s in x.strides)


def _for_blas(call: Node) -> bool:
    """A product of matrices or vectors: `ndarray.dot` does the same with half the overhead."""
    if not all(isinstance(x, Node) for x in call.args):
        return False
    a, b, y = (x.sample for x in (*call.args, call))
    one_kind = a.dtype == b.dtype == y.dtype and y.dtype in (np.float32, np.float64)
    return one_kind and a.ndim in (1, 2) and b.ndim in (1, 2) and bool(a.size and b.size) and (not y.ndim or y.flags.c_contiguous)


def _rows_for_blas(x: Any) -> bool:
    return x.ndim == 2 and x.size > 0 and x.dtype == np.float32 and x.flags.forc
