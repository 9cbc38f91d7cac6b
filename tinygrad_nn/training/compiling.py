"""The functions of a step, which depend on nothing but what they are made with, and when `fit` compiles them.

Between them a step checks that all numbers are finite, while the parameters are still those of the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_nn.compiler import compile as compile_step
from tinygrad_nn.errors import CompileError
from tinygrad_nn.nn import Module
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.optim import Optimizer
from tinygrad_nn.tensor import Tensor
from tinygrad_nn.training.metrics import BUILT_IN, Measure

__all__ = [
    "STEPS_WORTH_COMPILING", "Compiled", "clipped_update_of", "gradient_of", "search_of", "what_fit_cannot_list",
]  # fmt: skip

# Of all epochs, so that a resumed training makes the same choice as an uninterrupted one.
STEPS_WORTH_COMPILING = 300

# (X, Y) -> J, the prediction if it is kept, ‖∂J/∂w‖² of each parameter
Gradient = Callable[[Any, Any], tuple[Any, Any, list[Any]]]


def _squared_norms(params: list[Tensor]) -> list[Any]:
    """‖∂J/∂w‖² of each parameter."""
    flat = [None if p.grad is None else p.grad.ravel() for p in params]
    return [0.0 if g is None else np.dot(g, g) for g in flat]


def gradient_of(model: Module, loss: Measure, params: list[Tensor], keep: bool) -> Gradient:
    """Forward pass, cost, backpropagation."""

    def gradient(X: Any, Y: Any) -> tuple[Any, Any, list[Any]]:
        prediction = model(X)
        J = loss(prediction, Y)
        J.backward()
        return J, prediction if keep else None, _squared_norms(params)

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
        return step(cost), predictions[0], _squared_norms(params)

    return search


class Compiled:
    """A function of a batch, compiled for the shapes of the first one; batches of other shapes are carried out eagerly.

    So is everything, if it cannot be compiled and need not (`must`): `refused` is then called with the reason.
    """

    def __init__(self, function: Callable, must: bool, refused: Callable[[str], None]):
        self.function, self.must, self.refused = function, must, refused
        self.call: Callable = compile_step(function)
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
    for path, module in model.named_modules():
        if reason := _foreign_code(module, "tn.nn"):
            return f"{f'layer {path}' if path else 'the model'} {reason}"
    if not _is_listed(loss):
        return f"the loss {_name(loss)} is not of the tables"
    if reason := _foreign_code(optimizer, "tn.optim"):
        return f"the optimizer {reason}"
    for name, metric in metrics.items():
        if metric not in BUILT_IN:
            return f"the metric {name} is not one of fit's own"
    return ""


def _foreign_code(x: Any, package: str) -> str:
    """What in a layer or an optimiser is not this package's code, or ""."""
    kind = type(x)
    if not f"{kind.__module__}.".startswith(package.replace("tn.", "tinygrad_nn.") + "."):
        return f"is of type {kind.__name__}, which is not of {package}"
    for parent in kind.__mro__[:-1]:
        for name, member in vars(parent).items():
            if not _is_ours(member):
                return f"has another {kind.__name__}.{name} than the package"
    for name, value in vars(x).items():
        if callable(getattr(kind, name, None)):
            return f"has a {name} of its own"
        if callable(value) and not isinstance(value, Module) and not _is_listed(value):
            return f"calls {_name(value)}, which is not of the tables"
        if isinstance(value, np.random.Generator) and type(value) is not np.random.Generator:
            return f"draws from a {type(value).__name__}, which is not NumPy's"
    return ""


def _is_listed(x: Any) -> bool:
    return isinstance(x, Op) and BY_NAME.get(x.name) is x


def _is_ours(member: Any) -> bool:
    """Whether a member of a class was written in this package; attributes that are no functions count as such."""
    function = getattr(member, "__func__", member)
    return not callable(function) or str(getattr(function, "__module__", "")).startswith("tinygrad_nn.")


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)
