"""Numbers and equations of "Feed Forward Networks and the Backpropagation Algorithm" by M. Thill, against the graph."""

import itertools

import numpy as np
import pytest

import tinygrad_nn as tn


def test_the_interlude():
    t = tn.tensor(0.5, requires_grad=True, name="t")
    x = np.exp(t)
    y = t**2
    z = np.sin(x**2 + y**2)
    z.backward()
    assert float(t.grad) == pytest.approx(-5.554313566585541, abs=1e-14)
    closed = 2 * np.cos(np.exp(1.0) + 0.5**4) * (np.exp(1.0) + 2 * 0.5**3)
    assert float(t.grad) == pytest.approx(closed, abs=1e-14)


def test_the_same_tensor_twice():
    a = tn.tensor(1.0, requires_grad=True)
    b = a + a
    c = b + b
    c.backward()
    assert float(a.grad) == 4.0


def test_a_chain_of_100_000_additions():
    x = tn.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert y.item() == 100_001.0
    assert float(x.grad) == 1.0
    del y


def network(rng, sizes, N):
    X, Y = rng.normal(size=(sizes[0], N)), rng.random((sizes[-1], N))
    layers = [
        (rng.normal(size=(n_out, n_in)) / np.sqrt(n_in), rng.normal(size=(n_out, 1)))
        for n_in, n_out in itertools.pairwise(sizes)
    ]
    return X, Y, layers


@pytest.mark.parametrize("sizes", [(3, 2), (4, 5, 3), (2, 6, 5, 1)])
@pytest.mark.parametrize("N", [1, 32])
def test_gradients_are_the_explicit_equations(sizes, N):
    """Δ⁽ᴸ⁾ = (Ŷ − Y*) ⊗ σ′(Z⁽ᴸ⁾); Δ⁽ˡ⁾ = (W⁽ˡ⁺¹⁾ᵀ Δ⁽ˡ⁺¹⁾) ⊗ σ′(Z⁽ˡ⁾); ∂J/∂W = Δ Aᵀ/N; ∂J/∂b = Δ 1/N."""
    X, Y, layers = network(np.random.default_rng(0), sizes, N)

    A = [X]
    for W, b in layers:
        A.append(1 / (1 + np.exp(-(W @ A[-1] + b))))
    J = np.sum((Y - A[-1]) ** 2) / (2 * N)
    Delta = (A[-1] - Y) * A[-1] * (1 - A[-1])
    expected = []
    for level in range(len(layers), 0, -1):
        expected.append((Delta @ A[level - 1].T / N, Delta @ np.ones((N, 1)) / N))
        Delta = (layers[level - 1][0].T @ Delta) * A[level - 1] * (1 - A[level - 1])

    params = [(tn.tensor(W, requires_grad=True), tn.tensor(b, requires_grad=True)) for W, b in layers]
    a = tn.tensor(X)
    for W, b in params:
        a = tn.sigmoid(W @ a + b)
    loss = tn.mse(a, Y)
    loss.backward()
    assert loss.item() == pytest.approx(J, rel=1e-14)
    for (W, b), (dW, db) in zip(reversed(params), expected, strict=True):
        np.testing.assert_allclose(W.grad, dW, rtol=0, atol=1e-12)
        np.testing.assert_allclose(b.grad, db, rtol=0, atol=1e-12)


@pytest.mark.peers
def test_gradients_are_those_of_pytorch():
    import torch

    X, Y, layers = network(np.random.default_rng(1), (4, 5, 3), 16)
    theirs = [(torch.tensor(W, requires_grad=True), torch.tensor(b, requires_grad=True)) for W, b in layers]
    ours = [(tn.tensor(W, requires_grad=True), tn.tensor(b, requires_grad=True)) for W, b in layers]
    p, a = torch.tensor(X), tn.tensor(X)
    for (W, b), (V, c) in zip(theirs, ours, strict=True):
        p, a = torch.sigmoid(W @ p + b), tn.sigmoid(V @ a + c)
    (((p - torch.tensor(Y)) ** 2).sum() / (2 * 16)).backward()
    tn.mse(a, Y).backward()
    for (W, b), (V, c) in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(V.grad, W.grad.numpy(), rtol=0, atol=1e-10)
        np.testing.assert_allclose(c.grad, b.grad.numpy(), rtol=0, atol=1e-10)
