"""Every operation of the tables, by what its entry and the laws in `tinygrad_nn/ops/__init__.py` promise."""

import contextlib
import inspect
import itertools
import warnings

import numpy as np
import pytest
from field_calls import FIELD_CALLS
from numpy_calls import APART, NORM_CALLS, NUMPY_CALLS, PREPARED, WIDE

import tinygrad_nn as tn
import tinygrad_nn.nn  # some layers have operations of their own
from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, Op, VariadicRule, write
from tinygrad_nn.samples import samples_of

PUBLIC = """
exp expm1 exp2 log log1p log2 log10 sqrt cbrt square abs sign reciprocal negative sin cos tan arcsin arccos arctan sinh
cosh tanh arcsinh arccosh arctanh sinc erf add subtract multiply divide power maximum minimum hypot arctan2 logaddexp
where clip sigmoid log_sigmoid relu leaky_relu elu selu gelu silu softplus softsign mish hard_tanh softmax log_softmax
logsumexp sum mean prod var std max min cumsum cumprod norm argmax matmul dot inner outer tensordot einsum kron trace
diag diagonal tril triu inv solve det slogdet cholesky reshape ravel transpose swapaxes moveaxis squeeze expand_dims
broadcast_to concatenate stack hstack vstack split tile repeat roll flip pad take mse cross_entropy
binary_cross_entropy l1_loss huber_loss
"""
NOT_METHODS = {"where", "concatenate", "stack", "einsum", "mse", "cross_entropy", "binary_cross_entropy", "l1_loss",
               "huber_loss"}  # fmt: skip

ALL = {name: entry for name, entry in BY_NAME.items() if isinstance(entry, Op)}
COMPOSED = {name: entry for name, entry in BY_NAME.items() if not isinstance(entry, Op)}
DIFFERENTIABLE = [op for op in ALL.values() if any(map(op.differentiable, range(len(op.arguments))))]


def every(ops):
    return pytest.mark.parametrize("op", ops, ids=lambda op: op.name)


def cases(op, dtype=np.float64):
    """Valid inputs of `op` in this dtype, read-only, with their parameters."""
    for arrays, params in samples_of(op):
        if op.checks.prepare is not None:
            arrays = tuple(op.checks.prepare(a) for a in arrays)
        yield tuple(frozen(a, dtype) for a in arrays), params


def frozen(a, dtype=np.float64):
    if not isinstance(a, np.ndarray):
        return a
    a = a.astype(dtype) if a.dtype.kind == "f" else a.copy()
    a.flags.writeable = False
    return a


def leaves(arrays, slots=None):
    """The same inputs with tensors that require a gradient in the place of the floating-point ones."""
    return [
        tn.tensor(a, requires_grad=True) if is_float(a) and (slots is None or i in slots) else a
        for i, a in enumerate(arrays)
    ]


def is_float(a):
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def value_of(y):
    return y.value if isinstance(y, tn.Tensor) else y


def with_rule(op, arrays):
    return [i for i, a in enumerate(arrays) if is_float(a) and op.vjps[i] is not None]


def refused_by_lapack(op, arrays, params):
    """Whether LAPACK, which has two precisions, does not compute it in this one."""
    try:
        op.apply(arrays, params)
    except TypeError as reason:
        return "unsupported in linalg" in str(reason)
    return False


def as_called(op, arrays, params):
    """The public call for a sample: what `op.bind` would make these arrays and parameters of."""
    if op.bind is None:
        return arrays, params
    several = isinstance(op.vjps, VariadicRule)
    given, args, kwargs = dict(zip(op.arguments, [arrays] if several else arrays, strict=True)), [], dict(params)
    for p in inspect.signature(op.bind).parameters.values():
        if p.name in given:
            args += given[p.name] if p.kind is p.VAR_POSITIONAL else [given[p.name]]
        elif p.name in kwargs and p.default is p.empty:
            args.append(kwargs.pop(p.name))
    return tuple(args), kwargs


