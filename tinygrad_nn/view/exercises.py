"""Exercise sheets: a picture in which some numbers are left out, by seed, and the same with its solutions."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_nn.view.picture import Picture, save_as
from tinygrad_nn.view.renderers import html, latex, svg, tikz
from tinygrad_nn.view.scene import Arrow, Box, Field, Role, Scene, Table, TableRow

__all__ = ["Worksheet", "worksheet"]


@dataclass(frozen=True)
class Worksheet:
    """An exercise and its solution.

    Attributes
    ----------
    exercise : the picture with letters where numbers are left out.
    solution : the picture as it was.
    answers : for each letter what stands there, such as ``("∂z/∂x", "−3.0851")``.
    """

    exercise: Picture
    solution: Picture
    answers: tuple[tuple[str, str], ...]

    def save(self, path: str | Path) -> Path:
        """Write the exercise, the questions, and on a page of their own the solutions; as .html or .tex."""
        return save_as(path, {".html": self.html, ".tex": self.tex}, "worksheets")

    def html(self) -> str:
        """A page to print: the solutions begin on a new sheet."""
        return html.worksheet(
            self.exercise.scene.title, html.inline(self.exercise.svg()), html.inline(self.solution.svg()), self._asked()
        )

    def tex(self) -> str:
        """A LaTeX document of two pages."""
        pictures = [tikz.picture(svg.finish(drawn, scene)) for scene, drawn in (
            self.exercise._arranged, self.solution._arranged)]  # fmt: skip
        return latex.worksheet(self.exercise.scene.title, pictures, self._asked())

    def _asked(self) -> list[tuple[str, str, str]]:
        return [(_letter(k), what, answer) for k, (what, answer) in enumerate(self.answers)]

    def __repr__(self) -> str:
        return f"<worksheet: {self.exercise.scene.title}; {len(self.answers)} numbers are asked for>"


def worksheet(picture: Picture, seed: int = 0, share: float = 0.4) -> Worksheet:
    """An exercise sheet from a picture of `tn.draw`: some of its numbers are left out.

    Parameters
    ----------
    picture : what is to be completed.
    seed : which numbers; the same seed leaves out the same ones.
    share : how many of them, from 0 to 1; at least one.

    Raises
    ------
    ValueError : nothing in the picture can be asked for, or `share` is out of range.

    Example
    -------
    >>> import tinygrad_nn as tn
    >>> t = tn.tensor(0.5, requires_grad=True, name="t")
    >>> sheet = tn.worksheet(tn.draw(tn.sin(t**2)), seed=1)
    >>> sheet
    <worksheet: Computation graph of z = sin(v₁); 2 numbers are asked for>
    """
    if not 0 < share <= 1:
        raise ValueError(
            f"worksheet: share is the part of the numbers that are left out, above 0 up to 1, not {share!r}"
        )
    scene = picture.scene
    found = list(_numbers(scene))
    if not found:
        raise ValueError("worksheet: this picture has no numbers that could be asked for; draw a graph with gradients")
    chosen = sorted(random.Random(seed).sample(range(len(found)), max(1, round(share * len(found)))))
    letters = {found[i][0]: _letter(k) for k, i in enumerate(chosen)}
    blank = _Blank(letters)
    exercise = dataclasses.replace(
        scene,
        boxes=tuple(blank.box(box) for box in scene.boxes),
        arrows=tuple(blank.arrow(arrow) for arrow in scene.arrows),
        table=None if scene.table is None else blank.table(scene.table),
        simpler=None,
    )
    whole = dataclasses.replace(scene, simpler=None)
    answers = tuple((found[i][1], found[i][2]) for i in chosen)
    paper = dataclasses.replace(picture, theme="light")
    return Worksheet(dataclasses.replace(paper, scene=exercise), dataclasses.replace(paper, scene=whole), answers)


Place = tuple[Any, ...]


def _numbers(scene: Scene) -> Iterator[tuple[Place, str, str]]:
    """Every number that can be asked for: where it stands, what it is, and the number.

    Values of inputs and the gradient of the result by itself are given, all else follows from them.
    """
    for box in scene.boxes:
        if box.count > 1:
            continue
        for i, field in enumerate(box.fields):
            given = box.role is Role.OUTPUT if field.live.startswith("gradient") else box.role is not Role.OPERATION
            if field.live and field.value is not None and not given and not field.strong:
                what = box.title if field.label == "value" else field.label
                yield (box.id, i), what if field.label != "gradient" else f"gradient of {box.name}", field.text
    names = {box.id: box.name for box in scene.boxes}
    for arrow in scene.arrows:
        formula, equals, number = arrow.label.rpartition(" = ")
        if arrow.derivative is not None and equals:
            yield (arrow.id,), f"∂{names[arrow.target]}/∂{names[arrow.source]} = {formula}", number
    for i, row in enumerate(scene.table.rows if scene.table is not None else ()):
        if row.value is not None and row.factors:
            yield ("row", i), row.label, row.product
    if scene.table is not None and scene.table.total and scene.table.grid is None:
        yield ("total",), scene.table.heading.split(" = ")[0], scene.table.total


class _Blank:
    """Puts letters where numbers were."""

    def __init__(self, letters: dict[Place, str]):
        self.letters = letters

    def box(self, box: Box) -> Box:
        """A box without the parts of its sum, which would give away what is asked for."""
        fields = tuple(self._field(box, i, field) for i, field in enumerate(box.fields))
        return dataclasses.replace(box, fields=fields, note=box.note.split(":")[0], tooltip="")

    def _field(self, box: Box, i: int, field: Field) -> Field:
        letter = self.letters.get((box.id, i))
        if field.strong and letter is None:
            letter = self.letters.get(("total",))  # the gradient whose paths are shown: what the table adds up to
        return field if letter is None else dataclasses.replace(field, text=_gap(letter), value=None)

    def arrow(self, arrow: Arrow) -> Arrow:
        """An arrow with its formula, without the number."""
        letter = self.letters.get((arrow.id,))
        label = arrow.label if letter is None else f"{arrow.label.rpartition(' = ')[0]} = {_gap(letter)}"
        return dataclasses.replace(arrow, label=label, tooltip="")

    def table(self, table: Table) -> Table:
        """The table without bars and factors of what is asked for; the check would give away the sum."""
        rows = tuple(self._row(i, row) for i, row in enumerate(table.rows))
        total = _gap(self.letters[("total",)]) if ("total",) in self.letters else table.total
        hidden = total != table.total or rows != table.rows
        rest = () if hidden else table.rest
        return dataclasses.replace(
            table, rows=rows, total=total, rest=rest, check="" if hidden else table.check, ok=None
        )

    def _row(self, i: int, row: TableRow) -> TableRow:
        letter = self.letters.get(("row", i))
        asked = any(len(place) == 1 and place[0] != "total" for place in self.letters)
        factors = "" if asked else row.factors  # they repeat the numbers on the arrows
        if letter is None:
            return dataclasses.replace(row, factors=factors)
        return dataclasses.replace(row, factors=factors, product=_gap(letter), value=None, share="")


def _letter(k: int) -> str:
    """a, b ... z, a2, b2 ..."""
    return "abcdefghijklmnopqrstuvwxyz"[k % 26] + (str(k // 26 + 1) if k >= 26 else "")


def _gap(letter: str) -> str:
    return f"({letter})"
