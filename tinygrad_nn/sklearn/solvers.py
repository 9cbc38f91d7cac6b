"""What solves: an optimiser of `tn.optim`, epoch by epoch, or a method of `tn.optim.minimize`, on all rows at once."""

from __future__ import annotations

from typing import Any

from tinygrad_nn import optim
from tinygrad_nn.optim.batch import METHODS

__all__ = [
    "BATCH_METHODS",
    "OPTIMIZERS",
    "batch_method",
    "goes_by_epochs",
    "make_optimizer",
    "slowed",
    "solver_settings",
]

_KINDS = {name.lower(): getattr(optim, name) for name in optim.__all__}
OPTIMIZERS = {
    name: kind
    for name, kind in _KINDS.items()
    if isinstance(kind, type) and issubclass(kind, optim.Optimizer) and kind is not optim.Optimizer
}
BATCH_METHODS = {"lbfgs": "L-BFGS-B", **METHODS}  # the first is scikit-learn's name
_SMALLEST = 1e-6  # the learning rate at which "adaptive" ends


def batch_method(estimator: Any) -> str | None:
    """The method of `tn.optim.minimize` that `solver` names; None if it is an optimiser."""
    return None if estimator.optimizer is not None else BATCH_METHODS.get(estimator.solver.lower())


def goes_by_epochs(estimator: Any) -> bool:
    """True; AttributeError where `solver` sees all rows at once, so that there is no `partial_fit`."""
    if isinstance(estimator.solver, str) and batch_method(estimator) is not None:
        raise AttributeError(
            f"{type(estimator).__name__}: partial_fit goes on by epochs, and solver={estimator.solver!r} sees all rows "
            "at once: take solver='adam', or another optimiser"
        )
    return True


def solver_settings(estimator: Any) -> tuple:
    """The settings that an optimiser is made with: where they change, it is made anew."""
    names = "solver", "optimizer", "learning_rate_init", "momentum", "nesterovs_momentum", "beta_1", "beta_2", "epsilon"
    return tuple(getattr(estimator, name) for name in names)


def make_optimizer(estimator: Any, params: list[Any]) -> Any:
    """The optimiser of an estimator."""
    given, rate = estimator.optimizer, estimator.learning_rate_init
    if callable(given) and not isinstance(given, str):
        return given(params)
    if given is None and _is_sgd(estimator):
        momentum = estimator.momentum
        return optim.SGD(params, rate, momentum=momentum, nesterov=bool(estimator.nesterovs_momentum and momentum))
    if given is None and OPTIMIZERS[estimator.solver.lower()] is optim.Adam:
        return optim.Adam(params, rate, (estimator.beta_1, estimator.beta_2), estimator.epsilon)
    return OPTIMIZERS[(given or estimator.solver).lower()](params, lr=rate)


def _is_sgd(estimator: Any) -> bool:
    return estimator.optimizer is None and OPTIMIZERS.get(estimator.solver.lower()) is optim.SGD


def slowed(estimator: Any, kind: str = "adaptive") -> bool:
    """Let the learning rate of "sgd" fall, if it falls in this way; False if it is as small as it gets."""
    if estimator.learning_rate != kind or not _is_sgd(estimator) or estimator.optimizer_ is None:
        return False
    for group in estimator.optimizer_.param_groups:
        if kind == "invscaling":
            group["lr"] = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
        elif group["lr"] > _SMALLEST:
            group["lr"] /= 5
        else:
            return False
    return True
