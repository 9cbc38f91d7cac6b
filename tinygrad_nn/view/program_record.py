"""The computation behind a picture, as plain values that never change: a page carries it out again at other numbers.

`docs/page.md` describes it as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tinygrad_nn.rule_trees import Rule

__all__ = ["DenseLayer", "Operation", "Program", "ProgramNode", "Snapshot", "Start", "Was"]


@dataclass(frozen=True)
class Operation:
    """What there is to know about an operation of the tables, see `tn.Op`."""

    name: str
    kind: str = ""
    entries: str = ""
    selects: bool = False
    passes: bool = False
    matrix_product: bool = False


@dataclass(frozen=True)
class ProgramNode:
    """One value: how it was computed, what it was, and how its gradient comes back.

    `args` has for each argument the id of a node, a number as text, or "" for none; `arrows` the ids of its arrows;
    `rules` the numbers of its derivative rules in the program (−1: no gradient flows); `words` these rules in words.
    `tangents` likewise say how it moves with each argument, where its kind does not.  `forward` is the number of the
    rule that computes it, where that can be written out (else −1).  `value` and `gradient` are the recorded elements, a
    single one if all are equal.  `slopes` are the recorded local derivatives between single numbers, where the program
    is not live.  A constant that may have been computed, as a mask, is
    `held`: it does not follow.
    """

    id: str
    name: str
    role: str
    value: tuple[float, ...]
    shape: tuple[int, ...] = ()
    dtype: str = "float64"
    op: str = ""
    args: tuple[str, ...] = ()
    arrows: tuple[str, ...] = ()
    params: dict[str, Any] = field(default_factory=dict, hash=False)
    gradient: tuple[float, ...] | None = None
    tracked: bool = False
    rules: tuple[int, ...] = ()
    tangents: tuple[int, ...] = ()
    forward: int = -1
    slopes: tuple[float, ...] = ()
    held: bool = False
    formula: str = ""
    words: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True)
class DenseLayer:
    """The nodes of a dense layer: weights, bias (or ""), input, pre-activation and activation."""

    W: str
    b: str
    before: str
    Z: str
    A: str


@dataclass(frozen=True)
class Snapshot:
    """A parameter during a training: at each moment all its elements, as float32 in base64."""

    node: str
    numbers: str


@dataclass(frozen=True)
class Was:
    """What a node without history was at an earlier point, with which the page compares: all its elements, or one."""

    node: str
    value: tuple[float, ...]


@dataclass(frozen=True)
class Start:
    """How a page begins.

    A view ("paths", "flow", "step", "neurons", "compare"; "" leaves it to the page), paths from a node or from one of
    its elements (−1: all), and a mistake that the backward pass makes.
    """

    view: str = ""
    source: str = ""
    element: int = -1
    mistake: str = ""


@dataclass(frozen=True)
class Program:
    """A recorded graph, nodes in topological order; `reason` says why a page must not carry it out again, if so.

    `layers` are those of a stack of dense layers.  `snapshots` are parameters after so many epochs, or steps, as `at`
    counts and `unit` says.  `before` is the point that a comparison begins at: what inputs were that have
    changed since.
    """

    root: str
    nodes: tuple[ProgramNode, ...] = ()
    operations: tuple[Operation, ...] = ()
    rules: tuple[Rule, ...] = ()
    reason: str = ""
    start: Start = Start()
    layers: tuple[DenseLayer, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    at: tuple[int, ...] = ()
    unit: str = ""
    before: tuple[Was, ...] = ()
