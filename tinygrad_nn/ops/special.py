"""Special functions: of the error function and the gamma function, the normal density, and Bessel's I₀.

SciPy is an extra: where it is not installed, the C library's functions are called one number at a time.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_nn.foreign import by_number
from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.elementwise import as_real, erf
from tinygrad_nn.ops.lowering import erfc_of, gammaln_of
from tinygrad_nn.registry import implements, op

FEW = 64  # elements up to which SciPy is not worth its import


def _in_scipy(name, x):
    """SciPy's function of this name, where it is installed and there are elements enough; else None."""
    if x.size <= FEW:
        return None
    try:
        from scipy import special
    except ImportError:
        return None
    return getattr(special, name)


def _one_by_one(function):
    """A function of the C library on arrays: computed in double precision, returned in that of x."""
    on_objects = np.frompyfunc(function, 1, 1)

    def on_array(x):
        with np.errstate(all="ignore"):  # infinities and rounded zeros are answers
            return np.asarray(on_objects(x), dtype=x.dtype)[()]

    return on_array


def _log_gamma_of_number(x):
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # a pole, or too large
        return math.inf


_erfc_one_by_one, _erf_one_by_one = _one_by_one(math.erfc), _one_by_one(math.erf)
_gammaln_one_by_one = _one_by_one(_log_gamma_of_number)


def _erfc(x):
    return by_number(lambda z: (_in_scipy("erfc", z) or _erfc_one_by_one)(z), erfc_of, as_real(x))


def _gammaln(x):
    return by_number(lambda z: (_in_scipy("gammaln", z) or _gammaln_one_by_one)(z), gammaln_of, as_real(x))


def _erfinv(x):
    return by_number(lambda z: (_in_scipy("erfinv", z) or _erfinv_by_steps)(z), _lowered_erfinv, as_real(x))


def _winitzki(size):
    log = np.log1p(-size * size)
    half = 2 / (0.147 * np.pi) + log / 2
    return np.sqrt(np.sqrt(half * half - log / 0.147) - half)


def _erfinv_by_steps(x):
    """Winitzki's formula (2008), good to 2e-3, and three steps of Halley's method, each of which cubes the error."""
    with np.errstate(all="ignore"):
        size = np.abs(np.asarray(x, np.float64))
        y = _winitzki(size)
        for _ in range(3):
            error = np.where(size < 0.5, _erf_one_by_one(y) - size, (1 - size) - _erfc_one_by_one(y))
            step = error * np.exp(y * y) * (math.sqrt(math.pi) / 2)
            y = y - np.where(np.isfinite(step), step / (1 + y * step), 0.0)
        y = np.copysign(np.where(size == 1, np.inf, y), x)
    return y.astype(x.dtype)[()]


# --- the derivatives of log Γ ----------------------------------------------------------------------------------------

# B₂ₖ: Bernoulli's numbers
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)


def _polygamma(x, n=0):
    """The (n + 1)-th derivative of log Γ: a recurrence up to where the asymptotic series is exact; reflected below 0."""
    return by_number(_polygamma_of_numbers, _lowered_polygamma, as_real(x), n)


def _polygamma_of_numbers(x, n):
    z = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        y = _polygamma_above(np.where(z < 0, 1 - z, z), n)
        if (z < 0).any():
            y = np.where(z < 0, (-1) ** n * y - _cotangent_derivative(z, n), y)
            y = np.where((z < 0) & (z == np.floor(z)), np.nan if n == 0 else np.inf, y)
    return y.astype(x.dtype)[()]


def _polygamma_above(z, n):
    """For z ≥ 0."""
    sign, factorial = (-1) ** (n + 1), math.factorial(n)
    y = np.zeros_like(z)
    for shift in range(16 + n):
        y = y + sign * factorial / (z + shift) ** (n + 1)
    z = z + (16 + n)
    if n == 0:
        y = y + (np.log(z) - 0.5 / z)
    else:
        y = y + sign * (math.factorial(n - 1) / z**n + factorial / (2 * z ** (n + 1)))
    for k, b in enumerate(BERNOULLI, 1):
        y = y + sign * b * (math.factorial(2 * k + n - 1) / math.factorial(2 * k)) / z ** (2 * k + n)
    return y


def _cotangent_derivative(z, n):
    """The n-th derivative of π cot(πz): a polynomial in the cotangent."""
    cotangent = 1 / np.tan(np.pi * (z - np.round(z)))
    polynomial = np.array([1.0, 0.0])
    for _ in range(n):
        polynomial = -np.polymul([1.0, 0.0, 1.0], np.polyder(polynomial))
    value = 0.0  # by Horner's rule, which works on every kind of array
    for coefficient in polynomial.tolist():
        value = value * cotangent + coefficient
    return np.pi ** (n + 1) * value


# --- of simpler operations, for interpreters ---------------------------------------------------------------------------


