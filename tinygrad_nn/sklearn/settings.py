"""The settings of the estimators: what each may be, checked when `fit` is called, as scikit-learn does."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from tinygrad_nn import optim
from tinygrad_nn.nn.dense import find_activation
from tinygrad_nn.sklearn.losses import named
from tinygrad_nn.sklearn.solvers import BATCH_METHODS, OPTIMIZERS, batch_method
from tinygrad_nn.training.settings import Setting, choice, function_or_name, number, switch, whole

__all__ = ["SETTINGS", "check_settings"]


def _sizes(caller: str, name: str, value: Any) -> None:
    """A number of units, or one for each hidden layer."""
    several = isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) == 1
    try:
        for size in value if several else [value]:
            whole()(caller, name, size)
    except (TypeError, ValueError) as reason:
        raise type(reason)(
            f"{caller}: {name}={value!r:.60}, expected the units of each hidden layer, as (100,) or (64, 32): ints of "
            "at least 1"
        ) from None


def _activation(caller: str, name: str, value: Any) -> None:
    """The name of an activation, or a function."""
    function_or_name(caller, name, value)
    find_activation("sigmoid" if isinstance(value, str) and value == "logistic" else value, caller)


def _loss(caller: str, name: str, value: Any) -> None:
    """The name of a loss, or a function."""
    function_or_name(caller, name, value)
    named(value, caller)


def _optimizer(caller: str, name: str, value: Any) -> None:
    """The name of an optimiser, a function of the parameters, or None."""
    if value is None or (isinstance(value, type) and issubclass(value, optim.Optimizer)):
        return
    function_or_name(caller, name, value)
    if isinstance(value, str) and value.lower() not in OPTIMIZERS:
        raise ValueError(f"{caller}: there is no optimizer {value!r}; expected one of {', '.join(OPTIMIZERS)}")


def _solver(caller: str, name: str, value: Any) -> None:
    """The name of an optimiser, or of a method that sees all rows at once."""
    if not isinstance(value, str):
        raise TypeError(
            f"{caller}: {name}={value!r:.60}, expected the name of a solver, such as 'adam' or 'lbfgs'; optimizer= "
            "takes a function that makes one"
        )
    if value.lower() not in {**OPTIMIZERS, **BATCH_METHODS}:
        raise ValueError(
            f"{caller}: there is no solver {value!r}; expected an optimizer, {', '.join(OPTIMIZERS)}, or a method that "
            f"sees all rows at once, {', '.join(BATCH_METHODS)}"
        )


def _random_state(caller: str, name: str, value: Any) -> None:
    try:
        check_random_state(value)
    except (TypeError, ValueError):
        raise ValueError(f"{caller}: {name}={value!r:.60}, expected an int, a numpy RandomState, or None") from None


def _verbose(caller: str, name: str, value: Any) -> None:
    """A switch, for which scikit-learn's users also give numbers."""
    count = not isinstance(value, (str, bool, np.bool_)) and value is not None
    (whole(0) if count else switch())(caller, name, value)


def _class_weight(caller: str, name: str, value: Any) -> None:
    """Weights of the classes."""
    if value is not None and value != "balanced" and not isinstance(value, dict):
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(f"{caller}: {name}={value!r:.60}, expected a dict of weights by class, 'balanced' or None")


SETTINGS: dict[str, Setting] = {
    "hidden_layer_sizes": _sizes, "activation": _activation, "loss": _loss, "solver": _solver,
    "optimizer": _optimizer, "alpha": number(least=0), "dropout": number(least=0, below=1), "batch_norm": switch(),
    "batch_size": whole(1, "auto"), "learning_rate": choice("constant", "invscaling", "adaptive"),
    "learning_rate_init": number(above=0), "power_t": number(least=0), "max_iter": whole(), "shuffle": switch(),
    "random_state": _random_state, "tol": number(None, least=0, finite=False), "verbose": _verbose,
    "warm_start": switch(), "momentum": number(least=0, below=1), "nesterovs_momentum": switch(),
    "early_stopping": switch(), "validation_fraction": number(above=0, below=1), "beta_1": number(least=0, below=1),
    "beta_2": number(least=0, below=1), "epsilon": number(above=0), "n_iter_no_change": whole(), "max_fun": whole(),
    "class_weight": _class_weight,
}  # fmt: skip


def check_settings(estimator: Any) -> None:
    """TypeError or ValueError for a setting of a wrong type or out of range."""
    caller = type(estimator).__name__
    for name, value in estimator.get_params(deep=False).items():
        if name in SETTINGS:  # a subclass may have more
            SETTINGS[name](caller, name, value)
    if estimator.dropout and batch_method(estimator):
        raise ValueError(
            f"{caller}: dropout={estimator.dropout} changes the loss at random, and solver={estimator.solver!r} needs "
            "one that stays: take solver='adam', or dropout=0"
        )
