"""Problems small enough to see: each of these sets fits into one picture, and so does what a network makes of it."""

import numpy as np

from tinygrad_nn.data.checks import Array, Rng, generator, positive_int


def make_xor(n: int = 4, noise: float = 0.0, rng: Rng = None) -> tuple[Array, Array]:
    """The exclusive or: class 1 where exactly one of two inputs is 1. No single neuron can separate it.

    Returns `X (2, n)`, corners of the unit square in turn, and labels `y (n,)`, 0 or 1. `noise` is the standard
    deviation of Gaussian noise on the inputs, drawn from `rng` (a Generator, a seed, or None).
    Raises `ValueError` if `n` is below 1 or `noise` is negative.
    Source: M. Minsky and S. Papert, "Perceptrons" (1969).

    >>> X, y = make_xor()
    >>> X.astype(int)
    array([[0, 0, 1, 1],
           [0, 1, 0, 1]])
    >>> y
    array([0, 1, 1, 0])
    """
    corner = np.arange(positive_int(n, "n", "make_xor")) % 4
    first, second = corner // 2, corner % 2
    return _noisy([first, second], noise, rng, "make_xor"), first ^ second


def make_moons(n: int = 200, noise: float = 0.1, rng: Rng = None) -> tuple[Array, Array]:
    """Two interleaved half circles of radius 1.

    Returns `X (2, n)` and labels `y (n,)`: 0 for the upper, 1 for the lower moon, in turn. `noise` is the standard
    deviation of Gaussian noise on both coordinates, drawn from `rng` (a Generator, a seed, or None).
    Raises `ValueError` if `n` is below 1 or `noise` is negative.
    Source: the curves of scikit-learn's `make_moons`.

    >>> X, y = make_moons(6, noise=0)
    >>> X.round(1).tolist()
    [[1.0, 0.0, 0.0, 1.0, -1.0, 2.0], [0.0, 0.5, 1.0, -0.5, 0.0, 0.5]]
    >>> y.tolist()
    [0, 1, 0, 1, 0, 1]
    """
    y, rank, count = _in_turn(n, 2, "make_moons")
    angle = np.pi * rank / np.maximum(count - 1, 1)
    x1 = np.where(y == 0, np.cos(angle), 1 - np.cos(angle))
    x2 = np.where(y == 0, np.sin(angle), 0.5 - np.sin(angle))
    return _noisy([x1, x2], noise, rng, "make_moons"), y


def make_circles(n: int = 200, noise: float = 0.05, factor: float = 0.5, rng: Rng = None) -> tuple[Array, Array]:
    """Two circles around the origin, one inside the other: no straight line separates them, the radius does.

    Returns `X (2, n)` and labels `y (n,)`: 0 for the outer circle of radius 1, 1 for the inner one of radius `factor`,
    in turn. `noise` is the standard deviation of Gaussian noise on both coordinates, drawn from `rng` (a Generator, a
    seed, or None).
    Raises `ValueError` if `n` is below 1, `noise` is negative or `factor` is not between 0 and 1.
    Source: the curves of scikit-learn's `make_circles`.

    >>> X, y = make_circles(8, noise=0)
    >>> np.hypot(*X).round(6).tolist()
    [1.0, 0.5, 1.0, 0.5, 1.0, 0.5, 1.0, 0.5]
    >>> y.tolist()
    [0, 1, 0, 1, 0, 1, 0, 1]
    """
    if not 0 < factor < 1:
        raise ValueError(f"make_circles: factor={factor!r}, expected the inner radius, between 0 and 1")
    y, rank, count = _in_turn(n, 2, "make_circles")
    angle = 2 * np.pi * rank / count
    radius = np.where(y == 0, 1.0, factor)
    return _noisy([radius * np.cos(angle), radius * np.sin(angle)], noise, rng, "make_circles"), y


def make_spirals(
    n: int = 300, noise: float = 0.02, classes: int = 3, turns: float = 0.75, rng: Rng = None
) -> tuple[Array, Array]:
    """Spiral arms that wind `turns` times around the origin, one arm for each class.

    Returns `X (2, n)`, out to radius 1, and labels `y (n,)`, 0 to classes - 1, in turn. `noise` is the standard
    deviation of Gaussian noise on both coordinates, drawn from `rng` (a Generator, a seed, or None).
    Raises `ValueError` if `n` or `classes` is below 1 or `noise` is negative.
    Source: after K. Lang and M. Witbrock, "Learning to tell two spirals apart" (1988).

    >>> X, y = make_spirals(300, rng=0)
    >>> X.shape, np.bincount(y).tolist()
    ((2, 300), [100, 100, 100])
    """
    classes = positive_int(classes, "classes", "make_spirals")
    y, rank, count = _in_turn(n, classes, "make_spirals")
    radius = (rank + 1) / count
    angle = 2 * np.pi * (turns * radius + y / classes)
    return _noisy([radius * np.cos(angle), radius * np.sin(angle)], noise, rng, "make_spirals"), y


def make_sine(n: int = 100, noise: float = 0.1, rng: Rng = None) -> tuple[Array, Array]:
    """One period of the sine, for regression.

    Returns `X (1, n)`, evenly spaced from -pi to pi (radians), and targets `Y (1, n)`: sin(X) plus Gaussian noise of
    standard deviation `noise`, drawn from `rng` (a Generator, a seed, or None). Y is a row, not `(n,)`, as the
    prediction of a network is.
    Raises `ValueError` if `n` is below 1 or `noise` is negative.

    >>> X, Y = make_sine(5, noise=0)
    >>> X.round(2).tolist(), Y.round(2).tolist()
    ([[-3.14, -1.57, 0.0, 1.57, 3.14]], [[-0.0, -1.0, 0.0, 1.0, 0.0]])
    """
    X = np.linspace(-np.pi, np.pi, positive_int(n, "n", "make_sine")).reshape(1, -1)
    return X, _noisy(np.sin(X), noise, rng, "make_sine")


def _in_turn(n: int, classes: int, caller: str) -> tuple[Array, Array, Array]:
    """Labels 0, 1, ..., 0, 1, ...; for each example its rank within its class; and the size of its class."""
    n = positive_int(n, "n", caller)
    y = np.arange(n) % classes
    return y, np.arange(n) // classes, np.bincount(y, minlength=classes)[y]


def _noisy(clean: Array | list[Array], noise: float, rng: Rng, caller: str) -> Array:
    if not 0 <= noise < np.inf:
        raise ValueError(f"{caller}: noise={noise!r}, expected a standard deviation of at least 0")
    clean = np.asarray(clean, dtype=np.float64)
    return clean + noise * generator(rng, caller).standard_normal(clean.shape)
