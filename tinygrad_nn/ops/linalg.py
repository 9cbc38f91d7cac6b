"""Matrix products, solves, inverses and determinants."""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

import numpy as np

from tinygrad_nn.foreign import like, of_matrices
from tinygrad_nn.operands import as_array
from tinygrad_nn.operation import VariadicRule
from tinygrad_nn.ops.axes import axes_of
from tinygrad_nn.ops.precision import converted
from tinygrad_nn.ops.shaping import putitem
from tinygrad_nn.registry import implements, op

# --- matmul: every pair of ranks -------------------------------------------------------------------------------------


def _transposed(x):
    return x.T if x.ndim == 2 else np.swapaxes(x, -1, -2)


def _product(a, b):
    """a b.  Of two matrices, `dot` has BLAS compute the very same, and takes half as long to get there."""
    return a.dot(b) if type(a) is type(b) is np.ndarray and a.ndim == b.ndim == 2 else np.matmul(a, b)


def _matmul_a(g, y, a, b):
    if a.ndim == b.ndim == 2:
        return g.dot(b.T) if type(g) is type(b) is np.ndarray else g @ b.T
    if b.ndim == 1:  # y = a b, with a column b: every row of a meets it
        return np.expand_dims(g, -1) * b
    if a.ndim == 1:  # y = aᵀ b
        return np.squeeze(b @ np.expand_dims(g, -1), -1)
    return g @ _transposed(b)


def _matmul_b(g, y, a, b):
    if a.ndim == b.ndim == 2:
        return a.T.dot(g) if type(g) is type(a) is np.ndarray else a.T @ g
    if a.ndim == 1:
        return np.expand_dims(g, -1) * a if b.ndim == 1 else np.expand_dims(a, -1) * np.expand_dims(g, -2)
    if b.ndim == 1:
        return np.squeeze(_transposed(a) @ np.expand_dims(g, -1), -1)
    return _transposed(a) @ g


def _affine(W, A, b):
    """The product, and the bias added to every column in place: one array instead of two."""
    if not type(W) is type(A) is type(b) is np.ndarray:
        W, A, b = as_array(W), as_array(A), as_array(b)
    Z = _product(W, A)
    if type(Z) is np.ndarray and b.dtype == Z.dtype and b.ndim <= Z.ndim:
        return np.add(Z, b, out=Z)
    return Z + b


def _affine_tangent(t, Z, W, A, b):
    parts = [] if t[0] is None else [t[0] @ A]
    parts += [] if t[1] is None else [W @ t[1]]
    parts += [] if t[2] is None else [np.broadcast_to(t[2], Z.shape)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _affine_samples(rng):
    cases = [((2, 3), (3, 4), (2, 1)), ((2, 3), (5, 3, 4), (2, 1)), ((2, 3), (3,), (2,))]
    return [(tuple(rng.normal(size=s) for s in shapes), {}) for shapes in cases]


# --- einsum ----------------------------------------------------------------------------------------------------------


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _bind_einsum(subscripts, *operands, optimize=None, order="K", dtype=None, casting="safe"):
    """Every index written out: the ellipsis as letters not used otherwise, and the output."""
    if not isinstance(subscripts, str):
        subscripts, operands = _subscripts_in_letters(subscripts, *operands)
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum: {inputs!r} names {len(terms)} operands, {len(operands)} are given")
    free = [c for c in _LETTERS[::-1] if c not in subscripts]
    extra = max((np.ndim(x) - len(t) + 3 for t, x in zip(terms, operands, strict=True) if "..." in t), default=0)
    dots = "".join(free[:extra][::-1])
    for i, (term, x) in enumerate(zip(terms, operands, strict=True)):
        n = np.ndim(x) - len(term) + 3
        terms[i] = term.replace("...", dots[len(dots) - n :] if n > 0 else "")
    if arrow:
        output = output.replace("...", dots)
    else:
        letters = "".join(terms)
        output = dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))
    if dtype is not None:
        operands = converted(operands, dtype, casting)
    return operands, {"subscripts": ",".join(terms) + "->" + output}


