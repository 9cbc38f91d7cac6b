"""The architecture of docs/architecture.md, read off the imports."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tinygrad_nn"
# Each room may import the rooms before it; those of one line do not import each other.
FLOORS = [
    ["errors", "tree"],
    ["operation", "watch"],
    ["ops"],
    ["samples"],
    ["symbols"],
    ["describe"],
    ["autodiff"],
    ["tensor"],
    ["transforms", "checking", "replay", "chain"],
    ["view"],
    ["checkpoint", "optim", "data"],
    ["nn"],
    ["training"],
    ["plot", "sklearn"],
    ["demo"],
    ["cli"],
]
FLOOR = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
# The network rooms stand beside the pictures, not on them, and data knows NumPy alone.
FORBIDDEN = {("nn", "view"), ("optim", "view"), ("nn", "chain"), ("optim", "chain")}
NUMPY_ONLY = ["data", "nn/init.py"]
ENTRANCES = {"__init__", "__main__", "_bootstrap"}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "tinygrad_nn":
                yield from (f"tinygrad_nn.{alias.name}" for alias in node.names)
            else:
                yield node.module


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if room_of(p) not in ENTRANCES and "_examples" not in p.parts)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nobody_imports_sideways_or_down(path):
    room = room_of(path)
    assert room in FLOOR, f"a new room {room}: give it a floor"
    for name in imports_of(path):
        if name.startswith("tinygrad_nn."):
            other = name.split(".")[1]
            assert other == room or FLOOR[other] < FLOOR[room], f"{room} imports {other}"
            assert (room, other) not in FORBIDDEN


@pytest.mark.parametrize(
    "path", [p for p in MODULES if str(p.relative_to(PACKAGE)).startswith(tuple(NUMPY_ONLY))], ids=str
)
def test_data_and_initialisers_know_numpy_alone(path):
    for name in imports_of(path):
        top = name.split(".")[0]
        own = name.startswith("tinygrad_nn.data") and room_of(path) == "data"
        assert own or top == "numpy" or top in sys.stdlib_module_names, f"{path} imports {name}"


def test_autodiff_never_sees_the_tensor():
    assert "tinygrad_nn.tensor" not in set(imports_of(PACKAGE / "autodiff.py"))
    for table in (PACKAGE / "ops").glob("*.py"):
        assert not any(name in {"tinygrad_nn.tensor", "tinygrad_nn.autodiff"} for name in imports_of(table))


def test_importing_loads_numpy_and_nothing_else():
    code = (
        "import sys, numpy; before = set(sys.modules); import tinygrad_nn; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    foreign = [m for m in loaded if m != "tinygrad_nn" and not {m, m.lstrip("_")} & sys.stdlib_module_names]
    assert foreign == [], "import tinygrad_nn must load NumPy only"


def test_no_module_bears_the_name_of_a_public_function():
    import tinygrad_nn as tn

    rooms = {p.stem for p in MODULES}
    functions = set(tn.ops.names()) | {"draw", "paths", "explain", "fit", "compile", "grad", "tensor_"}
    assert rooms & functions == set()
