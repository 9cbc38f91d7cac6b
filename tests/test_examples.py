"""Every example: short, says what it is and what is to be seen, and runs alone and by the command line."""

import ast
import contextlib
import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tinygrad_nn.cli import main, run_program

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def run(name, folder):
    """What an example prints, run in `folder` and in this process: most take less time than starting a Python."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        run_program(ROOT / "examples" / f"{name}.py")
    return printed.getvalue()


def pictures(printed):
    return set(re.findall(r"^(?:picture|file): (.*)$", printed, re.M))


def test_examples_are_numbered_in_reading_order():
    names = [path.stem for path in EXAMPLES]
    assert [int(name[:2]) for name in names] == list(range(1, len(names) + 1))
    assert all(re.fullmatch(r"\d\d(_[a-z0-9]+)+", name) for name in names)


@each_example
def test_example_is_short(path):
    assert len(path.read_text("utf-8").splitlines()) < 60


@each_example
def test_example_says_what_it_is_and_what_is_to_be_seen(path):
    first, _, rest = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n\n")
    assert "\n" not in first
    assert first.endswith(".")
    assert "To be seen" in " ".join(rest.split())


@each_example
def test_example_runs(path, tmp_path):
    printed = run(path.stem, tmp_path)
    written = {file.name for file in tmp_path.iterdir()}
    assert written, "it writes a picture"
    assert pictures(printed) == written
    for file in tmp_path.glob("*.svg"):
        ET.parse(file)


def test_example_runs_by_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "made" / "for it"
    assert main(["examples", "one_neuron", "--out", str(out)]) == 0
    assert pictures(capsys.readouterr().out) == {str(file) for file in out.iterdir()}
    assert [file.name for file in tmp_path.iterdir()] == ["made"], "nothing is written elsewhere"


@pytest.mark.parametrize("command", [[ROOT / "examples" / "03_xor.py"], ["-m", "tinygrad_nn", "examples", "xor"]])
def test_example_runs_in_a_python_of_its_own(command, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-W", "error", *command]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    (picture,) = pictures(done.stdout.decode())
    assert (tmp_path / picture).exists()


def numbers(text):
    return [float(n) for n in re.findall(r"-?\d+\.\d+", text)]


def test_a_step_downhill_lowers_the_cost_of_one_neuron(tmp_path):
    costs = [float(J) for J in re.findall(r"J = (\d\.\d+)", run("01_one_neuron", tmp_path))]
    assert len(costs) == 6
    assert costs == sorted(costs, reverse=True)


def test_chain_rule_shows_the_numbers_of_the_post(tmp_path):
    printed = run("02_chain_rule", tmp_path)
    assert numbers(printed) == [-5.0865, -0.4678, -5.5543, -5.5543, -5.5543]


def test_xor_needs_a_hidden_layer(tmp_path):
    rows = run("03_xor", tmp_path).splitlines()
    (alone,) = (numbers(row) for row in rows if row.startswith("one neuron"))
    (hidden,) = (numbers(row) for row in rows if row.startswith("3 hidden neurons"))
    assert alone == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.125], abs=0.01)
    assert hidden == pytest.approx([0, 1, 1, 0, 0], abs=0.1)


def test_layer_gradients_are_those_of_the_equations(tmp_path):
    printed = run("04_a_layer_drawn", tmp_path)
    assert printed.count("True") == 2
    assert "False" not in printed


def test_digits_are_read(tmp_path):
    printed = run("05_digits", tmp_path)
    accuracies = [float(a) for a in re.findall(r"test accuracy (\d\.\d+)", printed)]
    assert accuracies[-1] >= 0.95
    assert "misread" in printed


# --- the examples that go with docs/chain_rule.md


def words(name, folder):
    """What an example prints: its lines, in words."""
    return [line.split() for line in run(name, folder).splitlines()]


def test_a_weight_of_its_own_at_each_step_gets_one_path_of_the_shared_one(tmp_path):
    rows = [line for line in words("06_a_shared_weight", tmp_path) if line[:1] in (["step"], ["sum"])]
    assert len(rows) == 4
    assert all(row[-2] == row[-1] for row in rows)


def test_residual_paths_by_length(tmp_path):
    rows = [line for line in words("07_residual_paths", tmp_path) if line and line[0].isdigit()]
    assert [int(row[1]) for row in rows] == [1, 10, 45, 120, 210, 252, 210, 120, 45, 10, 1]
    assert [row[3] for row in rows][:4] == ["0.559", "0.335", "0.090", "0.014"]


def test_error_signals_of_the_relu_network(tmp_path):
    lines = words("08_an_error_signal", tmp_path)
    rows = [[float(word) for word in line] for line in lines if line and line[0] in {"1", "2", "3"}]
    assert rows == [
        [1, 1, -1, 2.5, 1.5, 1, 1.5, 1.5],
        [2, 1.5, 0.5, 2.5, 3, 1, 3, 3],
        [3, -1.25, -0.25, -5, -5.25, 0, 0, 0],
    ]
    assert "∂L/∂x₁ = -1 + 0.25 + 2.5 + 1.25 = 3, over 4 live of 6 paths" in map(" ".join, lines)


def test_two_kinds_of_zero_differ_in_mass(tmp_path):
    rows = words("09_two_kinds_of_zero", tmp_path)[1:4]
    assert [line[line.index("of") - 3] for line in rows] == ["0.000", "10.000", "1818.595"]
    assert [line[line.index("of") - 2] for line in rows] == ["0%", "100%", "100%"]


def test_the_penguins_are_told_apart(tmp_path):
    printed = run("26_a_table", tmp_path)
    ((right, of),) = re.findall(r"(\d+) of (\d+) unseen penguins named rightly", printed)
    assert int(right) / int(of) > 0.93
    assert float(re.search(r"Gentoo +(\d+\.\d)%", printed)[1]) > 90
