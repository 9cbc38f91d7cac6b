"""Training: the loop, its history, and what it measures."""

from tinygrad_nn.training.callbacks import StopTraining
from tinygrad_nn.training.history import History
from tinygrad_nn.training.loop import fit
from tinygrad_nn.training.metrics import accuracy, evaluate, find_loss
from tinygrad_nn.training.snapshots import Snapshots

__all__ = ["History", "Snapshots", "StopTraining", "accuracy", "evaluate", "find_loss", "fit"]
