"""`tn.export_stablehlo`: what can be asked for without JAX, which is loaded when it is called."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["export_stablehlo"]


def export_stablehlo(
    model: Any, path: str | os.PathLike, *, X: Any = None, batch_axis: int = -1, check: bool = True
) -> Path:
    """Write a model's prediction to a file of StableHLO, for CPUs, GPUs and TPUs, with any number of examples.

    The file is what `jax.export` serialises, and runs in a program that has JAX and not this package::

        tn.export_stablehlo(model, "model.stablehlo")
        run = jax.export.deserialize(pathlib.Path("model.stablehlo").read_bytes()).call
        prediction = run(X)

    `deserialize(...).mlir_module()` shows the StableHLO.  A file of float64 needs ``jax_enable_x64`` where it is run.
    A number that is no category gives NaN there, where `tn.nn.Embedding` raises ValueError.

    Parameters
    ----------
    model : a `tn.nn.Module`, written as it is in prediction (`eval()`), or a function of one tensor.
    path : the file, which is replaced.
    X : an example of a batch, of a `tn.nn.Predictor` also a table; not needed where the model begins with a Dense
        layer, or a preprocessor makes what it takes.  Of its examples the batches are made that the file is compared
        with.
    batch_axis : which axis of X counts the examples: -1 for columns, 0 for images (N, channels, height, width).
    check : run what was written at two batch sizes, and compare it with the model.

    Returns the path.

    Raises
    ------
    CompileError : an operation that JAX has not, a choice by numbers, random numbers in prediction, or a
        result that depends on N in another way than the model's.  Nothing is written.
    ValueError : there is no example and none can be made up, or `batch_axis` is no axis of it.
    ImportError : JAX is not installed (extra `jax`).

    Source: https://docs.jax.dev/en/latest/export/export.html
    """
    exporting = import_module("tinygrad_nn.compiler.xla.exporting")
    return exporting.written(model, path, X, batch_axis, check)
