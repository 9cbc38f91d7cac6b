"""CSV files read by pyarrow, where it is installed: ten times as quick as Python, and the same to the last bit.

It is asked only where it means by a file what `records` means by it.  Everywhere else, and where it finds a fault, the
reader of `records` takes over, which knows lines by their numbers.
"""

from __future__ import annotations

import importlib
import io
import mmap
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.data.checks import Array
from tinygrad_nn.data.records import Dialect, first_record

__all__ = ["Column", "read_columns"]

Column = Array | tuple[list[str], Array]  # numbers; or the different texts, and which of them each row has

_START = 1 << 16  # bytes in which the header must end
_WORTH = 1 << 16  # bytes from which on it is worth the import
_PART = 1 << 20
_CATEGORIES = 1000  # different texts of a column up to which Arrow codes them while it reads


def read_columns(
    path: str | os.PathLike[str], dialect: Dialect, is_text: Callable[[Any], bool] = lambda name: False
) -> tuple[list[Any], list[Any]] | None:
    """The names and columns of a file; None where another reader has to look.

    `is_text` says of a name whether the column is text, whatever it looks like.
    """
    try:
        if os.path.getsize(path) < _WORTH or len(dialect.delimiter.encode()) != 1 or dialect.reading != "utf-8-sig":
            return None
        csv = importlib.import_module("pyarrow.csv")
    except (OSError, ImportError, UnicodeEncodeError):
        return None
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return _columns(csv, data, dialect, is_text)  # unmapped when Arrow's threads have let go of it, too


def _columns(csv: Any, data: mmap.mmap, dialect: Dialect, is_text: Any) -> tuple[list[Any], list[Any]] | None:
    head = data[:_START]
    start = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    end = head.rfind(b"\n") + 1
    several = _lines_in_cells(data, dialect)
    if not end or several is None:
        return None
    try:
        lines = head[start:end].decode()
        first = first_record(io.StringIO(lines, newline=""), dialect)
    except Exception:  # no text, or no records: the other reader says so
        return None
    if first is None or len(first[1]) < 2:
        return None
    number, record = first
    header = dialect.has_header(record)
    if header or number > 1:
        start += len("".join(lines.splitlines(keepends=True)[: number - (not header)]).encode())
    if start >= len(data) or (header and any("\n" in cell or "\r" in cell for cell in record)):
        return None
    names: list[Any] = [cell.strip() for cell in record] if header else list(range(len(record)))
    as_text = {j for j, name in enumerate(names) if is_text(f"x{name}" if isinstance(name, int) else name)}
    found = _read(csv, data, start, several, dialect, len(names), as_text)
    return None if found is None else (names, found)


def _lines_in_cells(data: mmap.mmap, dialect: Dialect) -> bool | None:
    """Whether a cell has several lines; None where the two readers may take something for different things."""
    if dialect.comment is not None and data.find(b"\n" + dialect.comment.encode()) >= 0:
        return None
    view, count, several, hexadecimal = np.frombuffer(data, np.uint8), 0, False, False
    border = np.zeros(256, bool)
    border[[ord(dialect.delimiter), 10, 13]] = True
    last = len(view) - 1
    for start in range(0, len(view), _PART):  # in parts that stay in the processor's cache
        part = view[start : start + _PART]
        text = bytearray(part)  # whose own search is the quickest
        if b"\r" in text:
            returns = np.flatnonzero(part == 13) + start
            if returns[-1] == last or (view[returns + 1] != 10).any():
                return None
        hexadecimal = hexadecimal or b"x" in text or b"X" in text
        if b'"' not in text:
            several = several or (count % 2 == 1 and b"\n" in text)
            continue
        quotes = np.flatnonzero(part == 34) + start
        before, after = border[view[quotes - 1]], border[view[np.minimum(quotes + 1, last)]]
        before, after = before | (quotes == 0), after | (quotes == last)
        opening = (np.arange(quotes.size) + count) % 2 == 0
        if not ((before == opening) & (after == ~opening)).all():
            usual = not _quotes_are_unusual(view, border) and data.find(b"0x") < 0 and data.find(b"0X") < 0
            return True if usual else None
        if not several:
            ends = np.logical_or.reduceat(part == 10, quotes - start)  # from each quote to the next
            several = bool(ends[opening].any()) or (count % 2 == 1 and b"\n" in text[: quotes[0] - start])
        count += quotes.size
    if count % 2:  # a cell that does not end
        return None
    # Hexadecimal numbers are text to Python.
    return None if hexadecimal and (data.find(b"0x") >= 0 or data.find(b"0X") >= 0) else several


def _places(view: Array, letter: int) -> Array:
    """Where a byte occurs."""
    parts = range(0, len(view), _PART)
    return np.concatenate([np.flatnonzero(view[i : i + _PART] == letter) + i for i in parts])


