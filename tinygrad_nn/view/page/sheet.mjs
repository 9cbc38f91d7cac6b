// An exercise sheet from the picture at its present numbers: some are left out, by seed; the solution is on a page of its own.

import { html, write } from "./dom.mjs";
import { Drawing } from "./drawing.mjs";
import { download, standalone } from "./exporting.mjs";
import { formatNumber } from "./notation.mjs";
import { pathsView } from "./paths_view.mjs";

const SHARE = 0.4; // of the numbers that could be asked for
const STYLE =
  "body{margin:2em;font:14px/1.5 Arial,Helvetica,sans-serif;color:#000;background:#fff}svg{max-width:100%;height:auto}" +
  "td{padding:2px 12px 2px 0}ul{list-style:none;padding:0;columns:2}li{margin:.5em 0;break-inside:avoid}" +
  "section+section{break-before:page}";

/** The dialog that makes sheets of a page. */
export function worksheets(page) {
  const seed = html("input", { type: "number", min: 0, step: 1, value: 1, "aria-label": "seed" });
  const said = html("p", { class: "quiet", role: "status" });
  const make = (use) => () => {
    const text = sheet(page, Number(seed.value) || 0);
    write(said, text ? (use(text) ?? "") : "This picture has no numbers that could be asked for.");
  };
  const opened = (text) =>
    window.open(URL.createObjectURL(new Blob([text], { type: "text/html" }))) ? "" : "No page can be opened here: save it.";
  const save = (text) => download(text, `${page.data.title} sheet ${seed.value}`, "html", "text/html");
  const button = (text, onclick) => html("button", { type: "button", onclick }, text);
  const close = button("close", () => dialog.close());
  const choices = [button("open, to print", make(opened)), button("save", make(save)), close];
  const dialog = html(
    "dialog",
    { class: "help", "aria-label": "worksheet" },
    html("h2", {}, "An exercise sheet from this picture"),
    html("p", { class: "quiet" }, "Some of its numbers are left out, by seed; the solution is on a page of its own."),
    html("label", {}, "seed ", seed),
    said,
    html("div", { class: "bar" }, ...choices),
  );
  return dialog;
}

/** The sheet as an HTML text, or null where nothing can be asked for; the same seed asks for the same numbers. */
export function sheet(page, seed) {
  const { graph, level, data, state } = page;
  const whole = pathsView(graph, level, { ...state, view: "paths", only: 0 });
  const found = numbersOf(graph, level, whole);
  if (!found.length) return null;
  const asked = chosen(found, seed);
  const letters = new Map(asked.map(({ place }, k) => [place, letter(k)]));
  const part = (title, shown, answer) =>
    `<section><h1>${escaped(title)}</h1>${drawn(page, shown)}${tableOf(shown.table)}<ul>` +
    asked.map(({ what, text }, k) => `<li>(${letter(k)}) ${escaped(what)} = ${answer ? escaped(text) : "_".repeat(14)}</li>`).join("") +
    "</ul></section>";
  const name = `${data.title}, sheet ${seed}`;
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escaped(name)}</title><style>${STYLE}</style><body>` +
    part(`${name}: fill in what is left out`, blanked(level, whole, letters), false) +
    part(`${name}: solution`, whole, true)
  );
}

const escaped = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.codePointAt(0)};`);

/** a, b ... z, a2, b2 ... */
const letter = (k) => "abcdefghijklmnopqrstuvwxyz"[k % 26] + (k < 26 ? "" : Math.floor(k / 26) + 1);

/** Every number that can be asked for: where it stands, what it is, and its text. What is given by the inputs is not. */
function numbersOf(graph, level, { boxes, arrows, table }) {
  const found = [];
  for (const { id, role, title, fields } of level.boxes) {
    fields.forEach(({ live, rows, label, node }, i) => {
      const { text, strong } = boxes[id].fields[i];
      const given = live === "gradient" ? node === graph.root : role !== "operation" && role !== "output";
      const numeric = (live === "value" || live === "gradient") && !rows && text !== "–";
      if (numeric && !given && !strong) found.push({ place: `${id} ${i}`, what: live === "value" ? title : label, text });
    });
  }
  for (const { id } of level.arrows) {
    const [formula, text] = (arrows[id]?.label ?? "").split(" = ");
    const edge = graph.edge(id);
    if (!text || !edge) continue;
    const [to, from] = [edge.target, edge.source].map((node) => graph.node(node).name);
    found.push({ place: id, what: `∂${to}/∂${from} = ${formula}`, text });
  }
  for (const { k, nodes, value, factors } of table.rows ?? []) {
    if (k && value !== undefined && factors) found.push({ place: `row ${k}`, what: nodes, text: formatNumber(value) });
  }
  const sum = table.total?.value;
  if (sum !== undefined) found.push({ place: "total", what: table.heading.split(" = ")[0], text: formatNumber(sum) });
  return found;
}

/** Some of them, in their order: those with the smallest of the random numbers that a seed begins (mulberry32). */
function chosen(found, seed) {
  let state = Math.trunc(seed);
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const drawn = found.map((each) => ({ each, by: random() }));
  const many = Math.max(1, Math.round(SHARE * found.length));
  const limit = drawn.map(({ by }) => by).sort((a, b) => a - b)[many - 1];
  return drawn.filter(({ by }) => by <= limit).map(({ each }) => each);
}

/** The view with letters for numbers, and without what would give them away: parts of sums, factors, the check. */
function blanked(level, { boxes, arrows, table }, letters) {
  const gap = (place, text) => (letters.has(place) ? `(${letters.get(place)})` : text);
  const box = ({ id }) => {
    const { fields, note } = boxes[id];
    const hidden = fields.map((field, i) => ({ ...field, text: gap(field.strong ? "total" : `${id} ${i}`, field.text) }));
    return [id, { ...boxes[id], fields: hidden, note: note?.split(":")[0] }];
  };
  const arrow = ([id, shown]) => [id, { ...shown, label: letters.has(id) ? `${shown.label.split(" = ")[0]} = ${gap(id)}` : shown.label }];
  const repeated = [...letters.keys()].some((place) => place !== "total" && !place.includes(" ")); // on an arrow
  const row = (each) => ({ ...each, factors: repeated ? "" : each.factors, text: gap(`row ${each.k}`, formatNumber(each.value)) });
  const rows = table.rows?.map((each) => (each.array ? each : row(each)));
  const total = table.total?.array ? table.total : { ...table.total, text: gap("total", formatNumber(table.total?.value)) };
  return {
    boxes: Object.fromEntries(level.boxes.map(box)),
    arrows: Object.fromEntries(Object.entries(arrows).map(arrow)),
    table: { heading: table.heading, rows, total: table.total && total },
  };
}

/** The picture as SVG in the light colours of paper, drawn out of sight. */
function drawn({ data, level, drawing, root }, shown) {
  const picture = new Drawing({ title: data.title, ...level }, drawing.layout);
  const paper = html("div", { class: "page", "data-theme": "light", style: "position:absolute;left:-99999px" }, picture.root);
  root.append(paper);
  picture.show(shown);
  const text = standalone(picture.root, paper);
  paper.remove();
  return text;
}

function tableOf({ heading, rows = [], total }) {
  const line = ({ nodes, factors = "", value, text, array }) =>
    array ? "" : `<tr><td>${escaped(nodes)}<td>${escaped(factors)}<td>= ${escaped(text ?? formatNumber(value))}`;
  return `<h2>${escaped(heading)}</h2><table>${[...rows, ...(total ? [total] : [])].map(line).join("")}</table>`;
}
