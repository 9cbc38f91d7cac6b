"""Losses of an estimator: weighted by example, with a penalty, and what makes probabilities of their logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_nn.nn import Sequential, l2_penalty
from tinygrad_nn.operation import Op
from tinygrad_nn.training import find_loss

__all__ = ["Loss", "activation_of", "for_each_output", "named", "regularised", "takes_classes", "weighted"]

Loss = Callable[[Any, Any], Any]
_NAMES = {"squared_error": "mse", "auto": "cross_entropy"}  # scikit-learn's name; what "auto" is of several classes


def named(loss: str | Loss, caller: str) -> Loss:
    """The loss of this name, or the function itself."""
    return find_loss(_NAMES.get(loss, loss) if isinstance(loss, str) else loss, caller)


def weighted(loss: Loss) -> Loss:
    """The mean of w L over examples, where w is the last row of the targets."""
    rule = loss.training.weighted if isinstance(loss, Op) else None
    by_example = isinstance(loss, Op) and for_each_output(loss)  # whose option `weight` is of examples

    def of_weighted(prediction: Any, target: Any) -> Any:
        target, w = target[:-1], target[-1:]
        if rule is not None:
            return loss(*rule(prediction, target, w))
        if by_example:
            return loss(prediction, target, weight=w[0])  # type: ignore[call-arg]
        # Any other: its value is the unweighted one, its gradient that of the weighted one.
        return loss(prediction * w + prediction.detach() * (1 - w), target)

    return of_weighted


def activation_of(loss: Loss) -> Op | None:
    """The activation that makes probabilities of the logits that a loss takes; None where it takes none."""
    whole, of_logits = getattr(loss, "func", loss), getattr(loss, "keywords", {}).get("from_logits", True)
    return whole.training.probabilities if isinstance(whole, Op) and of_logits else None


def takes_classes(loss: Loss) -> bool:
    """Whether it compares classes with their probabilities, or with the logits that these are made of."""
    whole = getattr(loss, "func", loss)
    return isinstance(whole, Op) and whole.training.probabilities is not None


def for_each_output(loss: Loss) -> bool:
    """Whether it takes logits, each of a yes or no of its own, as binary cross-entropy does."""
    activation = activation_of(loss)
    return activation is not None and activation.kind == "elementwise"


def regularised(loss: Loss, model: Sequential, alpha: float) -> Loss:
    """The loss and ½ alpha ‖W‖²/n, of batches of n examples, as in scikit-learn."""

    def with_penalty(prediction: Any, target: Any) -> Any:
        return loss(prediction, target) + l2_penalty(model, alpha / prediction.shape[1])

    return with_penalty
