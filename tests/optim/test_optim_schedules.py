"""Schedules and clipping: their formulas, what they set, and going on after a stop."""

import math

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import optim


def sgd(lr=0.1, **settings):
    return optim.SGD([tn.tensor([1.0], requires_grad=True)], lr=lr, **settings)


def rates(schedule, n):
    found = []
    for _ in range(n):
        found.append(schedule.get_last_lr()[0])
        schedule.step()
    return found


def test_formulas():
    n = range(12)
    expected = {
        optim.StepLR(sgd(), 3, 0.5): [0.1 * 0.5 ** (t // 3) for t in n],
        optim.MultiStepLR(sgd(), [7, 2], 0.5): [0.1 * 0.5 ** ((t >= 2) + (t >= 7)) for t in n],
        optim.ExponentialLR(sgd(), 0.9): [0.1 * 0.9**t for t in n],
        optim.LinearLR(sgd(), 0.2, 1.0, 4): [0.1 * min(1, 0.2 + 0.2 * t) for t in n],
        optim.CosineAnnealingLR(sgd(), 5, 0.02): [0.02 + 0.04 * (1 + math.cos(math.pi * t / 5)) for t in n],
    }
    for schedule, numbers in expected.items():
        np.testing.assert_allclose(rates(schedule, 12), numbers, rtol=1e-12)


def test_one_cycle():
    optimizer = sgd(momentum=0.9)
    schedule = optim.OneCycleLR(optimizer, max_lr=1.0, total_steps=100)
    seen = []
    for _ in range(100):
        group = optimizer.param_groups[0]
        seen.append((group["lr"], group["momentum"]))
        schedule.step()
    lr, momentum = np.array(seen).T
    assert lr.argmax() == momentum.argmin() == 29
    np.testing.assert_allclose([lr[0], lr[29], momentum[29], momentum[0], momentum[99]], [0.04, 1, 0.85, 0.95, 0.95])
    np.testing.assert_allclose(lr[99], 1 / 25 / 1e4)
    assert (np.diff(lr[:30]) > 0).all()
    assert (np.diff(lr[29:]) < 0).all()


def test_one_cycle_turns_the_first_beta_of_adam():
    optimizer = optim.Adam([tn.tensor([1.0], requires_grad=True)])
    optim.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    assert optimizer.param_groups[0]["betas"] == (0.95, 0.999)


def test_groups_keep_their_ratio():
    a, b = (tn.tensor([1.0], requires_grad=True) for _ in range(2))
    optimizer = optim.SGD([{"params": [a], "lr": 0.1}, {"params": [b], "lr": 0.4}])
    schedule = optim.ExponentialLR(optimizer, 0.5)
    schedule.step()
    assert schedule.get_last_lr() == [0.05, 0.2]


def test_a_warm_up_followed_by_a_decay():
    optimizer = sgd(lr=1.0)
    parts = [optim.LinearLR(optimizer, 0.25, total_iters=3), optim.StepLR(optimizer, 2, 0.5)]
    schedule = optim.SequentialLR(optimizer, parts, [3])
    np.testing.assert_allclose(rates(schedule, 8), [0.25, 0.5, 0.75, 1, 1, 0.5, 0.5, 0.25])


@pytest.mark.parametrize("mode", ["min", "max"])
def test_plateau(mode):
    optimizer = sgd(lr=1.0)
    schedule = optim.ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=2, cooldown=1)
    seen = []
    for loss in [5, 4, 4, 4, 4, 4, 4, 4, 4, 3]:
        schedule.step(tn.tensor(loss if mode == "min" else 1 / loss))
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_not_a_number_is_no_progress():
    optimizer = sgd(lr=1.0)
    schedule = optim.ReduceLROnPlateau(optimizer, patience=0)
    schedule.step(1.0), schedule.step(math.nan)
    assert optimizer.param_groups[0]["lr"] == 0.1


MAKERS = [
    lambda o: optim.StepLR(o, 3, 0.5), lambda o: optim.ExponentialLR(o, 0.9), lambda o: optim.LinearLR(o, 0.1),
    lambda o: optim.CosineAnnealingLR(o, 7), lambda o: optim.OneCycleLR(o, 0.03, 30),
    lambda o: optim.ReduceLROnPlateau(o, patience=1),
    lambda o: optim.SequentialLR(o, [optim.LinearLR(o, 0.1), optim.CosineAnnealingLR(o, 7)], [5]),
]  # fmt: skip


@pytest.mark.parametrize("order", ["schedule last", "optimiser last"])
@pytest.mark.parametrize("make", MAKERS)
def test_stopped_and_resumed_is_bitwise_the_same(make, order):
    def train(w, optimizer, schedule, epochs):
        for t in epochs:
            optimizer.zero_grad()
            J = (w**4).sum() - (w * math.sin(t)).sum()
            J.backward()
            optimizer.step()
            schedule.step(*[J] * isinstance(schedule, optim.ReduceLROnPlateau))

    def start(value):
        w = tn.tensor(value, requires_grad=True)
        optimizer = optim.SGD([w], lr=0.01, momentum=0.9)
        return w, optimizer, make(optimizer)

    through = start([1.0, -0.5])
    train(*through, range(20))
    stopped = start([1.0, -0.5])
    train(*stopped, range(9))
    saved = [stopped[0].numpy(), stopped[1].state_dict(), stopped[2].state_dict()]
    resumed = start(saved[0])
    for part in (1, 2) if order == "schedule last" else (2, 1):
        resumed[part].load_state_dict(saved[part])
    train(*resumed, range(9, 20))
    assert np.array_equal(through[0].data, resumed[0].data)
    assert through[2].get_last_lr() == resumed[2].get_last_lr()


def test_repr():
    schedule = optim.StepLR(sgd(), 1, 0.5)
    schedule.step()
    assert repr(schedule) == "StepLR(after 1 steps: lr=[0.05])"


def test_errors(raised):
    assert raised(ValueError, optim.OneCycleLR, sgd(), 0.1) == (
        "OneCycleLR: give total_steps, or epochs and steps_per_epoch"
    )
    assert raised(ValueError, optim.OneCycleLR, sgd(), 0.1, 10) == (
        "OneCycleLR: a group has no momentum to cycle; make the optimiser with one, or cycle_momentum=False"
    )
    schedule = optim.OneCycleLR(sgd(), 0.1, 3, cycle_momentum=False)
    rates(schedule, 3)
    assert raised(ValueError, schedule.step) == "OneCycleLR: step 4 of a cycle of 3; make a longer one"
    assert raised(ValueError, optim.LinearLR, sgd(), 0.0) == (
        "LinearLR: start_factor=0.0, end_factor=1.0, expected from 0 to 1, start above 0"
    )
    assert raised(ValueError, optim.SequentialLR, sgd(), [schedule], [1]) == (
        "SequentialLR: 1 schedulers and 1 milestones, expected one less"
    )
    assert raised(ValueError, optim.ReduceLROnPlateau, sgd(), "least") == (
        "ReduceLROnPlateau: mode='least', threshold_mode='rel', factor=0.1; "
        "expected 'min' or 'max', 'rel' or 'abs', and a factor below 1"
    )


# --- clipping --------------------------------------------------------------------------------------------------------


def gradients():
    a, b = (tn.tensor(np.zeros(n), requires_grad=True) for n in (2, 3))
    a.grad, b.grad = np.array([3.0, 0.0]), np.array([0.0, -4.0, 0.0])
    return a, b


def test_clipping_scales_the_whole_gradient():
    a, b = gradients()
    assert optim.clip_grad_norm_([a, b, tn.tensor([0.0], requires_grad=True)], 1.0) == 5
    np.testing.assert_allclose(a.grad, [0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(b.grad, [0, -0.8, 0], rtol=1e-6)
    assert optim.clip_grad_norm_((p for p in (a, b)), 10.0, norm_type=np.inf) <= 0.8
    np.testing.assert_allclose(a.grad, [0.6, 0], rtol=1e-6)


def test_clipping_by_value():
    a, b = gradients()
    optim.clip_grad_value_([a, b], 3.5)
    assert a.grad.tolist() == [3, 0]
    assert b.grad.tolist() == [0, -3.5, 0]


def test_clipping_keeps_dtypes_and_writes_into_no_shared_array():
    a = tn.tensor(np.zeros(2, np.float32), requires_grad=True)
    b = tn.tensor(np.zeros(2), requires_grad=True)
    shared = np.array([30.0, 40.0])
    a.grad, b.grad = shared.astype(np.float32), shared
    optim.clip_grad_norm_([a, b], 1.0)
    assert a.grad.dtype == np.float32
    assert b.grad.dtype == np.float64
    assert shared.tolist() == [30, 40]


def test_nothing_to_clip():
    assert optim.clip_grad_norm_([], 1.0) == 0
    optim.clip_grad_value_([tn.tensor([0.0], requires_grad=True)], 1.0)
