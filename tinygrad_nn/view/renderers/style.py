"""The look of everything, decided once for all renderers.

Colours are those that colour-blind readers tell apart (Okabe & Ito 2008), with a second sign beside every colour.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from enum import StrEnum

from tinygrad_nn.view.scene import Arrow, ArrowKind, Box, Role, Shape

__all__ = [
    "BAD", "FONT", "GOOD", "INK", "LANES", "NEGATIVE", "ON_PALE", "ON_STRONG", "PAPER", "POSITIVE", "QUIET", "SOFT",
    "TINTED", "UPDATE",
    "ArrowLook", "Border", "BoxLook", "LaneLook", "RoleLook", "arrow_look", "box_look", "dark", "dark_rules", "lane",
    "paper", "role_look", "tint", "variables",
]  # fmt: skip

FONT = "Arial"  # both engines know how wide its letters are; the SVG asks for what the reader's machine has
INK, QUIET, PALE, SOFT = "#0f172a", "#526077", "#8090a8", "#cbd5e1"  # of letters and lines, from strong to faint
PAPER, TINTED, DONE, FIRES = "#ffffff", "#f8fafc", "#eef2f7", "#ffdfc2"  # of what they stand on
ON_PALE, ON_STRONG = "#0e1628", "#010204"  # of numbers in a heat-map; on strong colours dark in both themes
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

    @property
    def ink(self) -> str:
        """The colour of the word: darker than the line, where that is pale for letters."""
        return _WORDS.get(self.line, self.line)


_WORDS = {"#00805f": GOOD, UPDATE: "#8a5c00", "#7b8aa0": QUIET, "#64748b": QUIET}
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
    thicker: float = 0.0  # the width of the line where DOT has the same pattern for another lane


LANES = (
    LaneLook("#0072b2", "#00639c", "solid", "", "———"),
    LaneLook("#d55e00", "#b34f00", "dashed", "9 4", "– – –"),
    LaneLook("#009e73", "#007a59", "dotted", "2 3.5", "· · · ·"),
    LaneLook("#b8629a", "#a04b7c", "dashed", "12 3 2.5 3", "— · —", 3.6),
)
POSITIVE, NEGATIVE = LANES[0], LANES[1]  # where colours say the sign and not the path


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
        look = ArrowLook(((PALE, "solid"),), 0.7, ink=QUIET)
    if arrow.flow:
        sign = POSITIVE if arrow.flow > 0 else NEGATIVE
        return ArrowLook(((sign.line, sign.dash),), 0.8 + 5 * abs(arrow.flow), sign.text)
    return dataclasses.replace(look, width=0.8 + 5 * arrow.weight) if arrow.weight else look


def _lanes_look(arrow: Arrow) -> ArrowLook:
    lanes = [lane(k) for k in arrow.lanes]
    sends, single = arrow.kind is ArrowKind.SENDS, len(lanes) == 1
    strokes = tuple((look.line, "solid" if sends else look.dash) for look in lanes)
    return ArrowLook(strokes, 2.0 if single else 1.8, lanes[0].text if single else INK, back=sends)


_NEUTRAL = "#f7f8fa"
_STEPS = 40  # between nothing and the strongest colour


def _mixed(a: str, b: str, part: float) -> str:
    ends = [[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in (a, b)]
    return "#" + "".join(f"{round(x + (y - x) * part):02x}" for x, y in zip(*ends, strict=True))


def _tint(step: int, neutral: str, positive: str, negative: str) -> str:
    return _mixed(neutral, positive if step >= 0 else negative, (abs(step) / _STEPS) ** 0.8 * 0.92)


def tint(x: float, scale: float) -> str:
    """The colour of a number in a heat-map: blue above 0, vermillion below, in proportion to `scale`."""
    if x != x:
        return "#000000"
    share = 0.0 if not scale or x == 0 else max(-1.0, min(1.0, x / scale))
    return _tint(round(share * _STEPS), _NEUTRAL, POSITIVE.line, NEGATIVE.line)


# --- dark: the same design with every colour exchanged ---------------------------------------------------------------

_DARK = {
    INK: "#e2e8f0", QUIET: "#a3b1c6", PALE: "#7f8ea6", SOFT: "#475569", PAPER: "#0f172a", TINTED: "#162033",
    DONE: "#1e293b", FIRES: "#4a2f17", BAD: "#fa8080", GOOD: "#34d399", "#00805f": "#34d399", UPDATE: "#f5b942",
    "#64748b": "#94a3b8", ON_PALE: "#ffffff",
    "#7b8aa0": "#7f8ea6", "#6d28d9": "#b794f6", "#8a4f00": "#e0a458", "#8a5c00": "#f5b942",
    "#fffaf0": "#2a2413", "#000000": "#ffffff",
    "#0072b2": "#56b4e9", "#00639c": "#56b4e9", "#d55e00": "#f0914a", "#b34f00": "#f0914a", "#009e73": "#34c79a",
    "#007a59": "#34c79a", "#b8629a": "#e39ac6", "#a04b7c": "#e39ac6",
}  # fmt: skip
_DARK |= {
    _tint(step, _NEUTRAL, POSITIVE.line, NEGATIVE.line): _tint(step, "#1b2537", "#56b4e9", "#f0914a")
    for step in range(-_STEPS, _STEPS + 1)
}
_COLOR = re.compile(r"""(?<=["':])#[0-9a-f]{6}(?=["':])""")


def variables(theme: str) -> dict[str, str]:
    """The colours of the living page by name, in a theme."""
    named = {
        "ink": INK, "quiet": QUIET, "pale": PALE, "soft": SOFT, "edge": "#7b8aa0", "paper": PAPER, "done": DONE,
        "fires": FIRES, "bad": BAD, "good": GOOD, "input": "#00805f", "parameter": UPDATE, "constant": "#64748b",
        "output": "#6d28d9", "line": "#7b8aa0", "focus": LANES[0].line, "on-strong": ON_STRONG,
        "on-pale": ON_PALE,
    }  # fmt: skip
    for k, look in enumerate(LANES, 1):
        named |= {f"lane{k}": look.line, f"text{k}": look.text}
    return {name: _DARK.get(color, color) for name, color in named.items()} if theme == "dark" else named


def paper(theme: str) -> str:
    """What pictures of a theme stand on."""
    return _DARK[PAPER] if theme == "dark" else PAPER


def dark(source: str) -> str:
    """A DOT text in the dark theme."""
    return _COLOR.sub(lambda color: _DARK.get(color[0], color[0]), source)


def dark_rules(svg: str) -> str:
    """CSS by which an SVG in the light theme follows a reader who likes it dark."""
    used = sorted(
        {(side, color) for side, color in re.findall(r'(fill|stroke)="(#[0-9a-f]{6})"', svg) if color in _DARK}
    )
    alike: dict[str, list[str]] = {}
    for side, color in used:
        alike.setdefault(f"{side}:{_DARK[color]}", []).append(f'.tinygrad-nn [{side}="{color}"]')
    rules = "".join(f"{','.join(those)}{{{rule}}}" for rule, those in alike.items())
    return f"@media (prefers-color-scheme:dark){{{rules}}}"
