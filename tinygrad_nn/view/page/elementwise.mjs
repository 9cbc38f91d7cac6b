// Operations that act on each element by itself, as functions of numbers; true is 1 and false is 0.

import { digamma, erf, erfc, erfinv, gammaln, i0, i0Slope, polygamma, sincSlope } from "./special.mjs";

const truth = (f) => (...numbers) => Number(f(...numbers));
const isNegative = (x) => x < 0 || Object.is(x, -0);
const copysign = (x, s) => (isNegative(x) === isNegative(s) ? x : -x);
const bitwise = (f) => (a, b) => Number(f(BigInt(a), BigInt(b)));

function power(x, n) {
  if (x === 1 || (x === -1 && Math.abs(n) === Infinity)) return 1;  // as C has it
  return x ** n;
}

function logaddexp(a, b) {
  if (a === b) return a + Math.LN2;
  const d = a - b;
  return d > 0 ? a + Math.log1p(Math.exp(-d)) : d <= 0 ? b + Math.log1p(Math.exp(d)) : a + b;
}

function remainder(a, b) {
  const r = a % b;
  if (r === 0) return copysign(0, b);
  return r < 0 === b < 0 ? r : r + b;
}

function floorDivide(a, b) {
  if (b === 0) return a / b;
  const d = (a - remainder(a, b)) / b;
  const whole = Math.floor(d);
  return d - whole > 0.5 ? whole + 1 : whole;
}

/** The nearest whole number, an even one between two. */
function rint(x) {
  const low = Math.floor(x);
  const d = x - low;
  return d < 0.5 || (d === 0.5 && low % 2 === 0) ? low : d >= 0.5 ? low + 1 : x;
}

function round(x, { decimals = 0 }) {
  return decimals < 0 ? rint(x / 10 ** -decimals) * 10 ** -decimals : rint(x * 10 ** decimals) / 10 ** decimals;
}

function clip(x, min, max) {
  const low = min === null ? x : Math.max(x, min);
  return max === null ? low : Math.min(low, max);
}

const fmax = (a, b) => (a >= b || Number.isNaN(b) ? a : b);
const fmin = (a, b) => (a <= b || Number.isNaN(b) ? a : b);

/** By name in the tables: functions of one number for each argument, then the parameters and the dtype. */
export const elementwise = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  power,
  _power_log: (x, n, { order = 1 }) => power(x, n) * Math.log(x + Number(x === 0 && n >= 0)) ** order,
  negative: (x) => -x,
  positive: (x) => x,
  reciprocal: (x) => 1 / x,
  square: (x) => x * x,
  abs: Math.abs,
  fabs: Math.abs,
  sign: Math.sign,
  exp: Math.exp,
  expm1: Math.expm1,
  exp2: (x) => 2 ** x,
  log: Math.log,
  log1p: Math.log1p,
  log2: Math.log2,
  log10: Math.log10,
  sqrt: Math.sqrt,
  cbrt: Math.cbrt,
  logaddexp,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  arcsin: Math.asin,
  arccos: Math.acos,
  arctan: Math.atan,
  arctan2: (a, b) => Math.atan2(a, b),
  hypot: (a, b) => Math.hypot(a, b),
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  arcsinh: Math.asinh,
  arccosh: Math.acosh,
  arctanh: Math.atanh,
  sinc: (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)),
  _sinc_slope: (x, { order = 1 }) => sincSlope(x, order),
  erf: (x) => erf(x),
  erfc: (x) => erfc(x),
  erfinv: (x) => erfinv(x),
  gelu: (x) => x * (0.5 * (1 + erf(x * Math.SQRT1_2))),
  gammaln: (x) => gammaln(x),
  digamma: (x) => digamma(x),
  polygamma: (x, { n = 0 }) => polygamma(n, x),
  i0: (x) => i0(x),
  _i0_slope: (x, { order = 1 }) => i0Slope(x, order),
  maximum: (a, b) => Math.max(a, b),
  minimum: (a, b) => Math.min(a, b),
  fmax,
  fmin,
  clip,
  where: (condition, a, b) => (condition !== 0 ? a : b),
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  rint,
  round,
  floor_divide: floorDivide,
  remainder,
  fmod: (a, b) => a % b,
  copysign,
  heaviside: (x, h) => (x > 0 ? 1 : x < 0 ? 0 : x === 0 ? h : NaN),
  degrees: (x) => x * (180 / Math.PI),
  radians: (x) => x * (Math.PI / 180),
  ldexp: (x, n) => x * 2 ** n,
  left_shift: (x, n) => (n < 0 ? 0 : x * 2 ** n),
  right_shift: (x, n) => Math.floor(x / 2 ** (n < 0 ? 64 : n)),
  bitwise_and: bitwise((a, b) => a & b),
  bitwise_or: bitwise((a, b) => a | b),
  bitwise_xor: bitwise((a, b) => a ^ b),
  invert: (x, params, dtype) => (dtype === "bool" ? 1 - x : -x - 1),
  equal: truth((a, b) => a === b),
  not_equal: truth((a, b) => a !== b),
  less: truth((a, b) => a < b),
  less_equal: truth((a, b) => a <= b),
  greater: truth((a, b) => a > b),
  greater_equal: truth((a, b) => a >= b),
  logical_and: truth((a, b) => a !== 0 && b !== 0),
  logical_or: truth((a, b) => a !== 0 || b !== 0),
  logical_xor: truth((a, b) => (a !== 0) !== (b !== 0)),
  logical_not: truth((x) => x === 0),
  isnan: truth(Number.isNaN),
  isinf: truth((x) => Math.abs(x) === Infinity),
  isfinite: truth(Number.isFinite),
  isposinf: truth((x) => x === Infinity),
  isneginf: truth((x) => x === -Infinity),
  signbit: truth(isNegative),
  astype: (x) => x,
};
