"""Optimisers: update rules, learning-rate schedules, gradient clipping, and SciPy's batch methods."""

from tinygrad_nn.optim.adam import Adam, AdamW, NAdam
from tinygrad_nn.optim.adaptive import Adadelta, Adagrad, RMSprop
from tinygrad_nn.optim.batch import minimize
from tinygrad_nn.optim.clipping import clip_grad_norm_, clip_grad_value_
from tinygrad_nn.optim.curvatures import curvature
from tinygrad_nn.optim.online_lbfgs import OnlineLBFGS
from tinygrad_nn.optim.optimizer import Optimizer
from tinygrad_nn.optim.rule import fusable
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
from tinygrad_nn.optim.sgd import SGD
from tinygrad_nn.optim.step_sizes import IDBD, Rprop
from tinygrad_nn.other_names import missing

__all__ = [
    "IDBD", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "CosineAnnealingLR", "ExponentialLR", "LinearLR",
    "MultiStepLR", "NAdam", "OneCycleLR", "OnlineLBFGS", "Optimizer", "RMSprop", "ReduceLROnPlateau", "Rprop",
    "Schedule", "SequentialLR", "StepLR", "clip_grad_norm_", "clip_grad_value_", "curvature", "fusable",
    "minimize",
]  # fmt: skip


def __getattr__(name: str) -> None:
    raise missing(__name__, name, __all__)
