"""Python's update idioms: what changes in place, what makes a new tensor, and what is refused."""

import operator

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import nn

IN_PLACE = {
    "+=": (operator.iadd, np.add), "-=": (operator.isub, np.subtract), "*=": (operator.imul, np.multiply),
    "/=": (operator.itruediv, np.divide), "**=": (operator.ipow, np.power), "@=": (operator.imatmul, np.matmul),
}  # fmt: skip
VALUES, OTHER = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[2.0, 0.5], [1.0, 3.0]])
every = pytest.mark.parametrize(("update", "numpy"), IN_PLACE.values(), ids=IN_PLACE)


def leaf(data=VALUES, name=None):
    return tn.tensor(data, requires_grad=True, name=name)


@every
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_leaf_changes_in_place_within_no_grad(update, numpy, dtype):
    p = leaf(VALUES.astype(dtype))
    held, other = p.data, OTHER.astype(dtype)
    for given in (other, tn.tensor(other)):
        p.data[...] = VALUES
        with tn.no_grad():
            q = update(p, given)
        assert q is p
        assert p.data is held
        assert p.requires_grad
        assert p.dtype == dtype
        np.testing.assert_array_equal(p.data, numpy(VALUES.astype(dtype), other))
    (p * p).sum().backward()
    np.testing.assert_allclose(p.grad, 2 * p.data)


@every
def test_a_constant_changes_in_place_as_an_array_does(update, numpy):
    t = same = tn.tensor(VALUES)
    view = t[0]
    t = update(t, OTHER)
    assert t is same
    np.testing.assert_array_equal(same.data, numpy(VALUES, OTHER))
    np.testing.assert_array_equal(view.data, same.data[0])


@every
def test_a_leaf_is_not_changed_while_operations_are_recorded(update, numpy):
    p = leaf(name="p")
    with pytest.raises(tn.MutationError) as refused:
        update(p, OTHER)
    assert str(refused.value) == (
        "p of shape (2, 2) requires a gradient, and a change in place cannot be recorded: change it within "
        "tn.no_grad(), or make a new tensor, as in p = p + x"
    )
    np.testing.assert_array_equal(p.data, VALUES)


@every
def test_what_is_recorded_gets_a_new_tensor(update, numpy):
    p = leaf()
    y = before = p * 2
    y = update(y, OTHER)
    assert y is not before
    np.testing.assert_array_equal(before.data, VALUES * 2)
    np.testing.assert_array_equal(y.data, numpy(VALUES * 2, OTHER))
    constant = tn.tensor(VALUES)
    total = update(constant, p)
    assert total.requires_grad
    np.testing.assert_array_equal(constant.data, VALUES)
    assert tn.gradcheck(lambda x: update(x * 1, OTHER), VALUES)


@every
def test_a_recorded_result_is_not_changed_within_no_grad(update, numpy):
    y = (leaf() * 2).named("y")
    with tn.no_grad(), pytest.raises(tn.MutationError) as refused:
        update(y, OTHER)
    assert str(refused.value) == (
        "y of shape (2, 2) was made by multiply, and is not changed in place: make a new tensor, as in y = y + x"
    )


@every
def test_a_variable_of_a_transform_is_replaced(update, numpy):
    got = tn.grad(lambda x: update(x, OTHER).sum())(VALUES)
    right = tn.grad(lambda x: numpy(x, OTHER).sum())(VALUES)
    np.testing.assert_array_equal(got, right)


@every
def test_gradcheck_takes_such_functions(update, numpy):
    assert tn.gradcheck(lambda x: update(x, OTHER), VALUES, order=2)


def test_a_change_between_forward_and_backward_is_noticed():
    p = leaf(name="p")
    loss = (p * p).sum()
    with tn.no_grad():
        p -= 1.0
    with pytest.raises(tn.MutationError, match=r"p of shape .* was changed after multiply used it"):
        loss.backward()


