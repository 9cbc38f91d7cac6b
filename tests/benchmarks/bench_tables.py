"""How long a CSV file of 10⁶ rows and 12 columns takes, and how much memory, against pandas; each in a fresh process.

Contestants take turns.  Memory is the process's peak above what it was after the imports, the file's mapped pages
included (Linux tells it).  With text coded, the rival is `pandas.get_dummies` of what pandas has read, as one array.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import CORES, Figure, Missing, environment

ROWS, ROUNDS = 1_000_000, 3
CODE = """
import json, re, sys, time
{imports}
def peak():  # that of getrusage is inherited from the parent
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024
before = peak()
start = time.perf_counter()
table = {call}
seconds = time.perf_counter() - start
print(json.dumps([seconds, peak() - before]))
"""
READERS = {  # what reads the file that is the first argument
    "pandas": ("import pandas", "pandas.read_csv(sys.argv[1])"),
    "pandas, text coded": (
        "import numpy, pandas", "numpy.asarray(pandas.get_dummies(pandas.read_csv(sys.argv[1])), float)",
    ),
    "load_table": ("import tinygrad_nn.data as data, pyarrow.csv", "data.load_table(sys.argv[1])"),
    "load_csv": ("import tinygrad_nn.data as data, pyarrow.csv", "data.load_csv(sys.argv[1])"),
    "load_csv, text coded": (
        "import tinygrad_nn.data as data, pyarrow.csv", "data.load_csv(sys.argv[1], fill='mean', categories='one_hot')",
    ),
}  # fmt: skip


def columns(kind: str) -> list[list[str]]:
    """12 columns as text: 12 of fractions, or 8 of fractions, 2 of whole numbers and 2 of text with gaps."""
    rng = np.random.default_rng(0)
    fractions = 12 if kind == "numbers" else 8
    found = [np.char.mod("%.5f", rng.normal(size=ROWS)).tolist() for _ in range(fractions)]
    if kind == "mixed":
        found += [rng.integers(0, 100_000, ROWS).astype(str).tolist() for _ in range(2)]
        found += [rng.choice(["red", "green", "blue", ""], ROWS).tolist()]
        found += [rng.choice(["north", '"south, east"', "west"], ROWS).tolist()]
    return found


@functools.cache
def measured(kind: str, rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """Median seconds and MiB of every reader of such a file; the first round, which warms the disk, does not count."""
    for name in ("pandas", "pyarrow"):
        if importlib.util.find_spec(name) is None:
            raise Missing(f"{name} is not installed")
    unwanted = ["load_csv"] if kind == "mixed" else ["load_csv, text coded", "pandas, text coded"]
    readers = {name: how for name, how in READERS.items() if name not in unwanted}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{kind}.csv"
        with open(path, "w") as file:
            file.write(",".join(f"c{j}" for j in range(12)) + "\n")
            file.writelines(",".join(row) + "\n" for row in zip(*columns(kind), strict=True))
        found: dict[str, list[list[float]]] = {name: [] for name in readers}
        for _ in range(rounds + 1):
            for name, (imports, call) in readers.items():
                command = [sys.executable, "-c", CODE.format(imports=imports, call=call), str(path)]
                done = subprocess.run(command, env=environment(CORES), capture_output=True, text=True, check=True)
                found[name].append(json.loads(done.stdout))
    return {name: tuple(map(statistics.median, zip(*runs[1:], strict=True))) for name, runs in found.items()}


def against_pandas(reader: str, kind: str, what: int) -> float:
    times = measured(kind)
    return times[reader][what] / times["pandas" + reader.removeprefix("load_csv").removeprefix("load_table")][what]


FIGURES = [
    Figure(f"`{reader}` of 10⁶ × 12 cells, {kind}, {name} against pandas", limit, "×",
           functools.partial(against_pandas, reader, kind, what))
    for reader, kind in (("load_table", "mixed"), ("load_csv, text coded", "mixed"), ("load_csv", "numbers"))
    for what, (name, limit) in enumerate((("time", 1.5), ("memory", 3.0)))
]  # fmt: skip


def test_tables() -> None:
    for figure in FIGURES:
        figure.check()


if __name__ == "__main__":
    for kind in ("mixed", "numbers"):
        for name, (seconds, size) in measured(kind).items():
            print(f"{kind:8} {name:22} {seconds:6.2f} s {size:7.0f} MiB")
