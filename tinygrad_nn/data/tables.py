"""Load row-wise tables (CSV, pandas, arrays) and transpose them to (features, N)."""

import csv
import os
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, overload

import numpy as np

from tinygrad_nn.data.cells import (
    all_floats,
    are_whole,
    float_of_object,
    float_of_text,
    is_number,
    is_whole,
    shortened,
    shown,
    texts,
    whole_numbers,
)
from tinygrad_nn.data.checks import NUMBERS, Array, refuse_masked

Column = int | str
Target = Column | Sequence[Column] | None


@overload
def from_rows(table: Any, target: None = None) -> Array: ...
@overload
def from_rows(table: Any, target: Column | Sequence[Column]) -> tuple[Array, Array]: ...
def from_rows(table: Any, target: Target = None) -> Array | tuple[Array, Array]:
    """Examples as columns from a table with examples as rows: a 2-D array or a pandas frame.

    (Any frame will do that has `columns`, `to_numpy()` and `frame[list_of_names]`.)

    Without `target` returns `X (features, N)`, for an array as a view: nothing is copied.
    With `target`, the name or number of a column of the table, returns `X` without this column and `y (N,)`; with a
    list of names or numbers returns `X` without them and `Y (d, N)`. An array whose target columns stand at one end
    is not copied either. Negative numbers count from the end.

    Numbers keep their dtype; cells of dtype object become float64. A target of text, `y` of strings, is numbered by
    `classes, y = np.unique(y, return_inverse=True)`. NaN is a number and stays.

    Raises `TypeError` if `table` is neither an array nor a frame, `ValueError` if it is not 2-D, if there is no such
    column, or naming row and column of the first cell that is no number.

    >>> rows = np.array([[5.1, 3.5, 0], [6.2, 2.9, 1]])
    >>> X, y = from_rows(rows, target=-1)
    >>> X.tolist(), y.tolist()
    ([[5.1, 6.2], [3.5, 2.9]], [0.0, 1.0])
    >>> np.shares_memory(X, rows)
    True
    """
    names, take = _open(table)
    if target is None:
        return _numeric(take(list(range(len(names)))), names).T
    features, chosen = _divide(names, target, "from_rows")
    X = _numeric(take(features), [names[j] for j in features]).T
    if isinstance(target, (int, str, np.integer)):
        return X, _label_column(take(chosen)[:, 0], names[chosen[0]])
    return X, _numeric(take(chosen), [names[j] for j in chosen]).T


@overload
def load_csv(
    path: str | os.PathLike[str], target: None = None, header: bool | None = None, delimiter: str = ","
) -> Array: ...
@overload
def load_csv(
    path: str | os.PathLike[str],
    target: Column | Sequence[Column],
    header: bool | None = None,
    delimiter: str = ",",
) -> tuple[Array, Array]: ...
def load_csv(
    path: str | os.PathLike[str], target: Target = None, header: bool | None = None, delimiter: str = ","
) -> Array | tuple[Array, Array]:
    r"""Examples as columns from a CSV file (UTF-8) with one example per line.

    Returns `X (features, N)`, float64; with `target`, the name or number of a column, `X` without this column and
    `y (N,)`: int64 if all its cells are whole numbers (uint64 if they need it), else float64, or strings if none is a
    number. With a list of names or numbers the second is `Y (d, N)`, float64.
    `header` says whether the first line holds the names; None: it does if none of its cells is a number. Empty lines
    are left out. A number has the digits 0 to 9, and nothing between them: `1_0` is text.

    Raises `FileNotFoundError`; `ValueError` naming file, line and column of the first cell that is no number, or one
    too large to be held, and for lines of different lengths, a file without examples, one that is no UTF-8 text, or a
    target that is not there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "iris.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("length,width,species\n5.1,3.5,setosa\n6.2,2.9,virginica\n")
    ...     X, y = load_csv(path, target="species")
    >>> X.tolist(), y.tolist()
    ([[5.1, 6.2], [3.5, 2.9]], ['setosa', 'virginica'])
    """
    lines, records = _read_records(path, delimiter)
    if header is None:
        header = not any(is_number(cell) for cell in records[0])
    names: list[Any] = [cell.strip() for cell in records[0]] if header else list(range(len(records[0])))
    if header:
        lines, records = lines[1:], records[1:]
    if not records:
        raise ValueError(f"load_csv: {path} holds no examples, only the header {shortened(', '.join(names), 200)}")

    def floats(columns: list[int]) -> Array:
        rows = [[row[j] for j in columns] for row in records]
        chosen = [names[j] for j in columns]
        return all_floats(rows, chosen, float_of_text, lambda i: f"load_csv: {path}, line {lines[i]}")

    if target is None:
        return floats(list(range(len(names)))).T
    features, chosen = _divide(names, target, "load_csv")
    X = floats(features).T
    if not isinstance(target, (int, str, np.integer)):
        return X, floats(chosen).T
    cells = [row[chosen[0]].strip() for row in records]

    def place(i: int) -> str:
        return f"load_csv: {path}, line {lines[i]}, column {shown(names[chosen[0]])}"

    if not any(is_number(cell) for cell in cells):
        if "" in cells:
            raise ValueError(f"{place(cells.index(''))} is empty; fill the gap, or leave the row out")
        return X, texts(cells, place)
    if not are_whole(cells):
        return X, floats(chosen)[:, 0]
    return X, whole_numbers([int(cell) for cell in cells], place)


