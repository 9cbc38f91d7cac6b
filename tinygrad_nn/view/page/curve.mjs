// The curve of the result over one input, with the tangent whose slope is the sum over paths.

import { html, set, svg, write } from "./dom.mjs";
import { formatNumber } from "./notation.mjs";

const [WIDTH, HEIGHT, SAMPLES] = [260, 150, 121];

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
    const { left, right, xs, ys } = this.window;
    const known = ys.filter(Number.isFinite).sort((a, b) => a - b);
    const [low, high] = limits(known, value);
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

function sampled(left, right, evaluate) {
  const xs = Array.from({ length: SAMPLES }, (_, i) => left + ((right - left) * i) / (SAMPLES - 1));
  return { left, right, xs, ys: xs.map(evaluate) };
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
