"""Files of arrays alone, as PyTorch's users exchange them: safetensors, without what makes a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tinygrad_nn.checkpoint.errors import CheckpointError, refusing
from tinygrad_nn.checkpoint.files import read_whole, write_whole
from tinygrad_nn.checkpoint.formats import compose_arrays, parse_arrays

__all__ = ["read_arrays", "write_arrays"]


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a .safetensors file by name, in the order of the file; bfloat16 becomes float32.

    Raises CheckpointError for a file that was cut short or altered or is of another kind, and for a checkpoint.
    """
    path = _safetensors(path)
    data = read_whole(path)
    with refusing(
        path, "is not a whole .safetensors file ({}): it was cut short or altered, or is another kind of file"
    ):
        text, arrays = parse_arrays(data)
    if text is not None:
        raise CheckpointError(f"{path} is a checkpoint of tinygrad_nn: tn.nn.load(path) makes the model that it holds")
    return arrays


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write arrays by name; the file is whole or the former one."""
    path = _safetensors(path)
    write_whole(path, compose_arrays(arrays))
    return path


def _safetensors(path: str | os.PathLike) -> Path:
    path = Path(path)
    if path.suffix != ".safetensors":
        hint = "; torch.load(path, weights_only=True) reads what torch.save has written" if path.suffix in (
            ".pt", ".pth", ".bin") else ""  # fmt: skip
        raise ValueError(f"{path} ends in {path.suffix!r}, expected .safetensors{hint}")
    return path
