"""Layers against PyTorch's: values, gradients and running statistics."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import nn

pytestmark = pytest.mark.peers
RNG = np.random.default_rng(0)
NAMES = {
    "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "ReLU", "leaky_relu": "LeakyReLU", "elu": "ELU", "selu": "SELU",
    "gelu": "GELU", "silu": "SiLU", "softplus": "Softplus", "softsign": "Softsign", "mish": "Mish",
    "hard_tanh": "Hardtanh", "log_sigmoid": "LogSigmoid", "identity": "Identity",
}  # fmt: skip


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("activation", NAMES)
def test_two_dense_layers(torch, activation):
    model = nn.Sequential(nn.Dense(5, 4, activation, rng=0), nn.Dense(4, 3, rng=1))
    X, Y = RNG.normal(size=(5, 7)), RNG.normal(size=(3, 7))
    tn.mse(model(X), Y).backward()
    theirs = torch.nn.Sequential(
        torch.nn.Linear(5, 4, dtype=torch.float64), getattr(torch.nn, NAMES[activation])(),
        torch.nn.Linear(4, 3, dtype=torch.float64),
    )  # fmt: skip
    with torch.no_grad():
        for ours, linear in ((model[0], theirs[0]), (model[1], theirs[2])):
            linear.weight.copy_(torch.tensor(ours.W.data))
            linear.bias.copy_(torch.tensor(ours.b.data[:, 0]))
    (1.5 * torch.nn.functional.mse_loss(theirs(torch.tensor(X.T)), torch.tensor(Y.T))).backward()
    for ours, linear in ((model[0], theirs[0]), (model[1], theirs[2])):
        np.testing.assert_allclose(ours.W.grad, linear.weight.grad, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(ours.b.grad[:, 0], linear.bias.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 8), (3, 2, 4, 5)])
def test_batchnorm(torch, shape):
    layer, kind = nn.BatchNorm(3, momentum=0.3), torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
    theirs = kind(3, momentum=0.3, dtype=torch.float64)
    for mode in (True, True, False):
        X, G = RNG.normal(size=shape) * 3 + 1, RNG.normal(size=shape)
        x, y = tn.tensor(X, requires_grad=True), torch.tensor(np.moveaxis(X, -1, 0), requires_grad=True)
        layer.train(mode), theirs.train(mode)
        layer.zero_grad(), theirs.zero_grad()
        ours, out = layer(x), theirs(y)
        ours.backward(G)
        out.backward(torch.tensor(np.moveaxis(G, -1, 0)))
        np.testing.assert_allclose(ours.data, np.moveaxis(out.detach().numpy(), 0, -1), rtol=1e-10)
        np.testing.assert_allclose(x.grad, np.moveaxis(y.grad.numpy(), 0, -1), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(layer.gamma.grad[:, 0], theirs.weight.grad, rtol=1e-10)
        np.testing.assert_allclose(layer.beta.grad[:, 0], theirs.bias.grad, rtol=1e-10)
        np.testing.assert_allclose(layer.running_mean.data[:, 0], theirs.running_mean, rtol=1e-12)
        np.testing.assert_allclose(layer.running_var.data[:, 0], theirs.running_var, rtol=1e-12)


@pytest.mark.parametrize(("features", "shape"), [(6, (6, 4)), ((2, 3), (2, 3, 4))])
def test_layernorm(torch, features, shape):
    layer, theirs = nn.LayerNorm(features), torch.nn.LayerNorm(shape[:-1], dtype=torch.float64)
    X, G = RNG.normal(size=shape), RNG.normal(size=shape)
    x, y = tn.tensor(X, requires_grad=True), torch.tensor(np.moveaxis(X, -1, 0), requires_grad=True)
    ours, out = layer(x), theirs(y)
    ours.backward(G)
    out.backward(torch.tensor(np.moveaxis(G, -1, 0)))
    np.testing.assert_allclose(ours.data, np.moveaxis(out.detach().numpy(), 0, -1), rtol=1e-10)
    np.testing.assert_allclose(x.grad, np.moveaxis(y.grad.numpy(), 0, -1), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer.gamma.grad[..., 0], theirs.weight.grad, rtol=1e-10, atol=1e-12)
