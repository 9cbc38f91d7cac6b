"""Drawing a network: how long until the picture is there."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from measure import Figure
from steps import CASES, make

import tinygrad_nn as tn


def loss(case: str = "M") -> tn.Tensor:
    """Of the network of a training step."""
    sizes, n = CASES[case]
    X, Y, _ = make(sizes, n)
    layers = (tn.nn.Dense(k, d, "sigmoid", dtype=np.float32, rng=0) for k, d in itertools.pairwise(sizes))
    return tn.mse(tn.nn.Sequential(*layers)(tn.tensor(X)), tn.tensor(Y))


def seconds(detail: str) -> float:
    """Of the slowest of five pictures, the first included: there one waits longest."""
    J, found = loss(), []
    for _ in range(5):
        start = time.perf_counter()
        tn.draw(J, detail=detail).svg()
        found.append(time.perf_counter() - start)
    return max(found)


FIGURES = [
    Figure("drawing the M network, layers", 0.5, "s", lambda: seconds("layers")),
    Figure("drawing the M network, operations", 0.5, "s", lambda: seconds("ops")),
]


@pytest.mark.parametrize("figure", FIGURES, ids=str)
def test_drawing(figure):
    figure.check()


@pytest.mark.parametrize("detail", ["layers", "ops", "neurons"])
def test_picture_of_m(benchmark, detail):
    J = loss()
    benchmark(lambda: tn.draw(J, detail=detail).svg())
