"""What may be an operand: lists, tuples and labelled arrays are taken by their values, and all else is refused."""

import operator
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
import test_ops as checks

import tinygrad_nn as tn


class Labelled:
    """A small pandas: what it does by itself goes by its labels, and is not what NumPy would do."""

    __array_priority__ = 1000

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def aligned(self, *others):
        if any(getattr(x, "__array_priority__", 0) > self.__array_priority__ for x in others):
            return NotImplemented
        raise AssertionError("the labels were aligned")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __pow__ = __rpow__ = (
        aligned
    )
    __matmul__ = __rmatmul__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __neg__ = __abs__ = aligned
    __and__ = __rand__ = __or__ = __ror__ = __getitem__ = __iter__ = sum = mean = max = min = dot = ravel = T = aligned
    __hash__ = None

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return self.aligned(*[x for x in inputs if x is not self])

    dtype = property(lambda self: self.values.dtype)
    shape = property(lambda self: self.values.shape)
    ndim = property(lambda self: self.values.ndim)
    size = property(lambda self: self.values.size)

    def __len__(self):
        return len(self.values)


def nested_tuple(a):
    return tuple(map(nested_tuple, a)) if isinstance(a, list) else a


FORMS = {"labelled": Labelled, "list": lambda a: a.tolist(), "tuple": lambda a: nested_tuple(a.tolist())}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def convertible(a):
    """Empty lists would lose their shape, and those of single numbers are numbers."""
    return isinstance(a, np.ndarray) and a.ndim and a.size and a.dtype in (np.float64, np.int64, np.bool_)


@forms
@checks.every(checks.ALL.values())
def test_values_of_all_forms_are_taken(op, form):
    """Each argument in turn, with the other ones as tensors, and all of them together."""
    for arrays, params in checks.cases(op):
        expected = op.apply(arrays, params)
        for slot, a in enumerate(arrays):
            if not convertible(a):
                continue
            given = [form(a) if i == slot else x for i, x in enumerate(checks.leaves(arrays))]
            y = op.apply(given, params)
            np.testing.assert_array_equal(checks.value_of(y), expected)
            others = [x for i, x in enumerate(given) if i != slot and isinstance(x, tn.Tensor)]
            if isinstance(y, tn.Tensor) and y.requires_grad:
                assert all(isinstance(x, (tn.Tensor, np.ndarray, np.generic, float)) for x in y.inputs)
                plain, seed = checks.leaves(arrays), np.ones(y.shape)
                inputs = [x for i, x in enumerate(plain) if i != slot and isinstance(x, tn.Tensor)]
                wanted = tn.gradients(op.apply(plain, params), inputs, seed)
                for got, right in zip(tn.gradients(y, others, seed), wanted, strict=True):
                    np.testing.assert_array_equal(got, right)
        alone = op.apply([form(a) if convertible(a) else a for a in arrays], params)
        assert isinstance(alone, (np.ndarray, np.generic))
        np.testing.assert_array_equal(alone, expected)


@forms
@pytest.mark.parametrize("name", [name for name in checks.CALLS if name != "block"])  # where lists nest arrays
def test_composed_functions_take_them_too(name, form):
    entry = checks.COMPOSED[name]

    def changed(a):
        return form(a) if convertible(a) else a

    for args, kwargs in checks.CALLS[name]:
        given = [checks.in_tree(changed, a) for a in args]
        for y, right in zip(checks.parts(entry(*given, **kwargs)), checks.parts(entry(*args, **kwargs)), strict=True):
            assert isinstance(y, (np.ndarray, np.generic))
            np.testing.assert_array_equal(y, right)


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul, operator.lt,
             operator.le, operator.gt, operator.ge, operator.eq, operator.ne]  # fmt: skip


@pytest.mark.parametrize("binary", OPERATORS)
@pytest.mark.parametrize("tracked", [True, False])
def test_operators_in_both_orders(binary, tracked):
    a, b = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 0.5])
    t = tn.tensor(a, requires_grad=tracked)
    for form in (*FORMS.values(), lambda b: b):
        for y, right in ((binary(t, form(b)), binary(a, b)), (binary(form(b), t), binary(b, a))):
            assert type(y) is tn.Tensor
            np.testing.assert_array_equal(y.data, right)
    for ufunc in (np.add, np.maximum, np.less):
        np.testing.assert_array_equal(ufunc(Labelled(b), t).data, ufunc(b, a))


