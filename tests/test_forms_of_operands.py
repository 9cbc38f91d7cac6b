"""Every operation on lists, tuples, single numbers and empty arrays, over every form of axis, in every real dtype."""

import contextlib
import warnings

import numpy as np
import pytest
from test_ops import (
    ALL,
    BY_FUNCTION,
    CALLS,
    COMPOSED,
    DIFFERENTIABLE,
    as_called,
    cases,
    every,
    is_float,
    leaves,
    parts,
    value_of,
    with_rule,
)  # fmt: skip

import tinygrad_nn as tn
from tinygrad_nn.samples import corner_samples_of

PUBLIC = [op for op in ALL.values() if not op.name.startswith("_")]
REFUSALS = (ValueError, IndexError, TypeError, ZeroDivisionError)  # AxisError and LinAlgError are among them


def numpy_function(entry):
    if entry is tn.affine:
        return lambda W, A, b: np.add(np.matmul(W, A), b)
    return next((f for f, e in BY_FUNCTION.items() if e is entry), None)


@contextlib.contextmanager
def silently():
    """Means of nothing and logarithms of 0 are wanted here."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def outcome(f, *args, **kwargs):
    """The value, or the error."""
    try:
        with silently():
            return f(*args, **kwargs)
    except REFUSALS as refused:
        return refused


# --- lists and tuples -------------------------------------------------------------------------------------------------


def nested(array, kind):
    """An array as nested lists, or tuples; a single number as a Python number."""
    if not isinstance(array, np.ndarray):
        return array
    if not array.ndim:
        return array.item()
    return kind(nested(a, kind) for a in array)


@pytest.mark.parametrize("kind", [list, tuple])
@every(PUBLIC)
def test_lists_and_tuples_are_arrays(op, kind):
    for arrays, params in cases(op):
        expected = op.apply(arrays, params)
        sequences = tuple(nested(a, kind) for a in arrays)
        np.testing.assert_array_equal(op.apply(sequences, params), expected, strict=True)
        for slot in with_rule(op, arrays):
            x = tn.tensor(arrays[slot], requires_grad=True)
            y = op.apply([x if i == slot else a for i, a in enumerate(sequences)], params)
            z = op.apply([x if i == slot else a for i, a in enumerate(arrays)], params)
            np.testing.assert_array_equal(y.value, expected, strict=True)
            seed = np.ones(y.shape)
            for got, right in zip(tn.gradients(y, [x], seed), tn.gradients(z, [x], seed), strict=True):
                np.testing.assert_array_equal(got, right, strict=True)
            tn.gradients(y, [x], seed, create_graph=True)


# --- empty arrays, single numbers, every axis -------------------------------------------------------------------------

# NumPy's einsum reads beyond an empty array whose diagonal is asked for.
CORNERS = [pytest.param(op, arrays, params, id=f"{op.name}-{[np.shape(a) for a in arrays]}-{params}")
           for op in PUBLIC for arrays, params in corner_samples_of(op)
           if op.name != "einsum" or arrays[0].shape != (0, 3)]  # fmt: skip


@pytest.mark.parametrize(("op", "arrays", "params"), CORNERS)
def test_corner(op, arrays, params):
    """As NumPy's, value or refusal, where NumPy has the function; and right gradients, or a refusal that names it."""
    args, kwargs = as_called(op, arrays, params)
    found, oracle = outcome(op, *args, **kwargs), numpy_function(op)
    if oracle is not None:
        expected = outcome(oracle, *args, **kwargs)
        over_axis_of_a_number = not np.ndim(arrays[0])  # which some of NumPy's functions take, and others do not
        assert isinstance(found, Exception) == isinstance(expected, Exception) or over_axis_of_a_number
        if not isinstance(expected, Exception):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
            assert np.asarray(found).dtype == np.asarray(expected).dtype
    tensors = as_called(op, tuple(leaves(arrays, with_rule(op, arrays))), params)[0]
    recorded = outcome(op, *tensors, **kwargs)
    if isinstance(found, Exception):
        assert type(recorded) is type(found)
        assert str(found).startswith(f"{op.public_name}: ")
        return
    np.testing.assert_array_equal(value_of(recorded), found, strict=True)
    if isinstance(recorded, tn.Tensor) and recorded.requires_grad:
        check_gradients(lambda *given: op(*as_called(op, given, params)[0], **kwargs), arrays, with_rule(op, arrays))


def check_gradients(f, arrays, slots):
    """By every argument with a rule: against finite differences, to second order, and forward against reverse mode."""

    def of_slots(*given):
        args = list(arrays)
        for i, x in zip(slots, given, strict=True):
            args[i] = x
        return f(*args)

    at = [arrays[i] for i in slots]
    with silently():
        y = of_slots(*leaves(at))
        if not np.isfinite(y.value).all():  # the mean of nothing
            return
        assert tn.gradcheck(of_slots, *at, order=2, rtol=1e-5)
        tangents = [np.ones(a.shape) for a in at]
        moved, pulled = tn.jvp(of_slots, at, tangents)[1], tn.vjp(of_slots, *at)[1](np.ones(y.shape))
        sums = [np.sum(np.asarray(g) * t) for g, t in zip(pulled, tangents, strict=True)]
        np.testing.assert_allclose(np.sum(moved), sum(sums), rtol=1e-9, atol=1e-10)


