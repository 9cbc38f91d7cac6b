"""A small network and data, made anew for each test of training."""

import numpy as np
import pytest

import tinygrad_nn as tn


@pytest.fixture
def network():
    """Makes the same small network each time."""

    def make(features=2, hidden=5, outputs=2, activation="tanh", dropout=0.0, dtype=None):
        rng = np.random.default_rng(7)
        layers = [tn.nn.Dense(features, hidden, activation, rng=rng, dtype=dtype)]
        layers += [tn.nn.Dropout(dropout, rng=3)] * (dropout > 0)
        return tn.nn.Sequential(*layers, tn.nn.Dense(hidden, outputs, rng=rng, dtype=dtype))

    return make


@pytest.fixture
def moons():
    return tn.data.make_moons(96, rng=0)


@pytest.fixture
def same():
    """Whether two models, or two states, are the same to the bit."""

    def compare(a, b):
        a, b = (x if isinstance(x, dict) else x.state_dict() for x in (a, b))
        return a.keys() == b.keys() and all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)

    return compare
