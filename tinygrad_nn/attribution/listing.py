"""Contributions as a table: of one example, or on average over several; as text, HTML and Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_nn import notebook
from tinygrad_nn.notation import format_number
from tinygrad_nn.view.text import percent, plural

__all__ = ["Listing", "listing", "mean_of"]

BAR = 12  # characters


@dataclass(frozen=True)
class Listing:
    """Title, head, rows, and below a line what they add up to; `tints` are the numbers by which rows are coloured."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: tuple[tuple[str, ...], ...]
    tints: tuple[float, ...]
    remark: str = ""

    def text(self) -> str:
        """Columns that a fixed-width font shows, with bars."""
        bars = ["", *map(self._bar, self.tints)]
        lines = [self.head, *self.rows, *self.foot]
        widths = [max(len(line[j]) for line in lines) for j in range(len(self.head))]
        written = []
        for line, bar in zip(lines, bars + [""] * len(self.foot), strict=True):
            cells = [c.ljust(w) if j == 0 else c.rjust(w) for j, (c, w) in enumerate(zip(line, widths, strict=True))]
            written.append("  ".join([*cells, bar]).rstrip())
        written.insert(1 + len(self.rows), "-" * max(sum(widths) + 2 * len(widths) - 2, 1))
        return "\n".join([self.title, *written, *([self.remark] if self.remark else [])])

    def _bar(self, x: float) -> str:
        scale = max(map(abs, self.tints), default=0.0)
        n = round(BAR * abs(x) / scale) if scale else 0
        return ("▓" if x >= 0 else "░") * n

    def html(self) -> str:
        """The same with tinted cells: blue above 0, vermillion below."""
        scale, column = max(map(abs, self.tints), default=0.0), self._tinted
        styles = {(i, column): notebook.tinted(x, scale) for i, x in enumerate(self.tints)}
        head = notebook.table((*self.rows, *self.foot), self.head, range(1, len(self.head)), styles=styles)
        return notebook.heading(self.title) + head + (notebook.paragraph(self.remark) if self.remark else "")

    @property
    def _tinted(self) -> int:
        return self.head.index("contribution" if "contribution" in self.head else "mean contribution")

    def markdown(self) -> str:
        """A table of Markdown."""

        def row(cells: tuple[str, ...]) -> str:
            return f"| {' | '.join(map(notebook.in_markdown, cells))} |"

        rule = f"|{'|'.join([' --- ', *[' ---: '] * (len(self.head) - 1)])}|"
        lines = [f"**{notebook.in_markdown(self.title)}**", "", row(self.head), rule, *map(row, self.rows)]
        lines += [row(cells) for cells in self.foot]
        return "\n".join([*lines, *(["", notebook.in_markdown(self.remark)] if self.remark else [])]) + "\n"


def listing(result: Any, most: int) -> Listing:
    """The table of an `Attribution`: of its only example, or of all together."""
    order = result.order
    shown = order if len(order) <= most + 1 else order[:most]
    return (_of_one if len(result) == 1 else _of_several)(result, shown, np.setdiff1d(order, shown))


def _of_one(result: Any, shown: np.ndarray, left: np.ndarray) -> Listing:
    values, inputs = result.by_feature[:, 0], result.inputs_by_feature[:, 0]
    reference = result.baseline_by_feature
    if reference is not None:  # a mean that only rounding errors keep from 0
        reference = np.where(np.abs(reference) <= 1e-12 * np.abs(inputs), 0.0, reference)
    mass = float(np.abs(values).sum())
    head = ("", "value", *(() if reference is None else ("baseline",)), "contribution", "share")
    rows = []
    for i in shown:
        numbers = [inputs[i], *(() if reference is None else (reference[i],)), values[i]]
        rows.append((result.feature_names[i], *map(_number, numbers), _share(values[i], mass)))
    empty = ("",) * (len(head) - 3)
    if len(left):
        rows.append((f"{len(left)} more", *empty, format_number(values[left].sum()), _share(values[left].sum(), mass)))
    tints = [values[i] for i in shown] + ([values[left].sum()] if len(left) else [])
    f, start, gap = (float(x[0]) for x in (result.outputs, result.reference, result.gap))
    foot = [("sum of contributions", *empty, format_number(values.sum()), "")]
    foot += [(result.words_for_reference, *empty, format_number(start), "")] if result.has_reference else []
    foot += [(result.words_for_gap, *empty, format_number(gap), ""), (result.explained, *empty, format_number(f), "")]
    title = f"Where the {result.explained} came from: {result.method}"
    return Listing(title, head, tuple(rows), tuple(foot), tuple(map(float, tints)))


def mean_of(values: np.ndarray) -> np.ndarray:
    """The mean of each row; what only rounding errors leave of numbers that cancel is 0."""
    means = values.mean(axis=1)
    return np.where(np.abs(means) <= 1e-12 * np.abs(values).max(axis=1), 0.0, means)


def _number(x: float) -> str:
    """Empty where there is none: several categories have no mean."""
    return "" if np.isnan(x) else format_number(x)


def _share(part: float, mass: float) -> str:
    return percent(abs(part) / mass) if mass else ""


def _of_several(result: Any, shown: np.ndarray, left: np.ndarray) -> Listing:
    values = result.by_feature
    sizes, means, inputs = np.abs(values).mean(axis=1), mean_of(values), result.mean_inputs
    head = ("", "mean value", "mean |contribution|", "mean contribution", "share")
    total = float(sizes.sum())
    rows = [
        (result.feature_names[i], *map(_number, (inputs[i], sizes[i], means[i])), _share(sizes[i], total))
        for i in shown
    ]
    if len(left):
        part = sizes[left].sum()
        rows.append(
            (f"{len(left)} more", "", format_number(part), format_number(means[left].sum()), _share(part, total))
        )
    tints = [means[i] for i in shown] + ([means[left].sum()] if len(left) else [])
    foot = [("sum of contributions", "", "", format_number(means.sum()), "")]
    if result.has_reference:
        foot.append((result.words_for_reference, "", "", format_number(result.reference.mean()), ""))
    foot.append((result.words_for_gap, "", "", format_number(result.gap.mean()), ""))
    foot.append((result.explained, "", "", format_number(result.outputs.mean()), ""))
    title = f"Where the {result.explained} came from, over {plural(len(result), 'example')}: {result.method}"
    worst = float(np.abs(result.gap).max())
    remark = f"The largest gap of a single example is {format_number(worst)}" if result.has_reference else ""
    return Listing(title, head, tuple(rows), tuple(foot), tuple(map(float, tints)), remark)
