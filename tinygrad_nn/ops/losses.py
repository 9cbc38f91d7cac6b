"""Costs of a batch whose examples are columns: J = 1/N Σₙ Lₙ, the mean over examples of the sum over outputs."""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_nn.foreign import is_foreign
from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.elementwise import as_real, quiet, sigmoid, softplus
from tinygrad_nn.ops.precision import single
from tinygrad_nn.ops.reductions import log_probabilities, log_softmax, softmax
from tinygrad_nn.ops.targets import (
    are_labels,
    check_equal,
    check_probabilities,
    check_within,
    examples,
    label_columns,
    minus_product,
    reduced,
    same_shapes,
    target_columns,
    weighted,
)
from tinygrad_nn.registry import op


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
    check_equal(prediction, target)
    error = np.subtract(prediction, target)
    if type(error) is not np.ndarray and is_foreign(error):
        return np.sum(error * error) / (2 * examples(prediction))
    error = error.ravel()
    return error.dot(error) / (2 * examples(prediction))


@_summed_wide
def _l1(prediction, target):
    check_equal(prediction, target)
    return np.sum(np.abs(np.subtract(prediction, target))) / examples(prediction)


def _check_delta(delta):
    if not delta > 0:
        raise ValueError(f"huber_loss: delta={delta}; expected the size of an error, above 0, where the pieces meet")


@_summed_wide
def _huber(prediction, target, delta=1.0):
    check_equal(prediction, target)
    _check_delta(delta)
    size = np.abs(np.subtract(prediction, target))
    inside = np.minimum(size, delta)
    return np.sum(inside * (size - 0.5 * inside)) / examples(prediction)


# --- cross-entropy ---------------------------------------------------------------------------------------------------


@_summed_wide
def _cross_entropy(logits, target):
    if are_labels(logits, target):
        hot = label_columns(target, classes=logits.shape[0], dtype=logits.dtype)
        chosen = log_probabilities(logits)
        if is_foreign(target):  # a label that is no class is a column of NaN, which the cost then shows
            chosen = hot * chosen
        return -np.sum(np.where(hot == 0, 0, chosen)) / examples(logits)
    return -np.sum(target * np.where(target == 0, 0, log_probabilities(logits))) / examples(logits)


def _cross_entropy_logits(g, y, logits, target):
    target, n = as_array(target), examples(logits)
    if target.ndim < logits.ndim:
        hot = label_columns(target, classes=logits.shape[0], dtype=logits.dtype)
        return (softmax(logits, axis=0) - hot) * (single(g) / n)
    return (softmax(logits, axis=0) * np.sum(target, axis=0, keepdims=True) - target) * (single(g) / n)


@_summed_wide
def _binary_cross_entropy(logits, target):
    check_equal(logits, target)
    logits, target = as_array(logits), as_array(target)
    check_probabilities(target)
    with quiet():
        return np.sum(np.maximum(logits, 0) - logits * target + np.log1p(np.exp(-np.abs(logits)))) / examples(logits)


def _pairs(*shapes):
    return lambda rng: [((rng.normal(size=s), rng.normal(size=s)), {}) for s in (shapes or ((3, 4), (3,), ()))]


def _labelled(rng):
    one_hot_columns = np.eye(3)[:, [0, 2, 2, 1]]
    return [
        ((rng.normal(size=(3, 4)), np.array([0, 2, 2, 1])), {}),
        ((rng.normal(size=(3, 4)), one_hot_columns * 0.8 + 0.1), {}),
        ((rng.normal(size=3), np.array(1)), {}),
    ]


def _probable(rng):
    shapes = ((1, 4), (3, 4), (3,), ())
    return [((rng.normal(size=s), rng.random(size=s) * 0.8 + 0.1), {}) for s in shapes]


# --- of probabilities ------------------------------------------------------------------------------------------------


def _log_probability(p):
    """The logarithm, but not below −100, as in PyTorch: a wrong prediction that is certain has a finite cost."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.maximum(np.log(as_real(p)), -100.0)


def _log_complement(p):
    """log(1 − p) in the same way."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.maximum(np.log1p(-as_real(p)), -100.0)


# --- derivatives -----------------------------------------------------------------------------------------------------


def _huber_rule(g, y, prediction, target, delta=1.0):
    return np.clip(prediction - target, -delta, delta) * (single(g) / examples(prediction))


def _huber_target(g, y, prediction, target, delta=1.0):
    return np.clip(target - prediction, -delta, delta) * (single(g) / examples(prediction))


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
    _check_delta(delta)

    def of_error(e):
        size = np.abs(e)
        inside = np.minimum(size, delta)
        return inside * (size - 0.5 * inside)

    if weight is None and reduction == "mean":
        return huber_loss(prediction, target, delta=delta)
    return _of_errors(huber_loss, prediction, target, weight, reduction, of_error)


def _cross_entropy_further(
    logits, target, *, weight=None, ignore_index=None, label_smoothing=0.0, from_logits=True, reduction="mean"
):
    """With options: weights of classes, labels that do not count, smoothed labels, and other reductions than the mean.

    weight : of each class (classes,); the mean divides by the weights of the labels, as in PyTorch.
    ignore_index : a label that does not count; the mean is over the others, and 0 where there are none.
    label_smoothing : the share of each target that is spread over all classes (Szegedy et al. 2016).
    from_logits : False where `logits` are probabilities already, from 0 to 1; their logarithm is then at least −100.
    reduction : "mean" over the N examples, "sum" over them, or "none": the loss of each, (N,).
    """
    scores, target = as_real(logits), as_array(target)
    columns, n = target_columns("cross_entropy", scores, target, weight, ignore_index, label_smoothing)
    if not from_logits:
        check_within("cross_entropy", scores)
    logs = log_softmax(scores, axis=0) if from_logits else log_probability(scores)
    return reduced("cross_entropy", minus_product(columns, logs), reduction, n)


