"""What every test starts from: sealed global state, random numbers that repeat, and Hypothesis without a stopwatch."""

import os
import random

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


SEED = os.environ.get("TESTS_SEED", "0")  # another one draws other numbers in every test: a test must pass with each


class Sealed:
    """What a test or a docstring's example does to NumPy's error handling, printing and random numbers stays its own.

    Where the program asks the machine for a seed (`np.random.default_rng()`, `random_state=None`), it gets one that
    is fresh at each call and the same in every run.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        entropy = random.Random(f"{SEED} {item.nodeid}")
        with np.errstate(), np.printoptions(), pytest.MonkeyPatch.context() as patch:
            patch.setattr("numpy.random.bit_generator.randbits", entropy.getrandbits)
            np.random.seed(entropy.getrandbits(32))  # noqa: NPY002  scikit-learn draws from it
            return (yield)


def pytest_configure(config):
    config.pluginmanager.register(Sealed())  # as a plugin, which docstrings outside of this folder meet too
