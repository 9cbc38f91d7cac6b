"""Examples that do not fit into memory: read in pieces, shuffled in a buffer, given as batches of columns."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_nn.data.checks import Array, Rng, generator, positive_int
from tinygrad_nn.data.sources import Block, Request, open_source

__all__ = ["Stream", "stream"]


def stream(
    source: Any,
    target: Any = None,
    batch_size: int = 32,
    *,
    shuffle_buffer: int = 0,
    columns: Sequence[Any] | None = None,
    classes: Sequence[Any] | None = None,
    rng: Rng = None,
    dtype: DTypeLike = np.float64,
    drop_last: bool = False,
) -> Stream:
    """Mini-batches of rows that are read in pieces, as often as wanted: what `batches` is for arrays in memory.

    Rows of the source become columns: a batch is a pair `X (features, batch_size)`, `Y (batch_size,)` or `(d,
    batch_size)`; without `target` just X.  `tn.fit` takes a stream as its data, and as validation.

    Parameters
    ----------
    source : one of

        - a path of a Parquet file, of several, or of a folder of them; a `ParquetFile` or dataset of pyarrow,
        - whatever has ``__arrow_c_stream__``: a table of pyarrow, a frame of pandas or polars,
        - an array of rows (N, features), or a path of an `.npy` file, which is mapped into memory,
        - whatever can be gone through again and again and yields pairs (X, y) of rows, such as a `DataLoader` of
          PyTorch, or columns by name; and what has ``.to_batches()`` or ``.iter(batch_size)``.

    target : name of the column of labels, a list of names for targets `(d, N)`; for arrays the number of a column, or
        an array or `.npy` of labels (N,) or rows of targets (N, d); None where the source yields pairs, or has none.
    batch_size : examples of a batch; the last of an epoch may have fewer.
    shuffle_buffer : how many rows are held to be shuffled; 0 keeps the order of the source.  Row groups of Parquet come
        in another order each epoch, too.
    columns : the features, by name or number; all but the target if it is not said.
    classes : the labels in their order, where the target is text, starts elsewhere than at 0, or is stored as floats:
        ``range(10)``.
    rng : a seed, a Generator that one is drawn from, or None for fresh entropy.  The order of an epoch follows from it
        and from the number of the epoch alone, so that a training resumed at an epoch goes on in the same order; a
        checkpoint of `tn.fit` keeps it.
    dtype : of X, and of targets that are not whole numbers.
    drop_last : leave out the last batch where it is smaller.

    Raises `ValueError` for columns that are not there, are no numbers or have gaps; `TypeError` for what gives no rows;
    `ImportError` where pyarrow is needed and missing (extra `tables`).

    >>> import numpy as np
    >>> import tinygrad_nn as tn
    >>> rows = np.arange(15.0).reshape(5, 3)
    >>> for X, y in tn.data.stream(rows, target=2, batch_size=2):
    ...     print(X.tolist(), y.tolist())
    [[0.0, 3.0], [1.0, 4.0]] [2.0, 5.0]
    [[6.0, 9.0], [7.0, 10.0]] [8.0, 11.0]
    [[12.0], [13.0]] [14.0]
    """
    return Stream(source, target, batch_size, shuffle_buffer, columns, classes, rng, dtype, drop_last)


class Stream:
    """What `stream` returns: iterate over it once per epoch.

    Attributes: `batch_size`, `shuffle_buffer`, `n_examples` (None where the source does not tell), `names` of the
    features (None where they have none), `rng`, whose state says all orders, and `epoch`, the number of the next epoch,
    counted from 1.

    >>> epochs = stream(np.ones((100, 3)), batch_size=32, shuffle_buffer=50, rng=0)
    >>> epochs
    Stream(array (100, 3), 100 examples, batch_size=32, shuffle_buffer=50)
    >>> [X.shape for X in epochs]
    [(3, 32), (3, 32), (3, 32), (3, 4)]
    """

    def __init__(
        self, source: Any, target: Any, batch_size: int, shuffle_buffer: int, columns: Sequence[Any] | None,
        classes: Sequence[Any] | None, rng: Rng, dtype: DTypeLike, drop_last: bool,
    ) -> None:  # fmt: skip
        if isinstance(columns, (str, bytes)):
            raise TypeError(f"stream: columns={columns!r}, expected a list of names, as [{columns!r}]")
        wanted = np.dtype(dtype)
        if wanted.kind != "f":
            raise TypeError(f"stream: dtype={wanted}, expected a float such as np.float32")
        self.batch_size = positive_int(batch_size, "batch_size", "stream")
        self.shuffle_buffer = positive_int(shuffle_buffer, "shuffle_buffer", "stream") if shuffle_buffer else 0
        self.drop_last = drop_last
        rng = generator(rng, "stream")
        self.rng = np.random.default_rng(rng.integers(2**63))  # its own, whoever else draws from the one that was given
        self.epoch = 1
        if classes is not None and len(set(classes)) < len(classes):
            twice = next(label for label in classes if list(classes).count(label) > 1)
            raise ValueError(f"stream: classes has {twice!r} twice; expected each label once, in their order")
        self._source = open_source(source, Request(target, columns, classes, wanted))
        self.n_examples, self.names = self._source.n_examples, self._source.names

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next, counted from 1: its order is the same whenever it is asked for."""
        self.epoch = positive_int(epoch, "epoch", "stream")

    def in_order(self) -> Stream:
        """The same examples in the order of the source, for measuring."""
        same = object.__new__(Stream)
        same.__dict__.update(self.__dict__, shuffle_buffer=0)
        return same

    def __iter__(self) -> Iterator[Any]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        seed = int(copy.deepcopy(self.rng).integers(2**63))
        rng = np.random.default_rng([seed, epoch]) if self.shuffle_buffer else None
        blocks = self._checked(epoch, rng)
        if rng is not None:
            blocks = _shuffled(blocks, self.shuffle_buffer, rng)
        for X, Y in _cut(blocks, self.batch_size, self.drop_last):
            yield _as_columns(X) if Y is None else (_as_columns(X), _as_columns(Y))

    def _checked(self, epoch: int, rng: np.random.Generator | None) -> Iterator[Block]:
        shape: Any = None
        for block in self._source.blocks(rng):
            if shape is None:
                shape = block.X.shape[1:]
            elif block.X.shape[1:] != shape:
                raise ValueError(
                    f"stream: examples have shape {shape} at first and {block.X.shape[1:]} later; expected one shape"
                )
            if len(block):
                yield block
        if shape is None:
            raise ValueError(
                f"stream: {self._source.said} gave no rows in epoch {epoch}: it holds none, or can be gone through "
                "only once; give what can be read again, such as a file, a table or a loader"
            )

    def __repr__(self) -> str:
        count = "" if self.n_examples is None else f", {self.n_examples:,} examples"
        details = f"batch_size={self.batch_size}, shuffle_buffer={self.shuffle_buffer}"
        return f"Stream({self._source.said}{count}, {details}{', drop_last=True' * self.drop_last})"


