"""How long an import takes, against that of NumPy alone; each time in a fresh process."""

from __future__ import annotations

import functools
import importlib.util
import statistics
import subprocess
import sys

from measure import Figure, Missing, environment

CODE = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def seconds(module: str) -> float:
    command = [sys.executable, "-c", CODE.format(module)]
    return float(subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout)


def against_numpy(module: str, rounds: int) -> float:
    """Ratio of medians, in turns; the first round, which reads from the disk, does not count."""
    if importlib.util.find_spec(module) is None:
        raise Missing(f"{module} is not installed")
    ours, theirs = zip(*[(seconds(module), seconds("numpy")) for _ in range(rounds + 1)][1:], strict=True)
    return statistics.median(ours) / statistics.median(theirs)


FIGURES = [
    Figure("`import tinygrad_nn`, against `import numpy`", 1.3, "×", lambda: against_numpy("tinygrad_nn", 20)),
    *(
        Figure(f"`import {name}`, against `import numpy`", None, "×", functools.partial(against_numpy, name, 3))
        for name in ("torch", "jax")
    ),
]


def test_import():
    FIGURES[0].check()
