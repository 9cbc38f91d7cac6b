"""Matrix products in ONNX; what decomposes matrices has no counterpart there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_nn.errors import ExportError
from tinygrad_nn.onnx.batch_size import Dim
from tinygrad_nn.onnx.building import INT64, Builder, Expr, work
from tinygrad_nn.onnx.lowering.shaping import cut
from tinygrad_nn.onnx.recording import Step
from tinygrad_nn.ops import decompositions as de
from tinygrad_nn.ops import degenerate as dg
from tinygrad_nn.ops import linalg as la

__all__ = ["LOWER", "REFUSED"]


def _matmul(b: Builder, s: Step, x: Any, y: Any) -> Expr:
    kind = work(s.dtype)
    return b.operand(x, kind).apply("MatMul", b.operand(y, kind)).cast(s.dtype)


def _affine(b: Builder, s: Step, W: Any, A: Any, bias: Any) -> Expr:
    kind = work(s.dtype)
    return (b.operand(W, kind).apply("MatMul", b.operand(A, kind)) + b.operand(bias, kind)).cast(s.dtype)


def _einsum(b: Builder, s: Step, *operands: Any) -> Expr:
    """As it is written, but for axes of length 1 that another operand stretches."""
    subscripts, kind = s.params["subscripts"], work(s.dtype)
    terms = subscripts.partition("->")[0].split(",")
    lengths: dict[str, Any] = {}
    for term, x in zip(terms, operands, strict=True):
        for letter, n in zip(term, x.shape, strict=True):
            if lengths.get(letter, 1) == 1:
                lengths[letter] = n
            elif n not in (1, lengths[letter]) and isinstance(n, Dim) != isinstance(lengths[letter], Dim):
                raise ExportError(f"einsum: the axis {letter!r} is {n} long in one operand and follows N in another")
    arrays = []
    for term, x in zip(terms, operands, strict=True):
        wanted = tuple(lengths[letter] for letter in term)
        y = b.operand(x, kind)
        arrays.append(y if wanted == tuple(x.shape) else b.expand(y, wanted))
    return b("Einsum", *arrays, equation=subscripts, dtype=kind).cast(s.dtype)


LARGEST = 16  # rows of a matrix whose elimination is written out


def _det(b: Builder, s: Step, x: Any) -> Expr:
    """One node; in double precision, which ONNX Runtime has not, by elimination."""
    kind = work(s.dtype)
    rows = x.shape[-1]
    y = b.operand(x, kind)
    if kind != np.float64 or isinstance(rows, Dim) or not 0 < rows <= LARGEST:
        return y.apply("Det").cast(s.dtype)
    return _eliminated(b, y, rows).cast(s.dtype)


def _eliminated(b: Builder, y: Expr, rows: int) -> Expr:
    """The product of the pivots, each the largest of its column, with the sign of the exchanges."""
    row_axis = b.constant(np.array([-2], np.int64))
    product: Any = None
    for m in range(rows, 0, -1):
        column = cut(b, y, -1, 0, 1).apply("Abs")
        place = b("ArgMax", column, axis=-2, keepdims=1, dtype=INT64)
        numbers = b.constant(np.arange(m)[:, None])
        row = b("ReduceSum", numbers.equals(place).then(y, 0.0), row_axis, keepdims=1)
        pivot = cut(b, row, -1, 0, 1)
        factor = place.equals(0).then(pivot, -pivot)
        product = factor if product is None else product * factor
        if m > 1:  # the first row takes the place of the pivot's
            below = b.constant(np.arange(1, m)[:, None]).equals(place)
            rest = below.then(cut(b, y, -2, 0, 1), cut(b, y, -2, 1, None))
            share = cut(b, rest, -1, 0, 1) / pivot.equals(0.0).then(1.0, pivot)
            y = cut(b, rest, -1, 1, None) - share * cut(b, row, -1, 1, None)
    return product.apply("Squeeze", b.constant(np.array([-2, -1], np.int64)))


LOWER: dict[Any, Callable] = {la.matmul: _matmul, la.affine: _affine, la.einsum: _einsum, la.det: _det}

_NONE = "ONNX has no operation that solves, inverts or decomposes matrices; export what comes before and after it"
_CHECK = "it looks at the numbers of a decomposition to refuse some"
REFUSED: dict[Any, str] = {
    **dict.fromkeys((la.inv, la.solve, la.cholesky, la.cofactor, la.cofactor_slope, la.logabsdet, la.signdet,
                     de.packed_eigh, de.packed_svd, de.packed_qr, de.packed_pinv, de.complement), _NONE),
    **dict.fromkeys((dg.distinct, dg.not_zero, dg.full_rank, dg.determined, dg.settled, dg.close), _CHECK),
}  # fmt: skip
