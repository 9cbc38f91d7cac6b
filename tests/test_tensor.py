"""Tensors: mutation, NumPy around them, messages, depth, memory, threads, copies, and the switches."""

import array
import cmath
import contextlib
import copy
import gc
import itertools
import math
import operator
import pickle
import threading
import weakref

import numpy as np
import pytest
import scipy.integrate

import tinygrad_nn as tn
from tinygrad_nn.numpy_protocol import _NEAREST
from tinygrad_nn.operation import BY_NAME

ARRAY = np.array([[1.0, 2.0], [3.0, 4.0]])
CONSTANT = np.array([[2.0, 3.0], [1.0, 2.0]])


def leaf(data=ARRAY, name=None, dtype=None):
    return tn.tensor(data, requires_grad=True, name=name, dtype=dtype)


# --- mutation: the gradient is right, or backward() refuses -----------------------------------------------------------

FORWARD = {
    "p + c": lambda p, c: p + c,
    "p * c": lambda p, c: p * c,
    "p * p": lambda p, c: p * p,
    "c / p": lambda p, c: c / p,
    "p ** c": lambda p, c: p**c,
    "exp(p)": lambda p, c: np.exp(p),
    "tanh(p)": lambda p, c: np.tanh(p),
    "relu(p - 2.5)": lambda p, c: tn.relu(p - 2.5),
    "c @ p": lambda p, c: c @ p,
    "p.T * p.T": lambda p, c: p.T * p.T,
    "p[:] * p": lambda p, c: p[:] * p,
    "p[::-1][0] * p": lambda p, c: p[::-1][0] * p,
    "p.reshape(-1) ** 2": lambda p, c: p.reshape(-1) ** 2,
    "p[[0, 1, 1]] * 2": lambda p, c: p[[0, 1, 1]] * 2,
    "p.detach() * p": lambda p, c: p.detach() * p,
    "maximum(p, c)": lambda p, c: np.maximum(p, c),
    "where(p > c, p * p, p)": lambda p, c: np.where(p > c, p * p, p),
    "clip(p)": lambda p, c: p.clip(1.5, 3.5),
    "softmax(p)": lambda p, c: tn.softmax(p),
    "logsumexp(p)": lambda p, c: tn.logsumexp(p),
    "mse(p, c)": lambda p, c: tn.mse(p, c),
    "prod(p)": lambda p, c: p.prod(axis=0),
    "norm(p)": lambda p, c: tn.norm(p),
    "max(p)": lambda p, c: p.max(axis=0),
    "einsum(p, c)": lambda p, c: tn.einsum("ij,jk", p, c),
    "einsum(p.T)": lambda p, c: tn.einsum("ij->ji", p) * p,
    "stack(p, p * p)": lambda p, c: tn.stack([p, p * p]),
    "inv(p)": lambda p, c: tn.inv(p),
    "squeeze(p) * p": lambda p, c: tn.squeeze(p) * p,
}


def in_place(p, held):
    p.data -= 0.5


def assign(p, held):
    p.data = p.data * 0 + 3.0


def assign_and_write_into_it(p, held):
    new = np.ones((2, 2))
    p.data = new
    new[0, 0] = 11.0


def write_all(p, held):
    p.data[...] = 7.0


def write_by_index(p, held):
    with tn.no_grad():
        p[0] = 9.0


def ufunc_out(p, held):
    np.add(p.data, 1, out=p.data)


def sort(p, held):
    p.data[:] = p.data[::-1]


def through_a_transpose(p, held):
    p.T.data[0, 1] = 6.0


def through_detach(p, held):
    p.detach().data[...] = 2.0


def held_array(p, held):
    held["array"][0, 0] = 5.5


def held_view(p, held):
    held["view"][1] = 5.5


def held_transpose(p, held):
    held["transpose"][0, 1] = 5.5


def held_memory(p, held):
    held["memory"][0, 1] = 0.25


def held_iterator(p, held):
    held["iterator"][1] = 0.25


def held_detached(p, held):
    held["detached"].data[0] = 2.0


def held_detached_by_index(p, held):
    held["detached"][0] = 2.0


def held_slice(p, held):
    held["slice"].data[...] = 4.0


def result_in_place(p, held):
    held["y"].data *= 3.0


def constant_in_place(p, held):
    held["c"][...] = 1.25


def source_in_place(p, held):
    held["source"][...] = 42.0


def copies_given_out(p, held):
    p.numpy()[...] = 0
    np.asarray(p.detach())[...] = 0
    copy.copy(p).data[...] = 0
    copy.deepcopy(p).data[...] = 0


def optimiser_step(p, held):
    p.data -= 0.1 * np.ones((2, 2))
    p.data += 0.1


