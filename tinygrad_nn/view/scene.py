"""The picture model: what a drawing says, as plain values that never change; everything else only renders it."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from typing import Any

__all__ = ["Edge", "Grid", "Group", "Node", "Note", "PathRow", "PathTable", "Row", "Scene", "from_plain", "to_plain"]


@dataclass(frozen=True)
class Grid:
    """A heat-map: numbers (means over blocks of a larger array), on a scale from −scale to scale."""

    cells: tuple[tuple[float, ...], ...]
    scale: float
    exact: bool = True  # each cell is one element of the array


@dataclass(frozen=True)
class Row:
    """One line of a node: what it is, and the number, dash or heat-map."""

    label: str
    text: str
    value: float | None = None
    grid: Grid | None = None
    strong: bool = False
    bad: bool = False
    room: float = 0.0  # points to keep free for longer texts of other frames
    mark: str = ""  # the memory that it writes to, on the colour of a lane; −1 is for parameters
    lane: int = 0


@dataclass(frozen=True)
class Node:
    """A box, a circle, a small circle with an operator ("sign"), or a bare text.

    `role` is a key of `style.ROLES`; `blocked` says that no gradient passes; `at` is its place in points, up and to the
    right, where the picture is not left to Graphviz to lay out; `lane` the path whose colour a text has.
    """

    id: str
    role: str
    name: str
    title: str
    rows: tuple[Row, ...] = ()
    note: str = ""
    tooltip: str = ""
    group: str = ""
    form: str = "card"  # or "circle", "sign", "text"
    blocked: bool = False
    strong: bool = False
    faint: bool = False
    lane: int = 0
    at: tuple[float, ...] = ()
    count: int = 1  # how many nodes of the graph it stands for
    kind: str = ""  # the operation, for counting


@dataclass(frozen=True)
class Edge:
    """An arrow for one argument slot, with its local derivative and the numbers of the paths that run along it."""

    id: str
    source: str
    target: str
    slot: int
    label: str = ""
    detail: str = ""  # in small letters below: the size of the Jacobian
    lanes: tuple[int, ...] = ()
    kind: str = (
        "flow"  # or "constant" (no gradient), "negative" (weight), "back" (error signal), "sends" (a step), "blocked";
        # "array" and "view" between calls
    )
    weight: float = 0.0  # share of all paths' mass, 0 to 1: the thickness
    tooltip: str = ""
    bad: bool = False
    faint: bool = False
    count: int = 1
    room: float = 0.0


@dataclass(frozen=True)
class Group:
    """A frame around nodes: a layer, or a line of a compiled step; perhaps within another one, its `parent`."""

    id: str
    label: str
    tooltip: str = ""
    parent: str = ""


@dataclass(frozen=True)
class PathRow:
    """One path of the table: the nodes it visits, the factors on the way, and their product.

    Number 0 is for all the others together.
    """

    number: int
    nodes: str
    factors: str
    product: str
    value: float | None = None
    grid: Grid | None = None
    share: str = ""
    mark: str = ""  # instead of the number


@dataclass(frozen=True)
class PathTable:
    """The table under the picture; `ok` tells whether the sum of the paths is the gradient of the backward pass."""

    heading: str
    rows: tuple[PathRow, ...] = ()
    rest: tuple[str, ...] = ()
    sum: str = "sum"
    total: str = ""
    ok: bool | None = None
    check: str = ""
    grid: Grid | None = None


@dataclass(frozen=True)
class Note:
    """A remark under the picture; `bad` ones are warnings."""

    text: str
    bad: bool = False


@dataclass(frozen=True)
class Scene:
    """All that a picture shows."""

    title: str
    description: str
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    groups: tuple[Group, ...] = ()
    table: PathTable | None = None
    notes: tuple[Note, ...] = ()
    direction: str = "LR"

    def with_notes(self, *notes: Note) -> Scene:
        """The same picture with further remarks."""
        return dataclasses.replace(self, notes=self.notes + notes)


def to_plain(value: Any) -> Any:
    """Model values as dicts, lists, texts and numbers, for JSON; what equals its default is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: to_plain(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if getattr(value, f.name) != f.default or f.default is dataclasses.MISSING
        }
    if isinstance(value, tuple):
        return [to_plain(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value  # JSON knows no "nan", "inf"


def from_plain(kind: Any, plain: Any) -> Any:
    """The way back of `to_plain`: a value of type `kind`.  ValueError where the data does not fit."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if plain is None else from_plain(arguments[0], plain)
    if origin is tuple:
        if not isinstance(plain, list):
            raise ValueError(f"a picture needs a list here, got {plain!r:.60}")
        return tuple(from_plain(arguments[0], v) for v in plain)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        if not isinstance(plain, dict) or not plain.keys() <= hints.keys():
            raise ValueError(f"a picture needs a {kind.__name__.lower()} here, got {plain!r:.60}")  # type: ignore[union-attr]
        try:
            return kind(**{k: from_plain(hints[k], v) for k, v in plain.items()})  # type: ignore[operator]
        except TypeError as reason:
            raise ValueError(f"a picture's {kind.__name__.lower()} is incomplete: {reason}") from None  # type: ignore[union-attr]
    if kind is float and (type(plain) is int or plain in ("nan", "inf", "-inf")):
        return float(plain)
    if type(plain) is not kind:
        raise ValueError(f"a picture needs a {kind.__name__} here, got {plain!r:.60}")
    return plain
