// The controls of the stepper: back and forth, a slider, predictions with a score, and the two mistakes.

import { html, list, mark, set, write } from "./dom.mjs";

const NAMES = { "": "no mistake", assign: "= instead of +=", order: "wrong order" };
export const MISTAKES = Object.keys(NAMES);

export class Stepper {
  constructor(change, answer) {
    this.change = change;
    this.answer = answer;
    const button = (text, label, by) =>
      html("button", { type: "button", "aria-label": label, onclick: () => this.by(by) }, text);
    this.slider = html("input", {
      type: "range",
      min: 0,
      "aria-label": "step",
      oninput: (event) => change({ step: Number(event.target.value) }),
    });
    this.predict = html("input", {
      type: "checkbox",
      onchange: (event) => change({ predict: event.target.checked, revealed: false }),
    });
    this.every = html("input", {
      type: "checkbox",
      onchange: (event) => change({ every: event.target.checked, step: 0 }),
    });
    this.mistake = html(
      "select",
      { "aria-label": "mistake", onchange: (event) => change({ mistake: event.target.value, step: 0 }) },
      ...Object.entries(NAMES).map(([value, text]) => html("option", { value }, text)),
    );
    this.score = html("span", { class: "quiet" });
    this.caption = html("p", { class: "step" });
    this.notes = html("div", { class: "notes" });
    this.questions = html("form", { onsubmit: (event) => this.#submitted(event) });
    this.controls = html(
      "div",
      { class: "bar" },
      button("◀", "step back", -1),
      this.slider,
      button("▶", "step forward", 1),
      html("label", {}, this.predict, " predict first"),
      html("label", {}, this.every, " all inputs"),
      this.mistake,
      this.score,
    );
    this.root = html("section", { class: "steps", "aria-label": "steps" }, this.controls, this.caption, this.questions, this.notes);
  }

  /** Go some steps on, or back; a question that is open is answered first. */
  by(n) {
    const { revealed, step, steps, predict, asked } = this.shown;
    if (n > 0 && predict && !revealed && asked.length) return this.change({ revealed: true });
    return this.change({ step: Math.max(0, Math.min(steps - 1, step + n)) });
  }

  show(state, { steps = 1, step = 0, several, caption = "", notes = [], asked = [] }) {
    this.shown = { ...state, steps, step, asked };
    this.root.hidden = state.view !== "step" && !(state.view === "compare" && steps > 1);
    for (const part of [this.predict.parentElement, this.every.parentElement, this.mistake, this.score])
      part.hidden = state.view !== "step" || (part === this.every.parentElement && !several);
    set(this.slider, "max", steps - 1);
    this.slider.value = step;
    set(this.slider, "aria-valuetext", caption);
    this.mistake.value = state.mistake;
    write(this.caption, caption);
    write(this.score, state.asked || state.predict ? `${state.right} of ${state.asked} right` : "");
    list(
      this.notes,
      state.answered ? [state.answered, ...notes] : notes,
      () => html("p", {}),
      (p, text) => {
        write(p, text);
        mark(p, "bad", text.startsWith("✗"));
        mark(p, "good", text.startsWith("✓"));
      },
    );
    this.#ask(asked, `${step} ${state.source}`);
  }

  #ask(asked, key) {
    if (this.questions.dataset.key === key && this.questions.children.length === (asked.length ? asked.length + 1 : 0))
      return;
    this.questions.dataset.key = key;
    const field = ({ to, id }) =>
      html(
        "label",
        { class: "group" },
        `to ${to}: `,
        html("input", { type: "text", inputmode: "decimal", name: id }),
        " ",
      );
    this.questions.replaceChildren(
      ...asked.map(field),
      ...(asked.length ? [html("button", { type: "submit" }, "check")] : []),
    );
    this.questions.className = "bar";
  }

  #submitted(event) {
    event.preventDefault();
    const texts = this.shown.asked.map(({ id }) => this.questions.elements[id].value);
    const right = this.shown.asked.map(({ answer }, i) => this.answer(texts[i], answer)).every(Boolean);
    this.change({ revealed: true, answered: right ? "✓ right" : `✗ you said ${texts.join(", ")}` });
  }
}
