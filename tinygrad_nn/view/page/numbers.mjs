// How numbers are written, as in the pictures.

/** Whole and short ones exactly, others with five digits, and a true minus sign. */
export function formatNumber(x) {
  if (typeof x === "bigint") return formatCount(x);
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  let text = String(x);
  if (!Number.isInteger(x) || size >= 1e6) {
    const [mantissa, power] = x.toExponential(4).replace("+", "").split("e");
    const digits = size < 10 ? 4 : Math.max(0, 4 - Math.floor(Math.log10(size)));
    const short = size >= 1e-3 && size < 1e6;
    text = short ? shortest(x.toFixed(digits), x, 0) : `${shortest(mantissa, x, power)}e${power}`;
  }
  return text.replaceAll("-", "−");
}

/** Zeros at the end say that there were more digits; without them the number is exact. */
function shortest(text, value, power) {
  const exact = Math.abs(Number(`${text}e${power}`) - value) <= 1e-12 * Math.abs(value);
  return text.includes(".") && exact ? text.replace(/\.?0+$/, "") : text;
}

function formatCount(n) {
  const digits = String(n);
  return n < 10n ** 15n ? digits : `${digits[0]}.${digits.slice(1, 5)}e${digits.length - 1}`;
}
