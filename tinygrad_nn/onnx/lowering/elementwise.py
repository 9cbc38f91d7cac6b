"""Operations on each element by itself, in ONNX; double precision is composed where runtimes have no kernel for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.onnx.building import BOOL, INT64, Builder, Expr, work
from tinygrad_nn.onnx.lowering.functions import (
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    cosh,
    erf,
    erfc,
    expm1,
    fmod,
    hypot,
    is_negative,
    log1p,
    remainder,
    sinh,
    tan,
)
from tinygrad_nn.onnx.recording import Number, Step
from tinygrad_nn.ops import arithmetic as ar
from tinygrad_nn.ops import elementwise as el
from tinygrad_nn.ops import joining, losses, special

__all__ = ["LOWER"]


def _dtype(x: Any) -> Any:
    """What NumPy's promotion sees."""
    return x.value if isinstance(x, Number) and isinstance(x.value, (int, float)) else getattr(x, "dtype", 0)


def _among(*args: Any) -> np.dtype:
    kinds = [0 if isinstance(x, Number) and not isinstance(_dtype(x), (int, float)) else _dtype(x) for x in args]
    kinds = [type(k)(1) if isinstance(k, (int, float)) and not isinstance(k, bool) else k for k in kinds]
    return np.result_type(*kinds)


def of(function: Callable) -> Callable:
    """A lowering by a function of expressions in the dtype of the result."""

    def lower(b: Builder, s: Step, *args: Any) -> Expr:
        kind = work(s.dtype)
        return function(*[b.operand(x, kind) for x in args], **s.params).cast(s.dtype)

    return lower


def node(kind: str) -> Callable:
    """A lowering by one node."""
    return of(lambda x, *others: x.apply(kind, *others))


def compared(kind: str) -> Callable:
    """A comparison: in the dtype of both together."""

    def lower(b: Builder, s: Step, x: Any, y: Any) -> Expr:
        together = work(_among(x, y))
        if together == BOOL:
            together = INT64
        return b(kind, b.operand(x, together), b.operand(y, together), dtype=BOOL)

    return lower


def logic(function: Callable) -> Callable:
    """Of truth values: a number is true where it is not 0."""

    def lower(b: Builder, s: Step, *args: Any) -> Expr:
        return function(*[truth(b, x) for x in args])

    return lower


def truth(b: Builder, x: Any) -> Expr:
    """Where it is not 0."""
    x = b.operand(x, work(_among(x)))
    return x if x.dtype == BOOL else ~x.equals(0)


def _about(function: Callable, otherwise: bool) -> Callable:
    """A question about floating-point numbers, which of others has one answer."""

    def lower(b: Builder, s: Step, x: Any) -> Expr:
        x = b.operand(x, work(_among(x)))
        if x.dtype.kind == "f":
            return function(x)
        x = x.cast(INT64)
        return x.equals(x) if otherwise else ~x.equals(x)

    return lower


def is_nan(x: Expr) -> Expr:
    """Where it is no number."""
    return x.apply("IsNaN", dtype=BOOL)


def is_inf(x: Expr, positive: int = 1, negative: int = 1) -> Expr:
    """Where it is infinite."""
    return x.apply("IsInf", dtype=BOOL, detect_positive=positive, detect_negative=negative)


def _arithmetic(kind: str, of_truth: str = "") -> Callable:
    """A sum or product, which of truth values is logic."""

    def lower(b: Builder, s: Step, x: Any, y: Any) -> Expr:
        if s.dtype == BOOL:
            return b(of_truth, b.operand(x, BOOL), b.operand(y, BOOL))
        wide = work(s.dtype)
        return b(kind, b.operand(x, wide), b.operand(y, wide)).cast(s.dtype)

    return lower


def _extreme(kind: str, of_truth: str) -> Callable:
    return _arithmetic(kind, of_truth)


def _power(b: Builder, s: Step, x: Any, n: Any) -> Expr:
    """Small whole exponents of Python as products, as runtimes are not exact there."""
    wide = work(s.dtype)
    base = b.operand(x, wide)
    if isinstance(n, Number) and n.value in (0, 1, 2, 3):
        y = {0: base * 0 + 1, 1: base, 2: base * base, 3: base * base * base}[int(n.value)]
        if n.value == 0:
            y = base.equals(base).then(1, b.constant(np.asarray(1, wide)))
        return y.cast(s.dtype)
    if wide == INT64:  # runtimes compute integer powers in floating point
        raise_ = b.operand(x, np.float64).apply("Pow", b.operand(n, np.float64))
        return raise_.cast(s.dtype)
    return base.apply("Pow", b.operand(n, wide)).cast(s.dtype)


def _where(b: Builder, s: Step, condition: Any, x: Any, y: Any) -> Expr:
    wide = s.dtype if s.dtype == BOOL else work(s.dtype)
    if wide == BOOL:
        c, x, y = truth(b, condition), b.operand(x, BOOL), b.operand(y, BOOL)
        return (c & x) | (~c & y)
    return truth(b, condition).then(b.operand(x, wide), b.operand(y, wide)).cast(s.dtype)


