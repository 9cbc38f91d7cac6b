"""What the entry of an operation says beyond the operation itself: for documentation, for checks, and for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

__all__ = ["Checks", "Docs", "Training", "take_fields"]

Record = TypeVar("Record")


@dataclass(frozen=True)
class Docs:
    """What the documentation says of an operation."""

    summary: str = ""
    edge_cases: str = ""  # values and gradients where they are not obvious: at kinks, ties, zeros
    part_of: str = ""  # of a private operation: the public function that is made of it, for messages
    example: str = ""  # a call, where the signature is not (arrays..., params...)
    not_live: str = ""  # why a living page does not carry it out again at other numbers, if so


@dataclass(frozen=True)
class Checks:
    """Where the automatic checks try an operation."""

    domain: tuple = (-2.0, 2.0)  # of the inputs: one interval, or one for each argument
    shape: tuple[int, ...] = (2, 3)  # of the inputs, where there are `variants`
    variants: tuple[dict[str, Any], ...] = ()  # parameters to try; documentation is printed for the last
    samples: Callable | None = None  # rng -> list of (arrays, params), where domain, shape and variants do not suffice
    prepare: Callable | None = None  # makes a valid input of any input: a positive definite matrix, say


@dataclass(frozen=True)
class Training:
    """How layers, training and estimators use an activation or a loss."""

    activation: bool | None = None  # may be one; by default every elementwise operation of one argument
    gives: str = ""  # what its numbers are limited to: "probabilities", "log-probabilities" (≤ 0), "nonnegative"
    initializer: str = "glorot_uniform"  # of the weights before this activation, by its name in `nn.init`
    probabilities: Any = None  # the activation that makes probabilities of the logits that this loss takes
    takes: str = ""  # what else this loss takes than any numbers: "log-probabilities", "signs" (scores of both signs)
    weighted: Callable | None = None  # (prediction, target, weight) -> two arguments whose loss is weighted by example


def take_fields(record: type[Record], given: dict[str, Any]) -> Record:
    """Make a record of those of the given fields that belong to it, and take them out."""
    return record(**{f.name: given.pop(f.name) for f in fields(record) if f.name in given})  # type: ignore[arg-type]
