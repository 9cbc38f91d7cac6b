"""What `tn.compile` returns: a function that chooses among its programs, records new ones, and runs them."""

from __future__ import annotations

import functools
import threading
import types
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import numpy as np

from tinygrad_nn.replay.planning import Plan
from tinygrad_nn.replay.recording import CompileError, Memory, written
from tinygrad_nn.replay.step import Result, Step, map_tree, parts, signature
from tinygrad_nn.replay.writing import MISS, Writer, skeleton
from tinygrad_nn.tensor import Mode, Tensor, _mode
from tinygrad_nn.watch import Watch

__all__ = ["Compiled", "Program", "compile"]

_PROGRAMS = 64  # so many are kept for one function


class Program:
    """One recorded step, for one kind of arguments; `print` it to see the calls that a replay makes."""

    def __init__(self, function: Callable, args: tuple, kwargs: dict[str, Any], mode: Mode, entering: dict[int, bool]):
        self.function, self.mode = function, mode
        self.step = Step(function, args, kwargs, mode, entering)
        results: list[Result] = []
        map_tree(self.step.result, lambda x: results.append(x) if isinstance(x, Result) else None)
        gradients = [node for _, node in self.step.gradients if node is not None]
        self.plan = Plan([r.node for r in results], gradients, self.step.written)
        self.confirmed = False
        self.moving: set[Memory] = set()
        self._write()
        self._slim()
        self.context = copy_context()
        self.context.run(np.seterr, all="ignore")

    def __repr__(self) -> str:
        return self.source

    def _write(self) -> None:
        writer = Writer(self.step, self.plan, self.function, self.moving)
        self.source, self._bound = writer.source, writer.bound
        self._namespace = writer.namespace
        exec(compile_source(self.source, f"<program of {getattr(self.function, '__name__', 'step')}>", "exec"), self._namespace)
        self.bind()

    def _slim(self) -> None:
        """Let the arrays of the recorded run go."""
        for node in self.plan.live:
            node.sample = skeleton(node.sample)
        ...

    def bind(self) -> None:
        """Bind the names to the arrays of this moment."""
        for memory in self.step.memories:
            if memory.kind == "value" and memory.tensor is not None and memory.tensor.watch is None:
                memory.tensor.watch = Watch()
        self.replay = self._namespace["bind"](*(memory.array for memory in self._bound))
