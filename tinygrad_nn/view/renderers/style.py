"""The look of everything, decided once for all renderers.

Colours are those that colour-blind readers tell apart (Okabe & Ito 2008), with a second sign beside every colour.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum

from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Role, Shape

__all__ = [
    "BAD", "FONT", "GOOD", "INK", "LANES", "PAPER", "QUIET", "SOFT", "TINTED", "UPDATE", "ArrowLook", "Border",
    "BoxLook", "LaneLook", "RoleLook", "arrow_look", "box_look", "lane", "role_look", "tint",
]  # fmt: skip

FONT = "Arial"  # both engines know how wide its letters are; the SVG asks for what the reader's machine has
INK, QUIET, PALE, SOFT = "#0f172a", "#526077", "#94a3b8", "#cbd5e1"  # of letters and lines, from strong to faint
PAPER, TINTED, DONE, FIRES = "#ffffff", "#f8fafc", "#eef2f7", "#ffdfc2"  # of what they stand on
BAD, GOOD = "#b3261e", "#00694f"
UPDATE = "#b57900"  # where a call updates a parameter


class Border(StrEnum):
    """How a box is framed; tells roles apart in grey prints."""

    ROUNDED = "rounded"
    SQUARE = "square"
    DOUBLE = "double"
    DASHED = "dashed"


@dataclass(frozen=True)
class RoleLook:
    """How boxes of one role look, and the word beside their titles."""

    word: str
    line: str
    border: Border = Border.ROUNDED
    width: float = 1.0
    fill: str = PAPER


_ROLES = {
    Role.INPUT: RoleLook("input", "#00805f", Border.ROUNDED, 2.2),
    Role.PARAMETER: RoleLook("parameter", "#b57900", Border.SQUARE, 1.6),
    Role.CONSTANT: RoleLook("constant", "#64748b", Border.DASHED),
    Role.OPERATION: RoleLook("", "#7b8aa0"),
    Role.OUTPUT: RoleLook("output", "#6d28d9", Border.DOUBLE, 1.2),
    Role.LAYER: RoleLook("layer", "#7b8aa0", Border.ROUNDED, 1.6),
    Role.FOLD: RoleLook("folded", "#64748b", Border.DASHED, 1.4),
    Role.TEXT: RoleLook("", "#7b8aa0"),
    Role.ARGUMENT: RoleLook("argument", "#00805f", Border.ROUNDED, 2.2),
    Role.STATE: RoleLook("state", "#8a4f00", Border.SQUARE, 1.6),
    Role.UPDATED: RoleLook("", "#b57900", Border.SQUARE, 2.4, "#fffaf0"),
    Role.RETURNED: RoleLook("", "#6d28d9", Border.DOUBLE, 1.2),
}


def role_look(role: Role) -> RoleLook:
    """How boxes of a role look."""
    return _ROLES[role]


@dataclass(frozen=True)
class LaneLook:
    """How one path is drawn: the colour of its line, a darker one for text, and its dash pattern."""

    line: str
    text: str
    dash: str  # DOT and TikZ know three patterns
    dashes: str  # the SVG has one for each path
    sample: str  # the pattern in text


LANES = (
    LaneLook("#0072b2", "#00639c", "solid", "", "———"),
    LaneLook("#d55e00", "#b34f00", "dashed", "9 4", "– – –"),
    LaneLook("#009e73", "#007a59", "dotted", "2 3.5", "· · · ·"),
    LaneLook("#cc79a7", "#a04b7c", "dashed", "12 3 2.5 3", "— · —"),
    LaneLook("#e69f00", "#946600", "dotted", "5 2.5", "- - - -"),
    LaneLook("#56b4e9", "#1c7ab0", "solid", "16 3", "—— ——"),
    LaneLook("#000000", "#000000", "dashed", "12 3 2.5 3 2.5 3", "— · · —"),
    LaneLook("#8c6d1f", "#6e5516", "dotted", "1.5 5", "·  ·  ·"),
)


def lane(k: int) -> LaneLook:
    """The look of path number k, counted from 1."""
    return LANES[(k - 1) % len(LANES)]


@dataclass(frozen=True)
class BoxLook:
    """Colours, border and its width of one box; `dashed` where no gradient passes."""

    line: str
    fill: str
    ink: str
    border: Border
    width: float
    dashed: bool


def box_look(box: Box) -> BoxLook:
    """How a box looks."""
    role = _ROLES[box.role]
    dashed = box.blocked or role.border is Border.DASHED
    if box.shape in (Shape.TEXT, Shape.LABEL):
        ink = lane(box.lane).text if box.lane else QUIET if box.faint else INK
        return BoxLook(PAPER, PAPER, ink, role.border, 0.0, dashed)
    if box.shape is Shape.CARD:
        line = lane(2).line if box.strong else QUIET if box.blocked else role.line
        fill = FIRES if box.strong else DONE if box.faint else role.fill  # a wider border would move the others
        return BoxLook(line, fill, INK, role.border, role.width, dashed)
    pale = box.faint or box.blocked
    width = 2.6 if box.strong else max(1.2, role.width)
    return BoxLook(PALE if pale else role.line, PAPER, QUIET if pale else INK, role.border, width, dashed)


@dataclass(frozen=True)
class ArrowLook:
    """Colours and patterns of the lines of one arrow, side by side; their width; the colour of its label; its head."""

    strokes: tuple[tuple[str, str], ...] = ((QUIET, "solid"),)
    width: float = 1.2
    ink: str = INK
    open: bool = False
    back: bool = False  # the head is at the source


_KINDS = {
    ArrowKind.CONSTANT: ArrowLook(((PALE, "dashed"),), ink=QUIET, open=True),
    ArrowKind.BLOCKED: ArrowLook(((PALE, "dotted"),), ink=QUIET),
    ArrowKind.NEGATIVE: ArrowLook(((QUIET, "dashed"),)),
    ArrowKind.VIEW: ArrowLook(((QUIET, "dashed"),), open=True),
}


def arrow_look(arrow: Arrow) -> ArrowLook:
    """How an arrow looks."""
    look = _KINDS.get(arrow.kind, ArrowLook())
    if arrow.kind not in _KINDS and arrow.lanes:
        return _lanes_look(arrow)
    if arrow.kind not in _KINDS and arrow.faint:
        look = ArrowLook(((SOFT, "solid"),), ink=QUIET)
    return dataclasses.replace(look, width=0.8 + 5 * arrow.weight) if arrow.weight else look


def _lanes_look(arrow: Arrow) -> ArrowLook:
    lanes = [lane(k) for k in arrow.lanes]
    sends, single = arrow.kind is ArrowKind.SENDS, len(lanes) == 1
    strokes = tuple((look.line, "solid" if sends else look.dash) for look in lanes)
    return ArrowLook(strokes, 2.0 if single else 1.8, lanes[0].text if single else INK, back=sends)


_NEGATIVE, _POSITIVE, _NEUTRAL = (213, 94, 0), (0, 114, 178), (247, 248, 250)


def tint(x: float, scale: float) -> str:
    """The colour of a number in a heat-map: blue above 0, vermillion below, in proportion to `scale`."""
    if x != x:
        return "#000000"
    share = 0.0 if not scale or x == 0 else max(-1.0, min(1.0, x / scale))
    end = _POSITIVE if share >= 0 else _NEGATIVE
    mix = abs(share) ** 0.8 * 0.92
    return "#" + "".join(f"{round(a + (b - a) * mix):02x}" for a, b in zip(_NEUTRAL, end, strict=True))
