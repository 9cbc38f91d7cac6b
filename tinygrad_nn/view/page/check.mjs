// Every number is checked: the recorded values and gradients have to come out again, or the page says which do not.

import { arrayFrom } from "./arrays.mjs";

export const TOLERANCE = { float64: 1e-9, float32: 1e-5 };

export function check(graph) {
  const faults = [];
  let worst = 0;
  const singles = graph.nodes.some((id) => graph.recorded.get(id).dtype === "float32");
  const tolerance = singles ? TOLERANCE.float32 : TOLERANCE.float64;
  const compare = (id, what, expected, compute) => {
    const found = attempt(compute);
    const error = errorOf(expected, found);
    worst = Math.max(worst, error);
    if (!(error <= tolerance)) faults.push({ id, what, expected, found, error });
  };
  if (!graph.live) return { ok: false, tolerance, worst: NaN, faults: [] };
  graph.reset();
  const nodes = graph.nodes.map((id) => graph.node(id));
  for (const { id, op } of nodes) if (op) compare(id, "the value", graph.recorded.get(id), () => graph.computed(id));
  for (const node of nodes) {
    const expected = node.gradient && arrayFrom({ ...node, value: node.gradient });
    if (expected) compare(node.id, "the gradient", expected, () => graph.gradient(node.id));
  }
  return { ok: faults.length === 0, tolerance, worst, faults };
}

/** What is computed, or null where that fails. */
function attempt(compute) {
  try {
    return compute();
  } catch {
    return null;
  }
}

/** The largest difference, relative to the largest finite element; ∞ where only one is NaN or infinite. */
export function errorOf(expected, found) {
  if (found === null || found.size !== expected.size) return Infinity;
  let scale = 1e-300;
  let error = 0;
  for (const v of expected.data) if (Number.isFinite(v)) scale = Math.max(scale, Math.abs(v));
  expected.data.forEach((a, i) => {
    const b = found.data[i];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return;
    error = Math.max(error, Number.isFinite(a) && Number.isFinite(b) ? Math.abs(a - b) / scale : Infinity);
  });
  return error;
}
