// What a network of two inputs makes of the whole plane: its decision boundary, beside the examples.

import { NdArray } from "./arrays.mjs";
import { html, set, svg, write } from "./dom.mjs";
import { carryOut, carryOutRule } from "./evaluate.mjs";

const [SIDE, CELLS] = [240, 40];

/** Whether there is a plane to draw: two numbers go in, and one comes out. */
export function hasPlane(graph, layers) {
  if (!graph.live || !layers?.length) return false;
  const [first, last] = [layers[0], layers.at(-1)];
  return graph.value(first.before).shape[0] === 2 && graph.value(last.W).shape[0] === 1;
}

/** The picture of the plane; `show` draws it for the present parameters. */
export class Boundary {
  constructor(graph, layers) {
    Object.assign(this, { graph, layers });
    this.canvas = html("canvas", { width: CELLS, height: CELLS, "aria-hidden": "true" });
    this.points = svg("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img", "aria-label": "decision boundary" });
    this.said = html("p", { class: "quiet" });
    this.root = html(
      "section",
      { "aria-label": "boundary" },
      html("h2", {}, "What comes out, over the two inputs"),
      html("div", { class: "plane" }, this.canvas, this.points),
      this.said,
    );
    this.examples();
  }

  /** The examples as marks: their columns, with a little room around. */
  examples() {
    const X = this.graph.value(this.layers[0].before);
    const n = X.data.length / 2;
    const rows = [0, 1].map((i) => [...X.data.slice(i * n, (i + 1) * n)]);
    this.limits = rows.map((row) => {
      const [low, high] = [Math.min(...row), Math.max(...row)];
      return [low - 0.15 * (high - low || 1), high + 0.15 * (high - low || 1)];
    });
    const place = (x, i) => ((x - this.limits[i][0]) / (this.limits[i][1] - this.limits[i][0])) * SIDE;
    this.labels = this.targets(n);
    this.points.replaceChildren(
      ...rows[0].map((x, k) => {
        const [cx, cy] = [place(x, 0), SIDE - place(rows[1][k], 1)];
        const positive = this.labels && this.labels[k] > 0.5;
        return positive
          ? svg("circle", { cx, cy, r: 4, class: "positive" })
          : svg("path", { d: `M${cx - 4},${cy - 4}l8,8m0,-8l-8,8`, class: "negative" });
      }),
    );
  }

  /** The targets of the loss, where it has such: a constant with one number for each example. */
  targets(n) {
    const { args = [] } = this.graph.node(this.graph.root);
    const other = args.find(
      (id) => this.graph.nodes.includes(id) && !this.graph.node(id).op && !this.graph.node(id).tracked,
    );
    const found = other && this.graph.value(other).data;
    return found && found.length === n ? found : null;
  }

  /** What the network makes of these columns, layer by layer. */
  output(columns) {
    const { graph } = this;
    return this.layers.reduce((input, { W, b, Z, A }) => {
      const sum = preActivation(graph.value(W), b ? graph.value(b) : null, input);
      if (A === Z) return sum;
      const { op, params, forward } = graph.prepared(A);
      return forward === null ? carryOut(op, [sum], params, "float64") : carryOutRule(forward, null, null, [sum]);
    }, columns);
  }

  show() {
    const [[left, right], [low, high]] = this.limits;
    const n = CELLS * CELLS;
    const data = new Float64Array(2 * n);
    for (let k = 0; k < n; k++) {
      data[k] = left + ((k % CELLS) + 0.5) * ((right - left) / CELLS);
      data[n + k] = high - (Math.floor(k / CELLS) + 0.5) * ((high - low) / CELLS);
    }
    const z = this.output(new NdArray([2, n], data, "float64")).data;
    const middle = this.labels && Math.min(...this.labels) >= 0 && this.bounded() ? 0.5 : 0;
    this.paint(z, middle);
    const marks = this.labels ? "○ target above 0.5, × the other examples" : "× examples";
    write(this.said, `x₁ to the right, x₂ upwards; blue: above ${middle}, orange: below; ${marks}`);
  }

  /** Whether what comes out lies between 0 and 1. */
  bounded() {
    return ["sigmoid", "hard_sigmoid"].includes(this.graph.node(this.layers.at(-1).A).op);
  }

  paint(z, middle) {
    const style = getComputedStyle(this.root);
    const [positive, negative] = ["--lane1", "--lane2"].map((name) => rgb(style.getPropertyValue(name).trim()));
    const image = new ImageData(CELLS, CELLS);
    const reach = z.reduce((most, x) => Math.max(most, Math.abs(x - middle)), 1e-12);
    z.forEach((x, k) => {
      const [color, strength] = [x > middle ? positive : negative, 0.25 + 0.5 * (Math.abs(x - middle) / reach)];
      image.data.set([...color, Math.round(255 * strength)], 4 * k);
    });
    this.canvas.getContext("2d").putImageData(image, 0, 0);
    set(this.points, "data-share", (z.filter((x) => x > middle).length / z.length).toFixed(3));
  }
}

/** W · X + b, columns of X being examples. */
function preActivation(W, b, X) {
  const [rows, inner, n] = [W.shape[0], W.shape[1], X.shape[1]];
  const data = new Float64Array(rows * n);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < n; k++) {
      let sum = b ? b.data[b.data.length === 1 ? 0 : i] : 0;
      for (let j = 0; j < inner; j++) sum += W.data[i * inner + j] * X.data[j * n + k];
      data[i * n + k] = sum;
    }
  }
  return new NdArray([rows, n], data, "float64");
}

const rgb = (code) => [1, 3, 5].map((i) => parseInt(code.slice(i, i + 2), 16));
