"""The path algebra of numbers: against acceptance/chain_rule.md, and against listing every path of random graphs."""

import itertools
import math
import warnings

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.chain import Edge, Factor, PathGroup, PathsLeftOut, local_derivative, paths


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


# --- the numbers of acceptance/chain_rule.md -------------------------------------------------------


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


# --- random graphs against listing every path ------------------------------------------------------

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
        assert groups == {
            n: PathGroup(len(some), pytest.approx(math.fsum(some), **close)) for n, some in expected.items()
        }
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
    for cut in range(len(p.nodes) - 1):
        before = set(p.nodes[: cut + 1])
        crossing = [edge for edge in p.edges if edge.source in before and edge.target not in before]
        assert math.fsum(p.flow[edge] for edge in crossing) == pytest.approx(p.gradient, **close)
        assert sum(p.edge_counts[edge] for edge in crossing) == p.count
    factors = p.factored()
    assert math.prod(factor.count for factor in factors) == p.count or not p.count
    if p.count:
        assert math.prod(factor.value for factor in factors) == pytest.approx(p.gradient, **close)
        assert math.prod(map(by_terms, factors)) == pytest.approx(p.gradient, **close)


def by_terms(factor):
    """The value of a factor from its terms, all the way down."""
    if isinstance(factor, Edge):
        return local_derivative(factor).value
    return math.fsum(math.prod(map(by_terms, term)) for term in factor.terms)


# --- extremes --------------------------------------------------------------------------------------


def test_from_a_tensor_to_itself():
    t = leaf(2.0, "t")
    z = t * 3
    for tensor in (t, z):
        p = paths(tensor, tensor)
        (path,) = p
        assert (p.count, p.live_count, p.gradient, p.mass, p.cancellation) == (1, 1, 1.0, 1.0, 0.0)
        assert (path.nodes, path.edges, path.local_derivatives, path.contribution) == ((tensor,), (), (), 1.0)
        assert p.top(3)[0].edges == ()
        assert p.flow == {}
        assert p.node_flow == {tensor: 1.0}
        assert p.by_length() == {0: PathGroup(1, 1.0)}
        assert p.factored() == []
        assert p.cost == (0, 0)


def test_no_dependence():
    t, other = leaf(2.0), leaf([1.0, 2.0])
    p = paths(tn.sin(t), leaf(1.0))
    assert (p.count, p.live_count, p.gradient, p.mass, p.cancellation) == (0, 0, 0.0, 0.0, 0.0)
    assert list(p) == p.top(3) == list(p.nodes) == list(p.edges) == p.factored() == []
    assert p.flow == p.by_length() == p.adjoints == {}
    assert p.through(t).count == p.of_length(1).count == 0
    assert p.coverage(3) == 1.0
    assert paths(tn.sin(t), other).gradient.tolist() == [0.0, 0.0]
    assert paths(tn.sin(t), other, at=1).count == 0


def test_constants_and_arguments_without_a_derivative_are_no_edges():
    t = leaf(2.0)
    c = tn.tensor(3.0)
    p = paths(np.where(t > 1, c * t, 5.0) + c, t)
    assert p.count == 1
    assert [edge.op.name for edge in p.edges] == ["multiply", "where", "add"]
    with tn.no_grad():
        frozen = t * t
    assert paths(frozen * t, t).count == 1


def test_intermediate_results_may_be_t():
    t = leaf(2.0)
    x = t * t
    z = x * x + t
    p = paths(z, x)
    assert (p.count, p.gradient) == (2, 8.0)
    assert p.nodes[0] is x


def test_upstream_gradient_scales():
    t = leaf(2.0)
    z = t**2 * (3 * t)
    p = paths(z, t, gradient=-0.5)
    assert contributions(p) == [-12.0, -6.0]
    assert (p.gradient, p.mass, p.cancellation) == (-18.0, 18.0, 0.0)
    assert math.fsum(p.flow[edge] for edge in p.edges if edge.source is t) == -18.0
    assert [path.contribution for path in p.top(1)] == [-12.0]
    assert p.adjoints[z] == -0.5


def test_before_and_after_backward_and_no_grad_touched():
    t = leaf(0.5)
    z = tn.sin(tn.exp(t) ** 2)
    before = paths(z, t).gradient
    assert t.grad is None
    z.backward()
    z.backward()
    grad = t.grad.copy()
    p = paths(z, t)
    assert p.gradient == before == pytest.approx(grad.item() / 2)
    assert all((p.flow, p.top(3), p.mass))
    assert t.grad == grad
    assert z.grad is None


