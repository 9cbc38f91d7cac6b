"""What losses have in common: shapes that must be equal, labels as columns, weights, and reductions."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_nn.errors import ShapeError, label, transpose_fits
from tinygrad_nn.foreign import is_foreign, like
from tinygrad_nn.operands import as_array
from tinygrad_nn.operation import Traced, numbers_of
from tinygrad_nn.ops.elementwise import as_real
from tinygrad_nn.registry import op


def examples(x):
    """N: the number of columns; a vector is one example."""
    x = as_array(x)
    return (x.shape[-1] or 1) if x.ndim > 1 else 1


def check_equal(prediction, target):
    """Losses never broadcast: (n, 1) against (n,) would silently become (n, n)."""
    p, t = as_array(prediction).shape, as_array(target).shape
    if p == t:
        return
    hint = transpose_fits("target", t, p)
    if not hint and np.prod(p) == np.prod(t):
        row = p == (1, *t)  # the whole target, of which this may be a batch
        hint = f"; target.reshape{(1, -1) if row else p} fits"
    if len(p) == 2 and p[0] > 1 and t == p[1:] and as_array(target).dtype.kind in "iu":
        hint = f"; numbers of {p[0]} classes are for tn.cross_entropy, or tn.data.one_hot(target, {p[0]}) fits"
    raise ShapeError(f"the shapes must be equal: losses never broadcast{hint}")


# --- labels, and columns of probabilities ----------------------------------------------------------------------------


def _are_of_class(labels, classes, axis):
    """Which class each label is, along a new axis."""
    if type(labels) is np.ndarray and labels.ndim == 1 and axis == 0:  # as in most trainings: without looking further
        return labels == np.arange(classes)[:, None]
    shape = [1] * (labels.ndim + 1)
    shape[axis] = -1
    return np.expand_dims(labels, axis) == like(np.arange(classes).reshape(shape), labels)


def _one_hot(labels, classes=0, dtype=np.float64, axis=0):
    """Column n is 1 in the row of its label."""
    return _lowered_one_hot(as_array(labels), classes, dtype, axis)


def _lowered_one_hot(labels, classes=0, dtype=np.float64, axis=0):
    return _are_of_class(labels, classes, axis).astype(dtype)


def _bind_one_hot(labels, classes=None, dtype=np.float64, axis=0):
    if classes is None:
        classes = _number_of_classes(labels)
    return (labels,), {"classes": classes, "dtype": dtype, "axis": axis}


def _number_of_classes(labels):
    """One more than the largest label, where the labels are known."""
    labels = numbers_of(labels)
    if isinstance(labels, Traced):
        raise TypeError("classes= says how many there are, where the labels of a recorded step are not known yet")
    if is_foreign(labels):
        raise TypeError("classes= says how many there are, where labels are not NumPy's: nobody looks at their numbers")
    labels = np.asarray(labels)
    if labels.size and (labels.dtype.kind not in "iub" or labels.min() < 0):
        raise ValueError(f"expected whole numbers from 0, labels has dtype {labels.dtype}, least {labels.min()}")
    return int(labels.max(initial=-1)) + 1


def _label_columns(labels, classes=0, dtype=np.float64, axis=0):
    """The same, for labels that must be among the classes."""
    hot = _are_of_class(labels, classes, axis)
    if is_foreign(labels):  # nobody looks at its numbers: a column without a 1 becomes NaN, as the cost then does
        among = np.any(hot, axis=axis, keepdims=True)
        return np.where(among, hot, math.nan).astype(dtype)
    if np.count_nonzero(hot) == labels.size:
        return hot.astype(dtype)
    wrong = (labels < 0) | (labels >= classes)
    where = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
    raise ValueError(
        f"cross_entropy: label {labels[where] if labels.ndim else labels} at index "
        f"{where[0] if len(where) == 1 else where} is not one of the {classes} classes 0 ... {classes - 1}"
    )


def are_labels(logits, target):
    """True for class labels; ValueError or ShapeError for what is neither labels nor one-hot columns."""
    if target.shape == logits.shape:
        return False
    if target.shape != logits.shape[1:]:
        raise ShapeError(
            f"expected class labels of shape {logits.shape[1:]} or one-hot columns of shape {logits.shape}"
            + transpose_fits("target", target.shape, logits.shape)
            + ("; target[0] fits" if target.shape == (1, *logits.shape[1:]) else "")
        )
    if target.dtype.kind not in "iu":
        raise ValueError(
            f"cross_entropy: class labels must be integers, target has dtype {target.dtype}"
            + (f" (first value {target.ravel()[0]} at index 0)" if target.size else "")
            + (
                "; target.astype(int) converts"
                if target.dtype.kind in "bf"
                else "; np.unique(target, return_inverse=True)[1] numbers labels"
            )
        )
    return True


def check_probabilities(target):
    """ValueError for a target that is not within 0 and 1, as far as its numbers are known."""
    target = numbers_of(target)
    if isinstance(target, Traced) or is_foreign(target):  # a step is being recorded; nobody looks at its numbers
        return
    if target.size and not ((target >= 0) & (target <= 1)).all():
        at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(~((target >= 0) & (target <= 1)))))
        raise ValueError(
            f"binary_cross_entropy: target {np.atleast_1d(target)[at]} at index {at} is not a probability from 0 to 1"
        )


def check_within(name, p):
    """ValueError for a prediction that is no probability, as far as its numbers are known; NaN is another matter."""
    p = numbers_of(p)
    if isinstance(p, Traced) or is_foreign(p):  # a step is being recorded; nobody looks at its numbers
        return
    outside = (p < 0) | (p > 1)
    if np.any(outside):
        at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(outside)))
        raise ValueError(
            f"{name}: with from_logits=False, the prediction {np.atleast_1d(p)[at]} at index {at} is not a probability "
            "from 0 to 1; logits are taken without from_logits=False"
        )


def _hot_samples(rng):
    labels = np.array([[0, 2, 1, 1], [1, 0, 2, 0]])
    return [
        ((labels[0],), {"classes": 3}),
        ((labels,), {"classes": 3, "axis": 1}),
        ((labels,), {"classes": 3, "axis": -1}),
    ]


HOT = {
    "arguments": ("labels",),
    "defaults": {"classes": 0, "dtype": np.float64, "axis": 0},
    "samples": _hot_samples,
    "lowered": _lowered_one_hot,
}

# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off
label_columns = op(_label_columns, "onehot({labels})", None, name="_label_columns", part_of="cross_entropy", **HOT,
                   summary="Columns with a 1 in the row of each label, which must be one of the classes")
one_hot       = op(_one_hot,       "onehot({labels})", None, name="one_hot", **HOT, method=False, bind=_bind_one_hot,
                   summary="Columns with a 1 in the row of each label: the classes (up to the largest label, unless given) are a new axis",
                   example="tn.one_hot(np.array([0, 1]), classes=2)")
# fmt: on


# --- calls with weights, or another reduction: composed of operations -------------------------------------------------


def reduced(name, losses, reduction, n=None):
    """Losses of elements: 1/n of their sum ("mean"), their sum, or the sums of examples ("none").

    Examples are columns, a vector is one example; n is how many they are, unless given.  Half precision is summed in
    single precision, which does not overflow where the mean fits.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction={reduction!r}; expected 'mean', 'sum' or 'none'")
    half = losses.dtype == np.float16
    total = losses.astype(np.float32) if half else losses
    if reduction == "none":
        total = np.sum(total, axis=tuple(range(losses.ndim - 1)) or None) if losses.ndim else total
    else:
        total = np.sum(total)
    if reduction == "mean":
        total = total / (examples(losses) if n is None else n)
    return total.astype(np.float16) if half else total


