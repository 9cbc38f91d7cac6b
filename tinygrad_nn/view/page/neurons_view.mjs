// Networks unit by unit, as figures 1 to 3 of M. Thill's post: what a unit computes, and how its δ comes back.

import { pressed } from "./boxes.mjs";
import { arrow } from "./curves.mjs";
import { html, list, mark, set, svg, write } from "./dom.mjs";
import { formatNumber, inBrackets, subscript, superscript } from "./notation.mjs";

const [ACROSS, DOWN, RADIUS, MOST, HEAD, SIDE] = [165, 92, 38, 6, 40, 70]; // above the units, and beside their middle

/** What the view is, for the help. */
export const NEURONS = ["Neurons", "the units of a network: what goes into each, and what comes back to it"];

/** The units of a network: `layers` are `{W, b, before, Z, A}`, ids of nodes. */
export class Neurons {
  constructor(graph, layers, on) {
    Object.assign(this, { graph, layers, on, unit: [1, 0], example: 0 });
    this.shown = this.#widths().map((n) => Array.from({ length: Math.min(n, MOST) }, (_, i) => i));
    const height = Math.max(...this.shown.map((units) => units.length)) * DOWN + HEAD;
    const width = layers.length * ACROSS + 2 * SIDE;
    this.lines = svg("g", {});
    this.units = svg("g", {});
    this.heads = svg("g", {});
    this.picture = svg(
      "svg",
      {
        class: "drawing neurons",
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: "group",
        "aria-label": "units",
      },
      this.heads,
      this.lines,
      this.units,
    );
    this.pick = html("input", {
      type: "number",
      min: 1,
      value: 1,
      "aria-label": "example",
      oninput: (e) => this.#example(Number(e.target.value)),
    });
    this.root = html(
      "div",
      {},
      html(
        "div",
        { class: "bar" },
        html("label", {}, "example ", this.pick),
        html("span", { class: "quiet" }, "click a unit: what it computes, and what comes back to it"),
      ),
      html("div", { class: "scroll" }, this.picture),
    );
    this.#build(height);
  }

