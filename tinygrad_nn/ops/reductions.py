"""Operations that gather elements along axes: sums, products, extremes, norms, and the softmax family."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tinygrad_nn.foreign import is_foreign, like
from tinygrad_nn.operands import as_array
from tinygrad_nn.operation import Traced
from tinygrad_nn.ops.axes import axes_of, axis_of
from tinygrad_nn.ops.elementwise import as_real, astype, quiet
from tinygrad_nn.ops.precision import in_single, length, single
from tinygrad_nn.registry import op


def spread(g, x, axis, keepdims):
    """The result of a reduction over `axis`, shaped so that it broadcasts against its input again."""
    if keepdims or x.ndim == 0:
        return g
    return np.expand_dims(g, tuple(range(x.ndim)) if axis is None else axis)


def _count(x, y):
    """How many elements went into each result: a Python number, so that float32 stays float32."""
    return x.size / (y.size or 1)


def _inverse(n):
    """1/n, and ∞ for a variance without a degree of freedom: NaN or ∞, as NumPy's value."""
    return 1 / n if n > 0 else np.inf


def _flat(x, axis):
    return np.reshape(x, (-1,)) if axis is None or not x.ndim else x


def _place(x, axis):
    """The axis that a running product takes, counted from 0."""
    return axis_of(axis, x) if axis is not None and x.ndim else 0


def _sum_rule(g, y, x, axis=None, keepdims=False):
    return np.broadcast_to(spread(g, x, axis, keepdims), x.shape)


# --- sums along an axis, products without a division, and the recurrence behind them ---------------------------------


def _cumsum_rule(g, y, x, axis=None):
    last = 0 if axis is None else axis
    return np.reshape(np.flip(np.cumsum(np.flip(g, last), axis=last), last), x.shape)


def _scan(b, a, axis=0):
    """yᵢ = bᵢ + aᵢ yᵢ₋₁ along an axis, from y₋₁ = 0."""
    b, a = np.moveaxis(b, axis, 0), np.moveaxis(a, axis, 0)
    if b.size and is_foreign(b):  # which may not be written into
        rows = itertools.accumulate(range(1, len(b)), lambda carry, i: b[i] + a[i] * carry, initial=b[0])
        return np.moveaxis(np.stack(list(rows)), 0, axis)
    y = np.empty(b.shape, np.result_type(a, b))
    carry = 0
    for i in range(len(b)):
        carry = y[i] = b[i] + a[i] * carry
    return np.moveaxis(y, 0, axis)


def _shifted(x, axis, fill, ahead):
    """x one place further along (or back), with `fill` coming in at the end."""
    n = x.shape[axis]
    edge = np.full(x.shape[:axis] + (int(n > 0),) + x.shape[axis + 1 :], fill, dtype=x.dtype)
    edge, cut = like(edge, x), [slice(None)] * x.ndim
    cut[axis] = slice(0, -1) if ahead else slice(1, None)
    parts = [edge, x[tuple(cut)]] if ahead else [x[tuple(cut)], edge]
    return np.concatenate(parts, axis=axis)


def _scan_b(g, y, b, a, axis=0):
    following = _shifted(a, axis, 0, ahead=False)
    return np.flip(_linear_scan(np.flip(g, axis), np.flip(following, axis), axis=axis), axis)


def _cumprod_rule(g, y, x, axis=None):
    """Exact with zeros: (∏ of what is before) · Σ over what follows of g · (∏ of what is between)."""
    shape, x, axis = x.shape, _flat(x, axis), _place(x, axis)
    before = np.cumprod(_shifted(x, axis, 1, ahead=True), axis=axis)
    between = _scan_b(g, None, g, x, axis)
    return np.reshape(before * between, shape)


def _cumprod_tangent(tangents, y, x, axis=None):
    """The product rule along the way: ẏᵢ = xᵢ ẏᵢ₋₁ + ẋᵢ yᵢ₋₁."""
    t, x, axis = _flat(tangents[0], axis), _flat(x, axis), _place(x, axis)
    return _linear_scan(t * _shifted(y, axis, 1, ahead=True), x, axis=axis)


