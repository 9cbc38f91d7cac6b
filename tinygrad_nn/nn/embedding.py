"""Embeddings: a vector that is learnt for each category, in place of a row of zeros and ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_nn.allowance import claim
from tinygrad_nn.errors import ShapeError
from tinygrad_nn.foreign import is_foreign
from tinygrad_nn.nn import init as initialisers
from tinygrad_nn.nn.arguments import count, float_dtype, level_name, parameter, rename
from tinygrad_nn.nn.init import Rng
from tinygrad_nn.nn.module import Module
from tinygrad_nn.nn.report import Row
from tinygrad_nn.ops import shaping
from tinygrad_nn.registry import op
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["Embedding", "FeatureEmbedding"]


def _whole(x, n=1):  # type: ignore[no-untyped-def]
    """Numbers of n categories as integers; ValueError for what is none, NaN included: of NumPy's arrays."""
    if is_foreign(x):
        return x.astype(np.intp)
    wrong = ~((x >= 0) & (x < n) & (x == np.floor(x)))
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"X{list(at)} is {x[at]}, expected a whole number from 0 to {n - 1}, the number of a category")
    return x.astype(np.intp)


# An operation, so that a compiled step looks at the numbers of every batch.
_category = op(
    _whole, "category {x}", None, name="_category", part_of="embedding", method=False, arguments=("x",),
    defaults={"n": 1}, samples=lambda rng: [((np.array([0.0, 2.0, 1.0]),), {"n": 3})],
    summary="Numbers of categories, which must be whole numbers below n",
)  # fmt: skip

category = _category  # for other modules


