"""Inputs of like size train fastest (normalising the input); this module measures and removes mean and scale."""

from typing import Self

import numpy as np

from tinygrad_nn.data.checks import Array, matrix


class Standardizer:
    """Shifts and scales each feature to mean 0 and standard deviation 1 over the training examples.

    `fit` it to the *training* data only, then `transform` training, validation and test data alike: what is measured
    on test data must not reach the training.

    After `fit`: `mean (features, 1)` and `scale (features, 1)`, in the units of the feature. `scale` is the standard
    deviation (dividing by N); a feature that never changes gets scale 1, so it becomes 0 rather than NaN.
    float32 stays float32; integers become float64.

    Raises `RuntimeError` if used before `fit`, `ValueError` for wrong shapes, for another number of features than
    fitted, and in `fit` for NaN or infinite values, naming the first; `TypeError` for anything but an array.

    Source: Y. LeCun, L. Bottou, G. Orr, K.-R. Mueller, "Efficient BackProp" (1998), section 4.3.

    >>> X_train, X_test = np.array([[1.0, 3.0], [5.0, 5.0]]), np.array([[2.0], [6.0]])
    >>> standardizer = Standardizer().fit(X_train)
    >>> standardizer.mean.tolist(), standardizer.scale.tolist()
    ([[2.0], [5.0]], [[1.0], [1.0]])
    >>> standardizer.transform(X_test).tolist()
    [[0.0], [1.0]]
    """

    mean: Array
    scale: Array

    def fit(self, X: Array) -> Self:
        """Measure mean and scale of each feature of `X (features, N)`; returns itself."""
        X = matrix(X, "X", "Standardizer.fit")
        if X.shape[1] == 0:
            raise ValueError(f"Standardizer.fit: X {X.shape} holds no example; expected N of at least 1")
        dtype = _float_like(X)
        # Sums run in float64: over many columns float32 loses digits of the mean.
        with np.errstate(all="ignore"):
            mean = X.mean(axis=1, keepdims=True, dtype=np.float64)
            scale = X.std(axis=1, keepdims=True, dtype=np.float64).astype(dtype)
        if not np.isfinite(scale).all():
            _raise_not_finite(X, scale)
        # Rounding can give a constant feature a tiny deviation, hence the comparison of values.
        constant = X.max(axis=1, keepdims=True) == X.min(axis=1, keepdims=True)
        scale[constant | (scale == 0)] = 1
        self.mean, self.scale = mean.astype(dtype), scale
        return self

    def transform(self, X: Array) -> Array:
        """`(X - mean) / scale` of `X (features, N)`, a new array."""
        X = self._checked(X, "transform")
        return ((X - self.mean) / self.scale).astype(_float_like(X), copy=False)

    def fit_transform(self, X: Array) -> Array:
        """`fit(X).transform(X)`, for the training data."""
        return self.fit(X).transform(X)

    def inverse_transform(self, X: Array) -> Array:
        """`X * scale + mean` of standardised `X (features, N)`: back in the units of the data, a new array."""
        X = self._checked(X, "inverse_transform")
        return (X * self.scale + self.mean).astype(_float_like(X), copy=False)

    def __repr__(self) -> str:
        return f"Standardizer({f'{len(self.mean)} features' if hasattr(self, 'mean') else 'not fitted'})"

    def _checked(self, X: Array, method: str) -> Array:
        caller = f"Standardizer.{method}"
        if not hasattr(self, "mean"):
            raise RuntimeError(f"{caller} was called before fit; call fit(X_train) first")
        X = matrix(X, "X", caller)
        features = len(self.mean)
        if X.shape[0] != features:
            message = f"{caller}: X {X.shape} has {X.shape[0]} features, fit saw {features}"
            if X.shape[1] == features:
                message += f"; examples are columns: X.T {X.T.shape} fits"
            raise ValueError(message)
        return X


def _float_like(X: Array) -> np.dtype[np.floating]:
    return X.dtype if X.dtype.kind == "f" else np.dtype(np.float64)


def _raise_not_finite(X: Array, scale: Array) -> None:
    bad = np.argwhere(~np.isfinite(X))
    if bad.size:
        i, n = (int(index) for index in bad[0])
        raise ValueError(
            f"Standardizer.fit: X[{i}, {n}] is {X[i, n]} (feature {i}, example {n}), expected finite values; "
            "leave such examples out or fill the gaps first"
        )
    i = int(np.flatnonzero(~np.isfinite(scale))[0])
    raise ValueError(
        f"Standardizer.fit: the values of feature {i}, up to {np.abs(X[i]).max():.3g}, are too large for "
        f"{scale.dtype}; measure it in another unit"
    )