HOLD = {
    held_array: lambda p: {"array": p.data},
    held_view: lambda p: {"view": p.data.reshape(-1)},
    held_transpose: lambda p: {"transpose": p.data.T},
    held_memory: lambda p: {"memory": memoryview(p.data)},
    held_iterator: lambda p: {"iterator": p.data.flat},
    held_detached: lambda p: {"detached": p.detach()},
    held_detached_by_index: lambda p: {"detached": p.detach()},
    held_slice: lambda p: {"slice": p[0:1]},
}
HARMLESS = [constant_in_place, source_in_place, copies_given_out]
CHANGES = [
    in_place, assign, assign_and_write_into_it, write_all, write_by_index, ufunc_out, sort, through_a_transpose,
    through_detach, result_in_place, optimiser_step, *HOLD, *HARMLESS,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_a_change_between_forward_and_backward_is_harmless_or_refused(change):
    refused = 0
    for f, own_array in itertools.product(FORWARD.values(), [False, True]):
        expected = leaf()
        f(expected, CONSTANT.copy()).sum().backward()
        source, c = ARRAY.copy(), CONSTANT.copy()
        p = leaf(source, name="p")
        if own_array:  # the tensor holds an array of ours from the start
            p.data = source = ARRAY.copy()
        if own_array and change is source_in_place:
            continue
        held = HOLD.get(change, lambda p: {})(p)
        y = f(p, c)
        total = y.sum()
        change(p, {**held, "y": y, "c": c, "source": source})
        try:
            total.backward()
        except tn.MutationError:
            refused += 1
        else:
            np.testing.assert_allclose(p.grad, expected.grad)
    assert refused == 0 if change in HARMLESS else refused > 0


SAME_MEMORY = {
    "T": lambda p: p.T, "[...]": lambda p: p[...], "[::-1]": lambda p: p[::-1], "reshape": lambda p: p.reshape(2, 2),
    "ravel": lambda p: p.ravel(), "squeeze": lambda p: p.squeeze(), "expand_dims": lambda p: tn.expand_dims(p, 0),
    "moveaxis": lambda p: tn.moveaxis(p, 0, 0), "flip": lambda p: tn.flip(p), "split": lambda p: tn.split(p, 1)[0],
    "diagonal": lambda p: p.diagonal(), "einsum": lambda p: tn.einsum("ii->i", p), "+": lambda p: +p,
    "astype": lambda p: p.astype(float), "concatenate": lambda p: tn.concatenate([p]), "detach": lambda p: p.detach(),
    "take": lambda p: tn.take(p, [0, 1], axis=0), "clip": lambda p: p.clip(None, None), "pad": lambda p: tn.pad(p, 0),
    "sum": lambda p: p.sum(axis=()), "views of views": lambda p: p.T.reshape(2, 2)[::-1].squeeze(),
    "own operation": lambda p: SAME(p),
}  # fmt: skip
SAME = tn.Op("same", lambda x: x, "{x}", (lambda g, y, x: g,), kind="elementwise", arguments=("x",))


@pytest.mark.parametrize("other", SAME_MEMORY.values(), ids=SAME_MEMORY)
@pytest.mark.parametrize("held", [False, True])
def test_writing_through_what_may_share_memory(other, held):
    """Whoever writes to a result, if that is a view of its input, changes the input: noticed, or not so."""
    p = leaf()
    q = other(p)
    array = q.data if held else None
    y = (p * p * q.sum()).sum()
    (array if held else q.data)[...] = 5.0
    try:
        y.backward()
    except tn.MutationError:
        return
    assert (p.data == ARRAY).all(), "a write that reached p must be refused"
    expected = leaf()
    (expected * expected * other(expected).sum()).sum().backward()
    np.testing.assert_allclose(p.grad, expected.grad)


def test_the_text_of_a_refusal():
    w = leaf(name="w")
    y = (w * w).sum()
    w.data -= 1
    with pytest.raises(tn.MutationError) as refused:
        y.backward()
    assert str(refused.value).startswith("w of shape (2, 2) was changed after multiply used it (line ")
    assert str(refused.value).endswith(
        "of test_tensor.py: y = (w * w).sum()), so its gradient would be wrong: "
        "call backward() before changing it, or compute the result anew"
    )
    assert w.grad is None
    np.testing.assert_array_equal(tn.gradients((w * w).sum(), w)[0], 2 * w.data)  # computed anew


def test_a_value_that_no_rule_reads_may_change():
    w, x = leaf(), leaf()
    y = (2 * w + x).sum()
    w.data -= 1
    x.data[...] = 0
    y.backward()
    np.testing.assert_array_equal(w.grad, np.full((2, 2), 2.0))


@pytest.mark.parametrize("sweep", ["gradients", "create_graph", "jvp"])
def test_other_sweeps_refuse_as_well(sweep):
    w = leaf()
    y = (w * w).sum()
    w.data -= 1
    if sweep == "jvp":

        def f(t):
            z = t * t
            t.data[...] = 3.0
            return z

        with pytest.raises(tn.MutationError):
            tn.jvp(f, (ARRAY,), (ARRAY,))
    else:
        with pytest.raises(tn.MutationError):
            tn.gradients(y, w, create_graph=sweep == "create_graph")


def test_change_between_two_forward_passes():
    """The first result is refused, the second is right: each is compared with the moment it was computed."""
    w = leaf()
    first = (w * w).sum()
    w.data *= 2
    second = (w * w).sum()
    second.backward()
    np.testing.assert_array_equal(w.grad, 4 * ARRAY)
    with pytest.raises(tn.MutationError):
        first.backward()
    held = w.data
    third = (w * w).sum()
    held[0, 0] = 100.0
    fourth = (w * w).sum()
    w.zero_grad()
    fourth.backward()
    np.testing.assert_array_equal(w.grad, 2 * held)
    with pytest.raises(tn.MutationError):
        third.backward()


def test_the_usual_training_loop_just_works():
    rng = np.random.default_rng(0)
    W, b = leaf(rng.normal(size=(1, 3)), "W"), leaf(np.zeros((1, 1)), "b")
    X = rng.normal(size=(3, 20))
    Y = np.array([[1.0, -2.0, 0.5]]) @ X + 3
    held = W.data  # whoever looks on does not disturb
    for _ in range(300):
        loss = tn.mse(W @ X + b, Y)
        for p in (W, b):
            p.zero_grad()
        loss.backward()
        for p in (W, b):
            p.data -= 0.3 * p.grad
    assert loss.item() < 1e-20
    np.testing.assert_allclose(W.numpy(), [[1.0, -2.0, 0.5]], atol=1e-9)
    assert held is W.data


def test_data_keeps_shape_and_dtype():
    p = leaf(np.ones(3, np.float32), name="p")
    p.data = np.arange(3)
    assert p.dtype == np.float32
    np.testing.assert_array_equal(p.data, [0, 1, 2])
    with pytest.raises(ValueError, match=r"p has shape \(3,\), its new data has shape \(2,\): they must be equal"):
        p.data = np.ones(2)


def test_detach_shares_memory_and_numpy_copies():
    p = leaf()
    d = p.detach()
    assert not d.requires_grad
    p.data[0, 0] = 50.0
    assert d.data[0, 0] == 50.0
    out = p.numpy()
    out[...] = 0
    assert p.data[0, 0] == 50.0
    y = p * 2
    assert y.detach().op is None
    assert not y.detach().requires_grad


def test_item_assignment_is_refused_where_it_would_leave_the_graph():
    p = leaf(name="p")
    for t in (p, p * 1):
        with pytest.raises(tn.MutationError, match=r"use t = tn\.index_update\(t, index, values\), or assign within"):
            t[0] = 1.0
    constant = tn.tensor(ARRAY)
    with pytest.raises(tn.MutationError):
        constant[0] = leaf(1.0)
    constant[0] = 5.0
    constant[1] += tn.tensor([1.0, 1.0])
    np.testing.assert_array_equal(constant.data, [[5, 5], [4, 5]])
    with tn.no_grad():
        p[0, 0] = 8.0
    assert p.data[0, 0] == 8.0


def test_index_update_is_the_way_to_assign():
    t, v = leaf([1.0, 2.0, 3.0]), leaf(10.0)
    u = tn.index_update(t, slice(0, 2), v * 2)
    np.testing.assert_array_equal(u.data, [20, 20, 3])
    (u * np.array([1.0, 2.0, 4.0])).sum().backward()
    np.testing.assert_array_equal(t.grad, [0, 0, 4])
    assert v.grad == 6
    np.testing.assert_array_equal(t.data, [1, 2, 3])
    with pytest.raises(ValueError, match="names an element twice, so which value stays would be chance"):
        tn.index_update(t, [0, 0], [1.0, 2.0])


# --- values, dtypes, and conversions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [(1, "f8"), (True, "?"), (1.5, "f8"), ([1, 2], "f8"), ([[1, 2.0]], "f8"), (np.int32([1]), "i4"), ([], "f8"),
     (np.float32(2), "f4"), (np.float16([1]), "f2"), (np.array(True), "?"), (range(3), "f8"), ([True], "?")],
)  # fmt: skip
def test_numbers_and_lists_become_float64_and_arrays_keep_their_dtype(data, dtype):
    t = tn.tensor(data)
    assert t.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(t.data, np.array(data))
    assert tn.tensor(data, dtype=np.float32).dtype == np.float32
    assert tn.tensor(t).dtype == t.dtype


@pytest.mark.parametrize("data", ["text", None, 1j, np.array([1, "a"], dtype=object), {"a": 1}])
def test_what_is_not_real_numbers_is_refused(data):
    with pytest.raises(TypeError, match="tensor: expected real numbers, the data has dtype"):
        tn.tensor(data)


@pytest.mark.parametrize("data", [np.array([1, 2]), np.array([True]), np.int8(3)])
def test_requires_grad_on_integers_names_the_dtype(data):
    text = (
        rf"^requires_grad=True needs floating-point numbers, the data has dtype {data.dtype}: "
        r"convert it, as in tn.tensor\(data, requires_grad=True, dtype=float\)$"
    )
    with pytest.raises(TypeError, match=text):
        tn.tensor(data, requires_grad=True)
    t = tn.tensor(data)
    with pytest.raises(TypeError, match=text):
        t.requires_grad = True
    assert tn.tensor(data, requires_grad=True, dtype=float).requires_grad


def test_float32_stays_float32():
    t = leaf(np.array([1.0, 2.0], np.float32))
    numbers = [t * 2.5, 2.5 - t, t**2, t**0.5, 2**t, t / 3, t.sum() * 2.0, t.mean(), t.var(), t.std(), tn.norm(t),
               t.prod(), tn.softmax(t), tn.logsumexp(t), tn.mse(t, t * 0.5), np.maximum(t, 0), np.where(t > 1, t, 0.0),
               np.clip(t, 0.5, 1.5), t.cumsum(), t.max(), np.hypot(t, 1.0), tn.gelu(t), tn.erf(t), tn.sinc(t), t @ t,
               tn.huber_loss(t, t + 3), tn.stack([t, t]), t[0], tn.pad(t, 1), t * True, 3 * t - 1]  # fmt: skip
    assert {y.dtype for y in numbers} == {np.dtype(np.float32)}
    sum(y.sum() for y in numbers).backward()
    assert t.grad.dtype == np.float32


def test_a_gradient_is_cast_back_to_its_leaf():
    a, b = leaf(np.float32([1, 2])), leaf(np.float64([3, 4]))
    (a * b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)
    c = leaf(np.float64([1, 2]))
    c.astype(np.float32).sum().backward()
    assert c.grad.dtype == np.float64
    assert c.astype(int).requires_grad is False
    assert c.astype("float32").dtype == np.float32


