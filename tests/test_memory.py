"""Freed memory is kept from the first large graph on, and there is a switch."""

import subprocess
import sys

import pytest

REPORT = """
import numpy as np, tinygrad_nn as tn
from tinygrad_nn.memory import keep_freed_memory
asked = lambda: keep_freed_memory.cache_info().currsize
x = tn.tensor(np.ones(10), requires_grad=True)
(x * np.ones(10)).sum().backward()
small = asked()
{large}
print(small, asked(), keep_freed_memory())
"""
LARGE = {"tensor": "tn.tensor(np.ones(1 << 17))", "constant": "tn.tensor(2.0, requires_grad=True) * np.ones(1 << 17)"}


@pytest.mark.parametrize(("variable", "kept"), [("", "True"), ("0", "False")])
@pytest.mark.parametrize("large", LARGE.values(), ids=LARGE)
def test_memory_is_kept_from_the_first_large_array_on(large, variable, kept, monkeypatch):
    monkeypatch.setenv("TINYGRAD_NN_KEEP_MEMORY", variable)
    command = [sys.executable, "-c", REPORT.format(large=large)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == ["0", "1", kept]
