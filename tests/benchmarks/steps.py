"""The same training step, forward, backward and SGD, in this package, by hand in NumPy, and in other frameworks.

Sigmoid layers, J = 1/N Σ ½‖y − ŷ‖².  Each function makes the network of these sizes and returns the step.
"""

from __future__ import annotations

import functools
import itertools
import os

import numpy as np
from measure import Race, Step, race

import tinygrad_nn as tn

CASES = {  # sizes of the layers, and of the batch
    "S": ((2, 16, 16, 1), 32),
    "M": ((784, 128, 10), 64),
    "D": ((64, 30, 10), 32),  # the 8×8 digits
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


def compiled_by_numba(sizes, n, dtype=np.float32) -> Step:
    """The same, its NumPy calls as functions that numba compiles."""
    return tn.compile(_model(sizes, n, dtype), engine="numba")


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


def products(sizes, n, dtype=np.float32) -> Step:
    """Only the matrix products of the step: the floor."""
    X, _, layers = make(sizes, n, dtype)
    A = [np.empty((d, n), dtype) for d in sizes[1:]]
    G = [np.empty_like(W) for W, _ in layers]

    def step():
        below = X
        for (W, _), a in zip(layers, A, strict=True):
            np.matmul(W, below, out=a)
            below = a
        for level in range(len(layers) - 1, -1, -1):
            np.matmul(A[level], (A[level - 1] if level else X).T, out=G[level])
            if level:
                np.matmul(layers[level][0].T, A[level], out=A[level - 1])

    return step


# --- frameworks ------------------------------------------------------------------------------------------------------


def torch_eager(sizes, n, dtype=np.float32, compiled=False) -> Step:
    """PyTorch's ordinary loop, or the same with the loss through `torch.compile`."""
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

    def loss_of():
        return ((model(X) - Y) ** 2).sum() / (2 * n)

    if compiled:
        loss_of = torch.compile(loss_of)

    def step():
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss

    return step


def jax_jit(sizes, n, dtype=np.float32) -> Step:
    """JAX with the whole step compiled."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", dtype == np.float64)
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


def hips_autograd(sizes, n, dtype=np.float32) -> Step:
    """HIPS autograd."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    X, Y, layers = make(sizes, n, dtype)

    def loss_of(layers):
        a = X
        for W, b in layers:
            a = 1 / (1 + anp.exp(-(anp.dot(W, a) + b)))
        return anp.sum((a - Y) ** 2) / (2 * n)

    loss_and_grads, lr = value_and_grad(loss_of), dtype(0.01)

    def step():
        loss, grads = loss_and_grads(layers)
        for pair, pair_grads in zip(layers, grads, strict=True):
            for p, g in zip(pair, pair_grads, strict=True):
                p -= lr * g
        return loss

    return step


def mygrad(sizes, n, dtype=np.float32) -> Step:
    """MyGrad."""
    import mygrad as mg

    X, Y, layers = make(sizes, n, dtype)
    layers, lr = [(mg.tensor(W), mg.tensor(b)) for W, b in layers], dtype(0.01)

    def step():
        a = X
        for W, b in layers:
            a = 1 / (1 + mg.exp(-(mg.matmul(W, a) + b)))
        loss = mg.sum((a - Y) ** 2) / (2 * n)
        loss.backward()
        for pair in layers:
            for p in pair:
                p.data -= lr * p.grad
        return loss

    return step


def tinygrad(sizes, n, dtype=np.float32) -> Step:
    """The other tinygrad, with TinyJit on the CPU; it needs clang."""
    os.environ.setdefault("DEV", "CPU")
    from tinygrad import Tensor, TinyJit
    from tinygrad.helpers import Context
    from tinygrad.nn.optim import SGD

    X, Y, layers = make(sizes, n, dtype)
    X, Y = Tensor(X).realize(), Tensor(Y).realize()
    layers = [(Tensor(W), Tensor(b)) for W, b in layers]
    parameters = list(itertools.chain(*layers))
    for p in parameters:
        p.requires_grad = True
    optimizer = SGD(parameters, lr=0.01)

    @TinyJit
    def update():
        optimizer.zero_grad()
        a = X
        for W, b in layers:
            a = (W @ a + b).sigmoid()
        loss = ((a - Y) ** 2).sum() / (2 * n)
        loss.backward()
        optimizer.step()
        return loss.realize()

    def step():
        with Context(TRAINING=1):
            return update().item()

    return step


def micrograd(sizes, n, dtype=np.float64) -> Step:
    """Number by number, in Python's floats: for one output and small networks only."""
    from micrograd.nn import MLP

    if sizes[-1] != 1 or dtype != np.float64:
        raise ValueError("only S in float64")
    X, Y, _ = make(sizes, n, dtype)
    model, inputs, targets = MLP(sizes[0], list(sizes[1:])), X.T.tolist(), Y.T.tolist()

    def step():
        loss = sum((model(x) - y[0]) ** 2 for x, y in zip(inputs, targets, strict=True)) * (1 / (2 * n))
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= 0.01 * p.grad
        return loss

    return step


RIVALS = {
    "products": products,
    "numpy_buffers": numpy_buffers,
    "numpy": numpy_plain,
    "compiled": compiled,
    "numba": compiled_by_numba,
    "eager": eager,
    "torch": torch_eager,
    "torch_compile": functools.partial(torch_eager, compiled=True),
    "jax": jax_jit,
    "autograd": hips_autograd,
    "mygrad": mygrad,
    "tinygrad": tinygrad,
    "micrograd": micrograd,
}


def start(rival: str, case: str, dtype: str) -> Step:
    """One of them, for `measure.Remote`."""
    return RIVALS[rival](*CASES[case], dtype=np.dtype(dtype).type)


@functools.cache
def times(case: str, dtype: str = "float32", rivals: tuple[str, ...] = tuple(RIVALS), **options: int) -> Race:
    """Let them run against each other, once."""
    return race("steps", rivals, case, dtype, **options)