def same_shapes(name, roles, prediction, target):
    """Both as arrays; ShapeError where their shapes differ."""
    prediction, target = as_real(prediction), as_array(target)
    try:
        check_equal(prediction, target)
    except ShapeError as reason:
        shapes = [f"{label(x, role)} has shape {x.shape}" for x, role in zip((prediction, target), roles, strict=True)]
        raise ShapeError(f"{name}: {', '.join(shapes)}: {reason}") from None
    return prediction, target


def weighted(name, losses, weight):
    """Losses of elements times their weights, which may be one for each example (N,), each output (d, 1), or both."""
    if weight is None:
        return losses
    weight = as_array(weight)
    try:
        fits = np.broadcast_shapes(weight.shape, losses.shape) == losses.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"{name}: {label(weight, 'weight')} has shape {weight.shape}; expected one that broadcasts to "
            f"{losses.shape}: a weight of each example {losses.shape[-1:]}, or of each element"
        )
    return losses * weight


def _columns_of(name, scores, target, counts):
    """The target as columns, and whether it is of class labels; labels that do not count are columns of zeros."""
    try:
        if not are_labels(scores, target):
            return target, False
        labels = target if counts is None else np.where(counts, target, 0)
        columns = label_columns(labels, classes=scores.shape[0], dtype=scores.dtype)
        return columns if counts is None else columns * counts, True
    except ShapeError as reason:
        raise ShapeError(
            f"{name}: {label(scores, 'scores')} has shape {scores.shape}, {label(target, 'target')} has shape "
            f"{target.shape}: {reason}"
        ) from None
    except ValueError as reason:
        raise ValueError(str(reason).replace("cross_entropy", name, 1)) from None


def target_columns(name, scores, target, weight=None, ignore_index=None, label_smoothing=0.0):
    """Labels or columns as weighted columns, and by what the mean divides: the weight of the examples that count."""
    columns, labels = _columns_of(name, scores, target, None if ignore_index is None else target != ignore_index)
    if not labels and ignore_index is not None:
        raise ValueError(f"{name}: ignore_index={ignore_index} is a class label, but the target has columns of weights")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name}: label_smoothing={label_smoothing}; expected a share from 0 to 1")
    weights = 1.0 if weight is None else _class_weights(name, weight, scores)
    n = examples(scores)
    if labels and (weight is not None or ignore_index is not None):
        n = np.sum(columns * weights) * (n / (target.size or 1))
        n = n + (n == 0)
    if label_smoothing:
        total = np.sum(columns, axis=0, keepdims=True) if labels else 1.0  # 0 for an ignored example
        shared = total / scores.shape[0]
        columns = (1 - label_smoothing) * columns + label_smoothing * shared
    return columns * weights, n


def _class_weights(name, weight, scores):
    weight = as_array(weight)
    if weight.shape != scores.shape[:1]:
        raise ShapeError(
            f"{name}: {label(weight, 'weight')} has shape {weight.shape}; expected {scores.shape[:1]}, one for each class"
        )
    return np.reshape(weight, (-1,) + (1,) * (scores.ndim - 1))


def minus_product(columns, logs):
    """−columns · logs, in which 0 · ∞ is 0."""
    return -(columns * np.where(columns == 0, 0.0, logs))
