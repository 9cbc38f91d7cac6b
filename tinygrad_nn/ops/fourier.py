"""Fourier transforms of real signals, as pairs of real arrays: complex numbers are no operands here."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from tinygrad_nn.foreign import in_blocks, like, of_matrices
from tinygrad_nn.ops.arithmetic import as_floats
from tinygrad_nn.ops.axes import axis_of, length_of
from tinygrad_nn.ops.elementwise import square
from tinygrad_nn.ops.padding import pad
from tinygrad_nn.ops.shaping import getitem, roll, stack
from tinygrad_nn.registry import implements, op, refuses

# The adjoint of a transform is the inverse one without its factor: where one divides, the other does not.
ADJOINT = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _spectrum(x, axis=-1, norm="backward"):
    if in_blocks(x):
        rows = np.expand_dims(np.moveaxis(x, axis, -1), -2)  # each a matrix of one row
        return np.moveaxis(of_matrices(lambda x: _spectrum(x[..., 0, :], norm=norm))(rows), -2, axis % x.ndim)
    z = np.fft.rfft(x, axis=axis, norm=norm)
    return np.stack([np.real(z), np.imag(z)], -1).astype(x.dtype)


def _signal(z, n=0, axis=-1, norm="backward"):
    if in_blocks(z):
        rows = np.moveaxis(z, axis if axis >= 0 else axis - 1, -2)
        return np.moveaxis(of_matrices(lambda z: _signal(z, n, norm=norm))(rows), -1, axis)
    return np.fft.irfft(z[..., 0] + 1j * z[..., 1], n, axis=axis, norm=norm).astype(z.dtype)


def _times(z, n, axis):
    """How often each frequency occurs among all n: those between the first and the last stand for two."""
    times = np.full(n // 2 + 1, 2.0)
    times[0] = 1
    if n % 2 == 0:
        times[-1] = 1
    shape = [1] * z.ndim
    shape[axis if axis >= 0 else axis - 1] = -1
    return like(times.reshape(shape).astype(z.dtype), z)


def _spectrum_rule(g, y, x, axis=-1, norm="backward"):
    n = x.shape[axis]
    return signal(g / _times(g, n, axis), n=n, axis=axis, norm=ADJOINT[norm])


def _signal_rule(g, y, z, n=0, axis=-1, norm="backward"):
    return spectrum(g, axis=axis, norm=ADJOINT[norm]) * _times(z, n, axis)


def _lowered_spectrum(x, axis=-1, norm="backward"):
    """As a product with a matrix."""
    matrix, rows = _spectrum(np.eye(x.shape[axis]), norm=norm), np.moveaxis(x, axis, -1)
    y = rows @ matrix.reshape(len(matrix), -1)
    return np.moveaxis(np.reshape(y, rows.shape[:-1] + matrix.shape[1:]), -2, axis_of(axis, x))


def _lowered_signal(z, n=0, axis=-1, norm="backward"):
    rows = np.moveaxis(z, axis if axis >= 0 else axis - 1, -2)
    m = 2 * rows.shape[-2]
    matrix = _signal(np.eye(m).reshape(m, -1, 2), n, norm=norm)
    return np.moveaxis(np.reshape(rows, (*rows.shape[:-2], m)) @ matrix, -1, axis)


KINDS = [(5, -1, "backward"), (6, 0, "ortho"), (4, -1, "forward"), (1, 0, "backward")]


def _signals(rng):
    shapes = [(n, 2) if axis == 0 else (2, n) for n, axis, _ in KINDS]
    return [((rng.normal(size=s),), {"axis": k[1], "norm": k[2]}) for s, k in zip(shapes, KINDS, strict=True)]


def _spectra(rng):
    return [((_spectrum(*x, **how),), {**how, "n": x[0].shape[how["axis"]]}) for x, how in _signals(rng)]


# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off
spectrum = op(_spectrum, "F {x}",   _spectrum_rule, name="_rfft", part_of="rfft_parts", kind="linear", samples=_signals, lowered=_lowered_spectrum,
              summary="Fourier transform of a real signal, real and imaginary part along a last axis")
signal   = op(_signal,   "F⁻¹ {z}", _signal_rule, name="_irfft", part_of="irfft_parts", kind="linear", samples=_spectra, lowered=_lowered_signal,
              summary="The way back: the real signal of n values")
# fmt: on

COMPLEX = (
    "its values are complex, and tensors are real: tn.rfft_parts and tn.irfft_parts compute with real and imaginary "
    "parts, tn.power_spectrum with their squares"
)
refuses(np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft, np.fft.hfft, np.fft.ihfft, np.fft.fft2, np.fft.ifft2,
        np.fft.rfft2, np.fft.irfft2, np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn, because=COMPLEX)  # fmt: skip


# --- composed of the above -------------------------------------------------------------------------------------------

RfftResult = namedtuple("RfftResult", ["real", "imag"])


def _of_length(x, n, axis):
    """x cut, or continued with zeros, along an axis."""
    length, axis = length_of(axis, x), axis_of(axis, x)
    if n < length:
        return getitem(x, (slice(None),) * axis + (slice(n),))
    return x if n == length else pad(x, [(0, n - length if i == axis else 0) for i in range(x.ndim)])


def _kind(norm):
    if norm not in (None, *ADJOINT):
        raise ValueError(f"norm is {norm!r}; expected 'backward', 'ortho' or 'forward'")
    return norm or "backward"


@implements()
def rfft_parts(x, n=None, axis=-1, norm=None):
    """The Fourier transform of a real signal, `np.fft.rfft`, as two real arrays: (real, imag), of n // 2 + 1 frequencies.

    n : the length to which the signal is cut or padded with zeros; its own by default.
    norm : "backward" (the inverse divides by n), "forward" (this one does), or "ortho" (both by √n).

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.rfft_parts(np.array([1.0, 0.0, -1.0, 0.0])).real
    array([0., 2., 0.])
    """
    x = as_floats(x)
    y = spectrum(_of_length(x, length_of(axis, x) if n is None else n, axis), axis=axis, norm=_kind(norm))
    return RfftResult(y[..., 0], y[..., 1])


@implements(method=False)
def irfft_parts(real, imag, n=None, axis=-1, norm=None):
    """The real signal of n values that has this Fourier transform, `np.fft.irfft`; n is even unless given.

    >>> import numpy as np, tinygrad_nn as tn
    >>> a, b = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.5])
    >>> (p, q), (r, s) = tn.rfft_parts(a, 5), tn.rfft_parts(b, 5)
    >>> np.abs(tn.irfft_parts(p * r - q * s, p * s + q * r, 5)).round(12)   # a product of spectra is a convolution
    array([0. , 1. , 2.5, 4. , 1.5])
    """
    z = stack([as_floats(real), as_floats(imag)], axis=-1)
    axis = axis_of(axis, z[..., 0])
    n = 2 * (z.shape[axis] - 1) if n is None else n
    return signal(_of_length(z, n // 2 + 1, axis), n=n, axis=axis, norm=_kind(norm))


@implements()
def power_spectrum(x, n=None, axis=-1, norm=None):
    """|rfft(x)|² of a real signal: how much of it lies at each of n // 2 + 1 frequencies; see `rfft_parts`.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.power_spectrum(np.sin(np.linspace(0, 4 * np.pi, 8, endpoint=False))).round(12)
    array([ 0.,  0., 16.,  0.,  0.])
    """
    real, imag = rfft_parts(x, n, axis, norm)
    return square(real) + square(imag)


def _half(x, axes, sign):
    axes = range(x.ndim) if axes is None else np.atleast_1d(axes).tolist()
    return roll(x, tuple(sign * (length_of(i, x) // 2) for i in axes), tuple(axes))


@implements(np.fft.fftshift)
def fftshift(x, axes=None):
    """The frequency 0 moved from the first place to the middle."""
    return _half(as_floats(x), axes, 1)


@implements(np.fft.ifftshift)
def ifftshift(x, axes=None):
    """The frequency 0 moved back from the middle to the first place."""
    return _half(as_floats(x), axes, -1)
