// Boxes and arrows of a program with the places that dagre gives them, as `page_boxes.py` and `places.py` do in Python.

import { CELL, DOT, NOTE, SIDE, TITLE, fieldHeight } from "./boxes.mjs";
import { Graph, layout } from "./vendor/dagre.mjs";

const WIDTHS = [930, 640];
const MOST_NODES = 250;
const MOST_PASSED = 2000; // ranks, by all arrows together
const MOST_CELLS = [6, 10];
const ROOM = "−0.0000e−0"; // for a number

const brush = document.createElement("canvas").getContext("2d");

/** How wide a text is. */
function measure(text, size, bold = false) {
  brush.font = `${bold ? "bold " : ""}${size}px Arial, Helvetica, "Liberation Sans", sans-serif`;
  return brush.measureText(text).width;
}

/** What `Page` takes, of a program of the playground. */
export function dataOf(program, { title, theme }) {
  const root = program.nodes.find(({ id }) => id === program.root);
  const parts = new Map();
  for (const node of program.nodes)
    (node.args ?? []).forEach((arg, i) => node.rules[i] >= 0 && parts.set(arg, (parts.get(arg) ?? 0) + 1));
  const boxes = program.nodes.map((node) => boxOf(node, root, parts.get(node.id) ?? 0));
  const arrows = program.nodes.flatMap((node) => arrowsInto(node, program.nodes));
  const layouts = placed(boxes, arrows);
  const level = { boxes, arrows, layouts, clusters: [] };
  return { title: title ?? `${root.name} = ${root.formula}`, theme, levels: [level], level: 0, program, notes: [] };
}

function boxOf(node, root, parts) {
  const label = root.name.length <= 3 && node.name.length <= 4 ? `∂${root.name}/∂${node.name}` : "gradient";
  const size = node.shape.length
    ? { rows: Math.min(MOST_CELLS[0], node.shape[0]), columns: 1, spelled: node.shape[0] <= 4 }
    : {};
  const fields = [{ label: "value", live: "value", node: node.id, ...size }];
  if (node.tracked) fields.push({ label, live: "gradient", node: node.id, ...size });
  const labels = Math.round(Math.max(...fields.map((field) => measure(field.label, 11))) + 8);
  const word = { input: "input", output: "output", constant: "constant" }[node.role] ?? "";
  const title = node.op ? `${node.name} = ${node.formula}` : node.name;
  const inner = size.rows ? (size.spelled ? CELL[0] : DOT) : measure(ROOM, 12);
  const note = parts > 1 ? measure(`Σ ${parts} contributions: ${"− 0.0000 ".repeat(Math.min(parts, 6))}`, 11) : 0;
  const width =
    Math.max(
      measure(title, 13, true) + (word ? measure(word, 11) + 8 : 0) + 16 + 8 * Math.min(parts, 6),
      labels + inner,
      note,
    ) +
    2 * SIDE;
  const height = TITLE + 8 + fields.reduce((sum, field) => sum + fieldHeight(field), 0) + (parts > 1 ? NOTE : 0);
  return {
    id: node.id,
    node: node.id,
    role: node.role,
    name: node.name,
    title,
    word,
    numbered: node.numbered,
    labels,
    fields,
    sums: parts > 1,
    size: [Math.round(width), height],
  };
}

function arrowsInto(node, nodes) {
  const slopes = node.sloped ? node.sloped() : [];
  return (node.args ?? [])
    .map((arg, slot) => ({ arg, slot, id: node.arrows[slot] }))
    .filter(({ id }) => id)
    .map(({ arg, slot, id }) => {
      const single = !node.shape.length && !nodes.find((other) => other.id === arg).shape.length;
      return {
        id,
        source: arg,
        target: node.id,
        slot,
        formula: slopes[slot] ?? "",
        single,
        kind: node.rules[slot] >= 0 ? "flow" : "constant",
      };
    });
}

/** For each width: to the right where that fits, else down. */
function placed(boxes, arrows) {
  const ranks = ranksOf(boxes, arrows);
  const least = (Math.max(...ranks.values()) + 1) * Math.min(...boxes.map(({ size }) => size[0]));
  const right = least <= WIDTHS[0] ? arranged(boxes, arrows, "LR") : { width: Infinity };
  const down = WIDTHS.some((width) => right.width > width) ? arranged(boxes, arrows, "TB") : null;
  return WIDTHS.map((width) => (right.width <= width ? right : down));
}

/** How many arrows the longest path to each box has. */
function ranksOf(boxes, arrows) {
  const ranks = new Map(boxes.map(({ id }) => [id, 0]));
  for (const { source, target } of arrows) ranks.set(target, Math.max(ranks.get(target), ranks.get(source) + 1));
  return ranks;
}

/** Whether a layout would take seconds: arrows that pass many ranks are what it costs. */
export function isTooLarge({ nodes }) {
  const arrows = nodes.flatMap(({ id, args = [], arrows: ids = [] }) =>
    args.filter((_, slot) => ids[slot]).map((source) => ({ source, target: id })),
  );
  const ranks = ranksOf(nodes, arrows);
  const passed = arrows.reduce((sum, { source, target }) => sum + ranks.get(target) - ranks.get(source), 0);
  return nodes.length > MOST_NODES || passed > MOST_PASSED;
}

function arranged(boxes, arrows, rankdir) {
  const graph = new Graph({ multigraph: true })
    .setGraph({ rankdir, nodesep: 28, ranksep: rankdir === "LR" ? 30 : 36, edgesep: 16 })
    .setDefaultEdgeLabel(() => ({}));
  for (const {
    id,
    size: [width, height],
  } of boxes)
    graph.setNode(id, { width, height });
  for (const { id, source, target, formula, single } of arrows) {
    const text = single ? `${formula} = −0.0000` : formula;
    const beside = { labelpos: rankdir === "LR" ? "l" : "r", labeloffset: 8 };
    graph.setEdge(source, target, { width: measure(text, 11) + 12, height: 18, ...beside }, id);
  }
  layout(graph);
  const found = {
    boxes: {},
    arrows: {},
    labels: {},
    width: Math.ceil(graph.graph().width),
    height: Math.ceil(graph.graph().height),
  };
  for (const { id } of boxes) {
    const { x, y, width, height } = graph.node(id);
    found.boxes[id] = [x - width / 2, y - height / 2, width, height];
  }
  for (const { id, source, target } of arrows) {
    const { points, x, y } = graph.edge(source, target, id);
    found.arrows[id] = curved(points.map((p) => [p.x, p.y]));
    found.labels[id] = [x, y];
  }
  return found;
}

/** Bézier curves through points (Catmull and Rom), and the tip. */
function curved(points) {
  const at = (i) => points[Math.max(0, Math.min(points.length - 1, i))];
  const numbers = [...points[0]];
  for (let i = 0; i + 1 < points.length; i++) {
    const [a, b, c, d] = [at(i - 1), at(i), at(i + 1), at(i + 2)];
    numbers.push(
      b[0] + (c[0] - a[0]) / 6,
      b[1] + (c[1] - a[1]) / 6,
      c[0] - (d[0] - b[0]) / 6,
      c[1] - (d[1] - b[1]) / 6,
      ...c,
    );
  }
  return [...numbers, ...points.at(-1)];
}
