"""The records of a CSV file, as text: how one is written (`Dialect`), and the reader that knows every line's number."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tinygrad_nn.data.cells import is_number, shortened, shown

# What programs write where nothing is known.
GAPS = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NaT", "null", "NULL", "None", "?")

# How files begin that are no text, and what reads them.
_BINARY = {
    b"PK\x03\x04": "a workbook of Excel or a zip file; tn.data.Table(pandas.read_excel(path)) reads a workbook",
    b"\xd0\xcf\x11\xe0": "a workbook of an old Excel; tn.data.Table(pandas.read_excel(path)) reads it",
    b"PAR1": "a Parquet file; tn.data.Table(pyarrow.parquet.read_table(path)) reads it",
    b"ARRO": "a file of Arrow; tn.data.Table(pyarrow.feather.read_table(path)) reads it",
    b"\x1f\x8b": "packed by gzip; unpack it, or tn.data.Table(pandas.read_csv(path)) reads it",
}

# Where the decimals stand behind a point: 49,12 and 1,234,567 and 1,234.5 and 1.234,5; no date, address or version.
_OTHER_NUMBER = re.compile(r"[+-]?(\d+,\d+|\d{1,3}(,\d{3})+(\.\d+)?|\d{1,3}(\.\d{3})+,\d+)", re.ASCII)


@dataclass(frozen=True)
class Dialect:
    """How a file is written; ValueError for what no file could be, in the name of the function that was called."""

    caller: str
    header: bool | None = None
    delimiter: str = ","
    decimal: str = "."
    comment: str | None = None
    encoding: str = "utf-8"
    gaps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.delimiter, str) or len(self.delimiter) != 1 or self.delimiter in ' "\r\n':
            raise ValueError(
                f"{self.caller}: delimiter={self.delimiter!r}, expected a single character such as ',' ';' or '\\t'"
            )
        if self.decimal not in (".", ","):
            raise ValueError(f"{self.caller}: decimal={self.decimal!r}, expected '.' or ','")
        if self.decimal == self.delimiter:
            raise ValueError(
                f"{self.caller}: decimal=',' with delimiter=',' cannot be told apart; such files mostly have ';'"
            )
        if self.comment is not None and (not isinstance(self.comment, str) or self.comment.strip("\r\n\"'") == ""):
            raise ValueError(f"{self.caller}: comment={self.comment!r}, expected how such lines begin, as '#', or None")
        try:
            "".encode(self.encoding)
        except (LookupError, TypeError):
            raise ValueError(
                f"{self.caller}: there is no encoding {self.encoding!r}; expected 'utf-8', 'cp1252' or "
                "another of Python"
            ) from None
        if isinstance(self.gaps, str) or not all(isinstance(gap, str) for gap in self.gaps):
            raise TypeError(
                f"{self.caller}: missing={self.gaps!r:.80}, expected the texts that mark a gap, as ('', 'NA')"
            )

    @property
    def reading(self) -> str:
        """The encoding to open the file with: a byte order mark is no part of the first name."""
        return "utf-8-sig" if self.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else self.encoding

    def settings(self, header: bool) -> dict[str, Any]:
        """How files like this one are read, as JSON can hold it; `header` is whether it had one."""
        return {
            "header": header, "delimiter": self.delimiter, "decimal": self.decimal, "comment": self.comment,
            "encoding": self.encoding, "missing": list(self.gaps),
        }  # fmt: skip

    def point(self, cell: str) -> str:
        """A cell with a decimal point; what has one already is text where numbers have a comma."""
        return cell if self.decimal == "." else cell.replace(",", ".") if "." not in cell else f"_{cell}"

    def other_decimal(self, cell: str) -> str:
        """What to say of a number as other files write it: a comma for the point, or between thousands; else ""."""
        swapped = cell.strip() if self.decimal == "." else cell.strip().translate({44: ".", 46: ","})
        if not _OTHER_NUMBER.fullmatch(swapped):
            return ""
        other, name = (",", "commas") if self.decimal == "." else (".", "points")
        thousands = (
            f"write numbers without {name} between thousands, or tn.data.Table(pandas.read_csv(path, "
            f"thousands={other!r}, ...))"
        )
        if swapped.count(",") + swapped.count(".") > 1:
            return thousands
        way_out = f"decimal={other!r} reads it"
        if other == self.delimiter:
            way_out = f"write numbers with decimal {self.decimal!r}"
        return f"{way_out}, or {thousands}" if swapped[-4:-3] == "," else way_out

    def is_number(self, cell: str) -> bool:
        """Whether it is a number as this file has them."""
        return is_number(self.point(cell))

    def has_header(self, record: list[str]) -> bool:
        """Whether the first record holds names: it does if none of its cells is a number, unless it was said."""
        return not any(map(self.is_number, record)) if self.header is None else self.header


@dataclass
class Records:
    """All of a file: the names of its columns, its records, and the line on which each of them ends."""

    names: list[Any]
    lines: list[int]
    rows: list[list[str]]


def read_records(path: str | os.PathLike[str], dialect: Dialect) -> Records:
    """All records that are not empty, all of one length; ValueError for anything else."""
    caller = dialect.caller
    with open(path, "rb") as binary:
        start = binary.read(4)
    kind = next((kind for mark, kind in _BINARY.items() if start.startswith(mark)), "")
    if kind:
        raise ValueError(f"{caller}: {path} is {kind}")
    lines, records = [], []
    try:
        with open(path, newline="", encoding=dialect.reading) as file:
            for line, row in _records(file, dialect):
                lines.append(line)
                records.append(row)
    except UnicodeError as error:
        hint = _other_encoding(path) if dialect.reading == "utf-8-sig" else "give another encoding="
        raise ValueError(f"{caller}: {path} is no CSV file in {dialect.encoding.upper()} ({error}); {hint}") from None
    except csv.Error as error:
        hint = _other_delimiter(records, dialect) or "save it as one"
        raise ValueError(f"{caller}: {path} is no CSV file ({error}); {hint}") from None
    if not records:
        raise ValueError(f"{caller}: {path} is empty, expected one example per line")
    for line, row in zip(lines, records, strict=True):
        if len(row) != len(records[0]):
            hint = f"cells are separated by {dialect.delimiter!r}, text that contains it stands in double quotes"
            count = "1 cell" if len(row) == 1 else f"{len(row)} cells"
            raise ValueError(
                f"{caller}: {path}, line {line} has {count}, line {lines[0]} has {len(records[0])}; "
                f"{_other_delimiter(records, dialect) or hint}"
            )
    if _other_delimiter(records, dialect, everywhere=True):
        raise ValueError(
            f"{caller}: {path} has a single column, {shown(records[0][0])}; {_other_delimiter(records, dialect)}"
        )
    if not dialect.has_header(records[0]):
        return Records(list(range(len(records[0]))), lines, records)
    names = [cell.strip() for cell in records[0]]
    if len(records) == 1:
        raise ValueError(f"{caller}: {path} holds no examples, only the header {shortened(', '.join(names), 200)}")
    return Records(names, lines[1:], records[1:])


def _other_delimiter(records: list[list[str]], dialect: Dialect, everywhere: bool = False) -> str:
    """What to say where the first record is one cell that another delimiter divides; `everywhere`: all others too."""
    if not records or len(records[0]) > 1:
        return ""
    for mark in ";\t,|":
        n = records[0][0].count(mark)
        fits = n and mark not in (dialect.delimiter, dialect.decimal)
        if fits and (not everywhere or all(row[0].count(mark) >= n for row in records)):
            return f"is delimiter={mark!r} what separates its cells?"
    return ""


def _other_encoding(path: str | os.PathLike[str]) -> str:
    """What to say of a file that is not in UTF-8."""
    with open(path, "rb") as file:
        start = file.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        return "encoding='utf-16' reads it"
    return "encoding='cp1252' reads what older programs of Windows wrote, or save it in UTF-8"


def first_record(text: Iterable[str], dialect: Dialect) -> tuple[int, list[str]] | None:
    """The first record and the line on which it ends."""
    return next(_records(text, dialect), None)


def _records(text: Iterable[str], dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    comments: list[int] = []

    def without_comments() -> Iterator[str]:
        for number, line in enumerate(text, 1):
            if dialect.comment is not None and line.startswith(dialect.comment):
                comments.append(number)
            else:
                yield line

    reader = csv.reader(without_comments(), delimiter=dialect.delimiter, skipinitialspace=True, strict=True)
    for row in reader:
        if len(row) > 1 or "".join(row).strip():
            yield reader.line_num + len(comments), row
