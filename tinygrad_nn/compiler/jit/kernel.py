"""A kernel: neighbouring calls of a program as one function that numba compiles.

Chains of elementwise calls are loops over memory whose layout is written out as constants.  Products, sums and all
other functions are calls of NumPy's own loops, by their address: so they give what NumPy gives, without what it costs
to call NumPy from Python.

    def kernel_1(t, a1):                                   # a table of addresses, and the arrays that may be others
        p1, p2 = pointer(t[0], f4), pointer(address(a1), f4)
        for i in range(512):
            x1 = load(p1, i, 1, 3) + load(p2, i, 2, 3)
            ...
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinygrad_nn.compiler.calls import indent, is_for_blas
from tinygrad_nn.compiler.ir import Node, abstract_like, look_up, map_leaves
from tinygrad_nn.compiler.jit.expressions import KERNEL_TYPES, expression_of, loop_types
from tinygrad_nn.compiler.jit.layout import Location, NotLowered, index_of, lie_alike, matrix, nest, reduced
from tinygrad_nn.compiler.jit.runtime import loop_address
from tinygrad_nn.compiler.memory_plan import FusedLoop, elementwise, is_reduction

__all__ = ["Kernel"]


class Kernel:
    """One kernel while it is written; `code` knows variables and the plan."""

    def __init__(self, code: Any, name: str):
        self.code, self.name = code, name
        self.lines: list[str] = []
        self.table: list[str] = []  # what has an address that stays: Python
        self.arguments: list[str] = []  # Python, for each call
        self.signature: list[str] = []
        self._pointers: dict[str, str] = {}
        self._scopes: dict[Any, int] = {}
        self._head: list[str] = []
        self._count = 0

    # -- names

    def _new(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    def _in_table(self, text: str, words: int = 1) -> int:
        """The index in the table of what this Python gives."""
        at, found = 0, -1
        for other in self.table:
            if other == text:
                found = at
            at += 2 if other.startswith("(") else 1
        if found < 0:
            self.table.append(text)
            found = at
        return found

    def _argument(self, text: str, kind: str) -> str:
        if text in self.arguments:
            return f"a{self.arguments.index(text) + 1}"
        self.arguments.append(text)
        self.signature.append(kind)
        return f"a{len(self.arguments)}"

    def _base(self, root: Any) -> str:
        """The address of a memory, as an integer."""
        if isinstance(root, str):
            return f"t[{self._in_table(root)}]"
        name = self.code.name_of(root)
        if self.code.is_static(root):
            return f"t[{self._in_table(name)}]"
        sample = root.sample
        kind = KERNEL_TYPES.get(sample.dtype)
        if kind is None or not sample.ndim:  # which may be a number, see `_scalar`
            raise NotLowered
        return f"address({self._argument(name, f'Array({kind}, {sample.ndim}, chr(65))')})"

    def _address(self, place: Location) -> str:
        base = self._base(place.root)
        return f"{base} + {place.offset}" if place.offset else base

    def _pointer(self, place: Location) -> str:
        """A variable that points to the first element."""
        text = f"pointer({self._address(place)}, {KERNEL_TYPES[place.dtype]})"
        if text not in self._pointers:
            self._pointers[text] = self._new("p")
            self._head.append(f"{self._pointers[text]} = {text}")
        return self._pointers[text]

    def _scope(self, root: Any) -> str:
        """The number of a memory that overlaps no other, 0 of one that may; and how many there are."""
        if not (isinstance(root, str) or self.code.is_static(root)):
            return "0, SCOPES"
        key = self.code.name_of(root) if isinstance(root, Node) else root
        return f"{self._scopes.setdefault(key, len(self._scopes) + 1)}, SCOPES"

    # -- values

    def _root_layout(self, node: Node) -> Any:
        """An array of the layout of the memory that a value has for itself."""
        place = self.code.plan.place.get(node)
        return abstract_like(place.sample if isinstance(place, Node) else getattr(place, "like", node.sample))

    def _dummy(self, node: Node) -> Any:
        """A view without memory, that lies where the value does in its root."""
        if node.base is None:
            return self._dummies.setdefault(node, self._root_layout(node))
        if node not in self._dummies:
            args, kwargs = _with_nodes((node.args, node.kwargs), self._dummy)
            self._dummies[node] = node.func(*args, **kwargs)
        return self._dummies[node]

    @functools.cached_property
    def _dummies(self) -> dict[Node, Any]:
        return {}

    def location(self, x: Any, dtype: Any = None) -> Location:
        """Where a value is; a constant is put somewhere, in a dtype."""
        if not isinstance(x, Node):
            if isinstance(x, np.ndarray):
                return Location(self.code.constant(x, "k"), 0, x.shape, x.strides, x.dtype)
            if dtype is None or not isinstance(x, (bool, int, float, np.generic)):
                raise NotLowered
            return Location(self.code.number(x, dtype), 0, (), (), np.dtype(dtype))
        root = x.root()
        if not isinstance(root.sample, np.ndarray):
            raise NotLowered
        layout, view = self._dummy(root), self._dummy(x)
        start = layout.__array_interface__["data"][0]
        offset = view.__array_interface__["data"][0] - start
        if x is not root and not np.may_share_memory(layout, view):
            raise NotLowered
        return Location(root, offset, view.shape, view.strides, view.dtype)

    def _scalar(self, x: Any) -> str | None:
        """A number that Python hands over, if it is one: what has no axes may be an array at one call only."""
        if isinstance(x, Node) and x.base is None and not x.sample.ndim and not self.code.is_static(x):
            if x.sample.dtype not in KERNEL_TYPES or x.sample.dtype.kind == "b":
                raise NotLowered
            return self._argument(self.code.name_of(x), KERNEL_TYPES[x.sample.dtype])
        return None

    # -- calls

    def add(self, loop: FusedLoop) -> None:
        """Append what computes a loop's calls; NotLowered, and nothing appended, if NumPy has to."""
        state = self._saved()
        try:
            call = loop.calls[0]
            if not all(isinstance(x.sample, np.ndarray) for x in (*call.inputs(), call)):
                raise NotLowered
            if all(expression_of(x) and x.sample.size for x in loop.calls):
                self._write_loop(loop.calls)
            elif len(loop.calls) > 1 or not all(x.sample.size for x in (*call.inputs(), call)):
                raise NotLowered
            elif call.func is look_up:
                text = f"f8({self._argument(self.code.looked_up(call.args[0]), 'f8')})"
                place = self.location(call)
                self.lines.append(f"store({self._pointer(place)}, 0, {text}, {self._scope(place.root)})")
            elif is_reduction(call):
                self._write_reduction(call)
            elif call.func is np.matmul and is_for_blas(call):
                self._write_product(call)
            elif elementwise(call):
                self._write_numpy_loop(call)
            else:
                raise NotLowered
        except NotLowered:
            self._restore(state)
            raise

    def _saved(self) -> Any:
        lists = self.lines, self.table, self.arguments, self.signature, self._head
        return [x.copy() for x in lists], (self._pointers.copy(), self._scopes.copy())

    def _restore(self, state: Any) -> None:
        (self.lines, self.table, self.arguments, self.signature, self._head), rest = state
        self._pointers, self._scopes = rest

    def _result(self, call: Node) -> Location:
        """Where the result of a call goes."""
        if call not in self.code.plan.place:
            raise NotLowered
        return self.location(call)

    def _write_loop(self, calls: list[Node]) -> None:
        """Elementwise calls, one element after the other."""
        shape = calls[0].sample.shape
        inside, stored = set(calls), {}
        for call in calls:
            if call not in self.code.plan.passing:
                stored[call] = self._result(call)
        read: dict[Any, Location | str] = {}
        for call in calls:
            for x, dtype in zip(call.args, loop_types(call) or (), strict=False):
                if isinstance(x, (Node, np.ndarray)) and x not in inside and _key(x) not in read:
                    read[_key(x)] = self._scalar(x) or self.location(x, dtype)
        places = [p for p in (*stored.values(), *read.values()) if isinstance(p, Location)]
        if any(p.dtype not in KERNEL_TYPES for p in places):
            raise NotLowered
        dims, steps = nest(shape, places)
        index = {id(p): index_of(s, p.dtype.itemsize) for p, s in zip(places, steps, strict=True)}
        self._emit_loop(calls, stored, read, dims, index)

    def _emit_loop(self, calls: Any, stored: Any, read: Any, dims: list[int], index: dict[int, str]) -> None:
        names: dict[Any, str] = {}
        body: list[str] = []
        written = {place.root for place in stored.values()}

        def value(x: Any, dtype: Any) -> str:
            if not isinstance(x, (Node, np.ndarray)):
                return _constant(x, dtype)
            key = _key(x)
            if key not in names:
                place = read[key]
                if isinstance(place, str):
                    return f"{KERNEL_TYPES[dtype]}({place})"
                at = index[id(place)]
                names[key] = self._new("x")
                text = f"{names[key]} = load({self._pointer(place)}, {at}, {self._scope(place.root)})"
                (self.lines if at == "0" and place.root not in written else body).append(text)
            kind = x.sample.dtype if isinstance(x, Node) else x.dtype
            return names[key] if kind == dtype else _converted(names[key], kind, dtype)

        for call in calls:
            types = loop_types(call)
            assert types is not None
            given = [value(x, dtype) for x, dtype in zip(call.args, types[:-1], strict=False)]
            text = (expression_of(call) or "").format(*given)
            names[_key(call)] = name = self._new("x")
            if types[-1].kind in "fi":
                text = _converted(text, types[0] if call.func.__name__ == "cast" else types[-1], types[-1])
            body.append(f"{name} = {text}")
            if call in stored:
                place = stored[call]
                at = index[id(place)]
                body.append(f"store({self._pointer(place)}, {at}, {name}, {self._scope(place.root)})")
        for i, n in reversed([*enumerate(dims)]):
            body = [f"for i{i} in range({n}):", *indent(body)]
        self.lines += body

    def _loop(self, ufunc: np.ufunc, kinds: str) -> str:
        """The address of NumPy's loop and its data, as arguments."""
        if loop_address(ufunc, kinds) is None:
            raise NotLowered
        at = self._in_table(f"({self.code.function(ufunc)}, {kinds!r})")
        return f"t[{at}], t[{at + 1}]"

    def _write_numpy_loop(self, call: Node) -> None:
        """An elementwise function that has no expression, on arrays that lie alike."""
        types = loop_types(call)
        if types is None or not isinstance(call.func, np.ufunc):
            raise NotLowered
        out = self._result(call)
        places = [self.location(x, dtype) for x, dtype in zip(call.args, types[:-1], strict=True)] + [out]
        if [p.dtype for p in places] != [*types]:
            raise NotLowered
        same = [p.shape == out.shape and lie_alike(p, out) for p in places]
        single = [math.prod(p.shape) == 1 for p in places]
        if not out.dense or not all(a or b for a, b in zip(same, single, strict=True)):
            raise NotLowered
        kinds = "".join(t.char for t in types[:-1]) + "->" + types[-1].char
        steps = [p.dtype.itemsize if a and not b else 0 for p, a, b in zip(places, same, single, strict=True)]
        self._call(self._loop(call.func, kinds), places, [math.prod(out.shape)], steps)

    def _call(self, loop: str, places: list[Location], dims: list[int], steps: list[int]) -> None:
        given = [self._address(p) for p in places]
        self.lines.append(f"call({loop}, {_tuple(given)}, {_tuple(dims)}, {_tuple(steps)})")

    def _write_product(self, call: Node) -> None:
        """A product of matrices and vectors: NumPy's loop hands it to BLAS."""
        a, b, y = self.location(call.args[0]), self.location(call.args[1]), self._result(call)
        (m, k), (am, ak) = matrix(a, 0)
        (_, p), (bk, bp) = matrix(b, 1)
        size = y.dtype.itemsize
        ym, yp = (p * size, size) if len(y.shape) < 2 else y.strides
        kind = y.dtype.char
        loop = self._loop(np.matmul, f"{kind}{kind}->{kind}")
        self._call(loop, [a, b, y], [1, m, k, p], [0, 0, 0, am, ak, bk, bp, ym, yp])

    def _write_reduction(self, call: Node) -> None:
        """A sum or a maximum, in the order in which NumPy goes through memory."""
        (x,), ufunc = call.args, call.func.__self__
        if not isinstance(x, Node) or set(call.kwargs) - {"axis", "keepdims"}:
            raise NotLowered
        given, out = self.location(x), self._result(call)
        if given.dtype != out.dtype or not given.dense or not out.dense or given.dtype not in KERNEL_TYPES:
            raise NotLowered
        kind = given.dtype.char
        loop = self._loop(ufunc, f"{kind}{kind}->{kind}")
        parts = reduced(given, call.kwargs.get("axis"))
        size, p, y = given.dtype.itemsize, self._address(given), self._address(out)
        scope, memory = self._scope(out.root), self._pointer(out)
        first = self._identity(ufunc, given, call)
        match [kept for _, kept in parts]:
            case [] | [False] | [True, False]:
                n = math.prod(n for n, kept in parts if not kept)
                outer = math.prod(n for n, kept in parts if kept)
                body = [f"store({memory}, r, {first[0].format('r', n)}, {scope})"]
                if n - first[1]:
                    at, source = f"{y} + r * {size}", f"{p} + (r * {n} + {first[1]}) * {size}"
                    body.append(f"call({loop}, ({at}, {source}, {at}), ({n - first[1]},), (0, {size}, 0))")
                self.lines += [f"for r in range({outer}):", *indent(body)]
            case [False, True]:
                (n, _), (m, _) = parts
                at = f"{y}, {p} + r * {m * size}, {y}"
                self.lines += [
                    f"for r in range({m}):",
                    f"    store({memory}, r, {first[0].format('r', 1)}, {scope})",
                    f"for r in range({first[1]}, {n}):",
                    f"    call({loop}, ({at}), ({m},), ({size}, {size}, {size}))",
                ]
            case _:
                raise NotLowered

    def _identity(self, ufunc: np.ufunc, given: Location, call: Node) -> tuple[str, int]:
        """What a reduction begins with: its identity, or the first element; and how many elements that takes."""
        if ufunc.identity is not None:
            return _constant(ufunc.identity, given.dtype), 0
        return f"load({self._pointer(given)}, {{0}} * {{1}}, {self._scope(given.root)})", 1

    # -- the end

    def source(self) -> str:
        """The function."""
        head = f"def {self.name}({', '.join(['t', *(f'a{i + 1}' for i in range(len(self.arguments)))])}):"
        text = "\n".join([head, *indent([*self._head, *self.lines])]) + "\n"
        return text.replace("SCOPES", str(len(self._scopes) + 1))

    def types(self) -> str:
        """The signature that numba compiles it for."""
        return f"void({', '.join(['Array(i8, 1, chr(67))', *self.signature])})"


def _with_nodes(args: Any, change: Any) -> Any:
    return map_leaves(args, lambda x: change(x) if isinstance(x, Node) else x)


def _key(x: Any) -> Any:
    return x if isinstance(x, Node) else id(x)


def _tuple(items: list[Any]) -> str:
    return f"({', '.join(map(str, items))},)"


def _constant(x: Any, dtype: Any) -> str:
    """A number as a kernel writes it."""
    value = np.array(x, dtype).item()
    text = repr(value).replace("inf", "(inf)").replace("nan", "(nan)")
    return f"{KERNEL_TYPES[np.dtype(dtype)]}({text})"


def _converted(text: str, given: Any, wanted: Any) -> str:
    """A value in another type; as a truth value, whether it is not 0."""
    if wanted.kind == "b":
        return text if given.kind == "b" else f"({text} != 0)"
    return f"{KERNEL_TYPES[wanted]}({text})"
