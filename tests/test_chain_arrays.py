"""The path algebra of arrays and of their single elements."""

import itertools
import math

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.chain import (
    ArrayPathSum,
    Element,
    ElementPathSum,
    PathsLeftOut,
    PathSum,
    local_derivative,
    paths,
)


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


# --- random graphs of arrays -----------------------------------------------------------------------


OF_MATRICES = (
    np.transpose,
    lambda x: tn.softmax(x, axis=0),
    lambda x: x[:, 0],
    lambda x: np.mean(x, axis=1),
)


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
                y = (np.transpose, lambda x: tn.softmax(x, axis=0), lambda x: x[:, 0], lambda x: np.mean(x, axis=1))[
                    kind - 6
                ](a)
            else:
                y = np.sum(a) * b
            nodes.append(y)
        z = sum(np.mean(np.square(x)) for x in nodes[-3:] if isinstance(x, tn.Tensor))
        if isinstance(z, tn.Tensor) and z.requires_grad and abs(z.item()) < 1e6 and 1 < paths(z, t).count <= 1000:
            return z, t


@pytest.mark.parametrize("seed", range(100))
def test_paths_of_random_array_graphs_add_up_to_the_gradient(seed):
    z, t = random_array_graph(np.random.default_rng(seed))
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
        assert all(p.edge_shares[edge] == pytest.approx(p.share(flow), abs=1e-6) for edge, flow in p.flow.items())


# --- single elements -------------------------------------------------------------------------------


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
    z, t = random_array_graph(draw)
    place = int(draw.integers(t.size))
    at = np.unravel_index(place, t.shape)
    p = paths(z, t, at=at)
    assert isinstance(p, ElementPathSum)
    arrays = paths(z, t)
    expected = {arrays.target: (np.ones((1, 1), object), np.ones((1, 1)), np.ones((1, 1)))}
    for edge in reversed(arrays.edges):
        parts = expected[edge.target]
        slopes = jacobian(edge)
        there = sum(jacobian(edge, np.random.default_rng(i)) != 0 for i in range(20)) != 0
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


# --- arrays, by hand -------------------------------------------------------------------------------


def residual(n, x, W):
    for _ in range(n):
        x = x + W @ np.tanh(x)
    return x


def test_paths_of_arrays():
    x, W = leaf([[1.0], [-0.5]], "x"), tn.tensor([[0.5, 0.25], [-1.0, 0.75]])
    z = np.sum(residual(2, x, W))
    p = paths(z, x)
    assert isinstance(p, ArrayPathSum)
    assert (p.count, p.live_count) == (4, 4)
    listed = list(p)
    np.testing.assert_allclose(sum(path.contribution for path in listed), tn.gradients(z, x)[0], rtol=1e-12)
    assert sum(path.share for path in listed) == pytest.approx(1)
    assert p.mass == pytest.approx(sum(np.linalg.norm(path.contribution) for path in listed))
    assert p.cancellation == pytest.approx(1 - np.linalg.norm(p.gradient) / p.mass)
    assert p.coverage(4) == 1.0
    assert 0 < p.coverage(1) < 1
    groups = p.by_kind("tanh")
    assert [group.count for group in groups.values()] == [1, 2, 1]
    np.testing.assert_array_equal(groups[0].contribution, [[1.0], [1.0]])
    assert sum(p.share(group.contribution) for group in groups.values()) == pytest.approx(1)
    np.testing.assert_allclose(p.adjoints[x], p.gradient)
    assert {np.shape(g) for g in p.adjoints.values()} == {(2, 1), ()}
    np.testing.assert_allclose(p.node_flow[z], p.gradient)
    assert repr(listed[0]).endswith("array of shape (2, 1)>")


def test_many_paths_of_arrays():
    x, W = leaf([[1.0], [-0.5]], "x"), 0.1 * np.eye(2)
    z = np.sum(residual(40, x, W))
    p = paths(z, x, limit=20)
    assert p.count == 2**40
    assert p.left_out == 2**40 - 20
    np.testing.assert_allclose(p.gradient, tn.gradients(z, x)[0], rtol=1e-10)
    assert math.isnan(p.mass)
    assert math.isnan(p.cancellation)
    assert math.isnan(p.coverage(3))
    with pytest.warns(PathsLeftOut, match="the largest of 20 paths, 1099511627756 were left out and may be larger"):
        assert len(p.top(3)) == 3
    with pytest.warns(PathsLeftOut, match="20 of 1099511627776 paths were listed"):
        assert len(list(p)) == 20
    cut = [edge for edge in p.edges if edge.source is x]
    assert sum(p.edge_shares[edge] for edge in cut) == pytest.approx(1)
    for edge in cut:
        assert p.edge_shares[edge] == pytest.approx(p.share(p.flow[edge]))
    assert sum(group.count for group in p.by_kind("tanh").values()) == 2**40


