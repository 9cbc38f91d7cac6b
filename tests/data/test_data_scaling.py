"""Standardizing: what was fitted to training data is applied to everything, and constant features survive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tinygrad_nn.data import Standardizer


@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.floats(-1e6, 1e6, width=32)))
def test_mean_zero_deviation_one_and_back(X):
    standardizer = Standardizer().fit(X)
    Z = standardizer.transform(X)
    assert standardizer.mean.shape == standardizer.scale.shape == (X.shape[0], 1)
    assert (standardizer.scale > 0).all()
    np.testing.assert_allclose(standardizer.inverse_transform(Z), X, rtol=1e-9, atol=1e-9)
    for x, z, mean in zip(X, Z, standardizer.mean[:, 0], strict=True):
        if x.min() == x.max():
            np.testing.assert_allclose(z, 0, atol=1e-9)
        elif x.std() > 1e-6 * abs(mean):  # beyond it rounding rules
            assert abs(z.mean()) < 1e-6
            assert abs(z.std() - 1) < 1e-6


def test_test_data_are_measured_with_the_training_data():
    X_train, X_test = np.array([[0.0, 2.0], [10.0, 30.0]]), np.array([[4.0, 1.0], [20.0, 0.0]])
    standardizer = Standardizer()
    np.testing.assert_array_equal(standardizer.fit_transform(X_train), [[-1, 1], [-1, 1]])
    np.testing.assert_array_equal(standardizer.transform(X_test), [[3, 0], [0, -2]])
    np.testing.assert_array_equal(standardizer.mean, [[1], [20]])
    np.testing.assert_array_equal(standardizer.scale, [[1], [10]])


def test_constant_features_become_zero():
    X = np.full((1, 7), 0.1)  # its computed deviation is not exactly 0
    standardizer = Standardizer().fit(X)
    assert standardizer.scale.item() == 1
    np.testing.assert_allclose(standardizer.transform(X), 0, atol=1e-15)
    np.testing.assert_array_equal(Standardizer().fit_transform(np.array([[3.0], [4.0]])), [[0], [0]])


def test_deviation_that_underflows_counts_as_constant():
    X = np.array([[0.0, 1e-300]])
    assert np.isfinite(Standardizer().fit_transform(X)).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_float32_stays_and_keeps_its_digits(order):
    X = np.asarray(np.random.default_rng(0).normal(1000, 1, (2, 100_000)), dtype=np.float32, order=order)
    standardizer = Standardizer().fit(X)
    assert standardizer.mean.dtype == standardizer.scale.dtype == np.float32
    assert standardizer.transform(X).dtype == standardizer.inverse_transform(X).dtype == np.float32
    np.testing.assert_allclose(standardizer.mean, X.astype(np.float64).mean(axis=1, keepdims=True), rtol=1e-7)
    np.testing.assert_allclose(standardizer.scale, X.astype(np.float64).std(axis=1, keepdims=True), rtol=1e-6)


def test_dtype_follows_the_data():
    fitted = Standardizer().fit(np.array([[1.0, 3.0]]))
    assert fitted.transform(np.array([[1, 2]], dtype=np.float32)).dtype == np.float32
    assert fitted.transform(np.array([[1, 2]])).dtype == np.float64
    assert Standardizer().fit(np.array([[0, 255]], dtype=np.uint8)).mean.tolist() == [[127.5]]
    assert Standardizer().fit_transform(np.array([[True, False]])).tolist() == [[1, -1]]


def test_argument_is_left_alone_and_result_is_new():
    X = np.array([[1.0, 3.0]])
    X.flags.writeable = False
    Z = Standardizer().fit_transform(X)
    Z[...] = 9
    assert X.tolist() == [[1, 3]]


def test_repr():
    assert repr(Standardizer()) == "Standardizer(not fitted)"
    assert repr(Standardizer().fit(np.ones((4, 2)))) == "Standardizer(4 features)"


@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
def test_errors_of_use(raised, method):
    assert raised(RuntimeError, getattr(Standardizer(), method), np.ones((2, 3))) == (
        f"Standardizer.{method} was called before fit; call fit(X_train) first"
    )
    fitted = Standardizer().fit(np.arange(6.0).reshape(2, 3))
    assert raised(ValueError, getattr(fitted, method), np.ones((5, 2))) == (
        f"Standardizer.{method}: X (5, 2) has 5 features, fit saw 2; examples are columns: X.T (2, 5) fits"
    )
    assert raised(ValueError, getattr(fitted, method), np.ones((5, 4))) == (
        f"Standardizer.{method}: X (5, 4) has 5 features, fit saw 2"
    )


@pytest.mark.parametrize(
    ("X", "error", "text"),
    [
        (np.ones(3), ValueError,
         "X has shape (3,), expected (features, N); X.reshape(1, -1) makes one feature of it"),
        (np.ones((2, 2, 2)), ValueError, "X has shape (2, 2, 2), expected (features, N)"),
        (np.ones((2, 0)), ValueError, "X (2, 0) holds no example; expected N of at least 1"),
        ([[1.0]], TypeError, "X is of type list, expected a NumPy array; np.asarray(X) makes one"),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), ValueError,
         ("X[1, 1] is nan (feature 1, example 1), expected finite values; "
         "leave such examples out or fill the gaps first")),
        (np.array([[-np.inf, 2.0]]), ValueError,
         ("X[0, 0] is -inf (feature 0, example 0), expected finite values; "
         "leave such examples out or fill the gaps first")),
        (np.array([[0.0, 1.0], [-1e300, 1e300]]), ValueError,
         "the values of feature 1, up to 1e+300, are too large for float64; measure it in another unit"),
    ],
)  # fmt: skip
def test_errors_of_fit(raised, X, error, text):
    standardizer = Standardizer()
    assert raised(error, standardizer.fit, X) == f"Standardizer.fit: {text}"
    assert not hasattr(standardizer, "mean")
