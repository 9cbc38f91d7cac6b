"""Run all benchmarks and print the tables; quicker, or into docs/speed.md and its picture, if asked.

    python tests/benchmarks/run.py [--quick] [--write]

What is not installed does not take part: `pip install -e .[rivals]` fetches the rivals.  Ten minutes in which nothing
else runs on the machine; two with --quick, which has few rounds, float32 and the most important rivals only.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the checkout is what is measured

import bench_digits
import bench_drawing
import bench_graphs
import bench_import
import bench_paths
import bench_scalars
import bench_steps
import bench_tables
import steps
from bench_steps import GOALS, RACERS, Goal
from measure import CORES, ROOT, ROUNDS, Figure, Missing, Race, Time, environment, race

PAGE, PICTURE = ROOT / "docs" / "speed.md", ROOT / "docs" / "images" / "speed.svg"
CASES = ["S", "M", "L", "D"]
NAMES = {
    "numba": "**tinygrad_nn, `tn.compile`, numba**",
    "compiled": "**tinygrad_nn, `tn.compile`**",
    "eager": "**tinygrad_nn, eager**",
    "numpy_buffers": "NumPy by hand, into buffers",
    "numpy": "NumPy by hand, plain",
    "products": "only the matrix products",
    "torch": "PyTorch, eager",
    "torch_compile": "PyTorch, `torch.compile`",
    "jax": "JAX, `jit` of the whole step",
    "autograd": "HIPS autograd",
    "mygrad": "MyGrad",
    "tinygrad": "tinygrad, `TinyJit`",
    "micrograd": "micrograd",
}
PACKAGES = ("numpy", "numba", "torch", "jax", "autograd", "mygrad", "tinygrad", "micrograd", "scikit-learn")
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
Races = dict[tuple[str, str], Race]


# --- the machine -----------------------------------------------------------------------------------------------------


def machine(rounds: int) -> str:
    """All that the figures depend on, in a few lines."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    load = f", load {os.getloadavg()[0]:.1f} before the start" if hasattr(os, "getloadavg") else ""
    lines = [
        f"- {_processor()}, {CORES} cores, {platform.system()} {platform.release()}",
        f"- Python {platform.python_version()}, {_blas()}",
        f"- {', '.join(versions)}",
        f"- {datetime.date.today():%d %B %Y}, {rounds} rounds{load}",
    ]
    return "\n".join(lines)


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.M)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _blas() -> str:
    """Which BLAS NumPy has and, where threadpoolctl is installed, which kernels it chooses."""
    code = "import json, numpy, threadpoolctl; print(json.dumps(threadpoolctl.threadpool_info()))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    for library in json.loads(done.stdout) if done.returncode == 0 else []:
        if library["user_api"] == "blas":
            return f"{library['internal_api']} {library['version']} with kernels for {library.get('architecture')}"
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas['version']}"


# --- tables ----------------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def short(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.{1 if value >= 10 else 2}f}"


def times_table(races: Races, dtype: str) -> str:
    """Microseconds of a training step: rivals in the order of NAMES, cases side by side."""
    cases = [case for case in CASES if (case, dtype) in races]

    def cell(case: str, rival: str) -> str:
        time = races[case, dtype].times.get(rival)
        return f"{short(time.median)} / {short(time.best)} {_threads(time)}" if time else "–"

    present = [rival for rival in NAMES if any(rival in races[case, dtype].times for case in cases)]
    rows = [[NAMES[rival], *(cell(case, rival) for case in cases)] for rival in present]
    return table([f"µs, {dtype}", *(_title(case) for case in cases)], rows)


def _threads(time: Time) -> str:
    return str(time.threads).translate(SUPERSCRIPT)


def _title(case: str) -> str:
    sizes, n = steps.CASES[case]
    return f"{case}: {'-'.join(map(str, sizes))}, N={n}"


def goals_table(races: Races, dtype: str) -> str:
    """The table "What to reach", with goals for float32."""
    cases = [case for case in CASES if (case, dtype) in races]

    def cell(goal: Goal, case: str) -> str:
        try:
            ratio = races[case, dtype].ratio(goal.ours, goal.theirs)
        except (Missing, RuntimeError, KeyError):
            return "–"
        median, best = goal.quoted(ratio)
        if dtype != "float32" or case not in goal.limits:
            return f"{median:.2f} ({best:.2f})"
        sign = {2: "✓", 1: "≈", 0: "✗"}[sum(goal.reached(case, ratio))]
        return f"{sign} {median:.2f} ({best:.2f}), goal {'≥' if goal.faster else '≤'} {goal.limits[case]:g}"

    rows = [
        [f"{goal.name}: {'times as fast' if goal.faster else 'its time ×'}", *(cell(goal, case) for case in cases)]
        for goal in GOALS
    ]
    return table([dtype, *cases], rows)


def graphs_table(races: dict[str, Race]) -> str:
    rivals = [rival for rival in NAMES if any(rival in race.times for race in races.values())]

    def cell(graph: str, rival: str) -> str:
        time, n = races[graph].times.get(rival), bench_graphs.GRAPHS[graph][1]
        return f"{time.median / n:.2f} / {time.best / n:.2f}" if time else "–"

    rows = [
        [f"{graph}: {bench_graphs.GRAPHS[graph][1]:,} operations", *(cell(graph, rival) for rival in rivals)]
        for graph in races
    ]
    return table(["µs an operation", *(NAMES[rival] for rival in rivals)], rows)


