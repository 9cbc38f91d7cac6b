"""What may be an operand: real arrays and numbers.  All else is turned into one by its plain values, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_nn.foreign import refuse_unknown_sizes

__all__ = [
    "FLOAT64",
    "REAL",
    "are_plain",
    "array_from",
    "as_array",
    "hint_for",
    "plain_values",
    "real_dtype",
    "real_operand",
    "refuse_kind",
]

REAL = "fiub"  # dtype kinds: floating, signed, unsigned, bool
FLOAT64 = np.dtype(np.float64)  # the usual one, which is quicker to ask for
_USUAL = {np.ndarray, np.float64, float, int, bool, list, tuple}


def are_plain(values: Sequence[Any]) -> bool:
    """Whether all of these are arrays and numbers to compute with as they are.

    Arrays of exact Python integers are: rules count paths with them (`chain`), and no tensor takes part.
    """
    for x in values:
        kind = type(x)
        if kind is np.ndarray:
            if x.dtype is not FLOAT64 and x.dtype.kind not in REAL + "O":
                return False
        elif kind is not float and kind is not np.float64 and kind is not int:
            return False
    return True


def real_operand(x: Any, caller: str, name: str) -> Any:
    """`x` as an operand: a traced value, a real array or a number, as it is; all else by its plain values.

    Lists, tuples, and what has labels (pandas, polars, xarray) or belongs to another framework become arrays.  Kinds of
    arrays that implement NumPy's protocols (NEP 13 and 18) stay what they are.

    Raises TypeError, naming `name` as an operand of `caller`, for complex numbers, objects, text, times, masked arrays,
    matrices (sparse ones, np.matrix), and arrays of other frameworks that require a gradient.
    """
    kind = type(x)
    if kind is float or kind is int or kind is bool or x is None or hasattr(kind, "__record__"):
        return x
    refuse_kind(x, caller, name)
    if isinstance(x, (np.ndarray, np.generic)):
        array = x if kind is np.ndarray or isinstance(x, np.generic) else np.asarray(x)
    elif hasattr(kind, "__array_function__"):
        refuse_unknown_sizes(x, caller, name)
        array = x
    else:
        array = array_from(x, caller)
    if array.dtype.kind not in REAL:
        raise TypeError(
            f"{caller}: expected real numbers, {name} has dtype {array.dtype} ({_a(kind)}): {hint_for(array, name)}"
        )
    return array


def as_array(x: Any, caller: str = "an operation", name: str = "an operand") -> Any:
    """An operand as a real array, also where it is a number; traced values as they are."""
    if type(x) is np.ndarray and x.dtype.kind in REAL:
        return x
    x = real_operand(x, caller, name)
    return x if hasattr(x, "dtype") else np.asarray(x)


def number_of(x: Any) -> Any:
    """A Python number in the place of an array of a single one, which may change later; all else as it is."""
    single = isinstance(x, np.ndarray) and not x.ndim and x.dtype.kind in REAL
    return x.item() if single and not hasattr(type(x), "__record__") else x


def plain_values(x: Any, caller: str) -> Any:
    """An argument, operand or parameter: arrays by their plain values, also in lists; all else as it is."""
    kind = type(x)
    if kind is list or kind is tuple:
        return kind([plain_values(part, caller) for part in x]) if any(map(_is_foreign, x)) else x
    return real_operand(x, caller, "an argument") if _is_foreign(x) else x


def _is_foreign(x: Any) -> bool:
    kind = type(x)
    if kind in _USUAL or hasattr(kind, "__record__"):
        return False
    return hasattr(kind, "__array__") or hasattr(kind, "toarray")


def real_dtype(dtype: Any) -> np.dtype:
    """The NumPy dtype; TypeError if it is not one of real numbers."""
    dtype = np.dtype(dtype)
    if dtype.kind not in REAL:
        raise TypeError(
            f"astype: expected a dtype of real numbers, {dtype} was asked for; "
            f"t.numpy().astype({str(dtype)!r}) converts an array, outside the graph"
        )
    return dtype


def refuse_kind(x: Any, caller: str, name: str) -> None:
    """TypeError for what NumPy would make an array of, but whose meaning would be lost."""
    if type(x) in _USUAL:
        return
    if isinstance(x, np.ma.MaskedArray):
        found, hint = "a masked array", f"{name}.filled(value) makes a plain one, and tn.where chooses by its mask"
    elif isinstance(x, np.matrix):
        found, hint = (
            "a np.matrix",
            f"its * is the matrix product; np.asarray({name}) makes an array, whose product is @",
        )
    elif hasattr(x, "toarray") and hasattr(x, "nnz"):
        found, hint = f"a sparse matrix ({type(x).__name__})", f"{name}.toarray() makes a dense array of it"
    elif getattr(x, "requires_grad", False) is True:
        found = f"{_a(type(x))} of {type(x).__module__.partition('.')[0]} that requires a gradient"
        hint = f"its history would be lost; {name}.detach() leaves it on purpose"
    else:
        return
    raise TypeError(f"{caller}: expected an array of real numbers, {name} is {found}: {hint}")


def array_from(x: Any, caller: str, dtype: Any = None) -> np.ndarray:
    """The values of lists, numbers, and what else NumPy can make an array of; memory may be shared."""
    try:
        return np.asarray(x, dtype=dtype)
    except (TypeError, RuntimeError, ValueError) as reason:
        if type(reason) not in (TypeError, RuntimeError, ValueError):  # one that says more
            raise
        if _holds_tracked(x):
            text = "the list holds tensors; tn.stack(list) joins them and keeps their history"
        else:
            text = f"NumPy makes no array of {_a(type(x))}: {reason}"
            if "ScalarType" in str(reason):  # a dtype of PyTorch, such as bfloat16
                text += "; .float() converts it"
        raise (ValueError if isinstance(reason, ValueError) else TypeError)(f"{caller}: {text}") from reason


def _holds_tracked(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(_holds_tracked(part) for part in x)
    return hasattr(type(x), "__record__") and x.tracked


def hint_for(array: Any, name: str) -> str:
    """How to make real numbers of an array of another dtype."""
    kind = "O" if array.dtype.kind == "V" and not array.dtype.names else array.dtype.kind  # bfloat16 has no fields
    return _HINTS.get(kind, _OBJECTS).format(name)


def _a(kind: type) -> str:
    name = "array" if kind is np.ndarray else kind.__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


_OBJECTS = "np.asarray({0}, dtype=float) converts numbers, np.unique({0}, return_inverse=True)[1] numbers labels"
_HINTS = {
    "c": "compute with {0}.real and {0}.imag",
    "M": "({0} - {0}.min()) / np.timedelta64(1, 's') counts seconds",
    "m": "{0} / np.timedelta64(1, 's') counts seconds",
    "V": "take one field of it, as in {0}['field']",
}
