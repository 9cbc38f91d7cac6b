"""`tn.compile`: a function that chooses among its recorded programs, records new ones, runs and audits them."""

from __future__ import annotations

import builtins
import functools
import os
import threading
import types
import warnings
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any

import numpy as np

from tinygrad_nn.compiler.audit import apart_in_recording, audited, differs, next_audit
from tinygrad_nn.compiler.codegen import FAILED, MISS, CodeGenerator
from tinygrad_nn.compiler.engines import engine_of
from tinygrad_nn.compiler.homes import AWAY
from tinygrad_nn.compiler.ir import ArrayInput, Node
from tinygrad_nn.compiler.memory_plan import Buffer, MemoryPlan
from tinygrad_nn.compiler.numpy_engine import NumpyEngine
from tinygrad_nn.compiler.observer import forget_observers
from tinygrad_nn.compiler.recording import drawing
from tinygrad_nn.compiler.step import Step, difference, parts, signature
from tinygrad_nn.errors import CompileError
from tinygrad_nn.modes import MODE, OBSERVERS, Mode
from tinygrad_nn.operation import SEEN

__all__ = ["Compiled", "Program", "compile"]

_PROGRAMS = 64  # so many are kept for one function
_FUTILE = 16  # so many recordings with hardly a replay between them, and the step is carried out as it is
_process = object()  # another one in each process that is forked


def _is_forked() -> None:
    global _process
    _process = object()
    forget_observers(mine=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_is_forked)


