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


def thousand_diamonds() -> None:
    """2¹⁰⁰⁰ paths, folded into forty boxes."""
    v = t = tn.tensor(0.3, requires_grad=True)
    for _ in range(1000):
        v = tn.sin(v) + tn.cos(v)
    tn.draw(v, wrt=t, most=40).svg()


def paths_of_a_logit() -> None:
    """65,536 paths of the M network, in few boxes."""
    X = tn.tensor(np.ones((784, 1)), requires_grad=True)
    layers = (tn.nn.Dense(k, d, "relu", rng=0) for k, d in itertools.pairwise((784, 256, 256, 10)))
    logit = tn.nn.Sequential(*layers)(X)[4, 0]
    assert tn.draw(logit, wrt=tn.paths(logit, X, at=(3, 0)), detail="layers").source


@pytest.mark.parametrize(("drawing", "limit"), [(thousand_diamonds, 2), (paths_of_a_logit, 0.2)])
def test_many_paths(benchmark, drawing, limit):
    benchmark.pedantic(drawing, rounds=3, warmup_rounds=1)
    assert benchmark.stats["max"] < limit
