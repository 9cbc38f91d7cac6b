"""Networks: modules, layers, initialisation, regularisation, and the founding text's equations written out."""

from tinygrad_nn.checkpoint import load
from tinygrad_nn.nn import init
from tinygrad_nn.nn.equations import augmented, backpropagation, forward_pass
from tinygrad_nn.nn.layers import Activation, BatchNorm, Dense, Dropout, Flatten, LayerNorm, Residual, Sequential, build
from tinygrad_nn.nn.module import Module
from tinygrad_nn.nn.regularization import l1_penalty, l2_penalty, weights

__all__ = [
    "Activation", "BatchNorm", "Dense", "Dropout", "Flatten", "LayerNorm", "Module", "Residual", "Sequential",
    "augmented", "backpropagation", "build", "forward_pass", "init", "l1_penalty", "l2_penalty", "load", "weights",
]  # fmt: skip
