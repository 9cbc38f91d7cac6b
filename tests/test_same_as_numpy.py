"""What NumPy's functions make of odd arguments, ours make of them on tensors: the value, the dtype, or an error.

The calls are those of the tables and of `numpy_calls`, with one argument after the other made odd.
"""

import inspect
import warnings

import numpy as np
import pytest
from test_ops import CALLS, as_called

import tinygrad_nn as tn
from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, Op
from tinygrad_nn.samples import samples_of

pytestmark = pytest.mark.filterwarnings("ignore")


def outcome(function, args, kwargs):
    """What it returns, or the error that it raises; nothing that passes for neither."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)
    except (ValueError, IndexError, TypeError, ZeroDivisionError) as refused:
        return refused


def calls_of(entry, name):
    """Arguments and keywords that the function takes."""
    if isinstance(entry, Op):
        return [as_called(entry, *sample) for sample in samples_of(entry)]
    return CALLS.get(name, [])


def parameters_of(function):
    try:
        return inspect.signature(function).parameters
    except ValueError:  # functions in C that do not tell
        return {}


ENTRIES = {name: entry for name, entry in BY_NAME.items() if calls_of(entry, name)}
NUMPY = {}  # of several functions the one that takes most
for function, entry in BY_FUNCTION.items():
    NUMPY[entry] = max(NUMPY.get(entry, function), function, key=lambda f: len(parameters_of(f)))


def with_argument(entry, parameter, value, args, kwargs):
    """The call with another value of this parameter."""
    names = list(inspect.signature(entry).parameters.values())
    at = [p.name for p in names].index(parameter)
    if names[at].kind is inspect.Parameter.KEYWORD_ONLY or at >= len(args):
        return args, {**kwargs, parameter: value}
    return (*args[:at], value, *args[at + 1 :]), kwargs


# --- axes ------------------------------------------------------------------------------------------------------------

AXES = ("axis", "axes", "axisa", "axisb", "axisc", "axis1", "axis2", "source", "destination")
ODD_AXES = (7, -9, (0, 0), (0, 7), (0, -9))
AXIS_CALLS = [
    pytest.param(name, parameter, odd, id=f"{name} {parameter}={odd}")
    for name, entry in ENTRIES.items()
    for parameter in AXES
    for odd in ODD_AXES
    if parameter in inspect.signature(entry).parameters and (entry in NUMPY or not name.startswith("_"))
]


@pytest.mark.parametrize(("name", "parameter", "odd"), AXIS_CALLS)
def test_axes_that_there_are_not_are_refused(name, parameter, odd):
    """As NumPy refuses them; what NumPy does not have refuses them all."""
    entry = ENTRIES[name]
    numpy = NUMPY.get(entry)
    for args, kwargs in calls_of(entry, name):
        args, kwargs = with_argument(entry, parameter, odd, args, kwargs)
        tensors = [tn.tensor(a) if isinstance(a, np.ndarray) else a for a in args]
        known = numpy is not None and parameter in parameters_of(numpy)
        expected = outcome(numpy, args, kwargs) if known else np.exceptions.AxisError("none such")
        for got in (outcome(entry, args, kwargs), outcome(numpy, tensors, kwargs) if known else expected):
            assert isinstance(got, Exception) == isinstance(expected, Exception), (args, kwargs)


def test_where_an_axis_is_rolled_to():
    x = np.zeros((2, 3, 4))
    for start in range(-9, 9):
        expected, got = outcome(np.rollaxis, (x, 1, start), {}), outcome(tn.rollaxis, (x, 1, start), {})
        assert np.shape(got) == np.shape(expected), start
        assert isinstance(got, np.exceptions.AxisError) == isinstance(expected, Exception)


# --- odd arrays and parameters ---------------------------------------------------------------------------------------

inf, nan = np.inf, np.nan
ODD_ARRAYS = {
    "a number": np.array(2.5), "nothing": np.zeros(0), "no row": np.zeros((0, 3)), "no column": np.zeros((2, 0)),
    "one": np.array([1.5]), "inf": np.array([inf, 1.0, 2.0]), "-inf": np.array([1.0, -inf, 2.0]),
    "infs": np.array([inf, inf, -inf]), "nan": np.array([1.0, nan, 3.0]), "nans": np.array([nan, nan]),
    "inf and nan": np.array([[inf, nan, 1.0], [0.0, -0.0, 2.0]]), "whole": np.array([3, 1, 2]),
    "bytes": np.array([3, 1, 2], np.uint8), "bools": np.array([True, False, True]),
    "half": np.array([1, 2, 3], np.float16), "single": np.array([[1, 2, 3], [4, 5, 7]], np.float32),
    "zeros": np.zeros((2, 2)), "singular": np.ones((2, 2)), "three axes": np.arange(12.0).reshape(2, 2, 3),
}  # fmt: skip
ODD_PARAMETERS = {
    "q": (-0.1, 0, 1.0, 1.2, nan, -10, 200, [0.0, 1.0], np.array([0.3]), np.float64(0.3), []),
    "n": (-1, 0, 1, 2, 7), "num": (-1, 0, 1, 2), "minlength": (-1, 0, 9), "edge_order": (1, 2, 3),
    "ddof": (0, 1, 2, 5), "correction": (1, 5), "initial": (0, 2.5, -inf), "dtype": (bool, np.int8, np.float32),
    "keepdims": (True,), "rcond": (0.5,), "k": (-9, 9), "offset": (-9, 9),
}  # fmt: skip

# Where we differ, on purpose or not yet alike: an answer where NumPy has none, none where it has one, another one.
ANSWERS = {
    "of bools and unlike dtypes": """quantile percentile nanquantile nanpercentile cov corrcoef ediff1d
        _logaddexp_reduce _logaddexp_accumulate""",
    "of arrays that NumPy finds too deep, too flat or too short": """convolve correlate outer _outer_of_vectors
        matvec vecmat average inner geomspace vsplit multi_dot diag tensorinv norm vector_norm _matrix_norm cross""",
}
NO_ANSWER = {
    "not here": "positive _real cross resize trapezoid apply_along_axis cov var std",
    "of matrices without a number, or an inverse": "cond _matrix_norm norm",
}
ANOTHER = {
    "the zeros around are multiplied, too": "convolve correlate",
    "by another formula at infinities": "geomspace logspace i0 interp",
    "half precision goes by way of single; exact near 0": "sinc logaddexp2 std nanmean nanstd nanvar mean var",
    "a share that falls on an element is this element": "quantile percentile",
    "the order within the parts": "partition argpartition",
    "computed in float64": "fftshift ifftshift unwrap cov corrcoef",
}


def names_in(table):
    return {name for names in table.values() for name in names.split()}


def difference(got, expected):
    """ "answers", "does not answer", or how the answer differs; None where it does not."""
    if isinstance(got, Exception) or isinstance(expected, Exception):
        ours, theirs = (isinstance(y, Exception) for y in (got, expected))
        return None if ours == theirs else f"does not answer: {got}" if ours else f"answers: {expected}"
    several = isinstance(expected, (list, tuple))
    for y, e in zip(got if several else [got], expected if several else [expected], strict=True):
        y, e = np.asarray(y.value if isinstance(y, tn.Tensor) else y), np.asarray(e)
        if (y.shape, y.dtype) != (e.shape, e.dtype):
            return f"{y.dtype}{y.shape} is not {e.dtype}{e.shape}"
        loose = e.dtype.kind == "f" and 8 * float(np.finfo(e.dtype).eps)
        if not np.allclose(
            y.astype(float), e.astype(float), rtol=max(loose, 1e-9), atol=max(loose, 1e-9), equal_nan=True
        ):
            return f"{y.tolist()} is not {e.tolist()}"
    return None


def compare(name, args, kwargs):
    """NumPy's function on arrays, and on a tensor in the place of the first of them."""
    first = next(i for i, a in enumerate(args) if isinstance(a, np.ndarray))
    tensors = [tn.tensor(a) if i == first else a for i, a in enumerate(args)]
    numpy = NUMPY[ENTRIES[name]]
    found = difference(outcome(numpy, tensors, kwargs), outcome(numpy, args, kwargs))
    if found is None:
        return
    table = ANSWERS if found.startswith("answers") else NO_ANSWER if found.startswith("does not") else ANOTHER
    assert name in names_in(table), (found, args, kwargs)


