"""Optimisers: update rules, learning-rate schedules, gradient clipping, and SciPy's batch methods."""

from tinygrad_nn.optim.optimizer import Optimizer
from tinygrad_nn.optim.rules import SGD

__all__ = ["SGD", "Optimizer"]