def test_a_value_changed_after_it_was_recorded():
    t = leaf(3.0, "t")
    z = t * t
    early = paths(z, t)
    assert early.gradient == 6.0
    late = paths(z, t)
    t.data = 5.0
    for ask in (
        lambda p: p.gradient,
        list,
        lambda p: p.top(1),
        lambda p: p.mass,
        lambda p: p.live_count,
        lambda p: p.flow,
    ):
        with pytest.raises(tn.MutationError, match="t of shape"):
            ask(paths(z, t))
    with pytest.raises(tn.MutationError):
        late.gradient  # noqa: B018
    assert paths(z, t).count == 2, "what needs no values still answers"
    assert early.flow[early.edges[0]] == 3.0, "what was computed in time stays right"


def test_a_zero_blocks_even_an_infinity():
    t = leaf(0.0, "t")
    p = paths(np.where(t > 0, np.sqrt(t), 2 * t), t)
    assert (p.count, p.live_count) == (2, 1)
    assert contributions(p) == [0.0, 2.0]
    assert (p.gradient, p.mass) == (2.0, 2.0)
    assert [path.live for path in p] == [False, True]
    assert set(p.flow.values()) == {0.0, 2.0}
    assert [path.contribution for path in p.top(2)] == [2.0, 0.0]
    q = paths(0.0 * np.sqrt(t), t)
    assert (q.live_count, q.gradient) == (0, 0.0)


def test_infinities_and_nan_on_live_paths_come_through():
    t = leaf(0.0)
    p = paths(np.sqrt(t) + 3 * t, t)
    assert p.gradient == p.mass == math.inf
    assert [path.contribution for path in p.top(2)] == [math.inf, 3.0]
    p = paths(np.sqrt(t) - np.sqrt(t) + t, t)
    assert math.isnan(p.gradient)
    assert math.isnan(p.cancellation)
    x = leaf(math.nan)
    p = paths(x * x + 2 * x, x)
    assert math.isnan(p.gradient)
    assert [path.contribution for path in p.top(3)][2] == 2.0
    # 5 √0 − 5 √0: the slope that cancels to 0 is not a zero on a path
    y = np.sqrt(t)
    p = paths(5 * y - 5 * y, t)
    assert p.live_count == 2
    assert math.isnan(p.gradient)


def test_masses_beyond_the_range_of_floats():
    t = leaf(0.0)
    v = t
    for _ in range(2000):
        v = v + v
    p = paths(v, t)
    assert p.mass == p.gradient == math.inf
    assert p.log_mass == pytest.approx(2000 * math.log(2))
    assert (p.cancellation, p.coverage(2**3)) == (0.0, pytest.approx(2.0**-1000 * 2.0**-997))
    assert [path.contribution for path in p.top(2)] == [1.0, 1.0]
    v = t
    for _ in range(2000):
        v = 0.05 * v - 0.025 * v
    p = paths(v, t)
    assert p.gradient == p.mass == 0.0
    assert p.log_mass == pytest.approx(2000 * math.log(0.075))
    assert p.cancellation == 1.0
    assert p.edge_shares[p.edges[0]] == pytest.approx(2.0)


def test_underflow_on_the_way_is_harmless():
    t = leaf(1.0)
    v = t
    for factor in [1e-200] * 5 + [1e200] * 5:
        v = factor * v
    p = paths(v, t)
    assert p.gradient == pytest.approx(1.0)
    assert next(iter(p)).contribution == pytest.approx(1.0)
    assert p.flow[p.edges[5]] == pytest.approx(1.0)


def test_a_long_chain_needs_no_recursion():
    t = leaf(1.0)
    v = t
    for _ in range(5000):
        v = v + 1.0
    p = paths(v, t)
    assert (p.count, p.gradient, p.mass) == (1, 1.0, 1.0)
    assert len(p.top(1)[0]) == len(next(iter(p))) == 5000
    assert len(p.factored()) == 1
    assert p.through(p.nodes[2500]).of_length(5000).count == 1


def test_deep_nesting_needs_no_recursion():
    t = leaf(0.5)
    z = t
    for _ in range(300):
        z = t + 0.5 * tn.sin(z)
    p = paths(z, t)
    (factor,) = p.factored()
    assert factor.value == pytest.approx(p.gradient)
    assert "paths)" in str(factor)


# --- single parts ----------------------------------------------------------------------------------


