"""Losses of an estimator: weighted by example, with a penalty, and what makes probabilities of their logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_nn.nn import Sequential, l2_penalty
from tinygrad_nn.operation import Op

__all__ = ["Loss", "activation_of", "regularised", "weighted"]

Loss = Callable[[Any, Any], Any]


def weighted(loss: Loss) -> Loss:
    """The mean of w L over examples, where w is the last row of the targets."""
    rule = loss.training.weighted if isinstance(loss, Op) else None

    def of_weighted(prediction: Any, target: Any) -> Any:
        target, w = target[:-1], target[-1:]
        if rule is not None:
            return loss(*rule(prediction, target, w))
        # Any other: its value is the unweighted one, its gradient that of the weighted one.
        return loss(prediction * w + prediction.detach() * (1 - w), target)

    return of_weighted


def activation_of(loss: Loss) -> Op | None:
    """The activation that makes probabilities of the logits that a loss takes; None where it takes none."""
    whole, of_logits = getattr(loss, "func", loss), getattr(loss, "keywords", {}).get("from_logits", True)
    return whole.training.probabilities if isinstance(whole, Op) and of_logits else None


def regularised(loss: Loss, model: Sequential, alpha: float) -> Loss:
    """The loss and ½ alpha ‖W‖²."""
    return lambda prediction, target: loss(prediction, target) + l2_penalty(model, alpha)
