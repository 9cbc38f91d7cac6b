// Operations that gather elements along axes: sums, products, extremes, running ones, and what puts in order.

import { NdArray, axesOf, axisMoved, axisOf, broadcastTo, mapped, reshaped, sizeOf, transposed } from "./arrays.mjs";
import { logaddexp } from "./elementwise.mjs";

/** A function of the numbers along some axes, which gives one number. */
function reduction(f) {
  return ([x], { axis = null, keepdims = false, ...params } = {}) => {
    const axes = axesOf(axis, x.ndim);
    const kept = [...Array(x.ndim).keys()].filter((a) => !axes.includes(a));
    const shape = keepdims ? x.shape.map((n, a) => (axes.includes(a) ? 1 : n)) : kept.map((a) => x.shape[a]);
    const moved = axes.length === x.ndim ? x : transposed(x, [...kept, ...axes]);
    const n = sizeOf(axes.map((a) => x.shape[a]));
    const data = new Float64Array(sizeOf(shape));
    for (let i = 0; i < data.length; i++) data[i] = f(moved.data.subarray(i * n, (i + 1) * n), params);
    return new NdArray(shape, data);
  };
}

const sumOf = (row) => row.reduce((sum, v) => sum + v, 0);
const meanOf = (row) => sumOf(row) / row.length;

function varianceOf(row, { ddof = 0 }) {
  const mean = meanOf(row);
  return row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(row.length - ddof, 0);
}

/** Exactly 0 for equal elements, whose mean may be off by a rounding. */
function deviationOf(row, params) {
  const y = Math.sqrt(varianceOf(row, params));
  return row.every((v) => v === row[0]) && !Number.isNaN(y) ? 0 : y;
}

function firstBest(better) {
  return (row) => row.reduce((best, v, i) => (better(v, row[best]) && !Number.isNaN(row[best]) ? i : best), 0);
}

// --- along one axis, which stays -------------------------------------------------------------------------------------

/** A function of the rows along an axis, which gives rows; without an axis, of all elements as one row. */
function alongAxis(f) {
  return ([x], { axis = null, ...params } = {}) => {
    const flat = axis === null || x.ndim === 0 ? reshaped(x, [x.size]) : x;
    const at = axis === null ? 0 : axisOf(axis, flat.ndim);
    const moved = axisMoved(flat, at, -1);
    const n = flat.shape[at];
    const data = new Float64Array(flat.size);
    for (let i = 0; i < data.length; i += n) data.set(f(moved.data.subarray(i, i + n), params), i);
    return axisMoved(new NdArray(moved.shape, data), -1, at);
  };
}

/** What a function makes of the first two along an axis, then of that and the third ... */
function running(f) {
  return alongAxis((row) => {
    const y = Float64Array.from(row);
    for (let i = 1; i < y.length; i++) y[i] = f(y[i - 1], y[i]);
    return y;
  });
}

/** yᵢ = bᵢ + aᵢ yᵢ₋₁ along an axis. */
function linearScan([b, a], { axis = 0 }) {
  const shape = mapped((v) => v, [b, a]).shape;
  const [c, d] = [b, a].map((x) => axisMoved(broadcastTo(x, shape), axis, -1));
  const n = shape[axisOf(axis, shape.length)];
  const data = Float64Array.from(c.data);
  for (let i = 0; i < data.length; i++) if (i % n) data[i] += d.data[i] * data[i - 1];
  return axisMoved(new NdArray(c.shape, data), -1, axis);
}

const byNumber = (a, b) => (Number.isNaN(a) ? 1 : Number.isNaN(b) ? -1 : a - b);
const inOrder = (row) => [...row.keys()].sort((i, j) => byNumber(row[i], row[j]));

function searchsorted([x, v], { side = "left" }) {
  const data = v.data.map((wanted) => x.data.reduce((n, u) => n + Number(side === "left" ? u < wanted : u <= wanted), 0));
  return new NdArray(v.shape, data);
}

export const reductions = {
  sum: reduction(sumOf), mean: reduction(meanOf), var: reduction(varianceOf), std: reduction(deviationOf),
  prod: reduction((row) => row.reduce((product, v) => product * v, 1)),
  max: reduction((row) => row.reduce((a, b) => Math.max(a, b), -Infinity)),
  min: reduction((row) => row.reduce((a, b) => Math.min(a, b), Infinity)),
  any: reduction((row) => Number(row.some((v) => v !== 0))),
  all: reduction((row) => Number(row.every((v) => v !== 0))),
  argmax: reduction(firstBest((v, best) => v > best || Number.isNaN(v))),
  argmin: reduction(firstBest((v, best) => v < best || Number.isNaN(v))),
  cumsum: running((a, b) => a + b), cumprod: running((a, b) => a * b),
  cummax: running((a, b) => Math.max(a, b)), cummin: running((a, b) => Math.min(a, b)),
  logcumsumexp: running(logaddexp),
  _linear_scan: linearScan,
  argsort: alongAxis(inOrder), argpartition: alongAxis(inOrder), searchsorted,
};