# --- what is refused, by name, with a way on --------------------------------------------------------------------------

PARTS = "compute with {0}.real and {0}.imag"
OBJECTS = "np.asarray({0}, dtype=float) converts numbers, np.unique({0}, return_inverse=True)[1] numbers labels"
SINCE = "({0} - {0}.min()) / np.timedelta64(1, 's') counts seconds"


def not_real(dtype, kind, hint):
    return f"expected real numbers, {{0}} has dtype {dtype} ({kind}): {hint}"


REFUSED = [
    (2j, not_real("complex128", "a complex", PARTS)),
    (np.array([1j, 2]), not_real("complex128", "an array", PARTS)),
    (np.complex64(1j), not_real("complex64", "a complex64", PARTS)),
    ([1j, 2.0], not_real("complex128", "a list", PARTS)),
    (Labelled([1j, 2.0]), not_real("complex128", "a Labelled", PARTS)),
    (np.array([1.0, None]), not_real("object", "an array", OBJECTS)),
    (Fraction(1, 2), not_real("object", "a Fraction", OBJECTS)),
    (Decimal("0.5"), not_real("object", "a Decimal", OBJECTS)),
    ({"a": 1.0}, not_real("object", "a dict", OBJECTS)),
    ("ab", not_real("<U2", "a str", OBJECTS)),
    (np.array(["a", "b"]), not_real("<U1", "an array", OBJECTS)),
    (np.array(["2020-01-01", "2020-01-02"], "M8[D]"), not_real("datetime64[D]", "an array", SINCE)),
    (np.timedelta64(1, "s"),
     not_real("timedelta64[s]", "a timedelta64", "{0} / np.timedelta64(1, 's') counts seconds")),
    (np.zeros(2, [("u", float)]),
     not_real("[('u', '<f8')]", "an array", "take one field of it, as in {0}['field']")),
    (np.ma.masked_array([1.0, 2.0], mask=[False, True]),
     ("expected an array of real numbers, {0} is a masked array: {0}.filled(value) makes a plain one, and "
      "tn.where chooses by its mask")),
    (scipy.sparse.csr_array(np.eye(2)),
     "expected an array of real numbers, {0} is a sparse matrix (csr_array): {0}.toarray() makes a dense array of it"),
]  # fmt: skip
refused = pytest.mark.parametrize(("wrong", "text"), REFUSED, ids=[str(type(w).__name__) for w, _ in REFUSED])


def decides_itself(left, binary):
    """Python makes a float of a Fraction for powers, and NumPy compares records by identity."""
    fields = isinstance(left, np.ndarray) and left.dtype.kind == "V"
    return (isinstance(left, Fraction) and binary is operator.pow) or (fields and binary in (operator.eq, operator.ne))


@refused
@pytest.mark.parametrize("tracked", [True, False])
def test_refused_operands_of_operators(wrong, text, tracked):
    t = tn.tensor([1.0, 2.0], requires_grad=tracked)
    for binary in OPERATORS:
        with pytest.raises(TypeError) as error:
            binary(t, wrong)
        name, _, said = str(error.value).partition(": ")
        assert getattr(tn, name).arguments[1]
        assert said == text.format(getattr(tn, name).arguments[1])
        if tracked and not decides_itself(wrong, binary):
            with pytest.raises((TypeError, NotImplementedError)):
                binary(wrong, t)