def _lowered_polygamma(x, n=0):
    above = _polygamma_above(np.where(x < 0, 1 - x, x), n)
    y = np.where(x < 0, (-1) ** n * above - _cotangent_derivative(x, n), above)
    return np.where(np.logical_and(x < 0, x == np.floor(x)), np.nan if n == 0 else np.inf, y)


def _lowered_erfinv(x):
    size = np.abs(x)
    y = _winitzki(size)
    for _ in range(3):
        error = np.where(size < 0.5, erf(y) - size, (1 - size) - erfc(y))
        step = error * np.exp(y * y) * (math.sqrt(math.pi) / 2)
        y = y - np.where(np.isfinite(step), step / (1 + y * step), 0.0)
    return np.copysign(np.where(size == 1, np.inf, y), x)


# --- the modified Bessel function ------------------------------------------------------------------------------------

NODES = np.cos(np.pi * (np.arange(80) + 0.5) / 160)  # exact to rounding up to |x| = 713, beyond which exp overflows


def _bessel(x, order=1):
    """The derivative of I₀ of any order: the mean of cosᵏθ · exp(x cos θ) over the circle, by the midpoint rule."""
    x = as_array(x)
    x = x if x.dtype.kind == "f" else x.astype(np.float64)  # as NumPy's
    return by_number(_bessel_of_numbers, _bessel_of_kinds, x, order)


def _bessel_of_numbers(x, order):
    return _bessel_of_kinds(x.astype(np.float64), order).astype(x.dtype)[()]


def _bessel_of_kinds(z, order):
    y = np.zeros_like(z)
    with np.errstate(over="ignore"):
        for c in NODES:
            y = y + c**order * (np.sinh if order % 2 else np.cosh)(z * c)
        return y / len(NODES)


def _bind_polygamma(n, x):
    if int(n) != n or n < 0:
        raise ValueError(f"polygamma: n={n}; expected a whole number of at least 0")
    return (x,), {"n": int(n)}


# fmt: off
erfc      = op(_erfc,      "erfc({x})", lambda g, y, x: g * (-2 / math.sqrt(math.pi) * np.exp(-x * x)), name="erfc", kind="elementwise",
               gives="nonnegative", summary="1 − erf(x), exact where erf(x) is close to 1")
erfinv    = op(_erfinv,    "erf⁻¹({x})", lambda g, y, x: g * (math.sqrt(math.pi) / 2 * np.exp(y * y)), name="erfinv", kind="elementwise",
               domain=(-0.9, 0.9), lowered=_lowered_erfinv, summary="Inverse of the error function", edge_cases="±∞ at ±1, with an infinite gradient.")
gammaln   = op(_gammaln,   "log|Γ({x})|", lambda g, y, x: g * polygamma(0, x), name="gammaln", kind="elementwise", domain=(0.3, 4),
               summary="Logarithm of |Γ(x)|, the gamma function")
polygamma = op(_polygamma, "ψ^({n})({x})", lambda g, y, x, n=0: g * polygamma(n + 1, x), name="polygamma", kind="elementwise", bind=_bind_polygamma,
               domain=(0.8, 4), variants=({"n": 0}, {"n": 1}, {"n": 2}), method=False, lowered=_lowered_polygamma,
               summary="The (n + 1)-th derivative of log Γ(x)", example="tn.polygamma(1, np.array([1.0]))")
digamma   = op(lambda x: _polygamma(x, 0), "ψ({x})", lambda g, y, x: g * polygamma(1, x), name="digamma", kind="elementwise", domain=(0.3, 4),
               lowered=_lowered_polygamma,
               summary="Derivative of log Γ(x)")
i0        = op(lambda x: _bessel(x, 0), "I₀({x})", lambda g, y, x: g * _i0_slope(x, order=1), name="i0", kind="elementwise", stands_for=(np.i0,),
               gives="nonnegative", summary="Modified Bessel function I₀")
_i0_slope = op(_bessel, "I₀^({order})({x})", lambda g, y, x, order=1: g * _i0_slope(x, order=order + 1), name="_i0_slope", part_of="i0",
               kind="elementwise", summary="Derivative of I₀ of any order")
# fmt: on

i0_slope = _i0_slope  # for other modules


@implements(method=False)
def normal_logpdf(x, loc=0.0, scale=1.0):
    """Logarithm of the normal density of mean `loc` and standard deviation `scale`: −½((x − loc)/scale)² − log(scale √2π).

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.normal_logpdf(np.array([0.0, 1.0]))
    array([-0.91893853, -1.41893853])
    """
    loc, scale = (v if isinstance(v, (int, float)) else as_array(v) for v in (loc, scale))  # numbers stay weak
    if isinstance(scale, (int, float)) and not scale > 0:
        raise ValueError(f"scale is {scale}; expected a standard deviation above 0")
    z = (as_real(x) - loc) / scale
    log_scale = math.log(scale) if isinstance(scale, (int, float)) else np.log(scale)
    return -0.5 * np.square(z) - (log_scale + 0.5 * math.log(2 * math.pi))
