"""docs/chain_rule.md shows the pictures that its code draws, and they say the numbers that were checked by hand."""

import importlib.util
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from pictures import words_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "chain_rule.md"
IMAGES = ROOT / "docs" / "images"

_spec = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
figures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(figures)

# file name -> what the page says instead of the picture
SHOWN = {name: said for said, name in re.findall(r"^!\[(.*)\]\(images/(.*)\)$", PAGE.read_text("utf-8"), re.M)}


def said_by(svg: Path) -> list[str]:
    """What a picture says, but for the lines of the page, which move as it is edited."""
    return sorted(re.sub(r" ?made at line \d+ of \S+", "", words) for words in words_of(svg))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return {path.name: path for path in figures.make(tmp_path_factory.mktemp("figures"))}


def test_the_page_shows_every_figure_that_it_makes(made):
    assert set(SHOWN) == set(made) == {path.name for path in IMAGES.glob("chain_rule_*.svg")}


@pytest.mark.parametrize("name", SHOWN)
def test_figure_is_what_the_page_draws(name, made):
    assert said_by(IMAGES / name) == said_by(made[name]), "renew it: python docs/figures.py"


@pytest.mark.parametrize("name", SHOWN)
def test_figure_is_described_in_words_and_says_where_it_was_made(name):
    assert len(SHOWN[name]) > 60
    root = ET.parse(IMAGES / name).getroot()
    assert root.get("role") == "img"
    lines = PAGE.read_text("utf-8").splitlines()
    for number in re.findall(r"made at line (\d+) of chain_rule\.md", (IMAGES / name).read_text("utf-8")):
        assert lines[int(number) - 1].startswith((">>> ", "... ")), "renew it: python docs/figures.py"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("two_paths", ["−5.0865", "−0.4678", "−5.5543", "✓"]),
        ("used_twice", ["a = 3", "6", "✓"]),
        ("doubled_twice", ["4", "✓"]),
        ("backward_pass", ["u has received 2 of 2, and fires: it sends 36 to t", "✓ done"]),
        ("mistake_assign", ["✗ wrong: ∂z/∂t came out as 16, and is 36"]),
        ("mistake_order", ["2 of 2, too late", "✗ wrong: ∂z/∂t came out as 20, and is 36"]),
        ("flow", ["2", "3", "5", "✓"]),
        ("factored", ["310", "9 paths", "path by path: 39; by backpropagation: 12", "✓"]),
        ("residual", ["4 paths", "✓"]),
        ("cancellation", ["Σ|p| = 10, of which 100 % cancel", "✓"]),
        ("arrays", ["50 %", "2.25", "−9.25", "✓"]),
        ("network", ["−1.25", "1.5", "−0.5", "2.5", "3.25"]),
        ("inside", ["1.5 × 1", "1.5 × 0.5", "0.75"]),
        ("fan_out", ["2 × (−0.5)", "−1", "1 × 2.5", "gives δ₁ = 1.5"]),
        ("blocked", ["−0.25", "−5", "gives δ₃ = 0, blocked"]),
    ],
)
def test_figure_says_the_numbers_of_the_acceptance_list(name, said):
    words = "\n".join(words_of(IMAGES / f"chain_rule_{name}.svg"))
    for text in said:
        assert text in words
    assert name.startswith("mistake") or "✗" not in words


# --- the examples that go with the page


def printed_by(name: str, folder: Path) -> list[list[str]]:
    """What an example prints: its lines, in words."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    return [line.split() for line in done.stdout.decode("utf-8").splitlines()]


def test_a_weight_of_its_own_at_each_step_gets_one_path_of_the_shared_one(tmp_path):
    rows = [line for line in printed_by("06_a_shared_weight", tmp_path) if line[:1] in (["step"], ["sum"])]
    assert len(rows) == 4
    assert all(row[-2] == row[-1] for row in rows)


def test_residual_paths_by_length(tmp_path):
    rows = [line for line in printed_by("07_residual_paths", tmp_path) if line and line[0].isdigit()]
    assert [int(row[1]) for row in rows] == [1, 10, 45, 120, 210, 252, 210, 120, 45, 10, 1]
    assert [row[3] for row in rows][:4] == ["0.559", "0.335", "0.090", "0.014"]


def test_error_signals_of_the_relu_network(tmp_path):
    lines = printed_by("08_an_error_signal", tmp_path)
    rows = [[float(word) for word in line] for line in lines if line and line[0] in {"1", "2", "3"}]
    assert rows == [
        [1, 1, -1, 2.5, 1.5, 1, 1.5, 1.5],
        [2, 1.5, 0.5, 2.5, 3, 1, 3, 3],
        [3, -1.25, -0.25, -5, -5.25, 0, 0, 0],
    ]
    assert "∂L/∂x₁ = -1 + 0.25 + 2.5 + 1.25 = 3, over 4 live of 6 paths" in map(" ".join, lines)


def test_two_kinds_of_zero_differ_in_mass(tmp_path):
    rows = printed_by("09_two_kinds_of_zero", tmp_path)[1:4]
    assert [line[line.index("of") - 3] for line in rows] == ["0.000", "10.000", "1818.595"]
    assert [line[line.index("of") - 2] for line in rows] == ["0%", "100%", "100%"]