def test_conversions():
    t = leaf(2.5)
    assert (t.item(), bool(t), f"{t:.2f}", f"{t}", round(t, 0)) == (
        2.5, True, "2.50", "tensor(2.5, requires_grad=True)", 2.0,
    )  # fmt: skip
    for convert in (float, int, complex, math.floor):
        assert convert(t.detach()) == convert(2.5)
        with pytest.raises(TypeError, match=r"^w cannot become an? \w+: .*; take \.item\(\) or \.detach\(\) to leave"):
            convert(t.named("w"))
    assert leaf([[3.0]]).item() == 3.0
    assert leaf().tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert [5, 6, 7][tn.tensor(np.array(1))] == 6
    assert len(leaf()) == 2
    assert [r.tolist() for r in leaf()] == [[1.0, 2.0], [3.0, 4.0]]
    x, y = leaf([1.0, 2.0])
    assert (x + y).item() == 3
    assert sum(leaf([1.0, 2.0])).item() == 3
    assert "a tensor" in {leaf(): "a tensor"}.values()
    for wrong, kind, text in [
        (lambda: leaf().item(), ValueError, r"item\(\) needs a single element, the tensor has shape \(2, 2\)"),
        (lambda: len(leaf(1.0)), TypeError, r"a tensor of a single number has no len\(\)"),
        (lambda: bool(leaf()), ValueError, "truth value"),
        (lambda: float(leaf().detach()), (TypeError, ValueError), "size 1"),
        (lambda: [1, 2][leaf(1.0)], TypeError, "only single integers can be an index, this tensor has dtype float64"),
        (lambda: leaf()[tn.tensor([0.0])], IndexError, "an index must have an integer or bool dtype"),
        (lambda: leaf()[5], IndexError, "out of bounds"),
        (lambda: leaf().colour, AttributeError, "has no attribute 'colour'"),
    ]:
        with pytest.raises(kind, match=text):
            wrong()


def test_errors_of_numpy_name_the_operation_and_its_operands():
    A = tn.tensor(np.zeros((2, 2)), requires_grad=True, name="A")
    for wrong, kind, text in [
        (lambda: A.sum(axis=5), np.exceptions.AxisError, r"sum: A has shape \(2, 2\): axis 5 .*; axes count from 0"),
        (lambda: tn.transpose(A, (0, 0)), ValueError, r"transpose: A has shape \(2, 2\): .*; name every axis once"),
        (lambda: A[5], IndexError, r"getitem: A has shape \(2, 2\): index 5 is out of bounds for axis 0"),
        (lambda: tn.inv(A), np.linalg.LinAlgError, r"inv: A has shape \(2, 2\): Singular matrix; .* A \+ 1e-6 \*"),
        (lambda: tn.cholesky(A - 1), np.linalg.LinAlgError, r"cholesky: \w+ has shape \(2, 2\): .*eigenvalues above 0"),
        (lambda: A.sum().backward("a"), TypeError, r"gradient is 'a': expected an array of numbers of shape \(\)"),
    ]:
        with pytest.raises(kind, match=text):
            wrong()


def test_repr_shows_value_name_and_operation():
    assert repr(tn.tensor([1, 2], name="x")) == "tensor([1., 2.], name='x')"
    assert repr(leaf(1.0)) == "tensor(1., requires_grad=True)"
    assert repr(np.tanh(leaf([0.0])).named("h")) == "tensor([0.], name='h', op=tanh)"
    assert repr(leaf(np.float32([1]))) == "tensor([1.], dtype=float32, requires_grad=True)"
    assert repr(tn.tensor(np.array([True]))) == "tensor([ True])"
    assert "..." in repr(tn.tensor(np.zeros(1000)))
    assert eval(repr(leaf([1.0])), {"tensor": tn.tensor}).requires_grad


def test_a_tensor_is_final():
    with pytest.raises(TypeError, match=r"final|subclass"):
        type("Mine", (tn.Tensor,), {})


# --- NumPy around tensors ---------------------------------------------------------------------------------------------

NUMPY_CALLS = {
    "np.exp(t)": lambda t: np.exp(t),
    "np.sum(t)": lambda t: np.sum(t),
    "np.sum(a=t, axis=0)": lambda t: np.sum(a=t, axis=0),
    "np.sum(t, 0, None, None, True)": lambda t: np.sum(t, 0, None, None, True),
    "np.mean(t, axis=0, dtype=None, out=None)": lambda t: np.mean(t, axis=0, dtype=None, out=None),
    "np.var(t, 0, None, None, 1)": lambda t: np.var(t, 0, None, None, 1),
    "np.std(a=t, ddof=1, keepdims=True)": lambda t: np.std(a=t, ddof=1, keepdims=True),
    "np.amax(t, 1)": lambda t: np.amax(t, 1),
    "np.add(array, t)": lambda t: np.add(ARRAY, t),
    "array + t": lambda t: ARRAY + t,
    "array - t": lambda t: ARRAY - t,
    "array * t": lambda t: ARRAY * t,
    "array / t": lambda t: ARRAY / t,
    "array ** t": lambda t: ARRAY**t,
    "array @ t": lambda t: ARRAY @ t,
    "np.float64(2) * t": lambda t: np.float64(2) * t,
    "np.array(2.0) - t": lambda t: np.array(2.0) - t,
    "[1.0, 2.0] + t": lambda t: [1.0, 2.0] + t,
    "t * (1, 2)": lambda t: t * (1, 2),
    "np.dot(array, t)": lambda t: np.dot(ARRAY, t),
    "np.matmul(t, array)": lambda t: np.matmul(t, ARRAY),
    "np.where(c, t, u)": lambda t: np.where(ARRAY > 2, t, t * 2),
    "np.where(t > 2.5, t, 0)": lambda t: np.where(t > 2.5, t, 0),
    "np.concatenate([t, u])": lambda t: np.concatenate([t, ARRAY]),
    "np.concatenate((u, t), 1)": lambda t: np.concatenate((ARRAY, t), 1),
    "np.concat": lambda t: np.concat([t, t], axis=-1),
    "np.stack([t, u], axis=-1)": lambda t: np.stack([ARRAY, t], axis=-1),
    "np.hstack, np.vstack": lambda t: np.hstack([t, np.vstack((t, ARRAY)).T[:, :1].T.reshape(2, 1)]),
    "np.reshape(t, (4,))": lambda t: np.reshape(t, (4,)),
    "np.reshape(t, shape=-1)": lambda t: np.reshape(t, shape=-1),
    "np.reshape(t, (4, 1), order='C')": lambda t: np.reshape(t, (4, 1), order="C"),
    "np.transpose(t, axes=(1, 0))": lambda t: np.transpose(t, axes=(1, 0)),
    "np.clip(t, a_min=1.5, a_max=3.5)": lambda t: np.clip(t, a_min=1.5, a_max=3.5),
    "np.clip(t, 1.5, 3.5)": lambda t: np.clip(t, 1.5, 3.5),
    "np.clip(t, None, 3.5)": lambda t: np.clip(t, None, 3.5),
    "np.clip(t, min=1.5)": lambda t: np.clip(t, min=1.5),
    "np.squeeze(a=t[None], axis=0)": lambda t: np.squeeze(a=t[None], axis=0),
    "np.expand_dims(t, 0)": lambda t: np.expand_dims(t, 0),
    "np.broadcast_to(t, (3, 2, 2), subok=False)": lambda t: np.broadcast_to(t, (3, 2, 2), subok=False),
    "np.tile(A=t, reps=2)": lambda t: np.tile(A=t, reps=2),
    "np.repeat(a=t, repeats=2, axis=0)": lambda t: np.repeat(a=t, repeats=2, axis=0),
    "np.roll(t, 1)": lambda t: np.roll(t, 1),
    "np.flip(m=t)": lambda t: np.flip(m=t),
    "np.take(t, indices=[0, 0], axis=1)": lambda t: np.take(t, indices=[0, 0], axis=1),
    "np.pad(array=t, pad_width=1)": lambda t: np.pad(array=t, pad_width=1),
    "np.pad(t, 1, mode='edge')": lambda t: np.pad(t, 1, mode="edge"),
    "np.split(ary=t, ...)": lambda t: np.split(ary=t, indices_or_sections=2)[1],
    "np.array_split(t, 2, axis=1)": lambda t: np.array_split(t, 2, axis=1)[0],
    "np.diag(v=t)": lambda t: np.diag(v=t),
    "np.diagonal(t, 1)": lambda t: np.diagonal(t, 1),
    "np.trace(t)": lambda t: np.trace(t),
    "np.tril(m=t, k=-1)": lambda t: np.tril(m=t, k=-1),
    "np.einsum('ij,jk->ik', t, array)": lambda t: np.einsum("ij,jk->ik", t, ARRAY),
    "np.einsum(optimize=True)": lambda t: np.einsum("ij,kj", ARRAY, t, optimize=True),
    "np.tensordot": lambda t: np.tensordot(ARRAY, t, axes=([1], [0])),
    "np.kron, np.outer, np.inner": lambda t: np.kron(t, ARRAY) + np.outer(ARRAY, t) + np.inner(t, ARRAY)[0, 0],
    "np.linalg.norm(t, 'fro')": lambda t: np.linalg.norm(t, "fro"),
    "np.linalg.norm(t, axis=1, keepdims=True)": lambda t: np.linalg.norm(t, axis=1, keepdims=True),
    "np.linalg.inv": lambda t: np.linalg.inv(t),
    "np.linalg.solve": lambda t: np.linalg.solve(t, np.ones(2)),
    "np.linalg.det": lambda t: np.linalg.det(t),
    "np.linalg.slogdet": lambda t: np.linalg.slogdet(t)[1],
    "np.cumsum(t, 0)": lambda t: np.cumsum(t, 0),
    "np.cumprod(a=t, axis=1)": lambda t: np.cumprod(a=t, axis=1),
    "np.maximum(2, t)": lambda t: np.maximum(2.5, t),
    "np.pow, np.acosh": lambda t: np.pow(np.acosh(t + 1), 2),
    "np.moveaxis(t, [0], [1])": lambda t: np.moveaxis(t, [0], [1]),
    "np.ravel(t)": lambda t: np.ravel(t),
    "abs(-t)": lambda t: abs(-t),
    "t[[0, 1], ::-1]": lambda t: t[[0, 1], ::-1],
    "2 ** t": lambda t: 2**t,
}  # fmt: skip


