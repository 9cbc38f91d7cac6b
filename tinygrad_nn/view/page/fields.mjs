// What boxes and arrows say at the present point: value, gradient, sum, local derivative.

import { gridOf } from "./boxes.mjs";
import { formatNumber, percent, sumOf } from "./notation.mjs";

/** Euclidean norm of an array. */
export const norm = ({ data }) => Math.sqrt(data.reduce((sum, x) => sum + x * x, 0));

/** A number; of an array its shape and how large it is. */
export function amount(array) {
  if (!array) return "–";
  if (array.data.length === 1) return formatNumber(array.data[0]);
  return `${array.shape.join(" × ")} (±${formatNumber(gridOf(array).scale)})`;
}

/** The fields of a box with these values and gradients. */
export function shownFields(graph, box, value, gradient) {
  return box.fields.map(({ live, node, text, rows, from, grid }) => {
    if (!live) return { text };
    if (grid && !graph.live) return { grid: { ...grid, cells: grid.cells.map((row) => row.map(Number)) } };
    if (live === "share") return { text: share(graph, node.split(","), gradient) };
    if (live === "norm") return { text: gradient(node) ? formatNumber(norm(gradient(node))) : "–" };
    const array = live === "value" ? value(node) : gradient(node);
    if (!array) return { text: "–" };
    const strong = live === "gradient" && node === from;
    return rows ? { grid: gridOf(array), strong } : { text: formatNumber(array.data[0]), strong };
  });
}

/** The part of some inputs in ‖∇z‖². */
function share(graph, ids, gradient) {
  const squares = (some) => some.reduce((sum, id) => sum + norm(gradient(id) ?? { data: [] }) ** 2, 0);
  const inputs = graph.nodes.filter((id) => !graph.node(id).op && graph.node(id).tracked);
  const all = squares(inputs);
  return all ? percent(squares(ids) / all) : "–";
}

const leaving = new WeakMap();

/** The edges along which gradients come back to a node. */
export function edgesFrom(graph, id) {
  if (!leaving.has(graph))
    leaving.set(
      graph,
      Map.groupBy(
        graph.edges.filter(({ flows }) => flows),
        ({ source }) => source,
      ),
    );
  return leaving.get(graph).get(id) ?? [];
}

/** `Σ 2 contributions: −5.0865 − 0.4678`, where several arrows come back to a node. */
export function contributions(graph, id, most = 6) {
  const parts = edgesFrom(graph, id)
    .map((edge) => graph.sent(edge.id))
    .filter(Boolean);
  if (parts.length < 2) return "";
  if (parts[0].data.length > 1 || parts.length > most) return `Σ ${parts.length} contributions`;
  const first = (n) => sumOf(parts.slice(0, n).map(({ data }) => data[0])) + (parts.length > n ? " …" : "");
  const long = first(most).length > 9 * parts.length; // more than page_boxes.py has room for
  return `Σ ${parts.length}${long ? `: ${first(3)}` : ` contributions: ${first(most)}`}`;
}

/** The local derivative of an arrow, as a formula and a number; or the rule of an array. */
export function localText(graph, { id, formula, single }) {
  if (!single) return formula;
  const number = graph.local(id);
  return [...new Set([formula, number === null ? "" : formatNumber(number)])].filter(Boolean).join(" = ");
}