def _subscripts_in_letters(*given):
    """NumPy's other form, `a, [0, 1], b, [1, 2], [0, 2]`, as letters and operands."""
    operands, lists, output = given[: len(given) // 2 * 2 : 2], given[1::2], given[-1] if len(given) % 2 else None
    if not all(isinstance(s, (list, tuple)) for s in (*lists, *([] if output is None else [output]))):
        raise TypeError(
            "einsum takes its subscripts as a string first, as in einsum('ij,jk->ik', a, b), or as lists of numbers, "
            "one behind each operand"
        )

    def spelled(subscript):
        return "".join("..." if i is Ellipsis else _LETTERS[i] for i in subscript)

    inputs = ",".join(map(spelled, lists))
    return inputs if output is None else f"{inputs}->{spelled(output)}", operands


def _einsum(*operands, subscripts):
    y = np.einsum(subscripts, *operands, optimize=len(operands) > 2)
    view = len(operands) == 1 and getattr(y, "base", None) is not None  # a transpose or a diagonal
    return y.copy() if view else y


def _lowered_einsum(*operands, subscripts):
    """Every operand with an axis for each letter, multiplied, and summed over the letters that the output lacks."""
    inputs, output = subscripts.split("->")
    letters = output + "".join(c for c in dict.fromkeys(inputs.replace(",", "")) if c not in output)
    product: Any = None
    for term, x in zip(inputs.split(","), operands, strict=True):
        mine = sorted(set(term), key=letters.index)
        places = {c: np.arange(x.shape[term.index(c)]).reshape([-1 if c == d else 1 for d in mine]) for c in mine}
        if len(mine) < len(term):
            x = x[tuple(places[c] for c in term)]  # a diagonal
        elif mine:
            x = np.transpose(x, tuple(term.index(c) for c in mine))
        x = np.reshape(x, tuple(places[c].size if c in mine else 1 for c in letters))
        product = x if product is None else product * x
    return np.sum(product, axis=tuple(range(len(output), len(letters))))


def _einsum_rules(g, y, *operands, slots, subscripts=""):
    for slot in slots:
        yield _einsum_rule(g, slot, operands, subscripts)


def _einsum_rule(g, slot, operands, subscripts):
    """The same sum with g in the place of the operand; what the operand summed alone is spread, a diagonal is put back."""
    inputs, output = subscripts.split("->")
    terms, x = inputs.split(","), operands[slot]
    mine = "".join(dict.fromkeys(terms[slot]))
    others = [output] + terms[:slot] + terms[slot + 1 :]
    arrays = [g, *operands[:slot], *operands[slot + 1 :]]
    size = dict(zip(terms[slot], x.shape, strict=True))
    for letter in mine:
        if not any(letter in term for term in others):
            others.append(letter)
            arrays.append(like(np.ones(size[letter], dtype=x.dtype), x))
    # An index of length 1 here may have been stretched by another operand: it comes out long, and is un-broadcast later.
    result = np.einsum(",".join(others) + "->" + mine, *arrays)
    if len(mine) == len(terms[slot]):
        return result
    place = {c: np.arange(size[c]).reshape([-1 if c == d else 1 for d in mine]) for c in mine}
    return putitem(result, x.shape, tuple(place[c] for c in terms[slot]))


# --- inverses and determinants ---------------------------------------------------------------------------------------


def _solve_b(g, y, a, b):
    if b.ndim == 1:
        return np.squeeze(solve(_transposed(a), np.expand_dims(g, -1)), -1)
    return solve(_transposed(a), g)


def _solve_a(g, y, a, b):
    back = _solve_b(g, y, a, b)
    if b.ndim == 1:
        return -np.expand_dims(back, -1) * np.expand_dims(y, -2)
    return -back @ _transposed(y)


def _solve_tangent(t, y, a, b):
    """a y = b, so a ẏ = ḃ − ȧ y."""
    change = t[1]
    if t[0] is not None:
        moved = t[0] @ y if b.ndim > 1 else np.squeeze(t[0] @ np.expand_dims(y, -1), -1)
        change = -moved if change is None else change - moved
    if b.ndim > 1 or change.ndim == 1:
        return solve(a, change)
    return np.squeeze(solve(a, np.expand_dims(change, -1)), -1)


def _products_of_others(s, *left_out):
    """∏ sₖ over all k but those left out."""
    n = s.shape[-1]
    keep = np.ones((n,) * (len(left_out) + 1), bool)
    for axis in range(len(left_out)):
        keep &= np.arange(n).reshape((-1,) + (1,) * (len(left_out) - axis)) != np.arange(n)
    return np.prod(np.where(like(keep, s), np.reshape(s, s.shape[:-1] + (1,) * len(left_out) + (n,)), 1), -1)


@of_matrices
def _cofactor(x):
    """The gradient of the determinant, through the singular values: exact for singular matrices too."""
    u, s, v = np.linalg.svd(x)
    sign = (np.linalg.det(u) * np.linalg.det(v))[..., None, None]
    return sign.astype(s.dtype) * (u * _products_of_others(s, 0)[..., None, :]) @ v


@of_matrices
def _cofactor_slope(g, x):
    """The second derivative of the determinant in the direction g, likewise."""
    u, s, v = np.linalg.svd(x)
    sign = (np.linalg.det(u) * np.linalg.det(v))[..., None, None]
    inner = np.swapaxes(u, -1, -2) @ g @ np.swapaxes(v, -1, -2)
    others = _products_of_others(s, 0, 1)
    eye = like(np.eye(s.shape[-1], dtype=bool), s)
    trace = np.where(eye, 0, others) @ np.diagonal(inner, axis1=-2, axis2=-1)[..., None]
    turned = np.where(eye, trace, -np.swapaxes(inner, -1, -2) * others)
    return sign.astype(s.dtype) * u @ turned @ v


def _cofactor_bend(g, h, x):
    """The third derivative of the determinant in the directions g and h.

    The second one is a polynomial along h, of degree n − 2, whose slope central differences give exactly: so it is
    right for singular matrices too, and at every order.
    """
    m = max((x.shape[-1] - 1) // 2, 0)
    total = 0 * (g + h)
    for k in range(1, m + 1):
        weight = (-1) ** (k + 1) * math.factorial(m) ** 2 / (k * math.factorial(m - k) * math.factorial(m + k))
        total = total + weight * (_slope(g, x + k * h) - _slope(g, x - k * h))
    return total


def _slope_tangent(t, y, g, x):
    parts = [] if t[0] is None else [_slope(t[0], x)]
    parts += [] if t[1] is None else [_cofactor_bend(g, t[1], x)]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _half_lower(x):
    """The lower triangle with half the diagonal."""
    return np.tril(x) * like((1 - 0.5 * np.eye(x.shape[-1])).astype(x.dtype), x)


def _cholesky_rule(g, y, x):
    """Murray 2016, eq. 10: symmetric, as the matrix is."""
    back = inv(y)
    inner = _transposed(back) @ _half_lower(_transposed(y) @ np.tril(g)) @ back
    return 0.5 * (inner + _transposed(inner))


def _cholesky_tangent(t, y, x):
    back = inv(y)
    return y @ _half_lower(back @ (0.5 * (t[0] + _transposed(t[0]))) @ _transposed(back))


def _cholesky_more(x, upper=False):
    """The upper triangular U with x = Uᵀ U, read off the upper triangle."""
    return _transposed(cholesky(_transposed(as_array(x)))) if upper else cholesky(x)


def _with_directions(rng):
    """Samples: a direction, and a matrix with singular values that lie apart, which the decomposition computes well."""
    shapes = (3, 3), (2, 3, 3)
    return [((rng.normal(size=(3, 3)), np.linalg.qr(rng.normal(size=s))[0] * [1.0, 1.5, 2.2]), {}) for s in shapes]


def _matrices(*shapes):
    """Samples: well-conditioned square matrices, with right-hand sides of the further shapes."""

    def draw(rng):
        squares = [rng.normal(size=s) + 3 * np.eye(3) for s in ((3, 3), (2, 3, 3))]
        sides = [[rng.normal(size=s)] for s in shapes] or [[]]
        return [((m, *side), {}) for m in squares for side in sides]

    return draw


def _matmul_samples(rng):
    pairs = [(3, 3), ((2, 3), 3), (3, (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
             ((5, 2, 3), (5, 3, 1)), ((4, 1, 2, 3), (5, 3, 2)), (3, (5, 3, 2)), ((5, 2, 3), 3)]  # fmt: skip
    return [((rng.normal(size=a), rng.normal(size=b)), {}) for a, b in pairs]


def _einsum_samples(rng):
    cases = [("ij,jk->ik", (2, 3), (3, 4)), ("ij->ji", (2, 3)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("ij->j", (2, 3)),
             ("ij,kl->il", (2, 3), (2, 4)), ("...ij,...jk", (5, 2, 3), (3, 2)), ("ij,jk,kl", (2, 3), (3, 2), (2, 2)),
             ("iij,j->i", (2, 2, 3), (3,)), ("i,i", (3,), (3,)), ("i,->i", (3,), ()), ("b...,b...->...", (2, 3), (2, 1))]  # fmt: skip
    return [_bind_einsum(text, *(rng.normal(size=s) for s in shapes)) for text, *shapes in cases]


# --- the table -------------------------------------------------------------------------------------------------------
# fmt: off
matmul   = op(_product, "{a} {b}", _matmul_a, _matmul_b, name="matmul", stands_for=(np.matmul, np.linalg.matmul), kind="multilinear",
              entries="factors", matrix_product=True, precedence=2, associative=True, samples=_matmul_samples,
              summary="Matrix product, of every pair of ranks", example="tn.matmul(np.eye(2), np.array([1.0, 2.0]))")
affine   = op(_affine, "{W} {A} + {b}", lambda g, Z, W, A, b: _matmul_a(g, Z, W, A), lambda g, Z, W, A, b: _matmul_b(g, Z, W, A), lambda g, Z, W, A, b: g,
              name="affine", entries="factors", matrix_product=True, precedence=1, jvp=_affine_tangent, samples=_affine_samples,
              summary="Pre-activation of a layer of neurons: Z = W A + b 1ᵀ, examples as columns",
              example="tn.affine(np.eye(2), np.ones((2, 3)), np.array([[1.0], [2.0]]))")
einsum   = op(_einsum, "einsum({operands})", VariadicRule(_einsum_rules), name="einsum", kind="multilinear", method=False, bind=_bind_einsum,
              samples=_einsum_samples, stands_for=(np.einsum,), lowered=_lowered_einsum,
              summary="Sum of products by Einstein's notation", example="tn.einsum('i,i', np.array([1.0, 2.0]), np.array([3.0, 4.0]))")
inv      = op(of_matrices(np.linalg.inv), "{x}⁻¹", lambda g, y, x: -_transposed(y) @ g @ _transposed(y), precedence=3, samples=_matrices(),
              jvp=lambda tangents, y, x: -y @ tangents[0] @ y, stands_for=(np.linalg.inv,), summary="Inverse matrix", example="tn.inv(np.diag([1.0, 2.0]))")
solve    = op(of_matrices(np.linalg.solve), "{a}⁻¹ {b}", _solve_a, _solve_b, precedence=2, associative=True, jvp=_solve_tangent,
              samples=_matrices((3,), (3, 2)), stands_for=(np.linalg.solve,), summary="Solution y of a y = b",
              example="tn.solve(np.diag([1.0, 2.0]), np.array([1.0, 4.0]))")
det      = op(of_matrices(np.linalg.det), "det({x})", lambda g, y, x: np.expand_dims(g, (-1, -2)) * cofactor(x),
              jvp=lambda tangents, y, x: np.sum(cofactor(x) * tangents[0], axis=(-1, -2)), samples=_matrices(),
              stands_for=(np.linalg.det,), summary="Determinant", edge_cases="exact for singular matrices.", example="tn.det(np.diag([1.0, 2.0]))")
cofactor = op(_cofactor, "cof({x})", lambda g, y, x: _slope(g, x), name="_cofactor",
              jvp=lambda tangents, y, x: _slope(tangents[0], x), samples=_matrices(), part_of="det", summary="Cofactors: the gradient of the determinant")
_slope   = op(_cofactor_slope, "cof′({x})[{h}]", lambda g, y, h, x: _slope(g, x), lambda g, y, h, x: _cofactor_bend(g, h, x), name="_cofactor_slope",
              jvp=_slope_tangent, samples=_with_directions, part_of="det", summary="Second derivative of the determinant")
_logabsdet = op(of_matrices(lambda x: np.linalg.slogdet(x)[1]), "log|det {x}|", lambda g, y, x: np.expand_dims(g, (-1, -2)) * _transposed(inv(x)),
                name="_logabsdet", jvp=lambda tangents, y, x: np.trace(inv(x) @ tangents[0], axis1=-2, axis2=-1), samples=_matrices(),
                part_of="slogdet", summary="Logarithm of |det x|")
_signdet   = op(of_matrices(lambda x: np.linalg.slogdet(x)[0]), "sign det {x}", None, name="_signdet", samples=_matrices(),
                part_of="slogdet", summary="Sign of det x (no gradient)")
cholesky = op(of_matrices(np.linalg.cholesky), "chol({x})", _cholesky_rule, jvp=_cholesky_tangent, further=_cholesky_more, samples=_matrices(),
              prepare=lambda x: x @ np.swapaxes(x, -1, -2), stands_for=(np.linalg.cholesky,),
              summary="Lower triangular L with x = L Lᵀ, for symmetric positive x", edge_cases="the gradient is symmetric.",
              example="tn.cholesky(np.diag([1.0, 4.0]))")
# fmt: on

cofactor_slope, logabsdet, signdet = _slope, _logabsdet, _signdet  # for other modules


# --- composed of the above -------------------------------------------------------------------------------------------

SlogdetResult = namedtuple("SlogdetResult", ["sign", "logabsdet"])


@implements(np.linalg.slogdet)
def slogdet(x):
    """Sign and logarithm of |det x|: (sign, logabsdet), where log|det x| has the gradient x⁻ᵀ."""
    return SlogdetResult(_signdet(x), _logabsdet(x))


@implements(np.outer)
def outer(a, b):
    """All products aᵢ bⱼ of two vectors, a matrix."""
    return np.reshape(as_array(a), (-1, 1)) * np.reshape(as_array(b), (1, -1))


@implements(np.tensordot)
def tensordot(a, b, axes=2):
    """Sum of products over pairs of axes: the last and first `axes` of a and b, or two lists of axes."""
    a, b = as_array(a), as_array(b)
    if np.iterable(axes):
        over_a, over_b = (tuple(np.atleast_1d(i).tolist()) for i in axes)
    else:
        over_a, over_b = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    over_a, over_b = axes_of(over_a, a), axes_of(over_b, b)
    summed, summed_b = [a.shape[i] for i in over_a], [b.shape[i] for i in over_b]
    if summed != summed_b:
        raise ValueError(f"tensordot: the axes {over_a} of {a.shape} do not match the axes {over_b} of {b.shape}")
    free_a = tuple(i for i in range(a.ndim) if i not in over_a)
    free_b = tuple(i for i in range(b.ndim) if i not in over_b)
    shape = tuple(a.shape[i] for i in free_a) + tuple(b.shape[i] for i in free_b)
    rows = int(np.prod([a.shape[i] for i in free_a]))
    columns = int(np.prod([b.shape[i] for i in free_b]))
    n = int(np.prod(summed))
    left = np.reshape(np.transpose(a, free_a + over_a), (rows, n))
    right = np.reshape(np.transpose(b, over_b + free_b), (n, columns))
    return np.reshape(left @ right, shape)


@implements(np.dot)
def dot(a, b):
    """As `numpy.dot`: product of numbers, of vectors, of matrices; the last axis of a against the last but one of b."""
    a, b = as_array(a), as_array(b)
    if a.ndim == 0 or b.ndim == 0:
        return np.multiply(a, b)
    if b.ndim <= 2:
        return np.matmul(a, b)
    return tensordot(a, b, axes=(-1, -2))


@implements(np.inner)
def inner(a, b):
    """Sum of products over the last axes."""
    a, b = as_array(a), as_array(b)
    if a.ndim == 0 or b.ndim == 0:
        return np.multiply(a, b)
    return tensordot(a, b, axes=(-1, -1))


@implements(np.kron)
def kron(a, b):
    """Kronecker product: every element of a times the whole of b."""
    a, b = as_array(a), as_array(b)
    n = max(a.ndim, b.ndim)
    shape_a, shape_b = (1,) * (n - a.ndim) + a.shape, (1,) * (n - b.ndim) + b.shape
    spaced_a = np.reshape(a, tuple(m for k in shape_a for m in (k, 1)))
    spaced_b = np.reshape(b, tuple(m for k in shape_b for m in (1, k)))
    return np.reshape(spaced_a * spaced_b, tuple(i * j for i, j in zip(shape_a, shape_b, strict=True)))
