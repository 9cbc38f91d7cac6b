"""The architecture of docs/architecture.md, read off the imports and the names in the code."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_nn as tn

PACKAGE = Path(tn.__file__).parent
# Each layer may import the layers before it; modules of one layer do not import each other.
LAYERS = [
    ["errors", "memory", "notation", "entry", "tree", "other_names", "command_line", "foreign"],
    ["notebook"],
    ["operands"],
    ["operation", "origin", "allowance"],
    ["consistency"],
    ["variables"],
    ["naming"],
    ["registry"],
    ["ops"],
    ["samples"],
    ["symbols", "rule_trees"],
    ["docstrings"],
    ["away", "modes", "mutation", "anomalies", "numpy_protocol", "parts"],
    ["exact_zeros"],
    ["quick_sweep", "conversions", "in_place", "batched", "retention", "masks"],
    ["autodiff"],
    ["forward_mode"],
    ["tensor"],
    ["transforms", "vectorize", "differences", "compiler", "chain"],
    ["view", "checking"],
    ["checkpoint", "optim", "data"],
    ["nn"],
    ["training", "attribution", "distributed"],
    ["plot", "sklearn", "onnx", "course"],
    ["demo", "predicting"],
    ["cli"],
]
LAYER = {module: i for i, modules in enumerate(LAYERS) for module in modules}
# Networks know nothing of pictures, and data knows NumPy alone.
FORBIDDEN = {("nn", "view"), ("optim", "view"), ("nn", "chain"), ("optim", "chain"), ("optim", "nn")}
NUMPY_ONLY = ["data", "nn/init.py"]
READERS = {("data/arrow.py", "pyarrow"), ("data/sources.py", "pyarrow")}  # an extra that reads files
ENTRANCES = {"__init__", "__main__", "_bootstrap"}
OPTIONAL = {"_bootstrap.py", "cli.py"}  # where import_module loads what the user asked for, or an extra

# To be removed, one by one: nothing may be added.
PRIVATE_IMPORTS: set[tuple[str, str]] = set()
LATE_IMPORTS: set[str] = set()
CIRCLES: set[frozenset[str]] = set()


def module_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def place_of(path):
    return path.relative_to(PACKAGE).as_posix()


def tree_of(path):
    return ast.parse(path.read_text("utf-8"))


def imports_of(path):
    """Every module that is imported: at the top, within a function, for type checkers, or by `import_module`."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "tinygrad_nn":
                yield from (f"tinygrad_nn.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            named = isinstance(node.args[0], ast.Constant)
            assert named or place_of(path) in OPTIONAL | LATE_IMPORTS, f"{path}, line {node.lineno}: imports what?"
            yield node.args[0].value if named else ""


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if module_of(p) not in ENTRANCES and "_examples" not in p.parts)
PARAMETERS = [pytest.param(path, id=place_of(path)) for path in MODULES]


@pytest.mark.parametrize("path", PARAMETERS)
def test_nobody_imports_sideways_or_up(path):
    module = module_of(path)
    assert module in LAYER, f"a new module {module}: say in which layer"
    for name in imports_of(path):
        if name.startswith("tinygrad_nn."):
            other = name.split(".")[1]
            assert other == module or LAYER[other] < LAYER[module], f"{module} imports {other}"
            assert (module, other) not in FORBIDDEN


def test_no_circles_within_a_folder():
    files = {"tinygrad_nn." + place_of(p).removesuffix(".py").replace("/", "."): p for p in MODULES}
    uses = {name: {other for other in imports_of(path) if other in files} for name, path in files.items()}

    def reached(name):
        found, stack = set(), list(uses[name])
        while stack:
            other = stack.pop()
            if other not in found:
                found.add(other)
                stack += uses[other]
        return found

    circular = {name for name in files if name in reached(name)}
    assert {frozenset(circular)} - {frozenset()} == CIRCLES


