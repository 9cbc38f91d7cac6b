"""The engine of JAX: what a step records is one function there, compiled by XLA for CPUs, GPUs, TPUs and meshes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_nn.compiler.ir import ArrayInput
from tinygrad_nn.compiler.memory_plan import MemoryPlan
from tinygrad_nn.compiler.numpy_engine import NumpyEngine
from tinygrad_nn.compiler.step import Step

try:
    import jax
except ImportError as missing:
    raise ImportError("engine='jax' needs JAX: pip install 'tinygrad_nn[jax]'") from missing

from tinygrad_nn.compiler.xla.code import JaxCode
from tinygrad_nn.compiler.xla.draws import Draws
from tinygrad_nn.compiler.xla.launch import Launch
from tinygrad_nn.compiler.xla.sharding import Layout

__all__ = ["JaxEngine"]


class JaxEngine(NumpyEngine):
    """Emits a recorded step as a function of JAX, on one device or on a mesh of several."""

    name = "jax"
    exact = False

    def __init__(self, mesh: jax.sharding.Mesh | None = None, batch_axis: int = -1):
        self.layout = Layout(mesh, batch_axis)

    def drawing(self) -> Draws:
        """Numbers from the keys of a step."""
        return Draws()

    def check(self, arguments: Sequence[tuple[str, Any]]) -> None:
        """ValueError for a batch that the devices do not divide evenly."""
        self.layout.check(arguments)

    def moving(self, step: Step) -> list[ArrayInput]:
        """Tensors: when their value comes from the devices, it is in new memory."""
        return [of for of in step.inputs if of.tensor is not None and of.argument is None and of.kind == "value"]

    def settle(self) -> None:
        """Nothing: a launch finds the state where it is."""

    def code(self, step: Step, plan: MemoryPlan, function: Callable, rebound: set[ArrayInput]) -> JaxCode:
        """Guards in Python around one function of JAX."""
        return JaxCode(step, plan, function, rebound, functools.partial(Launch, layout=self.layout))
