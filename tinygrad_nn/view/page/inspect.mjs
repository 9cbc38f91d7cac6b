// About one node: value, gradient, rules in words, parts received, and the line of the program that made it.
// In the Step view it knows what has arrived at that step, and no more.

import { same } from "./backward_pass.mjs";
import { amount, edgesFrom } from "./fields.mjs";
import { html } from "./dom.mjs";
import { count, formatNumber } from "./notation.mjs";

const SPELLED = 16; // elements that are written out

/** The elements that tell it; `moment` is that of the stepper, if it is on. */
export function inspected(graph, id, paths, moment) {
  const node = graph.node(id);
  const entries = [
    ["value", node.value?.length ? spelled(graph.value(id)) : `${node.shape.join(" × ")} numbers, not kept`],
    ["gradient", moment ? gradientAt(graph, id, moment) : spelled(graph.gradient(id))],
  ];
  (node.words ?? []).forEach((rule, slot) => {
    const edge = graph.edges.find((e) => e.target === id && e.slot === slot);
    if (rule && edge) entries.push([`∂${graph.node(edge.source).name} ←`, `${rule}   (g = ∂${node.name})`]);
  });
  for (const edge of edgesFrom(graph, id)) {
    entries.push([`from ${graph.node(edge.target).name}`, moment ? partAt(graph, edge, moment) : amount(graph.sent(edge.id))]);
  }
  const through = paths?.nodeCounts.get(id);
  if (through) entries.push(["paths through it", count(through)]);
  if (node.origin) entries.push(["made at", node.origin]);
  const title = node.formula ? `${node.name} = ${node.formula}` : node.name;
  return [
    html("h2", {}, title),
    html("dl", {}, ...entries.flatMap(entry)),
  ];
}

const entry = ([name, text]) => [html("dt", {}, name), html("dd", text.startsWith("✗") ? { class: "bad" } : {}, text)];

const YET = "not yet here";

/** What a node has of its gradient at a step; beside a number that a mistake has made, the right one. */
function gradientAt(graph, id, { gradient, received, expected, fired, wanted, last, mistake }) {
  const [there, right] = [gradient.get(id), graph.gradient(id)];
  if (!there) return wanted.has(id) && !last ? YET : "–";
  const complete = (received.get(id) ?? 0) >= (expected.get(id) ?? 0);
  const settled = complete || fired.has(id) || last;
  if (mistake && settled && !same(there, right)) return `✗ ${spelled(there)}; right is ${spelled(right)}`;
  return complete ? spelled(there) : `${spelled(there)} so far`;
}

/** A part that an arrow has brought until this step. */
function partAt(graph, edge, { arrived, wanted, last, mistake }) {
  const [part, right] = [arrived.get(edge.id), graph.sent(edge.id)];
  if (!part) return wanted.has(edge.source) && !last ? YET : "–";
  return mistake && !same(part, right) ? `✗ ${amount(part)}; right is ${amount(right)}` : amount(part);
}

function spelled(array) {
  if (!array) return "–";
  if (array.data.length === 1) {
    const [x] = array.data;
    return Number.isFinite(x) ? String(x).replace("+", "").replaceAll("-", "−") : formatNumber(x);
  }
  if (array.data.length <= SPELLED) return `[${[...array.data].map(formatNumber).join(", ")}]`;
  return amount(array);
}
