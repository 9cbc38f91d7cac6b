"""What is recorded in this context, and by whom: by default, whatever a gradient flows through."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from tinygrad_nn.operation import Op

__all__ = [
    "ACTIVE",
    "MODE",
    "OBSERVERS",
    "Interpreter",
    "Mode",
    "Within",
    "about_to_assign",
    "about_to_change",
    "at_each_replay",
    "detect_anomaly",
    "enable_grad",
    "interpreted_by",
    "no_grad",
    "operand",
    "stand_ins",
    "transforming",
]


ACTIVE = "active"  # among the `params` of a variable that a transform has made: is its function still running?


class Interpreter:
    """Carries out the operations on tensors in the context that names it (`Mode.interpreter`): the seam of tracing.

    It lets tensors and arrays be seen as something else.  Nothing is exchanged inside the user's objects: whoever
    reads or changes a tensor does so on the stand-in that the interpreter has for it.
    """

    def tensor(self, t: Any) -> Any:
        """The stand-in of a tensor, the same one each time; a tensor made under this interpreter is its own.

        It is a tensor of the same `index`, `tracked` and `name`, without `op`, whose value is a tracer: a `Traced`
        value that behaves as an array.
        """
        raise NotImplementedError

    def operand(self, x: Any, name: str = "") -> Any:
        """What takes the place of an operand: the stand-in of a tensor, the tracer of an array; else `x` itself.

        `name` is what an array is called, for listings.
        """
        raise NotImplementedError

    def carry_out(self, op: Op, values: Sequence[Any], params: dict[str, Any]) -> Any:
        """The value of one operation on these values: tracers, constants, and arrays it has not been shown yet."""
        raise NotImplementedError

    def settings(self, group: dict[str, Any], optimizer: Any) -> dict[str, Any]:
        """The settings of an optimiser, as its rule is to see them."""
        return group

    def entered(self, module: Any) -> None:
        """A module runs."""

    def effect(self, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """What is called for what it does, and not for a value."""
        return function(*args, **kwargs)


OBSERVERS: list[Any] = []  # who is told what is about to change: the audits of compiled steps
_UNOBSERVED: ContextVar[bool] = ContextVar("unobserved", default=False)


def about_to_change(t: Any, certain: bool = False) -> None:
    """Tell the observers that a tensor may be changed from now on; or that it has been, which is `certain`."""
    if not _UNOBSERVED.get():
        for observer in [*OBSERVERS]:
            observer.tensor(t, certain)


def about_to_assign(module: Any, name: str) -> None:
    """Tell the observers that an attribute of a module is about to be changed."""
    if not _UNOBSERVED.get():
        for observer in [*OBSERVERS]:
            observer.attribute(module, name)


class Mode:
    """How operations are recorded in this thread and context.

    `by` is what changed the mode to this one, `below` the mode that it found: so modes are a stack, of which any level
    can be left.
    """

    __slots__ = ("anomalies", "below", "by", "grad", "interpreter", "transformed", "usual")

    def __init__(
        self, grad: bool = True, anomalies: bool = False, interpreter: Interpreter | None = None,
        transformed: bool = False,
    ):  # fmt: skip
        self.grad, self.anomalies, self.interpreter, self.transformed = grad, anomalies, interpreter, transformed
        self.usual = grad and not anomalies and interpreter is None
        self.below: Mode | None = None
        self.by: _Level | None = None


MODE: ContextVar[Mode] = ContextVar("mode", default=Mode())  # noqa: B039  a Mode is never changed


def operand(x: Any) -> Any:
    """A tensor or array as the current interpreter sees it; without one, and of anything else, `x` itself."""
    interpreter = MODE.get().interpreter
    return x if interpreter is None else interpreter.operand(x)


def stand_ins(tensors: Sequence[Any]) -> Sequence[Any]:
    """Tensors as the current interpreter sees them."""
    interpreter = MODE.get().interpreter
    return tensors if interpreter is None else [interpreter.tensor(t) for t in tensors]


class _Level:
    """A level of the stack of modes, which may be left in any order.

    Generators that are closed while others are under way leave theirs from between: a token of MODE would then bring
    back what had been left before.  A level that is not in this context's stack is left already.
    """

    __slots__ = ()

    def _changed(self, mode: Mode) -> Mode:
        """The mode within it, of that outside."""
        raise NotImplementedError

    def _enter(self) -> None:
        MODE.set(self._on(MODE.get()))

    def _on(self, below: Mode) -> Mode:
        mode = self._changed(below)
        mode.below, mode.by = below, self
        return mode

    def _leave(self, with_all_above: bool) -> None:
        mode, above = MODE.get(), list[_Level]()
        while mode.by is not self:
            if mode.below is None or mode.by is None:
                return
            above.append(mode.by)
            mode = mode.below
        below = mode.below
        assert below is not None
        if not with_all_above:
            for level in reversed(above):
                below = level._on(below)
        MODE.set(below)


class Within(_Level):
    """Within it the mode is what `changed` makes of the mode outside; what has been entered in it is left with it.

    No generator: one that Ctrl-C has stopped would set the mode when it is collected.
    """

    __slots__ = ("_change",)

    def __init__(self, change: Callable[[Mode], Mode]):
        self._change = change

    def _changed(self, mode: Mode) -> Mode:
        return self._change(mode)

    def __enter__(self) -> None:
        self._enter()

    def __exit__(self, *_: object) -> None:
        self._leave(with_all_above=True)


def interpreted_by(interpreter: Interpreter | None) -> Within:
    """Within it this interpreter carries out the operations; None computes as ever."""
    return Within(lambda mode: Mode(mode.grad, mode.anomalies, interpreter, mode.transformed))


def transforming() -> Within:
    """Record within it, also for a caller within `no_grad`; variables may be replaced, as by `x += 1`."""
    return Within(lambda mode: Mode(True, mode.anomalies, mode.interpreter, transformed=True))


def puts_mode_back(function: Callable) -> Callable:
    """Decorator: afterwards the mode is what it was, even if Ctrl-C has come just before `no_grad` could see to it.

    What was entered before and is left meanwhile, as by a generator that ends, stays left.
    """

    @functools.wraps(function)
    def careful(*args: Any, **kwargs: Any) -> Any:
        with Within(lambda mode: Mode(mode.grad, mode.anomalies, mode.interpreter, mode.transformed)):
            return function(*args, **kwargs)

    return careful


def at_each_replay(function: Callable) -> Callable:
    """Decorator for what is called at every replay of a compiled step instead of being recorded: a log, a schedule.

    In a compiled step the call gives None; tensors and arrays among its arguments are copies.  Elsewhere nothing
    changes.

    >>> import numpy as np, tinygrad_nn as tn
    >>> @tn.at_each_replay
    ... def log(loss):
    ...     print(f"{loss.item():.2f}")
    >>> @tn.compile
    ... def step(x):
    ...     log(tn.sum(x))
    >>> for n in (1.0, 2.0, 3.0):
    ...     step(np.array([n, 0.5]))
    1.50
    2.50
    3.50
    """

    @functools.wraps(function)
    def perhaps_recorded(*args: Any, **kwargs: Any) -> Any:
        interpreter = MODE.get().interpreter
        if interpreter is not None:
            return interpreter.effect(function, args, kwargs)
        if not OBSERVERS or _UNOBSERVED.get():
            return function(*args, **kwargs)
        for observer in [*OBSERVERS]:
            observer.effect()
        token = _UNOBSERVED.set(True)  # replays do it as well
        try:
            return function(*args, **kwargs)
        finally:
            _UNOBSERVED.reset(token)

    perhaps_recorded.at_each_replay = True  # type: ignore[attr-defined]  # no code to look into
    return perhaps_recorded


class _Switch(_Level, contextlib.ContextDecorator):
    """Base of the context managers that change the mode; they may be nested, reused, shared, and left in any order.

    As a decorator it stands with or without parentheses.
    """

    def __new__(cls, function: Callable | None = None) -> Any:
        """A context manager, or the function that is decorated without parentheses."""
        if function is None:
            return super().__new__(cls)
        if not callable(function):
            raise TypeError(
                f"{cls.__name__} takes no {type(function).__name__}: write `with tn.{cls.__name__}():`, or "
                f"`@tn.{cls.__name__}` above a function"
            )
        return cls()(function)

    def __init__(self, function: Callable | None = None) -> None:
        super().__init__()

    def __enter__(self) -> None:
        self._enter()

    def __exit__(self, kind: Any = None, *_: object) -> None:
        self._leave(with_all_above=kind is KeyboardInterrupt)  # which may have kept others from leaving

    def _recreate_cm(self) -> _Switch:
        return type(self)()

    def __call__(self, function: Callable) -> Any:
        """As a decorator: of a generator or coroutine, the mode holds while its own code runs."""
        if inspect.isgeneratorfunction(function):
            return self._of_generator(function)
        if inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{type(self).__name__} cannot decorate the asynchronous generator {function.__name__}: "
                f"write `with tn.{type(self).__name__}():` around the code in it that computes"
            )
        if inspect.iscoroutinefunction(function):
            return self._of_coroutine(function)
        return super().__call__(function)

    def _of_coroutine(self, function: Callable) -> Callable:
        @functools.wraps(function)
        async def switched(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                return await function(*args, **kwargs)

        return switched

    def _of_generator(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def switched(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            resume, given = generator.send, None
            while True:
                try:
                    with self._recreate_cm():
                        item = resume(given)
                except StopIteration as end:
                    return end.value
                try:
                    resume, given = generator.send, (yield item)
                except GeneratorExit:
                    with self._recreate_cm():
                        generator.close()
                    raise
                except BaseException as error:
                    resume, given = generator.throw, error

        return switched


class no_grad(_Switch):  # noqa: N801  PyTorch's name
    """Within it nothing is recorded: for measuring and predicting, as context manager or decorator.

    >>> import tinygrad_nn as tn
    >>> x = tn.tensor(2.0, requires_grad=True)
    >>> with tn.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """

    def _changed(self, mode: Mode) -> Mode:
        return Mode(False, mode.anomalies, mode.interpreter, mode.transformed)


class enable_grad(_Switch):  # noqa: N801  PyTorch's name
    """Within it operations are recorded again, inside `no_grad`; as context manager or decorator.

    >>> import tinygrad_nn as tn
    >>> x = tn.tensor(2.0, requires_grad=True)
    >>> with tn.no_grad(), tn.enable_grad():
    ...     y = x * x
    >>> y.requires_grad
    True
    """

    def _changed(self, mode: Mode) -> Mode:
        return Mode(True, mode.anomalies, mode.interpreter, mode.transformed)


class detect_anomaly(_Switch):  # noqa: N801  PyTorch's name
    """Within it the first NaN or infinity, in a value or a gradient, raises `NonFiniteError`.

    The error names the operation, its operands, and the source line that made it.

    >>> import tinygrad_nn as tn
    >>> x = tn.tensor(0.0, requires_grad=True, name="x")
    >>> with tn.detect_anomaly():
    ...     tn.sqrt(x).backward()
    Traceback (most recent call last):
    ...
    tinygrad_nn.errors.NonFiniteError: the gradient of sqrt(x) with respect to x is not finite: ...
    """

    def _changed(self, mode: Mode) -> Mode:
        return Mode(mode.grad, True, mode.interpreter, mode.transformed)
