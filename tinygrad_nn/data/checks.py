"""Checks of arguments, with one wording for each mistake."""

import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
Rng = np.random.Generator | int | None

NUMBERS = "biuf"  # dtype kinds: bool, signed, unsigned, floating


def refuse_masked(value: object, name: str, caller: str) -> None:
    """TypeError for a masked array: what is computed from it would not know the mask."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{caller}: {name} is a masked array; {name}.filled(value) makes a plain one")


def numeric_array(value: object, name: str, caller: str) -> Array:
    """`value` itself if it is an array of real numbers; otherwise an error that says how to make one."""
    refuse_masked(value, name, caller)
    if not isinstance(value, np.ndarray):
        if hasattr(value, "columns"):
            hint = f"tn.data.from_rows({name}) turns a frame into columns"
            if isinstance(value.columns, dict):  # a Table, which may have text
                hint = "tn.data.Preprocessor(target=...).fit(table).pair(table) makes X and Y of a table"
        elif hasattr(value, "toarray"):
            hint = f"{name}.toarray() makes a dense one of a sparse matrix"
        elif hasattr(value, "numpy"):
            hint = f"give {name}.numpy()"
        else:
            hint = f"np.asarray({name}) makes one"
        raise TypeError(f"{caller}: {name} is of type {type(value).__name__}, expected a NumPy array; {hint}")
    if value.dtype.kind not in NUMBERS:
        found = f" ({name}{[0] * value.ndim} is {value.item(0)!r})" if value.ndim and value.size else ""
        hint = f"classes, {name} = np.unique({name}, return_inverse=True) numbers text labels"
        if value.dtype.kind == "c":
            hint = f"compute with {name}.real and {name}.imag"
        elif name == "X":
            hint = "X.astype(float) converts numbers that are stored as objects"
        raise ValueError(f"{caller}: {name} has dtype {value.dtype}{found}, expected real numbers; {hint}")
    return value


def matrix(value: object, name: str, caller: str) -> Array:
    """`value` itself if it is a numeric `(features, N)` array."""
    array = numeric_array(value, name, caller)
    if array.ndim != 2:
        hint = f"; {name}.reshape(1, -1) makes one feature of it" if array.ndim == 1 else ""
        raise ValueError(f"{caller}: {name} has shape {array.shape}, expected (features, N){hint}")
    return array


def is_sparse(value: Any) -> bool:
    """Whether it is a sparse matrix or array of SciPy."""
    return hasattr(value, "tocsc") and hasattr(value, "nnz") and len(value.shape) == 2


def examples(X: Any, Y: Any, caller: str, sparse: bool = False) -> tuple[Array, Array, int]:
    """`X`, `Y` and the number of examples N, which is the last axis of both; X may be `sparse`."""
    if not (sparse and is_sparse(X) and X.dtype.kind in NUMBERS):
        X = numeric_array(X, "X", caller)
    Y = Y if Y is X else numeric_array(Y, "Y", caller)
    if X.ndim < 2:
        hint = "; X.reshape(1, -1) makes one feature of it" if X.ndim == 1 else ""
        raise ValueError(f"{caller}: X has shape {X.shape}, expected (features, N){hint}")
    if Y.ndim < 1:
        raise ValueError(f"{caller}: Y has shape (), expected labels (N,) or targets (d, N)")
    if X.shape[-1] != Y.shape[-1]:
        message = (
            f"{caller}: X {X.shape} has {X.shape[-1]} examples, Y {Y.shape} has {Y.shape[-1]}; "
            "examples are columns, so the last axes must agree"
        )
        if X.ndim == 2 and X.shape[0] == Y.shape[-1]:
            message += f": X.T {X.T.shape} fits"
        elif Y.ndim == 2 and Y.shape[0] == X.shape[-1]:
            message += f": Y.T {Y.T.shape} fits"
        elif X.ndim == Y.ndim == 2 and X.shape[0] == Y.shape[0]:
            message += f": X.T {X.T.shape} with Y.T {Y.T.shape} fits"
        elif X.ndim > 2 and X.shape[0] == Y.shape[-1]:
            message += (
                f": np.moveaxis(X, 0, -1) {X.shape[1:] + X.shape[:1]} fits; where the model wants the examples first, "
                "as tn.conv2d does, it starts with np.moveaxis(X, -1, 0)"
            )
        raise ValueError(message)
    if X.shape[-1] == 0:
        raise ValueError(f"{caller}: X {X.shape} holds no example; expected N of at least 1")
    return X, Y, X.shape[-1]


def positive_int(value: object, name: str, caller: str) -> int:
    """`value` as an int of at least 1."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # the TypeError is what we ask for
    except TypeError:
        raise TypeError(f"{caller}: {name}={value!r} is of type {type(value).__name__}, expected an int") from None
    if number < 1:
        raise ValueError(f"{caller}: {name}={number}, expected at least 1")
    return number


def float_dtype(dtype: DTypeLike, caller: str) -> np.dtype[Any]:
    """`dtype` as a floating NumPy dtype."""
    found = np.dtype(dtype)
    if found.kind != "f":
        raise TypeError(f"{caller}: dtype={found} cannot hold values between 0 and 1; give np.float32 or np.float64")
    return found


def generator(rng: Rng, caller: str) -> np.random.Generator:
    """`rng` itself, or a new Generator from an int seed or from fresh entropy."""
    if rng is None or isinstance(rng, np.random.Generator):
        return np.random.default_rng(rng)
    if isinstance(rng, (int, np.integer)) and rng >= 0:
        return np.random.default_rng(rng)
    raise TypeError(
        f"{caller}: rng={rng!r} is of type {type(rng).__name__}, expected a numpy.random.Generator, "
        "an int seed of at least 0, or None; np.random.default_rng(0) makes a Generator"
    )


def labels_or_numbers(value: Any, name: str, caller: str) -> Array:
    """`value` as an array of real numbers, or of text labels; lists of labels become arrays."""
    refuse_masked(value, name, caller)
    if isinstance(value, (list, tuple)) and value and all(isinstance(label, str) for label in value):
        value = np.array(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "OUT" and value.size:
        strange = next((label for label in value.ravel() if not isinstance(label, str)), None)
        if strange is None:
            return value.astype(str)
        if any(isinstance(label, str) for label in value.ravel()):
            raise ValueError(
                f"{caller}: {name} has labels of text and {strange!r:.40} of type {type(strange).__name__}; expected "
                "one kind, and none for a gap: leave such examples out first"
            )
    return numeric_array(value, name, caller)
