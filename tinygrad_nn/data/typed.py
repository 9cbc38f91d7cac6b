"""Columns of a table: numbers with NaN in gaps, or text with None in gaps; what is neither is refused by its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np

from tinygrad_nn.data.cells import are_whole, float_of_text, is_whole, shown
from tinygrad_nn.data.checks import Array
from tinygrad_nn.data.records import GAPS, Dialect

__all__ = ["ElsewhereError", "coded", "of_cells", "of_values"]

_LONG, _FEW = 20, 5  # longer texts, or more of them, are likely not what marks gaps
_INT64 = np.iinfo(np.int64)


class ElsewhereError(Exception):
    """The other reader has to say what is wrong, as it knows the lines."""


def coded(cells: Sequence[str]) -> tuple[list[str], Array]:
    """The different texts of a column, and which of them each row has."""
    number: dict[str, int] = {}
    codes = np.fromiter((number.setdefault(cell, len(number)) for cell in cells), np.intp, len(cells))
    return list(number), codes


def of_cells(
    texts: Sequence[str], codes: Array, dialect: Dialect, kind: str | None, place: Callable[[int], str],
    hint: str | None = None,
) -> Array:  # fmt: skip
    """A column of a file, from its different texts and the number of that of each row.

    Returns int64 for whole numbers without gaps, float64 for other numbers, and else an array of str and None.  `kind`
    is "numbers" or "text" where that was said.  `place` gives the words for a row of the column,
    `hint` another way out for text.
    """
    texts = [text.strip() for text in texts]
    gap = np.array([text in dialect.gaps for text in texts], bool)
    number = np.array([dialect.is_number(text) for text in texts], bool) & ~gap
    counts = np.bincount(codes, minlength=len(texts))
    other = ~number & ~gap
    numbers, others = counts[number].sum(), counts[other].sum()
    if kind == "text" or (kind is None and others > numbers and not _are_marked(texts, counts * other, dialect)):
        return _text(texts, gap)[codes]
    if others:
        i = int(np.flatnonzero(other[codes])[0])
        cell = texts[codes[i]]
        way_out = dialect.other_decimal(cell) or _as_gaps(
            cell, [texts[j] for j in np.flatnonzero(other)] if numbers else [cell], dialect
        )
        said = f", as {numbers:,} of {len(codes):,} cells of the column are" if numbers else ""
        if hint is None:
            hint = "" if kind == "numbers" else "; text=[...] takes the column as text"
        ways = "; ".join(filter(None, [way_out, hint.removeprefix("; ")]))
        raise ValueError(f"{place(i)}: {shown(cell)} is not a number{said}; {ways or 'correct it'}")
    if not gap[codes].any() and are_whole(texts):
        whole = [int(text) for text in texts]
        if all(_INT64.min <= n <= _INT64.max for n in whole):
            return np.array(whole, np.int64)[codes]
    values = np.full(len(texts), np.nan)
    for j in np.flatnonzero(number):
        try:
            values[j] = float_of_text(dialect.point(texts[j]))
        except OverflowError:
            i = int(np.flatnonzero(codes == j)[0])
            raise ValueError(
                f"{place(i)}: {shown(texts[j])} is too large for float64; measure the column in another unit, or take "
                "it as text=[...]"
            ) from None
    return values[codes]


def _as_gaps(cell: str, others: Sequence[str], dialect: Dialect) -> str:
    """What makes gaps of a cell, and of the few others that are no numbers, besides those that are gaps already."""
    short = [text for text in others if len(text) <= _LONG and not dialect.other_decimal(text)]
    if cell not in short:
        return ""
    new = short if len(short) <= _FEW else [cell]
    before = ["*tn.data.GAPS"] if dialect.gaps == GAPS else list(map(repr, dialect.gaps))
    return f"missing=[{', '.join(before + list(map(repr, new)))}] makes {'a gap of it' if new == [cell] else 'gaps'}"


def _are_marked(texts: Sequence[str], counts: Array, dialect: Dialect) -> bool:
    """Whether nearly all of the cells, so many of each text, are numbers as other files write them."""
    allowed = 0.1 * counts.sum()
    for i in np.argsort(-counts, kind="stable"):  # the most frequent first, so that few are looked at
        if counts[i] and not dialect.other_decimal(texts[i]):
            allowed -= counts[i]
            if allowed < 0:
                return False
    return True


def _text(texts: Sequence[str], gap: Array) -> Array:
    found = np.empty(len(texts), object)
    found[:] = [None if missing else text for text, missing in zip(texts, gap, strict=True)]
    return found


def of_values(values: Any, name: str, caller: str) -> Array:
    """A column of a frame or a list: arrays of numbers, text, or objects of one of the two kinds.

    Truth values become the text that files have for them, "True" and "False", dates and times that of ISO 8601.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{caller}: column {shown(name)} is a masked array; .filled(value) makes a plain one")
    array = values if isinstance(values, np.ndarray) else _as_array(values)
    if array.ndim != 1:
        raise ValueError(f"{caller}: column {shown(name)} has shape {array.shape}, expected (N,)")
    kind = array.dtype.kind
    if kind in "iu":
        fits = array.size == 0 or int(array.max()) <= _INT64.max
        return array.astype(np.int64 if fits else np.float64)
    if kind == "f":
        return array.astype(np.float64)
    if kind == "b":
        return np.where(array, "True", "False").astype(object)
    if kind in "UT":
        return array.astype(object)
    if kind == "O":
        return _of_objects(array, name, caller)
    if kind == "M":
        return _of_times(array)
    hint = f"{name} / np.timedelta64(1, 'D') counts days" if kind == "m" else "make numbers or text of it"
    raise TypeError(f"{caller}: column {shown(name)} has dtype {array.dtype}, expected numbers or text; {hint}")


