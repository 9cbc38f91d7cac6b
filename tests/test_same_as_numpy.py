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
