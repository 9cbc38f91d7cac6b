"""Code written for NumPy, run on the values of JAX: forward functions of operations, which may be the user's own.

A `Lowered` value answers NumPy's protocols with JAX's functions.  Where the code looks at a value to decide, it gets
the answer that it got when the step was recorded, and that answer becomes a guard: a replay in which it is another one
gives way to the step itself, which raises the error, or takes the other way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tinygrad_nn.compiler.ir import item, map_leaves, out_by_name, updated
from tinygrad_nn.compiler.xla.table import LOWER, Guarded, NoLoweringError, function_for
from tinygrad_nn.operation import BY_NAME, Op, Traced

__all__ = ["Answers", "Choices", "Keyed", "Lowered", "UndecidedError", "answers_of", "lowered_call", "plain"]


class UndecidedError(Exception):
    """A function asks about a value, and it is not known how it was decided when the step was recorded."""


Answers = dict[Callable, tuple[bool, ...]]


class Choices:
    """The answers that one run of a function gets to its questions, what was asked, and what else has to hold.

    Without `answers` the values themselves give them.
    """

    def __init__(self, answers: tuple[bool, ...] | None, keys: Callable[[Any], Any]):
        self.answers, self.keys = answers, keys
        self.asked, self.demanded = list[Any](), list[Any]()

    def answer(self, condition: Any) -> bool:
        """How a question is decided."""
        at = len(self.asked)
        self.asked.append(condition)
        if self.answers is None:
            return bool(condition)
        if at == len(self.answers):
            raise UndecidedError
        return self.answers[at]

    def given(self, x: Any) -> Any:
        """What the function sees of a value."""
        if isinstance(x, np.random.Generator):
            return Keyed(self.keys(x), lambda y: Lowered(y, self))
        return Lowered(x, self) if isinstance(x, jax.Array) else x

    def taken(self, y: Any) -> Any:
        """The value itself, with what it is right for noted down."""
        if type(y) is Guarded:
            self.demanded += y.holds
            return y.value
        return y

    def guards(self) -> list[Any]:
        """All conditions under which the function would have done the same."""
        return [*self.demanded, *(x == y for x, y in zip(self.asked, self.answers or (), strict=False))]


class Lowered(Traced, np.lib.mixins.NDArrayOperatorsMixin):
    """A value of JAX that NumPy's functions, operators, and the operations of the tables work on."""

    __slots__ = ("_array", "_choices")
    __hash__ = object.__hash__
    index, tracked = 0, False

    def __init__(self, array: Any, choices: Choices):
        self._array, self._choices = array, choices

    @property
    def value(self) -> Lowered:
        """As a tensor has one."""
        return self

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """For `isinstance`, in code that asks what it has got."""
        return np.ndarray

    shape = property(lambda self: self._array.shape)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    dtype = property(lambda self: np.dtype(self._array.dtype))
    T = property(lambda self: self._wrap(self._array.T))
    mT = property(lambda self: self._wrap(jnp.swapaxes(self._array, -1, -2)))  # noqa: N815  NumPy's name
    real = property(lambda self: self._wrap(jnp.real(self._array)))
    imag = property(lambda self: self._wrap(jnp.imag(self._array)))
    base = None  # nobody else has its memory

    def _wrap(self, value: Any) -> Any:
        return jax.tree.map(lambda x: Lowered(x, self._choices) if isinstance(x, jax.Array) else x, value)

    def _call(self, func: Callable, args: Any, kwargs: dict[str, Any]) -> Any:
        args, kwargs = out_by_name(func, args, kwargs)
        out = kwargs.pop("out", None)
        target = out[0] if isinstance(out, tuple) else out
        args, kwargs = map_leaves((args, kwargs), plain)
        y = self._choices.taken(function_for(func)(*args, **kwargs))
        if target is None:
            return self._wrap(y)
        if not isinstance(target, Lowered):
            raise NoLoweringError(f"{getattr(func, '__name__', 'a function')} with out=")
        target._array = jnp.broadcast_to(y, target.shape).astype(target.dtype)
        return target

    def __record__(self, op: Op, args: tuple, params: dict[str, Any] | None) -> Any:
        reasons = []
        args, params = map_leaves((args, params or {}), self._choices.given)
        for text, is_ours in _texts_of(op.forward, op.name):
            try:
                if not is_ours:
                    return text(*args, **params)
                values, settings = map_leaves((args, params), plain)
                return self._wrap(self._choices.taken(text(*values, **settings)))
            except (NoLoweringError, TypeError) as reason:
                reasons.append(reason)
        raise reasons[-1]

    def as_index(self) -> Any:  # noqa: D102  inherited
        return self

    def stands_for_same(self, other: Any) -> bool:  # noqa: D102  inherited
        return self is other or (type(other) is Lowered and other._array is self._array)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return self._call(ufunc if method == "__call__" else getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        return self._call(function, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        """The methods of arrays."""
        method = getattr(np.ndarray, name, None)
        if name.startswith("_") or not callable(method):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._call(method, (self, *args), kwargs)

    def reshape(self, *shape: Any, **_: Any) -> Any:
        """Another shape."""
        return self._wrap(self._array.reshape(shape[0] if len(shape) == 1 else shape))

    def transpose(self, *axes: Any) -> Any:
        """Axes in another order."""
        axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return self._wrap(jnp.transpose(self._array, axes or None))

    def __getitem__(self, index: Any) -> Any:
        return self._call(item, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        self._array = self._call(updated, (self, index, value), {})._array

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError("the truth value of an array with several elements")
        return self._choices.answer(self._array.reshape(()).astype(bool))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise NoLoweringError("it asks for an array of NumPy (np.asarray, float), and JAX has the value on a device")

    def __float__(self) -> float:
        raise NoLoweringError("it asks for a number (float, int, item), and JAX has the value on a device")

    __int__ = __index__ = __complex__ = item = tolist = __float__


def plain(x: Any) -> Any:
    """The value of JAX itself."""
    return x._array if type(x) is Lowered else x


class Keyed:
    """What a Generator draws, from a key: other numbers than NumPy's, of the same distribution.

    `given` makes of an array of JAX what the caller gets.
    """

    def __init__(self, key: Any, given: Callable[[jax.Array], Any]):
        self._key, self._given = key, given

    def _drawn(self, function: Callable, *args: Any) -> Any:
        with jax.enable_x64(True):
            self._key, one = jax.random.split(self._key)
            return self._given(function(one, *args))

    def random(self, size: Any = (), dtype: Any = np.float64) -> Any:
        """Uniform in [0, 1)."""
        return self._drawn(jax.random.uniform, _shape(size), dtype)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = ()) -> Any:
        """Uniform between two numbers."""
        return self.random(size) * (high - low) + low

    def standard_normal(self, size: Any = (), dtype: Any = np.float64) -> Any:
        """Of mean 0 and standard deviation 1."""
        return self._drawn(jax.random.normal, _shape(size), dtype)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = ()) -> Any:
        """Of this mean and standard deviation."""
        return self.standard_normal(size) * scale + loc

    def integers(self, low: int, high: int | None = None, size: Any = (), dtype: Any = np.int64) -> Any:
        """Whole numbers below `high`."""
        low, high = (0, low) if high is None else (low, high)
        return self._drawn(jax.random.randint, _shape(size), low, high, dtype)

    def permutation(self, x: Any) -> Any:
        """A random order of an array's rows, or of the first whole numbers."""
        return self._drawn(jax.random.permutation, plain(x))

    def __getattr__(self, name: str) -> Any:
        raise NoLoweringError(f"Generator.{name}")


def _shape(size: Any) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else tuple(size or ())


def _texts_of(func: Callable, name: str) -> list[tuple[Callable, bool]]:
    """What computes the same as a forward function, the best for JAX first, and whether it is written in JAX."""
    entry = BY_NAME.get(name)
    if entry is None or getattr(entry, "forward", None) is not func:
        return [(func, False)]
    if name in LOWER and entry.__module__.startswith("tinygrad_nn."):  # an operation of the user's may bear the name
        return [(LOWER[name], True)]
    return [*([(entry.lowered, False)] if entry.lowered is not None else []), (func, False)]


def lowered_call(
    func: Callable, name: str, args: tuple, kwargs: dict[str, Any], keys: Any, answers: Answers | None
) -> tuple[Any, list[Any]]:
    """What a function gives on values of JAX, and the arrays that are true where this is so.

    `keys` gives a new key for a Generator among the arguments; `answers` are those of `answers_of`.
    """
    reasons: list[Exception] = []
    for text, is_ours in _texts_of(func, name):
        choices = Choices((answers or {}).get(text, ()), keys)
        try:
            return _carried_out(text, is_ours, args, kwargs, choices), choices.guards()
        except UndecidedError:
            if answers is None:
                raise
            reasons.append(NoLoweringError("it decides by values"))
        except Exception as reason:
            reasons.append(reason)
    raise NoLoweringError(str(reasons[-1])) from reasons[-1]


def _carried_out(text: Callable, is_ours: bool, args: tuple, kwargs: dict[str, Any], choices: Choices) -> Any:
    if is_ours:
        return choices.taken(text(*args, **kwargs))
    inside, named = map_leaves((args, kwargs), choices.given)
    return jax.tree.map(plain, text(*inside, **named), is_leaf=lambda x: type(x) is Lowered)


def answers_of(func: Callable, name: str, args: tuple, kwargs: dict[str, Any]) -> Answers:
    """How a function decides on these arrays of NumPy, for each of the texts that compute the same."""
    found: Answers = {}
    for text, is_ours in _texts_of(func, name):
        choices = Choices(None, lambda _: jax.random.key(0))
        with jax.ensure_compile_time_eval(), contextlib.suppress(Exception):  # a text that fails does not serve
            arrays = map_leaves((args, kwargs), lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x)
            _carried_out(text, is_ours, arrays[0], arrays[1], choices)
            found[text] = tuple([bool(x) for x in choices.asked])
    return found