@pytest.mark.parametrize("call", NUMPY_CALLS.values(), ids=NUMPY_CALLS)
def test_numpy_stays_in_the_graph(call):
    t = leaf()
    y = call(t)
    assert isinstance(y, tn.Tensor)
    assert y.requires_grad
    np.testing.assert_allclose(y.data, call(ARRAY), rtol=1e-14)
    assert tn.gradcheck(call, ARRAY)


@pytest.mark.parametrize(
    "about", [np.shape, np.ndim, np.size, np.argmax, np.argmin, np.any, np.all, np.isnan, np.isfinite, np.count_nonzero,
              np.zeros_like, np.ones_like, lambda t: np.allclose(t, ARRAY), lambda t: np.array_equal(t, ARRAY),
              lambda t: np.result_type(t, np.float32), lambda t: t > 2, lambda t: np.less(ARRAY, t),
              lambda t: t == ARRAY, lambda t: (t > 1) & (t < 4) | ~(t != 3),
              lambda t: np.logical_and(t > 1, ARRAY < 3)],
)  # fmt: skip
def test_questions_about_the_value_are_answered(about):
    got, expected = about(leaf()), about(ARRAY)
    if isinstance(got, tn.Tensor):
        assert not got.requires_grad
        got = got.data
    np.testing.assert_array_equal(got, expected)


def put(write):
    def into():
        array = np.zeros(3)
        write(array)
        return array

    return into


@pytest.mark.parametrize(
    "leave",
    [
        lambda: np.asarray(leaf()),
        lambda: np.array(leaf()),
        lambda: np.array([leaf(1.0), leaf(2.0)]),
        lambda: np.array([leaf(), leaf()], dtype=object),
        lambda: np.array([[leaf(1.0)], [2.0]]),
        lambda: np.full(3, leaf(1.0)),
        lambda: ARRAY.dot(leaf()),
        lambda: np.arange(leaf(3.0)),
        put(lambda a: a.__setitem__(slice(None), leaf([1.0, 2.0, 3.0]))),
        put(lambda a: a.__iadd__(leaf(1.0))),
        put(lambda a: np.add(a, leaf(1.0), out=a)),
        put(lambda a: np.copyto(a, leaf(1.0))),
        put(lambda a: np.put(a, 0, leaf(1.0))),
        put(lambda a: np.sum(leaf(), axis=0, out=a[:2])),
        lambda: np.add.at(np.zeros(2), [0], leaf(1.0)),
        lambda: np.add.reduceat(leaf(), [0]),
        lambda: np.histogram(leaf()),
        lambda: np.angle(leaf()),
        lambda: np.full_like(ARRAY, leaf(1.0)),
        lambda: np.spacing(leaf()),
        lambda: np.sum([leaf(1.0), leaf(2.0)]),
        lambda: tn.tensor([leaf(1.0), leaf(2.0)]),
        lambda: tn.tensor(leaf(1.0), requires_grad=True),
        lambda: tn.tensor(leaf() * 2, requires_grad=True),
        lambda: np.float64(leaf(1.0)),
        lambda: np.full_like(ARRAY, leaf() * 2),
        lambda: np.full_like(leaf(), leaf(2.0)),
        lambda: np.vectorize(math.sin)(leaf()),
        lambda: np.array([0.0, 1.0]).searchsorted(leaf(0.5)),
        lambda: np.random.default_rng(0).normal(leaf(1.0)),
        lambda: scipy.integrate.quad(lambda x: leaf(2.0) * x, 0, 1),
        lambda: scipy.integrate.quad(lambda x: x, 0, leaf(1.0)),
        lambda: array.array("d", [leaf(1.0)]),
        *[lambda f=f: f(leaf(1.0)) for f in (math.exp, math.sqrt, math.floor, cmath.exp, complex, float, int)],
        lambda: math.fsum(leaf([1.0, 2.0])),
        lambda: math.isclose(leaf(1.0), 1.0),
        lambda: "%f" % leaf(1.0),  # noqa: UP031  asks for a number as C does
        put(lambda a: a.flat.__setitem__(slice(None), leaf([1.0, 2.0, 3.0]))),
        put(lambda a: a.put(0, leaf(1.0))),
        put(lambda a: np.putmask(a, [True] * 3, leaf(1.0))),
        put(lambda a: np.place(a, [True] * 3, leaf([1.0]))),
        put(lambda a: np.fill_diagonal(a.reshape(3, 1), leaf(1.0))),
    ],
)
def test_nothing_leaves_the_graph_in_silence(leave):
    with pytest.raises(TypeError, match=r"leave the graph|is not recorded|keeps their history|became? an array"):
        leave()


def test_writing_a_tracked_number_into_an_array_is_refused():
    zeros = np.zeros(3)
    for t in (leaf(1.0), leaf([1.0])[0], leaf([1.0])):
        for write in (lambda t: zeros.__setitem__(0, t), zeros.fill, lambda t: np.fromiter([t], float)):
            with pytest.raises((TypeError, ValueError)) as refused:
                write(t)
            assert "that would silently leave the graph" in str(refused.value.__cause__ or refused.value)
        with pytest.raises((TypeError, ValueError)):
            zeros.flat[0] = t
    assert not zeros.any()
    zeros[0] = tn.tensor(2.0)
    zeros[1:] = tn.tensor([3.0, 4.0])
    np.testing.assert_array_equal(zeros, [2, 3, 4])


def test_constants_are_written_into_arrays():
    c, zeros = tn.tensor([1.0, 2.0]), np.zeros(2)
    np.copyto(zeros, c)
    np.testing.assert_array_equal(zeros, [1, 2])
    np.testing.assert_array_equal(np.full_like(zeros, tn.tensor(3.0)), [3, 3])
    np.add(zeros, c, out=zeros)
    zeros += c
    np.add.at(zeros, [0, 0], tn.tensor(1.0))
    np.testing.assert_array_equal(zeros, [5, 6])
    np.sum(tn.tensor([[1.0, 0.0]]), axis=0, out=zeros)
    np.testing.assert_array_equal(zeros, [1, 0])
    for into in (lambda: np.copyto(c, zeros), lambda: np.add(zeros, c, out=c), lambda: np.put(c, 0, 1.0)):
        with pytest.raises(
            TypeError, match=r"np\.\w+ cannot write into a tensor: write t = .*, or t\[\.\.\.\] = values with"
        ):
            into()


def test_a_tensor_made_of_a_tensor_stays_in_the_graph():
    assert tn.grad(lambda x: tn.tensor(x) * x)(2.0) == 4
    assert tn.jvp(lambda x: tn.tensor(x, dtype=np.float32) * x, (2.0,), (1.0,))[1] == 4
    assert tn.hessian(lambda x: tn.tensor(x) ** 3)(2.0) == 12
    w = leaf()
    c = tn.tensor(w, name="c")
    assert (c.name, c.requires_grad, c.is_leaf) == ("c", True, False)
    assert not np.shares_memory(c.data, w.data)
    (c * c).sum().backward()
    np.testing.assert_array_equal(w.grad, 2 * ARRAY)
    with tn.no_grad():
        assert not tn.tensor(w).requires_grad
        assert tn.tensor(w, requires_grad=True).is_leaf
    assert tn.tensor(w.detach(), requires_grad=True).is_leaf
    with pytest.raises(TypeError) as refused:
        tn.tensor(w.named("w"), requires_grad=True)
    assert str(refused.value) == (
        "tensor: w requires a gradient, and a new leaf of its value would silently leave the graph; "
        "tn.tensor(w.detach(), requires_grad=True) leaves it on purpose"
    )


def test_constants_become_arrays():
    t = leaf()
    for constant in (t.detach(), tn.tensor(ARRAY)):
        assert isinstance(np.asarray(constant), np.ndarray)
        np.testing.assert_array_equal(np.array([constant, constant]), [ARRAY, ARRAY])
    np.asarray(t.detach())[...] = 0
    np.testing.assert_array_equal(t.data, ARRAY)


