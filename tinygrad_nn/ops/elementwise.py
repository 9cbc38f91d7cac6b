"""Operations that act on each element by itself: their Jacobians are diagonal."""

from __future__ import annotations

import contextvars
import math

import numpy as np

from tinygrad_nn.foreign import by_number
from tinygrad_nn.notation import Term, bracket, superscript
from tinygrad_nn.operands import as_array, real_dtype
from tinygrad_nn.ops.lowering import erf_of, sinc_slope
from tinygrad_nn.registry import op

LN2, LN10 = math.log(2.0), math.log(10.0)
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017


def quiet():
    """For functions in which exp(±1000) is ∞ or 0 on purpose, and what follows is exact."""
    return np.errstate(over="ignore", under="ignore")


ZERO = np.float64(0.0)


def as_real(x):
    """An array of floating-point numbers: integers and bools are promoted as by NumPy's `exp`."""
    if type(x) is np.ndarray and x.dtype.kind == "f":
        return x
    x = as_array(x)
    return x if x.dtype.kind == "f" else x.astype(np.result_type(x.dtype, np.float16))


# --- functions that NumPy does not have, or not stably ---------------------------------------------------------------


_QUIET = contextvars.copy_context()
_QUIET.run(np.seterr, over="ignore")


def _sigmoid(x):
    y = np.negative(as_real(x))
    if type(y) is np.ndarray:  # in a context made once, which is quicker than to change the present one and back
        y = _QUIET.copy().run(np.exp, y)
        return np.reciprocal(np.add(y, 1.0, y), y)
    with quiet():
        return np.reciprocal(np.exp(y) + 1.0)


def _softplus(x):
    return _logaddexp(as_real(x), 0.0)


def _logaddexp(a, b):
    with quiet():
        return np.logaddexp(a, b)


def _relu(x):
    if type(x) is np.float64:  # quicker, and the same
        return x if x > 0 or x != x else ZERO
    return np.maximum(x, 0)


def _elu(x, alpha=1.0):
    x = as_real(x)
    with quiet():
        return np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0)))


_erf_one_by_one = np.frompyfunc(math.erf, 1, 1)


def _erf_of_numbers(x):
    """The error function; the C library's, one number at a time, or SciPy's where that is installed and pays."""
    if x.size > 64:
        try:
            from scipy.special import erf as scipy_erf
        except ImportError:
            pass
        else:
            return scipy_erf(x)
    return np.asarray(_erf_one_by_one(x), dtype=x.dtype)[()]


def _erf(x):
    """The error function."""
    return by_number(_erf_of_numbers, erf_of, as_real(x))


def _gelu(x):
    x = as_real(x)
    return x * (0.5 * (1.0 + _erf(x * math.sqrt(0.5))))


def _sinc_derivative(x, order=1):
    """The derivative of sin(πx)/(πx) of any order: its power series near 0, the product rule on x·sinc(x) further out."""
    z = as_array(x)
    y = sinc_slope(z.astype(np.result_type(z.dtype, np.float64)), order)
    return y.astype(x.dtype) if hasattr(x, "dtype") and x.dtype.kind == "f" else y


# --- rules longer than a line ----------------------------------------------------------------------------------------


def _power_base(g, y, x, n):
    """n·xⁿ⁻¹, and 0 for n = 0 at x = 0, where xⁿ⁻¹ is not asked for."""
    if isinstance(n, (int, float)):
        return g * (n * x ** (n - 1 + (n == 0)))
    return g * (n * x ** (n - 1 + (n == 0) * (x == 0)))


def _power_exponent(g, y, x, n):
    return g * _power_log(x, n)


def _power_log_value(x, n, order=1):
    """xⁿ·logᵏx, and 0 where 0ⁿ with n ≥ 0, where log 0 is not asked for."""
    y = np.power(x, n)
    # times 1.0, as the logarithm of an integer of 8 or 16 bits is one of half or single precision
    z = y * np.log(np.add(1.0 * x, np.equal(x, 0) * np.greater_equal(n, 0))) ** order
    return z if z.dtype == y.dtype else z.astype(y.dtype)


