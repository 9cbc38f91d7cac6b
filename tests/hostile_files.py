"""Mutants of checkpoints: as accidents damage them, and as somebody forges them who knows the format."""

import copy
import json
import math
from dataclasses import fields

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.checkpoint.content import checksum, split
from tinygrad_nn.checkpoint.formats import FORMATS
from tinygrad_nn.checkpoint.record import VERSION


def opened(data, suffix):
    """The content as JSON has it, and the arrays."""
    text, arrays = FORMATS[suffix][1](data)
    return json.loads(json.loads(text)["content"]), arrays


def sealed(content, arrays, suffix):
    """The way back, with a checksum that is right."""
    text = json.dumps(content)
    labels = {"tinygrad_nn": VERSION, "checksum": checksum(text, arrays), "content": text}
    return FORMATS[suffix][0](json.dumps(labels), arrays)


def digest(record):
    """The same for two Checkpoints if and only if they hold the same to the bit."""
    arrays = {}
    content = {field.name: getattr(record, field.name) for field in fields(record)}
    return checksum(json.dumps(split(content, "", arrays)), arrays)


# --- damage -----------------------------------------------------------------------------------------------------------


def damaged(whole, rng):
    """One accident, or a few, anywhere; half of them where sizes, names and dtypes stand."""
    data = bytearray(whole)
    for _ in range(1 + (rng.random() < 0.2)):
        data = ACCIDENTS[rng.integers(len(ACCIDENTS))](data, rng)
    return bytes(data)


def _place(data, rng):
    """Near the beginning, near the end, or anywhere."""
    near = int(rng.integers(0, 400))
    return int((near, -near, rng.integers(len(data) + 1))[rng.integers(3)]) % max(len(data), 1)


def _flip(data, rng):
    if data:
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return data


def _overwrite(data, rng):
    i = _place(data, rng)
    odd = [
        b"\0" * 8,
        b"\xff" * 8,
        b"\xff" * 7 + b"\x7f",
        b"\xff\xff\xff\x7f",
        b"PK\x01\x02",
        b"I64",
        b"F16",
        b"[[[[",
        b"9e99",
    ]
    new = odd[rng.integers(len(odd))] if rng.random() < 0.7 else rng.bytes(int(rng.integers(1, 9)))
    data[i : i + len(new)] = new
    return data


def _cut(data, rng):
    return data[: _place(data, rng)]


def _append(data, rng):
    return data + rng.bytes(int(rng.integers(1, 100)))


def _delete(data, rng):
    i = _place(data, rng)
    del data[i : i + int(rng.integers(1, 50))]
    return data


def _repeat(data, rng):
    i, n = _place(data, rng), int(rng.integers(1, 200))
    return data[: i + n] + data[i:]


def _exchange(data, rng):
    (i, j), n = sorted((_place(data, rng), _place(data, rng))), int(rng.integers(1, 40))
    return data[:i] + data[j : j + n] + data[i + n : j] + data[i : i + n] + data[j + n :]


def _another_digit(data, rng):
    digits = [i for i, byte in enumerate(data) if byte in b"0123456789"]
    if digits:
        data[digits[rng.integers(len(digits))]] = b"0123456789"[rng.integers(10)]
    return data


def _another_dtype(data, rng):
    names = [b"F64", b"I64", b"U64", b"F32", b"I32", b"<f8", b"<i8", b">f8", b"|u1", b"|O8"]
    old, new = (names[rng.integers(len(names))] for _ in range(2))
    at = data.find(old, _place(data, rng))
    if at >= 0:
        data[at : at + 3] = new
    return data


ACCIDENTS = [
    _flip, _flip, _flip, _overwrite, _overwrite, _cut, _append, _delete, _repeat, _exchange, _another_digit,
    _another_dtype,
]  # fmt: skip


# --- forgery ----------------------------------------------------------------------------------------------------------

ODD = [
    None, True, False, -1, 0, 1, 2, 10**6, 2**31, 2**63, 2**200, 0.5, -0.0, 1e308, math.inf, math.nan, "", "abc", "W",
    "Sequential", "matmul", "x" * 1000, [], {}, [1, 2], {"a": 1},
    {"type": "Dense", "in_features": 10**6, "out_features": 10**6},
    {"__array__": "state/layers.0.W"}, {"__array__": "nowhere", "dtype": "float64", "shape": [10**9]},
]  # fmt: skip


def forged(whole, suffix, rng):
    """One thing in the content replaced, taken away or added, or one array; the checksum is right."""
    content, arrays = opened(whole, suffix)
    if rng.random() < 0.25:
        _forge_array(content, arrays, rng)
    for _ in range(1 + (rng.random() < 0.2)):
        _forge_text(content, rng)
    return sealed(content, arrays, suffix)


def _forge_text(content, rng):
    places = [path for path, _ in tree.nodes_with_path(content) if path and path[:2] != ("extra", "history")]
    *inner, last = places[rng.integers(len(places))]
    node = content
    for key in inner:
        node = node[key]
    way = rng.integers(4)
    if way == 0:
        del node[last]
    elif way == 1 and isinstance(node, dict):
        node["another" if rng.random() < 0.5 else str(last) + "0"] = copy.deepcopy(node[last])
    elif way == 2 and type(node[last]) in (int, float):
        node[last] *= (-1, 2, 1000, 10**9)[rng.integers(4)]
    else:
        node[last] = copy.deepcopy(ODD[rng.integers(len(ODD))])


def _forge_array(content, arrays, rng):
    said = [x for _, x in tree.nodes_with_path(content) if isinstance(x, dict) and x.get("__array__") in arrays]
    entry = said[rng.integers(len(said))]
    old = arrays[entry["__array__"]]
    new = [
        lambda: np.full(old.shape, np.nan), lambda: old.astype("i8"), lambda: old.astype("f4"), lambda: old.ravel(),
        lambda: np.zeros((3, *old.shape), old.dtype), lambda: old[..., :0] if old.ndim else old[None][:0],
        lambda: np.frombuffer(rng.bytes(old.nbytes), old.dtype).reshape(old.shape),
        lambda: np.full(old.shape, 2**40).astype(old.dtype),
    ][rng.integers(8)]  # fmt: skip
    with np.errstate(all="ignore"):
        array = np.ascontiguousarray(new())
    arrays[entry["__array__"]] = array
    entry.update(dtype=array.dtype.name, shape=list(array.shape))