def _clip(b: Builder, s: Step, x: Any, low: Any, high: Any) -> Expr:
    wide = work(s.dtype)
    y = b.operand(x, wide)
    if low is not None:
        y = y.apply("Max", b.operand(low, wide))
    if high is not None:
        y = y.apply("Min", b.operand(high, wide))
    return y.cast(s.dtype)


def _sign(x: Expr) -> Expr:
    return x.apply("Sign")


def _copysign(x: Expr, s: Expr) -> Expr:
    size = x.apply("Abs")
    return is_negative(s).then(-size, size)


def _cbrt(x: Expr) -> Expr:
    """The root of the size, improved by one step of Newton's method, with the sign."""
    size = x.apply("Abs")
    y = size.apply("Pow", x.b.constant(np.asarray(1 / 3, x.dtype)))
    better = y - (y - size / (y * y)) / 3.0
    usable = (y > 0) & ~is_inf(y)
    return _copysign(usable.then(better, y), x)


def _logaddexp(a: Expr, c: Expr) -> Expr:
    """The larger one, and what the other adds; equal infinities as they are."""
    top = a.apply("Max", c)
    rest = log1p((-((a - c).apply("Abs"))).apply("Exp"))
    return a.equals(c).then(top + math.log(2.0), top + rest)


def _floor_divide(a: Expr, c: Expr) -> Expr:
    if a.dtype.kind != "f":
        safe = c.equals(0).then(1, c)
        q = (a - a.apply("Mod", safe)) / safe
        return c.equals(0).then(0, q)
    rest = remainder(a, c)
    q = (a - rest) / c
    low = q.apply("Floor")
    low = ((q - low) > 0.5).then(low + 1.0, low)
    return (c.equals(0.0) | is_inf(a)).then(a / c * (a.equals(a).then(1.0, a)), low)


def _fmod(a: Expr, c: Expr) -> Expr:
    if a.dtype.kind == "f":
        return fmod(a, c)
    safe = c.equals(0).then(1, c)
    return c.equals(0).then(0, a.apply("Mod", safe, fmod=1))


def _remainder(a: Expr, c: Expr) -> Expr:
    if a.dtype.kind == "f":
        return remainder(a, c)
    safe = c.equals(0).then(1, c)
    return c.equals(0).then(0, a.apply("Mod", safe))


def _trunc(x: Expr) -> Expr:
    return x if x.dtype.kind != "f" else is_negative(x).then(x.apply("Ceil"), x.apply("Floor"))


def _rounding(kind: str) -> Callable:
    return of(lambda x: x.apply(kind) if x.dtype.kind == "f" else x)


def _round(x: Expr, decimals: int = 0) -> Expr:
    """As NumPy: to a multiple of a power of ten."""
    if x.dtype.kind != "f":
        if decimals >= 0:
            return x
        unit = 10.0**-decimals
        return ((x.cast(np.float64) / unit).apply("Round") * unit).cast(x.dtype)
    if not decimals:
        return x.apply("Round")
    unit = 10.0 ** abs(decimals)
    return (x * unit).apply("Round") / unit if decimals > 0 else (x / unit).apply("Round") * unit


def _nan_leaves(kind: str) -> Callable:
    """The larger or smaller of two; of a NaN, the other."""

    def lower(a: Expr, c: Expr) -> Expr:
        y = a.apply(kind, c)
        return y if a.dtype.kind != "f" else is_nan(a).then(c, is_nan(c).then(a, y))

    return of(lower)


def _heaviside(x: Expr, h: Expr) -> Expr:
    y = (x < 0.0).then(0.0, x.equals(0.0).then(h, x.b.constant(np.asarray(1, x.dtype))))
    return is_nan(x).then(x, y)


def _bits(kind: str) -> Callable:
    """Bits of whole numbers; of truth values they are logic."""
    of_truth = {"BitwiseAnd": "And", "BitwiseOr": "Or", "BitwiseXor": "Xor"}[kind]
    return _arithmetic(kind, of_truth)


def _invert(b: Builder, s: Step, x: Expr) -> Expr:
    return ~x if s.dtype == BOOL else (-1 - x.cast(INT64)).cast(s.dtype)


def _power_of_two(b: Builder, n: Expr) -> Expr:
    return b.constant(np.asarray(2.0)).apply("Pow", n.cast(np.float64))


def _shift(left: bool) -> Callable:
    def lower(b: Builder, s: Step, x: Any, n: Any) -> Expr:
        x, n = b.operand(x, INT64), b.operand(n, INT64)
        inside = (n >= 0) & (n < 62)
        unit = _power_of_two(b, inside.then(n, 0)).cast(INT64)
        if left:
            return inside.then(x * unit, 0).cast(s.dtype)
        down = (x - x.apply("Mod", unit)) / unit
        return inside.then(down, (x < 0).then(-1, b.constant(np.asarray(0, np.int64)))).cast(s.dtype)

    return lower


def _ldexp(b: Builder, s: Step, x: Any, n: Any) -> Expr:
    wide = work(s.dtype)
    return (b.operand(x, wide) * _power_of_two(b, b.operand(n, INT64)).cast(wide)).cast(s.dtype)


