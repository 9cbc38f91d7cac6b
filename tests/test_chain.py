"""The path algebra of numbers: against acceptance/chain_rule.md, and against listing every path of random graphs."""

import itertools
import math
import warnings

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.chain import Edge, Factor, Group, PathsLeftOut, local_derivative, paths


def leaf(value, name=None):
    return tn.tensor(value, requires_grad=True, name=name)


def contributions(p):
    return [path.contribution for path in p]


def diamonds(n, t):
    v = t
    for _ in range(n):
        v = tn.sin(v) + tn.cos(v)
    return v


def residual(n, t):
    for _ in range(n):
        t = t + 0.1 * tn.tanh(t)
    return t


# --- the numbers of acceptance/chain_rule.md -------------------------------------------------------------------------------


class TestAcceptance:
    def test_founding_text(self):
        t = leaf(0.5)
        x, y = tn.exp(t), t**2
        p = paths(tn.sin(x**2 + y**2), t)
        assert contributions(p) == pytest.approx([-5.0865081249549355, -0.4678054416306056], rel=1e-14)
        assert p.gradient == pytest.approx(-5.554313566585541, rel=1e-14)
        e = 2 * math.cos(math.exp(1) + 0.5**4) * (math.exp(1) + 2 * 0.5**3)
        assert p.gradient == pytest.approx(e, rel=1e-14)
        assert (p.count, p.live_count) == (2, 2)

    def test_founding_text_with_products_for_squares(self):
        t = leaf(0.5)
        x, y = tn.exp(t), t * t
        p = paths(tn.sin(x * x + y * y), t)
        assert (p.count, p.through(x).count, p.through(y).count) == (6, 2, 4)
        assert p.gradient == pytest.approx(-5.554313566585541, rel=1e-14)

    def test_square_times_triple(self):
        t = leaf(2.0)
        p = paths(t**2 * (3 * t), t)
        assert contributions(p) == [24.0, 12.0]
        assert p.gradient == 36.0
        assert contributions(paths((t * t) * (3 * t), t)) == [12.0, 12.0, 12.0]

    def test_shared_b(self):
        a, b = leaf(2.0, "a"), leaf(1.0, "b")
        c, d = a + b, b + 1
        e = c * d
        p = paths(e, b)
        assert contributions(p) == [2.0, 3.0]
        assert p.gradient == 5.0
        assert p.flow == {Edge(b, c, 1): 2.0, Edge(b, d, 0): 3.0, Edge(c, e, 0): 2.0, Edge(d, e, 1): 3.0}
        assert local_derivative(Edge(c, e, 0)).value == 2.0
        assert local_derivative(Edge(d, e, 1)).value == 3.0

    def test_doubled_twice(self):
        a = leaf(1.0, "a")
        b = a + a
        p = paths(b + b, a)
        assert contributions(p) == [1.0] * 4
        assert p.gradient == 4.0
        assert [edge for edge in p.edges if edge.target is b] == [Edge(a, b, 0), Edge(a, b, 1)]

    def test_number_times_itself(self):
        a = leaf(3.0)
        p = paths(a * a, a)
        assert [path.local_derivatives for path in p] == [(3.0,), (3.0,)]
        assert p.gradient == 6.0

    def test_two_hundred_doublings(self):
        t = a = leaf(1.0)
        for _ in range(200):
            a = a + a
        p = paths(a, t)
        assert p.count == 2**200
        assert len(p.edges) == 400

    def test_a_thousand_diamonds(self):
        t = leaf(0.3)
        v = diamonds(1000, t)
        p = paths(v, t)
        assert p.count == p.live_count == 2**1000
        assert p.gradient == pytest.approx(tn.gradients(v, t)[0].item(), rel=1e-12)
        assert math.isfinite(p.mass)
        assert len(p.top(5)) == 5

    def test_twenty_diamonds(self):
        t = leaf(0.3)
        p = paths(diamonds(20, t), t)
        assert p.count == 1048576
        assert p.gradient == pytest.approx(-1.5584e-4, abs=5e-9)
        assert p.mass == pytest.approx(99.3024, abs=5e-5)
        assert p.coverage(5) == pytest.approx(0.0086, abs=5e-5)
        assert p.coverage(5) == pytest.approx(sum(abs(q.contribution) for q in p.top(5)) / p.mass)

    def test_cancellation(self):
        t = leaf(1.5)
        p = paths(5 * t - 5 * t, t)
        assert contributions(p) == [5.0, -5.0]
        assert p.gradient == 0.0
        assert p.cancellation == 1.0
        assert math.isnan(next(iter(p)).share)

    def test_residual_blocks(self):
        t = leaf(0.5)
        p = paths(residual(10, t), t)
        groups = p.by_kind("tanh")
        assert {n: group.count for n, group in groups.items()} == {n: math.comb(10, n) for n in range(11)}
        shares = [group.contribution / p.gradient for group in groups.values()]
        assert shares[:4] == pytest.approx([0.559, 0.335, 0.090, 0.014], abs=6e-4)
        assert sum(shares) == pytest.approx(1)

    def test_product_of_sums(self):
        x = leaf(1.0)
        y = 2 * x + 3 * x + 5 * x
        p = paths(7 * y + 11 * y + 13 * y, x)
        assert p.gradient == 310.0
        assert p.count == 9
        factors = p.factored()
        assert [factor.products for factor in factors] == [[2, 3, 5], [7, 11, 13]]
        assert math.prod(factor.value for factor in factors) == 310.0

    def test_relu_network(self):
        W1 = leaf([[1.0, -2], [0.5, 1], [-1, 0.5]], "W1")
        b1, W2 = tn.tensor([1.0, 0.5, -0.5]), leaf([[2.0, -1, 0.5], [1, 1, -2]], "W2")
        x, y = leaf([1.0, 0.5], "x"), np.array([1.0, 0.0])
        z = W1 @ x + b1
        a = tn.relu(z)
        o = W2 @ a
        L = tn.mse(o, y)
        p = paths(L, x, at=0)
        assert (p.count, p.live_count) == (6, 4)
        assert p.gradient == 3.0
        assert sorted(c for c in contributions(p) if c) == [-1.0, 0.25, 1.25, 2.5]
        assert p.element_flow[z].tolist() == [1.5, 1.5, 0.0]
        into_hidden = {(e.source.at, e.target.at): v for e, v in _sent_back(paths(L, z, at=0)).items()}
        assert into_hidden == {((0,), (0,)): -1.0, ((0,), (1,)): 2.5}
        assert contributions(paths(L, z, at=1)) == [0.5, 2.5]
        assert contributions(paths(L, a, at=2)) == [-0.25, -5.0]
        assert paths(L, z, at=2).live_count == 0
        assert paths(L, o).gradient.tolist() == [-0.5, 2.5]
        assert paths(L, W1).gradient[0].tolist() == [1.5, 0.75]