def applied(op, params):
    def f(*args):
        return op.apply([op.checks.prepare(a) for a in args] if op.checks.prepare else args, params)

    f.__name__ = op.name
    return f


@contextlib.contextmanager
def counting_tensors(monkeypatch):
    """A list that grows by one with every tensor made."""
    made, init = [], tn.Tensor.__init__

    def count(self, *args, **kwargs):
        made.append(1)
        init(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(tn.Tensor, "__init__", count)
        yield made


# --- the list of api.md ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLIC.split())
def test_public_name_is_a_function_and_a_method(name):
    assert callable(getattr(tn, name))
    assert name in dir(tn)
    if name not in NOT_METHODS:
        assert callable(getattr(tn.tensor([1.0, 2.0]), name))


def test_every_operation_is_described():
    for op in ALL.values():
        assert op.docs.summary, op.name
        assert write(op, {name: name for name in op.arguments})
        assert op.docs.summary in inspect.getdoc(op)
        assert repr(op).startswith(f"<operation {op.name}(")


# --- gradients against finite differences ----------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, None), (np.float32, 5e-3)])
@every(DIFFERENTIABLE)
def test_gradients_of_first_and_second_order(op, dtype, rtol):
    for arrays, params in samples_of(op):
        f, arrays = applied(op, params), [frozen(a, dtype) for a in arrays]
        assert tn.gradcheck(f, *arrays, order=2, rtol=rtol)


@every(DIFFERENTIABLE)
def test_forward_mode_agrees_with_reverse_mode(op):
    rng = np.random.default_rng(1)
    for arrays, params in cases(op):
        slots = with_rule(op, arrays)
        f, at = of_slots(op, arrays, params, slots), [arrays[i] for i in slots]
        tangents = [rng.normal(size=a.shape) for a in at]
        y, moved = tn.jvp(f, at, tangents)
        again, pull = tn.vjp(f, *at)
        u = rng.normal(size=y.shape)
        np.testing.assert_array_equal(y, again)
        np.testing.assert_allclose(
            np.sum(u * moved), sum(np.sum(g * t) for g, t in zip(pull(u), tangents, strict=True)), rtol=1e-9, atol=1e-10
        )


def of_slots(op, arrays, params, slots):
    """`op` as a function of some of its arguments."""

    def f(*given):
        args = list(arrays)
        for i, x in zip(slots, given, strict=True):
            args[i] = x
        return op.apply(args, params)

    return f


@every(DIFFERENTIABLE)
def test_hessian_is_symmetric_and_the_same_forward_over_reverse(op):
    rng = np.random.default_rng(2)
    for arrays, params in itertools.islice(cases(op), 4):
        slots = with_rule(op, arrays)
        f, at = of_slots(op, arrays, params, slots), [arrays[i] for i in slots]
        weights = rng.normal(size=np.shape(f(*at)))

        def scalar(flat, f=f, at=at, weights=weights):
            ends = np.cumsum([a.size for a in at])
            parts = [flat[end - a.size : end].reshape(a.shape) for a, end in zip(at, ends, strict=True)]
            return (f(*parts) * weights).sum()

        flat = np.concatenate([a.ravel() for a in at])
        hessian, direction = tn.hessian(scalar)(flat), rng.normal(size=flat.shape)
        scale = max(1.0, np.abs(hessian).max())
        np.testing.assert_allclose(hessian, hessian.T, atol=1e-10 * scale)
        np.testing.assert_allclose(tn.hvp(scalar, (flat,), (direction,)), hessian @ direction, atol=1e-9 * scale)


# --- one operation, many ways to call it -----------------------------------------------------------------------------


@every(ALL.values())
def test_arrays_in_arrays_out_equal_to_the_value_on_tensors(op):
    for arrays, params in cases(op):
        on_arrays = op.apply(arrays, params)
        on_tensors = op.apply(leaves(arrays), params)
        assert isinstance(on_arrays, (np.ndarray, np.generic))
        assert not isinstance(on_arrays, np.ndarray) or on_arrays.dtype != object
        assert isinstance(on_tensors, tn.Tensor) or not any(is_float(a) for a in arrays)
        np.testing.assert_array_equal(on_arrays, value_of(on_tensors), strict=True)


@every([op for op in ALL.values() if not op.name.startswith("_")])
def test_function_method_and_numpy_call_are_one(op):
    functions = [f for f, entry in BY_FUNCTION.items() if entry is op]
    ways = [BY_NAME[op.name], getattr(tn, op.name), *functions]
    for arrays, params in cases(op):
        args, kwargs = as_called(op, arrays, params)
        expected = op.apply(arrays, params)
        tensors = as_called(op, tuple(leaves(arrays)), params)[0]
        results = [way(*tensors, **kwargs) for way in ways]
        if op.method:
            first = tensors[0] if isinstance(tensors[0], tn.Tensor) else tn.tensor(tensors[0])
            results.append(getattr(first, op.name)(*tensors[1:], **kwargs))
        recorded = any(is_float(a) and op.vjps[i] is not None for i, a in enumerate(arrays))
        for y in results:
            if any(isinstance(a, tn.Tensor) for a in tensors):
                assert y.requires_grad == recorded
                assert (y.op is op) == recorded
            np.testing.assert_array_equal(value_of(y), expected, strict=True)
        for f in functions:  # on arrays the operation is what NumPy says
            np.testing.assert_allclose(op(*args, **kwargs), f(*args, **kwargs), rtol=1e-13)


@every([op for op in ALL.values() if op.kind == "elementwise" and len(op.arguments) == 2 and any(op.vjps)])
def test_python_numbers_are_weak(op):
    x, low = np.array([0.5, 0.75], np.float32), np.float32(0.25)
    for call in [lambda t: op(t, 0.25), lambda t: op(0.25, t), lambda t: op(t, 1), lambda t: op(low, t)]:
        t = tn.tensor(x, requires_grad=True)
        y = call(t)
        y.sum().backward()
        assert y.dtype == t.grad.dtype == np.float32


# --- dtype, shape, and what must stay as it was ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.longdouble])
@every(DIFFERENTIABLE)
def test_dtype_and_shape_are_kept_and_inputs_unchanged(op, dtype):
    """The inputs, and the upstream gradient, are read-only: a rule that wrote into them would raise."""
    for arrays, params in cases(op, dtype):
        slots = with_rule(op, arrays)
        tensors = leaves(arrays, slots)
        for i in slots:
            tensors[i].value = arrays[i]
        if dtype in (np.float16, np.longdouble) and refused_by_lapack(op, arrays, params):
            with pytest.raises(TypeError, match=r"is unsupported in linalg; \.astype\(np\.float64\) converts it$"):
                op.apply(tensors, params)
            continue
        y = op.apply(tensors, params)
        assert y.dtype == params.get("dtype", dtype)
        seed = frozen(np.ones_like(y.value), y.dtype)
        inputs = [tensors[i] for i in slots]
        found = tn.gradients(y, inputs, seed)
        again = tn.gradients(y, inputs, seed, create_graph=True)
        y.backward(seed)
        for x, *others in zip(inputs, found, again, strict=True):
            for g in (x.grad, *others):
                assert g.dtype == dtype
                assert g.shape == x.shape
        assert all(a.base is not None or a.flags.owndata for a in found)
        for x in inputs:
            x.grad += 1  # nobody else holds it, and it may be written to
        for x, g in zip(inputs, found, strict=True):
            np.testing.assert_array_equal(x.grad, g + 1)


@every(DIFFERENTIABLE)
def test_a_first_order_backward_makes_no_tensor(op, monkeypatch):
    for arrays, params in cases(op):
        tensors = leaves(arrays, with_rule(op, arrays))
        y = op.apply(tensors, params)
        with counting_tensors(monkeypatch) as made:
            y.backward(np.ones(y.shape))
        assert made == []
        with counting_tensors(monkeypatch) as made:
            y + 1
        assert made == [1], "the counter counts"


# --- the laws of a rule ----------------------------------------------------------------------------------------------


@every(DIFFERENTIABLE)
def test_one_rule_text_serves_arrays_and_tensors(op):
    rng = np.random.default_rng(3)
    for arrays, params in cases(op):
        y = op.apply(arrays, params)
        g = np.asarray(rng.normal(size=np.shape(y)))
        for slot in with_rule(op, arrays):
            on_arrays = op.vjps[slot](g, np.asarray(y), *arrays, **params)
            tensors = leaves(arrays)
            on_tensors = op.vjps[slot](tn.tensor(g, requires_grad=True), op.apply(tensors, params), *tensors, **params)
            assert isinstance(on_arrays, (np.ndarray, np.generic))
            assert isinstance(on_tensors, tn.Tensor) or not on_tensors.any()
            np.testing.assert_allclose(value_of(on_tensors), on_arrays, rtol=1e-14, atol=1e-300)


@every(DIFFERENTIABLE)
def test_constants_of_a_rule_are_weak(op):
    """Before any casting: float32 in, float32 out."""
    for arrays, params in cases(op, np.float32):
        if "dtype" in params:
            continue
        y = np.asarray(op.apply(arrays, params))
        for slot in with_rule(op, arrays):
            assert op.vjps[slot](np.ones_like(y), y, *arrays, **params).dtype == np.float32


@every(DIFFERENTIABLE)
def test_rules_record_all_they_do(op, monkeypatch):
    """A value taken out of its tensor would be stale when the step is replayed: masks are operations too."""

    def refuse(self, *args, **kwargs):
        raise AssertionError("a rule took a value out of its tensor")

    for arrays, params in cases(op):
        tensors = leaves(arrays)
        y = op.apply(tensors, params)
        ones = tn.tensor(np.ones(y.shape), requires_grad=True)
        with monkeypatch.context() as patch:
            for taking in ("__bool__", "__float__", "__int__", "__index__", "__array__", "as_index", "item", "numpy",
                            "tolist", "data", "detach"):  # fmt: skip
                patch.setattr(tn.Tensor, taking, refuse)
            for slot in with_rule(op, arrays):
                op.vjps[slot](ones, y, *tensors, **params)


@every(ALL.values())
def test_only_what_is_called_a_view_shares_memory_with_an_input(op):
    for arrays, params in cases(op):
        y = op.apply(arrays, params)
        assert op.view or not any(np.shares_memory(y, a) for a in arrays if isinstance(a, np.ndarray))


# --- calls that are refused ------------------------------------------------------------------------------------------


@every([op for op in ALL.values() if not op.name.startswith("_")])
def test_out_and_unknown_keywords_are_refused_by_name(op):
    arrays, params = next(cases(op))
    args, kwargs = as_called(op, arrays, params)
    for given in (args, as_called(op, tuple(leaves(arrays)), params)[0]):
        for wrong in ("out", "colour"):
            with pytest.raises(TypeError, match=wrong):
                op(*given, **kwargs, **{wrong: np.empty(3)})


def test_the_texts_of_wrong_calls():
    t = tn.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError) as refused:
        tn.sum(t, out=np.empty(()))
    assert str(refused.value) == (
        "sum does not take out= (the result is always a new array: assign what is returned); "
        "it is sum(x, axis=None, dtype=None, keepdims=False, initial=0, where=True)"
    )
    with pytest.raises(TypeError, match=r"^tanh does not take 2 positional arguments; it is tanh\(x\)$"):
        tn.tanh(t, 1)
    with pytest.raises(TypeError, match=r"np.exp of a tensor cannot be written into an array"):
        np.exp(t, out=np.empty(2))
    with pytest.raises(TypeError, match=r"np\.hypot\.reduceat is not recorded: tn\.split cuts an array into parts"):
        np.hypot.reduceat(t, [0, 1])
    with pytest.raises(ValueError, match=r"reshape: order is 'A'; expected 'C' \(rows first\) or 'F'"):
        t.reshape(2, 1, order="A")


