// What the reader types in the playground, as trees: lines `name = expression` of Python's arithmetic.

/** What is wrong, with the line and column (from 1) where, and what is known there. */
export class SyntaxProblem extends Error {
  constructor(message, { line, column }) {
    super(`line ${line}, column ${column}: ${message}`);
    Object.assign(this, { line, column });
  }
}

const TOKEN =
  /\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([\p{L}_][\p{L}\p{N}_]*)|(\*\*|[-+*/@()[\],=−·×]))/uy;
const SAME = { "−": "-", "·": "*", "×": "*" };

function tokensOf(text, line, start) {
  const found = [];
  let at = start;
  const code = text.trimEnd();
  while (at < code.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(code);
    const column = at + 1 + code.slice(at).search(/\S/);
    const sign = code[column - 1];
    const hint = sign === "^" ? "; a power is written **" : "";
    if (!match) throw new SyntaxProblem(`${JSON.stringify(sign)} is not known here${hint}`, { line, column });
    const [, number, name, mark] = match;
    found.push({ number: number && Number(number), name, sign: SAME[mark] ?? mark, line, column });
    at = TOKEN.lastIndex;
  }
  found.push({ end: true, line, column: code.length + 1 });
  return found;
}

/** The assignments of a text, in order: `{name, tree, line, column}`; the last may be an expression alone. */
export function parse(text) {
  const found = [];
  text.split("\n").forEach((line, i) => {
    let start = 0;
    for (const part of line.replace(/#.*$/, "").split(";")) {
      const tokens = tokensOf(line.slice(0, start + part.length), i + 1, start);
      if (tokens.length > 1) found.push(new Parser(tokens).statement());
      start += part.length + 1;
    }
  });
  if (!found.length) throw new SyntaxProblem("nothing is here yet; write x = 2, say", { line: 1, column: 1 });
  return found;
}

const LEVELS = [
  ["+", "-"],
  ["*", "/", "@"],
];

class Parser {
  constructor(tokens) {
    this.tokens = tokens;
    this.at = 0;
  }

  get next() {
    return this.tokens[this.at];
  }

  take(sign) {
    if (this.next.sign !== sign) return null;
    return this.tokens[this.at++];
  }

  need(sign, what) {
    return this.take(sign) ?? this.fail(`expected ${sign}${what}`);
  }

  fail(message) {
    const { end, number, name, sign } = this.next;
    throw new SyntaxProblem(
      `${message}, and found ${end ? "the end of the line" : JSON.stringify(String(name ?? sign ?? number))}`,
      this.next,
    );
  }

  statement() {
    const [first, second] = this.tokens;
    const named = first.name && second.sign === "=";
    if (named) this.at = 2;
    const tree = this.sum(0);
    if (!this.next.end) this.fail("expected an operator or the end of the line");
    return { name: named ? first.name : null, tree, line: first.line, column: first.column };
  }

  /** Operators of a level, from the left. */
  sum(level) {
    if (level === LEVELS.length) return this.signed();
    let tree = this.sum(level + 1);
    for (let sign; (sign = LEVELS[level].map((s) => this.take(s)).find(Boolean));) {
      tree = { operator: sign.sign, args: [tree, this.sum(level + 1)], ...place(sign) };
    }
    return tree;
  }

  /** As in Python, −x ** 2 is −(x ** 2), and 2 ** −1 is fine. */
  signed() {
    const sign = this.take("-");
    if (!sign) return this.take("+") ? this.signed() : this.power();
    const inner = this.signed();
    return inner.number !== undefined
      ? { ...inner, number: -inner.number }
      : { operator: "negative", args: [inner], ...place(sign) };
  }

  power() {
    const base = this.primary();
    const sign = this.take("**");
    return sign ? { operator: "**", args: [base, this.signed()], ...place(sign) } : base;
  }

  primary() {
    const token = this.next;
    if (token.number !== undefined) return (this.at++, { number: token.number, ...place(token) });
    if (this.take("(")) {
      const tree = this.sum(0);
      this.need(")", " to close the bracket");
      return { ...tree };
    }
    if (this.take("[")) return { items: this.items(), ...place(token) };
    if (token.name) return (this.at++, this.take("(") ? this.call(token) : { name: token.name, ...place(token) });
    return this.fail("expected a number, a name, or a bracket");
  }

  items() {
    const found = [];
    while (!this.take("]")) {
      found.push(this.sum(0));
      if (!this.take(",")) return (this.need("]", " to close the list"), found);
    }
    return found;
  }

  call(token) {
    const args = [];
    const params = {};
    while (!this.take(")")) {
      const [key, equals] = [this.next, this.tokens[this.at + 1]];
      if (key.name && equals?.sign === "=") {
        this.at += 2;
        params[key.name] = this.sum(0);
      } else args.push(this.sum(0));
      if (!this.take(",")) {
        this.need(")", ` to close ${token.name}(`);
        break;
      }
    }
    return { call: token.name, args, params, ...place(token) };
  }
}

const place = ({ line, column }) => ({ line, column });
