"""Compile: a step written in ordinary eager code, recorded once and then replayed in place on buffers made beforehand.

`recording` runs the step on stand-ins and notes its NumPy calls as `nodes`, those of the backward pass and of the
optimiser included; `surroundings` sees what else the step depends on; `planning` decides what is needed and where
results live; `writing` makes Python source of it; `program` runs that, and finds out when it must not.
"""

from tinygrad_nn.replay.nodes import RECORDING, CompileError
from tinygrad_nn.replay.program import Compiled, Program, compile  # noqa: A004  the public name is tn.compile
from tinygrad_nn.replay.recording import at_each_replay

__all__ = ["RECORDING", "CompileError", "Compiled", "Program", "at_each_replay", "compile"]