def _scan_tangent(t, y, b, a, axis=0):
    source = 0 if t[0] is None else t[0]
    if t[1] is not None:
        source = source + t[1] * _shifted(y, axis, 0, ahead=True)
    return _linear_scan(source, a, axis=axis)


def _one_axis_last(x, axis):
    """x with the reduced axes flattened into one last axis, and the way back."""
    axes = axes_of(axis if x.ndim else None, x)
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    order = kept + axes
    moved = np.transpose(x, order)
    back = tuple(order.index(i) for i in range(x.ndim))
    return np.reshape(moved, moved.shape[: len(kept)] + (-1,)) if x.size else None, moved.shape, back


def _prod_rule(g, y, x, axis=None, keepdims=False):
    """g times the product of all the others, multiplied from both ends: exact with zeros."""
    rows, moved_shape, back = _one_axis_last(x, axis)
    if rows is None:
        return np.zeros_like(x)
    last = rows.ndim - 1
    before = np.cumprod(_shifted(rows, last, 1, ahead=True), axis=last)
    after = np.flip(np.cumprod(_shifted(np.flip(rows, last), last, 1, ahead=True), axis=last), last)
    others = np.transpose(np.reshape(before * after, moved_shape), back)
    return spread(g, x, axis, keepdims) * others


# --- spread ----------------------------------------------------------------------------------------------------------


def _var_rule(g, y, x, axis=None, ddof=0, keepdims=False):
    deviation = x - np.mean(x, axis=axis, keepdims=True)
    return spread(g, x, axis, keepdims) * (single(deviation) * (2 * _inverse(_count(x, y) - ddof)))


@in_single
def _var(x, axis=None, ddof=0, keepdims=False):
    return np.var(x, axis=axis, ddof=ddof, keepdims=keepdims)


@in_single
def _std(x, axis=None, ddof=0, keepdims=False):
    """NumPy's, but exactly 0 for equal elements, whose mean may be off by a rounding."""
    y = np.std(x, axis=axis, ddof=ddof, keepdims=keepdims)
    if not x.size:
        return y
    constant = np.max(x, axis=axis, keepdims=keepdims) == np.min(x, axis=axis, keepdims=keepdims)
    return np.where(constant & (y == y), y.dtype.type(0), y)[()]


def _std_rule(g, y, x, axis=None, ddof=0, keepdims=False):
    deviation = x - np.mean(x, axis=axis, keepdims=True)
    scale = np.where(y == 0, 0.0, g / (y + (y == 0)))
    return spread(scale, x, axis, keepdims) * (single(deviation) * _inverse(_count(x, y) - ddof))


# --- extremes and norms ----------------------------------------------------------------------------------------------


def _extreme_rule(g, y, x, axis=None, keepdims=False):
    """Ties share the gradient equally."""
    chosen = astype(x == spread(y, x, axis, keepdims), g.dtype)
    return spread(g, x, axis, keepdims) * (chosen / np.sum(chosen, axis=axis, keepdims=True))


@in_single
def _vector_norm(x, ord=2, axis=None, keepdims=False):
    x = as_array(x)
    if axis is not None and np.size(axis) and not x.ndim:  # which sums let pass
        raise np.exceptions.AxisError(np.atleast_1d(axis)[0], 0)
    x = x if x.dtype.kind == "f" else x.astype(np.float64)  # as NumPy's
    if ord == 0:
        return np.sum(x != 0, axis=axis, keepdims=keepdims).astype(x.dtype)
    if ord == 1 or (ord > 0 and not x.size):
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    if np.isinf(ord):
        return (np.max if ord > 0 else np.min)(np.abs(x), axis=axis, keepdims=keepdims)
    return length(x, ord, axis, keepdims)


