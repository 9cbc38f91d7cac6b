"""Optimisers: update rules, learning-rate schedules, gradient clipping, and SciPy's batch methods."""

from tinygrad_nn.optim.batch import minimize
from tinygrad_nn.optim.clipping import clip_grad_norm_, clip_grad_value_
from tinygrad_nn.optim.curvatures import curvature
from tinygrad_nn.optim.online_lbfgs import OnlineLBFGS
from tinygrad_nn.optim.optimizer import Optimizer, elementwise
from tinygrad_nn.optim.rules import IDBD, SGD, Adadelta, Adagrad, Adam, AdamW, NAdam, RMSprop, Rprop
from tinygrad_nn.optim.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    Schedule,
    SequentialLR,
    StepLR,
)

__all__ = [
    "IDBD", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "CosineAnnealingLR", "ExponentialLR", "LinearLR",
    "MultiStepLR", "NAdam", "OneCycleLR", "OnlineLBFGS", "Optimizer", "RMSprop", "ReduceLROnPlateau", "Rprop",
    "Schedule", "SequentialLR", "StepLR", "clip_grad_norm_", "clip_grad_value_", "curvature", "elementwise",
    "minimize",
]  # fmt: skip