def _astype(b: Builder, s: Step, x: Any) -> Expr:
    kind = _among(x)
    if s.dtype == BOOL:
        return truth(b, x)
    return b.operand(x, kind).cast(s.dtype)


def _same(b: Builder, s: Step, x: Any) -> Expr:
    return b.operand(x, s.dtype).apply("Identity")


def _log_of_probability(x: Expr) -> Expr:
    y = x.apply("Log")
    return y.apply("Max", x.b.constant(np.asarray(-100, x.dtype)))


def _relu(x: Expr) -> Expr:
    return x.apply("Relu") if x.dtype.kind == "f" else x.apply("Max", x.b.constant(np.asarray(0, x.dtype)))


def _sigmoid(x: Expr) -> Expr:
    """Written out, as runtimes limit what they take to ±18, where its logarithm is not done."""
    return 1.0 / ((-x).apply("Exp") + 1.0)


def _softplus(x: Expr) -> Expr:
    return x.apply("Max", x.b.constant(np.asarray(0, x.dtype))) + log1p((-(x.apply("Abs"))).apply("Exp"))


def _logarithm(base: float) -> Callable:
    return of(lambda x: x.apply("Log") / math.log(base))


LOWER: dict[Any, Callable] = {
    el.add: _arithmetic("Add", "Or"), el.subtract: _arithmetic("Sub"), el.multiply: _arithmetic("Mul", "And"),
    el.divide: _arithmetic("Div"), el.power: _power, el.negative: node("Neg"), el.reciprocal: of(lambda x: 1.0 / x),
    el.square: of(lambda x: x * x), el.abs: node("Abs"), ar.fabs: node("Abs"), el.sign: of(_sign),
    el.exp: node("Exp"), el.expm1: of(expm1), el.log: node("Log"), el.log1p: of(log1p), el.sqrt: node("Sqrt"),
    el.exp2: of(lambda x: x.b.constant(np.asarray(2, x.dtype)).apply("Pow", x)), el.cbrt: of(_cbrt),
    el.log2: _logarithm(2.0), el.log10: _logarithm(10.0), el.logaddexp: of(_logaddexp),
    el.sin: node("Sin"), el.cos: node("Cos"), el.tan: of(tan), el.arcsin: of(arcsin), el.arccos: of(arccos),
    el.arctan: of(arctan), el.sinh: of(sinh), el.cosh: of(cosh), el.tanh: node("Tanh"), el.arcsinh: of(arcsinh),
    el.arccosh: of(arccosh), el.arctanh: of(arctanh), el.hypot: of(hypot), el.arctan2: of(arctan2), el.erf: of(erf),
    special.erfc: of(erfc),
    el.where: _where, el.maximum: _extreme("Max", "Or"), el.minimum: _extreme("Min", "And"), el.clip: _clip,
    el.relu: of(_relu), el.sigmoid: of(_sigmoid), el.softplus: of(_softplus),
    el.log_sigmoid: of(lambda x: -_softplus(-x)),
    losses.log_probability: of(_log_of_probability),
    el.equal: compared("Equal"), el.less: compared("Less"), el.less_equal: compared("LessOrEqual"),
    el.greater: compared("Greater"), el.greater_equal: compared("GreaterOrEqual"),
    el.not_equal: lambda b, s, x, y: ~compared("Equal")(b, s, x, y),
    el.logical_and: logic(lambda x, y: x & y), el.logical_or: logic(lambda x, y: x | y),
    el.logical_xor: logic(lambda x, y: x.apply("Xor", y)), el.logical_not: logic(lambda x: ~x),
    el.isnan: _about(is_nan, False), el.isinf: _about(is_inf, False),
    el.isfinite: _about(lambda x: ~(is_nan(x) | is_inf(x)), True),
    ar.isposinf: _about(lambda x: is_inf(x, negative=0), False),
    ar.isneginf: _about(lambda x: is_inf(x, positive=0), False),
    ar.signbit: lambda b, s, x: is_negative(b.operand(x, work(_among(x)))),
    el.bitwise_and: _bits("BitwiseAnd"), el.bitwise_or: _bits("BitwiseOr"), el.bitwise_xor: _bits("BitwiseXor"),
    el.invert: _invert, el.astype: _astype, joining.copy: _same, ar.positive: _same,
    ar.floor: _rounding("Floor"), ar.ceil: _rounding("Ceil"), ar.rint: _rounding("Round"), ar.trunc: of(_trunc),
    ar.round: of(_round), ar.floor_divide: of(_floor_divide), ar.remainder: of(_remainder), ar.fmod: of(_fmod),
    ar.copysign: of(_copysign), ar.heaviside: of(_heaviside),
    ar.degrees: of(lambda x: x * (180 / math.pi)), ar.radians: of(lambda x: x * (math.pi / 180)), ar.ldexp: _ldexp,
    ar.fmax: _nan_leaves("Max"), ar.fmin: _nan_leaves("Min"), ar.left_shift: _shift(True),
    ar.right_shift: _shift(False),
}  # fmt: skip
