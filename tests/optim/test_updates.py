"""Fused updates of small parameters: to the last bit what each would be by itself."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.optim import updates

SHAPES = [(3, 2), (3, 1), (), (4,)]
RULES = {
    "momentum": lambda ps: tn.optim.SGD(ps, lr=0.1, momentum=0.9, dampening=0.5),
    "Nesterov": lambda ps: tn.optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adagrad": lambda ps: tn.optim.Adagrad(ps, lr_decay=0.1, weight_decay=0.1),
    "Adadelta": lambda ps: tn.optim.Adadelta(ps),
    "RMSprop": lambda ps: tn.optim.RMSprop(ps, momentum=0.9, centered=True),
    "Adam": lambda ps: tn.optim.Adam(ps, lr=0.1, weight_decay=0.1, amsgrad=True),
    "AdamW": lambda ps: tn.optim.AdamW(ps, lr=0.1),
    "NAdam": lambda ps: tn.optim.NAdam(ps, lr=0.1),
    "Rprop": lambda ps: tn.optim.Rprop(ps),
}


def parameters(dtype=np.float64, shapes=SHAPES):
    rng = np.random.default_rng(0)
    return [
        tn.tensor(rng.standard_normal(s).astype(dtype), requires_grad=True, name=f"p{i}") for i, s in enumerate(shapes)
    ]


def one_each(make, ps):
    """An optimiser of its own for each parameter."""
    return [make([p]) for p in ps]


def give_gradients(some, others, rng, missing=()):
    for i, (p, q) in enumerate(zip(some, others, strict=True)):
        p.grad = None if i in missing else rng.standard_normal(p.shape).astype(p.dtype)
        q.grad = None if i in missing else p.grad.copy()


def assert_equal(fused, ps, single, qs):
    for i, (p, q) in enumerate(zip(ps, qs, strict=True)):
        np.testing.assert_array_equal(p.value, q.value, err_msg=p.name)
        assert p.dtype == q.dtype
        for name, array in single[i].state[0].items():
            np.testing.assert_array_equal(fused.state[i][name], array, err_msg=f"{name} of {p.name}")
            assert fused.state[i][name].shape == array.shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", RULES)
def test_bitwise_as_single_updates(name, dtype):
    ps, qs, rng = parameters(dtype), parameters(dtype), np.random.default_rng(1)
    fused, single = RULES[name](ps), one_each(RULES[name], qs)
    assert len(fused._updates[0][1]) == 1
    assert fused._updates[0][2] == []
    for _ in range(10):
        give_gradients(ps, qs, rng)
        fused.step()
        for optimizer in single:
            optimizer.step()
        assert_equal(fused, ps, single, qs)


@pytest.mark.parametrize("name", RULES)
def test_missing_gradients(name):
    """Each parameter counts its own steps, from the moment on when one is left out."""
    ps, qs, rng = parameters(), parameters(), np.random.default_rng(1)
    fused, single = RULES[name](ps), one_each(RULES[name], qs)
    for missing in [(), (0, 1, 2, 3), (), (1,), (), (0, 2), ()]:
        give_gradients(ps, qs, rng, missing)
        fused.step()
        for optimizer in single:
            optimizer.step()
        assert_equal(fused, ps, single, qs)
    loaded, rs = RULES[name](parameters()), [tn.tensor(p.numpy(), requires_grad=True) for p in ps]
    loaded = RULES[name](rs)
    loaded.load_state_dict(fused.state_dict())
    give_gradients(ps, rs, rng)
    fused.step()
    loaded.step()
    for p, r in zip(ps, rs, strict=True):
        np.testing.assert_array_equal(p.value, r.value)


def test_fused_as_long_as_step_counters_are_equal():
    ps, rng = parameters(), np.random.default_rng(1)
    optimizer = RULES["Adam"](ps)
    start = optimizer.state_dict()
    for missing, fused in [((), True), ((0, 1, 2, 3), True), ((2,), False), ((), False)]:
        give_gradients(ps, parameters(), rng, missing)
        optimizer.step()
        assert optimizer.fused is fused
    optimizer.load_state_dict(optimizer.state_dict())
    assert not optimizer.fused
    optimizer.load_state_dict(start)
    assert optimizer.fused


def test_without_counters_missing_gradients_do_not_matter():
    ps = parameters()
    optimizer = RULES["Rprop"](ps)
    give_gradients(ps, parameters(), np.random.default_rng(1), missing=(1,))
    optimizer.step()
    assert optimizer.fused


def test_a_refused_gradient_leaves_step_counters_equal():
    ps = parameters()
    optimizer = RULES["Adam"](ps)
    give_gradients(ps, parameters(), np.random.default_rng(1))
    ps[2].grad = np.ones((7, 7))
    with pytest.raises(tn.ShapeError, match="p2 has shape"):
        optimizer.step()
    assert [state["t"].item() for state in optimizer.state] == [0, 0, 0, 0]


def test_state_is_read_and_written_in_one_place(monkeypatch):
    """What a tracer sees in place of the arrays: here, copies that are written back."""
    seen = []

    def current(state):
        seen.append({name: array.copy() for name, array in state.items()})
        return updates.StateArrays(seen[-1])

    ps, qs, rng = parameters(), parameters(), np.random.default_rng(1)
    fused, single = RULES["Adam"](ps), one_each(RULES["Adam"], qs)
    monkeypatch.setattr(updates, "current", current)
    give_gradients(ps, qs, rng)
    for optimizer in (fused, *single):
        optimizer.step()
    assert all(not array.any() for optimizer in (fused, *single) for s in optimizer.state for array in s.values())
    assert len(seen) == 1 + len(ps)
    assert all(copies["t"].all() for copies in seen)
    for p, q in zip(ps, qs, strict=True):
        np.testing.assert_array_equal(p.value, q.value)


def test_missing_gradients_in_a_compiled_step():
    def training():
        ps = parameters(shapes=[(3, 2), (3, 1), (4,)])
        optimizer = tn.optim.Adam(ps, lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            tn.mse(ps[0] @ x + ps[1], y).backward()  # without ps[2]
            optimizer.step()

        return ps, optimizer, step

    rng = np.random.default_rng(1)
    ps, fused, step = training()
    qs, twin, other = training()
    compiled = tn.compile(other)
    for _ in range(6):
        x, y = rng.standard_normal((2, 5)), rng.standard_normal((3, 5))
        step(x, y)
        compiled(x, y)
        for p, q in zip(ps, qs, strict=True):
            np.testing.assert_array_equal(p.value, q.value)
    assert [s["t"] for s in twin.state] == [s["t"] for s in fused.state] == [6, 6, 0]


def test_gradients_of_another_dtype_are_left_to_numpy():
    ps, qs, rng = parameters(np.float32), parameters(np.float32), np.random.default_rng(1)
    fused, single = RULES["Adam"](ps), one_each(RULES["Adam"], qs)
    give_gradients(ps, qs, rng)
    for p in (ps[1], qs[1]):
        p.grad = np.ones(p.shape)
    fused.step()
    for optimizer in single:
        optimizer.step()
    assert_equal(fused, ps, single, qs)


@pytest.mark.parametrize("rule", ["SGD", "Adam"])
@pytest.mark.parametrize(
    ("gradient", "error", "said"),
    [
        (np.ones((3, 1)), tn.ShapeError, r"W has shape \(3, 2\), its gradient has shape \(3, 1\): they must be equal"),
        (np.float32(2.0), tn.ShapeError, r"its gradient has shape \(\)"),
        ([1.0, 2.0], TypeError, r"the gradient of W is a list: set W.grad to an array, or to None"),
    ],
)
def test_gradients_of_another_shape_are_refused(rule, gradient, error, said):
    W, b = tn.tensor(np.zeros((3, 2)), requires_grad=True, name="W"), tn.tensor(np.zeros(2), requires_grad=True)
    optimizer = getattr(tn.optim, rule)([W, b], lr=0.1)
    W.grad, b.grad = gradient, np.ones(2)
    with pytest.raises(error, match=said):
        optimizer.step()


def test_large_parameters_and_other_rules_get_single_updates():
    large = tn.tensor(np.zeros(updates.SMALL + 1), requires_grad=True)
    _, fused, single = tn.optim.Adam([large, *parameters()])._updates[0]
    assert len(fused) == 1
    assert [update.p for update in single] == [large]

    class ByNorm(tn.optim.Adam):
        @staticmethod
        def rule(p, g, state, group):
            return group["lr"] * g / np.linalg.norm(g), {}

    ps = parameters()
    optimizer = ByNorm(ps, lr=1.0)
    before = [p.numpy() for p in ps]
    give_gradients(ps, parameters(), np.random.default_rng(2))
    optimizer.step()
    for p, old in zip(ps, before, strict=True):
        assert np.linalg.norm(p.value - old) == pytest.approx(1.0)


def test_parameters_keep_their_arrays_and_may_change_them():
    ps = parameters()
    optimizer = tn.optim.Adam(ps, lr=0.1)
    array, state = ps[0].data, optimizer.state[0]["m"]
    give_gradients(ps, parameters(), np.random.default_rng(2))
    optimizer.step()
    assert ps[0].data is array
    assert optimizer.state[0]["m"] is state
    assert state.any()
    ps[0].data = np.ones((3, 2))
    optimizer.step()
    assert (ps[0].value < 1.1).all()
    assert (ps[0].value != 1).all()


def test_compiled_steps_with_and_without_a_gradient():
    """A program that was recorded with equal step counters is not replayed once they differ."""

    def training(wrap):
        ps = parameters(shapes=[(3, 2), (3, 1), (4,)])
        optimizer = tn.optim.Adam(ps, lr=0.1)

        def step(x, y, penalty):
            optimizer.zero_grad()
            J = tn.mse(ps[0] @ x + ps[1], y)
            (J + ps[2].sum() * 0.1 if penalty else J).backward()
            optimizer.step()

        return ps, optimizer, wrap(step)

    ps, eager, step = training(lambda f: f)
    qs, other, compiled = training(tn.compile)
    start, rng = eager.state_dict(), np.random.default_rng(1)
    for i, penalty in enumerate([1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1]):
        if i == 7:
            eager.load_state_dict(start)
            other.load_state_dict(start)
        x, y = rng.standard_normal((2, 5)), rng.standard_normal((3, 5))
        step(x, y, bool(penalty))
        compiled(x, y, bool(penalty))
        assert eager.fused is other.fused
        for p, q in zip(ps, qs, strict=True):
            np.testing.assert_array_equal(p.value, q.value)


# --- what is frozen stays as it is ------------------------------------------------------------------------------------

EVERY = [
    k for k in map(vars(tn.optim).get, tn.optim.__all__) if isinstance(k, type) and issubclass(k, tn.optim.Optimizer)
]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("kind", [k for k in EVERY if k is not tn.optim.Optimizer], ids=lambda k: k.__name__)
def test_a_parameter_frozen_in_mid_training_stays_where_it_is(kind, compiled):
    """Its last gradient is still there, its momentum too, and neither moves it; afterwards it goes on."""
    w, v = (tn.tensor([1.0, -2.0], requires_grad=True, name=name) for name in "wv")
    optimizer = kind([w, v], **({"momentum": 0.9} if kind is tn.optim.SGD else {}))

    def cost():
        return (w * w).sum() + (v * v * w * w).sum()

    def eager():
        if optimizer.needs_loss:
            optimizer.step(cost)
        else:
            v.grad = None  # and not that of w, as in a loop that forgets the gradients of what is trained
            cost().backward()
            optimizer.step()

    step = tn.compile(eager) if compiled and not optimizer.needs_loss else eager
    for _ in range(3):
        step()
    w.requires_grad = False
    frozen, other = w.numpy(), v.numpy()
    for _ in range(3):
        step()
    np.testing.assert_array_equal(w.numpy(), frozen)
    assert (v.numpy() != other).all()
    w.requires_grad, w.grad = True, None
    for _ in range(3):
        step()
    assert (w.numpy() != frozen).all()


def test_a_frozen_parameter_does_not_count_for_clipping():
    w, v = (tn.tensor([3.0], requires_grad=True) for _ in range(2))
    w.grad, v.grad = np.array([1e9]), np.array([4.0])
    w.requires_grad = False
    assert tn.optim.clip_grad_norm_([w, v], 1.0) == 4
    assert w.grad == 1e9


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("kind", [k for k in EVERY if k is not tn.optim.Optimizer], ids=lambda k: k.__name__)
def test_float16_stays_finite_and_learns(kind, compiled):
    """Its squares, and eps = 1e-8, would be 0: rule and state work in float32."""
    X = np.random.default_rng(0).normal(size=(2, 40)).astype(np.float16)
    Y = (X[:1] * 0.01).astype(np.float16)
    model = tn.nn.Sequential(tn.nn.Dense(2, 4, "tanh", rng=0, dtype=np.float16), tn.nn.Dense(4, 1, rng=1, dtype="f2"))
    optimizer = kind(model.parameters(), **({"lr": 0.05} if kind in (tn.optim.SGD, tn.optim.IDBD) else {}))
    replay = compiled and not optimizer.needs_loss
    history = tn.fit(model, tn.mse, optimizer, (X, Y), 30, batch_size=20, rng=0, compile=replay)
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float16)}
    assert all(np.isfinite(p.numpy()).all() for p in model.parameters())
    assert all(np.isfinite(a).all() and a.dtype != np.float16 for s in optimizer.state for a in s.values())
    assert history.loss[-1] < history.loss[0]