@refused
def test_refused_arguments_of_functions(wrong, text):
    t = tn.tensor([1.0, 2.0], requires_grad=True)
    calls = {
        ("maximum", "b"): lambda: tn.maximum(t, wrong),
        ("where", "b"): lambda: tn.where(t > 1, t, wrong),
        ("mse", "target"): lambda: tn.mse(t, wrong),
        ("cross_entropy", "target"): lambda: tn.cross_entropy(t, wrong),
        ("binary_cross_entropy", "target"): lambda: tn.binary_cross_entropy(t, wrong),
        ("exp", "x"): lambda: tn.exp(wrong),
        ("sum", "x"): lambda: tn.sum(wrong),
        ("add", "a"): lambda: tn.add(wrong, np.ones(2)),
        ("stack", "arrays[1]"): lambda: tn.stack([t, wrong]),
        ("data", "the new value"): lambda: setattr(t, "data", wrong),
    }
    if isinstance(wrong, np.ndarray) and wrong.dtype == object:  # without tensors, Python's integers are exact
        for call in (("exp", "x"), ("sum", "x"), ("add", "a")):
            del calls[call]
    for (caller, name), call in calls.items():
        with pytest.raises(TypeError) as error:
            call()
        assert str(error.value) == f"{caller}: {text.format(name)}"
    for call in (lambda: tn.tensor(wrong), lambda: (t * 2).backward(wrong)):
        with pytest.raises(TypeError, match=r"^tensor: expected|^gradient is "):
            call()


def test_complex_results_and_dtypes_are_refused():
    t = tn.tensor([1.0, 2.0], requires_grad=True)
    for call in (lambda: t.astype(complex), lambda: tn.astype(t, complex), lambda: t.detach().astype(complex)):
        with pytest.raises(TypeError) as error:
            call()
        assert str(error.value) == (
            "astype: expected a dtype of real numbers, complex128 was asked for; "
            "t.numpy().astype('complex128') converts an array, outside the graph"
        )
    with pytest.raises(TypeError, match="tensor: expected real numbers, the data has dtype complex128"):
        tn.tensor([1.0], dtype=complex)
    turned = tn.op(lambda x: x * 1j, "i{x}", lambda g, y, x: g, name="turned", method=False)
    try:
        with pytest.raises(TypeError, match=r"the forward function of turned returned .*: expected an array of real"):
            turned(t)
    finally:
        del tn.operation.BY_NAME["turned"]


def test_integers_have_no_gradient_through_astype():
    t = tn.tensor([1.5, 2.5], requires_grad=True)
    (tn.astype(t, int) * t).sum().backward()
    np.testing.assert_array_equal(t.grad, [1, 2])


class Foreign:
    """An array of another framework, which follows its own gradients."""

    requires_grad = True

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("its history would be lost")


def test_tensors_of_another_framework_with_a_history_are_refused():
    t = tn.tensor([1.0, 2.0], requires_grad=True)
    for call in (lambda: t + Foreign(), lambda: Foreign() * t, lambda: tn.exp(Foreign()), lambda: tn.tensor(Foreign())):
        with pytest.raises(TypeError, match=r"is a Foreign of \w+ that requires a gradient: its history would be lost"):
            call()


class Unreadable:
    """An array of another framework that NumPy cannot take, as those of bfloat16 or on another device."""

    def __init__(self, reason):
        self.reason = reason

    def __array__(self, dtype=None, copy=None):
        raise self.reason


@pytest.mark.parametrize("kind", [TypeError, RuntimeError, ValueError])
def test_what_numpy_cannot_take_is_refused_by_caller_and_kind(kind):
    x = Unreadable(kind("Got unsupported ScalarType BFloat16"))
    for function, given, what in (
        (tn.exp, x, "an Unreadable"),
        (tn.tensor, x, "an Unreadable"),
        (tn.tensor, [x], "a list"),
    ):
        with pytest.raises(ValueError if kind is ValueError else TypeError) as error:
            function(given)
        assert str(error.value) == (
            f"{function.__name__}: NumPy makes no array of {what}: "
            "Got unsupported ScalarType BFloat16; .float() converts it"
        )


def test_a_matrix_whose_product_is_another_one_is_refused():
    theirs = np.ones((2, 2)).view(np.matrix)
    t = tn.tensor(np.eye(2), requires_grad=True)
    for call in (lambda: t * theirs, lambda: theirs * t, lambda: tn.multiply(theirs, t)):
        with pytest.raises(
            TypeError, match=r"is a np\.matrix: its \* is the matrix product; np\.asarray\(.*\) makes an"
        ):
            call()
    assert (tn.tensor(theirs) * t).tolist() == [[1, 0], [0, 1]]  # asked for, and an array from then on


