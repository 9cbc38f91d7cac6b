"""Networks: modules, layers, initialisation, regularisation, and the founding text's equations written out."""

from tinygrad_nn.nn import init
from tinygrad_nn.nn.layers import Activation, BatchNorm, Dense, Dropout, Flatten, LayerNorm, Residual, Sequential, build
from tinygrad_nn.nn.module import Module

__all__ = [
    "Activation", "BatchNorm", "Dense", "Dropout", "Flatten", "LayerNorm", "Module", "Residual", "Sequential", "build",
    "init",
]  # fmt: skip
