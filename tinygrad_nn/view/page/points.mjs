// Points of a recorded graph: values and gradients of all nodes, as they were recorded, before, and during a training.

import { load } from "./engine.mjs";

/** The values and gradients of all nodes, by id. */
export const pointOf = (graph) =>
  new Map(graph.nodes.map((id) => [id, { value: graph.value(id), gradient: graph.gradient(id) }]));

/** The point that was recorded. */
export const recordedPoint = (program) => pointOf(load(program));

/** The earlier point of a comparison: inputs that have changed since, and all that follows; null where there is none. */
export function earlierPoint(graph, { before = [] }) {
  if (!graph.live || !before.length) return null;
  for (const { node, value } of before) graph.set(node, null, value.length > 1 ? value : value[0]);
  const point = pointOf(graph);
  graph.reset();
  return point;
}

/** Set the parameters to a moment of the training; the last one is the recorded point itself. */
export function setTo(graph, { at, parameters }, k) {
  if (k === at.length - 1) return graph.reset();
  return Object.entries(parameters).forEach(([id, arrays]) => graph.set(id, null, [...arrays[k]]));
}

/** What the result was at each moment. */
export function costsOf(graph, moments) {
  const costs = moments.at.map((_, k) => {
    setTo(graph, moments, k);
    return graph.value(graph.root).data[0];
  });
  graph.reset();
  return costs;
}
