"""Examples as rows, dense or sparse: which of them a batch takes, and how they become columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse  # which scikit-learn needs, too

__all__ = ["by_row", "columns", "in_pieces", "parts"]

_PIECE = 2**22  # numbers of sparse rows that are made dense at once


def by_row(X: Any) -> Any:
    """A sparse matrix in the format of which rows are taken quickly; anything else as it is."""
    return X.tocsr() if sparse.issparse(X) else X


def columns(rows: Any, index: Any = slice(None)) -> np.ndarray:
    """The rows at an index, as dense columns (features, n)."""
    found = rows[index]
    return (found.toarray() if sparse.issparse(found) else found).T


def parts(n: int, size: int, least: int = 1) -> list[slice]:
    """Where the batches of an epoch begin and end; one of fewer than `least` rows is added to the batch before it.

    >>> parts(5, 2), parts(5, 2, least=2)
    ([slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)], [slice(0, 2, None), slice(2, 5, None)])
    """
    ends = [*range(size, n, size), n]
    if len(ends) > 1 and ends[-1] - ends[-2] < least:
        del ends[-2]
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def in_pieces(function: Callable[[np.ndarray], np.ndarray], X: Any) -> np.ndarray:
    """What a function of columns says of all rows (outputs, N); of sparse ones some at a time, to be made dense."""
    if not sparse.issparse(X):
        return function(columns(X))
    X = by_row(X)
    pieces = parts(X.shape[0], max(1, _PIECE // max(1, X.shape[1])))
    return np.concatenate([function(columns(X, piece)) for piece in pieces], axis=1)
