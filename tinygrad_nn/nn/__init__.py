"""Networks: modules, layers, initialisation, regularisation, and the equations of backpropagation in plain NumPy."""

from tinygrad_nn.nn import init
from tinygrad_nn.nn.build import build, load
from tinygrad_nn.nn.containers import Flatten, Residual, Sequential
from tinygrad_nn.nn.dense import Activation, Dense
from tinygrad_nn.nn.dropout import Dropout
from tinygrad_nn.nn.embedding import Embedding, FeatureEmbedding
from tinygrad_nn.nn.equations import augmented, backpropagation, forward_pass
from tinygrad_nn.nn.keras_weights import from_keras_weights, to_keras_weights
from tinygrad_nn.nn.module import Module
from tinygrad_nn.nn.normalization import BatchNorm, LayerNorm
from tinygrad_nn.nn.predictor import Predictor
from tinygrad_nn.nn.regularization import l1_penalty, l2_penalty, weights
from tinygrad_nn.nn.stateless import functional_call
from tinygrad_nn.nn.torch_state import from_torch_state, to_torch_state
from tinygrad_nn.other_names import missing

__all__ = [
    "Activation", "BatchNorm", "Dense", "Dropout", "Embedding", "FeatureEmbedding", "Flatten", "LayerNorm", "Module",
    "Predictor", "Residual", "Sequential", "augmented", "backpropagation", "build", "forward_pass",
    "from_keras_weights", "from_torch_state", "functional_call", "init", "l1_penalty", "l2_penalty", "load",
    "to_keras_weights", "to_torch_state", "weights",
]  # fmt: skip


def __getattr__(name: str) -> None:
    raise missing(__name__, name, __all__)
