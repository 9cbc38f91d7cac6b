"""How a scene comes to fit a width: to the right if it does, else downwards, else folded; never smaller."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Iterator

from tinygrad_nn.view.renderers import layout_engine
from tinygrad_nn.view.scene import Direction, Scene
from tinygrad_nn.view.scenes.folding import fold
from tinygrad_nn.view.text import measure

__all__ = ["arranged"]

FOLDED = (40, 24, 16, 10, 6)  # boxes that are left, tried one after the other
CLOSER = (0.96, 0.92, 0.88, 0.84, 0.8, 0.75, 0.7)  # of the distance between columns that have their places
GAP = 0.45 * 72  # between ranks, in points


def arranged(
    scene: Scene, write: Callable[[Scene], str], engine: str | None, timeout: float, width: float
) -> tuple[Scene, bytes]:
    """The arrangement of a scene that fits `width`, and what the engine draws as SVG of the DOT that is written of it.

    Where none fits, the narrowest.  Where a layout takes too long, a folded one; LayoutTimeoutError if even the
    smallest does.
    """
    end = time.monotonic() + timeout
    late: list[layout_engine.LayoutTimeoutError] = []
    narrowest: tuple[float, Scene, bytes] | None = None
    for candidate in _candidates(scene, width, lambda: bool(late), timeout):
        try:
            time_left = max(0.2, 0.6 * (end - time.monotonic()))
            drawn = layout_engine.layout(write(candidate), "svg", engine, time_left)
        except layout_engine.LayoutTimeoutError as reason:
            late.append(reason)
            continue
        found = _width(drawn)
        if found <= width + 1 or (late and candidate.wide):
            return candidate, drawn
        if narrowest is None or found < narrowest[0]:
            narrowest = found, candidate, drawn
    if narrowest is None:
        raise late[0]
    return narrowest[1:]


def _candidates(scene: Scene, width: float, took_long: Callable[[], bool], timeout: float) -> Iterator[Scene]:
    """Ways to lay it out, the best first: what has taken too long is not tried again in another direction."""
    for each in [scene] if scene.simpler is None else [scene, scene.simpler]:
        for direction in _directions(each):
            if not took_long() and (direction is _directions(each)[-1] or _may_fit(each, width)):
                yield dataclasses.replace(each, direction=direction)
    if scene.placed:
        yield from (closer(scene, part) for part in CLOSER)
        return
    if scene.wide and not took_long():
        return
    simplest = scene.simpler or scene
    for boxes_left in FOLDED:
        if boxes_left < len(simplest.boxes):
            why = f"its layout took longer than {timeout:g} s" if took_long() else f"to fit {width:g} pixels"
            yield dataclasses.replace(fold(simplest, boxes_left, why), direction=_directions(simplest)[-1])


def closer(scene: Scene, part: float) -> Scene:
    """A scene whose boxes have their places, with its columns closer to each other."""
    boxes = [dataclasses.replace(b, at=(round(b.at[0] * part, 1), *b.at[1:])) if b.at else b for b in scene.boxes]
    return dataclasses.replace(scene, boxes=tuple(boxes))


def _directions(scene: Scene) -> list[Direction]:
    """Where arrows may lead, the best first."""
    if scene.placed or scene.direction is not None:
        return [scene.direction or Direction.RIGHT]
    return [Direction.RIGHT, Direction.DOWN]


def _may_fit(scene: Scene, width: float) -> bool:
    """Whether the boxes of the longest chain of arrows can stand beside each other."""
    widths = {box.id: measure(box.title, 13, bold=True) + 10 for box in scene.boxes}
    reach = dict.fromkeys(widths, 0.0)
    for arrow in scene.arrows:  # sorted by the boxes they lead to, which come after those they lead from
        label = max(measure(line, 11) for line in [*arrow.label.split("\n"), arrow.longest])
        before = reach[arrow.source] + widths[arrow.source] + max(GAP, label)
        reach[arrow.target] = max(reach[arrow.target], before)
    return max((reach[box] + widths[box] for box in widths), default=0.0) <= width


def _width(drawn: bytes) -> float:
    """Of an SVG document, in points."""
    found = re.search(rb'viewBox="[-\d.]+ [-\d.]+ ([\d.]+)', drawn)
    return float(found[1]) if found else 0.0
