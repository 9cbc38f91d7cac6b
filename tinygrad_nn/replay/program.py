"""What `tn.compile` returns: a function that chooses among its programs, records new ones, and runs them."""

from __future__ import annotations

import builtins
import functools
import itertools
import threading
import types
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import numpy as np

from tinygrad_nn.replay.planning import Plan
from tinygrad_nn.replay.recording import CompileError, Memory, Node, cast, map_leaves, written
from tinygrad_nn.replay.step import Result, Step, map_tree, parts, signature
from tinygrad_nn.replay.writing import MISS, Writer, skeleton
from tinygrad_nn.tensor import Mode, Tensor, _mode
from tinygrad_nn.watch import Watch

__all__ = ["Compiled", "Program", "compile"]

_PROGRAMS = 64  # so many are kept for one function


class Program:
    """One recorded step, for one kind of arguments; `print` it to see the calls that a replay makes."""

    def __init__(self, function: Callable, args: tuple, kwargs: dict[str, Any], mode: Mode):
        self.function, self.mode = function, mode
        self.step = Step(function, args, kwargs, mode)
        results: list[Node] = []
        map_tree(self.step.result, lambda x: results.append(x.node) if isinstance(x, Result) else None)
        gradients = [node for _, node in self.step.gradients if node is not None]
        self.plan = Plan(results, gradients, self.step.written)
        self.confirmed = False
        self.moving: set[Memory] = set()
        self.context = copy_context()
        self.context.run(np.seterr, all="ignore")
        self.write()

    def __repr__(self) -> str:
        return self.source

    def write(self) -> None:
        """Make Python of the plan."""
        writer = Writer(self.step, self.plan, self.function, self.moving)
        self.source, self._bound, self._granted = writer.source, writer.bound, writer.taken_for_granted()
        self._namespace = writer.namespace
        name = f"<program of {getattr(self.function, '__name__', 'step')}>"
        exec(builtins.compile(self.source, name, "exec"), self._namespace)
        self.bind()

    def bind(self) -> None:
        """Bind the names to the arrays of this moment."""
        for memory in self.step.memories:
            if memory.tensor is not None and memory.tensor.watch is None:
                memory.tensor.watch = Watch()
        self.replay = self._namespace["bind"](*(memory.array for memory in self._bound))

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        return self.context.run(self.replay, args, kwargs)

    def fits(self, args: tuple, kwargs: dict[str, Any]) -> bool:
        """Would a replay give what the step would give?  Then make ready for it."""
        given = [x for _, x in (*parts(args, "args"), *parts(kwargs, "kwargs"))]
        return self.step.fits(given, self._granted)

class Compiled:
    """A compiled step: call it as the function it was made from.  `program` is what ran last; print it."""

    def __init__(self, function: Callable):
        functools.update_wrapper(self, function)
        self.function = function
        self.program: Program | None = None
        self._programs: dict[Any, list[Program]] = {}
        self._lock = threading.Lock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        program, mode = self.program, _mode.get()
        if program is not None and program.mode is mode:
            with self._lock:
                result = program.context.run(program.replay, args, kwargs)
            if result is not MISS:
                return result
        if mode.trace is not None or mode.anomalies:
            return self.function(*args, **kwargs)
        with self._lock:
            program = self._chosen(args, kwargs, mode)
            result = program.run(args, kwargs)
            if result is MISS:
                raise AssertionError(f"a program that fits does not run:\n{program.source}")
            return result

    def _chosen(self, args: tuple, kwargs: dict[str, Any], mode: Mode) -> Program:
        key = mode.grad, *[(path, signature(x)) for path, x in (*parts(args, "args"), *parts(kwargs, "kwargs"))]
        programs = self._programs.setdefault(key, [])
        program = next((p for p in programs if p.fits(args, kwargs)), None)
        if program is None:
            program = Program(self.function, args, kwargs, mode)
            programs.append(program)
        program.mode = mode
        program.bind()
        self.program = program
        return program

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)


def compile(step: Callable) -> Compiled:  # noqa: A001  the public name
    return Compiled(step)
