"""First values of parameters: drawn so that signals keep their size on the way through the layers, forward and back.

Every function is `(shape, rng=None, dtype=np.float64, ...) -> array`.  `shape` is that of a weight matrix W
`(fan_out, fan_in)`, or of a stack of filters `(fan_out, fan_in, ...)` whose further axes count into both.  `rng` is a
`numpy.random.Generator`, an int seed, or None for fresh entropy.  Numbers are drawn in float64 and rounded to `dtype`,
so that a seed means the same in every dtype.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Shape = tuple[int, ...]
Rng = np.random.Generator | int | None
Array = NDArray[Any]

__all__ = [
    "constant", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform",
    "normal", "ones", "orthogonal", "uniform", "zeros",
]  # fmt: skip


def _fans(shape: Shape, caller: str) -> tuple[int, int]:
    """How many numbers enter and leave a unit."""
    if len(shape) < 2:
        raise ValueError(
            f"{caller}: shape {tuple(shape)} has no fan-in; expected a weight matrix (fan_out, fan_in); "
            "a bias starts with nn.init.zeros"
        )
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def uniform(
    shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64, low: float = -1.0, high: float = 1.0
) -> Array:
    """Uniform between `low` and `high`.

    >>> uniform((1, 2), rng=0, low=0.0).round(3)
    array([[0.637, 0.27 ]])
    """
    return np.random.default_rng(rng).uniform(low, high, shape).astype(dtype)


def normal(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64, mean: float = 0.0, std: float = 1.0) -> Array:
    """Normal with this mean and standard deviation.

    >>> normal((1, 2), rng=0, std=0.01).round(4)
    array([[ 0.0013, -0.0013]])
    """
    return np.random.default_rng(rng).normal(mean, std, shape).astype(dtype)


def constant(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64, value: float = 0.0) -> Array:
    """The same value everywhere.  As weights, all units of a layer stay equal for ever: the symmetry is not broken.

    >>> constant((1, 2), value=0.5)
    array([[0.5, 0.5]])
    """
    return np.full(shape, value, dtype)


def zeros(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64) -> Array:
    """Zeros: how biases start.  As weights they leave the symmetry of the units unbroken, see `constant`.

    >>> zeros((1, 2))
    array([[0., 0.]])
    """
    return np.zeros(shape, dtype)


def ones(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64) -> Array:
    """Ones: how gains start.

    >>> ones((1, 2))
    array([[1., 1.]])
    """
    return np.ones(shape, dtype)


def glorot_uniform(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64, gain: float = 1.0) -> Array:
    """Uniform with variance gain² · 2/(fan_in + fan_out), for activations that are nearly linear at 0, such as tanh.

    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010, Eq. 16.

    >>> W = glorot_uniform((200, 100), rng=0)
    >>> bool(abs(W).max() <= (6 / 300) ** 0.5), round(float(W.var()) * 150, 1)
    (True, 1.0)
    """
    fan_in, fan_out = _fans(shape, "glorot_uniform")
    limit = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform(shape, rng, dtype, -limit, limit)


def glorot_normal(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64, gain: float = 1.0) -> Array:
    """Normal with variance gain² · 2/(fan_in + fan_out); see `glorot_uniform`.

    >>> round(float(glorot_normal((200, 100), rng=0).var()) * 150, 1)
    1.0
    """
    fan_in, fan_out = _fans(shape, "glorot_normal")
    return normal(shape, rng, dtype, std=gain * math.sqrt(2 / (fan_in + fan_out)))


def he_uniform(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64, negative_slope: float = 0.0) -> Array:
    """Uniform with variance 2/((1 + negative_slope²) fan_in), for rectifiers, which pass on half of what they get.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015, Eqs. 10 and 15.

    >>> round(float(he_uniform((200, 100), rng=0).var()) * 50, 1)
    1.0
    """
    fan_in, _ = _fans(shape, "he_uniform")
    limit = math.sqrt(6 / ((1 + negative_slope**2) * fan_in)) if fan_in else 0.0
    return uniform(shape, rng, dtype, -limit, limit)


def he_normal(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64, negative_slope: float = 0.0) -> Array:
    """Normal with variance 2/((1 + negative_slope²) fan_in); see `he_uniform`.

    >>> round(float(he_normal((200, 100), rng=0).var()) * 50, 1)
    1.0
    """
    fan_in, _ = _fans(shape, "he_normal")
    return normal(shape, rng, dtype, std=math.sqrt(2 / ((1 + negative_slope**2) * fan_in)) if fan_in else 0.0)


def lecun_uniform(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64) -> Array:
    """Uniform with variance 1/fan_in: a unit's sum of standardised inputs has variance 1.

    Source: Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998, Eq. 16.

    >>> round(float(lecun_uniform((200, 100), rng=0).var()) * 100, 1)
    1.0
    """
    fan_in, _ = _fans(shape, "lecun_uniform")
    limit = math.sqrt(3 / fan_in) if fan_in else 0.0
    return uniform(shape, rng, dtype, -limit, limit)


def lecun_normal(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64) -> Array:
    """Normal with variance 1/fan_in, which selu asks for; see `lecun_uniform`.

    Source: as `lecun_uniform`; G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-normalizing neural
    networks", NeurIPS 2017.

    >>> round(float(lecun_normal((200, 100), rng=0).var()) * 100, 1)
    1.0
    """
    fan_in, _ = _fans(shape, "lecun_normal")
    return normal(shape, rng, dtype, std=math.sqrt(1 / fan_in) if fan_in else 0.0)


def orthogonal(shape: Shape, rng: Rng = None, dtype: DTypeLike = np.float64, gain: float = 1.0) -> Array:
    """`gain` times a random matrix with orthonormal rows (or columns, if there are fewer of them): lengths are kept.

    Uniformly distributed among them: the signs of the QR decomposition are fixed.

    Source: A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", ICLR 2014; F. Mezzadri, "How to generate random matrices from the classical compact groups", 2007.

    >>> W = orthogonal((2, 3), rng=0)
    >>> bool(np.allclose(W @ W.T, np.eye(2)))
    True
    """
    _fans(shape, "orthogonal")
    rows, columns = shape[0], math.prod(shape[1:])
    square = np.random.default_rng(rng).normal(size=(max(rows, columns), min(rows, columns)))
    Q, R = np.linalg.qr(square)
    Q *= np.where(np.diag(R) < 0, -1.0, 1.0)
    return (gain * (Q if rows >= columns else Q.T)).reshape(shape).astype(dtype)
