"""Norms of vectors and matrices, and the condition number: composed of sums, extremes and singular values."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.operands import as_array
from tinygrad_nn.ops.axes import axes_of
from tinygrad_nn.ops.decompositions import svdvals
from tinygrad_nn.ops.linalg import inv
from tinygrad_nn.ops.reductions import max, min, sum, vector_norm
from tinygrad_nn.ops.shaping import check_axes, moveaxis
from tinygrad_nn.registry import implements


@implements(np.linalg.norm)
def norm(x, ord=None, axis=None, keepdims=False):
    """Norm of vectors or matrices, as `numpy.linalg.norm`: orders 0, 1, 2, inf, -inf and p of vectors; fro, nuc, ±1, ±2, ±inf of matrices.

    The gradient at the zero vector is 0.  Raises ValueError for an order that there is not.

    >>> import numpy as np, tinygrad_nn as tn
    >>> x = tn.tensor([3.0, 4.0], requires_grad=True)
    >>> tn.norm(x).backward(); x.grad
    array([0.6, 0.8])
    """
    axes = axis if axis is None else tuple(np.atleast_1d(axis).tolist())
    dimensions = np.ndim(x) if axes is None else len(axes)
    if axes is not None and dimensions not in (1, 2):
        raise ValueError(f"axis is {axis}; expected one axis, of vectors, or two, of matrices")
    if ord is None or (ord == "fro" and dimensions == 2):
        return vector_norm(x, ord=2, axis=axis, keepdims=keepdims)
    if dimensions == 1 and not isinstance(ord, str):
        return vector_norm(x, ord=ord, axis=axis if axes is None else axes[0], keepdims=keepdims)
    if dimensions == 2 and not np.size(x) and ord in (1, np.inf):
        return vector_norm(x, ord=2, axis=axis, keepdims=keepdims)  # 0, and max has no value there
    if dimensions == 2 and ord in ("nuc", 1, -1, 2, -2, np.inf, -np.inf):
        x = as_array(x)
        row, column = axes_of(axes, x)
        y = _matrix_norm(moveaxis(x, (row, column), (-2, -1)), ord)
        return np.expand_dims(y, (row, column)) if keepdims else y
    raise ValueError(
        f"norm of order {ord!r} over {dimensions} axes is not differentiated here; "
        "take ord=None, 0, 1, inf, -inf or p for vectors (one axis), 'fro', 'nuc', ±1, ±2 or ±inf for matrices (two axes)"
    )


def _matrix_norm(x, ord):
    """Of the last two axes: by singular values, or the largest or smallest of the sums of columns or rows."""
    if ord == "nuc":
        return sum(svdvals(x), axis=-1)
    extreme = max if ord > 0 else min
    if ord in (2, -2):
        return extreme(svdvals(x), axis=-1)
    return extreme(sum(np.abs(x), axis=-2 if ord in (1, -1) else -1), axis=-1)


@implements(np.linalg.matrix_norm, name="_matrix_norm")
def matrix_norm(x, keepdims=False, ord="fro"):
    """Norm of the last two axes."""
    check_axes(2, x=x)
    return norm(x, ord, axis=(-2, -1), keepdims=keepdims)


@implements(np.linalg.cond)
def cond(x, p=None):
    """Condition number: the largest singular value by the smallest, or the norm of x times that of its inverse."""
    check_axes(2, x=x)
    if p is None or p in (2, -2):
        s = svdvals(x)
        y = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
        return np.where(np.isnan(y) & ~np.isnan(s[..., 0]), np.inf, y)  # 0/0 of the matrix 0
    return norm(x, p, axis=(-2, -1)) * norm(inv(x), p, axis=(-2, -1))
