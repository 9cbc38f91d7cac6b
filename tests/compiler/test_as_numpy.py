"""NumPy's functions in a compiled step do what NumPy does: dtype, digits and errors, however they are called."""

import itertools

import numpy as np
import pytest

import tinygrad_nn as tn


def outcome(f, args):
    """What a call gives, to the last bit, or the kind of error that it raises."""
    given = [np.array(x, order="K") if type(x) is np.ndarray and x.flags.owndata else x for x in args]
    try:
        with np.errstate(all="ignore"):
            result = f(*given)
    except tn.CompileError:
        raise
    except Exception as error:
        return type(error).__name__, [x.tobytes() if isinstance(x, np.ndarray) else x for x in given]
    several = result if isinstance(result, tuple) else (result,)
    seen = [np.asarray(x) for x in (*several, *given)]
    return [(x.dtype.str, x.shape, np.where(np.isnan(x), np.nan, x).tobytes()) for x in seen]


def check(f, *calls):
    """The same, recorded and replayed."""
    step = tn.compile(f, audit=False)
    for args in calls:
        assert outcome(step, args) == outcome(f, args)


def layouts(dtype):
    """Arrays of a dtype, laid out in different ways, with zeros of either sign."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3, 4, 10)) * 3
    x[0, 0, :4] = [-0.0, 0.0, -1.0, 1.0]
    x = x.astype(dtype)
    return {
        "matrix": x[0], "vector": x[0, 0], "columns": np.asfortranarray(x[0]), "transposed": x[0].T,
        "backwards": x[0, 0][::-1], "every_second": x[0, :, ::2], "number": x[0, 1, 0],
        "no_dimensions": np.array(x[0, 1, 0]),
    }  # fmt: skip


DTYPES = ["float64", "float32", "float16", "int64", "int8", "bool"]
LAYOUTS = [*layouts("float64")]
REDUCTIONS = [np.sum, np.prod, np.max, np.min, np.any, np.all, np.mean, np.var, np.std]
WAYS = {  # of calling a reduction
    "plain": ((), {}), "axis": ((0,), {}), "last": ((-1,), {}), "axes": (((0, 1),), {}), "no_axes": (((),), {}),
    "keepdims": ((), {"axis": 0, "keepdims": True}), "none": ((None, None, None), {}), "float32": ((0, np.float32), {}),
    "dtype": ((), {"dtype": np.float64}), "initial": ((), {"initial": 2}), "wrong_axis": ((7,), {}),
    "where": ((), {"where": np.array(True)}), "ddof": ((0, None, None, 1), {}), "ddof_too_large": ((), {"ddof": 99}),
    "ddof_of_numpy": ((), {"ddof": np.int64(1)}), "correction": ((), {"correction": 1}), "unknown": ((), {"foo": 1}),
    "too_many": ((0, None, None, 0, False, 0, True, 1), {}), "twice": ((0,), {"axis": 0}),
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("func", REDUCTIONS, ids=lambda f: f.__name__)
def test_reductions(func, dtype):
    some = [layouts(dtype)[name] for name in ("matrix", "transposed", "every_second", "backwards", "number")]
    for x, (args, kwargs) in itertools.product(some, WAYS.values()):
        check(lambda a: func(a, *args, **kwargs), [x])  # noqa: B023
        check(lambda a: getattr(a, func.__name__)(*args, **kwargs), [x])  # noqa: B023


@pytest.mark.parametrize("func", [np.dot, np.vdot, np.inner, np.matmul, np.outer], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", DTYPES[:5])
def test_products(func, dtype):
    numbers = (100, 0.1, True, np.float32(0.1), np.int8(3))
    own = [*layouts(dtype).values()]
    for a, b in itertools.product(own, [*own, *numbers]):
        if isinstance(b, (int, float)):
            check(lambda a: func(a, b), [a])  # noqa: B023
            check(lambda a: func(b, a), [a])  # noqa: B023
        else:
            check(func, [a, b])
    for a, other in zip(own, layouts("float32").values(), strict=True):
        check(func, [a, other])


def test_products_of_strided_vectors():
    """Their last bit depends on the values: many of them."""
    f = tn.compile(lambda u, v: (np.dot(u, v), np.vdot(u, v), u.dot(v)), audit=False)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        u, v = rng.normal(size=3)[::-1], rng.normal(size=3)
        assert f(u, v) == (np.dot(u, v), np.vdot(u, v), u.dot(v))


BOUNDS = [(0, 1), (0.0, 1.0), (-0.0, 0.0), (None, 1), (-1, None), (None, None), (2, -2), (np.nan, 1), (-1000, 1000),
          (np.float32(0.1), np.float64(0.7)), (np.array([0.0]), 1)]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_clip(dtype):
    for x, (low, high) in itertools.product(layouts(dtype).values(), BOUNDS):
        check(lambda a: np.clip(a, low, high), [x])  # noqa: B023
        check(lambda a: a.clip(low, high), [x])  # noqa: B023
        check(lambda a: np.clip(a, min=low, max=high), [x])  # noqa: B023


OF_LAYOUT = {
    "copy": lambda a: np.copy(a).sum(0), "copy_order": lambda a: np.copy(a, "C").sum(0),
    "own_copy": lambda a: a.copy().sum(0),
    "copy_of_transpose": lambda a: a.T.copy().sum(0), "copy_f": lambda a: a.copy("F").sum(1),
    "keep": lambda a: a.copy("K").sum(0),
    "reshape": lambda a: a.reshape(-1, order="F"), "reshape_tuple": lambda a: a.reshape((-1, 1), order="F"),
    "np_reshape": lambda a: np.reshape(a, -1, "F"), "ravel": lambda a: a.ravel("F"),
    "np_ravel": lambda a: np.ravel(a, order="K"),
    "flatten": lambda a: a.flatten("F"), "astype": lambda a: a.astype(np.float32, "F").sum(1),
    "safe": lambda a: a.astype(np.int8, casting="safe"), "same_kind": lambda a: a.astype(np.float32, "K", "same_kind"),
    "wrong": lambda a: a.reshape(7, 99), "transpose": lambda a: a.transpose(),
    "transpose_axes": lambda a: a.transpose((0,)),
    "swapaxes": lambda a: a.swapaxes(0, -1), "squeeze": lambda a: a.squeeze(0), "repeat": lambda a: a.repeat(2, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_LAYOUT)
def test_layouts(name):
    for dtype in DTYPES:
        for x in layouts(dtype).values():
            if isinstance(x, np.ndarray):
                check(OF_LAYOUT[name], [x], [x])


def in_place(change):
    def step(a):
        c = a.copy()
        returned = change(c)
        return (c,) if returned is None else (c, returned)

    return step


def augmented(operator, other):
    space = {}
    exec(f"def change(c):\n    c {operator}= other\n    return c", {"other": other}, space)
    return space["change"]


IN_PLACE = {
    f"{operator}={other!r}": augmented(operator, other)
    for operator in ("+", "-", "*", "/", "//", "%", "**", "&", "<<")
    for other in (0.5, 2, True, np.float32(0.5), np.ones(4), np.ones((2, 3, 4)))
} | {
    "add_out": lambda c: np.add(c, 0.5, out=c),
    "add_out_in_place": lambda c: np.add(c, 1, c),
    "add_out_cast": lambda c: np.add(c, 0.5, out=c, casting="unsafe"),
    "add_out_dtype": lambda c: np.add(c, 1, out=c, dtype=np.float64),
    "where": lambda c: np.multiply(c, 2, out=c, where=c > 0),
    "where_cast": lambda c: np.multiply(c, 0.5, out=c, where=c > 0),
    "sum_out": lambda c: np.sum(np.ones((3, 4, 10)), 0, None, c),
    "sum_method_out": lambda c: (c * 2).cumsum(0, None, c) if c.ndim else None,
    "max_out": lambda c: np.max(c * 1, 0, out=c[0]) if c.ndim else None,
    "clip_out": lambda c: np.clip(c, 0, 1, c),
    "clip_method_out": lambda c: c.clip(0, 1, c),
    "dot_out": lambda c: np.dot(c, 2, out=c),
    "round_out": lambda c: np.round(c, 0, c),
    "cumsum_out": lambda c: np.cumsum(c, 0, out=c) if c.ndim else None,  # NumPy 2.4 crashes
    "reduce_out": lambda c: np.add.reduce(np.ones((3, *c.shape)), 0, None, c),
    "wrong_shape_out": lambda c: np.add(np.ones((5, 5)), 1, out=c),
    "assign": lambda c: c.__setitem__(Ellipsis, 0.7),
    "assign_more_axes": lambda c: c.__setitem__(Ellipsis, np.full((1, 1, *c.shape), 0.7)),
    "assign_too_many": lambda c: c.__setitem__(Ellipsis, np.full((2, 1, *c.shape), 0.7)),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_changes_in_place(name):
    for dtype in DTYPES[:5]:
        for layout in ("transposed", "vector", "no_dimensions"):
            x = layouts(dtype)[layout]
            check(in_place(IN_PLACE[name]), [x], [x[...] if x.ndim else x])


def test_functions_that_write_into_several_arrays_are_refused():
    with pytest.raises(tn.CompileError, match=r"writes into several arrays .*: take what it returns"):
        tn.compile(lambda x: np.modf(x, out=(np.empty(2), np.empty(2))))(np.ones(2))


def test_real_and_imaginary_parts_of_a_spectrum():
    """A transform gives complex numbers, whose parts a step takes apart."""
    step = tn.compile(lambda x: (tn.rfft_parts(x), tn.irfft_parts(*tn.rfft_parts(x))))
    for i in range(4):
        x = np.random.default_rng(i).normal(size=8)
        parts, back = step(x)
        z = np.fft.rfft(x)
        np.testing.assert_array_equal(np.stack(parts), np.stack([z.real, z.imag]))
        np.testing.assert_allclose(back, x)
