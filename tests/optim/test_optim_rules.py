"""Update rules against their formulas, transcribed number by number, and what all rules have in common."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from optim.cases import ALL, CASES, START, STEPS, cost

import tinygrad_nn as tn
from tinygrad_nn import optim

RULES = [*CASES, "IDBD"]


def parameters(dtype=np.float64):
    return [tn.tensor(start, requires_grad=True, dtype=dtype) for start in START]


def train(optimizer, params, steps=STEPS):
    for _ in range(steps):
        optimizer.zero_grad()
        cost(tn, *params).backward()
        optimizer.step()
    return [p.numpy() for p in params]


# --- one number at a time, as the papers have it ---------------------------------------------------------------------


def sgd(w, g, s, t, lr=1e-3, momentum=0.0, nesterov=False, weight_decay=0.0, dampening=0.0, maximize=False):
    g = (-g if maximize else g) + weight_decay * w
    s["v"] = g if t == 1 else momentum * s["v"] + (1 - dampening) * g
    if momentum == 0:
        return w - lr * g
    return w - lr * (g + momentum * s["v"] if nesterov else s["v"])


def adagrad(
    w, g, s, t, lr=0.01, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, maximize=False
):
    g = (-g if maximize else g) + weight_decay * w
    s["sum"] = s.get("sum", initial_accumulator_value) + g**2
    return w - lr / (1 + (t - 1) * lr_decay) * g / (math.sqrt(s["sum"]) + eps)


def adadelta(w, g, s, t, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0, maximize=False):
    g = (-g if maximize else g) + weight_decay * w
    s["g2"] = rho * s.get("g2", 0) + (1 - rho) * g**2
    step = -math.sqrt(s.get("x2", 0) + eps) / math.sqrt(s["g2"] + eps) * g
    s["x2"] = rho * s.get("x2", 0) + (1 - rho) * step**2
    return w + lr * step


def rmsprop(w, g, s, t, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, maximize=False):
    g = (-g if maximize else g) + weight_decay * w
    s["n"] = alpha * s.get("n", 0) + (1 - alpha) * g**2
    s["mean"] = alpha * s.get("mean", 0) + (1 - alpha) * g
    s["v"] = momentum * s.get("v", 0) + g / (math.sqrt(s["n"] - centered * s["mean"] ** 2) + eps)
    return w - lr * s["v"]


def adam(
    w, g, s, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False,
    decoupled_weight_decay=False,
):  # fmt: skip
    g = -g if maximize else g
    if decoupled_weight_decay:
        w = w - lr * weight_decay * w
    else:
        g = g + weight_decay * w
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g**2
    s["top"] = max(s.get("top", 0), s["v"]) if amsgrad else s["v"]
    m_hat, v_hat = s["m"] / (1 - betas[0] ** t), s["top"] / (1 - betas[1] ** t)
    return w - lr * m_hat / (math.sqrt(v_hat) + eps)


def adamw(w, g, s, t, weight_decay=1e-2, **options):
    return adam(w, g, s, t, weight_decay=weight_decay, decoupled_weight_decay=True, **options)


def nadam(
    w, g, s, t, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=4e-3,
    decoupled_weight_decay=False, maximize=False,
):  # fmt: skip
    g = -g if maximize else g
    if decoupled_weight_decay:
        w = w - lr * weight_decay * w
    else:
        g = g + weight_decay * w
    mu = [betas[0] * (1 - 0.5 * 0.96 ** (i * momentum_decay)) for i in range(1, t + 2)]
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g**2
    m_bar = mu[t] * s["m"] / (1 - math.prod(mu)) + (1 - mu[t - 1]) * g / (1 - math.prod(mu[:t]))
    return w - lr * m_bar / (math.sqrt(s["v"] / (1 - betas[1] ** t)) + eps)


def rprop(w, g, s, t, lr=0.01, etas=(0.5, 1.2), step_sizes=(1e-6, 50.0), maximize=False):
    g = -g if maximize else g
    product, delta = g * s.get("g", 0), s.get("delta", lr)
    if product > 0:
        delta = min(delta * etas[1], step_sizes[1])
    elif product < 0:
        delta = max(delta * etas[0], step_sizes[0])
        g = 0.0
    s["g"], s["delta"] = g, min(max(delta, step_sizes[0]), step_sizes[1])
    return w - math.copysign(s["delta"], g) * (g != 0)


TRANSCRIPTIONS = {
    "SGD": sgd, "Adagrad": adagrad, "Adadelta": adadelta, "RMSprop": rmsprop, "Adam": adam, "AdamW": adamw,
    "NAdam": nadam, "Rprop": rprop,
}  # fmt: skip


@pytest.mark.parametrize(("name", "options"), ALL)
def test_rules_follow_their_formulas(name, options):
    params = parameters()
    got = train(getattr(optim, name)(params, **options), params)
    values = [start.copy() for start in START]
    memory = [{i: {} for i in np.ndindex(v.shape)} for v in values]
    for t in range(1, STEPS + 1):
        tensors = [tn.tensor(v, requires_grad=True) for v in values]
        gradients = tn.gradients(cost(tn, *tensors), tensors)
        for value, gradient, remembered in zip(values, gradients, memory, strict=True):
            for i in np.ndindex(value.shape):
                value[i] = TRANSCRIPTIONS[name](value[i], gradient[i], remembered[i], t, **options)
    for a, b in zip(got, values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("given", ["curvature", "gradient"])
def test_idbd_is_suttons_rule_for_a_linear_unit(given):
    """Sutton 1992, Figure 2, with x² or the squared gradient as the curvature."""
    rng = np.random.default_rng(0)
    w = tn.tensor(np.zeros((1, 4)), requires_grad=True)
    optimizer = optim.IDBD([w], lr=0.05, theta=0.1)
    weights, beta, h = np.zeros(4), np.full(4, math.log(0.05)), np.zeros(4)
    for _ in range(200):
        x = rng.normal(size=4)
        target = 2 * x[0] - x[1]
        optimizer.zero_grad()
        output = w @ x.reshape(4, 1)
        tn.mse(output, np.array([[target]])).backward()
        optimizer.step(optim.curvature(output, [w]) if given == "curvature" else None)
        delta = target - weights @ x
        for i in range(4):
            beta[i] += 0.1 * delta * x[i] * h[i]
            alpha = math.exp(beta[i])
            weights[i] += alpha * delta * x[i]
            curvature = x[i] ** 2 if given == "curvature" else (delta * x[i]) ** 2
            h[i] = h[i] * max(1 - alpha * curvature, 0) + alpha * delta * x[i]
        np.testing.assert_allclose(w.data[0], weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(optimizer.rates[0][0], np.exp(beta), rtol=1e-9)
    assert optimizer.rates[0][0, :2].min() > optimizer.rates[0][0, 2:].max()


def test_idbd_keeps_within_its_precautions():
    w = tn.tensor([1.0], requires_grad=True)
    optimizer = optim.IDBD([w], lr=0.5, theta=1e6)
    for g in (1.0, -1.0, -1.0):
        w.grad = np.array([g])
        optimizer.step([[1.0]])
        assert abs(np.log(optimizer.rates[0] / 0.5)) <= 6
    for _ in range(20):
        w.grad = -1e3 * np.sign(optimizer.state[0]["h"])
        optimizer.step([[0.0]])
    assert (optimizer.state[0]["log_rate"] >= -10).all()


def test_idbd_wants_a_curvature_for_each_parameter(raised):
    params = parameters()
    cost(tn, *params).backward()
    optimizer = optim.IDBD(params)
    assert raised(ValueError, optimizer.step, [np.ones((3, 2))]) == (
        "IDBD: 1 curvatures for 2 parameters, expected one for each"
    )
    optimizer.step([np.ones((3, 2)), None])
    assert all("curvature" not in state for state in optimizer.state)


def test_curvature_of_a_network_is_the_gauss_newton_diagonal():
    model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dense(3, 2, rng=1))
    X, params = np.random.default_rng(0).normal(size=(2, 4)), list(model.parameters())
    estimates = [optim.curvature(model(X), params, rng=seed) for seed in range(3000)]
    for i, p in enumerate(params):
        exact = np.zeros(p.shape)
        for k, n in np.ndindex(2, 4):
            exact += tn.gradients(model(X)[k, n], p)[0] ** 2 / 4
        mean = np.mean([e[i] for e in estimates], axis=0)
        np.testing.assert_allclose(mean, exact, rtol=0.15, atol=1e-12)


# --- what all rules have in common -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), [*ALL, ("IDBD", {})])
def test_float32_stays_float32(name, options):
    params = parameters(np.float32)
    optimizer = getattr(optim, name)(params, **options)
    arrays = [p.value for p in params]
    cost32 = [p.numpy() for p in params]
    for _ in range(3):
        for p in params:
            p.grad = (p.value * 0.5 + 0.1).astype(np.float32)
        for (p, state), group in zip(
            zip(params, optimizer.state, strict=True), optimizer.param_groups * len(params), strict=False
        ):
            change, new = optimizer.rule(p.value, p.grad, state, group)
            assert change.dtype == np.float32
            assert {new[k].dtype for k in new if k not in ("t", "mu_product")} <= {np.dtype(np.float32)}
        optimizer.step()
    assert all(p.value is a and a.dtype == np.float32 for p, a in zip(params, arrays, strict=True))
    assert any(not np.array_equal(p.value, c) for p, c in zip(params, cost32, strict=True))


@pytest.mark.parametrize(("name", "options"), [*ALL, ("IDBD", {})])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rules_run_on_tensors_bitwise_alike(name, options, dtype):
    """So that a step can be recorded; the learning rate may be a tensor then, as schedules change it."""
    params = parameters(dtype)
    optimizer = getattr(optim, name)(params, **options)
    for p in params:
        p.grad = (p.value * 0.5 + 0.1).astype(dtype)
    optimizer.step()
    for i, p in enumerate(params):
        g, state, group = (p.value * 0.25 - 0.1).astype(dtype), optimizer.state[i], optimizer.param_groups[0]
        change, new = optimizer.rule(p.value, g, state, group)
        tensors = {k: tn.tensor(v) for k, v in state.items()}
        recorded = {**group, "lr": tn.tensor(group["lr"])} if name != "IDBD" else group
        change_t, new_t = optimizer.rule(tn.tensor(p.value), tn.tensor(g), tensors, recorded)
        assert isinstance(change_t, tn.Tensor)
        assert change_t.dtype == dtype
        assert np.array_equal(change_t.numpy(), change)
        assert new.keys() == new_t.keys()
        assert all(np.array_equal(new_t[k].numpy(), new[k]) for k in new)
        assert all(new_t[k].dtype == state[k].dtype for k in new)


@pytest.mark.parametrize(("name", "options"), [*ALL, ("IDBD", {})])
def test_rules_change_neither_arguments_nor_state(name, options):
    params = parameters()
    optimizer = getattr(optim, name)(params, **options)
    for p, state in zip(params, optimizer.state, strict=True):
        arrays = [p.value.copy(), np.cos(p.value), *state.values()]
        for a in arrays:
            a.flags.writeable = False
        optimizer.rule(arrays[0], arrays[1], state, optimizer.param_groups[0])


@pytest.mark.parametrize(("name", "options"), [*ALL, ("IDBD", {})])
def test_stopped_and_resumed_is_bitwise_the_same(name, options):
    through = parameters()
    optimizer = getattr(optim, name)(through, **options)
    train(optimizer, through, 13)
    stopped = parameters()
    before = getattr(optim, name)(stopped, **options)
    train(before, stopped, 6)
    saved = copy.deepcopy((before.state_dict(), [p.numpy() for p in stopped]))
    train(before, stopped, 2)  # what happens later does not reach what was saved
    resumed = [tn.tensor(value, requires_grad=True) for value in saved[1]]
    after = getattr(optim, name)(resumed) if name == "IDBD" else getattr(optim, name)(resumed, **options)
    after.load_state_dict(saved[0])
    train(after, resumed, 7)
    for p, q in zip(through, resumed, strict=True):
        assert np.array_equal(p.data, q.data)


@pytest.mark.parametrize("name", RULES)
def test_single_numbers_and_numpy_scalars_are_parameters(name):
    for value in (tn.tensor(2.0, requires_grad=True), tn.Tensor(np.float64(2.0), True)):
        optimizer = getattr(optim, name)([value])
        for _ in range(3):
            optimizer.zero_grad()
            (value * value).backward()
            optimizer.step()
        assert isinstance(value.value, np.ndarray)
        assert value.shape == ()
        assert value.item() < 2


@pytest.mark.parametrize("name", RULES)
def test_parameters_without_a_gradient_are_left_alone(name):
    params = parameters()
    optimizer = getattr(optim, name)(params)
    params[0].grad = np.ones((3, 2))
    optimizer.step()
    assert np.array_equal(params[1].data, START[1])
    assert not np.array_equal(params[0].data, START[0])
    params[0].requires_grad = False
    optimizer.zero_grad()
    optimizer.step()


@pytest.mark.parametrize("name", RULES)
def test_rules_lower_a_cost(name):
    params = parameters()
    optimizer = getattr(optim, name)(params, lr=0.01)
    before = cost(tn, *params).item()
    train(optimizer, params, 30)
    assert cost(tn, *params).item() < before


def test_a_step_between_forward_and_backward_is_noticed():
    w = tn.tensor([1.0, 2.0], requires_grad=True, name="w")
    optimizer = optim.SGD([w], lr=0.1)
    J = (w * w).sum()
    J.backward()
    optimizer.step()
    with pytest.raises(tn.MutationError, match="w of shape"):
        J.backward()


# --- groups and settings ---------------------------------------------------------------------------------------------


def test_groups_have_settings_of_their_own():
    W, b = parameters()
    optimizer = optim.SGD([{"params": [W], "lr": 0.5}, {"params": b}], lr=0.1)
    W.grad, b.grad = np.ones((3, 2)), np.ones((3, 1))
    optimizer.step()
    np.testing.assert_allclose(W.data, START[0] - 0.5)
    np.testing.assert_allclose(b.data, START[1] - 0.1)
    optimizer.param_groups[1]["lr"] = 0.0
    optimizer.step()
    np.testing.assert_allclose(W.data, START[0] - 1.0)
    np.testing.assert_allclose(b.data, START[1] - 0.1)


def test_a_group_can_come_later():
    W, b = parameters()
    optimizer = optim.Adam([W])
    optimizer.add_param_group({"params": [b], "lr": 0.5})
    assert [g["lr"] for g in optimizer.param_groups] == [1e-3, 0.5]
    assert len(optimizer.state) == 2


def test_numpy_numbers_as_learning_rates_keep_float32():
    for lr in (np.float64(0.1), np.float32(0.1), 1):
        w = tn.tensor(np.ones(3, np.float32), requires_grad=True)
        w.grad = np.ones(3, np.float32)
        optimizer = optim.SGD([w], lr=lr)
        assert optimizer.rule(w.value, w.grad, {}, optimizer.param_groups[0])[0].dtype == np.float32
        optimizer.step()
        np.testing.assert_allclose(w.data, 1 - float(lr), rtol=1e-6)


def test_repr():
    W, b = parameters()
    assert repr(optim.Adadelta([W, b])) == (
        "Adadelta(lr=1.0, rho=0.9, eps=1e-06, weight_decay=0.0, maximize=False (9 parameters))"
    )
    assert repr(optim.IDBD([{"params": [W]}, {"params": [b], "lr": 0.1}])).splitlines() == [
        "IDBD:",
        "  lr=0.05, theta=0.01 (6 parameters)",
        "  lr=0.1, theta=0.01 (3 parameters)",
    ]


def test_state_is_by_position_and_can_be_written_down():
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1, momentum=0.9)
    train(optimizer, params, 2)
    saved = optimizer.state_dict()
    assert list(saved["state"]) == [0, 1]
    assert saved["param_groups"][0]["params"] == [0, 1]
    text = json.dumps({**saved, "state": {i: {k: v.tolist() for k, v in s.items()} for i, s in saved["state"].items()}})
    fresh = optim.SGD(parameters(), lr=0.1, momentum=0.9)
    fresh.load_state_dict(json.loads(text))
    assert all(np.array_equal(fresh.state[i]["velocity"], optimizer.state[i]["velocity"]) for i in (0, 1))


def test_the_arrays_of_the_state_stay_the_same_arrays():
    params = parameters()
    optimizer = optim.Adam(params)
    arrays = [a for state in optimizer.state for a in state.values()]
    train(optimizer, params, 2)
    optimizer.load_state_dict(optimizer.state_dict())
    assert all(a is b for a, b in zip(arrays, (a for s in optimizer.state for a in s.values()), strict=True))
    assert optimizer.state[0]["t"] == 2


# --- errors ----------------------------------------------------------------------------------------------------------


def test_what_is_no_parameter(raised):
    assert raised(ValueError, optim.SGD, []) == (
        "SGD: there are no parameters; does the model hold any with requires_grad=True?"
    )
    assert raised(TypeError, optim.SGD, [np.ones(2)]) == "SGD: parameter 0 is of type ndarray, expected a tensor"
    constant = tn.tensor([1.0], name="c")
    assert raised(ValueError, optim.Adam, [constant]) == (
        "Adam: c of shape (1,) does not require a gradient; expected tensors you made with requires_grad=True"
    )
    w = tn.tensor([1.0], requires_grad=True)
    assert raised(ValueError, optim.Adam, [w * 2]) == (
        "Adam: parameter 0 of shape (1,) is the result of multiply; expected tensors you made with requires_grad=True"
    )
    assert raised(ValueError, optim.Adam, [w, w]) == "Adam: parameter 1 of shape (1,) is given twice"


def test_groups_with_other_settings(raised):
    w = [tn.tensor([1.0], requires_grad=True)]
    expected = "expected params and any of lr, theta"
    assert raised(ValueError, optim.IDBD, [{"params": w, "rate": 1}]) == (
        f"IDBD: a group knows no setting 'rate'; {expected}"
    )
    assert raised(ValueError, optim.IDBD, [{"lr": 1}]) == f"IDBD: a group needs 'params'; {expected}"


def test_settings_out_of_range(raised):
    w = [tn.tensor([1.0], requires_grad=True)]
    assert raised(ValueError, optim.SGD, w, lr=-1) == "SGD: lr=-1, expected at least 0"
    assert raised(ValueError, optim.SGD, w, lr=math.nan) == "SGD: lr=nan, expected a number"
    assert raised(ValueError, optim.SGD, w, nesterov=True) == (
        "SGD: nesterov=True needs momentum above 0 and no dampening"
    )
    assert raised(ValueError, optim.Adam, w, betas=(0.9, 1.0)) == ("Adam: betas=(0.9, 1.0), expected from 0 to below 1")
    assert raised(ValueError, optim.Rprop, w, etas=(1.2, 0.5)) == (
        "Rprop: etas=(1.2, 0.5), expected one between 0 and 1 and one above 1"
    )
    assert raised(ValueError, optim.IDBD, w, lr=0) == "IDBD: lr=0, expected above 0, as its logarithm is learned"


def test_momentum_cannot_be_switched_on_later(raised):
    w = tn.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)
    optimizer.param_groups[0]["momentum"] = 0.9
    w.grad = np.ones(1)
    assert "the state holds no 'velocity': the setting that needs it was off" in raised(RuntimeError, optimizer.step)


def test_a_state_of_another_optimiser_changes_nothing(raised):
    params = parameters()
    optimizer = optim.Adam(params)
    train(optimizer, params, 2)
    before = optimizer.state_dict()
    sgd_state = optim.SGD(parameters(), momentum=0.9).state_dict()
    assert raised(ValueError, optimizer.load_state_dict, sgd_state) == (
        "Adam.load_state_dict: parameter 0 comes with ['t', 'velocity'], expected ['m', 't', 'v']; "
        "is it the state of another rule, or of other settings?"
    )
    assert raised(ValueError, optimizer.load_state_dict, optim.Adam(parameters()[:1]).state_dict()) == (
        "Adam.load_state_dict: expected groups of [2] parameters, got groups of [1]"
    )
    assert raised(tn.ShapeError, optimizer.load_state_dict, optim.Adam(parameters()[::-1]).state_dict()) == (
        "Adam.load_state_dict: m of parameter 0 has shape (3, 2), the saved one (3, 1)"
    )
    for i, state in before["state"].items():
        assert all(np.array_equal(state[k], optimizer.state[i][k]) for k in state)


# --- half precision ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", RULES)
def test_parameters_in_float16_are_stepped_in_float32(name, compiled):
    """ε = 1e-8 and squares of gradients of 1e-4 are 0 in float16: 0/0, or an infinite step."""
    make, ends = getattr(optim, name), []
    for dtype in (np.float16, np.float32):
        w = tn.tensor([1.0, -2.0, 0.0], requires_grad=True, dtype=dtype)
        optimizer = make([w])

        def step(optimizer=optimizer, w=w):
            optimizer.zero_grad()
            (w * w * 1e-3).sum().backward()
            optimizer.step()

        step = tn.compile(step) if compiled else step
        for _ in range(3):
            step()
        assert w.dtype == dtype
        assert all(a.dtype != np.float16 for s in optimizer.state for a in s.values())
        ends.append(w.numpy())
    assert np.isfinite(ends[0]).all()
    np.testing.assert_allclose(*ends, rtol=5e-3, atol=2e-3)


@pytest.mark.parametrize("copies", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Rprop", "IDBD"])
def test_a_copy_goes_on_by_itself(name, copies):
    params = [tn.tensor(np.ones(n), requires_grad=True) for n in (2, 3)]
    optimizer = getattr(tn.optim, name)(params, lr=0.1)

    def step(params, optimizer):
        for i, p in enumerate(params):
            p.grad = np.full(p.shape, 1.0 + i)
        optimizer.step()
        return plainly(optimizer.state_dict()), [p.tolist() for p in params]

    step(params, optimizer)
    others, other = copies((params, optimizer))
    assert step(others, other) == step(params, optimizer)
    before = plainly(optimizer.state_dict()), [p.tolist() for p in params]
    step(others, other)
    assert (plainly(optimizer.state_dict()), [p.tolist() for p in params]) == before  # they share nothing


def plainly(state):
    return {i: {k: v.tolist() for k, v in s.items()} for i, s in state["state"].items()}
