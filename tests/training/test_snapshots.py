"""Snapshots: the parameters as they were, at most so many, over the whole training."""

import numpy as np
import pytest

import tinygrad_nn as tn


def net():
    return tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 1, rng=1))


def trained(snapshots, model, epochs, **more):
    X, Y = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]]), np.array([[0.0, 1, 1, 0]])
    tn.fit(model, "mse", tn.optim.SGD(model.parameters(), lr=0.5), (X, Y), epochs=epochs, callbacks=[snapshots],
           progress=False, **more)  # fmt: skip


@pytest.mark.parametrize("compiled", [False, True])
def test_they_are_what_the_parameters_were(compiled):
    model = net()
    before = [np.array(p.value) for p in model.parameters()]
    snapshots = tn.training.Snapshots(model)
    trained(snapshots, model, 5, compile=compiled)
    assert snapshots.at == [0, 1, 2, 3, 4, 5]
    for parameter, first in zip(model.parameters(), before, strict=True):
        arrays = snapshots.values[parameter]
        np.testing.assert_array_equal(arrays[0], first)
        np.testing.assert_array_equal(arrays[-1], parameter.value)
        assert len({a.tobytes() for a in arrays}) == 6


def test_they_cover_a_long_training():
    model = net()
    snapshots = tn.training.Snapshots(model, most=10)
    trained(snapshots, model, 75)
    assert snapshots.at == list(range(0, 75, 8))
    assert all(len(arrays) == len(snapshots) <= 10 for arrays in snapshots.values.values())


def test_steps_are_kept_too():
    model = net()
    snapshots = tn.training.Snapshots(model, "step", every=2)
    trained(snapshots, model, 3, batch_size=1)
    assert snapshots.at == [0, 2, 4, 6, 8, 10, 12]
    assert repr(snapshots) == "<7 snapshots of 4 parameters, one after every 2 steps>"


def test_what_is_wrong():
    with pytest.raises(TypeError, match="Snapshots keeps the parameters of a module, not of a int"):
        tn.training.Snapshots(3)
    with pytest.raises(ValueError, match="unit must be 'epoch' or 'step'"):
        tn.training.Snapshots(net(), "batch")
    with pytest.raises(ValueError, match="every=0 must be at least 1"):
        tn.training.Snapshots(net(), every=0)
