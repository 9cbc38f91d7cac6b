"""Whose memory a value lies in: what user code can write to is copied or watched, once for each piece of memory."""

import gc
import itertools
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygrad_nn as tn

VALUES = np.array([[1.0, 2.0], [3.0, 4.0]])


def leaf(data=VALUES, **kwargs):
    return tn.tensor(data, requires_grad=True, **kwargs)


def refused(loss):
    try:
        loss.backward()
    except tn.MutationError:
        return True
    return False


# --- whose memory it is ----------------------------------------------------------------------------------------------


def memmap(folder):
    array = np.memmap(folder / "numbers", np.float64, "w+", shape=(2, 2))
    array[:] = VALUES
    return array, array


def buffer(folder):
    memory = bytearray(VALUES.tobytes())
    return np.frombuffer(memory).reshape(2, 2), np.frombuffer(memory).reshape(2, 2)


def read_only_view(folder):
    array = VALUES.copy()
    view = array[:]
    view.flags.writeable = False
    return view, array


def read_only(folder):
    array = VALUES.copy()
    older = array[:]
    array.flags.writeable = False
    return array, older


def view_of_0_d(folder):
    array = np.array(3.0)
    return array, array


def read_only_buffer(folder):
    memory = bytearray(VALUES.tobytes())
    return np.frombuffer(memoryview(memory).toreadonly()).reshape(2, 2), np.frombuffer(memory).reshape(2, 2)


def large(folder):
    array = np.ones((600, 600))
    return array, array


MEMORY = [memmap, buffer, read_only_view, read_only, view_of_0_d, read_only_buffer, large]
HOW = {
    "tn.tensor": lambda a: tn.tensor(a, requires_grad=True),
    "tn.Tensor": lambda a: tn.Tensor(a, True),
    "constant": lambda a: tn.Tensor(a),
    "detached": lambda a: tn.Tensor(a).detach(),
    "operand": lambda a: a,
}


