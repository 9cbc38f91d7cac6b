"""What `tn.compile` returns: a function that chooses among its programs, records new ones, and runs them."""

from __future__ import annotations

import builtins
import functools
import threading
import types
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import numpy as np

from tinygrad_nn.modes import MODE, Mode
from tinygrad_nn.mutation import Watch
from tinygrad_nn.replay.nodes import RECORDING, CompileError, Memory, Node, written
from tinygrad_nn.replay.planning import Buffer, Plan
from tinygrad_nn.replay.step import Result, Step, difference, map_tree, parts, signature
from tinygrad_nn.replay.surroundings import Key
from tinygrad_nn.replay.writing import MISS, Writer

__all__ = ["Compiled", "Program", "compile"]

_PROGRAMS = 64  # so many are kept for one function


class Program:
    """One recorded step, for one kind of arguments: print it to see the calls that a replay makes.

    `source` is all the Python that runs, `plan` says which results share memory.
    """

    def __init__(self, function: Callable, args: tuple, kwargs: dict[str, Any], mode: Mode, changing: set[Key]):
        self.function, self.mode, self._changing = function, mode, set(changing)
        self.step, self.plan = self._planned(args, kwargs)
        self.confirmed = False  # whether the step has come out the same a second time
        self._moved: list[Memory] = []
        self._context = copy_context()
        self._context.run(np.seterr, all="ignore")  # once, and not at each call that makes an infinity on purpose
        self._write()
        self.step.forget(self.plan.live)

    def _planned(self, args: tuple, kwargs: dict[str, Any]) -> tuple[Step, Plan]:
        step = Step(self.function, args, kwargs, self.mode, self._changing)
        results: list[Node] = []
        map_tree(step.result, lambda x: results.append(x.node) if isinstance(x, Result) else None)
        gradients = [node for _, node in step.gradients if node is not None]
        return step, Plan(results, gradients, step.written, step.effects, step.earlier)

    def _write(self) -> None:
        """Make Python of the plan."""
        self._writer = Writer(self.step, self.plan, self.function, set(self._moved))
        self.source = self._writer.source
        name = f"<program of {getattr(self.function, '__name__', 'step')}>"
        exec(builtins.compile(self.source, name, "exec"), self._writer.namespace)
        self._bind()

    def _bind(self) -> None:
        """Give the names the arrays of this moment."""
        for memory in self.step.memories:
            if memory.tensor is not None and memory.tensor.watch is None:
                memory.tensor.watch = Watch()
        self._writer.namespace.update((name, place.value) for name, place in self._writer.compared.items())
        self._replay, references = self._writer.namespace["bind"](*(memory.array for memory in self._writer.bound))
        self._writer.namespace["at_rest"] = references()  # of the gradients, as long as nobody else holds one

    def unbind(self) -> None:
        """Let the buffers go, until it fits again."""
        self._replay = lambda args, kwargs: MISS

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Replay; MISS if that would not be what the step does now."""
        return self._context.run(self._replay, args, kwargs)

    def fits(self, args: tuple, kwargs: dict[str, Any]) -> bool:
        """Whether a replay is right for arguments of this kind; if so, it is made ready."""
        moved = self.step.moved([x for _, x in parts(args, kwargs)], self._writer.granted)
        if moved is None:
            return False
        self._moved += moved
        if moved:
            self._write()
        else:
            self._bind()
        return True

    def confirm(self, args: tuple, kwargs: dict[str, Any]) -> None:
        """Record the step once more: CompileError if it does something else now."""
        differing = difference(self.plan.live, self._planned(args, kwargs)[1].live)
        if differing is not None:
            node, what = differing
            raise CompileError(
                f"from one call to the next the step does something else ({written(node.line)}): {what}; what "
                "changes must be an argument, or kept in a tensor"
            )
        self.confirmed = True

    def equals(self, other: Program) -> bool:
        """Whether both compute the same."""
        return difference(self.plan.live, other.plan.live) is None

    def listed(self, node: Node) -> tuple[str, str]:
        """What a live value is called in the listing, and the line that computes it; for pictures."""
        return self._writer.listed(node)

    @property
    def nbytes(self) -> int:
        """Memory of the buffers."""
        return sum(b.like.nbytes for b in {*self.plan.place.values()} if isinstance(b, Buffer) and not b.block)

    def __repr__(self) -> str:
        calls = sum(len(chain.calls) for chain in self.plan.chains)
        buffers = len({b for b in self.plan.place.values() if isinstance(b, Buffer)})
        return f"# {calls} calls, {buffers} buffers of {self.nbytes:,} bytes together\n{self._writer.listing}"


class Compiled:
    """A compiled step: call it as the function that it was made from.

    `program` is what ran last (None before the first call): print it.  `function` is the step as it was written.
    """

    def __init__(self, function: Callable):
        functools.update_wrapper(self, function)
        self.function = function
        self.program: Program | None = None
        self._quick: Program | None = None  # what is tried first
        self._programs: list[tuple[Any, Program]] = []
        self._changing: set[Key] = set()  # places of numbers that are looked up at each replay, as they change
        self._fixed: set[Key] = set()  # those that change, and that the step branches on
        self._lock = threading.RLock()
        self._running = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the step, or record it."""
        mode = MODE.get()
        if mode.interpreter is not None or mode.anomalies or mode.transformed:
            return self.function(*args, **kwargs)
        with self._lock:
            if self._running:  # the step has called itself, by something that it does at each replay
                return self.function(*args, **kwargs)
            self._running = True
            try:
                program, result = self._quick, MISS
                if program is not None and program.mode is mode:
                    result = program.run(args, kwargs)
                return self._otherwise(args, kwargs, mode) if result is MISS else result
            finally:
                self._running = False

    def _otherwise(self, args: tuple, kwargs: dict[str, Any], mode: Mode) -> Any:
        """Run another program than the last, or a new one."""
        key = mode.grad, signature(parts(args, kwargs))
        known = [program for kind, program in self._programs if kind == key]
        result = MISS
        for program in known:
            if program.confirmed:
                result = program.run(args, kwargs)
                if result is not MISS:
                    break
        else:
            program = self._fitting(key, known, args, kwargs, mode)
            result = program.run(args, kwargs)
            assert result is not MISS, program.source
        program.mode, self.program = mode, program
        self._quick = program if program.confirmed else None
        return result

    def _fitting(self, key: Any, known: list[Program], args: tuple, kwargs: dict[str, Any], mode: Mode) -> Program:
        """A program that is right for these arguments; the second time it is recorded again, to see if it stays so."""
        for program in known:
            if program.fits(args, kwargs):
                if not program.confirmed:
                    program.confirm(args, kwargs)
                return program
        for program in known:
            self._changing |= program.step.surroundings.changed_numbers() - self._fixed
            program.unbind()
        program = self._recorded(args, kwargs, mode)
        program.confirmed = any(program.equals(other) for other in known)
        # One that computes the same took more for granted, such as that there are no gradients at first.
        self._programs = [(k, p) for k, p in self._programs if k != key or not p.equals(program)][1 - _PROGRAMS :]
        self._programs.append((key, program))
        return program

    def _recorded(self, args: tuple, kwargs: dict[str, Any], mode: Mode) -> Program:
        try:
            return Program(self.function, args, kwargs, mode, self._changing)
        except CompileError:
            if not self._changing:
                raise
            self._fixed |= self._changing  # perhaps it branches on one of them
            self._changing.clear()
            return Program(self.function, args, kwargs, mode, self._changing)
        except Exception as error:
            error.add_note(RECORDING)
            raise

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<compiled {getattr(self.function, '__qualname__', self.function)}>"


