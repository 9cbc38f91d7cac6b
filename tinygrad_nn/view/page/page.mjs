// The living page: its state, and what is drawn anew when that changes.

import { Boundary, hasPlane } from "./boundary.mjs";
import { compareView } from "./compare_view.mjs";
import { Curve } from "./curve.mjs";
import { html, list, mark, write } from "./dom.mjs";
import { Drawing } from "./drawing.mjs";
import { load } from "./engine.mjs";
import { download, standalone } from "./exporting.mjs";
import { flowView, isFlowing } from "./flow_view.mjs";
import { Inputs, rangeOf } from "./inputs.mjs";
import { Neurons } from "./neurons_view.mjs";
import { inspected } from "./inspect.mjs";
import { Keys } from "./keys.mjs";
import { formatNumber } from "./notation.mjs";
import { PathTable } from "./path_table.mjs";
import { pathsView, stillView } from "./paths_view.mjs";
import { Playback, momentsOf } from "./playback.mjs";
import { worksheets } from "./sheet.mjs";
import { predicted, stepView } from "./step_view.mjs";
import { costsOf, earlierPoint, pointOf, recordedPoint, setTo } from "./points.mjs";
import { MISTAKES, Stepper } from "./stepper.mjs";
import { ALL, Toolbar, VIEWS } from "./toolbar.mjs";

const WIDE = 968; // pixels from which the panel stands beside the picture, as in page.css
const [PANEL, PADDING, BESIDE] = [310, 32, 274]; // of it and the gap before it, of the page, and of it in a narrow one
const MOST = 4000; // elements of an array up to which its paths are followed live

export class Page {
  /** A page in a shadow root, or in any other element; `data` is what Python's `page_data` makes. */
  constructor(root, data) {
    this.data = data;
    this.graph = load(data.program);
    this.checked = this.graph.live ? this.graph.check() : null;
    this.before = earlierPoint(this.graph, data.program);
    this.still = !this.graph.ruled && this.graph.nodes.some((id) => this.graph.value(id).data.length > 1);
    const inputs = this.#inputs();
    const { view, source = "", element = -1, mistake } = this.#start();
    this.several = inputs.filter(({ tracked }) => tracked).length > 1 && isFlowing(this.graph);
    const all = !source && this.several;
    this.state = {
      view: view || (all && data.program.layers?.length ? "flow" : "paths"),
      all, // the flow is that from all inputs together
      source: source || inputs.find(({ tracked }) => tracked)?.id || this.graph.root,
      element: element < 0 ? null : element,
      only: 0,
      step: 0,
      predict: false,
      revealed: false,
      mistake,
      every: false,
      asked: 0,
      right: 0,
      base: null, // the point with which is compared, where that is not the recorded one
      theme: data.theme,
      inspected: "",
      level: data.level ?? 0,
    };
    const alone = (root.host ?? root.getRootNode().host)?.localName === "main";
    this.root = html("div", { class: `page${alone ? " whole" : ""}`, "data-theme": data.theme, tabindex: "-1" });
    if (this.before) Object.assign(this.state, { base: this.before, step: this.graph.nodes.length });
    this.#build(inputs);
    root.append(this.root);
    this.keys = new Keys(this, alone);
    if (worksheets) this.root.append((this.sheets = worksheets(this)));
    this.render();
    this.observer = new ResizeObserver(() => this.#resized());
    this.observer.observe(this.root);
  }

  /** When another page takes its place. */
  close() {
    this.observer.disconnect();
    this.keys.close();
  }

  /** How the page begins; a link may say anything. */
  #start() {
    const { view = "", mistake = "", ...start } = this.data.program.start ?? {};
    const known = view !== "neurons" || this.data.program.layers?.length;
    return { ...start, view: known && Object.hasOwn(VIEWS, view) ? view : "", mistake: MISTAKES.includes(mistake) ? mistake : "" };
  }