def test_single_numbers():
    p = leaf(2.0)
    (p * p).backward()
    with tn.no_grad():
        p -= 0.25 * p.grad
    assert p.item() == 1.0
    (p * p).backward()
    assert p.grad == 6
    n = same = tn.tensor(np.array(3))
    n += 1
    assert same.item() == 4
    assert n.dtype == np.int64


@pytest.mark.parametrize(
    ("wrong", "kind", "text"),
    [
        (lambda: operator.iadd(tn.tensor(1.0, name="n"), np.ones(3)), tn.ShapeError,
         "n has shape (), what is to be stored in it has shape (3,): make a new tensor, as in n = n + x"),
        (lambda: operator.imul(tn.tensor(np.array([1, 2]), name="n"), 0.5), TypeError,
         "n has dtype int64, what is to be stored in it has dtype float64: make a new tensor, as in n = n + x"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(wrong, kind, text):
    with pytest.raises(kind) as refused:
        wrong()
    assert str(refused.value) == text


def regression(update):
    """A line through four points, by this update of its parameters."""
    layer = nn.Dense(1, 1, rng=0)
    X = np.array([[0.0, 1.0, 2.0, 3.0]])
    for _ in range(300):
        layer.zero_grad()
        loss = tn.mse(layer(X), 2 * X - 1)
        loss.backward()
        update(layer)
    assert len(list(layer.parameters())) == 2
    return layer


def by_parameter(layer):
    with tn.no_grad():
        for p in layer.parameters():
            p -= 0.2 * p.grad


def by_attribute(layer):
    with tn.no_grad():
        layer.W -= 0.2 * layer.W.grad
        layer.b -= 0.2 * layer.b.grad


@pytest.mark.parametrize("update", [by_parameter, by_attribute])
def test_the_idioms_of_training(update):
    layer = regression(update)
    np.testing.assert_allclose([layer.W.item(), layer.b.item()], [2, -1], atol=1e-6)


def test_in_a_compiled_step():
    p, q = leaf(), leaf()
    X = np.array([[1.0, 2.0]]).T

    def step(p, X):
        p.zero_grad()
        loss = ((p @ X) ** 2).sum()
        loss.backward()
        with tn.no_grad():
            p -= 0.01 * p.grad
        return loss

    compiled = tn.compile(step)
    for _ in range(4):
        assert compiled(p, X).item() == step(q, X).item()
        np.testing.assert_array_equal(p.data, q.data)
    assert not np.array_equal(p.data, VALUES)


# --- parameters stay parameters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (lambda W: W.detach(), "a tensor that requires no gradient"),
        (lambda W: W - 0.1, "the result of subtract"),
        (lambda W: W.numpy(), "a value of type ndarray"),
        (lambda W: 0.5, "a value of type float"),
    ],
)
def test_nothing_else_takes_the_place_of_a_parameter(value, what):
    layer = nn.Dense(2, 3)
    W, changes = layer.W, nn.Module.changes
    with pytest.raises(TypeError) as refused:
        layer.W = value(W)
    assert str(refused.value) == (
        f"Dense.W is a parameter, and {what} in its place would not be trained: within tn.no_grad(), W -= ... or "
        "W[...] = ... change its value; W.requires_grad = False freezes it; del removes it"
    )
    assert layer.W is W
    assert nn.Module.changes == changes


def test_what_may_take_its_place():
    layer = nn.Dense(2, 3)
    layer.W = other = tn.tensor(np.zeros((3, 2)), requires_grad=True)
    assert next(layer.parameters()) is other
    layer.b = None
    layer.W.requires_grad = False
    layer.W = tn.tensor(np.ones((3, 2)))
    assert list(layer.parameters()) == []
    del layer.W
    layer.W = 3


def test_an_update_in_place_is_no_assignment():
    layer = nn.Dense(2, 3)
    changes = nn.Module.changes
    with tn.no_grad():
        layer.W *= 0.5
    assert nn.Module.changes == changes
