// The table of the paths: nodes, factors, product, and bars from 0 that add up to the gradient.

import { gridOf, shade } from "./boxes.mjs";
import { html, list, mark, set, svg, write } from "./dom.mjs";
import { formatNumber } from "./notation.mjs";

const BAR = 130; // pixels for the bars

/** The table; `onRow(k)` is called with the number of the path that the reader points at, and with 0 afterwards. */
export class PathTable {
  constructor(onRow) {
    this.heading = html("h2", {});
    this.body = html("tbody", {});
    this.check = html("p", {});
    this.rest = html("div", { class: "quiet notes" });
    this.root = html(
      "section",
      { class: "table", "aria-label": "paths" },
      this.heading,
      html("div", { class: "scroll" }, html("table", {}, this.body)),
      this.check,
      this.rest,
    );
    this.onRow = onRow;
  }

  /** Show rows `{k, nodes, factors, product, value, array, share}`, their total, whether it is right, and remarks. */
  show({ heading, rows = [], total, only, ok, check = "", rest = [] }) {
    write(this.heading, heading);
    const ends = endsOf(rows);
    const scale = Math.max(
      0,
      ...rows.filter((row) => row.array).map((row) => gridOf(row.array).scale),
      total?.array ? gridOf(total.array).scale : 0,
    );
    list(
      this.body,
      total && rows.length ? [...rows, total] : rows,
      () => this.#row(),
      (tr, row, i) => {
        const sum = row === total;
        fillRow(tr, row, sum, ends && [sum ? 0 : ends[i], sum ? ends.at(-1) : ends[i + 1], ends], scale);
        mark(tr, "only", only && row.k === only);
      },
    );
    write(this.check, check && `${ok ? "✓" : "✗"} ${check}`);
    set(this.check, "class", ok ? "good" : "bad");
    list(
      this.rest,
      rest,
      () => html("p", {}),
      (p, text) => write(p, text),
    );
  }

  #row() {
    const point = (on) => (event) => this.onRow(on ? Number(event.currentTarget.dataset.k) : 0);
    return html(
      "tr",
      {
        class: "row",
        onmouseenter: point(true),
        onmouseleave: point(false),
        onfocus: point(true),
        onblur: point(false),
      },
      html("td", {}),
      html("td", {}, svg("svg", { width: 40, height: 12, "aria-hidden": "true" }, svg("path", { d: "M2,6H38" }))),
      html("td", {}),
      html("td", { class: "factors" }),
      html("td", { class: "right" }),
      html("td", {}, bars()),
      html("td", { class: "right quiet" }),
    );
  }
}

const bars = () =>
  svg(
    "svg",
    { class: "bars", width: BAR, height: 16, "aria-hidden": "true" },
    svg("line", { class: "zero", y1: 0, y2: 16 }),
    svg("rect", { y: 2, height: 12 }),
  );

function fillRow(tr, row, sum, bar, scale) {
  const [k, sample, nodes, factors, product, waterfall, share] = tr.children;
  set(tr, "class", sum ? "total" : "row");
  set(tr, "tabindex", sum || !row.k ? null : "0");
  tr.dataset.k = row.k ?? 0;
  const look = sum || !row.lane ? "" : `text${row.lane}`;
  write(k, sum ? "" : String(row.mark ?? row.k ?? ""));
  set(sample.firstElementChild, "class", row.lane ? `sample lane${row.lane}` : "visually-hidden");
  set(sample.firstElementChild.firstElementChild, "class", row.lane ? `sample lane${row.lane}` : "");
  write(nodes, sum ? "" : row.nodes);
  write(factors, sum ? row.nodes : (row.factors ?? ""));
  set(factors, "class", sum ? "right" : "factors");
  for (const cell of [k, nodes, factors, product]) {
    for (let lane = 1; lane <= 4; lane++) mark(cell, `text${lane}`, look === `text${lane}`);
  }
  productCell(product, row, scale);
  drawBar(waterfall.firstElementChild, row, sum, bar);
  write(share, row.share ?? "");
}

function productCell(cell, row, scale) {
  if (!row.array) return write(cell, `= ${row.text ?? formatNumber(row.value)}`);
  if (cell.firstElementChild?.localName !== "svg") cell.replaceChildren(svg("svg", { class: "heat" }));
  const { cells } = gridOf(row.array);
  const picture = cell.firstElementChild;
  const across = cells[0]?.length ?? 0;
  set(picture, "width", across * 10);
  set(picture, "height", cells.length * 10);
  list(
    picture,
    cells.flat(),
    () => svg("rect", { width: 9, height: 9 }),
    (rect, value, i) => {
      set(rect, "x", (i % across) * 10);
      set(rect, "y", Math.floor(i / across) * 10);
      shade(rect, value, scale);
    },
  );
  return undefined;
}

/** 0, and the sums of the first numbers, the first two and so on; null where there is nothing to add. */
function endsOf(rows) {
  if (rows.length < 2 || rows.some((row) => !Number.isFinite(row.value))) return null;
  return rows.reduce((ends, row) => [...ends, ends.at(-1) + row.value], [0]);
}

function drawBar(picture, row, sum, bar) {
  picture.parentElement.hidden = !bar;
  if (!bar) return;
  const [start, end, ends] = bar;
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const x = (value) => (high > low ? ((value - low) / (high - low)) * (BAR - 4) + 2 : 2);
  const [zero, rect] = picture.children;
  set(zero, "x1", x(0).toFixed(1));
  set(zero, "x2", x(0).toFixed(1));
  set(rect, "x", Math.min(x(start), x(end)).toFixed(1));
  set(rect, "width", Math.max(1.5, Math.abs(x(end) - x(start))).toFixed(1));
  set(rect, "class", sum ? "sum" : row.lane ? `bar${row.lane}` : row.value < 0 ? "negative" : "positive");
}
