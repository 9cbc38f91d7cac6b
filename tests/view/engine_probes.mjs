// What tests/view/test_page_engine.py asks of the page's engine, for many cases at once.

import { arrayFrom } from "./arrays.mjs";
import { load } from "./engine.mjs";
import { carryOut, carryOutRule, parametersFrom, ruleFrom } from "./evaluate.mjs";
import { formatNumber } from "./notation.mjs";

export { formatNumber, load };

const numbers = (x) => (typeof x === "number" ? [x] : [...x.data]);
const entries = (map) => [...map].map(([id, value]) => [id, typeof value === "bigint" ? String(value) : numbers(value)]);

/** The value of an operation, and what its rules make of a gradient. */
export function carriedOut({ op, params, dtype, args, forward, y, g, rules }) {
  try {
    const inputs = args.map(arrayFrom);
    const ofForward = () => carryOutRule(ruleFrom(forward), null, null, inputs);
    const value = forward ? ofForward() : carryOut(op, inputs, parametersFrom(params), dtype);
    const parts = rules.map((rule) => carryOutRule(ruleFrom(rule), arrayFrom(g), arrayFrom(y), inputs));
    return { shape: value.shape, value: [...value.data], parts: parts.map((x) => [...x.data]) };
  } catch (error) {
    return { error: String(error.stack) };
  }
}

/** The check of a program, the paths from some of its leaves, and value and gradients at another point. */
export function evaluated({ program, ids, near, limit }) {
  const graph = load(program);
  const { ok, worst } = graph.check();
  if (!graph.live) return { ok, reason: graph.reason };
  const paths = ids.map((id) => pathsFrom(graph, id, limit));
  near.forEach(([id, value]) => graph.set(id, null, value));
  const value = graph.value(graph.root).item();
  return { ok, worst, paths, value, gradients: ids.map((id) => [...graph.gradient(id).data]) };
}

function pathsFrom(graph, id, limit) {
  const p = graph.paths(id, { limit });
  const few = p.leftOut === 0n;
  return {
    count: String(p.count),
    liveCount: String(p.liveCount),
    gradient: numbers(p.gradient),
    counts: entries(p.edgeCounts),
    flow: entries(p.flow),
    shares: entries(p.shares),
    nodeFlow: entries(p.nodeFlow),
    listed: few ? p.list().map(({ edges, product, share, live }) => [edges, numbers(product), share, live]) : null,
    summary: [p.mass, p.cancellation, p.coverage(2)],
    top: p.scalar ? p.top(3).map((q) => q.product) : null,
    cost: [String(p.cost.enumeration), p.cost.backpropagation],
  };
}

/** ‖∇root‖² as a flow from all inputs; null where it is not known. */
export function descending(program) {
  const found = load(program).descent;
  return found && { total: found.total, flow: entries(found.flow), byInput: entries(found.byInput) };
}

/** The paths from one element. */
export function betweenElements({ program, id, element }) {
  const p = load(program).paths(id, { limit: 50, element });
  return {
    count: String(p.count),
    liveCount: String(p.liveCount),
    summary: [p.gradient, p.mass, p.cancellation],
    flow: [...p.flow.values()],
    counts: [...p.edgeCounts.values()].map(String),
    top: p.top(3).map(({ product }) => product),
    listed: p.list().map(({ product }) => product),
  };
}

/** What a check finds, and what is left afterwards. */
export function checked(program) {
  const graph = load(program);
  const { ok, faults } = graph.check();
  let refused = "";
  try {
    graph.set(graph.nodes[0], 0, 1);
  } catch (error) {
    refused = error.message;
  }
  return { ok, faults: faults.map(({ id, what }) => [id, what]), live: graph.live, reason: graph.reason, refused };
}

/** What a graph says that is not live. */
export function recordedOnly(program) {
  const graph = load(program);
  const last = graph.edges[graph.edges.length - 1];
  const p = graph.paths(last.source);
  const gradient = [...graph.gradient(graph.nodes[0]).data];
  const { live, reason } = graph;
  const path = [p.gradient, String(p.count)];
  return { live, reason, value: graph.value(graph.root).item(), gradient, local: graph.local(last.id), path };
}

/** Which nodes are computed after one leaf has changed. */
export function followed(program, name) {
  const graph = load(program);
  const done = [];
  const computed = graph.computed.bind(graph);
  graph.computed = (id) => {
    done.push(graph.node(id).op);
    return computed(id);
  };
  graph.set(graph.nodes.find((id) => graph.node(id).name === name), 0, 1);
  const moved = [graph.value(graph.root), graph.value(graph.root)].map((x) => x.item());
  graph.reset();
  return { done, moved, back: graph.value(graph.root).item() };
}

/** Milliseconds from a changed number to all that follows from it, the median. */
export function timeOfAnUpdate(program) {
  const graph = load(program);
  const leaf = graph.nodes.find((id) => graph.node(id).tracked && !graph.node(id).op);
  const times = [];
  for (let i = 0; i < 30; i++) {
    const start = performance.now();
    graph.set(leaf, 0, 0.5 + i / 1000);
    const p = graph.paths(leaf);
    const asked = [graph.value(graph.root), graph.gradient(leaf), p.gradient, p.flow, p.count];
    if (asked.every((x) => x !== null)) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
}

/** What is known of paths through arrays that nobody can compute. */
export function counted(program) {
  const p = load(program).paths("n1");
  const known = [String(p.count), p.list().map(({ edges, product }) => [edges, product]), [...p.gradient.data], p.flow.size];
  return [...known, p.mass, p.factored()];
}

export function factored(program) {
  return load(program).paths("n1").factored();
}
