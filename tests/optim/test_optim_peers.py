"""Optimisers, schedules and clipping against PyTorch's."""

import numpy as np
import pytest
from optim.cases import ALL, START, STEPS, cost

import tinygrad_nn as tn
from tinygrad_nn import optim

pytestmark = pytest.mark.peers


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    torch.set_default_dtype(torch.float64)  # in which NAdam keeps its product of momenta
    yield torch
    torch.set_default_dtype(torch.float32)


def pair(torch):
    return (
        [tn.tensor(start, requires_grad=True) for start in START],
        [torch.tensor(start, requires_grad=True) for start in START],
    )


def torch_cost(torch, params):
    scale = torch.tensor(np.array([[1.0, 30.0], [0.1, 2.0], [5.0, 0.5]]))
    W, b = params
    return (scale * W * W).sum() / 2 + torch.sin(3 * b).sum() + (W * b).sum() / 3


def step(optimizer, J):
    optimizer.zero_grad()
    J.backward()
    optimizer.step()


@pytest.mark.parametrize(("name", "options"), ALL)
def test_rules(torch, name, options):
    ours, theirs = pair(torch)
    mine, other = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for _ in range(STEPS):
        step(mine, cost(tn, *ours))
        step(other, torch_cost(torch, theirs))
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam", "Rprop", "RMSprop", "Adagrad", "Adadelta", "AdamW"])
def test_defaults(torch, name):
    ours, theirs = pair(torch)
    mine, other = getattr(optim, name)(ours), getattr(torch.optim, name)(theirs)
    for key, value in mine.defaults.items():
        assert other.defaults[key] == value, key


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_groups(torch, name):
    ours, theirs = pair(torch)
    groups = [[{"params": [some[0]], "lr": 0.05}, {"params": [some[1]]}] for some in (ours, theirs)]
    mine, other = getattr(optim, name)(groups[0], lr=0.01), getattr(torch.optim, name)(groups[1], lr=0.01)
    for _ in range(STEPS):
        step(mine, cost(tn, *ours))
        step(other, torch_cost(torch, theirs))
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-10, atol=1e-12)


SCHEDULES = [
    ("StepLR", {"step_size": 4, "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [3, 7, 7, 12], "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LinearLR", {"start_factor": 0.2, "end_factor": 0.9, "total_iters": 6}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 26}),
    ("OneCycleLR", {"max_lr": [0.5, 0.3], "epochs": 13, "steps_per_epoch": 2, "three_phase": True}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 26, "anneal_strategy": "linear", "pct_start": 0.4}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 26, "cycle_momentum": False, "div_factor": 5.0}),
]


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize(("schedule", "options"), SCHEDULES)
def test_schedules(torch, schedule, options, name):
    momentum = {"momentum": 0.9} if name == "SGD" else {}
    ours, theirs = pair(torch)
    groups = [[{"params": [some[0]], "lr": 0.05}, {"params": [some[1]]}] for some in (ours, theirs)]
    mine = getattr(optim, name)(groups[0], lr=0.01, **momentum)
    other = getattr(torch.optim, name)(groups[1], lr=0.01, **momentum)
    plans = getattr(optim, schedule)(mine, **options), getattr(torch.optim.lr_scheduler, schedule)(other, **options)
    for _ in range(25):
        for a, b in zip(mine.param_groups, other.param_groups, strict=True):
            for key in ("lr", "momentum", "betas"):
                if key in a:
                    np.testing.assert_allclose(a[key], b[key], rtol=1e-10, atol=1e-15)
        step(mine, cost(tn, *ours))
        step(other, torch_cost(torch, theirs))
        for plan in plans:
            plan.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9, atol=1e-11)


def test_sequential_schedules(torch):
    ours, theirs = pair(torch)
    mine, other = optim.SGD(ours, lr=0.1), torch.optim.SGD(theirs, lr=0.1)
    plans = []
    for optimizer, source in ((mine, optim), (other, torch.optim.lr_scheduler)):
        parts = [source.LinearLR(optimizer, 0.1, total_iters=4), source.CosineAnnealingLR(optimizer, T_max=8)]
        parts.append(source.ExponentialLR(optimizer, 0.5))
        plans.append(source.SequentialLR(optimizer, parts, milestones=[4, 12]))
    for _ in range(18):
        np.testing.assert_allclose(mine.param_groups[0]["lr"], other.param_groups[0]["lr"], rtol=1e-10, atol=1e-15)
        step(mine, cost(tn, *ours))
        step(other, torch_cost(torch, theirs))
        for plan in plans:
            plan.step()


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2}, {"mode": "max", "factor": 0.5, "patience": 1, "threshold": 0.1},
        {"threshold_mode": "abs", "threshold": 0.3, "patience": 1, "cooldown": 2},
        {"mode": "max", "threshold_mode": "abs", "patience": 0, "min_lr": [0.001, 0.01]}, {"eps": 0.02, "patience": 0},
    ],
)  # fmt: skip
def test_plateau(torch, options):
    ours, theirs = pair(torch)
    groups = [[{"params": [some[0]], "lr": 0.05}, {"params": [some[1]]}] for some in (ours, theirs)]
    mine, other = optim.SGD(groups[0], lr=0.1), torch.optim.SGD(groups[1], lr=0.1)
    a = optim.ReduceLROnPlateau(mine, **options)
    b = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **options)
    rng = np.random.default_rng(0)
    for t in range(60):
        value = float(np.exp(-t / 10) + 0.1 * rng.normal())
        a.step(value), b.step(value)
        assert [g["lr"] for g in mine.param_groups] == [g["lr"] for g in other.param_groups]


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 1e3])
def test_clipping_by_norm(torch, norm_type, max_norm):
    ours, theirs = pair(torch)
    cost(tn, *ours).backward()
    torch_cost(torch, theirs).backward()
    norm = optim.clip_grad_norm_(ours, max_norm, norm_type)
    np.testing.assert_allclose(norm, torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type).item(), rtol=1e-12)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)


def test_clipping_by_value(torch):
    ours, theirs = pair(torch)
    cost(tn, *ours).backward()
    torch_cost(torch, theirs).backward()
    optim.clip_grad_value_(ours, 0.7)
    torch.nn.utils.clip_grad_value_(theirs, 0.7)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)