def _sent_back(p):
    """What each edge into the output layer sends back."""
    return {edge: flow for edge, flow in p.flow.items() if edge.op.name == "matmul"}


# --- random graphs against listing every path ---------------------------------------------------------------------------------

# op name -> local derivatives by each argument, from the values of the arguments: not taken from the tables
SLOPES = {
    "add": lambda a, b: (1.0, 1.0),
    "subtract": lambda a, b: (1.0, -1.0),
    "multiply": lambda a, b: (b, a),
    "sin": lambda a: (math.cos(a),),
    "tanh": lambda a: (1 / math.cosh(a) ** 2,),
    "relu": lambda a: (float(a > 0),),
    "square": lambda a: (2 * a,),
    "negative": lambda a: (-1.0,),
}


def random_dag(rng):
    """A number computed from t by up to 40 operations, with parallel edges, constants, zero and negative factors."""
    while True:
        t = leaf(float(rng.normal()), "t")
        nodes = [t, leaf(float(rng.normal()))]
        for _ in range(int(rng.integers(3, 39))):
            kind = rng.choice(list(SLOPES))
            a, b = (nodes[-1 - min(int(rng.exponential(3)), len(nodes) - 1)] for _ in range(2))
            if kind in ("add", "subtract", "multiply"):
                other = [b, a, float(rng.choice([0.0, -1.0, 0.7]))][rng.choice(3, p=[0.6, 0.25, 0.15])]
                nodes.append(getattr(tn, kind)(a, other))
            else:
                nodes.append(getattr(tn, kind)(a))
        z = nodes[-1]
        if abs(z.item()) < 1e6 and paths(z, t).count <= 20_000:
            return z, t


