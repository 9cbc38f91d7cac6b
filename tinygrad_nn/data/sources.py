"""Where the rows of a stream come from: Parquet files, Arrow tables, memory-mapped arrays, loaders of other libraries.

Each source gives blocks of rows again and again, and never holds more than a block or a row group of them.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tinygrad_nn.data.checks import NUMBERS, Array

__all__ = ["Block", "Request", "Source", "open_source"]

ROWS = 8192  # of a block, where the source leaves it open


@dataclass
class Block:
    """Some examples, as rows: X (n, features) or with more axes, and targets (n,) or (n, d), if there are any."""

    X: Array
    Y: Array | None

    def __len__(self) -> int:
        return len(self.X)


@dataclass
class Source:
    """How to go through the rows once: `blocks(rng)`, with a generator where parts may come in another order."""

    said: str
    blocks: Callable[[np.random.Generator | None], Iterator[Block]]
    n_examples: int | None = None
    names: list[str] | None = None  # of the features, where they have names


@dataclass
class Request:
    """What is wanted of a source: targets and columns by name or number, and numbers of which kind."""

    target: Any
    columns: Sequence[Any] | None
    classes: Sequence[Any] | None
    dtype: np.dtype[Any]

    def targets(self) -> list[Any]:
        """The columns that are targets."""
        return list(self.target) if isinstance(self.target, (list, tuple)) else [self.target]

    def named(self, names: list[Any]) -> list[Any]:
        """The columns that are features, in order; ValueError for names that are not there."""
        wanted = [*(self.columns or []), *([] if self.target is None else self.targets())]
        for name in wanted:
            if name not in names:
                raise ValueError(f"stream: there is no column {name!r}; there are {', '.join(map(repr, names))}")
        if self.columns is not None:
            return list(self.columns)
        return [name for name in names if self.target is None or name not in self.targets()]

    def block(self, column: Callable[[Any], Array], features: list[Any]) -> Block:
        """A block of columns, each found by its name."""
        parts = [self.numbers(column(name), name) for name in features]
        X = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1) if parts else None
        if X is None:
            raise ValueError("stream: there are no columns left for X; name them in columns=")
        if self.target is None:
            return Block(X, None)
        targets = [self.labels(column(name), name) for name in self.targets()]
        return Block(X, np.stack(targets, axis=1) if isinstance(self.target, (list, tuple)) else targets[0])

    def numbers(self, values: Array, name: Any) -> Array:
        """A column of features; what is not numbers is refused with a way out."""
        if values.dtype.kind not in NUMBERS:
            raise ValueError(
                f"stream: column {name!r} has dtype {values.dtype}, expected real numbers; leave it out by columns=, "
                "or fit a tn.data.Preprocessor to a part that fits into memory, whose pair(piece) makes numbers of each"
            )
        try:
            with np.errstate(over="raise"):
                return values.astype(self.dtype, copy=False)
        except FloatingPointError:
            raise ValueError(
                f"stream: column {name!r} holds {np.abs(values).max():g}, which {self.dtype} cannot; give "
                "dtype=np.float64"
            ) from None

    def labels(self, values: Array, name: Any) -> Array:
        """A column of targets: numbers as they are, other labels as their places in `classes`."""
        if self.classes is not None:
            known = {label: number for number, label in enumerate(self.classes)}
            try:
                return np.array([known[label] for label in values.tolist()], np.int64)
            except KeyError as strange:
                raise ValueError(
                    f"stream: target {name!r} holds {strange.args[0]!r:.60}, which is none of classes={self.classes!r}"
                ) from None
        if values.dtype.kind not in NUMBERS:
            raise ValueError(
                f"stream: target {name!r} has dtype {values.dtype}; text labels need classes=, all of them in their "
                "order, as what comes later in a stream is not known"
            )
        if values.dtype.kind == "b":  # classes 0 and 1
            return values.astype(np.int64)
        return values.astype(self.dtype) if values.dtype.kind == "f" else values


def open_source(source: Any, request: Request) -> Source:
    """The source that an object is; TypeError for what gives no rows."""
    if isinstance(source, (str, os.PathLike)):
        return _open_path(Path(source), request)
    if isinstance(source, (list, tuple)) and source and all(isinstance(item, (str, os.PathLike)) for item in source):
        return _parquet([Path(item) for item in source], request)
    if isinstance(source, np.ndarray):
        return _array(source, request, f"array {source.shape}")
    if hasattr(source, "iter_batches") and hasattr(source, "metadata"):  # pyarrow.parquet.ParquetFile
        return _parquet_files([source], request)
    if hasattr(source, "scanner") and hasattr(source, "schema"):  # pyarrow.dataset.Dataset
        read = {"batch_size": ROWS, "batch_readahead": 1, "fragment_readahead": 1}
        return _arrow(lambda: source.to_batches(**read), source.schema.names, request, type(source).__name__)
    if hasattr(source, "collect") and hasattr(source, "collect_schema"):
        raise TypeError(
            "stream: a LazyFrame has no rows yet; give frame.collect(), or frame.sink_parquet('rows.parquet') and that "
            "path where they are too many for memory"
        )
    if hasattr(source, "__arrow_c_stream__"):
        return _c_stream(source, request)
    if callable(getattr(source, "to_batches", None)):
        return _pieces(source.to_batches, request, type(source).__name__)
    if callable(getattr(source, "iter", None)) and not isinstance(source, Mapping):  # Hugging Face's datasets
        return _pieces(lambda: source.iter(batch_size=ROWS), request, type(source).__name__)
    if isinstance(source, Iterable) and not isinstance(source, (Mapping, bytes)):
        return _pieces(lambda: iter(source), request, type(source).__name__)
    raise TypeError(
        f"stream: the source is of type {type(source).__name__}, expected a Parquet file or .npy, a table of Arrow, "
        "pandas or polars, an array of rows, or a loader that yields batches of rows"
    )


# --- files ------------------------------------------------------------------------------------------


def _open_path(path: Path, request: Request) -> Source:
    if not path.exists():
        raise FileNotFoundError(f"stream: there is no file {path}")
    if path.suffix == ".npy":
        return _array(_mapped(path), request, path.name)
    if path.is_dir():
        files = sorted(path.rglob("*.parquet"))
        if not files:
            raise ValueError(f"stream: the folder {path} holds no .parquet file")
        return _parquet(files, request)
    if path.suffix in (".parquet", ".pq"):
        return _parquet([path], request)
    raise ValueError(
        f"stream: {path.name} is no .parquet and no .npy file; tn.data.load_csv reads a CSV file whole, and "
        "pyarrow.dataset.dataset(path, format='csv') gives one in pieces"
    )


def _mapped(path: Path) -> Array:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as reason:
        raise ValueError(
            f"stream: {path.name} is no file of numbers that can be mapped into memory: {reason}"
        ) from None


MISSING = "stream: Arrow and Parquet need pyarrow: pip install 'tinygrad_nn[tables]'"


def _parquet(paths: list[Path], request: Request) -> Source:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ImportError(MISSING) from None
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"stream: there is no file {missing[0]}")
    return _parquet_files([parquet.ParquetFile(path, pre_buffer=False) for path in paths], request)


def _parquet_files(files: list[Any], request: Request) -> Source:
    """Row group by row group, in another order each epoch where one is wanted: at most one is held at a time."""
    names = files[0].schema_arrow.names
    features = request.named(names)
    read = [*features, *([] if request.target is None else request.targets())]
    for number, file in enumerate(files, 1):
        lacking = [name for name in read if name not in file.schema_arrow.names]
        if lacking:
            raise ValueError(
                f"stream: file {number} of {len(files)} has no column {lacking[0]!r}; it has "
                f"{', '.join(map(repr, file.schema_arrow.names))}"
            )
    groups = [(file, number) for file in files for number in range(file.metadata.num_row_groups)]

    def blocks(rng: np.random.Generator | None) -> Iterator[Block]:
        order = range(len(groups)) if rng is None else rng.permutation(len(groups))
        for place in order:
            file, number = groups[place]
            for batch in file.iter_batches(ROWS, row_groups=[number], columns=read, use_threads=False):
                yield _block_of_arrow(batch, features, request)

    count = sum(file.metadata.num_rows for file in files)
    return Source(f"{len(files)} Parquet file{'s' * (len(files) > 1)}", blocks, count, list(map(str, features)))


# --- tables -----------------------------------------------------------------------------------------


def _c_stream(source: Any, request: Request) -> Source:
    try:
        pyarrow = importlib.import_module("pyarrow")
    except ImportError:
        raise ImportError(MISSING) from None
    once = hasattr(source, "read_next_batch")

    def batches() -> Iterable[Any]:
        return source if once else pyarrow.RecordBatchReader.from_stream(source)

    names = batches().schema.names  # type: ignore[attr-defined]
    count = None if once or not hasattr(source, "__len__") else len(source)
    return _arrow(batches, names, request, type(source).__name__, count)


def _arrow(
    batches: Callable[[], Iterable[Any]], names: list[str], request: Request, said: str, count: int | None = None
) -> Source:
    features = request.named(names)

    def blocks(rng: np.random.Generator | None) -> Iterator[Block]:
        for batch in batches():
            for start in range(0, len(batch), ROWS):
                yield _block_of_arrow(batch.slice(start, ROWS), features, request)

    return Source(said, blocks, count, list(map(str, features)))


def _block_of_arrow(batch: Any, features: list[Any], request: Request) -> Block:
    def column(name: Any) -> Array:
        values = batch.column(name)
        if hasattr(values, "combine_chunks"):
            values = values.combine_chunks()
        if hasattr(values, "dictionary"):
            values = values.dictionary_decode()
        size = getattr(values.type, "list_size", 0)  # a list of one length in each row: an image, an embedding
        gaps = values.null_count
        if size and not gaps:
            values = values.flatten()
            gaps = values.null_count
        if gaps:
            raise ValueError(
                f"stream: column {name!r} has {gaps} gaps in these rows; fill them before, or fit a "
                "tn.data.Preprocessor to a part that fits into memory"
            )
        if size:
            return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(-1, size)
        return np.asarray(values.to_numpy(zero_copy_only=False))

    return request.block(column, features)


# --- arrays and loaders ---------------------------------------------------------------------------------


def _array(rows: Array, request: Request, said: str) -> Source:
    """An array of rows, which may be mapped into memory; targets are columns of it, or an array or file apart."""
    if rows.ndim < 2:
        raise ValueError(f"stream: {said} has shape {rows.shape}, expected rows (N, features)")
    target, labels = request.target, None
    if isinstance(target, (str, os.PathLike)) and Path(target).suffix == ".npy":
        target = _mapped(Path(target))
    if isinstance(target, np.ndarray):
        labels = target
        if len(labels) != len(rows):
            raise ValueError(
                f"stream: {said} has {len(rows)} rows, the target of shape {labels.shape} has {len(labels)}; in a "
                "stream examples are rows"
            )
    elif rows.ndim > 2 and target is not None:
        raise ValueError(f"stream: {said} has more than two axes: give the targets as an array, target=y")
    whole = (
        rows.ndim > 2 or (labels is not None and request.columns is None) or (target is None and not request.columns)
    )
    left = Request(None if labels is not None else target, request.columns, request.classes, request.dtype)
    features = [] if whole else left.named(list(range(rows.shape[1])))

    def blocks(rng: np.random.Generator | None) -> Iterator[Block]:
        starts = np.arange(0, len(rows), ROWS)
        for start in starts if rng is None else rng.permutation(starts):
            part = rows[start : start + ROWS]
            Y = None if labels is None else request.labels(np.asarray(labels[start : start + ROWS]), "target")
            if whole:
                yield Block(request.numbers(np.asarray(part), "X"), Y)
            else:
                block = left.block(lambda j, part=part: np.asarray(part[:, j]), features)  # type: ignore[misc]
                yield Block(block.X, block.Y if labels is None else Y)

    return Source(said, blocks, len(rows))


def _pieces(batches: Callable[[], Iterable[Any]], request: Request, said: str) -> Source:
    """What yields batches of rows: pairs (X, y), or columns by name, as Arrow or a mapping."""

    def blocks(rng: np.random.Generator | None) -> Iterator[Block]:
        for number, piece in enumerate(batches(), 1):
            yield _block_of_piece(piece, number, request)

    return Source(said, blocks)


def _block_of_piece(piece: Any, number: int, request: Request) -> Block:
    if hasattr(piece, "schema") and hasattr(piece, "column"):
        return _block_of_arrow(piece, request.named(piece.schema.names), request)
    if isinstance(piece, Mapping):
        columns = {name: _plain(values) for name, values in piece.items()}
        return request.block(columns.__getitem__, request.named(list(columns)))
    if not isinstance(piece, (tuple, list)):
        if request.target is not None:
            _strange(piece, number, "a pair (X, y) of rows, or columns by name, as target= is given")
        X = _plain(piece)
        if X.ndim < 2:
            _strange(piece, number, "rows (n, features), or a pair (X, y) of them")
        return Block(request.numbers(X, "X"), None)
    if len(piece) != 2:
        _strange(piece, number, "a pair (X, y) of rows")
    X, Y = request.numbers(_plain(piece[0]), "X"), request.labels(_plain(piece[1]), "y")
    if X.ndim < 2 or len(X) != len(Y):
        raise ValueError(
            f"stream: batch {number} of the source has X of shape {X.shape} and y of shape {Y.shape}, expected rows "
            "(n, features) and as many targets"
        )
    return Block(X, Y)


def _strange(piece: Any, number: int, expected: str) -> NoReturn:
    raise TypeError(f"stream: batch {number} of the source is of type {type(piece).__name__}, expected {expected}")


def _plain(values: Any) -> Array:
    """An array of what another library calls one."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)