  #inputs() {
    return this.graph.nodes
      .map((id) => this.graph.node(id))
      .filter(({ op, tracked, held }) => !op && (tracked || !held))
      .map((node) => ({
        id: node.id,
        name: node.name,
        tracked: node.tracked,
        shape: this.graph.value(node.id).shape,
        data: this.graph.value(node.id).data,
      }));
  }

  #build(inputs) {
    const { data } = this;
    this.toolbar = new Toolbar(
      data,
      { sources: this.#sources(inputs), several: this.several },
      {
        change: (change) => this.change(change),
        save: () => download(standalone(this.drawing.root, this.root), data.title, "svg", "image/svg+xml"),
        worksheet: worksheets && !this.still ? () => this.sheets.showModal() : null, // notebooks have tn.worksheet
        lecture: () => this.keys.lecture(),
        help: () => this.keys.help.showModal(),
      },
    );
    this.stepper = new Stepper(
      (change) => this.change(change),
      (text, answer) => this.#answer(text, answer),
    );
    this.table = new PathTable((only) => this.change({ only }));
    this.inputs = new Inputs(this.movable ? inputs.filter(({ tracked }) => tracked) : [], (id, i, value) =>
      this.move(id, i, value),
    );
    this.curve = new Curve();
    this.moments = this.graph.live && data.program.snapshots ? momentsOf(data.program) : null;
    this.playback = this.moments ? new Playback(this.moments, costsOf(this.graph, this.moments), (k) => this.#epoch(k)) : null;
    this.neurons = data.program.layers?.length
      ? new Neurons(this.graph, data.program.layers, () => this.render())
      : null;
    const plane = data.program.layers?.length && hasPlane(this.graph, data.program.layers);
    this.boundary = plane ? new Boundary(this.graph, data.program.layers) : null;
    this.second = new PathTable(() => {});
    this.#arrange();
  }

  #arrange() {
    this.inspector = html("section", { class: "inspect", "aria-label": "inspect" });
    this.place = html("div", { class: "scroll", tabindex: "-1" });
    this.verdict = html("p", { class: "quiet" });
    this.notes = html("div", { class: "quiet notes" });
    this.live = html("p", { class: "visually-hidden", "aria-live": "polite" });
    const reset = html("button", { type: "button", onclick: () => this.reset() }, "reset");
    const nudge = html("button", { type: "button", onclick: () => this.nudge() }, "nudge");
    this.moves = html("div", { class: "bar" }, nudge, reset);
    this.moves.hidden = !this.movable;
    this.toolbar.choices.hidden = this.still;
    if (this.still) this.toolbar.of.hidden = true;
    const { table, second, neurons, playback, inputs, curve } = this;
    const shown = [this.place, neurons?.root, table.root, second.root, this.notes, this.verdict];
    const panel = [playback?.root, this.boundary?.root, inputs.root, this.moves, curve.root, this.inspector];
    this.panel = html("div", { class: "panel" }, ...panel);
    this.columns = html("div", { class: "columns" }, html("div", { class: "main" }, ...shown), this.panel);
    this.root.append(this.toolbar.root, this.columns, this.live);
    const fill = (p, note) => {
      write(p, note.text);
      mark(p, "bad", note.bad);
    };
    list(this.notes, [...(this.data.notes ?? []), ...this.#held()], () => html("p", {}), fill);
  }

  /** What does not follow: masks, which recording takes for constants. */
  #held() {
    const masks = this.graph.nodes
      .map((id) => this.graph.node(id))
      .filter(({ held, dtype }) => held && !/^u?int/.test(dtype));
    if (!masks.length || !this.graph.live) return [];
    const names = masks.map(({ name }) => name).join(", ");
    return [{ text: `${names}: what was compared stays as it was recorded, whatever moves`, bad: true }];
  }

  /** From which nodes paths may start: the inputs first. */
  #sources(inputs) {
    const leaves = inputs.filter(({ tracked }) => tracked);
    const others = this.graph.nodes.filter(
      (id) => this.graph.node(id).tracked && this.graph.node(id).op && id !== this.graph.root,
    );
    return [...leaves, ...others.map((id) => ({ id, name: this.graph.node(id).name }))];
  }

  /** Take over a change of the state, and draw what follows from it. */
  change(change) {
    if (change.source === ALL) change = { all: true, view: "flow" };
    else if ("source" in change) change = { ...change, all: false };
    if ("source" in change && change.source !== this.state.source)
      Object.assign(this.state, { element: null, step: 0, only: 0 });
    if ("step" in change) Object.assign(this.state, { revealed: false, answered: "" });
    this.fresh ||= "source" in change || "element" in change;
    Object.assign(this.state, change);
    this.render();
    if (change.step) this.drawing.root.querySelector(".lit")?.scrollIntoView({ block: "nearest" });
  }

  /** Move an input to another number. */
  move(id, i, value) {
    this.graph.set(id, i, value);
    this.fresh ||= id !== this.state.source || i !== (this.state.element ?? 0);
    this.moved?.(id);
    this.render();
  }

  reset() {
    this.fresh = true;
    this.graph.reset();
    const compared = this.before && this.state.view === "compare";
    this.change({ base: this.before, ...(compared ? { step: this.graph.nodes.length } : {}) });
  }

  /** Move the chosen input by a small step, and compare: Δ runs forward, beside what the gradient predicts. */
  nudge() {
    const { source } = this.state;
    const id = this.graph.node(source).op ? this.#inputs().find(({ tracked }) => tracked).id : source;
    const [i, base] = [this.state.element ?? 0, pointOf(this.graph)];
    const x = this.graph.value(id).data[i];
    this.graph.set(id, i, x + 0.01 * (Math.abs(x) || 1));
    this.change({ base, view: "compare", step: 0 });
  }

  #epoch(k) {
    setTo(this.graph, this.moments, k);
    this.fresh = true;
    this.render();
  }

  #answer(text, answer) {
    const right = predicted(text, answer);
    this.state.asked += 1;
    this.state.right += right ? 1 : 0;
    return right;
  }

  /** Put everything that the state says into the page. */
  render() {
    this.#layOut();
    const { state, graph, data } = this;
    const neurons = state.view === "neurons" && this.neurons;
    const shown = neurons ? neurons.show() : this.#view();
    this.place.hidden = Boolean(neurons);
    if (this.neurons) this.neurons.root.hidden = !neurons;
    if (!neurons) this.drawing.show(shown);
    this.drawing.choose(this.flowsFromAll ? "" : state.source);
    const source = this.flowsFromAll ? ALL : state.source;
    const size = graph.value(state.source).data.length;
    this.toolbar.show({ ...state, source, size, levels: data.levels.length });
    this.second.root.hidden = !shown.second;
    if (shown.second) this.second.show(shown.second);
    this.stepper.show(state, shown);
    this.table.root.hidden = !shown.table;
    if (shown.table) this.table.show(shown.table);
    this.rows = shown.table?.rows?.filter(({ k }) => k).length ?? 0;
    this.inputs.show((id) => graph.value(id));
    this.#showCurve();
    this.boundary?.show();
    this.playback?.show(graph.value(graph.root).data[0]);
    this.inspector.replaceChildren(...inspected(graph, state.inspected || state.source, shown.paths, shown.moment));
    this.#tell(shown);
  }

  #view() {
    const { state, graph, level: data } = this;
    if (this.still) return stillView(graph, { ...data, table: this.data.table }, state);
    if (state.view === "step") return stepView(graph, data, state);
    if (state.view === "compare") return compareView(graph, data, state, this.#recorded());
    if (this.flowsFromAll) return flowView(graph, data);
    return pathsView(graph, data, state);
  }

  get flowsFromAll() {
    return this.state.view === "flow" && this.state.all && isFlowing(this.graph);
  }

  #recorded() {
    this.first ??= recordedPoint(this.data.program);
    return this.state.base ?? this.first;
  }

  #showCurve() {
    const { graph, state } = this;
    const node = graph.node(state.source);
    const i = state.element ?? 0;
    const single =
      graph.value(graph.root).data.length === 1 &&
      (graph.value(state.source).data.length === 1 || state.element !== null);
    if (!graph.live || node.op || !single || !graph.gradient(state.source) || state.view === "step")
      return this.curve.show(null);
    const at = graph.value(state.source).data[i];
    const value = graph.value(graph.root).data[0];
    const slope = graph.gradient(state.source).data[i];
    if (![at + rangeOf(at), value, slope].every(Number.isFinite)) return this.curve.show(null);
    const evaluate = (x) => {
      graph.set(state.source, i, x);
      return graph.value(graph.root).data[0];
    };
    this.curve.show({
      z: graph.node(graph.root).name,
      t: node.name,
      at,
      value,
      slope,
      reach: rangeOf(at) / 2,
      evaluate,
      fresh: this.fresh,
    });
    this.fresh = false;
    graph.set(state.source, i, at);
    return undefined;
  }

  /** The picture that is shown: of operations, or with layers folded. */
  get level() {
    return this.data.levels[this.state.level];
  }

  /** Whether inputs can be moved. */
  get movable() {
    return this.graph.live && this.graph.nodes.some((id) => !this.graph.node(id).op && this.graph.node(id).tracked);
  }

  /** What is said about where the numbers come from. */
  get remark() {
    return this.graph.live ? "" : `The numbers are those that were recorded: ${this.graph.reason}`;
  }

  /** Whether the numbers are right, and why the page is not live where it is not. */
  #tell(shown) {
    const { ok, worst, faults = [] } = this.checked ?? { ok: true };
    const wrong = ok
      ? ""
      : `✗ the page computes ${faults[0]?.what} of ${faults[0]?.id} otherwise than Python did (by ${worst}): ` +
        "it shows the recorded numbers";
    write(this.verdict, wrong || this.remark);
    mark(this.verdict, "bad", !ok || this.problem);
    const said = shown.caption ?? shown.table?.heading ?? "";
    const row = shown.table?.rows?.find(({ k }) => k && k === this.state.only);
    const path = row ? `path ${row.k}: ${row.nodes}, ${row.value === undefined ? "" : formatNumber(row.value)}` : "";
    this.announce([said, path, ...(shown.notes ?? [])].filter(Boolean).join(". "));
  }

  /** Say something to those who listen to the page. */
  announce(text) {
    write(this.live, text);
  }

  /** The views that this page has. */
  get views() {
    return this.toolbar.views.map((button) => button.dataset.view);
  }

  /** The picture that fits, and where the steps stand: beside it, or below and always in sight. It never moves for them. */
  #layOut() {
    const wide = this.root.clientWidth === 0 || this.root.clientWidth >= WIDE;
    const { layouts } = this.level;
    if (wide !== this.wide) {
      this.wide = wide;
      if (wide) this.panel.prepend(this.stepper.root);
      else this.place.after(this.stepper.root);
    }
    const room = this.root.clientWidth - PADDING - (wide ? PANEL : 0);
    const layout = layouts.find(({ width }) => !this.root.clientWidth || width + 24 <= room) ?? layouts.at(-1);
    mark(this.columns, "stacked", layout.width + 24 + BESIDE > room || this.state.view === "neurons");
    if (this.drawing?.layout === layout) return;
    this.drawing = new Drawing({ title: this.data.title, ...this.level }, layout, {
      onBox: (box) => this.#clicked(box),
    });
    this.place.replaceChildren(this.drawing.root);
  }

  #resized() {
    const before = this.drawing;
    this.#layOut();
    if (this.drawing !== before) this.render();
  }

  #clicked(box) {
    if (!box.node) return;
    const node = this.graph.node(box.node);
    const follow = node.tracked && box.node !== this.graph.root && this.graph.value(box.node).data.length <= MOST;
    this.change({ inspected: box.node, ...(follow ? { source: box.node } : {}) });
  }
}

/** Show a page within an element, apart from all that is around it. */
export function mount(host, data, styles) {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.replaceChildren(html("style", {}, styles));
  host.page = new Page(root, data);
  host.page.formatNumber = formatNumber; // for tests
  return host.page;
}
