"""Compile: a step written in ordinary eager code, recorded once and then replayed in place on buffers made beforehand.

`tracing` runs the step on `tracers`, and `recording` notes its NumPy calls (`ir`), those of the backward pass and of
the optimiser included.  `captured` compares what else the step depends on.  `memory_plan` decides what is needed and
where results live, `codegen` makes Python source of it, `api` runs that, and `audit` sees to it that it stays right.
"""

from tinygrad_nn.compiler.api import Compiled, Program, compile  # noqa: A004  the public name
from tinygrad_nn.compiler.exports import export_stablehlo
from tinygrad_nn.errors import CompileError

__all__ = ["CompileError", "Compiled", "Program", "compile", "export_stablehlo"]
