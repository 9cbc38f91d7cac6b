"""A training step against rivals: every cell of the table "What to reach", and the memory of the large step."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from measure import Figure, Race, Ratio
from steps import CASES, RIVALS, times


@dataclass(frozen=True)
class Goal:
    """A row of the table: how often one goes into the time of another, or how many times its time it takes, by case."""

    name: str
    ours: str
    theirs: str
    faster: bool
    limits: dict[str, float]

    def quoted(self, ratio: Ratio) -> tuple[float, float]:
        """As the table says it: times as fast, or share of the time; of medians, of best times."""
        return tuple(round(1 / x if self.faster else x, 2) for x in ratio)

    def reached(self, case: str, ratio: Ratio) -> tuple[bool, bool]:
        """Whether medians are good enough, and whether best times are."""
        limit = self.limits[case]
        return tuple(x >= limit if self.faster else x <= limit for x in self.quoted(ratio))

    def check(self, case: str, race: Race) -> None:
        """Fail if neither is; a rival that is not installed skips the test."""
        ratio = race.ratio(self.ours, self.theirs)
        assert any(self.reached(case, ratio)), f"{case}: {self.name}: {self.quoted(ratio)}, not {self.limits[case]}"


GOALS = [
    Goal("eager, against PyTorch eager", "eager", "torch", True, {"S": 4.5, "M": 1.8, "L": 0.9}),
    Goal("eager, against plain NumPy by hand", "eager", "numpy", False, {"S": 1.5, "M": 1.15, "L": 1.15}),
    Goal(
        "`tn.compile`, against NumPy by hand in buffers",
        "compiled", "numpy_buffers", False, {"S": 1.10, "M": 1.05, "L": 1.0, "D": 1.10},
    ),
    Goal("`tn.compile`, against JAX `jit`", "compiled", "jax", True, {"S": 1.0, "M": 1.3, "L": 0.95}),
    Goal("`tn.compile`, against PyTorch eager", "compiled", "torch", True, {"S": 7.0, "M": 2.0, "L": 1.0}),
    Goal(
        "`tn.compile` with numba, against NumPy by hand in buffers",
        "numba", "numpy_buffers", False, {"S": 0.4, "M": 1.0, "L": 1.0, "D": 0.4},
    ),
    Goal(
        "`tn.compile` with numba, against `tn.compile`",
        "numba", "compiled", False, {"S": 0.4, "M": 1.0, "L": 1.0, "D": 0.4},
    ),
    Goal("`tn.compile` with numba, against JAX `jit`", "numba", "jax", True, {"S": 3.5, "M": 1.2, "L": 1.05, "D": 3.5}),
]  # fmt: skip
CELLS = [pytest.param(goal, case, id=f"{case}: {goal.name}") for case in CASES for goal in GOALS if case in goal.limits]
RACERS = tuple(dict.fromkeys(name for goal in GOALS for name in (goal.ours, goal.theirs)))


@pytest.mark.parametrize(("goal", "case"), CELLS)
def test_what_to_reach(goal, case):
    goal.check(case, times(case, rivals=RACERS))


@pytest.mark.parametrize("case", CASES)
def test_compiled_step_in_float64(case):
    goal = next(goal for goal in GOALS if goal.theirs == "numpy_buffers")
    goal.check(case, times(case, "float64", (goal.ours, goal.theirs)))


@pytest.mark.parametrize("case", ["S", "M", "D"])
@pytest.mark.parametrize("rival", ["eager", "compiled", "numba", "numpy", "numpy_buffers"])
def test_training_step(benchmark, case, rival):
    """In this process, for pytest-benchmark to compare from one day to the next."""
    benchmark.group = f"training step {case}"
    benchmark(RIVALS[rival](*CASES[case]))


# --- what a compiled step costs besides ------------------------------------------------------------------------------


def recording(case: str) -> float:
    """Milliseconds of the first two calls, which record."""
    step = RIVALS["compiled"](*CASES[case])
    start = time.perf_counter()
    step(), step()
    return (time.perf_counter() - start) * 1e3


def peak(rival: str, case: str = "L") -> int:
    """Bytes at the peak of a step, parameters and data included, once everything is warm."""
    tracemalloc.start()
    step = RIVALS[rival](*CASES[case], dtype=np.float32)
    for _ in range(3):
        step()
    tracemalloc.reset_peak()
    for _ in range(2):
        step()
    bytes_ = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return bytes_


FIGURES = [
    Figure(
        "peak memory of the compiled L step, against buffers by hand", 1.2, "×",
        lambda: peak("compiled") / peak("numpy_buffers"),
    ),
    Figure("recording the M step: its first two calls", None, "ms", lambda: min(recording("M") for _ in range(3))),
]  # fmt: skip


def test_memory():
    FIGURES[0].check()
