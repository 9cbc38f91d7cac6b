// The living page in a widget: what it cannot compute itself, Python's kernel does.

import { html } from "./dom.mjs";
import { load } from "./engine.mjs";
import { Page } from "./page.mjs";

class KernelPage extends Page {
  problem = "";

  get movable() {
    return true;
  }

  get remark() {
    return this.problem || (this.graph.live ? "" : "Python's kernel computes the numbers");
  }

  move(id, i, value) {
    if (this.graph.live) super.move(id, i, value);
    else this.ask({ id, index: i, value });
  }

  reset() {
    if (this.graph.live) super.reset();
    else this.ask({ reset: true });
  }

  /** Take over what the kernel has computed, or say what it has refused. */
  accept({ program, problem = "" }) {
    this.problem = problem;
    if (program) {
      this.data.program = program;
      this.graph = load(program);
    }
    this.render();
  }
}

/** What anywidget calls: shows the page in `el`, and lets messages of the model carry changes and answers. */
export function renderer(styles) {
  return ({ model, el }) => {
    const root = el.shadowRoot ?? el.attachShadow({ mode: "open" });
    root.replaceChildren(html("style", {}, styles));
    const page = new KernelPage(root, model.get("data"));
    el.page = page;
    page.ask = (change) => model.send(change);
    const answer = (message) => page.accept(message);
    model.on("msg:custom", answer);
    return () => model.off("msg:custom", answer);
  };
}
