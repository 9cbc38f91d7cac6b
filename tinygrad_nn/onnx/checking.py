"""An exported model is compared with what it was made of, at several numbers of examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from tinygrad_nn.errors import ExportError
from tinygrad_nn.modes import no_grad
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
    for size in sizes:
        given = inputs if size == n else resized(size)
        try:
            with np.errstate(all="ignore"):
                expected = _values(function(*given))
        except Exception:
            if size == n:
                raise
            continue
        feed = {x.name: _plain(a) for x, a in zip(model.graph.input, given, strict=True)}
        where = "" if sizes == [n] else f" with N = {size}"
        try:
            with np.errstate(all="ignore"):
                got = evaluator.run(None, feed)
        except Exception as reason:
            raise ExportError(f"the exported model fails{where}: {type(reason).__name__}: {reason}; {_ASK}") from reason
        for info, a, b in zip(model.graph.output, got, expected, strict=True):
            _compare(info.name, np.asarray(a), b, where)


_ASK = "please report it; check=False exports it all the same"


def _plain(x: Any) -> np.ndarray:
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)


def _values(result: Any) -> list[np.ndarray]:
    if isinstance(result, Mapping):
        result = tuple(result.values())
    with no_grad():
        return [_plain(x.detach() if isinstance(x, Tensor) else x) for x in
                (result if isinstance(result, (tuple, list)) else (result,))]  # fmt: skip


def _compare(name: str, got: np.ndarray, expected: np.ndarray, where: str) -> None:
    if got.shape != expected.shape or got.dtype != expected.dtype:
        raise ExportError(
            f"{name} of the exported model has shape {got.shape} and dtype {got.dtype}{where}, the original's "
            f"{expected.shape} and {expected.dtype}; {_ASK}"
        )
    if expected.dtype.kind != "f":
        same, off = bool((got == expected).all()), "differs"
    else:
        finite = np.abs(expected[np.isfinite(expected)]).astype(np.float64)
        close = FAR[expected.dtype.name] * max(1.0, np.max(finite, initial=0.0))
        with np.errstate(all="ignore"):
            difference = np.abs(got.astype(np.float64) - expected.astype(np.float64))
        agree = (difference <= close) | (got == expected) | (np.isnan(got) & np.isnan(expected))
        same, off = bool(agree.all()), f"is off by {np.max(difference, initial=0.0):.3g}"
    if not same:
        raise ExportError(f"{name} of the exported model {off}{where}; {_ASK}")
