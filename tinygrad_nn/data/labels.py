"""Class labels as target columns; errors name a wrong label by value and index."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_nn.data.checks import Array, numeric_array, positive_int


def one_hot(labels: Array | Sequence[int], classes: int | None = None, dtype: DTypeLike = np.float64) -> Array:
    """Target columns `(classes, N)` for labels `(N,)`: column n is 1 in row `labels[n]` and 0 elsewhere.

    `classes` defaults to the largest label + 1; give it whenever a part of the data may miss the last class.

    Raises `ValueError` for labels that are not integers, not 1-D, or outside 0 ... classes - 1, and `TypeError` for
    anything but an array or a list.

    >>> one_hot([2, 0, 1, 2], classes=3).astype(int)
    array([[0, 1, 0, 0],
           [0, 0, 1, 0],
           [1, 0, 0, 1]])
    """
    if isinstance(labels, (list, tuple)):
        try:
            labels = np.asarray(labels, dtype=None if labels else int)
        except Exception as reason:  # whatever lies in the list
            raise ValueError(
                f"one_hot: labels is a list of no whole numbers ({reason}); expected (N,) of them"
            ) from None
    labels = numeric_array(labels, "labels", "one_hot")
    if labels.ndim != 1:
        hint = "; labels.ravel() fits" if labels.size == max(labels.shape, default=0) else ""
        raise ValueError(f"one_hot: labels has shape {labels.shape}, expected (N,){hint}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"one_hot: labels has dtype {labels.dtype}, expected integers; {_way_to_integers(labels)}")
    if classes is None:
        if labels.size == 0:
            raise ValueError("one_hot: labels is empty, so the number of classes is unknown; give classes=")
        classes = max(int(labels.max()) + 1, 1)
    classes = positive_int(classes, "classes", "one_hot")
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if outside.size:
        n = int(outside[0])
        hint = "labels count from 0" if labels[n] < 0 else f"classes={int(labels.max()) + 1} would hold all labels"
        raise ValueError(
            f"one_hot: labels[{n}] is {labels[n]}, outside 0 ... {classes - 1} of {classes} classes; {hint}"
        )
    try:
        columns = np.zeros((classes, labels.size), dtype)
    except (MemoryError, ValueError):
        raise ValueError(
            f"one_hot: {classes:,} classes of {labels.size:,} labels do not fit into memory; "
            "_, labels = np.unique(labels, return_inverse=True) numbers them from 0"
        ) from None
    columns[labels, np.arange(labels.size)] = 1
    return columns


def _way_to_integers(labels: Array) -> str:
    fractional = np.flatnonzero(labels != np.floor(labels)) if labels.dtype.kind == "f" else labels[:0]
    if fractional.size:
        return f"labels[{fractional[0]}] is {labels[fractional[0]]}, no whole number"
    return "labels.astype(int) converts them"
