"""The table of a comparison: what the gradient predicts of a step, parameter by parameter, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_nn.notation import format_number
from tinygrad_nn.view.graph.point import Pair, Point, Recorded
from tinygrad_nn.view.scene import Table, TableRow
from tinygrad_nn.view.text import in_brackets, listed, percent, plural

__all__ = ["prediction"]

MOST = 8  # rows
TERMS = 3  # of a sum that are written out


def prediction(pairs: Sequence[Pair], before: Point, after: Point) -> Table:
    """ΔJ ≈ Σ ⟨∂J/∂p, Δp⟩ over the parameters p, and beside it how much J has really changed."""
    J = before.root.called
    inputs = [(p.old, p.new) for p in pairs if p.old is not None and p.new is not None and p.old.op is None]
    tracked = [(old, new) for old, new in inputs if old.tracked]
    actual = _actual(before.root, after.root)
    unknown = [old.called for old, new in tracked if _lacks(old, new)]
    if unknown:
        return Table(
            _heading(J, [old.called for old, _ in tracked]),
            rest=(f"no prediction: {listed(unknown)} {_or('is', 'are', unknown)} not known", *_told(J, actual)),
        )
    moved = [(old, new, np.asarray(new.value - old.value, dtype=float)) for old, new in tracked]
    moved = [step for step in moved if step[2].any()]
    terms = [float(np.vdot(old.gradient, change)) for old, _, change in moved]
    total = float(np.sum(terms)) if terms else 0.0
    heading = _heading(J, [old.called for old, *_ in moved or tracked])
    rows = [_row(J, *step, term) for step, term in zip(moved, terms, strict=True)]
    other = _others(inputs)
    same = not other and not any(p.only for p in pairs)
    rest = [*_as_a_step(J, moved, total), *other, *_told(J, actual, total, same)]
    check = "" if actual is None else f"the actual change is {format_number(actual[1] - actual[0])}"
    return Table(heading, tuple(_largest(rows)), tuple(rest), format_number(total), None, check)


def _heading(J: str, names: Sequence[str]) -> str:
    """What is added up, by the names of the parameters."""
    terms = [f"⟨∂{J}/∂{p}, Δ{p}⟩" for p in names]
    terms = [terms[0], "…", terms[-1]] if len(terms) > TERMS else terms
    return f"Predicted change of {J}: {' + '.join(terms) or 0}, by the earlier gradient"


def _or(one: str, several: str, names: Sequence[str]) -> str:
    return one if len(names) == 1 else several


def _lacks(old: Recorded, new: Recorded) -> bool:
    """Whether a change, or the gradient that it is multiplied by, is not known."""
    return old.value is None or new.value is None or old.gradient is None or old.shape != new.shape


def _actual(old: Recorded, new: Recorded) -> tuple[float, float] | None:
    if old.value is None or new.value is None:
        return None
    return float(np.sum(old.value)), float(np.sum(new.value))


def _row(J: str, old: Recorded, new: Recorded, change: Any, term: float) -> TableRow:
    p = old.called
    if change.size > 1:
        return TableRow(0, f"⟨∂{J}/∂{p}, Δ{p}⟩", "", format_number(term), term)
    factors = f"{format_number(old.gradient.item())} × {in_brackets(change.item())}"
    return TableRow(0, f"∂{J}/∂{p} · Δ{p}", factors, format_number(term), term)


def _largest(rows: list[TableRow]) -> list[TableRow]:
    """Of many rows the largest, in their order, and the others together."""
    if len(rows) <= MOST:
        return rows
    kept = sorted(range(len(rows)), key=lambda i: -abs(rows[i].value or 0.0))[: MOST - 1]
    rest = sum(rows[i].value or 0.0 for i in range(len(rows)) if i not in kept)
    left = f"… and {plural(len(rows) - len(kept), 'more parameter')}, together"
    return [*(rows[i] for i in sorted(kept)), TableRow(0, left, "", format_number(rest), rest)]


def _as_a_step(J: str, moved: list[Any], total: float) -> list[str]:
    """`−lr ‖∇J‖²` where several numbers went against their gradients at one rate: one alone has no other way down."""
    if sum(int(np.count_nonzero(change)) for _, _, change in moved) < 2:
        return []
    squares = sum(float(np.vdot(old.gradient, old.gradient)) for old, _, _ in moved)
    rate = -total / squares if squares else 0.0
    if not rate > 0 or not np.isfinite(squares):
        return []
    for old, _, change in moved:
        rounding = 4 * np.finfo(old.value.dtype).eps * (np.abs(old.value) + np.abs(change))
        if (np.abs(change + rate * old.gradient) > rounding + 1e-9 * np.abs(change)).any():
            return []
    return [
        f"= −lr ‖∇{J}‖² = −{format_number(float(f'{rate:.6g}'))} × {format_number(squares)}: a step of gradient descent"
    ]


def _others(inputs: Sequence[tuple[Recorded, Recorded]]) -> list[str]:
    """Inputs that changed without being parameters: then two things have changed at once."""
    names = [
        old.called
        for old, new in inputs
        if not old.tracked and (old.shape != new.shape or not np.array_equal(old.value, new.value, equal_nan=False))
    ]
    if not names:
        return []
    return [f"{listed(names)} changed, too, which is not predicted: compare the same examples to see the step alone"]


def _told(J: str, actual: tuple[float, float] | None, total: float = 0.0, same: bool = True) -> list[str]:
    """The change of the result, and how much of the prediction it is, if it is the `same` function of parameters."""
    if actual is None:
        return []
    change = actual[1] - actual[0]
    line = f"{J}: {format_number(actual[0])} → {format_number(actual[1])}, Δ = {format_number(change)}"
    if total and np.isfinite(change / total):
        share = change / total
        line += f", {percent(share) if share >= 0 else f'−{percent(-share)}'} of the prediction"
        line += "; the gradient changes on the way" if abs(share - 1) > 0.01 and same else ""
        line += "" if same else ", which is of another function"
    return [line]
