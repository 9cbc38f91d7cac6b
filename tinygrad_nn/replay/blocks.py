"""Large arrays in pieces that stay in the cache, and a second thread for them: NumPy releases the interpreter lock."""

from __future__ import annotations

import math
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.replay.planning import BLOCK

__all__ = ["THREADS", "blocks", "cut", "empty", "share"]


# --- memory ----------------------------------------------------------------------------------------------------------

LINE = 64  # bytes of a cache line, and of a vector register


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """`np.empty` that begins where a cache line does: vectors that straddle two lines cost up to a quarter more."""
    dtype = np.dtype(dtype)
    memory = bytearray(dtype.itemsize * math.prod(shape) + LINE)  # no array: views then keep the new one alive
    offset = -np.frombuffer(memory, np.uint8).ctypes.data % LINE
    return np.ndarray(shape, dtype, memory, offset)


# --- blocks ----------------------------------------------------------------------------------------------------------


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


# --- two threads -----------------------------------------------------------------------------------------------------


def _allowed() -> int:
    """How many threads the machine has, and whoever set the usual variables allows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        if os.environ.get(name, "").isdigit():
            cores = min(cores, int(os.environ[name]))
    return cores


THREADS = _allowed()


class _Job:
    """What the helper shall do; who works on it holds `working`."""

    def __init__(self, chain: Callable, blocks: Sequence[Any], turns: Iterator[int]):
        self.chain, self.blocks, self.turns = chain, blocks, turns
        self.working = threading.Lock()
        self.error: BaseException | None = None

    def do(self) -> None:
        with self.working:
            try:
                self.chain(self.blocks, self.turns)
            except BaseException as error:  # for the thread that waits
                self.error = error


class _Helper:
    """The thread, started when it is first needed, and again in a process that was forked."""

    def __init__(self) -> None:
        self._process = 0
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()

    def take(self, job: _Job) -> None:
        if self._process != os.getpid():
            self._process, self._jobs = os.getpid(), queue.SimpleQueue()
            threading.Thread(target=self._work, args=(self._jobs,), name="tinygrad_nn helper", daemon=True).start()
        self._jobs.put(job)

    def _work(self, jobs: queue.SimpleQueue[_Job]) -> None:
        with np.errstate(all="ignore"):
            while True:
                jobs.get().do()


_helper = _Helper()


def share(chain: Callable, mine: Sequence[Any], yours: Sequence[Any]) -> None:
    """Call ``chain(blocks, turns)`` in two threads that take turns at the blocks, each with its own scratch memory."""
    turns = iter(range(len(mine)))
    job = _Job(chain, yours, turns)
    _helper.take(job)
    try:
        chain(mine, turns)
    finally:
        for _ in turns:  # after an exception
            pass
        with job.working:  # if the helper has not begun by now, nothing is left for it
            pass
    if job.error is not None:
        raise job.error