def figures_table(figures: Iterable[Figure]) -> str:
    rows = []
    for figure in figures:
        try:
            value = figure.measure()
        except Missing:
            continue
        sign = "" if figure.limit is None else "✓" if round(value, 2) <= figure.limit else "✗"
        goal = "" if figure.limit is None else f"≤ {figure.limit:g}"
        rows.append([figure.name, f"{sign} {value:,.{0 if value >= 100 else 2}f} {figure.unit}".strip(), goal])
    return table(["", "measured", "goal"], rows)


def absent(races: Iterable[Race]) -> str:
    """Who took part nowhere, and why; "" if all did."""
    races = list(races)
    took_part = {name for race in races for name in race.times}
    reasons = {name: str(why) for race in races for name, why in race.absent.items() if name not in took_part}
    return f"\n\nDid not take part: {'; '.join(reasons.values())}." if reasons else ""


# --- picture ---------------------------------------------------------------------------------------------------------


def picture(races: Races, dtype: str = "float32") -> None:
    """Bars of the medians; no background, and greys that can be read on white and on black."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    ink, grey, blue = "#727a84", "#8b949e", "#1f83c4"
    style = {
        "svg.fonttype": "none", "svg.hashsalt": "speed", "font.family": "sans-serif", "font.size": 10,
        "font.sans-serif": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"], "text.color": ink,
    }  # fmt: skip
    cases = [case for case in CASES if (case, dtype) in races]
    rivals = [r for r in NAMES if r != "products" and any(r in races[case, dtype].times for case in cases)][::-1]
    with mpl.rc_context(style):
        figure, panels = plt.subplots(1, len(cases), figsize=(11, 0.3 * len(rivals) + 0.6), sharey=True)
        for case, axes in zip(cases, panels, strict=True):
            times = races[case, dtype].times
            found = {rival: times[rival].median for rival in rivals if rival in times}
            longest = min(max(found.values()), 25 * min(found.values()))  # what is longer is cut
            for place, rival in enumerate(rivals):
                if rival not in found:
                    continue
                length, mine = min(found[rival], longest), rival in ("numba", "compiled", "eager")
                axes.barh(place, length, 0.7, color=blue if mine else grey)
                text = ("… " if found[rival] > longest else "") + _units(found[rival])
                options = {"weight": "bold" if mine else "normal", "va": "center"}
                axes.annotate(text, (length, place), (4, 0), textcoords="offset points", **options)
            axes.set(xlim=(0, 1.5 * longest), xticks=[])
            axes.set_title(f"{case}: {'-'.join(map(str, steps.CASES[case][0]))}", fontsize=10, color=ink, loc="left")
            axes.tick_params(length=0, labelcolor=ink)
            axes.spines[:].set_visible(False)
        panels[0].set_yticks(range(len(rivals)), [re.sub(r"[*`]", "", NAMES[rival]) for rival in rivals])
        figure.tight_layout(w_pad=0.5)
        figure.savefig(PICTURE, transparent=True, metadata={"Date": None, "Title": "Time of a training step"})
    text = PICTURE.read_text("utf-8")
    PICTURE.write_text("".join(f"{line.rstrip()}\n" for line in text.splitlines()), "utf-8")


def _units(µs: float) -> str:
    return f"{short(µs)} µs" if µs < 1000 else f"{short(µs / 1000)} ms"


# --- all of it -------------------------------------------------------------------------------------------------------


def measure(quick: bool) -> tuple[dict[str, str], Races]:
    """The parts of the page by the names that they have there, printed as they come; and what the picture shows."""
    parts: dict[str, str] = {}

    def done(name: str, text: str) -> None:
        parts[name] = text
        print(f"\n{text}", flush=True)

    rounds = 5 if quick else ROUNDS
    done("machine", machine(rounds))
    races: Races = {}
    for dtype in ("float32",) if quick else ("float32", "float64"):
        for case in CASES:
            wanted = RACERS if quick else NAMES
            if dtype == "float64":
                wanted = [rival for rival in NAMES if rival != "torch_compile"]  # it takes long to compile
            print(f"{case} {dtype} ...", file=sys.stderr, flush=True)
            races[case, dtype] = steps.times(case, dtype, tuple(wanted), rounds=rounds)
    dtypes = dict.fromkeys(dtype for _, dtype in races)
    done("goals", goals_table(races, "float32"))
    if "float64" in dtypes:
        print(f"\n{goals_table(races, 'float64')}", flush=True)
    done("times", "\n\n".join(times_table(races, dtype) for dtype in dtypes) + absent(races.values()))
    graphs = {g: race("bench_graphs", bench_graphs.RIVALS, g, rounds=max(5, rounds // 2)) for g in bench_graphs.GRAPHS}
    done("graphs", graphs_table(graphs))
    modules = (
        bench_graphs,
        bench_scalars,
        bench_steps,
        bench_import,
        bench_drawing,
        bench_paths,
        bench_digits,
        bench_tables,
    )
    done("figures", figures_table(figure for module in modules for figure in module.FIGURES))
    return parts, races


def write(parts: dict[str, str]) -> None:
    """Put the parts between their marks in the page."""
    page = PAGE.read_text("utf-8")
    for name, text in parts.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->\n)", re.S)
        page, count = mark.subn(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page)
        assert count == 1, f"{PAGE.name} has {count} places for {name}"
    PAGE.write_text(page, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, float32, the most important rivals")
    parser.add_argument("--write", action="store_true", help=f"renew {PAGE.relative_to(ROOT)} and its picture")
    options = parser.parse_args()
    parts, races = measure(options.quick)
    if options.write:
        write(parts)
        picture(races)


if __name__ == "__main__":
    main()
