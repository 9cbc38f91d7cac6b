// Special functions that browsers do not have: of the error function, the gamma function, Bessel's I₀, and sinc.

const SQRT_PI = Math.sqrt(Math.PI);

/** A power series where it converges quickly: 2x/√π · exp(−x²) · Σ (2x²)ᵏ / (1·3·5 ⋯ (2k + 1)). */
function erfSeries(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (2 * x * x) / (2 * k + 1);
    sum += term;
  }
  return ((2 * x) / SQRT_PI) * Math.exp(-x * x) * sum;
}

/** A continued fraction further out. */
function erfcFraction(x) {
  let rest = 0;
  for (let k = 150; k > 0; k--) rest = k / 2 / (x + rest);
  return Math.exp(-x * x) / SQRT_PI / (x + rest);
}

function erf(x) {
  if (Math.abs(x) < 2) return erfSeries(x);
  return x > 0 ? 1 - erfcFraction(x) : x < 0 ? erfcFraction(-x) - 1 : x;
}

function erfc(x) {
  return x >= 1 ? erfcFraction(x) : 1 - erf(x);
}

/** Winitzki's formula (2008) and steps of Halley's method, as in the tables. */
function erfinv(x) {
  const size = Math.abs(x);
  if (size >= 1) return size === 1 ? x * Infinity : NaN;
  const log = Math.log1p(-size * size);
  const half = 2 / (0.147 * Math.PI) + log / 2;
  let y = Math.sqrt(Math.sqrt(half * half - log / 0.147) - half);
  for (let i = 0; i < 3; i++) {
    const error = size < 0.5 ? erf(y) - size : 1 - size - erfc(y);
    const step = error * Math.exp(y * y) * (SQRT_PI / 2);
    y -= Number.isFinite(step) ? step / (1 + y * step) : 0;
  }
  return x < 0 ? -y : y;
}

// --- the gamma function ----------------------------------------------------------------------------------------------

const BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330];

/** log|Γ(x)|: Stirling's series for x ≥ 10, to which smaller numbers are raised. */
function gammaln(x) {
  if (x <= 0) {
    if (x === Math.floor(x)) return Infinity;
    return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - gammaln(1 - x);
  }
  let product = 1;
  let z = x;
  for (; z < 10; z++) product *= z;
  let sum = (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI);
  BERNOULLI.forEach((b, i) => {
    const k = 2 * (i + 1);
    sum += b / (k * (k - 1) * z ** (k - 1));
  });
  return sum - Math.log(product);
}

function factorial(n) {
  return n > 1 ? n * factorial(n - 1) : 1;
}

/** The (n + 1)-th derivative of log Γ. */
function polygamma(n, x) {
  if (x >= 0) return polygammaAbove(n, x);
  if (x === Math.floor(x)) return n === 0 ? NaN : Infinity;
  return (-1) ** n * polygammaAbove(n, 1 - x) - cotangentDerivative(n, x);
}

/** For x ≥ 0: a recurrence up to where the asymptotic series is exact. */
function polygammaAbove(n, x) {
  const sign = (-1) ** (n + 1);
  let y = 0;
  for (let shift = 0; shift < 16 + n; shift++) y += (sign * factorial(n)) / (x + shift) ** (n + 1);
  const z = x + 16 + n;
  if (n === 0) y += Math.log(z) - 0.5 / z;
  else y += sign * (factorial(n - 1) / z ** n + factorial(n) / (2 * z ** (n + 1)));
  BERNOULLI.forEach((b, i) => {
    const k = 2 * (i + 1);
    y += (sign * b * (factorial(k + n - 1) / factorial(k))) / z ** (k + n);
  });
  return y;
}

/** The n-th derivative of π·cot(πx): a polynomial in the cotangent, its coefficients from the lowest power. */
function cotangentDerivative(n, x) {
  const cotangent = 1 / Math.tan(Math.PI * (x - Math.round(x)));
  let polynomial = [0, 1];
  for (let i = 0; i < n; i++) {
    const slope = polynomial.slice(1).map((c, k) => -c * (k + 1));
    polynomial = [...slope, 0, 0].map((c, k) => c + (k >= 2 ? slope[k - 2] : 0));
  }
  return Math.PI ** (n + 1) * polynomial.reduceRight((sum, c) => sum * cotangent + c, 0);
}

// --- Bessel's I₀, and sinc -------------------------------------------------------------------------------------------

const NODES = Array.from({ length: 80 }, (_, k) => Math.cos((Math.PI * (k + 0.5)) / 160));

/** The derivative of I₀ of any order: the mean of cosᵏθ · exp(x·cos θ) over the circle. */
function i0Slope(x, order) {
  const f = order % 2 ? Math.sinh : Math.cosh;
  return NODES.reduce((sum, c) => sum + c ** order * f(x * c), 0) / NODES.length;
}

/** The derivative of sin(πx)/(πx) of any order: its power series near 0, the product rule on x·sinc(x) further out. */
function sincSlope(x, order) {
  const z = Math.PI * x;
  if (Math.abs(z) >= order + 2) {
    let y = Math.sin(z) / z;
    for (let n = 1; n <= order; n++) y = (Math.sin(z + (n * Math.PI) / 2) - n * y) / z;
    return Math.PI ** order * y;
  }
  let series = 0;
  for (let k = Math.floor((order + 1) / 2); k < order + 24; k++) {
    const p = 2 * k - order;
    series += ((-1) ** k * z ** p) / (factorial(p) * (2 * k + 1));
  }
  return Math.PI ** order * series;
}

export const special = {
  sinc: (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)), _sinc_slope: (x, { order = 1 }) => sincSlope(x, order),
  erf: (x) => erf(x), erfc: (x) => erfc(x), erfinv: (x) => erfinv(x), gelu: (x) => x * (0.5 * (1 + erf(x * Math.SQRT1_2))),
  gammaln: (x) => gammaln(x), digamma: (x) => polygamma(0, x), polygamma: (x, { n = 0 }) => polygamma(n, x),
  i0: (x) => i0Slope(x, 0), _i0_slope: (x, { order = 1 }) => i0Slope(x, order),
};
