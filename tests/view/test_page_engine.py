"""The engine of the living page against NumPy and `tinygrad_nn.chain`, in a real browser."""

import functools
import math
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import random_programs

import tinygrad_nn as tn
from tinygrad_nn.chain import Descent
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.rule_trees import as_numbers, forward_tree, is_basic, plain_params, rule_tree
from tinygrad_nn.samples import corner_samples_of, samples_of
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.renderers.as_json import as_plain
from tinygrad_nn.view.scenes.living import program_of
from tinygrad_nn.view.scenes.operations import Ids

PAGE, HERE = Path(tn.__file__).parent / "view" / "page", Path(__file__).parent
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ENTRIES = sorted(
    (op for op in BY_NAME.values() if isinstance(op, Op) and op.__module__.startswith("tinygrad_nn.ops")),
    key=lambda op: op.name,
)
# What the page does not carry out again: nothing may be added but decompositions of matrices.
NOT_LIVE = {
    "_eigh", "_svd", "_qr", "_pinv", "_complement",
    "_distinct", "_not_zero", "_full_rank", "_determined", "_settled",
}  # fmt: skip

pytestmark = [pytest.mark.browser, pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")]


@pytest.fixture(scope="module")
def ask(chromium):
    """Calls a function of engine_probes.mjs in the browser."""
    page = chromium.new_page()

    def serve(route):
        name = route.request.url.rpartition("/")[2]
        if not name:
            route.fulfill(body="<!doctype html><title>engine</title>", content_type="text/html")
        else:
            folder = HERE if name == "engine_probes.mjs" else PAGE
            route.fulfill(body=(folder / name).read_text("utf-8"), content_type="text/javascript")

    page.route("**/*", serve)
    page.goto("http://page.test/")
    probes = "(await import('./engine_probes.mjs'))[name]"
    call = f"async ([name, args]) => {probes}(...args)"
    each = f"async ([name, [cases]]) => cases.map({probes})"
    yield lambda name, *args: page.evaluate(each if isinstance(args[0], list) else call, [name, args])
    page.close()


def close(found, expected):
    """How far numbers are apart, relative to the scale of what was expected."""
    found, expected = np.asarray(found, float).ravel(), np.asarray(expected, float).ravel()
    if found.shape != expected.shape:
        return math.inf
    with np.errstate(all="ignore"):
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        finite = np.abs(expected[np.isfinite(expected)])
        error = np.abs(found - expected) / np.max(finite, initial=1e-300)
    return float(np.max(np.where(same, 0.0, np.where(np.isnan(error), math.inf, error)), initial=0.0))


def program(z):
    return as_plain(program_of(ComputationGraph(z)))


def number(value=0.5, name="t", dtype=np.float64):
    return tn.tensor(value, requires_grad=True, name=name, dtype=dtype)


# --- operations and rules --------------------------------------------------------------------------------------------


@functools.cache
def cases():
    """Of every sample of every live entry: the call for the page, and what NumPy makes of it and of a gradient."""
    found = []
    for op in ENTRIES:
        for given, params in samples_of(op) if not op.docs.not_live else ():
            args = [np.asarray(op.checks.prepare(a) if op.checks.prepare else a) for a in given]
            y = np.asarray(op.compute(args, params))
            g = np.random.default_rng(1).normal(size=y.shape)
            slots = list(filter(op.differentiable, range(len(args))))
            tree = forward_tree(op, args, params)
            with np.errstate(all="ignore"):
                parts = [op.vjps[slot](g, y, *args, **params) for slot in slots]
            case = {
                "op": op.name,
                "params": plain_params(params),
                "dtype": str(y.dtype),
                "args": [as_plain(as_numbers(a)) for a in args],
                "forward": None if is_basic(tree, op) else as_plain(tree),
                "y": as_plain(as_numbers(y)),
                "g": as_plain(as_numbers(g)),
                "rules": [as_plain(rule_tree(op, slot, y, args, params)) for slot in slots],
            }
            found.append((op, case, y, parts))
    return found


def agreement(ask, calls):
    """What the page makes of calls (op, arguments, parameters): the names of operations that NumPy disagrees with."""
    given, values = [], []
    for op, args, params in calls:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                values.append(np.asarray(op.compute(args, params)))
                tree = forward_tree(op, args, params)
        except (ValueError, IndexError, TypeError):
            del values[len(given) :]  # not a valid call
            continue
        if any(BY_NAME[step.op].lowered is not None for step in tree.code):
            del values[len(given) :]  # emptied by force, to shapes that no windows have
            continue
        numbers = [as_plain(as_numbers(a)) for a in (*args, values[-1])]
        forward = None if is_basic(tree, op) else as_plain(tree)
        call = {"op": op.name, "params": plain_params(params), "dtype": str(values[-1].dtype), "args": numbers[:-1]}
        given.append({**call, "forward": forward, "y": numbers[-1], "g": numbers[-1], "rules": []})
    wrong = {}
    for call, y, found in zip(given, values, ask("carriedOut", given), strict=True):
        fits = "value" in found and tuple(found["shape"]) == y.shape and close(found["value"], y) < 1e-12
        if not fits:
            wrong.setdefault(call["op"], (call["params"], [a.get("shape") for a in call["args"]], found, y))
    return len(given), wrong


def test_empty_arrays_single_numbers_and_every_form_of_axis(ask):
    calls = []
    for op in ENTRIES:
        for args, params in corner_samples_of(op) if not op.docs.not_live else ():
            if op.aligned and params.get("axis", 0) is None:
                continue  # joined arrays are made vectors before they are recorded
            if op.name == "einsum" and args[0].size == 0:
                continue  # of an empty diagonal NumPy reads memory that nobody wrote
            calls.append((op, [np.asarray(op.checks.prepare(a) if op.checks.prepare else a) for a in args], params))
    n, wrong = agreement(ask, calls)
    print(n, "calls")
    assert wrong == {}


MASK = np.arange(12).reshape(3, 4) % 3 == 0
INDICES = [
    0, -1, (1, -2, 1), slice(1, None), slice(None, None, -1), slice(-2, 9), slice(5, 0, -2), (Ellipsis, 0), (0, ...),
    (slice(None), None, 1), (None, ..., None), np.array([0, 2, 0]), np.array([[0, 1], [2, 2]]), MASK, MASK[:, 0], (),
    (MASK, 1), (0, np.array([True, False, True, True])), (slice(None), np.array([0, 3])), (np.array([0]), 1),
    (np.array([0, 2]), np.array([1, -1])), (np.array([0, 2]), slice(None), np.array([1, 0])), np.zeros(0, int),
    (slice(None), np.array([0, 2]), np.array([1, 0])), (0, slice(None), np.array([1, 0])), (slice(3, 1), 0),
    (np.array([[0], [2]]), np.array([1, 3])), (None, np.array([1, 0]), 2),
]  # fmt: skip


def test_every_form_of_index(ask):
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    getitem, putitem, update = BY_NAME["getitem"], BY_NAME["_putitem"], BY_NAME["index_update"]
    calls = [(getitem, [x], {"index": i}) for i in INDICES]
    calls += [(putitem, [x[i]], {"shape": x.shape, "index": i}) for i in INDICES]
    calls += [(update, [x, np.float64(7.0)], {"index": i}) for i in INDICES]
    assert agreement(ask, calls) == (3 * len(INDICES), {})


def test_every_entry_is_live_or_says_why_not():
    assert {op.name for op in ENTRIES if op.docs.not_live} == NOT_LIVE
    assert {op.name for op, *_ in cases()} == {op.name for op in ENTRIES} - NOT_LIVE


def test_every_operation_and_every_rule_agrees_with_numpy(ask):
    wrong, worst, rules = {}, 0.0, 0
    results = ask("carriedOut", [case for _, case, _, _ in cases()])
    for (op, _, y, parts), found in zip(cases(), results, strict=True):
        if "error" in found or tuple(found["shape"]) != y.shape:
            wrong[op.name] = found.get("error", found.get("shape"))
            continue
        error = max(close(found["value"], y), *map(close, found["parts"], parts), 0.0)
        worst, rules = max(worst, error), rules + len(parts)
        if error > 1e-12:
            wrong[op.name] = error
    print(
        f"{len(results)} samples of {len(ENTRIES) - len(NOT_LIVE)} operations, {rules} rules, worst error {worst:.1e}"
    )
    assert wrong == {}


# --- random programs -------------------------------------------------------------------------------------------------

PROGRAMS, LISTED = 100, 60
ZERO_BY_ROUNDING = {27}  # BCE(a, sigmoid(a)): a derivative that is 0, or 1e-17, as exp is rounded


class Recorded:
    """A random program, recorded: its graph, the program of the page, and its inputs at this point and near it."""

    def __init__(self, seed, dtype=np.float64):
        self.seed = seed
        self.function, arrays = random_programs.program(seed)
        self.inputs = [tn.tensor(x.astype(dtype), requires_grad=True) for x in arrays]
        self.z = self.function(tn, *self.inputs)
        self.graph = ComputationGraph(self.z)
        self.program = program_of(self.graph)
        ids = Ids(self.graph)
        self.node, self.arrow = ids.nodes, ids.arrows
        self.used = [x for x in self.inputs if x.index in self.node and x.index in self.graph.gradient]
        self.works = self.z.tracked and bool(self.used) and not self.program.reason
        rng = np.random.default_rng(seed)
        self.near = [x.value + 1e-3 * rng.normal(size=x.shape) for x in self.inputs]

    @property
    def given(self):
        near = zip(self.inputs, self.near, strict=True)
        return {
            "program": as_plain(self.program),
            "ids": [self.node[x.index] for x in self.used],
            "near": [[self.node[x.index], np.ravel(new).tolist()] for x, new in near if x.index in self.node],
            "limit": LISTED,
        }

    def moved(self):
        """Value and gradients at the other point, as Python finds them."""
        inputs = [tn.tensor(x, requires_grad=True) for x in self.near]
        z = self.function(tn, *inputs)
        used = {x.index for x in self.used}
        kept = [new for old, new in zip(self.inputs, inputs, strict=True) if old.index in used]
        return z.item(), tn.gradients(z, kept)


@functools.cache
def recorded():
    return [r for r in map(Recorded, range(2 * PROGRAMS)) if r.works][:PROGRAMS]


def test_random_programs_agree_in_values_gradients_products_flows_and_counts(ask):
    programs = recorded()
    assert len(programs) == PROGRAMS
    worst = dict.fromkeys(("recorded", "moved", "paths"), 0.0)
    for r, found in zip(programs, ask("evaluated", [r.given for r in programs]), strict=True):
        assert found["ok"], (r.seed, found)
        value, gradients = r.moved()
        worst["recorded"] = max(worst["recorded"], found["worst"])
        worst["moved"] = max(worst["moved"], close(found["value"], value), *map(close, found["gradients"], gradients))
        for x, paths in zip(r.used, found["paths"], strict=True):
            worst["paths"] = max(worst["paths"], path_errors(r, x, paths))
    print(worst)
    assert max(worst.values()) < 1e-10


def path_errors(r, x, found):
    """Counts are equal; the largest error of all numbers."""
    p = tn.paths(r.z, x, limit=LISTED)
    edge = {r.arrow[edge.target.index, edge.slot]: edge for edge in p.edges}
    assert found["count"] == str(p.count)
    assert found["cost"] == [str(p.cost.enumeration), p.cost.backpropagation]
    assert found["liveCount"] == str(p.live_count) or r.seed in ZERO_BY_ROUNDING
    assert {edge[i]: int(n) for i, n in found["counts"]} == p.edge_counts
    scale = np.ravel(p.gradient).tolist()

    def near(found, expected, scale=scale):
        return close([*found, *scale], [*np.ravel(expected), *scale])

    flows = {r.node[node.index]: flow for node, flow in p.node_flow.items()}
    errors = [close(found["gradient"], p.gradient), close(found["summary"], [p.mass, p.cancellation, p.coverage(2)])]
    errors += [near(flow, p.flow[edge[i]]) for i, flow in found["flow"]]
    errors += [near(flow, flows[i]) for i, flow in found["nodeFlow"]]
    if np.any(p.gradient):
        errors += [near(share, p.edge_shares[edge[i]], [1.0]) for i, share in found["shares"]]
    if found["listed"] is not None:
        for path, (edges, product, share, live) in zip(list(p), found["listed"], strict=True):
            assert [edge[i] for i in edges] == list(path.edges)
            assert live == path.live or r.seed in ZERO_BY_ROUNDING
            errors += [near(product, path.contribution), near([share], path.share, [1.0])]
    if found["top"] is not None:
        errors.append(close(np.abs(found["top"]), [abs(path.contribution) for path in p.top(3)]))
    return max(errors)


def descents(ask, roots):
    """The flow of ‖∇z‖² in the page and in Python, and how far they are apart, for each root; None for neither."""
    graphs = [ComputationGraph(z) for z in roots]
    for graph, found in zip(graphs, ask("descending", [as_plain(program_of(g)) for g in graphs]), strict=True):
        expected = Descent(graph.root, graph.gradient)
        try:
            flow, ids = expected.flow, Ids(graph)
            known = bool(np.isfinite([expected.total, *flow.values()]).all())
        except NotImplementedError:
            known = False
        assert (found is not None) is known, graph.root.op
        if known:
            arrows = {ids.arrows[edge.target.index, edge.slot]: value for edge, value in flow.items()}
            inputs = {ids.nodes[x.index]: value for x, value in expected.by_input.items()}
            given = dict(found["flow"]), dict(found["byInput"])
            assert [given[0].keys(), given[1].keys()] == [arrows.keys(), inputs.keys()]
            scale = [expected.total]
            both = zip((arrows, inputs), given, strict=True)
            errors = [close([found["total"]], scale)]
            errors += [close([*(b[k][0] for k in a), *scale], [*a.values(), *scale]) for a, b in both]
            yield max(errors)


def test_the_flow_from_all_inputs_is_that_of_python(ask):
    errors = list(descents(ask, [r.z for r in recorded()]))
    print(f"{len(errors)} programs, worst error {max(errors):.1e}")
    assert len(errors) > 0.8 * PROGRAMS
    assert max(errors) < 1e-9


@pytest.mark.filterwarnings("ignore")
def test_every_operation_with_forward_mode_carries_the_flow(ask):
    roots = []
    for op in ENTRIES:
        for given, params in samples_of(op)[:2] if not op.docs.not_live else ():
            args = [np.asarray(op.checks.prepare(a) if op.checks.prepare else a) for a in given]
            floats = [a.dtype == np.float64 and op.differentiable(i) for i, a in enumerate(args)]
            if any(floats):
                args = [
                    tn.tensor(a, requires_grad=True) if wanted else a for a, wanted in zip(args, floats, strict=True)
                ]
                y = op.apply([a * 1.0 if wanted else a for a, wanted in zip(args, floats, strict=True)], params)
                if y.dtype == np.float64:
                    roots.append((y * np.cos(np.arange(y.size)).reshape(y.shape)).sum())
    errors = list(descents(ask, roots))
    print(f"{len(errors)} of {len(roots)} calls, worst error {max(errors):.1e}")
    assert len(errors) > 0.9 * len(roots)
    assert max(errors) < 1e-9


def test_paths_between_single_elements_agree(ask):
    cases = []
    for r in recorded():
        x = max(r.used, key=lambda x: x.size)
        few = sum(node.value.size for node in r.graph.nodes) < 400
        # of these it depends on which generic numbers are taken, where their Jacobian is 0
        chance = {"cummax", "cummin"} & {node.op.name for node in r.graph.nodes if node.op is not None}
        if few and x.size > 1 and not chance and r.seed not in ZERO_BY_ROUNDING:
            cases.append((r, x, x.size // 2))
    assert len(cases) > 30
    given = [{"program": as_plain(r.program), "id": r.node[x.index], "element": at} for r, x, at in cases]
    worst = 0.0
    for (r, x, at), found in zip(cases, ask("betweenElements", given), strict=True):
        p = tn.paths(r.z, x, at=np.unravel_index(at, x.shape), limit=50)
        assert [found["count"], found["liveCount"]] == [str(p.count), str(p.live_count)], r.seed
        assert sorted(map(int, found["counts"])) == sorted(p.edge_counts.values())
        scale = [p.gradient, p.mass]
        pairs = [
            ([*found["summary"], 1.0], [*scale, p.cancellation, 1.0]),
            ([*sorted(found["flow"]), *scale], [*sorted(p.flow.values()), *scale]),
            (np.abs(found["top"]), [abs(path.contribution) for path in p.top(3)]),
        ]
        if p.count <= 50:
            pairs.append(([*sorted(found["listed"]), *scale], [*sorted(path.contribution for path in p), *scale]))
        worst = max(worst, *(close(*pair) for pair in pairs))
    print(f"{len(cases)} programs, worst error {worst:.1e}")
    assert worst < 1e-10


# --- single precision, exact zeros, faults, what is not live ---------------------------------------------------------


def test_single_precision_is_rounded_as_numpy_rounds_it(ask):
    programs = [r for r in (Recorded(seed, np.float32) for seed in range(60)) if r.works]
    assert sum("float32" in {node.dtype for node in r.program.nodes if node.op} for r in programs) > 30
    found = ask("evaluated", [{**r.given, "ids": [], "near": []} for r in programs])
    assert [r.seed for r, f in zip(programs, found, strict=True) if not f["ok"]] == []
    print(max(f["worst"] for f in found))
    x = number([0.1, 0.7, -1.3], dtype=np.float32)
    value = ask(
        "evaluated", {"program": program((tn.tanh(x * 2.5) / 3.0)[1]), "ids": [], "near": [["n1", [0.1, 0.4, 0]]]}
    )
    again = (tn.tanh(np.float32([0.1, 0.4, 0]) * 2.5) / 3.0)[1]
    assert value["value"] == pytest.approx(again, rel=1.2e-7)
    assert np.float32(value["value"]) == value["value"]


ROOT = np.array([1.0, 0.0])
BEHIND_A_CHOICE = {
    "where": lambda x: tn.where(np.array([True, False]), x, tn.log(x)).sum(),
    "a product": lambda x: (tn.where(np.array([True, False]), x, 0.0) * tn.sqrt(x * ROOT)).sum(),
    "maximum": lambda x: tn.maximum(tn.sqrt(x * ROOT), np.array([0.5, 1.0])).sum(),
    "indexing": lambda x: tn.sqrt(x * ROOT)[0] * 2.0,
    "a matrix product": lambda x: tn.relu(np.array([[1.0, -1.0], [-9.0, -9.0]]) @ tn.log(x - 2 * ROOT[::-1])).sum(),
    "an accident": lambda x: ((x - x.value) ** 2 * tn.sqrt(x * ROOT)).sum(),
    "a reduction": lambda x: tn.max(tn.sqrt(x * ROOT)),
}


@pytest.mark.parametrize("name", BEHIND_A_CHOICE)
@pytest.mark.filterwarnings("ignore")
def test_exact_zeros_block(ask, name):
    x = number([1.5, 2.0])
    z = BEHIND_A_CHOICE[name](x)
    found = ask("evaluated", {"program": program(z), "ids": ["n1"], "near": [], "limit": 10})
    np.testing.assert_allclose(found["gradients"][0], tn.gradients(z, x)[0], rtol=1e-12)


def test_a_wrong_number_is_found_and_the_page_stays_with_what_was_recorded(ask):
    given = program(tn.sin(tn.exp(number()) ** 2))
    given["nodes"][1]["value"] = [1.6487]
    found = ask("checked", given)
    assert (found["ok"], found["live"]) == (False, False)
    assert found["faults"][0] == ["n2", "the value"]
    assert found["reason"] == "the page computes the value of v₁ differently"
    assert found["refused"] == f"not live: {found['reason']}"


def test_what_is_not_live_shows_what_was_recorded(ask):
    x = number([[2.0, 1.0], [1.0, 2.0]])
    z = tn.sin(tn.svdvals(x)[0]) * 2.0
    found = ask("recordedOnly", program(z))
    assert found["live"] is False
    assert found["reason"].startswith("svd: ")
    np.testing.assert_allclose([found["value"], *found["gradient"]], [z.item(), *np.ravel(tn.gradients(z, x)[0])])
    assert (found["local"], found["path"]) == (2.0, [2.0, "1"])
    count, listed, gradient, flows, mass, factored = ask("counted", program(tn.svdvals(x * x + x).sum()))
    assert (count, [product for _, product in listed], flows) == ("3", [None] * 3, 0)
    assert math.isnan(mass)
    assert factored.count("∂") > 3
    np.testing.assert_allclose(gradient, np.ravel(tn.gradients(tn.svdvals(x * x + x).sum(), x)[0]))
    unknown = program(tn.sin(number()))
    unknown["nodes"][1]["op"] = "mystery"
    assert ask("checked", unknown)["reason"] == "the page does not know the operation mystery"


def test_only_what_depends_on_a_change_is_computed_again(ask):
    t, u = number(), number(2.0, "u")
    z = tn.exp(t) * tn.sin(u)
    found = ask("followed", program(z), "u")
    assert found["done"] == ["sin", "multiply"]
    np.testing.assert_allclose([*found["moved"], found["back"]], [math.exp(0.5) * math.sin(1)] * 2 + [z.item()])


def test_a_user_s_operation_is_carried_out(ask):
    cube = tn.op(lambda x: x * x * x, "{x}³", lambda g, y, x: g * (3 * x * x), name="cube_here", kind="elementwise")
    try:
        given = {"program": program(cube(number(2.0))), "ids": ["n1"], "near": [["n1", [3.0]]], "limit": 9}
    finally:
        del BY_NAME["cube_here"]
    found = ask("evaluated", given)
    assert (found["ok"], found["value"], found["gradients"]) == (True, 27.0, [[27.0]])


# --- texts, and time -------------------------------------------------------------------------------------------------

FACTORED = {
    "founding": lambda t: tn.sin(tn.exp(t) ** 2 + (t**2) ** 2),
    "sums of products": lambda t: (lambda y: 7 * y + 11 * y + 13 * y)(2 * t + 3 * t + 5 * t),
    "a sum within a sum": lambda t: t * t * (3 * t),
    "diamonds": lambda t: (lambda v: tn.sin(v) + tn.cos(v))(tn.sin(t) + tn.cos(t)),
    "crossing": lambda t: (lambda a, b: tn.sin(a * b) + a * b * a)(tn.exp(t), tn.cos(t)),
    "negative": lambda t: -(t * -3.0) - t,
    "nested": lambda t: tn.exp(t * t + tn.sin(t) * (t + 2 * t)) * t,
}


def test_factored_forms_are_those_of_python(ask):
    t = number()
    results = [make(t) for make in FACTORED.values()]
    found = ask("factored", [program(z) for z in results])
    assert found == [tn.chain.product_text(tn.paths(z, t).factored()) for z in results]


def test_numbers_are_written_as_in_pictures(ask):
    rng = np.random.default_rng(0)
    numbers = [*rng.normal(size=200), *(rng.normal(size=200) * 10.0 ** rng.integers(-12, 12, 200))]
    numbers += [0.0, -0.25, 36.0, 1e20, 999999.5, 1e6, 0.001, -1.5584e-4, 100.0, 12.5, 1e-300, 123456.0]
    numbers = [float(x) for x in (*numbers, math.inf, -math.inf, math.nan)]
    assert ask("formatNumber", numbers) == [tn.notation.format_number(x) for x in numbers]


def test_an_update_takes_less_than_a_frame(ask):
    v = number()
    for _ in range(20):
        v = tn.sin(v) + tn.cos(v)
    rng = np.random.default_rng(0)
    model = tn.nn.Sequential(tn.nn.Dense(64, 32, "relu", rng=0), tn.nn.Dense(32, 10, rng=1))
    loss = tn.cross_entropy(model(rng.normal(size=(64, 32))), np.arange(32) % 10)
    times = ask("timeOfAnUpdate", [program(v), program(loss)])
    print("milliseconds", times)
    assert times[0] < 16
    assert times[1] < 50
