"""How a scene comes to fit a width: to the right if it does, else downwards, else folded; never smaller."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator

from tinygrad_nn.view.renderers import faults, geometry, layout_engine
from tinygrad_nn.view.renderers.placed import placed
from tinygrad_nn.view.scene import Box, Direction, Scene, Shape
from tinygrad_nn.view.scenes.folding import fold
from tinygrad_nn.view.text import measure

__all__ = ["arranged"]

FOLDED = (40, 24, 16, 10, 6)  # boxes that are left, tried one after the other
NEARER = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)  # of the distance between columns, as far as it can be less
GAP = 0.45 * 72  # between ranks, in points
SPACES = (1.0, 1.25, 1.5, 1.8)  # between boxes, as multiples of the usual one
LOOSE = 15.0  # what lanes cost that do not run beside each other
SPREAD = 16.0  # what twice the space costs
TOLERATED = 2.0  # such faults do not make a picture lead downwards
BEFORE_HEAD = 24.0  # points before its end a line shows where it comes from


@dataclasses.dataclass(frozen=True)
class _Laid:
    """A scene, what the engine has drawn of it, and how hard that is to read."""

    scene: Scene
    drawn: bytes
    layout: geometry.Layout
    cost: float
    boxes: tuple[Box, ...]  # before they were given places for lines


def arranged(
    scene: Scene,
    write: Callable[[Scene], str],
    engine: str | None,
    timeout: float,
    width: float,
    like: Scene | None = None,
) -> tuple[Scene, bytes]:
    """The arrangement of a scene that fits `width`, and what the engine draws as SVG of the DOT that is written of it.

    Where none fits, the narrowest.  Of those that fit, the one in which no line runs through a head, a box or a label.
    Where a layout takes too long, a folded one; LayoutTimeoutError if even the smallest does.  Frames of a film are
    arranged `like` the first one.
    """
    end = time.monotonic() + timeout

    def laid(candidate: Scene) -> _Laid:
        time_left = max(0.2, 0.6 * (end - time.monotonic()))
        drawn = layout_engine.layout(write(candidate), "svg", engine, time_left)
        layout = geometry.read(drawn)
        cost = faults.cost(layout, _ends(candidate))
        return _Laid(candidate, drawn, layout, cost, candidate.boxes)

    if like is not None:
        only = laid(_alike(scene, like))
        return only.scene, only.drawn
    late: list[layout_engine.LayoutTimeoutError] = []
    best: _Laid | None = None  # of those that fit
    narrowest: _Laid | None = None
    for candidate in _candidates(scene, width, lambda: bool(late), timeout):
        if best is not None and (candidate.placed or candidate.boxes is not best.boxes):
            break  # only another direction can be better
        begin = time.monotonic()
        try:
            found = laid(candidate)
            if found.layout.width <= width + 1 and time.monotonic() - begin < 0.1 * timeout:
                found = _mended(found, laid, width)
        except layout_engine.LayoutTimeoutError as reason:
            late.append(reason)
            continue
        fits = found.layout.width <= width + 1 or (bool(late) and candidate.wide)
        if fits and (best is None or found.cost < best.cost):
            best = found
        if best is not None and (best.cost <= TOLERATED):
            break
        if narrowest is None or found.layout.width < narrowest.layout.width:
            narrowest = found
    result = best or narrowest
    if result is None:
        raise late[0]
    return result.scene, result.drawn


def _mended(found: _Laid, laid: Callable[[Scene], _Laid], width: float) -> _Laid:
    """The same with a place of its own for each line at a box, and more space, if that is easier to read."""
    if found.scene.placed:
        return found
    lanes = any(len(arrow.lanes) > 1 for arrow in found.scene.arrows)
    if not found.cost and not lanes:
        return found
    best = found
    with_places = _with_places(found)
    for space in SPACES:
        other = laid(dataclasses.replace(with_places, space=space))
        if other.layout.width > width + 1:
            break
        loose = LOOSE if lanes and best is found and other.cost <= best.cost else 0.0
        if other.cost + SPREAD * (space - best.scene.space) < best.cost + loose:
            best = dataclasses.replace(other, boxes=found.boxes)
        if not other.cost:
            break
    return best


def _ends(scene: Scene) -> dict[str, tuple[str, str]]:
    """The boxes between which each line leads."""
    ends = {arrow.id: (arrow.source, arrow.target) for arrow in scene.arrows}
    return ends | {f"{arrow.id}.{k}": ends[arrow.id] for arrow in scene.arrows for k in arrow.lanes}


def _with_places(found: _Laid) -> Scene:
    """The scene with a place at its box for each line, in the order in which the lines come and go."""
    across = 0 if found.scene.direction is Direction.DOWN else 1
    ends, order = _ends(found.scene), {arrow.id: i for i, arrow in enumerate(found.scene.arrows)}
    lanes = {f"{arrow.id}.{k}": i for arrow in found.scene.arrows for i, k in enumerate(arrow.lanes) if i}
    sides: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})
    keys: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for line in found.layout.lines:
        for side, points in enumerate((line.points, line.points[::-1])):
            sides[side].setdefault(ends[line.id][side], []).append(line.id)
            keys[side].setdefault(line.id.split(".")[0], geometry.along(points, BEFORE_HEAD)[across])

    def places(box: str, side: int) -> tuple[str, ...]:
        lines = sides[side].get(box, [])
        arrow = {line: line.split(".")[0] for line in lines}
        lines.sort(key=lambda k: (keys[side][arrow[k]], order[arrow[k]], lanes.get(k, 0)))
        return tuple(lines) if len(lines) > 1 else ()

    boxes = [
        dataclasses.replace(box, exits=places(box.id, 0), entries=places(box.id, 1)) if box.shape is Shape.CARD else box
        for box in found.scene.boxes
    ]
    return dataclasses.replace(found.scene, boxes=tuple(boxes))


def _alike(scene: Scene, like: Scene) -> Scene:
    """The scene in the arrangement of another one with the same boxes."""
    places = {box.id: box for box in like.boxes}
    boxes = [
        dataclasses.replace(box, entries=places[box.id].entries, exits=places[box.id].exits, at=places[box.id].at)
        for box in scene.boxes
    ]
    return dataclasses.replace(scene, boxes=tuple(boxes), direction=like.direction, space=like.space)


def _candidates(scene: Scene, width: float, took_long: Callable[[], bool], timeout: float) -> Iterator[Scene]:
    """Ways to lay it out, the best first: what has taken too long is not tried again in another direction."""
    if scene.placed:
        yield from (placed(scene, part) for part in NEARER)
        return
    for each in [scene] if scene.simpler is None else [scene, scene.simpler]:
        for direction in _directions(each):
            if not took_long() and (direction is _directions(each)[-1] or _may_fit(each, width)):
                yield dataclasses.replace(each, direction=direction)
    if scene.wide and not took_long():
        return
    simplest = scene.simpler or scene
    for boxes_left in FOLDED:
        if boxes_left < len(simplest.boxes):
            why = f"its layout took longer than {timeout:g} s" if took_long() else f"to fit {width:g} pixels"
            yield dataclasses.replace(fold(simplest, boxes_left, why), direction=_directions(simplest)[-1])


def _directions(scene: Scene) -> list[Direction]:
    """Where arrows may lead, the best first."""
    if scene.direction is not None:
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
