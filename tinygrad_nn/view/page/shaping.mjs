// Operations that move, copy, select or insert elements: each says from which places its elements come.

import {
  NdArray, asArray, axesOf, axisMoved, axisOf, broadcastShapes, broadcastTo, filled, offsetsOf, pick, placesOf, putBack,
  reshaped, sizeOf, stridesOf, transposed,
} from "./arrays.mjs";

const numbersTo = (n) => [...Array(n).keys()];
const listOf = (x) => (Array.isArray(x) ? x : [x]);

/** The elements at the sums of these offsets, one list for each axis of the result. */
function picked(x, offsets) {
  return pick(x, placesOf(offsets), offsets.map((along) => along.length));
}

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

/** Columns with a 1 in the row of each label. */
function oneHot([labels], { classes, axis = 0 }) {
  const data = new Float64Array(labels.size * classes);
  labels.data.forEach((label, i) => (data[label * labels.size + i] = 1));
  return axisMoved(new NdArray([classes, ...labels.shape], data), 0, axis);
}

// --- axes and shapes -------------------------------------------------------------------------------------------------

function transpose([x], { axes = null }) {
  return transposed(x, axes === null ? numbersTo(x.ndim).reverse() : axesOf(axes, x.ndim));
}

function swapaxes([x], { axis1 = 0, axis2 = 1 }) {
  const axes = numbersTo(x.ndim);
  const [i, j] = [axisOf(axis1, x.ndim), axisOf(axis2, x.ndim)];
  [axes[i], axes[j]] = [j, i];
  return transposed(x, axes);
}

function moveaxis([x], { source, destination }) {
  const from = axesOf(source, x.ndim);
  const to = axesOf(destination, x.ndim);
  const axes = numbersTo(x.ndim).filter((a) => !from.includes(a));
  for (const i of numbersTo(to.length).sort((p, q) => to[p] - to[q])) axes.splice(to[i], 0, from[i]);
  return transposed(x, axes);
}

function squeeze([x], { axis = null }) {
  const axes = axesOf(axis, x.ndim);
  return reshaped(x, x.shape.filter((n, a) => n !== 1 || !axes.includes(a)));
}

function expandDims([x], { axis = 0 }) {
  const axes = axesOf(axis, x.ndim + listOf(axis).length);
  const shape = [...x.shape];
  for (const a of [...axes].sort((p, q) => p - q)) shape.splice(a, 0, 1);
  return reshaped(x, shape);
}

function flip([x], { axis = null }) {
  const axes = axesOf(axis, x.ndim);
  return picked(x, offsetsOf(x.shape).map((along, a) => (axes.includes(a) ? along.reverse() : along)));
}

function roll([x], { shift = 1, axis = null }) {
  const flat = axis === null ? reshaped(x, [x.size]) : x;
  const offsets = offsetsOf(flat.shape);
  const axes = axesOf(axis ?? 0, flat.ndim);
  const shifts = listOf(shift);
  for (let i = 0; i < Math.max(axes.length, shifts.length); i++) {
    const a = axes[axes.length === 1 ? 0 : i];
    const n = offsets[a].length;
    const by = n ? shifts[shifts.length === 1 ? 0 : i] % n : 0;
    offsets[a] = offsets[a].map((_, k, along) => along[(k - by + 2 * n) % n]);
  }
  return reshaped(picked(flat, offsets), x.shape);
}

function tile([x], { reps }) {
  const ndim = Math.max(x.ndim, reps.length);
  const longer = reshaped(x, [...new Array(ndim - x.ndim).fill(1), ...x.shape]);
  const times = [...new Array(ndim - reps.length).fill(1), ...reps];
  return picked(longer, offsetsOf(longer.shape).map((along, a) => new Array(times[a]).fill(along).flat()));
}

/** A triangle of the last two axes: where the column less the row is as wanted. */
function triangle(isWanted) {
  return ([x], { k = 0 }) => {
    const columns = x.shape[x.ndim - 1];
    const rows = x.shape[x.ndim - 2];
    const offset = (i) => (i % columns) - (Math.floor(i / columns) % rows);
    return new NdArray(x.shape, x.data.map((v, i) => (isWanted(offset(i), k) ? v : 0)));
  };
}

// --- joining ---------------------------------------------------------------------------------------------------------

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

function stack(arrays, { axis = 0 }) {
  return concatenate(arrays.map((x) => expandDims([x], { axis })), { axis: axisOf(axis, arrays[0].ndim + 1) });
}

function padded([x], { pad_width: widths, constant_values: value = 0 }) {
  const shape = x.shape.map((n, a) => n + widths[a][0] + widths[a][1]);
  const index = x.shape.map((n, a) => ({ slice: [widths[a][0], widths[a][0] + n, null] }));
  return indexUpdate([filled(shape, value), x], { index });
}

export const shaping = {
  reshape: ([x], { shape }) => reshaped(x, listOf(shape)),
  broadcast_to: ([x], { shape }) => broadcastTo(x, shape),
  transpose, swapaxes, moveaxis, squeeze, expand_dims: expandDims, copy: ([x]) => x, tile, roll, flip,
  tril: triangle((offset, k) => offset <= k), triu: triangle((offset, k) => offset >= k),
  getitem, _putitem: putitem, index_update: indexUpdate, take,
  _untake: ([g, indices], { shape, axis }) => putitem([g], { shape, index: onAxis(shape.length, axis, indices) }),
  take_along_axis: takeAlongAxis,
  _untake_along: ([g, indices], { shape, axis }) => putitem([g], { shape, index: onEachAxis(shape, axis, indices) }),
  one_hot: oneHot, _label_columns: oneHot,
  concatenate, stack, _pad: padded,
};
