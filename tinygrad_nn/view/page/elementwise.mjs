// Operations that act on each element by itself, as functions of numbers; true is 1 and false is 0.

import { special } from "./special.mjs";

const OF_BROWSERS = {
  abs: "abs", fabs: "abs", sign: "sign", exp: "exp", expm1: "expm1", log: "log", log1p: "log1p", log2: "log2", log10: "log10",
  sqrt: "sqrt", cbrt: "cbrt", sin: "sin", cos: "cos", tan: "tan", arcsin: "asin", arccos: "acos", arctan: "atan",
  sinh: "sinh", cosh: "cosh", tanh: "tanh", arcsinh: "asinh", arccosh: "acosh", arctanh: "atanh",
  floor: "floor", ceil: "ceil", trunc: "trunc",
};
const truth = (f) => (...numbers) => Number(f(...numbers));
const bitwise = (f) => (a, b) => Number(f(BigInt(a), BigInt(b)));
const isNegative = (x) => x < 0 || Object.is(x, -0);
const copysign = (x, s) => (isNegative(x) === isNegative(s) ? x : -x);

function power(x, n) {
  return x === 1 || (x === -1 && Math.abs(n) === Infinity) ? 1 : x ** n;  // as C has it
}

export function logaddexp(a, b) {
  if (a === b) return a + Math.LN2;
  return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}

function remainder(a, b) {
  const r = a % b;
  if (r === 0) return copysign(0, b);
  return r < 0 === b < 0 ? r : r + b;
}

function floorDivide(a, b) {
  if (b === 0) return a / b;
  const d = (a - remainder(a, b)) / b;
  return d - Math.floor(d) > 0.5 ? Math.floor(d) + 1 : Math.floor(d);
}

/** The nearest whole number, an even one between two. */
function rint(x) {
  const low = Math.floor(x);
  const d = x - low;
  return d < 0.5 || (d === 0.5 && low % 2 === 0) ? low : d >= 0.5 ? low + 1 : x;
}

function clip(x, min, max) {
  const low = min === null ? x : Math.max(x, min);
  return max === null ? low : Math.min(low, max);
}

/** By name in the tables: functions of a number for each argument, then the parameters and the dtype. */
export const elementwise = {
  ...Object.fromEntries(Object.entries(OF_BROWSERS).map(([name, own]) => [name, (x) => Math[own](x)])),
  // arithmetic
  add: (a, b) => a + b, subtract: (a, b) => a - b, multiply: (a, b) => a * b, divide: (a, b) => a / b,
  negative: (x) => -x, positive: (x) => x, reciprocal: (x) => 1 / x, square: (x) => x * x, astype: (x) => x,
  power,
  _power_log: (x, n, { order = 1 }) => power(x, n) * Math.log(x + Number(x === 0 && n >= 0)) ** order,
  floor_divide: floorDivide, remainder, fmod: (a, b) => a % b, rint,
  round: (x, { decimals: n = 0 }) => (n < 0 ? rint(x / 10 ** -n) * 10 ** -n : rint(x * 10 ** n) / 10 ** n),
  degrees: (x) => x * (180 / Math.PI), radians: (x) => x * (Math.PI / 180), ldexp: (x, n) => x * 2 ** n,
  // functions
  exp2: (x) => 2 ** x, logaddexp, arctan2: (a, b) => Math.atan2(a, b), hypot: (a, b) => Math.hypot(a, b),
  ...special,
  // choices
  where: (condition, a, b) => (condition !== 0 ? a : b), clip, copysign,
  maximum: (a, b) => Math.max(a, b), minimum: (a, b) => Math.min(a, b),
  fmax: (a, b) => (a >= b || Number.isNaN(b) ? a : b), fmin: (a, b) => (a <= b || Number.isNaN(b) ? a : b),
  heaviside: (x, h) => (x > 0 ? 1 : x < 0 ? 0 : x === 0 ? h : NaN),
  // comparisons, logic, bits
  equal: truth((a, b) => a === b), not_equal: truth((a, b) => a !== b),
  less: truth((a, b) => a < b), less_equal: truth((a, b) => a <= b),
  greater: truth((a, b) => a > b), greater_equal: truth((a, b) => a >= b),
  logical_and: truth((a, b) => a !== 0 && b !== 0), logical_or: truth((a, b) => a !== 0 || b !== 0),
  logical_xor: truth((a, b) => (a !== 0) !== (b !== 0)), logical_not: truth((x) => x === 0),
  isnan: truth((x) => Number.isNaN(x)), isfinite: truth((x) => Number.isFinite(x)), isinf: truth((x) => Math.abs(x) === Infinity),
  isposinf: truth((x) => x === Infinity), isneginf: truth((x) => x === -Infinity), signbit: truth(isNegative),
  bitwise_and: bitwise((a, b) => a & b), bitwise_or: bitwise((a, b) => a | b), bitwise_xor: bitwise((a, b) => a ^ b),
  invert: (x, params, dtype) => (dtype === "bool" ? 1 - x : -x - 1),
  left_shift: (x, n) => (n < 0 ? 0 : x * 2 ** n), right_shift: (x, n) => Math.floor(x / 2 ** (n < 0 ? 64 : n)),
};
