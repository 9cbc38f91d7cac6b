"""What a function does to its inputs, as a list of table operations: its run at one batch size is recorded."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.batched import Batched
from tinygrad_nn.errors import ExportError
from tinygrad_nn.modes import Interpreter, interpreted_by
from tinygrad_nn.mutation import clock
from tinygrad_nn.nn import BatchNorm, Dropout
from tinygrad_nn.numpy_protocol import ABOUT_VALUES, array_function, array_ufunc
from tinygrad_nn.operation import Op
from tinygrad_nn.ops.elementwise import astype
from tinygrad_nn.origin import INTERNAL
from tinygrad_nn.rule_trees import Placeholder
from tinygrad_nn.tensor import Tensor

__all__ = ["Constant", "Number", "Recording", "Ref", "Step", "named_results", "record"]

_OF_SHAPES = {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj, np.zeros_like, np.ones_like,
              np.empty_like, np.full_like, np.can_cast, np.common_type}  # fmt: skip
_NUMPY = os.path.dirname(np.__file__)
_ALONE = {np.may_share_memory, np.shares_memory}


@dataclass(frozen=True)
class Ref:
    """A value of the recording: an input, a constant, or the result of a step."""

    kind: str
    at: int


@dataclass(frozen=True)
class Number:
    """A Python number among the operands: it leaves the dtype of arrays alone."""

    value: float


@dataclass(frozen=True)
class Constant:
    """An array that does not depend on the inputs; `name` is its own, or ""; `line` is where it was used first."""

    array: np.ndarray
    name: str = ""
    line: str = ""


@dataclass
class Step:
    """One operation; operands are `Ref`, `Number` or None, and so may parts of an index among the parameters be."""

    op: Op
    args: tuple[Any, ...]
    params: dict[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype
    line: str = ""


@dataclass
class Recording:
    """A run: steps in order, constants, what is returned (names and values), and what results are called."""

    inputs: list[np.ndarray]
    steps: list[Step] = field(default_factory=list)
    constants: list[Constant] = field(default_factory=list)
    outputs: list[tuple[str, Ref, np.ndarray]] = field(default_factory=list)
    called: dict[Ref, str] = field(default_factory=dict)
    shapes: list[Any] = field(default_factory=list)  # of the inputs

    def needed(self) -> set[Ref]:
        """What the outputs depend on."""
        found = {ref for _, ref, _ in self.outputs}
        for i, step in reversed(list(enumerate(self.steps))):
            if Ref("step", i) in found:
                found |= {a for a in (*step.args, *tree.leaves(step.params)) if isinstance(a, Ref)}
        return found


def _line() -> str:
    """The line outside of this package and of NumPy that asked for what is done now, as ``file:line``."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and (INTERNAL[frame.f_code.co_filename] or _NUMPY in frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


class Value(Placeholder):
    """Stands for an array while a function is exported; one that depends on an input tells no number."""

    __slots__ = ("fixed", "ref")
    __hash__ = object.__hash__

    def __init__(self, trace: Any, ref: Ref, sample: np.ndarray, fixed: bool):
        super().__init__(trace, "", sample)
        self.ref, self.fixed = ref, fixed

    known = property(lambda self: self.fixed)
    nbytes = property(lambda self: self.sample.nbytes)
    itemsize = property(lambda self: self.sample.itemsize)
    base = None
    real = property(lambda self: self)

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None = None) -> Any:
        for a in args:
            if type(a) in (Tensor, Batched):  # which record what this is part of
                return a.__record__(op, args, params)
        return self._trace.carry_out(op, args, params or {})

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(type(x) in (Tensor, Batched) for x in inputs):
            return NotImplemented
        if kwargs.get("out") is not None:
            raise ExportError(_IN_PLACE.format(f"np.{ufunc.__name__}(..., out=)"))
        return array_ufunc(self, ufunc, method, *inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if any(kind in (Tensor, Batched) for kind in types):
            return NotImplemented
        if function in _ALONE:
            return False
        values = [x for x in tree.leaves((args, kwargs)) if isinstance(x, Value)]
        if function in _OF_SHAPES or (function in ABOUT_VALUES and all(x.fixed for x in values)):
            args, kwargs = tree.map(lambda x: x.sample if isinstance(x, Value) else x, (args, kwargs))
            return function(*args, **kwargs)
        if function in ABOUT_VALUES:
            raise ExportError(_LOOKS.format(f"np.{function.__name__}"))
        return array_function(self, function, types, args, kwargs)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise ExportError(_IN_PLACE.format("x[...] = values"))

    def copy(self, order: Any = "K") -> Value:
        """Itself: nobody writes into it."""
        return self

    def as_index(self) -> Any:
        """Itself, among the parameters of an operation; a constant as its numbers."""
        if self.fixed:
            return np.array(self.sample)
        if self.dtype.kind == "b" and self.ndim:
            raise ExportError(
                "a mask selects as many elements as the numbers of the input say, and the shapes of an ONNX graph do "
                "not depend on numbers: tn.where(mask, x, 0.0) keeps the shape"
            )
        return self

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))


