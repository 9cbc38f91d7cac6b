"""Decompositions of matrices, and what is computed through them: eigenvalues, singular values, QR, pseudo-inverse.

A decomposition of several parts is one operation on matrices, whose result holds the parts one below the other.  So it
is computed once, and its rules read the parts from its result.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections import namedtuple
from typing import Any

import numpy as np

from tinygrad_nn.errors import MatrixError
from tinygrad_nn.foreign import like, of_matrices
from tinygrad_nn.operands import as_array
from tinygrad_nn.operation import value_of
from tinygrad_nn.ops.degenerate import column, determined, distinct, full_rank, gaps, not_zero, row, settled, vanishing
from tinygrad_nn.ops.elementwise import where
from tinygrad_nn.ops.linalg import inv, matmul, solve
from tinygrad_nn.ops.reductions import sum
from tinygrad_nn.ops.shaping import check_axes, moveaxis, reshape
from tinygrad_nn.ops.sorting import take_along_axis
from tinygrad_nn.registry import implements, op


def _t(x):
    return np.swapaxes(x, -1, -2)


def _diagonal(x):
    return np.diagonal(x, axis1=-2, axis2=-1)


def _symmetric(x):
    return 0.5 * (x + _t(x))


# --- eigenvalues of symmetric matrices -------------------------------------------------------------------------------


@of_matrices
def _eigh(x, UPLO="L"):
    w, v = np.linalg.eigh(x, UPLO)
    return np.concatenate([row(w), v], axis=-2)


def _eigh_rule(g, y, x, UPLO="L"):
    """V (diag(ẇ) + F ∘ VᵀV̇) Vᵀ with F = 1/(wⱼ − wᵢ), symmetric as the matrix is."""
    w, v = y[..., 0, :], y[..., 1:, :]
    g = distinct(g, w)
    gw, gv = g[..., 0, :], g[..., 1:, :]
    inner = gaps(w) * (_t(v) @ gv) + row(gw) * like(np.eye(x.shape[-1], dtype=x.dtype), x)
    return _symmetric(v @ inner @ _t(v))


def _eigh_tangent(tangents, y, x, UPLO="L"):
    w, v = y[..., 0, :], y[..., 1:, :]
    moved = _t(v) @ _symmetric(tangents[0]) @ v
    return distinct(np.concatenate([row(_diagonal(moved)), v @ (gaps(w) * moved)], axis=-2), w)


# --- singular values -------------------------------------------------------------------------------------------------


@of_matrices
def _svd(x):
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    return np.concatenate([row(s), u, _t(vt)], axis=-2)


def _svd_parts(y, x):
    """u, s and v of x."""
    m = x.shape[-2]
    return y[..., 1 : m + 1, :], y[..., 0, :], y[..., m + 1 :, :]


def _beside(u, x):
    """The part of x that is perpendicular to the columns of u."""
    return x - u @ (_t(u) @ x)


def _svd_rule(g, y, x):
    """Townsend 2016: of the values U diag(ṡ) Vᵀ, of the vectors what turns them within their space and out of it."""
    u, s, v = _svd_parts(y, x)
    g = distinct(g, s, "singular ")
    gu, gs, gv = _svd_parts(not_zero(g, s), x)
    gs = where(vanishing(s), 0.0, gs)
    between = gaps(s * s)
    left, right = _t(u) @ gu, _t(v) @ gv
    inner = between * (left - _t(left)) * row(s) + column(s) * (between * (right - _t(right)))
    inner = inner + row(gs) * like(np.eye(s.shape[-1], dtype=x.dtype), x)
    safe = row(s + vanishing(s))
    return u @ inner @ _t(v) + (_beside(u, gu) / safe) @ _t(v) + u @ _t(_beside(v, gv) / safe)


def _svd_tangent(tangents, y, x):
    u, s, v = _svd_parts(y, x)
    moved, safe = _t(u) @ tangents[0] @ v, row(s + vanishing(s))
    between = gaps(s * s)
    left = u @ (between * (moved * row(s) + column(s) * _t(moved))) + _beside(u, tangents[0] @ v) / safe
    right = v @ (between * (column(s) * moved + _t(moved) * row(s))) + _beside(v, _t(tangents[0]) @ u) / safe
    y = np.concatenate([row(where(vanishing(s), 0.0, _diagonal(moved))), left, right], axis=-2)
    return not_zero(distinct(y, s, "singular "), s)


# --- QR --------------------------------------------------------------------------------------------------------------


@of_matrices
def _qr(x):
    q, r = np.linalg.qr(x)
    return np.concatenate([q, r], axis=-2)


def _lower(x):
    return x * like(np.tri(x.shape[-1], k=-1, dtype=x.dtype), x)


def _qr_rule(g, y, x):
    """Walter & Lehmann 2010: (Q̇ + Q · (the lower triangle of M = R Ṙᵀ − Q̇ᵀ Q, mirrored)) R⁻ᵀ."""
    m = x.shape[-2]
    q, r, gq, gr = y[..., :m, :], y[..., m:, :], g[..., :m, :], g[..., m:, :]
    gr = gr * like(np.tri(r.shape[-1], dtype=x.dtype).T, x)
    m = r @ _t(gr) - _t(gq) @ q
    mirrored = _lower(m) + _t(_lower(m)) + m * like(np.eye(m.shape[-1], dtype=x.dtype), x)
    return _t(solve(r, _t(gq + q @ mirrored)))


def _qr_tangent(tangents, y, x):
    m = x.shape[-2]
    q, r = y[..., :m, :], y[..., m:, :]
    c = _t(solve(_t(r), _t(tangents[0])))
    inner = _t(q) @ c
    turn = _lower(inner) - _t(_lower(inner))
    return np.concatenate([q @ turn + _beside(q, c), (inner - turn) @ r], axis=-2)


# --- pseudo-inverse --------------------------------------------------------------------------------------------------


def _pinv_rule(g, y, x, rcond=None):
    """Golub & Pereyra 1973, for matrices of full rank."""
    g, yt = full_rank(g, x, rcond=rcond), _t(y)
    outside = (_t(g) - x @ (y @ _t(g))) @ (y @ yt)
    inside = (yt @ y) @ (_t(g) - (_t(g) @ y) @ x)
    return outside + inside - yt @ g @ yt


def _pinv_tangent(tangents, y, x, rcond=None):
    t = full_rank(tangents[0], x, rcond=rcond)
    yt, tt = _t(y), _t(t)
    return (y @ yt) @ (tt - tt @ x @ y) + (tt - y @ (x @ tt)) @ (yt @ y) - y @ t @ y


# --- what is perpendicular -------------------------------------------------------------------------------------------


@of_matrices
def _complement(x):
    """An orthonormal basis of what is perpendicular to the columns of x."""
    return np.linalg.qr(x, mode="complete")[0][..., x.shape[-1] :]


def _complement_rule(g, y, x):
    """Of all bases the one that turns least within its space: yᵀx = 0, so that ẏ = −(x⁺)ᵀ ẋᵀ y."""
    return -y @ (_t(determined(g, y)) @ _t(packed_pinv(x)))


def _complement_tangent(tangents, y, x):
    return settled(-_t(packed_pinv(x)) @ (_t(tangents[0]) @ y), y)


def _apart(*shapes):
    """Samples: matrices whose singular values lie apart."""

    def draw(rng):
        parts = [np.linalg.svd(rng.normal(size=shape), full_matrices=False) for shape in shapes]
        return [((u * np.array([2.9, 1.7, 0.8])[: s.shape[-1]] @ v,), {}) for u, s, v in parts]

    return draw


def _spread(rng):
    """Samples: symmetric matrices whose eigenvalues lie apart."""
    v = np.linalg.qr(rng.normal(size=(2, 3, 3)))[0]
    x = v * np.array([1.0, -1.5, 2.6]) @ _t(v)
    return [((x[0],), {}), ((x,), {})]


SIGNS: dict[str, Any] = {"not_live": "it decomposes a matrix, where signs are chance and no algorithm is short"}

# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off
packed_eigh = op(_eigh, "eigh({x})", _eigh_rule, name="_eigh", part_of="eigh", **SIGNS, jvp=_eigh_tangent, samples=_spread, prepare=lambda x: 0.5 * (x + _t(x)),
                 summary="Eigenvalues of a symmetric matrix in the first row, eigenvectors below")
packed_svd  = op(_svd, "svd({x})", _svd_rule, name="_svd", part_of="svd", **SIGNS, jvp=_svd_tangent, samples=_apart((3, 3), (4, 2), (2, 4), (2, 3, 2)),
                 summary="Singular values in the first row, below the left and the right singular vectors, as columns")
packed_qr   = op(_qr, "qr({x})", _qr_rule, name="_qr", part_of="qr", **SIGNS, jvp=_qr_tangent, samples=_apart((3, 3), (4, 2), (2, 3, 2)),
                 summary="Q, and R below, of a matrix of as many columns as rows or fewer")
packed_pinv = op(of_matrices(lambda x, rcond=None: np.linalg.pinv(x, rcond=rcond)), "{x}⁺", _pinv_rule, name="_pinv", part_of="pinv", **SIGNS, precedence=3,
                 jvp=_pinv_tangent, samples=_apart((3, 3), (4, 2), (2, 4), (2, 3, 2)), summary="Pseudo-inverse (Moore-Penrose)")
complement  = op(_complement, "{x}⊥", _complement_rule, name="_complement", part_of="svd", **SIGNS, jvp=_complement_tangent,
                 samples=_apart((3, 2), (2, 4, 3)), precedence=3, summary="Orthonormal columns that are perpendicular to those of x")
# fmt: on


# --- composed of the above -------------------------------------------------------------------------------------------

EighResult = namedtuple("EighResult", ["eigenvalues", "eigenvectors"])
SVDResult = namedtuple("SVDResult", ["U", "S", "Vh"])
QRResult = namedtuple("QRResult", ["Q", "R"])


@implements(np.linalg.eigh)
def eigh(x, UPLO="L"):
    """Eigenvalues in increasing order and eigenvectors, as columns, of a symmetric matrix; the gradient is symmetric.

    Equal eigenvalues have derivatives only together: backward raises LinAlgError where a gradient tells them apart.

    >>> import numpy as np, tinygrad_nn as tn
    >>> x = tn.tensor([[2.0, 1.0], [1.0, 2.0]], requires_grad=True)
    >>> tn.eigh(x).eigenvalues[1].backward(); x.grad
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    y = packed_eigh(x, UPLO=UPLO)
    return EighResult(y[..., 0, :], y[..., 1:, :])