def test_listing_stops_at_the_limit_and_says_so():
    t = leaf(0.3)
    p = paths(diamonds(20, t), t, limit=10)
    assert p.left_out == 2**20 - 10
    with pytest.warns(PathsLeftOut, match="10 of 1048576 paths were listed and 1048566 left out"):
        assert len(list(p)) == 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(itertools.islice(p, 5))) == 5
        q = paths(diamonds(3, t), t, limit=8)
        assert len(list(q)) == 8
    assert q.left_out == 0
    assert len(p.top(30)) == 30, "the largest are not limited"


def test_top_when_asked_for_more_or_less_than_there_is():
    t = leaf(2.0)
    p = paths(t**2 * (3 * t), t)
    assert [path.contribution for path in p.top(99)] == [24.0, 12.0]
    assert p.top(0) == []
    assert p.coverage(0) == 0.0
    assert p.coverage(1) == pytest.approx(24 / 36)
    assert p.coverage(2) == 1.0


def test_path():
    t = leaf(0.5, "t")
    x, y = tn.exp(t).named("x"), (t**2).named("y")
    z = (x * y).named("z")
    first, second = paths(z, t)
    assert first.nodes == (t, x, z)
    assert [edge.slot for edge in first.edges] == [0, 0]
    assert [edge.slot for edge in second.edges] == [0, 1]
    assert first.local_derivatives == pytest.approx((math.exp(0.5), 0.25))
    assert math.prod(first.local_derivatives) == pytest.approx(first.contribution)
    assert first.share + second.share == pytest.approx(1)
    assert repr(first) == "<path t → x → z: 0.41218>"
    assert repr(first.edges[1]) == "<edge x → z, slot 0>"
    assert repr(paths(z, t)) == "<sum over 2 paths from t to z>"
    assert repr(paths(diamonds(200, t), t)).startswith("<sum over about 2^200 paths from t to ")


def test_edges_are_ordered_and_hashable():
    a = leaf(1.0, "a")
    b = a + a
    c = b * a
    edges = paths(c, a).edges
    assert list(edges) == sorted(edges) == [Edge(a, b, 0), Edge(a, b, 1), Edge(b, c, 0), Edge(a, c, 1)]
    assert len({*edges, Edge(a, b, 0)}) == 4
    assert Edge(a, b, 0) != Edge(a, b, 1)
    assert Edge(a, b, 0) != "a"


def test_filters_combine():
    t = leaf(0.3, "t")
    z = residual(10, t)
    p = paths(z, t)
    middle = [node for node in p.nodes if node.op is not None and node.op.name == "tanh"][4].named("h")
    q = p.through("h")
    assert q.count == 2**9
    assert q.gradient == pytest.approx(p.flow[Edge(middle.inputs[0], middle, 0)])
    assert p.through(middle).count + (p.count - q.count) == p.count
    length = 10 + 2 * 3  # a branch has two edges more
    assert p.of_length(length).count == math.comb(10, 3)
    assert q.of_length(length).count == p.of_length(length).through(middle).count == math.comb(9, 2)
    assert q.of_length(length).by_kind("tanh") == {3: PathGroup(36, pytest.approx(q.of_length(length).gradient))}
    edge = Edge(middle.inputs[0], middle, 0)
    assert p.through(edge).count == q.count
    assert p.through(t).count == p.through(z).count == p.count
    both = p.through("h", [n for n in p.nodes if n.op is not None and n.op.name == "tanh"][5])
    assert both.count == 2**9 + 2**8
    assert p.of_length(3).count == 0
    with pytest.raises(ValueError, match=r"no node on these paths is called 'k'; there are .*h"):
        p.through("k")


def test_by_kind_takes_names_operations_and_functions():
    t = leaf(0.3)
    p = paths(residual(4, t), t)
    by_name = p.by_kind("tanh")
    assert p.by_kind(tn.tanh) == by_name
    assert p.by_kind(lambda edge: edge.op is tn.tanh) == by_name
    assert {n - 4: g for n, g in p.by_length().items()} == {2 * n: g for n, g in by_name.items()}
    assert p.by_kind("no such") == {0: PathGroup(16, pytest.approx(p.gradient))}


def test_flow_counts_and_adjoints_of_nodes():
    a, b = leaf(2.0, "a"), leaf(1.0, "b")
    c, d = a + b, b + 1
    e = c * d
    p = paths(e, b)
    assert p.node_flow == {b: 5.0, c: 2.0, d: 3.0, e: 5.0}
    assert p.node_counts == {b: 2, c: 1, d: 1, e: 2}
    assert p.adjoints == {b: 5.0, c: 2.0, d: 3.0, e: 1.0}
    assert set(p.edge_shares.values()) == {0.4, 0.6}