class Program:
    """One recorded step, for one kind of arguments: print it to see the calls that a replay makes.

    `source` is all the Python that runs, `plan` says which results share memory.
    """

    def __init__(
        self,
        function: Callable,
        args: tuple,
        kwargs: dict[str, Any],
        mode: Mode,
        state: Sequence[Any],
        engine: NumpyEngine,
        audit: bool | int = True,
    ):
        self.function, self.mode, self.state, self.engine = function, mode, state, engine
        self._drawing = engine.drawing()
        self.calls, self.next_audit = 1, 0  # the recorded one is the first
        self._moved: list[ArrayInput] = []
        self._audited_arrays: list[Any] | None = None  # what the NumPy calls are bound to
        self.renew_context()
        self.step, self.plan = self.planned(args, kwargs)
        self._moved += self.engine.moving(self.step)
        self.outcome = self.step.outcome
        try:
            self._write()
            if not self.engine.exact:
                code: Any = self._code
                self.outcome = code.first_outcome(self._drawing, self._compare_first if audit else None)
        except CompileError as wrong:
            raise wrong.with_result(self.outcome) from wrong.__cause__
        except Exception as wrong:
            text = f"no program could be written of the step: {type(wrong).__name__}: {wrong}"
            raise CompileError(text).with_result(self.outcome) from wrong
        self.step.forget(self.plan.live)

    def renew_context(self) -> None:
        """A context without warnings of arithmetic, set once and not at each call that makes an infinity on purpose."""
        self._context = copy_context()
        self._context.run(np.seterr, all="ignore")

    def planned(self, args: tuple, kwargs: dict[str, Any], commit: bool = True) -> tuple[Step, MemoryPlan]:
        """The step, recorded, and a plan for it."""
        with self._drawing if commit else self.engine.drawing():
            step = Step(self.function, args, kwargs, self.state, commit, keep=not self.engine.exact)
        return step, self.engine.plan(step)

    def _compare_first(self, computed: Callable[[Node], Any]) -> None:
        """CompileError where the engine does not compute what NumPy has in the recorded call, but for rounding."""
        wrong = apart_in_recording(self.step, computed)
        if wrong:
            raise CompileError(differs(self.engine.name, wrong))

    def _write(self) -> None:
        """Make Python of the plan."""
        made = self.step, self.plan, self.function, set(self._moved)
        self._code = self.engine.code(*made)
        self._exact = self._code if self.engine.exact else CodeGenerator(*made)  # what audits replay
        self.source = self._code.source
        self._define(self._code)
        self._bind()

    def _define(self, code: CodeGenerator) -> None:
        name = f"<program of {getattr(self.function, '__name__', 'step')}>"
        exec(builtins.compile(code.source, name, "exec"), code.namespace)

    def _bind(self) -> None:
        """Give the names the arrays and captured values of this moment."""
        self._code.bind_captured()
        self._replay = self._code.namespace["bind"](*(of.array for of in self._code.bound))
        if self._exact is not self._code:
            self._exact.bind_captured()
            self._audited_arrays = [of.array for of in self._exact.bound]

    def unbind(self) -> None:
        """Let the buffers go, until it fits again."""
        self._replay = lambda args, kwargs: MISS
        self._audited_arrays = None

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Replay; MISS if that would not be what the step does now."""
        if AWAY:
            self.engine.settle()
        if self.step.effects:  # which see the context of the caller
            with np.errstate(all="ignore"):
                return self._replay(args, kwargs)
        return self._context.run(self._replay, args, kwargs)

    def run_for_audit(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Replay the NumPy calls, but for those that are made for what they do."""
        replay, namespace = self._replay, self._exact.namespace
        if self._exact is not self._code and self._audited_arrays is not None:
            if "bind" not in namespace:
                self._define(self._exact)
                for name, value in namespace.items():
                    if callable(value) and any(value is node.func for node in self.step.draws):
                        namespace[name] = drawing(value)
            replay = namespace["bind"](*self._audited_arrays)  # with buffers for this one replay
        return self._without_effects(replay, namespace, args, kwargs)

    def run_engine_for_audit(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Replay on an engine that rounds in another way, but for the calls that are made for what they do."""
        return self._without_effects(self._replay, self._code.namespace, args, kwargs)

    def _without_effects(self, replay: Callable, namespace: dict[str, Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        if AWAY:
            self.engine.settle()
        namespace["effects"] = False
        try:
            with np.errstate(all="ignore"), self.engine.drawing():
                return replay(args, kwargs)
        finally:
            namespace["effects"] = True

    def refit(self) -> bool:
        """Compare with the arrays and captured values of this moment, if they are of the kind that was recorded."""
        found = self.step.rebound()
        if found is None or self.step.shared_memory():
            return False
        new = [of for of in found if of not in self._moved]
        self._moved += new
        if new:
            self._write()
        else:
            self._bind()
        return True

    def listed(self, node: Node) -> tuple[str, str]:
        """What a live value is called in the listing, and the line that computes it; for pictures."""
        return self._code.listed(node)

    @property
    def lowered(self) -> Any:
        """The step in the form of another engine than NumPy's, where there is one: of JAX a `jax.stages.Lowered`."""
        return getattr(self._code, "lowered", None)

    @property
    def nbytes(self) -> int:
        """Memory of the buffers."""
        return sum(b.like.nbytes for b in {*self.plan.place.values()} if isinstance(b, Buffer) and not b.block)

    def __repr__(self) -> str:
        calls = sum(len(loop.calls) for loop in self.plan.loops)
        buffers = len({b for b in self.plan.place.values() if isinstance(b, Buffer)})
        return f"# {calls} calls, {buffers} buffers of {self.nbytes:,} bytes together\n{self._code.listing}"


class Compiled:
    """A compiled step: call it as the function that it was made from.

    `program` is what ran last (None before the first call): print it.  `function` is the step as it was written.
    """

    def __init__(self, function: Callable, state: Sequence[Any], audit: bool | int, engine: NumpyEngine):
        functools.update_wrapper(self, function)
        self.function, self.state, self.audit, self.engine = function, tuple(state), audit, engine
        self.program: Program | None = None
        self._quick: Program | None = None  # what is tried first
        self._programs: list[tuple[Any, Program]] = []
        self._recordings = 0
        self.renew_locks()

    def renew_locks(self) -> None:
        """Locks that nobody holds: in a process that was forked, the thread that held them is gone."""
        self._lock = threading.RLock()
        self._running = False
        self._process = _process
        for _, program in self._programs:
            program.renew_context()
            for bits in program.step.generators:
                renew = getattr(getattr(bits, "lock", None), "_at_fork_reinit", None)
                if renew is not None:  # as Python's own modules do
                    renew()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the step, or record it."""
        if self._process is not _process:
            self.renew_locks()
        mode, program, result = MODE.get(), self._quick, MISS
        quick = program is not None and program.mode is mode
        if not quick and (mode.interpreter or mode.anomalies or mode.transformed or self._recordings > _FUTILE):
            return self.function(*args, **kwargs)
        if OBSERVERS and any(observer.thread == threading.get_ident() for observer in OBSERVERS):
            return self.function(*args, **kwargs)  # so that an audit sees what changes
        with self._lock:
            if self._running:  # the step has called itself, by something that it does at each replay
                return self.function(*args, **kwargs)
            self._running = True
            try:
                if quick:
                    result = self._run(program, args, kwargs)  # type: ignore[arg-type]
                return self._otherwise(args, kwargs, mode) if result is MISS else result
            except SystemError as error:
                if isinstance(error.__cause__, KeyboardInterrupt):  # Ctrl-C has come while NumPy looked at a tracer
                    raise error.__cause__ from None
                raise
            finally:
                self._running = False
                if OBSERVERS:
                    forget_observers(mine=True)
                if MODE.get() is not mode:  # Ctrl-C has come between setting it and being ready to put it back
                    MODE.set(mode)

    def _run(self, program: Program, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Replay, or audit; MISS if the program is not right for this call."""
        if program.calls + 1 != program.next_audit:
            result = program.run(args, kwargs)
            if result is FAILED:  # with the error, and with what is done before it
                with program.engine.drawing():
                    result = self.function(*args, **kwargs)
        else:
            NumpyEngine.settle(program.engine)
            result = audited(program, args, kwargs, MISS)
            if result is not MISS:
                program.next_audit = next_audit(program.calls + 1, self.audit, self.engine.exact)
        program.calls += result is not MISS
        return result

    def _otherwise(self, args: tuple, kwargs: dict[str, Any], mode: Mode) -> Any:
        """Run another program than the last, or record one."""
        key = mode.grad, signature(parts(args, kwargs))
        known = [program for kind, program in self._programs if kind == key]
        for refitted in (False, True):
            for program in known:
                result = self._run(program, args, kwargs) if not refitted or program.refit() else MISS
                if result is not MISS:
                    program.mode, self.program, self._quick = mode, program, program
                    return result
        return self._recorded(key, known, args, kwargs, mode)

    def _recorded(self, key: Any, known: list[Program], args: tuple, kwargs: dict[str, Any], mode: Mode) -> Any:
        """What a call returns that is recorded."""
        if known:
            self._recordings = self._recordings + 1 if known[-1].calls <= 2 else 0
            if self._recordings > _FUTILE:
                warnings.warn(
                    f"{self!r} was recorded anew at each of {_FUTILE} calls, as {known[-1].step.captured.changed()} "
                    "changes; from now on it is carried out as it is: make that an argument, or keep it in a tensor",
                    RuntimeWarning,
                    stacklevel=4,
                )
                self._programs.clear()
                self._quick = None
                return self.function(*args, **kwargs)
        self.engine.check(parts(args, kwargs))
        for program in known:
            program.unbind()
        seen = SEEN.get()
        try:
            program = Program(self.function, args, kwargs, mode, self.state, self.engine, self.audit)
        finally:
            SEEN.set(seen)
        program.next_audit = next_audit(1, self.audit, self.engine.exact)
        # One that computes the same took more for granted, such as that there are no gradients at first.
        kept = [(k, p) for k, p in self._programs if k != key or difference(p.plan.live, program.plan.live)]
        self._programs = [*kept[1 - _PROGRAMS :], (key, program)]
        self.program, self._quick = program, program
        outcome, program.outcome = program.outcome, None
        return outcome

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self) -> str:
        """As functions do: a copy is the same one, and it is pickled by name."""
        return str(getattr(self, "__qualname__", repr(self)))

    def __repr__(self) -> str:
        return f"<compiled {getattr(self.function, '__qualname__', self.function)}>"