def _power_log_base(g, y, x, n, order=1):
    """n·xⁿ⁻¹·logᵏx + k·xⁿ⁻¹·logᵏ⁻¹x: of two derivatives of a power, either may be taken first."""
    less = n - 1 + (n == 0) * (x == 0)
    before = x**less if order == 1 else _power_log(x, less, order=order - 1)
    return g * (n * _power_log(x, less, order=order) + order * before)


def _chosen(g, first, tie):
    """The gradient to one side of a choice: all where it is chosen, half on a tie, else an exact 0."""
    return np.where(first, g, np.where(tie, g * 0.5, 0.0))


def _slope_of_length(g, y, a):
    """g·a/y, and 0 at the origin, at every order."""
    return g * (y != 0) * (a / (y + (y == 0)))


def _turn(g, a, b):
    """g·b/(a² + b²), and 0 at the origin, at every order."""
    r = np.hypot(a, b)
    safe = r + (r == 0)
    return g * (r != 0) * (b / safe / safe)


def _within(g, y, x, min, max):
    """g where min ≤ x ≤ max: the bounds themselves pass it on.  A bound may be None."""
    g = g if min is None else np.where(x >= min, g, 0.0)
    return g if max is None else np.where(x <= max, g, 0.0)


def _to_max(g, y, x, min, max):
    """g where max is the result: where x is above it, and everywhere if max < min, as in `np.clip`."""
    return np.where(x > max if min is None else np.logical_or(x > max, max < min), g, 0.0)


def _bind_clip(x, min=None, max=None, *, a_min=None, a_max=None, dtype=None):
    x = x if dtype is None else astype(x, dtype)
    return (x, a_min if min is None else min, a_max if max is None else max), {}


def _normal_cdf(x):
    return 0.5 * (1 + erf(x * math.sqrt(0.5)))


def _gelu_further(x, *, approximate="none"):
    """With approximate="tanh": ½x(1 + tanh(√(2/π)(x + 0.044715x³))), as GPT-2 and BERT have it."""
    if approximate == "none":
        return gelu(x)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate={approximate!r}; expected 'none' or 'tanh'")
    x = as_real(x)
    return x * sigmoid(x * (2 * math.sqrt(2 / math.pi)) * (1 + 0.044715 * (x * x)))


def _softplus_further(x, *, beta=1.0, threshold=None):
    """With beta: log(1 + exp(beta·x)) / beta.  With a threshold: x itself where beta·x is above it, as in PyTorch."""
    x = as_real(x)
    y = softplus(x * beta) / beta
    return y if threshold is None else np.where(x * beta > threshold, x, y)


def share(a, b):
    """exp(a) / (exp(a) + exp(b)), also where both are the same infinity."""
    both = np.logical_and(np.isinf(a), a == b)
    return sigmoid(np.where(both, 0.0, a) - np.where(both, 0.0, b))


def _gelu_slope(x):
    return _normal_cdf(x) + x * (np.exp(-0.5 * (x * x)) / math.sqrt(2 * math.pi))


def _softsign(x):
    x = as_real(x)
    return x / (1.0 + np.abs(x))


def _mish_slope(x):
    t = np.tanh(softplus(x))
    return t + x * sigmoid(x) * (1 - t * t)


def bits(n):
    """Samples of n arguments: integers, and bools."""

    def draw(rng):
        ints = [rng.integers(-8, 8, size=(2, 3)) for _ in range(n)]
        return [(tuple(ints), {}), (tuple(a > 0 for a in ints), {})]

    return draw


# --- how sums, products and powers are written -----------------------------------------------------------------------


def unwritten(x):
    """For operations that change only the form of their argument: written as the argument itself."""
    return x


def _simplify_product(a, b):
    """Numbers first, ones left out, a sign in front."""
    for one, other in ((a, b), (b, a)):
        if one.text == "1":
            return other
        if one.text == "−1":
            return Term("−" + bracket(other, 2), 2)
    if b.constant:
        a, b = b, a
    left, right = bracket(a, 2), bracket(b, 2)
    sign = "−" if left.startswith("−") != right.startswith("−") else ""
    left, right = left.removeprefix("−"), right.removeprefix("−")
    if a.constant and right[:1].isalpha():
        return Term(sign + left + right, 2)
    return Term(f"{sign}{left}{' ⊙ ' if (a.ndim or b.ndim) else '·'}{right}", 2)