# --- functions composed of operations ---------------------------------------------------------------------------------

NUMBER, NOTHING, V, A = np.array(2.0), np.zeros((0, 3)), np.array([1.0, 2.0, 3.0]), np.arange(6.0).reshape(2, 3)
COMPOSED_CORNERS = {
    "repeat": [
        (x, n, *axis) for x in (NUMBER, NOTHING, V, A) for n in (2, [2], [1, 0, 2]) for axis in ((), (0,), (-1,))
    ],
    "norm": [(x, o, *axis) for x in (NOTHING, V, A) for o in (None, 0, 1, np.inf) for axis in ((), (0,), ((1,),))]
    + [(NUMBER,)],
    "ravel": [(NUMBER,), (NOTHING,)],
    "hstack": [([NUMBER, NUMBER],), ([NOTHING, NOTHING],), ([],)],
    "vstack": [([NUMBER, NUMBER],), ([NOTHING, A],), ([],)],
    "split": [(NUMBER, 1), (NOTHING, 3), (NOTHING, 3, 1), (A, 3, -1), (A, [1], 0), (A, 2, 5)],
    "pad": [(NUMBER, 1), (NUMBER, 0), (NOTHING, 1), (V, (1, 0)), (A, 1, "edge"), (A, [[1, 0], [0, 1]])],
    "diagonal": [(NUMBER,), (NOTHING,), (V,), (A, 5)],
    "diag": [(NUMBER,), (NOTHING,), (V, 1), (A, -1), (A, 5)],
    "trace": [(NUMBER,), (NOTHING,), (A,)],
    "outer": [(NUMBER, V), (NOTHING, V), (A, A)],
    "tensordot": [(NUMBER, V, 0), (NOTHING, V, 1), (A, V, 1), (A, A, (0, 0)), (NOTHING, NOTHING, ([0, 1], [0, 1]))],
    "dot": [(NUMBER, NOTHING), (NUMBER, NUMBER), (NOTHING, V), (A, V)],
    "inner": [(NUMBER, NOTHING), (NUMBER, NUMBER), (NOTHING, V), (A, V)],
    "kron": [(NUMBER, NUMBER), (NOTHING, V), (V, NUMBER)],
    "slogdet": [(np.ones((0, 3, 3)),), (np.zeros((0, 0)),), (A,), (V,)],
}


def as_lists(x):
    """Arrays as nested lists, also within a list."""
    return [as_lists(a) for a in x] if isinstance(x, list) else nested(x, list)


def tracked(x):
    return [tracked(a) for a in x] if isinstance(x, list) else tn.tensor(x, requires_grad=True)


@pytest.mark.parametrize("name", COMPOSED_CORNERS)
def test_composed_functions_in_corners(name):
    entry = COMPOSED[name]
    numpy = numpy_function(entry)
    for args in COMPOSED_CORNERS[name]:
        expected, found = outcome(numpy, *args), outcome(entry, *args)
        first = tracked(args[0])
        recorded = outcome(entry, first, *args[1:])
        if isinstance(expected, Exception):
            assert isinstance(found, REFUSALS), args
            assert isinstance(recorded, REFUSALS), args
            continue
        for e, a, t in zip(parts(expected), parts(found), parts(recorded), strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-12, strict=False)
            np.testing.assert_array_equal(t.value, a, strict=True)
            assert np.shape(a) == np.shape(e)
            if t.requires_grad:
                with silently():
                    t.backward(np.ones(t.shape))
                for x in first if isinstance(first, list) else [first]:
                    assert x.grad.shape == x.shape


@pytest.mark.parametrize("name", [name for name in CALLS if name != "block"])  # where lists nest arrays
def test_composed_functions_of_lists(name):
    for args, kwargs in CALLS[name]:
        expected = parts(COMPOSED[name](*args, **kwargs))
        for e, y in zip(expected, parts(COMPOSED[name](*map(as_lists, args), **kwargs)), strict=True):
            np.testing.assert_array_equal(y, e, strict=True)


# --- every real dtype -------------------------------------------------------------------------------------------------

SMALL = [np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.float16]
DTYPES = [*SMALL, np.int32, np.uint32, np.int64, np.uint64, np.float32, np.longdouble]


def of_dtype(arrays, dtype):
    """Whole numbers in this dtype, and the same ones in float64; arguments of integers and bools stay."""
    given = tuple((np.abs(np.round(3 * a)) % 4).astype(dtype) if is_float(a) else a for a in arrays)
    return given, tuple(new.astype(np.float64) if is_float(a) else a for a, new in zip(arrays, given, strict=True))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@every(PUBLIC)