@implements(np.linalg.eigvalsh)
def eigvalsh(x, UPLO="L"):
    """Eigenvalues of a symmetric matrix in increasing order, see `eigh`."""
    return eigh(x, UPLO).eigenvalues


@implements(np.linalg.svd)
def svd(x, full_matrices=True, compute_uv=True, hermitian=False):
    """Singular value decomposition x = U diag(S) Vh, values in decreasing order.

    Equal singular values have derivatives only together, and vectors none where a value is 0: backward raises
    LinAlgError.  The gradient of a singular value at 0 is 0.  The further vectors of a matrix that is not square are
    any basis of the space that is left: backward raises LinAlgError where a gradient depends on which.  With
    `hermitian`, x is symmetric and decomposed by `eigh`, which reads its lower triangle.
    """
    if hermitian:
        return _svd_of_symmetric(x) if compute_uv else _svd_of_symmetric(x).S
    if not compute_uv:
        return svdvals(x)
    x = as_array(x)
    u, s, v = _svd_parts(packed_svd(x), x)
    if full_matrices:
        u, v = _square(u), _square(v)
    return SVDResult(u, s, _t(v))


def _svd_of_symmetric(x):
    """The eigenvalues by size; their signs go to the vectors on the right."""
    w, v = eigh(x)
    order = np.flip(np.argsort(np.abs(w), axis=-1), -1)
    w, v = take_along_axis(w, order, axis=-1), take_along_axis(v, np.expand_dims(order, -2), axis=-1)
    return SVDResult(v, np.abs(w), _t(v * row(np.sign(w))))


