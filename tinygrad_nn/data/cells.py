"""Cells of tables as numbers and labels: what cannot be held as it stands is refused with its place."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_nn.data.checks import Array

Place = Callable[[int], str]  # the words for the place of a row

_LONGEST = 640  # digits that Python reads, however little it is told to
_GAPS = {"", "NA", "<NA>", "NaT", "?", "None"}
CODING = "code it as numbers first"
_NO_NUMBERS = (str, bytes, complex, np.complexfloating, np.datetime64, np.timedelta64, np.ndarray)


def way_out(cell: Any, coding: str = CODING) -> str:
    """What to do about a cell that is no number; `coding` says what makes numbers of text."""
    if isinstance(cell, (complex, np.complexfloating)):
        return "make two columns of its real and its imaginary part"
    if isinstance(cell, str) and cell.replace("_", "").strip().isdigit():
        return "write numbers with the digits 0 to 9 and nothing between them"
    if isinstance(cell, str) and any(mark in cell for mark in ";\t"):
        return "is it the delimiter? delimiter=';' or '\\t' may fit"
    if shown(cell).strip("' ") in _GAPS:
        return "fill the gap, or leave the row out"
    return f"leave the column out, or {coding}"


def all_floats(
    rows: Any, names: Sequence[Any], convert: Callable[[Any], float], place: Place,
    hint: Callable[[Any], str] = way_out,
) -> Array:  # fmt: skip
    """`rows` as float64 `(N, columns)`; the first cell that will not convert is named with its place and column.

    `hint` says what to do about it.
    """
    numbers = np.empty((len(rows), len(names)))
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            try:
                numbers[i, j] = convert(cell)
            except OverflowError:
                wrong = "is too large for float64; measure the column in another unit, or leave it out"
            except Exception:  # a cell may be any object, and its __float__ may raise anything
                wrong = f"is not a number; {hint(cell)}"
            else:
                continue
            raise ValueError(f"{place(i)}, column {shown(names[j])}: {shown(cell)} {wrong}")
    return numbers


# Python reads more as numbers: 1_0 as 10, and the digits of all scripts, which would make one label of two.
_NUMBER = re.compile(r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)


def float_of_text(cell: str) -> float:
    """A number as files have it; OverflowError where digits come out as infinity, ValueError for text."""
    if not is_number(cell):
        raise ValueError
    number = float(cell)
    if math.isinf(number) and any(c.isdigit() for c in cell):
        raise OverflowError
    return number


def float_of_object(cell: Any) -> float:
    """A number of any kind; TypeError for text, which is text in a typed table even where it reads as a number."""
    if isinstance(cell, _NO_NUMBERS):  # float() of these would warn, or leave a part of them out
        raise TypeError
    number = float(cell)
    if math.isinf(number) and not bool(cell == number):
        raise OverflowError
    return number


def is_whole(cell: Any) -> bool:
    """Whether it is an integer; NumPy takes spans of time for some."""
    return isinstance(cell, (int, np.integer)) and not isinstance(cell, np.timedelta64)


def whole_numbers(labels: list[int], place: Place) -> Array:
    """Labels as int64, or uint64 where they need it."""
    for dtype in (np.int64, np.uint64):
        limits = np.iinfo(dtype)
        if all(limits.min <= label <= limits.max for label in labels):
            return np.array(labels, dtype)
    i = next(i for i, label in enumerate(labels) if not -(1 << 63) <= label < 1 << 63)
    raise ValueError(
        f"{place(i)}: {shown(labels[i])} does not fit into an integer of 64 bits with the others; "
        "a letter in front makes labels text, which is kept as it is, and a decimal point makes them float64"
    )


def texts(labels: list[str], place: Place) -> Array:
    """Labels as strings; NumPy would cut off zero characters at their ends."""
    for i, label in enumerate(labels):
        if label.endswith("\0"):
            raise ValueError(
                f"{place(i)}: {shown(label)} ends in a zero character, which NumPy does not keep; remove it"
            )
    return np.array(labels, dtype=str)


def is_number(cell: str) -> bool:
    """Whether it is a number as files have them: ASCII digits, perhaps with sign, point and exponent, nan or inf."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def are_whole(cells: list[str]) -> bool:
    """Whether all are whole numbers of a length that Python reads."""
    return all(_WHOLE.fullmatch(cell) and len(cell) < _LONGEST for cell in cells)


def zeros_of_whole(numbers: Array, rows: list[list[str]]) -> Array:
    """The same numbers (N, columns), in which -0 is 0 where a column of integers has it, as integers have one zero."""
    for j in np.flatnonzero(((numbers == 0) & np.signbit(numbers)).any(axis=0)):
        cells = [row[j].strip() for row in rows]
        if are_whole(cells) and all(-(1 << 63) <= int(cell) < 1 << 63 for cell in cells):
            numbers[:, j] += 0.0
    return numbers


def shown(cell: Any) -> str:
    """A cell in a message, whatever it is, and not too long."""
    try:
        text = repr(cell)
    except Exception:  # an integer of 5,000 digits has no repr, and an object may have a broken one
        return f"a cell of type {type(cell).__name__}"
    return shortened(text)


def shortened(text: str, most: int = 60) -> str:
    """A text in a message: its beginning, where it is long."""
    return text if len(text) <= most else f"{text[: most - 20]} … ({len(text):,} characters)"