def _simplify_power(x, n):
    if not n.constant:
        return None
    if n.text == "1":
        return x
    return Term(bracket(x, 3, strict=True) + superscript(n.text), 3) if n.text.lstrip("−").isdigit() else None


def _spell_power(x, n, arrays=False):
    if not n.strip("(−)").isdigit():
        return None
    return (f"({x})" if x[-1:] in "⁰¹²³⁴⁵⁶⁷⁸⁹" else x) + superscript(n.strip("()"))


# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off

# arithmetic
add        = op(np.add, "{a} + {b}", lambda g, y, a, b: g, lambda g, y, a, b: g, precedence=1, associative=True, entries="ones",
                simplify=lambda a, b: b if a.text == "0" else a if b.text == "0" else None, summary="Sum")
subtract   = op(np.subtract,   "{a} − {b}", lambda g, y, a, b: g,     lambda g, y, a, b: -g,         precedence=1, summary="Difference")
multiply   = op(np.multiply, "{a} ⊙ {b}", lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, precedence=2, associative=True,
                spell=lambda a, b, arrays: None if arrays else f"{a}·{b}", simplify=_simplify_product, summary="Hadamard product")
divide     = op(np.divide, "{a} / {b}", lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b, precedence=2,
                simplify=lambda a, b: a if b.text == "1" else None, name="divide", domain=((-2, 2), (0.5, 2)), summary="Quotient")
power      = op(np.power,      "{x}^{n}",   _power_base,              _power_exponent, precedence=3, spell=_spell_power, simplify=_simplify_power,
                domain=((0.5, 2), (-2, 2)), summary="Power", edge_cases="x**0 has gradient 0; 0**n has gradient 0 in n for n ≥ 0.")
_power_log = op(_power_log_value, "{x}^{n}·log^{order} {x}", _power_log_base,
                lambda g, y, x, n, order=1: g * _power_log(x, n, order=order + 1), name="_power_log", kind="elementwise", domain=((0.5, 2), (-2, 2)),
                part_of="power", summary="Derivative of a power by its exponent, of any order")
negative   = op(np.negative, "−{x}", lambda g, y, x: -g, precedence=2,
                simplify=lambda x: Term(x.text[1:], x.precedence) if x.text.startswith("−") and x.precedence >= 2 else None, summary="Negative")
reciprocal = op(np.reciprocal, "1/{x}",     lambda g, y, x: -g * y * y,                              precedence=2,
                summary="Reciprocal", domain=(0.3, 2))
square     = op(np.square, "{x}²", lambda g, y, x: g * (2 * x), precedence=3, spell=lambda x, arrays: _spell_power(x, "2"),
                gives="nonnegative", summary="Square")
abs        = op(np.absolute,   "|{x}|",     lambda g, y, x: g * np.sign(x), name="abs",
                gives="nonnegative", summary="Absolute value", edge_cases="the gradient at 0 is 0.")
sign       = op(np.sign,       "sign({x})", lambda g, y, x: np.zeros_like(g),
                summary="Sign", edge_cases="the gradient is 0 everywhere.")

# exponentials, logarithms, roots
exp        = op(np.exp,        "exp({x})",   lambda g, y, x: g * y,               gives="nonnegative", summary="Exponential")
expm1      = op(np.expm1,      "expm1({x})", lambda g, y, x: g * (y + 1),         summary="exp(x) − 1 without cancellation")
exp2       = op(np.exp2,       "exp2({x})",  lambda g, y, x: g * (y * LN2),       gives="nonnegative", summary="Power of two")
log        = op(np.log,        "log({x})",   lambda g, y, x: g / x,               summary="Natural logarithm", domain=(0.2, 3))
log1p      = op(np.log1p,      "log1p({x})", lambda g, y, x: g / (1 + x),         summary="log(1 + x) without cancellation", domain=(-0.7, 2))
log2       = op(np.log2,       "log2({x})",  lambda g, y, x: g / (x * LN2),       summary="Logarithm to base 2", domain=(0.2, 3))
log10      = op(np.log10,      "log10({x})", lambda g, y, x: g / (x * LN10),      summary="Logarithm to base 10", domain=(0.2, 3))
sqrt       = op(np.sqrt,       "√{x}",       lambda g, y, x: g / (2 * y), domain=(0.2, 3), precedence=3,
                gives="nonnegative", summary="Square root", edge_cases="the gradient at 0 is ∞.")
