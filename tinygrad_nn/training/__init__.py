"""Training: the loop, its history, and what it measures."""

from tinygrad_nn.other_names import missing
from tinygrad_nn.training.callbacks import StopTraining
from tinygrad_nn.training.history import History
from tinygrad_nn.training.lookup import find_loss
from tinygrad_nn.training.loop import fit
from tinygrad_nn.training.metrics import evaluate
from tinygrad_nn.training.scores import accuracy
from tinygrad_nn.training.snapshots import Snapshots
from tinygrad_nn.training.tensorboard import TensorBoard

__all__ = ["History", "Snapshots", "StopTraining", "TensorBoard", "accuracy", "evaluate", "find_loss", "fit"]


def __getattr__(name: str) -> None:
    raise missing(__name__, name, __all__)
