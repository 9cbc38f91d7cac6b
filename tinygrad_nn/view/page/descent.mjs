// Where the gain of a small step of gradient descent comes from: ‖∇z‖² as a flow through the graph, as in chain/descent.py.

import { NdArray, axesOf, broadcastTo, cast, filled, mapped, reshaped, sameShape } from "./arrays.mjs";
import { carryOut, carryOutRule } from "./evaluate.mjs";

/**
 * ‖∂z/∂x‖² of each input by id, their `total`, and what each edge carries of it: on every cut it adds up to the total.
 * Null where it is not known: an operation has no forward mode, or a number is not finite.
 */
export function descentOf(graph) {
  const tangents = new Map();
  const byInput = new Map();
  const flow = new Map();
  for (const id of graph.nodes) {
    const [node, adjoint] = [graph.prepared(id), graph.gradient(id)];
    if (!adjoint) continue;
    if (!node.op) {
      byInput.set(id, dot(adjoint, adjoint));
      tangents.set(id, adjoint);
    } else if (!into(graph, id, adjoint, tangents, flow)) return null;
  }
  const total = [...byInput.values()].reduce((sum, x) => sum + x, 0);
  return [total, ...flow.values()].every(Number.isFinite) ? { byInput, flow, total } : null;
}

/** The flow on the edges into a node, and how the node moves with its arguments; false where that is not known. */
function into(graph, id, adjoint, tangents, flow) {
  const { args, rules, operation, tangents: given } = graph.prepared(id);
  for (const [slot, source] of args.entries()) {
    if (!rules[slot] || !tangents.has(source)) continue;
    if (!operation.kind && !given[slot]) return false;
    const moved = tangentOf(graph, id, slot, tangents.get(source));
    flow.set(graph.node(id).arrows[slot], dot(moved, adjoint));
    const there = tangents.get(id);
    tangents.set(id, there ? mapped((a, b) => a + b, [there, moved]) : moved);
  }
  return true;
}

/** How the result of a node moves when one argument moves by t: from the kind of its Jacobian, as in forward_mode.py. */
function tangentOf(graph, id, slot, t) {
  const { op, operation, rules, tangents, forward, params, dtype } = graph.prepared(id);
  const [y, inputs] = [graph.value(id), graph.prepared(id).args.map((arg) => graph.argument(arg))];
  const rule = (g) => carryOutRule(rules[slot], g, y, inputs);
  let moved;
  if (tangents[slot]) moved = carryOutRule(tangents[slot], t, y, inputs);
  else if (operation.kind === "linear" || operation.kind === "multilinear") {
    const held = (x) => (operation.kind === "linear" && x !== null ? filled(x.shape, 0, x.dtype) : x);
    const args = inputs.map((x, i) => (i === slot ? t : held(x)));
    moved = forward === null ? carryOut(op, args, params, dtype) : carryOutRule(forward, null, null, args);
  } else if (operation.kind === "reduction") moved = reduced(rule(filled(y.shape, 1, y.dtype)), t, params);
  else moved = blocked(rule(broadcastTo(t, y.shape)), broadcastTo(t, y.shape));
  return cast(sameShape(moved.shape, y.shape) ? moved : broadcastTo(moved, y.shape), dtype);
}

/** Each row of the Jacobian is the gradient of one element of the result. */
function reduced(slopes, t, { axis = null, keepdims = false }) {
  const part = blocked(mapped((slope, by) => slope * by, [slopes, t]), t);
  const axes = axesOf(axis, part.ndim);
  const sum = carryOut("sum", [part], { axis: axes, keepdims: true }, part.dtype);
  return keepdims ? sum : reshaped(sum, sum.shape.filter((_, a) => !axes.includes(a)));
}

/** A zero blocks an infinity behind it. */
function blocked(part, t) {
  if (part.data.every(Number.isFinite)) return part;
  return new NdArray(part.shape, part.data.map((v, i) => (broadcastTo(t, part.shape).data[i] === 0 ? 0 : v)), part.dtype);
}

const dot = (a, b) => a.data.reduce((sum, x, i) => sum + x * b.data[i], 0);
