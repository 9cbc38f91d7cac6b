"""Calls the function of JAX that a step became: with its values where they are, its results left on the devices."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from tinygrad_nn.away import Away
from tinygrad_nn.compiler.homes import bits_of, put_back, saved
from tinygrad_nn.compiler.ir import ArrayInput, Node
from tinygrad_nn.compiler.memory_plan import MemoryPlan
from tinygrad_nn.compiler.step import Step
from tinygrad_nn.compiler.xla.draws import seed_from
from tinygrad_nn.compiler.xla.emission import Emission
from tinygrad_nn.compiler.xla.lowered import Answers
from tinygrad_nn.compiler.xla.sharding import Layout
from tinygrad_nn.compiler.xla.state import StateHome, home_of, leave, placed
from tinygrad_nn.errors import CompileError
from tinygrad_nn.tensor import Lent, Tensor

__all__ = ["Launch", "fetched"]


def fetched(device: Any, scalar: bool) -> Any:
    """A value of a device as an array, or a number, of the caller's own."""
    array = np.array(device)
    return array[()] if scalar else array


# How functions of a plan decide: a program that is written anew has its recorded arrays no more.
_ANSWERS: weakref.WeakKeyDictionary[MemoryPlan, dict[Node, Answers]] = weakref.WeakKeyDictionary()


def _check_dtype(of: ArrayInput) -> None:
    """CompileError for numbers that NumPy has and JAX has not: those of another byte order, and long doubles."""
    dtype, shape = of.node.sample.dtype, of.node.sample.shape
    if not dtype.isnative or dtype == np.longdouble != np.float64:
        usual = "float64" if dtype.isnative else dtype.newbyteorder("=").name
        raise CompileError(
            f"an array of the step, of shape {shape}, has dtype {dtype}, which JAX does not have: .astype({usual!r}) "
            "converts it; engine='numpy' takes it as it is"
        )


class Launch:
    """One recorded step on the devices.

    `__call__(values, numbers)` takes what each input is at this moment (a tensor, an array), and returns the outputs,
    or None where the step itself has to be carried out.  `store` puts the new state where it belongs.
    """

    def __init__(self, step: Step, plan: MemoryPlan, live: Sequence[Node], outputs: Sequence[Node], layout: Layout):
        inputs = [of for of in step.inputs if of.node in plan.live]
        for of in inputs:
            _check_dtype(of)
        self._of = inputs
        self.layout = layout
        answers = _ANSWERS.setdefault(plan, {})
        self.emission = Emission(live, [of.node for of in inputs], outputs, answers)
        self._homes = _homes_of(step)
        self._written = [(of, outputs.index(plan.written[of.node])) for of in inputs if of.node in plan.written]
        self._kinds = [layout.of_input(of) for of in inputs]
        new = {i: layout.of_input(of) for of, i in self._written}
        for owner, node in step.gradients:
            if node is not None and isinstance(owner, Tensor):
                new[outputs.index(node)] = layout.of_state(node.sample.shape)
        self._jitted = jax.jit(layout.constrained(self.emission, [new.get(i) for i in range(len(outputs))]))
        values = [jax.ShapeDtypeStruct(of.node.sample.shape, of.node.sample.dtype) for of in inputs]
        numbers = [jax.ShapeDtypeStruct((), node.sample.dtype) for node in self.emission.numbers]
        seeds = [jax.ShapeDtypeStruct((), np.uint32)] * len(self.emission.generators)
        self._shapes = values, numbers, seeds
        with jax.enable_x64(True):
            jax.eval_shape(self.emission, *self._shapes)  # so that what cannot be done is said at once
        self._dtypes = [node.sample.dtype for node in self.emission.numbers]

    @property
    def lowered(self) -> Any:
        """The function as a `jax.stages.Lowered`: to look at, or to ask what it costs."""
        shapes, numbers, seeds = self._shapes
        with jax.enable_x64(True):
            divided = [
                jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=kind)
                for x, kind in zip(shapes, self._kinds, strict=True)
            ]
            return self._jitted.lower(divided, numbers, seeds)

    def _given(self, values: Sequence[Any], numbers: Sequence[float], seeds: Sequence[int]) -> tuple:
        placed_values = [self._value(x, of, kind) for x, of, kind in zip(values, self._of, self._kinds, strict=True)]
        found = [np.asarray(n, dtype) for n, dtype in zip(numbers, self._dtypes, strict=True)]
        return placed_values, found, [np.uint32(seed) for seed in seeds]

    def _value(self, x: Any, of: ArrayInput, kind: Any) -> Any:
        if type(x) is Away:
            x = x.device
        elif isinstance(x, Tensor):
            x = placed(x)
        elif of.argument is None and id(x) in self._homes:
            x = self._homes[id(x)].value(x)
        return x if isinstance(x, jax.Array) and self.layout.has(x, kind) else self.layout.put(x, kind)

    def __call__(self, values: Sequence[Any], numbers: Sequence[float]) -> Any:
        """Compute everything; nothing is changed yet."""
        generators = self.emission.generators
        before = [(bits_of(g), saved(bits_of(g))) for g in generators]
        seeds = [seed_from(g) for g in generators]
        out = self._computed(values, numbers, seeds)
        if out is None:
            for bits, state in before:
                put_back(bits, state)
        self._values = values
        return out

    def _computed(self, values: Sequence[Any], numbers: Sequence[float], seeds: Sequence[int]) -> Any:
        with jax.enable_x64(True):
            out, wrong = self._jitted(*self._given(values, numbers, seeds))
        return None if self.emission.guarded and float(wrong) else out

    def recorded(self, step: Step, seeds: dict[int, int]) -> Any:
        """Compute what NumPy has computed in the recorded call, which has ended; None where that had to be NumPy.

        `seeds` are those of its Generators, by their id.
        """
        numbers = [float(node.sample) for node in self.emission.numbers]
        values = [of.node.sample for of in self._of]
        out = self._computed(values, numbers, [seeds[id(g)] for g in self.emission.generators])
        self._values = [_target(of, step) for of in self._of]
        return out

    def store(self, out: Sequence[Any], stay: bool = True) -> None:
        """Leave the new state where it belongs; an optimiser's comes here unless it is to stay on the devices."""
        values, self._values = dict(zip(self._of, self._values, strict=True)), ()
        new: dict[int, tuple[StateHome, dict[int, Any]]] = {}
        for of, i in self._written:
            target = values[of]
            if of.kind == "value" and of.argument is None:
                leave(target, out[i], of.node.sample)
            elif of.argument is None and id(target) in self._homes:
                home = self._homes[id(target)]
                new.setdefault(id(home), (home, {}))[1][id(target)] = out[i]
            else:
                np.copyto(target._value if isinstance(target, Tensor) else target, np.asarray(out[i]))
        values.clear()
        for home, arrays in new.values():
            if stay:
                home.leave(arrays)
                continue
            for key, value in arrays.items():
                np.copyto(home.arrays[key], np.asarray(value))


def _target(of: ArrayInput, step: Step) -> Any:
    """Where an input has its value: a tensor or an array."""
    owner: Any = of.tensor if of.argument is None else step.arguments[of.argument][1]
    if of.kind == "grad":
        return owner._grad.array if isinstance(owner._grad, Lent) else owner._grad
    return of.array if owner is None else owner


def _homes_of(step: Step) -> dict[int, StateHome]:
    """By the id of its arrays, the home of the state of each optimiser that takes part."""
    homes = [home_of(optimizer) for optimizer in step.captured.optimizers]
    return {key: home for home in homes for key in home.arrays}