def test_every_real_dtype(op, dtype):
    """NumPy's result in NumPy's dtype; of operations that NumPy does not have, the value in float64."""
    oracle = numpy_function(op)
    for arrays, params in cases(op):
        given, exact = of_dtype(arrays, dtype)
        args, kwargs = as_called(op, given, params)
        found = outcome(op, *args, **kwargs)
        if oracle is not None:
            expected = outcome(oracle, *args, **kwargs)
        else:
            expected = outcome(op, *as_called(op, exact, params)[0], **kwargs)
        assert isinstance(found, Exception) == isinstance(expected, Exception)
        if isinstance(found, Exception):
            assert str(found).startswith(f"{op.public_name}: ")
            continue
        found, expected = np.asarray(found), np.asarray(expected)
        assert oracle is None or found.dtype == expected.dtype
        if op.name == "argsort":  # places in order: equal numbers may come in any
            found, expected = (np.take_along_axis(given[0], at, params.get("axis", -1)) for at in (found, expected))
        rtol = 20 * np.finfo(found.dtype).eps if found.dtype.kind == "f" else 0
        np.testing.assert_allclose(found, expected, rtol=max(rtol, 1e-12), atol=rtol)
        tensors = as_called(op, tuple(tn.tensor(a) if isinstance(a, np.ndarray) else a for a in given), params)[0]
        if op.name != "argsort":
            np.testing.assert_array_equal(value_of(outcome(op, *tensors, **kwargs)), found, strict=True)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64], ids=lambda d: d.__name__)
@every([op for op in DIFFERENTIABLE if op in PUBLIC])
def test_constants_of_every_dtype_in_a_gradient(op, dtype):
    """A float64 tensor among integers has the gradient that it has among the same numbers in float64."""
    for arrays, params in cases(op):
        given, exact = of_dtype(arrays, dtype)
        for slot in with_rule(op, arrays):
            gradients = []
            for others in (given, exact):
                x = tn.tensor(exact[slot], requires_grad=True)
                y = outcome(op.apply, [x if i == slot else a for i, a in enumerate(others)], params)
                if isinstance(y, Exception):
                    break
                with silently():
                    gradients.append(tn.gradients(y, [x], np.ones(y.shape))[0])
            if len(gradients) == 2:
                np.testing.assert_allclose(*gradients, rtol=1e-12)


def test_small_integers_do_not_wrap():
    small = np.array([0, 1, 2], np.uint8)
    np.testing.assert_allclose(tn.sigmoid(small), [0.5, 0.731, 0.881], rtol=1e-3)
    np.testing.assert_allclose(tn.softmax(small), [0.0900, 0.2447, 0.6652], rtol=1e-2)
    assert tn.l1_loss(np.array([0], np.uint8), np.array([1], np.uint8)) == 1
    assert tn.mse(np.array([100, 1], np.uint8), np.array([0, 0], np.uint8)) == 5000.5
    assert tn.norm(np.array([200, 100], np.uint8)) == np.linalg.norm([200.0, 100.0])
    assert tn.sigmoid(np.array(3, np.int16)).dtype == np.exp(np.array(3, np.int16)).dtype == np.float32


@pytest.mark.parametrize("loss", [tn.mse, tn.l1_loss, tn.huber_loss, tn.binary_cross_entropy, tn.cross_entropy])
def test_a_loss_in_float16_overflows_only_where_its_mean_does(loss):
    big, target = np.full((2, 3000), 60.0), np.zeros((2, 3000))
    target[0] = loss in (tn.binary_cross_entropy, tn.cross_entropy)
    big[0] *= -1
    found = loss(big.astype(np.float16), target.astype(np.float16))
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, loss(big, target), rtol=1e-3)
    x = tn.tensor(big.astype(np.float16), requires_grad=True)
    loss(x, target.astype(np.float16)).backward()
    assert x.grad.dtype == np.float16
    assert np.isfinite(x.grad).all()
    assert loss(big.astype(np.float32), target.astype(bool)).dtype == np.float32
    assert loss(x, target.astype(np.int8)).dtype == np.float16


# --- parameters that user code may change later -----------------------------------------------------------------------


def changeable(value):
    """A parameter in the forms that can be changed in place, each with what changes it."""
    if isinstance(value, float) or (isinstance(value, tuple) and value and all(type(v) is int for v in value)):
        array = np.array(value)
        yield array, lambda: array.fill(0)
    if isinstance(value, tuple):
        given = list(value)
        yield given, given.reverse


@every([op for op in DIFFERENTIABLE if op in PUBLIC and op.bind is None])
def test_a_parameter_changed_later_changes_no_gradient(op):
    for arrays, params in cases(op):
        for name, value in {**op.defaults, **params}.items():
            for new, change in changeable(value):
                x = tn.tensor(arrays[0], requires_grad=True)
                y = outcome(op, x, *arrays[1:], **{**params, name: new})
                if isinstance(y, Exception):  # not every form is valid
                    continue
                change()
                expected = op(x, *arrays[1:], **{**params, name: value})
                seed = np.random.default_rng(0).normal(size=y.shape)
                np.testing.assert_allclose(tn.gradients(y, [x], seed), tn.gradients(expected, [x], seed))
