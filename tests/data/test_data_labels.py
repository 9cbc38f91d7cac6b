"""One-hot columns, and a wrong label named by value and index."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_nn.data import one_hot


@given(st.lists(st.integers(0, 12), max_size=30), st.sampled_from([np.int8, np.uint8, np.int64, np.uint64]))
def test_argmax_undoes_one_hot(labels, dtype):
    columns = one_hot(np.array(labels, dtype=dtype), 13)
    assert columns.shape == (13, len(labels))
    assert columns.dtype == np.float64
    assert columns.argmax(axis=0).tolist() == labels
    assert set(columns.ravel()) <= {0, 1}
    assert (columns.sum(axis=0) == 1).all()


def test_number_of_classes_and_dtype():
    assert one_hot([0, 3]).shape == (4, 2)
    assert one_hot((1, 0), dtype=np.float32).dtype == np.float32
    assert one_hot([], classes=3).shape == (3, 0)


@pytest.mark.parametrize(
    ("labels", "classes", "text"),
    [
        (np.array([0, 10, 11]), 10, "labels[1] is 10, outside 0 ... 9 of 10 classes; classes=12 would hold all labels"),
        (np.array([0, 1, -1]), 10, "labels[2] is -1, outside 0 ... 9 of 10 classes; labels count from 0"),
        (np.array([-1]), None, "labels[0] is -1, outside 0 ... 0 of 1 classes; labels count from 0"),
        (np.array([1.0, 2.0]), 3, "labels has dtype float64, expected integers; labels.astype(int) converts them"),
        (np.array([1.0, 2.5]), 3, "labels has dtype float64, expected integers; labels[1] is 2.5, no whole number"),
        (np.array([1.0, np.nan]), 3, "labels has dtype float64, expected integers; labels[1] is nan, no whole number"),
        (np.array([True, False]), 2, "labels has dtype bool, expected integers; labels.astype(int) converts them"),
        (["cat", "dog"], 2, ("labels has dtype <U3 (labels[0] is 'cat'), expected real numbers; "
         "classes, labels = np.unique(labels, return_inverse=True) numbers text labels")),
        (np.array([[0, 1, 2]]), 3, "labels has shape (1, 3), expected (N,); labels.ravel() fits"),
        (np.eye(3, dtype=int), 3, "labels has shape (3, 3), expected (N,)"),
        (np.array(1), 3, "labels has shape (), expected (N,)"),
        ([], None, "labels is empty, so the number of classes is unknown; give classes="),
        ([0], 0, "classes=0, expected at least 1"),
    ],
)  # fmt: skip
def test_wrong_labels(raised, labels, classes, text):
    assert raised(ValueError, one_hot, labels, classes) == f"one_hot: {text}"


def test_wrong_types():
    with pytest.raises(TypeError, match=r"one_hot: labels is of type int, expected a NumPy array"):
        one_hot(3)
    with pytest.raises(TypeError, match=r"one_hot: classes=2\.0 is of type float, expected an int"):
        one_hot([0], 2.0)
