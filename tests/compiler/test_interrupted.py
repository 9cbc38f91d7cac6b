"""Ctrl-C at any instant of a compiled step: nothing of the recording is left behind, and the next calls are right."""

import copy
import gc
import sys

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import nn, optim
from tinygrad_nn.compiler.tracers import Tracer
from tinygrad_nn.modes import MODE

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(3, 20)), RNG.normal(size=(2, 20))
HERE = __file__


class Interrupted:
    """Within it KeyboardInterrupt comes at the n-th line of Python that runs, as Ctrl-C may at any."""

    def __init__(self, n):
        self.left = n

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)

    def __exit__(self, kind, *_):
        sys.settrace(self.before)
        return kind is KeyboardInterrupt

    def __call__(self, frame, event, _):
        if frame.f_code.co_filename == HERE and frame.f_code.co_name in ("__exit__", "__enter__"):
            return None
        self.left -= event == "line"
        if self.left < 0:
            sys.settrace(None)
            raise KeyboardInterrupt
        return self


def training():
    """A model with everything that has a state, and a step."""
    layers = [nn.Dense(3, 8, "relu", rng=1), nn.BatchNorm(8), nn.Dropout(0.3, rng=np.random.default_rng(2))]
    model = nn.Sequential(*layers, nn.Dense(8, 2, rng=3))
    optimizer = optim.Adam(model.parameters(), 0.01)
    return model, optimizer, optim.ExponentialLR(optimizer, 0.99)


def step_of(model, optimizer, schedule):
    def step(x, y):
        optimizer.zero_grad()
        loss = tn.mse(model(x), y)
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss

    return step


def seen(model, optimizer, schedule):
    state = optimizer.state_dict()
    arrays = [*(p.data for p in model.parameters()), *(a for s in state["state"].values() for a in s.values())]
    return [a.tobytes() for a in arrays], state["param_groups"], schedule.state_dict(), model[2].rng.bit_generator.state


def nothing_is_left(model, optimizer):
    assert gc.isenabled()
    for p in model.parameters():
        assert type(p._value) is np.ndarray
        assert p.grad is None or type(p.grad) is np.ndarray
    found = [value for holder in (*map(vars, model), *optimizer.state) for value in holder.values()]
    assert not any(type(value) is Tracer for value in found)


def interrupt(seed):
    rng = np.random.default_rng(seed)
    world, mode = training(), MODE.get()
    step = tn.compile(step_of(*world), audit=[True, 1, False][seed % 3])
    replays = rng.choice([0, 0, 1, 3])
    for _ in range(replays):
        step(X, Y)
    with Interrupted(int(rng.integers(12_000 if not replays else 3_000))):
        for _ in range(8):
            step(X, Y)
    assert MODE.get() is mode
    nothing_is_left(*world[:2])
    other = copy.deepcopy(world)
    eager = step_of(*other)
    for _ in range(5):
        assert step(X, Y).item() == eager(X, Y).item()
        assert seen(*world) == seen(*other)


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_some_instants(first):
    for seed in range(first, first + 10):
        interrupt(seed)


@pytest.mark.nightly
def test_a_thousand_instants():
    for seed in range(1000, 2000):
        interrupt(seed)
