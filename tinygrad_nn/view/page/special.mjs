// Special functions that browsers do not have: of the error function, the gamma function, and Bessel's I₀.

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

// --- Bessel's I₀ -------------------------------------------------------------------------------------------------

const NODES = Array.from({ length: 80 }, (_, k) => Math.cos((Math.PI * (k + 0.5)) / 160));

/** The derivative of I₀ of any order: the mean of cosᵏθ · exp(x·cos θ) over the circle. */
function i0Slope(x, order) {
  const f = order % 2 ? Math.sinh : Math.cosh;
  return NODES.reduce((sum, c) => sum + c ** order * f(x * c), 0) / NODES.length;
}

export const special = {
  sinc: (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)), gammaln: (x) => gammaln(x),
  erf: (x) => erf(x), erfc: (x) => erfc(x), gelu: (x) => x * (0.5 * (1 + erf(x * Math.SQRT1_2))),
  i0: (x) => i0Slope(x, 0), _i0_slope: (x, { order = 1 }) => i0Slope(x, order),
};
