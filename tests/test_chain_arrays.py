"""The path algebra of arrays and of their single elements."""

import itertools
import math

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.chain import ArrayPathSum, Edge, Element, ElementPathSum, PathSum, PathsLeftOut, local_derivative, paths

rng = np.random.default_rng(7)


def leaf(value, name=None):
    return tn.tensor(value, requires_grad=True, name=name)


def dense(sizes, X, activation=tn.tanh, seed=0):
    """A network of dense layers on columns; the first bias is a leaf, so that it broadcasts."""
    draw = np.random.default_rng(seed)
    A, layers = X, []
    for i, (m, n) in enumerate(itertools.pairwise(sizes)):
        W = leaf(draw.normal(size=(n, m)) / math.sqrt(m), f"W{i + 1}")
        b = leaf(draw.normal(size=(n, 1)), f"b{i + 1}")
        Z = (W @ A + b).named(f"Z{i + 1}")
        A = (Z if i == len(sizes) - 2 else activation(Z)).named(f"A{i + 1}")
        layers.append((W, b, Z, A))
    return layers


# --- random graphs of arrays ------------------------------------------------------------------------------------------------


def random_array_graph(draw):
    """A number computed from t by operations of every kind on arrays of several shapes."""
    n = int(draw.integers(2, 4))
    shapes = [(n, n), (n, 1), (1, n), (n,), ()]
    while True:
        t = leaf(draw.normal(size=shapes[draw.integers(5)]))
        nodes = [t, leaf(draw.normal(size=(n, n))), draw.normal(size=(n, 1))]
        for _ in range(int(draw.integers(3, 14))):
            a, b = (nodes[-1 - min(int(draw.exponential(2)), len(nodes) - 1)] for _ in range(2))
            kind = draw.integers(10)
            if kind < 4:
                y = (np.add, np.multiply, np.subtract, np.maximum)[kind](a, b)
            elif kind < 6:
                y = (np.tanh, tn.relu)[kind - 4](a)
            elif np.ndim(a) and np.ndim(b) and np.shape(a)[-1] == np.shape(b)[max(0, np.ndim(b) - 2)]:
                y = a @ b
            elif np.ndim(a) == 2:
                y = (np.transpose, lambda x: tn.softmax(x, axis=0), lambda x: x[:, 0], lambda x: np.mean(x, axis=1))[kind - 6](a)
            else:
                y = np.sum(a) * b
            nodes.append(y)
        z = sum(np.mean(np.square(x)) for x in nodes[-3:] if isinstance(x, tn.Tensor))
        if isinstance(z, tn.Tensor) and z.requires_grad and abs(z.item()) < 1e6 and 1 < paths(z, t).count <= 1000:
            return z, t, nodes


@pytest.mark.parametrize("seed", range(100))
def test_paths_of_random_array_graphs_add_up_to_the_gradient(seed):
    z, t, _ = random_array_graph(np.random.default_rng(seed))
    gradient = tn.gradients(z, t)[0]
    p = paths(z, t)
    size = np.max(np.abs(gradient), initial=1e-300)
    listed = list(p)
    assert len(listed) == p.count
    assert len({path.edges for path in listed}) == p.count
    scale = max(size, max(np.max(np.abs(path.contribution)) for path in listed))

    def same(a, b):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * scale)

    same(sum(path.contribution for path in listed), gradient)
    same(p.gradient, gradient)
    assert all(np.shape(path.contribution) == t.shape for path in listed)
    assert p.live_count >= sum(bool(np.any(path.contribution)) for path in listed)
    for edge, flow in p.flow.items():
        same(flow, sum(path.contribution for path in listed if edge in path.edges))
        assert p.edge_counts[edge] == sum(edge in path.edges for path in listed)
    for n, group in p.by_length().items():
        some = [path.contribution for path in listed if len(path) == n]
        assert group.count == len(some)
        same(group.contribution, sum(some))
        same(p.of_length(n).gradient, sum(some))
    norms = sorted((np.linalg.norm(np.ravel(path.contribution)) for path in listed), reverse=True)
    assert [np.linalg.norm(np.ravel(path.contribution)) for path in p.top(5)] == pytest.approx(norms[:5])
    assert p.mass == pytest.approx(sum(norms))
    if np.any(gradient) and scale < 1e3 * size:
        assert sum(path.share for path in listed) == pytest.approx(1)
        assert all(
            p.edge_shares[edge] == pytest.approx(p.share(flow), abs=1e-6) for edge, flow in p.flow.items()
        )


# --- single elements -----------------------------------------------------------------------------------------------------------


def jacobian(edge, draw=None):
    """Of one edge alone: the operation again, on tensors of their own; `draw` gives other values, to constants too."""
    values = [x.data if isinstance(x, tn.Tensor) else np.asarray(x, float) for x in edge.target.inputs]
    inputs = [leaf(x if draw is None else draw.normal(size=x.shape)) for x in values]
    y = edge.op.apply(inputs, edge.target.params)
    units = np.eye(y.size).reshape(-1, *y.shape)
    return np.array([np.ravel(tn.gradients(y, inputs[edge.slot], unit)[0]) for unit in units])


@pytest.mark.parametrize("seed", range(60))
def test_elements_of_random_graphs(seed):
    """Against products of matrices, one for each edge between arrays."""
    draw = np.random.default_rng(seed)
    z, t, nodes = random_array_graph(draw)
    place = int(draw.integers(t.size))
    at = np.unravel_index(place, t.shape)
    p = paths(z, t, at=at)
    assert isinstance(p, ElementPathSum)
    arrays = paths(z, t)
    expected = {arrays.target: (np.ones((1, 1), object), np.ones((1, 1)), np.ones((1, 1)))}
    for edge in reversed(arrays.edges):
        parts = expected[edge.target]
        slopes = jacobian(edge)
        there = sum(jacobian(edge, np.random.default_rng(i)) != 0 for i in range(40)) != 0
        sent = parts[0] @ there.astype(object), parts[1] @ np.abs(slopes), parts[2] @ slopes
        if edge.source in expected:
            sent = tuple(a + b for a, b in zip(expected[edge.source], sent, strict=True))
        expected[edge.source] = sent
    count, mass, gradient = (m[0, place] for m in expected[t])
    assert p.count == count
    assert p.mass == pytest.approx(mass)
    assert p.gradient == pytest.approx(gradient, abs=1e-10 * mass)
    assert p.gradient == pytest.approx(np.ravel(tn.gradients(z, t)[0])[place], abs=1e-10 * mass)
    assert p.live_count <= p.count
    if p.count > 20_000:
        return
    listed = list(paths(z, t, at=at, limit=20_000))
    assert len(listed) == p.count
    assert sum(path.live for path in listed) == p.live_count
    assert math.fsum(path.contribution for path in listed) == pytest.approx(p.gradient, abs=1e-10 * mass)
    assert math.fsum(abs(path.contribution) for path in listed) == pytest.approx(p.mass)


def test_a_pixel_and_a_logit():
    X = leaf(np.random.default_rng(0).random((784, 1)), "X")
    *_, (_, _, logits, _) = dense([784, 256, 256, 10], X)
    p = paths(logits[3, 0], X, at=(400, 0))
    assert p.count == p.live_count == 65_536
    assert p.gradient == pytest.approx(tn.gradients(logits[3, 0], X)[0][400, 0], rel=1e-12)
    assert paths(np.sum(logits), X, at=(400, 0)).count == 655_360
    assert "_graph" not in vars(p), "no graph of elements was built"