# --- functions composed of operations --------------------------------------------------------------------------------

A, B, S, V = (np.random.default_rng(4).normal(size=s) for s in [(2, 3), (2, 3), (3, 3), 3])
CALLS = {
    "ravel": [((A,), {})],
    "hstack": [(((A, B),), {}), (([V, V, V],), {}), (([np.array(1.0), V],), {})],
    "vstack": [(((A, V),), {}), (([V, V],), {}), (([np.array(1.0), np.array(2.0)],), {})],
    "split": [((A, 3), {"axis": 1}), ((A, [1]), {"axis": -1}), ((V, [2, 2]), {}), ((V, [-1]), {}), ((V, [2, 7]), {})],
    "_array_split": [((V, 2), {}), ((A, 2), {"axis": 1}), ((V, 5), {}), ((V, [1]), {})],
    "repeat": [((A, 2), {}), ((A, 2), {"axis": 0}), ((A, [1, 0, 2]), {"axis": -1})],
    "pad": [((A, 1), {"mode": m}) for m in ("constant", "edge", "wrap")]
    + [((A, ((0, 1), (2, 0)), m), {}) for m in ("constant", "edge", "reflect", "symmetric", "wrap")]
    + [((A, (2, 1)), {"constant_values": 3.0}), ((A, 1), {"constant_values": ((1.0, 2.0), (3.0, 4.0))})],
    "diagonal": [((A,), {}), ((A, 1), {}), ((A,), {"offset": -1}), ((A[None],), {"axis1": -1, "axis2": 0})],
    "diag": [((S,), {}), ((S, 1), {}), ((A,), {"k": -1}), ((V,), {}), ((V,), {"k": -2}), ((V,), {"k": 1})],
    "trace": [((S,), {}), ((A,), {"offset": 1}), ((A[None] * S[:, :1, None],), {"axis1": 0, "axis2": 2})],
    "slogdet": [((S,), {}), ((np.stack([S, -S]),), {})],
    "outer": [((A, V), {}), ((V, V), {})],
    "tensordot": [((A, B), {}), ((A, B), {"axes": 0}), ((A, S), {"axes": 1}), ((A, B), {"axes": ([1, 0], [1, 0])}),
                  ((A, B), {"axes": (-1, -1)})],
    "dot": [((V, V), {}), ((A, V), {}), ((A, S), {}), ((np.array(2.0), A), {}), ((A, S[None]), {}), ((V, S[None]), {})],
    "inner": [((V, V), {}), ((A, V), {}), ((A, S), {}), ((A, np.array(2.0)), {}), ((S[None], A), {})],
    "kron": [((A, S), {}), ((V, A), {}), ((A, V), {}), ((V, V), {}), ((np.array(2.0), A), {}), ((A[None], V), {})],
    "norm": [((V, o), {}) for o in (None, 1, 2, 3, np.inf, -np.inf, 1.5, -1)]
    + [((A, o), {"axis": (0, 1)}) for o in (None, "fro", 1, -1, np.inf, -np.inf)]
    + [((A,), {"axis": 1}), ((A, 1), {"axis": 0, "keepdims": True}), ((A, "fro"), {}), ((A[None],), {}),
       ((S[None], np.inf), {"axis": (2, 1), "keepdims": True}), ((A,), {"keepdims": True})],
}  # fmt: skip


