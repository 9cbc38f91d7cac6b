// How numbers and sums are written: exactly as `tinygrad_nn/notation.py` writes them.

const UPPER = { "-": "⁻", "−": "⁻" };
const LOWER = { "-": "₋", "−": "₋" };
for (let d = 0; d < 10; d++) {
  UPPER[d] = "⁰¹²³⁴⁵⁶⁷⁸⁹"[d];
  LOWER[d] = "₀₁₂₃₄₅₆₇₈₉"[d];
}

/** Digits above the line. */
export const superscript = (n) => [...String(n)].map((c) => UPPER[c] ?? c).join("");

/** Digits below the line. */
export const subscript = (n) => [...String(n)].map((c) => LOWER[c] ?? c).join("");

/** A number as it is read best: whole and short ones exactly, others with five digits, and a true minus sign. */
export function formatNumber(x) {
  if (typeof x === "boolean") return x ? "True" : "False";
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  return written(x, size).replaceAll("-", "−");
}

function written(x, size) {
  if (Number.isInteger(x) && size < 1e6) return String(x === 0 ? 0 : x);
  if (size < 1e-3 || size >= 1e6) {
    const [mantissa, exponent] = exponential(x).split("e");
    return `${exact(mantissa, x, Number(exponent))}e${Number(exponent)}`;
  }
  const digits = size < 10 ? 4 : Math.max(0, 4 - Math.floor(Math.log10(size)));
  return exact(fixed(x, digits), x);
}

// Of two texts that are equally near, Python takes the one with an even last digit, and JavaScript the larger one.

function fixed(x, digits) {
  const text = x.toFixed(digits);
  const tie = Math.abs(x * 2 ** (digits + 1)) % 2 === 1;
  return tie && Number(text.at(-1)) % 2 ? (x - (Math.sign(x) * 10 ** -digits) / 2).toFixed(digits) : text;
}

function exponential(x) {
  const text = x.toExponential(4);
  const [mantissa, exponent] = text.split("e");
  const unit = 10 ** (Number(exponent) - 4);
  const tie = Number.isInteger(x) && Math.abs((2 * x) / unit) % 2 === 1;
  return tie && Number(mantissa.at(-1)) % 2 ? (x - (Math.sign(x) * unit) / 2).toExponential(4) : text;
}

/** Zeros at the end say that there were more digits; without them the number is exact. */
function exact(text, value, exponent = 0) {
  const same = Math.abs(Number(`${text}e${exponent}`) - value) <= 1e-12 * Math.abs(value);
  return text.includes(".") && same ? text.replace(/0+$/, "").replace(/\.$/, "") : text;
}

/** A number as a factor: in brackets if it is negative. */
export function inBrackets(x) {
  const text = formatNumber(x);
  return text.startsWith("−") ? `(${text})` : text;
}

/** Numbers, or their texts, added up, as in `−5.0865 − 0.4678`. */
export function sumOf(terms) {
  return terms
    .map((t) => (typeof t === "string" ? t : formatNumber(t)))
    .reduce((text, t) => (t.startsWith("−") ? `${text} − ${t.slice(1)}` : `${text} + ${t}`));
}

/** A count of paths (a BigInt): exact up to fifteen digits, beyond that as a power of ten, and of two where it is one. */
export function count(n) {
  const digits = String(n);
  if (digits.length <= 15) return digits.replace(/\B(?=(\d{3})+$)/g, ",");
  const large = `≈ ${digits[0]}.${digits.slice(1, 5)}e${digits.length - 1}`;
  const bits = n.toString(2);
  return bits.lastIndexOf("1") === 0 ? `2${superscript(bits.length - 1)} ${large}` : large;
}

/** A part as percent; never 100 unless it is all, and never 0 unless it is nothing, but for rounding. */
export function percent(part) {
  if (0.9999 < part && part < 1 - 1e-12) return "nearly 100 %";
  if (part && Math.abs(part) < 1e-5) return "nearly 0 %";
  const digits = Math.abs(part) < 1e-3 ? 1e6 : 1e4;
  return `${formatNumber(Math.round(digits * part) / (digits / 100))} %`;
}

/** A noun with its number. */
export const plural = (n, word) => `${count(n)} ${word}${String(n) === "1" ? "" : "s"}`;
