// How numbers are written, as in the pictures; and numbers that neither overflow nor underflow.

/** Whole and short ones exactly, others with five digits, and a true minus sign. */
export function formatNumber(x) {
  if (typeof x === "bigint") return formatCount(x);
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  let text;
  if (Number.isInteger(x) && size < 1e6) text = String(x);
  else if (size < 1e-3 || size >= 1e6) {
    const [mantissa, exponent] = x.toExponential(4).split("e");
    text = `${shortest(mantissa, x, Number(exponent))}e${Number(exponent)}`;
  } else text = shortest(x.toFixed(size < 10 ? 4 : Math.max(0, 4 - Math.floor(Math.log10(size)))), x);
  return text.replaceAll("-", "−");
}

/** Zeros at the end say that there were more digits; without them the number is exact. */
function shortest(text, value, exponent = 0) {
  const exact = Math.abs(Number(`${text}e${exponent}`) - value) <= 1e-12 * Math.abs(value);
  return text.includes(".") && exact ? text.replace(/0+$/, "").replace(/\.$/, "") : text;
}

export function formatCount(n) {
  const digits = String(n);
  return n < 10n ** 15n ? digits : `${digits[0]}.${digits.slice(1, 5)}e${digits.length - 1}`;
}

// --- m·2ᵉ, with ½ ≤ |m| < 1, as [m, e] -------------------------------------------------------------------------------

export const ZERO = [0, 0];
export const ONE = [0.5, 1];

export function scaledFrom(x) {
  if (x === 0 || !Number.isFinite(x)) return [x, 0];
  let e = Math.max(-1023, Math.floor(Math.log2(Math.abs(x))) + 1);
  let m = (x * 2 ** -Math.floor(e / 2)) * 2 ** -(e - Math.floor(e / 2));
  while (Math.abs(m) >= 1) [m, e] = [m / 2, e + 1];
  while (Math.abs(m) < 0.5) [m, e] = [m * 2, e - 1];
  return [m, e];
}

export function times(a, x) {
  const [m, e] = scaledFrom(a[0] * x);
  return [m, a[1] + e];
}

export function plus(a, b) {
  if (a[0] === 0 || b[0] === 0) return a[0] === 0 ? b : a;
  const [large, small] = a[1] < b[1] ? [b, a] : [a, b];
  const [m, e] = scaledFrom(large[0] + small[0] * 2 ** (small[1] - large[1]));
  return [m, large[1] + e];
}

export function absolute(a) {
  return [Math.abs(a[0]), a[1]];
}

export function toNumber([m, e]) {
  const half = Math.max(-1000, Math.min(1000, Math.floor(e / 2)));
  return m * 2 ** half * 2 ** Math.max(-1074, Math.min(1024, e - half));
}

export function ratio(a, b) {
  return b[0] === 0 ? NaN : toNumber([a[0] / b[0], a[1] - b[1]]);
}

/** log|a|; NaN counts as infinite, so that it comes first where the largest are looked for. */
export function logOf([m, e]) {
  if (m === 0) return -Infinity;
  return Number.isNaN(m) ? Infinity : Math.log(Math.abs(m)) + e * Math.LN2;
}
