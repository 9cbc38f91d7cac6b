"""What every test starts from: sealed global state, random numbers that repeat, and Hypothesis without a stopwatch."""

import gc
import os
import random
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core: BLAS threads of each would only disturb the others
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")  # plots are drawn without a screen

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Processes that tests start import this checkout, too, whatever is installed.
PATHS = [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, PATHS))

SEED = os.environ.get("TESTS_SEED", "0")  # another one draws other numbers in every test: a test must pass with each

# Limits of time fail on a busy machine, not on a wrong program. Each run tries the same examples, so that a commit
# fails for what it changed; a database would add examples that failed here before.
settings.register_profile(
    "tests",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=SEED == "0",
    database=None,
    print_blob=True,
)
settings.load_profile("tests")


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


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if SEED != "0" and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = SEED
    config.pluginmanager.register(Sealed())  # as a plugin, which docstrings outside of this folder meet too


def pytest_collection_finish():
    gc.freeze()  # what was imported and collected stays: the garbage collector need not look through it again and again


@pytest.fixture(scope="session")
def raised():
    """The whole text of the error that a call raises."""

    def text(error, function, *args, **kwargs):
        with pytest.raises(error) as caught:
            function(*args, **kwargs)
        return str(caught.value)

    return text
