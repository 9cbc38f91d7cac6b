"""What `fit` compiles: the two functions of a step, where everything that they depend on can be listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_nn import replay
from tinygrad_nn.nn import Module
from tinygrad_nn.operation import BY_NAME, Op
from tinygrad_nn.optim import Optimizer
from tinygrad_nn.training.metrics import BUILT_IN, Measure

__all__ = ["STEPS_WORTH_COMPILING", "Compiled", "what_fit_cannot_list"]

# Of all epochs, so that a resumed training makes the same choice as an uninterrupted one.
STEPS_WORTH_COMPILING = 300


class Compiled:
    """A function of a batch, compiled for the shapes of the first one; batches of other shapes are carried out eagerly.

    So is everything, if it cannot be compiled and need not (`must`): `refused` is then called with the reason.
    """

    def __init__(self, function: Callable, must: bool, refused: Callable[[str], None]):
        self.function, self.must, self.refused = function, must, refused
        self.call: Callable = replay.compile(function)
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
        except Exception as reason:
            could_not = isinstance(reason, replay.CompileError) or replay.RECORDING in getattr(reason, "__notes__", ())
            if self.must or not could_not:
                raise
            self.refused(str(reason))
            self.call = self.function
            return self.function(*batch)


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