def test_an_operation_without_forward_mode():
    odd = tn.Op("odd", lambda x: x[::-1] * 2, "odd({x})", (lambda g, y, x: 2 * g[::-1],), arguments=("x",))
    x = leaf([1.0, 2.0, 3.0])
    z = np.sum(odd(x) * x)
    p = paths(z, x)
    assert sum(p.edge_shares[edge] for edge in p.edges if edge.source is x) == pytest.approx(1)
    q = paths(z, x, at=0)
    assert (q.count, q.gradient) == (2, tn.gradients(z, x)[0][0])


def test_upstream_gradient_of_an_array():
    x = leaf([1.0, 2.0, 3.0])
    g = np.array([1.0, -1.0, 0.5])
    p = paths(x * x, x, gradient=g)
    assert p.gradient.tolist() == (2 * x.data * g).tolist()
    assert [path.contribution.tolist() for path in p] == [(x.data * g).tolist()] * 2
    assert paths(x, x, gradient=g).gradient.tolist() == g.tolist()


def test_a_dead_layer_is_blocked():
    x = leaf([-1.0, -2.0])
    z = np.sum(tn.relu(x) + x)
    p = paths(z, x)
    assert (p.count, p.live_count) == (2, 1)
    assert [path.live for path in p] == [False, True]
    assert paths(np.sum(tn.relu(leaf([-1.0, 2.0]))), x).count == 0
    y = leaf([-1.0, 2.0])
    assert paths(np.sum(tn.relu(y)), y).live_count == 1, "one element is alive"


def test_a_zero_blocks_infinities_in_arrays():
    x = leaf([0.0, 4.0])
    z = np.sum(np.where(x > 1, np.sqrt(x), x))
    for p in (paths(z, x), paths(z, x, at=0), paths(z, x, at=1)):
        at = () if isinstance(p, ArrayPathSum) else p.source.at
        np.testing.assert_array_equal(p.gradient, tn.gradients(z, x)[0][at])
        assert math.isfinite(p.mass)
    assert paths(z, x, at=0).live_count == paths(z, x, at=1).live_count == 1


def test_arrays_changed_after_they_were_recorded():
    x = leaf([1.0, 2.0], "x")
    z = np.sum(x * x)
    x.data[0] = 5.0
    for p in (paths(z, x), paths(z, x, at=0)):
        assert p.count == 2
        for ask in (lambda p: p.gradient, list, lambda p: p.top(1), lambda p: p.flow, lambda p: p.live_count):
            with pytest.raises(tn.MutationError, match="x of shape"):
                ask(p)


def test_no_grad_is_touched():
    x = leaf([1.0, 2.0])
    z = np.sum(x * x)
    for p in (paths(z, x), paths(z, x, at=0)):
        assert all((np.any(p.gradient), p.mass, p.flow, p.top(2), p.edge_shares))
    assert x.grad is None
    assert z.grad is None


def test_local_derivatives_of_arrays():
    X = leaf(np.ones((3, 32)), "X")
    (W, b, _, A), _ = dense([3, 4, 2], X)
    z = np.mean(A)
    texts = {edge.source.name: local_derivative(edge) for edge in [*paths(z, X).edges, *paths(z, b).edges]}
    assert str(texts["X"]) == "W1ᵀ ·"
    assert str(texts["b1"]) == "sum over 32 columns"
    assert str(texts["Z1"]) == "⊙ 1 − A1 ⊙ A1"
    assert str(texts["A1"]) == "· / 128"
    assert texts["X"].shape == (128, 96)
    assert texts["X"].value is None
    assert str(local_derivative(paths(z, W).edges[0])) == "· Xᵀ"
    assert next(iter(paths(z, X))).local_derivatives[0].formula == "W1ᵀ ·"
    rows = leaf(np.ones(3), "r")
    (edge,) = paths(rows * np.ones((2, 5, 3)), rows, gradient=np.ones((2, 5, 3))).edges
    assert local_derivative(edge).formula.endswith("sum over 2 × 5 elements")
    y = np.concatenate([rows, rows])
    assert str(local_derivative(paths(np.sum(y), rows).edges[0])) != ""


# --- single elements, by hand ----------------------------------------------------------------------


