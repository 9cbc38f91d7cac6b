// The gradient as a sum over paths: counts, products, flow, mass and the largest ones, as in tinygrad_nn/chain.

import { NdArray, filled, mapped } from "./arrays.mjs";
import { elementGraph } from "./elements.mjs";
import { factoredText } from "./factors.mjs";
import { edgeVjp } from "./gradient.mjs";

const plus = (a, b) => a + b;

export function pathsBetween(graph, between, fromId, { limit, element }) {
  if (element !== null && !graph.live) throw new Error(`not live: ${graph.reason}`);
  if (element !== null) return new PathSum(graph, elementGraph(graph, between, element), `${fromId}[${element}]`, limit);
  const single = [fromId, graph.root, ...between.nodes].every((id) => graph.value(id).size === 1);
  return new (single ? PathSum : graph.live ? ArrayPathSum : CountedPathSum)(graph, between, fromId, limit);
}

/** Paths between single numbers; what takes long is computed once. */
class PathSum {
  constructor(graph, between, source, limit) {
    Object.assign(this, { graph, between, source, limit, scalar: true, known: new Map(), seed: 1, zero: 0 });
  }

  once(name, compute) {
    if (!this.known.has(name)) this.known.set(name, compute());
    return this.known.get(name);
  }

  // -- what a path carries

  slope(edge) {
    return edge.slope ?? this.once(`slope ${edge.id}`, () => this.graph.local(edge.id));
  }

  isLive(edge) {
    return this.slope(edge) !== 0;
  }

  /** Across an edge in a sum over paths: nothing where it is blocked. */
  extend(edge, value) {
    return this.isLive(edge) ? value * this.slope(edge) : null;
  }

  /** Across an edge on one path, where a zero blocks whatever else is on it. */
  extendPath(edge, value) {
    return this.isLive(edge) && value !== 0 ? value * this.slope(edge) : 0;
  }

  combine(a, b) {
    return a + b;
  }

  sizeOf(value) {
    return Math.abs(value);
  }

  back(seed, extend = (edge, value) => this.extend(edge, value), combine = this.combine) {
    return this.between.backward(seed, extend, combine);
  }

  // -- how many

  get edges() {
    return this.once("edges", () => [...new Set(this.between.steps.map((step) => step.edge))]);
  }

  get countsToEnd() {
    return this.once("counts", () => this.back(1n, (_, n) => n, plus).map((n) => n ?? 0n));
  }

  get count() {
    return this.between.total(this.countsToEnd, plus, 0n);
  }

  get liveCount() {
    return this.between.total(this.back(1n, (edge, n) => (this.isLive(edge) ? n : null), plus), plus, 0n);
  }

  get leftOut() {
    const beyond = this.count - BigInt(this.limit);
    return beyond > 0n ? beyond : 0n;
  }

  get edgeCounts() {
    return this.once("edge counts", () => {
      const before = this.between.forward(1n, (_, n) => n, plus);
      return new Map(this.between.steps.map(({ from, to, edge }) => [edge.id, (before[from] ?? 0n) * this.countsToEnd[to]]));
    });
  }

  get nodeCounts() {
    return this.intoNodes(this.edgeCounts, this.count, plus);
  }

  /** What the edges into each node have together: but for the first, a path enters a node by one edge. */
  intoNodes(atEdges, all, combine) {
    const found = new Map(this.between.nodes.map((id) => [id, null]));
    for (const { id, target } of this.edges) {
      const before = found.get(target);
      found.set(target, before === null ? atEdges.get(id) : combine(before, atEdges.get(id)));
    }
    return new Map([...found].map(([id, value]) => [id, value ?? all]));
  }

  /** Multiplications path by path, and in one backward sweep. */
  get cost() {
    const sums = this.back([1n, 0n], (_, [n, m]) => [n, m + n], (a, b) => [a[0] + b[0], a[1] + b[1]]);
    const [n, m] = this.between.total(sums, (a, b) => [a[0] + b[0], a[1] + b[1]], [0n, 0n]);
    const backpropagation = this.between.steps.filter((step) => step.to !== this.between.end).length;
    return { enumeration: m > n ? m - n : 0n, backpropagation };
  }

  // -- sums over all paths

  get adjoints() {
    return this.once("adjoints", () => this.back(this.seed));
  }

  get gradient() {
    return this.once("gradient", () => this.between.total(this.adjoints, this.combine, this.zero));
  }

  share(product) {
    return this.gradient === 0 ? NaN : product / this.gradient;
  }

  get mass() {
    const along = (edge, mass) => (this.isLive(edge) ? mass * Math.abs(this.slope(edge)) : null);
    return this.once("mass", () => this.between.total(this.back(1, along), plus, 0));
  }

  get logMass() {
    return Math.log(this.mass);
  }

  get cancellation() {
    return this.mass === 0 ? 0 : withinOne(1 - this.sizeOf(this.gradient) / this.mass);
  }

  /** The part of the mass that the k largest paths hold. */
  coverage(k) {
    const held = this.best(k).reduce((sum, [, value]) => sum + this.sizeOf(value), 0);
    return this.mass === 0 ? 1 : withinOne(held / this.mass);
  }

  // -- flow

  get flow() {
    return this.once("flow", () => {
      const tangents = this.between.forward(1, (edge, value) => this.extend(edge, value), plus);
      return new Map(this.between.steps.map(({ from, to, edge }) => {
        const meets = tangents[from] !== null && this.adjoints[to] !== null && this.isLive(edge);
        return [edge.id, meets ? tangents[from] * this.slope(edge) * this.adjoints[to] : 0];
      }));
    });
  }