def _quotes_are_unusual(view: Array, border: Array) -> bool:
    """Whether quotes stand elsewhere than around a cell, or in pairs within it."""
    at = _places(view, 34)
    starts = at[np.diff(at, prepend=-2) != 1]
    ends = at[np.diff(at, append=len(view) + 1) != 1]
    before = (starts == 0) | border[view[np.maximum(starts - 1, 0)]]
    after = (ends + 1 == len(view)) | border[view[np.minimum(ends + 1, len(view) - 1)]]
    odd = (ends - starts) % 2 == 0
    within = np.searchsorted(at, starts) % 2 == 1
    # Within a cell, pairs; at one of its sides, an odd number; an empty one is a pair between borders.
    fine = (~before & ~after & ~odd & within) | (before & ~after & odd & ~within) | (~before & after & odd & within)
    fine |= before & after & ~odd & (ends - starts == 1)
    return len(at) % 2 == 1 or not bool(fine.all())


def _read(
    csv: Any, data: mmap.mmap, start: int, several: bool, dialect: Dialect, n: int, as_text: set[int]
) -> list[Any] | None:
    arrow = importlib.import_module("pyarrow")
    names = [str(j) for j in range(n)]
    types = {names[j]: arrow.string() for j in as_text}

    def read(columns: list[str], types: dict[str, Any]) -> Any:
        return csv.read_csv(
            arrow.BufferReader(arrow.py_buffer(memoryview(data)[start:])),
            read_options=csv.ReadOptions(column_names=names, use_threads=True, block_size=1 << 22),
            parse_options=csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=several),
            convert_options=csv.ConvertOptions(
                include_columns=columns, column_types=types, null_values=list(dialect.gaps), strings_can_be_null=False,
                decimal_point=dialect.decimal, timestamp_parsers=["%d never %d"],
                auto_dict_encode=True, auto_dict_max_cardinality=_CATEGORIES,
            ),
        )  # fmt: skip

    try:
        table = read(names, types)
        kinds = arrow.types
        odd = [
            name for name in names
            if not any(is_kind(table[name].type) for is_kind in _known(kinds))
        ]  # fmt: skip
        if odd:
            again = read(odd, dict.fromkeys(odd, arrow.string()))
            for name in odd:
                table = table.set_column(names.index(name), name, again[name])
    except Exception:  # whatever is wrong with the file, the other reader says where
        return None
    found: list[Any] = []
    pool = arrow.default_memory_pool()
    for name in names:  # one after the other, so that only one is there twice
        column = _plain(table[name], kinds)
        fractions = isinstance(column, np.ndarray) and column.dtype.kind == "f"
        nan = fractions and np.isnan(column).any()
        if fractions and _are_whole(column) and _find(data, b"+"):  # to Arrow, +5 is no integer
            return None
        if column is None or (nan and _find(data, b"nan(", b"NaN(")):
            return None
        found.append(column)
        table = table.drop_columns([name])
        pool.release_unused()  # for the next: memory that nobody has used yet is slow
    return found


def _known(kinds: Any) -> tuple[Any, ...]:
    """The kinds of columns that `_plain` takes."""
    return kinds.is_int64, kinds.is_float64, kinds.is_string, kinds.is_dictionary, kinds.is_null


def _are_whole(column: Array) -> bool:
    """Whether no number has a fraction; mostly the first few tell."""
    return all(bool((part == np.floor(part)).all()) for part in (column[:1000], column[1000:]))


def _find(data: Any, *texts: bytes) -> bool:
    return any(data.find(text) >= 0 for text in texts)


def _plain(column: Any, kinds: Any) -> Any:
    """A column as NumPy has it, or None; by its buffers, as pyarrow's own conversions import pandas."""
    if kinds.is_string(column.type):
        column = column.dictionary_encode()
    if kinds.is_dictionary(column.type):
        coded = column.unify_dictionaries()
        texts = coded.chunk(0).dictionary.to_pylist() if coded.num_chunks else []
        if coded.null_count or any("\0" in text for text in texts):
            return None
        return texts, _joined([chunk.indices for chunk in coded.chunks], np.int32)
    if kinds.is_null(column.type):
        return np.full(len(column), np.nan)
    if column.null_count:
        column = column.cast("float64", safe=False).fill_null(np.nan)
    whole = kinds.is_int64(column.type)
    values = _joined(column.chunks, np.int64 if whole else np.float64)
    # Infinity is perhaps made of digits that are too many.
    return None if not whole and np.isinf(values).any() else values


def _joined(chunks: list[Any], dtype: Any) -> Array:
    parts = [np.frombuffer(chunk.buffers()[1], dtype)[chunk.offset : chunk.offset + len(chunk)] for chunk in chunks]
    return np.concatenate(parts) if parts else np.empty(0, dtype)