CALLS |= FIELD_CALLS
CALLS |= NUMPY_CALLS
CALLS["norm"] += NORM_CALLS


WITHOUT_NUMPY = {
    "flatten": np.ravel,
    "solve_triangular": lambda a, b, lower=False: np.linalg.solve(np.tril(a) if lower else np.triu(a), b),
}


def parts(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


def in_tree(make, tree):
    if isinstance(tree, (list, tuple)) and tree and isinstance(tree[0], np.ndarray):
        return type(tree)(make(a) if is_float(a) else a for a in tree)
    return make(tree) if is_float(tree) else tree


def with_nan_of(a, x):
    """x, but NaN where a is: finite differences at NaN say nothing."""
    return np.where(np.isnan(a), np.nan, x) if np.isnan(a).any() else x


def test_every_composed_function_is_called_here():
    assert CALLS.keys() | APART == COMPOSED.keys()


@pytest.mark.parametrize("name", CALLS)
def test_composed_functions_agree_with_numpy_and_finite_differences(name):
    entry = COMPOSED[name]
    numpy = next((f for f, e in BY_FUNCTION.items() if e is entry), WITHOUT_NUMPY.get(name, entry))
    for dtype, (args, kwargs) in itertools.product([np.float64, np.float32], CALLS[name]):
        args = [in_tree(lambda a, dtype=dtype: frozen(a, dtype), a) for a in args]
        expected, on_arrays = parts(numpy(*args, **kwargs)), parts(entry(*args, **kwargs))
        tensors = [in_tree(lambda a: tn.tensor(a, requires_grad=True), a) for a in args]
        method = getattr(tensors[0], name, None) if isinstance(tensors[0], tn.Tensor) else None
        for way in (entry, *([numpy] if name not in WITHOUT_NUMPY else []), *([method] if method else [])):
            given = tensors[1:] if way is method else tensors
            on_tensors = parts(way(*given, **kwargs))
            assert len(on_tensors) == len(on_arrays) == len(expected)
            for t, a, e in zip(on_tensors, on_arrays, expected, strict=True):
                assert isinstance(t, tn.Tensor)
                assert isinstance(a, (np.ndarray, np.generic))
                wanted = np.float64 if name in WIDE else dtype if e.dtype.kind == "f" else np.intp
                assert t.dtype == a.dtype == e.dtype == wanted
                assert t.shape == np.shape(a) == np.shape(e)
                np.testing.assert_allclose(t.value, e, rtol=1e-12 if dtype is np.float64 else 1e-5)
                np.testing.assert_array_equal(t.value, a)
        flat = [np.nan_to_num(x.value) for a in tensors for x in parts(a) if isinstance(x, tn.Tensor)]
        prepare = PREPARED.get(name, lambda x: x)

        def f(*given, args=args, kwargs=kwargs, prepare=prepare):
            flow = iter(given)
            given = [in_tree(lambda a: prepare(with_nan_of(a, next(flow))), a) for a in args]
            y = parts(entry(*given, **kwargs))
            tracked = [part.ravel() for part in y if part.requires_grad]
            return tn.concatenate(tracked) if len(tracked) > 1 else tracked[0]

        if dtype is np.float64:  # its differences are those of float64 in any case
            assert tn.gradcheck(f, *flat, order=2)


# --- errors name the function that was called ------------------------------------------------------------------------


def _first_call(name):
    if name in COMPOSED:
        return CALLS[name][0]
    return as_called(ALL[name], *next(cases(ALL[name])))


def _wrong_calls(function, args, kwargs):
    """The call with one thing wrong: an axis, an operand, its shape, a keyword, or everything missing."""
    signature = inspect.signature(function)
    if "axis" in signature.parameters:
        call = signature.bind(*args, **kwargs)
        call.arguments["axis"] = 99
        yield call.args, call.kwargs
    for wrong in (np.array([1j, 2]), object(), "text", np.ones((2, 5, 7)), np.array(1.0)):
        for i in range(min(2, len(args))):
            yield (*args[:i], wrong, *args[i + 1 :]), kwargs
    yield args, {**kwargs, "colour": 1}
    yield (), {}


def _what_is_said(function, args, kwargs):
    try:
        function(*args, **kwargs)
    except Exception as error:
        return str(error)


@pytest.mark.parametrize("name", [name for name in (*CALLS, *ALL) if not name.startswith("_")])
def test_errors_name_the_function_that_was_called(name):
    function, (args, kwargs) = BY_NAME[name], _first_call(name)
    for wrong, others in _wrong_calls(function, args, kwargs):
        for given in (wrong, [in_tree(lambda a: tn.tensor(a, requires_grad=True), a) for a in wrong]):
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                said = _what_is_said(function, given, others)
            assert said is None or name in said.partition(":")[0], f"{said} of {given}, {others}"
