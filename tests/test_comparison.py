"""README's comparison is true: each mark in its table is what a program that tries it finds out.

Marked `peers`: the other packages are installed for that only.  Times are those of docs/speed.md, sizes are counted.
"""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn as tn

ROOT = Path(__file__).resolve().parent.parent
PEERS = ("micrograd", "PyTorch", "JAX", "HIPS autograd", "MyGrad")


def table():
    """README's table: the cells of each row, by what the row says and the name of the package."""
    text = (ROOT / "README.md").read_text("utf-8")
    lines = text[text.index("| | **tinygrad_nn** |") :].partition("\n\n")[0].splitlines()
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    names = [name.strip("*") for name in header]
    return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in rows}


def row(beginning):
    (found,) = (cells for said, cells in table().items() if said.startswith(beginning))
    return found


def test_the_table_is_about_these_packages():
    for said, cells in table().items():
        assert tuple(cells) == ("tinygrad_nn", *PEERS), said


# --- what works: each package's program returns whether it does


def third_derivative(package):
    match package:
        case "tinygrad_nn":
            return tn.grad(tn.grad(tn.grad(lambda x: x**4)))(2.0)
        case "micrograd":
            x = importlib.import_module("micrograd.engine").Value(2.0)
            (x**4).backward()
            x.grad.backward()  # a number, which has no history
        case "PyTorch":
            torch = importlib.import_module("torch")
            x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
            y = x**4
            for _ in range(3):
                (y,) = torch.autograd.grad(y, x, create_graph=True)
            return y.item()
        case "JAX":
            jax = importlib.import_module("jax")
            return jax.grad(jax.grad(jax.grad(lambda x: x**4)))(2.0)
        case "HIPS autograd":
            grad = importlib.import_module("autograd").grad
            return grad(grad(grad(lambda x: x**4)))(2.0)
        case "MyGrad":
            x = importlib.import_module("mygrad").tensor(2.0)
            (x**4).backward()
            x.grad.backward()  # an array, which has no history
    return None


def numpy_program(x):
    return np.sum(np.sin(np.maximum(np.concatenate([x, x]), -1.0)) / 2)


def numpys_own_functions(package):
    match package:
        case "tinygrad_nn":
            return tn.grad(numpy_program)(np.zeros(2))
        case "micrograd":
            x = importlib.import_module("micrograd.engine").Value(0.0)
            numpy_program([x]).backward()
            return x.grad
        case "PyTorch":
            x = importlib.import_module("torch").zeros(2, requires_grad=True)
            numpy_program(x).backward()
            return x.grad.numpy()
        case "JAX":
            return importlib.import_module("jax").grad(numpy_program)(np.zeros(2))
        case "HIPS autograd":
            return importlib.import_module("autograd").grad(numpy_program)(np.zeros(2))
        case "MyGrad":
            x = importlib.import_module("mygrad").tensor(np.zeros(2))
            numpy_program(x).backward()
            return x.grad
    return None


def behind_a_choice(package):
    match package:
        case "tinygrad_nn":
            return tn.grad(lambda x: tn.where(x > 0, tn.sqrt(x), 0.0))(0.0)
        case "micrograd":
            return None  # has neither a choice nor a root
        case "PyTorch":
            torch = importlib.import_module("torch")
            x = torch.tensor(0.0, requires_grad=True)
            torch.where(x > 0, torch.sqrt(x), 0.0).backward()
            return x.grad.item()
        case "JAX":
            jax = importlib.import_module("jax")
            return jax.grad(lambda x: jax.numpy.where(x > 0, jax.numpy.sqrt(x), 0.0))(0.0)
        case "HIPS autograd":
            anp = importlib.import_module("autograd.numpy")
            grad = importlib.import_module("autograd").grad
            return grad(lambda x: anp.where(x > 0, anp.sqrt(x), 0.0))(0.0)
        case "MyGrad":
            mg = importlib.import_module("mygrad")
            x = mg.tensor(0.0)
            mg.where(x > 0, mg.sqrt(x), 0.0).backward()
            return x.grad
    return None


