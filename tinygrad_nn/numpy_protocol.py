"""NumPy's functions on tensors, through its two protocols (NEP 13 and NEP 18)."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, Op, Traced

__all__ = ["LEAVES_GRAPH", "array_function", "array_ufunc"]

LEAVES_GRAPH = "{} cannot {}: that would silently leave the graph; take .data or .detach() to leave it on purpose"
_ABOUT_VALUES = {np.shape, np.ndim, np.size, np.allclose, np.array_equal, np.isclose, np.result_type, np.zeros_like,
                 np.ones_like, np.empty_like, np.full_like, np.iscomplexobj, np.isrealobj, np.array_repr, np.array_str,
                 np.shares_memory, np.may_share_memory, np.array2string, np.count_nonzero, np.array_equiv, np.isreal,
                 np.iscomplex, np.isin, np.lexsort, np.linalg.matrix_rank, np.diag_indices_from, np.tril_indices_from,
                 np.triu_indices_from, np.unravel_index, np.common_type, np.can_cast, np.min_scalar_type,
                 np.einsum_path}  # fmt: skip


def array_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """A ufunc called on a tensor (NEP 13): the operation that it stands for."""
    if kwargs.get("out") is not None:
        raise TypeError(LEAVES_GRAPH.format(f"np.{ufunc.__name__} of a tensor", "be written into an array"))
    if method == "outer":
        first, second = inputs
        inputs, method = (np.reshape(first, np.shape(first) + (1,) * np.ndim(second)), second), "__call__"
    if kwargs.get("dtype") is not None and method == "__call__":
        dtype = kwargs.pop("dtype")
        inputs = tuple(x if isinstance(x, (int, float)) else _numpy_entry(np.astype)(x, dtype) for x in inputs)
    if method != "__call__" and getattr(ufunc, method) in BY_FUNCTION:
        return BY_FUNCTION[getattr(ufunc, method)](*inputs, **kwargs)
    if method != "__call__":
        raise TypeError(f"np.{ufunc.__name__}.{method} is not recorded: use the tensor functions (tn.sum, tn.prod ...)")
    return _numpy_entry(ufunc)(*inputs, **kwargs)


def array_function(self: Any, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Another NumPy function called on a tensor (NEP 18): the operation or function that it stands for."""
    if function in _ABOUT_VALUES or (function is np.where and len(args) == 1):
        if function is np.full_like and any(isinstance(a, Traced) and a.tracked for a in (*args[1:], *kwargs.values())):
            raise TypeError(LEAVES_GRAPH.format("np.full_like of a tensor", "become an array"))
        return function(*_plain(args), **dict(zip(kwargs, _plain(tuple(kwargs.values())), strict=True)))
    if kwargs.get("out") is not None:
        raise TypeError(LEAVES_GRAPH.format(f"np.{function.__name__} of a tensor", "be written into an array"))
    return _call_as_numpy(_numpy_entry(function), function, args, kwargs)


def _plain(values: Any) -> Any:
    if isinstance(values, (tuple, list)):
        return tuple(_plain(v) for v in values)
    return getattr(values, "value", values) if isinstance(values, Traced) else values


def _call_as_numpy(entry: Any, function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Call our entry as somebody called NumPy's function: its names and order of parameters, its defaults left out."""
    if not kwargs and (not isinstance(entry, Op) or len(args) <= len(entry.arguments)):
        return entry(*args)
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # before NumPy 2.4, some functions in C do not tell
        return entry(*args, **kwargs)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return entry(*args, **kwargs)
    given = inspect.signature(function).bind(*args, **kwargs).arguments
    rest = next((name for name, p in parameters.items() if p.kind is p.VAR_KEYWORD), None)
    further = given.pop(rest, {}) if rest else {}
    required = [name for name, p in parameters.items() if p.default is p.empty]
    chosen = {
        name: value
        for name, value in given.items()
        if name not in required and value is not parameters[name].default and value is not np._NoValue
    }
    return entry(*(given[name] for name in required if name in given), **chosen, **further)


def _numpy_entry(function: Any) -> Any:
    """The operation that a NumPy function stands for; TypeError naming the nearest where there is none."""
    entry = BY_FUNCTION.get(function)
    if entry is not None:
        return entry
    import difflib  # nobody else needs it

    name = getattr(function, "__name__", str(function))
    public = [n for n in BY_NAME if not n.startswith("_")]
    near = difflib.get_close_matches(name, public, n=1, cutoff=0.5)
    hint = f"the nearest operation is tn.{near[0]}; " if near else ""
    raise TypeError(f"np.{name} is not recorded on tensors: {hint}add it with tn.op, or take .data to leave the graph")
