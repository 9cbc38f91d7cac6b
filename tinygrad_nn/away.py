"""A value that a compiled step has left on a device: it comes here when somebody reads it."""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["Away", "here"]


class Away(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array that is elsewhere, in the place of a tensor's value.

    It knows shape and dtype; whatever else is asked of it fetches the array, which then takes its place.  `device` is
    the array there, `like` an array of the layout that it is to have here, `scalar` says that it is a number.
    """

    __slots__ = ("_array", "_like", "_scalar", "_tensor", "device")
    __hash__ = object.__hash__

    def __init__(self, device: Any, like: np.ndarray, scalar: bool = False):
        self.device, self._like, self._scalar = device, like, scalar
        self._array: Any = None
        self._tensor: Callable[[], Any] = lambda: None

    def stand_in(self, tensor: Any) -> None:
        """Take the place of a tensor's value."""
        self._tensor = weakref.ref(tensor)
        tensor._value = self

    def taken(self) -> Any:
        """The array, from now on in its place; the same one for all who ask."""
        if self._array is None:
            array = np.empty_like(self._like)
            np.copyto(array, np.asarray(self.device))
            self._array = array[()] if self._scalar else array
        tensor = self._tensor()
        if tensor is not None and tensor._value is self:
            tensor._value = self._array
        return self._array

    def now(self) -> Any:
        """The array, if it is here; else this."""
        return self if self._array is None else self._array

    shape = property(lambda self: self._like.shape)
    ndim = property(lambda self: self._like.ndim)
    size = property(lambda self: math.prod(self._like.shape))
    dtype = property(lambda self: self._like.dtype)
    strides = property(lambda self: self._like.strides)
    itemsize = property(lambda self: self._like.dtype.itemsize)
    nbytes = property(lambda self: self.size * self.itemsize)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """For `isinstance`."""
        return type(self._like[()]) if self._scalar else np.ndarray

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if "out" in kwargs:
            kwargs["out"] = tuple(map(here, kwargs["out"]))
        return getattr(ufunc, method)(*map(here, inputs), **kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        return function(*_all_here(args), **_all_here(kwargs))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.taken(), dtype=dtype, copy=copy)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.taken(), name)

    def __getitem__(self, index: Any) -> Any:
        return self.taken()[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.taken()[index] = value

    def __len__(self) -> int:
        return len(self.taken())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.taken())

    def __bool__(self) -> bool:
        return bool(self.taken())

    def __float__(self) -> float:
        return float(self.taken())

    def __int__(self) -> int:
        return int(self.taken())

    def __index__(self) -> int:
        return operator.index(self.taken())

    def __repr__(self) -> str:
        return repr(self.taken())

    def __reduce__(self) -> Any:
        return self.taken().__reduce__()


def here(x: Any) -> Any:
    """An array that may be away, fetched if it is; all else as it is."""
    return x.taken() if type(x) is Away else x


def _all_here(x: Any) -> Any:
    if isinstance(x, (tuple, list)):
        return type(x)(map(_all_here, x))
    return {key: _all_here(value) for key, value in x.items()} if type(x) is dict else here(x)
