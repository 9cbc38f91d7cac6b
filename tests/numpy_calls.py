"""Calls of the functions that are composed of operations, for the checks in test_ops.py: arguments and keywords."""

import numpy as np

RNG = np.random.default_rng(5)
A, B, S, V, W, C = (RNG.normal(size=s) for s in [(2, 3), (2, 3), (3, 3), 3, 3, (2, 3, 4)])
P, LONG = RNG.uniform(0.3, 2.0, size=(2, 3)), RNG.normal(size=7)
SPD = S @ S.T + np.eye(3)
N = np.array([[1.0, np.nan, 3.0, 0.5], [np.nan, 2.0, -1.0, 4.0]])
ANGLES = np.array([0.1, 3.0, 6.1, 9.4, 6.5, 0.2, -3.5])
MASK = A > 0


def with_singular_values(rows, columns, *values):
    """A matrix whose singular values are these: far apart, so that finite differences are precise."""
    u, _, v = np.linalg.svd(RNG.normal(size=(rows, columns)), full_matrices=False)
    return u * np.array(values) @ v


D, WIDE_ONE = with_singular_values(3, 3, 3.0, 1.6, 0.8), with_singular_values(2, 3, 2.0, 0.9)
SEVERAL = np.stack([with_singular_values(3, 2, 2.5, 1.2), with_singular_values(3, 2, 1.5, 0.7)])
KNOTS = np.array([-1.0, 0.0, 1.5])


def twice(x, factor=2.0):
    return x * factor


