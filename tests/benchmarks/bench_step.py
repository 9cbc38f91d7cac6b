"""One training step, forward, backward and SGD, side by side: `pytest tests/benchmarks/bench_step.py`, or run it.

    python tests/benchmarks/bench_step.py S,M,D eager,compiled,numpy,numpy_buffers,torch,jax

Cases are those of `workloads.CASES`: sizes of the layers, batch size; float32, sigmoid layers, J = 1/N Σ ½‖y − ŷ‖².
Rounds take turns, so that a drift of the machine meets all alike; quoted are medians and best, and ratios of best.
"""

from __future__ import annotations

import sys

import pytest
from workloads import CASES, RIVALS, available, time_in_turns


@pytest.mark.parametrize("case", ["S", "M", "D"])
@pytest.mark.parametrize("rival", ["eager", "compiled", "numpy", "numpy_buffers"])
def test_training_step(benchmark, case, rival):
    benchmark.group = f"training step {case}"
    benchmark(RIVALS[rival](*CASES[case]))


@pytest.mark.parametrize(("case", "limit"), [("S", 2.0), ("M", 1.5)])
def test_eager_step_is_close_to_plain_numpy(case, limit):
    """In turns; the ratio of the best of 25 rounds."""
    steps = {name: RIVALS[name](*CASES[case]) for name in ("eager", "numpy")}
    times = time_in_turns(steps)
    ratio = times["eager"][1] / times["numpy"][1]
    print(f"{case}: eager / plain NumPy = {ratio:.2f}")
    assert ratio <= limit


def main(cases: list[str], names: list[str]) -> None:
    """Print the table."""
    for case in cases:
        steps = {name: RIVALS[name](*CASES[case]) for name in names if available(name)}
        times = time_in_turns(steps)
        base = min((times[n][1] for n in times if n.startswith("numpy")), default=1.0)
        for name, (median, best) in times.items():
            ratio = f"best / NumPy {best / base:6.2f}"
            print(f"{case:2} {name:14} median {median:11.1f} µs   best {best:11.1f} µs   {ratio}")


if __name__ == "__main__":
    chosen = [a.split(",") for a in sys.argv[1:]] + [["S", "M", "D"], ["eager", "compiled", "numpy", "numpy_buffers"]]
    main(chosen[0], chosen[1] if len(sys.argv) > 2 else chosen[-1])
