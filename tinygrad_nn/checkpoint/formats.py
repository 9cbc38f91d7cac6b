"""The two formats, as bytes: safetensors, and NumPy's npz.

A reader here trusts no number of a file: sizes are compared with the bytes that are there before anything is made of
them, and nothing is unpacked, so that a file needs memory in proportion to its own size.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_nn.checkpoint.content import DTYPES

__all__ = ["FORMATS", "compose_arrays", "parse_arrays"]

LONGEST_TEXT = 100_000_000  # bytes, with the header, as in the safetensors package
LONGEST_NAME = 2**16 - 1  # bytes, in a zip file
_TEXT = "checkpoint"  # what the text is called in a file

Arrays = dict[str, np.ndarray]


def _array(data: Any, dtype: np.dtype, shape: tuple[int, ...], name: str) -> np.ndarray:
    """The array of these bytes, in the byte order of this machine."""
    if dtype not in DTYPES.values() or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{name} of dtype {dtype} and shape {shape} does not fit its {len(data):,} bytes")
    if dtype == np.bool_ and np.frombuffer(data, np.uint8).max(initial=0) > 1:
        raise ValueError(f"{name} of dtype bool has bytes other than 0 and 1")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _not_too_long(text: bytes) -> bytes:
    if len(text) > LONGEST_TEXT:
        raise ValueError(
            f"save: numbers and texts fill {len(text):,} bytes, and at most {LONGEST_TEXT:,} can be read back; "
            "turn long lists into arrays"
        )
    return text


# --- safetensors: the length of the header, the header as JSON, the bytes of one array after the other ----------------


def _compose_safetensors(text: str, arrays: Arrays) -> bytes:
    return _composed({_TEXT: text}, arrays)


def compose_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A file of arrays alone, marked as PyTorch's programs mark theirs."""
    return _composed({"format": "pt"}, {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()})


def _composed(metadata: dict[str, str], arrays: Arrays) -> bytes:
    names = {dtype: name for name, dtype in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": metadata}
    end, parts = 0, list[Any]()
    for name in sorted(arrays, key=lambda name: -arrays[name].itemsize):  # so that each lies at a multiple of its size
        array, start = arrays[name], end
        end += array.nbytes
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
        parts.append(array.ravel().data)
    line = json.dumps(header, separators=(",", ":")).encode()
    line = _not_too_long(line + b" " * (-len(line) % 8))
    return b"".join([len(line).to_bytes(8, "little"), line, *parts])


def parse_arrays(data: bytes) -> tuple[str | None, Arrays]:
    """The text, if there is one, and the arrays, of which those of bfloat16 become float32."""
    return _parse_safetensors(data, short=True)


def _parse_safetensors(data: bytes, short: bool = False) -> tuple[str | None, Arrays]:
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= min(LONGEST_TEXT, len(data) - 8):
        raise ValueError(f"a header of {length:,} bytes in a file of {len(data):,}")
    header = json.loads(data[8 : 8 + length])
    text = header.pop("__metadata__", {}).get(_TEXT)
    arrays, body, at = {}, memoryview(data)[8 + length :], 0
    listed = list(header)
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, end = entry["data_offsets"]
        if start != at or not start <= end <= len(body):
            raise ValueError(f"{name} lies at {start}:{end}, expected from {at} on, in {len(body):,} bytes")
        kind, shape = entry["dtype"], tuple(entry["shape"])
        if short and kind == "BF16":  # the upper half of a float32
            halves = _array(body[start:end], DTYPES["U16"], shape, name)
            arrays[name] = (halves.astype(np.uint32) << 16).view(np.float32)
        else:
            arrays[name] = _array(body[start:end], DTYPES[kind], shape, name)
        at = end
    if at != len(body):
        raise ValueError(f"{len(body) - at:,} bytes too many")
    return text, {name: arrays[name] for name in listed}


# --- npz: a zip file of arrays, each with a header of its own ---------------------------------------------------------


class _Archive(zipfile.ZipFile):
    """A zip file in memory: dropped where Ctrl-C has stopped it, and not completed.

    That would complain; and Ctrl-C that comes during a `__del__` is swallowed, unless nothing of Python runs in it.
    """

    __del__ = object  # type: ignore[assignment]


def _compose_npz(text: str, arrays: Arrays) -> bytes:
    """As `np.savez` does, of which Ctrl-C would leave an archive that complains when it is collected."""
    line = np.frombuffer(_not_too_long(text.encode()), np.uint8)
    file = io.BytesIO()
    archive = _Archive(file, "w")
    for name, array in {_TEXT: line, **arrays}.items():
        member = io.BytesIO()
        np.lib.format.write_array(member, array, allow_pickle=False)
        archive.writestr(zipfile.ZipInfo(_not_too_long_name(f"{name}.npy")), member.getbuffer())
    archive.close()
    return file.getvalue()


def _not_too_long_name(name: str) -> str:
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(
            f"save: {name[:20]}… has a name of {len(name) - 4:,} letters, and a .npz file holds {LONGEST_NAME:,} bytes "
            "of one; shorten the key, or save as .safetensors"
        )
    return name


def _parse_npz(data: bytes) -> tuple[str | None, Arrays]:
    arrays: Arrays = {}
    with _Archive(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > len(data):  # compressed, or lying over one another
            raise ValueError(f"{len(members)} members that are larger than the file")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name in arrays or member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{name} is {'there twice' if name in arrays else 'compressed'}")
            arrays[name] = _parse_npy(archive.read(member), name)
    text = arrays.pop(_TEXT, None)
    if text is not None and text.nbytes > LONGEST_TEXT:
        raise ValueError(f"a text of {text.nbytes:,} bytes")
    return (None if text is None else text.tobytes().decode()), arrays


def _parse_npy(data: bytes, name: str) -> np.ndarray:
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError(f"{name} is of another version of the npy format than 1.0")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran_order:
        raise ValueError(f"{name} is in Fortran's order")
    return _array(memoryview(data)[file.tell() :], dtype, shape, name)


# suffix: (how to compose a file of a text and arrays, how to parse one; no text if it is another program's file)
FORMATS: dict[str, tuple[Callable[[str, Arrays], bytes], Callable[[bytes], tuple[str | None, Arrays]]]] = {
    ".safetensors": (_compose_safetensors, _parse_safetensors),
    ".npz": (_compose_npz, _parse_npz),
}
