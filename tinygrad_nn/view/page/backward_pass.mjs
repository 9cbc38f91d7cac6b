// The backward pass step by step: who fires, what it sends, who still waits, and the two classic mistakes.

/**
 * All moments of the pass, the first before anything fires.  Each is `{gradient, received, fired, firing, sent, arrived,
 * lost, early, late}`: maps by id, sets of ids, and arrays as of the engine; `arrived` has what was sent in all moments so
 * far, by arrow.  `mistake` is "assign", "order" or "".
 */
export function backwardPass(graph, wanted, mistake = "") {
  const into = Map.groupBy(
    graph.edges.filter(({ flows, source }) => flows && wanted.has(source)),
    ({ target }) => target,
  );
  const expected = countOf(graph, wanted);
  const order = new Map(graph.nodes.map((id, i) => [id, i]));
  let now = {
    gradient: new Map([[graph.root, ones(graph.value(graph.root))]]),
    received: new Map(),
    fired: new Set(),
    firing: null,
    sent: new Map(),
    lost: new Map(),
    early: false,
    late: new Set(),
    arrived: new Map(),
  };
  const moments = [now];
  const reached = [graph.root];
  const turns = [graph.root];
  while (turns.length) {
    const id = turns.shift();
    const edges = into.get(id) ?? [];
    for (const { source } of edges) {
      if (reached.includes(source)) continue;
      reached.push(source);
      turns.push(source);
    }
    if (mistake !== "order") turns.sort((a, b) => order.get(b) - order.get(a));
    if (edges.length) moments.push((now = fired(graph, now, id, edges, expected, mistake)));
  }
  return moments;
}

/** How many parts each node has to wait for. */
export function countOf(graph, wanted) {
  const counts = new Map();
  for (const { source, target, flows } of graph.edges) {
    if (flows && wanted.has(target)) counts.set(source, (counts.get(source) ?? 0) + 1);
  }
  return counts;
}

/** The nodes that a gradient passes on its way to these: they depend on one of them. */
export function dependingOn(graph, ids) {
  const found = new Set(ids);
  for (const { source, target, flows } of graph.edges) if (flows && found.has(source)) found.add(target);
  return found;
}

/** The moment after a node has sent a part of its gradient to each of its arguments. */
function fired(graph, before, id, edges, expected, mistake) {
  const now = {
    ...before,
    firing: id,
    sent: new Map(),
    lost: new Map(),
    gradient: new Map(before.gradient),
    received: new Map(before.received),
    fired: new Set(before.fired).add(id),
    late: new Set(before.late),
    arrived: new Map(before.arrived),
    early: (before.received.get(id) ?? 0) < (expected.get(id) ?? 0),
  };
  for (const edge of edges) {
    const part = graph.vjp(edge.id, before.gradient.get(id));
    const to = edge.source;
    now.sent.set(edge.id, part);
    now.arrived.set(edge.id, part);
    now.received.set(to, (now.received.get(to) ?? 0) + 1);
    const there = now.gradient.get(to);
    if (there && mistake === "assign") now.lost.set(to, there);
    now.gradient.set(to, there && mistake !== "assign" ? plus(there, part) : part);
    if (now.fired.has(to)) now.late.add(to);
  }
  return now;
}

const ones = ({ shape, dtype, data }) => ({ shape, dtype, data: data.map(() => 1) });
const plus = (a, b) => ({ ...a, data: a.data.map((x, i) => x + b.data[i]) });

/** Whether two arrays are the same but for rounding. */
export function same(a, b) {
  if (!a || !b) return false;
  const size = Math.max(...a.data.map(Math.abs), ...b.data.map(Math.abs), 1e-300);
  return a.data.every((x, i) => Object.is(x, b.data[i]) || Math.abs(x - b.data[i]) <= 1e-6 * size);
}
