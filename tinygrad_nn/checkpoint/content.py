"""The content of a file: one JSON text, and the arrays that it names with dtype and shape."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from tinygrad_nn import tree

__all__ = ["DTYPES", "checksum", "join", "split"]

_ARRAY = "__array__"  # in the text: {"__array__": name, "dtype": ..., "shape": ...} stands for the array of that name

# What a file can hold, by the names of the safetensors format; the bytes are little-endian.
DTYPES: dict[str, np.dtype] = {
    name: np.dtype(code)
    for name, code in {
        "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
        "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
    }.items()
}  # fmt: skip


DEEPEST = 200  # lists and dicts within each other: Python reads no more than some hundred
LONGEST_INTEGER = 4300  # digits that Python reads, unless it is told otherwise


def split(content: Any, name: str, arrays: dict[str, np.ndarray], depth: int = 0) -> Any:
    """The content as JSON holds it; its arrays go to `arrays`, each under its path."""
    if depth > DEEPEST + 1:  # the content itself is one
        raise ValueError(
            f"save: {name[:20]}… has lists or dicts more than {DEEPEST} deep, or that hold themselves; "
            "a dict of paths is flat"
        )
    if isinstance(content, np.ma.MaskedArray):
        raise TypeError(
            f"save: {name} is a masked array, and a checkpoint holds no mask; {name}.filled(value) has none"
        )
    if isinstance(content, (np.ndarray, np.generic)):
        dtype = content.dtype.newbyteorder("<")
        if dtype not in DTYPES.values():
            raise TypeError(f"save: {name} has dtype {content.dtype}, a checkpoint holds real numbers of up to 8 bytes")
        if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise TypeError(f"save: {name!r} has letters that no file can hold in a name; rename the key")
        while name in arrays:  # a key may hold a slash
            name += "'"
        arrays[name] = np.asarray(content, dtype, order="C")
        return {_ARRAY: name, "dtype": dtype.name, "shape": list(content.shape)}
    if isinstance(content, dict):
        if _ARRAY in content or len(set(map(str, content))) < len(content):
            raise TypeError(
                f"save: {name} has keys that a checkpoint cannot tell apart: {', '.join(map(repr, content))}"
            )
        return {str(key): split(v, f"{name}/{key}".lstrip("/"), arrays, depth + 1) for key, v in content.items()}
    if isinstance(content, (list, tuple)):
        return [split(value, f"{name}/{i}", arrays, depth + 1) for i, value in enumerate(content)]
    if isinstance(content, int) and abs(content) >= 10**LONGEST_INTEGER:
        raise ValueError(
            f"save: {name} is an integer of more than {LONGEST_INTEGER:,} digits, which Python would not read again; "
            "hex(n) is text, and int(text, 16) the way back"
        )
    if content is None or isinstance(content, (bool, int, float, str)):
        return content
    raise TypeError(
        f"save: {name} is of type {type(content).__name__}, a checkpoint holds numbers, texts, arrays, lists and dicts"
    )


def join(content: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The way back: each array in the place that names it, if it is what the text says.

    Raises ValueError for another dtype or shape, and for arrays that are missing, named twice, or not named.
    """
    left = dict(arrays)

    def is_node(x: Any) -> bool:
        return tree.is_container(x) and not (isinstance(x, dict) and _ARRAY in x)

    def array_of(x: Any) -> Any:
        if not isinstance(x, dict):
            return x
        name = x[_ARRAY]
        if name not in left:
            raise ValueError(f"the array {name} is missing")
        array = left.pop(name)
        if [array.dtype.name, list(array.shape)] != [x["dtype"], x["shape"]]:
            said = f"{x['dtype']} {x['shape']}"
            raise ValueError(f"the array {name} is {array.dtype} {list(array.shape)}, and {said} by its description")
        return array

    joined = tree.map(array_of, content, is_node)
    if left:
        raise ValueError(f"nothing is said about the array {next(iter(left))}")
    return joined


def checksum(text: str, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of the text, which holds dtypes and shapes, and of the bytes of all arrays."""
    total = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        total.update(array.astype(array.dtype.newbyteorder("<"), copy=False).ravel().data)
    return total.hexdigest()