def _vector_norm_rule(g, y, x, ord=2, axis=None, keepdims=False):
    """The zero vector gets 0, at every order."""
    if ord == 0:
        return np.zeros_like(x)
    if np.isinf(ord):
        return np.sign(x) * _extreme_rule(g, y, np.abs(x), axis, keepdims)
    if ord == 1:
        return spread(g, x, axis, keepdims) * np.sign(x)
    g, y = spread(g * (y != 0), x, axis, keepdims), spread(y, x, axis, keepdims)
    safe = y + (y == 0)
    if ord == 2:
        return g * (x / safe)
    size = np.abs(x)
    return g * (np.sign(x) * ((size + (size == 0)) / safe) ** (ord - 1))


# --- the softmax family ----------------------------------------------------------------------------------------------


@in_single
def _softmax(x, axis=0):
    x = as_real(x)
    with quiet():
        y = np.exp(x - np.max(x, axis=axis, keepdims=True)) if x.size else np.exp(x)
        return y / np.sum(y, axis=axis, keepdims=True)


@in_single
def _logsumexp(x, axis=None, keepdims=False):
    x = as_real(x)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        if not x.size:
            return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))
        top = np.max(x, axis=axis, keepdims=True)
        top = np.where(np.isfinite(top), top, 0.0).astype(top.dtype)
        y = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
        return y if keepdims else np.squeeze(y, axis=axis)


@in_single
def log_probabilities(x, axis=0):
    """The logarithm of the softmax of arrays, stable."""
    x = as_real(x)
    if not x.size:
        return x - np.sum(x, axis=axis, keepdims=True)
    with quiet():
        shifted = x - np.max(x, axis=axis, keepdims=True)
        return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


# --- what NumPy's further parameters ask for, composed --------------------------------------------------------------


def _prepared(x, dtype, where, fill):
    """x in this dtype, with what does not count replaced."""
    x = as_array(x) if dtype is None else as_array(x).astype(dtype)
    return x if where is True else np.where(where, x, fill)


def _of_dtype(y, dtype):
    return y if dtype is None or y.dtype == dtype else astype(y, dtype)


def _begun(entry, join, neutral, x, axis, dtype, keepdims, initial, where):
    """A sum or product with `initial`; 0 and ∞ come first, as NumPy's do, where no overflow can make NaN of them."""
    x = _prepared(x, dtype, where, neutral)
    dtype = np.dtype(entry.forward(np.zeros(1, x.dtype)).dtype if dtype is None else dtype)
    axes = axes_of(axis if x.ndim else None, x)
    shape = tuple(n if i in axes else 1 for i, n in enumerate(x.shape))
    initial = initial if isinstance(initial, Traced) else dtype.type(initial)
    last = isinstance(initial, Traced) or 0 in shape or (initial != 0 and np.isfinite(initial))
    if not last and initial != neutral:
        begin = np.full(shape, neutral, dtype)
        begin[(0,) * x.ndim] = initial
        x = join(x, begin)
    y = _of_dtype(entry(x, axis=axis, keepdims=keepdims), dtype)
    return _of_dtype(join(y, initial), dtype) if last else y


def _sum_more(x, axis=None, dtype=None, keepdims=False, initial=0, where=True):
    return _begun(sum, np.add, 0, x, axis, dtype, keepdims, initial, where)


def _prod_more(x, axis=None, dtype=None, keepdims=False, initial=1, where=True):
    return _begun(prod, np.multiply, 1, x, axis, dtype, keepdims, initial, where)


def _max_more(x, axis=None, keepdims=False, initial=None, where=True):
    return _extreme_more(max, np.maximum, x, axis, keepdims, initial, where)


def _min_more(x, axis=None, keepdims=False, initial=None, where=True):
    return _extreme_more(min, np.minimum, x, axis, keepdims, initial, where)


def _extreme_more(entry, either, x, axis, keepdims, initial, where):
    """The largest or smallest among the elements that count and `initial`."""
    if where is not True and initial is None:
        raise ValueError(f"{entry.name}: where= needs initial=, the result where no element counts")
    x = as_array(x)
    initial = initial if initial is None else as_array(initial).astype(x.dtype)
    x = as_array(_prepared(x, None, where, initial))
    if initial is None:
        return entry(x, axis=axis, keepdims=keepdims)
    if not x.size:  # of no element, `initial` is the largest and the smallest
        return _of_dtype(sum(x, axis=axis, keepdims=keepdims) + initial, x.dtype)
    return either(entry(x, axis=axis, keepdims=keepdims), initial)


