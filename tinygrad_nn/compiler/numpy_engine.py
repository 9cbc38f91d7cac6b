"""The engine that replays NumPy's calls one after the other, and what other engines override of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_nn import tree
from tinygrad_nn.compiler.codegen import CodeGenerator
from tinygrad_nn.compiler.homes import AWAY
from tinygrad_nn.compiler.ir import ArrayInput
from tinygrad_nn.compiler.memory_plan import MemoryPlan
from tinygrad_nn.compiler.step import Result, Step

__all__ = ["NumpyEngine"]


class NumpyEngine:
    """Turns a recorded step into a function.

    `exact` says that a replay agrees with the eager step to the last bit.  An audit replays the NumPy calls as well
    where an engine is not, so that what has changed is found apart from how the engine rounds.
    """

    name = "numpy"
    exact = True
    plan_type = MemoryPlan

    def drawing(self) -> contextlib.AbstractContextManager[Any]:
        """Within it, NumPy carries a step out with the random numbers that this engine would draw."""
        return contextlib.nullcontext()

    def check(self, arguments: Sequence[tuple[str, Any]]) -> None:
        """ValueError for arguments that this engine cannot take, before anything is done."""

    def moving(self, step: Step) -> list[ArrayInput]:
        """The inputs that are another array at each call: these are looked up each time."""
        return []

    def settle(self) -> None:
        """Before a replay: what another engine has left on a device comes here."""
        for home in [*AWAY]:
            home.fetch()

    def plan(self, step: Step) -> MemoryPlan:
        """What of the step has to be computed, in which loops, and in which memory."""
        results = [x.node for x in tree.leaves(step.result) if isinstance(x, Result)]
        gradients = [node for _, node in step.gradients if node is not None]
        return self.plan_type(
            results, gradients, step.written, step.effects, [*step.draws, *step.checks, *step.risks], step.earlier
        )

    def code(self, step: Step, plan: MemoryPlan, function: Callable, rebound: set[ArrayInput]) -> CodeGenerator:
        """The program: its `source` defines `bind`, which takes arrays and returns `replay(args, kwargs)`."""
        return CodeGenerator(step, plan, function, rebound)

    def __repr__(self) -> str:
        return f"<engine {self.name}>"