@pytest.mark.parametrize("path", PARAMETERS)
def test_private_names_stay_in_their_module(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("tinygrad_nn"):
            private = {(place_of(path), alias.name) for alias in node.names if alias.name.startswith("_")}
            assert private <= PRIVATE_IMPORTS, f"{path}, line {node.lineno}"


def test_the_list_of_private_imports_only_shrinks():
    for place, name in PRIVATE_IMPORTS:
        assert re.search(rf"import .*\b{name}\b", (PACKAGE / place).read_text("utf-8")), f"take out {place, name}"
    for place in LATE_IMPORTS:
        assert "import_module(f" in (PACKAGE / place).read_text("utf-8"), f"take out {place}"


@pytest.mark.parametrize("path", [p for p in PARAMETERS if p.id.startswith(tuple(NUMPY_ONLY))])
def test_data_and_initialisers_know_numpy_alone(path):
    for name in imports_of(path):
        top = name.split(".")[0]
        own = name.startswith("tinygrad_nn.data") and module_of(path) == "data"
        known = top == "numpy" or top in sys.stdlib_module_names or (place_of(path), top) in READERS
        assert own or known, f"{path} imports {name}"


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
    foreign = [
        m for m in loaded if m not in ("tinygrad_nn", "numpy") and not {m, m.lstrip("_")} & sys.stdlib_module_names
    ]
    assert foreign == [], "import tinygrad_nn must load NumPy only"


def test_no_module_bears_the_name_of_a_public_function():
    modules = {p.stem for p in MODULES}
    functions = set(tn.ops.names()) | {"draw", "compare", "paths", "explain", "fit", "compile", "grad", "tensor_"}
    assert modules & functions == set()


# --- one entry, no other edit: what there is to know about an operation stands in its entry -------------------------

FOUNDING = "nn/equations.py"  # the post's equations, written out once more as an independent check
# Options of schedules, pictures, LaTeX and the command line, which happen to be called like operations.
WORDS = {"abs", "all", "cos", "det", "dot", "exp", "log", "max", "mean", "min", "negative", "sign", "sin", "sum", "tan",
         "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "any", "std", "var", "prod", "clip"}  # fmt: skip
OPERATIONS = {name for name in tn.operation.BY_NAME if name not in WORDS}


def literals(node):
    """The operations that a literal names."""
    if isinstance(node, ast.Dict):
        node = ast.Tuple([key for key in node.keys if key is not None])
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("frozenset", "set", "dict.fromkeys") and node.args:
        return literals(node.args[0])
    parts = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else [node]
    return {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)} & OPERATIONS


def names_asked_for(tree):
    """Where code asks which operation it has by comparing names, or looks one up in a table of its own."""
    for node in ast.walk(tree):
        found = set()
        if isinstance(node, ast.Compare):
            found = set().union(*map(literals, [node.left, *node.comparators]))
            named = any(ast.unparse(side).endswith(".op.name") for side in [node.left, *node.comparators])
            constant = any(isinstance(side, (ast.Constant, ast.Tuple, ast.Set)) for side in node.comparators)
            found |= {"op.name"} if named and constant else set()
        elif isinstance(node, (ast.Dict, ast.Set)):
            found = literals(node)
        elif isinstance(node, ast.MatchValue):
            found = literals(node.value)
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("BY_NAME"):
            found = literals(node.slice)
        if found:
            yield node.lineno, sorted(found)


OTHER_MEANINGS = {
    ("data/preprocessing.py", "median"),  # what fills gaps
    ("nn/normalization.py", "affine"),  # an option of normalising layers
    ("numpy_protocol.py", "outer"),  # a method of ufuncs
    ("view/renderers/dot_source.py", "pad"),  # an attribute of Graphviz
}  # fmt: skip

# What an operation is in JAX stands beside the tables, which must not import it: one that is left out is refused.
LOWERED = "compiler/xla/table.py"


@pytest.mark.parametrize(
    "path", [p for p in PARAMETERS if not p.id.startswith("ops/") and p.id not in (FOUNDING, LOWERED)]
)
def test_nobody_asks_for_an_operation_by_its_name(path):
    asked = {(place_of(path), name) for _, names in names_asked_for(tree_of(path)) for name in names}
    assert asked <= OTHER_MEANINGS, "make it a field of the entry (operation.py, entry.py)"


@pytest.mark.parametrize(
    "code",
    [
        "op.name == 'matmul'", "'relu' == kind", "node.op.name in ('exp', 'log')", "op.name not in {'take'}",
        "{'relu': 1, 'selu': 2}", "frozenset({'reshape'})", "BY_NAME['softmax']",
        "match op.name:\n    case 'einsum': pass",
    ],
)  # fmt: skip
def test_such_code_would_be_found(code):
    assert list(names_asked_for(ast.parse(code)))


def test_lines_of_the_tables_fit_on_a_screen():
    for table in (PACKAGE / "ops").glob("*.py"):
        for i, line in enumerate(table.read_text("utf-8").splitlines(), 1):
            assert len(line) <= 160, f"{table.name}, line {i}: make the rule a named function above the table"