NUMPY_CALLS = {
    # rounding and the like
    "divmod": [((P * 0 + np.array([2.3, 3.6, 1.4]), np.array([1.0, 1.7, 0.5])), {})],
    "modf": [((A,), {}), ((np.array(-1.25),), {})],
    "logaddexp2": [((A, V), {}), ((A, 1.5), {})],
    "unwrap": [((ANGLES,), {}), ((np.stack([ANGLES, ANGLES[::-1]]),), {"axis": 1}), ((ANGLES,), {"period": 5.0}),
               ((ANGLES, 4.0), {})],
    # in order
    "sort": [((A,), {}), ((A, 0), {}), ((A,), {"axis": None}), ((A,), {"kind": "stable"}), ((C, 1), {})],
    "partition": [((np.array([3.0, 1.0, 2.0]), 2), {}), ((np.array([3.0, 1.0]), [0, 1]), {})],
    "quantile": [((A, 0.3), {}), ((A, 0.5), {"axis": 1}), ((C, 0.9), {"axis": (0, 2), "keepdims": True}),
                 ((V, 1.0), {}), ((A, 0.25), {"axis": 0})]
    + [((LONG, 0.37), {"method": m}) for m in ("lower", "higher", "nearest", "midpoint", "hazen", "weibull",
                                               "inverted_cdf", "averaged_inverted_cdf", "median_unbiased")],
    "percentile": [((A, 30.0), {}), ((A, 60.0), {"axis": 1, "method": "lower"})],
    "median": [((V,), {}), ((A,), {}), ((A,), {"axis": 1}), ((C,), {"axis": (0, 1), "keepdims": True})],
    "extract": [((MASK, A), {})],
    "compress": [(([True, False, True], A), {"axis": 1}), (([False, True], A), {}), (([0, 1], A, 0), {})],
    "select": [(([MASK, A > -1], [A, B]), {}), (([MASK, ~MASK], [A, B], 5.0), {}), (([MASK], [A]), {"default": 2.5})],
    "choose": [((np.array([0, 1, 1]), [V, W]), {}), ((np.array([[2], [0]]), [V, W, V]), {}),
               ((np.array([0, 5, -1]), [V, W]), {"mode": "clip"}), ((np.array([0, 5, -1]), [V, W]), {"mode": "wrap"})],
    "piecewise": [((A, [MASK, ~MASK], [np.exp, np.sin]), {}), ((A, [MASK], [twice, 0.5]), {}),
                  ((A, [MASK, ~MASK], [twice, twice], 3.0), {})],
    # joined, taken apart, turned
    "flatten": [((A,), {})],
    "atleast_1d": [((A,), {}), ((np.array(2.0),), {}), ((V, np.array(1.0)), {})],
    "atleast_2d": [((V,), {}), ((np.array(2.0),), {}), ((C, V), {})],
    "atleast_3d": [((V,), {}), ((A,), {}), ((C,), {}), ((np.array(2.0),), {})],
    "matrix_transpose": [((A,), {}), ((C,), {})],
    "rollaxis": [((C, 2), {}), ((C, 0, 3), {}), ((C, 1), {"start": 0}), ((C, -1, -2), {})],
    "append": [((A, B), {}), ((A, V), {}), ((A, B), {"axis": 1}), ((A, np.array(1.0)), {})],
    "column_stack": [(([V, W],), {}), (([A, B],), {}), (([S, V],), {})],
    "dstack": [(([V, W],), {}), (([A, B],), {}), (([C, C],), {})],
    "block": [(([A, B],), {}), (([V, W, V],), {})],
    "insert": [((V, 1, 5.0), {}), ((A, 1, V), {"axis": 0}), ((A, [0, 2], W[:2]), {}), ((A, [0, 2], 1.0), {"axis": 1}),
               ((A, 3, np.array([1.0, 2.0])), {"axis": 1})],
    "delete": [((V, 1), {}), ((A, 0), {"axis": 1}), ((A, [0, 4]), {}), ((A, slice(0, 2)), {"axis": 1})],
    "resize": [((A, (3, 4)), {}), ((V, 2), {}), ((V, (2, 2)), {})],
    "broadcast_arrays": [((A, V), {}), ((V, np.array(2.0)), {})],
    "meshgrid": [((V, W[:2]), {}), ((V, W[:2]), {"indexing": "ij"}), ((V, W[:2]), {"sparse": True}),
                 ((V, W, V[:1]), {})],
    "linspace": [((np.array(1.0), np.array(2.0)), {"num": 4}), ((V, W), {"num": 3}), ((A, V, 5), {"axis": -1}),
                 ((V, np.array(2.0)), {"num": 4, "endpoint": False}), ((V, W), {"num": 3, "retstep": True}),
                 ((V, W, 1), {})],
    "logspace": [((V, W, 3), {}), ((np.array(0.0), np.array(2.0)), {"num": 4, "base": 2.0, "endpoint": False})],
    "geomspace": [((P, 2 * P + 1, 4), {}), ((-P[0], -P[1], 3), {"axis": -1}), ((P[0], P[1], 3), {"endpoint": False})],
    "diagflat": [((A,), {}), ((V, 1), {}), ((V,), {"k": -1})],
    "hsplit": [((A, 3), {}), ((V, [1]), {})],
    "vsplit": [((A, 2), {}), ((C, [1]), {})],
    "dsplit": [((C, 2), {})],
    "unstack": [((A,), {}), ((C,), {"axis": -1})],
    "flipud": [((A,), {})],
    "fliplr": [((A,), {})],
    "rot90": [((A,), {}), ((A, 2), {}), ((C, -1), {"axes": (1, 2)})],
    "sliding_window_view": [((LONG, 3), {}), ((S, (2, 2)), {}), ((S, 2), {"axis": 1})],
    # statistics
    "average": [((A,), {}), ((A,), {"axis": 0}), ((A, 1, P[0]), {}), ((A, None, P), {}),
                ((A, 0, P), {"keepdims": True}), ((C, (0, 2), np.ones((2, 4)) + C[:, 0] ** 2), {}),
                ((A, 0, P[:, 0], True), {})],
    "ptp": [((A,), {}), ((A, 1), {}), ((A,), {"axis": 0, "keepdims": True})],
    "cov": [((C[0],), {}), ((V,), {}), ((V, W), {}), ((C[0].T,), {"rowvar": False}), ((C[0],), {"bias": True}),
            ((C[0],), {"ddof": 0, "aweights": np.array([1.0, 2.0, 0.5, 1.0])}),
            ((C[0],), {"fweights": np.array([1, 2, 1, 3])}),
            ((C[0],), {"aweights": np.array([1.0, 2.0, 0.5, 1.0]), "fweights": np.array([1, 2, 1, 3])})],
    "corrcoef": [((C[0],), {}), ((V, W), {}), ((C[0].T,), {"rowvar": False})],
    "diff": [((A,), {}), ((A, 2), {}), ((A,), {"axis": 0}), ((A, 1, 0, V[None]), {}), ((A, 1, 0, B), {}),
             ((A, 1, 1, np._NoValue, B), {}), ((A, 1, -1, np.array(1.5)), {}), ((A, 0), {}), ((V, 5), {})],
    "ediff1d": [((A,), {}), ((V, W, W[:2]), {})],
    "_gradient": [((LONG,), {}), ((LONG, 0.5), {}), ((LONG, np.arange(7.0) ** 1.5), {}), ((C[0],), {}),
                  ((C[0], 0.5, 2.0), {}), ((C[0],), {"axis": 1}), ((LONG,), {"edge_order": 2})],
    "trapezoid": [((A,), {}), ((A,), {"dx": 0.5, "axis": 0}), ((A, np.array([0.0, 1.0, 3.0])), {}), ((A, B), {})],
    "cross": [((V, W), {}), ((A, V), {}), ((A.T, B.T), {"axis": 0}), ((A, B.T), {"axisb": 0, "axisc": 0})],
    "convolve": [((LONG, V), {"mode": m}) for m in ("full", "same", "valid")]
    + [((V, LONG), {"mode": m}) for m in ("full", "same", "valid")]
    + [((LONG, LONG[:4]), {"mode": m}) for m in ("full", "same", "valid")] + [((V, W), {}), ((V, W[:1]), {})],
    "correlate": [((x, y), {"mode": m}) for m in ("full", "same", "valid") for x, y in
                  [(LONG, V), (V, LONG), (LONG, LONG[:4]), (LONG[:4], LONG), (V, W), (LONG[:2], V), (V, LONG[:2])]]
    + [((LONG, V), {})],
    "bincount": [((np.array([0, 2, 2]), V), {}), ((np.array([0, 2, 2]), V), {"minlength": 5})],
    "interp": [((LONG, KNOTS, V), {}), ((A, KNOTS, V), {"left": 5.0, "right": -1.0}),
               ((np.array(0.3), KNOTS, V), {}), ((LONG, np.array([2.0, -0.5, 3.2]), V), {"period": 5.0}),
               ((LONG, KNOTS[:1], V[:1]), {})],
    "polyval": [((V, A), {}), ((V, np.array(0.5)), {}), ((V[:1], W), {})],
    "vander": [((V[:0],), {}), ((V,), {}), ((V, 2), {}), ((V,), {"N": 4, "increasing": True})],
    "apply_along_axis": [((np.sum, 0, A), {}), ((np.cumsum, -1, C), {}), ((np.outer, 1, C, V[:2]), {}),
                         ((np.diag, 0, C), {})],
    "apply_over_axes": [((np.sum, C, [0, 2]), {}), ((np.cumsum, A, 1), {}), ((np.max, A, (0,)), {})],
    "fftshift": [((A,), {}), ((LONG,), {}), ((C,), {"axes": 1}), ((A,), {"axes": (0, 1)})],
    "ifftshift": [((A,), {}), ((LONG,), {}), ((C,), {"axes": 1})],
    # NaN
    "nan_to_num": [((N,), {}), ((N,), {"nan": 7.0}), ((A,), {})],
    "nanprod": [((N,), {}), ((N,), {"axis": 0})],
    "nancumsum": [((N,), {}), ((N,), {"axis": 1})],
    "nancumprod": [((N,), {"axis": 0})],
    "nanvar": [((N,), {}), ((N,), {"axis": 1, "ddof": 1}), ((N,), {"axis": 1, "keepdims": True})],
    "nanstd": [((N,), {}), ((N,), {"axis": 1, "ddof": 1}), ((N, 1), {"keepdims": True})],
    "nanmedian": [((N,), {}), ((N,), {"axis": 0}), ((N, 1), {"keepdims": True}), ((A,), {})],
    "nanquantile": [((N, 0.3), {}), ((N, 0.8), {"axis": 0}), ((N, 0.6, 1), {"keepdims": True})],
    "nanpercentile": [((N, 30.0), {}), ((N, 80.0), {"axis": 0})],
    **{name: [((N,), {}), ((N,), {"axis": 0}), ((N, 1), {"keepdims": True}), ((A,), {"axis": (0, 1)})]
       for name in ("nansum", "nanmean", "nanmax", "nanmin")},
    # decompositions
    "eigh": [((SPD,), {}), ((np.stack([SPD, 2 * SPD + np.diag([0.0, 1.0, 0.0])]),), {})],
    "eigvalsh": [((SPD,), {}), ((SPD,), {"UPLO": "U"})],
    "svd": [((x,), {"full_matrices": False}) for x in (WIDE_ONE, WIDE_ONE.T, D, SEVERAL)]
    + [((D,), {}), ((D,), {"compute_uv": False})],
    "svdvals": [((WIDE_ONE,), {}), ((SEVERAL,), {})],
    "qr": [((x,), {}) for x in (WIDE_ONE, WIDE_ONE.T, D, SEVERAL)]
    + [((D, "r"), {}), ((WIDE_ONE,), {"mode": "complete"})],
    "pinv": [((WIDE_ONE,), {}), ((WIDE_ONE.T,), {}), ((D,), {}), ((SEVERAL,), {"rcond": 1e-6})],
    "matrix_power": [((D, n), {}) for n in (0, 1, 2, 3, 5, -1, -2)] + [((np.stack([D, D.T]), 3), {})],
    "multi_dot": [(([A, S, V],), {}), (([A, S, A.T],), {}), (([V, S, SPD, V],), {}), (([A, S],), {})],
    "cond": [((D, p), {}) for p in (None, 2, -2, 1, np.inf, "fro")] + [((np.stack([D, D.T]),), {})],
    "solve_triangular": [((SPD, V), {}), ((SPD, A.T), {"lower": True})],
    "tensorsolve": [((np.eye(6).reshape(2, 3, 6) + RNG.normal(size=(2, 3, 6)) / 9, A), {})],
    "tensorinv": [((np.eye(6).reshape(2, 3, 6) + RNG.normal(size=(2, 3, 6)) / 9,), {}), ((D,), {"ind": 1})],
    "_matrix_norm": [((C,), {}), ((WIDE_ONE,), {"ord": "nuc"}), ((SEVERAL,), {"ord": 2, "keepdims": True}),
                     ((A,), {"ord": -np.inf})],
    # further names
    "vdot": [((A, B), {}), ((V, W), {})],
    "vecdot": [((A, B), {}), ((A, V), {}), ((A, B), {"axis": 0})],
    "matvec": [((A, V), {}), ((C[..., :3], V), {}), ((S, A), {})],
    "vecmat": [((V, S), {}), ((A, S), {})],
    "_matrix_diagonal": [((C,), {}), ((C,), {"offset": 1})],
    "_matrix_trace": [((C,), {}), ((S,), {"offset": -1})],
    "_outer_of_vectors": [((V, W), {})],
    "_linalg_tensordot": [((A, B), {}), ((A, S), {"axes": 1})],
    **{name: [((V,), {}), ((A,), {"axis": 1}), ((A,), {"axis": -2, "include_initial": True}),
              ((V,), {"include_initial": True})]
       for name in ("cumulative_sum", "cumulative_prod")},
    **{f"_{name}_reduce": [((A,), {}), ((A,), {"axis": 1}), ((V,), {"keepdims": True}), ((A,), {"axis": None})]
       for name in ("add", "multiply", "maximum", "minimum", "logaddexp")},
    **{f"_{name}_accumulate": [((A,), {}), ((A,), {"axis": 1})]
       for name in ("add", "multiply", "maximum", "minimum", "logaddexp")},
    **{name: [((A,), {})] for name in ("_real", "_conjugate")},
}  # fmt: skip

NORM_CALLS = [((WIDE_ONE, o), {"axis": (0, 1)}) for o in (2, -2, "nuc")]
NORM_CALLS += [((SEVERAL, 2), {"axis": (2, 1), "keepdims": True}), ((D, "nuc"), {})]

# NumPy computes these in float64 always.
WIDE = {"cov", "corrcoef", "vander", "bincount", "interp", "geomspace"}
# What makes a valid input of any.
PREPARED = dict.fromkeys(("eigh", "eigvalsh"), lambda x: 0.5 * (x + np.swapaxes(x, -1, -2)))
# Their results are values without a gradient, or of another dtype: each has a test of its own in test_numpy_names.py.
APART = {"_astype", "_digitize", "_imag", "_nanargmax", "_nanargmin", "_logical_and_reduce", "_logical_or_reduce",
         "_union1d", "_unique_values", "argwhere", "flatnonzero", "float_power", "lstsq", "nonzero", "trim_zeros",
         "unique"}  # fmt: skip
