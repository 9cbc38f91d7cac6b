"""Costs of a batch whose examples are columns: J = 1/N Σₙ Lₙ, the mean over examples of the sum over outputs."""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_nn.errors import ShapeError, label, transpose_fits
from tinygrad_nn.operands import as_array
from tinygrad_nn.operation import Traced
from tinygrad_nn.ops.elementwise import as_real, quiet, sigmoid, softplus
from tinygrad_nn.ops.reductions import log_probabilities, log_softmax, softmax
from tinygrad_nn.registry import op


def _examples(x):
    """N: the number of columns; a vector is one example."""
    x = as_array(x)
    return (x.shape[-1] or 1) if x.ndim > 1 else 1


def _check(prediction, target):
    """Losses never broadcast: (n, 1) against (n,) would silently become (n, n)."""
    p, t = as_array(prediction).shape, as_array(target).shape
    if p == t:
        return
    hint = transpose_fits("target", t, p)
    if not hint and np.prod(p) == np.prod(t):
        hint = f"; target.reshape{p} fits"
    raise ShapeError(f"the shapes must be equal: losses never broadcast{hint}")


def _summed_wide(loss):
    """The loss in numbers that its sum fits in: of integers in float64, as `np.mean`, of float16 in float32."""

    @functools.wraps(loss)
    def widened(prediction, target, **params):
        if type(prediction) is type(target) is np.ndarray and prediction.dtype.char in "fdg":
            return loss(prediction, target, **params)
        p, t = as_array(prediction), as_array(target)
        if p.dtype.char in "fdg":
            return loss(p, t, **params)
        if p.dtype.char != "e":
            return loss(p.astype(np.float64), t, **params)
        y = loss(p.astype(np.float32), t, **params)
        return y.astype(np.float16) if y.dtype.char == "f" != t.dtype.char else y

    return widened


# --- squared, absolute, Huber ----------------------------------------------------------------------------------------


@_summed_wide
def _mse(prediction, target):
    _check(prediction, target)
    error = np.subtract(prediction, target).ravel()
    return error.dot(error) / (2 * _examples(prediction))


@_summed_wide
def _l1(prediction, target):
    _check(prediction, target)
    return np.sum(np.abs(np.subtract(prediction, target))) / _examples(prediction)


@_summed_wide
def _huber(prediction, target, delta=1.0):
    _check(prediction, target)
    size = np.abs(np.subtract(prediction, target))
    inside = np.minimum(size, delta)
    return np.sum(inside * (size - 0.5 * inside)) / _examples(prediction)


# --- cross-entropy ---------------------------------------------------------------------------------------------------


def _one_hot(labels, classes=0, dtype=np.float64):
    """Column n is 1 in the row of its label."""
    labels = np.asarray(labels)
    return (labels == np.arange(classes).reshape((-1,) + (1,) * labels.ndim)).astype(dtype)


def _label_columns(labels, classes=0, dtype=np.float64):
    """The same, for labels that must be among the classes."""
    hot = labels == np.arange(classes).reshape((-1,) + (1,) * labels.ndim)
    if np.count_nonzero(hot) == labels.size:
        return hot.astype(dtype)
    wrong = (labels < 0) | (labels >= classes)
    where = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
    raise ValueError(
        f"cross_entropy: label {labels[where] if labels.ndim else labels} at index "
        f"{where[0] if len(where) == 1 else where} is not one of the {classes} classes 0 ... {classes - 1}"
    )


def _are_labels(logits, target):
    """True for class labels; ValueError or ShapeError for what is neither labels nor one-hot columns."""
    if target.shape == logits.shape:
        return False
    if target.shape != logits.shape[1:]:
        raise ShapeError(
            f"expected class labels of shape {logits.shape[1:]} or one-hot columns of shape {logits.shape}"
            + transpose_fits("target", target.shape, logits.shape)
        )
    if target.dtype.kind not in "iu":
        raise ValueError(
            f"cross_entropy: class labels must be integers, target has dtype {target.dtype}"
            + (f" (first value {target.ravel()[0]} at index 0)" if target.size else "")
            + "; target.astype(int) converts"
        )
    return True


