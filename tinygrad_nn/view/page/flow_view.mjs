// The flow from all inputs together: arrows as thick as what they carry of ‖∇J‖², and the table that adds it up.

import { localText } from "./fields.mjs";
import { percent, plural } from "./notation.mjs";
import { boxesOf } from "./paths_view.mjs";

const MOST = 8; // rows

/** What its percentages mean, for the help. */
export const FLOW = ["%", "of all inputs together: the part of ‖∇‖², the gain of a small step downhill, that runs through an arrow"];

/** Whether there are several inputs, and it is known what each arrow carries. */
export const isFlowing = (graph) => graph.descent !== null && graph.descent.byInput.size > 1 && graph.descent.total > 0;

/** What to show of the flow from all inputs: of boxes, of arrows, and in the table. */
export function flowView(graph, data) {
  const { flow, total } = graph.descent;
  const widest = [...flow.values()].reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const arrow = (each) => {
    const carried = flow.get(each.id);
    if (carried === undefined) return { label: localText(graph, each) };
    return { label: percent(carried / total), flow: carried / widest };
  };
  return {
    boxes: boxesOf(graph, data, ""),
    arrows: Object.fromEntries(data.arrows.map((each) => [each.id, arrow(each)])),
    table: tableOf(graph),
  };
}

/** A row for each input, the smallest together where there are many. */
function tableOf(graph) {
  const { byInput, flow, total } = graph.descent;
  const J = graph.node(graph.root).name;
  const norm = `‖∇${J}‖`;
  const inputs = [...byInput];
  const largest = [...inputs].sort(([, a], [, b]) => b - a).slice(0, inputs.length <= MOST ? MOST : MOST - 1);
  const rows = inputs.filter((input) => largest.includes(input)).map((input, i) => rowOf(graph, input, i + 1));
  const left = inputs.length - rows.length;
  if (left) {
    const rest = rows.reduce((sum, { value }) => sum - value, total);
    const nodes = `… and ${plural(BigInt(left), "more input")}, added up, not listed`;
    rows.push({ nodes, value: rest, share: percent(Math.max(rest, 0) / total) });
  }
  const reached = graph.edges.filter(({ target }) => target === graph.root);
  const ok = near(
    reached.reduce((sum, { id }) => sum + (flow.get(id) ?? 0), 0),
    total,
    [...flow.values()].reduce((sum, x) => sum + Math.abs(x), 0),
  );
  return {
    heading: `${norm}² = sum over ${plural(BigInt(inputs.length), "input")}: what a small step of gradient descent gains`,
    rows,
    total: { nodes: "sum", value: total },
    ok,
    check: ok ? `equals what reaches ${J}` : `does not equal what reaches ${J}`,
    rest: [
      `A step of −η ∇${J} lowers ${J} by about η ${norm}²; each arrow says which part of it runs through it`,
      "For the flow from one input, choose it above, or click it",
    ],
  };
}

const near = (a, b, mass) => Math.abs(a - b) <= 1e-9 * Math.max(mass, b);

function rowOf(graph, [id, square], k) {
  const { total } = graph.descent;
  const [name, J, { shape }] = [graph.node(id).name, graph.node(graph.root).name, graph.value(id)];
  return {
    k,
    nodes: shape.length ? `${name} (${shape.length === 1 ? plural(BigInt(shape[0]), "number") : shape.join("×")})` : name,
    factors: shape.length ? `‖∂${J}/∂${name}‖²` : `(∂${J}/∂${name})²`,
    value: square,
    share: percent(square / total),
  };
}
