"""Splitting data into training, validation and test examples."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_nn.data.checks import Array, Rng, examples, generator, labels_or_numbers

Part = tuple[Array, Array]


def split(
    X: Array,
    Y: Array,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    rng: Rng = None,
    stratify: bool | Array | Sequence[Any] = False,
) -> tuple[Part, ...]:
    """Divide the examples `X (features, N)`, `Y (N,)` or `(d, N)` at random into parts, one for each fraction.

    Returns pairs `(X_part, Y_part)`; usually training, validation and test. Every example is in exactly one part, and
    keeps its place among those of its part. A part has its fraction of the N examples, rounded. With `stratify`, Y
    must be class labels `(N,)`, numbers or text, and each part has its fraction of *every class*, rounded;
    `stratify=labels` goes by other labels `(N,)` than Y.
    `rng` is a `numpy.random.Generator`, a seed, or None. The parts are copies.

    Raises `ValueError` if X and Y differ in N, if the fractions are not positive numbers with sum 1, or if a part
    (with `stratify`: a class in a part) would have no example.

    >>> X, y = np.arange(10.0).reshape(1, 10), np.array(["no", "yes"] * 5)
    >>> (X_train, y_train), (X_val, y_val), (X_test, y_test) = split(X, y, rng=0, stratify=True)
    >>> X_train.shape, X_val.shape, X_test.shape
    ((1, 6), (1, 2), (1, 2))
    """
    Y = labels_or_numbers(Y, "Y", "split")
    if Y.dtype.kind in "OU":
        X, _, n_examples = examples(X, np.zeros(Y.shape), "split")
    else:
        X, Y, n_examples = examples(X, Y, "split")
    labels = None
    if isinstance(stratify, (bool, np.bool_)):
        if stratify and Y.ndim != 1:
            raise ValueError(f"split: Y has shape {Y.shape}, stratify=True expects class labels (N,); Y.argmax(0) fits")
        labels = Y if stratify else None
    else:
        labels = labels_or_numbers(stratify, "stratify", "split")
        if labels.shape != (n_examples,):
            raise ValueError(
                f"split: stratify has shape {labels.shape}, expected labels ({n_examples},), or True for Y's"
            )
    part_of = parts_of(n_examples, fractions, rng, labels)
    return tuple((_columns(X, part_of == part), _columns(Y, part_of == part)) for part in range(len(fractions)))


def parts_of(n_examples: int, fractions: Sequence[float], rng: Rng, labels: Array | None) -> Array:
    """The number of the part of each example; with labels, each part has its fraction of every class."""
    edges = _edges(fractions)
    rng = generator(rng, "split")
    # Without labels, all examples are of one class.
    classes: Any = [None]
    class_of = np.zeros(n_examples, int)
    if labels is not None:
        classes, class_of = np.unique(labels, return_inverse=True)
    part_of = np.empty(n_examples, int)
    for number, label in enumerate(classes):
        members = rng.permutation(np.flatnonzero(class_of == number))
        ends = np.rint(edges * members.size).astype(int)
        for part, (start, end) in enumerate(pairwise(ends)):
            if start == end:
                of_class = "" if label is None else f" of class {label}"
                without = "" if labels is None else " or stratify=False"
                some = "1 example" if members.size == 1 else f"{members.size} examples"
                raise ValueError(
                    f"split: {some}{of_class} leave{'s' * (members.size == 1)} none for part {part} "
                    f"(fraction {fractions[part]:g}); take larger fractions{without}"
                )
            part_of[members[start:end]] = part
    return part_of


def _edges(fractions: Sequence[float]) -> Array:
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.ndim != 1 or not (shares > 0).all() or not np.isclose(shares.sum(), 1):
        raise ValueError(
            f"split: fractions={fractions!r} with sum {shares.sum():g}, expected positive numbers with sum 1, "
            "such as (0.6, 0.2, 0.2)"
        )
    return np.concatenate([[0.0], shares.cumsum()])


def _columns(values: Array, chosen: Array) -> Array:
    return values.T[chosen].T  # keeps an example's values side by side, where batches reads them fastest
