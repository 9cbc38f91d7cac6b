// A training played back: an epoch slider that moves all parameters, beside the curve of the cost.

import { html, set, svg, write } from "./dom.mjs";
import { formatNumber } from "./notation.mjs";

const [WIDTH, HEIGHT] = [260, 80];

/** The snapshots of a program: `{unit, at, parameters}`, for each parameter its arrays at all moments. */
export function momentsOf({ snapshots, at, unit }) {
  const arrays = (text) => {
    const numbers = new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
    const n = numbers.length / at.length;
    return at.map((_, k) => numbers.subarray(k * n, (k + 1) * n));
  };
  return { unit, at, parameters: Object.fromEntries(snapshots.map(({ node, numbers }) => [node, arrays(numbers)])) };
}

export class Playback {
  /** The moments, what the loss was at each, and `go(k)`, which shows one of them. */
  constructor(moments, cost, go) {
    this.snapshots = { ...moments, cost };
    this.k = moments.at.length - 1;
    this.go = go;
    this.slider = html("input", {
      type: "range",
      min: 0,
      max: this.k,
      value: this.k,
      "aria-label": moments.unit,
      oninput: (event) => this.to(Number(event.target.value)),
    });
    this.play = html("button", { type: "button", onclick: () => this.#toggle() }, "play");
    this.said = html("p", {});
    this.dot = svg("circle", { r: 4, class: "here" });
    const picture = svg(
      "svg",
      { class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "cost" },
      svg("path", { class: "graph", d: this.#line() }),
      this.dot,
    );
    this.root = html(
      "section",
      { "aria-label": "training" },
      html("h2", {}, "Training"),
      html("div", { class: "bar" }, this.play, this.slider),
      picture,
      this.said,
    );
  }

  #place(k) {
    const { cost } = this.snapshots;
    const logs = cost.map((c) => Math.log(Math.max(c, 1e-12)));
    const [low, high] = [Math.min(...logs), Math.max(...logs)];
    return [
      4 + (k / Math.max(1, cost.length - 1)) * (WIDTH - 8),
      HEIGHT - 8 - ((logs[k] - low) / (high - low || 1)) * (HEIGHT - 16),
    ];
  }

  #line() {
    return `M${this.snapshots.cost
      .map((_, k) =>
        this.#place(k)
          .map((x) => x.toFixed(1))
          .join(","),
      )
      .join("L")}`;
  }

  to(k) {
    this.k = k;
    this.slider.value = k;
    this.go(k);
  }

  #toggle() {
    if (this.timer) {
      clearInterval(this.timer);
      this.timer = null;
    } else {
      if (this.k >= this.snapshots.at.length - 1) this.k = -1;
      this.timer = setInterval(
        () => (this.k < this.snapshots.at.length - 1 ? this.to(this.k + 1) : this.#toggle()),
        80,
      );
    }
    write(this.play, this.timer ? "stop" : "play");
  }

  show(J) {
    const [x, y] = this.#place(this.k);
    set(this.dot, "cx", x);
    set(this.dot, "cy", y);
    write(this.said, `${this.snapshots.unit} ${this.snapshots.at[this.k]}: cost ${formatNumber(J)}`);
  }
}
