"""NumPy's parameters: each is taken or listed, gives what NumPy gives, and is refused where NumPy refuses it."""

import inspect
import re
import warnings

import numpy as np
import pytest
from test_numpy_names import NUMERICS

import tinygrad_nn as tn
from tinygrad_nn.numpy_protocol import NEUTRAL
from tinygrad_nn.operation import BY_FUNCTION

F = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])
N = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 6.0]])
V, W = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 2.0])
P, MASK, B, EMPTY, ONE = F / 3, F > 1.5, F > 2, np.zeros(0), np.array(2.0)
K = np.array([1, 6])


def leaf(x):
    return tn.tensor(x, requires_grad=x.dtype.kind == "f")


def outcome(call, kind):
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(kind)
    except (ValueError, TypeError, IndexError, ZeroDivisionError) as refused:
        return refused


def called(text):
    """The call that a text describes, where t(...) makes the operand of an array."""
    return eval(f"lambda t: {text}", globals())


# --- signatures ------------------------------------------------------------------------------------------------------


def taken_by_numpy(function):
    """The names of the optional parameters of a NumPy function."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # before NumPy 2.4, some functions in C do not tell
        return set()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name for p in parameters if p.kind in named and p.default is not p.empty}


def listed():
    """(function, parameter) of the list in docs/numerics.md, and parameters listed for all functions."""
    section = NUMERICS.read_text("utf-8").partition("is in\nthis list:")[2].partition("### Not here")[0]
    pairs = set()
    for entry in re.findall(r"^- (.*?)(?=^- |^What |\Z)", section, re.M | re.S):
        names = re.findall(r"`(?:np\.)?(\w+)`", entry)
        pairs |= {(name, parameter) for parameter in re.findall(r"`(\w+)=", entry) for name in [*names, None]}
    return pairs


FUNCTIONS = [f for f in BY_FUNCTION if not isinstance(f, np.ufunc)]
UFUNCS = [f for f in BY_FUNCTION if isinstance(f, np.ufunc) and f.signature is None]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f"{f.__module__}.{f.__qualname__}")
def test_every_parameter_of_numpy_is_taken_or_listed_with_its_reason(function):
    ours = inspect.signature(BY_FUNCTION[function]).parameters
    takes = {"initial", "where"} if any(p.kind is p.VAR_KEYWORD for p in ours.values()) else set()  # of ufunc.reduce
    missing = taken_by_numpy(function) - ours.keys() - takes - NEUTRAL - {"out"}
    assert {name for name in missing if (function.__name__, name) not in listed()} == set()


@pytest.mark.parametrize("function", UFUNCS, ids=lambda f: f.__name__)
def test_every_ufunc_takes_the_parameters_of_loops(function):
    args = [leaf(P / 2 + 0.5)] + [P / 3 + 0.4] * (function.nin - 1)
    if not any("d" in types.partition("->")[0][-1] for types in function.types):  # of whole numbers, or by one
        args = [tn.tensor(K), K][: function.nin]
    several = function.nout > 1
    with np.errstate(all="ignore"):
        expected = function(*[getattr(a, "value", a) for a in args])
        for further in ({"where": True}, {"casting": "same_kind"}, {"order": "C", "subok": True}, {"dtype": None}):
            y = function(*args, **further)
            pairs = zip(y, expected, strict=True) if several else [(y, expected)]
            for got, e in pairs:
                np.testing.assert_allclose(got.value, e, rtol=1e-14)
    with pytest.raises(
        TypeError, match=rf"^np\.{function.__name__} with where= computes a part .*: np\.where\(mask, np\."
    ):
        function(*args, where=args[0].value > 0)
    if args[0].requires_grad and function.nout == 1:
        with pytest.raises(TypeError, match="with where= computes a part of the elements"):
            function(*args, where=args[0].value > 0, out=np.zeros(F.shape))


# --- what they give --------------------------------------------------------------------------------------------------

NAN = [
    f"np.{name}(t(N), {further})"
    for name in ("nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin")
    for further in ("axis=1", "1, None", "keepdims=True", "initial=9.0", "initial=-9.0, axis=0, where=MASK",
                    "where=MASK",
                    "dtype=np.float32", "0, np.float32", "correction=1", "axis=1, mean=np.nanmean(N, 1, keepdims=True)",
                    "0, None, None, 1")
    if not ("initial" in further and name in ("nanmean", "nanvar", "nanstd"))
    and not ("dtype" in further or "float32" in further) * (name in ("nanmax", "nanmin"))
    and not ("correction" in further or "mean=" in further or ", 1" in further) * (name not in ("nanvar", "nanstd"))
]  # fmt: skip
OF_UFUNCS = [
    f"np.{name}.{call}"
    for name in ("subtract", "divide", "fmax", "fmin", "hypot", "logaddexp", "add", "multiply", "maximum",
                 "minimum", "remainder", "logical_xor")
    for call in ("reduce(t(P))", "reduce(t(P), axis=1)", "reduce(t(P), axis=-1, keepdims=True)", "reduce(t(ONE))",
                 "reduce(t(P), initial=2.0)", "reduce(t(P), where=MASK, initial=1.0)", "reduce(t(P), axis=None)",
                 "reduce(t(P[0]), axis=None)", "reduce(t(P[:0]))", "reduce(t(P), axis=5)", "accumulate(t(P))",
                 "accumulate(t(P), axis=1)", "accumulate(t(ONE))", "accumulate(t(P[:0]))", "outer(t(V), W)")
]  # fmt: skip
CALLS = (
    NAN
    + OF_UFUNCS
    + """
