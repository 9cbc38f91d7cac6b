"""Reading IDX files, the format of MNIST and its relatives (Fashion-MNIST, KMNIST, EMNIST)."""

import gzip
import io
import math
import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_nn.data.checks import Array, float_dtype

MAGIC = {"images": 0x0803, "labels": 0x0801}  # unsigned bytes (08) in 3 or 1 dimensions
GZIP = b"\x1f\x8b"
LARGEST = 1 << 31  # bytes that are unpacked: four times EMNIST


def load_mnist(folder: str | os.PathLike[str], dtype: DTypeLike = np.float32) -> tuple[Array, Array, Array, Array]:
    """Training and test examples of MNIST, or of a data set in the same format, from a folder on this machine.

    Returns `X_train (784, 60000)`, `y_train (60000,)`, `X_test (784, 10000)`, `y_test (10000,)`.
    A column of X is one image row by row: `X[:, n].reshape(28, 28)`. Its values are ink from 0 to 1, in steps of 1/255,
    with the given floating `dtype`; labels are int64. (784 is what the files say: other image sizes are read too.)

    The folder holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte` (or `train-images.idx3-ubyte` and so on, as some archives have it), each plain or with
    `.gz`. Nothing is downloaded.

    Raises `FileNotFoundError` naming what was looked for; `ValueError` naming the file if it is cut short or too long,
    is not IDX or holds labels for images, is damaged gzip, or if numbers of images and labels differ; `TypeError` if
    `dtype` is not floating.

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits" (1998), which defines IDX.

    >>> load_mnist("nowhere")
    Traceback (most recent call last):
    FileNotFoundError: load_mnist: there is no folder nowhere; give the folder that holds the MNIST files
    """
    dtype = float_dtype(dtype, "load_mnist")
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"load_mnist: there is no folder {folder}; give the folder that holds the MNIST files")
    train, y_train = _read_pair(folder, "train")
    test, y_test = _read_pair(folder, "t10k")
    if train.shape[1:] != test.shape[1:]:
        raise ValueError(
            f"load_mnist: {folder} holds training images of {_times(train.shape[1:])} pixels, but test images of "
            f"{_times(test.shape[1:])}; put the four files of one data set into the folder"
        )
    return _columns(train, dtype), y_train.astype(np.int64), _columns(test, dtype), y_test.astype(np.int64)


def _columns(images: Array, dtype: DTypeLike) -> Array:
    n_images, height, width = images.shape
    rows = images.reshape(n_images, height * width).astype(dtype)
    rows /= 255  # in place, as MNIST in float32 is 188 MB
    return rows.T


def _read_pair(folder: Path, part: str) -> tuple[Array, Array]:
    images_path, labels_path = _find(folder, part, "images"), _find(folder, part, "labels")
    images, labels = _read(images_path, "images"), _read(labels_path, "labels")
    if len(images) != len(labels):
        raise ValueError(
            f"load_mnist: {images_path} holds {len(images)} images, but {labels_path} {len(labels)} labels; "
            "take both from one data set"
        )
    return images, labels


def _find(folder: Path, part: str, kind: str) -> Path:
    ending = f"idx{MAGIC[kind] & 0xFF}-ubyte"
    names = [f"{part}-{kind}{mark}{ending}{suffix}" for mark in "-." for suffix in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"load_mnist: {folder} holds none of {', '.join(names)}; put the {part} {kind} there, nothing is downloaded"
    )


def _read(path: Path, kind: str) -> Array:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = _unzip(path, data)
    elif data.startswith(GZIP):
        raise ValueError(f"load_mnist: {path} is compressed; rename it to {path.name}.gz")
    magic = int.from_bytes(data[:4], "big")
    header = 4 + 4 * (MAGIC[kind] & 0xFF)
    if len(data) >= 4 and magic != MAGIC[kind]:
        others = [f"an IDX file of {other}" for other, known in MAGIC.items() if known == magic]
        raise ValueError(
            f"load_mnist: {path} starts with {magic:#010x} and is {''.join(others) or 'no IDX file of bytes'}; "
            f"{kind} start with {MAGIC[kind]:#010x}"
        )
    if len(data) < header:
        raise ValueError(f"load_mnist: {path} is cut short: {len(data)} bytes, and the header alone has {header}")
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, header, 4)]
    if 0 in shape:
        raise ValueError(
            f"load_mnist: {path} holds nothing: its header announces {_times(shape)} {kind}; fetch it again"
        )
    missing = math.prod(shape) - (len(data) - header)
    if missing:
        raise ValueError(
            f"load_mnist: {path} {'is cut short' if missing > 0 else 'is too long'}: its header announces "
            f"{_times(shape)} {'pixels' if kind == 'images' else 'labels'} of one byte, "
            f"{len(data) - header} bytes follow; fetch the file again"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _unzip(path: Path, data: bytes) -> bytes:
    if not data.startswith(GZIP):
        hint = f"it looks unpacked already: rename it to {path.stem}" if data[:2] == b"\0\0" else "fetch it again"
        raise ValueError(f"load_mnist: {path} is not gzip, in spite of its name; {hint}")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(LARGEST + 1)  # a thousandth of it may be packed
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"load_mnist: {path} is damaged or cut short ({error}); fetch it again") from None
    if len(unpacked) > LARGEST:
        raise ValueError(
            f"load_mnist: {path} is larger than {LARGEST:,} bytes when unpacked; unpack it if it is to be so"
        )
    return unpacked


def _times(shape: tuple[int, ...] | list[int]) -> str:
    return " x ".join(str(size) for size in shape)
