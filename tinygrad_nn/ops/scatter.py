"""Adding at places, the largest elements, running extremes, and distances of all pairs."""

from __future__ import annotations

import numpy as np

from tinygrad_nn.errors import ShapeError, label
from tinygrad_nn.foreign import along_axis
from tinygrad_nn.operands import as_array, number_of
from tinygrad_nn.operation import Traced
from tinygrad_nn.ops.axes import axis_of
from tinygrad_nn.ops.elementwise import as_real, share
from tinygrad_nn.ops.reductions import linear_scan, scan_back, shifted, vector_norm
from tinygrad_nn.ops.shaping import getitem, plain_index, putitem
from tinygrad_nn.registry import implements, op

# --- adding at places ------------------------------------------------------------------------------------------------


def _along(shape, axis, places):
    """An index that names, on this axis, `places`, and on each other axis the place itself."""
    grid = np.meshgrid(*map(np.arange, shape), indexing="ij", sparse=True)
    return (*grid[:axis], places, *grid[axis + 1 :])


def _places(name, index, x, axis):
    """The index as whole numbers, which user code cannot change later; IndexError for one that is not on the axis."""
    index = index if isinstance(index, Traced) else np.array(index, dtype=None if np.size(index) else np.intp)
    if index.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: the index has dtype {index.dtype}; expected whole numbers; index.astype(int) converts"
        )
    index, n = plain_index(index), x.shape[axis]
    if not isinstance(index, Traced) and index.size and not (-n <= index.min() and index.max() < n):
        wrong = index[(index < -n) | (index >= n)][0]
        raise IndexError(f"{name}: index {wrong} is not on axis {axis} of {label(x, 'x')}, which has shape {x.shape}")
    return index


@implements()
def index_add(x, index, values, axis=0):
    """A copy of x with `values` added at `index` along an axis; an index that occurs twice receives twice.

    `index` is (n,); `values` has the shape of x, with n in the place of this axis, or broadcasts to it.

    Raises ShapeError for values that do not fit, TypeError for an index that is not of whole numbers.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.index_add(np.zeros(3), [0, 2, 2], np.array([1.0, 2.0, 3.0]))
    array([1., 0., 5.])
    """
    x, values = as_array(x), as_array(values)
    axis = axis_of(axis, x)
    index = _places("index_add", index, x, axis)
    wanted = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    try:
        fits = index.ndim == 1 and np.broadcast_shapes(values.shape, wanted) == wanted
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"index_add: {label(x, 'x')} has shape {x.shape}, index has shape {index.shape}, {label(values, 'values')} "
            f"has shape {values.shape}; expected an index (n,) and values that broadcast to {wanted}"
        )
    at = (slice(None),) * axis + (index,)
    return x + putitem(np.broadcast_to(values, wanted), shape=x.shape, index=at)


@implements()
def scatter_add(x, index, values, axis=0):
    """A copy of x with each of `values` added at its own `index` along an axis: x[index[i, j], j] += values[i, j].

    `index` and `values` have one shape, which is nowhere but along the axis larger than that of x.

    Raises ShapeError for shapes that do not fit, TypeError for an index that is not of whole numbers.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.scatter_add(np.zeros((2, 2)), [[0, 1], [0, 0]], np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[4., 4.],
           [0., 2.]])
    """
    x, values = as_array(x), as_array(values)
    axis = axis_of(axis, x)
    index = _places("scatter_add", index, x, axis)
    others = [(n, m) for i, (n, m) in enumerate(zip(index.shape, x.shape, strict=False)) if i != axis]
    if index.shape != values.shape or index.ndim != x.ndim or any(n > m for n, m in others):
        raise ShapeError(
            f"scatter_add: {label(x, 'x')} has shape {x.shape}, index has shape {index.shape}, "
            f"{label(values, 'values')} has shape {values.shape}; expected index and values of one shape, which is not "
            f"larger than x but along axis {axis}"
        )
    return x + putitem(values, shape=x.shape, index=_along(index.shape, axis, index))


# --- the largest elements ---------------------------------------------------------------------------------------------


@along_axis
def _places_of_largest(x, k=1, axis=-1, largest=True):
    order = np.argsort(np.flip(x, axis) if largest else x, axis=axis, kind="stable")
    if largest:  # the order of the flipped array from its end, so that equal elements keep theirs
        order = x.shape[axis] - 1 - np.flip(order, axis)
    return np.take(order, np.arange(k), axis=axis)


largest_places = op(
    _places_of_largest, "topk({x})", None, name="_topk_places", part_of="topk", arguments=("x",), variants=({"k": 2}, {"k": 1, "axis": 0}),
    defaults={"k": 1, "axis": -1, "largest": True}, summary="Where the k largest elements are (no gradient)",
)  # fmt: skip


