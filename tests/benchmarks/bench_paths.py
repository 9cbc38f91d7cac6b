"""Path algebra: counts, gradients and the largest paths of graphs with more paths than can be listed."""

import statistics
import time

import numpy as np
import pytest
from measure import Figure

import tinygrad_nn as tn
from tinygrad_nn.chain import paths


def diamonds(n, t):
    v = t
    for _ in range(n):
        v = tn.sin(v) + tn.cos(v)
    return v


@pytest.fixture(scope="module")
def thousand():
    t = tn.tensor(0.3, requires_grad=True)
    return diamonds(1000, t), t


@pytest.fixture(scope="module")
def dense():
    """A network 784-256-256-10 on one column, and its logits."""
    rng = np.random.default_rng(0)
    X = A = tn.tensor(rng.random((784, 1)), requires_grad=True, name="X")
    for n in (256, 256, 10):
        W = tn.tensor(rng.normal(size=(n, len(A))) / np.sqrt(len(A)), requires_grad=True)
        b = tn.tensor(np.zeros((n, 1)), requires_grad=True)
        Z = W @ A + b
        A = tn.relu(Z)
    return Z, X


def seconds():
    """Of the exact number of paths through 1000 diamonds, and the gradient along them."""
    t = tn.tensor(0.3, requires_grad=True)
    z, found = diamonds(1000, t), []
    for _ in range(10):
        start = time.perf_counter()
        p = paths(z, t)
        assert p.count == 2**1000
        assert np.isfinite(p.gradient)
        found.append(time.perf_counter() - start)
    return statistics.median(found)


FIGURES = [Figure("exact number of paths and gradient of 1000 diamonds", 0.1, "s", seconds)]


@pytest.mark.parametrize("figure", FIGURES, ids=str)
def test_path_algebra(figure):
    figure.check()


def test_count_gradient_mass_and_top_of_a_thousand_diamonds(benchmark, thousand):
    def everything(z, t):
        p = paths(z, t)
        return p.count, p.gradient, p.mass, p.top(5)

    assert benchmark(everything, *thousand)[0] == 2**1000
    assert benchmark.stats["min"] < 0.1


def test_flow_of_a_thousand_diamonds(benchmark, thousand):
    flow = benchmark(lambda: paths(*thousand).flow)
    assert len(flow) == 4000


def test_factored_form_of_a_thousand_diamonds(benchmark, thousand):
    factors = benchmark(lambda: paths(*thousand).factored())
    assert len(factors) == 1000


def test_groups_by_tanh_of_a_hundred_residual_blocks(benchmark):
    t = z = tn.tensor(0.5, requires_grad=True)
    for _ in range(100):
        z = z + 0.1 * tn.tanh(z)
    groups = benchmark(lambda: paths(z, t).by_kind("tanh"))
    assert sum(group.count for group in groups.values()) == 2**100


def test_a_pixel_and_a_logit(benchmark, dense):
    Z, X = dense
    logit = Z[3, 0]

    def numbers():
        p = paths(logit, X, at=(400, 0))
        return p.count, p.live_count, p.gradient, p.mass

    assert benchmark(numbers)[0] == 65_536


def test_largest_paths_from_a_pixel_to_a_logit(benchmark, dense):
    """Here the graph of 67,074 edges between single elements is built."""
    Z, X = dense
    logit = Z[3, 0]
    assert len(benchmark.pedantic(lambda: paths(logit, X, at=(400, 0)).top(5), rounds=3)) == 5


def test_gradient_by_paths_of_a_chain(benchmark):
    t = z = tn.tensor(0.0, requires_grad=True)
    for _ in range(20_000):
        z = z + 1.0
    assert benchmark(lambda: paths(z, t).gradient) == 1.0
