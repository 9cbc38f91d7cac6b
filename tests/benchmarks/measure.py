"""How the benchmarks measure: contestants take turns, each in a process of its own and with the threads that suit it.

A machine drifts: with turns, A B C A B C ..., a drift meets all alike.  Thread pools of several libraries in one
process disturb each other: hence the processes.  OpenBLAS's threads spin on for a tenth of a second when there is
nothing to do any more: a turn is over when they sleep.  What counts are ratios within one run: of medians, and of best
times.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
import unittest
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

Step = Callable[[], Any]
Name = TypeVar("Name", bound=Hashable)

ROOT = Path(__file__).resolve().parents[2]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
ROUNDS = 20
SAMPLE, TURN = 0.005, 0.04  # seconds


class Missing(unittest.SkipTest):
    """A rival that is not installed: pytest skips what needs it."""


class Time(NamedTuple):
    """Of one call, in microseconds; and with how many threads the median was reached."""

    median: float
    best: float
    threads: int = 1


class Ratio(NamedTuple):
    """How many times as long one takes as another."""

    median: float
    best: float


def ratio(ours: Time, theirs: Time) -> Ratio:
    return Ratio(ours.median / theirs.median, ours.best / theirs.best)


# --- turns -----------------------------------------------------------------------------------------------------------


class Timed:
    """A step in this process; one sample is the mean over as many calls as take 5 ms."""

    def __init__(self, step: Step):
        for _ in range(3):
            step()
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        self.step = step
        self.calls = max(1, int(SAMPLE / max(seconds, 1e-8)))
        self.fewest = 2 if seconds < 0.25 else 1

    def samples(self) -> list[float]:
        """Microseconds a call, during one turn; without the first sample, with cold caches, where there are more."""
        step, found = self.step, []
        end = time.perf_counter() + TURN
        while len(found) < self.fewest or time.perf_counter() < end:
            start = time.perf_counter()
            for _ in range(self.calls):
                step()
            found.append((time.perf_counter() - start) / self.calls * 1e6)
        return found[1:] or found


class Remote:
    """A step in a process of its own, which waits while it is another's turn: ``module.start(rival, *arguments)``."""

    def __init__(self, module: str, rival: str, arguments: Collection[str], threads: int):
        self.rival = rival
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        command = [sys.executable, __file__, module, rival, *arguments]
        self.process = subprocess.Popen(
            command, env=environment(threads), stdin=pipe, stdout=pipe, stderr=nowhere, text=True
        )
        self._ask("start")

    def samples(self) -> list[float]:
        self._ask("samples")
        return self._answer()

    def wait_until_ready(self) -> None:
        """Raises Missing if the rival is not installed, RuntimeError if it cannot do this."""
        self._answer()

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def _ask(self, what: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            print(what, file=self.process.stdin, flush=True)

    def _answer(self) -> Any:
        answer = json.loads(self.process.stdout.readline() or '{"error": "the process ended"}')
        if "missing" in answer:
            raise Missing(answer["missing"])
        if "error" in answer:
            raise RuntimeError(f"{self.rival}: {answer['error']}")
        return answer["result"]


def environment(threads: int = CORES) -> dict[str, str]:
    """So many threads for everybody; which kernels suit the processor is left to each library."""
    unwanted = ("OPENBLAS_CORETYPE", "PYTHONDONTWRITEBYTECODE")  # users import what has been compiled before
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    names = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"  # the last one is JAX's
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, **dict.fromkeys(names, str(threads)), "PYTHONPATH": path}


def _serve(module: str, rival: str, *arguments: str) -> None:
    """The other end of `Remote`."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a framework prints does not get between
    timed = None
    for line in sys.stdin:
        try:
            if line.strip() == "start":
                timed = Timed(importlib.import_module(module).start(rival, *arguments))
                answer = {"result": None}
            else:
                answer = {"result": timed.samples()}
            _settle()
        except ModuleNotFoundError as error:
            answer = {"missing": f"{error.name} is not installed"}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=out, flush=True)


def _settle() -> None:
    """Wait until all threads of this process sleep."""
    for _ in range(50):
        used = time.process_time()
        time.sleep(0.01)
        if time.process_time() - used < 0.001:
            break


def take_turns(contestants: Mapping[Name, Timed | Remote], rounds: int = ROUNDS) -> dict[Name, Time]:
    """Time them, one turn each in every round."""
    samples: dict[Name, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            samples[name] += contestant.samples()
    return {name: Time(statistics.median(found), min(found)) for name, found in samples.items()}


class Race(NamedTuple):
    """Times by rival, and why the others did not take part."""

    times: dict[str, Time]
    absent: dict[str, Exception]

    def ratio(self, ours: str, theirs: str) -> Ratio:
        """Raises what kept one of them from taking part."""
        for name in (ours, theirs):
            if name in self.absent:
                raise self.absent[name]
        return ratio(self.times[ours], self.times[theirs])


def race(module: str, rivals: Collection[str], *arguments: str, rounds: int = ROUNDS) -> Race:
    """Let the rivals of a module run against each other, with one thread and with all, and take what is better."""
    with contextlib.ExitStack() as stack:
        field: dict[tuple[str, int], Remote] = {}
        for rival in rivals:
            for threads in sorted({1, CORES}):
                remote = field[rival, threads] = Remote(module, rival, arguments, threads)
                stack.callback(remote.close)
        absent = {}
        for key, remote in list(field.items()):
            try:
                remote.wait_until_ready()
            except (Missing, RuntimeError) as error:
                absent[key[0]] = error
                del field[key]
        times: dict[str, Time] = {}
        for (rival, threads), time_ in take_turns(field, rounds).items():
            other = times.get(rival, Time(math.inf, math.inf))
            better = threads if time_.median < 0.97 * other.median else other.threads  # not by chance
            times[rival] = Time(min(time_.median, other.median), min(time_.best, other.best), better)
        return Race(times, absent)


# --- what is to be reached -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """A number, and what it may be at most; None where it is there to compare with."""

    name: str
    limit: float | None
    unit: str
    measure: Callable[[], float]

    def check(self) -> None:
        """Measure, and fail if it is too much."""
        value = self.measure()
        assert round(value, 2) <= self.limit, f"{self.name}: {value:.2f} {self.unit}, more than {self.limit:g}"

    def __str__(self) -> str:
        return self.name


if __name__ == "__main__":
    _serve(*sys.argv[1:])
