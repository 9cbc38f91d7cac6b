// What stands above the picture: the title, from where paths start, the views, themes, and saving.

import { html, set } from "./dom.mjs";

export const ALL = "*"; // in the place of an input: all of them

export const VIEWS = { paths: "Paths", flow: "Flow", step: "Step", neurons: "Neurons", compare: "Compare" };

export class Toolbar {
  constructor(data, { sources, several }, { change, save, worksheet, lecture, help }) {
    this.change = change;
    this.source = html(
      "select",
      { "aria-label": "paths from", onchange: (event) => change({ source: event.target.value }) },
      ...(several ? [html("option", { value: ALL }, "all inputs")] : []),
      ...sources.map(({ id, name }) => html("option", { value: id }, name)),
    );
    this.element = html("input", {
      type: "number",
      min: "1",
      placeholder: "all",
      "aria-label": "element of the array",
      oninput: (event) => this.#element(event.target.value),
    });
    this.of = html("label", {}, "element ", this.element);
    this.of.hidden = data.program.nodes.every(({ shape = [] }) => shape.reduce((size, n) => size * n, 1) === 1);
    this.views = Object.entries(VIEWS)
      .filter(([view]) => view !== "neurons" || data.program.layers?.length)
      .map(([view, name]) =>
        html("button", { type: "button", "data-view": view, onclick: () => change({ view, step: 0 }) }, name),
      );
    this.theme = html("button", { type: "button", onclick: () => this.#theme() }, "dark");
    const button = (text, title, onclick, look) => html("button", { type: "button", title, onclick, class: look }, text);
    const search = html("input", {
      class: "aid",
      type: "search",
      placeholder: "find a node",
      "aria-label": "find a node",
      onchange: (event) => this.#find(event.target.value, sources),
    });
    const group = (...parts) => html("div", { class: "group" }, ...parts);
    this.fold = html("button", { type: "button", onclick: () => change({ level: 1 - this.level }) }, "fold");
    this.choices = group(html("label", {}, "paths from ", this.source), ...this.views, this.fold);
    this.root = html(
      "div",
      { class: "bar", role: "toolbar", "aria-label": "views" },
      html("h1", {}, data.title),
      this.choices,
      group(
        this.of,
        search,
        this.theme,
        button("lecture", "large type, whole screen, and back (key l)", lecture),
        button("save SVG", "save the present picture", save, "aid"),
        worksheet && button("worksheet", "an exercise sheet from this picture", worksheet, "aid"),
        button("?", "what is what, and all keys (key ?)", help),
      ),
    );
  }

  show({ view, source, theme, size, level, levels }) {
    this.level = level;
    this.fold.hidden = levels < 2;
    this.fold.textContent = level ? "unfold" : "fold";
    for (const button of this.views) set(button, "aria-pressed", button.dataset.view === view ? "true" : "false");
    if ([...this.source.options].some((option) => option.value === source)) this.source.value = source;
    this.of.style.visibility = size > 1 && source !== ALL ? "" : "hidden"; // it keeps its place: nothing moves
    set(this.element, "max", size);
    this.theme.textContent = this.#dark(theme) ? "light" : "dark";
  }

  #dark(theme) {
    return theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  }

  #theme() {
    const page = this.root.closest(".page");
    const theme = this.#dark(page.dataset.theme) ? "light" : "dark";
    page.dataset.theme = theme;
    this.change({ theme });
  }

  #element(text) {
    const k = Number(text);
    this.change({ element: text && k >= 1 && k <= Number(this.element.max) ? k - 1 : null });
  }

  #find(text, sources) {
    const found = sources.find(({ name }) => name === text) ?? sources.find(({ name }) => name.startsWith(text));
    if (text && found) this.change({ source: found.id, inspected: found.id });
  }
}
