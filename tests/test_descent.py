"""‖∇z‖² as a flow through the graph: conserved on every cut, and what a small step gains."""

import itertools

import numpy as np
import pytest
import random_programs

import tinygrad_nn as tn
from tinygrad_nn import nn
from tinygrad_nn.chain import Descent
from tinygrad_nn.view.graph.computation import ComputationGraph


def descent(z):
    return Descent(z, ComputationGraph(z).gradient)


def network_loss(*sizes, residual=False):
    rng = np.random.default_rng(3)
    layers = [nn.Dense(a, b, "tanh", rng=i) for i, (a, b) in enumerate(itertools.pairwise(sizes))]
    a = X = rng.normal(size=(sizes[0], 5))
    for layer in layers:
        a = layer(a) + a if residual and a.shape == layer(a).shape else layer(a)
    return tn.mse(a, rng.normal(size=(sizes[-1], X.shape[1]))), [p for layer in layers for p in layer.parameters()]


@pytest.mark.parametrize("residual", [False, True])
def test_each_input_adds_the_square_of_its_gradient(residual):
    J, parameters = network_loss(3, 3, 3, 2, residual=residual)
    gradients = tn.gradients(J, parameters)
    found = descent(J)
    assert list(found.by_input) == parameters
    np.testing.assert_allclose(list(found.by_input.values()), [np.sum(g * g) for g in gradients], rtol=1e-12)
    assert found.total == pytest.approx(sum(np.sum(g * g) for g in gradients), rel=1e-12)


def cuts(found):
    """What crosses the graph after each node, and what the inputs that come later add."""
    for node in found.nodes[:-1]:
        crossing = sum(f for e, f in found.flow.items() if e.source.index <= node.index < e.target.index)
        later = sum(g for x, g in found.by_input.items() if x.index > node.index)
        yield crossing + later


@pytest.mark.parametrize("residual", [False, True])
def test_it_is_conserved_on_every_cut_of_a_network(residual):
    found = descent(network_loss(3, 4, 4, 2, residual=residual)[0])
    assert [*cuts(found)] == pytest.approx([found.total] * (len(found.nodes) - 1), rel=1e-10)


@pytest.mark.parametrize("seed", range(40))
def test_it_is_conserved_in_random_programs(seed):
    program, inputs = random_programs.program(seed)
    z = program(tn, *(tn.tensor(x, requires_grad=True) for x in inputs))
    found = descent(z)
    if not np.isfinite(found.total):
        pytest.skip("a gradient that is not finite")
    try:
        flow = found.flow
    except NotImplementedError:
        pytest.skip("an operation without forward mode")
    size = max([found.total, *map(abs, flow.values())])
    assert [*cuts(found)] == pytest.approx([found.total] * (len(found.nodes) - 1), abs=1e-9 * size)


def test_it_is_what_a_small_step_gains():
    J, parameters = network_loss(3, 4, 2)
    found, step = descent(J), 1e-6

    def after(sign):
        moved = [p.value - sign * step * g for p, g in zip(parameters, tn.gradients(J, parameters), strict=True)]
        a = X
        for W, b in zip(moved[::2], moved[1::2], strict=True):
            a = np.tanh(W @ a + b)
        return float(tn.mse(a, Y))

    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(3, 5)), rng.normal(size=(2, 5))  # as network_loss draws them
    assert after(0) == pytest.approx(J.item(), rel=1e-14)
    assert (after(-1) - after(1)) / (2 * step) == pytest.approx(found.total, rel=1e-6)
