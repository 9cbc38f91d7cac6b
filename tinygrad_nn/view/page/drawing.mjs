// The picture: boxes, arrows and labels at the places of a layout; built once, then patched.

import { boxOf, fill } from "./boxes.mjs";
import { APART, arrow as outline, beside, pointsOf } from "./curves.mjs";
import { list, mark, set, svg, write } from "./dom.mjs";

/**
 * One drawing of a graph.  `show` takes for each box what `fill` takes, and for each arrow
 * `{label, lanes, flow, faint, sends, only}`: lanes are numbers of paths, `flow` from −1 to 1 is a thickness.
 */
export class Drawing {
  constructor(data, layout, { onBox = () => {}, onArrow = () => {} } = {}) {
    this.layout = layout;
    const [width, height] = [layout.width + 24, layout.height + 24];
    this.root = svg("svg", {
      class: "drawing",
      width,
      height,
      viewBox: `-12 -12 ${width} ${height}`,
      role: "group",
      "aria-label": data.title,
    });
    for (const frame of data.clusters ?? []) this.#frame(frame, layout.boxes[frame.id]);
    this.boxes = new Map(data.boxes.map((box) => [box.id, boxOf(box, layout.boxes[box.id], onBox)]));
    this.arrows = new Map(data.arrows.map((each) => [each.id, this.#arrow(each, onArrow)]));
    for (const { group } of this.arrows.values()) this.root.append(group);
    for (const { group } of this.boxes.values()) this.root.append(group);
    for (const { text } of this.arrows.values()) this.root.append(text);
  }

  #frame(frame, [x, y, width, height]) {
    this.root.append(
      svg("rect", { class: "cluster", x, y, width, height, rx: 8 }),
      svg("text", { class: "cluster-label", x: x + 8, y: y + 14 }, frame.label),
    );
  }

  #arrow(each, onArrow) {
    const curve = this.layout.arrows[each.id];
    const group = svg("g", { class: "arrow", "data-id": each.id, onclick: () => onArrow(each) });
    const text = svg("text", { class: "on-arrow" });
    const points = pointsOf(curve);
    const at = this.layout.labels[each.id] ?? points[Math.floor(points.length / 2)];
    return { each, points, group, text, at, line: besideLine(points, at) };
  }

  /** Put these numbers into the picture. */
  show({ boxes, arrows }) {
    for (const [id, shown] of Object.entries(boxes)) fill(this.boxes.get(id), shown);
    for (const [id, shown] of Object.entries(arrows)) this.#fillArrow(this.arrows.get(id), shown);
  }

  #fillArrow({ points, group, text, at, line, each }, { label = "", lanes = [], flow, faint, sends, only, wrong }) {
    const lines =
      flow !== undefined && flow !== null
        ? [{ by: 0, width: Number.isFinite(flow) ? 1 + 9 * Math.abs(flow) : 1, look: flow < 0 ? "negative" : "positive" }]
        : lanes.length
          ? lanes.map((k, i) => ({ by: (i - (lanes.length - 1) / 2) * APART, width: 1.8, look: `lane lane${k}`, k }))
          : [{ by: 0, width: sends ? 3 : 1.3, look: sends ? "sends" : each.kind }];
    list(
      group,
      lines,
      () => svg("g", {}, svg("path", { class: "line" }), svg("path", { class: "head" })),
      (lane, line) => {
        const drawn = outline(beside(points, line.by), line.width);
        set(lane, "class", line.look + (only && line.k !== only ? " aside" : ""));
        set(lane.firstElementChild, "d", drawn.line);
        set(lane.firstElementChild, "stroke-width", line.width.toFixed(2));
        set(lane.lastElementChild, "d", drawn.head);
      },
    );
    mark(group, "faint", faint);
    const away = lines.length > 1 ? APART * lines.length : 1.8 * lines[0].width; // heads are wider than lines
    const look = lanes.length === 1 && flow === undefined ? `text${lanes[0]}` : "";
    this.#fillLabel(text, placed(at, line, away, label.includes("\n")), label, look, {
      faint,
      sends,
      wrong,
    });
  }

  #fillLabel(text, [x, y, anchor], label, look, { faint, sends, wrong }) {
    set(text, "class", `on-arrow ${look}${faint ? " faint" : ""}${sends ? " strong" : ""}${wrong ? " bad" : ""}`);
    set(text, "text-anchor", anchor);
    const lines = label.split("\n");
    while (text.children.length > lines.length) text.lastElementChild.remove();
    lines.forEach((line, i) => {
      if (i >= text.children.length) text.append(svg("tspan", {}));
      const span = text.children[i];
      set(span, "x", x);
      set(span, "y", y + 4 + 13 * (i - (lines.length - 1) / 2));
      write(span, line);
    });
  }

  /** Mark the box of a node. */
  choose(id) {
    for (const [key, { group, node }] of this.boxes) mark(group, "chosen", key === id || node === id);
  }

  /** Move the keyboard's focus to the box beside the one that has it. */
  follow(key) {
    const here = [...this.boxes.keys()];
    const focused = here.findIndex((id) => this.boxes.get(id).group === this.root.getRootNode().activeElement);
    const to = focused + (key === "ArrowRight" || key === "ArrowDown" ? 1 : -1);
    if (focused >= 0 && to >= 0 && to < here.length) this.boxes.get(here[to]).group.focus();
    return focused >= 0;
  }
}

const GAP = 4; // between a line and its label

/** Of a line that passes a label: where, at its height, and how slanted; or how far below it. */
function besideLine(points, [x, y]) {
  const crossed = (k, at) => points.findIndex((p, i) => i && (p[k] - at) * (points[i - 1][k] - at) <= 0);
  const along = (i, k, at) => {
    const [a, b] = [points[i - 1], points[i]];
    const part = (at - a[k]) / (b[k] - a[k] || 1);
    return { at: a[1 - k] + part * (b[1 - k] - a[1 - k]), slant: Math.abs((b[1 - k] - a[1 - k]) / (b[k] - a[k] || 1)) };
  };
  const [i, j] = [crossed(1, y), crossed(0, x)];
  const [beside, under] = [i > 0 && along(i, 1, y), j > 0 && along(j, 0, x)];
  return beside && beside.slant < 1.5 ? { beside } : under && under.slant < 1.5 ? { under } : {};
}

/** The place of a label: close to its line, however thick that is, and never on it. */
function placed([x, y], { beside, under }, width, double) {
  const side = beside && Math.sign(x - beside.at);
  if (side) return [beside.at + side * (GAP + width / 2 + 7 * beside.slant), y, side > 0 ? "start" : "end"];
  const up = under && Math.sign(y - under.at);
  return [x, up ? under.at + up * Math.max(Math.abs(y - under.at), GAP + width / 2 + (double ? 14 : 7)) : y, "middle"];
}
