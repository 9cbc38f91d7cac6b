// From lines that a reader has typed to a program with boxes and arrows, as Python makes them of a recorded graph.

import { load } from "./engine.mjs";
import { SyntaxProblem, parse } from "./expressions.mjs";
import { formatNumber, plural, subscript } from "./notation.mjs";

const SIDE = 101; // of the vectors at which Python has traced the rules
const NAMES = ["\u16a0", "\u16a2", "\u16a6"]; // as in vocabulary.py
const RESULT = "\u16a8";

const SIDES = new Map([
  [SIDE, (n) => n],
  [1 / SIDE, (n) => 1 / n],
  [2 / SIDE, (n) => 2 / n],
]); // numbers that tell it

/** The program of a text; SyntaxProblem where it is none. */
export function programOf(text, vocabulary) {
  return new Builder(vocabulary).program(parse(text));
}

class Builder {
  constructor(vocabulary) {
    this.vocabulary = vocabulary;
    this.nodes = [];
    this.rules = [];
    this.names = new Map();
    this.counted = { v: 0, c: 0 };
  }

  program(statements) {
    let root = null;
    for (const { name, tree, line, column } of statements) {
      const called = this.untaken(name);
      root = this.operand(tree, called);
      if (root.number !== undefined) root = this.leaf({ shape: [], data: [root.number] }, called, true);
      if (name) this.names.set(name, root);
      root.at = { line, column };
    }
    if (!root.op) throw new SyntaxProblem("nothing is computed yet; write z = x * 2, say", statements.at(-1));
    if (!root.tracked) {
      const hint = this.nodes.some(({ tracked }) => tracked) ? "" : "; write x = 2, say, and use x";
      throw new SyntaxProblem(`no gradient flows back from ${root.formula}${hint}`, statements.at(-1));
    }
    if (root.numbered) Object.assign(root, { name: this.names.has("z") ? root.name : "z", numbered: false });
    return this.finished(root);
  }

  /** A name as boxes bear it: x′ where there is an x, as in x = x + 1. */
  untaken(name) {
    return name && this.nodes.some((node) => node.name === name) ? this.untaken(`${name}′`) : name;
  }

  leaf({ shape, data }, name, tracked) {
    const called = name ?? `c${subscript(++this.counted.c)}`;
    return this.added({
      name: called,
      role: tracked ? "input" : "constant",
      shape,
      dtype: "float64",
      value: data,
      tracked,
      numbered: !name,
    });
  }

  added(node) {
    node.id = `n${this.nodes.length + 1}`;
    this.nodes.push(node);
    return node;
  }

  /** A node, or a number. */
  operand(tree, name = null) {
    if (tree.number !== undefined || tree.id) return tree;
    if (tree.items) return this.list(tree, name);
    if (tree.call) return this.called(this.word(tree.call), tree.call, tree, name);
    const operation = this.vocabulary.operators[tree.operator] ?? tree.operator;
    if (tree.operator) return this.called(this.vocabulary.words[operation], tree.operator, tree, name);
    const found = this.names.get(tree.name);
    if (found) return found;
    const known = [...this.names.keys()].join(", ");
    throw new SyntaxProblem(
      `${tree.name} is not defined; ${known ? `there is ${known}` : `write ${tree.name} = 2 in a line before`}`,
      tree,
    );
  }

  /** What is known of an operation; nothing of the names that all objects of JavaScript have. */
  word(name) {
    return Object.hasOwn(this.vocabulary.words, name) ? this.vocabulary.words[name] : undefined;
  }

  list({ items, ...place }, name) {
    const numbers = items.map((item) => this.operand(item));
    if (!numbers.length || numbers.some(({ number }) => number === undefined))
      throw new SyntaxProblem("a list holds numbers, as in [1, 2, 3]", place);
    return this.leaf({ shape: [numbers.length], data: numbers.map(({ number }) => number) }, name, name !== null);
  }

  called(word, asked, { args: trees, params: given = {}, ...place }, called) {
    if (!word) throw new SyntaxProblem(unknown(asked, this.vocabulary.words), place);
    const args = trees.map((tree) => this.operand(tree));
    const n = word.arguments.length;
    if (args.length !== n) {
      throw new SyntaxProblem(
        `${asked} takes ${plural(BigInt(n), "argument")} (${word.arguments.join(", ")}), and got ${args.length}`,
        place,
      );
    }
    const other = Object.keys(given)[0];
    if (other)
      throw new SyntaxProblem(`${asked} takes no ${other}= here: parameters are what they are by default`, place);
    if (args.every(({ number }) => number !== undefined))
      return (
        this.constant(asked, args, place) ??
        this.called(word, asked, { args: [this.named(args[0]), ...args.slice(1)], ...place }, called)
      );
    const form = formOf(word, args);
    if (!form)
      throw new SyntaxProblem(
        `${asked} takes ${word.forms[0].shapes === "vectors" ? "lists of one length, as in [1, 2, 3]" : "numbers"}`,
        place,
      );
    return this.result(asked, word, form, args, place, called);
  }