np.nanmax(t(N * np.nan), initial=2.0)
np.nanmax(t(N[:0]), axis=0, initial=2.0)
np.nanvar(t(np.array([np.inf, 1.0, 2.0])))
np.nanvar(t(np.array([1.0, 2.0])), ddof=3)
np.max(t(EMPTY), initial=0)
np.min(t(F[:0]), axis=0, initial=0)
np.var(t(EMPTY), correction=1)
np.ptp(t(F), 0, None, True)
np.median(t(F), 0, None, False, True)
np.quantile(t(F), 0.3, 0, None, False, "lower")
np.add(t(F), np.float64(2), dtype=np.float32)
np.add(t(F), 1.5, dtype=int, casting="unsafe")
np.add(t(F), 1.5, dtype=int)
np.exp(t(F), signature="f->f", casting="same_kind")
np.exp(t(F), dtype=np.float32, casting="no")
np.divmod(t(F), 2.0, dtype=np.float32)
np.matmul(t(F), F.T, dtype=np.float32)
np.vecdot(t(F), F, axis=0)
np.concatenate([t(F), F], dtype=np.float32)
np.concatenate([t(F), F], dtype=int)
np.concatenate([t(F), F], dtype=int, casting="unsafe")
np.concatenate([t(F), F.astype(np.float32)], casting="no")
np.concatenate([t(F), F], None, None)
np.stack([t(F), F], 1, dtype=np.float32)
np.hstack([t(F), F], dtype=np.float32)
np.vstack([t(V), V], dtype=np.float32, casting="unsafe")
np.reshape(t(F), (3, 2), copy=True)
np.reshape(t(F), (3, 2), order="F", copy=False)
np.clip(t(F), 2, 4, dtype=np.float32)
np.trace(t(F), 0, 0, 1, np.float32)
np.einsum("ij->j", t(F), out=None, order="F")
np.einsum("ij->j", t(F), dtype=np.float32)
np.einsum("ij->j", t(F), dtype=np.float32, casting="same_kind")
np.resize(t(EMPTY), (2, 3))
np.logspace(t(ONE), 2.5, 3, base=np.array([2.0, 3.0]))
np.logspace(t(V), W, 3, base=V, axis=-1)
np.piecewise(t(V), [True, False, True], [lambda x: x**2, 7.0])
np.piecewise(t(V), [V > 1, V <= 1], [lambda x: x**2, -1])
np.convolve(t(V), W, 0)
np.convolve(t(V), W, 1)
np.correlate(t(V), W, 2)
np.vander(t(V), 0)
np.bincount([], t(EMPTY))
np.bincount(np.array([], int), t(EMPTY), minlength=3)
np.real(t(B))
np.conj(t(B))
np.real_if_close(t(F), tol=10)
t(K) << 1
8 >> t(K)
t(F) << 1
t(F).real
t(F).imag
t(F).conj()
t(F).compress([True, False], axis=0)
t(F).compress([True, False, True])
np.array([t(F).nbytes, t(F).itemsize, t(F).item(3), t(F).item(1, 2)])
t(F).item()
t(F).item(9)
np.pad(t(V), 2, mode="reflect", reflect_type="odd")
np.pad(t(V), 7, mode="symmetric", reflect_type="odd")
np.pad(t(F), ((3, 4), (5, 2)), mode="reflect", reflect_type="odd")
np.pad(t(F), {0: 1, -1: (2, 1)})
np.pad(t(F), {1: 1}, mode="mean")
np.pad(t(F), 1, constant_values=t(ONE))
np.pad(t(ONE), 0)
np.correlate(t(F), V)
np.convolve(t(F), V)
np.linalg.outer(t(F), V)
np.linalg.multi_dot([t(F)])
np.linalg.multi_dot([t(F), F])
np.vecdot(t(ONE), 3.0)
np.vecmat(t(V), V)
np.matvec(t(V), V)
np.cov(t(F[None]))
np.cov(t(V), fweights=[1.5, 2, 3])
np.cov(t(V), aweights=[-1, 2, 3])
np.average(t(V), weights=[0, 0, 0])
np.average(t(F), axis=[0, 1])
np.linalg.norm(t(F), axis=())
np.linalg.norm(t(F[None]), axis=(0, 1, 2))
np.linalg.vector_norm(t(ONE), axis=0)
np.linalg.matrix_norm(t(V))
np.linalg.matrix_power(t(F), 2)
np.linalg.matrix_power(t(F[:, :2]), 1.5)
np.linalg.lstsq(t(F), V)
np.vsplit(t(V), 1)
np.hsplit(t(ONE), 1)
np.dsplit(t(F), 1)
np.ediff1d(t(B))
np.select([t(V)], [V])
np.sort(t(V), order="x")
np.argsort(t(V), kind="foo")
np.take(t(V), [0], mode="foo")
np.interp(t(V), [], [])
np.interp(t(V), [1.0, 2.0], [1.0])
np.compress([[True]], t(V))
np.linspace(t(ONE), 3.0, -1)
np.linspace(t(ONE), 3.0, 2.5)
np.digitize(t(V), [1, 3, 2.0])
np.trim_zeros(t(V), "x")
np.diagonal(t(V))
np.fliplr(t(V))
np.modf(t(B))
""".strip().splitlines()
)


@pytest.mark.parametrize("text", CALLS)
def test_a_call_gives_what_numpy_gives_or_is_refused_as_there(text):
    call = called(text)
    expected, got = outcome(call, np.asarray), outcome(call, leaf)
    if isinstance(expected, Exception) or isinstance(got, Exception):
        assert isinstance(expected, Exception), got
        assert isinstance(got, Exception), f"NumPy says: {expected}"
        name = re.match(r"np\.(?:linalg\.)?([a-z_0-9.]*)", text)
        if name and "UFunc" not in type(got).__name__:  # these are NumPy's own, and name their ufunc
            assert re.match(rf"{name[1]}\b(?!: [a-z_]+: )", str(got))
        return
    several = isinstance(expected, (list, tuple))
    for y, e in zip(got if several else [got], expected if several else [expected], strict=True):
        y = getattr(y, "value", y)
        np.testing.assert_allclose(y, e, rtol=1e-6 if y.dtype == np.float32 else 1e-12)
        assert (np.shape(y), y.dtype) == (np.shape(e), np.asarray(e).dtype)


SAID = {
    lambda: np.nanmean(leaf(V), axis=3):
        "nanmean: x has shape (3,): axis 3 is out of bounds for array of dimension 1; axes",
    lambda: np.ptp(leaf(V), axis=4): "ptp: x has shape (3,): axis 4 is out of bounds",
    lambda: leaf(V).ravel("A"):
        "ravel: order is 'A'; expected 'C' (rows first) or 'F' (columns first), as tensors promise no",
    lambda: leaf(V).flatten(1):
        "flatten: order is 1; expected 'C' or 'F': x.reshape(len(x), -1) keeps the first axis",
    lambda: np.cumulative_sum(leaf(F)):
        "cumulative_sum: x has shape (2, 3), so say along which axis= it runs",
    lambda: np.dot(leaf(F), F):
        "dot: a has shape (2, 3), b has shape (2, 3): the 3 columns of a must equal the 2 rows of b",
    lambda: np.linalg.tensorinv(leaf(F)): "tensorinv: in inv: x has shape (6, 1): Last 2 dimensions",
    lambda: np.cov(leaf(V), V[:2]):
        "cov: in concatenate: arrays[0] has shape (1, 3), arrays[1] has shape (1, 2)",
    lambda: tn.max_pool2d(F[None, None], kernel_size=2):
        "max_pool2d got an unexpected keyword argument 'kernel_size'; it "
        "is max_pool2d(x, size, stride=None, padding=0, dilation=1)",
    lambda: tn.normal_logpdf(1.0, scale=-1):
        "normal_logpdf: scale is -1; expected a standard deviation above 0",
    lambda: tn.topk(leaf(V), tn.tensor(2)):
        "topk: k is a tensor of dtype float64; expected a Python number, as k.item()",
    lambda: leaf(V)[tn.tensor([0, 1])]:
        "getitem: an index must have an integer or bool dtype, this tensor has float64: "
        "tn.tensor([0, 1], dtype=int) has one",
    lambda: np.array(list(leaf(V))):
        "a tensor cannot become an array: that would silently leave the graph; tn.stack joins",
    lambda: np.linalg.eig(leaf(F[:, :2])):
        "np.linalg.eig is not recorded on tensors: its values are complex, and tensors",
    lambda: np.save("a file", leaf(F)):
        "np.save is not recorded on tensors: it writes a file: take .data; tn.checkpoint.sa",
    lambda: tn.hessian(lambda x: x)(V):
        "hessian needs a function that returns a single number, this one returned shape (3,)",
    lambda: tn.hvp(lambda x: x, (V,), (V,)): "hvp needs a function that returns a single number",
    lambda: tn.grad(np.sin, None)(2.0):
        "grad: argnums is of type NoneType, expected a position or a tuple of positions",
    lambda: tn.grad(lambda x: np.sum(x**2))([1.0, 2.0]):
        "unsupported operand type(s) for ** or pow(): 'list' and 'int'; "
        "argument 0 is a list, and the function is given each of its parts as a tensor: np.array(...) makes one array",
    lambda: tn.vmap(np.sin)(3.0):
        "vmap: a single number has no examples: pass an array of them, or share it with None in in_axes",
    lambda: tn.vmap(np.sin)([1.0, 2.0]):
        "vmap: a single number has no examples: pass an array of them",
    lambda: tn.one_hot(np.array([-1, 2])):
        "one_hot: expected whole numbers from 0, labels has dtype int64, least -1",
}  # fmt: skip


@pytest.mark.parametrize("call", SAID)
def test_a_message_names_the_function_that_was_called(call):
    with pytest.raises((ValueError, TypeError, IndexError)) as refused:
        call()
    assert str(refused.value).startswith(SAID[call])


def test_one_hot_counts_the_classes():
    np.testing.assert_array_equal(tn.one_hot(np.array([0, 2, 1])), np.eye(3)[:, [0, 2, 1]])
    assert tn.one_hot(np.array([0, 1]), classes=4).shape == (4, 2)
    assert tn.one_hot(np.zeros(0, int)).shape == (0, 0)


SMOOTH = [
    lambda x: np.nanstd(x, where=MASK, axis=1, correction=1), lambda x: np.nanmax(x, initial=1.5, where=MASK),
    lambda x: np.nanvar(np.where(MASK, x, np.nan), axis=1), lambda x: np.subtract.reduce(x, axis=1, initial=0.5),
    lambda x: np.divide.accumulate(x), lambda x: np.logaddexp.reduce(x, where=MASK, initial=0.5),
    lambda x: np.hypot.reduce(x, axis=None), lambda x: np.maximum.accumulate(x, axis=1),
    lambda x: np.pad(x, ((3, 4), (5, 2)), mode="symmetric", reflect_type="odd"),
    lambda x: np.pad(x, 1, constant_values=x[0, 0]), lambda x: np.logspace(x, 1.0, 3, base=x / 5 + 1),
    lambda x: np.max(x[:0], axis=0, initial=0.5) + x, lambda x: round(x * x, 2) + x, lambda x: x.real * x.conj(),
]  # fmt: skip


@pytest.mark.parametrize("f", SMOOTH)
def test_gradients_flow_through_them(f):
    assert tn.gradcheck(f, P * 1.1, order=2)


def test_what_nan_leaves_out_gets_an_exact_zero():
    x = leaf(N)
    (np.nanvar(np.log(x), axis=1) + np.nanmax(x, axis=1, initial=0.0)).sum().backward()
    assert np.isfinite(x.grad).all()
    assert x.grad[0, 1] == 0
