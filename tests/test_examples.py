"""Every example: short, says what it is and what is to be seen, and runs alone and by the command line."""

import ast
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SECONDS = 30

each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def run(*arguments, folder):
    """What a fresh Python prints when it runs this in `folder`, with warnings as errors."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-W", "error", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout.decode()


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
def test_example_runs_alone(path, tmp_path):
    printed = run(path, folder=tmp_path)
    written = {file.name for file in tmp_path.iterdir()}
    assert written, "it writes a picture"
    assert set(re.findall(r"^picture: (.*)$", printed, re.M)) == written
    for file in tmp_path.glob("*.svg"):
        ET.parse(file)


@pytest.mark.parametrize("path", EXAMPLES[:5], ids=lambda path: path.stem)  # the way is the same for all
def test_example_runs_by_the_command_line(path, tmp_path):
    out = tmp_path / "made" / "for it"
    printed = run("-m", "tinygrad_nn", "examples", path.stem, "--out", out, folder=tmp_path)
    assert set(re.findall(r"^picture: (.*)$", printed, re.M)) == {str(file) for file in out.iterdir()}
    assert [file.name for file in tmp_path.iterdir()] == ["made"], "nothing is written elsewhere"


def numbers(text):
    return [float(n) for n in re.findall(r"-?\d+\.\d+", text)]


def test_a_step_downhill_lowers_the_cost_of_one_neuron(tmp_path):
    costs = [float(J) for J in re.findall(r"J = (\d\.\d+)", run(ROOT / "examples/01_one_neuron.py", folder=tmp_path))]
    assert len(costs) == 6
    assert costs == sorted(costs, reverse=True)


def test_chain_rule_shows_the_founding_texts_numbers(tmp_path):
    printed = run(ROOT / "examples/02_chain_rule.py", folder=tmp_path)
    assert numbers(printed) == [-5.0865, -0.4678, -5.5543, -5.5543, -5.5543]


def test_xor_needs_a_hidden_layer(tmp_path):
    rows = run(ROOT / "examples/03_xor.py", folder=tmp_path).splitlines()
    (alone,) = (numbers(row) for row in rows if row.startswith("one neuron"))
    (hidden,) = (numbers(row) for row in rows if row.startswith("3 hidden neurons"))
    assert alone == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.125], abs=0.01)
    assert hidden == pytest.approx([0, 1, 1, 0, 0], abs=0.1)


def test_layer_gradients_are_the_founding_texts(tmp_path):
    printed = run(ROOT / "examples/04_a_layer_drawn.py", folder=tmp_path)
    assert printed.count("True") == 2
    assert "False" not in printed


def test_digits_are_read(tmp_path):
    printed = run(ROOT / "examples/05_digits.py", folder=tmp_path)
    accuracies = [float(a) for a in re.findall(r"test accuracy (\d\.\d+)", printed)]
    assert accuracies[-1] >= 0.95
    assert "misread" in printed