def test_a_function_that_nobody_knows_is_refused_with_both_ways_out():
    with pytest.raises(TypeError) as refused:
        np.frompyfunc(math.erf, 1, 1)(leaf())
    assert str(refused.value) == (
        "erf (vectorized) is not recorded on tensors: add it with tn.op, or take .data to leave the graph"
    )


def test_a_ufunc_of_scipy_names_ours():
    special = pytest.importorskip("scipy.special")
    for function, nearest in ((special.expit, "sigmoid"), (special.log_expit, "log_sigmoid"), (special.erf, "erf")):
        with pytest.raises(TypeError, match=rf"^{function.__name__} is not .* the nearest operation is tn\.{nearest};"):
            function(leaf())


def test_functions_of_like_meaning_exist():
    assert set(_NEAREST.values()) <= set(tn.ops.names())


def test_augmented_assignment_of_what_is_recorded_makes_a_new_tensor():
    u = leaf(2.0)
    t = before = u + 1
    t *= u
    assert (u.item(), before.item(), t.item()) == (2, 3, 6)
    total = tn.tensor(0.0)
    total += t
    total.backward()
    assert u.grad == 5


# --- shapes that do not fit -------------------------------------------------------------------------------------------

A, B = np.ones((2, 3)), np.ones((3, 2))
MISFITS = [
    (lambda: leaf(A, "A") + leaf(B, "B"),
     "add: A has shape (2, 3), B has shape (3, 2): they differ along axis -1 (3 against 2) and neither is 1; B.T fits"),
    (lambda: leaf(A) * np.ones(2),
     ("multiply: a has shape (2, 3), b has shape (2,): they differ along axis -1 (3 against 2) and neither is 1; "
      "b.reshape(-1, 1) fits")),
    (lambda: np.ones((2, 4)) - leaf(A, "A"),
     "subtract: a has shape (2, 4), A has shape (2, 3): they differ along axis -1 (4 against 3) and neither is 1"),
    (lambda: leaf(A, "W") @ leaf(np.ones((4, 3)), "X"),
     "matmul: W has shape (2, 3), X has shape (4, 3): the 3 columns of W must equal the 4 rows of X; X.T fits"),
    (lambda: leaf(A, "W") @ np.ones((5, 7)),
     "matmul: W has shape (2, 3), b has shape (5, 7): the 3 columns of W must equal the 5 rows of b"),
    (lambda: leaf(A) @ 2.0,
     ("matmul: a has shape (2, 3), b has shape (): b is a single number, which has no rows or columns; "
      "use * to scale by it")),
    (lambda: np.ones((2, 4, 3)) @ leaf(np.ones((5, 3, 2)), "X"),
     "matmul: a has shape (2, 4, 3), X has shape (5, 3, 2): the leading axes (2,) and (5,) do not broadcast"),
    (lambda: leaf(A, "A").reshape(4), "reshape: A has shape (2, 3): cannot reshape array of size 6 into shape (4,)"),
    (lambda: tn.mse(leaf(np.ones((3, 1)), "Y"), np.ones(3)),
     ("mse: Y has shape (3, 1), target has shape (3,): the shapes must be equal: losses never broadcast; "
      "target.reshape(3, 1) fits")),
    (lambda: tn.mse(np.ones((3, 1)), np.ones(3)),
     ("mse: prediction has shape (3, 1), target has shape (3,): the shapes must be equal: losses never broadcast; "
      "target.reshape(3, 1) fits")),
    (lambda: tn.binary_cross_entropy(leaf(np.ones((1, 3)), "Z"), np.ones(3)),  # of which tn.fit gives batches
     ("binary_cross_entropy: Z has shape (1, 3), target has shape (3,): the shapes must be equal: "
      "losses never broadcast; target.reshape(1, -1) fits")),
    (lambda: tn.mse(leaf(A, "Z"), np.array([0, 1, 1])),
     ("mse: Z has shape (2, 3), target has shape (3,): the shapes must be equal: losses never broadcast; "
      "numbers of 2 classes are for tn.cross_entropy, or tn.data.one_hot(target, 2) fits")),
    (lambda: tn.l1_loss(leaf(A), B),
     ("l1_loss: prediction has shape (2, 3), target has shape (3, 2): the shapes must be equal: "
      "losses never broadcast; target.T fits (examples are columns)")),
    (lambda: tn.cross_entropy(leaf(A), np.array([[0, 1, 1]])),
     ("cross_entropy: logits has shape (2, 3), target has shape (1, 3): expected class labels of shape (3,) or one-hot "
      "columns of shape (2, 3); target[0] fits")),
    (lambda: tn.cross_entropy(leaf(A), B),
     ("cross_entropy: logits has shape (2, 3), target has shape (3, 2): expected class labels of shape (3,) or one-hot "
      "columns of shape (2, 3); target.T fits (examples are columns)")),
    (lambda: tn.cross_entropy(leaf(A), np.array([0, 1])),
     ("cross_entropy: logits has shape (2, 3), target has shape (2,): expected class labels of shape (3,) or one-hot "
      "columns of shape (2, 3)")),
    (lambda: (leaf(A, "v") * 2).named("v").backward(np.ones(3)),
     "gradient has shape (3,), v has shape (2, 3): they must be equal"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "text"), MISFITS, ids=[text.split(":")[0] for _, text in MISFITS])
def test_shapes_that_do_not_fit(wrong, text):
    with pytest.raises(tn.ShapeError) as refused:
        wrong()
    assert str(refused.value) == text
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: tn.concatenate([leaf(A, "A"), leaf(np.ones((2, 2)))], axis=0),
        lambda: tn.stack([leaf(A, "A"), leaf(B)]),
        lambda: tn.einsum("ij,jk->ik", leaf(A, "A"), leaf(A)),
        lambda: tn.solve(leaf(np.eye(3), "A"), np.ones(2)),
        lambda: tn.inv(leaf(A, "A")),
        lambda: tn.broadcast_to(leaf(A, "A"), (2, 2)),
        lambda: np.where(A > 0, leaf(A, "A"), B),
        lambda: leaf(A, "A").clip(B, None),
    ],
)
def test_every_shape_error_names_operation_and_operand(wrong):
    with pytest.raises(tn.ShapeError, match=r"^\w+: .*A has shape \("):
        wrong()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: tn.cross_entropy(leaf(A), np.array([0, 1, 2])),
         "cross_entropy: label 2 at index 2 is not one of the 2 classes 0 ... 1"),
        (lambda: tn.cross_entropy(leaf(A), np.array([0, -1, 2])),
         "cross_entropy: label -1 at index 1 is not one of the 2 classes 0 ... 1"),
        (lambda: tn.cross_entropy(leaf(A), np.array([0.0, 1.0, 1.0])),
         ("cross_entropy: class labels must be integers, target has dtype float64 (first value 0.0 at index 0); "
          "target.astype(int) converts")),
        (lambda: tn.binary_cross_entropy(leaf(A[0]), np.array([0, 1, 2])),
         "binary_cross_entropy: target 2 at index (2,) is not a probability from 0 to 1"),
        (lambda: (leaf(A) * 2).named("v").backward(),
         ("v has shape (2, 3), and only a single number has a gradient by itself: "
          "reduce it, as in .sum(), or pass gradient= an array of that shape")),
        (lambda: tn.gradients(leaf(A) * 2, leaf(A)),
         ("the output has shape (2, 3), and only a single number has a gradient by itself: "
          "reduce it, as in .sum(), or pass grad_outputs= an array of that shape")),
        (lambda: tn.tensor(1.0, name="q").backward(),
         ("q of shape () was not computed from a tensor that requires a gradient: "
          "create one with tn.tensor(..., requires_grad=True), and compute outside tn.no_grad()")),
        (lambda: tn.gradients(leaf(1.0) * 2, tn.tensor(1.0, name="u")),
         ("gradients: u of shape () does not require a gradient; "
          "create it with requires_grad=True before computing the outputs")),
        (lambda: tn.split(leaf(A), 2, axis=1), "split: an axis of length 3 does not divide into 2 equal parts"),
        (lambda: tn.pad(leaf(A), 1, mode="empty"),
         ("pad: mode 'empty' is not differentiated; there are constant, edge, reflect, symmetric, wrap, maximum, "
          "minimum, mean, median, linear_ramp")),
        (lambda: tn.norm(leaf(A), 3),
         ("norm of order 3 over 2 axes is not differentiated here; take ord=None, 0, 1, inf, -inf or p for vectors "
          "(one axis), 'fro', 'nuc', ±1, ±2 or ±inf for matrices (two axes)")),
        (lambda: tn.einsum("ij,jk", leaf(A)), "einsum: 'ij,jk' names 2 operands, 1 are given"),
    ],
)  # fmt: skip
def test_other_values_that_do_not_fit(wrong, text):
    with pytest.raises(ValueError) as refused:  # noqa: PT011  the whole text is compared
        wrong()
    assert str(refused.value) == text


