"""Convolution and pooling: arrays (N, channels, ...places), as in the field, by windows and one matrix product.

Dense layers keep examples as columns.  Images come as (N, channels, height, width) and signals as (N, channels,
length), because every data set and every other library has them so.

A convolution is linear in the image and in the weight, so three operations are closed under differentiation: the
convolution, its way back to the image, and its way back to the weight.  Each rule is one of the other two.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from tinygrad_nn.errors import ShapeError, label
from tinygrad_nn.foreign import is_foreign, like
from tinygrad_nn.operands import as_array, number_of
from tinygrad_nn.ops.elementwise import astype
from tinygrad_nn.ops.shaping import putitem, take
from tinygrad_nn.registry import implements, op

# --- windows ---------------------------------------------------------------------------------------------------------
# Sizes, strides, dilations and paddings are tuples, one entry for each axis of places; padding has pairs.


def _columns(x, size, stride, dilation):
    """The windows of (N, C, *space) as (C, *size, N, *places): a copy in which each window is a column."""
    axes = tuple(range(2, x.ndim))
    extent = tuple(d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True))
    if is_foreign(x):
        return _lowered_windows(x, size, stride, dilation)
    views = np.lib.stride_tricks.sliding_window_view(x, extent, axes)
    steps = [slice(None, None, s) for s in stride], [slice(None, None, d) for d in dilation]
    views = views[(slice(None), slice(None), *steps[0], *steps[1])]
    n = len(axes)
    order = (1, *range(2 + n, 2 + 2 * n), 0, *axes)
    return _contiguous(np.transpose(views, order))


def _add_columns(columns, target, stride, dilation):
    """The way back: every window is added to (N, C, *space) where it was taken from."""
    if is_foreign(columns):
        return _added_up(columns, target, stride, dilation)
    n, columns = len(stride), np.asarray(columns)  # added in place, which a compiled step calls as a whole
    size, places = columns.shape[1 : 1 + n], columns.shape[2 + n :]
    y = np.zeros((target[1], target[0], *target[2:]), columns.dtype)
    for at in itertools.product(*map(range, size)):
        starts = [i * d for i, d in zip(at, dilation, strict=True)]
        cut = [slice(a, a + s * (m - 1) + 1, s) for a, s, m in zip(starts, stride, places, strict=True)]
        y[(slice(None), slice(None), *cut)] += columns[(slice(None), *at)]
    return np.swapaxes(y, 0, 1)


def _added_up(columns, target, stride, dilation):
    """The same without writing: each place of the window by itself, at its distance, and their sum."""
    n = len(stride)
    size, places = columns.shape[1 : 1 + n], columns.shape[2 + n :]
    total = 0.0
    for at in itertools.product(*map(range, size)):
        part = columns[(slice(None), *at)]
        for axis, (m, p) in enumerate(zip(target[2:], places, strict=True)):
            chosen = np.zeros((m, p))
            chosen[at[axis] * dilation[axis] + np.arange(p) * stride[axis], np.arange(p)] = 1.0
            part = np.moveaxis(np.tensordot(like(chosen.astype(part.dtype), part), part, (1, 2 + axis)), 0, 2 + axis)
        total = total + part
    return np.swapaxes(total, 0, 1)


def _contiguous(y):
    return y if is_foreign(y) else np.ascontiguousarray(y)


def _padded(target, padding):
    return (*target[:2], *(n + before + after for n, (before, after) in zip(target[2:], padding, strict=True)))


def _unpadded(x, padding):
    cut = [slice(before, n - after) for n, (before, after) in zip(x.shape[2:], padding, strict=True)]
    return x[(slice(None), slice(None), *cut)]


def _pad_places(x, padding):
    return np.pad(x, ((0, 0), (0, 0), *padding)) if any(map(any, padding)) else x


def _matrix(columns, groups, n):
    """(C, *size, N, *places) as (groups, C/groups · size, N · places)."""
    rows = math.prod(columns.shape[: 1 + n])
    return columns.reshape(groups, rows // groups, math.prod(columns.shape[1 + n :]))


def _outputs_in_front(v, groups):
    """(N, O, *places) as (groups, O/groups, N · places)."""
    return np.swapaxes(v, 0, 1).reshape(groups, v.shape[1] // groups, v.shape[0] * math.prod(v.shape[2:]))


# --- the three operations, each linear in both arguments --------------------------------------------------------------


def _convolve(x, weight, stride, padding, dilation, groups):
    n = weight.ndim - 2
    columns = _columns(_pad_places(x, padding), weight.shape[2:], stride, dilation)
    places = columns.shape[1 + n :]
    y = np.matmul(weight.reshape(groups, weight.shape[0] // groups, -1), _matrix(columns, groups, n))
    return _contiguous(np.swapaxes(y.reshape(weight.shape[0], *places), 0, 1))


def _back_to_image(v, weight, target, stride, padding, dilation, groups):
    """∂⟨v, x ∗ weight⟩/∂x for an image x of the shape `target`: the transposed convolution."""
    kernels = np.swapaxes(weight.reshape(groups, weight.shape[0] // groups, -1), -1, -2)
    columns = np.matmul(kernels, _outputs_in_front(v, groups))
    columns = columns.reshape(target[1], *weight.shape[2:], v.shape[0], *v.shape[2:])
    return _contiguous(_unpadded(_add_columns(columns, _padded(target, padding), stride, dilation), padding))


def _back_to_weight(v, x, target, stride, padding, dilation, groups):
    """∂⟨v, x ∗ weight⟩/∂weight for a weight of the shape `target`."""
    columns = _matrix(_columns(_pad_places(x, padding), target[2:], stride, dilation), groups, x.ndim - 2)
    return np.matmul(_outputs_in_front(v, groups), np.swapaxes(columns, -1, -2)).reshape(target)


# --- the same of simpler operations, for interpreters -----------------------------------------------------------------


def _lowered_windows(x, size=(), stride=(), dilation=()):
    return take(x, _columns(np.arange(x.size).reshape(x.shape), size, stride, dilation))


def _lowered_add_windows(columns, target=(), stride=(), dilation=()):
    n = math.prod(target)
    places = _columns(np.arange(n).reshape(target), columns.shape[1 : 1 + len(stride)], stride, dilation)
    return np.reshape(putitem(columns.reshape(-1), (n,), places.ravel()), target)


def _lowered_convolution(x, weight, stride, padding, dilation, groups):
    columns = windows(_pad_places(x, padding), size=weight.shape[2:], stride=stride, dilation=dilation)
    n = weight.ndim - 2
    y = weight.reshape(groups, weight.shape[0] // groups, -1) @ _matrix(columns, groups, n)
    return np.swapaxes(y.reshape(weight.shape[0], *columns.shape[1 + n :]), 0, 1)


def _lowered_image(v, weight, target, stride, padding, dilation, groups):
    kernels = np.swapaxes(weight.reshape(groups, weight.shape[0] // groups, -1), -1, -2)
    columns = kernels @ _outputs_in_front(v, groups)
    columns = columns.reshape(target[1], *weight.shape[2:], v.shape[0], *v.shape[2:])
    return _unpadded(_add_windows(columns, target=_padded(target, padding), stride=stride, dilation=dilation), padding)


def _lowered_kernel(v, x, target, stride, padding, dilation, groups):
    columns = windows(_pad_places(x, padding), size=target[2:], stride=stride, dilation=dilation)
    return (_outputs_in_front(v, groups) @ np.swapaxes(_matrix(columns, groups, x.ndim - 2), -1, -2)).reshape(target)


def _to_x(g, x, weight, **how):
    return _image(g, weight, target=x.shape, **how)


def _to_weight(g, x, weight, **how):
    return _kernel(g, x, target=weight.shape, **how)


def _samples(rng):
    """Images and weights, with a stride that leaves a rest, dilation, unequal padding, and groups."""
    cases = [
        ((2, 2, 5), (3, 2, 2), (2,), ((1, 0),), (1,), 1),
        ((1, 2, 6), (4, 1, 2), (1,), ((2, 2),), (2,), 2),
        ((2, 2, 4, 5), (2, 2, 2, 3), (1, 2), ((1, 1), (0, 2)), (2, 1), 1),
        ((1, 2, 3, 3), (2, 1, 2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1), 2),
    ]
    names = ("stride", "padding", "dilation", "groups")
    draw = rng.normal
    return [((draw(size=x), draw(size=w)), dict(zip(names, how, strict=True))) for x, w, *how in cases]


def _image_samples(rng):
    samples = [(x.shape, _convolve(x, weight, **how), weight, how) for (x, weight), how in _samples(rng)]
    return [((y, weight), {"target": shape, **how}) for shape, y, weight, how in samples]


def _kernel_samples(rng):
    samples = [(weight.shape, _convolve(x, weight, **how), x, how) for (x, weight), how in _samples(rng)]
    return [((y, x), {"target": shape, **how}) for shape, y, x, how in samples]


# fmt: off
_convolution = op(_convolve, "{x} ∗ {weight}", lambda g, y, x, weight, **how: _to_x(g, x, weight, **how),
                  lambda g, y, x, weight, **how: _to_weight(g, x, weight, **how), name="_convolution", part_of="conv2d", arguments=("x", "weight"),
                  defaults={"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}, kind="multilinear", precedence=2, samples=_samples,
                  lowered=_lowered_convolution, summary="Sum of products of the weight with every window")
_image       = op(_back_to_image, "({v} ∗ᵀ {weight})", lambda g, y, v, weight, target=(), **how: _convolution(g, weight, **how),
                  lambda g, y, v, weight, target=(), **how: _to_weight(v, g, weight, **how), name="_convolution_to_image",
                  part_of="conv2d", arguments=("v", "weight"),
                  defaults={"target": (), "stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}, kind="multilinear",
                  samples=_image_samples, lowered=_lowered_image, summary="The way back of a convolution to its image: the transposed convolution")
_kernel      = op(_back_to_weight, "({v} ⋆ {x})", lambda g, y, v, x, target=(), **how: _convolution(x, g, **how),
                  lambda g, y, v, x, target=(), **how: _to_x(v, x, g, **how), name="_convolution_to_weight", part_of="conv2d", arguments=("v", "x"),
                  defaults={"target": (), "stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}, kind="multilinear",
                  samples=_kernel_samples, lowered=_lowered_kernel, summary="The way back of a convolution to its weight")
windows      = op(_columns, "windows({x})", lambda g, y, x, size=(), stride=(), dilation=(): _add_windows(g, target=x.shape, stride=stride, dilation=dilation),
                  name="_windows", part_of="max_pool2d", kind="linear", entries="ones", samples=lambda rng: [((rng.normal(size=x.shape),), {"size": w.shape[2:],
                  "stride": how["stride"], "dilation": how["dilation"]}) for (x, w), how in _samples(rng)],
                  lowered=_lowered_windows, summary="The windows of (N, channels, ...places) as (channels, ...size, N, ...windows)")
_add_windows = op(_add_columns, "add windows({x})", lambda g, y, x, target=(), stride=(), dilation=(): windows(g, size=x.shape[1: 1 + len(stride)],
                  stride=stride, dilation=dilation), name="_add_windows", part_of="max_pool2d", kind="linear", entries="ones",
                  samples=lambda rng: [((_columns(x, w.shape[2:],
                  how["stride"], how["dilation"]),), {"target": x.shape, "stride": how["stride"], "dilation": how["dilation"]})
                  for (x, w), how in _samples(rng)], lowered=_lowered_add_windows, summary="The way back of windows: each is added where it was taken from")
# fmt: on

convolution, image, kernel, add_windows = _convolution, _image, _kernel, _add_windows  # for other modules

# --- what the arguments may be ----------------------------------------------------------------------------------------


def _for_each(name, option, value, n, least):
    """One whole number, or one for each axis of places, as a tuple."""
    value = number_of(value)
    values = tuple(map(number_of, value)) if np.iterable(value) else (value,) * n
    if len(values) != n or not all(isinstance(v, (int, np.integer)) and v >= least for v in values):
        raise ValueError(
            f"{name}: {option}={value!r}; expected a whole number of at least {least}"
            + (f", or a tuple of {n}" if n > 1 else "")
        )
    return tuple(int(v) for v in values)


def _pairs(name, padding, extent, stride):
    """How much is added before and after, on each axis of places."""
    if padding == "valid":
        return ((0, 0),) * len(extent)
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ValueError(f"{name}: padding='same' keeps the shape with stride 1 only; stride is {stride}")
        return tuple(((e - 1) // 2, e - 1 - (e - 1) // 2) for e in extent)
    if isinstance(padding, str):
        raise ValueError(f"{name}: padding={padding!r}; expected 'valid', 'same' or whole numbers")
    return tuple((p, p) for p in _for_each(name, "padding", padding, len(extent), 0))


def _check_windows_fit(name, x, padding, extent):
    padded = _padded(x.shape, padding)[2:]
    if any(e > p for e, p in zip(extent, padded, strict=True)):
        raise ShapeError(
            f"{name}: {label(x, 'x')} has shape {x.shape}, padded to {padded}, and a window covers {extent}: "
            "a window must fit in; pad more with padding="
        )


def _check_image(name, x, n):
    if x.ndim != n + 2:
        places = "length" if n == 1 else "height, width"
        raise ShapeError(
            f"{name}: {label(x, 'x')} has shape {x.shape}; expected (N, channels, {places})"
            + (f"; x.reshape(1, {', '.join(map(str, x.shape))}) makes it one example" if x.ndim == n + 1 else "")
        )


def _check_channels(name, x, weight, groups):
    out, inside = weight.shape[:2]
    if inside * groups != x.shape[1] or out % groups:
        raise ShapeError(
            f"{name}: {label(x, 'x')} has shape {x.shape}, {label(weight, 'weight')} has shape {weight.shape}, "
            f"groups is {groups}: expected a weight of shape (out, {x.shape[1]} channels / groups, ...size), with out and "
            "the channels divisible by groups"
        )


# --- convolution ------------------------------------------------------------------------------------------------------


def _conv(name, n, x, weight, bias, stride, padding, dilation, groups):
    x, weight = as_array(x), as_array(weight)
    _check_image(name, x, n)
    if weight.ndim != n + 2:
        raise ShapeError(
            f"{name}: {label(weight, 'weight')} has shape {weight.shape}; expected (out, channels / groups, ...size) "
            f"with {n} axes of size"
        )
    stride, dilation = _for_each(name, "stride", stride, n, 1), _for_each(name, "dilation", dilation, n, 1)
    _check_channels(name, x, weight, groups)
    extent = tuple(d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True))
    padding = _pairs(name, padding, extent, stride)
    _check_windows_fit(name, x, padding, extent)
    y = _convolution(x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
    if bias is None:
        return y
    bias = as_array(bias)
    if bias.shape != weight.shape[:1]:
        raise ShapeError(
            f"{name}: {label(bias, 'bias')} has shape {bias.shape}; expected {weight.shape[:1]}, one for each channel "
            "of the result"
        )
    return y + np.reshape(bias, (-1,) + (1,) * n)


@implements()
def conv1d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of signals: y[n, o, i] = bias[o] + Σ weight[o, c, k] · x[n, c, i·stride + k·dilation − padding].

    Parameters
    ----------
    x : (N, channels, length).  Examples come first here, as in the field, and are no columns.
    weight : (out, channels / groups, size).
    bias : (out,), or None.
    stride, dilation : distance of windows, and of the elements of one.
    padding : zeros on both sides: a whole number, "valid" (none) or "same" (as many as keep the length).
    groups : channels and outputs are cut into so many parts, and each part of outputs sees its part of channels only.

    Returns
    -------
    (N, out, windows), with windows = (length + 2·padding − dilation·(size − 1) − 1) // stride + 1.

    Raises
    ------
    ShapeError : for shapes that do not fit, or a window that is larger than the padded signal.

    Value and options are PyTorch's: the weight is not turned around (`np.convolve` turns it).

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.conv1d(np.array([[[1.0, 2.0, 4.0, 8.0]]]), np.array([[[1.0, -1.0]]]))
    array([[[-1., -2., -4.]]])
    """
    return _conv("conv1d", 1, x, weight, bias, stride, padding, dilation, groups)


