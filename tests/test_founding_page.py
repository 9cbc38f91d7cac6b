"""docs/founding_text.md, the list of what M. Thill's post asks for: every function, test and page it names is there."""

import functools
import re
from pathlib import Path

import pytest

import tinygrad_nn as tn

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "founding_text.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| in the text")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_every_entry_is_there(row):
    item, functions, test, page = row
    assert item
    names = re.findall(r"`(tn\.[\w.]+)`", functions)
    assert names
    for name in names:
        assert functools.reduce(getattr, name.split(".")[1:], tn) is not None
    (path,) = re.findall(r"`(tests/[\w./]+)`", test)
    assert "def test_" in (ROOT / path).read_text("utf-8")
    (target,) = re.findall(r"\]\(([^)]+)\)", page)
    assert (PAGE.parent / target).exists()


def test_the_to_do_list_is_done():
    text = PAGE.read_text("utf-8").lower()
    for word in (
        "animation", "jax", "fminunc", "fmincg", "l-bfgs", "first hidden layer", "regularisation", "gradient checking",
        "symmetry", "softmax", "hessian", "momentum", "rprop", "idbd", "normalising",
    ):  # fmt: skip
        assert word in text
