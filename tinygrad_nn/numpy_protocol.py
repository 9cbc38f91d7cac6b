"""NumPy's functions on tensors, through its two protocols (NEP 13 and NEP 18)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.operands import as_array
from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, REFUSED, Traced, value_of
from tinygrad_nn.ops.numpy2 import fold

__all__ = ["ABOUT_VALUES", "LEAVES_GRAPH", "NEUTRAL", "array_function", "array_ufunc"]

LEAVES_GRAPH = "{} cannot {}: that would silently leave the graph; {}take .data or .detach() to leave it on purpose"
ABOUT_VALUES = {np.shape, np.ndim, np.size, np.allclose, np.array_equal, np.isclose, np.result_type, np.zeros_like,
                 np.ones_like, np.empty_like, np.full_like, np.iscomplexobj, np.isrealobj, np.array_repr, np.array_str,
                 np.shares_memory, np.may_share_memory, np.array2string, np.count_nonzero, np.array_equiv, np.isreal,
                 np.iscomplex, np.isin, np.lexsort, np.linalg.matrix_rank, np.diag_indices_from, np.tril_indices_from,
                 np.triu_indices_from, np.unravel_index, np.common_type, np.can_cast, np.min_scalar_type,
                 np.einsum_path}  # fmt: skip

# What somebody who called this function may want, by meaning; a function of the same name is the other suggestion.
_NEAREST = {"expit": "sigmoid", "log_expit": "log_sigmoid"}


# Parameters of NumPy's that change no value of a tensor: about subclasses, memory, and the size of imaginary parts
NEUTRAL = {"subok", "overwrite_input", "tol"}

_WRITING = {np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal}


def array_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """A ufunc called on a tensor (NEP 13): the operation that it stands for."""
    if method == "__call__" and _chooses(kwargs) and ("out" not in kwargs or _any_tracked(inputs)):
        raise TypeError(_WITHOUT_VALUE.format(_spelled(ufunc, ufunc.__name__)))
    if kwargs.get("out") is not None:
        _check_writing(ufunc, kwargs["out"], inputs)
        return _on_values(getattr(ufunc, method), inputs, kwargs)
    if method == "at":
        if isinstance(inputs[0], Traced):
            way = "tn.index_add(t, index, values)" if ufunc is np.add else "tn.index_update(t, index, values)"
            raise TypeError(f"np.{ufunc.__name__}.at cannot write into a tensor: {way} makes a new one")
        _check_writing(ufunc, inputs[:1], inputs[1:])
        return _on_values(ufunc.at, inputs, kwargs)
    if method == "outer":
        first, second = inputs
        inputs, method = (np.reshape(first, np.shape(first) + (1,) * np.ndim(second)), second), "__call__"
    loop = {key: kwargs.pop(key) for key in _OF_LOOPS if key in kwargs} if kwargs and method == "__call__" else {}
    if loop:
        inputs = _for_loop(ufunc, inputs, **loop)
    kwargs.pop("out", None)
    if method == "__call__":
        return _numpy_entry(ufunc)(*inputs, **kwargs)
    if getattr(ufunc, method) in BY_FUNCTION:
        return BY_FUNCTION[getattr(ufunc, method)](*inputs, **kwargs)
    entry = fold(ufunc, method)
    if entry is None:
        raise TypeError(f"np.{ufunc.__name__}.{method} is not recorded: tn.split cuts an array into parts")
    return entry(*inputs, **kwargs)


def _chooses(kwargs: dict[str, Any]) -> bool:
    return kwargs.get("where", True) is not True


_WITHOUT_VALUE = (
    "{0} with where= computes a part of the elements: np.where(mask, {0}(...), 0.0) says what the others are, and "
    "sends an exact 0 back to what it does not take"
)
_OF_LOOPS = ("where", "casting", "dtype", "signature", "sig", "order", "subok")  # the last two change no value


def _for_loop(
    ufunc: np.ufunc, inputs: tuple, casting: Any = None, dtype: Any = None, signature: Any = None, sig: Any = None,
    **neutral: Any,
) -> tuple:  # fmt: skip
    """The operands as NumPy converts them for the loop that `dtype=`, `casting=` and `signature=` choose."""
    signature = sig if signature is None else signature
    if isinstance(signature, str):
        signature = tuple(signature.replace("->", ""))
    if dtype is not None:
        signature = (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout
    if signature is None and casting is None:
        return inputs
    weak = (int, float)  # but not np.float64, which is a float as well
    kinds = [type(x) if type(x) in weak else as_array(x, ufunc.__name__).dtype for x in inputs]
    chosen = {} if signature is None else {"signature": signature}
    loop = ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout), casting=casting or "same_kind", **chosen)
    return tuple(_numpy_entry(np.astype)(x, d) for x, d in zip(inputs, loop, strict=False))


def array_function(self: Any, function: Any, types: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Another NumPy function called on a tensor (NEP 18): the operation or function that it stands for."""
    if function in ABOUT_VALUES or (function is np.where and len(args) == 1):
        if function is np.full_like and any(isinstance(a, Traced) and a.tracked for a in (*args[1:], *kwargs.values())):
            raise TypeError(LEAVES_GRAPH.format("np.full_like of a tensor", "become an array", ""))
        return _on_values(function, args, kwargs)
    if function in _WRITING:
        _check_writing(function, args[:1], (*args[1:], *kwargs.values()))
        return _on_values(function, args, kwargs)
    args, kwargs = _as_told(function, args, kwargs)
    if kwargs.get("out") is not None:
        _check_writing(function, kwargs["out"], (*args, *kwargs.values()))
        return _on_values(function, args, kwargs)
    kwargs = {key: value for key, value in kwargs.items() if key != "out" and key not in NEUTRAL}
    return _numpy_entry(function)(*args, **kwargs)