KNOWN = [name for name, entry in ENTRIES.items() if entry in NUMPY]


@pytest.mark.parametrize("name", KNOWN)
def test_odd_arrays(name):
    for args, kwargs in calls_of(ENTRIES[name], name)[:4]:
        for i, given in enumerate(args):
            for odd in ODD_ARRAYS.values() if isinstance(given, np.ndarray) and given.dtype.kind == "f" else ():
                compare(name, (*args[:i], odd, *args[i + 1 :]), kwargs)


@pytest.mark.parametrize("name", KNOWN)
def test_odd_parameters(name):
    entry = ENTRIES[name]
    for parameter in ODD_PARAMETERS.keys() & inspect.signature(entry).parameters & parameters_of(NUMPY[entry]).keys():
        for args, kwargs in calls_of(entry, name):
            for odd in ODD_PARAMETERS[parameter]:
                if any(isinstance(a, np.ndarray) for a in args):
                    compare(name, *with_argument(entry, parameter, odd, args, kwargs))


# --- tensors where arrays decide -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENTRIES)
def test_a_constant_tensor_may_take_the_place_of_every_array(name):
    """Of indices, shares, conditions and weights, too."""
    entry = ENTRIES[name]
    for args, kwargs in calls_of(entry, name):
        expected = outcome(entry, args, kwargs)
        for i, given in enumerate(args):
            if isinstance(given, np.ndarray):
                got = outcome(entry, (*args[:i], tn.tensor(given), *args[i + 1 :]), kwargs)
                assert difference(got, expected) is None, (i, args, kwargs)


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("block", "lstsq")])
def test_within_vmap_nothing_asks_itself(name):
    """Numbers that differ from example to example decide nothing: then one example comes after the other."""
    entry = ENTRIES[name]
    for args, kwargs in CALLS[name]:
        at = next((i for i, a in enumerate(args) if isinstance(a, np.ndarray)), None)
        expected = outcome(entry, args, kwargs)
        if at is None or isinstance(expected, Exception):
            continue
        examples = np.stack([args[at], args[at]])
        got = tn.vmap(lambda x, at=at, args=args, kwargs=kwargs: entry(*args[:at], x, *args[at + 1 :], **kwargs))(
            examples
        )
        several = isinstance(expected, (list, tuple))
        for y, e in zip(got if several else [got], expected if several else [expected], strict=True):
            np.testing.assert_allclose(y, np.stack([e, e]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda x: np.median(x, axis=7), np.exceptions.AxisError,
         "median: x has shape (2, 3): axis 7 is out of bounds for array of dimension 2"),
        (lambda x: np.gradient(x, axis=(0, 0)), ValueError,
         "gradient: axis=(0, 0) names an axis twice, which x of shape (2, 3) has once"),
        (lambda x: np.rollaxis(x, 0, 5), np.exceptions.AxisError,
         "rollaxis: start=5; expected -2 to 2, the places that axes have"),
        (lambda x: np.nanquantile(x, -0.1), ValueError, "nanquantile: q=-0.1; expected shares from 0 to 1"),
        (lambda x: np.percentile(x, [50, nan]), ValueError, "percentile: q=[50.0, nan]; expected shares from 0 to 100"),
        (lambda x: np.diff(x, -1), ValueError,
         "diff: n=-1; expected how often to take differences, 0 or more"),
        (lambda x: np.gradient(x, np.arange(3.0)), TypeError,
         "gradient: 1 spacings for 2 axes: give one number, or one spacing for each axis"),
        (lambda x: np.gradient(x, np.arange(3.0), axis=0), ValueError,
         "gradient: a spacing has shape (3,), axis 0 has 2 elements: give a number, or a vector"),
        (lambda x: np.gradient(x, edge_order=3), ValueError, "gradient: edge_order=3; expected 1 or 2"),
        (lambda x: np.interp(x, [0.0, 1.0], [1.0]), tn.ShapeError,
         "interp: xp has shape (2,), fp has shape (1,); expected two vectors of one length, not 0"),
        (lambda x: np.linspace(x, 1.0, -1), ValueError,
         "linspace: num is -1; expected a number of elements, 0 or more"),
        (lambda x: np.vecdot(x, np.ones(2)), tn.ShapeError,
         "vecdot: a has 3 elements along axis -1, b has 2: they must be as many"),
        (lambda x: np.add.accumulate(x[0, 0]), TypeError,
         "add.accumulate: a single number has no axis to accumulate along: x.reshape(1) has one"),
        (lambda x: np.std(x, dtype=int), TypeError,
         "std: dtype=int64; expected a floating-point dtype, and the result rounded"),
        (lambda x: np.var(x, ddof=1, correction=1), ValueError,
         "var: ddof=1 and correction=1 are two names of one parameter: give one"),
        (lambda x: np.linalg.matrix_power(x, 2), np.linalg.LinAlgError,
         "matrix_power: x has shape (2, 3); expected square matrices, of which alone there are powers"),
        (lambda x: np.bincount([1, 1], x[0]), tn.ShapeError,
         "bincount: x has shape (2,), weights has shape (3,): give one weight for each place"),
    ],
)  # fmt: skip
def test_what_is_refused_is_said(call, error, said):
    with pytest.raises(error) as refused:
        call(tn.tensor(np.ones((2, 3)), requires_grad=True))
    assert str(refused.value) == said