@pytest.mark.parametrize("memory", MEMORY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("how", HOW)
def test_a_write_to_the_users_memory_changes_no_gradient(memory, how, tmp_path):
    array, writable = memory(tmp_path)
    p = leaf(np.full(array.shape, 2.0))
    x = HOW[how](array)
    loss, expected = (p * x).sum(), np.array(array)
    writable[...] = -7.0
    loss.backward()
    np.testing.assert_array_equal(p.grad, expected)


@pytest.mark.parametrize("memory", MEMORY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("keep", [True, False])
def test_a_write_to_memory_that_became_the_value_is_refused(memory, keep, tmp_path):
    array, writable = memory(tmp_path)
    p = leaf(np.zeros(array.shape))
    p.data = array
    if not keep:
        del array
    (p * p).sum().backward()
    loss = (p * p).sum()
    writable[...] = -7.0
    assert refused(loss)


def test_what_is_written_by_way_of_the_value_is_noticed():
    p = leaf()
    loss = (p * p).sum()
    p.value[0, 0] = 9.0
    assert refused(loss)
    array = VALUES.copy()
    p.value = array
    loss = (p * p).sum()
    array[0, 0] = 9.0
    assert refused(loss)


def test_the_class_is_called_as_the_function_is():
    assert tn.Tensor([1, 2]).dtype == np.float64
    assert tn.Tensor(np.float32([1, 2]), True).requires_grad
    with pytest.raises(TypeError, match="requires_grad=True needs floating-point numbers"):
        tn.Tensor(np.array([1, 2]), True)
    with pytest.raises(TypeError, match="expected real numbers"):
        tn.Tensor(np.array([1j]))


def test_batches_enter_graphs_without_a_copy():
    ((X, _),) = tn.data.batches(np.ones((3, 4)), np.ones(4), batch_size=4)
    loss = (leaf(np.ones((3, 4))) * X).sum()
    assert loss.inputs[0].inputs[1] is X
    assert (leaf(np.ones((4, 3))) * X.T).inputs[1].base is X


@pytest.mark.parametrize("given", [lambda a: a, lambda a: a[:], lambda a: a.T.T])
def test_a_result_that_a_forward_function_has_from_elsewhere_is_watched(given):
    held = VALUES.copy()
    cached = tn.Op("cached", lambda x: given(held), "{x}", (lambda g, y, x: g * y,), arguments=("x",))
    p = leaf()
    loss = (cached(p) * 1.0).sum()
    assert not refused(loss)
    held[0, 0] = 9.0
    assert refused(loss)
    fresh = tn.Op("fresh", lambda x: given(x * 2.0), "{x}", (lambda g, y, x: g * 2.0,), arguments=("x",))
    for result in (fresh(p), p[[0, 1]]):
        assert result.watch is None  # nothing to look at


# --- views that are given out ----------------------------------------------------------------------------------------

VIEWS = {
    "data": lambda p: p.data, "T": lambda p: p.T.data, "row": lambda p: p[0].data, "reshape": lambda p: p.ravel().data,
    "every other": lambda p: p[::2].data, "turned": lambda p: p[::-1].data, "number": lambda p: p[1, 1].data,
    "column": lambda p: p[:, 1].data, "detached": lambda p: p.detach().data, "own": lambda p: p.data[1:],
}  # fmt: skip


@pytest.mark.parametrize(("first", "second"), list(itertools.product(VIEWS, VIEWS)))
def test_a_write_through_any_view_is_noticed(first, second):
    """Whichever views were given out, and whichever are still held."""
    for hold_first, hold_second, used in itertools.product([False, True], repeat=3):
        p = leaf()
        a, b = VIEWS[first](p), VIEWS[second](p)
        if not hold_first:
            del a
        if not hold_second:
            del b
        loss = (p * p).sum()
        if used:
            (p + 1.0).sum().backward()
        for held in ([a] if hold_first else []) + ([b] if hold_second else []):
            before = held.copy()
            held[...] = -held
            assert refused(loss) or not np.shares_memory(held, p._value)  # a number is a copy
            held[...] = before
            loss = (p * p).sum()
        p.zero_grad()
        loss.backward()
        np.testing.assert_array_equal(p.grad, 2 * p.data)


def held_weakly(array):
    return weakref.WeakValueDictionary(a=array)


HOLDERS = {
    "dictionary": (held_weakly, lambda held: held["a"]),
    "reference": (weakref.ref, lambda held: held()),
    "proxy": (weakref.proxy, lambda held: held),
    "memoryview": (memoryview, np.asarray),
    "list": (lambda array: [array], lambda held: held[0]),
    "view": (lambda array: array.reshape(-1), lambda held: held.reshape(2, 2)),
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize(
    "take", [lambda p: p.data, lambda p: p.value, lambda p: p.detach().data], ids=["data", "value", "detached"]
)
@pytest.mark.parametrize("uses", [1, 3])
def test_a_write_through_whatever_leads_to_the_array_is_noticed(holder, take, uses):
    hold, taken = HOLDERS[holder]
    p = leaf()
    held = hold(take(p))
    for _ in range(uses):
        loss = tn.sum(p * p)
    taken(held)[0, 0] = 9.0
    assert refused(loss)
    taken(held)[0, 0] = 8.0
    loss = tn.sum(p * p)
    loss.backward()
    assert p.grad[0, 0] == 16.0


FORMS = {
    "dtype": lambda a: setattr(a, "dtype", a.dtype.str.replace("f", "i")),
    "order": lambda a: setattr(a, "dtype", a.dtype.newbyteorder()),
    "smaller": lambda a: setattr(a, "dtype", np.float32),
    "shape": lambda a: setattr(a, "shape", (-1,)),
    "strides": lambda a: setattr(a, "strides", a.strides[::-1]),
}
some_form = pytest.mark.parametrize("form", FORMS)
without_deprecation = pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")


@without_deprecation
@some_form
@pytest.mark.parametrize(
    "before", [lambda p: None, lambda p: p.T.data, lambda p: p.data[0]], ids=["nothing", "turned", "row"]
)
def test_what_is_assigned_to_the_array_itself_is_noticed(form, before):
    p = leaf()
    keep = before(p)
    loss = tn.sum(p * p)
    FORMS[form](p.data)
    assert refused(loss)
    del keep


@without_deprecation
@some_form
def test_what_is_assigned_to_a_view_changes_the_view_alone(form):
    p = leaf()
    turned = p.T
    loss = tn.sum(turned * turned)
    for view in (turned.data, turned.value):
        if form in ("dtype", "order", "strides"):  # the others need another layout
            FORMS[form](view)
    assert not refused(loss)
    assert (turned.dtype, turned.shape) == (np.float64, (2, 2))
    assert p.grad.tolist() == [[2.0, 4.0], [6.0, 8.0]]
    turned.data[0, 1] = 5.0
    assert refused(loss)
    assert p.data[1, 0] == 5.0


def test_a_write_before_the_next_use_is_noticed():
    p = leaf()
    loss = (p * p).sum()
    row = p[0].data
    row[...] = 9.0
    column = p[:, 1].data
    assert refused(loss)
    del column


@pytest.mark.parametrize("read", [*VIEWS.values(), lambda p: p.numpy(), lambda p: [x.data for x in p]])
def test_reading_leaves_nothing_behind(read):
    p = leaf(np.ones((50, 50)))
    read(p)
    gc.collect()
    tracemalloc.start()
    for _ in range(1000):
        read(p)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 10 * p.data.nbytes
    assert len(p.watch.exposed if p.watch else []) <= 1
    (p * p).sum().backward()
    del kept
    (p * p).sum().backward()
    assert not p.watch or not p.watch.exposed


def test_views_that_are_held_cost_one_comparison():
    p = leaf(np.ones((1000, 2)))
    rows = [x.data for x in p]
    assert len(p.watch.exposed) == 1
    loss = (p * p).sum()
    rows[500][1] = 3.0
    assert refused(loss)


def test_values_that_were_replaced_are_not_watched_any_more():
    p = leaf()
    arrays = [VALUES + i for i in range(100)]
    for array in arrays:
        p.data = array
        (p * p).sum().backward()
    assert len(p.watch.exposed) == 1
    view = p.T
    p.data = VALUES.copy()
    loss = (leaf() * view).sum()
    arrays[-1][...] = 0.0  # which the view still shows
    assert refused(loss)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_values_are_compared_bit_by_bit(dtype):
    p = leaf(np.array([0.0, np.nan, 2.0], dtype))
    held = p.data
    loss = (p * p).sum()
    held[1] = held[1].copy()
    assert not refused(loss)
    loss = np.arctan2(p, -1.0).sum()  # π at 0.0, −π at −0.0
    held[0] = -0.0
    assert refused(loss)


# --- gradients -------------------------------------------------------------------------------------------------------


def test_gradients_share_no_memory():
    given, cached = np.ones((2, 2)), np.full((2, 2), 3.0)
    held = tn.Op("held", lambda x: x + 0.0, "{x}", (lambda g, y, x: cached,), kind="elementwise", arguments=("x",))
    a, b, c, d = (leaf() for _ in range(4))
    between = a + b
    between.retain_grad()
    y = between - c.T + held(d)
    y.retain_grad()
    y.backward(given)
    arrays = [given, cached, a.grad, b.grad, c.grad, d.grad, between.grad, y.grad, a.data, b.data, c.data, d.data]
    for one, other in itertools.combinations(arrays, 2):
        assert not np.shares_memory(one, other)
    c.grad = given
    d.grad = c.grad
    given[...] = 7.0
    d.grad[...] = 5.0
    np.testing.assert_array_equal(c.grad, np.ones((2, 2)))


def test_a_gradient_changes_in_place():
    p = leaf()
    (p * p).sum().backward()
    held = p.grad
    p.grad *= 0.5
    assert p.grad is held
    np.testing.assert_array_equal(held, VALUES)
