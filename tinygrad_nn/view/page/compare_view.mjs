// Two points of one graph: what has changed, what the gradient of before predicted, and what came.

import { localText } from "./fields.mjs";
import { formatNumber, percent } from "./notation.mjs";
import { asAStep } from "./one_step.mjs";
import { gridOf } from "./boxes.mjs";

/** What to show of the change since `before`, a map of values and gradients; Δ runs forward with `state.step`. */
export function compareView(graph, data, state, before) {
  const moved = graph.nodes.filter((id) => changed(graph.value(id), before.get(id).value));
  const steps = state.base ? moved.length + 1 : 1;
  const step = state.base ? Math.min(state.step, steps - 1) : 0;
  const known = new Set(state.base ? moved.slice(0, step + 1) : moved);
  const last = !state.base || step >= moved.length - 1;
  return {
    boxes: Object.fromEntries(data.boxes.map((box) => [box.id, boxOfChange(graph, box, before, known, data.wide)])),
    arrows: Object.fromEntries(
      data.arrows.map((arrow) => [
        arrow.id,
        { label: localText(graph, arrow), sends: known.has(arrow.source) && known.has(arrow.target) },
      ]),
    ),
    steps,
    step,
    caption: state.base ? captionOf(graph, moved, step, before) : "",
    table: prediction(graph, before, last),
  };
}

const TERMS = 3; // of a sum that are written out
const ROUNDING = 1e-13; // relative: NumPy and browsers add up in different orders

const minus = (a, b) => ({ ...a, data: a.data.map((x, i) => difference(x, b.data[i])) });
const changed = (a, b) => minus(a, b).data.some((x) => x !== 0);

function difference(x, y) {
  return Math.abs(x - y) <= ROUNDING * Math.max(Math.abs(x), Math.abs(y)) ? 0 : x - y;
}

const signed = (x) => (x > 0 ? `+${formatNumber(x)}` : formatNumber(x));

/** A box shows its value, old → new where there is room, and where its gradient else stands, how much it has changed. */
function boxOfChange(graph, box, before, known, wide) {
  const fields = box.fields.map(({ live, node, text, rows }) => {
    if (!live) return { text };
    if (live === "norm" || live === "share") return { text: "", label: "" };
    const [now, then] = [graph.value(node), before.get(node).value];
    const shown = known.has(node) || !changed(now, then) ? now : then;
    const array = live === "value" ? shown : minus(shown, then);
    if (rows) return { grid: gridOf(array), label: live === "value" ? undefined : "Δ" };
    const was = wide && shown !== then ? `${formatNumber(then.data[0])} → ` : "";
    return {
      text: live === "value" ? was + formatNumber(array.data[0]) : signed(array.data[0]),
      label: live === "value" ? undefined : "Δ",
    };
  });
  return { fields, marks: { changed: known.has(box.node) } };
}

function captionOf(graph, moved, step, before) {
  const id = moved[Math.min(step, moved.length - 1)];
  if (!id) return "nothing has changed";
  const delta = minus(graph.value(id), before.get(id).value);
  const size = delta.data.length === 1 ? signed(delta.data[0]) : `an array, ±${formatNumber(gridOf(delta).scale)}`;
  return `Step ${step}: Δ${graph.node(id).name} = ${size}`;
}

/** ΔJ ≈ Σ ⟨∂J/∂x, Δx⟩ over the inputs, and beside it how much J has changed. */
function prediction(graph, before, last) {
  const J = graph.node(graph.root).name;
  const inputs = graph.nodes.filter((id) => !graph.node(id).op && graph.node(id).tracked);
  const steps = inputs.map((id) => [id, minus(graph.value(id), before.get(id).value), before.get(id).gradient]);
  const rows = steps
    .map(([id, delta, gradient]) => {
      const value = gradient ? delta.data.reduce((sum, x, i) => sum + x * gradient.data[i], 0) : 0;
      const name = graph.node(id).name;
      const single = delta.data.length === 1 && gradient;
      return {
        nodes: name,
        value,
        factors: single
          ? `${formatNumber(gradient.data[0])} × (${signed(delta.data[0])})`
          : `⟨∂${J}/∂${name}, Δ${name}⟩`,
      };
    })
    .filter(({ value }) => value !== 0);
  const total = rows.reduce((sum, { value }) => sum + value, 0);
  const names = rows.length ? rows.map(({ nodes }) => nodes) : inputs.map((id) => graph.node(id).name);
  const [old, now] = [before.get(graph.root).value.data[0], graph.value(graph.root).data[0]];
  const rest = rows.length ? [] : ["Nothing has changed: move an input, or nudge one"];
  if (rows.length) rest.push(...(asAStep?.(J, steps, total) ?? []));
  if (last && rows.length) rest.push(told(J, old, now, total));
  return {
    heading: `Predicted change of ${J}: ${termsOf(J, names)}, by the earlier gradient`,
    rows,
    total: { nodes: "sum", value: total },
    rest,
  };
}

/** What is added up, by the names of the inputs: `⟨∂J/∂a, Δa⟩ + ⟨∂J/∂b, Δb⟩`. */
function termsOf(J, names) {
  const terms = names.map((name) => `⟨∂${J}/∂${name}, Δ${name}⟩`);
  return terms.length > TERMS ? `${terms[0]} + … + ${terms.at(-1)}` : terms.join(" + ");
}

/** The change of the result, and how much of the prediction it is. */
function told(J, old, now, total) {
  const share = (now - old) / total;
  const text = `${J}: ${formatNumber(old)} → ${formatNumber(now)}; the actual change is ${signed(now - old)}`;
  if (!Number.isFinite(share)) return text;
  const part = `${text}, ${share < 0 ? "−" : ""}${percent(Math.abs(share))} of the prediction`;
  return Math.abs(share - 1) > 0.01 ? `${part}; the gradient changes on the way` : part;
}