def test_errors_of_numpy_come_through():
    with pytest.raises(np.exceptions.AxisError):
        leaf(A).sum(axis=2)
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        tn.inv(leaf(np.zeros((2, 2))))
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        tn.cholesky(leaf(-np.eye(2)))
    with pytest.raises(IndexError):
        tn.take(leaf(A), [7], axis=0)


# --- the graph --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda a: a + a, 2), (lambda a: a - a, 0), (lambda a: a * a, 4), (lambda a: a / a, 0),
        (lambda a: a**a, 4 * (math.log(2) + 1)), (lambda a: np.maximum(a, a), 1), (lambda a: np.stack([a, a]).sum(), 2),
        (lambda a: np.where(a > 0, a, a), 1), (lambda a: tn.einsum(",,->", a, a, a), 12), (lambda a: +a, 1),
        (lambda a: (a + a) + (a + a), 4), (lambda a: a.reshape(1) @ a.reshape(1), 4),
        (lambda a: np.concatenate([a[None], a[None] * 2, a[None]]).sum(), 4),
    ],
)  # fmt: skip
def test_a_tensor_used_more_than_once_is_several_paths(f, slope):
    a = leaf(2.0)
    f(a).backward()
    np.testing.assert_allclose(a.grad, slope)
    assert tn.gradcheck(f, 2.0, order=2)


def test_backward_again_accumulates_into_leaves_only():
    x = leaf([1.0, 2.0])
    y = x * x
    y.retain_grad()
    z = (y * 3).sum()
    for times in (1, 2, 3):
        z.backward()
        np.testing.assert_array_equal(x.grad, times * 6 * x.data)
        np.testing.assert_array_equal(y.grad, [3, 3])
    x.zero_grad()
    assert x.grad is None
    z.backward()
    np.testing.assert_array_equal(x.grad, 6 * x.data)


@pytest.mark.parametrize("x", [3.0, [3.0], [[3.0, 4.0]]])
def test_a_gradient_is_an_array_of_its_own(x):
    """An ndarray, writable, shared with no other gradient and with no seed."""
    a, b, c = leaf(x), leaf(x), leaf(x)
    seed = tn.tensor(np.ones(a.shape))
    array = np.ones(a.shape)
    for times in (1, 2):
        for given in (seed, array):
            for y in (a + b + c, a - b + c * 2, (a + b + c).reshape(1, *a.shape)):
                y.backward(given if y.shape == a.shape else given.reshape(y.shape))
        grads = [a.grad, b.grad, c.grad, a.data, seed.data, array]
        assert all(type(g) is np.ndarray and g.flags.writeable for g in grads)
        assert not any(np.shares_memory(g, h) for g, h in itertools.combinations(grads, 2))
        np.testing.assert_array_equal(a.grad, np.full(a.shape, 6.0 * times))
    found = tn.gradients((a + b).sum(), [a, b, a])
    assert all(type(g) is np.ndarray for g in found)
    assert not any(np.shares_memory(g, h) for g, h in itertools.combinations(found, 2))
    assert type(tn.gradients(a * b, [a], array)[0]) is np.ndarray


def test_retain_grad_keeps_intermediate_gradients():
    x = leaf(2.0)
    y = x * 3
    z = y * y
    z.backward()
    assert y.grad is None
    y.retain_grad()
    z.backward()
    assert y.grad == 12
    assert x.grad == 72


def test_a_gradient_may_be_given():
    x = leaf([1.0, 2.0])
    (x * x).backward([1, 10])
    np.testing.assert_array_equal(x.grad, [2, 40])
    u = leaf([1.0, 1.0])
    (x * x).backward(gradient=u)
    np.testing.assert_array_equal(x.grad, [4, 44])
    assert u.grad is None
    one = leaf([[2.0]])
    (one * one).backward()
    np.testing.assert_array_equal(one.grad, [[4.0]])
    x = leaf(1.0)
    x.backward()
    assert x.grad == 1


def test_gradients_of_several_outputs_and_inputs():
    x, y, unused = leaf(2.0), leaf(3.0), leaf(np.ones((2, 2), np.float32))
    z = x * y
    assert [float(g) for g in tn.gradients([z, z * x], [x, y, z])] == [3 + 12, 2 + 4, 1 + 2]
    (g,) = tn.gradients(z, unused)
    np.testing.assert_array_equal(g, np.zeros((2, 2), np.float32), strict=True)
    (g,) = tn.gradients(z, unused, create_graph=True)
    assert isinstance(g, tn.Tensor)
    assert x.grad is None, "no .grad is touched"
    (g,) = tn.gradients([x * np.ones(2), x.sum()], x, [np.array([1.0, 2.0]), None])
    assert g == 4
    assert tn.gradients(z, z)[0] == 1


