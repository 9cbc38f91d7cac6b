// The factored form of a gradient: a product of sums of products, split where all paths meet.

import { formatNumber, sumOf } from "./notation.mjs";
import { PathGraph } from "./path_graph.mjs";

const DEEPEST = 6;  // sums within sums that are written out

export function factoredText(owner) {
  const segments = splitAtMeetingPoints(owner.between.steps);
  const texts = [];
  let single = [];
  for (const segment of [...segments, null]) {
    if (segment !== null && segment.length === 1) {
      single.push(edgeText(owner, segment[0].edge));
      continue;
    }
    if (single.length) texts.push(productText(single));
    single = [];
    if (segment !== null) texts.push(sumText(owner, segment, DEEPEST));
  }
  const text = productText(texts);
  return texts.length === 1 && segments.length === 1 && text.startsWith("(") ? text.slice(1, -1) : text;
}

/** A product without the factors that are 1, of which only the first may begin with a minus sign. */
function productText(texts) {
  const [first = "1", ...others] = texts.filter((text) => text !== "1");
  return [first, ...others.map((text) => (text.startsWith("−") ? `(${text})` : text))].join("·");
}

function edgeText(owner, edge) {
  const name = (id) => owner.graph.node(id)?.name ?? id;
  if (!owner.scalar) return `∂${name(edge.target)}/∂${name(edge.source)}`;
  return formatNumber(owner.slope(edge));
}

/** The ways between two vertices as a sum in brackets, or how many there are where that gets too long. */
function sumText(owner, steps, depth) {
  const branches = depth > 0 ? branchesOf(owner, steps) : [];
  if (branches.length === 0) return `(${countOf(owner, steps)} paths)`;
  const terms = branches.flatMap((branch) => termsOf(owner, branch, depth));
  return terms.length === 1 ? terms[0] : `(${sumOf(terms)})`;
}

/** The text of one way; a sum within a sum, with nothing but ones beside it, is part of the sum. */
function termsOf(owner, branch, depth) {
  const sums = branch.filter((segment) => segment.length > 1);
  const others = branch.filter((segment) => segment.length === 1);
  const plain = others.every(([{ edge }]) => owner.graph.prepared(idOf(edge.target)).operation.entries === "ones");
  if (sums.length === 1 && plain) {
    const inner = branchesOf(owner, sums[0]);
    const at = branch.indexOf(sums[0]);
    const spread = (some) => [...branch.slice(0, at), ...some, ...branch.slice(at + 1)];
    if (inner.length) return inner.flatMap((some) => termsOf(owner, spread(some), depth));
  }
  return [productText(branch.map((some) => (some.length === 1 ? edgeText(owner, some[0].edge) : sumText(owner, some, depth - 1))))];
}

const idOf = (id) => id.replace(/\[\d+\]$/, "");

const firstOf = (steps) => steps.reduce((v, { from }) => Math.min(v, from), Infinity);
const lastOf = (steps) => steps.reduce((v, { to }) => Math.max(v, to), -1);

function between(owner, steps) {
  return PathGraph.pruned(owner.between.nodes, steps, [firstOf(steps)], lastOf(steps));
}

function countOf(owner, steps) {
  const part = between(owner, steps);
  return part.total(part.backward(1n, (_, n) => n, (a, b) => a + b), (a, b) => a + b, 0n);
}

/** Ways that meet only at their ends, as lists of segments; if all are connected, the single paths. */
function branchesOf(owner, steps) {
  const segments = splitAtMeetingPoints(steps);
  if (segments.length > 1) return [segments];
  const [first, last] = [firstOf(steps), lastOf(steps)];
  const parent = new Map();
  const rootOf = (v) => {
    const above = parent.get(v) ?? v;
    return above === v ? v : rootOf(above);
  };
  for (const { from, to } of steps) if (from !== first && to !== last) parent.set(rootOf(from), rootOf(to));
  const found = new Map();
  for (const step of steps) {
    const direct = step.from === first && step.to === last;
    const key = direct ? step.edge : rootOf(step.from === first ? step.to : step.from);
    found.set(key, [...(found.get(key) ?? []), step]);
  }
  if (found.size > 1) return [...found.values()].map(splitAtMeetingPoints);
  if (countOf(owner, steps) > BigInt(owner.limit)) return [];
  const paths = between(owner, steps).depthFirst(null, () => null);
  return [...paths].map(([edges]) => edges.map((edge, i) => [{ from: i, to: i + 1, edge }]));
}

/** The steps, split at every vertex that no step leads past: there all paths meet. */
function splitAtMeetingPoints(steps) {
  const found = [];
  let reach = -1;
  for (const step of [...steps].sort((a, b) => a.from - b.from)) {
    if (step.from >= reach) found.push([]);
    found[found.length - 1].push(step);
    reach = Math.max(reach, step.to);
  }
  return found;
}
