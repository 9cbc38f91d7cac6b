// The backward pass: rules that came as data, one part for each argument, summed over what broadcasting repeated.
// As in exact_zeros.py, 0 · ∞ and 0 · NaN are 0 behind a choice; that is looked after only once a NaN has come up.

import { NdArray, axesOf, broadcastTo, cast, filled, mapped, reshaped, sameShape, unbroadcast } from "./arrays.mjs";
import { carryOut, carryOutRule } from "./evaluate.mjs";

const DIRECT = ["elementwise", "reduction"];

/** What a rule sends back to an argument, before it is made to fit. */
function partOf(node, slot, g, y, inputs) {
  return carryOutRule(node.rules[slot], g, y, inputs);
}

/** The part in the shape and dtype of the input that it belongs to. */
export function fitted(part, x) {
  return cast(unbroadcast(part, x.shape), x.dtype);
}

/** The gradients of all nodes by id, and the parts sent along edges by "id.slot". */
export function backward(graph, seed) {
  const found = sweep(graph, seed, false);
  return found.doubtful ? sweep(graph, seed, true) : found;
}

function sweep(graph, seed, exactly) {
  const gradients = new Map([[graph.root, seed]]);
  const zeros = new Map([[graph.root, exactly ? seed.data.map((v) => Number(v === 0)) : null]]);
  const sent = new Map();
  let doubtful = false;
  for (const id of [...graph.nodes].reverse()) {
    const node = graph.prepared(id);
    const g = gradients.get(id);
    if (g === undefined || !node.rules.some((rule) => rule !== null)) continue;
    const y = graph.value(id);
    const inputs = node.args.map((arg) => graph.argument(arg));
    node.rules.forEach((rule, slot) => {
      if (rule === null) return;
      const zero = maskOf(zeros.get(id) ?? null, g);
      const [part, exact] = exactly ? sentBack(node, slot, g, zero, y, inputs) : [partOf(node, slot, g, y, inputs), null];
      const mine = fitted(part, inputs[slot]);
      doubtful ||= mine.data.some(Number.isNaN);
      sent.set(`${id}.${slot}`, mine);
      add(node.args[slot], mine, exact === null ? null : fittedZeros(exact, part, inputs[slot]).data, gradients, zeros);
    });
  }
  return { gradients, sent, doubtful };
}

function maskOf(zeros, g) {
  return zeros === null || !zeros.some((v) => v) ? null : new NdArray(g.shape, zeros);
}

/** Adds a part to the gradient of a node; an exact zero stays one where all parts have one. */
function add(id, part, exact, gradients, zeros) {
  const before = gradients.get(id);
  gradients.set(id, before === undefined ? part : cast(mapped((a, b) => a + b, [before, part]), part.dtype));
  const old = before === undefined ? exact : zeros.get(id);
  zeros.set(id, old === null || exact === null ? null : exact.map((v, i) => Number(v && old[i])));
}

// --- exact zeros -----------------------------------------------------------------------------------------------------

function sentBack(node, slot, g, zeros, y, inputs) {
  const { kind, entries } = node.operation;
  const exact = behind(node, slot, zeros, y, inputs);
  let part = partOf(node, slot, g, y, inputs);
  if (kind === "multilinear" || entries === "factors") part = withoutBlocked(node, slot, part, g, zeros, y, inputs);
  const blocks = exact !== null && (DIRECT.includes(kind) || kind === "multilinear" || entries === "factors");
  if (!blocks) return [part, exact];
  const whole = broadcastTo(exact, part.shape);
  return [new NdArray(part.shape, part.data.map((v, i) => (whole.data[i] && (Number.isNaN(v) || v === 0) ? 0 : v))), exact];
}