def test_rows_of_several_lengths_are_refused_by_caller():
    with pytest.raises(ValueError, match=r"^exp: NumPy makes no array of a list: .* inhomogeneous shape"):
        tn.exp([[1.0], [2.0, 3.0]])


def test_lists_of_tensors_are_refused_and_name_stack():
    t, u = tn.tensor([1.0, 2.0], requires_grad=True), tn.tensor(1.0, requires_grad=True)
    for call in (lambda: t * [u, 1.0], lambda: [u, u] + t, lambda: tn.exp([[u]]), lambda: tn.tensor([[u]])):
        with pytest.raises(TypeError, match=r"^\w+: the list holds tensors; tn\.stack\(list\) joins them and keeps"):
            call()
    np.testing.assert_array_equal((t * [u.detach(), 3.0]).data, [1, 6])


@pytest.mark.parametrize("wrong", [1j, np.array([1j, 2.0]), np.ma.masked_array([1.0, 2.0], mask=[True, False]), "ab"])
def test_they_are_refused_as_tangents_and_assigned_values(wrong):
    x = np.ones(np.shape(wrong))
    t = tn.tensor(x)
    calls = {
        "tangent: ": lambda: tn.jvp(lambda x: x * x, (x,), (wrong,)),
        "cotangent: ": lambda: tn.vjp(lambda x: x * x, x)[1](wrong),
        "assignment: ": lambda: t.__setitem__(..., wrong),
    }
    for said, call in calls.items():
        with pytest.raises(TypeError, match=f"^{said}expected .*real numbers, the"):
            call()


# --- further places where values enter --------------------------------------------------------------------------------


def test_data_and_grad_take_plain_values():
    t = tn.tensor([1.0, 2.0], requires_grad=True)
    t.data = Labelled([3.0, 4.0])
    t.grad = Labelled([1.0, 1.0])
    assert type(t.data) is type(t.grad) is np.ndarray
    t.grad = tn.tensor([2.0, 2.0])
    assert type(t.grad) is np.ndarray
    tn.optim.SGD([t], lr=1.0).step()
    np.testing.assert_array_equal(t.data, [1, 2])
    (t * 1).backward(Labelled([5.0, 6.0]))
    np.testing.assert_array_equal(t.grad, [7, 8])
    with tn.no_grad():
        t[...] = Labelled([0.0, 1.0])
    np.testing.assert_array_equal(t.data, [0, 1])


def test_labels_and_indices_of_a_series():
    logits = tn.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    labels = np.array([0, 1, 1])
    loss = tn.cross_entropy(logits, Labelled(labels))
    assert loss.item() == tn.cross_entropy(logits, labels).item()
    assert tn.tensor(Labelled(labels)).dtype == labels.dtype
    index = Labelled(np.array([2, 0]))
    y = logits[:, index]
    index.values[:] = 1
    y.sum().backward()
    np.testing.assert_array_equal(logits.grad, [[1, 0, 1]] * 2)
    np.testing.assert_array_equal(logits[Labelled(np.array([True, False]))].data, [[0, 1, 2]])


class Subclass(np.ndarray):
    """Of a product of its own."""

    def __array_finalize__(self, other):
        pass


def test_what_is_taken_is_copied():
    """What the backward pass reads is what the operation has read."""
    for form in (lambda a: a, Labelled, lambda a: a.view(Subclass)):
        a = np.array([[2.0, 3.0]])
        t = tn.tensor([[1.0, 1.0]], requires_grad=True)
        y = t * form(a)
        a[:] = 7
        y.sum().backward()
        np.testing.assert_array_equal(t.grad, [[2, 3]])
        assert type(y.data) is np.ndarray


def test_they_are_taken_in_a_compiled_step():
    t = tn.tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        t.zero_grad()
        loss = ((t * (2.0, 3.0) + x) * [1.0, 2.0]).sum()
        loss.backward()
        return loss

    compiled, x = tn.compile(step), np.array([1.0, 0.0])
    for _ in range(3):
        assert compiled(x).item() == step(x).item() == 15
        np.testing.assert_array_equal(t.grad, [2, 6])


# --- the frameworks themselves ----------------------------------------------------------------------------------------


