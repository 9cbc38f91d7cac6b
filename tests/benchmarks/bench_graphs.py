"""What recording costs: one operation, a deep chain, a wide graph, the memory of a node."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from measure import Figure, Step, Timed, take_turns

import tinygrad_nn as tn

VALUE = np.linspace(0.1, 0.8, 8)
A, B = np.linspace(-1, 1, 16).reshape(4, 4), np.linspace(1, 2, 16).reshape(4, 4)

# --- one operation ---------------------------------------------------------------------------------------------------

OPERATIONS = {
    "a + b": (lambda a, b: a + b, lambda a, b: a + b),
    "a * b": (lambda a, b: a * b, lambda a, b: a * b),
    "a @ b": (lambda a, b: a @ b, lambda a, b: a @ b),
    "tanh(a)": (lambda a, b: tn.tanh(a), lambda a, b: np.tanh(a)),
}


def recorded(operation: str) -> float:
    """Microseconds of a recorded operation on two small arrays, beyond NumPy's own call."""
    ours, theirs = OPERATIONS[operation]
    a, b = tn.tensor(A, requires_grad=True), tn.tensor(B, requires_grad=True)
    times = take_turns({"recorded": Timed(lambda: ours(a, b)), "NumPy": Timed(lambda: theirs(A, B))}, rounds=20)
    return times["recorded"].best - times["NumPy"].best


# --- deep and wide ---------------------------------------------------------------------------------------------------


def deep(x, n=10_000):
    """A chain of n operations."""
    for _ in range(n):
        x = x * 1.0001
    return x


def wide(x, n=8192):
    """One variable used n times, and all that added up in pairs: 2n − 1 operations."""
    parts = [x * c for c in np.linspace(0.0, 1.0, n).tolist()]
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


GRAPHS = {"deep": (deep, 10_000), "wide": (wide, 2 * 8192 - 1)}  # and how many operations


def ours(function) -> Step:
    x = tn.tensor(VALUE, requires_grad=True)
    return lambda: function(x).sum().backward()


def torch(function) -> Step:
    import torch

    x = torch.tensor(VALUE, requires_grad=True)
    return lambda: function(x).sum().backward()


def autograd(function) -> Step:
    import autograd
    import autograd.numpy as anp

    gradient = autograd.grad(lambda x: anp.sum(function(x)))
    return lambda: gradient(VALUE)


def mygrad(function) -> Step:
    import mygrad

    x = mygrad.tensor(VALUE)
    return lambda: function(x).sum().backward()


RIVALS = {"eager": ours, "torch": torch, "autograd": autograd, "mygrad": mygrad}


def start(rival: str, graph: str) -> Step:
    """Record a graph and go back through it, for `measure.Remote`."""
    return RIVALS[rival](GRAPHS[graph][0])


@pytest.mark.parametrize("graph", GRAPHS)
def test_forward_and_backward(benchmark, graph):
    benchmark(start("eager", graph))


def growth() -> float:
    """Backward time an operation of a chain of 100,000, in that of a chain of 1,000."""
    x = tn.tensor(VALUE, requires_grad=True)
    chains = {n: Timed(deep(x, n).sum().backward) for n in (1_000, 100_000)}
    times = take_turns(chains, rounds=10)
    return times[100_000].median / times[1_000].median / 100


# --- memory ----------------------------------------------------------------------------------------------------------


def bookkeeping(n: int = 100_000) -> float:
    """Bytes a node of a chain, at the peak of its backward pass, without the arrays that NumPy would have, too."""

    def peak(x, run):
        tracemalloc.start()
        kept = run(x)  # noqa: F841  alive until the peak is read
        bytes_ = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return bytes_

    def graph(x):
        z = deep(x, n).sum()
        z.backward()
        return z

    arrays = peak(VALUE, lambda x: [x * 1.0001 for _ in range(n)]) - 8 * n  # the list itself is bookkeeping
    return (peak(tn.tensor(VALUE, requires_grad=True), graph) - arrays) / n


# --- what is to be reached -------------------------------------------------------------------------------------------

FIGURES = [
    *(
        Figure(f"one recorded `{name}`, beyond NumPy's own call", 1.3, "µs", lambda name=name: recorded(name))
        for name in OPERATIONS
    ),
    Figure("backward of a chain, time an operation: 100,000 against 1,000 operations", 1.5, "×", growth),
    Figure("bookkeeping of a node, at the peak of backward", 600, "bytes", bookkeeping),
]


@pytest.mark.parametrize("figure", FIGURES, ids=str)
def test_recording(figure):
    figure.check()
