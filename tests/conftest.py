"""What every test starts from: sealed global state, and Hypothesis without a stopwatch."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core: BLAS threads of each would only disturb the others
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")  # plots are drawn without a screen

import numpy as np
import pytest
from hypothesis import settings

# Deadlines fail on a busy machine, not on a wrong program.
settings.register_profile("default", deadline=None)
# The same examples in every run: a commit fails for what it changed.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True)
def sealed():
    """A test may change how NumPy reports errors and prints; the next test does not see it."""
    with np.errstate(), np.printoptions():
        yield