class Embedding(Module):
    """A learnt vector for each of `num_embeddings` categories: column k of W is that of category k.

    Parameters
    ----------
    num_embeddings : how many categories there are, which count from 0.
    embedding_dim : d, the length of a vector.
    padding_idx : a category without a vector, such as that of the unknown: it gets zeros, and no gradient.
    init : name or function of `nn.init` for W (embedding_dim, num_embeddings); independent N(0, 1) unless given.
    rng : `numpy.random.Generator` or int seed that W is drawn with.
    dtype : of W; float64 unless given.

    Called with category numbers (N,), it returns (embedding_dim, N); with (k, N), k categories of each example, the k
    vectors one below the other, (k embedding_dim, N).  Whole numbers may be of a floating-point dtype.

    Raises ValueError for a number that is none of the categories, ShapeError for other shapes.

    >>> import numpy as np, tinygrad_nn as tn
    >>> layer = tn.nn.Embedding(4, 2, padding_idx=0, rng=0)
    >>> layer(np.array([3, 0, 3])).numpy().round(2).tolist()
    [[0.1, 0.0, 0.1], [0.95, 0.0, 0.95]]

    The same product as that of W and one-hot columns, without the products with zeros.

    Source: Y. Bengio, R. Ducharme, P. Vincent, C. Jauvin, "A neural probabilistic language model", JMLR 3, 2003.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, *, padding_idx: int | None = None,
        init: str | Callable[..., Any] = "normal", rng: Rng = None, dtype: DTypeLike | None = None,
    ):  # fmt: skip
        self.num_embeddings = count(num_embeddings, "num_embeddings", "Embedding")
        self.embedding_dim = count(embedding_dim, "embedding_dim", "Embedding")
        if padding_idx is not None and not (isinstance(padding_idx, int) and 0 <= padding_idx < self.num_embeddings):
            raise ValueError(
                f"Embedding: padding_idx={padding_idx!r}, expected None or a category from 0 to "
                f"{self.num_embeddings - 1}"
            )
        self.padding_idx, dtype = padding_idx, float_dtype(dtype, "Embedding")
        if isinstance(init, str) and init not in initialisers.__all__:
            raise ValueError(f"Embedding: there is no init {init!r}; expected one of {', '.join(initialisers.__all__)}")
        self._init = init if isinstance(init, str) else None
        draw = getattr(initialisers, init) if isinstance(init, str) else init
        shape = (self.embedding_dim, self.num_embeddings)
        claim(shape)
        W = np.array(draw(shape, rng=np.random.default_rng(rng), dtype=dtype), dtype=dtype)
        if W.shape != shape:
            raise ShapeError(f"Embedding: init gave W the shape {W.shape}, expected {shape}")
        if padding_idx is not None:
            W[:, padding_idx] = 0
        self.W = parameter(W, "W")
        self._name = "embedding"

    def forward(self, indices: Any) -> Tensor:
        """The vectors of the categories, as columns."""
        indices = indices if type(indices) is Tensor else tensor(indices, name="X")
        if indices.ndim not in (1, 2):
            raise ShapeError(
                f"{self._signature()} expects category numbers (N,) or (k, N), and got shape {indices.shape}"
            )
        whole = _category(indices, n=self.num_embeddings)
        vectors = shaping.take(self.W, whole, axis=1)  # (d, N) or (d, k, N)
        if self.padding_idx is not None:
            vectors = vectors * (whole != self.padding_idx)
        if indices.ndim == 2:
            vectors = shaping.reshape(shaping.swapaxes(vectors, 0, 1), (-1, indices.shape[1]))
        return vectors.named(self._name)

    def _number_from(self, level: int) -> int:
        rename(self.W, "W", level_name("E", level))
        return level

    def _row(self, source: str) -> Row:
        return Row(((self._name, f"columns of {self.W.name}", f"({self.embedding_dim}, N)"),), self.W)

    def _settings(self) -> dict[str, Any]:
        return {
            "num_embeddings": self.num_embeddings, "embedding_dim": self.embedding_dim,
            "padding_idx": self.padding_idx, "init": self._init or "normal", "dtype": self.W.dtype.name,
        }  # fmt: skip

    def _signature(self) -> str:
        return f"Embedding({self.num_embeddings}, {self.embedding_dim})"


class FeatureEmbedding(Module):
    """The first layer for examples of which some features are numbers of categories: those become learnt vectors.

    Parameters
    ----------
    in_features : rows of X.
    sizes : how many categories each row has that holds some, by its number: ``preprocessor.category_sizes``.
    embedding_dim : length of each vector; min(50, (categories + 1) // 2) unless given.
    rng : `numpy.random.Generator` or int seed that the vectors are drawn with.
    dtype : of the vectors; float64 unless given.

    Called with X (in_features, N), it returns (out_features, N): the rows of numbers as they are, then the vectors.
    Category 0 is that of the unknown, and has zeros.

    >>> import numpy as np, tinygrad_nn as tn
    >>> layer = tn.nn.FeatureEmbedding(2, {1: 5}, rng=0)
    >>> layer.out_features, layer(np.array([[0.5, 0.7], [2, 0]])).numpy().round(2).tolist()
    (4, [[0.5, 0.7], [0.64, 0.0], [0.95, 0.0], [-2.33, 0.0]])

    Source: C. Guo, F. Berkhahn, "Entity embeddings of categorical variables", arXiv 1604.06737, 2016.
    """

    def __init__(
        self, in_features: int, sizes: Mapping[int, int], embedding_dim: int | None = None, *, rng: Rng = None,
        dtype: DTypeLike | None = None,
    ):  # fmt: skip
        self.in_features = count(in_features, "in_features", "FeatureEmbedding")
        self.sizes = {int(row): count(n, f"sizes[{row}]", "FeatureEmbedding") for row, n in dict(sizes).items()}
        strange = [row for row in self.sizes if not 0 <= row < self.in_features]
        if strange or not self.sizes:
            found = f"a row {strange[0]}" if strange else "no row"
            raise ValueError(
                f"FeatureEmbedding: sizes has {found}, expected rows of categories from 0 to {self.in_features - 1}; "
                'Preprocessor(encode="index").category_sizes gives them'
            )
        self.embedding_dim, rng = embedding_dim, np.random.default_rng(rng)
        self._dtype = float_dtype(dtype, "FeatureEmbedding")
        self.embeddings = [
            Embedding(n, embedding_dim or min(50, (n + 1) // 2), padding_idx=0, rng=rng, dtype=self._dtype)
            for n in self.sizes.values()
        ]
        self._has_numbers = self.in_features > len(self.sizes)
        self.out_features = self.in_features - len(self.sizes) + sum(layer.embedding_dim for layer in self.embeddings)
        for i, layer in enumerate(self.embeddings, 1):
            rename(layer.W, "W", level_name("E", i))

    def forward(self, X: Any) -> Tensor:
        """Numbers, then the vectors of the categories."""
        X = X if type(X) is Tensor else tensor(X, dtype=self._dtype, name="X")
        if X.ndim != 2 or X.shape[0] != self.in_features:
            hint = ": X.T fits" if X.ndim == 2 and X.shape[1] == self.in_features else ""
            raise ShapeError(
                f"{self._signature()} expects examples as columns, shape ({self.in_features}, N), and got shape "
                f"{X.shape}{hint}"
            )
        numbers = [row for row in range(self.in_features) if row not in self.sizes]
        parts = [X[np.array(numbers)]] if numbers else []
        parts += [layer(X[row]) for row, layer in zip(self.sizes, self.embeddings, strict=True)]
        return shaping.concatenate(parts, axis=0).named("features")

    def _example_columns(self, n: int) -> np.ndarray:
        """X (in_features, n), made up: numbers drawn at random, and categories in their order."""
        X = np.random.default_rng(0).normal(size=(self.in_features, n)).astype(self._dtype)
        for row, size in self.sizes.items():
            X[row] = np.arange(1, n + 1) % size
        return X

    def _number_from(self, level: int) -> int:
        return level

    def _rows(self, source: str) -> tuple[list[tuple[Module, Row]], str]:
        rows: list[tuple[Module, Row]] = []
        parts = [f"numbers of {source}"] if self._has_numbers else []
        for i, (row, layer) in enumerate(zip(self.sizes, self.embeddings, strict=True), 1):
            parts.append(level_name("e", i))
            line = (parts[-1], f"columns of {layer.W.name} by row {row} of {source}", f"({layer.embedding_dim}, N)")
            rows.append((layer, Row((line,), layer.W)))
        return [*rows, (self, Row((("features", ", ".join(parts), f"({self.out_features}, N)"),)))], "features"

    def _settings(self) -> dict[str, Any]:
        return {
            "in_features": self.in_features, "sizes": {str(row): n for row, n in self.sizes.items()},
            "embedding_dim": self.embedding_dim, "dtype": self._dtype.name,
        }  # fmt: skip

    def _signature(self) -> str:
        return f"FeatureEmbedding({self.in_features}, {self.out_features})"
