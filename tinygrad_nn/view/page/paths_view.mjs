// Paths and flow: lanes, or thickness, for the paths from one input, and the table that adds them up.

import { contributions, localText, norm, shownFields } from "./fields.mjs";
import { count, formatNumber, inBrackets, percent, plural } from "./notation.mjs";

const LANES = 4; // so many paths get a lane each
const MOST = 8; // so many are all listed
const LARGEST = 3; // of more, so many
const WRITTEN = 40; // nodes of a path that are written

/** What to show of the paths from `state.source`: of boxes, of arrows, and in the table. */
export function pathsView(graph, data, state) {
  const paths = graph.paths(state.source, { element: state.element });
  const few = paths.count <= BigInt(MOST);
  const listed = few ? paths.list() : paths.scalar || paths.count <= 1000n ? paths.top(LARGEST) : [];
  const flowing = state.view === "flow" || paths.count > BigInt(LANES);
  return {
    boxes: boxesOf(graph, data, state.source),
    arrows: arrowsOf(graph, data, paths, listed, flowing, state),
    table: tableOf(graph, paths, listed, few, flowing, state),
    paths,
  };
}

/** What was recorded, where rules cannot be carried out: the table is the one that Python made. */
export function stillView(graph, data, { source }) {
  const arrows = Object.fromEntries(data.arrows.map((arrow) => [arrow.id, { label: localText(graph, arrow) }]));
  return { boxes: boxesOf(graph, data, source), arrows, table: data.table };
}

/** What every box says by itself. */
export function boxesOf(graph, data, source) {
  const value = (id) => graph.value(id);
  const gradient = (id) => graph.gradient(id);
  return Object.fromEntries(
    data.boxes.map((box) => [
      box.id,
      {
        fields: shownFields(
          graph,
          { ...box, fields: box.fields.map((field) => ({ ...field, from: source })) },
          value,
          gradient,
        ),
        note: box.sums ? contributions(graph, box.node) : "",
      },
    ]),
  );
}

