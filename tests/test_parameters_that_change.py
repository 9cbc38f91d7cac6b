"""Parameters that are arrays or lists, and change between forward and backward: what was recorded stays."""

import warnings

import numpy as np
import pytest
from test_ops import ALL, CALLS, cases, is_float

import tinygrad_nn as tn
from tinygrad_nn import tree
from tinygrad_nn.operation import BY_NAME

NUMBERS = (bool, int, float, np.number, np.bool_)


def leaves(arrays, form):
    return [tn.tensor(a, requires_grad=True) if is_float(a) and a is not form else a for a in arrays]


def is_node(x):
    return isinstance(x, (tuple, list, dict, slice))


def paths(param, path=()):
    """Where there are numbers in a parameter, or tuples of them."""
    if isinstance(param, NUMBERS):
        yield path
    elif isinstance(param, (tuple, list)) and len(param):
        if all(isinstance(part, NUMBERS) for part in param):
            yield path
        for i, part in enumerate(param):
            yield from paths(part, (*path, i))
    elif isinstance(param, slice):
        for i in ("start", "stop", "step"):
            yield from paths(getattr(param, i), (*path, i))


def changed(param, path, make):
    """The parameter with what is at the path made by `make`."""
    if not path:
        return make(param)
    if isinstance(param, slice):
        parts = {name: getattr(param, name) for name in ("start", "stop", "step")}
        parts[path[0]] = changed(parts[path[0]], path[1:], make)
        return slice(*parts.values())
    parts = list(param)
    parts[path[0]] = changed(parts[path[0]], path[1:], make)
    return type(param)(parts)


def forms(value):
    """The value in things that can change: an array, or a list."""
    yield np.array(value)
    if isinstance(value, (tuple, list)):
        yield list(value)


def disturb(array):
    """Whatever it was, it is something else; and in range for most."""
    if isinstance(array, list):
        array.clear()
    elif array.dtype.kind == "b":
        np.logical_not(array, out=array)
    else:
        array[...] = array + 1 if array.dtype.kind == "f" else np.where(array == 0, 1, 0)


def recorded(call, arrays, kwargs, form=None):
    """The tensors that are made of leaves, and a function that says what backward gives for each of those."""
    given = leaves(arrays, form)
    results = [y for y in tree.leaves([call(*given, **kwargs)]) if isinstance(y, tn.Tensor) and y.requires_grad]
    values = [y.numpy() for y in results]

    def gradients():
        for y in results:
            y.backward(np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype))
        return values, [g.grad for g in given if isinstance(g, tn.Tensor)]

    return gradients


def same(a, b):
    return all(
        (x is None and y is None) or np.array_equal(x, y, equal_nan=True)
        for parts in zip(a, b, strict=True)
        for x, y in zip(*parts, strict=True)
    )


def given_otherwise(args, kwargs):
    """Each call with one parameter in a form that can change, and what can; twice."""
    for key, value in [*enumerate(args), *kwargs.items()]:
        for path in () if is_float(value) else paths(value):
            inner = value
            for i in path:
                inner = getattr(inner, i) if isinstance(inner, slice) else inner[i]
            for pair in zip(forms(inner), forms(inner), strict=True):
                yield [_with(args, kwargs, key, changed(value, path, lambda _, form=form: form), form) for form in pair]


def _with(args, kwargs, key, new, form):
    if isinstance(key, str):
        return args, kwargs | {key: new}, form
    return (*args[:key], new, *args[key + 1 :]), kwargs, form


def check(call, args, kwargs):
    """What changes later changes nothing; a single number as an array is that number, and others may be refused."""
    if not any(map(is_float, args)):
        return
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        plain = recorded(call, args, kwargs)()
        for (a, k, form), other in given_otherwise(args, kwargs):
            single = not isinstance(form, list) and not form.ndim
            try:
                gradients = recorded(call, a, k, form)
            except (TypeError, ValueError, IndexError):
                assert not single, f"{form!r} is refused, and {form.item()} is not"
                continue
            disturb(form)
            assert same(gradients(), plain if single else recorded(call, *other)()), (a, k)


CALLED = {
    "index_update": lambda x, values, index: tn.index_update(x, index, values),
    "concatenate": lambda *arrays, **params: tn.concatenate(arrays, **params),
    "stack": lambda *arrays, **params: tn.stack(arrays, **params),
    "einsum": lambda *arrays, subscripts, **params: tn.einsum(subscripts, *arrays, **params),
    "polygamma": lambda x, n: tn.polygamma(n, x),
}


def call_of(op):
    """As it is called: what `bind` makes of parameters is not given by anybody."""
    return CALLED.get(op.name) or (op if op.bind is not None else lambda *a, **k: op.apply(a, k))


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_of_every_operation_may_change_afterwards(name):
    for arrays, params in cases(ALL[name]):
        check(call_of(ALL[name]), arrays, params)


@pytest.mark.parametrize("name", CALLS)
def test_every_parameter_of_every_call_may_change_afterwards(name):
    for args, kwargs in CALLS[name]:
        check(BY_NAME[name], args, kwargs)


@pytest.mark.parametrize(
    "make", [np.array, lambda k: np.asarray(k, np.int8), lambda k: np.ma.array(k)], ids=["i8", "i1", "masked"]
)
def test_numbers_in_slices_and_tuples_are_those_of_the_call(make):
    def gradient(change):
        x, k = tn.tensor(np.arange(12.0).reshape(3, 4), requires_grad=True), make(1)
        parts = [
            x[:k],
            x[k, :],
            x[..., k:],
            x[:, ::k],
            x[(k, k)],
            x[[0, 2], :k],
            tn.sum(x, (0, k)),
            tn.roll(x, (k, 0), (0, k)),
        ]
        k += change
        for part in parts:
            part.backward(np.ones(part.shape))
        return x.grad.tolist()

    assert gradient(2) == gradient(0)
