// The keyboard: which key does what, the list of them and of what is shown, and lecture mode, which obeys what presenters send.

import { html, mark } from "./dom.mjs";
import { FLOW } from "./flow_view.mjs";
import { NEURONS } from "./neurons_view.mjs";

const VIEWS = { p: "paths", f: "flow", s: "step", n: "neurons", c: "compare" };
const STEPS = { ArrowRight: 1, ArrowLeft: -1 };
const TURNS = { PageDown: 1, PageUp: -1, ArrowDown: 1, ArrowUp: -1, ...STEPS };
const [LARGE, SMALLEST, LARGEST, FACTOR] = [1.4, 0.8, 3, 1.15]; // sizes of the page in lecture mode
const LIST = [
  ["p, f, s, n, c", "Paths, Flow, Step, Neurons, Compare"],
  ["← →", "in Step: a step back, a step on; on a box: the box beside it"],
  ["Enter", "on a box: the table is about it"],
  ["r", "reset: back to the recorded numbers"],
  ["l", "lecture: large type, whole screen"],
  ["?", "this list"],
];
const WORDS = [
  ["Paths", "ways from the input to the result: local derivatives multiply along each, and the products add up to the gradient"],
  ["Flow", "the sum over all paths that use an arrow: thick is much, dashed is negative"],
  FLOW,
  ["Step", "the backward pass: who has all parts sends gradient × local derivative to each argument"],
  NEURONS,
  ["Compare", "now beside before: what has changed, what the gradient predicted, and what came"],
  ["nudge", "moves the input by 1 % and compares: Δ runs to the result, beside gradient × Δ"],
];
const LECTURE = [
  ["PageDown, →", "next: path, step, then view (as presenters send it)"],
  ["PageUp, ←", "the one before"],
  [". or b", "blank screen, and back"],
  ["+ and −", "larger, smaller"],
  ["Esc", "leave"],
];

export class Keys {
  /** Of a page, which has `state`, `change`, `views`, `rows`, `stepper`, `drawing`, `reset` and `announce`. */
  constructor(page, standalone) {
    Object.assign(this, { page, standalone, size: 0 });
    this.help = html(
      "dialog",
      { class: "help", "aria-label": "keys" },
      html("h2", {}, "Keys"),
      table(LIST),
      html("h2", {}, "In a lecture"),
      table(LECTURE),
      html("h2", {}, "Words"),
      table(WORDS.filter(Boolean)),
      html("button", { type: "button", onclick: () => this.help.close() }, "close"),
    );
    this.cover = html("div", { class: "cover", onclick: () => this.blank() });
    this.cover.hidden = true;
    page.root.append(this.help, this.cover);
    page.root.addEventListener("keydown", (event) => this.#pressed(event));
    this.elsewhere = (event) => (this.standalone || this.size) && event.target === document.body && this.#pressed(event);
    this.left = () => !document.fullscreenElement && this.size && this.lecture();
    document.addEventListener("keydown", this.elsewhere);
    document.addEventListener("fullscreenchange", this.left);
  }

  close() {
    document.removeEventListener("keydown", this.elsewhere);
    document.removeEventListener("fullscreenchange", this.left);
  }

  #pressed(event) {
    const field = event.composedPath()[0];
    const { ctrlKey, metaKey, altKey, key } = event;
    const slides = ["range", "checkbox"].includes(field.type) && !(key in STEPS) && key !== "ArrowUp" && key !== "ArrowDown";
    const writes = ["INPUT", "TEXTAREA", "SELECT"].includes(field.tagName) && !slides;
    if (writes || event.defaultPrevented || ctrlKey || metaKey || altKey || this.page.root.querySelector("dialog[open]")) return;
    if ((this.size && this.#presented(key)) || this.#plain(key)) event.preventDefault();
  }

  #plain(key) {
    const { page } = this;
    if (VIEWS[key] && page.views.includes(VIEWS[key])) page.change({ view: VIEWS[key], step: 0 });
    else if (key in STEPS && page.state.view === "step") page.stepper.by(STEPS[key]);
    else if (key in STEPS) return page.drawing.follow(key);
    else if (key === "l") this.lecture();
    else if (key === "r") page.reset();
    else if (key === "?") this.help.showModal();
    else return false;
    return true;
  }

  /** What presenters send; any key lifts a blank screen. */
  #presented(key) {
    if (!this.cover.hidden) this.blank();
    else if (key in TURNS) this.turn(TURNS[key]);
    else if (key === "." || key === "b") this.blank();
    else if (key === "+" || key === "=") this.#sized(this.size * FACTOR);
    else if (key === "-" || key === "−") this.#sized(this.size / FACTOR);
    else if (key === "Escape") this.lecture();
    else return false;
    return true;
  }

  /** The next path, or step, and behind the last one the next view. */
  turn(by) {
    const { page } = this;
    const { view, only, predict } = page.state;
    const { steps, step } = page.stepper.shown;
    const stepping = view === "step" || (view === "compare" && steps > 1);
    if (stepping && (step + by >= 0 || predict) && step + by < steps) return page.stepper.by(by);
    if (view === "paths" && only + by >= 0 && only + by <= page.rows) return page.change({ only: only + by });
    const next = page.views[page.views.indexOf(view) + by];
    const last = by < 0 ? Number.MAX_SAFE_INTEGER : 0;
    return next && page.change({ view: next, step: last, only: next === "paths" && by < 0 ? page.rows : 0 });
  }

  blank() {
    this.cover.hidden = !this.cover.hidden;
    this.page.announce(this.cover.hidden ? "the picture is back" : "blank screen; any key brings the picture back");
  }

  #sized(size) {
    this.size = Math.min(LARGEST, Math.max(SMALLEST, size));
    this.page.root.style.zoom = this.size;
    this.page.announce(`size ${Math.round(this.size * 100)} %`);
  }

  /** Large type on the whole screen, and back. */
  lecture() {
    const { root } = this.page;
    const starts = !this.size;
    mark(root, "lecture", starts);
    if (starts) {
      this.#sized(LARGE);
      root.focus();
      root.requestFullscreen?.().catch(() => {});
      return this.page.announce("lecture: PageDown and PageUp turn, b blanks, + and − size, Escape leaves, ? lists keys");
    }
    [this.size, this.cover.hidden] = [0, true];
    root.style.zoom = "";
    if (document.fullscreenElement) document.exitFullscreen();
    return this.page.announce("lecture is over");
  }
}

const table = (entries) =>
  html("dl", { class: "words" }, ...entries.flatMap(([key, what]) => [html("dt", {}, key), html("dd", {}, what)]));
