// Inputs that the reader moves: a slider and a number for each single number, buttons to drag for small arrays.

import { html, list, set, write } from "./dom.mjs";
import { formatNumber } from "./notation.mjs";

const MOST = 64; // elements of an array that can be moved
const OPEN = 12; // elements that are shown unasked
const ACROSS = 4; // elements of a column side by side

/** `inputs`: `{id, name, shape, data}`; `onChange(id, index, value)` when one is moved. */
export class Inputs {
  constructor(inputs, onChange) {
    this.onChange = onChange;
    this.rows = new Map();
    const parts = inputs.filter(({ data }) => data.length <= MOST).map((input) => this.#row(input));
    this.root = html("section", { class: "inputs", "aria-label": "inputs" }, html("h2", {}, "Inputs"), ...parts);
  }

  #row(input) {
    return input.data.length === 1 ? this.#number(input) : this.#array(input);
  }

  #number({ id, name, data }) {
    const reach = rangeOf(data[0]);
    const slide = (event) => this.onChange(id, 0, Number(event.target.value));
    const typed = (event) => event.target.value !== "" && Number.isFinite(Number(event.target.value)) && slide(event);
    const slider = html("input", {
      type: "range",
      min: -reach,
      max: reach,
      step: reach / 400,
      "aria-label": name,
      oninput: slide,
    });
    const field = html("input", { type: "number", step: "any", "aria-label": `${name}, as a number`, oninput: typed });
    this.rows.set(id, (numbers, active) => {
      const size = Math.abs(numbers[0]);
      if (!Number.isFinite(size)) return field === active || (field.value = ""); // browsers have no such number
      if (size > Number(slider.max)) [slider.min, slider.max, slider.step] = [-2 * size, 2 * size, size / 200];
      if (slider !== active) slider.value = numbers[0];
      if (field !== active) field.value = plain(numbers[0]);
      set(slider, "aria-valuetext", formatNumber(numbers[0]));
    });
    return html("div", { class: "input" }, html("span", {}, name), slider, field);
  }

  /** Buttons that are dragged sideways, or moved by the arrow keys. */
  #array({ id, name, shape, data }) {
    const flat = shape.length < 2 || shape.includes(data.length);
    const columns = flat ? Math.min(ACROSS, data.length) : data.length / shape[0];
    const cells = html("div", {
      class: "array",
      role: "group",
      "aria-label": name,
      style: `grid-template-columns: repeat(${columns}, auto)`,
    });
    const unit = Math.max(...data.map(Math.abs), 0.1) / 100;
    list(
      cells,
      [...data],
      (_, i) => this.#element(id, name, i, unit),
      () => {},
    );
    this.rows.set(id, (numbers) =>
      [...cells.children].forEach((cell, i) => {
        cell.value = numbers[i];
        write(cell, formatNumber(numbers[i]));
        set(cell, "aria-label", `${name} element ${i + 1}: ${formatNumber(numbers[i])}`);
      }),
    );
    return html(
      "details",
      { open: data.length <= OPEN ? "" : null },
      html("summary", {}, `${name}, ${shape.join(" × ")}${shape.length < 2 ? " numbers" : ""}`),
      cells,
    );
  }

  #element(id, name, i, unit) {
    const move = (cell, by) => this.onChange(id, i, Number((Number(cell.value) + by * unit).toPrecision(8)));
    const keys = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    const keydown = (event) => {
      if (!(event.key in keys)) return;
      event.preventDefault();
      move(event.currentTarget, keys[event.key]);
    };
    const pointermove = (event) =>
      event.currentTarget.hasPointerCapture(event.pointerId) &&
      event.movementX &&
      move(event.currentTarget, event.movementX);
    const pointerdown = (event) => event.currentTarget.setPointerCapture(event.pointerId);
    return html("button", {
      type: "button",
      title: "drag sideways, or use the arrow keys",
      onkeydown: keydown,
      onpointerdown: pointerdown,
      onpointermove: pointermove,
    });
  }

  /** Show the numbers of each input, but leave alone what the reader is writing in. */
  show(values) {
    const active = this.root.getRootNode().activeElement;
    for (const [id, show] of this.rows) show(values(id).data, active);
  }
}

/** A number as a field holds it: short, whatever its size. */
const plain = (x) => {
  const short = Number(x.toPrecision(6));
  return Math.abs(short) < 1e7 ? String(short) : short.toExponential().replace("+", "");
};

/** How far a slider reaches to both sides. */
export const rangeOf = (x) => (Number.isFinite(x) ? Math.min(1e300, Math.max(2, 2 ** Math.ceil(Math.log2(Math.abs(x) || 1)) * 2)) : 2);
