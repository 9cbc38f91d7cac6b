"""The same training step in this package, in hand-written NumPy, and in the frameworks that are installed."""

from __future__ import annotations

import importlib.util
import itertools
import statistics
import time
from collections.abc import Callable

import numpy as np

import tinygrad_nn as tn

Step = Callable[[], object]

CASES = {
    "S": ((2, 16, 16, 1), 32),
    "M": ((784, 128, 10), 64),
    "D": ((64, 30, 10), 32),
    "L": ((784, 1024, 1024, 10), 512),
}


def make(sizes, n, dtype=np.float32, seed=0):
    """X, Y and [(W, b)] of a network; examples are columns."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((sizes[0], n)).astype(dtype)
    Y = rng.random((sizes[-1], n)).astype(dtype)
    layers = [
        ((rng.standard_normal((d, k)) / np.sqrt(k)).astype(dtype), np.zeros((d, 1), dtype))
        for k, d in itertools.pairwise(sizes)
    ]
    return X, Y, layers


def time_in_turns(steps: dict[str, Step], rounds: int = 25, slice_s: float = 0.02) -> dict[str, tuple[float, float]]:
    """{name: (median, best)} in microseconds: every round runs each step for about `slice_s`."""
    repeats = {}
    for name, step in steps.items():
        for _ in range(3):
            step()
        start = time.perf_counter()
        step()
        repeats[name] = max(1, int(slice_s / max(time.perf_counter() - start, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                step()
            times[name].append((time.perf_counter() - start) / repeats[name] * 1e6)
    return {name: (statistics.median(t), min(t)) for name, t in times.items()}


# --- this package --------------------------------------------------------------------------------------------------


def _model(sizes, n, dtype):
    X, Y, layers = make(sizes, n, dtype)
    model = tn.nn.Sequential(*(tn.nn.Dense(k, d, "sigmoid", dtype=dtype) for k, d in itertools.pairwise(sizes)))
    for layer, (W, b) in zip(model, layers, strict=True):
        layer.W.data, layer.b.data = W, b
    optimizer = tn.optim.SGD(model.parameters(), lr=0.01)
    X, Y = tn.tensor(X), tn.tensor(Y)

    def step():
        optimizer.zero_grad()
        loss = tn.mse(model(X), Y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def eager(sizes, n, dtype=np.float32) -> Step:
    """The ordinary loop."""
    return _model(sizes, n, dtype)


def compiled(sizes, n, dtype=np.float32) -> Step:
    """The same loop through `tn.compile`."""
    return tn.compile(_model(sizes, n, dtype))


# --- hand-written NumPy ----------------------------------------------------------------------------------------------


def numpy_plain(sizes, n, dtype=np.float32) -> Step:
    """As one writes it."""
    X, Y, layers = make(sizes, n, dtype)
    lr = dtype(0.01)

    def step():
        A = [X]
        for W, b in layers:
            A.append(1 / (1 + np.exp(-(W @ A[-1] + b))))
        loss = ((A[-1] - Y) ** 2).sum() / (2 * n)
        D = (A[-1] - Y) * A[-1] * (1 - A[-1])
        grads = []
        for level in range(len(layers) - 1, -1, -1):
            grads.append((level, D @ A[level].T / n, D.sum(1, keepdims=True) / n))
            if level:
                D = (layers[level][0].T @ D) * A[level] * (1 - A[level])
        for level, dW, db in grads:
            W, b = layers[level]
            W -= lr * dW
            b -= lr * db
        return loss

    return step


def numpy_buffers(sizes, n, dtype=np.float32) -> Step:
    """Every result into an array made beforehand."""
    X, Y, layers = make(sizes, n, dtype)
    A, D, T = ([np.empty((d, n), dtype) for d in sizes[1:]] for _ in range(3))
    G = [(np.empty_like(W), np.empty_like(b)) for W, b in layers]
    one, scale, ones = dtype(1), dtype(0.01 / n), np.ones((n, 1), dtype)

    def step():
        below = X
        for (W, b), a in zip(layers, A, strict=True):
            np.matmul(W, below, out=a)
            np.add(a, b, out=a)
            np.negative(a, out=a)
            np.exp(a, out=a)
            np.add(a, one, out=a)
            np.reciprocal(a, out=a)
            below = a
        np.subtract(A[-1], Y, out=D[-1])
        loss = np.vdot(D[-1], D[-1]) / (2 * n)
        for level in range(len(layers) - 1, -1, -1):
            a, d, t = A[level], D[level], T[level]
            np.subtract(one, a, out=t)
            np.multiply(t, a, out=t)
            np.multiply(d, t, out=d)
            np.matmul(d, (A[level - 1] if level else X).T, out=G[level][0])
            np.matmul(d, ones, out=G[level][1])
            if level:
                np.matmul(layers[level][0].T, d, out=D[level - 1])
        for pair, grads in zip(layers, G, strict=True):
            for p, g in zip(pair, grads, strict=True):
                np.multiply(g, scale, out=g)
                np.subtract(p, g, out=p)
        return loss

    return step


# --- frameworks ------------------------------------------------------------------------------------------------------


def torch_eager(sizes, n, dtype=np.float32) -> Step:
    """PyTorch's ordinary loop."""
    import torch

    X, Y, layers = make(sizes, n, dtype)
    parts = []
    for W, b in layers:
        dense = torch.nn.Linear(W.shape[1], W.shape[0], dtype=torch.tensor(W).dtype)
        with torch.no_grad():
            dense.weight.copy_(torch.tensor(W))
            dense.bias.copy_(torch.tensor(b[:, 0]))
        parts += [dense, torch.nn.Sigmoid()]
    model = torch.nn.Sequential(*parts)
    X, Y = torch.tensor(X.T.copy()), torch.tensor(Y.T.copy())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step():
        optimizer.zero_grad()
        loss = ((model(X) - Y) ** 2).sum() / (2 * n)
        loss.backward()
        optimizer.step()
        return loss

    return step


def jax_jit(sizes, n, dtype=np.float32) -> Step:
    """JAX with the whole step compiled."""
    import jax
    import jax.numpy as jnp

    X, Y, layers = make(sizes, n, dtype)
    X, Y = jnp.array(X), jnp.array(Y)

    def loss_of(layers):
        a = X
        for W, b in layers:
            a = jax.nn.sigmoid(W @ a + b)
        return ((a - Y) ** 2).sum() / (2 * n)

    @jax.jit
    def update(layers):
        loss, grads = jax.value_and_grad(loss_of)(layers)
        return loss, jax.tree.map(lambda p, g: p - 0.01 * g, layers, grads)

    state = [[(jnp.array(W), jnp.array(b)) for W, b in layers]]

    def step():
        loss, state[0] = update(state[0])
        return loss.block_until_ready()

    return step


RIVALS: dict[str, Callable[..., Step]] = {
    "eager": eager,
    "compiled": compiled,
    "numpy": numpy_plain,
    "numpy_buffers": numpy_buffers,
    "torch": torch_eager,
    "jax": jax_jit,
}


def available(name: str) -> bool:
    """Whether the framework is installed."""
    return name not in ("torch", "jax") or importlib.util.find_spec(name) is not None