cbrt       = op(np.cbrt,       "∛{x}",       lambda g, y, x: g / (3 * (y * y)), domain=(0.2, 3), precedence=3,
                summary="Cube root", edge_cases="the gradient at 0 is ∞.")
logaddexp  = op(_logaddexp,    "logaddexp({a}, {b})", lambda g, y, a, b: g * share(a, b), lambda g, y, a, b: g * share(b, a), name="logaddexp",
                kind="elementwise", stands_for=(np.logaddexp,), summary="log(exp(a) + exp(b)), stable")

# trigonometric and hyperbolic
sin        = op(np.sin,        "sin({x})",     lambda g, y, x: g * np.cos(x),                    summary="Sine")
cos        = op(np.cos,        "cos({x})",     lambda g, y, x: -g * np.sin(x),                   summary="Cosine")
tan        = op(np.tan,        "tan({x})",     lambda g, y, x: g * (1 + y * y),                  summary="Tangent", domain=(-1, 1))
arcsin     = op(np.arcsin,     "arcsin({x})",  lambda g, y, x: g / np.sqrt((1 - x) * (1 + x)),   summary="Inverse sine", domain=(-0.8, 0.8))
arccos     = op(np.arccos,     "arccos({x})",  lambda g, y, x: -g / np.sqrt((1 - x) * (1 + x)),  domain=(-0.8, 0.8),
                gives="nonnegative", summary="Inverse cosine")
arctan     = op(np.arctan,     "arctan({x})",  lambda g, y, x: g / (1 + x * x),                  summary="Inverse tangent")
sinh       = op(np.sinh,       "sinh({x})",    lambda g, y, x: g * np.cosh(x),                   summary="Hyperbolic sine")
cosh       = op(np.cosh,       "cosh({x})",    lambda g, y, x: g * np.sinh(x),                   gives="nonnegative", summary="Hyperbolic cosine")
tanh       = op(np.tanh,       "tanh({x})",    lambda g, y, x: g * (1 - y * y),                  summary="Hyperbolic tangent")
arcsinh    = op(np.arcsinh,    "arcsinh({x})", lambda g, y, x: g / np.hypot(x, 1.0),             summary="Inverse hyperbolic sine")
arccosh    = op(np.arccosh,    "arccosh({x})", lambda g, y, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)),
                gives="nonnegative", summary="Inverse hyperbolic cosine", domain=(1.2, 3))
arctanh    = op(np.arctanh,    "arctanh({x})", lambda g, y, x: g / ((1 - x) * (1 + x)),          summary="Inverse hyperbolic tangent",
                domain=(-0.8, 0.8))
hypot      = op(np.hypot,      "hypot({a}, {b})",   lambda g, y, a, b: _slope_of_length(g, y, a), lambda g, y, a, b: _slope_of_length(g, y, b),
                domain=(0.3, 2), summary="√(a² + b²)", edge_cases="the gradient at (0, 0) is 0.")
arctan2    = op(np.arctan2,    "arctan2({a}, {b})", lambda g, y, a, b: _turn(g, a, b),              lambda g, y, a, b: _turn(-g, b, a),
                domain=(0.3, 2), summary="Angle of the point (b, a)", edge_cases="the gradient at (0, 0) is 0.")
sinc       = op(lambda x: _sinc_derivative(as_array(x), order=0), "sinc({x})", lambda g, y, x: g * _sinc_slope(x, order=1),
                name="sinc", kind="elementwise", stands_for=(np.sinc,), summary="sin(πx)/(πx)")
_sinc_slope = op(_sinc_derivative, "sinc^({order})({x})", lambda g, y, x, order=1: g * _sinc_slope(x, order=order + 1),
                 name="_sinc_slope", lowered=sinc_slope, part_of="sinc", kind="elementwise", summary="Derivative of sinc of any order")
erf        = op(_erf,          "erf({x})",     lambda g, y, x: g * (2 / math.sqrt(math.pi) * np.exp(-x * x)), name="erf", kind="elementwise",
                summary="Error function")