  /** Python's arithmetic of plain numbers. */
  constant(asked, args) {
    const [a, b] = args.map(({ number }) => number);
    const of = { "+": a + b, "-": a - b, "*": a * b, "/": a / b, "**": a ** b, negative: -a };
    return asked in of ? { number: of[asked] } : undefined;
  }

  /** A number as a node. */
  named({ number }) {
    return this.leaf({ shape: [], data: [number] }, null, false);
  }

  result(asked, word, form, args, place, called) {
    const n = Math.max(...args.map((x) => x.shape?.[0] ?? 0));
    const wrong = args.find((x) => x.shape?.length && x.shape[0] !== n);
    if (wrong) throw new SyntaxProblem(`${asked}: lists of ${wrong.shape[0]} and of ${n} numbers do not fit`, place);
    const op = form.op ?? Object.keys(this.vocabulary.words).find((name) => this.vocabulary.words[name] === word);
    const names = args.map((x, i) => (x.number === undefined ? x.name : bracketed(x.number, i)));
    const shape = form.shapes === "any" ? (n ? [n] : []) : form.result === "same" ? [n] : [];
    const rules = args.map((x, i) => (x.tracked && form.rules[i] ? this.rule(form.rules[i], n) : -1));
    const [filled, slopes] = [spelled(form.title, names, "", n), args.map((_, i) => form.slopes[i] ?? "")];
    const node = this.added({
      op,
      name: called ?? `v${subscript(++this.counted.v)}`,
      numbered: !called,
      role: "operation",
      shape,
      dtype: form.dtype,
      args: args.map((x) => (x.number === undefined ? x.id : String(x.number))),
      params: sized(form.params, n),
      rules,
      forward: form.forward ? this.rule(form.forward, n) : -1,
      tracked: rules.some((k) => k >= 0),
      formula: filled,
      value: [0],
    });
    Object.assign(node, {
      slopes: [],
      sloped: () =>
        slopes.map((text) =>
          spelled(
            text,
            args.map((x) => x.name ?? formatNumber(x.number)),
            node.name,
            n,
          ),
        ),
    });
    return node;
  }

  rule(rule, n) {
    this.rules.push(sized(rule, n));
    return this.rules.length - 1;
  }

  /** Only what the result was made from; with values and gradients, as if Python had recorded them. */
  finished(root) {
    const kept = new Set([root.id]);
    for (const node of [...this.nodes].reverse())
      if (kept.has(node.id)) for (const arg of node.args ?? []) kept.add(arg);
    const nodes = this.nodes.filter(({ id }) => kept.has(id));
    root.role = "output";
    let edge = 0;
    for (const node of nodes)
      node.arrows = (node.args ?? []).map((arg) => (kept.has(arg) && arg.startsWith("n") ? `e${++edge}` : ""));
    const program = { root: root.id, nodes, operations: this.vocabulary.operations, rules: this.rules };
    const graph = load(program);
    for (const node of nodes) if (!node.op) graph.set(node.id, null, node.value);
    for (const node of nodes) node.value = [...graph.value(node.id).data];
    for (const node of nodes) node.gradient = graph.gradient(node.id) ? [...graph.gradient(node.id).data] : null;
    return program;
  }
}

/** The form of a call that fits these arguments. */
function formOf({ forms }, args) {
  const exponent = args[1]?.number;
  const lists = args.some((x) => x.shape?.length);
  return (
    forms.find((form) => form.exponent !== undefined && form.exponent === exponent) ??
    forms.find(
      (form) => form.exponent === undefined && (form.shapes === "any" || (lists && args.every((x) => x.shape?.length))),
    )
  );
}

/** A rule or parameters with the side of these lists in the place of that at which they were traced. */
function sized(value, n) {
  if (value === SIDE) return n;
  if (typeof value === "string" && SIDES.has(Number(value))) return String(SIDES.get(Number(value))(n));
  if (Array.isArray(value)) return value.map((item) => sized(item, n));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sized(item, n)]));
  return value;
}

const spelled = (text, names, result, n) =>
  names.reduce(
    (filled, name, i) => filled.replaceAll(NAMES[i], name),
    text.replaceAll(String(SIDE), String(n)).replaceAll(RESULT, result),
  );
const bracketed = (x, i) => (i > 0 && x < 0 ? `(${formatNumber(x)})` : formatNumber(x));

/** What is wrong with a name that no operation has, and which one may have been meant. */
function unknown(name, words) {
  const shared = (word) => [...word].findIndex((letter, i) => letter !== name[i]) + (name.startsWith(word) ? 99 : 0);
  const near = Object.keys(words)
    .map((word) => [distance(name, word), word])
    .sort(([a, u], [b, v]) => a - b || shared(v) - shared(u))[0];
  const hint =
    near[0] <= Math.max(1, name.length / 3)
      ? `; do you mean ${near[1]}?`
      : `; there are ${Object.keys(words).length} operations, such as sin, exp, relu and sum`;
  return `${name} is not known here${hint}`;
}

/** How many letters have to be changed, left out or put in. */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}
