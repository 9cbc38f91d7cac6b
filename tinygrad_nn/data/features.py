"""One column of a table as features of a network: numbers and dates standardised, categories as rows or an index."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, ClassVar

import numpy as np

from tinygrad_nn.data.cells import shortened, shown
from tinygrad_nn.data.checks import Array

__all__ = [
    "Categories", "Dates", "Numbers", "as_text", "days_since", "feature_of_config", "is_date", "is_form", "iso",
    "most_frequent", "too_many",
]  # fmt: skip

_DAY = timedelta(days=1)
_FORMS = tuple(  # how dates are often written, besides ISO 8601; what fits one is proposed, and never taken for granted
    day + time
    for day in ("%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%d %b %Y")
    for time in ("", " %H:%M", " %H:%M:%S")
)


@dataclass(frozen=True)
class Numbers:
    """Numbers: gaps filled, shifted and scaled; with `indicator`, one more feature says where the gaps were."""

    name: str
    fill: float | None
    mean: float
    scale: float
    indicator: bool

    kind: ClassVar[str] = "numbers"
    read_as: ClassVar[str] = "numbers"  # what the column is in a file, whatever it looks like

    def config(self) -> dict[str, Any]:
        """The feature as JSON can hold it."""
        return {"kind": self.kind, **asdict(self)}

    @property
    def names(self) -> list[str]:
        """The names of the features that come of it."""
        return [self.name, f"{self.name} is missing"] if self.indicator else [self.name]

    def write(self, values: Array, out: Array, caller: str) -> None:
        """Write the features of a column (N,) into rows (features, N)."""
        if values.dtype == object:
            i = next((i for i, cell in enumerate(values) if cell is not None), None)
            if i is not None:
                raise ValueError(
                    f"{caller}: column {shown(self.name)}, row {i}: {shown(values[i])} is text, and the column was "
                    "numbers in training; is it a slip, or a gap by another name?"
                )
            values = np.full(len(values), np.nan)
        gaps = np.isnan(values)
        if gaps.any():
            if self.fill is None:
                raise ValueError(
                    f"{caller}: column {shown(self.name)}, row {int(np.argmax(gaps))} is a gap, and none is filled "
                    "(fill=None): fill it, or leave the row out"
                )
            values = np.where(gaps, self.fill, values)
        if np.isinf(values).any():
            raise ValueError(f"{caller}: column {shown(self.name)}, row {int(np.argmax(np.isinf(values)))} is infinite")
        with np.errstate(over="ignore"):
            out[0] = values if (self.mean, self.scale) == (0.0, 1.0) else (values - self.mean) / self.scale
        if np.isinf(out[0]).any():
            raise ValueError(
                f"{caller}: column {shown(self.name)}, row {int(np.argmax(np.isinf(out[0])))}: "
                f"{values[np.argmax(np.isinf(out[0]))]:g} is too large for {out.dtype}"
            )
        if self.indicator:
            out[1] = gaps


@dataclass(frozen=True)
class Dates(Numbers):
    """Dates as text, such as 2024-03-31: the days since the first one of training, which then are numbers."""

    first: str
    form: str | None  # of `strptime`, where dates are not written as in ISO 8601

    kind: ClassVar[str] = "dates"
    read_as: ClassVar[str] = "text"

    def write(self, values: Array, out: Array, caller: str) -> None:
        """Write the features of a column (N,) into rows (features, N)."""
        super().write(days_since(self.first, values, self.name, self.form, caller), out, caller)


@dataclass(frozen=True)
class Categories:
    """Categories: a feature for each, 1 where a row is of it; or one feature, the index, with 0 for the unknown."""

    name: str
    categories: tuple[str | None, ...]  # None: a gap, where it is a category of its own
    fill: str | None
    unknown: str
    index: bool

    kind: ClassVar[str] = "categories"
    read_as: ClassVar[str] = "text"

    def config(self) -> dict[str, Any]:
        """The feature as JSON can hold it."""
        return {"kind": self.kind, **asdict(self)}

    @property
    def names(self) -> list[str]:
        """The names of the features that come of it."""
        if self.index:
            return [self.name]
        return [f"{self.name} is missing" if c is None else f"{self.name}={c}" for c in self.categories]

    def write(self, values: Array, out: Array, caller: str) -> None:
        """Write the features of a column (N,) into rows (features, N)."""
        place = {category: i for i, category in enumerate(self.categories)}
        cells = as_text(values)
        if self.fill is not None:
            cells = [self.fill if cell is None else cell for cell in cells]
        codes = np.fromiter((place.get(cell, -1) for cell in cells), np.intp, len(cells))
        if self.unknown == "error" and (codes < 0).any():
            i = int(np.argmax(codes < 0))
            raise ValueError(self._unknown(cells[i], i, caller))
        if self.index:
            out[0] = codes + 1
        else:
            known = np.flatnonzero(codes >= 0)
            out[:] = 0
            out[codes[known], known] = 1

    def _unknown(self, cell: str | None, row: int, caller: str) -> str:
        known = [category for category in self.categories if category is not None]
        near = get_close_matches(str(cell), known, n=1)
        hint = f" (did you mean {shown(near[0])}?)" if near else f": there were {shortened(', '.join(known), 200)}"
        what = "is a gap" if cell is None else f"has {shown(cell)}"
        return (
            f"{caller}: column {shown(self.name)}, row {row} {what}, which training did not have{hint}; "
            "unknown='zero' takes it as none of them"
        )


def as_text(values: Array) -> list[str | None]:
    """A column as categories: whole numbers without a point, so that 1 and 1.0 are the same, and None for gaps."""
    if values.dtype == object:
        return values.tolist()
    if values.dtype.kind == "i":
        return [str(n) for n in values.tolist()]
    return [None if n != n else str(int(n)) if n.is_integer() else repr(n) for n in values.tolist()]


def _moment(cell: str, form: str | None = None) -> datetime:
    """The moment of a date in its form, or that of ISO 8601, with or without a time; ValueError for other text."""
    text = cell.strip()
    try:
        found = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)
    except ValueError:
        if form is None or text[4:5] != "-":
            raise
        found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def is_date(cell: str, form: str | None = None) -> bool:
    """Whether it is a date in its form, or that of ISO 8601, with or without a time."""
    try:
        _moment(cell, form)
    except ValueError:
        return False
    return True


def is_form(form: Any) -> bool:
    """Whether `strptime` reads dates by it: one that is written so is the same day when it is read."""
    day = datetime(2021, 10, 29, tzinfo=UTC)
    try:
        return _moment(day.strftime(form), form).date() == day.date()
    except (TypeError, ValueError):
        return False


def iso(cell: str, form: str | None) -> str:
    """A date as ISO 8601 has it; one that is written so already stays as it is."""
    return cell if form is None else _moment(cell, form).astimezone(UTC).replace(tzinfo=None).isoformat()


def days_since(first: str | None, values: Array, name: str, form: str | None, caller: str) -> Array:
    """Days (N,) from `first`, or from the first of them, to dates as text, with their fractions; NaN for gaps."""
    cells = as_text(values)
    moments = {}
    different = [cell for cell in dict.fromkeys(cells) if cell is not None]  # dates come again and again
    for cell in different:
        try:
            moments[cell] = _moment(cell, form)
        except ValueError:
            fits = _dates_argument(name, different) if form is None and first is None else ""
            raise ValueError(
                f"{caller}: column {shown(name)}, row {cells.index(cell)}: {shown(cell)} is no date such as "
                f"{datetime(2024, 3, 31, tzinfo=UTC):{form or '%Y-%m-%d'}}" + (f"; {fits} reads it" if fits else "")
            ) from None
    start = min(moments.values(), default=None) if first is None else _moment(first)
    days = {cell: np.nan if start is None else (moment - start) / _DAY for cell, moment in moments.items()}
    return np.array([np.nan if cell is None else days[cell] for cell in cells])


def _dates_argument(name: Any, different: list[str]) -> str:
    """`dates=` for dates as texts: for ISO 8601, or the forms that fit all of them; "" where none does."""
    some = different[:1000]
    if all(map(is_date, some)):
        return f"dates=[{name!r}]"
    fits = [form for form in _FORMS if all(is_date(cell, form) for cell in some)]
    return " or ".join(f"dates={{{name!r}: {form!r}}}" for form in fits)


def too_many(name: Any, different: list[str], n_rows: int, way_out: str) -> str:
    """What to say of a text column with more different texts than are likely to be categories."""
    dates = " or ".join(f"Preprocessor({said})" for said in _dates_argument(name, different).split(" or ") if said)
    hint = f"{dates} makes numbers of dates; or " if dates else ""
    return (
        f"column {shown(name)} has {len(different):,} different texts in {n_rows:,} rows, as "
        f"{shown(different[0])}: {hint}{way_out}"
    )


def most_frequent(values: list[Any]) -> Any:
    """The most frequent value; of several, the smallest."""
    there, counts = np.unique(np.array(values), return_counts=True)
    return there[np.argmax(counts)].item()


def feature_of_config(config: Any) -> Numbers | Categories:
    """The way back; ValueError for what is none, as a file may say anything."""
    if not isinstance(config, dict):
        raise ValueError("a feature of the preprocessing is no dict")
    settings = dict(config)
    kind = settings.pop("kind", None)
    kinds: dict[Any, Any] = {"numbers": Numbers, "dates": Dates, "categories": Categories}
    expected = kinds.get(kind) if isinstance(kind, str) else None
    if expected is None or settings.keys() != {field.name for field in fields(expected)}:
        raise ValueError(f"a feature of the preprocessing has kind {kind!r:.40} and other parts than it should have")
    if not isinstance(settings["name"], str):
        raise ValueError("a feature of the preprocessing has no name")
    if issubclass(expected, Numbers):
        numbers = [settings["mean"], settings["scale"], *([] if settings["fill"] is None else [settings["fill"]])]
        fine = all(isinstance(n, float) and math.isfinite(n) for n in numbers) and settings["scale"] > 0
        fine = fine and isinstance(settings["indicator"], bool)
        fine = fine and (expected is Numbers or (isinstance(settings["first"], str) and is_date(settings["first"])))
        fine = fine and (expected is Numbers or settings["form"] is None or is_form(settings["form"]))
    else:
        listed = settings["categories"]
        fine = isinstance(listed, (list, tuple)) and all(c is None or isinstance(c, str) for c in listed)
        fine = fine and len(set(listed)) == len(listed) > 0 and settings["unknown"] in ("zero", "error")
        fine = fine and (settings["fill"] is None or isinstance(settings["fill"], str))
        fine = fine and isinstance(settings["index"], bool)
        settings["categories"] = tuple(listed) if fine else ()
    if not fine:
        raise ValueError(f"the preprocessing of column {shown(settings['name'])} is not what it should be")
    return expected(**settings)