# choices: inputs not selected get an exact zero gradient
where      = op(np.where, "where({condition}, {a}, {b})", None, lambda g, y, condition, a, b: np.where(condition, g, 0.0),
                lambda g, y, condition, a, b: np.where(condition, 0.0, g), kind="elementwise", selects=True, method=False,
                summary="Choice by condition", example="tn.where(np.array([True, False]), 1.0, 2.0)")
maximum    = op(np.maximum,    "max({a}, {b})", lambda g, y, a, b: _chosen(g, a > b, a == b), lambda g, y, a, b: _chosen(g, b > a, a == b), selects=True,
                summary="Larger of two", edge_cases="a tie halves the gradient.")
minimum    = op(np.minimum,    "min({a}, {b})", lambda g, y, a, b: _chosen(g, a < b, a == b), lambda g, y, a, b: _chosen(g, b < a, a == b), selects=True,
                summary="Smaller of two", edge_cases="a tie halves the gradient.")
clip       = op(np.clip, "clip({x}, {min}, {max})", _within,
                lambda g, y, x, min, max: np.where(x < min if max is None else np.logical_and(x < min, min <= max), g, 0.0), _to_max, kind="elementwise",
                selects=True, bind=_bind_clip, domain=((-2, 2), (-1.2, -1), (1, 1.2)),
                summary="Limit to an interval", edge_cases="the bounds pass the gradient.", example="tn.clip(np.array([-2.0, 0.5]), -1, 1)")

# activations
sigmoid     = op(_sigmoid,     "σ({x})",            lambda g, y, x: g * (y * (1 - y)), name="sigmoid", kind="elementwise",
                 gives="probabilities", summary="Logistic function 1/(1 + exp(−x)), stable")
log_sigmoid = op(lambda x: -_softplus(-as_real(x)), "log σ({x})", lambda g, y, x: g * sigmoid(-x), name="log_sigmoid", kind="elementwise",
                 gives="log-probabilities", summary="log σ(x), stable")
softplus    = op(_softplus,    "softplus({x})",     lambda g, y, x: g * sigmoid(x), name="softplus", kind="elementwise", initializer="he_uniform",
                 further=_softplus_further,
                 gives="nonnegative", summary="log(1 + exp(x)), stable")
relu        = op(_relu, "relu({x})", lambda g, y, x: g * (y > 0), name="relu", kind="elementwise", selects=True,
                 initializer="he_uniform", gives="nonnegative", summary="Rectified linear unit max(x, 0)", edge_cases="the gradient at 0 is 0.")
leaky_relu  = op(lambda x, negative_slope=0.01: np.where(np.greater(x, 0), x, np.multiply(negative_slope, x)), "leaky_relu({x})",
                 lambda g, y, x, negative_slope=0.01: np.where(x > 0, g, g * negative_slope), name="leaky_relu", kind="elementwise",
                 initializer="he_uniform", variants=({"negative_slope": 0.3}, {}), summary="x, and negative_slope·x below 0",
                 edge_cases="the gradient at 0 is negative_slope.")
elu         = op(_elu,         "elu({x})",          lambda g, y, x, alpha=1.0: g * np.where(x > 0, 1.0, y + alpha), name="elu", kind="elementwise",
                 initializer="he_uniform", variants=({"alpha": 0.5}, {}), summary="x, and alpha·(exp(x) − 1) below 0")
selu        = op(lambda x: SELU_SCALE * _elu(x, SELU_ALPHA), "selu({x})", lambda g, y, x: g * np.where(x > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA),
                 name="selu", kind="elementwise", initializer="lecun_normal", summary="Scaled elu (Klambauer et al. 2017)")
gelu        = op(_gelu,        "gelu({x})",         lambda g, y, x: g * _gelu_slope(x), name="gelu", kind="elementwise", initializer="he_uniform",
                 further=_gelu_further, summary="x·Φ(x), exact (Hendrycks & Gimpel 2016)")
silu        = op(lambda x: as_real(x) * _sigmoid(x), "silu({x})", lambda g, y, x: g * (sigmoid(x) * (1 + x * sigmoid(-x))),
                 name="silu", kind="elementwise", initializer="he_uniform", summary="x·σ(x), also called swish")
softsign    = op(_softsign, "softsign({x})", lambda g, y, x: g / np.square(1 + np.abs(x)), name="softsign", kind="elementwise",
                 summary="x/(1 + |x|)")