@implements()
def topk(x, k, axis=-1, largest=True):
    """The k largest elements along an axis, in order, and where they are: (values, indices); or the smallest.

    Of equal elements the first comes first; NaN is larger than any number, as in PyTorch.  ValueError where there are
    fewer than k.

    >>> import numpy as np, tinygrad_nn as tn
    >>> values, indices = tn.topk(np.array([1.0, 5.0, 3.0]), 2)
    >>> values, indices
    (array([5., 3.]), array([1, 2]))
    """
    x = as_array(x)
    axis = axis_of(axis, x)
    if isinstance(k, Traced):
        raise TypeError(f"k is a tensor of dtype {k.dtype}; expected a Python number, as k.item() of whole numbers is")
    k = number_of(k)
    if not isinstance(k, (int, np.integer)) or not 0 <= k <= x.shape[axis]:
        raise ValueError(f"topk: k={k}; expected 0 to {x.shape[axis]}, the length of axis {axis} of {label(x, 'x')}")
    places = largest_places(x, k=k, axis=axis, largest=largest)
    return getitem(x, _along(places.shape, axis, places)), places


# --- running extremes and sums ----------------------------------------------------------------------------------------


def _before(y, axis):
    """What was reached one place earlier: −∞ before the first."""
    return shifted(y, axis, -np.inf, ahead=True)


def _parts(x, y, axis, greatest):
    """How much of each result comes from its own element: all, half on a tie, or nothing; NaN of NaN."""
    before = _before(y if greatest else -y, axis)
    x = x if greatest else -x
    return np.where(x > before, 1.0, np.where(x == before, 0.5, np.where(x < before, 0.0, np.nan)))


def _running_rule(g, y, x, axis, greatest):
    """A choice between the element and what was reached before it."""
    own = _cast(_parts(x, y, axis, greatest), x)
    return scan_back(g, None, g, 1 - own, axis) * own


def _running_tangent(tangents, y, x, axis, greatest):
    own = _cast(_parts(x, y, axis, greatest), x)
    return linear_scan(own * tangents[0], 1 - own, axis=axis)


def _cummax_rule(g, y, x, axis=0):
    return _running_rule(g, y, x, axis, greatest=True)


def _cummax_tangent(tangents, y, x, axis=0):
    return _running_tangent(tangents, y, x, axis, greatest=True)


def _cummin_rule(g, y, x, axis=0):
    return _running_rule(g, y, x, axis, greatest=False)


def _cummin_tangent(tangents, y, x, axis=0):
    return _running_tangent(tangents, y, x, axis, greatest=False)


def _cast(weights, x):
    return weights.astype(x.dtype)


def _own_share(x, y, axis):
    """∂yᵢ/∂xᵢ of yᵢ = log(exp(xᵢ) + exp(yᵢ₋₁)), and ∂yᵢ/∂yᵢ₋₁."""
    before = _before(y, axis)
    return share(x, before), share(before, x)


def _logcumsumexp_rule(g, y, x, axis=0):
    own, carried = _own_share(x, y, axis)
    return scan_back(g, None, g, carried, axis) * own


def _logcumsumexp_tangent(tangents, y, x, axis=0):
    own, carried = _own_share(x, y, axis)
    return linear_scan(own * tangents[0], carried, axis=axis)


def _running(x, axis=0):
    x = as_array(x)
    return (x,), {"axis": axis_of(axis, x)}


@along_axis
def _logcumsumexp(x, axis=0):
    with np.errstate(all="ignore"):
        return np.logaddexp.accumulate(as_real(x), axis=axis)


RUNNING = ({"axis": 1}, {"axis": 0})
# fmt: off
cummax = op(along_axis(lambda x, axis=0: np.maximum.accumulate(x, axis=axis)), "cummax({x})", _cummax_rule, name="cummax", jvp=_cummax_tangent, selects=True,
            bind=_running, shape=(3, 4), variants=RUNNING, example="tn.cummax(np.array([1.0, 3.0, 2.0]))",
            summary="Running maximum along an axis", edge_cases="a tie halves the gradient.")
cummin = op(along_axis(lambda x, axis=0: np.minimum.accumulate(x, axis=axis)), "cummin({x})", _cummin_rule, name="cummin", jvp=_cummin_tangent, selects=True,
            bind=_running, shape=(3, 4), variants=RUNNING, example="tn.cummin(np.array([3.0, 1.0, 2.0]))",
            summary="Running minimum along an axis", edge_cases="a tie halves the gradient.")
logcumsumexp = op(_logcumsumexp, "logcumsumexp({x})", _logcumsumexp_rule, name="logcumsumexp", jvp=_logcumsumexp_tangent, shape=(3, 4), variants=RUNNING,
                  bind=_running, example="tn.logcumsumexp(np.array([0.0, 0.0, 1.0]))",
                  summary="Logarithm of the running sum of exp(x) along an axis, stable")
# fmt: on


# --- distances --------------------------------------------------------------------------------------------------------


@implements()
def cdist(a, b, ord=2):
    """The distance of every row of a from every row of b, in the norm of this order: (..., n, d), (..., m, d) → (..., n, m).

    Rows, as in SciPy and PyTorch: of columns it is `cdist(a.T, b.T)`.  The gradient of a zero distance is 0.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.cdist(np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 4.0]]))
    array([[4.],
           [5.]])
    """
    a, b = as_real(a), as_real(b)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ShapeError(
            f"cdist: {label(a, 'a')} has shape {a.shape}, {label(b, 'b')} has shape {b.shape}; expected rows of one "
            "length: (..., n, d) and (..., m, d)"
        )
    return vector_norm(np.expand_dims(a, -2) - np.expand_dims(b, -3), ord=ord, axis=-1)
