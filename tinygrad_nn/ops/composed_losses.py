"""Losses composed of operations: of log-probabilities, of margins, and of angles; examples are columns."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.errors import ShapeError, label
from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.elementwise import as_real, relu
from tinygrad_nn.ops.reductions import vector_norm
from tinygrad_nn.ops.targets import minus_product, reduced, same_shapes, target_columns, weighted
from tinygrad_nn.registry import implements

# --- of log-probabilities ---------------------------------------------------------------------------------------------


@implements(method=False, takes="log-probabilities")
def nll_loss(log_probabilities, target, *, weight=None, ignore_index=None, reduction="mean"):
    """Negative log-likelihood: 1/N Σₙ −log pₙ[yₙ] of log-probabilities (classes, N) and class labels (N,).

    `cross_entropy` of logits is this of their `log_softmax`.  The target may be columns (classes, N) as well.

    Parameters
    ----------
    weight : of each class (classes,); the mean divides by the weights of the labels, as in PyTorch.
    ignore_index : a label that does not count; the mean is over the others, and 0 where there are none.
    reduction : "mean" over the N examples, "sum" over them, or "none": the loss of each, (N,).

    Raises
    ------
    ShapeError, ValueError : as `cross_entropy`.

    >>> import numpy as np, tinygrad_nn as tn
    >>> float(tn.nll_loss(np.log([[0.5, 0.25], [0.5, 0.75]]), np.array([0, 0])) / np.log(2))
    1.5
    """
    logs, target = as_real(log_probabilities), as_array(target)
    columns, n = target_columns("nll_loss", logs, target, weight, ignore_index)
    return reduced("nll_loss", minus_product(columns, logs), reduction, n)


@implements(method=False, takes="log-probabilities")
def kl_div(log_prediction, target, *, log_target=False, reduction="mean"):
    """Kullback-Leibler divergence of columns: 1/N Σₙ Σ p log(p / q), of log q and of p (or log p with `log_target`).

    The mean is over the N examples, which PyTorch calls "batchmean".  Where p is 0, so is its part.

    Raises ShapeError for unequal shapes: losses never broadcast.

    >>> import numpy as np, tinygrad_nn as tn
    >>> p = np.array([[0.5], [0.5]])
    >>> float(tn.kl_div(np.log(p), p))
    0.0
    """
    logs, target = same_shapes("kl_div", ("log_prediction", "target"), log_prediction, target)
    if log_target:
        return reduced("kl_div", np.exp(target) * (target - logs), reduction)
    empty = target == 0
    ratio = np.log(np.where(empty, 1.0, target)) - np.where(empty, 0.0, logs)
    return reduced("kl_div", target * ratio, reduction)


# --- of margins -------------------------------------------------------------------------------------------------------


@implements(method=False, takes="signs")
def hinge_loss(prediction, target, *, margin=1.0, weight=None, reduction="mean"):
    """1/N Σₙ Σ max(0, margin − y·ŷ) of predictions and targets of 1 and −1 (support vector machines).

    `weight` and `reduction` are those of `mse`.  The gradient at the margin itself is 0.

    >>> import numpy as np, tinygrad_nn as tn
    >>> float(tn.hinge_loss(np.array([[2.0, 0.5, 0.5]]), np.array([[1.0, 1.0, -1.0]])))   # (0 + 0.5 + 1.5) / 3
    0.6666666666666666
    """
    prediction, target = same_shapes("hinge_loss", ("prediction", "target"), prediction, target)
    losses = weighted("hinge_loss", relu(margin - target * prediction), weight)
    return reduced("hinge_loss", losses, reduction)


@implements(method=False)
def multi_margin_loss(scores, target, *, margin=1.0, power=1, weight=None, reduction="mean"):
    """1/N Σₙ 1/C Σ_{i≠yₙ} max(0, margin − s[yₙ] + s[i])^power, of scores (C, N) and class labels (N,).

    `weight` is that of the label's class (C,); the mean divides by N all the same, as in PyTorch.

    >>> import numpy as np, tinygrad_nn as tn
    >>> float(tn.multi_margin_loss(np.array([[3.0], [2.5], [0.0]]), np.array([0])))   # (0.5 + 0) / 3
    0.16666666666666666
    """
    scores, target = as_real(scores), as_array(target)
    columns, _ = target_columns("multi_margin_loss", scores, target, weight)
    chosen = columns != 0
    wanted = np.sum(np.where(chosen, scores, 0.0), axis=0, keepdims=True)
    gaps = np.where(chosen, 0.0, relu(margin - wanted + scores) ** power)
    shares = np.sum(columns, axis=0, keepdims=True) / scores.shape[0]
    return reduced("multi_margin_loss", gaps * shares, reduction)


@implements(method=False)
def margin_ranking_loss(a, b, target, *, margin=0.0, reduction="mean"):
    """1/N Σₙ Σ max(0, margin − y·(a − b)): a is to be above b where y is 1, below where it is −1.

    >>> import numpy as np, tinygrad_nn as tn
    >>> float(tn.margin_ranking_loss(np.array([[3.0, 1.0]]), np.array([[2.0, 2.0]]), np.array([[1.0, 1.0]])))
    0.5
    """
    a, b = same_shapes("margin_ranking_loss", ("a", "b"), a, b)
    a, target = same_shapes("margin_ranking_loss", ("a", "target"), a, target)
    return reduced("margin_ranking_loss", relu(margin - target * (a - b)), reduction)


# --- of angles --------------------------------------------------------------------------------------------------------


@implements(method=False)
def cosine_similarity(a, b, *, axis=0, eps=1e-8):
    """a·b / (‖a‖ ‖b‖) along an axis: of columns by default.  Norms below `eps` count as `eps`.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.cosine_similarity(np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[2.0, -1.0], [0.0, -1.0]]))
    array([ 1., -1.])
    """
    a, b = as_real(a), as_real(b)
    lengths = [np.maximum(vector_norm(x, axis=axis), eps) for x in (a, b)]
    return np.sum(a * b, axis=axis) / (lengths[0] * lengths[1])


@implements(method=False)
def cosine_embedding_loss(a, b, target, *, margin=0.0, reduction="mean"):
    """1/N Σₙ of 1 − cos(aₙ, bₙ) where yₙ is 1, and max(0, cos(aₙ, bₙ) − margin) where it is −1.

    a and b are columns (d, N), the target is (N,).  ShapeError for shapes that do not fit.

    >>> import numpy as np, tinygrad_nn as tn
    >>> a, b = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[2.0, 1.0], [0.0, 1.0]])
    >>> round(float(tn.cosine_embedding_loss(a, b, np.array([1, -1]))), 12)   # (0 + 1) / 2
    0.5
    """
    a, b = same_shapes("cosine_embedding_loss", ("a", "b"), a, b)
    target = as_array(target)
    if target.shape != a.shape[1:]:
        raise ShapeError(
            f"cosine_embedding_loss: a has shape {a.shape}, {label(target, 'target')} has shape {target.shape}; "
            f"expected {a.shape[1:]}, 1 or −1 for each column"
        )
    cosine = np.reshape(cosine_similarity(a, b), (1, *target.shape))  # a row: one number for each example
    losses = np.where(target > 0, 1 - cosine, relu(cosine - margin))
    return reduced("cosine_embedding_loss", losses, reduction)
