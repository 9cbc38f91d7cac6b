"""vmap: a function of one example, applied to all of them at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.batched import batching, enter, leave
from tinygrad_nn.modes import MODE
from tinygrad_nn.operation import Traced
from tinygrad_nn.tensor import Tensor

__all__ = ["vmap"]


def vmap(f: Callable, in_axes: Any = 0, out_axes: int = 0) -> Callable:
    """The function that applies `f` to each example of its arguments and stacks the results.

    Parameters
    ----------
    f : a function of one example: it takes tensors, and returns a tensor or a list, tuple or dict of them.
    in_axes : the axis along which the examples of an argument lie, None for an argument that all of them share; one
        for all arguments, or a tuple with one for each.
    out_axes : the axis along which the results are stacked.

    Operations of the tables work on all examples at once.  Where that is impossible, as in an `if` that depends on an
    example, `f` is called once for each of them, and has its side effects as often.

    Raises
    ------
    ValueError : the arguments have different numbers of examples, or no argument has any.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.vmap(lambda x, y: (x * y).sum())(np.ones((3, 2)), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    array([ 3.,  7., 11.])
    >>> tn.vmap(tn.grad(np.sin))(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """

    @functools.wraps(f)
    def batched(*args: Any, **kwargs: Any) -> Any:
        axes = in_axes if isinstance(in_axes, (tuple, list)) else [in_axes] * len(args)
        if len(axes) != len(args):
            raise ValueError(f"vmap: in_axes has {len(axes)} axes, the function was called with {len(args)} arguments")
        args = tuple([_examples_first(a, axis) for a, axis in zip(args, axes, strict=True)])
        count = _count(args, axes)
        if count:
            try:
                return _given(_at_once(f, args, axes, kwargs, count), out_axes)
            except (TypeError, ValueError, IndexError, AttributeError):
                pass  # not for all examples at once; what is wrong with f itself is met again
        return _given(_one_by_one(f, args, axes, kwargs, count), out_axes)

    return batched


def _examples_first(argument: Any, axis: int | None) -> Any:
    """An argument, which may be a tree, with its examples along the first axis."""
    if axis is None:
        return argument
    arrays = tree.map(lambda x: x if isinstance(x, Traced) else np.asarray(x), argument)
    return tree.map(lambda x: np.moveaxis(x, axis, 0) if axis else x, arrays)


def _count(args: Sequence[Any], axes: Sequence[Any]) -> int:
    for i, (a, axis) in enumerate(zip(args, axes, strict=True)):
        if axis is not None and not all(np.ndim(x) for x in tree.leaves(a)):
            several = f"a {type(a).__name__} of single numbers: np.array(...) makes one array of them"
            single = "a single number: in_axes=None shares it among the examples"
            raise ValueError(f"vmap: argument {i} is {several if tree.is_container(a) else single}")
    counts = {len(x) for a, axis in zip(args, axes, strict=True) if axis is not None for x in tree.leaves(a)}
    if len(counts) != 1:
        found = " and ".join(map(str, sorted(counts))) or "none"
        raise ValueError(f"vmap: the arguments must have the same number of examples along in_axes, they have {found}")
    return counts.pop()


def _at_once(f: Callable, args: Sequence[Any], axes: Sequence[Any], kwargs: dict, count: int) -> Any:
    with batching() as level:
        inner = [
            a if axis is None else tree.map(lambda x: enter(_as_tensor(x), level=level), a)
            for a, axis in zip(args, axes, strict=True)
        ]
        return tree.map(lambda y: leave(_as_tensor(y), level=level, count=count), f(*inner, **kwargs))


def _one_by_one(f: Callable, args: Sequence[Any], axes: Sequence[Any], kwargs: dict, count: int) -> Any:
    results = []
    for i in range(count):
        example = [
            a if axis is None else tree.map(lambda x: _as_tensor(x)[i], a)  # noqa: B023
            for a, axis in zip(args, axes, strict=True)
        ]
        results.append(f(*example, **kwargs))
    if not results:
        raise ValueError("vmap: no examples, so the shape of the result is unknown")
    columns = zip(*[tree.leaves(r) for r in results], strict=True)
    return tree.unflatten(results[0], [np.stack([_as_tensor(y) for y in column]) for column in columns])


def _as_tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x if isinstance(x, Traced) else np.asarray(x))


def _given(results: Any, axis: int) -> Any:
    """Tensors where they are recorded or within another transform, else arrays."""
    moved = tree.map(lambda y: np.moveaxis(y, 0, axis) if axis else y, results)
    mode = MODE.get()
    kept = mode.transformed or mode.interpreter is not None
    return tree.map(lambda y: y if kept or y.tracked else np.array(y.value), moved)