@_summed_wide
def _cross_entropy(logits, target):
    if _are_labels(logits, target):
        hot = label_columns(target, classes=logits.shape[0], dtype=logits.dtype)
        return -np.sum(np.where(hot == 0, 0, log_probabilities(logits))) / _examples(logits)
    return -np.sum(target * np.where(target == 0, 0, log_probabilities(logits))) / _examples(logits)


def _cross_entropy_logits(g, y, logits, target):
    target, n = as_array(target), _examples(logits)
    if target.ndim < logits.ndim:
        hot = label_columns(target, classes=logits.shape[0], dtype=logits.dtype)
        return (softmax(logits, axis=0) - hot) * (g / n)
    return (softmax(logits, axis=0) * np.sum(target, axis=0, keepdims=True) - target) * (g / n)


def _check_probabilities(target):
    if target.size and not ((target >= 0) & (target <= 1)).all():
        at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(~((target >= 0) & (target <= 1)))))
        raise ValueError(
            f"binary_cross_entropy: target {np.atleast_1d(target)[at]} at index {at} is not a probability from 0 to 1"
        )


@_summed_wide
def _binary_cross_entropy(logits, target):
    _check(logits, target)
    logits, target = as_array(logits), as_array(target)
    _check_probabilities(target)
    with quiet():
        return np.sum(np.maximum(logits, 0) - logits * target + np.log1p(np.exp(-np.abs(logits)))) / _examples(logits)


def _pairs(*shapes):
    return lambda rng: [((rng.normal(size=s), rng.normal(size=s)), {}) for s in (shapes or ((3, 4), (3,), ()))]


def _labelled(rng):
    one_hot_columns = np.eye(3)[:, [0, 2, 2, 1]]
    return [
        ((rng.normal(size=(3, 4)), np.array([0, 2, 2, 1])), {}),
        ((rng.normal(size=(3, 4)), one_hot_columns * 0.8 + 0.1), {}),
        ((rng.normal(size=3), np.array(1)), {}),
    ]


def _hot_samples(rng):
    return [((np.array([0, 2, 1]),), {"classes": 3})]


def _probable(rng):
    shapes = ((1, 4), (3, 4), (3,), ())
    return [((rng.normal(size=s), rng.random(size=s) * 0.8 + 0.1), {}) for s in shapes]


# --- derivatives -----------------------------------------------------------------------------------------------------


def _huber_rule(g, y, prediction, target, delta=1.0):
    return np.clip(prediction - target, -delta, delta) * (g / _examples(prediction))


def _huber_target(g, y, prediction, target, delta=1.0):
    return np.clip(target - prediction, -delta, delta) * (g / _examples(prediction))


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
        total = total / (_examples(losses) if n is None else n)
    return total.astype(np.float16) if half else total


def same_shapes(name, roles, prediction, target):
    """Both as arrays; ShapeError where their shapes differ."""
    prediction, target = as_real(prediction), as_array(target)
    try:
        _check(prediction, target)
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


def _of_errors(op, prediction, target, weight, reduction, of_error):
    """A loss of the differences, each weighted."""
    if weight is None and reduction == "mean":
        return op(prediction, target)
    prediction, target = same_shapes(op.name, ("prediction", "target"), prediction, target)
    return reduced(op.name, weighted(op.name, of_error(prediction - target), weight), reduction)


def _mse_further(prediction, target, *, weight=None, reduction="mean"):
    """With options: weights, and other reductions than the mean.

    weight : of each example (N,), or of each element; losses are multiplied by it, and the mean divides by N all the same.
    reduction : "mean" over the N examples, "sum" over them, or "none": the loss of each, (N,).
    """
    return _of_errors(mse, prediction, target, weight, reduction, lambda e: 0.5 * np.square(e))


