"""Every rule with all of its options, and a cost to try them on: for the transcriptions and for PyTorch alike."""

import numpy as np

STEPS = 20
START = (np.array([[0.5, -1.5], [2.0, 0.1], [-0.7, 0.0]]), np.array([[1.0], [-2.0], [0.3]]))
SCALE = np.array([[1.0, 30.0], [0.1, 2.0], [5.0, 0.5]])

CASES = {
    "SGD": [
        {"lr": 0.02}, {"lr": 0.01, "momentum": 0.9}, {"lr": 0.01, "momentum": 0.9, "nesterov": True},
        {"lr": 0.01, "momentum": 0.8, "dampening": 0.3}, {"lr": 0.01, "weight_decay": 0.1},
        {"lr": 0.01, "momentum": 0.7, "weight_decay": 0.1, "nesterov": True, "maximize": True},
    ],
    "Adagrad": [
        {}, {"lr": 0.3, "lr_decay": 0.1}, {"weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3},
        {"maximize": True, "lr": 0.1},
    ],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1}, {"maximize": True}],
    "RMSprop": [
        {}, {"lr": 0.02, "alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1}, {"momentum": 0.9}, {"centered": True},
        {"momentum": 0.5, "centered": True, "weight_decay": 0.1, "maximize": True},
    ],
    "Adam": [
        {}, {"lr": 0.1, "betas": (0.7, 0.9), "eps": 1e-3}, {"lr": 0.1, "weight_decay": 0.1},
        {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.6)}, {"lr": 0.1, "maximize": True, "weight_decay": 0.1},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "AdamW": [
        {}, {"lr": 0.1, "weight_decay": 0.3}, {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.6), "eps": 1e-3},
        {"lr": 0.05, "maximize": True},
    ],
    "NAdam": [
        {}, {"lr": 0.1, "betas": (0.7, 0.9), "eps": 1e-3, "momentum_decay": 0.1}, {"lr": 0.1, "weight_decay": 0.1},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}, {"lr": 0.1, "maximize": True},
    ],
    "Rprop": [
        {}, {"lr": 0.3, "etas": (0.3, 1.7)}, {"lr": 0.5, "step_sizes": (0.1, 0.6)}, {"maximize": True},
    ],
}  # fmt: skip
ALL = [(name, options) for name, some in CASES.items() for options in some]


def cost(ops, W, b):
    """Curved differently in each direction, with a kink of sign in the gradient and a mixed term."""
    return (SCALE * W * W).sum() / 2 + ops.sin(3 * b).sum() + (W * b).sum() / 3