def test_cost():
    x = leaf(1.0)
    y = 2 * x + 3 * x
    p = paths(5 * y + 7 * y, x)
    assert p.cost == (4 * 3, 6)
    assert paths(diamonds(1000, leaf(0.3)), leaf(0.3)).cost == (0, 0)
    t = leaf(0.3)
    q = paths(diamonds(1000, t), t)
    assert q.cost == (2**1000 * 1999, 3998)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda t: 7 * (2 * t + 3 * t + 5 * t) + 11 * (2 * t), "((2 + 3 + 5)·7 + 2·11)"),
        (lambda t: tn.exp(t * 0.0) * 3, "0·3"),
        (lambda t: -(t + t), "(1 + 1) −1"),
        (lambda t: t * 1.0, "1"),
        (lambda t: (2 * t - 3 * t) * 2, "(2 + 3·(−1)) 2"),
        (lambda t: (-2 * t + -3 * t) * 2 + t, "((−2 − 3)·2 + 1)"),
    ],
)
def test_factored_text(make, text):
    t = leaf(1.0)
    assert " ".join(map(str, paths(make(t), t).factored())) == text


def test_factors_of_ways_that_cross():
    t = leaf(1.0)
    a, b = 2 * t, 3 * t
    c, d = 5 * a + 7 * b, 11 * a + 13 * b
    p = paths(c + d, t)
    (factor,) = p.factored()
    assert sorted(factor.products) == [2 * 5, 3 * 7, 2 * 11, 3 * 13] or sum(factor.products) == p.gradient
    assert factor.count == 4
    (unlisted,) = paths(c + d, t, limit=3).factored()
    assert (unlisted.terms, unlisted.value, str(unlisted)) == ([], p.gradient, "(4 paths)")


def test_sizes_one_are_numbers_in_the_shape_of_t():
    t = leaf([[2.0]])
    p = paths(np.sum(t * t), t)
    assert p.gradient.tolist() == [[4.0]]
    assert [path.contribution.tolist() for path in p] == [[[2.0]], [[2.0]]]
    assert p.mass == 4.0
    assert p.count == 2


def test_float32():
    t = tn.tensor(0.3, requires_grad=True, dtype=np.float32)
    z = diamonds(3, t)
    assert paths(z, t).gradient == pytest.approx(tn.gradients(z, t)[0].item(), rel=1e-6)


def test_local_derivatives_of_numbers():
    t = leaf(0.5, "t")
    x = tn.exp(t).named("x")
    u = (x**2).named("u")
    s = (u + 1).named("s")
    z = tn.sin(s).named("z")
    texts = [str(local_derivative(edge)) for edge in paths(z, t).edges]
    assert texts == ["exp(t) = 1.6487", "2x = 3.2974", "1", "cos(s) = −0.8383"]
    assert [local_derivative(edge).shape for edge in paths(z, t).edges] == [(1, 1)] * 4
    names = {t: "α", x: "β", u: "γ", s: "δ", z: "ε"}
    assert local_derivative(paths(z, x).edges[0], names.get).formula == "2β"


def test_errors():
    t, c = leaf([1.0, 2.0], "t"), tn.tensor(1.0, name="c")
    with pytest.raises(ValueError, match=r"has shape \(2,\), and only a single number .*gradient="):
        paths(t * 2, t)
    with pytest.raises(ValueError, match=r"c of shape .* does not require a gradient, so no paths start there"):
        paths(np.sum(t) * c, c)
    with pytest.raises(ValueError, match="was not computed from a tensor that requires a gradient"):
        paths(c * 2, t)
    with pytest.raises(ValueError, match=r"at=slice.* must be the index of one element of t of shape \(2,\)"):
        paths(np.sum(t), t, at=slice(None))
    with pytest.raises(ValueError, match="take one element of it"):
        paths(t * 2, t, gradient=[1.0, 1.0], at=0)


def test_exported():
    assert tn.paths is paths
    assert isinstance(paths(leaf(1.0) * 2, leaf(1.0)).factored(), list)
    assert Factor.__doc__


def test_local_derivatives_put_results_without_a_name_in_brackets():
    u, v = leaf(1.0, "u"), leaf(2.0, "v")
    texts = [str(local_derivative(edge)) for edge in paths(tn.square(tn.exp(u + v) - v), u).edges]
    assert texts == ["1", "exp(u + v) = 20.086", "1", "2·(· − v) = 36.171"]
