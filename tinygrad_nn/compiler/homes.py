"""What has a home outside of the step: the gradient of a tensor, a number among settings, random numbers."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from tinygrad_nn.compiler.ir import ArrayInput
from tinygrad_nn.tensor import Lent, Tensor

__all__ = ["AWAY", "FirstGradient", "Setting", "bits_of", "put_back", "saved"]

AWAY: set[Any] = (
    set()
)  # state of optimisers that is on devices: who reads such arrays by themselves calls `fetch` first


class FirstGradient(Lent):
    """The gradient that a tensor had before the step: it is noted whether the step reads it."""

    __slots__ = ("number", "tensor", "trace")

    def __init__(self, trace: Any, tensor: Tensor, number: int | None):
        self.trace, self.tensor, self.number = trace, tensor, number

    def taken(self) -> Any:
        """Its tracer."""
        grad = self.tensor._grad.array if isinstance(self.tensor._grad, Lent) else self.tensor._grad
        of = ArrayInput(grad, "grad", tensor=self.tensor, argument=self.number)
        self.trace.gradients_read[self.tensor.index] = of
        return None if grad is None else self.trace.tracer_of(of)


class Setting:
    """A number that an optimiser's settings hold, by itself or in a tuple."""

    def __init__(self, holder: dict[str, Any], key: str, index: int | None = None):
        self.holder, self.key, self.index = holder, key, index

    def now(self) -> float:
        """The number at present."""
        return self.holder[self.key] if self.index is None else self.holder[self.key][self.index]


def bits_of(rng: np.random.Generator | np.random.RandomState) -> Any:
    """What changes when numbers are drawn: several Generators may draw from the same bits."""
    return rng.bit_generator if isinstance(rng, np.random.Generator) else rng


def saved(bits: Any) -> bytes:
    """Its state, so that it can be compared: some states hold arrays."""
    return pickle.dumps(bits.get_state() if isinstance(bits, np.random.RandomState) else bits.state)


def put_back(bits: Any, state: bytes) -> None:
    """Give it an earlier state again."""
    earlier = pickle.loads(state)  # made by `saved` in this process
    if isinstance(bits, np.random.RandomState):
        bits.set_state(earlier)
    else:
        bits.state = earlier