def _cumsum_more(x, axis=None, dtype=None):
    return _of_dtype(cumsum(_prepared(x, dtype, True, 0), axis=axis), dtype)


def _cumprod_more(x, axis=None, dtype=None):
    return _of_dtype(cumprod(_prepared(x, dtype, True, 1), axis=axis), dtype)


@in_single
def _mean_more(x, axis=None, dtype=None, keepdims=False, where=True):
    y = sum(_prepared(x, dtype, where, 0), axis=axis, keepdims=keepdims)
    return _of_dtype(y / _how_many(x, y, axis, keepdims, where), dtype)


def _how_many(x, y, axis, keepdims, where, less=0):
    """How many elements count in each result, less so many: 0 at least."""
    if where is True:
        n = _count(as_array(x), y) - less
        return n if n > 0 else 0
    counted = np.broadcast_to(where, np.shape(x))
    return np.maximum(sum(astype(counted, y.dtype), axis=axis, keepdims=keepdims) - less, 0)


def _of_spread(name, x, dtype, ddof, correction):
    """x in this dtype, which whole numbers cannot be, and by how much less than the count a spread is divided."""
    if dtype is not None and np.dtype(dtype).kind != "f":
        raise TypeError(f"{name}: dtype={np.dtype(dtype)}; expected a floating-point dtype, and the result rounded")
    if ddof and correction is not None:
        raise ValueError(f"{name}: ddof={ddof} and correction={correction} are two names of one parameter: give one")
    return _prepared(x, dtype, True, 0), ddof if correction is None else correction


@in_single
def _var_more(x, axis=None, dtype=None, ddof=0, keepdims=False, mean=None, where=True, correction=None):
    """Variance around a given mean, of the elements that count."""
    x, ddof = _of_spread("var", x, dtype, ddof, correction)
    if mean is None:
        mean = _mean_more(x, axis, None, True, where)
    y = sum(_prepared(np.square(x - mean), None, where, 0), axis=axis, keepdims=keepdims)
    return y / _how_many(x, y, axis, keepdims, where, ddof)


@in_single
def _std_more(x, axis=None, dtype=None, ddof=0, keepdims=False, mean=None, where=True, correction=None):
    x, ddof = _of_spread("std", x, dtype, ddof, correction)
    if mean is None and where is True:
        return std(x, axis=axis, ddof=ddof, keepdims=keepdims)
    y = _var_more(x, axis, None, ddof, keepdims, mean, where)
    return np.where(y == 0, 0.0, np.sqrt(y))


def _any_more(x, axis=None, keepdims=False, where=True):
    return any(np.logical_and(x, where), axis=axis, keepdims=keepdims)


def _all_more(x, axis=None, keepdims=False, where=True):
    return all(np.logical_or(x, np.logical_not(where)), axis=axis, keepdims=keepdims)


AXES: tuple[dict[str, Any], ...] = ({}, {"axis": 0}, {"axis": -1})
NORMS: tuple[dict[str, Any], ...] = (
    {"ord": np.inf, "axis": 0, "keepdims": True}, {"ord": -np.inf, "axis": -1}, {"ord": 1, "axis": 0},
    {"ord": 3, "axis": 1}, {"ord": 0, "axis": 0}, {"ord": -1.5, "axis": 1, "keepdims": True}, {"axis": (0, 1)}, {},
)  # fmt: skip
REDUCED: dict[str, Any] = {
    "arguments": ("x",),
    "defaults": {"axis": None, "keepdims": False},
}  # of reductions without a rule

# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off
sum     = op(np.sum,  "Σ {x}",    _sum_rule, kind="linear", entries="ones", precedence=2, further=_sum_more, summary="Sum")
mean    = op(np.mean, "mean({x})", lambda g, y, x, axis=None, keepdims=False: _sum_rule(single(g) / (_count(x, y) or 1), y, x, axis, keepdims), kind="linear",
             further=_mean_more, summary="Mean")