  get shares() {
    return new Map([...this.flow].map(([id, flow]) => [id, this.share(flow)]));
  }

  get nodeFlow() {
    return this.intoNodes(this.flow, this.gradient, this.combine);
  }

  // -- single paths

  path(edges, product) {
    return {
      edges: edges.map((edge) => edge.id),
      nodes: [this.source, ...edges.map((edge) => edge.target)],
      factors: edges.map((edge) => (this.scalar ? this.slope(edge) : null)),
      product,
      size: this.sizeOf(product),
      share: this.share(product),
      live: edges.every((edge) => this.isLive(edge)),
    };
  }

  /** [edges, product] of the first paths. */
  get first() {
    return this.once("first", () => {
      const found = [];
      for (const way of this.between.depthFirst(this.seed, (edge, value) => this.extendPath(edge, value))) {
        if (found.length === this.limit) break;
        found.push(way);
      }
      return found;
    });
  }

  list() {
    return this.first.map(([edges, product]) => this.path(edges, product));
  }

  top(k) {
    return this.best(k).map(([edges, product]) => this.path(edges, product));
  }

  /** No path is listed to find the largest: every vertex keeps its k best ways to the end, by logarithms. */
  best(k) {
    const largest = (a, b) => [...a, ...b].sort((p, q) => (p.log < q.log) - (p.log > q.log)).slice(0, k);
    const extend = (edge, ways) => ways.map((after) => ({ log: longer(this.slope(edge), after.log), edge, after }));
    const ways = this.back([{ log: 0, edge: null, after: null }], extend, largest);
    return this.between.total(ways, largest, []).slice(0, k).map((way) => {
      const edges = [];
      for (let at = way; at.edge !== null; at = at.after) edges.push(at.edge);
      return [edges, edges.reduceRight((value, edge) => this.extendPath(edge, value), this.seed)];
    });
  }

  /** The gradient as a product of sums, as text. */
  factored() {
    return factoredText(this);
  }
}

/** Paths through whole arrays: their products are vector-Jacobian products, in the shape of the input. */
class ArrayPathSum extends PathSum {
  constructor(graph, between, source, limit) {
    super(graph, between, source, limit);
    const [x, z] = [graph.value(source), graph.value(graph.root)];
    Object.assign(this, { scalar: false, seed: filled(z.shape, 1, z.dtype), zero: filled(x.shape, 0, x.dtype) });
  }

  extend(edge, value) {
    return edgeVjp(this.graph, edge, value);
  }

  extendPath(edge, value) {
    return edgeVjp(this.graph, edge, value);
  }

  combine(a, b) {
    return mapped(plus, [a, b]);
  }

  sizeOf(value) {
    return Math.sqrt(value.data.reduce((sum, v) => sum + v * v, 0));
  }

  isLive(edge) {
    return this.once(`live ${edge.id}`, () => {
      const y = this.graph.value(edge.target);
      const generic = new NdArray(y.shape, y.data.map((_, i) => Math.sin(1.7 * i + 1)), y.dtype);
      return edgeVjp(this.graph, edge, generic).data.some((v) => v !== 0);
    });
  }

  share(product) {
    const g = this.gradient.data;
    const size = g.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    const dot = (a) => a.reduce((sum, v, i) => sum + (v / size) * (g[i] / size), 0);
    return size ? dot(product.data) / dot(g) : NaN;
  }

  /** Norms do not multiply: the mass is known only where all paths are listed. */
  get mass() {
    return this.leftOut ? NaN : this.first.reduce((sum, [, value]) => sum + this.sizeOf(value), 0);
  }

  best(k) {
    return [...this.first].sort((a, b) => this.sizeOf(b[1]) - this.sizeOf(a[1])).slice(0, k);
  }

  /** For each edge the sum of all paths through it: a backward sweep for each edge that some miss. */
  get flow() {
    return this.once("flow", () => new Map(this.between.steps.map((step, i) => [step.edge.id, this.flowAlong(step, i)])));
  }

  flowAlong({ from, to, edge }, i) {
    if (this.edgeCounts.get(edge.id) === this.count) return this.gradient;
    const values = this.between.nodes.map(() => null);
    values[from] = this.extend(edge, this.adjoints[to]);
    this.between.carryBack(values, i, (e, value) => this.extend(e, value), this.combine);
    return this.between.total(values, this.combine, this.zero);
  }
}

/** Paths through arrays of a graph that is not live: they are counted and listed, and what they carry is not known. */
class CountedPathSum extends PathSum {
  constructor(graph, between, source, limit) {
    super(graph, between, source, limit);
    Object.assign(this, { scalar: false, seed: null });
  }

  isLive() {
    return true;
  }

  extendPath() {
    return null;
  }

  sizeOf() {
    return NaN;
  }

  share() {
    return NaN;
  }

  get gradient() {
    return this.graph.gradient(this.source);
  }

  get mass() {
    return NaN;
  }

  get flow() {
    return new Map();
  }

  get nodeFlow() {
    return new Map();
  }

  best(k) {
    return this.first.slice(0, k);
  }
}

/** The logarithm of a longer way: a zero blocks, whatever else is on it; NaN counts as infinite, and comes first. */
function longer(slope, log) {
  const more = Number.isNaN(slope) ? Infinity : Math.log(Math.abs(slope));
  return more === -Infinity || log === -Infinity ? -Infinity : more + log;
}

/** A share, without what rounding adds. */
function withinOne(x) {
  return Number.isNaN(x) ? x : Math.min(1, Math.max(0, x));
}
