"""Which part of a model is code that this package does not know: it may depend on anything, and do anything."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.modes import enable_grad, no_grad
from tinygrad_nn.nn.module import Module
from tinygrad_nn.operation import BY_NAME, Op

__all__ = ["foreign_code", "foreign_layer", "is_listed", "measuring", "name_of"]


def measuring(model: Any, loss: Any = None) -> Any:
    """The mode in which a model is asked as in prediction: nothing is recorded, unless it may ask for derivatives.

    A forward pass or a loss that is not this package's may take an inner derivative, as physics-informed and
    Hamiltonian networks do.
    """
    known = isinstance(model, Module) and not foreign_layer(model) and (loss is None or is_listed(loss))
    return no_grad() if known else enable_grad()


def foreign_layer(model: Module) -> str:
    """Which layer of a model has code that is not of this package, and why; "" if none has."""
    for path, module in model.named_modules():
        if reason := foreign_code(module, "tn.nn"):
            return f"{f'layer {path}' if path else 'the model'} {reason}"
    return ""


def foreign_code(x: Any, package: str) -> str:
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
        if callable(value) and not isinstance(value, Module) and not is_listed(value):
            return f"calls {name_of(value)}, which is not of the tables"
        if isinstance(value, np.random.Generator) and type(value) is not np.random.Generator:
            return f"draws from a {type(value).__name__}, which is not NumPy's"
    return ""


def is_listed(x: Any) -> bool:
    """Whether it is an operation of the tables."""
    return isinstance(x, Op) and BY_NAME.get(x.name) is x


def _is_ours(member: Any) -> bool:
    """Whether a member of a class was written in this package; attributes that are no functions count as such."""
    function = getattr(member, "__func__", member)
    return not callable(function) or str(getattr(function, "__module__", "")).startswith("tinygrad_nn.")


def name_of(function: Any) -> str:
    """What a function is called; a partial one as what it calls."""
    function = getattr(function, "func", function)
    return getattr(function, "__name__", type(function).__name__)
