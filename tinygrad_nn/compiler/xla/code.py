"""The Python around a function of JAX: before it what every replay compares, after it what the step leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.away import Away
from tinygrad_nn.compiler.codegen import CodeGenerator
from tinygrad_nn.compiler.ir import ArrayInput, Node, abstract_like, is_of_library, look_up
from tinygrad_nn.compiler.memory_plan import MemoryPlan
from tinygrad_nn.compiler.step import Given, Owner, Result, Step
from tinygrad_nn.compiler.xla.draws import Draws
from tinygrad_nn.compiler.xla.launch import Launch, fetched
from tinygrad_nn.compiler.xla.state import DeviceGradient, gradient_of, lent_result
from tinygrad_nn.errors import CompileError

__all__ = ["JaxCode"]


class JaxCode(CodeGenerator):
    """Writes guards as ever, then one call of the function of JAX in the place of all NumPy calls."""

    def __init__(
        self, step: Step, plan: MemoryPlan, function: Callable, rebound: set[ArrayInput], made: Callable[..., Launch]
    ):
        self.launch: Launch
        self._make_launch = made
        super().__init__(step, plan, function, rebound)

    def _name_held(self, of: ArrayInput) -> list[str]:
        """A tensor or an array is found by the launch, where it is at that time."""
        self.names[of.node] = (
            self._owner(of.tensor) if of.tensor is not None else self.constant(of.array, of.name or "k")
        )
        return []

    def _write_inputs(self) -> list[str]:
        """As ever; a gradient may be on the devices."""
        changed = super()._write_inputs()
        self.namespace["gradient"] = gradient_of
        return changed

    def _conditions_of_layout(self, name: str, x: np.ndarray) -> list[str]:
        """As ever; what stands for an array on a device knows its layout."""
        here = super()._conditions_of_layout(name, x)
        return [
            here[0].replace("is not ndarray", f"not in {self.once('kinds', 'kinds', value=(np.ndarray, Away))}"),
            *here[1:],
        ]

    def _value_of(self, tensor: str) -> str:
        """The tensor itself: the launch finds the value where it is."""
        return tensor

    def _write_overlaps(self) -> None:
        """Nothing: a function of JAX writes into no memory, and results come when all is computed."""

    def _write_calls(self) -> None:
        """Effects that decide about numbers, then everything that is computed."""
        plan = self.plan
        looked_up = [node.index for node in plan.live if node.func is look_up]
        early = [e for e in plan.effects if any(i > e.index for i in looked_up)]
        for effect in early:
            if effect.inputs():
                raise CompileError(
                    f"{effect.name} is given values of the step and decides about settings that are read after it, and "
                    "engine='jax' computes the whole step at once: call it at the end, or before values are computed"
                )
        self._late = [e for e in plan.effects if e not in early]
        outputs = dict.fromkeys(x.node for x in self._results())
        outputs |= dict.fromkeys(plan.written.values())
        outputs |= dict.fromkeys(node for _, node in self.step.gradients if node is not None)
        outputs |= dict.fromkeys(x.args[0] for e in self._late for x in e.inputs())
        for_effects = {*plan.effects, *(x for e in plan.effects for x in e.inputs())}
        live = [node for node in plan.live if node not in for_effects]
        self.launch = self._make_launch(self.step, plan, live, [*outputs])
        self._at = {node: i for i, node in enumerate(outputs)}
        numbers, texts = [], []
        waiting = [*early]
        for node in self.launch.emission.numbers:
            while waiting and waiting[0].index < node.index:
                self._effect(waiting.pop(0))
            texts.append(self.looked_up(node.args[0]))
            numbers.append(self.new_name("n"))
            self.body.append(f"{numbers[-1]} = {texts[-1]}")
        values = "".join(f"{self.names[node]}, " for node in self.launch.emission.inputs)
        self.namespace |= {"launch": self.launch}
        self.body += [
            f"out = launch(({values}), ({''.join(n + ', ' for n in numbers)}))",
            "if out is None:",
            "    return FAILED",
        ]

    def _results(self) -> list[Result]:
        return [x for x in tree.leaves(self.step.result) if isinstance(x, Result)]

    def _out(self, node: Node) -> str:
        return f"out[{self._at[node]}]"

    def _like(self, node: Node) -> str:
        """The layout that a value has here."""
        key = "like", node.sample.shape, node.sample.strides, node.sample.dtype.str
        return self.once(key, "like", value=abstract_like(node.sample))

    def _write_end(self) -> None:
        """The new state, then what is called for what it does."""
        result = self._returned(self.step.result)
        if result != "None":
            self.body.append(f"result = {result}")
        self.body.append("launch.store(out)")
        for owner, gradient in self.step.gradients:
            self.body.append(f"{self._owner(owner)}._grad = {self._gradient_given(owner, gradient)}")
        self._write_changes()
        for effect in self._late:
            self._effect(effect)
        self.body.append("return None" if result == "None" else "return result")

    def _effect(self, effect: Node) -> None:
        for copied in effect.inputs():
            value = copied.args[0]
            if value not in self.names:
                self.names[value] = self.new_name("e")
                self.body.append(f"{self.names[value]} = {self.function(fetched)}({self._out(value)}, False)")
            if copied not in self.names:
                self.names[copied] = self.new_name("e")
                self.body.append(f"{self.names[copied]} = {self.call(copied)}")
        self._comment(effect)
        self.body.append("if effects: " * (not is_of_library(effect)) + self.call(effect))

    def _gradient_given(self, owner: Owner, node: Node | None) -> str:
        """A gradient stays on the devices until somebody reads it."""
        if node is None:
            return "None"
        return f"{self.function(DeviceGradient)}({self._out(node)}, {self._like(node)})"

    def _returned(self, result: Any) -> str:
        if not isinstance(result, Result):
            return super()._returned(result)
        node = result.node
        if not result.is_tensor:
            return f"{self.function(fetched)}({self._out(node)}, {node.scalar})"
        given = f"{self._out(node)}, {self._like(node)}, {result.tracked}, {result.name!r}, {node.scalar}"
        return f"{self.function(lent_result)}({given})"

    def first_outcome(self, drawn: Draws, compare: Callable[[Callable[[Node], Any]], None] | None) -> Any:
        """What the recorded call returns, as JAX computes it, and leaves behind; of NumPy where that had to be NumPy.

        `drawn` has the seeds of that call; `compare` is given what JAX has computed, before anything is changed.
        """
        step, out = self.step, self.launch.recorded(self.step, drawn.seeds)
        if out is None:
            return step.outcome
        if compare is not None:
            compare(lambda node: out[self._at[node]])
        self.launch.store(out, stay=False)  # others hold the arrays of the recorded call
        owners = [step.arguments[of][1] if isinstance(of, int) else of for of, _ in step.gradients]
        for tensor, (_, node) in zip(owners, step.gradients, strict=True):
            tensor._grad = None if node is None else DeviceGradient(out[self._at[node]], abstract_like(node.sample))
        return tree.map(lambda leaf: self._first_leaf(leaf, out), step.result, tree.is_plain)

    def _first_leaf(self, leaf: Any, out: Any) -> Any:
        if isinstance(leaf, Given):
            return self.step.arguments[leaf.argument][1]
        if not isinstance(leaf, Result):
            return leaf
        value, node = out[self._at[leaf.node]], leaf.node
        if not leaf.is_tensor:
            return fetched(value, node.scalar)
        return lent_result(value, abstract_like(node.sample), leaf.tracked, leaf.name, node.scalar)

    @property
    def lowered(self) -> Any:
        """The function as a `jax.stages.Lowered`."""
        return self.launch.lowered

    def listed(self, node: Node) -> tuple[str, str]:
        """What a value is called in the NumPy calls, which pictures show."""
        return CodeGenerator(self.step, self.plan, lambda: None, self.rebound).listed(node)

    def bind_captured(self) -> None:
        """As ever; and the step lets the tensors' memory go, so that nothing but user code holds it."""
        super().bind_captured()
        for of in self.step.inputs:
            if of.tensor is not None and of.argument is None and isinstance(of.array, np.ndarray):
                of.array = abstract_like(of.array)