@implements()
def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of images (N, channels, height, width) with a weight (out, channels / groups, rows, columns).

    The options are those of `conv1d`; stride, padding and dilation may be pairs, for height and width.  Returns
    (N, out, ...windows); raises ShapeError for shapes that do not fit.

    >>> import numpy as np, tinygrad_nn as tn
    >>> x, edge = np.arange(9.0).reshape(1, 1, 3, 3), np.array([[[[-1.0, 1.0]]]])
    >>> tn.conv2d(x, edge, padding="same").shape, tn.conv2d(x, edge)[0, 0]
    ((1, 1, 3, 3), array([[1., 1.],
           [1., 1.],
           [1., 1.]]))
    """
    return _conv("conv2d", 2, x, weight, bias, stride, padding, dilation, groups)


# --- pooling ----------------------------------------------------------------------------------------------------------


def _pool(name, n, x, size, stride, padding, dilation, outside, reduce):
    """The windows of the padded image, reduced."""
    x = as_array(x)
    x = x if x.dtype.kind == "f" else astype(x, np.float64)
    _check_image(name, x, n)
    size = _for_each(name, "size", size, n, 1)
    stride = size if stride is None else _for_each(name, "stride", stride, n, 1)
    dilation = _for_each(name, "dilation", dilation, n, 1)
    padding = tuple((p, p) for p in _for_each(name, "padding", padding, n, 0))
    extent = tuple(d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True))
    if any(2 * p > e for (p, _), e in zip(padding, extent, strict=True)):
        raise ValueError(
            f"{name}: padding={padding[0][0]} is more than half of the window {extent}, which would lie outside"
        )
    _check_windows_fit(name, x, padding, extent)
    if any(map(any, padding)):
        x = np.pad(x, ((0, 0), (0, 0), *padding), constant_values=outside)
    y = reduce(windows(x, size=size, stride=stride, dilation=dilation), axis=tuple(range(1, 1 + n)))
    return np.swapaxes(y, 0, 1)


@implements()
def max_pool1d(x, size, stride=None, padding=0, dilation=1):
    """The largest element of each window of a signal (N, channels, length); ties share the gradient equally.

    `stride` is `size` unless given: windows side by side.  Padding never wins.  Returns (N, channels, windows).

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.max_pool1d(np.array([[[1.0, 5.0, 2.0, 3.0]]]), 2)
    array([[[5., 3.]]])
    """
    return _pool("max_pool1d", 1, x, size, stride, padding, dilation, -np.inf, np.max)


@implements()
def max_pool2d(x, size, stride=None, padding=0, dilation=1):
    """The largest element of each window of an image (N, channels, height, width); ties share the gradient equally.

    `size`, `stride` (`size` unless given), `padding` and `dilation` are whole numbers or pairs.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    return _pool("max_pool2d", 2, x, size, stride, padding, dilation, -np.inf, np.max)


@implements()
def avg_pool1d(x, size, stride=None, padding=0):
    """The mean of each window of a signal (N, channels, length); padding counts as zeros, as in PyTorch.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.avg_pool1d(np.array([[[1.0, 5.0, 2.0, 4.0]]]), 2)
    array([[[3., 3.]]])
    """
    return _pool("avg_pool1d", 1, x, size, stride, padding, 1, 0.0, np.mean)


@implements()
def avg_pool2d(x, size, stride=None, padding=0):
    """The mean of each window of an image (N, channels, height, width); padding counts as zeros, as in PyTorch.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    return _pool("avg_pool2d", 2, x, size, stride, padding, 1, 0.0, np.mean)
