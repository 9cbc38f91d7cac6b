"""What has a home outside of the step, and is looked for there: the gradient of a tensor, a number among settings."""

from __future__ import annotations

from typing import Any

from tinygrad_nn.compiler.ir import ArrayInput
from tinygrad_nn.tensor import Lent, Tensor

__all__ = ["FirstGradient", "Setting"]


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