/** Which elements of the part are exact zeros, given those of the output's gradient. */
function behind(node, slot, zeros, y, inputs) {
  const { kind, passes, selects } = node.operation;
  if (!passes || (zeros === null && !selects)) return null;
  if (!selects && kind === "elementwise") return zeros;
  if (!selects && kind === "reduction") return spread(zeros, inputs[slot], node.params);
  const others = selects ? inputs : inputs.map((x, i) => (node.rules[i] ? probe(node, null, x) : x));
  const part = partOf(node, slot, probe(node, zeros, y), y, others);
  return mapped((v) => Number(v === 0), [part]);
}

/** 0 at exact zeros, elsewhere numbers whose sums and differences are not 0 by accident. */
function probe(node, zeros, like) {
  const simple = node.operation.kind === "elementwise" || node.operation.entries !== "";
  const number = (i) => (simple ? 1 : 1 + ((i * 0.6180339887498949 + 0.137) % 1) ** 2);
  return new NdArray(like.shape, like.data.map((_, i) => (zeros !== null && zeros.data[i] ? 0 : number(i))));
}

/** The result of a reduction at each element that went into it. */
export function spread(g, x, { axis = null, keepdims = false }) {
  if (keepdims || g.ndim === 0) return broadcastTo(g, x.shape);
  const axes = axesOf(axis, x.ndim);
  return broadcastTo(reshaped(g, x.shape.map((n, a) => (axes.includes(a) ? 1 : n))), x.shape);
}

/** A sum of products without the terms where an exact zero meets ∞ or NaN, where all others are finite. */
function withoutBlocked(node, slot, part, g, zeros, y, inputs) {
  const factors = node.operation.matrix_product ? inputs.slice(0, 2) : inputs;
  const isSingular = (x) => x.data.some((v) => !Number.isFinite(v));
  const others = [...factors.keys()].filter((i) => i !== slot && node.rules[i] && isSingular(factors[i]));
  if (zeros === null || others.length === 0 || !part.data.some(Number.isNaN)) return part;
  const ones = inputs.map((x, i) => (node.rules[i] ? filled(x.shape, 1) : x));
  const singular = (x) => mapped((v) => Number(!Number.isFinite(v)), [x]);
  const direction = probe(node, zeros, g);
  const kept = others.map((i) => partOf(node, slot, direction, y, ones.map((x, k) => (k === i ? singular(inputs[i]) : x))));
  const finite = inputs.map((x, i) => (others.includes(i) ? mapped((v) => (Number.isFinite(v) ? v : 0), [x]) : x));
  const clean = partOf(node, slot, g, y, finite);
  const blocked = (v, i) => Number.isNaN(v) && kept.every((terms) => terms.data[i] === 0);
  return new NdArray(part.shape, part.data.map((v, i) => (blocked(v, i) ? clean.data[i] : v)));
}

/** The exact zeros of a part that is summed over what broadcasting repeated. */
function fittedZeros(exact, part, x) {
  const others = mapped((v) => 1 - v, [broadcastTo(exact, part.shape)]);
  return sameShape(part.shape, x.shape) ? exact : mapped((v) => Number(v === 0), [unbroadcast(others, x.shape)]);
}

// --- one edge --------------------------------------------------------------------------------------------------------

/** g times the Jacobian of an edge; a zero blocks, whatever is behind it. */
export function edgeVjp(graph, edge, g) {
  const node = graph.prepared(edge.target);
  const inputs = node.args.map((arg) => graph.argument(arg));
  let part = partOf(node, edge.slot, g, graph.value(edge.target), inputs);
  if (node.operation.kind === "elementwise" && part.data.some((v) => !Number.isFinite(v))) {
    part = carryOut("where", [mapped((v) => Number(v === 0), [g]), filled([], 0), part], {}, part.dtype);
  }
  return fitted(part, inputs[edge.slot]);
}

/** The local derivative between single numbers: what the rule makes of 1. */
export function slopeOf(graph, edge) {
  const node = graph.prepared(edge.target);
  const inputs = node.args.map((arg) => graph.argument(arg));
  const y = graph.value(edge.target);
  return cast(partOf(node, edge.slot, filled(y.shape, 1, y.dtype), y, inputs), inputs[edge.slot].dtype).item();
}
