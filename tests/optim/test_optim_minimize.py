"""SciPy's methods on tensors: minima, gradients and Hessian products from the graph, bounds and constraints."""

import sys

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import optim

pytest.importorskip("scipy")

METHODS = [
    "Nelder-Mead", "Powell", "CG", "BFGS", "Newton-CG", "L-BFGS-B", "TNC", "COBYLA", "COBYQA", "SLSQP", "trust-constr",
    "dogleg", "trust-ncg", "trust-exact", "trust-krylov",
]  # fmt: skip
NEWTON = ["Newton-CG", "trust-ncg", "trust-krylov", "trust-exact", "dogleg", "trust-constr"]


def start(dtype=np.float64):
    return [tn.tensor(np.array([[-0.5, 1.5]]), requires_grad=True, dtype=dtype), tn.tensor(2.0, requires_grad=True)]


def bowl(params, centre=(1.0, -1.0, 0.5)):
    """Convex, with an interaction; its minimum is at the centre."""
    v, s = params
    x, y, z = v[0, 0] - centre[0], v[0, 1] - centre[1], s - centre[2]
    return x * x + 2 * y * y + x * y + 3 * z * z + z * x + tn.exp(z * z)


def values(params):
    return [float(x) for p in params for x in np.ravel(p.numpy())]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_minimum(method):
    params = start()
    result = optim.minimize(lambda: bowl(params), params, method=method, tol=1e-6)
    np.testing.assert_allclose(values(params), [1, -1, 0.5], atol=1e-3)
    assert result.success, result.message
    np.testing.assert_allclose(result.x, values(params))
    assert result.fun == pytest.approx(bowl(params).item())
    assert result.history[0] > result.history[-1]
    assert len(result.history) > 2


@pytest.mark.parametrize("method", NEWTON)
def test_newtons_kin_take_few_steps_on_rosenbrocks_valley(method):
    x, y = (tn.tensor(v, requires_grad=True) for v in (-1.2, 1.0))
    result = optim.minimize(lambda: (1 - x) ** 2 + 100 * (y - x * x) ** 2, [x, y], method=method, tol=1e-6)
    np.testing.assert_allclose([x.item(), y.item()], [1, 1], atol=1e-4)
    assert result.nit < 200


def test_hessian_products_are_those_of_the_graph():
    from tinygrad_nn.optim.batch import _Objective
    from tinygrad_nn.optim.flat import Flat

    params = start()
    objective = _Objective(lambda: bowl(params), Flat(params))
    at = np.array([0.3, -0.4, 0.9])
    H = objective.hessian(at)
    np.testing.assert_allclose(H, H.T, atol=1e-14)
    for i, unit in enumerate(np.eye(3)):
        ends = [objective.loss_and_gradient(at + h * unit)[1] for h in (1e-6, -1e-6)]
        np.testing.assert_allclose(H[i], (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-7)


def test_a_linear_loss_has_no_curvature():
    from tinygrad_nn.optim.batch import _Objective
    from tinygrad_nn.optim.flat import Flat

    w = tn.tensor([1.0, 2.0], requires_grad=True)
    objective = _Objective(lambda: (3 * w).sum(), Flat([w]))
    assert objective.hessian_product(np.zeros(2), np.ones(2)).tolist() == [0, 0]


def test_a_network_is_trained_in_one_call():
    model = tn.nn.Sequential(tn.nn.Dense(2, 6, "tanh", rng=0), tn.nn.Dense(6, 1, "sigmoid", rng=1))
    X, Y = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]]), np.array([[0.0, 1, 1, 0]])
    for method in ("L-BFGS-B", "CG", "trust-ncg"):
        for layer, seed in zip(model, (0, 1), strict=True):
            layer.W.data = tn.nn.init.glorot_uniform(layer.W.shape, seed)
            layer.b.data[...] = 0
        result = optim.minimize(lambda: tn.mse(model(X), Y), model.parameters(), method=method, tol=1e-8)
        assert result.fun < 1e-3, method
        assert (model(X).data.round() == Y).all()


