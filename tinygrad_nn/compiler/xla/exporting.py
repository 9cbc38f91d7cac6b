"""A model as a StableHLO file: other programs, and machines without this package, run it at any batch size."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn.away import here
from tinygrad_nn.errors import CompileError
from tinygrad_nn.modes import Interpreter, interpreted_by, no_grad
from tinygrad_nn.operation import Op
from tinygrad_nn.tensor import Tensor

try:
    import jax
    import jax.export
except ImportError as missing:
    raise ImportError("tn.export_stablehlo needs JAX: pip install 'tinygrad_nn[jax]'") from missing

from tinygrad_nn.compiler.xla.lowered import Choices, Lowered, UndecidedError, plain

__all__ = ["written"]

_PLATFORMS = ("cpu", "cuda", "tpu")
_SIZES = (3, 5)  # of the batches at which the file is compared with the model


class _InJax(Interpreter):
    """Carries out operations with JAX's functions: parameters are constants of the file."""

    def __init__(self, choices: Choices):
        self._choices = choices
        self._stand_ins: dict[int, tuple[Tensor, Tensor]] = {}

    def tensor(self, t: Tensor) -> Tensor:
        """A tensor of the same value, on JAX's side."""
        if isinstance(t._value, Lowered):
            return t
        if id(t) not in self._stand_ins:
            stand_in = Tensor(Lowered(jax.numpy.asarray(here(t._value)), self._choices), False, t.name)
            stand_in.index = t.index
            self._stand_ins[id(t)] = t, stand_in
        return self._stand_ins[id(t)][1]

    def operand(self, x: Any, name: str = "") -> Any:
        """Tensors are exchanged, arrays are constants."""
        return self.tensor(x) if isinstance(x, Tensor) else x

    def carry_out(self, op: Op, values: Sequence[Any], params: dict[str, Any]) -> Any:
        """One operation."""
        value = next((v for v in values if isinstance(v, Lowered)), None)
        return op.forward(*values, **params) if value is None else value.__record__(op, tuple(values), params)


def _refuse_keys(generator: Any) -> Any:
    raise CompileError(
        "tn.export_stablehlo: the model draws random numbers in prediction, and a file could only draw the same ones "
        "again: draw them outside, and make them an argument of a function of your own"
    )


def _in_jax(model: Callable) -> Callable:
    """A model as a function of JAX's arrays."""

    def function(X: Any) -> Any:
        choices = Choices((), _refuse_keys)
        try:
            with no_grad(), interpreted_by(_InJax(choices)):
                y = model(Tensor(Lowered(X, choices)))
        except UndecidedError:
            raise CompileError(
                "tn.export_stablehlo: the model decides something by the numbers that it is given, and the file would "
                "decide the same for all of them: write the choice with tn.where"
            ) from None
        if not isinstance(y, Tensor):
            raise TypeError(f"tn.export_stablehlo: the model returns a {type(y).__name__}, expected a tensor")
        return plain(y._value)

    return function


def _example(model: Any, X: Any) -> tuple[np.ndarray, bool]:
    """A batch of the kind that the model takes, and whether its numbers are such as it takes, or any would do."""
    if X is not None:
        X = model._network_input(X) if hasattr(model, "_network_input") else X
        return np.asarray(X.value if isinstance(X, Tensor) else X), True
    for module in model.modules() if hasattr(model, "modules") else ():
        made = module._example_columns(2) if hasattr(module, "_example_columns") else None
        if made is not None:
            return made, True
        W = vars(module).get("W")
        if isinstance(W, Tensor) and W.ndim == 2:
            return np.zeros((W.shape[1], 2), W.dtype), False
        if any(isinstance(x, Tensor) for x in vars(module).values()):
            break
    raise ValueError(
        "tn.export_stablehlo: the shape of a batch cannot be read off the model, which does not begin with a Dense "
        "layer: give an example, X="
    )


def written(model: Any, path: str | os.PathLike, X: Any, batch_axis: int, check: bool) -> Path:
    """What `tn.export_stablehlo` does."""
    (like, meant), path = _example(model, X), Path(path)
    if not -like.ndim <= batch_axis < like.ndim:
        raise ValueError(f"tn.export_stablehlo: batch_axis={batch_axis} is no axis of X, which has shape {like.shape}")
    modules = [*model.modules()] if hasattr(model, "modules") else []
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        with jax.enable_x64(True):
            exported = _exported(_in_jax(model), like, batch_axis)
            if check:
                _compare(exported, model, like, batch_axis, meant)
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
    path.write_bytes(bytes(exported.serialize()))
    return path


def _exported(function: Callable, like: np.ndarray, batch_axis: int) -> Any:
    shape: list[Any] = [*like.shape]
    (shape[batch_axis],) = jax.export.symbolic_shape("N")
    given = jax.ShapeDtypeStruct(tuple(shape), like.dtype)
    try:
        return jax.export.export(jax.jit(function), platforms=_PLATFORMS)(given)
    except (CompileError, TypeError) as reason:
        if isinstance(reason, CompileError) or str(reason).startswith("tn."):
            raise
        raise _not_exported(reason) from reason
    except Exception as reason:
        raise _not_exported(reason) from reason


def _not_exported(reason: Exception) -> CompileError:
    text = str(reason).partition("\n")[0]
    return CompileError(f"tn.export_stablehlo: the model cannot be written for a number of examples left open: {text}")


def _compare(exported: Any, model: Callable, like: np.ndarray, batch_axis: int, meant: bool) -> None:
    """CompileError where the file's function is not the model at some batch size.

    Batches are made of the examples that there are, which may be numbers of categories, where that is `meant`.
    """
    rng = np.random.default_rng(0)
    for n in _SIZES:
        shape = [*like.shape]
        shape[batch_axis] = n
        if meant and like.size:
            X = np.take(like, rng.integers(0, like.shape[batch_axis], n), axis=batch_axis)
        else:
            X = rng.standard_normal(shape).astype(like.dtype)
        with no_grad():
            expected = model(Tensor(X)).value
        got = np.asarray(jax.jit(exported.call)(X))
        tolerance = 100 * float(np.sqrt(like.size)) * float(np.finfo(expected.dtype).eps)
        if got.shape != expected.shape or not np.allclose(got, expected, rtol=tolerance, atol=tolerance):
            raise CompileError(
                f"tn.export_stablehlo: for {n} examples the file's function gives another result than the model, of "
                f"shape {got.shape} and not {expected.shape}, or other numbers: something in it depends on N"
            )