def _square(q):
    """Orthonormal columns, and those that are missing."""
    return q if q.shape[-1] == q.shape[-2] else np.concatenate([q, complement(q)], axis=-1)


@implements(np.linalg.svdvals)
def svdvals(x):
    """Singular values in decreasing order, see `svd`."""
    return packed_svd(x)[..., 0, :]


@implements(np.linalg.qr)
def qr(x, mode="reduced"):
    """Q with orthonormal columns and upper triangular R with x = Q R; mode "r" gives R alone.

    With mode "complete", Q has further columns, see `svd`.  ValueError for the mode "raw".
    """
    x = as_array(x)
    check_axes(2, x=x)
    m, n = x.shape[-2:]
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: mode is {mode!r}; expected 'reduced', 'complete' or 'r'")
    y = packed_qr(x[..., : m if m < n else n])
    q, r = y[..., :m, :], y[..., m:, :]
    if n > m:
        r = np.concatenate([r, _t(q) @ x[..., m:]], axis=-1)
    if mode == "complete" and m > n:
        q, r = _square(q), np.concatenate([r, np.zeros((*x.shape[:-2], m - n, n), x.dtype)], axis=-2)
    return r if mode == "r" else QRResult(q, r)


@implements(np.linalg.pinv)
def pinv(x, rcond=None, hermitian=False, *, rtol=np._NoValue):
    """Pseudo-inverse; backward raises LinAlgError where the matrix has not full rank, as it jumps there.

    That is also where singular values below rcond (or rtol) times the largest are left out.  With `hermitian` only the
    lower triangle is read.
    """
    x = as_array(x)
    if rtol is not np._NoValue:
        rcond = np.finfo(x.dtype).eps * max(x.shape[-2:]) if rtol is None else rtol
    return packed_pinv(np.tril(x) + _t(np.tril(x, -1)) if hermitian else x, rcond=rcond)


