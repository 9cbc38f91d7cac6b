"""A fitted estimator as arrays, numbers and names: what pickle, joblib and skops write, and how it comes back.

Nothing in it is code, so that skops asks for trust in the estimator's class alone, and a pickle of one version can be
read by another whose classes look different inside.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np

from tinygrad_nn.nn import Dropout, Sequential, build
from tinygrad_nn.operation import Op
from tinygrad_nn.sklearn.solvers import make_optimizer

__all__ = ["packed", "unpacked"]


def packed(state: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an estimator, with network, optimiser and generator as plain values, operations as names."""
    state = {name: value.name if isinstance(value, Op) else value for name, value in state.items()}
    if "model_" not in state:
        return state
    state["_descent"] = None
    model, optimizer = state["model_"], state["optimizer_"]
    state["_random"] = state["_random"].get_state(legacy=False)
    state["_masks"] = [layer.rng.bit_generator.state for layer in _dropout(model)[:1]]  # they share it
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
    random, rng = np.random.RandomState(), np.random.default_rng()
    random.set_state(estimator._random)
    estimator._random = random
    if isinstance(estimator.model_, dict):
        saved = estimator.model_
        estimator.model_ = build(saved["config"]).eval()
        estimator.model_.load_state_dict(saved["state"])
    for layer, rng.bit_generator.state in zip(_dropout(estimator.model_), cycle(estimator._masks)):
        layer.rng = rng
    del estimator._masks
    if estimator.optimizer_ is not None:
        saved = estimator.optimizer_
        estimator.optimizer_ = make_optimizer(estimator, list(estimator.model_.parameters()))
        estimator.optimizer_.load_state_dict(saved)


def _dropout(model: Sequential) -> list[Dropout]:
    return [layer for layer in model if isinstance(layer, Dropout)]
