"""A table: named columns of numbers or text, one row an example, with gaps; from a file, a frame, or plain lists."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn, Self, overload

import numpy as np

from tinygrad_nn.data.arrow import read_columns
from tinygrad_nn.data.cells import shortened, shown
from tinygrad_nn.data.checks import Array, Rng
from tinygrad_nn.data.records import GAPS, Dialect, read_records
from tinygrad_nn.data.splitting import parts_of
from tinygrad_nn.data.typed import ElsewhereError, coded, of_cells, of_values

__all__ = ["Table", "columns_of_frame", "load_table", "no_column", "with_rows"]


_ELSEWHERE = {  # what frames have, and how it is said here
    "head": "table[:5] has its first rows",
    "describe": "print(table) tells what is in each column",
    "info": "print(table) tells what is in each column",
    "iloc": "table[rows] takes a slice, numbers of rows or truth values",
    "loc": "table[rows] takes a slice, numbers of rows or truth values",
    "drop": "table.without(name)",
    "isna": "table.missing(name)",
    "isnull": "table.missing(name)",
    "to_pandas": "pandas.DataFrame(table.columns)",
}


class Table:
    """Named columns of numbers or text, of one length: examples are rows here, as everywhere outside of a network.

    Parameters
    ----------
    columns : a dict of arrays or lists by name; a frame of pandas, polars or Arrow; a list of dicts, one a row; or
        another Table.

    A column of numbers is an array int64, or float64 with NaN in gaps; one of text is an array of str, with None in
    gaps.  Truth values become the text "True" and "False", dates and times that of ISO 8601.  `names` are the names,
    `shape` is (rows, columns), `reading` tells how the file was read that it came from, if it did.
    Indexing by a name gives a column, by a list of names a Table of these; by a slice, an array of row numbers or of
    truth values, a Table of these rows.

    Raises TypeError for what is no table and for columns of other kinds (durations, objects), ValueError for columns of
    different lengths, two of one name, or a name that is not there.

    >>> table = Table({"age": [31, None, 8], "sex": ["f", "m", "m"]})
    >>> table
    Table of 3 rows
      age  numbers  8 to 31, 1 gap
      sex  text     2 different: 'm' 2, 'f' 1
    >>> table["age"].tolist(), table[table["sex"] == "m"]["age"].tolist()
    ([31.0, nan, 8.0], [nan, 8.0])
    """

    def __init__(self, columns: Any):
        found = {name: of_values(values, name, "Table") for name, values in _columns_of(columns).items()}
        lengths = {name: len(values) for name, values in found.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} {n:,}" for name, n in lengths.items())
            raise ValueError(f"Table: the columns have different lengths: {shortened(said, 200)}")
        self.columns: dict[str, Array] = found
        self.reading: dict[str, Any] = dict(columns.reading) if isinstance(columns, Table) else {}

    @classmethod
    def of_checked(cls, columns: dict[str, Array], reading: dict[str, Any]) -> Self:
        """A table of columns that are as it has them."""
        table = cls.__new__(cls)
        table.columns, table.reading = columns, reading
        return table

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        return tuple(self.columns)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        return len(self), len(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    @overload
    def __getitem__(self, chosen: str) -> Array: ...
    @overload
    def __getitem__(self, chosen: slice | Array | Sequence[Any]) -> Table: ...
    def __getitem__(self, chosen: Any) -> Any:
        if isinstance(chosen, str):
            if chosen not in self.columns:
                raise ValueError(f"Table: {no_column(chosen, self.names)}")
            return self.columns[chosen]
        if isinstance(chosen, (list, tuple)) and chosen and all(isinstance(name, str) for name in chosen):
            return Table.of_checked({name: self[name] for name in chosen}, self.reading)
        if isinstance(chosen, (int, np.integer)):
            raise TypeError(
                f"Table: table[{chosen}:{int(chosen) + 1}] is the table of one row; a column is asked for by name"
            )
        rows = chosen if isinstance(chosen, slice) else np.asarray(chosen, dtype=None if np.size(chosen) else np.intp)
        if not isinstance(rows, slice) and rows.dtype.kind not in "iub":
            raise TypeError(
                f"Table: {chosen!r:.80} chooses no rows: expected names, a slice, row numbers or truth values"
            )
        return Table.of_checked({name: values[rows] for name, values in self.columns.items()}, self.reading)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "a Table is no array of numbers: preprocessor.transform(table) makes columns (features, N) of it, where "
            "preprocessor = tn.data.Preprocessor(...).fit(train); table[name] is one of its columns"
        )

    def __getattr__(self, name: str) -> NoReturn:
        hint = _ELSEWHERE.get(name) or (
            f"table[{name!r}] is the column" if name in self.__dict__.get("columns", ()) else ""
        )
        raise AttributeError(f"Table has no attribute {name!r}" + (f": {hint}" if hint else ""), name=name, obj=self)

    def __setitem__(self, name: Any, values: Any) -> NoReturn:
        raise TypeError(
            f"Table: a table stays as it is: table = tn.data.Table({{**table.columns, {shown(name)}: values}}) is one "
            "with another column"
        )

    def without(self, *names: str) -> Table:
        """The other columns: ``table.without("id", "date")``."""
        for name in names:
            if not isinstance(name, str):
                raise TypeError(
                    f"Table.without: {name!r:.80} is no name; table.without('a', 'b') leaves out two columns"
                )
            _ = self[name]
        return Table.of_checked(
            {name: values for name, values in self.columns.items() if name not in names}, self.reading
        )

    def missing(self, name: str) -> Array:
        """Where a column has gaps, as truth values (N,): ``table[~table.missing("age")]`` has none there."""
        values = self[name]
        return np.array([cell is None for cell in values], bool) if values.dtype == object else np.isnan(values)

    def split(
        self, fractions: Sequence[float] = (0.6, 0.2, 0.2), rng: Rng = None, stratify: str | None = None
    ) -> tuple[Table, ...]:
        """Divide the rows at random, as `split` does: one Table for each fraction.

        `stratify` names a column of classes, of which each part has its fraction.

        >>> table = Table({"x": [1.0, 2.0, 3.0, 4.0], "y": ["a", "a", "b", "b"]})
        >>> [sorted(part["y"]) for part in table.split((0.5, 0.5), rng=0, stratify="y")]
        [['a', 'b'], ['a', 'b']]
        """
        labels = None
        if stratify is not None and not isinstance(stratify, str):
            raise TypeError(f"Table.split: stratify={stratify!r:.80}, expected the name of a column of classes or None")
        if stratify is not None:
            if self.missing(stratify).any():
                raise ValueError(f"Table.split: column {shown(stratify)} has gaps; table[~table.missing({stratify!r})]")
            labels = self[stratify].astype(str) if self[stratify].dtype == object else self[stratify]
        part_of = parts_of(len(self), fractions, rng, labels)
        return tuple(self[part_of == part] for part in range(len(fractions)))

    def __repr__(self) -> str:
        width = max(map(len, self.names), default=0)
        lines = [f"  {name:{width}}  {_summary(values)}" for name, values in self.columns.items()]
        return "\n".join([f"Table of {len(self):,} row{'s' * (len(self) != 1)}", *lines])


def _summary(values: Array) -> str:
    if values.dtype == object:
        there, counts = np.unique([cell for cell in values if cell is not None], return_counts=True)
        most = np.argsort(-counts, kind="stable")[:3]
        told = f"{len(there):,} different: " + ", ".join(f"{shown(str(there[i]))} {counts[i]:,}" for i in most)
        kind, gaps = "text   ", len(values) - int(counts.sum())
        told += ", ..." * (len(there) > len(most))
    else:
        there = values[~np.isnan(values)]
        told = f"{there.min():g} to {there.max():g}" if there.size else "nothing"
        kind, gaps = "numbers", len(values) - there.size
    return f"{kind}  {told}" + (f", {gaps:,} gap{'s' * (gaps != 1)}" if gaps else "")


# --- from elsewhere ---------------------------------------------------------------------------------------------------


def _columns_of(given: Any) -> dict[str, Any]:
    """The columns by name of whatever a table may be made of."""
    if isinstance(given, Table):
        return dict(given.columns)
    if isinstance(given, (str, os.PathLike)):
        raise TypeError(f"Table: {str(given)!r:.80} is a text; tn.data.load_table(path) reads a CSV file")
    if isinstance(given, (list, tuple)) and given and all(isinstance(row, Mapping) for row in given):
        names = list(dict.fromkeys(name for row in given for name in row))
        given = {name: [row.get(name) for row in given] for name in names}
    if isinstance(given, Mapping):
        found = dict(given)
    else:
        pairs = columns_of_frame(given)
        if pairs is None:
            hint = "Table(dict(zip(names, rows.T))) names the columns of an array"
            if hasattr(given, "to_frame"):
                hint = "frame.iloc[[i]] is a table of one row, series.to_frame() one of a column"
            raise TypeError(
                f"Table: expected a dict of columns, a list of dicts, or a frame, got {type(given).__name__}; {hint}"
            )
        found = {}
        for name, values in pairs:
            if name in found:
                raise ValueError(f"Table: column {shown(name)} is there twice; give every column its own name")
            found[name] = values
    for name, values in found.items():
        if not isinstance(name, str):
            raise TypeError(f"Table: a column is called {shown(name)}, expected a text: rename it {str(name)!r}")
        if isinstance(values, (str, bytes)) or not hasattr(type(values), "__len__"):
            raise TypeError(
                f"Table: column {shown(name)} is {shown(values)}, expected a list or an array; one row is [{{...}}]"
            )
    return found


def with_rows(frame: Any) -> Any:
    """A frame that has its rows: a LazyFrame of polars and a reader of Arrow are asked for them."""
    if hasattr(frame, "collect_schema") and hasattr(frame, "collect"):
        return frame.collect()
    return frame.read_all() if hasattr(frame, "read_next_batch") else frame


def columns_of_frame(frame: Any) -> list[tuple[Any, Array]] | None:
    """Name and values of each column of a frame of pandas, polars or Arrow; None for what is no frame."""
    frame = with_rows(frame)
    if hasattr(frame, "column_names") and hasattr(frame, "itercolumns"):  # Arrow
        columns = [_without_codes(values).to_numpy(zero_copy_only=False) for values in frame.itercolumns()]
        return list(zip(frame.column_names, columns, strict=True))
    if not (hasattr(frame, "columns") and hasattr(frame, "to_numpy")):
        return None
    if hasattr(frame, "iloc"):  # pandas, whose names may repeat
        return [(name, _plain(frame.iloc[:, j])) for j, name in enumerate(frame.columns)]
    return [(name, _plain(frame[name])) for name in frame.columns]


def _without_codes(values: Any) -> Any:
    """A column of Arrow by its values: `to_numpy` of one that is coded by a dictionary forgets the gaps."""
    return values.cast(values.type.value_type) if hasattr(values.type, "index_type") else values


def _plain(values: Any) -> Array:
    return np.asarray(values.to_numpy())


def load_table(
    path: str | os.PathLike[str], columns: Sequence[str] | None = None, *, text: Sequence[str] = (),
    numbers: Sequence[str] = (), missing: Sequence[str] = GAPS, header: bool | None = None, delimiter: str = ",",
    decimal: str = ".", comment: str | None = None, encoding: str = "utf-8", _kinds: Mapping[str, str] | None = None,
) -> Table:  # fmt: skip
    r"""A Table of a CSV file: numbers and text as they are, with gaps.

    Parameters
    ----------
    path : of the file.
    columns : names of those to take; all unless given.
    text, numbers : names of columns that are of this kind whatever they look like: codes such as a postal code 01234.
    missing : what stands in gaps; `tn.data.GAPS`, which are "", "NA", "NaN" and the like, unless given.
    header : whether the first line holds names; unless said, it does if none of its cells is a number.  Without names
        the columns are x0, x1, ...
    delimiter, decimal, encoding : "," "." and "utf-8" unless given; files of Excel often have ";" "," and "cp1252".
    comment : how lines begin that are left out, such as "#".

    A column is numbers if all its cells are, or gaps.  A column where most are and some are not is refused, with the
    first that is not: it may be a gap by another name.  Empty lines, and a last column without name and values, are
    left out.  With pyarrow (extra `tables`) large files are read ten times as quickly, and to the same values.

    Raises FileNotFoundError; ValueError naming file, line and column.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "t.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("age,sex\n31,f\n,m\n8,m\n")
    ...     load_table(path)
    Table of 3 rows
      age  numbers  8 to 31, 1 gap
      sex  text     2 different: 'm' 2, 'f' 1
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"load_table: path is of type {type(path).__name__}, expected that of a CSV file; tn.data.Table(frame) "
            "takes frames and dicts"
        )
    dialect = Dialect("load_table", header, delimiter, decimal, comment, encoding, _texts(missing, "missing"))
    asked = dict.fromkeys(_texts(text, "text"), "text") | dict.fromkeys(_texts(numbers, "numbers"), "numbers")
    kinds, path = _Kinds(asked, _kinds), os.fspath(path)
    quick = read_columns(path, dialect, kinds.is_text)
    if quick is not None:
        names, found = quick
        try:
            return _assembled(path, names, found, dialect, kinds, columns, None)
        except ElsewhereError:
            pass
    records = read_records(path, dialect)
    cells = [coded([row[j] for row in records.rows]) for j in range(len(records.names))]
    return _assembled(path, records.names, cells, dialect, kinds, columns, records.lines)