def _read_records(path: str | os.PathLike[str], delimiter: str) -> tuple[list[int], list[list[str]]]:
    """Line numbers and cells of all lines that are not empty, all of one length."""
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in ' "\r\n':
        raise ValueError(f"load_csv: delimiter={delimiter!r}, expected a single character such as ',' ';' or '\\t'")
    lines, records = [], []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            for row in reader:
                if len(row) > 1 or "".join(row).strip():
                    lines.append(reader.line_num)
                    records.append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"load_csv: {path} is no CSV file in UTF-8 ({error}); save it as one") from None
    if not records:
        raise ValueError(f"load_csv: {path} is empty, expected one example per line")
    for line, row in zip(lines, records, strict=True):
        if len(row) != len(records[0]):
            raise ValueError(
                f"load_csv: {path}, line {line} has {len(row)} cells, line {lines[0]} has {len(records[0])}; "
                f"cells are separated by {delimiter!r}, text that contains it stands in double quotes"
            )
    return lines, records


def _open(table: Any) -> tuple[list[Any], Callable[[list[int]], Array]]:
    """The names of the columns of a table, and a function that takes columns out as an array `(N, columns)`."""
    refuse_masked(table, "table", "from_rows")
    if isinstance(table, np.ndarray):
        table = np.asarray(table)  # a matrix has no columns of one dimension
        if table.ndim != 2:
            hint = "; table.reshape(-1, 1) makes one column of it" if table.ndim == 1 else ""
            raise ValueError(f"from_rows: table has shape {table.shape}, expected (N, features){hint}")
        return list(range(table.shape[1])), lambda columns: _pick(table, columns)
    if not (hasattr(table, "columns") and hasattr(table, "to_numpy")):
        raise TypeError(
            f"from_rows: table is of type {type(table).__name__}, expected a 2-D array or a frame; "
            "np.asarray(table) makes an array of nested lists, load_csv reads a file"
        )
    names = list(table.columns)
    repeated = [name for j, name in enumerate(names) if name in names[:j]]
    if repeated:
        raise ValueError(f"from_rows: column {repeated[0]!r} is there twice; give every column its own name")

    def take(columns: list[int]) -> Array:
        # A whole frame of one dtype comes out without a copy; chosen columns alone keep their own dtype.
        part = table if len(columns) == len(names) else table[[names[j] for j in columns]]
        return np.asarray(part.to_numpy())

    return names, take


def _pick(table: Array, columns: list[int]) -> Array:
    first, last = columns[0] if columns else 0, columns[-1] + 1 if columns else 0
    neighbours = columns == list(range(first, last))
    return table[:, first:last] if neighbours else table[:, columns]


def _divide(names: list[Any], target: Any, caller: str) -> tuple[list[int], list[int]]:
    """Numbers of the feature columns and of the target columns."""
    if isinstance(target, (int, str, np.integer)):
        wanted = [target]
    elif isinstance(target, (list, tuple)):
        wanted = list(target)
    else:
        raise TypeError(
            f"{caller}: target is of type {type(target).__name__}, expected the name or number of a column or a list "
            "of them; labels kept apart from the table need no turning"
        )
    chosen = [_column_number(names, column, caller) for column in wanted]
    features = [j for j in range(len(names)) if j not in chosen]
    if not chosen or not features:
        raise ValueError(
            f"{caller}: target={target!r} leaves {len(features)} of {len(names)} columns as features; "
            "expected at least one feature and one target"
        )
    return features, chosen


def _column_number(names: list[Any], column: Any, caller: str) -> int:
    if names.count(column) == 1:
        return names.index(column)
    if column in names:
        raise ValueError(f"{caller}: there are {names.count(column)} columns {column!r}; choose one by its number")
    if isinstance(column, (int, np.integer)):
        if -len(names) <= column < len(names):
            return int(column) % len(names)
        raise ValueError(f"{caller}: there is no column {column} in {len(names)} columns (0 to {len(names) - 1})")
    texts = [str(name) for name in names]
    near = get_close_matches(str(column), texts, n=1)
    known = f"did you mean {shown(near[0])}?" if near else f"the columns are {shortened(', '.join(texts), 200)}"
    raise ValueError(f"{caller}: there is no column {shown(column)}; {known}")


def _numeric(rows: Array, names: list[Any]) -> Array:
    if rows.dtype.kind in NUMBERS:
        return rows
    return all_floats(rows, names, float_of_object, lambda i: f"from_rows: row {i}")


def _label_column(cells: Array, name: Any) -> Array:
    if cells.dtype.kind in NUMBERS + "U":
        return cells

    def place(i: int) -> str:
        return f"from_rows: row {i}, column {shown(name)}"

    text = [isinstance(cell, str) for cell in cells]
    if all(text):
        return texts(list(cells), place)
    if text[0]:
        i = text.index(False)
        raise ValueError(
            f"{place(i)}: {shown(cells[i])} is not text, as {shown(cells[0])} is; fill the gap, or leave the row out"
        )
    if all(is_whole(cell) for cell in cells):
        return whole_numbers([int(cell) for cell in cells], place)
    return _numeric(cells.reshape(-1, 1), [name])[:, 0]
