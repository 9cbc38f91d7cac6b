"""A second thread for the chains of large arrays: NumPy lets go of the interpreter lock while it computes."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["THREADS", "share"]


def _allowed() -> int:
    """How many threads the machine has, and whoever set the usual variables allows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        if os.environ.get(name, "").isdigit():
            cores = min(cores, int(os.environ[name]))
    return cores


THREADS = _allowed()


class _Job:
    """Blocks that nobody has taken yet are in `turns`; who works on some holds `working`."""

    def __init__(self, chain: Callable, blocks: Sequence[Any], turns: Iterator[int]):
        self.chain, self.blocks, self.turns = chain, blocks, turns
        self.working = threading.Lock()
        self.error: BaseException | None = None

    def help(self) -> None:
        with self.working:
            try:
                self.chain(self.blocks, self.turns)
            except BaseException as error:  # for the thread that waits
                self.error = error


class _Helper:
    """The thread, started when it is first needed, and again in a process that has been forked."""

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
                jobs.get().help()


_helper = _Helper()


def share(chain: Callable, mine: Sequence[Any], yours: Sequence[Any]) -> None:
    """Call ``chain(blocks, turns)`` in two threads that take turns at the blocks, each with scratch memory of its own."""
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
