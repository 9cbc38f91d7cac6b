// Operations that move, copy, select or insert elements: each says from which places its elements come.

import {
  NdArray, asArray, axesOf, axisOf, broadcastShapes, broadcastTo, filled, pick, placesOf, putBack,
  reshaped, sizeOf, stridesOf, transposed,
} from "./arrays.mjs";

const numbersTo = (n) => [...Array(n).keys()];
const listOf = (x) => (Array.isArray(x) ? x : [x]);

// --- indexing --------------------------------------------------------------------------------------------------------

/** An index as a list of its parts: masks as the indices of their true elements, and the ellipsis spelled out. */
function indexParts(index, ndim) {
  const parts = [];
  for (const part of listOf(index)) {
    if (part instanceof NdArray && part.dtype === "bool") parts.push(...indicesOf(part));
    else parts.push(part);
  }
  const used = parts.filter((p) => p !== null && !isEllipsis(p)).length;
  const rest = new Array(ndim - used).fill({ slice: [null, null, null] });
  const at = parts.findIndex(isEllipsis);
  return at < 0 ? [...parts, ...rest] : [...parts.slice(0, at), ...rest, ...parts.slice(at + 1)];
}

function isEllipsis(part) {
  return part !== null && typeof part === "object" && part.ellipsis === true;
}

function indicesOf(mask) {
  const found = numbersTo(mask.size).filter((i) => mask.data[i]);
  const strides = stridesOf(mask.shape);
  return mask.shape.map((n, a) => {
    const along = found.map((i) => Math.floor(i / strides[a]) % n);
    return new NdArray([found.length], Float64Array.from(along), "int64");
  });
}

/** The places on an axis of length n that a slice selects. */
function sliced(n, [start, stop, step]) {
  const by = step ?? 1;
  const limit = (v, low, high) => Math.min(Math.max(v < 0 ? v + n : v, low), high);
  const first = start === null ? (by > 0 ? 0 : n - 1) : by > 0 ? limit(start, 0, n) : limit(start, -1, n - 1);
  const last = stop === null ? (by > 0 ? n : -1) : by > 0 ? limit(stop, 0, n) : limit(stop, -1, n - 1);
  const places = [];
  for (let i = first; by > 0 ? i < last : i > last; i += by) places.push(i);
  return places;
}

/** Where the elements of x[index] are in an array of this shape, and the shape of the result. */
function selected(shape, index) {
  const parts = indexParts(index, shape.length);
  const strides = stridesOf(shape);
  const isArray = (p) => p instanceof NdArray;
  const advanced = parts.some(isArray);
  const offsets = [];
  const dims = [];
  const arrays = [];
  const where = [];
  let axis = 0;
  for (const part of parts) {
    if (part === null) {
      offsets.push([0]);
      dims.push([1]);
      continue;
    }
    const [n, stride] = [shape[axis], strides[axis]];
    axis += 1;
    if (typeof part === "object" && part.slice) {
      const along = sliced(n, part.slice).map((i) => i * stride);
      offsets.push(along);
      dims.push([along.length]);
    } else if (advanced) {
      const given = asArray(part);
      arrays.push(new NdArray(given.shape, given.data.map((i) => (i < 0 ? i + n : i) * stride)));
      where.push(offsets.length);
    } else offsets.push([(part < 0 ? part + n : part) * stride]), dims.push([]);
  }
  if (advanced) placeAdvanced(arrays, where, offsets, dims);
  return [placesOf(offsets), dims.flat()];
}

/** Index arrays together are one axis, or several: in their own place, or in front where slices stand between them. */
function placeAdvanced(arrays, where, offsets, dims) {
  const shape = broadcastShapes(...arrays.map((a) => a.shape));
  const along = new Float64Array(sizeOf(shape));
  for (const a of arrays) broadcastTo(a, shape).data.forEach((v, i) => (along[i] += v));
  const together = where.every((at) => at === where[0]);
  offsets.splice(together ? where[0] : 0, 0, along);
  dims.splice(together ? where[0] : 0, 0, shape);
}

function getitem([x], { index }) {
  return pick(x, ...selected(x.shape, index));
}

function putitem([g], { shape, index }) {
  const [places, dims] = selected(shape, index);
  return putBack(broadcastTo(g, dims), places, shape);
}

function indexUpdate([x, values], { index }) {
  const [places, shape] = selected(x.shape, index);
  const y = new NdArray(x.shape, Float64Array.from(x.data), x.dtype);
  broadcastTo(values, shape).data.forEach((v, i) => (y.data[places[i]] = v));
  return y;
}

/** An index that names `indices` on one axis, and all of the others. */
function onAxis(ndim, axis, indices) {
  const whole = new Array(ndim).fill({ slice: [null, null, null] });
  whole[axisOf(axis, ndim)] = indices;
  return whole;
}

function take([x, indices], { axis = null }) {
  const flat = axis === null ? reshaped(x, [x.size]) : x;
  return getitem([flat], { index: onAxis(flat.ndim, axis ?? 0, indices) });
}

/** An index of arrays on all axes: `indices` on one, on the others the place itself. */
function onEachAxis(shape, axis, indices) {
  const at = axisOf(axis, shape.length);
  return shape.map((n, a) => {
    if (a === at) return indices;
    return new NdArray(shape.map((_, b) => (a === b ? n : 1)), Float64Array.from(numbersTo(n)), "int64");
  });
}

function takeAlongAxis([x, indices], { axis = -1 }) {
  const flat = axis === null ? reshaped(x, [x.size]) : x;
  return getitem([flat], { index: onEachAxis(flat.shape, axis ?? 0, indices) });
}

// --- axes, and joining ------------------------------------------------------------------------------------------------

function transpose([x], { axes = null }) {
  return transposed(x, axes === null ? numbersTo(x.ndim).reverse() : axesOf(axes, x.ndim));
}

function concatenate(arrays, { axis = 0 }) {
  const at = axisOf(axis, arrays[0].ndim);
  const total = arrays.reduce((sum, x) => sum + x.shape[at], 0);
  const shape = arrays[0].shape.map((n, a) => (a === at ? total : n));
  const y = filled(shape);
  let start = 0;
  for (const x of arrays) {
    const part = onAxis(shape.length, at, { slice: [start, start + x.shape[at], null] });
    selected(shape, part)[0].forEach((place, i) => (y.data[place] = x.data[i]));
    start += x.shape[at];
  }
  return y;
}

export const shaping = {
  reshape: ([x], { shape }) => reshaped(x, listOf(shape)),
  broadcast_to: ([x], { shape }) => broadcastTo(x, shape),
  transpose, concatenate, copy: ([x]) => x,
  getitem, _putitem: putitem, index_update: indexUpdate, take,
  _untake: ([g, indices], { shape, axis }) => putitem([g], { shape, index: onAxis(shape.length, axis, indices) }),
  take_along_axis: takeAlongAxis,
  _untake_along: ([g, indices], { shape, axis }) => putitem([g], { shape, index: onEachAxis(shape, axis, indices) }),
};