  #widths() {
    const { graph, layers } = this;
    return [graph.value(layers[0].W).shape[1], ...layers.map(({ W }) => graph.value(W).shape[0])];
  }

  #at(level, i) {
    const n = this.shown[level].length;
    const tallest = Math.max(...this.shown.map((units) => units.length));
    return [level * ACROSS + SIDE, HEAD + RADIUS + (i + (tallest - n) / 2) * DOWN];
  }

  #build(height) {
    const widths = this.#widths();
    this.shown.forEach((units, level) => {
      const [x] = this.#at(level, 0);
      const more = widths[level] > units.length ? `, … ${widths[level] - units.length} more` : "";
      this.heads.append(
        svg("text", { class: "label", x, y: 14, "text-anchor": "middle" }, level ? `layer ${level}` : "input"),
        svg(
          "text",
          { class: "label", x, y: 28, "text-anchor": "middle" },
          `${widths[level]} unit${widths[level] === 1 ? "" : "s"}${more}`,
        ),
      );
      for (const i of units) this.units.append(this.#unit(level, i));
    });
    set(this.picture, "height", height);
  }

  #unit(level, i) {
    const [x, y] = this.#at(level, i);
    const choose = () => {
      this.unit = [level, i];
      this.on();
    };
    return svg(
      "g",
      {
        class: `box unit ${level ? "operation" : "input"}`,
        tabindex: "0",
        role: "button",
        "data-unit": `${level},${i}`,
        transform: `translate(${x} ${y})`,
        onclick: choose,
        onkeydown: (event) => pressed(event) && choose(),
      },
      svg("circle", { class: "frame", r: RADIUS }),
      ...[-10, 4, 18].map((dy) => svg("text", { "text-anchor": "middle", y: dy })),
    );
  }

  #example(k) {
    if (!(k >= 1 && k <= this.batch)) return;
    this.example = k - 1;
    this.on();
  }

  get batch() {
    const { shape } = this.graph.value(this.layers[0].before);
    return shape.length < 2 ? 1 : shape.at(-1);
  }

  #column(array, i) {
    const n = array.shape.length < 2 ? 1 : array.shape.at(-1);
    return array.data[array.data.length === array.shape[0] ? i : i * n + (n === 1 ? 0 : this.example)];
  }

  /** Activation, pre-activation and N ∂J/∂z of a unit; of an input its value and N ∂J/∂x. */
  numbers(level, i) {
    const { graph, layers } = this;
    if (!level)
      return { a: this.#column(graph.value(layers[0].before), i), delta: this.#gradient(layers[0].before, i) };
    const { Z, A } = layers[level - 1];
    return { z: this.#column(graph.value(Z), i), a: this.#column(graph.value(A), i), delta: this.#gradient(Z, i) };
  }

  #gradient(id, i) {
    const g = this.graph.gradient(id);
    return g ? this.#column(g, i) * this.batch : null;
  }

  /** The numbers in all units, lines as thick as what they carry, and the table about the chosen unit. */
  show() {
    set(this.pick, "max", this.batch);
    for (const group of this.units.children) this.#fill(group);
    const [level, unit] = this.unit;
    const lines = this.layers.flatMap(({ W }, l) =>
      this.shown[l + 1].flatMap((k) =>
        this.shown[l].map((j) => ({ l, k, j, w: this.graph.value(W).data[k * this.graph.value(W).shape[1] + j] })),
      ),
    );
    const widest = lines.map(({ l, j, w }) => Math.abs(w * this.numbers(l, j).a)).reduce((a, b) => Math.max(a, b), 0);
    list(
      this.lines,
      lines,
      () => svg("g", {}, svg("path", { class: "line" }), svg("path", { class: "head" }), svg("title", {})),
      (group, { l, k, j, w }) => {
        const [[x, y], [u, v]] = [this.#at(l, j), this.#at(l + 1, k)];
        const length = Math.hypot(u - x, v - y);
        const [dx, dy] = [((u - x) / length) * RADIUS, ((v - y) / length) * RADIUS];
        const carried = w * this.numbers(l, j).a;
        const width = 0.8 + (widest ? (4 * Math.abs(carried)) / widest : 0);
        const drawn = arrow(
          [
            [x + dx, y + dy],
            [(x + u) / 2, (y + v) / 2],
            [u - dx, v - dy],
          ],
          width,
        );
        const about = (l === level && j === unit) || (l + 1 === level && k === unit);
        set(group, "class", `arrow ${about ? (w < 0 ? "negative" : "positive") : "flow faint"}`);
        set(group.children[0], "d", drawn.line);
        set(group.children[0], "stroke-width", width.toFixed(2));
        set(group.children[1], "d", drawn.head);
        write(
          group.children[2],
          `${weight(k, j)}${superscript(l + 1)} = ${formatNumber(w)}, carries ${formatNumber(carried)}`,
        );
        mark(group, "faint", !about);
      },
    );
    return {
      table: level < this.layers.length ? this.#returning(level, unit) : this.#inside(level, unit),
      second: level ? this.#inside(level, unit) : null,
    };
  }

  #fill(group) {
    const [level, i] = group.dataset.unit.split(",").map(Number);
    const { z, a, delta } = this.numbers(level, i);
    const name = level ? "a" : "x";
    const texts = [
      level ? `z ${short(z)}` : "",
      `${name}${subscript(i + 1)} ${short(a)}`,
      delta === null ? "" : `δ ${short(delta)}`,
    ];
    texts.forEach((text, k) => write(group.children[k + 1], text));
    mark(group, "chosen", level === this.unit[0] && i === this.unit[1]);
  }

  /** Figure 3: w δ from every unit of the next layer, their sum, times σ′(z). */
  #returning(level, i) {
    const { W } = this.layers[level];
    const weights = this.graph.value(W);
    const [n, m] = weights.shape;
    const rows = Array.from({ length: n }, (_, k) => {
      const [w, delta] = [weights.data[k * m + i], this.numbers(level + 1, k).delta ?? 0];
      return {
        nodes: `from unit ${k + 1}: ${weight(k, i)} δ${subscript(k + 1)}`,
        factors: `${formatNumber(w)} × ${inBrackets(delta)}`,
        value: w * delta,
      };
    });
    const sum = rows.reduce((total, { value }) => total + value, 0);
    const { delta } = this.numbers(level, i);
    const name = level ? `δ${subscript(i + 1)}${superscript(level)}` : `N ∂J/∂x${subscript(i + 1)}`;
    const slope = level && sum ? delta / sum : 1;
    const rest = level
      ? [
          `times σ′(z) = ${formatNumber(slope)}: ${name} = ${formatNumber(sum)} × ${inBrackets(slope)} = ${formatNumber(delta)}`,
        ]
      : [];
    return {
      heading: `What comes back to ${level ? `unit ${i + 1} of layer ${level}` : `input ${i + 1}`}`,
      rows: shortened(rows),
      total: { nodes: "Σ w δ", value: sum },
      rest,
    };
  }

  /** Figure 2: w a for every input, the bias, and their sum z. */
  #inside(level, i) {
    const { W, b } = this.layers[level - 1];
    const weights = this.graph.value(W);
    const m = weights.shape[1];
    const rows = Array.from({ length: m }, (_, j) => {
      const [w, a] = [weights.data[i * m + j], this.numbers(level - 1, j).a];
      return {
        nodes: `${weight(i, j)} ${level > 1 ? "a" : "x"}${subscript(j + 1)}`,
        factors: `${formatNumber(w)} × ${inBrackets(a)}`,
        value: w * a,
      };
    });
    const all = shortened(rows);
    if (b) all.push({ nodes: `b${subscript(i + 1)}`, factors: "the bias", value: this.graph.value(b).data[i] });
    const { z, a } = this.numbers(level, i);
    return {
      heading: `What unit ${i + 1} of layer ${level} computes`,
      rows: all,
      total: { nodes: "z", value: z },
      rest: [`a = σ(z) = ${formatNumber(a)}`],
    };
  }
}

/** The largest rows, and the exact rest in one. */
function shortened(rows, most = 8) {
  if (rows.length <= most) return rows;
  const largest = [...rows].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, most - 1);
  const rest = rows.filter((row) => !largest.includes(row));
  return [
    ...rows.filter((row) => largest.includes(row)),
    { nodes: `… ${rest.length} more`, value: rest.reduce((sum, { value }) => sum + value, 0) },
  ];
}

/** w₁₂; a comma where numbers of two digits could be read in two ways. */
const weight = (k, j) => `w${subscript(k + 1)}${Math.max(k, j) > 8 ? "," : ""}${subscript(j + 1)}`;

/** Three digits, for the space in a circle. */
const short = (x) => formatNumber(Number(x.toPrecision(3)));
