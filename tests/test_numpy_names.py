"""NumPy's public functions: each is supported, asks about values, or is listed in docs/numerics.md with its reason."""

import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy_calls import NUMPY_CALLS, D, N, V, W

import tinygrad_nn as tn
from tinygrad_nn.numpy_protocol import ABOUT_VALUES
from tinygrad_nn.operation import BY_FUNCTION, REFUSED

NUMERICS = Path(__file__).parent.parent / "docs" / "numerics.md"
A, B, C = (np.random.default_rng(8).normal(size=s) for s in [(2, 3), (2, 3), (2, 3, 4)])


def leaf(x):
    return tn.tensor(x, requires_grad=True)


def public(namespace):
    """The functions of a namespace by name, and not the types."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # some names are on their way out
        found = {name: getattr(namespace, name) for name in dir(namespace) if not name.startswith("_")}
    return {name: f for name, f in found.items() if callable(f) and not isinstance(f, type)}


def listed():
    """The names in the section of docs/numerics.md about what is not here."""
    section = NUMERICS.read_text("utf-8").partition("### Not here, and why")[2]
    reasons = re.findall(r"^- (.*?)(?=^- |\Z)", section, re.M | re.S)
    return {name for reason in reasons for name in re.findall(r"`([a-z_0-9.]+)`", reason)}


FUNCTIONS = public(np)
for namespace in (np.linalg, np.fft):
    FUNCTIONS |= {f"{namespace.__name__.rpartition('.')[2]}.{name}": f for name, f in public(namespace).items()}
SUPPORTED = {name for name, f in FUNCTIONS.items() if f in BY_FUNCTION or f in ABOUT_VALUES}


def test_every_public_function_is_supported_or_listed_with_its_reason():
    assert FUNCTIONS.keys() - SUPPORTED - listed() == set()


def test_nothing_is_listed_that_is_supported():
    assert listed() & SUPPORTED <= {"vander", "polyval"}  # what is named as the way out
    assert not REFUSED.keys() & BY_FUNCTION.keys()


@pytest.mark.parametrize("function", REFUSED, ids=lambda f: f.__name__)
def test_what_is_refused_says_why_and_what_to_do(function):
    parameters = () if isinstance(function, np.ufunc) else inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    args = ["a file" if name in ("file", "fname") else leaf(A) for name in names or ["x"] * function.nin]
    with pytest.raises(TypeError, match=rf"^np\.\S*{function.__name__} is not recorded on tensors: it.*: ") as refused:
        function(*args)
    ways = re.findall(r"tn\.(\w+)|\.data", str(refused.value))
    assert ways
    assert all(hasattr(tn, way) for way in filter(None, ways))


# --- results without a gradient, or of another dtype -----------------------------------------------------------------


def test_indices_and_counts_are_plain_arrays_or_tensors_without_a_gradient():
    x = leaf([[3.0, 0.0, 1.0], [0.0, 2.0, 2.0]])
    for function in (np.nonzero, np.argwhere, np.flatnonzero):
        np.testing.assert_array_equal(function(x), function(x.data))
    np.testing.assert_array_equal(np.where(x > 1), np.where(x.data > 1))
    np.testing.assert_array_equal(x.nonzero(), np.nonzero(x.data))
    nan = leaf(N)
    for y, expected in [
        (np.argsort(x, kind="stable"), np.argsort(x.data, kind="stable")),
        (np.argsort(x, axis=None), np.argsort(x.data, axis=None, kind="stable")),
        (np.searchsorted(leaf([1.0, 2.0]), x, side="right"), np.searchsorted([1.0, 2.0], x.data, side="right")),
        (np.digitize(x, [1.0, 2.0]), np.digitize(x.data, [1.0, 2.0])),
        (np.digitize(x, [2.0, 1.0], right=True), np.digitize(x.data, [2.0, 1.0], right=True)),
        (np.nanargmax(nan, axis=1), np.nanargmax(N, axis=1)),
        (np.nanargmin(nan), np.nanargmin(N)),
        (np.logical_and.reduce(x), np.logical_and.reduce(x.data)),
        (np.logical_or.reduce(x, axis=1), np.logical_or.reduce(x.data, axis=1)),
    ]:
        assert not y.requires_grad
        np.testing.assert_array_equal(y.value, expected)
    np.testing.assert_array_equal(np.bincount([0, 2, 2]), tn.bincount([0, 2, 2]))
    np.testing.assert_array_equal(np.imag(x), np.zeros(x.shape))


def test_unique_gives_elements_that_stay_in_the_graph():
    x = leaf([3.0, 1.0, 3.0, 2.0])
    for axis, wanted in ((None, {}), (0, {"return_index": True, "return_inverse": True, "return_counts": True})):
        found, expected = np.unique(x, axis=axis, **wanted), np.unique(x.data, axis=axis, **wanted)
        values, further = (found[0], found[1:]) if wanted else (found, ())
        np.testing.assert_array_equal(values.value, expected[0] if wanted else expected)
        for got, numbers in zip(further, expected[1:] if wanted else (), strict=True):
            np.testing.assert_array_equal(got, numbers)
    (values * np.array([1.0, 10.0, 100.0])).sum().backward()
    np.testing.assert_array_equal(x.grad, [100, 1, 0, 10])
    np.testing.assert_array_equal(np.unique_values(x).value, [1, 2, 3])
    np.testing.assert_array_equal(np.union1d(x, [7.0, 1.0]).value, [1, 2, 3, 7])


def test_functions_that_change_the_dtype():
    x = leaf(np.array([1.0, 2.0], np.float32))
    y = np.float_power(x, 1.5)
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad, 1.5 * np.sqrt([1.0, 2.0]), rtol=1e-6)
    assert np.astype(x, np.float64).dtype == np.float64
    assert np.astype(x, np.float64).requires_grad
    assert np.exp(x, dtype=np.float64).dtype == np.float64
    assert np.add(x, 1, dtype=np.float64).requires_grad


def test_a_sum_in_whole_numbers_has_no_gradient():
    x = leaf([1.5, 2.5])
    for y in (x.sum(dtype=int), np.cumsum(x, dtype=int), np.add.reduce(x, dtype=int)):
        assert y.dtype == int
        assert not y.requires_grad


def test_trim_zeros_cuts_by_value_and_keeps_the_graph():
    x = leaf([0.0, 0.0, 1.5, 0.0, 2.0, 0.0])
    for trim in ("fb", "f", "b"):
        np.testing.assert_array_equal(np.trim_zeros(x, trim).value, np.trim_zeros(x.data, trim))
    np.trim_zeros(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 0, 1, 1, 1, 0])
    assert np.trim_zeros(leaf([0.0, 0.0])).shape == (0,)


@pytest.mark.parametrize("shape", [(5, 3), (3, 3), (2, 4)])
@pytest.mark.parametrize("right", [(), (2,)])
def test_least_squares(shape, right):
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=shape), rng.normal(size=(shape[0], *right))
    found, expected = np.linalg.lstsq(leaf(a), leaf(b)), np.linalg.lstsq(a, b)
    assert found[2] == expected[2]
    for i in (0, 1, 3):
        np.testing.assert_allclose(np.asarray(found[i].detach() if isinstance(found[i], tn.Tensor) else found[i]),
                                   expected[i], rtol=1e-9, atol=1e-12)  # fmt: skip
    assert tn.gradcheck(lambda a, b: tn.lstsq(a, b)[0], a, b, order=2, rtol=1e-5)


def test_operators_and_attributes():
    x, y = leaf([5.0, -7.5]), np.array([2.0, 2.0])
    for got, expected in [
        (x % 2, x.data % 2), (7.0 % x, 7.0 % x.data), (x // y, x.data // y), (y // x, y // x.data),
        (np.mod(x, y), np.mod(x.data, y)), (x.round(), x.data.round()), (tn.round(x / 3, 2), np.round(x.data / 3, 2)),
        (x.flatten(), x.data), (x.copy(), x.data), (np.copy(x), x.data),
        *zip(divmod(x, 2), divmod(x.data, 2), strict=True), *zip(divmod(7, x), divmod(7, x.data), strict=True),
    ]:  # fmt: skip
        assert isinstance(got, tn.Tensor)
        np.testing.assert_array_equal(got.value, expected)
    c = leaf(C)
    np.testing.assert_array_equal(c.mT.value, C.mT)
    assert not np.shares_memory(x.copy().data, x.data)
    assert not hasattr(x, "sort"), "the method of arrays sorts in place"


# --- further parameters ----------------------------------------------------------------------------------------------

MASK = np.arange(24).reshape(2, 3, 4) % 5 != 3
FURTHER = [
    (name, kwargs)
    for name in ("sum", "prod", "mean", "var", "std", "any", "all")
    for kwargs in ({"where": MASK}, {"where": MASK, "axis": 1}, {"where": MASK[0], "axis": (0, 2), "keepdims": True})
]
FURTHER += [
    (name, {"initial": 1.5, **more})
    for name in ("sum", "prod", "max", "min")
    for more in ({}, {"axis": 1}, {"where": MASK})
]
FURTHER += [
    (name, {"dtype": np.float32, "axis": 0}) for name in ("sum", "prod", "mean", "var", "std", "cumsum", "cumprod")
]
FURTHER += [(name, {"correction": 1, **more}) for name in ("var", "std") for more in ({}, {"axis": 0}, {"where": MASK})]
FURTHER += [(name, {"mean": C.mean(1, keepdims=True), "axis": 1}) for name in ("var", "std")]


@pytest.mark.parametrize(("name", "kwargs"), FURTHER)
def test_further_parameters_of_reductions(name, kwargs):
    expected = getattr(np, name)(C, **kwargs)
    for function in (getattr(np, name), getattr(tn, name)):
        y = function(leaf(C), **kwargs)
        assert y.dtype == expected.dtype
        np.testing.assert_allclose(y.value, expected, rtol=1e-6 if "dtype" in kwargs else 1e-12)
    assert isinstance(getattr(tn, name)(C, **kwargs), (np.ndarray, np.generic))
    if y.requires_grad and "dtype" not in kwargs:
        assert tn.gradcheck(lambda x: getattr(tn, name)(x, **kwargs), C, order=2)


def test_the_methods_of_tensors_take_them_too():
    x = leaf(A)
    assert x.sum(where=A > 0).item() == pytest.approx(A[A > 0].sum())
    assert x.std(correction=1).item() == pytest.approx(A.std(ddof=1))
    with pytest.raises(ValueError, match="max: where= needs initial=, the result where no element counts"):
        x.max(where=A > 0)
    with pytest.raises(TypeError, match=r"sum does not take colour=; it is sum\(x, axis=None, dtype=None, "):
        x.sum(colour=1, where=A > 0)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_of_reshape_and_ravel(order):
    x = leaf(C)
    for shape in ((4, 6), (-1, 2), 24):
        y = x.reshape(shape, order=order)
        np.testing.assert_array_equal(y.value, C.reshape(shape, order=order))
        assert tn.gradcheck(lambda x, shape=shape: tn.reshape(x, shape, order=order), C, order=2)
    np.testing.assert_array_equal(x.ravel(order).value, C.ravel(order))


@pytest.mark.parametrize("mode", ["wrap", "clip"])
@pytest.mark.parametrize("axis", [None, 1])
def test_the_modes_of_take(mode, axis):
    indices = np.array([[5, -4], [1, 30]])
    np.testing.assert_array_equal(np.take(leaf(A), indices, axis, mode=mode).value, A.take(indices, axis, mode=mode))
    assert tn.gradcheck(lambda x: tn.take(x, indices, axis=axis, mode=mode), A, order=2)


def test_einsum_with_lists_of_numbers():
    for given in [(A, [0, 1], B, [0, 1], [0]), (A, [0, 1], B, [2, 1]), (C, [Ellipsis, 3], [3, Ellipsis])]:
        y = np.einsum(*(leaf(x) if isinstance(x, np.ndarray) else x for x in given))
        assert y.requires_grad
        np.testing.assert_allclose(y.value, np.einsum(*given))
    with pytest.raises(TypeError, match=r"einsum takes its subscripts as a string first, .* or as lists of numbers"):
        tn.einsum(leaf(A), leaf(B))


def test_the_upper_triangle_of_cholesky():
    x = D @ D.T
    np.testing.assert_allclose(np.linalg.cholesky(leaf(x), upper=True).value, np.linalg.cholesky(x, upper=True))
    assert tn.gradcheck(lambda x: tn.cholesky(x @ x.T, upper=True), D, order=2)


@pytest.mark.parametrize("width", [2, (1, 3), ((1, 0), (2, 1))])
@pytest.mark.parametrize("mode", ["maximum", "minimum", "mean", "median", "linear_ramp"])
def test_the_modes_of_pad(mode, width):
    y = np.pad(leaf(A), width, mode=mode)
    np.testing.assert_allclose(y.value, np.pad(A, width, mode=mode))
    assert tn.gradcheck(lambda x: tn.pad(x, width, mode=mode), A, order=2)


def test_methods_of_ufuncs():
    x = leaf(A)
    np.testing.assert_array_equal(np.multiply.outer(x, V).value, np.multiply.outer(A, V))
    assert np.subtract.outer(V, x).requires_grad
    np.testing.assert_array_equal(np.add.reduce(x, axis=1, initial=2.0).value, np.add.reduce(A, axis=1, initial=2.0))
    with pytest.raises(TypeError, match=r"np\.add\.reduceat is not recorded: tn\.split cuts an array"):
        np.add.reduceat(x, [0, 1])
    with pytest.raises(TypeError, match=r"np\.add\.at cannot write into a tensor: tn\.index_add\(t, index, values\)"):
        np.add.at(x, [0], 1.0)


def test_a_function_of_python_numbers_is_vmap_s_task():
    with pytest.raises(TypeError, match=r"a tensor cannot become an array: .*, tn\.vmap does what np\.vectorize does"):
        np.vectorize(lambda t: t * 2)(leaf(A))
    with pytest.raises(ValueError, match="apply_along_axis: there is no vector along axis 1 of an array of shape"):
        np.apply_along_axis(np.sum, 1, leaf(np.ones((0, 3))))
    with pytest.raises(ValueError, match="apply_over_axes: the function must keep the number of axes"):
        np.apply_over_axes(lambda x, axis: x[None], leaf(A), [0])
    assert np.vander(leaf([]), 3).shape == (0, 3)
    assert np.vander(leaf([1.0, 2.0]), 0).shape == (2, 0)


# --- decompositions where values are equal ---------------------------------------------------------------------------


def test_equal_eigenvalues_have_derivatives_together_and_are_refused_apart():
    x = leaf(np.diag([2.0, 2.0, 5.0]))
    for f in (np.linalg.eigvalsh, lambda x: tn.eigh(x).eigenvalues):
        np.testing.assert_allclose(tn.gradients(f(x).sum(), x)[0], np.eye(3), atol=1e-15)
        np.testing.assert_allclose(tn.gradients((f(x) ** 2).sum(), x)[0], 2 * x.data, atol=1e-14)
        np.testing.assert_allclose(tn.gradients(f(x)[2], x)[0], np.diag([0.0, 0, 1]), atol=1e-15)
        with pytest.raises(
            np.linalg.LinAlgError, match=r"eigenvalues number 0 and 1 are equal \(2\), so that their eig"
        ):
            f(x)[0].backward()
    third = tn.eigh(x).eigenvectors[:, 2]
    np.testing.assert_allclose(tn.gradients(third[2] * third[0], x)[0][0, 2], 1 / 3 / 2, atol=1e-15)
    with pytest.raises(np.linalg.LinAlgError, match="have no derivative: use what depends on them together"):
        tn.eigh(x).eigenvectors[0, 0].backward()
    with pytest.raises(np.linalg.LinAlgError, match="are equal"):
        tn.jvp(lambda x: tn.eigvalsh(x)[0], (x.data,), (np.ones((3, 3)),))


def test_equal_and_vanishing_singular_values():
    x = leaf(np.diag([2.0, 2.0, 0.0]))
    np.testing.assert_allclose(tn.gradients(tn.norm(x, "nuc"), x)[0], np.diag([1.0, 1, 0]), atol=1e-15)
    np.testing.assert_allclose(tn.gradients(tn.norm(x, 2), x)[0], np.diag([0.5, 0.5, 0]), atol=1e-15)
    np.testing.assert_array_equal(tn.gradients(tn.norm(x, -2), x)[0], np.zeros((3, 3)))
    with pytest.raises(np.linalg.LinAlgError, match=r"the singular values number 0 and 1 are equal \(2\)"):
        tn.svdvals(x)[0].backward()
    with pytest.raises(
        np.linalg.LinAlgError, match="a singular value is 0, so that its singular vectors have no deriv"
    ):
        tn.svd(leaf(np.diag([2.0, 0.0]))).U[0, 1].backward()


def test_what_a_pseudo_inverse_leaves_out_has_no_derivative():
    x, b = np.diag([3.0, 1.0]) + 0.1, np.ones(2)
    for f in (lambda x: tn.pinv(x, rtol=0.5), lambda x: tn.pinv(x, 0.5), lambda x: tn.lstsq(x, b, rcond=0.5)[0]):
        with pytest.raises(
            np.linalg.LinAlgError, match=r"pinv: .*lower rcond= \(rtol=\) where it leaves singular values"
        ):
            tn.jvp(f, (x,), (x,))
        with pytest.raises(np.linalg.LinAlgError, match="pinv: the matrix has not full rank"):
            f(leaf(x)).sum().backward()
    assert tn.gradcheck(lambda x: tn.pinv(x, rtol=0.1), x, order=2)


def test_of_a_matrix_said_to_be_symmetric_one_triangle_is_read():
    x = np.array([[1.0, 5.0], [2.0, -3.0]])
    for ours, numpys in zip(np.linalg.svd(leaf(x), hermitian=True), np.linalg.svd(x, hermitian=True), strict=True):
        np.testing.assert_allclose(ours.value, numpys, rtol=1e-12)
    for f in (
        lambda x: np.linalg.svd(x, hermitian=True, compute_uv=False),
        lambda x: np.linalg.pinv(x, hermitian=True),
    ):
        np.testing.assert_allclose(f(leaf(x)).value, f(x), rtol=1e-12)
        assert tn.gradcheck(lambda x, f=f: f((x + x.T) / 2), x, order=2)


def test_decompositions_that_the_matrix_does_not_determine_are_refused():
    with pytest.raises(np.linalg.LinAlgError, match="pinv: the matrix has not full rank, and there the pseudo-inverse"):
        tn.pinv(leaf(np.ones((2, 2)))).sum().backward()
    with pytest.raises(np.linalg.LinAlgError, match=r"further columns .* any basis .*\(full_matrices=False, mode='red"):
        tn.svd(leaf(C[:, 0].T)).U[0].sum().backward()
    with pytest.raises(np.linalg.LinAlgError, match=r"further columns .* any basis .*: use reverse mode, or leave"):
        tn.jvp(lambda x: tn.qr(x, "complete").Q, (np.eye(4)[:, :2],), (np.ones((4, 2)),))
    with pytest.raises(ValueError, match=r"qr: mode is 'raw'; expected 'reduced', 'complete' or 'r'"):
        tn.qr(leaf(A.T), "raw")
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        tn.qr(leaf(np.zeros((2, 2)))).R.sum().backward()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_the_third_derivative_of_the_determinant_at_a_singular_matrix(n):
    direction = np.random.default_rng(n).normal(size=(n, n))

    def f(t):
        return tn.det(t * direction + np.diag(np.r_[np.ones(max(n - 3, 0)), np.zeros(min(n, 3))]))

    third = tn.grad(tn.grad(tn.grad(f)))(0.0)
    places = np.linspace(-1, 1, n + 1)  # det is a polynomial of degree n in t
    values = [f(t) for t in places]
    expected = 6 * np.polyfit(places, values, n)[::-1][3] if n > 2 else 0
    np.testing.assert_allclose(third, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("shape", [(5, 2), (3, 2), (2, 5), (2, 3), (2, 4, 3)])
def test_the_further_columns_have_the_derivatives_that_do_not_depend_on_their_choice(shape):
    x = np.random.default_rng(3).normal(size=shape)
    k, tall = min(shape[-2:]), shape[-2] > shape[-1]
    u, s, vh = np.linalg.svd(leaf(x))
    middle = np.zeros(shape)
    middle[..., range(k), range(k)] = s.data
    np.testing.assert_allclose(u.data @ middle @ vh.data, x, atol=1e-14)
    for q in (u.data, vh.data):
        np.testing.assert_allclose(
            np.swapaxes(q, -1, -2) @ q, np.broadcast_to(np.eye(q.shape[-1]), q.shape), atol=1e-14
        )
    weights = np.random.default_rng(4).normal(size=(max(shape[-2:]), 2))

    def size_outside(x, q):
        return (s_of(x) ** 3).sum() + np.square(np.swapaxes(q, -1, -2)[..., k:, :] @ weights).sum()

    def s_of(x):
        return tn.svd(x).S

    assert tn.gradcheck(lambda x: size_outside(x, tn.svd(x).U if tall else tn.svd(x).Vh.mT), x, order=2)
    if tall:
        for got, expected in zip(tn.qr(x, "complete"), np.linalg.qr(x, "complete"), strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-14)
        assert tn.gradcheck(lambda x: size_outside(x, tn.qr(x, "complete").Q), x, order=2)
        assert tn.gradcheck(lambda x: tn.qr(x, "complete").R, x, order=2)


def test_the_normal_of_a_plane_has_a_derivative():
    x = np.random.default_rng(5).normal(size=(3, 2))
    sign = np.sign(np.sum(np.linalg.qr(x, "complete")[0][:, 2] * np.cross(*x.T)))

    def normal(x):
        n = tn.cross(x[:, 0], x[:, 1])
        return sign * n / tn.norm(n)

    np.testing.assert_allclose(
        tn.jacobian(lambda x: tn.qr(x, "complete").Q[:, 2])(x), tn.jacobian(normal)(x), atol=1e-12
    )


# --- in compiled steps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        np.sort, np.median, np.diff, np.cumsum, np.nanmean, np.ptp, tn.eigvalsh, tn.svdvals, tn.pinv, np.cov,
        lambda x: np.linalg.qr(x).R, lambda x: np.quantile(x, 0.3, axis=0), lambda x: np.partition(x, 1),
        lambda x: np.floor(x) + x % 2, lambda x: np.interp(x, np.array([-1.0, 0.0, 1.0]), np.array([2.0, 0.0, 3.0])),
        lambda x: np.sum(x, where=x > 0), lambda x: np.var(x, correction=1), lambda x: x.reshape(-1, order="F")[:4],
        lambda x: np.take_along_axis(x, np.argsort(x, axis=0), axis=0), lambda x: np.convolve(x[0], x[1]),
    ],
)  # fmt: skip
def test_compiled_steps_follow_the_values(f):
    w = leaf(D)

    def step(x):
        w.zero_grad()
        loss = (f(w * x + x.T + w.T) ** 2).sum()
        loss.backward()
        return loss

    compiled, rng = tn.compile(step), np.random.default_rng(9)
    for _ in range(4):
        x = rng.normal(size=(3, 3))
        loss, gradient = step(x).item(), w.grad.copy()
        np.testing.assert_allclose(compiled(x).item(), loss, rtol=1e-12)
        np.testing.assert_allclose(w.grad, gradient, rtol=1e-9, atol=1e-12)


def test_blocks_in_blocks():
    x, y = leaf(A), leaf(V)
    nested = [[x, np.ones((2, 1))], [y, np.zeros(1)]]
    expected = np.block([[A, np.ones((2, 1))], [V, np.zeros(1)]])
    for block in (np.block, tn.block):
        np.testing.assert_array_equal(block(nested).value, expected)
    np.block(nested).sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3)))
    np.testing.assert_array_equal(y.grad, np.ones(3))


def test_interpolation_outside_and_at_the_points():
    x, xp, fp = leaf([-1.0, 0.5, 1.0, 2.0]), leaf([0.0, 1.0]), leaf([5.0, 7.0])
    y = np.interp(x, xp, fp)
    np.testing.assert_array_equal(y.value, [5, 6, 7, 7])
    y.sum().backward()
    for t, expected in ((x, [0, 2, 0, 0]), (xp, [-1, -1]), (fp, [1.5, 2.5])):
        np.testing.assert_array_equal(t.grad, expected)


def test_calls_of_several_arrays_record_each_of_them():
    """A tensor at any place of a call is recorded: none is dropped in silence."""
    for name in (
        "append",
        "cov",
        "cross",
        "convolve",
        "correlate",
        "vdot",
        "matvec",
        "vecmat",
        "linspace",
        "trapezoid",
    ):
        args, kwargs = next(c for c in NUMPY_CALLS[name] if sum(isinstance(a, np.ndarray) for a in c[0]) == 2)
        function = getattr(np, name)
        for i in range(2):
            y = function(*(leaf(a) if j == i else a for j, a in enumerate(args)), **kwargs)
            assert (y[0] if isinstance(y, list) else y).requires_grad, (name, i)
    assert np.gradient(V, leaf(np.array([0.0, 1.0, 3.0]))).requires_grad
    assert tn.select([V > 0], [V], default=leaf(W)).requires_grad
    assert np.polyval(leaf(V), 2.0).requires_grad


ONE = """
sort argsort median ptp diff cumulative_sum average nansum nanmean nanmax nanstd nanvar nanmedian nan_to_num unique
nonzero flipud rot90 unwrap trapezoid cov gradient diagflat atleast_2d unstack floor round ediff1d copy flatnonzero
"""
UNUSUAL = {
    "a single number": np.array(2.5), "no element": np.zeros(0), "no row": np.zeros((0, 3)),
    "no column": np.zeros((2, 0)),
    "one element": np.array([1.5]), "whole numbers": np.array([3, 1, 2]), "bools": np.array([True, False]),
    "half precision": np.array([1, 2, 3], np.float16),
}  # fmt: skip


def outcome(function, x):
    try:
        return function(x)
    except (ValueError, IndexError, TypeError) as refused:
        return refused


@pytest.mark.parametrize("x", UNUSUAL.values(), ids=UNUSUAL)
@pytest.mark.parametrize("name", ONE.split())
@pytest.mark.filterwarnings("ignore")
def test_unusual_inputs_give_what_numpy_gives(name, x):
    function = getattr(np, name)
    expected, got = outcome(function, x), outcome(function, tn.tensor(x, requires_grad=x.dtype.kind == "f"))
    if isinstance(expected, Exception):
        assert isinstance(got, Exception) or x.dtype == bool  # NumPy alone cannot subtract these
        return
    several = isinstance(expected, (list, tuple))
    for y, e in zip(got if several else [got], expected if several else [expected], strict=True):
        y = y.value if isinstance(y, tn.Tensor) else y
        np.testing.assert_allclose(y, e)
        assert (np.shape(y), np.asarray(y).dtype) == (np.shape(e), np.asarray(e).dtype)
