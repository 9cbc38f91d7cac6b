// The graph between an input and the result, and the one sweep over it: what it computes depends on what × and + mean.

export class PathGraph {
  /** Vertices in topological order, steps {from, to, edge} by the vertex they lead to, all on paths to the last vertex. */
  constructor(nodes, steps, starts) {
    this.nodes = nodes;
    this.steps = steps;
    this.starts = starts;
    this.end = nodes.length - 1;
  }

  /** All paths from a node to the root, along edges on which a gradient flows. */
  static between(graph, fromId) {
    const all = new Map(graph.nodes.map((id, i) => [id, i]));
    const flowing = graph.edges.filter((edge) => edge.flows && edge.target !== fromId);
    const steps = flowing.map((edge) => ({ from: all.get(edge.source), to: all.get(edge.target), edge }));
    return PathGraph.pruned(graph.nodes, steps, [all.get(fromId)], all.get(graph.root));
  }

  /** Only what lies on a path from one of these starts to this end. */
  static pruned(nodes, steps, starts, end) {
    const forth = new Set(starts);
    for (const { from, to } of steps) if (forth.has(from)) forth.add(to);
    const back = new Set([end]);
    for (const { from, to } of [...steps].reverse()) if (back.has(to)) back.add(from);
    const kept = nodes.map((_, v) => v).filter((v) => forth.has(v) && back.has(v));
    const at = new Map(kept.map((v, i) => [v, i]));
    const inside = steps.filter(({ from, to }) => at.has(from) && at.has(to));
    const moved = inside.map(({ from, to, edge }) => ({ from: at.get(from), to: at.get(to), edge }));
    return new PathGraph(kept.map((v) => nodes[v]), moved, starts.filter((v) => at.has(v)).map((v) => at.get(v)));
  }

  /** For each vertex the sum over all paths from it to the end of what is carried along; null is nothing. */
  backward(one, extend, combine) {
    const values = this.nodes.map((_, v) => (v === this.end ? one : null));
    return this.carryBack(values, this.steps.length, extend, combine);
  }

  /** Backward over the steps before the i-th. */
  carryBack(values, i, extend, combine) {
    for (let k = i - 1; k >= 0; k--) carry(values, this.steps[k], "to", "from", extend, combine);
    return values;
  }

  /** For each vertex the sum over all paths from the starts to it. */
  forward(one, extend, combine) {
    const values = this.nodes.map((_, v) => (this.starts.includes(v) ? one : null));
    for (const step of this.steps) carry(values, step, "from", "to", extend, combine);
    return values;
  }

  /** The sum over the starts. */
  total(values, combine, empty) {
    const found = this.starts.map((v) => values[v]).filter((value) => value !== null);
    return found.length ? found.reduce((a, b) => combine(a, b)) : empty;
  }

  /** Depth first from the end, by the first argument before the second: [edges from start to end, value]. */
  *depthFirst(seed, extend) {
    const into = this.nodes.map(() => []);
    for (const step of this.steps) into[step.to].push(step);
    const starts = new Set(this.starts);
    if (this.end < 0) return;
    if (starts.has(this.end)) yield [[], seed];
    const way = [];
    const pending = [{ steps: into[this.end], next: 0, value: seed }];
    while (pending.length) {
      const here = pending[pending.length - 1];
      if (here.next === here.steps.length) {
        pending.pop();
        way.pop();
        continue;
      }
      const { from, edge } = here.steps[here.next++];
      way.push(edge);
      const value = extend(edge, here.value);
      if (starts.has(from)) yield [[...way].reverse(), value];
      pending.push({ steps: into[from], next: 0, value });
    }
  }
}

/** What one vertex has, along a step to another. */
function carry(values, step, tail, head, extend, combine) {
  const value = values[step[tail]];
  const part = value === null ? null : extend(step.edge, value);
  if (part === null) return;
  const there = values[step[head]];
  values[step[head]] = there === null ? part : combine(part, there);
}
