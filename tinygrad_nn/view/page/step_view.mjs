// The stepper: one moment of the backward pass in the picture, in words, and as a question.

import { backwardPass, countOf, dependingOn, same } from "./backward_pass.mjs";
import { amount, shownFields } from "./fields.mjs";
import { formatNumber, inBrackets } from "./notation.mjs";

const PIPS = 6; // so many parts are drawn as ●○

/** What to show at step `state.step`; with `state.predict` what is sent stays hidden until `state.revealed`. */
export function stepView(graph, data, state) {
  const wanted = dependingOn(graph, state.every ? leavesOf(graph) : [state.source]);
  const moments = backwardPass(graph, wanted, state.mistake);
  const step = Math.min(state.step, moments.length - 1);
  const now = moments[step];
  const hidden = state.predict && !state.revealed && now.sent.size > 0;
  const shown = hidden ? { ...moments[step - 1], firing: now.firing } : now;
  return {
    boxes: boxesAt(graph, data, { shown, wanted, now, last: step === moments.length - 1, mistake: state.mistake }),
    arrows: arrowsAt(graph, data, now, wanted, hidden),
    steps: moments.length,
    several: leavesOf(graph).length > 1,
    step,
    moment: { ...shown, wanted, expected: countOf(graph, wanted), last: step === moments.length - 1, mistake: state.mistake },
    caption: hidden
      ? `Step ${step}: ${nameOf(graph, now.firing)} fires: what does it send?`
      : `Step ${step}: ${happens(graph, now, wanted)}`,
    notes: hidden
      ? []
      : [...mistakes(graph, now, wanted), ...(step === moments.length - 1 ? [verdict(graph, now, state)] : [])],
    asked: hidden ? questions(graph, now) : [],
  };
}

const nameOf = (graph, id) => graph.node(id).name;
const leavesOf = (graph) => graph.nodes.filter((id) => !graph.node(id).op && graph.node(id).tracked);

function boxesAt(graph, data, { shown, wanted, now, last, mistake }) {
  const expected = countOf(graph, wanted);
  return Object.fromEntries(
    data.boxes.map((box) => {
      const id = box.node;
      const g = shown.gradient.get(id);
      const fields = shownFields(
        graph,
        box,
        (node) => graph.value(node),
        (node) => shown.gradient.get(node),
      );
      const settled = last || shown.fired.has(id);
      const wrong = Boolean(mistake) && (shown.lost.has(id) || (g && settled && !same(g, graph.gradient(id))));
      box.fields.forEach(({ live }, i) => {
        if (live !== "gradient" || !wrong) return;
        fields[i].bad = true;
        if (shown.lost.has(id) && !fields[i].grid) fields[i].struck = amount(shown.lost.get(id));
      });
      const parts = expected.get(id) ?? 0;
      const came = shown.received.get(id) ?? 0;
      return [
        box.id,
        {
          fields,
          note: box.sums && parts > 1 ? `received ${came} of ${parts}${shown.late.has(id) ? ", too late" : ""}` : "",
          pips: parts <= PIPS ? Array.from({ length: parts }, (_, i) => i < came) : [],
          marks: {
            lit: now.firing === id,
            done: shown.fired.has(id) && now.firing !== id,
            faint: !wanted.has(id),
            wrong,
          },
        },
      ];
    }),
  );
}

/** −0.9356 × 3.2974 = −3.0851, or how large an array is. */
export function working(graph, edge, part, g) {
  const slope = graph.local(edge);
  if (slope === null || !g || g.data.length > 1) return amount(part);
  return `${formatNumber(g.data[0])} × ${inBrackets(slope)} = ${formatNumber(part.data[0])}`;
}

function arrowsAt(graph, data, now, wanted, hidden) {
  return Object.fromEntries(
    data.arrows.map((arrow) => {
      const part = now.sent.get(arrow.id);
      const from = now.firing && now.gradient.get(now.firing);
      const label = part ? (hidden ? "?" : working(graph, arrow.id, part, from).replace(" = ", "\n= ")) : "";
      return [arrow.id, { label, sends: Boolean(part), faint: !wanted.has(arrow.target) || !wanted.has(arrow.source) }];
    }),
  );
}

function happens(graph, now, wanted) {
  if (!now.firing) return `The backward pass begins: the gradient of ${nameOf(graph, graph.root)} by itself is 1`;
  const expected = countOf(graph, wanted).get(now.firing) ?? 0;
  const edges = [...now.sent].map(([id, part]) => ({ part, to: graph.edge(id).source }));
  const said = edges.map(({ part, to }) => `${amount(part)} to ${nameOf(graph, to)}`);
  for (const to of new Set(edges.map((edge) => edge.to))) {
    if (now.received.get(to) > 1) said.push(`${nameOf(graph, to)} now has ${amount(now.gradient.get(to))}`);
  }
  const full = expected ? `has received ${now.received.get(now.firing) ?? 0} of ${expected}, and ` : "";
  return `${nameOf(graph, now.firing)} ${full}fires: it sends ${said.slice(0, 12).join(", ")}`;
}

function mistakes(graph, now, wanted) {
  if (now.early) {
    const [came, expected] = [now.received.get(now.firing) ?? 0, countOf(graph, wanted).get(now.firing)];
    return [`✗ ${nameOf(graph, now.firing)} fires after ${came} of ${expected} parts: it passes on only these`];
  }
  const lost = [...now.lost].map(
    ([id, g]) => `∂${nameOf(graph, graph.root)}/∂${nameOf(graph, id)} is replaced: ${amount(g)} is lost`,
  );
  return lost.length ? [`✗ ${lost.slice(0, 4).join("; ")}`] : [];
}

/** What came of the pass. */
function verdict(graph, now, state) {
  const ends = state.every ? leavesOf(graph) : [state.source];
  const wrong = ends.find((id) => graph.gradient(id) && !same(now.gradient.get(id), graph.gradient(id)));
  if (wrong) {
    const quotient = `∂${nameOf(graph, graph.root)}/∂${nameOf(graph, wrong)}`;
    return `✗ wrong: ${quotient} came out as ${amount(now.gradient.get(wrong))}, and is ${amount(graph.gradient(wrong))}`;
  }
  return `✓ done: all gradients are those of the backward pass${state.mistake ? " (this mistake does no harm in this graph)" : ""}`;
}

/** What a reader who predicts is asked: each single number that is sent. */
function questions(graph, now) {
  return [...now.sent]
    .filter(([, part]) => part.data.length === 1)
    .map(([id, part]) => ({ id, to: nameOf(graph, graph.edge(id).source), answer: part.data[0] }));
}

/** Whether a prediction counts: within half a percent, or to the digits that are shown. */
export const predicted = (text, answer) => {
  const x = Number(text.trim().replaceAll("−", "-").replace(",", "."));
  return text.trim() !== "" && Math.abs(x - answer) <= Math.max(0.005 * Math.abs(answer), 5e-4);
};