def compile(step: Callable) -> Compiled:  # noqa: A001  the public name
    """The same step, recorded at its first calls and then replayed in place on buffers made beforehand.

    A training step is compiled whole: forward pass, backward pass, and the optimiser's update.  In float64 the results
    are those of the step itself, bit for bit.  Works as a decorator, on functions and methods, with keyword arguments.

    Parameters
    ----------
    step : a function of arrays and tensors, also in nested lists, tuples and dicts.  It is recorded anew for other
        shapes and dtypes, and for other values of other arguments.

    Returns
    -------
    A function like `step`.  What it returns is the caller's own; the gradient of a returned tensor is refused, as
    replays keep no history.  Parameters are updated in place, and their `.grad` is set.  `print(compiled.program)`
    shows the calls that the last replay made.

    Globals, closures, defaults and attributes that the step reads may change between calls: arrays and tensors are read
    anew, numbers that keep changing are looked up at each call, and for anything else the step is recorded anew.  The
    first two calls record, and must come out the same.  Warnings of floating-point arithmetic are off during a replay.
    Within `tn.detect_anomaly()`, and where a transform such as `tn.grad` calls it, the step runs as it was written.

    Raises
    ------
    CompileError : the step does what a replay could not repeat, and the message names the line: a choice by the value
        of a tensor, a shape that depends on values, a value read out to Python, a change of a Python object (also of a
        list that is an argument), a value kept outside, printing, random numbers drawn by NumPy itself, a clock, an
        iterator, the environment; or arguments share memory with what it writes to.  `tn.replay.at_each_replay` marks
        functions that shall be called anew.

    Example
    -------
    >>> import numpy as np, tinygrad_nn as tn
    >>> w = tn.tensor(np.zeros((1, 2)), requires_grad=True, name="w")
    >>> optimizer = tn.optim.SGD([w], lr=0.3)
    >>> @tn.compile
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = tn.mse(w @ x, y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x, y = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]]), np.array([[3.0, 5.0, 7.0]])
    >>> for _ in range(200):
    ...     loss = step(x, y)
    >>> w.numpy().round(2).tolist()
    [[2.0, 1.0]]
    """
    return Compiled(step)