def test_scipy_is_driven_as_by_hand():
    from scipy.optimize import minimize, rosen, rosen_der

    w = tn.tensor(np.array([-1.0, 0.5, 2.0]), requires_grad=True)
    result = optim.minimize(
        lambda: (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum(), [w], method="L-BFGS-B"
    )
    by_hand = minimize(rosen, [-1.0, 0.5, 2.0], jac=rosen_der, method="L-BFGS-B")
    assert result.nit == by_hand.nit
    np.testing.assert_allclose(w.data, by_hand.x, rtol=1e-6)


# --- bounds and constraints ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["L-BFGS-B", "TNC", "SLSQP", "trust-constr", "Nelder-Mead", "Powell", "COBYQA"])
def test_bounds(method):
    params = start()
    params[0].data[...] = [[0.2, 0.1]]
    params[1].data[...] = 0.0
    optim.minimize(lambda: bowl(params), params, method=method, bounds=(-0.5, 0.25), tol=1e-8)
    assert all(-0.5 <= v <= 0.25 for v in values(params))
    np.testing.assert_allclose(values(params), [0.25, -0.5, 0.25], atol=2e-2)


def test_bounds_for_each_parameter_and_element():
    params = start()
    low = np.array([[2.0, -np.inf]])
    optim.minimize(lambda: bowl(params), params, bounds=[(low, None), None])
    x, y, _ = values(params)
    assert x == 2
    assert y < -1.0
    params = start()
    optim.minimize(lambda: bowl(params), params, bounds=[None, (None, 0)])
    assert values(params)[2] == 0


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr", "COBYQA"])
def test_constraints(method):
    v, s = params = start()
    constraints = [
        {"type": "eq", "fun": lambda: v.sum() - 1},
        {"type": "ineq", "fun": lambda: tn.stack([s - 1, 3 - s])},
    ]
    result = optim.minimize(lambda: bowl(params), params, method=method, constraints=constraints, tol=1e-9)
    assert result.success, result.message
    x, y, z = values(params)
    np.testing.assert_allclose([x + y, z], [1, 1], atol=1e-4)
    # on x + y = 1, s = 1: 2(x − 1) + (y + 1) + ½ = 4(y + 1) + (x − 1)
    np.testing.assert_allclose(2 * (x - 1) + (y + 1) + 0.5, 4 * (y + 1) + (x - 1), atol=2e-3)


def test_a_single_constraint():
    v, _ = params = start()
    optim.minimize(lambda: bowl(params), params, "SLSQP", constraints={"type": "ineq", "fun": lambda: v[0, 0] - 2})
    np.testing.assert_allclose(v.data[0, 0], 2, atol=1e-6)


# --- along the way ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_callback_sees_each_iteration_and_can_stop(method):
    params, seen = start(), []

    def callback(iteration, loss):
        seen.append((iteration, loss))
        assert loss == pytest.approx(bowl(params).item())
        return iteration == 3

    result = optim.minimize(lambda: bowl(params), params, method=method, callback=callback, tol=1e-12)
    assert [i for i, _ in seen] == [1, 2, 3]
    assert result.history[1:] == [loss for _, loss in seen]
    assert result.message == "stopped by the callback"
    assert result.nit == 3
    np.testing.assert_allclose(result.x, values(params))
    assert result.fun == bowl(params).item() <= min(result.history)


def test_options_reach_scipy():
    params = start()
    assert optim.minimize(lambda: bowl(params), params, options={"maxiter": 2}).nit == 2


def test_the_best_point_is_kept_when_interrupted():
    params, count = start(), []

    def loss():
        count.append(bowl(params).item())
        if len(count) == 9:
            raise KeyboardInterrupt
        return bowl(params)

    with pytest.raises(KeyboardInterrupt):
        optim.minimize(loss, params, method="Nelder-Mead")
    assert bowl(params).item() == min(count[:8])


def test_float32_parameters_stay_float32():
    w = tn.tensor(np.ones(3, np.float32), requires_grad=True)
    result = optim.minimize(lambda: ((w - np.array([1, 2, 3], np.float32)) ** 2).sum(), [w], tol=1e-4)
    assert w.dtype == np.float32
    np.testing.assert_allclose(w.data, [1, 2, 3], rtol=1e-3)
    assert result.x.dtype == np.float64


def test_gradients_are_left_as_they_are():
    params = start()
    optim.minimize(lambda: bowl(params), params)
    assert all(p.grad is None for p in params)


# --- errors ----------------------------------------------------------------------------------------------------------


def test_errors(raised):
    params = start()
    text = raised(ValueError, optim.minimize, lambda: bowl(params), params, "adam")
    assert text.startswith("minimize: there is no method 'adam'; expected one of Nelder-Mead, Powell, CG, ")
    assert raised(ValueError, optim.minimize, lambda: bowl(params), params, "bfgs", bounds=(0, 1)) == (
        "minimize: BFGS does not know bounds; "
        "take COBYLA, COBYQA, L-BFGS-B, Nelder-Mead, Powell, SLSQP, TNC, trust-constr"
    )
    assert raised(ValueError, optim.minimize, lambda: bowl(params), params, constraints={"type": "eq"}) == (
        "minimize: L-BFGS-B does not know constraints; take COBYLA, COBYQA, SLSQP, trust-constr"
    )
    assert raised(ValueError, optim.minimize, lambda: bowl(params), params, bounds=[(0, 1)]) == (
        "minimize: bounds for 1 parameters, there are 2; give one pair (low, high) for all, or one for each"
    )
    w = tn.tensor([-1.0], requires_grad=True)
    with np.errstate(invalid="ignore"):
        assert raised(tn.NonFiniteError, optim.minimize, lambda: tn.log(w).sum(), [w]) == (
            "minimize: the loss is nan at the start; begin where it is finite"
        )
    assert raised(TypeError, optim.minimize, lambda: 1.0, params) == (
        "minimize: loss() returned float, expected a tensor computed from the params"
    )
    assert "does not require a gradient" in raised(ValueError, optim.minimize, lambda: w.sum(), [tn.tensor([1.0])])
    assert "item() needs a single element" in raised(
        ValueError, optim.minimize, lambda: bowl(params) * np.ones(2), params
    )


def test_without_scipy_the_extra_is_named(monkeypatch, raised):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    assert raised(ImportError, optim.minimize, None, []) == (
        "tn.optim.minimize needs SciPy: pip install 'tinygrad_nn[scipy]'"
    )


def test_importing_the_room_loads_no_scipy():
    import subprocess

    code = "import sys, tinygrad_nn.optim, tinygrad_nn.nn; print(any(m.startswith('scipy') for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("method", ["Nelder-Mead", "BFGS", "L-BFGS-B", "Newton-CG", "trust-exact", "COBYLA"])
@pytest.mark.parametrize("inner", ["gradients", "grad", "hessian"])
def test_a_loss_that_takes_derivatives_itself(method, inner):
    """Where the slope of (w − 1)⁴ and its curvature vanish, as a physics-informed network has them in its loss."""
    w = tn.tensor([3.0, -2.0], requires_grad=True)

    def energy(x):
        return ((x - 1) ** 4).sum()

    def loss():
        if inner == "gradients":
            slope = tn.gradients(energy(w), [w], create_graph=True)[0]
        elif inner == "grad":
            slope = tn.grad(energy)(w)
        else:
            slope = tn.hessian(energy)(w).sum(axis=0)
        return (slope * slope).sum()

    before = loss().item()
    tn.optim.minimize(loss, [w], method=method, options={"maxiter": 100})
    assert loss().item() < before * 1e-3


def test_a_constraint_that_takes_derivatives_itself():
    w = tn.tensor([3.0], requires_grad=True)
    slope = {"type": "ineq", "fun": lambda: tn.gradients((w * w).sum(), [w], create_graph=True)[0] - 1}
    tn.optim.minimize(lambda: (w * w).sum(), [w], method="SLSQP", constraints=slope)
    assert w.item() == pytest.approx(0.5)


def test_parameters_that_cannot_be_minimised_over(raised):
    w = tn.tensor([3.0], requires_grad=True, name="w")
    w.requires_grad = False
    assert raised(ValueError, tn.optim.minimize, lambda: (w * w).sum(), [w]) == (
        "minimize: w of shape (1,) does not require a gradient or was computed: expected tensors you made with "
        "requires_grad=True; leave out what is frozen"
    )
    assert "minimize: parameter 0 is of type float" in raised(TypeError, tn.optim.minimize, lambda: 0, [1.0])
    assert "minimize: there are no parameters" in raised(ValueError, tn.optim.minimize, lambda: 0, [])
    assert "there is no method None; expected one of Nelder-Mead" in raised(
        ValueError, tn.optim.minimize, lambda: 0, [w], method=None
    )
