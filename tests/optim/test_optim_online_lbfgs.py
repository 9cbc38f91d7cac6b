"""Online L-BFGS against the paper's algorithm with the matrix written out, and in use."""

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn import optim

RNG = np.random.default_rng(0)
A = RNG.normal(size=(40, 5)) * [1, 3, 10, 0.3, 1]
TARGET = A @ np.array([1.0, -2, 0.5, 3, 0])


def batches(n, size=8):
    rng = np.random.default_rng(1)
    return [rng.choice(len(A), size, replace=False) for _ in range(n)]


def cost(w, rows):
    return tn.mse(A[rows] @ w, TARGET[rows]) / len(rows)


def test_it_is_the_papers_algorithm():
    """Schraudolph, Yu, Günter 2007: the inverse Hessian as a matrix, updated by each pair in turn (BFGS)."""
    lr, lam, tau, eps, m = 0.7, 0.1, 15.0, 1e-6, 3
    w = tn.tensor(np.zeros(5), requires_grad=True)
    optimizer = optim.OnlineLBFGS([w], lr=lr, history_size=m, damping=lam, tau=tau, eps=eps)
    x, pairs = np.zeros(5), []
    for t, rows in enumerate(batches(25)):
        gradient = lambda v, rows=rows: A[rows].T @ (A[rows] @ v - TARGET[rows]) / len(rows)  # noqa: E731
        g = gradient(x)
        if pairs:
            B = np.eye(5) * np.mean([s @ y / (y @ y) for s, y in pairs])
            for s, y in pairs:
                rho = 1 / (s @ y)
                V = np.eye(5) - rho * np.outer(y, s)
                B = V.T @ B @ V + rho * np.outer(s, s)
        else:
            B = eps * np.eye(5)
        s = tau / (tau + t) * lr * (-B @ g)
        pairs = [*pairs, (s, gradient(x + s) - g + lam * s)][-m:]
        x = x + s
        J = optimizer.step(lambda rows=rows: cost(w, rows))
        np.testing.assert_allclose(w.data, x, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(w.grad, g, rtol=1e-8, atol=1e-10)
        assert J.shape == ()


def test_it_learns_from_batches_what_gradient_descent_is_slow_at():
    by_gradient, by_pairs = (tn.tensor(np.zeros(5), requires_grad=True) for _ in range(2))
    descent, online = optim.SGD([by_gradient], lr=0.01), optim.OnlineLBFGS([by_pairs], lr=0.5)
    assert online.needs_loss
    assert not descent.needs_loss
    for rows in batches(100, 16):
        descent.zero_grad()
        cost(by_gradient, rows).backward()
        descent.step()
        online.step(lambda rows=rows: cost(by_pairs, rows))
    errors = [((A @ w.data - TARGET) ** 2).mean() for w in (by_gradient, by_pairs)]
    assert errors[1] < 1e-6 < errors[0]


def test_it_trains_a_network_which_is_not_convex():
    model = tn.nn.Sequential(tn.nn.Dense(2, 8, "tanh", rng=0), tn.nn.Dense(8, 1, rng=1))
    X = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]])
    Y = np.array([[0.0, 1, 1, 0]])
    optimizer = optim.OnlineLBFGS(model.parameters(), lr=0.5)
    first = tn.mse(model(X), Y).item()
    for _ in range(60):
        optimizer.step(lambda: tn.mse(model(X), Y))
    assert tn.mse(model(X), Y).item() < 0.01 * first


def test_stopped_and_resumed_is_bitwise_the_same():
    def make(value):
        w = tn.tensor(value, requires_grad=True)
        return w, optim.OnlineLBFGS([w], lr=0.5, history_size=3, tau=10.0)

    def train(w, optimizer, some):
        for rows in some:
            optimizer.step(lambda rows=rows: cost(w, rows))

    w, optimizer = make(np.zeros(5))
    train(w, optimizer, batches(12)[:7])
    v, resumed = make(w.numpy())
    resumed.load_state_dict(optimizer.state_dict())
    train(w, optimizer, batches(12)[7:])
    train(v, resumed, batches(12)[7:])
    assert np.array_equal(w.data, v.data)


def test_float32_stays_and_shapes_are_kept():
    params = [tn.tensor(np.ones((2, 3), np.float32), requires_grad=True), tn.tensor(np.float32(1), requires_grad=True)]
    optimizer = optim.OnlineLBFGS(params, lr=0.5)
    for _ in range(5):
        optimizer.step(lambda: (params[0] ** 2).sum() + params[1] ** 2)
    assert [p.dtype for p in params] == [np.float32] * 2
    assert [p.shape for p in params] == [(2, 3), ()]
    assert optimizer.state[0]["s"].dtype == np.float32
    assert params[1].grad.dtype == np.float32


def test_one_group_only(raised):
    w, v = (tn.tensor([1.0], requires_grad=True) for _ in range(2))
    assert raised(ValueError, optim.OnlineLBFGS, [{"params": [w]}, {"params": [v]}]) == (
        "OnlineLBFGS: all parameters form one vector; give them in a single group"
    )