mish        = op(lambda x: as_real(x) * np.tanh(_softplus(x)), "mish({x})", lambda g, y, x: g * _mish_slope(x), name="mish", kind="elementwise",
                 initializer="he_uniform", summary="x·tanh(softplus(x)) (Misra 2019)")
hard_tanh   = op(lambda x, min=-1.0, max=1.0: np.clip(x, min, max), "hard_tanh({x})",
                 lambda g, y, x, min=-1.0, max=1.0: np.where(np.logical_and(x > min, x < max), g, 0.0), name="hard_tanh",
                 kind="elementwise", selects=True, variants=({"min": -0.5, "max": 1.5}, {}), summary="x limited to [min, max]",
                 edge_cases="the gradient at the bounds is 0.")

# comparisons: recorded in a trace, never differentiated
equal         = op(np.equal,         "{a} = {b}", None, None, arguments=("a", "b"), precedence=0, summary="a = b")
not_equal     = op(np.not_equal,     "{a} ≠ {b}", None, None, arguments=("a", "b"), precedence=0, summary="a ≠ b")
less          = op(np.less,          "{a} < {b}", None, None, arguments=("a", "b"), precedence=0, summary="a < b")
less_equal    = op(np.less_equal,    "{a} ≤ {b}", None, None, arguments=("a", "b"), precedence=0, summary="a ≤ b")
greater       = op(np.greater,       "{a} > {b}", None, None, arguments=("a", "b"), precedence=0, summary="a > b")
greater_equal = op(np.greater_equal, "{a} ≥ {b}", None, None, arguments=("a", "b"), precedence=0, summary="a ≥ b")
logical_and   = op(np.logical_and,   "{a} ∧ {b}", None, None, arguments=("a", "b"), precedence=0, associative=True, summary="a and b")
logical_or    = op(np.logical_or,    "{a} ∨ {b}", None, None, arguments=("a", "b"), precedence=0, associative=True, summary="a or b")
logical_xor   = op(np.logical_xor,   "{a} ⊕ {b}", None, None, arguments=("a", "b"), precedence=0, associative=True, summary="Either a or b, not both")
logical_not   = op(np.logical_not,   "¬{x}",      None, arguments=("x",), precedence=3, summary="not x")
isnan         = op(np.isnan,         "isnan({x})",    None, arguments=("x",), summary="Is it not a number?")
isinf         = op(np.isinf,         "isinf({x})",    None, arguments=("x",), summary="Is it ±∞?")
isfinite      = op(np.isfinite,      "isfinite({x})", None, arguments=("x",), summary="Is it neither ±∞ nor NaN?")

# bits of integers; of bools they are the logic above
bitwise_and   = op(np.bitwise_and, "{a} & {b}", None, None, arguments=("a", "b"), precedence=0, associative=True, samples=bits(2),
                   summary="Bits set in a and in b", example="tn.bitwise_and(np.array([6, 7]), 3)")
bitwise_or    = op(np.bitwise_or,  "{a} | {b}", None, None, arguments=("a", "b"), precedence=0, associative=True, samples=bits(2),
                   summary="Bits set in a or in b", example="tn.bitwise_or(np.array([4, 5]), 3)")
bitwise_xor   = op(np.bitwise_xor, "{a} ^ {b}", None, None, arguments=("a", "b"), precedence=0, associative=True, samples=bits(2),
                   summary="Bits set in just one of a and b", example="tn.bitwise_xor(np.array([6, 7]), 3)")
invert        = op(np.invert,      "~{x}",      None, arguments=("x",), precedence=3, samples=bits(1),
                   summary="Every bit turned: −x − 1 of integers, not x of bools", example="tn.invert(np.array([0, 1]))")

# the type of the numbers: the gradient is cast back by the backward pass
astype = op(lambda x, dtype: as_array(x).astype(dtype), "{x}", lambda g, y, x, dtype=None: g if np.dtype(dtype).kind == "f" else np.zeros_like(g),
            name="astype", kind="linear", bind=lambda x, dtype: ((x,), {"dtype": real_dtype(dtype)}), arguments=("x",), simplify=unwritten,
            variants=({"dtype": np.float64},), summary="Convert to another dtype; no gradient flows through integers and bools",
            example="tn.astype(np.array([1.5]), 'float32')")
# fmt: on

power_log = _power_log  # for other modules
