"""export: a network or function as an ONNX model, for every number of examples."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from tinygrad_nn import tree
from tinygrad_nn.checkpoint.files import write_whole
from tinygrad_nn.errors import ExportError
from tinygrad_nn.nn import Module, Predictor
from tinygrad_nn.onnx import checking
from tinygrad_nn.onnx.batch_size import Dim, merged
from tinygrad_nn.onnx.building import Builder, Expr
from tinygrad_nn.onnx.lowering import LOWER, REFUSED
from tinygrad_nn.onnx.recording import Recording, Ref, Step, record
from tinygrad_nn.operation import Op
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["export"]

OPSET, IR = 18, 8  # of 2023: new enough for reductions and scattering as needed, old enough for every runtime
KINDS = {"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool"}


def export(
    model_or_function: Callable, X: Any, path: str | os.PathLike | None = None, *,
    names: Sequence[str] | Mapping[str, str] | None = None, check: bool = True,
    batch_axis: int | Sequence[int | None] | None = -1,
) -> onnx.ModelProto:  # fmt: skip
    """An ONNX model that computes what a network or a function computes, for every number of examples N.

    Parameters
    ----------
    model_or_function : a `tn.nn.Module` in prediction mode (`model.eval()`), or a function of arrays or tensors that
        returns one, or a tuple or dict of them.  It is run a few times, and what it does must be the same each time.
    X : an example of the input, with one column or more: its shape and dtype are those of the model's input.  A tuple
        of several for a function of several inputs.  Of a `tn.nn.Predictor`, whose network is exported, also a table:
        what its preprocessor makes of it.
    path : file to write, too.
    names : of the inputs and then of the outputs, in order, or by the names that they have otherwise: inputs are called
        like the parameters of the function (X of a network), outputs Y, or Y0, Y1 ..., or as a dict that is returned
        says.  Parameters of a network have their paths, "layers.0.W", as in `state_dict()`.
    check : compare what the model computes with the original: at N, at N + 1 and at 1, by `onnx.reference`.
    batch_axis : the axis of the examples, which is called N and may have any length; the same of every input whose axis
        is as long as that of the first.  By default the last: examples are columns, as everywhere in this package, and
        the exported model takes (features, N) and gives (outputs, N).  0 for images (N, channels, height, width).  None
        to export for the shape of X alone.  A tuple of one for each input where they differ, ``(-1, None)``.

    Returns
    -------
    The model, an `onnx.ModelProto`, with opset 18.

    Raises
    ------
    ExportError : for an operation that ONNX does not have, by name; Python code that decides by numbers of the input;
        dropout or batch normalisation in training mode; arrays that follow N by no formula; a model that computes
        other numbers than the original.
    ImportError : without the extra `onnx`.

    >>> import numpy as np, tinygrad_nn as tn
    >>> model = tn.onnx.export(lambda X: tn.softmax(2.0 * X), np.ones((3, 5), np.float32))
    >>> from onnx.reference import ReferenceEvaluator
    >>> ReferenceEvaluator(model).run(None, {"X": np.zeros((3, 2), np.float32)})[0].shape
    (3, 2)
    """
    if not callable(model_or_function):
        raise TypeError(f"export: {type(model_or_function).__name__} is no network and no function")
    if path is not None and not Path(path).parent.is_dir():
        raise FileNotFoundError(f"export: {Path(path).parent}: there is no such folder")
    if isinstance(model_or_function, Predictor):
        X = model_or_function._network_input(X)
    several = isinstance(X, tuple)
    inputs = [_input(x, i) for i, x in enumerate(X if several else (X,))]
    if not inputs:
        raise TypeError("export: X is empty; give an example of each input")
    axes, n = _batch(inputs, batch_axis)
    sizes = _sizes(n)
    program = _recorded(model_or_function, inputs, axes, sizes)
    _refuse_too_large(program)
    given = _input_names(model_or_function, len(inputs))
    model = _written(program, axes, given, names, model_or_function)
    if check:
        checking.check(model, model_or_function, inputs, axes, n, lambda size: resized(inputs, axes, size))
    if path is not None:
        write_whole(Path(path), model.SerializeToString())
    return model


# --- inputs, and other numbers of examples ---------------------------------------------------------------------------


def _input(x: Any, i: int) -> Any:
    """An array or tensor of a dtype that ONNX has."""
    x = x if isinstance(x, (np.ndarray, Tensor)) else tensor(x).numpy()
    if x.dtype.name not in KINDS:
        raise ExportError(
            f"input {i} has dtype {x.dtype}, which is not exported: astype('float64') or 'int64' converts"
        )
    return x


def _batch(inputs: Sequence[Any], batch_axis: Any) -> tuple[list[int | None], int]:
    """The axis of the examples of each input, and how many there are."""
    if isinstance(batch_axis, (tuple, list)):
        return _each_batch(inputs, batch_axis)
    if batch_axis is None:
        return [None] * len(inputs), 0
    lengths = [x.shape[batch_axis] if -x.ndim <= batch_axis < x.ndim else None for x in inputs]
    n = next((length for length in lengths if length is not None), None)
    if n is None and batch_axis != -1:
        raise ValueError(f"export: batch_axis={batch_axis}, and X has shape {', '.join(str(x.shape) for x in inputs)}")
    if n is None:
        return [None] * len(inputs), 0
    if n == 0:
        raise ExportError("X has no example: give one column at least, by which others can be made")
    return [batch_axis % x.ndim if length == n else None for x, length in zip(inputs, lengths, strict=True)], n


def _each_batch(inputs: Sequence[Any], axes: Sequence[int | None]) -> tuple[list[int | None], int]:
    """The axis of each input as it was given."""
    if len(axes) != len(inputs):
        raise ValueError(f"export: batch_axis={axes!r} for {len(inputs)} inputs; expected one for each, None for none")
    for x, axis in zip(inputs, axes, strict=True):
        if axis is not None and not -x.ndim <= axis < x.ndim:
            raise ValueError(f"export: batch_axis={axes!r}, and an input has shape {x.shape}")
    counts = {x.shape[axis] for x, axis in zip(inputs, axes, strict=True) if axis is not None}
    if len(counts) > 1:
        raise ValueError(f"export: batch_axis={axes!r} are of different lengths, {', '.join(map(str, sorted(counts)))}")
    if counts == {0}:
        raise ExportError("X has no example: give one column at least, by which others can be made")
    found = [None if axis is None else axis % x.ndim for x, axis in zip(inputs, axes, strict=True)]
    return found, counts.pop() if counts else 0


def _sizes(n: int) -> list[int]:
    """Batch sizes to record at: small ones, as what is recorded is the same."""
    if not n:
        return [0]
    unit = n if 2 <= n <= 16 else 6
    return [unit, 2 * unit, 3 * unit]


def resized(inputs: Sequence[Any], axes: Sequence[int | None], n: int) -> list[Any]:
    """The inputs with so many examples: those there are, then the same a little smaller."""
    return [x if axis is None else _resized(x, axis, n) for x, axis in zip(inputs, axes, strict=True)]


def _resized(x: Any, axis: int, n: int) -> Any:
    if isinstance(x, Tensor):
        new = Tensor(_resized(x.numpy(), axis, n), x.tracked, x.name)
        return new
    length = x.shape[axis]
    if n == length:
        return x
    y = np.take(x, np.arange(n) % length, axis=axis)
    if x.dtype.kind == "f":
        again = (np.arange(n) // length).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        smaller = (y * (1 - again / 1024)).astype(x.dtype)
        y = np.where(y == np.floor(y), y, smaller)  # whole numbers may be those of categories
    return y


def _recorded(function: Callable, inputs: Sequence[Any], axes: Sequence[int | None], sizes: Sequence[int]) -> Recording:
    """The function recorded at these sizes, twice at the first, and as one program."""
    if sizes == [0]:
        runs = [record(function, inputs, lowers, REFUSED) for _ in range(2)]
        return merged(runs, [0, 0])
    errors: list[tuple[int, Exception]] = []
    n = next(x.shape[a] for x, a in zip(inputs, axes, strict=True) if a is not None)
    for every in (sizes, [n, 2 * n, 3 * n]):  # what divides the examples into parts holds at multiples of N
        try:
            runs = []
            for size in (every[0], *every):
                runs.append(record(function, resized(inputs, axes, size), lowers, REFUSED))
        except ExportError:
            raise
        except Exception as reason:
            errors.append((size, reason))
            continue
        merged(runs[:2], [every[0]] * 2)
        return merged(runs[1:], every)
    record(function, inputs, lowers, REFUSED)  # if the function fails at its own input, with its own error
    size, first = errors[0]
    raise ExportError(
        f"the function fails with N = {size} examples, where X has {n} ({type(first).__name__}: {first}); "
        "batch_axis=None exports it for the shape of X alone, batch_axis= says which axis of each input is N long"
    ) from first


def lowers(op: Op) -> bool:
    """Whether there is a lowering of this operation."""
    return op in LOWER


# --- the graph -------------------------------------------------------------------------------------------------------


def _input_names(function: Callable, n: int) -> list[str]:
    if isinstance(function, Module) and n == 1:
        return ["X"]
    try:
        target = function.forward if isinstance(function, Module) else function
        parameters = [
            p
            for p in inspect.signature(target).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        found = [p.name for p in parameters][:n]
    except (TypeError, ValueError):
        found = []
    return found if len(found) == n else ["X"] if n == 1 else [f"X{i}" for i in range(n)]


def _renamed(defaults: Sequence[str], names: Sequence[str] | Mapping[str, str] | None) -> list[str]:
    """The names of inputs and outputs, as they are wanted."""
    if names is None:
        return list(defaults)
    if isinstance(names, str):
        raise TypeError(f"export: names={names!r}; expected several names, ({names!r},) for one")
    if isinstance(names, Mapping):
        unknown = [name for name in names if name not in defaults]
        if unknown:
            raise ValueError(f"export: names has {unknown[0]!r}; there are {', '.join(defaults)}")
        wanted = [names.get(name, name) for name in defaults]
    else:
        if len(names) > len(defaults):
            raise ValueError(
                f"export: {len(names)} names for {len(defaults)} inputs and outputs: {', '.join(defaults)}"
            )
        wanted = [*names, *defaults[len(names) :]]
    if len(set(wanted)) < len(wanted) or not all(isinstance(name, str) and name for name in wanted):
        raise ValueError(f"export: the names {', '.join(map(repr, wanted))} are not all different")
    return wanted


def _written(
    program: Recording, axes: Sequence[int | None], given: list[str], names: Any, function: Callable
) -> onnx.ModelProto:
    defaults = [*given, *(name for name, _, _ in program.outputs)]
    if len(set(defaults)) < len(defaults):
        defaults = [*given, *(f"{name}_out" if name in given else name for name, _, _ in program.outputs)]
    wanted = _renamed(defaults, names)
    ins, outs = wanted[: len(given)], wanted[len(given) :]
    batch = next(((name, axis) for name, axis in zip(ins, axes, strict=True) if axis is not None), None)
    b = Builder(batch)
    b.taken |= set(wanted)
    values = _lowered(b, program, ins)
    for name, (_, ref, _) in zip(outs, program.outputs, strict=True):
        b.nodes.append(helper.make_node("Identity", [values[ref].name], [name]))
    graph = helper.make_graph(
        b.nodes,
        getattr(function, "__name__", type(function).__name__),
        [_info(name, x.dtype, [("N" if i == axis else d) for i, d in enumerate(x.shape)])
         for name, x, axis in zip(ins, program.inputs, axes, strict=True)],
        [_info(name, values[ref].dtype, [_length(d) for d in shape])
         for name, (_, ref, shape) in zip(outs, program.outputs, strict=True)],
        b.initializers,
    )  # fmt: skip
    return _model(_tidied(graph), function, any(a is not None for a in axes))


def _length(d: Any) -> Any:
    if not isinstance(d, Dim):
        return d
    return "N" if d.scale == 1 and d.offset == 0 else f"{d.scale}*N{f' + {d.offset}' if d.offset else ''}"


def _info(name: str, dtype: Any, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def _lowered(b: Builder, program: Recording, ins: Sequence[str]) -> dict[Ref, Expr]:
    """Each step written down, as far as something needs it."""
    needed = program.needed()
    values: dict[Ref, Expr] = {}
    for i, (name, x, shape) in enumerate(zip(ins, program.inputs, program.shapes, strict=True)):
        values[Ref("input", i)] = Expr(b, name, x.dtype, shape)
    for i, constant in enumerate(program.constants):
        if Ref("constant", i) in needed:
            values[Ref("constant", i)] = b.array(constant.array, constant.name)
    for i, step in enumerate(program.steps):
        ref = Ref("step", i)
        if ref in needed:
            values[ref] = _named(b, _one(b, step, values), program.called.get(ref, ""), values)
            values[ref].shape = tuple(step.shape)
    return values


def _one(b: Builder, step: Step, values: dict[Ref, Expr]) -> Expr:
    """One operation; an error says which."""
    args = [values[a] if isinstance(a, Ref) else a for a in step.args]
    params = tree.map(lambda x: values[x] if isinstance(x, Ref) else x, step.params)
    try:
        y: Expr = LOWER[step.op](b, Step(step.op, tuple(args), params, step.shape, step.dtype), *args)
    except ExportError as reason:
        where = f" (in {step.line})" if step.line else ""
        raise ExportError(f"{step.op.public_name} is not exported here: {reason}{where}") from None
    return y.cast(step.dtype)


def _named(b: Builder, y: Expr, name: str, values: dict[Ref, Expr]) -> Expr:
    """The value with the name of its tensor, where a node of its own makes it."""
    if not name or not b.nodes or b.nodes[-1].output[0] != y.name or any(y.name == x.name for x in values.values()):
        return Expr(b, y.name, y.dtype)
    b.nodes[-1].output[0] = new = b.unique(name)
    return Expr(b, new, y.dtype)


def _tidied(graph: Any) -> Any:
    """Without the last Identity of an output that a node of its own makes."""
    made = {node.output[0]: node for node in graph.node if len(node.output) == 1}
    read = [name for node in graph.node for name in node.input]
    for node in [*graph.node]:
        (source,) = node.input if node.op_type == "Identity" and len(node.input) == 1 else ("",)
        outputs = {info.name for info in graph.output}
        if node.op_type == "Identity" and node.output[0] in outputs and source in made and read.count(source) == 1:
            made[source].output[0] = node.output[0]
            graph.node.remove(node)
    return graph


def _model(graph: Any, function: Callable, follows: bool) -> onnx.ModelProto:
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="tinygrad_nn",
    )  # fmt: skip
    layout = "N is the number of examples, which may be any" if follows else "the shape of the input is fixed"
    notes = {"layout": layout}
    if isinstance(function, Module):
        try:
            notes["architecture"] = json.dumps(function.config())
        except (NotImplementedError, ValueError, TypeError):  # a module of one's own need not describe itself
            notes["architecture"] = type(function).__name__
    helper.set_model_props(model, notes)
    onnx.checker.check_model(model, full_check=True)
    return model


LARGEST = 2**31 - 1  # bytes of a message of protobuf


def _refuse_too_large(program: Recording) -> None:
    size = sum(c.array.nbytes for c in program.constants if isinstance(c.array, np.ndarray))
    if size > LARGEST:
        raise ExportError(
            f"the weights take {size:,} bytes, and an ONNX model in one file holds {LARGEST:,}: single precision "
            "halves them; or export the parts of the network one by one"
        )
