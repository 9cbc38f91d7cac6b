"""A fitted estimator as arrays, numbers and names: what pickle, joblib and skops write, and how it comes back.

Nothing in it is code, so that skops asks for trust in the estimator's class alone, and a pickle of one version can be
read by another whose classes look different inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_nn.nn import Dropout, build
from tinygrad_nn.sklearn.solvers import make_optimizer

__all__ = ["packed", "unpacked"]


def packed(state: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an estimator, with network, optimiser and generator as plain values."""
    if "model_" not in state:
        return state
    state = {**state, "_descent": None}
    model, optimizer = state["model_"], state["optimizer_"]
    state["_rng"] = dict(state["_rng"].bit_generator.state)
    if optimizer is not None:
        state["optimizer_"] = optimizer.state_dict()
    try:
        state["model_"] = {"config": model.config(), "state": model.state_dict()}
    except (NotImplementedError, ValueError):  # an activation that no name leads to
        return state
    return state


def unpacked(estimator: Any) -> None:
    """Make network, optimiser and generator of the plain values."""
    if "model_" not in vars(estimator):
        return
    rng = np.random.default_rng()
    rng.bit_generator.state = estimator._rng
    if isinstance(estimator.model_, dict):
        saved = estimator.model_
        estimator.model_ = build(saved["config"]).eval()
        estimator.model_.load_state_dict(saved["state"])
    for layer in estimator.model_:
        if isinstance(layer, Dropout):
            layer.rng = rng
    if estimator.optimizer_ is not None:
        saved = estimator.optimizer_
        estimator.optimizer_ = make_optimizer(estimator, list(estimator.model_.parameters()))
        estimator.optimizer_.load_state_dict(saved)
    estimator._rng = rng