def _l1_further(prediction, target, *, weight=None, reduction="mean"):
    """With options: weights, and other reductions than the mean.

    weight : of each example (N,), or of each element; losses are multiplied by it, and the mean divides by N all the same.
    reduction : "mean" over the N examples, "sum" over them, or "none": the loss of each, (N,).
    """
    return _of_errors(l1_loss, prediction, target, weight, reduction, np.abs)


def _huber_further(prediction, target, delta=1.0, *, weight=None, reduction="mean"):
    """With options: weights, and other reductions than the mean.

    weight : of each example (N,), or of each element; losses are multiplied by it, and the mean divides by N all the same.
    reduction : "mean" over the N examples, "sum" over them, or "none": the loss of each, (N,).
    """

    def of_error(e):
        size = np.abs(e)
        inside = np.minimum(size, delta)
        return inside * (size - 0.5 * inside)

    if weight is None and reduction == "mean":
        return huber_loss(prediction, target, delta=delta)
    return _of_errors(huber_loss, prediction, target, weight, reduction, of_error)


def _columns_of(name, scores, target, counts):
    """The target as columns, and whether it is of class labels; labels that do not count are columns of zeros."""
    try:
        if not _are_labels(scores, target):
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
    n = _examples(scores)
    if labels and (weight is not None or ignore_index is not None):
        n = np.sum(columns * weights) * (n / (target.size or 1))
        n = n + (n == 0)
    if label_smoothing:
        shared = np.sum(columns, axis=0, keepdims=True) / scores.shape[0]
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


def _log(p, wanted):
    """The logarithm where it is wanted, else 0."""
    return np.log(np.where(wanted, p, 1.0))


def _cross_entropy_further(
    logits, target, *, weight=None, ignore_index=None, label_smoothing=0.0, from_logits=True, reduction="mean"
):
    """With options: weights of classes, labels that do not count, smoothed labels, and other reductions than the mean.

    weight : of each class (classes,); the mean divides by the weights of the labels, as in PyTorch.
    ignore_index : a label that does not count; the mean is over the others, and 0 where there are none.
    label_smoothing : the share of each target that is spread over all classes (Szegedy et al. 2016).
    from_logits : False where `logits` are probabilities already.
    reduction : "mean" over the N examples, "sum" over them, or "none": the loss of each, (N,).
    """
    scores, target = as_real(logits), as_array(target)
    columns, n = target_columns("cross_entropy", scores, target, weight, ignore_index, label_smoothing)
    logs = log_softmax(scores, axis=0) if from_logits else _log(scores, columns != 0)
    return reduced("cross_entropy", minus_product(columns, logs), reduction, n)


def _binary_cross_entropy_further(logits, target, *, weight=None, pos_weight=None, from_logits=True, reduction="mean"):
    """With options: weights, and other reductions than the mean.

    weight : of each example (N,), or of each element; losses are multiplied by it, and the mean divides by N all the same.
    pos_weight : the same, of the part y log σ(z) only; above 1, fewer positives are missed.
    from_logits : False where `logits` are probabilities already.
    reduction : "mean" over the N examples, "sum" over them, or "none": the loss of each, (N,).
    """
    name = "binary_cross_entropy"
    if weight is None and pos_weight is None and from_logits and reduction == "mean":
        return binary_cross_entropy(logits, target)
    z, target = same_shapes(name, ("logits", "target"), logits, target)
    if not isinstance(target, Traced):
        _check_probabilities(target)
    if from_logits:
        positive, negative = target * softplus(-z), (1 - target) * softplus(z)
    else:
        positive, negative = -target * _log(z, target != 0), (target - 1) * _log(1 - z, target != 1)
    losses = weighted(f"{name}: pos_weight", positive, pos_weight) + negative
    return reduced(name, weighted(name, losses, weight), reduction)