const plain = (id) => id.replace(/\[.*/, ""); // of an element: the arrow, or the node

function arrowsOf(graph, data, paths, listed, flowing, { only }) {
  const lanes = new Map();
  listed.forEach(({ edges }, i) =>
    edges.forEach((edge) => {
      const there = lanes.get(plain(edge)) ?? [];
      if (!there.includes(i + 1)) lanes.set(plain(edge), [...there, i + 1]);
    }),
  );
  const flows = flowing ? flowSizes(paths) : new Map();
  const widest = Math.max(...[...flows.values()].map(Math.abs).filter(Number.isFinite), 0);
  const on = new Set([...paths.edgeCounts.keys()].map(plain));
  return Object.fromEntries(
    data.arrows.map((arrow) => {
      const flow = flows.get(arrow.id);
      const label = flowing && flow !== undefined ? flowLabel(arrow, flow, graph) : localText(graph, arrow);
      return [
        arrow.id,
        {
          label,
          only,
          faint: arrow.kind === "flow" && !on.has(arrow.id),
          lanes: flowing ? [] : (lanes.get(arrow.id) ?? []),
          flow: flow === undefined || !widest ? undefined : flow / widest,
        },
      ];
    }),
  );
}

const flowLabel = (arrow, flow, graph) => (arrow.single ? formatNumber(flow) : localText(graph, arrow));

/** What runs through each arrow: a number; of an array its largest element with the sign of the sum. */
function flowSizes(paths) {
  const found = new Map();
  for (const [edge, flow] of paths.flow) {
    const size = typeof flow === "number" ? flow : signedSize(flow);
    found.set(plain(edge), (found.get(plain(edge)) ?? 0) + size);
  }
  return found;
}

function signedSize({ data }) {
  const sum = data.reduce((a, b) => a + b, 0);
  return Math.sign(sum || 1) * data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}

function tableOf(graph, paths, listed, few, flowing, { source, only, element }) {
  const root = graph.node(graph.root).name;
  const name = graph.node(source).name + (element === null ? "" : `[${indexOf(graph.value(source).shape, element)}]`);
  const d = paths.scalar ? "d" : "∂";
  const quotient = `${d}${root}/${d}${name}`;
  if (!graph.gradient(source)) return { heading: `No gradient flows to ${name}` };
  if (!paths.count) return { heading: `${quotient} = 0: no path leads from ${name} to ${root}` };
  const rows = listed.map((path, i) => rowOf(graph, path, i + 1, flowing));
  if (!few) rows.push(othersOf(paths, listed));
  const g = element === null ? graph.gradient(source) : { shape: [], data: [graph.gradient(source).data[element]] };
  const ok = agrees(paths, g);
  return {
    heading: `${quotient} = ${paths.count === 1n ? "one path" : `sum over ${plural(paths.count, "path")}`}`,
    rows,
    only,
    ok,
    rest: remarks(paths, listed, few),
    total: paths.scalar ? { nodes: "sum", value: paths.gradient } : { nodes: "sum", array: paths.gradient },
    check: ok ? "equals the gradient of the backward pass" : `the backward pass gives ${formatNumber(g.data[0])}`,
  };
}

export const indexOf = (shape, flat) =>
  shape.reduceRight(([index, rest], n) => [[rest % n, ...index], Math.floor(rest / n)], [[], flat])[0].join(", ");

function rowOf(graph, { nodes, factors, product, share, live }, k, flowing) {
  const names = abridged(nodes.map((id) => nameOf(graph, id)));
  const numbers = factors.every((x) => x !== null);
  const shared =
    typeof product === "number"
      ? ""
      : `norm ${formatNumber(norm(product))}${Number.isNaN(share) ? "" : `, share ${percent(share)}`}`;
  return {
    k,
    lane: flowing ? 0 : k,
    nodes: names.join(" → "),
    share: shared,
    live,
    factors: numbers ? abridged(factors.map((x, i) => (i ? inBrackets(x) : formatNumber(x)))).join(" × ") : "",
    ...(typeof product === "number" ? { value: product } : { array: product }),
  };
}

function nameOf(graph, id) {
  const name = graph.node(plain(id)).name;
  if (!id.includes("[")) return name;
  return `${name}[${indexOf(graph.value(plain(id)).shape, Number(id.match(/\[(\d+)/)[1]))}]`;
}

function abridged(items) {
  if (items.length <= WRITTEN) return items;
  return [...items.slice(0, WRITTEN / 2), `… ${items.length - WRITTEN + 1} more …`, ...items.slice(-WRITTEN / 2)];
}

/** The paths without a row of their own, added up. */
function othersOf(paths, listed) {
  const n = paths.count - BigInt(listed.length);
  const nodes = `${listed.length ? "… and " : ""}${plural(n, listed.length ? "more path" : "path")}, added up, not listed`;
  if (paths.scalar) return { nodes, value: listed.reduce((rest, path) => rest - path.product, paths.gradient) };
  const data = paths.gradient.data.map((x, i) => listed.reduce((rest, path) => rest - path.product.data[i], x));
  return { nodes, array: { ...paths.gradient, data } };
}

function agrees(paths, g) {
  const sum = paths.scalar ? [paths.gradient] : paths.gradient.data;
  const size = Math.max(paths.scalar && Number.isFinite(paths.mass) ? paths.mass : 0, ...g.data.map(Math.abs));
  return [...sum].every(
    (x, i) => Object.is(x, g.data[i]) || x === g.data[i] || Math.abs(x - g.data[i]) <= 1e-9 * size + 1e-300,
  );
}

function remarks(paths, listed, few) {
  const lines = [];
  if (paths.scalar && paths.count > 1n) {
    const text = paths.factored();
    if (text && !text.includes("paths)") && text.length <= 600)
      lines.push(`Factored: ${text} = ${formatNumber(paths.gradient)}`);
    let line = `Σ|p| = ${formatNumber(paths.mass)}`;
    if (paths.cancellation) line += `, of which ${percent(paths.cancellation)} cancel`;
    if (paths.liveCount < paths.count)
      line += `; ${count(paths.liveCount)} of the ${count(paths.count)} paths are live (no factor is 0)`;
    if (!few) line += `; the ${listed.length} largest carry ${percent(paths.coverage(listed.length))}`;
    lines.push(line);
  }
  if (!few)
    lines.push(
      `Multiplications path by path: ${count(paths.cost.enumeration)}; by backpropagation: ${count(BigInt(paths.cost.backpropagation))}`,
    );
  return lines;
}
