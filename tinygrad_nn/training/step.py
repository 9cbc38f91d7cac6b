"""The parts of a step, as functions that depend on nothing but what they are made with: so they can be compiled.

Between them a step checks that all numbers are finite, while the parameters are still those that the batch was computed
with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.nn import Module
from tinygrad_nn.optim import Optimizer
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.training.metrics import Measure

__all__ = ["clipped_update_of", "gradient_of", "search_of", "squared_norms"]

# (X, Y) -> J, the prediction if it is kept, ‖∂J/∂w‖² of each parameter
Gradient = Callable[[Any, Any], tuple[Any, Any, list[Any]]]


def squared_norms(params: list[Tensor]) -> list[Any]:
    """‖∂J/∂w‖² of each parameter."""
    flat = [None if p.grad is None else p.grad.ravel() for p in params]
    return [0.0 if g is None else np.dot(g, g) for g in flat]


def gradient_of(model: Module, loss: Measure, params: list[Tensor], keep: bool) -> Gradient:
    """Forward pass, cost, backpropagation."""

    def gradient(X: Any, Y: Any) -> tuple[Any, Any, list[Any]]:
        prediction = model(X)
        J = loss(prediction, Y)
        J.backward()
        return J, prediction if keep else None, squared_norms(params)

    return gradient


def clipped_update_of(optimizer: Optimizer, params: list[Tensor]) -> Callable[[Any], None]:
    """The optimiser's step with gradients multiplied by a factor, an array of one number."""

    def update(factor: Any) -> None:
        for p in params:
            if p.grad is not None:
                p.grad = p.grad * factor.astype(p.dtype)
        optimizer.step()

    return update


def search_of(model: Module, loss: Measure, params: list[Tensor], optimizer: Optimizer) -> Gradient:
    """The whole step of an optimiser that computes cost and gradient itself, as often as it wants."""

    def search(X: Any, Y: Any) -> tuple[Any, Any, list[Any]]:
        predictions = []

        def cost() -> Tensor:
            predictions.append(model(X))
            return loss(predictions[-1], Y)

        step: Any = optimizer.step
        return step(cost), predictions[0], squared_norms(params)

    return search
