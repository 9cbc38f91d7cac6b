"""Penalties: their values and gradients, and what they leave alone."""

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn import nn
from tinygrad_nn.autodiff import history


def model():
    return nn.Sequential(nn.Dense(2, 3, "tanh", rng=0), nn.BatchNorm(3), nn.LayerNorm(3), nn.Dense(3, 1, rng=1))


def test_weights_are_what_is_neither_bias_nor_gain():
    assert [w.name for w in nn.weights(model())] == ["W¹", "W²"]


def test_l2_is_half_lambda_times_the_squares():
    net = model()
    J = nn.l2_penalty(net, 0.3)
    np.testing.assert_allclose(J.item(), 0.15 * sum((w.data**2).sum() for w in nn.weights(net)))
    J.backward()
    np.testing.assert_allclose(net[0].W.grad, 0.3 * net[0].W.data)
    assert net[0].b.grad is None
    assert net[1].gamma.grad is None


def test_l1_is_lambda_times_the_sizes():
    net = model()
    J = nn.l1_penalty(net, 0.3)
    np.testing.assert_allclose(J.item(), 0.3 * sum(abs(w.data).sum() for w in nn.weights(net)))
    J.backward()
    np.testing.assert_allclose(net[3].W.grad, 0.3 * np.sign(net[3].W.data))


def test_the_term_is_seen_in_the_graph_of_the_cost():
    net = model()
    J = tn.mse(net(np.ones((2, 4))), np.zeros((1, 4))) + nn.l2_penalty(net, 0.1)
    assert "λ/2 Σ w²" in [node.name for node in history([J])]


def test_l2_equals_weight_decay_on_the_weights():
    penalised, decayed = (nn.Sequential(nn.Dense(2, 1, rng=0)) for _ in range(2))
    X, Y = np.random.default_rng(0).normal(size=(2, 5)), np.ones((1, 5))
    by_cost = tn.optim.SGD(penalised.parameters(), lr=0.1)
    by_rule = tn.optim.SGD([{"params": nn.weights(decayed), "weight_decay": 0.2}, {"params": [decayed[0].b]}], lr=0.1)
    for _ in range(5):
        by_cost.zero_grad(), by_rule.zero_grad()
        (tn.mse(penalised(X), Y) + nn.l2_penalty(penalised, 0.2)).backward()
        tn.mse(decayed(X), Y).backward()
        by_cost.step(), by_rule.step()
    for p, q in zip(penalised.parameters(), decayed.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-12)


def test_tensors_may_be_given_instead_and_float32_stays():
    w = tn.tensor(np.ones(3, np.float32), requires_grad=True)
    J = nn.l2_penalty([w], 0.1) + nn.l1_penalty([w], 0.1)
    assert J.dtype == np.float32
    assert abs(J.item() - 0.45) < 1e-6


def test_nothing_to_penalise(raised):
    assert raised(ValueError, nn.l2_penalty, nn.Dropout(0.5), 0.1) == "λ/2 Σ w²: there are no weights"
