"""Sparse matrices of SciPy as input of the first dense layer: only what is not zero is multiplied."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from tinygrad_nn.errors import CompileError
from tinygrad_nn.foreign import like
from tinygrad_nn.modes import MODE
from tinygrad_nn.registry import op
from tinygrad_nn.tensor import Tensor

__all__ = ["affine", "is_sparse"]


def is_sparse(X: Any) -> bool:
    """Whether it is a sparse matrix or array of SciPy, or what behaves like one."""
    return hasattr(X, "tocsr") and hasattr(X, "nnz") and len(X.shape) == 2


class _Columns:
    """Examples as columns of a sparse matrix (features, N) that nobody else can change."""

    def __init__(self, X: Any, turned: Any):
        self.X, self.turned = X, turned

    @classmethod
    def of(cls, X: Any, dtype: np.dtype) -> Self:
        """A copy in rows, whose product with dense columns is the quick one."""
        if X.dtype.kind not in "biuf":
            raise TypeError(f"Dense: a sparse matrix of dtype {X.dtype}, expected real numbers")
        X = X.tocsr().astype(dtype, copy=True)
        return cls(X, X.T.tocsr())

    @property
    def T(self) -> _Columns:
        return _Columns(self.turned, self.X)

    def dense(self) -> np.ndarray:
        """X as an array."""
        return np.asarray(self.X.toarray())

    def left(self, W: Any) -> Any:
        """W X, dense; anything but a matrix, as transforms have it, is multiplied by the dense X."""
        if type(W) is not np.ndarray or W.ndim != 2:
            return W @ like(self.dense(), W)
        return np.asarray(self.turned @ np.ascontiguousarray(W.T)).T.astype(W.dtype, copy=False)


def _samples(rng: np.random.Generator) -> Any:
    return [((rng.normal(size=(3, 2)),), {"X": _Dense(rng.normal(size=(2, 4)))})]


class _Dense(_Columns):
    """The same of an array, for checks where there is no SciPy."""

    def __init__(self, X: np.ndarray):
        super().__init__(X, X.T)

    def dense(self) -> np.ndarray:
        """X as an array."""
        return np.asarray(self.X)

    @property
    def T(self) -> _Columns:
        return _Dense(self.turned)


def _to_weight(g: Any, y: Any, W: Any, X: Any = None) -> Any:
    return _product(g, X=X.T)


# W X, linear in W; so is its gradient g Xᵀ in g, and it is the same operation.
_product = op(
    lambda W, X=None: X.left(W), "{W} X", _to_weight, name="_sparse_product", part_of="matmul", kind="linear",
    method=False, arguments=("W",), defaults={"X": None}, samples=_samples,
    summary="W X for a sparse X that no gradient flows to",
)  # fmt: skip


def affine(W: Tensor, X: Any, b: Tensor | None) -> Tensor:
    """``W X + b 1ᵀ`` for a sparse X (features, N), recorded; the result is dense.

    Raises CompileError while a step is recorded to be replayed: every batch has its zeros elsewhere.
    """
    if MODE.get().interpreter is not None:
        raise CompileError(
            "Dense: X is a sparse matrix, which cannot be part of a compiled step: leave the step as it is "
            "(tn.fit with compile=False), or X.toarray()"
        )
    Z = _product(W, X=_Columns.of(X, W.dtype))
    return Z if b is None else Z + b
