"""Which part of an array each device holds: some of the examples, or some of the rows of a parameter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tinygrad_nn.compiler.ir import ArrayInput
from tinygrad_nn.tensor import Tensor

__all__ = ["Layout"]


class Layout:
    """Where arrays are: on one device, or divided over a mesh.

    Data are divided along `batch_axis` over the first axis of the mesh; single numbers are on every device.
    Parameters, and their state, are on every device of the first axis; where the mesh has a second, matrices are
    divided over it by rows.
    """

    def __init__(self, mesh: Any, batch_axis: int):
        if mesh is not None and not isinstance(mesh, Mesh):
            raise TypeError(
                f"tn.compile: mesh is of type {type(mesh).__name__}, expected a jax.sharding.Mesh, as "
                "jax.make_mesh((8,), ('data',)) gives"
            )
        if mesh is not None and len(mesh.axis_names) > 2:
            raise ValueError(
                f"tn.compile: mesh has the axes {', '.join(map(repr, mesh.axis_names))}, expected one, which divides "
                "the examples, or two, of which the second divides the rows of parameters"
            )
        # of its own, whose axes are XLA's to use: `jax.make_mesh` may give axes that each operation is told about
        self.mesh = None if mesh is None else Mesh(mesh.devices, mesh.axis_names)
        self.batch_axis = batch_axis
        self._lengths = [*mesh.shape.values()] if mesh is not None else []

    def check(self, arguments: Sequence[tuple[str, Any]]) -> None:
        """ValueError for a batch that the devices do not divide evenly; a length of 1 is no number of examples."""
        if self.mesh is None:
            return
        for path, x in arguments:
            shape = x.shape if isinstance(x, (np.ndarray, Tensor)) else ()
            axis, devices = self._axis(shape), self._lengths[0]
            if axis is not None and shape[axis] > 1 and shape[axis] % devices:
                raise ValueError(
                    f"tn.compile: {path} has shape {shape}, and the {devices} devices along the mesh's axis "
                    f"{self.mesh.axis_names[0]!r} do not divide its {shape[axis]} examples (batch_axis="
                    f"{self.batch_axis}) evenly: pass batches of a multiple of {devices}; an array that is no batch "
                    "is not passed but kept in a tensor that the step names"
                )

    def _axis(self, shape: tuple[int, ...]) -> int | None:
        """Which axis counts the examples, if the array has it."""
        axis = self.batch_axis + len(shape) if self.batch_axis < 0 else self.batch_axis
        return axis if 0 <= axis < len(shape) else None

    def of_input(self, of: ArrayInput) -> Any:
        """The sharding of an input of a step."""
        shape = of.node.sample.shape
        return self.of_data(shape) if of.argument is not None and of.kind == "argument" else self.of_state(shape)

    def of_data(self, shape: tuple[int, ...]) -> Any:
        """Of an argument."""
        if self.mesh is None:
            return None
        axis, names = self._axis(shape), [None] * len(shape)
        if axis is not None and shape[axis] and shape[axis] % self._lengths[0] == 0:
            names[axis] = self.mesh.axis_names[0]
        return NamedSharding(self.mesh, PartitionSpec(*names))

    def of_state(self, shape: tuple[int, ...]) -> Any:
        """Of a parameter, or of what belongs to one."""
        if self.mesh is None:
            return None
        names: list[Any] = [None] * len(shape)
        if len(self._lengths) > 1 and len(shape) > 1 and shape[0] and shape[0] % self._lengths[1] == 0:
            names[0] = self.mesh.axis_names[1]
        return NamedSharding(self.mesh, PartitionSpec(*names))

    def put(self, x: Any, sharding: Any) -> Any:
        """An array on its devices; one of NumPy's as a copy, as JAX may read the memory later, when it has changed."""
        x = x if isinstance(x, jax.Array) else np.array(x)
        return x if sharding is None else jax.device_put(x, sharding)

    def has(self, x: jax.Array, sharding: Any) -> bool:
        """Whether an array is on these devices in this way."""
        if sharding is None:
            return len(x.sharding.device_set) == 1
        return bool(x.sharding.is_equivalent_to(sharding, x.ndim))

    def constrained(self, function: Callable, shardings: Sequence[Any]) -> Callable:
        """A function whose outputs are divided in these ways."""
        if self.mesh is None:
            return function

        def divided(*args: Any) -> Any:
            out, holds = function(*args)
            pairs = zip(out, shardings, strict=True)
            return [x if s is None else jax.lax.with_sharding_constraint(x, s) for x, s in pairs], holds

        return divided
