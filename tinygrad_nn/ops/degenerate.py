"""Where matrices have values that are equal, or 0, and decompositions no derivative: refused, with the reason.

The rule of a decomposition sends its gradient through one of these operations: whether the derivative exists depends on
what the gradient asks for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_nn.errors import no_derivative
from tinygrad_nn.foreign import is_foreign, like, of_matrices
from tinygrad_nn.ops.elementwise import where
from tinygrad_nn.registry import op


def row(x):
    """Vectors as rows of matrices."""
    return np.expand_dims(x, -2)


def _largest_of(x):
    """The largest number along the last axis, 0 of none."""
    return np.max(x, axis=-1, keepdims=True) if x.shape[-1] else np.sum(x, axis=-1, keepdims=True)


def column(x):
    """Vectors as columns of matrices."""
    return np.expand_dims(x, -1)


def _equal(values):
    """Which pairs of values (ascending or descending ones) are equal up to rounding, each with itself included."""
    size = _largest_of(np.abs(values))
    return np.abs(row(values) - column(values)) <= column(size * (4 * values.shape[-1] * np.finfo(values.dtype).eps))


def _distinct(g, values, what="eigen"):
    """g, of one row for the values and more rows for their vectors; refused where values are equal that it tells apart."""
    others = _equal(values) & like(~np.eye(values.shape[-1], dtype=bool), values)
    if is_foreign(values):
        return _nan_where(others & _tells_apart(g), g)
    if others.any():
        bad = others & _tells_apart(g)
        if bad.any():
            *batch, i, j = np.argwhere(bad)[0].tolist()
            raise no_derivative(
                f"{what}decomposition: the {what}values number {i} and {j} are equal ({values[(*batch, i)]:.6g}), so that "
                f"their {what}vectors, and each {what}value by itself, have no derivative: use what depends on them "
                "together, as their sum, functions of the matrix without decomposing it, or add a small perturbation to it"
            )
    return np.positive(g)


def _tells_apart(g):
    """Which pairs of values, or of their vectors, a gradient tells apart."""
    told_apart = row(g[..., 0, :]) != column(g[..., 0, :])
    vectors = np.any(g[..., 1:, :] != 0, axis=-2)
    return told_apart | row(vectors) | column(vectors)


def _nan_where(bad, g):
    """NaN for the whole matrix: at numbers of another kind of array nobody looks, to refuse them with an error."""
    return np.where(np.any(bad, axis=(-2, -1), keepdims=True), math.nan, g).astype(g.dtype)


def gaps(values):
    """1/(value j − value i), and 0 where they are equal."""
    equal = close(values)
    return where(equal, 0.0, 1.0 / (row(values) - column(values) + equal))


def _not_zero(g, values):
    """g, of one row for the singular values and more for their vectors; refused where a vector of a value 0 has a part."""
    size = _largest_of(values)
    zero = values <= size * (4 * values.shape[-1] * np.finfo(values.dtype).eps)
    bad = zero & np.any(g[..., 1:, :] != 0, axis=-2)
    if is_foreign(g):
        return _nan_where(row(bad), g)
    if bad.any():
        raise no_derivative(
            "singular value decomposition: a singular value is 0, so that its singular vectors have no derivative: "
            "use the singular values alone, in reverse mode, or add a small perturbation to the matrix"
        )
    return np.positive(g)


_singular_values = of_matrices(lambda x: np.linalg.svd(x)[1])


def _full_rank(g, x, rcond=None):
    """g, the gradient of the pseudo-inverse of x; refused where x lacks rank, or singular values are left out of it."""
    cut = np.maximum(np.finfo(x.dtype).eps * max(x.shape[-2:]), 0 if rcond is None else rcond)
    if is_foreign(x):
        s = _singular_values(x)
        return _nan_where(row(s <= np.max(s, axis=-1, keepdims=True) * cut), g)
    if x.size and np.any(np.linalg.matrix_rank(x, rtol=cut) < np.min(x.shape[-2:])):
        raise no_derivative(
            "pinv: the matrix has not full rank, and there the pseudo-inverse jumps, so that it has no derivative: "
            "add a small perturbation to the matrix, lower rcond= (rtol=) where it leaves singular values out, "
            "or solve (xᵀx + ε·1) y = xᵀb instead"
        )
    return np.positive(g)


def _largest(x):
    """The largest number of each matrix."""
    return np.max(np.abs(x), axis=(-2, -1)) if x.size else np.zeros_like(x, shape=x.shape[:-2])


def _determined(g, basis):
    """g, the gradient of a basis; refused where it tells one basis of the same space from another."""
    turned = np.swapaxes(basis, -1, -2) @ g
    told_apart, size = (_largest(t) for t in (turned - np.swapaxes(turned, -1, -2), turned))
    bad = told_apart > np.sqrt(np.finfo(g.dtype).eps) * size
    if is_foreign(g):
        return _nan_where(row(column(bad)), g)
    if bad.any():
        raise no_derivative(
            "decomposition: the further columns of a matrix that is not square are any basis of the space that is left, "
            "so that they have no derivative: use what is the same for every basis, as their product with their "
            "transpose, or leave them out (full_matrices=False, mode='reduced')"
        )
    return np.positive(g)


def _settled(t, basis):
    """t, the tangent of a basis; refused where there are others, as what follows may tell them apart."""
    if basis.shape[-1] > 1:
        raise no_derivative(
            "decomposition: the further columns of a matrix that is not square are any basis of the space that is left, "
            "and have no derivative in forward mode: use reverse mode, or leave them out (full_matrices=False, "
            "mode='reduced')"
        )
    return np.positive(t)


def vanishing(s):
    """Which singular values are 0 up to rounding."""
    return s <= 4 * s.shape[-1] * np.finfo(s.dtype).eps * np.max(s, axis=-1, keepdims=True)


def _with_values(rng):
    return [((rng.normal(size=(4, 3)), np.array([1.0, 2.0, 4.0])), {})]


def _with_basis(rng):
    return [((rng.normal(size=(3, 1)), np.array([[0.0], [1.0], [0.0]])), {})]


def _with_matrices(rng):
    return [((rng.normal(size=(2, 3)), rng.normal(size=(3, 2))), {})]


CHECKED: dict[str, Any] = {"not_live": "it looks at the numbers of a decomposition to refuse some"}

# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off
distinct  = op(_distinct,  "{g}", lambda f, y, g, values, what="eigen": distinct(f, values, what), None, name="_distinct", **CHECKED, part_of="eigh",
               kind="multilinear", samples=_with_values, summary="g, refused where equal values have no derivative")
not_zero  = op(_not_zero,  "{g}", lambda f, y, g, values: f, None, name="_not_zero", **CHECKED, part_of="svd", kind="multilinear", samples=_with_values,
               summary="g, refused where a singular value is 0")
full_rank = op(_full_rank, "{g}", lambda f, y, g, x, rcond=None: f, None, name="_full_rank", **CHECKED, part_of="pinv", kind="multilinear",
               samples=_with_matrices, summary="g, refused where x lacks rank")
determined = op(_determined, "{g}", lambda f, y, g, basis: f, None, name="_determined", **CHECKED, part_of="svd", kind="multilinear",
                samples=_with_basis, summary="g, refused where it depends on the choice of a basis")
settled    = op(_settled, "{t}", lambda f, y, t, basis: f, None, name="_settled", **CHECKED, part_of="svd", kind="multilinear",
                samples=_with_basis, summary="t, refused where there is another basis")
close     = op(_equal, "close({values})", None, arguments=("values",), name="_close", part_of="eigh", shape=(3,), variants=({},),
               summary="Which pairs of values are equal")
# fmt: on
