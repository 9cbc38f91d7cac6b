"""Load row-wise tables of numbers (CSV, frames, arrays) and transpose them to (features, N)."""

import os
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, overload

import numpy as np

from tinygrad_nn.data.arrow import read_columns
from tinygrad_nn.data.cells import (
    CODING,
    all_floats,
    are_whole,
    float_of_object,
    float_of_text,
    is_whole,
    shortened,
    shown,
    texts,
    way_out,
    whole_numbers,
    zeros_of_whole,
)
from tinygrad_nn.data.checks import NUMBERS, Array, refuse_masked
from tinygrad_nn.data.features import too_many
from tinygrad_nn.data.preprocessing import Preprocessor
from tinygrad_nn.data.records import GAPS, Dialect, read_records
from tinygrad_nn.data.table import Table, columns_of_frame, with_rows
from tinygrad_nn.data.typed import ElsewhereError, coded, of_cells

Column = int | str
Target = Column | Sequence[Column] | None

_BLOCK = 8192  # examples that stay in the processor's cache while column after column is put among them


@overload
def from_rows(table: Any, target: None = None) -> Array: ...
@overload
def from_rows(table: Any, target: Column | Sequence[Column]) -> tuple[Array, Array]: ...
def from_rows(table: Any, target: Target = None) -> Array | tuple[Array, Array]:
    """Examples as columns from a table with examples as rows: a 2-D array, or a frame of pandas, polars or Arrow.

    (Any frame will do that has `columns`, `to_numpy()` and `frame[list_of_names]`.) A frame with text and gaps goes
    into a `Table`, and through a `Preprocessor`.

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
    path: str | os.PathLike[str], target: None = None, header: bool | None = None, delimiter: str = ",", *,
    columns: Sequence[Column] | None = None, decimal: str = ".", comment: str | None = None, encoding: str = "utf-8",
    missing: Sequence[str] | None = None, fill: str | float | None = None, indicator: bool = False,
    categories: str | None = None,
) -> Array: ...  # fmt: skip
@overload
def load_csv(
    path: str | os.PathLike[str], target: Column | Sequence[Column], header: bool | None = None, delimiter: str = ",",
    *, columns: Sequence[Column] | None = None, decimal: str = ".", comment: str | None = None, encoding: str = "utf-8",
    missing: Sequence[str] | None = None, fill: str | float | None = None, indicator: bool = False,
    categories: str | None = None,
) -> tuple[Array, Array]: ...  # fmt: skip
def load_csv(
    path: str | os.PathLike[str], target: Target = None, header: bool | None = None, delimiter: str = ",", *,
    columns: Sequence[Column] | None = None, decimal: str = ".", comment: str | None = None, encoding: str = "utf-8",
    missing: Sequence[str] | None = None, fill: str | float | None = None, indicator: bool = False,
    categories: str | None = None,
) -> Array | tuple[Array, Array]:  # fmt: skip
    r"""Examples as columns from a CSV file with one example per line.

    Returns `X (features, N)`, float64; with `target`, the name or number of a column, `X` without this column and
    `y (N,)`: int64 if all its cells are whole numbers (uint64 if they need it), else float64, or strings if none is a
    number. With a list of names or numbers the second is `Y (d, N)`, float64.
    `header` says whether the first line holds the names; None: it does if none of its cells is a number. `columns` are
    names or numbers of those that X is made of. `decimal` may be ",", `comment` is how lines begin that are left out,
    such as "#". Empty lines are left out. A number has the digits 0 to 9, and nothing between them: `1_0` is text.

    Text and gaps are refused, unless it is said what becomes of them: `categories="one_hot"` makes a row of X for each
    category of a text column, "index" a single one with its number. `missing` are the texts that mark gaps, which
    become NaN ("" and NA and the like, where only `fill` is given), `fill` what takes their place: "mean", "median",
    "most_frequent" of the column, or a number; with `indicator`, one more row says where they were. All that is
    measured on the whole file; where some rows are kept for testing, `load_table` and a `Preprocessor` measure the
    training rows alone.

    Raises `FileNotFoundError`; `ValueError` naming file, line and column of the first cell that is no number, or one
    too large to be held, and for lines of different lengths, a file without examples, one that is no text in this
    `encoding`, or a target that is not there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "iris.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("length,width,species\n5.1,3.5,setosa\n6.2,2.9,virginica\n")
    ...     X, y = load_csv(path, target="species")
    >>> X.tolist(), y.tolist()
    ([[5.1, 6.2], [3.5, 2.9]], ['setosa', 'virginica'])
    """
    lenient = missing is not None or fill is not None or categories is not None or indicator
    gaps = () if not lenient else GAPS if missing is None else tuple(missing)
    dialect = Dialect("load_csv", header, delimiter, decimal, comment, encoding, gaps)
    settings = _Settings(fill, indicator, categories, lenient)
    path = os.fspath(path)
    quick = read_columns(path, dialect)
    found = None if quick is None else _quickly(path, dialect, *quick, target, columns, settings)
    X, y = _slowly(path, dialect, target, columns, settings) if found is None else found
    return X if y is None else (X, y)


class _Settings(NamedTuple):
    """What becomes of text and gaps; `lenient` where something was said about it."""

    fill: Any
    indicator: bool
    categories: str | None
    lenient: bool


Parts = tuple[Array, Array | None]


def _quickly(
    path: Any, dialect: Dialect, names: list[Any], found: list[Any], target: Target, columns: Sequence[Column] | None,
    settings: _Settings,
) -> Parts | None:  # fmt: skip
    """X and y of columns that were read without knowing the lines; None where the other reader has to look."""
    features, chosen = _parts(names, target, columns)
    y: Array | None = None
    if target is not None and _several(target):
        if not all(isinstance(found[j], np.ndarray) for j in chosen):
            return None
        y = _stacked([found[j] for j in chosen])
    elif target is not None:
        y = _quick_target(found[chosen[0]], dialect)
        if y is None:
            return None
    if settings.lenient:
        try:
            return _prepared(path, dialect, [(names[j], found[j]) for j in features], settings, None), y
        except ElsewhereError:
            return None
    if not all(isinstance(found[j], np.ndarray) for j in features):
        return None
    return _stacked([found[j] for j in features]), y


def _quick_target(column: Any, dialect: Dialect) -> Array | None:
    """The labels or numbers of a column; None where the other reader may make something else of it."""
    if isinstance(column, np.ndarray):
        gaps = bool(dialect.gaps) and column.dtype.kind == "f" and bool(np.isnan(column).any())
        return column if _is_surely(column) and not gaps else None
    different, codes = [text.strip() for text in column[0]], column[1]
    if any(text in ("", *dialect.gaps) or dialect.is_number(text) for text in different):
        return None
    return np.array(different, str)[codes]


def _several(target: Target) -> bool:
    return not isinstance(target, (int, str, np.integer))


def _is_surely(y: Array) -> bool:
    """Whether the other reader would make the same of it: whole numbers of more than 64 bits are no fractions."""
    return y.dtype.kind == "i" or not bool((np.abs(y) >= 2.0**63).any())


def _stacked(columns: list[Array]) -> Array:
    X = np.empty((len(columns[0]), len(columns))).T  # an example's values side by side
    for start in range(0, X.shape[1], _BLOCK):
        for j, values in enumerate(columns):
            X[j, start : start + _BLOCK] = values[start : start + _BLOCK]
    return X


def _slowly(
    path: Any, dialect: Dialect, target: Target, columns: Sequence[Column] | None, settings: _Settings
) -> Parts:
    """X and y by the reader that knows the lines."""
    records = read_records(path, dialect)
    names, features, chosen = records.names, *_parts(records.names, target, columns)

    def place(i: int) -> str:
        return f"load_csv: {path}, line {records.lines[i]}"

    def floats(columns: list[int], coding: str = CODING) -> Array:
        rows = [[row[j] for j in columns] for row in records.rows]
        numbers = all_floats(
            rows, [names[j] for j in columns], lambda cell: float_of_text(dialect.point(cell.strip())), place,
            lambda cell: dialect.other_decimal(cell) or way_out(cell, coding),
        )  # fmt: skip
        return zeros_of_whole(numbers, rows)

    if settings.lenient:
        read = [(names[j], coded([row[j] for row in records.rows])) for j in features]
        X = _prepared(path, dialect, read, settings, records.lines)
    else:
        X = floats(features, "code it by categories='one_hot'").T
    if target is None:
        return X, None
    if _several(target):
        return X, floats(chosen).T
    cells = [row[chosen[0]].strip() for row in records.rows]
    at = f"column {shown(names[chosen[0]])}"
    if not any(map(dialect.is_number, cells)):
        gap = next((i for i, cell in enumerate(cells) if cell == "" or cell in dialect.gaps), None)
        if gap is not None:
            raise ValueError(
                f"{place(gap)}, {at} is {'empty' if cells[gap] == '' else shown(cells[gap])}; fill the gap, or "
                "leave the row out"
            )
        return X, texts(cells, lambda i: f"{place(i)}, {at}")
    if not are_whole(cells):
        return X, floats(chosen)[:, 0]
    return X, whole_numbers([int(cell) for cell in cells], lambda i: f"{place(i)}, {at}")


def _prepared(
    path: Any, dialect: Dialect, read: list[tuple[Any, Any]], settings: _Settings, lines: list[int] | None
) -> Array:
    """X of columns with text and gaps; ElsewhereError for what is wrong on a line, where the lines are not known."""
    columns: dict[str, Array] = {}
    for name, values in read:
        if str(name) in columns:
            raise ValueError(f"load_csv: {path}: two columns are called {shown(name)}: choose them by columns=[...]")
        if isinstance(values, tuple):

            def place(i: int, name: Any = name) -> str:
                if lines is None:
                    raise ElsewhereError
                return f"load_csv: {path}, line {lines[i]}, column {shown(name)}"

            kind = None if settings.categories is not None else "numbers"
            different, codes = values
            values = of_cells(different, codes, dialect, kind, place, "; categories='one_hot' codes text")
        columns[str(name)] = values
    table = Table.of_checked(columns, {})
    gap = next((name for name in table if table[name].dtype != object and table.missing(name).any()), None)
    if settings.fill is None and (settings.categories is not None or settings.indicator) and gap is not None:
        raise ValueError(f"load_csv: {path}, column {shown(gap)} has gaps: say what takes their place by fill=")
    if settings.fill is None and settings.categories is None:
        return _stacked(list(table.columns.values()))
    preprocessor = Preprocessor(
        fill="mean" if settings.fill is None else settings.fill, indicator=settings.indicator, scale=False,
        encode=settings.categories or "one_hot",
    )  # fmt: skip
    for name, values in table.columns.items():
        different = sorted(set(values[~table.missing(name)])) if values.dtype == object else []
        if len(different) > preprocessor.max_categories:
            hint = "choose others by columns=[...]; load_table and a Preprocessor(max_categories=...) take them all"
            raise ValueError(f"load_csv: {path}: {too_many(name, different, len(table), hint)}")
    return preprocessor.fit(table).transform(table)


def _parts(names: list[Any], target: Target, columns: Sequence[Column] | None) -> tuple[list[int], list[int]]:
    """Numbers of the feature columns and of the target columns."""
    features, chosen = (list(range(len(names))), []) if target is None else _divide(names, target, "load_csv")
    if columns is None:
        return features, chosen
    if isinstance(columns, str) or not columns:
        raise ValueError(f"load_csv: columns={columns!r:.80}, expected a list of names or numbers")
    wanted = [_column_number(names, column, "load_csv") for column in columns]
    both = next((j for j in wanted if j in chosen), None)
    if both is not None:
        raise ValueError(f"load_csv: column {shown(names[both])} is among columns= and the target as well")
    return wanted, chosen


def _open(table: Any) -> tuple[list[Any], Callable[[list[int]], Array]]:
    """The names of the columns of a table, and a function that takes columns out as an array `(N, columns)`."""
    refuse_masked(table, "table", "from_rows")
    table = with_rows(table)
    if isinstance(table, np.ndarray):
        table = np.asarray(table)  # a matrix has no columns of one dimension
        if table.ndim != 2:
            hint = "; table.reshape(-1, 1) makes one column of it" if table.ndim == 1 else ""
            raise ValueError(f"from_rows: table has shape {table.shape}, expected (N, features){hint}")
        return list(range(table.shape[1])), lambda columns: _pick(table, columns)
    if hasattr(table, "column_names"):
        parts = columns_of_frame(table) or []
        named = [name for name, _ in parts]
        _refuse_repeated(named)
        return named, lambda columns: _side_by_side([parts[j][1] for j in columns], len(table))
    if not (hasattr(table, "columns") and hasattr(table, "to_numpy")):
        raise TypeError(
            f"from_rows: table is of type {type(table).__name__}, expected a 2-D array or a frame; "
            "np.asarray(table) makes an array of nested lists, load_csv reads a file"
        )
    names = list(table.columns)
    _refuse_repeated(names)

    def take(columns: list[int]) -> Array:
        # A whole frame of one dtype comes out without a copy; chosen columns alone keep their own dtype.
        part = table if len(columns) == len(names) else table[[names[j] for j in columns]]
        return np.asarray(part.to_numpy())

    return names, take


def _refuse_repeated(names: list[Any]) -> None:
    repeated = [name for j, name in enumerate(names) if name in names[:j]]
    if repeated:
        raise ValueError(f"from_rows: column {repeated[0]!r} is there twice; give every column its own name")


def _side_by_side(columns: list[Array], n: int) -> Array:
    """Columns of one dtype, or of objects where they are of several kinds."""
    if not columns:
        return np.empty((n, 0))
    alike = {values.dtype.kind in NUMBERS for values in columns} == {True}
    return np.stack(columns, axis=1) if alike else np.stack([values.astype(object) for values in columns], axis=1)


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