def _of_times(array: Array) -> Array:
    """Times as text, no finer than they are: 2024-03-31, or 2024-03-31T18:30:00."""
    exact = array.astype("datetime64[us]")
    there = exact[~np.isnat(exact)]
    unit = next((unit for unit in ("D", "s") if (there == there.astype(f"datetime64[{unit}]")).all()), "us")
    return _text(np.datetime_as_string(exact, unit=unit).tolist(), np.isnat(exact))  # type: ignore[call-overload]


def _as_array(values: Any) -> Array:
    values = list(values)
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _of_objects(array: Array, name: str, caller: str) -> Array:
    gap = np.array([_is_gap(cell) for cell in array], bool)
    there = [cell for cell, missing in zip(array, gap, strict=True) if not missing]
    if all(isinstance(cell, str) for cell in there):
        if not there:
            return np.full(len(array), np.nan)
        found = array.copy()
        found[gap] = None
        return found
    if all(isinstance(cell, (bool, np.bool_)) for cell in there):
        found = np.empty(len(array), object)
        found[:] = [None if missing else str(bool(cell)) for cell, missing in zip(array, gap, strict=True)]
        return found
    if all(isinstance(cell, date) for cell in there):
        return _text([cell.isoformat() if isinstance(cell, date) else "" for cell in array], gap)
    if not gap.any() and all(map(is_whole, there)) and all(_INT64.min <= int(n) <= _INT64.max for n in there):
        return np.array([int(n) for n in there], np.int64)
    numbers = np.full(len(array), np.nan)
    for i in np.flatnonzero(~gap):
        cell = array[i]
        try:
            if isinstance(cell, (str, bytes, complex, np.datetime64, np.timedelta64, np.ndarray)):
                raise TypeError
            numbers[i] = float(cell)
        except Exception:  # whatever an object's __float__ raises
            other = next((c for c in there if type(c) is not type(cell)), None)
            mixed = "" if other is None else f", and {shown(other)} of type {type(other).__name__}"
            raise TypeError(
                f"{caller}: column {shown(name)}, row {i}: {shown(cell)} is of type {type(cell).__name__}{mixed}; "
                "expected numbers alone, text alone or dates alone, with None in gaps"
            ) from None
    return numbers


def _is_gap(cell: Any) -> bool:
    """None, NaN, and what pandas has for them."""
    if cell is None:
        return True
    if isinstance(cell, (str, bool, int)):
        return False
    return type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, (float, np.floating)) and cell != cell)
