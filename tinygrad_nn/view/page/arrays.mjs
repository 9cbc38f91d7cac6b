// Arrays of numbers with a shape, rows first, and the one way in which elements are picked, repeated and put back.

export class NdArray {
  constructor(shape, data, dtype = "float64") {
    this.shape = shape;
    this.data = data;
    this.dtype = dtype;
  }

  get ndim() {
    return this.shape.length;
  }

  get size() {
    return this.data.length;
  }

  /** The number that an array of one element is. */
  item() {
    return this.data[0];
  }
}

export function sizeOf(shape) {
  return shape.reduce((product, n) => product * n, 1);
}

export function filled(shape, value = 0, dtype = "float64") {
  return new NdArray(shape, new Float64Array(sizeOf(shape)).fill(value), dtype);
}

export function asArray(x) {
  return typeof x === "number" ? new NdArray([], Float64Array.of(x)) : x;
}

/** From JSON: "nan", "inf" and "-inf" are texts there, and one element stands for all if they are equal. */
export function arrayFrom({ value, shape = [], dtype = "float64" }) {
  const size = sizeOf(shape);
  const data = new Float64Array(size);
  for (let i = 0; i < size; i++) data[i] = numberFrom(value.length === 1 ? value[0] : value[i]);
  if (dtype === "float32") data.forEach((v, i) => (data[i] = Math.fround(v)));  // which are written with fewer digits
  return new NdArray(shape, data, dtype);
}

export function numberFrom(text) {
  if (typeof text === "number") return text;
  const named = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  return text in named ? named[text] : Number(text);
}

/** The numbers as this dtype holds them: rounded to single precision, whole, or 0 and 1. */
export function cast(x, dtype) {
  if (dtype === x.dtype) return x;
  const round = { float32: Math.fround, float64: null, bool: (v) => Number(v !== 0) };
  const f = dtype in round ? round[dtype] : Math.trunc;
  return new NdArray(x.shape, f === null ? x.data : x.data.map((v) => f(v)), dtype);
}

// --- axes ------------------------------------------------------------------------------------------------------------

/** An axis counted from 0; a list of one is that one. */
export function axisOf(axis, ndim) {
  return Number(axis) < 0 ? Number(axis) + ndim : Number(axis);
}

/** Axes as a list counted from 0; all of them for null, none of a single number. */
export function axesOf(axis, ndim) {
  if (axis === null || axis === undefined || ndim === 0) return [...Array(ndim).keys()];
  return (Array.isArray(axis) ? axis : [axis]).map((a) => axisOf(a, ndim));
}

export function stridesOf(shape) {
  const strides = new Array(shape.length);
  for (let i = shape.length - 1, step = 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

/** For each axis of a shape, how far into the data each place on it leads. */
export function offsetsOf(shape) {
  const strides = stridesOf(shape);
  return shape.map((n, i) => Array.from({ length: n }, (_, k) => k * strides[i]));
}

/** Where each element of a result comes from: the sums of one offset of each of its axes, rows first. */
export function placesOf(offsets) {
  let places = new Int32Array(1);
  for (const along of offsets) {
    const n = along.length;
    const longer = new Int32Array(places.length * n);
    for (let i = 0; i < places.length; i++) for (let k = 0; k < n; k++) longer[i * n + k] = places[i] + along[k];
    places = longer;
  }
  return places;
}

/** The elements at these places, in a shape. */
export function pick(x, places, shape) {
  const data = new Float64Array(places.length);
  for (let i = 0; i < data.length; i++) data[i] = x.data[places[i]];
  return new NdArray(shape, data, x.dtype);
}

/** Zeros with the elements of `x` added at these places; a place that occurs twice receives twice. */
export function putBack(x, places, shape) {
  const y = filled(shape, 0, x.dtype);
  for (let i = 0; i < places.length; i++) y.data[places[i]] += x.data[x.size === 1 ? 0 : i];
  return y;
}

export function reshaped(x, shape) {
  const known = shape.reduce((product, n) => (n < 0 ? product : product * n), 1);
  return new NdArray(shape.map((n) => (n < 0 ? x.size / known : n)), x.data, x.dtype);
}

export function transposed(x, axes) {
  const offsets = offsetsOf(x.shape);
  return pick(x, placesOf(axes.map((a) => offsets[a])), axes.map((a) => x.shape[a]));
}

/** The same elements with one axis at another place. */
export function axisMoved(x, from, to) {
  const axes = [...Array(x.ndim).keys()].filter((a) => a !== axisOf(from, x.ndim));
  axes.splice(axisOf(to, x.ndim), 0, axisOf(from, x.ndim));
  return transposed(x, axes);
}

// --- broadcasting ----------------------------------------------------------------------------------------------------

export function broadcastShapes(...shapes) {
  const ndim = Math.max(0, ...shapes.map((s) => s.length));
  const shape = new Array(ndim).fill(1);
  for (const s of shapes) {
    s.forEach((n, i) => {
      const at = ndim - s.length + i;
      if (shape[at] === 1) shape[at] = n;
      else if (n !== 1 && n !== shape[at]) throw new Error(`shapes ${shapes.map((k) => `(${k})`).join(" ")} do not fit`);
    });
  }
  return shape;
}

export function sameShape(a, b) {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

export function broadcastTo(x, shape) {
  if (sameShape(x.shape, shape)) return x;
  if (x.size === 1) return filled(shape, x.data[0], x.dtype);
  const offsets = offsetsOf(x.shape);
  const missing = shape.length - x.ndim;
  const along = shape.map((n, i) => {
    const own = i < missing ? [0] : offsets[i - missing];
    return own.length === n ? own : new Array(n).fill(0);
  });
  return pick(x, placesOf(along), shape);
}

/** The sum over what broadcasting repeated: the gradient of an input of this shape. */
export function unbroadcast(g, shape) {
  if (sameShape(g.shape, shape)) return g;
  if (g.ndim < shape.length) return broadcastTo(g, shape);
  const extra = g.ndim - shape.length;
  const offsets = offsetsOf(shape);
  const along = g.shape.map((n, i) => {
    const own = i < extra ? [0] : offsets[i - extra];
    return own.length === n ? own : new Array(n).fill(0);
  });
  const fits = g.shape.every((n, i) => i < extra || shape[i - extra] === 1 || shape[i - extra] === n);
  return fits ? putBack(g, placesOf(along), shape) : broadcastTo(g, shape);
}

/** A function of numbers on arrays that are broadcast; an argument that is left out (null) stays null. */
export function mapped(f, arrays, ...further) {
  const present = arrays.filter((a) => a !== null);
  const shape = broadcastShapes(...present.map((a) => a.shape));
  const data = new Float64Array(sizeOf(shape));
  const [a = null, b = null, c = null] = arrays.map((x) => (x === null || x.size === 1 ? x : broadcastTo(x, shape)));
  const at = (x, i) => (x === null ? null : x.data[x.size === 1 ? 0 : i]);
  if (arrays.length === 1) for (let i = 0; i < data.length; i++) data[i] = f(a.data[i], ...further);
  else if (arrays.length === 2) for (let i = 0; i < data.length; i++) data[i] = f(at(a, i), at(b, i), ...further);
  else for (let i = 0; i < data.length; i++) data[i] = f(at(a, i), at(b, i), at(c, i), ...further);
  return new NdArray(shape, data);
}