def _shuffled(blocks: Iterator[Block], size: int, rng: np.random.Generator) -> Iterator[Block]:
    """The same rows in another order: as many as come in go out, drawn from those held and those that came."""
    held: list[Block] = []
    count = 0
    for block in blocks:
        if count < size:
            taken = min(size - count, len(block))
            held.append(_part(block, slice(0, taken)))
            block, count = _part(block, slice(taken, None)), count + taken
            if count == size:
                held = [_joined(held)]  # a copy, as rows of it will be exchanged
        if len(block):
            yield _exchanged(held[0], block, rng)
    if held:
        rest = _joined(held)
        yield _part(rest, rng.permutation(len(rest)))


def _exchanged(held: Block, block: Block, rng: np.random.Generator) -> Block:
    """So many rows as came, drawn from all; those that came and were not drawn take the places of those that go."""
    n, m = len(held), len(block)
    chosen = rng.choice(n + m, m, replace=False)
    within = chosen < n
    stays = np.ones(m, bool)
    stays[chosen[~within] - n] = False
    out = Block(np.empty_like(block.X), None if block.Y is None else np.empty_like(block.Y))
    for gone, kept, came in _arrays(out, held, block):
        gone[within], gone[~within] = kept[chosen[within]], came[chosen[~within] - n]
        kept[chosen[within]] = came[stays]
    return out


def _cut(blocks: Iterator[Block], size: int, drop_last: bool) -> Iterator[tuple[Array, Array | None]]:
    """Batches of one size, whatever the blocks have."""
    rest: Block | None = None
    for block in blocks:
        if rest is not None:
            block, rest = _joined([rest, block]), None
        whole = len(block) - len(block) % size
        for start in range(0, whole, size):
            part = _part(block, slice(start, start + size))
            yield part.X, part.Y
        if whole < len(block):
            rest = _part(block, slice(whole, None))
    if rest is not None and not drop_last:
        yield rest.X, rest.Y


def _part(block: Block, index: Any) -> Block:
    return Block(block.X[index], None if block.Y is None else block.Y[index])


def _joined(blocks: list[Block]) -> Block:
    """All rows of some blocks, copied."""
    X = np.concatenate([block.X for block in blocks])
    return Block(
        X, None if blocks[0].Y is None else np.concatenate([block.Y for block in blocks if block.Y is not None])
    )


def _arrays(*blocks: Block) -> Iterator[list[Array]]:
    yield [block.X for block in blocks]
    if blocks[0].Y is not None:
        yield [block.Y for block in blocks if block.Y is not None]


def _as_columns(rows: Array) -> Array:
    # In the memory of `bytes`, which nobody can write to: so a graph may keep it without a copy.
    columns = np.moveaxis(rows, 0, -1)
    return np.ndarray(columns.shape, columns.dtype, columns.tobytes())