# --- w L of an example of weight w, as L of other arguments ----------------------------------------------------------


LOSS = {"kind": "reduction", "method": False}
HOT = {"arguments": ("labels",), "defaults": {"classes": 0, "dtype": np.float64}, "samples": _hot_samples}

# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off
mse        = op(_mse, "mse({prediction}, {target})", lambda g, y, prediction, target: (prediction - target) * (g / _examples(prediction)),
                lambda g, y, prediction, target: (target - prediction) * (g / _examples(prediction)), name="mse", **LOSS, further=_mse_further,
                weighted=lambda prediction, target, w: (prediction * np.sqrt(w), target * np.sqrt(w)), samples=_pairs(),
                summary="J = 1/N Σₙ ½‖yₙ − ŷₙ‖² over N columns: d/2 times the mean over all d × N elements, which PyTorch calls MSE",
                example="tn.mse(np.array([[1.0, 2.0]]), np.array([[0.0, 2.0]]))")
l1_loss    = op(_l1, "l1({prediction}, {target})", lambda g, y, prediction, target: np.sign(prediction - target) * (g / _examples(prediction)),
                lambda g, y, prediction, target: np.sign(target - prediction) * (g / _examples(prediction)), name="l1_loss", **LOSS, further=_l1_further,
                weighted=lambda prediction, target, w: (prediction * w, target * w), samples=_pairs(),
                summary="1/N Σₙ ‖yₙ − ŷₙ‖₁ over N columns", edge_cases="the gradient of a zero error is 0.",
                example="tn.l1_loss(np.array([[1.0, 2.0]]), np.array([[0.0, 2.0]]))")
huber_loss = op(_huber, "huber({prediction}, {target})", _huber_rule, _huber_target, name="huber_loss", **LOSS, samples=_pairs(), further=_huber_further,
                summary="1/N Σₙ Σ of ½e² for |e| ≤ delta, delta(|e| − ½delta) beyond (Huber 1964)",
                example="tn.huber_loss(np.array([[1.0, 2.0]]), np.array([[0.0, 2.0]]))")
cross_entropy        = op(_cross_entropy, "CE({logits}, {target})", _cross_entropy_logits,
                          lambda g, y, logits, target: log_softmax(1.0 * logits, axis=0) * (-g / _examples(logits)), name="cross_entropy", **LOSS,
                          further=_cross_entropy_further,
                          probabilities=softmax, weighted=lambda logits, target, w: (logits, target * w), samples=_labelled,
                          summary="1/N Σₙ −log softmax(zₙ)[yₙ] of logits (classes, N) with class labels (N,) or one-hot columns (classes, N)",
                          example="tn.cross_entropy(np.array([[0.0, 9.0], [0.0, 0.0]]), np.array([0, 0]))")
binary_cross_entropy = op(_binary_cross_entropy, "BCE({logits}, {target})", lambda g, y, logits, target: (sigmoid(logits) - target) * (g / _examples(logits)),
                          lambda g, y, logits, target: logits * (-g / _examples(logits)), **LOSS, name="binary_cross_entropy", probabilities=sigmoid,
                          samples=_probable, further=_binary_cross_entropy_further,
                          summary="1/N Σₙ Σ −y log σ(z) − (1 − y) log(1 − σ(z)) of logits z, stable",
                          example="tn.binary_cross_entropy(np.array([[0.0, 9.0]]), np.array([[1.0, 1.0]]))")
label_columns = op(_label_columns, "onehot({labels})", None, name="_label_columns", part_of="cross_entropy", **HOT,
                   summary="Columns with a 1 in the row of each label, which must be one of the classes")
one_hot       = op(_one_hot,       "onehot({labels})", None, name="one_hot", **HOT, method=False,
                   summary="Columns with a 1 in the row of each label", example="tn.one_hot(np.array([0, 1]), classes=2)")
# fmt: on
