"""Code written for NumPy, run on the values of JAX: forward functions of operations, which may be the user's own.

A `Lowered` value answers NumPy's protocols with JAX's functions.  Where the code looks at a value to decide, it is run
with an answer that leads to a result, and that answer becomes a guard: a replay in which it is another one gives way
to the step itself, which raises the error, or takes the other way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tinygrad_nn.compiler.ir import map_leaves, out_by_name
from tinygrad_nn.compiler.xla.table import LOWER, NoLoweringError, function_for
from tinygrad_nn.operation import BY_NAME

__all__ = ["Keyed", "Lowered", "lowered_call", "plain"]

_CHOICES = 8  # so many decisions by values are tried in one forward function


class _Choices:
    """The answers that one run of a function gets to its questions, and what was asked."""

    def __init__(self, answers: tuple[bool, ...]):
        self.answers, self.asked = answers, list[Any]()

    def answer(self, condition: Any) -> bool:
        at = len(self.asked)
        self.asked.append(condition)
        return self.answers[at] if at < len(self.answers) else False


class Lowered(np.lib.mixins.NDArrayOperatorsMixin):
    """A value of JAX that NumPy's functions and operators work on."""

    __slots__ = ("_choices", "value")
    __hash__ = object.__hash__

    def __init__(self, value: Any, choices: _Choices):
        self.value, self._choices = value, choices

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """For `isinstance`, in code that asks what it has got."""
        return np.ndarray

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: np.dtype(self.value.dtype))
    T = property(lambda self: self._wrap(self.value.T))
    mT = property(lambda self: self._wrap(jnp.swapaxes(self.value, -1, -2)))  # noqa: N815  NumPy's name
    real = property(lambda self: self)

    def _wrap(self, value: Any) -> Any:
        return jax.tree.map(lambda x: Lowered(x, self._choices) if isinstance(x, jax.Array) else x, value)

    def _call(self, func: Callable, args: Any, kwargs: dict[str, Any]) -> Any:
        args, kwargs = out_by_name(func, args, kwargs)
        out = kwargs.pop("out", None)
        target = out[0] if isinstance(out, tuple) else out
        args, kwargs = map_leaves((args, kwargs), plain)
        y = function_for(func)(*args, **kwargs)
        if target is None:
            return self._wrap(y)
        if not isinstance(target, Lowered):
            raise NoLoweringError(f"{getattr(func, '__name__', 'a function')} with out=")
        target.value = jnp.broadcast_to(y, target.shape).astype(target.dtype)
        return target

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
        return self._wrap(self.value.reshape(shape[0] if len(shape) == 1 else shape))

    def transpose(self, *axes: Any) -> Any:
        """Axes in another order."""
        axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return self._wrap(jnp.transpose(self.value, axes or None))

    def __getitem__(self, index: Any) -> Any:
        if index == () if isinstance(index, tuple) else False:
            return self
        return self._wrap(_item(self.value, map_leaves(index, plain)))

    def __setitem__(self, index: Any, value: Any) -> None:
        self.value = self.value.at[map_leaves(index, plain)].set(plain(value))

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError("the truth value of an array with several elements")
        return self._choices.answer(self.value.reshape(()).astype(bool))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise NoLoweringError("np.asarray of a value on a device")

    def __float__(self) -> float:
        raise NoLoweringError("float() of a value on a device")

    __int__ = __index__ = __complex__ = item = tolist = __float__  # type: ignore[assignment]


def _item(x: Any, index: Any) -> Any:
    from_list = isinstance(index, list)
    return x[np.asarray(index) if from_list else index]


def plain(x: Any) -> Any:
    """The value of JAX itself."""
    return x.value if type(x) is Lowered else x


class Keyed:
    """What a Generator draws, from a key: other numbers than NumPy's, of the same distribution."""

    def __init__(self, key: Any, choices: _Choices):
        self._key, self._choices = key, choices

    def _next(self) -> Any:
        self._key, one = jax.random.split(self._key)
        return one

    def _given(self, value: Any) -> Any:
        return Lowered(value, self._choices)

    def random(self, size: Any = (), dtype: Any = np.float64) -> Any:
        """Uniform in [0, 1)."""
        return self._given(jax.random.uniform(self._next(), _shape(size), dtype))

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = ()) -> Any:
        """Uniform between two numbers."""
        return self.random(size) * (high - low) + low

    def standard_normal(self, size: Any = (), dtype: Any = np.float64) -> Any:
        """Of mean 0 and standard deviation 1."""
        return self._given(jax.random.normal(self._next(), _shape(size), dtype))

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = ()) -> Any:
        """Of this mean and standard deviation."""
        return self.standard_normal(size) * scale + loc

    def integers(self, low: int, high: int | None = None, size: Any = (), dtype: Any = np.int64) -> Any:
        """Whole numbers below `high`."""
        low, high = (0, low) if high is None else (low, high)
        return self._given(jax.random.randint(self._next(), _shape(size), low, high, dtype))

    def permutation(self, x: Any) -> Any:
        """A random order of an array's rows, or of the first whole numbers."""
        return self._given(jax.random.permutation(self._next(), plain(x)))

    def __getattr__(self, name: str) -> Any:
        raise NoLoweringError(f"Generator.{name}")


def _shape(size: Any) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else tuple(size or ())


def _texts_of(func: Callable, name: str) -> list[Callable]:
    """What computes the same as a forward function, the best for JAX first."""
    entry = BY_NAME.get(name)
    if entry is None or getattr(entry, "forward", None) is not func:
        return [func]
    ours = [LOWER[name]] if name in LOWER and entry.__module__.startswith("tinygrad_nn.") else []
    return ours or [*([entry.lowered] if entry.lowered is not None else []), func]


def lowered_call(func: Callable, name: str, args: tuple, kwargs: dict[str, Any], keys: Any) -> tuple[Any, list[Any]]:
    """What a function gives on values of JAX, and the conditions, with the answers, under which this is so.

    `keys` gives a new key for a Generator among the arguments.
    """
    reasons = []
    for text in _texts_of(func, name):
        if text is LOWER.get(name):
            return text(*args, **kwargs), []
        pending: list[tuple[bool, ...]] = [()]
        while pending:
            choices = _Choices(pending.pop())

            def given(x: Any, choices: _Choices = choices) -> Any:
                if isinstance(x, np.random.Generator):
                    return Keyed(keys(x), choices)
                return Lowered(x, choices) if isinstance(x, jax.Array) else x

            inside, named = map_leaves((args, kwargs), given)
            try:
                y = jax.tree.map(plain, text(*inside, **named), is_leaf=lambda x: type(x) is Lowered)
            except Exception as reason:
                reasons.append(reason)
                tried, asked = choices.answers, len(choices.asked)
                if asked > len(tried):  # answers of False led here: the last of them first
                    further = [(*tried, *(False,) * (i - len(tried)), True) for i in range(len(tried), asked)]
                    pending += further[: max(0, _CHOICES - len(pending))]
                continue
            answers = [*choices.answers, *(False,) * len(choices.asked)]
            return y, [*zip(choices.asked, answers, strict=False)]
    raise NoLoweringError(f"{name}: {reasons[-1]}") from reasons[-1]
