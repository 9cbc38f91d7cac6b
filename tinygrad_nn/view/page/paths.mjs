// The gradient as a sum over paths: counts, products, flow, mass and the largest ones, as in tinygrad_nn/chain.

import { NdArray, filled } from "./arrays.mjs";
import { elementGraph } from "./elements.mjs";
import { factoredText } from "./factors.mjs";
import { edgeVjp, zip } from "./gradient.mjs";
import { ONE, ZERO, absolute, logOf, plus, ratio, times, toNumber } from "./numbers.mjs";
import { countsFromStart, countsToEnd } from "./path_graph.mjs";

export function pathsBetween(graph, between, fromId, { limit, element }) {
  if (element !== null) return new PathSum(graph, elementGraph(graph, between, element), `${fromId}[${element}]`, limit);
  const single = [fromId, graph.root, ...between.nodes].every((id) => graph.value(id).size === 1);
  return new (single ? PathSum : ArrayPathSum)(graph, between, fromId, limit);
}

/** Paths between single numbers; what is asked for is computed once. */
class PathSum {
  scalar = true;

  constructor(graph, between, source, limit) {
    this.graph = graph;
    this.between = between;
    this.source = source;
    this.limit = limit;
    this.known = new Map();
  }

  once(name, compute) {
    if (!this.known.has(name)) this.known.set(name, compute());
    return this.known.get(name);
  }

  // -- what a path carries: numbers that neither overflow nor underflow

  seed = ONE;

  zero() {
    return ZERO;
  }

  slope(edge) {
    return edge.slope ?? this.once(`slope ${edge.id}`, () => this.graph.local(edge.id));
  }

  /** Across an edge in a sum over paths: nothing where it is blocked. */
  extend = (edge, value) => (this.slope(edge) === 0 ? null : times(value, this.slope(edge)));

  /** Across an edge on one path. */
  extendPath = (edge, value) => (this.slope(edge) === 0 || value[0] === 0 ? ZERO : times(value, this.slope(edge)));

  combine = plus;

  asResult(value) {
    return toNumber(value);
  }

  isLive = (edge) => this.slope(edge) !== 0;

  // -- how many

  get edgeList() {
    return this.once("edges", () => [...new Set(this.between.steps.map((step) => step.edge))]);
  }

  get count() {
    return this.between.total(countsToEnd(this.between), (a, b) => a + b, 0n);
  }

  get liveCount() {
    const live = this.between.backward(1n, (edge, n) => (this.isLive(edge) ? n : null), (a, b) => a + b);
    return this.between.total(live, (a, b) => a + b, 0n);
  }

  get leftOut() {
    const beyond = this.count - BigInt(this.limit);
    return beyond > 0n ? beyond : 0n;
  }

  get edgeCounts() {
    return this.once("edge counts", () => {
      const [before, after] = [countsFromStart(this.between), countsToEnd(this.between)];
      return new Map(this.between.steps.map(({ from, to, edge }) => [edge.id, before[from] * after[to]]));
    });
  }

  get nodeCounts() {
    return this.intoNodes(this.edgeCounts, this.count, (a, b) => a + b);
  }

  /** What the edges into each node have together: but for the first, a path enters a node by one edge. */
  intoNodes(atEdges, all, combine) {
    const found = new Map(this.between.nodes.map((id) => [id, null]));
    for (const edge of this.edgeList) {
      const before = found.get(edge.target);
      const value = atEdges.get(edge.id);
      found.set(edge.target, before === null ? value : combine(before, value));
    }
    return new Map([...found].map(([id, value]) => [id, value ?? all]));
  }

  get cost() {
    const sums = this.between.backward([1n, 0n], (_, [n, m]) => [n, m + n], (a, b) => [a[0] + b[0], a[1] + b[1]]);
    const lengths = this.between.starts.reduce((sum, v) => sum + (sums[v]?.[1] ?? 0n), 0n);
    const enumeration = lengths > this.count ? lengths - this.count : 0n;
    return { enumeration, backpropagation: this.between.steps.filter((step) => step.to !== this.between.end).length };
  }

