"""What `tn.compile` reaches, against hand-written NumPy that writes into buffers: `pytest` this file, or run it.

    python tests/benchmarks/bench_compile.py [S,M,D,L] [float32,float64]

Rounds take turns; quoted are the ratios of medians and of best times.  L runs in processes of their own, in turns, as
BLAS threads of one would disturb the other.  Then: what recording costs, and the memory of the L step.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from workloads import CASES, RIVALS, time_in_turns

import tinygrad_nn as tn

LIMITS = {"S": 1.10, "M": 1.05, "D": 1.10}
PAIR = ("numpy_buffers", "compiled")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", LIMITS)
def test_compiled_step_is_as_quick_as_hand_written_buffers(case, dtype):
    median, best = _ratios(time_in_turns({name: RIVALS[name](*CASES[case], dtype=dtype) for name in PAIR}))
    print(f"{case} {dtype.__name__}: compiled / hand-written = {median:.2f} (median), {best:.2f} (best)")
    assert min(median, best) <= LIMITS[case]


def test_memory_of_the_large_step():
    by_hand, compiled = _peaks()
    assert compiled <= 1.2 * by_hand


def _ratios(times):
    (median, best), (other_median, other_best) = (times[name] for name in reversed(PAIR))
    return median / other_median, best / other_best


def _peaks(case="L"):
    """Bytes at the peak of a step, parameters and data included, once everything is warm."""
    peaks = []
    for name in PAIR:
        tracemalloc.start()
        step = RIVALS[name](*CASES[case])
        for _ in range(3):
            step()
        tracemalloc.reset_peak()
        for _ in range(2):
            step()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        del step
    return peaks


def _in_processes(case, dtype, rounds=15, repeats=4):
    """As `time_in_turns`, but each in a process of its own, which waits while it is another's turn."""
    command = [sys.executable, __file__, "--serve", case, dtype]
    workers = {
        name: subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in PAIR
    }
    times = {name: [] for name in PAIR}
    for _ in range(rounds):
        for name, worker in workers.items():
            print(repeats, file=worker.stdin, flush=True)
            times[name] += json.loads(worker.stdout.readline())[1:]  # the first one warms the cache
    for worker in workers.values():
        worker.communicate()
    return {name: (statistics.median(t), min(t)) for name, t in times.items()}


def _serve(case, dtype, name):
    step = RIVALS[name](*CASES[case], dtype=np.dtype(dtype).type)
    for _ in range(3):
        step()
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            step()
            times.append((time.perf_counter() - start) * 1e6)
        print(json.dumps(times), flush=True)


def main(cases, dtypes):
    """Print the tables."""
    for case in cases:
        for dtype in dtypes:
            if case == "L":
                times = _in_processes(case, dtype)
            else:
                times = time_in_turns({name: RIVALS[name](*CASES[case], dtype=np.dtype(dtype).type) for name in PAIR})
            median, best = _ratios(times)
            hand, ours = (times[name][1] for name in PAIR)
            print(f"{case:2} {dtype}  hand-written {hand:10.1f} µs  compiled {ours:10.1f} µs  ", end="")
            print(f"ratio of medians {median:5.2f}, of best {best:5.2f}", flush=True)
    for case in cases:
        step = tn.compile(RIVALS["eager"](*CASES[case]))
        start = time.perf_counter()
        step(), step()
        print(f"{case:2} the two recorded calls take {(time.perf_counter() - start) * 1e3:.0f} ms")
    if "L" in cases:
        by_hand, compiled = _peaks()
        print(f"L  peak memory: hand-written {by_hand / 1e6:.1f} MB, compiled {compiled / 1e6:.1f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve(*sys.argv[2:])
    else:
        chosen = [argument.split(",") for argument in sys.argv[1:]]
        main(*(chosen + [["S", "M", "D", "L"], ["float32", "float64"]][len(chosen) :]))