def of_pandas(kind):
    pandas = pytest.importorskip("pandas")
    index = [2, 1, 0]
    return {"Series": lambda a: pandas.Series(a, index=index), "Index": pandas.Index, "array": pandas.array}[kind]


PEERS = {
    "pandas.Series": lambda: of_pandas("Series"),
    "pandas.Index": lambda: of_pandas("Index"),
    "pandas.array": lambda: of_pandas("array"),
    "polars": lambda: pytest.importorskip("polars").Series,
    "xarray": lambda: lambda a: pytest.importorskip("xarray").DataArray(a, coords={"x": [2, 1, 0]}, dims="x"),
    "torch": lambda: pytest.importorskip("torch").as_tensor,
    "jax": lambda: lambda a: pytest.importorskip("jax").numpy.asarray(a.astype(np.float32)),
}
WRAP_US = ("polars", "xarray")  # as left operands these try by themselves


@pytest.mark.peers
@pytest.mark.parametrize("name", PEERS)
def test_arrays_of_other_packages_are_taken_by_their_values(name):
    form, a, b = PEERS[name](), np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 0.5])
    t = tn.tensor(a, requires_grad=True)
    for binary in OPERATORS:
        results = [(binary(t, form(b)), binary(a, b))]
        if name not in WRAP_US and not (name.startswith("pandas") and binary is operator.matmul):
            results.append((binary(form(b), t), binary(b, a)))
        for y, right in results:
            assert type(y) is tn.Tensor
            np.testing.assert_allclose(y.data, right)
    t.zero_grad()
    tn.mse(t, form(b)).backward()
    np.testing.assert_allclose(t.grad, a - b)
    np.testing.assert_allclose(tn.exp(form(b)), np.exp(b), rtol=1e-6)
    np.testing.assert_allclose(tn.tensor(form(b)).data, b)
    labels = form(np.array([0, 1, 1]))
    if name != "jax":
        logits = tn.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
        assert tn.cross_entropy(logits, labels).item() == tn.cross_entropy(logits, np.array([0, 1, 1])).item()


@pytest.mark.peers
def test_a_layer_takes_a_frame():
    pandas = pytest.importorskip("pandas")
    X = np.arange(6.0).reshape(2, 3)
    layer = tn.nn.Dense(2, 4, "tanh", rng=0)
    np.testing.assert_array_equal(layer(pandas.DataFrame(X, columns=list("cba"))).data, layer(X).data)


@pytest.mark.peers
def test_bfloat16_is_refused_with_a_way_out_that_works():
    torch, jnp = pytest.importorskip("torch"), pytest.importorskip("jax.numpy")
    theirs = torch.ones(2, dtype=torch.bfloat16)
    with pytest.raises(
        TypeError, match=r"^exp: NumPy makes no array of a Tensor: .* BFloat16; \.float\(\) converts it$"
    ):
        tn.exp(theirs)
    np.testing.assert_array_equal(tn.tensor(theirs.float()).data, [1, 1])
    theirs = jnp.ones(2, jnp.bfloat16)
    with pytest.raises(
        TypeError, match=r"^exp: expected real numbers, x has dtype bfloat16 .*: np\.asarray\(x, dtype=float\) "
    ):
        tn.exp(theirs)
    np.testing.assert_array_equal(tn.tensor(np.asarray(theirs, dtype=float)).data, [1, 1])


@pytest.mark.peers
def test_a_history_of_torch_is_refused():
    torch = pytest.importorskip("torch")
    w = torch.ones(2, requires_grad=True)
    t = tn.tensor([1.0, 2.0], requires_grad=True)
    for call in (lambda: t * w, lambda: w * t, lambda: tn.mse(t, w), lambda: tn.tensor(w)):
        with pytest.raises(TypeError, match=r"is a Tensor of torch that requires a gradient"):
            call()
    np.testing.assert_array_equal((t * w.detach()).data, [1, 2])


def test_what_is_none_is_named():
    t = tn.tensor([1.0])
    for call, text in ((lambda: tn.sin(None), "sin: x"), (lambda: tn.add(t, None), "add: b")):
        with pytest.raises(TypeError, match=f"^{text} is None, expected an array of real numbers: what made it"):
            call()