def test_element_flow_counts_and_filters():
    X = leaf(np.random.default_rng(1).normal(size=(5, 3)), "X")
    (_, _, _, A), (_, _, o, _) = dense([5, 4, 2], X, activation=tn.relu)
    z = np.sum(o[:, 1])
    p = paths(z, X, at=(2, 1))
    assert p.count == 8
    assert p.source.name == "X[2, 1]"
    assert p.element_counts[A][:, 1].tolist() == [2] * 4
    assert p.element_counts[A][:, [0, 2]].tolist() == [[0, 0]] * 4
    assert sum(p.element_flow[A].ravel()) == pytest.approx(p.gradient)
    for i in range(4):
        hidden = Element(A, int(np.ravel_multi_index((i, 1), A.shape)))
        q = p.through(hidden)
        assert q.count == 2
        assert q.gradient == pytest.approx(p.element_flow[A][i, 1])
        assert p.node_flow[hidden] == pytest.approx(p.element_flow[A][i, 1])
        assert p.node_counts[hidden] == 2
    assert p.through(A).count == p.through("A1").count == 8
    assert isinstance(p.through(A), ElementPathSum)
    assert p.by_length() == {len(next(iter(p))): (8, pytest.approx(p.gradient))}
    assert p.by_kind("relu") == {1: (8, pytest.approx(p.gradient))}
    assert p.of_length(2).count == 0
    edge = p.top(1)[0].edges[1]
    assert p.through(edge).count >= 1
    assert [abs(path.contribution) for path in p.top(8)] == sorted((abs(path.contribution) for path in p), reverse=True)
    assert p.mass == pytest.approx(sum(abs(path.contribution) for path in p))
    assert "8 paths from X[2, 1] to " in repr(p)
    path = p.top(1)[0]
    assert math.prod(path.local_derivatives) == pytest.approx(path.contribution)
    assert local_derivative(path.edges[0]).value == pytest.approx(path.local_derivatives[0])
    assert path.edges[0].op.name in ("matmul", "affine")
    assert path.nodes[0].value == X.data[2, 1]


def test_paths_of_different_lengths_between_elements():
    x, W = leaf([[1.0], [-0.5], [0.25]], "x"), tn.tensor(np.random.default_rng(0).normal(size=(3, 3)))
    z = residual(3, x, W)[1, 0]
    p = paths(z, x, at=(0, 0))
    groups = p.by_kind("tanh")
    assert {n: group.count for n, group in groups.items()} == {0: 0, 1: 3, 2: 9, 3: 9}
    assert sum(group.contribution for group in groups.values()) == pytest.approx(p.gradient)
    listed = list(p)
    for n in range(1, 4):
        some = [path for path in listed if sum(edge.op.name == "tanh" for edge in path.edges) == n]
        assert groups[n] == (len(some), pytest.approx(math.fsum(path.contribution for path in some)))
    length = len(listed[0])
    assert p.of_length(length).count == sum(len(path) == length for path in listed)
    assert len(list(p.of_length(length))) == p.of_length(length).count


def test_counts_beyond_floats_are_exact():
    X = leaf(np.ones((100, 1)))
    (*_, (_, _, _, A)) = dense([100] * 12, X)
    assert paths(A[0, 0], X, at=(3, 0)).count == 100**10
    x = leaf(np.ones((2, 2)))
    y = x
    for _ in range(70):
        y = np.mean(np.stack([y, y, y]), axis=0) + np.cumsum(y.T, axis=0)[::-1]
    p = paths(np.sum(y), x, at=(1, 0))
    counts = np.array([[0, 0], [1, 0]], object)  # from the element forward, by Python's integers
    for _ in range(70):
        counts = 3 * counts + np.cumsum(counts.T, axis=0)[::-1]
    assert p.count == np.sum(counts) > 2**53
    assert isinstance(p.count, int)


