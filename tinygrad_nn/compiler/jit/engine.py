"""The engine that runs a recorded step in functions compiled by numba, and what has no place there in NumPy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.compiler.codegen import CodeGenerator
from tinygrad_nn.compiler.ir import ArrayInput, Node
from tinygrad_nn.compiler.jit.cache import kernels_of
from tinygrad_nn.compiler.jit.expressions import expression_of
from tinygrad_nn.compiler.jit.kernel import Kernel
from tinygrad_nn.compiler.jit.layout import NotLowered
from tinygrad_nn.compiler.jit.runtime import addresses
from tinygrad_nn.compiler.memory_plan import LARGE, FusedLoop, MemoryPlan
from tinygrad_nn.compiler.numpy_engine import NumpyEngine
from tinygrad_nn.compiler.step import Step

__all__ = ["NumbaEngine"]


class NumbaPlan(MemoryPlan):
    """Small elementwise calls that have an expression are loops as well."""

    def loop_kind(self, node: Node) -> Any:
        """Calls of the same kind that follow each other run together."""
        if not self.can_be_in_a_loop(node):
            return None
        small = node.sample.ndim and 0 < node.sample.nbytes < LARGE
        return ("kernel", node.sample.shape) if small and expression_of(node) else super().loop_kind(node)


class NumbaCode(CodeGenerator):
    """A program whose calls are those of kernels, as far as these go."""

    def __init__(self, *made: Any, with_kernels: bool = True) -> None:
        self._with_kernels = with_kernels
        self._kernel: Kernel | None = None
        self._kernels: list[tuple[str, str, str]] = []  # name, signature and source
        super().__init__(*made)
        if self._kernels:
            self.namespace |= kernels_of(self._kernels)
            self.listing = "\n".join([*(source for _, _, source in self._kernels), self.listing])

    def write_calls(self, loop: FusedLoop) -> None:
        """Into the kernel, or behind it."""
        large = any(isinstance(x.sample, np.ndarray) and x.sample.nbytes >= LARGE for x in loop.calls)
        if large or loop.calls[0] in self.plan.effects:
            self.end_calls()
            super().write_calls(loop)
        elif not self._added(loop):  # one by one: on small arrays the memory for a block is that of all of them
            for call in loop.calls:
                if len(loop.calls) == 1 or not self._added(FusedLoop([call], loop.shape)):
                    self.end_calls()
                    super().write_calls(FusedLoop([call]))

    def _added(self, loop: FusedLoop) -> bool:
        """Append it to the kernel, if that can be."""
        if not self._with_kernels:
            return False
        kernel = self._kernel or Kernel(self, self.new_name("kernel"))
        try:
            kernel.add(loop)
        except NotLowered:
            return False
        self._kernel = kernel
        return True

    def end_calls(self) -> None:
        """The kernel is complete: call it."""
        kernel, self._kernel = self._kernel, None
        if kernel is None:
            return
        self._kernels.append((kernel.name, kernel.types(), kernel.source()))
        table = self.new_name("table")
        self.start.append(f"{table} = {self.function(addresses)}({', '.join(kernel.table)})")
        self.body.append(f"{kernel.name}({', '.join([table, *kernel.arguments])})")


class NumbaEngine(NumpyEngine):
    """Numba compiles what NumPy's calls would cost more than they do.

    A replay agrees with the eager step to the last bit: the order of sums is NumPy's, as its loops are, and nothing is
    contracted or approximated. So audits compare what the kernels compute.
    """

    name = "numba"
    plan_type = NumbaPlan

    def code(self, step: Step, plan: MemoryPlan, function: Callable, rebound: set[ArrayInput]) -> CodeGenerator:
        """The program; all of it in NumPy calls, with a warning, where numba fails."""
        try:
            return NumbaCode(step, plan, function, rebound)
        except Exception as wrong:
            reason = f"{type(wrong).__name__}: {str(wrong).strip().partition(chr(10))[0]}"
            text = f"tn.compile: engine='numba' could not compile the step, which runs as NumPy calls ({reason})"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
            return NumbaCode(step, plan, function, rebound, with_kernels=False)
