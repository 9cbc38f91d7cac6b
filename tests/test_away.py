"""Values that a compiled step has left on a device: to all who use the tensor it is as if they were here."""

import copy
import pickle

import numpy as np
import pytest
import test_ops as checks

import tinygrad_nn as tn
from tinygrad_nn.away import Away


class Device:
    """Holds an array; counts how often it is fetched."""

    def __init__(self, array):
        self.array, self.fetched = array, 0

    def __array__(self, dtype=None, copy=None):
        self.fetched += 1
        return self.array


def sent_away(t):
    t._value = np.asarray(t._value)
    device = Device(t._value)
    Away(device, t._value).stand_in(t)
    return device


@checks.every(checks.DIFFERENTIABLE)
def test_operations_and_gradients(op):
    for arrays, params in [*checks.cases(op)][:2]:
        slots = checks.with_rule(op, arrays)
        here, away = checks.leaves(arrays, slots), checks.leaves(arrays, slots)
        devices = [sent_away(t) for t in away if isinstance(t, tn.Tensor)]
        y, z = (op.apply(tuple(args), params) for args in (here, away))
        np.testing.assert_array_equal(z.value, y.value)
        seed = np.cos(np.arange(y.size)).reshape(y.shape)
        y.backward(seed)
        z.backward(seed)
        for a, b in zip(here, away, strict=True):
            if isinstance(a, tn.Tensor):
                np.testing.assert_array_equal(b.grad, a.grad)
                assert type(b._value) is not Away
        assert {device.fetched for device in devices} <= {1}


USES = {
    "value": lambda t: t.value, "numpy": lambda t: t.numpy(), "data": lambda t: t.data, "tolist": lambda t: t.tolist(),
    "detach": lambda t: t.detach().value, "repr": repr, "item": lambda t: t[0, 0].item(), "iteration": lambda t: [*t],
    "np.asarray": lambda t: np.asarray(t.detach()), "add": lambda t: (t + 1).value,
    "copy": lambda t: copy.deepcopy(t).value, "pickle": lambda t: pickle.loads(pickle.dumps(t)).value, "len": len,
    "compiled": lambda t: tn.compile(lambda: t * 2.0)().value,
    "argument": lambda t: tn.compile(lambda x: tn.exp(x))(t).value, "format": lambda t: f"{t}",
    "draw": lambda t: tn.draw(tn.sum(t * t)).source, "state": lambda t: t._value.copy(),
}  # fmt: skip


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_whoever_reads_it_finds_the_array(use):
    values = np.arange(6.0).reshape(2, 3)
    here, away = (tn.tensor(values, requires_grad=True, name="W") for _ in range(2))
    device = sent_away(away)
    a, b = use(here), use(away)
    assert np.array_equal(a, b) if isinstance(a, np.ndarray) else str(a) == str(b)
    assert device.fetched <= 1


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.data.__setitem__((0, 1), 9.0), lambda t: t.data.__imul__(2.0),
        lambda t: setattr(t, "data", t.data + 1), lambda t: t.data.fill(3.0),
        lambda t: tn.optim.SGD([t], lr=0.1).step(),
    ],
)  # fmt: skip
def test_changes_in_place(change):
    values = np.arange(6.0).reshape(2, 3)
    here, away = (tn.tensor(values, requires_grad=True) for _ in range(2))
    sent_away(away)
    for t in (here, away):
        t.grad = np.ones((2, 3))
        change(t)
    np.testing.assert_array_equal(away.value, here.value)


def test_a_change_after_the_forward_pass_is_noticed():
    t = tn.tensor([1.0, 2.0], requires_grad=True)
    sent_away(t)
    y = tn.sum(t * t)
    t.data[0] = 5.0
    with pytest.raises(tn.MutationError):
        y.backward()


def test_shape_and_dtype_are_known_without_it():
    t = tn.tensor(np.zeros((2, 3), np.float32), requires_grad=True)
    device = sent_away(t)
    assert (t.shape, t.ndim, t.size, t.dtype) == ((2, 3), 2, 6, np.float32)
    assert device.fetched == 0
    assert isinstance(t._value, np.ndarray)
