// The graph between one element of an array and a single number: vertices and edges are those of single elements.

import { NdArray, broadcastTo, filled, offsetsOf, placesOf } from "./arrays.mjs";
import { carryOut, carryOutRule } from "./evaluate.mjs";
import { fitted, spread } from "./gradient.mjs";
import { PathGraph } from "./path_graph.mjs";

const MAX_ENTRIES = 1_000_000;

export function elementGraph(graph, between, element) {
  if (graph.value(graph.root).size !== 1) throw new Error("paths of single elements lead to a single number");
  const first = [];
  let total = 0;
  for (const id of between.nodes) {
    first.push(total);
    total += graph.value(id).size;
  }
  const nodes = between.nodes.flatMap((id) => [...graph.value(id).data.keys()].map((i) => `${id}[${i}]`));
  const steps = between.steps.flatMap(({ from, to, edge }) => {
    return jacobianEntries(graph, edge).map(([i, j, slope]) => {
      const [id, source, target] = [`${edge.id}[${i}>${j}]`, `${edge.source}[${i}]`, `${edge.target}[${j}]`];
      return { from: first[from] + i, to: first[to] + j, edge: { id, source, target, slot: edge.slot, slope } };
    });
  });
  steps.sort((p, q) => p.to - q.to || p.edge.slot - q.edge.slot || p.from - q.from);
  return PathGraph.pruned(nodes, steps, between.starts.map((v) => first[v] + element), nodes.length - 1);
}

/** [element of the argument, element of the result, derivative] where the derivative is not 0 whatever the numbers. */
function jacobianEntries(graph, edge) {
  const node = graph.prepared(edge.target);
  const inputs = node.args.map((arg) => graph.argument(arg));
  const [x, y] = [inputs[edge.slot], graph.value(edge.target)];
  const { kind } = node.operation;
  if (kind === "elementwise") return diagonal(node, edge.slot, x, y, inputs);
  if (x.size * y.size > MAX_ENTRIES) throw new Error(`a Jacobian of ${y.size} × ${x.size} is too large to be written out`);
  const rows = (result, values) => unitsOf(y).map((g) => fitted(carryOutRule(node.rules[edge.slot], g, result, values), x).data);
  const slopes = rows(y, inputs);
  const there = structure(node, edge.slot, x, y, inputs, slopes, rows);
  const entries = [];
  slopes.forEach((row, j) => row.forEach((slope, i) => there[j][i] !== 0 && entries.push([i, j, slope])));
  return entries;
}

function unitsOf(y) {
  return [...y.data.keys()].map((j) => {
    const unit = filled(y.shape, 0, y.dtype);
    unit.data[j] = 1;
    return unit;
  });
}

function diagonal(node, slot, x, y, inputs) {
  const slopes = broadcastTo(carryOutRule(node.rules[slot], filled(y.shape, 1, y.dtype), y, inputs), y.shape);
  const places = new NdArray(x.shape, Float64Array.from(placesOf(offsetsOf(x.shape))));
  return [...broadcastTo(places, y.shape).data].map((i, j) => [i, j, slopes.data[j]]);
}

/** Numbers that are 0 only where a derivative can be nothing else. */
function structure(node, slot, x, y, inputs, slopes, rows) {
  const { kind, entries } = node.operation;
  if (kind === "reduction") return unitsOf(y).map((g) => spread(g, x, node.params).data);
  if (kind === "linear" || entries === "ones") return slopes;
  const redrawn = (a, f) => new NdArray(a.shape, a.data.map((_, k) => f(k)), a.dtype);
  const others = (f) => inputs.map((a, i) => (node.rules[i] ? redrawn(a, f) : a));
  if (entries === "factors") return rows(y, others(() => 1));
  const generic = others((k) => 0.2 + 0.7 * ((k * 0.6180339887498949 + 0.31) % 1));
  const { op, params, forward, dtype } = node;
  const result = forward === null ? carryOut(op, generic, params, dtype) : carryOutRule(forward, null, null, generic);
  return rows(result, generic).map((row, j) => row.map((v, i) => Number(v !== 0 || slopes[j][i] !== 0)));
}
