"""NumPy's functions on tensors, through its two protocols (NEP 13 and NEP 18)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, REFUSED, Op, Traced, value_of

__all__ = ["ABOUT_VALUES", "LEAVES_GRAPH", "array_function", "array_ufunc"]

LEAVES_GRAPH = "{} cannot {}: that would silently leave the graph; take .data or .detach() to leave it on purpose"
ABOUT_VALUES = {np.shape, np.ndim, np.size, np.allclose, np.array_equal, np.isclose, np.result_type, np.zeros_like,
                 np.ones_like, np.empty_like, np.full_like, np.iscomplexobj, np.isrealobj, np.array_repr, np.array_str,
                 np.shares_memory, np.may_share_memory, np.array2string, np.count_nonzero, np.array_equiv, np.isreal,
                 np.iscomplex, np.isin, np.lexsort, np.linalg.matrix_rank, np.diag_indices_from, np.tril_indices_from,
                 np.triu_indices_from, np.unravel_index, np.common_type, np.can_cast, np.min_scalar_type,
                 np.einsum_path}  # fmt: skip

# What somebody who called this function may want, by meaning; a function of the same name is the other suggestion.
_NEAREST = {"angle": "arctan2", "expit": "sigmoid", "log_expit": "log_sigmoid"}


_WRITING = {np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal}


def array_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """A ufunc called on a tensor (NEP 13): the operation that it stands for."""
    if kwargs.get("out") is not None:
        _check_writing(ufunc, kwargs["out"], inputs)
        return _on_values(getattr(ufunc, method), inputs, kwargs)
    if method == "at":
        _check_writing(ufunc, inputs[:1], inputs[1:])
        return _on_values(ufunc.at, inputs, kwargs)
    if method == "outer":
        first, second = inputs
        inputs, method = (np.reshape(first, np.shape(first) + (1,) * np.ndim(second)), second), "__call__"
    if kwargs.get("dtype") is not None and method == "__call__":
        dtype = kwargs.pop("dtype")
        inputs = tuple(x if type(x) in (int, float) else _numpy_entry(np.astype)(x, dtype) for x in inputs)
    if method != "__call__" and getattr(ufunc, method) in BY_FUNCTION:
        return BY_FUNCTION[getattr(ufunc, method)](*inputs, **kwargs)
    if method != "__call__":
        raise TypeError(f"np.{ufunc.__name__}.{method} is not recorded: use the tensor functions (tn.sum, tn.prod ...)")
    return _numpy_entry(ufunc)(*inputs, **kwargs)


def array_function(self: Any, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Another NumPy function called on a tensor (NEP 18): the operation or function that it stands for."""
    if function in ABOUT_VALUES or (function is np.where and len(args) == 1):
        if function is np.full_like and any(isinstance(a, Traced) and a.tracked for a in (*args[1:], *kwargs.values())):
            raise TypeError(LEAVES_GRAPH.format("np.full_like of a tensor", "become an array"))
        return _on_values(function, args, kwargs)
    if function in _WRITING:
        _check_writing(function, args[:1], (*args[1:], *kwargs.values()))
        return _on_values(function, args, kwargs)
    if kwargs.get("out") is not None:
        _check_writing(function, kwargs["out"], (*args, *kwargs.values()))
        return _on_values(function, args, kwargs)
    return _call_as_numpy(_numpy_entry(function), function, args, kwargs)


def _check_writing(function: Any, out: Any, inputs: Any) -> None:
    """TypeError where NumPy is to write into a tensor, or a value that a gradient flows through into an array."""
    if any(isinstance(a, Traced) for a in (out if isinstance(out, tuple) else (out,))):
        raise TypeError(
            f"np.{function.__name__} cannot write into a tensor: write t = np.{function.__name__}(...) for a new one, "
            "or t[...] = values within tn.no_grad()"
        )
    for a in tree.leaves(inputs):
        if isinstance(a, Traced) and a.tracked:
            raise TypeError(LEAVES_GRAPH.format(f"np.{function.__name__} of a tensor", "be written into an array"))
        value_of(a)  # refused where each example has its own


def _on_values(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Call it on the values of the tensors."""
    args, kwargs = tree.map(lambda x: getattr(x, "value", x) if isinstance(x, Traced) else x, (args, kwargs))
    return function(*args, **kwargs)


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
    name = getattr(function, "__name__", str(function))
    near = _NEAREST.get(name, name)
    hint = f"the nearest operation is tn.{near}; " if near in BY_NAME and not near.startswith("_") else ""
    name = _spelled(function, name)
    if function in REFUSED:
        raise TypeError(f"{name} is not recorded on tensors: {REFUSED[function]}")
    raise TypeError(f"{name} is not recorded on tensors: {hint}add it with tn.op, or take .data to leave the graph")


def _spelled(function: Any, name: str) -> str:
    """As user code writes it: SciPy has ufuncs, too."""
    places = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft}
    place = next((place for place, module in places.items() if getattr(module, name, None) is function), None)
    return f"{place}.{name}" if place else name
