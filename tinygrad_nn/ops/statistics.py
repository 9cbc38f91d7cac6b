"""Statistics, differences, sums of neighbours, and interpolation: composed of the other operations."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.errors import ShapeError
from tinygrad_nn.operands import as_array
from tinygrad_nn.operation import Traced, numbers_of, value_of
from tinygrad_nn.ops.axes import axes_of, axis_of
from tinygrad_nn.ops.elementwise import astype, where
from tinygrad_nn.ops.joining import rearranged
from tinygrad_nn.ops.linalg import matmul
from tinygrad_nn.ops.padding import pad
from tinygrad_nn.ops.precision import single
from tinygrad_nn.ops.reductions import max, mean, min, sum
from tinygrad_nn.ops.shaping import check_axes, concatenate, getitem, moveaxis, putitem, reshape, stack, take
from tinygrad_nn.ops.sorting import argsort, searchsorted
from tinygrad_nn.registry import implements


def _cut(x, axis, part):
    """The elements of a slice along an axis."""
    return getitem(x, (slice(None),) * axis_of(axis, x) + (part,))


def _wide(x):
    """x in float64, in which NumPy computes this."""
    return astype(as_array(x), np.float64)


# --- averages and spread ---------------------------------------------------------------------------------------------


@implements(np.average)
def average(x, axis=None, weights=None, returned=False, *, keepdims=False):
    """Mean with weights, of the shape of x or a vector along the axis; with `returned`, also the sum of the weights.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.average(np.array([1.0, 4.0]), weights=[3, 1]).item()
    1.75
    """
    x = as_array(x)
    axis = tuple(axis) if isinstance(axis, list) else axis
    if weights is None:
        y = mean(x, axis=axis, keepdims=keepdims)
        return (y, np.full(y.shape, x.size / y.size)) if returned else y
    weights = as_array(weights)
    if weights.shape != x.shape:
        places = axes_of(axis, x) if axis is not None else ()
        if weights.shape != tuple(x.shape[i] for i in places):
            raise ValueError(
                f"average: x has shape {x.shape}, weights has shape {weights.shape}: give one weight for each element, "
                "or a vector of weights and its axis="
            )
        weights = np.transpose(weights, tuple(np.argsort(places).tolist()))
        weights = reshape(weights, tuple(n if i in places else 1 for i, n in enumerate(x.shape)))
    total = sum(single(weights * np.ones_like(value_of(x))), axis=axis, keepdims=keepdims)
    known = numbers_of(total)
    if not isinstance(known, Traced) and not np.all(known):
        raise ZeroDivisionError("the weights sum to zero, so that there is no average: take some above 0")
    y = astype(sum(single(x * weights), axis=axis, keepdims=keepdims) / total, np.result_type(x.dtype, weights.dtype))
    return (y, total) if returned else y


@implements(np.ptp)
def ptp(x, axis=None, keepdims=False):
    """The largest element less the smallest."""
    return max(x, axis=axis, keepdims=keepdims) - min(x, axis=axis, keepdims=keepdims)


@implements(np.cov)
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None):
    """Covariance matrix of variables, one a row (one a column, without `rowvar`), divided by N − 1, N or N − ddof."""
    x = _variables(m, rowvar)
    if y is not None:
        x = concatenate([x, _variables(y, rowvar)])
    ddof = (0 if bias else 1) if ddof is None else ddof
    _check_weights(fweights=fweights, aweights=aweights)
    w = None if fweights is None else as_array(fweights)
    if aweights is not None:
        w = as_array(aweights) if w is None else w * aweights
    total = x.shape[1] if w is None else sum(w)
    deviation = x - average(x, 1, w, keepdims=True)
    if w is None or ddof == 0 or aweights is None:
        count = total - ddof
    else:
        count = total - ddof * sum(w * as_array(aweights)) / total
    count = np.maximum(count, 0.0)
    c = matmul(deviation, np.transpose(deviation if w is None else deviation * w)) / count
    c = c if dtype is None else c.astype(dtype)
    return np.squeeze(c)


def _check_weights(**weights):
    """NumPy's refusals; of tensors, whose values are not known yet, the kinds of numbers alone."""
    for name, w in weights.items():
        if name == "fweights" and w is not None and as_array(w).dtype.kind not in "iu":
            raise TypeError(
                f"{name} has dtype {as_array(w).dtype}; expected whole numbers, how often each was observed"
            )
        if w is not None and not isinstance(w, Traced) and np.any(np.asarray(w) < 0):
            raise ValueError(f"{name} has weights below 0")