def after_a_change(package):
    """The gradient of a·x, a = 1, where a is changed to 5 before the backward pass: 1, an error, or silently 5."""
    a, x = np.ones(2), np.ones(2)
    match package:
        case "tinygrad_nn":
            t = tn.tensor(x, requires_grad=True)
            y = (a * t).sum()
            a *= 5
            y.backward()
            return t.grad
        case "micrograd":
            value = importlib.import_module("micrograd.engine").Value
            factor, t = value(1.0), value(1.0)
            y = factor * t
            factor.data = 5.0
            y.backward()
            return t.grad
        case "PyTorch":
            torch = importlib.import_module("torch")
            t = torch.tensor(x, requires_grad=True)
            y = (torch.from_numpy(a) * t).sum()
            a *= 5
            y.backward()
            return t.grad.numpy()
        case "JAX":
            jax = importlib.import_module("jax")
            _, back = jax.vjp(lambda t: jax.numpy.sum(jax.numpy.array(a) * t), x)
            a *= 5
            return back(1.0)[0]
        case "HIPS autograd":
            anp = importlib.import_module("autograd.numpy")

            def f(t):
                factor = np.ones(2)
                y = anp.sum(factor * t)
                factor *= 5
                return y

            return importlib.import_module("autograd").grad(f)(x)
        case "MyGrad":
            t = importlib.import_module("mygrad").tensor(x)
            y = (a * t).sum()
            a *= 5  # refused: the array is locked
            y.backward()
            return t.grad
    return None


def works(program, package, expected):
    try:
        with np.errstate(all="ignore"):
            return bool(np.allclose(program(package), expected))
    except Exception:  # whatever a package says of what it cannot do
        return False


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("package", ["tinygrad_nn", *PEERS])
@pytest.mark.parametrize(
    ("said", "program", "expected"),
    [
        ("derivatives of any order", third_derivative, 48.0),
        ("NumPy's own functions", numpys_own_functions, 1.0),
        ("behind a choice", behind_a_choice, 0.0),
    ],
)
def test_a_mark_is_what_a_program_finds(said, program, expected, package):
    assert row(said)[package] == ("✓" if works(program, package, expected) else "–")


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("package", ["tinygrad_nn", *PEERS])
def test_a_change_between_forward_and_backward_is_noticed_where_the_table_says_so(package):
    try:
        silent = bool(np.allclose(after_a_change(package), 5.0))
    except Exception:  # the way in which each package refuses
        silent = False
    assert row("never a wrong gradient")[package].removesuffix(" ¹") == ("–" if silent else "✓")


# --- numbers


def test_times_are_those_of_the_speed_page():
    text = (ROOT / "docs" / "speed.md").read_text("utf-8")
    tables = text[text.index("<!-- times -->") : text.index("<!-- end of times -->")]
    first, second = tables.split("| µs, float64")
    cells = row("a training step")

    def measured(name, table=first):
        (median,) = re.findall(rf"^\| {re.escape(name)} \| ([\d.,]+) / ", table, re.M)
        return f"{float(median.replace(',', '')):,.0f}"

    ways = {"`tn.compile`, numba": "numba", "`tn.compile`": "compiled", "eager": "eager"}
    assert cells["tinygrad_nn"] == ", ".join(
        f"{measured(f'**tinygrad_nn, {how}**')} {word}" for how, word in ways.items()
    )
    assert cells["micrograd"] == measured("micrograd", second)
    names = {"PyTorch": "PyTorch, eager", "JAX": "JAX, `jit` of the whole step"}
    for package in ("PyTorch", "JAX", "HIPS autograd", "MyGrad"):
        assert cells[package] == measured(names.get(package, package))


def lines_of(folder):
    files = (path for path in Path(folder).rglob("*.py") if "test" not in path.as_posix().partition("site-packages")[2])
    return sum(len(path.read_bytes().splitlines()) for path in files)


@pytest.mark.parametrize("package", ["tinygrad_nn", *(pytest.param(peer, marks=pytest.mark.peers) for peer in PEERS)])
def test_sizes_are_counted(package):
    module = {"PyTorch": "torch", "HIPS autograd": "autograd"}.get(package, package.lower())
    (folder,) = importlib.util.find_spec(module).submodule_search_locations
    said = [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", row("lines of Python")[package])]
    assert said[-1] == pytest.approx(lines_of(folder), rel=0.15)
    if package == "tinygrad_nn":
        core = ("operation.py", "ops/elementwise.py", "autodiff.py", "tensor.py")
        assert said[0] == pytest.approx(sum(len((ROOT / package / f).read_bytes().splitlines()) for f in core), rel=0.1)
