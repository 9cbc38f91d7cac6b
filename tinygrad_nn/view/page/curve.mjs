// The curve of the result over one input, with the tangent whose slope is the sum over paths.

import { html, set, svg, write } from "./dom.mjs";
import { formatNumber } from "./notation.mjs";

const [WIDTH, HEIGHT, SAMPLES] = [260, 150, 61];
const [HALVINGS, ROUGH, LONGEST] = [5, 0.004, 40]; // of intervals that bend more than this part of the height; ms for all

/**
 * Shown by `show({z, t, at, value, slope, reach, evaluate, fresh})`, where `evaluate(x)` is z at another place.  The
 * curve itself is computed anew only if it is `fresh`, or the place has left its window.
 */
export class Curve {
  constructor() {
    this.title = html("h2", {});
    this.graph = svg("path", { class: "graph" });
    this.tangent = svg("line", { class: "tangent" });
    this.here = svg("circle", { class: "here", r: 5 });
    this.low = svg("text", { x: 4, y: HEIGHT - 5 });
    this.high = svg("text", { x: WIDTH - 4, y: HEIGHT - 5, "text-anchor": "end" });
    this.picture = svg(
      "svg",
      { class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" },
      this.graph,
      this.tangent,
      this.here,
      this.low,
      this.high,
    );
    this.root = html("section", { "aria-label": "curve" }, this.title, this.picture);
  }

  show(shown) {
    this.root.hidden = !shown;
    if (!shown) return;
    const { z, t, at, value, slope, reach, evaluate, fresh } = shown;
    if (fresh || !this.window || at < this.window.left || at > this.window.right)
      this.window = sampled(at - reach, at + reach, evaluate);
    const { left, right, xs, ys, even } = this.window;
    const [low, high] = limits(even.filter(Number.isFinite).sort((a, b) => a - b), value);
    this.root.hidden = !Number.isFinite(high - low);
    if (this.root.hidden) return;
    const px = (x) => ((x - left) / (right - left)) * WIDTH;
    const py = (y) => HEIGHT - 18 - ((y - low) / (high - low || 1)) * (HEIGHT - 30);
    set(this.graph, "d", lineOf(xs, ys, px, py));
    const half = Math.min(reach / 3, Math.abs(slope) > 0 ? ((high - low) / Math.abs(slope)) * 0.5 : reach / 3);
    place(this.tangent, [px(at - half), py(value - slope * half), px(at + half), py(value + slope * half)]);
    set(this.here, "cx", px(at).toFixed(1));
    set(this.here, "cy", py(value).toFixed(1));
    write(this.low, `${t.length > 20 ? `${t.slice(0, 20)}…` : t} = ${formatNumber(round(left))}`);
    write(this.high, formatNumber(round(right)));
    write(this.title, `${z} as ${t} moves; the line has slope ${formatNumber(slope)}`);
    set(
      this.picture,
      "aria-label",
      `${z} over ${t}: at ${t} = ${formatNumber(at)} it is ${formatNumber(value)}, with slope ${formatNumber(slope)}`,
    );
  }
}

/**
 * The curve at places that lie closer where it bends: all intervals are halved once, then those that the middle shows to
 * be no straight line, and their neighbours.  So a wave keeps its height.  `even` is from equal distances.
 */
function sampled(left, right, evaluate) {
  const began = performance.now();
  let xs = Array.from({ length: SAMPLES }, (_, i) => left + ((right - left) * i) / (SAMPLES - 1));
  let ys = xs.map(evaluate);
  let rough = xs.slice(1).map(() => true);
  let even = ys;
  for (let k = 0; k < HALVINGS && rough.includes(true) && performance.now() - began < LONGEST; k++) {
    [xs, ys, rough] = halved(xs, ys, rough, evaluate, k ? heightOf(even) : heightOf(ys));
    if (!k) even = ys;
  }
  return { left, right, xs, ys, even };
}

const heightOf = (ys) => {
  const known = ys.filter(Number.isFinite);
  return known.length ? Math.max(...known) - Math.min(...known) : 0;
};

/** Rough intervals with a point more in their middle, and which of all are rough now. */
function halved(xs, ys, rough, evaluate, height) {
  const middles = rough.map((is, i) => (is ? evaluate((xs[i] + xs[i + 1]) / 2) : null));
  const bent = middles.map((y, i) => y !== null && !(Math.abs(y - (ys[i] + ys[i + 1]) / 2) <= ROUGH * height));
  const [x, y, still] = [[xs[0]], [ys[0]], []];
  middles.forEach((middle, i) => {
    const again = rough[i] && (bent[i] || bent[i - 1] || bent[i + 1]);
    if (middle !== null) {
      x.push((xs[i] + xs[i + 1]) / 2);
      y.push(middle);
      still.push(again);
    }
    x.push(xs[i + 1]);
    y.push(ys[i + 1]);
    still.push(again);
  });
  return [x, y, still];
}

const round = (x) => Number(x.toPrecision(3));

/** From the lowest to the highest, but a pole does not flatten the rest. */
function limits(sorted, value) {
  if (!sorted.length) return [value - 1, value + 1];
  const at = (q) => sorted[Math.round(q * (sorted.length - 1))];
  const span = at(0.9) - at(0.1);
  const low = Math.max(at(0), at(0.1) - 2 * span);
  const high = Math.min(at(1), at(0.9) + 2 * span);
  return high > low ? [Math.min(low, value), Math.max(high, value)] : [value - 1, value + 1];
}

function lineOf(xs, ys, px, py) {
  let pen = "M";
  return xs
    .map((x, i) => {
      const y = py(ys[i]);
      if (!Number.isFinite(y) || Math.abs(y) > 20 * HEIGHT) {
        pen = "M";
        return "";
      }
      const step = `${pen}${px(x).toFixed(1)},${y.toFixed(1)}`;
      pen = "L";
      return step;
    })
    .join("");
}

const place = (line, [x1, y1, x2, y2]) =>
  Object.entries({ x1, y1, x2, y2 }).forEach(([name, value]) => set(line, name, value.toFixed(1)));
