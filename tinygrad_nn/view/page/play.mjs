// The playground: lines that are typed become a living page at once; links restore text, numbers and view.

import { dataOf, isTooLarge } from "./arranging.mjs";
import { programOf } from "./building.mjs";
import { html, set, write } from "./dom.mjs";
import { Page } from "./page.mjs";
import { STARTS } from "./starts.mjs";

const HINT = "A line with a number is an input, and the last line is the result. Move inputs, click boxes, type on.";

export class Playground {
  constructor(root, { vocabulary, theme }) {
    Object.assign(this, { vocabulary, theme });
    this.text = html("textarea", {
      "aria-label": "lines",
      spellcheck: "false",
      rows: 7,
      autocapitalize: "off",
      oninput: () => this.typed(),
    });
    this.start = html(
      "select",
      { "aria-label": "examples", onchange: (event) => this.show(STARTS[event.target.value]) },
      html("option", { value: "" }, "examples …"),
      ...STARTS.map(({ name }, i) => html("option", { value: i }, name)),
    );
    const link = html("button", { type: "button", onclick: () => this.link() }, "link");
    this.problem = html("p", { class: "bad", role: "status" });
    this.said = html("p", { class: "quiet" });
    this.host = html("div", {});
    this.root = html(
      "div",
      { class: "page play", "data-theme": theme },
      html("div", { class: "bar" }, html("h1", {}, "The chain rule, to play with"), this.start, link),
      this.said,
      this.text,
      this.problem,
      this.#help(vocabulary.words),
    );
    root.append(this.root, this.host);
    this.restore();
    addEventListener("hashchange", () => this.restore());
  }

  /** What can be typed. */
  #help(words) {
    const entries = Object.entries(words).flatMap(([name, { arguments: given, summary }]) => [
      html("dt", {}, `${name}(${given.join(", ")})`),
      html("dd", {}, summary),
    ]);
    return html(
      "details",
      { class: "quiet" },
      html(
        "summary",
        {},
        `Names, numbers, lists such as [1, 2], + − * / ** @, and ${Object.keys(words).length} functions`,
      ),
      html("dl", { class: "words" }, ...entries),
    );
  }

  /** What a link says, or the first example. */
  restore() {
    let given = null;
    try {
      given = JSON.parse(decodeURIComponent(location.hash.slice(1)));
    } catch {
      given = null; // no link of ours
    }
    if (given && typeof given.text === "string") this.show(given);
    else if (!this.page) this.show(STARTS[0]);
  }

  typed() {
    this.start.value = "";
    write(this.said, HINT);
    this.build();
  }

  show({ text, about = HINT, view, source, step, mistake }) {
    this.text.value = text;
    write(this.said, about);
    this.build({ view, step, mistake, named: source });
  }

  /** The page of what is typed; while that is wrong, the one before stays. */
  build(asked = {}) {
    let program;
    try {
      program = programOf(this.text.value, this.vocabulary);
      if (isTooLarge(program))
        throw new Error(`${program.nodes.length} boxes, with arrows past so many others, are too much to lay out here: leave some out`);
    } catch (problem) {
      write(this.problem, problem.message);
      set(this.text, "aria-invalid", "true");
      return;
    }
    write(this.problem, "");
    set(this.text, "aria-invalid", null);
    const before = this.page?.state ?? {};
    const named = asked.named ?? (before.source && this.page.graph.node(before.source).name);
    const source = program.nodes.find(({ name, tracked }) => tracked && name === named)?.id ?? "";
    program.start = {
      view: asked.view ?? before.view ?? "paths",
      source,
      mistake: asked.mistake ?? before.mistake ?? "",
    };
    this.host.replaceChildren();
    this.page?.close();
    this.page = new Page(this.host, dataOf(program, { theme: this.page?.state.theme ?? this.theme }));
    this.page.moved = (id) => this.#rewritten(id);
    if (asked.step > 0) this.page.change({ step: Math.trunc(asked.step) });
    this.root.dataset.theme = this.page.state.theme;
  }

  /** A number that is moved is written into the line that defines it. */
  #rewritten(id) {
    const node = this.page.graph.node(id);
    const lines = this.text.value.split("\n");
    const at = node.at?.line - 1;
    const values = [...this.page.graph.value(id).data].map((x) => String(Number(x.toPrecision(6))));
    const value = node.shape.length ? `[${values.join(", ")}]` : values[0];
    const pattern = /^(\s*[\p{L}_][\p{L}\p{N}_]*\s*=\s*)(-?[\d.eE+-]+|\[[^\]]*\])(\s*(?:#.*)?)$/u;
    if (lines[at]?.match(pattern)) lines[at] = lines[at].replace(pattern, `$1${value}$3`);
    this.text.value = lines.join("\n");
  }

  /** Put all that restores the present view into the address. */
  link() {
    const { view, source, step, mistake } = this.page.state;
    location.hash = encodeURIComponent(
      JSON.stringify({ text: this.text.value, view, source: this.page.graph.node(source).name, step, mistake }),
    );
    navigator.clipboard?.writeText(location.href).catch(() => {});
  }
}

/** Show the playground within an element. */
export function mount(host, data, styles) {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.replaceChildren(html("style", {}, styles));
  host.play = new Playground(root, data);
  return host.play;
}
