"""Writing an ONNX graph: values with NumPy's operators, constants, and numbers that follow the batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tinygrad_nn.errors import ExportError
from tinygrad_nn.onnx.batch_size import Dim, Pattern, Power, Repeated
from tinygrad_nn.onnx.recording import Number

__all__ = ["Builder", "Expr", "work"]

INT64 = np.dtype(np.int64)
BOOL = np.dtype(bool)


def work(dtype: Any) -> np.dtype:
    """The dtype to compute in: runtimes have kernels for few, and NumPy computes half precision as single."""
    dtype = np.dtype(dtype)
    if dtype == np.float16:
        return np.dtype(np.float32)
    return INT64 if dtype.kind in "iu" else dtype


class Expr:
    """A value of the graph; operators on it and on Python numbers write nodes."""

    __slots__ = ("b", "dtype", "name", "shape")
    __hash__ = object.__hash__

    def __init__(self, b: Builder, name: str, dtype: Any, shape: tuple[Any, ...] | None = None):
        self.b, self.name, self.dtype, self.shape = b, name, np.dtype(dtype), shape

    def cast(self, dtype: Any) -> Expr:
        """As another dtype."""
        dtype = np.dtype(dtype)
        if dtype == self.dtype:
            return self
        y = self.b("Cast", self, dtype=dtype, to=helper.np_dtype_to_tensor_dtype(dtype))
        y.shape = self.shape
        return y

    def _two(self, kind: str, other: Any, reflected: bool = False, dtype: Any = None) -> Expr:
        other = other if isinstance(other, Expr) else self.b.constant(np.asarray(other, self.dtype))
        pair = (other, self) if reflected else (self, other)
        return self.b(kind, *pair, dtype=dtype or self.dtype)

    def __add__(self, other: Any) -> Expr:
        return self._two("Add", other)

    def __radd__(self, other: Any) -> Expr:
        return self._two("Add", other, True)

    def __sub__(self, other: Any) -> Expr:
        return self._two("Sub", other)

    def __rsub__(self, other: Any) -> Expr:
        return self._two("Sub", other, True)

    def __mul__(self, other: Any) -> Expr:
        return self._two("Mul", other)

    def __rmul__(self, other: Any) -> Expr:
        return self._two("Mul", other, True)

    def __truediv__(self, other: Any) -> Expr:
        return self._two("Div", other)

    def __rtruediv__(self, other: Any) -> Expr:
        return self._two("Div", other, True)

    def __lt__(self, other: Any) -> Expr:
        return self._two("Less", other, dtype=BOOL)

    def __le__(self, other: Any) -> Expr:
        return self._two("LessOrEqual", other, dtype=BOOL)

    def __gt__(self, other: Any) -> Expr:
        return self._two("Greater", other, dtype=BOOL)

    def __ge__(self, other: Any) -> Expr:
        return self._two("GreaterOrEqual", other, dtype=BOOL)

    def equals(self, other: Any) -> Expr:
        """Where both are equal."""
        return self._two("Equal", other, dtype=BOOL)

    def __and__(self, other: Expr) -> Expr:
        return self.b("And", self, other, dtype=BOOL)

    def __or__(self, other: Expr) -> Expr:
        return self.b("Or", self, other, dtype=BOOL)

    def __invert__(self) -> Expr:
        return self.b("Not", self, dtype=BOOL)

    def __neg__(self) -> Expr:
        return self.b("Neg", self)

    def then(self, yes: Any, no: Any) -> Expr:
        """`yes` where it holds, else `no`; one of them at least is no Python number."""
        kind = (yes if isinstance(yes, Expr) else no).dtype
        yes, no = (x if isinstance(x, Expr) else self.b.constant(np.asarray(x, kind)) for x in (yes, no))
        return self.b("Where", self, yes, no, dtype=kind)

    def apply(self, kind: str, *others: Any, dtype: Any = None, **attributes: Any) -> Expr:
        """The result of another kind of node with this as its first input."""
        return self.b(kind, self, *others, dtype=dtype or self.dtype, **attributes)


class Builder:
    """The nodes and initialisers of a graph, as they are written."""

    def __init__(self, batch: tuple[str, int] | None):
        self.batch = batch  # an input whose axis of this number is N long
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.taken: set[str] = set()
        self._constants: dict[Any, Expr] = {}
        self._dims: dict[Any, Expr] = {}

    def unique(self, wanted: str) -> str:
        """This name, or one like it that nothing else has."""
        name, i = wanted, 2
        while name in self.taken:
            name, i = f"{wanted}_{i}", i + 1
        self.taken.add(name)
        return name

    def __call__(self, kind: str, *inputs: Any, dtype: Any = None, outputs: int = 1, **attributes: Any) -> Any:
        """The result of a new node, or the list of its results."""
        names = [x.name if isinstance(x, Expr) else x for x in inputs]
        made = [self.unique(f"{kind.lower()}_{len(self.nodes)}") for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, **attributes))
        kind_of = np.dtype(dtype) if dtype is not None else inputs[0].dtype
        results = [Expr(self, name, kind_of) for name in made]
        return results[0] if outputs == 1 else results

    def constant(self, array: Any, name: str = "") -> Expr:
        """An initialiser; small ones of the same numbers are one."""
        array = np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 and not name else None
        if key is not None and key in self._constants:
            return self._constants[key]
        name = self.unique(name or "constant")
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        made = Expr(self, name, array.dtype, array.shape)
        if key is not None:
            self._constants[key] = made
        return made

    def ints(self, numbers: Sequence[Any]) -> Expr:
        """A vector of whole numbers, of which some follow N."""
        if not any(isinstance(n, Dim) for n in numbers):
            return self.constant(np.array([int(n) for n in numbers], np.int64))
        parts = [self.dim(n) if isinstance(n, Dim) else self.constant(np.array([int(n)], np.int64)) for n in numbers]
        return parts[0] if len(parts) == 1 else self("Concat", *parts, axis=0, dtype=INT64)

    def dim(self, d: Dim) -> Expr:
        """A whole number that follows N, as a vector of one."""
        if d not in self._dims:
            if self.batch is None:
                raise ExportError("a number follows the batch size, and no input has an axis of examples")
            if None not in self._dims:
                name, axis = self.batch
                shape = self("Shape", name, dtype=INT64)
                self._dims[None] = self("Gather", shape, self.constant(np.array([axis], np.int64)), axis=0)
            low = np.lcm(d.scale.denominator, d.offset.denominator).item()
            y: Expr = self._dims[None]
            y = y if d.scale * low == 1 else y * int(d.scale * low)
            y = y if not d.offset else y + int(d.offset * low)
            if low != 1:  # rounded down, where Div rounds towards 0
                rest = y.apply("Mod", self.constant(np.array([low], np.int64)))
                y = (y - rest) / low
            self._dims[d] = y
        return self._dims[d]

    def number(self, x: Any, dtype: Any) -> Expr:
        """A number of this dtype, which may follow N, as an array without axes."""
        if isinstance(x, Dim):
            return self._without_axes(self.dim(x)).cast(dtype)
        if isinstance(x, Power):
            if dtype.kind != "f":
                raise ExportError("a fraction that follows the batch size, among whole numbers")
            wide = np.dtype(np.float64)
            base = self._without_axes(self._base(x.base)).cast(wide)
            powers = {1.0: lambda v: v, -1.0: lambda v: 1.0 / v, 0.5: lambda v: v.apply("Sqrt")}
            y = powers[x.exponent](base) if x.exponent in powers else 1.0 / base.apply("Sqrt")
            return (y * x.factor).cast(dtype)
        with np.errstate(over="ignore"):  # infinity, then, as the original has it
            return self.constant(np.asarray(x, dtype))

    def _base(self, d: Dim) -> Expr:
        if d.offset.denominator == d.scale.denominator == 1:
            return self.dim(d)
        y = self.dim(Dim(d.scale.__class__(1), d.scale.__class__(0))).cast(np.float64)
        return y * float(d.scale) + float(d.offset)

    def _without_axes(self, x: Expr) -> Expr:
        return x.apply("Squeeze", self.constant(np.array([0], np.int64)))

    def pattern(self, p: Pattern) -> Expr:
        """An array whose shape follows N."""
        kind = p.dtype if p.dtype.kind == "f" else INT64
        y = (
            self.number(p.start, kind)
            if isinstance(p.start, (Dim, Power))
            else self.constant(np.asarray(p.start, kind))
        )
        for axis, step in enumerate(p.steps):
            if step == 0 and not isinstance(step, (Dim, Power)):
                continue
            y = y + self.places(p.shape[axis], len(p.shape) - 1 - axis).cast(kind) * self.number(step, kind)
        if p.shape:
            y = self("Expand", y, self.ints(p.shape), dtype=kind)
        y = y.cast(p.dtype)
        y.shape = p.shape
        return y

    def places(self, n: Any, axes_behind: int = 0) -> Expr:
        """0, 1, ... n − 1, with so many axes of length 1 behind."""
        zero, one = (self.constant(np.asarray(i, np.int64)) for i in (0, 1))
        y = self("Range", zero, self.number(n, INT64), one, dtype=INT64)
        if axes_behind:
            y = y.apply("Reshape", self.constant(np.array([-1] + [1] * axes_behind, np.int64)))
        return y

    def array(self, constant: Any, name: str = "") -> Expr:
        """A constant of the recording."""
        if isinstance(constant, Repeated):
            return self._repeated(constant)
        return self.pattern(constant) if isinstance(constant, Pattern) else self.constant(constant, name)

    def _repeated(self, r: Repeated) -> Expr:
        shape = self.ints(r.shape)
        zero, one, length = (self.constant(np.asarray(i, np.int64)) for i in (0, 1, len(r.numbers)))
        count = self("ReduceProd", shape.cast(np.float64), keepdims=0).cast(INT64)
        places = self("Range", zero, count, one, dtype=INT64).apply("Mod", length)
        return self.reshape(self("Gather", self.constant(r.numbers), places, axis=0), r.shape)

    def operand(self, x: Any, dtype: Any) -> Expr:
        """An operand in this dtype: a value, or a Python number."""
        return self.number(x.value, np.dtype(dtype)) if isinstance(x, Number) else x.cast(dtype)

    def reshape(self, x: Expr, shape: Sequence[Any]) -> Expr:
        """The same elements in another shape."""
        follows = [i for i, n in enumerate(shape) if isinstance(n, Dim)]
        plain = [n for n in shape if not isinstance(n, Dim)]
        if len(follows) == 1 and all(plain):
            wanted = self.constant(np.array([-1 if isinstance(n, Dim) else n for n in shape], np.int64))
            y = x.apply("Reshape", wanted)
        else:
            y = x.apply("Reshape", self.ints(shape), allowzero=1)
        y.shape = tuple(shape)
        return y

    def expand(self, x: Expr, shape: Sequence[Any]) -> Expr:
        """Repeated along new and stretched axes."""
        y = x.apply("Expand", self.ints(shape)) if len(shape) else x
        y.shape = tuple(shape)
        return y

    def size(self, x: Expr, axes: Sequence[int], dtype: Any) -> Expr:
        """How many elements these axes have together."""
        lengths = self("Gather", x.apply("Shape", dtype=INT64), self.constant(np.array(axes, np.int64)), axis=0)
        n = self("ReduceProd", lengths.cast(np.float32 if dtype == np.float32 else np.float64), keepdims=0)
        return n.cast(dtype)


_ = onnx.__version__
