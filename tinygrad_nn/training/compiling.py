"""The functions of a step, which depend on nothing but what they are made with, and when `fit` compiles them.

Between them a step checks that all numbers are finite, while the parameters are still those of the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_nn.compiler import compile as compile_step
from tinygrad_nn.compiler.engines import is_installed
from tinygrad_nn.errors import CompileError
from tinygrad_nn.nn import Module
from tinygrad_nn.nn.foreign import foreign_code, foreign_layer, is_listed, name_of
from tinygrad_nn.optim import Optimizer
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.training.lookup import Measure
from tinygrad_nn.training.scores import Score

__all__ = [
    "STEPS_WORTH_COMPILING", "Compiled", "clipped_update_of", "engine_worth", "gradient_of", "search_of",
    "what_fit_cannot_list",
]  # fmt: skip

# Of all epochs, so that a resumed training makes the same choice as an uninterrupted one.
STEPS_WORTH_COMPILING = 300
# Numba takes about three seconds for the functions of a step, and saves about 15 µs a step of a small network.
_STEPS_WORTH_NUMBA = 200_000

# (X, Y or Y and the examples' shares) -> J, the prediction if it is kept, ‖∂J/∂w‖² of each parameter
Gradient = Callable[..., tuple[Any, Any, list[Any]]]
Look = Callable[[Any, Any], None]  # at a prediction and its J, with the graph between them


def _squared_norms(params: list[Tensor]) -> list[Any]:
    """‖∂J/∂w‖² of each parameter, as it stands: where a square is too large or too small, `Run` looks again."""
    flat = [None if p.grad is None else p.grad.ravel() for p in params]
    return [0.0 if g is None else np.dot(g, g) for g in flat]


def gradient_of(model: Module, loss: Measure, cost: Callable, params: list[Tensor], keep: bool, look: Look) -> Gradient:
    """Forward pass, loss, or cost where examples have shares of it, and backpropagation."""

    def gradient(X: Any, Y: Any, *shares: Any) -> tuple[Any, Any, list[Any]]:
        prediction = model(X)
        J = cost(prediction, Y, *shares) if shares else loss(prediction, Y)
        look(prediction, J)
        J.backward()
        return J, prediction if keep else None, _squared_norms(params)

    return gradient


def clipped_update_of(optimizer: Optimizer, params: list[Tensor]) -> Callable[[Any], None]:
    """The optimiser's step with gradients multiplied by a factor, an array of one number in float64.

    In float32 it could be 0: that of a gradient of 1e38 is.
    """

    def update(factor: Any) -> None:
        for p in params:
            if p.grad is not None:
                p.grad = (p.grad * factor).astype(p.dtype)
        optimizer.step()

    return update


def search_of(model: Module, cost: Callable, params: list[Tensor], optimizer: Optimizer, look: Look) -> Gradient:
    """The whole step of an optimiser that computes cost and gradient itself, as often as it wants."""

    def search(X: Any, *target: Any) -> tuple[Any, Any, list[Any]]:
        predictions = []

        def closure() -> Tensor:
            predictions.append(model(X))
            J = cost(predictions[-1], *target)
            look(predictions[-1], J)
            return J

        step: Any = optimizer.step
        return step(closure), predictions[0], _squared_norms(params)

    return search


class Compiled:
    """A function of a batch, compiled for the shapes of the first one; batches of other shapes are carried out eagerly.

    So is everything, if it cannot be compiled and need not (`must`): `refused` is then called with the reason.
    """

    def __init__(self, function: Callable, must: bool, refused: Callable[[str], None], **engine: Any):
        self.function, self.must, self.refused = function, must, refused
        self.call: Callable = compile_step(function, **engine)
        self.shapes: Any = None

    def __call__(self, *batch: Any) -> Any:
        """What the function returns."""
        shapes = [part.shape for part in batch]
        if self.shapes is None:
            self.shapes = shapes
        if shapes != self.shapes:
            return self.function(*batch)
        try:
            return self.call(*batch)
        except CompileError as reason:
            if self.must:
                raise
            self.refused(str(reason))
            self.call = self.function
            return reason.result if hasattr(reason, "result") else self.function(*batch)  # if it has ended all the same


def engine_worth(engine: str, steps: float) -> str:
    """The engine for so many steps: of "auto", numba where it is installed and there are many; they agree to the bit.

    >>> engine_worth("auto", 1000), engine_worth("jax", 1000)
    ('numpy', 'jax')
    """
    if engine != "auto":
        return engine
    return "numba" if steps >= _STEPS_WORTH_NUMBA and is_installed("numba") else "numpy"


def what_fit_cannot_list(model: Module, loss: Measure, optimizer: Optimizer, metrics: Mapping[str, Measure]) -> str:
    """Which part of a step is code that may depend on anything; "" if all of it is this package's.

    >>> import tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh"), tn.nn.Dense(3, 1))
    >>> optimizer = tn.optim.Adam(model.parameters())
    >>> what_fit_cannot_list(model, tn.mse, optimizer, {})
    ''
    >>> what_fit_cannot_list(model, lambda prediction, target: tn.mse(prediction, target), optimizer, {})
    'the loss <lambda> is not of the tables'
    """
    if reason := foreign_layer(model):
        return reason
    if not is_listed(loss):
        return f"the loss {name_of(loss)} is not of the tables"
    if reason := foreign_code(optimizer, "tn.optim"):
        return f"the optimizer {reason}"
    for name, metric in metrics.items():
        if not isinstance(metric, Score):
            return f"the metric {name} is not one of fit's own"
    return ""