_LOOKS = (
    "{} looks at numbers that depend on the input, and what an ONNX graph does cannot depend on them: write a choice "
    "with tn.where, or keep this line out of what is exported"
)
_IN_PLACE = "{} writes into an array in place, which a graph cannot: compute a new one, as tn.index_update does"


def _reading(name: str, what: str) -> Callable:
    def read(self: Value, *args: Any, **kwargs: Any) -> Any:
        if not self.fixed:
            raise ExportError(_LOOKS.format(what))
        return getattr(self.sample, name)(*args, **kwargs)

    return read


for _name in ("bool", "float", "int", "index", "complex", "round", "format", "contains"):
    setattr(Value, f"__{_name}__", _reading(f"__{_name}__", f"{_name}()"))
for _name in ("item", "tolist"):
    setattr(Value, _name, _reading(_name, f"{_name}()"))


def _as_array(self: Value, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    if not self.fixed:
        raise ExportError(_LOOKS.format("a conversion to an array (np.asarray, .numpy())"))
    return np.array(self.sample, dtype=dtype)


Value.__array__ = _as_array  # type: ignore[attr-defined]


class Trace(Interpreter):
    """Carries out the operations of one run, and takes notes."""

    def __init__(self, lowers: Callable[[Op], bool], refused: Mapping[Op, str], inputs: Sequence[np.ndarray]):
        self.lowers, self.refused = lowers, refused
        self.recording = Recording(list(inputs), shapes=[x.shape for x in inputs])
        self.inside: list[Op] = []
        self.start = next(clock)
        self.stand_ins: dict[int, tuple[Any, Tensor]] = {}
        self.of_arrays: dict[int, tuple[Any, Value]] = {}
        self.names: dict[int, str] = {}

    # -- what is seen

    def tensor(self, t: Any) -> Any:
        """The stand-in of a tensor; one that was made meanwhile is its own."""
        if t.index > self.start or any(t is stand_in for _, stand_in in self.stand_ins.values()):
            return t
        if id(t) not in self.stand_ins:
            value = self.constant(t._value, self.names.get(id(t)) or t.name or "")
            stand_in = Tensor(value, t.tracked, t.name)
            stand_in.index = t.index
            self.stand_ins[id(t)] = t, stand_in
        return self.stand_ins[id(t)][1]

    def operand(self, x: Any, name: str = "") -> Any:
        """The stand-in of a tensor; anything else as it is."""
        return self.tensor(x) if type(x) is Tensor else x

    def entered(self, module: Any) -> None:
        """A module runs: its tensors have names, and no part of it may draw or measure."""
        for path, t in module.named_tensors():
            self.names.setdefault(id(t), path)
        for path, part in module.named_modules():
            where = f"layer {path!r}" if path else "the model"
            draws = isinstance(part, Dropout) and part.p > 0
            if part.training and (draws or isinstance(part, BatchNorm)):
                does = "draws a mask at random" if draws else "measures the batch"
                raise ExportError(
                    f"{where} is a {type(part).__name__} in training mode, which {does} at each call: "
                    "call model.eval() first"
                )

    def constant(self, array: Any, name: str = "") -> Value:
        """An array that the function has from elsewhere, noted once."""
        known = self.of_arrays.get(id(array))
        if known is None or not _same(known[1].sample, array):  # it may have been written to since
            constants = self.recording.constants
            constants.append(Constant(np.array(array), name, _line()))
            value = Value(self, Ref("constant", len(constants) - 1), constants[-1].array, fixed=True)
            self.of_arrays[id(array)] = known = array, value
        return known[1]

    # -- what is recorded

    def carry_out(self, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """The value of one operation: a step of its own, or what its function consists of."""
        values = [x for x in tree.leaves((list(args), params)) if isinstance(x, Value)]
        if not values:
            return op.compute(args, params)
        for value in tree.leaves(params):
            if isinstance(value, np.random.Generator):
                raise ExportError(f"{op.public_name} draws random numbers at each call: call model.eval() first")
        fixed = all(x.fixed for x in values)
        if op in self.refused and not fixed:
            raise ExportError(f"{op.public_name} is not exported: {self.refused[op]}{self._where()}")
        if op in self.inside or self.lowers(op):
            return self._noted(op, args, params, fixed)
        if fixed:
            args, params = tree.map(lambda x: x.sample if isinstance(x, Value) else x, (list(args), params))
            return self.constant(np.asarray(op.compute(args, params)))
        return self._written_out(op, args, params)

    def _written_out(self, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Any:
        self.inside.append(op)
        try:
            result = (op.lowered or op.forward)(*args, **params)
        except ExportError as reason:
            if op.public_name in str(reason):
                raise
            raise ExportError(f"{op.public_name} is not exported: {reason}{self._where()}") from None
        except Exception as reason:  # a function may do anything
            said = f"{type(reason).__name__}: {reason}"
            raise ExportError(
                f"{op.public_name} is not exported: its function is more than a list of operations ({said})"
                f"{self._where()}"
            ) from reason
        finally:
            self.inside.pop()
        if isinstance(result, (np.ndarray, np.generic, float, int)):
            raise ExportError(
                f"{op.public_name} is not exported: its function gave numbers that do not follow the input"
                f"{self._where()}"
            )
        return self._as_computed(op, args, params, result)

    def _as_computed(self, op: Op, args: Sequence[Any], params: dict[str, Any], result: Any) -> Any:
        """In the dtype that the operation itself gives: simpler operations may widen."""
        samples, settings = tree.map(lambda x: x.sample if isinstance(x, Value) else x, (list(args), params))
        with np.errstate(all="ignore"):
            dtype = np.asarray(op.compute(samples, settings)).dtype
        return result if result.dtype == dtype else self.carry_out(astype, (result,), {"dtype": dtype})

    def _noted(self, op: Op, args: Sequence[Any], params: dict[str, Any], fixed: bool) -> Value:
        samples, settings = tree.map(lambda x: x.sample if isinstance(x, Value) else x, (list(args), params))
        with np.errstate(all="ignore"):
            sample = np.asarray(op.compute(samples, settings))
        refs = tuple(map(self.ref, args))
        noted = tree.map(lambda x: x.ref if isinstance(x, Value) else x, params)
        steps = self.recording.steps
        steps.append(Step(op, refs, noted, sample.shape, sample.dtype, _line()))
        return Value(self, Ref("step", len(steps) - 1), sample, fixed)

    def ref(self, a: Any) -> Any:
        """How an operand is written down."""
        if isinstance(a, Tensor):
            a = self.tensor(a)._value
        if isinstance(a, Value):
            return a.ref
        if a is None or type(a) in (int, float, bool):
            return None if a is None else Number(a)
        return self.constant(a).ref

    def _where(self) -> str:
        return f" (in {_line()})"


def _same(a: np.ndarray, b: Any) -> bool:
    b = np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def record(
    function: Callable, inputs: Sequence[Any], lowers: Callable[[Op], bool], refused: Mapping[Op, str]
) -> Recording:
    """One run of a function on these arrays and tensors."""
    arrays = [np.asarray(x._value if isinstance(x, Tensor) else x) for x in inputs]
    trace = Trace(lowers, refused, arrays)
    given: list[Any] = []
    for i, (x, array) in enumerate(zip(inputs, arrays, strict=True)):
        value = Value(trace, Ref("input", i), array, fixed=False)
        given.append(Tensor(value, x.tracked, x.name) if isinstance(x, Tensor) else value)
    with interpreted_by(trace):
        result = function(*given)
    _note_outputs(trace, result)
    return trace.recording


def _note_names(recording: Recording, root: Tensor) -> None:
    """What the tensors are called that an output was made from."""
    seen, stack = {id(root)}, [root]
    while stack:
        t = stack.pop()
        if t.name and isinstance(t._value, Value):
            recording.called[t._value.ref] = t.name
        for x in t.inputs:
            if isinstance(x, Tensor) and id(x) not in seen:  # an input of the function is no tensor
                seen.add(id(x))
                stack.append(x)


def named_results(result: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """What a function returned, with names: Y; Y0, Y1 ... of several; keys of a dict; "key.0" of what is within one."""
    if isinstance(result, Mapping):
        for key, x in result.items():
            yield from named_results(x, f"{path}.{key}" if path else str(key))
    elif isinstance(result, (tuple, list)):
        for i, x in enumerate(result):
            name = f"{path}.{i}" if path else f"Y{i}" if len(result) > 1 else "Y"
            yield from named_results(x, name)
    else:
        yield path or "Y", result


def _note_outputs(trace: Trace, result: Any) -> None:
    parts = list(named_results(result))
    if not parts:
        raise ExportError("the function returned nothing: return a tensor, an array, or a tuple or dict of them")
    for name, x in parts:
        if isinstance(x, Tensor):
            _note_names(trace.recording, x)
        value = x._value if isinstance(x, Tensor) else x
        if isinstance(value, (int, float, np.ndarray, np.generic)) and not isinstance(value, bool):
            value = trace.constant(np.asarray(value))
        if not isinstance(value, Value):
            raise ExportError(
                f"the function returned {name} of type {type(x).__name__}: expected a tensor, an array, or a tuple or "
                "dict of them"
            )
        trace.recording.outputs.append((name, value.ref, value.sample))