def _binary_cross_entropy_further(logits, target, *, weight=None, pos_weight=None, from_logits=True, reduction="mean"):
    """With options: weights, and other reductions than the mean.

    weight : of each example (N,), or of each element; losses are multiplied by it, and the mean divides by N all the same.
    pos_weight : the same, of the part y log σ(z) only; above 1, fewer positives are missed.
    from_logits : False where `logits` are probabilities already, from 0 to 1; their logarithm is then at least −100.
    reduction : "mean" over the N examples, "sum" over them, or "none": the loss of each, (N,).
    """
    name = "binary_cross_entropy"
    if weight is None and pos_weight is None and from_logits and reduction == "mean":
        return binary_cross_entropy(logits, target)
    z, target = same_shapes(name, ("logits", "target"), logits, target)
    check_probabilities(target)
    if from_logits:
        positive, negative = target * softplus(-z), (1 - target) * softplus(z)
    else:
        check_within(name, z)
        positive, negative = -target * log_probability(z), (target - 1) * log_complement(z)
    losses = weighted(f"{name}: pos_weight", positive, pos_weight) + negative
    return reduced(name, weighted(name, losses, weight), reduction)


def _loss(further, **weight):
    """What the entries of losses share: within vmap a loss is composed, as calls with options are."""
    composed = functools.partial(further, **weight)
    return {"kind": "reduction", "method": False, "further": further, "composed": composed}


# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off
log_probability = op(_log_probability, "log {p}", lambda g, y, p: g / np.maximum(single(p), 1e-12), name="_log_probability", kind="elementwise",
                     domain=(0.05, 1), activation=False, part_of="binary_cross_entropy", summary="Logarithm of a probability, at least −100",
                     edge_cases="the gradient is at most 10¹², which draws a certain error back.")
log_complement  = op(_log_complement, "log(1 − {p})", lambda g, y, p: -g / np.maximum(1 - single(p), 1e-12), name="_log_complement", kind="elementwise",
                     domain=(0, 0.95), activation=False, part_of="binary_cross_entropy", summary="log(1 − p) of a probability, at least −100")
mse        = op(_mse, "mse({prediction}, {target})", lambda g, y, prediction, target: (prediction - target) * (single(g) / examples(prediction)),
                lambda g, y, prediction, target: (target - prediction) * (single(g) / examples(prediction)), name="mse", **_loss(_mse_further, weight=1.0),
                weighted=lambda prediction, target, w: (prediction * np.sqrt(w), target * np.sqrt(w)), samples=_pairs(),
                summary="J = 1/N Σₙ ½‖yₙ − ŷₙ‖² over N columns: d/2 times the mean over all d × N elements, which PyTorch calls MSE",
                example="tn.mse(np.array([[1.0, 2.0]]), np.array([[0.0, 2.0]]))")
l1_loss    = op(_l1, "l1({prediction}, {target})", lambda g, y, prediction, target: np.sign(prediction - target) * (single(g) / examples(prediction)),
                lambda g, y, prediction, target: np.sign(target - prediction) * (single(g) / examples(prediction)), name="l1_loss",
                **_loss(_l1_further, weight=1.0), weighted=lambda prediction, target, w: (prediction * w, target * w), samples=_pairs(),
                summary="1/N Σₙ ‖yₙ − ŷₙ‖₁ over N columns", edge_cases="the gradient of a zero error is 0.",
                example="tn.l1_loss(np.array([[1.0, 2.0]]), np.array([[0.0, 2.0]]))")
huber_loss = op(_huber, "huber({prediction}, {target})", _huber_rule, _huber_target, name="huber_loss", **_loss(_huber_further, weight=1.0), samples=_pairs(),
                summary="1/N Σₙ Σ of ½e² for |e| ≤ delta, delta(|e| − ½delta) beyond (Huber 1964)",
                example="tn.huber_loss(np.array([[1.0, 2.0]]), np.array([[0.0, 2.0]]))")
cross_entropy        = op(_cross_entropy, "CE({logits}, {target})", _cross_entropy_logits,
                          lambda g, y, logits, target: log_softmax(1.0 * logits, axis=0) * (-single(g) / examples(logits)),
                          **_loss(_cross_entropy_further), name="cross_entropy", probabilities=softmax,
                          weighted=lambda logits, target, w: (logits, target * w), samples=_labelled,
                          summary="1/N Σₙ −log softmax(zₙ)[yₙ] of logits (classes, N) with class labels (N,) or one-hot columns (classes, N)",
                          example="tn.cross_entropy(np.array([[0.0, 9.0], [0.0, 0.0]]), np.array([0, 0]))")
binary_cross_entropy = op(_binary_cross_entropy, "BCE({logits}, {target})",
                          lambda g, y, logits, target: (sigmoid(logits) - target) * (single(g) / examples(logits)),
                          lambda g, y, logits, target: logits * (-single(g) / examples(logits)), **_loss(_binary_cross_entropy_further, weight=1.0),
                          name="binary_cross_entropy", probabilities=sigmoid, samples=_probable,
                          summary="1/N Σₙ Σ −y log σ(z) − (1 − y) log(1 − σ(z)) of logits z, stable",
                          example="tn.binary_cross_entropy(np.array([[0.0, 9.0]]), np.array([[1.0, 1.0]]))")
# fmt: on
