// The boxes of nodes: title, lines of numbers or heat maps, note and pips. `page_boxes.py` reserves their sizes.

import { list, mark, set, svg, write } from "./dom.mjs";
import { formatNumber } from "./notation.mjs";

export const TITLE = 26; // heights in pixels
export const ROW = 20;
export const NOTE = 21;
export const SIDE = 8; // between border and text
export const CELL = [68, 18]; // of a heat map with numbers
export const DOT = 8; // of one without

const STRONG = [0.6375, 0.66]; // part of the scale from which a positive, or negative, colour wants another ink

/** The height of a field: a line, or a heat map. */
export const fieldHeight = ({ rows, spelled }) => Math.max(ROW, rows ? rows * (spelled ? CELL[1] : DOT) + 4 : 0);

/** The group of a box, and what of it changes. */
export function boxOf(box, [x, y, w, h], on) {
  const parts = { fields: [], pips: svg("g", { class: "pips" }) };
  const group = svg("g", {
    class: `box ${box.role}`,
    "data-id": box.id,
    tabindex: "0",
    role: "button",
    transform: `translate(${x} ${y})`,
    onclick: () => on(box),
    onkeydown: (e) => pressed(e) && on(box),
  });
  const corner = box.role === "parameter" ? 0 : 10;
  group.append(svg("rect", { class: "frame", width: w, height: h, rx: corner }));
  if (box.role === "output")
    group.append(svg("rect", { class: "inner", x: 3, y: 3, width: w - 6, height: h - 6, rx: 8 }));
  group.append(title(box), svg("line", { class: "rule", x1: 0, x2: w, y1: TITLE, y2: TITLE }));
  let top = TITLE + 3;
  for (const field of box.fields) {
    parts.fields.push(fieldOf(group, field, box.labels, top));
    top += fieldHeight(field);
  }
  parts.note = svg("text", { class: "note", x: SIDE, y: h - 7 });
  group.append(parts.note, parts.pips);
  set(parts.pips, "transform", `translate(${w - 8} ${TITLE / 2})`);
  return { ...parts, group, node: box.node };
}

export const pressed = (event) => {
  if (event.key !== "Enter" && event.key !== " ") return false;
  event.preventDefault();
  return true;
};

function title(box) {
  const text = svg("text", { class: "title", x: SIDE, y: 17 });
  const start = `${box.name} = `;
  if (box.numbered && box.title.startsWith(start)) {
    text.append(svg("tspan", { class: "numbered" }, start), box.title.slice(start.length));
  } else text.append(box.title);
  if (box.word) text.append(svg("tspan", { class: "word", dx: 6 }, box.word));
  return text;
}

function fieldOf(group, field, labels, top) {
  const label = svg("text", { class: "label", x: SIDE, y: top + 14 }, field.label);
  const left = SIDE + (field.label ? labels : 0);
  const struck = svg("text", { class: "struck", x: left, y: top + 14 });
  const text = svg("text", { class: "number", x: left, y: top + 14 }, field.text ?? "");
  const grid = svg("g", { class: "heat", transform: `translate(${left} ${top + 1})` });
  group.append(label, struck, text, grid);
  return { label, text, grid, struck, field, left };
}

/** Show numbers in a box: `fields` in their order, each `{text, grid, strong, struck}`; a note; pips; marks. */
export function fill(parts, { fields = [], note, pips = [], marks = {} }) {
  fields.forEach((shown, i) => {
    const { label, text, grid, struck, field, left } = parts.fields[i];
    write(label, shown.label ?? field.label);
    if (field.rows) heat(grid, shown.grid, field.spelled);
    else write(text, shown.text);
    mark(text, "strong", shown.strong);
    mark(text, "bad", shown.struck || shown.bad);
    write(struck, shown.struck ?? "");
    set(text, "x", shown.struck ? left + 7 * shown.struck.length + 4 : left);
  });
  write(parts.note, note ?? "");
  list(
    parts.pips,
    pips,
    () => svg("circle", { r: 3.5, class: "pip" }),
    (pip, full, i) => {
      set(pip, "cx", -10 * (pips.length - 1 - i) - 4);
      mark(pip, "full", full);
    },
  );
  for (const name of ["lit", "done", "wrong", "faint", "changed"]) mark(parts.group, name, marks[name]);
}

/** A heat map of means over blocks; the numbers themselves where there are few. */
function heat(group, grid, spelled) {
  const cells = grid ? grid.cells.flat() : [];
  const columns = grid?.cells[0]?.length ?? 1;
  const [w, h] = spelled ? CELL : [DOT, DOT];
  list(
    group,
    cells,
    () => cellOf(w - 1, h - 1, spelled),
    (cell, value, i) => {
      set(cell, "transform", `translate(${(i % columns) * w} ${Math.floor(i / columns) * h})`);
      shade(cell.querySelector(":not(.under)"), value, grid.scale);
      if (spelled) {
        write(cell.lastElementChild, formatNumber(value));
        mark(cell, "dark", Math.abs(value) > (value < 0 ? STRONG[1] : STRONG[0]) * grid.scale);
      }
    },
  );
}

/** A cell; one with a number stands on paper, whatever its box is filled with, so that the number can be read. */
const cellOf = (width, height, spelled) =>
  spelled
    ? svg("g", {}, svg("rect", { width, height, class: "under" }), svg("rect", { width, height }), svg("text", { x: 4, y: 13 }))
    : svg("g", {}, svg("rect", { width, height }));

/** Blue for positive and orange for negative numbers, the stronger the larger. */
export function shade(rect, value, scale) {
  const part = scale > 0 ? Math.min(1, Math.abs(value) / scale) ** 0.8 * 0.92 : 0;
  set(rect, "class", Number.isNaN(value) ? "unknown" : value < 0 ? "negative" : "positive");
  set(rect, "fill-opacity", Number.isNaN(value) ? 1 : part.toFixed(3));
}

/** The blocks of an array `{shape, data}` as rows and columns of at most so many cells, as `heat.py` makes them. */
export function gridOf({ shape, data }, rows = 6, columns = 10) {
  const height = shape.length ? shape[0] : 1;
  const width = shape.length < 2 ? 1 : data.length / height;
  const [r, c] = [Math.min(rows, height), Math.min(columns, width)];
  const edge = (i, most, n) => Math.floor((i * n) / most);
  const cells = Array.from({ length: r }, (_, i) =>
    Array.from({ length: c }, (_, j) => {
      let sum = 0;
      const [top, bottom, left, right] = [
        edge(i, r, height),
        edge(i + 1, r, height),
        edge(j, c, width),
        edge(j + 1, c, width),
      ];
      for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += data[y * width + x];
      return sum / ((bottom - top) * (right - left));
    }),
  );
  const scale = data.reduce((most, x) => (Math.abs(x) > most ? Math.abs(x) : most), 0);
  return { cells, scale };
}
