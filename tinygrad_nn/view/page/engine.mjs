// A recorded computation at any numbers: values forwards, gradients backwards, paths between; docs/page.md has its names.

import { NdArray, arrayFrom, cast, filled, numberFrom } from "./arrays.mjs";
import { check } from "./check.mjs";
import { carryOut, carryOutRule, isKnown, parametersFrom, ruleFrom } from "./evaluate.mjs";
import { descentOf } from "./descent.mjs";
import { backward, edgeVjp, slopeOf } from "./gradient.mjs";
import { PathGraph } from "./path_graph.mjs";
import { pathsBetween } from "./paths.mjs";

/** The graph of a program, as JSON has it. */
export function load(program) {
  return new Graph(program);
}

class Graph {
  constructor(program) {
    this.program = program;
    this.root = program.root;
    this.byId = new Map((program.nodes ?? []).map((node) => [node.id, node]));
    this.nodes = [...this.byId.keys()];
    this.edges = this.nodes.flatMap((id) => edgesInto(this.byId.get(id)));
    this.edgeById = new Map(this.edges.map((edge) => [edge.id, edge]));
    const rules = (program.rules ?? []).map(ruleFrom);
    const operations = new Map((program.operations ?? []).map((op) => [op.name, op]));
    this.ready = new Map([...this.byId].map(([id, node]) => [id, preparedNode(node, rules, operations)]));
    this.unknown = this.unknownOperation(rules);
    this.reason = program.reason || this.unknown;
    this.recorded = new Map([...this.byId].map(([id, node]) => [id, arrayFrom(node)]));
    this.between = new Map();  // the graphs of paths, by the node where they begin
    this.reset();
  }

  /** Whether its rules are known, so that local derivatives of the recorded point at least can be computed. */
  get ruled() {
    return !this.program.reason && !this.unknown;
  }

  get live() {
    return this.reason === "";
  }

  unknownOperation(rules) {
    const asked = [...this.ready.values()].filter((node) => node.op && node.forward === null).map((node) => node.op);
    const unknown = [...asked, ...rules.flatMap((rule) => rule.code.map((step) => step.op))].find((name) => !isKnown(name));
    return unknown === undefined ? "" : `the page does not know the operation ${unknown}`;
  }

  node(id) {
    return this.byId.get(id);
  }

  edge(edgeId) {
    return this.edgeById.get(edgeId);
  }

  /** A node with its rules at hand. */
  prepared(id) {
    return this.ready.get(id);
  }

  /** Back to the recorded point. */
  reset() {
    this.values = new Map(this.recorded);
    this.stale = new Set();
    this.swept = null;
    this.descended = undefined;
  }

  /** One element of a leaf, or with null all of them. */
  set(leafId, flatIndex, number) {
    if (!this.live) throw new Error(`not live: ${this.reason}`);
    const old = this.values.get(leafId);
    if (old === undefined || this.prepared(leafId).op) throw new Error(`${leafId} is no leaf`);
    const data = Float64Array.from(old.data);
    if (flatIndex !== null) data[flatIndex] = number;
    else if (typeof number === "number") data.fill(number);
    else data.set(number);
    this.values.set(leafId, cast(new NdArray(old.shape, data), old.dtype));
    this.markStale(leafId);
    this.swept = null;
    this.descended = undefined;
  }

  markStale(changed) {
    const reached = new Set([changed]);
    for (const id of this.nodes) {
      if (this.prepared(id).args.some((arg) => reached.has(arg))) {
        reached.add(id);
        this.stale.add(id);
      }
    }
  }

  value(id) {
    if (this.stale.has(id)) {
      for (const before of this.nodes) {
        if (this.stale.delete(before)) this.values.set(before, this.computed(before));
        if (before === id) break;
      }
    }
    return this.values.get(id);
  }

  /** What an operation gives for the present values of its arguments. */
  computed(id) {
    const { op, args, params, forward, dtype } = this.prepared(id);
    const inputs = args.map((arg) => this.argument(arg));
    return forward === null ? carryOut(op, inputs, params, dtype) : cast(carryOutRule(forward, null, null, inputs), dtype);
  }

  /** An argument as rules see it: the value of a node, a number, or null for none. */
  argument(text) {
    if (text === "") return null;
    return this.byId.has(text) ? this.value(text) : filled([], numberFrom(text));
  }

  get sweep() {
    const seed = this.value(this.root);
    this.swept ??= backward(this, filled(seed.shape, 1, seed.dtype));
    return this.swept;
  }

  gradient(id) {
    const node = this.node(id);
    if (!node.tracked) return null;
    if (this.live) return this.sweep.gradients.get(id) ?? null;
    return node.gradient ? arrayFrom({ ...node, value: node.gradient }) : null;
  }

  sent(edgeId) {
    const edge = this.edge(edgeId);
    return this.ruled ? (this.sweep.sent.get(`${edge.target}.${edge.slot}`) ?? null) : null;
  }

  /** What an edge makes of a gradient of its target; null where that is not known. */
  vjp(edgeId, g) {
    return this.ruled ? edgeVjp(this, this.edge(edgeId), g) : null;
  }

  local(edgeId) {
    const edge = this.edge(edgeId);
    if (!edge.flows || this.value(edge.source).size !== 1 || this.value(edge.target).size !== 1) return null;
    return this.ruled ? slopeOf(this, edge) : numberFrom(this.node(edge.target).slopes[edge.slot]);
  }

  /** ‖∇root‖² as a flow from all inputs together; null where it is not known. */
  get descent() {
    if (this.descended === undefined) this.descended = this.live && this.value(this.root).size === 1 ? descentOf(this) : null;
    return this.descended;
  }

  /** The paths from a node, or from one element of it, to the root. */
  paths(fromId, { limit = 1000, element = null } = {}) {
    if (!this.between.has(fromId)) this.between.set(fromId, PathGraph.between(this, fromId));
    return pathsBetween(this, this.between.get(fromId), fromId, { limit, element });
  }

  /** Whether the recorded point comes out again; if not, the graph stays with what was recorded. */
  check() {
    const result = check(this);
    if (!result.ok && this.live) {
      this.reset();
      this.reason = `the page computes ${result.faults[0].what} of ${this.node(result.faults[0].id).name} differently`;
    }
    return result;
  }
}

function edgesInto({ id, args = [], arrows = [], rules = [] }) {
  const edges = args.map((source, slot) => ({ id: arrows[slot], source, target: id, slot, flows: rules[slot] >= 0 }));
  return edges.filter((edge) => edge.id);
}

function preparedNode(node, rules, operations) {
  const numbered = (some = []) => some.map((k) => (k < 0 ? null : (rules[k] ?? null)));
  const { op = "", args = [], params = {}, dtype = "float64", forward = -1 } = node;
  return {
    op,
    args,
    dtype,
    params: parametersFrom(params),
    forward: forward < 0 ? null : rules[forward],
    rules: numbered(node.rules),
    tangents: numbered(node.tangents),
    operation: { kind: "", entries: "", selects: false, passes: false, matrix_product: false, ...operations.get(op) },
  };
}