@implements(np.linalg.lstsq)
def lstsq(a, b, rcond=None):
    """Least squares: x that minimises ‖a x − b‖, the sums of squared residuals, the rank and singular values of a."""
    a, b = as_array(a), as_array(b)
    if a.ndim != 2 or b.ndim not in (1, 2) or len(a) != len(b):
        raise MatrixError(f"a has shape {a.shape}, b has shape {b.shape}; expected a matrix and as many rows in b")
    m, n = a.shape
    values = svdvals(a)
    rcond = np.finfo(a.dtype).eps * (m if m > n else n) if rcond is None else rcond
    s = np.asarray(value_of(values))
    rank = np.intc(np.count_nonzero(s > rcond * np.max(s, initial=0)))  # as NumPy's
    x = matmul(packed_pinv(a, rcond=rcond), b)
    if rank == n < m:
        residuals = sum(np.square(b - matmul(a, x)), axis=0)
        residuals = residuals if b.ndim > 1 else reshape(residuals, (1,))
    else:
        residuals = np.zeros(0, a.dtype)
    return x, residuals, rank, values


@implements(np.linalg.matrix_power)
def matrix_power(x, n):
    """The n-th power of a square matrix by repeated squaring, of its inverse for negative n."""
    x, n = as_array(x), operator.index(n)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise MatrixError(f"x has shape {x.shape}; expected square matrices, of which alone there are powers")
    if n < 0:
        return matrix_power(inv(x), -n)
    y = None
    while n:
        if n & 1:
            y = x if y is None else y @ x
        n >>= 1
        x = x @ x if n else x
    return np.where(np.zeros(x.shape, bool), x, np.eye(x.shape[-1], dtype=x.dtype)) if y is None else y


@implements(np.linalg.multi_dot, method=False)
def multi_dot(arrays):
    """Product of several matrices (the first and last may be vectors), from the end where it is cheaper."""
    arrays = [as_array(a) for a in arrays]
    if len(arrays) < 2 or any(a.ndim != 2 for a in arrays[1:-1]) or {arrays[0].ndim, arrays[-1].ndim} - {1, 2}:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise MatrixError(f"the arrays have shapes {shapes}; expected two or more matrices, or a vector at either end")
    for i, (a, b) in enumerate(itertools.pairwise(arrays)):
        if a.shape[-1] != b.shape[0]:
            raise MatrixError(f"arrays[{i}] has shape {a.shape}, arrays[{i + 1}] has shape {b.shape}: they do not fit")
    if arrays[-1].ndim == 1 or arrays[0].shape[0] > arrays[-1].shape[-1]:
        return functools.reduce(lambda right, left: left @ right, reversed(arrays))
    return functools.reduce(lambda left, right: left @ right, arrays)


@implements(name="solve_triangular")
def solve_triangular(a, b, lower=False):
    """Solution y of a y = b, of the upper triangle of `a` (the lower one with `lower`); gradients stay in the triangle.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.solve_triangular(np.array([[2.0, 1.0], [9.0, 1.0]]), np.array([4.0, 2.0]))
    array([1., 2.])
    """
    return solve(np.tril(a) if lower else np.triu(a), b)


@implements(np.linalg.tensorsolve)
def tensorsolve(a, b, axes=None):
    """x with tensordot(a, x, x.ndim) = b; `axes` of a are moved to its end first."""
    a, b = as_array(a), as_array(b)
    if axes is not None:
        a = moveaxis(a, axes, tuple(range(-len(axes), 0)))
    shape = a.shape[b.ndim :]
    return reshape(solve(reshape(a, (b.size, -1)), reshape(b, (-1,))), shape)


@implements(np.linalg.tensorinv)
def tensorinv(x, ind=2):
    """The inverse for `tensordot` over the first `ind` axes."""
    x = as_array(x)
    shape = x.shape[ind:] + x.shape[:ind]
    return reshape(inv(reshape(x, (math.prod(x.shape[:ind]), -1))), shape)
