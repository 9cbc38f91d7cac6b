"""vmap: a function of one example, applied to all of them at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.batched import batching, enter, left, runs_for_first
from tinygrad_nn.errors import MutationError
from tinygrad_nn.foreign import is_foreign
from tinygrad_nn.in_place import REPLACEABLE
from tinygrad_nn.modes import MODE
from tinygrad_nn.operation import Traced
from tinygrad_nn.tensor import Tensor

__all__ = ["vmap"]


def vmap(f: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
    """The function that applies `f` to each example of its arguments and stacks the results.

    Parameters
    ----------
    f : a function of one example: it takes tensors, and returns a tensor or a list, tuple or dict of them.
    in_axes : the axis along which the examples of an argument lie, None for an argument that all of them share; one
        for all arguments, or a tuple with one for each.  For an argument that is a list, tuple or dict, it may be one
        for each part.
    out_axes : the axis along which the results are stacked; one for all, or one for each part of the result.

    Arrays among the keyword arguments have their examples along the first axis; numbers and all else are shared.

    Operations of the tables work on all examples at once.  Where that is impossible, as in an `if` that depends on an
    example, `f` is called once for each of them, and has its side effects as often.  Only where `f` fails on all
    together, as in an assignment `x[0] = 1`, has it had those that come before.  What `f` changes in place, as in
    `x += 1`, is its own.

    Random numbers that `f` draws are the same for all examples that are computed at once: draw them before, one for
    each example, and make them an argument.

    Raises
    ------
    ValueError : the arguments have different numbers of examples, or no argument has any; `in_axes` or `out_axes`
        have another structure.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.vmap(lambda x, y: (x * y).sum())(np.ones((3, 2)), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    array([ 3.,  7., 11.])
    >>> tn.vmap(tn.grad(np.sin))(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """
    if not callable(f):
        raise TypeError(f"vmap takes a function of one example, this is of type {type(f).__name__}")

    @functools.wraps(f)
    def batched(*args: Any, **kwargs: Any) -> Any:
        axes = _axes_of(args, in_axes) + [0 if np.ndim(x) else None for x in tree.leaves(kwargs)]
        leaves = [_examples_first(x, axis) for x, axis in zip(tree.leaves((args, kwargs)), axes, strict=True)]
        count = _count(leaves, axes)

        def call(change: Callable) -> Any:
            """Call the function with each array that holds examples changed."""
            given = [x if axis is None else change(x) for x, axis in zip(leaves, axes, strict=True)]
            inner, named = tree.unflatten((args, kwargs), given)
            return f(*inner, **named)

        begun: list[Any] = []
        if count:
            try:
                whole, result = _at_once(call, count)
                if whole:
                    return _given(result, out_axes)
                begun = [result]
            except _NOT_AT_ONCE:
                pass  # what is wrong with f itself is met again
        return _given(_one_by_one(call, count, begun), out_axes)

    return batched


_NOT_AT_ONCE = (TypeError, ValueError, LookupError, AttributeError, AssertionError, RecursionError, NotImplementedError,
                MutationError)  # fmt: skip


def _axes_of(args: Sequence[Any], in_axes: Any) -> list[Any]:
    """The axis of each leaf of the arguments."""
    if isinstance(in_axes, dict) and len(args) == 1:
        in_axes = (in_axes,)
    if isinstance(in_axes, (tuple, list)) and len(in_axes) != len(args):
        count = f"{len(in_axes)} axes, the function was called with {len(args)} arguments"
        raise ValueError(f"vmap: in_axes has {count}")
    return _spread(in_axes, args, "in_axes", "the arguments")


def _spread(axes: Any, like: Any, name: str, what: str) -> list[Any]:
    """The axis of each leaf: that of the node it belongs to."""
    if axes is None or isinstance(axes, (int, np.integer)):
        return [axes] * len(tree.leaves(like))
    same = isinstance(axes, dict) if isinstance(like, dict) else isinstance(axes, (tuple, list))
    if not tree.is_container(like) or not same or len(axes) != len(like):
        raise ValueError(f"vmap: {name} is or holds {axes!r}, which is no axis, and has not the structure of {what}")
    keys = list(like) if isinstance(like, dict) else range(len(like))
    if isinstance(like, dict) and set(axes) != set(keys):
        raise ValueError(f"vmap: {name} names {list(axes)}, where {what} have {keys}")
    return [axis for key in keys for axis in _spread(axes[key], like[key], name, what)]


def _examples_first(x: Any, axis: int | None) -> Any:
    """An array with its examples along the first axis."""
    if axis is None:
        return x
    if hasattr(x, "named_parameters") or isinstance(x, Iterator):
        raise TypeError(
            f"vmap: an argument is of type {type(x).__name__}, expected arrays: share a module with None in in_axes, "
            "or use it from outside"
        )
    if is_foreign(x):
        kind = type(x)
        raise TypeError(
            f"vmap: an argument is a {kind.__name__} of {kind.__module__.partition('.')[0]}, expected NumPy's: "
            "operations take it as it is, with all examples along an axis"
        )
    x = x if isinstance(x, Traced) else np.asarray(x)
    if not x.ndim:
        raise ValueError(
            "vmap: a single number has no examples: pass an array of them, or share it with None in in_axes; a list "
            "is a tree of arguments, and np.array(list) one array"
        )
    return np.moveaxis(x, axis, 0) if axis else x


def _count(leaves: Sequence[Any], axes: Sequence[Any]) -> int:
    counts = {len(x) for x, axis in zip(leaves, axes, strict=True) if axis is not None}
    if len(counts) != 1:
        found = " and ".join(map(str, sorted(counts))) or "none"
        raise ValueError(f"vmap: the arguments must have the same number of examples along in_axes, they have {found}")
    return counts.pop()


def _at_once(call: Callable, count: int) -> tuple[bool, Any]:
    """Whether the function was carried out for all examples, and the results of all, or else that of the first."""
    with batching(may_ask=True) as level:
        result = call(lambda x: _replaceable(enter(_as_tensor(x), level=level)))
        whole = not runs_for_first(level)
        results = tree.map(lambda y: left(_as_tensor(y), level, count), result)
    return whole, results if whole else tree.map(lambda y: y[0], results)


def _one_by_one(call: Callable, count: int, begun: list[Any]) -> Any:
    """The results of one call after the other, behind those that there are."""
    results = list(begun)
    for i in range(len(begun), count):
        results.append(call(lambda x: _example(x, i)))  # noqa: B023
    if not results:
        raise ValueError("vmap: no examples, so the shape of the result is unknown")
    columns = zip(*[tree.leaves(r) for r in results], strict=True)
    return tree.unflatten(results[0], [np.stack([_as_tensor(y) for y in column]) for column in columns])


def _example(x: Any, i: int) -> Tensor:
    """One example, in memory of its own: the function may change it."""
    example = _as_tensor(x)[i]
    return _replaceable(example if example.op is not None else Tensor(example._value.copy()))


def _replaceable(x: Tensor) -> Tensor:
    """The variable of a function, which may be replaced by `x += 1`."""
    if x.op is None:
        x.params = REPLACEABLE
    return x


def _as_tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x if isinstance(x, Traced) else np.asarray(x))


def _given(results: Any, axes: Any) -> Any:
    """Tensors where they are recorded or within another transform, else arrays."""
    mode = MODE.get()
    kept = mode.transformed or mode.interpreter is not None
    leaves = tree.leaves(results)
    moved = [
        np.moveaxis(y, 0, axis) if axis else y
        for y, axis in zip(leaves, _spread(axes, results, "out_axes", "the result"), strict=True)
    ]
    return tree.unflatten(results, [y if kept or y.tracked else np.array(y.value) for y in moved])
