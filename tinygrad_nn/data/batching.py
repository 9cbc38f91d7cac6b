"""Mini-batches, in a new order every epoch."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_nn.data.checks import Array, Rng, examples, generator, numeric_array, positive_int


def batches(
    X: Array,
    Y: Array | None = None,
    batch_size: int | None = 32,
    shuffle: bool = True,
    rng: Rng = None,
    *,
    drop_last: bool = False,
    weight: Array | None = None,
) -> "Batches":
    """Mini-batches of the examples `X (features, N)` with their labels `Y (N,)` or targets `Y (d, N)`.

    The result is iterated once per epoch, as often as wanted, and has a length: the number of batches in an epoch.
    It yields pairs `X_batch (features, batch_size)`, `Y_batch (batch_size,)` or `(d, batch_size)`; without Y, for
    examples that have no labels, just `X_batch`.
    `batch_size=1` is online training, `batch_size=None` the full batch (all N in their order).
    With `shuffle`, each epoch draws a new order from `rng` (a `numpy.random.Generator`, a seed, or None).
    The last batch is smaller where `batch_size` does not divide N; `drop_last=True` leaves it out.

    Each batch is a new array that nobody can write to, so a graph may keep it without a copy.
    With a `weight` of each example (N,), batches are triples `(X_batch, Y_batch, weights)`, as `tn.fit` takes them.
    X may have more axes, for images `(channels, height, width, N)`: the last one counts the examples.

    Raises `ValueError` if X, Y and the weights differ in N, hold no example or no numbers, if `batch_size` is below 1
    or if `drop_last` leaves no batch; `TypeError` for anything that is not an array.

    >>> X, y = np.arange(10.0).reshape(2, 5), np.array([0, 1, 0, 1, 1])
    >>> for X_batch, y_batch in batches(X, y, batch_size=2, shuffle=False):
    ...     print(X_batch.tolist(), y_batch.tolist())
    [[0.0, 1.0], [5.0, 6.0]] [0, 1]
    [[2.0, 3.0], [7.0, 8.0]] [0, 1]
    [[4.0], [9.0]] [1]
    """
    return Batches(X, Y, batch_size, shuffle, rng, drop_last=drop_last, weight=weight)


class Batches:
    """What `batches` returns: iterate over it once per epoch; `len` is the number of batches in an epoch.

    Attributes: `X`, `Y`, `weight`, `n_examples`, `batch_size` (an int), `shuffle`, `drop_last`, and the generator
    `rng`, whose state (`rng.bit_generator.state`) is all there is to save for an exact resume.

    >>> epoch = batches(np.ones((3, 100)), np.ones((1, 100)), batch_size=32, rng=0)
    >>> epoch
    Batches(X (3, 100), Y (1, 100), batch_size=32, shuffle=True: 4 an epoch)
    >>> [Y_batch.shape for _, Y_batch in epoch]
    [(1, 32), (1, 32), (1, 32), (1, 4)]
    """

    def __init__(
        self,
        X: Array,
        Y: Array | None = None,
        batch_size: int | None = 32,
        shuffle: bool = True,
        rng: Rng = None,
        *,
        drop_last: bool = False,
        weight: Array | None = None,
    ) -> None:
        self.X, targets, self.n_examples = examples(X, X if Y is None else Y, "batches")
        self.Y = None if Y is None else targets
        self.weight = None if weight is None else _weights(weight, Y, self.n_examples)
        self.rng = generator(rng, "batches")
        self.shuffle = shuffle and batch_size is not None  # one batch of everything: its order changes nothing
        self.batch_size = self.n_examples if batch_size is None else positive_int(batch_size, "batch_size", "batches")
        self.drop_last = drop_last
        if len(self) == 0:
            raise ValueError(
                f"batches: drop_last=True leaves no batch, as batch_size={self.batch_size} is more than the "
                f"{self.n_examples} examples of X {self.X.shape}; take a smaller batch_size or drop_last=False"
            )

    def __len__(self) -> int:
        whole, rest = divmod(self.n_examples, self.batch_size)
        return whole if self.drop_last or rest == 0 else whole + 1

    def __iter__(self) -> Iterator[Any]:
        order = self.rng.permutation(self.n_examples) if self.shuffle else None
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = slice(start, start + self.batch_size)
            index = chosen if order is None else order[chosen]
            X = _columns(self.X, index)
            if self.Y is None:
                yield X
            elif self.weight is None:
                yield X, _columns(self.Y, index)
            else:
                yield X, _columns(self.Y, index), _columns(self.weight, index)

    def in_order(self) -> "Batches":
        """The same batches without shuffling, for measuring: their order is the same each time."""
        if not self.shuffle:
            return self
        same = copy.copy(self)
        same.shuffle = False
        return same

    def __repr__(self) -> str:
        details = f"batch_size={self.batch_size}, shuffle={self.shuffle}"
        if self.drop_last:
            details += ", drop_last=True"
        targets = "" if self.Y is None else f", Y {self.Y.shape}"
        return f"Batches(X {self.X.shape}{targets}, {details}: {len(self)} an epoch)"


def _weights(weight: Array, Y: Array | None, n: int) -> Array:
    weight = numeric_array(weight, "weight", "batches")
    if Y is None:
        raise ValueError("batches: weight= is for examples that have targets; give Y")
    if weight.shape != (n,):
        raise ValueError(f"batches: weight has shape {weight.shape}, expected ({n},), one for each example")
    return weight


def _columns(values: Array, index: Array | slice) -> Array:
    # Through the transpose: the loaders store an example's values side by side, so it is read in one go.
    # In the memory of `bytes`, which nobody can write to: so a graph may keep it without a copy.
    batch = values.T[index].T
    return np.ndarray(batch.shape, batch.dtype, batch.tobytes())
