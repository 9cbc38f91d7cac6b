"""Toy sets lie where their descriptions say, and noise comes only from the generator given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_nn.data import make_circles, make_moons, make_sine, make_spirals, make_xor

CLASSIFICATION = {make_xor: 2, make_moons: 2, make_circles: 2, make_spirals: 3}
ALL = [*CLASSIFICATION, make_sine]


@pytest.mark.parametrize("make", CLASSIFICATION)
@given(n=st.integers(1, 50), noise=st.sampled_from([0, 0.0, 0.3]))
def test_columns_labels_and_balance(make, n, noise):
    X, y = make(n, noise)
    assert (X.shape, X.dtype) == ((2, n), np.float64)
    assert y.shape == (n,)
    assert y.dtype.kind == "i"
    assert np.isfinite(X).all()
    counts = np.bincount(y, minlength=CLASSIFICATION[make])
    assert counts.size == CLASSIFICATION[make]
    assert np.ptp(counts) <= (2 if make is make_xor else 1)


@pytest.mark.parametrize("make", ALL)
def test_randomness(make):
    def values(rng, **kwargs):
        return np.vstack(make(30, rng=rng, **kwargs)).tolist()

    assert values(0, noise=0.1) == values(0, noise=0.1) == values(np.random.default_rng(0), noise=0.1)
    assert values(0, noise=0.1) != values(1, noise=0.1)
    assert values(None, noise=0.1) != values(None, noise=0.1)
    assert values(0, noise=0) == values(1, noise=0)


@pytest.mark.parametrize("make", ALL)
def test_noise_is_a_standard_deviation(make):
    clean, noisy = make(20_000, noise=0), make(20_000, noise=0.25, rng=0)
    k = 1 if make is make_sine else 0
    difference = noisy[k] - clean[k]
    assert difference.std() == pytest.approx(0.25, rel=0.03)
    assert difference.mean() == pytest.approx(0, abs=0.01)
    np.testing.assert_array_equal(noisy[1 - k], clean[1 - k])


def test_xor():
    X, y = make_xor(8)
    np.testing.assert_array_equal(y, np.logical_xor(*X))
    assert len({tuple(x) for x in X.T}) == 4


def test_moons_are_half_circles():
    X, y = make_moons(101, noise=0)
    upper, lower = X[:, y == 0], X[:, y == 1]
    np.testing.assert_allclose(np.hypot(*upper), 1)
    assert (upper[1] >= 0).all()
    np.testing.assert_allclose(np.hypot(lower[0] - 1, lower[1] - 0.5), 1)
    assert (lower[1] <= 0.5).all()


def test_moons_are_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets")
    rows, labels = datasets.make_moons(60, shuffle=False)
    X, y = make_moons(60, noise=0)
    for k in (0, 1):
        np.testing.assert_allclose(X[:, y == k], rows[labels == k].T, atol=1e-12)


def test_circles_are_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets")
    rows, labels = datasets.make_circles(60, shuffle=False, factor=0.3)
    X, y = make_circles(60, noise=0, factor=0.3)
    for k in (0, 1):
        np.testing.assert_allclose(X[:, y == k], rows[labels == k].T, atol=1e-12)


def test_spirals():
    X, y = make_spirals(400, noise=0, classes=4, turns=2)
    radius, angle = np.hypot(*X), np.arctan2(X[1], X[0])
    assert radius.max() == pytest.approx(1)
    assert radius.min() > 0
    # Unwound by its radius, every arm points into the direction of its class.
    unwound = (angle / (2 * np.pi) - 2 * radius - y / 4) % 1
    np.testing.assert_allclose(np.minimum(unwound, 1 - unwound), 0, atol=1e-9)


def test_sine_is_a_regression_problem():
    X, Y = make_sine(11, noise=0)
    assert X.shape == Y.shape == (1, 11)
    np.testing.assert_array_equal(Y, np.sin(X))
    assert (X[0, 0], X[0, -1]) == (-np.pi, np.pi)
    assert make_sine(1, noise=0)[0].shape == (1, 1)


@pytest.mark.parametrize("make", ALL)
def test_wrong_arguments(raised, make):
    name = make.__name__
    for kwargs, error, text in [
        ({"n": 0}, ValueError, f"{name}: n=0, expected at least 1"),
        ({"n": 2.5}, TypeError, f"{name}: n=2.5 is of type float, expected an int"),
        ({"noise": -0.1}, ValueError, f"{name}: noise=-0.1, expected a standard deviation of at least 0"),
        ({"noise": np.nan}, ValueError, f"{name}: noise=nan, expected a standard deviation of at least 0"),
        ({"noise": np.inf}, ValueError, f"{name}: noise=inf, expected a standard deviation of at least 0"),
    ]:
        assert raised(error, make, **kwargs) == text
    with pytest.raises(TypeError, match=rf"{name}: rng=1\.5 is of type float"):
        make(rng=1.5)


def test_wrong_shapes_of_curves():
    with pytest.raises(ValueError, match=r"make_circles: factor=1\.5, expected the inner radius, between 0 and 1"):
        make_circles(factor=1.5)
    with pytest.raises(ValueError, match=r"make_spirals: classes=0, expected at least 1"):
        make_spirals(classes=0)
