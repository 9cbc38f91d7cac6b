// Matrix products, and what is computed of small matrices: solutions, inverses, determinants.

import { NdArray, broadcastShapes, broadcastTo, filled, reshaped, sizeOf } from "./arrays.mjs";

// --- products --------------------------------------------------------------------------------------------------------

function matmul([a, b]) {
  const left = a.ndim === 1 ? reshaped(a, [1, a.size]) : a;
  const right = b.ndim === 1 ? reshaped(b, [b.size, 1]) : b;
  const product = overMatrices(multiplied, left, right);
  const shape = [...product.shape];
  if (b.ndim === 1) shape.pop();
  if (a.ndim === 1) shape.splice(shape.length - (b.ndim === 1 ? 1 : 2), 1);
  return reshaped(product, shape);
}

/** A function of matrices on arrays of matrices, whose axes in front are broadcast. */
function overMatrices(f, ...arrays) {
  const front = broadcastShapes(...arrays.map((x) => x.shape.slice(0, -2)));
  const parts = arrays.map((x) => broadcastTo(x, [...front, ...x.shape.slice(-2)]));
  const results = [];
  for (let i = 0; i < sizeOf(front); i++) results.push(f(...parts.map((x) => matrixAt(x, i))));
  const inner = results.length ? results[0].shape : f(...arrays.map((x) => filled(x.shape.slice(-2)))).shape;
  const y = filled([...front, ...inner]);
  results.forEach((m, i) => y.data.set(m.data, i * m.size));
  return y;
}

function matrixAt(x, i) {
  const shape = x.shape.slice(-2);
  const n = sizeOf(shape);
  return new NdArray(shape, x.data.subarray(i * n, (i + 1) * n));
}

function multiplied(a, b) {
  const [rows, inner, columns] = [a.shape[0], a.shape[1], b.shape[1]];
  const y = filled([rows, columns]);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < inner; k++) {
      const factor = a.data[i * inner + k];
      for (let j = 0; j < columns; j++) y.data[i * columns + j] += factor * b.data[k * columns + j];
    }
  }
  return y;
}

// --- elimination -----------------------------------------------------------------------------------------------------

function rowsOf(a) {
  const n = a.shape[1];
  return Array.from({ length: a.shape[0] }, (_, i) => [...a.data.subarray(i * n, (i + 1) * n)]);
}

function fromRows(rows, columns) {
  return new NdArray([rows.length, columns], Float64Array.from(rows.flat()));
}

/** Gauss's elimination of the rows of (a | b), the largest pivot first; gives the determinant of a. */
function eliminate(rows, n) {
  let determinant = 1;
  for (let k = 0; k < n; k++) {
    let best = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(rows[i][k]) > Math.abs(rows[best][k])) best = i;
    if (best !== k) {
      [rows[k], rows[best]] = [rows[best], rows[k]];
      determinant = -determinant;
    }
    determinant *= rows[k][k];
    if (rows[k][k] === 0) return 0;
    for (let i = k + 1; i < n; i++) {
      const factor = rows[i][k] / rows[k][k];
      for (let j = k; j < rows[i].length; j++) rows[i][j] -= factor * rows[k][j];
    }
  }
  return determinant;
}

function determinant(a) {
  return eliminate(rowsOf(a), a.shape[0]);
}

function solved(a, b) {
  const n = a.shape[0];
  const right = rowsOf(b);
  const rows = rowsOf(a).map((row, i) => [...row, ...right[i]]);
  eliminate(rows, n);
  for (let i = n - 1; i >= 0; i--) {
    for (let j = n; j < rows[i].length; j++) {
      for (let k = i + 1; k < n; k++) rows[i][j] -= rows[i][k] * rows[k][j];
      rows[i][j] /= rows[i][i];
    }
  }
  return fromRows(rows.map((row) => row.slice(n)), b.shape[1]);
}

function solve([a, b]) {
  if (b.ndim > 1) return overMatrices(solved, a, b);
  const y = overMatrices(solved, a, reshaped(b, [b.size, 1]));
  return reshaped(y, y.shape.slice(0, -1));
}

function identity(n) {
  const y = filled([n, n]);
  for (let i = 0; i < n; i++) y.data[i * n + i] = 1;
  return y;
}

function numberOf(f) {
  return ([x]) => {
    const y = overMatrices((m) => filled([1, 1], f(m)), x);
    return reshaped(y, y.shape.slice(0, -2));
  };
}

function cholesky(a) {
  const n = a.shape[0];
  const l = filled([n, n]);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a.data[i * n + j];
      for (let k = 0; k < j; k++) sum -= l.data[i * n + k] * l.data[j * n + k];
      l.data[i * n + j] = i === j ? Math.sqrt(sum) : sum / l.data[j * n + j];
    }
  }
  return l;
}

// --- cofactors, through the minors: right for singular matrices, too -------------------------------------------------

function minorOf(a, i, j) {
  const rows = rowsOf(a).filter((_, k) => k !== i).map((row) => row.filter((_, k) => k !== j));
  return fromRows(rows, a.shape[0] - 1);
}

function overMinors(n, f) {
  const y = filled([n, n]);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) y.data[i * n + j] = (-1) ** (i + j) * f(i, j);
  return y;
}

function cofactor(a) {
  return overMinors(a.shape[0], (i, j) => determinant(minorOf(a, i, j)));
}

/** How the cofactors of a move when a moves in the direction h. */
function cofactorSlope(h, a) {
  return overMinors(a.shape[0], (i, j) => {
    const along = minorOf(h, i, j);
    return cofactor(minorOf(a, i, j)).data.reduce((sum, c, k) => sum + c * along.data[k], 0);
  });
}

export const products = {
  matmul,
  solve,
  inv: ([x]) => overMatrices((a) => solved(a, identity(a.shape[0])), x),
  det: numberOf(determinant),
  _logabsdet: numberOf((a) => Math.log(Math.abs(determinant(a)))),
  _signdet: numberOf((a) => Math.sign(determinant(a))),
  cholesky: ([x]) => overMatrices(cholesky, x),
  _cofactor: ([x]) => overMatrices(cofactor, x),
  _cofactor_slope: ([h, x]) => overMatrices(cofactorSlope, h, x),
};