def test_gradients_may_be_differentiated_again():
    x = leaf([1.0, 2.0])
    y = (x**3).sum()
    expected = [3 * x.data**2, 6 * x.data, np.full(2, 6.0), np.zeros(2)]
    for values in expected:
        (y,) = tn.gradients(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(y.data, values)
    u = leaf([1.0, 1.0])
    (g,) = tn.gradients(x * x, x, u, create_graph=True)
    np.testing.assert_array_equal(tn.gradients(g.sum(), u)[0], 2 * x.data)
    (plain,) = tn.gradients(x * x, x, u)
    assert type(plain) is np.ndarray


@pytest.mark.parametrize(
    "wrong", [lambda y, x: tn.gradients(y, np.ones(2)), lambda y, x: tn.gradients([y, y], x, [1.0])]
)
def test_gradients_of_what_is_no_tensor_or_with_too_few_seeds(wrong):
    x = leaf(1.0)
    with pytest.raises((TypeError, ValueError), match=r"^(?!.*attribute|.*zip)"):
        wrong(x * 2, x)


def test_requires_grad_can_be_switched_on_leaves_only():
    x = tn.tensor(2.0)
    x.requires_grad = True
    (x * x).backward()
    assert x.grad == 4
    x.requires_grad = False
    assert not (x * x).requires_grad
    with pytest.raises(RuntimeError, match="requires_grad can be set only on tensors you make yourself, and multiply"):
        (leaf(1.0) * 2).requires_grad = False


# --- depth, memory, threads -------------------------------------------------------------------------------------------


@pytest.fixture
def no_collector():
    """Only reference counts free memory: what a cycle would keep, stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("n", [100_000, 300_000])
def test_deep_chains_are_built_differentiated_and_freed(n, no_collector):
    x = leaf(1.0)
    y = x
    for _ in range(n):
        y = y + x
    alive = weakref.ref(y)
    y.backward()
    assert x.grad == n + 1
    assert y.item() == n + 1
    del y
    assert alive() is None


def test_a_deep_recorded_gradient_is_freed(no_collector):
    x = leaf(1.0)
    y = x
    for _ in range(50_000):
        y = y * 1.0
    (g,) = tn.gradients(y, x, create_graph=True)
    alive = weakref.ref(g)
    assert g.item() == 1
    del g
    assert alive() is None


def steps():
    X, Y = np.ones((3, 5)), np.zeros((2, 5))

    def train(W):
        loss = tn.mse(np.tanh(W @ X), Y)
        loss.backward()
        W.data -= 0.1 * W.grad
        W.zero_grad()

    def second_order(W):
        (g,) = tn.gradients(tn.mse(np.tanh(W @ X), Y), W, create_graph=True)
        (g * g).sum().backward()
        W.zero_grad()

    def transforms(W):
        tn.hvp(lambda w: tn.mse(np.tanh(w @ X), Y), (W.data,), (W.data,))
        tn.hessian(lambda w: (w**3).sum())(np.ones(2))

    def refused(W):
        y = (W * W).sum()
        W.data -= 0.0001
        with contextlib.suppress(tn.MutationError):
            y.backward()

    def watched(W):
        with tn.detect_anomaly():
            tn.mse(W[:, ::-1] @ X, Y).backward()
        held = W.detach()
        held.data[...] = W.data

    return [train, second_order, transforms, refused, watched]


@pytest.mark.parametrize("step", steps(), ids=lambda f: f.__name__)
def test_no_reference_cycles(step, no_collector):
    """With the collector off, 1,000 steps leave as many objects as 10."""
    W = leaf(np.full((2, 3), 0.3), "W")

    def run(times):
        for _ in range(times):
            step(W)
        return len(gc.get_objects())

    run(10)
    assert abs(run(10) - run(1000)) < 50


def test_a_dropped_loss_frees_its_graph_at_once(no_collector):
    x = leaf()
    h = np.tanh(x)
    loss = (h * h).sum()
    inner = weakref.ref(h)
    del h
    loss.backward()
    assert inner() is not None, "the graph stays usable after backward()"
    assert loss.inputs[0].op.name == "multiply"
    del loss
    assert inner() is None


def test_threads_record_on_their_own():
    """Two threads train two models, one of them partly in no_grad, and neither disturbs the other."""
    results, barrier = {}, threading.Barrier(2)

    def work(name, seed):
        rng = np.random.default_rng(seed)
        W, X, Y = leaf(rng.normal(size=(2, 3))), rng.normal(size=(3, 10)), rng.normal(size=(2, 10))
        for i in range(200):
            if i % 50 == 0:
                barrier.wait()
            if name == "quiet" and i % 2:
                with tn.no_grad(), tn.detect_anomaly():
                    assert not (W @ X).requires_grad
            loss = tn.mse(W @ X, Y)
            assert loss.requires_grad
            W.zero_grad()
            loss.backward()
            W.data -= 0.1 * W.grad
        results[name, seed] = W.numpy()

    for names in (("quiet", "loud"), ("alone",)):
        threads = [threading.Thread(target=work, args=(n, s)) for s, n in enumerate(names)]
        if len(threads) == 1:
            barrier = threading.Barrier(1)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    np.testing.assert_array_equal(results["quiet", 0], results["alone", 0])


def test_no_grad_does_not_reach_into_other_threads():
    seen = []
    with tn.no_grad():
        thread = threading.Thread(target=lambda: seen.append((leaf(1.0) * 2).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


# --- copies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_leaves_are_copied_and_pickled(duplicate):
    for data in (ARRAY, np.float32(2), 1.5):
        t = leaf(data, name="w")
        t.grad = np.ones_like(t.data)
        u = duplicate(t)
        assert (u.name, u.requires_grad, u.dtype) == ("w", True, t.dtype)
        np.testing.assert_array_equal(u.data, t.data)
        np.testing.assert_array_equal(u.grad, t.grad)
        u.data -= 1
        u.grad += 1
        assert not (u.data == t.data).any()
        assert (t.grad == 1).all()
        (u * u).sum().backward()
    shared = duplicate([t, t]) if duplicate is not copy.copy else [u, u]
    assert shared[0] is shared[1]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_recorded_tensors_refuse_to_be_copied(duplicate):
    y = leaf(1.0) * 2
    with pytest.raises(
        TypeError, match=r"of a recorded tensor \(made by multiply\) would leave its graph behind: take t\.det"
    ):
        duplicate(y)
    duplicate(y.detach())


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize(
    "transform",
    [tn.grad, tn.value_and_grad, tn.jacobian, tn.hessian, lambda f: tn.vmap(tn.grad(f)),
     lambda f: lambda x: tn.jvp(f, (x,), (x,)), lambda f: lambda x: tn.vjp(f, x)],
)  # fmt: skip
def test_the_variable_of_a_transform_refuses_to_be_copied(duplicate, transform):
    """Its copy would be another variable, and the gradient silently that of a constant."""
    with pytest.raises(TypeError, match=r"of a recorded tensor \(.*\) would leave its graph behind: take t\.detach"):
        transform(lambda x: duplicate(x) and np.sum(x * x))(np.ones(2))
    kept = []
    tn.grad(lambda x: kept.append(x) or np.sum(x * x))(np.ones(2))
    duplicate(kept[0])  # it is none any more


def test_round_stays_in_the_graph():
    t = leaf([1.26, -0.74])
    assert round(t).tolist() == [1.0, -1.0]
    assert round(t, 1).tolist() == [1.3, -0.7]
    assert round(t).requires_grad
    np.testing.assert_array_equal(tn.grad(lambda x: round(x) * x)(2.7), 3.0)


def test_values_with_a_history_are_no_data():
    a, b = leaf([1.0, 2.0], name="a"), tn.tensor([3.0, 4.0], name="b")
    with pytest.raises(TypeError, match=r"b\.data = \.\.\. takes numbers, and the history .* take \.detach"):
        b.data = a * 2
    with pytest.raises(TypeError, match=r"the history of .* would be lost"):
        tn.grad(lambda w: setattr(b, "data", w) or b.sum())(np.ones(2))
    b.data = (a * 2).detach()
    with tn.no_grad():
        b.data = a * 3
    assert b.tolist() == [3.0, 6.0]


def test_operations_are_pickled_by_name():
    assert pickle.loads(pickle.dumps(tn.tanh)) is tn.tanh
    assert copy.deepcopy({"f": tn.relu})["f"] is tn.relu


# --- no_grad and detect_anomaly ---------------------------------------------------------------------------------------


def test_no_grad_nests_decorates_and_ends():
    x, switch = leaf(2.0), tn.no_grad()

    @tn.no_grad()
    def predict(t, deep=3):
        return predict(t, deep - 1) if deep else t * t

    with switch:
        with switch, tn.detect_anomaly(), tn.no_grad():
            assert not (x * x).requires_grad
        assert not (x * x).requires_grad
        assert x.requires_grad
        y = x * x
        assert (y.op, y.inputs) == (None, ())
    assert (x * x).requires_grad
    assert not predict(x).requires_grad
    with pytest.raises(tn.ShapeError), switch:
        x @ x
    assert (x * x).requires_grad
    y = x * x
    with tn.no_grad():
        y.backward()
        assert x.grad == 4
        x.data = x.data - 1


def test_detect_anomaly_names_the_first_bad_value():
    x = leaf([1.0, 0.0], name="x")
    with tn.detect_anomaly(), np.errstate(all="ignore"), pytest.raises(tn.NonFiniteError) as found:
        np.log(x) * 2
    assert str(found.value).startswith("log(x) is not finite: -inf at index (1,) (line ")
    assert "test_tensor.py: np.log(x) * 2)" in str(found.value)
    with tn.detect_anomaly(), pytest.raises(tn.NonFiniteError, match="x, given to exp, is not finite already"):
        np.exp(leaf([np.nan], name="x"))
    assert isinstance(found.value, FloatingPointError)
    assert np.isinf(np.exp(leaf(np.inf)).data), "outside it, infinity is a value"


@pytest.mark.parametrize(
    "sweep",
    [
        lambda y, x: y.backward(),
        lambda y, x: tn.gradients(y, x),
        lambda y, x: tn.gradients(y, x, create_graph=True),
    ],
)
def test_detect_anomaly_names_the_first_bad_gradient(sweep):
    x = leaf([1.0, 0.0], name="x")
    y = np.sqrt(x).sum()
    with tn.detect_anomaly(), pytest.raises(tn.NonFiniteError) as found:
        sweep(y, x)
    assert "test_tensor.py: y = np.sqrt(x).sum()" in str(found.value) or "divide" in str(found.value)
    sweep(y, x)  # outside it, infinity is an answer


@pytest.mark.parametrize("transform", [lambda f: tn.grad(f)(0.0), lambda f: tn.jvp(f, (0.0,), (1.0,))])
def test_detect_anomaly_watches_the_transforms(transform):
    with tn.detect_anomaly(), pytest.raises(tn.NonFiniteError, match="not finite"):
        transform(np.sqrt)


def test_detect_anomaly_lets_the_guarded_pass():
    x = leaf([0.0, 4.0])

    @tn.detect_anomaly()
    def slope():
        y = np.where(x > 0, np.sqrt(x), 0.0).sum()
        y.backward()
        assert tn.tensor(np.array([1, 2])).sum().item() == 3

    slope()
    np.testing.assert_array_equal(x.grad, [0, 0.25])


def test_the_class_called_with_numbers_makes_an_array_of_them():
    assert tn.Tensor([1, 2]).dtype == np.float64
    assert tn.Tensor([[1.0], [2.0]]).shape == (2, 1)


def test_the_gradient_of_a_bias_keeps_its_digits_in_a_very_large_batch():
    b = tn.tensor(np.zeros((2, 1), np.float32), requires_grad=True)
    slopes = np.full((2, 3_000_000), 0.1, np.float32)
    tn.sum((slopes + b) * slopes).backward()
    np.testing.assert_allclose(b.grad, np.sum(slopes, axis=1, keepdims=True, dtype=np.float64), rtol=1e-6)


def test_single_numbers_are_shared_and_watched_as_arrays_are():
    """They are NumPy scalars inside, until somebody holds the array."""
    t = leaf(2.0)
    held, constant = t.data, t.detach()
    y = t * t
    held[...] = 5.0
    assert (t.item(), constant.item()) == (5.0, 5.0)
    with pytest.raises(tn.MutationError, match=r"a value of shape .* was changed after multiply used it"):
        y.backward()
    (t * t).backward()
    assert t.grad == 10.0
    del held, constant
    t.data -= 1.0
    assert (t * t + t.data).item() == 20.0


@pytest.mark.parametrize("update", [None, tn.optim.SGD, tn.optim.Adam])
def test_single_numbers_are_the_same_eager_and_compiled(update):
    def outcomes(compiled):
        w, seen = leaf(1.0), []
        optimizer = update([w], lr=0.1) if update else None

        def step(x):
            w.zero_grad()
            J = (w * x - 1.0) ** 2
            J.backward()
            if optimizer is None:
                w.data -= 0.1 * w.grad
            else:
                optimizer.step()
            return J

        run = tn.compile(step) if compiled else step
        for i in range(20):
            seen += [run(tn.tensor(0.5 + 0.1 * (i % 3))).item(), (w * 2.0 + w * w).item()]
            if i % 5 == 0:
                w.data[...] = w.data * 0.9
            if i % 7 == 0:
                w.data = np.array(0.3)
        return seen

    assert outcomes(True) == outcomes(False)


# --- parameters that are arrays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [True, False])
def test_arrays_among_the_parameters_are_copied(view):
    """Changed after the forward pass, they would make the gradient silently wrong."""
    scaled = tn.op(
        lambda x, by=None, more=(): x * by + sum(more), "{x}", lambda g, y, x, by=None, more=(): g * by, kind="linear",
        name="scaled", method=False, view=view,
    )  # fmt: skip
    try:
        by, more, x = np.array([2.0, 3.0]), np.array([1.0]), tn.tensor([1.0, 1.0], requires_grad=True)
        y = scaled(x, by=by, more=[more])
        by[:], more[:] = 0, 0
        y.sum().backward()
        np.testing.assert_array_equal(x.grad, [2.0, 3.0])
        assert y.params["more"][0].tolist() == [1.0]
    finally:
        del BY_NAME["scaled"]


@pytest.mark.parametrize("f", [tn.leaky_relu, tn.elu])
def test_arrays_among_the_parameters_of_our_operations_are_copied_too(f):
    slope, x = np.array([0.5, 0.25]), tn.tensor([-1.0, -1.0], requires_grad=True)
    y = f(x, slope)
    expected = tn.grad(lambda x: f(x, slope.copy()).sum())(x.numpy())
    slope[:] = 7
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, expected)


# --- bits -------------------------------------------------------------------------------------------------------------

INTEGERS, BOOLS = np.array([6, 7, -8]), np.array([True, False, True])


@pytest.mark.parametrize("other", [3, True, np.int8(5), np.array([1, 2, 4]), np.array([False, True, True])], ids=repr)
@pytest.mark.parametrize("array", [INTEGERS, BOOLS, INTEGERS.astype(np.uint8)], ids=repr)
@pytest.mark.parametrize("operator", [operator.and_, operator.or_, operator.xor], ids=lambda f: f.__name__)
def test_bitwise_operators_mean_what_numpy_means_in_both_orders(operator, array, other):
    t = tn.tensor(array)
    for got, expected in ((operator(t, other), operator(array, other)), (operator(other, t), operator(other, array)),
                          (operator(t, tn.tensor(array)), operator(array, array)), (~t, ~array)):  # fmt: skip
        assert isinstance(got, tn.Tensor)
        np.testing.assert_array_equal(got.value, expected, strict=True)


def test_bits_of_floats_are_refused():
    t = tn.tensor([1.0, 2.0], requires_grad=True, name="t")
    for call in (lambda: t & True, lambda: np.bitwise_and(t, True)):
        with pytest.raises(TypeError) as refused:
            call()
        assert str(refused.value) == (
            "bitwise_and: t has dtype float64, shape (2,), b has type bool: ufunc 'bitwise_and' not supported for the "
            "input types; it takes integers and bools"
        )
    assert ((t > 1) & (t < 3)).tolist() == [False, True]
    assert (True & (t > 1)).tolist() == (np.array([True, True]) & (t > 1)).tolist() == [False, True]


def test_masks_by_operators_choose_in_a_compiled_step():
    x = tn.tensor([-1.0, 0.5, 2.0], requires_grad=True)

    def step(v):
        x.zero_grad()
        loss = np.where((x > 0) & ~(x > v) | (x == 2.0) ^ False, x * x, 0.0).sum()
        loss.backward()
        return loss

    eager, gradient = step(np.array(1.0)).item(), x.grad.copy()
    compiled = tn.compile(step)
    for _ in range(3):
        assert compiled(np.array(1.0)).item() == eager == 4.25
        np.testing.assert_array_equal(x.grad, gradient)


# --- what messages name -----------------------------------------------------------------------------------------------

SAID = [
    (lambda t, m: tn.clip(t, low=1),
     ("clip: got an unexpected keyword argument 'low'; it is "
      "clip(x, min=None, max=None, *, a_min=None, a_max=None, dtype=None)")),
    (lambda t, m: tn.broadcast_to(t),
     "broadcast_to: missing a required argument: 'shape'; it is broadcast_to(x, shape)"),
    (lambda t, m: tn.stack(t, t, t),
     ("stack: too many positional arguments; it is "
      "stack(arrays, axis=0, *, dtype=None, casting='same_kind')")),
    (lambda t, m: tn.stack(5), "stack: 'int' object is not iterable"),
    (lambda t, m: tn.concatenate([]), "concatenate: need at least one array to concatenate"),
    (lambda t, m: tn.pad(t, "a"), "pad: t has dtype float64, shape (2,): `pad_width` must be of integral type."),
    (lambda t, m: tn.sum(t, axis="a"),
     "sum: t has dtype float64, shape (2,): 'str' object cannot be interpreted as an integer"),
    (lambda t, m: tn.index_update(np.zeros(0), [0, 1], 1.0),
     "index_update: index 0 is out of bounds for axis 0 with size 0"),
    (lambda t, m: tn.slogdet(m), "slogdet: m has shape (2, 3): Last 2 dimensions of the array must be square"),
    (lambda t, m: tn.swapaxes(t, 0, 1),
     ("swapaxes: t has shape (2,): axis2: axis 1 is out of bounds for array of dimension 1; axes count from 0, or from "
     "-1 backwards")),
]  # fmt: skip


@pytest.mark.parametrize(("call", "said"), SAID, ids=[said.partition(":")[0] for _, said in SAID])
def test_messages_name_the_public_function(call, said):
    t, m = (tn.tensor(np.ones(s), requires_grad=True, name=name) for s, name in ((2, "t"), ((2, 3), "m")))
    with pytest.raises((TypeError, ValueError, IndexError)) as refused:
        call(t, m)
    assert str(refused.value) == said


def test_a_private_operation_belongs_to_a_public_function():
    for op in BY_NAME.values():
        if isinstance(op, tn.Op):
            assert not op.public_name.startswith("_")
            assert op.docs.part_of in ("", "getitem", "dropout", "embedding", *tn.ops.names())


@pytest.mark.parametrize("function", [np.linalg.inv, np.linalg.det, np.linalg.slogdet, np.linalg.cholesky])
def test_a_matrix_that_is_not_square_is_a_linalg_error_and_a_shape_error(function):
    for kind in (tn.ShapeError, np.linalg.LinAlgError, ValueError):
        with pytest.raises(kind, match=r"m has shape \(2, 3\): Last 2 dimensions of the array must be square"):
            function(tn.tensor(np.ones((2, 3)), requires_grad=True, name="m"))


def test_a_user_operation_keeps_the_traceback_of_its_type_errors():
    def careless(x):
        return x + "1"

    f = tn.op(careless, "{x}", lambda g, y, x: g, method=False)
    try:
        with pytest.raises(TypeError) as refused:
            f(leaf())
        assert refused.traceback[-1].name == "careless"
    finally:
        del BY_NAME["careless"]
    assert f.name == "careless"


def test_the_first_nan_is_explained_by_a_public_function():
    x = tn.tensor(np.zeros((2, 2)), requires_grad=True, name="x")
    with tn.detect_anomaly(), pytest.raises(tn.NonFiniteError, match=r"slogdet\(x\) is not finite"):
        tn.slogdet(x)
    with pytest.raises(TypeError, match=r"deep copy of a recorded tensor \(made by slogdet\)"):
        copy.deepcopy(tn.slogdet(x + np.eye(2)).logabsdet)
