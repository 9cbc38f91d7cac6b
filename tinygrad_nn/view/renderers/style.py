"""The look: colours that colour-blind readers tell apart (Okabe & Ito 2008), and a second sign beside every colour."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BAD", "FIRED", "FONT", "GOOD", "INK", "LANES", "PAPER", "QUIET", "ROLES", "SOFT", "LaneStyle", "Role",
    "lane", "tint",
]  # fmt: skip

FONT = "Arial"  # both engines know how wide its letters are; the SVG asks for what the reader's machine has
PAPER, INK, QUIET, SOFT, FIRED = "#ffffff", "#0f172a", "#526077", "#cbd5e1", "#eef2f7"
BAD, GOOD = "#b3261e", "#00694f"


@dataclass(frozen=True)
class Role:
    """How the nodes of one kind look: colour, and for readers of grey prints a border and a word."""

    word: str
    line: str
    fill: str
    header: str
    border: str = "rounded"  # rounded, square, double or dashed
    width: float = 1.0


ROLES = {
    "input": Role("input", "#00805f", "#ffffff", "#d9f2e9", "rounded", 2.2),
    "parameter": Role("parameter", "#b57900", "#ffffff", "#fdeeca", "square", 1.6),
    "output": Role("output", "#6d28d9", "#ffffff", "#e9dffb", "double", 1.2),
    "argument": Role("argument", "#00805f", "#ffffff", "#d9f2e9", "rounded", 2.2),
    "state": Role("state", "#8a4f00", "#ffffff", "#fdeeca", "square", 1.6),
    "updated": Role("", "#b57900", "#fffaf0", "#fdeeca", "square", 2.4),
    "returned": Role("", "#6d28d9", "#ffffff", "#e9dffb", "double", 1.2),
    "constant": Role("constant", "#64748b", "#ffffff", "#eef1f5", "dashed", 1.0),
    "operation": Role("", "#7b8aa0", "#ffffff", "#f1f5f9", "rounded", 1.0),
    "layer": Role("layer", "#7b8aa0", "#ffffff", "#e0ecf5", "rounded", 1.6),
    "text": Role("", "#7b8aa0", "#ffffff", "#ffffff"),
    "fold": Role("folded", "#64748b", "#ffffff", "#e2e8f0", "dashed", 1.4),
}


@dataclass(frozen=True)
class LaneStyle:
    """How one path is drawn: the colour of its line, a darker one for text, and its dash pattern."""

    line: str
    text: str
    dot: str  # DOT knows three patterns
    dashes: str  # the SVG has one for each path
    sample: str  # the pattern in text


LANES = (
    LaneStyle("#0072b2", "#00639c", "solid", "", "———"),
    LaneStyle("#d55e00", "#b34f00", "dashed", "9 4", "– – –"),
    LaneStyle("#009e73", "#007a59", "dotted", "2 3.5", "· · · ·"),
    LaneStyle("#cc79a7", "#a04b7c", "dashed", "12 3 2.5 3", "— · —"),
    LaneStyle("#e69f00", "#946600", "dotted", "5 2.5", "- - - -"),
    LaneStyle("#56b4e9", "#1c7ab0", "solid", "16 3", "—— ——"),
    LaneStyle("#000000", "#000000", "dashed", "12 3 2.5 3 2.5 3", "— · · —"),
    LaneStyle("#8c6d1f", "#6e5516", "dotted", "1.5 5", "·  ·  ·"),
)


def lane(k: int) -> LaneStyle:
    """The style of path number k, counted from 1."""
    return LANES[(k - 1) % len(LANES)]


_NEGATIVE, _POSITIVE, _NEUTRAL = (213, 94, 0), (0, 114, 178), (247, 248, 250)


def tint(x: float, scale: float) -> str:
    """The colour of a number in a heat-map: blue above 0, vermillion below, in proportion to `scale`."""
    if x != x:
        return "#000000"
    share = 0.0 if not scale or x == 0 else max(-1.0, min(1.0, x / scale))
    end = _POSITIVE if share >= 0 else _NEGATIVE
    mix = abs(share) ** 0.8 * 0.92
    return "#" + "".join(f"{round(a + (b - a) * mix):02x}" for a, b in zip(_NEUTRAL, end, strict=True))
