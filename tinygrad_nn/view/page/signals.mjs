// Convolutions and the windows that they see, and Fourier transforms of real signals as pairs of real arrays.

import { axisMoved, axisOf, filled, pick, putBack, reshaped, stridesOf, transposed } from "./arrays.mjs";
import { products } from "./products.mjs";

// --- windows and convolutions ----------------------------------------------------------------------------------------

/** Calls visit for each index of a shape. */
function eachIndex(shape, visit, index = []) {
  if (index.length === shape.length) visit(index);
  else for (let k = 0; k < shape[index.length]; k++) eachIndex(shape, visit, [...index, k]);
}

function placeOf(index, strides) {
  return index.reduce((sum, k, a) => sum + k * strides[a], 0);
}

/** Where the elements of all windows of (N, C, ...space) are, in the order (C, ...size, N, ...places). */
function windowPlaces(target, size, stride, dilation) {
  const strides = stridesOf(target);
  const counts = size.map((k, a) => Math.floor((target[a + 2] - dilation[a] * (k - 1) - 1) / stride[a]) + 1);
  const shape = [target[1], ...size, target[0], ...counts];
  const n = size.length;
  const places = [];
  eachIndex(shape, (index) => {
    const at = index.slice(2 + n).map((p, a) => p * stride[a] + index[1 + a] * dilation[a]);
    places.push(placeOf([index[1 + n], index[0], ...at], strides));
  });
  return [places, shape];
}

function windows([x], { size, stride, dilation }) {
  return pick(x, ...windowPlaces(x.shape, size, stride, dilation));
}

function addWindows([columns], { target, stride, dilation }) {
  const size = columns.shape.slice(1, 1 + stride.length);
  return putBack(columns, windowPlaces(target, size, stride, dilation)[0], target);
}

/** Calls visit(place in x, place in weight, place in y) for each product that a convolution adds up. */
function eachProduct(x, weight, y, { stride, padding, dilation, groups }, visit) {
  const [xs, ws, ys] = [x, weight, y].map(stridesOf);
  const [outs, ins] = [weight[0] / groups, weight[1]];
  eachIndex(y, (at) => {
    eachIndex(weight.slice(1), (part) => {
      const space = at.slice(2).map((p, a) => p * stride[a] + part[1 + a] * dilation[a] - padding[a][0]);
      if (space.some((p, a) => p < 0 || p >= x[a + 2])) return;
      const channel = Math.floor(at[1] / outs) * ins + part[0];
      visit(placeOf([at[0], channel, ...space], xs), placeOf([at[1], ...part], ws), placeOf(at, ys));
    });
  });
}

function convolution([x, weight], how) {
  const { stride, padding, dilation } = how;
  const counts = stride.map((s, a) => {
    const length = x.shape[a + 2] + padding[a][0] + padding[a][1];
    return Math.floor((length - dilation[a] * (weight.shape[a + 2] - 1) - 1) / s) + 1;
  });
  const y = filled([x.shape[0], weight.shape[0], ...counts]);
  eachProduct(x.shape, weight.shape, y.shape, how, (i, j, k) => (y.data[k] += x.data[i] * weight.data[j]));
  return y;
}

function convolutionToImage([v, weight], { target, ...how }) {
  const x = filled(target);
  eachProduct(target, weight.shape, v.shape, how, (i, j, k) => (x.data[i] += v.data[k] * weight.data[j]));
  return x;
}

function convolutionToWeight([v, x], { target, ...how }) {
  const weight = filled(target);
  eachProduct(x.shape, target, v.shape, how, (i, j, k) => (weight.data[j] += v.data[k] * x.data[i]));
  return weight;
}

// --- Fourier transforms, as products with a matrix of sines and cosines -------------------------------------------------

/** By what the transform, and the way back, are multiplied. */
function factorOf(norm, n, inverse) {
  if (norm === "ortho") return 1 / Math.sqrt(n);
  return (norm === "forward") !== inverse ? 1 / n : 1;
}

/** Rows of m pairs: cos and −sin of 2πkt/n, times a weight of each frequency. */
function waves(n, m, weight) {
  const y = filled([n, m, 2]);
  for (let t = 0, i = 0; t < n; t++) {
    for (let k = 0; k < m; k++) {
      const angle = (2 * Math.PI * ((k * t) % n)) / n;
      y.data[i++] = weight(k) * Math.cos(angle);
      y.data[i++] = -weight(k) * Math.sin(angle);
    }
  }
  return y;
}

function rfft([x], { axis = -1, norm = "backward" }) {
  const at = axisOf(axis, x.ndim);
  const n = x.shape[at];
  const matrix = waves(n, Math.floor(n / 2) + 1, () => factorOf(norm, n, false));
  const rows = axisMoved(x, at, -1);
  const y = products.matmul([rows, reshaped(matrix, [n, -1])]);
  return axisMoved(reshaped(y, [...rows.shape.slice(0, -1), -1, 2]), -2, at);
}

function irfft([z], { n, axis = -1, norm = "backward" }) {
  const at = axis >= 0 ? axis : axis + z.ndim - 1;
  const m = z.shape[at];
  const times = (k) => (k === 0 || 2 * k === n ? 1 : 2) * factorOf(norm, n, true);  // those between the ends occur twice
  const rows = axisMoved(z, at, -2);
  const matrix = transposed(reshaped(waves(n, m, times), [n, 2 * m]), [1, 0]);
  const y = products.matmul([reshaped(rows, [...rows.shape.slice(0, -2), 2 * m]), matrix]);
  return axisMoved(y, -1, at);
}

export const signals = {
  _windows: windows, _add_windows: addWindows, _rfft: rfft, _irfft: irfft,
  _convolution: convolution, _convolution_to_image: convolutionToImage, _convolution_to_weight: convolutionToWeight,
};
