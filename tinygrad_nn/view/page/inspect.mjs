// About one node: value, gradient, rules in words, parts received, and the line of the program that made it.

import { amount, edgesFrom } from "./fields.mjs";
import { html } from "./dom.mjs";
import { count, formatNumber } from "./notation.mjs";

const SPELLED = 16; // elements that are written out

/** The elements that tell it. */
export function inspected(graph, id, paths) {
  const node = graph.node(id);
  const entries = [
    ["value", node.value?.length ? spelled(graph.value(id)) : `${node.shape.join(" × ")} numbers, not kept`],
    ["gradient", spelled(graph.gradient(id))],
  ];
  (node.words ?? []).forEach((rule, slot) => {
    const edge = graph.edges.find((e) => e.target === id && e.slot === slot);
    if (rule && edge) entries.push([`∂${graph.node(edge.source).name} ←`, `${rule}   (g = ∂${node.name})`]);
  });
  for (const edge of edgesFrom(graph, id)) {
    entries.push([`from ${graph.node(edge.target).name}`, amount(graph.sent(edge.id))]);
  }
  const through = paths?.nodeCounts.get(id);
  if (through) entries.push(["paths through it", count(through)]);
  if (node.origin) entries.push(["made at", node.origin]);
  const title = node.formula ? `${node.name} = ${node.formula}` : node.name;
  return [
    html("h2", {}, title),
    html("dl", {}, ...entries.flatMap(([name, text]) => [html("dt", {}, name), html("dd", {}, text)])),
  ];
}

function spelled(array) {
  if (!array) return "–";
  if (array.data.length === 1) return String(array.data[0]).replace("-", "−");
  if (array.data.length <= SPELLED) return `[${[...array.data].map(formatNumber).join(", ")}]`;
  return amount(array);
}