class _Kinds:
    """Which kind each column is to be: as it was asked for, and as it was in training, where others do not matter."""

    def __init__(self, asked: dict[str, str], trained: Mapping[str, str] | None):
        self.asked, self.trained = asked, trained

    def of(self, name: str) -> str | None:
        """What it is to be: "numbers", "text", or None for what the cells look like."""
        return self.asked.get(name) or (None if self.trained is None else self.trained.get(name, "text")) or None

    def is_text(self, name: Any) -> bool:
        """Whether it is text whatever it looks like."""
        return self.of(name) == "text"


def _assembled(
    path: Any, names: list[Any], found: list[Any], dialect: Dialect, kinds: _Kinds,
    columns: Sequence[str] | None, lines: list[int] | None,
) -> Table:  # fmt: skip
    """The Table of columns as a reader gives them."""
    header = not isinstance(names[0], int)
    names = [f"x{name}" if isinstance(name, int) else name for name in names]
    if names[-1] == "" and _is_empty(found[-1], dialect):  # of files whose lines end in a delimiter
        names, found = names[:-1], found[:-1]
    wanted = names if columns is None else list(_texts(columns, "columns"))
    for name in [*wanted, *kinds.asked]:
        if names.count(name) != 1:
            many = f"there are {names.count(name)} columns {shown(name)}; rename them" if name in names else ""
            raise ValueError(f"load_table: {path}: {many or no_column(name, names)}")
    done: dict[str, Array] = {}
    for name in wanted:
        values = found[names.index(name)]
        if isinstance(values, tuple):

            def place(i: int, name: str = name) -> str:
                if lines is None:
                    raise ElsewhereError
                return f"load_table: {path}, line {lines[i]}, column {shown(name)}"

            different, codes = values
            values = of_cells(different, codes, dialect, kinds.of(name), place)
        elif values.dtype.kind == "f" and values.dtype != np.float64:
            values = values.astype(np.float64)
        done[name] = values
    return Table.of_checked(done, dialect.settings(header))


def _is_empty(values: Any, dialect: Dialect) -> bool:
    if isinstance(values, tuple):
        return all(text.strip() in dialect.gaps for text in values[0])
    return values.dtype.kind == "f" and bool(np.isnan(values).all())


def _texts(given: Any, name: str) -> tuple[str, ...]:
    if isinstance(given, str) or not all(isinstance(text, str) for text in given):
        raise TypeError(f"load_table: {name}={given!r:.80}, expected a list of texts")
    return tuple(given)


def no_column(name: Any, names: Sequence[Any]) -> str:
    """What to say where there is no column of this name."""
    texts = [str(other) for other in names]
    near = get_close_matches(str(name).lower(), [text.lower() for text in texts], n=1)
    close = next((text for text in texts if near and text.lower() == near[0]), None)
    known = f"did you mean {shown(close)}?" if close else f"the columns are {shortened(', '.join(texts), 200)}"
    return f"there is no column {shown(name)}; {known}"