def every_path(z, t):
    """All paths from t to z as (edges, product), by recursion."""
    found = []

    def back(node, edges, product):
        if node is t:
            found.append((tuple(reversed(edges)), product))
            return
        if node.op is None:
            return
        values = [x.item() if isinstance(x, tn.Tensor) else float(x) for x in node.inputs]
        for slot, slope in enumerate(SLOPES[node.op.name](*values)):
            if isinstance(node.inputs[slot], tn.Tensor):
                back(node.inputs[slot], [*edges, Edge(node.inputs[slot], node, slot)], product * slope)

    back(z, [], 1.0)
    return found


@pytest.mark.parametrize("seed", range(100))
def test_random_graphs_equal_listing_every_path(seed):
    rng = np.random.default_rng(seed)
    z, t = random_dag(rng)
    p, listed = paths(z, t, limit=20_000), every_path(z, t)
    products = [product for _, product in listed]
    mass = math.fsum(map(abs, products))
    close = {"rel": 1e-9, "abs": 1e-11 * mass}
    assert p.count == len(listed)
    assert p.live_count == sum(product != 0 for product in products)
    assert p.gradient == pytest.approx(math.fsum(products), **close)
    assert p.gradient == pytest.approx(tn.gradients(z, t)[0].item(), **close)
    assert p.mass == pytest.approx(mass, rel=1e-9)
    if mass:
        assert p.cancellation == pytest.approx(1 - abs(math.fsum(products)) / mass, abs=1e-9)

    assert {path.edges: path.contribution for path in p} == pytest.approx(dict(listed), rel=1e-9)
    assert [path.edges for path in p] == [edges for edges, _ in listed]

    largest = sorted(map(abs, products), reverse=True)[:10]
    top = p.top(10)
    assert [abs(path.contribution) for path in top] == pytest.approx(largest, rel=1e-9)
    assert len({path.edges for path in top}) == len(top)
    assert all(dict(listed)[path.edges] == pytest.approx(path.contribution, rel=1e-9) for path in top)

    flow = dict.fromkeys(p.edges, 0.0)
    counts = dict.fromkeys(p.edges, 0)
    lengths, tanhs = {}, {}
    for edges, product in listed:
        lengths.setdefault(len(edges), []).append(product)
        tanhs.setdefault(sum(edge.op.name == "tanh" for edge in edges), []).append(product)
        for edge in edges:
            flow[edge] += product
            counts[edge] += 1
    assert p.flow == {edge: pytest.approx(value, **close) for edge, value in flow.items()}
    assert p.edge_counts == counts
    for groups, expected in ((p.by_length(), lengths), (p.by_kind("tanh"), tanhs)):
        assert list(groups) == sorted(expected)
        assert groups == {n: Group(len(some), pytest.approx(math.fsum(some), **close)) for n, some in expected.items()}
    for n, some in lengths.items():
        assert p.of_length(n).count == len(some)
        assert p.of_length(n).gradient == pytest.approx(math.fsum(some), **close)
    node = p.nodes[rng.integers(len(p.nodes))] if p.nodes else t
    some = [(edges, product) for edges, product in listed if any(n is node for n in (t, *(e.target for e in edges)))]
    q = p.through(node)
    assert [path.edges for path in q] == [edges for edges, _ in some]
    assert q.gradient == pytest.approx(math.fsum(product for _, product in some), **close)
    assert p.node_flow.get(node, 0.0) == pytest.approx(q.gradient, **close)
    assert p.node_counts.get(node, 0) == q.count
    assert p.cost.enumeration == sum(max(0, len(edges) - 1) for edges, _ in listed)