def _variables(m, rowvar):
    check_axes(0, 2, m=m)
    m = _wide(m)
    m = reshape(m, (1, -1)) if m.ndim < 2 else m
    return m if rowvar or m.shape[0] == 1 else np.transpose(m)


@implements(np.corrcoef)
def corrcoef(x, y=None, rowvar=True, *, dtype=None):
    """Correlation matrix of variables, one a row: covariances divided by both standard deviations."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    scale = np.sqrt(np.diagonal(c))
    return np.clip(c / reshape(scale, (-1, 1)) / scale, -1.0, 1.0)


# --- differences and integrals ---------------------------------------------------------------------------------------


@implements(np.diff)
def diff(x, n=1, axis=-1, prepend=np._NoValue, append=np._NoValue):
    """Differences of neighbours along an axis, n times; `prepend` and `append` join values first."""
    x = as_array(x)
    if n == 0:
        return x
    if not x.ndim:
        raise ValueError("x is a single number, which has no neighbours")
    if n < 0:
        raise ValueError(f"n={n}; expected how often to take differences, 0 or more")
    axis = axis_of(axis, x)
    for end, at in ((prepend, 0), (append, 1)):
        if end is not np._NoValue:
            end = as_array(end)
            end = end if end.ndim else np.broadcast_to(end, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
            x = concatenate([x, end] if at else [end, x], axis=axis)
    subtract = np.not_equal if x.dtype == bool else np.subtract
    for _ in range(n):
        x = subtract(_cut(x, axis, slice(1, None)), _cut(x, axis, slice(None, -1)))
    return x


@implements(np.ediff1d)
def ediff1d(x, to_end=None, to_begin=None):
    """Differences of neighbours of the flattened array, with further values in front and behind."""
    x = as_array(x)
    flat = reshape(x, (-1,))
    parts = [to_begin, flat[1:] - flat[:-1], to_end]
    return concatenate([reshape(as_array(p).astype(x.dtype), (-1,)) for p in parts if p is not None])


@implements(np.gradient, name="_gradient")
def _gradient(f, *spacing, axis=None, edge_order=1):
    f = as_array(f)
    f = f if f.dtype.kind in "fb" else _wide(f)
    axes = axes_of(axis, f)
    spacing = spacing or (1.0,)
    spacing = spacing * len(axes) if len(spacing) == 1 and not np.ndim(spacing[0]) else spacing
    if len(spacing) != len(axes):
        raise TypeError(f"{len(spacing)} spacings for {len(axes)} axes: give one number, or one spacing for each axis")
    if edge_order not in (1, 2):
        raise ValueError(f"edge_order={edge_order}; expected 1 or 2")
    slopes = tuple(_slope(f, i, h, edge_order) for i, h in zip(axes, spacing, strict=True))
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(f, axis, h, edge_order):
    """Derivative along an axis by finite differences of second order, at its ends of `edge_order`.

    h is the distance of neighbours, or a vector of places.
    """
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(f"axis {axis} has {n} elements, {edge_order + 1} are needed")
    if np.ndim(h) and np.shape(h) != (n,):
        raise ValueError(f"a spacing has shape {np.shape(h)}, axis {axis} has {n} elements: give a number, or a vector")
    f = moveaxis(f, axis, 0)
    h = _steps(h, f.ndim)
    first, last = ((f[i + 1] - f[i]) / h[i % len(h)] for i in (0, n - 2))
    if edge_order == 2:
        first = _end(f[0], f[1], f[2], h[0], h[1 % len(h)])
        last = -_end(f[-1], f[-2], f[-3], h[-1], h[-2 % len(h)])
    y = moveaxis(concatenate([first[None], _inner(f, h), last[None]]), 0, axis)
    return y if y.dtype == f.dtype else astype(y, f.dtype)


def _steps(h, ndim):
    """The distances of neighbours along the first axis, or one that all have."""
    if not np.ndim(h):
        return (h,)
    h = diff(h)
    alike = len(h) > 1 and not isinstance(h, Traced) and np.all(h == h[0])
    return reshape(h[:1] if alike else h, (-1,) + (1,) * (ndim - 1))


def _inner(f, h):
    """The slope of the parabola through a point and its neighbours; at equal steps the point itself has no part."""
    if len(h) == 1:
        return (f[2:] - f[:-2]) / (2.0 * h[0])
    a, b = h[:-1], h[1:]
    return f[:-2] * (-b / (a * (a + b))) + f[1:-1] * ((b - a) / (a * b)) + f[2:] * (a / (b * (a + b)))


def _end(f0, f1, f2, a, b):
    """The slope of the parabola through three points at the first of them."""
    return f0 * (-(2 * a + b) / (a * (a + b))) + f1 * ((a + b) / (a * b)) + f2 * (-a / (b * (a + b)))


@implements(np.trapezoid)
def trapezoid(y, x=None, dx=1.0, axis=-1):
    """Integral of y along an axis by the trapezoidal rule, at points x or in steps dx."""
    y = as_array(y)
    if x is not None:
        x = as_array(x)
        dx = diff(x) if x.ndim == 1 else diff(x, axis=axis)
        if x.ndim == 1:
            dx = reshape(dx, tuple(-1 if i == axis_of(axis, y) else 1 for i in range(y.ndim)))
    return sum((_cut(y, axis, slice(1, None)) + _cut(y, axis, slice(None, -1))) * (dx * 0.5), axis=axis)


@implements(np.cross, np.linalg.cross)
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """Vector product of vectors of length 3 along the last axes, or the given ones."""
    axisa, axisb, axisc = (axis,) * 3 if axis is not None else (axisa, axisb, axisc)
    a, b = moveaxis(as_array(a), axisa, -1), moveaxis(as_array(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError(
            f"cross takes vectors of length 3: a has shape {a.shape}, b has shape {b.shape}; of two of length 2 it is "
            "a[0] * b[1] - a[1] * b[0]"
        )
    turned, back = [1, 2, 0], [2, 0, 1]
    y = take(a, turned, axis=-1) * take(b, back, axis=-1) - take(a, back, axis=-1) * take(b, turned, axis=-1)
    return moveaxis(y, -1, axisc)


# --- sums of neighbours ----------------------------------------------------------------------------------------------


_MODES = {0: "valid", 1: "same", 2: "full"}  # NumPy takes either


@implements(np.convolve)
def convolve(a, v, mode="full"):
    """Convolution of two vectors: modes full, same, valid."""
    a, v, mode = as_array(a), as_array(v), _MODES.get(mode, mode)
    check_axes(0, 1, a=a, v=v)
    if not a.size or not v.size:
        raise ValueError(f"convolve: a has shape {a.shape}, v has shape {v.shape}: neither may be empty")
    if v.size > a.size:
        a, v = v, a
    n, m = a.size, v.size
    padded = pad(reshape(a, (-1,)), m - 1)
    windows = rearranged(lambda places: np.lib.stride_tricks.sliding_window_view(places, m)[:, ::-1], padded)
    full = matmul(windows, reshape(v, (-1,)))
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"convolve: mode is {mode!r}; expected 'full', 'same' or 'valid'")
    cut = {"full": slice(None), "same": slice((m - 1) // 2, (m - 1) // 2 + n), "valid": slice(m - 1, n)}
    return full[cut[mode]]


@implements(np.correlate)
def correlate(a, v, mode="valid"):
    """Sliding product of two vectors: modes valid, same, full."""
    a, v = as_array(a), as_array(v)
    check_axes(1, 1, a=a, v=v)
    y, mode = convolve(a, np.flip(v), mode="full"), _MODES.get(mode, mode)
    if mode not in _MODES.values():
        raise ValueError(f"mode is {mode!r}; expected 'valid', 'same' or 'full'")
    n, m = a.size, v.size
    if mode == "full":
        return y
    short, long = (n, m) if n < m else (m, n)
    if mode == "valid":
        return y[short - 1 : long]
    start = short // 2 if n < m else (short - 1) // 2
    return y[start : start + long]


@implements(np.bincount)
def bincount(x, weights=None, minlength=0):
    """How often each whole number occurs, or the sum of the weights of its occurrences, through which gradients flow."""
    x = np.asarray(value_of(x), dtype=None if np.size(x) else np.intp)
    counts = np.bincount(x, minlength=minlength)  # which refuses what is no vector of places
    if weights is None or not x.size:
        return counts
    weights = _wide(weights)
    if weights.shape != x.shape:
        raise ShapeError(f"x has shape {x.shape}, weights has shape {weights.shape}: give one weight for each place")
    return putitem(weights, counts.shape, x)


@implements(np.interp)
def interp(x, xp, fp, left=None, right=None, period=None):
    """Piecewise linear interpolation through the points (xp, fp), xp increasing; the ends outside, or `left`, `right`.

    Between the points the gradient flows to x, xp and fp; at a point, x has the slope to its right.
    """
    x, xp, fp = _wide(x), _wide(xp), _wide(fp)
    if not xp.ndim == fp.ndim == 1 or xp.size != fp.size or not xp.size:
        raise ShapeError(f"xp has shape {xp.shape}, fp has shape {fp.shape}; expected two vectors of one length, not 0")
    if period is not None:
        x, xp = np.remainder(x, period), np.remainder(xp, period)
        order = argsort(xp)
        xp, fp = take(xp, order), take(fp, order)
        xp = concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = concatenate([fp[-1:], fp, fp[:1]])
    if xp.size == 1:
        inside = np.broadcast_to(fp[0], x.shape)
    else:
        at = np.clip(searchsorted(xp, x, "right") - 1, 0, xp.size - 2)
        slope, point, start, end = take(diff(fp) / diff(xp), at), take(xp, at), take(fp, at), take(fp, at + 1)
        inside = start + slope * (x - point)
        back = end + slope * (x - take(xp, at + 1))  # from the other point, where this one is infinite
        inside = where(np.isnan(inside), where(np.logical_or(x == point, start == end), start, back), inside)
    y = where(x < xp[0], fp[0] if left is None or period is not None else left, inside)
    return where(x >= xp[-1], where(x > xp[-1], right, fp[-1]) if right is not None and period is None else fp[-1], y)


# --- polynomials -----------------------------------------------------------------------------------------------------


@implements(np.polyval)
def polyval(p, x):
    """The polynomial with these coefficients, that of the highest power first, at x: by Horner's rule."""
    p, x = as_array(p), as_array(x)
    y = np.zeros_like(x)
    for i in range(p.shape[0]):
        y = y * x + p[i]
    return y


@implements(np.vander)
def vander(x, N=None, increasing=False):
    """The matrix of the powers of a vector, one power a column, falling unless `increasing`."""
    x = as_array(x)
    if x.ndim != 1:
        raise ValueError(f"vander takes a vector: x has shape {x.shape}")
    x = astype(x, np.promote_types(x.dtype, int))
    powers = range(x.size if N is None else N)
    if not powers:
        return reshape(x[:0], (x.size, 0))
    return stack([x**n for n in (powers if increasing else reversed(powers))], axis=-1)