STRUCTURES = {
    "softmax": (lambda x: tn.softmax(x, axis=0)[0, 1], (1, 1), 1),
    "softmax of another column": (lambda x: tn.softmax(x, axis=0)[0, 1], (1, 0), 0),
    "log_softmax": (lambda x: tn.log_softmax(x, axis=1)[0, 1], (0, 2), 1),
    "cross_entropy": (lambda x: tn.cross_entropy(x, np.array([0, 1, 1])), (0, 2), 1),
    "mse": (lambda x: tn.mse(x, np.zeros((2, 3))), (0, 2), 1),
    "mean of rows": (lambda x: np.sum(np.mean(x, axis=1) * np.ones((4, 1))), (0, 2), 4),
    "max": (lambda x: np.sum(np.max(x, axis=1, keepdims=True)), (0, 2), 1),
    "var": (lambda x: np.sum(np.var(x, axis=0)), (0, 2), 1),
    "norm": (lambda x: tn.norm(x), (0, 2), 1),
    "concatenate": (lambda x: np.sum(np.concatenate([x, x], axis=1)), (0, 2), 2),
    "transpose and reshape": (lambda x: np.sum(np.reshape(x.T, (6,)) * np.arange(6.0)), (0, 0), 1),
    "repeat": (lambda x: np.sum(np.repeat(x, 3)), (1, 1), 3),
    "take": (lambda x: np.sum(np.take(x, np.array([2, 2, 0]), axis=1)), (1, 2), 2),
    "triu": (lambda x: np.sum(np.triu(x)), (1, 0), 0),
    "pad": (lambda x: np.sum(np.pad(x, 1)), (1, 0), 1),
    "einsum": (lambda x: np.einsum("ij,kj->ik", x, x)[0, 1], (0, 2), 1),
    "matrix times its transpose": (lambda x: np.sum(x @ x.T), (0, 2), 4),
    "batched matmul": (lambda x: np.sum(np.ones((5, 4, 2)) @ x), (0, 2), 20),
    "cumprod": (lambda x: np.sum(np.cumprod(x, axis=1)), (0, 1), 2),
    "inv": (lambda x: np.sum(np.linalg.inv(x[:, :2])), (0, 1), 4),
    "prod": (lambda x: np.prod(x), (0, 1), 1),
    "where": (lambda x: np.sum(np.where(x > 0, x, -x)), (0, 1), 2),
    "index_update": (lambda x: np.sum(tn.index_update(x, (0, slice(0, 1)), 3.0)), (0, 0), 0),
    "affine, its matrix": (lambda x: np.sum(tn.affine(x, np.ones((3, 5)), np.ones((2, 1)))), (0, 1), 5),
    "affine, its input": (lambda x: np.sum(tn.affine(np.ones((4, 2)), x, np.ones((4, 1)))), (0, 1), 4),
    "affine, its bias": (lambda x: np.sum(tn.affine(np.ones((2, 3)), np.ones((3, 5)), x[:, :1])), (1, 0), 5),
    "flip and roll": (lambda x: np.sum(np.roll(np.flip(x), 1) * 2.0), (0, 1), 1),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_what_operations_connect(name):
    f, at, count = STRUCTURES[name]
    x = leaf(np.random.default_rng(3).normal(size=(2, 3)))
    z = f(x)
    p = paths(z, x, at=at)
    assert p.count == count
    assert p.gradient == pytest.approx(tn.gradients(z, x)[0][at], abs=1e-14)
    assert len(list(p)) == count
    assert math.fsum(path.contribution for path in p) == pytest.approx(p.gradient, abs=1e-14)
    assert math.fsum(abs(path.contribution) for path in p) == pytest.approx(p.mass)
    assert sum(path.live for path in p) == p.live_count


def test_dead_units_and_accidental_zeros():
    x = leaf([[1.0], [2.0]])
    W = leaf([[0.0, 1.0], [-1.0, -1.0]])
    z = np.sum(tn.relu(W @ x))
    p = paths(z, x, at=(0, 0))
    assert (p.count, p.live_count, p.gradient) == (2, 0, 0.0)
    p = paths(z, x, at=(1, 0))
    assert (p.count, p.live_count, p.gradient) == (2, 1, 1.0)
    assert [path.live for path in p] == [True, False]


def test_a_jacobian_too_large_to_write_out():
    x = leaf(np.random.default_rng(0).normal(size=(40, 40)))
    with pytest.raises(ValueError, match="1600 × 1600 Jacobian written out, which is too large; take fewer examples"):
        paths(np.sum(np.linalg.inv(x)), x, at=(0, 0)).count  # noqa: B018


def test_shared_and_float32_arrays():
    x = tn.tensor(np.array([[1.0, 2.0], [3.0, -1.0]]), requires_grad=True, dtype=np.float32)
    z = np.sum(x @ x @ x)
    p = paths(z, x)
    assert p.count == 3
    assert p.gradient.dtype == np.float32
    np.testing.assert_allclose(p.gradient, tn.gradients(z, x)[0], rtol=1e-6)
    assert {edge.slot for edge in p.edges if edge.source is x} == {0, 1}
    q = paths(z, x, at=(0, 1))
    assert q.gradient == pytest.approx(tn.gradients(z, x)[0][0, 1], rel=1e-6)
    assert q.count == 4 + 4 + 2  # in the first, second and third place


def test_a_single_number_in_the_middle():
    x = leaf([1.0, 2.0])
    s = np.sum(x)
    z = np.sum(s * x)
    p = paths(z, x)
    assert p.count == 2
    np.testing.assert_allclose(p.gradient, tn.gradients(z, x)[0])
    t = leaf(2.0)
    q = paths(np.sum(t * np.arange(3.0)), t)
    assert isinstance(q, ArrayPathSum)
    assert (q.gradient, next(iter(q)).contribution) == (3.0, 3.0)
    assert isinstance(q.gradient, float)
    assert type(paths(t * t, t)) is PathSum
