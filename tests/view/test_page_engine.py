"""The engine of the living page against NumPy and `tinygrad_nn.chain`, in a real browser."""

import functools
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import random_programs

import tinygrad_nn as tn
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.rule_trees import as_numbers, forward_tree, is_basic, plain_params, rule_tree
from tinygrad_nn.samples import samples_of
from tinygrad_nn.view.graph.computation import ComputationGraph
from tinygrad_nn.view.renderers.as_json import as_plain
from tinygrad_nn.view.scenes.living import program_of
from tinygrad_nn.view.scenes.operations import Ids as program_ids

PAGE = Path(tn.__file__).parent / "view" / "page"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ENTRIES = sorted((op for op in BY_NAME.values() if isinstance(op, Op)), key=lambda op: op.name)
# What the page does not carry out again: nothing may be added but decompositions of matrices.
NOT_LIVE = {
    "_eigh",
    "_svd",
    "_qr",
    "_pinv",
    "_complement",
    "_distinct",
    "_not_zero",
    "_full_rank",
    "_determined",
    "_settled",
}

pytestmark = [pytest.mark.browser, pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")]


@pytest.fixture(scope="module")
def page():
    api = pytest.importorskip("playwright.sync_api")
    types = {".mjs": "text/javascript", "": "text/html"}
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()

        def serve(route):
            file = PAGE / route.request.url.rpartition("/")[2]
            body = file.read_text("utf-8") if file.suffix == ".mjs" else "<!doctype html><title>engine</title>"
            route.fulfill(body=body, content_type=types[file.suffix if file.suffix == ".mjs" else ""])

        page.route("**/*", serve)
        page.goto("http://page.test/")
        page.evaluate(
            "async () => { for (const m of ['engine', 'evaluate', 'arrays']) Object.assign(window, await import(`./${m}.mjs`)); }"
        )
        yield page
        browser.close()


def close(found, expected, tolerance=1e-12):
    """How far numbers are apart, relative to the scale of what was expected."""
    found, expected = np.asarray(found, float).ravel(), np.asarray(expected, float).ravel()
    if found.shape != expected.shape:
        return math.inf
    with np.errstate(all="ignore"):
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        finite = np.abs(expected[np.isfinite(expected)])
        error = np.abs(found - expected) / np.max(finite, initial=1e-300)
    return float(np.max(np.where(same, 0.0, np.where(np.isnan(error), math.inf, error)), initial=0.0))


# --- operations and rules --------------------------------------------------------------------------------------------


def samples():
    for op in ENTRIES:
        for args, params in samples_of(op):
            prepared = tuple(map(op.checks.prepare, args)) if op.checks.prepare else args
            yield op, [np.asarray(a) for a in prepared], params


@functools.cache
def cases():
    """For every sample of every live entry: its value, and what its rules make of a gradient; and the size of all rules."""
    found = []
    for op, args, params in samples():
        if op.docs.not_live:
            continue
        y = np.asarray(op.compute(args, params))
        tree = forward_tree(op, args, params)
        g = np.random.default_rng(1).normal(size=y.shape).astype(y.dtype if y.dtype.kind == "f" else float)
        rules = {slot: rule_tree(op, slot, y, args, params) for slot in range(len(args)) if op.differentiable(slot)}
        with np.errstate(all="ignore"):
            parts = {slot: op.vjps[slot](g, y, *args, **params) for slot in rules}
        found.append((op, {
            "op": op.name, "params": plain_params(params), "dtype": str(y.dtype), "args": [as_plain(as_numbers(a)) for a in args],
            "forward": None if is_basic(tree, op) else as_plain(tree), "y": as_plain(as_numbers(y)), "g": as_plain(as_numbers(g)),
            "rules": [as_plain(rule) for rule in rules.values()],
        }, y, list(parts.values())))  # fmt: skip
    return found


CARRY_OUT = """cases => cases.map(({op, params, dtype, args, forward, y, g, rules}) => {
  try {
    const inputs = args.map(arrayFrom);
    const value = forward ? carryOutRule(ruleFrom(forward), null, null, inputs)
                          : carryOut(op, inputs, parametersFrom(params), dtype);
    const parts = rules.map((rule) => carryOutRule(ruleFrom(rule), arrayFrom(g), arrayFrom(y), inputs));
    return {shape: value.shape, value: [...value.data], parts: parts.map((x) => [...x.data])};
  } catch (error) { return {error: String(error.stack)}; }
})"""


def test_every_entry_is_live_or_says_why_not():
    assert {op.name for op in ENTRIES if op.docs.not_live} == NOT_LIVE


def test_every_operation_and_every_rule_agrees_with_numpy(page):
    results = page.evaluate(CARRY_OUT, [case for _, case, _, _ in cases()])
    wrong, worst = {}, 0.0
    for (op, _, y, parts), found in zip(cases(), results, strict=True):
        if "error" in found:
            wrong.setdefault(op.name, found["error"][:200])
            continue
        errors = [close(found["value"], y), *map(close, found["parts"], parts)]
        if max(errors) > 1e-12 or tuple(found["shape"]) != y.shape:
            wrong.setdefault(op.name, (errors, found["shape"], y.shape))
        worst = max(worst, *errors)
    print(f"{len(results)} samples of {len({op for op, *_ in cases()})} operations, worst error {worst:.1e}")
    assert wrong == {}


# --- random programs -------------------------------------------------------------------------------------------------

PROGRAMS, LISTED = 100, 60
ZERO_BY_ROUNDING = {27}  # BCE(a, sigmoid(a)): a derivative that is 0, or 1e-17, as exp is rounded


class Recorded:
    """A random program, recorded: its graph, the program of the page, and its inputs at this point and near it."""

    def __init__(self, seed, dtype=np.float64):
        self.function, arrays = random_programs.program(seed)
        self.inputs = [tn.tensor(x.astype(dtype), requires_grad=True) for x in arrays]
        self.z = self.function(tn, *self.inputs)
        self.graph = ComputationGraph(self.z)
        self.program = program_of(self.graph)
        ids = program_ids(self.graph)
        self.node, self.arrow = ids.nodes, ids.arrows
        self.used = [x for x in self.inputs if x.index in self.node and x.index in self.graph.gradient]
        rng = np.random.default_rng(seed)
        self.near = [x.value + 1e-3 * rng.normal(size=x.shape) for x in self.inputs]

    def moved(self):
        """Value and gradients at the other point, as Python finds them."""
        inputs = [tn.tensor(x, requires_grad=True) for x in self.near]
        z = self.function(tn, *inputs)
        used = {x.index for x in self.used}
        kept = [new for old, new in zip(self.inputs, inputs, strict=True) if old.index in used]
        return z.item(), tn.gradients(z, kept)


@functools.cache
def recorded():
    return [r for r in map(Recorded, range(2 * PROGRAMS)) if r.z.tracked and r.used and not r.program.reason][:PROGRAMS]


EVALUATE = """programs => programs.map(({program, ids, near}) => {
  const graph = load(program);
  if (!graph.live) return {reason: graph.reason};
  const numbers = (x) => (typeof x === "number" ? [x] : [...x.data]);
  const entries = (map) => [...map].map(([id, value]) => [id, typeof value === "bigint" ? String(value) : numbers(value)]);
  const check = graph.check();
  const paths = ids.map((id) => {
    const p = graph.paths(id, {limit: LIMIT});
    const few = p.leftOut === 0n;
    return {
      scalar: p.scalar, count: String(p.count), liveCount: String(p.liveCount), gradient: numbers(p.gradient),
      counts: entries(p.edgeCounts), flow: entries(p.flow), shares: entries(p.shares), nodeFlow: entries(p.nodeFlow),
      listed: few ? p.list().map(({edges, product, share, live}) => [edges, numbers(product), share, live]) : null,
      summary: few ? [p.mass, p.cancellation, p.coverage(2)] : null, top: p.scalar ? p.top(3).map((q) => q.product) : null,
      cost: [String(p.cost.enumeration), p.cost.backpropagation],
    };
  });
  near.forEach(([id, value]) => graph.set(id, null, value));
  const value = graph.value(graph.root).item();
  const gradients = ids.map((id) => [...graph.gradient(id).data]);
  return {check: [check.ok, check.worst], paths, value, gradients};
})""".replace("LIMIT", str(LISTED))


def test_random_programs_agree_in_values_gradients_products_flows_and_counts(page):
    programs = recorded()
    assert len(programs) == PROGRAMS
    given = [
        {
            "program": as_plain(r.program),
            "ids": [r.node[x.index] for x in r.used],
            "near": [
                [r.node[x.index], np.ravel(new).tolist()]
                for x, new in zip(r.inputs, r.near, strict=True)
                if x.index in r.node
            ],
        }
        for r in programs
    ]
    worst = dict.fromkeys(("recorded", "moved", "paths"), 0.0)
    for r, found in zip(programs, page.evaluate(EVALUATE, given), strict=True):
        assert found.get("check", [found])[0] is True, (r.function.seed, found)
        value, gradients = r.moved()
        worst["recorded"] = max(worst["recorded"], found["check"][1])
        errors = [close(found["value"], value), *map(close, found["gradients"], gradients)]
        worst["moved"] = max(worst["moved"], *errors)
        for x, paths in zip(r.used, found["paths"], strict=True):
            worst["paths"] = max(worst["paths"], path_errors(r, x, paths))
    print(worst)
    assert worst["recorded"] < 1e-10
    assert worst["moved"] < 1e-9


def path_errors(r, x, found):
    """Counts equal; and the largest error of all numbers."""
    p = tn.paths(r.z, x, limit=LISTED)
    ids = {r.arrow[edge.target.index, edge.slot]: edge for edge in p.edges}
    assert found["count"] == str(p.count)
    assert found["cost"] == [str(p.cost.enumeration), p.cost.backpropagation]
    if r.function.seed not in ZERO_BY_ROUNDING:
        assert found["liveCount"] == str(p.live_count), r.function.seed
    assert {ids[i]: int(n) for i, n in found["counts"]} == p.edge_counts
    scale = np.ravel(p.gradient).tolist()

    def near(found, expected, scale=scale):
        return close([*found, *scale], [*np.ravel(expected), *scale])

    back = {i: index for index, i in r.node.items()}
    flows = {node.index: flow for node, flow in p.node_flow.items()}
    errors = {
        "gradient": close(found["gradient"], p.gradient),
        "flow": max(near(v, p.flow[ids[i]]) for i, v in found["flow"]),
        "shares": max(near(v, p.edge_shares[ids[i]], [1.0]) for i, v in found["shares"]) if np.any(p.gradient) else 0.0,
        "flow of nodes": max(near(v, flows[back[i]]) for i, v in found["nodeFlow"]),
    }
    if found["listed"] is not None:
        listed = list(p)
        assert len(listed) == len(found["listed"])
        for path, (edges, product, share, live) in zip(listed, found["listed"], strict=True):
            assert [ids[i] for i in edges] == list(path.edges)
            assert live == path.live or r.function.seed in ZERO_BY_ROUNDING
            errors["product", *edges] = near(product, path.contribution)
            errors["share", *edges] = near([share], path.share, [1.0])
        errors["summary"] = close(found["summary"], [p.mass, p.cancellation, p.coverage(2)])
    if found["top"] is not None:
        errors["top"] = close(np.abs(found["top"]), [abs(path.contribution) for path in p.top(3)])
    wrong = {what: error for what, error in errors.items() if not error < 1e-9}
    assert wrong == {}, (r.function.seed, p, found["summary"])
    return max(errors.values())


BETWEEN_ELEMENTS = """programs => programs.map(({program, id, element}) => {
  const graph = load(program);
  const p = graph.paths(id, {limit: 50, element});
  return {
    count: String(p.count), liveCount: String(p.liveCount), gradient: p.gradient, mass: p.mass, cancellation: p.cancellation,
    flow: [...p.flow].map(([id, value]) => [id, value]), counts: [...p.edgeCounts].map(([id, n]) => [id, String(n)]),
    top: p.top(3).map(({nodes, product}) => [nodes, product]), listed: p.list().map(({product}) => product),
  };
})"""


def test_paths_between_single_elements_agree(page):
    cases = []
    for r in recorded():
        x = max(r.used, key=lambda x: x.size)
        few = sum(node.value.size for node in r.graph.nodes) < 400
        # whose Jacobian is 0 where, at generic numbers, depends on which generic numbers
        chance = {"cummax", "cummin"} & {node.op.name for node in r.graph.nodes if node.op is not None}
        if few and x.size > 1 and not chance and r.function.seed not in ZERO_BY_ROUNDING:
            cases.append((r, x, x.size // 2))
    assert len(cases) > 30
    given = [{"program": as_plain(r.program), "id": r.node[x.index], "element": at} for r, x, at in cases]
    worst = 0.0
    for (r, x, at), found in zip(cases, page.evaluate(BETWEEN_ELEMENTS, given), strict=True):
        p = tn.paths(r.z, x, at=np.unravel_index(at, x.shape), limit=50)
        assert [found["count"], found["liveCount"]] == [str(p.count), str(p.live_count)], r.function.seed
        assert len(found["counts"]) == len(p.edges)
        scale = [p.gradient, p.mass]
        worst = max(
            worst,
            close([found["gradient"], found["mass"], found["cancellation"], 1], [*scale, p.cancellation, 1]),
            close([*sorted(f for _, f in found["flow"]), *scale], [*sorted(p.flow.values()), *scale]),
            close([abs(f) for _, f in found["top"]], [abs(path.contribution) for path in p.top(3)]),
        )
        assert sorted(int(n) for _, n in found["counts"]) == sorted(p.edge_counts.values())
        if p.count <= 50:
            products = [path.contribution for path in p]
            worst = max(worst, close([*sorted(found["listed"]), *scale], [*sorted(products), *scale]))
    print(f"{len(cases)} programs, worst error {worst:.1e}")
    assert worst < 1e-9


# --- single precision, exact zeros, faults, what is not live ---------------------------------------------------------


def number(value, name="t", dtype=np.float64):
    return tn.tensor(value, requires_grad=True, name=name, dtype=dtype)


def as_given(z):
    return as_plain(program_of(ComputationGraph(z)))


def test_single_precision_is_rounded_as_numpy_rounds_it(page):
    programs = [
        r for r in map(lambda seed: Recorded(seed, np.float32), range(60)) if r.z.tracked and not r.program.reason
    ]
    assert sum("float32" in {node.dtype for node in r.program.nodes if node.op} for r in programs) > 30
    found = page.evaluate(
        "programs => programs.map((p) => { const c = load(p).check(); return [c.ok, c.worst, c.tolerance, c.faults.length]; })",
        [as_plain(r.program) for r in programs],
    )
    print(max(error for _, error, _, _ in found))
    assert all(ok for ok, *_ in found), [(r.function.seed, f) for r, f in zip(programs, found, strict=True) if not f[0]]
    x = number([0.1, 0.7, -1.3], dtype=np.float32)
    y = tn.tanh(x * 2.5) + 1.0 / (x * x + 3.0)
    values = page.evaluate("p => { const g = load(p); return [...g.computed(g.root).data]; }", as_given(y))
    np.testing.assert_allclose(values, y.value, rtol=1.2e-7)
    assert np.array_equal(np.float32(values), values)


BEHIND_A_CHOICE = {
    "where": lambda x: tn.where(np.array([True, False]), x, tn.log(x)).sum(),
    "a product": lambda x: (tn.where(np.array([True, False]), x, 0.0) * tn.sqrt(x * np.array([1.0, 0.0]))).sum(),
    "maximum": lambda x: tn.maximum(tn.sqrt(x * np.array([1.0, 0.0])), np.array([0.5, 1.0])).sum(),
    "indexing": lambda x: tn.sqrt(x * np.array([1.0, 0.0]))[0] * 2.0,
    "relu of a matrix product": lambda x: tn.relu(
        np.array([[1.0, -1.0], [-9.0, -9.0]]) @ tn.log(x - np.array([0.0, 2.0]))
    ).sum(),
    "an accident": lambda x: ((x - x.value) ** 2 * tn.sqrt(x * np.array([1.0, 0.0]))).sum(),
    "a reduction": lambda x: tn.max(tn.sqrt(x * np.array([1.0, 0.0]))),
}


@pytest.mark.parametrize("name", BEHIND_A_CHOICE)
@pytest.mark.filterwarnings("ignore")
def test_exact_zeros_block(page, name):
    x = number([1.5, 2.0])
    z = BEHIND_A_CHOICE[name](x)
    (expected,) = tn.gradients(z, x)
    found = page.evaluate("p => [...load(p).gradient('n1').data]", as_given(z))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_wrong_number_is_found_and_the_page_stays_with_what_was_recorded(page):
    t = number(0.5)
    given = as_given(tn.sin(tn.exp(t) ** 2))
    for node in given["nodes"]:
        if node.get("op") == "exp":
            node["value"] = [1.6487]
    found = page.evaluate(
        """p => { const g = load(p); const c = g.check(); let refused = "";
        try { g.set("n1", 0, 1); } catch (error) { refused = error.message; }
        return [c.ok, c.faults.map((f) => [f.id, f.what]), g.live, g.reason, refused, g.value("n2").item()]; }""",
        given,
    )
    ok, faults, live, reason, refused, value = found
    assert (ok, live, value) == (False, False, 1.6487)
    assert faults[0] == ["n2", "the value"]
    assert reason == "the page computes the value of v₁ differently"
    assert refused == f"not live: {reason}"


def test_what_is_not_live_shows_what_was_recorded(page):
    x = number([[2.0, 1.0], [1.0, 2.0]])
    t = tn.svdvals(x)[0]
    z = tn.sin(t) * 2.0
    found = page.evaluate(
        """p => { const g = load(p); const e = g.edges.at(-1); const q = g.paths(e.source);
        return [g.live, g.reason, g.value(g.root).item(), [...g.gradient("n1").data], g.local(e.id), q.gradient, String(q.count)]; }""",
        as_given(z),
    )
    assert found[0] is False
    assert found[1].startswith("svd: ")
    np.testing.assert_allclose([found[2], *found[3], found[4]], [z.item(), *tn.gradients(z, x)[0].ravel(), 2.0])
    assert found[5:] == [2.0, "1"]
    unknown = as_given(tn.sin(number(0.5)))
    unknown["nodes"][1]["op"] = "mystery"
    assert page.evaluate("p => load(p).reason", unknown) == "the page does not know the operation mystery"


FACTORED = {
    "founding": lambda t: tn.sin(tn.exp(t) ** 2 + (t**2) ** 2),
    "sums of products": lambda t: (lambda y: 7 * y + 11 * y + 13 * y)(2 * t + 3 * t + 5 * t),
    "a sum within a sum": lambda t: t * t * (3 * t),
    "diamonds": lambda t: (lambda v: tn.sin(v) + tn.cos(v))(tn.sin(t) + tn.cos(t)),
    "crossing": lambda t: (lambda a, b: tn.sin(a * b) + a * b * a)(tn.exp(t), tn.cos(t)),
    "negative": lambda t: -(t * -3.0) - t,
    "nested": lambda t: tn.exp(t * t + tn.sin(t) * (t + 2 * t)) * t,
}


@pytest.mark.parametrize("name", FACTORED)
def test_the_factored_form_is_that_of_python(page, name):
    t = number(0.5)
    z = FACTORED[name](t)
    expected = "·".join(map(str, tn.paths(z, t).factored()))
    assert page.evaluate("p => load(p).paths('n1').factored()", as_given(z)) == expected


def test_numbers_are_written_as_in_pictures(page):
    rng = np.random.default_rng(0)
    numbers = [
        *rng.normal(size=200),
        *(rng.normal(size=200) * 10.0 ** rng.integers(-12, 12, 200)),
        0.0,
        -0.25,
        36,
        1e20,
    ]
    numbers += [999999.5, 1e6, 0.001, -1.5584e-4, 0.5, 100.0, 12.5, 1e-300, math.inf, -math.inf, math.nan, 123456.0]
    numbers = [float(x) for x in numbers]
    found = page.evaluate(
        "async (xs) => { const {formatNumber} = await import('./notation.mjs'); return xs.map((x) => formatNumber(x)); }",
        numbers,
    )
    assert found == [tn.notation.format_number(x) for x in numbers]


def test_only_what_depends_on_a_change_is_computed_again(page):
    t, u = number(0.5), number(2.0, "u")
    z = tn.exp(t) * tn.sin(u)
    found = page.evaluate(
        """p => { const g = load(p); const done = []; const computed = g.computed.bind(g);
        g.computed = (id) => { done.push(id); return computed(id); };
        const [t, u] = ["t", "u"].map((name) => g.nodes.find((id) => g.node(id).name === name));
        g.set(u, 0, 1); const z = g.value(g.root).item(); const first = [...done]; g.value(g.root); g.reset();
        return [first.length, done.length, z, g.value(g.root).item(), g.gradient(t).item()]; }""",
        as_given(z),
    )
    assert found[:2] == [2, 2]
    np.testing.assert_allclose(found[2:], [math.exp(0.5) * math.sin(1), z.item(), z.item()], rtol=1e-14)


def test_an_update_takes_less_than_a_frame(page):
    v = number(0.5)
    for _ in range(20):
        v = tn.sin(v) + tn.cos(v)
    rng = np.random.default_rng(0)
    model = tn.nn.Sequential(tn.nn.Dense(64, 32, "relu", rng=0), tn.nn.Dense(32, 10, rng=1))
    loss = tn.cross_entropy(model(rng.normal(size=(64, 32))), np.arange(32) % 10)
    measure = """p => { const g = load(p); const leaf = g.nodes.find((id) => g.node(id).tracked && !g.node(id).op);
        const times = [];
        for (let i = 0; i < 30; i++) { const start = performance.now(); g.set(leaf, 0, 0.5 + i / 1000);
          g.value(g.root); g.gradient(leaf); const q = g.paths(leaf); q.gradient; q.flow; q.count;
          times.push(performance.now() - start); }
        return times.sort((a, b) => a - b)[15]; }"""
    times = [page.evaluate(measure, as_given(z)) for z in (v, loss)]
    print("milliseconds", times)
    assert times[0] < 16
    assert times[1] < 50