def compile(  # noqa: A001  the public name
    step: Callable | None = None,
    *,
    state: Sequence[Any] = (),
    engine: str = "numpy",
    mesh: Any = None,
    batch_axis: int = -1,
    audit: bool | int = True,
) -> Any:
    """The same step, recorded at its first call and then replayed in place on buffers made beforehand.

    A training step is compiled whole: forward pass, backward pass, and the optimiser's update.  The results are those
    of the step itself: bit for bit with NumPy, to rounding on other engines.  Works as a decorator, with and without
    settings, on functions and methods.

    Parameters
    ----------
    step : a function of arrays and tensors, also in nested lists, tuples and dicts.  It is recorded anew for other
        shapes and dtypes, and for other values of other arguments.
    state : objects whose plain attributes or items the step reads: they are compared before each replay.
    engine : "numpy", which runs the recorded NumPy calls; "numba" (an extra), which compiles them: less than half the
        time of a small step, the same to the last bit, after about a second at the first call; or "jax" (an extra), for
        GPUs, TPUs and several devices: parameters and optimiser state stay there until somebody reads them.
    mesh : a `jax.sharding.Mesh` for engine="jax".  Its first axis divides the examples of every argument; a second one
        divides the rows of parameters.
    batch_axis : which axis of the arguments counts the examples.
    audit : True, or a number n: at calls 2, 4, 8 ... 128 and every 128th after that, or at every n-th, the step is also
        carried out eagerly, its outcome is kept, and a replay that differs is an error.  False: never.  With
        engine="jax", whose steps may be much quicker than an audit, True means calls 2, 4, 8, 16 and so on; a replay
        may differ by rounding, and its outcome is the one that is kept.

    Returns
    -------
    A function like `step`.  What it returns is the caller's own; the gradient of a returned tensor is refused, as
    replays keep no history.  Parameters are updated in place, and their `.grad` is set.  `print(compiled.program)`
    shows the calls that the last replay made.

    A replay reads anew its arguments; every tensor and array that took part; what has a home in this package
    (attributes of modules, settings and state of optimisers and schedules, Generators); what is declared; and the plain
    values in the cells and globals that the step names.  When one of these values changes the step is recorded again.
    Everything else is frozen when it is recorded, and the audit finds what changes all the same.  Warnings of
    floating-point arithmetic are off.  Within `tn.detect_anomaly()`, and where a transform such as `tn.grad` calls it,
    the step runs as it was written.

    Raises
    ------
    ValueError, ImportError : an engine that there is not, or is not installed; a batch that the devices of a mesh do
        not divide evenly.
    CompileError : the step does what a replay could not repeat, and the message names the line: a choice by the value
        of a tensor, a shape that depends on values, a value read out to Python, a change of a Python object, printing,
        random numbers drawn by NumPy itself, a clock; or arguments share memory with what it writes to; or the audit
        has found a difference.  The call that raises has ended as one eager call would have, and the error's `result`
        is what it would have returned; or it has done nothing.  `tn.at_each_replay` marks what every replay calls.

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
    if not isinstance(audit, (bool, np.bool_, int, np.integer)) or audit < 0:
        raise ValueError(f"compile: audit={audit!r:.60}, expected True, False, or a number n: every n-th call")
    chosen = engine_of(engine, mesh, batch_axis)
    if step is None:
        return lambda step: Compiled(step, state, audit, chosen)
    return Compiled(step, state, audit, chosen)
