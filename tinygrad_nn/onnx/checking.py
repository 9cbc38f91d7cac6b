"""An exported model is compared with what it was made of, at several numbers of examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from tinygrad_nn.errors import ExportError
from tinygrad_nn.modes import no_grad
from tinygrad_nn.onnx.recording import named_results
from tinygrad_nn.tensor import Tensor

__all__ = ["check"]

# How far sums in another order may be away, in parts of the largest element
FAR = {"float16": 1e-2, "float32": 1e-5, "float64": 1e-11}


def check(
    model: onnx.ModelProto, function: Callable, inputs: Sequence[Any], axes: Sequence[int | None], n: int,
    resized: Callable[[int], list[Any]],
) -> None:  # fmt: skip
    """ExportError where the model computes something else, at N, N + 1, or 1 (where the function itself can)."""
    evaluator = ReferenceEvaluator(model)
    sizes = [n] if all(axis is None for axis in axes) else [n, n + 1, 1]
    for size in dict.fromkeys(sizes):
        given = inputs if size == n else resized(size)
        try:
            expected = _values(function, given)
        except Exception:
            if size == n:
                raise
            continue
        feed = {x.name: _plain(a) for x, a in zip(model.graph.input, given, strict=True)}
        where = "" if len(sizes) == 1 else f" with N = {size}"
        try:
            with np.errstate(all="ignore"):
                got: Any = evaluator.run(None, feed)
        except Exception as reason:
            raise ExportError(f"the exported model fails{where}: {type(reason).__name__}: {reason}; {_ASK}") from reason
        for k, info in enumerate(model.graph.output):
            different = _difference(info.name, np.asarray(got[k]), expected[k])
            if different:
                _refuse_what_changes(function, given, expected)
                ask = _ASK if size == n else _FOLLOWS
                if got[k].ndim != expected[k].ndim and size == 1:
                    ask = "with one example the function drops an axis, as squeeze does: name the axes to drop"
                raise ExportError(f"{different}{where}; {ask}")


_ASK = "please report it; check=False exports it all the same"
_FOLLOWS = (
    "something in the function depends on N in a way that no formula a·N + b follows, as N % 2 and a branch on N do: "
    "compute it with operations on X, or export for the shape of X alone by batch_axis=None; if nothing does, please report it"
)


def _plain(x: Any) -> np.ndarray:
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)


def _values(function: Callable, given: Sequence[Any]) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        results = [x for _, x in named_results(function(*given))]
    with no_grad():
        return [np.array(_plain(x.detach() if isinstance(x, Tensor) else x)) for x in results]


def _refuse_what_changes(function: Callable, given: Sequence[Any], expected: Sequence[np.ndarray]) -> None:
    for a, b in zip(expected, _values(function, given), strict=True):
        if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            raise ExportError(
                "the function returns other numbers at its second call, on the same input: it draws at random, or adds "
                "to something that it keeps, as backward() adds to .grad; tn.grad and tn.gradients keep nothing"
            )


def _difference(name: str, got: np.ndarray, expected: np.ndarray) -> str:
    """How they differ, "" if they agree up to rounding."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return (
            f"{name} of the exported model has shape {got.shape} and dtype {got.dtype}, the original's "
            f"{expected.shape} and {expected.dtype},"
        )
    if expected.dtype.kind != "f":
        return "" if (got == expected).all() else f"{name} of the exported model differs"
    finite = np.abs(expected[np.isfinite(expected)]).astype(np.float64)
    close = FAR[expected.dtype.name] * max(1.0, np.max(finite, initial=0.0))
    with np.errstate(all="ignore"):
        difference = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    agree = (difference <= close) | (got == expected) | (np.isnan(got) & np.isnan(expected))
    return "" if agree.all() else f"{name} of the exported model is off by {np.max(difference, initial=0.0):.3g}"