def _check_writing(function: Any, out: Any, inputs: Any) -> None:
    """TypeError where NumPy is to write into a tensor, or a value that a gradient flows through into an array."""
    if any(isinstance(a, Traced) for a in (out if isinstance(out, tuple) else (out,))):
        raise TypeError(
            f"np.{function.__name__} cannot write into a tensor: write t = np.{function.__name__}(...) for a new one, "
            "or t[...] = values within tn.no_grad()"
        )
    if _any_tracked(inputs):
        way = "tn.index_update(array, index, t) makes a new one; "
        raise TypeError(LEAVES_GRAPH.format(f"np.{function.__name__} of a tensor", "be written into an array", way))
    for a in tree.leaves(inputs):
        value_of(a)  # refused where each example has its own


def _any_tracked(inputs: Any) -> bool:
    return any(isinstance(a, Traced) and a.tracked for a in tree.leaves(inputs))


def _on_values(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Call it on the values of the tensors."""
    args, kwargs = tree.map(lambda x: getattr(x, "value", x) if isinstance(x, Traced) else x, (args, kwargs))
    return function(*args, **kwargs)


@functools.cache
def _signature(function: Callable) -> tuple[inspect.Signature, list[str], str | None] | None:
    """The signature of a NumPy function, the parameters given by their places, and the one that takes all others.

    None if it tells none (before NumPy 2.4, some functions in C do not), or takes any number of arrays.
    """
    try:
        signature = inspect.signature(function)
    except ValueError:
        return None
    parameters = signature.parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    rest = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
    placed = [p.name for p in parameters if (p.default is p.empty and p.name != rest) or p.kind is p.POSITIONAL_ONLY]
    return signature, placed, rest


def _as_told(function: Callable, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """A call in NumPy's order of parameters as one of ours: what is required in its place, all else by name.

    What was left out, or given as it is by default, is left out.
    """
    known = _signature(function)
    if known is None or (not kwargs and len(args) <= len(known[1])):
        return args, kwargs
    signature, placed, rest = known
    given = signature.bind(*args, **kwargs).arguments
    further = given.pop(rest, {}) if rest else {}
    chosen = {
        name: value
        for name, value in given.items()
        if name not in placed and value is not signature.parameters[name].default and value is not np._NoValue
    }
    return tuple(given[name] for name in placed if name in given), chosen | further


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