  // -- sums over all paths

  get adjoints() {
    return this.once("adjoints", () => this.between.backward(this.seed, this.extend, this.combine));
  }

  get total() {
    return this.once("total", () => this.between.total(this.adjoints, this.combine, this.zero()));
  }

  get gradient() {
    return this.asResult(this.total);
  }

  share(product) {
    return ratio([product, 0], this.total);
  }

  get scaledMass() {
    return this.once("mass", () => {
      const along = (edge, mass) => (this.isLive(edge) ? times(mass, Math.abs(this.slope(edge))) : null);
      return this.between.total(this.between.backward(ONE, along, plus), plus, ZERO);
    });
  }

  get mass() {
    return toNumber(this.scaledMass);
  }

  get logMass() {
    return logOf(this.scaledMass);
  }

  get cancellation() {
    return this.scaledMass[0] ? withinOne(1 - ratio(absolute(this.total), this.scaledMass)) : 0;
  }

  /** The part of the mass that the k largest paths hold. */
  coverage(k) {
    const sizes = this.best(k).reduce((sum, [, value]) => plus(sum, absolute(value)), ZERO);
    return this.scaledMass[0] ? withinOne(ratio(sizes, this.scaledMass)) : 1;
  }

  // -- flow

  get scaledFlow() {
    return this.once("flow", () => {
      const tangents = this.between.forward(ONE, this.extend, plus);
      const flows = new Map(this.edgeList.map((edge) => [edge.id, ZERO]));
      for (const { from, to, edge } of this.between.steps) {
        const [tangent, adjoint] = [tangents[from], this.adjoints[to]];
        if (tangent === null || adjoint === null || !this.isLive(edge)) continue;
        const [m, e] = times(times(tangent, this.slope(edge)), adjoint[0]);
        flows.set(edge.id, plus(flows.get(edge.id), [m, e + adjoint[1]]));
      }
      return flows;
    });
  }

  get flow() {
    return new Map([...this.scaledFlow].map(([id, flow]) => [id, toNumber(flow)]));
  }

  get shares() {
    return new Map([...this.scaledFlow].map(([id, flow]) => [id, ratio(flow, this.total)]));
  }

  get nodeFlow() {
    return this.intoNodes(this.flow, this.gradient, (a, b) => a + b);
  }

  // -- single paths

  path(edges, value) {
    const product = this.asResult(value);
    return {
      edges: edges.map((edge) => edge.id),
      nodes: [this.source, ...edges.map((edge) => edge.target)],
      factors: edges.map((edge) => (this.scalar ? this.slope(edge) : null)),
      product,
      size: this.scalar ? Math.abs(product) : normOf(product),
      share: this.share(product),
      live: edges.every(this.isLive),
    };
  }

  list() {
    const found = [];
    for (const [edges, value] of this.between.depthFirst(this.seed, this.extendPath)) {
      if (found.length === this.limit) break;
      found.push(this.path(edges, value));
    }
    return found;
  }

  top(k) {
    return this.best(k).map(([edges, value]) => this.path(edges, value));
  }

  /** No path is listed to find the largest: every vertex keeps its k best ways to the end, by logarithms. */
  best(k) {
    const extend = (edge, ways) => ways.map((way) => ({ log: blockedOr(logOf([this.slope(edge), 0]), way.log), edge, after: way }));
    const largest = (a, b) => [...a, ...b].sort((p, q) => q.log - p.log || 0).slice(0, k);
    const ways = this.between.backward([{ log: 0, edge: null, after: null }], extend, largest);
    const found = this.between.starts.flatMap((v) => ways[v] ?? []).sort((p, q) => q.log - p.log || 0).slice(0, k);
    return found.map((way) => {
      const edges = [];
      for (let at = way; at.edge !== null; at = at.after) edges.push(at.edge);
      return [edges, edges.reduceRight((value, edge) => this.extendPath(edge, value), this.seed)];
    });
  }

