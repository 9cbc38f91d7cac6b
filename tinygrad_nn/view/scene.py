"""The picture model: what a drawing says, as plain values that never change.  Renderers decide how it looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tinygrad_nn.view.program_record import Program

__all__ = [
    "Arrow", "ArrowKind", "Box", "Caption", "Cluster", "Direction", "Field", "Grid", "Note", "Reel", "Role", "Scene",
    "Shape", "Table", "TableRow", "directed", "noted", "titled",
]  # fmt: skip


class Role(StrEnum):
    """What a box stands for."""

    INPUT = "input"
    PARAMETER = "parameter"
    CONSTANT = "constant"
    OPERATION = "operation"
    OUTPUT = "output"
    LAYER = "layer"
    FOLD = "fold"  # many boxes drawn as one
    TEXT = "text"  # nothing: it only says something
    ARGUMENT = "argument"  # from here on of a compiled step
    STATE = "state"
    UPDATED = "updated"
    RETURNED = "returned"


class Shape(StrEnum):
    """What a box is drawn as."""

    CARD = "card"
    CIRCLE = "circle"
    SIGN = "sign"  # a small circle with an operator
    TEXT = "text"  # a line or two that stand by themselves
    LABEL = "label"  # text on an arrow


class ArrowKind(StrEnum):
    """What an arrow says."""

    FLOW = "flow"  # a gradient comes back along it
    CONSTANT = "constant"  # none does
    BLOCKED = "blocked"  # it would, but the derivative is 0
    NEGATIVE = "negative"  # a weight below 0
    BACK = "back"  # an error signal
    SENDS = "sends"  # what an animated backward pass sends in this frame
    ARRAY = "array"  # the result of a call
    VIEW = "view"  # a view of it, which copies nothing


class Direction(StrEnum):
    """Where the arrows of a picture lead."""

    RIGHT = "right"
    DOWN = "down"


@dataclass(frozen=True)
class Grid:
    """A heat-map: numbers (means over blocks of a larger array), on a scale from −scale to scale."""

    cells: tuple[tuple[float, ...], ...]
    scale: float
    means_of: int = 1  # so many elements of the array are in a cell at most, which is their mean
    blank: bool = False  # nothing is known yet, but will be in another frame
    longest: str = ""  # the longest number in any frame

    @property
    def exact(self) -> bool:
        """True if each cell is one element of the array."""
        return self.means_of == 1

    @property
    def means(self) -> str:
        """What a cell is, in words."""
        return f"means of ≤ {self.means_of:,}"

    @property
    def spelled(self) -> bool:
        """True if the numbers themselves are shown, as there are few."""
        return self.exact and len(self.cells) <= 4 and len(self.cells[0]) <= 4


@dataclass(frozen=True)
class Field:
    """One line of a box: what it is, and the number, dash or heat-map.

    `struck` is what stood there before, and was replaced by mistake.
    `longest` is the longest text that it has in any frame of an animation, for which space is kept.  `mark` names the
    memory that a call writes to, on the colour of `lane`; lane −1 is for parameters.  `live` says what of which node it
    shows, such as "value n5", where a page can compute it anew: its value, gradient, the norm of the gradient, or
    the share of several in the squared norm of all gradients of inputs.
    """

    label: str
    text: str
    value: float | None = None
    grid: Grid | None = None
    strong: bool = False
    bad: bool = False
    longest: str = ""
    mark: str = ""
    lane: int = 0
    struck: str = ""
    live: str = ""

    @property
    def said(self) -> str:
        """Its text, with what is struck through as plain text has it."""
        return f"~~{self.struck}~~ {self.text}".rstrip() if self.struck else self.text


@dataclass(frozen=True)
class Box:
    """A node of the picture.

    `at` is its place in points, up and to the right, where the picture is not left to Graphviz to lay out.
    """

    id: str
    role: Role
    name: str
    title: str
    fields: tuple[Field, ...] = ()
    note: str = ""
    tooltip: str = ""
    cluster: str = ""
    shape: Shape = Shape.CARD
    blocked: bool = False  # no gradient passes
    strong: bool = False
    faint: bool = False
    lane: int = 0  # the path whose colour a text has
    at: tuple[float, ...] = ()
    on: tuple[str, ...] = ()  # source and target of the arrow that a label is on
    count: int = 1  # how many nodes of the graph it stands for
    kind: str = ""  # the operation, for counting
    numbered: bool = False  # nobody named it: it is called v₁, v₂ ...
    entries: tuple[str, ...] = ()  # the lines that arrive, a place each along its side; empty: they aim at its middle
    exits: tuple[str, ...] = ()  # and those that leave


@dataclass(frozen=True)
class Arrow:
    """An edge of the picture: one argument of one operation, with its local derivative and the paths along it."""

    id: str
    source: str
    target: str
    slot: int = 0
    label: str = ""
    detail: str = ""  # in small letters below: the size of the Jacobian
    derivative: float | None = None  # where it is a single number
    lanes: tuple[int, ...] = ()
    kind: ArrowKind = ArrowKind.FLOW
    weight: float = 0.0  # from 0 to 1: the thickness
    flow: float = 0.0  # of all paths together, as a share of the largest, −1 to 1: thickness and colour
    tooltip: str = ""
    faint: bool = False
    count: int = 1
    longest: str = ""  # as of a field
    grid: Grid | None = None  # what is sent along it


@dataclass(frozen=True)
class Cluster:
    """A frame around boxes: a layer, or a line of a compiled step; perhaps within another one, its `parent`."""

    id: str
    label: str
    tooltip: str = ""
    parent: str = ""


@dataclass(frozen=True)
class TableRow:
    """One row: a path with the nodes it visits, the factors on the way, and their product.

    Number 0 is for all the others together, and where paths have no lanes.
    """

    number: int
    label: str
    factors: str
    product: str
    value: float | None = None
    grid: Grid | None = None
    share: str = ""
    mark: str = ""  # instead of the number


@dataclass(frozen=True)
class Table:
    """The table under the picture; `ok` tells whether the sum of the paths is the gradient of the backward pass."""

    heading: str
    rows: tuple[TableRow, ...] = ()
    rest: tuple[str, ...] = ()
    total: str = ""
    ok: bool | None = None
    check: str = ""
    grid: Grid | None = None


@dataclass(frozen=True)
class Note:
    """A remark under the picture; `bad` ones are warnings.

    `call` ones say which argument shows more: a page, which has controls for that, leaves them out.
    """

    text: str
    bad: bool = False
    call: bool = False


@dataclass(frozen=True)
class Caption:
    """What happens in a frame of a film, with the space for it in all frames: `width` in points, and so many lines."""

    text: str
    notes: tuple[Note, ...] = ()
    width: float = 0.0
    lines: int = 0


@dataclass(frozen=True)
class Scene:
    """All that a picture shows."""

    title: str
    boxes: tuple[Box, ...] = ()
    arrows: tuple[Arrow, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    table: Table | None = None
    notes: tuple[Note, ...] = ()
    direction: Direction | None = None  # None: whichever fits
    wide: bool = False  # it is not folded to be narrower, but scrolled
    simpler: Scene | None = None  # what is drawn where this is too wide, before anything is folded
    titled: bool = False  # somebody asked for this title: it is shown
    caption: Caption | None = None
    program: Program | None = None  # the computation itself, for a page that carries it out again
    living: Scene | None = None  # what a page draws of it, where that is not this scene
    space: float = 1.0  # between boxes, as a multiple of the usual one

    @property
    def placed(self) -> bool:
        """True if the boxes have their places already."""
        return any(box.at for box in self.boxes)


@dataclass(frozen=True)
class Reel:
    """A film: what its frames say, and a caption for each."""

    title: str
    captions: tuple[str, ...]
    frames: tuple[Scene, ...]
    living: Scene | None = None  # what a page draws in which the reader goes step by step


def titled(scene: Scene, title: str | None) -> Scene:
    """The scene under the title that somebody gave it, if so."""
    return scene if title is None else _throughout(scene, lambda s: dataclasses.replace(s, title=title, titled=True))


def directed(scene: Scene, direction: str | None) -> Scene:
    """The scene with its arrows where somebody wants them to lead, if so.  ValueError for an unknown direction."""
    if direction is None:
        return scene
    if direction not in tuple(Direction):
        raise ValueError(f"direction must be 'right', 'down' or None, not {direction!r}")
    return _throughout(scene, lambda s: dataclasses.replace(s, direction=Direction(direction)))


def noted(scene: Scene, remark: str) -> Scene:
    """The scene with one more note, if there is something to say."""
    if not remark:
        return scene
    return _throughout(scene, lambda s: dataclasses.replace(s, notes=(*s.notes, Note(remark))))


def _throughout(scene: Scene, change: Callable[[Scene], Scene]) -> Scene:
    """A change of the scene, and of what is drawn in its place."""
    simpler, living = (other and _throughout(other, change) for other in (scene.simpler, scene.living))
    return dataclasses.replace(change(scene), simpler=simpler, living=living)
