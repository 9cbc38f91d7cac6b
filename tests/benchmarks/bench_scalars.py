"""Graphs of thousands of single numbers, as learners build them: time an operation, against micrograd's."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from measure import Figure, Missing, Step, Timed, ratio, take_turns

import tinygrad_nn as tn

LAYERS = (2, 16, 16, 1)
POINTS = [(0.3, -0.7), (-0.4, 0.1)]


def weights() -> list[float]:
    """Of a network of neurons, each with its bias."""
    count = sum((n + 1) * m for n, m in itertools.pairwise(LAYERS))
    return np.random.default_rng(0).uniform(-0.5, 0.5, count).tolist()


def cost(parameters: list[Any], relu: Callable[[Any], Any]) -> Any:
    """The mean square of the outputs: 1,300 operations on single numbers (+ * - relu **)."""
    total = 0.0
    for point in POINTS:
        values, rest = list(point), iter(parameters)
        for width in LAYERS[1:]:
            sums = []
            for _ in range(width):
                z = next(rest)
                for v in values:
                    z = z + next(rest) * v
                sums.append(z)
            values = sums if width == 1 else [relu(z) for z in sums]
        total = total + (values[0] - 1.0) ** 2
    return total * (1 / len(POINTS))


def ours() -> tuple[list[Any], Callable]:
    return [tn.tensor(w, requires_grad=True) for w in weights()], tn.relu


def trained() -> tuple[list[Any], Callable]:
    """As they are after `p.data -= ...`: held in arrays that could be written to."""
    parameters, relu = ours()
    for p in parameters:
        p.data -= 0.0
    return parameters, relu


def theirs() -> tuple[list[Any], Callable]:
    try:
        from micrograd.engine import Value
    except ModuleNotFoundError:
        raise Missing("micrograd is not installed") from None
    sys.setrecursionlimit(100_000)
    return [Value(w) for w in weights()], Value.relu


def forward(make: Callable) -> Step:
    parameters, relu = make()
    return lambda: cost(parameters, relu)


def backward(make: Callable) -> Step:
    return cost(*make()).backward


def against_micrograd(step: Callable[[Callable], Step], make: Callable = ours) -> float:
    """Our time in theirs: of best times, which what else the machine does cannot shorten."""
    times = take_turns({"ours": Timed(step(make)), "micrograd": Timed(step(theirs))})
    return ratio(times["ours"], times["micrograd"]).best


FIGURES = [
    Figure("forward of 1,300 operations on single numbers, against micrograd", 1.5, "×",
           lambda: against_micrograd(forward)),
    Figure("the same after an update in place", 1.5, "×", lambda: against_micrograd(forward, trained)),
    Figure("backward of 1,300 operations on single numbers, against micrograd", 1.5, "×",
           lambda: against_micrograd(backward)),
]  # fmt: skip


@pytest.mark.parametrize("figure", FIGURES, ids=str)
def test_single_numbers(figure):
    figure.check()
