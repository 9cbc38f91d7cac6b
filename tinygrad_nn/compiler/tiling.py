"""Large arrays in pieces that stay in the cache, and a second thread for them: NumPy releases the interpreter lock."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tinygrad_nn.compiler.memory_plan import BLOCK

__all__ = ["THREADS", "blocks", "cut", "empty", "share"]

CACHE_LINE = 64  # bytes; the width of a vector register, too


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """`np.empty` that begins where a cache line does: vectors that straddle two lines cost up to a quarter more."""
    dtype = np.dtype(dtype)
    memory = bytearray(dtype.itemsize * math.prod(shape) + CACHE_LINE)  # no array: views then keep the new one alive
    offset = -np.frombuffer(memory, np.uint8).ctypes.data % CACHE_LINE
    return np.ndarray(shape, dtype, memory, offset)


def cut(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> tuple[int, int]:
    """Along which axis to cut, and into pieces of which length: a block is one stretch of memory."""
    axis = max(range(len(shape)), key=lambda i: (shape[i] > 1, strides[i]))
    row = itemsize * int(np.prod(shape)) // shape[axis]
    return axis, max(1, BLOCK // row)


def blocks(
    shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int, arrays: Sequence[Any], scratch: Sequence[Any]
) -> list[tuple]:
    """Views of the arrays that go together, for one block of the shape after the other."""
    axis, rows = cut(shape, strides, itemsize)
    from_end, found = axis - len(shape), []
    for start in range(0, shape[axis], rows):
        n = min(rows, shape[axis] - start)
        views = [_stretch(a, from_end, shape[axis], start, n) for a in arrays]
        found.append((*views, *(_stretch(s, from_end, s.shape[axis], 0, n) for s in scratch)))
    return found


def _stretch(array: Any, axis: int, length: int, start: int, n: int) -> Any:
    """A part along an axis counted from the end, unless the array is broadcast along it."""
    if array.ndim < -axis or array.shape[axis] != length:
        return array
    return array[(..., slice(start, start + n), *(slice(None),) * (-axis - 1))]


def _allowed() -> int:
    """How many threads the machine has, and whoever set the usual variables allows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        if os.environ.get(name, "").isdigit():
            cores = min(cores, int(os.environ[name]))
    return cores


THREADS = _allowed()


@functools.cache
def _pool(process: int) -> ThreadPoolExecutor:
    """The second thread; one for each process, as a fork does not copy threads."""
    return ThreadPoolExecutor(1, "tinygrad_nn", lambda: np.seterr(all="ignore"))


def share(loop: Callable, mine: Sequence[Any], yours: Sequence[Any]) -> None:
    """Call ``loop(blocks, turns)`` in two threads that take turns at the blocks, each with its own scratch memory."""
    turns: Iterator[int] = iter(range(len(mine)))
    other = _pool(os.getpid()).submit(loop, yours, turns)
    try:
        loop(mine, turns)
    finally:
        for _ in turns:  # after an exception, nothing is left for the other thread
            pass
        if not other.cancel():  # begun: its last block has to be finished
            other.result()