prod    = op(np.prod, "Π {x}",    _prod_rule, kind="reduction", precedence=2, further=_prod_more, summary="Product", edge_cases="exact with zeros.")
var     = op(_var,    "var({x})", _var_rule, kind="reduction", stands_for=(np.var,), name="var", further=_var_more,
             summary="Variance, divided by the count less ddof")
std     = op(_std,    "std({x})", _std_rule, kind="reduction", stands_for=(np.std,), name="std", further=_std_more,
             summary="Standard deviation", edge_cases="the gradient of a constant vector is 0.")
max     = op(np.max,  "max({x})", _extreme_rule, kind="reduction", selects=True, stands_for=(np.amax,), name="max",
             further=_max_more,
             summary="Largest element", edge_cases="ties share the gradient equally.")
min     = op(np.min,  "min({x})", _extreme_rule, kind="reduction", selects=True, stands_for=(np.amin,), name="min",
             further=_min_more,
             summary="Smallest element", edge_cases="ties share the gradient equally.")
cumsum  = op(np.cumsum,  "cumsum({x})",  _cumsum_rule,  kind="linear", entries="ones", variants=AXES,
             further=_cumsum_more, summary="Running sum")
cumprod = op(np.cumprod, "cumprod({x})", _cumprod_rule, jvp=_cumprod_tangent, shape=(2, 4), variants=AXES,
             further=_cumprod_more, summary="Running product",
             edge_cases="exact with zeros.")
vector_norm = op(_vector_norm, "‖{x}‖", _vector_norm_rule, name="vector_norm", kind="reduction", variants=NORMS,
                 stands_for=(np.linalg.vector_norm,),
                 summary="Norm of vectors: (Σ|x|^ord)^(1/ord)", edge_cases="the gradient at the zero vector is 0.")
softmax     = op(_softmax, "softmax({x})", lambda g, y, x, axis=0: y * (g - np.sum(g * y, axis=axis, keepdims=True)), name="softmax", kind="symmetric",
                 variants=({"axis": -1}, {}), activation=True, gives="probabilities", summary="exp(x) / Σ exp(x) along axis, stable")
log_softmax = op(log_probabilities, "log softmax({x})", lambda g, y, x, axis=0: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True), name="log_softmax",
                 jvp=lambda tangents, y, x, axis=0: tangents[0] - np.sum(np.exp(y) * tangents[0], axis=axis, keepdims=True), variants=({"axis": -1}, {}),
                 activation=True, gives="log-probabilities", summary="log softmax(x) along axis, stable")
logsumexp   = op(_logsumexp, "logsumexp({x})", lambda g, y, x, axis=None, keepdims=False: spread(g, x, axis, keepdims) * softmax(x, axis=axis),
                 name="logsumexp", kind="reduction", summary="log Σ exp(x), stable")
argmax  = op(np.argmax, "argmax({x})", None, **REDUCED, variants=({}, {"axis": 0}, {"axis": -1, "keepdims": True}),
             summary="Index of the largest element (no gradient)")
argmin  = op(np.argmin, "argmin({x})", None, **REDUCED, variants=({}, {"axis": 0}, {"axis": -1, "keepdims": True}),
             summary="Index of the smallest element (no gradient)")
any     = op(np.any,    "any({x})",    None, **REDUCED, further=_any_more, summary="Is any element true?")
all     = op(np.all,    "all({x})",    None, **REDUCED, further=_all_more, summary="Are all elements true?")
_linear_scan = op(_scan, "scan({b}, {a})", _scan_b, lambda g, y, b, a, axis=0: _scan_b(g, y, b, a, axis) * _shifted(y, axis, 0, ahead=True),
                  jvp=_scan_tangent, name="_linear_scan", aligned=True, part_of="cumprod", summary="yᵢ = bᵢ + aᵢ yᵢ₋₁ along an axis")
# fmt: on

linear_scan, scan_back, shifted = _linear_scan, _scan_b, _shifted  # for running extremes, which are recurrences too
