"""Real handwriting inside the package, so that the first network a learner trains sees real data, offline."""

import io
from importlib.resources import files

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_nn.data.checks import Array, float_dtype


def load_digits(dtype: DTypeLike = np.float64) -> tuple[Array, Array, Array, Array]:
    """1,797 images of handwritten digits, 8 x 8 pixels each, split into training and test examples.

    Returns `X_train (64, 1442)`, `y_train (1442,)`, `X_test (64, 355)`, `y_test (355,)`.
    A column of X is one image row by row: `X[:, n].reshape(8, 8)`. Its values are ink from 0 (paper) to 1, in
    steps of 1/16, with the given floating `dtype`. A label is the digit itself, 0 to 9, as int64.

    The split is fixed and stratified: of each digit, in the order of the file, every fifth image is a test image.
    Both parts hold digits of all 13 writers, so test accuracy says how well new images *by known writers* are read.

    Raises `TypeError` if `dtype` is not floating.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (1998), UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49: its test set, as scikit-learn ships it. Licence: CC BY 4.0; the text
    is in `digits.LICENSE.txt` beside this file. The images are the authors' own, only packed and, here, scaled.

    >>> X_train, y_train, X_test, y_test = load_digits()
    >>> X_train.shape, y_train.shape, X_test.shape, y_test.shape
    ((64, 1442), (1442,), (64, 355), (355,))
    >>> for row in X_train[:, 0].reshape(8, 8):
    ...     print("".join(" .:oO@"[int(5 * ink)] for ink in row).rstrip())
      .O:
      OOoO.
      O  o:
     .o  ::
     .:  ::
     .o  o:
      O.oo
      .Oo
    >>> int(y_train[0])
    0
    """
    X, y = load_all_digits(dtype)
    test = np.zeros(y.size, dtype=bool)
    for digit in range(10):
        test[np.flatnonzero(y == digit)[4::5]] = True
    rows = X.T
    return rows[~test].T, y[~test], rows[test].T, y[test]


def load_all_digits(dtype: DTypeLike = np.float64) -> tuple[Array, Array]:
    """All 1,797 images of `load_digits`, not split: `X (64, 1797)` and `y (1797,)`, in scikit-learn's order.

    Raises `TypeError` if `dtype` is not floating.

    >>> X, y = load_all_digits(np.float32)
    >>> X.shape, X.dtype, y[:10].tolist()
    ((64, 1797), dtype('float32'), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    dtype = float_dtype(dtype, "load_digits")
    packed = files("tinygrad_nn.data").joinpath("digits.npz").read_bytes()
    with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
        return archive["images"].astype(dtype).T / 16, archive["labels"].astype(np.int64)