  /** The gradient as a product of sums. */
  factored() {
    return factoredText(this);
  }
}

/** Paths through whole arrays: their products are vector-Jacobian products, in the shape of the input. */
class ArrayPathSum extends PathSum {
  scalar = false;

  constructor(graph, between, source, limit) {
    super(graph, between, source, limit);
    const root = graph.value(graph.root);
    this.seed = filled(root.shape, 1, root.dtype);
  }

  zero() {
    const x = this.graph.value(this.source);
    return filled(x.shape, 0, x.dtype);
  }

  extend = (edge, value) => edgeVjp(this.graph, edge, value);
  extendPath = this.extend;
  combine = (a, b) => zip(a, b, (x, y) => x + y);

  asResult(value) {
    return value;
  }

  isLive = (edge) => this.once(`live ${edge.id}`, () => {
    const y = this.graph.value(edge.target);
    const generic = new NdArray(y.shape, y.data.map((_, i) => Math.sin(1.7 * i + 1)), y.dtype);
    return edgeVjp(this.graph, edge, generic).data.some((v) => v !== 0);
  });

  share(product) {
    const [p, g] = [product.data, this.gradient.data];
    const size = g.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    const dot = (a, b) => a.reduce((sum, v, i) => sum + (v / size) * (b[i] / size), 0);
    return size ? dot(p, g) / dot(g, g) : NaN;
  }

  get listed() {
    return this.once("listed", () => {
      const found = [];
      for (const [edges, value] of this.between.depthFirst(this.seed, this.extendPath)) {
        if (found.length === this.limit) break;
        found.push([edges, value, normOf(value)]);
      }
      return found.sort((a, b) => b[2] - a[2]);
    });
  }

  get mass() {
    return this.leftOut ? NaN : this.listed.reduce((sum, [, , size]) => sum + size, 0);
  }

  get logMass() {
    return Math.log(this.mass);
  }

  get cancellation() {
    return this.mass ? withinOne(1 - normOf(this.gradient) / this.mass) : 0;
  }

  coverage(k) {
    return this.mass ? withinOne(this.best(k).reduce((sum, [, value]) => sum + normOf(value), 0) / this.mass) : 1;
  }

  best(k) {
    return this.listed.slice(0, k).map(([edges, value]) => [edges, value]);
  }

  /** For each edge the sum of all paths through it: a backward sweep for each edge that some miss. */
  get flow() {
    return this.once("flow", () => new Map(this.edgeList.map((edge) => [edge.id, this.flowAlong(edge)])));
  }

  flowAlong(edge) {
    if (this.edgeCounts.get(edge.id) === this.count) return this.gradient;
    const { nodes, steps } = this.between;
    const values = nodes.map(() => null);
    const only = steps.find((step) => step.edge === edge);
    values[only.from] = this.extend(edge, this.adjoints[only.to]);
    for (let i = steps.indexOf(only) - 1; i >= 0; i--) {
      this.between.carry(values, steps[i], "to", "from", this.extend, this.combine);
    }
    return this.between.total(values, this.combine, this.zero());
  }

  get shares() {
    return new Map([...this.flow].map(([id, flow]) => [id, this.share(flow)]));
  }

  get nodeFlow() {
    return this.intoNodes(this.flow, this.gradient, this.combine);
  }
}

/** A logarithm along a way: a zero blocks, whatever else is on it. */
function blockedOr(log, before) {
  return log === -Infinity || before === -Infinity ? -Infinity : log + before;
}

function normOf(x) {
  return Math.sqrt(x.data.reduce((sum, v) => sum + v * v, 0));
}

/** A share, without what rounding adds. */
function withinOne(x) {
  return Number.isNaN(x) ? x : Math.min(1, Math.max(0, x));
}
