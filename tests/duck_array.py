"""A strict kind of array: NumPy's numbers behind NEP 13 and 18, and no way back that nobody asked for.

It stands for arrays on a GPU (CuPy's dispatch rules) and arrays that are larger than memory (Dask): it never becomes
a NumPy array by itself, does not mix with NumPy's arrays, and nobody may look at its numbers to decide anything.
"""

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

SCALARS = (int, float, complex, bool, np.generic)
WITH_INDICES = {np.take: 1}  # where the place of an argument is for indices, which may be NumPy's: they are parameters


class FetchedError(TypeError):
    """The numbers were asked for without a word."""


class Duck(NDArrayOperatorsMixin):
    """An array of numbers that may be computed with and not looked at; `numbers(x)` is the test's way to them."""

    def __init__(self, numbers):
        self._numbers = numbers

    shape = property(lambda self: self._numbers.shape)
    dtype = property(lambda self: self._numbers.dtype)
    ndim = property(lambda self: self._numbers.ndim)
    size = property(lambda self: self._numbers.size)
    T = property(lambda self: wrapped(self._numbers.T))

    def __repr__(self):
        return f"Duck({self.shape}, {self.dtype})"

    def __len__(self):
        return len(self._numbers)

    def _refuse(self, *args, **kwargs):
        raise FetchedError("a Duck became numbers that nobody had asked for")

    __array__ = __bool__ = __float__ = __int__ = __index__ = __complex__ = item = tolist = __iter__ = _refuse

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if getattr(np, ufunc.__name__, None) is not ufunc:
            return NotImplemented  # made by np.frompyfunc, or SciPy's: nothing of the kind on a GPU
        if not all(isinstance(x, (Duck, np.ndarray, *SCALARS)) for x in inputs):
            return NotImplemented
        return wrapped(getattr(ufunc, method)(*plain(inputs), **plain_kwargs(kwargs)))

    def __array_function__(self, function, types, args, kwargs):
        if function is np.asarray and not isinstance(args[0], Duck):
            return Duck(np.array(args[0], **kwargs))  # np.asarray(constant, like=x): asked for
        if not all(issubclass(kind, (Duck, np.ndarray)) for kind in types):
            return NotImplemented
        if not all(issubclass(kind, Duck) for kind in types):
            raise TypeError(f"{function.__name__} mixes a Duck with {types}")
        place = WITH_INDICES.get(function)
        head = [x if i == place and isinstance(x, np.ndarray) else plain(x) for i, x in enumerate(args)]
        return wrapped(function(*head, **plain_kwargs(kwargs)))

    def __getitem__(self, index):
        return wrapped(self._numbers[as_index(index)])

    def __setitem__(self, index, values):
        self._numbers[as_index(index)] = plain(values)

    def astype(self, dtype, copy=True):
        return wrapped(self._numbers.astype(dtype, copy=copy))

    def copy(self):
        return wrapped(self._numbers.copy())

    def reshape(self, *shape):
        return wrapped(self._numbers.reshape(*shape))

    def transpose(self, *axes):
        return wrapped(self._numbers.transpose(*axes))

    def any(self, **how):
        return wrapped(self._numbers.any(**how))

    def all(self, **how):
        return wrapped(self._numbers.all(**how))


def wrapped(y):
    """What NumPy has returned, as Ducks: single numbers, too, as on a GPU."""
    if isinstance(y, tuple):
        return type(y)(*map(wrapped, y)) if hasattr(y, "_fields") else tuple(map(wrapped, y))
    if isinstance(y, list):
        return [wrapped(part) for part in y]
    return Duck(np.array(y)) if isinstance(y, (np.ndarray, np.generic)) else y


def plain(x):
    """The numbers of a Duck among arguments; an array of NumPy's is refused."""
    if isinstance(x, Duck):
        return x._numbers
    if isinstance(x, (list, tuple)):
        return type(x)(map(plain, x))
    if isinstance(x, np.ndarray):
        raise TypeError(f"a Duck does not mix with an array of NumPy's, of shape {x.shape}")
    return x


def plain_kwargs(kwargs):
    """The same of keyword arguments."""
    return {name: plain(x) for name, x in kwargs.items()}


def as_index(index):
    """An index: what it is made of may be NumPy's."""
    if isinstance(index, tuple):
        return tuple(map(as_index, index))
    return index._numbers if isinstance(index, Duck) else index


def numbers(x):
    """The numbers of a Duck, of a tensor of one, or of NumPy's array."""
    x = getattr(x, "_value", x)
    return x._numbers if isinstance(x, Duck) else x
